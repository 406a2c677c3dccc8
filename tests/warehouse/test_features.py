"""The features, worked out by hand for fourteen customers as of 2026-07-01, and what any feature must hold."""

import tomllib
from datetime import date, timedelta
from io import StringIO
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import sqlglot
from scipy.stats import theilslopes
from sqlglot import exp

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse import features, open_warehouse, schema, sqlfiles
from workbench.warehouse.features import (
    begins,
    customer_features,
    feature_dictionary,
    feature_file,
    features_sql,
    spans,
)

ROOT = Path(__file__).resolve().parents[2]
AS_OF = date(2026, 7, 1)
CUSTOMERS = tomllib.loads(Path(__file__).with_name("fourteen_customers.toml").read_text(encoding="utf-8"))


class Tables:
    """The canonical tables in memory, filled from text."""

    def __init__(self, texts: dict[str, str] | None = None):
        self.connection = duckdb.connect()
        for table in schema.tables().values():
            self.connection.execute(table.ddl())
        for name, text in (texts or {}).items():
            self.insert(name, pd.read_csv(StringIO(text), dtype="str"))

    def insert(self, name: str, rows: pd.DataFrame) -> None:
        casts = ", ".join(f"CAST({c} AS {schema.table(name).column(c).sql_type})" for c in rows.columns)
        self.connection.register("rows", rows)
        self.connection.execute(f"INSERT INTO {name} ({', '.join(rows.columns)}) SELECT {casts} FROM rows")
        self.connection.unregister("rows")

    def execute(self, sql: str) -> None:
        self.connection.execute(sql)

    def query(self, sql, parameters=()) -> pd.DataFrame:
        return self.connection.cursor().execute(sql, parameters).df()


@pytest.fixture(scope="module")
def by_customer() -> pd.DataFrame:
    return customer_features(Tables(CUSTOMERS), AS_OF).set_index("customer_id")


def test_a_stray_row_of_long_ago_begins_nothing():
    """By hand: 60 rows in April to June and strays of 2003 and 2011; a twentieth may stand before, not more."""
    rows = [f"b{k},c,2026-0{4 + k % 3}-01,2026-0{4 + k % 3}-28,2026-07-15,1,0,0,1" for k in range(60)]
    head = "bill_id,customer_id,month,issued_on,due_on,recurring,usage_charge,discount,amount\n"
    calls = [f"c,s,2026-0{4 + k % 3}-09,call,local,0" for k in range(57)]
    over = "customer_id,subscription_id,started_at,kind,zone,charge\n"
    stray = ["c,s,2003-05-01,call,local,0", "c,s,2003-05-02,call,local,0", "c,s,2011-01-31,call,local,0"]
    held = Tables({"bill": head + "\n".join(rows), "detail_record": over + "\n".join(calls + stray)})
    assert spans(held)["detail_record"] == (date(2026, 4, 9), date(2026, 6, 9))
    assert spans(held)["bill"] == (date(2026, 4, 28), date(2026, 6, 28)) and begins(held, "payment") is None
    with pytest.raises(CannotAnswer, match="those on record run from 2026-04-09 to 2026-06-09"):
        features.require_use(held, "2026-05-01")  # 22 of the 90 days; the strays covered them
    held.execute("INSERT INTO detail_record SELECT * FROM detail_record WHERE started_at < DATE '2004-01-01'")
    assert begins(held, "detail_record") == date(2003, 5, 1)  # 4 of 62 are no stray rows


