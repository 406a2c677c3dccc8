"""What did a rollout by province change, judged by the provinces that had not got it (yet)?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError, named, require_columns, unknown
from workbench.resampling import Rng, seeds
from workbench.result import Quantity, Result
from workbench.studies.uplift.members import numbers
from workbench.studies.uplift.words import figure, label, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Inference = Literal["wild bootstrap", "randomisation"]

FEWEST_CLUSTERS = 4
FEWEST_FOR_WILD = 4
FEW = 12
WEBB = np.sqrt([1.5, 1.0, 0.5])
ALARM = 0.05


@dataclass(frozen=True)
class DidEffect(Result):
    """Effect of a rollout per unit and period on the units that got it, since they got it.

    Attributes
    ----------
    estimate, se, low, high, p_value : float
        In units of the outcome; se is NaN under randomisation, ends are infinite where the test refuses no value.
    by_period : DataFrame
        One row a period relative to the start (0 = first treated): estimate, low, high (together they hold the
        truth at `level`), units. Period -1 is the base and has none.
    by_start : DataFrame
        One row a start: units, their weight, and the mean effect since.
    pretrend_p : float
        Of the joint test that treated and control moved alike before; NaN where there is one period before only.
    treated_clusters, control_clusters : int
        Clusters that got it within the panel, and those that never did within it.
    doubts : tuple of str
        Reasons why this is not the rollout's effect; () where none was found.
    """

    estimate: float
    se: float
    low: float
    high: float
    p_value: float
    by_period: pd.DataFrame
    by_start: pd.DataFrame
    pretrend_p: float
    treated_clusters: int
    control_clusters: int
    inference: Inference
    level: float
    outcome: str
    unit_of_outcome: str = ""
    campaign: str = ""
    doubts: tuple[str, ...] = ()

    def headline(self) -> str:
        """Say what the rollout changed, on what comparison it rests, or why it cannot be said."""
        unit = f" {self.unit_of_outcome}" if self.unit_of_outcome else ""
        effect = f"{figure(self.estimate, signed=True)}{unit} {span(self.low, self.high)}"
        if self.doubts:
            return f"Not answerable: {self.doubts[0]}. The difference ({effect}) is not the rollout's effect."
        trend = (
            "trends before could not be tested"
            if math.isnan(self.pretrend_p)
            else f"no difference in trends before was found, p = {self.pretrend_p:.2g}"
        )
        basis = f"{self.treated_clusters} treated and {self.control_clusters} other clusters; {trend}"
        if self.low <= 0 <= self.high:
            return f"No evidence that the rollout changed {self.outcome}: {effect} ({basis})."
        verb = "raised" if self.estimate > 0 else "lowered"
        return f"The rollout {verb} {self.outcome} by {effect}, if both would have moved alike without it ({basis})."

    def summary(self) -> pd.DataFrame:
        """Tabulate the effect on average and by period since the start."""
        average = pd.DataFrame(
            {"period": ["average"], "estimate": [self.estimate], "low": [self.low], "high": [self.high]}
        )
        average["units"] = int(self.by_start["units"].sum())
        return pd.concat([average, self.by_period.astype({"period": object})], ignore_index=True)

    def quantities(self) -> Iterable[Quantity]:
        """Name the effect and the test of the trends before; none where it is not the rollout's."""
        if self.doubts or not np.isfinite([self.low, self.high]).all():
            return
        where = label(self.campaign, outcome=self.outcome)
        yield Quantity(f"did{where}", self.estimate, self.unit_of_outcome or "1", self.low, self.high)
        if np.isfinite(self.pretrend_p):
            yield Quantity(f"did_pretrend_p{where}", self.pretrend_p, "1")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the difference by period since the start, with its band; before the start it should be none."""
        import matplotlib.pyplot as plt

        ax = ax or plt.gca()
        table = self.by_period
        ax.axhline(0, color="0.6", linewidth=1)
        ax.axvline(-0.5, color="0.6", linewidth=1, linestyle=":")
        for before, color in ((True, "0.5"), (False, "C0")):
            rows = table[(table["period"] < 0) == before]
            ax.vlines(rows["period"], rows["low"], rows["high"], color=color, linewidth=1.5)
            ax.plot(rows["period"], rows["estimate"], "o", color=color, markersize=4)
        ax.plot([-1], [0], "o", color="0.5", markersize=5, fillstyle="none")
        ax.set_xlabel("periods since the rollout (−1 = base)")
        ax.set_ylabel(
            f"treated − control, {self.outcome}" + (f" ({self.unit_of_outcome})" * bool(self.unit_of_outcome))
        )
        return ax


@dataclass(frozen=True)
class _Panel:
    """y, shape (units, periods); start, the index of the first treated period (periods = not within); weight sums to 1."""

    y: np.ndarray
    start: np.ndarray
    weight: np.ndarray
    cluster: np.ndarray
    periods: list

    @property
    def treated(self) -> np.ndarray:
        return np.arange(self.y.shape[1]) >= self.start[:, None]


@dataclass(frozen=True)
class _Cells:
    """Group-time comparisons: start, period (each (c,)), and how they add up to the average and to each relative period.

    `add` has shape (1 + relative periods, c).
    """

    start: np.ndarray
    period: np.ndarray
    relative: np.ndarray
    add: np.ndarray


def difference_in_differences(
    panel: pd.DataFrame,
    *,
    unit: str,
    period: str,
    treated_from: str,
    outcome: str,
    weight: str | None = None,
    clusters: str | None = None,
    level: float = 0.95,
    inference: Inference | None = None,
    resamples: int = 1_999,
    rng: Rng = 0,
    unit_of_outcome: str = "",
    campaign: str = "",
) -> DidEffect:
    """Estimate what a rollout changed in the units that got it, from those that had not got it yet.

    Each start date is compared, period by period, with the units not yet treated, both as changes since the last period
    before that start (group-time effects); these are averaged by weight. Regression with unit and period effects, which
    compares late starters with early ones, is biased where effects grow, and is not used.

    Parameters
    ----------
    panel : DataFrame
        One row a unit and period, without gaps.
    unit, period : str
        Columns; periods sort in time and follow each other.
    treated_from : str
        Column with the first treated period of the unit, missing for those that never were treated.
    outcome : str
        Numeric column, complete.
    weight : str, optional
        Column with the size of a unit (customers); its mean over the periods before anybody was treated counts.
    clusters : str, optional
        Column of the level at which the rollout was decided, where it is above the unit.
    level : float
        Coverage of the intervals, 0-1.
    inference : {"wild bootstrap", "randomisation"}, optional
        The first needs 4 clusters on each side and is the default there; else starts are dealt anew over clusters.
    resamples : int
    rng : int, SeedSequence or Generator
    unit_of_outcome, campaign : str
        For the words and the quantities.

    Raises
    ------
    WorkbenchError
        If a column or a cell of the panel is missing, or a start varies within a unit or cluster.
    CannotAnswer
        If fewer than 4 clusters are there, all of them start at once, or none has a period before its start.

    References
    ----------
    Callaway and Sant'Anna (2021), Journal of Econometrics 225. Cameron, Gelbach and Miller (2008), REStat 90.
    Webb (2023), Canadian Journal of Economics 56. MacKinnon and Webb (2020), Journal of Econometrics 218.

    Examples
    --------
    >>> rows = [(u, t, 3.0 * u + t + 5 * (u < 4) * t) for u in range(8) for t in (0, 1)]
    >>> table = pd.DataFrame(rows, columns=["province", "month", "revenue"])
    >>> table["start"] = table["province"].map(lambda u: 1.0 if u < 4 else None)
    >>> difference_in_differences(table, unit="province", period="month", treated_from="start", outcome="revenue").estimate
    5.0
    """
    if not 0 < level < 1:
        raise WorkbenchError(f"level is {level}: give the coverage between 0 and 1, for instance 0.95.")
    data = _panel(panel, unit, period, treated_from, outcome, weight, clusters)
    cells = _cells(data)
    got = data.start < len(data.periods)
    treated, control = (len(np.unique(data.cluster[kind])) for kind in (got, ~got))
    if inference is None:
        inference = "wild bootstrap" if min(treated, control) >= FEWEST_FOR_WILD else "randomisation"
    elif inference not in _INFERENCES:
        raise unknown("inference", inference, _INFERENCES)
    test = _INFERENCES[inference](data, cells, resamples, rng)
    low, high, doubts = *test.interval(1 - level), []
    bend = test.joint(cells.relative < -1)
    if bend < ALARM:
        before = np.flatnonzero(cells.relative < -1)
        worst = -cells.relative[before[np.abs(test.estimates / test.scale)[1:][before].argmax()]]
        doubts.append(
            f"treated and control moved apart already before the rollout, most between {worst} periods before it and "
            f"the last (joint test p = {bend:.2g})"
        )
    if len(test.noise) < 1 / (1 - level):
        doubts.append(
            f"{treated} of {treated + control} clusters got it, which can be dealt in {len(test.noise)} ways only, "
            f"so even the largest difference has p = {1 / len(test.noise):.2g}"
        )
    half = test.band(level)
    by_period = pd.DataFrame({"period": cells.relative, "estimate": test.estimates[1:]})
    by_period["low"], by_period["high"] = by_period["estimate"] - half, by_period["estimate"] + half
    by_period["units"] = [int(np.isin(data.start, cells.start[row > 0]).sum()) for row in cells.add[1:]]
    return DidEffect(
        estimate=float(test.estimates[0]),
        se=test.se,
        low=low,
        high=high,
        p_value=test.p(0.0),
        by_period=by_period,
        by_start=_by_start(data, cells, test.each),
        pretrend_p=bend,
        treated_clusters=treated,
        control_clusters=control,
        inference=inference,
        level=level,
        outcome=outcome,
        unit_of_outcome=unit_of_outcome,
        campaign=campaign,
        doubts=tuple(doubts),
    )


def _panel(
    panel: pd.DataFrame,
    unit: str,
    period: str,
    treated_from: str,
    outcome: str,
    weight: str | None,
    clusters: str | None,
) -> _Panel:
    """Check the table and turn it into arrays; units treated from the first period on have no base and are left out."""
    require_columns(panel, [c for c in (unit, period, treated_from, outcome, weight, clusters) if c], "panel")
    numbers(panel, outcome)
    if panel.duplicated([unit, period]).any():
        first = panel.loc[panel.duplicated([unit, period]), [unit, period]].astype(str).iloc[0].tolist()
        raise WorkbenchError(f"panel lists a unit and period twice, for instance {named(first)}: keep one row of each.")
    wide = panel.pivot(index=unit, columns=period, values=outcome).sort_index()
    if wide.isna().any(axis=None):
        gap = wide.isna().stack()
        gap = gap[gap].index[0]
        raise WorkbenchError(
            f"panel lacks {int(wide.isna().sum().sum())} of {wide.size} units x periods, for instance '{gap[0]}' in "
            f"'{gap[1]}': add them, or leave those units out and say so."
        )
    for name in (treated_from, clusters):
        varies = panel.groupby(unit)[name].nunique(dropna=False) if name else pd.Series(dtype=int)
        if (varies > 1).any():
            raise WorkbenchError(
                f"'{name}' varies within the unit '{varies.index[varies > 1][0]}': give one value a unit."
            )
    units = panel.drop_duplicates(unit).set_index(unit).sort_index()
    periods = list(wide.columns)
    start = np.array([len(periods) if pd.isna(s) else np.searchsorted(periods, s) for s in units[treated_from]])
    cluster = pd.factorize(units[clusters], sort=True)[0] if clusters else np.arange(len(units))
    based = start > 0
    last = min(int(start.max()), len(periods))
    if not based.any() or start[based].min() >= last:
        raise CannotAnswer(
            f"not answerable: no start in '{treated_from}' has both a period before it and units that were not yet "
            "treated. Without a rollout that some got later or never, nothing shows what would have been."
        )
    start, y = np.minimum(start[based], last), wide.to_numpy(dtype=float)[based, :last]
    if (count := len(np.unique(cluster[based]))) < FEWEST_CLUSTERS:
        raise CannotAnswer(
            f"not answerable: {count} clusters, and fewer than {FEWEST_CLUSTERS} do not tell the rollout from chance. "
            "Take a finer unit only if the rollout was decided there."
        )
    size = np.ones(len(start))
    if weight:
        numbers(panel, weight, role="weight")
        sizes = panel.pivot(index=unit, columns=period, values=weight).sort_index().to_numpy(dtype=float)[based]
        size = sizes[:, : start.min()].mean(axis=1)
        if (size <= 0).any():
            raise WorkbenchError(f"the weight '{weight}' is 0 or less for a unit: give its number of customers before.")
    return _Panel(y, start, size / size.sum(), pd.factorize(cluster[based])[0], periods[:last])


def _cells(data: _Panel) -> _Cells:
    """List the group-time comparisons, and how they are averaged by the weight of the treated."""
    periods = len(data.periods)
    starts = np.unique(data.start[data.start < periods])
    start, period = (a.ravel() for a in np.meshgrid(starts, np.arange(periods), indexing="ij"))
    later = np.maximum(start - 1, period)[:, None] < data.start
    there = (period != start - 1) & (later & (data.start != start[:, None])).any(axis=1)
    start, period = start[there], period[there]
    since = period - start
    relative = np.unique(since)
    mass = np.array([data.weight[data.start == s].sum() for s in start])
    add = np.vstack([since >= 0, since == relative[:, None]]) * mass
    return _Cells(start, period, relative, add / add.sum(axis=1, keepdims=True))


def _shares(data: _Panel, start: np.ndarray, cells: _Cells) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the treated and of the control units in each comparison, each shape (c, units), rows sum to 1."""
    own = (start == cells.start[:, None]) * data.weight
    other = (start > np.maximum(cells.start - 1, cells.period)[:, None]) & (start != cells.start[:, None])
    other = other * data.weight
    return own / own.sum(axis=1, keepdims=True), other / other.sum(axis=1, keepdims=True)


