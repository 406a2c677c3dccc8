"""The week of groups of customers: every event counted once, in its hour, and what is refused."""

import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse import open_warehouse, usage_profile


def test_each_event_is_counted_in_its_hour(operator):
    """Counts equal those of the records themselves; shares add up to 1; the as_of day is not in."""
    warehouse = open_warehouse("sample", root=operator)
    records = warehouse.query(
        "SELECT customer_id, started_at FROM detail_record WHERE customer_id < '1000000400' "
        "AND started_at >= DATE '2026-06-03' AND started_at < DATE '2026-07-01'"
    )
    ids = sorted(records["customer_id"].unique())
    groups = pd.Series(["odd" if int(i) % 2 else "even" for i in ids], index=ids)
    found = usage_profile(warehouse, "2026-07-01", groups, days=28)
    at = records["started_at"]
    expected = records.groupby([records["customer_id"].map(groups), at.dt.day_of_week, at.dt.hour]).size()
    assert found["events"].tolist() == expected.tolist()
    assert found[["group", "weekday", "hour"]].to_numpy().tolist() == [list(key) for key in expected.index]
    assert found.groupby("group")["share"].sum().tolist() == pytest.approx([1, 1])


def test_refused(operator):
    """Half weeks, no date, somebody twice, and customers without events."""
    warehouse, one = open_warehouse("sample", root=operator), pd.Series([1], index=["nobody"])
    with pytest.raises(WorkbenchError, match="whole weeks"):
        usage_profile(warehouse, "2026-07-01", one, days=30)
    with pytest.raises(WorkbenchError, match="is not a day"):
        usage_profile(warehouse, "July", one)
    with pytest.raises(WorkbenchError, match="twice or without a group"):
        usage_profile(warehouse, "2026-07-01", pd.Series([1, 2], index=["a", "a"]))
    with pytest.raises(CannotAnswer, match="none of 1 customers has an event"):
        usage_profile(warehouse, "2026-07-01", one)
