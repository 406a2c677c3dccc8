"""The one reader of columns: what a DataFrame must be at a study's door.

A number is a number whatever its dtype, a flag is 0/1 or a boolean, a day is an ISO day, a period sorts in time, and
anything else is refused by name with what to do. The dtype of a column never decides its meaning in silence: what is
left out is counted, what could be read in two ways is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from workbench.days import EPOCH as EPOCH
from workbench.days import ISO_DAY
from workbench.days import day as day
from workbench.days import days as days
from workbench.days import periods as periods
from workbench.days import steady as steady
from workbench.days import written_periods as written_periods
from workbench.errors import CannotAnswer, WorkbenchError, require_columns
from workbench.messages import as_message, say
from workbench.numbers import NUMBER, distinct, flags_of, refuse_times
from workbench.numbers import Missing as Missing
from workbench.numbers import as_floats as as_floats
from workbench.numbers import flag as flag
from workbench.numbers import is_number as is_number
from workbench.numbers import number as number
from workbench.numbers import weights_of as weights_of

MOST_ASIDE = 0.05
"""Share of rows with days that cannot be; with more of them nothing is answered."""


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
    for column in (*numbers, *flags):
        read[column] = (flags_of if column in flags else number)(table[column], column, missing=keep)
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
    """Refuse what is no table, is empty, lacks a column or has one of the columns twice."""
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
    refuse_times(column, name, "turn it into days before a date, or into a number")
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
    if values.map(lambda v: bool(ISO_DAY.fullmatch(v.strip()))).all():
        raise WorkbenchError(
            "'{name}' holds days written as text ({names} for instance). Turn them into days before a date; if they "
            "name groups, convert them with astype('category')."
        ).of(name, [values.iloc[0]])
    if values.map(lambda v: bool(NUMBER.fullmatch(v))).all():
        raise WorkbenchError(
            "'{name}' holds numbers written as text ({names} for instance). If they are amounts, convert them with "
            "pandas.to_numeric; if they are codes, with astype('category')."
        ).of(name, [values.iloc[0]])
    return "category"


def category(column: pd.Series, name: str, *, missing: Missing = "keep") -> pd.Series:
    """Give names of categories as text, None where missing; whole numbers lose their '.0', so 3, 3.0 and '3' are one.

    Examples
    --------
    >>> category(pd.Series([3, None, 4]), "grade").tolist()
    ['3', None, '4']
    """
    refuse_times(column, name, "write the day or month as text if it names a group")
    codes, values = distinct(column, name)
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


def _name(value: object) -> str:
    if isinstance(value, (float, np.floating, Decimal)) and math.isfinite(value):
        value = value.normalize() if isinstance(value, Decimal) else value
        return str(int(value)) if value == int(value) else str(value)
    return str(value)
