-- How much, and in which way, does the customer use the network?
-- Grain: one row a customer who joined before as_of. Parameters: as_of (date, exclusive).
-- Reads the partials recent_use and counterpart_month. The monthly means are over the last 3 full months before as_of that begin on or
-- after the day of joining and for which usage_month holds any row; no row in such a month counts as 0. The shares are
-- of events in the last 90 days, and missing without an event.
--
-- call_min_month [min/month]: Outgoing call minutes, mean of the last 3 full months.
-- data_mb_month [MB/month]: Data volume, mean of the last 3 full months.
-- messages_month [messages/month]: Messages sent, mean of the last 3 full months.
-- night_share [share]: Events begun between 22:00 and 05:59.
-- weekend_share [share]: Events begun on a Saturday or Sunday.
-- on_net_share [share]: Events to or from the operator's own network, of those for which this is known.
-- roaming_share [share]: Events in the zone roaming.
-- international_share [share]: Events in the zone international.
-- counterparts [numbers]: Different other numbers in the last 90 days.
WITH observed AS (
    SELECT DISTINCT month
    FROM usage_month
    WHERE EXTRACT(YEAR FROM month) * 12 + EXTRACT(MONTH FROM month)
        BETWEEN EXTRACT(YEAR FROM CAST($as_of AS DATE)) * 12 + EXTRACT(MONTH FROM CAST($as_of AS DATE)) - 3
        AND EXTRACT(YEAR FROM CAST($as_of AS DATE)) * 12 + EXTRACT(MONTH FROM CAST($as_of AS DATE)) - 1
),
alive AS (
    SELECT customer.customer_id, COUNT(*) AS months
    FROM customer
    INNER JOIN observed ON observed.month >= customer.joined_on
    GROUP BY customer.customer_id
),
used AS (
    SELECT
        usage_month.customer_id,
        SUM(CAST(usage_month.call_min AS DECIMAL(18, 6))) AS call_min,
        SUM(CAST(usage_month.data_mb AS DECIMAL(18, 6))) AS data_mb,
        SUM(usage_month.messages) AS messages
    FROM usage_month
    INNER JOIN observed ON observed.month = usage_month.month
    INNER JOIN customer ON customer.customer_id = usage_month.customer_id AND observed.month >= customer.joined_on
    GROUP BY usage_month.customer_id
),
circle AS (
    SELECT customer_id, COUNT(counterpart_key) AS counterparts
    FROM (
        SELECT DISTINCT customer_id, counterpart_key
        FROM counterpart_month
        WHERE last_on >= CAST($as_of AS DATE) - INTERVAL '90' DAY AND first_on < CAST($as_of AS DATE)
    ) AS other
    GROUP BY customer_id
),
known AS (
    SELECT CASE WHEN COUNT(*) > 0 THEN 0 END AS zero FROM detail_record
)
SELECT
    customer.customer_id,
    CAST(COALESCE(used.call_min, 0) AS DOUBLE) / CAST(alive.months AS DOUBLE) AS call_min_month,
    CAST(COALESCE(used.data_mb, 0) AS DOUBLE) / CAST(alive.months AS DOUBLE) AS data_mb_month,
    CAST(COALESCE(used.messages, 0) AS DOUBLE) / CAST(alive.months AS DOUBLE) AS messages_month,
    recent_use.night / NULLIF(recent_use.events, 0) AS night_share,
    recent_use.weekend / NULLIF(recent_use.events, 0) AS weekend_share,
    recent_use.on_net / NULLIF(recent_use.net_known, 0) AS on_net_share,
    recent_use.roaming / NULLIF(recent_use.events, 0) AS roaming_share,
    recent_use.international / NULLIF(recent_use.events, 0) AS international_share,
    CAST(COALESCE(circle.counterparts, known.zero) AS DOUBLE) AS counterparts
FROM customer
CROSS JOIN known
LEFT JOIN alive ON alive.customer_id = customer.customer_id
LEFT JOIN used ON used.customer_id = customer.customer_id
LEFT JOIN recent_use ON recent_use.customer_id = customer.customer_id
LEFT JOIN circle ON circle.customer_id = customer.customer_id
WHERE customer.joined_on < CAST($as_of AS DATE)