def _changes(y: np.ndarray, cells: _Cells) -> np.ndarray:
    """Change of each unit since the base of each comparison, shape (c, units)."""
    return (y[:, cells.period] - y[:, cells.start - 1]).T


def _by_start(data: _Panel, cells: _Cells, each: np.ndarray) -> pd.DataFrame:
    rows = []
    for start in np.unique(cells.start):
        own, since = data.start == start, (cells.start == start) & (cells.period >= start)
        rows.append((data.periods[start], int(own.sum()), float(data.weight[own].sum()), float(each[since].mean())))
    return pd.DataFrame(rows, columns=["start", "units", "weight", "estimate"])


class _Test:
    """A test of each value of the average effect by draws.

    Attributes
    ----------
    each : array, shape (c,)
        Group-time effects.
    estimates : array, shape (1 + relative periods,)
        The average, then each relative period.
    noise : array, shape (b, 1 + relative periods)
        Draws of the estimates where nothing but noise is left.
    se : float
        Standard error of the average; NaN where deals of the starts tell, not an error.
    """

    noise: np.ndarray
    se: float = np.nan

    def __init__(self, data: _Panel, cells: _Cells):
        self.data, self.cells, self.shares = data, cells, _shares(data, data.start, cells)
        self.each = ((self.shares[0] - self.shares[1]) * _changes(data.y, cells)).sum(axis=1)
        self.estimates = cells.add @ self.each

    def p(self, value: float) -> float:
        raise NotImplementedError

    @property
    def scale(self) -> np.ndarray:
        """Root mean square of the draws."""
        return np.sqrt((self.noise**2).mean(axis=0))

    def largest(self, which: np.ndarray) -> np.ndarray:
        """Largest standardised deviation of each draw over these relative periods, and, last, of the estimates."""
        both = np.abs(np.vstack([self.noise, self.estimates]))[:, 1:][:, which]
        return (both / np.maximum(self.scale[1:][which], 1e-300)).max(axis=1)

    def joint(self, which: np.ndarray) -> float:
        """P value of no difference in any of these relative periods."""
        if not which.any():
            return np.nan
        *drawn, found = self.largest(which)
        return float((np.array(drawn) >= found * (1 - 1e-9)).mean())

    def band(self, level: float) -> np.ndarray:
        """Half-widths of the band over all relative periods."""
        every = np.ones(len(self.cells.relative), dtype=bool)
        return np.quantile(self.largest(every)[:-1], level, method="higher") * self.scale[1:]

    def interval(self, alpha: float) -> tuple[float, float]:
        """Ends of the values that the test does not refuse, by bisection."""
        centre, ends = float(self.estimates[0]), []
        scale = float(self.scale[0]) or 1.0
        for sign in (-1, 1):
            inside, step = centre, scale
            while self.p(centre + sign * step) > alpha and step < 1e6 * scale:
                inside, step = centre + sign * step, 2 * step
            outside = centre + sign * step
            if step >= 1e6 * scale:
                ends.append(sign * np.inf)
                continue
            for _ in range(30):
                middle = (inside + outside) / 2
                inside, outside = (middle, outside) if self.p(middle) > alpha else (inside, middle)
            ends.append(outside)
        return ends[0], ends[1]


