"""Who holds which service, who took what up lately, and what does each bring? What cross-selling is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse.connect import Warehouse
from workbench.warehouse.features import as_date, customer_features
from workbench.warehouse.views import view

MONTHS = 12
_FEATURES = ("kind", "tenure_months", "lines", "prepaid_share", "monetary", "discount_share", "products_held")


@dataclass(frozen=True, eq=False)
class Holdings:
    """Customers now, customers a window ago with what they took up since, and the services' margins.

    Attributes
    ----------
    customers, past : DataFrame
        One row a customer active on `as_of`, and on `begins`: customer_id; `features`; `peers`; held_X a service;
        margin_01 … margin_12 (currency, oldest month first; missing before the customer joined) and addon_01 … (the
        part of added products); bill_month (mean bill without them). `past` has took_X: taken up from `begins` on.
    services : DataFrame
        One row a service and kind: service, name, kind, fee, margin (currency a month), months (held of the first
        twelve), months_se.
    begins, as_of : date
    """

    customers: pd.DataFrame
    past: pd.DataFrame
    services: pd.DataFrame
    begins: date
    as_of: date
    features: tuple[str, ...] = (*_FEATURES, "call_min", "data_mb")
    peers: tuple[str, ...] = ("kind", "line_services", "tenure_band", "data_band", "call_band")
    months: tuple[str, ...] = tuple(f"margin_{n:02}" for n in range(1, MONTHS + 1))
    addons: tuple[str, ...] = tuple(f"addon_{n:02}" for n in range(1, MONTHS + 1))


def service_holdings(
    warehouse: Warehouse, as_of: date | str, *, window: int = 6, margin: float, province: str = ""
) -> Holdings:
    """Give who holds and took up what. Whatever is known of customers a window ago is from before the window.

    Parameters
    ----------
    as_of : date or str
        Exclusive.
    window : int
        Months before `as_of` in which take-up is counted.
    margin : float
        Share of bills, beside added products, that is margin, 0-1; products have their own.
    province : str

    Raises
    ------
    WorkbenchError, CannotAnswer
        If `margin` or `window` is out of range; if the data do not reach back, or hold no services or bills.
    """
    if not 0 < margin <= 1 or not 1 <= window <= 24:
        raise WorkbenchError(
            "margin is a share above 0, up to 1, and window 1 to 24 months; not {margin}, {window}."
        ).of(margin, window)
    day = as_date(as_of)
    begins = (pd.Timestamp(day) - pd.DateOffset(months=window)).date()
    services = _services(warehouse, day, margin)
    held = services["service"].unique()
    now, past = (_customers(warehouse, d, day, margin, province, held) for d in (day, begins))
    return Holdings(now, past, services, begins, day)


def _customers(warehouse, day: date, as_of: date, margin: float, province: str, services) -> pd.DataFrame:
    known = customer_features(warehouse, day, tables=["bills", "holdings"], province=province)
    peers = view(warehouse, "customer_peer", as_of=day, province=province).set_index("customer_id")
    table = known.set_index("customer_id")[list(_FEATURES)].join(peers[["call_min", "data_mb"]])
    money = view(warehouse, "customer_month_margin", day=day, months=MONTHS, share=margin)
    if money.empty:
        raise CannotAnswer("no bill was issued before {day}: there is no current value. Choose a later as_of.").of(day)
    wide = money.pivot_table(index="customer_id", columns="nth", values=["margin", "addon"])
    for name in ("margin", "addon"):
        found = wide[name].reindex(index=table.index, columns=range(1, MONTHS + 1))
        table[[f"{name}_{n:02}" for n in range(1, MONTHS + 1)]] = found
    table["bill_month"] = money.groupby("customer_id")["bill"].mean()
    spells = view(warehouse, "service_held", day=day, as_of=as_of)
    table["line_services"] = peers["line_services"]
    status = spells.astype({"held": float}).pivot_table(index="customer_id", columns="service", values="held")
    for name in services:
        held = status.reindex(index=table.index, columns=[name])[name]
        table[f"held_{name}"] = held.eq(1)
        if day < as_of:
            table[f"took_{name}"] = held.eq(0)
    table = table.join(peers[["call_band", "data_band", "tenure_band"]])
    return table.sort_index().reset_index()


def _services(warehouse: Warehouse, as_of: date, margin: float) -> pd.DataFrame:
    services = view(warehouse, "service_offer", as_of=as_of, share=margin)
    if services.empty:
        raise CannotAnswer("the warehouse has no product and no line with a fee: there is nothing to sell.")
    kept = view(warehouse, "service_kept", as_of=as_of)
    rows = {name: _months_kept(spells["months"], spells["ended"]) for name, spells in kept.groupby("service")}
    found = pd.DataFrame.from_dict(rows, orient="index", columns=["months", "months_se"])
    return services.join(found, on="service").dropna(subset="months").reset_index(drop=True)


def _months_kept(lasted: pd.Series, ended: pd.Series) -> tuple[float, float]:
    """Months begun within the first twelve that a service is held, and its error (Kaplan-Meier, Greenwood).

    >>> [round(x, 3) for x in _months_kept(pd.Series([20.0, 20.0, 0.5, 0.5]), pd.Series([False, False, True, True]))]
    [6.5, 2.75]
    """
    month = np.arange(MONTHS - 1)
    whole, gone = lasted.to_numpy(), ended.to_numpy()
    left = np.array([((whole < k + 1) & (whole >= k) & gone).sum() for k in month])
    risk = np.array([((whole >= k + 1) | ((whole >= k) & gone)).sum() for k in month])
    staying = np.append(1.0, np.cumprod(1 - left / np.maximum(risk, 1)))
    after = np.cumsum(staying[:0:-1])[::-1]
    return float(staying.sum()), float(np.sqrt((after**2 * left / np.maximum(risk * (risk - left), 1)).sum()))
