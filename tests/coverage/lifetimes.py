"""Lifetime value from 7 to 1,000 departures, renewals (sBG), and buy-till-you-die models of few repeaters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError
from workbench.studies.lifetime_value import fit_btyd, fit_gamma_gamma, fit_sbg, lifetime_value

RUNS = 600
AS_OF = pd.Timestamp("2026-01-01")
HORIZON = 12
ENDS = np.round(np.arange(1, HORIZON + 1) * 365.25 / 12).astype(int)
FACTOR = 1.08 ** (-np.arange(1, HORIZON + 1) / 12)


@dataclass(frozen=True)
class Contracts:
    """Contracts begun within 8 years, departures of the last two on record, life Weibull (shape, scale in days)."""

    count: int
    shape: float
    scale: float
    departures: int

    def __str__(self) -> str:
        """Say it as the table does."""
        hazard = {0.7: "falling", 1.0: "constant", 1.5: "rising"}[self.shape]
        return f"{self.count:,} contracts, {hazard} hazard, about {self.departures:,} departures"

    def draw(self, rng: np.random.Generator) -> pd.DataFrame:
        """One record of contracts, with uneven margins."""
        start = AS_OF - pd.to_timedelta(rng.integers(1, 8 * 365, self.count), unit="D")
        life = np.minimum(np.ceil(self.scale * rng.weibull(self.shape, self.count)), 60_000)
        last = start + pd.to_timedelta(life - 1, unit="D")
        table = pd.DataFrame({"on": start, "off": last.where(last < AS_OF), "m": rng.gamma(2, 5, self.count)})
        return table[~(table["off"] < AS_OF - pd.DateOffset(years=2))].reset_index(drop=True)

    def measured(self, seed: int) -> Iterator[tuple[str, float, float, float]]:
        """Value of all, of bands of tenure and of one contract, under the hazard where one was told."""
        rng = np.random.default_rng([seed, self.count])
        table = self.draw(rng)
        names = {
            "all": "lifetime value",
            "6–12": "lifetime value, tenure 6–12",
            "24–48": "lifetime value, tenure 24–48",
        }
        asked = {"started": "on", "left": "off", "margin": "m", "horizon": HORIZON, "discount": 0.08, "as_of": AS_OF}
        try:
            found = lifetime_value(table, **asked, since=AS_OF - pd.DateOffset(years=2), rng=seed)
        except WorkbenchError:
            yield from ((name, np.nan, np.nan, np.nan) for name in (*names.values(), "months to come"))
            return
        living = table[table["off"].isna()]
        tenure = (AS_OF - living["on"]).dt.days.to_numpy()
        hidden = np.ones(tenure.max() + ENDS[-1] + 1)
        hidden[found.curve["day"].to_numpy() - 1] = 0
        hidden = np.append(0, np.cumsum(hidden))
        stay = np.exp(
            (tenure[:, None] / self.scale) ** self.shape - ((tenure[:, None] + ENDS) / self.scale) ** self.shape
        )
        stay *= hidden[tenure[:, None] + ENDS] == hidden[tenure][:, None]
        worth, months = living["m"].to_numpy() * (stay @ FACTOR), tenure / (365.25 / 12)
        rows = found.table.set_index("tenure")
        for band, name in names.items():
            low, high = (0.0, np.inf) if band == "all" else map(float, band.split("–"))
            truth = worth[(months >= low) & (months < high)].sum()
            if band in rows.index:
                yield name, truth, rows.loc[band, "low"], rows.loc[band, "high"]
        ends = rows.loc["all", ["months_low", "months_high"]]
        yield "months to come", stay.sum(axis=1).mean(), *ends
        one = found.customers.iloc[(at := int(rng.integers(len(living))))]
        yield "value of one contract", worth[at], one["low"], one["high"]


@dataclass(frozen=True)
class Renewals:
    """Customers who joined together, 8 periods, each with a chance of leaving from Beta(1, 3)."""

    count: int

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"{self.count:,} customers over 8 periods"

    def measured(self, seed: int) -> Iterator[tuple[str, float, float, float]]:
        """Both parameters of sBG."""
        rng = np.random.default_rng([seed, self.count])
        ends = rng.geometric(rng.beta(1, 3, self.count))
        there = np.array([(ends >= t).sum() for t in range(1, 10)])
        table = pd.DataFrame({"t": range(1, 9), "n": there[:-1], "d": -np.diff(there)})
        yield from _parameters(
            "sBG", {"alpha": 1.0, "beta": 3.0}, lambda: fit_sbg(table, period="t", at_risk="n", left="d")
        )


@dataclass(frozen=True)
class Buyers:
    """Customers who buy (MBG/NBD: .9, 6 weeks, .8, 2.5) so slowly that hardly two purchases fall on one day."""

    count: int

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"{self.count:,} customers without a contract"

    def measured(self, seed: int) -> Iterator[tuple[str, float, float, float]]:
        """Customers still active, purchases to come, parameters; the amount of a purchase."""
        rng, slow, days = np.random.default_rng([seed, self.count]), 20, 364 * 20
        rate, first = rng.gamma(0.9, 1 / (42 * slow), self.count), rng.integers(0, 90 * slow, self.count)
        most = rng.geometric(rng.beta(0.8, 2.5, self.count)) - 1
        rows = []
        for i in range(self.count):
            gaps = rng.exponential(1 / rate[i], min(int(most[i]), rng.poisson(rate[i] * 3 * days) + 20))
            at = first[i] + np.append(0, np.cumsum(gaps))
            rows += [(i, t) for t in at[at < days]]
        table = pd.DataFrame(rows, columns=["who", "day"])
        table["on"] = pd.Timestamp("2000-01-01") + pd.to_timedelta(table.pop("day").astype(int), unit="D")
        scale = rng.gamma(4, 1 / 15, self.count)
        table["yuan"] = rng.gamma(6, 1 / scale[table["who"]])
        until = pd.Timestamp("2000-01-01") + pd.Timedelta(days=days - 1)
        asked = {"customer": "who", "when": "on", "until": until}
        truth = {"r": 0.9, "alpha": 6.0 * slow, "a": 0.8, "b": 2.5}
        yield from _parameters("MBG/NBD", truth, lambda: fit_btyd(table, unit="week", **asked))
        yield from _expected(table, asked, np.log([*truth.values()]))
        try:
            low, high = fit_gamma_gamma(table, amount="yuan", **asked).mean[1:]
        except WorkbenchError:
            low, high = np.nan, np.nan
        yield "amount of a purchase", 6 * 15 / 3, low, high


def _expected(table, asked, truth) -> Iterator[tuple[str, float, float, float]]:
    """What the true parameters lead to expect of these very customers."""
    names = ("customers still active", "purchases to come")
    try:
        fit = fit_btyd(table, unit="week", **asked)
    except WorkbenchError:
        yield from ((name, np.nan, np.nan, np.nan) for name in names)
        return
    (x, t, T), _, count = fit._groups()
    alive = 1 / (1 + np.exp(-fit._process.likelihood(truth, x, t, T)[2]))
    yield names[0], float(count @ alive), *fit.active()[1:]
    yield names[1], float(count @ (alive * fit._process.expected(truth, x, T, 520.0))), *fit.total(520)[1:]


def _parameters(model: str, truth: dict[str, float], fit) -> Iterator[tuple[str, float, float, float]]:
    try:
        rows = fit().params
    except WorkbenchError:
        rows = pd.DataFrame(np.nan, index=list(truth), columns=["low", "high"])
    for name, value in truth.items():
        yield f"{model} {name}", value, rows.loc[name, "low"], rows.loc[name, "high"]


WORLDS = [
    Contracts(250, 1.0, 20_000.0, 9),
    Contracts(300, 1.5, 8_000.0, 13),
    Contracts(400, 0.7, 40_000.0, 14),
    Contracts(300, 1.0, 8_000.0, 21),
    Contracts(400, 1.5, 5_000.0, 27),
    Contracts(400, 0.7, 6_000.0, 42),
    Contracts(1_500, 1.0, 6_000.0, 130),
    Contracts(6_000, 0.7, 2_000.0, 1_000),
    *map(Renewals, (30, 100, 300, 1_500)),
    *map(Buyers, (50, 100, 300)),
]


def measured(world, seed: int) -> Iterator[tuple[str, float, float, float]]:
    """For each number of one sample: its name, the truth, and the ends of its interval."""
    yield from world.measured(seed)
