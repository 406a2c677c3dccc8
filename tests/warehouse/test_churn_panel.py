"""Who was a customer at each month start, and who left within the horizon: by hand, and on the sample operator."""

from datetime import date
from types import SimpleNamespace

import duckdb
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse import churn_panel, customer_features, open_warehouse
from workbench.warehouse.views import view

LINES = [
    ("stays", "postpaid", None, None),
    ("ported", "postpaid", "2026-04-30", "port_out"),
    ("paid_not", "postpaid", "2026-05-01", "non_payment"),
    ("two", "postpaid", "2026-02-01", "port_out"),
    ("two", "postpaid", "2026-05-31", "disconnect"),
    ("no_word", "postpaid", "2026-05-15", None),
    ("after", "postpaid", "2026-07-01", "port_out"),
    ("silent", "prepaid", None, None),
    ("back", "prepaid", None, None),
    ("talks", "prepaid", None, None),
    ("quiet_contract", "postpaid", None, None),
]
JOINED = pd.Timestamp("2020-01-01")
USED = {  # days of use; 90 days after 10 January end with 10 April
    "silent": ["2025-12-05", "2026-01-10"],
    "back": ["2026-01-10", "2026-05-20", "2026-06-30"],
    "talks": ["2026-01-10", "2026-04-10", "2026-06-30"],
    "quiet_contract": ["2026-01-10"],
    "stays": ["2025-12-01", "2026-06-30"],
}


@pytest.fixture
def warehouse():
    """The tables that view and features of life read."""
    people = pd.DataFrame({"customer_id": list(dict.fromkeys(line[0] for line in LINES)), "kind": "person"})
    people = people.assign(
        province="北京", gender=None, birth_year=1980, is_staff=False, joined_on=pd.Timestamp("2020-01-01")
    )
    lines = pd.DataFrame(LINES, columns=["customer_id", "contract", "ended_on", "end_reason"])
    lines = lines.assign(activated_on=JOINED, ended_on=pd.to_datetime(lines["ended_on"]))
    days = pd.DataFrame([(who, day) for who, on in USED.items() for day in on], columns=["customer_id", "started_at"])
    days = days.assign(started_at=pd.to_datetime(days["started_at"]), on_net=True, zone="local")
    con = duckdb.connect()
    for name, rows in (("customer", people), ("subscription", lines), ("detail_record", days)):
        con.register("rows", rows)
        con.execute(f"CREATE TABLE {name} AS SELECT * FROM rows")
    empty = {"usage_month": "month", "bill": "issued_on", "payment": "paid_on", "contact": "contacted_at"}
    for name, column in {**empty, "ticket": "opened_at"}.items():
        con.execute(f"CREATE TABLE {name} ({column} DATE)")
    return SimpleNamespace(query=lambda sql, values=None: con.execute(sql, values).df(), as_of=date(2026, 7, 1))


def test_exits_by_hand(warehouse):
    """The last line counts; 90 days of silence end a prepaid customer, whose next event brings them back."""
    found = view(warehouse, "customer_exit", as_of="2026-07-01", silent_days=90).set_index("customer_id")
    assert {who: (str(row.last_on.date()), row.cause) for who, row in found.iterrows()} == {
        "ported": ("2026-04-30", "port_out"),
        "paid_not": ("2026-05-01", "non_payment"),
        "two": ("2026-05-31", "disconnect"),
        "no_word": ("2026-05-15", "unknown"),
        "silent": ("2026-04-10", "silent"),
        "back": ("2026-04-10", "silent"),
    }
    assert str(found.loc["back", "back_on"].date()) == "2026-05-20" and pd.isna(found.loc["silent", "back_on"])
    early = view(warehouse, "customer_exit", as_of="2026-04-10", silent_days=90)
    assert early.empty  # nothing of as_of or later is known


