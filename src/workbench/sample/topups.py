"""How do prepaid customers top up? At a rate of their own, until they fall silent: a buy-till-you-die process.

MBG/NBD: gaps are exponential with a rate that is gamma distributed over customers, and after each top-up, the first
too, the customer falls silent with a probability that is beta distributed. Top-ups come beside the monthly bills, which
stand; nobody tops up after leaving.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from workbench.sample.extracts import Extracts, money
from workbench.sample.money import write_payments
from workbench.sample.people import Customers
from workbench.sample.timeline import END

WEEK = 7
SHARE = 0.9
"""Share of prepaid customers who ever top up."""
R, ALPHA = 1.1, 7.0
A, B = 0.6, 9.0
P, Q, GAMMA = 6.0, 4.0, 15.0
"""Amounts: gamma with shape P and a customer's own rate, which is gamma with shape Q and rate GAMMA."""


def draw_topups(customers: Customers, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Draw the top-ups of a batch (position of the customer, day, amount), and the truth by customer.

    The truth has who, rate (a week), dropout (probability after each top-up) and active (neither silent nor gone by the
    end).
    """
    n = len(customers.id)
    who = np.flatnonzero(customers.prepaid & (rng.random(n) < SHARE))
    rate = rng.gamma(R, 1 / ALPHA, len(who))
    dropout = rng.beta(A, B, len(who))
    own = rng.gamma(Q, 1 / GAMMA, len(who))
    at = np.maximum(customers.joined[who], 0) + rng.standard_exponential(len(who)) * 10
    last = np.minimum(customers.ended[who] + 1, END)
    active, alive = np.zeros(len(who), dtype=bool), np.arange(len(who))
    parts = [(alive[:0], at[:0], at[:0])]
    while len(alive := alive[at[alive] < last[alive]]):
        parts.append((alive, at[alive], rng.gamma(P, 1 / own[alive])))
        alive = alive[rng.random(len(alive)) >= dropout[alive]]
        at[alive] += rng.standard_exponential(len(alive)) * WEEK / rate[alive]
        active[alive] = at[alive] >= END
    place, day, amount = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.lexsort((day, place))
    bought = {"who": who[place[order]], "day": day[order].astype(np.int64), "amount": money(amount[order])}
    return bought, {"who": who, "rate": rate, "dropout": dropout, "active": active}


def write_topups(extracts: Extracts, customers: Customers, rng: np.random.Generator) -> dict[str, object]:
    """Write the top-ups of a batch; gives the truth: one row a customer who tops up."""
    bought, truth = draw_topups(customers, rng)
    who = bought["who"]
    number = np.arange(len(who)) - np.searchsorted(who, who)
    paid = {
        "id": customers.id[who] * 100_000 + 90_000 + number,
        "customer": customers.id[who],
        "bill": np.full(len(who), -1),
        "paid": bought["day"],
        "amount": bought["amount"],
    }
    write_payments(extracts, customers.operator.words["methods"], paid, rng)
    return {
        "customer_id": pa.array(customers.id[truth["who"]]).cast(pa.string()),
        "weekly_rate": truth["rate"],
        "dropout": truth["dropout"],
        "active": truth["active"],
    }


def declared() -> dict[str, object]:
    """Give the truth of top-ups."""
    return {
        "model": "mbg_nbd",
        "unit": "week",
        "r": R,
        "alpha": ALPHA,
        "a": A,
        "b": B,
        "amount": {"p": P, "q": Q, "gamma": GAMMA, "mean": P * GAMMA / (Q - 1)},
        "share_of_prepaid": SHARE,
        "note": "exact for those who had not left by the end; leaving ends the top-ups of the others. Rates and "
        "dropout by customer are in topups.parquet. Use goes on as it was drawn. Other payments without a bill, in 1% "
        "of the months of all customers, are purchases of another kind",
    }
