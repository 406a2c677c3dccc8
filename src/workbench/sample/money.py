"""What do customers owe and pay? Tariffs, bills that add up, and payments in time, late or never."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from workbench.sample.extracts import DUPLICATE, SHORT_LINE, Extracts, Layout, money, words
from workbench.sample.people import (
    MOBILE,
    TARIFF_FEES,
    TARIFF_IDS,
    TARIFF_SERVICE,
    Customers,
    Lines,
)
from workbench.sample.timeline import CAMPAIGN_MONTH, END, MONTH_START, MONTHS, date_texts, dates

TARIFF_FILE = Layout("billing/资费.xlsx")
BILL_FILE = Layout(
    "billing/账单.csv",
    encoding="utf-8-sig",
    delimiter=";",
    breaks=(
        ("unparsable number", "应收金额", "壹佰元"),
        ("impossible date", "出账日", "2026-02-30"),
        ("missing mandatory", "账期", ""),
        ("orphan reference", "客户编号", "9999999999"),
        (DUPLICATE, "", ""),
        (SHORT_LINE, "", ""),
    ),
)
PAYMENT_FILE = Layout(
    "billing/缴费流水.csv",
    encoding="gb18030",
    breaks=(
        ("unparsable number", "金额分", "12O0"),
        ("impossible date", "缴费日期", "20261301"),
        ("orphan reference", "账单编号", "999999999999"),
        (DUPLICATE, "", ""),
    ),
)
METHODS = ("微信", "支付宝", "银行代扣", "营业厅现金", "APP")
SERVICE_WORDS = ("移动业务", "宽带", "固话", "IPTV")
_TARIFF_NAMES = "轻享套餐 畅聊套餐 畅享套餐 尊享套餐 无限套餐 商务套餐 宽带100M 宽带300M 专线 固定电话 高清电视".split()


@dataclass(frozen=True)
class Bills:
    """What n customers owe by month, each (n, 24); `billed` says where there is a bill."""

    billed: np.ndarray
    recurring: np.ndarray
    usage: np.ndarray
    discount: np.ndarray

    @property
    def amount(self) -> np.ndarray:
        """Recurring + usage - discount, to the fen."""
        return money(self.recurring + self.usage - self.discount)

    def with_campaigns(self, monthly: np.ndarray, past: np.ndarray) -> Bills:
        """Add what campaigns changed: more is a package, less a rebate.

        `monthly` (n,) in each month of the last window, `past` (n, 24) by month.
        """
        changed = past.copy()
        changed[:, CAMPAIGN_MONTH:] += monthly[:, None]
        changed *= self.billed
        return replace(
            self,
            recurring=money(self.recurring + np.maximum(changed, 0)),
            discount=money(self.discount + np.maximum(-changed, 0)),
        )


def write_tariffs(extracts: Extracts) -> None:
    """Write the tariffs."""
    terms = [MOBILE[k, 1:] if k < len(MOBILE) else [None] * 6 for k in range(len(TARIFF_IDS))]
    columns = dict(
        zip("含语音分钟 含流量MB 含短信条 语音单价 流量单价 短信单价".split(), zip(*terms, strict=True), strict=True)
    )
    extracts.excel(
        TARIFF_FILE,
        "资费",
        {
            "套餐编码": TARIFF_IDS,
            "套餐名称": [f"{name}{fee:g}元" for name, fee in zip(_TARIFF_NAMES, TARIFF_FEES, strict=True)],
            "业务": words(TARIFF_SERVICE, SERVICE_WORDS),
            "月费": TARIFF_FEES,
        }
        | {name: [None if cell is None else float(cell) for cell in cells] for name, cells in columns.items()},
    )


def draw_bills(
    customers: Customers, lines: Lines, charge: np.ndarray, product_fees: np.ndarray, rng: np.random.Generator
) -> Bills:
    """Bill each customer and month: fees of the lines that ran in it and products held, use beyond, discounts.

    `charge` (m, 24) is the lines' use beyond allowances, `product_fees` (n, 24).
    """
    n = len(customers.id)
    recurring, usage = product_fees.copy(), np.zeros((n, MONTHS))
    for month in range(MONTHS):
        runs = line_runs(customers, lines, month)
        recurring[:, month] += np.bincount(lines.customer, TARIFF_FEES[lines.tariff] * runs, n)
        usage[:, month] = np.bincount(lines.customer, charge[:, month], n)
    rate = np.where(rng.random(n) < 0.25, rng.uniform(0.05, 0.25, n), 0)
    refund = (rng.random((n, MONTHS)) < 0.002) * rng.uniform(0.4, 1.2, (n, MONTHS))
    recurring, usage = money(recurring), money(usage)
    return Bills(recurring > 0, recurring, usage, money(rate[:, None] * recurring + refund * (recurring + usage)))


def line_runs(customers: Customers, lines: Lines, month: int) -> np.ndarray:
    """Whether each line ran on at least one day of a month."""
    return (lines.activated < MONTH_START[month + 1]) & (customers.ended[lines.customer] >= MONTH_START[month])


def write_bills(extracts: Extracts, customers: Customers, bills: Bills, rng: np.random.Generator) -> dict[str, float]:
    """Write bills and payments of a batch; gives totals for the declared truth."""
    who, month = np.nonzero(bills.billed)
    bill_id = customers.id[who] * 100 + month
    amount = bills.amount[who, month]
    issued = MONTH_START[month + 1] - 1
    extracts.csv(
        BILL_FILE,
        {
            "账单编号": bill_id,
            "客户编号": customers.id[who],
            "账期": date_texts(MONTH_START[month], "%Y-%m-%d"),
            "出账日": dates(issued),
            "缴费截止日": dates(issued + 20),
            "月租费": bills.recurring[who, month],
            "套外费用": bills.usage[who, month],
            "优惠金额": bills.discount[who, month],
            "应收金额": amount,
        },
    )
    paid = _draw_payments(customers, who, month, bill_id, amount, issued, rng)
    _write_payments(extracts, paid, rng)
    return {"billed": float(amount.sum()), "paid": float(paid["amount"].sum()), "bills": len(amount)}


def _draw_payments(customers, who, month, bill_id, amount, issued, rng) -> dict[str, np.ndarray]:
    """Most pay in time, some late, a few never; who is cut off for non-payment left the last three bills unpaid."""
    payer = rng.choice(3, len(customers.id), p=(0.86, 0.115, 0.025))
    payer[customers.prepaid] = 0
    late = rng.random(len(who)) < np.array([0.02, 0.35, 0.6])[payer[who]]
    never = rng.random(len(who)) < np.array([0.0, 0.02, 0.3])[payer[who]]
    gone = np.searchsorted(MONTH_START, np.minimum(customers.ended, END - 1), side="right") - 1
    never |= (customers.reason[who] == 2) & (month >= gone[who] - 2)
    delay = np.where(late, 21 + rng.standard_exponential(len(who)) * 22, rng.uniform(1, 20, len(who)))
    day = issued + delay.astype(np.int64)
    parts = rng.random(len(who)) < 0.02
    first = money(np.where(parts, amount * 0.5, amount))
    ok = ~never & (amount > 0)
    index = np.concatenate([np.flatnonzero(ok), np.flatnonzero(ok & parts)])
    second = np.arange(len(index)) >= ok.sum()
    columns = {
        "id": bill_id[index] * 10 + second,
        "customer": customers.id[who[index]],
        "bill": bill_id[index],
        "paid": day[index] + 9 * second,
        "amount": np.where(second, money(amount - first)[index], first[index]),
    }
    purchases = np.flatnonzero(rng.random(len(who)) < 0.01)
    shopping = {
        "id": bill_id[purchases] * 10 + 9,
        "customer": customers.id[who[purchases]],
        "bill": np.full(len(purchases), -1),
        "paid": np.clip(issued[purchases] - 3, customers.joined[who[purchases]], customers.ended[who[purchases]]),
        "amount": money(rng.gamma(2, 80, len(purchases))),
    }
    both = {name: np.concatenate([columns[name], shopping[name]]) for name in columns}
    keep = both["paid"] < END
    return {name: values[keep] for name, values in both.items()}


def _write_payments(extracts: Extracts, paid: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    method = rng.choice(len(METHODS), len(paid["id"]), p=(0.38, 0.27, 0.15, 0.05, 0.15))
    extracts.csv(
        PAYMENT_FILE,
        {
            "流水号": paid["id"],
            "客户编号": paid["customer"],
            "账单编号": pa.array(paid["bill"], mask=paid["bill"] < 0),
            "缴费日期": date_texts(paid["paid"], "%Y%m%d"),
            "金额分": np.rint(paid["amount"] * 100).astype(np.int64),
            "方式": words(method, METHODS),
        },
    )
