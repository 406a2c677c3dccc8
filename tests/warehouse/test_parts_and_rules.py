"""What was kept of a file is judged anew by rules that read other tables, and holds nobody who is forgotten."""

import random

import duckdb
import pytest

from workbench.errors import WorkbenchError
from workbench.warehouse import open_warehouse
from workbench.warehouse.ingest.forgotten import FORGOTTEN, Forgotten
from workbench.warehouse.ingest.parts import FOLDER

MAPPING = """
as_of = 2026-07-01
most_refused = 1
[rules]
bill.before_line = "refuse"
bill.sum = "refuse"
bill.after_as_of = "refuse"
bill.recurring.in_range = "warn"
bill.amount.in_range = "warn"
payment.customer_id.relationships = "warn"
payment.other_customer = "refuse"
detail_record.outside_line = "refuse"
subscription.before_customer = "refuse"

[[file]]
path = "crm/*.csv"
table = "customer"
keep = "last"
order = "at"
[file.columns]
customer_id = "id"
kind = { constant = "person" }
province = "prov"
joined_on = "day"

[[file]]
path = "line/*.csv"
table = "subscription"
keep = "last"
order = "at"
[file.columns]
subscription_id = "s"
customer_id = "c"
service = { constant = "mobile" }
number_key = { from = "n", pseudonym = true }
activated_on = "from"
ended_on = "to"

[[file]]
path = "cdr/*.csv"
table = "detail_record"
[file.columns]
customer_id = "c"
subscription_id = "s"
started_at = "t"
kind = { constant = "call" }
zone = { constant = "local" }
charge = { constant = 0 }
counterpart_key = { from = "to", pseudonym = true }

[[file]]
path = "bill/*.csv"
table = "bill"
[file.columns]
bill_id = "b"
customer_id = "c"
month = "m"
issued_on = "m"
due_on = "m"
recurring = "fee"
usage_charge = { constant = 0 }
discount = "less"
amount = "sum"

[[file]]
path = "pay/*.csv"
table = "payment"
[file.columns]
payment_id = "no"
customer_id = "c"
bill_id = "b"
paid_on = "d"
amount = "a"
"""


def delivered(months=3, customers=5, seed=1):
    """Months of an operator whose lines come, move and go, with records beside their lives."""
    rng, files = random.Random(seed), {}
    for m in range(1, months + 1):
        known, at = range(m * customers), f"2026-0{m}-28"
        who = [f"C{i},京,2025-0{1 + i % 9}-01,{at}" for i in known if i % 7]
        lines = [
            f"S{i},C{i},138000{i:05},2026-0{rng.randint(1, m)}-{10 + i % 9},{at if rng.random() < 0.2 else ''},{at}"
            for i in known
        ]
        lines += [f"S9{m},C2,13900000000,2020-01-01,,{at}"]
        calls = [
            f"C{i},S{i},2026-0{m}-{rng.randint(10, 28)} 10:00:0{i % 9},138000{rng.choice(known):05}"
            for i in known
            for _ in range(3)
        ]
        bills = [f"B{m}-{i},C{i},2026-0{rng.randint(1, m)}-01,{9 + i},0,{9 + i + (i % 6 == 5)}" for i in known]
        bills += [f"B{m}-x,C1,2026-0{m + 4}-01,50,0,50", f"B{m}-y,C3,2026-0{m}-01,9999999999,0,9999999999"]
        paid = [f"P{m}-{i},C{i if i % 8 else 3},B{rng.randint(1, m)}-{i},2026-0{m}-20,{9 + i}" for i in known]
        for name, head, rows in (
            ("crm", "id,prov,day,at", who),
            ("line", "s,c,n,from,to,at", lines),
            ("cdr", "c,s,t,to", calls),
            ("bill", "b,c,m,fee,less,sum", bills),
            ("pay", "no,c,b,d,a", [*paid, f"P{m}-z,C77,,2026-01-01,1"]),
        ):
            files[f"{name}/{m}.csv"] = "\n".join([head, *rows, ""])
    return files


@pytest.fixture
def operator(operators):
    """Begin projects by name."""
    return lambda name, mapping=MAPPING: operators(name, mapping)


def month(files, number):
    """The files of one month."""
    return {name: text for name, text in files.items() if f"/{number}" in name}


