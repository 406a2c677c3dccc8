"""The SQL files of features and views: one part of SQL that means the same on every engine, and a description each."""

import re
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from workbench.errors import WorkbenchError
from workbench.warehouse import sqlfiles

ROOT = Path(__file__).resolve().parents[2]
LONG = sqlfiles.names(sqlfiles.LONG)
FILES = [name for folder in sqlfiles.FOLDERS if folder != sqlfiles.LONG for name in sqlfiles.names(folder)]
PORTABLE = {
    *("Sum", "Count", "Avg", "Min", "Max", "Filter", "RowNumber", "Lead", "Window", "Coalesce", "Nullif", "Case"),
    *("Cast", "Extract", "DateDiff", "DateTrunc", "TimestampTrunc", "Floor", "Round", "Greatest", "Least"),
    *("Substring", "Exists", "And", "Or", "If"),
}
CASTS = {"DATE", "DOUBLE", "INT", "BIGINT", "DECIMAL"}
UNFOLDS = {"Explode", "Anonymous", "Split", "Trim", "Cast", "TryCast"}  # what the long twins may do


def tree(name):
    return sqlglot.parse_one(sqlfiles.text(name), read="duckdb")


def functions(parsed):
    return {type(node).__name__ for node in parsed.find_all(exp.Func)}


@pytest.mark.parametrize("name", FILES)
def test_portable_subset(name):
    """A file parses, uses only what means the same on every engine, and renders without a warning for each."""
    parsed = tree(name)
    assert isinstance(parsed, exp.Query)
    assert functions(parsed) <= PORTABLE, f"{name}: {functions(parsed) - PORTABLE} is not in the portable subset"
    assert {c.to.this.name for c in parsed.find_all(exp.Cast)} <= CASTS
    assert {e.this.name.upper() for e in parsed.find_all(exp.Extract)} <= {"YEAR", "MONTH", "DAY", "HOUR"}
    assert {e.unit.name.upper() for e in parsed.find_all(exp.DateDiff)} <= {"DAY", "SECOND"}
    assert {i.unit.name.upper() for i in parsed.find_all(exp.Interval)} <= {"SECOND", "DAY", "MONTH"}
    assert all(i.this.is_string for i in parsed.find_all(exp.Interval))
    assert not list(parsed.find_all(exp.IntDiv, exp.Mod, exp.Lambda, exp.AtTimeZone, exp.Limit, exp.Qualify))
    for begun in parsed.find_all(
        exp.DateTrunc, exp.TimestampTrunc
    ):  # a date here, a timestamp or a date with a zone there
        assert begun.unit.name == "MONTH" and isinstance(begun.parent, exp.Cast) and begun.parent.to.this.name == "DATE"
    for division in parsed.find_all(exp.Div):
        assert not division.right.is_int or division.right.this != "0"
        assert not (division.right.is_number and "." in division.right.this), "a decimal: cast it to DOUBLE"
    assert not any(group.args.get("all") for group in parsed.find_all(exp.Group)), "GROUP BY ALL"
    assert not any(star.args.get("except_") or star.args.get("replace") for star in parsed.find_all(exp.Star))
    inner = [query for query in parsed.find_all(exp.Subquery) if isinstance(query.parent, exp.From | exp.Join)]
    assert all(query.alias for query in inner), "PostgreSQL 15 wants a name for each subquery"
    for dialect in ("duckdb", "spark", "postgres"):
        text = parsed.sql(dialect=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE, comments=False)
        assert isinstance(sqlglot.parse_one(text, read=dialect), exp.Query)


@pytest.mark.parametrize("name", LONG)
def test_long_twins(name):
    """A long twin only unfolds a column, and Spark can do it too; an engine without maps gets the twin as a table."""
    assert functions(tree(name)) <= UNFOLDS and not list(tree(name).find_all(exp.Placeholder))
    text = tree(name).sql(dialect="spark", unsupported_level=sqlglot.ErrorLevel.RAISE, comments=False)
    assert isinstance(sqlglot.parse_one(text, read="spark"), exp.Query)


@pytest.mark.parametrize("name", FILES)
def test_window_orders_are_complete(name):
    """Every numbering says where missing values go, as engines differ in it."""
    for window in tree(name).find_all(exp.Window):
        if isinstance(window.this, exp.RowNumber):
            keys = window.args["order"].expressions
            assert keys and all(key.args.get("nulls_first") is False for key in keys)
    assert sqlfiles.text(name).count("ROW_NUMBER()") <= sqlfiles.text(name).count("NULLS LAST")


@pytest.mark.parametrize("name", [*FILES, *LONG])
def test_header(name):
    """A header asks a question, says the grain, and names the parameters that the file has, and no other."""
    question, *rest = sqlfiles.notes(name)
    assert "?" in question and rest[0].startswith("Grain: one row a")
    said = re.search(r"Parameters: (.*?)\.(?: |$)", " ".join(rest))[1]
    named = {p.name for p in tree(name).find_all(exp.Placeholder)}
    read = {p.name for other in sqlfiles.with_what_they_read([name]) for p in tree(other).find_all(exp.Placeholder)}
    assert named <= set(re.findall(r"(\w+)(?: \(|$)", said)) - {"none"} == read
    assert [column for column, _, _ in sqlfiles.described(name)] in ([], tree(name).named_selects) or "features" in (
        sqlfiles._folders()[name]
    )


def test_every_file_is_found_once():
    """Every SQL file of the package has a name of its own and stands in a folder that is read."""
    found = [file.stem for file in (ROOT / "src/workbench/warehouse").rglob("*.sql")]
    assert sorted(found) == sorted([*FILES, *LONG])


def test_an_unknown_file_is_refused():
    """The nearest name is suggested."""
    with pytest.raises(WorkbenchError, match=r"Did you mean 'province_month'"):
        sqlfiles.text("province_months")
