"""Rules beyond a single cell, their severities, and deliveries that look unlike the others."""

from datetime import date
from time import process_time

import duckdb
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.warehouse import open_warehouse, schema
from workbench.warehouse.ingest import ingest
from workbench.warehouse.ingest.warned import Watch
from workbench.warehouse.rulebook import Rulebook, _definition, _rules, known, months

MAPPING = """
as_of = 2026-07-01
{rules}
[[file]]
path = "customer.csv"
table = "customer"
[file.columns]
customer_id = "c"
kind = {{ constant = "person" }}
province = "p"
joined_on = "joined"

[[file]]
path = "line.csv"
table = "subscription"
most_refused = 1
[file.columns]
subscription_id = "s"
customer_id = "c"
service = {{ constant = "mobile" }}
number_key = {{ from = "n", pseudonym = false }}
activated_on = "from"
ended_on = "to"

[[file]]
path = "cdr.csv"
table = "detail_record"
most_refused = 1
[file.columns]
customer_id = "c"
subscription_id = "s"
started_at = "at"
kind = {{ constant = "call" }}
zone = {{ constant = "local" }}
charge = "fee"

[[file]]
path = "bill*.csv"
table = "bill"
most_refused = 1
[file.columns]
bill_id = "b"
customer_id = "c"
month = "m"
issued_on = "m"
due_on = "m"
recurring = "fee"
usage_charge = {{ constant = 0 }}
discount = {{ constant = 0 }}
amount = "fee"

[[file]]
path = "pay.csv"
table = "payment"
most_refused = 1
[file.columns]
payment_id = "id"
customer_id = "c"
bill_id = "b"
paid_on = "on"
amount = "fee"
method = "how"
"""
FILES = {
    "customer": "c,p,joined\nc1,北京,2025-01-01\nc2,北京,2025-01-01\n",
    # two lines of one number that overlap by 15 days, and one that follows on the day
    "line": "s,c,n,from,to\ns1,c1,n1,2026-02-01,2026-04-15\ns2,c2,n1,2026-04-01,2026-05-31\n"
    "s3,c2,n1,2026-05-31,\ns4,c2,n4,2026-03-01,\n",
    # of the day before the line begins, of its first and last day, of the day after, and of another's line
    "cdr": "c,s,at,fee\nc1,s1,2026-01-31 23:59:59,1\nc1,s1,2026-02-01 00:00:00,1\nc1,s1,2026-04-15 23:59:59,1\n"
    "c1,s1,2026-04-16 00:00:00,1\nc1,s4,2026-06-01 00:00:00,1\n",
    # c1's line begins on 1 February, c2's first on 1 March
    "bill": "b,c,m,fee\nb1,c1,2026-01-01,50\nb2,c1,2026-02-01,50\nb3,c2,2026-03-01,60\n",
    "pay": "id,c,b,on,fee,how\np1,c1,b2,2026-03-01,30,cash\np2,c1,b2,2026-03-02,20.02,cash\n"
    "p3,c2,b3,2026-03-09,60,cash\np4,c2,,2026-03-09,99,cash\n",
}


@pytest.fixture
def door(tmp_path):
    """Ingest files under a mapping with severities; give the account and the warehouse."""

    def door(rules="", **files):
        for part in ("data/raw/shop", "data/mappings"):
            (tmp_path / part).mkdir(parents=True, exist_ok=True)
        (tmp_path / "data/mappings/shop.toml").write_text(MAPPING.format(rules=rules), encoding="utf-8")
        for name, text in (FILES | files).items():
            (tmp_path / f"data/raw/shop/{name}.csv").write_text(text, encoding="utf-8")
        return ingest("shop", root=tmp_path), open_warehouse("shop", root=tmp_path)

    return door


def warned(account):
    return {row.rule: (row.rows, row.of) for row in account.warnings.itertuples()}


def test_rules_among_tables_warn_and_every_row_stands(door):
    """By hand: what each of the rows above breaks."""
    account, warehouse = door()
    assert warned(account) == {
        "subscription.overlap": (1, 4),
        "detail_record.outside_line": (2, 5),
        "detail_record.other_customer": (1, 5),
        "bill.before_line": (1, 3),
        "payment.over_bill": (2, 4),
    }
    assert account.frame["quarantined"].sum() == 0 and len(warehouse.table("bill")) == 3
    said = "payment: what is paid on the bill is more than the bill: 2 of 4 rows (payment.over_bill)"
    assert f"  warning: {said}" in account.lines()
    assert account.warned(["payment", "market"]) == [
        "1 warning on the data behind this report, in payment: it stands, and may be wrong.",
        said,
    ]
    assert account.warned(["customer"]) == []


