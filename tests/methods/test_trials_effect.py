"""The average effect: by hand, in properties, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.uplift import average_effect, check_campaign

HOW = {"outcome": "y", "treatment": "t"}
TINY = pd.DataFrame({"t": [1, 1, 1, 0, 0], "y": [4.0, 6.0, 8.0, 1.0, 3.0]})


def campaign(members: int = 400, seed: int = 0) -> pd.DataFrame:
    """A campaign with an effect of 2 on y, covariates with gaps and a rare category, and households of two."""
    rng = np.random.default_rng(seed)
    x, t = rng.normal(size=members), rng.permutation(np.arange(members) < 0.4 * members).astype(int)
    table = pd.DataFrame({"t": t, "y": 1 + 2 * t + 3 * x + rng.normal(size=members), "x": x})
    table["town"] = rng.choice(["A", "B", "C"], members)
    table.loc[0, "town"] = "Z"
    table.loc[rng.random(members) < 0.1, "x"] = np.nan
    table["household"] = np.arange(members) // 2
    return table


def test_difference_by_hand():
    """Means 6 and 2 differ by 4, with variance 4/3 + 2/2."""
    found = average_effect(TINY, **HOW)
    assert found.estimate == pytest.approx(4)
    assert found.se == pytest.approx(np.sqrt(4 / 3 + 2 / 2))
    assert found.relative.estimate == pytest.approx(2)
    assert (found.n_treated, found.n_control) == (3, 2)


def test_clusters_by_hand():
    """Two clusters an arm with means 1, 3 and 5, 9: the variance is that of four cluster means."""
    table = pd.DataFrame({"t": [0, 0, 0, 0, 1, 1, 1, 1], "y": [1, 1, 3, 3, 5, 5, 9, 9], "shop": list("aabbccdd")})
    found = average_effect(table, clusters="shop", **HOW)
    assert found.estimate == pytest.approx(5)
    assert found.se == pytest.approx(np.sqrt(2 / 2 + 8 / 2))


def test_lin_equals_the_interacted_regression():
    """Lin's estimate and HC2 error equal the full regression with the arm times every centred covariate."""
    table = campaign()
    found = average_effect(table, covariates=["x", "town"], method="lin", target="members", **HOW)
    x = table["x"].fillna(table["x"].mean())
    columns = [x, table["x"].isna(), table["town"] == "B", table["town"] == "C"]
    x = np.column_stack(columns).astype(float)
    x -= x.mean(axis=0)
    t, y = table["t"].to_numpy(float), table["y"].to_numpy()
    design = np.column_stack([np.ones(len(y)), t, x, t[:, None] * x])
    inverse = np.linalg.inv(design.T @ design)
    beta = inverse @ design.T @ y
    residual = y - design @ beta
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    meat = design.T @ (design * (residual**2 / (1 - leverage))[:, None])
    assert found.estimate == pytest.approx(beta[1], rel=1e-9)
    assert found.se == pytest.approx(np.sqrt((inverse @ meat @ inverse)[1, 1]), rel=1e-9)
    assert found.variance_ratio < 0.5


def test_covariates_are_a_sample_too():
    """By hand: for customers like these the variance grows by (b₁ − b₀)² var(x) / n, b the slope in an arm."""
    table = campaign(200).dropna()
    table["y"] += 3 * table["t"] * table["x"]
    alone, all_alike = (
        average_effect(table, covariates=["x"], target=target, **HOW) for target in ("members", "population")
    )
    slopes = [np.polyfit(arm["x"], arm["y"], 1)[0] for _, arm in table.groupby("t")]
    added = (slopes[1] - slopes[0]) ** 2 * table["x"].var() / len(table)
    assert all_alike.estimate == alone.estimate
    assert all_alike.se**2 - alone.se**2 == pytest.approx(added, rel=0.02)


@pytest.mark.prove
def test_an_effect_that_grows_with_a_covariate_is_held():
    """1 + 3x: 400 samples of 200, 95% wanted (Monte-Carlo error 1.1); for these members alone about half hold it."""
    rng, held = np.random.default_rng(4), []
    for _ in range(400):
        x, t = rng.normal(size=200), rng.permutation(np.arange(200) % 2)
        table = pd.DataFrame({"x": x, "t": t, "y": t * (1 + 3 * x) + 0.3 * rng.normal(size=200)})
        pair = [average_effect(table, covariates=["x"], target=target, **HOW) for target in ("population", "members")]
        held.append([found.low <= 1 <= found.high for found in pair])
    population, members = np.mean(held, axis=0)
    assert population > 0.92 and members < 0.6


