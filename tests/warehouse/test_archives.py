"""Zip archives as folders, and names that stand in two rows: what is read, and what is refused."""

import gzip
import io
import struct
import zipfile

import openpyxl
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.warehouse import open_warehouse
from workbench.warehouse.ingest import ingest
from workbench.warehouse.ingest.headers import joined

PRODUCT = """
as_of = 2026-07-01
[[file]]
path = "{path}"
table = "product"
{more}
[file.columns]
product_id = "{id}"
name = "{name}"
monthly_fee = {{ from = "{fee}", missing = ["-"] }}
"""
ONE, TWO = "id,name,fee\nP1,a,1\n", "id,name,fee\nP2,b,2\nP3,c\n"


def product(path, more="", id="id", name="name", fee="fee"):
    return PRODUCT.format(path=path, more=more, id=id, name=name, fee=fee)


def packed(files, **how):
    """The bytes of a zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, **how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.fixture
def shop(tmp_path):
    """A project whose source `shop` gets a mapping and files, and is ingested; gives account and warehouse."""

    def shop(mapping, files):
        raw = tmp_path / "data/raw/shop"
        for part in (raw, tmp_path / "data/mappings"):
            part.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data/mappings/shop.toml").write_text(mapping, encoding="utf-8")
        for name, content in files.items():
            (raw / name).parent.mkdir(parents=True, exist_ok=True)
            (raw / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return ingest("shop", root=tmp_path), open_warehouse("shop", root=tmp_path)

    return shop


def products(warehouse):
    found = warehouse.query("SELECT product_id, name, monthly_fee FROM product ORDER BY ALL")
    return found.astype(object).where(found.notna(), None).values.tolist()


def test_an_archive_is_a_folder(shop):
    """Its members are files with names of their own; what no pattern takes, and what is no delivery, is told."""
    inner = {
        "2026/p1.csv": ONE,
        "2026/deep/p2.csv.gz": gzip.compress(TWO.encode()),
        "2026/deep/p3.csv": ONE,
        "__MACOSX/2026/p1.csv": "x",
        "2026/.hidden.csv": "x",
        "2026/p0.csv": "",
        "read me.txt": "x",
        "2026/folder/": "",
    }
    mapping = product("in/*.zip/**/*.csv*", 'format = "csv"')
    account, warehouse = shop(mapping, {"in/d.zip": packed(inner), "in/e.zip": packed({"note": ""})})
    assert account.frame[["file", "raw", "accepted"]].values.tolist() == [
        ["in/d.zip/2026/deep/p2.csv.gz", 2, 1],
        ["in/d.zip/2026/deep/p3.csv", 1, 1],
    ]
    assert products(warehouse) == [["P1", "a", 1.0], ["P2", "b", 2.0]]
    notes = "\n".join(account.notes)
    assert "in/d.zip/2026/p1.csv has the same content as in/d.zip/2026/deep/p3.csv" in notes
    assert "in/d.zip/2026/p0.csv is passed over: it has 0 bytes" in notes
    assert "in/d.zip/__MACOSX/2026/p1.csv is passed over: it is a hidden file" in notes
    assert "no [[file]] block names: in/e.zip, in/d.zip/read me.txt" in notes
    assert not shop(mapping, {})[0].changed


def test_workbooks_and_parquet_inside_an_archive(shop):
    """Every format reads there; a name that Windows wrote in GBK is one."""
    book, table = io.BytesIO(), io.BytesIO()
    pd.DataFrame({"id": ["P1"], "name": ["a"], "fee": [1]}).to_excel(book, index=False)
    pd.DataFrame({"id": ["P2"], "name": ["b"], "fee": [2.5]}).to_parquet(table)
    data = packed({"aaaa/p.xlsx": book.getvalue(), "aaaa/p.parquet": table.getvalue()})
    data = data.replace(b"aaaa/", "产品".encode("gb18030") + b"/")
    mapping = product("d.zip/产品/p.xlsx") + product("d.zip/产品/*.parquet").replace("as_of = 2026-07-01", "")
    account, warehouse = shop(mapping, {"d.zip": data})
    assert products(warehouse) == [["P1", "a", 1.0], ["P2", "b", 2.5]]
    assert account.frame["file"].tolist() == ["d.zip/产品/p.xlsx", "d.zip/产品/p.parquet"]


def locked():
    data = bytearray(packed({"p.csv": ONE}))
    for sign, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(sign) + at
        data[place : place + 2] = struct.pack("<H", 1)
    return bytes(data)


def odd_method():
    data = bytearray(packed({"p.csv": ONE}))
    place = data.index(b"PK\x01\x02") + 10
    data[place : place + 2] = struct.pack("<H", 9)
    return bytes(data)


def lying():
    """A member that says that it is smaller than it is."""
    data = bytearray(packed({"p.csv": ONE + "P9,z,9\n" * 100}))
    place = data.index(b"PK\x01\x02") + 24
    data[place : place + 4] = struct.pack("<L", 30)
    return bytes(data)


def flipped():
    data = bytearray(packed({"p.csv": "".join(f"{i * 7919 % 1000}," for i in range(1000))}))
    data[60] ^= 255
    return bytes(data)


@pytest.mark.parametrize(
    ("path", "files", "said"),
    [
        ("d.zip", {"d.zip": packed({"p.csv": ONE})}, r"names an archive\. Say which files"),
        ("d.zip/q.csv", {"d.zip": packed({"p.csv": ONE})}, r"lacks d\.zip/q\.csv.*mean 'd\.zip/p\.csv'"),
        ("d.zip/*.txt", {"d.zip": packed({"p.csv": ONE})}, r"lacks d\.zip/\*\.txt"),
        ("d.zip/p.csv", {"d.zip": b"no archive"}, "can't be read as a zip archive"),
        ("d.zip/p.csv", {"d.zip": packed({"p.csv": ONE})[:-30]}, "can't be read as a zip archive"),
        ("d.zip/p.csv", {"d.zip": locked()}, "can't be unpacked: .*password"),
        ("d.zip/p.csv", {"d.zip": odd_method()}, r"can't be unpacked: .*not supported"),
        ("d.zip/p.csv", {"d.zip": lying()}, "is damaged"),
        ("d.zip/p.csv", {"d.zip": flipped()}, "is damaged"),
        ("d.zip/*.csv", {"d.zip": packed({"p.csv": ONE, "../../../p.csv": ONE})}, "'../../../p.csv' leads out of it"),
        ("d.zip/*.csv", {"d.zip": packed({"p.csv": ONE, "/etc/p.csv": ONE})}, "leads out of it"),
        ("d.zip/*.csv", {"d.zip": packed({"p.csv": ONE, "c:\\p.csv": ONE})}, "leads out of it"),
        (
            "d.zip/p.csv",
            {"d.zip": packed({"p.csv": b"\n" * 150_000_000}, compresslevel=1)},
            r"unpack to 0\.1 GB, \d+ times",
        ),
        ("d.zip/e.zip/p.csv", {"d.zip": packed({"e.zip": packed({"p.csv": ONE})})}, "lacks d.zip/e.zip/p.csv"),
        ("d.zip/p.xlsx", {"d.zip": packed({"p.xlsx": b"x"})}, "d.zip/p.xlsx can't be read as Excel"),
    ],
)
def test_a_bad_archive_is_refused(shop, path, files, said):
    """Damage, a password, a bomb and a way out are each one error that names the archive."""
    with pytest.raises(WorkbenchError, match=said):
        shop(product(path), files)


def test_a_link_to_an_archive_outside_is_refused(shop, tmp_path):
    (tmp_path / "data/raw/shop").mkdir(parents=True)
    (tmp_path / "other.zip").write_bytes(packed({"p.csv": ONE}))
    (tmp_path / "data/raw/shop/d.zip").symlink_to(tmp_path / "other.zip")
    with pytest.raises(WorkbenchError, match="is a link out of"):
        shop(product("d.zip/p.csv"), {})


TWICE = "月租报表,,,\n产品,,资费,\n编号,名称,月租,备注\nP1,a,1,x\n"


def test_names_in_two_rows_of_csv(shop):
    """The upper name stands before the lower one; a merged one heads what is right of it."""
    names = {"id": "产品/编号", "name": "产品/名称", "fee": "资费/月租"}
    mapping = product("p.csv", 'skip_rows = 1\nheader_rows = 2\nignore = ["资费/备注"]', **names)
    account, warehouse = shop(mapping, {"p.csv": TWICE})
    assert products(warehouse) == [["P1", "a", 1.0]] and account.frame["raw"].tolist() == [1]
    with pytest.raises(WorkbenchError, match=r"lacks the column '产品/编号'.*It has: '编号'"):
        shop(mapping.replace("skip_rows = 1", "skip_rows = 2").replace("header_rows = 2", "header_rows = 1"), {})


def test_names_in_two_rows_of_excel_and_cells_that_are_merged_below(shop, tmp_path):
    """Merged names are one name; a record whose cell is merged with the one above is refused, not read as empty."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "六月"
    book.create_sheet("other", 0)
    for row in (
        ["月租报表"],
        [],
        ["编号", "产品", None, "资费", None],
        [None, "名称", "类别", "月租", "备注"],
        ["P1", "a", "x", 1, "m"],
        ["P2", "b", None, 2, None],
        ["P3", "c", None, 3, None],
        ["P4", "d", "y", 4, None],
    ):
        sheet.append(row)
    for area in ("A1:E1", "A3:A4", "B3:C3", "D3:E3", "C5:C6", "E5:E8"):
        sheet.merge_cells(area)
    stream = io.BytesIO()
    book.save(stream)
    names = {"id": "编号", "name": "产品/名称", "fee": "资费/月租"}
    more = 'sheet = "六月"\nskip_rows = 1\nheader_rows = 2\nmost_refused = 1.0\nignore = ["资费/备注"]'
    mapping = product("p.xlsx", more, **names) + 'category = "产品/类别"\n'
    account, warehouse = shop(mapping, {"p.xlsx": stream.getvalue()})
    assert [row[0] for row in products(warehouse)] == ["P1", "P3", "P4"]
    refused = warehouse.refused()
    assert refused["line"].tolist() == [6]
    assert refused["reasons"].tolist() == [["a cell is merged with one above"]]
    assert account.balanced and account.frame["raw"].tolist() == [4]


