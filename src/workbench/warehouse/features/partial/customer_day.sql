-- What did each customer do on each of the last 90 days? A partial: other files count days and events from it.
-- Grain: one row a customer and day with at least one event. Parameters: as_of (date, exclusive).
-- Night is 22:00 to 05:59 local time.
SELECT
    customer_id,
    CAST(started_at AS DATE) AS active_on,
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
