"""Broken files from a seeded generator: each is a balanced account or one refusal, and nothing is accepted wrongly."""

import copy
import datetime
import gzip
import io
import resource
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.warehouse import open_warehouse
from workbench.warehouse.ingest import ingest

MAPPING = """
as_of = 2026-07-01
[[file]]
path = "p.{ending}"
table = "payment"
encoding = "{encoding}"
[file.columns]
payment_id = "id"
customer_id = "cust"
paid_on = {{ from = "day", format = "%Y%m%d" }}
amount = "amount"
"""
CITIES = ["广东", "山东", "江苏", "内蒙古"]
HEAD = "id,cust,day,amount\n"
# What each row says: P17 is paid by 广东17 on a day of June, 17 yuan. So a row that came in is right, or it is not.
ROWS = [(f"P{i}", f"{CITIES[i % 4]}{i}", f"202606{i % 28 + 1:02}", i) for i in range(60)]


def lines(codec="utf-8"):
    return [",".join(map(str, row)).encode(codec) + b"\n" for row in ROWS]


def with_line(random, line, codec="utf-8"):
    """A whole file in which one line is another."""
    body = lines(codec)
    body[int(random.integers(len(body)))] = line
    return HEAD.encode() + b"".join(body)


def workbook(random, change):
    """An Excel file one of whose parts is changed, cut or gone."""
    book, stream = openpyxl.Workbook(), io.BytesIO()
    for row in [HEAD.strip().split(","), *ROWS]:
        book.active.append(row)
    book.save(stream)
    parts = zipfile.ZipFile(stream)
    names = parts.namelist()
    broken = names[int(random.integers(len(names)))]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name in names:
            content = parts.read(name)
            if name != broken:
                made.writestr(name, content)
            elif (changed := change(content)) is not None:
                made.writestr(name, changed)
    return out.getvalue()


def without_rows(part):
    """The names of a sheet alone."""
    at = part.find(b'<row r="2"')
    return part if at < 0 else part[:at] + b"</sheetData></worksheet>"


def flipped(random, content):
    at, bit = int(random.integers(len(content))), 1 << int(random.integers(8))
    return content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]


def parquet():
    stream = io.BytesIO()
    pd.DataFrame(ROWS, columns=["id", "cust", "day", "amount"]).to_parquet(stream)
    return stream.getvalue()


def with_cell(row, column, value):
    """An Excel file with another value in a cell."""
    book, stream = openpyxl.Workbook(), io.BytesIO()
    for cells in [HEAD.strip().split(","), *ROWS]:
        book.active.append(cells)
    book.active.cell(row, column, value)
    book.save(stream)
    return stream.getvalue()


def random_bytes(random, size):
    return random.integers(0, 256, size, np.uint8).tobytes()


