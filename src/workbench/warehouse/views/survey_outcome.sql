-- What did the respondents of a survey do after their interview?
-- Grain: one row an interview whose customer and day are known. Key: response_id.
-- Parameters: wave (text), days (integer), as_of (date, exclusive).
-- Reads the partials line_life and billed_month. For a window of n days, bills are of n / 30 - 1 whole months before,
-- and as many after, the month of the interview.
--
-- response_id []: Interview.
-- customer_id []: Who answered.
-- answered_on []: Day of the interview.
-- window_end []: First day after the window.
-- left_on []: Last day of the last line, where it ended before as_of; missing while one runs.
-- churned []: 1 where left_on lies before window_end, else 0; missing without a line on record.
-- revenue_before [currency/month]: Bills before, a month of those of which bills were delivered; 0 without a bill,
--     missing where no month was delivered.
-- revenue_after [currency/month]: Bills after, alike.
-- tenure_months [months]: From the first line's first day to the interview.
-- complete []: Whether window and months of bills lie before as_of.
WITH asked AS (
    SELECT
        response_id, customer_id, answered_on,
        CAST(answered_on + INTERVAL '1' DAY * CAST($days AS INTEGER) AS DATE) AS window_end,
        CAST(DATE_TRUNC('month', answered_on) AS DATE) AS month,
        CAST(FLOOR(CAST($days AS DOUBLE) / 30) - 1 AS INTEGER) AS months
    FROM survey_response
    WHERE wave = $wave AND customer_id IS NOT NULL AND answered_on IS NOT NULL
),
money AS (
    SELECT
        asked.response_id,
        SUM(CAST(bill.amount AS DECIMAL(18, 4))) FILTER (WHERE bill.month < asked.month) AS before,
        SUM(CAST(bill.amount AS DECIMAL(18, 4))) FILTER (WHERE bill.month > asked.month) AS after
    FROM asked
    INNER JOIN bill ON bill.customer_id = asked.customer_id
        AND bill.month >= asked.month - INTERVAL '1' MONTH * asked.months
        AND bill.month <= asked.month + INTERVAL '1' MONTH * asked.months
    GROUP BY asked.response_id
),
delivered AS (
    SELECT
        start.month,
        COUNT(*) FILTER (WHERE billed_month.month < start.month) AS months_before,
        COUNT(*) FILTER (WHERE billed_month.month > start.month) AS months_after
    FROM (SELECT DISTINCT month, months FROM asked) AS start
    INNER JOIN billed_month
        ON billed_month.month >= start.month - INTERVAL '1' MONTH * start.months
        AND billed_month.month <= start.month + INTERVAL '1' MONTH * start.months
    GROUP BY start.month
)
SELECT
    asked.response_id, asked.customer_id, asked.answered_on, asked.window_end, line_life.left_on,
    CAST(CASE
        WHEN line_life.left_on < asked.window_end THEN 1
        WHEN line_life.customer_id IS NOT NULL THEN 0
    END AS INTEGER) AS churned,
    CAST(COALESCE(money.before, 0) AS DOUBLE)
    / CAST(NULLIF(delivered.months_before, 0) AS DOUBLE) AS revenue_before,
    CAST(COALESCE(money.after, 0) AS DOUBLE) / CAST(NULLIF(delivered.months_after, 0) AS DOUBLE) AS revenue_after,
    CAST(DATE_DIFF('day', line_life.first_on, asked.answered_on) AS DOUBLE) / CAST(30.44 AS DOUBLE) AS tenure_months,
    asked.window_end <= CAST($as_of AS DATE)
    AND asked.month + INTERVAL '1' MONTH * (asked.months + 1) <= CAST($as_of AS DATE) AS complete
FROM asked
LEFT JOIN line_life ON line_life.customer_id = asked.customer_id
LEFT JOIN money ON money.response_id = asked.response_id
LEFT JOIN delivered ON delivered.month = asked.month
