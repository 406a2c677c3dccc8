"""Which rules do the data suggest? Leaves of one small tree, kept where they hold on lines that it has not seen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

from workbench.errors import CannotAnswer
from workbench.messages import Message, say
from workbench.methods import intervals
from workbench.methods.resampling import Rng, canonical_order, seeds
from workbench.result import COUNT, SHARE, Result, Table
from workbench.rules import condition, judge
from workbench.studies.fraud.rulebase import THRESHOLD, RuleBase
from workbench.studies.fraud.verdicts import FEWEST, Verdicts, signals, verdicts

DEPTH, LEAVES, SMALLEST = 3, 8, 3
Bound = tuple[str, str, float]  # column, > or <=, value


@dataclass(frozen=True, eq=False)
class Candidates(Result):
    """What a tree suggests on one half of the lines, judged on the other.

    Attributes
    ----------
    table : DataFrame
        One row a suggestion, and on the half that the tree has not seen hits (lines), fraud (of them known), confirmed
        (their share of all hits, as if all who are not decided were honest), low, high, new_frauds (that no rule
        finds), verdict (in words).
    expressions : tuple of str
        Of each suggestion, in the order of the table.
    holds : ndarray of bool
        Whether each holds.
    base : float
        Share of known frauds among all lines of that half.
    toml : str
        The kept ones in the form of `rules.toml`; action and owner are empty, so that no file with them is read before
        a person signs.
    """

    table: pd.DataFrame
    expressions: tuple[str, ...]
    holds: np.ndarray
    base: float
    toml: str

    NAME: ClassVar[str] = "rule_candidates"
    FORMATS = dict.fromkeys(["hits", "fraud", "new_frauds"], COUNT) | dict.fromkeys(["confirmed", "low", "high"], SHARE)
    CAPTION: ClassVar[str] = (
        "What one small tree suggests on half of the lines, judged on the other half: known frauds among the lines "
        "found there, and how many of them no rule finds."
    )

    def headline(self) -> Message:
        """Say how many suggestions hold, and what they would add."""
        kept = self.table[self.holds]
        if not len(kept):
            return say("The data suggest no rule that holds on the half that the tree has not seen.")
        return say(
            "{n} of {all} suggested rules hold on the half that the tree has not seen; {known} of their {fraud} frauds "
            "there are found by a rule already. Nobody has signed them.",
            n=len(kept),
            all=len(self.table),
            known=(kept["fraud"] - kept["new_frauds"]).sum(),
            fraud=kept["fraud"].sum(),
        )

    def as_toml(self) -> Table:
        """Give the kept ones as a reader copies them into a file, a row a line."""
        caption = say("The rules that hold, as they go into a file of one's own once action and owner are filled in.")
        return Table("rules_to_sign", pd.DataFrame({"toml": self.toml.splitlines()}), caption, minimum=0)


def rule_candidates(
    lines: pd.DataFrame, rules: RuleBase, cases: pd.DataFrame, *, level: float = 0.95, rng: Rng = 0
) -> Candidates:
    """Suggest rules by one small tree on half of the lines; keep those that hold on the other.

    A suggestion holds if the lower end of its confirmed share, at the level divided among the suggestions (Bonferroni),
    lies above the share of known frauds among all lines of that half, with three frauds or more. Numbers are rounded to
    three figures before it is judged.

    Parameters
    ----------
    lines, rules, cases
        As for `rule_hits`; of windows of several lengths the most frequent one.
    level : float
        Of Wilson's intervals.
    rng : int, SeedSequence or Generator
        Of the halves.

    Raises
    ------
    WorkbenchError
        If a column is missing or holds something else.
    CannotAnswer
        If fewer than 12 frauds are known: each half needs some.
    """
    known = verdicts(lines, cases)
    window = int(pd.Series(known.days).mode().iloc[0])
    mine = known.days == window
    lines, row = lines[mine].reset_index(drop=True), known.row[mine]
    (table, gone), fraud = signals(lines), known.any == 1
    here = np.zeros(len(fraud), bool)
    here[row] = True
    fraud &= here
    if fraud.sum() < 4 * FEWEST:
        raise CannotAnswer(
            say("not answerable: {n} frauds are known among these lines, and {all} are needed.", n=fraud.sum(), all=12)
        )
    learns = _half(table, row, fraud, here, rng)
    order = canonical_order(table.assign(fraud=fraud[row]))
    order = order[learns[row[order]]]
    tree = DecisionTreeClassifier(
        max_depth=DEPTH, max_leaf_nodes=LEAVES, min_samples_leaf=SMALLEST, min_impurity_decrease=1e-6, random_state=0
    ).fit(table.iloc[order].to_numpy(), fraud[row[order]])
    found = _found(lines, rules, known, row)
    rows: list[tuple[object, ...]] = []
    kept, expressions, holds, tests = [], [], [], here & ~learns
    base = fraud[tests].mean()
    paths = [_simpler(path, table, row, learns, fraud) for path in _leaves(tree, table, fraud[row] & learns[row])]
    for n, bounds in enumerate(paths):
        if bounds in paths[:n]:
            continue
        expression = " and ".join(_said(bound, gone) for bound in bounds)
        met = judge({"candidate": (condition(expression, "candidate"), {})}, lines, "lines")["candidate"] == 1
        hit = _lines(met, row, tests)
        hits, frauds = int(hit.sum()), int((hit & fraud).sum())
        low, high = intervals.share(frauds, hits, level=level)
        strict = intervals.share(frauds, hits, level=1 - (1 - level) / len(paths))[0]
        good = bool(frauds >= FEWEST and strict > base)
        expressions.append(expression)
        holds.append(good)
        rows.append(
            (
                say("suggestion {n}", n=len(rows) + 1),
                hits,
                frauds,
                frauds / hits if hits else np.nan,
                float(low),
                float(high),
                int((hit & fraud & ~found).sum()),
                say("holds") if good else say("does not hold"),
            )
        )
        if good:
            typical = table[met & (fraud & learns)[row]].median()
            end = pd.Timestamp(known.ends.max())
            kept.append(_toml(f"candidate_{len(rows)}", bounds, typical, gone, window, end))
    names = ["candidate", "hits", "fraud", "confirmed", "low", "high", "new_frauds", "verdict"]
    table = pd.DataFrame(rows, columns=names)
    return Candidates(table, tuple(expressions), np.array(holds, dtype=bool), float(base), "\n".join(kept))


def _half(table: pd.DataFrame, row: np.ndarray, fraud: np.ndarray, here: np.ndarray, rng: Rng) -> np.ndarray:
    """Draw half of the frauds and half of the others, whatever the order and the names of the lines."""
    by = table.groupby(row)
    ends = by.max().add_suffix(" high").join(by.min().add_suffix(" low")).assign(fraud=fraud[here])
    ordered = np.flatnonzero(here)[canonical_order(ends)]
    shuffled = np.random.default_rng(seeds(rng, 1)[0]).permutation(ordered)
    learns = np.zeros(len(fraud), bool)
    for one in (True, False):
        learns[shuffled[fraud[shuffled] == one][::2]] = True
    return learns


def _found(lines: pd.DataFrame, rules: RuleBase, known: Verdicts, row: np.ndarray) -> np.ndarray:
    """Which lines a rule finds already."""
    found = np.zeros(len(known.ids), bool)
    for met in rules.judged(lines).values():
        found[row[met == 1]] = True
    return found


def _leaves(tree: DecisionTreeClassifier, table: pd.DataFrame, cheats: np.ndarray) -> Iterator[list[Bound]]:
    """Paths to the leaves where most rows cheat, the one with most frauds first, numbers rounded to three figures."""
    inner, names = tree.tree_, list(table.columns)
    reached = np.bincount(tree.apply(table.to_numpy())[cheats], minlength=inner.node_count)
    paths: list[tuple[int, list[Bound]]] = []

    def walk(node: int, path: dict[tuple[str, str], float]) -> None:
        if inner.children_left[node] < 0:
            if inner.value[node][0].argmax() == 1:
                paths.append((int(reached[node]), [(*key, float(f"{at:.3g}")) for key, at in path.items()]))
            return
        name, cut = names[inner.feature[node]], inner.threshold[node]
        walk(inner.children_left[node], path | {(name, "<="): cut})
        walk(inner.children_right[node], path | {(name, ">"): cut})

    def by_content(one: tuple[int, list[Bound]]) -> tuple[int, list[tuple[int, str, float]]]:
        return -one[0], [(names.index(name), sign, cut) for name, sign, cut in one[1]]

    if tree.n_classes_ == 2:
        walk(0, {})
    yield from (path for _, path in sorted(paths, key=by_content) if path)


def _simpler(
    bounds: list[Bound], table: pd.DataFrame, row: np.ndarray, learns: np.ndarray, fraud: np.ndarray
) -> list[Bound]:
    """Leave out, last first, each bound without which the confirmed share of the half that learns is as good."""

    def good(some: list[Bound]) -> float:
        met = np.ones(len(table), bool)
        for name, sign, cut in some:
            met &= (table[name] > cut if sign == ">" else table[name] <= cut).to_numpy()
        hit = _lines(met, row, learns)
        return float(intervals.share((hit & fraud).sum(), hit.sum())[0])

    for bound in reversed(bounds):
        fewer = [one for one in bounds if one != bound]
        if fewer and good(fewer) >= good(bounds):
            bounds = fewer
    return bounds


def _lines(met: np.ndarray, row: np.ndarray, among: np.ndarray) -> np.ndarray:
    hit = np.zeros(len(among), bool)
    hit[row[met]] = True
    return hit & among


def _said(bound: Bound, gone: Mapping[str, float], value: str = "") -> str:
    """A bound as it stands in an expression; a missing value counts as the tree took it."""
    name, sign, cut = bound
    quoted = name if name.isidentifier() and name.islower() else '"' + name.replace('"', '""') + '"'
    column = f"coalesce({quoted}, {gone[name]:.15g})" if name in gone else quoted
    return f"{column} {sign} {value or format(cut, '.15g')}"


def _toml(
    name: str, bounds: list[Bound], typical: pd.Series, gone: Mapping[str, float], window: int, since: pd.Timestamp
) -> str:
    """A suggestion as a rule to be signed: the first number is its threshold, a typical and a near line its cases."""
    (column, sign, cut), *others = bounds
    expression = " and ".join([_said(bounds[0], gone, THRESHOLD), *(_said(bound, gone) for bound in others)])
    fires = {bound[0]: float(f"{typical[bound[0]]:.6g}") for bound in bounds if typical[bound[0]] != gone.get(bound[0])}
    spares = fires | {column: cut if sign == ">" else cut + 1}
    cases = [
        "{ " + ", ".join(f"{json.dumps(c, ensure_ascii=False)} = {v!r}" for c, v in one.items()) + " }"
        for one in (fires, spares)
    ]
    said = [
        "[[rule]]",
        f'id = "{name}"',
        f"name = {json.dumps(name.replace('_', ' '))}",
        f"expression = {json.dumps(expression, ensure_ascii=False)}",
        f"window = {window}",
        f"threshold = {cut!r}",
        'severity = "medium"',
        'action = ""  # what is done',
        'owner = ""  # who signs',
        f"since = {since.date()}",
        f"fires = {cases[0]}",
        f"spares = {cases[1]}",
    ]
    return "\n".join(said) + "\n"
