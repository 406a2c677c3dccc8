"""The formula is fitted: facts become terms, terms get coefficients, and a later month calibrates and tests them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.tree import DecisionTreeClassifier

from workbench.columns import flag, kind, require_table
from workbench.errors import CannotAnswer, WorkbenchError, unknown
from workbench.messages import Label, Message, say
from workbench.methods.ranking import auc
from workbench.methods.regression import logistic, repeated
from workbench.methods.resampling import canonical_order, one_thread
from workbench.methods.scorecard import evidence
from workbench.studies.churn.formula import CARD, JUDGED, ChurnFormula
from workbench.studies.churn.leaks import by_content, refuse_leaks
from workbench.studies.churn.terms import (
    OURS,
    SEGMENT,
    Facts,
    FormulaTerm,
    alike,
    cut_points,
    month_starts,
    of_category,
    of_number,
    of_tree,
    read_facts,
    told_in,
    with_reference,
)

Form = Literal["bins", "hinges", "straight"]
EVENTS_PER_TERM = 10
FOLDS = 5
FEWEST_TO_CALIBRATE, FEWEST_FOR_SLOPE = 10, 50
_LEVEL_ROWS = 30
_NOT_JUDGED = pd.DataFrame(columns=list(JUDGED), dtype=float)
_FAR = 12.0
_BOOSTING = {"learning_rate": 0.05, "max_iter": 150, "max_leaf_nodes": 8, "min_samples_leaf": 40}


@dataclass(frozen=True)
class _Plan:
    """How facts become terms."""

    form: Form
    bins: int
    cuts: Mapping[str, Sequence[float]]
    segments: int


def churn_formula(
    panel: pd.DataFrame,
    *,
    features: Sequence[str],
    left: str = "left",
    customer: str = "customer_id",
    month: str | None = "month",
    horizon: int = 1,
    form: Form = "bins",
    bins: int = 4,
    cuts: Mapping[str, Sequence[float]] | None = None,
    segments: int = 16,
    rival: Literal["boosting", "none"] = "boosting",
    set_on: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    currency: str = "currency",
    seed: int = 0,
) -> ChurnFormula:
    """Fit the formula to all months but the last two, calibrate it on the one, test it on the other.

    Parameters
    ----------
    panel : DataFrame
        One row a customer and month start: `features` as known then, and whether they left within `horizon` months
        (a panel of `churn_panel`). A snapshot has one month, or `month=None`: there the formula is fitted to all rows
        and not calibrated, and what it reaches is found in five folds.
    horizon : int
        Months. The calibration is the last month whose outcome was known when that of the test began.
    form : {"bins", "hinges", "straight"}
        Of numbers: `bins` of like size, a line that may bend at their ends, or a line.
    bins, segments : int
        At most; fewer where a term would have fewer than 10 departures. Segments are the leaves of one small tree.
    cuts : mapping of str to sequence of float, optional
        Ends of the bins of a number, each the least value of the bin above.
    rival : {"boosting", "none"}
        What the formula is held against.
    set_on : mapping of str to str, optional
        For a feature the column with the day on which it was set, which must be before the month start.
    units : mapping of str to str, optional
        Of the features as declared: shares and money (a unit that begins with currency) are said as such.

    Raises
    ------
    WorkbenchError
        If a column is missing or of another kind, or a customer stands twice in a month.
    CannotAnswer
        If nobody left or nobody stayed, a feature knows the outcome (alone it orders departures with AUC over .95, or
        was set on the month start or later), a term has fewer than 10 departures, or the months do not do.

    Notes
    -----
    A bin, level or segment without leavers (or stayers) gets half a leaver and half a stayer; facts that do not vary,
    and terms that others add up to, are left out, and `left_out` says so. Errors have customers as clusters where any
    stands in more than one row.

    References
    ----------
    Siddiqi (2017), Intelligent Credit Scoring (points). Liang & Zeger (1986), Biometrika 73 (errors by cluster).
    """
    if form not in ("bins", "hinges", "straight") or rival not in ("boosting", "none"):
        raise WorkbenchError("form='{form}', rival='{rival}': give one that the parameters name.").of(form, rival)
    if min(bins, segments + 1, horizon) < 1:
        raise WorkbenchError(
            "bins={bins}, segments={segments}, horizon={horizon}: give 1 or more (segments 0 or more)."
        ).of(bins, segments, horizon)
    given, late = {*(cuts or {}), *(set_on or {})}, set_on or {}
    plan = _Plan(form, bins, cuts or {}, segments)
    read = _read(panel, features, given, [customer, left, *([month] if month else []), *late.values()], month)
    refuse_leaks(read.facts, read.y, panel, month, late)
    rows = _parts(read.starts, read.when, horizon)
    found = _fit(read, rows, plan, horizon, units or {}, currency)
    judged = _held_out(found, read, rows, plan, rival, seed)
    looked = _at(read.facts, rows[0] if rows[2] is None else rows[2])
    same = {
        f: say("{fact}: the same for all, or known of none", fact=Label(f)) for f in features if f not in read.facts
    }
    return replace(found, judged=judged, rounding=_rounding(found, looked), left_out={**same, **found.left_out})


@dataclass(frozen=True)
class _Read:
    """A panel as it is fitted: facts in their order, who left, who is who, months and their places."""

    facts: Facts
    y: np.ndarray
    who: np.ndarray
    starts: pd.Series | None
    when: np.ndarray


_Rows = tuple[np.ndarray, np.ndarray, np.ndarray | None]


def _read(
    panel: pd.DataFrame, features: Sequence[str], given: Collection[str], asked: list[str], month: str | None
) -> _Read:
    """Read the panel, and refuse what is no panel; `asked` begins with the customer and who left."""
    customer, left, chosen = *asked[:2], list(dict.fromkeys(features))
    require_table(panel, [*asked, *chosen], "the panel")
    if odd := {*given} - {*chosen}:
        raise unknown("feature", min(odd), chosen)
    if taken := (OURS | {customer}) & {*chosen}:
        raise WorkbenchError("the feature '{name}' has a name that the formula needs itself: rename the column.").of(
            min(taken)
        )
    y = flag(panel[left], left)
    who = pd.factorize(panel[customer])[0]
    starts = month_starts(panel[month], month) if month else None
    when = np.zeros(len(panel), int) if starts is None else pd.factorize(starts, sort=True)[0]
    if min(who.min(), when.min()) < 0 or np.bincount(who * (when.max() + 1) + when).max() > 1:
        raise WorkbenchError(
            "the panel has a gap in '{customer}' or month, or a customer twice in one: give one row."
        ).of(customer)
    if y.all() or not y.any():
        raise CannotAnswer(
            say("not answerable: of {n} customer-months {left} ended in leaving.", n=len(y), left=int(y.sum()))
        )
    texts = [f for f in chosen if kind(panel[f], f) == "category"]
    facts = read_facts(panel, [f for f in chosen if f not in texts], texts, "the panel")
    facts = {f: facts[f] for f in by_content(facts, y)}
    if not facts:
        raise CannotAnswer(say("not answerable: no feature varies."))
    return _Read(facts, y, who, starts, when)


def _fit(read: _Read, rows: _Rows, plan: _Plan, horizon: int, units: Mapping[str, str], currency: str) -> ChurnFormula:
    """Fit to the first rows, calibrate to the second."""
    fit, calibrate, _ = rows
    known, y = _at(read.facts, fit), read.y
    terms, aside = _design(known, y[fit], plan)
    parts, intercept = _estimate(terms, known, y[fit], read.who[fit], aside, told_in(units, currency))
    seen = () if read.starts is None else (read.starts[fit].min(), read.starts[calibrate].max())
    found = ChurnFormula(
        parts=parts,
        intercept=intercept,
        numbers=tuple(f for f, v in read.facts.items() if v.dtype.kind == "f"),
        categories=tuple(f for f, v in read.facts.items() if v.dtype.kind != "f"),
        horizon=horizon,
        months=float(horizon),
        rows=int(fit.sum()),
        left=int(y[fit].sum()),
        customers=int(np.count_nonzero(np.bincount(read.who[fit]))),
        judged=_NOT_JUDGED,
        left_out=aside,
        units=dict(units),
        currency=currency,
        information=_information(parts, known, y[fit]),
        fitted=tuple(f"{month:%Y-%m}" for month in seen),
    )
    return _calibrated(found, _at(read.facts, calibrate), y[calibrate], fitted=calibrate is fit)


def _held_out(found: ChurnFormula, read: _Read, rows: _Rows, plan: _Plan, rival: str, seed: int) -> pd.DataFrame:
    """Judge formula and rival on the last month, or those of a snapshot in folds."""
    fit, _, test = rows
    if test is None:
        return _judged(read.y, _crossed(read.facts, read.y, plan, seed)) if rival == "boosting" else _NOT_JUDGED
    unseen = _at(read.facts, test)
    scores = [found._within(found.logit(unseen))]
    if rival == "boosting":
        scores.append(_boosted(_at(read.facts, fit), read.y[fit], unseen, seed))
    return _judged(read.y[test], scores)


def _at(facts: Facts, rows: np.ndarray) -> Facts:
    return facts if rows.all() else {name: values[rows] for name, values in facts.items()}


def _parts(months: pd.Series | None, when: np.ndarray, horizon: int) -> _Rows:
    """Rows to fit, to calibrate and to test on."""
    every = np.ones(len(when), bool)
    if months is None or not when.any():
        return every, every, None
    last = when.max()
    starts = pd.PeriodIndex(np.sort(months.unique()), freq="M")
    known = np.flatnonzero(starts + horizon <= starts[-1])
    if len(known) < 2:
        raise CannotAnswer(
            say(
                "not answerable: of {n} months of the panel {known} had ended in an outcome when the last began. Two "
                "are needed, to fit and to calibrate; or give one month, a snapshot.",
                n=len(starts),
                known=len(known),
            )
        )
    return when < known[-1], when == known[-1], when == last


def _design(facts: Facts, y: np.ndarray, plan: _Plan) -> tuple[list[FormulaTerm], dict[str, Message]]:
    """Turn facts into terms, as many as there are departures for."""
    events, aside = int(min(y.sum(), (~y).sum())), {}
    budget, fewest = events // EVENTS_PER_TERM, max(_LEVEL_ROWS, int(EVENTS_PER_TERM / y.mean()))
    for bins in range(1 if plan.form == "straight" else plan.bins, 0, -1):
        found: list[FormulaTerm] = []
        for fact, values in facts.items():
            if values.dtype.kind != "f":
                terms = of_category(fact, values, fewest)
            elif fact in plan.cuts:
                terms = of_number(fact, "bins", plan.cuts[fact])
            elif bins == 1 or plan.form == "straight":
                terms = of_number(fact, "straight", ())
            else:
                terms = of_number(fact, plan.form, cut_points(values, bins))
            found += with_reference(terms, facts, y)
        known = {f for f, values in facts.items() if values.dtype.kind == "f" and not np.isnan(values).any()}
        count = sum(not term.reference and not (term.gap and term.fact in known) for term in found)
        if count <= budget:
            break
    else:
        raise CannotAnswer(
            say(
                "not answerable: {events} departures (or stays) for {terms} terms; {least} a term are needed. Name "
                "fewer features, or take more months.",
                events=events,
                terms=count,
                least=EVENTS_PER_TERM,
            )
        )
    if bins < plan.bins and plan.form != "straight":
        aside["bins"] = say("{n} bins a fact: more would have too few departures a term", n=bins)
    leaves = min(plan.segments, budget - count + 1)
    return found + (_segments(facts, y, leaves) if leaves > 1 else []), aside


def _information(parts: tuple[FormulaTerm, ...], facts: Facts, y: np.ndarray) -> dict[str, float]:
    """Information value of each fact in bins or levels, half a one added where a bin lacks leavers or stayers."""
    found: dict[str, float] = {}
    for name in dict.fromkeys(t.fact for t in parts if t.reference):
        codes = np.argmax([term(facts) for term in parts if term.fact == name], axis=0)
        value = evidence(codes, y)["information"].sum()
        found[name] = float(value if np.isfinite(value) else evidence(codes, y, add=0.5)["information"].sum())
    return found


def _segments(facts: Facts, y: np.ndarray, leaves: int) -> list[FormulaTerm]:
    """The leaves of one small tree over all facts; a gap goes with the median."""
    columns, questions = [], []
    for fact, values in facts.items():
        if values.dtype.kind == "f":
            known = values[~np.isnan(values)]
            median = float(np.median(known)) if len(known) else 0.0
            columns.append(np.where(np.isnan(values), median, values))
            questions.append((fact, None, median))
        else:
            for level in sorted({v for v in values if v is not None}):
                columns.append((values == level).astype(float))
                questions.append((fact, level, 0.0))
    least = max(20, int(np.ceil(EVENTS_PER_TERM / 2 / y.mean())))
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, min_samples_leaf=min(least, len(y) // 2 or 1), random_state=0)
    return with_reference(of_tree(tree.fit(np.column_stack(columns), y).tree_, questions, facts), facts, y)


def _estimate(
    parts: list[FormulaTerm], facts: Facts, y, who, aside: dict[str, Message], told: Mapping[str, str]
) -> tuple[tuple[FormulaTerm, ...], float]:
    """Coefficients by maximum likelihood; of a gap or level that the fit has not seen, that of the mean."""
    gaps = {f for f, values in facts.items() if values.dtype.kind != "f" or np.isnan(values).any()}
    counted = {k: t(facts) for k, t in enumerate(parts) if not (t.gap and t.fact not in gaps)}
    means = {k: float(values.mean()) for k, values in counted.items()}
    places = [k for k in counted if not parts[k].reference and counted[k].any()]
    x = np.column_stack([counted[k] for k in places])
    if (again := repeated(x)).any():
        for k in np.array(places)[again]:
            if parts[k].fact != SEGMENT:
                aside[parts[k].fact] = say("{term}: other terms add up to it", term=parts[k].said(told))
        x, places = x[:, ~again], list(np.array(places)[~again])
    flags, there = np.array([parts[k].knot is None for k in places]), x != 0
    events, rows = there[y].sum(axis=0), there.sum(axis=0)
    sure = (events == 0) | (events == rows)
    clusters = who if np.bincount(who).max() > 1 else None
    beta, cov = _fitted(x, y, clusters, sure)
    if (flags & ~sure & (np.abs(beta[1:]) > _FAR)).any():  # combinations that tell the outcome for sure
        beta, cov = _fitted(x, y, clusters, flags | sure)
    if sure.any():
        aside["without"] = say("{n} terms: no leaver or no stayer, half a one of each added", n=int(sure.sum()))
    found = [replace(term, mean=means.get(k, 0.0)) for k, term in enumerate(parts)]
    for k, b, se in zip(places, beta[1:], np.sqrt(np.diag(cov))[1:], strict=True):
        found[k] = replace(found[k], coefficient=float(b), se=float(se))
    for k, term in enumerate(parts):
        own = [t for t in found if t.fact == term.fact and not t.gap]
        if term.gap and term.fact not in gaps:
            middle = {term.fact: np.array([facts[term.fact].mean()])}
            found[k] = replace(term, coefficient=float(sum(t.coefficient * t(middle)[0] for t in own)))
        elif term.fact != SEGMENT and facts[term.fact].dtype.kind != "f" and not counted[k].any():
            found[k] = replace(term, coefficient=float(sum(t.coefficient * t.mean for t in own)))
    return tuple(found), float(beta[0])


def _fitted(x: np.ndarray, y: np.ndarray, clusters, halves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit with half a leaver and half a stayer more in the terms marked, alike its customers in all else."""
    weights = None
    if halves.any():
        more = np.array([x[x[:, k] != 0].mean(axis=0) for k in np.flatnonzero(halves)])
        weights = np.r_[np.ones(len(y)), np.full(2 * len(more), 0.5)]
        x, y = np.vstack([x, more, more]), np.r_[y, np.ones(len(more), bool), np.zeros(len(more), bool)]
        if clusters is not None:
            clusters = np.r_[clusters, clusters.max() + 1 + np.arange(2 * len(more))]
    with one_thread():
        return logistic(x, y, weights=weights, clusters=clusters)


