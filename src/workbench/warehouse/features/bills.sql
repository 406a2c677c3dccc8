-- What does the customer bring, net of discounts, refunds and subsidies?
-- Grain: one row a customer who joined before as_of. Parameters: as_of (date, exclusive).
-- Only bills issued before as_of are known. A billed month is one for which any customer has such a bill. The months of
-- the mean begin on or after the day of joining; a bill missing from them counts as 0, except that of the latest billed
-- month, which may not be issued yet: then the three months end one earlier.
--
-- monetary [currency/month]: Net bill amount a month, mean of the last 3 full months billed (within the last 5): ARPU.
-- billed_12m [currency]: Net amount of the bills issued in the last 12 months.
-- bills_12m [bills]: Bills issued in the last 12 months.
-- discount_share [share]: Discounts of those bills, of fees and usage charges before discount; missing where these come
--     to nothing or less.
WITH issued AS (
    SELECT
        customer_id, month, issued_on,
        EXTRACT(YEAR FROM month) * 12 + EXTRACT(MONTH FROM month) AS nth,
        CAST(amount AS DECIMAL(18, 4)) AS amount,
        CAST(discount AS DECIMAL(18, 4)) AS discount,
        CAST(recurring AS DECIMAL(18, 4)) + CAST(usage_charge AS DECIMAL(18, 4)) AS gross
    FROM bill
    WHERE issued_on < CAST($as_of AS DATE)
),
billed_month AS (
    SELECT month, ROW_NUMBER() OVER (ORDER BY month DESC NULLS LAST) AS back
    FROM (
        SELECT DISTINCT month
        FROM issued
        WHERE nth BETWEEN EXTRACT(YEAR FROM CAST($as_of AS DATE)) * 12 + EXTRACT(MONTH FROM CAST($as_of AS DATE)) - 5
            AND EXTRACT(YEAR FROM CAST($as_of AS DATE)) * 12 + EXTRACT(MONTH FROM CAST($as_of AS DATE)) - 1
    ) AS recent
),
monthly AS (
    SELECT customer_id, month, SUM(amount) AS amount
    FROM issued
    GROUP BY customer_id, month
),
life_month AS (
    SELECT
        customer.customer_id, billed_month.back, monthly.amount,
        MIN(CASE WHEN billed_month.back = 1 AND monthly.amount IS NOT NULL THEN 1 ELSE 2 END)
            OVER (PARTITION BY customer.customer_id) AS first_back
    FROM customer
    INNER JOIN billed_month ON billed_month.month >= customer.joined_on
    LEFT JOIN monthly ON monthly.customer_id = customer.customer_id AND monthly.month = billed_month.month
),
arpu AS (
    SELECT
        customer_id,
        CAST(SUM(COALESCE(amount, 0)) AS DOUBLE) / CAST(COUNT(*) AS DOUBLE) AS monetary
    FROM life_month
    WHERE back BETWEEN first_back AND first_back + 2
    GROUP BY customer_id
),
year_bill AS (
    SELECT
        customer_id,
        COUNT(*) AS bills,
        SUM(amount) AS amount,
        SUM(discount) AS discount,
        SUM(gross) AS gross
    FROM issued
    WHERE issued_on >= CAST($as_of AS DATE) - INTERVAL '12' MONTH
    GROUP BY customer_id
),
known AS (
    SELECT CASE WHEN COUNT(*) > 0 THEN 0 END AS zero FROM bill
)
SELECT
    customer.customer_id, arpu.monetary,
    CAST(COALESCE(year_bill.amount, known.zero) AS DOUBLE) AS billed_12m,
    CAST(COALESCE(year_bill.bills, known.zero) AS DOUBLE) AS bills_12m,
    CASE WHEN year_bill.gross > 0 THEN CAST(year_bill.discount AS DOUBLE) / CAST(year_bill.gross AS DOUBLE) END
        AS discount_share
FROM customer
CROSS JOIN known
LEFT JOIN arpu ON arpu.customer_id = customer.customer_id
LEFT JOIN year_bill ON year_bill.customer_id = customer.customer_id
WHERE customer.joined_on < CAST($as_of AS DATE)
