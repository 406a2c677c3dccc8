-- What was each customer worth in each month?
-- Grain: one row a customer and full month of life that is billed. Key: customer_id, month.
-- Parameters: as_of (date, exclusive).
-- Reads the partial line_life. Bills issued before as_of. A customer has a month if they had joined on its first day and
-- had a line (or none on record) beyond its last; a month without a bill then counts 0. They have no month in which no
-- line of theirs ran and of which they have no bill: who comes back has a gap. Who left before as_of has no row of the
-- last month billed, so that those who have one are the customers of as_of.
--
-- customer_id []: Customer.
-- month []: First day of the month.
-- value [currency]: Net amount billed.
WITH known AS (
    SELECT customer_id, month, SUM(CAST(amount AS DECIMAL(18, 4))) AS amount
    FROM bill
    WHERE issued_on < CAST($as_of AS DATE)
    GROUP BY customer_id, month
),
delivered AS (
    SELECT month, MAX(month) OVER () AS newest FROM (SELECT DISTINCT month FROM known) AS billed
),
ran AS (
    SELECT DISTINCT subscription.customer_id, delivered.month
    FROM subscription
    INNER JOIN delivered ON subscription.activated_on < delivered.month + INTERVAL '1' MONTH
        AND (subscription.ended_on IS NULL OR subscription.ended_on >= delivered.month)
    WHERE subscription.activated_on < CAST($as_of AS DATE)
)
SELECT customer.customer_id, delivered.month, CAST(COALESCE(known.amount, 0) AS DOUBLE) AS value
FROM customer
INNER JOIN delivered ON delivered.month >= customer.joined_on
LEFT JOIN line_life ON line_life.customer_id = customer.customer_id
LEFT JOIN known ON known.customer_id = customer.customer_id AND known.month = delivered.month
LEFT JOIN ran ON ran.customer_id = customer.customer_id AND ran.month = delivered.month
WHERE (line_life.customer_id IS NULL OR ran.month IS NOT NULL OR known.month IS NOT NULL) AND (
    line_life.left_on IS NULL
    OR (line_life.left_on >= delivered.month + INTERVAL '1' MONTH AND delivered.month < delivered.newest)
)
