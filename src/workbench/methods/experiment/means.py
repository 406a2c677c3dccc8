"""Mean outcome of each arm, plain or adjusted, and what each member adds to its error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError, require_columns
from workbench.messages import say
from workbench.methods.experiment.events import unanswerable
from workbench.methods.experiment.learners import Trees, doubly_robust, outcome_models
from workbench.methods.experiment.members import features_of
from workbench.methods.resampling import Rng, one_thread


@dataclass(frozen=True)
class Means:
    """Means of both arms and the share of each row in their errors.

    Attributes
    ----------
    error_treated, error_control : arrays, shape (n,)
        What each row's own outcome adds to the error of a mean, for these members.
    correction : array, shape (n,)
        Factor of the two for leverage (HC2).
    sampled_treated, sampled_control : arrays, shape (n,)
        What each row adds because the members' covariates are themselves a sample; 0 for means of these members alone.
    """

    treated: float
    control: float
    error_treated: np.ndarray
    error_control: np.ndarray
    correction: np.ndarray
    sampled_treated: np.ndarray | float = 0.0
    sampled_control: np.ndarray | float = 0.0

    def parts(self, *, corrected: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """What each row adds to the errors of the treated and the control mean, shape (n,) each."""
        factor = self.correction if corrected else 1.0
        return self.error_treated * factor + self.sampled_treated, self.error_control * factor + self.sampled_control


def arm_means(y: np.ndarray, treated: np.ndarray, x: np.ndarray | None = None, *, population: bool = True) -> Means:
    """Mean of each arm, adjusted to the covariates' overall mean by a regression within the arm; `x` centred.

    With `population` the means are of those whom the members are drawn from: their covariates' mean has an error too.
    """
    found, errors, sampled, correction = {}, {}, {}, np.ones(len(y))
    for name, arm in (("treated", treated), ("control", ~treated)):
        count, sampled[name] = int(arm.sum()), 0.0
        if x is None:
            found[name] = float(y[arm].mean())
            errors[name] = np.where(arm, (y - found[name]) / count, 0.0)
            correction[arm] = 1 / np.sqrt(1 - 1 / count)
            continue
        design = np.column_stack([np.ones(count), x[arm]])
        if count < design.shape[1] + 2:
            raise unanswerable(
                say(
                    "{members} members of an arm cannot be adjusted for {covariates} covariates; give fewer, or "
                    "method='difference'",
                    members=count,
                    covariates=design.shape[1] - 1,
                )
            )
        basis, corner = np.linalg.qr(design)
        intercept = basis @ np.linalg.solve(corner.T, np.eye(design.shape[1])[0])
        residual = y[arm] - basis @ (basis.T @ y[arm])
        errors[name] = np.zeros(len(y))
        errors[name][arm] = intercept * residual
        correction[arm] = 1 / np.sqrt(np.maximum(1 - (basis**2).sum(axis=1), 1e-12))
        found[name] = float(intercept @ y[arm])
        if population:
            slopes = np.linalg.solve(corner, basis.T @ y[arm])[1:]
            sampled[name] = x @ slopes / np.sqrt(len(y) * (len(y) - 1))
    return Means(
        found["treated"],
        found["control"],
        errors["treated"],
        errors["control"],
        correction,
        sampled["treated"],
        sampled["control"],
    )


def doubly_robust_means(
    members: pd.DataFrame, covariates: list[str], y: np.ndarray, treated: np.ndarray, rng: Rng
) -> Means:
    known = features_of(members, covariates, y, treated.astype(np.int64))
    x, order = known.codes, known.order
    with one_thread():
        pair = doubly_robust(x[order], y[order], treated[order], known.categorical, Trees(), folds=5, rng=rng)
    n = len(y)
    errors = []
    for value in pair:
        error = np.empty(n)
        error[order] = (value - value.mean()) / n
        errors.append(error)
    return Means(float(pair[0].mean()), float(pair[1].mean()), errors[0], errors[1], np.full(n, np.sqrt(n / (n - 1))))


def expected_outcome(
    members: pd.DataFrame, covariates: list[str], y: np.ndarray, treated: np.ndarray, rng: Rng
) -> np.ndarray:
    """What covariates predict of each row's outcome, by models of other rows: (1 − e) m₁ + e m₀, m an arm's model.

    Subtracting it leaves the mean difference of the arms as it is in expectation, and, by this mixture, the least
    variance of it (that of the doubly robust value).
    """
    known = features_of(members, covariates, y, treated.astype(np.int64))
    x, order = known.codes, known.order
    with one_thread():
        one, zero = outcome_models(x[order], y[order], treated[order], known.categorical, Trees(), folds=5, rng=rng)
    expected, share = np.empty(len(y)), treated.mean()
    expected[order] = (1 - share) * one + share * zero
    return expected


def cluster_codes(members: pd.DataFrame, clusters: str | None) -> np.ndarray | None:
    if clusters is None:
        return None
    require_columns(members, [clusters], "members")
    if members[clusters].isna().any():
        raise WorkbenchError("'{column}' is missing for {n} members.").of(clusters, int(members[clusters].isna().sum()))
    codes: np.ndarray = pd.factorize(members[clusters], sort=True)[0]
    return codes


@dataclass(frozen=True)
class MeanErrors:
    """Error of the treated mean, the control mean and their difference.

    Attributes
    ----------
    variance, third : arrays, shape (3,)
        Second and third central moments, of the treated mean, the control mean and the difference.
    df : float
        Degrees of freedom (Satterthwaite).
    """

    variance: np.ndarray
    third: np.ndarray
    df: float


def mean_errors(means: Means, treated: np.ndarray, group: np.ndarray | None, *, pooled: bool) -> MeanErrors:
    """Add up the errors of rows, or of clusters; `pooled` where each row has a part in both means."""
    one, zero = means.parts(corrected=group is None)
    if group is None:
        sizes = np.array([treated.sum(), (~treated).sum()], dtype=float)
    else:
        one, zero, sizes, pooled = _cluster_errors(one, zero, treated, group, pooled)
    errors = np.array([one, zero, one - zero])
    variance, third = (errors**2).sum(axis=1), (errors**3).sum(axis=1)
    if pooled:
        return MeanErrors(variance, third, float(sizes.sum() - 2) if group is None else float(len(one) - 1))
    parts = variance[:2]
    with np.errstate(invalid="ignore", divide="ignore"):
        df = parts.sum() ** 2 / (parts**2 / (sizes - 1)).sum()
    return MeanErrors(variance, third, float(df) if np.isfinite(df) else float(sizes.sum() - 2))


def _cluster_errors(
    one: np.ndarray, zero: np.ndarray, treated: np.ndarray, group: np.ndarray, pooled: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Sum errors over clusters with the correction G/(G-1), within arms where clusters lie in one arm."""
    count = int(group.max()) + 1
    share = np.bincount(group, treated, count) / np.bincount(group, minlength=count)
    one, zero = np.bincount(group, one, count), np.bincount(group, zero, count)
    nested = np.isin(share, (0.0, 1.0)).all() and not pooled
    sizes = np.array([(share == 1).sum(), (share == 0).sum()], dtype=float) if nested else np.array([count, count])
    if min(sizes) < 2:
        raise unanswerable(say("an arm has a single cluster, so nothing tells how much clusters differ"))
    factor = np.sqrt(sizes / (sizes - 1))
    return one * factor[0], zero * factor[1], sizes, not nested


def ratio_set(
    top: float, bottom: float, v_top: float, v_bottom: float, covariance: float, t: float
) -> tuple[float, float, bool]:
    """Ratios r with |top - r bottom| within t standard errors of 0 (Fieller): low, high, whether it is those outside.

    Where the bottom cannot be told from 0 the set has no bounds: everything, or all but what lies between.
    """
    a, b, c = bottom**2 - t * t * v_bottom, top * bottom - t * t * covariance, top**2 - t * t * v_top
    root = b * b - a * c
    if a == 0 or (a < 0 and root < 0):
        return -np.inf, np.inf, False
    ends = sorted(((b - np.sqrt(max(root, 0.0))) / a, (b + np.sqrt(max(root, 0.0))) / a))
    return float(ends[0]), float(ends[1]), a < 0
