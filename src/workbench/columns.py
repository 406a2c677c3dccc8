"""The one reader of columns: what a DataFrame must be at a study's door.

A number is a number whatever its dtype, a flag is 0/1 or a boolean, a day is an ISO day, a period sorts in time, and
anything else is refused by name with what to do. The dtype of a column never decides its meaning in silence: what is
left out is counted, what could be read in two ways is asked for.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from workbench.errors import CannotAnswer, WorkbenchError, require_columns
from workbench.messages import as_message, say

Missing = Literal["refuse", "keep"]

FIRST_DAY = pd.Timestamp("1900-01-02")
LAST_DAY = pd.Timestamp("2099-12-30")
EPOCH = pd.Timestamp("1970-01-01")
MOST_ASIDE = 0.05
"""Share of rows with days that cannot be; with more of them nothing is answered."""

_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?")
_PERIOD = re.compile(r"\d{4}(-(0[1-9]|1[0-2]))?|\d{4}-?Q[1-4]")
_NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)*|\.\d+)([eE][+-]?\d+)?\s*")


@dataclass(frozen=True)
class Taken:
    """Columns read at a door.

    Attributes
    ----------
    table : DataFrame
        The columns asked for, index as given: numbers and weights float64, flags bool, categories text (None where
        missing), dates datetime64 without zone (NaT where missing).
    set_aside : dict of str to int
        Rows left out, by reason; reasons with no row do not appear.
    """

    table: pd.DataFrame
    set_aside: dict[str, int]


def take(
    table: pd.DataFrame,
    name: str,
    *,
    key: str | Sequence[str] | None = None,
    numbers: Iterable[str] = (),
    flags: Iterable[str] = (),
    categories: Iterable[str] = (),
    dates: Iterable[str] = (),
    weight: str | None = None,
    by: Iterable[str] = (),
    missing: Literal["refuse", "keep", "set aside"] = "refuse",
) -> Taken:
    """Read the columns that a study needs, each by its declared meaning.

    Parameters
    ----------
    table : DataFrame
        One row a unit.
    name : str
        What the table is called in messages.
    key : str or sequence of str, optional
        Columns that identify a row; repeated or missing keys are refused.
    numbers, flags, categories, dates : iterable of str
        Columns by meaning.
    weight : str, optional
        Column of finite weights, 0 or more, with a positive sum.
    by : iterable of str
        Columns that name a row's group; read as categories, never missing.
    missing : {"refuse", "keep", "set aside"}
        What happens to rows with a gap in `numbers`, `flags` or `dates`; a placeholder day is a gap.

    Raises
    ------
    WorkbenchError
        If the table is empty, a column is missing, stands twice or is not what it was declared to be.

    Examples
    --------
    >>> bills = pd.DataFrame({"who": [1, 2, 3], "yuan": [5, None, 7], "on": ["2026-01-31", "2026-02-28", "1900-01-01"]})
    >>> taken = take(bills, "bills", key="who", numbers=["yuan"], dates=["on"], missing="set aside")
    >>> len(taken.table), taken.set_aside
    (1, {"'yuan' missing": 1, "'on' a placeholder, not a day": 1})
    """
    keys = [key] if isinstance(key, str) else list(key or [])
    numbers, flags, categories, dates, by = list(numbers), list(flags), list(categories), list(dates), list(by)
    weights = [weight] if weight else []
    asked = list(dict.fromkeys([*keys, *numbers, *flags, *categories, *dates, *weights, *by]))
    require_table(table, asked, name)
    if keys:
        _require_key(table, keys, name)
    keep: Missing = "refuse" if missing == "refuse" else "keep"
    read: dict[str, Any] = {column: table[column] for column in keys}
    gaps: dict[str, np.ndarray] = {}
    for column in numbers:
        read[column] = number(table[column], column, missing=keep)
        gaps[f"'{column}' missing"] = np.isnan(read[column])
    for column in flags:
        read[column] = _flags(table[column], column, missing=keep)
        gaps[f"'{column}' missing"] = np.isnan(read[column])
    for column in dates:
        read[column], placeholder = days(table[column], column, missing=keep)
        gaps[f"'{column}' missing"] = read[column].isna().to_numpy() & ~placeholder
        gaps[f"'{column}' a placeholder, not a day"] = placeholder
    for column in categories:
        read[column] = category(table[column], column)
    for column in by:
        read[column] = category(table[column], column, missing="refuse")
    if weight:
        read[weight] = weights_of(table[weight], weight)
    kept, set_aside = np.ones(len(table), bool), {}
    for reason, rows in gaps.items() if missing == "set aside" else ():
        if (kept & rows).any():
            set_aside[reason] = int((kept & rows).sum())
            kept &= ~rows
    found = {column: pd.Series(np.asarray(values)[kept], table.index[kept]) for column, values in read.items()}
    for column in {*flags} - {*numbers}:
        if found[column].notna().all():
            found[column] = found[column] == 1
    for column in {*categories, *by}:
        found[column] = found[column].astype(object).where(found[column].notna(), None)
    return Taken(pd.DataFrame(found, index=table.index[kept]), set_aside)


def require_table(table: pd.DataFrame, columns: Iterable[str], name: str) -> None:
    """Refuse what is no table, is empty, lacks a column or has one of the columns twice.

    Raises
    ------
    """
    require_columns(table, columns, name)
    if len(table) == 0:
        raise CannotAnswer("{name} is empty: there is no row to read.").of(name)


def _require_key(table: pd.DataFrame, keys: list[str], name: str) -> None:
    gone = table[keys].isna().any(axis=1)
    if gone.any():
        raise WorkbenchError("{names} of {name} is missing in {n} rows: every row needs its key.").of(
            keys, name, gone.sum()
        )
    repeated = table[keys].duplicated()
    if repeated.any():
        first = min(" / ".join(map(str, row)) for row in table.loc[repeated, keys].itertuples(index=False))
        raise WorkbenchError(
            "{name} lists {n} rows of {names} more than once, for instance '{first}': keep one row each."
        ).of(name, repeated.sum(), keys, first)


def kind(column: pd.Series, name: str) -> Literal["number", "category"]:
    """Tell whether a covariate or feature is a number or a category.

    Numbers of any dtype (also Decimal, also in a column of objects) and booleans are numbers; text and the dtype
    'category' are categories. Days, and text that holds nothing but numbers, are refused: two readings are possible.

    Examples
    --------
    >>> kind(pd.Series([Decimal("1.5"), None]), "arpu"), kind(pd.Series(["north", "south"]), "region")
    ('number', 'category')
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "category"
    if is_number(column):
        return "number"
    _refuse_times(column, name, "turn it into days before a date, or into a number")
    values = column.dropna()
    if not len(values):
        return "number"
    with suppress(TypeError):  # lists are told apart below
        values = values.drop_duplicates()
    texts = np.array([isinstance(v, str) for v in values])
    if not texts.all():
        odd = type(values[~texts].iloc[0]).__name__
        mixed = say("mixes text with other values ({odd} among them)", odd=odd)
        mixed = mixed if texts.any() else say("holds values of type {odd}", odd=odd)
        raise WorkbenchError("'{name}' {mixed}: make it all numbers or all text.").of(name, as_message(mixed))
    if values.map(lambda v: bool(_ISO_DAY.fullmatch(v.strip()))).all():
        raise WorkbenchError(
            "'{name}' holds days written as text ({names} for instance). Turn them into days before a date; if they "
            "name groups, convert them with astype('category')."
        ).of(name, [values.iloc[0]])
    if values.map(lambda v: bool(_NUMBER.fullmatch(v))).all():
        raise WorkbenchError(
            "'{name}' holds numbers written as text ({names} for instance). If they are amounts, convert them with "
            "pandas.to_numeric; if they are codes, with astype('category')."
        ).of(name, [values.iloc[0]])
    return "category"


