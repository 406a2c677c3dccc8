-- What came in, month by month, in each table of dated facts?
-- Grain: one row a table and month with rows before as_of. Key: fact, month. Parameters: as_of (date, exclusive).
-- Reads the partials customer_day and assigned_member. Rows of an unknown day are not here.
--
-- fact []: The table.
-- month []: First day of the month in which it happened; of bills and usage the month billed or used.
-- records [records]: Rows.
-- customers [customers]: Different customers; 0 where rows name none.
-- last_on []: Last day with a row; of bills the last day of issue, of what is known by month
--     its last day.
-- day_bits []: The days of that month on which it happened, added up: 1 for the first, 2 for the second, 4 for the third,
--     and so on; 1 of what is known by month.
WITH dated AS (
    SELECT 'detail_record' AS fact, day_on AS day, day_on AS seen_on, customer_id, events AS records FROM customer_day
    UNION ALL
    SELECT
        'usage_month', month, CAST(month + INTERVAL '1' MONTH - INTERVAL '1' DAY AS DATE),
        customer_id, 1
    FROM usage_month
    UNION ALL
    SELECT 'bill', month, issued_on, customer_id, 1 FROM bill
    UNION ALL
    SELECT 'payment', paid_on, paid_on, customer_id, 1 FROM payment
    UNION ALL
    SELECT 'collection_action', acted_on, acted_on, customer_id, 1 FROM collection_action
    UNION ALL
    SELECT 'fraud_case', opened_on, opened_on, customer_id, 1 FROM fraud_case
    UNION ALL
    SELECT 'contact', CAST(contacted_at AS DATE), CAST(contacted_at AS DATE), customer_id, 1 FROM contact
    UNION ALL
    SELECT 'ticket', CAST(opened_at AS DATE), CAST(opened_at AS DATE), customer_id, 1 FROM ticket
    UNION ALL
    SELECT 'survey_response', answered_on, answered_on, customer_id, 1 FROM survey_response
    UNION ALL
    SELECT 'survey_invitation', invited_on, invited_on, customer_id, 1 FROM survey_invitation
    UNION ALL
    SELECT 'campaign_member', assigned_on, assigned_on, customer_id, 1 FROM assigned_member
    UNION ALL
    SELECT 'opportunity', opened_on, opened_on, customer_id, 1 FROM opportunity
    UNION ALL
    SELECT 'market', month, CAST(month + INTERVAL '1' MONTH - INTERVAL '1' DAY AS DATE), NULL, 1 FROM market
    UNION ALL
    SELECT 'marketing_cost', month, CAST(month + INTERVAL '1' MONTH - INTERVAL '1' DAY AS DATE), NULL, 1
    FROM marketing_cost
)
SELECT
    fact,
    CAST(DATE_TRUNC('month', day) AS DATE) AS month,
    CAST(SUM(records) AS DOUBLE) AS records,
    CAST(COUNT(DISTINCT customer_id) AS DOUBLE) AS customers,
    MAX(seen_on) AS last_on,
    CAST(SUM(DISTINCT POWER(2, EXTRACT(DAY FROM day) - 1)) AS DOUBLE) AS day_bits
FROM dated
WHERE seen_on < CAST($as_of AS DATE)
GROUP BY fact, CAST(DATE_TRUNC('month', day) AS DATE)
