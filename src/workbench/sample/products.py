"""What else is sold, and at what cost? Products and holdings, sales leads, market shares, marketing costs."""

from __future__ import annotations

import numpy as np

from workbench.sample.extracts import DUPLICATE, Extracts, Layout, money, words
from workbench.sample.money import SERVICE_WORDS
from workbench.sample.people import Customers
from workbench.sample.places import OPERATORS, PROVINCE_SHARE, PROVINCES
from workbench.sample.timeline import END, MONTH_START, MONTHS, NEVER, date_texts, dates

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

PRODUCT_FILE = Layout("market/产品目录.csv", encoding="gb18030")
HOLDING_FILE = Layout(
    "crm/产品订购.csv",
    encoding="gb18030",
    delimiter="|",
    breaks=(
        ("orphan reference", "产品编码", "NOSUCH"),
        ("impossible date", "生效日期", "2025/02/29"),
        (DUPLICATE, "", ""),
    ),
)
LEAD_FILE = Layout(
    "market/商机.csv",
    breaks=(
        ("unknown code", "阶段", "待定"),
        ("unparsable number", "预计年收入", "面议"),
    ),
)
MARKET_FILE = Layout("market/市场份额.xlsx", breaks=(("unparsable number", "用户数", "约一千万"),))
COST_FILE = Layout("market/营销费用.csv", eol="\r\n", breaks=(("out of range", "金额", "-500.0"),))
STAGES = ("线索", "已确认", "已报价", "赢单", "输单")
_COST_CHANNELS = ("广告", "门店", "电话", "短信")


def write_products(extracts: Extracts) -> None:
    """Write the catalogue."""
    number, name, group, fee, margin = list(zip(*_PRODUCTS, strict=True))[:5]
    extracts.csv(PRODUCT_FILE, {"产品编码": number, "产品名称": name, "类别": group, "月费": fee, "毛利率": margin})


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
    extracts.csv(
        HOLDING_FILE,
        {
            "客户编号": customers.id[who][order],
            "产品编码": words(product, [p[0] for p in _PRODUCTS]).take(order),
            "生效日期": date_texts(begin[order], "%Y/%m/%d"),
            "失效日期": date_texts(stop[order], "%Y/%m/%d"),
        },
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
    extracts.csv(
        LEAD_FILE,
        {
            "商机编号": customers.id[who] * 100 + rank,
            "客户编号": customers.id[who],
            "产品编码": words(product, [p[0] for p in _PRODUCTS]),
            "阶段": words(stage, STAGES),
            "建立日期": dates(opened),
            "关闭日期": dates(np.where(decided, closed, NEVER)),
            "预计年收入": money(value),
        },
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
    starts = date_texts(MONTH_START[month], "%Y-%m-%d")
    extracts.excel(
        MARKET_FILE,
        "市场份额",
        {
            "运营商": words(operator, OPERATORS),
            "省份": words(province, PROVINCES),
            "业务": words(service, SERVICE_WORDS),
            "月份": starts,
            "用户数": subscribers,
            "业务收入": np.rint(subscribers * arpu),
        },
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
    extracts.csv(
        COST_FILE,
        {
            "月份": date_texts(MONTH_START[np.append(month, np.full(len(which), MONTHS - 3))], "%Y-%m-%d"),
            "省份": words(np.append(province, where), PROVINCES),
            "渠道": words(np.append(channel, by_campaign), _COST_CHANNELS),
            "活动编码": words(np.append(np.full(len(month), -1), which), campaigns),
            "金额": money(np.append(amount, contacts.ravel() * costs[which])),
        },
    )
