-- Who was a customer on a day, and who of them had left by another?
-- Grain: one row a customer with a line on from_on. Key: customer_id.
-- Parameters: from_on (date), as_of (date, exclusive: the end of the time).
-- Reads the view customer_leaving.
--
-- customer_id []: Customer.
-- kind []: Person, household, company, …
-- contract []: How their first line is paid.
-- tenure_band []: Tenure on from_on.
-- left_us []: 1 where they left from from_on to before as_of, else 0.
SELECT
    customer_id, kind, contract,
    CASE
        WHEN DATE_DIFF('day', first_on, CAST($from_on AS DATE)) < 183 THEN 'under 6 months'
        WHEN DATE_DIFF('day', first_on, CAST($from_on AS DATE)) < 365 THEN '6-11 months'
        WHEN DATE_DIFF('day', first_on, CAST($from_on AS DATE)) < 1096 THEN '1-2 years'
        WHEN DATE_DIFF('day', first_on, CAST($from_on AS DATE)) < 2922 THEN '3-7 years'
        ELSE '8 years or more'
    END AS tenure_band,
    CASE WHEN left_on IS NULL THEN 0 ELSE 1 END AS left_us
FROM customer_leaving
WHERE first_on < CAST($from_on AS DATE) AND (left_on IS NULL OR left_on >= CAST($from_on AS DATE))
