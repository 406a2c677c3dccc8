"""The contact did not arrive everywhere: what did it change where it did?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from workbench.columns import day, days
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.messages import Amount, Label, Message, Number, Share, estimated, join, say
from workbench.methods.experiment.checks import CampaignChecks
from workbench.methods.experiment.effect import AverageEffect, average_effect
from workbench.methods.experiment.means import ratio_set
from workbench.methods.experiment.members import arms, numbers, require_members
from workbench.result import Quantity, Result
from workbench.words import direction, label

WEAK = 10.0


@dataclass(frozen=True)
class ComplierEffect(Result):
    """Effect of a delivered contact on those to whom assignment delivers it (the compliers).

    Attributes
    ----------
    estimate, se : float
        Effect of assignment over what it changed in delivery, and its error by the delta method.
    low, high : float
        Ends of the Anderson-Rubin set (Fieller): the values a test does not refuse. Right however few compliers;
        infinite where assignment hardly changed delivery. The effect of assignment enters with the ends of its own
        interval, which holds where few members have an outcome.
    outside : bool
        The set is all values *outside* low to high (weak first stage).
    delta_low, delta_high : float
        Ends by the delta method, for comparison; NaN where they are not right: few events, or a small `first_stage_f`.
    by_assignment : AverageEffect
        Effect of assignment on the outcome (intention to treat).
    delivery : AverageEffect
        Effect of assignment on delivery: the share of compliers.
    counted : float
        The same as counted: without adjustment for covariates.
    one_sided : bool
        Nobody in control got the contact: the compliers are all those who got it.
    """

    estimate: float
    se: float
    low: float
    high: float
    outside: bool
    delta_low: float
    delta_high: float
    by_assignment: AverageEffect
    delivery: AverageEffect
    first_stage_f: float
    one_sided: bool
    level: float
    counted: float

    @property
    def assumptions(self) -> Message:
        """What must be true, in a sentence."""
        outcome = Label(self.by_assignment.outcome)
        if self.one_sided:
            return say(
                "Assumed: arms randomised, and assignment changes {outcome} through the delivered contact alone.",
                outcome=outcome,
            )
        return say(
            "Assumed: arms randomised, no member gets the contact only because of being in control, and assignment "
            "changes {outcome} through the delivered contact alone.",
            outcome=outcome,
        )

    def _bounded(self) -> bool:
        return not self.outside and bool(np.isfinite(self.high - self.low))

    def headline(self) -> Message:
        """Say the effect on those reached, beside that of assignment; refuse where too few were reached to tell."""
        effect, share, f = self.by_assignment, Share(self.delivery.estimate), Number(self.first_stage_f, ".1f")
        if effect.doubts:
            return say("Not answerable: {reason}.", reason=effect.doubts[0])
        if not self._bounded():
            return say(
                "Not answerable: assignment changed delivery for {share} of the members only (F = {f}), so the effect "
                "of a delivered contact on {outcome} has no bounds.",
                share=share,
                f=f,
                outcome=Label(effect.outcome),
            )
        counted: Share | Message = Share(self.counted)
        if counted.said() != share.said():
            counted = say("{counted}, {share} when adjusted like the effect", counted=counted, share=share)
        who = say("those reached") if self.one_sided else say("those reached because of their arm")
        found = say(
            "{effect} on {who} (of the members: {share}); by assignment {assigned} per member",
            effect=self._said(self),
            who=who,
            share=counted,
            assigned=self._said(effect),
        )
        weak = say("Weak: F = {f}, only the interval counts.", f=f) if self.first_stage_f < WEAK else say("")
        scale = 100 if effect.binary else 1
        shown = direction(scale * self.low, scale * self.high)
        how: dict[str, Any] = {"outcome": Label(effect.outcome), "found": found}
        level = self.say("Both are {level} intervals.") if round(self.level, 2) != 0.95 else say("")
        if shown == 0:
            return join(say("No evidence that a delivered contact changed {outcome}: {found}.", **how), level, weak)
        if shown > 0:
            return join(say("A delivered contact raised {outcome}: {found}.", **how), level, weak, self.assumptions)
        return join(say("A delivered contact lowered {outcome}: {found}.", **how), level, weak, self.assumptions)

    def _said(self, found: AverageEffect | ComplierEffect) -> Message:
        amount = Amount(found.estimate, self.by_assignment.binary, self.by_assignment.unit, signed=True)
        return estimated(amount, found.low, found.high)

    def summary(self) -> pd.DataFrame:
        """Tabulate the effect by assignment, the change in delivery and the effect where delivered."""
        columns = ["estimate", "se", "low", "high"]
        rows = {"of assignment": self.by_assignment, "on delivery": self.delivery, "where delivered": self}
        table = pd.DataFrame(
            [[n, *(getattr(r, c) for c in columns)] for n, r in rows.items()], columns=["effect", *columns]
        )
        table.loc[3] = ["where delivered (delta method)", self.estimate, self.se, self.delta_low, self.delta_high]
        return table

    def quantities(self) -> Iterable[Quantity]:
        """Name the complier effect and the share of compliers; none where it has no bounds."""
        effect = self.by_assignment
        if effect.doubts or not self._bounded():
            return
        where = label(effect.campaign, outcome=effect.outcome)
        unit = "share" if effect.binary else effect.unit or "1"
        yield Quantity(f"complier_effect{where}", self.estimate, unit, self.low, self.high)
        found = self.delivery
        yield Quantity(f"complier_share{label(effect.campaign)}", found.estimate, "share", found.low, found.high)


def complier_effect(
    members: pd.DataFrame,
    *,
    outcome: str,
    treatment: str,
    delivered: str,
    covariates: Sequence[str] = (),
    clusters: str | None = None,
    delivered_on: str | None = None,
    outcome_until: object = None,
    level: float = 0.95,
    checks: CampaignChecks | None = None,
    unit: str = "",
    campaign: str = "",
) -> ComplierEffect:
    """Estimate what a delivered contact changed, where not every assigned contact was delivered.

    Comparing the reached with the others would compare people who answer the phone with people who do not. The ratio of
    two effects of assignment does not: on the outcome, over on delivery (Wald; two-stage least squares).

    Parameters
    ----------
    members, outcome, treatment, covariates, clusters, level, checks, unit, campaign
        As in `average_effect`; treatment is the arm assigned. Of an arm chosen among several, level is what
        `ArmEffects.level_of` gives: no more is then claimed of its contacts than of the arm.
    delivered : str
        Column of 0/1 or booleans, complete: whether the contact arrived. Not whether it was answered by a purchase.
    delivered_on : str, optional
        Column of dates of delivery; with `outcome_until`, deliveries after the outcome are refused.
    outcome_until : date, optional
        Last day of the outcome window.

    Raises
    ------
    WorkbenchError
        If `delivered` is not 0/1 and complete, or dated after the outcome.
    CannotAnswer
        If assignment changed nobody's delivery.

    References
    ----------
    Imbens and Angrist (1994), Econometrica 62. Angrist, Imbens and Rubin (1996), JASA 91. Anderson and Rubin (1949).
    Bloom (1984), Accounting for no-shows, Evaluation Review 8.

    Examples
    --------
    >>> table = pd.DataFrame({"t": [1] * 4 + [0] * 4, "d": [1, 1, 0, 0] + [0] * 4, "y": [5.0, 6, 2, 3, 1, 2, 3, 2]})
    >>> complier_effect(table, outcome="y", treatment="t", delivered="d").estimate  # (4 - 2) / (1/2 - 0)
    4.0
    """
    require_members(members, [delivered])
    got, treated, y = numbers(members, delivered, role="delivery"), arms(members, treatment), numbers(members, outcome)
    if not np.isin(got, (0.0, 1.0)).all():
        raise WorkbenchError("'{delivered}' must say 0 or 1, whether the contact arrived.").of(delivered)
    _require_before(members, delivered, delivered_on, outcome_until)
    first = float(got[treated].mean() - got[~treated].mean())
    if first == 0 or (got == got[0]).all():
        raise CannotAnswer("not answerable: assignment changed nobody's delivery, so nothing shows what delivery does.")
    how: dict[str, Any] = {"treatment": treatment, "covariates": covariates, "clusters": clusters, "level": level}
    effect = average_effect(members, outcome=outcome, checks=checks, unit=unit, campaign=campaign, **how)
    share = average_effect(members.assign(**{delivered: got}), outcome=delivered, **how)
    scale = y.std()
    mixed = average_effect(members.assign(**{outcome: y / scale - got}), outcome=outcome, **how)
    covariance = scale * ((effect.se / scale) ** 2 + share.se**2 - mixed.se**2) / 2
    ratio = effect.estimate / share.estimate
    variance = effect.se**2 - 2 * ratio * covariance + ratio**2 * share.se**2
    se = float(np.sqrt(max(variance, 0.0))) / abs(share.estimate)
    t = float(stats.t.isf((1 - level) / 2, effect.df))
    ends = _ends(effect, share, covariance, t)
    f = (share.estimate / share.se) ** 2 if share.se > 0 else np.inf
    one_sided = not got[~treated].any()
    half = t * effect.se
    normal = (
        f >= WEAK
        and max(abs(effect.estimate - effect.low - half), abs(effect.high - effect.estimate - half)) < half / 10
    )
    delta = (ratio - t * se, ratio + t * se) if normal else (np.nan, np.nan)
    return ComplierEffect(ratio, se, *ends, *delta, effect, share, f, one_sided, level, first)


def _ends(effect: AverageEffect, share: AverageEffect, covariance: float, t: float) -> tuple[float, float, bool]:
    """Fieller's set of the ratio, each end by how far the effect's own interval reaches on its side."""
    reach = effect.estimate - effect.low, effect.high - effect.estimate
    found = []
    for side in reach if share.estimate > 0 else reach[::-1]:
        wider = side / (t * effect.se) if effect.se > 0 else 1.0
        found.append(ratio_set(effect.estimate, share.estimate, (side / t) ** 2, share.se**2, covariance * wider, t))
    (low, _, outside), (_, high, other) = found
    if outside != other:  # one side alone is bounded: nothing is
        return -np.inf, np.inf, False
    return low, high, outside


def _require_before(members: pd.DataFrame, delivered: str, delivered_on: str | None, outcome_until: object) -> None:
    if (delivered_on is None) != (outcome_until is None):
        raise WorkbenchError("give both delivered_on= and outcome_until=, or neither.")
    if delivered_on is None:
        return
    require_members(members, [delivered_on])
    until = day(outcome_until, "outcome_until")
    late = (days(members[delivered_on], delivered_on)[0] > until) & (numbers(members, delivered, role="delivery") == 1)
    if late.any():
        raise WorkbenchError(
            "'{delivered}' is dated after the outcome for {n} members ('{delivered_on}' after {until}), which it "
            "cannot have changed. Mend the dates or the window."
        ).of(delivered, late.sum(), delivered_on, until)
