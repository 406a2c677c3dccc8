"""The views of arrears by hand: four customers with a few bills, payments and actions."""

import duckdb
import pandas as pd
import pytest

from workbench.warehouse import sqlfiles
from workbench.warehouse.views import view_sql

BOUNCED = ((1, "2026-03-01", 50.0), (2, "2026-03-20", -50.0))
TABLES = {
    "customer": [
        ("a", "2025-01-01"),
        ("b", "2025-01-01"),
        ("c", "2025-01-01"),
        ("d", "2025-01-01"),
        *((name, "2025-01-01") for name in "efg"),
    ],
    "bill": [
        ("a1", "a", "2026-01-31", "2026-02-20", 100.0),
        ("a2", "a", "2026-02-28", "2026-03-20", 50.0),
        ("b1", "b", "2026-01-31", "2026-02-20", 80.0),
        ("c1", "c", "2026-01-31", "2026-02-20", 60.0),
        ("d1", "d", "2026-01-31", "2026-02-20", -5.0),
        ("d2", "d", "2026-01-31", "2026-02-20", 40.0),
        ("a3", "a", "2026-03-31", "2020-01-01", 70.0),
        *((f"{name}1", name, "2026-01-31", "2026-02-20", 50.0) for name in "efg"),
    ],
    "payment": [
        ("1", "a1", "2026-03-01", 30.0),
        ("2", "a1", "2026-04-05", 70.0),
        ("3", "a2", "2026-03-19", 55.0),
        ("4", "d2", "2026-02-20", 40.0),
        ("5", None, "2026-02-01", 99.0),
        *((f"{name}{n}", f"{name}1", day, paid) for name in "ef" for n, day, paid in BOUNCED),
        ("e3", "e1", "2026-04-10", 50.0),
        ("g1", "g1", "2026-02-20", 60.0),
        ("g2", "g1", "2026-03-05", -10.0),
    ],
    "subscription": [
        ("a", "2025-01-01", None, None),
        ("b", "2025-01-01", "2026-04-01", "non_payment"),
        ("c", "2025-01-01", "2026-03-02", "port_out"),
        *((name, "2025-01-01", None, None) for name in "defg"),
    ],
    "collection_action": [
        ("x1", "a1", "a", 1, "remind", "treated", "2026-02-21", 0.1),
        ("x2", "a1", "a", 2, "call", "held_out", "2026-03-28", 0.0),
        ("x3", "b1", "b", 1, "remind", "treated", "2026-02-20", 0.1),
        ("x4", "c1", "c", 1, "remind", "treated", "2026-02-21", 0.1),
        ("x5", "a3", "a", 1, "remind", "treated", "2026-04-03", 0.1),
    ],
}
COLUMNS = {
    "customer": "customer_id VARCHAR, joined_on DATE",
    "bill": "bill_id VARCHAR, customer_id VARCHAR, issued_on DATE, due_on DATE, amount DOUBLE",
    "payment": "payment_id VARCHAR, bill_id VARCHAR, paid_on DATE, amount DOUBLE",
    "subscription": "customer_id VARCHAR, activated_on DATE, ended_on DATE, end_reason VARCHAR",
    "collection_action": "action_id VARCHAR, bill_id VARCHAR, customer_id VARCHAR, stage INTEGER, action VARCHAR, "
    "arm VARCHAR, acted_on DATE, cost DOUBLE, collector VARCHAR, outcome VARCHAR",
}


@pytest.fixture(scope="module")
def ask():
    """Read a view from the tables above."""
    engine = duckdb.connect()
    for name, rows in TABLES.items():
        engine.execute(f"CREATE TABLE {name} ({COLUMNS[name]})")
        wide = len(COLUMNS[name].split(","))
        filled = [(*row, *[None] * (wide - len(row))) for row in rows]
        engine.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * wide)})", filled)

    def ask(name, **asked) -> pd.DataFrame:
        return engine.execute(view_sql(name), asked).df().set_index(sqlfiles.order(name))

    yield ask
    engine.close()


def test_bills_are_paid_on_the_day_that_covers_them(ask):
    """In parts: on the day of the last; overpaid: on the day of the payment; a credit note is no bill.

    A bill that was due before it was issued has no due day, and makes no month of its own.
    """
    found = ask("bill_history", as_of="2026-07-01")
    paid_on = found["paid_on"].dropna().dt.strftime("%m-%d").to_dict()
    assert {("a", "a1"): "04-05", ("a", "a2"): "03-19", ("d", "d2"): "02-20"}.items() <= paid_on.items()
    assert found.loc[("a", "a2"), "paid"] == 55 and ("d", "d1") not in found.index
    assert found.loc[("b", "b1"), "written_off"] and not found.loc[("c", "c1"), "written_off"]
    assert found.index[found["due_on"].isna()].tolist() == [("a", "a3")]
    before = ask("bill_history", as_of="2026-04-05")
    assert pd.isna(before.loc[("a", "a1"), "paid_on"]) and before.loc[("a", "a1"), "paid"] == 30


