"""Controls weighted to be like the treated, and what they would have done: one doubly robust comparison."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import SplineTransformer

from workbench.messages import Message, say
from workbench.methods.coding import arrange, by_members, class_edges, cut
from workbench.methods.experiment.describe import describe_targets
from workbench.methods.experiment.events import unanswerable
from workbench.methods.experiment.learners import Trees, draw_folds, standardised
from workbench.methods.experiment.members import features_of, indicator_columns
from workbench.methods.resampling import Rng, seeds
from workbench.result import MINIMUM_CELL

ALARM = 0.05
CUTS = np.arange(1, 10) / 10
MOST_PAIRS, PASSES, ENOUGH = 50, 2, 20_000
KNOTS = (0.02, 0.25, 0.5, 0.75, 0.98)
TREES = Trees(leaves=6, rounds=60, smallest_leaf=40, rate=0.15)


@dataclass(frozen=True)
class Adjusted:
    """An estimate and what it rests on; arrays have one entry a member, weights are of controls and sum to 1.

    unmodelled : pairs of covariates whose interplay still drives both contact and outcome in members not fitted to.
    splits : array, shape (draws, 4), of each split into folds: estimate, share of the treated inside the overlap,
    effective controls, largest standardised difference after weighting.
    """

    estimate: float
    variance: float
    mean_treated: float
    inside: np.ndarray
    weight: np.ndarray
    residual: np.ndarray
    unmodelled: tuple[tuple[str, ...], ...] = ()
    splits: np.ndarray = field(default_factory=lambda: np.empty((0, 4)))

    def noise(self) -> np.ndarray:
        """Standard error of the median over the splits of each of their four numbers; 0 of a single split."""
        if len(self.splits) < 2:
            return np.zeros(4)
        return 1.2533 * self.splits.std(axis=0, ddof=1) / np.sqrt(len(self.splits))


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

    With `trees`, each model takes them beside its splines unless the split shows that they predict worse.
    """
    known = features_of(members, covariates, y, treated.astype(np.int64))
    order, categorical = known.order, known.categorical
    back = np.argsort(order)
    names, values = _arranged(indicator_columns(members, covariates), y, treated, order)
    y, unit = standardised(y)
    x, y, treated = known.codes[order], y[order], treated[order]
    group = None if group is None else by_members(group, known.content)[order]
    smooth = _smooth(values)
    drawn = [_split(treated, group, folds, seed) for seed in seeds(rng, draws)]
    for _ in range(PASSES):
        alone = [_cross_fit(x, smooth, y, treated, categorical, fold, (False, False))[0] for fold in drawn]
        contact, outcome = _pairs(values, np.median(alone, axis=0), y, treated)
        smooth = np.column_stack([smooth, *contact.values(), *outcome.values()])
    both = [_cross_fit(x, smooth, y, treated, categorical, fold, (trees, trees)) for fold in drawn]
    taken = [fits + grown * np.array(_better(fits, grown, y, treated))[:, None] for fits, grown in both]
    chances, expected = np.array(taken).transpose(1, 0, 2)
    middle = np.median(chances, axis=0), np.median(expected, axis=0)
    contact, outcome = _pairs(values, np.array(middle), y, treated)
    unmodelled = sorted(tuple(sorted(names[at] for at in pair)) for pair in contact if pair in outcome)
    chances = np.clip(chances, 0.001, 0.999)
    chance, without = np.median(chances, axis=0), middle[1]
    inside = chance <= most_likely
    if min((inside & treated).sum(), (inside & ~treated).sum()) < 2:
        rule = who(members, covariates, treated[back], (~inside & treated)[back])
        raise unanswerable(
            say("no contacted member has comparable controls. Contact follows a rule: {rule}", rule=rule)
        )
    rows, seen = [], []
    for c, m in zip(chances, expected, strict=True):
        weight = balanced(odds_weights(np.minimum(c, 0.99), treated, inside), smooth, inside & treated)
        rows.append(_doubly_robust(y, treated, inside, weight, m, group))
        apart = np.abs([gap(v, treated, inside, weight)[1] for v in values]).max(initial=0.0)
        seen.append((unit * rows[-1][0], (c <= most_likely)[treated].mean(), 1 / (weight**2).sum(), apart))
    estimate = float(np.median([row[0] for row in rows]))
    variance = float(np.median([row[1] + (row[0] - estimate) ** 2 for row in rows]))
    weight = balanced(odds_weights(chance, treated, inside), smooth, inside & treated)
    return Adjusted(
        unit * estimate,
        unit**2 * variance,
        unit * float(y[inside & treated].mean()),
        inside[back],
        weight[back],
        unit * (y - without)[back],
        tuple(unmodelled),
        np.array(seen),
    )


def _arranged(
    traits: dict[str, np.ndarray], y: np.ndarray, treated: np.ndarray, order: np.ndarray
) -> tuple[list[str], list[np.ndarray]]:
    """Names and standardised values of the columns that vary, in an order that only content decides."""
    kept = {name: standardised(v - np.sort(v).mean())[0] for name, v in traits.items() if np.ptp(v) > 0}
    slots = [cut(v, class_edges(v)) for v in kept.values()]
    place, names = arrange(slots, [], y, treated.astype(np.int64)).columns, list(kept)
    return [names[k] for k in place], [kept[names[k]][order] for k in place]


