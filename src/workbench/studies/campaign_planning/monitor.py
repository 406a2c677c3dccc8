"""May a running campaign be stopped? An interval that holds on every day at once, however often one looks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import lambertw

from workbench.columns import days as read_days
from workbench.errors import CannotAnswer, WorkbenchError, require_columns
from workbench.figures import Axes, axes, axis_unit, legend
from workbench.messages import Amount, Message, Number, Share, Term, estimated, say
from workbench.methods.experiment.events import unanswerable
from workbench.methods.experiment.members import arms, numbers
from workbench.methods.intervals import require_level
from workbench.result import Quantity, Result
from workbench.words import direction, label

FEWEST, UNUSUAL = 50, 20
ALARM = 0.001
Decision = Literal["go on", "may stop: it works", "may stop: it harms", "may stop: too small to matter"]


@dataclass(frozen=True)
class Monitoring(Result):
    """What was known of a running campaign on each day, with an interval that is valid on all days together.

    Attributes
    ----------
    days : DataFrame
        One row a day with at least 50 known outcomes an arm, 20 of them other than the commonest: day, treated,
        control (known so far), estimate, low, high (always valid), naive_low, naive_high (valid only if the day had
        been chosen beforehand), decision (a stop stays).
    decision : str
        Of the last day; once a campaign may stop, it may.
    first_stop : Timestamp or None
        The first day on which it might have stopped.
    waiting : int
        Members whose outcome is not known yet.
    planned : int
        Members for which the interval was made shortest.
    """

    days: pd.DataFrame
    decision: Decision
    first_stop: pd.Timestamp | None
    waiting: int
    planned: int
    outcome: str
    level: float
    irrelevant: float = 0.0
    unit: str = ""
    campaign: str = ""

    NAME, TABLE, CHART = "running", "days", say("A line with a band over the days, and a narrower pair of dotted lines")
    CAPTION = (
        "Effect on {outcome} so far ({unit} per member) on each day on which outcomes became known, with an "
        "interval that holds on all days at once, and one (naive) that holds on a single day."
    )
    PICTURE_CAPTION = (
        "The campaign may stop on the first day on which the band leaves zero; dotted: holds on one day only."
    )

    def headline(self) -> Message:
        """Say whether to stop or go on, and why."""
        last = self.days.iloc[-1]
        decision: Term | Message = Term(self.decision)
        if self.first_stop is not None:
            then = self._said(self.days.set_index("day").loc[self.first_stop])
            decision = say(
                "{decision} since {day}, when it was {effect}", decision=decision, day=self.first_stop, effect=then
            )
        known = int(last["treated"] + last["control"])
        if self.decision == "go on" and not self.waiting and known >= self.planned:
            decision = say("ended, and on no day could it have stopped")
        return self.say(
            "{decision}: the effect on {outcome} is {effect} per member on {day}, with {known} of {all} outcomes "
            "known; the interval holds on all {days} days at once.",
            decision=decision,
            effect=self._said(last),
            day=last["day"],
            known=known,
            all=known + self.waiting,
            days=len(self.days),
        ).sentence()

    def _said(self, day: pd.Series) -> Message:
        return estimated(Amount(day["estimate"], unit=self.unit, signed=True), day["low"], day["high"])

    def quantities(self) -> Iterable[Quantity]:
        """Name the effect so far."""
        last = self.days.iloc[-1]
        name = f"effect_so_far{label(self.campaign, outcome=self.outcome)}"
        yield Quantity(name, float(last["estimate"]), self.unit or "1", float(last["low"]), float(last["high"]))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw estimate, always-valid band and naive interval over the days."""
        ax = axes(ax)
        day = self.days["day"]
        ax.axhline(0, color="0.6", linewidth=1)
        if self.irrelevant:
            ax.axhspan(-self.irrelevant, self.irrelevant, color="0.92", zorder=0)
        ax.fill_between(day, self.days["low"], self.days["high"], alpha=0.25, linewidth=0, label="holds on all days")
        ax.plot(day, self.days["estimate"], linewidth=2)
        for side in ("naive_low", "naive_high"):
            what = "holds on one day only" if side == "naive_low" else None
            ax.plot(day, self.days[side], color="0.5", linestyle=":", linewidth=1, label=what)
        if self.first_stop is not None:
            ax.axvline(self.first_stop, color="tab:red", linewidth=1)
            ax.annotate("may stop", (self.first_stop, 1), xycoords=("data", "axes fraction"), va="top")
        ax.set_ylabel(self.say("effect on {outcome} ({unit})", unit=axis_unit(self.unit)))
        legend(ax)
        ax.figure.autofmt_xdate()
        return ax


