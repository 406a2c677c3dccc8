"""What do people say beside the index? Net promoter score, top boxes, effort, with design-based errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from workbench.errors import CannotAnswer, WorkbenchError, require_columns, unknown
from workbench.resampling import canonical_order
from workbench.result import Quantity, Result
from workbench.studies.cells import cell_name, listed, refuse_mixed_waves
from workbench.studies.plspm.diagram import dot_and_interval
from workbench.studies.plspm.groups import holm
from workbench.studies.voice.design import Kind, cells_of, checked_weights, design_mean, said

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Measure:
    """What is averaged over respondents.

    Attributes
    ----------
    name, item : str
        For people; column of the survey.
    kind : {"net", "top", "mean"}
        "net": per cent who answer `top` or more minus per cent who answer `bottom` or less; "top": per cent who
        answer `top` or more; "mean": the answer itself.
    low, high : float
        Ends of the item's scale.
    """

    name: str
    item: str
    kind: Kind
    low: float
    high: float
    top: float = np.nan
    bottom: float = np.nan

    def of(self, survey: pd.DataFrame) -> np.ndarray:
        """Value of each respondent (100, 0 or -100, or the answer); NaN where none was given."""
        if not pd.api.types.is_numeric_dtype(survey[self.item]):
            raise WorkbenchError(f"'{self.item}' holds text. Turn its answers into numbers first.")
        answer = survey[self.item].to_numpy(dtype=float, na_value=np.nan)
        off = ~np.isnan(answer) & ~((answer >= self.low) & (answer <= self.high))
        if off.any():
            raise WorkbenchError(
                f"'{self.item}' holds {answer[off][0]:g}, off its scale {self.low:g} to {self.high:g}, in "
                f"{off.sum():,} rows. Give the scale's ends, or make codes of missing answers missing."
            )
        if self.kind == "mean":
            return answer
        value = 100.0 * ((answer >= self.top).astype(float) - (answer <= self.bottom))
        return np.where(np.isnan(answer), np.nan, value)


def net_promoter(item: str = "NPS", *, low: float = 0, high: float = 10, top: float = 9, bottom: float = 6) -> Measure:
    """Net promoter score: per cent who answer `top` or more minus per cent who answer `bottom` or less."""
    return Measure("NPS" if item == "NPS" else f"NPS {item}", item, "net", low, high, top, bottom)


def top_boxes(item: str, *, low: float = 1, high: float = 10, boxes: int = 2, name: str = "") -> Measure:
    """Per cent who answer with one of the `boxes` highest answers of a whole-number scale."""
    return Measure(name or f"{item} top {boxes}", item, "top", low, high, high - boxes + 1)


def mean_answer(item: str, *, low: float = 1, high: float = 10, name: str = "") -> Measure:
    """Mean of an item, or of a score computed before."""
    return Measure(name or item, item, "mean", low, high)


@dataclass(frozen=True, eq=False)
class VoiceScores(Result):
    """Measures beside the index in every cell, with standard error and interval.

    Attributes
    ----------
    table : DataFrame
        One row a cell and measure: the columns of `by`, measure, estimate, se, low, high, n (answers given) and
        n_effective (answers of a simple random sample that would be as exact).
    suppressed : DataFrame
        Cells and measures with fewer than `minimum` answers: the columns of `by`, measure and n.
    measures : tuple of Measure
    by : tuple of str
    level : float
    minimum : int
    """

    table: pd.DataFrame
    suppressed: pd.DataFrame
    measures: tuple[Measure, ...]
    by: tuple[str, ...]
    level: float
    minimum: int

    def headline(self) -> str:
        """Say each measure's lowest and highest cell."""
        words = []
        for name, rows in self.table.groupby("measure", sort=False):
            lowest, highest = rows.loc[rows["estimate"].idxmin()], rows.loc[rows["estimate"].idxmax()]
            if len(rows) == 1:
                words.append(f"{name} is {said(lowest)}")
            else:
                ends = (f"{said(row)} for {cell_name(row[list(self.by)])}" for row in (lowest, highest))
                words.append(f"{name} runs from {' to '.join(ends)}")
        hidden = f" Not shown, with fewer than {self.minimum} answers: {len(self.suppressed)}."
        return f"{'; '.join(words)} ({self.level:.0%} intervals).{hidden if len(self.suppressed) else ''}"

    def summary(self) -> pd.DataFrame:
        """Tabulate cell, measure, estimate, se, low, high, n, n_effective."""
        return self.table

    def plot(self, ax: Axes | None = None, *, measure: str | None = None) -> Axes:
        """Draw a measure (the first if not given) in every cell with its interval."""
        name = self._known(measure)
        rows = self.table[self.table["measure"] == name].sort_values(list(self.by[::-1]), kind="stable")
        labels = [cell_name(values) for values in rows[list(self.by[::-1])].to_numpy()] if self.by else ["all"]
        return dot_and_interval(labels, rows, ax, label=f"{name} ({self.level:.0%} interval)", digits=".1f")

    def quantities(self) -> Iterable[Quantity]:
        """Name every estimate shown."""
        units = {m.name: "points" if m.kind == "mean" else "%" for m in self.measures}
        for row in self.table.to_dict("records"):
            cell = "".join(f"{column}={row[column]}," for column in self.by)
            name = f"voice[{cell}measure={row['measure']}]"
            yield Quantity(name, row["estimate"], units[row["measure"]], row["low"], row["high"])

    def gaps(self, measure: str | None = None, *, operator: str = "operator") -> pd.DataFrame:
        """Compare operators pair by pair within each combination of the other columns of `by`.

        Returns
        -------
        DataFrame
            One row a pair: the other columns, operator, against, gap (operator minus against), se, low, high (from
            the two intervals: Newcombe's square-and-add), p (normal, two-sided), p_holm (over all rows).

        Raises
        ------
        WorkbenchError
            If there is no such measure or column.
        CannotAnswer
            If each operator stands alone in its cell.
        """
        name = self._known(measure)
        if operator not in self.by:
            raise unknown("column", operator, self.by, "by=")
        rows = self.table[self.table["measure"] == name]
        others = [c for c in self.by if c != operator]
        groups = [group for _, group in rows.groupby(others, sort=True)] if others else [rows]
        pairs = [pair for group in groups for pair in combinations(group.index, 2)]
        if not pairs:
            raise CannotAnswer(f"no two values of '{operator}' can be compared: each stands alone in its cell.")
        one, two = (rows.loc[list(side)].reset_index(drop=True) for side in zip(*pairs, strict=True))
        gap, error = one["estimate"] - two["estimate"], np.hypot(one["se"], two["se"])
        down = np.hypot(one["estimate"] - one["low"], two["high"] - two["estimate"])
        up = np.hypot(one["high"] - one["estimate"], two["estimate"] - two["low"])
        p = 2 * stats.norm.sf(np.abs(gap) / error.where(error > 0))
        found = one[others].assign(operator=one[operator], against=two[operator], gap=gap, se=error)
        return found.assign(low=gap - down, high=gap + up, p=p, p_holm=holm(p))

    def _known(self, measure: str | None) -> str:
        names = [m.name for m in self.measures]
        if measure is not None and measure not in names:
            raise unknown("measure", measure, names)
        return measure or names[0]


