"""Does the satisfaction study recover the sample operator's known population within its stated uncertainty?"""

import json

import numpy as np
import pandas as pd
import pytest

from workbench.studies.satisfaction import (
    PathModel,
    importance_performance,
    operator_gaps,
    path_effects,
    satisfaction_index,
)
from workbench.warehouse import open_warehouse

STRATA = ("operator", "service", "province")


@pytest.fixture(scope="module")
def model(operator):
    """The telecom model."""
    return PathModel.from_toml(operator / "data/models/tcsi.toml")


@pytest.fixture(scope="module", params=["2025", "2026"])
def wave(request, operator):
    """The interviews of one wave as the warehouse gives them, and the population values."""
    truth = json.loads((operator / "data/raw/sample/truth/satisfaction.json").read_text(encoding="utf-8"))
    assert truth["scheme"] == "path"
    return open_warehouse("sample", root=operator).survey(request.param), truth["waves"][request.param]


def z_scores(table: pd.DataFrame, column: str, truth: pd.Series) -> pd.Series:
    """(estimate - truth) / standard error, one a row."""
    aim = truth.reindex(table.index)
    assert aim.notna().all()
    return (table[column] - aim) / table["se"]


def within_noise(z: pd.Series) -> None:
    """No error beyond 4.5 standard errors, and not more spread than standard errors say (correlated ones included)."""
    assert z.abs().max() < 4.5
    assert np.sqrt((z**2).mean()) < 1.6


def test_paths_recover_the_population(wave, model):
    """Every path lies within its stated error of the population's, and the intervals cover most of them."""
    survey, truth = wave
    table = path_effects(survey, model, by=STRATA, resamples=400).summary()
    table = table[table["quantity"] == "path"].set_index("name")
    aim = pd.Series(truth["paths"])
    assert set(table.index) == set(aim.index)
    within_noise(z_scores(table, "estimate", aim))
    assert ((table["low"] <= aim) & (aim <= table["high"])).mean() >= 0.75


def test_indices_recover_the_population(wave, model):
    """Every index of every operator and service lies within its stated error of the population's."""
    survey, truth = wave
    index = satisfaction_index(survey, model, resamples=400)
    keys = ["operator", "service", "construct"]
    aim = pd.DataFrame(truth["index"]).set_index(keys)["value"]
    table = index.table.set_index(keys)
    assert len(index.suppressed) == 0 and len(table) == len(aim) == 72
    within_noise(z_scores(table, "index", aim))
    aim = aim.reindex(table.index)
    assert ((table["low"] <= aim) & (aim <= table["high"])).mean() >= 0.85
    gaps = operator_gaps(index).table
    true_gap = [
        aim[row.operator, row.service, "Satisfaction"] - aim[row.against, row.service, "Satisfaction"]
        for row in gaps.itertuples()
    ]
    assert (np.abs(gaps["gap"] - true_gap) < 4.5 * gaps["se"]).all()


def test_priorities_are_the_drivers_of_satisfaction(wave, model):
    """Priorities are drivers of satisfaction only, each with an interval around it."""
    survey, _ = wave
    found = importance_performance(path_effects(survey, model, by=STRATA, resamples=200))
    assert set(found.table["construct"]) == {"Image", "Expectation", "Quality", "Value", "Equity"}
    assert found.table["potential"].is_monotonic_decreasing
