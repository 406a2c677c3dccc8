"""How often the intervals of curves, groups and money hold the truth, in campaigns from rare to frequent buyers.

The effect is known exactly: the score x is even between 0 and 1, and contact multiplies the chance to buy by
1 + level + slope (x − 1/2); amounts are lognormal with mean 20, whatever the arm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer
from workbench.studies.uplift import effect_groups, targeting, uplift_curve
from workbench.studies.uplift.policy import Costs, Rows, assessed

MEAN, MARGIN, RUNS = 20.0, 0.5, 500
HOW = {"score": "x", "outcome": "y", "treatment": "arm"}


@dataclass(frozen=True)
class World:
    """Members, share contacted, chance to buy, sd of the log amount (0: a 0/1 outcome), relative effect, its slope."""

    members: int
    share: float
    buyers: float
    tail: float
    level: float = 0.0
    slope: float = 0.0

    def __str__(self) -> str:
        """Say it as the table does."""
        kind = f", tails {self.tail:g}" if self.tail else ", 0/1"
        lift = f", contact +{self.level:.0%}, slope {self.slope:g}" if self.level or self.slope else ""
        return f"{self.members:,} at {self.share:.0%}, {self.buyers:.1%} buy{kind}{lift}"

    @property
    def unit(self) -> float:
        """What one buyer brings on average."""
        return MEAN if self.tail else 1.0

    @property
    def contact(self) -> float:
        """Cost of a contact: what it earns of a member of middling score, or a tenth of their value without effect."""
        return MARGIN * self.unit * self.buyers * (self.level or 0.1)

    def draw(self, seed: int) -> pd.DataFrame:
        """One campaign."""
        rng = np.random.default_rng([seed, self.members])
        x, arm = rng.random(self.members), np.arange(self.members) < round(self.share * self.members)
        chance = self.buyers * np.where(arm, 1 + self.level + self.slope * (x - 0.5), 1.0)
        amount = MEAN * rng.lognormal(-(self.tail**2) / 2, self.tail, self.members) if self.tail else 1.0
        return pd.DataFrame({"x": x, "arm": arm.astype(int), "y": (rng.random(self.members) < chance) * amount})

    def gain(self, u: np.ndarray | float) -> np.ndarray | float:
        """Extra outcome per member of the list from contacting the best share u."""
        return self.unit * self.buyers * (self.level * u + self.slope * u * (1 - u) / 2)

    def net(self, u: np.ndarray | float) -> np.ndarray | float:
        """Money of it."""
        return MARGIN * self.gain(u) - self.contact * u


WORLDS = [
    World(3_000, 0.9, 0.02, 1.0),
    World(3_000, 0.9, 0.02, 1.0, 0.5, 1.0),
    World(3_000, 0.5, 0.02, 1.0, 0.3, 1.0),
    World(5_000, 0.9, 0.05, 1.0, 0.3, 1.0),
    World(10_000, 0.9, 0.05, 1.0),
    World(5_000, 0.9, 0.1, 1.5, 0.3, 1.0),
    World(20_000, 0.99, 0.2, 1.0, 0.2, 0.5),
    World(20_000, 0.5, 0.005, 0.5, 0.5, 1.0),
    World(100_000, 0.9, 0.002, 0.5, 0.5, 1.0),
    World(300, 0.5, 0.2, 0.5),
    World(1_000, 0.5, 0.2, 0.0, 0.2, 0.5),
    World(3_000, 0.9, 0.02, 0.0, 0.5, 1.0),
    World(10_000, 0.99, 0.2, 0.0),
]


def measured(world: World, seed: int, resamples: int = 200) -> Iterator[tuple[str, float, float, float]]:
    """For each number of one campaign: its name, the truth, and the ends of its interval (NaN: none)."""
    table, how = world.draw(seed), {"resamples": resamples, "rng": seed}
    slope = world.unit * world.buyers * world.slope
    for kind, area in (("uplift", slope / 12), ("toc", slope / 4)):
        curve = uplift_curve(table, kind=kind, **HOW, **how)
        yield ("Qini excess" if kind == "uplift" else "AUTOC"), area, curve.area_low, curve.area_high
        for at in (0.1, 0.4):
            row = curve.points.iloc[(curve.points["share"] - at).abs().argmin()]
            true = world.gain(row["share"]) if kind == "uplift" else slope * (1 - row["share"]) / 2
            yield f"{'curve' if kind == 'uplift' else 'TOC'} at {at:.0%}", true, row["low"], row["high"]
    try:
        groups = effect_groups(table, **HOW)
        for k in (0, 4):
            row, middle = groups.groups.iloc[k], 0.9 - 0.2 * k
            true = world.unit * world.buyers * (world.level + world.slope * (middle - 0.5))
            yield f"group {k + 1} of 5", true, row["low"], row["high"]
        yield "calibration slope", slope, groups.slope_low, groups.slope_high
    except CannotAnswer:
        pass
    money = targeting(table, margin=MARGIN, contact_cost=world.contact, **HOW, **how)
    row = money.curve.iloc[(money.curve["share"] - 0.4).abs().argmin()]
    yield "net at 40%", world.net(row["share"]), row["low"], row["high"]
    yield "net of everybody", world.net(1.0), money.everybody.low, money.everybody.high
    if money.verdict == "not answerable":
        return
    rows = Rows(table["y"].to_numpy(), np.zeros(len(table)), table["arm"].to_numpy(bool))
    plan = assessed(rows, table["x"].to_numpy(), Costs(MARGIN, world.contact, 0.0, 0.0), seed)
    net = sum(w * world.net(1 - min(max(cut, 0), 1)) for w, cut in zip(plan.weights, plan.cuts, strict=True))
    if money.net_high > money.net_low:
        yield "net of the chosen share", net, money.net_low, money.net_high
    if money.advantage.high > money.advantage.low:
        yield "lead over everybody", net - world.net(1.0), money.advantage.low, money.advantage.high
    shares = np.linspace(0, 1, 1001)
    best = shares[np.argmax(world.net(shares))]
    if world.slope:
        yield "best share", best, money.best_share_low - 0.006, money.best_share_high + 0.006
