"""Which stages to keep, whom to look at, and what to set aside?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from workbench.messages import Day, Listed, Message, Number, Share, Span, Term, Word, join, say
from workbench.result import Decision, Refusal, Result
from workbench.studies.arrears.credit import CreditCard
from workbench.studies.arrears.loss import ExpectedLoss
from workbench.studies.arrears.stages import LOT, Collection, stage_name


def decision(
    work: Collection | Refusal,
    card: CreditCard | Refusal,
    loss: ExpectedLoss | Refusal,
    following: pd.DataFrame | Refusal,
    worth: float = 0.0,
) -> Decision:
    """Say which stages to keep or drop, which collector to look at, by which points to restrict, what to set aside.

    `worth` is what is lost with a customer who leaves: below the debt that it makes up for, restricting costs more
    than it brings.
    """
    do: list[Message] = []
    if not isinstance(work, Refusal):
        known = (work.table["net_earned_low"] > 0) | (work.table["net_earned_high"] < 0)
        unsure = work.table[~known & (work.table["basis"] == LOT) & np.isfinite(work.table["net_earned"])]
        do += [_stage(row, work.currency, worth) for row in work.table[known].itertuples()]
    if not isinstance(loss, Refusal):
        do.append(_provision(loss))
    if not isinstance(work, Refusal):
        do += [_unsure(unsure)] if len(unsure) else []
        do += [_stage(row, work.currency, worth) for row in work.table[~known].drop(unsure.index).itertuples()]
    if not isinstance(work, Refusal) and not isinstance(following, Refusal):
        do += _list(following, work.currency)
    if not isinstance(work, Refusal) and len(behind := work.behind()):
        names = Listed([Word(name) for name in behind["collector"]])
        do.append(
            say(
                "Look at the bills of {names} before paying for more of them: bills were not given by lot.", names=names
            )
        )
    if not isinstance(card, Refusal) and card.order.iloc[-1]["low"] > 0:
        do.append(say("Restrict by points, not by the last state alone: the limits stand in the table of bands."))
    if not do:
        do.append(say("Hold back a tenth of the bills by lot at each stage, to learn what collecting brings."))
    return Decision(tuple(do), say("other costs, also of losing customers."))


def basis(
    operator: str, as_of: object, tables: Mapping[str, pd.DataFrame | Refusal], *results: Result | Refusal
) -> Message:
    """Say what the answers stand on: rows of each table, and what was left out or counted apart."""
    rows = [
        say("{n} rows of {what}", n=0 if isinstance(table, Refusal) else len(table), what=Term(name))
        for name, table in tables.items()
    ]
    answered = [result for result in results if not isinstance(result, Refusal)]
    counts = dict.fromkeys(item for result in answered for item in getattr(result, "set_aside", {}).items())
    apart = [say("{reason}: {n}", reason=Term(reason), n=n) for reason, n in counts]
    said = say(
        "Warehouse of {operator}, before {day}: {rows}.", operator=operator, day=Day(str(as_of)), rows=Listed(rows)
    )
    if not apart:
        return said
    return join(said, say("Set apart, with their number: {apart}.", apart=Listed(apart, ";")))


def _list(following: pd.DataFrame, currency: str) -> list[Message]:
    """Act on those who surely bring something; say how many are not certain, and how many no stage is left for."""
    n, said = following["advice"].value_counts(), []
    if "act" in n:
        brings = Number(following.loc[following["advice"] == "act", "expected"].sum(), ",.0f")
        said.append(
            say(
                "Go by the list: acting on {n} customers is expected to bring {sum} {currency}, leaving {rest} alone.",
                n=int(n["act"]),
                sum=brings,
                rest=int(n.get("leave alone", 0)),
                currency=Term(currency),
            )
        )
    if "not certain" in n:
        said.append(
            say("Of {n} customers of the list it is not certain that acting brings anything.", n=int(n["not certain"]))
        )
    if "past the last stage" in n:
        said.append(
            say(
                "Decide by hand on {n} customers who have been through the last stage.", n=int(n["past the last stage"])
            )
        )
    return said


def _provision(loss: ExpectedLoss) -> Message:
    """Set aside what is expected, where the last forecast held; say what is not in it."""
    if not loss.held:
        return say(
            "Set nothing aside by these rates yet: the last time {ratio} {span} of what was expected was seen.",
            ratio=Share(loss.ratio),
            span=Span(loss.low, loss.high, ".1%"),
        )
    said = {"sum": Number(loss.table["expected"].sum(), ",.0f"), "currency": Term(loss.currency), "day": Day(loss.day)}
    if loss.unpriced:
        return say(
            "Set aside {sum} {currency} for what was owed on {day}, and judge by hand {more} {currency} in states too "
            "rare to have a rate.",
            more=Number(loss.unpriced, ",.0f"),
            **said,
        )
    return say("Set aside {sum} {currency} for debts of {day}.", **said)


def _stage(row, currency: str, worth: float) -> Message:
    """Advise on a stage by the interval of what it earns after cost."""
    if row.basis != LOT:
        return say("Hold back a tenth by lot at {stage}: what it earns is not known.", stage=stage_name(row))
    if not np.isfinite(row.net_earned):
        return say("Put the cost of {stage} on record: without it what it earns is not known.", stage=stage_name(row))
    said: dict[str, Any] = {
        "stage": stage_name(row),
        "net": Number(row.net_earned, "+,.2f"),
        "span": Span(row.net_earned_low, row.net_earned_high, "+,.2f"),
        "currency": Term(currency),
    }
    if row.net_earned_low > 0:
        if row.action == "restrict" and row.more_lost_low > 0:
            least = (row.cost / row.actions + row.more_lost * worth) / row.more_paid
            return say(
                "Keep {stage} for debts over {least} {currency}: a lost customer costs {worth}.",
                stage=said["stage"],
                least=Number(least, ",.0f"),
                worth=Number(worth, ",.0f"),
                currency=Term(currency),
            )
        return say("Keep {stage}: it earns {net} {currency} a bill after cost {span}.", **said)
    return say("Drop {stage}: it brings {net} {currency} a bill after cost {span}.", **said)


def _unsure(rows: pd.DataFrame) -> Message:
    """Advise on the stages of which the interval holds 0, together."""
    return say(
        "Go on sparing a tenth of bills by lot at {stages}: whether acting pays is not certain.",
        stages=Listed([stage_name(row) for row in rows.itertuples()]),
    )
