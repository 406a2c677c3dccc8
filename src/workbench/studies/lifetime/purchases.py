"""What is a customer's history of purchases: how many repeats, when the last, seen for how long?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError, require_columns

Unit = Literal["day", "week", "month"]
DAYS = {"day": 1.0, "week": 7.0, "month": 365.25 / 12}

FEWEST_UNITS = 4
FEWEST_REPEATERS = 10


@dataclass(frozen=True)
class Histories:
    """One row a customer, sorted: ids, x repeat days, t_x and T in days since the first; mean amount a repeat day."""

    ids: np.ndarray
    x: np.ndarray
    t_x: np.ndarray
    T: np.ndarray
    mean_amount: np.ndarray
    set_aside: dict[str, int]


def day_of(value: str | date | pd.Timestamp, name: str) -> pd.Timestamp:
    """Read a day, or refuse it by name."""
    try:
        day = pd.Timestamp(value)
    except (ValueError, TypeError):
        day = pd.NaT
    if day is pd.NaT or isinstance(value, (int, float)) or day.tz is not None or day != day.normalize():
        raise WorkbenchError(f"{name} is a day, like '2026-06-30'; not {value!r}.")
    return day


def require_dates(table: pd.DataFrame, columns: list[str], name: str) -> None:
    """Refuse a column that does not hold naive local dates."""
    for column in columns:
        if not pd.api.types.is_datetime64_dtype(table[column]):
            raise WorkbenchError(
                f"{name} column '{column}' holds {table[column].dtype}; it takes local dates: pandas.to_datetime "
                "(20260630 as a number: .astype(str) first)."
            )


def numbers_of(table: pd.DataFrame, column: str, name: str) -> np.ndarray:
    """A column of finite numbers, or a refusal with the count of what is none."""
    if not pd.api.types.is_numeric_dtype(table[column]) or pd.api.types.is_bool_dtype(table[column]):
        raise WorkbenchError(f"{name} column '{column}' holds {table[column].dtype}; it takes numbers.")
    values = table[column].to_numpy(dtype=float, na_value=np.nan)
    refuse(int((~np.isfinite(values)).sum()), len(table), f"missing or infinite values in '{column}'", name)
    return values


def refuse(count: int, of: int, what: str, name: str) -> None:
    """Refuse rows of which there are any, with their count."""
    if count:
        raise WorkbenchError(f"{name} of {of:,} rows has {count:,} {what}. Mend or drop those rows.")


def histories(
    purchases: pd.DataFrame, *, customer: str, when: str, until: object, amount: str | None = None
) -> Histories:
    """Make histories of purchase days up to and including the day `until`.

    Purchases of one day are one. With `amount`, a day counts with its sum, and a day whose sum is not above 0
    (refunded, free) is no purchase; what was left out is counted in `set_aside`.
    """
    require_columns(purchases, [customer, when, *([amount] if amount else [])], "purchases")
    require_dates(purchases, [when], "purchases")
    last = day_of(until, "until")
    refuse(int(purchases[[customer, when]].isna().any(axis=1).sum()), len(purchases), "missing values", "purchases")
    value = numbers_of(purchases, amount, "purchases") if amount else np.ones(len(purchases))
    ago = (last - purchases[when].dt.normalize()).dt.days.to_numpy()
    known = ago >= 0
    if not known.any():
        first = f"the first is of {purchases[when].min():%Y-%m-%d}" if len(purchases) else "there are none"
        raise CannotAnswer(f"no purchase lies on or before {last:%Y-%m-%d}: {first}. Choose a later until.")
    code, ids = pd.factorize(purchases.loc[known, customer], sort=True)
    span = int(ago[known].max()) + 1
    key, row = np.unique(code.astype(np.int64) * span + (span - 1 - ago[known]), return_inverse=True)
    cents = np.bincount(row, weights=np.rint(value[known] * 1e6)) / 1e6
    bought = cents > 0
    who, day = np.divmod(key[bought], span)
    if not len(who):
        raise CannotAnswer("no day of any customer has an amount above 0: nothing was bought.")
    begins = np.flatnonzero(np.r_[True, np.diff(who) > 0])
    ends = np.r_[begins[1:], len(who)] - 1
    x = ends - begins
    spent = np.add.reduceat(cents[bought], begins) - cents[bought][begins]
    mean = np.divide(spent, x, out=np.full(len(x), np.nan), where=x > 0) if amount else np.full(len(x), np.nan)
    aside = {
        "purchases after until": int((~known).sum()),
        "purchases of a day that had one": int(known.sum() - len(key)),
        "days without a positive amount": int((~bought).sum()),
        "customers without a purchase": len(ids) - len(begins),
    }
    return Histories(np.asarray(ids)[who[begins]], x, day[ends] - day[begins], span - 1 - day[begins], mean, aside)
