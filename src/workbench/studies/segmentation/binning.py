"""How do values become scores 1 to `bins`? By rank or by cut points, over all customers or nested."""

from __future__ import annotations

import numpy as np


def scores(values: np.ndarray, bins: int, *, nested: bool, together: bool) -> np.ndarray:
    """Score columns of values, the higher the better; rows come sorted by customer.

    Parameters
    ----------
    values : ndarray, shape (n, columns)
    nested : bool
        Each column within the groups that the columns before it made.
    together : bool
        Whether equal values share a score.

    Returns
    -------
    ndarray of int, shape (n, columns)
        From 1 to `bins`.
    """
    one = _score_together if together else _score_by_rank
    found = np.zeros(values.shape, dtype=np.int64)
    group = np.zeros(len(values), dtype=np.int64)
    for column in range(values.shape[1]):
        order = np.argsort(group, kind="stable")
        starts = np.flatnonzero(np.diff(group[order], prepend=-1))
        for members in np.split(order, starts[1:]):
            found[members, column] = one(values[members, column], bins)
        if nested:
            group = group * bins + found[:, column] - 1
    return found


def _score_by_rank(values: np.ndarray, bins: int) -> np.ndarray:
    """Score by rank, the later of equal values higher: ceil(rank * bins / n).

    >>> _score_by_rank(np.array([7.0, 7.0, 1.0, 9.0]), 2).tolist()
    [1, 2, 1, 2]
    """
    n = len(values)
    rank = np.empty(n, dtype=np.int64)
    rank[np.argsort(values, kind="stable")] = np.arange(1, n + 1)
    if n < bins:
        return -(-(2 * rank - 1) * bins // (2 * n))
    return -(-rank * bins // n)


def _score_together(values: np.ndarray, bins: int) -> np.ndarray:
    """Score by cut points, equal values alike; merged bins take the middle of their scores.

    >>> _score_together(np.array([1.0, 1, 1, 1, 1, 1, 2, 3, 4, 5]), 5).tolist()
    [2, 2, 2, 2, 2, 2, 4, 4, 5, 5]
    >>> _score_together(np.array([1.0, 2, 3, 4, 5, 9, 9, 9, 9, 9]), 5).tolist()
    [1, 1, 2, 2, 4, 4, 4, 4, 4, 4]
    """
    n = len(values)
    if n < bins:
        return _score_few_together(values, bins)
    ordered = np.sort(values)
    last = np.arange(1, bins) * n // bins
    cuts = ordered[last - 1]
    keep = ~((cuts == ordered[0]) & (ordered[last] == cuts))
    keep &= np.append(cuts[1:] != cuts[:-1], True) & (cuts < ordered[-1])
    kept = np.flatnonzero(keep)
    upper = np.append(kept + 1, bins)
    lower = np.append(1, kept + 2)
    return ((lower + upper) // 2)[np.searchsorted(cuts[kept], values, side="left")]


def _score_few_together(values: np.ndarray, bins: int) -> np.ndarray:
    """Score fewer values than bins by the middle of their tied ranks."""
    ordered, n = np.sort(values), len(values)
    middle = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return -(-middle * bins // (2 * n))
