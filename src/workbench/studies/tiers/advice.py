"""Which promises, customers and accounts need somebody to act?"""

from __future__ import annotations

from typing import Any

from workbench.messages import Message, Share, Span, say
from workbench.result import Decision
from workbench.studies.tiers.accounts import KeyAccounts
from workbench.studies.tiers.levels import FEW, Tiers
from workbench.studies.tiers.service import CostToServe, PromisesKept

GOAL = 0.9
"""Share of cases in which a promise is to be kept."""


def decision(levels: Tiers, service: CostToServe, kept: PromisesKept, accounts: KeyAccounts) -> Decision:
    """Say which promise to mend, whom to call, and which grades to rely on."""
    change = say("other promises or thresholds.")
    if service.assumed:
        change = say("measured unit costs in place of assumed ones, or other promises.")
    grades = say(
        "Rely on the grades of {firm} of the key accounts; look at the others by hand, as other weights could change "
        "them.",
        firm=Share(accounts.firm, 0),
    )
    return Decision((_promise(kept), _calls(levels), grades), change)


def _promise(kept: PromisesKept) -> Message:
    """Advise on the promise kept least: mended below the goal, left alone above it."""
    row, goal = kept.least, Share(GOAL, 0)
    said: dict[str, Any] = {"promise": kept.said(row), "kept": Share(row["kept"], 0), "goal": goal,
        "span": Span(row["low"], row["high"], ".0%", kept.level)}  # fmt: skip
    if row["high"] < GOAL:
        return say(
            "Keep what is promised, or promise less: {promise} is kept in {kept} of cases {span}; goal {goal}.", **said
        )
    if row["low"] >= GOAL:
        return say(
            "Leave the promises as they are: {promise}, kept least, is kept in {kept} of cases {span}; goal {goal}.",
            **said,
        )
    return say(
        "Count more cases before changing a promise: whether {promise} meets the goal of {goal} is not certain, {kept} "
        "of cases {span}.",
        **said,
    )


def _calls(levels: Tiers) -> Message:
    """Advise on customers near demotion in the best tier that has enough of them."""
    for row in levels.ranked.iloc[:-1].itertuples():
        if row.near_demotion >= FEW:
            return say(
                "Call customers near demotion before they lose their tier, first {n} of {all} in {tier}; leave some "
                "uncalled to learn what calls bring.",
                n=int(row.near_demotion), all=int(row.customers), tier=levels.called(row.tier),
            )  # fmt: skip
    return say("Call nobody for fear of demotion: in no upper tier are {few} customers near it.", few=FEW)
