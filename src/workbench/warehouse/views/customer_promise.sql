-- Which cases of one kind were answered within a limit?
-- Grain: one row a customer with a case that is judged. Key: customer_id.
-- Parameters: as_of (date, exclusive), days (integer), event (text), seconds (number).
-- Reads the partial service_case. A ticket is judged if, and only if, its due time has passed before as_of, whether it
-- is closed or open; a hotline call once its wait is known.
--
-- customer_id []: Customer.
-- judged [cases]: Cases of this kind that are judged.
-- kept [cases]: Of these, those answered or closed within the limit.
WITH judged AS (
    SELECT
        customer_id,
        CASE
            WHEN event = 'hotline' THEN CASE WHEN CAST(seconds AS DOUBLE) <= CAST($seconds AS DOUBLE) THEN 1 ELSE 0 END
            WHEN closed_at <= opened_at + INTERVAL '1' SECOND * CAST($seconds AS DOUBLE) THEN 1
            ELSE 0
        END AS in_time
    FROM service_case
    WHERE event = $event
        AND (
            (event = 'hotline' AND seconds IS NOT NULL)
            OR (
                event <> 'hotline'
                AND opened_at + INTERVAL '1' SECOND * CAST($seconds AS DOUBLE) < CAST($as_of AS DATE)
            )
        )
)
SELECT customer_id, COUNT(*) AS judged, SUM(in_time) AS kept
FROM judged
GROUP BY customer_id
