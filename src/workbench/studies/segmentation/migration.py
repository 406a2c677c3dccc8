"""Who moved from which segment to which, with how much revenue, and where does it lead?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import random_table

from workbench.columns import category, periods, require_table, steady, written_periods
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.figures import Axes, flows
from workbench.messages import Day, Listed, Message, Number, Share, Span, join, say, spelt
from workbench.methods.intervals import share as share_interval
from workbench.methods.resampling import seeds
from workbench.result import COUNT, SHARE, Quantity, Result, Table, Tile
from workbench.studies.segmentation.checks import refuse_missing, require_once, with_numbers
from workbench.studies.segmentation.rfm import FEW

ENTERED, LEFT = "(entered)", "(left)"
_SIGNIFICANT = 0.05


@dataclass(frozen=True, eq=False)
class Migration(Result):
    """Moves of customers between segments, from the last date but one to the last.

    Attributes
    ----------
    flows : DataFrame
        One row a pair of segments that has customers: origin, destination, customers, share (of the origin), low, high,
        and where revenue is given revenue_before and revenue_after of those customers. ENTERED is the origin of those
        who were in no segment before, LEFT the destination of those who are in none now: gone, or not segmented.
    counts : ndarray, shape (dates - 1, segments + 1, segments + 1)
        Moves between all following dates; the last row entered, the last column left.
    stationary_p : float
        Of the test that moves are alike between all following dates; NaN with two, or at unlike distances.
    """

    flows: pd.DataFrame
    segments: tuple[str, ...]
    before: str
    after: str
    counts: np.ndarray
    stationary_p: float
    currency: str = "currency"
    monthly: bool = True

    NAME, COUNTS, TOTALS = "moves", "customers", ("origin", "destination")
    CHART = say("Bands from the segments before, left, to those after, right")
    FORMATS = dict.fromkeys(["revenue_before", "revenue_after"], COUNT) | dict.fromkeys(["low", "high"], SHARE)

    def headline(self) -> Message:
        """Say how many stayed, the largest move, who was and is in no segment, and whether the moves are steady."""
        last = self.counts[-1]
        was, stayed, entered, left = last[:-1].sum(), np.trace(last[:-1]), last[-1].sum(), last[:, -1].sum()
        low, high = map(float, share_interval(stayed, was))
        inner = self.summary().query("origin != destination and origin != @ENTERED and destination != @LEFT")
        if not was:
            return say("Nobody was there at {before}; {n} entered by {after}.", n=_said(entered), **self._on)
        most = (
            say(
                "most moved from {origin} to {destination}: {n} ({share})",
                origin=spelt(row.origin),
                destination=spelt(row.destination),
                n=row.customers,
                share=Share(row.share),
            )
            for row in inner.nlargest(1, "customers").itertuples()
        )
        clauses = [
            say(
                "Of {n} customers of {before}, {share} {span} were in the same segment on {after}",
                n=was,
                share=Share(stayed / was),
                span=Span(low, high, ".1%"),
                **self._on,
            ),
            *most,
            say(
                "{entered} were in no segment before, {left} are in none now", entered=_said(entered), left=_said(left)
            ),
            self._steady(),
        ]
        return say("{clauses}.", clauses=Listed(clauses, ";"))

    def tiles(self) -> tuple[Tile, ...]:
        """How many stayed where they were."""
        last = self.counts[-1][:-1]
        was, stayed = last.sum(), np.trace(last)
        if stayed < FEW:
            return ()
        low, high = map(float, share_interval(stayed, was))
        label = say("customers in the same segment on {before} and {after}", **self._on)
        return (Tile(label, Share(stayed / was), Span(low, high, ".1%")),)

    @property
    def _on(self) -> dict[str, Any]:
        return {"before": Day(self.before), "after": Day(self.after)}

    def _steady(self) -> Message:
        if np.isnan(self.stationary_p):
            if len(self.counts) > 1:
                return say("dates at unlike distances cannot show whether moves are steady")
            return say("two dates cannot show whether moves are steady")
        dates, p = len(self.counts) + 1, Number(self.stationary_p, ".2g")
        if self.stationary_p < _SIGNIFICANT:
            return say("moves differ between the {n} dates (p = {p})", n=dates, p=p)
        return say("moves show no sign of differing between the {n} dates (p = {p})", n=dates, p=p)

    def summary(self) -> pd.DataFrame:
        """Tabulate the flows of at least ten customers."""
        return self.flows[self.flows["customers"] >= FEW].reset_index(drop=True)

    def caption(self) -> Message:
        """Say what the table shows, with its units."""
        if "revenue_before" not in self.flows:
            return say("Flows from {before} to {after}.", **self._on)
        if not self.monthly:
            return self.say("Flows from {before} to {after}, with all revenue by each day, in {currency}.", **self._on)
        return self.say("Flows from {before} to {after}, with their revenue in {currency} a month.", **self._on)

    def picture_caption(self) -> Message:
        """Say what to see in the picture."""
        return join(say("From {before} to {after}.", **self._on), self.headline())

    def as_table(self) -> Table:
        """Give all flows as a page shows them: those of few customers suppressed, not left out."""
        return replace(super().as_table(), frame=self.flows)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the alluvial: left before, right after, bands in the origin's colour; none under ten."""
        moved = pd.DataFrame(self.counts[-1], [*self.segments, ENTERED], [*self.segments, LEFT])
        old, new = ([f"{name}: {_said(n)}" for name, n in sums.items()] for sums in (moved.sum(axis=1), moved.sum()))
        return flows(moved, old, new, ax, least=FEW, ends=(self.before, self.after), label="customers by segment")

    def quantities(self) -> Iterable[Quantity]:
        """Share of each flow of at least ten customers, of its origin."""
        for place, row in enumerate(self.flows.itertuples()):
            name = f"move[from={row.origin},to={row.destination}]"
            if row.customers >= FEW:
                yield Quantity(name, row.share, "share", row.low, row.high, row=place)


