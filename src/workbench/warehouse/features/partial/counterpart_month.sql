-- With which other numbers did each customer have to do in each month? A partial that the warehouse stores by month.
-- Grain: one row a customer, other number and month. Key: customer_id, counterpart_key, nth. Parameters: none.
-- First and last day tell whether a window that begins or ends within the month holds any of its days.
SELECT
    customer_id, counterpart_key,
    CAST(EXTRACT(YEAR FROM started_at) * 12 + EXTRACT(MONTH FROM started_at) AS INTEGER) AS nth,
    MIN(CAST(started_at AS DATE)) AS first_on,
    MAX(CAST(started_at AS DATE)) AS last_on
FROM detail_record
WHERE counterpart_key IS NOT NULL
GROUP BY
    customer_id,
    counterpart_key,
    CAST(EXTRACT(YEAR FROM started_at) * 12 + EXTRACT(MONTH FROM started_at) AS INTEGER)
