-- When was each bill paid in full, and when had its customer left?
-- Grain: one row a bill above 0 that was due before as_of. Key: customer_id, bill_id.
-- Parameters: as_of (date, exclusive).
-- Reads the partial line_life. Payments are those for the bill (by bill_id) made before as_of; a credit note or an
-- overpaid bill settles no other, and a payment that was taken back settles nothing. A customer has left when the last
-- of their lines had ended before as_of. No row where no payment on record settles a bill: payments were not delivered
-- then, and nothing is known of arrears.
--
-- customer_id []: Customer.
-- bill_id []: Bill.
-- due_on []: Day by which it is to be paid; missing where it lies before the day of issue.
-- amount [currency]: Billed.
-- paid [currency]: Paid on it before as_of.
-- paid_on []: Day from which on payments cover it; missing while it is open.
-- left_on []: Last day of the customer's last line; missing while one runs.
-- written_off []: Whether the last line ended for non-payment; missing while one runs.
WITH so_far AS (
    SELECT
        payment_id, bill_id, paid_on,
        CAST(amount AS DECIMAL(18, 4)) AS amount,
        SUM(CAST(amount AS DECIMAL(18, 4))) OVER (
            PARTITION BY bill_id ORDER BY paid_on NULLS LAST, payment_id NULLS LAST
        ) AS total
    FROM payment
    WHERE paid_on < CAST($as_of AS DATE) AND bill_id IS NOT NULL
),
lasting AS (
    SELECT
        bill_id, paid_on, amount,
        MIN(total) OVER (
            PARTITION BY bill_id ORDER BY paid_on NULLS LAST, payment_id NULLS LAST
            ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS total
    FROM so_far
),
paid AS (
    SELECT
        bill.bill_id,
        SUM(lasting.amount) AS amount,
        MIN(CASE WHEN lasting.total >= CAST(bill.amount AS DECIMAL(18, 4)) THEN lasting.paid_on END) AS paid_on
    FROM bill
    INNER JOIN lasting ON lasting.bill_id = bill.bill_id
    GROUP BY bill.bill_id
),
gone AS (
    SELECT
        line_life.customer_id, line_life.left_on,
        MAX(CASE WHEN line.end_reason = 'non_payment' AND line.ended_on = line_life.left_on THEN 1 ELSE 0 END) AS unpaid
    FROM line_life
    INNER JOIN subscription AS line ON line.customer_id = line_life.customer_id
    WHERE line_life.left_on IS NOT NULL
    GROUP BY line_life.customer_id, line_life.left_on
)
SELECT
    bill.customer_id, bill.bill_id,
    CASE WHEN bill.due_on >= bill.issued_on THEN bill.due_on END AS due_on,
    bill.amount,
    CAST(COALESCE(paid.amount, 0) AS DOUBLE) AS paid,
    paid.paid_on, gone.left_on,
    CASE WHEN gone.left_on IS NOT NULL THEN gone.unpaid = 1 END AS written_off
FROM bill
LEFT JOIN paid ON paid.bill_id = bill.bill_id
LEFT JOIN gone ON gone.customer_id = bill.customer_id
WHERE bill.amount > 0 AND bill.due_on < CAST($as_of AS DATE)
    AND bill.issued_on < CAST($as_of AS DATE)
    AND (SELECT COUNT(bill_id) FROM payment) > 0
