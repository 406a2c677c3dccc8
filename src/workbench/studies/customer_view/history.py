"""What happened to one customer, and when? Facts of today, and a time line of everything on record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from workbench import columns
from workbench.catalogue import label, prose
from workbench.errors import CannotAnswer
from workbench.figures import Axes, axes
from workbench.messages import Count, Day, Label, Listed, Message, Name, Named, Term, Word, join, say, spelt
from workbench.result import Decision, Quantity, Result, Table, Tile

# Lanes of the time line, from above, by the table that tells of the event.
_LANES = {
    "customer": "lines",
    "subscription": "lines",
    "holding": "products",
    "opportunity": "leads",
    "bill": "bills",
    "payment": "payments",
    "collection_action": "collection",
    "fraud_case": "fraud",
    "contact": "contacts",
    "ticket": "cases",
    "survey_invitation": "surveys",
    "survey_response": "surveys",
    "campaign_member": "campaigns",
    "usage_month": "use",
    "detail_record": "use",
}
_OTHER = "other"
_SPACE = "\N{NO-BREAK SPACE}"
_USE = ("usage_month", "detail_record")


@dataclass(frozen=True)
class History(Result):
    """Everything on record of one customer within a period, on one time line.

    Attributes
    ----------
    table : DataFrame
        One row an event but use, newest first: day, time, department, what, detail, reference, amount (text, with
        unit).
    events : DataFrame
        All, with subject and lane, oldest first; monthly use among them.
    since, until : Timestamp
        First day of the period, and the day after its last.
    earlier : int
        Events but use on record before the period.
    """

    table: pd.DataFrame
    events: pd.DataFrame
    since: pd.Timestamp
    until: pd.Timestamp
    earlier: int

    NAME: ClassVar[str] = "events"
    PICTURE: ClassVar[str] = "time_line"
    CHART: ClassVar[str] = say("Dots on a time line, a lane for each kind of event")
    CAPTION: ClassVar[str] = "Everything on record in the period but use, newest first."
    PICTURE_CAPTION: ClassVar[str] = (
        "Each dot is an event; the lanes are what the departments know. A case that was not closed in its promised "
        "time is red; bars in the lane of use are the month's data, as a share of the largest month."
    )

    @property
    def told(self) -> pd.DataFrame:
        """The events of the period but use, oldest first."""
        return self.events[~self.events["subject"].isin(_USE)]

    def headline(self) -> Message:
        """Count the events of the period by kind, and say which was the last."""
        period = {"since": self.since.date(), "until": (self.until - pd.Timedelta(days=1)).date()}
        earlier = say("Earlier events: {n}.", n=self.earlier) if self.earlier else say("")
        if self.told.empty:
            return join(say("Nothing but use is on record from {since} to {until}.", **period), earlier)
        counts = self.told["lane"].value_counts()
        kinds = [
            say("{what} {n}", what=Word(lane), n=counts[lane])
            for lane in dict.fromkeys([*_LANES.values(), _OTHER])
            if lane in counts
        ]
        n, of = len(self.told), Listed(kinds, "")
        found = say("Events on record from {since} to {until}: {n}, of these {kinds}.", n=n, kinds=of, **period)
        return join(found, say("The last, on {day}: {event}.", **self.last()), earlier)

    def last(self) -> dict[str, Any]:
        """Give the day of the last event, and the event, to be said."""
        last = self.told.iloc[-1]
        what = say("{what}", what=Term(last["what"]))
        if isinstance(last["detail"], str):
            parts = [Named(part, _in_detail(part)) for part in last["detail"].split(": ", 1)]
            detail = say("{where}: {text}", where=parts[0], text=parts[1]) if parts[1:] else parts[0]
            what = say("{what} ({detail})", what=Term(last["what"]), detail=detail)
        return {"day": last["happened_at"].date(), "event": what}

    def tiles(self) -> tuple[Tile, ...]:
        """Events of the period."""
        since = say("events on record since {day}", day=self.since.date())
        return (Tile(since, Count(len(self.told))),) if len(self.told) else ()

    def use(self) -> Table | None:
        """Give the use by month, newest first; None where none is on record."""
        used = self.events[self.events["subject"].isin(_USE)]
        if used.empty:
            return None
        by_month = used.pivot_table(index=used["happened_at"].dt.strftime("%Y-%m"), columns="unit", values="amount")
        names = {"min": "call_min", "MB": "data_mb", "events": "events"}
        wide = by_month.rename(columns=names).rename_axis(index="month", columns=None).iloc[::-1].reset_index()
        wide = wide[["month", *(name for name in names.values() if name in wide)]]
        forms = {name: "{:,.0f}" for name in names.values() if name in wide}
        caption = say("Use by month: outgoing call minutes, MB, and calls, messages and sessions.")
        return Table("use", wide, caption, forms)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw a lane for each kind of event that the period has."""
        ax = axes(ax)
        lanes = [lane for lane in dict.fromkeys(_LANES.values()) if (self.events["lane"] == lane).any()]
        figure = ax.get_figure(root=True)
        if figure is not None and len(figure.axes) == 1:
            figure.set_figheight(0.36 * len(lanes) + 0.9)
        for place, lane in enumerate(lanes):
            rows = self.events[self.events["lane"] == lane]
            if lane == "use":
                used = rows[rows["unit"] == "MB"] if (rows["unit"] == "MB").any() else rows
                height = 0.8 * used["amount"] / max(used["amount"].max(), 1e-9)
                starts = used["happened_at"].dt.to_period("M").dt.to_timestamp()
                ax.bar(starts, -height, bottom=place + 0.4, width=24, align="edge", color="C6")
                continue
            late = rows["what"].str.contains("past its promised").fillna(False)
            ax.plot(rows["happened_at"], np.full(len(rows), place), "|", color="0.75", markersize=12)
            ax.plot(rows.loc[~late, "happened_at"], np.full((~late).sum(), place), "o", color="C0", markersize=4)
            ax.plot(rows.loc[late, "happened_at"], np.full(late.sum(), place), "o", color="C5", markersize=5)
        ax.set_yticks(range(len(lanes)), lanes)
        ax.set_ylim(len(lanes) - 0.4, -0.6)
        ax.set_xlim(self.since - pd.Timedelta(days=8), self.until + pd.Timedelta(days=8))
        ax.grid(True, axis="y")
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Events of the period."""
        yield Quantity("events", float(len(self.told)), "records")


def customer_history(
    events: pd.DataFrame,
    *,
    since: date | str,
    until: date | str,
    departments: Mapping[str, str] | None = None,
    currency: str = "yuan",
) -> History:
    """Put the events of one customer on a time line.

    Parameters
    ----------
    events : DataFrame
        One row an event: happened_at, subject (table), what, detail, reference, amount, unit.
    since, until : date or str
        First day of the period, and the day after its last.
    departments : mapping of str to str, optional
        Who delivers each table; the table's own name where it is not said.
    currency : str
        What "currency" stands for as a unit.

    Raises
    ------
    WorkbenchError
        If a column is missing or holds something else, or the period ends before it begins.
    CannotAnswer
        If nothing is on record in the period.
    """
    first, end = columns.day(since, "since"), columns.day(until, "until")
    texts = ["subject", "what", "detail", "reference", "unit"]
    read = columns.take(events, "events", categories=texts, dates=["happened_at"]).table
    read["amount"] = columns.number(events["amount"], "amount", missing="keep")
    read = read.sort_values(["happened_at", "subject", "what", "reference"], ignore_index=True)
    within = (read["happened_at"] >= first) & (read["happened_at"] < end)
    if first >= end or not within.any():
        raise CannotAnswer(
            "not answerable: nothing of this customer is on record from {first} and before {end}; their events run "
            "from {earliest} to {latest}."
        ).of(first.date(), end.date(), read["happened_at"].min().date(), read["happened_at"].max().date())
    found = read[within].reset_index(drop=True)
    found["lane"] = found["subject"].map(_LANES).fillna(_OTHER)
    of = departments or {}
    told = found[~found["subject"].isin(_USE)]
    shown = pd.DataFrame(
        {
            "day": told["happened_at"].dt.normalize(),
            "time": told["happened_at"].dt.strftime("%H:%M").replace("00:00", ""),
            "department": [of.get(subject, subject) for subject in told["subject"]],
            "what": told["what"],
            "detail": told["detail"].map(_detail),
            "reference": told["reference"],
            "amount": [_amount(*row, currency) for row in zip(told["amount"], told["unit"], strict=True)],
        }
    )
    before = (read["happened_at"] < first) & ~read["subject"].isin(_USE)
    return History(shown[::-1].reset_index(drop=True), found, first, end, int(before.sum()))


@dataclass(frozen=True)
class Profile(Result):
    """What is known of one customer on a day.

    Attributes
    ----------
    table : DataFrame
        One row a fact: column, fact (its name), value (with its unit, as text), meaning.
    facts : dict
        Values by column.
    """

    table: pd.DataFrame
    facts: dict[str, Any]

    NAME: ClassVar[str] = "facts"
    CAPTION: ClassVar[str] = "What all departments together know of the customer; what is not on record is left out."

    def headline(self) -> Message:
        """Say who they are, what they have, what they bring and owe, and how they fared."""
        parts: list[Term | Message] = [Term(str(self.facts.get("kind", "customer")))]
        if (province := self.facts.get("province")) is not None:
            parts.append(say("in {province}", province=str(province)))
        if (joined := self._said("joined_on")) is not None:
            parts.append(say("customer since {day}", day=Day(joined)))
        if (left := self._said("left_on")) is not None:
            parts.append(say("left on {day}", day=Day(left)))
        if (tariff := self.facts.get("tariff")) is not None:
            parts.append(say("tariff {name}", name=str(tariff)))
        if self._above("monetary"):
            parts.append(say("brings {amount}", amount=self._amount("monetary")))
        if self._above("arrears"):
            parts.append(say("owes {amount}", amount=self._amount("arrears")))
        if self._above("open_tickets"):
            parts.append(say("open cases: {n}", n=int(self.facts["open_tickets"])))
        return say("{parts}.", parts=Listed(parts, "")).sentence()

    def _above(self, column: str) -> bool:
        """Whether there is some of it today: who left brings nothing any more."""
        return bool(self.facts.get(column, 0) > 0) and not (column == "monetary" and "left_on" in self.facts)

    def _said(self, column: str) -> str | None:
        """Give a fact as the table shows it; None where it is not on record."""
        return next(iter(self.table.loc[self.table["column"] == column, "value"]), None)

    def _amount(self, column: str) -> Message:
        number, _, unit = str(self._said(column)).partition(_SPACE)
        return say("{number} {unit}", number=Name(number), unit=Term(unit))

    def tiles(self) -> tuple[Tile, ...]:
        """What they bring and owe, and what is open."""
        told = [
            Tile(what, self._amount(column))
            for what, column in ((say("what they bring"), "monetary"), (say("what they owe"), "arrears"))
            if self._above(column)
        ]
        open_cases = self.facts.get("open_tickets")
        return (*told, *([] if open_cases is None else [Tile(say("open cases"), Count(int(open_cases)))]))

    def decision(self, history: History) -> Decision:
        """Say what is settled first, what to read before a call, and who may see the page."""
        do = []
        if self._above("open_tickets"):
            do.append(say("Settle their open cases first: {n}.", n=int(self.facts["open_tickets"])))
        if self._above("arrears"):
            do.append(say("Speak of what they owe: {amount}.", amount=self._amount("arrears")))
        if (left := self._said("left_on")) is not None:
            do.append(say("They left on {day}: call only to win them back or to settle what is open.", day=Day(left)))
        if not do:
            do.append(say("No open case and no debt is on record: a call has nothing to settle first."))
        if len(history.told):
            do.append(say("Before a call read the last events; the latest, on {day}: {event}.", **history.last()))
        do.append(say("Keep this page to those who serve the customer; it is not published with the other reports."))
        return Decision(tuple(do), say("what a department knows of them and has not delivered."))

    def as_table(self) -> Table:
        """Give the facts."""
        return Table(self.NAME, self.table[["fact", "value", "meaning"]], self.caption())


def customer_profile(facts: pd.DataFrame) -> Profile:
    """Write down what is known of one customer.

    Parameters
    ----------
    facts : DataFrame
        One row a fact: column, meaning, unit, value.

    Raises
    ------
    WorkbenchError
        If a column is missing, or a fact stands twice.
    """
    columns.take(facts, "facts", key="column", categories=["meaning", "unit"])
    values = [_value(*row) for row in facts[["column", "value", "unit"]].itertuples(index=False)]
    names = [Label(column).said() for column in facts["column"]]
    table = pd.DataFrame({"column": facts["column"], "fact": names, "value": values, "meaning": facts["meaning"]})
    return Profile(table, dict(zip(facts["column"], facts["value"], strict=True)))


def _value(column: str, value: Any, unit: str) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, pd.Timestamp):
        if column.endswith("_month"):
            return f"{value:%Y-%m}"
        return f"{value:%Y-%m-%d}" if value == value.normalize() else f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, int | float | np.number):
        if unit == "year":
            return f"{value:.0f}"
        return _with_unit(float(value), unit)
    return str(value)


def _amount(value: float, unit: str | None, currency: str) -> str:
    if value != value:
        return ""
    return _with_unit(value, (unit or "").replace("currency", currency))


def _with_unit(value: float, unit: str) -> str:
    number = _number(value)
    counted = prose(unit, "zh")  # what is counted has its own measure word, else it is an entry of the catalogue
    named = Term(unit) if counted == unit else Named(unit.removesuffix("s") if value == 1 else unit, counted)
    return say("{number}\N{NO-BREAK SPACE}{unit}", number=number, unit=named) if unit else number


def _detail(text: object) -> object:
    """Give the detail of an event so that what a respondent asks for can be said in another language."""
    where, asks, request = str(text).partition(": asks for ")
    parts = Listed(map(spelt, where.split(", ")), "·")
    return say("{where}: asks for {request}", where=parts, request=spelt(request)) if asks else text


def _in_detail(part: str) -> str:
    """Give what a code means in the detail of an event, in Chinese; "" where it means there what it does elsewhere."""
    return "" if (said := label(code := f"detail.{part}", "zh")) == code.replace("_", " ") else said


def _number(value: float) -> str:
    text = f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"
    return text.replace("-", "−")