def monitor_campaign(
    members: pd.DataFrame,
    *,
    outcome: str,
    treatment: str,
    known_on: str,
    planned: int | None = None,
    irrelevant: float = 0.0,
    level: float = 0.95,
    unit: str = "",
    campaign: str = "",
) -> Monitoring:
    """Follow a running campaign day by day; look as often as you like, and stop when it says so.

    Parameters
    ----------
    members : DataFrame
        One row a member; both arms.
    outcome : str
        Numeric column within a window of the same length for all; ignored where `known_on` is missing.
    treatment : str
        Column of 0/1, booleans, or names of two arms of which one is "control".
    known_on : str
        Column of the day on which the member's window closed (assignment + length), as dates or ISO text; missing, or a
        placeholder such as 9999-12-31, where it is open.
    planned : int, optional
        Members at which the interval shall be shortest; all members by default. Choose it before the first look.
    irrelevant : float
        An effect smaller than this, either way, does not matter; the campaign may stop when that is sure.
    level : float
        Coverage over all days together, 0-1.

    Raises
    ------
    WorkbenchError
        If a column is missing, the days are not dates, or a number is out of range.
    CannotAnswer
        If no day has 50 known outcomes an arm (20 of them other than the commonest), or the share of treated drifts
        with the days.

    Warnings
    --------
    A day on which the outcome "happened" is not a day on which it was known: buyers would come first, the rest never.

    References
    ----------
    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Time-uniform central limit theory and asymptotic confidence
    sequences, Annals of Statistics 52. Howard, Ramdas, McAuliffe and Sekhon (2021), Annals of Statistics 49.
    """
    require_columns(members, [outcome, treatment, known_on], "members")
    require_level(level)
    if irrelevant < 0 or (planned is not None and planned < 1):
        raise WorkbenchError("irrelevant is {irrelevant} and planned is {planned}: give 0 or more, and 1 or more.").of(
            f"{irrelevant:g}", planned
        )
    closed, _ = read_days(members[known_on], known_on)
    arms(members, treatment)
    known = members[closed.notna()]
    if known.empty:
        raise unanswerable(
            say("'{known_on}' is missing for all members, so no outcome is known yet", known_on=known_on)
        )
    arm_of = dict(zip(members[treatment], arms(members, treatment), strict=True))
    treated, y = known[treatment].map(arm_of).to_numpy(bool), numbers(known, outcome)
    days, place = np.unique(closed.dropna().dt.normalize().to_numpy(), return_inverse=True)
    sums = {arm: _running(y, place, len(days), treated == arm) for arm in (True, False)}
    _steady(sums)
    ready = _ready(y, place, len(days), treated)
    if not ready.any():
        raise CannotAnswer(
            "not answerable yet: no day has {least} known outcomes an arm, {unusual} of them other than the "
            "commonest. Go on."
        ).of(FEWEST, UNUSUAL)
    planned = len(members) if planned is None else planned
    table = _band({arm: [v[ready] for v in values] for arm, values in sums.items()}, planned, level)
    table.insert(0, "day", pd.to_datetime(days[ready]))
    stops = np.flatnonzero((said := _decisions(table, irrelevant)) != "go on")
    first = table["day"].iloc[stops[0]] if len(stops) else None
    table["decision"] = np.where(table.index < stops[0], "go on", said[stops[0]]) if len(stops) else said
    decision: Decision = table["decision"].iloc[-1]
    waiting = len(members) - len(known)
    return Monitoring(table, decision, first, waiting, planned, outcome, level, irrelevant, unit, campaign)


