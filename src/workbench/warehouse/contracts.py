"""Which lines run on a day, since when, and what each brings a month?"""

from __future__ import annotations

from datetime import date

import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse.connect import Warehouse
from workbench.warehouse.features import as_date
from workbench.warehouse.views import view

MONTHS = 3


def contract_margins(
    warehouse: Warehouse, as_of: date | str, *, margin: float = 1.0, province: str = ""
) -> pd.DataFrame:
    """Give every line that began before a day, and the margin a month of those that run on it.

    Parameters
    ----------
    warehouse : Warehouse
    as_of : date or str
        Exclusive: nothing of this day or later is known.
    margin : float
        Share of what is billed, 0-1.
    province : str
        Take only its customers; "" for all.

    Returns
    -------
    DataFrame
        One row a line: the view `line_margin`, which says how bills are shared among lines.

    Raises
    ------
    WorkbenchError
        If `margin` is no share.
    CannotAnswer
        If no line runs, or no bill is known of the three months before.
    """
    if not 0 <= margin <= 1:
        raise WorkbenchError("margin={margin} is a share from 0 to 1.").of(str(margin))
    day = as_date(as_of)
    if province:
        warehouse._check("customer", "province", province)
    lines = view(warehouse, "line_margin", as_of=day, margin=margin, months=MONTHS, province=province)
    if not lines["running"].any():
        raise CannotAnswer("as of {day} no line runs, or no bill of the {months} months before is known.").of(
            day, MONTHS
        )
    return lines
