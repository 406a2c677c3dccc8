"""Whom to call back, and what to improve?"""

from __future__ import annotations

from typing import Any

from workbench.messages import Message, Share, Span, say
from workbench.result import Decision, Refusal
from workbench.studies.voice.behaviour import SatisfactionOutcome
from workbench.studies.voice.requests import ImprovementRequests


def decision(
    behaviour: SatisfactionOutcome | Refusal, requests: ImprovementRequests | Refusal, standards: Message
) -> Decision:
    """Say whether to call back the dissatisfied and what to improve first, before what is advised on standards."""
    change = say("a longer window after the interview, or more waves, in which the dissatisfied do leave more often.")
    if not isinstance(behaviour, Refusal) and behaviour.leave:
        change = say("a trial in which calls keep nobody.")
    return Decision((_calls(behaviour), _requests(requests), standards), change)


def _calls(behaviour: SatisfactionOutcome | Refusal) -> Message:
    if isinstance(behaviour, Refusal):
        return say("Call nobody back for fear of churn yet: whether the dissatisfied leave is not answerable here.")
    if behaviour.warnings:
        return say("Do not act on the link of satisfaction and churn: the score may have known who left.")
    if not behaviour.leave:
        return say("Call nobody back for fear of churn: it is not shown that the dissatisfied leave more often.")
    return say("Call back the dissatisfied; spare a random part.")


def _requests(requests: ImprovementRequests | Refusal) -> Message:
    """Advise on the commonest request, or on the first two where their intervals overlap."""
    if isinstance(requests, Refusal):
        return say("Choose no improvement by requests: too few respondents make the same one.")
    rows = requests.table.sort_values("share", ascending=False, kind="stable")
    first, second = rows.iloc[0], rows.iloc[min(1, len(rows) - 1)]
    said: dict[str, Any] = {"first": requests.called(first), "share": Share(first["share"] / 100)}
    span = Span(first["low"] / 100, first["high"] / 100, ".1%")
    if len(rows) > 1 and not first["low"] > second["high"]:
        return say(
            "Improve {first} or {second}: {share} ask for the first; which leads is uncertain.",
            second=requests.called(second),
            **said,
        )
    return say("Improve {first} first: {share} ask for it {span}.", span=span, **said)
