"""What fraud rules read of each line and window: by hand on five lines, and against pandas on the sample operator."""

from datetime import date

import duckdb
import numpy as np
import pandas as pd
import pytest

from workbench.warehouse import open_warehouse, schema
from workbench.warehouse.views import view, view_sql

GIVEN = {"as_of": date(2026, 7, 1), "days": 30, "windows": 6, "premium": 3.0}


@pytest.fixture
def con():
    with duckdb.connect() as con:
        for table in schema.tables().values():
            con.execute(table.ddl())
        yield con


def put(con, table, columns, *rows):
    marks = ", ".join("?" * len(rows[0]))
    con.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)


def fill(con):
    """Line 1 calls, line 2 of the same customer is idle, line 3 is new and owes, line 4 ended, line 5 is broadband."""
    put(
        con,
        "customer",
        "customer_id, kind, joined_on",
        ("a", "person", "2026-05-10"),
        ("b", "company", "2026-05-20"),
        ("c", "person", "2019-01-01"),
    )
    put(
        con,
        "subscription",
        "subscription_id, customer_id, service, contract, activated_on, ended_on",
        ("1", "a", "mobile", "prepaid", "2026-05-10", None),
        ("2", "a", "fixed", None, "2026-06-11", None),
        ("3", "b", "mobile", "postpaid", "2026-05-20", None),
        ("4", "c", "mobile", "prepaid", "2019-01-01", "2026-05-31"),
        ("5", "c", "broadband", None, "2019-01-01", None),
    )
    put(
        con,
        "detail_record",
        "customer_id, subscription_id, started_at, kind, direction, zone, counterpart_key, duration_s, charge",
        ("c", "4", "2026-05-02 00:00:00", "data", None, "roaming", None, 9, 0.5),
        ("a", "1", "2026-06-01 10:00:00", "call", "out", "local", "x", 600, 0),
        ("a", "1", "2026-06-01 10:05:00", "call", "out", "international", "y", 60, 1.0),
        ("a", "1", "2026-06-01 10:06:30", "call", "in", "local", "z", 60, 0),
        ("a", "1", "2026-06-01 10:09:59", "call", "out", "international", "x", 120, 6.0),
        ("a", "1", "2026-06-01 10:11:59", "call", "out", "local", "x", 0, 0),
        ("a", "1", "2026-06-30 23:59:59", "call", "out", "international", "w", 30, 0.25),
        ("a", "1", "2026-06-15 00:00:00", "message", "out", "local", "v", 0, 0.1),
        ("a", "1", "2026-07-01 00:00:00", "call", "out", "local", "u", 30, 9),
    )
    put(
        con,
        "bill",
        "bill_id, customer_id, month, issued_on, due_on, recurring, usage_charge, discount, amount",
        ("b1", "b", "2026-05-01", "2026-06-03", "2026-06-23", 100, 0, 0, 100),
        ("b2", "b", "2026-06-01", "2026-06-29", "2026-07-20", 50, 0, 0, 50),
        ("c9", "c", "2026-04-01", "2026-05-03", "2026-05-23", 70, 0, 0, 70),
    )
    put(
        con,
        "payment",
        "payment_id, customer_id, bill_id, paid_on, amount",
        ("p1", "b", "b1", "2026-06-30", 30),
        ("p2", "a", None, "2026-06-02", 100),
        ("p3", "a", None, "2026-06-04", -90),
        ("p4", "a", None, "2026-05-31", 40),
        ("p5", "b", "b1", "2026-07-01", 70),
    )


