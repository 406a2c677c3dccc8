-- Who is a customer where the source has no table of customers? Whoever another table names. A partial of wb.customer_view.
-- Grain: one row a customer named anywhere. Key: customer_id. Parameters: none.
-- Reads the partials customer_day and assigned_member. joined_on is the first day on record; the rest is not known.
SELECT
    customer_id, NULL AS kind, NULL AS name_key, NULL AS province, NULL AS city, NULL AS birth_year, NULL AS gender,
    MIN(day) AS joined_on,
    NULL AS is_staff, NULL AS card_key, NULL AS phone_key, NULL AS address_key, NULL AS payer_key, NULL AS household_id,
    NULL AS group_id
FROM (
    SELECT customer_id, activated_on AS day FROM subscription
    UNION ALL
    SELECT customer_id, day_on AS day FROM customer_day
    UNION ALL
    SELECT customer_id, month AS day FROM usage_month
    UNION ALL
    SELECT customer_id, issued_on AS day FROM bill
    UNION ALL
    SELECT customer_id, paid_on AS day FROM payment
    UNION ALL
    SELECT customer_id, acted_on AS day FROM collection_action
    UNION ALL
    SELECT customer_id, opened_on AS day FROM fraud_case
    UNION ALL
    SELECT customer_id, CAST(contacted_at AS DATE) AS day FROM contact
    UNION ALL
    SELECT customer_id, CAST(opened_at AS DATE) AS day FROM ticket
    UNION ALL
    SELECT customer_id, answered_on AS day FROM survey_response
    UNION ALL
    SELECT customer_id, assigned_on AS day FROM assigned_member
    UNION ALL
    SELECT customer_id, from_on AS day FROM holding
    UNION ALL
    SELECT customer_id, opened_on AS day FROM opportunity
) AS named
WHERE customer_id IS NOT NULL
GROUP BY customer_id
