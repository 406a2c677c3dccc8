"""What else is sold, and at what cost? Products and holdings, sales leads, market shares, marketing costs."""

from __future__ import annotations

import numpy as np

from workbench.sample.extracts import DUPLICATE, Extracts, money, words
from workbench.sample.operator import SERVICES, Operator
from workbench.sample.people import Customers
from workbench.sample.timeline import END, MONTH_START, MONTHS, NEVER, dates

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


def write_products(extracts: Extracts, operator: Operator) -> None:
    """Write the catalogue."""
    extracts.write(
        "product",
        {
            "product_id": operator.product_ids,
            "name": operator.product_names,
            "category": operator.product_groups,
            "monthly_fee": operator.product_fees,
            "margin": operator.product_margins,
        },
    )


def write_holdings(extracts: Extracts, customers: Customers, rng: np.random.Generator) -> np.ndarray:
    """Draw and write who holds what; gives each customer's product fees by month, shape (n, 24)."""
    n, fee = len(customers.id), customers.operator.product_fees
    group = np.minimum(customers.kind, 2)
    who, product = np.nonzero(rng.random((n, len(fee))) < customers.operator.take[group])
    joined, gone = np.maximum(customers.joined, -600)[who], customers.ended[who]
    begin = joined + (rng.random(len(who)) * (np.minimum(gone + 1, END) - joined)).astype(np.int64)
    stop = begin + 30 + (rng.standard_exponential(len(who)) * 500).astype(np.int64)
    stop = np.minimum(np.where(stop >= END, NEVER, stop), gone)
    order = np.lexsort((product, who))
    extracts.write(
        "holding",
        {
            "customer_id": customers.id[who][order],
            "product_id": words(product[order], customers.operator.product_ids),
            "from_on": dates(begin[order]),
            "to_on": dates(stop[order]),
        },
        breaks=_HOLDING_BREAKS,
    )
    fees = np.zeros((n, MONTHS))
    for month in range(MONTHS):
        held = (begin < MONTH_START[month + 1]) & (stop >= MONTH_START[month])
        fees[:, month] = np.bincount(who, fee[product] * held, n)
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
    private = len(customers.operator.product_ids) - 2
    product = np.where(organisation, private + rng.integers(0, 2, len(who)), rng.integers(0, private, len(who)))
    value = np.exp(np.where(organisation, 8.6, 5.2) + 0.8 * rng.standard_normal(len(who)))
    extracts.write(
        "opportunity",
        {
            "opportunity_id": customers.id[who] * 100 + rank,
            "customer_id": customers.id[who],
            "product_id": words(product, customers.operator.product_ids),
            "stage": words(stage, _STAGES),
            "opened_on": dates(opened),
            "closed_on": dates(np.where(decided, closed, NEVER)),
            "value": money(value),
        },
        breaks=_LEAD_BREAKS,
    )


def write_market(extracts: Extracts, operator: Operator, rng: np.random.Generator) -> None:
    """Write subscribers and revenue of the three operators by province, service and month."""
    axes = np.indices((3, len(operator.provinces), 3, MONTHS)).reshape(4, -1)
    which, province, service, month = axes
    tilt = np.exp(0.15 * rng.standard_normal((3, len(operator.provinces), 3)))[which, province, service]
    share = operator.shares[which, service] * tilt
    growth = operator.growth[which] * month
    subscribers = np.rint(operator.province_share[province] * share * operator.lines_in_all * np.exp(growth))
    arpu = operator.arpu[service] * (1 + 0.02 * rng.standard_normal(len(month)))
    extracts.write(
        "market",
        {
            "operator": words(which, operator.names),
            "province": words(province, operator.provinces),
            "service": words(service, SERVICES),
            "month": dates(MONTH_START[month]),
            "subscribers": subscribers,
            "revenue": np.rint(subscribers * arpu),
        },
        breaks=_MARKET_BREAKS,
    )


def write_costs(
    extracts: Extracts, operator: Operator, campaigns: tuple[str, ...], contacts: np.ndarray, rng: np.random.Generator
) -> None:
    """Write what marketing cost: by month, province and channel, and each campaign's contacts.

    `contacts` (campaigns, provinces) are delivered contacts.
    """
    month, province, channel = (a.ravel() for a in np.indices((MONTHS, len(operator.provinces), len(_COST_CHANNELS))))
    base = np.array([30.0, 20, 6, 2])[channel] * 1_000 * operator.province_share[province] * len(operator.provinces)
    amount = base * np.exp(0.2 * rng.standard_normal(len(base)))
    which, where = (a.ravel() for a in np.indices(contacts.shape))
    by_campaign = np.array([2, 3, 2])[which]
    extracts.write(
        "marketing_cost",
        {
            "month": dates(MONTH_START[np.append(month, np.full(len(which), MONTHS - 3))]),
            "province": words(np.append(province, where), operator.provinces),
            "channel": words(np.append(channel, by_campaign), _COST_CHANNELS),
            "campaign_id": words(np.append(np.full(len(month), -1), which), campaigns),
            "amount": money(np.append(amount, contacts.ravel() * np.array(operator.campaigns["contact_costs"])[which])),
        },
        breaks=_COST_BREAKS,
        eol="\r\n",
    )
