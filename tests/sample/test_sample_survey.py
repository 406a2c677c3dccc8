"""Is the survey's truth true? The computed population values against brute simulation and the published levels."""

import io
import json
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.sample import population as everyone
from workbench.sample import survey, write_sample
from workbench.sample.operator import read_operator

MODEL = Path(__file__).resolve().parents[2] / "data/models/tcsi.toml"
PUBLISHED = {
    ("中国电信", "mobile"): 75.1,
    ("中国移动", "mobile"): 78.6,
    ("中国联通", "mobile"): 77.5,
    ("中国电信", "fixed"): 77.7,
    ("中国移动", "fixed"): 78.0,
    ("中国联通", "fixed"): 78.9,
    ("中国电信", "broadband"): 68.3,
    ("中国移动", "broadband"): 69.5,
    ("中国联通", "broadband"): 71.0,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("survey") / "raw"
    write_sample(folder, customers=100, seed=5)
    return folder


@pytest.fixture(scope="module")
def truth(folder) -> dict:
    return json.loads((folder / "truth/satisfaction.json").read_text(encoding="utf-8"))


def test_the_model_is_the_one_in_data_models():
    """Constructs, items and paths are those of data/models/tcsi.toml, in its order."""
    model = tomllib.loads(MODEL.read_text(encoding="utf-8"))
    assert {c["name"]: tuple(c["items"]) for c in model["construct"]} == everyone.CONSTRUCTS
    assert model["paths"] == {target: list(sources) for target, sources in everyone.PATHS.items()}


def test_satisfaction_levels_are_the_published_ones(truth):
    """The index of each operator and service is the published one; a wave later it is 0.2 higher."""
    for years, wave in enumerate(("2025", "2026")):
        index = truth["waves"][wave]["index"]
        assert len(index) == 9 * 8
        for entry in index:
            if entry["construct"] == "Satisfaction":
                level = PUBLISHED[entry["operator"], entry["service"]] + 0.2 * years
                assert entry["value"] == pytest.approx(level, abs=1e-4)


def test_paths_are_positive_and_of_the_size_found_in_the_field(truth):
    """All 15 paths are positive; image shapes expectation by about a half, quality satisfaction by about 0.4."""
    for wave in truth["waves"].values():
        assert len(wave["paths"]) == 15
        assert min(wave["paths"].values()) > 0.05
        assert wave["paths"]["Image->Expectation"] == pytest.approx(0.5, abs=0.1)
        assert wave["paths"]["Quality->Satisfaction"] == pytest.approx(0.4, abs=0.1)


def test_moments_equal_those_of_a_rounded_normal_by_hand():
    """One item, one cell: mean and variance are the sums of the ten answers' normal probabilities."""
    from scipy.stats import norm

    people = everyone.population(read_operator(), "2025")
    means, _, _ = everyone.moments(people)
    edges = np.r_[-np.inf, np.arange(1.5, 10), np.inf]
    chance = np.diff(norm.cdf((edges - people.centre[40, 7]) / people.spread))
    assert means[40, 7] == pytest.approx(chance @ np.arange(1, 11), abs=1e-12)


def test_pls_of_uncorrelated_measurement_error_by_hand():
    """With all items of a construct alike, the paths are regressions among the simple means of the items."""
    among, loading = everyone.construct_correlations(), 0.8
    block = np.repeat(np.arange(8), [len(items) for items in everyone.CONSTRUCTS.values()])
    correlation = loading**2 * among[np.ix_(block, block)]
    np.fill_diagonal(correlation, 1)
    mean = (block[:, None] == np.arange(8)) / np.bincount(block)
    composite = mean.T @ correlation @ mean
    scale = np.sqrt(np.diag(composite))
    composite /= np.outer(scale, scale)
    _, paths = everyone.pls(correlation)
    assert paths["Image->Expectation"] == pytest.approx(composite[0, 1], abs=1e-10)
    expected = np.linalg.solve(composite[1:3, 1:3], composite[1:3, 3])
    assert [paths["Expectation->Value"], paths["Quality->Value"]] == pytest.approx(expected, abs=1e-10)


def test_a_large_simulated_survey_reproduces_the_truth():
    """Paths and indices of 300,000 simulated respondents lie within 4.5 Monte-Carlo errors of the truth."""
    people = everyone.population(read_operator(), "2026")
    truth = everyone.truth(people)
    rng = np.random.default_rng(11)
    estimates, levels = [], []
    own = (people.operator == 0) & (people.service == 0)
    for _ in range(20):
        cell = rng.choice(len(people.share), 15_000, p=people.share)
        answers = survey.answers(people, cell, rng)
        estimates.append(list(everyone.pls(np.corrcoef(answers.T))[1].values()))
        levels.append(100 * (answers[own[cell]][:, 15:18].mean() - 1) / 9)
    error = np.std(estimates, axis=0, ddof=1) / np.sqrt(20)
    score = (np.mean(estimates, axis=0) - list(truth["paths"].values())) / error
    assert np.abs(score).max() < 4.5
    level = next(e["value"] for e in truth["index"] if e["construct"] == "Satisfaction")
    assert abs(np.mean(levels) - level) < 4.5 * np.std(levels, ddof=1) / np.sqrt(20)


def test_the_sample_with_its_weights_estimates_the_truth(folder, truth):
    """From the file, weighted, gaps filled: paths are within 0.06 (5 errors), indices within 4.5 errors."""
    for wave, target in truth["waves"].items():
        table = read_wave(folder, wave)
        weight, answers = table["权重"].to_numpy(float), table[list(everyone.ITEMS)].astype(float)
        answers = answers.mask(answers == survey.NO_ANSWER)
        assert 0.004 < answers.isna().to_numpy().mean() < 0.009
        assert answers.min().min() >= 1 and answers.max().max() <= 10
        filled = answers.fillna(answers.mean()).to_numpy()
        covariance = np.cov(filled.T, aweights=weight)
        deviation = np.sqrt(np.diag(covariance))
        outer, paths = everyone.pls(covariance / np.outer(deviation, deviation))
        for name, value in target["paths"].items():
            assert paths[name] == pytest.approx(value, abs=0.06)
        for entry in target["index"]:
            service = {"mobile": "移动业务", "broadband": "宽带", "fixed": "固话"}[entry["service"]]
            cell = ((table["运营商"] == entry["operator"]) & (table["业务"] == service)).to_numpy()
            at = [everyone.ITEMS.index(item) for item in everyone.CONSTRUCTS[entry["construct"]]]
            u, w = outer[at] / deviation[at], weight[cell]
            score = 100 * (filled[cell][:, at] - 1) @ u / (9 * u.sum())
            level = np.average(score, weights=w)
            error = np.sqrt(np.average((score - level) ** 2, weights=w) * (w**2).sum()) / w.sum()
            assert abs(level - entry["value"]) < 4.5 * error, entry


def read_wave(folder: Path, wave: str) -> pd.DataFrame:
    text = (folder / f"survey/满意度调查_{wave}.csv").read_bytes().decode("gb18030")
    table = pd.read_csv(io.StringIO(text), dtype="str")
    bad = (table["SA1"] == "很好") | table["权重"].isna() | (table["业务"] == "电报")
    return table[~bad].drop_duplicates("问卷编号")


def test_design_covers_every_stratum_and_weights_stand_for_the_lines(folder):
    """Each wave has 12 interviews or more in all 279 strata, some 8,600 in all, and weights add up to all lines."""
    sizes = []
    for wave in everyone.WAVES:
        table = read_wave(folder, wave)
        counts = table.groupby(["运营商", "业务", "省份"]).size()
        assert len(counts) == 279
        assert counts.min() >= 12
        assert table["权重"].astype(float).sum() == pytest.approx(1.75e9, rel=1e-6)
        sizes.append(len(table))
    assert 16_000 < sum(sizes) < 18_000
