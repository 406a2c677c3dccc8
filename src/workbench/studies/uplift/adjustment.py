"""Controls weighted to be like the treated, and what they would have done: one doubly robust comparison."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import SplineTransformer

from workbench.errors import CannotAnswer
from workbench.resampling import Rng, seeds
from workbench.studies.uplift.describe import describe_targets
from workbench.studies.uplift.learners import Trees, canonical, draw_folds
from workbench.studies.uplift.members import feature_matrix, indicator_columns

KNOTS = (0.02, 0.25, 0.5, 0.75, 0.98)
TREES = Trees()


@dataclass(frozen=True)
class Adjusted:
    """An estimate and what it rests on; arrays have one entry a member, weights are of controls and sum to 1."""

    estimate: float
    variance: float
    mean_treated: float
    inside: np.ndarray
    weight: np.ndarray
    residual: np.ndarray


def adjusted(
    members: pd.DataFrame,
    covariates: list[str],
    y: np.ndarray,
    treated: np.ndarray,
    *,
    group: np.ndarray | None,
    draws: int,
    folds: int,
    most_likely: float,
    rng: Rng,
    trees: bool,
) -> Adjusted:
    """Cross-fit both models `draws` times; estimate inside the overlap that their median chance of contact draws."""
    x, categorical = feature_matrix(members, covariates)
    smooth = _smooth(indicator_columns(members, covariates))
    chances, expected = np.empty((2, draws, len(y)))
    order = canonical(x, y, treated)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    data = x[order], smooth[order], y[order], treated[order]
    for k, seed in enumerate(seeds(rng, draws)):
        fold = draw_folds(data[3], folds, seed)
        if group is not None:
            fold = np.random.default_rng(seed).permutation(np.arange(group.max() + 1) % folds)[group[order]]
        chance, without = _cross_fit(*data, categorical, fold, trees)
        chances[k], expected[k] = chance[back], without[back]
    chance = np.median(chances, axis=0)
    inside = chance <= most_likely
    if min((inside & treated).sum(), (inside & ~treated).sum()) < 2:
        raise CannotAnswer(
            f"not answerable: nobody contacted has their like among the others. Contact follows a rule: "
            f"{who(members, covariates, treated, ~inside & treated)}."
        )
    rows = [_doubly_robust(y, treated, inside, c, m, group) for c, m in zip(chances, expected, strict=True)]
    estimate = float(np.median([row[0] for row in rows]))
    variance = float(np.median([row[1] + (row[0] - estimate) ** 2 for row in rows]))
    weight = odds_weights(chance, treated, inside)
    residual = y - np.median(expected, axis=0)
    return Adjusted(estimate, variance, float(y[inside & treated].mean()), inside, weight, residual)


def _smooth(columns: dict[str, np.ndarray]) -> np.ndarray:
    """Cubic splines of numbers with at least 8 values, linear beyond the outer knots; the rest as it is; scaled."""
    parts = []
    for values in columns.values():
        knots = np.unique(np.quantile(values, KNOTS))
        if len(np.unique(values)) < 8 or len(knots) < 3:
            parts.append(values[:, None])
        else:
            spline = SplineTransformer(knots=knots[:, None], extrapolation="linear", include_bias=False)
            parts.append(spline.fit_transform(values[:, None]))
    matrix = np.hstack(parts)
    spread = matrix.std(axis=0)
    return (matrix - matrix.mean(axis=0))[:, spread > 1e-9] / spread[spread > 1e-9]


def _cross_fit(
    x: np.ndarray,
    smooth: np.ndarray,
    y: np.ndarray,
    treated: np.ndarray,
    categorical: list[int],
    fold: np.ndarray,
    trees: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Chance of contact (mean of splines and trees) and outcome without (splines, and trees on what they leave)."""
    chance, expected = np.empty(len(y)), np.empty(len(y))
    for k in np.unique(fold):
        new, fit = fold == k, fold != k
        control = fit & ~treated
        logit = LogisticRegression(C=0.1, solver="newton-cholesky").fit(smooth[fit], treated[fit])
        ridge = Ridge(3.0).fit(smooth[control], y[control])
        chance[new], expected[new] = logit.predict_proba(smooth[new])[:, 1], ridge.predict(smooth[new])
        if trees:
            grown = TREES.fit(x[fit], treated[fit].astype(float), categorical)(x[new])
            chance[new] = (chance[new] + np.clip(grown, 0, 1)) / 2
            expected[new] += TREES.fit(x[control], y[control] - ridge.predict(smooth[control]), categorical)(x[new])
    return np.clip(chance, 0.001, 0.999), expected


def odds_weights(chance: np.ndarray, treated: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Weights that make the controls inside the overlap like the treated there; they sum to 1."""
    weight = np.where(inside & ~treated, chance / (1 - chance), 0.0)
    return weight / weight.sum()


def _doubly_robust(
    y: np.ndarray,
    treated: np.ndarray,
    inside: np.ndarray,
    chance: np.ndarray,
    without: np.ndarray,
    group: np.ndarray | None,
) -> tuple[float, float]:
    """Estimate and variance: mean residual of the treated less the weighted mean residual of the controls."""
    residual, weight = y - without, odds_weights(np.minimum(chance, 0.99), treated, inside)
    share = (inside & treated) / (inside & treated).sum()
    one, zero = float(share @ residual), float(weight @ residual)
    error = share * (residual - one) - weight * (residual - zero)
    if group is not None:
        error = np.bincount(group, error)
    count = np.count_nonzero(error)
    return one - zero, float((error**2).sum() * count / (count - 1))


def who(members: pd.DataFrame, covariates: list[str], treated: np.ndarray, outside: np.ndarray) -> str:
    """Say who the treated outside the overlap are."""
    if not outside.any():
        return ""
    score = pd.Series(outside[treated].astype(float), index=members.index[treated])
    groups = describe_targets(members[treated], score=score, features=covariates, share=score.mean()).groups
    top = groups.iloc[0]
    return f"{top['who']} ({top['targets']:,} of {top['members']:,})"
