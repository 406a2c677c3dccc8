"""Who moved from which segment to which, with how much revenue, and where does it lead?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import chi2, norm
from statsmodels.stats.proportion import proportion_confint

from workbench.errors import CannotAnswer, WorkbenchError, named, require_columns
from workbench.resampling import Rng, interval, seeds
from workbench.result import Quantity, Result
from workbench.studies.segmentation.checks import by_id, refuse_missing, require_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ENTERED, LEFT = "(entered)", "(left)"
_LEAST_EXPECTED = 5
_SIGNIFICANT = 0.05


@dataclass(frozen=True, eq=False)
class Stationarity:
    """Are the shares of moves the same between all pairs of following dates?

    Attributes
    ----------
    statistic : float
    freedom : int
    p : float
        Probability of so large a statistic under equal shares; NaN where there are too few dates or customers.
    dates : int
    """

    statistic: float
    freedom: int
    p: float
    dates: int


@dataclass(frozen=True, eq=False)
class Migration(Result):
    """Moves of customers between segments, from the last date but one to the last.

    Attributes
    ----------
    flows : DataFrame
        One row a pair of segments that has customers: origin, destination, customers, share (of the origin), low,
        high, revenue_before, revenue_after, revenue_change, change_low, change_high (the last five where revenue is
        given). ENTERED is the origin of those who were not there before, LEFT the destination of those who are gone.
    segments : tuple of str
        In the order given.
    before, after : object
        The two dates.
    stationarity : Stationarity
    counts : ndarray, shape (dates - 1, segments + 1, segments + 1)
        Moves between all following dates; the last row entered, the last column left.
    """

    flows: pd.DataFrame
    segments: tuple[str, ...]
    before: object
    after: object
    stationarity: Stationarity
    counts: np.ndarray

    def matrix(self, values: str = "customers") -> pd.DataFrame:
        """Give a column of `flows` as a table, index origin, columns destination; pairs without customers hold 0."""
        wide = self.flows.pivot_table(values, "origin", "destination", aggfunc="sum", fill_value=0)
        order = [*self.segments, ENTERED, LEFT]
        return wide.reindex(
            index=[s for s in order if s in wide.index], columns=[s for s in order if s in wide.columns]
        )

    def steady_state(self, *, level: float = 0.95, draws: int = 1_000, rng: Rng = 0) -> pd.DataFrame:
        """Tabulate the mix of segments that would result if the moves went on as they were between all dates.

        Those who leave are replaced by customers who enter where customers entered so far. Columns: segment, share_now,
        share (in the long run), low, high (from multinomial draws of the moves). Assumes that the next move depends on
        the present segment alone.

        Raises
        ------
        CannotAnswer
            If there are fewer than three dates, the moves differ between dates, or there is no single such mix.
        """
        test = self.stationarity
        if not test.p >= _SIGNIFICANT:
            why = (
                f"it takes three dates with enough customers; there are {test.dates}"
                if np.isnan(test.p)
                else f"the moves differ between dates (chi-square {test.statistic:.1f}, {test.freedom} degrees of "
                f"freedom, p = {test.p:.2g})"
            )
            raise CannotAnswer(f"no steady state: {why}. Read the flows of each period instead.")
        pooled = self.counts.sum(axis=0)
        mix = _long_run(pooled)
        replicates = np.array([_long_run(_redrawn(pooled, seed), strict=False) for seed in seeds(rng, draws)])
        low, high = interval(mix, replicates, level=level)
        now = self.counts[-1][:, :-1].sum(axis=0)
        return pd.DataFrame(
            {"segment": self.segments, "share_now": now / now.sum(), "share": mix, "low": low, "high": high}
        )

    def headline(self) -> str:
        """Say how many stayed, the largest move, who entered and left, and whether the moves are steady."""
        inner = self.flows[(self.flows["origin"] != ENTERED) & (self.flows["destination"] != LEFT)]
        stayed = inner[inner["origin"] == inner["destination"]]["customers"].sum()
        count = {
            word: int(self.flows.loc[self.flows[column] == word, "customers"].sum())
            for column, word in (("origin", ENTERED), ("destination", LEFT))
        }
        was = int(self.counts[-1][:-1].sum())
        low, high = proportion_confint(stayed, was, method="wilson")
        moves = inner[inner["origin"] != inner["destination"]]
        most = ""
        if len(moves):
            row = moves.loc[moves["customers"].idxmax()]
            most = f"; the largest move, {row.origin} to {row.destination}, is {row.customers:,} ({row.share:.1%})"
        test = self.stationarity
        steady = f"it takes three dates with enough customers to say whether moves are steady (there are {test.dates})"
        if not np.isnan(test.p):
            same = "no sign that the moves differ" if test.p >= _SIGNIFICANT else "the moves differ"
            steady = f"{same} between the {test.dates} dates (p = {test.p:.2g})"
        return (
            f"Of {was:,} customers of {self.before}, {stayed / was:.1%} ({low:.1%} to {high:.1%}) were in the same "
            f"segment on {self.after}{most}; {count[ENTERED]:,} entered and {count[LEFT]:,} left; {steady}."
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate the flows."""
        return self.flows

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the alluvial: left the segments before, right after, bands in the colour of the origin.

        Colours run from dark to light in the order of the segments, so that they also tell in grey.
        """
        import matplotlib.pyplot as plt

        ax = plt.gca() if ax is None else ax
        matrix = self.matrix()
        total = matrix.to_numpy().sum()
        gap = 0.02 * total
        colours = dict(zip(matrix.index, plt.get_cmap("cividis")(np.linspace(0.05, 0.9, len(matrix))), strict=True))
        left, right = _stacked(matrix.sum(axis=1), gap), _stacked(matrix.sum(), gap)
        for side, x, ha, place in ((left, -0.02, "right", left), (right, 1.02, "left", right)):
            for name, (bottom, size) in place.items():
                inside = (0, 0.03) if side is left else (0.97, 1)
                ax.fill_betweenx([bottom, bottom + size], *inside, color=colours.get(name, "0.35"), linewidth=0)
                ax.text(x, bottom + size / 2, f"{name}  {size:,.0f}", ha=ha, va="center")
        t = np.linspace(0, 1, 40)
        bend, x = t**2 * (3 - 2 * t), 0.03 + 0.94 * t
        used_left, used_right = ({name: place[name][0] for name in place} for place in (left, right))
        for origin, row in matrix.iterrows():
            for destination, size in row[row > 0].items():
                bottom = used_left[origin] + bend * (used_right[destination] - used_left[origin])
                ax.fill_between(x, bottom, bottom + size, color=colours[origin], alpha=0.7, ec="white", linewidth=0.4)
                used_left[origin] += size
                used_right[destination] += size
        ax.set_xlim(-0.4, 1.4)
        ax.set_xticks([0, 1], [str(self.before), str(self.after)])
        ax.set_yticks([])
        ax.set_xlabel("customers by segment")
        ax.grid(False)
        ax.spines[:].set_visible(False)
        ax.invert_yaxis()
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Share of each flow of its origin."""
        for row in self.flows.itertuples():
            name = f"move[from={row.origin},to={row.destination}]"
            yield Quantity(name, row.share, "share", row.low, row.high)


