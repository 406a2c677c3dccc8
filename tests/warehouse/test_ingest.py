"""Ingest: every record is accounted for, and what is published is whole."""

import csv
import gzip
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.messages import Message, Name, Number
from workbench.warehouse import open_warehouse, schema
from workbench.warehouse.ingest import ingest
from workbench.warehouse.ingest.blocks import FileBlock, Origin
from workbench.warehouse.ingest.lines import csv_batches
from workbench.warehouse.texts import UNSEEN
from workbench.warehouse.versions import one_writer

ROOT = Path(__file__).resolve().parents[2]

CUSTOMERS = """
[[file]]
path = "客户.csv"
table = "customer"
missing = ["", "NULL"]
[file.columns]
customer_id = "编号"
kind = { from = "类型", values = { "个人" = "person", "公司" = "company" } }
name_key = { from = "姓名", pseudonym = true }
province = "省份"
birth_year = "出生年"
gender = "性别"
joined_on = { from = "入网", format = "%Y%m%d" }
"""
HEAD = "编号,类型,姓名,省份,出生年,性别,入网"
GOOD = "C1,个人,张三,江苏,1980,male,20200101"
PAYMENTS = """
[[file]]
path = "pay-*.csv"
table = "payment"
[file.columns]
payment_id = { row_number = true }
customer_id = "c"
paid_on = "d"
amount = { from = "fen", scale = 0.01 }
"""
PRODUCT = """
[[file]]
path = "p.csv"
table = "product"
[file.columns]
product_id = "id"
name = "name"
monthly_fee = "fee"
"""
GBK = PRODUCT.replace("[file.c", 'encoding = "gb18030"\n[file.c')
IGNORING = PRODUCT.replace("[file.c", 'ignore = ["x"]\n[file.c')


