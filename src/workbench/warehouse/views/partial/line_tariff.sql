-- Which tariff does each line have, and which line is the customer's main one? A partial.
-- Grain: one row a line that runs. Key: subscription_id. Parameters: as_of (date, exclusive).
-- nth is 1 for the main line: the oldest one that runs, mobile before others. tariff is the tariff's name, or its number
-- where there is no list of tariffs.
SELECT
    subscription.subscription_id, subscription.customer_id, subscription.service, subscription.contract,
    subscription.activated_on, COALESCE(tariff.name, subscription.tariff_id) AS tariff, tariff.monthly_fee,
    ROW_NUMBER() OVER (
        PARTITION BY subscription.customer_id
        ORDER BY CASE WHEN subscription.service = 'mobile' THEN 0 ELSE 1 END NULLS LAST,
            subscription.activated_on NULLS LAST, subscription.subscription_id NULLS LAST
    ) AS nth
FROM subscription
LEFT JOIN tariff ON tariff.tariff_id = subscription.tariff_id
WHERE subscription.activated_on < CAST($as_of AS DATE)
    AND (subscription.ended_on IS NULL OR subscription.ended_on >= CAST($as_of AS DATE))
