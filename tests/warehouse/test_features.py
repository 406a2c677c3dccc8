"""The features, worked out by hand for fourteen customers as of 2026-07-01, and what any feature must hold."""

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
from workbench.warehouse import features, schema
from workbench.warehouse.features import customer_features, feature_dictionary, feature_file, features_sql

ROOT = Path(__file__).resolve().parents[2]
AS_OF = date(2026, 7, 1)

# Windows before 2026-07-01: 30 days begin 06-01, 90 days 04-02, 180 days 01-02, 12 months 2025-07-01.
CUSTOMERS = {
    "customer": """
        customer_id,kind,province,gender,birth_year,joined_on,is_staff
        c01,person,北京,female,1980,2020-01-31,false
        c02,person,上海,male,1990,2019-05-05,
        c03,household,广东,,,2026-03-15,false
        c04,person,北京,,,2018-01-01,true
        c05,person,北京,,,2018-01-01,false
        c06,person,北京,,,2026-06-10,false
        c07,person,北京,,,2018-01-01,false
        c08,company,北京,,,2015-07-01,false
        c09,person,北京,,,2026-07-01,false
        c10,person,北京,,,2026-03-01,false
        c11,person,北京,,,2019-01-01,false
        c12,person,北京,,,2019-01-01,false
        c13,person,北京,,,2026-04-01,false
        c14,person,北京,,,2026-05-20,false
    """,
    "subscription": """
        subscription_id,customer_id,service,contract,activated_on,ended_on
        s01,c01,mobile,postpaid,2020-01-31,
        s02,c02,mobile,prepaid,2019-05-05,
        s03,c03,mobile,postpaid,2026-03-15,
        s04,c04,mobile,postpaid,2018-01-01,
        s05,c05,mobile,postpaid,2018-01-01,
        s06,c06,mobile,postpaid,2026-06-10,
        s07,c07,mobile,postpaid,2018-01-01,2026-06-30
        s8a,c08,mobile,postpaid,2015-07-01,2026-07-01
        s8b,c08,broadband,prepaid,2016-07-01,
        s8c,c08,fixed,,2016-07-01,
        s8d,c08,mobile,prepaid,2016-07-01,2026-06-30
        s11,c11,mobile,postpaid,2019-01-01,
        s12,c12,mobile,postpaid,2019-01-01,
        s13,c13,mobile,postpaid,2026-04-01,
        s14,c14,mobile,postpaid,2026-07-01,
    """,
    "detail_record": """
        customer_id,subscription_id,started_at,kind,direction,zone,on_net,counterpart_key,duration_s,volume_mb,charge
        c01,s01,2026-01-05 10:00:00,call,out,local,true,k9,60,0,0
        c01,s01,2026-04-01 23:59:59,call,out,local,true,k8,60,0,0
        c01,s01,2026-04-02 00:00:00,data,out,local,,,60,5,0
        c01,s01,2026-06-27 21:59:59,call,out,local,true,k1,60,0,0
        c01,s01,2026-06-27 22:00:00,message,out,national,false,k2,,0,0
        c01,s01,2026-06-28 05:59:59,call,out,roaming,true,k1,60,0,0
        c01,s01,2026-06-28 06:00:00,data,out,international,,,60,5,0
        c01,s01,2026-06-30 23:00:00,call,in,local,,k3,60,0,0
        c01,s01,2026-07-01 00:00:00,call,out,local,true,k4,60,0,0
        c02,s02,2026-06-01 12:00:00,call,out,local,false,k1,60,0,0
        c03,s03,2026-06-29 12:00:00,call,out,local,false,k1,60,0,0
        c04,s04,2026-05-31 23:59:59,call,out,local,false,k1,60,0,0
        c05,s05,2026-03-20 12:00:00,call,out,local,false,k1,60,0,0
        c08,s8a,2026-06-15 12:00:00,call,out,local,false,k1,60,0,0
        c10,s10,2026-06-30 12:00:00,call,out,local,false,k1,60,0,0
        c13,s13,2026-06-30 12:00:00,call,out,local,false,k1,60,0,0
    """,
    "usage_month": """
        customer_id,subscription_id,month,active_days,calls,call_min,messages,data_mb
        c01,s01,2026-01-01,20,9,999,9,999
        c01,s01,2026-02-01,20,9,999,9,999
        c01,s01,2026-03-01,20,9,999,9,999
        c01,s01,2026-04-01,20,9,30,0,100
        c01,s01,2026-05-01,20,9,60,1,200.5
        c01,s01,2026-06-01,20,9,90,2,300
        c01,s01,2026-07-01,1,1,999,9,999
        c01,s01,2025-12-01,1,1,999,9,999
        c02,s02,2026-01-01,30,0,0,0,0
        c02,s02,2026-02-01,26,0,0,0,0
        c02,s02,2026-03-01,22,0,0,0,0
        c02,s02,2026-04-01,18,0,0,0,0
        c02,s02,2026-05-01,14,0,0,0,0
        c02,s02,2026-06-01,10,0,0,0,0
        c03,s03,2026-03-01,5,0,999,0,0
        c03,s03,2026-04-01,10,0,3,0,0
        c03,s03,2026-05-01,13,0,3,0,0
        c03,s03,2026-06-01,16,0,6,0,0
        c06,s06,2026-06-01,15,0,60,0,0
        c08,s8a,2026-01-01,4,0,0,0,0
        c08,s8b,2026-01-01,6,0,0,0,0
        c08,s8a,2026-02-01,10,0,0,0,0
        c08,s8a,2026-04-01,10,0,0,0,0
        c08,s8a,2026-05-01,10,0,0,0,0
        c08,s8a,2026-06-01,7,0,10,0,0
        c08,s8b,2026-06-01,3,0,20,0,0
        c10,s10,2026-03-01,4,0,0,0,0
        c10,s10,2026-04-01,8,0,0,0,0
        c10,s10,2026-05-01,6,0,0,0,0
        c10,s10,2026-06-01,6,0,0,0,0
        c13,s13,2026-04-01,9,0,0,0,0
        c13,s13,2026-05-01,10,0,0,0,0
        c13,s13,2026-06-01,11,0,0,0,0
    """,
    # The run of a month is issued on the 5th of the next one and due on its 20th.
    "bill": """
        bill_id,customer_id,month,issued_on,due_on,recurring,usage_charge,discount,amount
        b01-05,c01,2025-05-01,2025-06-30,2025-07-20,40,0,0,40
        b01-06,c01,2025-06-01,2025-07-01,2025-07-20,40,0,0,40
        b01-14,c01,2026-02-01,2026-03-05,2026-03-20,50,0,0,50
        b01-15,c01,2026-03-01,2026-04-05,2026-04-20,50,0,0,50
        b01-16,c01,2026-04-01,2026-05-05,2026-05-20,60,0,0,60
        b01-17,c01,2026-05-01,2026-06-05,2026-06-20,60,20,10,70
        b01-18,c01,2026-06-01,2026-07-05,2026-07-20,500,0,0,500
        b02-14,c02,2026-02-01,2026-03-05,2026-03-20,30,0,0,30
        b02-15,c02,2026-03-01,2026-04-05,2026-04-20,40,0,0,40
        b02-16,c02,2026-04-01,2026-05-05,2026-05-20,50,0,0,50
        b03-15,c03,2026-03-01,2026-04-05,2026-04-20,10,0,0,10
        b03-16,c03,2026-04-01,2026-05-05,2026-05-20,40,0,0,40
        b04-15,c04,2026-03-01,2026-04-05,2026-04-20,30,0,0,30
        b04-17,c04,2026-05-01,2026-06-05,2026-06-20,60,0,0,60
        b08-15,c08,2026-03-01,2026-04-05,2026-04-20,15,0,0,15
        b08-16,c08,2026-04-01,2026-05-05,2026-05-20,15,0,0,15
        b08-17,c08,2026-05-01,2026-06-05,2026-06-20,20,0,0,20
        b08-xx,c08,2026-05-01,2026-06-05,2026-06-20,5,0,10,-5
        b11-01,c11,2025-12-01,2026-03-01,2026-06-30,1,0,0,1
        b11-02,c11,2025-12-01,2026-03-01,2026-06-21,2,0,0,2
        b11-03,c11,2025-12-01,2026-03-01,2026-06-20,4,0,0,4
        b11-04,c11,2025-12-01,2026-03-01,2026-06-11,8,0,0,8
        b11-05,c11,2025-12-01,2026-03-01,2026-06-10,16,0,0,16
        b11-06,c11,2025-12-01,2026-03-01,2026-06-01,32,0,0,32
        b11-07,c11,2025-12-01,2026-03-01,2026-05-31,64,0,0,64
        b11-08,c11,2025-12-01,2026-03-01,2026-05-02,128,0,0,128
        b11-09,c11,2025-12-01,2026-03-01,2026-05-01,256,0,0,256
        b11-10,c11,2025-12-01,2026-03-01,2026-04-02,512,0,0,512
        b11-11,c11,2025-12-01,2026-03-01,2026-04-01,1024,0,0,1024
        b11-12,c11,2025-12-01,2026-03-01,2026-07-01,2048,0,0,2048
    """,
    "payment": """
        payment_id,customer_id,bill_id,paid_on,amount
        p0105,c01,b01-05,2025-07-20,40
        p0106,c01,b01-06,2025-07-20,40
        p0114,c01,b01-14,2026-04-01,50
        p0115,c01,b01-15,2026-04-02,50
        p0116,c01,b01-16,2026-05-10,60
        p0117,c01,b01-17,2026-06-15,69.9
        p0118,c01,b01-17,2026-06-20,0.1
        p0214,c02,b02-14,2026-03-10,30
        p0215,c02,b02-15,2026-04-10,40
        p0216,c02,b02-16,2026-05-20,20
        p0217,c02,b02-16,2026-07-01,30
        p0315,c03,b03-15,2026-04-20,10
        p0316,c03,b03-16,2026-05-20,40
        p0415,c04,b04-15,2026-04-20,50
        p0417,c04,b04-17,2026-06-20,60
        p0418,c04,b04-17,2026-06-22,-60
        p0500,c05,,2026-06-01,-5
        p0815,c08,b08-15,2026-04-20,15
        p0816,c08,b08-16,2026-05-20,15
        p0817,c08,b08-17,2026-06-20,20
        p1000,c10,,2026-06-30,100
        p1001,c10,,2026-07-01,100
    """,
    "contact": """
        contact_id,customer_id,contacted_at,channel,direction,wait_s
        t1,c12,2026-04-01 23:59:00,hotline,in,500
        t2,c12,2026-04-02 00:00:00,hotline,in,30
        t3,c12,2026-06-01 12:00:00,hotline,in,
        t4,c12,2026-06-02 12:00:00,hotline,out,999
        t5,c12,2026-06-03 12:00:00,app,in,999
        t6,c12,2026-06-30 23:59:00,hotline,in,60
        t7,c12,2026-07-01 00:00:00,hotline,in,500
    """,
    "ticket": """
        ticket_id,customer_id,kind,opened_at,due_at,closed_at
        k1,c12,complaint,2026-01-01 23:00:00,2026-01-10 00:00:00,
        k2,c12,complaint,2026-01-02 00:00:00,2026-01-04 00:00:00,2026-01-05 00:00:00
        k3,c12,fault,2026-06-30 10:00:00,2026-07-02 00:00:00,
        k4,c12,fault,2026-06-20 10:00:00,2026-06-25 00:00:00,2026-07-01 08:00:00
        k5,c12,installation,2026-06-01 10:00:00,2026-06-10 00:00:00,2026-06-05 00:00:00
        k6,c12,complaint,2026-07-01 00:00:00,2026-07-02 00:00:00,
    """,
    "product": """
        product_id,name,monthly_fee
        music,音乐,10
        video,视频,5.5
        games,游戏,99
    """,
    "holding": """
        customer_id,product_id,from_on,to_on
        c13,music,2026-01-01,
        c13,music,2026-05-01,
        c13,video,2026-01-01,2026-07-01
        c13,games,2026-01-01,2026-06-30
        c13,games,2026-07-01,
    """,
    "campaign": """
        campaign_id,name,assignment,starts_on,ends_on
        a1,a1,randomised,2026-01-02,2026-02-01
        a2,a2,randomised,2026-06-01,2026-06-30
        a3,a3,randomised,2026-01-01,2026-02-01
        a4,a4,randomised,2026-06-15,2026-07-30
    """,
    "campaign_member": """
        campaign_id,customer_id,arm,assigned_on,contacted
        a1,c13,treatment,2026-01-02,true
        a2,c13,treatment,,true
        a3,c13,treatment,2026-01-01,true
        a4,c13,treatment,2026-07-01,true
        a1,c12,control,2026-01-02,false
    """,
}


