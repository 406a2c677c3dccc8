"""What did the people asked in a survey do afterwards? Interviews beside later churn and revenue of the customers."""

from __future__ import annotations

from datetime import date

import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse.connect import Warehouse
from workbench.warehouse.features import as_date
from workbench.warehouse.views import view


def survey_outcomes(warehouse: Warehouse, wave: str, *, days: int = 120, as_of: date | str = "") -> pd.DataFrame:
    """Give what followed each interview of a wave whose customer and day are known.

    Parameters
    ----------
    warehouse : Warehouse
    wave : str
    days : int
        Length of the window after the interview; at least 60.
    as_of : date or str
        Nothing later is known; "" for that of the warehouse.

    Returns
    -------
    DataFrame
        One row an interview: the view `survey_outcome`.

    Raises
    ------
    WorkbenchError
        If there is no such wave, or the window is shorter than 60 days.
    CannotAnswer
        If no interview of the wave names its customer.
    """
    if days < 60:
        raise WorkbenchError("days={days}: no whole month of bills fits. Give 60 or more.").of(str(days))
    found = view(warehouse, "survey_outcome", wave=wave, days=days, as_of=as_date(as_of or warehouse.as_of))
    if found.empty:
        warehouse.survey(wave)  # names the waves if this is none
        raise CannotAnswer(
            "no interview of wave '{wave}' says whose it is and when. Map customer_id and answered_on."
        ).of(wave)
    return found
