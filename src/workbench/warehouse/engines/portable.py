"""Which part of SQL means the same on every engine? Our files keep to it, and so do queries of users.

sqlglot says the rest in other words, without a warning that the answer is another: months between days, decimals beside
a division, days of the week.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlglot import exp

from workbench.errors import WorkbenchError
from workbench.warehouse.engines.render import parsed

FUNCTIONS = {
    *("Sum", "Count", "Avg", "Min", "Max", "Filter", "RowNumber", "Lead", "Window", "Coalesce", "Nullif", "Case"),
    *("Cast", "Extract", "DateDiff", "DateTrunc", "TimestampTrunc", "Floor", "Round", "Greatest", "Least"),
    *("Substring", "Exists", "And", "Or", "If", "Pow"),
}
_CASTS = {"DATE", "DOUBLE", "INT", "BIGINT", "DECIMAL"}
_PARTS, _APART, _SPANS = {"YEAR", "MONTH", "DAY", "HOUR"}, {"DAY", "SECOND"}, {"SECOND", "DAY", "MONTH"}
_NEVER = (exp.IntDiv, exp.Mod, exp.Lambda, exp.AtTimeZone, exp.Limit, exp.Qualify, exp.Bracket)


def require_portable(sql: str) -> None:
    """Refuse a query that another engine may answer otherwise; name what of it, and the line.

    Raises
    ------
    WorkbenchError
        If it can't be read, or has a function or an expression that does not mean the same
        everywhere.
    """
    for node in faults(parsed(sql)):
        line = min((n.meta["line"] for n in node.walk() if "line" in n.meta), default=1)
        raise WorkbenchError(
            "line {line} of the query: {text} does not mean the same on every engine. docs/features.md says what does."
        ).of(line, node.sql(dialect="duckdb", comments=False)[:80])


def faults(tree: Any) -> Iterator[Any]:
    """Give what of a statement does not mean the same on every engine."""
    yield from (node for node in tree.find_all(exp.Func) if type(node).__name__ not in FUNCTIONS)
    yield from (cast for cast in tree.find_all(exp.Cast) if cast.to.this.name not in _CASTS)
    for kind, units in ((exp.Extract, _PARTS), (exp.DateDiff, _APART), (exp.Interval, _SPANS)):
        for node in tree.find_all(kind):
            unit = node.this if kind is exp.Extract else node.args.get("unit")
            if unit is None or unit.name.upper() not in units:
                yield node
    yield from (span for span in tree.find_all(exp.Interval) if not span.this.is_string)
    yield from (*tree.find_all(*_NEVER), *(node for node in tree.find_all(exp.Distinct) if node.args.get("on")))
    for node in tree.find_all(exp.DateTrunc, exp.TimestampTrunc):  # a date here, a timestamp or one with a zone there
        outer = node.parent
        if node.unit.name != "MONTH" or not isinstance(outer, exp.Cast) or outer.to.this.name != "DATE":
            yield node
    for node in tree.find_all(exp.Div):
        by_nothing = node.right.is_int and node.right.this == "0"
        if by_nothing or any(n.is_number and "." in n.name for side in (node.left, node.right) for n in _bare(side)):
            yield node
    yield from (node for node in tree.find_all(exp.Sub) if _is_day(node.right))  # a number here, an interval there
    for select in tree.find_all(exp.Select):  # DuckDB 1.5 takes 30 days for a month in common expressions
        added: dict[tuple[type, str], set[str]] = {}
        for node in (n for n in select.find_all(exp.Add, exp.Sub) if n.find_ancestor(exp.Select) is select):
            units = added.setdefault((type(node), node.this.sql()), set())
            units |= {span.unit.name for span in node.expression.find_all(exp.Interval)}
            if len(units) > 1:
                yield node
    yield from (group for group in tree.find_all(exp.Group) if group.args.get("all"))
    yield from (star for star in tree.find_all(exp.Star) if star.args.get("except_") or star.args.get("replace"))
    for window in tree.find_all(exp.Window):
        if isinstance(window.this, exp.RowNumber) and not window.args.get("order"):
            yield window


def _bare(node: Any) -> list[Any]:
    """Numbers of a factor that no cast makes DOUBLE."""
    if isinstance(node, exp.Mul | exp.Div | exp.Paren | exp.Neg):
        return [n for child in node.iter_expressions() for n in _bare(child)]
    return [node]


def _is_day(node: Any) -> bool:
    """Whether a value is a day or a moment, by its name or its cast."""
    if isinstance(node, exp.Paren | exp.Cast):
        return _is_day(node.this) if isinstance(node, exp.Paren) else node.to.this.name in ("DATE", "TIMESTAMP")
    return isinstance(node, exp.Column) and (node.name.endswith(("_on", "_at")) or node.name in ("month", "day"))
