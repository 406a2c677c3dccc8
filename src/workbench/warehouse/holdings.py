"""Who holds which service, who took what up lately, and what does each bring? What cross-selling is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse.connect import Warehouse
from workbench.warehouse.features import customer_features

MONTHS = 12
_FEATURES = ("kind", "tenure_months", "lines", "prepaid_share", "monetary", "discount_share", "products_held")
# Spells of every service: what is added to a line, and the lines themselves.
_SPELL = """spell AS (
    SELECT customer_id, product_id AS service, from_on, to_on FROM holding WHERE from_on < $as_of
    UNION ALL SELECT customer_id, service, activated_on, ended_on FROM subscription WHERE activated_on < $as_of
)"""
_HELD = f"""WITH {_SPELL}, held AS (
    SELECT DISTINCT customer_id, service FROM spell WHERE from_on < $day AND (to_on IS NULL OR to_on >= $day)
), taken AS (SELECT DISTINCT customer_id, service FROM spell WHERE from_on >= $day)
SELECT customer_id, service, TRUE AS held FROM held
UNION ALL SELECT customer_id, service, FALSE FROM taken ANTI JOIN held USING (customer_id, service)"""
_USE = """WITH recent AS (
    SELECT * FROM usage_month WHERE month >= date_trunc('month', CAST($day AS DATE)) - INTERVAL 3 MONTH
        AND month < date_trunc('month', CAST($day AS DATE))
), delivered AS (SELECT count(DISTINCT month) AS months FROM recent)
SELECT customer_id, CAST(sum(CAST(call_min AS DECIMAL(18, 4))) AS DOUBLE) / any_value(months) AS call_min,
    CAST(sum(CAST(data_mb AS DECIMAL(18, 4))) AS DOUBLE) / any_value(months) AS data_mb
FROM recent, delivered GROUP BY customer_id"""
# A month without a bill brought nothing; a month that began before the customer joined is missing.
_MARGIN = """WITH span AS (
    SELECT month, row_number() OVER (ORDER BY month DESC) AS back
    FROM (SELECT DISTINCT month FROM bill WHERE issued_on < $day ORDER BY month DESC LIMIT $months)
), billed AS (
    SELECT customer_id, month, sum(CAST(amount AS DECIMAL(18, 4))) AS amount
    FROM bill WHERE issued_on < $day GROUP BY ALL
), added AS (
    SELECT customer_id, month, sum(CAST(monthly_fee AS DECIMAL(18, 4))) AS fee,
        sum(CAST(monthly_fee * margin AS DECIMAL(18, 4))) AS gain
    FROM holding JOIN product USING (product_id) JOIN span
        ON from_on < month + INTERVAL 1 MONTH AND from_on < $day AND (to_on IS NULL OR to_on >= month) GROUP BY ALL
)
SELECT customer_id, $months + 1 - back AS nth,
    CASE WHEN amount IS NULL THEN 0 ELSE amount - coalesce(fee, 0) END AS bill,
    CASE WHEN amount IS NULL THEN 0 ELSE coalesce(gain, 0) END::DOUBLE AS addon, $share * bill::DOUBLE + addon AS margin
FROM customer JOIN span ON month >= joined_on
LEFT JOIN billed USING (customer_id, month) LEFT JOIN added USING (customer_id, month)"""
_LINE_FEE = """SELECT service, kind, CAST(avg(CAST(monthly_fee AS DECIMAL(18, 4))) AS DOUBLE) AS fee
FROM (SELECT * EXCLUDE service FROM subscription) JOIN tariff USING (tariff_id) JOIN customer USING (customer_id)
WHERE activated_on < $as_of AND (ended_on IS NULL OR ended_on >= $as_of) GROUP BY ALL ORDER BY ALL"""
_KEPT = f"""WITH {_SPELL}, seen AS (
    SELECT service, from_on, CASE WHEN to_on < $as_of THEN to_on END AS ended FROM spell
)
SELECT service, date_diff('day', from_on, coalesce(ended, CAST($as_of AS DATE))) / 30.4375 AS months,
    ended IS NOT NULL AS ended FROM seen
