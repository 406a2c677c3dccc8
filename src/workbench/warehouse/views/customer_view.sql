-- What does every department know of each customer on one day? The 360-degree view.
-- Grain: one row a customer who had joined, those who left among them. Key: customer_id.
-- Parameters: as_of (date, exclusive).
-- Reads the feature files life, activity, bills, arrears, payments, service, holdings and campaigns, the view
-- recent_usage and the partials assigned_member and line_tariff. Counts are as there: missing where a table has no rows, 0 where this
-- customer has none. The main line is the oldest one that runs, mobile before others. The last of a kind is the latest
-- before as_of, of several on one day the one whose key sorts last.
--
-- customer_id []: Customer.
-- kind []: Person, household, company, government, reseller or distributor.
-- province []: Province of the contract.
-- city []: City of the contract.
-- gender []: Gender of a person, where recorded.
-- birth_year [year]: Year of birth of a person.
-- is_staff []: True for the operator's own staff and test lines; not recorded counts as False.
-- joined_on []: First day as a customer.
-- state []: active, or left: had lines, all of them ended before as_of.
-- left_on []: Last day of the last line of who left.
-- tenure_months [months]: Complete months from joining to as_of, of who is active.
-- lines [lines]: Lines that run.
-- line_since []: First day of the main line.
-- service []: Service of the main line.
-- contract []: How it is paid.
-- tariff []: Name of its tariff, or the tariff's number where there is no list of tariffs.
-- tariff_fee [currency/month]: Fee of that tariff.
-- recency_days [days]: Days from the last event on record to as_of.
-- last_usage_month []: Last month of use on record that was over.
-- call_min_month [min/month]: Outgoing call minutes, mean of the last three full months.
-- data_mb_month [MB/month]: Data volume, alike.
-- last_bill_month []: Month of the last bill issued.
-- last_bill_amount [currency]: Its amount.
-- monetary [currency/month]: Net bill amount a month, mean of the last three full months billed: ARPU.
-- billed_12m [currency]: Net amount of the bills issued in the last twelve months.
-- arrears [currency]: Open amount of all overdue bills.
-- arrears_days [days]: Days past due of the oldest overdue bill; missing without one.
-- last_paid_on []: Day of the last payment, refunds apart.
-- last_paid_amount [currency]: Its amount.
-- paid_90d [currency]: Amount received in the last 90 days, net of refunds.
-- contacts_90d [contacts]: Touches in the last 90 days on any channel, either way.
-- hotline_90d [contacts]: Calls of the customer to the hotline in the last 90 days.
-- last_contact_at []: Time of the last touch.
-- last_contact_channel []: Its channel.
-- last_contact_topic []: What it was about.
-- complaints_180d [tickets]: Complaints opened in the last 180 days.
-- faults_180d [tickets]: Faults opened in the last 180 days.
-- open_tickets [tickets]: Cases open on as_of.
-- last_ticket_at []: When the last case was opened.
-- last_ticket_kind []: Its kind.
-- last_answered_on []: Day of the last interview of a survey, where it is known.
-- last_wave []: Its wave.
-- last_request []: What the respondent asked to improve.
-- campaigns_180d [campaigns]: Campaigns of the last 180 days that contacted the customer.
-- last_campaign_on []: Day of the last contact by a campaign.
-- last_campaign []: Name of that campaign.
-- products_held [products]: Different products held beside the tariff.
-- product_fee [currency/month]: Their monthly fees together.
-- last_product_on []: First day of the product taken last.
-- last_product []: Its name.
-- last_lead_on []: First day of the last sales lead.
-- last_lead_stage []: How far it has come: its stage as delivered.
-- household_id []: Household of the customer.
-- household_members [customers]: Customers of that household who had joined, this one among them.
-- group_id []: Company, body or other group that the customer belongs to.
-- group_members [customers]: Customers of that group, alike.
WITH household AS (
    SELECT household_id, COUNT(*) AS members
    FROM customer
    WHERE household_id IS NOT NULL AND joined_on < CAST($as_of AS DATE)
    GROUP BY household_id
),
belonging AS (
    SELECT group_id, COUNT(*) AS members
    FROM customer
    WHERE group_id IS NOT NULL AND joined_on < CAST($as_of AS DATE)
    GROUP BY group_id
),
gone AS (
    SELECT customer_id, MAX(ended_on) AS left_on
    FROM subscription
    WHERE activated_on < CAST($as_of AS DATE) AND ended_on < CAST($as_of AS DATE)
    GROUP BY customer_id
),
used AS (
    SELECT customer_id, MAX(month) AS month
    FROM usage_month
    WHERE month < CAST(DATE_TRUNC('month', CAST($as_of AS DATE)) AS DATE)
    GROUP BY customer_id
),
billed AS (
    SELECT
        customer_id, month, amount,
        ROW_NUMBER() OVER (
            PARTITION BY customer_id ORDER BY issued_on DESC NULLS LAST, bill_id DESC NULLS LAST
        ) AS back
    FROM bill
    WHERE issued_on < CAST($as_of AS DATE)
),
paid AS (
    SELECT
        customer_id, paid_on, amount,
        ROW_NUMBER() OVER (
            PARTITION BY customer_id ORDER BY paid_on DESC NULLS LAST, payment_id DESC NULLS LAST
        ) AS back
    FROM payment
    WHERE paid_on < CAST($as_of AS DATE) AND amount >= 0
),
touch AS (
    SELECT
        customer_id, contacted_at, channel, topic,
        ROW_NUMBER() OVER (
            PARTITION BY customer_id ORDER BY contacted_at DESC NULLS LAST, contact_id DESC NULLS LAST
        ) AS back
    FROM contact
    WHERE contacted_at < CAST($as_of AS DATE)
),
cased AS (
    SELECT
        customer_id, opened_at, kind,
        ROW_NUMBER() OVER (
            PARTITION BY customer_id ORDER BY opened_at DESC NULLS LAST, ticket_id DESC NULLS LAST
        ) AS back
    FROM ticket
    WHERE opened_at < CAST($as_of AS DATE)
),
asked AS (
    SELECT
        customer_id, answered_on, wave, request,
        ROW_NUMBER() OVER (
            PARTITION BY customer_id ORDER BY answered_on DESC NULLS LAST, response_id DESC NULLS LAST
        ) AS back
    FROM survey_response
    WHERE answered_on < CAST($as_of AS DATE) AND customer_id IS NOT NULL
),
reached AS (
    SELECT
        assigned_member.customer_id, assigned_member.assigned_on, campaign.name,
        ROW_NUMBER() OVER (
            PARTITION BY assigned_member.customer_id
            ORDER BY assigned_member.assigned_on DESC NULLS LAST, campaign.campaign_id DESC NULLS LAST
        ) AS back
    FROM assigned_member
    INNER JOIN campaign ON campaign.campaign_id = assigned_member.campaign_id
    WHERE assigned_member.contacted AND assigned_member.assigned_on < CAST($as_of AS DATE)
),
taken AS (
    SELECT
        holding.customer_id, holding.from_on, COALESCE(product.name, holding.product_id) AS name,
        ROW_NUMBER() OVER (
            PARTITION BY holding.customer_id ORDER BY holding.from_on DESC NULLS LAST, holding.product_id DESC NULLS LAST
        ) AS back
    FROM holding
    LEFT JOIN product ON product.product_id = holding.product_id
    WHERE holding.from_on < CAST($as_of AS DATE)
),
lead_on AS (
    SELECT
        customer_id, opened_on, stage,
        ROW_NUMBER() OVER (
            PARTITION BY customer_id ORDER BY opened_on DESC NULLS LAST, opportunity_id DESC NULLS LAST
        ) AS back
    FROM opportunity
    WHERE opened_on < CAST($as_of AS DATE)
)
SELECT
    customer.customer_id, customer.kind, customer.province, customer.city, customer.gender,
    CAST(customer.birth_year AS DOUBLE) AS birth_year,
    COALESCE(customer.is_staff, FALSE) AS is_staff,
    customer.joined_on,
    CASE WHEN life.customer_id IS NULL THEN 'left' ELSE 'active' END AS state,
    CASE WHEN life.customer_id IS NULL THEN gone.left_on END AS left_on,
    life.tenure_months, life.lines,
    line.activated_on AS line_since, line.service, line.contract,
    line.tariff, line.monthly_fee AS tariff_fee,
    activity.recency_days,
    used.month AS last_usage_month, recent_usage.call_min AS call_min_month, recent_usage.data_mb AS data_mb_month,
    billed.month AS last_bill_month, billed.amount AS last_bill_amount, bills.monetary, bills.billed_12m,
    arrears.arrears, arrears.arrears_days,
    paid.paid_on AS last_paid_on, paid.amount AS last_paid_amount, payments.paid_90d,
    service.contacts_90d, service.hotline_90d,
    touch.contacted_at AS last_contact_at, touch.channel AS last_contact_channel, touch.topic AS last_contact_topic,
    service.complaints_180d, service.faults_180d, service.open_tickets,
    cased.opened_at AS last_ticket_at, cased.kind AS last_ticket_kind,
    asked.answered_on AS last_answered_on, asked.wave AS last_wave, asked.request AS last_request,
    campaigns.campaigns_180d, reached.assigned_on AS last_campaign_on, reached.name AS last_campaign,
    holdings.products_held, holdings.product_fee, taken.from_on AS last_product_on, taken.name AS last_product,
    lead_on.opened_on AS last_lead_on, lead_on.stage AS last_lead_stage,
    customer.household_id, household.members AS household_members, customer.group_id, belonging.members AS group_members
