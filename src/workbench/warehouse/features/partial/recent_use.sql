-- What did each customer do in the last 90 days, in days and events? A partial that several files read.
-- Grain: one row a customer with at least one event. Parameters: as_of (date, exclusive).
-- Reads the partials customer_day and customer_month: the months that lie in the window as a whole come by month, the
-- days of the months in which it begins and ends by day.
WITH edge AS (
    SELECT
        EXTRACT(YEAR FROM before_on) * 12 + EXTRACT(MONTH FROM before_on) AS first_nth,
        EXTRACT(YEAR FROM end_on) * 12 + EXTRACT(MONTH FROM end_on) AS last_nth
    FROM (
        SELECT
            CAST(CAST($as_of AS DATE) - INTERVAL '91' DAY AS DATE) AS before_on,
            CAST($as_of AS DATE) AS end_on
    ) AS given
),
part AS (
    SELECT
        customer_id, active_days, last_on, events, night, weekend, on_net, net_known, roaming,
        international
    FROM customer_month
    WHERE nth > (SELECT first_nth FROM edge) AND nth < (SELECT last_nth FROM edge)
    UNION ALL
    SELECT
        customer_id, 1 AS active_days, day_on AS last_on, events, night, weekend, on_net, net_known, roaming,
        international
    FROM customer_day
    WHERE day_on >= CAST($as_of AS DATE) - INTERVAL '90' DAY AND nth <= (SELECT first_nth FROM edge)
    UNION ALL
    SELECT
        customer_id, 1 AS active_days, day_on AS last_on, events, night, weekend, on_net, net_known, roaming,
        international
    FROM customer_day
    WHERE day_on < CAST($as_of AS DATE) AND nth >= (SELECT last_nth FROM edge)
)
SELECT
    customer_id,
    MAX(last_on) AS last_on,
    SUM(active_days) AS active_days,
    CAST(SUM(events) AS DOUBLE) AS events,
    CAST(SUM(night) AS DOUBLE) AS night,
    CAST(SUM(weekend) AS DOUBLE) AS weekend,
    CAST(SUM(on_net) AS DOUBLE) AS on_net,
    CAST(SUM(net_known) AS DOUBLE) AS net_known,
    CAST(SUM(roaming) AS DOUBLE) AS roaming,
    CAST(SUM(international) AS DOUBLE) AS international
FROM part
GROUP BY customer_id
