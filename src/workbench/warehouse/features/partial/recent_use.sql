-- What did each customer do in the last 90 days, in days and events? A partial that several files read.
-- Grain: one row a customer with at least one event. Parameters: as_of (date, exclusive).
-- Events are first added up by customer and day: cheaper than counting distinct days, and the inner query can be
-- stored a day at a time. Night is 22:00 to 05:59 local time. 1990-01-01 was a Monday; the engines' own days of the
-- week differ.
WITH customer_day AS (
    SELECT
        customer_id,
        CAST(DATE_DIFF('day', CAST('1990-01-01' AS DATE), CAST(started_at AS DATE)) AS DOUBLE) AS since_monday,
        COUNT(*) AS events,
        COUNT(*) FILTER (WHERE EXTRACT(HOUR FROM started_at) >= 22 OR EXTRACT(HOUR FROM started_at) < 6) AS night,
        COUNT(*) FILTER (WHERE on_net) AS on_net,
        COUNT(on_net) AS net_known,
        COUNT(*) FILTER (WHERE zone = 'roaming') AS roaming,
        COUNT(*) FILTER (WHERE zone = 'international') AS international
    FROM detail_record
    WHERE started_at >= CAST($as_of AS DATE) - INTERVAL '90' DAY
        AND started_at < CAST($as_of AS DATE)
    GROUP BY customer_id, CAST(started_at AS DATE)
)
SELECT
    customer_id,
    COUNT(*) AS active_days,
    CAST(SUM(events) AS DOUBLE) AS events,
    CAST(SUM(night) AS DOUBLE) AS night,
    CAST(SUM(CASE WHEN since_monday - 7 * FLOOR(since_monday / 7) >= 5 THEN events ELSE 0 END) AS DOUBLE) AS weekend,
    CAST(SUM(on_net) AS DOUBLE) AS on_net,
    CAST(SUM(net_known) AS DOUBLE) AS net_known,
    CAST(SUM(roaming) AS DOUBLE) AS roaming,
    CAST(SUM(international) AS DOUBLE) AS international
FROM customer_day
GROUP BY customer_id
