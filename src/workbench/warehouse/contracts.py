"""Which lines run on a day, since when, and what each brings a month?"""

from __future__ import annotations

from datetime import date

import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse.connect import Warehouse

_FEWEST_DAYS = 30


def contract_margins(
    warehouse: Warehouse, as_of: date | str, *, margin: float = 1.0, months: int = 3, province: str = ""
) -> pd.DataFrame:
    """Give every line that began before a day, and the margin a month of those that run on it.

    A customer's bills of the last `months` full months are shared among its lines by the days that each ran in those
    months: who came in the last of them is not taken for one who paid nothing before. The months are those of which
    bills were issued before `as_of`, within the last `months` + 2: one that was not delivered is unknown, not unpaid,
    and for a customer whose bill of the last one is not out they end before it. A line of a customer with fewer than
    30 days in them gets the mean of its service.

    Parameters
    ----------
    warehouse : Warehouse
    as_of : date or str
        Exclusive: nothing of this day or later is known.
    margin : float
        Share of what is billed, 0-1.
    months : int
    province : str
        Take only its customers; "" for all.

    Returns
    -------
    DataFrame
        subscription_id, customer_id, service, activated_on, ended_on (missing while the line runs), running, margin
        (currency a month; missing for lines that ended).

    Raises
    ------
    WorkbenchError
        If `margin` is no share or `months` is below 1.
    CannotAnswer
        If no line runs, or no bill is known of those months.
    """
    if not 0 <= margin <= 1 or months < 1:
        raise WorkbenchError(f"margin={margin} is a share from 0 to 1, months={months} a number from 1.")
    day = pd.Timestamp(as_of)
    lines = warehouse.table("subscription", province=province).query("activated_on < @day")
    lines = lines[["subscription_id", "customer_id", "service", "activated_on", "ended_on"]].reset_index(drop=True)
    running = lines["ended_on"].isna() | (lines["ended_on"] >= day)
    bills = warehouse.table("bill", ["customer_id", "month", "issued_on", "amount"], province=province)
    bills = bills[(bills["month"] < day.replace(day=1)) & (bills["issued_on"] < day)]
    since = day - pd.DateOffset(months=months + 1)
    if not (bills["month"] >= since).any() or not running.any():
        raise CannotAnswer(f"as of {day.date()} no line runs, or no bill of the {months} months before is known.")
    newest = bills["month"].max()
    known = sorted(bills.loc[bills["month"] >= newest - pd.DateOffset(months=months + 1), "month"].unique())
    windows = {False: known[-months:], True: known[:-1][-months:]}
    ahead = bills.loc[bills["month"] == newest, "customer_id"]
    behind, late = ~lines["customer_id"].isin(ahead), ~bills["customer_id"].isin(ahead)
    bills = bills[bills["month"].isin(windows[True]).where(late, bills["month"].isin(windows[False]))]
    ran = pd.Series(0, index=lines.index)
    for month in known:
        end = month + pd.DateOffset(months=1)
        until = (lines["ended_on"] + pd.Timedelta(days=1)).fillna(end).clip(upper=end)
        inside = behind.map({who: month in window for who, window in windows.items()})
        ran += (until - lines["activated_on"].clip(lower=month)).dt.days.clip(lower=0) * inside
    days = ran.groupby(lines["customer_id"]).sum()
    mean_days = {who: sum(m.days_in_month for m in window) / max(len(window), 1) for who, window in windows.items()}
    length = behind.map(mean_days).groupby(lines["customer_id"]).first()
    billed = bills.groupby("customer_id")["amount"].sum().reindex(days.index).fillna(0.0)
    a_month = (billed / days * length).where(days >= _FEWEST_DAYS)
    own = margin * lines["customer_id"].map(a_month).where(running)
    typical = own.groupby(lines["service"]).transform("mean").fillna(own.mean())
    return lines.assign(
        ended_on=lines["ended_on"].where(~running), running=running, margin=own.fillna(typical).where(running)
    )