def test_a_rule_may_refuse_its_rows(door):
    """Severity "refuse": the row goes to quarantine with the reason, its children follow, and nothing is warned of."""
    account, warehouse = door('[rules]\nbill.before_line = "refuse"\n"detail_record.outside_line" = "refuse"\n')
    assert warehouse.table("bill")["bill_id"].tolist() == ["b2", "b3"] and len(warehouse.table("detail_record")) == 3
    reasons = warehouse.refused()[["table", "line", "reasons"]].values.tolist()
    assert [(t, n, list(r)) for t, n, r in reasons] == [
        ("bill", 2, ["the bill is for a month before the customer's first line"]),
        ("detail_record", 2, ["the event lies outside the life of its line"]),
        ("detail_record", 5, ["the event lies outside the life of its line"]),
    ]
    assert set(warned(account)) == {"subscription.overlap", "detail_record.other_customer", "payment.over_bill"}


def test_rows_of_the_mapping_keep_the_rules_too(door):
    """A row that the mapping itself holds is compared as those of files are."""
    row = '[[rows]]\ntable = "usage_month"\ncustomer_id = "c1"\nsubscription_id = "s1"\nmonth = {}\n'
    strict = '[rules]\nusage_month.outside_line = "refuse"\n'
    assert len(door(strict + row.format("2026-02-01"))[1].table("usage_month")) == 1
    with pytest.raises(WorkbenchError, match=r"row 1 of usage_month in \[\[rows\]\]: the month lies outside the life"):
        door(strict + row.format("2025-12-01"))


def test_a_column_rule_may_warn(door):
    """Rows of customers that nobody delivered may stand, counted; so may values outside the range of their column."""
    bills = FILES["bill"] + "b4,c9,2026-04-01,50\nb5,c2,2026-04-01,99999999\n"
    account, warehouse = door(bill=bills)
    assert len(warehouse.table("bill")) == 3
    loose = '[rules.bill]\ncustomer_id.relationships = "warn"\nrecurring.in_range = "warn"\namount.in_range = "warn"\n'
    account, warehouse = door(loose, bill=bills)
    assert len(warehouse.table("bill")) == 5
    found = warned(account)
    assert found["bill.customer_id.relationships"] == found["bill.amount.in_range"] == (1, 5)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ('bill.before_line = "stop"', "bill: the bill is for a month before the customer's first line (1 of 3 rows)"),
        ('bill.customer_id.relationships = "stop"', "bill: customer_id does not stand in customer (1 of 4 rows)"),
        ('bill.bill_id.unique = "stop"', "bill: the key (bill_id) stands in an earlier row (1 of 4 rows)"),
    ],
)
def test_a_rule_may_stop_the_ingest(door, rules, said):
    """Severity "stop": nothing is published, and the version in force stays."""
    _, before = door()
    bills = FILES["bill"] + ("b3,c2,2026-03-01,60\n" if "unique" in rules else "b4,c9,2026-04-01,50\n")
    with pytest.raises(WorkbenchError) as error:
        door(f"[rules]\n{rules}\n", bill=FILES["bill"] if "before" in rules else bills)
    assert str(error.value).startswith(said) and "stops the ingest" in str(error.value)
    assert before.table("bill")["bill_id"].tolist() == ["b1", "b2", "b3"]


def test_a_rule_that_does_not_hold_here_is_off(door):
    account, _ = door('[rules]\npayment.over_bill = "off"\nsubscription.overlap = "off"\n')
    assert not {"payment.over_bill", "subscription.overlap"} & set(warned(account))


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ('[rules]\nbill.befor_line = "warn"\n', "no rule 'bill.befor_line' in shop.toml. Did you mean 'bill.bef"),
        ('[rules]\nbill.before_line = "Refuse"\n', "can't be 'Refuse'. Say 'refuse', 'warn', 'stop' or 'off'."),
        ("[rules]\nbill.before_line = 1\n", "can't be 1. Say"),
        ('[rules]\npayment.over_bill = "refuse"\n', "it compares rows of one table"),
        ('[rules]\nbill.bill_id.not_null = "warn"\n', "can't be 'warn'. Say 'refuse' or 'stop'."),
        ('rules = "strict"\n', "rules is a table of severities"),
    ],
)
def test_what_is_no_rule_or_severity_is_refused(door, rules, said):
    with pytest.raises(WorkbenchError, match=said.replace("(", r"\(").replace("?", r"\?")):
        door(rules)