def migration(
    history: pd.DataFrame,
    *,
    customer: str,
    when: str,
    segment: str,
    revenue: str | None = None,
    order: Sequence[str] | None = None,
    level: float = 0.95,
) -> Migration:
    """Count who moved between segments.

    Parameters
    ----------
    history : DataFrame
        One row a customer and date on which the customer was there.
    customer, when, segment : str
        Columns. The last two dates give the flows, all dates the test of stationarity.
    revenue : str, optional
        Column of monthly revenue.
    order : sequence of str, optional
        Segments from the first to the last as they shall stand; by name if not given.
    level : float
        Coverage: Wilson for shares; for the change of a flow's revenue normal, customers as independent draws (a flow
        of few customers or with a very large one gets too short an interval).

    Notes
    -----
    Stationarity by Anderson & Goodman's chi-square over all following pairs of dates, those who enter as one more
    origin and leaving as one more destination. Destinations with fewer than 5 expected customers at a date are pooled.

    Raises
    ------
    WorkbenchError
        If a column lacks, a value is missing, a customer stands twice on a date, or `order` leaves a segment out.
    CannotAnswer
        If there is one date only, or no customer on the last but one.

    References
    ----------
    Anderson & Goodman (1957), Statistical inference about Markov chains, Annals of Mathematical Statistics 28.

    Examples
    --------
    >>> table = pd.DataFrame({"id": [1, 2, 3, 1, 2, 4], "at": [1, 1, 1, 2, 2, 2], "is": list("aabaab")})
    >>> migration(table, customer="id", when="at", segment="is").flows.iloc[:, :4].to_numpy().tolist()
    [['a', 'a', 2, 1.0], ['b', '(left)', 1, 1.0], ['(entered)', 'b', 1, 1.0]]
    """
    dates, names, place, money = _placed(history, customer, when, segment, revenue, order)
    size = len(names) + 1
    counts = np.array([np.bincount(a * size + b, minlength=size**2) for a, b in pairwise(place)])
    counts = counts.reshape(-1, size, size)
    counts[:, -1, -1] = 0
    flows = _flows(counts[-1], names, level)
    if revenue is not None:
        flows = flows.join(_revenue(place[-2:], money[-2:], flows, names, level))
    return Migration(flows, names, dates[-2], dates[-1], _stationarity(counts), counts)