def boundary(n: np.ndarray, planned: float, level: float) -> np.ndarray:
    """Give the half-width in standard errors after n members that holds at every n, shortest near `planned`.

    >>> boundary(np.array([500.0, 1_000.0, 4_000.0]), 1_000, 0.95).round(3).tolist()
    [3.079, 3.035, 3.131]
    """
    alpha = 1 - level
    best = -lambertw(-(alpha**2) / math.e, k=-1).real - 1  # n times rho squared at the shortest
    scaled = np.asarray(n, dtype=float) * best / planned
    return np.sqrt((scaled + 1) / scaled * (np.log1p(scaled) - 2 * np.log(alpha)))


def _running(y: np.ndarray, place: np.ndarray, count: int, arm: np.ndarray) -> list[np.ndarray]:
    """Members, mean and variance of an arm's outcomes known by each day, each shape (days,)."""
    middle = y.mean()
    n, total, square = (
        np.cumsum(np.bincount(place[arm], w, count)) for w in (None, y[arm] - middle, (y[arm] - middle) ** 2)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.maximum(square - total**2 / n, 0) / (n - 1)
        return [n.astype(float), middle + total / n, np.where(n > 1, variance, 0.0)]


def _ready(y: np.ndarray, place: np.ndarray, count: int, treated: np.ndarray) -> np.ndarray:
    """Days from which each arm's mean is about normal: enough members, enough of them with an unusual outcome."""
    values, often = np.unique(y, return_counts=True)
    unusual = y != values[often.argmax()]
    ready = np.ones(count, dtype=bool)
    for arm in (treated, ~treated):
        ready &= np.cumsum(np.bincount(place[arm], minlength=count)) >= FEWEST
        ready &= np.cumsum(np.bincount(place[arm & unusual], minlength=count)) >= UNUSUAL
    return ready


def _steady(sums: dict[bool, list[np.ndarray]]) -> None:
    """Refuse where the share of treated changes over the days: days differ in more than the arm."""
    fresh = np.stack([np.diff(sums[arm][0], prepend=0) for arm in (True, False)])
    edges = np.searchsorted(np.cumsum(fresh.sum(axis=0)), np.linspace(0, fresh.sum(), 6)[1:-1])
    table = np.stack([part.sum(axis=1) for part in np.split(fresh, np.unique(edges) + 1, axis=1)], axis=1)
    table = table[:, table.sum(axis=0) >= 20]
    if table.shape[1] < 2 or (table.sum(axis=1) == 0).any():
        return
    p = stats.chi2_contingency(table).pvalue
    if p < ALARM:
        shares = table[0] / table.sum(axis=0)
        raise unanswerable(
            say(
                "the share of treated among the outcomes known runs from {lowest} to {highest} over time (p = {p}). "
                "Take a day on which the window of every member, not of buyers only, closed; if the arms' shares were "
                "changed, monitor each stretch by itself",
                lowest=Share(shares.min()),
                highest=Share(shares.max()),
                p=Number(p, ".1g"),
            )
        )


def _band(sums: dict[bool, list[np.ndarray]], planned: int, level: float) -> pd.DataFrame:
    (n1, mean1, v1), (n0, mean0, v0) = sums[True], sums[False]
    estimate, se = mean1 - mean0, np.sqrt(v1 / n1 + v0 / n0)
    wide, naive = boundary(n1 + n0, planned, level) * se, stats.norm.isf((1 - level) / 2) * se
    return pd.DataFrame(
        {
            "treated": n1.astype(int),
            "control": n0.astype(int),
            "estimate": estimate,
            "low": estimate - wide,
            "high": estimate + wide,
            "naive_low": estimate - naive,
            "naive_high": estimate + naive,
        }
    )


def _decisions(table: pd.DataFrame, irrelevant: float) -> np.ndarray:
    shown = np.array([direction(*ends) for ends in zip(table["low"], table["high"], strict=True)])
    small = (table["low"] > -irrelevant) & (table["high"] < irrelevant)
    names = ["may stop: too small to matter", "may stop: it works", "may stop: it harms"]
    return np.select([small, shown > 0, shown < 0], names, "go on")
