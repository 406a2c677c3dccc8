"""Which keys make two customers one? The `[[identity]]` blocks of a mapping."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from workbench.errors import WorkbenchError, require_known, unknown
from workbench.warehouse import schema
from workbench.warehouse.keys import check_keys, flag_of, text_of, texts_of

KEYS = ("name", "same", "weights", "enough", "action", "may_differ", "most", "duplicates")
MERGE, REVIEW, HOUSEHOLD, GROUP = ACTIONS = ("merge", "review", "household", "group")
MUST_AGREE = ("kind", "name_key", "birth_year", "gender", "card_key")
MOST, MOST_IN_PARENT, LISTED = 5, 10, 50
DECISION = "decision"


@dataclass(frozen=True)
class IdentityRule:
    """What makes two customers one, or has them looked at: agreement in all columns of one of the `sets`."""

    name: str
    sets: tuple[tuple[str, ...], ...]
    action: str
    most: int
    may_differ: tuple[str, ...] = ()
    duplicates: bool = False

    def agree(self) -> list[str]:
        """Columns in which two customers must not differ where both have a value."""
        return [name for name in MUST_AGREE if name not in self.may_differ]


def identity_rules(raw: list[dict], filled: Iterable[str], where: str) -> tuple[IdentityRule, ...]:
    """Read the `[[identity]]` blocks of a mapping; `filled` are the columns of `customer` that it maps.

    Raises
    ------
    WorkbenchError
        If a rule names what there is not, could not find anybody, or would unite by what many people
        share.
    """
    filled, rules = set(filled), list[IdentityRule]()
    for number, block in enumerate(raw, 1):
        rules.append(_rule(block, filled, f"{where}, [[identity]] {number}"))
        if rules[-1].name in {DECISION, *(rule.name for rule in rules[:-1])}:
            raise WorkbenchError("{where}, [[identity]] {number}: the name '{name}' is taken. Give another.").of(
                where, number, rules[-1].name
            )
    return tuple(rules)


def _rule(raw: dict, filled: set[str], where: str) -> IdentityRule:
    check_keys(raw, KEYS, where)
    name, action = text_of(raw, "name", where), text_of(raw, "action", where, REVIEW)
    require_known("action", action, ACTIONS, where)
    most = raw.get("most", MOST if action in (MERGE, REVIEW) else MOST_IN_PARENT)
    if not isinstance(most, int) or isinstance(most, bool) or not 2 <= most <= LISTED:
        raise WorkbenchError("{where}: most is a whole number from 2 to {n}.").of(where, LISTED)
    may_differ = texts_of(raw, "may_differ", where, ())
    if strange := [column for column in may_differ if column not in MUST_AGREE]:
        raise unknown("may_differ", strange[0], MUST_AGREE, where)
    sets = _sets(raw, where)
    for column in (column for columns in sets for column in columns):
        try:
            schema.table("customer").column(column)
        except WorkbenchError as error:
            raise WorkbenchError("{where}: {error}").of(where, error) from None
        if column not in filled:
            raise WorkbenchError(
                "{where}: no [[file]] fills customer.{column}. Map it, or take it out of the rule."
            ).of(where, column)
    if action == MERGE and any(not any(column.endswith("_key") for column in columns) for columns in sets):
        raise WorkbenchError(
            '{where}: what unites customers needs a column that ends in _key. Add one, or say action = "review".'
        ).of(where)
    may_differ = (*may_differ, *raw.get("weights", ()))
    return IdentityRule(name, sets, action, most, may_differ, flag_of(raw, "duplicates", where) is True)


def _sets(raw: dict, where: str) -> tuple[tuple[str, ...], ...]:
    """The sets of columns of which one suffices: the one that is named, or the smallest that weigh enough."""
    same, weights, enough = texts_of(raw, "same", where, ()), raw.get("weights", {}), raw.get("enough", 0)
    if bool(same) == bool(weights):
        raise WorkbenchError(
            "{where} needs either same (a list of columns) or weights (numbers by column) with enough."
        ).of(where)
    if same:
        return (tuple(sorted(set(same))),)
    if not isinstance(weights, dict) or not all(_positive(weight) for weight in weights.values()):
        raise WorkbenchError("{where}: weights are numbers above 0 by column.").of(where)
    if not _positive(enough) or enough > sum(weights.values()):
        raise WorkbenchError("{where}: enough is a number above 0 that all weights together reach.").of(where)
    found: list[tuple[str, ...]] = []
    for size in range(1, len(weights) + 1):
        for columns in combinations(sorted(weights), size):
            if sum(weights[c] for c in columns) >= enough and not any(set(f) <= set(columns) for f in found):
                found.append(columns)
    return tuple(found)


def _positive(number: Any) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and number > 0
