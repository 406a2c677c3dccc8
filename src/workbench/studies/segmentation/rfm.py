"""Who bought lately, often and much? Recency, frequency, monetary: scores, cells and named segments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import numpy as np
import pandas as pd

from workbench.columns import by_id, day, days, number
from workbench.errors import CannotAnswer, WorkbenchError, require_columns, require_known
from workbench.figures import Axes, heat_map
from workbench.messages import Count, Listed, Message, Named, Share, Term, say, spelt
from workbench.result import COUNT, MINIMUM_CELL, SHARE, Quantity, Result, Table, Tile
from workbench.studies.segmentation.binning import scores
from workbench.studies.segmentation.checks import refuse_missing, require_once, with_numbers
from workbench.studies.segmentation.grid import NEVER_ACTIVE, SegmentGrid, default_grid
from workbench.suppression import visible

Binning = Literal["independent", "nested"]
Ties = Literal["together", "by_id"]

BELOW = "customers with an amount below 0"

_AMOUNT_STEP = 1e-6


FEW = MINIMUM_CELL
"""Groups of fewer customers are not put into words."""


@dataclass(frozen=True, eq=False)
class Rfm(Result):
    """Scores and segment of each customer.

    Attributes
    ----------
    customers : DataFrame
        One row a customer, sorted by customer: the customer's column, recency_days (whole days from the last active day
        to the snapshot; NaN for never active), frequency (active days), monetary (sum of amounts), r, f, m (1 to
        `bins`, highest = best; 0 for never active), cell ("555"), segment.
    as_of : Timestamp or None
        The snapshot, exclusive; None where the features were given.
    set_aside : dict of str to int
        What was counted but not used, by reason: events from the snapshot on, customers of whom only those are known,
        events with a negative amount (they reduce the sum but are no activity), customers never active; customers
        with an amount below 0 (lowest in amount where they are scored).
    currency : str
        Of the amounts.
    """

    customers: pd.DataFrame
    grid: SegmentGrid
    as_of: pd.Timestamp | None = None
    set_aside: dict[str, int] = field(default_factory=dict)
    currency: str = "currency"

    NAME, COUNTS = "rfm", "customers"
    CHART = say("Heat map: recency score up, frequency score across")
    PICTURE_CAPTION = "Customers by recency and frequency score."

    def headline(self) -> Message:
        """Say who carries the revenue and who slips away."""
        table = self.summary().set_index("segment")
        best = table.loc[self.grid.segments[0].name]
        concern = table.loc[[s.name for s in self.grid.segments if s.concern]]
        told = bool(table.monetary_share.notna().any())
        clauses = [
            say(
                "Of {all} customers, {n} ({share}) are {segment}",
                all=len(self.customers),
                n=Count(best.customers),
                share=Share(best.share),
                segment=_named(best),
            )
        ]
        if told:
            money = Share(best.monetary_share)
            clauses = [say("{who} and bring {money} of revenue", who=clauses[0], money=money)]
        if len(concern):
            clauses.append(_slipping(concern, told))
        if not told:
            clauses.append(say("the amounts of all add up to nothing, so nobody brings a share"))
        if below := self.set_aside.get(BELOW, 0):
            clauses.append(say("{n} have an amount below 0 (refunds above payments)", n=below))
        return say("{clauses}.", clauses=Listed(clauses, ";"))

    def tiles(self) -> tuple[Tile, ...]:
        """How many are in the best segment."""
        best = self.summary().iloc[0]
        if best.customers < FEW:
            return ()
        label = say("{segment}, customers of {all}", segment=self.called(best.segment), all=len(self.customers))
        return (Tile(label, Count(best.customers)),)

    def called(self, segment: str) -> Named:
        """Name a segment of the grid."""
        names = {s.name: s.name_zh for s in self.grid.segments}
        return Named(segment.replace("_", " "), names.get(segment, ""))

    def summary(self) -> pd.DataFrame:
        """Tabulate the segments in the grid's order, empty ones too.

        Shares are of all customers given: counts of the whole base, not estimates, hence without an interval.
        """
        segments = list(self.grid.segments)
        rows = pd.DataFrame(
            {
                "segment": [s.name for s in segments] + [NEVER_ACTIVE],
                "name_zh": [s.name_zh for s in segments] + ["从未使用客户"],
                "action": [s.action for s in segments] + ["Find out why: activation, a spare card, or a wrong record."],
            }
        )
        grouped = self.customers.groupby("segment")
        facts = grouped.agg(
            customers=("segment", "size"),
            recency_days=("recency_days", "median"),
            frequency=("frequency", "median"),
            monetary_mean=("monetary", "mean"),
            monetary=("monetary", "sum"),
        )
        rows = rows.join(facts, on="segment").fillna({"customers": 0, "monetary": 0})
        rows = rows[(rows.segment != NEVER_ACTIVE) | (rows.customers > 0)]
        rows["customers"] = rows["customers"].astype(int)
        rows["share"] = rows.customers / len(self.customers)
        total = rows.monetary.sum()
        rows["monetary_share"] = rows.monetary / total if total > 0 else np.nan
        order = [
            "segment",
            "name_zh",
            "customers",
            "share",
            "monetary_share",
            "monetary_mean",
            "recency_days",
            "frequency",
        ]
        return rows[[*order, "action"]].reset_index(drop=True)

    def as_table(self) -> Table:
        """Give the named segments as a page shows them."""
        amount = say("mean amount ({unit})", unit=Term(self.currency))
        words = {"monetary_mean": amount, "monetary_share": "share of amount"}
        said = say("Named segments and what they bring; recency and frequency are medians in days.")
        formats = {"share of amount": SHARE, amount: "{:,.1f}", "recency_days": COUNT, "frequency": COUNT}
        frame = self._spelt(self.summary()).drop(columns=["name_zh", "action"]).rename(columns=words)
        return Table("segments", frame, said, formats, self.COUNTS)

    def _spelt(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Let segments and actions be said in Chinese as the grid does."""
        acts = {s.name: s.action_zh for s in self.grid.segments}
        return rows.assign(
            segment=[spelt(s.replace("_", " "), zh) for s, zh in zip(rows["segment"], rows["name_zh"], strict=True)],
            action=[spelt(act, acts.get(s, "")) for s, act in zip(rows["segment"], rows["action"], strict=True)],
        )

    def segments_of(self, customers: pd.Series) -> pd.Series:
        """Say the segment of each of some customers in words; missing for who is not scored."""
        rows = self.summary()
        said = self._spelt(rows).set_axis(rows["segment"])["segment"]
        return customers.map(self.customers.set_index(next(iter(self.customers)))["segment"]).map(said)

    def actions(self) -> Table:
        """Give what to do for each segment of ten customers or more as a page shows it."""
        rows = self._spelt(self.summary().query("customers >= @FEW"))[["segment", "action"]]
        return Table("actions", rows, say("What to do for each segment."))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the heat map of R by F: customers in each square; nothing on fewer than ten."""
        bins, scored = self.grid.bins, self.customers[self.customers.r > 0]
        counts = pd.crosstab(scored.r, scored.f).reindex(
            index=range(bins, 0, -1), columns=range(1, bins + 1), fill_value=0
        )
        within = scored.groupby(["r", "f"])["segment"].agg(lambda names: "|".join(sorted({*names})))
        squares = counts.stack().rename("n").to_frame().join(within.rename("segments")).reset_index()  # noqa: PD013
        seen = visible(squares, "n", FEW, ["segments"]).reshape(counts.shape)  # those of a segment add up to it
        cells = zip(counts.to_numpy(), seen, strict=True)
        words = [[f"{n:,}" if s else "–" if n else "" for n, s in zip(*row, strict=True)] for row in cells]
        ax = heat_map(counts, words, ax, vmin=0)
        ax.set_xlabel(say("frequency score (1 rarest, {n} most frequent)", n=bins))
        ax.set_ylabel(say("recency score (1 longest ago, {n} latest)", n=bins))
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Share of customers and of the amount in each segment: counts of the base, without interval."""
        for place, row in enumerate(self.summary().itertuples()):
            yield Quantity(f"segment_share[{row.segment}]", float(row.share), "share", row=place)
            name = f"segment_monetary_share[{row.segment}]"
            yield Quantity(name, float(row.monetary_share), "share", row=place)


