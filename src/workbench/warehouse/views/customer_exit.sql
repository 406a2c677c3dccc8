-- When and why did customers leave, or fall silent?
-- Grain: one row a customer and departure. Key: customer_id, last_on.
-- Parameters: as_of (date, exclusive), silent_days (31 or more: days without use after which a prepaid customer has
-- left; a gap within one calendar month is none).
-- A customer has left when the last of their lines has ended; why is why that ended, non-payment first where several
-- end on one day. Who has prepaid lines alone has also left when they had no event for silent_days days: with the last
-- of those days, so that it is known then; with their next event they are back.
--
-- customer_id []: Customer.
-- last_on []: Last day as a customer.
-- back_on []: Day of the next event of who fell silent; missing where there is none, and where lines ended.
-- cause []: port_out, disconnect, non_payment, silent; unknown where no reason is recorded.
WITH line AS (
    SELECT
        customer_id, contract, activated_on,
        CASE WHEN ended_on < CAST($as_of AS DATE) THEN ended_on END AS ended_on,
        CASE WHEN ended_on < CAST($as_of AS DATE) THEN end_reason END AS end_reason
    FROM subscription
    WHERE activated_on < CAST($as_of AS DATE)
),
life AS (
    SELECT customer_id, CASE WHEN COUNT(*) = COUNT(ended_on) THEN MAX(ended_on) END AS last_on
    FROM line
    GROUP BY customer_id
),
ended AS (
    SELECT
        life.customer_id, life.last_on,
        COALESCE(
            MAX(CASE WHEN line.end_reason = 'non_payment' THEN line.end_reason END), MAX(line.end_reason), 'unknown'
        ) AS cause
    FROM life
    INNER JOIN line ON line.customer_id = life.customer_id AND line.ended_on = life.last_on
    GROUP BY life.customer_id, life.last_on
),
month_used AS (
    SELECT
        customer_id, last_on, nth,
        LEAD(nth) OVER (PARTITION BY customer_id ORDER BY nth) AS next_nth
    FROM customer_month
    WHERE last_on < CAST($as_of AS DATE)
),
quiet AS (
    SELECT month_used.customer_id, month_used.last_on, MIN(customer_day.day_on) AS back_on
    FROM month_used
    LEFT JOIN customer_day
        ON customer_day.customer_id = month_used.customer_id AND customer_day.nth = month_used.next_nth
        AND customer_day.day_on < CAST($as_of AS DATE)
    WHERE month_used.next_nth IS NULL OR month_used.next_nth > month_used.nth + 1
        OR month_used.last_on + CAST($silent_days AS INTEGER) * INTERVAL '1' DAY
        < CAST(DATE_TRUNC('month', month_used.last_on) AS DATE) + INTERVAL '2' MONTH
    GROUP BY month_used.customer_id, month_used.last_on
),
fell AS (
    SELECT
        customer_id, back_on,
        CAST(last_on + CAST($silent_days AS INTEGER) * INTERVAL '1' DAY AS DATE) AS last_on
    FROM quiet
),
silent AS (
    SELECT fell.customer_id, fell.last_on, fell.back_on
    FROM fell
    INNER JOIN line
        ON line.customer_id = fell.customer_id AND line.activated_on <= fell.last_on
        AND (line.ended_on IS NULL OR line.ended_on > fell.last_on)
    WHERE fell.last_on < CAST($as_of AS DATE) AND (fell.back_on IS NULL OR fell.back_on > fell.last_on)
    GROUP BY fell.customer_id, fell.last_on, fell.back_on
    HAVING COUNT(*) = COUNT(CASE WHEN line.contract = 'prepaid' THEN 1 END)
)
SELECT customer_id, last_on, CAST(NULL AS DATE) AS back_on, cause
FROM ended
UNION ALL
SELECT customer_id, last_on, back_on, 'silent' AS cause
FROM silent
