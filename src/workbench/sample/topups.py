"""How do prepaid customers top up? At a rate of their own, until they fall silent: a buy-till-you-die process.

MBG/NBD: gaps are exponential with a rate that is gamma distributed over customers, and after each top-up, the first
too, the customer falls silent with a probability that is beta distributed. Leaving stands: who leaves gets a course
that is silent by then, drawn among those of customers who joined at the same time, so that all together follow the law.
Top-ups come beside the monthly bills, which stand.
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
A, B = 1.2, 7.0
P, Q, GAMMA = 6.0, 4.0, 15.0
"""Amounts: gamma with shape P and a customer's own rate, which is gamma with shape Q and rate GAMMA."""


def draw_topups(customers: Customers, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Draw the top-ups of a batch (position of the customer, day, amount), and the truth by customer.

    The truth has who, rate (a week), dropout (probability after each top-up) and active (not silent by the end).
    """
    n = len(customers.id)
    start = np.maximum(customers.joined, 0) + rng.standard_exponential(n) * 10
    tops = customers.prepaid & (rng.random(n) < SHARE) & (start < np.minimum(customers.ended, END))
    who, start = np.flatnonzero(tops), start[tops]
    rate, dropout = rng.gamma(R, 1 / ALPHA, len(who)), rng.beta(A, B, len(who))
    course, since = _courses(rate, dropout, rng)
    silent = np.full(len(who), np.inf)
    count = np.bincount(course, minlength=len(who))
    last = since[np.cumsum(count) - 1]
    silent[last < END] = last[last < END]
    theirs = _matched(customers.joined[who] // 45, customers.ended[who] - start, silent, rng)
    own = rng.gamma(Q, 1 / GAMMA, len(who))
    has = np.flatnonzero(theirs >= 0)
    took = count[theirs[has]]
    begin = (np.cumsum(count) - count)[theirs[has]]
    number = np.arange(took.sum()) - np.repeat(np.cumsum(took) - took, took)
    at, place = np.repeat(begin, took) + number, np.repeat(has, took)
    day = np.minimum(start[place] + since[at], END).astype(np.int64) - number + 2 * END * place
    day = np.maximum.accumulate(day) + number - 2 * END * place  # a day each, as two of one day are read as one
    seen = day < np.minimum(customers.ended[who[place]] + 1, END)
    place, day = place[seen], day[seen]
    amount = money(rng.gamma(P, 1 / own[place]))
    truth = {"who": who[has], "rate": rate[theirs[has]], "dropout": dropout[theirs[has]]}
    return {"who": who[place], "day": day, "amount": amount}, truth | {
        "active": start[has] + silent[theirs[has]] >= END
    }


def _courses(rate: np.ndarray, dropout: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Top-ups by customer from the first on, until they fall silent or END days are over: position, days since."""
    alive, since = np.arange(len(rate)), np.zeros(len(rate))
    parts = [(alive, since)]
    while len(alive):
        stays = (rng.random(len(alive)) >= dropout[alive]) & (since < END)
        alive = alive[stays]
        since = since[stays] + rng.standard_exponential(len(alive)) * WEEK / rate[alive]
        parts.append((alive, since))
    course, since = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.lexsort((since, course))
    return course[order], since[order]


def _matched(group: np.ndarray, stays: np.ndarray, silent: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A course for each customer, of their group; -1 for who leaves before any that is left falls silent.

    `stays` are the days from the first top-up to leaving, `silent` those of each course until the last one.
    """
    found = np.full(len(stays), -1)
    group = np.maximum(group, -1)
    for number in np.unique(group):
        mine = np.flatnonzero(group == number)
        goes = mine[stays[mine] < END]
        goes = goes[np.argsort(stays[goes], kind="stable")]
        free = list(mine[np.argsort(silent[mine], kind="stable")])
        fits = 0
        pool: list[int] = []
        for customer in goes:
            while fits < len(free) and silent[free[fits]] <= stays[customer]:
                pool.append(free[fits])
                fits += 1
            if pool:
                found[customer] = pool.pop(int(rng.integers(len(pool))))
        rest = mine[stays[mine] >= END]
        left = np.array(pool + free[fits:], dtype=np.int64)
        found[rest] = rng.permutation(left)[: len(rest)]
    return found


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
        "note": "who leaves falls silent before, so that all together follow the law. Rates and dropout by customer "
        "are in topups.parquet. Use goes on as it was drawn. Other payments without a bill, in 1% of the months of all "
        "customers, are purchases of another kind",
    }
