"""Code lists in files of their own: what they say, and what is no list."""

import re

import pytest

from workbench.errors import WorkbenchError
from workbench.warehouse import open_warehouse
from workbench.warehouse.ingest import ingest
from workbench.warehouse.ingest.mapping import read_mapping

MAPPING = """
as_of = 2026-07-01
[[file]]
path = "p.csv"
table = "product"
[file.columns]
product_id = "id"
name = "name"
monthly_fee = "fee"
category = { from = "kind", codes = "CODES" }
"""
KINDS = "code,value,remark\n01,voice,since 2019\n02,流量,\n\n02,流量,again\n"
LISTS = '[kind]\n"01" = "voice"\n"02" = "流量"\n[other]\nx = 1\n'


@pytest.fixture
def read(tmp_path):
    """Lays a mapping that names a code list, and code lists; reads the mapping."""

    def read(name, lists, mapping=MAPPING):
        folder = tmp_path / "data/mappings"
        (folder / "codes/deep").mkdir(parents=True, exist_ok=True)
        (folder / "shop.toml").write_text(mapping.replace("CODES", name), encoding="utf-8")
        for file, text in lists.items():
            (folder / file).write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_mapping(folder / "shop.toml")

    read.root = tmp_path
    return read


@pytest.mark.parametrize(
    ("name", "lists"),
    [
        ("kinds.csv", {"codes/kinds.csv": KINDS}),
        ("deep/kinds.csv", {"codes/deep/kinds.csv": b"\xef\xbb\xbf" + KINDS.encode()}),
        ("all.toml#kind", {"codes/all.toml": LISTS}),
        ("kind.toml", {"codes/kind.toml": LISTS.partition("[other]")[0].replace("[kind]", "")}),
    ],
)
def test_a_code_list_is_a_translation(read, name, lists):
    """A CSV file with code and value, or a table of a TOML file, stands for `values`; zeros stay."""
    mapping = read(name, lists)
    assert mapping.files[0].columns["category"].values == {"01": "voice", "02": "流量"}
    assert mapping.codes == (read.root / "data/mappings" / next(iter(lists)),)


@pytest.mark.parametrize(
    ("name", "lists", "said"),
    [
        ("kind.csv", {"codes/kinds.csv": KINDS}, r"\[\[file\]\] 1, category: there is no code list .*'kinds\.csv'"),
        ("../shop.toml", {}, "must stay inside"),
        ("/etc/passwd", {}, "must stay inside"),
        ("k.xlsx", {"codes/k.xlsx": "x"}, r"\.csv, or \.toml"),
        ("k.csv", {"codes/k.csv": "01,voice\n"}, r"the first line must be code,value .* \['01', 'voice'\]"),
        ("k.csv", {"codes/k.csv": ""}, "the first line must be code,value"),
        ("k.csv", {"codes/k.csv": "code,value\n"}, "has 0 codes"),
        ("k.csv", {"codes/k.csv": "code,value\n01,a\n02\n"}, "line 3: a code needs a value"),
        ("k.csv", {"codes/k.csv": "code,value\n01,\n"}, "line 2: a code needs a value"),
        ("k.csv", {"codes/k.csv": "code,value\n01,a\n02,b\n01,c\n"}, "'01' is 'a' in line 2 and 'c' in line 4"),
        ("k.csv", {"codes/k.csv": "code,value\n01,语音\n".encode("gb18030")}, "Save it in UTF-8"),
        ("k.csv", {"codes/k.csv": 'code,value\n01,"a\n'}, "can't be read"),
        ("k.csv#x", {"codes/k.csv": KINDS}, r"\.csv, or \.toml"),
        ("k.csv", {"codes/k.csv": "code,value\n" + "".join(f"{i},x\n" for i in range(2001))}, r"\[\[prepare\]\]"),
        ("k.toml", {"codes/k.toml": LISTS}, 'codes = "k.toml#kind"'),
        ("k.toml#kinds", {"codes/k.toml": LISTS}, "no code list 'kinds'.*'kind'"),
        ("k.toml", {"codes/k.toml": "a = "}, "can't be read"),
        ("k.toml", {"codes/k.toml": "a = [1]"}, "neither text"),
        ("k.toml", {"codes/k.toml": 'a = ""'}, "turns a text into nothing"),
    ],
)
def test_what_is_no_code_list_is_refused(read, name, lists, said):
    """A list that contradicts itself, lacks a value or stands elsewhere is named, with its line."""
    with pytest.raises(WorkbenchError, match=said):
        read(name, lists)


def test_a_list_and_values_are_one_too_many(read):
    with pytest.raises(WorkbenchError, match=re.escape("category has values and codes")):
        read("k.csv", {"codes/k.csv": KINDS}, MAPPING.replace("codes =", "values = { a = 1 }, codes ="))


def test_a_code_that_is_not_listed_refuses_its_row_and_a_new_list_makes_a_new_version(read):
    """The content of the list belongs to the version."""
    read("k.csv", {"codes/k.csv": KINDS})
    raw = read.root / "data/raw/shop"
    raw.mkdir(parents=True)
    (raw / "p.csv").write_text("id,name,fee,kind\nP1,a,1,01\nP2,b,2,03\n", encoding="utf-8")
    account = ingest("shop", root=read.root)
    assert account.frame["accepted"].tolist() == [1]
    assert account.reasons["reason"].tolist() == ["category has a text not listed under values"]
    assert not ingest("shop", root=read.root).changed
    read("k.csv", {"codes/k.csv": KINDS + "03,television\n"})
    assert ingest("shop", root=read.root).frame["accepted"].tolist() == [2]
    found = open_warehouse("shop", root=read.root).query("SELECT category FROM product ORDER BY 1")
    assert found["category"].tolist() == ["television", "voice"]
