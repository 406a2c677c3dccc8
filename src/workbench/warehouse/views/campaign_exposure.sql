-- What else reached each member of a campaign, before and after their assignment?
-- Grain: one row a member. Key: customer_id. Parameters: campaign (text), days (integer).
-- Reads the partial assigned_member. Counted are other campaigns whose day of assignment lies at most `days` days from
-- the member's own. Given offers_before, contacts_before is random where randomised is true.
--
-- customer_id []: Member.
-- offers_before [campaigns]: Other campaigns before whose lists held the member, in any arm.
-- contacts_before [campaigns]: Of these, those that reached them.
-- offers_during [campaigns]: Other campaigns on the day of assignment or later whose lists held the member.
-- contacts_during [campaigns]: Of these, those that reached them.
-- randomised []: Whether chance alone decided which of the offers before reached them.
WITH other AS (
    SELECT
        own.customer_id, assigned_member.assignment,
        CASE WHEN assigned_member.assigned_on < own.assigned_on THEN 1 ELSE 0 END AS earlier,
        CASE WHEN assigned_member.contacted AND assigned_member.arm <> 'control' THEN 1 ELSE 0 END AS reached
    FROM assigned_member AS own
    INNER JOIN assigned_member ON assigned_member.customer_id = own.customer_id
    WHERE own.campaign_id = $campaign
        AND assigned_member.campaign_id <> $campaign
        AND assigned_member.assigned_on >= own.assigned_on - INTERVAL '1' DAY * CAST($days AS INTEGER)
        AND assigned_member.assigned_on <= own.assigned_on + INTERVAL '1' DAY * CAST($days AS INTEGER)
)
SELECT
    assigned_member.customer_id,
    COUNT(*) FILTER (WHERE other.earlier = 1) AS offers_before,
    COUNT(*) FILTER (WHERE other.earlier = 1 AND other.reached = 1) AS contacts_before,
    COUNT(*) FILTER (WHERE other.earlier = 0) AS offers_during,
    COUNT(*) FILTER (WHERE other.earlier = 0 AND other.reached = 1) AS contacts_during,
    COUNT(*) FILTER (WHERE other.earlier = 1 AND other.assignment <> 'randomised') = 0 AS randomised
FROM assigned_member
LEFT JOIN other ON other.customer_id = assigned_member.customer_id
WHERE assigned_member.campaign_id = $campaign
GROUP BY assigned_member.customer_id
