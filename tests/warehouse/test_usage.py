"""The week of groups of customers: every event counted once, in its hour, and what is refused."""

import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse import open_warehouse, service_use, usage_profile


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


def test_each_service_has_its_own_recency_and_days(operator):
    """Equal to the records of some customers by pandas; who did not use a service is there, as never active."""
    warehouse = open_warehouse("sample", root=operator)
    records = warehouse.query(
        "SELECT * FROM detail_record WHERE customer_id < '1000000900' "
        "AND started_at >= DATE '2026-04-02' AND started_at < DATE '2026-07-01'"
    )
    found = service_use(warehouse, "2026-07-01").set_index(["service", "customer_id"])
    assert set(found.index.levels[0]) == {"call", "data", "message"}
    assert len(found) == 3 * len(found.loc["call"])
    by = records.groupby(["kind", "customer_id"])
    last = (pd.Timestamp("2026-07-01") - by["started_at"].max().dt.normalize()).dt.days
    ours = found.loc[last.index]
    assert ours["recency_days"].tolist() == last.tolist()
    assert ours["frequency"].tolist() == by["started_at"].agg(lambda at: at.dt.normalize().nunique()).tolist()
    sums = by["duration_s"].sum() / 60, by["volume_mb"].sum(), by.size()
    for kind, amount in zip(("call", "data", "message"), sums, strict=True):
        assert ours.loc[kind, "amount"].tolist() == pytest.approx(amount[kind].tolist(), abs=1e-5)
    unused = found[found["recency_days"].isna()]
    assert len(unused) and not unused[["frequency", "amount"]].any(axis=None)
    part = service_use(warehouse, "2026-07-01", province="西藏")
    assert 0 < len(part) < len(found) / 10
    with pytest.raises(WorkbenchError, match="days=0"):
        service_use(warehouse, "2026-07-01", days=0)
    with pytest.raises(CannotAnswer, match="no event in the 90 days"):
        service_use(warehouse, "2020-01-01")


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
