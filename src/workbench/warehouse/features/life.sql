-- Who is a customer on as_of, since when, with how many lines?
-- Grain: one row a customer who is active on as_of: joined before it, and not gone. Gone is who had lines
-- before as_of, all of them ended before it; a customer without any line on record is active.
-- Parameters: as_of (date, exclusive).
--
-- customer_id []: The operator's surrogate number of the customer; the key of every feature file.
-- kind []: Person, household, company, government, reseller or distributor.
-- province []: Province of the contract.
-- gender []: Gender of a person, where recorded.
-- birth_year [year]: Year of birth of a person.
-- is_staff []: True for the operator's own staff and test lines; not recorded counts as False.
-- tenure_months [months]: Complete months from the day of joining to as_of.
-- lines [lines]: Lines begun before as_of and not ended before it.
-- prepaid_share [share]: Share of prepaid among those lines whose contract is known.
WITH line AS (
    SELECT
        customer_id, contract,
        CASE WHEN ended_on < CAST($as_of AS DATE) THEN 0 ELSE 1 END AS running
    FROM subscription
    WHERE activated_on < CAST($as_of AS DATE)
),
held AS (
    SELECT
        customer_id,
        SUM(running) AS running,
        COUNT(contract) FILTER (WHERE running = 1) AS contracts,
        COUNT(*) FILTER (WHERE running = 1 AND contract = 'prepaid') AS prepaid
    FROM line
    GROUP BY customer_id
),
known AS (
    SELECT CASE WHEN COUNT(*) > 0 THEN 0 END AS zero FROM subscription
)
SELECT
    customer.customer_id, customer.kind, customer.province, customer.gender,
    CAST(customer.birth_year AS DOUBLE) AS birth_year,
    COALESCE(customer.is_staff, FALSE) AS is_staff,
    CAST(
        (EXTRACT(YEAR FROM CAST($as_of AS DATE)) - EXTRACT(YEAR FROM customer.joined_on)) * 12
        + EXTRACT(MONTH FROM CAST($as_of AS DATE)) - EXTRACT(MONTH FROM customer.joined_on)
        - CASE WHEN EXTRACT(DAY FROM CAST($as_of AS DATE)) < EXTRACT(DAY FROM customer.joined_on) THEN 1 ELSE 0 END
        AS DOUBLE
    ) AS tenure_months,
    CAST(COALESCE(held.running, known.zero) AS DOUBLE) AS lines,
    CAST(held.prepaid AS DOUBLE) / NULLIF(CAST(held.contracts AS DOUBLE), 0) AS prepaid_share
FROM customer
CROSS JOIN known
LEFT JOIN held ON held.customer_id = customer.customer_id
WHERE customer.joined_on < CAST($as_of AS DATE)
    AND COALESCE(held.running, 1) > 0