class Tables:
    """The canonical tables in memory, filled from text."""

    def __init__(self, texts: dict[str, str] | None = None):
        self.connection = duckdb.connect()
        for table in schema.tables().values():
            self.connection.execute(table.ddl())
        for name, text in (texts or {}).items():
            lines = "\n".join(line.strip() for line in text.strip().splitlines())
            self.insert(name, pd.read_csv(StringIO(lines), dtype="str"))

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
        "person", "北京", "female", 1980,
    ]  # fmt: skip
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
        ("detail_record", "started_at"), ("usage_month", "month"), ("bill", "issued_on"), ("payment", "paid_on"),
        ("contact", "contacted_at"), ("ticket", "opened_at"), ("holding", "from_on"),
        ("campaign_member", "assigned_on"), ("subscription", "activated_on"), ("customer", "joined_on"),
    ]:  # fmt: skip
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
        described = [column for column, _, _ in features._described(name)]
        assert list(frame)[1:] == [c for c in described if c != "customer_id"], name
        assert frame["customer_id"].is_unique and len(frame) == (12 if name == "life" else 13), name


def test_files_and_names_agree():
    """Every SQL file of the folder is run, and only those."""
    folder = ROOT / "src/workbench/warehouse/features"
    assert {p.stem for p in folder.glob("*.sql")} == set(features.SUBJECTS)
    assert {p.stem for p in folder.glob("partial/*.sql")} == set(features.PARTIALS)


