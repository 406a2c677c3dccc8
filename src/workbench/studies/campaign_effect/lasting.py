"""Do contacted customers stay longer, and does a contact still work after so many others?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight

from workbench.errors import CannotAnswer, WorkbenchError, require_columns
from workbench.figures import Axes, axes, legend
from workbench.messages import Amount, Message, Number, Term, estimated, say
from workbench.methods.experiment.effect import Interval, average_effect
from workbench.methods.experiment.events import FEWEST_EVENTS, Outcome, counts, too_few
from workbench.methods.experiment.members import arms, independent, indicator_columns, numbers
from workbench.methods.intervals import Mean, expected_events, mean_difference, require_level, share_difference
from workbench.result import Quantity, Result
from workbench.words import direction, label

FEWEST_LEFT = 10
FEWEST_DOSED = 50
ALARM = 0.001
_WEARING = {
    -1: say("Each earlier contact wears the effect down"),
    0: say("Each earlier contact does not change the effect significantly"),
    1: say("Each earlier contact raises the effect"),
}


@dataclass(frozen=True)
class Staying(Result):
    """Share of each arm that is still a customer, day by day.

    Attributes
    ----------
    curves : DataFrame
        One row an arm and day of a departure: arm ("treated", "control"), day, share, se.
    kept : Interval
        Difference of the shares still there at the horizon (treated - control).
    days_gained : Interval
        Difference of the mean days as a customer within the horizon (restricted mean).
    horizon : int
        Days.
    """

    curves: pd.DataFrame
    kept: Interval
    days_gained: Interval
    horizon: int
    level: float
    campaign: str = ""

    NAME, CHART = "staying", say("Two falling steps with bands")
    PICTURE_CAPTION = "Share still customers by days since assignment, treated and control, with {level} intervals."

    def headline(self) -> Message:
        """Say how many more stay, and for how long."""
        kept = estimated(Amount(self.kept.estimate, binary=True, signed=True), self.kept.low, self.kept.high)
        days, shown = self.days_gained, direction(100 * self.kept.low, 100 * self.kept.high)
        return say(
            "Treated less control, still customers after {days} days: {kept}; mean days as a customer until then: "
            "{gained}.",
            days=self.horizon,
            kept=kept if shown else say("{effect}, not significant", effect=kept),
            gained=estimated(Amount(days.estimate, signed=True), days.low, days.high),
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate both differences."""
        rows = [("still a customer", "percentage points", self.kept), ("days as a customer", "days", self.days_gained)]
        times = {"percentage points": 100, "days": 1}
        return pd.DataFrame(
            [(name, unit, *(times[unit] * n for n in (of.estimate, of.low, of.high))) for name, unit, of in rows],
            columns=["difference of", "unit", "value", "low", "high"],
        )

    def quantities(self) -> Iterable[Quantity]:
        """Name both differences."""
        where = label(self.campaign, days=str(self.horizon))
        yield Quantity(f"kept{where}", self.kept.estimate, "share", self.kept.low, self.kept.high)
        gained = self.days_gained
        yield Quantity(f"days_gained{where}", gained.estimate, "days", gained.low, gained.high)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves of both arms with their bands."""
        ax = axes(ax)
        z = stats.norm.isf((1 - self.level) / 2)
        for arm, curve in self.curves.groupby("arm"):
            line = ax.step(curve["day"], curve["share"], where="post", label=arm)[0]
            ends = curve["share"] - z * curve["se"], curve["share"] + z * curve["se"]
            ax.fill_between(curve["day"], *ends, step="post", alpha=0.2, linewidth=0, color=line.get_color())
        ax.set_xlabel("days since assignment")
        ax.set_ylabel("share still customers")
        legend(ax)
        return ax


def staying(
    members: pd.DataFrame,
    *,
    days: str,
    left: str,
    treatment: str,
    horizon: int,
    level: float = 0.95,
    campaign: str = "",
) -> Staying:
    """Compare how long the arms stay (Kaplan and Meier), by assignment.

    Parameters
    ----------
    members : DataFrame
        One row a member; both arms.
    days : str
        Column: days from assignment to departure, or to the end of what is known.
    left : str
        Column: 1 where the member left, 0 where not (yet).
    treatment : str
        Column of 0/1, booleans, or names of two arms of which one is "control".
    horizon : int
        Day at which the arms are compared; both must be known that long.

    Raises
    ------
    WorkbenchError
        If a column is missing or out of range.
    CannotAnswer
        If fewer than 10 would have left the smaller arm by the horizon at the rate of both, or nobody of an arm is
        known up to it.

    References
    ----------
    Kaplan and Meier (1958), JASA 53. Royston and Parmar (2013), BMC Medical Research Methodology 13. Shares are
    compared by their score interval (Miettinen and Nurminen 1985) at the number of members whose share without open
    ends would have Greenwood's variance; days lost as `mean_difference` compares amounts.
    """
    treated, time, event = arms(members, treatment), numbers(members, days), numbers(members, left)
    if (time < 0).any() or not np.isin(event, (0.0, 1.0)).all():
        raise WorkbenchError(
            "'{days}' must be 0 or more and '{left}' 0 or 1: a departure before assignment is no effect."
        ).of(days, left)
    _require_departures([event[arm & (time <= horizon)].sum() for arm in (treated, ~treated)], treated, horizon)
    found, curves = {}, []
    for name, arm in (("treated", treated), ("control", ~treated)):
        if time[arm].max() < horizon:
            raise CannotAnswer("not answerable: no {arm} member is known for {days} days; take a nearer horizon.").of(
                Term(name), horizon
            )
        curve = SurvfuncRight(time[arm], event[arm])
        found[name] = _at_horizon(curve, horizon, int(arm.sum()))
        seen = curve.surv_times <= horizon
        curves.append(
            pd.DataFrame(
                {
                    "arm": name,
                    "day": np.r_[0, curve.surv_times[seen]],
                    "share": np.r_[1.0, curve.surv_prob[seen]],
                    "se": np.r_[0.0, curve.surv_prob_se[seen]],
                }
            )
        )
    (one, one_lost), (zero, zero_lost) = found["treated"], found["control"]
    low, high, _ = share_difference(*one, *zero, level=level)
    kept = Interval(float(zero[0] / zero[1] - one[0] / one[1]), float(-high), float(-low))
    low, high, _ = mean_difference(one_lost, zero_lost, amounts=True, level=level)
    gained = Interval(float(zero_lost.value - one_lost.value), float(-high), float(-low))
    return Staying(pd.concat(curves, ignore_index=True), kept, gained, horizon, level, campaign)


def _require_departures(gone: list[float], treated: np.ndarray, horizon: int) -> None:
    """Refuse where departures are too few, judged by both arms together."""
    sizes = int(treated.sum()), int((~treated).sum())
    expected = float(expected_events(gone[0], sizes[0], gone[1], sizes[1]))
    if expected < FEWEST_LEFT:
        raise CannotAnswer(
            "not answerable: {treated} treated and {control} control members left within {days} days, of whom the "
            "smaller arm would have {expected} by chance; {least} are needed."
        ).of(round(gone[0]), round(gone[1]), horizon, f"{np.floor(10 * expected) / 10:g}", FEWEST_LEFT)


def _at_horizon(curve: SurvfuncRight, horizon: int, members: int) -> tuple[tuple[float, float], Mean]:
    """Departures and members that give the share gone its variance (Greenwood), and the mean days lost."""
    seen = curve.surv_times <= horizon
    times, share = np.r_[0, curve.surv_times[seen], horizon], np.r_[1.0, curve.surv_prob[seen]]
    area = share * np.diff(times)
    remaining = area[::-1].cumsum()[::-1][1:]
    risk, gone = curve.n_risk[seen].astype(float), curve.n_events[seen].astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.where(risk > gone, gone / (risk * (risk - gone)), 0.0)
    left, variance = 1 - share[-1], share[-1] ** 2 * hazard.sum()
    effective = left * share[-1] / variance if variance > 0 else float(risk[-1] if len(risk) else members)
    third = float((remaining**3 * gone / risk**3).sum())
    square = (remaining**2 * hazard).sum()
    lost = Mean(*(np.asarray(part)[()] for part in (horizon - area.sum(), float(members), square, third)))
    return (left * effective, effective), lost


@dataclass(frozen=True)
class Fatigue(Result):
    """Effect of a contact by how many came before it.

    Attributes
    ----------
    doses : DataFrame
        One row a dose: dose (earlier contacts; the last row takes all above), members, effect, se, low, high.
    trend : Interval
        Change of the effect with each earlier contact.
    randomised : bool
        Whether chance decided the dose (within `strata`), so that the trend is what contacts did.
    reason : str
        Why not, or why the trend has no interval; "" where neither.
    """

    doses: pd.DataFrame
    trend: Interval
    randomised: bool
    reason: str
    outcome: str
    level: float
    unit: str = ""
    campaign: str = ""

    NAME, COUNTS, TABLE = "fatigue", "members", "doses"
    FORMATS = dict.fromkeys(["effect", "se", "low", "high"], "{:.2f}")

    def headline(self) -> Message:
        """Say what an earlier contact does to the effect, or that it is an association only."""
        if np.isnan(self.trend.low):
            return say("Not answerable: {reason}.", reason=self.reason)
        amount = Amount(self.trend.estimate, unit=self.unit, signed=True)
        change = estimated(amount, self.trend.low, self.trend.high)
        if not self.randomised:
            return say(
                "No claim of fatigue, an association only, since {reason}: {change} with each earlier contact.",
                reason=self.reason,
                change=change,
            )
        return self.say(
            "{verdict}: {change} on {outcome} per member.",
            verdict=_WEARING[direction(self.trend.low, self.trend.high)],
            change=change,
        )

    def quantities(self) -> Iterable[Quantity]:
        """Name the trend, where chance decided the dose."""
        if self.randomised and not np.isnan(self.trend.low):
            name = f"fatigue{label(self.campaign, outcome=self.outcome)}"
            yield Quantity(name, self.trend.estimate, self.unit or "1", self.trend.low, self.trend.high)


def contact_fatigue(
    members: pd.DataFrame,
    *,
    outcome: str,
    treatment: str,
    dose: str,
    strata: str | None = None,
    covariates: Sequence[str] = (),
    level: float = 0.95,
    unit: str = "",
    campaign: str = "",
) -> Fatigue:
    """Estimate how a campaign's effect changes with the contacts that came before it.

    Parameters
    ----------
    members : DataFrame
        One row a member; both arms.
    outcome, treatment : str
        Columns.
    dose : str
        Column: earlier contacts, known at assignment.
    strata : str, optional
        Column within whose values chance alone decided the dose, such as the number of campaigns whose lists held the
        member. Without it the trend is called an association.
    covariates : sequence of str
        Known before the earlier contacts, too; adjusted for, and a check of the chance that is claimed.

    Raises
    ------
    WorkbenchError
        If a column is missing or has gaps, or a dose is below 0.
    CannotAnswer
        If fewer than 50 members have another than the commonest dose.

    Notes
    -----
    The trend has no interval, and a dose's effect none, where too few members with another than the commonest dose (of
    that dose) have another outcome than the commonest.
    """
    require_level(level)
    treated, y, amount = arms(members, treatment), numbers(members, outcome), numbers(members, dose, role="dose")
    if (amount < 0).any():
        raise WorkbenchError("'{dose}' is below 0 for {n} members: it counts contacts.").of(
            dose, int((amount < 0).sum())
        )
    uncommon = len(amount) - int(np.unique(amount, return_counts=True)[1].max())
    if uncommon < FEWEST_DOSED:
        raise CannotAnswer(
            "not answerable: {n} members have another than the commonest '{dose}'; {least} are needed."
        ).of(uncommon, dose, FEWEST_DOSED)
    if strata is not None:
        require_columns(members, [strata], "members")
    stratum = np.zeros(len(y), int) if strata is None else pd.factorize(members[strata], sort=True)[0]
    x = independent(indicator_columns(members, covariates), treated) if covariates else np.empty((len(y), 0))
    own = np.eye(stratum.max() + 1)[stratum]
    arm = treated - treated.mean()
    centred = amount - amount.mean()
    design = np.column_stack([own, own * arm[:, None], x, x * arm[:, None], centred, centred * arm])
    estimate, se, df = _last_coefficient(design, y)
    half = stats.t.isf((1 - level) / 2, df) * se
    reason = say("nothing says that chance decided who had been contacted")
    if strata is not None:
        p = _dose_p(amount, own, x) if x.shape[1] else 1.0
        known = say("who had been contacted depends on what was known before (p = {p})", p=Number(p, ".1g"))
        reason = say("") if p >= ALARM else known
    trend = Interval(estimate, estimate - half, estimate + half)
    few = _too_few(y, treated, amount)
    if few:
        trend, reason = Interval(estimate, np.nan, np.nan), few
    doses = _by_dose(members.assign(**{dose: amount}), outcome, treatment, dose, covariates, level)
    return Fatigue(doses, trend, not reason, reason, outcome, level, unit, campaign)


def _too_few(y: np.ndarray, treated: np.ndarray, amount: np.ndarray) -> Message:
    """Why the trend cannot be told: outcomes of members with another than the commonest dose; "" where it can."""
    values, often = np.unique(amount, return_counts=True)
    other = amount != values[often.argmax()]
    measured = Outcome.of(y)
    events, sizes = counts(measured.events & other, treated), counts(other, treated)
    if min(sizes) == 0:
        return say("the members of an arm all have the same number of earlier contacts")
    if measured.enough(events, sizes, FEWEST_EVENTS):
        return say("")
    few = too_few(events, sizes)
    return say("of those with another than the commonest number of earlier contacts, {few}", few=few)


def _last_coefficient(design: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """The last coefficient of a regression with its HC2 error; other columns may repeat each other."""
    left, size, right = np.linalg.svd(design, full_matrices=False)
    kept = size > 1e-9 * size[0]
    left, size, right = left[:, kept], size[kept], right[kept]
    if (right[:, -1] ** 2).sum() < 1 - 1e-6:
        raise CannotAnswer("not answerable: within the strata the dose does not vary in both arms.")
    row = left @ (right[:, -1] / size)
    residual = y - left @ (left.T @ y)
    corrected = residual / np.sqrt(np.maximum(1 - (left**2).sum(axis=1), 1e-12))
    return float(row @ y), float(np.sqrt(((row * corrected) ** 2).sum())), float(len(y) - kept.sum())


def _dose_p(amount: np.ndarray, own: np.ndarray, x: np.ndarray) -> float:
    """F test: do the covariates tell the dose within the strata?"""
    left = [_residual_squares(own, amount), _residual_squares(np.column_stack([own, x]), amount)]
    df = len(amount) - own.shape[1] - x.shape[1]
    return float(stats.f.sf((left[0] - left[1]) / x.shape[1] / (left[1] / df), x.shape[1], df)) if left[1] > 0 else 1.0


def _residual_squares(design: np.ndarray, y: np.ndarray) -> float:
    return float(((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2).sum())


def _by_dose(members, outcome, treatment, dose, covariates, level) -> pd.DataFrame:
    """Effects by dose, none of fewer than 100 members; the last of these takes all doses above."""
    counts = members[dose].value_counts().sort_index()
    above = counts[::-1].cumsum()[::-1]
    top = counts.index[(counts >= 100) & (above >= 100)].max()
    rows = []
    for value, part in members.groupby(members[dose].clip(upper=top)):
        told = (np.nan,) * 4
        if len(part) >= 100:
            with suppress(CannotAnswer, WorkbenchError):
                found = average_effect(part, outcome=outcome, treatment=treatment, covariates=covariates, level=level)
                told = found.estimate, found.se, *((np.nan,) * 2 if found.doubts else (found.low, found.high))
        rows.append((int(value), len(part), *told))
    return pd.DataFrame(rows, columns=["dose", "members", "effect", "se", "low", "high"])
