"""What is a customer's history of purchases: how many repeats, when the last, seen for how long?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from workbench import columns
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.messages import Message, Share, join, say

Unit = Literal["day", "week", "month"]
DAYS = {"day": 1.0, "week": 7.0, "month": 365.25 / 12}

FEWEST_UNITS = 4
FEWEST_REPEATERS = 10
REFUNDS = "refund days, taken off earlier purchases"
BACKWARDS = "last day before the first"


@dataclass(frozen=True)
class Histories:
    """One row a customer, sorted: ids, x repeat days, t_x and T in days since the first; mean amount a repeat day."""

    ids: np.ndarray
    x: np.ndarray
    t_x: np.ndarray
    T: np.ndarray
    mean_amount: np.ndarray
    set_aside: dict[str, int]


def day_of(value: object, name: str) -> pd.Timestamp:
    """Read a day, or refuse it by name."""
    found = columns.day(value, name)
    if found != found.normalize():
        raise WorkbenchError("{name} is a day, like '2026-06-30'; not {value}.").of(name, repr(value))
    return found


def placeholders_aside(table: pd.DataFrame, column: str, name: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """Leave out rows whose day is a placeholder like 1900-01-01, and count them."""
    what = say("'{column}' is a placeholder like 1900-01-01", column=column)
    rows = columns.days(table[column], column)[1]
    return rows_aside(table, rows, what, f"'{column}' a placeholder, not a day", name)


def rows_aside(
    table: pd.DataFrame, rows: np.ndarray, what: Message, reason: str, name: str
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Leave out rows with days that cannot be, and count them by the reason.

    Raises
    ------
    CannotAnswer
        If they are more than a twentieth of all rows.
    """
    count = int(rows.sum())
    if count > columns.MOST_ASIDE * len(table):
        raise CannotAnswer(
            "{what} in {count} of {rows} rows of {name}, more than {most}: too many to leave out. Find their days, or "
            "drop those rows."
        ).of(what, count, len(table), name, Share(columns.MOST_ASIDE, 0))
    return (table[~rows], {reason: count}) if count else (table, {})


def left_out(aside: dict[str, int]) -> Message:
    """Say how many rows had no day, or a last day before the first, and how many refunds were taken off; "" if none.

    >>> left_out({REFUNDS: 2})
    'Refunds of 2 customer-days are taken off the purchases before them.'
    """
    unknown, refunds = sum(n for what, n in aside.items() if what.endswith("not a day")), aside.get(REFUNDS, 0)
    without = say("Left out, as their day is a placeholder like 1900-01-01: {unknown}.", unknown=unknown)
    back = say("Left out, as their last day lies before their first: {n}.", n=aside.get(BACKWARDS, 0))
    taken = say("Refunds of {refunds} customer-days are taken off the purchases before them.", refunds=refunds)
    return join(*[without] * bool(unknown), *[back] * (BACKWARDS in aside), *[taken] * bool(refunds))


def refuse(count: int, of: int, what: Message, name: str) -> None:
    """Refuse rows of which there are any, with their count."""
    if count:
        raise WorkbenchError("{name} of {of} rows has {n} {what}. Mend or drop those rows.").of(name, of, count, what)


def histories(
    purchases: pd.DataFrame, *, customer: str, when: str, until: object, amount: str | None = None
) -> Histories:
    """Make histories of purchase days up to and including the day `until`.

    Purchases of one day are one. With `amount`, a day counts with its sum; what a day is below 0 (paid back) is taken
    off the customer's purchases before it, the latest first. A day of which nothing is left (free, refunded) is no
    purchase; what was left out is counted in `set_aside`.
    """
    columns.require_table(purchases, [customer, when, *([amount] if amount else [])], "purchases")
    last = day_of(until, "until")
    purchases, aside = placeholders_aside(purchases, when, "purchases")
    on = columns.days(purchases[when], when, missing="refuse")[0]
    refuse(
        int(purchases[customer].isna().sum()),
        len(purchases),
        say("missing values in '{column}'", column=customer),
        "purchases",
    )
    value = columns.number(purchases[amount], amount) if amount else np.ones(len(purchases))
    ago = (last - on.dt.normalize()).dt.days.to_numpy()
    known = ago >= 0
    if not known.any():
        raise CannotAnswer("no purchase lies on or before {last}: the first is of {first}. Choose a later until.").of(
            last.date(), on.min().date()
        )
    code, ids = pd.factorize(purchases.loc[known, customer], sort=True)
    span = int(ago[known].max()) + 1
    key, row = np.unique(code.astype(np.int64) * span + (span - 1 - ago[known]), return_inverse=True)
    millionths = np.bincount(row, weights=np.rint(value[known] * 1e6))
    who, day = np.divmod(key, span)
    kept, refunds = _refunded(who, millionths)
    bought = kept > 0
    aside |= {
        "purchases after until": int((~known).sum()),
        "purchases of a day that had one": int(known.sum() - len(key)),
        "days without a positive amount": int((~bought & (millionths >= 0) & (millionths == kept)).sum()),
    }
    who, day, spent_on = who[bought], day[bought], kept[bought] / 1e6
    if not len(who):
        raise CannotAnswer("no day of any customer has an amount above 0: nothing was bought.")
    begins = np.flatnonzero(np.r_[True, np.diff(who) > 0])
    ends = np.r_[begins[1:], len(who)] - 1
    x = ends - begins
    spent = np.add.reduceat(spent_on, begins) - spent_on[begins]
    mean = np.divide(spent, x, out=np.full(len(x), np.nan), where=x > 0) if amount else np.full(len(x), np.nan)
    aside |= {"customers without a purchase": len(ids) - len(begins)} | refunds
    return Histories(np.asarray(ids)[who[begins]], x, day[ends] - day[begins], span - 1 - day[begins], mean, aside)


def _refunded(who: np.ndarray, amount: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    """Take what a day (sorted by customer, day) is below 0 off the purchases before it, the latest first.

    >>> _refunded(np.array([1, 1, 1, 2]), np.array([10.0, 4, -6, -5]))[0].tolist()
    [8.0, 0.0, 0.0, 0.0]
    >>> _refunded(np.full(5, 1), np.array([10.0, 4, -6, -5, -4]))[0].tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0]
    """
    back = np.flatnonzero(amount < 0)
    kept = amount.copy()
    beyond = 0
    skip: dict[int, int] = {}  # from a refund to the last day before it of which something may be left
    for at in back.tolist():
        owed, before = -amount[at], at - 1
        kept[at] = 0
        while owed > 0 and before >= 0 and who[before] == who[at]:
            taken = min(owed, kept[before])
            kept[before] -= taken
            owed -= taken
            if owed > 0:
                before = skip.get(before, before - 1)
        skip[at] = before
        beyond += owed > 0
    if not len(back):
        return kept, {}
    found = {
        REFUNDS: len(back),
        "purchase days refunded whole": int(((amount > 0) & (kept == 0)).sum()),
        "refund days of more than was bought before": int(beyond),
    }
    return kept, found
