"""When was it? Days and periods of a column, so that they sort in time; what can be read in two ways is refused."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from workbench.errors import WorkbenchError
from workbench.messages import say
from workbench.numbers import Missing, arrow_time, distinct, is_number, number

FIRST_DAY = pd.Timestamp("1900-01-02")
LAST_DAY = pd.Timestamp("2099-12-30")
EPOCH = pd.Timestamp("1970-01-01")
ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?")
_PERIOD = re.compile(r"\d{4}(-(0[1-9]|1[0-2]))?|\d{4}-?Q[1-4]")


def day(value: object, name: str) -> pd.Timestamp:
    """Read one day, given as a date or as ISO text ('2026-07-01'), as a Timestamp without zone.

    Raises
    ------
    WorkbenchError
        If it is written otherwise (01/07/2026 can be two days), or is a placeholder.

    Examples
    --------
    >>> day("2026-07-01", "as_of")
    Timestamp('2026-07-01 00:00:00')
    """
    found = _moment(value, name)
    if found is None:
        raise WorkbenchError("{name} is '{value}': give a day like '2026-07-01' (year, month, day).").of(name, value)
    if _placeholder(found):
        raise WorkbenchError("{name} is {found}, which stands for an unknown day: give a real one.").of(name, found)
    return found


def days(column: pd.Series, name: str, *, missing: Missing = "keep") -> tuple[pd.Series, np.ndarray]:
    """Read a column of days: datetimes of any unit or zone, dates, or ISO text.

    Times with a zone lose it and keep their clock. Placeholders (before 1900-01-02, 1970-01-01, from 2099-12-31 on)
    are no days: they become NaT and are reported.

    Returns
    -------
    days : Series of datetime64, index as given
    placeholder : array of bool, shape (n,)
        Rows whose day was a placeholder; count them in the result.

    Raises
    ------
    WorkbenchError
        If values are numbers, or text that is not ISO, or missing and must not be.
    """
    if types.is_datetime64_any_dtype(column.dtype) or arrow_time(column):
        zoned = "date" not in str(column.dtype) if arrow_time(column) else True
        if zoned and column.dt.tz is not None:
            column = column.dt.tz_localize(None)
        values = column.astype("datetime64[us]")
    else:
        values = _dates_of_objects(column, name)
    placeholder = _placeholder(values).to_numpy()
    values = values.mask(placeholder).rename(column.name)
    gaps = int(values.isna().sum())
    if gaps and missing == "refuse":
        aside = say(", {n} of them a placeholder like 1900-01-01", n=int(placeholder.sum()))
        raise WorkbenchError(
            "'{name}' has no day in {gaps} of {n} rows{aside}: give the day, or leave those rows out."
        ).of(name, gaps, len(values), aside if placeholder.any() else "")
    return values, placeholder


def _dates_of_objects(column: pd.Series, name: str) -> pd.Series:
    codes, values = distinct(column, name)
    read = []
    for value in values:
        moment = _moment(value, name)
        if moment is None:
            raise _no_day(value, name)
        read.append(moment.to_datetime64())
    found = np.array([*read, np.datetime64("NaT", "us")], dtype="datetime64[us]")
    return pd.Series(found[codes], index=column.index)


def month_after(day: dt.date, months: int = 1) -> dt.date:
    """Give the first day of the month so many months after that of a day.

    >>> month_after(dt.date(2025, 11, 30), 3), month_after(dt.date(2025, 2, 1), -3)
    (datetime.date(2026, 2, 1), datetime.date(2024, 11, 1))
    """
    number = day.year * 12 + day.month - 1 + months
    return dt.date(number // 12, number % 12 + 1, 1)


def periods(column: pd.Series, name: str) -> pd.Series:
    """Read periods so that they sort in time: numbers (2024), dates, Periods, or text ('2024', '2024-03', '2024Q1').

    Returns
    -------
    Series of float64 (numbers stay numbers, NaN where missing) or of datetime64 (first moment of the period; NaT where
    missing or a placeholder like 1900-01-01 or 9999-12)

    Raises
    ------
    WorkbenchError
        If text would sort by letters ('2025-1' … '2025-12'), or a number is infinite.
    """
    if is_number(column):
        return pd.Series(number(column, name, what="period", missing="keep"), column.index, dtype=float, name=name)
    if types.is_datetime64_any_dtype(column.dtype) or arrow_time(column):
        return days(column, name)[0].rename(name)
    codes, found = distinct(column, name)
    read = [np.datetime64(_start(value, name), "us") for value in found]
    values = pd.Series(np.array([*read, np.datetime64("NaT", "us")], dtype="datetime64[us]")[codes], column.index)
    return values.mask(_placeholder(values).to_numpy()).rename(name)


def written_periods(column: pd.Series, name: str) -> pd.Series:
    """Give periods as they are written, if they sort in time as they stand; times lose their zone.

    Raises
    ------
    WorkbenchError
        If text would sort by letters, or is no period.

    Examples
    --------
    >>> written_periods(pd.Series(["2025-12", "2025-02"]), "month").tolist()
    ['2025-12', '2025-02']
    """
    if types.is_numeric_dtype(column.dtype) and isinstance(column.dtype, np.dtype):
        return column
    read = periods(column, name)
    codes, values = distinct(column, name)
    if (codes < 0).any() or not all(isinstance(value, str) for value in values):
        return read
    first = np.unique(codes, return_index=True)[1]
    in_time = column.iloc[first].astype(str).rank(method="dense") == read.iloc[first].rank(method="dense")
    return column.astype(object) if in_time.all() else read


def steady(when: pd.Series) -> bool:
    """Tell whether months, quarters, years or numbers lie at one distance; days within months are not judged.

    >>> steady(pd.Series([202511, 202512, 202601])), steady(pd.Series([1, 2, 4]))
    (True, False)
    """
    found = np.unique(when.dropna())
    if found.dtype.kind == "M":
        found = found.astype("datetime64[M]").astype(int)
    elif len(found) and found.max() > 9_999:  # a code, of a month perhaps
        found = found // 100 * 12 + found % 100 if found.min() > 190_000 and found.max() < 210_000 else found[:0]
    steps = np.diff(found)
    return not len(steps) or steps.min() <= 0 or bool((steps == steps[0]).all())


def _start(value: object, name: str) -> pd.Timestamp:
    """Give the first moment of a period."""
    if isinstance(value, pd.Period):
        return value.start_time
    text = value.strip() if isinstance(value, str) else ""
    if _PERIOD.fullmatch(text):
        return pd.Period(text.replace("-Q", "Q")).start_time
    moment = _moment(value, name)
    if moment is None and isinstance(value, str):
        raise WorkbenchError(
            "'{name}' holds '{value}': periods as text would sort by letters. Write them like '2025-01' (year, "
            "month), '2025Q1' or '2025-01-31', or give numbers or dates."
        ).of(name, value)
    if moment is None:
        raise _no_day(value, name)
    return moment


def _moment(value: object, name: str) -> pd.Timestamp | None:
    """Read a date or ISO text as a Timestamp without zone, in microseconds; None if it is neither."""
    if isinstance(value, str):
        if not ISO_DAY.fullmatch(value.strip()):
            return None
        try:
            value = dt.datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise WorkbenchError("{name} holds '{value}', which is no day of the calendar.").of(name, value) from error
    if not isinstance(value, (dt.date, np.datetime64)) or pd.isna(value):
        return None
    if isinstance(value, np.datetime64):
        return pd.Timestamp(value.astype("datetime64[us]"))
    if isinstance(value, dt.datetime):
        value = value.replace(tzinfo=None)
    return pd.Timestamp(np.datetime64(value, "us"))


def _placeholder(values: pd.Series | pd.Timestamp) -> Any:
    """Tell which days stand for none: of a day or a Series of days, in their kind."""
    return (values < FIRST_DAY) | (values > LAST_DAY) | (values == EPOCH)


def _no_day(value: object, name: str) -> WorkbenchError:
    return WorkbenchError(
        "'{name}' holds '{value}' ({kind}): give days as dates, or as text like '2026-07-01' (year, month, day)."
    ).of(name, str(value)[:40], type(value).__name__)
