-- Which outcomes and covariates does a campaign have?
-- Grain: one row an outcome or covariate. Key: kind, name. Parameters: campaign (text).
-- Reads campaign_member_value.
--
-- kind []: outcomes or covariates.
-- name []: Name of the outcome or covariate.
-- members [members]: Members who carry it.
SELECT kind, name, COUNT(*) AS members
FROM campaign_member_value
WHERE campaign_id = $campaign
GROUP BY kind, name
