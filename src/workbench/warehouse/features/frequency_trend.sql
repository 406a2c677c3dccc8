-- Does the customer use us more, or less, from month to month?
-- Grain: one row a customer who joined before as_of. Parameters: as_of (date, exclusive).
-- Reads the feature file activity. The months are the last 6 full ones before as_of that begin on or after the day
-- of joining and for which usage_month holds any row; a customer without a row in such a month was active on 0 days.
-- The slope is the median over all pairs of months of (difference of active days) / (months between), which one odd
-- month can't move. The median is taken by position: percentile_cont is approximate on Spark.
--
-- frequency_trend [share/month]: Theil-Sen slope of monthly active days (added up over lines) divided by their mean;
--     0.10 is a rise by a tenth of the mean every month. Missing with fewer than 3 months or none active.
-- frequency_state []: lost: no event in the last 90 days; silent: none in the last 30; otherwise rising if
--     frequency_trend is above 0.10, falling if below -0.10, stable between. Customers of under 90 (30) days are not
--     yet called lost (silent). Missing where no rule decides; without detail records the trend alone decides.
WITH observed AS (
    SELECT DISTINCT
        month,
        CAST(EXTRACT(YEAR FROM month) * 12 + EXTRACT(MONTH FROM month) AS INTEGER) AS nth
    FROM usage_month
    WHERE EXTRACT(YEAR FROM month) * 12 + EXTRACT(MONTH FROM month)
        BETWEEN EXTRACT(YEAR FROM CAST($as_of AS DATE)) * 12 + EXTRACT(MONTH FROM CAST($as_of AS DATE)) - 6
        AND EXTRACT(YEAR FROM CAST($as_of AS DATE)) * 12 + EXTRACT(MONTH FROM CAST($as_of AS DATE)) - 1
),
used AS (
    SELECT customer_id, month, SUM(active_days) AS days
    FROM usage_month
    GROUP BY customer_id, month
),
life_month AS (
    SELECT customer.customer_id, observed.nth, CAST(COALESCE(used.days, 0) AS DOUBLE) AS days
    FROM customer
    INNER JOIN observed ON observed.month >= customer.joined_on
    LEFT JOIN used ON used.customer_id = customer.customer_id AND used.month = observed.month
),
level AS (
    SELECT customer_id, AVG(days) AS mean_days
    FROM life_month
    GROUP BY customer_id
    HAVING COUNT(*) >= 3
),
pair AS (
    SELECT
        earlier.customer_id, earlier.nth AS from_nth, later.nth AS to_nth,
        (later.days - earlier.days) / CAST(later.nth - earlier.nth AS DOUBLE) AS slope
    FROM life_month AS earlier
    INNER JOIN life_month AS later ON later.customer_id = earlier.customer_id AND later.nth > earlier.nth
),
ranked AS (
    SELECT
        customer_id, slope,
        ROW_NUMBER() OVER (
            PARTITION BY customer_id
            ORDER BY slope ASC NULLS LAST, from_nth ASC NULLS LAST, to_nth ASC NULLS LAST
        ) AS place,
        COUNT(*) OVER (PARTITION BY customer_id) AS pairs
    FROM pair
),
median AS (
    SELECT customer_id, AVG(slope) AS slope
    FROM ranked
    WHERE 2 * place BETWEEN pairs AND pairs + 2
    GROUP BY customer_id
),
trend AS (
    SELECT level.customer_id, median.slope / NULLIF(level.mean_days, 0) AS frequency_trend
    FROM level
    INNER JOIN median ON median.customer_id = level.customer_id
)
SELECT
    customer.customer_id, trend.frequency_trend,
    CASE
        WHEN activity.frequency = 0
            AND customer.joined_on <= CAST($as_of AS DATE) - INTERVAL '90' DAY THEN 'lost'
        WHEN activity.frequency IS NOT NULL AND COALESCE(activity.recency_days, 91) > 30
            AND customer.joined_on <= CAST($as_of AS DATE) - INTERVAL '30' DAY THEN 'silent'
        WHEN trend.frequency_trend > 0.10 THEN 'rising'
        WHEN trend.frequency_trend < -0.10 THEN 'falling'
        WHEN trend.frequency_trend IS NOT NULL THEN 'stable'
    END AS frequency_state
FROM customer
LEFT JOIN activity ON activity.customer_id = customer.customer_id
LEFT JOIN trend ON trend.customer_id = customer.customer_id
WHERE customer.joined_on < CAST($as_of AS DATE)
