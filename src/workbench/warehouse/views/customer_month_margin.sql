-- What margin did each customer bring in each of the last billed months, and how much of it from added products?
-- Grain: one row a customer and month since joining. Key: customer_id, nth.
-- Parameters: day (date, exclusive), months (integer), share (share).
-- Of the last `months` months of which bills were issued before the day. A month without a bill brought nothing.
--
-- customer_id []: Customer.
-- nth []: Number of the month; the last one is `months`.
-- bill [currency]: Billed, without the fees of added products whose margin is known.
-- addon [currency]: Margin of those products.
-- margin [currency]: `share` of the bill, and the margin of those products.
WITH span AS (
    SELECT month, ROW_NUMBER() OVER (ORDER BY month DESC NULLS LAST) AS back
    FROM (SELECT DISTINCT month FROM bill WHERE issued_on < CAST($day AS DATE)) AS known
),
billed AS (
    SELECT customer_id, month, SUM(CAST(amount AS DECIMAL(18, 4))) AS amount
    FROM bill
    WHERE issued_on < CAST($day AS DATE)
    GROUP BY customer_id, month
),
added AS (
    SELECT
        holding.customer_id, span.month,
        SUM(CAST(product.monthly_fee AS DECIMAL(18, 4))) AS fee,
        SUM(CAST(product.monthly_fee AS DECIMAL(18, 4)) * CAST(product.margin AS DECIMAL(10, 8))) AS gain
    FROM holding
    INNER JOIN product ON product.product_id = holding.product_id AND product.margin IS NOT NULL
    INNER JOIN span ON holding.from_on < span.month + INTERVAL '1' MONTH
        AND (holding.to_on IS NULL OR holding.to_on >= span.month)
    WHERE holding.from_on < CAST($day AS DATE) AND span.back <= CAST($months AS INTEGER)
    GROUP BY holding.customer_id, span.month
),
brought AS (
    SELECT
        customer.customer_id,
        CAST($months AS INTEGER) + 1 - span.back AS nth,
        CAST(CASE
            WHEN billed.amount IS NULL THEN 0
            ELSE billed.amount - COALESCE(added.fee, 0)
        END AS DOUBLE) AS bill,
        CAST(CASE WHEN billed.amount IS NULL THEN 0 ELSE COALESCE(added.gain, 0) END AS DOUBLE) AS addon
    FROM customer
    INNER JOIN span ON span.month >= customer.joined_on AND span.back <= CAST($months AS INTEGER)
    LEFT JOIN billed ON billed.customer_id = customer.customer_id AND billed.month = span.month
    LEFT JOIN added ON added.customer_id = customer.customer_id AND added.month = span.month
)
SELECT customer_id, nth, bill, addon, CAST($share AS DOUBLE) * bill + addon AS margin
FROM brought
