-- What did each customer do in the last 90 days, in days and events? A partial that several files read.
-- Grain: one row a customer with at least one event. Parameters: as_of (date, exclusive).
-- Days and events are added up apart: two narrow groupings are cheaper than a wide one by customer and day, and than
-- counting distinct days. Night is 22:00 to 05:59 local time. 1990-01-01 was a Monday; the engines' own days of the
-- week differ.
WITH recent AS (
    SELECT
        customer_id,
        started_at,
        zone,
        on_net,
        CAST(DATE_DIFF('day', CAST('1990-01-01' AS DATE), CAST(started_at AS DATE)) AS DOUBLE) AS since_monday
    FROM detail_record
    WHERE started_at >= CAST($as_of AS DATE) - INTERVAL '90' DAY
        AND started_at < CAST($as_of AS DATE)
),
active AS (
    SELECT
        customer_id,
        COUNT(*) AS days
    FROM (SELECT DISTINCT customer_id, CAST(started_at AS DATE) AS day_on FROM recent) AS customer_day
    GROUP BY customer_id
),
used AS (
    SELECT
        customer_id,
        MAX(started_at) AS last_event,
        COUNT(*) AS events,
        COUNT(*) FILTER (WHERE EXTRACT(HOUR FROM started_at) >= 22 OR EXTRACT(HOUR FROM started_at) < 6) AS night,
        COUNT(*) FILTER (WHERE since_monday - 7 * FLOOR(since_monday / 7) >= 5) AS weekend,
        COUNT(*) FILTER (WHERE on_net) AS on_net,
        COUNT(on_net) AS net_known,
        COUNT(*) FILTER (WHERE zone = 'roaming') AS roaming,
        COUNT(*) FILTER (WHERE zone = 'international') AS international
    FROM recent
    GROUP BY customer_id
)
SELECT
    used.customer_id,
    used.last_event,
    active.days AS active_days,
    CAST(used.events AS DOUBLE) AS events,
    CAST(used.night AS DOUBLE) AS night,
    CAST(used.weekend AS DOUBLE) AS weekend,
    CAST(used.on_net AS DOUBLE) AS on_net,
    CAST(used.net_known AS DOUBLE) AS net_known,
    CAST(used.roaming AS DOUBLE) AS roaming,
    CAST(used.international AS DOUBLE) AS international
FROM used
INNER JOIN active ON active.customer_id = used.customer_id
