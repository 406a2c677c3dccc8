"""What a formula is made of: terms that a person reads, a database computes, and a file keeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, KeysView, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from workbench.columns import category, number, periods
from workbench.errors import WorkbenchError, require_columns
from workbench.messages import Label, Listed, Message, Name, Number, Term, Word, say

Facts = dict[str, np.ndarray]
SEGMENT = "segment"
OURS = {SEGMENT, "base", "score"}
"""Names under which the formula keeps what is of no one fact."""
_NONE: Mapping[str, str] = {}


@dataclass(frozen=True)
class TermCondition:
    """A fact within [low, high), or one of (`other`: none of) some levels; `gaps` tells whether a missing value is too.

    Without levels and with `low` above `high` only a missing value is.
    """

    fact: str
    low: float = -np.inf
    high: float = np.inf
    levels: tuple[str, ...] = ()
    other: bool = False
    gaps: bool = False

    def __call__(self, facts: Facts) -> np.ndarray:
        """Tell for which rows it holds, shape (n,)."""
        values = facts[self.fact]
        gone = np.isnan(values) if values.dtype.kind == "f" else values == None  # noqa: E711
        if self.low > self.high:
            return gone
        if self.levels:
            found = np.isin(values, self.levels) != self.other
        elif np.isinf(self.low) and np.isinf(self.high):
            return ~gone | self.gaps
        else:
            found = (values >= self.low) & (values < self.high)
        return found & ~gone | gone if self.gaps else found & ~gone

    def sql(self, quoted: Callable[[str], str]) -> str:
        """Write it in SQL."""
        name, ends = quoted(self.fact), {">=": self.low, "<": self.high}
        if self.levels:
            names = ["'" + level.replace("'", "''") + "'" for level in self.levels]
            text = f"{name} {'NOT IN' if self.other else 'IN'} ({', '.join(names)})"
            if len(names) == 1:
                text = f"{name} {'<>' if self.other else '='} {names[0]}"
        elif self.low > self.high:
            return f"{name} IS NULL"
        else:
            text = " AND ".join(f"{name} {sign} {literal(end)}" for sign, end in ends.items() if np.isfinite(end))
        if not text:
            return f"{name} IS NOT NULL" if not self.gaps else "1 = 1"
        return f"({name} IS NULL OR {text})" if self.gaps else text

    def said(self, units: Mapping[str, str] = _NONE) -> Message:
        """Say it in words, its ends in the units of `told_in`, and where it holds for what is missing too."""
        if self.gaps and (self.levels or self.low <= self.high):
            return say("{condition} (or unknown)", condition=replace(self, gaps=False).said(units))
        fact = Label(self.fact)
        if self.levels:
            names = Listed(tuple(map(Word, self.levels)), "or")
            if self.other:
                return say("{fact} not {names}", fact=fact, names=names)
            return say("{fact} {names}", fact=fact, names=names)
        if self.low > self.high:
            return say("{fact} unknown", fact=fact)
        low, high = (said_end(end, units.get(self.fact, "")) for end in (self.low, self.high))
        if np.isinf([self.low, self.high]).all():
            return say("{fact}", fact=fact)
        if np.isinf(self.low):
            return say("{fact} below {high}", fact=fact, high=high)
        if np.isinf(self.high):
            return say("{fact} from {low}", fact=fact, low=low)
        return say("{fact} from {low} to below {high}", fact=fact, low=low, high=high)


def told_in(units: Mapping[str, str], currency: str) -> dict[str, str]:
    """In which unit the ends of each fact are said, by its declared unit: shares, per cent and money; others have none.

    >>> told_in({"fee": "currency/month", "late": "share", "used": "%", "age": "years"}, "yuan")
    {'fee': 'yuan', 'late': 'share', 'used': '%'}
    """
    shown = {"share": "share", "%": "%", "currency": currency}
    return {fact: shown[unit.partition("/")[0]] for fact, unit in units.items() if unit.partition("/")[0] in shown}


def said_end(end: float, unit: str) -> Name | Number | Message:
    """Say an end as whoever fills in the card reads it, to its last digit: a share in per cent, money with its unit."""
    if unit in ("share", "%"):
        return Name(f"{100 * end if unit == 'share' else end:,.10g}%")
    number = Number(end, ",.10g")
    return say("{number} {unit}", number=number, unit=Term(unit)) if unit else number


def unknown(fact: str) -> TermCondition:
    """The condition that a fact is missing."""
    return TermCondition(fact, np.inf, -np.inf, gaps=True)


@dataclass(frozen=True)
class FormulaTerm:
    """Where its conditions hold it counts 1, or the fact less a knot; the coefficient is per count, on the log odds.

    Attributes
    ----------
    fact : str
        Whose part it is; "segment" for the leaves of the tree.
    mean : float
        At the fit: for a bin, level or segment its share.
    se : float
        NaN where nothing was estimated: the reference, and what stands for a gap that the fit had not seen.
    reference : bool
        The commonest bin, level or segment, with which the others of its fact are compared.
    """

    fact: str
    conditions: tuple[TermCondition, ...]
    knot: float | None = None
    coefficient: float = 0.0
    se: float = np.nan
    mean: float = 0.0
    reference: bool = False

    @property
    def gap(self) -> bool:
        """Whether it stands for a missing value."""
        return self.conditions[0].low > self.conditions[0].high

    def __call__(self, facts: Facts) -> np.ndarray:
        """Count it, shape (n,)."""
        holds = reduce(np.logical_and, (condition(facts) for condition in self.conditions))
        if self.knot is None:
            return holds.astype(float)
        return np.where(holds, facts[self.fact] - self.knot, 0.0)

    def when(self, quoted: Callable[[str], str]) -> str:
        """Write its branch of a CASE."""
        return f"WHEN {' AND '.join(c.sql(quoted) for c in self.conditions)} THEN {self.adds(quoted)}"

    def adds(self, quoted: Callable[[str], str]) -> str:
        """Write what it adds where its conditions hold."""
        if self.knot is None:
            return literal(self.coefficient)
        count = f"({quoted(self.fact)} - {literal(self.knot)})" if self.knot else quoted(self.fact)
        return f"{literal(self.coefficient)} * {count}"

    def without(self, end: str) -> FormulaTerm:
        """Leave one end of a bin out, where the bins on that side are asked before, or there is none."""
        bin_ = self.conditions[0]
        return replace(self, conditions=(replace(bin_, high=np.inf) if end == "high" else replace(bin_, low=-np.inf),))

    def said(self, units: Mapping[str, str] = _NONE) -> Message:
        """Say it in words, its ends in the units of `told_in`."""
        if self.knot:
            knot = said_end(self.knot, units.get(self.fact, ""))
            return say("each unit of {fact} above {knot}", fact=Label(self.fact), knot=knot)
        if self.knot is not None:
            return say("each unit of {fact}", fact=Label(self.fact))
        if self.gap and self.coefficient and np.isnan(self.se):
            return say("{fact} unknown (of nobody so far: counts as the mean)", fact=Label(self.fact))
        said = [condition.said(units) for condition in self.conditions]
        return reduce(lambda one, other: say("{one} and {other}", one=one, other=other), said)

    def toml(self) -> str:
        """Write it as an entry of an array of tables; what has its default is left out."""
        lines = ["[[term]]", f"fact = {plain(self.fact)}"]
        kept = ("knot", "coefficient", "se", "mean", "reference")
        lines += [f"{f} = {plain(v)}" for f in kept if (v := getattr(self, f)) is not None]
        tables = [
            ", ".join(f"{f.name} = {plain(v)}" for f in fields(c) if (v := getattr(c, f.name)) != f.default)
            for c in self.conditions
        ]
        return "\n".join([*lines, f"conditions = [{', '.join(f'{{ {t} }}' for t in tables)}]"]) + "\n"

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> FormulaTerm:
        """Make it of an entry."""
        conditions = tuple(TermCondition(**{**c, "levels": tuple(c.get("levels", ()))}) for c in entry["conditions"])
        return cls(**{**entry, "conditions": conditions})


def literal(value: float) -> str:
    """Write a number as SQL reads it: a double on DuckDB and Spark, exact on PostgreSQL."""
    return f"{float(value)!r}" if "e" in repr(float(value)) else f"{float(value)!r}e0"


def plain(value: Any) -> str:
    """Write a text, number, flag or list of texts as TOML."""
    if isinstance(value, float):
        return repr(float(value))
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def read_facts(table: pd.DataFrame, numbers: Iterable[str], categories: Iterable[str], name: str) -> Facts:
    """Read facts: numbers as float64 (NaN where missing), categories as text (None where missing)."""
    numbers, categories = list(numbers), list(categories)
    require_columns(table, [*numbers, *categories], name)
    return {f: number(table[f], f, what="fact", missing="keep") for f in numbers} | {
        f: category(table[f], f).to_numpy(dtype=object) for f in categories
    }


def month_starts(column: pd.Series, name: str) -> pd.Series:
    """Read months as the times on which they start; refuse numbers (202604) and days within a month.

    Raises
    ------
    WorkbenchError
    """
    found = periods(column, name)
    if found.dtype.kind == "f":
        raise WorkbenchError("'{month}' holds numbers like {value}: give dates, or months as text like 2026-04.").of(
            name, f"{found.iloc[0]:.10g}"
        )
    if (odd := found[found.notna() & (found.dt.day != 1)]).size:
        raise WorkbenchError("{day} is no month start: give first days of months.").of(f"{odd.iloc[0]:%Y-%m-%d}")
    return found


def cut_points(values: np.ndarray, bins: int) -> list[float]:
    """Ends of at most `bins` bins of like size: quantiles to four figures, none of them empty."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return []
    at = np.quantile(known, np.arange(1, bins) / bins, method="higher")
    cuts = sorted({float(f"{cut:.4g}") for cut in at if cut > known.min()})
    if not cuts and known.min() < known.max():  # most are at the least
        cuts = [float(f"{known[known > known.min()].min():.4g}")]
    inner = [c for c in cuts if known.min() < c <= known.max()]
    size = np.bincount(np.searchsorted(inner, known, side="right"), minlength=len(inner) + 1)
    return [c for c, n in zip(inner, size[1:], strict=True) if n]


