"""What would the campaign change for each member? Predicted effects, never from a model that saw the member."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from workbench.errors import WorkbenchError, require_known
from workbench.messages import say
from workbench.methods.experiment.events import unanswerable
from workbench.methods.experiment.members import Features, arms, features_of, numbers
from workbench.methods.resampling import Rng, one_thread, seeds

Learner = Literal["s", "t", "x", "dr", "r"]
Validation = Literal["cross", "sequential"]

FEWEST_PER_FOLD = 5
ENOUGH = 60_000
FOLDS: dict[Validation, int] = {"cross": 5, "sequential": 10}
REPEATS = 1


@dataclass(frozen=True)
class Trees:
    """Small boosted trees, the base of every learner here.

    Attributes
    ----------
    smallest_leaf : int
        Members a leaf holds at least; a 25th of the fitted rows where those are fewer than 12,500.
    rate : float
        Learning rate.
    """

    leaves: int = 6
    rounds: int = 60
    smallest_leaf: int = 500
    rate: float = 0.05

    def fit(
        self, x: np.ndarray, y: np.ndarray, categorical: list[int], weight: np.ndarray | None = None
    ) -> HistGradientBoostingRegressor:
        """Fit by squared error, x of shape (n, p); empty columns split nothing."""
        model = HistGradientBoostingRegressor(
            max_leaf_nodes=self.leaves,
            max_iter=self.rounds,
            min_samples_leaf=min(self.smallest_leaf, max(5, len(y) // 25)),
            learning_rate=self.rate,
            early_stopping=False,
            categorical_features=categorical or None,
            random_state=0,
        )
        empty = [k for k in np.flatnonzero(np.isnan(x[0])) if np.isnan(x[:, k]).all()]
        if empty:
            x = x.copy()
            x[:, empty] = 0.0
        return model.fit(x, y, sample_weight=weight)


@dataclass(frozen=True)
class Effect:
    """Predicted effect: the sum of factor times model; a model that takes the arm as its last feature is told it.

    parts : of (factor, model, arm or None)
    """

    parts: tuple[tuple[float, HistGradientBoostingRegressor, float | None], ...]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        found = np.zeros(len(x))
        for factor, model, arm in self.parts:
            found += factor * model.predict(x if arm is None else np.hstack([x, np.full((len(x), 1), arm)]))
        return found


ABUNDANT = ((200_000, 2, Trees(rounds=15, rate=0.25)), (25_000, 4, Trees(rounds=15, rate=0.2)))


def predict_uplift(
    members: pd.DataFrame,
    *,
    outcome: str,
    treatment: str,
    features: Sequence[str],
    learner: Learner = "x",
    folds: int | None = None,
    repeats: int | None = None,
    validation: Validation = "cross",
    rng: Rng = 0,
    trees: Trees | None = None,
) -> pd.Series:
    """Predict for each member how much contact changes the outcome, by models that have not seen the member.

    Parameters
    ----------
    members : DataFrame
        One row a member; both arms of a randomised campaign.
    outcome : str
        Numeric column, complete.
    treatment : str
        Column of 0/1, booleans, or names of two arms of which one is "control".
    features : sequence of str
        Columns known before assignment; numbers and texts, missing values as they are.
    learner : {"x", "s", "t", "dr", "r"}
        How outcome models become an effect; see docs/methods/experiment.md.
    folds : int, optional
        5 for "cross", 10 for "sequential"; for "cross" 4 where each arm has 25,000 members with another than the
        commonest outcome, 2 from 200,000. For faint effects among very many members `folds=5, trees=Trees()` stay more
        precise, and slower.
    repeats : int, optional
        For "cross": how many splits into folds are averaged, 1 by default. With more the split matters less, for a list
        to act on; never judge by them: averaged scores share errors even more than those of one split.
    validation : {"cross", "sequential"}
        Which folds a member's model is fitted to. "cross": all others, the best prediction for every member, to act on.
        "sequential": only those before the member's own, to judge by: the first fold gets no prediction (NaN). The
        scores of crossed folds share errors, and on a campaign without any differences intervals made
        from them find some in about one case of ten; with sequential folds in three or four of a hundred.
    rng : int, SeedSequence or Generator
        Draws the folds, within arms. Neither the order of rows and columns, nor names, dtypes, units or constant
        columns matter; members alike in features, outcome and arm are told apart by their other columns, then by
        the index.
    trees : Trees, optional
        Size of the base models; small by default, which ranks and calibrates better than large (15 rounds at rate
        0.2, then 0.25, where members abound as above).

    Returns
    -------
    Series, index of `members`
        In units of the outcome; `attrs["validation"]` says how it was made. `uplift_curve`, `effect_groups` and
        `targeting` give no verdict on a crossed one (a column of a table cannot say it). Models of different folds are
        on slightly different scales, so each fold's predictions take the mean distribution over folds by their rank:
        members of different folds compare.

    Warnings
    --------
    Prediction is not yet profit, nor is a low score evidence of harm: assess with `uplift_curve`,
    `effect_groups` and `targeting` before anyone is contacted. On a campaign that was not randomised the
    predictions mix the effect with the selection.

    References
    ----------
    Künzel, Sekhon, Bickel and Yu (2019), PNAS 116 (S, T, X). Kennedy (2023), EJS 17 (DR).
    Nie and Wager (2021), Biometrika 108 (R). Luedtke and van der Laan (2016), Annals of Statistics 44, and
    Wager (2024), Sequential validation of treatment heterogeneity, arXiv 2405.05534 (sequential folds).
    """
    treated, y = arms(members, treatment), numbers(members, outcome)
    arm = treated.astype(np.int64)
    known = features_of(members, features, y, arm)
    effects = crossed_effects(known, y, arm, learner, validation, folds, repeats, trees, rng)
    score = pd.Series(effects[:, 0], index=members.index, name="uplift")
    score.attrs["validation"] = validation
    return score


def defaults(
    y: np.ndarray, arm: np.ndarray, validation: Validation, folds: int | None, repeats: int | None, trees: Trees | None
) -> tuple[int, int, Trees]:
    """Folds, repeats and trees, where they are not given, by how many of the smaller arm have an uncommon outcome."""
    values, counts = np.unique(y, return_counts=True)
    telling = np.bincount(arm[y != values[counts.argmax()]], minlength=int(arm.max()) + 1).min()
    abundant = ((fewer, larger) for least, fewer, larger in ABUNDANT if telling >= least)
    fewer, larger = next(abundant, (FOLDS["cross"], Trees()))
    if repeats is None:
        repeats = REPEATS if validation == "cross" and folds is None and fewer == FOLDS["cross"] else 1
    if repeats < 1 or (repeats > 1 and validation == "sequential"):
        raise WorkbenchError("repeats is {repeats}: give 1 or more, and 1 where folds are sequential.").of(repeats)
    if folds is None:
        folds = fewer if validation == "cross" else FOLDS[validation]
    return folds, repeats, trees or larger


def crossed_effects(
    known: Features,
    y: np.ndarray,
    arm: np.ndarray,
    learner: Learner,
    validation: Validation,
    folds: int | None,
    repeats: int | None,
    trees: Trees | None,
    rng: Rng,
) -> np.ndarray:
    """Predict each offer's effect (arm 0 = control) by models of other folds; the features change places in memory.

    Returns
    -------
    array, shape (n, offers); NaN for the first of sequential folds
    """
    require_known("learner", learner, _LEARNERS)
    require_known("validation", validation, FOLDS)
    folds, repeats, trees = defaults(y, arm, validation, folds, repeats, trees)
    x, here = known.codes, np.arange(len(y))  # here: the row that stands at each place of x
    outcome, scale = standardised(y)
    found, first = np.zeros((len(y), int(arm.max()))), int(validation == "sequential")
    draw = by_content(outcome, arm)[arm[known.order]]
    for seed in seeds(rng, repeats) if repeats > 1 else [rng]:
        fold = draw_folds(draw, folds, seed)
        # folds and arms lie together: where two folds do, no row is copied
        order = known.order[np.lexsort([arm[known.order], fold])]
        fold = np.sort(fold)
        move = np.empty_like(here)
        move[here] = np.arange(len(y))
        move = move[order]
        for column in x.T:
            column[:] = column[move]
        here, raw = order, np.empty(found.shape)
        mine, own = outcome[order], arm[order]
        with one_thread():
            for k in range(first, folds):
                inside, held = together(fold != k if validation == "cross" else fold < k), together(fold == k)
                models = fitted_effects(x[inside], mine[inside], own[inside], known.categorical, learner, trees)
                for j, effect in enumerate(models):
                    raw[held, j] = effect(x[held])
        seen = fold >= first
        found[order[~seen]] = np.nan
        for j, column in enumerate(raw.T):
            found[order[seen], j] += scale / repeats * _on_one_scale(column[seen], fold[seen] - first)
    return found


def standardised(y: np.ndarray) -> tuple[np.ndarray, float]:
    """Give y in standard deviations, rounded so that another unit gives the very same numbers, and the unit."""
    scale = float(np.sort(y).std()) or 1.0  # sorted: the last digit of a sum knows the order of the rows
    return np.round(y / scale, 9), scale


def by_content(y: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """Number the arms by their size and outcomes, whatever they are called."""
    sums = [np.bincount(arm, y**power) for power in (2, 1, 0)]
    place = np.empty(len(sums[0]), dtype=np.int64)
    place[np.lexsort([np.round(total, 6) for total in sums])] = np.arange(len(place))
    return place


def together(rows: np.ndarray) -> np.ndarray | slice:
    """Rows as a slice where they are consecutive, so that they need no copy."""
    at = np.flatnonzero(rows)
    return slice(int(at[0]), int(at[-1]) + 1) if len(at) and at[-1] - at[0] + 1 == len(at) else rows


def fitted_effects(
    x: np.ndarray, y: np.ndarray, arm: np.ndarray, categorical: list[int], learner: Learner, trees: Trees
) -> list[Effect]:
    """Fit one model an offer, to its arm and the control arm."""
    found = []
    for offer in range(1, int(arm.max()) + 1):
        rows = together((arm == 0) | (arm == offer))
        found.append(_LEARNERS[learner](x[rows], y[rows], arm[rows] == offer, categorical, trees))
    return found


def draw_folds(arm: np.ndarray, folds: int, rng: Rng) -> np.ndarray:
    """Split rows (in canonical order) into random folds, each arm for itself.

    Raises
    ------
    WorkbenchError, CannotAnswer
        If folds < 2, or an arm has fewer than 5 members a fold.
    """
    if folds < 2:
        raise WorkbenchError("folds is {folds}: at least 2 are needed, so that no model predicts a member it saw.").of(
            folds
        )
    names, counts = np.unique(arm, return_counts=True)
    smallest = int(counts.min())
    if smallest < FEWEST_PER_FOLD * folds:
        raise unanswerable(
            say(
                "the smaller arm has {members} members, and {folds} folds need {least}. Individual effects need "
                "thousands of members",
                members=smallest,
                folds=folds,
                least=FEWEST_PER_FOLD * folds,
            )
        )
    fold = np.empty(len(arm), dtype=np.int64)
    for name, seed in zip(names, seeds(rng, len(names)), strict=True):
        rows = np.flatnonzero(arm == name)
        fold[np.random.default_rng(seed).permutation(rows)] = np.arange(len(rows)) % folds
    return fold


def _on_one_scale(raw: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Give each fold's predictions the mean distribution over folds, keeping their ranks and ties."""
    orders = [rows[np.argsort(raw[rows])] for rows in (np.flatnonzero(fold == k) for k in range(fold.max() + 1))]
    score = np.empty(len(raw))
    for rows in orders:
        own = raw[rows]
        start = np.flatnonzero(np.append(True, own[1:] != own[:-1]))
        size = np.diff(np.append(start, len(own)))
        depth = (start + size / 2) / len(own)
        mean = sum(np.interp(depth, (np.arange(len(r)) + 0.5) / len(r), raw[r]) for r in orders) / len(orders)
        score[rows] = np.repeat(mean, size)
    return score


