"""Does making good keep a customer? Complaints that are recovered, recovered late or failed, and what is credited.

Drawn given the day of leaving, by Bayes: the leaving stands as it was drawn, and among those who complained the hazard
of leaving is multiplied by RATIO for DAYS from the day after closing. The shares of the states weigh the ratios to 1,
so that all together leave as they do without.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammainc, gammaincinv

from workbench.sample.people import Customers

STATES = ("recovered", "late", "failed")
RATIO = np.array([0.8, 1.4, 2.2])
SHARE = np.array([0.805, 0.09, 0.105])
DAYS = 90
PROMISE_H = 48
_SCALE_H = PROMISE_H * 0.26
# Of the queues (two call centres, a partner) by state: more fail with the partner. No lot sends them there.
_QUEUE = np.array([(0.41, 0.36, 0.23), (0.36, 0.33, 0.31), (0.34, 0.30, 0.36)])
OFFERED = np.array([0.75, 1.25])
"""In the first call centre half are offered a compensation by lot: ratio of the hazard where offered, and where not."""


@dataclass(frozen=True)
class Recovery:
    """What came of n complaints, each shape (n,): second of closing, outcome (solved, rejected, withdrawn), queue.

    `compensation` in yuan; `arm` is 0 for offered, 1 for not offered, -1 where no lot was drawn.
    """

    closed: np.ndarray
    outcome: np.ndarray
    queue: np.ndarray
    compensation: np.ndarray
    arm: np.ndarray


def draw_recovery(
    customers: Customers,
    who: np.ndarray,
    opened: np.ndarray,
    closed: np.ndarray,
    outcome: np.ndarray,
    rng: np.random.Generator,
) -> Recovery:
    """Draw what came of complaints; `closed` and `outcome` drawn before stay wherever the law of both allows it."""
    n = len(who)
    chance = rng.random((6, n))
    in_time = gammainc(2, 1 / 0.26)
    new = gammaincinv(2, chance[0] * np.array([[in_time], [1 - in_time], [1.0]]) + np.array([[0.0], [in_time], [0.0]]))
    ends = opened + (new * _SCALE_H * 3_600).astype(np.int64)
    ends[0] = np.minimum(ends[0], opened + PROMISE_H * 3_600)
    late = closed > opened + PROMISE_H * 3_600
    old = np.where(outcome > 0, 2, late.astype(np.int64))
    ends[old, np.arange(n)] = closed
    ends[2] = closed
    weight = SHARE[:, None] * _likelihood(customers, who, ends // 86_400, RATIO[:, None])
    weight /= weight.sum(axis=0)
    before = np.array([0.86 * in_time, 0.86 * (1 - in_time), 0.14])
    keeps = chance[1] * before[old] < weight[old, np.arange(n)]
    rest = np.cumsum(np.maximum(weight - before[:, None], 0), axis=0)
    state = np.where(keeps, old, (chance[2] * rest[-1] >= rest).sum(axis=0).clip(max=2))
    closed = ends[state, np.arange(n)]
    outcome = np.where(state < 2, 0, np.where(outcome > 0, outcome, 1 + (chance[3] < 5 / 14)))
    queue = (chance[4][:, None] > np.cumsum(_QUEUE[state], axis=1)).sum(axis=1).clip(max=2)
    arms = _likelihood(customers, who, closed // 86_400, RATIO[state] * OFFERED[:, None])
    arm = np.where(queue == 0, (chance[5] * arms.sum(axis=0) >= arms[0]).astype(np.int64), -1)
    wish = np.minimum(0.08 + 0.12 * (state > 0) + 4 * customers.hazard[who], 0.6)
    paid = np.where(queue == 0, arm == 0, rng.random(n) < wish)
    return Recovery(closed, outcome, queue, np.where(paid, 10 + 5 * rng.integers(0, 9, n), 0).astype(float), arm)


def _likelihood(customers: Customers, who: np.ndarray, closing: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Of the day of leaving, relative to an unchanged hazard, where `ratio` holds from the day after closing."""
    ended, rate = customers.ended[who], -np.log1p(-customers.hazard[who]) / 30.44
    begins = np.maximum(closing + 1, customers.joined[who] + 20)
    lived = np.clip(np.minimum(ended, closing + DAYS + 1) - begins, 0, None)
    inside = (ended >= begins) & (ended <= closing + DAYS)
    leaves = np.expm1(-ratio * rate) / np.expm1(-rate)
    return np.exp(-(ratio - 1) * rate * lived) * np.where(inside, leaves, 1.0)


def declared(queues: list[str]) -> dict[str, object]:
    """Give the truth of recovery."""
    return {
        "days": DAYS,
        "promise_hours": PROMISE_H,
        "hazard_ratio": dict(zip(STATES, RATIO.tolist(), strict=True)),
        "share": dict(zip(STATES, SHARE.tolist(), strict=True)),
        "hazard_ratio_note": "against the customer's own hazard, from the day after closing; exact to a hundredth, as "
        "the leaving was drawn before. Who complains has a higher hazard to begin with",
        "queue_share": {
            state: dict(zip(queues, row, strict=True)) for state, row in zip(STATES, _QUEUE.tolist(), strict=True)
        },
        "compensation": {
            "by_lot_in": queues[0],
            "hazard_ratio": {"offered": OFFERED[0], "not_offered": OFFERED[1]},
            "offered_to_not_offered": round(float(OFFERED[0] / OFFERED[1]), 6),
            "elsewhere": "no effect; those at risk are credited more often",
        },
    }
