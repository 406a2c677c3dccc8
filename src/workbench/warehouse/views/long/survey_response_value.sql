-- What did each respondent answer to each item?
-- Grain: one row an interview and item answered. Key: response_id, kind, name. Parameters: none.
-- The long twin of the map of survey_response.
--
-- response_id []: Interview.
-- kind []: The map that holds it: items.
-- name []: Item.
-- value [points]: The answer.
SELECT response_id, 'items' AS kind, entry.key AS name, entry.value AS value
FROM (
    SELECT response_id, UNNEST(MAP_ENTRIES(items)) AS entry
    FROM survey_response
) AS unfolded
