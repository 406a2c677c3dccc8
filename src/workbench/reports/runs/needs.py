"""Can this study run on that source? What a notebook says that it needs, held against a warehouse.

The parameters cell says it, once, beside the source that it reads::

    needs = {"bill.month": 3, "campaign.campaign_id": "campaign", "contact": 0, "basis=payments": {"payment": 1}}

A table with as many rows; a column (or the names in a map of values) with as many different values, or with the value
of a parameter (of a path model its items, of a number as many, of "a+b" as many as both together, before `as_of`; of
a time as many days of records before it; "a+4" is four more than a asks);
``"column=value"`` is that value; 0 is what only parts of the study rest on. ``"a|b"`` is one of several. What stands
under ``"parameter=value"`` is needed with it only. All must be there before `as_of`; `since`, `previous` are earlier.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError, unknown
from workbench.messages import Listed, Message, Word, as_message, join, quoted, say, suggestion
from workbench.places import in_order
from workbench.project import rules_file
from workbench.reports.runs.parameters import Needs, Parameter
from workbench.reports.runs.slots import find_studies, of_source, values_of
from workbench.reports.runs.sources import mapping_of, said_by

if TYPE_CHECKING:
    from workbench.warehouse import Warehouse


@dataclass(frozen=True)
class Fit:
    """Whether a study can run on a source.

    Attributes
    ----------
    lacks : tuple of Message
        What it needs and the source has not; empty where it can run.
    parts : tuple of str
        Tables that are not there and on which parts of the study rest.
    instead : str
        Values of parameters with which it could run, as for the command line; "" for none.
    """

    lacks: tuple[Message, ...]
    parts: tuple[str, ...]
    instead: str = ""

    def sentence(self, source: str, mapping: str = "") -> Message:
        """Say what is lacking and what to do; `mapping` is the file to mend, if not the source's own."""
        needs = say("it needs {lacks}.", lacks=Listed(map(as_message, self.lacks)))
        tables = [table for lack in self.lacks for table in re.findall(r"(?:^|, | or )(?:rows|values) of (\w+)", lack)]
        if self.instead:
            return join(needs, say("With {how} it can run on what '{source}' has.", how=self.instead, source=source))
        if tables:
            file = mapping or f"data/mappings/{source}.toml"
            return join(needs, say("Map it in {file} (workbench data describe {table}).", file=file, table=tables[0]))
        if any(re.search(r"\((there are|found:) \d+\)", lack) for lack in self.lacks):
            return join(needs, say("It runs once more of that is delivered."))
        if any("' among the values of " in lack for lack in self.lacks):
            return join(needs, say("If that is right of the data, the study is not made for them."))
        return needs


def fit(needs: Needs, parameters: Iterable[Parameter], values: Mapping[str, Any], warehouse: Warehouse) -> Fit:
    """Hold what a study needs, with the values of its parameters, against a warehouse; all lacks at once.

    Raises
    ------
    WorkbenchError
        If a parameter names rules that are not in the project, or cannot be used.
    """
    parameters = list(parameters)
    _prove_rules(parameters, values)
    lacks, parts = _lacking(needs, values, warehouse)
    others: list[dict[str, Any]] = (
        [{p.name: choice} for p in parameters for choice in p.choices if choice != values[p.name]] if lacks else []
    )
    others += _fewer(needs, values, warehouse) if lacks else []
    instead = [other for other in others if not _lacking(needs, {**values, **other}, warehouse)[0]]
    as_of = str(values.get("as_of", ""))
    for name in ("since", "previous"):
        if (given := str(values.get(name, ""))) >= as_of > "":
            lacks.append(say("a {name} before as_of = {day}, not {given}", name=name, day=as_of, given=given))
    said = ", ".join(f"-p {name}={value}" for name, value in instead[0].items()) if instead else ""
    return Fit(tuple(lacks), tuple(parts), said)


