"""What else is sold, and at what cost? Products and holdings, sales leads, market shares, marketing costs."""

from __future__ import annotations

import numpy as np

from workbench.sample.extracts import DUPLICATE, Extracts, money, words
from workbench.sample.people import SERVICES, Customers
from workbench.sample.places import OPERATORS, PROVINCE_SHARE, PROVINCES
from workbench.sample.timeline import END, MONTH_START, MONTHS, NEVER, dates

# Number, name, group, fee, margin, share of persons, households and organisations that take it.
_PRODUCTS = (
    ("VIDEO", "视频会员", "娱乐", 15, 0.25, 0.22, 0.35, 0.0),
    ("MUSIC", "音乐会员", "娱乐", 8, 0.30, 0.15, 0.10, 0.0),
    ("CLOUD", "云盘", "云服务", 10, 0.55, 0.12, 0.18, 0.05),
    ("PACK5", "流量加油包", "流量", 20, 0.70, 0.12, 0.10, 0.10),
    ("ROAM", "国际漫游包", "漫游", 30, 0.60, 0.015, 0.01, 0.10),
    ("GUARD", "安全管家", "安全", 3, 0.80, 0.10, 0.15, 0.05),
    ("MESH", "全屋组网", "家庭", 10, 0.45, 0.0, 0.25, 0.05),
    ("RING", "企业彩铃", "政企", 30, 0.75, 0.0, 0.0, 0.35),
    ("HOST", "云主机", "政企", 260, 0.35, 0.0, 0.0, 0.20),
)
FEES = np.array([p[3] for p in _PRODUCTS], dtype=float)
_TAKE = np.array([p[5:] for p in _PRODUCTS]).T

_HOLDING_BREAKS = (
    ("orphan reference", "product_id", "NOSUCH"),
    ("impossible date", "from_on", "2025/02/29"),
    (DUPLICATE, "", ""),
)
_LEAD_BREAKS = (("unknown code", "stage", "待定"), ("unparsable number", "value", "面议"))
_MARKET_BREAKS = (("unparsable number", "subscribers", "约一千万"),)
_COST_BREAKS = (("out of range", "amount", "-500.0"),)
_STAGES = ("lead", "qualified", "offered", "won", "lost")
_COST_CHANNELS = ("advertising", "shop", "outbound_call", "sms")


def write_products(extracts: Extracts) -> None:
    """Write the catalogue."""
    number, name, group, fee, margin = list(zip(*_PRODUCTS, strict=True))[:5]
    columns = {"product_id": number, "name": name, "category": group, "monthly_fee": fee, "margin": margin}
    extracts.write("product", columns)


def write_holdings(extracts: Extracts, customers: Customers, rng: np.random.Generator) -> np.ndarray:
    """Draw and write who holds what; gives each customer's product fees by month, shape (n, 24)."""
    n = len(customers.id)
    group = np.minimum(customers.kind, 2)
    who, product = np.nonzero(rng.random((n, len(FEES))) < _TAKE[group])
    joined, gone = np.maximum(customers.joined, -600)[who], customers.ended[who]
    begin = joined + (rng.random(len(who)) * (np.minimum(gone + 1, END) - joined)).astype(np.int64)
    stop = begin + 30 + (rng.standard_exponential(len(who)) * 500).astype(np.int64)
    stop = np.minimum(np.where(stop >= END, NEVER, stop), gone)
    order = np.lexsort((product, who))
    extracts.write(
        "holding",
        {
            "customer_id": customers.id[who][order],
            "product_id": words(product[order], [p[0] for p in _PRODUCTS]),
            "from_on": dates(begin[order]),
            "to_on": dates(stop[order]),
        },
        breaks=_HOLDING_BREAKS,
    )
    fees = np.zeros((n, MONTHS))
    for month in range(MONTHS):
        held = (begin < MONTH_START[month + 1]) & (stop >= MONTH_START[month])
        fees[:, month] = np.bincount(who, FEES[product] * held, n)
    return fees


