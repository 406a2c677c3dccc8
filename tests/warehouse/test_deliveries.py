"""The door for data: what an operator's extracts look like, and what none of them may do in silence."""

import decimal
import gzip
import json
import os
import re

import duckdb
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from workbench.cli import workbench as command
from workbench.errors import WorkbenchError
from workbench.warehouse import open_warehouse
from workbench.warehouse.ingest import ingest
from workbench.warehouse.ingest.casts import parsed
from workbench.warehouse.ingest.decode import _in_utf8, stretches
from workbench.warehouse.texts import one_form

PRODUCT = """
[[file]]
path = "{path}"
table = "product"
{more}
[file.columns]
product_id = "id"
name = "name"
monthly_fee = {fee}
"""
CUSTOMER = """
[[file]]
path = "c.csv"
table = "customer"
[file.columns]
customer_id = "id"
kind = { constant = "person" }
province = "prov"
joined_on = "day"
"""
PAYMENT = """
[[file]]
path = "pay/*.csv"
table = "payment"
{more}
[file.columns]
payment_id = {id}
customer_id = "c"
paid_on = "d"
amount = "a"
"""


def product(path="p.csv", more="", fee='"fee"'):
    return PRODUCT.format(path=path, more=more, fee=fee)


def payment(more="", id="{ row_number = true }"):
    return PAYMENT.format(more=more, id=id)


