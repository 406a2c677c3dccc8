"""Do intervals of cells, parts and clusters of a survey hold the truth as often as they say? Slow proof; `make prove`."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from workbench.methods.survey import Design
from workbench.studies.satisfaction import Construct, PathModel, satisfaction_index, wave_change
from workbench.studies.voice import service_shortfalls
from workbench.studies.voice.shortfalls import ServiceStandard

SCALE = np.arange(1.0, 11)
ENDS = (1, 10)


def normal(mean: float, sd: float) -> np.ndarray:
    """Shares of the answers 1 to 10 of a rounded and cut normal."""
    return np.diff(stats.norm.cdf(np.r_[-np.inf, np.arange(1.5, 10), np.inf], mean, sd))


ANSWERS = {
    "light": normal(5.5, 1.5),
    "usual": normal(7.8, 2.0),
    "half at 10": np.array([0.01, 0.01, 0.01, 0.02, 0.04, 0.05, 0.06, 0.12, 0.18, 0.5]),
    "70% at 10": np.array([0.01, 0.005, 0.005, 0.01, 0.02, 0.02, 0.03, 0.08, 0.12, 0.7]),
    "85% at 10": np.array([0.005, 0.005, 0, 0.005, 0.015, 0.01, 0.01, 0.04, 0.06, 0.85]),
}


def said(world: str, held: np.ndarray) -> float:
    """Print how many per cent held, with its Monte Carlo error."""
    share = float(np.mean(held))
    print(f"| {world} | {100 * share:.1f} | {100 * np.sqrt(share * (1 - share) / len(held)):.1f} |")
    return share


@pytest.mark.prove
@pytest.mark.parametrize("weights", ["even", "uneven"])
@pytest.mark.parametrize("size", [10, 30, 100, 1000])
@pytest.mark.parametrize("answers", ANSWERS)
def test_means_and_shares_of_a_cell(answers, size, weights):
    """Mean answer, top two and net share of 2,000 cells; more often where most answer alike and few are asked."""
    rng, p = np.random.default_rng(5), ANSWERS[answers]
    net = np.where(SCALE >= 9, 100.0, np.where(SCALE <= 6, -100.0, 0.0))
    truth = p @ SCALE, 100 * p[8:].sum(), p @ net
    held = np.zeros((2_000, 3), bool)
    for k in range(len(held)):
        y = rng.choice(SCALE, size, p=p)
        design = Design.of(np.exp((weights == "uneven") * 0.6 * rng.standard_normal(size)))
        found = (
            design.mean(y).interval("mean", 0.95, ENDS),
            design.mean(100.0 * (y >= 9)).interval("top", 0.95),
            design.mean(net[y.astype(int) - 1]).interval("net", 0.95),
        )
        held[k] = [low <= aim <= high for (low, high), aim in zip(found, truth, strict=True)]
    for kind, column in zip(("mean", "top two", "net"), held.T, strict=True):
        assert said(f"{kind}, {answers}, cell of {size}, {weights} weights", column) > 0.935 - 0.012


@pytest.mark.prove
@pytest.mark.parametrize("strata, each", [(5, 300), (31, 6), (31, 60)])
@pytest.mark.parametrize("answers", ["usual", "70% at 10"])
def test_a_part_across_strata(strata, each, answers):
    """A tenth of the respondents, spread over strata of different levels."""
    rng, p = np.random.default_rng(6), ANSWERS[answers]
    level = np.linspace(-2, 0, strata)
    stratum = np.repeat(np.arange(strata), each)
    truth = np.mean([np.clip(SCALE + shift, 1, 10) @ p for shift in level])
    held = []
    for _ in range(2_000):
        y = np.clip(rng.choice(SCALE, strata * each, p=p) + level[stratum], 1, 10)
        rows = np.flatnonzero(rng.random(len(y)) < 0.1)
        if len(rows) > 1:
            low, high = Design.of(np.ones(len(y)), stratum).mean(y, rows).interval("mean", 0.95, ENDS)
            held.append(low <= truth <= high)
    # Of 19 answers whose low tail is rare the tail itself is often unseen: no method that sees only them can hold more.
    least = 0.89 if (answers, each) == ("70% at 10", 6) else 0.935 - 0.012
    assert said(f"part of a tenth, {strata} strata of {each}, {answers}", np.array(held)) > least


@pytest.mark.prove
@pytest.mark.parametrize("clusters, each", [(12, 20), (40, 10), (200, 5)])
@pytest.mark.parametrize("answers", ["usual", "70% at 10"])
def test_clusters(clusters, each, answers):
    """Points of interview whose respondents are alike (correlation .1)."""
    rng, cut = np.random.default_rng(7), stats.norm.ppf(np.cumsum(ANSWERS[answers])[:-1])
    truth, held = ANSWERS[answers] @ SCALE, []
    code = np.repeat(np.arange(clusters), each)
    for _ in range(2_000):
        latent = np.sqrt(0.1) * rng.standard_normal(clusters)[code] + np.sqrt(0.9) * rng.standard_normal(len(code))
        y = 1.0 + np.searchsorted(cut, latent)
        low, high = Design.of(np.ones(len(y)), cluster=code).mean(y).interval("mean", 0.95, ENDS)
        held.append(low <= truth <= high)
    assert said(f"mean, {answers}, {clusters} clusters of {each}", np.array(held)) > 0.935 - 0.012


@pytest.mark.prove
@pytest.mark.parametrize("hit", [0.02, 0.05, 0.2])
@pytest.mark.parametrize("customers, each", [(20, 20), (100, 5), (400, 2)])
def test_shares_of_cases_that_come_by_customer(customers, each, hit):
    """All cases of a customer are late, or none."""
    rng, held = np.random.default_rng(8), []
    standard = [ServiceStandard("fast", "contact", "contacted_at", "wait_s", {}, at_most=20)]
    tickets = pd.DataFrame({"customer_id": [], "opened_at": pd.to_datetime([])})
    cases = pd.DataFrame({"customer_id": np.repeat(np.arange(customers), each), "contacted_at": pd.Timestamp("2026-01-05")})
    for _ in range(800):
        late = np.repeat(rng.random(customers) < hit, each)
        found = service_shortfalls(cases.assign(wait_s=np.where(late, 60, 5)), tickets, as_of="2026-02-01", standards=standard)
        held.append(found.table["low"].iloc[0] <= 100 * hit <= found.table["high"].iloc[0])
    assert said(f"late cases, {customers} customers of {each}, {hit:.0%} hit", np.array(held)) > 0.935 - 0.016


MODEL = PathModel(
    [Construct("Quality", ["q1", "q2"]), Construct("Satisfaction", ["s1", "s2", "s3"])], {"Satisfaction": ["Quality"]}
)
SIZES = {"a": 10, "b": 30, "c": 100, "d": 1000}


def asked(rng, sizes: dict[str, int], p: np.ndarray, *, clusters: int = 0) -> pd.DataFrame:
    """Respondents whose five answers share a cause; with clusters, also a tenth of it with their cluster."""
    cut, n = stats.norm.ppf(np.cumsum(p)[:-1]), sum(sizes.values())
    common = rng.standard_normal((n, 1))
    code = np.arange(n) % max(clusters, 1)
    if clusters:
        common = np.sqrt(0.2) * rng.standard_normal((clusters, 1))[code] + np.sqrt(0.8) * common
    latent = np.sqrt(0.6) * common + np.sqrt(0.4) * rng.standard_normal((n, 5))
    table = pd.DataFrame(1.0 + np.searchsorted(cut, latent), columns=list(MODEL.items))
    return table.assign(operator=np.repeat(list(sizes), list(sizes.values())), point=code)


@pytest.mark.prove
@pytest.mark.parametrize("answers", ["light", "usual", "half at 10", "70% at 10"])
def test_the_index_of_a_cell(answers):
    """All items have one distribution, so the true index is that of an answer, whatever the weights: 600 surveys."""
    rng, p = np.random.default_rng(9), ANSWERS[answers]
    truth, held = 100 * (p @ SCALE - 1) / 9, []
    for seed in range(600):
        table = satisfaction_index(
            asked(rng, SIZES, p), MODEL, by="operator", weight=None, minimum=10, resamples=300, rng=seed
        ).table
        rows = table[table["construct"] == "Satisfaction"]
        held.append(((rows["low"] <= truth) & (truth <= rows["high"])).to_numpy())
    for size, column in zip(SIZES.values(), np.array(held).T, strict=True):
        assert said(f"index, {answers}, cell of {size}", column) > 0.935 - 0.03


@pytest.mark.prove
def test_the_index_of_a_clustered_survey():
    """Forty points of interview: whole points are resampled."""
    rng, p = np.random.default_rng(10), ANSWERS["usual"]
    truth, held = 100 * (p @ SCALE - 1) / 9, []
    for seed in range(600):
        table = asked(rng, {"a": 400}, p, clusters=40)
        found = satisfaction_index(table, MODEL, by=(), weight=None, clusters=["point"], resamples=300, rng=seed).table
        row = found[found["construct"] == "Satisfaction"].iloc[0]
        held.append(row["low"] <= truth <= row["high"])
    assert said("index, usual, 40 clusters of 10", np.array(held)) > 0.935 - 0.03


@pytest.mark.prove
@pytest.mark.parametrize("answers", ["usual", "70% at 10"])
def test_no_change_between_waves_is_told_as_none(answers):
    """Two waves of one population, cells of 30 and 300: movements called larger than noise are at most 5%."""
    rng, claims, held = np.random.default_rng(11), [], []
    for seed in range(400):
        waves = [asked(rng, {"b": 30, "d": 300}, ANSWERS[answers]).assign(wave=w) for w in (1, 2)]
        table = wave_change(
            pd.concat(waves, ignore_index=True), MODEL, by="operator", mix=(), weight=None, resamples=200, rng=seed
        ).table
        held.append(((table["low"] <= 0) & (0 <= table["high"])).to_numpy())
        claims.append(table["larger_than_noise"].any())
    for size, column in zip((30, 300), np.array(held).T, strict=True):
        assert said(f"change of index, {answers}, cells of {size}", column) > 0.935 - 0.035
    print(f"false movements (Holm): {100 * np.mean(claims):.1f}%")
    assert np.mean(claims) < 0.05 + 0.033
