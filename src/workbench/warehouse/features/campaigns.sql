-- How often did a campaign reach the customer?
-- Grain: one row a customer who joined before as_of. Parameters: as_of (date, exclusive).
-- Dated by the day of assignment, else by the campaign's first day. Members not contacted (the control arm)
-- don't count.
--
-- campaigns_180d [campaigns]: Campaigns of the last 180 days that contacted the customer.
WITH reached AS (
    SELECT campaign_member.customer_id, COUNT(*) AS campaigns
    FROM campaign_member
    INNER JOIN campaign ON campaign.campaign_id = campaign_member.campaign_id
    WHERE campaign_member.contacted
        AND COALESCE(campaign_member.assigned_on, campaign.starts_on) >= CAST($as_of AS DATE) - INTERVAL '180' DAY
        AND COALESCE(campaign_member.assigned_on, campaign.starts_on) < CAST($as_of AS DATE)
    GROUP BY campaign_member.customer_id
),
known AS (
    SELECT CASE WHEN COUNT(*) > 0 THEN 0 END AS zero FROM campaign_member
)
SELECT
    customer.customer_id,
    CAST(COALESCE(reached.campaigns, known.zero) AS DOUBLE) AS campaigns_180d
FROM customer
CROSS JOIN known
LEFT JOIN reached ON reached.customer_id = customer.customer_id
WHERE customer.joined_on < CAST($as_of AS DATE)