def _placed(history, customer, when, segment, revenue, order):
    """Dates, segments, and for each date the segment (the number of segments where absent) and revenue of everyone."""
    columns = [customer, when, segment, *([revenue] if revenue else [])]
    require_columns(history, columns, "history")
    refuse_missing(history, columns, "history")
    if revenue:
        require_numbers(history, [revenue], "history")
    twice = history.duplicated([customer, when])
    if twice.any():
        row = history.loc[twice].iloc[0]
        raise WorkbenchError(
            f"history has {int(twice.sum()):,} customers twice on a date, for instance '{row[customer]}' on "
            f"{row[when]}. Give one row a customer and date."
        )
    dates = sorted(history[when].unique())
    if len(dates) < 2:
        raise CannotAnswer(f"migration needs two dates; history has {named(dates)}.")
    found = sorted(history[segment].astype(str).unique())
    names = tuple(found if order is None else map(str, order))
    if set(found) - set(names):
        raise WorkbenchError(f"order leaves out {named(sorted(set(found) - set(names)))}.")
    everyone = pd.Index(history[customer].unique())
    everyone = everyone[by_id(everyone.to_series())]
    row, column = pd.Index(dates).get_indexer(history[when]), everyone.get_indexer(history[customer])
    place = np.full((len(dates), len(everyone)), len(names))
    place[row, column] = pd.Index(names).get_indexer(history[segment].astype(str))
    if (place[-2] == len(names)).all():
        raise CannotAnswer(f"nobody was there on {dates[-2]}.")
    money = np.zeros(place.shape)
    if revenue:
        money[row, column] = history[revenue].to_numpy(dtype=float)
    return dates, names, place, money


def _flows(counts, names, level):
    origin, destination = np.nonzero(counts)
    number, of = counts[origin, destination], counts.sum(axis=1)[origin]
    low, high = proportion_confint(number, of, alpha=1 - level, method="wilson")
    table = {
        "origin": np.array([*names, ENTERED])[origin],
        "destination": np.array([*names, LEFT])[destination],
        "customers": number,
        "share": number / of,
    }
    return pd.DataFrame({**table, "low": low, "high": high})


