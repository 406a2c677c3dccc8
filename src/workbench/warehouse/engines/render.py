"""How is a composed query said to another engine? One statement after another, each as a table or view of its name.

Our own engine runs a composed query as it stands. PostgreSQL plans a long one badly, and Spark knows no nested names of
one text. So each common table expression of the top becomes a table or view with a name of its own, and the rest is the
last statement. What changes is the words, not the meaning: files keep to the part of SQL that is the same on all
engines (`docs/features.md`), and parameters become literals, as a view can't take any.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from workbench.errors import WorkbenchError
from workbench.messages import say

Work = Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(frozen=True)
class RenderedStep:
    """A table or view on the way to the answer.

    Attributes
    ----------
    name : str
        Under which later steps read it; the same for the same text, so that what stands is not made again.
    select : str
        What it holds, in the engine's words.
    kept : bool
        Whether it is computed once, and not each time it is read.
    """

    name: str
    select: str
    kept: bool


@dataclass(frozen=True)
class Rendered:
    """The steps of a query in order, and the statement that gives the answer."""

    steps: tuple[RenderedStep, ...]
    last: str


def rendered(sql: str, parameters: Sequence | Mapping, dialect: str) -> Rendered:
    """Say a query of ours in the words of an engine.

    Parameters
    ----------
    sql : str
        A SELECT as our own engine takes it.
    parameters : Sequence or Mapping
        Values of `?` in order, or of `$name` by name: texts, numbers, days, moments, booleans, None.
    dialect : {'postgres', 'spark'}

    Raises
    ------
    WorkbenchError
        If sqlglot is not installed, the text is no single SELECT, a parameter is missing, or a
        word means another thing there.
    """
    tree = parsed(sql)
    from sqlglot import exp

    _put(tree, parameters, exp)
    _lift(tree, exp)
    _name_apart(tree, exp)
    for number, inner in enumerate(tree.find_all(exp.Subquery)):  # which PostgreSQL 15 wants named
        if isinstance(inner.parent, exp.From | exp.Join) and not inner.alias:
            inner.set("alias", exp.TableAlias(this=exp.to_identifier(f"inner_{number}")))
    if dialect == "postgres":
        for split in list(tree.find_all(exp.Split)):
            split.replace(exp.Anonymous(this="STRING_TO_ARRAY", expressions=[split.this, split.expression]))
    if dialect == "spark":  # which counts whole seconds that passed, where the others count those that began
        for apart in (d for d in tree.find_all(exp.DateDiff) if str(d.unit).upper() == "SECOND"):
            for side in ("this", "expression"):
                apart.set(side, exp.TimestampTrunc(this=apart.args[side], unit=exp.Var(this="SECOND")))
    steps: list[RenderedStep] = []
    names: dict[str, str] = {}
    above = tree.args.get("with_")
    for within in tree.find_all(exp.CTE) if dialect == "spark" else ():  # which has no word for it
        if within.parent is not above:
            within.set("materialized", None)
    for cte in above.expressions if above else ():
        _point(cte.this, names, exp)
        select = _text(cte.this, dialect)
        names[cte.alias] = f"wb_{cte.alias}_{hashlib.blake2b(select.encode(), digest_size=4).hexdigest()}"
        steps.append(RenderedStep(names[cte.alias], select, cte.args.get("materialized") is not False))
    tree.set("with_", None)
    _point(tree, names, exp)
    return Rendered(tuple(steps), _text(tree, dialect))


def parsed(sql: str) -> Any:
    """Read a SELECT of ours or of a user."""
    try:
        import sqlglot
        from sqlglot import exp
    except ModuleNotFoundError:
        raise lacking("sqlglot", "postgres") from None
    try:
        tree = sqlglot.parse_one(sql, read="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise WorkbenchError("the query can't be read: {why}").of(str(error).splitlines()[0]) from None
    if not isinstance(tree, exp.Query):
        raise WorkbenchError("the query is no single SELECT: {sql}").of(sql[:80])
    return tree


def _text(tree: Any, dialect: str) -> str:
    import sqlglot

    try:
        return tree.sql(dialect=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE, comments=False)
    except sqlglot.errors.UnsupportedError as error:
        raise WorkbenchError("{engine} can't say this: {why}").of(dialect, str(error)) from None


def _put(tree: Any, parameters: Sequence | Mapping, exp: Any) -> None:
    """Put the values of the parameters where they stand."""
    given = list(parameters) if not isinstance(parameters, Mapping) else []
    for place in list(tree.find_all(exp.Placeholder, exp.Parameter)):
        name = place.this if isinstance(place, exp.Placeholder) else place.name
        name = getattr(name, "name", name)
        if not given if not name else not isinstance(parameters, Mapping) or name not in parameters:
            asked = f"${name}" if name else "?"
            raise WorkbenchError("the query asks for {name}, which was not given").of(asked)
        place.replace(literal(parameters[name] if isinstance(parameters, Mapping) else given.pop(0), exp))


def literal(value: Any, exp: Any) -> Any:
    """A value as an expression."""
    if value is None:
        return exp.Null()
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, int):
        return exp.cast(exp.Literal.number(value), "bigint") if abs(value) >= 2**31 else exp.convert(value)
    if isinstance(value, float):
        return exp.cast(exp.Literal.string(repr(value)), "double")
    if isinstance(value, datetime):
        return exp.cast(exp.Literal.string(value.isoformat(" ")), "timestamp")
    if isinstance(value, date):
        return exp.cast(exp.Literal.string(value.isoformat()), "date")
    if isinstance(value, str):
        return exp.Literal.string(value)
    raise WorkbenchError("a {kind} can't be a parameter of a query").of(type(value).__name__)


def _lift(tree: Any, exp: Any) -> None:
    """Move the expressions of a query that reads one inner query alone to the top, where each becomes a step."""
    inner = tree.args["from_"].this if tree.args.get("from_") and not tree.args.get("joins") else None
    if not tree.args.get("with_") and isinstance(inner, exp.Subquery) and inner.this.args.get("with_"):
        tree.set("with_", inner.this.args["with_"].pop())


def _name_apart(tree: Any, exp: Any) -> None:
    """Give inner common table expressions names that stand once, as Spark sees them all at one height."""
    seen = {cte.alias for cte in tree.args["with_"].expressions} if tree.args.get("with_") else set()
    for within in list(tree.find_all(exp.With)):
        if within.parent is tree:
            continue
        for cte in within.expressions:
            old, number = cte.alias, 2
            if old in seen:
                while f"{old}_{number}" in seen:
                    number += 1
                _point(within.parent, {old: f"{old}_{number}"}, exp, within)
                cte.set("alias", exp.TableAlias(this=exp.to_identifier(f"{old}_{number}")))
            seen.add(cte.alias)


def _point(tree: Any, names: Mapping[str, str], exp: Any, own: Any = None) -> None:
    """Let a tree read tables under other names, but where an inner expression has the old name."""
    for table in list(tree.find_all(exp.Table)):
        if table.name not in names or table.args.get("db") or _is_inner(table, tree, own, exp):
            continue
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
        table.set("this", exp.to_identifier(names[table.name]))


def _is_inner(table: Any, tree: Any, own: Any, exp: Any) -> bool:
    """Whether a name is that of an expression between the table and the top of the tree."""
    node, below = table.parent, table
    while node is not None:
        within = node.args.get("with_") if isinstance(node, exp.Query) else None
        if within is not None and within is not own:
            before = within.expressions
            if isinstance(below, exp.With):  # among the expressions themselves, those that stand before
                index = next((i for i, cte in enumerate(before) if _holds(cte, table)), len(before))
                before = before[:index]
            if any(cte.alias == table.name for cte in before):
                return True
        if node is tree:
            return False
        node, below = node.parent, node
    return False


def _holds(tree: Any, node: Any) -> bool:
    while node is not None:
        if node is tree:
            return True
        node = node.parent
    return False


def lacking(package: str, extra: str) -> WorkbenchError:
    """Say which package an engine needs."""
    return WorkbenchError(
        say(
            "this engine needs {package}, which is not installed. Run: pip install 'telecom-workbench[{extra}]'",
            package=package,
            extra=extra,
        )
    )


def quoted(name: str, dialect: str) -> str:
    """A name as an engine writes it."""
    from sqlglot import exp

    return exp.to_identifier(name, quoted=True).sql(dialect=dialect)
