"""Average effects of campaigns: shares and money, from rare to frequent buyers, from even to extreme arms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer
from workbench.methods.experiment import average_effect
from workbench.studies.campaign_effect import arm_effects

RUNS = 1_000
Outcome = Literal["share", "light", "medium", "heavy", "extreme"]
MEANS = {"light": 2.0, "medium": float(np.exp(0.32)), "heavy": float(np.exp(0.72)), "extreme": 3.0}


@dataclass(frozen=True)
class World:
    """A campaign: members, share contacted, share that buys, what buyers bring, factor of the share by contact."""

    members: int
    contacted: float
    response: float
    outcome: Outcome
    factor: float = 1.0

    def __str__(self) -> str:
        """Say it as the table does."""
        lift = "" if self.factor == 1 else f", contact ×{self.factor:g}"
        kind = "" if self.outcome == "share" else f", {self.outcome} tails"
        return f"{self.members:,} at {self.contacted:.0%}, {self.response:.1%} buy{kind}{lift}"

    def spent(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """What buyers bring: gamma (2), lognormal (sd .8, 1.2 of the log), Pareto (1.5)."""
        if self.outcome == "light":
            return rng.gamma(2, 1, size)
        if self.outcome in ("medium", "heavy"):
            return rng.lognormal(0, 0.8 if self.outcome == "medium" else 1.2, size)
        return np.ones(size) if self.outcome == "share" else rng.pareto(1.5, size) + 1

    def draw(self, seed: int) -> pd.DataFrame:
        """One campaign; x tells who buys (odds ×2 a standard deviation, so nearly)."""
        rng = np.random.default_rng([seed, self.members, int(1000 * self.contacted)])
        arm = np.arange(self.members) < round(self.contacted * self.members)
        x = rng.normal(size=self.members)
        ease = 2**x / np.exp(np.log(2) ** 2 / 2)
        chance = np.clip(self.response * ease * np.where(arm, self.factor, 1.0), 0, 1)
        y = np.zeros(self.members)
        bought = rng.random(self.members) < chance
        y[bought] = self.spent(rng, int(bought.sum()))
        return pd.DataFrame({"arm": arm.astype(int), "x": x, "y": y})

    @property
    def truth(self) -> tuple[float, float]:
        """Effect and relative effect per member, of the population (what is clipped at 1 included)."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(80)
        ease = 2**nodes / np.exp(np.log(2) ** 2 / 2)
        one, zero = (
            float(np.clip(self.response * ease * factor, 0, 1) @ weights / np.sqrt(2 * np.pi))
            for factor in (self.factor, 1.0)
        )
        unit = MEANS.get(self.outcome, 1.0)
        return unit * (one - zero), one / zero - 1


WORLDS = [
    World(members, contacted, response, outcome, factor)
    for (members, contacted, response), (outcome, factor) in product(
        product((300, 3_000, 30_000), (0.5, 0.9, 0.99), (0.002, 0.01, 0.05, 0.2)),
        (("share", 1.0), ("share", 1.5), ("light", 1.0), ("heavy", 1.0), ("heavy", 1.5), ("extreme", 1.0)),
    )
    if members * response >= 15 and (members < 30_000 or (response <= 0.05 and outcome in ("share", "heavy")))
] + [World(100_000, c, r, o) for c in (0.5, 0.99) for r in (0.002, 0.05) for o in ("share", "medium")]


def measured(world: World, seed: int) -> Iterator[tuple[str, float, float, float]]:
    """For each number of one campaign: its name, the truth, and the ends of its interval."""
    table, (effect, relative) = world.draw(seed), world.truth
    kind = "share" if world.outcome == "share" else "money"
    for name, covariates in (("effect", []), ("adjusted effect", ["x"])):
        try:
            found = average_effect(table, outcome="y", treatment="arm", covariates=covariates)
        except CannotAnswer:
            yield f"{name}, {kind}", effect, np.nan, np.nan
            continue
        said = not found.doubts
        yield f"{name}, {kind}", effect, *((found.low, found.high) if said else (np.nan, np.nan))
        ends = (found.relative.low, found.relative.high) if said else (np.nan, np.nan)
        yield f"{name}, relative, {kind}", relative, *ends
    if world.members != 3_000 or world.factor != 1 or world.outcome not in ("share", "heavy"):
        return
    half = np.random.default_rng(seed).permutation(world.members) % 2
    table["three"] = np.where(table["arm"] == 0, "control", np.where(half == 1, "call", "e-mail"))
    try:
        found = arm_effects(table, outcome="y", arm="three")
    except CannotAnswer:
        return
    rows = found.effects[found.effects["against"] == "control"]
    # All held at once: 0 is below all lower ends (missed above) or above all upper ends.
    low, high = float(rows["low_joint"].max()), float(rows["high_joint"].min())
    yield f"two arms together, {kind}", 0.0, *((low, high) if not found.doubts else (np.nan, np.nan))
