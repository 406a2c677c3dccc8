-- What was paid after each action of collection?
-- Grain: one row an action before as_of on a bill that was due. Key: action_id. Parameters: as_of (date, exclusive).
-- Reads the view bill_history. The stage's ten days are the day of the action and the nine after it; those held out have
-- the days on which they would have been acted on.
--
-- action_id []: Action.
-- bill_id []: Bill.
-- customer_id []: Customer.
-- stage [stage]: Stage of collection.
-- action []: What the stage does.
-- collector []: Who acted.
-- arm []: treated or held_out, where chance decided; missing elsewhere.
-- acted_on []: Day of the action.
-- cost [currency]: What it cost.
-- outcome []: reached, promised, not_reached; missing where nobody is to be reached.
-- days [days]: Days past due on the day of the action; 0 or less is before the bill was overdue; missing
--     where the bill was due before it was issued.
-- owed [currency]: Open amount of the bill before the day of the action.
-- collected [currency]: Paid on it within the ten days; missing where these are not over by as_of.
-- settled []: Whether it was paid in full within them; missing where these are not over by as_of.
-- left_90 []: Whether the customer left of their own will within 90 days, from the day after the action on; missing where
--     these are not over by as_of.
WITH paid AS (
    SELECT
        act.action_id,
        SUM(CASE WHEN payment.paid_on < act.acted_on THEN CAST(payment.amount AS DECIMAL(18, 4)) ELSE 0 END) AS before,
        SUM(
            CASE
                WHEN payment.paid_on >= act.acted_on AND payment.paid_on < act.acted_on + INTERVAL '10' DAY
                    THEN CAST(payment.amount AS DECIMAL(18, 4))
                ELSE 0
            END
        ) AS within
    FROM collection_action AS act
    INNER JOIN payment ON payment.bill_id = act.bill_id
    WHERE act.acted_on < CAST($as_of AS DATE) AND payment.paid_on < CAST($as_of AS DATE)
    GROUP BY act.action_id
)
SELECT
    act.action_id, act.bill_id, act.customer_id, act.stage, act.action, act.collector, act.arm, act.acted_on, act.cost,
    act.outcome,
    DATE_DIFF('day', bill_history.due_on, act.acted_on) AS days,
    bill_history.amount - CAST(COALESCE(paid.before, 0) AS DOUBLE) AS owed,
    CASE
        WHEN act.acted_on + INTERVAL '10' DAY <= CAST($as_of AS DATE) THEN CAST(COALESCE(paid.within, 0) AS DOUBLE)
    END AS collected,
    CASE
        WHEN act.acted_on + INTERVAL '10' DAY <= CAST($as_of AS DATE)
            THEN COALESCE(
                bill_history.paid_on >= act.acted_on AND bill_history.paid_on < act.acted_on + INTERVAL '10' DAY, FALSE
            )
    END AS settled,
    CASE
        WHEN act.acted_on + INTERVAL '91' DAY <= CAST($as_of AS DATE)
            THEN COALESCE(
                NOT bill_history.written_off AND bill_history.left_on > act.acted_on
                AND bill_history.left_on <= act.acted_on + INTERVAL '90' DAY, FALSE
            )
    END AS left_90
FROM collection_action AS act
INNER JOIN bill_history ON bill_history.bill_id = act.bill_id
LEFT JOIN paid ON paid.action_id = act.action_id
WHERE act.acted_on < CAST($as_of AS DATE)
