"""When in the week do groups of customers use the network? Events by weekday and hour, counted in the warehouse."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse.connect import Warehouse

_PROFILE = """
SELECT "group", CAST(isodow(started_at) - 1 AS INTEGER) AS weekday, CAST(hour(started_at) AS INTEGER) AS hour,
    count(*) AS events, count(*) / sum(count(*)) OVER (PARTITION BY "group") AS share
FROM detail_record JOIN asked USING (customer_id)
WHERE started_at >= $since AND started_at < $until GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


def usage_profile(warehouse: Warehouse, as_of: date | str, customers: pd.Series, *, days: int = 84) -> pd.DataFrame:
    """Count the events of groups of customers by weekday and hour.

    `customers` gives the group (cluster, segment, tier) of each customer, whom the index identifies; counted are the
    `days` before `as_of`, in whole weeks, as each weekday counts alike. One row a group, weekday (0 Monday to 6 Sunday)
    and hour that has events: group, weekday, hour, events, share (of the group's).
    """
    if days < 7 or days % 7:
        raise WorkbenchError(f"days={days} would count some weekdays more often than others. Give whole weeks.")
    if customers.index.has_duplicates or customers.isna().any():
        raise WorkbenchError("customers names somebody twice or without a group. Give one group a customer.")
    try:
        until = date.fromisoformat(str(as_of))
    except ValueError:
        raise WorkbenchError(f"as_of = {as_of!r} is not a day. Give a date, or text as '2026-07-01'.") from None
    asked = pd.DataFrame({"customer_id": customers.index.astype(str), "group": customers.to_numpy()})
    with warehouse.connect() as con:
        con.register("asked", asked)
        found = con.execute(_PROFILE, {"since": until - timedelta(days=days), "until": until}).df()
    if found.empty:
        raise CannotAnswer(f"none of {len(asked):,} customers has an event in the {days} days before {until}.")
    return found