@pytest.fixture
def door(tmp_path):
    """A project whose source `shop` gets a mapping and files, and is ingested; gives account and warehouse."""

    def door(mapping, files):
        raw = tmp_path / "data/raw/shop"
        for part in (raw, tmp_path / "data/mappings", tmp_path / "notebooks", tmp_path / "reports/plans"):
            part.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data/mappings/shop.toml").write_text("as_of = 2026-07-01\n" + mapping, encoding="utf-8")
        for name, content in files.items():
            (raw / name).parent.mkdir(parents=True, exist_ok=True)
            (raw / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return ingest("shop", root=tmp_path), open_warehouse("shop", root=tmp_path)

    door.root = tmp_path
    return door


def why(warehouse, table="product"):
    aside = warehouse.refused(table)
    return {line: list(reasons) for line, reasons in zip(aside["line"], aside["reasons"], strict=True)}


def test_a_value_in_quotes_may_hold_line_breaks(door):
    """LF, CRLF and doubled quotes inside; records and lines are both told."""
    text = 'id,name,fee\na,"x\ny\n",1\nb,"第一行\r\n""第二行"", z",2\r\nc,plain,3\n'
    account, warehouse = door(product(), {"p.csv": text})
    assert warehouse.table("product")["name"].tolist() == ["x\ny", '第一行\r\n"第二行", z', "plain"]
    assert account.frame[["raw", "lines"]].values.tolist() == [[3, 6]]
    assert "p.csv has 3 records on 6 lines" in str(account)


@pytest.mark.parametrize(
    ("text", "names", "reasons"),
    [
        ('a,"open,1\nb,x,2\nc,y,3\n', ["x", "y"], {2: ["a quote is not closed"]}),
        # closed only behind whole records: the open one is lost, not those between
        ('a,"open,1\nb,x,2\nc,y",3\n', ["x"], {2: ["a quote is not closed"], 4: ["a quote stands inside a value"]}),
        ('a,"x\ny" z,1\nb,x,2\n', ["x"], {2: ["a quote is not closed"], 3: ["a quote stands inside a value"]}),
        ('a,"x\ny",1,9\nb,x,2\n', ["x"], {2: ["a quote is not closed"], 3: ["a quote stands inside a value"]}),
        ('a,"' + "x\n" * 1_200 + '",1\nb,x,2\n', ["x"], None),
    ],
)
def test_a_quote_that_is_not_closed_costs_its_line(door, text, names, reasons):
    """The records behind it stand."""
    _, warehouse = door(product(more="most_refused = 1"), {"p.csv": "id,name,fee\n" + text})
    assert warehouse.table("product")["name"].tolist() == names
    assert reasons is None or why(warehouse) == reasons


@pytest.mark.parametrize("block", [1, 5, 64])
def test_a_record_may_lie_over_the_edge_of_a_block(door, monkeypatch, block):
    """Whatever is read at a time."""
    monkeypatch.setattr("workbench.warehouse.ingest.decode.BLOCK", block)
    text = "id,name,fee\n" + "".join(f'{i},"line\n{i}\nend",1\n' for i in range(9))
    account, warehouse = door(product(), {"p.csv": text})
    assert warehouse.table("product")["name"].tolist() == [f"line\n{i}\nend" for i in range(9)]
    assert account.frame["raw"].tolist() == [9]


def test_escaped_quotes_and_nothing_of_mysql(door):
    r"""``\"`` and ``\,`` stand for themselves and ``\N`` for no value, where the mapping says so."""
    text = 'id,name,fee\na,"x \\"y\\" z",1\nb,p\\,q,\\N\nc,"\\\\",3\n'
    _, warehouse = door(product(more='escape = "\\\\"', fee='"fee"'), {"p.csv": text})
    products = warehouse.table("product")
    assert products["name"].tolist() == ['x "y" z', "p,q", "\\"] and products["monthly_fee"].isna().tolist() == [
        False,
        True,
        False,
    ]


def test_a_delimiter_of_two_characters(door):
    """`||`, and a value with one of them."""
    _, warehouse = door(product(more='delimiter = "||"'), {"p.csv": "id||name||fee\na||x|y||1\n"})
    assert warehouse.table("product")["name"].tolist() == ["x|y"]


def test_the_same_content_counts_once(door):
    """Under two names it is read once and said; under two patterns it is refused."""
    rows = "c,d,a\nC1,2026-06-01,100\nC1,2026-06-02,50\n"
    account, warehouse = door(payment(), {"pay/06.csv": rows, "pay/06 - 副本.csv": rows})
    assert warehouse.table("payment")["amount"].sum() == 150
    assert "pay/06.csv has the same content as pay/06 - 副本.csv and is not read again" in str(account)
    with pytest.raises(WorkbenchError, match=r"both take pay/06\.csv for payment: its rows would count twice"):
        door(payment() + payment().replace("pay/*", "*/06"), {"pay/06 - 副本.csv": "c,d,a\nC1,2026-06-03,1\n"})


def test_row_numbers_carry_the_whole_path(door):
    """Files of one name in folders by month are other files."""
    mapping = payment().replace("pay/*.csv", "*/pay.csv")
    files = {f"2026{m}/pay.csv": f"c,d,a\nC1,2026-{m}-01,100\nC2,2026-{m}-01,100\n" for m in ("04", "05", "06")}
    _, warehouse = door(mapping, files)
    assert warehouse.table("payment")["amount"].sum() == 600
    assert warehouse.table("payment")["payment_id"][0] == "202604/pay.csv#1"


def test_a_correction_replaces_what_it_corrects(door):
    """keep = "last": by file and line, or by a column whatever the files; what is replaced is no loss."""
    files = {
        "pay/a.csv": "i,c,d,a,t\nP1,C1,2026-06-01,100,9\nP2,C1,2026-06-01,7,1\nP3,C1,2026-06-01,1,5\n",
        "pay/b.csv": "i,c,d,a,t\nP1,C1,2026-06-01,130,10\nP2,C1,2026-06-01,,2\nP3,C1,2026-06-01,2,\n",
    }
    more = 'keep = "last"\norder = "t"'
    account, warehouse = door(payment(more, '"i"'), files)
    paid = warehouse.table("payment").set_index("payment_id")["amount"]
    assert paid.to_dict() == {"P1": 130, "P2": 7, "P3": 1}  # one that is refused, or has no order, corrects nothing
    assert account.frame[["raw", "accepted", "set_aside"]].values.tolist() == [[3, 2, 1], [3, 1, 1]]
    swapped = {"pay/a.csv": files["pay/b.csv"], "pay/b.csv": files["pay/a.csv"]}
    _, other = door(payment(more, '"i"'), swapped)
    pd.testing.assert_series_equal(other.table("payment").set_index("payment_id")["amount"], paid)
    _, by_file = door(payment('keep = "last"\nignore = ["t"]', '"i"'), swapped)
    assert by_file.table("payment").set_index("payment_id")["amount"].to_dict() == {"P1": 100, "P2": 7, "P3": 1}


def test_what_is_no_delivery_is_passed_over(door):
    """Locks, hidden files, empty files: a note each; the delivery is read."""
    good, none = {"pay/06.csv": "c,d,a\nC1,2026-06-01,100\n"}, {"pay/~$06.csv": b"\x05user", "pay/._06.csv": b"\0"}
    account, _ = door(payment(), good | none | {"pay/07.csv": b"", "pay/08.csv.part": b"x"})
    assert account.frame["file"].tolist() == ["pay/06.csv"]
    for name in ("pay/~$06.csv", "pay/._06.csv", "pay/07.csv"):
        assert f"note: {name} is passed over: it" in str(account)
    assert "no [[file]] block names: pay/08.csv.part" in str(account)


def test_names_in_gbk(door):
    """As a delivery and as a stray: read, and named as people read it."""
    (door.root / "data/raw/shop/pay").mkdir(parents=True)
    for name, content in (("客户.csv", b"c,d,a\nC1,2026-06-01,100\n"), ("说明.txt", b"x")):
        with open(os.fsencode(door.root / "data/raw/shop/pay") + b"/" + name.encode("gbk"), "wb") as stream:
            stream.write(content)
    account, warehouse = door(payment(), {})
    assert account.frame["file"].tolist() == ["pay/客户.csv"] and "block names: pay/说明.txt" in str(account)
    assert warehouse.table("payment")["payment_id"].tolist() == ["pay/客户.csv#1"]


@pytest.mark.parametrize(
    ("ids", "right"),
    [
        (pa.array(list(map(decimal.Decimal, (1000000001, "20.50"))), pa.decimal128(38, 10)), ["1000000001", "20.5"]),
        (pa.array([1234567890123.0, None], "float64"), ["1234567890123", None]),
        (pa.array([100, 7], "int16"), ["100", "7"]),
        (pa.array(np.array([2**53, 1], "f8")), "more than 9007199254740992"),
        (pa.array(np.array([16777217, 1], "f4")), "more than 16777216"),
    ],
)
def test_numbers_that_stand_for_identifiers_in_parquet(door, ids, right):
    """Their digits, if all are there; else the file is refused."""
    raw = door.root / "data/raw/shop"
    raw.mkdir(parents=True)
    pq.write_table(pa.table({"id": ids, "name": ["x", "y"], "fee": [1.0, 2.0]}), raw / "p.parquet")
    if isinstance(right, str):
        with pytest.raises(WorkbenchError, match=right):
            door(product("p.parquet"), {})
    else:
        _, warehouse = door(product("p.parquet"), {})
        assert warehouse.table("product")["product_id"].tolist() == [r for r in sorted(filter(None, right))]


def test_identifiers_that_were_made_numbers_in_a_text_file(door):
    """1.23457E+17 and 1000000001.0 are refused with the reason; 1.0 may be a version."""
    text = "id,name,fee\n1.23457E+17,x,1\n1000000001.0,x,1\n1.0,x,1\n00123,x,1\n9.8e+18,x,1\n"
    _, warehouse = door(product(), {"p.csv": text})
    reason = ["product_id was written as a number and may have lost digits"]
    assert why(warehouse) == {2: reason, 3: reason, 6: reason}
    assert warehouse.table("product")["product_id"].tolist() == ["00123", "1.0"]


def test_signs_that_nobody_sees(door):
    """Full-width, no-break and zero-width spaces, tabs, a byte order mark in the middle; full-width identifiers."""
    text = "id,name,fee\na,　广东　,1\nb,广东\u00a0,1\nc,广东\u200b,1\nd,\t广东,1\n\ufeffe,广东,１\nＦ１,广 东,1\n"
    _, warehouse = door(product(), {"p.csv": text})
    assert why(warehouse) == {6: ["monthly_fee is not a number"]}
    products = warehouse.table("product")
    assert products["product_id"].tolist() == ["F1", "a", "b", "c", "d"]
    assert products["name"].tolist() == ["广 东", "广东", "广东", "广东", "广东"]


@pytest.mark.parametrize(
    ("kind", "forms"),
    [
        (
            "phone",
            [
                "12000000000",
                "+8612000000000",
                "8612000000000",
                "0086 120 0000 0000",
                "120-0000-0000",
                "１２０００００００００",
                "12000000000　",
                "(+86)12000000000",
            ],
        ),
        (
            "card",
            [
                "11010019000101001x",
                "11010019000101001X",
                "110100 19000101 001X",
                "１１０１００１９０００１０１００１Ｘ",
            ],
        ),
        ("name", ["阿依古丽·买买提", "阿依古丽•买买提", " 阿依古丽・买买提", "阿依古丽．买买提"]),
        (None, ["Ab 1", "ＡＢ１", "AB\u200b1"]),
    ],
)
def test_one_text_has_one_form(kind, forms):
    """By kind; other texts stay other."""
    assert len({one_form(form, kind) for form in forms}) == 1
    assert len({one_form(text, "phone") for text in ("12000000000", "12000000001", "8612000000", "010-12000000")}) == 4


def test_one_number_has_one_pseudonym_in_every_system(door):
    """The column says what it holds, or the mapping does."""
    mapping = """
[[file]]
path = "s.csv"
table = "subscription"
[file.columns]
subscription_id = "id"
customer_id = { constant = "C" }
service = { constant = "mobile" }
number_key = { from = "number", pseudonym = %s }
activated_on = { constant = "2020-01-01" }
"""
    text = "id,number\n1,12000000000\n2,+86 120-0000-0000\n3,１２０００００００００\n4,12000000001\n5,\u200b\n"
    _, warehouse = door(mapping % "true", {"s.csv": text})
    keys = warehouse.table("subscription").set_index("subscription_id")["number_key"]
    assert keys["1"] == keys["2"] == keys["3"] != keys["4"] and pd.isna(keys["5"])
    _, as_card = door(mapping % '"card"', {})
    keys = as_card.table("subscription").set_index("subscription_id")["number_key"]
    assert keys["1"] == keys["3"] != keys["2"]
    with pytest.raises(WorkbenchError, match=r"no pseudonym 'phones'.*Did you mean 'phone'"):
        door(mapping % '"phones"', {})


GB = 'encoding = "gb18030"'


@pytest.mark.parametrize("line", [b"6,\xb9\xff\xb6\xab,1\n", b"6,\xb9\xe3\xb6,1\n", "6,广东,1\n".encode()])
def test_a_line_that_does_not_fit_the_encoding_costs_itself(door, line):
    """A bad byte, a character cut in half, a line in UTF-8: five lines stand."""
    text = ("id,name,fee\n" + "".join(f"{i},广东,1\n" for i in range(5))).encode("gb18030")
    _, warehouse = door(product(more=GB), {"p.csv": text + line + "7,山东,1\n".encode("gb18030")})
    assert set(warehouse.table("product")["name"]) == {"广东", "山东"} and len(warehouse.table("product")) == 6
    assert [reasons[0].startswith(("a byte (0x", "the line is in utf-8")) for reasons in why(warehouse).values()] == [
        True
    ]


def test_the_euro_of_windows_and_bad_bytes_of_utf8(door):
    """0x80 is € in code page 936; in UTF-8 a byte of another encoding costs its line."""
    _, warehouse = door(product(more=GB), {"p.csv": b"id,name,fee\n1,\x80\xb9\xe3,1\n"})
    assert warehouse.table("product")["name"].tolist() == ["€广"]
    lines = [f"{i},广东,1\n".encode() for i in range(4)]
    _, warehouse = door(product(), {"p.csv": b"id,name,fee\n" + b"".join(lines) + b"9,\xd5,1\n"})
    assert why(warehouse) == {6: ["a byte (0xd5) does not fit utf-8"]}


def test_a_file_in_another_encoding_is_refused(door):
    """UTF-8 under gb18030 decodes, to nonsense: it is found all the same; short GBK that is valid UTF-8 is read."""
    with pytest.raises(WorkbenchError, match=r"is not in gb18030: line 2 is valid utf-8.*\"auto\""):
        door(product(more=GB), {"p.csv": "id,name,fee\n1,广东,1\n2,山东,1\n"})
    _, warehouse = door(product(more=GB), {"p.csv": "id,name,fee\n1,通,1\n".encode("gb18030")})
    assert warehouse.table("product")["name"].tolist() == ["通"]


def test_utf8_is_told_from_gb18030_line_by_line():
    """Against a decoder of UTF-8, on random bytes; two-byte characters alone tell nothing."""
    random = np.random.default_rng(0)
    pool = [
        b"a",
        b"\xe5\xb9\xbf",
        b"\xb9\xe3",
        b"\xf0\x9f\x8e\x89",
        b"\x80",
        b"\xc3",
        b"\xa9",
        b"\xff",
        b"\xed\xa0\x80",
    ]
    lines = [
        b"".join(random.choice(len(pool), 4).tolist() and [pool[i] for i in random.choice(len(pool), 4)])
        for _ in range(3000)
    ]

    def in_utf8(line):
        try:
            return any(ord(sign) > 0x7FF for sign in line.decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            return False

    assert _in_utf8(b"".join(line + b"\n" for line in lines)).tolist() == [in_utf8(line) for line in lines]


def test_auto_follows_most_lines(door, tmp_path):
    """One bad byte in a file of UTF-8 does not make it GB18030, nor the other way round."""
    for codec, other in (("utf-8", "gb18030"), ("gb18030", "utf-8")):
        lines = [f"{i},广东,1\n".encode(codec) for i in range(9)] + ["x,山东,1\n".encode(other)]
        _, warehouse = door(product(more='encoding = "auto"'), {"p.csv": b"id,name,fee\n" + b"".join(lines)})
        assert warehouse.table("product")["name"].tolist() == ["广东"] * 9 and list(why(warehouse)) == [11]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16(door, codec):
    """What Excel calls Unicode text, packed or not, declared or found by its mark."""
    text = "id\tname\tfee\r\n1\t广东🎉\t1\r\n".encode(codec)
    more = f'encoding = "{codec}"\ndelimiter = "\\t"'
    _, warehouse = door(product("p.txt.gz", more), {"p.txt.gz": gzip.compress(text)})
    assert warehouse.table("product")["name"].tolist() == ["广东🎉"]
    if codec == "utf-16":
        _, warehouse = door(product("p.txt", more.replace("utf-16", "auto")), {"p.txt": text})
        assert warehouse.table("product")["name"].tolist() == ["广东🎉"]
    with pytest.raises(WorkbenchError, match=r"is not in utf-16.*: truncated data\. Have it"):
        door(product("q.txt", more), {"q.txt": text[:-1]})


@pytest.mark.parametrize(
    ("form", "texts"),
    [
        (
            "1,234.00",
            {
                "1,234.00": 1234,
                "(123.45)": -123.45,
                "￥88.00": 88,
                "１２３４": 1234,
                "-1,234.5": -1234.5,
                "12元": 12,
                "5.0-": -5,
                "¥(3)": -3,
                "1,23": None,
                "1.234,00": None,
                "1234.5": 1234.5,
                "": None,
                "(￥1,000.00)": -1000,
                "nan": None,
                "1e5": None,
            },
        ),
        ("1.234,00", {"1.234,50": 1234.5, "1234,5": 1234.5, "1.23": None, "-3": -3}),
        ("1 234,00", {"1 234,50": 1234.5, "12,5": 12.5}),
        ("12.5%", {"12.5%": 0.125, "-３％": -0.03, "12.5": None}),
    ],
)
def test_numbers_as_people_write_them(door, form, texts):
    """Read as declared; what does not fit is refused."""
    rows = "".join(f'{i},x,"{text}"\n' for i, text in enumerate(texts))
    mapping = payment().replace("pay/*.csv", "p.csv").replace('"a"', f'{{ from = "fee", number = "{form}" }}')
    mapping = mapping.replace("{ row_number = true }", '"id"').replace('"d"', '{ constant = "2026-06-01" }')
    _, warehouse = door(mapping.replace('"c"', '"name"'), {"p.csv": "id,name,fee\n" + rows})
    amounts = warehouse.table("payment").set_index("payment_id")["amount"]
    got = {text: amounts.get(str(i)) for i, text in enumerate(texts)}
    assert got == {text: None if right is None else pytest.approx(right) for text, right in texts.items()}


@pytest.mark.parametrize(
    ("form", "text", "right"),
    [
        ("excel", "46113", "2026-04-01"),
        ("excel", "60", None),
        ("excel", "x", None),
        ("%Y%m%d", "20260401", "2026-04-01"),
        ("%Y%m%d", "2026041", None),
        ("%Y%m%d", "20260230", None),
        ("%Y/%m/%d", "2026/4/1", "2026-04-01"),
        ("%Y/%m/%d %p %I:%M:%S", "2026/4/1 下午 3:05:00", "2026-04-01"),
    ],
)
def test_dates_as_declared(door, form, text, right):
    """Numbers of Excel, halves of the day, and no day that was cut."""
    mapping = payment().replace('"d"', f'{{ from = "d", format = "{form}" }}')
    good = {"excel": "46113", "%Y%m%d": "20260401"}.get(form, "2026/4/1 下午 3:05:00" if "%p" in form else "2026/4/1")
    _, warehouse = door(mapping, {"pay/1.csv": f"c,d,a\nC,{good},1\nC,{text},2\n"})
    days = warehouse.table("payment").set_index("amount")["paid_on"].astype(str)
    assert days[1.0] == "2026-04-01" and days.get(2.0) == right


def workbook(path, rows, at=1):
    book = openpyxl.Workbook()
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            book.active.cell(row=at + i, column=1 + j, value=value)
    book.save(path)


def test_a_workbook_as_people_make_it(door):
    """Title, empty rows, names, totals: rows are counted as Excel does, and a total is no loss."""
    rows = [["2026年6月"], [], ["id", "name", "fee"], ["a", "x", 1], ["b", "y", "n/a"], ["合计", None, 1]]
    (door.root / "data/raw/shop").mkdir(parents=True)
    workbook(door.root / "data/raw/shop/p.xlsx", rows, at=2)
    account, warehouse = door(product("p.xlsx", "skip_rows = 3"), {})
    assert warehouse.table("product")["product_id"].tolist() == ["a"]
    assert list(why(warehouse)) == [6, 7] and why(warehouse)[7] == ["name is missing", "the row is a total"]
    assert account.frame[["raw", "set_aside"]].values.tolist() == [[3, 1]] and account.excess() == []


def test_title_and_totals_in_a_text_file(door):
    """A total that would be a good row is one only where the mapping says so."""
    text = "报表\n\nid,name,fee\na,x,1\nTotal,all,1\n"
    account, warehouse = door(product(more="skip_rows = 2"), {"p.csv": text})
    assert warehouse.table("product")["product_id"].tolist() == ["Total", "a"]
    account, warehouse = door(product(more='skip_rows = 2\ntotals = ["Total"]'), {"p.csv": text})
    assert warehouse.table("product")["product_id"].tolist() == ["a"] and account.frame["set_aside"].tolist() == [1]
    with pytest.raises(WorkbenchError, match="has 5 lines; skip_rows = 9 leaves none"):
        door(product(more="skip_rows = 9"), {"p.csv": text})


def test_a_column_that_comes_later(door):
    """Optional columns may lack; others may not."""
    mapping = payment('optional = ["i"]', '{ template = "{i}{d}" }')
    files = {"pay/05.csv": "c,d,a\nC,2026-05-01,1\n", "pay/06.csv": "c,d,a,i\nC,2026-06-01,2,x\n"}
    _, warehouse = door(mapping, files)
    assert warehouse.table("payment")["payment_id"].tolist() == ["x2026-06-01"]
    with pytest.raises(WorkbenchError, match=r"05.csv lacks the column 'i'"):
        door(mapping.replace('optional = ["i"]', ""), {})


def test_more_is_refused_than_allowed(door, monkeypatch):
    """Status 1, and the file named; what follows a refused parent does not count, nor does a single record."""
    days = ["2020-01-01"] + ["20200101"] * 19
    customers = "id,prov,day\n" + "".join(f"C{i},广东,{day}\n" for i, day in enumerate(days))
    paid = "c,d,a\n" + "".join(f"C{i},2026-06-01,1\n" for i in range(20)) + "C99,2026-06-01,1\n"
    account, warehouse = door(CUSTOMER + payment(), {"c.csv": customers, "pay/1.csv": paid})
    assert account.frame[["quarantined", "followed"]].values.tolist() == [[19, 0], [20, 19]]
    assert account.excess() == [
        "c.csv: 19 of 20 records are refused for customer, where the mapping allows 5% (most_refused)"
    ]
    assert warehouse.full_account().refusals(["payment", "customer", "bill"]) == [
        "95.1% of the 41 records behind this report were refused when the data came in; of the records of payments "
        "95.2%.",
        "customers: 19 of 20 records, most often because the day of joining is not a date.",
        "payments: 1 of 21 records, most often because the customer is not among the accepted customers. 19 more "
        "because what they belong to was refused.",
    ]
    assert warehouse.full_account().refusals(["payment"])[0].said("zh") == (
        "本报告所依据的21条记录中，入库时拒收95.2%；其中“缴费”拒收95.2%。"
    )
    assert warehouse.full_account().refusals(["bill"]) == []
    monkeypatch.setenv("WORKBENCH_HOME", str(door.root))
    from workbench.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["data", "check", "shop"])
    assert ended.value.code == 1
    assert CliRunner().invoke(command, ["data", "check", "shop"], standalone_mode=False).return_value == 1


def test_the_reason_named_is_that_of_records_that_are_lost(door):
    """Three replaced rows outnumber the wrong date, and those who follow a refused parent the wrong amounts."""
    rows = ["A,广东,2020-01-01"] * 4 + ["B,广东,20200101", "C,广东,2020-01-01"]
    paid = ["B,2026-06-01,1"] * 5 + ["A,2026-06-01,x"] * 2 + ["A,2026-06-01,1"] * 9
    keep = CUSTOMER.replace('table = "customer"', 'table = "customer"\nkeep = "last"')
    files = {"c.csv": "\n".join(["id,prov,day", *rows, ""]), "pay/1.csv": "\n".join(["c,d,a", *paid, ""])}
    _, warehouse = door(keep + payment(), files)
    said = " ".join(warehouse.full_account().refusals(["payment", "customer"]))
    assert "customers: 1 of 6 records, most often because the day of joining is not a date." in said
    assert "payments: 2 of 16 records, most often because the amount is not a number. 5 more" in said


def test_refused_records_are_exported_mended_and_taken_back(door, monkeypatch, tmp_path):
    """The mended row stands in the place of its line, once, with its pseudonym, as long as the repair lies there."""
    mapping = CUSTOMER.replace('joined_on = "day"', 'joined_on = "day"\nname_key = { from = "name", pseudonym = true }')
    text = 'id,prov,day,name\nC1,广东,2020-01-01,张三\nC2,广东,x,李四\nC3,山东,y,王五\nC4,"\n'
    door(mapping, {"c.csv": text})
    monkeypatch.setenv("WORKBENCH_HOME", str(door.root))
    run = CliRunner()
    shown = run.invoke(command, ["data", "quarantine", "shop", "--table", "customer"]).output
    assert "c.csv, line 3, customer: joined_on is not a date" in shown and "3 records in quarantine" in shown
    csv = tmp_path / "mended.csv"
    assert "2 of 3 records written" in run.invoke(command, ["data", "quarantine", "shop", "--export", str(csv)]).output
    mended = csv.read_text("utf-8-sig")
    assert (
        mended.startswith("#file,#delivery,#table,#line,#reasons,id,")
        and "李四" not in mended
        and csv.stat().st_mode & 0o077 == 0
    )
    csv.write_text(re.sub(r",x,", ",2021-05-05,", mended), "utf-8-sig")
    before = open_warehouse("shop", root=door.root).table("customer")
    run.invoke(command, ["data", "quarantine", "shop", "--take-back", str(csv)], standalone_mode=False)
    warehouse = open_warehouse("shop", root=door.root)
    after = warehouse.table("customer")
    assert after["customer_id"].tolist() == ["C1", "C2"]
    assert warehouse.account()[["raw", "accepted", "quarantined"]].values.tolist() == [[4, 2, 2]]
    with pytest.raises(WorkbenchError, match=r"mended of another delivery of 'c\.csv'"):
        door(mapping, {"c.csv": text.replace(",x,", ",2021-05-05,")})
    (door.root / "data/repairs/shop/mended.csv").unlink()
    _, direct = door(mapping, {})
    pd.testing.assert_frame_equal(direct.table("customer"), after)
    _, again = door(mapping, {"c.csv": text})
    pd.testing.assert_frame_equal(again.table("customer"), before)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id\nx\n", "lacks '#file', '#delivery', '#table', '#line'"),
        ("#file,#delivery,#table,#line,id\nc.csv,,customer,x,1\n", "line 2, has too few or too many cells"),
        ("#file,#delivery,#table,#line,id,prov,day\nd.csv,D,customer,2,1,1,1\n", "'d.csv' is not delivered"),
        (
            "#file,#delivery,#table,#line,id,prov,day\nc.csv,D,customer,9,1,1,1\n",
            "name line 9 of c.csv, where no record begins",
        ),
        (
            "#file,#delivery,#table,#line,id,prov,day\n" + "c.csv,D,customer,2,1,1,1\n" * 2,
            "line 2 of c.csv a second time",
        ),
        (
            "#file,#delivery,#table,#line,id,prov\nc.csv,D,customer,2,1,1\n",
            "the repair of line 2 of c.csv has other columns",
        ),
    ],
)
def test_repairs_that_fit_nothing_are_refused(door, text, words):
    """With what to mend; the version in force stays."""
    _, before = door(CUSTOMER, {"c.csv": "id,prov,day\nC1,广东,2020-01-01\nC2,广东,x\n"})
    folder = door.root / "data/repairs/shop"
    folder.mkdir(parents=True)
    (folder / "r.csv").write_text(text.replace(",D,", f",{before.files()['digest'][0]},"), "utf-8")
    with pytest.raises(WorkbenchError, match=re.escape(words)):
        door(CUSTOMER, {})
    assert open_warehouse("shop", root=door.root).version == before.version


