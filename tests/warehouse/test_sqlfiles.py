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
PARTS, SPANS = {"YEAR", "MONTH", "DAY", "HOUR"}, {"SECOND", "DAY", "MONTH"}
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
    assert not list(faults(parsed))
    assert sqlfiles.text(name).count("ROW_NUMBER()") <= sqlfiles.text(name).count("NULLS LAST")
    for dialect in ("duckdb", "spark", "postgres"):
        text = parsed.sql(dialect=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE, comments=False)
        assert isinstance(sqlglot.parse_one(text, read=dialect), exp.Query)


def faults(parsed):
    """Say what of a statement does not mean the same on every engine."""
    yield from (f"{name} is not in the portable subset" for name in functions(parsed) - PORTABLE)
    yield from (f"a cast to {c.to.sql()}" for c in parsed.find_all(exp.Cast) if c.to.this.name not in CASTS)
    for kind, units in ((exp.Extract, PARTS), (exp.DateDiff, {"DAY", "SECOND"}), (exp.Interval, SPANS)):
        for node in parsed.find_all(kind):
            unit = (node.this if kind is exp.Extract else node.unit).name.upper()
            if unit not in units:
                yield f"{kind.__name__} by {unit}"
    for node in parsed.find_all(exp.Interval):
        if not node.this.is_string:
            yield "an interval without quotes"
    for node in parsed.find_all(
        exp.IntDiv, exp.Mod, exp.Lambda, exp.AtTimeZone, exp.Limit, exp.Qualify, exp.Bracket, exp.Distinct
    ):
        if not (isinstance(node, exp.Distinct) and not node.args.get("on")):
            yield type(node).__name__
    for node in parsed.find_all(exp.DateTrunc, exp.TimestampTrunc):  # a date here, a timestamp or one with a zone there
        outer = node.parent
        if node.unit.name != "MONTH" or not isinstance(outer, exp.Cast) or outer.to.this.name != "DATE":
            yield "DATE_TRUNC but to a month and cast to DATE"
    for node in parsed.find_all(exp.Div):
        if node.right.is_int and node.right.this == "0":
            yield "a division by 0"
        if any(n.is_number and "." in n.name for side in (node.left, node.right) for n in bare(side)):
            yield "a decimal beside a division: cast it to DOUBLE"
    for node in parsed.find_all(exp.Sub):
        if is_day(node.right):
            yield "a day less a day is a number here and an interval there: DATE_DIFF"
    for select in parsed.find_all(exp.Select):  # DuckDB 1.5 takes 30 days for a month in common expressions
        added = {}
        for node in (n for n in select.find_all(exp.Add, exp.Sub) if n.find_ancestor(exp.Select) is select):
            for span in node.expression.find_all(exp.Interval):
                added.setdefault((type(node), node.this.sql()), set()).add(span.unit.name)
        if any(len(units) > 1 for units in added.values()):
            yield "days and months added to one day"
    if any(group.args.get("all") for group in parsed.find_all(exp.Group)):
        yield "GROUP BY ALL"
    if any(star.args.get("except_") or star.args.get("replace") for star in parsed.find_all(exp.Star)):
        yield "* EXCLUDE"
    inner = (query for query in parsed.find_all(exp.Subquery) if isinstance(query.parent, exp.From | exp.Join))
    yield from ("a subquery without a name" for query in inner if not query.alias)
    for window in parsed.find_all(exp.Window):
        if isinstance(window.this, exp.RowNumber) and not window.args.get("order"):
            yield "a numbering without an order"


def bare(node):
    """Numbers of a factor that no cast makes DOUBLE."""
    if isinstance(node, exp.Mul | exp.Div | exp.Paren | exp.Neg):
        return [n for child in node.iter_expressions() for n in bare(child)]
    return [node]


def is_day(node):
    """Whether a value is a day or a moment, by its name or its cast."""
    if isinstance(node, exp.Paren):
        return is_day(node.this)
    if isinstance(node, exp.Cast):
        return node.to.this.name in ("DATE", "TIMESTAMP")
    return isinstance(node, exp.Column) and (node.name.endswith(("_on", "_at")) or node.name in ("month", "day"))


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("SELECT a, count(*) FROM t GROUP BY ALL", "GROUP BY ALL"),
        ("SELECT map_keys(m) FROM t", "not in the portable subset"),
        ("SELECT m['x'] FROM t", "Bracket"),
        ("SELECT CAST(a AS MAP(VARCHAR, DOUBLE)) FROM t", "a cast to MAP"),
        ("SELECT * EXCLUDE (a) FROM t", "EXCLUDE"),
        ("SELECT a + to_months(3) FROM t", "portable subset|Interval|interval"),
        ("SELECT a / 30.4375 FROM t", "decimal beside a division"),
        ("SELECT 0.5 * a / b FROM t", "decimal beside a division"),
        ("SELECT CAST(ended_on - joined_on AS DOUBLE) FROM t", "a day less a day"),
        ("SELECT CAST($as_of AS DATE) - CAST(opened_at AS DATE) FROM t", "a day less a day"),
        ("SELECT a FROM (SELECT 1 AS a)", "without a name"),
        ("SELECT row_number() OVER (PARTITION BY a) FROM t", "numbering without an order"),
        ("SELECT a + INTERVAL '1' MONTH AS b, a + INTERVAL '1' DAY * $n AS c FROM t", "days and months"),
        ("SELECT DISTINCT ON (a) a, b FROM t", "Distinct"),
        ("SELECT arg_max(a, b) FROM t", "portable subset"),
        ("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM t", "portable subset"),
        ("SELECT date_diff('month', a, b) FROM t", "DateDiff by MONTH"),
        ("SELECT a // 2 FROM t", "IntDiv"),
        ("SELECT EXTRACT(DOW FROM a) FROM t", "Extract by"),
        ("SELECT TRY_CAST(a AS DOUBLE) FROM t", "portable subset"),
        ("SELECT a FROM t LIMIT 1", "Limit"),
    ],
)
def test_what_is_not_portable_is_found(sql, fault):
    found = list(faults(sqlglot.parse_one(sql, read="duckdb")))
    assert any(re.search(fault, each) for each in found), found


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
