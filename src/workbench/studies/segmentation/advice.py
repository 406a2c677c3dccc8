"""What is to be done for whom, and may one act on the clusters?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from workbench.messages import Day, Message, Named, Share, say
from workbench.result import Decision, Refusal
from workbench.studies.segmentation.clusters import Segments
from workbench.studies.segmentation.drift import Drift
from workbench.studies.segmentation.rfm import FEW, Rfm
from workbench.studies.segmentation.stability import STABLE


def decision(scores: Rfm | Refusal, groups: Segments | Refusal, moved: Drift | Refusal) -> Decision | Refusal:
    """Say what to do for the segments that bring most, and whether the clusters bear a decision."""
    segments = () if isinstance(scores, Refusal) else tuple(_for_segments(scores))
    clusters = () if isinstance(groups, Refusal) or isinstance(moved, Refusal) else (_on_clusters(groups, moved),)
    if not (segments or clusters):
        return next(part for part in (scores, groups, moved) if isinstance(part, Refusal))
    change = say("a randomised campaign that brings nothing.")
    return Decision((*segments, *clusters), change)


def _for_segments(scores: Rfm) -> Iterator[Message]:
    """Advise on the segment that brings most, and on the one slipping away (else the next) that brings most."""
    concern = [s.name for s in scores.grid.segments if s.concern]
    known = scores.summary().query("customers >= @FEW and monetary_share > 0")
    known = known.sort_values("monetary_share", ascending=False, kind="stable")
    slipping = known[known["segment"].isin(concern)]
    chosen = [*known["segment"][:1], *slipping["segment"][:1], *known["segment"][1:2]]
    acts = {s.name: Named(s.action, s.action_zh) for s in scores.grid.segments}
    for name in [name for name in dict.fromkeys(chosen) if name in acts][:2]:
        row = known[known["segment"] == name].iloc[0]
        yield say(
            "{action} For {segment}: {n} customers, {money} of revenue.",
            segment=scores.called(name),
            n=int(row["customers"]),
            money=Share(row["monetary_share"]),
            action=acts[name],
        )
    if known.empty:
        yield say("Treat no segment apart: none of {few} customers or more brings an amount.", few=FEW)


def _on_clusters(groups: Segments, moved: Drift) -> Message:
    firm = int((groups.stability()["jaccard"] > STABLE).sum())
    said: dict[str, Any] = {"firm": firm, "k": groups.k, "day": Day(moved.since)}
    if not firm:
        return say("Do not act on the {k} clusters: none is found again in other samples.", k=groups.k)
    if moved.verdict == "refit":
        return say("Fit the clusters anew before acting on them: customers have changed since {day}.", day=said["day"])
    if moved.verdict == "too few":
        return say("Do not act on the clusters yet: too few customers to tell whether they still fit.")
    if moved.verdict == "watch":
        return say(
            "Act on {firm} of {k} groups of like use: other samples confirm them; look again next month, as use has "
            "begun to change since {day}.",
            **said,
        )
    return say(
        "Act on {firm} of {k} groups of like use: other samples confirm them, and use has hardly changed.",
        firm=firm,
        k=groups.k,
    )