def project(folder: Path, mapping: str, files: dict[str, str | bytes]) -> Path:
    """Lay a project whose source `shop` has this mapping and these raw files."""
    raw = folder / "data" / "raw" / "shop"
    raw.mkdir(parents=True, exist_ok=True)
    (folder / "data" / "mappings").mkdir(exist_ok=True)
    (folder / "data" / "mappings" / "shop.toml").write_text("as_of = 2026-07-01\n" + mapping, encoding="utf-8")
    for name, content in files.items():
        (raw / name).parent.mkdir(exist_ok=True)
        (raw / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def reasons(root: Path, table: str) -> dict[int, list[str]]:
    """Reasons by line of a table's quarantine."""
    aside = open_warehouse("shop", root=root).refused(table)
    return {line: list(why) for line, why in zip(aside["line"], aside["reasons"], strict=True)}


def nothing_published(root: Path) -> bool:
    """Whether no version and no leftover stands."""
    folder = root / "data" / "warehouse" / "shop"
    return not folder.exists() or [p.name for p in folder.iterdir()] in ([], [".lock"])


def test_every_reason_of_every_bad_row(tmp_path):
    """A row that breaks several rules is quarantined once, with all of them; good rows are typed."""
    rows = [
        GOOD,
        "C2,个人,李四,,1850,x,20201301",
        "C3,家庭,,江苏,19 80,female,20200101",
        "C4,公司, NULL ,  江苏  ,NULL,,20200229",
        "NULL,个人,,江苏,1980.5,,20200101",
    ]
    root = project(tmp_path, CUSTOMERS, {"客户.csv": "\n".join([HEAD, *rows, ""])})
    account = ingest("shop", root=root)
    assert account.frame[["raw", "accepted", "quarantined"]].values.tolist() == [[5, 2, 3]]
    assert reasons(root, "customer") == {
        3: [
            "province is missing",
            "birth_year is not between 1900 and 2100",
            "gender is not one of female, male",
            "joined_on is not a date",
        ],
        4: ["kind has a text not listed under values", "birth_year is not a whole number"],
        6: ["customer_id is missing", "birth_year is not a whole number"],
    }
    customers = open_warehouse("shop", root=root).table("customer")
    assert customers["customer_id"].tolist() == ["C1", "C4"]
    assert customers["province"].tolist() == ["江苏", "江苏"]
    assert customers["joined_on"].tolist() == [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-02-29")]
    assert customers["kind"].tolist() == ["person", "company"]
    assert customers["name_key"].notna().tolist() == [True, False]


def test_first_of_equal_keys_stays_and_orphans_follow_their_parent(tmp_path):
    """Later rows of a key and children of quarantined parents go to quarantine; a bad row does not count as first."""
    bad, again = GOOD.replace("male", "x"), GOOD.replace("江苏", "广东")
    other = GOOD.replace("C1", "C2").replace("male", "x")
    root = project(
        tmp_path,
        CUSTOMERS + PAYMENTS,
        {
            "客户.csv": "\n".join([HEAD, bad, GOOD, again, other]),
            "pay-1.csv": "c,d,fen\nC1,2026-01-05,1110\nC2,2026-01-05,5\n",
        },
    )
    ingest("shop", root=root)
    assert reasons(root, "customer") == {
        2: ["gender is not one of female, male", "the key (customer_id) stands in another row"],
        4: ["the key (customer_id) stands in an earlier row"],
        5: ["gender is not one of female, male"],
    }
    assert reasons(root, "payment") == {3: ["customer_id does not stand in customer"]}
    payment = open_warehouse("shop", root=root).table("payment").iloc[0]
    assert payment["payment_id"] == "pay-1.csv#1" and payment["amount"] == 11.1


def test_lines_that_cannot_be_cut_are_kept_with_their_reason(tmp_path):
    """Open and stray quotes, wrong field counts, NUL, lone CR, blank and very long lines: none swallows another."""
    lines = [
        b"id,name,fee",
        b'a,"x, ""y""",1',
        b'b,"open,1',
        b"c,x",
        b"d,x,1,2",
        b"",
        b'e,x"y"z,1',
        b"f,\0,1",
        b"g,a\rb,1",
        b"h," + b"x" * (1 << 20) + b",1",
        b"i,last,1",
    ]
    for ending in (b"\n", b"\r\n"):
        root = project(tmp_path / str(len(ending)), PRODUCT, {"p.csv": ending.join(lines)})
        account = ingest("shop", root=root)
        assert account.balanced and account.frame["raw"].tolist() == [10]
        assert reasons(root, "product") == {
            3: ["a quote is not closed"],
            4: ["the record has 2 fields instead of 3"],
            5: ["the record has 4 fields instead of 3"],
            6: ["the line is empty"],
            7: ["a quote stands inside a value"],
            8: ["the record has a NUL byte"],
            9: ["the record has a lone carriage return"],
            10: ["the record has more than 1 MB"],
        }
        assert open_warehouse("shop", root=root).table("product")["name"].tolist() == ['x, "y"', "last"]


@pytest.mark.parametrize("text", ["1,234", "１２", "1_000", "nan", "inf", "0x1F", "1e999", "5 0", "--5", "五"])
def test_strange_numbers_are_not_repaired(tmp_path, text):
    """What a column of numbers does not hold is refused, not guessed."""
    root = project(tmp_path, PRODUCT, {"p.csv": f'id,name,fee\na,x,1\nb,y,"{text}"\n'})
    ingest("shop", root=root)
    assert reasons(root, "product") == {3: ["monthly_fee is not a number"]}


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("2026-01-05", True),
        ("2026/1/5", True),
        ("2026-01-05 00:00:00", True),
        ("2026-01-05 13:00:00", False),
        ("2026-02-30", False),
        ("20260105", False),
        ("05.01.2026", False),
        ("infinity", False),
        ("2026-01-05+08", False),
    ],
)
def test_dates(tmp_path, text, fits):
    """A date is a date: no time of day is cut off, no other order is guessed."""
    good = "C1,2026-01-01,5\n"
    mapping = PAYMENTS.replace("pay-*", "pay-1")
    root = project(tmp_path, mapping, {"pay-1.csv": f"c,d,fen\n{good}C1,{text},5\n"})
    assert ingest("shop", root=root).frame["accepted"].tolist() == [1 + fits]


def test_gb18030_and_bom_and_gz_give_the_same_rows(tmp_path):
    """The same table in four wrappings is the same table."""
    text = f"{HEAD}\n{GOOD}\n"
    wraps = {"utf-8": text.encode(), "utf-8-sig": text.encode("utf-8-sig"), "gb18030": text.encode("gb18030")}
    frames = []
    for encoding, content in [*wraps.items(), ("auto", wraps["gb18030"]), ("auto", wraps["utf-8-sig"])]:
        mapping = CUSTOMERS.replace("客户.csv", "客户.csv.gz").replace("missing", f'encoding = "{encoding}"\nmissing')
        root = project(tmp_path / str(len(frames)), mapping, {"客户.csv.gz": gzip.compress(content)})
        ingest("shop", root=root)
        frames.append(open_warehouse("shop", root=root).table("customer").drop(columns="name_key"))
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(frame, frames[0])


