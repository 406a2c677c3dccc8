"""How is data that decides read? Rules from TOML into what they make, proved; and conditions that people write.

A condition is text from people: its syntax tree, as DuckDB gives it, is walked, and what is not allowed is refused. It
may hold columns, constants, comparisons, and / or / not, arithmetic and `FUNCTIONS`; what runs is written anew from
the tree.
"""

from __future__ import annotations

import inspect
import json
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from workbench.columns import kind, number
from workbench.errors import WorkbenchError, require_columns, unknown
from workbench.messages import Message, Word, as_message, say

Made = TypeVar("Made")
FUNCTIONS = ("abs", "ceil", "coalesce", "floor", "greatest", "least", "round")
_ARITHMETIC = ("+", "-", "*", "/", "%")
_DIVIDES = ("/", "%")
_PASSES = ("greatest", "least")  # over a missing value, in DuckDB; elsewhere, and here, the whole is missing
_OPERATORS = ("OPERATOR_NOT", "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL", "COMPARE_IN", "COMPARE_NOT_IN")
_CONDITIONS = ("COMPARISON", "CONJUNCTION", "BETWEEN", "OPERATOR")
_NAMES = {"SUBQUERY": "a subquery", "PARAMETER": "a parameter", "CAST": "a cast", "STAR": "*", "LAMBDA": "a lambda"}


def read_rules(path: str | Path | None, package: str | None, shipped: str, make: Callable[..., Made]) -> Made:
    """Make something of what a TOML file holds; without a path of the one that ships in a package.

    Raises
    ------
    WorkbenchError
        If the file is absent or no TOML in UTF-8, has an unknown key (the nearest is suggested) or lacks one.
    """
    place = Path(path) if path else resources.files(str(package)).joinpath(shipped)
    try:
        return made(make, tomllib.loads(place.read_text(encoding="utf-8")), str(path or shipped))
    except (OSError, TypeError, ValueError) as error:
        raise WorkbenchError("can't use {file}: {error}. Its form is that of {shipped}.").of(
            path or shipped, error, shipped
        ) from None


def made(make: Callable[..., Made], entry: Mapping[str, Any], where: str) -> Made:
    """Give the keys of a table of TOML to what is made of it, lists as tuples."""
    takes = inspect.signature(make).parameters
    if strange := [key for key in entry if key not in takes]:
        raise unknown("key", strange[0], takes, where)
    if lacks := [key for key, one in takes.items() if one.default is one.empty and key not in entry]:
        raise WorkbenchError("{where} lacks {names}.").of(where, lacks)
    return make(**{key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()})


def prove(where: str, rules: Mapping[str, object]) -> None:
    """Refuse data under rules of which one does not hold."""
    if broken := [rule for rule, holds in rules.items() if not holds]:
        raise WorkbenchError("{text}.").of(as_message(broken[0]), at=as_message(where))


def prove_parted(held: Iterable[tuple[str, Iterable[str]]], cells: Collection[str], where: str, holder: str) -> None:
    """Refuse what does not hold each cell exactly once: a gap, or an overlap.

    Parameters
    ----------
    held : iterable of (name, cells)
    cells : collection of str
        All there are.
    where, holder : str
        The file, and what a holder is called, for messages.
    """
    by: dict[str, list[str]] = {cell: [] for cell in cells}
    for name, theirs in held:
        for cell in theirs:
            if cell not in by:
                raise unknown("cell", cell, cells, where)
            by[cell].append(name)
    if gap := [cell for cell, names in by.items() if not names]:
        raise WorkbenchError("{where} has a gap: no {holder} holds {names}. Add what is missing.").of(
            where, Word(holder), gap
        )
    if twice := [cell for cell, names in by.items() if len(names) > 1]:
        raise WorkbenchError("{where} has an overlap: {holders} hold {names}. Keep one for each.").of(
            where, dict.fromkeys(by[twice[0]]), twice
        )


