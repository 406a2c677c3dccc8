-- How much do customers call and surf?
-- Grain: one row a customer with usage in the last three full months before as_of. Key: customer_id.
-- Parameters: as_of (date, exclusive).
-- A mean over those of the three months for which usage_month holds any row.
--
-- customer_id []: Customer.
-- call_min [min/month]: Outgoing call minutes.
-- data_mb [MB/month]: Data volume.
WITH recent AS (
    SELECT
        customer_id, month,
        CAST(call_min AS DECIMAL(18, 4)) AS call_min,
        CAST(data_mb AS DECIMAL(18, 4)) AS data_mb
    FROM usage_month
    WHERE month >= CAST(DATE_TRUNC('month', CAST($as_of AS DATE)) AS DATE) - INTERVAL '3' MONTH
        AND month < CAST(DATE_TRUNC('month', CAST($as_of AS DATE)) AS DATE)
),
delivered AS (
    SELECT COUNT(DISTINCT month) AS months FROM recent
)
SELECT
    recent.customer_id,
    CAST(SUM(recent.call_min) AS DOUBLE) / CAST(MAX(delivered.months) AS DOUBLE) AS call_min,
    CAST(SUM(recent.data_mb) AS DOUBLE) / CAST(MAX(delivered.months) AS DOUBLE) AS data_mb
FROM recent
CROSS JOIN delivered
GROUP BY recent.customer_id