def of_number(fact: str, form: str, cuts: Sequence[float]) -> list[FormulaTerm]:
    """Terms of a number: bins between the cuts, or a line with hinges at them, or the line alone; and of its gaps."""
    if form == "bins":
        ends = [-np.inf, *cuts, np.inf]
        found = [FormulaTerm(fact, (TermCondition(fact, a, b),)) for a, b in pairwise(ends)]
        return [*found, FormulaTerm(fact, (unknown(fact),))]
    hinges = [FormulaTerm(fact, (TermCondition(fact, c),), c) for c in cuts if form == "hinges"]
    return [FormulaTerm(fact, (TermCondition(fact),), 0.0), *hinges, FormulaTerm(fact, (unknown(fact),))]


def of_category(fact: str, values: np.ndarray, fewest: int) -> list[FormulaTerm]:
    """Terms of a category: its levels of `fewest` rows, the others, and its gaps."""
    names, sizes = np.unique(values[values != None].astype(str), return_counts=True)  # noqa: E711
    levels = tuple(str(n) for n, size in zip(names, sizes, strict=True) if size >= fewest)
    found = [FormulaTerm(fact, (TermCondition(fact, levels=(level,)),)) for level in levels]
    rest = [FormulaTerm(fact, (TermCondition(fact, levels=levels, other=True),))] if levels else []
    return [*found, *rest, FormulaTerm(fact, (unknown(fact),))]


