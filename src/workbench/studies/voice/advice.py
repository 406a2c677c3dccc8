"""Whom to call back, what to improve, and which promise to mend?"""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.messages import Message, Number, Share, Span, say
from workbench.result import Decision, Refusal
from workbench.studies.voice.behaviour import STEP, SatisfactionOutcome
from workbench.studies.voice.requests import ImprovementRequests
from workbench.studies.voice.shortfalls import ServiceShortfalls

GOAL = 90
"""Per cent of cases in which a service standard is to be kept."""


def decision(
    behaviour: SatisfactionOutcome | Refusal,
    requests: ImprovementRequests | Refusal,
    shortfalls: ServiceShortfalls | Refusal,
) -> Decision:
    """Say whether to call back the dissatisfied, what to improve first, and which standard to mend."""
    change = say("a longer window after the interview, or more waves, in which the dissatisfied do leave more often.")
    if not isinstance(behaviour, Refusal) and behaviour.leave:
        change = say("a trial in which customers called back leave as often as those who were not.")
    return Decision((_calls(behaviour), _requests(requests), _standards(shortfalls)), change)


def _calls(behaviour: SatisfactionOutcome | Refusal) -> Message:
    if isinstance(behaviour, Refusal):
        return say("Call nobody back for fear of churn yet: whether the dissatisfied leave is not answerable here.")
    if behaviour.warnings:
        return say("Do not act on the link of satisfaction and churn: the score may have known who left.")
    if not behaviour.leave:
        return say("Call nobody back for fear of churn: it is not shown that the dissatisfied leave more often.")
    estimate, low, high = behaviour.more
    return say(
        "Call back the dissatisfied, and leave some uncalled to learn what calls bring: with {step} points less, "
        "{churn} percentage points more leave {span}.",
        step=STEP, churn=Number(estimate, ".1f"), span=Span(low, high, ".1f", behaviour.level),
    )  # fmt: skip


def _requests(requests: ImprovementRequests | Refusal) -> Message:
    """Advise on the commonest request, or on the first two where their intervals overlap."""
    if isinstance(requests, Refusal):
        return say("Choose no improvement by requests: too few respondents make the same one.")
    rows = requests.table.sort_values("share", ascending=False, kind="stable")
    first, second = rows.iloc[0], rows.iloc[min(1, len(rows) - 1)]
    said: dict[str, Any] = {"first": requests.called(first), "share": Share(first["share"] / 100),
        "span": Span(first["low"] / 100, first["high"] / 100, ".1%", requests.level)}  # fmt: skip
    if len(rows) > 1 and not first["low"] > second["high"]:
        return say(
            "Improve {first} or {second}: {share} of respondents ask for the first {span}, and which is asked for more "
            "often is not certain.",
            second=requests.called(second),
            **said,
        )
    return say("Improve {first} first: {share} of respondents ask for it {span}.", **said)


def _standards(shortfalls: ServiceShortfalls | Refusal) -> Message:
    if isinstance(shortfalls, Refusal):
        return say("Mend no service standard yet: too few cases are on record.")
    worst, most = shortfalls.worst, 100 - GOAL
    known = np.isfinite(worst["low"])
    said: dict[str, Any] = {
        "standard": shortfalls.called(worst),
        "missed": Share(worst["missed"] / 100),
        "goal": Share(most / 100, 0),
        "span": Span(worst["low"] / 100, worst["high"] / 100, ".1%", shortfalls.level),
    }
    if known and worst["low"] > most:
        return say("Mend '{standard}': it is missed in {missed} of cases {span}; goal at most {goal}.", **said)
    if known and worst["high"] <= most:
        return say(
            "Leave the service standards as they are: '{standard}', missed most often, is missed in {missed} of cases "
            "{span}; goal at most {goal}.",
            **said,
        )
    return say(
        "Count more cases before mending a standard: whether '{standard}' is missed in more than {goal} is not "
        "certain, {missed} of cases {span}.",
        **said,
    )
