"""Does the effect last? By window of days, with what it brought forward, and what else it did to the customers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
from scipy import stats

from workbench.errors import WorkbenchError
from workbench.figures import Axes, axes, axis_unit
from workbench.messages import Amount, Label, Message, Number, Span, Term, estimated, join, say
from workbench.methods.experiment.effect import Estimate, estimate_effect
from workbench.methods.experiment.events import SINGLE_MEMBER, all_alike, unanswerable
from workbench.methods.experiment.members import arms, numbers, require_members
from workbench.methods.intervals import require_level, share_difference
from workbench.methods.multiple import holm
from workbench.result import Quantity, Result, Tile
from workbench.words import label

_DRAWS = 40_000


@dataclass(frozen=True)
class Guard:
    """What a campaign may not make worse: how much more a member is tolerated, and what one more costs.

    Attributes
    ----------
    margin : float
        Largest tolerable rise, in units of the outcome (for a 0/1 outcome a share: 0.01 is one percentage point).
    cost : float
        Cost of one unit of it: a lost customer, a complaint.
    """

    margin: float
    cost: float = 0.0


@dataclass(frozen=True)
class EffectWindows(Result):
    """Effects by window, what came after the first one, and the guard outcomes.

    Attributes
    ----------
    windows : DataFrame
        One row a window: days, effect (from assignment to that day), se, low, high (simultaneous over the windows),
        then the same for the later part of it: after_first, after_first_low, after_first_high (effect since the end
        of the first window; simultaneous over the parts). Ends are NaN where too few members have an outcome,
        or nothing happened.
    pulled_forward : bool
        The first window rose and a later part fell, both shown at (1 - level).
    pull_p : float
        Of the two together (the larger of the two p values); 1 where it was not tested.
    untested : str
        Why it was not tested whether the effect was brought forward; "" where it was.
    guards : DataFrame
        One row a guard: guard, effect, se, lower, upper (each one-sided at `level`), margin, harm_p (one-sided, Holm
        over the guards), verdict, cost, cost_low, cost_high (per member, two-sided interval). Bounds are NaN, and the
        verdict "cannot be told", where nobody has the outcome and it is no share.
    doubts : tuple of str
        Why the difference of the arms over the longest window is not shown to be an effect; () where it is.
    """

    windows: pd.DataFrame
    pulled_forward: bool
    pull_p: float
    guards: pd.DataFrame
    level: float
    n_treated: int
    n_control: int
    unit: str = ""
    campaign: str = ""
    untested: str = ""
    doubts: tuple[Message, ...] = ()

    NAME, CHART = "windows", say("Dots with intervals over days, joined by a line")
    FORMATS = dict.fromkeys(["effect", "se", "low", "high", "margin"], "{:.3f}")
    CAPTION = "Effect by window, and guards with the rise that would be borne."
    PICTURE_CAPTION = "Effect summed since the start, {unit} per member, with joint intervals."

    @property
    def broken(self) -> list[str]:
        """Guards for which harm is shown."""
        return self.guards.loc[self.guards["verdict"] == "harm", "guard"].tolist()

    def headline(self) -> Message:
        """Say what lasts, whether it was only brought forward, and what was harmed."""
        guards = map(_guarded, self.guards.itertuples())
        if self.doubts:
            return join(say("Not answerable: {reason}.", reason=self.doubts[0]), *guards)
        first, last = self.windows.iloc[0], self.windows.iloc[-1]
        effect: dict[str, Any] = {"days": int(last["days"]), "effect": _said(last, self.unit)}
        if len(self.windows) == 1:
            return join(say("After {days} days the effect is {effect} per member.", **effect), *guards)
        lasts = say(
            "After {days} days the effect is {effect} per member, after {first} days {early}; {fall}.",
            **effect,
            first=int(first["days"]),
            early=_said(first, self.unit),
            fall=self.untested or self._fall(),
        )
        return join(lasts, *guards)

    def _fall(self) -> Message:
        p = Number(self.pull_p, ".2g")
        if self.pulled_forward:
            return say("part of the early effect was only brought forward (p = {p})", p=p)
        return say("no later fall is shown (p = {p})", p=p)

    def tiles(self) -> tuple[Tile, ...]:
        """Give the effect over the longest window, and the two guards that matter most, those broken first."""
        found, last = [], self.windows.iloc[-1]
        if not self.doubts and np.isfinite(last["low"]):
            unit = Term(self.unit or "units of the outcome")
            what = say("effect after {days} days, {unit} a member", days=int(last["days"]), unit=unit)
            found.append(Tile(what, Number(last["effect"], signed=True), Span(last["low"], last["high"])))
        guards = self.guards[~self.guards["verdict"].eq("cannot be told")]
        for row in (
            guards.assign(well=~guards["verdict"].eq("harm")).sort_values("well", kind="stable")[:2].itertuples()
        ):
            rise = say("more {guard} per 100 members", guard=Label(row.guard))
            found.append(Tile(rise, Number(100 * row.effect, signed=True), _bound(row, 100)))
        return tuple(found)

    def summary(self) -> pd.DataFrame:
        """Tabulate windows and guards, one effect a row."""
        windows = self.windows[["days", "effect", "se", "low", "high"]]
        windows.insert(0, "effect of", [say("first {n} days", n=int(days)) for days in windows.pop("days")])
        guards = self.guards[["guard", "effect", "se", "lower", "upper", "margin", "verdict"]]
        return pd.concat(
            [windows, guards.set_axis(["effect of", "effect", "se", "low", "high", "margin", "verdict"], axis=1)]
        )

    def quantities(self) -> Iterable[Quantity]:
        """Name the effect of each window and of each guard."""
        for row in self.windows.dropna(subset=["low", "high"]).itertuples():
            name = f"effect_window{label(self.campaign, days=str(int(row.days)))}"
            if not self.doubts:
                yield Quantity(name, row.effect, self.unit or "1", row.low, row.high)
        for row in self.guards.dropna(subset=["lower", "upper"]).itertuples():
            name = f"guard_effect{label(self.campaign, guard=row.guard)}"
            yield Quantity(name, row.effect, "1", row.lower, row.upper)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the effect by window, with simultaneous intervals."""
        ax = axes(ax)
        days, effect = self.windows["days"], self.windows["effect"]
        ax.axhline(0, color="0.6", linewidth=1)
        ax.errorbar(days, effect, [effect - self.windows["low"], self.windows["high"] - effect], fmt="o-", capsize=3)
        ax.set_xticks(days)
        ax.set_xlabel("days since assignment")
        ax.set_ylabel(say("effect so far per member ({unit})", unit=axis_unit(self.unit)))
        return ax


