-- When did each customer come and leave, why, to which operator, and from which?
-- Grain: one row a customer with a line that began before as_of. Key: customer_id. Parameters: as_of (date, exclusive).
-- A customer leaves with their last line. Of lines that end on one day a ported one tells why, else one ended for debt.
--
-- customer_id []: Customer.
-- kind []: Person, household, company, …
-- contract []: How their first line is paid: prepaid, postpaid, or other.
-- first_on []: First day of their first line.
-- left_on []: Last day of their last line; missing while one runs on as_of.
-- cause []: Why the last line ended; missing while one runs.
-- destination []: Operator the number was ported to.
-- reason []: Reason as the clerk recorded it.
-- origin []: Operator that the first line was ported in from; missing for a new number.
-- tenure_band []: Tenure on leaving, or on as_of.
WITH line AS (
    SELECT
        customer_id, subscription_id, activated_on, contract, origin_operator,
        CASE WHEN ended_on < CAST($as_of AS DATE) THEN ended_on END AS ended_on,
        end_reason, destination_operator, stated_reason
    FROM subscription
    WHERE activated_on < CAST($as_of AS DATE)
),
placed AS (
    SELECT
        line.*,
        ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY activated_on NULLS LAST, subscription_id NULLS LAST) AS nth,
        ROW_NUMBER() OVER (
            PARTITION BY customer_id
            ORDER BY
                CASE WHEN ended_on IS NULL THEN 0 ELSE 1 END NULLS LAST, ended_on DESC NULLS LAST,
                CASE end_reason WHEN 'port_out' THEN 0 WHEN 'non_payment' THEN 1 ELSE 2 END NULLS LAST,
                subscription_id NULLS LAST
        ) AS back
    FROM line
),
life AS (
    SELECT
        begun.customer_id, begun.activated_on AS first_on, begun.contract, begun.origin_operator,
        final.ended_on AS left_on, final.end_reason, final.destination_operator, final.stated_reason,
        DATE_DIFF('day', begun.activated_on, COALESCE(final.ended_on, CAST($as_of AS DATE))) AS days
    FROM placed AS begun
    INNER JOIN placed AS final ON final.customer_id = begun.customer_id AND final.back = 1
    WHERE begun.nth = 1
)
SELECT
    life.customer_id, customer.kind, COALESCE(life.contract, 'other') AS contract, life.first_on, life.left_on,
    CASE WHEN life.left_on IS NOT NULL THEN life.end_reason END AS cause,
    CASE WHEN life.left_on IS NOT NULL THEN life.destination_operator END AS destination,
    CASE WHEN life.left_on IS NOT NULL THEN life.stated_reason END AS reason,
    life.origin_operator AS origin,
    CASE
        WHEN life.days < 183 THEN 'under 6 months'
        WHEN life.days < 365 THEN '6-11 months'
        WHEN life.days < 1096 THEN '1-2 years'
        WHEN life.days < 2922 THEN '3-7 years'
        ELSE '8 years or more'
    END AS tenure_band
FROM life
INNER JOIN customer ON customer.customer_id = life.customer_id