def reasons(shop):
    """By table and reason the number of refused records."""
    account = open_warehouse("shop", root=shop.root).full_account()
    assert account.balanced
    return {(row.table, row.reason): row.records for row in account.reasons.itertuples()}


@pytest.mark.prove
def test_months_in_any_order_are_the_same_under_the_rulebook(operator):
    """Tables, account, quarantine and warnings: also where rules refuse by other tables, which come later or change."""
    files = delivered()
    once = operator("once")
    once.deliver(files)
    wanted, broken = once.tables(), {reason for _, reason in reasons(once)}
    assert {
        "the bill is for a month before the customer's first line",
        "the amount is not recurring + usage_charge - discount",
        "the row is of a day on or after as_of",
        "the event lies outside the life of its line",
        "the line begins before its customer joined",
        "the bill belongs to another customer",
    } <= broken
    warnings = open_warehouse("shop", root=once.root).warnings()
    assert {"payment.customer_id.relationships", "bill.recurring.in_range"} <= set(warnings["rule"])
    for number, order in enumerate([(1, 2, 3), (3, 1, 2)]):
        other = operator(f"order-{number}")
        for one in order:
            other.deliver(month(files, one))
        assert other.tables() == wanted, order
        assert reasons(other) == reasons(once)


SMALL = {
    "crm/1.csv": "id,prov,day,at\nC1,京,2025-01-01,1\nC2,京,2025-01-01,1\n",
    "line/1.csv": "s,c,n,from,to,at\nS1,C1,13800138000,2026-02-01,,1\nS2,C2,13900139000,2026-01-01,,1\n",
    "cdr/1.csv": "c,s,t,to\nC1,S1,2026-02-05 10:00:00,13900139000\nC2,S2,2026-02-06 10:00:00,13800138000\n"
    "C2,S2,2026-02-07 10:00:00,13700137000\n",
    "bill/1.csv": "b,c,m,fee,less,sum\nB1,C1,2026-01-01,9,0,9\nB2,C1,2026-02-01,9,0,9\nB3,C2,2026-07-01,9,0,9\n",
    "pay/1.csv": "no,c,b,d,a\nP1,C1,B2,2026-02-20,30\nP2,C2,,2026-02-20,9\n",
}


def bills(shop):
    """The bills that stand."""
    return sorted(open_warehouse("shop", root=shop.root).table("bill")["bill_id"])


def test_a_rule_judges_kept_records_anew_when_the_other_table_changes(operator):
    """A line that begins earlier lets its bill and event in, of which no file is read; a later one sends them out,
    and the payment of the bill."""
    shop, early, late = operator("shop"), *(SMALL["line/1.csv"].replace("02-01", day) for day in ("01-15", "03-01"))
    files = {**SMALL, "bill/1.csv": SMALL["bill/1.csv"] + "B4,C1,2026-05-01,9,0,9\n"}
    shop.deliver(files)
    assert bills(shop) == ["B2", "B4"]
    assert shop.deliver({"line/1.csv": early}) == ["line/1.csv"]
    assert bills(shop) == ["B1", "B2", "B4"]
    assert shop.deliver({"line/1.csv": late}) == ["bill/1.csv", "cdr/1.csv", "line/1.csv", "pay/1.csv"]
    assert bills(shop) == ["B4"]
    assert reasons(shop)["bill", "the bill is for a month before the customer's first line"] == 2
    assert reasons(shop)["detail_record", "the event lies outside the life of its line"] == 1
    again = operator("again")
    again.deliver({**files, "line/1.csv": late})
    assert again.tables() == shop.tables()


def test_an_as_of_that_moves_judges_anew_what_was_kept(operator):
    """A bill of July comes in when as_of is August; nothing is read."""
    shop, mapping = operator("shop"), MAPPING.replace("2026-07-01", "2026-08-01")
    shop.deliver(SMALL)
    (shop.root / "data" / "mappings" / "shop.toml").write_text(mapping, encoding="utf-8")
    assert shop.deliver({}) == []
    assert bills(shop) == ["B2", "B3"]
    again = operator("again", mapping)
    again.deliver(SMALL)
    assert again.tables() == shop.tables()


