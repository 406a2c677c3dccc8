"""To which cluster does a customer belong? To the nearest centre, or to the likeliest part of a mixture."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import logsumexp
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

Method = Literal["kmeans", "gmm"]

_BLOCK = 8_192
_FLOOR = 1e-3
_STEPS, _TOLERANCE = 200, 1e-3
_SEARCH_ROWS, _FINALISTS = 10_000, 3
_ALIKE, _AGREE, _AGAIN = 1e-4, 5, 3
_PLAIN = 10


@dataclass(frozen=True, eq=False)
class Rule:
    """A partition of the scaled features, applied to anyone.

    Attributes
    ----------
    centres : ndarray, shape (k, p)
    weights : ndarray or None, shape (k,)
        Shares of the parts of a Gaussian mixture; None where the nearest centre decides.
    factors : ndarray or None, shape (k, p, p)
        Upper Cholesky factors of the inverse covariances of the parts.
    """

    centres: np.ndarray
    weights: np.ndarray | None = None
    factors: np.ndarray | None = None

    def label(self, x: np.ndarray) -> np.ndarray:
        """Position of the cluster of each row (the first of equally good ones), shape (n,)."""
        label = np.empty(len(x), dtype=np.int64)
        for start in range(0, len(x), _BLOCK):
            rows = slice(start, start + _BLOCK)
            label[rows] = self.scores(x[rows]).argmax(axis=1)
        return label

    def ordered(self, order: np.ndarray) -> Rule:
        """Give the same rule with its clusters in another order."""
        given = {name: part[order] for name, part in vars(self).items() if part is not None}
        return replace(self, **given)

    def scores(self, x: np.ndarray) -> np.ndarray:
        """How well each cluster suits each row, shape (n, k): of a mixture its log density, up to a constant of p."""
        if self.factors is None or self.weights is None:
            return np.einsum("ij,kj->ik", x, self.centres) - (self.centres**2).sum(axis=1) / 2
        scores = np.empty((len(x), len(self.centres)))
        for k, (weight, centre, factor) in enumerate(zip(self.weights, self.centres, self.factors, strict=True)):
            square = np.einsum("ij,jk->ik", x - centre, factor) ** 2
            scores[:, k] = np.log(weight) + np.log(np.diag(factor)).sum() - square.sum(axis=1) / 2
        return scores


def fit_rule(
    x: np.ndarray,
    k: int,
    method: Method,
    *,
    starts: int,
    seed: np.random.SeedSequence,
    begin: np.ndarray | None = None,
    most: int = 0,
    plain: bool = False,
) -> tuple[Rule, bool]:
    """Fit k-means, the best of several seeded starts; a mixture goes on from there or from that of the whitened rows.

    Parameters
    ----------
    x : ndarray, shape (n, p)
    starts, most : int
        Runs from k-means++ starts, and up to `most` until the best has come up three times. Where the first five runs
        (of a fit with `most`: ten) all end alike there are no more.
    begin : ndarray of int, shape (n,), optional
        A partition to start from as well: that of the whole, where `x` is a resample of it.
    plain : bool
        Of a resample: the whole had one end for all its ten starts, so three runs that end alike are enough here.

    Returns
    -------
    Rule
    bool
        Whether ten starts or more all ended alike.

    Notes
    -----
    Beyond 10,000 rows the starts are tried on that many, evenly spaced in `x`, and the best three go on with all. The
    parts of a mixture have full covariances, to which 0.001 is added on the diagonal: no part collapses on a value.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # few distinct rows in a resample
        if method == "kmeans":
            best, alike = _means(x, k, starts, most, seed, begin, plain)
            return Rule(best.cluster_centers_), alike
        whole = np.atleast_2d(np.cov(x.T)) + _FLOOR * np.eye(x.shape[1])
        whitened = np.linalg.solve(np.linalg.cholesky(whole), x.T).T
        begun = [_means(z, k, starts, most, seed, None, False)[0].labels_ for z in (x, whitened)]
    begun += [] if begin is None else [begin]
    return max((_mixture(x, k, label) for label in begun), key=lambda fitted: fitted[1])[0], False


