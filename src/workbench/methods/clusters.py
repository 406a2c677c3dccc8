"""Shares, differences and ratios with their intervals, where a customer has several rows."""

from __future__ import annotations

import numpy as np

from workbench.methods import intervals

PRIOR = 30
"""Rows for which it counts how much a share of a sum would vary if customers differed alike whatever their size."""


def share(y: np.ndarray, who: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Share with Wilson's interval at the effective number of rows; NaN without rows.

    >>> [round(float(x), 3) for x in share(np.array([1, 1, 0, 0, 1, 1]), np.array([1, 1, 2, 2, 3, 3]))]
    [0.667, 0.159, 0.955]
    """
    if not len(y):
        return np.nan, np.nan, np.nan
    p, codes = y.mean(), np.unique(who, return_inverse=True)[1]
    sums = np.bincount(codes, y - p)
    groups, variance = len(sums), float((sums**2).sum()) / len(y) ** 2
    return float(p), *_wilson(float(p), variance * groups / max(groups - 1, 1), float(groups), level)


def _wilson(p: float, variance: float, most: float, level: float) -> tuple[float, float]:
    """Wilson's interval at so many rows as the variance stands for; at `most` where nothing varied."""
    spread = p * (1 - p)
    n = spread / variance if variance > 1e-12 * spread > 0 else most
    low, high = intervals.share(p * n, n, level=level)
    return float(low), float(high)


def difference(
    y: np.ndarray, treated: np.ndarray, who: np.ndarray, level: float = 0.95
) -> tuple[float, float, float, float]:
    """Difference of two means with its interval and p, rows by customer; of one customer alone without an interval.

    >>> y, treated = np.r_[np.arange(50.0), np.arange(50.0) + 20], np.arange(100) >= 50
    >>> [round(float(x), 2) for x in difference(y, treated, np.arange(100))]
    [20.0, 14.31, 25.69, 0.0]
    """
    one, zero = intervals.Mean.of(y[treated]), intervals.Mean.of(y[~treated])
    codes = np.unique(who, return_inverse=True)[1]
    part = np.where(treated, (y - one.value) / treated.sum(), -(y - zero.value) / (~treated).sum())
    sums = np.bincount(codes, part)
    if (groups := len(sums)) < 2:
        return float(one.value - zero.value), np.nan, np.nan, np.nan
    error = (sums**2).sum() * groups / (groups - 1), (sums**3).sum()
    low, high, p = intervals.mean_difference(one, zero, amounts=bool((y >= 0).all()), level=level, error=error)
    return float(one.value - zero.value), float(low), float(high), float(p)


def ratio(top: np.ndarray, bottom: np.ndarray, who: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Share of a sum, parts of which `top` are, with Wilson's interval at the effective number of customers.

    A few large customers who all did alike tell little of how much the share varies. So what was seen to vary counts as
    the rows that tell it (as squares do), and for `PRIOR` rows what would vary if customers differed alike whatever
    their size: as much as an event does, less what parts of one do not. NaN where the sum is not above 0.

    >>> [round(float(x), 3) for x in ratio(np.array([0.0, 2.0, 2.0]), np.array([2.0, 2.0, 2.0]), np.arange(3))]
    [0.667, 0.208, 0.939]
    """
    codes = np.unique(who, return_inverse=True)[1]
    upper, lower = np.bincount(codes, top), np.bincount(codes, bottom)
    total, squares = float(lower.sum()), float((lower**2).sum())
    if not total > 0:
        return np.nan, np.nan, np.nan
    p, groups, worth = float(upper.sum()) / total, len(lower), total**2 / squares
    q = (p * worth + 0.5) / (worth + 1)  # one more customer, half of whom is an event
    spread, more = q * (1 - q), (q**2 + (1 - q) ** 2) / 2 * squares / worth
    within = np.divide(upper * (lower - upper), lower, out=np.zeros(groups), where=lower > 0).clip(0)
    alike = max(1 + groups * (1 - float(within.sum()) / total / spread), 1.0) / (groups + 1) * spread / worth
    seen = (float(((upper - q * lower) ** 2).sum()) + more) / total**2 * worth / (worth + 1)
    rows = squares**2 / float((lower**4).sum())
    n = spread * (rows + PRIOR) / (rows * seen + PRIOR * alike)
    low, high = intervals.share(p * n, n, level=level)
    return p, float(low), float(high)
