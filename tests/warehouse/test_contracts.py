"""Margins of lines, by hand on four customers and against the sample operator's bills."""

from types import SimpleNamespace

import duckdb
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse import contract_margins, open_warehouse


def _days(*texts):
    return pd.to_datetime(pd.Series(texts))


LINES = pd.DataFrame(
    {
        "subscription_id": ["1", "2", "3", "4", "5", "6"],
        "customer_id": ["old", "two", "two", "new", "fresh", "late"],
        "service": ["mobile", "mobile", "fixed", "mobile", "mobile", "mobile"],
        "activated_on": _days("2020-01-01", "2020-01-01", "2020-01-01", "2026-06-01", "2026-06-21", "2026-07-02"),
        "ended_on": _days(None, None, "2026-04-30", None, None, None),
    }
)
BILLS = pd.DataFrame(
    [
        ("old", "2026-03-01", "2026-03-31", 999.0),
        *(("old", f"2026-0{m}-01", f"2026-0{m}-28", 91.0) for m in (4, 5, 6)),
        ("two", "2026-04-01", "2026-04-30", 121.0),
        ("two", "2026-06-01", "2026-06-30", 0.0),
        ("new", "2026-06-01", "2026-06-30", 90.0),
        ("fresh", "2026-06-01", "2026-06-30", 500.0),
        ("old", "2026-07-01", "2026-07-31", 999.0),
    ],
    columns=["customer_id", "month", "issued_on", "amount"],
).astype({"month": "datetime64[ns]", "issued_on": "datetime64[ns]"})


def held(bills=BILLS):
    """The two tables that are read, and their customers."""
    connection = duckdb.connect()
    people = pd.DataFrame({"customer_id": LINES["customer_id"].unique(), "province": "北京"})
    for name, rows in (("customer", people), ("subscription", LINES), ("bill", bills)):
        connection.register("rows", rows)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM rows")
    return SimpleNamespace(query=lambda sql, values=None: connection.execute(sql, values).df())


def test_margins_by_hand():
    """91 days: all of old; two and its ended line share 121 days; new has 30; fresh too few: the mean of mobile."""
    found = contract_margins(held(), "2026-07-01", margin=0.5).set_index("subscription_id")
    assert found.index.tolist() == ["1", "2", "3", "4", "5"]
    month = 91 / 3
    own = [0.5 * 273 / 91 * month, 0.5 * 121 / 121 * month, 0.5 * 90 / 30 * month]
    assert found.loc[["1", "2", "4"], "margin"].tolist() == pytest.approx(own)
    assert found.loc["5", "margin"] == pytest.approx(sum(own) / 3)
    assert pd.isna(found.loc["3", "margin"]) and found["running"].tolist() == [True, True, False, True, True]
    assert contract_margins(held(), "2026-04-30").set_index("subscription_id").loc["3", "running"]


def margins(bills):
    """Margins of the lines as of 1 July."""
    return contract_margins(held(bills), "2026-07-01").set_index("subscription_id")["margin"]


def test_a_month_not_billed_yet_is_no_month_without_pay():
    """Bills that come on the fifth: on 1 July June is unknown, for all, or for the one whose bill is late."""
    late = BILLS.assign(issued_on=BILLS["month"] + pd.DateOffset(months=1, days=4))
    assert margins(late)["1"] == pytest.approx((999 + 91 + 91) / 92 * (92 / 3))
    mixed = margins(late.assign(issued_on=late["issued_on"].where(late["customer_id"] == "old", late["month"])))
    assert mixed["1"] == pytest.approx((999 + 91 + 91) / 92 * (92 / 3))
    assert mixed["4"] == pytest.approx(90 / 30 * 91 / 3)


def test_a_month_not_delivered_is_no_month_without_pay():
    """May's bills were never delivered: old pays 91 in April, June and, as the third month known, 999 in March."""
    found = margins(BILLS[BILLS["month"] != "2026-05-01"])
    assert found["1"] == pytest.approx((999 + 91 + 91) / 91 * (91 / 3))
    assert found["4"] == pytest.approx(90 / 30 * 91 / 3)
    for month, bill in (("2026-04-01", 91.0), ("2026-03-01", 999.0)):
        found = margins(BILLS[BILLS["month"].isin(pd.to_datetime([month, "2026-06-01"]))])
        assert found["1"] == pytest.approx((bill + 91) / 2)


def test_a_source_with_one_billed_month_is_not_a_third():
    """June alone is known: old pays its 91, not a third of it."""
    found = margins(BILLS[BILLS["month"] == "2026-06-01"])
    assert found["1"] == pytest.approx(91) and found["4"] == pytest.approx(90)
    assert found["2"] == 0


def test_what_cannot_be_told_is_refused():
    """A margin of 45 is no share; without bills nothing is told."""
    with pytest.raises(WorkbenchError, match="margin=45 is a share"):
        contract_margins(held(), "2026-07-01", margin=45)
    with pytest.raises(CannotAnswer, match="no bill of the 3 months before"):
        contract_margins(held(), "2025-07-01")


def test_newcomers_bring_what_they_are_billed(operator):
    """On the sample operator newcomers with one line bring about what they are billed for their first full month."""
    warehouse = open_warehouse("sample", root=operator)
    found = contract_margins(warehouse, "2026-04-01")
    new = found[found["running"] & (found["activated_on"] >= "2026-01-01") & (found["activated_on"] < "2026-03-01")]
    only = ~new["customer_id"].isin(found.loc[found["activated_on"] < "2026-01-01", "customer_id"])
    alone = new[only & ~new["customer_id"].duplicated(keep=False)]
    bills = warehouse.table("bill")
    march = bills[bills["month"] == "2026-03-01"].groupby("customer_id")["amount"].sum()
    full = alone["customer_id"].map(march).fillna(0).mean()
    assert len(alone) > 300 and 0.85 < alone["margin"].mean() / full < 1.15
