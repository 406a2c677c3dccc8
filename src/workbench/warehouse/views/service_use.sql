-- How recently, how often and how much did each customer use each service?
-- Grain: one row a service and customer with an event in the last days. Key: service, customer_id.
-- Parameters: as_of (date, exclusive), days (integer), province (text; empty for all).
--
-- service []: call, data or message.
-- customer_id []: Customer.
-- recency_days [days]: From the last event to as_of; 1 is the day before.
-- frequency [days]: Days with an event.
-- amount [min, MB or messages]: Call minutes, data volume or messages.
WITH event AS (
    SELECT
        detail_record.customer_id, detail_record.kind,
        CAST(detail_record.started_at AS DATE) AS day_on,
        COUNT(*) AS events,
        SUM(CAST(detail_record.duration_s AS DECIMAL(18, 3))) AS duration_s,
        SUM(CAST(detail_record.volume_mb AS DECIMAL(18, 6))) AS volume_mb
    FROM detail_record
    INNER JOIN customer ON customer.customer_id = detail_record.customer_id
    WHERE detail_record.started_at >= CAST($as_of AS DATE) - INTERVAL '1' DAY * CAST($days AS INTEGER)
        AND detail_record.started_at < CAST($as_of AS DATE)
        AND ($province = '' OR customer.province = $province)
    GROUP BY detail_record.customer_id, detail_record.kind, CAST(detail_record.started_at AS DATE)
)
SELECT
    kind AS service, customer_id,
    CAST(DATE_DIFF('day', MAX(day_on), CAST($as_of AS DATE)) AS DOUBLE) AS recency_days,
    CAST(COUNT(*) AS DOUBLE) AS frequency,
    ROUND(CASE
        WHEN kind = 'call' THEN CAST(SUM(duration_s) AS DOUBLE) / 60
        WHEN kind = 'data' THEN CAST(SUM(volume_mb) AS DOUBLE)
        ELSE CAST(SUM(events) AS DOUBLE)
    END, 6) AS amount
FROM event
GROUP BY customer_id, kind
