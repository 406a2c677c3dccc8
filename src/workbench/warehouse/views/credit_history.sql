-- How did each customer pay until a day, and were they 60 days past due within three months of it?
-- Grain: one row a customer with a bill due before day who had not left by then. Key: customer_id.
-- Parameters: day (date: facts are those before it), as_of (date, exclusive: outcomes are those before it).
-- Reads the view bill_history. A bill is late if it was not paid in full by its due day; days late run to the day of
-- payment, or to day.
--
-- customer_id []: Customer.
-- arrears [currency]: Open amount of bills overdue on day.
-- arrears_days [days]: Days past due of the oldest of them on day; 0 without one.
-- bills_12m [bills]: Bills due within the 12 months before day.
-- late_share [share]: Share of them paid late or not; missing without one.
-- days_late_max [days]: Most days late among them.
-- days_late_last [days]: Days late of the last bill due.
-- tenure_months [months]: Months from joining to day.
-- billed_total [currency]: Billed in all before day.
-- bill_mean [currency]: Mean of the bills due within the 12 months.
-- late_60 []: Whether a bill came to be 60 days past due within three months from day on; missing where these are not over
--     by as_of.
WITH bills AS (
    SELECT
        customer_id, bill_id, due_on, amount,
        CASE WHEN paid_on < CAST($day AS DATE) THEN paid_on END AS covered_on,
        CASE
            WHEN due_on + INTERVAL '60' DAY >= CAST($day AS DATE)
                AND due_on + INTERVAL '60' DAY < CAST($day AS DATE) + INTERVAL '3' MONTH
                AND (paid_on IS NULL OR paid_on > due_on + INTERVAL '60' DAY) THEN 1
            ELSE 0
        END AS worse
    FROM bill_history
    WHERE left_on IS NULL OR left_on >= CAST($day AS DATE)
),
part AS (
    SELECT bill_id, SUM(CAST(amount AS DECIMAL(18, 4))) AS amount, MAX(paid_on) AS last_on
    FROM payment
    WHERE paid_on < CAST($day AS DATE) AND bill_id IS NOT NULL
    GROUP BY bill_id
),
settled AS (
    SELECT
        bills.*,
        CAST(bills.amount AS DECIMAL(18, 4)) - COALESCE(part.amount, 0) AS open_amount,
        CASE
            WHEN CAST(bills.amount AS DECIMAL(18, 4)) <= part.amount THEN COALESCE(bills.covered_on, part.last_on)
        END AS paid_on
    FROM bills
    LEFT JOIN part ON part.bill_id = bills.bill_id
),
told AS (
    SELECT
        settled.*,
        CASE WHEN settled.due_on < CAST($day AS DATE) THEN 1 ELSE 0 END AS due,
        CASE
            WHEN settled.due_on < CAST($day AS DATE) AND settled.due_on >= CAST($day AS DATE) - INTERVAL '12' MONTH THEN 1
            ELSE 0
        END AS recent,
        DATE_DIFF('day', settled.due_on, COALESCE(settled.paid_on, CAST($day AS DATE))) AS days_late
    FROM settled
),
known AS (
    SELECT
        customer_id,
        SUM(CASE WHEN due = 1 AND paid_on IS NULL THEN open_amount ELSE 0 END) AS arrears,
        MAX(CASE WHEN due = 1 AND paid_on IS NULL THEN days_late ELSE 0 END) AS arrears_days,
        SUM(recent) AS bills_12m,
        SUM(CASE WHEN recent = 1 AND days_late > 0 THEN 1 ELSE 0 END) AS late_12m,
        MAX(CASE WHEN recent = 1 AND days_late > 0 THEN days_late ELSE 0 END) AS days_late_max,
        MAX(CASE WHEN due = 1 THEN due_on END) AS last_due,
        SUM(CASE WHEN due = 1 THEN CAST(amount AS DECIMAL(18, 4)) ELSE 0 END) AS billed,
        SUM(CASE WHEN recent = 1 THEN CAST(amount AS DECIMAL(18, 4)) ELSE 0 END) AS billed_12m,
        MAX(worse) AS worse
    FROM told
    GROUP BY customer_id
)
SELECT
    known.customer_id,
    CAST(known.arrears AS DOUBLE) AS arrears,
    CAST(known.arrears_days AS DOUBLE) AS arrears_days,
    CAST(known.bills_12m AS DOUBLE) AS bills_12m,
    CAST(known.late_12m AS DOUBLE) / NULLIF(CAST(known.bills_12m AS DOUBLE), 0) AS late_share,
    CAST(known.days_late_max AS DOUBLE) AS days_late_max,
    CAST(last_bill.days_late AS DOUBLE) AS days_late_last,
    CAST(DATE_DIFF('day', customer.joined_on, CAST($day AS DATE)) AS DOUBLE) / CAST(30.4375 AS DOUBLE) AS tenure_months,
    CAST(known.billed AS DOUBLE) AS billed_total,
    CAST(known.billed_12m AS DOUBLE) / NULLIF(CAST(known.bills_12m AS DOUBLE), 0) AS bill_mean,
    CASE WHEN CAST($day AS DATE) + INTERVAL '3' MONTH <= CAST($as_of AS DATE) THEN known.worse = 1 END AS late_60
FROM known
INNER JOIN customer ON customer.customer_id = known.customer_id
INNER JOIN (
    SELECT customer_id, due_on, MAX(CASE WHEN days_late > 0 THEN days_late ELSE 0 END) AS days_late
    FROM told
    GROUP BY customer_id, due_on
) AS last_bill ON last_bill.customer_id = known.customer_id AND last_bill.due_on = known.last_due
WHERE known.last_due IS NOT NULL