def test_five_lines_by_hand(con):
    """Each feature of line 1, parts of a customer with two lines, a first bill half paid, windows that are known."""
    fill(con)
    found = con.execute(view_sql("line_fraud"), GIVEN).df()
    found["window_to"] = found["window_to"].dt.strftime("%m-%d")
    assert list(zip(found["subscription_id"], found["window_to"], strict=True)) == [
        ("1", "06-01"),
        ("1", "07-01"),
        ("2", "07-01"),
        ("3", "06-01"),
        ("3", "07-01"),
        ("4", "06-01"),
    ]
    rows = found.set_index(["subscription_id", "window_to"])
    one = rows.loc["1", "07-01"]
    assert (one["kind"], one["contract"], one["window_days"], one["age_days"]) == ("person", "prepaid", 30, 52)
    assert (one["calls"], one["numbers"], one["calls_per_number"], one["share_out"]) == (5, 3, 5 / 3, 5 / 6)
    assert (one["call_s"], one["calls_day"], one["overlapping"]) == (810 / 5, 4, 2)
    assert (one["abroad_min"], one["abroad_min_day"], one["premium_min_day"]) == (3.5, 3, 2)
    assert (one["roaming_share"], one["charge"]) == (0, 7.35)
    assert np.isnan(one["first_bill_open"])  # no bill on record
    assert (one["topups"], one["refunds"], one["refunded"], one["exposed"]) == (1, 1, 90, 7.35 + 45)
    assert rows.loc[("1", "06-01"), ["calls", "topups", "refunds", "exposed"]].tolist() == [0, 1, 0, 0]
    idle = rows.loc["2", "07-01"]
    assert idle[["calls", "numbers", "overlapping", "charge", "exposed"]].tolist() == [0, 0, 0, 0, 45]
    assert idle[["calls_per_number", "share_out", "call_s", "roaming_share"]].isna().all()
    assert rows.loc["3"]["first_bill_open"].tolist() == [0, 70]  # not due; due, and 30 of 100 paid
    assert rows.loc["3"]["exposed"].tolist() == [0, 70]
    assert np.isnan(rows.loc[("4", "06-01"), "first_bill_open"])  # the first bill was before the records
    assert rows.loc[("4", "06-01"), ["roaming_share", "charge"]].tolist() == [1, 0.5]


def test_who_is_only_called_calls_out_none(con):
    """Of calls that all came in the outgoing share is 0, not unknown: a rule on lines that only receive finds them."""
    fill(con)
    put(
        con,
        "detail_record",
        "customer_id, subscription_id, started_at, kind, direction, zone, duration_s, charge",
        ("b", "3", "2026-06-12 10:00:00", "call", "in", "local", 60, 0),
    )
    row = con.execute(view_sql("line_fraud"), GIVEN).df().set_index(["subscription_id", "window_to"])
    assert row.loc["3", "share_out"].dropna().tolist() == [0.0]


def test_what_is_unknown_is_left_out(con):
    """Without payments for bills nothing is known of open ones; without detail records there is no window."""
    fill(con)
    con.execute("DELETE FROM payment WHERE bill_id IS NOT NULL")
    assert con.execute(view_sql("line_fraud"), GIVEN).df()["first_bill_open"].isna().all()
    con.execute("DELETE FROM detail_record")
    assert con.execute(view_sql("line_fraud"), GIVEN).df().empty


def test_the_same_as_pandas(operator):
    """Numbers, calls and overlaps of the last window are what a loop over the detail records counts."""
    warehouse = open_warehouse("sample", root=operator)
    found = view(warehouse, "line_fraud", **GIVEN)
    assert found["window_to"].nunique() == 6
    last = found[found["window_to"] == found["window_to"].max()].set_index("subscription_id")
    calls = warehouse.query(
        """SELECT subscription_id, started_at, counterpart_key, duration_s FROM detail_record
        WHERE kind = 'call' AND direction = 'out' AND started_at >= DATE '2026-06-01' AND started_at < DATE '2026-07-01'
        ORDER BY 1, 2"""
    )
    calls["until"] = calls["started_at"] + pd.to_timedelta(calls["duration_s"], unit="s")
    by = calls.groupby("subscription_id")
    before = by["until"].cummax().groupby(calls["subscription_id"]).shift()
    calls["overlaps"] = (before > calls["started_at"]) & (calls["duration_s"] > 0)
    wanted = by.agg(
        calls=("until", "size"),
        numbers=("counterpart_key", "nunique"),
        overlapping=("overlaps", "sum"),
        call_s=("duration_s", "mean"),
    )
    wanted["calls_day"] = calls.groupby(["subscription_id", calls["started_at"].dt.date]).size().groupby(level=0).max()
    both = last.loc[wanted.index.intersection(last.index), wanted.columns]
    assert len(both) > 5_000 and last["overlapping"].sum() > 0
    assert np.allclose(both, wanted.loc[both.index].astype(float))
    assert last.loc[last.index.difference(wanted.index), "calls"].eq(0).all()