def fits(
    warehouse: Warehouse, root: Path, *, mapping: Path | None = None, given: Mapping[str, Any] | None = None
) -> dict[str, Fit | None]:
    """Hold every study that can be read, as it would be run, against a warehouse; None for one that says no needs.

    Raises
    ------
    WorkbenchError
        If the mapping gives a value to a misspelt parameter, or one of another type.
    """
    mapping, all_of_them = mapping or mapping_of(warehouse.source, root), find_studies(root)
    studies = {name: study for name, study in all_of_them.items() if not study.broken}
    names = [*studies, *dict.fromkeys(p.name for study in studies.values() for p in study.parameters)]
    for name in said_by(mapping):  # what is like nothing belongs to studies that are not here
        if name not in names and difflib.get_close_matches(name, names, cutoff=0.75):
            where = say("the project, though {file} gives it a value", file=mapping.name)
            raise unknown("study or parameter", name, names, where)
    found: dict[str, Fit | None] = {}
    for study in studies.values():
        asked = {k: v for k, v in {"source": warehouse.source, **(given or {})}.items() if study.default(k) is not None}
        values, _ = values_of(study, asked, of_source(study, mapping), warehouse.as_of)
        found[study.name] = None if study.needs is None else fit(study.needs, study.parameters, values, warehouse)
    return found


def _prove_rules(parameters: Iterable[Parameter], values: Mapping[str, Any]) -> None:
    """Refuse rules that are wrong, or look at windows of other days; those that ship, on their own days, are right."""
    changed = {p.name for p in parameters if str(values[p.name]) != str(p.default)}
    for p in parameters:
        if p.unit == "rules" and {p.name, "days"} & changed:
            file = rules_file(str(values[p.name]))
            from workbench.studies.fraud import rule_base
            from workbench.warehouse import sqlfiles

            rules = rule_base(file, [column for column, _, _ in sqlfiles.described("line_fraud")])
            rules.require_windows([values.get("days", rules.windows[0])])


def _lacking(needs: Needs, values: Mapping[str, Any], warehouse: Warehouse) -> tuple[list[Message], list[str]]:
    lacks: list[Message] = []
    parts: list[str] = []
    for key, least in needs.items():
        if isinstance(least, dict):
            name, _, value = key.partition("=")
            if str(values.get(name)).lower() == value.lower():
                more, some = _lacking(least, values, warehouse)
                lacks, parts = lacks + more, parts + some
            continue
        found = [_lack(one, least, values, warehouse) for one in key.split("|")]
        if all(found) and least == 0:
            parts.append(key)
        elif all(found):
            lacks.append(say("{lacks}", lacks=Listed(found, "or")))
    return list(dict.fromkeys(lacks)), parts


def _lack(key: str, least: int | str, values: Mapping[str, Any], warehouse: Warehouse) -> Message:
    """Say what of one table or column is lacking; "" for nothing."""
    from workbench.warehouse import schema
    from workbench.warehouse.features import DATED
    from workbench.warehouse.views import long_twin

    key, _, literal = key.partition("=")
    table, _, column = key.partition(".")
    if not _count(warehouse, f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT 1)"):
        return say("rows of {table}", table=table)
    if least and (late := _begins_late(table, values, warehouse)):
        return late
    if not column:
        rows = _count(warehouse, f"SELECT count(*) FROM {table}") if isinstance(least, int) and least > 1 else 1
        lack = {"least": str(least), "table": table, "rows": str(rows)}
        return Message() if rows >= int(least) else say("{least} rows of {table} (there are {rows})", **lack)
    known = schema.table(table).column(column)
    values_of = f"SELECT {column} AS v FROM {table} WHERE {column} IS NOT NULL"
    if known.is_map:
        values_of = long_twin(
            f"{table}_value", f"SELECT name AS v FROM {table}_value WHERE kind = '{column}'", warehouse
        )
    if literal:
        there = _count(warehouse, f"SELECT count(*) FROM ({values_of}) WHERE v = '{literal}'")
        return Message() if there else say("'{value}' among the values of {column}", value=literal, column=key)
    if asked := _asked(least, values):
        least, number = sum(asked.values()), _before(column, table, values, warehouse)
        if number >= least:
            return Message()
        lack = {"least": str(least), "n": str(number), "names": " + ".join(asked)}
        if known.type == "timestamp":
            return say(
                "{least} days of records in {table} before as_of, as {names} ask (found: {n}; choose a later as_of)",
                table=table,
                **lack,
            )
        return say("{least} different values of {column} before as_of, as {names} ask (found: {n})", column=key, **lack)
    if isinstance(least, str):
        return _value_lack(key, values_of, str(values.get(least, "")), least, warehouse)
    if dated := known.type == "date" and bool(values.get("as_of")):
        values_of += f" AND {DATED.get(table, column)} < CAST('{values['as_of']}' AS DATE)"
    limit = " LIMIT 1" if least < 2 else ""
    number = _count(warehouse, f"SELECT count(DISTINCT v) FROM ({values_of}{limit})")
    if number >= max(least, 1):
        return Message()
    meaning = known.meaning[0].lower() + known.meaning[1:].rstrip(".")
    if least < 2 or not number:
        return say("values of {column} ({meaning})", column=key, meaning=Word(meaning))
    lack = {"least": str(least), "column": key, "n": str(number)}
    if dated:
        return say("{least} different values of {column} before as_of (found: {n})", **lack)
    return say("{least} different values of {column} (found: {n})", **lack)