def rfm(
    events: pd.DataFrame,
    *,
    customer: str,
    when: str,
    amount: str,
    as_of: str | date | pd.Timestamp,
    bins: int = 5,
    binning: Binning = "independent",
    ties: Ties = "together",
    grid: SegmentGrid | None = None,
    currency: str = "currency",
) -> Rfm:
    """Score customers from their purchases or other chargeable events before a snapshot.

    Parameters
    ----------
    events : DataFrame
        One row a purchase, payment or event.
    customer, when, amount : str
        Columns: who, the local date or time, the amount in currency. Amounts are added to a millionth.
        A negative amount (refund) reduces the sum and is no activity.
    as_of : date
        The snapshot, exclusive: only what happened before its 00:00 counts.
    bins, binning, ties, grid, currency
        As in `score_rfm`.

    Raises
    ------
    WorkbenchError
        If a column is missing, is of the wrong type or holds missing values, or `as_of` has a time of day.
    CannotAnswer
        If no event lies before the snapshot, or there are fewer customers than bins.

    Examples
    --------
    >>> days = pd.to_datetime(["2026-06-30", "2026-06-01", "2026-05-01", "2026-07-01"])
    >>> events = pd.DataFrame({"who": [1, 1, 2, 3], "on": days, "yuan": [5.0, 6.0, 7.0, 8.0]})
    >>> grid = SegmentGrid.from_mapping({"bins": 2, "segment": [
    ...     {"name": "all", "name_zh": "全部", "meaning": "everyone", "action": "none", "boxes": [{}]}]})
    >>> result = rfm(events, customer="who", when="on", amount="yuan", as_of="2026-07-01", bins=2, grid=grid)
    >>> result.customers[["who", "recency_days", "frequency", "monetary", "cell"]].values.tolist()
    [[1, 1.0, 2, 11.0, '222'], [2, 61.0, 1, 7.0, '111']]
    >>> result.set_aside["events from the snapshot on"]
    1
    """
    require_columns(events, [customer, when, amount], "events")
    snapshot = _snapshot(as_of)
    refuse_missing(events, [customer, when, amount], "events")
    moments, placeholder = days(events[when], when)
    events = events[[customer]].assign(**{when: moments, amount: number(events[amount], amount)})[~placeholder]
    before = (events[when] < snapshot).to_numpy()
    if not before.any():
        first = say("there are no events")
        if not events.empty:
            first = say("the first is of {time}", time=f"{events[when].min():%Y-%m-%d %H:%M}")
        raise CannotAnswer("no event lies before the snapshot {day}: {first}. Choose a later as_of.").of(
            snapshot, first
        )
    known = events.loc[before]
    code, ids = pd.factorize(known[customer], sort=False)
    features = _features(code, len(ids), known[when], known[amount].to_numpy(dtype=float), snapshot)
    features.insert(0, customer, ids)
    names: dict[str, Any] = {
        "customer": customer,
        "recency": "recency_days",
        "frequency": "frequency",
        "monetary": "monetary",
    }
    result = score_rfm(features, **names, bins=bins, binning=binning, ties=ties, grid=grid)
    set_aside = {
        "events from the snapshot on": int((~before).sum()),
        "customers of whom only those are known": int(
            events.loc[~before, customer].drop_duplicates().isin(ids).eq(False).sum()
        ),
        "events with a negative amount": int((known[amount] < 0).sum()),
    }
    if placeholder.any():
        set_aside["events on a placeholder, not a day"] = int(placeholder.sum())
    return Rfm(result.customers, result.grid, snapshot, set_aside | result.set_aside, currency)


