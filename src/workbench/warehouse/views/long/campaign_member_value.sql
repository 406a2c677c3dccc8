-- Which outcomes and covariates does each member of a campaign carry?
-- Grain: one row a member of a campaign, map and name. Key: campaign_id, customer_id, kind, name. Parameters: none.
-- The long twin of the maps of campaign_member.
--
-- campaign_id []: Campaign.
-- customer_id []: Member.
-- kind []: The map that holds it: outcomes or covariates.
-- name []: Name of the outcome or covariate.
-- value [as named]: An outcome; a covariate as a number, missing where its text is none.
-- text []: A covariate as it was delivered; missing for an outcome.
SELECT
    campaign_id, customer_id,
    'outcomes' AS kind,
    entry.key AS name, entry.value AS value,
    NULL AS text
FROM (
    SELECT campaign_id, customer_id, UNNEST(MAP_ENTRIES(outcomes)) AS entry
    FROM campaign_member
) AS unfolded
UNION ALL
SELECT
    campaign_id, customer_id,
    'covariates' AS kind,
    entry.key AS name,
    TRY_CAST(entry.value AS DOUBLE) AS value,
    entry.value AS text
FROM (
    SELECT campaign_id, customer_id, UNNEST(MAP_ENTRIES(covariates)) AS entry
    FROM campaign_member
) AS unfolded
