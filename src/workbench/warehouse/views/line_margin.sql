-- Which lines run on a day, since when, and what margin does each bring a month?
-- Grain: one row a line that began before as_of. Key: subscription_id.
-- Parameters: as_of (date, exclusive), margin (share), months (integer), province (text; empty for all).
-- A customer's bills of the last `months` full months are shared among their lines by the days that each ran in those
-- months. The months are those of which bills were issued before as_of, within the last `months` + 2: one that was not
-- delivered is unknown, not unpaid, and for a customer whose bill of the last one is not out they end before it. A line
-- of a customer with fewer than 30 days in them gets the mean of its service. No row where the last bill known is
-- further back.
--
-- subscription_id []: Line.
-- customer_id []: Who holds it.
-- service []: Kind of service.
-- activated_on []: First day.
-- ended_on []: Last day; missing while the line runs on as_of.
-- running []: Whether it runs on as_of.
-- margin [currency/month]: `margin` of what is billed; missing for a line that ended.
WITH theirs AS (
    SELECT customer_id FROM customer WHERE $province = '' OR province = $province
),
known AS (
    SELECT bill.customer_id, bill.month, SUM(CAST(bill.amount AS DECIMAL(18, 4))) AS amount
    FROM bill
    INNER JOIN theirs ON theirs.customer_id = bill.customer_id
    WHERE bill.month < CAST(DATE_TRUNC('month', CAST($as_of AS DATE)) AS DATE) AND bill.issued_on < CAST($as_of AS DATE)
    GROUP BY bill.customer_id, bill.month
),
newest AS (
    SELECT MAX(month) AS month FROM known
),
span AS (
    SELECT
        delivered.month,
        CAST(delivered.month + INTERVAL '1' MONTH AS DATE) AS until,
        ROW_NUMBER() OVER (ORDER BY delivered.month DESC NULLS LAST) AS back
    FROM (SELECT DISTINCT month FROM known) AS delivered
    CROSS JOIN newest
    WHERE delivered.month >= newest.month - INTERVAL '1' MONTH * (CAST($months AS INTEGER) + 1)
        AND newest.month >= CAST($as_of AS DATE) - INTERVAL '1' MONTH * (CAST($months AS INTEGER) + 1)
),
payer AS (
    SELECT theirs.customer_id, CASE WHEN ahead.customer_id IS NULL THEN 1 ELSE 0 END AS behind
    FROM theirs
    LEFT JOIN (
        SELECT known.customer_id FROM known INNER JOIN newest ON newest.month = known.month
    ) AS ahead ON ahead.customer_id = theirs.customer_id
),
counted AS (
    SELECT given.behind, span.month, span.until
    FROM (SELECT DISTINCT behind FROM payer) AS given
    INNER JOIN span ON span.back > given.behind AND span.back <= given.behind + CAST($months AS INTEGER)
),
length AS (
    SELECT behind, AVG(CAST(DATE_DIFF('day', month, until) AS DOUBLE)) AS days
    FROM counted
    GROUP BY behind
),
line AS (
    SELECT
        subscription.subscription_id, subscription.customer_id, subscription.service,
        subscription.activated_on,
        CASE WHEN subscription.ended_on < CAST($as_of AS DATE) THEN subscription.ended_on END AS ended_on,
        CAST(subscription.ended_on + INTERVAL '1' DAY AS DATE) AS gone_on,
        payer.behind
    FROM subscription
    INNER JOIN payer ON payer.customer_id = subscription.customer_id
    WHERE subscription.activated_on < CAST($as_of AS DATE)
),
ran AS (
    SELECT
        line.customer_id,
        CAST(SUM(GREATEST(
            DATE_DIFF(
                'day', GREATEST(line.activated_on, counted.month), LEAST(line.gone_on, counted.until)
            ),
            0
        )) AS DOUBLE) AS days
    FROM line
    INNER JOIN counted ON counted.behind = line.behind
    GROUP BY line.customer_id
),
paid AS (
    SELECT known.customer_id, CAST(SUM(known.amount) AS DOUBLE) AS amount
    FROM known
    INNER JOIN payer ON payer.customer_id = known.customer_id
    INNER JOIN counted ON counted.behind = payer.behind AND counted.month = known.month
    GROUP BY known.customer_id
),
own AS (
    SELECT
        line.*,
        CASE WHEN ran.days >= 30 AND line.ended_on IS NULL
            THEN CAST($margin AS DOUBLE) * (COALESCE(paid.amount, 0) / ran.days * length.days)
        END AS margin
    FROM line
    LEFT JOIN ran ON ran.customer_id = line.customer_id
    LEFT JOIN length ON length.behind = line.behind
    LEFT JOIN paid ON paid.customer_id = line.customer_id
),
mean_margin AS (
    SELECT service, SUM(CAST(margin AS DECIMAL(28, 12))) AS margin, COUNT(margin) AS lines
    FROM own
    GROUP BY service
),
typical AS (
    SELECT
        mean_margin.service,
        COALESCE(
            CAST(mean_margin.margin AS DOUBLE) / CAST(NULLIF(mean_margin.lines, 0) AS DOUBLE), whole.margin
        ) AS margin
    FROM mean_margin
    CROSS JOIN (
        SELECT CAST(SUM(margin) AS DOUBLE) / CAST(NULLIF(SUM(lines), 0) AS DOUBLE) AS margin FROM mean_margin
    ) AS whole
)
SELECT
    own.subscription_id, own.customer_id, own.service, own.activated_on, own.ended_on,
    own.ended_on IS NULL AS running,
    CASE WHEN own.ended_on IS NULL THEN COALESCE(own.margin, typical.margin) END AS margin
FROM own
INNER JOIN typical ON typical.service = own.service
WHERE EXISTS (SELECT month FROM span)
