-- Since when, and in which arm, is each customer in a campaign? A partial that several views read.
-- Grain: one row a member of a campaign. Key: campaign_id, customer_id. Parameters: none.
-- Assigned on the member's own day, else on the campaign's first.
SELECT
    campaign_member.campaign_id, campaign_member.customer_id, campaign_member.arm, campaign_member.contacted,
    campaign.assignment,
    CAST(COALESCE(campaign_member.assigned_on, campaign.starts_on) AS DATE) AS assigned_on
FROM campaign_member
INNER JOIN campaign ON campaign.campaign_id = campaign_member.campaign_id
