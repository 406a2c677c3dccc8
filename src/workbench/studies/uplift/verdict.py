"""Does targeting pay, as far as the intervals tell, and what forbids to say so?"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.stats import norm

from workbench.messages import Amount, Message, Number, Share, Span, say
from workbench.methods.experiment.checks import CampaignChecks
from workbench.methods.experiment.effect import Interval
from workbench.methods.experiment.events import Outcome, counts, too_few
from workbench.studies.uplift.policy import Costs, Rows
from workbench.words import direction

Verdict = Literal[
    "works and targetable",
    "works, contact everybody",
    "works, contact the best share",
    "no evidence",
    "harms",
    "not answerable",
]
FEWEST_IN_ARM = 100


def doubts_of(
    rows: Rows, measured: Outcome, score: np.ndarray, checks: CampaignChecks | None, outcome: str
) -> list[Message]:
    """Why the data cannot answer."""
    doubts = list(checks.reasons) if checks is not None and not checks.comparable else []
    sizes = int(rows.treated.sum()), int((~rows.treated).sum())
    if min(sizes) < FEWEST_IN_ARM:
        doubts.append(
            say("the smaller arm has {members} members, fewer than {least}", members=min(sizes), least=FEWEST_IN_ARM)
        )
    members = np.array(sizes[::-1])
    events = counts(measured.events, rows.treated)
    if not measured.enough(events, members, measured.fewest):
        doubts.append(too_few(events, members, outcome, measured.fewest))
    one, zero = score[rows.treated], score[~rows.treated]
    error = np.sqrt(one.var() / len(one) + zero.var() / len(zero))
    if error > 0 and not doubts and abs(one.mean() - zero.mean()) / error > norm.isf(0.0005):
        gap = (one.mean() - zero.mean()) / score.std()
        doubts.append(
            say(
                "the arms differ in the score by {gap} standard deviations, so they were not randomised",
                gap=Number(abs(gap), ".2f"),
            )
        )
    return doubts


def flags_of(rows: Rows, costs: Costs) -> list[Message]:
    """What looks like a mistake in the costs."""
    earned = costs.margin * np.abs(rows.y).mean()
    incentives = costs.incentive * float(rows.redeemed[rows.treated].mean())
    pairs = (say("a contact"), costs.contact), (say("the incentive of a contacted member"), incentives)
    return [
        say(
            "check the costs, in the unit of the outcome: {what} ({cost}) costs more than a customer's whole margin "
            "({margin})",
            what=what,
            cost=Number(cost),
            margin=Number(earned),
        )
        for what, cost in pairs
        if cost > earned > 0
    ]


def verdict_of(
    doubts: list[Message],
    chosen: Interval,
    everybody: Interval,
    advantage: Interval,
    why: str,
    best: float,
    currency: str,
) -> tuple[Verdict, tuple[Message, ...]]:
    """The strongest statement that the intervals carry, as they are printed; `why` one of targeting is missing."""

    def said(found: Interval, signed: bool = False) -> Message:
        amount = Amount(found.estimate, unit=currency, signed=signed)
        return say("{amount} per customer {ends}", amount=amount, ends=Span(found.low, found.high))

    if doubts:
        return "not answerable", tuple(doubts)
    earns, leads, all_earn = (direction(found.low, found.high) for found in (chosen, advantage, everybody))
    whole = say("contacting everybody nets {net}", net=said(everybody))
    target = say("contacting the best {share} nets {net}", share=Share(best, 0), net=said(chosen))
    target = say("") if np.isnan(chosen.low) else target
    more = said(advantage, signed=True)
    if earns > 0 and leads > 0:
        return "works and targetable", (
            target,
            say("choosing them earns {more} more than contacting everybody", more=more),
        )
    flat = say("no evidence that targeting beats contacting everybody ({more})", more=more)
    if leads > 0:
        flat = say(
            "targeting earns {more} more than that, but is not shown to earn more than contacting nobody", more=more
        )
    if np.isnan(advantage.low):
        flat = say("no evidence that targeting beats contacting everybody: {reason}", reason=why)
    if all_earn > 0:
        return "works, contact everybody", (whole, flat)
    if earns > 0:
        return "works, contact the best share", (target, whole, flat)
    if all_earn < 0:
        nothing = say("no evidence that contacting the best share earns anything ({net})", net=said(chosen))
        return "harms", (whole, nothing if target else say("targeting cannot be judged, since {reason}", reason=why))
    return "no evidence", tuple(filter(None, (whole, flat, target)))
