-- Whom did other campaigns reach, and when?
-- Grain: one row a campaign and customer whose contact was delivered. Key: campaign_id, customer_id.
-- Parameters: campaign (text). This one is left out.
-- Reads the partial assigned_member.
--
-- campaign_id []: Campaign.
-- customer_id []: Customer.
-- day []: Day of assignment, else the campaign's first day.
SELECT campaign_id, customer_id, assigned_on AS day FROM assigned_member WHERE contacted AND campaign_id <> $campaign
