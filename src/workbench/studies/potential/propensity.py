"""Who takes up which service? Propensities judged on customers they have not seen, or else the rate of their peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.special import expit, logit, xlogy
from scipy.stats import norm
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from workbench.messages import Message, say
from workbench.methods.experiment.members import indicator_columns
from workbench.methods.resampling import Rng, one_thread, seeds

EVENTS_PER_FEATURE = 10
FOLDS = 5
PEERS = 30
"""Fewest customers of a group of peers; where fewer share all traits, the last are dropped."""
PEERS_RATE, RATE, NOT_ANSWERABLE = "rate of peers", "overall rate", "not answerable"
FEWEST_TAKERS = 5
"""With fewer take-ups a service's margin has an interval, but nobody a propensity."""
FEW_TAKERS = 30
"""With fewer, a resample draws the take-ups' weight as mid-P intervals of a count do; with more by Poisson weights."""


@dataclass(frozen=True, eq=False)
class TakeUp:
    """A service's propensity: `facts` for the table of services; `now` (n,), 0 for whom it is not on offer;
    `draw(weight, generator)`, which gives `now` as a resample of the past has it."""

    facts: dict[str, object]
    now: np.ndarray
    draw: Callable = field(repr=False)


def peer_groups(tables: Sequence[pd.DataFrame], traits: Sequence[str]) -> tuple[list[np.ndarray], list[str]]:
    """Group rows by as many of the traits as leave `PEERS` rows in each table.

    Returns codes by table, shape (rows, 2 + traits): the row's own group, then every group it counts for, from all on;
    and the groups' names by code.
    """
    both = pd.concat([t[list(traits)].astype("str") for t in tables], ignore_index=True).fillna("unknown")
    table = np.repeat(np.arange(len(tables)), [len(t) for t in tables])
    names: list[str] = []
    path, codes = pd.Series("all", index=both.index), [np.zeros(len(both), dtype=int)]
    for trait in [None, *traits]:
        if trait is not None:
            path = both[trait] if len(codes) == 2 else path + ", " + both[trait]
        code, found = pd.factorize(path, sort=True)
        size = np.min([np.bincount(code[table == t], minlength=len(found)) for t in range(len(tables))], axis=0)
        codes[0] = np.where(size[code] >= PEERS, code + len(names), codes[0])
        codes.append(code + len(names))
        names += list(found)
    return np.split(np.column_stack(codes), np.cumsum([len(t) for t in tables])[:-1]), names


