"""Are the predicted effects to scale? Effects in groups of like score, and the line through them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from workbench.errors import WorkbenchError
from workbench.figures import Axes, axes, axis_unit
from workbench.messages import Amount, Label, Message, Number, Span, estimated, join, say
from workbench.methods.experiment.events import FEWEST_EVENTS, Outcome, counts, difference, too_few, unanswerable
from workbench.methods.experiment.members import CROSSED, arms, crossed, numbers, scores
from workbench.methods.intervals import Mean, require_level
from workbench.result import Quantity, Result
from workbench.words import direction, label


@dataclass(frozen=True)
class EffectGroups(Result):
    """Average effects of groups of members sorted by their predicted effect, and whether predictions are to scale.

    Attributes
    ----------
    groups : DataFrame
        group (1 = highest scores), members, predicted (mean score), effect, se, low, high (NaN where too few of the
        group bought for an interval).
    slope, slope_low, slope_high : float
        Calibration slope: 1 where a predicted difference of 1 is a true difference of 1, 0 where the score says
        nothing about the effect; NaN where all scores are equal.
    p_value : float
        Of the best linear predictor's one-sided test that the score tells nothing about the effect (slope at most 0).
    doubts : tuple of str
        Why groups or the slope have no interval, where too few members bought, the first about the whole list; last,
        that the score comes from crossed folds, so that slope and groups carry no verdict.
    """

    groups: pd.DataFrame
    slope: float
    slope_low: float
    slope_high: float
    level: float
    outcome: str
    binary: bool
    unit: str = ""
    campaign: str = ""
    p_value: float = np.nan
    doubts: tuple[Message, ...] = ()

    NAME = TABLE = "groups"
    EFFECTS = "predicted", "effect", "low", "high"
    COUNTS, CHART = "members", say("Dots with intervals beside a diagonal")

    def _said(self, row) -> Message:
        effect = Amount(row.effect, self.binary, self.unit, signed=True)
        if np.isnan(row.low):
            return say("{effect} (too few buyers for an interval)", effect=effect)
        return estimated(effect, row.low, row.high)

    def sleeping_dogs(self) -> Message:
        """Say whether contact is shown to harm the group with the lowest scores."""
        last, scale = self.groups.iloc[-1], 100 if self.binary else 1
        who = say("the {n} members with the lowest scores", n=round(last.members))
        whose: dict[str, Any] = {"outcome": Label(self.outcome), "who": who}
        if CROSSED in self.doubts:
            return say(
                "Whether contact lowers {outcome} of {who} is not answerable: {reason}.", reason=CROSSED, **whose
            )
        if np.isnan(last.low):
            return say("Whether contact lowers {outcome} of {who} cannot be told: too few of them bought.", **whose)
        if direction(scale * last.low, scale * last.high) < 0:
            return say("Contact lowers {outcome} of {who}, as a group: {effect}.", effect=self._said(last), **whose)
        return say("No evidence that contact lowers {outcome} of {who}: {effect}.", effect=self._said(last), **whose)

    def headline(self) -> Message:
        """Say how the first and the last group react, and whether the score is to scale."""
        if self.groups["low"].isna().all():
            why = self.doubts[0] if self.doubts else say("too few members bought")
            return say("Not answerable by group: {reason}.", reason=why)
        found = self.say(
            "Effect on {outcome}: {first} in the group with the highest scores, {last} in the lowest",
            first=self._said(self.groups.iloc[0]),
            last=self._said(self.groups.iloc[-1]),
        )
        if np.isnan(self.slope_low):
            return say("{found}.", found=found)
        how: dict[str, Any] = {"found": found, "slope": self._slope()}
        if CROSSED in self.doubts:
            return say(
                "{found}; whether the predicted effects differ in truth is not answerable: {reason} ({slope}).",
                reason=CROSSED,
                **how,
            )
        if direction(self.slope_low, self.slope_high) <= 0:
            return say("{found}; no evidence that the predicted effects differ in truth ({slope}).", **how)
        if direction(self.slope_low - 1, self.slope_high - 1):
            return say("{found}; the predicted differences are real and are not to scale ({slope}).", **how)
        return say("{found}; the predicted differences are real and are to scale ({slope}).", **how)

    def _slope(self) -> Message:
        slope, ends = Number(self.slope, ".2f"), Span(self.slope_low, self.slope_high)
        if self.p_value <= 0.001:
            return say("slope {slope} {ends}, p at most 0.001", slope=slope, ends=ends)
        return say("slope {slope} {ends}, p {p}", slope=slope, ends=ends, p=Number(self.p_value, ".3f"))

    def picture_caption(self) -> Message:
        """Say what the picture shows."""
        what = say("Measured effect in {n} groups by predicted effect.", n=len(self.groups))
        return join(what, self.headline(), self.sleeping_dogs())

    def quantities(self) -> Iterable[Quantity]:
        """Name the calibration slope; none where it carries no verdict."""
        if not np.isnan(self.slope_low) and CROSSED not in self.doubts:
            name = f"calibration_slope{label(self.campaign, outcome=self.outcome)}"
            yield Quantity(name, self.slope, "1", self.slope_low, self.slope_high, 1e-3)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw each group's effect over its predicted effect; on the diagonal predictions are to scale."""
        ax = axes(ax)
        scale = 100 if self.binary else 1
        table = self.groups
        error = scale * np.array([table["effect"] - table["low"], table["high"] - table["effect"]])
        ax.axhline(0, color="0.8", linewidth=1)
        ends = scale * np.array([table["predicted"].min(), table["predicted"].max()])
        ax.plot(ends, ends, color="0.5", linestyle="--", linewidth=1)
        ax.annotate("to scale", (ends[1], ends[1]), (-4, 4), textcoords="offset points", ha="right", color="0.4")
        ax.errorbar(scale * table["predicted"], scale * table["effect"], error, fmt="o", capsize=0)
        unit = axis_unit(self.unit, self.binary, "points")
        ax.set_xlabel(self.say("predicted effect on {outcome} ({unit})", unit=unit))
        ax.set_ylabel(say("effect in the group ({unit})", unit=unit))
        return ax


