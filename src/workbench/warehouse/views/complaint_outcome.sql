-- What became of each complaint?
-- Grain: one row a complaint opened before as_of. Key: ticket_id. Parameters: as_of (date, exclusive).
-- What is known only on closing is missing while a complaint is open on as_of.
--
-- ticket_id []: Case.
-- customer_id []: Who complained.
-- opened_at []: When.
-- due_at []: When an answer was promised.
-- closed_at []: When it was closed; missing while open.
-- outcome []: solved, rejected or withdrawn.
-- queue []: Call centre or partner that handled it.
-- compensation [currency]: What was credited.
-- compensation_arm []: Where chance decided about compensation: offered or not_offered.
SELECT
    ticket_id, customer_id, opened_at, due_at,
    CASE WHEN closed_at < CAST($as_of AS DATE) THEN closed_at END AS closed_at,
    CASE WHEN closed_at < CAST($as_of AS DATE) THEN outcome END AS outcome,
    queue,
    CASE WHEN closed_at < CAST($as_of AS DATE) THEN compensation END AS compensation,
    compensation_arm
FROM ticket
WHERE kind = 'complaint' AND opened_at < CAST($as_of AS DATE)
