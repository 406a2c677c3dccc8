"""To which cluster does a customer belong? To the nearest centre, or to the likeliest part of a mixture."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import logsumexp
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

Method = Literal["kmeans", "gmm"]

_BLOCK = 8_192
_FLOOR = 1e-3


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
        if self.factors is None:
            return np.einsum("ij,kj->ik", x, self.centres) - (self.centres**2).sum(axis=1) / 2
        scores = np.empty((len(x), len(self.centres)))
        for k, (weight, centre, factor) in enumerate(zip(self.weights, self.centres, self.factors, strict=True)):
            square = np.einsum("ij,jk->ik", x - centre, factor) ** 2
            scores[:, k] = np.log(weight) + np.log(np.diag(factor)).sum() - square.sum(axis=1) / 2
        return scores


def fit_rule(x: np.ndarray, k: int, method: Method, *, starts: int, seed: np.random.SeedSequence) -> Rule:
    """Fit k-means, the best of several seeded starts; a mixture goes on from there or from that of the whitened rows.

    The parts of a mixture have full covariances, to which 0.001 is added on the diagonal: no part collapses on a value.
    """
    means = KMeans(k, n_init=starts, random_state=int(seed.generate_state(1)[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # few distinct rows in a resample; a run that still creeps
        if method == "kmeans":
            return Rule(means.fit(x).cluster_centers_)
        whole = np.atleast_2d(np.cov(x.T)) + _FLOOR * np.eye(x.shape[1])
        begun = [means.fit_predict(z) for z in (x, np.linalg.solve(np.linalg.cholesky(whole), x.T).T)]
        best = max((_mixture(x, k, label) for label in begun), key=lambda mixture: mixture.lower_bound_)
    return Rule(best.means_, best.weights_, best.precisions_cholesky_)


def _mixture(x: np.ndarray, k: int, label: np.ndarray) -> GaussianMixture:
    parts = [x[label == c] if (label == c).any() else x for c in range(k)]
    floor = _FLOOR * np.eye(x.shape[1])
    begin = {
        "weights_init": np.array([len(part) for part in parts]) / sum(map(len, parts)),
        "means_init": np.array([part.mean(axis=0) for part in parts]),
        "precisions_init": np.linalg.inv([np.atleast_2d(np.cov(part.T, bias=True)) + floor for part in parts]),
    }
    return GaussianMixture(
        k, reg_covar=_FLOOR, max_iter=200, init_params="random_from_data", random_state=0, **begin
    ).fit(x)


def bic(x: np.ndarray, rule: Rule) -> float:
    """Bayesian information criterion of a mixture, lower is better; NaN where there is no likelihood."""
    if rule.factors is None:
        return np.nan
    k, p = rule.centres.shape
    free = k - 1 + k * p + k * p * (p + 1) // 2
    likelihood = logsumexp(rule.scores(x), axis=1).sum() - len(x) * p * np.log(2 * np.pi) / 2
    return float(free * np.log(len(x)) - 2 * likelihood)
