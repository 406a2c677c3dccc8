-- What did the members of all randomised campaigns do whose window has closed?
-- Grain: one row a campaign and member with the outcome. Key: campaign_id, customer_id.
-- Parameters: outcome (text), covariate (text), as_of (date, exclusive).
-- Reads campaign_member_value.
--
-- campaign_id []: Campaign.
-- customer_id []: Member.
-- arm []: Arm by name.
-- treatment []: 1 in any arm but control, else 0.
-- outcome [as named]: The outcome asked for.
-- known [as named]: The covariate asked for; missing where it is no number.
-- responded []: 1 if the member responded, else 0; missing where nobody recorded it.
-- starts_on []: First day of contact.
-- contact_cost [currency]: Cost of contacting one member.
-- incentive_cost [currency]: Cost of the incentive for each contacted member who responds.
-- margin [share]: Margin on a currency unit of outcome revenue.
WITH known AS (
    SELECT campaign_id, customer_id, value
    FROM campaign_member_value
    WHERE kind = 'covariates' AND name = $covariate
),
response AS (
    SELECT campaign_id, customer_id, value
    FROM campaign_member_value
    WHERE kind = 'outcomes' AND name = 'responded'
),
result AS (
    SELECT campaign_id, customer_id, value
    FROM campaign_member_value
    WHERE kind = 'outcomes' AND name = $outcome AND value IS NOT NULL
)
SELECT
    campaign_member.campaign_id, campaign_member.customer_id, campaign_member.arm,
    CAST(CASE WHEN campaign_member.arm <> 'control' THEN 1 ELSE 0 END AS INTEGER) AS treatment,
    result.value AS outcome, known.value AS known, response.value AS responded, campaign.starts_on,
    campaign.contact_cost, campaign.incentive_cost, campaign.margin
FROM campaign_member
INNER JOIN campaign ON campaign.campaign_id = campaign_member.campaign_id
INNER JOIN result
    ON result.campaign_id = campaign_member.campaign_id AND result.customer_id = campaign_member.customer_id
LEFT JOIN known
    ON known.campaign_id = campaign_member.campaign_id AND known.customer_id = campaign_member.customer_id
LEFT JOIN response
    ON response.campaign_id = campaign_member.campaign_id AND response.customer_id = campaign_member.customer_id
WHERE campaign.assignment = 'randomised' AND campaign.ends_on < CAST($as_of AS DATE)
