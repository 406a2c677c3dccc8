"""Which promise, and which standard, is to be mended?"""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.messages import Message, Share, Span, say
from workbench.result import Decision, Refusal
from workbench.studies.service.costs import CostToServe
from workbench.studies.service.promises import PromisesKept
from workbench.studies.service.shortfalls import ServiceShortfalls

GOAL = 0.9
"""Share of cases in which a promise, or a standard, is to be kept."""


def decision(cost: CostToServe | Refusal, kept: PromisesKept | Refusal) -> Decision:
    """Say which promise to mend, and what would change it, of what could be answered."""
    change = say("other promises or thresholds.")
    if not isinstance(cost, Refusal) and cost.assumed:
        change = say("measured costs for assumed ones.")
    return Decision(() if isinstance(kept, Refusal) else (_promise(kept),), change)


def standard_to_mend(shortfalls: ServiceShortfalls | Refusal) -> Message:
    """Advise on the standard missed most often: mended above the goal, left alone below it."""
    if isinstance(shortfalls, Refusal):
        return say("Mend no service standard yet: too few cases are on record.")
    worst, most = shortfalls.worst, 100 - 100 * GOAL
    known = np.isfinite(worst["low"])
    said: dict[str, Any] = {
        "standard": shortfalls.called(worst),
        "missed": Share(worst["missed"] / 100),
        "goal": Share(most / 100, 0),
    }
    span = Span(worst["low"] / 100, worst["high"] / 100, ".1%")
    if known and worst["low"] > most:
        return say("Mend '{standard}': {missed} of cases miss it; goal at most {goal}.", **said)
    if known and worst["high"] <= most:
        return say(
            "Leave the service standards as they are: '{standard}', missed most often, is missed in {missed} of cases "
            "{span}; goal at most {goal}.",
            span=span,
            **said,
        )
    return say(
        "Count more cases before mending a standard: whether '{standard}' is missed in more than {goal} is not "
        "certain, {missed} of cases {span}.",
        span=span,
        **said,
    )


def _promise(kept: PromisesKept) -> Message:
    """Advise on the promise kept least: mended below the goal, left alone above it."""
    row, goal = kept.least, Share(GOAL, 0)
    said: dict[str, Any] = {"promise": kept.said(row), "kept": Share(row["kept"], 0), "goal": goal}
    span = Span(row["low"], row["high"], ".0%")
    if row["high"] < GOAL:
        return say("Keep {promise}, or promise less: goal {goal}.", promise=said["promise"], goal=goal)
    if row["low"] >= GOAL:
        return say(
            "Leave the promises as they are: {promise}, kept least, is kept in {kept} of cases {span}; goal {goal}.",
            span=span,
            **said,
        )
    return say(
        "Count more cases before changing a promise: whether {promise} meets the goal of {goal} is not certain, {kept} "
        "of cases {span}.",
        span=span,
        **said,
    )
