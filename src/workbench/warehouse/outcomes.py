"""What did the people asked in a survey do afterwards? Interviews beside later churn and revenue of the customers."""

from __future__ import annotations

import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse.connect import Warehouse

_OUTCOMES = """
WITH asked AS (
    SELECT response_id, customer_id, answered_on, answered_on + CAST($days AS INTEGER) AS window_end,
        CAST(date_trunc('month', answered_on) AS DATE) AS month
    FROM survey_response WHERE wave = $wave AND customer_id IS NOT NULL AND answered_on IS NOT NULL
), life AS (
    SELECT customer_id, min(activated_on) AS first_on,
        CASE WHEN count(*) = count(ended_on) FILTER (ended_on < $as_of) THEN max(ended_on) END AS left_on
    FROM subscription GROUP BY customer_id
), money AS (
    SELECT response_id,
        sum(amount) FILTER (b.month < a.month AND b.month >= a.month - to_months($months)) AS before,
        sum(amount) FILTER (b.month > a.month AND b.month <= a.month + to_months($months)) AS after
    FROM asked AS a JOIN bill AS b USING (customer_id) GROUP BY response_id
), delivered AS (
    SELECT a.month, count(*) FILTER (b.month < a.month AND b.month >= a.month - to_months($months)) AS months_before,
        count(*) FILTER (b.month > a.month AND b.month <= a.month + to_months($months)) AS months_after
    FROM (SELECT DISTINCT month FROM asked) AS a CROSS JOIN (SELECT DISTINCT month FROM bill) AS b GROUP BY a.month
)
SELECT response_id, customer_id, answered_on, window_end, left_on,
    CASE WHEN first_on IS NOT NULL THEN CAST(coalesce(left_on < window_end, FALSE) AS INTEGER) END AS churned,
    coalesce(before, 0) / nullif(months_before, 0) AS revenue_before,
    coalesce(after, 0) / nullif(months_after, 0) AS revenue_after,
    date_diff('day', first_on, answered_on) / 30.44 AS tenure_months,
    window_end <= $as_of AND month + to_months($months + 1) <= $as_of AS complete
FROM asked LEFT JOIN life USING (customer_id) LEFT JOIN money USING (response_id) LEFT JOIN delivered USING (month)
ORDER BY response_id
"""


def survey_outcomes(warehouse: Warehouse, wave: str, *, days: int = 120) -> pd.DataFrame:
    """Give what followed each interview of a wave whose customer and day are known.

    Parameters
    ----------
    warehouse : Warehouse
    wave : str
    days : int
        Length of the window after the interview; at least 60.

    Returns
    -------
    DataFrame
        One row an interview: response_id, customer_id, answered_on, window_end (the first day after the window),
        left_on (last day of the last line, missing while one runs), churned (1 where that lies before window_end),
        revenue_before and revenue_after (bills a month over as many whole months as fit the window, before and
        after the month of the interview, of which bills were delivered; 0 where no bill, missing where no month was
        delivered), tenure_months, complete (whether all of it is known).

    Raises
    ------
    WorkbenchError
        If there is no such wave, or the window is shorter than 60 days.
    CannotAnswer
        If no interview of the wave names its customer.
    """
    if days < 60:
        raise WorkbenchError(f"days={days}: no whole month of bills fits. Give 60 or more.")
    values = {"wave": wave, "days": days, "months": days // 30 - 1, "as_of": warehouse.as_of}
    found = warehouse.query(_OUTCOMES, values)
    if found.empty:
        warehouse.survey(wave)  # names the waves if this is none
        raise CannotAnswer(f"no interview of wave '{wave}' says whose it is and when. Map customer_id and answered_on.")
    return found
