"""Path models of few respondents: paths, loadings and indices of five constructs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.methods.plspm import bootstrap_pls, fit_pls

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "methods"))
from test_plspm_simulation import MODEL, survey

RUNS = 200
NAMES = {"path": "path Value->Satisfaction", "loading": "loading", "index": "index of a construct", "r2": "R2"}
ROWS = {
    "path": "Value->Satisfaction",
    "loading": "Satisfaction:Satisfaction0",
    "index": "Satisfaction",
    "r2": "Satisfaction",
}


@dataclass(frozen=True)
class Respondents:
    """So many, who answer by five factors."""

    count: int
    interval: str

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"{self.count} respondents, {self.interval}"


@cache
def truths() -> pd.Series:
    """Estimates of 300,000 respondents."""
    return fit_pls(survey(300_000, np.random.default_rng(1)), MODEL).estimates


WORLDS = [Respondents(n, how) for n in (20, 30, 50, 100) for how in ("percentile", "bca")]


def measured(world: Respondents, seed: int) -> Iterator[tuple[str, float, float, float]]:
    """One survey: a path among three to its target, a loading, an index and R2 (which few respondents do not have)."""
    table = survey(world.count, np.random.default_rng([world.count, 50_000 + seed]))
    found = bootstrap_pls(table, MODEL, resamples=400, interval=world.interval, rng=seed).table
    rows = found.set_index(["quantity", "name"])
    for kind, name in ROWS.items():
        yield NAMES[kind], truths()[kind, name], *rows.loc[(kind, name), ["low", "high"]]
