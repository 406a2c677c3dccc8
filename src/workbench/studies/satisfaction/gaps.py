"""Is one operator better than another, or is it noise? Gaps of the index, pair by pair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import norm

from workbench.errors import CannotAnswer, WorkbenchError, named
from workbench.resampling import interval
from workbench.result import Quantity, Result
from workbench.studies.plspm.bootstrap import standard_error
from workbench.studies.plspm.diagram import dot_and_interval
from workbench.studies.plspm.groups import holm
from workbench.studies.satisfaction.index import SatisfactionIndex, cell_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class OperatorGaps(Result):
    """Differences between operators within each service, against noise.

    Attributes
    ----------
    table : DataFrame
        One row a pair: the other columns of the index's cells, operator, against, gap (points, operator minus
        against), se, low, high, p (two-sided, normal with the resamples' standard error), p_holm (over all
        rows), larger_than_noise.
    construct : str
    level : float
    """

    table: pd.DataFrame
    construct: str
    level: float

    def headline(self) -> str:
        """Say how many gaps are larger than noise, and the largest of those (else the largest of all)."""
        clear = self.table[self.table["larger_than_noise"]]
        count, all_of = len(clear), len(self.table)
        rule = f"(Holm over {all_of}, {1 - self.level:.0%})" if all_of > 1 else f"({1 - self.level:.0%})"
        if not count:
            none = "The gap" if all_of == 1 else f"None of the {all_of} gaps"
            return (
                f"{none} in {self.construct} is {'no ' if all_of == 1 else ''}larger than noise {rule}; "
                f"{'' if all_of == 1 else 'the largest '}measured: {self._said(self.table)}."
            )
        verb = "is" if count == 1 else "are"
        lead = "" if count == 1 else "the largest of them "
        return (
            f"{count} of {all_of} gaps in {self.construct} {verb} larger than noise {rule}: {lead}{self._said(clear)}."
        )

    def _said(self, rows: pd.DataFrame) -> str:
        top = rows.loc[rows["gap"].abs().idxmax()]
        first, second, gap, low, high = top["operator"], top["against"], top["gap"], top["low"], top["high"]
        if gap < 0:
            first, second, gap, low, high = second, first, -gap, -high, -low
        others = list(self.table.columns[: self.table.columns.get_loc("operator")])
        where = f" in {cell_name(top[others])}" if others else ""
        return f"{first} above {second}{where} by {gap:.1f} points ({self.level:.0%} interval {low:.1f} to {high:.1f})"

    def summary(self) -> pd.DataFrame:
        """Tabulate the pairs: gap, se, low, high, p, p_holm, larger_than_noise."""
        return self.table

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw each gap with its interval; the line at zero is no gap."""
        others = list(self.table.columns[: self.table.columns.get_loc("operator")])
        labels = [
            f"{row['operator']} − {row['against']}" + (f" · {cell_name([row[c] for c in others])}" if others else "")
            for row in self.table.to_dict("records")
        ]
        table = self.table.rename(columns={"gap": "estimate"})
        return dot_and_interval(labels, table, ax, label=f"gap in {self.construct} (points)", zero=True, digits="+.1f")

    def quantities(self) -> Iterable[Quantity]:
        """Name every gap."""
        others = list(self.table.columns[: self.table.columns.get_loc("operator")])
        for row in self.table.to_dict("records"):
            cell = "".join(f"{c}={row[c]}," for c in others)
            pair = f"operator={row['operator']},against={row['against']},construct={self.construct}"
            yield Quantity(f"gap[{cell}{pair}]", row["gap"], "points", row["low"], row["high"])


def operator_gaps(
    index: SatisfactionIndex, *, construct: str | None = None, operator: str = "operator", level: float | None = None
) -> OperatorGaps:
    """Compare operators pair by pair within each service (each combination of the other cell columns).

    p is normal with the standard error of the resamples: a share of resamples beyond zero could not fall below
    2 / (resamples + 1), and no gap would survive the adjustment for many pairs.

    Parameters
    ----------
    index : SatisfactionIndex
    construct : str, optional
        The index's own if not given.
    operator : str
        Column of the cells that names the operator.
    level : float, optional
        Coverage of each interval and 1 - family-wise error of the Holm-adjusted test; the index's own if not given.

    Raises
    ------
    WorkbenchError
        If the index has no such column or construct.
    CannotAnswer
        If no service has two operators, or the construct's index is not defined.
    """
    construct = construct or index.construct
    level = index.level if level is None else level
    index.fit.model.construct(construct)
    if operator not in index.by:
        raise WorkbenchError(f"the index has no column '{operator}' to compare. It has: {named(index.by)}.")
    k = index.fit.model.names.index(construct)
    if np.isnan(index.estimate[:, k]).any():
        raise CannotAnswer(f"the index of {construct} is not defined: {' '.join(index.fit.verdicts)}")
    others = [c for c in index.by if c != operator]
    group = index.cells.groupby(others, sort=True).ngroup().to_numpy() if others else np.zeros(len(index.cells), int)
    groups = [np.flatnonzero(group == g) for g in range(group.max() + 1)]
    pairs = [pair for rows in groups for pair in combinations(rows, 2)]
    if not pairs:
        raise CannotAnswer(f"no two values of '{operator}' can be compared: each stands alone in its cell.")
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    gap = index.estimate[first, k] - index.estimate[second, k]
    drawn = index.replicates[:, first, k] - index.replicates[:, second, k]
    low, high = interval(gap, drawn, level=level)
    error = standard_error(drawn)
    p = 2 * norm.sf(np.abs(gap) / error)
    table = index.cells.loc[first, others].reset_index(drop=True)
    table = table.assign(
        operator=index.cells.loc[first, operator].to_numpy(),
        against=index.cells.loc[second, operator].to_numpy(),
        gap=gap, se=error, low=low, high=high, p=p, p_holm=holm(p),
    )  # fmt: skip
    return OperatorGaps(table.assign(larger_than_noise=table["p_holm"] < 1 - level), construct, level)
