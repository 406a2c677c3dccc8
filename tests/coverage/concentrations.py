"""How often the intervals of concentration hold the truth: light, usual and heavy tails, from 100 customers on.

Below 300 customers none is printed. A Pareto of tail index 1.2 is the heaviest tail that the method reaches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import integrate, stats

from workbench.studies.segmentation import concentration

RUNS = 500
TOPS = (0.05, 0.2)
GOAL = 0.8


@dataclass(frozen=True)
class World:
    """What customers bring: a law and its shape, a share of them nothing."""

    law: str
    shape: float
    customers: int
    nothing: float = 0.0

    def __str__(self) -> str:
        """Say it as the table does."""
        what = {
            "gamma": f"gamma of shape {self.shape:g}",
            "lognormal": f"lognormal, sd {self.shape:g}",
            "pareto": f"Pareto, tail index {self.shape:g}",
        }[self.law]
        nothing = f", {self.nothing:.0%} bring nothing" if self.nothing else ""
        return f"{self.customers:,} customers, {what}{nothing}"

    @property
    def drawn(self) -> stats.rv_continuous:
        """The law of those who bring something."""
        return {
            "gamma": lambda: stats.gamma(self.shape),
            "lognormal": lambda: stats.lognorm(self.shape),
            "pareto": lambda: stats.pareto(self.shape),
        }[self.law]()


@cache
def truths(law: str, shape: float, nothing: float) -> dict[str, float]:
    """Gini, revenue of the top 5 and 20% and share of customers for 80%, from the law's quantiles.

    With S(u) the revenue share of the top u: Gini = 2 ∫ S(u) du − 1.
    """
    law = World(law, shape, 1).drawn
    grid = np.r_[0, np.geomspace(1e-12, 1, 400_001)]
    quantile = law.isf(np.maximum(grid, 1e-13))
    head = law.expect(lb=quantile[1]) if np.isfinite(law.mean()) else np.nan
    top = np.r_[0, head + integrate.cumulative_trapezoid(quantile[1:], grid[1:], initial=0)] / law.mean()
    part = grid * (1 - nothing)
    share = {f"top {p:.0%}": float(np.interp(p, part, top)) for p in TOPS}
    area = integrate.trapezoid(top, part) + nothing
    return {"Gini": float(2 * area - 1), **share, "customers for 80%": float(np.interp(GOAL, top, part))}


LAWS = (
    ("gamma", 0.8, 0.0),
    ("gamma", 1.5, 0.2),
    ("lognormal", 0.8, 0.0),
    ("lognormal", 1.2, 0.0),
    ("lognormal", 1.6, 0.0),
    ("pareto", 3.0, 0.0),
    ("pareto", 2.0, 0.0),
    ("pareto", 1.5, 0.0),
)
HEAVIER = (("lognormal", 2.0), ("pareto", 1.2))
WORLDS = [
    *(World(law, shape, customers, nothing) for customers in (100, 300, 1_000) for law, shape, nothing in LAWS),
    *(World(law, shape, customers) for customers in (300, 1_000) for law, shape in HEAVIER),
    World("lognormal", 1.6, 10_000),
    World("pareto", 2.0, 10_000),
    World("pareto", 1.5, 10_000),
]


def measured(world: World, seed: int) -> Iterator[tuple[str, float, float, float]]:
    """Yield each number of one sample: its name, the truth and its ends."""
    rng = np.random.default_rng([seed, world.customers, int(10 * world.shape)])
    amounts = world.drawn.rvs(world.customers, random_state=rng) * (rng.random(world.customers) >= world.nothing)
    found = concentration(amounts, resamples=400, rng=seed).table.set_index("quantity")
    names = ["gini", *(f"share_of_top[{p:g}]" for p in TOPS), f"share_of_customers_for[{GOAL:g}]"]
    for (name, truth), row in zip(truths(world.law, world.shape, world.nothing).items(), names, strict=True):
        yield f"concentration, {name}", truth, found.at[row, "low"], found.at[row, "high"]
