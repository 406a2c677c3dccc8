"""What came in, what was lost and what contradicts itself: by hand, by what the sample declares, and by pandas."""

import json
from io import StringIO
from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer
from workbench.warehouse import departments, open_warehouse, quality, schema
from workbench.warehouse.views import view

# A few customers who break one rule each, and beside each somebody who nearly does. Lines are prepaid where bills do
# not matter; bills were delivered of April to June 2026.
ROWS = {
    "customer": """customer_id,kind,province,joined_on,is_staff
        ok,person,x,2025-01-01,
        billed,person,x,2025-01-01,
        unbilled,person,x,2025-01-01,false
        staff,person,x,2025-01-01,true
        half,person,x,2025-01-01,
        nobill,person,x,2025-01-01,
        noline,person,x,2025-01-01,
        shop,reseller,x,2025-01-01,
        early,person,x,2025-02-01,
        twin1,person,x,2025-01-01,
        twin2,person,x,2025-01-01,
        relay1,person,x,2025-01-01,
        relay2,person,x,2025-01-01,
        other,person,x,2025-01-01,
        gone,person,x,2025-01-01,""",
    "subscription": """subscription_id,customer_id,service,contract,activated_on,ended_on,number_key
        1,ok,mobile,postpaid,2025-01-01,,k1
        2,billed,mobile,prepaid,2025-01-01,2026-04-30,k2
        3,unbilled,mobile,,2025-01-01,,k3
        4,staff,mobile,postpaid,2025-01-01,,k4
        5,half,mobile,postpaid,2026-04-02,,k5
        6,nobill,mobile,postpaid,2025-01-01,2026-06-30,k6
        7,early,mobile,prepaid,2025-01-31,,k7
        8,twin1,mobile,prepaid,2025-01-01,2026-02-01,k8
        9,twin2,mobile,prepaid,2026-02-01,,k8
        10,relay1,mobile,prepaid,2025-01-01,2026-01-31,k9
        11,relay2,mobile,prepaid,2026-02-01,,k9
        12,other,mobile,prepaid,2025-01-01,,
        13,gone,mobile,prepaid,2025-01-01,2026-05-31,""",
    "bill": """bill_id,customer_id,month,issued_on,due_on,recurring,usage_charge,discount,amount
        b1,ok,2026-04-01,2026-04-30,2026-05-20,10,5.30,1.10,14.20
        b2,ok,2026-05-01,2026-05-31,2026-06-20,10,0,0,10
        b3,ok,2026-06-01,2026-06-30,2026-07-20,50,0,0,50
        b4,billed,2026-04-01,2026-04-30,2026-05-20,10,0,0,10
        b5,billed,2026-05-01,2026-05-31,2026-06-20,10,0,0,10
        b6,unbilled,2026-04-01,2026-04-30,2026-05-20,10,0,0,10
        b7,unbilled,2026-06-01,2026-06-30,2026-07-20,10,0,0,10.01
        b8,half,2026-05-01,2026-05-31,2026-06-20,50,0,0,50
        b9,half,2026-06-01,2026-06-30,2026-07-20,10,0,20,-10""",
    "payment": """payment_id,customer_id,bill_id,paid_on,amount
        p1,ok,b1,2026-05-05,14.10
        p2,ok,b1,2026-05-06,0.10
        p3,half,b8,2026-06-05,30
        p4,half,b8,2026-06-15,20.01
        p5,ok,b2,2026-06-05,10
        p6,ok,b2,2026-07-01,10
        p7,ok,,2026-06-05,99""",
    "detail_record": """customer_id,subscription_id,started_at,kind,zone,charge
        ok,1,2026-06-30 23:59:00,call,local,0
        gone,13,2026-05-31 23:59:00,call,local,0
        twin1,8,2026-02-02 00:00:00,call,local,0
        twin1,8,2026-01-02 00:00:00,call,local,0
        other,1,2026-03-02 00:00:00,call,local,0""",
    "usage_month": """customer_id,subscription_id,month
        gone,13,2026-05-01
        relay1,10,2026-02-01
        relay1,10,2026-01-01""",
    "ticket": """ticket_id,customer_id,kind,opened_at,closed_at
        t1,ok,fault,2026-06-02 10:00:00,2026-06-02 10:00:00
        t2,early,fault,2026-06-02 10:00:00,2026-06-02 09:59:59
        t3,ok,fault,2026-07-02 10:00:00,2026-07-01 10:00:00""",
    "holding": """customer_id,product_id,from_on,to_on
        gone,MUSIC,2026-01-01,2026-05-31
        gone,VIDEO,2026-01-01,
        gone,CLOUD,2026-02-01,2026-06-01
        ok,VIDEO,2026-01-01,""",
    "campaign": """campaign_id,name,assignment,starts_on,ends_on
        may,May,randomised,2026-05-01,2026-06-01""",
    "campaign_member": """campaign_id,customer_id,arm,assigned_on,contacted
        may,relay1,call,2026-02-01,true
        may,twin1,call,2026-02-01,true
        may,gone,control,2026-06-01,false""",
}
BROKEN = {
    ("bill_without_line", "billed", 1, "2026-05-01"),
    ("line_without_bill", "unbilled", 1, "2026-05-01"),
    ("customer_without_billing", "nobill", 3, "2026-06-01"),
    ("customer_without_line", "noline", 1, "2025-01-01"),
    ("line_before_customer", "early", 1, "2025-01-31"),
    ("number_twice", "twin1", 1, "2025-01-01"),
    ("number_twice", "twin2", 1, "2026-02-01"),
    ("payment_over_bill", "half", 1, "2026-06-15"),
    ("bill_not_adding_up", "unbilled", 1, "2026-06-01"),
    ("record_outside_line", "twin1", 1, "2026-02-02"),
    ("record_on_another_line", "other", 1, "2026-03-02"),
    ("usage_outside_line", "relay1", 1, "2026-02-01"),
    ("ticket_closed_early", "early", 1, "2026-06-02"),
    ("product_after_leaving", "gone", 2, "2026-02-01"),
    ("campaign_after_leaving", "relay1", 1, "2026-02-01"),
}


