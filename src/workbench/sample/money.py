"""What do customers owe and pay? Tariffs, bills that add up, and payments in time, late or never."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from workbench.sample.extracts import DUPLICATE, SHORT_LINE, Extracts, money, words
from workbench.sample.operator import SERVICES, Operator
from workbench.sample.people import Customers, Lines
from workbench.sample.timeline import CAMPAIGN_MONTH, END, MONTH_START, MONTHS, NEVER, dates

_BILL_BREAKS = (
    ("unparsable number", "amount", "壹佰元"),
    ("impossible date", "issued_on", "2026-02-30"),
    ("missing mandatory", "month", ""),
    ("orphan reference", "customer_id", "9999999999"),
    (DUPLICATE, "", ""),
    (SHORT_LINE, "", ""),
)
_PAYMENT_BREAKS = (
    ("unparsable number", "amount", "12O0"),
    ("impossible date", "paid_on", "20261301"),
    ("orphan reference", "bill_id", "999999999999"),
    (DUPLICATE, "", ""),
)


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


@dataclass(frozen=True)
class Owed:
    """The bills of a batch that ask for money, shape (bills,): position of the customer, number, day due.

    `settled` is the day on which the last of it is paid, which may lie after the sample's end; NEVER if never.
    """

    who: np.ndarray
    bill: np.ndarray
    due: np.ndarray
    settled: np.ndarray


def write_tariffs(extracts: Extracts, operator: Operator) -> None:
    """Write the tariffs."""
    terms = [*operator.mobile[:, 1:].tolist(), *[[None] * 6] * (len(operator.tariff_ids) - len(operator.mobile))]
    names = ("included_min", "included_mb", "included_messages", "price_min", "price_mb", "price_message")
    extracts.write(
        "tariff",
        {
            "tariff_id": operator.tariff_ids,
            "name": operator.tariff_names,
            "service": words(operator.tariff_service, SERVICES),
            "monthly_fee": operator.tariff_fees,
        }
        | dict(zip(names, zip(*terms, strict=True), strict=True)),
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
        recurring[:, month] += np.bincount(lines.customer, customers.operator.tariff_fees[lines.tariff] * runs, n)
        usage[:, month] = np.bincount(lines.customer, charge[:, month], n)
    rate = np.where(rng.random(n) < 0.25, rng.uniform(0.05, 0.25, n), 0)
    refund = (rng.random((n, MONTHS)) < 0.002) * rng.uniform(0.4, 1.2, (n, MONTHS))
    recurring, usage = money(recurring), money(usage)
    return Bills(recurring > 0, recurring, usage, money(rate[:, None] * recurring + refund * (recurring + usage)))


def line_runs(customers: Customers, lines: Lines, month: int) -> np.ndarray:
    """Whether each line ran on at least one day of a month."""
    return (lines.activated < MONTH_START[month + 1]) & (customers.ended[lines.customer] >= MONTH_START[month])


def write_bills(
    extracts: Extracts, customers: Customers, bills: Bills, rng: np.random.Generator
) -> tuple[dict[str, float], Owed]:
    """Write bills and payments of a batch; gives totals for the declared truth, and what was owed until when."""
    who, month = np.nonzero(bills.billed)
    bill_id = customers.id[who] * 100 + month
    amount = bills.amount[who, month]
    issued = MONTH_START[month + 1] - 1
    extracts.write(
        "bill",
        {
            "bill_id": bill_id,
            "customer_id": customers.id[who],
            "month": dates(MONTH_START[month]),
            "issued_on": dates(issued),
            "due_on": dates(issued + 20),
            "recurring": bills.recurring[who, month],
            "usage_charge": bills.usage[who, month],
            "discount": bills.discount[who, month],
            "amount": amount,
        },
        breaks=_BILL_BREAKS,
    )
    paid, settled = _draw_payments(customers, who, month, bill_id, amount, issued, rng)
    write_payments(extracts, customers.operator.words["methods"], paid, rng)
    asks = amount > 0
    owed = Owed(who[asks], bill_id[asks], issued[asks] + 20, settled[asks])
    return {"billed": float(amount.sum()), "paid": float(paid["amount"].sum()), "bills": len(amount)}, owed


def _draw_payments(customers, who, month, bill_id, amount, issued, rng) -> tuple[dict[str, np.ndarray], np.ndarray]:
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
    return {name: values[keep] for name, values in both.items()}, np.where(ok, day + 9 * parts, NEVER)


def write_payments(
    extracts: Extracts, methods: dict[str, float], paid: dict[str, np.ndarray], rng: np.random.Generator
) -> None:
    """Write payments (id, customer, bill or -1, day paid, amount) by methods in their shares."""
    method = rng.choice(len(methods), len(paid["id"]), p=list(methods.values()))
    extracts.write(
        "payment",
        {
            "payment_id": paid["id"],
            "customer_id": paid["customer"],
            "bill_id": pa.array(paid["bill"], mask=paid["bill"] < 0),
            "paid_on": dates(paid["paid"]),
            "amount": paid["amount"],
            "method": words(method, methods),
        },
        breaks=_PAYMENT_BREAKS,
    )
