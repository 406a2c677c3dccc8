"""What is contacting the best share worth in money, and is it better than contacting everybody?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer
from workbench.figures import Axes, axes
from workbench.glossary import break_even
from workbench.messages import (
    Amount,
    Label,
    Listed,
    Message,
    Number,
    Share,
    Span,
    Term,
    as_message,
    estimated,
    join,
    say,
)
from workbench.methods.experiment.assignment import assign_arms
from workbench.methods.experiment.checks import CampaignChecks
from workbench.methods.experiment.effect import Interval
from workbench.methods.experiment.events import Outcome, ends
from workbench.methods.experiment.means import expected_outcome
from workbench.methods.experiment.members import CONTROL, CROSSED, arms, crossed, numbers, scores
from workbench.methods.intervals import require_level
from workbench.methods.resampling import Rng, require_resamples
from workbench.result import Decision, Quantity, Result, Table, Tile
from workbench.studies.uplift.bins import ScoreBins, prefixes, resampled_curves, score_bins
from workbench.studies.uplift.policy import Assessed, Costs, Judge, Rows, assessed, best_share, policy, require_costs
from workbench.studies.uplift.verdict import Verdict, doubts_of, flags_of, verdict_of
from workbench.words import label

_SAID = {
    "works and targetable": say("Choosing whom to contact pays"),
    "works, contact everybody": say("Contact pays, and for everybody"),
    "works, contact the best share": say("Contact pays, but only for a part of the list"),
    "no evidence": say("No evidence that contact pays"),
    "harms": say("Contact loses money"),
    "not answerable": say("Not answerable"),
}


@dataclass(frozen=True)
class Targeting(Result):
    """Net money per customer of the list by the share contacted, the best share, and the verdict.

    Money is per customer of the whole list, against contacting nobody: margin on the extra outcome, less the cost of
    contact, less the incentive of all who redeem it (also of those who would have bought anyway), less fixed cost.

    Attributes
    ----------
    curve : DataFrame
        share (0-1), net, low, high, money per customer of the list; the
        band holds at each share, and is NaN where too few of the best share bought.
    best_share, best_share_low, best_share_high : float
        Share with the highest net on the curve, and the lowest and highest share that the data cannot tell from the
        best (a confidence set, so the interval is wide where the curve is flat).
    net, net_low, net_high : float
        Net of contacting those above a cut, each fifth of the list judged at the cut that the fifths before it chose:
        free of the optimism of the curve's own maximum. Ends are NaN where too few of those contacted bought,
        nobody would be, or the score comes from crossed folds.
    everybody, advantage : Interval
        Net of contacting everybody, and how much more targeting earns than that on the members it is judged on.
    break_even : float
        Effect on the outcome at which contacting a member pays its own costs.
    verdict : Verdict
    reasons : tuple of str
        Why, each a sentence.
    """

    curve: pd.DataFrame
    best_share: float
    best_share_low: float
    best_share_high: float
    net: float
    net_low: float
    net_high: float
    everybody: Interval
    advantage: Interval
    break_even: float
    verdict: Verdict
    reasons: tuple[Message, ...]
    customers: int
    level: float
    outcome: str
    currency: str = "yuan"
    campaign: str = ""

    NAME, CHART = "money", say("A curve with its band, its top marked")
    FORMATS = dict.fromkeys(["value", "low", "high"], "{:,.2f}")
    CAPTION = (
        "Shares, money per customer of the list, and the effect at which a contact pays. The best share and its lead "
        "are judged on the members who did not set it: its lead is its net less the last row."
    )

    @property
    def lost(self) -> tuple[float, float, float]:
        """Money that contacting everybody leaves on the table, for the whole list; with its interval."""
        estimate, low, high = astuple(self.advantage)
        return estimate * self.customers, low * self.customers, high * self.customers

    def headline(self) -> Message:
        """Say the verdict with its money."""
        first, *rest = map(as_message, self.reasons)
        lead = say("{verdict}: {reason}.", verdict=_SAID[self.verdict], reason=first)
        return join(lead, say("{reasons}.", reasons=Listed(tuple(rest), ";")).sentence() if rest else say(""))

    def tiles(self) -> tuple[Tile, ...]:
        """Give what the best share nets and how much more that is than contacting everybody, else what everybody nets.

        Never all three: the lead is judged on fewer members than everybody's net, so the three do not add up.
        """
        unit, chosen = Term(self.currency), Interval(self.net, self.net_low, self.net_high)
        figures = (
            (say("net from the best {share}, {unit} per customer", share=self._best, unit=unit), chosen),
            (say("more than from everybody, {unit} per customer", unit=unit), self.advantage),
            (say("net from everybody, {unit} per customer", unit=unit), self.everybody),
        )
        known = [(what, found) for what, found in figures if np.isfinite([found.low, found.high]).all()]
        shown = known[:2] if known[1:2] and known[1][1] is self.advantage else known
        return tuple(Tile(w, Number(f.estimate, "+,.2f"), Span(f.low, f.high)) for w, f in shown)

    @property
    def _best(self) -> Share:
        return Share(self.best_share, 0)

    def decision(self) -> Decision:
        """Say whom to contact next time, what that brings, and what would change it."""
        share, again = {"share": self._best}, say("a repeat with arms drawn at random and enough members.")
        if self.verdict == "not answerable":
            nothing = say("Contact nobody on the strength of this campaign: whether it pays is not answerable.")
            return Decision((nothing, say("Repeat it with arms drawn at random and enough members.")), again)
        everybody = _money(self.everybody, self.currency)
        lost = say("a repeat whose net per customer is not above 0.")
        if self.verdict == "works and targetable":
            who = say("Contact the best {share} of the list; spare a random part.", **share)
            gain = self.say("Expect {net} {currency} per customer of the list.", net=Number(self.net, "+,.2f"))
            return Decision((who, gain), say("a repeat that does not beat contacting everybody, or nobody."))
        if self.verdict == "works, contact everybody":
            who = say("Contact everybody on the list, and hold out a random part as control.")
            gain = say("Expect {net} per customer; choosing the best is not shown to earn more.", net=everybody)
            return Decision((who, gain), lost)
        if self.verdict == "works, contact the best share":
            who = say("Contact no more than the best {share}, and hold out a random part of them as control.", **share)
            best = _money(Interval(self.net, self.net_low, self.net_high), self.currency)
            gain = say("Expect {net} per customer of the list; contacting everybody is not shown to pay.", net=best)
            return Decision((who, gain), lost)
        wanted = self.say(
            "Test a cheaper contact, or another offer: each contact must add {least} in {outcome} to pay.",
            least=Number(self.break_even),
        )
        pays = say("a repeat whose net per customer lies above 0.")
        if self.verdict == "harms":
            stop = say("Stop this contact: contacting everybody nets {net} per customer.", net=everybody)
            return Decision((stop, wanted), pays)
        none = say("Contact nobody on this evidence: that it pays is not shown, for everybody or for the best.")
        return Decision((none, wanted), pays)

    def summary(self) -> pd.DataFrame:
        """Tabulate the best share and the money per customer of the list."""
        advantage = self.advantage.estimate
        rows = [
            ("best share of the list", self.best_share, self.best_share_low, self.best_share_high, "share"),
            ("net of contacting the best share", self.net, self.net_low, self.net_high, self.currency),
            ("net of contacting everybody", *astuple(self.everybody), self.currency),
            ("best share more than everybody", *astuple(self.advantage), self.currency),
            ("break-even effect", self.break_even, np.nan, np.nan, Label(self.outcome).said()),
            ("money lost by contacting everybody, whole list", *self.lost, self.currency),
            ("net of contacting everybody, on the members judged", self.net - advantage, np.nan, np.nan, self.currency),
        ]
        return pd.DataFrame(rows, columns=["estimate of", "value", "low", "high", "unit"])

    def picture_caption(self) -> Message:
        """Say what the picture shows."""
        return self.say(
            "Net by share contacted, {unit} per customer of the list, with {level} band. Its top is the budget, and "
            "flatters: the net of the best share above is judged on members who did not set the share.",
            unit=Term(self.currency),
        )

    def three_numbers(self, unit: str = "") -> Table:
        """Give what those read who read nothing else; `unit` is that of the outcome."""
        each = say("{unit} per customer", unit=Term(self.currency))
        units = [each, each, say("{unit} per member", unit=Term(unit) if unit else Label(self.outcome))]
        return Table(
            "three_numbers",
            self.summary().iloc[[1, 3, 4]].assign(unit=units),
            say(
                "Three numbers: what the best share earns, how much more that is than contacting everybody, and the "
                "effect at which a contact pays."
            ),
            self.FORMATS,
        )

    def target_share(self) -> float:
        """Give the share of the list to contact next time.

        Raises
        ------
        CannotAnswer
            If contacting the best share is not shown to earn more than contacting everybody.
        """
        if self.verdict != "works and targetable":
            raise CannotAnswer("no targets are named, as the verdict is '{verdict}'").of(Term(self.verdict))
        return self.best_share

    def next_list(
        self, members: pd.DataFrame, *, score: str, member: str, holdout: float, key: bytes | str, offer: str = ""
    ) -> pd.DataFrame:
        """List the members to contact next time, best first, and draw those of them who are held out.

        Parameters
        ----------
        members : DataFrame
            One row a member, with the columns `member` and `score`.
        holdout : float
            Share of the list for the arm "control", 0-1.
        key : bytes or str
            Of the draw, as for `assign_arms`.
        offer : str, optional
            What the members are offered, in words, for the arm "contact".

        Raises
        ------
        CannotAnswer
            As `target_share`.
        """
        best = members[members[score] >= members[score].quantile(1 - self.target_share())][[member, score]]
        shares, campaign = {CONTROL: holdout, "contact": 1 - holdout}, f"{self.campaign} again"
        drawn = assign_arms(best, member=member, shares=shares, campaign=campaign, key=key).members
        listed = best.merge(drawn[[member, "arm"]]).sort_values([score, member], ascending=False)
        return listed.assign(offer=np.where(listed["arm"] == CONTROL, "", offer)) if offer else listed

    def quantities(self) -> Iterable[Quantity]:
        """Name the best share and the money; none where the question is not answerable."""
        if self.verdict == "not answerable":
            return
        where = label(self.campaign)
        yield Quantity(f"best_share{where}", self.best_share, "share", self.best_share_low, self.best_share_high, 1e-2)
        yield Quantity(f"break_even{where}", self.break_even, self.currency)
        judged = {"net": (Interval(self.net, self.net_low, self.net_high), 1e-3)}
        judged |= {"net_everybody": (self.everybody, 1e-6), "advantage": (self.advantage, 1e-3)}
        for name, (found, rtol) in judged.items():
            if not np.isnan(found.low):
                yield Quantity(f"{name}{where}", found.estimate, self.currency, found.low, found.high, rtol)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw net money over the share contacted, with its band and the shares that may be best."""
        ax = axes(ax)
        share = 100 * self.curve["share"]
        ax.axhline(0, color="0.6", linewidth=1)
        ax.fill_between(share, self.curve["low"], self.curve["high"], alpha=0.2, linewidth=0)
        (line,) = ax.plot(share, self.curve["net"])
        ax.set_xlim(0, 100)
        ax.set_xlabel("share of the list contacted, best first (%)")
        ax.set_ylabel(self.say("net per customer of the list ({currency})"))
        if self.verdict == "not answerable":
            ax.annotate("not answerable", (0.5, 0.95), xycoords="axes fraction", ha="center", va="top")
            return ax
        best = int((self.curve["share"] - self.best_share).abs().argmin())
        at = share.iloc[best], self.curve["net"].iloc[best]
        ax.plot(*at, "o", color=line.get_color())
        low, high = Share(self.best_share_low, 0), Share(self.best_share_high, 0)
        text = say("best {share}\n(may be {low} to {high})", share=Share(self.best_share, 0), low=low, high=high)
        side = "right" if self.best_share > 0.5 else "left"
        ax.vlines(at[0], ax.get_ylim()[0], at[1], linestyle=":", color="0.5", linewidth=1)
        ax.set_ylim(ax.get_ylim()[0] - 0.12 * np.ptp(ax.get_ylim()), None)
        place = ((4 if side == "left" else -4), 4)
        ax.annotate(text, (at[0], 0), place, ("data", "axes fraction"), "offset points", ha=side, va="bottom")
        return ax


