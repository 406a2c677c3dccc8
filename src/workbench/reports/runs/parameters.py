"""A notebook's parameters: declared once, in its own cell, and checked before anything runs.

The cell tagged `parameters` holds one annotated assignment a line::

    as_of: date = "2026-07-01"  # date: nothing that happened on or after this day is known
    top: float = 0.2  # share: the part of the customers that is called the top

Types are str, int, float, bool, date (as text "YYYY-MM-DD"), period (as text "2026-10", "2026Q4", "2026" or a day, and
over), secret (a reference, see `secrets`) and Literal[...] for a choice.
"""

from __future__ import annotations

import ast
import datetime as dt
import io
import json
import math
import re
import tokenize
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbench.errors import WorkbenchError
from workbench.messages import Message, Term, join, quoted, say, suggestion
from workbench.reports.runs import periods
from workbench.reports.runs.secrets import REFERENCE

LONGEST_TEXT = 1000
NEEDS = "needs"
"""The name in the parameters cell that says what the study needs: see the module `needs`."""
_TYPES: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "date": str,
    "period": str,
    "secret": str,
}
_COUNTED = {
    "cases",
    "clusters",
    "currency",
    "currency/min",
    "customers",
    "days",
    "items",
    "lines",
    "months",
    "permutations",
    "resamples",
    "respondents",
    "windows",
}
"""Units of what cannot be below 0."""
_RANGE = re.compile(r"(?<![\w.-])([0-9]{1,3}(?:\.[0-9]+)?)-([0-9]{1,3}(?:\.[0-9]+)?)(?![\w.-]*[0-9-])")
_LEAST = re.compile(r"(?<![\w.-])([0-9]{1,3}(?:\.[0-9]+)?) or more\b")
_BOOLS = {"true": True, "yes": True, "false": False, "no": False}
_EXPECTED = {
    "str": "text of one line",
    "int": "a whole number, such as 10",
    "float": "a number, such as 0.25",
    "bool": "true or false",
    "date": "a date as YYYY-MM-DD, such as 2026-07-01",
    "period": "a period, such as 2026-10",
    "secret": "a reference to a secret, env:NAME or file:PATH; its value never goes into a command or a file",
}

Value = str | int | float | bool
Needs = Mapping[str, Any]


@dataclass(frozen=True)
class Parameter:
    """One parameter as a notebook declares it.

    Attributes
    ----------
    name, type : str
        Name, and one of str, int, float, bool, date, period, secret.
    default : str, int, float or bool
        Value that holds when none is given; dates are text.
    unit, meaning : str
        From the comment ``# unit: meaning``.
    choices : tuple
        The legal values of a Literal; empty where any value of the type is legal.
    """

    name: str
    type: str
    default: Value
    unit: str = ""
    meaning: str = ""
    choices: tuple[Value, ...] = ()

    @property
    def range(self) -> tuple[float, float]:
        """Between which values a number lies, as its meaning says ("1-28", "1 or more") or its unit (shares, counts).

        >>> Parameter("day", "int", 15, "day", "of each month, 1-28").range
        (1.0, 28.0)
        >>> Parameter("windows", "int", 6, "windows", "how many, 1 or more").range
        (1.0, inf)
        >>> Parameter("discount", "float", 0.08, "share", "a year").range
        (0.0, 1.0)
        """
        if said := _RANGE.search(self.meaning):
            return float(said[1]), float(said[2])
        if said := _LEAST.search(self.meaning):
            return float(said[1]), math.inf
        ends = {"share": (0.0, 1.0), "seed": (0.0, 2.0**32 - 1)}
        return ends.get(self.unit, (0.0 if self.unit in _COUNTED else -math.inf, math.inf))

    def parse(self, text: str) -> Value:
        """Read a value from text by the declared type.

        >>> Parameter("area", "str", "").parse("010")
        '010'
        >>> Parameter("top", "float", 0.2).parse("0.25"), Parameter("wave", "int", 2025).parse("２０２６")
        (0.25, 2026)

        Raises
        ------
        WorkbenchError
            If the text is not of the type, or not one of the choices.
        """
        stripped = unicodedata.normalize("NFKC", text).strip()  # ２０２６ is a number, too
        if self.type == "str":
            value: Value | None = stripped if stripped in self.choices else text
        elif self.type == "bool":
            value = _BOOLS.get(stripped.lower())
        elif self.type == "int":
            value = int(stripped) if re.fullmatch(r"[+-]?[0-9]{1,18}", stripped) else None
        elif self.type == "float":
            number = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
            value = float(stripped) if re.fullmatch(number, stripped) else None
        else:
            value = stripped
        return self.check(value, shown=text)

    def check(self, value: Any, *, shown: object = None) -> Value:
        """Give a value back if it is legal, else refuse it."""
        shown = "text that is none" if self.type == "secret" else value if shown is None else shown
        if not self._fits(value):
            what: dict[str, Any] = {"name": self.name, "value": _short(shown), "expected": Term(_EXPECTED[self.type])}
            raise WorkbenchError(say("parameter '{name}' is {value}, but must be {expected}.", **what))
        if self.type == "period":
            try:
                value = periods.parse(value, today=dt.date.today()).label
            except WorkbenchError as error:
                raise WorkbenchError("parameter '{name}': {error}").of(self.name, error) from None
        if self.type in ("int", "float") and value != self.default:
            low, high = self.range
            if not low <= value <= high:
                what = {"name": self.name, "value": _short(shown), "low": f"{low:g}"}
                if math.isinf(high):
                    raise WorkbenchError(say("parameter '{name}' is {value}, but must be {low} or more.", **what))
                what["high"] = f"{high:.10g}"
                raise WorkbenchError(say("parameter '{name}' is {value}, but must lie from {low} to {high}.", **what))
        if self.choices and value not in self.choices:
            said = say("parameter '{name}' is {value}.", name=self.name, value=_short(shown))
            near = suggestion(str(value), map(str, self.choices))
            raise WorkbenchError(join(said, near, say("It must be one of: {legal}.", legal=quoted(self.choices))))
        return float(value) if self.type == "float" else value

    def _fits(self, value: Any) -> bool:
        if not isinstance(value, _TYPES[self.type]) or (isinstance(value, bool) and self.type != "bool"):
            return False
        if self.type == "float":
            return math.isfinite(value)
        if self.type == "date":
            return _is_date(value)
        if self.type == "secret" and value and not REFERENCE.fullmatch(value):
            return False
        if self.type in ("str", "secret"):
            return len(value) <= LONGEST_TEXT and not any(unicodedata.category(c) in ("Cc", "Cs") for c in value)
        return True