def test_credited_fees_are_bills(tmp_path):
    """A line of -19 is an ordinary credit; a discount of -5 is written with the wrong sign."""
    bills = (
        '[[file]]\npath = "bills.csv"\ntable = "bill"\nmost_refused = 0.6\n[file.columns]\nbill_id = "b"\n'
        'customer_id = "c"\nmonth = "m"\nissued_on = "m"\ndue_on = "m"\nrecurring = "r"\n'
        'usage_charge = "u"\ndiscount = "d"\namount = "a"\n'
    )
    rows = "b,c,m,r,u,d,a\n1,C1,2026-05-01,-19,-1.5,0,-20.5\n2,C1,2026-06-01,19,0,-5,24\n"
    root = project(tmp_path, CUSTOMERS + bills, {"客户.csv": f"{HEAD}\n{GOOD}\n", "bills.csv": rows})
    ingest("shop", root=root)
    assert open_warehouse("shop", root=root).table("bill")["recurring"].tolist() == [-19]
    assert reasons(root, "bill") == {3: ["discount is not between 0 and 10000000"]}


def test_account_is_printed_for_people(tmp_path):
    """Files, counts, total, reasons and files that nobody reads stand in the printed account."""
    files = {"p.csv": "id,name,fee\na,x,1\nb,,1\nb,y,2\n", "forgotten.csv": "x", "truth/t.parquet": "x"}
    root = project(tmp_path, 'skip = ["truth/*"]\n' + PRODUCT, files)
    said = []
    account = ingest("shop", root=root, progress=said.append)
    assert said == ["p.csv: 3 records = 2 accepted + 1 quarantined"]
    counts = {name: Number(n, ",d") for name, n in {"n": 56_873, "accepted": 56_703, "quarantined": 170}.items()}
    line = Message(said[0].template, {"file": Name("p.csv"), **counts}).said("zh")
    assert line == "p.csv：56,873条记录=接收56,703+隔离170"  # in tens of thousands it would not add up
    text = str(account)
    assert re.search(r"p\.csv\s+product\s+3\s+2\s+1\n", text)
    assert re.search(r"1\s+product: name is missing", text)
    assert "no [[file]] block names: forgotten.csv" in text and "truth" not in text


def test_rows_in_the_mapping_and_parents_that_are_not_delivered(tmp_path):
    """A campaign written in the mapping is a parent; customers that no file holds are noted as not checked."""
    rows = '[[rows]]\ntable = "campaign"\ncampaign_id = "k"\nname = "K"\nassignment = "randomised"\n'
    rows += "starts_on = 2026-04-01\nends_on = 2026-06-30\n"
    members = '[[file]]\npath = "m.csv"\ntable = "campaign_member"\n[file.columns]\ncampaign_id = "k"\n'
    members += 'customer_id = "c"\narm = "a"\noutcomes = { revenue = "r" }\ncovariates = ["age", "city"]\n'
    text = "k,c,a,r,age,city\nk,1,control,2.5,30,x\nk,2,treatment,,,y\nz,3,control,1,1,x\nk,4,treatment,7,,\n"
    root = project(tmp_path, rows + members, {"m.csv": text})
    account = ingest("shop", root=root)
    assert "campaign_member.customer_id -> customer.customer_id" in account.notes[0]
    assert reasons(root, "campaign_member") == {
        3: ["outcomes has no entry"],
        4: ["campaign_id does not stand in campaign"],
    }
    wide = open_warehouse("shop", root=root).campaign("k")
    assert wide.columns.tolist() == ["customer_id", "arm", "assigned_on", "contacted", "revenue", "age", "city"]
    assert wide["revenue"].tolist() == [2.5, 7.0] and wide["age"].dtype == "float64"
    broken = rows.replace('"randomised"', '"random"') + members
    with pytest.raises(WorkbenchError, match=r"row 1 of campaign in .*assignment is not one of randomised, selected"):
        ingest("shop", root=project(tmp_path, broken, {}))


