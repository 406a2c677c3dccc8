-- What does each business customer bring, and does it grow? What grades an account.
-- Grain: one row a company or government body that had joined and has a line on as_of. Key: customer_id.
-- Parameters: as_of (date, exclusive), margin (share).
-- The year is the twelve months up to the last one billed before as_of. A month of which no bill was delivered is
-- unknown: the year is taken at the mean of those that are known, growth of those known a year before too, 6 at least.
--
-- customer_id []: Customer.
-- kind []: company or government.
-- province []: Province of the contract.
-- revenue_12m [currency]: Net amount billed in the year.
-- growth [share]: Change against the year before; missing where the customer's bills do not reach back two years.
-- lines [lines]: Lines that run on as_of.
-- margin_12m [currency]: `margin` of the undiscounted price, less the discount.
-- tenure_months [months]: From joining to as_of.
WITH known AS (
    SELECT
        customer_id, month,
        CAST(amount AS DECIMAL(18, 4)) AS amount,
        CAST(discount AS DECIMAL(18, 4)) AS discount
    FROM bill
    WHERE issued_on < CAST($as_of AS DATE)
),
span AS (
    SELECT MIN(month) AS since, CAST(MAX(month) + INTERVAL '1' MONTH AS DATE) AS until
    FROM known
),
delivered AS (
    SELECT DISTINCT month FROM known
),
year AS (
    SELECT delivered.month, CASE WHEN earlier.month IS NULL THEN 0 ELSE 1 END AS paired
    FROM delivered
    INNER JOIN span ON delivered.month >= span.until - INTERVAL '12' MONTH
    LEFT JOIN delivered AS earlier ON earlier.month = delivered.month - INTERVAL '12' MONTH
),
size AS (
    SELECT CAST(12 AS DOUBLE) / CAST(NULLIF(COUNT(*), 0) AS DOUBLE) AS whole, SUM(paired) AS pairs
    FROM year
),
money AS (
    SELECT
        known.customer_id,
        SUM(known.amount) FILTER (WHERE this.month IS NOT NULL) AS revenue,
        SUM(known.discount) FILTER (WHERE this.month IS NOT NULL) AS discount,
        SUM(known.amount) FILTER (WHERE this.paired = 1) AS after,
        SUM(known.amount) FILTER (WHERE later.paired = 1) AS before
    FROM known
    LEFT JOIN year AS this ON this.month = known.month
    LEFT JOIN year AS later ON later.month = known.month + INTERVAL '12' MONTH
    GROUP BY known.customer_id
),
line AS (
    SELECT customer_id, COUNT(*) AS lines
    FROM subscription
    WHERE activated_on < CAST($as_of AS DATE) AND (ended_on IS NULL OR ended_on >= CAST($as_of AS DATE))
    GROUP BY customer_id
)
SELECT
    customer.customer_id, customer.kind, customer.province,
    size.whole * CAST(COALESCE(money.revenue, 0) AS DOUBLE) AS revenue_12m,
    CASE
        WHEN GREATEST(customer.joined_on, span.since) <= span.until - INTERVAL '24' MONTH
            AND money.before > 0 AND size.pairs >= 6
            THEN CAST(COALESCE(money.after, 0) AS DOUBLE) / CAST(money.before AS DOUBLE) - 1
    END AS growth,
    CAST(line.lines AS DOUBLE) AS lines,
    size.whole * (
        CAST($margin AS DOUBLE) * CAST(COALESCE(money.revenue + money.discount, 0) AS DOUBLE)
        - CAST(COALESCE(money.discount, 0) AS DOUBLE)
    ) AS margin_12m,
    CAST(DATE_DIFF('day', customer.joined_on, CAST($as_of AS DATE)) AS DOUBLE)
    / CAST(30.4375 AS DOUBLE) AS tenure_months
FROM customer
INNER JOIN line ON line.customer_id = customer.customer_id
LEFT JOIN money ON money.customer_id = customer.customer_id
CROSS JOIN span
CROSS JOIN size
WHERE customer.joined_on < CAST($as_of AS DATE) AND customer.kind IN ('company', 'government')
