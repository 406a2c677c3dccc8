"""Which rules hold beyond a single cell, and what follows where one is broken? `rules.toml`, and what a mapping says.

Rules of a column (`schema.toml`) are named `table.column.kind`, such as `bill.amount.in_range`; those of `rules.toml`
`table.name`; what only makes a delivery implausible `table.month_rows`, `table.column.scale`, `.constant`, `.mostly`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

from workbench.errors import WorkbenchError, require_known
from workbench.messages import Listed, Term
from workbench.warehouse import schema

OF_COLUMNS = ("not_null", "unique", "accepted_values", "in_range", "relationships")
_STORABLE = ("in_range", "relationships")  # a row that breaks one can stand in its table
OF_IDENTITY = ("customer.united", "customer.may_be_one", "customer.shared_key", "customer.group_in_a_circle")
REFUSE, WARN, STOP, OFF = "refuse", "warn", "stop", "off"


@dataclass(frozen=True)
class Lookup:
    """What a row is compared with: one row for each value of the columns `on`, made from the tables `reads`."""

    name: str
    on: tuple[str, ...]
    reads: tuple[str, ...]
    sql: str

    def join(self, relation: str, row: str) -> str:
        """The SQL that joins it to rows."""
        same = " AND ".join(f"{self.name}.{column} = {row}.{column}" for column in self.on)
        return f"LEFT JOIN {relation} AS {self.name} ON {same}"


@dataclass(frozen=True)
class CrossRule:
    """A rule beyond a single cell: SQL that is true where it is broken (`t` is the row), and how that is said."""

    name: str
    table: str
    broken: str
    reason: str
    severity: str
    lookups: tuple[Lookup, ...] = ()
    of_column: bool = False

    def sql(self, row: str, as_of: date) -> str:
        """The condition, with the name that the row has in a query."""
        return re.sub(r"\bt\.", f"{row}.", self.broken).replace("$as_of", f"DATE '{as_of.isoformat()}'")

    def reads(self) -> set[str]:
        """The tables that a row is compared with."""
        return {table for lookup in self.lookups for table in lookup.reads}


@cache
def _definition() -> tuple[dict[str, str], dict[str, CrossRule]]:
    raw = tomllib.loads(resources.files(__package__).joinpath("rules.toml").read_text(encoding="utf-8"))
    lookups = {n: Lookup(n, tuple(x["on"]), tuple(x["reads"]), x["sql"]) for n, x in raw["lookup"].items()}
    rules = {}
    for rule in raw["rule"]:
        used = tuple(v for n, v in lookups.items() if re.search(rf"\b{n}\.", rule["broken"]))
        table = rule["name"].partition(".")[0]
        severity = rule.get("severity", WARN)
        rules[rule["name"]] = CrossRule(rule["name"], table, rule["broken"], rule["reason"], severity, used)
    return raw["month"], rules


def months() -> dict[str, str]:
    """By table of dated rows the column that says to which month a row belongs."""
    return _definition()[0]


@dataclass(frozen=True)
class Rulebook:
    """The rules of a source: those of the package, under the severities that its mapping sets."""

    given: Mapping[str, str]

    def severity(self, name: str, default: str = WARN) -> str:
        """What follows where a rule is broken."""
        return self.given.get(name, default)

    def of(self, table: str, *severities: str) -> list[CrossRule]:
        """The rules of a table that have one of some severities; those of columns only where they but warn."""
        found = ((self.severity(r.name, r.severity), r) for r in _rules() if r.table == table)
        return [replace(r, severity=s) for s, r in found if s in severities and (not r.of_column or s == WARN)]


@cache
def _rules() -> tuple[CrossRule, ...]:
    return tuple(_all_rules())


def _all_rules() -> Iterator[CrossRule]:
    yield from _definition()[1].values()
    for dated, day in months().items():
        broken = f"t.{day} >= $as_of"
        yield CrossRule(f"{dated}.after_as_of", dated, broken, "the row is of a day on or after as_of", WARN)
    for table in schema.tables().values():
        for column in table.columns:
            name, sql = f"{table.name}.{column.name}", f"t.{column.name}"
            if column.in_range and not column.is_map:
                low, high = map(bound, column.in_range)
                reason = f"{column.name} is not between {said(column.in_range[0])} and {said(column.in_range[1])}"
                yield CrossRule(
                    f"{name}.in_range", table.name, f"{sql} NOT BETWEEN {low} AND {high}", reason, REFUSE, (), True
                )
            if column.relationships:
                parent, key = column.relationships
                lookup = Lookup(
                    f"of_{column.name}", (column.name,), (parent,), f"SELECT {key} AS {column.name} FROM {parent}"
                )
                broken = f"{sql} IS NOT NULL AND of_{column.name}.{column.name} IS NULL"
                reason = f"{column.name} does not stand in {parent}"
                yield CrossRule(f"{name}.relationships", table.name, broken, reason, REFUSE, (lookup,), True)


@cache
def known() -> dict[str, tuple[str, ...]]:
    """Every rule by name, with the severities that it may have."""
    names: dict[str, tuple[str, ...]] = dict.fromkeys(OF_IDENTITY, (WARN, OFF))
    for table in schema.tables().values():
        names[f"{table.name}.month_rows"] = (WARN, STOP, OFF)
        for column in table.columns:
            name = f"{table.name}.{column.name}"
            for kind in OF_COLUMNS:
                if getattr(column, kind):
                    stored = kind in _STORABLE and not column.is_map
                    names[f"{name}.{kind}"] = (REFUSE, WARN, STOP) if stored else (REFUSE, STOP)
            names |= {f"{name}.{kind}": (WARN, STOP, OFF) for kind in ("scale", "constant", "mostly")}
    for rule in _rules():
        between = rule.table in rule.reads()
        names.setdefault(rule.name, (WARN, STOP, OFF) if between else (REFUSE, WARN, STOP, OFF))
    return names


def rulebook(raw: Any, where: str) -> Rulebook:
    """Read the severities that a mapping sets.

    Parameters
    ----------
    raw : Any
        The table `[rules]`, with names in dots or nested.
    where : str
        For messages.

    Raises
    ------
    WorkbenchError
        If there is no such rule (the nearest is suggested), or it can't have that severity.
    """
    if not isinstance(raw, dict):
        raise WorkbenchError('rules is a table of severities. Write [rules] and bill.before_line = "refuse".').of(
            at=where
        )
    given = dict(_flat(raw))
    for name, severity in given.items():
        require_known("rule", name, known(), where)
        if severity not in (allowed := known()[name]):
            one = " (it compares rows of one table, or whole months: no single row is to blame)"
            why = Term(one) if REFUSE not in allowed and severity == REFUSE else ""
            raise WorkbenchError("the rule {name} can't be {severity}{why}. Say {values}.").of(
                name, repr(severity), why, Listed(map(repr, allowed), "or"), at=where
            )
    return Rulebook(given)


def _flat(raw: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in raw.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def bound(value: Any) -> str:
    """An end of a range as SQL writes it."""
    return f"{float(value)!r}::DOUBLE" if isinstance(value, int | float) else f"DATE '{value.isoformat()}'"


def said(value: Any) -> str:
    """An end of a range for people."""
    return f"{value:.15g}" if isinstance(value, int | float) else value.isoformat()