@pytest.mark.parametrize("severity", ["warn", "off", "stop"])
@pytest.mark.parametrize(
    ("rule", "name"), [("bill.before_line", "bill"), ("bill.sum", "bill"), ("detail_record.outside_line", "cdr")]
)
def test_another_severity_reads_its_table_anew(operator, rule, name, severity):
    """What a part was judged by is in its name: warnings count the rows that a refusal had kept out."""
    shop, files = operator("shop"), {**SMALL, "line/1.csv": SMALL["line/1.csv"].replace("2026-02-01", "2026-02-06")}
    files["bill/1.csv"] += "B4,C2,2025-12-01,9,0,9\nB5,C2,2026-03-01,9,0,8\n"
    shop.deliver(files)
    mapping = MAPPING.replace(f'{rule} = "refuse"', f'{rule} = "{severity}"')
    (shop.root / "data" / "mappings" / "shop.toml").write_text(mapping, encoding="utf-8")
    if severity == "stop":
        with pytest.raises(WorkbenchError, match=f"the rule {rule} stops the ingest"):
            shop.deliver({})
        return
    assert shop.deliver({}) == [f"{name}/1.csv"]
    warned = set(open_warehouse("shop", root=shop.root).warnings()["rule"])
    assert (rule in warned) == (severity == "warn")
    again = operator("again", mapping)
    again.deliver(files)
    assert again.tables() == shop.tables()


def test_warnings_and_stops_count_what_was_released_or_judged_anew(operator):
    """A bill that its line lets in later makes its payment too much; a row that a parent leaves behind stops."""
    shop, early = operator("shop"), SMALL["line/1.csv"].replace("2026-02-01", "2026-01-15")
    paid = {"pay/1.csv": SMALL["pay/1.csv"] + "P3,C1,B1,2026-02-21,30\n"}
    shop.deliver(SMALL | paid)
    over = lambda: open_warehouse("shop", root=shop.root).warnings().set_index("rule").loc["payment.over_bill"]  # noqa: E731
    assert (over()["rows"], over()["of"]) == (1, 2)
    shop.deliver({"line/1.csv": early})
    assert (over()["rows"], over()["of"]) == (2, 3)
    stopping = MAPPING.replace("[rules]", '[rules]\npayment.bill_id.relationships = "stop"')
    (shop.root / "data" / "mappings" / "shop.toml").write_text(stopping, encoding="utf-8")
    shop.deliver({})
    before = open_warehouse("shop", root=shop.root).version
    with pytest.raises(WorkbenchError, match=r"payment: bill_id does not stand in bill \(1 of 3 rows\)"):
        shop.deliver({"line/1.csv": SMALL["line/1.csv"]})
    assert open_warehouse("shop", root=shop.root).version == before


def holds(place, *words):
    """Which of some words stand in any cell of the parts of a version."""
    cells = ""
    for file in (place / FOLDER).rglob("*.parquet"):
        cells += duckdb.sql(f"FROM read_parquet('{file}')").df().astype(str).to_csv()
    return [word for word in words if word in cells]


def test_no_part_holds_who_is_forgotten(operator):
    """All is read anew after a request, lines of the forgotten each time; the number is the other end of no record."""
    shop = operator("shop")
    bad = {"bill/2.csv": "b,c,m,fee,less,sum\nB7,C1,2026-02-01,9,0,8\nB8,C1\nB9,C2,2026-03-01,9,0,9\n"}
    bad["cdr/2.csv"] = "c,s,t,to\nC2,S2,gestern,13800138000\nC2,S2,2026-03-01 10:00:00,13700137000\n"
    shop.deliver(SMALL | bad)
    warehouse = open_warehouse("shop", root=shop.root)
    number = warehouse.table("subscription").set_index("customer_id").loc["C1", "number_key"]
    theirs = ("C1", "S1", number, "B2", "B7", "B8", "P1")
    assert holds(warehouse.place, *theirs) == list(theirs)
    Forgotten("shop", shop.root).add("C1")
    assert set(shop.deliver({})) == {*SMALL, *bad}
    place = open_warehouse("shop", root=shop.root).place
    assert holds(place, *theirs) == [] and holds(place, "C2", "S2") == ["C2", "S2"]
    assert sum(n for (_, reason), n in reasons(shop).items() if reason == FORGOTTEN) == 8

    # Later deliveries: the line's file alone is read with what is new.
    calls = "c,s,t,to\nC2,S2,2026-04-01 10:00:00,13800138000\nC1,S1,2026-04-01 10:00:00,13900139000\n"
    assert shop.deliver({"cdr/3.csv": calls}) == ["cdr/3.csv", "line/1.csv"]
    assert holds(open_warehouse("shop", root=shop.root).place, *theirs) == []
    again = operator("again")
    Forgotten("shop", again.root).add("C1")
    again.deliver({**SMALL, **bad, "cdr/3.csv": calls})
    assert again.tables() == shop.tables()

    # Another line of theirs: its number goes from the records of others that were kept.
    late = "s,c,n,from,to,at\nS3,C1,13700137000,2026-02-01,,1\n"
    assert shop.deliver({"line/2.csv": late}) == ["cdr/1.csv", "cdr/2.csv", "cdr/3.csv", "line/1.csv", "line/2.csv"]
    assert open_warehouse("shop", root=shop.root).table("detail_record")["counterpart_key"].isna().all()
    again.deliver({"line/2.csv": late})
    assert again.tables() == shop.tables()
    assert holds(open_warehouse("shop", root=again.root).place, *theirs, "S3") == []