WHERE from_on >= greatest((SELECT min(ended) FROM seen), CAST($as_of AS DATE) - INTERVAL 24 MONTH)"""


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
        raise WorkbenchError(f"margin is a share above 0, up to 1, and window 1 to 24 months; not {margin}, {window}.")
    day = pd.Timestamp(as_of)
    begins = (day - pd.DateOffset(months=window)).date()
    bound = {"as_of": day.date()}
    services = _services(warehouse, bound, margin)
    now, past = (_customers(warehouse, d, bound, margin, province, services) for d in (day.date(), begins))
    return Holdings(now, past, services, begins, day.date())


def _customers(warehouse, day: date, bound: dict, margin: float, province: str, services) -> pd.DataFrame:
    known = customer_features(warehouse, day, tables=["bills", "holdings"], province=province)
    table = known.set_index("customer_id")[list(_FEATURES)]
    table = table.join(warehouse.query(_USE, {"day": day}).set_index("customer_id"))
    table[["call_min", "data_mb"]] = table[["call_min", "data_mb"]].fillna(0.0)
    money = warehouse.query(_MARGIN, {"day": day, "months": MONTHS, "share": margin})
    if money.empty:
        raise CannotAnswer(f"no bill was issued before {day}: there is no current value. Choose a later as_of.")
    wide = money.pivot_table(index="customer_id", columns="nth", values=["margin", "addon"])
    for name in ("margin", "addon"):
        found = wide[name].reindex(index=table.index, columns=range(1, MONTHS + 1))
        table[[f"{name}_{n:02}" for n in range(1, MONTHS + 1)]] = found
    table["bill_month"] = money.groupby("customer_id")["bill"].mean()
    spells = warehouse.query(_HELD, bound | {"day": day})
    lines = spells[spells["held"] & spells["service"].isin(["mobile", "broadband", "fixed", "iptv"])]
    named = lines.sort_values("service").groupby("customer_id")["service"].agg("+".join)
    table["line_services"] = named.reindex(table.index).fillna("none")
    status = spells.astype({"held": float}).pivot_table(index="customer_id", columns="service", values="held")
    for name in dict.fromkeys(services["service"]):
        held = status.reindex(index=table.index, columns=[name])[name]
        table[f"held_{name}"] = held.eq(1)
        if day < bound["as_of"]:
            table[f"took_{name}"] = held.eq(0)
    for name, use in (("call", table["call_min"]), ("data", table["data_mb"])):
        third = np.ceil(3 * use[use > 0].rank(method="max", pct=True).round(12)).reindex(table.index).fillna(0)
        table[f"{name}_band"] = [
            (f"no {name}", f"little {name}", f"some {name}", f"much {name}")[int(k)] for k in third
        ]
    table["tenure_band"] = pd.cut(table["tenure_months"], [-1, 5, 11, 35, 95, np.inf], labels=_TENURES).astype("str")
    return table.sort_index().reset_index()


_TENURES = ("under 6 months", "6-11 months", "1-2 years", "3-7 years", "8 years or more")


def _services(warehouse: Warehouse, bound: dict, margin: float) -> pd.DataFrame:
    added = warehouse.query("SELECT product_id AS service, name, monthly_fee AS fee, margin FROM product ORDER BY 1")
    kinds = warehouse.query("SELECT DISTINCT kind FROM customer ORDER BY 1")
    added = added.dropna(subset=["fee", "margin"]).merge(kinds, how="cross")
    lines = warehouse.query(_LINE_FEE, bound)
    services = pd.concat([added, lines.assign(name=lines["service"], margin=margin)], ignore_index=True)
    if services.empty:
        raise CannotAnswer("the warehouse has no product and no line with a fee: there is nothing to sell.")
    kept = warehouse.query(_KEPT, bound)
    rows = {name: _months_kept(spells["months"], spells["ended"]) for name, spells in kept.groupby("service")}
    found = pd.DataFrame.from_dict(rows, orient="index", columns=["months", "months_se"])
    services = services.assign(margin=services["fee"] * services["margin"]).join(found, on="service")
    return services.dropna(subset="months").reset_index(drop=True)


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
