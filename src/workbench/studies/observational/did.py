"""What did a rollout by province change, judged by the provinces that had not got it (yet)?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from workbench.errors import unknown
from workbench.figures import Axes, axes
from workbench.messages import (
    Amount,
    Count,
    Label,
    Listed,
    Message,
    Number,
    Span,
    Term,
    as_message,
    estimated,
    join,
    say,
)
from workbench.methods.intervals import require_level
from workbench.methods.resampling import Rng, require_resamples
from workbench.result import Decision, Quantity, Result, Tile
from workbench.studies.observational.fewclusters import INFERENCES, Cells, ClusterTest, Panel, compare
from workbench.studies.observational.panel import read_panel
from workbench.words import direction, label

Inference = Literal["wild bootstrap", "randomisation"]

FEWEST_FOR_WILD = 5
ALARM = 0.05


@dataclass(frozen=True)
class DidEffect(Result):
    """Effect of a rollout per unit and period on the units that got it, since they got it.

    Attributes
    ----------
    estimate, se, low, high, p_value : float
        In units of the outcome; se is NaN under randomisation, ends are infinite where the test refuses no value.
    by_period : DataFrame
        One row a period relative to the start (0 = first treated): estimate, low, high (together they hold the
        truth at `level`), units. Period -1 is the base and has none.
    by_start : DataFrame
        One row a start: units, their weight, and the mean effect since.
    pretrend_p : float
        Of the joint test that treated and control moved alike before; NaN where there is one period before only.
    treated_clusters, control_clusters : int
        Clusters that got it within the panel, and those that never did within it.
    doubts : tuple of str
        Reasons why this is not the rollout's effect; () where none was found.
    set_aside : dict of str to int
        What has no part in the estimate: units treated from the first period on, units that only served to compare,
        periods in which nobody was left to compare with.
    per : str
        What an amount of the outcome is of: "customer and month".
    """

    estimate: float
    se: float
    low: float
    high: float
    p_value: float
    by_period: pd.DataFrame
    by_start: pd.DataFrame
    pretrend_p: float
    treated_clusters: int
    control_clusters: int
    inference: Inference
    level: float
    outcome: str
    unit_of_outcome: str = ""
    campaign: str = ""
    doubts: tuple[Message, ...] = ()
    set_aside: dict[Message, int] = field(default_factory=dict)
    per: str = ""

    NAME, CHART = "months", say("Dots with intervals by period, before and since the start")
    FORMATS = dict.fromkeys(["estimate", "low", "high"], "{:.2f}")
    CAPTION = "Average effect, and by period from the start (negative: before it)."

    def headline(self) -> Message:
        """Say what the rollout changed, on what comparison it rests, or why it cannot be said."""
        effect = Amount(self.estimate, unit=self.unit_of_outcome, signed=True)
        if self.doubts:
            return join(
                say("Not answerable: {reason}.", reason=self.doubts[0]),
                say("The difference ({effect}) is not the rollout's effect.", effect=effect),
            )
        found: dict[str, Any] = {"outcome": Label(self.outcome), "effect": self._effect()}
        basis = say("Compared, assuming parallel trends: {basis}.", basis=self._basis())
        shown = direction(self.low, self.high)
        if not shown:
            return join(say("No evidence that the rollout changed {outcome}: {effect}.", **found), basis)
        if shown > 0:
            lead = say(
                "The rollout raised {outcome} by {effect}, if those areas would otherwise have moved like others.",
                **found,
            )
        else:
            lead = say(
                "The rollout lowered {outcome}, if those areas would otherwise have moved like others: {effect}.",
                **found,
            )
        return join(lead, basis)

    def _effect(self) -> Message:
        said = estimated(Amount(self.estimate, unit=self.unit_of_outcome, signed=True), self.low, self.high)
        return say("{effect} per {each}", effect=said, each=Term(self.per)) if self.per else said

    def tiles(self) -> tuple[Tile, ...]:
        """Give the effect, that of the last period, and how many got it; none where it is not the rollout's."""
        last = self.by_period.iloc[-1]
        if self.doubts or not np.isfinite([self.low, self.high]).all():
            return ()
        unit = {"outcome": Label(self.outcome), "unit": Term(self.unit_of_outcome or "units of the outcome")}
        what = say("effect on {outcome}, {unit}", **unit)
        if self.per:
            what = say("effect on {outcome}, {unit} per {each}", each=Term(self.per), **unit)
        tiles = [Tile(what, Number(self.estimate, signed=True), Span(self.low, self.high))]
        if last["period"] > 0 and np.isfinite([last["low"], last["high"]]).all():
            latest = say("effect in the last period")
            tiles.append(Tile(latest, Number(last["estimate"], signed=True), Span(last["low"], last["high"])))
        who = say("areas with it ({others} without)", others=self.control_clusters)
        return (*tiles, Tile(who, Count(self.treated_clusters)))

    def decision(self) -> Decision:
        """Say whether to extend the rollout, of whose outcome more is better, and at which cost."""
        drawn = say("Choose the next areas at random: that needs no such assumption.")
        if self.doubts:
            nothing = say("Decide nothing on this comparison: it cannot be answered.")
            return Decision((nothing, drawn), say("a comparison with others that moved alike before the start."))
        shown = direction(self.low, self.high)
        alike = say("an earlier trend, or another event there.")
        if shown > 0:
            least = Amount(self.low, unit=self.unit_of_outcome)
            extend = say("Extend the rollout only where it costs less than {least}.", least=least)
            if self.per:
                extend = say(
                    "Extend the rollout only where it costs less than {least} per {each}.",
                    least=least,
                    each=Term(self.per),
                )
            return Decision((extend, drawn), alike)
        if shown < 0:
            return Decision((self.say("Do not extend the rollout: it lowered {outcome}."), drawn), alike)
        none = self.say("Do not extend the rollout on this evidence: that it changed {outcome} is not shown.")
        return Decision((none, drawn), say("more periods or places, with an interval that lies above 0."))

    def _basis(self) -> Message:
        """Say what is compared, whether trends before were alike, and what is left out."""
        trend = say("trends before could not be tested")
        if not math.isnan(self.pretrend_p):
            p = Number(self.pretrend_p, ".2g")
            trend = say("trends before do not differ significantly, p = {p}", p=p)
        basis = say(
            "{treated} treated and {control} other clusters; {trend}",
            treated=self.treated_clusters,
            control=self.control_clusters,
            trend=trend,
        )
        if not self.set_aside:
            return basis
        aside = (say("{n} {what}", n=count, what=as_message(what)) for what, count in self.set_aside.items())
        return say("{basis}; set aside: {aside}", basis=basis, aside=Listed(tuple(aside), ""))

    def summary(self) -> pd.DataFrame:
        """Tabulate the effect on average and by period since the start."""
        average = pd.DataFrame(
            {"period": ["average"], "estimate": [self.estimate], "low": [self.low], "high": [self.high]}
        )
        average["units"] = int(self.by_start["units"].sum())
        return pd.concat([average, self.by_period.astype({"period": object})], ignore_index=True)

    def picture_caption(self) -> Message:
        """Say what the picture shows."""
        return self.say(
            "Effect on {outcome} by period from the start, {unit}, with {level} intervals.",
            unit=Term(self.unit_of_outcome or "units of the outcome"),
        )

    def quantities(self) -> Iterable[Quantity]:
        """Name the effect and the test of the trends before; none where it is not the rollout's."""
        if self.doubts or not np.isfinite([self.low, self.high]).all():
            return
        where = label(self.campaign, outcome=self.outcome)
        yield Quantity(f"did{where}", self.estimate, self.unit_of_outcome or "1", self.low, self.high)
        if np.isfinite(self.pretrend_p):
            yield Quantity(f"did_pretrend_p{where}", self.pretrend_p, "1")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the difference by period since the start, with its band; before the start it should be none."""
        ax = axes(ax)
        table = self.by_period
        ax.axhline(0, color="0.6", linewidth=1)
        ax.axvline(-0.5, color="0.6", linewidth=1, linestyle=":")
        for before, color in ((True, "0.5"), (False, "C0")):
            rows = table[(table["period"] < 0) == before]
            ax.vlines(rows["period"], rows["low"], rows["high"], color=color, linewidth=1.5)
            ax.plot(rows["period"], rows["estimate"], "o", color=color, markersize=4)
        ax.plot([-1], [0], "o", color="0.5", markersize=5, fillstyle="none")
        ax.set_xlabel("periods since the rollout (−1 = base)")
        outcome: Label | Message = Label(self.outcome)
        if self.unit_of_outcome:
            outcome = say("{outcome} ({unit})", outcome=outcome, unit=Term(self.unit_of_outcome))
        ax.set_ylabel(say("treated − control, {outcome}", outcome=outcome))
        return ax


def difference_in_differences(
    panel: pd.DataFrame,
    *,
    unit: str,
    period: str,
    treated_from: str,
    outcome: str,
    weight: str | None = None,
    clusters: str | None = None,
    level: float = 0.95,
    inference: Inference | None = None,
    resamples: int = 1_999,
    rng: Rng = 0,
    unit_of_outcome: str = "",
    per: str = "",
    campaign: str = "",
) -> DidEffect:
    """Estimate what a rollout changed in the units that got it, from those that had not got it yet.

    Each start date is compared, period by period, with the units not yet treated, both as changes since the last period
    before that start (group-time effects); these are averaged by weight. Regression with unit and period effects, which
    compares late starters with early ones, is biased where effects grow, and is not used.

    Parameters
    ----------
    panel : DataFrame
        One row a unit and period, without gaps.
    unit, period : str
        Columns; periods are numbers, dates, or text that sorts in time ("2025-03"), and follow each other.
    treated_from : str
        Column with the first treated period of the unit, written as `period` is; missing (or infinite) for those that
        never were treated. A period after the last stands for not within the panel. Earlier than the first is refused:
        it may be a code for "never" as well as for "always"; units treated all along have the first period.
    outcome : str
        Numeric column, complete.
    weight : str, optional
        Column with the size of a unit (customers); its mean over the periods before anybody was treated counts.
    clusters : str, optional
        Column of the level at which the rollout was decided, where it is above the unit.
    level : float
        Coverage of the intervals, 0-1.
    inference : {"wild bootstrap", "randomisation"}, optional
        The first is the default with 5 clusters or more on each side; else starts are permuted over clusters.
    unit_of_outcome, per, campaign : str
        For the words and the quantities; `per` what an amount is of, for instance "customer and month".

    Raises
    ------
    WorkbenchError
        If a column or a cell of the panel is missing, a start varies within a unit or cluster, is no period, or lies
        before the first.
    CannotAnswer
        If the outcome does not vary, fewer than 4 clusters are there, all of them start at once, or none has a period
        before its start.

    References
    ----------
    Callaway and Sant'Anna (2021), Journal of Econometrics 225. Cameron, Gelbach and Miller (2008), REStat 90.
    Webb (2023), Canadian Journal of Economics 56. MacKinnon and Webb (2020), Journal of Econometrics 218.

    Examples
    --------
    >>> rows = [(u, t, 3.0 * u + t + 5 * (u < 4) * t) for u in range(8) for t in (0, 1)]
    >>> table = pd.DataFrame(rows, columns=["province", "month", "revenue"])
    >>> table["start"] = table["province"].map(lambda u: 1.0 if u < 4 else None)
    >>> columns = {"unit": "province", "period": "month", "treated_from": "start", "outcome": "revenue"}
    >>> difference_in_differences(table, **columns).estimate
    5.0
    """
    require_level(level)
    require_resamples(resamples, 20)
    data, set_aside = read_panel(panel, unit, period, treated_from, outcome, weight, clusters)
    cells = compare(data)
    got = data.start < len(data.periods)
    treated, control = (len(np.unique(data.cluster[kind])) for kind in (got, ~got))
    if inference is None:
        inference = "wild bootstrap" if min(treated, control) >= FEWEST_FOR_WILD else "randomisation"
    elif inference not in INFERENCES:
        raise unknown("inference", inference, INFERENCES)
    test = INFERENCES[inference](data, cells, resamples, rng)
    low, high = test.interval(1 - level)
    bend = test.joint(cells.relative < -1) if test.varies else np.nan
    doubts = _doubts(test, cells, bend, level, outcome, treated, treated + control)
    half = test.band(level)
    by_period = pd.DataFrame({"period": cells.relative, "estimate": test.estimates[1:]})
    by_period["low"], by_period["high"] = by_period["estimate"] - half, by_period["estimate"] + half
    by_period["units"] = [int(np.isin(data.start, cells.start[row > 0]).sum()) for row in cells.add[1:]]
    return DidEffect(
        estimate=float(test.estimates[0]),
        se=test.se,
        low=low,
        high=high,
        p_value=test.p(0.0),
        by_period=by_period,
        by_start=_by_start(data, cells, test.each),
        pretrend_p=bend,
        treated_clusters=treated,
        control_clusters=control,
        inference=inference,
        level=level,
        outcome=outcome,
        unit_of_outcome=unit_of_outcome,
        per=per,
        campaign=campaign,
        doubts=doubts,
        set_aside=set_aside,
    )


def _doubts(
    test: ClusterTest, cells: Cells, bend: float, level: float, outcome: str, treated: int, clusters: int
) -> tuple[Message, ...]:
    """Say what forbids to call the difference an effect of the rollout; `bend` is the p of trends apart before it."""
    doubts = []
    if not test.varies:
        doubts.append(
            say(
                "{outcome} moved by exactly as much in all units of a kind, so nothing shows how much chance moves it",
                outcome=Label(outcome),
            )
        )
    elif bend < ALARM:
        before = np.flatnonzero(cells.relative < -1)
        worst = -cells.relative[before[np.abs(test.estimates / test.scale)[1:][before].argmax()]]
        doubts.append(
            say(
                "treated and control moved apart already before the rollout, most between {periods} periods before it "
                "and the last (joint test p = {p})",
                periods=worst,
                p=Number(bend, ".2g"),
            )
        )
    if len(test.noise) < 1 / (1 - level):
        doubts.append(
            say(
                "{treated} of {all} clusters got it, which has only {permutations} permutations, so even the largest "
                "difference has p = {p}",
                treated=treated,
                all=clusters,
                permutations=len(test.noise),
                p=Number(1 / len(test.noise), ".2g"),
            )
        )
    return tuple(doubts)


def _by_start(data: Panel, cells: Cells, each: np.ndarray) -> pd.DataFrame:
    rows = []
    for start in np.unique(cells.start):
        own, since = data.start == start, (cells.start == start) & (cells.period >= start)
        rows.append((data.periods[start], int(own.sum()), float(data.weight[own].sum()), float(each[since].mean())))
    return pd.DataFrame(rows, columns=["start", "units", "weight", "estimate"])
