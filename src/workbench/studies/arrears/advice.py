"""Which stages to keep, whom to look at, and what to set aside?"""

from __future__ import annotations

from typing import Any

import pandas as pd

from workbench.messages import Amount, Listed, Message, Number, Span, Term, Word, say
from workbench.result import Decision, Refusal
from workbench.studies.arrears.bills import Cures
from workbench.studies.arrears.credit import CreditCard, ExpectedLoss
from workbench.studies.arrears.rolls import RollRates
from workbench.studies.arrears.stages import LOT, Collection, stage_name


def decision(
    work: Collection | Refusal, card: CreditCard | Refusal, loss: ExpectedLoss | Refusal,
    following: pd.DataFrame | Refusal,
) -> Decision:  # fmt: skip
    """Say which stages to keep or drop, which collector to look at, by which points to restrict, what to set aside."""
    do: list[Message] = []
    if not isinstance(work, Refusal):
        do += [_stage(row, work.currency) for row in work.table.itertuples()]
    if not isinstance(work, Refusal) and not isinstance(following, Refusal) and (following["advice"] == "act").any():
        act = following[following["advice"] == "act"]
        do.append(
            say("Go by the list: acting on {n} customers is expected to bring {sum} {currency}, leaving {rest} alone.",
                n=len(act), sum=Number(act["expected"].sum(), ",.0f"), rest=int((following["advice"] == "leave").sum()),
                currency=Term(work.currency))
        )  # fmt: skip
    if not isinstance(work, Refusal) and len(behind := work.behind()):
        names = Listed([Word(name) for name in behind["collector"]])
        do.append(
            say(
                "Look at the bills of {names} before paying for more of them: bills were not given by lot.", names=names
            )
        )
    if not isinstance(card, Refusal) and card.order.iloc[-1]["low"] > 0:
        do.append(say("Restrict by points, not by the last state alone: the limits stand in the table of bands."))
    if not isinstance(loss, Refusal):
        do.append(
            say("Set aside {sum} {currency} for what is owed today.", sum=Number(loss.table["expected"].sum(), ",.0f"),
                currency=Term(loss.currency))
        )  # fmt: skip
    if not do:
        do.append(say("Hold back a tenth of the bills by lot at each stage, to learn what collecting brings."))
    return Decision(tuple(do), say("other costs of a stage, or another worth of a customer who leaves."))


def set_apart(*results: Collection | Cures | RollRates | Refusal) -> Message | Listed:
    """Say what was left out of the results, or counted apart, with its number."""
    counts = [item for result in results if not isinstance(result, Refusal) for item in result.set_aside.items()]
    return Listed([say("{reason} {n}", reason=Term(reason), n=n) for reason, n in counts] or [Term("nothing")], "")


def _stage(row, currency: str) -> Message:
    """Advise on a stage by the interval of what it earns after cost."""
    if row.basis != LOT:
        return say("Hold back a tenth by lot at {stage}: what it earns is not known.", stage=stage_name(row))
    said: dict[str, Any] = {"stage": stage_name(row), "net": Number(row.net, "+,.2f"), "currency": Term(currency),
        "span": Span(row.net_low, row.net_high, "+,.2f")}  # fmt: skip
    if row.net_low > 0:
        if row.action == "restrict" and row.lost_low > 0:
            return say(
                "Keep {stage} for large debts: it earns {net} {currency} a bill after cost {span}, and makes {lost} "
                "more leave.", lost=Amount(row.lost, binary=True), **said,
            )  # fmt: skip
        return say("Keep {stage}: it earns {net} {currency} a bill after cost {span}.", **said)
    if row.net_high < 0:
        return say("Drop {stage}: it loses {net} {currency} a bill after cost {span}.", **said)
    return say("Go on holding back a tenth at {stage}: whether it earns its cost is not certain {span}.",
        stage=said["stage"], span=said["span"])  # fmt: skip
