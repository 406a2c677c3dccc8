"""A period is written as people write it, and never in the future."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.reports.runs.periods import KINDS, containing, last_complete, parse


@pytest.mark.parametrize(
    ("text", "start", "end", "label"),
    [
        ("2026-10", "2026-10-01", "2026-11-01", "2026-10"),
        (" 2026-12 ", "2026-12-01", "2027-01-01", "2026-12"),
        ("2026Q3", "2026-07-01", "2026-10-01", "2026Q3"),
        ("2026-Q4", "2026-10-01", "2027-01-01", "2026Q4"),
        ("2026", "2026-01-01", "2027-01-01", "2026"),
        ("2024-02-29", "2024-02-29", "2024-03-01", "2024-02-29"),
    ],
)
def test_a_period_has_first_day_and_first_day_after(text, start, end, label):
    """By hand."""
    period = parse(text)
    assert (period.start.isoformat(), period.end.isoformat(), period.label) == (start, end, label)
    assert parse(period.label) == period


@given(st.dates(dt.date(2, 1, 1), dt.date(9000, 1, 1)), st.sampled_from(KINDS))
def test_periods_tile_the_calendar(day, kind):
    """Each day is in one of each kind; neighbours touch; the last complete one is over."""
    period = containing(day, kind)
    assert period.start <= day < period.end
    assert period.next().start == period.end
    assert period.next().previous() == period
    assert last_complete(day, kind).end == period.start
    assert parse(period.label, today=period.end, kind=kind) == period


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2026-13", "'2026-13' is no period: there is no such month"),
        ("2026-02-30", "no such day"),
        ("2026Q5", "no such quarter"),
        ("2026Q0", "no such quarter"),
        ("0000", "no such month or year"),
        ("9999", "beyond the calendar"),
        ("26-10", "'26-10' is no period. Write a month as 2026-10"),
        ("2026/10", "is no period"),
        ("last", "is no period"),
        ("2026-11", "period '2026-11' is not over on 2026-11-22: the last complete month is 2026-10."),
        ("2031", "the last complete year is 2025."),
    ],
)
def test_what_is_no_period_is_refused(text, words):
    """Impossible, in another form, or not over."""
    with pytest.raises(WorkbenchError) as refused:
        parse(text, today=dt.date(2026, 11, 22))
    assert words in str(refused.value)


def test_a_period_of_another_kind_is_refused():
    """With the one that was most likely meant."""
    with pytest.raises(WorkbenchError, match=r"'2026Q2' is a quarter, but a month is asked for, such as 2026-04\."):
        parse("2026Q2", kind="month")
    with pytest.raises(WorkbenchError, match=r"no kind of period 'moth'\. Did you mean 'month'"):
        containing(dt.date(2026, 1, 1), "moth")


def test_a_pattern_is_filled_from_the_period():
    """A plan says by it what a study's parameters are in a period."""
    assert parse("2026-01").fill("{start} {end} {month} {previous}") == "2026-01-01 2026-02-01 01 2025-12"
    with pytest.raises(WorkbenchError, match=r"no word of a period 'quater'\. Did you mean 'quarter'"):
        parse("2026").fill("{quater}")
    with pytest.raises(WorkbenchError, match="brace"):
        parse("2026").fill("{year")
