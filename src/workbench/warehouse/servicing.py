"""What was each customer worth each month, what service did it get, and what do business customers bring?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import pandas as pd

from workbench.errors import CannotAnswer, unknown
from workbench.warehouse import schema
from workbench.warehouse.features import Queryable, as_date
from workbench.warehouse.views import view

# Kinds of case that a limit is judged for, and the seconds in the unit of their limits.
_UNITS = {"hotline": 1, "complaint": 3600, "fault": 3600, "installation": 3600}


def monthly_values(warehouse: Queryable, as_of: date | str) -> pd.DataFrame:
    """Give the net amount billed to each customer in each month: customer_id, month, value.

    Bills issued before `as_of`. A customer has a month if it had joined on its first day and had a line (or none on
    record) beyond its last; a month without a bill then counts 0.
    """
    return _some(view(warehouse, "customer_month_value", as_of=as_date(as_of)), as_of)


def business_accounts(warehouse: Queryable, as_of: date | str, *, margin: float) -> pd.DataFrame:
    """Give what grades an account, one row a company or government body with a line on `as_of`.

    Columns customer_id, kind, province, revenue_12m (net, twelve months up to the last one billed, at the mean of those
    of which bills were delivered), growth (of the months that are on record a year before too, 6 at least; missing
    without a year before), lines, margin_12m (`margin` of the undiscounted price, less the discount), tenure_months.
    """
    return _some(view(warehouse, "business_account", as_of=as_date(as_of), margin=margin), as_of)


def servicing(
    warehouse: Queryable, as_of: date | str, *, days: int = 365, within: Mapping[str, Sequence[float]] | None = None
) -> pd.DataFrame:
    """Give the service that each customer got in the last `days` days, one row a customer who had joined.

    Columns customer_id, days_known (days of the window since joining, and since contacts are on record), a count for
    each channel and kind of ticket, wait_s (mean of hotline calls), complaint_h, fault_h, installation_h (mean of those
    closed), overdue (tickets past the promised time); missing where nobody has a contact (ticket) on record in the
    window. `within` names limits, seconds for "hotline", hours for a kind of ticket; each gives two more, for instance
    complaint_judged_24 (opened more than 24 hours before `as_of`: a case is judged if, and only if, its due time has
    passed) and complaint_within_24 (of these, closed in time). A call whose wait is known is judged at once.
    """
    asked = {"as_of": as_date(as_of), "days": days}
    found = _some(view(warehouse, "customer_service", **asked), as_of)
    overdue = found.pop("overdue")
    for event, limits in (within or {}).items():
        if event not in _UNITS:
            raise unknown("kind of case", event, _UNITS, "within")
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
        raise CannotAnswer(f"nothing is known of such customers on {as_of}. Choose a later day.")
    return found