def test_a_stray_row_of_the_future_ends_nothing():
    """By hand: 57 calls to June 2026 and strays of 2031 and 2040: a later as_of is refused, as without them."""
    calls = [f"c,s,2026-0{1 + k % 6}-09,call,local,0" for k in range(57)]
    stray = ["c,s,2031-05-02,call,local,0", "c,s,2040-01-31,call,local,0"]
    over = "customer_id,subscription_id,started_at,kind,zone,charge\n"
    months = "customer_id,subscription_id,month\n" + "\n".join(f"c{k},s,2026-0{1 + k % 5}-01" for k in range(40))
    held = Tables({"detail_record": over + "\n".join(calls + stray), "usage_month": months + "\nd,s,2031-02-01"})
    held.insert("ticket", pd.DataFrame({"ticket_id": ["a"], "customer_id": ["c"], "opened_at": ["2026-02-03"]}))
    ends = {fact: last for fact, (_, last) in spans(held).items()}
    assert ends == {"detail_record": date(2026, 6, 9), "usage_month": date(2026, 5, 31), "ticket": date(2026, 2, 3)}
    with pytest.raises(CannotAnswer, match="Choose a day from 2026-01-02 to 2026-06-10"):
        customer_features(held, "2029-01-01")
    with pytest.raises(CannotAnswer, match="those on record run from 2026-01-09 to 2026-06-09"):
        features.require_use(held, "2026-08-01")
    for _ in range(2):
        held.execute("INSERT INTO detail_record SELECT * FROM detail_record WHERE started_at > DATE '2039-01-01'")
    assert spans(held)["detail_record"] == (date(2026, 1, 9), date(2040, 1, 31))  # 4 of 62 are no stray rows


def holds(frame: pd.DataFrame, expected: str) -> None:
    """Compare with a table of text: customer_id and the columns it names; an empty cell is missing."""
    lines = "\n".join(line.split("#")[0].strip().replace(" ", "") for line in expected.strip().splitlines())
    wanted = pd.read_csv(StringIO(lines), index_col="customer_id")
    found = frame.loc[wanted.index, wanted.columns]
    texts = list(wanted.select_dtypes(exclude="number").columns)
    wanted[texts] = wanted[texts].astype("str")
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False, rtol=1e-12, atol=0)


def test_population(by_customer):
    """Gone (c07) and not yet joined (c09) are out; the last day of a line (c08), or no line known (c10, c14), is in."""
    assert list(by_customer.index) == [f"c{n:02}" for n in (1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14)]


def test_life(by_customer):
    """Tenure counts complete months; lines and prepaid share count what runs on as_of."""
    # c01: 2020-01 to 2026-07 is 78 months, the 78th not complete on the 1st. c03: 4 months less one. c08: 11 years;
    # three of four lines run, of the two with a known contract one is prepaid. c10 has no line, c14 none begun.
    holds(
        by_customer,
        """customer_id, tenure_months, lines, prepaid_share
        c01, 77, 1, 0
        c02, 85, 1, 1
        c03, 3, 1, 0
        c06, 0, 1, 0
        c08, 132, 3, 0.5
        c10, 4, 0,
        c14, 1, 0,""",
    )
    assert by_customer["is_staff"].to_dict()["c04"] and not by_customer["is_staff"].to_dict()["c02"]
    assert by_customer.loc["c01", ["kind", "province", "gender", "birth_year"]].tolist() == [
        "person",
        "北京",
        "female",
        1980,
    ]
    assert pd.isna(by_customer.loc["c03", "gender"])


def test_activity(by_customer):
    """Recency reaches to the oldest record, frequency counts the distinct days of the last 90."""
    # c01: 04-02, 06-27, 06-28, 06-30; neither 04-01 nor 07-01. c05: 03-20 is 11+30+31+30+1 days ago. c06: no event.
    holds(
        by_customer,
        """customer_id, recency_days, frequency
        c01, 1, 4
        c02, 30, 1
        c03, 2, 1
        c04, 31, 1
        c05, 103, 0
        c06, , 0
        c08, 16, 1""",
    )


def test_frequency_trend(by_customer):
    """The slope is the median over pairs of months, over the mean; the state follows the written rule."""
    # c01: 20 throughout. c02: -4 a month, mean 20. c03: joined in March, so April-June 10, 13, 16: 3 / 13.
    # c04, c05, c11, c12: no usage in any month, mean 0. c06, c14: less than 3 full months.
    # c08: 10, 10, 0 (no row), 10, 10, 10, lines added: of 15 slopes 10 are 0, and the 8th is one of them.
    # c10: joined on 03-01, 4, 8, 6, 6: slopes -2, -1, 0, 2/3, 1, 4, median 1/3, mean 6.
    # c13: 9, 10, 11: exactly 0.1, which is not above it.
    # States: c04 last used 31 days ago; c06 is younger than 30 days; c14 is 42 days old and was never seen.
    holds(
        by_customer,
        f"""customer_id, frequency_trend, frequency_state
        c01, 0, stable
        c02, -0.2, falling
        c03, {3 / 13}, rising
        c04, , silent
        c05, , lost
        c06, ,
        c08, 0, stable
        c10, {1 / 18}, stable
        c11, , lost
        c12, , lost
        c13, 0.1, stable
        c14, , silent""",
    )