def of_tree(tree: Any, questions: Sequence[tuple[str, str | None, float]], facts: Facts) -> list[FormulaTerm]:
    """Terms of the leaves of a tree: all ends of one fact in one condition, a gap on the side of the median."""
    found: list[FormulaTerm] = []

    def walk(node: int, path: dict[tuple[str, str | None], TermCondition]) -> None:
        if tree.children_left[node] < 0:
            found.append(FormulaTerm(SEGMENT, tuple(path.values())))
            return
        fact, level, median = questions[tree.feature[node]]
        known = path.get((fact, level), TermCondition(fact, gaps=True))
        cut = float(f"{tree.threshold[node]:.4g}")
        for child, left in ((tree.children_left[node], True), (tree.children_right[node], False)):
            if level is not None:
                one = TermCondition(fact, levels=(level,), other=left, gaps=left)
            else:
                gaps = known.gaps and (median < cut) == left
                one = replace(known, high=cut, gaps=gaps) if left else replace(known, low=cut, gaps=gaps)
            walk(child, {**path, (fact, level): one})

    walk(0, {})
    found = [term for term in found if term.conditions and term(facts).any()]
    return found if len(found) > 1 else []


Question = tuple[str, float | tuple[str, ...]]
"""A fact, and the end from which on, or the levels in which, the answer is yes."""


