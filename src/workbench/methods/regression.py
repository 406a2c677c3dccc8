"""Logistic regression: coefficients with errors by cluster, regressors that repeat others, rows that tell nothing."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

NONE = 1e-7
_ALIAS = 1e-9
_BEGIN, _EVENTS, _STEPS, _LOOSE = 10_000, 10, 25, 10.0


def logistic(
    x: np.ndarray, y: np.ndarray, *, weights: np.ndarray | None = None, clusters: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Fit log odds that are linear in the regressors, by maximum likelihood.

    Parameters
    ----------
    x : array, shape (n, k)
        Regressors without the constant, none of which repeats others.
    y : array, shape (n,)
        0 or 1.
    clusters : array of int, 0 or more, shape (n,), optional
        Rows of one cluster are not independent; without it the errors are those of the likelihood.

    Returns
    -------
    coefficients : array, shape (k + 1,)
        The constant first.
    covariance : array, shape (k + 1, k + 1)

    References
    ----------
    Liang & Zeger (1986), Biometrika 73; with the factor G / (G - 1) · (n - 1) / (n - k - 1) of G clusters.
    """
    weight = np.ones(len(y)) if weights is None else weights
    design = np.vstack([np.ones(len(x)), x.T])
    scale = np.sqrt(np.einsum("ij,ij->i", design, design) / len(x))
    every = max(1, len(x) // _BEGIN)  # a part brings Newton's method near enough, if it has both outcomes often
    every = every if min(np.bincount(y[::every].astype(int), minlength=2)) >= _EVENTS * len(scale) else 1
    begin = LogisticRegression(C=_LOOSE, solver="newton-cholesky")  # where a part does not tell terms apart too
    begin.fit(x[::every] / scale[1:], y[::every], weight[::every])
    beta = np.append(begin.intercept_, begin.coef_[0] / scale[1:])
    reached, step = -np.inf, np.zeros(len(beta))
    for _ in range(_STEPS):
        odds = beta @ design
        likelihood = float(weight @ (y * odds - np.logaddexp(0, odds)))
        if likelihood < reached - 1e-9 * abs(reached):  # too long a step
            step = step / 2
            beta = beta - step
            continue
        reached, p = likelihood, expit(odds)
        bread = np.linalg.inv((design * (weight * p * (1 - p))) @ design.T)
        step = bread @ (design @ (weight * (y - p)))
        beta = beta + step
        if np.abs(step * scale).max() < 1e-6:  # its square is what is left
            break
    if clusters is None:
        return beta, bread
    rest, count = weight * (y - p), np.count_nonzero(np.bincount(clusters))
    scores = np.array([np.bincount(clusters, rest * row) for row in design])
    factor = count / (count - 1) * (len(y) - 1) / (len(y) - len(beta))
    return beta, factor * bread @ (scores @ scores.T) @ bread


def repeated(x: np.ndarray) -> np.ndarray:
    """Mark columns that a constant and the columns before them add up to, shape (k,).

    >>> repeated(np.array([[1.0, 2, 5], [2, 4, 1], [3, 6, 0]])).tolist()
    [False, True, False]
    """
    mean = x.mean(axis=0)
    gram = x.T @ x - len(x) * np.outer(mean, mean)
    own, out = np.diag(gram).copy(), np.zeros(x.shape[1], bool)
    for k in range(len(own)):
        out[k] = gram[k, k] <= _ALIAS * max(own[k], np.finfo(float).tiny)
        if not out[k]:
            gram = gram - np.outer(gram[:, k], gram[k]) / gram[k, k]
    return out


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
