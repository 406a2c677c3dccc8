-- How recently, and on how many days, did the customer use the network?
-- Grain: one row a customer who joined before as_of. Parameters: as_of (date, exclusive).
-- Reads the partials recent_use, customer_month and customer_day. Any event counts, outgoing or incoming.
--
-- recency_days [days]: Days from the last event on record to as_of; 1 is the day before. Missing without an event.
-- frequency [days]: Days with at least one event in the last 90 days.
WITH begun AS (
    SELECT EXTRACT(YEAR FROM start_on) * 12 + EXTRACT(MONTH FROM start_on) AS nth
    FROM (SELECT CAST(CAST($as_of AS DATE) - INTERVAL '90' DAY AS DATE) AS start_on) AS given
),
earlier AS (
    SELECT customer_id, MAX(last_on) AS last_on
    FROM (
        SELECT customer_id, last_on
        FROM customer_month
        WHERE nth < (SELECT nth FROM begun)
        UNION ALL
        SELECT customer_id, day_on AS last_on
        FROM customer_day
        WHERE nth = (SELECT nth FROM begun) AND day_on < CAST($as_of AS DATE) - INTERVAL '90' DAY
    ) AS past
    GROUP BY customer_id
),
known AS (
    SELECT CASE WHEN COUNT(*) > 0 THEN 0 END AS zero FROM detail_record
)
SELECT
    customer.customer_id,
    CAST(DATE_DIFF(
        'day',
        COALESCE(recent_use.last_on, earlier.last_on),
        CAST($as_of AS DATE)
    ) AS DOUBLE) AS recency_days,
    CAST(COALESCE(recent_use.active_days, known.zero) AS DOUBLE) AS frequency
FROM customer
CROSS JOIN known
LEFT JOIN earlier ON earlier.customer_id = customer.customer_id
LEFT JOIN recent_use ON recent_use.customer_id = customer.customer_id
WHERE customer.joined_on < CAST($as_of AS DATE)
