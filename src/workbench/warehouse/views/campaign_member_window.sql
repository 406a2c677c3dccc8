-- What followed within so many days of each member's assignment?
-- Grain: one row a member. Key: customer_id. Parameters: campaign (text), days (integer).
-- Reads the partials assigned_member and customer_day. Bills are monthly: a window of n days takes n / 30 whole months,
-- from the month of assignment where that was its first day, else from the next one. Who has no row in a table has 0.
--
-- customer_id []: Member.
-- revenue [currency]: Bills of the months in the window.
-- complaints [tickets]: Complaints opened in the window.
-- calls_to_us [contacts]: Contacts that the member began in the window, on any channel.
-- events [events]: Detail records in the window.
WITH own AS (
    SELECT
        customer_id, assigned_on,
        CAST(assigned_on + INTERVAL '1' DAY * CAST($days AS INTEGER) AS DATE) AS end_on,
        CASE
            WHEN EXTRACT(DAY FROM assigned_on) = 1 THEN assigned_on
            ELSE CAST(CAST(DATE_TRUNC('month', assigned_on) AS DATE) + INTERVAL '1' MONTH AS DATE)
        END AS month
    FROM assigned_member
    WHERE campaign_id = $campaign
),
paid AS (
    SELECT own.customer_id, SUM(CAST(bill.amount AS DECIMAL(18, 4))) AS amount
    FROM own
    INNER JOIN bill ON bill.customer_id = own.customer_id AND bill.month >= own.month
        AND bill.month < own.month + INTERVAL '1' MONTH * CAST(FLOOR(CAST($days AS DOUBLE) / 30) AS INTEGER)
    GROUP BY own.customer_id
),
complaint AS (
    SELECT own.customer_id, COUNT(*) AS tickets
    FROM own
    INNER JOIN ticket ON ticket.customer_id = own.customer_id
        AND ticket.opened_at >= own.assigned_on AND ticket.opened_at < own.end_on
    WHERE ticket.kind = 'complaint'
    GROUP BY own.customer_id
),
called AS (
    SELECT own.customer_id, COUNT(*) AS contacts
    FROM own
    INNER JOIN contact ON contact.customer_id = own.customer_id
        AND contact.contacted_at >= own.assigned_on AND contact.contacted_at < own.end_on
    WHERE contact.direction = 'in'
    GROUP BY own.customer_id
),
used AS (
    SELECT own.customer_id, SUM(customer_day.events) AS events
    FROM own
    INNER JOIN customer_day ON customer_day.customer_id = own.customer_id
        AND customer_day.day_on >= own.assigned_on AND customer_day.day_on < own.end_on
    GROUP BY own.customer_id
)
SELECT
    own.customer_id,
    CAST(COALESCE(paid.amount, 0) AS DOUBLE) AS revenue,
    CAST(COALESCE(complaint.tickets, 0) AS DOUBLE) AS complaints,
    CAST(COALESCE(called.contacts, 0) AS DOUBLE) AS calls_to_us,
    CAST(COALESCE(used.events, 0) AS DOUBLE) AS events
FROM own
LEFT JOIN paid ON paid.customer_id = own.customer_id
LEFT JOIN complaint ON complaint.customer_id = own.customer_id
LEFT JOIN called ON called.customer_id = own.customer_id
LEFT JOIN used ON used.customer_id = own.customer_id
