"""Does the engine recover a population it cannot see, and do its intervals cover as often as they say?"""

import numpy as np
import pandas as pd
import pytest

from workbench.methods.plspm import Construct, PathModel, bootstrap_pls, fit_pls
from workbench.studies.satisfaction import operator_gaps, satisfaction_index

NAMES = ("Image", "Quality", "Value", "Satisfaction", "Loyalty")
PATHS = {
    "Quality": ("Image",),
    "Value": ("Quality",),
    "Satisfaction": ("Image", "Quality", "Value"),
    "Loyalty": ("Image", "Satisfaction"),
}
STRUCTURE = {
    "Quality": {"Image": 0.6},
    "Value": {"Quality": 0.5},
    "Satisfaction": {"Image": 0.2, "Quality": 0.45, "Value": 0.3},
    "Loyalty": {"Image": 0.3, "Satisfaction": 0.5},
}
ITEMS, LOADING, LEVEL, SPREAD = 3, 0.85, 70.0, 5.0
MODEL = PathModel([Construct(c, [f"{c}{i}" for i in range(ITEMS)], low=0, high=100 + LEVEL) for c in NAMES], PATHS)
INDEX = 100 * LEVEL / (100 + LEVEL)


def factor_correlations() -> pd.DataFrame:
    """Correlations that the structure implies, target by target."""
    phi = pd.DataFrame(np.eye(len(NAMES)), NAMES, NAMES)
    for place, target in enumerate(NAMES[1:], 1):
        for other in NAMES[:place]:
            value = sum(b * phi.loc[source, other] for source, b in STRUCTURE[target].items())
            phi.loc[target, other] = phi.loc[other, target] = value
    return phi


def true_paths() -> dict[tuple[str, str], float]:
    """Population paths of PLS: items of a block are exchangeable, so outer weights are equal and the mean of
    ITEMS items correlates q with its factor; scores correlate q^2 times their factors."""
    q = ITEMS * LOADING / np.sqrt(ITEMS + ITEMS * (ITEMS - 1) * LOADING**2)
    score = factor_correlations() * q**2 + np.eye(len(NAMES)) * (1 - q**2)
    found = {}
    for target, sources in PATHS.items():
        sources = list(sources)
        values = np.linalg.solve(score.loc[sources, sources], score.loc[sources, target])
        found |= {(source, target): value for source, value in zip(sources, values, strict=True)}
    return found


def survey(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw n respondents of one population, split between two operators."""
    factor = rng.multivariate_normal(np.zeros(len(NAMES)), factor_correlations(), n)
    noise = rng.normal(size=(n, len(NAMES) * ITEMS))
    items = LOADING * np.repeat(factor, ITEMS, axis=1) + np.sqrt(1 - LOADING**2) * noise
    table = pd.DataFrame(LEVEL + SPREAD * items, columns=list(MODEL.items))
    return table.assign(operator=np.resize(["A", "B"], n), service="mobile", weight=1.0)


def run(surveys: int, resamples: int, n: int = 300) -> pd.DataFrame:
    """Share of surveys in which intervals cover the truth and the test errs, with its Monte Carlo error."""
    truth, covered, errors, wrong = true_paths(), [], [], []
    for seed in range(surveys):
        table = survey(n, np.random.default_rng([7, seed]))
        paths = bootstrap_pls(table, MODEL, resamples=resamples, interval="percentile", rng=seed).table
        paths = paths[paths["quantity"] == "path"]
        aim = np.array([truth[tuple(name.split("->"))] for name in paths["name"]])
        covered.append((paths["low"] <= aim) & (aim <= paths["high"]))
        errors.append((paths["estimate"] - aim) / paths["se"])
        index = satisfaction_index(table, MODEL, resamples=resamples, rng=seed)
        inside = (index.table["low"] <= INDEX) & (index.table["high"] >= INDEX)
        gaps = operator_gaps(index).table
        wrong.append((inside[index.table["construct"] == "Satisfaction"].mean(), (gaps["p"] < 0.05).mean()))
    covered, (inside, erred) = np.array(covered, float), np.array(wrong).T
    rows = [(f"path {name}", share) for name, share in zip(paths["name"], covered.mean(axis=0), strict=True)]
    rows += [("all paths", covered.mean()), ("index", inside.mean()), ("gap test errs", erred.mean())]
    out = pd.DataFrame(rows, columns=["quantity", "share"])
    out["monte_carlo_error"] = np.sqrt(out["share"] * (1 - out["share"]) / surveys)
    out.attrs["z"] = np.mean(errors, axis=0) * np.sqrt(surveys)
    return out


def test_paths_of_a_large_survey_are_the_population_s():
    """With 40,000 respondents every path is within four standard errors of its closed form."""
    table = survey(40_000, np.random.default_rng(1))
    found = bootstrap_pls(table, MODEL, resamples=64, interval="normal").table
    found = found[found["quantity"] == "path"]
    truth = np.array([true_paths()[tuple(name.split("->"))] for name in found["name"]])
    assert (np.abs(found["estimate"] - truth) < 4 * found["se"]).all()
    assert found["se"].max() < 0.01


def test_equal_items_get_equal_weights():
    """Exchangeable items: outer weights of a large survey differ by noise only."""
    fit = fit_pls(survey(40_000, np.random.default_rng(2)), MODEL)
    assert fit.weights.groupby(level=0).agg(np.ptp).max() < 0.02
    assert np.allclose(fit.index, INDEX, atol=0.1)


def test_intervals_cover_in_a_few_surveys():
    """A cheap version of the coverage proof: within four Monte Carlo errors of what is claimed."""
    table = run(surveys=30, resamples=200).set_index("quantity")["share"]
    assert 0.95 - 4 * np.sqrt(0.95 * 0.05 / 30) < table["all paths"] <= 1
    assert 0.95 - 4 * np.sqrt(0.95 * 0.05 / 30) < table["index"] <= 1
    assert table["gap test errs"] < 0.05 + 4 * np.sqrt(0.95 * 0.05 / 30)


@pytest.mark.prove
def test_intervals_cover_as_often_as_they_say(capsys):
    """Over 1,000 surveys 95 % intervals of paths and index cover 93.5-96.5 %, and the gap test errs in 5 %."""
    table = run(surveys=1000, resamples=999)
    with capsys.disabled():
        print("\n" + table.to_string(index=False, float_format="{:.4f}".format))
    share = table.set_index("quantity")["share"]
    assert 0.935 <= share["all paths"] <= 0.965
    assert 0.935 <= share["index"] <= 0.965
    assert abs(share["gap test errs"] - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 1000)
