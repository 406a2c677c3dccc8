"""Exact intervals of events that happen one by one (Poisson): of a count, a ratio and a difference; mid-P."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from workbench.methods.intervals import crossing


def expected(count: ArrayLike, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Interval of the number to be expected where so many were counted.

    Examples
    --------
    >>> [round(float(end), 3) for end in expected(10)]
    [5.08, 17.825]
    """
    x, tail = np.asarray(count, float), (1 - level) / 2
    most = x + 10 * np.sqrt(x + 1) + 10

    def reached(mean: np.ndarray) -> np.ndarray:  # chance of fewer: falls with the mean
        return np.asarray(stats.poisson.cdf(x - 1, mean) + 0.5 * stats.poisson.pmf(x, mean))

    low = np.where(x > 0, crossing(reached, np.zeros(x.shape), np.maximum(x, 1e-9), 1 - tail), 0.0)
    return low[()], crossing(reached, np.maximum(x, 0.0), most, tail)[()]


def ratio(count_1: ArrayLike, count_0: ArrayLike, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Interval of the ratio of two expected numbers: given their sum, the first count is binomial.

    Returns
    -------
    low, high : arrays; high is infinite where `count_0` is 0, both NaN where both counts are

    References
    ----------
    Przyborowski and Wilenski (1940), Biometrika 31; Lancaster (1961), JASA 56 (mid-P).

    Examples
    --------
    >>> [round(float(end), 3) for end in ratio(5, 10)]
    [0.154, 1.452]
    """
    x, y = np.broadcast_arrays(np.asarray(count_1, float), np.asarray(count_0, float))
    n, tail = x + y, (1 - level) / 2

    def reached(share: np.ndarray) -> np.ndarray:
        return np.asarray(stats.binom.cdf(x - 1, n, share) + 0.5 * stats.binom.pmf(x, n, share))

    found, zero, one = np.where(n > 0, x / np.maximum(n, 1), 0.5), np.zeros(x.shape), np.ones(x.shape)
    low = np.where(x > 0, crossing(reached, zero, found, 1 - tail), 0.0)
    high = np.where(y > 0, crossing(reached, found, one, tail), 1.0)
    with np.errstate(divide="ignore"):
        low, high = (np.where(n > 0, part / (1 - part), np.nan)[()] for part in (low, high))
    return low, high


def difference(count_1: ArrayLike, count_0: ArrayLike, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Interval of the difference of two expected numbers, from the interval of each (Zou and Donner 2008).

    Examples
    --------
    >>> [round(float(end), 2) for end in difference(5, 10)]
    [-13.44, 2.82]
    """
    x, y = np.asarray(count_1, float), np.asarray(count_0, float)
    (x_low, x_high), (y_low, y_high) = expected(x, level=level), expected(y, level=level)
    gap = x - y
    return gap - np.hypot(x - x_low, y_high - y), gap + np.hypot(x_high - x, y - y_low)