def targeting(
    members: pd.DataFrame,
    *,
    score: str | pd.Series,
    outcome: str,
    treatment: str,
    margin: float,
    contact_cost: float,
    incentive_cost: float = 0.0,
    response: str | None = None,
    responding: float | None = None,
    customers: int | None = None,
    fixed_cost: float = 0.0,
    adjust: Sequence[str] = (),
    checks: CampaignChecks | None = None,
    resamples: int = 1_000,
    level: float = 0.95,
    rng: Rng = 0,
    currency: str = "yuan",
    campaign: str = "",
) -> Targeting:
    """Decide whom to contact next time: nobody, everybody, or the members with the best scores.

    Parameters
    ----------
    members : DataFrame
        One row a member; both arms of a randomised campaign.
    score : str or Series
        Predicted effect from models that did not see the member, best of `predict_uplift(validation="sequential")`;
        high = contact first. No verdict rests on a Series of crossed predictions; a column cannot say how it was made.
    outcome : str
        Money the member brings within the window; or a 0/1 outcome, then `margin` is at most 1 unit a success.
    margin : float
        Share of the outcome that is earned, above 0 and at most 1.
    contact_cost : float
        Cost of contacting one member.
    incentive_cost : float
        Cost of the incentive for each contacted member who redeems it, as `response` tells.
    response : str, optional
        0/1 column of who redeemed; needed with incentive_cost.
    responding : float, optional
        Share of all contacted who redeemed, for the break-even, where these members are a part of them.
    customers : int, optional
        On the whole list, for its money, where these members are a part of it.
    fixed_cost : float
        Cost of the whole campaign, spread over the list, where anybody is contacted.
    adjust : sequence of str
        Columns known before assignment. What they predict of the outcome whatever the arm, by models that have not
        seen the member, is subtracted: the same answer in expectation, and a narrower band where they predict well.
    checks : CampaignChecks, optional
        Where they find the arms not comparable, the verdict is "not answerable".
    resamples, level, rng
        Of the intervals; `rng` draws the parts of the list, too.

    Raises
    ------
    WorkbenchError
        If margin is not in (0, 1], a cost is negative, incentive_cost lacks response, or a column cannot be used.

    Notes
    -----
    "works and targetable" is said where targeting earns more than both nobody and everybody, each by an interval
    above 0; "works, contact everybody" where contacting everybody earns and targeting is not shown to earn more;
    "works, contact the best share" where only targeting is shown to earn; "harms" where contacting everybody is shown
    to lose and targeting not shown to earn; else "no evidence". An interval counts as it is printed. A number has
    no interval, and no verdict rests on it, where the smaller arm would have fewer than 10 buyers by chance (20 where
    outcomes are adjusted, or below 0 for some).
    """
    require_costs(margin, contact_cost, incentive_cost, fixed_cost, response)
    require_level(level)
    require_resamples(resamples, 20)
    treated, y, order = arms(members, treatment), numbers(members, outcome), scores(members, score)
    redeemed = numbers(members, response, role="response") if response else np.zeros(len(y))
    customers = len(y) if customers is None else customers
    costs = Costs(margin, contact_cost, incentive_cost, fixed_cost / customers)
    plain = Rows(y, redeemed, treated)
    rows = Rows(y - expected_outcome(members, list(adjust), y, treated, rng), redeemed, treated) if adjust else plain
    measured = Outcome.of(y)
    measured = replace(measured, binary=False, amounts=False) if adjust else measured
    earned = margin * rows.y - incentive_cost * redeemed * treated
    values = np.column_stack([rows.y, redeemed])
    bins = score_bins(order, treated, values, judged=earned, events=measured.events, most=100)
    curve, drawn, highest = _curve(bins, costs, measured, resamples, level, rng)
    judge = Judge(rows, measured, costs, level, outcome)
    everyone = np.ones(len(y), dtype=bool)
    all_value, all_errors = policy(rows, everyone, costs)
    doubts = doubts_of(plain, measured, order, checks, outcome)
    everybody, why = Interval(all_value, np.nan, np.nan), say("")
    chosen = advantage = Interval(np.nan, np.nan, np.nan)
    if not doubts:
        everybody, _ = judge(all_value, all_errors, np.flatnonzero(everyone), len(y))
        chosen, advantage, why = _targeted(assessed(rows, order, costs, rng), judge)
        if crossed(score):
            chosen, advantage = (replace(found, low=np.nan, high=np.nan) for found in (chosen, advantage))
            why = CROSSED
    best, low, high = best_share(curve, drawn, level, highest)
    rate = float(redeemed[treated].mean()) if responding is None else responding
    verdict, reasons = verdict_of(doubts, chosen, everybody, advantage, why, best, currency)
    bar, said = break_even(margin, contact_cost, incentive_cost, rate), (*reasons, *flags_of(plain, costs))
    return Targeting(
        curve,
        best,
        low,
        high,
        chosen.estimate,
        chosen.low,
        chosen.high,
        everybody,
        advantage,
        bar,
        verdict,
        said,
        customers,
        level,
        outcome,
        currency,
        campaign,
    )


