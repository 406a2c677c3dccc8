-- When in the week do groups of customers use the network?
-- Grain: one row a group, weekday and hour with events. Key: group, weekday, hour.
-- Parameters: as_of (date, exclusive), days (integer).
-- Reads the table asked (customer_id, group) that who asks gives. 1990-01-01 was a Monday; the engines' own days of the
-- week differ.
--
-- group []: Group of customers.
-- weekday []: 0 Monday to 6 Sunday.
-- hour []: Hour of the day, 0 to 23.
-- events [events]: Events of the group's customers that began in this hour, in all weeks.
-- share [share]: Of all events of the group.
WITH event AS (
    SELECT
        asked."group",
        CAST(DATE_DIFF('day', CAST('1990-01-01' AS DATE), CAST(detail_record.started_at AS DATE)) AS DOUBLE) AS nth,
        EXTRACT(HOUR FROM detail_record.started_at) AS hour
    FROM detail_record
    INNER JOIN asked ON asked.customer_id = detail_record.customer_id
    WHERE detail_record.started_at >= CAST($as_of AS DATE) - INTERVAL '1' DAY * CAST($days AS INTEGER)
        AND detail_record.started_at < CAST($as_of AS DATE)
),
counted AS (
    SELECT
        "group",
        CAST(nth - 7 * FLOOR(nth / 7) AS INTEGER) AS weekday,
        CAST(hour AS INTEGER) AS hour,
        COUNT(*) AS events
    FROM event
    GROUP BY "group", CAST(nth - 7 * FLOOR(nth / 7) AS INTEGER), CAST(hour AS INTEGER)
)
SELECT
    "group",
    weekday, hour, events,
    CAST(events AS DOUBLE) / CAST(SUM(events) OVER (PARTITION BY "group") AS DOUBLE) AS share
FROM counted