def test_usage_mix(by_customer):
    """Monthly means are over the full months of life, shares over the events of the last 90 days."""
    # c01: six events: night 04-02 00:00, 06-27 22:00, 06-28 05:59:59, 06-30 23:00; weekend 06-27 and 06-28 (Saturday
    # and Sunday), two events each; on-net known for three; k1, k2, k3. c03: (3 + 3 + 6) / 3. c05: months of 0, no
    # event. c06: no full month. c08: lines added in June, (0 + 0 + 30) / 3.
    holds(
        by_customer,
        f"""customer_id, call_min_month, data_mb_month, messages_month
        c01, 60, {600.5 / 3}, 1
        c03, 4, 0, 0
        c05, 0, 0, 0
        c06, , ,
        c08, 10, 0, 0""",
    )
    holds(
        by_customer,
        f"""customer_id, night_share, weekend_share, on_net_share, roaming_share, international_share, counterparts
        c01, {4 / 6}, {4 / 6}, {2 / 3}, {1 / 6}, {1 / 6}, 3
        c02, 0, 0, 0, 0, 0, 1
        c05, , , , , , 0
        c06, , , , , , 0""",
    )


def test_bills(by_customer):
    """Monetary is the mean of the last three billed months of life; the year has the bills issued in it."""
    # Billed months known: February to May, as June's run is on 07-05. c01: (50 + 60 + 70) / 3. c02: no May bill yet,
    # so (30 + 40 + 50) / 3. c03: joined in March, no May bill: April alone. c04: (30 + 0 + 60) / 3. c05: months of 0.
    # c06: no full month. c08: (15 + 15 + 20 - 5) / 3. c01's year: 40 + 50 + 50 + 60 + 70, gross 280.
    # c08's year: 15 + 15 + 20 - 5; gross 15 + 15 + 20 + 5, discount 10.
    holds(
        by_customer,
        f"""customer_id, monetary, billed_12m, bills_12m, discount_share
        c01, 60, 270, 5, {10 / 280}
        c02, 40, 120, 3, 0
        c03, 40, 50, 2, 0
        c04, 30, 90, 2, 0
        c05, 0, 0, 0,
        c06, , 0, 0,
        c08, 15, 45, 4, {10 / 55}
        c11, 0, 4095, 12, 0""",
    )


def test_a_year_of_credits_has_no_discount_share():
    """Fees of 20, then 25 credited: -5 in all, of which a discount is no share; ARPU is (0 + 20 - 26) / 3."""
    more = "b05-16,c05,2026-04-01,2026-05-05,2026-05-20,20,0,0,20\n"
    more += "b05-17,c05,2026-05-01,2026-06-05,2026-06-20,-25,0,1,-26\n"
    found = customer_features(Tables(CUSTOMERS | {"bill": CUSTOMERS["bill"] + more}), AS_OF).set_index("customer_id")
    holds(found, "customer_id, monetary, billed_12m, bills_12m, discount_share\nc05, -2, -6, 2,")


def test_arrears(by_customer):
    """What is open past its due day falls into the bucket of its age; days past due run to as_of."""
    # c01: 69.9 + 0.1 pay 70 exactly. c02: 50 less 20, the 30 of 07-01 come too late; due 05-20, 42 days. c04: 60 paid
    # and refunded, due 06-20, 11 days; the 20 too much on another bill don't help. c08: a credit note is no debt.
    # c11: each power of two on an edge of a bucket; the bill due on 07-01 is not overdue.
    holds(
        by_customer,
        """customer_id, arrears, arrears_days, arrears_0_10, arrears_11_20, arrears_21_30, arrears_31_60, arrears_61_90, arrears_90_plus
        c01, 0, , 0, 0, 0, 0, 0, 0
        c02, 30, 42, 0, 0, 0, 30, 0, 0
        c04, 60, 11, 0, 60, 0, 0, 0, 0
        c05, 0, , 0, 0, 0, 0, 0, 0
        c08, 0, , 0, 0, 0, 0, 0, 0
        c11, 2047, 91, 3, 12, 48, 192, 768, 1024""",  # noqa: E501
    )


