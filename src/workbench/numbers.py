"""What does one column hold? Its numbers, flags and distinct values, whatever the dtype."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from workbench.errors import WorkbenchError
from workbench.messages import as_message

NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)*|\.\d+)([eE][+-]?\d+)?\s*")
Missing = Literal["refuse", "keep"]


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
        refuse_times(column, name, "turn it into a number")
        odd = next((v for v in column if not gone(v) and not _real(v)), None)
        if odd is None:
            return _without_gaps(np.full(len(column), np.nan), name, what, missing)
        advice = "convert it with pandas.to_numeric" if isinstance(odd, str) and NUMBER.fullmatch(odd) else "mend it"
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
        return np.array([np.nan if gone(v) else float(v) for v in column], dtype=float)
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
    given: np.ndarray = flags_of(column, name) == 1
    return given


def flags_of(column: pd.Series, name: str, missing: Missing = "refuse") -> np.ndarray:
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


def weights_of(column: pd.Series, name: str) -> np.ndarray:
    """Give weights as float64, shape (n,): finite, 0 or more, not all 0; refuse any others."""
    values = number(column, name, what="weight")
    if (values < 0).any():
        raise WorkbenchError("the weight '{name}' is negative in {n} rows: give 0 or more.").of(
            name, (values < 0).sum()
        )
    if not values.sum() > 0:
        raise WorkbenchError("the weight '{name}' is 0 in every row: nobody would count.").of(name)
    return values


def distinct(column: pd.Series, name: str) -> tuple[np.ndarray, Sequence[Any]]:
    """Give each row's position among the distinct values, -1 where missing, and those values."""
    try:
        codes, values = pd.factorize(column, use_na_sentinel=True)
        return codes, values
    except TypeError as error:
        odd = next(v for v in column if not hasattr(v, "__hash__") or v.__hash__ is None)
        raise WorkbenchError("'{name}' holds values of type {kind}: give one value a row, not several.").of(
            name, type(odd).__name__
        ) from error


def gone(value: object) -> bool:
    return value is None or (types.is_scalar(value) and bool(pd.isna(value)))


def _real(value: object) -> bool:
    return isinstance(value, (Real, Decimal, np.bool_)) or value is pd.NA


def is_number(column: pd.Series) -> bool:
    """Tell whether a column holds numbers, whatever its dtype."""
    if types.is_bool_dtype(column.dtype) or types.is_numeric_dtype(column.dtype):
        return not types.is_complex_dtype(column.dtype)
    return column.dtype == object and all(_real(v) or gone(v) for v in column) and bool(column.notna().any())


def arrow_time(column: pd.Series, *more: str) -> bool:
    """Tell whether a column has a type of Arrow for moments or days, or one of some more."""
    return isinstance(column.dtype, pd.ArrowDtype) and str(column.dtype).startswith(("timestamp", "date", *more))


def refuse_times(column: pd.Series, name: str, advice: str) -> None:
    times = types.is_datetime64_any_dtype(column.dtype) or types.is_timedelta64_dtype(column.dtype)
    times = times or isinstance(column.dtype, pd.PeriodDtype) or arrow_time(column, "duration", "time")
    first = column.dropna().iloc[:1] if column.dtype == object else ()
    if times or any(isinstance(v, (dt.date, dt.timedelta, pd.Period)) for v in first):
        raise WorkbenchError("'{name}' holds dates or durations: {advice}.").of(name, as_message(advice))
