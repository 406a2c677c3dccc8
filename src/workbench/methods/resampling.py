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
from numbers import Real
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import norm
from threadpoolctl import ThreadpoolController

from workbench.errors import WorkbenchError
from workbench.methods.intervals import require_level

Rng = int | np.random.SeedSequence | np.random.Generator
IntervalMethod = Literal["percentile", "bc", "bca", "normal"]

BLOCK = 64
CACHE = 1 << 15
COLUMNS = 64


def seeds(rng: Rng, count: int) -> list[np.random.SeedSequence]:
    """Give `count` independent seeds, the same for the same `rng`."""
    rng = fixed(rng)
    if not isinstance(rng, np.random.SeedSequence):
        rng = np.random.SeedSequence(rng)
    return np.random.SeedSequence(rng.entropy, spawn_key=rng.spawn_key).spawn(count)


def fixed(rng: Rng) -> int | np.random.SeedSequence:
    """Give what draws the same again whenever it is asked: of a generator, a seed drawn from it."""
    if isinstance(rng, np.random.Generator):
        return np.random.SeedSequence(int(rng.integers(2**63)))
    if not isinstance(rng, np.random.SeedSequence) and rng < 0:
        raise WorkbenchError("seed {rng} is negative. Give 0 or more.").of(rng)
    return rng


def require_resamples(resamples: object, least: int = 2) -> None:
    """Refuse a number of resamples that gives no interval.

    Raises
    ------
    WorkbenchError
    """
    if not isinstance(resamples, Real) or not least <= float(resamples) < np.inf or float(resamples) % 1:
        raise WorkbenchError("resamples={n} are too few for an interval. Ask for 1,000 or more.").of(str(resamples))


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
    dtype: type[np.floating] = np.float64,
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
    dtype : float64 or float32
        Counts are whole numbers, so exact in both; the second takes half the memory.

    Yields
    ------
    ndarray, shape (at most 64, n)

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
        for rows in bootstrap_weights(count, resamples, strata=stratum_of, rng=rng, dtype=dtype):
            yield rows[:, cluster]
        return
    if strata is None:
        groups: list[np.ndarray | slice] = [slice(0, n)]
    else:
        _, code = np.unique(strata, return_inverse=True)
        order = np.argsort(code, kind="stable")
        groups = [_as_slice(g) for g in np.split(order, np.flatnonzero(np.diff(code[order])) + 1)]
    blocks = -(-resamples // BLOCK)
    for block, seed in enumerate(seeds(rng, blocks)):
        generator = np.random.Generator(np.random.SFC64(seed))
        rows = np.empty((BLOCK, n), dtype)
        for group in groups:
            _draw(rows, group, generator)
        yield rows[: min(BLOCK, resamples - block * BLOCK)]


def _as_slice(group: np.ndarray) -> np.ndarray | slice:
    """Positions as a slice where they are consecutive: many times faster to write to."""
    whole = group[-1] - group[0] + 1 == len(group) and (np.diff(group) == 1).all()
    return slice(int(group[0]), int(group[-1]) + 1) if whole else group


def _draw(rows: np.ndarray, group: np.ndarray | slice, generator: np.random.Generator) -> None:
    """Fill a group's columns with counts, a few rows at a time so that they stay in the processor's cache."""
    size = group.stop - group.start if isinstance(group, slice) else len(group)
    step = max(1, CACHE // size)
    for start in range(0, len(rows), step):
        count = min(step, len(rows) - start)
        drawn = generator.integers(0, size, size=(count, size))
        drawn += np.arange(count)[:, None] * size
        counts = np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size)
        rows[start : start + count, group] = counts


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
    require_level(level)
    estimate = np.atleast_1d(np.asarray(estimate, dtype=float))
    replicates = np.asarray(replicates, dtype=float).reshape(-1, estimate.size)
    tail = (1 - level) / 2
    if method == "normal":
        half = norm.isf(tail) * standard_error(replicates)
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
            given = np.maximum((~np.isnan(jackknife)).sum(axis=0), 1)
            deviation = np.nansum(jackknife, axis=0) / given - jackknife
            spread = np.nansum(deviation**2, axis=0)
            cubes = np.nansum(deviation**3, axis=0)
            acceleration = np.divide(cubes, 6 * spread**1.5, out=np.zeros(estimate.size), where=spread > 0)
        shifted = bias + z[:, None]
        ends = norm.cdf(bias + shifted / (1 - acceleration * shifted))
    return tuple(_quantiles(replicates, ends))


def standard_error(replicates: np.ndarray) -> np.ndarray:
    """Standard deviation over the resamples that converged; NaN where there are none."""
    given = ~np.isnan(replicates)
    count = given.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(given, replicates, 0).sum(axis=0) / count
        square = np.where(given, (replicates - mean) ** 2, 0).sum(axis=0)
        error: np.ndarray = np.sqrt(np.where(count > 0, square, np.nan) / (count - 1))
    return error


def _quantiles(replicates: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Quantiles `at`, shape (2, q), of each column without its NaN, between the two nearest values; NaN if none."""
    found = np.full(at.shape, np.nan)
    for start in range(0, at.shape[1], COLUMNS):
        part = slice(start, start + COLUMNS)
        values = np.sort(replicates[:, part].T, axis=1)  # NaN come last
        place = at[:, part] * np.maximum((~np.isnan(values)).sum(axis=1) - 1, 0)
        lower = np.floor(place).astype(int)
        upper = np.ceil(place).astype(int)
        column = np.arange(len(values))
        below = values[column, lower]
        found[:, part] = below + (place - lower) * (values[column, upper] - below)
    return found