def test_what_is_in_the_quarantine_is_json(door):
    """Records of several lines, too."""
    _, warehouse = door(product(), {"p.csv": 'id,name,fee\na,x,1\nb,"p\nq",z\n'})
    assert json.loads(warehouse.refused("product")["record"][0]) == {"id": "b", "name": "p\nq", "fee": "z"}


def test_stretches_number_their_lines(tmp_path):
    """Unfit lines by their number in the file."""
    file = tmp_path / "a.csv"
    file.write_bytes(b"x\n" + "广\n".encode() * 5 + b"\xff\n" + "广\n".encode() + b"\xfe")
    several = list(stretches(file, "utf-8"))
    unfit = {line: why for one in several for line, why in one.unfit.items()}
    assert unfit == {7: "a byte (0xff) does not fit utf-8", 9: "a byte (0xfe) does not fit utf-8"}
    assert sum(one.data.count(b"\n") for one in several) == 9


def test_json_lines(door):
    """Numbers keep their digits; what is no object of plain values is named; a key may lack, a new one may not come."""
    good = [
        '{"id": 123456789012345678901, "name": "广东", "fee": 1.50}',
        '{"id": "b", "name": " x ", "fee": null}',
        '{"id": 7, "name": true}',
    ]
    bad = ["", "{", "[1]", '{"id": 1, "id": 2}', '{"id": [1]}', '{"id": "c", "name": "\\ud800"}']
    text = "\n".join([*good, *bad, '{"id": "d", "name": "nan", "fee": NaN}'])
    _, warehouse = door(product("p.jsonl.gz", "most_refused = 1"), {"p.jsonl.gz": gzip.compress(text.encode())})
    products = warehouse.table("product").set_index("product_id")
    assert products.index.tolist() == ["123456789012345678901", "7", "b"]
    assert products["name"].tolist() == ["广东", "true", "x"] and products["monthly_fee"].isna().sum() == 2
    assert [reasons[0] for reasons in why(warehouse).values()] == [
        "the line is empty",
        "the line is no JSON",
        "the line is no object",
        "the object has a key twice",
        "'id' holds a list or an object",
        "'name' holds half a character",
        "monthly_fee is not a number",
    ]
    with pytest.raises(WorkbenchError, match=r"columns that the mapping does not use: 'new'"):
        door(product("p.jsonl"), {"p.jsonl": good[0] + '\n{"id": 1, "name": "x", "fee": 1, "new": 2}'})
    with pytest.raises(WorkbenchError, match=r"lacks the column 'fee' of the mapping"):
        door(product("p.jsonl"), {"p.jsonl": good[2]})
    with pytest.raises(WorkbenchError, match=r"'delimiter' has no meaning for jsonl"):
        door(product("p.jsonl", 'delimiter = ";"'), {})