def test_payments(by_customer):
    """Payments of the last 90 days are counted, refunds only lower the sum."""
    holds(
        by_customer,
        """customer_id, payments_90d, paid_90d, days_since_payment
        c01, 4, 180, 11
        c05, 0, -5,
        c10, 1, 100, 1
        c11, 0, 0,""",
    )


def test_service(by_customer):
    """Contacts, tickets and broken promises are those known on as_of."""
    # Waits 30 and 60 of three hotline calls. k1 is open but older than 180 days; k4 closed only on 07-01, so it is
    # open, and late as its promise passed on 06-25; k2 was closed a day late; k3 is not due yet; k5 was early.
    holds(
        by_customer,
        """customer_id, contacts_90d, hotline_90d, wait_s_mean, complaints_180d, faults_180d, open_tickets, overdue_tickets_180d
        c12, 5, 3, 45, 1, 2, 3, 2
        c01, 0, 0, , 0, 0, 0, 0""",  # noqa: E501
    )


def test_holdings_and_campaigns(by_customer):
    """Products held on as_of count once; campaigns count where they reached the customer within 180 days."""
    # c13 holds music (twice) and video (its last day); a1 and a2 reached it (a2 dated by its beginning).
    holds(
        by_customer,
        """customer_id, products_held, product_fee, campaigns_180d
        c13, 2, 15.5, 2
        c12, 0, 0, 0""",
    )


def test_nothing_later_enters(by_customer):
    """Taking everything from the tables that happened on as_of or later changes no feature."""
    tables = Tables(CUSTOMERS)
    for table, column in [
        ("detail_record", "started_at"),
        ("usage_month", "month"),
        ("bill", "issued_on"),
        ("payment", "paid_on"),
        ("contact", "contacted_at"),
        ("ticket", "opened_at"),
        ("holding", "from_on"),
        ("campaign_member", "assigned_on"),
        ("subscription", "activated_on"),
        ("customer", "joined_on"),
    ]:
        tables.execute(f"DELETE FROM {table} WHERE {column} >= DATE '2026-07-01'")
    for table, column in [("ticket", "closed_at"), ("holding", "to_on"), ("subscription", "ended_on")]:
        tables.execute(f"UPDATE {table} SET {column} = NULL WHERE {column} >= DATE '2026-07-01'")
    pd.testing.assert_frame_equal(customer_features(tables, "2026-07-01").set_index("customer_id"), by_customer)


def test_order_of_rows_does_not_matter(by_customer):
    """Tables written in reverse give the same features to the last bit."""
    reverse = {}
    for name, text in CUSTOMERS.items():
        head, *rows = text.strip().splitlines()
        reverse[name] = "\n".join([head, *reversed(rows)])
    frame = customer_features(Tables(reverse), AS_OF).set_index("customer_id")
    pd.testing.assert_frame_equal(frame, by_customer, check_exact=True)


def test_empty_tables_know_nothing():
    """With customers alone every customer is active, and what other tables feed is missing, not 0."""
    frame = customer_features(Tables({"customer": CUSTOMERS["customer"]}), AS_OF).set_index("customer_id")
    assert len(frame) == 13
    assert (
        frame.drop(columns=["kind", "province", "gender", "birth_year", "is_staff", "tenure_months"])
        .isna()
        .all(axis=None)
    )


def test_column_types_do_not_depend_on_the_data(by_customer):
    """Text is str, flags are bool and every number float64, whether a table is empty or not."""
    bare = customer_features(Tables({"customer": CUSTOMERS["customer"]}), AS_OF).set_index("customer_id")
    assert bare.dtypes.equals(by_customer.dtypes)
    assert set(map(str, bare.dtypes)) == {"str", "bool", "float64"}


