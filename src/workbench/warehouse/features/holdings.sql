-- Which products does the customer hold beside the tariff?
-- Grain: one row a customer who joined before as_of. Parameters: as_of (date, exclusive).
-- Held is what began before as_of and did not end before it; a product held twice counts once.
--
-- products_held [products]: Different products held on as_of.
-- product_fee [currency/month]: Their monthly fees together.
WITH held AS (
    SELECT DISTINCT customer_id, product_id
    FROM holding
    WHERE from_on < CAST($as_of AS DATE)
        AND (to_on IS NULL OR to_on >= CAST($as_of AS DATE))
),
basket AS (
    SELECT
        held.customer_id,
        COUNT(*) AS products,
        SUM(CAST(product.monthly_fee AS DECIMAL(18, 4))) AS fee
    FROM held
    LEFT JOIN product ON product.product_id = held.product_id
    GROUP BY held.customer_id
),
known AS (
    SELECT CASE WHEN COUNT(*) > 0 THEN 0 END AS zero FROM holding
)
SELECT
    customer.customer_id,
    CAST(COALESCE(basket.products, known.zero) AS DOUBLE) AS products_held,
    CAST(CASE WHEN basket.products > 0 THEN basket.fee ELSE known.zero END AS DOUBLE) AS product_fee
FROM customer
CROSS JOIN known
LEFT JOIN basket ON basket.customer_id = customer.customer_id
WHERE customer.joined_on < CAST($as_of AS DATE)
