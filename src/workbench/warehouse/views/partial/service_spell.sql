-- From when to when has each customer held which service? A partial that several views read.
-- Grain: one row a line, or a product added to one, that began before as_of. Order: customer_id, service, from_on, to_on.
-- Parameters: as_of (date, exclusive).
-- service is the product, or the kind of line; to_on is the last day.
SELECT customer_id, product_id AS service, from_on, to_on
FROM holding
WHERE from_on < CAST($as_of AS DATE)
UNION ALL
SELECT customer_id, service, activated_on AS from_on, ended_on AS to_on
FROM subscription
WHERE activated_on < CAST($as_of AS DATE)