def test_unchanged_files_are_recognised_and_changed_ones_make_a_version(tmp_path):
    """Nothing changed: nothing done. A changed file: a new version; the last two are kept; going back is a pointer."""
    root = project(tmp_path, PRODUCT, {"p.csv": "id,name,fee\na,x,1\n"})
    first = ingest("shop", root=root)
    again = ingest("shop", root=root)
    assert first.changed and not again.changed and again.version == first.version
    assert "is in force already" in str(again)
    versions = [first.version]
    for fee in (2, 3):
        project(tmp_path, PRODUCT, {"p.csv": f"id,name,fee\na,x,{fee}\n"})
        versions.append(ingest("shop", root=root).version)
    folder = root / "data" / "warehouse" / "shop"
    assert sorted(p.name for p in folder.iterdir() if p.is_dir()) == sorted(versions[1:])
    project(tmp_path, PRODUCT, {"p.csv": "id,name,fee\na,x,2\n"})
    assert ingest("shop", root=root).version == versions[1]
    assert open_warehouse("shop", root=root).table("product")["monthly_fee"].tolist() == [2.0]


def test_parquet_and_excel_fill_the_same_table(tmp_path):
    """Typed cells go through text to the same rules; a blank row in a sheet is accounted for."""
    raw = tmp_path / "data" / "raw" / "shop"
    raw.mkdir(parents=True)
    dates = pd.to_datetime(["2026-01-05", "2026-01-06"])
    frame = pd.DataFrame({"c": ["C1", "C2"], "d": dates, "fen": [1110, -250]})
    frame.to_parquet(raw / "pay-1.parquet")
    sheet = frame.iloc[[0, 1, 1]].reset_index(drop=True)
    sheet.loc[1] = None
    sheet.to_excel(raw / "pay-2.xlsx", index=False)
    mapping = PAYMENTS.replace("pay-*.csv", "pay-1.parquet") + PAYMENTS.replace("pay-*.csv", "pay-2.xlsx").replace(
        "{ row_number = true }", '{ template = "x{c}" }'
    )
    account = ingest("shop", root=project(tmp_path, mapping, {}))
    assert account.frame["accepted"].tolist() == [2, 2] and account.frame["raw"].tolist() == [2, 3]
    payments = open_warehouse("shop", root=tmp_path).table("payment")
    assert payments["payment_id"].tolist() == ["1", "2", "xC1", "xC2"]
    assert payments["amount"].tolist() == [11.1, -2.5, 11.1, -2.5]


def test_long_identifiers_in_excel(tmp_path):
    """Nineteen digits as text are kept; as a number they are refused, for the last are lost already."""
    for cell, fits in (("1234567890123456789", True), (1234567890123456789, False)):
        book = openpyxl.Workbook()
        for row in (["id", "name", "fee"], [cell, "x", 1], ["9234567890123456784", "y", 2]):
            book.active.append(row)
        root = project(tmp_path / str(fits), PRODUCT.replace("p.csv", "p.xlsx"), {})
        book.save(root / "data" / "raw" / "shop" / "p.xlsx")
        if fits:
            ingest("shop", root=root)
            assert open_warehouse("shop", root=root).table("product")["product_id"].tolist()[0] == cell
        else:
            with pytest.raises(WorkbenchError, match=r"numbers of more than 15 digits \(row 2\)"):
                ingest("shop", root=root)


