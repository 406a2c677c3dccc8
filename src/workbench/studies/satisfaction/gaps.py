"""Is one operator better than another, or is it chance? Gaps of the index, pair by pair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.figures import Axes, dot_and_interval
from workbench.messages import Label, Listed, Message, Number, Share, Span, Word, join, say
from workbench.methods.cells import one_cell
from workbench.methods.multiple import benjamini_hochberg, holm
from workbench.methods.plspm.groups import MeasurementInvariance
from workbench.methods.resampling import standard_error
from workbench.methods.survey import gaps_of, mean_intervals, reaches
from workbench.result import Quantity, Result
from workbench.studies.satisfaction.draws import undefined
from workbench.studies.satisfaction.index import POINTS, SatisfactionIndex


@dataclass(frozen=True, eq=False)
class OperatorGaps(Result):
    """Differences between operators within each service, and which are significant.

    Attributes
    ----------
    table : DataFrame
        One row a pair: the other columns of the index's cells, operator, against, gap (points, operator minus
        against), se, low, high, p (two-sided, normal with the resamples' standard error), p_holm and p_bh (over all
        rows: no false finding, or few of the findings false, but for 1 - level), significant (by p_holm),
        comparable (False where the construct does not mean the same to both; p is then not claimed).
    tested : bool
        Whether that could be told: else the page does not call gaps comparable.
    """

    table: pd.DataFrame
    construct: str
    level: float
    tested: bool = False

    NAME = "gaps"
    CHART = say("Dots with intervals, a row a pair")
    FORMATS = dict.fromkeys(["gap", "low", "high"], "{:+.1f}") | {"se": "{:.1f}"}
    CAPTION = "Differences in the {construct} index, points."
    PICTURE_CAPTION = "Differences in the {construct} index with {level} intervals; zero means no difference."

    @property
    def others(self) -> list[str]:
        """Columns of the cells besides the operator."""
        return list(self.table.columns[: self.table.columns.get_loc("operator")])

    def headline(self) -> Message:
        """Say how many gaps are significant, and the largest of those (else the largest of all)."""
        table = self.table[self.table["comparable"]]
        broken = self.table[~self.table["comparable"]]
        pairs = broken[["operator", "against"]].drop_duplicates().itertuples(index=False)
        claim = self.say("No gap in {construct} can be claimed.")
        return join(
            claim if table.empty else self._claimed(table),
            self.say(
                "Not comparable, because {construct} does not mean the same to their customers: {pairs}.",
                pairs=Listed((Listed(map(str, pair)) for pair in pairs), ";"),
            )
            if len(broken)
            else say(""),
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate the gaps."""
        return self.table if self.tested else self.table.drop(columns="comparable")

    def of(self, operator: str) -> pd.DataFrame:
        """Give the gaps that can be claimed of one operator to each other, as its own minus theirs."""
        table = self.table[self.table["comparable"] & self.table["low"].notna()]
        turned = table["against"].astype(str) == str(operator)
        sign = np.where(turned, -1, 1)
        ends = table[["low", "high"]].mul(sign, axis=0)
        table = table.assign(
            against=table["operator"].where(turned, table["against"]),
            operator=operator,
            gap=table["gap"] * sign,
            low=ends.min(axis=1),
            high=ends.max(axis=1),
        )
        return table[turned | (self.table.loc[table.index, "operator"].astype(str) == str(operator))]

    def there(self, operator: object, row: pd.Series) -> Message:
        """Name an operator in the cell of a row."""
        if not self.others:
            return say("{name}", name=Word(str(operator)))
        return say("{name} in {place}", name=Word(str(operator)), place=one_cell(row[self.others]))

    def _claimed(self, table: pd.DataFrame) -> Message:
        clear, alpha = table[table["significant"]], Share(1 - self.level, 0)
        n, many = len(clear), len(table)
        gap = self._said(clear if n else table)
        if many == 1 and not n:
            return self.say(
                "The gap in {construct} is not significant ({alpha}); measured: {gap}.", alpha=alpha, gap=gap
            )
        rule = say("(Holm over {n}, {alpha})", n=many, alpha=alpha) if many > 1 else say("({alpha})", alpha=alpha)
        found: dict[str, Any] = {"all": many, "construct": Label(self.construct), "rule": rule, "gap": gap}
        if not n:
            return say(
                "None of the {all} gaps in {construct} is significant {rule}; the largest measured: {gap}.", **found
            )
        if n == 1:
            return say("1 of {all} gaps in {construct} is significant {rule}: {gap}.", **found)
        return say("{n} of {all} gaps in {construct} are significant {rule}: the largest of them {gap}.", n=n, **found)

    def _said(self, rows: pd.DataFrame) -> Message:
        known = rows.dropna(subset=["low"])
        known = known if len(known) else rows
        top = known.loc[known["gap"].abs().idxmax()]
        first, second, gap, low, high = top["operator"], top["against"], top["gap"], top["low"], top["high"]
        if gap < 0:
            first, second, gap, low, high = second, first, -gap, -high, -low
        return say(
            "{first} above {second} by {gap} points {span}",
            first=Word(str(first)),
            second=self.there(second, top),
            gap=Number(gap, ".1f"),
            span=Span(low, high, ".1f", self.level),
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw each gap with its interval; the line at zero is no gap."""
        labels = [
            " · ".join([f"{row['operator']} − {row['against']}", *(str(row[c]) for c in self.others)])
            for row in self.table.to_dict("records")
        ]
        table = self.table.rename(columns={"gap": "estimate"})
        label = self.say("gap in {construct} (points)")
        return dot_and_interval(labels, table, ax, label=label, zero=True, digits="+.1f")

    def quantities(self) -> Iterable[Quantity]:
        """Name every gap that can be claimed."""
        for row in self.table[self.table["comparable"]].to_dict("records"):
            cell = "".join(f"{c}={row[c]}," for c in self.others)
            pair = f"operator={row['operator']},against={row['against']},construct={self.construct}"
            if np.isfinite(row["low"]):
                yield Quantity(f"gap[{cell}{pair}]", row["gap"], "points", row["low"], row["high"])


def operator_gaps(
    index: SatisfactionIndex, *, operator: str = "operator", invariance: MeasurementInvariance | None = None
) -> OperatorGaps:
    """Compare operators pair by pair within each service (each combination of the other cell columns).

    The interval is made of those of the two indices, with their correlation over the resamples (square-and-add); p is
    of the same error: a share of resamples beyond zero could not fall below 2 / (resamples + 1), and no gap would
    survive the adjustment for many pairs. A cell in which (almost) all answer alike takes part with what its interval
    leaves.

    Parameters
    ----------
    operator : str
        Column of the cells that names the operator.
    invariance : MeasurementInvariance, optional
        What `measurement_invariance` (group = the operator's column) found: where a construct lacks compositional
        invariance (step 2), no p is given for the pair.

    Raises
    ------
    WorkbenchError
        If the index has no such column, or a pair was not tested for invariance.
    CannotAnswer
        If no service has two operators, or the construct's index is not defined.
    """
    construct, level = index.construct, index.level
    of_construct(index)
    others, groups = operator_groups(index, operator)
    pairs = [pair for rows in groups for pair in combinations(rows, 2)]
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    gap, error, low, high, p = gaps_between(index, first, second)
    table = index.cells.loc[first, others].reset_index(drop=True)
    table = table.assign(
        operator=index.cells.loc[first, operator].to_numpy(),
        against=index.cells.loc[second, operator].to_numpy(),
        gap=gap,
        se=error,
        low=low,
        high=high,
    )
    comparable = _comparable(table, invariance, construct)
    p = np.where(comparable, p, np.nan)
    adjusted, told = np.full((2, len(p)), np.nan), ~np.isnan(p)
    adjusted[:, told] = holm(p[told]), benjamini_hochberg(p[told])
    table = table.assign(p=p, p_holm=adjusted[0], p_bh=adjusted[1], significant=adjusted[0] < 1 - level)
    tested = invariance is not None and (invariance.tellable or not comparable.all())
    return OperatorGaps(table.assign(comparable=comparable), construct, level, tested)


def gaps_between(index: SatisfactionIndex, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, ...]:
    """Gap, standard error, low, high and p of pairs of cells (by position), each of shape (pairs,)."""
    estimate, replicates = of_construct(index)
    means, level = index.of(index.construct), index.level
    ends = np.stack(list(mean_intervals(means, level, POINTS)), axis=1) - estimate[:, None]
    together = pair_correlation(replicates[:, first], replicates[:, second])
    gap, df = estimate[first] - estimate[second], np.array([m.df for m in means])
    low, high, p = gaps_of(gap, ends[first], ends[second], together, np.stack([df[first], df[second]], axis=1), level)
    hidden = unseen(index)
    error = np.sqrt(standard_error(replicates[:, first] - replicates[:, second]) ** 2 + hidden[first] + hidden[second])
    return gap, np.where(np.isfinite(error), error, np.nan), low, high, p


def pair_correlation(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Correlation of columns over the rows that both have; 0 where one does not vary."""
    given = ~np.isnan(one) & ~np.isnan(two)
    with np.errstate(divide="ignore", invalid="ignore"):
        one, two = (np.where(given, a - np.where(given, a, 0).sum(axis=0) / given.sum(axis=0), 0) for a in (one, two))
        found = (one * two).sum(axis=0) / np.sqrt((one**2).sum(axis=0) * (two**2).sum(axis=0))
    return np.where(np.isfinite(found), found, 0.0)


def unseen(index: SatisfactionIndex) -> np.ndarray:
    """Variance that resamples do not show where (almost) all of a cell answer alike, (cells,); infinite if unknown."""
    means = index.of(index.construct)
    return np.maximum(reaches(means, index.level, POINTS) ** 2 - np.array([m.se for m in means]) ** 2, 0)


def of_construct(index: SatisfactionIndex) -> tuple[np.ndarray, np.ndarray]:
    """Index by cell and resamples of the construct; refused where it is not defined."""
    k = index.fit.model.names.index(index.construct)
    if np.isnan(index.estimate[:, k]).any():
        raise CannotAnswer(undefined(index.fit, index.construct))
    return index.estimate[:, k], index.replicates[:, :, k]


def operator_groups(index: SatisfactionIndex, operator: str) -> tuple[list[str], list[np.ndarray]]:
    """Other columns of the cells, and the cells of each of their combinations that holds two operators or more."""
    if operator not in index.by:
        raise WorkbenchError("the index has no column '{operator}' to compare. It has: {names}.").of(operator, index.by)
    others = [c for c in index.by if c != operator]
    group = index.cells.groupby(others, sort=True).ngroup().to_numpy() if others else np.zeros(len(index.cells), int)
    groups = [rows for g in range(group.max() + 1) if len(rows := np.flatnonzero(group == g)) > 1]
    if not groups:
        raise CannotAnswer("no two values of '{operator}' can be compared: each stands alone in its cell.").of(operator)
    return others, groups


def _comparable(table: pd.DataFrame, invariance: MeasurementInvariance | None, construct: str) -> np.ndarray:
    if invariance is None:
        return np.ones(len(table), bool)
    rows = invariance.table[invariance.table["construct"] == construct]
    found = {frozenset((row.first, row.second)): row.invariance for row in rows.itertuples()}
    pairs = [frozenset(pair) for pair in zip(table["operator"], table["against"], strict=True)]
    unknown = [pair for pair in pairs if pair not in found]
    if unknown:
        raise WorkbenchError(
            "invariance= says nothing of {construct} between {names}. Test the same survey with "
            "measurement_invariance(survey, model, group=…), by the operator's column."
        ).of(construct, sorted(map(str, unknown[0])))
    return np.array([found[pair] != "none" for pair in pairs])