def number(column: pd.Series, name: str, *, what: str = "column", missing: Missing = "refuse") -> np.ndarray:
    """Give a column of numbers as float64, shape (n,), NaN where missing.

    Parameters
    ----------
    column : Series
        int, float, bool, nullable, Arrow, Decimal, or objects that hold numbers.
    name, what : str
        The column's name, and what it is ("outcome"), for messages.
    missing : {"refuse", "keep"}

    Raises
    ------
    WorkbenchError
        If a value is no number, is infinite, or is missing and must not be.

    Examples
    --------
    >>> number(pd.Series([Decimal("2.5"), 1, True], dtype=object), "yuan").tolist()
    [2.5, 1.0, 1.0]
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        raise WorkbenchError(
            "the {what} '{name}' is declared a category, not a number: convert it with astype(float)."
        ).of(as_message(what), name)
    if column.dtype == object and column.isna().all():
        column = column.astype(float)
    if not is_number(column):
        _refuse_times(column, name, "turn it into a number")
        odd = next((v for v in column if not _gone(v) and not _real(v)), None)
        if odd is None:
            return _without_gaps(np.full(len(column), np.nan), name, what, missing)
        advice = "convert it with pandas.to_numeric" if isinstance(odd, str) and _NUMBER.fullmatch(odd) else "mend it"
        raise WorkbenchError(
            "the {what} '{name}' is not numeric: it holds {kind}, {names}. Give numbers: {advice}."
        ).of(as_message(what), name, type(odd).__name__, [str(odd)[:40]], as_message(advice))
    values = as_floats(column)
    infinite = np.isinf(values)
    if infinite.any():
        raise WorkbenchError("the {what} '{name}' is infinite in {n} of {all} rows: mend them.").of(
            as_message(what), name, infinite.sum(), len(values)
        )
    return _without_gaps(values, name, what, missing)


def as_floats(column: pd.Series) -> np.ndarray:
    """Give a column of numbers of any dtype as float64, shape (n,), NaN where missing; infinite ones pass."""
    if column.dtype == object:
        return np.array([np.nan if _gone(v) else float(v) for v in column], dtype=float)
    values: np.ndarray = column.to_numpy(dtype=float, na_value=np.nan)
    return values


def _without_gaps(values: np.ndarray, name: str, what: str, missing: Missing) -> np.ndarray:
    gaps = int(np.isnan(values).sum())
    if gaps and missing == "refuse":
        raise WorkbenchError(
            "the {what} '{name}' is missing in {gaps} of {n} rows: say what a missing value means (nothing = 0?) "
            "and fill it, or leave those rows out."
        ).of(as_message(what), name, gaps, len(values))
    return values


def flag(column: pd.Series, name: str) -> np.ndarray:
    """Give a flag as booleans, shape (n,): True/False or 1/0 of any dtype, never missing, never text.

    Examples
    --------
    >>> flag(pd.Series([1, 0, 1.0]), "held").tolist()
    [True, False, True]
    >>> flag(pd.Series(["Y", "N"]), "held")
    Traceback (most recent call last):
    ...
    workbench.errors.WorkbenchError: the flag 'held' holds text ('Y'): give True/False or 1/0 (column == 'Y').
    """
    given: np.ndarray = _flags(column, name) == 1
    return given


def _flags(column: pd.Series, name: str, missing: Missing = "refuse") -> np.ndarray:
    """Give 1, 0 and NaN, shape (n,)."""
    values = column.dropna()
    if len(values) and isinstance(values.iloc[0], str):
        first = values.iloc[0]
        raise WorkbenchError(
            "the flag '{name}' holds text ('{first}'): give True/False or 1/0 (column == '{first}')."
        ).of(name, first)
    found = number(column, name, what="flag", missing=missing)
    other = ~np.isin(found, (0.0, 1.0)) & ~np.isnan(found)
    if other.any():
        raise WorkbenchError("the flag '{name}' holds {found}: give True/False or 1/0.").of(
            name, f"{found[other].min():g}"
        )
    return found


def category(column: pd.Series, name: str, *, missing: Missing = "keep") -> pd.Series:
    """Give names of categories as text, None where missing; whole numbers lose their '.0', so 3, 3.0 and '3' are one.

    Examples
    --------
    >>> category(pd.Series([3, None, 4]), "grade").tolist()
    ['3', None, '4']
    """
    _refuse_times(column, name, "write the day or month as text if it names a group")
    codes, values = _distinct(column, name)
    names = np.array([*map(_name, values), None], dtype=object)
    if (codes < 0).any() and missing == "refuse":
        raise WorkbenchError(
            "'{name}' is missing in {n} of {all} rows: give those rows a name ('unknown', for instance), or leave "
            "them out."
        ).of(name, (codes < 0).sum(), len(column))
    return pd.Series(names[codes], index=column.index, name=name, dtype=object)


def by_id(ids: pd.Series) -> np.ndarray:
    """Positions that sort by identifier, shape (n,): as numbers where all are digits, else as text.

    Examples
    --------
    >>> by_id(pd.Series(["100", "95"])).tolist(), by_id(pd.Series([100, 95])).tolist()
    ([1, 0], [1, 0])
    """
    if types.is_numeric_dtype(ids):
        return np.argsort(ids.to_numpy(), kind="stable")
    text = ids.astype(str).reset_index(drop=True)
    keys = pd.DataFrame({"text": text})
    if text.str.fullmatch("[0-9]+").all():
        bare = text.str.lstrip("0")
        keys = pd.DataFrame({"length": bare.str.len(), "bare": bare, "text": text})
    order: np.ndarray = keys.sort_values(list(keys.columns)).index.to_numpy()
    return order


def weights_of(column: pd.Series, name: str) -> np.ndarray:
    """Give weights as float64, shape (n,): finite, 0 or more, not all 0.

    Raises
    ------
    """
    values = number(column, name, what="weight")
    if (values < 0).any():
        raise WorkbenchError("the weight '{name}' is negative in {n} rows: give 0 or more.").of(
            name, (values < 0).sum()
        )
    if not values.sum() > 0:
        raise WorkbenchError("the weight '{name}' is 0 in every row: nobody would count.").of(name)
    return values


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
    if types.is_datetime64_any_dtype(column.dtype) or _arrow_time(column):
        zoned = "date" not in str(column.dtype) if _arrow_time(column) else True
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
    codes, values = _distinct(column, name)
    read = []
    for value in values:
        moment = _moment(value, name)
        if moment is None:
            raise _no_day(value, name)
        read.append(moment.to_datetime64())
    found = np.array([*read, np.datetime64("NaT", "us")], dtype="datetime64[us]")
    return pd.Series(found[codes], index=column.index)


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
    if types.is_datetime64_any_dtype(column.dtype) or _arrow_time(column):
        return days(column, name)[0].rename(name)
    codes, found = _distinct(column, name)
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
    codes, values = _distinct(column, name)
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
        if not _ISO_DAY.fullmatch(value.strip()):
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


def _distinct(column: pd.Series, name: str) -> tuple[np.ndarray, Sequence[Any]]:
    """Give each row's position among the distinct values, -1 where missing, and those values."""
    try:
        codes, values = pd.factorize(column, use_na_sentinel=True)
        return codes, values
    except TypeError as error:
        odd = next(v for v in column if not hasattr(v, "__hash__") or v.__hash__ is None)
        raise WorkbenchError("'{name}' holds values of type {kind}: give one value a row, not several.").of(
            name, type(odd).__name__
        ) from error


