"""Which rows of a logistic regression tell nothing, because their regressors leave no doubt of the outcome?"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

NONE = 1e-7


def separated(x: np.ndarray, y: np.ndarray, *, constant: bool = False) -> np.ndarray:
    """Mark rows whose outcome a combination of regressors tells for sure, while it is neutral of all others.

    There the likelihood has no maximum: some coefficients run away, and those rows are fitted without error. The other
    coefficients are those of the remaining rows, whose likelihood is the same.

    Parameters
    ----------
    x : array, shape (n, k)
        Regressors, the constant among them unless `constant`.
    y : array, shape (n,)
        0 or 1.

    Returns
    -------
    array of bool, shape (n,)

    References
    ----------
    Albert & Anderson (1984), On the existence of maximum likelihood estimates in logistic regression models,
    Biometrika 71(1). Konis (2007), Linear programming algorithms for detecting separated data in binary logistic
    regression models (thesis, Oxford).

    Examples
    --------
    The third group never has the outcome:

    >>> group = np.repeat(np.eye(3), 4, axis=0)
    >>> separated(group, np.array([0, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0])).nonzero()[0].tolist()
    [8, 9, 10, 11]
    """
    x = np.column_stack([np.ones(len(x)), x]) if constant else x
    out, left = np.zeros(len(x), bool), np.arange(len(x))
    scale = np.abs(x).max(axis=0)
    x = x / np.where(scale > 0, scale, 1)
    while len(left):
        signed, times = np.unique(np.where(y[left, None] == 1, x[left], -x[left]), axis=0, return_counts=True)
        found = linprog(-(times @ signed), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1, 1), method="highs")
        sure = np.where(y[left, None] == 1, x[left], -x[left]) @ found.x > NONE
        if -found.fun <= NONE * len(left) or not sure.any():
            break
        out[left[sure]] = True
        left = left[~sure]
    return out
