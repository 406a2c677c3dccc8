-- Since when has each customer had lines, and when did the last one end? A partial that several views read.
-- Grain: one row a customer with a line that began before as_of. Key: customer_id. Parameters: as_of (date, exclusive).
-- left_on is the last day of the last of these, where all of them ended before as_of.
SELECT
    customer_id,
    MIN(activated_on) AS first_on,
    CASE
        WHEN COUNT(*) = COUNT(ended_on) FILTER (WHERE ended_on < CAST($as_of AS DATE)) THEN MAX(ended_on)
    END AS left_on
FROM subscription
WHERE activated_on < CAST($as_of AS DATE)
GROUP BY customer_id
