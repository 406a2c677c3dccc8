-- Which services did each customer hold on a day, and which did they take up since?
-- Grain: one row a customer and service held or taken up. Key: customer_id, service.
-- Parameters: day (date), as_of (date, exclusive).
-- Reads the partial service_spell. What is held on the day is not taken up, even where it ends and begins again.
--
-- customer_id []: Customer.
-- service []: Product, or kind of line.
-- held []: True if held on the day, false if taken up on it or later, before as_of.
SELECT customer_id, service, SUM(holds) > 0 AS held
FROM (
    SELECT customer_id, service, CASE WHEN from_on < CAST($day AS DATE) THEN 1 ELSE 0 END AS holds
    FROM service_spell
    WHERE from_on >= CAST($day AS DATE) OR to_on IS NULL OR to_on >= CAST($day AS DATE)
) AS spell
GROUP BY customer_id, service
