-- Which provinces did a campaign cover as a whole?
-- Grain: one row a campaign and province. Key: campaign_id, province. Parameters: none.
-- The long twin of the list in campaign.provinces.
--
-- campaign_id []: Campaign.
-- province []: Province in which everybody was covered.
SELECT DISTINCT campaign_id, TRIM(part) AS province
FROM (
    SELECT campaign_id, UNNEST(STRING_SPLIT(provinces, ';')) AS part
    FROM campaign
) AS unfolded
