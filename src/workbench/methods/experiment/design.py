"""How many members must be held out to see an effect that matters, and what does holding them out cost?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from workbench.errors import WorkbenchError, unknown
from workbench.figures import Axes, axes, axis_unit
from workbench.messages import Amount, Count, Label, Message, Share, Term, join, say
from workbench.methods.experiment.events import FEWEST_EVENTS
from workbench.methods.experiment.members import CONTROL
from workbench.methods.experiment.spread import FEWEST, Spread, past_spread
from workbench.result import COUNT, Quantity, Result, Tile
from workbench.words import label

HOLDOUTS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True)
class CampaignPlan(Result):
    """What each size of the holdout can show, and what it costs.

    Attributes
    ----------
    table : DataFrame
        One row a holdout and arm: holdout, arm, members, control, buyers (members of the smaller of the two expected
        to have another outcome than the commonest), detectable (units of the outcome, by `power`; this and the powers
        are NaN below 20 buyers, where errors are not normal), low, high (its interval from the history's error),
        relative (of the mean), worth (margin on it, a contacted member), worth_in_all, break_even, wanted,
        power_at_break_even, power_at_expected, power_to_show_profit, holdout_cost (net foregone on those held out if
        the expected effect is true; negative: holding out saves money).
    recommended : float
        Smallest holdout that detects the wanted effect in every arm; NaN if none does.
    needed : int
        Members that would do with half of them held out (one arm) or equal arms.
    """

    table: pd.DataFrame
    recommended: float
    needed: int
    spread: Spread
    power: float
    level: float
    outcome: str
    unit: str = ""
    currency: str = ""
    campaign: str = ""

    NAME, CHART = "plan", say("A falling curve for each arm")
    FORMATS = (
        dict.fromkeys(["holdout", "power_at_break_even", "power_at_expected", "power_to_show_profit"], "{:.0%}")
        | dict.fromkeys(["detectable", "low", "high", "relative", "worth", "break_even", "wanted"], "{:.2f}")
        | dict.fromkeys(["buyers", "worth_in_all", "holdout_cost"], COUNT)
    )

    def _rows(self) -> pd.DataFrame:
        known = self.table["detectable"].fillna(np.inf)
        order = np.where(np.isfinite(known).any(), known, -self.table["buyers"])
        best = self.table["holdout"].iloc[int(order.argmin())]
        return self.table[self.table["holdout"] == (best if np.isnan(self.recommended) else self.recommended)]

    def _amount(self, value: float) -> Amount:
        return Amount(value, self.spread.kind == "share", self.unit)

    def headline(self) -> Message:
        """Recommend a holdout, or say how many members it would take."""
        worst, members = self._worst()
        if np.isnan(worst["detectable"]):
            return self.say(
                "Not answerable with {members} members: an arm would have about {buyers} of them with another "
                "{outcome} than the commonest, too few to say what it shows ({least} needed); {needed} members would "
                "do.",
                members=members,
                buyers=round(worst["buyers"]),
                least=FEWEST_EVENTS,
                needed=self.needed,
            )
        found: dict[str, Any] = {
            "members": members,
            "holdout": Share(worst["holdout"], 0),
            "outcome": Label(self.outcome),
            "seen": self._amount(worst["detectable"]),
            "wanted": self._amount(worst["wanted"]),
        }
        if np.isnan(self.recommended):
            return say(
                "Not answerable with {members} members: the best holdout ({holdout}) shows effects on {outcome} from "
                "{seen} on, above the {wanted} wanted; {needed} members would do.",
                needed=self.needed,
                **found,
            )
        advice = say(
            "Hold out {holdout}, {control} of {members} members: an effect on {outcome} of {seen} is then seen with "
            "{power} power, no more than the {wanted} wanted.",
            control=worst["control"],
            power=Share(self.power, 0),
            **found,
        )
        cost = worst["holdout_cost"]
        money = Amount(abs(cost), unit=self.currency)
        if not np.isfinite(cost):
            return advice
        if cost < 0:
            return join(advice, say("If the expected effect is true it saves {money}.", money=money))
        return join(advice, say("If the expected effect is true it costs {money}.", money=money))

    def _worst(self) -> tuple[pd.Series, int]:
        """Give the arm that detects least with the best holdout, and the members of all arms."""
        rows = self._rows()
        worst = rows.iloc[int((rows["detectable"] / rows["wanted"]).fillna(np.inf).argmax())]
        return worst, int(rows["members"].sum() + worst["control"])

    def advice(self) -> Message:
        """Say what to do with the next campaign, in a sentence without its statistics."""
        worst, members = self._worst()
        if np.isnan(self.recommended):
            return say(
                "Do not run the next campaign with {members} members: it cannot show the effect wanted, as "
                "{needed} would.",
                members=members,
                needed=self.needed,
            )
        return say(
            "Hold out a random {control} of the next {members}: effects from {seen} show.",
            control=worst["control"],
            members=members,
            seen=self._amount(worst["detectable"]),
        )

    def tiles(self) -> tuple[Tile, ...]:
        """Give how many to hold out; none where no holdout shows the effect wanted."""
        worst, members = self._worst()
        if np.isnan(self.recommended):
            return ()
        return (Tile(say("members to hold out, of {members}", members=members), Count(int(worst["control"]))),)

    def caption(self) -> Message:
        """Say what the table shows."""
        return self.say(
            "Holdouts, and the effect on {outcome} that each shows: {unit} a member, and in all.",
            unit=Term(self.unit or "units"),
        )

    def picture_caption(self) -> Message:
        """Say what the picture shows."""
        return self.say(
            "Smallest effect on {outcome} that is seen with {power} power, by share held out; the line is what is "
            "wanted.",
            power=Share(self.power, 0),
        )

    def quantities(self) -> Iterable[Quantity]:
        """Name the holdout, what it detects and what it costs; none where no holdout does."""
        if np.isnan(self.recommended):
            return
        unit = "share" if self.spread.kind == "share" else self.unit or "1"
        yield Quantity(f"holdout_share{label(self.campaign)}", self.recommended, "share")
        for row in self._rows().itertuples():
            where = label(self.campaign, outcome=self.outcome, arm=row.arm)
            ends = (row.low, row.high) if np.isfinite(row.low) else (None, None)
            yield Quantity(f"detectable_effect{where}", row.detectable, unit, *ends)
        if np.isfinite(row.holdout_cost):
            yield Quantity(f"holdout_cost{label(self.campaign)}", row.holdout_cost, self.currency or "1")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the detectable effect of each arm against the holdout, with the wanted effect."""
        ax = axes(ax)
        scale = 100 if self.spread.kind == "share" else 1
        for arm, rows in self.table.groupby("arm", sort=False):
            ax.plot(100 * rows["holdout"], scale * rows["detectable"], "o-", markersize=4)
            ax.fill_between(100 * rows["holdout"], scale * rows["low"], scale * rows["high"], alpha=0.2)
            end = (100 * rows["holdout"].iloc[-1], scale * rows["detectable"].iloc[-1])
            ax.annotate(Label(str(arm)).said(), end, (5, -3), textcoords="offset points")
        wanted = scale * self.table["wanted"].min()
        ax.axhline(wanted, color="0.5", linestyle="--", linewidth=1)
        ax.annotate("wanted", (1, wanted), (-4, 3), ("axes fraction", "data"), "offset points", ha="right")
        if np.isfinite(self.recommended):
            ax.axvline(100 * self.recommended, color="0.8", linewidth=1, zorder=0)
        ax.set_ylim(bottom=0)
        ax.set_xlabel("held out (% of the members)")
        unit = axis_unit(self.unit, self.spread.kind == "share")
        ax.set_ylabel(self.say("detectable effect on {outcome} ({unit})", unit=unit))
        return ax


def plan_campaign(
    history: pd.DataFrame | None = None,
    *,
    outcome: str = "outcome",
    covariates: Sequence[str] = (),
    strata: Sequence[str] = (),
    clusters: str | None = None,
    spread: Spread | None = None,
    members: int | None = None,
    arms: Mapping[str, float] | None = None,
    holdouts: Sequence[float] = HOLDOUTS,
    margin: float = 1.0,
    contact_cost: float | Mapping[str, float] = 0.0,
    incentive_cost: float = 0.0,
    redemption: float = 1.0,
    expected_effect: float | Mapping[str, float] | None = None,
    wanted: float | None = None,
    power: float = 0.8,
    level: float = 0.95,
    unit: str = "",
    currency: str = "yuan",
    campaign: str = "",
) -> CampaignPlan:
    """Say for each holdout which effect it would show, in the outcome and in money, and recommend one.

    The recommended holdout is the smallest whose detectable effect is at most the wanted one in every arm, with 100
    members or more held out, and 20 buyers or more to be expected in every arm. Where the wanted effect is the break-
    even, contact that breaks even is then shown to do something, and contact that does nothing is shown not to pay,
    each with this power.

    Parameters
    ----------
    history : DataFrame, optional
        One row a customer of those the campaign will draw on: the outcome of an earlier period as long as the
        campaign's window.
    outcome : str
        Its column, numeric; its name in the words.
    covariates, strata : sequences of str
        Columns of `history` known before that period, which the analysis will adjust for, or by which arms are drawn.
    clusters : str, optional
        Column of what will be drawn (household, shop), where it is not the member.
    spread : Spread, optional
        Instead of `history`: mean and spread of the outcome as known from elsewhere.
    members : int, optional
        Members of the campaign, all arms; the rows of `history` where not given.
    arms : mapping of str to float, optional
        Relative sizes of the contact arms, by name; one arm "contact" without. With several arms the level is divided
        by their number (Bonferroni; Holm's test afterwards never has less power).
    holdouts : sequence of float
        Shares of all members to hold out, 0-1.
    margin : float
        Money per unit of the outcome.
    contact_cost : float, or mapping by arm
        Money a contacted member.
    incentive_cost, redemption : float
        Money a redeemed incentive, and share of the contacted who redeem, also those who would have bought anyway.
    expected_effect : float, or mapping by arm, optional
        Effect hoped for, in units of the outcome; prices the holdout.
    wanted : float, optional
        Effect that must be seen; the break-even where not given, or, where contact is free, the expected effect.
    power, level : float
        Chance of seeing the effect, and coverage of the interval that shows it.
    unit, currency, campaign : str
        For words and quantities.

    Raises
    ------
    WorkbenchError
        If neither history nor spread is given, a share or cost is impossible, or no effect is wanted.
    CannotAnswer
        If the outcome does not vary.

    References
    ----------
    Bloom (1995), Minimum detectable effects, Evaluation Review 19. Eldridge, Ashby and Kerry (2006), Sample size for
    cluster randomized trials, International Journal of Epidemiology 35.

    Examples
    --------
    >>> plan = plan_campaign(spread=Spread(mean=50, sd=30), members=10_000, contact_cost=2, holdouts=[0.5])
    >>> plan.table["detectable"].round(3).tolist(), plan.recommended  # 2.80 * sqrt(900 / 5000 + 900 / 5000)
    ([1.681], 0.5)
    """
    if (history is None) == (spread is None):
        raise WorkbenchError("give either history= (a table with the outcome of an earlier period) or spread=.")
    if history is not None:
        spread = past_spread(history, outcome=outcome, covariates=[*covariates, *strata], clusters=clusters)
        members = len(history) if members is None else members
    assert spread is not None, "one of both was given"
    power_of = spread.power
    if not members or not 0 < power < 1 or not 0 < level < 1:
        raise WorkbenchError("cannot plan with members={members}, power={power}, level={level}.").of(
            str(members), str(power), str(level)
        )
    weights = _weights(arms)
    costs = _by_arm(contact_cost, weights, "contact_cost") + incentive_cost * redemption
    if margin <= 0 or costs.min() < 0:
        raise WorkbenchError("margin must be above 0 and costs not below: got margin {margin}, cost {costs}.").of(
            f"{margin:g}", f"{costs.min():g}"
        )
    expected = _by_arm(np.nan if expected_effect is None else expected_effect, weights, "expected_effect")
    needs = (costs / margin).where(costs > 0, expected) if wanted is None else pd.Series(wanted, weights.index)
    if not (needs > 0).all():
        raise WorkbenchError(
            "no effect is wanted: give contact_cost= (the break-even is then wanted), expected_effect= or wanted=."
        )
    z = float(norm.isf((1 - level) / 2 / len(weights)))
    table = _sizes(holdouts, members, weights)
    sizes = table["members"], table["control"]
    cost, hoped = table["arm"].map(costs), table["arm"].map(expected)

    def chance(effect: pd.Series, beyond: pd.Series | float) -> np.ndarray:
        return np.where(told, power_of(effect, beyond, z, *sizes), np.nan)

    table["buyers"] = np.minimum(*sizes) * spread.events
    told = table["buyers"] >= FEWEST_EVENTS
    table["detectable"] = np.where(told, spread.detected(z, norm.ppf(power), *sizes), np.nan)
    around = np.exp(norm.isf((1 - level) / 2) * spread.error / 2)
    table["low"], table["high"] = table["detectable"] / around, table["detectable"] * around
    table["relative"] = table["detectable"] / spread.mean if spread.mean > 0 else np.nan
    table["worth"] = margin * table["detectable"]
    table["worth_in_all"] = table["worth"] * table["members"]
    table["break_even"] = cost / margin
    table["power_at_break_even"] = chance(table["break_even"], 0.0)
    table["power_at_expected"] = chance(hoped, 0.0)
    table["power_to_show_profit"] = chance(hoped, table["break_even"])
    table["holdout_cost"] = table["control"] * float((weights * (margin * expected - costs)).sum(skipna=False))
    table["wanted"] = table["arm"].map(needs)
    good = (table["detectable"] <= table["wanted"]) & (table["control"] >= FEWEST)
    enough = good.groupby(table["holdout"]).all()
    best = float(enough.idxmax()) if enough.any() else np.nan
    alike, contacts = 1 / (1 + len(weights)), len(weights)
    needed = required_size(
        float(needs.min()), spread=spread, control_share=alike, arms=contacts, power=power, level=level
    )
    return CampaignPlan(table, best, needed, spread, power, level, outcome, unit, currency, campaign)


def required_size(
    effect: float, *, spread: Spread, control_share: float = 0.5, arms: int = 1, power: float = 0.8, level: float = 0.95
) -> int:
    """Members, all arms together, of whom `effect` is seen with this power; contact arms are of equal size.

    Never fewer than give the smallest arm 20 buyers, below which errors are not normal.

    Examples
    --------
    >>> required_size(0.5, spread=Spread(mean=0, sd=1))  # 2 arms of (2.80 / 0.5)^2 * 2 = 62.8
    126
    """
    if not (effect > 0 and 0 < control_share < 1 and arms >= 1):
        raise WorkbenchError(
            "cannot size a campaign for effect {effect}, control_share {control_share}, {arms} arms."
        ).of(f"{effect:g}", f"{control_share:g}", arms)
    z, reach = float(norm.isf((1 - level) / 2 / arms)), float(norm.ppf(power))
    treated_share = (1 - control_share) / arms
    variance = spread.variance(effect) / treated_share + spread.variance() / control_share
    normal = ((z + reach) / effect) ** 2 * variance
    for _ in range(20):  # the skewness falls with the size that it asks for
        arms_of = np.array(normal * treated_share), np.array(normal * control_share)
        skew = spread.lopsided(*arms_of) * (2 * reach**2 + 1) / 6
        normal = float(((spread.limit(z, effect, *arms_of) + reach + skew) / effect) ** 2 * variance)
    enough = FEWEST_EVENTS / (min(treated_share, control_share) * spread.events) if spread.events < 1 else 0.0
    needed: int = ceil(max(normal, enough))
    return needed


def _weights(arms: Mapping[str, float] | None) -> pd.Series:
    weights = pd.Series(dict(arms or {"contact": 1.0}), dtype=float)
    if CONTROL in weights.index or not (weights > 0).all():
        raise WorkbenchError("arms= gives sizes above 0 of the arms that are contacted; '{control}' is holdouts=.").of(
            CONTROL
        )
    return weights / weights.sum()


def _by_arm(value: float | Mapping[str, float], weights: pd.Series, what: str) -> pd.Series:
    for name in set(value) ^ set(weights.index) if isinstance(value, Mapping) else ():
        raise unknown(f"arm of {what}", name, weights.index)
    return pd.Series(value, index=weights.index, dtype=float)


def _sizes(holdouts: Sequence[float], members: int, weights: pd.Series) -> pd.DataFrame:
    rows = []
    for share in sorted({float(share) for share in holdouts}):
        control = round(share * members)
        rows += [(share, arm, round((members - control) * weight), control) for arm, weight in weights.items()]
        if not 0 < share < 1 or min(control, *(row[2] for row in rows)) < 2:
            raise WorkbenchError("a holdout of {share} leaves an arm of the {members} members with fewer than 2.").of(
                f"{share:g}", members
            )
    return pd.DataFrame(rows, columns=["holdout", "arm", "members", "control"])
