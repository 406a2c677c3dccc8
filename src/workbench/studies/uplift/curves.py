"""Do the predicted effects rank the members?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

from workbench.errors import require_known
from workbench.figures import Axes, axes
from workbench.messages import Amount, Message, Share, Span, Term, join, say
from workbench.methods.experiment.events import FEWEST_EVENTS, Outcome, counts, difference, ends, too_few
from workbench.methods.experiment.members import CROSSED, arms, crossed, numbers, scores
from workbench.methods.intervals import Mean, require_level, skewed, uneven
from workbench.methods.resampling import Rng, require_resamples
from workbench.result import Quantity, Result
from workbench.studies.uplift.bins import ScoreBins, prefixes, resampled_curves, score_bins
from workbench.words import direction, label

Kind = Literal["uplift", "qini", "toc"]
FEW = 0.1
"""Skewness of an area's error from which on both arms' amounts stand for its variance."""


@dataclass(frozen=True)
class UpliftCurve(Result):
    """Extra outcome per customer of the list when the best share of it is contacted, against contact at random.

    Attributes
    ----------
    points : DataFrame
        share (of the list, 0-1), gain, low, high (NaN where too few of the best share bought for an interval). By
        `kind`, gain is: "uplift", extra outcome per customer of the whole
        list; "qini", the same per treated member of the whole list with Radcliffe's scaling; "toc", effect among the
        best share less the effect on everybody.
    qini_excess, se, low, high : float
        Extra outcome per customer over contact at random, mean over all depths: the area between the uplift curve
        and its chord, in units of the outcome, whichever curve is drawn.
    area, area_low, area_high : float
        Area of the curve drawn: over its chord, or for "toc" the whole (AUTOC).
    doubts : tuple of str
        Why there is no verdict: too few members bought for an interval of an area, or the score comes from crossed
        folds, whose interval claims too much; () where there is one.
    """

    points: pd.DataFrame
    qini_excess: float
    se: float
    low: float
    high: float
    members: int
    level: float
    outcome: str
    binary: bool
    unit: str = ""
    campaign: str = ""
    kind: Kind = "uplift"
    area: float = np.nan
    area_low: float = np.nan
    area_high: float = np.nan
    doubts: tuple[Message, ...] = ()

    NAME, CHART = "curve", say("A curve with its band, beside the straight line of contact at random")
    EFFECTS = "value", "low", "high"

    @property
    def scale(self) -> float:
        """Factor from the outcome to what is said: 100 (percentage points) for a 0/1 outcome."""
        return 100.0 if self.binary else 1.0

    def headline(self) -> Message:
        """Say whether the score ranks the members by their effect."""
        if self.doubts:
            return say("Not answerable: {reason}.", reason=self.doubts[0])
        if self.low == self.high:
            return say("Not answerable: the score is the same for all members, so it ranks nobody.")
        low, high = self.scale * self.low, self.scale * self.high
        amount = Amount(self.qini_excess, self.binary, self.unit, signed=True)
        excess = say("{amount} per customer {ends}", amount=amount, ends=Span(low, high))
        shown = direction(low, high)
        if shown > 0:
            return say(
                "The score finds who reacts: contacting the best first adds {excess} over contact at random.",
                excess=excess,
            )
        if shown < 0:
            return self.say(
                "The score ranks the wrong way round: contacting its best first changes {outcome} by {excess}.",
                excess=excess,
            )
        return say("No evidence that the score finds who reacts: Qini excess {excess}.", excess=excess)

    def summary(self) -> pd.DataFrame:
        """Tabulate the Qini excess and the curve at every tenth of the list; "too few buyers" where it has no band."""
        at = np.arange(1, 11) / 10
        rows = {name: np.interp(at, self.points["share"], self.points[name]) for name in ("gain", "low", "high")}
        table = pd.DataFrame(
            {"estimate of": [say("gain at {share}", share=Share(share, 0)) for share in at], "value": rows["gain"]}
        )
        table["low"], table["high"] = rows["low"], rows["high"]
        first = [("Qini excess", self.qini_excess, self.low, self.high)]
        if self.kind != "uplift":
            name = "AUTOC" if self.kind == "toc" else "area of the Qini curve over its chord"
            first.append((name, self.area, self.area_low, self.area_high))
        return pd.concat([pd.DataFrame(first, columns=table.columns), table], ignore_index=True)

    def quantities(self) -> Iterable[Quantity]:
        """Name the Qini excess; none where there is no verdict."""
        if self.doubts:
            return
        name = f"qini_excess{label(self.campaign, outcome=self.outcome)}"
        yield Quantity(name, self.qini_excess, "share" if self.binary else self.unit or "1", self.low, self.high, 1e-3)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curve with its band, and contact at random."""
        ax = axes(ax)
        share, points = 100 * self.points["share"], self.points
        ax.fill_between(share, self.scale * points["low"], self.scale * points["high"], alpha=0.2, linewidth=0)
        ax.plot(share, self.scale * points["gain"])
        end = self.scale * points["gain"].iloc[-1]
        ax.plot([0, 100], [0, end], color="0.5", linestyle="--", linewidth=1)
        middle = int((points["share"] - 0.45).abs().argmin())
        best_first = share.iloc[middle], self.scale * points["gain"].iloc[middle]
        ax.annotate("best first", best_first, (-8, 12), textcoords="offset points", ha="right")
        ax.annotate("at random", (60, 0.6 * end), (6, -12), textcoords="offset points", color="0.4")
        ax.set_xlim(0, 100)
        ax.set_xlabel("share of the list contacted (%)")
        ax.set_ylabel(self._what)
        return ax

    def picture_caption(self) -> Message:
        """Say what the picture shows."""
        curve = self.say(
            "{what} by share of the list contacted, highest predicted effect first, with {level} band.", what=self._what
        )
        return join(curve.sentence(), self.headline())

    @property
    def _what(self) -> Message:
        unit = say("({unit})", unit=Term(self.unit or "units of the outcome"))
        unit = say("(points)") if self.binary else unit
        return {
            "uplift": self.say("extra {outcome} per customer {unit}", unit=unit),
            "qini": self.say("extra {outcome} per treated customer, Radcliffe {unit}", unit=unit),
            "toc": self.say("effect on {outcome} above the average {unit}", unit=unit),
        }[self.kind]