class Tables:
    """The canonical tables in memory, filled from text."""

    def __init__(self, texts, order=1):
        self.connection = duckdb.connect()
        for table in schema.tables().values():
            self.connection.execute(table.ddl())
        for name, text in texts.items():
            rows = pd.read_csv(StringIO(text), dtype="str", skipinitialspace=True)[::order]
            casts = ", ".join(f"CAST({c} AS {schema.table(name).column(c).sql_type})" for c in rows)
            self.connection.register("rows", rows)
            self.connection.execute(f"INSERT INTO {name} ({', '.join(rows)}) SELECT {casts} FROM rows")

    def query(self, sql, parameters=()):
        return self.connection.cursor().execute(sql, parameters).df()


def _found(texts, order=1):
    rows = view(Tables(texts, order), "customer_contradiction", as_of="2026-07-01")
    days = rows["latest_on"].astype(str).str[:10]
    return {*zip(rows["rule"], rows["customer_id"], rows["cases"], days, strict=True)}


@pytest.mark.parametrize("order", [1, -1])
def test_each_rule_finds_who_breaks_it_and_not_who_nearly_does(order):
    """Last days count, months without bills do not, staff and prepaid lines need none, later is not known."""
    assert _found(ROWS, order) == BROKEN


@pytest.mark.parametrize("table", [name for name in ROWS if name != "campaign"])
def test_a_rule_is_not_tried_without_its_tables(table):
    """A table that was not delivered makes nobody a contradiction who was none."""
    found = _found({name: text for name, text in ROWS.items() if name != table})
    assert {row[:2] for row in found} < {row[:2] for row in BROKEN}


@pytest.fixture(scope="module")
def warehouse(operator):
    return open_warehouse("sample", root=operator)


