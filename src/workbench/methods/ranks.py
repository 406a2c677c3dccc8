"""Which ranks does sampling error leave to each of several values?"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.stats import norm, t

from workbench.methods.resampling import standard_error


def rank_ends(
    estimate: np.ndarray,
    replicates: np.ndarray,
    level: float,
    *,
    hidden: np.ndarray | float = 0.0,
    df: np.ndarray | float = np.inf,
) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest ranks, shape (j,), that simultaneous intervals of all gaps leave to each of j values.

    Parameters
    ----------
    estimate, replicates : arrays, shapes (j,), (resamples, j)
    hidden : array, shape (j,), or float
        Variance of each that the resamples do not show; infinite where nothing is known.
    df : array, shape (j,), or float
        Degrees of freedom of each error.
    """
    first, second = np.array(list(combinations(range(len(estimate)), 2))).T
    hidden, df = (np.broadcast_to(np.asarray(a, float), len(estimate)) for a in (hidden, df))
    gap, drawn = estimate[first] - estimate[second], replicates[:, first] - replicates[:, second]
    shown = standard_error(drawn)
    error = np.sqrt(shown**2 + hidden[first] + hidden[second])
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(shown > 0, np.abs(drawn - gap) / shown, 0.0)
    largest = np.fmax.reduce(each, axis=1)
    largest = largest[~np.isnan(largest)]
    most = max(float(np.quantile(largest, level)) if len(largest) else 0.0, norm.isf((1 - level) / 2))
    pair = np.minimum(df[first], df[second])
    wide = error * t.isf(norm.sf(most), np.where(pair > 0, pair, 1))
    wide = np.where((error > 0) & (pair > 0), wide, np.inf)
    better = np.zeros((len(estimate), len(estimate)), bool)
    better[first, second], better[second, first] = gap > wide, -gap > wide
    return 1 + better.sum(axis=0), len(estimate) - better.sum(axis=1)
