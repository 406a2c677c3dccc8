"""Cells, parts, clusters and waves of surveys: from light answers to ceilings, from 10 respondents to 1,000."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from workbench.studies.satisfaction import Construct, PathModel, satisfaction_index, wave_change
from workbench.studies.service import ServiceStandard, service_shortfalls
from workbench.studies.voice import mean_answer, net_promoter, top_boxes, voice_scores

RUNS = 1_000
SCALE = np.arange(1.0, 11)
Answers = Literal["light", "usual", "half at 10", "70% at 10", "85% at 10"]
Interval = tuple[str, float, float, float]


def _normal(mean: float, sd: float) -> np.ndarray:
    """Shares of the answers 1 to 10 of a rounded and cut normal."""
    return np.diff(stats.norm.cdf(np.r_[-np.inf, np.arange(1.5, 10), np.inf], mean, sd))


ANSWERS: dict[Answers, np.ndarray] = {
    "light": _normal(5.5, 1.5),
    "usual": _normal(7.8, 2.0),
    "half at 10": np.array([0.01, 0.01, 0.01, 0.02, 0.04, 0.05, 0.06, 0.12, 0.18, 0.5]),
    "70% at 10": np.array([0.01, 0.005, 0.005, 0.01, 0.02, 0.02, 0.03, 0.08, 0.12, 0.7]),
    "85% at 10": np.array([0.005, 0.005, 0, 0.005, 0.015, 0.01, 0.01, 0.04, 0.06, 0.85]),
}
ENDS = {"low": 1, "high": 10}
MODEL = PathModel(
    [Construct("Quality", ["q1", "q2"], **ENDS), Construct("Satisfaction", ["s1", "s2", "s3"], **ENDS)],
    {"Satisfaction": ["Quality"]},
)


@dataclass(frozen=True)
class Cell:
    """A cell whose respondents' weights are even, or lognormal (sd .6 of the log: design effect 1.4)."""

    answers: Answers
    size: int
    uneven: bool

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"cell of {self.size:,}, {self.answers}, {'uneven' if self.uneven else 'even'} weights"

    def measured(self, rng: np.random.Generator) -> Iterator[Interval]:
        """Mean answer, top two and net promoter score."""
        p = ANSWERS[self.answers]
        y = rng.choice(SCALE, self.size, p=p)
        table = pd.DataFrame({"y": y, "w": np.exp(0.6 * self.uneven * rng.standard_normal(self.size))})
        found = voice_scores(
            table,
            [mean_answer("y", name="mean"), top_boxes("y", high=10), net_promoter("y", high=10)],
            by=(),
            weight="w",
            minimum=2,
        )
        truth = p @ SCALE, 100 * p[8:].sum(), 100 * (p[8:].sum() - p[:6].sum())
        for kind, aim, row in zip(
            ("mean answer", "top two", "net promoter"), truth, found.table.itertuples(), strict=True
        ):
            yield kind, aim, row.low, row.high


@dataclass(frozen=True)
class Part:
    """A tenth of the respondents, spread over strata whose level differs by up to 2 points."""

    answers: Answers
    strata: int
    each: int

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"a tenth of {self.strata} strata of {self.each}, {self.answers}"

    def measured(self, rng: np.random.Generator) -> Iterator[Interval]:
        """Mean answer of the part."""
        p, level = ANSWERS[self.answers], np.linspace(-2, 0, self.strata)
        stratum = np.repeat(np.arange(self.strata), self.each)
        y = np.clip(rng.choice(SCALE, len(stratum), p=p) + level[stratum], 1, 10)
        table = pd.DataFrame({"y": y, "stratum": stratum, "part": rng.random(len(y)) < 0.1})
        if table["part"].sum() > 1:
            found = voice_scores(table, [mean_answer("y")], by="part", strata="stratum", weight=None, minimum=2).table
            row = found[found["part"].astype(bool)].iloc[0]
            truth = float(np.mean([np.clip(SCALE + shift, 1, 10) @ p for shift in level]))
            yield "mean answer of a part", truth, row["low"], row["high"]


@dataclass(frozen=True)
class Clusters:
    """Points of interview whose respondents are alike (correlation .1)."""

    answers: Answers
    clusters: int
    each: int

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"{self.clusters} clusters of {self.each}, {self.answers}"

    def measured(self, rng: np.random.Generator) -> Iterator[Interval]:
        """Mean answer, whole clusters as units (where a version cannot do that, as if there were none)."""
        p = ANSWERS[self.answers]
        code = np.repeat(np.arange(self.clusters), self.each)
        latent = np.sqrt(0.1) * rng.standard_normal(self.clusters)[code] + np.sqrt(0.9) * rng.standard_normal(len(code))
        table = pd.DataFrame({"y": 1.0 + np.searchsorted(stats.norm.ppf(np.cumsum(p)[:-1]), latent), "point": code})
        row = voice_scores(table, [mean_answer("y")], by=(), weight=None, **_clustered(voice_scores)).table.iloc[0]
        yield "mean answer, clustered", float(p @ SCALE), row["low"], row["high"]