def effect_windows(
    members: pd.DataFrame,
    *,
    outcomes: Mapping[int, str],
    treatment: str,
    covariates: Sequence[str] = (),
    guards: Mapping[str, Guard] | None = None,
    level: float = 0.95,
    unit: str = "",
    campaign: str = "",
) -> EffectWindows:
    """Estimate a campaign's effect by window of days, and whether what came first was taken from what came later.

    Parameters
    ----------
    members : DataFrame
        One row a member; both arms.
    outcomes : mapping of int to str
        Days since assignment, and the column of the outcome summed from assignment to that day.
    treatment : str
        Column of 0/1, booleans, or names of two arms of which one is "control".
    covariates : sequence of str
        Known before assignment; adjusted for (Lin). The outcome's own past takes most of the variance away.
    guards : mapping of str to Guard, optional
        Columns of which more is worse (opted_out, complaints, churned), each with its margin.
    level : float
        Coverage of all windows together, 0-1.

    Raises
    ------
    WorkbenchError
        If a column is missing or has gaps, a margin is not above 0, or no window is given.
    CannotAnswer
        If an arm has fewer than 2 members, or an outcome is the same for all.

    References
    ----------
    Lin (2013), AOAS 7. Hothorn, Bretz and Westfall (2008), Simultaneous inference, Biometrical Journal 50.
    Berger (1982), Intersection-union tests, Technometrics 24.
    """
    guards = dict(guards or {})
    if not outcomes:
        raise WorkbenchError("outcomes is empty: give days and columns, for instance {{30: 'revenue_30'}}.").of()
    slack = [name for name, guard in guards.items() if not guard.margin > 0]
    if slack:
        raise WorkbenchError("the margin of {names} is not above 0: say how much more is tolerable.").of(slack)
    require_level(level)
    days, treated = sorted(outcomes), arms(members, treatment)
    require_members(members, [*outcomes.values(), *covariates, *guards])
    if min(treated.sum(), (~treated).sum()) < 2:
        raise unanswerable(SINGLE_MEMBER)
    how = {"treatment": treatment, "covariates": covariates}
    table = members[list(dict.fromkeys([treatment, *covariates]))].copy()
    ends = [numbers(members, outcomes[day]) for day in days]
    found = [_estimate(table, y, name, how) for y, name in zip(ends, (outcomes[d] for d in days), strict=True)]
    if found[-1] is None:
        raise unanswerable(all_alike(outcomes[days[-1]], len(members)))
    parts = [_estimate(table, y - ends[0], f"after day {days[0]}", how) for y in ends[1:]]
    draws = np.random.default_rng(0)
    rows = pd.DataFrame({"days": days})
    rows[["effect", "se", "low", "high"]] = _together(found, level, draws)
    later = _together(parts, level, draws) if parts else np.empty((0, 4))
    rows[["after_first", "after_first_low", "after_first_high"]] = np.vstack(
        [np.full((1, 3), np.nan), later[:, [0, 2, 3]]]
    )
    p, untested = _forward(found[0], parts, days[0], draws)
    tests = _guards(
        guards,
        [(numbers(members, name), _estimate(table, numbers(members, name), name, how)) for name in guards],
        treated,
        level,
    )
    counts = int(treated.sum()), int((~treated).sum())
    shown = not untested and float(f"{p:.2g}") < 1 - level
    return EffectWindows(rows, shown, p, tests, level, *counts, unit, campaign, untested, found[-1].doubts)