def syntax_tree(con: duckdb.DuckDBPyConnection, statement: str) -> dict[str, Any] | None:
    """Give DuckDB's syntax tree of statements that read; None where there is another, or none."""
    parsed = json.loads(con.execute("SELECT json_serialize_sql(?::VARCHAR)", [statement]).fetchall()[0][0])
    return None if parsed["error"] else parsed


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every node of a syntax tree, parents first."""
    if isinstance(tree, dict):
        yield tree
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from nodes(inner)


@dataclass(frozen=True)
class Condition:
    """A condition on one row: proved to hold nothing but what is allowed.

    Attributes
    ----------
    text : str
        As a person wrote it.
    columns : tuple of str
        Columns and named constants that it reads, in the order of the text.
    tree : str
        DuckDB's syntax tree of a SELECT of it, as JSON.
    """

    text: str
    columns: tuple[str, ...]
    tree: str = field(repr=False)

    def sql(self, constants: Mapping[str, float] | None = None) -> str:
        """Write it as SQL from its tree, constants filled in; dividing by 0, or a missing least, is missing."""
        with _parser().cursor() as con:
            return self._written(con, constants or {}, {})

    def _written(self, con: duckdb.DuckDBPyConnection, constants: Mapping[str, float], names: Mapping[str, str]) -> str:
        tree = json.loads(self.tree)
        for node in list(nodes(tree)):
            if node.get("class") == "FUNCTION" and node["function_name"] in _DIVIDES:
                wrapped = json.loads(_selected("NULLIF(divisor, 0)"))
                inner = next(n for n in nodes(wrapped) if n.get("column_names") == ["divisor"])
                held = (node["arguments"][1], "expression") if "arguments" in node else (node["children"], 1)  # <2.0
                divisor = held[0][held[1]]
                held[0][held[1]] = wrapped
                inner.clear()
                inner.update(divisor)
        for node in [n for n in nodes(tree) if n.get("class") == "FUNCTION" and n["function_name"].lower() in _PASSES][
            ::-1
        ]:
            given = node["arguments"] if "arguments" in node else node["children"]  # <2.0
            values = [one.get("expression", one) for one in given]
            whole = json.loads(
                _selected(
                    f"CASE WHEN {' OR '.join(f'a{k} IS NULL' for k in range(len(values)))} THEN NULL ELSE whole END"
                )
            )
            filled = {f"a{k}": value for k, value in enumerate(values)} | {"whole": dict(node)}
            for place in [n for n in nodes(whole) if n.get("class") == "COLUMN_REF"]:
                value = deepcopy(filled[place["column_names"][0]])
                place.clear()
                place.update(value)
            node.clear()
            node.update(whole)
        for node in nodes(tree):
            if node.get("class") == "COLUMN_REF":
                (name,) = node["column_names"]
                if name in constants:
                    node.clear()
                    node.update(json.loads(_selected(repr(float(constants[name])))))
                else:
                    node["column_names"] = [names.get(name, name)]
        (text,) = con.execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(tree)]).fetchall()[0]
        return str(text).removeprefix("SELECT ").replace('"nullif"(', "NULLIF(")


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"enable_external_access": "false"})


@lru_cache(maxsize=1_000)
def _selected(sql: str) -> str:
    """The syntax tree of an expression of ours, as JSON."""
    with _parser().cursor() as con:
        tree = syntax_tree(con, f"SELECT {sql}")
    assert tree is not None, "it reads"
    return json.dumps(tree["statements"][0]["node"]["select_list"][0])


def condition(text: object, where: str, columns: Collection[str] | None = None) -> Condition:
    """Read a condition that a person wrote.

    Parameters
    ----------
    text : str
        One SQL condition on columns of one row: ``"numbers >= threshold and calls_per_number < 1.3"``.
    where : str
        For messages.
    columns : collection of str, optional
        Names that it may use; any if None.

    Raises
    ------
    WorkbenchError
        If it is no condition, more than one expression, uses a column that does not exist (the nearest is suggested),
        or anything beyond columns, constants, comparisons, and / or / not, arithmetic and `FUNCTIONS`.

    Examples
    --------
    >>> condition("a / b >= 2", "rule 'x'").columns
    ('a', 'b')
    >>> condition("a > (select 1)", "rule 'x'")
    Traceback (most recent call last):
    workbench.errors.WorkbenchError: rule 'x': a condition has no subquery. ...
    """
    if not isinstance(text, str) or not text.strip():
        raise WorkbenchError('the expression is a text such as "numbers >= 100", not {value}.').of(repr(text), at=where)
    with _parser().cursor() as con:
        tree, plain = syntax_tree(con, f"SELECT (\n{text}\n)"), syntax_tree(con, "SELECT 1")
    assert plain is not None, "it reads"
    selects = [one["node"] for one in tree["statements"]] if tree else []
    if [_frame(node) for node in selects] != [_frame(plain["statements"][0]["node"])]:
        raise WorkbenchError("'{text}' is not one expression. Write one condition (and, or, not), no ; or SELECT.").of(
            text, at=where
        )
    (root,) = selects[0]["select_list"]
    _require_condition(root, where)
    used = tuple(dict.fromkeys(_columns(root, where)))
    if strange := [name for name in used if columns is not None and name not in columns]:
        raise unknown("column", strange[0], [] if columns is None else list(columns), where)
    return Condition(text, used, json.dumps(tree))


def _frame(select: Mapping[str, Any]) -> dict[str, Any]:
    """All of a SELECT but what is selected, and where in the text it stands."""
    parts = {name: part for name, part in select.items() if name != "select_list"} | {"n": len(select["select_list"])}
    parts["from_table"] = select["from_table"]["type"]
    return parts


def _require_condition(node: Mapping[str, Any], where: str) -> None:
    """Refuse what is a number or a text where true or false is asked for."""
    if node["class"] == "CONJUNCTION" or node["type"] == "OPERATOR_NOT":
        for child in node["children"]:
            _require_condition(child, where)
    elif node["class"] not in (*_CONDITIONS, "COLUMN_REF") and (node["class"] in ("FUNCTION", "CONSTANT")):
        raise WorkbenchError("a number or text stands where a condition should. Compare it: x >= 3.").of(at=where)


def _columns(node: Mapping[str, Any], where: str) -> Iterator[str]:
    """Names of the columns below a node; refuses a node that is not allowed."""
    form, kind_of = node["class"], node["type"]
    if form == "COLUMN_REF":
        if len(node["column_names"]) != 1:
            raise WorkbenchError("write the column '{column}' without a table before it.").of(
                node["column_names"][-1], at=where
            )
        yield node["column_names"][0]
    elif form == "FUNCTION" or kind_of == "OPERATOR_COALESCE":
        name = str(node.get("function_name", "coalesce")).lower()
        plain = not (node.get("filter") or node.get("distinct") or node.get("schema") or node.get("catalog"))
        plain &= not node.get("order_bys", {}).get("orders")
        if not plain or name not in (_ARITHMETIC if node.get("is_operator") else FUNCTIONS):
            function, operator = say("function {name}()", name=name), say("operator {name}", name=name)
            _refuse(function if name.isidentifier() else operator, where)
        for argument in node.get("arguments", ()):
            yield from _columns(argument["expression"], where)
        for child in node.get("children", ()):
            yield from _columns(child, where)
    elif form in _CONDITIONS and (form != "OPERATOR" or kind_of in _OPERATORS):
        inner = [node[side] for side in ("left", "right", "input", "lower", "upper") if side in node]
        for child in (*inner, *node.get("children", ())):
            yield from _columns(child, where)
    elif form != "CONSTANT":
        _refuse(as_message(_NAMES.get(form, form.lower()).removeprefix("a ")), where)


def _refuse(what: Message, where: str) -> NoReturn:
    raise WorkbenchError(
        "a condition has no {what}. It takes columns, constants, comparisons, and / or / not, + - * / % and "
        "{functions}."
    ).of(what, ", ".join(FUNCTIONS), at=where)


def judge(
    conditions: Mapping[str, tuple[Condition, Mapping[str, float]]], table: pd.DataFrame, name: str
) -> dict[str, np.ndarray]:
    """Tell for each condition which rows meet it: 1 true, 0 false, -1 unknown, for a value that is missing.

    Parameters
    ----------
    conditions : mapping of str to (Condition, mapping of str to float)
        Each with its named constants.
    table : DataFrame, n rows
        Numbers of any dtype, booleans, texts; a column may have any name.
    name : str
        Of the table, for messages.

    Returns
    -------
    dict of str to ndarray of int8, shape (n,)

    Raises
    ------
    WorkbenchError
        If a column is missing, or compared with what it is not.
    """
    used = {c for one, given in conditions.values() for c in one.columns if c not in given}
    for rule, (one, given) in conditions.items():
        if strange := [c for c in one.columns if c not in given and c not in table.columns]:
            whose = say("{name}, which {rule} reads", name=Word(name), rule=as_message(rule))
            raise unknown("column", strange[0], [str(c) for c in table.columns], whose)
    require_columns(table, sorted(used), name)
    names = {column: f"c{at}" for at, column in enumerate(sorted(used))}
    data = {"row_": np.arange(len(table))} | {names[c]: _column(table[c], c) for c in names}
    with _parser().cursor() as con:
        con.register("given", pa.table(data))
        found: dict[str, np.ndarray] = {}
        for rule, (one, given) in conditions.items():
            met = f"CAST({one._written(con, given, names)} AS BOOLEAN)"
            try:
                rows = con.execute(f"SELECT COALESCE(CAST({met} AS TINYINT), -1) AS met FROM given")
                found[rule] = rows.fetchnumpy()["met"]  # rows keep their order: preserve_insertion_order
            except duckdb.Error as error:
                why = str(error).splitlines()[0].partition(": ")[2]
                raise WorkbenchError("{rule} does not work on {name}: {why}").of(
                    as_message(rule), Word(name), why
                ) from None
    return found


def _column(column: pd.Series, name: str) -> pa.Array:
    if kind(column, name) == "number":
        if pd.api.types.is_integer_dtype(column) and (column.dropna().abs() > 2**53).any():  # no float holds these
            return pa.array(column.astype(object).where(column.notna(), None).tolist(), from_pandas=True)
        return pa.array(number(column, name, missing="keep"), from_pandas=True)
    return pa.array(column.astype(object).where(column.notna(), None), type=pa.string())