def test_a_released_record_has_no_forgotten_number_either(operator):
    """An event that its line lets in later was kept without the other end."""
    shop = operator("shop")
    Forgotten("shop", shop.root).add("C1")
    shop.deliver({**SMALL, "line/2.csv": "s,c,n,from,to,at\nS2,C2,13900139000,2026-02-07,,2\n"})
    assert len(open_warehouse("shop", root=shop.root).table("detail_record")) == 1
    shop.deliver({"line/2.csv": None})
    assert open_warehouse("shop", root=shop.root).table("detail_record")["counterpart_key"].notna().tolist() == [
        False,
        True,
    ]


STEP = """
as_of = 2026-05-01
most_refused = 1
[rules]
bill.after_as_of = "off"
[[prepare]]
name = "one"
sql = "SELECT * FROM bills WHERE CAST(m AS DATE) < $as_of AND fee <> 'many'"
inputs.bills = { path = "bill/*.csv", key = ["b", "c"], most_refused = 1.0 }
[[file]]
prepared = "one"
table = "bill"
[file.columns]
bill_id = "b"
customer_id = "c"
month = "m"
issued_on = "m"
due_on = "m"
recurring = "fee"
usage_charge = { constant = 0 }
discount = { constant = 0 }
amount = "fee"
"""


def test_a_step_is_followed_by_parts_and_by_forgetting(operator):
    """What a step makes is read anew where as_of changes it; of what it refuses, nobody who is forgotten is kept."""
    shop = operator("shop", STEP)
    shop.deliver({"bill/1.csv": "b,c,m,fee\nB1,C1,2026-03-01,9\nB2,C2,2026-06-01,9\nB3,C3,2026-03-01,many\n"})
    assert bills(shop) == ["B1"]
    (shop.root / "data" / "mappings" / "shop.toml").write_text(STEP.replace("05-01", "07-01"), encoding="utf-8")
    shop.deliver({})
    assert bills(shop) == ["B1", "B2"]
    aside = open_warehouse("shop", root=shop.root).refused()
    assert aside["record"].tolist() == ['"b=B3, c=C3"']
    for customer in ("C2", "C3"):
        Forgotten("shop", shop.root).add(customer)
    shop.deliver({})
    assert bills(shop) == ["B1"] and sum(reasons(shop).values()) == 2
    assert {reason for _, reason in reasons(shop)} == {FORGOTTEN}
    assert open_warehouse("shop", root=shop.root).refused()["record"].tolist() == ["null", "null"]


def test_tables_may_be_empty_where_all_are_forgotten(operator):
    """No line, bill or event of anybody else: the tables stand, empty, and others come in later."""
    shop = operator("shop")
    Forgotten("shop", shop.root).add("C1")
    alone = {name: "\n".join(x for x in text.split("\n") if "C2," not in x) for name, text in SMALL.items()}
    shop.deliver({**alone, "crm/1.csv": SMALL["crm/1.csv"]})
    warehouse = open_warehouse("shop", root=shop.root)
    assert len(warehouse.table("customer")) == 1 and reasons(shop)["detail_record", FORGOTTEN] == 1
    assert all(warehouse.table(name).empty for name in ("subscription", "detail_record", "bill", "payment"))
    shop.deliver(SMALL)
    assert len(open_warehouse("shop", root=shop.root).table("detail_record")) == 2