def _s(x: np.ndarray, y: np.ndarray, treated: np.ndarray, categorical: list[int], trees: Trees) -> Effect:
    model = trees.fit(np.column_stack([x, treated]), y, categorical)
    return Effect(((1.0, model, 1.0), (-1.0, model, 0.0)))


def _t(x: np.ndarray, y: np.ndarray, treated: np.ndarray, categorical: list[int], trees: Trees) -> Effect:
    with_contact = trees.fit(x[treated], y[treated], categorical)
    without = trees.fit(x[~treated], y[~treated], categorical)
    return Effect(((1.0, with_contact, None), (-1.0, without, None)))


def _x(x: np.ndarray, y: np.ndarray, treated: np.ndarray, categorical: list[int], trees: Trees) -> Effect:
    one, zero, share = together(treated), together(~treated), float(treated.mean())
    step = max(1, min(treated.sum(), (~treated).sum()) // ENOUGH)
    with_contact, without = (trees.fit(x[rows][::step], y[rows][::step], categorical) for rows in (one, zero))
    on_treated, on_control = y[one] - without.predict(x[one]), with_contact.predict(x[zero]) - y[zero]
    if step == 1:
        effects = trees.fit(x[one], on_treated, categorical), trees.fit(x[zero], on_control, categorical)
        return Effect(((1 - share, effects[0], None), (share, effects[1], None)))
    effect, weight = np.empty((2, len(y)))
    effect[one], effect[zero] = on_treated, on_control
    weight[one], weight[zero] = (1 - share) / share, share / (1 - share)
    return _alone(trees.fit(x, effect, categorical, None if share == 0.5 else weight))


def _alone(model: HistGradientBoostingRegressor) -> Effect:
    return Effect(((1.0, model, None),))


def _dr(x: np.ndarray, y: np.ndarray, treated: np.ndarray, categorical: list[int], trees: Trees) -> Effect:
    pseudo = doubly_robust(x, y, treated, categorical, trees, folds=2)
    return _alone(trees.fit(x, pseudo[0] - pseudo[1], categorical))


def _r(x: np.ndarray, y: np.ndarray, treated: np.ndarray, categorical: list[int], trees: Trees) -> Effect:
    fold = draw_folds(treated, 2, 0)
    expected = np.empty(len(y))
    for k in range(2):
        expected[fold == k] = trees.fit(x[fold != k], y[fold != k], categorical).predict(x[fold == k])
    surprise = treated - treated.mean()
    return _alone(trees.fit(x, (y - expected) / surprise, categorical, surprise**2))


_LEARNERS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, list[int], Trees], Effect]] = {
    "x": _x,
    "s": _s,
    "t": _t,
    "dr": _dr,
    "r": _r,
}


