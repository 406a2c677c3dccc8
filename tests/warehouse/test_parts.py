"""Month by month: deliveries are added, not read again, and come out as if all had come at once."""

import datetime as dt
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.errors import WorkbenchError
from workbench.warehouse import open_warehouse, stored
from workbench.warehouse.digests import DIGESTS
from workbench.warehouse.ingest import ingest, months, read
from workbench.warehouse.ingest.parts import FOLDER
from workbench.warehouse.ingest.repairs import write_quarantine

ROOT = Path(__file__).resolve().parents[2]
MAPPING = """
as_of = 2026-07-01
most_refused = 1
[[file]]
path = "crm/*.csv"
table = "customer"
keep = "last"
order = "at"
[file.columns]
customer_id = "id"
kind = { constant = "person" }
name_key = { from = "name", pseudonym = true }
province = "prov"
joined_on = "day"
[[file]]
path = "pay/*.csv"
table = "payment"
[file.columns]
payment_id = "no"
customer_id = "c"
paid_on = "d"
amount = "a"
[[file]]
path = "cdr/*.csv"
table = "detail_record"
[file.columns]
customer_id = "c"
subscription_id = "s"
started_at = "t"
kind = { constant = "call" }
zone = { constant = "local" }
charge = "p"
counterpart_key = { from = "to", pseudonym = true }
"""


def delivered(months=4, customers=6, seed=0):
    """Files of a small operator: snapshots that correct each other, late records, doubled keys, orphans, bad rows."""
    rng = random.Random(seed)
    files = {}
    for month in range(1, months + 1):
        known = range(month * customers)
        snapshot = [f"C{i},李{i},{rng.choice('京沪')},2025-01-0{1 + i % 9},2026-0{month}-28" for i in known if i % 5]
        files[f"crm/{month}.csv"] = ["id,name,prov,day,at", *snapshot, ",无,京,2025-01-01,x", "C900,丁,,2025-13-01,y"]
        own = [f"P{month}-{i},C{i},2026-0{month}-1{i % 9},{i}" for i in known]
        files[f"pay/{month}.csv"] = ["no,c,d,a", *own, f"P{max(month - 1, 1)}-2,C2,2026-01-05,7", 'P9,C1,"2026']
        calls = [f"C{rng.choice(known)},S,2026-0{month}-0{1 + i % 9} 10:00:00,{i},1380000{i:04}" for i in range(20)]
        late = [f"C1,S,2026-0{max(month - 1, 1)}-28 23:59:5{i},{month},13800001111" for i in range(2)]
        files[f"cdr/{month}.csv"] = ["c,s,t,p,to", *calls, *late, "C1,S,gestern,1,1", f"C{customers * 4},S,,1,"]
    return {name: "\n".join([*lines, ""]) for name, lines in files.items()}


@pytest.fixture
def operator(operators):
    """Begin projects by name."""
    return lambda name, mapping=MAPPING: operators(name, mapping)


def month(files, number):
    """The files of one month."""
    return {name: text for name, text in files.items() if f"/{number}" in name}


@pytest.mark.parametrize("large", [10**6, 1])
def test_months_in_any_order_are_the_same_warehouse(operator, monkeypatch, large):
    """At once, month by month, backwards, with a late, a repeated and a corrected month, cell by cell.

    Also where the files of a month stay apart, as large ones do.
    """
    files = delivered(months=3)
    once = operator("once")
    once.deliver(files)
    wanted = once.tables()
    monkeypatch.setattr(months, "LARGE", large)
    for number, order in enumerate([(1, 2, 3), (3, 1, 2)]):
        other = operator(f"order-{number}")
        for one in order:
            other.deliver(month(files, one))
        assert other.tables() == wanted, order
    corrected = operator("corrected")
    wrong = {name: text.replace("C1", "C7").replace("京", "沪") for name, text in month(files, 2).items()}
    corrected.deliver(month(files, 1) | wrong)
    corrected.deliver({"crm/1.csv": files["crm/1.csv"].replace("C2,", "C3,")})
    corrected.deliver({**files, "pay/repeated.csv": files["pay/3.csv"]})
    notes = open_warehouse("shop", root=corrected.root).notes
    assert "pay/repeated.csv has the same content as pay/3.csv and is not read again" in notes
    assert {**corrected.tables(), "facts": ""} == {**wanted, "facts": ""}  # the note is one of the facts
    account = open_warehouse("shop", root=once.root).full_account()
    assert account.balanced and account.frame["quarantined"].min() > 0 and account.frame["followed"].sum() == 0