def test_payments_alone(by_customer):
    """A source of purchases has features of payment, and needs no detail records."""
    tables = Tables({name: CUSTOMERS[name] for name in ("customer", "payment")})
    frame = customer_features(tables, AS_OF).set_index("customer_id")
    wanted = by_customer[["payments_90d", "paid_90d", "days_since_payment"]]
    pd.testing.assert_frame_equal(frame.loc[wanted.index, wanted.columns], wanted)


def test_months_without_any_row_are_not_zeros():
    """A month that usage_month does not hold for anyone is unknown, and three are needed for a trend."""
    tables = Tables(CUSTOMERS)
    tables.execute("DELETE FROM usage_month WHERE month IN (DATE '2026-06-01', DATE '2026-01-01')")
    frame = customer_features(tables, AS_OF).set_index("customer_id")
    # c02: 26, 22, 18, 14: -4 over 20. c13: April and May are two months. c01: (30 + 60) / 2.
    assert frame.loc["c02", "frequency_trend"] == -0.2
    assert np.isnan(frame.loc["c13", "frequency_trend"])
    assert frame.loc["c01", "call_min_month"] == 45


def test_trend_is_theil_sen():
    """On random months of use the trend is scipy's Theil-Sen slope over the mean."""
    rng = np.random.default_rng(0)
    days = rng.integers(0, 31, size=(40, 6))
    months = [date(2026, m, 1) for m in range(1, 7)]
    ids = [f"r{i:02}" for i in range(40)]
    tables = Tables()
    tables.insert(
        "customer", pd.DataFrame({"customer_id": ids, "kind": "person", "province": "x", "joined_on": "2020-01-01"})
    )
    rows = [(c, c, str(m), int(d)) for c, row in zip(ids, days, strict=True) for m, d in zip(months, row, strict=True)]
    tables.insert("usage_month", pd.DataFrame(rows, columns=["customer_id", "subscription_id", "month", "active_days"]))
    found = customer_features(tables, AS_OF, tables=["frequency_trend"])["frequency_trend"]
    wanted = [theilslopes(row).slope / row.mean() for row in days]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-15)


def test_chosen_files_alone(by_customer):
    """tables= runs the named files beside life, with the same values."""
    frame = customer_features(Tables(CUSTOMERS), AS_OF, tables=["frequency_trend"]).set_index("customer_id")
    assert list(frame)[-2:] == ["frequency_trend", "frequency_state"] and "frequency" not in frame
    pd.testing.assert_frame_equal(frame, by_customer[list(frame)])


def test_a_province_is_a_part_of_all(operator):
    """On the sample operator: what is asked of one province is what all hold of it, by every file."""
    warehouse = open_warehouse("sample", root=operator)
    every = customer_features(warehouse, "2026-04-01")
    for province in ("西藏", "广东"):
        theirs = every[every["province"] == province].reset_index(drop=True)
        pd.testing.assert_frame_equal(customer_features(warehouse, "2026-04-01", province=province), theirs)
    with pytest.raises(WorkbenchError, match="no province '广冬' in the customers"):
        customer_features(warehouse, "2026-04-01", province="广冬")


@pytest.mark.parametrize("as_of", ["2026-07-01", AS_OF, pd.Timestamp("2026-07-01")])
def test_as_of_forms(as_of, by_customer):
    """A date, its ISO text and a midnight mean the same day."""
    assert len(customer_features(Tables(CUSTOMERS), as_of, tables=[])) == len(by_customer)


@pytest.mark.parametrize("as_of", ["July", "2026-13-01", "2026-07-01 10:00", 20260701, None])
def test_refuses_what_is_no_day(as_of):
    """Anything but a day is refused, with an example."""
    with pytest.raises(WorkbenchError, match=r"is not a day\. Give a date, or text as '2026-07-01'"):
        customer_features(Tables(CUSTOMERS), as_of)