def uplift_curve(
    members: pd.DataFrame,
    *,
    score: str | pd.Series,
    outcome: str,
    treatment: str,
    kind: Kind = "uplift",
    resamples: int = 1_000,
    level: float = 0.95,
    rng: Rng = 0,
    unit: str = "",
    campaign: str = "",
) -> UpliftCurve:
    """Measure how much better it is to contact members in the order of a score than at random.

    At share u the curve is u times the difference of the arms' mean outcome among the members with the highest
    scores (the uplift curve, scaled to everyone; not Radcliffe's Qini curve, which is scaled to the treated).
    Members with equal scores enter together.

    Parameters
    ----------
    members : DataFrame
        One row a member; both arms of a randomised campaign.
    score : str or Series
        Column, or values by row label; high = contact first. It must come from models that did not see the
        member, with independent errors: those of `predict_uplift(validation="sequential")`. A Series of
        crossed predictions gets no verdict; a column cannot say how it was made.
    outcome, treatment : str
        Columns.
    kind : {"uplift", "qini", "toc"}
        Curve to draw: uplift (scaled to everyone), Radcliffe's Qini curve (scaled to the treated; with equal arms by
        prefix the same), or the targeting operator characteristic.
    resamples : int
        Resamples behind the intervals.
    level : float
        Coverage of the intervals, 0-1; the band holds at each share, not for all at once.

    Raises
    ------
    WorkbenchError
        If a column is missing, not numeric or has gaps, or there are not two arms.

    References
    ----------
    Radcliffe (2007), Using control groups to target on predicted lift, Direct Marketing Analytics Journal.
    Yadlowsky, Fleming, Shah, Brunskill and Wager (2025), JASA 120 (rank-weighted average effects).

    Examples
    --------
    >>> table = pd.DataFrame({"score": [2, 2, 1, 1], "arm": [1, 0, 1, 0], "bought": [1, 0, 1, 1]})
    >>> curve = uplift_curve(table, score="score", outcome="bought", treatment="arm")
    >>> curve.points["gain"].tolist(), curve.qini_excess
    ([0.0, 0.5, 0.5], 0.125)
    """
    require_level(level)
    treated, y, order = arms(members, treatment), numbers(members, outcome), scores(members, score)
    require_resamples(resamples, 100)
    require_known("kind", kind, _CURVES)
    judged = Outcome.of(y)
    events, members_of = counts(judged.events, treated), counts(np.ones(len(y), dtype=bool), treated)
    answerable = bool(judged.enough(events, members_of, FEWEST_EVENTS))
    bins = score_bins(order, treated, y[:, None], events=judged.events)
    listed = prefixes(bins.totals)
    share = np.append(0, listed.share)
    z = norm.isf((1 - level) / 2)
    gain, drawn = np.append(0, _gain(listed)), resampled_curves(bins, _gain, resamples, rng)
    excess, errors = float(_excess(share, gain)), _excess(share, drawn)
    se = float(errors.std(ddof=1))
    low, high = (excess - z * se, excess + z * se) if answerable else (np.nan, np.nan)
    area, area_low, area_high = excess, low, high
    own = {"uplift": listed.share, "qini": listed.treated_share, "toc": np.ones(len(listed.share))}[kind]
    if kind != "uplift":
        gain, drawn = np.append(0, _CURVES[kind](listed)), resampled_curves(bins, _CURVES[kind], resamples, rng)
        area, spread = float(_area(kind, share, gain)), _area(kind, share, drawn).std(ddof=1)
        if answerable:
            area_low, area_high = _area_ends(kind, bins, share, own, area, spread, judged, level)
    bottom, top = _band(bins, kind, gain, drawn, own, judged, level)
    points = pd.DataFrame({"share": share, "gain": gain, "low": bottom, "high": top})
    return UpliftCurve(
        points=points.iloc[1:].reset_index(drop=True) if kind == "toc" else points,
        qini_excess=excess,
        se=se,
        low=low,
        high=high,
        members=len(y),
        level=level,
        outcome=outcome,
        binary=judged.binary,
        unit=unit,
        campaign=campaign,
        kind=kind,
        area=area,
        area_low=area_low,
        area_high=area_high,
        doubts=(() if answerable else (too_few(events, members_of, outcome),)) + (CROSSED,) * crossed(score),
    )


