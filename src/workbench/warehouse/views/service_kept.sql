-- How long are services kept?
-- Grain: one row a spell of a service that began in the last 24 months and since the first end on record.
-- Order: service, customer_id, from_on, months. Parameters: as_of (date, exclusive).
-- Reads the partial service_spell. Before the first end on record nobody could be seen to leave.
--
-- service []: Product, or kind of line.
-- customer_id []: Customer.
-- from_on []: First day.
-- months [months]: From the first day to the last, or to as_of.
-- ended []: True if it ended before as_of.
WITH seen AS (
    SELECT
        customer_id, service, from_on,
        CASE WHEN to_on < CAST($as_of AS DATE) THEN to_on END AS ended_on
    FROM service_spell
)
SELECT
    service, customer_id, from_on,
    CAST(DATE_DIFF('day', from_on, COALESCE(ended_on, CAST($as_of AS DATE))) AS DOUBLE)
    / CAST(30.4375 AS DOUBLE) AS months,
    ended_on IS NOT NULL AS ended
FROM seen
WHERE from_on >= GREATEST(
    (SELECT MIN(ended_on) FROM seen), CAST(CAST($as_of AS DATE) - INTERVAL '24' MONTH AS DATE)
)
