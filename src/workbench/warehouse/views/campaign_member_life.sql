-- How long did each member of a campaign stay, and what did they bring before it?
-- Grain: one row a member. Key: customer_id. Parameters: campaign (text), as_of (date, exclusive).
-- Reads the partials assigned_member, billed_month and line_life.
--
-- customer_id []: Member.
-- assigned_on []: Day of assignment, else the campaign's first day.
-- days_known [days]: From assignment to the end of the last line, or to as_of: follow-up for curves of survival.
-- left_us []: 1 where the last line ended before as_of, else 0; missing without a line on record.
-- revenue_before [currency/month]: Bills of the three months before the month of assignment, a month of those of which
--     bills were delivered; 0 without a bill in them, missing where none was delivered.
WITH own AS (
    SELECT customer_id, assigned_on, CAST(DATE_TRUNC('month', assigned_on) AS DATE) AS month
    FROM assigned_member
    WHERE campaign_id = $campaign
),
earlier AS (
    SELECT own.customer_id, SUM(CAST(bill.amount AS DECIMAL(18, 4))) AS amount
    FROM own
    INNER JOIN bill ON bill.customer_id = own.customer_id
        AND bill.month < own.month AND bill.month >= own.month - INTERVAL '3' MONTH
    GROUP BY own.customer_id
),
delivered AS (
    SELECT start.month, COUNT(*) AS months
    FROM (SELECT DISTINCT month FROM own) AS start
    INNER JOIN billed_month
        ON billed_month.month < start.month AND billed_month.month >= start.month - INTERVAL '3' MONTH
    GROUP BY start.month
)
SELECT
    own.customer_id, own.assigned_on,
    CAST(DATE_DIFF(
        'day', own.assigned_on, COALESCE(line_life.left_on, CAST($as_of AS DATE))
    ) AS DOUBLE) AS days_known,
    CAST(CASE
        WHEN line_life.left_on IS NOT NULL THEN 1
        WHEN line_life.customer_id IS NOT NULL THEN 0
    END AS INTEGER) AS left_us,
    CAST(COALESCE(earlier.amount, 0) AS DOUBLE) / CAST(delivered.months AS DOUBLE) AS revenue_before
FROM own
LEFT JOIN line_life ON line_life.customer_id = own.customer_id
LEFT JOIN earlier ON earlier.customer_id = own.customer_id
LEFT JOIN delivered ON delivered.month = own.month