@pytest.mark.parametrize(
    ("files", "mapping", "words"),
    [
        ({}, PRODUCT, "lacks p.csv, which fills product"),
        ({"P.csv": "x"}, PRODUCT, "Did you mean 'P.csv'"),
        ({"p.csv": ""}, PRODUCT, "p.csv is empty"),
        ({"p.csv": "id,name,fee\n"}, PRODUCT, "would be empty: in p.csv there is no record"),
        ({"p.csv": "id,name,fee\na,,1\n"}, PRODUCT, "none of the 1 records is accepted: name is missing (1)"),
        ({"p.csv": "id,nam,fee\na,b,1\n"}, PRODUCT, "lacks the column 'name' of the mapping. Did you mean 'nam'"),
        ({"p.csv": "id,name,fee,new\na,b,1,2\n"}, PRODUCT, "columns that the mapping does not use: 'new'"),
        ({"p.csv": "id,name,fee,fee\na,b,1,2\n"}, PRODUCT, "two columns 'fee'"),
        ({"p.csv": "id;name;fee\na;b;1\n"}, PRODUCT, "see delimiter"),
        ({"p.csv": "id,name,fee\na,张,1\n".encode("gb18030")}, PRODUCT, "not in utf-8: byte 14 (line 2) is 0xd5"),
        ({"p.csv": "id,name,fee\n".encode("utf-16")}, PRODUCT, "is in UTF-16"),
        ({"p.csv": b"id,name,fee\na,\x81\n,1\n"}, GBK, "line 2"),
        ({"p.csv": "id,name,fee\na,b,1\n"}, IGNORING, "listed under ignore"),
        ({"p.csv.gz": gzip.compress(b"id,name,fee\n" * 99)[:30]}, PRODUCT.replace(".csv", ".csv.gz"), "is damaged"),
        ({"p.parquet": b"PAR1"}, PRODUCT.replace(".csv", ".parquet"), "can't be read as Parquet"),
        ({"p.xlsx": b"PK"}, PRODUCT.replace(".csv", ".xlsx"), "can't be read as Excel"),
    ],
)
def test_bad_files_are_refused_and_nothing_is_written(tmp_path, files, mapping, words):
    """Each fault gives one error with what, where and what to do, and leaves no trace."""
    root = project(tmp_path, mapping, files)
    with pytest.raises(WorkbenchError, match=re.escape(words)):
        ingest("shop", root=root)
    assert nothing_published(root)


def test_failed_ingest_leaves_the_version_in_force(tmp_path):
    """After a bad delivery the warehouse still answers from the good one."""
    root = project(tmp_path, PRODUCT, {"p.csv": "id,name,fee\na,x,1\n"})
    version = ingest("shop", root=root).version
    project(tmp_path, PRODUCT, {"p.csv": b"id,name,fee\na,\xff,1\n"})
    with pytest.raises(WorkbenchError, match="0xff"):
        ingest("shop", root=root)
    warehouse = open_warehouse("shop", root=root)
    assert warehouse.version == version and len(warehouse.table("product")) == 1


def test_file_that_grows_while_it_is_read_is_refused(tmp_path):
    """A delivery still under way is not published as if it were complete."""
    root = project(tmp_path, PRODUCT, {"p.csv": "id,name,fee\na,x,1\n"})
    with pytest.raises(WorkbenchError, match=r"p\.csv was changed while it was read"):
        ingest("shop", root=root, progress=lambda line: project(tmp_path, PRODUCT, {"p.csv": "id,name,fee\na,x,1\nb"}))
    assert nothing_published(root)


def test_columns_are_found_by_name_whatever_their_order(tmp_path):
    """A delivery with other column order is the same delivery."""
    root = project(tmp_path, PRODUCT, {"p.csv": "fee,id,name\n1,a,x\n"})
    ingest("shop", root=root)
    assert open_warehouse("shop", root=root).table("product", ["monthly_fee", "name"]).values.tolist() == [[1.0, "x"]]


def test_second_writer_is_refused_while_the_first_writes(tmp_path):
    """Two ingests at once: the second is told which process is writing."""
    root = project(tmp_path, PRODUCT, {"p.csv": "id,name,fee\na,x,1\n"})
    with one_writer(root / "data" / "warehouse" / "shop"):
        with pytest.raises(WorkbenchError, match=f"process {os.getpid()}"):
            ingest("shop", root=root)
    assert ingest("shop", root=root).balanced


def _script(root: Path, limit: str = "") -> list[str]:
    code = f"{limit}\nfrom workbench.warehouse.ingest import ingest\ningest('shop', root={str(root)!r}, progress=print)"
    return [sys.executable, "-c", code]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}