def doubly_robust(
    x: np.ndarray, y: np.ndarray, treated: np.ndarray, categorical: list[int], trees: Trees, *, folds: int, rng: Rng = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Give each row's doubly robust outcome with and without contact; rows in canonical order.

    The mean of the first less the mean of the second is the average effect. The propensity is the share of
    treated, as in a randomised campaign; outcome models are fitted to the other folds.
    """
    share, models = treated.mean(), outcome_models(x, y, treated, categorical, trees, folds=folds, rng=rng)
    pairs = zip(models, (treated, ~treated), (share, 1 - share), strict=True)
    with_contact, without = (expected + arm * (y - expected) / chance for expected, arm, chance in pairs)
    return with_contact, without


def outcome_models(
    x: np.ndarray, y: np.ndarray, treated: np.ndarray, categorical: list[int], trees: Trees, *, folds: int, rng: Rng = 0
) -> np.ndarray:
    """Expected outcome of each row with and without contact, shape (2, n), from models of the other folds."""
    fold, expected, (y, scale) = draw_folds(treated, folds, rng), np.empty((2, len(y))), standardised(y)
    for values, arm in zip(expected, (treated, ~treated), strict=True):
        for k in range(folds):
            others = arm & (fold != k)
            values[fold == k] = trees.fit(x[others], y[others], categorical).predict(x[fold == k])
    return scale * expected
