"""When do groups of customers use the network, and which service does each use? Counted in the warehouse."""

from __future__ import annotations

from datetime import date

import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse.connect import Warehouse
from workbench.warehouse.features import as_date
from workbench.warehouse.views import view, view_sql


def service_use(warehouse: Warehouse, as_of: date | str, *, days: int = 90, province: str = "") -> pd.DataFrame:
    """Give recency, frequency and amount of each customer by service: calls, data, messages.

    The view `service_use` for every service and customer with any event; recency_days is missing, frequency and amount
    are 0 where this one was not used. `province` takes only its customers; "" is all.

    Raises
    ------
    WorkbenchError
        If `as_of` is no day or `days` is below 1.
    CannotAnswer
        If there is no event in those days.
    """
    if days < 1:
        raise WorkbenchError("days={days}: give at least 1.").of(str(days))
    until = as_date(as_of)
    found = view(warehouse, "service_use", as_of=until, days=days, province=province)
    if found.empty:
        raise CannotAnswer("there is no event in the {days} days before {until}.").of(days, until)
    keys = [found["service"].unique(), sorted(found["customer_id"].unique())]
    whole = found.set_index(["service", "customer_id"]).reindex(pd.MultiIndex.from_product(keys))
    whole = whole.fillna({"frequency": 0.0, "amount": 0.0})
    return whole.rename_axis(["service", "customer_id"]).reset_index()


def usage_profile(warehouse: Warehouse, as_of: date | str, customers: pd.Series, *, days: int = 84) -> pd.DataFrame:
    """Count the events of groups of customers by weekday and hour.

    `customers` gives the group (cluster, segment, tier) of each customer, whom the index identifies; counted are the
    `days` before `as_of`, in whole weeks, as each weekday counts alike. One row a group, weekday (0 Monday to 6 Sunday)
    and hour that has events: group, weekday, hour, events, share (of the group's).
    """
    if days < 7 or days % 7:
        raise WorkbenchError("days={days} would count some weekdays more often than others. Give whole weeks.").of(
            str(days)
        )
    if customers.index.has_duplicates or customers.isna().any():
        raise WorkbenchError("customers names somebody twice or without a group. Give one group a customer.")
    until = as_date(as_of)
    asked = pd.DataFrame({"customer_id": customers.index.astype(str), "group": customers.to_numpy()})
    found = warehouse.query(view_sql("week_profile"), {"as_of": until, "days": days}, given={"asked": asked})
    if found.empty:
        raise CannotAnswer("none of {n} customers has an event in the {days} days before {until}.").of(
            len(asked), days, until
        )
    return found