def score_rfm(
    customers: pd.DataFrame,
    *,
    customer: str,
    recency: str,
    frequency: str,
    monetary: str,
    bins: int = 5,
    binning: Binning = "independent",
    ties: Ties = "together",
    cuts: Mapping[str, Sequence[float]] | None = None,
    grid: SegmentGrid | None = None,
    currency: str = "currency",
) -> Rfm:
    """Score customers whose recency, frequency and monetary are known.

    Parameters
    ----------
    customers : DataFrame
        One row a customer.
    customer, recency, frequency, monetary : str
        Columns: identifier; days since the last activity (missing = never active: such customers are kept, get the
        scores 0 and the segment `never_active`, and move nobody's score); active days; amount in currency.
    bins : int
        Scores run from 1 to `bins`; the highest is best (most recent, most frequent, highest amount).
    binning : {"independent", "nested"}
        Quantiles of all customers; or F within each R, and M within each R and F. On real data the two agree on few
        customers: state which one a report uses. Within a group of fewer than `bins` customers, nested scores spread
        from the middle.
    ties : {"together", "by_id"}
        "together": cut points are quantiles of the values and equal values share a score. Cut points that coincide, or
        that ties at the lowest or highest value straddle, merge bins; a merged bin has the middle of its scores (down).
        "by_id": bins of equal size; equal values are ranked by customer, the larger identifier higher. Identifiers
        that are all digits sort as numbers, others as text.
    cuts : mapping, optional
        Fixed ends of the classes, by "recency", "frequency" or "monetary", ascending, one fewer than `bins`; for
        instance ``{"recency": [3, 7, 14, 30]}``: the best score up to 3 days, the lowest beyond 30. A value on a cut
        belongs to the better class. Where nearly everybody was active yesterday, quantiles would call two days of
        silence a risk. Only with independent binning.
    grid : SegmentGrid, optional
        The named segments; the ten of `rfm_segments.toml` if None (for five bins).
    currency : str
        Of the amounts, for people.

    Raises
    ------
    WorkbenchError
        If a column is missing, not numeric, or holds missing values where it must not, a customer stands twice, the
        grid is for another number of bins, or the cuts don't fit the bins.
    CannotAnswer
        If fewer customers than `bins` were ever active.
    """
    for name, value, known in (("binning", binning, ("independent", "nested")), ("ties", ties, ("together", "by_id"))):
        require_known(name, value, known)
    grid = _grid_for(bins, grid)
    table = _checked(customers, customer, recency, frequency, monetary)
    active = table["recency_days"].notna().to_numpy()
    if len(table) and not active.any():
        raise CannotAnswer(
            "not answerable: of none of {n} customers is it known when they were last active. Detail records "
            "(calls, messages, data sessions) or single purchases tell it."
        ).of(len(table))
    if active.sum() < bins:
        raise CannotAnswer(
            "{n} active customers cannot be spread over {bins} bins. Take fewer bins or more customers."
        ).of(int(active.sum()), bins)
    values = np.column_stack(
        [-table.loc[active, "recency_days"], table.loc[active, "frequency"], table.loc[active, "monetary"]]
    )
    found = np.zeros((len(table), 3), dtype=np.int64)
    found[active] = scores(values, bins, nested=binning == "nested", together=ties == "together")
    for name, ends in (cuts or {}).items():
        column, above = _fixed(name, ends, bins, binning)
        found[active, column] = 1 + (values[:, [column]] >= above).sum(axis=1)
    for column, name in enumerate(("r", "f", "m")):
        table[name] = found[:, column]
    separator = "" if bins < 10 else "-"
    table["cell"] = [separator.join(map(str, row)) for row in found.tolist()]
    segment = np.full(len(table), NEVER_ACTIVE, dtype=object)
    segment[active] = grid.names(*found[active].T)
    table["segment"] = pd.array(segment, dtype="str")
    counted = {"customers never active": int((~active).sum())}
    if below := int((table["monetary"] < 0).sum()):
        counted[BELOW] = below
    return Rfm(table, grid, set_aside=counted, currency=currency)


