-- What does the customer owe past its due day, and for how long?
-- Grain: one row a customer who joined before as_of. Parameters: as_of (date, exclusive).
-- A bill is overdue if it was issued before as_of, due on a day before as_of, and the payments for it (by bill_id)
-- made before as_of don't cover it. Days past due run from the due day to as_of, so the least is 1. Each bill stands
-- alone: a credit note or an overpaid bill doesn't lower what is open on another, and top-ups settle no bill.
-- Where no payment on record settles a bill, payments were not delivered, and nothing is known of arrears.
--
-- arrears [currency]: Open amount of all overdue bills.
-- arrears_days [days]: Days past due of the oldest overdue bill; missing without one.
-- arrears_0_10 [currency]: Open amount of bills at most 10 days past due.
-- arrears_11_20 [currency]: Open amount of bills 11 to 20 days past due.
-- arrears_21_30 [currency]: Open amount of bills 21 to 30 days past due.
-- arrears_31_60 [currency]: Open amount of bills 31 to 60 days past due.
-- arrears_61_90 [currency]: Open amount of bills 61 to 90 days past due.
-- arrears_90_plus [currency]: Open amount of bills more than 90 days past due.
WITH paid AS (
    SELECT bill_id, SUM(CAST(amount AS DECIMAL(18, 4))) AS amount
    FROM payment
    WHERE paid_on < CAST($as_of AS DATE) AND bill_id IS NOT NULL
    GROUP BY bill_id
),
due AS (
    SELECT
        bill.customer_id,
        DATE_DIFF('day', bill.due_on, CAST($as_of AS DATE)) AS days,
        CAST(bill.amount AS DECIMAL(18, 4)) - COALESCE(paid.amount, 0) AS open_amount
    FROM bill
    LEFT JOIN paid ON paid.bill_id = bill.bill_id
    WHERE bill.issued_on < CAST($as_of AS DATE) AND bill.due_on < CAST($as_of AS DATE)
),
settled AS (
    SELECT COUNT(bill_id) AS payments FROM payment
),
overdue AS (
    SELECT
        customer_id,
        SUM(open_amount) AS total,
        MAX(days) AS oldest,
        SUM(open_amount) FILTER (WHERE days <= 10) AS to_10,
        SUM(open_amount) FILTER (WHERE days BETWEEN 11 AND 20) AS to_20,
        SUM(open_amount) FILTER (WHERE days BETWEEN 21 AND 30) AS to_30,
        SUM(open_amount) FILTER (WHERE days BETWEEN 31 AND 60) AS to_60,
        SUM(open_amount) FILTER (WHERE days BETWEEN 61 AND 90) AS to_90,
        SUM(open_amount) FILTER (WHERE days > 90) AS beyond
    FROM due
    WHERE open_amount > 0 AND (SELECT payments FROM settled) > 0
    GROUP BY customer_id
),
known AS (
    SELECT CASE WHEN COUNT(*) > 0 THEN 0 END AS zero
    FROM bill
    WHERE (SELECT payments FROM settled) > 0
)
SELECT
    customer.customer_id,
    CAST(COALESCE(overdue.total, known.zero) AS DOUBLE) AS arrears,
    CAST(overdue.oldest AS DOUBLE) AS arrears_days,
    CAST(COALESCE(overdue.to_10, known.zero) AS DOUBLE) AS arrears_0_10,
    CAST(COALESCE(overdue.to_20, known.zero) AS DOUBLE) AS arrears_11_20,
    CAST(COALESCE(overdue.to_30, known.zero) AS DOUBLE) AS arrears_21_30,
    CAST(COALESCE(overdue.to_60, known.zero) AS DOUBLE) AS arrears_31_60,
    CAST(COALESCE(overdue.to_90, known.zero) AS DOUBLE) AS arrears_61_90,
    CAST(COALESCE(overdue.beyond, known.zero) AS DOUBLE) AS arrears_90_plus
FROM customer
CROSS JOIN known
LEFT JOIN overdue ON overdue.customer_id = customer.customer_id
WHERE customer.joined_on < CAST($as_of AS DATE)
