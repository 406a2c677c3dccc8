"""The canonical tables, their dictionary, and what the rest relies on."""

from pathlib import Path

import duckdb
import pytest

from workbench.errors import WorkbenchError
from workbench.warehouse import schema
from workbench.warehouse.dictionary import describe, dictionary_markdown

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("page", "language"), [("README.md", "en"), ("README.zh.md", "zh")])
def test_dictionary_in_the_repository_is_the_one_of_the_schema(page, language):
    """Both pages are what dictionary_markdown() says today."""
    assert (ROOT / "data" / page).read_text(encoding="utf-8") == dictionary_markdown(language)


def test_rules_are_said_in_chinese():
    """Names and codes stay; a rule, a unit and a meaning are said."""
    told = describe("bill", "zh").set_index("column").loc[["bill_id", "customer_id", "discount"]]
    assert told["rules"].tolist() == [
        "不得缺失；不得重复",
        "不得缺失；须在customer.customer_id中",
        "不得缺失；0至10000000",
    ]
    assert told["unit"].tolist() == ["", "", "货币单位"] and told.loc["bill_id", "meaning"] == "账单编号。"


def test_every_column_has_a_meaning_and_every_number_of_money_or_size_a_unit():
    """The dictionary leaves no column unexplained, and no double without a unit."""
    for name in schema.tables():
        frame = describe(name)
        assert (frame["meaning"].str.len() > 3).all(), name
        assert (frame.loc[frame["type"] == "double", "unit"] != "").all(), name


def test_parents_come_before_children():
    """Ingest fills tables in the schema's order, so a relationship must point backwards."""
    seen = []
    for table in schema.tables().values():
        for column in table.columns:
            assert column.relationships is None or column.relationships[0] in seen, (table.name, column.name)
        seen.append(table.name)


def test_unique_column_is_the_key():
    """Ingest lets each key stand once; a unique column beside the key would not be checked."""
    for table in schema.tables().values():
        assert all(table.key == (c.name,) for c in table.columns if c.unique), table.name


def test_only_detail_records_have_no_key():
    """The one table without a key is the one stored by month."""
    assert [t.name for t in schema.tables().values() if not t.key] == ["detail_record"]


def test_ddl_makes_each_table():
    """DuckDB accepts every table's definition, columns in order."""
    with duckdb.connect() as con:
        for table in schema.tables().values():
            con.execute(table.ddl())
            columns = [row[0] for row in con.execute(f"DESCRIBE {table.name}").fetchall()]
            assert columns == [c.name for c in table.columns]


def test_unknown_table_is_refused_with_the_nearest_name():
    """A mistyped table is told the name that was meant."""
    with pytest.raises(WorkbenchError, match="Did you mean 'customer'"):
        describe("custmer")