def _revenue(place, money, flows, names, level):
    """Revenue of each flow before and after; the change as a sum over all customers of independent draws."""
    size = len(names) + 1
    there = (place < len(names)).any(axis=0)
    code = (place[0] * size + place[1])[there]
    before, after = (np.bincount(code, row[there], size**2) for row in money)
    change = (money[1] - money[0])[there]
    error = np.sqrt(np.maximum(np.bincount(code, change**2, size**2) - (after - before) ** 2 / there.sum(), 0))
    at = pd.Index([*names, ENTERED]).get_indexer(flows["origin"]) * size
    at += pd.Index([*names, LEFT]).get_indexer(flows["destination"])
    half = norm.isf((1 - level) / 2) * error
    values = (before, after, after - before, after - before - half, after - before + half)
    columns = ("revenue_before", "revenue_after", "revenue_change", "change_low", "change_high")
    return pd.DataFrame({name: value[at] for name, value in zip(columns, values, strict=True)}, index=flows.index)


def _stationarity(counts: np.ndarray) -> Stationarity:
    statistic, freedom, dates = 0.0, 0, len(counts) + 1
    for row in counts.transpose(1, 0, 2):
        table = row[row.sum(axis=1) > 0]
        if len(table) < 2:
            continue
        expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
        few = expected.min(axis=0) < _LEAST_EXPECTED
        table, expected = (np.column_stack([t[:, ~few], t[:, few].sum(axis=1)]) for t in (table, expected))
        order = np.argsort(expected.min(axis=0), kind="stable")
        if 0 < expected[0, -1] and expected[:, -1].min() < _LEAST_EXPECTED and len(order) > 1:
            into = next(c for c in order if c != len(order) - 1)
            for t in (table, expected):
                t[:, into] += t[:, -1]
                t[:, -1] = 0
        kept = expected[0] > 0
        if kept.sum() < 2:
            continue
        statistic += ((table - expected)[:, kept] ** 2 / expected[:, kept]).sum()
        freedom += (len(table) - 1) * (int(kept.sum()) - 1)
    p = float(chi2.sf(statistic, freedom)) if dates > 2 and freedom else np.nan
    return Stationarity(float(statistic), freedom, p, dates)


def _long_run(counts: np.ndarray, *, strict: bool = True) -> np.ndarray:
    """The mix that repeats itself, those who leave replaced by those who enter; NaN (or refused) if not just one."""
    inner, entry = counts[:-1].astype(float), counts[-1, :-1].astype(float)
    of = inner.sum(axis=1)
    share = np.divide(inner, of[:, None], out=np.zeros_like(inner), where=of[:, None] > 0)
    moves = share[:, :-1]
    if share[:, -1].any() and entry.any():
        moves = moves + np.outer(share[:, -1], entry / entry.sum())
    system = np.vstack([moves.T - np.eye(len(moves)), np.ones(len(moves))])
    open_ = (of == 0).any() or not np.allclose(moves.sum(axis=1), 1)
    if open_ or np.linalg.matrix_rank(system, tol=1e-9) < len(moves):
        if not strict:
            return np.full(len(moves), np.nan)
        raise CannotAnswer(
            "no steady state: customers leave and nobody enters, a segment had nobody to move, or segments do not mix."
        )
    return np.linalg.lstsq(system, np.r_[np.zeros(len(moves)), 1.0], rcond=None)[0]


def _redrawn(counts: np.ndarray, seed: np.random.SeedSequence) -> np.ndarray:
    generator = np.random.default_rng(seed)
    of = counts.sum(axis=1)
    return np.array([generator.multinomial(n, row / n) if n else row for n, row in zip(of, counts, strict=True)])


def _stacked(sizes: pd.Series, gap: float) -> dict[str, tuple[float, float]]:
    """Where each segment begins on its side, and its size."""
    ends = (sizes + gap).cumsum()
    return {name: (end - gap - size, size) for name, end, size in zip(sizes.index, ends, sizes, strict=True)}
