-- What service did each customer get?
-- Grain: one row a customer who had joined. Key: customer_id. Parameters: as_of (date, exclusive), days (integer).
-- Reads the partial service_case: contacts and tickets of the last `days` days.
--
-- customer_id []: Customer.
-- days_known [days]: Days of the window since joining, and since contacts are on record.
-- hotline [contacts]: Contacts by the hotline.
-- app [contacts]: Contacts by the app.
-- web [contacts]: Contacts by the web.
-- sms [contacts]: Contacts by text message.
-- shop [contacts]: Contacts by a shop.
-- visit [contacts]: Contacts by a visit.
-- outbound_call [contacts]: Contacts by our call to them.
-- complaint [tickets]: Complaints opened.
-- fault [tickets]: Faults opened.
-- installation [tickets]: Installations opened.
-- wait_s [s]: Mean wait of hotline calls, of those for which it is known.
-- complaint_h [h]: Mean time to close of complaints that closed before as_of.
-- fault_h [h]: Mean time to close of faults that closed before as_of.
-- installation_h [h]: Mean time to close of installations that closed before as_of.
-- overdue [tickets]: Tickets past the promised time.
WITH recorded AS (
    SELECT CAST(MIN(contacted_at) AS DATE) AS since FROM contact
)
SELECT
    customer.customer_id,
    CAST(LEAST(
        CAST($days AS INTEGER),
        DATE_DIFF('day', GREATEST(customer.joined_on, recorded.since), CAST($as_of AS DATE))
    ) AS DOUBLE) AS days_known,
    COUNT(*) FILTER (WHERE service_case.event = 'hotline') AS hotline,
    COUNT(*) FILTER (WHERE service_case.event = 'app') AS app,
    COUNT(*) FILTER (WHERE service_case.event = 'web') AS web,
    COUNT(*) FILTER (WHERE service_case.event = 'sms') AS sms,
    COUNT(*) FILTER (WHERE service_case.event = 'shop') AS shop,
    COUNT(*) FILTER (WHERE service_case.event = 'visit') AS visit,
    COUNT(*) FILTER (WHERE service_case.event = 'outbound_call') AS outbound_call,
    COUNT(*) FILTER (WHERE service_case.event = 'complaint') AS complaint,
    COUNT(*) FILTER (WHERE service_case.event = 'fault') AS fault,
    COUNT(*) FILTER (WHERE service_case.event = 'installation') AS installation,
    CAST(SUM(service_case.seconds) FILTER (WHERE service_case.event = 'hotline') AS DOUBLE) / CAST(NULLIF(
        COUNT(service_case.seconds) FILTER (WHERE service_case.event = 'hotline'), 0
    ) AS DOUBLE) AS wait_s,
    CAST(SUM(service_case.seconds) FILTER (WHERE service_case.event = 'complaint') AS DOUBLE) / 3600 / CAST(NULLIF(
        COUNT(service_case.seconds) FILTER (WHERE service_case.event = 'complaint'), 0
    ) AS DOUBLE) AS complaint_h,
    CAST(SUM(service_case.seconds) FILTER (WHERE service_case.event = 'fault') AS DOUBLE) / 3600 / CAST(NULLIF(
        COUNT(service_case.seconds) FILTER (WHERE service_case.event = 'fault'), 0
    ) AS DOUBLE) AS fault_h,
    CAST(SUM(service_case.seconds) FILTER (WHERE service_case.event = 'installation') AS DOUBLE) / 3600 / CAST(NULLIF(
        COUNT(service_case.seconds) FILTER (WHERE service_case.event = 'installation'), 0
    ) AS DOUBLE) AS installation_h,
    COUNT(*) FILTER (WHERE service_case.overdue = 1) AS overdue
FROM customer
CROSS JOIN recorded
LEFT JOIN service_case ON service_case.customer_id = customer.customer_id
WHERE customer.joined_on < CAST($as_of AS DATE)
GROUP BY customer.customer_id, customer.joined_on, recorded.since
