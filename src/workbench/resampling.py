"""How sure are we? Resamples as rows of weights, and intervals from what they give.

A resample is a row of non-negative weights, one a respondent or customer, so that every
estimator that takes weights can be resampled without copying data. Rows come in blocks of a
fixed size with a seed each: the numbers do not depend on memory, threads or how many blocks
are asked for at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import norm
from threadpoolctl import ThreadpoolController

from workbench.errors import WorkbenchError

Rng = int | np.random.SeedSequence | np.random.Generator
IntervalMethod = Literal["percentile", "bc", "bca", "normal"]

BLOCK = 64


def seeds(rng: Rng, count: int) -> list[np.random.SeedSequence]:
    """Give `count` independent seeds, the same for the same `rng`."""
    if isinstance(rng, np.random.Generator):
        rng = np.random.SeedSequence(int(rng.integers(2**63)))
    elif not isinstance(rng, np.random.SeedSequence):
        if rng < 0:
            raise WorkbenchError(f"seed {rng} is negative. Give 0 or more.")
        rng = np.random.SeedSequence(rng)
    return np.random.SeedSequence(rng.entropy, spawn_key=rng.spawn_key).spawn(count)


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS and OpenMP to one thread: on small problems a second one costs up to 15 times."""
    with _libraries().limit(limits=1):
        yield


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()  # finding the libraries costs milliseconds: once is enough


def canonical_order(table: pd.DataFrame) -> np.ndarray:
    """Positions that sort `table` by all its columns, so that no result depends on the order in a file.

    Rows that tie are alike in every column, hence exchangeable.

    >>> canonical_order(pd.DataFrame({"a": [2, 1, 1], "b": ["x", "y", "x"]})).tolist()
    [2, 1, 0]
    """
    codes = [pd.factorize(table[c], sort=True, use_na_sentinel=True)[0] for c in reversed(list(table.columns))]
    return np.lexsort(codes) if codes else np.arange(len(table))


def bootstrap_weights(
    n: int,
    resamples: int,
    *,
    strata: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
    rng: Rng = 0,
) -> Iterator[np.ndarray]:
    """Yield blocks of rows: how often each of `n` units was drawn, with replacement, in each resample.

    Parameters
    ----------
    n : int
        Number of units (respondents, customers).
    resamples : int
        Number of rows in all.
    strata : array of int, shape (n,), optional
        Units are drawn within their stratum; its size stays what it was.
    clusters : array of int, shape (n,), optional
        Whole clusters are drawn (within strata, where both are given; a cluster lies in one stratum).
    rng : int, SeedSequence or Generator

    Yields
    ------
    ndarray, shape (at most 64, n), float64

    Raises
    ------
    WorkbenchError
        If a cluster lies in two strata.
    """
    if clusters is not None:
        _, cluster = np.unique(clusters, return_inverse=True)
        count = int(cluster.max()) + 1
        stratum_of = None
        if strata is not None:
            stratum_of = np.zeros(count, dtype=np.asarray(strata).dtype)
            stratum_of[cluster] = strata
            if (stratum_of[cluster] != strata).any():
                raise WorkbenchError(
                    "a cluster lies in two strata; clusters are drawn within strata, so each needs one."
                )
        for rows in bootstrap_weights(count, resamples, strata=stratum_of, rng=rng):
            yield rows[:, cluster]
        return
    if strata is None:
        groups = [np.arange(n)]
    else:
        _, code = np.unique(strata, return_inverse=True)
        order = np.argsort(code, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(code[order])) + 1)
    blocks = -(-resamples // BLOCK)
    for block, seed in enumerate(seeds(rng, blocks)):
        generator = np.random.Generator(np.random.SFC64(seed))
        rows = np.zeros((BLOCK, n))
        for group in groups:
            size = len(group)
            drawn = generator.integers(0, size, size=(BLOCK, size))
            drawn += np.arange(BLOCK)[:, None] * size
            rows[:, group] = np.bincount(drawn.ravel(), minlength=BLOCK * size).reshape(BLOCK, size)
        yield rows[: min(BLOCK, resamples - block * BLOCK)]


def interval(
    estimate: np.ndarray,
    replicates: np.ndarray,
    *,
    method: IntervalMethod = "percentile",
    level: float = 0.95,
    jackknife: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of an interval for each of q quantities from its resamples.

    Parameters
    ----------
    estimate : array, shape (q,)
    replicates : array, shape (resamples, q)
        Rows with NaN in a quantity (a resample that gave none) do not count for it.
    method : {"percentile", "bc", "bca", "normal"}
        bca is bias-corrected and accelerated and needs `jackknife`.
    level : float
        Coverage, 0-1.
    jackknife : array, shape (groups, q), optional
        The quantities with one unit (or group of units) left out at a time.

    Returns
    -------
    low, high : arrays, shape (q,)

    References
    ----------
    Efron (1987), Better bootstrap confidence intervals, JASA 82.
    """
    estimate = np.atleast_1d(np.asarray(estimate, dtype=float))
    replicates = np.asarray(replicates, dtype=float).reshape(-1, estimate.size)
    tail = (1 - level) / 2
    if method == "normal":
        half = norm.isf(tail) * np.nanstd(replicates, axis=0, ddof=1)
        return estimate - half, estimate + half
    z = norm.ppf([tail, 1 - tail])
    if method == "percentile":
        ends = np.tile(norm.cdf(z)[:, None], (1, estimate.size))
    else:
        valid = (~np.isnan(replicates)).sum(axis=0)
        below = (replicates < estimate).sum(axis=0) + 0.5 * (replicates == estimate).sum(axis=0)
        half_step = 0.5 / np.maximum(valid, 1)
        bias = norm.ppf(np.clip(below / np.maximum(valid, 1), half_step, 1 - half_step))
        acceleration = np.zeros(estimate.size)
        if method == "bca":
            if jackknife is None:
                raise WorkbenchError("bca needs the acceleration: pass jackknife=, or choose method='bc'.")
            deviation = np.nanmean(jackknife, axis=0) - jackknife
            spread = np.nansum(deviation**2, axis=0)
            cubes = np.nansum(deviation**3, axis=0)
            acceleration = np.divide(cubes, 6 * spread**1.5, out=np.zeros(estimate.size), where=spread > 0)
        shifted = bias + z[:, None]
        ends = norm.cdf(bias + shifted / (1 - acceleration * shifted))
    low, high = np.full(estimate.size, np.nan), np.full(estimate.size, np.nan)
    for k in range(estimate.size):
        values = replicates[:, k]
        values = values[~np.isnan(values)]
        if values.size:
            low[k], high[k] = np.quantile(values, ends[:, k])
    return low, high