LATER = b",20260601,1\n"
# name: (ending, encoding, what makes the file)
KINDS = {
    "bad bytes": ("csv", "utf-8", lambda r: with_line(r, b"P,\xff" + random_bytes(r, 6).replace(b"\n", b"") + LATER)),
    "bad bytes of GBK": ("csv", "gb18030", lambda r: with_line(r, b"P999,\xb9\xff,20260601,1\n", "gb18030")),
    "UTF-8 value in GB18030": ("csv", "gb18030", lambda r: with_line(r, "P999,广东,20260601,1\n".encode(), "gb18030")),
    "GBK value in UTF-8": ("csv", "utf-8", lambda r: with_line(r, "P999,广东,20260601,1\n".encode("gb18030"))),
    "two encodings": ("csv", "auto", lambda r: HEAD.encode() + b"".join(lines()[:30] + lines("gb18030")[30:])),
    "line of 10 MB": ("csv", "utf-8", lambda r: with_line(r, b"P999," + b"x" * 10_000_000 + b",20260601,1\n")),
    "unclosed quote": ("csv", "utf-8", lambda r: with_line(r, b'P999,"open,20260601,1\n')),
    "quote to the end": ("csv", "utf-8", lambda r: HEAD.encode() + b'P999,"' + b"".join(lines())),
    "NUL": ("csv", "utf-8", lambda r: with_line(r, b"P999,x\0y,20260601,1\n")),
    "3,000 columns": ("csv", "utf-8", lambda r: with_line(r, b"P999" + b",x" * 3_000 + b"\n")),
    "3,000 names": ("csv", "utf-8", lambda r: ",".join(map(str, range(3_000))).encode() + b"\n" + b"".join(lines())),
    "double names": ("csv", "utf-8", lambda r: b"id,cust,day,amount,amount\n" + b"".join(lines())),
    "no such day": ("csv", "utf-8", lambda r: with_line(r, b"P999,x,20260230,1\n")),
    "half a day": ("csv", "utf-8", lambda r: with_line(r, b"P999,x,2026061,1\n")),
    "huge number": ("csv", "utf-8", lambda r: with_line(r, b"P999,x,20260601,1e308\n")),
    "more digits": ("csv", "utf-8", lambda r: with_line(r, b"P999,x,20260601," + b"9" * 400 + b"\n")),
    "damaged identifier": ("csv", "utf-8", lambda r: with_line(r, b"1.23457E+17,x,20260601,1\n")),
    "names only": ("csv", "utf-8", lambda r: HEAD.encode()),
    "names only in Excel": ("xlsx", "utf-8", lambda r: workbook(r, without_rows)),
    "part of Excel cut": ("xlsx", "utf-8", lambda r: workbook(r, lambda part: part[: len(part) // 2])),
    "part of Excel gone": ("xlsx", "utf-8", lambda r: workbook(r, lambda part: None)),
    "part of Excel flipped": ("xlsx", "utf-8", lambda r: workbook(r, lambda part: flipped(r, part))),
    "line ends": ("csv", "utf-8", lambda r: with_line(r, b"\n" * 2_000_000)),
    "Parquet flipped": ("parquet", "utf-8", lambda r: flipped(r, parquet())),
    "Parquet cut": ("parquet", "utf-8", lambda r: parquet()[: int(r.integers(1, 3_000))]),
    "noise": ("csv", "auto", lambda r: random_bytes(r, 5_000)),
    "noise below the names": ("csv", "utf-8", lambda r: HEAD.encode() + b"".join(lines()) + random_bytes(r, 3_000)),
    "UTF-16 without saying so": ("csv", "utf-8", lambda r: (HEAD + "P1,x,20260601,1\n").encode("utf-16")),
    "half a character at the end": ("csv", "utf-16", lambda r: (HEAD + "P1,x,20260601,1\n").encode("utf-16")[:-1]),
    "full-width digits": ("csv", "utf-8", lambda r: with_line(r, "P999,x,２０２６０６０１,１７\n".encode())),
    "minus behind": ("csv", "utf-8", lambda r: with_line(r, b"P999,x,20260601,17-\n")),
    "a key in other width": ("csv", "utf-8", lambda r: (HEAD + "P0,广东0,20260601,0\nＰ0,x,20260601,1\n").encode()),
    "unseen sign in a key": ("csv", "utf-8", lambda r: with_line(r, "P\u200b999,x,2026-06-01,1\n".encode())),
    "twice in one file": ("csv", "utf-8", lambda r: (HEAD.encode() + b"".join(lines())) * 2),
    "a comma before": ("csv", "utf-8", lambda r: HEAD.encode() + b"".join(b"," + line for line in lines()[30:])),
    "names of two columns changed": ("csv", "utf-8", lambda r: b"id,cust,amount,day\n" + b"".join(lines())),
    "three line ends": ("csv", "utf-8", lambda r: HEAD.encode() + b"".join(lines()).replace(b"\n", b"\r\r\n")),
    "zeros to the end of the block": ("csv", "utf-8", lambda r: HEAD.encode() + b"".join(lines()) + b"\0" * 4_000),
    "packed under another name": ("csv", "utf-8", lambda r: gzip.compress(HEAD.encode() + b"".join(lines()))),
    "UTF-16 without a mark": ("csv", "auto", lambda r: (HEAD + "P1,x,20260601,1\n").encode("utf-16-le")),
    "a day in Excel": ("xlsx", "utf-8", lambda r: with_cell(5, 3, datetime.date(2026, 6, 9))),
    "a time for money": ("xlsx", "utf-8", lambda r: with_cell(5, 4, datetime.time(1, 2))),
    "an error in a cell": ("xlsx", "utf-8", lambda r: with_cell(5, 4, "#N/A")),
    "a formula without a value": ("xlsx", "utf-8", lambda r: with_cell(5, 4, "=1+1")),
    "20 digits in Excel": ("xlsx", "utf-8", lambda r: with_cell(5, 1, 12345678901234567890)),
    "lone carriage returns": ("csv", "utf-8", lambda r: HEAD.encode() + b"".join(lines()).replace(b"\n", b"\r")),
}
RIGHT = {id: (cust, day, float(amount)) for id, cust, day, amount in ROWS}


def check(root, name, seed):
    """Ingest one broken file: a refusal, or an account that balances and rows that are right."""
    ending, encoding, make = KINDS[name]
    raw = root / "data/raw/t"
    for part in (raw, root / "data/mappings"):
        part.mkdir(parents=True, exist_ok=True)
    mapping = MAPPING.format(ending=ending, encoding=encoding)
    if ending != "csv":
        mapping = mapping.replace(f'encoding = "{encoding}"\n', "")
    (root / "data/mappings/t.toml").write_text(mapping, "utf-8")
    (raw / f"p.{ending}").write_bytes(make(np.random.default_rng(seed)))
    try:
        account = ingest("t", root=root)
    except WorkbenchError as error:
        assert str(error).count("\n") == 0 and len(str(error)) < 2_000
        return "refused"
    assert account.balanced
    stands = open_warehouse("t", root=root).table("payment")
    for row in stands.itertuples():
        right = RIGHT.get(row.payment_id)
        assert right == (row.customer_id, row.paid_on.strftime("%Y%m%d"), row.amount), (name, seed, row)
    return f"{len(stands)} in, {account.frame['quarantined'].sum()} out"


@pytest.mark.parametrize("name", KINDS)
def test_a_broken_file_is_refused_or_accounted_for(tmp_path, name):
    """One of each kind; no row that stands is another than was sent."""
    check(tmp_path, name, 0)


@pytest.mark.prove
def test_three_hundred_broken_files(tmp_path):
    """Ten of each kind, in bounded memory."""
    for seed in range(1, 11):
        for name in KINDS:
            print(f"{name:30}{check(tmp_path / f'{name}{seed}', name, seed)}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak {peak:.0f} MB")
    assert peak < 2_500


def test_a_bomb_and_a_link_are_refused(tmp_path):
    """A workbook of 3 GB of zeros, in 48 sheets that share their bytes; a link out of the raw folder."""
    raw = tmp_path / "data/raw/t"
    for part in (raw, tmp_path / "data/mappings"):
        part.mkdir(parents=True)
    (tmp_path / "data/mappings/t.toml").write_text(
        MAPPING.format(ending="xlsx", encoding="utf-8").replace('encoding = "utf-8"\n', ""), "utf-8"
    )
    with zipfile.ZipFile(raw / "p.xlsx", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("xl/worksheets/sheet1.xml", bytes(64 << 20))
        (sheet,) = made.filelist
        for number in range(2, 49):
            made.filelist.append(again := copy.copy(sheet))
            again.filename = f"xl/worksheets/sheet{number}.xml"
    with pytest.raises(WorkbenchError, match=r"would unpack to 3\.2 GB; 2 GB at most"):
        ingest("t", root=tmp_path)
    (raw / "p.xlsx").unlink()
    (raw / "p.xlsx").symlink_to(Path(__file__))
    with pytest.raises(WorkbenchError, match=r"p\.xlsx is a link out of "):
        ingest("t", root=tmp_path)
