"""A customer is forgotten everywhere, no clear identifier stands anywhere, and who turns pseudonyms back is logged."""

import csv
import gzip
import json
import shutil
import sqlite3
import stat
import zipfile
from contextlib import closing

import pandas as pd
import pytest
from click.testing import CliRunner

from workbench.cli import workbench as command
from workbench.errors import WorkbenchError
from workbench.locks import locked
from workbench.reports.handoff import bundle
from workbench.reports.page.lists import write_list
from workbench.reports.privacy import forget as privacy
from workbench.reports.privacy.forget import _repairs as named_in_repairs
from workbench.reports.privacy.forget import forget
from workbench.reports.privacy.search import log, reidentify, scan
from workbench.reports.runs.ledger import Ledger
from workbench.warehouse import open_warehouse
from workbench.warehouse.ingest import ingest
from workbench.warehouse.ingest.mapping import read_mapping
from workbench.warehouse.ingest.repairs import write_quarantine

MAPPING = """
as_of = 2026-07-01
most_refused = 1
[[file]]
path = "customer.csv"
table = "customer"
[file.columns]
customer_id = {customer}
name_key = {{ from = "name", pseudonym = true }}
kind = {{ constant = "person" }}
province = "p"
joined_on = "joined"

[[file]]
path = "line.csv"
table = "subscription"
[file.columns]
subscription_id = "s"
customer_id = {customer}
service = {{ constant = "mobile" }}
number_key = {{ from = "n", pseudonym = true }}
activated_on = "from"

[[file]]
path = "cdr.csv"
table = "detail_record"
[file.columns]
customer_id = {customer}
subscription_id = "s"
started_at = "at"
kind = {{ constant = "call" }}
zone = {{ constant = "local" }}
counterpart_key = {{ from = "other", pseudonym = true }}
charge = {{ constant = 0 }}

[[file]]
path = "ticket.csv"
table = "ticket"
[file.columns]
ticket_id = "t"
customer_id = {customer}
kind = "kind"
category = "what"
opened_at = "at"
"""
FILES = {
    "customer": """c,name,p,joined
CUST-01,李娜,北京,2025-01-01
cust-01,王伟,北京,2025-01-01
CUST-02,张敏,北京,2025-01-01
""",
    "line": """s,c,n,from
LINE-01,CUST-01,13800138000,2026-01-01
LINE-02,CUST-02,13900139000,2026-01-01
""",
    "cdr": """c,s,other,at
CUST-01,LINE-01,13900139000,2026-06-01 10:00:00
CUST-02,LINE-02,13800138000,2026-06-01 10:00:00
CUST-02,LINE-02,13700137000,2026-06-02 10:00:00
""",
    "ticket": """t,c,kind,what,at
CASE-01,CUST-01,complaint,a,2026-06-01 10:00:00
CASE-02,CUST-01,quarrel,b,2026-06-01 10:00:00
CASE-03,CUST-02,quarrel,c,2026-06-01 10:00:00
CASE-04,CUST-01,complaint
""",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A project with three customers, mended records, lists and reports of two versions of its warehouse."""
    root = tmp_path_factory.mktemp("built")
    for folder in ("data/mappings", "data/raw/shop", "data/repairs/shop", "reports/lists", "reports/site/who/default"):
        (root / folder).mkdir(parents=True)
    for name, text in FILES.items():
        (root / f"data/raw/shop/{name}.csv").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WORKBENCH_KEY", raising=False)
        build(root)
        write_quarantine(open_warehouse("shop", root=root).refused("ticket").head(2), root / "mend.csv")
        mended = (root / "mend.csv").read_text("utf-8-sig").replace(",quarrel,", ",fault,")
        (root / "data/repairs/shop/mended.csv").write_text(mended, encoding="utf-8")
        build(root)
    return root


@pytest.fixture
def root(built, tmp_path, monkeypatch):
    """Each test's own copy of it."""
    monkeypatch.delenv("WORKBENCH_KEY", raising=False)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    return shutil.copytree(built, tmp_path, dirs_exist_ok=True)


def build(root, customer='"c"'):
    (root / "data/mappings/shop.toml").write_text(MAPPING.format(customer=customer), encoding="utf-8")
    return ingest("shop", root=root)


def logged(root):
    with (root / "data/private/log.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


KINDS = ("a number or name that the mapping hides", "what looks like a telephone number")


def lists(root, ids, folder="reports/lists", name="call"):
    said = {"definition": "Call them.", "as_of": "2026-07-01"}
    return write_list(pd.DataFrame({"customer_id": ids, "rank": range(len(ids))}), root / folder, name=name, **said)


def everything(root):
    """All texts and bytes of a project but its extracts."""
    warehouse = open_warehouse("shop", root=root)
    tables = (*warehouse.tables(), "account", "quarantine", "facts", "warning")
    cells = "".join(warehouse.query(f"FROM {table}").astype(str).to_csv() for table in tables)
    files = [p for p in root.rglob("*") if p.is_file() and "raw" not in p.parts and p.name != "mend.csv"]
    cells += "".join(pd.read_parquet(path).astype(str).to_csv() for path in files if path.suffix == ".parquet")
    return cells + "".join(path.read_bytes().decode("utf-8", "replace") for path in files)


def test_a_repair_that_moves_a_record_to_another_names_both(root):
    """Whoever it was refused of is forgotten with it, and so is whoever it is of now; no other is."""
    rows = [("CASE-02", "CUST-02", "CUST-01"), ("CASE-03", "CUST-01", "CUST-02"), ("CASE-04", "CUST-02", "CUST-02")]
    lines = [["#file", "#was", "t", "c"], *(["f", json.dumps({"t": t, "c": was}), t, c] for t, c, was in rows)]
    path = root / "data/repairs/shop/moved.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(lines)
    found = named_in_repairs(read_mapping(root / "data/mappings/shop.toml"), root, {"CUST-01"})
    assert found[path] == [lines[0], lines[3]]


def test_a_customer_is_forgotten(root):
    """In tables, partials, quarantine, older versions, repairs and lists; others keep all but the number at the end."""
    before = open_warehouse("shop", root=root)
    line = before.table("subscription").set_index("customer_id").loc["CUST-01", "number_key"]
    assert len(before.table("ticket")) == 3 and "CUST-01" in everything(root) and line in everything(root)
    lists(root, ["CUST-01", "CUST-02"]), lists(root, ["CUST-01"], name="alone")
    (root / "reports/site/who/default/manifest.json").write_text("{}")
    (root / "reports/site/who/default/index.html").write_text("<p>LINE-01 and CUST-02</p>")
    (root / "reports/notes.txt").write_text("CUST-011 is another")

    gone = forget("shop", "CUST-01", root)

    after = open_warehouse("shop", root=root)
    assert gone.rows == 1 + 1 + 1 + 2 and gone.version == after.version
    assert gone.repaired == ("data/repairs/shop/mended.csv",) and gone.held == ()
    assert gone.lists == ("reports/lists/alone.list.parquet", "reports/lists/call.list.parquet")
    assert gone.naming == ("reports/site/who/default",)
    assert [p.name for p in before.place.parent.iterdir() if p.is_dir()] == [after.version]
    assert after.table("customer")["customer_id"].tolist() == ["CUST-02", "cust-01"]
    assert after.table("ticket")[["ticket_id", "kind"]].values.tolist() == [["CASE-03", "fault"]]
    assert after.table("detail_record")["counterpart_key"].notna().tolist() == [False, True]
    assert after.query("SELECT count(*) AS n FROM counterpart_month")["n"][0] == 1
    assert pd.read_csv(root / "reports/lists/call.list.csv")["customer_id"].tolist() == ["CUST-02"]
    assert not list((root / "reports/lists").glob("alone.*"))
    (root / "reports/site/who/default/index.html").unlink()
    (root / "reports/notes.txt").unlink()
    for clear in ("CUST-01", "LINE-01", "CASE-01", "CASE-02", "CASE-04", line):
        assert clear not in everything(root)
    account = after.full_account()
    assert account.balanced and account.frame["set_aside"].tolist() == [1, 1, 1, 3] and not account.excess()


def test_the_page_of_who_is_forgotten_goes_with_what_the_ledger_says_of_it(root):
    file, kept = pages(root)
    gone = forget("shop", "CUST-01", root)
    assert "reports/site/customer/customer=CUST-01" in gone.lists and not gone.ledger
    assert {path.name for path in (root / "reports/site/customer").iterdir()} == kept
    assert in_ledger(file) == [kept, kept]
    assert b"customer=CUST-01" not in b"".join(path.read_bytes() for path in file.parent.glob("ledger*"))


@pytest.mark.parametrize("hold", ["BEGIN IMMEDIATE", "BEGIN; SELECT * FROM slot"])
def test_a_run_that_holds_the_ledger_delays_no_more_than_the_ledger(hold, root, monkeypatch):
    """All else is done and logged, the page is gone, and what is left is said; the second time finishes."""
    monkeypatch.setattr(privacy, "_PATIENCE", 0.1)
    file, kept = pages(root, other="CUST-03")
    ask = ["data", "forget", "--source", "shop"]
    with closing(sqlite3.connect(file, isolation_level=None)) as run:
        for statement in hold.split("; "):
            run.execute(statement).fetchall()
        done = CliRunner().invoke(command, ask, input="CUST-01\n", standalone_mode=False)
        assert done.exception is None and done.return_value == 1 and "5 rows are gone" in done.output
        left = "the ledger of runs may name them still (database is locked); forget again when no run is at work"
        assert left in done.output and len(logged(root)) == 1
        assert {path.name for path in (root / "reports/site/customer").iterdir()} == kept
        if "IMMEDIATE" in hold:
            assert in_ledger(file) == [kept | {"customer=CUST-01"}] * 2, "of both tables or of none"
        run.execute("ROLLBACK")
    again = CliRunner().invoke(command, ask, input="CUST-01\n", standalone_mode=False)
    assert again.return_value == 0 and "0 rows are gone" in again.output and "ledger" not in again.output
    assert in_ledger(file) == [kept, kept]
    assert b"customer=CUST-01" not in b"".join(path.read_bytes() for path in file.parent.glob("ledger*"))


def pages(root, other="CUST-01"):
    """Publish a page of CUST-01 and three that are not theirs; give the ledger, and the slots that are to stay."""
    with Ledger(root):
        pass
    file = root / "reports/runs/ledger.sqlite"
    kept = {"customer=CUST-02": ("shop", "CUST-02"), "source=other": ("other", other), "all": ("shop", "")}
    with closing(sqlite3.connect(file)) as con, con:
        for slot, (source, customer) in (kept | {"customer=CUST-01": ("shop", "CUST-01")}).items():
            said = json.dumps({"source": source, "customer": customer})
            values = {"study": "customer", "slot": slot, "period": "", "plan": "", "parameters": said, "state": "done"}
            values |= {"fingerprint": "f", "headline": slot, "token": slot, "inputs": "{}"}
            ended = values | {"error": "", "kind": "", "quantities": "[]"}
            for table, row in (("slot", values), ("history", ended)):
                places = ", ".join("?" * len(row))
                con.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", list(row.values()))
            page = root / "reports/site/customer" / slot
            page.mkdir(parents=True)
            (page / "manifest.json").write_text(said)
    return file, set(kept)


def in_ledger(file):
    """Name the slots of both tables."""
    with closing(sqlite3.connect(file)) as con:
        return [{slot for (slot,) in con.execute(f"SELECT slot FROM {table}")} for table in ("slot", "history")]


def test_who_is_forgotten_stays_so(root):
    """A later delivery of the same customer is left out; an ingest of the same things does nothing."""
    version = forget("shop", "CUST-01", root).version
    assert not build(root).changed and build(root).version == version
    with pytest.raises(WorkbenchError, match="asked to be forgotten, so that nobody else can verify"):
        bundle._data("shop", root)
    (root / "data/raw/shop/ticket.csv").write_text(FILES["ticket"].replace("CASE-01", "CASE-09"))
    (root / "data/repairs/shop/mended.csv").unlink()
    build(root)
    assert "CUST-01" not in everything(root) and "CASE-09" not in everything(root)
    assert open_warehouse("shop", root=root).table("ticket").empty, "the request goes before the rule of no empty table"


def test_a_version_that_a_run_reads_is_removed_the_second_time(root):
    """Also the lists that the run makes of it meanwhile."""
    old = open_warehouse("shop", root=root)
    with locked(old.place, shared=True):
        gone = forget("shop", "CUST-01", root)
        assert gone.held == (old.version,)
        lists(root, ["CUST-01", "CUST-02"])
    again = forget("shop", "CUST-01", root)
    assert (again.version, again.rows, again.held) == (gone.version, 0, ()) and not old.place.exists()
    assert again.lists == ("reports/lists/call.list.parquet",)
    lists(root, ["CUST-01", "CUST-02"])
    assert forget("shop", "CUST-01", root).lists == again.lists
    assert len((root / "data/private/forgotten/shop").read_text().splitlines()) == 1


def test_under_another_key_nobody_is_remembered_by_mistake(root, monkeypatch):
    forget("shop", "CUST-01", root)
    monkeypatch.setenv("WORKBENCH_KEY", "another key of the project")
    with pytest.raises(WorkbenchError, match="was written under another key"):
        build(root)


def test_what_is_hidden_is_forgotten_by_either_name(root):
    """The number as the source writes it, or its pseudonym."""
    hidden = '{ from = "c", pseudonym = true }'
    for number in (
        lambda: "CUST-02",
        lambda: open_warehouse("shop", root=root).table("subscription")["customer_id"][0],
    ):
        (root / "data/private/forgotten/shop").unlink(missing_ok=True)
        (root / "data/repairs/shop/mended.csv").unlink(missing_ok=True)
        build(root, hidden)
        assert len(open_warehouse("shop", root=root).table("customer")) == 2  # c and C are one where they are hidden
        forget("shop", number(), root)
        assert len(open_warehouse("shop", root=root).table("customer")) == 1


def test_a_failure_changes_nothing(root):
    """Nobody of that number; extracts that are gone: lists, repairs and versions stand as before."""
    with pytest.raises(WorkbenchError, match="knows no customers of that number") as error:
        forget("shop", "CUST-77", root)
    assert "CUST-77" not in str(error.value)
    mended = (root / "data/repairs/shop/mended.csv").read_bytes()
    (root / "data/raw/shop/line.csv").unlink()
    with pytest.raises(WorkbenchError, match=r"line\.csv"):
        forget("shop", "CUST-01", root)
    assert (root / "data/repairs/shop/mended.csv").read_bytes() == mended
    assert not (root / "data/private/forgotten/shop").exists()
    assert len(open_warehouse("shop", root=root).table("customer")) == 3


def test_the_command_asks_and_logs_without_a_name(root):
    """Read from standard input; the log and the list of the forgotten are readable by their owner alone."""
    done = CliRunner().invoke(command, ["data", "forget", "--source", "shop"], input="CUST-01\n", standalone_mode=False)
    assert done.return_value == 0 and "5 rows are gone" in done.output and "CUST-01" not in done.output
    for name in ("log.csv", "forgotten/shop"):
        path = root / "data/private" / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600 and "CUST" not in path.read_text()
    (row,) = logged(root)
    assert (row["what"], row["source"], row["customers"]) == ("forget", "shop", "1")


def test_a_search_finds_what_is_clear_and_nothing_else(root):
    """In a page, a list, a workbook, a bundle and a log; files and kinds are named, no value."""
    lists(root, ["CUST-01"])
    assert scan("shop", root).finds == {}
    (root / "reports/site/who/default/index.html").write_text("<p>李娜</p><p>call 138 0013 8000</p>", "utf-8")
    (root / "reports/runs").mkdir()
    (root / "reports/runs/1.log").write_text("row 13700137000 failed\n")
    frame = pd.DataFrame({"x": ["王伟"], "y": [1]})
    frame.to_parquet(root / "reports/lists/odd.parquet")
    frame.to_excel(root / "reports/lists/odd.xlsx")
    (root / "reports/lists/bad.xlsx").write_text("13700137000 ")
    (root / "reports/lists/bad.json").write_text('{"a": 13700137000 ')
    (root / "reports/lists/page.png").write_bytes(b"13700137000")
    (root / "reports/lists/page.pdf").write_bytes(b"13700137000")
    (root / "reports/lists/page.svgz").write_bytes(gzip.compress(b"<text>13700137000</text>"))
    with zipfile.ZipFile(root / "reports/lists/sent.zip", "w") as sent:
        for name in ("a/index.html", "b.pdf", "c.png"):
            sent.writestr(name, "李娜")
    found = scan("shop", root)
    damaged = {(f"reports/lists/bad.{ending}", kind): 1 for ending in ("xlsx", "json") for kind in KINDS}
    assert found.finds == damaged | {
        ("reports/lists/odd.parquet", "a number or name that the mapping hides"): 1,
        ("reports/lists/odd.xlsx", "a number or name that the mapping hides"): 1,
        ("reports/lists/page.svgz", "a number or name that the mapping hides"): 1,
        ("reports/lists/page.svgz", "what looks like a telephone number"): 1,
        ("reports/lists/sent.zip", "a number or name that the mapping hides"): 1,
        ("reports/runs/1.log", "a number or name that the mapping hides"): 1,
        ("reports/runs/1.log", "what looks like a telephone number"): 1,
        ("reports/site/who/default/index.html", "a number or name that the mapping hides"): 1,
        ("reports/site/who/default/index.html", "what looks like a telephone number"): 1,
    }
    assert (found.pdfs, found.pictures, found.unknown) == (2, 2, ())
    done = CliRunner().invoke(command, ["data", "scan", "shop"], standalone_mode=False)
    assert (
        done.return_value == 1
        and "13 finds in" in done.output
        and "PDF files (2), pictures (2)" in done.output
        and "李娜" not in done.output
    )


@pytest.mark.parametrize(("sql", "unknown"), [("*", ()), ("id, name AS who, 1 AS name", ("customer.name_key",))])
def test_names_that_a_step_reads_are_looked_for(root, sql, unknown):
    """By the column of its input; one that the step makes anew is named as not looked for."""
    (root / "data/raw/step").mkdir()
    (root / "data/raw/step/c.csv").write_text("id,name\n1,欧阳锋\n", "utf-8")
    column = "who" if unknown else "name"
    (root / "data/mappings/step.toml").write_text(
        f"""title = "t"
operator = "o"
as_of = 2026-01-01
[[prepare]]
name = "j"
sql = 'SELECT {sql}, "#c" FROM c'
[prepare.inputs]
c = "c.csv"
[[file]]
prepared = "j"
table = "customer"
ignore = ["name"]
[file.columns]
customer_id = "id"
kind = {{ constant = "person" }}
province = {{ constant = "p" }}
joined_on = {{ constant = 2020-01-01 }}
name_key = {{ from = "{column}", pseudonym = true }}
""".replace('ignore = ["name"]\n', 'ignore = ["name"]\n' * bool(unknown)),
        "utf-8",
    )
    ingest("step", root=root)
    (root / "reports/runs").mkdir()
    (root / "reports/runs/1.log").write_text("欧阳锋 failed\n", "utf-8")
    found = scan("step", root)
    assert found.unknown == unknown
    assert (("reports/runs/1.log", "a number or name that the mapping hides") in found.finds) == (not unknown)


def test_pseudonyms_are_turned_back_with_the_key_and_a_reason(root, monkeypatch):
    """Into a file for its owner alone; the log has the reason and how many, before the file is there."""
    names = open_warehouse("shop", root=root).table("customer").set_index("customer_id")["name_key"]
    out = root / "who.csv"
    call = ["data", "reidentify", "shop", "--why", "case 7 of the regulator", "--out", str(out)]
    done = CliRunner().invoke(command, call, input=f"{names['CUST-01']}\n{'0' * 20}\n")
    assert done.exit_code == 0 and "1 of 2 written" in done.output and "李娜" not in done.output
    written = out.read_text("utf-8-sig").splitlines()
    assert written == ["pseudonym,column,clear", f"{names['CUST-01']},name_key,李娜"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    (row,) = logged(root)
    assert (row["what"], row["customers"], row["why"]) == ("reidentify", "2", "case 7 of the regulator")
    with pytest.raises(WorkbenchError, match="say why"):
        reidentify("shop", names, out, root, why=" ")
    with pytest.raises(WorkbenchError, match="20 digits"):
        reidentify("shop", ["CUST-01"], out, root, why="x")
    monkeypatch.setenv("WORKBENCH_KEY", "another key of the project")
    with pytest.raises(WorkbenchError, match="the key here is not that of the pseudonyms"):
        reidentify("shop", names, out, root, why="x")


def test_the_log_takes_a_reason_as_text(tmp_path):
    """With commas and line breaks, one row a deed; no number of a person."""
    log(tmp_path, "reidentify", "shop", "v", 1, 'because,\n"it" 13800138000')
    log(tmp_path, "forget", "shop", "v", 1)
    assert [row["why"] for row in logged(tmp_path)] == ['because,\n"it" [number]', ""]
