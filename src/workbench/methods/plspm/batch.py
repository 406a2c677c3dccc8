"""The PLS algorithm on many correlation matrices at once.

Everything here has a leading axis of B rows (resamples); a row's result does not depend on the others in
its batch. Rows that have converged leave the batch.

References
----------
Lohmöller (1989), Latent Variable Path Modeling with Partial Least Squares. Dijkstra & Henseler (2015),
Consistent partial least squares path modeling, MIS Quarterly 39(2) (rho_A). Fornell et al. (1996), The
American Customer Satisfaction Index, Journal of Marketing 60(4) (index).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from workbench.errors import WorkbenchError
from workbench.methods.plspm.answers import Answers, Moments
from workbench.methods.plspm.model import PathModel

Scheme = Literal["path", "factorial", "centroid"]
Label = tuple[str, str]
ITERATIONS = 300
SINGULAR = 1e-10


@dataclass(frozen=True, eq=False)
class Layout:
    """A path model as positions: k constructs, p items."""

    model: PathModel

    def __post_init__(self) -> None:
        if self.model.stages:
            raise WorkbenchError(
                "a model with higher-order constructs or interactions is fitted in two stages, which fit_pls and "
                "bootstrap_pls do. This analysis takes a model without them."
            )

    @cached_property
    def products(self) -> dict[int, tuple[str, str]]:
        """Factors of each interaction (second stage only), by position."""
        pairs = {
            c: tuple(n.split("*")) for c, n in enumerate(self.model.names) if self.model.construct(n).items == (n,)
        }
        return {c: pair for c, pair in pairs.items() if len(pair) == 2 and set(pair) <= set(self.model.names)}

    @cached_property
    def at(self) -> dict[str, int]:
        """Position of each construct."""
        return {name: c for c, name in enumerate(self.model.names)}

    @cached_property
    def size(self) -> np.ndarray:
        """Number of items of each construct, shape (k,)."""
        return np.array([len(c.items) for c in self.model.constructs])

    @cached_property
    def owner(self) -> np.ndarray:
        """Construct of each item, shape (p,)."""
        return np.repeat(np.arange(len(self.size)), self.size)

    @cached_property
    def start(self) -> np.ndarray:
        """First item of each construct, shape (k,)."""
        return np.concatenate([[0], np.cumsum(self.size)[:-1]])

    @cached_property
    def sources(self) -> dict[int, list[int]]:
        """Sources of each target, targets in causal order."""
        paths = self.model.paths
        return {self.at[t]: [self.at[s] for s in paths[t]] for t in self.model.order if t in paths}

    @cached_property
    def neighbours(self) -> np.ndarray:
        """1 where a path joins two constructs, shape (k, k)."""
        joined = np.zeros((len(self.size), len(self.size)))
        for source, target in self.model.edges:
            joined[self.at[source], self.at[target]] = joined[self.at[target], self.at[source]] = 1
        return joined

    @cached_property
    def formative(self) -> list[int]:
        """Constructs of mode B with two items or more."""
        return [c for c, construct in enumerate(self.model.constructs) if construct.mode == "B" and self.size[c] > 1]

    @cached_property
    def effects(self) -> list[tuple[int, int]]:
        """Pairs (source, target) that a chain of paths joins."""
        reach: dict[int, set[int]] = {}
        for target, sources in self.sources.items():
            reach[target] = set(sources).union(*(reach.get(s, set()) for s in sources))
        pairs = [(s, t) for t in reach for s in reach[t]]
        return sorted(pairs)

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """All pairs of constructs, first before second."""
        return np.triu_indices(len(self.size), 1)

    @cached_property
    def labels(self) -> list[Label]:
        """(quantity, name) of each column that `estimates` gives."""
        names, model = self.model.names, self.model
        owned = [f"{names[c]}:{item}" for c, item in zip(self.owner, model.items, strict=True)]
        chains = [f"{names[s]}->{names[t]}" for s, t in self.effects]
        met = [f"{names[a]}~{names[b]}" for a, b in zip(*self.pairs, strict=True)]
        parts = {
            "path": [f"{s}->{t}" for s, t in model.edges],
            "r2": [n for n in names if n in model.paths],
            "index": names,
            "total_effect": chains,
            "importance": chains,
            "rho_a": names,
            "rho_c": names,
            "alpha": names,
            "ave": names,
            "htmt": met,
            "correlation": met,
            "weight": owned,
            "loading": owned,
            "product_sd": [names[c] for c in self.products],
        }
        return [(quantity, name) for quantity, group in parts.items() for name in group]


@dataclass(frozen=True, eq=False)
class Solution:
    """Outer weights of B rows.

    Attributes
    ----------
    weight : array, shape (B, p)
        Scaled so that scores have variance 1.
    crossed : array, shape (B, p, k)
        Correlations of items with scores.
    iterations : int array, shape (B,)
    converged : bool array, shape (B,)
    """

    weight: np.ndarray
    crossed: np.ndarray
    iterations: np.ndarray
    converged: np.ndarray


def solve(
    layout: Layout,
    correlation: np.ndarray,
    *,
    scheme: Scheme = "path",
    tolerance: float = 1e-7,
    start: np.ndarray | None = None,
    along: np.ndarray | None = None,
) -> Solution:
    """Iterate outer and inner estimation until no outer weight moves by `tolerance`.

    The sign of a construct is a convention. Alone, a fit takes the sign that most loadings have; a fit that repeats
    another (a resample, a group, a fold) must take the sign of that one, or a tie of loadings decides it at random.

    Parameters
    ----------
    correlation : array, shape (B, p, p)
    start : array, shape (p,), optional
        First outer weights; ones if not given.
    along : array, shape (p,), optional
        Outer weights whose scores of the same answers each construct must not run against; `start` if not given.
    """
    b, p = correlation.shape[:2]
    k = len(layout.size)
    out = Solution(np.full((b, p), np.nan), np.full((b, p, k), np.nan), np.zeros(b, int), np.zeros(b, bool))
    live = np.flatnonzero(~np.isnan(correlation).any(axis=(1, 2)))
    r = correlation if len(live) == b else correlation[live]
    first = np.ones(p) if start is None else start
    with np.errstate(all="ignore"):
        weight, crossed = _scaled(layout, r, np.tile(first, (len(live), 1)))
        for iteration in range(1, ITERATIONS + 1):
            if not len(live):
                break
            fresh, fresh_crossed = _scaled(
                layout, r, _outer(layout, r, crossed, _inner(layout, weight, crossed, scheme))
            )
            turn = np.sign(np.add.reduceat(fresh * crossed[:, np.arange(p), layout.owner], layout.start, axis=1))
            turn[turn == 0] = 1
            fresh *= turn[:, layout.owner]
            fresh_crossed *= turn[:, None, :]
            moved = np.abs(fresh - weight).max(axis=1)
            weight, crossed = fresh, fresh_crossed
            leaving = (moved < tolerance) | np.isnan(moved) | (iteration == ITERATIONS)
            if leaving.any():
                gone = live[leaving]
                out.weight[gone], out.crossed[gone] = weight[leaving], crossed[leaving]
                out.iterations[gone], out.converged[gone] = iteration, moved[leaving] < tolerance
                stay = ~leaving
                live, r, weight, crossed = live[stay], r[stay], weight[stay], crossed[stay]
    return _oriented(layout, out, start if along is None else along)


def estimates(layout: Layout, answers: Answers, moment: Moments, solution: Solution) -> np.ndarray:
    """Compute every quantity of `layout.labels`, shape (B, quantities)."""
    weight, crossed = solution.weight, solution.crossed
    loading = crossed[:, np.arange(len(layout.owner)), layout.owner]
    score = score_correlation(layout, weight, crossed)
    with np.errstate(all="ignore"):
        path, r2 = structure(layout, score)
        total = _total_effects(layout, path)
        unstandardised = weight / moment.sd
        span = np.add.reduceat(unstandardised * (answers.high - answers.low), layout.start, axis=1)
        importance = np.column_stack([total[s, t] * span[:, s] / span[:, t] for s, t in layout.effects])
        parts = [
            np.column_stack([path[layout.at[s], layout.at[t]] for s, t in layout.model.edges]),
            np.column_stack([r2[c] for c in sorted(r2)]),
            index_points(layout, answers, unstandardised, moment.mean),
            np.column_stack([total[s, t] for s, t in layout.effects]),
            importance,
            *_reliability(layout, moment.correlation, weight, loading),
            _htmt(layout, moment.correlation),
            score[:, layout.pairs[0], layout.pairs[1]],
            weight,
            loading,
            moment.sd[:, [layout.start[c] for c in layout.products]],
        ]
    return np.hstack(parts)


def score_correlation(layout: Layout, weight: np.ndarray, crossed: np.ndarray) -> np.ndarray:
    """Correlations of the scores, shape (B, k, k), from outer weights and the items' correlations with scores."""
    return np.add.reduceat(weight[:, :, None] * crossed, layout.start, axis=1)


