"""What did a campaign change for those it reached, when contact was not randomised, if that can be said?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from workbench.errors import WorkbenchError
from workbench.figures import Axes, axes, legend
from workbench.messages import Amount, Label, Listed, Message, Number, Share, Span, Term, estimated, join, say, spelt
from workbench.methods.experiment.effect import Interval
from workbench.methods.experiment.events import all_alike, unanswerable
from workbench.methods.experiment.means import cluster_codes
from workbench.methods.experiment.members import arms, indicator_columns, numbers
from workbench.methods.intervals import require_level
from workbench.methods.resampling import Rng, one_thread
from workbench.result import Decision, Quantity, Result, Tile
from workbench.studies.observational.adjustment import Adjusted, adjusted, who
from workbench.studies.observational.doubts import (
    NOTABLE,
    balance_of,
    doubts_about,
    effect_of,
    placebos_of,
    splits_decide,
)
from workbench.studies.observational.sensitivity import Sensitivity, measured
from workbench.words import direction, label

BENCHMARKS = 5
MORE = 4


@dataclass(frozen=True)
class TreatedEffect(Result):
    """Effect of contact on the contacted who have comparable controls, as far as recorded covariates tell.

    Attributes
    ----------
    estimate, se, low, high, p_value : float
        In units of the outcome.
    mean_treated, mean_without : float
        What the contacted inside the overlap did, and would have done without contact.
    relative : Interval
        Effect as a share of `mean_without`; NaN where that is not above 0.
    overlap_share : float
        Share of the treated whose chance of contact is at most the limit: the effect is on these.
    outside : str
        Who the other treated are, in words; "" if there are none.
    inside : Series of bool
        By member: inside the overlap.
    effective_controls : float
        Number of equally weighted controls that would tell as much (Kish).
    balance : DataFrame
        One row a covariate or category: standardised difference `before` and `after` weighting, inside the overlap.
    placebo : DataFrame
        One row an outcome that contact cannot have changed: estimate, low, high, p (after Holm).
    sensitivity : Sensitivity
        What would have to be true for the effect to vanish.
    doubts : tuple of str
        Reasons why it is not answerable; () where none was found.
    """

    estimate: float
    se: float
    low: float
    high: float
    p_value: float
    mean_treated: float
    mean_without: float
    relative: Interval
    n_treated: int
    n_control: int
    overlap_share: float
    outside: str
    inside: pd.Series
    effective_controls: float
    balance: pd.DataFrame
    placebo: pd.DataFrame
    sensitivity: Sensitivity
    level: float
    outcome: str
    binary: bool
    unit: str = ""
    campaign: str = ""
    doubts: tuple[Message, ...] = ()

    NAME, PICTURE, CHART = "treated", "balance_after", say("Hollow and full dots, a row a trait")
    FORMATS = dict.fromkeys(["value", "low", "high"], "{:.3f}")
    PICTURE_CAPTION = "Differences between contacted and others before the campaign, as they were and after weighting."

    def headline(self) -> Message:
        """Say the effect and on whom, under which assumption, or why it cannot be said."""
        if self.doubts:
            return join(
                say("Not answerable: {reason}.", reason=self.doubts[0]),
                self.say("The adjusted difference in {outcome} is not the effect."),
            )
        lead = say("{claim}, if chance alone chose among customers alike in everything recorded.", claim=self._claim())
        assumed = say("Assumed: contact was as good as random among members alike in all recorded covariates.")
        return join(lead, assumed)

    @property
    def _overlap(self) -> Share:
        return Share(self.overlap_share if self.overlap_share == 1 else min(self.overlap_share, 0.999))

    def _claim(self) -> Message:
        whom, shown = say("the contacted"), self._shown()
        if self.overlap_share != 1:
            whom = say("the {share} of the contacted with comparable controls", share=self._overlap)
        effect = estimated(Amount(self.estimate, self.binary, self.unit, signed=True), self.low, self.high)
        found: dict[str, Any] = {"outcome": Label(self.outcome), "whom": whom, "effect": effect}
        if not shown:
            return say("No evidence that contact changed {outcome} of {whom}: {effect}", **found)
        if shown > 0:
            return say("Contact raised {outcome} of {whom} by {effect}", **found)
        return say("Contact lowered {outcome} of {whom}: {effect}", **found)

    def _shown(self, least: float = 0.0) -> int:
        """Say on which side of `least` the interval lies, as it is printed: 1 above, -1 below, 0 neither."""
        scale = 100 if self.binary else 1
        return direction(scale * (self.low - least), scale * (self.high - least))

    def tiles(self) -> tuple[Tile, ...]:
        """Give the effect, also as a share, on how many it is, and what would undo it; none where not answerable."""
        if self.doubts:
            return ()
        scale, unit = (100, "percentage points") if self.binary else (1, self.unit or "units of the outcome")
        what = self.say("effect on {outcome}, {unit} a contacted member", unit=Term(unit))
        tiles = [Tile(what, Number(scale * self.estimate, signed=True), Span(scale * self.low, scale * self.high))]
        share, low, high = 100 * np.array([self.relative.estimate, self.relative.low, self.relative.high])
        if np.isfinite([share, low, high]).all():
            what = say("effect in %")
            tiles.append(Tile(what, Number(share, signed=True), Span(low, high)))
        tiles.append(Tile(say("contacted members with others like them"), self._overlap))
        if self.sensitivity.near:
            what = say("what an unrecorded cause must explain to undo it")
            tiles.append(Tile(what, Share(self.sensitivity.robustness)))
        return tuple(tiles)

    def decision(self, *, break_even: float | None = None) -> Decision:
        """Say whether to go on with the contact, of whose outcome more is better.

        Parameters
        ----------
        break_even : float, optional
            Effect a contacted member that pays the costs of contact; without it that is not known.
        """
        control = say("Keep a random control group next time: it needs no such assumption.")
        if self.doubts:
            nothing = say("Decide nothing on this comparison: it cannot be answered.")
            return Decision((nothing, control), say("a repeat with a random control group."))
        bar = break_even or 0.0
        least = Amount(bar, self.binary, self.unit)
        pays = say("A contact pays from {least} a contacted member on.", least=least)
        change = say("a random control group, or an unrecorded cause of contact.")
        if break_even is None and self._shown() > 0:
            on = self.say("Go on with this contact only if what it adds in {outcome} is worth its cost.")
            return Decision((on, control), change)
        if self._shown(bar) > 0:
            return Decision((say("Go on with this contact, as far as the comparison holds."), pays, control), change)
        if self._shown() < 0:
            stop = self.say("Stop this contact: it lowered {outcome}.")
        elif self._shown(bar) < 0:
            stop = say("Do not go on with this contact: it brings less than it costs.")
        else:
            stop = say("Do not extend this contact on this evidence: that it pays is not shown.")
        return Decision((stop, *([] if break_even is None else [pays]), control), change)

    def summary(self) -> pd.DataFrame:
        """Tabulate the effect, the means and the placebos."""
        nan = np.nan
        rows = [
            ("effect on the treated", self.estimate, self.low, self.high),
            ("relative effect", self.relative.estimate, self.relative.low, self.relative.high),
            ("mean of the treated", self.mean_treated, nan, nan),
            ("mean without contact", self.mean_without, nan, nan),
            ("share of the treated inside the overlap", self.overlap_share, nan, nan),
            ("effective controls", self.effective_controls, nan, nan),
            *(
                (say("placebo {outcome}", outcome=spelt(row.outcome)), row.estimate, row.low, row.high)
                for row in self.placebo.itertuples()
            ),
        ]
        return pd.DataFrame(rows, columns=["estimate of", "value", "low", "high"])

    def caption(self) -> Message:
        """Say what the table shows."""
        what: Label | Message = Label(self.outcome)
        if self.unit and not self.binary:
            what = say("{outcome} ({unit})", outcome=what, unit=Term(self.unit))
        return say(
            "Effect on {outcome} of the contacted per member, what it rests on, and the effects on what contact cannot "
            "have changed.",
            outcome=what,
        )

    def before(self) -> Message:
        """Say what the placebos show: where no effect can be, none should be found."""
        found = tuple(
            say("{outcome} {effect}", outcome=Label(row.outcome), effect=effect_of(row))
            for row in self.placebo.itertuples()
        )
        none = (say("no placebo was given"),)
        return say("Placebos, where no effect can be: {found}.", found=Listed(found or none, ";"))

    def quantities(self) -> Iterable[Quantity]:
        """Name the effect, the overlap and the effective controls; none where it is not answerable."""
        if self.doubts:
            return
        where, unit = label(self.campaign, outcome=self.outcome), "share" if self.binary else self.unit or "1"
        yield Quantity(f"effect_on_treated{where}", self.estimate, unit, self.low, self.high, rtol=1e-4)
        yield Quantity(f"overlap_share{where}", self.overlap_share, "share", rtol=1e-3)
        yield Quantity(f"effective_controls{where}", self.effective_controls, "members", rtol=1e-3)
        yield from self.sensitivity.quantities()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the standardised differences before and after weighting, the largest before on top."""
        ax = axes(ax)
        table = self.balance.head(30).iloc[::-1]
        rows = np.arange(len(table))
        ax.axvspan(-NOTABLE, NOTABLE, color="0.92", zorder=0)
        ax.axvline(0, color="0.6", linewidth=1)
        ax.hlines(rows, table["before"], table["after"], color="0.8", linewidth=1)
        ax.plot(table["before"], rows, "o", color="0.5", markersize=4, fillstyle="none", label="as contacted")
        ax.plot(table["after"], rows, "o", color="C0", markersize=4, label="controls weighted")
        ax.set_yticks(rows, [Label(str(name)).said() for name in table["covariate"]])
        ax.set_xlabel("treated − control before the campaign (standard deviations)")
        legend(ax, 2)
        return ax


