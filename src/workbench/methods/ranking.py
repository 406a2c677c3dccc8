"""Does a score put events first, and are its values spread as they were?"""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2, norm, rankdata


def auc(event: np.ndarray, score: np.ndarray) -> tuple[float, np.ndarray]:
    """Probability that an event has a higher score than another row, ties by half, and what each row adds to it.

    Parameters
    ----------
    event : array of bool, shape (n,)
        With at least one of each.
    score : array, shape (n,)

    Returns
    -------
    auc : float
    influence : array, shape (n,)
        The root of the sum of its squares is the standard error; sum it by cluster first where rows are not
        independent, and take differences of two scores of the same rows.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44. Obuchowski (1997), Biometrics 53 (clusters).

    Examples
    --------
    >>> found, influence = auc(np.array([False, False, True, True]), np.array([0.1, 0.4, 0.35, 0.8]))
    >>> found, round(float((influence**2).sum() ** 0.5), 4)
    (0.75, 0.3536)
    """
    event = np.asarray(event, dtype=bool)
    rank, influence, found = rankdata(score), np.zeros(len(event)), 0.0
    for those, sign in ((~event, -1), (event, 1)):
        n = int(those.sum())
        below = (rank[those] - rankdata(score[those])) / (len(event) - n)  # share of the others below each
        found, influence[those] = below.mean(), sign * (below - below.mean()) / np.sqrt(n * max(n - 1, 1))
    return float(found), influence


def stability_index(then: np.ndarray, now: np.ndarray) -> dict[str, float]:
    """Population stability index of two counts by bin: `psi`, its `low` and `high`, and `noise`.

    The sum over bins of (now - then) log(now / then) of the shares; half a row is added to each bin, so that an empty
    one has a logarithm. Without drift the index over 1/then + 1/now rows is about chi-square with bins - 1 degrees of
    freedom (what chance adds is taken off the interval, and 95 % of unchanged samples stay under `noise`); drift adds
    the variance of the delta method.

    References
    ----------
    Yurdakul & Naranjo (2020), J. Risk Model Validation 14.
    """
    then, now = then[then + now > 0], now[then + now > 0]
    n, m, free = then.sum(), now.sum(), max(len(then) - 1, 1)
    a, b = (then + 0.5) / (n + len(then) / 2), (now + 0.5) / (m + len(now) / 2)
    psi, step = float(((b - a) * np.log(b / a)).sum()), 1 / n + 1 / m
    slopes = ((b, np.log(b / a) - a / b, m), (a, np.log(a / b) - b / a, n))
    variance = sum((p @ slope**2 - (p @ slope) ** 2) / size for p, slope, size in slopes)
    half = norm.isf(0.025) * np.sqrt(variance + 2 * free * step**2)
    low, high = max(psi - step * free - half, 0.0), max(psi - step * free + half, psi)
    return {"psi": psi, "low": low, "high": high, "noise": float(step * chi2.ppf(0.95, free))}