def _estimate(table: pd.DataFrame, y: np.ndarray, name: str, how: dict) -> Estimate | None:
    """Effect on one outcome before a level is chosen; None where it is the same for all."""
    return None if (y == y[0]).all() else estimate_effect(table.assign(**{name: y}), outcome=name, **how)


def _told(found: Estimate | None) -> TypeGuard[Estimate]:
    return found is not None and not found.doubts


def t_draws(covariance: np.ndarray, df: float, rng: np.random.Generator) -> np.ndarray:
    """Multivariate t of the standardised effects, shape (draws, q)."""
    scale = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    z = rng.standard_normal((_DRAWS, len(scale))) @ (vectors * np.sqrt(np.maximum(values, 0))).T
    return z / np.sqrt(rng.chisquare(df, (_DRAWS, 1)) / df)


def _errors(found: list[Estimate]) -> tuple[np.ndarray, float]:
    """Covariance of several effects on the same members, and the fewest degrees of freedom."""
    errors = np.column_stack([np.subtract(*estimate.means.parts()) for estimate in found])
    return errors.T @ errors, min(estimate.errors.df for estimate in found)


def _together(found: list[Estimate | None], level: float, rng: np.random.Generator) -> np.ndarray:
    """Effect, standard error and ends of intervals that hold for all effects at once, shape (effects, 4).

    Each interval is that of `average_effect`, at the level at which all hold together (max-t). An outcome that is the
    same for all has effect 0 and no interval.
    """
    rows = np.full((len(found), 4), np.nan)
    told = {k: estimate for k, estimate in enumerate(found) if _told(estimate)}
    joint = level
    if len(told) > 1:
        covariance, df = _errors(list(told.values()))
        if (np.diag(covariance) > 0).all():
            furthest = np.abs(t_draws(covariance, df, rng)).max(axis=1)
            joint = max(level, 1 - 2 * float(stats.t.sf(np.quantile(furthest, level), df)))
    for k, estimate in enumerate(found):
        rows[k, :2] = (
            (0.0, 0.0)
            if estimate is None
            else (estimate.means.treated - estimate.means.control, np.sqrt(estimate.errors.variance[2]))
        )
        if k in told:
            rows[k, 2:] = told[k].interval(joint)[:2]
    return rows


def _one_sided(estimate: Estimate, level: float, sign: int) -> float:
    """p value that the effect is not on the side of `sign`."""
    p = estimate.interval(level)[2]
    rises = sign * (estimate.means.treated - estimate.means.control) > 0
    return p / 2 if rises else 1 - p / 2