def test_few_buyers_in_control_are_no_finding():
    """0 of 100 against 50 of 9,900: the interval holds 0, and its ends are those of the score interval."""
    table = pd.DataFrame({"t": np.r_[np.ones(9_900, int), np.zeros(100, int)], "y": 0.0})
    table.loc[:49, "y"] = 1
    found = average_effect(table, **HOW)
    assert found.headline().startswith("No evidence")
    assert (found.low, found.high) == pytest.approx((-0.02266, 0.0066), abs=1e-4)
    assert found.p_value > 0.5 and np.isnan(found.relative.low)


def test_a_control_that_bought_by_luck_gives_no_relative_effect():
    """2 of 100 and 48 of 9,900: half an event is expected in control, so the ratio has no ends; with 5 it has some."""
    table = pd.DataFrame({"t": np.r_[np.ones(9_900, int), np.zeros(100, int)], "y": 0.0})
    table.loc[[*range(48), 9_900, 9_901], "y"] = 1
    assert np.isnan(average_effect(table, **HOW).relative.low)
    table.loc[: 48 + 460, "y"] = 1
    assert np.isfinite(average_effect(table, **HOW).relative.low)


def test_a_ratio_of_amounts_needs_twenty_buyers_to_be_expected():
    """1,000 contacted, 100 held out: 19.9 buyers expected in control give the ratio of spends no ends, 20 give it."""
    rng, ends = np.random.default_rng(0), []
    table = pd.DataFrame({"t": np.r_[np.ones(1_000, int), np.zeros(100, int)], "y": 0.0})
    amounts = rng.lognormal(0, 1.2, 220)
    for buyers in (219, 220):
        table.loc[np.r_[5 : buyers - 15, 1_000:1_020], "y"] = amounts[:buyers]
        ends.append(average_effect(table, **HOW).relative)
    assert np.isnan([ends[0].low, ends[0].high]).all() and np.isfinite([ends[1].low, ends[1].high]).all()
    assert ends[0].estimate == pytest.approx(amounts[:199].mean() * 199 / 1000 / (amounts[199:219].mean() / 5) - 1)


@pytest.mark.parametrize("covariates", [[], ["x"]])
@pytest.mark.prove
def test_rare_spend_is_claimed_as_seldom_as_it_should_be(covariates):
    """9,000 contacted, 300 held out, 1% buy, no effect: each side errs about 2.5% (250 campaigns, at most 6%)."""
    rng, sides = np.random.default_rng(3), []
    for _ in range(250):
        x, t = rng.normal(size=9_300), rng.permutation(np.arange(9_300) >= 300).astype(int)
        y = rng.gamma(2, 20, 9_300) * (rng.random(9_300) < 0.01)
        found = average_effect(pd.DataFrame({"x": x, "t": t, "y": y}), covariates=covariates, **HOW)
        sides.append([found.low > 0, found.high < 0])
    assert (np.mean(sides, axis=0) < 0.06).all()


def test_arms_that_nobody_drew_are_no_experiment():
    """Arms that differ in a covariate are no effect, whatever the adjustment, unless checks were made and passed."""
    table = campaign()
    table["x"] = table["x"].fillna(0) + 2 * table["t"]
    found = average_effect(table, covariates=["x"], **HOW)
    assert "not randomised" in found.headline() and list(found.quantities()) == []


@pytest.mark.parametrize("method", ["lin", "aipw"])
def test_poor_trainees_against_a_survey_are_no_effect(method):
    """As with LaLonde's trainees and PSID-1: a gain that looks like a great loss is not called an effect."""
    rng = np.random.default_rng(0)
    t = np.arange(2_675) < 185
    before = np.where(t, rng.gamma(0.5, 3_000, len(t)), rng.gamma(2, 9_500, len(t)))
    age = np.where(t, rng.normal(26, 7, len(t)), rng.normal(35, 10, len(t))).round()
    y = np.maximum(0, 2_000 + 0.9 * before + 1_800 * t + rng.normal(0, 5_000, len(t)))
    table = pd.DataFrame({"t": t.astype(int), "y": y, "x": before, "age": age})
    found = average_effect(table, covariates=["x", "age"], method=method, **HOW)
    assert found.headline().startswith("Not answerable") and "not shown to be the campaign's effect" in found.headline()
    assert list(found.quantities()) == []


