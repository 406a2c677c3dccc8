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
        raise WorkbenchError(f"{int((exit <= entry).sum()):,} spells last no step: leave them out, and count them.")
    given = covariates.to_numpy(dtype=float)
    centred = given - given.mean(axis=0)
    parts = None if strata is None else np.unique(np.asarray(strata), return_inverse=True)[1]
    model = PHReg(exit, centred, left.astype(int), entry=entry + 0.5, strata=parts, ties="efron")
    groups = None if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it fits without strata, or met a flat place on the way
        fit = model.fit(groups=groups, disp=0)
    half = norm.isf((1 - level) / 2) * fit.bse
    ends = {"ratio": fit.params, "low": fit.params - half, "high": fit.params + half}
    table = pd.DataFrame({"coefficient": fit.params, "se": fit.bse, **{k: np.exp(v) for k, v in ends.items()}})
    return Cox(table.set_axis(covariates.columns, axis=0), float(fit.llf))


def indicators(values: Sequence[object] | pd.Series, reference: object) -> pd.DataFrame:
    """Give one 0/1 column for each value but the reference, in order.

    >>> indicators(["late", "kept", "failed"], "kept").columns.tolist()
    ['failed', 'late']
    """
    column = pd.Series(values)
    names = [name for name in sorted(column.unique()) if name != reference]
    return pd.DataFrame({name: (column == name).astype(float) for name in names}, index=column.index)
