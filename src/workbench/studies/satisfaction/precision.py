"""Is a cell's index precise enough, and what can be said of the thin ones? Width rule, sample size, shrinkage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from workbench.errors import CannotAnswer, WorkbenchError, require_columns
from workbench.messages import Count, Listed, Message, Number, Share, join, say, spelt
from workbench.methods.cells import listed, one_cell, some_cells
from workbench.methods.survey import SurveyMean, mean_intervals
from workbench.result import Quantity, Result, Table
from workbench.studies.satisfaction.draws import refuse_undefined
from workbench.studies.satisfaction.index import POINTS, SatisfactionIndex

POWER = 0.8
THIN = 0.5


@dataclass(frozen=True, eq=False)
class IndexPrecision(Result):
    """Which indices are precise enough, and how many respondents it would take.

    Attributes
    ----------
    table : DataFrame
        One row a cell and construct: the cells' columns, construct, n, deff, width (of the interval, points), meets
        (the rule), n_needed (respondents for that width, weights and spread as they are), detectable_gap (points by
        which another operator, as precise as this one, must differ to be found in 80% of surveys).
    construct : str
        The one of `headline` and `plot`.
    limit : float
        Widest interval that the rule allows.
    """

    table: pd.DataFrame
    by: tuple[str, ...]
    construct: str
    limit: float
    level: float

    def headline(self) -> Message:
        """Say how many cells meet the rule, and what the worst would take."""
        rows = self._shown()
        worst, gap = rows.loc[rows["width"].idxmax()], rows["detectable_gap"]
        return join(
            self.say(
                "{met} of {n} {level} intervals of the {construct} index are at most {limit} points wide; {widest} is "
                "{width} with {asked} respondents, and that rule takes {needed}.",
                widest=say("the widest ({cell})", cell=one_cell(worst[[*self.by]])) if self.by else say("the widest"),
                met=int(rows["meets"].sum()),
                n=len(rows),
                limit=Number(self.limit, "g"),
                width=Number(worst["width"], ".1f"),
                asked=worst["n"],
                needed=Count(worst["n_needed"]),
            ),
            say(
                "A gap between two operators is found in {power} of surveys from {best} points in the best cell, from "
                "{worst} in the worst.",
                power=Share(POWER, 0),
                best=Number(gap.min(), ".1f"),
                worst=Number(gap.max(), ".1f"),
            ),
        )

    def quantities(self) -> Iterable[Quantity]:
        """Name the share of cells that meet the rule."""
        yield Quantity(f"precise_share[construct={self.construct}]", float(self._shown()["meets"].mean()), "share")

    def _shown(self) -> pd.DataFrame:
        return self.table[self.table["construct"] == self.construct]


@dataclass(frozen=True, eq=False)
class ShrunkenIndex(Result):
    """Indices of cells drawn towards the mean of their parent, the thinner the more.

    Attributes
    ----------
    table : DataFrame
        One row a cell and construct: the cells' columns, construct, n, index, low, high (of its own data); shrunk,
        shrunk_low, shrunk_high; shrinkage (share of own data in it, 0-1); thin (less than half is its own).
    between : Series by construct
        Standard deviation of true indices between cells of one parent (points).
    by, toward : tuple of str
        Columns of cells and of parents.
    construct : str
        The one of `headline` and `plot`.
    """

    table: pd.DataFrame
    between: pd.Series
    by: tuple[str, ...]
    toward: tuple[str, ...]
    construct: str
    level: float

    NAME, COUNTS = "provinces", "n"
    FORMATS = dict.fromkeys(["index", "low", "high", "shrunk", "shrunk_low", "shrunk_high"], "{:.1f}") | {
        "shrinkage": "{:.0%}"
    }

    def headline(self) -> Message:
        """Say how far cells differ beyond sampling error, and which are thin."""
        rows = self._shown()
        thin = rows[rows["thin"]].sort_values("shrinkage", kind="stable")
        toward = Listed(map(spelt, self.toward), "")
        borrow = say("none of {n} is thin: each estimate is at least half its own data", n=len(rows))
        if len(thin):
            borrow = say(
                "{thin} of {n} are thin and borrow more than half of their estimate from their parent: {cells}",
                thin=len(thin),
                n=len(rows),
                cells=some_cells(thin[list(self.by)].itertuples(index=False)),
            )
        return self.say(
            "Cells of {parent} differ in {construct} by {between} points (standard deviation) beyond sampling error; "
            "{borrow}.",
            parent=say("the same {columns}", columns=toward) if self.toward else say("the survey"),
            between=Number(self.between[self.construct], ".1f"),
            borrow=borrow,
        )

    def caption(self) -> Message:
        """Say what the table shows, with its units."""
        return self.say(
            "{construct} index by {columns}: of its own respondents, and shrunken towards the {parent}; shrinkage is "
            "the share of its own data in it.",
            columns=Listed(map(spelt, self.by), ""),
            parent=Listed(map(spelt, self.toward), "") if self.toward else say("survey"),
        )

    def as_table(self, **part: object) -> Table:
        """Give the index of `construct` as a page shows it, in the cells of `part` (all if none is given)."""
        rows = self._shown()
        rows = rows[(rows[list(part)] == pd.Series(part, dtype=object)).all(axis=1)].drop(columns=[*part, "construct"])
        said = self.caption()
        said = say("{cell}: {said}", cell=one_cell(part.values()), said=said) if part else said
        return replace(super().as_table(), frame=rows, caption=said)

    def quantities(self) -> Iterable[Quantity]:
        """Name every shrunken index."""
        places = {
            cell: place for place, cell in enumerate(self._shown()[list(self.by)].itertuples(index=False, name=None))
        }
        for row in self.table.to_dict("records"):
            cell = "".join(f"{column}={row[column]}," for column in self.by)
            place = places[tuple(row[column] for column in self.by)]
            name = f"index_shrunken[{cell}construct={row['construct']}]"
            yield Quantity(name, row["shrunk"], "points", row["shrunk_low"], row["shrunk_high"], row=place)

    def _shown(self) -> pd.DataFrame:
        return self.table[self.table["construct"] == self.construct]


def index_precision(index: SatisfactionIndex, *, limit: float = 4.0) -> IndexPrecision:
    """Check that no interval is wider than `limit`, and say what sample size would do it.

    n_needed is the number of respondents whose interval would keep to it, at the cell's own spread, skewness and design
    effect. The width of a thin cell falls faster than with the root of n: Student's t and the skewness go too.

    Parameters
    ----------
    limit : float
        Points; EPSI asks for 95% intervals of at most 4.

    Raises
    ------
    WorkbenchError
        If the limit is not positive.
    CannotAnswer
        If the construct's index is not defined.
    """
    if not limit > 0:
        raise WorkbenchError("limit={limit}: no interval is that narrow. Give points above 0, for instance 4.").of(
            str(limit)
        )
    refuse_undefined(index.fit, [index.construct])
    table = index.table.dropna(subset=["index"])
    width = table["high"] - table["low"]
    z = norm.isf((1 - index.level) / 2) + norm.ppf(POWER)
    rows = table[[*index.by, "construct", "n", "deff"]].assign(
        width=width,
        meets=width <= limit,
        n_needed=_needed([m for m in index.means if np.isfinite(m.estimate)], index.level, limit),
        detectable_gap=z * np.sqrt(2) * table["se"],
    )
    return IndexPrecision(rows.reset_index(drop=True), index.by, index.construct, limit, index.level)


def _needed(means: list[SurveyMean], level: float, limit: float) -> np.ndarray:
    """Fewest respondents of each cell whose interval is at most `limit` wide, shape (means,)."""
    asked = np.array([m.n for m in means])
    size = asked.astype(float)
    for _ in range(60):  # the width falls with the root of the size or faster: half the way and more each time
        grown = [
            replace(m, se=m.se / k**0.5, skewness=m.skewness / k**0.5, df=m.df * k, units=m.units * k)
            for m, k in zip(means, size / asked, strict=True)
        ]
        low, high = mean_intervals(grown, level, POINTS)
        size = np.maximum(size * (high - low) / limit, 1)
    return np.ceil(size - 1e-6).astype(int)


def shrunken_index(index: SatisfactionIndex, *, toward: Sequence[str] = ("operator", "service")) -> ShrunkenIndex:
    """Draw each cell's index towards the mean of its parent, by as much as its own data is uncertain.

    The model of Fay and Herriot: a cell's true index is its parent's mean plus what is particular to it, of one
    variance for all cells; its own estimate adds sampling error, whose variance is pooled within the parent and
    divided by n. The variance between cells is estimated by adjusted restricted likelihood, which is never 0. Intervals
    hold the error of the mean and of that variance.

    Parameters
    ----------
    index : SatisfactionIndex
        Its `minimum` decides which cells there are: lower it to have thin ones.
    toward : sequence of str
        Some of the cells' columns: their combinations are the parents; none for one parent.

    Raises
    ------
    WorkbenchError
        If `toward` names no column of the cells, or all of them.
    CannotAnswer
        If there are fewer than three cells more than parents, or the construct's index is not defined.

    Warning
    -------
    Intervals cover 95% of the cells together. A cell that is unlike all others of its parent is drawn towards them too:
    for a question about that one cell, its own interval is the honest one.

    References
    ----------
    Fay & Herriot (1979), JASA 74. Prasad & Rao (1990), JASA 85. Li & Lahiri (2010), An adjusted maximum likelihood
    method for solving small area estimation problems, Journal of Multivariate Analysis 101(4).
    """
    toward, level = listed(toward), index.level
    require_columns(index.cells, toward, "index", hint="toward= names some of the columns of its cells.")
    refuse_undefined(index.fit, [index.construct])
    if set(toward) == set(index.by):
        raise WorkbenchError("toward={names} are all columns of the cells. Leave at least one out.").of(toward)
    cells = index.cells
    parent = cells.groupby(toward, sort=True).ngroup().to_numpy() if toward else np.zeros(len(cells), int)
    if len(cells) - parent.max() - 1 < 3:
        raise CannotAnswer(
            "{n} cells in {parents} parents do not tell how much cells of a parent differ. Take finer cells (by=), "
            "or fewer columns in toward=."
        ).of(len(cells), parent.max() + 1)
    frames, between = [], {}
    for construct, rows in index.table.dropna(subset=["index"]).groupby("construct", sort=False):
        n, own = rows["n"].to_numpy(), rows["index"].to_numpy()
        variance = _pooled_variance(rows["se"].to_numpy(), n, parent)
        share, mean, error, spread = fay_herriot(own, variance, parent)
        shrunk, half = share * own + (1 - share) * mean, norm.isf((1 - level) / 2) * error
        frames.append(
            rows[[*index.by, "construct", "n", "index", "low", "high"]].assign(
                shrunk=shrunk, shrunk_low=shrunk - half, shrunk_high=shrunk + half, shrinkage=share, thin=share < THIN
            )
        )
        between[construct] = spread
    table = pd.concat(frames).sort_index().reset_index(drop=True)
    return ShrunkenIndex(table, pd.Series(between), index.by, tuple(toward), index.construct, level)


def fay_herriot(
    estimate: np.ndarray, variance: np.ndarray, parent: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Fit the area model; give each cell's share of own data, parent mean and standard error, and the spread between.

    The squared error is g1 + g2 + 2 g3 of Prasad and Rao: of the cell, of the parent's mean, of the variance.
    """
    scale = variance.mean()

    def fitted(log: float) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        between = scale * np.exp(log)
        precision = 1 / (between + variance)
        total = np.bincount(parent, precision)
        mean = (np.bincount(parent, precision * estimate) / total)[parent]
        return between, precision, total[parent], mean

    def adjusted(log: float) -> float:
        _, precision, _, mean = fitted(log)
        total = np.log(np.bincount(parent, precision)).sum()
        return 0.5 * (total - np.log(precision).sum() + (precision * (estimate - mean) ** 2).sum()) - log

    grid = np.linspace(np.log(1e-6), np.log(100 * (1 + estimate.var() / scale)), 80)
    best = int(np.argmin([adjusted(log) for log in grid]))
    ends = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    log = minimize_scalar(adjusted, bounds=ends, method="bounded", options={"xatol": 1e-10}).x
    between, precision, total, mean = fitted(log)
    share = between * precision
    g3 = variance**2 * precision**3 * 2 / (precision**2).sum()
    return share, mean, np.sqrt(share * variance + (1 - share) ** 2 / total + 2 * g3), float(np.sqrt(between))


def _pooled_variance(error: np.ndarray, n: np.ndarray, parent: np.ndarray) -> np.ndarray:
    """Sampling variance of each cell: that of one respondent, pooled within the parent, over n."""
    known = error > 0  # a cell in which all answered alike lends the spread of its parent's others
    if not known.any():
        raise CannotAnswer(
            "all respondents of every cell answered alike: how much cells differ by chance is not known."
        )
    one = np.where(known, error, 0.0) ** 2 * n
    size, total = np.bincount(parent, n * known), np.bincount(parent, n * one)
    pooled = np.where(size > 0, total / np.maximum(size, 1), total.sum() / size.sum())
    return pooled[parent] / n
