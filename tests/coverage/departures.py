"""Leaving by cause with late entry, changes of churn, and net flow and ratio of ports, of one event to hundreds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer
from workbench.methods import counts
from workbench.methods.survival import life_table
from workbench.studies.departures import churn_change

RUNS = 1_000
CAUSES = {"port out": 0.0006, "disconnect": 0.0003, "non-payment": 0.00005}


@dataclass(frozen=True)
class Lives:
    """Customers begun within 8 years, departures of the last two on record, hazards by cause constant."""

    count: int
    factor: float

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"{self.count:,} customers, constant hazards of {365 * self.factor * sum(CAUSES.values()):.2f} a year"

    def measured(self, seed: int) -> Iterator[tuple[str, float, float, float]]:
        """Share gone by 12 and 24 months, by cause."""
        rng = np.random.default_rng([seed, self.count])
        hazard = self.factor * np.array(list(CAUSES.values()))
        known = rng.integers(1, 8 * 365, self.count)
        life, cause = rng.geometric(hazard.sum(), self.count), rng.choice(3, self.count, p=hazard / hazard.sum())
        entry = np.maximum(known - 730, 0)
        seen = life > entry
        exit, code = np.minimum(life, known), np.where(life <= known, cause, -1)
        table = life_table(entry[seen], exit[seen], code[seen], reach=8 * 365, causes=3)
        at = np.array([365, 730])
        low, high = table.ends(at)
        gone = (hazard / hazard.sum())[:, None] * (1 - (1 - hazard.sum()) ** (at - table.start + 1))
        for i, name in enumerate(CAUSES):
            for j, months in enumerate((12, 24)):
                yield f"gone by {months} months, {name}", gone[i, j], low[i, j], high[i, j]


@dataclass(frozen=True)
class Ports:
    """Ports in and out, Poisson."""

    come: float
    go: float

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"{self.come:g} ported in and {self.go:g} out expected"

    def measured(self, seed: int) -> Iterator[tuple[str, float, float, float]]:
        """Ports in per port out where somebody was ported out, and net flow."""
        rng = np.random.default_rng([seed, round(10 * self.come), round(10 * self.go)])
        x, y = rng.poisson(self.come), rng.poisson(self.go)
        ends = counts.ratio(x, y) if y else (np.nan, np.nan)
        yield "ports in per port out", self.come / self.go, *ends
        yield "net flow", self.come - self.go, *counts.difference(x, y)


@dataclass(frozen=True)
class Bases:
    """Two times of a base, half of whose customers are in both; the mix of two kinds and their rates change."""

    count: int
    rates: tuple[float, float]

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"{self.count:,} customers twice, {100 * self.rates[0]:g} and {100 * self.rates[1]:g}% leave"

    def measured(self, seed: int) -> Iterator[tuple[str, float, float, float]]:
        """Change of churn, by mix and by rates: a fifth of the customers is of the second kind, then a third."""
        rng, n = np.random.default_rng([seed, self.count]), self.count
        share, (a, b) = (0.2, 1 / 3), self.rates
        kind = rng.random(n + n // 2)
        tables = []
        for first, p, rate in ((0, share[0], (a, b)), (n // 2, share[1], (1.2 * a, b))):
            second = kind[first : first + n] < p
            gone = rng.random(n) < np.where(second, rate[1], rate[0])
            tables.append(pd.DataFrame({"id": np.arange(first, first + n), "kind": second.astype(str), "gone": gone}))
        mix = (share[1] - share[0]) * (b - 1.1 * a)
        rates = 0.2 * a * (1 - sum(share) / 2)
        try:
            found = churn_change(*tables, customer="id", left="gone", by=["kind"], resamples=200, rng=seed).table
        except CannotAnswer:
            return
        for name, truth, row in zip(
            ("mix", "rates", "all"), (mix, rates, mix + rates), found.itertuples(), strict=True
        ):
            yield f"change of churn, {name}", 100 * truth, row.low, row.high


WORLDS = [
    *(Lives(count, factor) for count, factor in ((300, 1.0), (1_000, 1.0), (4_000, 1.0), (1_000, 4.0))),
    *(Bases(count, rates) for count, rates in ((1_000, (0.02, 0.06)), (8_000, (0.02, 0.03)))),
    *(Ports(come, go) for come, go in ((6.0, 12.0), (20.0, 20.0), (40.0, 150.0), (300.0, 420.0))),
]


def measured(world: Lives | Ports | Bases, seed: int) -> Iterator[tuple[str, float, float, float]]:
    """Draw one sample of a world."""
    return world.measured(seed)