def _money(found: Interval, currency: str) -> Message:
    return estimated(Amount(found.estimate, unit=currency, signed=True), found.low, found.high)


def _targeted(found: Assessed, judge: Judge) -> tuple[Interval, Interval, Message]:
    """Net of the chosen and its lead over everybody, and why one of them has no interval ("" where both have)."""
    among = len(found.rows)
    if not found.chosen.any():
        why = say("in no part of the list did the parts before it show a share that pays")
        chosen = Interval(found.net, np.nan, np.nan)
    else:
        group, part = found.rows[found.chosen], found.part[found.chosen]
        chosen, few = judge(found.net, found.net_errors, group, among, part)
        why = say("of those it would contact, {few}", few=few) if few else few
    if found.chosen.all():
        return chosen, Interval(0.0, np.nan, np.nan), why or say("the share with the highest net is everybody")
    group, part = found.rows[~found.chosen], found.part[~found.chosen]
    advantage, few = judge(found.advantage, found.advantage_errors, group, among, part, spared=True)
    return chosen, advantage, why or (say("of those it would leave out, {few}", few=few) if few else few)


def _curve(
    bins: ScoreBins, costs: Costs, measured: Outcome, resamples: int, level: float, rng: Rng
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Net by share, with its band, the resampled curves, shape (resamples, points), and upper ends at each point."""
    listed = prefixes(bins.totals)
    fixed = np.append(0, np.full(len(listed.share), costs.fixed))
    net = np.append(0, costs.net(listed)) - fixed
    drawn = resampled_curves(bins, costs.net, resamples, rng) - fixed
    events, members = np.cumsum(bins.events, axis=1), np.cumsum(bins.totals[..., 0], axis=1)
    known = measured.enough(events, members, measured.fewest)
    se, third = drawn[:, 1:].std(axis=0, ddof=1), bins.third(listed.share)
    how: dict[str, Any] = {
        "scale": costs.margin * listed.share,
        "spare": _spare(bins, listed.share, costs),
        "level": level,
    }
    everywhere = np.ones(len(known), dtype=bool)
    low, high = ends(net[1:], se, third, *bins.arms(), outcome=measured, known=everywhere, **how)
    share = np.append(0, listed.share)
    low, high, known = np.append(0, low), np.append(0, high), np.append(True, known)
    banded = {"low": np.where(known, low, np.nan), "high": np.where(known, high, np.nan)}
    return pd.DataFrame({"share": share, "net": net, **banded}), drawn, high


def _spare(bins: ScoreBins, share: np.ndarray, costs: Costs) -> np.ndarray:
    """Variance of the incentives paid down to each bin, less twice its covariance with what the outcome earned."""
    sums = np.cumsum(bins.products[1], axis=0)
    count = sums[:, 0, 0]
    paid, both = sums[:, 0, 2] / count, sums[:, 1, 2] / count - sums[:, 0, 1] * sums[:, 0, 2] / count**2
    incentive = costs.incentive**2 * (sums[:, 2, 2] / count - paid**2) - 2 * costs.incentive * costs.margin * both
    return share**2 * incentive / count
