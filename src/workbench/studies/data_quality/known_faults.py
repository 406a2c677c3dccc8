"""What is looked for, and which study rests on which table: read from `rules.toml` and proved."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from workbench.messages import say
from workbench.rules import made, read_rules


@dataclass(frozen=True)
class KnownFault:
    """A rule between systems: its tables, the one whose department looks first, what is found, what comes out wrong."""

    name: str
    tables: tuple[str, ...]
    mend: str
    what: str
    means: str


@dataclass(frozen=True)
class QualityRules:
    """Tables with rows in every month, and on every day, rules by name, and the tables that each study rests on."""

    monthly: tuple[str, ...]
    daily: tuple[str, ...]
    rules: dict[str, KnownFault]
    studies: dict[str, tuple[str, ...]]


@cache
def quality_rules() -> QualityRules:
    """Read the rules that come with the study.

    >>> quality_rules().rules["number_twice"].tables
    ('subscription',)
    """

    def known(monthly: tuple[str, ...], daily: tuple[str, ...], rule: Any, study: Any) -> QualityRules:
        rules = {n: made(partial(KnownFault, n), entry, say("rule '{id}'", id=n)) for n, entry in rule.items()}
        return QualityRules(monthly, daily, rules, {name: tuple(tables) for name, tables in study.items()})

    return read_rules(None, __package__, "rules.toml", known)