def test_doubly_robust_finds_the_effect_with_less_error():
    """AIPW is within three standard errors of the truth, 2, and beats the plain difference."""
    found = average_effect(campaign(2_000), covariates=["x", "town"], method="aipw", **HOW)
    assert abs(found.estimate - 2) < 3 * found.se
    assert found.variance_ratio < 0.7


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(0.1, 100))
@pytest.mark.parametrize("method", ["difference", "lin"])
def test_order_scale_and_labels(method, seed, factor):
    """Row order changes nothing, the outcome's scale scales, and swapped arms flip the sign."""
    table = campaign(60, seed)
    options = {"covariates": ["x"], "method": method} | HOW
    found = average_effect(table, **options)
    shuffled = average_effect(table.sample(frac=1, random_state=seed), **options)
    scaled = average_effect(table.assign(y=factor * table["y"]), **options)
    swapped = average_effect(table.assign(t=1 - table["t"]), **options)
    assert shuffled.estimate == pytest.approx(found.estimate, rel=1e-9)
    assert (scaled.estimate, scaled.se) == pytest.approx((factor * found.estimate, factor * found.se), rel=1e-9)
    assert (swapped.estimate, swapped.se) == pytest.approx((-found.estimate, found.se), rel=1e-9)


def test_members_copied_as_households_change_nothing():
    """Each member listed twice as one household gives the estimate and (nearly) the error of the single list."""
    table = campaign(300).assign(household=np.arange(300))
    twice = pd.concat([table, table], ignore_index=True)
    found, copied = average_effect(table, **HOW), average_effect(twice, clusters="household", **HOW)
    assert copied.estimate == pytest.approx(found.estimate)
    assert copied.se == pytest.approx(found.se, rel=1e-9)


def test_aipw_does_not_depend_on_row_order():
    """The folds follow the members, not the file."""
    table = campaign(300)
    options = {"covariates": ["x", "town"], "method": "aipw"} | HOW
    shuffled = average_effect(table.sample(frac=1, random_state=1), **options)
    assert shuffled.estimate == pytest.approx(average_effect(table, **options).estimate, rel=1e-12)


def test_headline_says_only_what_the_interval_carries():
    """An interval that holds 0 is no evidence; arms that differ are not answerable and give no quantities."""
    quiet = average_effect(campaign(60).assign(y=lambda d: d["household"] % 7), **HOW)
    assert quiet.headline().startswith("No evidence that the campaign changed y")
    assert "raised y by +" in average_effect(campaign(), **HOW).headline()
    table = campaign()
    table["risk"] = table["t"] + np.linspace(0, 1, len(table))
    checks = check_campaign(table, treatment="t", covariates=["risk"])
    refused = average_effect(table, checks=checks, **HOW)
    assert refused.headline().startswith("Not answerable: the arms differ before the campaign")
    assert list(refused.quantities()) == []


def test_quantities_and_picture():
    """The effect is named by campaign and outcome, and the picture says it."""
    table = pd.concat([TINY.assign(y=[1, 1, 0, 0, 0])] * 10, ignore_index=True)
    found = average_effect(table, campaign="spring", **HOW)
    assert next(q.name for q in found.quantities()) == "effect[campaign=spring,outcome=y]"
    assert found.binary and "points" in found.plot().texts[0].get_text()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"t": [1, 1, 1, 1, 1]}, "one arm only"),
        ({"t": [1, np.nan, 1, 0, 0]}, "missing for 1 of 5"),
        ({"t": [1, 2, 1, 0, 0]}, "Keep two arms"),
        ({"y": ["a", "b", "c", "d", "e"]}, "is not numeric"),
        ({"y": [1, np.nan, 3, 4, 5]}, "missing or infinite for 1 of 5"),
    ],
)
def test_refused_columns(change, words):
    """A table that cannot be used is refused with what is wrong and how many rows."""
    with pytest.raises(WorkbenchError, match=words):
        average_effect(TINY.assign(**change), **HOW)


def test_other_refusals():
    """A misspelt column, a method without covariates, an unknown method and a single member are refused."""
    with pytest.raises(WorkbenchError, match="Did you mean 'y'"):
        average_effect(TINY, outcome="yy", treatment="t")
    with pytest.raises(WorkbenchError, match="adjusts for covariates"):
        average_effect(TINY, method="lin", **HOW)
    with pytest.raises(WorkbenchError, match="no method 'diff'"):
        average_effect(TINY, method="diff", **HOW)
    with pytest.raises(CannotAnswer, match="single member"):
        average_effect(TINY.iloc[2:4], **HOW)
    with pytest.raises(CannotAnswer, match="same for all"):
        average_effect(TINY.assign(y=1.0), **HOW)
    with pytest.raises(WorkbenchError, match="repeats row labels"):
        average_effect(pd.concat([TINY, TINY]), **HOW)