def test_panel_by_hand(warehouse):
    """By month: who is there, who left by choice, and why; those silent are away until their next event."""
    found = churn_panel(warehouse, ["2026-04-01", "2026-05-01", "2026-06-01"], tables=["life"])
    table = found.table.assign(said=found.table["cause"].fillna("") + found.table["left"].map({True: "!", False: ""}))
    said = {f"{month:%m}": part.set_index("customer_id")["said"].to_dict() for month, part in table.groupby("month")}
    rest = dict.fromkeys(["after", "quiet_contract", "stays", "talks"], "")
    away = {"back": "silent!", "silent": "silent!", "ported": "port_out!"}
    assert said["04"] == {**rest, **away, "paid_not": "", "two": "", "no_word": ""}
    assert said["05"] == {**rest, "paid_not": "non_payment", "two": "disconnect!", "no_word": "unknown!"}
    assert said["06"] == {**rest, "back": ""}
    assert set(found.customers["customer_id"]) == {*rest, "back"} and not found.left_out


def test_a_longer_horizon_and_silence_not_on_record(warehouse):
    """Three months from April hold every departure; before the records reach back, silence is left out by name."""
    found = churn_panel(warehouse, 1, 3, tables=["life"])
    assert [str(month) for month in found.months] == ["2026-04-01"] and found.table["left"].sum() == 5
    found = churn_panel(warehouse, ["2026-02-01"], tables=["life"])
    assert "90 days of silence" in found.left_out[0] and not found.table["left"].any()


def test_silence_from_one_month_into_the_next(warehouse):
    """From 10 April to 20 May are 40 days: silent for 31 on 11 May, for 39 on 19 May, for 40 not before June's 41."""
    events = ["2026-04-10", "2026-05-20", "2026-06-30"]
    warehouse.query("DELETE FROM detail_record WHERE customer_id = 'talks'")
    warehouse.query("INSERT INTO detail_record SELECT 'talks', CAST(unnest(?) AS TIMESTAMP), TRUE, 'local'", [events])
    found = {}
    for days in (31, 39, 40):
        exits = view(warehouse, "customer_exit", as_of="2026-07-01", silent_days=days)
        gone = exits[exits["customer_id"] == "talks"].sort_values("last_on")
        found[days] = [(str(row.last_on.date()), str(row.back_on.date())) for row in gone.itertuples()]
    assert found == {
        31: [("2026-05-11", "2026-05-20"), ("2026-06-20", "2026-06-30")],
        39: [("2026-05-19", "2026-05-20"), ("2026-06-28", "2026-06-30")],
        40: [("2026-06-29", "2026-06-30")],
    }


def test_how_long_silence_is_a_departure_is_the_users_to_say(warehouse):
    """With 120 days those silent left a month later."""
    found = churn_panel(warehouse, ["2026-04-01", "2026-05-01"], tables=["life"], silent_days=120).table
    silent = found[found["cause"] == "silent"]
    assert {(who, f"{month:%m}") for who, month in zip(silent["customer_id"], silent["month"], strict=True)} == {
        ("silent", "05"),
        ("back", "05"),
    }


def test_what_is_refused(warehouse):
    with pytest.raises(CannotAnswer, match=r"from 2026-06-01 ends after 2026-07-01.*month of 2026-04-01"):
        churn_panel(warehouse, ["2026-06-01"], 3, tables=["life"])
    with pytest.raises(WorkbenchError, match="2026-05-02 is no month start"):
        churn_panel(warehouse, ["2026-05-02"], tables=["life"])
    for months, days in ((0, 90), (1, 30)):
        with pytest.raises(WorkbenchError, match="give 1 or more, silent_days from 31 on"):
            churn_panel(warehouse, months, silent_days=days)


def test_sample_operator(operator):
    """Features are those of each month start; who left is who is no longer there; no row knows its outcome."""
    warehouse = open_warehouse("sample", root=operator)
    found = churn_panel(warehouse, ["2026-04-01", "2026-05-01"], tables=["life", "bills"])
    first, second = (found.table[found.table["month"] == month] for month in ("2026-04-01", "2026-05-01"))
    alone = customer_features(warehouse, "2026-04-01", tables=["life", "bills"])
    pd.testing.assert_frame_equal(first[alone.columns].reset_index(drop=True), alone, check_dtype=False)
    gone = first[first["cause"].notna() & (first["cause"] != "silent")]
    assert len(gone) > 100 and not gone["customer_id"].isin(second["customer_id"]).any()
    assert set(found.table["cause"].dropna()) >= {"port_out", "disconnect", "non_payment"}
    assert not found.table.loc[found.table["cause"] == "non_payment", "left"].any()
    assert "tenure_months" in found.features and "customer_id" not in found.features
