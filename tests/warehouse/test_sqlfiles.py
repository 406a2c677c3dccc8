"""The SQL files of features and views: one part of SQL that means the same on every engine, and a description each."""

import re
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from workbench.errors import WorkbenchError
from workbench.warehouse import sqlfiles
from workbench.warehouse.engines.portable import faults, require_portable

ROOT = Path(__file__).resolve().parents[2]
LONG = sqlfiles.names(sqlfiles.LONG)
FILES = [name for folder in sqlfiles.FOLDERS if folder != sqlfiles.LONG for name in sqlfiles.names(folder)]
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
    assert not [node.sql(dialect="duckdb") for node in faults(parsed)]
    inner = (query for query in parsed.find_all(exp.Subquery) if isinstance(query.parent, exp.From | exp.Join))
    assert all(query.alias for query in inner), "PostgreSQL 15 wants a subquery named"
    assert sqlfiles.text(name).count("ROW_NUMBER()") <= sqlfiles.text(name).count("NULLS LAST")
    for dialect in ("duckdb", "spark", "postgres"):
        text = parsed.sql(dialect=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE, comments=False)
        assert isinstance(sqlglot.parse_one(text, read=dialect), exp.Query)


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("SELECT a, count(*) FROM t GROUP BY ALL", "GROUP BY ALL"),
        ("SELECT map_keys(m) FROM t", "MAP_KEYS(m)"),
        ("SELECT m['x'] FROM t", "m['x']"),
        ("SELECT CAST(a AS MAP(VARCHAR, DOUBLE)) FROM t", "CAST(a AS MAP(TEXT, DOUBLE))"),
        ("SELECT * EXCLUDE (a) FROM t", "* EXCLUDE (a)"),
        ("SELECT a + to_months(3) FROM t", "TO_MONTHS(3)"),
        ("SELECT a + INTERVAL (n) DAY FROM t", "INTERVAL (n) DAY"),
        ("SELECT a / 30.4375 FROM t", "a / 30.4375"),
        ("SELECT 0.5 * a / b FROM t", "0.5 * a / b"),
        ("SELECT CAST(ended_on - joined_on AS DOUBLE) FROM t", "ended_on - joined_on"),
        (
            "SELECT CAST($as_of AS DATE) - CAST(opened_at AS DATE) FROM t",
            "CAST($as_of AS DATE) - CAST(opened_at AS DATE)",
        ),
        ("SELECT row_number() OVER (PARTITION BY a) FROM t", "ROW_NUMBER() OVER (PARTITION BY a)"),
        ("SELECT a + INTERVAL '1' MONTH AS b, a + INTERVAL '1' DAY AS c FROM t", "a + INTERVAL '1' DAY"),
        ("SELECT DISTINCT ON (a) a, b FROM t", "DISTINCT ON (a)"),
        ("SELECT arg_max(a, b) FROM t", "ARG_MAX(a, b)"),
        ("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM t", "QUANTILE_CONT(0.5)"),
        ("SELECT date_diff('month', a, b) FROM t", "DATE_DIFF('MONTH', a, b)"),
        ("SELECT a // 2 FROM t", "a // 2"),
        ("SELECT EXTRACT(DOW FROM a) FROM t", "EXTRACT(DAYOFWEEK FROM a)"),
        ("SELECT TRY_CAST(a AS DOUBLE) FROM t", "TRY_CAST(a AS DOUBLE)"),
        ("SELECT a FROM t LIMIT 1", "LIMIT 1"),
    ],
)
def test_what_is_not_portable_is_found(sql, fault):
    found = [node.sql(dialect="duckdb").strip() for node in faults(sqlglot.parse_one(sql, read="duckdb"))]
    assert fault in found, found


def test_a_query_of_a_user_is_held_to_it():
    """What another engine may answer otherwise is named, with its line; what is portable passes."""
    for sql, said in (
        ("SELECT a,\n  count(*) AS n,\n  date_diff('month', b, c)\nFROM t", r"line 3 of .*DATE_DIFF\('MONTH', b, c\)"),
        ("SELECT a,\n list_sum(b)\nFROM t", r"line 2 .*LIST_SUM\(b\)"),
        ("SELECT\na // 2\nFROM t", "line 2 .*a // 2 does not mean the same"),
    ):
        with pytest.raises(WorkbenchError, match=said):
            require_portable(sql)
    require_portable("SELECT c.a, sum(b.x) AS paid FROM (SELECT * FROM customer) AS c JOIN b USING (a) GROUP BY 1")


@pytest.mark.parametrize("name", LONG)
def test_long_twins(name):
    """A long twin only unfolds a column, and Spark can do it too; an engine without maps gets the twin as a table."""
    assert functions(tree(name)) <= UNFOLDS and not list(tree(name).find_all(exp.Placeholder))
    text = tree(name).sql(dialect="spark", unsupported_level=sqlglot.ErrorLevel.RAISE, comments=False)
    assert isinstance(sqlglot.parse_one(text, read="spark"), exp.Query)


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
