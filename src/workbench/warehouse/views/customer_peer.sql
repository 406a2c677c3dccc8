-- Whom is each customer like? What cross-selling compares them by.
-- Grain: one row a customer who is active on as_of. Key: customer_id.
-- Parameters: as_of (date, exclusive), province (text; empty for all).
-- Reads the feature file life, the view recent_usage and the partial service_spell. Thirds are of the customers here who
-- use the service at all; equal use is in the same third, and who ends the second third is in the last.
--
-- customer_id []: Customer.
-- call_min [min/month]: Outgoing call minutes, mean of the last three full months; 0 without usage.
-- data_mb [MB/month]: Data volume, alike.
-- line_services []: Kinds of line that run on as_of, joined by +, or none.
-- call_band []: no call, or the third: little, some or much call.
-- data_band []: no data, or the third: little, some or much data.
-- tenure_band []: From under 6 months to 8 years or more.
WITH held AS (
    SELECT customer_id, service
    FROM service_spell
    WHERE to_on IS NULL OR to_on >= CAST($as_of AS DATE)
),
line AS (
    SELECT
        customer_id,
        MAX(CASE WHEN service = 'broadband' THEN '+broadband' ELSE '' END)
        || MAX(CASE WHEN service = 'fixed' THEN '+fixed' ELSE '' END)
        || MAX(CASE WHEN service = 'iptv' THEN '+iptv' ELSE '' END)
        || MAX(CASE WHEN service = 'mobile' THEN '+mobile' ELSE '' END) AS services
    FROM held
    GROUP BY customer_id
),
used AS (
    SELECT
        life.customer_id, life.tenure_months,
        COALESCE(recent_usage.call_min, 0) AS call_min,
        COALESCE(recent_usage.data_mb, 0) AS data_mb
    FROM life
    LEFT JOIN recent_usage ON recent_usage.customer_id = life.customer_id
    WHERE $province = '' OR life.province = $province
),
placed AS (
    SELECT
        used.*,
        COUNT(*) OVER (PARTITION BY call_min > 0) AS callers,
        COUNT(*) OVER (PARTITION BY call_min > 0 ORDER BY call_min NULLS LAST) AS call_place,
        COUNT(*) OVER (PARTITION BY data_mb > 0) AS surfers,
        COUNT(*) OVER (PARTITION BY data_mb > 0 ORDER BY data_mb NULLS LAST) AS data_place
    FROM used
)
SELECT
    placed.customer_id, placed.call_min, placed.data_mb,
    COALESCE(NULLIF(SUBSTRING(line.services, 2), ''), 'none') AS line_services,
    CASE
        WHEN placed.call_min <= 0 THEN 'no call'
        WHEN 3 * placed.call_place <= placed.callers THEN 'little call'
        WHEN 3 * placed.call_place < 2 * placed.callers THEN 'some call'
        ELSE 'much call'
    END AS call_band,
    CASE
        WHEN placed.data_mb <= 0 THEN 'no data'
        WHEN 3 * placed.data_place <= placed.surfers THEN 'little data'
        WHEN 3 * placed.data_place < 2 * placed.surfers THEN 'some data'
        ELSE 'much data'
    END AS data_band,
    CASE
        WHEN placed.tenure_months <= 5 THEN 'under 6 months'
        WHEN placed.tenure_months <= 11 THEN '6-11 months'
        WHEN placed.tenure_months <= 35 THEN '1-2 years'
        WHEN placed.tenure_months <= 95 THEN '3-7 years'
        ELSE '8 years or more'
    END AS tenure_band
FROM placed
LEFT JOIN line ON line.customer_id = placed.customer_id