def test_every_rule_can_be_run_and_every_lookup_has_one_row_a_key():
    """Over the empty tables of the schema; and each lookup groups by what it is joined on."""
    with duckdb.connect() as con:
        for table in schema.tables().values():
            con.execute(table.ddl())
        for table, column in months().items():
            assert schema.table(table).column(column).type in ("date", "timestamp")
        lookups = {lookup.name: lookup for rule in _definition()[1].values() for lookup in rule.lookups}
        for lookup in lookups.values():
            keyed = all(schema.table(t).key == lookup.on for t in lookup.reads) and "GROUP" not in lookup.sql
            assert keyed or f"GROUP BY {', '.join(lookup.on)}" in lookup.sql, lookup.name
        rules = list(_rules())
        for rule in rules:
            joins = " ".join(lookup.join(f"({lookup.sql})", "t") for lookup in rule.lookups)
            con.execute(f"SELECT count(*) FILTER ({rule.sql('t', date(2026, 7, 1))}) FROM {rule.table} t {joins}")
            assert rule.name in known() and rule.reads() <= set(list(schema.tables())), rule.name
            later = list(schema.tables()).index(rule.table)
            assert all(list(schema.tables()).index(table) <= later for table in rule.reads()), rule.name
    assert len({rule.name for rule in rules}) == len(rules)


def bills(sizes, per=120):
    """Bills of six months, `per` each, whose amounts are a size times 40 to 60."""
    rows = [
        f"b{m}-{i},c{1 + i % 2},2026-0{m}-01,{size * (40 + 20 * i / per):.2f}"
        for m, size in enumerate(sizes, 1)
        for i in range(per)
    ]
    return "b,c,m,fee\n" + "\n".join(rows) + "\n"


def plausible(account):
    return {row.rule: row.said for row in account.warnings.itertuples() if row.rule.rpartition(".")[2] in KINDS}


KINDS = ("scale", "month_rows", "constant", "mostly")


def test_amounts_in_another_unit_are_told(door):
    """A month in fen, once; all months since a change; and nothing where they only double."""
    account, _ = door(bill=bills([1, 1, 1, 100, 1, 1]))
    fen = "amount of 2026-04 is typically 100 times that of the months before: is one in fen (scale = 0.01)?"
    assert plausible(account) == {"bill.amount.scale": fen, "bill.recurring.scale": fen.replace("amount", "recurring")}
    account, _ = door(bill=bills([100, 100, 1, 1, 1, 1]))
    said = "amount of 4 months (2026-03 to 2026-06) is typically one 100th of that of the months before"
    assert plausible(account)["bill.amount.scale"].startswith(said)
    assert plausible(door(bill=bills([1, 1, 2, 4, 8, 1]))[0]) == {}


def test_a_file_in_another_unit_than_the_others_is_told(door):
    """Two systems deliver the same months, one in fen."""
    account, _ = door(bill=bills([1] * 6), bill_old=bills([100] * 6).replace("\nb", "\nx"))
    said = "amount in bill_old.csv is typically 100 times that of the other files: is one in fen (scale = 0.01)?"
    assert plausible(account)["bill.amount.scale"] == said


def test_payments_in_another_unit_than_the_bills_are_told(door):
    """Each bill is paid, in fen by a system that names no bill."""
    paid = [f"p{i},c1,,2026-05-01,{{}},cash" for i in range(60)]
    for size, told in ((4966, "100 times"), (49.66, ""), (0.4966, "one 100th of")):
        pay = "id,c,b,on,fee,how\n" + "\n".join(paid).format(*[size] * 60) + "\n"
        said = f"amount is typically {told} that of a bill: is one in fen (scale = 0.01)?"
        account, _ = door(bill=bills([1] * 6), pay=pay)
        assert plausible(account) == ({"payment.amount.scale": said} if told else {})


def test_a_month_with_a_tenth_or_ten_times_the_rows_is_told(door):
    """Also one without any; but not the first one, which may begin late, nor that of as_of, which is not over."""
    text = bills([1] * 6).splitlines()
    thin = [row for i, row in enumerate(text) if "2026-04" not in row or i % 10 == 0]
    assert plausible(door(bill="\n".join(thin))[0]) == {
        "bill.month_rows": "2026-04 has 12 rows, where the months around have 120"
    }
    gone = [row for row in text if "2026-04" not in row]
    assert plausible(door(bill="\n".join(gone))[0])["bill.month_rows"].startswith("2026-04 has 0 rows")
    stray = [*gone, "b0,c1,2019-01-01,50"]  # one row of long ago makes no months of it
    assert [said[:7] for said in plausible(door(bill="\n".join(stray))[0]).values()] == ["2026-04"]
    late = [row for i, row in enumerate(text) if "2026-01" not in row or i % 50 == 0]
    assert plausible(door(bill="\n".join(late))[0]) == {}


def payments(how):
    rows = [f"p{m}-{i},c{1 + i % 2},,2026-0{m}-09,9,{how(m, i)}" for m in range(1, 7) for i in range(150)]
    return "id,c,b,on,fee,how\n" + "\n".join(rows) + "\n"


