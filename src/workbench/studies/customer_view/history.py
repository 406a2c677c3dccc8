"""What happened to one customer, and when? Facts of today, and a time line of everything on record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from workbench import columns
from workbench.errors import CannotAnswer, listed
from workbench.figures import axes
from workbench.result import Quantity, Result, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Lanes of the time line, from above, by the table that tells of the event.
_LANES = {
    "customer": "lines", "subscription": "lines", "holding": "products", "opportunity": "leads", "bill": "bills",
    "payment": "payments", "contact": "contacts", "ticket": "cases", "survey_invitation": "surveys",
    "survey_response": "surveys", "campaign_member": "campaigns", "usage_month": "use", "detail_record": "use",
}  # fmt: skip
_SPACE = "\N{NO-BREAK SPACE}"
_USE = ("usage_month", "detail_record")
_NOUNS = {
    "bill": ("bill", "bills"), "payment": ("payment", "payments"), "contact": ("contact", "contacts"),
    "ticket": ("step of a case", "steps of cases"), "campaign_member": ("campaign", "campaigns"),
    "survey_response": ("interview", "interviews"), "holding": ("change of products", "changes of products"),
    "subscription": ("change of lines", "changes of lines"), "opportunity": ("step of a lead", "steps of leads"),
}  # fmt: skip
_COUNTED = ("lines", "contacts", "tickets", "campaigns", "products")  # units that the name of the fact says already


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
        Events on record before the period.
    """

    table: pd.DataFrame
    events: pd.DataFrame
    since: pd.Timestamp
    until: pd.Timestamp
    earlier: int

    NAME: ClassVar[str] = "events"
    PICTURE: ClassVar[str] = "time_line"
    CHART: ClassVar[str] = "Dots on a time line, a lane for each kind of event"
    CAPTION: ClassVar[str] = "Everything on record in the period but use, newest first."
    PICTURE_CAPTION: ClassVar[str] = (
        "Each dot is an event; the lanes are what the departments know. A case that was not closed in its promised "
        "time is red; bars in the lane of use are the month's data, as a share of the largest month."
    )

    def headline(self) -> str:
        """Count the events of the period by kind, and say which was the last."""
        period = f"from {self.since:%Y-%m-%d} to {self.until - pd.Timedelta(days=1):%Y-%m-%d}"
        told = self.events[~self.events["subject"].isin(_USE)]
        before = f"; {self.earlier:,} earlier" if self.earlier else ""
        if told.empty:
            return f"Nothing but use is on record {period}{before}."
        counts = told["subject"].value_counts()
        said = [f"{n:,} {nouns[int(n > 1)]}" for subject, nouns in _NOUNS.items() if (n := counts.get(subject, 0))]
        last = told.iloc[-1]
        detail = f" ({last['detail']})" if isinstance(last["detail"], str) else ""
        kinds = f": {listed(said)}" if said else ""
        noun = "event" if len(told) == 1 else "events"
        return (
            f"{len(told):,} {noun} {period}{kinds}{before}. The last, on {last['happened_at']:%Y-%m-%d}: "
            f"{last['what']}{detail}."
        )

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
        return Table("use", wide, "Use by month: outgoing call minutes, MB, and calls, messages and sessions.", forms)

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
        yield Quantity("events", float(len(self.events)), "events")


def customer_history(
    events: pd.DataFrame, *, since: date | str, until: date | str, departments: Mapping[str, str] | None = None,
    currency: str = "yuan",
) -> History:  # fmt: skip
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
            f"not answerable: nothing of this customer is on record from {first:%Y-%m-%d} and before {end:%Y-%m-%d}; "
            f"their events run from {read['happened_at'].min():%Y-%m-%d} to {read['happened_at'].max():%Y-%m-%d}."
        )
    found = read[within].reset_index(drop=True)
    found["lane"] = found["subject"].map(_LANES).fillna("other")
    of = departments or {}
    told = found[~found["subject"].isin(_USE)]
    shown = pd.DataFrame(
        {
            "day": told["happened_at"].dt.normalize(),
            "time": told["happened_at"].dt.strftime("%H:%M").replace("00:00", ""),
            "department": [of.get(subject, subject) for subject in told["subject"]],
            "what": told["what"],
            "detail": told["detail"],
            "reference": told["reference"],
            "amount": [
                _amount(value, unit, currency) for value, unit in zip(told["amount"], told["unit"], strict=True)
            ],
        }
    )
    return History(shown[::-1].reset_index(drop=True), found, first, end, int((read["happened_at"] < first).sum()))


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

    def headline(self) -> str:
        """Say who they are, what they have, what they bring and owe, and how they fared."""
        said = dict(zip(self.table["column"], self.table["value"], strict=True))
        parts = [str(said.get("kind", "customer")).capitalize()]
        told = {"province": "in {}", "joined_on": "since {}", "left_on": "left on {}", "tariff": "tariff {}"}
        parts += [words.format(said[column]) for column, words in told.items() if column in said]
        some = {"monetary": "brings {}", "arrears": "owes {}", "open_tickets": "open cases: {}"}
        parts += [words.format(said[column]) for column, words in some.items() if self.facts.get(column, 0) > 0]
        return f"{', '.join(parts)}."

    def as_table(self) -> Table:
        """Give the facts."""
        return Table(self.NAME, self.table[["fact", "value", "meaning"]], self.CAPTION)


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
    names = facts["column"].str.replace("_", " ")
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
        return f"{_number(float(value))}{_SPACE}{'' if unit in _COUNTED else unit}".rstrip()
    return str(value)


def _amount(value: float, unit: str | None, currency: str) -> str:
    if value != value:
        return ""
    return f"{_number(value)}{_SPACE}{currency if unit == 'currency' else unit or ''}".rstrip()


def _number(value: float) -> str:
    text = f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"
    return text.replace("-", "−")
