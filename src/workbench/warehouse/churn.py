"""Who was a customer at each month start, what was known of them, and did they leave within the horizon?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.messages import Message, say
from workbench.warehouse.connect import Warehouse
from workbench.warehouse.features import as_date, customer_features, feature_dictionary, spans
from workbench.warehouse.views import view

INVOLUNTARY = "non_payment"
SILENT_DAYS, LEAST = 90, 31


@dataclass(frozen=True, eq=False)
class ChurnPanel:
    """A panel, and the customers of today.

    Attributes
    ----------
    table : DataFrame
        One row a customer and month start: month, the features as known then, `left` (by choice, within the horizon)
        and `cause` (port_out, disconnect, silent, unknown; non_payment, which is not by choice; missing where they
        stayed).
    customers : DataFrame
        Who is a customer on `as_of`, with the features as known then.
    features : tuple of str
        Those that may go into a formula: numbers and texts that vary.
    months : tuple of date
    horizon : int
        Months.
    as_of : date
    left_out : tuple of Message
        What could not be known.
    """

    table: pd.DataFrame
    customers: pd.DataFrame
    features: tuple[str, ...]
    months: tuple[date, ...]
    horizon: int
    as_of: date
    left_out: tuple[Message, ...]


def churn_panel(
    warehouse: Warehouse,
    months: int | Sequence[date | str],
    horizon: int = 1,
    *,
    as_of: date | str | None = None,
    tables: Sequence[str] | None = None,
    silent_days: int = SILENT_DAYS,
    province: str = "",
) -> ChurnPanel:
    """Give the panel of some months: customers at each month start, and who left before the horizon ended.

    Parameters
    ----------
    months : int or sequence of dates
        Month starts; a number takes so many, the last whose horizon has ended by `as_of`.
    horizon : int
        Months.
    as_of : date or str, optional
        Exclusive: nothing of this day or later is known; what the warehouse declares if None.
    tables : sequence of str, optional
        Feature files, as for `customer_features`.
    silent_days : int
        Days without use after which who has prepaid lines alone has left, 31 or more. Who has been silent so long at a
        month start is not in it; they are back with their next event.

    Raises
    ------
    WorkbenchError
        If a month is no month start, or a number is below 1 (31).
    CannotAnswer
        If a month's horizon ends after `as_of`, or nothing is known of a month.
    """
    day = pd.Timestamp(as_date(as_of or warehouse.as_of))
    if horizon < 1 or silent_days < LEAST or (isinstance(months, int) and months < 1):
        raise WorkbenchError(
            "months={months}, horizon={horizon}, silent_days={silent_days}: give 1 or more, silent_days from 31 on."
        ).of(str(months), horizon, silent_days)
    whole = pd.DateOffset(months=horizon)
    if isinstance(months, int):
        last = (day - whole).to_period("M").to_timestamp()
        starts = list(pd.date_range(end=last, periods=months, freq="MS"))
    else:
        starts = sorted({pd.Timestamp(as_date(month)) for month in months})
    if odd := [start for start in starts if start.day != 1] or ([] if starts else [day]):
        raise WorkbenchError("{day} is no month start: give first days of months.").of(f"{odd[0]:%Y-%m-%d}")
    if starts[-1] + whole > day:
        raise CannotAnswer(
            "not answerable: a horizon of {horizon} (months) from {month} ends after {day}, so that it is not "
            "known who left within it. End the panel with the month of {last}, or choose a shorter horizon."
        ).of(horizon, starts[-1].date(), day.date(), (day - whole).to_period("M").to_timestamp().date())
    exits = view(warehouse, "customer_exit", as_of=day.date(), silent_days=silent_days)
    exits = exits.assign(**{c: exits[c].astype("datetime64[us]") for c in ("last_on", "back_on")})
    left_out: tuple[Message, ...] = ()
    records = spans(warehouse).get("detail_record")
    if not records or pd.Timestamp(records[0]) + pd.Timedelta(days=silent_days) > starts[0]:
        exits = exits[exits["cause"] != "silent"]
        said = say(
            "departures by {n} days of silence: records of use begin too late before the first month", n=silent_days
        )
        left_out = (said,)

    def there(start: pd.Timestamp) -> pd.DataFrame:
        found = customer_features(warehouse, start.date(), tables=tables, province=province)
        gone = exits[(exits["last_on"] < start) & ~(exits["back_on"] < start)]
        return found[~found["customer_id"].isin(gone["customer_id"])].reset_index(drop=True)

    table = pd.concat([there(start).assign(month=start) for start in starts], ignore_index=True)
    after = exits.merge(table[["customer_id", "month"]], on="customer_id")
    after = after[(after["last_on"] >= after["month"]) & (after["last_on"] < after["month"] + whole)]
    first = after.sort_values(["customer_id", "month", "last_on"]).drop_duplicates(["customer_id", "month"])
    table = table.merge(first[["customer_id", "month", "cause", "last_on"]], on=["customer_id", "month"], how="left")
    table["left"] = table["cause"].notna() & (table["cause"] != INVOLUNTARY)
    known = set(feature_dictionary()["name"])
    features = [c for c in table if c in known - {"customer_id", "is_staff"} and len(table[c].drop_duplicates()) > 1]
    ends = tuple(start.date() for start in starts)
    return ChurnPanel(
        table.drop(columns="last_on"), there(day), tuple(features), ends, horizon, day.date(), tuple(left_out)
    )