def _calibrated(found: ChurnFormula, facts: Facts, y: np.ndarray, *, fitted: bool) -> ChurnFormula:
    """Move level and slope to the calibration month; keep the tenths of the score and of the numbers there."""
    logit = found.logit(facts)
    weight = expit(logit) * (1 - expit(logit))
    level, slope, centre = 0.0, 1.0, float(weight @ logit / weight.sum())
    if not fitted:
        if min(y.sum(), (~y).sum()) < FEWEST_TO_CALIBRATE:
            raise CannotAnswer(
                say(
                    "not answerable: {n} left in the month that calibrates the formula; {least} are needed. Take more "
                    "customers or a longer horizon.",
                    n=int(y.sum()),
                    least=FEWEST_TO_CALIBRATE,
                )
            )
        if y.sum() >= FEWEST_FOR_SLOPE:
            (_, slope), _ = logistic((logit - centre)[:, None], y)
            if not slope > 0:
                raise CannotAnswer(say("not answerable: in the month that calibrates it the formula orders nobody."))
        for _ in range(50):
            p = expit(level + slope * (logit - centre) + centre)
            step = (y - p).sum() / (p * (1 - p)).sum()
            level += step
            if abs(step) < 1e-12:
                break
        slope = float(slope)
        shift = level + centre * (1 - slope)
        moved = tuple(replace(t, coefficient=t.coefficient * slope, se=t.se * slope) for t in found.parts)
        found = replace(found, parts=moved, intercept=float(found.intercept * slope + shift))
        logit = found.logit(facts)
        weight = expit(logit) * (1 - expit(logit))
    spread = weight @ (logit - weight @ logit / weight.sum()) ** 2
    tenths = {"score": alike(logit), **{f: facts[f][~np.isnan(facts[f])] for f in found.numbers}}
    return replace(
        found,
        level=float(level),
        level_se=float(weight.sum() ** -0.5),
        slope=slope,
        slope_se=float(spread**-0.5) if spread > 0 else 0.0,
        tenths={f: _tenths(v) for f, v in tenths.items() if len(v)},
    )