def _means(x, k, starts, most, seed, begin, plain) -> tuple[KMeans, bool]:
    """The best of many runs of k-means, led to its very end so that the start leaves no trace in it."""
    few = x if len(x) <= _SEARCH_ROWS else x[np.linspace(0, len(x) - 1, _SEARCH_ROWS).astype(int)]
    runs = []
    if begin is not None:
        runs.append(KMeans(k, init=_centres(x, begin, k), n_init=1).fit(few))
    enough = _PLAIN if most else _AGAIN if plain else _AGREE
    numbers = [int(number) for number in seed.generate_state(max(starts, most))]
    while numbers:
        inertia = np.array([run.inertia_ for run in runs])
        alike = int((inertia <= inertia.min() * (1 + _ALIKE)).sum()) if runs else 0
        if alike == len(runs) >= enough or (len(runs) >= starts and alike >= _AGAIN):
            break
        together = len(numbers) if runs and alike < len(runs) and not most else 1
        runs.append(KMeans(k, init="k-means++", n_init=together, random_state=numbers[0]).fit(few))
        del numbers[:together]
    alike = len(runs) >= _PLAIN and max(run.inertia_ for run in runs) <= min(r.inertia_ for r in runs) * (1 + _ALIKE)
    runs.sort(key=lambda run: run.inertia_)
    if few is not x:
        runs = [KMeans(k, init=run.cluster_centers_, n_init=1).fit(x) for run in _apart(runs)[:_FINALISTS]]
    best = min(runs, key=lambda run: run.inertia_)
    if most:
        best = KMeans(k, init=best.cluster_centers_, n_init=1, tol=0, max_iter=_STEPS).fit(x)
    return best, alike


def _apart(runs: list[KMeans]) -> list[KMeans]:
    """One run of those that ended alike, the best first."""
    kept = runs[:1]
    for run in runs[1:]:
        if run.inertia_ > kept[-1].inertia_ * (1 + _ALIKE):
            kept.append(run)
    return kept


def _centres(x: np.ndarray, label: np.ndarray, k: int) -> np.ndarray:
    """Mean of each cluster; of one that is empty, a row of x."""
    size = np.bincount(label, minlength=k)
    sums = np.column_stack([np.bincount(label, column, k) for column in x.T])
    return np.where(size[:, None] > 0, sums / np.maximum(size, 1)[:, None], x[np.arange(k) % len(x)])


def _mixture(x: np.ndarray, k: int, label: np.ndarray) -> tuple[Rule, float]:
    """Fit a mixture from a first partition by expectation and maximisation; give it with its mean log likelihood.

    The steps and the stop are those of scikit-learn's GaussianMixture, which spends most of its time on checks where
    rows are few: a number of clusters takes hundreds of fits.
    """
    share = np.zeros((len(x), k))
    share[np.arange(len(x)), label] = 1
    share[:, share.sum(axis=0) == 0] = 1  # a part that nobody is in begins as all
    rule, bound = _parts(x, share), -np.inf
    for _ in range(_STEPS):
        scores = np.empty((len(x), k))
        assert rule.weights is not None and rule.factors is not None, "a mixture has them"
        for c, (weight, centre, factor) in enumerate(zip(rule.weights, rule.centres, rule.factors, strict=True)):
            scores[:, c] = np.log(weight) + np.log(np.diag(factor)).sum() - (((x - centre) @ factor) ** 2).sum(1) / 2
        top = scores.max(axis=1, keepdims=True)
        share = np.exp(scores - top)
        total = share.sum(axis=1, keepdims=True)
        share /= total
        before, bound = bound, float((top + np.log(total)).mean())
        rule = _parts(x, share)
        if abs(bound - before) < _TOLERANCE:
            break
    return rule, bound


def _parts(x: np.ndarray, share: np.ndarray) -> Rule:
    """The likeliest parts where each row belongs to each by a share, shape (n, k)."""
    size = share.sum(axis=0) + 10 * np.finfo(float).eps
    centres = share.T @ x / size[:, None]
    covariances = np.empty((len(size), x.shape[1], x.shape[1]))
    for c, centre in enumerate(centres):
        apart = x - centre
        covariances[c] = (share[:, c] * apart.T) @ apart / size[c] + _FLOOR * np.eye(x.shape[1])
    factors = np.linalg.inv(np.linalg.cholesky(covariances)).transpose(0, 2, 1)
    return Rule(centres, size / size.sum(), factors)


def bic(x: np.ndarray, rule: Rule) -> float:
    """Bayesian information criterion of a mixture, lower is better; NaN where there is no likelihood."""
    if rule.factors is None:
        return np.nan
    k, p = rule.centres.shape
    free = k - 1 + k * p + k * p * (p + 1) // 2
    likelihood = logsumexp(rule.scores(x), axis=1).sum() - len(x) * p * np.log(2 * np.pi) / 2
    return float(free * np.log(len(x)) - 2 * likelihood)