def _fixed(name: str, ends: Sequence[float], bins: int, binning: Binning) -> tuple[int, np.ndarray]:
    """Check fixed cut points; give the column they are for and its ends, the higher the better."""
    features = ("recency", "frequency", "monetary")
    require_known("feature", name, features, "cuts")
    if binning == "nested":
        raise WorkbenchError("cuts are the same for everybody, nested classes are not. Take binning='independent'.")
    cuts = np.asarray(ends, dtype=float)
    if cuts.shape != (bins - 1,) or not np.isfinite(cuts).all() or (np.diff(cuts) <= 0).any():
        raise WorkbenchError("cuts of '{name}' are {cuts}; {bins} bins take {taken} ascending numbers.").of(
            name, str(cuts.tolist()), bins, bins - 1
        )
    return features.index(name), (-cuts[::-1] if name == "recency" else cuts)


def _named(segment: pd.Series) -> Named:
    return Named(str(segment.name).replace("_", " "), segment.name_zh)


def _slipping(concern: pd.DataFrame, told: bool) -> Message:
    """Say how many are in the segments that slip away, and what they bring."""
    names = Listed((say("'{name}'", name=_named(row)) for _, row in concern.iterrows()), "or")
    n = concern.customers.sum()
    if n < FEW:
        return say("fewer than {n} are {segments}", n=FEW, segments=names)
    said = say("{n} ({share}) are {segments}", n=n, share=Share(concern.share.sum()), segments=names)
    if told:
        return say("{said}, with {money} of it", said=said, money=Share(concern.monetary_share.sum()))
    return said


