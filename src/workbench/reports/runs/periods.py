"""Which stretch of time does a report speak of? A day, a month, a quarter or a year, written as people write it."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from dataclasses import dataclass

from workbench.errors import WorkbenchError, require_known
from workbench.messages import Term, say

KINDS = ("day", "month", "quarter", "year")
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_FORM = re.compile(r"([0-9]{4})(?:-?Q([0-9])|-([0-9]{2})(?:-([0-9]{2}))?)?")


@dataclass(frozen=True, order=True)
class Period:
    """A stretch of days.

    Attributes
    ----------
    start, end : date
        First day, and first day after; the latter is the `as_of` of what is known when the period is over.
    kind : str
        day, month, quarter or year.
    """

    start: dt.date
    end: dt.date
    kind: str

    @property
    def label(self) -> str:
        """How it is written, the same for all ways of writing it."""
        if self.kind == "day":
            return self.start.isoformat()
        if self.kind == "quarter":
            return f"{self.start.year:04}Q{self.quarter}"
        return f"{self.start.year:04}" + (f"-{self.start.month:02}" if self.kind == "month" else "")

    @property
    def quarter(self) -> int:
        """The quarter its first day is in."""
        return (self.start.month + 2) // 3

    def previous(self) -> Period:
        """Give the period before, of the same kind."""
        return containing(self.start - dt.timedelta(days=1), self.kind)

    def next(self) -> Period:
        """Give the period after, of the same kind."""
        return containing(self.end, self.kind)

    def fill(self, pattern: str) -> str:
        """Write a pattern of {label}, {start}, {end}, {year}, {month}, {quarter}, {previous} for this period.

        >>> parse("2026-06").fill("{year}Q{quarter}")
        '2026Q2'

        Raises
        ------
        WorkbenchError
            If the pattern has another name in braces, or braces that do not close.
        """
        names = {"label": self.label, "start": self.start, "end": self.end, "previous": self.previous().label}
        names |= {"year": f"{self.start.year:04}", "month": f"{self.start.month:02}", "quarter": self.quarter}
        for name in re.findall(r"{([^{}]*)}", pattern):
            require_known("word of a period", name, names)
        filled = re.sub(r"{([^{}]*)}", lambda found: str(names[found[1]]), pattern)
        if "{" in filled or "}" in filled:
            raise WorkbenchError("'{text}' has a brace that is not closed. Write for instance {{label}}.").of(pattern)
        return filled


def containing(day: dt.date, kind: str) -> Period:
    """Give the period of a kind that a day is in.

    >>> containing(dt.date(2026, 11, 22), "quarter").label
    '2026Q4'
    """
    require_known("kind of period", kind, KINDS)
    try:
        if kind == "day":
            return Period(day, day + dt.timedelta(days=1), kind)
        step = _MONTHS[kind]
        start = day.replace(month=(day.month - 1) // step * step + 1, day=1)
        over = start.month - 1 + step
        return Period(start, dt.date(start.year + over // 12, over % 12 + 1, 1), kind)
    except (ValueError, OverflowError):
        raise WorkbenchError("the period of {day} is beyond the calendar, which ends with the year 9999.").of(
            day
        ) from None


def parse(text: str, *, today: dt.date | None = None, kind: str = "") -> Period:
    """Read a period: 2026-10-05, 2026-10, 2026Q4 or 2026.

    Parameters
    ----------
    today : date, optional
        Refuse a period that is not over on this day.
    kind : str
        Refuse a period of another kind; "" takes any.

    Raises
    ------
    WorkbenchError
        If it is no period, not over, or of another kind.

    Examples
    --------
    >>> parse("2026Q4").end
    datetime.date(2027, 1, 1)
    """
    found = _FORM.fullmatch(unicodedata.normalize("NFKC", text).strip())
    if not found:
        raise WorkbenchError(
            "'{text}' is no period. Write a month as 2026-10, a quarter as 2026Q4, a year as 2026 or a day as "
            "2026-10-05."
        ).of(text[:40])
    year, quarter, month, day = found.groups()
    try:
        first = dt.date(int(year), int(month or (int(quarter) - 1) * 3 + 1 if quarter else month or 1), int(day or 1))
    except ValueError:
        part = Term("quarter" if quarter else "day" if day else "month or year")
        raise WorkbenchError("'{text}' is no period: there is no such {part}.").of(text, part) from None
    period = containing(first, "day" if day else "month" if month else "quarter" if quarter else "year")
    if kind and period.kind != kind:
        kinds = {"is": Term(period.kind), "asked": Term(kind)}
        such = containing(period.start, kind).label
        raise WorkbenchError(
            say("'{text}' is a {is}, but a {asked} is asked for, such as {such}.", text=text, such=such, **kinds)
        )
    if today is not None and period.end > today:
        raise WorkbenchError("period '{period}' is not over on {today}: the last complete {kind} is {last}.").of(
            period.label, today, Term(period.kind), last_complete(today, period.kind).label
        )
    return period


def last_complete(today: dt.date, kind: str) -> Period:
    """Give the last period of a kind that is over on a day.

    >>> last_complete(dt.date(2026, 11, 1), "month").label
    '2026-10'
    """
    return containing(today, kind).previous()
