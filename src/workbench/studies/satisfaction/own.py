"""Where does one operator stand beside the others, and what should it do?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.messages import Label, Listed, Message, Number, Share, Span, as_message, join, say
from workbench.methods.cells import one_cell
from workbench.result import Decision, Refusal, Result, Tile
from workbench.studies.satisfaction.change import WaveChange
from workbench.studies.satisfaction.draws import undefined
from workbench.studies.satisfaction.gaps import OperatorGaps
from workbench.studies.satisfaction.index import SatisfactionIndex
from workbench.studies.satisfaction.priorities import ItemPriorities

PLACES = 3


@dataclass(frozen=True, eq=False)
class OwnStanding(Result):
    """One operator's index, and its gaps to the others.

    Attributes
    ----------
    table : DataFrame
        One row a cell of the operator: the other columns of the index's cells, index, low, high (points), n.
    missing : str
        Why it has no index; empty if it has one.
    """

    table: pd.DataFrame
    gaps: OperatorGaps | Refusal
    own: str
    construct: str
    level: float
    missing: str = ""

    NAME, COUNTS = "own", "n"
    FORMATS = dict.fromkeys(["index", "low", "high"], "{:.1f}")

    def headline(self) -> Message:
        """Say against whom the operator is behind and ahead, and its index."""
        return as_message(self.missing) if self.missing else join(*dict.fromkeys((self._lead(), *self._index())))

    def _lead(self) -> Message:
        if isinstance(self.gaps, Refusal) or self.gaps.of(self.own).empty:
            return next(self._index())
        rows = self.gaps.of(self.own)
        clear = rows[rows["significant"]]
        behind, ahead = clear[clear["gap"] < 0], clear[clear["gap"] > 0]
        said: dict[str, Any] = {"own": self.own, "all": len(rows), "construct": Label(self.construct)}
        if len(behind):
            worst = {"n": len(behind), **self.largest(behind), **said}
            if len(ahead):
                return say(
                    "{construct}: {own} is behind competitors in {n} of {all} comparisons, ahead in {m}; furthest "
                    "behind {other}: {gap} of 100 points {span}.",
                    m=len(ahead),
                    **worst,
                )
            return say(
                "{construct}: {own} is behind competitors in {n} of {all} comparisons, ahead in none; furthest behind "
                "{other}: {gap} of 100 points {span}.",
                **worst,
            )
        if len(ahead):
            return say(
                "{construct}: {own} is ahead of competitors in {m} of {all} comparisons, behind in none; furthest "
                "ahead of {other}: {gap} of 100 points {span}.",
                m=len(ahead),
                **self.largest(ahead),
                **said,
            )
        return say(
            "{construct}: {own} is neither ahead of nor behind any competitor: no difference is significant "
            "(compared: {all}).",
            **said,
        )

    def largest(self, rows: pd.DataFrame) -> dict[str, Any]:
        """Give the values of the largest of some gaps, without its direction."""
        top = rows.loc[rows["gap"].abs().idxmax()]
        low, high = sorted((abs(top["low"]), abs(top["high"])))
        other = self.gaps.there(top["against"], top) if isinstance(self.gaps, OperatorGaps) else say("")
        return {"other": other, "gap": Number(abs(top["gap"]), ".1f"), "span": Span(low, high, ".1f")}

    def _index(self) -> Iterator[Message]:
        others = list(self.table.columns[: self.table.columns.get_loc("index")])
        found = [
            say("{index} {span} in {place}", place=one_cell(row[c] for c in others), **_points(row))
            if others
            else say("{index} {span}", **_points(row))
            for row in self.table.to_dict("records")
        ]
        yield self.say("{construct} of {own}, of 100 points: {found}.", own=self.own, found=Listed(found[:PLACES], ";"))
        if not isinstance(self.gaps, Refusal) and len(self.gaps.table) > 1:
            yield say(
                "Ahead and behind are said of gaps that are significant over all {n} pairs together (Holm, {alpha}).",
                n=len(self.gaps.table),
                alpha=Share(1 - self.level, 0),
            )

    def tiles(self) -> tuple[Tile, ...]:
        """Its index where it has most respondents."""
        rows = self.table.head(0) if self.missing else self.table.nlargest(PLACES, "n")
        return tuple(
            Tile(
                self.say("{construct} points, {cell}", cell=one_cell(where or [self.own])),
                Number(index, ".1f"),
                Span(low, high, ".1f", self.level),
            )
            for *where, index, low, high, _ in rows.itertuples(index=False)
        )


def _points(row: dict[str, Any]) -> dict[str, Any]:
    return {"index": Number(row["index"], ".1f"), "span": Span(row["low"], row["high"], ".1f")}


def own_standing(
    index: SatisfactionIndex | Refusal, gaps: OperatorGaps | Refusal, own: str, *, operator: str = "operator"
) -> OwnStanding | Refusal:
    """Take one operator's part of the index and of the gaps; the refusal, where there is no index.

    Raises
    ------
    WorkbenchError
        If the cells are not by operator.
    """
    if isinstance(index, Refusal):
        return index
    if operator not in index.by:
        raise WorkbenchError("the index has no column '{operator}'. Compute it with by=('{operator}', …).").of(operator)
    rows = index.table[(index.table["construct"] == index.construct) & (index.table[operator].astype(str) == str(own))]
    missing = say("")
    if rows["index"].isna().any():
        missing = undefined(index.fit, index.construct).sentence()
    elif rows.empty:
        missing = say(
            "{own} has fewer than {minimum} respondents in each cell: its index is not shown.",
            own=str(own),
            minimum=index.minimum,
        )
    others = [column for column in index.by if column != operator]
    table = rows[[*others, "index", "low", "high", "n"]].reset_index(drop=True)
    return OwnStanding(table, gaps, str(own), index.construct, index.level, missing)


def decision(
    standing: OwnStanding | Refusal, items: ItemPriorities | Refusal, change: WaveChange | Refusal
) -> Decision:
    """Say what to improve first, by which gap to judge it, and what may be published."""
    if isinstance(items, Refusal):
        nothing = say("Improve nothing on the ground of these answers: {why}", why=as_message(items.reason))
        other = say("more respondents, or a survey that asks for what moves satisfaction.")
        return Decision((nothing, *_judged(standing), *_published(change)), other)
    first = items.table.iloc[0]
    item, target = items.called(first["item"]), Label(items.target)
    if not items.shown:
        improve = say("Improve nothing yet for the sake of {target}: no question is shown to raise it.", target=target)
        other = say("a question whose rise goes with more than 0 points in the next wave.")
    else:
        other = say("a trial that changes nothing.")
        ends = Span(first["importance_low"], first["importance_high"], ".2f")
        told: dict[str, Any] = {
            "item": item,
            "points": Number(first["importance"], ".2f"),
            "span": ends,
            "target": target,
        }
        if first["probability_top"] >= items.level:
            improve = say("Improve {item} first; each point goes with {points} of {target} {span}.", **told)
        else:
            improve = say(
                "Try improving {item} in one place first, for it is not certain to be among the best; one point more "
                "there goes with {points} points of {target} {span}.",
                **told,
            )
    return Decision((improve, *_judged(standing), *_published(change)), other)


def _judged(standing: OwnStanding | Refusal) -> Iterator[Message]:
    if isinstance(standing, Refusal) or isinstance(standing.gaps, Refusal) or standing.missing:
        return
    rows = standing.gaps.of(standing.own)
    clear = rows[rows["significant"]]
    if (clear["gap"] < 0).any():
        other = standing.largest(clear[clear["gap"] < 0])["other"]
        yield say("Judge it by the gap to {other}.", other=other)
    elif len(clear):
        other = standing.largest(clear)["other"]
        yield say("Claim a lead only where it is significant, as over {other}.", other=other)
    else:
        yield say("Publish no rank: no gap to a competitor is significant.")


def _published(change: WaveChange | Refusal) -> Iterator[Message]:
    if isinstance(change, Refusal):
        return
    clear, (first, last) = int(change.table["significant"].sum()), map(str, change.waves)
    said: dict[str, Any] = {"all": len(change.table), "first": first, "last": last}
    if clear:
        yield say("Publish the significant movements from {first} to {last} alone: {n} of {all}.", n=clear, **said)
    else:
        yield say("Publish no movement from {first} to {last}: none of {all} is significant.", **said)
