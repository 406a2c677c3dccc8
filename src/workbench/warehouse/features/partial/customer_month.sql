-- What did each customer do in each month? A partial that the warehouse stores by month.
-- Grain: one row a customer and month with at least one event. Key: customer_id, nth. Parameters: none.
-- Reads the partial customer_day. nth is year * 12 + month.
SELECT
    customer_id, nth,
    CAST(COUNT(*) AS INTEGER) AS active_days,
    MAX(day_on) AS last_on,
    CAST(SUM(events) AS INTEGER) AS events,
    CAST(SUM(night) AS INTEGER) AS night,
    CAST(SUM(weekend) AS INTEGER) AS weekend,
    CAST(SUM(on_net) AS INTEGER) AS on_net,
    CAST(SUM(net_known) AS INTEGER) AS net_known,
    CAST(SUM(roaming) AS INTEGER) AS roaming,
    CAST(SUM(international) AS INTEGER) AS international
FROM customer_day
GROUP BY customer_id, nth