@dataclass(frozen=True)
class Cases:
    """Customers all of whose cases are late, or none."""

    customers: int
    each: int
    hit: float

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"{self.customers} customers of {self.each} cases, {self.hit:.0%} hit"

    def measured(self, rng: np.random.Generator) -> Iterator[Interval]:
        """Share of late cases."""
        standard = [ServiceStandard("fast", "contact", "contacted_at", "wait_s", {}, at_most=20)]
        late = np.repeat(rng.random(self.customers) < self.hit, self.each)
        cases = pd.DataFrame({"customer_id": np.repeat(np.arange(self.customers), self.each)})
        cases = cases.assign(contacted_at=pd.Timestamp("2026-01-05"), wait_s=np.where(late, 60, 5))
        tickets = pd.DataFrame({"customer_id": [], "opened_at": pd.to_datetime([])})
        row = service_shortfalls(cases, tickets, as_of="2026-02-01", standards=standard).table.iloc[0]
        yield "share of late cases", 100 * self.hit, row["low"], row["high"]


@dataclass(frozen=True)
class Index:
    """Cells of 10 to 1,000 whose five items have one distribution: the true index is that of an answer."""

    answers: Answers
    clusters: int = 0

    def __str__(self) -> str:
        """Say it as the table does."""
        return self.answers if not self.clusters else f"{self.clusters} clusters of 10, {self.answers}"

    def measured(self, rng: np.random.Generator) -> Iterator[Interval]:
        """Index of satisfaction of each cell."""
        p = ANSWERS[self.answers]
        truth = float(100 * (p @ SCALE - 1) / 9)
        sizes = {"whole": 10 * self.clusters} if self.clusters else {"10": 10, "30": 30, "100": 100, "1,000": 1_000}
        how = _clustered(satisfaction_index) if self.clusters else {}
        found = satisfaction_index(
            _asked(rng, sizes, p, clusters=self.clusters),
            MODEL,
            by="cell",
            weight=None,
            minimum=2,
            resamples=200,
            **how,
        ).table
        for row in found[found["construct"] == "Satisfaction"].itertuples():
            yield f"index, {'clustered' if self.clusters else f'cell of {row.cell}'}", truth, row.low, row.high


@dataclass(frozen=True)
class Waves:
    """Two waves of one population, cells of 30 and 300."""

    answers: Answers

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"two waves, {self.answers}"

    def measured(self, rng: np.random.Generator) -> Iterator[Interval]:
        """Change of the index of satisfaction in each cell."""
        waves = [_asked(rng, {"30": 30, "300": 300}, ANSWERS[self.answers]).assign(wave=w) for w in (1, 2)]
        found = wave_change(
            pd.concat(waves, ignore_index=True), MODEL, by="cell", mix=(), weight=None, resamples=200
        ).table
        for row in found.itertuples():
            yield f"change of index, cell of {row.cell}", 0.0, row.low, row.high


def _clustered(study) -> dict[str, list[str]]:
    return {"clusters": ["point"]} if "clusters" in inspect.signature(study).parameters else {}


def _asked(rng, sizes: dict[str, int], p: np.ndarray, *, clusters: int = 0) -> pd.DataFrame:
    """Respondents whose five answers share a cause (.6), a fifth of which is their cluster's."""
    n = sum(sizes.values())
    common, code = rng.standard_normal((n, 1)), np.arange(n) % max(clusters, 1)
    if clusters:
        common = np.sqrt(0.2) * rng.standard_normal((clusters, 1))[code] + np.sqrt(0.8) * common
    latent = np.sqrt(0.6) * common + np.sqrt(0.4) * rng.standard_normal((n, 5))
    answers = 1.0 + np.searchsorted(stats.norm.ppf(np.cumsum(p)[:-1]), latent)
    table = pd.DataFrame(answers, columns=list(MODEL.items))
    return table.assign(cell=np.repeat(list(sizes), list(sizes.values())), point=code)


WORLDS = [
    *(Cell(a, n, u) for a in ANSWERS for n in (10, 30, 100, 1_000) for u in (False, True)),
    *(Part(a, s, n) for a in ("usual", "70% at 10") for s, n in ((5, 300), (31, 6), (31, 60))),
    *(Part(a, s, n) for a in ("half at 10", "70% at 10") for s, n in ((5, 40), (31, 12))),
    *(Cell(a, n, False) for a in ANSWERS for n in (15, 20)),
    *(Clusters(a, c, n) for a in ("usual", "70% at 10") for c, n in ((12, 20), (40, 10), (200, 5))),
    *(Cases(c, n, h) for c, n in ((20, 20), (100, 5), (400, 2)) for h in (0.02, 0.05, 0.2)),
    *(Index(a) for a in ("light", "usual", "half at 10", "70% at 10")),
    Index("usual", clusters=40),
    *(Waves(a) for a in ("usual", "70% at 10")),
]


def measured(world: Cell | Part | Clusters | Cases | Index | Waves, seed: int) -> Iterator[Interval]:
    """One sample of a world."""
    yield from world.measured(np.random.default_rng([seed, 11]))
