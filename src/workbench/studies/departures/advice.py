"""What to do about those who leave?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.messages import Day, Label, Message, Name, Number, Share, Span, say
from workbench.result import Decision, Refusal, Result
from workbench.studies.departures.causes import ALL, ANY, UNKNOWN, Incidence
from workbench.studies.departures.change import RATES, ChurnChange
from workbench.studies.departures.direction import Directions
from workbench.studies.departures.recovery import Recovery


def decision(
    causes: Incidence | Refusal,
    flows: Directions | Refusal,
    change: ChurnChange | Refusal,
    complaints: Recovery | Refusal,
) -> Decision:
    """Say which cause and competitor to answer, what to do after complaints, and whether rates or the base changed."""
    parts: tuple[tuple[Callable[[Any], Message], Result | Refusal], ...] = (
        (_competitor, flows),
        (_complaints, complaints),
        (_cause, causes),
        (_change, change),
    )
    do = [advise(found) for advise, found in parts if not isinstance(found, Refusal)]
    if isinstance(complaints, Refusal):
        do.append(say("Pay no compensation to keep customers yet: whether it does is not answerable here."))
    return Decision(tuple(do), say("a larger trial, or another year."))


def _complaints(found: Recovery) -> Message:
    if found.arms.empty:
        return say("Let chance decide on compensation until enough left to tell: only then is it known what it does.")
    row = found.arms.iloc[0]
    said = {"arm": Label(row["arm"]), "points": Number(abs(row["percentage_points"]), ".1f")}
    if row["high"] < 0:
        span = Span(-row["high"], -row["low"], ".1f")
        return say(
            "Keep to '{arm}' after complaints: {points} percentage points fewer leave {span}.", span=span, **said
        )
    if row["low"] > 0:
        span = Span(row["low"], row["high"], ".1f")
        return say("Stop '{arm}' after complaints: {points} percentage points more leave {span}.", span=span, **said)
    return say(
        "Decide nothing on compensation after complaints: leaving {points} points {span}, not significant.",
        points=Number(row["percentage_points"], "+.1f"),
        span=Span(row["low"], row["high"], "+.1f"),
    )


def _competitor(flows: Directions) -> Message:
    for turn in flows.turns.head(1).itertuples():
        return say(
            "Answer {operator}'s offers since {month}: {after} of numbers taken along go there, {before} before.",
            operator=Name(turn.operator),
            month=Day(turn.month),
            after=Share(turn.after),
            before=Share(turn.before),
        )
    if not flows.both:
        return say("Record where customers come from: without it no net loss to a competitor is known.")
    if flows.losing.empty:
        return say("Answer no competitor's offer by a campaign: no net loss to one of them is shown.")
    row = flows.losing.iloc[0]
    return say(
        "Answer {operator} first: {net} customers net {span}.",
        operator=Name(str(row["operator"])),
        net=Number(row["net_flow"], "+,.0f"),
        span=Span(row["net_flow_low"], row["net_flow_high"], "+,.0f"),
    )


def _cause(causes: Incidence) -> Message:
    rows = causes.table[(causes.table["group"] == ALL) & (causes.table["cause"] != ANY)]
    rows = rows[rows["months"] == rows["months"].max()].sort_values(["incidence", "cause"], ascending=[False, True])
    unknown = rows["cause"] == UNKNOWN
    gap, rows = float(rows.loc[unknown, "incidence"].sum()), rows[~unknown]
    if rows.empty or gap > rows["incidence"].iloc[0] - rows["incidence"].iloc[1:2].sum():
        return say(
            "Record first why customers leave: for {share} of those who join the cause is not on record.",
            share=Share(gap),
        )
    first = rows.iloc[0]
    if len(rows) > 1 and not first["low"] > rows.iloc[1]["high"]:
        return say(
            "Work on {first} and {second} alike: which takes more is not certain.",
            first=Label(first["cause"]),
            second=Label(rows.iloc[1]["cause"]),
        )
    return say("Work on {cause} first: it takes the most customers.", cause=Label(first["cause"]))


def _change(change: ChurnChange) -> Message:
    row = change.total
    if row["low"] <= 0 <= row["high"]:
        return say("Seek no reason why churn changed: the change is not significant.")
    rates = change.table[change.table["part"] == RATES]
    if ((rates["low"] > 0) | (rates["high"] < 0)).all():
        return say("Look for what changed within groups (prices, service, a competitor): the mix does not explain it.")
    return say("Look at whom we sell to before blaming service: by some columns no change of the rates is shown.")
