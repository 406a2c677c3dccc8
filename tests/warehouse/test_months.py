"""A month that grows day by day: its pieces stand apart, and read as one; what was looked at is not looked at again."""

import hashlib
import json
import os
import random
import shutil

import pytest

from workbench.warehouse import open_warehouse, stored
from workbench.warehouse.digests import DIGESTS, ROWS
from workbench.warehouse.features import STORED, feature_file, tables_stored
from workbench.warehouse.ingest import known, months

MAPPING = """
as_of = 2026-07-01
most_refused = 1
[[file]]
path = "crm.csv"
table = "customer"
[file.columns]
customer_id = "id"
kind = { constant = "person" }
joined_on = "day"
province = { constant = "京" }
phone_key = { from = "tel", pseudonym = "phone" }
[[file]]
path = "cdr/*.csv"
table = "detail_record"
[file.columns]
customer_id = "c"
subscription_id = "c"
started_at = "t"
kind = { constant = "call" }
zone = "z"
on_net = "n"
charge = "p"
counterpart_key = { from = "to", pseudonym = true }
"""
UNITED = '[[identity]]\nname = "phone"\nsame = ["phone_key"]\naction = "merge"\n'


def customers(count=8):
    """Customers, two of whom have one telephone."""
    return "\n".join(["id,day,tel", *(f"C{i},2025-01-0{1 + i},1380000000{i % (count - 1)}" for i in range(count)), ""])


def day(number, seed=0):
    """A day's file: records of that day, a few of the day before, and two that stand in the file before, too."""
    rng, at = random.Random(f"{number} {seed}"), lambda n: f"2026-0{5 + n // 31}-{1 + n % 31:02}"
    line = "C{},{} {:02}:00:0{},{},{},{},1390000{:04}".format
    few = ("local", "roaming")
    own = [
        line(rng.randrange(8), at(number), rng.randrange(24), i % 10, rng.choice(few), i % 2, i, rng.randrange(9))
        for i in range(12)
    ]
    late = [line(i, at(max(number - 1, 0)), 23, i, "local", "", number, i) for i in range(3)]
    same = ["C1,2026-05-01 10:00:00,local,1,1,1", "C2,2026-05-01 10:00:01,local,1,1,2"] if number in (2, 5) else []
    return {f"cdr/{number:02}.csv": "\n".join(["c,t,z,n,p,to", *own, *late, *same, "C1,gestern,local,1,1,1", ""])}


def in_pieces(warehouse):
    """How many files each table has by month."""
    return {table: [len(files) for files in by.values()] for table, by in stored.months(warehouse.place).items()}


def check_partials(warehouse):
    """Every stored partial is what its file makes of the records, in cells and types; their digest is of them all."""
    with warehouse.connect() as con:
        for table in STORED:
            sql = feature_file(table)
            if table == "customer_month":
                sql = sql.replace("FROM customer_day", f"FROM ({feature_file('customer_day')})")
            assert con.execute(f"DESCRIBE {table}").fetchall() == con.execute(f"DESCRIBE FROM ({sql})").fetchall()
            for one, other in ((f"FROM {table}", f"FROM ({sql})"), (f"FROM ({sql})", f"FROM {table}")):
                assert not con.execute(f"{one} EXCEPT ALL {other}").fetchall(), table
        records = stored.relation("detail_record", stored.months(warehouse.place)["detail_record"])
        rows, total = con.execute(f"SELECT {ROWS} FROM ({records}) t").fetchall()[0]
    digest = hashlib.blake2b(f"{rows} {total}".encode(), digest_size=8).hexdigest()
    assert json.loads((warehouse.place / DIGESTS).read_text("utf-8"))["detail_record"] == digest


