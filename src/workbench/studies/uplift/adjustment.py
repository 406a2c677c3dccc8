"""Controls weighted to be like the treated, and what they would have done: one doubly robust comparison."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import SplineTransformer

from workbench.errors import CannotAnswer
from workbench.resampling import Rng, seeds
from workbench.studies.trials.learners import Trees, canonical, draw_folds
from workbench.studies.trials.members import feature_matrix, indicator_columns
from workbench.studies.uplift.describe import describe_targets

KNOTS = (0.02, 0.25, 0.5, 0.75, 0.98)
TREES = Trees(leaves=6, rounds=60, smallest_leaf=40, rate=0.15)


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
    """Cross-fit both models `draws` times; estimate inside the overlap that their median chance of contact draws.

    With `trees`, each model takes them beside its splines unless the first deal shows that they predict worse.
    """
    x, categorical = feature_matrix(members, covariates)
    smooth = _smooth(indicator_columns(members, covariates))
    order = canonical(x, y, treated)
    back = np.argsort(order)
    x, smooth, y, treated = x[order], smooth[order], y[order], treated[order]
    group = None if group is None else group[order]
    chances, expected = np.empty((2, draws, len(y)))
    grow = (trees, trees)
    for k, seed in enumerate(seeds(rng, draws)):
        fold = draw_folds(treated, folds, seed)
        if group is not None:
            fold = np.random.default_rng(seed).permutation(np.arange(group.max() + 1) % folds)[group]
        fits, grown = _cross_fit(x, smooth, y, treated, categorical, fold, grow)
        if k == 0 and trees:
            grow = _better(fits, grown, y, treated)
        chances[k], expected[k] = fits + grown * np.array(grow)[:, None]
    chances = np.clip(chances, 0.001, 0.999)
    chance, without = np.median(chances, axis=0), np.median(expected, axis=0)
    inside = chance <= most_likely
    if min((inside & treated).sum(), (inside & ~treated).sum()) < 2:
        raise CannotAnswer(
            f"not answerable: nobody contacted has their like among the others. Contact follows a rule: "
            f"{who(members, covariates, treated[back], (~inside & treated)[back])}."
        )
    rows = []
    for c, m in zip(chances, expected, strict=True):
        weight = balanced(odds_weights(np.minimum(c, 0.99), treated, inside), smooth, inside & treated)
        rows.append(_doubly_robust(y, treated, inside, weight, m, group))
    estimate = float(np.median([row[0] for row in rows]))
    variance = float(np.median([row[1] + (row[0] - estimate) ** 2 for row in rows]))
    weight = balanced(odds_weights(chance, treated, inside), smooth, inside & treated)
    mean = float(y[inside & treated].mean())
    return Adjusted(estimate, variance, mean, inside[back], weight[back], (y - without)[back])


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
    grow: tuple[bool, bool],
) -> tuple[np.ndarray, np.ndarray]:
    """Chance of contact and outcome without, each of shape (2, n): by splines, and what trees would add."""
    fits, grown = np.zeros((2, 2, len(y)))
    for k in np.unique(fold):
        new, fit = fold == k, fold != k
        control = fit & ~treated
        logit = LogisticRegression(C=0.1, solver="newton-cholesky").fit(smooth[fit], treated[fit])
        ridge = Ridge(3.0).fit(smooth[control], y[control])
        fits[:, new] = logit.predict_proba(smooth[new])[:, 1], ridge.predict(smooth[new])
        if grow[0]:
            grown[0, new] = TREES.fit(x[fit], treated[fit] - logit.predict_proba(smooth[fit])[:, 1], categorical)(
                x[new]
            )
        if grow[1]:
            grown[1, new] = TREES.fit(x[control], y[control] - ridge.predict(smooth[control]), categorical)(x[new])
    return fits, grown


def _better(fits: np.ndarray, grown: np.ndarray, y: np.ndarray, treated: np.ndarray) -> tuple[bool, bool]:
    """Whether trees do not raise the loss on members they did not see by more than its error: chance, outcome."""

    def loss(fit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chance = np.clip(fit[0], 0.001, 0.999)
        return -np.log(np.where(treated, chance, 1 - chance)), (y - fit[1])[~treated] ** 2

    gains = (plain - more for plain, more in zip(loss(fits), loss(fits + grown), strict=True))
    chance, outcome = (bool(gain.mean() > -gain.std() / np.sqrt(len(gain))) for gain in gains)
    return chance, outcome


def odds_weights(chance: np.ndarray, treated: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Weights that make the controls inside the overlap like the treated there; they sum to 1."""
    weight = np.where(inside & ~treated, chance / (1 - chance), 0.0)
    return weight / weight.sum()


def balanced(weight: np.ndarray, columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Tilt weights as little as makes the weighted means of columns near those of the target rows (entropy balancing).

    A ridge of columns per weighted row keeps the tilt finite where the target cannot be met.
    """
    own = weight > 0
    gap, start = columns[own] - columns[target].mean(axis=0), weight[own]
    ridge, tilt = gap.shape[1] / len(gap), np.zeros(gap.shape[1])

    def tilted(tilt: np.ndarray) -> tuple[float, np.ndarray]:
        power = gap @ tilt
        raw = start * np.exp(power - power.max())
        return power.max() + np.log(raw.sum()) + ridge / 2 * (tilt @ tilt), raw / raw.sum()

    height, share = tilted(tilt)
    for _ in range(100):
        mean = share @ gap
        slope = mean + ridge * tilt
        bend = (gap * share[:, None]).T @ gap - np.outer(mean, mean) + ridge * np.eye(len(tilt))
        step = np.linalg.solve(bend, slope)
        size = 1.0
        while size > 1e-6 and tilted(tilt - size * step)[0] > height - 1e-4 * size * (slope @ step):
            size /= 2
        before, tilt = height, tilt - size * step
        height, share = tilted(tilt)
        if before - height < 1e-12:
            break
    result = np.zeros(len(weight))
    result[own] = share
    return result


def _doubly_robust(
    y: np.ndarray,
    treated: np.ndarray,
    inside: np.ndarray,
    weight: np.ndarray,
    without: np.ndarray,
    group: np.ndarray | None,
) -> tuple[float, float]:
    """Estimate and variance: mean residual of the treated less the weighted mean residual of the controls."""
    residual = y - without
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