def test_only_what_is_new_is_read(operator):
    """A month costs that month, and the same again nothing; what others refused comes in when their parent does."""
    files, shop = delivered(), operator("shop")
    assert shop.deliver(month(files, 1) | month(files, 2)) == sorted(month(files, 1) | month(files, 2))
    # Rows of the snapshot before are replaced: as they stood, they are in quarantine.
    assert shop.deliver(month(files, 3)) == sorted([*month(files, 3), "crm/2.csv"])
    before = open_warehouse("shop", root=shop.root).place
    assert shop.deliver({"pay/5.csv": "no,c,d,a\nP5,C1,2026-05-05,1\n"}) == ["pay/5.csv"]
    place = open_warehouse("shop", root=shop.root).place
    for table, by_month in stored.months(place).items():
        for file in by_month["2026-02.parquet"]:
            assert file.samefile(before / table / file.name)
    assert shop.deliver({}) == []
    assert shop.deliver({"pay/5.csv": None}) == []
    assert (place / FOLDER).stat().st_mode & 0o77 == 0


def test_a_parent_that_goes_takes_its_records_along(operator):
    """Records that other tables refuse only now are read again, to stand in quarantine as they were."""
    files, shop = delivered(months=2), operator("shop")
    shop.deliver(files)
    fewer = {n: "\n".join(x for x in t.split("\n") if "C1," not in x) if "crm" in n else t for n, t in files.items()}
    assert set(shop.deliver(fewer)) == set(files)
    again = operator("again")
    again.deliver(fewer)
    assert shop.tables() == again.tables()
    assert shop.deliver(files) == []  # the parts of the version before are still there


def test_records_that_stand_in_two_files_are_told(operator):
    """Detail records have no key: the same in another form is refused, and an overlap counted in a note."""
    files, shop = delivered(months=2), operator("shop")
    head, *lines = files["cdr/1.csv"].splitlines()
    with pytest.raises(WorkbenchError, match=r"all \d+ detail_records of cdr/again.csv stand in another file, too"):
        shop.deliver({**files, "cdr/again.csv": "\n".join([head, *lines[::-1]])})
    overlap = "\n".join([head, *lines[:3], "C1,S,2026-01-09 10:00:01,1,1"])
    for _ in range(2):
        shop.deliver({"cdr/again.csv": overlap, "pay/new.csv": f"no,c,d,a\nP{_},C1,2026-05-05,1\n"})
        (note,) = [n for n in open_warehouse("shop", root=shop.root).notes if "count twice" in n]
        assert note.startswith("3 of 4 detail_records of cdr/again.csv stand in another file, too, and count twice")


def test_numbers_and_times_of_parquet_need_no_texts(operator, monkeypatch):
    """What stays a number or a time on the way in comes out as if it had been text: cells, reasons and records."""
    times = [
        dt.datetime(2026, 1, 5, 10, 0, 0),
        dt.datetime(2026, 1, 6),
        None,
        dt.datetime(1850, 1, 1),
    ]
    table = pa.table(
        {
            "c": ["C1", "C2", "C3", "C4"] * 2,
            "d": pa.array([*times[:3], dt.datetime(2026, 1, 7)] * 2, pa.timestamp("us")),
            "t": pa.array(times * 2, pa.timestamp("ns")),
            "f": pa.array([0.1, float("nan"), -0.0, 1e300, 12345.678, None, float("inf"), 7], pa.float64()),
            "g": pa.array([0.1, 2.5, None, 1e9, 3, 4, 5, float("nan")], pa.float32()),
            "i": pa.array([1, 2, None, 2**53 + 1, 5, 10_000, -1, 100_000], pa.int64()),
            "day": pa.array([dt.date(2026, 1, 1 + i) for i in range(8)], pa.date32()),
        }
    )
    mapping = """
as_of = 2026-07-01
most_refused = 1
[[file]]
path = "*.parquet"
table = "payment"
[file.columns]
payment_id = { row_number = true }
customer_id = "c"
paid_on = "d"
amount = { from = "f", scale = 0.01 }
[[file]]
path = "*.parquet"
table = "detail_record"
ignore = ["f", "day"]
[file.columns]
customer_id = "c"
subscription_id = "c"
started_at = "t"
kind = { constant = "call" }
zone = { constant = "local" }
charge = "g"
duration_s = "i"
volume_mb = "i"
[[file]]
path = "*.parquet"
table = "usage_month"
ignore = ["f", "d", "t"]
[file.columns]
customer_id = "c"
subscription_id = "day"
month = "day"
active_days = "i"
calls = "i"
call_min = "g"
messages = { from = "i", scale = 0.5 }
data_mb = "i"
"""
    mapping = mapping.replace('"payment"\n', '"payment"\nignore = ["t", "g", "i", "day"]\n')
    mapping = mapping.replace('"f", "day"]', '"f", "day", "d"]')
    found = []
    for natural in (read._natural, lambda column, types: None):
        monkeypatch.setattr(read, "_natural", natural)
        shop = operator(f"shop-{len(found)}", mapping)
        shop.raw.mkdir(parents=True)
        pq.write_table(table, shop.raw / "a.parquet")
        shop.deliver({})
        (shop.root / "data" / "repairs" / "shop").mkdir(parents=True)
        aside = open_warehouse("shop", root=shop.root).refused("payment")
        write_quarantine(aside, mended := shop.root / "data" / "repairs" / "shop" / "mended.csv")
        mended.write_text(mended.read_text("utf-8-sig").replace("nan", "5"), encoding="utf-8")
        shop.deliver({})
        found.append(shop.tables())
    assert found[0] == found[1]
    warehouse = open_warehouse("shop", root=shop.root)
    assert warehouse.account()["quarantined"].min() > 0 and warehouse.account()["accepted"].min() > 0


