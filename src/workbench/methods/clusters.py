"""Shares, differences and ratios with their intervals, where a customer has several rows."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from workbench.methods import intervals


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
    worth = p * (1 - p) / (variance * groups / (groups - 1)) if variance > 0 and groups > 1 else float(groups)
    low, high = map(float, intervals.share(p * worth, worth, level=level))
    return float(p), low, high


def difference(
    y: np.ndarray, treated: np.ndarray, who: np.ndarray, level: float = 0.95
) -> tuple[float, float, float, float]:
    """Difference of two means with its interval and p; a customer may have rows in both arms.

    >>> y, treated = np.r_[np.arange(50.0), np.arange(50.0) + 20], np.arange(100) >= 50
    >>> [round(float(x), 2) for x in difference(y, treated, np.arange(100))]
    [20.0, 14.31, 25.69, 0.0]
    """
    one, zero = intervals.Mean.of(y[treated]), intervals.Mean.of(y[~treated])
    codes = np.unique(who, return_inverse=True)[1]
    part = np.where(treated, (y - one.value) / treated.sum(), -(y - zero.value) / (~treated).sum())
    sums = np.bincount(codes, part)
    groups = len(sums)
    error = (sums**2).sum() * groups / (groups - 1), (sums**3).sum()
    low, high, p = intervals.mean_difference(one, zero, amounts=bool((y >= 0).all()), level=level, error=error)
    return float(one.value - zero.value), float(low), float(high), float(p)


def ratio(
    top: np.ndarray, bottom: np.ndarray, who: np.ndarray, level: float = 0.95, *, most: float = 1.0
) -> tuple[float, float, float]:
    """Ratio of two sums with its linearised interval, from 0 to `most`; NaN where the lower sum is not above 0.

    >>> ratio(np.array([1.0, 3.0]), np.array([2.0, 2.0]), np.array([1, 2]), most=9.0)[0]
    1.0
    """
    top, bottom = np.asarray(top, float), np.asarray(bottom, float)
    total = float(bottom.sum())
    if not total > 0:
        return np.nan, np.nan, np.nan
    value = float(top.sum()) / total
    sums = np.bincount(np.unique(who, return_inverse=True)[1], top - value * bottom)
    error = np.sqrt(float((sums**2).sum()) * len(sums) / max(len(sums) - 1, 1)) / total
    half = float(norm.isf((1 - level) / 2) * error)
    return value, max(value - half, 0.0), min(value + half, most)