def effect_on_treated(
    members: pd.DataFrame,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    placebo: str | Sequence[str] = (),
    clusters: str | None = None,
    most_likely: float = 0.9,
    draws: int = 5,
    folds: int = 5,
    level: float = 0.95,
    rng: Rng = 0,
    unit: str = "",
    campaign: str = "",
) -> TreatedEffect:
    """Estimate what contact changed for those contacted by rule or by choice, by controls weighted to be like them.

    Doubly robust: right if either the chance of contact or the outcome without contact is modelled well. "Not
    answerable" where the overlap holds fewer than 100 effective controls or 30% of the treated, a covariate stays
    more than 0.1 standard deviations apart, the interplay of two stays unmodelled, or a placebo shows an effect.

    Parameters
    ----------
    members : DataFrame
        One row a member; contacted and not contacted.
    outcome : str
        Numeric column, complete.
    treatment : str
        Column of 0/1, booleans, or names of two arms of which one is "control".
    covariates : sequence of str
        Everything known before assignment that may drive both contact and outcome; whatever the rule used above all.
    placebo : str or sequence of str
        Outcomes that contact cannot have changed: of a period before, or negative controls. Each is left out of the
        covariates when its own effect is estimated, so its other causes must be among them.
    clusters : str, optional
        Column of the unit within which members are alike (household, shop).
    most_likely : float
        Members whose chance of contact is above this have no comparable controls: they are left out, and the
        effect is that on the rest.
    draws, folds : int
        Models are fitted to the other folds; the median over this many splits into folds is given, its spread is part
        of the interval. Where two standard errors of that median reach across a limit of the verdict, four times as
        many are drawn; an answer that still depends on the split is refused.
    level : float
        Coverage of the intervals, 0-1.
    unit, campaign : str
        For the words and the quantities.

    Raises
    ------
    WorkbenchError
        If a column is missing or not numeric, or covariates are empty.
    CannotAnswer
        If the outcome is the same for all, arms are too small, or no contacted member has comparable controls.

    Warnings
    --------
    Nothing here sees a cause that is not recorded: read `.sensitivity` before acting.

    References
    ----------
    Robins, Rotnitzky and Zhao (1994), JASA 89. Chernozhukov et al. (2018), Econometrics Journal 21. Crump, Hotz,
    Imbens and Mitnik (2009), Biometrika 96. Cinelli and Hazlett (2020), JRSS B 82. VanderWeele and Ding (2017),
    Annals of Internal Medicine 167. Zhao, Small and Bhattacharya (2019), JRSS B 81.
    """
    covariates, placebos = list(covariates), [placebo] if isinstance(placebo, str) else list(placebo)
    if not covariates:
        raise WorkbenchError("covariates is empty: without them nothing makes members comparable who were not drawn.")
    if outcome in [*covariates, *placebos]:
        raise WorkbenchError("the outcome '{outcome}' is also a covariate or placebo: it came after the contact.").of(
            outcome
        )
    require_level(level)
    if draws < 1 or not 0.5 <= most_likely < 1:
        raise WorkbenchError(
            "draws is {draws} and most_likely is {most_likely}: give 1 or more, and a share from 0.5 on."
        ).of(draws, most_likely)
    treated, y = arms(members, treatment), numbers(members, outcome)
    if (y == y[0]).all():
        raise unanswerable(all_alike(outcome, len(y)))
    group = cluster_codes(members, clusters)
    how: dict[str, Any] = {"trees": True, "group": group, "draws": draws, "folds": folds}
    how |= {"most_likely": most_likely, "rng": rng}
    with one_thread():
        found, tests = _fitted(members, covariates, y, treated, placebos, how)
        if draws > 1 and splits_decide(found, tests, treated, level):
            how["draws"] = MORE * draws
            found, tests = _fitted(members, covariates, y, treated, placebos, how)
        balance = balance_of(indicator_columns(members, covariates), covariates, treated, found)
        plain, strongest = {**how, "draws": 1, "trees": False}, list(dict.fromkeys(balance["of"]))[:BENCHMARKS]
        sets = {"": covariates} | {n: [c for c in covariates if c != n] for n in strongest if covariates[1:]}
        shorter = {name: adjusted(members, kept, y, treated, **plain) for name, kept in sets.items()}
    return _answer(
        members,
        covariates,
        y,
        treated,
        found,
        tests,
        balance,
        shorter,
        level=level,
        outcome=outcome,
        unit=unit,
        campaign=campaign,
        clusters=0 if group is None else int(group.max()) + 1,
        most_likely=most_likely,
    )