def _tenths(values: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    ends = np.unique(np.quantile(values, np.arange(1, 10) / 10))
    counts = np.bincount(np.searchsorted(ends, values, side="right"), minlength=len(ends) + 1)
    return tuple(map(float, ends)), tuple(map(float, counts))


def _boosted(facts: Facts, y: np.ndarray, unseen: Facts, seed: int) -> np.ndarray:
    """What boosting says of unseen rows."""
    columns: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for fact, values in facts.items():
        if values.dtype.kind != "f":
            names = pd.Index(sorted({v for v in values if v is not None})[:250])
        for side, part in enumerate((values, unseen[fact])):
            codes = part if part.dtype.kind == "f" else np.where((at := names.get_indexer(part)) < 0, np.nan, at)
            columns[side].append(codes)
    nominal = [values.dtype.kind != "f" for values in facts.values()]
    model = HistGradientBoostingClassifier(
        **_BOOSTING, early_stopping=False, categorical_features=nominal, random_state=seed
    )
    with one_thread():
        return model.fit(np.column_stack(columns[0]), y).predict_proba(np.column_stack(columns[1]))[:, 1]


def _crossed(facts: Facts, y: np.ndarray, plan: _Plan, seed: int) -> list[np.ndarray]:
    """What formula and boosting say of each row, fitted to the other folds; the folds go by content, not by order."""
    order = canonical_order(pd.DataFrame({**facts, "left of the row": y}))
    own, rival = np.zeros(len(y)), np.zeros(len(y))
    if min(y.sum(), (~y).sum()) < FOLDS:
        raise CannotAnswer(say("not answerable: {n} left, too few for {folds} folds.", n=int(y.sum()), folds=FOLDS))
    for rest, held in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(order, y[order]):
        rest, held = np.sort(order[rest]), np.sort(order[held])
        known, unseen = ({f: v[rows] for f, v in facts.items()} for rows in (rest, held))
        terms, _ = _design(known, y[rest], plan)
        parts, intercept = _estimate(terms, known, y[rest], np.arange(len(rest)), {}, {})
        own[held] = expit(intercept + sum(t.coefficient * t(unseen) for t in parts))
        rival[held] = _boosted(known, y[rest], unseen, seed)
    return [own, rival]


def _judged(y: np.ndarray, scores: list[np.ndarray]) -> pd.DataFrame:
    """AUC and Brier of each, and what the second has more, with intervals."""
    if y.all() or not y.any():
        raise CannotAnswer(
            say("not answerable: of {n} customers of the test month {left} left.", n=len(y), left=int(y.sum()))
        )
    found = [(*auc(y, score), float(np.mean((score - y) ** 2))) for score in scores]
    if len(found) == 2:
        own, rival = found
        found.append((rival[0] - own[0], rival[1] - own[1], rival[2] - own[2]))
    rows = {
        name: (value, value - 1.959964 * (se := float(np.sqrt((influence**2).sum()))), value + 1.959964 * se, brier)
        for name, (value, influence, brier) in zip(("formula", "boosting", "price"), found, strict=False)
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(JUDGED))


def _rounding(found: ChurnFormula, facts: Facts) -> float:
    """Largest change of a probability where what each term adds is rounded to whole points of 20 / ln 2."""
    whole = CARD.probability(found.points_of(facts, CARD, whole=True))
    return float(np.abs(whole - expit(found.logit(facts))).max())
