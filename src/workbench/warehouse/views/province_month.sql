-- What did customers bring in each province and month around a roll-out to whole provinces?
-- Grain: one row a province and month up to the roll-out's end. Key: province, month.
-- Parameters: campaign (text), kind (text), as_of (date, exclusive).
-- Reads campaign_province. Bills issued before as_of, of customers of one kind.
--
-- province []: Province of the contract.
-- month []: First day of the month billed.
-- customers [customers]: Customers billed.
-- revenue [currency/customer]: Amount billed per customer billed.
-- treated []: 1 in the provinces of the roll-out, else 0.
-- after []: 1 where the month began with the roll-out or later, else 0.
WITH billed AS (
    SELECT
        customer.province, bill.month,
        COUNT(DISTINCT bill.customer_id) AS customers,
        SUM(CAST(bill.amount AS DECIMAL(18, 4))) AS amount
    FROM bill
    INNER JOIN customer ON customer.customer_id = bill.customer_id
    WHERE customer.kind = $kind AND bill.issued_on < CAST($as_of AS DATE)
    GROUP BY customer.province, bill.month
)
SELECT
    billed.province, billed.month, billed.customers,
    CAST(billed.amount AS DOUBLE) / CAST(billed.customers AS DOUBLE) AS revenue,
    CAST(CASE WHEN campaign_province.province IS NULL THEN 0 ELSE 1 END AS BIGINT) AS treated,
    CAST(CASE WHEN billed.month >= campaign.starts_on THEN 1 ELSE 0 END AS BIGINT) AS after
FROM billed
INNER JOIN campaign ON billed.month <= campaign.ends_on
LEFT JOIN campaign_province
    ON campaign_province.campaign_id = campaign.campaign_id AND campaign_province.province = billed.province
WHERE campaign.campaign_id = $campaign