def voice_scores(
    survey: pd.DataFrame,
    measures: Sequence[Measure],
    *,
    by: Sequence[str] = ("operator", "service"),
    weight: str | None = "weight",
    strata: Sequence[str] = (),
    level: float = 0.95,
    minimum: int = 30,
) -> VoiceScores:
    """Estimate measures beside the index in every cell, with design-based errors.

    Parameters
    ----------
    survey : DataFrame
        One row a respondent of one wave.
    measures : sequence of Measure
        From `net_promoter`, `top_boxes`, `mean_answer`.
    by : sequence of str
        Columns whose combinations are the cells; none for the whole survey.
    weight : str or None
        Column of the survey weight; respondents of weight 0 do not count.
    strata : sequence of str
        Columns within whose combinations respondents were drawn, besides those of `by`.
    level : float
        Coverage of the intervals, 0-1.
    minimum : int
        Fewest answers shown.

    Raises
    ------
    WorkbenchError
        If a column is missing or cannot be used, an answer is off its scale, or waves are mixed.
    CannotAnswer
        If no cell has `minimum` answers.

    Examples
    --------
    >>> survey = pd.DataFrame({"NPS": [10, 9, 9, 7, 2] * 10})
    >>> voice_scores(survey, [net_promoter()], by=(), weight=None).table.loc[0, ["estimate", "n"]].tolist()
    [40.0, 50.0]
    """
    by, strata = listed(by), listed(strata)
    columns = [*by, *strata, *([weight] if weight else [])]
    require_columns(survey, [*columns, *(m.item for m in measures)], "survey")
    refuse_mixed_waves(survey, by)
    if not 0 < level < 1 or not measures:
        raise WorkbenchError(f"level={level}, {len(measures)} measures. Give a level between 0 and 1, and a measure.")
    kept = survey[checked_weights(survey, weight) > 0]
    values = {m: m.of(kept) for m in measures}
    used = kept[columns].assign(**{f"_{i}": v for i, v in enumerate(values.values())})
    order = canonical_order(used)
    kept, w = kept.iloc[order], checked_weights(kept, weight)[order]
    stratum = kept.groupby(strata, dropna=False).ngroup().to_numpy() if strata else None
    shown, hidden = [], []
    for cell, rows in cells_of(kept, by):
        for measure in measures:
            y = values[measure][order][rows]
            given = rows[~np.isnan(y)]
            place = dict(zip(by, cell, strict=True)) | {"measure": measure.name}
            if len(given) < max(minimum, 2):
                hidden.append(place | {"n": len(given)})
                continue
            mean = design_mean(y[~np.isnan(y)], w[given], None if stratum is None else stratum[given])
            low, high = mean.interval(measure.kind, level)
            row = {"estimate": mean.estimate, "se": mean.se, "low": low, "high": high}
            shown.append(place | row | {"n": mean.n, "n_effective": mean.n_effective})
    if not shown:
        raise CannotAnswer(f"no cell has {minimum} answers. Ask for fewer columns in by=, or a lower minimum=.")
    suppressed = pd.DataFrame(hidden, columns=[*by, "measure", "n"])
    return VoiceScores(pd.DataFrame(shown), suppressed, tuple(measures), tuple(by), level, minimum)
