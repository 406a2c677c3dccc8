"""Would other customers of the same kind give the same clusters? Bootstrap Jaccard and prediction strength."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

from workbench.resampling import seeds
from workbench.studies.segmentation.rules import Method, fit_rule

STABLE, HIGHLY_STABLE, DOUBTFUL = 0.75, 0.85, 0.60
STRONG = 0.8
_BOOTSTRAP_STARTS, _HALF_STARTS = 3, 10
_SILHOUETTE_ROWS = 3_000


def verdict(jaccard: float) -> str:
    """Say what a mean Jaccard similarity means, by Hennig's thresholds."""
    if jaccard > HIGHLY_STABLE:
        return "highly stable"
    if jaccard > STABLE:
        return "stable"
    return "pattern, borders doubtful" if jaccard > DOUBTFUL else "not stable"


def bootstrap_jaccard(
    x: np.ndarray,
    label: np.ndarray,
    k: int,
    *,
    resamples: int,
    rng: np.random.SeedSequence,
    method: Method = "kmeans",
) -> np.ndarray:
    """How well each cluster is found again in resamples, shape (resamples, k).

    A resample is the set of distinct customers of a bootstrap draw, clustered anew. A cluster's similarity is the
    greatest Jaccard coefficient with any of the new clusters, on the customers drawn; 0 if none of it was drawn.

    References
    ----------
    Hennig (2007), Cluster-wise assessment of cluster stability, CSDA 52.
    """
    found = np.zeros((resamples, k))
    for row, seed in enumerate(seeds(rng, resamples)):
        draw, start = seeds(seed, 2)
        drawn = np.unique(np.random.default_rng(draw).integers(0, len(x), len(x)))
        again = fit_rule(x[drawn], k, method, starts=_BOOTSTRAP_STARTS, seed=start).label(x[drawn])
        both = _crosstab(label[drawn], again, k)
        either = both.sum(axis=1, keepdims=True) + both.sum(axis=0) - both
        found[row] = np.divide(both, either, out=np.zeros_like(both), where=either > 0).max(axis=1)
    return found


def prediction_strength(
    x: np.ndarray, k: int, *, splits: int, rng: np.random.SeedSequence, method: Method = "kmeans"
) -> float:
    """How well one half's clusters predict who is together in the other half; 1 = perfectly.

    References
    ----------
    Tibshirani & Walther (2005), Cluster validation by prediction strength, JCGS 14.
    """
    strengths = []
    for seed in seeds(rng, splits):
        draw, first, second = seeds(seed, 3)
        order = np.random.default_rng(draw).permutation(len(x))
        halves = x[order[: len(x) // 2]], x[order[len(x) // 2 :]]
        fit = partial(fit_rule, k=k, method=method, starts=_HALF_STARTS)
        rules = fit(halves[0], seed=first), fit(halves[1], seed=second)
        for mine, other in ((0, 1), (1, 0)):
            own, foreign = (rules[side].label(halves[mine]) for side in (mine, other))
            together = _crosstab(own, foreign, k)
            size = together.sum(axis=1)
            pairs = (together * (together - 1)).sum(axis=1)
            strengths.append(np.where(size > 1, pairs / np.maximum(size * (size - 1), 1), 1.0).min())
    return float(np.mean(strengths))


def separation(x: np.ndarray, label: np.ndarray, rng: np.random.SeedSequence) -> dict[str, float]:
    """Silhouette (on at most 3,000 rows), Calinski-Harabasz and Davies-Bouldin."""
    rows = np.arange(len(x))
    if len(x) > _SILHOUETTE_ROWS:
        rows = np.sort(np.random.default_rng(rng).choice(len(x), _SILHOUETTE_ROWS, replace=False))
    few = len(np.unique(label[rows])) < 2
    return {
        "silhouette": np.nan if few else float(silhouette_score(x[rows], label[rows])),
        "calinski_harabasz": float(calinski_harabasz_score(x, label)),
        "davies_bouldin": float(davies_bouldin_score(x, label)),
    }


def _crosstab(a: np.ndarray, b: np.ndarray, k: int) -> np.ndarray:
    return np.bincount(a * k + b, minlength=k * k).reshape(k, k).astype(float)