def _forward(
    first: Estimate | None, parts: list[Estimate | None], day: int, rng: np.random.Generator
) -> tuple[float, Message]:
    """p value that the first window rose and a later part fell, or why it was not tested."""
    if not parts:
        return 1.0, say("one window alone does not tell what was brought forward")
    if all(part is None for part in parts):
        return 1.0, say("nothing happened after day {day}, so no later fall is shown", day=day)
    told = [part for part in parts if _told(part)]
    if not _told(first):
        return 1.0, say(
            "too few members have an outcome until day {day} to tell whether the effect was brought forward", day=day
        )
    if not told:
        return 1.0, say(
            "too few members have an outcome after day {day} to tell whether the effect was brought forward", day=day
        )
    fell = min(_one_sided(part, 0.95, -1) for part in told)
    if len(told) > 1:
        covariance, df = _errors(told)
        if (np.diag(covariance) > 0).all():
            below = (t_draws(covariance, df, rng).min(axis=1) <= stats.t.ppf(fell, df)).sum()
            fell = max(fell, float((below + 1) / (_DRAWS + 1)))
    return float(max(_one_sided(first, 0.95, 1), fell)), say("")


def _guards(
    guards: dict[str, Guard], found: list[tuple[np.ndarray, Estimate | None]], treated: np.ndarray, level: float
) -> pd.DataFrame:
    names = list(guards)
    margin = np.array([guards[name].margin for name in names])
    cost = np.array([guards[name].cost for name in names])
    rows = np.array([_bounds(y, estimate, treated, level) for y, estimate in found]).reshape(len(names), 7)
    effect, se, lower, upper, p, low, high = rows.T
    harm = holm(p)
    worse, within = harm < 1 - level, upper < margin
    verdicts = np.select(
        [np.isnan(upper), worse & within, worse, within],
        ["cannot be told", "worse, but within the margin", "harm", "no worse than the margin"],
        "not shown",
    )
    return pd.DataFrame(
        {
            "guard": names,
            "effect": effect,
            "se": se,
            "lower": lower,
            "upper": upper,
            "margin": margin,
            "harm_p": harm,
            "verdict": verdicts,
            "cost": cost * effect,
            "cost_low": cost * low,
            "cost_high": cost * high,
        }
    )


def _bounds(y: np.ndarray, found: Estimate | None, treated: np.ndarray, level: float) -> tuple[float, ...]:
    """Effect, error, one-sided bounds, p value of no harm, and two-sided interval of a guard outcome."""
    if found is not None:
        effect, se = found.means.treated - found.means.control, float(np.sqrt(found.errors.variance[2]))
        rare = found.binary and found.doubts  # a share has bounds at any count, adjusted or not
        if not rare:
            return (
                effect,
                se,
                *found.interval(2 * level - 1)[:2],
                _one_sided(found, level, 1),
                *found.interval(level)[:2],
            )
    elif y[0] not in (0.0, 1.0):
        return 0.0, 0.0, np.nan, np.nan, 1.0, np.nan, np.nan
    counts = y[treated].sum(), treated.sum(), y[~treated].sum(), (~treated).sum()
    effect = counts[0] / counts[1] - counts[2] / counts[3]
    lower, upper, _ = share_difference(*counts, level=2 * level - 1)
    low, high, p = share_difference(*counts, level=level)
    p = p / 2 if effect > 0 else 1 - p / 2
    return effect, (0.0 if found is None else se), *map(float, (lower, upper, p, low, high))


def _guarded(row: Any) -> Message:
    """Say a guard's verdict with the bound it rests on."""
    verdict = Term(row.verdict)
    if row.verdict == "cannot be told":
        return say("{guard}: {verdict}.", guard=Label(row.guard), verdict=verdict)
    return say(
        "{guard}: {verdict}, {effect} per member ({bound}; margin {margin}).",
        guard=Label(row.guard),
        verdict=verdict,
        effect=Number(row.effect, signed=True),
        bound=_bound(row),
        margin=Number(row.margin, "g"),
    )


def _bound(row: Any, of: int = 1) -> Message:
    """Say the bound that a guard's verdict rests on, of so many members."""
    if row.verdict in ("harm", "worse, but within the margin"):
        return say("at least {n}", n=Number(of * row.lower))
    return say("at most {n}", n=Number(of * row.upper))


def _said(row: pd.Series, unit: str) -> Message:
    effect = Amount(row["effect"], unit=unit, signed=True)
    if np.isnan(row["low"]):
        return say("{effect} (too few outcomes for an interval)", effect=effect)
    return estimated(effect, row["low"], row["high"])