def _grid_for(bins: int, grid: SegmentGrid | None) -> SegmentGrid:
    grid = default_grid() if grid is None else grid
    if grid.bins != bins:
        raise WorkbenchError(
            "the segment grid is for {bins} bins, not {taken}. Take bins={bins2}, or pass a grid of your own: "
            "grid=SegmentGrid.from_toml(path)."
        ).of(grid.bins, bins, str(grid.bins))
    return grid


def _snapshot(as_of: str | date | pd.Timestamp) -> pd.Timestamp:
    snapshot = day(as_of, "as_of")
    if snapshot != snapshot.normalize():
        raise WorkbenchError("as_of is a day (its 00:00 local time), like '2026-07-01'; not {as_of}.").of(repr(as_of))
    return snapshot


def _features(
    code: np.ndarray, count: int, when: pd.Series, amount: np.ndarray, snapshot: pd.Timestamp
) -> pd.DataFrame:
    ago = (snapshot - when.dt.normalize()).dt.days.to_numpy()
    span = ago.max() + 1
    active = amount >= 0
    who, day = np.divmod(pd.unique(code[active] * span + ago[active]), span)
    recency = np.full(count, np.inf)
    np.minimum.at(recency, who, day.astype(float))
    frequency = np.bincount(who, minlength=count)
    monetary = np.bincount(code, weights=np.rint(amount / _AMOUNT_STEP), minlength=count) * _AMOUNT_STEP
    return pd.DataFrame(
        {
            "recency_days": np.where(np.isinf(recency), np.nan, recency),
            "frequency": frequency,
            "monetary": monetary.round(6),
        }
    )


def _checked(customers: pd.DataFrame, customer: str, recency: str, frequency: str, monetary: str) -> pd.DataFrame:
    features = [recency, frequency, monetary]
    require_columns(customers, [customer, *features], "customers")
    customers = with_numbers(customers, features, "customers")
    require_once(customers, customer)
    seen = customers[customers[recency].notna()]
    refuse_missing(seen, [frequency, monetary], "customers (those ever active)", "Give 0 where there was nothing.")
    if (seen[[recency, frequency]] < 0).any(axis=None):
        raise WorkbenchError(
            "'{recency}' and '{frequency}' count days; a negative one means an event after the snapshot."
        ).of(recency, frequency)
    table = customers[[customer, *features]].iloc[by_id(customers[customer])].reset_index(drop=True)
    return table.set_axis([customer, "recency_days", "frequency", "monetary"], axis=1)