def correlations(layout: Layout, values: np.ndarray) -> np.ndarray:
    """Correlations of the constructs, shape (B, k, k), from rows of quantities."""
    between = np.tile(np.eye(len(layout.size)), (len(values), 1, 1))
    first, second = layout.pairs
    given = values[:, [quantity == "correlation" for quantity, _ in layout.labels]]
    between[:, first, second] = between[:, second, first] = given
    return between


def structure(layout: Layout, score: np.ndarray) -> tuple[dict[tuple[int, int], np.ndarray], dict[int, np.ndarray]]:
    """Path coefficients by (source, target) and R2 by target, from correlations of constructs, shape (B, k, k)."""
    columns = np.ascontiguousarray(score.transpose(1, 2, 0))
    path, r2 = {}, {}
    for target, sources in layout.sources.items():
        coefficients = regressed(columns, target, sources)
        path.update({(source, target): value for source, value in zip(sources, coefficients, strict=True)})
        r2[target] = (coefficients * columns[sources, target]).sum(axis=0)
    return path, r2


def index_points(layout: Layout, answers: Answers, weight: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Index 0-100 of each construct from unstandardised outer weights and item means.

    Parameters
    ----------
    weight, mean : arrays that broadcast, last axis items
    """
    reached = np.add.reduceat(weight * (mean - answers.low), layout.start, axis=-1)
    return 100 * reached / np.add.reduceat(weight * (answers.high - answers.low), layout.start, axis=-1)


def _scaled(layout: Layout, r: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale weights to scores of variance 1; also give the items' correlations with the scores."""
    b, p = weight.shape
    spread = np.zeros((b, p, len(layout.size)))
    spread[:, np.arange(p), layout.owner] = weight
    crossed = r @ spread
    variance = np.add.reduceat(weight * crossed[:, np.arange(p), layout.owner], layout.start, axis=1)
    scale = 1 / np.sqrt(variance)
    return weight * scale[:, layout.owner], crossed * scale[:, None, :]


def _inner(layout: Layout, weight: np.ndarray, crossed: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Inner weights, shape (B, k, k): [row, construct, neighbour]."""
    score = score_correlation(layout, weight, crossed)
    if scheme == "centroid":
        score = np.sign(score)
    inner: np.ndarray = layout.neighbours * score
    if scheme == "path":
        columns = np.ascontiguousarray(score.transpose(1, 2, 0))
        for target, sources in layout.sources.items():
            if len(sources) > 1:
                for source, value in zip(sources, regressed(columns, target, sources), strict=True):
                    inner[:, target, source] = value
    return inner


def _outer(layout: Layout, r: np.ndarray, crossed: np.ndarray, inner: np.ndarray) -> np.ndarray:
    weight: np.ndarray = np.einsum("bik,bik->bi", crossed, inner[:, layout.owner])
    for c in layout.formative:
        block = slice(layout.start[c], layout.start[c] + layout.size[c])
        matrix = np.ascontiguousarray(r[:, block, block].transpose(1, 2, 0))
        weight[:, block] = _solved(matrix, weight[:, block].T).T
    return weight


def regressed(score: np.ndarray, target: int, sources: list[int]) -> np.ndarray:
    """Coefficients of a regression of one score on others; `score` has shape (k, k, B)."""
    if len(sources) == 1:
        return score[sources, target]
    return _solved(score[np.ix_(sources, sources)], score[sources, target])


def _solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve B positive definite systems at once: shapes (m, m, B) and (m, B).

    Elimination without pivots is stable here, and small systems as vectors over B cost a tenth of a call each.
    NaN where a variable is a combination of those before it.
    """
    a, y = matrix.copy(), right.copy()
    m = len(a)
    for i in range(m):
        a[i, i] = np.where(a[i, i] > SINGULAR, a[i, i], np.nan)
        for j in range(i + 1, m):
            factor = a[j, i] / a[i, i]
            a[j, i + 1 :] -= factor * a[i, i + 1 :]
            y[j] -= factor * y[i]
    for i in reversed(range(m)):
        for j in range(i + 1, m):
            y[i] -= a[i, j] * y[j]
        y[i] /= a[i, i]
    return y


def _oriented(layout: Layout, solution: Solution, along: np.ndarray | None) -> Solution:
    """Give each construct the sign of its covariance with the scores of `along`, or the sign that most items share."""
    with np.errstate(invalid="ignore"):
        loading = solution.crossed[:, np.arange(len(layout.owner)), layout.owner]
        if along is None:
            turn = np.sign(np.add.reduceat(np.sign(loading), layout.start, axis=1))
            turn = np.where(turn == 0, np.sign(np.add.reduceat(loading, layout.start, axis=1)), turn)
        else:
            turn = np.sign(np.add.reduceat(along * loading, layout.start, axis=1))
        turn = np.where(turn == 0, 1.0, turn)
    return Solution(
        solution.weight * turn[:, layout.owner],
        solution.crossed * turn[:, None, :],
        solution.iterations,
        solution.converged,
    )


def _total_effects(layout: Layout, path: dict[tuple[int, int], np.ndarray]) -> dict[tuple[int, int], np.ndarray]:
    total: dict[tuple[int, int], np.ndarray] = {}
    for target, sources in layout.sources.items():
        for source in sources:
            coefficient = path[source, target]
            total[source, target] = total.get((source, target), 0) + coefficient
            for first in range(len(layout.size)):
                if (first, source) in total:
                    total[first, target] = total.get((first, target), 0) + total[first, source] * coefficient
    return total


def rho_a(layout: Layout, weight: np.ndarray) -> np.ndarray:
    """rho_A, shape (B, k), from outer weights of scores of variance 1: w'Sw = 1, so it takes no correlation."""
    square, fourth = (np.add.reduceat(weight**power, layout.start, axis=1) for power in (2, 4))
    with np.errstate(divide="ignore", invalid="ignore"):
        found: np.ndarray = square**2 * (1 - square) / (square**2 - fourth)
    found[:, layout.size == 1] = 1.0
    found[:, layout.formative] = np.nan
    return found


def _reliability(layout: Layout, r: np.ndarray, weight: np.ndarray, loading: np.ndarray) -> list[np.ndarray]:
    """rho_A, rho_C, alpha (of standardised items) and AVE; 1 for single items, NaN for mode B."""

    def summed(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, layout.start, axis=1)

    size = layout.size
    explained = summed(loading**2)
    whole = summed(loading) ** 2
    block = np.stack([r[:, s : s + m, s : s + m].sum(axis=(1, 2)) for s, m in zip(layout.start, size, strict=True)], 1)
    measures = [
        rho_a(layout, weight),
        whole / (whole + size - explained),
        size / np.maximum(size - 1, 1) * (1 - size / block),
        explained / size,
    ]
    for measure in measures:
        measure[:, size == 1] = 1.0
        measure[:, layout.formative] = np.nan
    return measures


def _htmt(layout: Layout, r: np.ndarray) -> np.ndarray:
    """Heterotrait-monotrait ratio of the absolute correlations (HTMT+), shape (B, pairs)."""
    within = np.add.reduceat(np.add.reduceat(np.abs(r), layout.start, axis=1), layout.start, axis=2)
    size = layout.size
    own = (np.einsum("bkk->bk", within) - size) / np.maximum(size * (size - 1), 1)
    own[:, size == 1] = 1.0
    own[:, layout.formative] = np.nan
    a, b = layout.pairs
    ratio: np.ndarray = within[:, a, b] / (size[a] * size[b]) / np.sqrt(own[:, a] * own[:, b])
    return ratio
