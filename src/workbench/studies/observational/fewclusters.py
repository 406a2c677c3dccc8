"""How sure is a comparison of few provinces? Group-time comparisons of a panel, and two tests of their average."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from workbench.errors import WorkbenchError
from workbench.methods.resampling import Rng, seeds

FEW = 12
WEBB = np.sqrt([1.5, 1.0, 0.5])


@dataclass(frozen=True)
class Panel:
    """y, shape (units, periods); start, index of the first treated period (periods = not within); weights sum to 1."""

    y: np.ndarray
    start: np.ndarray
    weight: np.ndarray
    cluster: np.ndarray
    periods: list

    @property
    def treated(self) -> np.ndarray:
        return np.arange(self.y.shape[1]) >= self.start[:, None]


@dataclass(frozen=True)
class Cells:
    """Group-time comparisons: start and period, shape (c,); `add`, shape (1 + relative periods, c), averages them."""

    start: np.ndarray
    period: np.ndarray
    relative: np.ndarray
    add: np.ndarray


def compare(data: Panel) -> Cells:
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
    return Cells(start, period, relative, add / add.sum(axis=1, keepdims=True))


def _shares(data: Panel, start: np.ndarray, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the treated and of the control units in each comparison, each shape (c, units), rows sum to 1."""
    own = (start == cells.start[:, None]) * data.weight
    other = (start > np.maximum(cells.start - 1, cells.period)[:, None]) & (start != cells.start[:, None])
    other = other * data.weight
    return own / own.sum(axis=1, keepdims=True), other / other.sum(axis=1, keepdims=True)


def _changes(y: np.ndarray, cells: Cells) -> np.ndarray:
    """Change of each unit since the base of each comparison, shape (c, units)."""
    return (y[:, cells.period] - y[:, cells.start - 1]).T


class ClusterTest:
    """A test of each value of the average effect by draws.

    Attributes
    ----------
    each : array, shape (c,)
        Group-time effects.
    estimates : array, shape (1 + relative periods,)
        The average, then each relative period.
    noise : array, shape (b, 1 + relative periods)
        Draws of the estimates where there is no effect.
    se : float
        Standard error of the average; NaN where permutations of the starts tell, not an error.
    """

    noise: np.ndarray
    se: float = np.nan

    def __init__(self, data: Panel, cells: Cells):
        self.data, self.cells, self.shares = data, cells, _shares(data, data.start, cells)
        self.each = ((self.shares[0] - self.shares[1]) * _changes(data.y, cells)).sum(axis=1)
        self.estimates = cells.add @ self.each

    def p(self, value: float) -> float:
        raise NotImplementedError

    @property
    def scale(self) -> np.ndarray:
        """Root mean square of the draws."""
        return np.sqrt((self.noise**2).mean(axis=0))

    @property
    def varies(self) -> bool:
        """Whether the draws of the average differ by more than rounding."""
        return bool(self.scale[0] > 1e-9 * np.abs(self.data.y).max())

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


class _Wild(ClusterTest):
    """Restricted wild cluster bootstrap: residuals with the tested effect imposed, multiplied by a draw a cluster.

    With two periods and one start this is the usual bootstrap of the regression of the change on the treatment.
    """

    def __init__(self, data: Panel, cells: Cells, resamples: int, rng: Rng):
        super().__init__(data, cells)
        self._draws = _cluster_draws(int(data.cluster.max()) + 1, resamples, rng)
        left, self._noise = self._parts(_twoway(data.y - self.estimates[0] * data.treated, data.weight))
        shift, self._shift = self._parts(_twoway(data.treated.astype(float), data.weight))
        clusters = left.shape[1]
        self.noise, self._shift_of_average = self._draws @ left.T, self._draws @ shift[0]
        self.noise *= math.sqrt(clusters / (clusters - 1))
        self._average = self._draws @ left[0]
        self._error = float(np.linalg.norm(self._parts(data.y)[1].sum(axis=1)))
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
        top = np.abs(self._average + off * self._shift_of_average)
        below = np.linalg.norm(self._draws @ (self._noise + off * self._shift).T, axis=1)
        return float((top * self._error >= abs(off) * below * (1 - 1e-9)).mean())


class _Randomised(ClusterTest):
    """Starts permuted over clusters: exact if which clusters came when was as good as random."""

    def __init__(self, data: Panel, cells: Cells, resamples: int, rng: Rng):
        super().__init__(data, cells)
        first = np.unique(data.cluster, return_index=True)[1]
        if (data.start[first][data.cluster] != data.start).any():
            raise WorkbenchError("starts differ within a cluster: with so few clusters, clusters= must be who decided.")
        changes = [_changes(y, cells) for y in (data.y - self.estimates[0] * data.treated, data.treated.astype(float))]
        drawn = []
        for starts in _permutations(data.start[first], resamples, rng):
            own, other = _shares(data, starts[data.cluster], cells)
            drawn.append([cells.add @ ((own - other) * change).sum(axis=1) for change in changes])
        self.noise, shift = np.array(drawn).transpose(1, 0, 2)
        self._shift = shift[:, 0]

    def p(self, value: float) -> float:
        """P value of this effect, the same for all."""
        off = float(self.estimates[0]) - value
        return float((np.abs(self.noise[:, 0] + off * self._shift) >= abs(off) * (1 - 1e-9)).mean())


INFERENCES = {"wild bootstrap": _Wild, "randomisation": _Randomised}


def _twoway(y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Residuals of unit and period effects."""
    centred = y - y.mean(axis=1, keepdims=True)
    return centred - weight @ centred


def _cluster_draws(clusters: int, resamples: int, rng: Rng) -> np.ndarray:
    """Draws of mean 0 and variance 1, shape (b, clusters): Webb's six points where few clusters have too few signs."""
    generator = np.random.default_rng(seeds(rng, 1)[0])
    signs = generator.choice([-1.0, 1.0], (resamples, clusters))
    return signs * generator.choice(WEBB, signs.shape) if clusters <= FEW else signs


def _permutations(starts: np.ndarray, resamples: int, rng: Rng) -> Iterator[np.ndarray]:
    """All permutations of the starts over clusters where there are no more than `resamples`, else that many drawn."""
    kinds, counts = np.unique(starts, return_counts=True)
    ways = math.factorial(len(starts)) // math.prod(math.factorial(int(k)) for k in counts)
    if ways <= resamples:
        yield from _arrangements(np.full(len(starts), kinds[-1]), np.arange(len(starts)), kinds, counts)
        return
    generator = np.random.default_rng(seeds(rng, 1)[0])
    yield starts
    for _ in range(resamples):
        yield generator.permutation(starts)


def _arrangements(starts: np.ndarray, free: np.ndarray, kinds: np.ndarray, counts: np.ndarray) -> Iterator[np.ndarray]:
    if len(kinds) == 1:
        yield starts
        return
    for chosen in combinations(free, int(counts[0])):
        following = starts.copy()
        following[list(chosen)] = kinds[0]
        yield from _arrangements(following, np.setdiff1d(free, chosen), kinds[1:], counts[1:])
