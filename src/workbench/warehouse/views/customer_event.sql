-- What happened to one customer, and when? The events of a time line.
-- Grain: one row an event on record before as_of. Order: happened_at, subject, what, reference, detail.
-- Parameters: customer (text), as_of (date, exclusive).
-- Reads the partials assigned_member and customer_day. A day without a time of day counts as its midnight, a month of
-- use as its last day, the detail records of a month as their last day. Events of an unknown day are not here.
--
-- happened_at []: When.
-- subject []: The table that says it.
-- what []: What happened.
-- detail []: On what: service, channel, topic, cause, name of a campaign, product or tariff (the one that the line has now).
-- reference []: Number of the line, bill, payment, contact, case, interview, campaign, product or lead.
-- amount []: How much, where the table says it of the customer: a fee is a month's, and what collecting cost us is left out.
-- unit []: Unit of the amount; currency for money, currency/month for fees.
WITH happened AS (
    SELECT
        contacted_at AS happened_at, 'contact' AS subject,
        CASE WHEN direction = 'in' THEN 'came to us' ELSE 'contacted by us' END AS what,
        channel || COALESCE(': ' || topic, '') AS detail,
        contact_id AS reference, CAST(NULL AS DOUBLE) AS amount, '' AS unit
    FROM contact
    WHERE customer_id = $customer
    UNION ALL
    SELECT opened_at, 'ticket', kind || ' opened', COALESCE(category, service), ticket_id, NULL, ''
    FROM ticket
    WHERE customer_id = $customer
    UNION ALL
    SELECT due_at, 'ticket', kind || ' past its promised time', COALESCE(category, service), ticket_id, NULL, ''
    FROM ticket
    WHERE customer_id = $customer AND (closed_at IS NULL OR closed_at > due_at)
    UNION ALL
    SELECT
        closed_at, 'ticket', kind || ' closed', outcome, ticket_id,
        CASE WHEN compensation > 0 THEN compensation END,
        CASE WHEN compensation > 0 THEN 'currency' ELSE '' END
    FROM ticket
    WHERE customer_id = $customer
    UNION ALL
    SELECT joined_on, 'customer', 'joined', province, NULL, NULL, ''
    FROM customer
    WHERE customer_id = $customer
    UNION ALL
    SELECT
        line.activated_on, 'subscription', 'line began',
        line.service || COALESCE(': ' || COALESCE(tariff.name, line.tariff_id), ''),
        line.subscription_id, tariff.monthly_fee, CASE WHEN tariff.monthly_fee IS NULL THEN '' ELSE 'currency/month' END
    FROM subscription AS line
    LEFT JOIN tariff ON tariff.tariff_id = line.tariff_id
    WHERE line.customer_id = $customer
    UNION ALL
    SELECT
        ended_on, 'subscription', 'line ended', service || COALESCE(': ' || end_reason, ''), subscription_id, NULL, ''
    FROM subscription
    WHERE customer_id = $customer
    UNION ALL
    SELECT issued_on, 'bill', CASE WHEN amount < 0 THEN 'credit note' ELSE 'bill' END, NULL, bill_id, amount, 'currency'
    FROM bill
    WHERE customer_id = $customer
    UNION ALL
    SELECT
        paid_on, 'payment',
        CASE WHEN amount < 0 THEN 'refund' WHEN bill_id IS NULL THEN 'top-up or purchase' ELSE 'bill paid' END,
        method, payment_id, amount, 'currency'
    FROM payment
    WHERE customer_id = $customer
    UNION ALL
    SELECT
        acted_on, 'collection_action',
        CASE
            WHEN arm = 'held_out' THEN 'collection held back by chance'
            WHEN action = 'remind' THEN 'reminded of an unpaid bill'
            WHEN action = 'call' THEN 'called about an unpaid bill'
            WHEN action = 'restrict' THEN 'restricted for an unpaid bill'
            WHEN action = 'disconnect' THEN 'cut off for an unpaid bill'
            ELSE 'legal action on an unpaid bill'
        END,
        outcome, bill_id, NULL, ''
    FROM collection_action
    WHERE customer_id = $customer
    UNION ALL
    SELECT opened_on, 'fraud_case', 'looked at for fraud', source, case_id, NULL, ''
    FROM fraud_case
    WHERE customer_id = $customer
    UNION ALL
    SELECT
        decided_on, 'fraud_case', CASE WHEN verdict = 'fraud' THEN 'found to be fraud' ELSE 'found honest' END, kind, case_id,
        CASE WHEN loss > 0 THEN loss END, CASE WHEN loss > 0 THEN 'currency' ELSE '' END
    FROM fraud_case
    WHERE customer_id = $customer AND verdict IS NOT NULL
    UNION ALL
    SELECT
        CAST(month + INTERVAL '1' MONTH - INTERVAL '1' DAY AS DATE), 'usage_month', 'called in the month', NULL,
        NULL, SUM(call_min), 'min'
    FROM usage_month
    WHERE customer_id = $customer
    GROUP BY month
    UNION ALL
    SELECT
        CAST(month + INTERVAL '1' MONTH - INTERVAL '1' DAY AS DATE), 'usage_month', 'data in the month', NULL,
        NULL, SUM(data_mb), 'MB'
    FROM usage_month
    WHERE customer_id = $customer
    GROUP BY month
    UNION ALL
    SELECT MAX(day_on), 'detail_record', 'events in the month', NULL, NULL, CAST(SUM(events) AS DOUBLE), 'events'
    FROM customer_day
    WHERE customer_id = $customer AND day_on < CAST($as_of AS DATE)
    GROUP BY nth
    UNION ALL
    SELECT invited_on, 'survey_invitation', 'invited to a survey', wave || ': ' || outcome, invitation_id, NULL, ''
    FROM survey_invitation
    WHERE customer_id = $customer
    UNION ALL
    SELECT
        answered_on, 'survey_response', 'answered a survey',
        wave || ', ' || service || COALESCE(': asks for ' || request, ''), response_id, NULL, ''
    FROM survey_response
    WHERE customer_id = $customer
    UNION ALL
    SELECT
        member.assigned_on, 'campaign_member',
        CASE WHEN member.contacted THEN 'contacted by a campaign' ELSE 'in a campaign, not contacted' END,
        campaign.name || ': ' || member.arm, member.campaign_id, NULL, ''
    FROM assigned_member AS member
    INNER JOIN campaign ON campaign.campaign_id = member.campaign_id
    WHERE member.customer_id = $customer
    UNION ALL
    SELECT
        held.from_on, 'holding', 'product taken', COALESCE(product.name, held.product_id), held.product_id,
        product.monthly_fee, CASE WHEN product.monthly_fee IS NULL THEN '' ELSE 'currency/month' END
    FROM holding AS held
    LEFT JOIN product ON product.product_id = held.product_id
    WHERE held.customer_id = $customer
    UNION ALL
    SELECT held.to_on, 'holding', 'product ended', COALESCE(product.name, held.product_id), held.product_id, NULL, ''
    FROM holding AS held
    LEFT JOIN product ON product.product_id = held.product_id
    WHERE held.customer_id = $customer
    UNION ALL
    SELECT
        sale.opened_on, 'opportunity', 'lead opened', COALESCE(product.name, sale.product_id), sale.opportunity_id,
        sale.value, CASE WHEN sale.value IS NULL THEN '' ELSE 'currency' END
    FROM opportunity AS sale
    LEFT JOIN product ON product.product_id = sale.product_id
    WHERE sale.customer_id = $customer
    UNION ALL
    SELECT
        sale.closed_on, 'opportunity', 'lead ' || sale.stage, COALESCE(product.name, sale.product_id),
        sale.opportunity_id, NULL, ''
    FROM opportunity AS sale
    LEFT JOIN product ON product.product_id = sale.product_id
    WHERE sale.customer_id = $customer
)
SELECT happened_at, subject, what, detail, reference, amount, unit
FROM happened
WHERE happened_at < CAST($as_of AS DATE)