def _band(bins: ScoreBins, kind: Kind, gain, drawn, own, judged: Outcome, level: float) -> tuple[np.ndarray, ...]:
    """Ends of the interval at each point of the curve, share 0 included; NaN where too few of the prefix bought."""
    members, events = np.cumsum(bins.totals[..., 0], axis=1), np.cumsum(bins.events, axis=1)
    known, se, third = judged.enough(events, members), drawn.std(axis=0, ddof=1)[1:], bins.third(own, kind == "toc")
    one, zero = bins.arms()
    if kind != "toc":
        low, high = ends(gain[1:], se, third, one, zero, outcome=judged, known=known, scale=own, level=level)
        return np.append(0, low), np.append(0, high)
    # The lead over the average is what those inside have over those outside, times the share outside.
    left, lost = members[:, -1:] - members[:, :-1], events[:, -1:] - events[:, :-1]
    low, high = ends(gain[1:], se, third, one, zero, outcome=replace(judged, amounts=False), known=known, level=level)
    if judged.amounts and len(known) > 1:
        outside = 1 - members.sum(axis=0) / members[:, -1].sum()
        low[:-1], high[:-1] = _lead(gain[1:-1], bins, outside[:-1], low[:-1], high[:-1], judged, level)
    held = np.append(known[:-1] & judged.enough(lost, left), True)
    return np.append(0, np.where(held, low, np.nan)), np.append(0, np.where(held, high, np.nan))


def _lead(lead, bins: ScoreBins, outside, low, high, judged: Outcome, level: float) -> tuple[np.ndarray, ...]:
    """Where few bought: the intervals of the effect inside and outside a prefix, put together (MOVER)."""
    reach = []
    for one, zero in (bins.arms(), bins.beyond()):
        first, second = (Mean(arm.value[:-1], arm.n[:-1], arm.variance[:-1], arm.third[:-1]) for arm in (one, zero))
        with np.errstate(invalid="ignore"):  # one member of an arm tells no variance; no interval is given there
            bottom, top, _ = difference(first, second, judged, level)
        effect = first.value - second.value
        reach.append((effect - bottom, top - effect, uneven(first, second)))
    (below, above, few), (under, over, sparse) = reach
    few = few | sparse
    low = np.where(few, lead - outside * np.hypot(below, over), low)
    high = np.where(few, lead + outside * np.hypot(above, under), high)
    return low, high


def _gain(found) -> np.ndarray:
    return found.share * found.effect


def _qini(found) -> np.ndarray:
    return found.treated_share * found.effect


def _toc(found) -> np.ndarray:
    return found.effect - found.effect[..., -1:]


_CURVES = {"uplift": _gain, "qini": _qini, "toc": _toc}


def _excess(share: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Area between a curve (last axis) and its chord."""
    return np.trapezoid(gain - share * gain[..., -1:], share, axis=-1)


def _area(kind: Kind, share: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """AUTOC with the effect of the first bin down to depth 0, or the area over the chord."""
    if kind == "qini":
        return _excess(share, curve)
    return curve[..., 1] * share[1] + np.trapezoid(curve[..., 1:], share[1:], axis=-1)


def _area_ends(
    kind: Kind,
    bins: ScoreBins,
    share: np.ndarray,
    own: np.ndarray,
    area: float,
    se: float,
    judged: Outcome,
    level: float,
) -> tuple[float, float]:
    """Interval of `_area`, corrected for skewness; where few bought, by the error of both arms together."""
    step = np.diff(share)
    weight = (step + np.append(step[1:], 0)) / 2  # of the trapezoids, the curve being 0 at share 0
    whole = float((weight * share[1:]).sum())
    if kind == "toc":
        weight[0] += step[0] / 2  # the effect of the first bin down to depth 0
        whole = float(weight.sum())
    else:
        weight = weight * own
    if se == 0:
        return area, area
    one, zero = (Mean(*(values[-1] for values in vars(arm).values())) for arm in bins.arms())
    variance, third = bins.pooled_error_of_area(weight, whole)
    pooled = np.sqrt(variance)
    if judged.amounts and (uneven(one, zero) or abs(third) > FEW * pooled**3):
        z = norm.isf((1 - level) / 2)
        bend = third / variance * (z * z - 1) / 6  # Cornish and Fisher, the variance not following the estimate
        return area - z * pooled - bend, area + z * pooled - bend
    low, high, _ = skewed(area, se, bins.third_of_area(weight, whole) / se**3, level=level)
    return float(low), float(high)