def test_killed_ingest_publishes_nothing_and_the_next_one_cleans_up(tmp_path):
    """kill -9 in the middle leaves the old version in force, and no stale lock."""
    root = project(tmp_path, PRODUCT, {"p.csv": "id,name,fee\na,x,1\n"})
    version = ingest("shop", root=root).version
    rows = "".join(f"{i},x,1\n" for i in range(1_500_000))
    project(tmp_path, PRODUCT, {"p.csv": "id,name,fee\n" + rows})
    folder = root / "data" / "warehouse" / "shop"
    process = subprocess.Popen(_script(root), env=_environment(), stdout=subprocess.DEVNULL)
    while not list(folder.glob(".building-*/stage.duckdb")) and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(folder.glob(".building-*"))
    assert open_warehouse("shop", root=root).version == version
    project(tmp_path, PRODUCT, {"p.csv": "id,name,fee\nb,x,1\n"})
    assert ingest("shop", root=root).changed
    assert not list(folder.glob(".building-*"))


def test_full_disk_is_one_clear_error(tmp_path):
    """When no more can be written, the ingest says so and leaves the old version."""
    root = project(tmp_path, PRODUCT, {"p.csv": "id,name,fee\na,x,1\n"})
    version = ingest("shop", root=root).version
    project(tmp_path, PRODUCT, {"p.csv": "id,name,fee\n" + "".join(f"{i},{i * 7919},1\n" for i in range(60_000))})
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, {resource.RLIM_INFINITY}))"
    done = subprocess.run(_script(root, limit), env=_environment(), capture_output=True, text=True)
    assert done.returncode == 1 and "WorkbenchError: the ingest into" in done.stderr, done.stderr
    assert "as it was" in done.stderr
    assert open_warehouse("shop", root=root).version == version
    assert not list((root / "data" / "warehouse" / "shop").glob(".building-*"))


def test_detail_records_lie_by_month_and_the_folder_can_be_moved(tmp_path):
    """Events of two files are stored by month, with ids checked; a moved project with blanks in its path opens."""
    mapping = CUSTOMERS + (
        '[[file]]\npath = "cdr*.csv"\ntable = "detail_record"\n[file.columns]\ncustomer_id = "c"\n'
        'subscription_id = "s"\n'
        'started_at = "t"\nkind = { constant = "call" }\nzone = { constant = "local" }\ncharge = "p"\n'
    )
    events = ["c,s,t,p", "C1,S,2026-01-31 23:59:59,0.1", "C9,S,2026-02-01 00:00:00,0.2", "C1,S,2026-02-01T00:00:00,0.3"]
    events.append("C1,S,2026-02-01 00:00:00+08,0.3")
    files = {"客户.csv": f"{HEAD}\n{GOOD}\n", "cdr1.csv": "\n".join(events), "cdr2.csv": "\n".join(events[:2])}
    ingest("shop", root=project(tmp_path / "old", mapping, files))
    moved = (tmp_path / "old").rename(tmp_path / "新 地方")
    warehouse = open_warehouse("shop", root=moved)
    assert sorted(p.name for p in (warehouse.place / "detail_record").iterdir()) == [
        "2026-01.parquet",
        "2026-02.parquet",
    ]
    assert warehouse.table("detail_record")["charge"].tolist() == [0.1, 0.1, 0.3]
    assert reasons(moved, "detail_record") == {
        3: ["customer_id does not stand in customer"],
        5: ["started_at is not a date and time"],
    }
    assert "customer" in warehouse.tables() and "detail_record" in warehouse.tables()


def test_quarantine_keeps_the_record_but_no_clear_name(tmp_path):
    """The record can be read again, its name only as a pseudonym; an uncut line of such a file is withheld."""
    rows = [HEAD, GOOD, GOOD.replace("male", "x"), GOOD + ',"']
    root = project(tmp_path, CUSTOMERS, {"客户.csv": "\n".join(rows)})
    ingest("shop", root=root)
    aside = open_warehouse("shop", root=root).refused("customer")
    record = json.loads(aside["record"][0])
    assert record["编号"] == "C1" and record["性别"] == "x" and re.fullmatch("[0-9a-f]{20}", record["姓名"])
    assert "withheld" in aside["record"][1]
    for file in (root / "data" / "warehouse").rglob("*"):
        assert not file.is_file() or "张三".encode() not in file.read_bytes(), file


CHARS = st.text(alphabet="ab1,;\"\r\n\0 é张\ufeff\x1a\\'", max_size=60)


def messy_block(encoding: str) -> FileBlock:
    """Three columns of a file in this encoding."""
    columns = {name: Origin(column=name) for name in ("id", "name", "fee")}
    return FileBlock("p.csv", schema.table("product"), "csv", columns, encoding=encoding)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=CHARS, encoding=st.sampled_from(["utf-8", "gb18030"]), block=st.sampled_from([1, 7, 1 << 20]))
