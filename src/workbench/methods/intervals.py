"""Intervals that hold at the edges: shares of few events, means of rare and skewed amounts.

What does not vary in a sample is not known: a share of 0 of 100 has an interval, and an arm without events has
no variance of 0. For shares these are score intervals, which hold at any count. For amounts they follow the
skewness of the error; where events are few, both arms lend each other how amounts vary (`mean_difference`).

A count that decides whether to answer must not decide the answer: judge by the events of both arms together
(`expected_events`), not by those seen in the smaller arm. Answering only where many happened to buy selects for luck.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from workbench.errors import WorkbenchError

Score = Callable[[np.ndarray], np.ndarray]

SKEWED = 0.2
MANY = 1_000
STEPS = 60


def require_level(level: object) -> None:
    """Refuse a level that is no share between 0 and 1, such as 95.

    Raises
    ------
    WorkbenchError
    """
    if not isinstance(level, Real) or not 0 < float(level) < 1:
        raise WorkbenchError("level={level} is no coverage. Give a share between 0 and 1, like 0.95.").of(str(level))


def expected_events(events_1: ArrayLike, n_1: ArrayLike, events_0: ArrayLike, n_0: ArrayLike) -> np.ndarray:
    """Events that the smaller arm would have at the rate of both together.

    Examples
    --------
    >>> float(expected_events(50, 9_900, 0, 100))
    0.5
    """
    together = np.asarray(events_1, float) + np.asarray(events_0, float)
    expected: np.ndarray = together * np.minimum(n_1, n_0) / (np.asarray(n_1, float) + n_0)
    return expected


def share(events: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score interval of a share.

    Parameters
    ----------
    events, n : float or arrays of one shape
        Events and cases; an effective number of cases (survey, clusters) need not be whole.

    Returns
    -------
    low, high : arrays; NaN where n is 0

    References
    ----------
    Wilson (1927), JASA 22.

    Examples
    --------
    >>> [round(float(end), 4) for end in share(0, 5)]
    [0.0, 0.4345]
    """
    require_level(level)
    events, n = np.broadcast_arrays(np.asarray(events, float), np.asarray(n, float))
    z2 = stats.norm.isf((1 - level) / 2) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        p = events / n
        middle = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = np.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    low = np.where(events <= 0, 0.0, middle - half)
    high = np.where(events >= n, 1.0, middle + half)
    return np.where(n > 0, low, np.nan)[()], np.where(n > 0, high, np.nan)[()]


