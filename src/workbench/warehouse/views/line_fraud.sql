-- How was each line that can call used in windows of some days, and what does its customer owe? What fraud rules read.
-- Grain: one row a mobile or fixed line and window in which it ran. Key: subscription_id, window_to.
-- Parameters: as_of (date, exclusive), days (integer, length of a window), windows (integer), premium (currency/min).
-- The last window ends with the day before as_of, each other where the next begins. One that begins before the first day
-- with detail records, or of which no record came, is left out: it is unknown, not unused. What stands against a
-- customer is shared equally among their lines of the window. Rules may read all columns.
--
-- subscription_id []: Line.
-- customer_id []: Who holds it.
-- kind []: Person, household, company, government, reseller or distributor.
-- contract []: How the line is paid: prepaid or postpaid.
-- window_to []: First day after the window.
-- window_days [days]: Length of the window.
-- age_days [days]: From the first day of the line to the end of the window.
-- calls [calls]: Outgoing calls.
-- numbers [numbers]: Different other numbers called.
-- calls_per_number [calls]: Outgoing calls a number called; missing without one.
-- share_out [share]: Outgoing calls of all calls; 0 where calls came in alone, missing without a call.
-- call_s [s]: Mean length of outgoing calls; missing without one.
-- calls_day [calls]: Most outgoing calls begun on one day.
-- overlapping [calls]: Outgoing calls begun while an earlier outgoing one of the line was still going on; a call that came in
--     the while may be waiting, and is none.
-- abroad_min [min]: Minutes of outgoing calls to other countries.
-- abroad_min_day [min]: Most of them on one day.
-- premium_min_day [min]: Most minutes on one day of outgoing calls that cost `premium` a minute and more.
-- roaming_share [share]: Events in the zone roaming; missing without an event.
-- charge [currency]: Charges outside the allowances.
-- first_bill_open [currency]: Open amount of the customer's first bill, where it was due before the end of the window; 0
--     once it is paid or while it is not due. Missing where the first bill on record is of a later month than the one
--     after joining (it was before the records), and where no payment on record settles a bill.
-- topups [payments]: Top-ups of the customer: payments above 0 that settle no bill.
-- refunds [payments]: Refunds to the customer: payments below 0.
-- refunded [currency]: Amount of the refunds, as a positive number.
-- exposed [currency]: What is at stake: charges of the window, and the line's part of refunds and of the first bill open.
WITH event AS (
    SELECT
        subscription_id, started_at, kind, direction, zone, counterpart_key, duration_s, charge,
        CAST(FLOOR(
            CAST(DATE_DIFF('day', CAST(started_at AS DATE), CAST($as_of AS DATE)) - 1 AS DOUBLE)
            / CAST($days AS DOUBLE)
        ) AS INTEGER) AS nth
    FROM detail_record
    WHERE started_at < CAST($as_of AS DATE)
        AND started_at >= CAST($as_of AS DATE) - INTERVAL '1' DAY * CAST($days AS INTEGER) * CAST($windows AS INTEGER)
),
used AS (
    SELECT
        subscription_id, nth,
        MIN(started_at) AS first_at,
        CAST(COUNT(*) AS DOUBLE) AS events,
        CAST(COUNT(*) FILTER (WHERE zone = 'roaming') AS DOUBLE) AS roaming,
        CAST(COUNT(*) FILTER (WHERE kind = 'call') AS DOUBLE) AS both_ways,
        CAST(SUM(CAST(charge AS DECIMAL(18, 4))) AS DOUBLE) AS charge
    FROM event
    GROUP BY subscription_id, nth
),
by_day AS (
    SELECT
        subscription_id, nth, CAST(started_at AS DATE) AS day_on,
        COUNT(*) AS calls,
        SUM(CAST(duration_s AS DECIMAL(18, 3))) AS call_s,
        SUM(CAST(CASE WHEN zone = 'international' THEN duration_s END AS DECIMAL(18, 3))) AS abroad_s,
        SUM(CAST(
            CASE WHEN charge > 0 AND charge * 60 >= duration_s * CAST($premium AS DOUBLE) THEN duration_s END
            AS DECIMAL(18, 3)
        )) AS premium_s
    FROM event
    WHERE kind = 'call' AND direction = 'out'
    GROUP BY subscription_id, nth, CAST(started_at AS DATE)
),
called AS (
    SELECT
        subscription_id, nth,
        CAST(SUM(calls) AS DOUBLE) AS calls,
        CAST(MAX(calls) AS DOUBLE) AS calls_day,
        CAST(SUM(call_s) AS DOUBLE) AS call_s,
        CAST(SUM(abroad_s) AS DOUBLE) / 60 AS abroad_min,
        CAST(MAX(abroad_s) AS DOUBLE) / 60 AS abroad_min_day,
        CAST(MAX(premium_s) AS DOUBLE) / 60 AS premium_min_day
    FROM by_day
    GROUP BY subscription_id, nth
),
span AS (
    SELECT
        given.nth,
        CAST(CAST($as_of AS DATE) - INTERVAL '1' DAY * CAST($days AS INTEGER) * given.nth AS DATE) AS window_to
    FROM (SELECT DISTINCT nth FROM used) AS given
    CROSS JOIN (SELECT CAST(MIN(first_at) AS DATE) AS first_on FROM used) AS known
    WHERE CAST($as_of AS DATE) - INTERVAL '1' DAY * CAST($days AS INTEGER) * (given.nth + 1) >= known.first_on
),
circle AS (
    SELECT subscription_id, nth, CAST(COUNT(counterpart_key) AS DOUBLE) AS numbers
    FROM (
        SELECT DISTINCT subscription_id, nth, counterpart_key
        FROM event
        WHERE kind = 'call' AND direction = 'out'
    ) AS other
    GROUP BY subscription_id, nth
),
under_way AS (
    SELECT
        subscription_id, nth, begin_s,
        MAX(begin_s + duration_s) OVER (
            PARTITION BY subscription_id ORDER BY begin_s NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS until_s
    FROM (
        SELECT
            subscription_id, nth, duration_s,
            CAST(DATE_DIFF('second', CAST($as_of AS DATE), started_at) AS DOUBLE) AS begin_s
        FROM event
        WHERE kind = 'call' AND direction = 'out' AND duration_s > 0
    ) AS call
),
overlap AS (
    SELECT
        subscription_id, nth,
        CAST(COUNT(*) AS DOUBLE) AS overlapping
    FROM under_way
    WHERE until_s > begin_s
    GROUP BY subscription_id, nth
),
paid AS (
    SELECT
        payment.customer_id, span.nth,
        CAST(COUNT(*) FILTER (WHERE payment.amount > 0 AND payment.bill_id IS NULL) AS DOUBLE) AS topups,
        CAST(COUNT(*) FILTER (WHERE payment.amount < 0) AS DOUBLE) AS refunds,
        CAST(-SUM(CASE WHEN payment.amount < 0 THEN CAST(payment.amount AS DECIMAL(18, 4)) ELSE 0 END) AS DOUBLE)
            AS refunded
    FROM payment
    INNER JOIN span ON payment.paid_on < span.window_to
        AND payment.paid_on >= span.window_to - INTERVAL '1' DAY * CAST($days AS INTEGER)
    GROUP BY payment.customer_id, span.nth
),
first_bill AS (
    SELECT placed.customer_id, placed.bill_id, placed.due_on, placed.amount
    FROM (
        SELECT
            customer_id, bill_id, month, due_on, CAST(amount AS DECIMAL(18, 4)) AS amount,
            ROW_NUMBER() OVER (
                PARTITION BY customer_id ORDER BY month NULLS LAST, issued_on NULLS LAST, bill_id NULLS LAST
            ) AS place
        FROM bill
    ) AS placed
    INNER JOIN customer ON customer.customer_id = placed.customer_id
    WHERE placed.place = 1 AND placed.month <= customer.joined_on + INTERVAL '1' MONTH
        AND (SELECT COUNT(bill_id) FROM payment) > 0
),
open_bill AS (
    SELECT
        first_bill.customer_id, span.nth,
        CAST(GREATEST(
            CASE WHEN MIN(first_bill.due_on) < MIN(span.window_to)
                THEN MIN(first_bill.amount) - COALESCE(SUM(CAST(payment.amount AS DECIMAL(18, 4))), 0)
                ELSE 0
            END, 0
        ) AS DOUBLE) AS first_bill_open
    FROM first_bill
    CROSS JOIN span
    LEFT JOIN payment ON payment.bill_id = first_bill.bill_id AND payment.paid_on < span.window_to
    GROUP BY first_bill.customer_id, span.nth
),
line AS (
    SELECT
        subscription.subscription_id, subscription.customer_id, subscription.contract, span.nth, span.window_to,
        CAST(DATE_DIFF('day', subscription.activated_on, span.window_to) AS DOUBLE) AS age_days,
        CAST(COUNT(*) OVER (PARTITION BY subscription.customer_id, span.nth) AS DOUBLE) AS lines
    FROM subscription
    INNER JOIN span ON subscription.activated_on < span.window_to
        AND (
            subscription.ended_on IS NULL
            OR subscription.ended_on >= span.window_to - INTERVAL '1' DAY * CAST($days AS INTEGER)
        )
    WHERE subscription.service IN ('mobile', 'fixed')
)
SELECT
    line.subscription_id, line.customer_id, customer.kind, line.contract, line.window_to,
    CAST($days AS DOUBLE) AS window_days,
    line.age_days,
    COALESCE(called.calls, 0) AS calls,
    COALESCE(circle.numbers, 0) AS numbers,
    called.calls / NULLIF(circle.numbers, 0) AS calls_per_number,
    COALESCE(called.calls, 0) / NULLIF(used.both_ways, 0) AS share_out,
    called.call_s / NULLIF(called.calls, 0) AS call_s,
    COALESCE(called.calls_day, 0) AS calls_day,
    COALESCE(overlap.overlapping, 0) AS overlapping,
    COALESCE(called.abroad_min, 0) AS abroad_min,
    COALESCE(called.abroad_min_day, 0) AS abroad_min_day,
    COALESCE(called.premium_min_day, 0) AS premium_min_day,
    used.roaming / NULLIF(used.events, 0) AS roaming_share,
    COALESCE(used.charge, 0) AS charge,
    open_bill.first_bill_open,
    COALESCE(paid.topups, 0) AS topups,
    COALESCE(paid.refunds, 0) AS refunds,
    COALESCE(paid.refunded, 0) AS refunded,
    GREATEST(COALESCE(used.charge, 0), 0)
        + (COALESCE(paid.refunded, 0) + COALESCE(open_bill.first_bill_open, 0)) / line.lines AS exposed
FROM line
INNER JOIN customer ON customer.customer_id = line.customer_id
LEFT JOIN used ON used.subscription_id = line.subscription_id AND used.nth = line.nth
LEFT JOIN called ON called.subscription_id = line.subscription_id AND called.nth = line.nth
LEFT JOIN circle ON circle.subscription_id = line.subscription_id AND circle.nth = line.nth
LEFT JOIN overlap ON overlap.subscription_id = line.subscription_id AND overlap.nth = line.nth
LEFT JOIN paid ON paid.customer_id = line.customer_id AND paid.nth = line.nth
LEFT JOIN open_bill ON open_bill.customer_id = line.customer_id AND open_bill.nth = line.nth