def _begins_late(table: str, values: Mapping[str, Any], warehouse: Warehouse) -> Message:
    """Say that a table of dated facts begins on `as_of` or later; "" where it does not."""
    from workbench.warehouse.features import begins

    first, as_of = begins(warehouse, table), str(values.get("as_of", ""))
    if not as_of or first is None or first.isoformat() < as_of:
        return Message()
    return say(
        "records in {table} of before {as_of} (the first is of {first}: choose a later as_of)",
        table=table,
        as_of=as_of,
        first=first.isoformat(),
    )


def _asked(least: int | str, values: Mapping[str, Any]) -> dict[str, int]:
    """Give the parameters that say together how many are needed; none where it says no numbers."""
    names = least.split("+") if isinstance(least, str) else []
    found = {name: int(name) if name.isdigit() else values.get(name) for name in names}
    return found if all(isinstance(value, int) for value in found.values()) else {}  # type: ignore[return-value]


def _before(column: str, table: str, values: Mapping[str, Any], warehouse: Warehouse) -> int:
    """Count the different values of a column, of a day those before `as_of`; of a time the days of records up to it."""
    from workbench.warehouse import schema
    from workbench.warehouse.features import DATED, begins

    known, as_of = f"{column} IS NOT NULL", str(values.get("as_of", ""))
    if (kind := schema.table(table).column(column).type) == "timestamp" and as_of:
        first = begins(warehouse, table)
        return (date.fromisoformat(as_of) - first).days if first else 0
    if kind == "date" and as_of:
        known = f"{DATED.get(table, column)} < CAST('{as_of}' AS DATE)"
    return _count(warehouse, f"SELECT count(DISTINCT {column}) FROM {table} WHERE {known}")


def _fewer(needs: Needs, values: Mapping[str, Any], warehouse: Warehouse) -> list[dict[str, Any]]:
    """Give the most of the first parameter of a sum with which a column has enough values."""
    found: list[dict[str, Any]] = []
    for key, least in needs.items():
        if isinstance(least, str) and not key.endswith("_at") and (asked := _asked(least, values)):  # a window's is set
            table, _, column = key.partition(".")
            first = next(iter(asked))
            most = _before(column, table, values, warehouse) - sum(asked.values()) + asked[first]
            found += [{first: most}] if 0 < most < asked[first] else []
    return found


def _value_lack(key: str, rows: str, value: str, parameter: str, warehouse: Warehouse) -> Message:
    """Say which values of a parameter (of a path model, its items) a column has not; "" where it has all."""
    found = warehouse.query(f"SELECT DISTINCT v FROM ({rows}) ORDER BY v")["v"].astype(str).tolist()
    wanted = _items(value) if parameter == "model" else [value] if value else []
    missing = [one for one in wanted if one not in found]
    if not missing:
        return Message()
    near, there = suggestion(missing[0], found), quoted(in_order(found))
    return say(
        "{missing} in {column}, as -p {parameter}={value} asks (there are: {found})",
        missing=quoted(missing),
        column=key,
        parameter=parameter,
        value=value,
        found=say("{names}. {near}", names=there, near=near) if near else there,
    )


def _items(model: str) -> list[str]:
    from workbench.methods.plspm import PathModel
    from workbench.project import model_file

    try:
        return [item for construct in PathModel.from_toml(model_file(model)).constructs for item in construct.items]
    except WorkbenchError:  # the notebook says so
        return []


def _count(warehouse: Warehouse, sql: str) -> int:
    return int(warehouse.query(sql).iloc[0, 0])
