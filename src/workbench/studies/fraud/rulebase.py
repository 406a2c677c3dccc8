"""Which rules look for fraud? Data in `rules.toml`, and an operator's own beside them, proved when read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError, require_known, unknown
from workbench.messages import Listed, Named, say
from workbench.result import Table
from workbench.rules import Condition, condition, judge, made, prove, read_rules

SHIPPED, THRESHOLD = "rules.toml", "threshold"
SEVERITIES = {"high": "高", "medium": "中", "low": "低"}


@dataclass(frozen=True)
class FraudRule:
    """One rule: the keys of `rules.toml`, proved when made; that it fires and spares as its own test cases say, too."""

    id: str
    name: str
    expression: str
    window: int
    threshold: float
    severity: str
    action: str
    owner: str
    since: date
    fires: Mapping[str, Any]
    spares: Mapping[str, Any]
    name_zh: str = ""
    action_zh: str = ""

    def __post_init__(self) -> None:
        where = say("rule '{id}'", id=str(self.id))
        texts = ("id", "name", "action", "owner")
        number = isinstance(self.threshold, int | float) and not isinstance(self.threshold, bool)
        prove(
            where,
            {
                say("{names} are texts that say something", names=", ".join(texts)): all(
                    isinstance(getattr(self, name), str) and getattr(self, name).strip() for name in texts
                ),
                "window is a whole number of days, such as 30": type(self.window) is int and self.window > 0,
                "threshold is a number": number and np.isfinite(self.threshold),
                "since is a day, such as 2026-07-01": isinstance(self.since, date),
                say("fires and spares are test cases, such as {{ calls = 60 }}"): isinstance(self.fires, dict)
                and isinstance(self.spares, dict),
            },
        )
        if self.severity not in SEVERITIES:
            raise unknown("severity", str(self.severity), SEVERITIES, where)
        for name, case in (("fires", self.fires), ("spares", self.spares)):
            if strange := [column for column in case if column not in self.columns]:
                raise WorkbenchError(
                    "{where}: the test case {name} gives {column}, which the expression does not read; it reads "
                    "{columns}. One of the two is misspelt."
                ).of(where, name, strange[0], Listed(self.columns, ""))
        met = RuleBase((self,)).judged(pd.DataFrame([self.fires, self.spares], columns=list(self.columns)))[
            self.id, 1.0
        ]
        prove(
            where,
            {
                "it does not fire on its own test case `fires`": met[0] == 1,
                "it fires on its own test case `spares`": met[1] != 1,
            },
        )

    @cached_property
    def condition(self) -> Condition:
        """The expression, proved to be one condition."""
        return condition(self.expression, say("rule '{id}'", id=str(self.id)))

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it reads."""
        return tuple(column for column in self.condition.columns if column != THRESHOLD)

    def named(self) -> Named:
        """What it is called."""
        return Named(self.name, self.name_zh)


@dataclass(frozen=True)
class RuleBase:
    """Fraud rules, in the order of their files."""

    rules: tuple[FraudRule, ...]

    def __post_init__(self) -> None:
        ids = [rule.id for rule in self.rules]
        twice = next((one for one in ids if ids.count(one) > 1), "")
        prove(
            "the rules",
            {
                say(
                    "two have the id '{id}'; rename one, or leave out one that ships by without", id=str(twice)
                ): not twice,
                "there is none": ids,
            },
        )

    @property
    def windows(self) -> tuple[int, ...]:
        """Days of the windows that they look at."""
        return tuple(sorted({rule.window for rule in self.rules}))

    def require_windows(self, there: Collection[float]) -> None:
        """Refuse a rule that looks at windows of other days."""
        for rule in self.rules:
            if rule.window not in there:
                raise WorkbenchError("rule '{id}' looks at {n} days; the windows of lines have {there}.").of(
                    rule.id, rule.window, Listed(f"{days:g}" for days in there)
                )

    def judged(self, lines: pd.DataFrame, factors: Iterable[float] = (1.0,)) -> dict[tuple[str, float], np.ndarray]:
        """Tell by rule and factor of its threshold on which rows it fires: 1, 0, or -1 where a value is missing."""
        asked: dict[str, Any] = {}
        for rule, factor in product(self.rules, factors):
            if factor == 1 or THRESHOLD in rule.condition.columns:
                name = say("rule '{id}' at {factor}", id=rule.id, factor=f"{factor:g}")
                asked[name] = rule.id, factor, rule.condition, {THRESHOLD: rule.threshold * factor}
        found = judge({name: one[2:] for name, one in asked.items()}, lines, "lines")
        return {asked[name][:2]: met for name, met in found.items()}

    def as_table(self) -> Table:
        """Give the rules as a reader sees them, each with its condition as any database runs it."""
        rows = [
            {
                "rule": say("{text}", text=rule.named()),
                "sql": rule.condition.sql({THRESHOLD: rule.threshold}),
                "severity": say("{text}", text=Named(rule.severity, SEVERITIES[rule.severity])),
                "owner": rule.owner,
                "action": say("{text}", text=Named(rule.action, rule.action_zh)),
            }
            for rule in self.rules
        ]
        caption = say("The rules: on which lines each fires, how grave it is, what is done and by whom.")
        return Table("rules", pd.DataFrame(rows), caption)


def rule_base(path: str | Path | None = None, columns: Iterable[str] | None = None) -> RuleBase:
    """Read the rules that ship, and an operator's own beside them.

    Parameters
    ----------
    path : str or Path, optional
        A file in the form of `rules.toml`; ``without = ["id", …]`` at its top leaves rules that ship out.
    columns : iterable of str, optional
        What the lines have; a rule that reads another column is refused.

    Raises
    ------
    WorkbenchError
        If a rule lacks a key or has an unknown one, is no single condition on the columns of a line, fails one of its
        test cases, or two have one id.

    Examples
    --------
    >>> rule_base().rules[0].id
    'many_numbers'
    """
    shipped, _ = read_rules(None, __package__, SHIPPED, _read)
    own, without = read_rules(path, __package__, SHIPPED, _read) if path else ((), ())
    for name in without:
        require_known("rule", name, [rule.id for rule in shipped], SHIPPED)
    base = RuleBase((*(rule for rule in shipped if rule.id not in without), *own))
    if columns is not None:
        known = [str(column) for column in columns]
        for rule in base.rules:
            if strange := [column for column in rule.columns if column not in known]:
                whose = say("{name}, which {rule} reads", name=say("the lines"), rule=say("rule '{id}'", id=rule.id))
                raise unknown("column", strange[0], known, whose)
    return base


def _read(rule: tuple[Any, ...] = (), without: tuple[str, ...] = ()) -> tuple[tuple[FraudRule, ...], tuple[str, ...]]:
    if not all(isinstance(entry, dict) for entry in rule):
        raise WorkbenchError("rules stand as tables, each headed [[rule]].")
    entries = enumerate(rule, 1)
    own = (made(FraudRule, entry, say("rule '{id}'", id=str(entry.get("id", n)))) for n, entry in entries)
    return tuple(own), tuple(without)