def design(past: pd.DataFrame, now: pd.DataFrame, features: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Features for a linear score, scaled by the past: amounts by their logarithm, texts and gaps as indicators."""
    both = pd.concat([past[list(features)], now[list(features)]], ignore_index=True)
    for name in both.select_dtypes("number"):
        both[name] = np.sign(both[name]) * np.log1p(both[name].abs())
    x = np.column_stack([np.ones(len(both)), *indicator_columns(both, features).values()])[:, 1:]
    centre, spread = x[: len(past)].mean(axis=0), x[: len(past)].std(axis=0)
    x = (x - centre)[:, spread > 1e-9] / spread[spread > 1e-9]
    return x[: len(past)], x[len(past) :]


def take_up(service, took, open_past, open_now, x, groups, level: float, rng: Rng) -> TakeUp:
    """Fit by the rate of peers, logistic regression or boosted trees, whichever foresees unseen customers best.

    took, open_past, open_now : bool arrays, whether a customer of the past took it up, did not hold it, does not today;
    x, groups : pairs of arrays of past and today, scaled features and codes of peers.
    """
    rows, y = np.flatnonzero(open_past), took[open_past].astype(float)
    x0, x1, g0, g1 = x[0][rows], x[1][open_now], groups[0][rows], groups[1][open_now]
    varies = np.ptp(x0, axis=0) > 0 if len(rows) else np.zeros(x0.shape[1], bool)
    x0, x1 = x0[:, varies], x1[:, varies]
    events, needed = int(min(y.sum(), (1 - y).sum())), EVENTS_PER_FEATURE * max(x0.shape[1], 1)
    fits = {PEERS_RATE: _peers}
    why = say(
        "{events} take-ups for {features} features: fewer than {needed}",
        events=events,
        features=x0.shape[1],
        needed=needed,
    )
    if events >= needed and x0.shape[1]:
        fits, why = fits | {"logistic": _logistic, "boosted trees": _boosted}, say("least loss on unseen customers")
    base = float(y.mean()) if len(y) else 0.0
    with one_thread():
        found = {
            name: _crossed(fit, x0, y, g0, rng) if 0 < events < len(y) - 1 else (np.full(len(y), base), [])
            for name, fit in fits.items()
        }
        loss = {name: -np.sum(xlogy(y, p) + xlogy(1 - y, 1 - p)) for name, (p, _) in found.items()}
        chosen = min(fits, key=lambda name: round(loss[name], 9))
        line, error = _calibration(found[chosen][0], y)
        unseen, models = found[chosen]
        if not line[1] > 1.96 * error[1]:
            chosen, why = RATE, why if events < needed else say("nothing puts unseen customers in the right order")
            unseen, line, error = np.full(len(y), base), *np.full((2, 2), np.nan)
        now, draw = _today(chosen, line, models, x0, y, g0, x1, g1)
    if y.sum() < FEW_TAKERS and chosen in (RATE, PEERS_RATE):
        draw = _few_drawn(draw, y)
    if y.sum() < FEWEST_TAKERS and len(y) and open_now.any():
        chosen, why = NOT_ANSWERABLE, _too_few(service, int(y.sum()))
    half = norm.isf((1 - level) / 2) * error
    low, high = line - half, line + half
    facts = {
        "service": service,
        "asked": len(y),
        "take_ups": int(y.sum()),
        "rate": base,
        "learner": chosen,
        "why": why,
        "slope": line[1],
        "slope_low": low[1],
        "slope_high": high[1],
        "intercept": line[0],
        "intercept_low": low[0],
        "intercept_high": high[0],
        "brier": float(np.mean((y - unseen) ** 2)) if len(y) else np.nan,
        "brier_rate": base * (1 - base),
        "open_now": int(open_now.sum()),
    }

    def spread(values: np.ndarray) -> np.ndarray:
        full = np.zeros(len(open_now))
        full[open_now] = values
        return full

    return TakeUp(facts, spread(now), lambda weight, generator: spread(draw(weight[rows], generator)))


def _too_few(service: str, takers: int) -> Message:
    if takers == 1:
        return say(
            "not answerable: 1 taker of {service}, and {fewest} are needed", service=service, fewest=FEWEST_TAKERS
        )
    return say(
        "not answerable: {takers} takers of {service}, and {fewest} are needed",
        takers=takers,
        service=service,
        fewest=FEWEST_TAKERS,
    )


def _crossed(fit: Callable, x, y, group, rng: Rng) -> tuple[np.ndarray, list]:
    """Predict each row by a model of the other folds; also the models."""
    fold, unseen, models = np.empty(len(y), dtype=int), np.empty(len(y)), []
    for value, seed in zip((0, 1), seeds(rng, 2), strict=True):
        mine = np.flatnonzero(y == value)
        fold[mine] = np.random.default_rng(seed).permutation(len(mine)) % FOLDS
    for k in range(FOLDS):
        models.append(fit(x[fold != k], y[fold != k], group[fold != k]))
        unseen[fold == k] = models[-1](x[fold == k], group[fold == k])
    return unseen, models


def _today(chosen: str, line: np.ndarray, models: list, x0, y, g0, x1, g1) -> tuple[np.ndarray, Callable]:
    """Today's probabilities, put on the line that unseen customers drew, and how a resample of the past changes them.

    The error of a logit raises the mean of a rare probability: half its variance is taken off, so that draws centre.
    """
    if chosen == RATE:
        rate = y.mean() if len(y) else 0.0
        return np.full(len(x1), rate), lambda w, _: np.full(len(x1), np.average(y, weights=w) if w.sum() else rate)
    if chosen == PEERS_RATE:
        prior = _prior(y, g0)

        def draw(weight, _):
            return expit(line[0] + line[1] * _logit(_rates(y, g0, weight, prior)(x1, g1)))

        return draw(np.ones(len(y)), None), draw
    if chosen == "logistic":
        beta = _newton(x0, y)
        past, today = (np.column_stack([np.ones(len(v)), v]) for v in (x0, x1))
        p = expit(past @ beta)
        bread = np.linalg.inv((past * (p * (1 - p))[:, None]).T @ past + np.eye(past.shape[1]))
        pull = past @ bread * (y - p)[:, None]
        score = line[0] + line[1] * (today @ beta)
        half = np.einsum("ij,jk,ik->i", today, pull.T @ pull, today, optimize=True) / 2
        return expit(score), lambda w, _: expit(score - half + today @ ((w - 1) @ pull))
    score = line[0] + line[1] * _logit(_boosted(x0, y, g0)(x1, g1))
    parts = np.stack([_logit(model(x1, g1)) for model in models])
    parts = (parts - parts.mean(axis=0)) * np.sqrt((FOLDS - 1) / FOLDS)  # deviations of the grouped jackknife
    half = (parts**2).sum(axis=0) / 2
    return expit(score), lambda w, generator: expit(score - half + generator.standard_normal(FOLDS) @ parts)


def _few_drawn(draw: Callable, y: np.ndarray) -> Callable:
    """As `draw`, where take-ups are few: their weights Exp(1) each, and in every second resample one of Exp(1) more.

    The sum's percentiles are the mid-P interval of a Poisson count, which holds at any, 0 included (Fay & Kim 2017).
    """
    takers = np.flatnonzero(y)

    def few(weight, generator):
        each = generator.standard_exponential(len(takers))
        more = generator.standard_exponential() * (generator.random() < 0.5)
        if not len(takers):
            return np.full_like(draw(weight, generator), more / max(len(y), 1))
        weight = weight.copy()
        weight[takers] = each + more / len(takers)
        return draw(weight, generator)

    return few


def _newton(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    model = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-8).fit(x, y)
    return np.append(model.intercept_, model.coef_)


def _logistic(x, y, group) -> Callable:
    beta = _newton(x, y)
    return lambda new, _: expit(beta[0] + new @ beta[1:])


def _boosted(x, y, group) -> Callable:
    model = HistGradientBoostingClassifier(
        max_leaf_nodes=6,
        max_iter=60,
        learning_rate=0.05,
        min_samples_leaf=min(200, max(5, len(y) // 25)),
        early_stopping=False,
        random_state=0,
    ).fit(x, y)
    return lambda new, _: model.predict_proba(new)[:, 1] if len(new) else np.empty(0)


def _peers(x, y, group) -> Callable:
    return _rates(y, group, np.ones(len(y)), _prior(y, group))


def _rates(y, group, weight, prior: tuple[float, float]) -> Callable:
    """Rates of groups, each mixed with so many customers of the overall rate; a group not there has that alone."""
    rate = np.average(y, weights=weight) if weight.sum() else prior[0]
    every, levels = group[:, 1:].ravel(), group.shape[1] - 1
    n, taken = (np.bincount(every, np.repeat(v, levels)) for v in (weight, weight * y))
    mixed = (taken + prior[1] * rate) / (n + prior[1]) if np.isfinite(prior[1]) else np.full(len(n), rate)
    return lambda _, at: np.append(mixed, rate)[np.minimum(at[:, 0], len(mixed))]


def _prior(y: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """Overall rate, and how many customers of it to mix with each group's own (beta-binomial, by moments)."""
    n, taken, rate = np.bincount(group[:, 0]), np.bincount(group[:, 0], y), y.mean()
    n, taken = n[n > 0], taken[n > 0]
    excess = (n * (taken / n - rate) ** 2).sum() - (len(n) - 1) * rate * (1 - rate)
    between = excess / max(n.sum() - (n**2).sum() / n.sum(), 1e-12)
    return rate, max(rate * (1 - rate) / between - 1, 1.0) if between > 1e-12 and len(n) > 1 else np.inf


def _logit(p: np.ndarray) -> np.ndarray:
    return logit(np.clip(p, 1e-6, 1 - 1e-6))


def _calibration(p: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intercept and slope of what happened on the logit of what was foreseen, with errors; NaN where that is flat."""
    score = _logit(p)
    if not 0 < y.sum() < len(y) or score.std() < 0.05:
        return np.full(2, np.nan), np.full(2, np.nan)
    x = np.column_stack([np.ones(len(y)), score])
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8).fit(x[:, 1:], y)
    beta = np.append(model.intercept_, model.coef_)
    q = expit(x @ beta)
    return beta, np.sqrt(np.diag(np.linalg.inv((x * (q * (1 - q))[:, None]).T @ x)))
