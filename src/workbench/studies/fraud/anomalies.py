"""Who of the lines that no rule finds is unlike all others, and does looking at them beat looking at random ones?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.stats import hypergeom
from sklearn.ensemble import IsolationForest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.messages import Label, Listed, Message, Number, Span, say
from workbench.methods.resampling import canonical_order, one_thread
from workbench.result import COUNT, Quantity, Result
from workbench.studies.fraud.verdicts import LINE, signals, verdicts

TREES, SEEDS, REASONS = 100, (0, 1, 2), 3


@dataclass(frozen=True, eq=False)
class Anomalies(Result):
    """The lines least like the others, beside a random list of the same length.

    Attributes
    ----------
    table : DataFrame
        One row a column that is among a line's first three reasons: reason, lines, first (as the first reason).
    listed : DataFrame
        One row a line of the list, strangest first: the line, score (0.5 is ordinary, 1 the strangest), reasons.
    lines : int
        Lines that no rule finds.
    fraud : int
        Known frauds among them.
    found, expected, low, high : float
        Known frauds on the list; on a random list of its length, on average and between which numbers it would lie.
    p : float
        Chance that a random list has as many.
    level : float
    """

    table: pd.DataFrame
    listed: pd.DataFrame
    lines: int
    fraud: int
    found: int
    expected: float
    low: float
    high: float
    p: float
    level: float

    NAME, COUNTS = "anomalies", "lines"
    FORMATS = dict.fromkeys(["first"], COUNT)
    CAPTION: ClassVar[str] = "What makes the listed lines unlike the others: columns among their first three reasons."

    @property
    def better(self) -> bool:
        """Whether the list beats a random one."""
        return self.p < 1 - self.level

    def headline(self) -> Message:
        """Say whether the list beats a random one of its length."""
        if not self.fraud:
            return say(
                "No fraud is known among the {all} lines that no rule finds: whether the {n} strangest are better than "
                "random ones is unknown.",
                n=len(self.listed),
                all=self.lines,
            )
        return say(
            "The {n} strangest of {all} lines that no rule finds hold {found} of {fraud} known frauds, a random list "
            "{expected} {span}: {verdict}.",
            n=len(self.listed),
            all=self.lines,
            found=self.found,
            fraud=self.fraud,
            expected=Number(self.expected, ".1f"),
            span=Span(self.low, self.high, ".0f"),
            verdict=say("it is better than random") if self.better else say("it is no better than random"),
        )

    def quantities(self) -> Iterable[Quantity]:
        """Known frauds on the list, and on a random one."""
        yield Quantity("anomalies_fraud", float(self.found), "lines")
        yield Quantity("anomalies_random", self.expected, "lines", self.low, self.high)


def anomalies(rest: pd.DataFrame, cases: pd.DataFrame, *, size: int = 100, level: float = 0.95) -> Anomalies:
    """List the lines that are least like the others, by an isolation forest over all columns of numbers.

    A line's score is that of its strangest window, the mean over three forests of fixed seeds; a reason is how much
    less strange the window would be with the usual value of a column.

    Parameters
    ----------
    rest : DataFrame
        Lines that no rule finds, in the form that `rule_hits` takes: `RuleHits.rest` gives them.
    cases : DataFrame
        As for `rule_hits`; here tips count too.
    size : int
        Lines to list.
    level : float

    Raises
    ------
    WorkbenchError
        If a column is missing or holds something else, or `size` is no whole number from 1.
    CannotAnswer
        If there are no more lines than the list is long.
    """
    if size < 1 or size % 1 or not 0 < level < 1:
        raise WorkbenchError("size is a whole number of lines from 1, and level between 0 and 1.")
    size, known = int(size), verdicts(rest, cases)
    n = len(known.ids)
    if n <= size:
        raise CannotAnswer(say("not answerable: {n} lines are left, and the list is to have {size}.", n=n, size=size))
    table, gone = signals(rest)
    order = canonical_order(table)
    x = table.to_numpy()
    with one_thread():
        forests = [IsolationForest(n_estimators=TREES, random_state=seed).fit(x[order]) for seed in SEEDS]
        score = _score(forests, x)
        top = np.full(n, -1)
        top[known.row[np.argsort(score, kind="stable")]] = np.argsort(score, kind="stable")
        places = pd.Series(np.arange(len(order)), index=order).sort_index().to_numpy()
        first = np.lexsort((np.arange(n), places[top], -score[top]))[:size]
        lead = _reasons(forests, x, top[first], score[top[first]])
    fraud = known.any == 1
    all_fraud, found = int(fraud.sum()), int(fraud[first].sum())
    random = hypergeom(n, all_fraud, size)
    low, high = random.interval(level)
    reasons = [
        say("{text}", text=Listed([_reason(table.columns[k], x[at, k], gone) for k in columns], ";"))
        for at, columns in zip(top[first], lead, strict=True)
    ]
    listed = pd.DataFrame({LINE: known.ids.to_numpy()[first], "score": score[top[first]], "reasons": reasons})
    named = table.columns.to_numpy()
    counted = pd.DataFrame(
        {
            "reason": named,
            "lines": [sum(k in columns for columns in lead) for k in range(len(named))],
            "first": [sum(columns[:1] == [k] for columns in lead) for k in range(len(named))],
        }
    ).query("lines > 0")
    counted = counted.sort_values(["lines", "first", "reason"], ascending=[False, False, True], ignore_index=True)
    beaten = float(random.sf(found - 1))
    return Anomalies(counted, listed, n, all_fraud, found, size * all_fraud / n, float(low), float(high), beaten, level)


def _score(forests: list[IsolationForest], x: np.ndarray) -> np.ndarray:
    """Mean score of each row over the forests, to a billionth, so that equal rows tie."""
    return np.mean([-forest.score_samples(x) for forest in forests], axis=0).round(9)


def _reasons(forests: list[IsolationForest], x: np.ndarray, rows: np.ndarray, score: np.ndarray) -> list[list[int]]:
    """Columns whose usual value would make each row less strange, most of all first, three at most."""
    usual, less = np.median(x, axis=0), np.empty((len(rows), x.shape[1]))
    for k in range(x.shape[1]):
        without = x[rows].copy()
        without[:, k] = usual[k]
        less[:, k] = score - _score(forests, without)
    by = np.argsort(-less, axis=1, kind="stable")[:, :REASONS]
    return [[int(k) for k in columns if gains[k] > 0] for columns, gains in zip(by, less, strict=True)]


def _reason(column: str, value: float, gone: Mapping[str, float]) -> Message:
    if value == gone.get(column):
        return say("{column}: missing", column=Label(column))
    return say("{column}: {value}", column=Label(column), value=Number(value, ",.4g"))