def test_a_group_heads_no_column_that_has_a_name_of_its_own():
    """Where nothing is below, the cell is the name of its own column alone."""
    assert joined([["id", "", "June", ""], ["", "x", "y", "z"]]) == ("id", "x", "June/y", "June/z")
    assert joined([["2026", ""], ["June", ""], ["a", "b"]]) == ("2026/June/a", "2026/June/b")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("header_rows = 0", "header_rows is the number of rows with names"),
        ("header_rows = true", "header_rows is the number"),
        ('header_rows = 2\nheader = false\nnames = ["a"]', "names are given"),
        ("header_rows = 9", "lacks the column"),
    ],
)
def test_rows_of_names_are_counted(shop, more, said):
    with pytest.raises(WorkbenchError, match=said):
        shop(product("p.csv", more), {"p.csv": ONE})


def test_two_sheets_of_one_workbook_fill_one_table(shop):
    """Neither counts as the other's copy; one sheet named twice does."""
    stream = io.BytesIO()
    with pd.ExcelWriter(stream) as book:
        for sheet, id in (("May", "P1"), ("June", "P2")):
            pd.DataFrame({"id": [id], "name": ["a"], "fee": [1]}).to_excel(book, sheet_name=sheet, index=False)
    both = product("p.xlsx", 'sheet = "May"') + product("p.xlsx", 'sheet = "June"').replace("as_of = 2026-07-01", "")
    _, warehouse = shop(both, {"p.xlsx": stream.getvalue()})
    assert [row[0] for row in products(warehouse)] == ["P1", "P2"]
    with pytest.raises(WorkbenchError, match="would count twice"):
        shop(both.replace("June", "May"), {})