def effect_groups(
    members: pd.DataFrame,
    *,
    score: str | pd.Series,
    outcome: str,
    treatment: str,
    groups: int = 5,
    level: float = 0.95,
    unit: str = "",
    campaign: str = "",
) -> EffectGroups:
    """Estimate the effect in groups of equal size sorted by predicted effect, and the predictions' scale.

    Parameters
    ----------
    members : DataFrame
        One row a member; both arms of a randomised campaign.
    score : str or Series
        Predicted effect in units of the outcome, from models that did not see the member.
    outcome, treatment : str
        Columns.
    groups : int
        Members with equal scores share a group, so that groups can be fewer or unequal.

    Raises
    ------
    CannotAnswer
        If a group has fewer than 2 members of an arm.

    References
    ----------
    Chernozhukov, Demirer, Duflo and Fernández-Val (2025), Econometrica 93 (sorted groups, best linear predictor).
    """
    require_level(level)
    treated, y, order = arms(members, treatment), numbers(members, outcome), scores(members, score)
    if not 2 <= groups <= 100:
        raise WorkbenchError("groups is {groups}: give 2 to 100.").of(groups)
    depth = (pd.Series(-order).rank(method="average").to_numpy() - 0.5) / len(order)
    group = np.minimum((depth * groups).astype(int), groups - 1)
    judged = Outcome.of(y)
    rows: list[tuple[Any, ...]] = []
    doubts: list[Message] = []
    for k in np.unique(group):
        own = group == k
        one, zero = y[own & treated], y[own & ~treated]
        if min(len(one), len(zero)) < 2:
            raise unanswerable(
                say("group {group} has fewer than 2 members of an arm; ask for fewer", group=len(rows) + 1)
            )
        means = Mean.of(one), Mean.of(zero)
        parts = np.array([mean.variance for mean in means])
        df = parts.sum() ** 2 / max((parts**2 / [len(one) - 1, len(zero) - 1]).sum(), 1e-300)
        events, members_of = counts(judged.events & own, treated), counts(own, treated)
        low: Any = np.nan
        high: Any = np.nan
        if judged.enough(events, members_of):
            low, high, _ = difference(*means, judged, level, df=max(df, 1.0))
        if np.isnan(low):
            few = too_few(events, members_of, outcome, judged.fewest)
            doubts.append(say("group {group}: {few}", group=len(rows) + 1, few=few))
        effect, se = one.mean() - zero.mean(), float(np.sqrt(parts.sum()))
        rows.append((len(rows) + 1, own.sum(), order[own].mean(), effect, se, low, high))
    table = pd.DataFrame(rows, columns=["group", "members", "predicted", "effect", "se", "low", "high"])
    table[["low", "high"]] = table[["low", "high"]].astype(float)
    slope, se, df = _calibration(y, treated, order)
    events, members_of = counts(judged.events, treated), counts(np.ones(len(y), dtype=bool), treated)
    low = high = p = np.nan
    if judged.enough(events, members_of, FEWEST_EVENTS) and se > 0:
        reach = student.isf((1 - level) / 2, df) * se
        low, high, p = slope - reach, slope + reach, float(student.sf(slope / se, df))
    elif not np.isnan(slope):
        doubts.insert(0, too_few(events, members_of, outcome))
    doubts += [CROSSED] * crossed(score)
    return EffectGroups(table, slope, low, high, level, outcome, judged.binary, unit, campaign, p, tuple(doubts))


def _calibration(y: np.ndarray, treated: np.ndarray, score: np.ndarray) -> tuple[float, float, float]:
    """Slope of the effect in the score (that of the contacted less that of the controls), its HC2 error and df."""
    spread = score.std()
    if spread <= 1e-12 * max(1.0, np.abs(score).max()):
        return np.nan, np.nan, np.nan
    centred = (score - score.mean()) / spread
    lines = np.array([_line(y[own], centred[own]) for own in (treated, ~treated)])
    slope, variance = lines[0, 0] - lines[1, 0], lines[:, 1].sum()
    df = variance**2 / max((lines[:, 1] ** 2 / lines[:, 2]).sum(), 1e-300)
    return float(slope / spread), float(np.sqrt(variance) / spread), float(max(df, 1.0))


def _line(y: np.ndarray, x: np.ndarray) -> tuple[float, float, float]:
    """Slope of a regression of y on x, its HC2 variance and the degrees of freedom of Bell and McCaffrey (2002)."""
    basis, corner = np.linalg.qr(np.column_stack([np.ones(len(y)), x]))
    if abs(corner[1, 1]) <= 1e-12 * abs(corner[0, 0]):
        return np.nan, np.nan, np.nan
    row, leverage = basis[:, 1] / corner[1, 1], np.minimum((basis**2).sum(axis=1), 1 - 1e-12)
    weight = row**2 / (1 - leverage)
    variance = (weight * (y - basis @ (basis.T @ y)) ** 2).sum()
    within = basis.T @ (basis * weight[:, None])
    df = (row**2).sum() ** 2 / ((weight**2 * (1 - 2 * leverage)).sum() + (within**2).sum())
    return float(row @ y), float(variance), float(df)
