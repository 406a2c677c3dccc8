"""What does collecting bring? Three stages of ten days on overdue bills, a tenth of each held back by lot.

Drawn given payment and leaving, by Bayes: both stand as they were drawn, and the arms differ by the declared points.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from workbench.sample.extracts import DUPLICATE, Extracts, words
from workbench.sample.money import Owed
from workbench.sample.people import Customers
from workbench.sample.timeline import END, dates

STAGES, STAGE_DAYS, HELD_OUT = 3, 10, 0.1
EARNS = (0.05, 0.08, 0.12)
"""By stage, how much more of those treated pay in full within its days than of those held out."""
RESTRICTED_LEAVE, LEAVE_DAYS = 0.02, 90
"""How much more of those restricted leave of their own will, and within how many days."""
BAD_COLLECTOR, BAD_EARNS = 3, -0.06
"""Position of the bad collector, who has a fifth of the bills as each has, and what fewer pay there."""
_ACTIONS = ("remind", "call", "restrict")
_COST = (0.1, 4.0, 2.0)
_OUTCOMES = ("reached", "promised", "not_reached")
# Of reached, promised and not reached: those who do not pay within the stage, those who do.
_ANSWER = np.array([(0.32, 0.13, 0.55), (0.26, 0.49, 0.25)])
_BREAKS = (
    ("unknown code", "arm", "抽签"),
    ("orphan reference", "bill_id", "999999999999"),
    ("impossible date", "acted_on", "2026-02-30"),
    ("unparsable number", "cost", "面议"),
    (DUPLICATE, "", ""),
)


@dataclass
class Collected:
    """Sums over the batches by stage: bills that reach it, of them paid within it, of them left within 90 days."""

    sums: np.ndarray = field(default_factory=lambda: np.zeros((STAGES, 3)))

    def declared(self, collectors: list[str]) -> dict[str, object]:
        """Give the truth of collection."""
        stages = []
        for k, (reached, paid, left) in enumerate(self.sums):
            rates = {"paid": _arms(paid / max(reached, 1), EARNS[k])}
            if _ACTIONS[k] == "restrict":
                rates["left"] = _arms(left / max(reached, 1), RESTRICTED_LEAVE)
            rates = {name: {arm: round(float(v), 6) for arm, v in of.items()} for name, of in rates.items()}
            stages.append(
                {"stage": k + 1, "action": _ACTIONS[k], "reached": int(reached), "earns": EARNS[k], "cost": _COST[k]}
                | rates
            )
        return {
            "held_out": HELD_OUT,
            "stage_days": STAGE_DAYS,
            "stages": stages,
            "paid": "in full from the day of the action to the ninth day after it",
            "left": f"of their own will (port_out, disconnect) within {LEAVE_DAYS} days from the day after the action; "
            "restricting costs 2 points",
            "bad_collector": {"name": collectors[BAD_COLLECTOR], "share": 1 / len(collectors), "earns": BAD_EARNS},
            "note": "payment was drawn before: the arms' levels are those that the standing payments and the declared "
            "difference give. Nobody is acted on who has left",
        }


def _arms(overall: float, points: float) -> dict[str, float]:
    """Shares of the arms whose mixture is the overall one and whose difference is `points`."""
    held = max(overall - (1 - HELD_OUT) * points, 0)
    return {"treated": (overall - HELD_OUT * held) / (1 - HELD_OUT), "held_out": held}


def write_actions(
    extracts: Extracts, customers: Customers, owed: Owed, collected: Collected, rng: np.random.Generator
) -> None:
    """Write the actions on the overdue bills of a batch, and add them up."""
    ended, reason = customers.ended[owed.who], customers.reason[owed.who]
    names, parts = customers.operator.words["collectors"], []
    for stage in range(STAGES):
        day = owed.due + 1 + STAGE_DAYS * stage
        at = np.flatnonzero((owed.settled >= day) & (day < END) & (ended >= day))
        day = day[at]
        paid = owed.settled[at] < day + STAGE_DAYS
        left = np.isin(reason[at], (0, 1)) & (ended[at] > day) & (ended[at] <= day + LEAVE_DAYS)
        collected.sums[stage] += len(at), paid.sum(), left.sum()
        drawn = _draw_stage(stage, paid, left, len(names), rng)
        parts.append((at, np.full(len(at), stage), day, *drawn))
    at, stages, day, held, collector, answer = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.lexsort((stages, at))
    at, stages, day, held, collector, answer = (a[order] for a in (at, stages, day, held, collector, answer))
    extracts.write(
        "collection_action",
        {
            "action_id": owed.bill[at] * 10 + stages + 1,
            "bill_id": owed.bill[at],
            "customer_id": customers.id[owed.who[at]],
            "stage": stages + 1,
            "action": words(stages, _ACTIONS),
            "collector": words(collector, names),
            "arm": words(held.astype(np.int64), ("treated", "held_out")),
            "acted_on": dates(day),
            "cost": np.where(held, 0.0, np.array(_COST)[stages]),
            "outcome": words(answer, _OUTCOMES),
        },
        breaks=_BREAKS,
    )


def _draw_stage(
    stage: int, paid: np.ndarray, left: np.ndarray, collectors: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who is held out, by whom the others are asked, and what they answer; -1 for nobody and nothing."""
    n, chance = len(paid), rng.random((3, len(paid)))
    odds = _odds(paid, EARNS[stage])
    if _ACTIONS[stage] == "restrict":
        for part in (paid, ~paid):
            odds[part] *= _odds(left[part], RESTRICTED_LEAVE)
    held = chance[0] < HELD_OUT * odds / (HELD_OUT * odds + 1 - HELD_OUT)
    if stage == 0:
        return held, np.full(n, -1), np.full(n, -1)
    overall = paid[~held].mean() if (~held).any() else 0.0
    bad = np.clip(overall + BAD_EARNS * (1 - 1 / collectors), 1e-9, 1)
    share = np.where(paid, bad / max(overall, 1e-9), (1 - bad) / max(1 - overall, 1e-9)) / collectors
    others = (BAD_COLLECTOR + 1 + (chance[1] - share) / np.maximum(1 - share, 1e-9) * (collectors - 1)).astype(np.int64)
    collector = np.where(chance[1] < share, BAD_COLLECTOR, others % collectors)
    answer = (chance[2][:, None] > np.cumsum(_ANSWER[paid.astype(np.int64)], axis=1)).sum(axis=1).clip(max=2)
    return held, np.where(held, -1, collector), np.where(held, -1, answer)


def _odds(happened: np.ndarray, points: float) -> np.ndarray:
    """How much likelier what was drawn is where held out than where treated."""
    overall = happened.mean() if len(happened) else 0.0
    arms = _arms(overall, points)
    treated, held = max(arms["treated"], 1e-9), arms["held_out"]
    return np.where(happened, held / treated, (1 - held) / max(1 - treated, 1e-9))