FROM customer
LEFT JOIN household ON household.household_id = customer.household_id
LEFT JOIN belonging ON belonging.group_id = customer.group_id
LEFT JOIN life ON life.customer_id = customer.customer_id
LEFT JOIN gone ON gone.customer_id = customer.customer_id
LEFT JOIN line_tariff AS line ON line.customer_id = customer.customer_id AND line.nth = 1
LEFT JOIN activity ON activity.customer_id = customer.customer_id
LEFT JOIN used ON used.customer_id = customer.customer_id
LEFT JOIN recent_usage ON recent_usage.customer_id = customer.customer_id
LEFT JOIN bills ON bills.customer_id = customer.customer_id
LEFT JOIN billed ON billed.customer_id = customer.customer_id AND billed.back = 1
LEFT JOIN arrears ON arrears.customer_id = customer.customer_id
LEFT JOIN payments ON payments.customer_id = customer.customer_id
LEFT JOIN paid ON paid.customer_id = customer.customer_id AND paid.back = 1
LEFT JOIN service ON service.customer_id = customer.customer_id
LEFT JOIN touch ON touch.customer_id = customer.customer_id AND touch.back = 1
LEFT JOIN cased ON cased.customer_id = customer.customer_id AND cased.back = 1
LEFT JOIN asked ON asked.customer_id = customer.customer_id AND asked.back = 1
LEFT JOIN campaigns ON campaigns.customer_id = customer.customer_id
LEFT JOIN reached ON reached.customer_id = customer.customer_id AND reached.back = 1
LEFT JOIN holdings ON holdings.customer_id = customer.customer_id
LEFT JOIN taken ON taken.customer_id = customer.customer_id AND taken.back = 1
LEFT JOIN lead_on ON lead_on.customer_id = customer.customer_id AND lead_on.back = 1
WHERE customer.joined_on < CAST($as_of AS DATE)
