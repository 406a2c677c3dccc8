-- What can be sold to each kind of customer, and what does it bring a month?
-- Grain: one row a service and kind of customer. Key: service, kind.
-- Parameters: as_of (date, exclusive), share (share).
-- Products whose fee and margin are known, for all kinds; lines at the mean fee of those that run on as_of.
--
-- service []: Product, or kind of line.
-- name []: Name for people.
-- fee [currency/month]: Monthly fee.
-- margin [currency/month]: Margin of it: the product's own, `share` of a line's.
-- kind []: Kind of customer.
SELECT
    product.product_id AS service, product.name, product.monthly_fee AS fee,
    product.monthly_fee * product.margin AS margin,
    kinds.kind
FROM product
CROSS JOIN (SELECT DISTINCT kind FROM customer) AS kinds
WHERE product.monthly_fee IS NOT NULL AND product.margin IS NOT NULL
UNION ALL
SELECT service, service AS name, fee, fee * CAST($share AS DOUBLE) AS margin, kind
FROM (
    SELECT
        tariff.service, customer.kind,
        CAST(SUM(CAST(tariff.monthly_fee AS DECIMAL(18, 4))) AS DOUBLE) / CAST(COUNT(*) AS DOUBLE) AS fee
    FROM subscription
    INNER JOIN tariff ON tariff.tariff_id = subscription.tariff_id
    INNER JOIN customer ON customer.customer_id = subscription.customer_id
    WHERE subscription.activated_on < CAST($as_of AS DATE)
        AND (subscription.ended_on IS NULL OR subscription.ended_on >= CAST($as_of AS DATE))
    GROUP BY tariff.service, customer.kind
) AS line
