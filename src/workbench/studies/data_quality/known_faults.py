"""What is looked for, and which study rests on which table: read from `rules.toml` and proved."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Rule:
    """A rule between systems: its tables, the one whose department looks first, what is found, what comes out wrong."""

    name: str
    tables: tuple[str, ...]
    mend: str
    what: str
    means: str


@dataclass(frozen=True)
class QualityRules:
    """Tables with rows in every month, rules by name, and the tables that each study rests on."""

    monthly: tuple[str, ...]
    rules: dict[str, Rule]
    studies: dict[str, tuple[str, ...]]


@cache
def quality_rules() -> QualityRules:
    """Read the rules that come with the study.

    >>> quality_rules().rules["number_twice"].tables
    ('subscription',)
    """
    text = (resources.files("workbench.studies.data_quality") / "rules.toml").read_text(encoding="utf-8")
    read = tomllib.loads(text)
    rules = {
        name: Rule(name, tuple(rule["tables"]), rule["mend"], rule["what"], rule["means"])
        for name, rule in read["rule"].items()
    }
    return QualityRules(tuple(read["monthly"]), rules, {name: tuple(t) for name, t in read["study"].items()})
