-- Which customers do two systems, or two rows of one, say things of that can't both be true?
-- Grain: one row a rule and customer that breaks it. Key: rule, customer_id. Parameters: as_of (date, exclusive).
-- Reads the partial billed_month. A rule of two tables is tried where both have rows. A month of which no bill was
-- delivered is unknown, not unbilled. Prepaid lines and the operator's own staff need no bill.
--
-- rule []: The rule that is broken.
-- customer_id []: Customer.
-- cases [cases]: Months, bills, lines, cases, products or campaigns of the customer that break it.
-- latest_on []: The last of them: its day, or the first day of its month.
WITH life AS (
    SELECT
        customer_id,
        CASE WHEN COUNT(*) = COUNT(ended_on) THEN MAX(ended_on) END AS left_on
    FROM subscription
    GROUP BY customer_id
),
billable AS (
    SELECT DISTINCT line.customer_id, billed_month.month
    FROM subscription AS line
    INNER JOIN customer ON customer.customer_id = line.customer_id AND NOT COALESCE(customer.is_staff, FALSE)
    INNER JOIN billed_month ON line.activated_on <= billed_month.month
        AND (line.ended_on IS NULL OR line.ended_on >= billed_month.month + INTERVAL '1' MONTH - INTERVAL '1' DAY)
    WHERE COALESCE(line.contract, '') <> 'prepaid'
        AND billed_month.month + INTERVAL '1' MONTH <= CAST($as_of AS DATE)
),
billed AS (
    SELECT DISTINCT customer_id, month FROM bill
),
payer AS (
    SELECT customer_id FROM bill
    UNION
    SELECT customer_id FROM payment
),
settled AS (
    SELECT bill_id, SUM(CAST(amount AS DECIMAL(18, 4))) AS amount, MAX(paid_on) AS paid_on
    FROM payment
    WHERE bill_id IS NOT NULL AND paid_on < CAST($as_of AS DATE)
    GROUP BY bill_id
),
record AS (
    SELECT
        customer_id, subscription_id,
        CAST(MIN(started_at) AS DATE) AS first_on,
        CAST(MAX(started_at) AS DATE) AS last_on
    FROM detail_record
    WHERE started_at < CAST($as_of AS DATE)
    GROUP BY customer_id, subscription_id
),
broken AS (
    SELECT 'bill_without_line' AS rule, bill.customer_id, bill.month AS day
    FROM bill
    WHERE bill.issued_on < CAST($as_of AS DATE)
        AND EXISTS (SELECT 1 FROM subscription)
        AND NOT EXISTS (
            SELECT 1 FROM subscription AS line
            WHERE line.customer_id = bill.customer_id
                AND line.activated_on < bill.month + INTERVAL '1' MONTH
                AND (line.ended_on IS NULL OR line.ended_on >= bill.month)
        )
    UNION ALL
    SELECT 'line_without_bill', billable.customer_id, billable.month
    FROM billable
    LEFT JOIN billed ON billed.customer_id = billable.customer_id AND billed.month = billable.month
    WHERE billed.customer_id IS NULL
        AND EXISTS (SELECT 1 FROM payer WHERE payer.customer_id = billable.customer_id)
    UNION ALL
    SELECT 'customer_without_billing', billable.customer_id, billable.month
    FROM billable
    WHERE NOT EXISTS (SELECT 1 FROM payer WHERE payer.customer_id = billable.customer_id)
    UNION ALL
    SELECT 'customer_without_line', customer_id, joined_on
    FROM customer
    WHERE joined_on < CAST($as_of AS DATE)
        AND COALESCE(kind, '') NOT IN ('reseller', 'distributor')
        AND EXISTS (SELECT 1 FROM subscription)
        AND NOT EXISTS (SELECT 1 FROM subscription AS line WHERE line.customer_id = customer.customer_id)
    UNION ALL
    SELECT 'line_before_customer', line.customer_id, line.activated_on
    FROM subscription AS line
    INNER JOIN customer ON customer.customer_id = line.customer_id
    WHERE line.activated_on < customer.joined_on
    UNION ALL
    SELECT 'number_twice', line.customer_id, line.activated_on
    FROM subscription AS line
    WHERE line.activated_on < CAST($as_of AS DATE) AND EXISTS (
        SELECT 1 FROM subscription AS other
        WHERE other.number_key = line.number_key
            AND other.subscription_id <> line.subscription_id
            AND other.activated_on <= COALESCE(line.ended_on, CAST($as_of AS DATE))
            AND line.activated_on <= COALESCE(other.ended_on, CAST($as_of AS DATE))
    )
    UNION ALL
    SELECT 'payment_over_bill', bill.customer_id, settled.paid_on
    FROM bill
    INNER JOIN settled ON settled.bill_id = bill.bill_id
    WHERE settled.amount > CAST(bill.amount AS DECIMAL(18, 4)) AND settled.amount > 0
    UNION ALL
    SELECT 'bill_not_adding_up', customer_id, month
    FROM bill
    WHERE issued_on < CAST($as_of AS DATE)
        AND CAST(recurring + usage_charge - discount - amount AS DECIMAL(18, 2)) <> 0
    UNION ALL
    SELECT 'record_outside_line', record.customer_id, record.last_on
    FROM record
    INNER JOIN subscription AS line ON line.subscription_id = record.subscription_id
    WHERE record.first_on < line.activated_on OR record.last_on > line.ended_on
    UNION ALL
    SELECT 'record_on_another_line', record.customer_id, record.last_on
    FROM record
    INNER JOIN subscription AS line ON line.subscription_id = record.subscription_id
    WHERE record.customer_id <> line.customer_id
    UNION ALL
    SELECT 'usage_outside_line', used.customer_id, used.month
    FROM usage_month AS used
    INNER JOIN subscription AS line ON line.subscription_id = used.subscription_id
    WHERE used.month < CAST($as_of AS DATE)
        AND (used.month + INTERVAL '1' MONTH <= line.activated_on OR used.month > line.ended_on)
    UNION ALL
    SELECT 'ticket_closed_early', customer_id, CAST(opened_at AS DATE)
    FROM ticket
    WHERE opened_at < CAST($as_of AS DATE) AND closed_at < opened_at
    UNION ALL
    SELECT 'product_after_leaving', held.customer_id, held.from_on
    FROM holding AS held
    INNER JOIN life ON life.customer_id = held.customer_id
    WHERE life.left_on < CAST($as_of AS DATE) AND (held.to_on IS NULL OR held.to_on > life.left_on)
    UNION ALL
    SELECT 'campaign_after_leaving', member.customer_id, member.assigned_on
    FROM campaign_member AS member
    INNER JOIN life ON life.customer_id = member.customer_id
    WHERE member.contacted AND member.assigned_on > life.left_on AND member.assigned_on < CAST($as_of AS DATE)
)
SELECT rule, customer_id, COUNT(*) AS cases, MAX(day) AS latest_on
FROM broken
GROUP BY rule, customer_id