def share_difference(
    events_1: ArrayLike, n_1: ArrayLike, events_0: ArrayLike, n_0: ArrayLike, *, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score interval of the difference of two shares, corrected for skewness, and the p value of no difference.

    It holds where one arm has no event, errs alike on both sides, and its p value is below 1 − level just where 0 lies
    outside.

    Parameters
    ----------
    events_1, n_1, events_0, n_0 : float or arrays of one shape
        Events and cases of both arms.

    Returns
    -------
    low, high, p : arrays

    References
    ----------
    Miettinen and Nurminen (1985), Statistics in Medicine 4; the restricted shares after Farrington and Manning (1990),
    Statistics in Medicine 9; the skewness after Laud (2017), Pharmaceutical Statistics 16.

    Examples
    --------
    >>> [round(float(x), 4) for x in share_difference(56, 70, 48, 80)]
    [0.0534, 0.3398, 0.008]
    """
    require_level(level)
    x1, n1, x0, n0 = np.broadcast_arrays(*(np.asarray(v, float) for v in (events_1, n_1, events_0, n_0)))
    z = stats.norm.isf((1 - level) / 2)

    def score(delta: np.ndarray) -> np.ndarray:
        p1, p0 = _shares_given_difference(x1, n1, x0, n0, delta)
        variance = (p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0) * (n1 + n0) / (n1 + n0 - 1)
        third = p1 * (1 - p1) * (1 - 2 * p1) / n1**2 - p0 * (1 - p0) * (1 - 2 * p0) / n0**2
        return _standardised(x1 / n1 - x0 / n0 - delta, variance, third)

    at_0 = np.zeros(x1.shape)
    found = x1 / n1 - x0 / n0
    low = crossing(score, np.full(x1.shape, -1.0), found, z)
    high = crossing(score, found, np.full(x1.shape, 1.0), -z)
    return low[()], high[()], 2 * stats.norm.sf(np.abs(score(at_0)))[()]


def share_ratio(
    events_1: ArrayLike, n_1: ArrayLike, events_0: ArrayLike, n_0: ArrayLike, *, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Score interval of the ratio of two shares, corrected for skewness.

    The upper end is infinite where the lower arm has no event.

    References
    ----------
    Koopman (1984), Biometrics 40; Laud (2017), Pharmaceutical Statistics 16.

    Examples
    --------
    >>> [round(float(x), 3) for x in share_ratio(36, 40, 16, 80)]
    [2.962, 7.368]
    """
    x1, n1, x0, n0 = np.broadcast_arrays(*(np.asarray(v, float) for v in (events_1, n_1, events_0, n_0)))
    z = stats.norm.isf((1 - level) / 2)

    def score(log_ratio: np.ndarray) -> np.ndarray:
        ratio = np.exp(log_ratio)
        a, b, c = (n1 + n0) * ratio, -(n1 * ratio + x1 + n0 + x0 * ratio), x1 + x0
        p0 = np.clip((-b - np.sqrt(np.maximum(b * b - 4 * a * c, 0))) / (2 * a), 0, 1)
        p1 = np.clip(p0 * ratio, 0, 1)
        variance = (p1 * (1 - p1) / n1 + ratio**2 * p0 * (1 - p0) / n0) * (n1 + n0) / (n1 + n0 - 1)
        third = p1 * (1 - p1) * (1 - 2 * p1) / n1**2 - ratio**3 * p0 * (1 - p0) * (1 - 2 * p0) / n0**2
        return _standardised(x1 / n1 - ratio * x0 / n0, variance, third)

    widest = np.full(x1.shape, 40.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = np.clip(np.nan_to_num(np.log(x1 / n1) - np.log(x0 / n0), nan=0.0), -40, 40)
    low = np.where(x1 > 0, np.exp(crossing(score, -widest, middle, z)), 0.0)
    high = np.where(x0 > 0, np.exp(crossing(score, middle, widest, -z)), np.inf)
    return low[()], high[()]


def _standardised(gap: np.ndarray, variance: np.ndarray, third: np.ndarray) -> np.ndarray:
    """Score over its error, its skewness taken out: the root z of gap = √variance (z + skewness (z² − 1) / 6)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = np.where(np.abs(gap) < 1e-15, 0.0, gap / np.sqrt(variance))
        bend = np.where(variance > 0, third / variance**1.5 / 6, 0.0)
        under = 1 + 4 * bend * (bend + plain)
        z = np.where(np.abs(bend) > 1e-8, (np.sqrt(np.maximum(under, 0)) - 1) / (2 * bend), plain)
    return np.where(np.isfinite(z), z, plain)


def crossing(score: Score, low: np.ndarray, high: np.ndarray, at: float | np.ndarray) -> np.ndarray:
    """Where a falling function of each element crosses `at`, between `low` and `high`, to 2⁻⁶⁰ of the way.

    Halved in turn; a few elements are cut in sixteen at once instead, because a call then costs more than its numbers.
    """
    cuts = 15 if low.size <= 64 else 1
    share = (np.arange(cuts) + 1).reshape(-1, *[1] * low.ndim) / (cuts + 1)
    for _ in range(STEPS // (4 if cuts == 15 else 1)):
        above = np.cumprod(score(low + (high - low) * share) > at, axis=0).sum(axis=0)
        low, high = low + (high - low) * above / (cuts + 1), low + (high - low) * (above + 1) / (cuts + 1)
    middle: np.ndarray = (low + high) / 2
    return middle


def _shares_given_difference(
    x1: np.ndarray, n1: np.ndarray, x0: np.ndarray, n0: np.ndarray, delta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Most likely shares of two arms that differ by `delta` (the closed root of a cubic)."""
    n = n1 + n0
    # Cubic in p0: n p³ + l2 p² + l1 p + l0, with p1 = p0 + delta.
    l2 = (n1 + 2 * n0) * delta - n - (x1 + x0)
    l1 = (n0 * delta - n - 2 * x0) * delta + x1 + x0
    l0 = x0 * delta * (1 - delta)
    q = l2**3 / (3 * n) ** 3 - l1 * l2 / (6 * n * n) + l0 / (2 * n)
    p = np.sign(q) * np.sqrt(np.maximum(l2**2 / (3 * n) ** 2 - l1 / (3 * n), 0))
    turn = np.divide(q, p**3, out=np.zeros_like(q), where=np.abs(p) > 1e-100)
    angle = (np.pi + np.arccos(np.clip(turn, -1, 1))) / 3
    p0 = np.clip(2 * p * np.cos(angle) - l2 / (3 * n), np.maximum(0, -delta), np.minimum(1, 1 - delta))
    return np.clip(p0 + delta, 0, 1), p0


@dataclass(frozen=True)
class Mean:
    """Mean outcome of an arm, or of many groups' arms, with the error of the estimate; arrays of one shape.

    Attributes
    ----------
    variance, third : second and third central moment of the estimate's error, Σ eᵢ² and Σ eᵢ³ over what each row adds
    """

    value: np.ndarray
    n: np.ndarray
    variance: np.ndarray
    third: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Mean:
        """Mean of rows, shape (n,)."""
        values = np.asarray(values, float)
        return cls.of_sums(len(values), *(np.sum(values**k) for k in (1, 2, 3)))

    @classmethod
    def of_sums(cls, n: ArrayLike, total: ArrayLike, squares: ArrayLike, cubes: ArrayLike) -> Mean:
        """Means of groups of `n` rows from their sums of values, squares and cubes."""
        n, total, squares, cubes = np.broadcast_arrays(*(np.asarray(v, float) for v in (n, total, squares, cubes)))
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = total / n
            second = np.maximum(squares / n - mean**2, 0)
            third = cubes / n - 3 * mean * squares / n + 2 * mean**3
            return cls(mean, n, second / (n - 1), third / n**2)


def mean_difference(
    one: Mean,
    zero: Mean,
    *,
    amounts: bool,
    level: float = 0.95,
    df: np.ndarray | float = np.inf,
    error: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interval of the difference of two means, and the p value of no difference.

    Where the error is little skewed: the t interval with each arm's own variance, corrected for skewness (Hall). Where
    it is skewed because few members buy, and outcomes are amounts of 0 or more: a score interval. Its variance is
    φ μ / n in each arm, φ the ratio of variance to mean of both arms together, μ the most likely mean at the difference
    tried; so an arm in which few or none bought borrows from the other how amounts vary. Assumes that buyers' amounts
    vary alike in both arms: if the campaign makes them a fifth smaller, 93% are covered instead of 95%.

    Parameters
    ----------
    amounts : bool
        Whether no outcome is below 0.
    df : float or array
        Degrees of freedom behind each arm's own variance.
    error : variance and third moment of the difference's error, optional
        Where they are not the sum of the arms' (covariates, clusters); then used where the error is little skewed.

    Returns
    -------
    low, high, p : arrays; NaN where nothing varies

    References
    ----------
    Hall (1992), On the removal of skewness by transformation, JRSS B 54. Laud (2017), Pharmaceutical Statistics 16, for
    the skewness of a score.

    Examples
    --------
    >>> spent = Mean.of(np.r_[np.full(40, 25.0), np.zeros(1_960)]), Mean.of(np.r_[np.full(1, 25.0), np.zeros(99)])
    >>> [round(float(x), 2) for x in mean_difference(*spent, amounts=True)]
    [-0.71, 0.59, 0.52]
    """
    found = np.asarray(one.value - zero.value, float)
    variance, third = error or (one.variance + zero.variance, one.third - zero.third)
    with np.errstate(invalid="ignore", divide="ignore"):
        skewness = np.where(variance > 0, third / variance**1.5, 0.0)
    low, high, p = skewed(found, np.sqrt(variance), skewness, level=level, df=df)
    if not amounts:
        return low, high, p
    rare = uneven(one, zero)
    if rare.any():
        score, z = _difference_score(one, zero), stats.t.isf((1 - level) / 2, df)
        reach = 50 * np.sqrt(_amount_variance(one, zero, *_means_given_difference(one, zero, found)))
        low = np.where(rare, crossing(score, found - reach, found, z), low)
        high = np.where(rare, crossing(score, found, found + reach, -z), high)
        p = np.where(rare, 2 * stats.t.sf(np.abs(score(np.zeros_like(found))), df), p)
    return low[()], high[()], p[()]


def mean_ratio(one: Mean, zero: Mean, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Score interval of the ratio of two means of amounts of 0 or more; NaN where a mean cannot be told from 0.

    As `mean_difference` where few members buy: φ and its skewness are those of both arms together.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> spent = [Mean.of(rng.gamma(2, 10, 500) * (rng.random(500) < 0.3)) for _ in range(2)]
    >>> [round(float(x), 2) for x in mean_ratio(*spent)]
    [0.88, 1.44]
    """
    z = stats.norm.isf((1 - level) / 2)
    phi, psi = _amount_dispersion(one, zero)

    def score(log_ratio: np.ndarray) -> np.ndarray:
        r = np.exp(log_ratio)
        mu = (one.n * one.value + zero.n * zero.value) / (one.n * r + zero.n)
        variance = phi * mu * (r / one.n + r * r / zero.n)
        third = psi * mu * (r / one.n**2 - r**3 / zero.n**2)
        return _standardised(one.value - r * zero.value, variance, third)

    with np.errstate(divide="ignore", invalid="ignore"):
        middle = np.log(one.value) - np.log(zero.value)
        widest = np.full(np.shape(middle), 20.0)
        low = np.exp(crossing(score, middle - widest, middle, z))
        high = np.exp(crossing(score, middle, middle + widest, -z))
        known = np.isfinite(middle) & (np.log(high) < middle + 19) & (np.log(low) > middle - 19)
    return np.where(known, low, np.nan)[()], np.where(known, high, np.nan)[()]


def skewed(
    estimate: ArrayLike, se: ArrayLike, skewness: ArrayLike, *, level: float = 0.95, df: ArrayLike = np.inf
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interval of an estimate whose error is skewed, and the p value that it is 0; NaN where its error is 0.

    Parameters
    ----------
    estimate, se, skewness : float or arrays of one shape
        `skewness` is that of the estimate's error (third moment over se³), not of a row.
    df : float or array
        Degrees of freedom behind `se`.

    References
    ----------
    Hall (1992), On the removal of skewness by transformation, JRSS B 54.

    Examples
    --------
    >>> [round(float(x), 3) for x in skewed(1.0, 0.4, 0.0)]
    [0.216, 1.784, 0.012]
    >>> [round(float(x), 3) for x in skewed(1.0, 0.4, 0.3)]
    [0.348, 2.06, 0.001]
    """
    require_level(level)
    estimate, se, skewness, df = np.broadcast_arrays(*(np.asarray(v, float) for v in (estimate, se, skewness, df)))
    skewness = np.where(np.abs(skewness) < 1e-6, 1e-6, skewness)
    z = stats.t.isf((1 - level) / 2, df)

    def end(x: np.ndarray) -> np.ndarray:
        bent: np.ndarray = 3 / skewness * (np.cbrt(1 + skewness * (x - skewness / 6)) - 1)
        return bent

    with np.errstate(invalid="ignore", divide="ignore"):
        t = estimate / se
        straight = ((1 + skewness * t / 3) ** 3 - 1) / skewness + skewness / 6
        known = se > 0
        low, high = estimate - se * end(z), estimate - se * end(-z)
        p = 2 * stats.t.sf(np.abs(straight), df)
    low, high, p = (np.where(known, values, np.nan)[()] for values in (low, high, p))
    return low, high, p


def uneven(one: Mean, zero: Mean) -> np.ndarray:
    """Whether amounts are so few or so uneven that the smaller arm's mean is skewed by more than 0.2."""
    phi, psi = _amount_dispersion(one, zero)
    with np.errstate(invalid="ignore", divide="ignore"):
        mu = (one.n * one.value + zero.n * zero.value) / (one.n + zero.n)
        skewness = psi / phi**1.5 / np.sqrt(np.minimum(one.n, zero.n) * mu)
    uneven: np.ndarray = (phi > 0) & (skewness > SKEWED)
    return uneven


def _amount_dispersion(one: Mean, zero: Mean) -> tuple[np.ndarray, np.ndarray]:
    """Variance and third moment of a row over its mean, of both arms together."""
    with np.errstate(invalid="ignore", divide="ignore"):  # an arm without members has no mean
        total = one.n * one.value + zero.n * zero.value
        phi = (one.n**2 * one.variance + zero.n**2 * zero.variance) / total
        psi = (one.n**3 * one.third + zero.n**3 * zero.third) / total
    known = total > 0
    return np.where(known, phi, 0.0), np.where(known, psi, 0.0)


def _means_given_difference(one: Mean, zero: Mean, delta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Most likely means of two arms that differ by `delta`, variance in proportion to the mean."""
    n, total = one.n + zero.n, one.n * one.value + zero.n * zero.value
    b, c = n * delta - total, -zero.n * zero.value * delta
    mu_0 = (-b + np.sqrt(np.maximum(b * b - 4 * n * c, 0))) / (2 * n)
    mu_0 = np.maximum(mu_0, np.maximum(-delta, 0))
    return np.maximum(mu_0 + delta, 0), mu_0


def _amount_variance(one: Mean, zero: Mean, mu_1: np.ndarray, mu_0: np.ndarray) -> np.ndarray:
    variance: np.ndarray = _amount_dispersion(one, zero)[0] * (mu_1 / one.n + mu_0 / zero.n)
    return variance


def _difference_score(one: Mean, zero: Mean) -> Score:
    phi, psi = _amount_dispersion(one, zero)

    def score(delta: np.ndarray) -> np.ndarray:
        mu_1, mu_0 = _means_given_difference(one, zero, delta)
        variance = phi * (mu_1 / one.n + mu_0 / zero.n)
        third = psi * (mu_1 / one.n**2 - mu_0 / zero.n**2)
        return _standardised(one.value - zero.value - delta, variance, third)

    return score