def _split(treated: np.ndarray, group: np.ndarray | None, folds: int, seed: np.random.SeedSequence) -> np.ndarray:
    """Fold of each row; clusters stay together."""
    if group is None:
        return draw_folds(treated, folds, seed)
    return np.random.default_rng(seed).permutation(np.arange(group.max() + 1) % folds)[group]


def gap(values: np.ndarray, treated: np.ndarray, inside: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Standardised differences of a column inside the overlap, before and after weighting; 0 where it is constant."""
    one, zero = values[inside & treated], values[inside & ~treated]
    spread = np.sqrt((one.var() + zero.var()) / 2)
    if spread <= 1e-12:
        return 0.0, 0.0
    return float((one.mean() - zero.mean()) / spread), float((one.mean() - weight @ values) / spread)


def _smooth(columns: list[np.ndarray]) -> np.ndarray:
    """Cubic splines of numbers with at least 8 values, linear beyond the outer knots; the rest as it is; scaled."""
    parts = []
    for values in columns:
        knots = np.unique(np.quantile(values, KNOTS))
        if len(np.unique(values)) < 8 or len(knots) < 3:
            parts.append(values[:, None])
        else:
            spline = SplineTransformer(knots=knots[:, None], extrapolation="linear", include_bias=False)
            parts.append(spline.fit_transform(values[:, None]))
    matrix = np.hstack(parts)
    spread = matrix.std(axis=0)
    return (matrix - matrix.mean(axis=0))[:, spread > 1e-9] / spread[spread > 1e-9]


Pairs = dict[tuple[int, int], np.ndarray]


def _pairs(columns: list[np.ndarray], fits: np.ndarray, y: np.ndarray, treated: np.ndarray) -> tuple[Pairs, Pairs]:
    """Products of two columns' signs that explain what fits leave of contact, and of the outcome.

    Of each two columns the product of signs about deciles furthest from chance, where that is beyond what the largest
    of as many would be (Bonferroni); then its cuts are sharpened.
    """
    left = treated - fits[0], np.where(treated, 0.0, y - fits[1])
    cuts = [np.unique(np.quantile(v, CUTS, method="inverted_cdf")) for v in columns]
    signs = [(v > cut, k) for k, (v, at) in enumerate(zip(columns, cuts, strict=True)) for cut in at if cut < v.max()]
    owner = np.array([k for _, k in signs])
    chosen: tuple[Pairs, Pairs] = ({}, {})
    matrix = np.column_stack([above - above.mean() for above, _ in signs])
    apart = owner[:, None] < owner
    some = slice(None, None, max(1, len(matrix) // ENOUGH))
    for rest, kept in zip(left, chosen, strict=True):
        part, each = matrix[some], matrix[some] * rest[some, None]
        z = np.where(apart, np.abs(each.T @ part) / np.sqrt((each**2).T @ part**2 + 1e-300), 0.0)
        found = np.argwhere(z > norm.isf(ALARM / max(1, 2 * int(apart.sum()))))
        for i, j in sorted(found.tolist(), key=lambda at: z[at[0], at[1]])[-MOST_PAIRS:]:
            one, other = int(owner[i]), int(owner[j])
            first = _sharpest(columns[one], rest * matrix[:, j])
            second = _sharpest(columns[other], rest * first)
            product = _sharpest(columns[one], rest * second) * second
            kept[one, other] = (product - product.mean()) / product.std()
    return chosen


def _sharpest(values: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Sign of values about the cut that parts `rest` most, less its mean; at least a twentieth on either side."""
    order, n = np.argsort(values, kind="stable"), len(values)
    below, share = np.cumsum(rest[order])[:-1], np.arange(1, n) / n
    gain = np.abs(below - share * rest.sum()) / np.sqrt(share * (1 - share))
    possible = (values[order][1:] > values[order][:-1]) & (share >= 0.05) & (share <= 0.95)
    above = values > (values[order][np.where(possible, gain, -1.0).argmax()] if possible.any() else np.median(values))
    return above - above.mean()


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
            surprise = treated[fit] - logit.predict_proba(smooth[fit])[:, 1]
            grown[0, new] = TREES.fit(x[fit], surprise, categorical).predict(x[new])
        if grow[1]:
            surprise = y[control] - ridge.predict(smooth[control])
            grown[1, new] = TREES.fit(x[control], surprise, categorical).predict(x[new])
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


def who(members: pd.DataFrame, covariates: list[str], treated: np.ndarray, outside: np.ndarray) -> Message:
    """Say who the treated outside the overlap are, by no fewer than ten of a kind."""
    if not outside.any():
        return say("")
    score = pd.Series(outside[treated].astype(float), index=members.index[treated])
    groups = describe_targets(members[treated], score=score, features=covariates, share=score.mean()).groups
    top = groups.iloc[0]
    if top["targets"] < MINIMUM_CELL:
        return say("groups of fewer than {n}", n=MINIMUM_CELL)
    return say("{who} ({n} of {all})", who=top["who"], n=top["targets"], all=top["members"])
