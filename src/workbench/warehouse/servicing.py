"""What was each customer worth each month, what service did it get, and what do business customers bring?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import pandas as pd

from workbench.errors import CannotAnswer, require_known
from workbench.warehouse import schema
from workbench.warehouse.features import Queryable, as_date
from workbench.warehouse.views import view

# Kinds of case that a limit is judged for, and the seconds in the unit of their limits.
_UNITS = {"hotline": 1, "complaint": 3600, "fault": 3600, "installation": 3600}


def monthly_values(warehouse: Queryable, as_of: date | str) -> pd.DataFrame:
    """Give the net amount billed to each customer in each month of life: the view `customer_month_value`."""
    return _some(view(warehouse, "customer_month_value", as_of=as_date(as_of)), as_of)


def business_accounts(warehouse: Queryable, as_of: date | str, *, margin: float) -> pd.DataFrame:
    """Give what grades an account, one row a company or government body: the view `business_account`."""
    return _some(view(warehouse, "business_account", as_of=as_date(as_of), margin=margin), as_of)


def servicing(
    warehouse: Queryable, as_of: date | str, *, days: int = 365, within: Mapping[str, Sequence[float]] | None = None
) -> pd.DataFrame:
    """Give the service that each customer got in the last `days` days, one row a customer who had joined.

    Columns of the view `customer_service`; missing where nobody has a contact (ticket) on record in the window.
    `within` names limits, seconds for "hotline", hours for a kind of ticket; each gives two more columns by the view
    `customer_promise`, for instance complaint_judged_24 and complaint_within_24.
    """
    asked = {"as_of": as_date(as_of), "days": days}
    found = _some(view(warehouse, "customer_service", **asked), as_of)
    overdue = found.pop("overdue")
    for event, limits in (within or {}).items():
        require_known("kind of case", event, _UNITS, "within")
        for limit in sorted(set(map(float, limits))):
            judged = view(warehouse, "customer_promise", event=event, seconds=limit * _UNITS[event], **asked)
            known = judged.set_index("customer_id").reindex(found["customer_id"], fill_value=0)
            found[f"{event}_judged_{limit:g}"] = known["judged"].to_numpy()
            found[f"{event}_within_{limit:g}"] = known["kept"].to_numpy().astype(int)
    found["overdue"] = overdue
    channels, kinds = (
        schema.table(t).column(c).accepted_values for t, c in (("contact", "channel"), ("ticket", "kind"))
    )
    for events in (channels, (*kinds, "overdue")):
        if not found[list(events)].to_numpy().any():
            found[[c for c in found if c.startswith(tuple(events))]] = float("nan")
    return found


def _some(found: pd.DataFrame, as_of: date | str) -> pd.DataFrame:
    if found.empty:
        raise CannotAnswer("nothing is known of such customers on {as_of}. Choose a later day.").of(as_of)
    return found