def write_leads(extracts: Extracts, customers: Customers, rng: np.random.Generator) -> None:
    """Write the sales leads: many with organisations, a few with people."""
    count = rng.poisson(np.array([0.01, 0.03, 1.2, 2.0, 0.6, 0.8])[customers.kind])
    who = np.repeat(np.arange(len(customers.id)), count)
    rank = np.arange(len(who)) - np.searchsorted(who, who)
    first, last = np.maximum(customers.joined, 0)[who], np.minimum(customers.ended, END - 1)[who]
    opened = first + (rng.random(len(who)) * (last - first + 1)).astype(np.int64)
    closed = np.minimum(opened + 5 + (rng.standard_exponential(len(who)) * 45).astype(np.int64), NEVER)
    decided = closed <= last
    stage = np.where(decided, 3 + (rng.random(len(who)) < 0.62), rng.integers(0, 3, len(who)))
    organisation = customers.kind[who] >= 2
    product = np.where(organisation, 7 + rng.integers(0, 2, len(who)), rng.integers(0, 7, len(who)))
    value = np.exp(np.where(organisation, 8.6, 5.2) + 0.8 * rng.standard_normal(len(who)))
    extracts.write(
        "opportunity",
        {
            "opportunity_id": customers.id[who] * 100 + rank,
            "customer_id": customers.id[who],
            "product_id": words(product, [p[0] for p in _PRODUCTS]),
            "stage": words(stage, _STAGES),
            "opened_on": dates(opened),
            "closed_on": dates(np.where(decided, closed, NEVER)),
            "value": money(value),
        },
        breaks=_LEAD_BREAKS,
    )


def write_market(extracts: Extracts, rng: np.random.Generator) -> None:
    """Write subscribers and revenue of the three operators by province, service and month."""
    axes = np.indices((len(OPERATORS), len(PROVINCES), 3, MONTHS)).reshape(4, -1)
    operator, province, service, month = axes
    tilt = np.exp(0.15 * rng.standard_normal((len(OPERATORS), len(PROVINCES), 3)))[operator, province, service]
    share = subscriber_shares()[operator, service] * tilt
    growth = np.array([0.002, -0.001, 0.0015])[operator] * month
    subscribers = np.rint(PROVINCE_SHARE[province] * share * 1.75e9 * np.exp(growth))
    arpu = np.array([47.0, 38.0, 12.0])[service] * (1 + 0.02 * rng.standard_normal(len(month)))
    extracts.write(
        "market",
        {
            "operator": words(operator, OPERATORS),
            "province": words(province, PROVINCES),
            "service": words(service, SERVICES),
            "month": dates(MONTH_START[month]),
            "subscribers": subscribers,
            "revenue": np.rint(subscribers * arpu),
        },
        breaks=_MARKET_BREAKS,
    )


def subscriber_shares() -> np.ndarray:
    """Lines by operator and service (mobile, broadband, fixed) as shares of all mobile lines, shape (3, 3)."""
    return np.array([[0.24, 0.11, 0.055], [0.57, 0.17, 0.02], [0.19, 0.07, 0.025]])


def write_costs(
    extracts: Extracts, campaigns: tuple[str, ...], contacts: np.ndarray, costs: np.ndarray, rng: np.random.Generator
) -> None:
    """Write what marketing cost: by month, province and channel, and each campaign's contacts.

    `contacts` (campaigns, provinces) are delivered contacts, `costs` (campaigns,) yuan a contact.
    """
    month, province, channel = (a.ravel() for a in np.indices((MONTHS, len(PROVINCES), len(_COST_CHANNELS))))
    base = np.array([30.0, 20, 6, 2])[channel] * 1_000 * PROVINCE_SHARE[province] * len(PROVINCES)
    amount = base * np.exp(0.2 * rng.standard_normal(len(base)))
    which, where = (a.ravel() for a in np.indices(contacts.shape))
    by_campaign = np.array([2, 3, 2])[which]
    extracts.write(
        "marketing_cost",
        {
            "month": dates(MONTH_START[np.append(month, np.full(len(which), MONTHS - 3))]),
            "province": words(np.append(province, where), PROVINCES),
            "channel": words(np.append(channel, by_campaign), _COST_CHANNELS),
            "campaign_id": words(np.append(np.full(len(month), -1), which), campaigns),
            "amount": money(np.append(amount, contacts.ravel() * costs[which])),
        },
        breaks=_COST_BREAKS,
        eol="\r\n",
    )