def test_lost_records_and_copies_are_those_that_the_sample_declares(warehouse, operator):
    """Each bad row of a file is lost, or a copy of a good one; detail records have no key, so all are lost."""
    declared = json.loads((operator / "data/raw/sample/truth/declared.json").read_text("utf-8"))["files"]
    account = warehouse.account().drop_duplicates("file").set_index("file")["table"]
    bad = pd.Series({file: told["bad_rows"] for file, told in declared.items()}).groupby(account).sum()
    found = quality.refusals(warehouse).set_index("table")
    assert (found["lost"] + found["copies"]).reindex(bad.index).equals(bad)
    assert found.loc["detail_record", "lost"] == bad["detail_record"] > 10_000
    assert found["department"].to_dict() == {t: d for t, d in departments(warehouse).items() if t in found.index}
    assert departments(warehouse)["bill"] == "billing" and departments(warehouse)["holding"] == "crm"


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ([f"bill_2026{m:02}.csv" for m in range(1, 7)], "billing"),
        ([f"2026-{m:02}/bill.csv" for m in range(1, 7)], "billing"),
        (["2026年1月/财务部/账单.csv", "2026年2月/财务部/账单.csv"], "财务部"),
        (["finance.zip/bill_1.csv", "finance/bill_2.csv", "mapping.toml"], "finance"),
    ],
)
def test_a_department_is_never_a_file_nor_a_month(files, named):
    account = pd.DataFrame({"file": files, "table": "bill"})
    assert departments(SimpleNamespace(account=lambda: account)) == {"bill": named}


def test_customers_of_lost_records_by_pandas_on_the_raw_files(warehouse, operator):
    """Who is named by a bad call, message or session of the six files, told by pandas from the files alone."""
    raw = operator / "data/raw/sample"
    lines = pd.read_csv(raw / "crm/用户资料.txt", sep="|", encoding="gb18030", dtype=str, on_bad_lines="skip")
    columns = ["cust_id", "serv_id", "cdr_type", "duration", "start_time"]
    calls = pd.concat(pd.read_parquet(file, columns=columns) for file in (raw / "cdr").glob("*.parquet"))
    good = (
        calls["cdr_type"].isin(["01", "02", "03"])
        & calls["duration"].between(0, 86_400)
        & calls["start_time"].notna()
        & calls["serv_id"].isin(lines["用户编号"].astype(calls["serv_id"].dtype))
    )
    people = pd.read_csv(raw / "crm/客户资料.csv", encoding="gb18030", dtype=str)["客户编号"]
    named = set(calls.loc[~good, "cust_id"].astype(str)) & set(people)
    found = quality.refusals(warehouse).set_index("table").loc["detail_record"]
    assert (~good).sum() == found["lost"]
    assert len(named) == found["customers"] > 1_000


def test_deliveries_by_pandas(warehouse):
    """Bills and contacts by month, as pandas counts them in the tables."""
    found = quality.deliveries(warehouse, "2026-07-01").set_index(["table", "month"])
    for table, day in (("bill", "month"), ("contact", "contacted_at"), ("payment", "paid_on")):
        rows = warehouse.table(table, ["customer_id", day])
        by = rows.groupby(rows[day].dt.to_period("M").dt.to_timestamp())["customer_id"]
        ours = found.loc[table]
        assert np.array_equal(ours["records"], by.size()) and np.array_equal(ours["customers"], by.nunique())
    accepted = warehouse.account().groupby("table")["accepted"].sum()
    assert found.loc["detail_record", "records"].sum() == accepted["detail_record"]


def test_a_day_outside_the_data_is_refused(warehouse):
    with pytest.raises(CannotAnswer, match="outside the data"):
        quality.deliveries(warehouse, "2020-01-01")


def test_completeness_by_pandas(warehouse):
    """Every column that may lack a value, as pandas counts it; a map without an entry is empty."""
    found = quality.completeness(warehouse).set_index(["table", "column"])["filled"]
    for table in ("customer", "subscription", "ticket", "survey_response"):
        rows = warehouse.table(table)
        for column in found.loc[table].index:
            filled = rows[column].map(bool) if column == "items" else rows[column].notna()
            assert found[table, column] == filled.sum(), (table, column)


def test_what_no_file_fills_is_not_mapped(warehouse):
    """The mapping tells a column that is empty in what was delivered from one that no file fills."""
    found = quality.completeness(warehouse)
    mapped = warehouse.query("SELECT value FROM facts WHERE name = 'mapped'")["value"].iloc[0].split()
    names = found["table"] + "." + found["column"]
    assert "bill.month" in mapped and "tariff.price_mb" in mapped and found["mapped"].equals(names.isin(mapped))


def test_the_sample_contradicts_itself_nowhere(warehouse):
    """Its bad rows are refused at the door; what came in is of one piece."""
    assert quality.contradictions(warehouse, "2026-07-01").empty
