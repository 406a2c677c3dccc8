-- What did each customer do on each day? A partial that the warehouse stores by month.
-- Grain: one row a customer and day with at least one event. Key: customer_id, day_on. Parameters: none.
-- Night is 22:00 to 05:59 local time. 1990-01-01 was a Monday; the engines' own days of the week differ.
WITH event AS (
    SELECT
        customer_id,
        CAST(started_at AS DATE) AS day_on,
        COUNT(*) AS events,
        COUNT(*) FILTER (WHERE EXTRACT(HOUR FROM started_at) >= 22 OR EXTRACT(HOUR FROM started_at) < 6) AS night,
        COUNT(*) FILTER (WHERE on_net) AS on_net,
        COUNT(on_net) AS net_known,
        COUNT(*) FILTER (WHERE zone = 'roaming') AS roaming,
        COUNT(*) FILTER (WHERE zone = 'international') AS international
    FROM detail_record
    GROUP BY customer_id, CAST(started_at AS DATE)
),
placed AS (
    SELECT
        event.*,
        EXTRACT(YEAR FROM day_on) * 12 + EXTRACT(MONTH FROM day_on) AS nth,
        CAST(DATE_DIFF('day', CAST('1990-01-01' AS DATE), day_on) AS DOUBLE) AS since_monday
    FROM event
)
SELECT
    customer_id, day_on,
    CAST(nth AS INTEGER) AS nth,
    CAST(events AS INTEGER) AS events,
    CAST(night AS INTEGER) AS night,
    CAST(CASE WHEN since_monday - 7 * FLOOR(since_monday / 7) >= 5 THEN events ELSE 0 END AS INTEGER) AS weekend,
    CAST(on_net AS INTEGER) AS on_net,
    CAST(net_known AS INTEGER) AS net_known,
    CAST(roaming AS INTEGER) AS roaming,
    CAST(international AS INTEGER) AS international
FROM placed