@pytest.mark.parametrize(
    ("how", "name"), [("flipped", "2026-01.parquet"), ("cut", "part.json"), ("gone", "2026-01.parquet")]
)
def test_a_damaged_part_is_not_used(operator, how, name):
    """A part that is not as it was written is read again from its file."""
    files, shop = delivered(months=1), operator("shop")
    shop.deliver(files)
    place = open_warehouse("shop", root=shop.root).place / FOLDER
    damaged = [place / "months.json", *(month.with_name(name) for month in place.glob("*/2026-01.parquet"))]
    for part in damaged:
        content = part.read_bytes()
        middle = len(content) // 2
        part.unlink()
        if how != "gone":
            part.write_bytes(content[:middle] + b"?" * (how == "flipped") + content[middle + 1 :])
    assert shop.deliver({"pay/2.csv": "no,c,d,a\nP5,C1,2026-05-05,1\n"}) == ["cdr/1.csv", "pay/2.csv"]


def test_a_key_twice_in_the_mapping_is_named(operator):
    """Two [[rows]] with one key are the mapping's fault, and are told by number."""
    row = '[[rows]]\ntable = "product"\nproduct_id = "a"\nname = "x"\nmonthly_fee = 1\n'
    with pytest.raises(
        WorkbenchError, match=r"shop\.toml: row 2 of product in .* stands in an earlier row\. Mend it\."
    ):
        operator("shop", "as_of = 2026-07-01\n" + 2 * row).deliver({})


def test_another_key_or_block_reads_anew(operator):
    """What a part depends on is in its name: pseudonyms of another key, or another unit, are never mixed."""
    files, shop = delivered(months=1), operator("shop")
    shop.deliver(files)
    (shop.root / "data" / "private" / "key").write_text("fedcba9876543210", encoding="utf-8")
    assert shop.deliver({}) == ["cdr/1.csv", "crm/1.csv"]
    mapping = shop.root / "data" / "mappings" / "shop.toml"
    mapping.write_text(MAPPING.replace('"a"', '{ from = "a", scale = 0.01 }'), encoding="utf-8")
    assert shop.deliver({}) == ["pay/1.csv"]
    assert open_warehouse("shop", root=shop.root).table("payment")["amount"].max() == 0.04


CHILD = """
import os, signal, sys
import workbench.warehouse.ingest.run as run
from workbench.warehouse import open_warehouse
seen, last = 0, int(sys.argv[2])

def hook(event, args):
    global seen
    if event == "open" or event.startswith(("os.", "shutil.")):
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
run.ingest("shop", root=sys.argv[1])
print(seen)
"""


