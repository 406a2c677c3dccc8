"""Hillstrom's e-mail experiment gives the published numbers."""

import numpy as np
import pandas as pd
import pytest

from workbench.studies.uplift import (
    average_effect,
    check_campaign,
    effect_groups,
    predict_uplift,
    sample_ratio,
    targeting,
    uplift_curve,
)

COVARIATES = ["recency", "history", "mens", "womens", "newbie", "zip_code", "channel"]
SEGMENTS = {"Womens E-Mail": "e-mail", "No E-Mail": "control"}


@pytest.fixture(scope="module")
def hillstrom(shared_data):
    """All three arms."""
    return pd.read_csv(shared_data / "hillstrom.csv.gz")


@pytest.fixture(scope="module")
def womens(hillstrom):
    """The women's e-mail against none."""
    table = hillstrom[hillstrom["segment"].isin(SEGMENTS)].reset_index(drop=True)
    return table.assign(arm=table["segment"].map(SEGMENTS))


def effect(table, outcome, method="difference"):
    return average_effect(
        table,
        outcome=outcome,
        treatment="arm",
        method=method,
        covariates=() if method == "difference" else COVARIATES,
        target="members",  # Lin's published error is that of these members
    )


@pytest.mark.parametrize(
    ("outcome", "method", "estimate", "se"),
    [
        ("visit", "difference", 0.045233, 0.003234),
        ("visit", "lin", 0.045410, 0.003188),
        ("conversion", "difference", 0.003111, 0.000823),
        ("spend", "difference", 0.424412, 0.130333),
        ("spend", "lin", 0.424659, 0.130224),
    ],
)
def test_published_effects(womens, outcome, method, estimate, se):
    """The closed forms equal the reference to every digit printed."""
    found = effect(womens, outcome, method)
    assert (round(found.estimate, 6), round(found.se, 6)) == (estimate, se)


def test_difference_equals_an_independent_formula(womens):
    """Effect and error equal pandas' means and variances to 1e-9."""
    groups = womens.groupby("arm")["spend"]
    found = effect(womens, "spend")
    assert found.estimate == pytest.approx(groups.mean()["e-mail"] - groups.mean()["control"], rel=1e-9)
    assert found.se == pytest.approx(np.sqrt((groups.var() / groups.size()).sum()), rel=1e-9)


def test_relative_lift_and_adjustment(womens):
    """Visits rise by 42.6% (35.6 to 50.0); adjustment buys 3% of the variance; AIPW agrees to a tenth of an error."""
    found = effect(womens, "visit").relative
    assert [round(100 * v, 1) for v in (found.estimate, found.low, found.high)] == [42.6, 35.6, 50.0]
    assert 1 - effect(womens, "visit", "lin").variance_ratio == pytest.approx(0.03, abs=0.005)
    robust = effect(womens, "visit", "aipw")
    assert robust.estimate == pytest.approx(0.045227, abs=0.00032)
    assert robust.se == pytest.approx(0.003208, rel=0.01)


def test_checks(hillstrom, womens):
    """Three arms of a third each: p = .904; the two arms are comparable."""
    counts = hillstrom["segment"].value_counts()
    assert round(sample_ratio(counts.to_list(), [1 / 3] * 3), 3) == 0.904
    found = check_campaign(womens, treatment="arm", covariates=COVARIATES, expected_share=0.5)
    assert found.comparable and found.largest_difference < 0.0137
    assert (found.n_treated, found.n_control) == (21_387, 21_306)


def test_women_buyers_react_more(womens):
    """Buyers of women's goods +7.31 points (.46), others +1.11 (.44)."""
    for bought, estimate, se in ((1, 7.31, 0.46), (0, 1.11, 0.44)):
        found = effect(womens[womens["womens"] == bought], "visit")
        assert (round(100 * found.estimate, 2), round(100 * found.se, 2)) == (estimate, se)


def test_the_default_learner_ranks_and_calibrates_visits(womens):
    """X with small trees: Qini excess within .5 SE of .00784 and slope in .85-1.15, as a mean over four deals."""
    how, found = {"outcome": "visit", "treatment": "arm"}, []
    for seed in range(4):
        score = predict_uplift(womens, features=COVARIATES, rng=seed, **how)
        curve = uplift_curve(womens, score=score, **how)
        found.append((curve.qini_excess, curve.se, effect_groups(womens, score=score, **how).slope))
    excess, se, slope = np.mean(found, axis=0)
    assert abs(excess - 0.00784) < 0.5 * 0.00103
    assert se == pytest.approx(0.00103, rel=0.15)
    assert 0.85 < slope < 1.15


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.prove) for seed in range(2, 6))])
def test_no_evidence_that_targeting_pays_on_spend(womens, seed):
    """On spend, judged in sequence, no seed shows targeting to beat contacting everybody."""
    how = {"outcome": "spend", "treatment": "arm"}
    score = predict_uplift(womens, features=COVARIATES, validation="sequential", rng=seed, **how).dropna()
    judged = womens.loc[score.index]
    assert uplift_curve(judged, score=score, **how).headline().startswith("No evidence")
    assert "no evidence that the predicted effects differ" in effect_groups(judged, score=score, **how).headline()
    found = targeting(judged, score=score, margin=0.4, contact_cost=0.01, currency="dollar", rng=seed, **how)
    assert found.verdict == "works, contact everybody"
    assert "No evidence that targeting beats contacting everybody" in found.headline()


@pytest.mark.parametrize("seed", [1, pytest.param(3, marks=pytest.mark.prove)])
def test_crossed_folds_carry_no_verdict_on_spend(womens, seed):
    """Crossed scores whose intervals lie above 0 by the luck of their seed are not taken for a finding."""
    how = {"outcome": "spend", "treatment": "arm"}
    score = predict_uplift(womens, features=COVARIATES, rng=seed, **how)
    curve = uplift_curve(womens, score=score, **how)
    assert curve.low > 0 and "crossed folds" in curve.headline() and not list(curve.quantities())