def test_states_go_by_the_oldest_open_bill(ask):
    """a owes 100, then 70 after a part; b is written off after March; c left before the 15th of March."""
    found = ask("account_month", as_of="2026-07-01", day=15).reset_index()
    states = found.assign(month=found["month"].dt.month).set_index(["customer_id", "month"])
    assert states.loc["a", "state"].to_dict() == {3: "21-30", 4: "paid up"}
    assert states.loc[("a", 3), ["days", "arrears", "unpaid_90"]].tolist() == [23, 70, 0]
    assert states.loc["b", "state"].to_dict() == {3: "21-30", 4: "written off"}
    assert states.loc[("b", 3), ["arrears", "unpaid_90"]].tolist() == [80, 80]
    assert states.loc["c", "state"].to_dict() == {3: "left"} and (states.loc["d", "state"] == "paid up").all()
    assert pd.isna(ask("account_month", as_of="2026-05-01", day=15).loc["a", "unpaid_90"]).all()


def test_stages_count_what_came_within_ten_days(ask):
    """30 of 100 in part, the rest on day 9; before the due day; who left by port within 90 days."""
    found = ask("collection_stage", as_of="2026-07-01")
    assert found.loc["x1", ["days", "owed", "collected"]].tolist() == [1, 100, 30] and not found.loc["x1", "settled"]
    assert found.loc["x2", ["days", "owed", "collected"]].tolist() == [36, 70, 70] and found.loc["x2", "settled"]
    assert found["days"].to_dict()["x3"] == 0
    assert found["left_90"].to_dict() == {"x1": False, "x2": False, "x3": False, "x4": True, "x5": None}
    assert pd.isna(found.loc["x5", "days"])
    early = ask("collection_stage", as_of="2026-04-06")
    assert pd.isna(early.loc["x2", "settled"]) and pd.isna(early.loc["x2", "collected"])


def test_credit_history_knows_nothing_of_later(ask):
    """On 1 April: a is 40 days late with 70, and 60 days past due never; b is by 21 April."""
    found = ask("credit_history", day="2026-04-01", as_of="2026-07-01")
    assert found.loc["a", ["arrears", "arrears_days", "bills_12m", "late_share"]].tolist() == [70, 40, 2, 0.5]
    assert found.loc["a", ["days_late_max", "days_late_last", "billed_total"]].tolist() == [40, 0, 150]
    assert found.loc[["a", "b", "d"], "late_60"].tolist() == [False, True, False] and "c" not in found.index
    assert ask("credit_history", day="2026-04-01", as_of="2026-06-30")["late_60"].isna().all()


def test_a_payment_taken_back_pays_nothing(ask):
    """e paid 50 on 1 March, of which 50 bounced on the 20th, and again on 10 April; f's never came again.

    On 15 March both were paid up, as far as was known; on 15 April e is, and f owes 50 since 20 February. A refund of
    what was paid too much takes nothing back.
    """
    found = ask("bill_history", as_of="2026-07-01")
    assert found.loc[[("e", "e1"), ("g", "g1")], "paid_on"].dt.strftime("%m-%d").tolist() == ["04-10", "02-20"]
    assert pd.isna(found.loc[("f", "f1"), "paid_on"]) and found.loc[("f", "f1"), "paid"] == 0
    months = ask("account_month", as_of="2026-07-01", day=15).reset_index()
    states = months.assign(month=months["month"].dt.month).set_index(["customer_id", "month"])
    assert states.loc["e", "state"].to_dict() == {3: "paid up", 4: "paid up"}
    assert states.loc["f", "state"].to_dict() == {3: "paid up", 4: "31-60"}
    assert (
        states.loc[("f", 4), ["days", "arrears"]].tolist() == [54, 50] and (states.loc["g", "state"] == "paid up").all()
    )
    before, after = (ask("credit_history", day=day, as_of="2026-07-01") for day in ("2026-03-15", "2026-04-01"))
    wanted = ["arrears", "arrears_days", "days_late_last"]
    assert before.loc[["e", "f", "g"], wanted].values.tolist() == [[0, 0, 9], [0, 0, 9], [0, 0, 0]]
    assert after.loc[["e", "f", "g"], wanted].values.tolist() == [[50, 40, 40], [50, 40, 40], [0, 0, 0]]
    assert after["late_60"].to_dict() == {"a": False, "b": True, "d": False, "e": False, "f": True, "g": False}
