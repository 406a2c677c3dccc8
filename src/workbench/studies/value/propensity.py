"""Who takes up which service? Propensities judged on customers they have not seen, or else the rate of their peers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.special import expit, logit, xlogy
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from workbench.errors import require_columns
from workbench.resampling import Rng, one_thread, seeds
from workbench.studies.trials.members import indicator_columns

EVENTS_PER_FEATURE = 10
FOLDS = 5
PEERS = 30
"""Fewest customers of a group of peers; smaller ones join the group without the last trait."""


@dataclass(frozen=True, eq=False)
class TakeUp:
    """The propensity of one service: how it was found, how well it fits unseen customers, and what it says today.

    `facts` are the columns of the table of services; `now` (n,) the probabilities, 0 for who holds the service or is
    of a segment in which nobody ever did; `draw(weight, generator)` gives them from one resample of the past.
    """

    facts: dict[str, object]
    now: np.ndarray
    draw: object = field(repr=False)
    seen: pd.DataFrame = field(repr=False)


def peer_groups(tables: Sequence[pd.DataFrame], traits: Sequence[str]) -> tuple[list[np.ndarray], list[str]]:
    """Group rows by as many of the traits as leave `PEERS` rows in each table; codes by table, and the groups' names."""
    both = pd.concat([t[list(traits)].astype("str") for t in tables], ignore_index=True)
    name = pd.Series("all", index=both.index)
    finest = both[traits[0]].copy() if traits else name
    table_of = np.repeat(np.arange(len(tables)), [len(t) for t in tables])
    for k in range(len(traits)):
        finest = both[traits[k]] if k == 0 else finest + ", " + both[traits[k]]
        sizes = pd.crosstab(finest, table_of).reindex(columns=range(len(tables)), fill_value=0).min(axis=1)
        name = finest.where(finest.map(sizes) >= PEERS, name)
    codes, names = pd.factorize(name, sort=True)
    return np.split(codes, np.cumsum([len(t) for t in tables])[:-1]), list(names)