def as_questions(
    leaves: Sequence[FormulaTerm], quoted: Callable[[str], str], asked: frozenset[tuple[Question, bool]] = frozenset()
) -> str:
    """Write the leaves of a tree in SQL, one question within the other; what is missing goes with the ELSE.

    What was `asked` before, and its answer, is not asked again.
    """
    for question in dict.fromkeys(q for leaf in leaves for q, _ in _answers(leaf)):
        sides = [_side(leaf, question) for leaf in leaves]
        if None in sides or len({*sides}) < 2:
            continue
        yes, no = ([leaf for leaf, at in zip(leaves, sides, strict=True) if at is side] for side in (True, False))
        fact, end = question
        gaps = [any(c.gaps for leaf in part for c in leaf.conditions if c.fact == fact) for part in (yes, no)]
        if not any(gaps) and all(fact != before for (before, _), _ in asked):
            continue  # what is missing is in no leaf
        sure = asked | {(question, True)}, asked | {(question, False)}
        then, rest = (as_questions(part, quoted, known) for part, known in zip((yes, no), sure, strict=True))
        if isinstance(end, tuple):
            condition = TermCondition(fact, levels=end)
        elif gaps[0]:
            condition, then, rest = TermCondition(fact, high=end), rest, then
        else:
            condition = TermCondition(fact, low=end)
        return f"CASE WHEN {condition.sql(quoted)} THEN {then} ELSE {rest} END"
    if len(leaves) == 1 and _answers(leaves[0]) <= asked:
        return literal(leaves[0].coefficient)
    return " ".join(["CASE", *(leaf.when(quoted) for leaf in leaves), "ELSE 0e0 END"])


def _answers(leaf: FormulaTerm) -> KeysView[tuple[Question, bool]]:
    """What was asked on the way to a leaf."""
    found: dict[tuple[Question, bool], None] = {}
    for c in leaf.conditions:
        ends = [(c.levels, not c.other)] if c.levels else [(c.low, True), (c.high, False)]
        found |= {((c.fact, end), side): None for end, side in ends if c.levels or np.isfinite(end)}
    return found.keys()


def _side(leaf: FormulaTerm, question: Question) -> bool | None:
    """Answer a question for all rows of a leaf; None where some answer yes and some no."""
    fact, end = question
    for c in leaf.conditions:
        if c.fact != fact:
            continue
        if isinstance(end, tuple):
            if c.levels == end:
                return not c.other
        elif not c.levels:
            return True if c.low >= end else False if c.high <= end else None
    return None


def with_reference(terms: list[FormulaTerm], facts: Facts, y: np.ndarray) -> list[FormulaTerm]:
    """Put the commonest of the exclusive terms that has both outcomes first: the others are compared with it."""
    sizes = []
    for term in terms:
        rows = np.zeros(0) if term.knot is not None or term.gap else y[term(facts) > 0]
        sizes.append(len(rows) if len(np.unique(rows)) > 1 else -1)
    if max(sizes, default=-1) < 0:
        return terms
    first = int(np.argmax(sizes))
    return [replace(terms[first], reference=True), *terms[:first], *terms[first + 1 :]]


def alike(score: np.ndarray) -> np.ndarray:
    """Log odds to six decimals: customers alike stay alike, whatever the order in which terms were summed.

    >>> alike(np.array([0.1 + 0.2, 0.3])).tolist()
    [0.3, 0.3]
    """
    return score.round(6)
