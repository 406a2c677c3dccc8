-- How often did the customer need us, and did we keep our promises?
-- Grain: one row a customer who joined before as_of. Parameters: as_of (date, exclusive).
-- A ticket closed on or after as_of was still open on it.
--
-- contacts_90d [contacts]: Touches in the last 90 days on any channel, either way.
-- hotline_90d [contacts]: Calls of the customer to the hotline in the last 90 days.
-- wait_s_mean [s]: Mean waiting time of those hotline calls, of those for which it is known.
-- complaints_180d [tickets]: Complaints opened in the last 180 days.
-- faults_180d [tickets]: Faults opened in the last 180 days.
-- open_tickets [tickets]: Complaints, faults and installations opened before as_of and not closed before it.
-- overdue_tickets_180d [tickets]: Tickets opened in the last 180 days whose promised time passed before as_of
--     and before they were closed.
WITH touch AS (
    SELECT
        customer_id,
        COUNT(*) AS contacts,
        COUNT(*) FILTER (WHERE channel = 'hotline' AND direction = 'in') AS hotline,
        SUM(CAST(wait_s AS DECIMAL(18, 3))) FILTER (WHERE channel = 'hotline' AND direction = 'in') AS wait_s,
        COUNT(wait_s) FILTER (WHERE channel = 'hotline' AND direction = 'in') AS waits
    FROM contact
    WHERE contacted_at >= CAST($as_of AS DATE) - INTERVAL '90' DAY
        AND contacted_at < CAST($as_of AS DATE)
    GROUP BY customer_id
),
opened AS (
    SELECT
        customer_id, kind,
        CASE WHEN closed_at < CAST($as_of AS DATE) THEN 0 ELSE 1 END AS still_open,
        CASE WHEN opened_at >= CAST($as_of AS DATE) - INTERVAL '180' DAY THEN 1 ELSE 0 END AS recent,
        CASE
            WHEN due_at < CAST($as_of AS DATE) AND (closed_at IS NULL OR closed_at > due_at) THEN 1
            ELSE 0
        END AS overdue
    FROM ticket
    WHERE opened_at < CAST($as_of AS DATE)
),
promise AS (
    SELECT
        customer_id,
        COUNT(*) FILTER (WHERE kind = 'complaint' AND recent = 1) AS complaints,
        COUNT(*) FILTER (WHERE kind = 'fault' AND recent = 1) AS faults,
        SUM(still_open) AS still_open,
        COUNT(*) FILTER (WHERE overdue = 1 AND recent = 1) AS overdue
    FROM opened
    GROUP BY customer_id
),
known_contact AS (
    SELECT CASE WHEN COUNT(*) > 0 THEN 0 END AS zero FROM contact
),
known_ticket AS (
    SELECT CASE WHEN COUNT(*) > 0 THEN 0 END AS zero FROM ticket
)
SELECT
    customer.customer_id,
    CAST(COALESCE(touch.contacts, known_contact.zero) AS DOUBLE) AS contacts_90d,
    CAST(COALESCE(touch.hotline, known_contact.zero) AS DOUBLE) AS hotline_90d,
    CAST(touch.wait_s AS DOUBLE) / NULLIF(CAST(touch.waits AS DOUBLE), 0) AS wait_s_mean,
    CAST(COALESCE(promise.complaints, known_ticket.zero) AS DOUBLE) AS complaints_180d,
    CAST(COALESCE(promise.faults, known_ticket.zero) AS DOUBLE) AS faults_180d,
    CAST(COALESCE(promise.still_open, known_ticket.zero) AS DOUBLE) AS open_tickets,
    CAST(COALESCE(promise.overdue, known_ticket.zero) AS DOUBLE) AS overdue_tickets_180d
FROM customer
CROSS JOIN known_contact
CROSS JOIN known_ticket
LEFT JOIN touch ON touch.customer_id = customer.customer_id
LEFT JOIN promise ON promise.customer_id = customer.customer_id
WHERE customer.joined_on < CAST($as_of AS DATE)