def design(past: pd.DataFrame, now: pd.DataFrame, features: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Features for a linear score, scaled by the past: amounts by their logarithm, texts and gaps as indicators."""
    both = pd.concat([past[list(features)], now[list(features)]], ignore_index=True)
    for name in both.select_dtypes("number"):
        both[name] = np.sign(both[name]) * np.log1p(both[name].abs())
    x = np.column_stack([np.ones(len(both)), *indicator_columns(both, features).values()])[:, 1:]
    centre, spread = x[: len(past)].mean(axis=0), x[: len(past)].std(axis=0)
    x = (x - centre)[:, spread > 1e-9] / spread[spread > 1e-9]
    return x[: len(past)], x[len(past) :]


def take_up(service, took, open_past, open_now, x, groups, count, rng: Rng) -> TakeUp:
    """Fit a service's propensity: rate, rate of peers, logistic or boosted trees, whichever foresees unseen customers best.

    Parameters
    ----------
    took, open_past : bool arrays, shape (past,)
        Taken up within the window; not held before it, in a segment where it is held.
    open_now : bool array, shape (n,)
    x, groups : pairs of arrays, past and now
        Scaled features; codes of peer groups.
    """
    y, rows = took[open_past].astype(float), np.flatnonzero(open_past)
    x0, x1, g0, g1 = x[0][rows], x[1][open_now], groups[0][rows], groups[1][open_now]
    keep = x0.std(axis=0) > 1e-9 if len(rows) else np.zeros(x0.shape[1], bool)
    x0, x1 = x0[:, keep], x1[:, keep]
    events, needed = int(min(y.sum(), len(y) - y.sum())), EVENTS_PER_FEATURE * max(x0.shape[1], 1)
    fold = np.empty(len(y), dtype=int)
    for value, seed in zip((0, 1), seeds(rng, 2), strict=True):
        mine = np.flatnonzero(y == value)
        fold[mine] = np.random.default_rng(seed).permutation(len(mine)) % FOLDS
    fits = {"rate": _rate_of_all, "rate of peers": _rate_of_peers}
    why = f"{events:,} take-ups for {x0.shape[1]} features; {needed:,} are needed"
    if events >= needed:
        fits, why = fits | {"logistic": _logistic, "boosted trees": _boosted}, "least loss on unseen customers"
    unseen, models = {}, {}
    with one_thread():
        for name, fit in fits.items():
            unseen[name], models[name] = np.full(len(y), y.mean() if len(y) else 0.0), []
            for k in range(FOLDS) if 0 < events else ():
                out = fold == k
                model = fit(x0[~out], y[~out], g0[~out], count)
                unseen[name][out] = model(x0[out], g0[out])
                models[name].append(model)
        loss = {name: -(xlogy(y, p) + xlogy(1 - y, 1 - p)).mean() if len(y) else 0.0 for name, p in unseen.items()}
        chosen = min(loss, key=lambda name: (round(loss[name], 12), list(fits).index(name)))
        line = _calibration(unseen[chosen], y)
        if chosen in ("logistic", "boosted trees") and line[0][1] - 1.96 * line[1][1] <= 0:
            chosen, why = min(list(fits)[:2], key=loss.__getitem__), "no model calls unseen customers in the right order"
            line = _calibration(unseen[chosen], y)
        now, draw = _today(chosen, line[0], models[chosen], fits[chosen], (x0, y, g0), (x1, g1), count)
    full = np.zeros(len(open_now))
    full[open_now] = now
    base = y.mean() if len(y) else 0.0
    brier, brier_base = (float(((y - p) ** 2).mean()) if len(y) else 0.0 for p in (unseen[chosen], unseen["rate"]))
    facts = {
        "service": service, "asked": len(y), "take_ups": int(y.sum()), "rate": float(base), "learner": chosen, "why": why,
        "slope": line[0][1], "slope_low": line[0][1] - 1.96 * line[1][1], "slope_high": line[0][1] + 1.96 * line[1][1],
        "intercept": line[0][0], "intercept_low": line[0][0] - 1.96 * line[1][0],
        "intercept_high": line[0][0] + 1.96 * line[1][0], "brier": brier, "brier_base": brier_base,
        "open_now": int(open_now.sum()),
    }  # fmt: skip
    seen = pd.DataFrame({"service": service, "foreseen": unseen[chosen], "took": y})

    def resample(weight: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        drawn = np.zeros(len(open_now))
        drawn[open_now] = draw(weight[rows], generator)
        return drawn

    return TakeUp(facts, full, resample, seen)


def _today(chosen, line, models, fit, past, now, count):
    """Probabilities of today's customers, and how they change with the weights of the past's."""
    (x0, y, g0), (x1, g1) = past, now
    if not models or chosen.startswith("rate"):
        p = fit(x0, y, g0, count)(x1, g1) if len(y) else np.zeros(len(x1))
        rates = _prior(y, g0, count) if len(y) else None

        def draw(weight, generator):
            if rates is None:
                return p
            if chosen == "rate":
                return np.full(len(x1), np.average(y, weights=weight) if weight.any() else y.mean())
            taken, n = np.bincount(g0, weight * y, count), np.bincount(g0, weight, count)
            return ((taken + rates[1] * rates[0]) / np.maximum(n + rates[1], 1e-12))[g1] if np.isfinite(rates[1]) else p

        return p, draw
    if chosen == "logistic":
        beta = _newton(x0, y)
        both = np.column_stack([np.ones(len(x1)), x1])
        score = both @ beta
        design_past = np.column_stack([np.ones(len(x0)), x0])
        p0 = expit(design_past @ beta)
        bread = np.linalg.inv((design_past * (p0 * (1 - p0))[:, None]).T @ design_past + np.eye(x0.shape[1] + 1) * _RIDGE)

        def draw(weight, generator):
            return expit(line[0] + line[1] * score + both @ (bread @ (design_past.T @ ((weight - 1) * (y - p0)))))

        return expit(line[0] + line[1] * score), draw
    model = fit(x0, y, g0, count)
    score, parts = _logit(model(x1, g1)), np.stack([_logit(m(x1, g1)) for m in models])
    parts = (parts - parts.mean(axis=0)) * np.sqrt((FOLDS - 1) / FOLDS)  # the grouped jackknife's deviations

    def draw(weight, generator):
        return expit(line[0] + line[1] * score + generator.standard_normal(len(parts)) @ parts)

    return expit(line[0] + line[1] * score), draw


_RIDGE = 1.0


def _newton(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    model = LogisticRegression(C=1 / _RIDGE, solver="newton-cholesky", tol=1e-8).fit(x, y)
    return np.append(model.intercept_, model.coef_)


def _logistic(x, y, group, count):
    beta = _newton(x, y)
    return lambda new, _: expit(beta[0] + new @ beta[1:])


def _boosted(x, y, group, count):
    model = HistGradientBoostingClassifier(
        max_leaf_nodes=6, max_iter=60, learning_rate=0.05, early_stopping=False, random_state=0,
        min_samples_leaf=min(200, max(5, len(y) // 25)),
    ).fit(x, y)  # fmt: skip
    return lambda new, _: model.predict_proba(new)[:, 1] if len(new) else np.empty(0)


def _rate_of_all(x, y, group, count):
    rate = y.mean()
    return lambda new, _: np.full(len(new), rate)


def _rate_of_peers(x, y, group, count):
    rate, strength = _prior(y, group, count)
    n, taken = np.bincount(group, minlength=count), np.bincount(group, y, count)
    rates = (taken + strength * rate) / np.maximum(n + strength, 1e-12) if np.isfinite(strength) else np.full(count, rate)
    return lambda new, at: rates[at]


def _prior(y, group, count) -> tuple[float, float]:
    """Overall rate, and how many customers of it each group's own is mixed with (beta-binomial, by moments)."""
    n, taken, rate = np.bincount(group, minlength=count), np.bincount(group, y, count), y.mean()
    n, taken = n[n > 0], taken[n > 0]
    between = (n * (taken / n - rate) ** 2).sum() - (len(n) - 1) * rate * (1 - rate)
    between /= max(n.sum() - (n**2).sum() / n.sum(), 1e-12)
    return rate, rate * (1 - rate) / between - 1 if between > 1e-12 and len(n) > 1 else np.inf


def _logit(p: np.ndarray) -> np.ndarray:
    return logit(np.clip(p, 1e-6, 1 - 1e-6))


def _calibration(p: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intercept and slope of what happened on the logit of what was foreseen, and their errors; NaN where it is flat."""
    score = _logit(p)
    if len(y) == 0 or y.min() == y.max() or score.std() < 1e-9:
        return np.full(2, np.nan), np.full(2, np.nan)
    x = np.column_stack([np.ones(len(y)), score])
    beta = np.array([0.0, 1.0])
    for _ in range(50):
        q = expit(x @ beta)
        hessian = (x * (q * (1 - q))[:, None]).T @ x + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, x.T @ (y - q))
        beta = beta + step / max(1.0, np.abs(step).max())
        if np.abs(step).max() < 1e-10:
            break
    return beta, np.sqrt(np.diag(np.linalg.inv(hessian)))


def offered(table: pd.DataFrame, past: pd.DataFrame, services: Sequence[str], segment: str | None) -> dict[str, tuple]:
    """By service, who of the past and of today does not hold it and is of a segment in which somebody does or did."""
    require_columns(table, [f"held_{s}" for s in services], "customers")
    require_columns(past, [f"{verb}_{s}" for s in services for verb in ("held", "took")], "past")
    found = {}
    for name in services:
        own = [t[f"held_{name}"].to_numpy(bool) for t in (past, table)]
        took = past[f"took_{name}"].to_numpy(bool)
        if segment is None:
            known = [np.ones(len(t), bool) for t in (past, table)]
        else:
            where = set(past[segment][own[0] | took]) | set(table[segment][own[1]])
            known = [t[segment].isin(where).to_numpy() for t in (past, table)]
        found[name] = (took & ~own[0], ~own[0] & known[0], ~own[1] & known[1])
    return found