def test_a_column_that_turns_constant_is_told(door):
    """One value or none from a month on; a rare second value that stays out by chance is no sign of it."""
    account, _ = door(pay=payments(lambda m, i: "cash" if m >= 4 or i % 2 else "card"))
    assert plausible(account) == {
        "payment.method.constant": "method is the same in all rows from 2026-04 on, not before"
    }
    account, _ = door(pay=payments(lambda m, i: "" if m >= 4 else "cash" if i % 2 else "card"))
    assert plausible(account)["payment.method.constant"] == "method is missing in all rows from 2026-04 on, not before"
    rare = payments(lambda m, i: "card" if m < 4 and i == 0 else "cash")
    assert plausible(door(pay=rare)[0]) == {}


def test_last_days_that_lack_are_told(door):
    """Payments on working days, ten a day, to 19 June: 11 days lack by 1 July; to 26 June it is but a weekend more.

    A payment a month leaves such a gap by itself.
    """

    def until(last, a_day=10, days="B"):
        when = pd.date_range("2026-01-01", last, freq=days).repeat(a_day)
        rows = [f"p{i},c{1 + i % 2},,{day:%Y-%m-%d},9,{'cash' if i % 2 else 'card'}" for i, day in enumerate(when)]
        return plausible(door(pay="\n".join(["id,c,b,on,fee,how", *rows]))[0])

    assert until("2026-06-19") == {
        "payment.month_rows": "no row from 2026-06-20 to 2026-06-30, where 7 a day are usual"
    }
    assert until("2026-06-26") == until("2026-06-19", 1, "8D") == {}


def test_an_identifier_that_fills_a_gap_is_told(door):
    """A tenth of the lines has one and the same number."""
    lines = [f"s{i},c{1 + i % 2},{'n0' if i % 10 == 0 else f'n{i}'},2026-02-01," for i in range(1, 1_500)]
    account, _ = door(line="s,c,n,from,to\n" + "\n".join(lines) + "\n")
    said = "10% of the rows have one and the same number_key: does it stand for a missing one?"
    assert plausible(account)["subscription.number_key.mostly"] == said


@pytest.mark.prove
def test_rules_over_ten_million_rows_cost_less_than_five_scans(tmp_path):
    """CPU of the rules of detail records and of what is implausible in them, by that of reading every cell."""
    lines, rows = 100_000, 10_000_000
    with duckdb.connect(config={"threads": 1, "memory_limit": "2GB"}) as con:
        con.execute(
            "CREATE TABLE subscription AS SELECT 'S' || i AS subscription_id, 'C' || (i // 2) AS customer_id, "
            f"DATE '2020-01-01' + (i % 1000)::INTEGER AS activated_on, NULL::DATE AS ended_on FROM range({lines}) t(i)"
        )
        chosen = "list_extract(['{}', '{}', '{}'], 1 + (random() * 2)::INTEGER)".format
        con.execute(
            f"""COPY (SELECT 'C' || (j // 2) AS customer_id, 'S' || j AS subscription_id,
            TIMESTAMP '2026-01-01' + to_seconds((random() * 15552000)::BIGINT) AS started_at,
            {chosen("call", "message", "data")} AS kind, {chosen("in", "out", "out")} AS direction,
            {chosen("local", "national", "roaming")} AS zone, random() > .5 AS on_net,
            md5((random() * 1e5)::INTEGER::VARCHAR)[:20] AS counterpart_key, random() * 600 AS duration_s,
            random() * 50 AS volume_mb, random() AS charge
            FROM (SELECT (random() * {lines - 1})::BIGINT AS j FROM range({rows})))
            TO '{tmp_path}/records.parquet' (COMPRESSION zstd)"""
        )
        relation, table = f"read_parquet('{tmp_path}/records.parquet')", schema.table("detail_record")
        every = ", ".join(f"{'sum' if c.type == 'double' else 'min'}({c.name})" for c in table.columns)

        def cost(work):
            began = process_time()
            return work(), process_time() - began

        _, scan = cost(lambda: con.execute(f"SELECT {every} FROM {relation}").fetchall())
        ranges = {f"detail_record.{c.name}.in_range": "warn" for c in table.columns if c.in_range}
        watch = Watch(con, Rulebook(ranges), date(2026, 7, 1))
        _, rules = cost(lambda: watch.rules("detail_record", relation, {"subscription": "subscription"}))
        seen, profile = cost(lambda: watch.profile(table, relation, "NULL"))
        _, told = cost(lambda: watch.deliveries(table, seen, relation, {}))
        print(f"scan 1, rules {rules / scan:.1f}, what is implausible {(profile + told) / scan:.1f}")
        assert rules + profile + told < 5 * scan and watch.found == []