def test_a_file_for_two_tables_is_mended_for_each(door, monkeypatch, tmp_path):
    """A record that is bad for one table stays as it is for the other; each is exported by its table."""
    mapping = product("p.csv", 'ignore = ["day"]') + CUSTOMER.replace("c.csv", "p.csv").replace(
        "[file.columns]", 'ignore = ["name", "fee"]\n[file.columns]'
    ).replace('"prov"', '{ constant = "广东" }')
    text = "id,name,fee,day\nA,x,1,2020-01-01\nB,y,bad,2020-01-01\nC,z,3,bad\n"
    door(mapping, {"p.csv": text})
    monkeypatch.setenv("WORKBENCH_HOME", str(door.root))
    run, csv = CliRunner(), tmp_path / "m.csv"
    with pytest.raises(WorkbenchError, match=r"different columns\. Choose one of: .*--table customer"):
        run.invoke(command, ["data", "quarantine", "shop", "--export", str(csv)], catch_exceptions=False)
    run.invoke(command, ["data", "quarantine", "shop", "--table", "product", "--export", str(csv)])
    csv.write_text(csv.read_text("utf-8-sig").replace(",bad", ",2"), "utf-8-sig")
    run.invoke(command, ["data", "quarantine", "shop", "--take-back", str(csv)], standalone_mode=False)
    warehouse = open_warehouse("shop", root=door.root)
    assert warehouse.table("product")["monthly_fee"].tolist() == [1, 2, 3]
    assert warehouse.table("customer")["customer_id"].tolist() == ["A", "B"]


