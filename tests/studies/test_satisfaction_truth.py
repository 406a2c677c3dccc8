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

sample = pytest.importorskip("workbench.warehouse.sample", reason="skipped: the sample operator is not here")
STRATA = ("operator", "service", "province")
NAMES = {"问卷编号": "response_id", "运营商": "operator", "省份": "province", "业务": "service", "权重": "weight"}
SERVICES = {"移动业务": "mobile", "宽带": "broadband", "固话": "fixed"}


@pytest.fixture(scope="module")
def model(request):
    """The telecom model."""
    return PathModel.from_toml(request.config.rootpath / "data/models/tcsi.toml")


@pytest.fixture(scope="module")
def extracts(tmp_path_factory):
    """Raw extracts and truth of a small sample operator; the survey has its full size."""
    folder = tmp_path_factory.mktemp("sample") / "raw"
    sample.write_sample(folder, customers=300, seed=11)
    return folder


@pytest.fixture(scope="module", params=["2025", "2026"])
def wave(request, extracts, model):
    """Usable answers of one wave (bad rows left out, 99 = no answer), and its population values."""
    file = next(extracts.glob(f"survey/*{request.param}.csv"))
    raw = pd.read_csv(file, encoding="gb18030", dtype=str).rename(columns=NAMES).drop_duplicates("response_id")
    survey = raw.assign(service=raw["service"].map(SERVICES))
    numeric = ["weight", *model.items]
    survey[numeric] = survey[numeric].apply(pd.to_numeric, errors="coerce")
    survey = survey[
        survey["weight"].notna() & survey["service"].notna() & ~raw[list(model.items)].eq("很好").any(axis=1)
    ]
    survey[list(model.items)] = survey[list(model.items)].replace(99, np.nan)
    truth = json.loads((extracts / "truth/satisfaction.json").read_text(encoding="utf-8"))
    assert truth["scheme"] == "path"
    return survey, truth["waves"][request.param]


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
