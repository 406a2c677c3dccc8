"""By which factor do hazards differ? Cox's proportional hazards with late entry."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm

from workbench.errors import WorkbenchError
from workbench.methods.survival.table import whole


@dataclass(frozen=True, eq=False)
class Cox:
    """Log hazard ratios.

    Attributes
    ----------
    table : DataFrame
        One row a covariate, by name: coefficient, se, ratio, low, high.
    log_likelihood : float
        Partial, Efron's for ties.
    """

    table: pd.DataFrame
    log_likelihood: float


def cox(
    entry: ArrayLike,
    exit: ArrayLike,
    left: ArrayLike,
    covariates: pd.DataFrame,
    *,
    strata: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Cox:
    """Fit Cox's model to spells of whole steps, ties by Efron.

    Parameters
    ----------
    entry, exit : arrays of whole numbers, shape (n,)
        At risk if entry < t <= exit. statsmodels counts who enters at t as at risk at t: it is given entry + ½.
    left : array of bool, shape (n,)
    covariates : DataFrame of numbers
    strata : array, shape (n,), optional
        Each has a baseline hazard of its own.
    clusters : array, shape (n,), optional
        Whose spells they are: standard errors are then robust, by cluster.

    Raises
    ------
    WorkbenchError
        If a spell lasts no step.

    References
    ----------
    Cox (1972), JRSS B 34; Efron (1977), JASA 72; Lin and Wei (1989), JASA 84 (robust errors).
    """
    from statsmodels.duration.hazard_regression import PHReg

    entry, exit, left = whole(entry, "entry"), whole(exit, "exit"), np.asarray(left, dtype=bool)
    if (exit <= entry).any():
        raise WorkbenchError("{n} spells last no step: leave them out, and count them.").of((exit <= entry).sum())
    given = covariates.to_numpy(dtype=float)
    centred = given - given.mean(axis=0)
    part = np.zeros(len(exit), int) if strata is None else np.unique(np.asarray(strata), return_inverse=True)[1]
    model = PHReg(exit, centred, left.astype(int), entry=entry + 0.5, strata=part, ties="efron")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it met a flat place on the way
        fit = model.fit(disp=0)
    errors = np.sqrt(np.diag(fit.cov_params()))
    if clusters is not None:
        residuals = _score_residuals(entry, exit, left, centred, part, fit.params)
        who = np.unique(np.asarray(clusters), return_inverse=True)[1]
        sums = np.column_stack([np.bincount(who, column) for column in residuals.T])
        errors = np.sqrt(np.diag(fit.cov_params() @ (sums.T @ sums) @ fit.cov_params()))
    half = norm.isf((1 - level) / 2) * errors
    ends = {"ratio": fit.params, "low": fit.params - half, "high": fit.params + half}
    table = pd.DataFrame({"coefficient": fit.params, "se": errors, **{k: np.exp(v) for k, v in ends.items()}})
    return Cox(table.set_axis(covariates.columns, axis=0), float(fit.llf))


def _score_residuals(
    entry: np.ndarray, exit: np.ndarray, left: np.ndarray, x: np.ndarray, part: np.ndarray, beta: np.ndarray
) -> np.ndarray:
    """Score of each spell, shape (n, k): by counting, where statsmodels has none for spells without a departure in
    them; those of a tie see the same risk set (Breslow)."""
    width = int(exit.max()) + 2
    factor, first, last = np.exp(x @ beta), part * width + entry, part * width + exit
    size = (int(part.max()) + 1) * width

    def at_risk(values: np.ndarray) -> np.ndarray:
        came, went = (np.bincount(place + 1, values, size + 1)[:size] for place in (first, last))
        total: np.ndarray = np.cumsum(came - went)
        return total

    whole, gone = at_risk(factor), np.bincount(last[left], minlength=size)
    rate = np.divide(gone, whole, out=np.zeros(size), where=gone > 0)
    found, hazard = np.empty(x.shape), np.cumsum(rate)
    for k, column in enumerate(x.T):
        mean = np.divide(at_risk(factor * column), whole, out=np.zeros(size), where=gone > 0)
        moved = np.cumsum(mean * rate)
        met = column * (hazard[last] - hazard[first]) - (moved[last] - moved[first])
        found[:, k] = left * (column - mean[last]) - factor * met
    return found


def indicators(values: Sequence[object] | pd.Series, reference: object) -> pd.DataFrame:
    """Give one 0/1 column for each value but the reference, in order.

    >>> indicators(["late", "kept", "failed"], "kept").columns.tolist()
    ['failed', 'late']
    """
    column = pd.Series(values)
    names = [name for name in sorted(column.unique()) if name != reference]
    return pd.DataFrame({name: (column == name).astype(float) for name in names}, index=column.index)