def test_page_is_current():
    """docs/features.md is what the files say; `python -m workbench.warehouse.features > docs/features.md` writes it."""
    assert (ROOT / "docs/features.md").read_text(encoding="utf-8") == features.dictionary_markdown()


PORTABLE = {
    *("Sum", "Count", "Avg", "Min", "Max", "Filter", "RowNumber", "Window", "Coalesce", "Nullif", "Case", "If"),
    *("Cast", "Extract", "DateDiff", "Floor", "And", "Or"),
}
CASTS = {"DATE", "DOUBLE", "INT", "DECIMAL"}


@pytest.mark.parametrize("name", [*features.PARTIALS, *features.SUBJECTS])
def test_portable_subset(name):
    """A file parses, uses only what means the same on every engine, and renders without a warning for each."""
    tree = sqlglot.parse_one(feature_file(name), read="duckdb")
    assert isinstance(tree, exp.Select)
    functions = {type(node).__name__ for node in tree.find_all(exp.Func)}
    assert functions <= PORTABLE, f"{name}: {functions - PORTABLE} is not in the portable subset"
    assert {p.name for p in tree.find_all(exp.Placeholder)} <= {"as_of"}
    assert {c.to.this.name for c in tree.find_all(exp.Cast)} <= CASTS
    assert {e.this.name.upper() for e in tree.find_all(exp.Extract)} <= {"YEAR", "MONTH", "DAY", "HOUR"}
    assert {e.unit.name.upper() for e in tree.find_all(exp.DateDiff)} <= {"DAY"}
    assert {i.unit.name.upper() for i in tree.find_all(exp.Interval)} <= {"DAY", "MONTH"}
    assert all(i.this.is_string for i in tree.find_all(exp.Interval))
    assert not list(tree.find_all(exp.IntDiv, exp.Mod, exp.Lambda, exp.AtTimeZone, exp.Limit))
    for division in tree.find_all(exp.Div):
        assert not division.right.is_int or division.right.this != "0"
    for dialect in ("duckdb", "spark", "postgres"):
        text = tree.sql(dialect=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE, comments=False)
        assert isinstance(sqlglot.parse_one(text, read=dialect), exp.Select)


@pytest.mark.parametrize("name", [*features.PARTIALS, *features.SUBJECTS])
def test_window_orders_are_complete(name):
    """Every numbering says where missing values go, as engines differ in it."""
    for window in sqlglot.parse_one(feature_file(name), read="duckdb").find_all(exp.Window):
        if isinstance(window.this, exp.RowNumber):
            keys = window.args["order"].expressions
            assert keys and all(key.args.get("nulls_first") is False for key in keys)
    assert feature_file(name).count("ROW_NUMBER()") <= feature_file(name).count("NULLS LAST")


def test_composed_query_is_one_statement():
    """The composed query parses as one SELECT whose files stand after what they read."""
    tree = sqlglot.parse_one(features_sql(), read="duckdb")
    names = [cte.alias for cte in tree.args["with_"].expressions]
    assert isinstance(tree, exp.Select) and set(names) == {*features.PARTIALS, *features.SUBJECTS}
    assert names.index("customer_day") < names.index("activity") < names.index("frequency_trend")


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