@example(text="\ufeff,,", encoding="utf-8", block=1)
@example(text='a,"x\r\ny",1\nb,"open,1\nc,z,1\nd,"e\nf",1', encoding="utf-8", block=7)
def test_any_mess_is_cut_into_records_of_whole_lines(tmp_path, monkeypatch, text, encoding, block):
    """Whatever the size of the blocks: each line belongs to one record, cut as the csv module cuts it."""
    monkeypatch.setattr("workbench.warehouse.ingest.decode.BLOCK", block)
    file = tmp_path / "p.csv"
    file.write_bytes(f"id,name,fee\n{text}".encode(encoding))
    batches = list(csv_batches(file, messy_block(encoding), lambda names: None))
    lines = text.split("\n")[: None if text and not text.endswith("\n") else -1]
    assert sum(batch.lines for batch in batches) == len(lines)
    good = {row["#line"]: row for batch in batches for row in batch.columns.to_pylist()}
    bad = {row["line"]: row["record"] for batch in batches for row in batch.malformed.to_pylist()}
    begins = sorted(good.keys() | bad)
    assert not good.keys() & bad.keys() and begins[:1] == [2][: len(lines)]
    assert len(begins) == sum(batch.records for batch in batches)
    for number, (line, behind) in enumerate(zip(begins, [*begins[1:], len(lines) + 2], strict=False), 1):
        assert (good[line]["#record"] if line in good else bad[line]) == number
        if line in bad:
            assert behind == line + 1
            continue
        row, joined = good[line], [f"{one}\n" for one in lines[line - 2 : behind - 2]]
        (cells,) = csv.reader([*joined[:-1], joined[-1].removesuffix("\n").removesuffix("\r")], strict=True)
        assert [row["id"], row["name"], row["fee"]] == [cell.strip(UNSEEN) for cell in cells]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=CHARS, encoding=st.sampled_from(["utf-8", "gb18030", "auto"]))
def test_any_mess_balances(tmp_path, text, encoding):
    """Whatever stands in the file, each record is accepted or quarantined, and each line belongs to one."""
    mapping = PRODUCT.replace("[file.c", f'encoding = "{encoding}"\n[file.c')
    content = f"id,name,fee\ngood,x,1\n{text}"
    project(tmp_path, mapping, {"p.csv": content.encode("utf-8" if encoding == "auto" else encoding)})
    account = ingest("shop", root=tmp_path)
    lines = 1 + text.count("\n") + (not text.endswith("\n") and text != "")
    assert account.balanced and account.frame["lines"].tolist() == [lines]
    records = account.frame["raw"][0]
    assert lines - text.count('"') / 2 * text.count("\n") <= records <= lines
    warehouse = open_warehouse("shop", root=tmp_path)
    assert len(warehouse.table("product")) + len(warehouse.refused("product")) == records


def test_real_data_come_in_through_the_same_door(tmp_path, shared_data):
    """mobi, Hillstrom and CDNOW: counts and published means of the sources."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mappings").symlink_to(ROOT / "data" / "mappings")
    for source, raw in (("mobi", 250), ("hillstrom", 64_001), ("cdnow", 6_919)):
        account = ingest(source, raw=shared_data, root=tmp_path)
        assert account.frame["raw"].sum() == account.frame["accepted"].sum() == raw
    members = open_warehouse("hillstrom", root=tmp_path).campaign("email")
    visit = members.groupby("arm")["visit"].mean()
    assert visit["womens"] - visit["control"] == pytest.approx(0.045233, abs=5e-7)
    assert members["history"].dtype == "float64" and set(members["zip_code"]) == {"Urban", "Surburban", "Rural"}
    survey = open_warehouse("mobi", root=tmp_path).survey("ECSI")
    source = pd.read_csv(shared_data / "mobi.csv")
    assert survey.shape == (250, 10 + 24)
    assert sorted(map(tuple, survey[source.columns].values)) == sorted(map(tuple, source.values.astype(float)))
    payments = open_warehouse("cdnow", root=tmp_path).table("payment")
    assert payments["customer_id"].nunique() == 2357 and (payments["amount"] == 0).sum() > 0
