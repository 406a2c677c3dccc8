"""Would other customers of the same kind give the same clusters? Bootstrap Jaccard and prediction strength."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_samples

from workbench.messages import Message, say
from workbench.methods.resampling import seeds
from workbench.studies.segmentation.partition import Method, fit_rule

STABLE, HIGHLY_STABLE, DOUBTFUL = 0.75, 0.85, 0.60
STRONG = 0.8
ENOUGH = 40
_ERRORS = 3
_SILHOUETTE_ROWS = 3_000


def verdict(jaccard: float) -> Message:
    """Say what a mean Jaccard similarity means, by Hennig's thresholds."""
    if jaccard > HIGHLY_STABLE:
        return say("highly stable")
    if jaccard > STABLE:
        return say("stable")
    return say("pattern, borders doubtful") if jaccard > DOUBTFUL else say("not stable")


def bootstrap_jaccard(
    x: np.ndarray,
    label: np.ndarray,
    k: int,
    *,
    resamples: int,
    rng: np.random.SeedSequence,
    method: Method = "kmeans",
    starts: int = 10,
    most: int | None = None,
    first: int = 0,
    plain: bool = False,
) -> np.ndarray:
    """How well each cluster is found again in resamples, shape (resamples, k).

    A resample is the set of distinct customers of a bootstrap draw (beyond `most` customers, of a draw of that many),
    clustered anew from as many starts as the fit and from the clusters themselves. A cluster's similarity is the
    greatest Jaccard coefficient with any of the new clusters, on the customers drawn; 0 if none of it was drawn. The
    resamples from `first` on are drawn; those before it are known.

    References
    ----------
    Hennig (2007), Cluster-wise assessment of cluster stability, CSDA 52.
    """
    found = np.zeros((resamples - first, k))
    for row, seed in enumerate(seeds(rng, resamples)[first:]):
        draw, start = seeds(seed, 2)
        generator = np.random.default_rng(draw)
        rows = _some(len(x), most, generator)
        rows = rows[np.unique(generator.integers(0, len(rows), len(rows)))]
        fitted, _ = fit_rule(x[rows], k, method, starts=starts, seed=start, begin=label[rows], plain=plain)
        both = _crosstab(label[rows], fitted.label(x[rows]), k)
        either = both.sum(axis=1, keepdims=True) + both.sum(axis=0) - both
        found[row] = np.divide(both, either, out=np.zeros_like(both), where=either > 0).max(axis=1)
    return found


def prediction_strength(
    x: np.ndarray,
    label: np.ndarray,
    k: int,
    *,
    splits: int,
    rng: np.random.SeedSequence,
    method: Method = "kmeans",
    starts: int = 10,
    most: int | None = None,
    first: int = 0,
    plain: bool = False,
) -> np.ndarray:
    """How well one half's clusters predict who is together in the other half; 1 = perfectly, shape (splits,).

    References
    ----------
    Tibshirani & Walther (2005), Cluster validation by prediction strength, JCGS 14.
    """
    strengths = np.zeros((splits - first, 2))
    for row, seed in enumerate(seeds(rng, splits)[first:]):
        draw, *of_halves = seeds(seed, 3)
        generator = np.random.default_rng(draw)
        order = generator.permutation(_some(len(x), most, generator))
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        rules = [
            fit_rule(x[half], k, method, starts=starts, seed=start, begin=label[half], plain=plain)[0]
            for half, start in zip(halves, of_halves, strict=True)
        ]
        for mine, other in ((0, 1), (1, 0)):
            own, foreign = (rules[side].label(x[halves[mine]]) for side in (mine, other))
            together = _crosstab(own, foreign, k)
            size = together.sum(axis=1)
            pairs = (together * (together - 1)).sum(axis=1)
            strengths[row, mine] = np.where(size > 1, pairs / np.maximum(size * (size - 1), 1), 1.0).min()
    return strengths.mean(axis=1)


def standing(values: np.ndarray, limit: float) -> int:
    """Whether the mean over repetitions is above a limit whatever the seed: 1 above, -1 not above, 0 open.

    Above where it is so by three standard errors even if the next repetition gave half the limit: a rare other
    solution shows in no spread before it comes up. Among 40 repetitions it has come up (one in ten: 98.5%), and their
    own spread is taken. Not above where the mean lies below by three standard errors.

    >>> standing(np.full(40, 0.95), 0.8), standing(np.full(5, 0.95), 0.8), standing(np.array([0.4, 0.5, 0.4]), 0.8)
    (1, 0, -1)
    """
    n, careful = len(values), np.append(values, limit / 2)
    known = values if n >= ENOUGH else careful
    if careful.mean() - _ERRORS * known.std(ddof=1) / np.sqrt(len(known)) > limit:
        return 1
    return -1 if values.mean() + _ERRORS * max(values.std(ddof=1), 0.01) / np.sqrt(n) <= limit else 0


def _some(n: int, most: int | None, generator: np.random.Generator) -> np.ndarray:
    """Positions of at most so many rows, ascending."""
    return np.arange(n) if most is None or n <= most else np.sort(generator.choice(n, most, replace=False))


def separation(x: np.ndarray, label: np.ndarray, rng: np.random.SeedSequence) -> tuple[dict[str, float], np.ndarray]:
    """Silhouette (on at most 3,000 rows), Calinski-Harabasz and Davies-Bouldin; and the silhouette of those rows."""
    rows = _some(len(x), _SILHOUETTE_ROWS, np.random.default_rng(rng))
    few = len(np.unique(label[rows])) < 2
    each = np.full(len(rows), np.nan) if few else silhouette_samples(x[rows], label[rows])
    return {
        "silhouette": float(each.mean()),
        "calinski_harabasz": float(calinski_harabasz_score(x, label)),
        "davies_bouldin": float(davies_bouldin_score(x, label)),
    }, each


def _crosstab(a: np.ndarray, b: np.ndarray, k: int) -> np.ndarray:
    return np.bincount(a * k + b, minlength=k * k).reshape(k, k).astype(float)