def _fitted(
    members: pd.DataFrame, covariates: list[str], y: np.ndarray, treated: np.ndarray, placebos: list[str], how: dict
) -> tuple[Adjusted, dict[str, Adjusted]]:
    """Adjust the outcome, and each placebo for all covariates but itself."""
    tests = {}
    for name in placebos:
        rest = [c for c in covariates if c != name]
        tests[name] = adjusted(members, rest, numbers(members, name, role="placebo"), treated, **how)
    return adjusted(members, covariates, y, treated, **how), tests


def _answer(
    members: pd.DataFrame,
    covariates: list[str],
    y: np.ndarray,
    treated: np.ndarray,
    found: Adjusted,
    tests: dict[str, Adjusted],
    balance: pd.DataFrame,
    shorter: dict[str, Adjusted],
    *,
    level: float,
    clusters: int,
    most_likely: float,
    outcome: str,
    **words: str,
) -> TreatedEffect:
    effective = 1 / float((found.weight**2).sum())
    overlap = float(found.inside[treated].mean())
    df = (clusters or min(effective, (found.inside & treated).sum())) - 1
    placebo = placebos_of(tests, df, level)
    outside = who(members, covariates, treated, treated & ~found.inside)
    doubts = doubts_about(
        found, overlap, effective, outside, balance, placebo, outcome=outcome, most_likely=most_likely
    )
    se, t = math.sqrt(found.variance), float(stats.t.isf((1 - level) / 2, df))
    low, high = found.estimate - t * se, found.estimate + t * se
    base = found.mean_treated - found.estimate
    relative = Interval(*(np.array([found.estimate, low, high]) / base if base > 0 and y.min() >= 0 else [np.nan] * 3))
    return TreatedEffect(
        estimate=found.estimate,
        se=se,
        low=low,
        high=high,
        p_value=float(2 * stats.t.sf(abs(found.estimate) / se, df)) if se > 0 else float(found.estimate == 0),
        mean_treated=found.mean_treated,
        mean_without=base,
        relative=relative,
        n_treated=int(treated.sum()),
        n_control=int((~treated).sum()),
        overlap_share=overlap,
        outside=outside,
        inside=pd.Series(found.inside, index=members.index, name="inside"),
        effective_controls=effective,
        balance=balance.drop(columns="of"),
        placebo=placebo,
        sensitivity=measured(found, shorter, low, high, relative, outcome, words["campaign"]),
        level=level,
        outcome=outcome,
        binary=bool(np.isin(y, (0.0, 1.0)).all()),
        doubts=doubts,
        **words,
    )
