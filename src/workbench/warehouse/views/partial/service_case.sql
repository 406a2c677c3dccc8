-- Which contacts and tickets fell into the last days? A partial that several views read.
-- Grain: one row a contact or ticket. Order: customer_id, event, opened_at, closed_at, seconds, overdue.
-- Parameters: as_of (date, exclusive), days (integer).
-- event is the channel of a contact or the kind of a ticket; seconds the wait, or the whole seconds to close where it
-- closed before as_of; a ticket is overdue where its promised time passed before as_of and before it was closed.
SELECT
    customer_id, channel AS event, contacted_at AS opened_at, NULL AS closed_at,
    CAST(wait_s AS DECIMAL(18, 3)) AS seconds,
    0 AS overdue
FROM contact
WHERE contacted_at >= CAST($as_of AS DATE) - INTERVAL '1' DAY * CAST($days AS INTEGER)
    AND contacted_at < CAST($as_of AS DATE)
UNION ALL
SELECT
    customer_id, kind AS event, opened_at, closed_at,
    CAST(CASE
        WHEN closed_at < CAST($as_of AS DATE) THEN DATE_DIFF('second', opened_at, closed_at)
    END AS DECIMAL(18, 3)) AS seconds,
    CASE
        WHEN due_at < CAST($as_of AS DATE) AND (closed_at IS NULL OR closed_at > due_at) THEN 1
        ELSE 0
    END AS overdue
FROM ticket
WHERE opened_at >= CAST($as_of AS DATE) - INTERVAL '1' DAY * CAST($days AS INTEGER)
    AND opened_at < CAST($as_of AS DATE)