def migration(
    history: pd.DataFrame,
    *,
    customer: str,
    when: str,
    segment: str,
    revenue: str | None = None,
    order: Sequence[str] | None = None,
    currency: str = "currency",
    monthly: bool = True,
) -> Migration:
    """Count who moved between segments.

    Parameters
    ----------
    history : DataFrame
        One row a customer and date on which the customer was there. The last two dates give the flows (shares with
        Wilson intervals), all dates the test that moves are alike: Anderson & Goodman's (1957) chi-square of period by
        destination within each origin, its p from 999 tables of the same margins, so that small counts do no harm.
    customer, when, segment, revenue : str
        Columns; revenue, if given: a month's, or where not `monthly` the sum of all until the date.
    order : sequence of str, optional
        Segments from the first to the last as they shall stand; by name if not given.
    currency : str
        Of the revenue, for people.

    Raises
    ------
    WorkbenchError
        If a column lacks, a value is missing, a customer stands twice on a date, or `order` leaves a segment out.
    CannotAnswer
        If there is one date only.

    Warnings
    --------
    A move between clusters is a crossing of a border, and who stands near one crosses it without having changed. On the
    sample operator, whose customers keep their kind for ever, one in seven crosses within three months.

    Examples
    --------
    >>> table = pd.DataFrame({"id": [1, 2, 3, 1, 2, 4], "at": [1, 1, 1, 2, 2, 2], "is": list("aabaab")})
    >>> migration(table, customer="id", when="at", segment="is").flows.iloc[:, :4]
          origin destination  customers  share
    0          a           a          2    1.0
    1          b      (left)          1    1.0
    2  (entered)           b          1    1.0
    """
    history, names = _checked(history, customer, when, segment, revenue, order)
    table = history.assign(**{segment: pd.Categorical(category(history[segment], segment), names).codes})
    wide = table.pivot_table([segment, *([revenue] if revenue else [])], customer, when, aggfunc="first", sort=False)
    wide = wide.sort_index(axis=1)
    place = wide[segment].fillna(len(names)).astype(int)
    code = place * (len(names) + 1)
    shape = (-1, len(names) + 1, len(names) + 1)
    counts = np.array([np.bincount(code[a] + place[b], minlength=shape[1] ** 2) for a, b in pairwise(place)]).reshape(
        shape
    )
    counts[:, -1, -1] = 0
    before, after = place.columns[-2:]
    origin, destination = np.nonzero(counts[-1])
    number, of = counts[-1][origin, destination], counts[-1].sum(axis=1)[origin]
    low, high = share_interval(number, of)
    pair = {"origin": np.array([*names, ENTERED])[origin], "destination": np.array([*names, LEFT])[destination]}
    flows = pd.DataFrame({**pair, "customers": number, "share": number / of, "low": low, "high": high})
    if revenue:
        money = wide[revenue][[before, after]].fillna(0.0).to_numpy(dtype=float)
        for name, values in zip(("revenue_before", "revenue_after"), money.T, strict=True):
            sums = np.bincount(code[before] + place[after], values, shape[1] ** 2).reshape(shape[1:])
            flows[name] = sums[origin, destination]
    first, last = (str(day).removesuffix(" 00:00:00") for day in (before, after))
    even = steady(periods(pd.Series(place.columns), when))
    return Migration(flows, names, first, last, counts, _stationary_p(counts) if even else np.nan, currency, monthly)


def _checked(history, customer, when, segment, revenue, order) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table as it is read, and the segments in order."""
    columns = [customer, when, segment, *([revenue] if revenue else [])]
    require_table(history, columns, "history")
    refuse_missing(history, columns, "history")
    if revenue:
        history = with_numbers(history, [revenue], "history")
    history = history.assign(**{when: written_periods(history[when], when)})
    refuse_missing(history, [when], "history")
    for _, day in history.groupby(when):
        require_once(day, customer)
    if history[when].nunique() < 2:
        raise CannotAnswer("migration needs two dates; history has {dates}.").of(history[when].unique())
    found = sorted(category(history[segment], segment).unique())
    names = tuple(found if order is None else map(str, order))
    if left_out := sorted({*found} - {*names}):
        raise WorkbenchError("order leaves out {names}. Name every segment.").of(left_out)
    return history, names


def _stationary_p(counts: np.ndarray) -> float:
    draws = 999
    observed, drawn = 0.0, np.zeros(draws)
    for row, seed in zip(counts.transpose(1, 0, 2), seeds(0, counts.shape[1]), strict=True):
        table = row[row.sum(axis=1) > 0][:, row.sum(axis=0) > 0]
        if min(table.shape) > 1:
            of, into = table.sum(axis=1), table.sum(axis=0)
            expected = np.outer(of, into) / of.sum()
            tables = random_table(of, into, seed=np.random.default_rng(seed)).rvs(draws)
            observed += (table**2 / expected).sum()
            drawn += (tables**2 / expected).sum(axis=(1, 2))
    return float((1 + (drawn >= observed * (1 - 1e-12)).sum()) / (1 + draws)) if len(counts) > 1 else np.nan


def _said(number: int) -> Message:
    return say("{n}", n=number) if number >= FEW or number == 0 else say("fewer than {n}", n=FEW)