@pytest.mark.parametrize(("mapping", "large"), [(MAPPING, 10**6), (MAPPING + UNITED, 1)])
def test_days_in_any_order_are_the_same_month(operators, monkeypatch, mapping, large):
    """Late and doubled records, a day that comes late, is corrected or taken back, customers who are one: no matter."""
    for name, value in {"LARGE": large, "MANY": 6, "FEW": 2}.items():
        monkeypatch.setattr(months, name, value)
    days = {name: text for n in (0, 1, 2, 3, 5, 6, 30, 31, 32) for name, text in day(n).items()}
    once, daily = operators("once", mapping), operators("daily", mapping)
    once.deliver({"crm.csv": customers()} | days)
    daily.deliver({"crm.csv": customers()} | day(0) | day(1) | day(2))
    seen = []
    for changed in (
        day(3),
        day(5),
        day(6),
        day(5, seed=1),
        day(30),
        day(31),
        day(4),
        day(32),
        day(5),
        {"cdr/04.csv": None},
    ):
        assert daily.deliver(changed) == [name for name, text in changed.items() if text]
        warehouse = open_warehouse("shop", root=daily.root)
        check_partials(warehouse)
        seen.append(in_pieces(warehouse)["customer_day"])
    assert daily.tables() == once.tables()
    assert any("2 of 17" in note and "count twice" in note for note in warehouse.notes)
    assert seen == [[2], [3], [4], [4], [5], [1, 1], [2, 1], [2, 1], [1, 1], [1, 1]]  # by pieces, until it is over
    assert in_pieces(warehouse)["detail_record"] == (
        [1, 1] if large > 1 else [8, 2]
    )  # June begins with late ones of May


def test_a_piece_that_is_damaged_or_gone(operators):
    """What is not as it was written is made again; a partial that lacks a piece is made of the records when read."""
    shop = operators("shop", MAPPING)
    shop.deliver({"crm.csv": customers(), **day(0), **day(1)})
    shop.deliver(day(2))
    warehouse = open_warehouse("shop", root=shop.root)
    assert in_pieces(warehouse) == {
        "detail_record": [2],
        "customer_day": [2],
        "customer_month": [1],
        "counterpart_month": [2],
    }
    copy = operators("copy", MAPPING)
    shutil.copytree(shop.root, copy.root, dirs_exist_ok=True)
    place = open_warehouse("shop", root=copy.root).place
    (place / "customer_day" / "2026-05+1of2.parquet").unlink()
    assert tables_stored(open_warehouse("shop", root=copy.root)) == {"customer_month", "counterpart_month"}
    for file in [f for table in STORED for f in stored.months(warehouse.place)[table]["2026-05.parquet"]]:
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content[:50] + b"?" + content[51:])
    shop.deliver(day(3))
    check_partials(open_warehouse("shop", root=shop.root))


def test_what_was_looked_at_is_not_looked_at_again(operators, monkeypatch):
    """Raw files whose times are the same are not opened, nor records judged by parents that are the same."""
    opened, judged, original, several = [], [], known.opened, known.parquet
    monkeypatch.setattr(known, "JUST_NOW", -(10**18))
    monkeypatch.setattr(known, "opened", lambda path: opened.append(path.name) or original(path))
    monkeypatch.setattr(known, "parquet", lambda files: judged.append(len(files)) or several(files))
    shop = operators("shop", MAPPING)
    shop.deliver({"crm.csv": customers(), **day(0), **day(1)})
    assert sorted(opened) == ["00.csv", "01.csv", "crm.csv"] and not judged
    opened.clear()
    shop.deliver(day(2))
    assert opened == ["02.csv"] and not judged
    file = shop.raw / "cdr" / "01.csv"
    times = file.stat()
    shop.raw.joinpath("new").write_text(file.read_text("utf-8").replace("C1,", "C2,"), encoding="utf-8")
    shop.raw.joinpath("new").replace(file)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert shop.deliver({}) == ["cdr/01.csv"]  # as large, and as old as it says: yet another
    shop.deliver({"crm.csv": customers(9)})
    assert judged == [3]
    monkeypatch.setattr(known, "JUST_NOW", 10**18)
    shop.deliver(day(3))
    opened.clear()
    shop.deliver(day(4))
    assert "03.csv" in opened  # who knows whether it was changed since, within the tick of a clock