def _gone(value: object) -> bool:
    return value is None or (types.is_scalar(value) and bool(pd.isna(value)))


def _real(value: object) -> bool:
    return isinstance(value, (Real, Decimal, np.bool_)) or value is pd.NA


def is_number(column: pd.Series) -> bool:
    """Tell whether a column holds numbers, whatever its dtype."""
    if types.is_bool_dtype(column.dtype) or types.is_numeric_dtype(column.dtype):
        return not types.is_complex_dtype(column.dtype)
    return column.dtype == object and all(_real(v) or _gone(v) for v in column) and bool(column.notna().any())


def _arrow_time(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.ArrowDtype) and str(column.dtype).startswith(("timestamp", "date"))


def _arrow_duration(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.ArrowDtype) and str(column.dtype).startswith(("duration", "time"))


def _refuse_times(column: pd.Series, name: str, advice: str) -> None:
    times = types.is_datetime64_any_dtype(column.dtype) or types.is_timedelta64_dtype(column.dtype)
    times = times or isinstance(column.dtype, pd.PeriodDtype) or _arrow_time(column) or _arrow_duration(column)
    first = column.dropna().iloc[:1] if column.dtype == object else ()
    if times or any(isinstance(v, (dt.date, dt.timedelta, pd.Period)) for v in first):
        raise WorkbenchError("'{name}' holds dates or durations: {advice}.").of(name, as_message(advice))


def _name(value: object) -> str:
    if isinstance(value, (float, np.floating, Decimal)) and math.isfinite(value):
        value = value.normalize() if isinstance(value, Decimal) else value
        return str(int(value)) if value == int(value) else str(value)
    return str(value)
