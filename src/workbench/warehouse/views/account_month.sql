-- How far past due was each account, on one day of each month?
-- Grain: one row a customer and month, from their first bill due until the first month after they left.
-- Key: customer_id, month. Parameters: as_of (date, exclusive), day (integer, 1 to 28: on which day of the month).
-- Reads the view bill_history. The state goes by the oldest bill that was due before the day and not paid in full before
-- it, in days from the due day to the day, so the least is 1. Who owes nothing overdue is 'paid up'.
--
-- customer_id []: Customer.
-- month []: The day on which the account is looked at; what happened on it or later is not known.
-- state []: paid up, 0-10, 11-20, 21-30, 31-60, 61-90, 90+ days past due; left or written off (a last row).
-- days [days]: Days past due of the oldest overdue bill; missing without one.
-- arrears [currency]: Open amount of the overdue bills.
-- unpaid_90 [currency]: What of it was still open 90 days later; missing where these are not over by as_of.
WITH falls AS (
    SELECT DISTINCT CAST(DATE_TRUNC('month', due_on) AS DATE) AS month FROM bill_history
),
first_of AS (
    SELECT month FROM falls
    UNION
    SELECT CAST(month + INTERVAL '1' MONTH AS DATE) AS month FROM falls
),
looked AS (
    SELECT on_day
    FROM (SELECT CAST(month + INTERVAL '1' DAY * (CAST($day AS INTEGER) - 1) AS DATE) AS on_day FROM first_of) AS each
    WHERE on_day <= CAST($as_of AS DATE)
),
holder AS (
    SELECT customer_id, MIN(due_on) AS first_due, MAX(left_on) AS left_on, MAX(CAST(written_off AS INTEGER)) AS unpaid
    FROM bill_history
    GROUP BY customer_id
),
account AS (
    SELECT
        holder.customer_id, looked.on_day, holder.unpaid,
        CASE WHEN holder.left_on < looked.on_day THEN 1 ELSE 0 END AS gone
    FROM holder
    INNER JOIN looked ON looked.on_day > holder.first_due
    WHERE holder.left_on IS NULL OR holder.left_on >= looked.on_day - INTERVAL '1' MONTH
),
late AS (
    SELECT bill_history.customer_id, bill_history.bill_id, looked.on_day, bill_history.due_on,
        CAST(bill_history.amount AS DECIMAL(18, 4)) AS amount
    FROM bill_history
    INNER JOIN looked ON looked.on_day > bill_history.due_on
        AND (bill_history.paid_on IS NULL OR bill_history.paid_on >= looked.on_day)
),
part AS (
    SELECT
        late.bill_id, late.on_day,
        SUM(CASE WHEN payment.paid_on < late.on_day THEN CAST(payment.amount AS DECIMAL(18, 4)) ELSE 0 END) AS before,
        SUM(CAST(payment.amount AS DECIMAL(18, 4))) AS by_then
    FROM late
    INNER JOIN payment ON payment.bill_id = late.bill_id
        AND payment.paid_on < late.on_day + INTERVAL '90' DAY AND payment.paid_on < CAST($as_of AS DATE)
    GROUP BY late.bill_id, late.on_day
),
owed AS (
    SELECT
        late.customer_id, late.on_day,
        MAX(DATE_DIFF('day', late.due_on, late.on_day)) AS days,
        SUM(late.amount - COALESCE(part.before, 0)) AS arrears,
        SUM(CASE WHEN late.amount > COALESCE(part.by_then, 0) THEN late.amount - COALESCE(part.by_then, 0) ELSE 0 END)
            AS later
    FROM late
    LEFT JOIN part ON part.bill_id = late.bill_id AND part.on_day = late.on_day
    WHERE late.amount > COALESCE(part.before, 0)
    GROUP BY late.customer_id, late.on_day
)
SELECT
    account.customer_id, account.on_day AS month,
    CASE
        WHEN account.gone = 1 AND account.unpaid = 1 THEN 'written off'
        WHEN account.gone = 1 THEN 'left'
        WHEN owed.days IS NULL THEN 'paid up'
        WHEN owed.days <= 10 THEN '0-10'
        WHEN owed.days <= 20 THEN '11-20'
        WHEN owed.days <= 30 THEN '21-30'
        WHEN owed.days <= 60 THEN '31-60'
        WHEN owed.days <= 90 THEN '61-90'
        ELSE '90+'
    END AS state,
    CAST(owed.days AS DOUBLE) AS days,
    CAST(COALESCE(owed.arrears, 0) AS DOUBLE) AS arrears,
    CASE
        WHEN account.on_day + INTERVAL '90' DAY <= CAST($as_of AS DATE) THEN CAST(COALESCE(owed.later, 0) AS DOUBLE)
    END AS unpaid_90
FROM account
LEFT JOIN owed ON owed.customer_id = account.customer_id AND owed.on_day = account.on_day
