"""Who came and left, and what became of complaints?"""

from __future__ import annotations

from datetime import date

import pandas as pd

from workbench.errors import CannotAnswer
from workbench.warehouse.features import Queryable, as_date
from workbench.warehouse.views import view


def customer_lives(warehouse: Queryable, as_of: date | str) -> pd.DataFrame:
    """Give when each customer came and left, why and where to: the view `customer_leaving`."""
    return view(warehouse, "customer_leaving", as_of=as_date(as_of))


def complaint_outcomes(warehouse: Queryable, as_of: date | str) -> pd.DataFrame:
    """Give what became of each complaint: the view `complaint_outcome`.

    Raises
    ------
    CannotAnswer
        If none is on record.
    """
    found = view(warehouse, "complaint_outcome", as_of=as_date(as_of))
    if found.empty:
        raise CannotAnswer("not answerable: no complaint is on record before {day}.").of(as_date(as_of))
    return found


def customer_base(
    warehouse: Queryable, as_of: date | str, *, months: int = 3, back: int = 0, since: date | str | None = None
) -> pd.DataFrame:
    """Give who was a customer `months` before a day, and who left since: the view `customer_base`.

    With `back` the whole is taken so many months earlier; departures are recorded from `since` on.

    Raises
    ------
    CannotAnswer
        If nobody was, or departures were not yet recorded on the first of these days.
    """
    end = pd.Timestamp(as_date(as_of)) - pd.DateOffset(months=back)
    begin = end - pd.DateOffset(months=months)
    if since is not None and begin < pd.Timestamp(as_date(since)):
        raise CannotAnswer(
            "not answerable: the time from {begin} to before {end} begins before departures were recorded, on "
            "{since}. Take fewer months, or a later as_of."
        ).of(begin.date(), end.date(), as_date(since))
    found = view(warehouse, "customer_base", from_on=begin.date(), as_of=end.date())
    if found.empty:
        raise CannotAnswer("not answerable: nobody was a customer on {day}.").of(begin.date())
    return found