@pytest.mark.parametrize("as_of", ["2025-06-30", "2026-08-02"])
def test_refuses_a_day_outside_the_data(as_of):
    """A day before the first or after the last fact is refused, and the range named."""
    # The first is a bill issued on 2025-06-30, the last a month of use, July 2026.
    with pytest.raises(CannotAnswer, match=r"outside the data\. Choose a day from 2025-07-01 to 2026-08-01"):
        customer_features(Tables(CUSTOMERS), as_of)


def test_the_declared_end_of_the_data_counts():
    """A warehouse that declares a later as_of is believed, where no detail record contradicts it."""
    tables = Tables({name: CUSTOMERS[name] for name in ("customer", "payment")})
    with pytest.raises(CannotAnswer, match="from 2025-07-21 to 2026-07-02"):
        customer_features(tables, "2026-07-05")
    tables.as_of = date(2026, 7, 5)
    assert len(customer_features(tables, "2026-07-05")) == 14


@pytest.mark.parametrize("as_of", ["2026-04-04", "2026-07-05"])
def test_refuses_detail_records_that_do_not_cover(as_of):
    """Undercounts are refused with the first and last detail record; the other features remain."""
    with pytest.raises(
        CannotAnswer, match=r"run from 2026-01-05 to 2026-07-01\. Choose an as_of from 2026-04-05 to 2026-07-02"
    ):
        customer_features(Tables(CUSTOMERS), as_of, tables=["activity"])
    assert len(customer_features(Tables(CUSTOMERS), as_of, tables=["bills"]))


@pytest.mark.parametrize("is_stored", [False, True])
def test_without_use_all_is_as_if_there_were_no_detail_records(is_stored):
    """Where they end before the day that is asked for, the rest is known; and what is refused is said."""
    whole, none = Tables(CUSTOMERS), Tables(CUSTOMERS | {"detail_record": CUSTOMERS["detail_record"].split("\n")[0]})
    for name in features.STORED if is_stored else ():
        whole.execute(f"CREATE TABLE {name} AS {feature_file(name)}")
    frame = customer_features(whole, "2026-07-05", use=False)
    pd.testing.assert_frame_equal(frame, customer_features(none, "2026-07-05"), check_exact=True)
    assert frame["frequency"].isna().all() and frame["call_min_month"].notna().any()
    with pytest.raises(CannotAnswer, match=r"left out as of 2026-07-05.* run from 2026-01-05 to 2026-07-01"):
        features.require_use(whole, "2026-07-05")
    assert features.require_use(whole, AS_OF) is None and features.require_use(none, "2026-07-05") is None


def test_refuses_an_unknown_file():
    """A name that is no feature file is refused with the nearest."""
    with pytest.raises(WorkbenchError, match=r"no feature file 'bill'\. Did you mean 'bills'"):
        customer_features(Tables(CUSTOMERS), AS_OF, tables=["bill"])


def test_refuses_when_nobody_is_active():
    """A warehouse without customers gives no empty table but the reason."""
    with pytest.raises(CannotAnswer, match="no customer is active on 2026-07-01"):
        customer_features(Tables(), AS_OF)


def test_every_column_is_described(by_customer):
    """The dictionary has the columns of the table, in its order, each with a sentence, and nothing else."""
    dictionary = feature_dictionary()
    assert list(dictionary["name"]) == ["customer_id", *by_customer.columns]
    assert dictionary["meaning"].str.endswith(".").all()
    units = dictionary.set_index("name")["unit"]
    numbers = by_customer.select_dtypes("number").columns
    assert (units[numbers] != "").all() and (units.drop(numbers) == "").all()


def test_every_file_gives_one_row_a_customer():
    """Each feature file alone gives the described columns, one row a customer who joined before as_of."""
    tables = Tables(CUSTOMERS)
    for name in (*features.PARTIALS, *features.SUBJECTS):
        literal = feature_file(name).replace("$as_of", "'2026-07-01'")
        tables.execute(f"CREATE VIEW {name} AS {literal}")
    for name in features.SUBJECTS:
        frame = tables.query(f"SELECT * FROM {name}")
        described = [column for column, _, _ in sqlfiles.described(name)]
        assert list(frame)[1:] == [c for c in described if c != "customer_id"], name
        assert frame["customer_id"].is_unique and len(frame) == (12 if name == "life" else 13), name