def read_source(notebook: str | bytes) -> list[dict[str, Any]]:
    """Give the cells of a notebook's JSON with `kind`, `source` and `tags`, without the notebook machinery.

    Raises
    ------
    WorkbenchError
        If the text is not a notebook of format 4.
    """
    try:
        cells = json.loads(notebook)["cells"]
        return [
            {
                "kind": cell["cell_type"],
                "source": "".join(cell["source"]),
                "tags": list(cell.get("metadata", {}).get("tags", [])),
            }
            for cell in cells
        ]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WorkbenchError("this is not a notebook of format 4. Save it again from JupyterLab.") from error


def declared(cells: Iterable[Mapping[str, Any]]) -> tuple[Parameter, ...]:
    """Read the declared parameters from the cell tagged `parameters`; none if there is no such cell.

    Raises
    ------
    WorkbenchError
        If a line is not ``name: type = default``, has an unknown type, or its default does not fit.
    """
    tagged = [cell["source"] for cell in cells if "parameters" in cell["tags"]]
    if len(tagged) > 1:
        raise WorkbenchError("two cells are tagged 'parameters'. Put all parameters in one.")
    return _parse_cell(tagged[0]) if tagged else ()


def declared_needs(cells: Iterable[Mapping[str, Any]]) -> Needs | None:
    """Read what a notebook says that it needs; None where it says nothing.

    Raises
    ------
    WorkbenchError
        If it is no dict, or names a table or column that does not exist.
    """
    for cell in cells:
        for statement in ast.parse(cell["source"]).body if "parameters" in cell["tags"] else ():
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == NEEDS:
                try:
                    return _checked_needs(ast.literal_eval(statement.value))
                except ValueError:
                    raise WorkbenchError("needs is computed. Write a plain dict of tables and columns.") from None
    return None


def resolve(parameters: Iterable[Parameter], given: Mapping[str, Any], *, study: str) -> dict[str, Value]:
    """Give every parameter its value: the given one, checked, or the default.

    Text is read by the declared type, whatever it looks like; other values must be of the type already.

    Raises
    ------
    WorkbenchError
        If a name is unknown (the nearest is suggested) or a value is ill-typed.
    """
    by_name = {p.name: p for p in parameters}
    for name in given:
        if name not in by_name:
            said = say("study '{study}' has no parameter {name}.", study=study, name=_short(name))
            raise WorkbenchError(join(said, suggestion(name, by_name), say("It has: {names}.", names=quoted(by_name))))
    values = {}
    for name, parameter in by_name.items():
        value = given.get(name, parameter.default)
        try:
            values[name] = parameter.parse(value) if isinstance(value, str) else parameter.check(value)
        except WorkbenchError as error:
            raise type(error)(say("study '{study}': {error}", study=study, error=error)) from None
    return values