def test_the_same_content_counts_once_in_blocks_of_their_own(door):
    """Two blocks that name two files with the same bytes, for the same columns."""
    rows = "i,c,d,a\nP,C1,2026-06-01,100\n"
    mapping = payment(id='"i"')
    mapping = mapping.replace("pay/*", "pay/05") + mapping.replace("pay/*", "pay/06")
    account, _ = door(mapping, {"pay/05.csv": rows, "pay/06.csv": rows})
    assert account.frame["raw"].tolist() == [1] and "pay/06.csv has the same content as pay/05.csv" in str(account)


def test_the_hours_of_excel():
    """Half a day is noon; a second stays a second."""
    texts = ("46113.5", "46113.000011574074", "46113")
    got = [duckdb.sql(f"SELECT {parsed(repr(text), 'excel')}").fetchall()[0][0] for text in texts]
    assert [str(at) for at in got] == ["2026-04-01 12:00:00", "2026-04-01 00:00:01", "2026-04-01 00:00:00"]


def test_one_record_may_be_refused_and_two_may_not(door):
    """Of three, where 5% would be none."""
    text = "id,name,fee\na,x,1\nb,x,2\nc,x,bad\n"
    assert door(product(), {"p.csv": text})[0].excess() == []
    (said,) = door(product(), {"p.csv": text.replace("b,x,2", "b,x,bad")})[0].excess()
    assert said.startswith("p.csv: 2 of 3 records are refused for product")
