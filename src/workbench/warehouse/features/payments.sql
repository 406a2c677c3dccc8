-- How recently, how often and how much did the customer pay?
-- Grain: one row a customer who joined before as_of. Parameters: as_of (date, exclusive).
-- Bills settled, top-ups and purchases alike; refunds (negative amounts) are no payments but lower the sum.
--
-- payments_90d [payments]: Payments in the last 90 days.
-- paid_90d [currency]: Amount received in the last 90 days, net of refunds.
-- days_since_payment [days]: Days from the last payment to as_of; 1 is the day before. Missing if never.
WITH paid AS (
    SELECT
        customer_id,
        COUNT(*) FILTER (WHERE amount > 0 AND paid_on >= CAST($as_of AS DATE) - INTERVAL '90' DAY) AS payments,
        SUM(CAST(amount AS DECIMAL(18, 4)))
            FILTER (WHERE paid_on >= CAST($as_of AS DATE) - INTERVAL '90' DAY) AS amount,
        MAX(CASE WHEN amount > 0 THEN paid_on END) AS last_on
    FROM payment
    WHERE paid_on < CAST($as_of AS DATE)
    GROUP BY customer_id
),
known AS (
    SELECT CASE WHEN COUNT(*) > 0 THEN 0 END AS zero FROM payment
)
SELECT
    customer.customer_id,
    CAST(COALESCE(paid.payments, known.zero) AS DOUBLE) AS payments_90d,
    CAST(COALESCE(paid.amount, known.zero) AS DOUBLE) AS paid_90d,
    CAST(DATE_DIFF('day', paid.last_on, CAST($as_of AS DATE)) AS DOUBLE) AS days_since_payment
FROM customer
CROSS JOIN known
LEFT JOIN paid ON paid.customer_id = customer.customer_id
WHERE customer.joined_on < CAST($as_of AS DATE)
