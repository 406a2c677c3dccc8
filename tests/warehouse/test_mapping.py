"""The mapping format: what is read, and what is refused with which words."""

import re
import tomllib
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.warehouse.ingest.mapping import (
    FILE_KEYS,
    INPUT_KEYS,
    MAPPING_KEYS,
    PREPARE_KEYS,
    VALUE_KEYS,
    Origin,
    read_mapping,
)

ROOT = Path(__file__).resolve().parents[2]
GOOD = """
as_of = 2026-07-01
[[file]]
path = "产品.csv"
table = "product"
missing = ["", "NULL"]
[file.columns]
product_id = "编号"
name = { template = "{类}-{名}" }
monthly_fee = { from = "费(分)", scale = 0.01, missing = ["-"] }
category = { constant = "流量" }
"""
BLOCK = '[[file]]\npath = "a.csv"\ntable = "product"\n'
COLUMNS = '[file.columns]\nproduct_id = "a"\nname = "b"\n'


def read(tmp_path, text):
    """Write a mapping and read it."""
    file = tmp_path / "shop.toml"
    file.write_text(text, encoding="utf-8")
    return read_mapping(file)


def test_origins_are_read_with_their_options(tmp_path):
    """Each column carries its origin, scale and missing texts; source columns are listed once."""
    mapping = read(tmp_path, GOOD)
    block = mapping.files[0]
    assert mapping.currency == "yuan" and mapping.source == "shop"
    assert block.columns["monthly_fee"] == Origin(column="费(分)", scale=0.01, missing=("", "-"))
    assert block.columns["product_id"].missing == ("", "NULL")
    assert block.sources() == ("编号", "类", "名", "费(分)")


def test_map_column_takes_a_list_or_a_table(tmp_path):
    """A list names columns after themselves; a table gives them other names."""
    text = 'as_of = 2026-07-01\n[[file]]\npath = "a.csv"\ntable = "campaign_member"\n[file.columns]\n'
    text += 'campaign_id = "c"\ncustomer_id = "k"\narm = "a"\noutcomes = ["visit"]\n'
    text += 'covariates = { area = { from = "区", values = { "1" = "urban" } } }\n'
    columns = read(tmp_path, text).files[0].columns
    assert columns["outcomes"] == {"visit": Origin(column="visit")}
    assert columns["covariates"] == {"area": Origin(column="区", values={"1": "urban"})}


@pytest.mark.parametrize("name", sorted(p.stem for p in (ROOT / "data" / "mappings").glob("*.toml")))
def test_mappings_of_the_repository_are_valid(name):
    """Every mapping that is delivered can be read."""
    assert read_mapping(ROOT / "data" / "mappings" / f"{name}.toml").tables()


def test_documentation_names_every_key():
    """docs/mappings.md describes each key that a mapping may have."""
    text = (ROOT / "docs" / "mappings.md").read_text(encoding="utf-8")
    for key in {*MAPPING_KEYS, *FILE_KEYS, *VALUE_KEYS, *PREPARE_KEYS, *INPUT_KEYS}:
        assert f"`{key}`" in text or f"[{key}]" in text or f".{key}]" in text, key


def test_examples_of_the_documentation_are_toml():
    """Every example in docs/mappings.md can be read as TOML."""
    text = (ROOT / "docs" / "mappings.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(examples) >= 3
    for example in examples:
        tomllib.loads(example)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("as_of = ", "not a TOML file"),
        (GOOD.replace("as_of", "asof"), "unknown key 'asof'. Did you mean 'as_of'"),
        (GOOD.replace("2026-07-01", '"2026-07-01"'), "no as_of date"),
        ("as_of = 2026-07-01", "names no file"),
        (GOOD.replace('"product"', '"produkt"'), "Did you mean 'product'"),
        (GOOD.replace("monthly_fee", "monthly_fees"), "Did you mean 'monthly_fee'"),
        (GOOD.replace('missing = [""', 'mising = [""'), "unknown key 'mising'. Did you mean 'missing'"),
        (GOOD.replace("scale", "scal"), "unknown key 'scal'. Did you mean 'scale'"),
        (GOOD.replace('product_id = "编号"\n', ""), "table product needs 'product_id'"),
        (GOOD.replace("产品.csv", "../产品.csv"), "inside the raw folder"),
        (GOOD.replace("产品.csv", "产品.doc"), "format is 'unknown'"),
        (GOOD.replace("scale = 0.01", "scale = 0"), "other than 0"),
        (GOOD.replace('constant = "流量"', 'constant = "流量", from = "x"'), "exactly one of"),
        (GOOD.replace('constant = "流量"', 'constant = "流量", scale = 2'), "scale is for"),
        (GOOD.replace('constant = "流量"', 'from = "x", values = { a = "" }'), "under missing"),
        (GOOD.replace("{类}-{名}", "名"), "names no column"),
        (f"as_of = 2026-07-01\n{BLOCK}encoding = 'gbk'\n{COLUMNS}", "no encoding 'gbk'"),
        (f"as_of = 2026-07-01\n{BLOCK}delimiter = '|||||'\n{COLUMNS}", "one to four ASCII characters"),
        (f"as_of = 2026-07-01\n{BLOCK}escape = ','\n{COLUMNS}", "other than quote and delimiter"),
        (f"as_of = 2026-07-01\n{BLOCK}keep = 'newest'\n{COLUMNS}", "no keep 'newest'"),
        (f"as_of = 2026-07-01\n{BLOCK}order = 'x'\n{COLUMNS}", 'it needs keep = "last"'),
        (f"as_of = 2026-07-01\n{BLOCK}most_refused = 5\n{COLUMNS}", "a share of the file's records"),
        (f"as_of = 2026-07-01\n{BLOCK}skip_rows = -1\n{COLUMNS}", "number of rows above the names"),
        (GOOD.replace("scale = 0.01", "number = '1.234'"), "no number '1.234'"),
        (f"as_of = 2026-07-01\n{BLOCK}header = false\n{COLUMNS}", "needs header = false and names"),
        (f"as_of = 2026-07-01\n{BLOCK}ignore = ['a']\n{COLUMNS}", "both mapped and ignored"),
        (f"as_of = 2026-07-01\n{BLOCK}ignore = 'a'\n{COLUMNS}", "must be a list of texts"),
        ('as_of = 2026-07-01\n[[rows]]\ntable = "product"\nnam = "x"', "Did you mean 'name'"),
    ],
)
def test_wrong_mapping_is_refused(tmp_path, text, words):
    """Each mistake gives one error that says what is wrong."""
    with pytest.raises(WorkbenchError, match=re.escape(words)):
        read(tmp_path, text)


def test_pseudonym_must_be_decided(tmp_path):
    """A column of pseudonyms can't be filled without saying whether the source has clear text."""
    text = 'as_of = 2026-07-01\n[[file]]\npath = "a.csv"\ntable = "customer"\n[file.columns]\ncustomer_id = "a"\n'
    text += 'kind = "k"\nprovince = "p"\njoined_on = "j"\nname_key = "姓名"\n'
    with pytest.raises(WorkbenchError, match="Say pseudonym = true"):
        read(tmp_path, text)