def split_assignments(assignments: Iterable[str]) -> dict[str, str]:
    """Split ``name=value`` texts as the command line gives them.

    >>> split_assignments(["area=010", "note=a=b"])
    {'area': '010', 'note': 'a=b'}
    >>> split_assignments(["ｓｅｅｄ＝１"])
    {'seed': '１'}
    """
    given: dict[str, str] = {}
    for text in assignments:
        name, equals, value = text.partition("=") if "=" in text else text.partition("＝")
        name = unicodedata.normalize("NFKC", name).strip()
        if not equals or not name:
            raise WorkbenchError("parameter {text} is not of the form name=value, such as seed=1.").of(_short(text))
        if name in given:
            raise WorkbenchError("parameter '{name}' is given twice. Give one value.").of(name)
        given[name] = value
    return given


def as_code(values: Mapping[str, Value]) -> str:
    """Write values as the Python cell that is put behind the notebook's own; Chinese stays readable.

    >>> print(as_code({"province": "北京", "area": "010", "seed": 1}))
    # Parameters of this run
    province = "北京"
    area = "010"
    seed = 1
    """
    return "\n".join(["# Parameters of this run", *(f"{name} = {_literal(v)}" for name, v in values.items())])


def _literal(value: Value) -> str:
    if not isinstance(value, str):
        return repr(value)
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(
        _escaped(c) if unicodedata.category(c) in ("Cf", "Zl", "Zp", "Cs", "Co", "Cn") else c for c in quoted
    )


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _short(value: object) -> Message:
    text = "".join(c if c.isprintable() else "·" for c in str(value))
    if len(text) > 60:
        return say("'{text}…' ({n} characters)", text=text[:60], n=len(text))
    return say("'{name}'", name=text)


def _is_date(text: str) -> bool:
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _parse_cell(source: str) -> tuple[Parameter, ...]:
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise WorkbenchError("the parameters cell, line {line}, is not Python: {msg}.").of(
            str(error.lineno), error.msg
        ) from error
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {t.start[0]: t.string.lstrip("#").strip() for t in tokens if t.type == tokenize.COMMENT}
    parameters = [
        _parameter(s, comments.get(s.end_lineno or s.lineno, ""))
        for s in statements
        if not isinstance(s, (ast.Import, ast.ImportFrom))
        and not (isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == NEEDS)
    ]
    names = [p.name for p in parameters]
    for name in names:
        if names.count(name) > 1:
            raise WorkbenchError("the parameters cell declares '{name}' twice. Keep one.").of(name)
    return tuple(parameters)


def _parameter(statement: ast.stmt, comment: str) -> Parameter:
    where = say("the parameters cell, line {line},", line=str(statement.lineno))
    if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value):
        raise WorkbenchError("{where} is '{text}'. Write: name: type = default  # unit: meaning").of(
            where, ast.unparse(statement)[:60]
        )
    name = statement.target.id
    try:
        default = ast.literal_eval(statement.value)
    except ValueError:
        raise WorkbenchError("{where} gives '{name}' a default that is computed. Write a plain value.").of(
            where, name
        ) from None
    kind, choices = _type(statement.annotation, say("{where} gives '{name}'", where=where, name=name))
    unit, colon, meaning = comment.partition(":")
    if not colon:
        unit, meaning = "", comment
    parameter = Parameter(name, kind, default, unit.strip(), meaning.strip(), choices)
    try:
        return replace(parameter, default=parameter.check(default))
    except WorkbenchError as error:
        raise WorkbenchError("{where} has a default that does not fit: {error}").of(where, error) from None


def _type(annotation: ast.expr, where: Message) -> tuple[str, tuple[Value, ...]]:
    text = ast.unparse(annotation)
    if text in _TYPES:
        return text, ()
    if match := re.fullmatch(r"(?:typing\.)?Literal\[(.+)\]", text, flags=re.DOTALL):
        try:
            choices = tuple(ast.literal_eval(f"[{match[1]}]"))
        except ValueError:
            choices = ()
        kinds = {type(c).__name__ for c in choices}
        if len(kinds) == 1 and kinds <= {"str", "int"}:
            return kinds.pop(), choices
    legal = "str, int, float, bool, date, period, secret or Literal[...] of texts or whole numbers"
    raise WorkbenchError("{where} the type '{text}'. Types are {legal}.").of(where, text, Term(legal))


def _checked_needs(needs: Any) -> Needs:
    from workbench.warehouse import schema

    if not isinstance(needs, dict):
        raise WorkbenchError('needs is {needs}. Write a dict, such as {{"bill.month": 3}}.').of(repr(needs))
    for key, least in needs.items():
        if isinstance(least, dict) and "=" in key:
            _checked_needs(least)
            continue
        for one in key.split("|"):
            table, _, column = one.partition("=")[0].partition(".")
            if column:
                schema.table(table).column(column)
            else:
                schema.table(table)
        if isinstance(least, bool) or not isinstance(least, int | str) or (isinstance(least, str) and "." not in key):
            raise WorkbenchError("needs says {least} of {key}. Write a number, or for a column a parameter's name.").of(
                repr(least), key
            )
    return needs