class _Wild(_Test):
    """Restricted wild cluster bootstrap: residuals with the tested value imposed, multiplied by a draw a cluster.

    The average is imposed, differences between group-time effects stay as estimated. In a panel of two periods and one
    start this is the usual bootstrap of the regression of the change on the treatment.
    """

    def __init__(self, data: _Panel, cells: _Cells, resamples: int, rng: Rng):
        super().__init__(data, cells)
        effect = np.zeros_like(data.y)
        for start, period, value in zip(cells.start, cells.period, self.each, strict=True):
            effect[data.start == start, period] = value * (period >= start)
        self._signs = _signs(int(data.cluster.max()) + 1, resamples, rng)
        noise, self._noise = self._parts(_twoway(data.y - effect, data.weight))
        shift, self._shift = self._parts(_twoway(data.treated.astype(float), data.weight))
        self.noise, self._shift_of_average = self._signs @ noise.T, self._signs @ shift[0]
        self.FREE = True
        self._error = float(np.linalg.norm(self._parts(data.y)[1].sum(axis=1)))
        clusters = len(noise.T)
        self.se = self._error * math.sqrt(clusters / (clusters - 1))

    def _parts(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What each cluster adds to the estimates, shape (k, g), and to each cluster's error of the average, (g, g)."""
        of = (np.arange(self.data.cluster.max() + 1) == self.data.cluster[:, None]).astype(float)
        own, other, changes = *self.shares, _changes(y, self.cells)
        parts = (self.cells.add @ ((own - other) * changes)) @ of
        moved = self.cells.add[:1].T * changes
        means = (own @ of).T @ ((own * moved) @ of) - (other @ of).T @ ((other * moved) @ of)
        return parts, np.diag(parts[0]) - means

    def p(self, value: float) -> float:
        """P value of this average effect."""
        off = float(self.estimates[0]) - value
        top = np.abs(self.noise[:, 0] + off * self._shift_of_average)
        below = np.linalg.norm(self._signs @ (self._noise + off * self._shift).T, axis=1)
        return float((top * self._error >= abs(off) * below * (1 - 1e-9)).mean())


class _Randomised(_Test):
    """Starts dealt anew over clusters: exact if which clusters came when was as good as drawn by lot."""

    def __init__(self, data: _Panel, cells: _Cells, resamples: int, rng: Rng):
        super().__init__(data, cells)
        first = np.unique(data.cluster, return_index=True)[1]
        if (data.start[first][data.cluster] != data.start).any():
            raise WorkbenchError("starts differ within a cluster: with so few clusters, clusters= must be who decided.")
        changes = [_changes(y, cells) for y in (data.y - self.estimates[0] * data.treated, data.treated.astype(float))]
        drawn = []
        for deal in _deals(data.start[first], resamples, rng):
            own, other = _shares(data, deal[data.cluster], cells)
            drawn.append([cells.add @ ((own - other) * change).sum(axis=1) for change in changes])
        self.noise, shift = np.array(drawn).transpose(1, 0, 2)
        self._shift = shift[:, 0]

    def p(self, value: float) -> float:
        """P value of this effect, the same for all."""
        off = float(self.estimates[0]) - value
        return float((np.abs(self.noise[:, 0] + off * self._shift) >= abs(off) * (1 - 1e-9)).mean())


_INFERENCES = {"wild bootstrap": _Wild, "randomisation": _Randomised}


def _twoway(y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Residuals of unit and period effects."""
    centred = y - y.mean(axis=1, keepdims=True)
    return centred - weight @ centred


def _signs(clusters: int, resamples: int, rng: Rng) -> np.ndarray:
    """Draws of mean 0 and variance 1, shape (b, clusters): Webb's six points where few clusters have too few signs."""
    generator = np.random.default_rng(seeds(rng, 1)[0])
    signs = generator.choice([-1.0, 1.0], (resamples, clusters))
    return signs * generator.choice(WEBB, signs.shape) if clusters <= FEW else signs


def _deals(starts: np.ndarray, resamples: int, rng: Rng) -> Iterator[np.ndarray]:
    """All ways to deal the starts over clusters where there are no more than `resamples`, else that many drawn."""
    kinds, counts = np.unique(starts, return_counts=True)
    ways = math.factorial(len(starts)) // math.prod(math.factorial(int(k)) for k in counts)
    if ways <= resamples:
        yield from _arrangements(np.full(len(starts), kinds[-1]), np.arange(len(starts)), kinds, counts)
        return
    generator = np.random.default_rng(seeds(rng, 1)[0])
    yield starts
    for _ in range(resamples):
        yield generator.permutation(starts)


def _arrangements(deal: np.ndarray, free: np.ndarray, kinds: np.ndarray, counts: np.ndarray) -> Iterator[np.ndarray]:
    if len(kinds) == 1:
        yield deal
        return
    for chosen in combinations(free, int(counts[0])):
        next_deal = deal.copy()
        next_deal[list(chosen)] = kinds[0]
        yield from _arrangements(next_deal, np.setdiff1d(free, chosen), kinds[1:], counts[1:])