def child(root, instant=0):
    """Ingest in a process that is killed at an instant: when it opens, links, moves or removes its n-th file."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(root), str(instant)], env=environment, capture_output=True, text=True
    )


def left_over(folder):
    """What should not be in the folder of a warehouse: all but versions, and in them all but whole parts."""
    versions = (folder / "CURRENT").read_text().split()
    found = [p.name for p in folder.iterdir() if p.name not in (*versions, "CURRENT", ".lock")]
    found += [str(p) for v in versions for p in (folder / v).rglob(".*")]
    return found + [
        str(p) for v in versions for p in (folder / v / FOLDER).glob("*/") if not (p / "part.json").is_file()
    ]


@pytest.mark.prove
def test_killed_at_any_instant_nothing_is_lost_or_twice(operator):
    """kill -9 at 50 instants of a month's ingest: the old version answers, the next ingest ends as ever."""
    files, shop = delivered(), operator("shop")
    shop.deliver(month(files, 1) | month(files, 2))
    old = shop.tables()
    for name, text in {**month(files, 3), "crm/1.csv": files["crm/1.csv"].replace("C1,", "C99,")}.items():
        (shop.raw / name).write_text(text, encoding="utf-8")
    shutil.copytree(shop.root, shop.root.with_name("whole"), symlinks=True)
    done = child(shop.root.with_name("whole"))
    assert done.returncode == 0, done.stderr
    instants, killed = int(done.stdout), 0
    wanted = json.loads((open_warehouse("shop", root=shop.root.with_name("whole")).place / DIGESTS).read_text())
    answered = set()
    for number in range(50):
        root = shop.root.with_name(f"killed-{number}")
        shutil.copytree(shop.root, root)
        killed += child(root, 1 + number * (instants - 1) // 49).returncode == -signal.SIGKILL
        place = open_warehouse("shop", root=root).place
        tables = json.loads((place / DIGESTS).read_text())
        assert tables in (old, wanted), number
        answered.add(tables == wanted)
        ingest("shop", root=root)
        assert json.loads((open_warehouse("shop", root=root).place / DIGESTS).read_text()) == wanted, number
        assert not left_over(root / "data" / "warehouse" / "shop"), number
        shutil.rmtree(root)
    print(f"killed {killed} times within {instants} instants; the old version answered, at the end the new one")
    assert killed >= 49 and answered == {False, True}


@pytest.mark.prove
def test_readers_see_whole_versions_while_others_write(operator):
    """Whoever reads during an ingest sees the version before or the one after it, each whole."""
    files, shop = delivered(), operator("shop")
    shop.deliver(month(files, 1))
    seen = set()
    for number in (2, 3, 4):
        for name, text in month(files, number).items():
            (shop.raw / name).write_text(text, encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        writer = subprocess.Popen([sys.executable, "-c", CHILD, str(shop.root), "0"], env=environment, stdout=-3)
        while writer.poll() is None:
            warehouse = open_warehouse("shop", root=shop.root)
            counts = warehouse.query(
                "SELECT (SELECT count(*) FROM detail_record) AS calls, (SELECT count(*) FROM payment) AS payments, "
                "(SELECT sum(events) FROM customer_month) AS events"
            )
            account = warehouse.account().groupby("table")["accepted"].sum()
            assert counts["calls"][0] == counts["events"][0] == account["detail_record"]
            assert counts["payments"][0] == account["payment"]
            seen.add(warehouse.version)
        assert writer.returncode == 0
    assert len(seen) >= 3


def test_only_a_month_that_changed_is_counted_again(operator, monkeypatch):
    """A file more in March: nothing is asked of January, whose answers are taken over with it."""
    asked, told = [], months.Months.told

    class Asked:
        def __init__(self, con):
            self.con = con

        def execute(self, sql):
            asked.append(sql)
            return self.con.execute(sql)

    monkeypatch.setattr(months.Months, "told", lambda self, con, sql: told(self, Asked(con), sql))
    shop, files = operator("shop"), delivered(months=3)
    more = {"cdr/3-more.csv": files["cdr/3.csv"].replace(" 10:00", " 11:00")}
    shop.deliver(files)
    every, asked[:] = list(asked), []
    shop.deliver(more)
    assert all(sum(f"/2026-0{m}.parquet" in sql for sql in every) == len(every) / 3 > 0 for m in (1, 2, 3))
    assert asked and not any("/2026-01.parquet" in sql for sql in asked)  # the file has late records of February
    anew = operator("anew")
    anew.deliver(files | more)
    assert anew.tables() == shop.tables()


def test_files_of_other_times_are_not_compared(tmp_path):
    """Spans that touch are of one time; a file that says nothing of its times is compared with all."""
    days = [("01 00:00:00", "01 23:59:59"), ("02 00:00:00", "02 10:00:00"), ("02 10:00:00", "03 00:00:00")]
    files = [tmp_path / f"{k}.parquet" for k in range(4)]
    for file, span in zip(files, [*days, ("09 00:00:00", "09 00:00:01")], strict=True):
        at = pa.array([dt.datetime.fromisoformat(f"2026-06-{moment}") for moment in span], pa.timestamp("us"))
        pq.write_table(pa.table({"started_at": at}), file)
    with duckdb.connect() as con:
        assert months._of_one_time(con, files, files) == files[1:3]
        pq.write_table(pq.read_table(files[3]), tmp_path / "5.parquet", write_statistics=False)
        every = [*files, tmp_path / "5.parquet"]
        assert months._of_one_time(con, every, every) == every