def test_files_and_names_agree():
    """Every SQL file of the folder is run, and only those."""
    folder = ROOT / "src/workbench/warehouse/features"
    assert {p.stem for p in folder.glob("*.sql")} == set(features.SUBJECTS)
    assert {p.stem for p in folder.glob("partial/*.sql")} == set(features.PARTIALS)


@pytest.mark.parametrize(("page", "language"), [("features.md", "en"), ("zh/features.md", "zh")])
def test_page_is_current(page, language):
    """Both are what the files say; `python -m workbench.warehouse.features LANGUAGE > docs/PAGE` writes them."""
    assert (ROOT / "docs" / page).read_text(encoding="utf-8") == features.dictionary_markdown(language)


def test_composed_query_is_one_statement():
    """The composed query parses as one SELECT whose files stand after what they read."""
    tree = sqlglot.parse_one(features_sql(), read="duckdb")
    names = [cte.alias for cte in tree.args["with_"].expressions]
    assert isinstance(tree, exp.Select) and set(names) == {*features.PARTIALS, *features.SUBJECTS}
    assert names.index("recent_use") < names.index("activity") < names.index("frequency_trend")


def test_windows_end_the_day_before():
    """Moving as_of by a day moves an event out of, or into, the 90 days and never by more."""
    tables = Tables(CUSTOMERS)
    counts = [
        customer_features(tables, AS_OF + timedelta(days=n), tables=["activity"]).set_index("customer_id")["frequency"]
        for n in (-1, 0, 1)
    ]
    # c01 on 06-30: 04-01, 04-02, 06-27, 06-28. On 07-01: 04-02 … 06-30. On 07-02: 06-27, 06-28, 06-30, 07-01.
    assert [c["c01"] for c in counts] == [4, 4, 4]
    assert all((b - a).abs().max() <= 1 for a, b in pairwise(counts))


@pytest.mark.parametrize("as_of", ["2026-04-05", "2026-04-30", "2026-06-01", "2026-06-30", "2026-07-01", "2026-07-02"])
def test_stored_partials_change_nothing(as_of):
    """Features from partials stored month by month equal those from the detail records, wherever the window begins."""
    plain, stored = Tables(CUSTOMERS), Tables(CUSTOMERS)
    rng = np.random.default_rng(0)
    at = pd.Timestamp("2026-01-05") + pd.to_timedelta(rng.integers(0, 178 * 1440, 3_000), unit="min")
    who = [f"c{n:02}" for n in rng.integers(1, 15, 3_000)]
    rows = pd.DataFrame({"customer_id": who, "subscription_id": "s", "kind": "call", "started_at": at.astype("str")})
    rows["counterpart_key"] = [f"k{n}" for n in rng.integers(0, 300, 3_000)]
    for tables in (plain, stored):
        tables.insert("detail_record", rows)
    for name in features.STORED:
        stored.execute(f"CREATE TABLE {name} AS {feature_file(name)}")
    chosen = ["activity", "usage_mix"]
    assert "customer_day AS MATERIALIZED" not in features_sql(chosen, stored=features.STORED)
    frame = customer_features(stored, as_of, tables=chosen)
    pd.testing.assert_frame_equal(frame, customer_features(plain, as_of, tables=chosen), check_exact=True)
    begin = pd.Timestamp(as_of) - pd.Timedelta(days=90)
    window = {"begin": begin, "until": pd.Timestamp(as_of)}
    events = stored.query("SELECT * FROM detail_record WHERE started_at >= $begin AND started_at < $until", window)
    wanted = events.assign(day=events["started_at"].dt.normalize()).groupby("customer_id")
    found = frame.set_index("customer_id").loc[frame["customer_id"].isin(events["customer_id"]).to_numpy()]
    pd.testing.assert_series_equal(
        found["frequency"], wanted["day"].nunique().loc[found.index].astype(float), check_names=False
    )
    pd.testing.assert_series_equal(
        found["counterparts"], wanted["counterpart_key"].nunique().loc[found.index].astype(float), check_names=False
    )
