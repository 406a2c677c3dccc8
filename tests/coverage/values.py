"""Potential value: of all customers, and of a service that few took up."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.studies.potential import potential_value

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "studies"))
from test_potential_potential import ASKED, MONTHS, SERVICES, world

RUNS = 100


@dataclass(frozen=True)
class Customers:
    """3,000 customers who close a share of the gap to their peers, whose months are noisy."""

    closing: float
    alike: float

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"3,000 customers, {self.closing:.0%} of the gap closes, months correlate {self.alike:g}"

    def measured(self, seed: int) -> Iterator[tuple[str, float, float, float]]:
        """Potential of all."""
        now, past, _, potential = world(100_000 + seed, closing=self.closing, rho=self.alike)
        found = potential_value(now, past, SERVICES, **ASKED, rng=seed)
        yield "potential of all", potential.sum(), *found.total[1:]


@dataclass(frozen=True)
class Takers:
    """500 customers without traits, few of whom take a service up."""

    expected: float

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"500 customers, {self.expected:g} takers expected"

    def measured(self, seed: int) -> Iterator[tuple[str, float, float, float]]:
        """Margin of the service among those who do not hold it."""
        n, rng = 500, np.random.default_rng([seed, 5])
        past = pd.DataFrame({"id": range(n), **dict.fromkeys(MONTHS, 1.0), "held_tv": False})
        past = past.assign(took_tv=rng.random(n) < self.expected / n)
        now = past.assign(held_tv=past["took_tv"])
        asked = ASKED | {"features": [], "peers": []}
        found = potential_value(now, past, SERVICES[:1], **asked, rng=seed)
        truth = 120 * self.expected / n * (~past["took_tv"]).sum()
        yield "margin of a service", truth, *found.services[["low", "high"]].iloc[0]


WORLDS = [
    *(Customers(c, r) for c, r in ((0.0, 0.3), (0.3, 0.3), (0.6, 0.0))),
    *map(Takers, (1, 3, 5, 8, 15, 40)),
]


def measured(world: Customers | Takers, seed: int) -> Iterator[tuple[str, float, float, float]]:
    """One sample of a world."""
    yield from world.measured(seed)
