"""Plans of campaigns: closed forms by hand and against another program, what history teaches, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from statsmodels.stats.power import NormalIndPower

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.experiment.design import Spread, past_spread, plan_campaign, required_size

Z = norm.ppf(0.975) + norm.ppf(0.8)
FREE = {"members": 10_000, "wanted": 2.0}


def history(customers: int = 6_000, seed: int = 0) -> pd.DataFrame:
    """Revenue of which x explains half, in shops of 10 whose members have correlation 0.2 given x."""
    rng = np.random.default_rng(seed)
    shop = np.arange(customers) // 10
    table = pd.DataFrame({"shop": shop, "x": rng.normal(size=customers)})
    noise = np.sqrt(0.2) * rng.normal(size=shop.max() + 1)[shop] + np.sqrt(0.8) * rng.normal(size=customers)
    return table.assign(y=50 + 10 * table["x"] + 10 * noise, bought=(rng.random(customers) < 0.03).astype(int))


def test_detectable_effect_by_hand():
    """Detectable effects follow (z + z) sqrt(s1^2/n1 + s0^2/n0), times what adjustment leaves and clusters add."""
    found = plan_campaign(spread=Spread(50, 30, r2=0.36, design_effect=4), holdouts=[0.1], **FREE).table.iloc[0]
    assert found["detectable"] == pytest.approx(Z * 30 * np.sqrt(1 / 9_000 + 1 / 1_000) * 0.8 * 2, rel=1e-12)
    assert found["relative"] == pytest.approx(found["detectable"] / 50)


def test_a_share_rises_with_its_own_spread():
    """The contacted spread as their higher share does, the limit as one share of both arms (Fleiss)."""
    found = plan_campaign(spread=Spread(0.02, 0.14, kind="share"), holdouts=[0.3], members=5_000, wanted=0.01)
    effect = found.table["detectable"].iloc[0]
    treated, control = (0.02 + effect) * (0.98 - effect) / 3_500, 0.02 * 0.98 / 1_500
    one = 0.02 + 0.7 * effect
    limit = norm.isf(0.025) * np.sqrt(one * (1 - one) * (1 / 3_500 + 1 / 1_500))
    assert effect == pytest.approx(limit + norm.ppf(0.8) * np.sqrt(treated + control), rel=1e-10)


def test_a_small_skewed_control_arm_needs_a_larger_effect():
    """By hand: 400 held out of 4,000, skewness 3: the difference's is −.13, which adds .13 errors to the 2.80."""
    found = plan_campaign(spread=Spread(10, 20, skew=3.0), holdouts=[0.1], members=4_000, wanted=5.0, expected_effect=4)
    se = 20 * np.sqrt(1 / 3_600 + 1 / 400)
    skew = 3 * 20**3 * (1 / 3_600**2 - 1 / 400**2) / se**3
    z, reach = norm.isf(0.025), norm.ppf(0.8)
    row = found.table.iloc[0]
    assert skew == pytest.approx(-0.1265, abs=1e-4)
    assert row["detectable"] == pytest.approx(se * (z + reach - skew * (z**2 - reach**2) / 3), rel=1e-10)
    assert norm.sf(z - 4 / se) - 0.05 < row["power_at_expected"] < norm.sf(z - 4 / se)


def test_a_count_spreads_in_proportion_to_its_mean():
    """Whole numbers of a past period are a count: the contacted vary as much more as their mean is higher."""
    past = past_spread(pd.DataFrame({"y": [0, 1, 2, 3] * 50}), outcome="y")
    assert past.kind == "count"
    effect = plan_campaign(spread=past, members=200, holdouts=[0.5], wanted=1).table["detectable"].iloc[0]
    assert effect == pytest.approx(Z * past.sd * np.sqrt((1 + effect / 1.5) / 100 + 1 / 100), rel=1e-10)


@pytest.mark.parametrize(("share", "effect"), [(0.5, 0.1), (0.1, 0.25), (0.3, 0.05)])
def test_size_and_power_equal_statsmodels(share, effect):
    """Sizes and powers of two arms equal those of statsmodels' normal test; sizes to whole members."""
    test = {"alpha": 0.025, "ratio": (1 - share) / share, "alternative": "larger"}
    control = NormalIndPower().solve_power(effect_size=effect, power=0.8, **test)
    assert required_size(effect, spread=Spread(0, 1), control_share=share) == pytest.approx(control / share, abs=1.01)
    plan = plan_campaign(spread=Spread(0, 1), members=2_000, holdouts=[share], contact_cost=effect, expected_effect=0.2)
    power = [NormalIndPower().power(e, nobs1=2_000 * share, **test) for e in (effect, 0.2)]
    assert plan.table[["power_at_break_even", "power_at_expected"]].iloc[0].tolist() == pytest.approx(power)


def test_money_by_hand():
    """Contact 2 and incentive 10 for a fifth, at margin 0.5, break even at 8; holding out 1,000 foregoes 1,000 yuan."""
    plan = plan_campaign(
        spread=Spread(50, 30),
        members=10_000,
        holdouts=[0.1],
        margin=0.5,
        contact_cost=2,
        incentive_cost=10,
        redemption=0.2,
        expected_effect=10,
    )
    row = plan.table.iloc[0]
    assert (row["break_even"], row["holdout_cost"]) == (8, 1_000)
    assert row["worth_in_all"] == pytest.approx(0.5 * row["detectable"] * 9_000)
    assert "it costs 1,000 yuan" in plan.headline()
    assert row["power_to_show_profit"] < row["power_at_break_even"] < row["power_at_expected"]


def test_history_teaches_adjustment_and_clusters():
    """Half the variance explained and a correlation of 0.2 in shops of 10 are found; strata explain too."""
    found = past_spread(history(), outcome="y", covariates=["x"], clusters="shop")
    assert found.r2 == pytest.approx(0.5, abs=0.03)
    assert found.icc == pytest.approx(0.2, abs=0.04)
    assert found.design_effect == pytest.approx(1 + 9 * found.icc)
    table = history().assign(half=lambda d: np.where(d["x"] > 0, "high", "low"))
    assert past_spread(table, outcome="y", covariates=["half"]).r2 == pytest.approx(0.5 * 2 / np.pi, abs=0.03)
    drawn, adjusted = (
        plan_campaign(table, outcome="y", contact_cost=1.2, **{by: ["half"]}) for by in ("strata", "covariates")
    )
    pd.testing.assert_frame_equal(drawn.table, adjusted.table)
    strict = plan_campaign(table, outcome="y", contact_cost=1.2, covariates=["half"], level=0.99).table["detectable"]
    assert (strict > adjusted.table["detectable"]).all()


@pytest.mark.prove
def test_interval_of_the_detectable_effect_covers():
    """Over 150 histories of a skewed outcome the interval holds the true detectable effect in 95%, within 3 errors."""
    rng, held = np.random.default_rng(5), []
    truth = Z * 2 * np.sqrt(2 / 5_000)
    for _ in range(150):
        table = pd.DataFrame({"y": rng.gamma(4, 1, 1_500)})
        row = plan_campaign(table, outcome="y", holdouts=[0.5], **FREE).table.iloc[0]
        held.append(row["low"] <= truth <= row["high"])
    assert abs(np.mean(held) - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 150)


def test_recommends_the_smallest_that_will_do():
    """The recommended holdout detects what is wanted and the next smaller does not; more arms need more."""
    plan = plan_campaign(history(), outcome="y", covariates=["x"], contact_cost=1.2, unit="yuan", campaign="may")
    enough = plan.table[plan.table["detectable"] <= 1.2]
    assert plan.recommended == enough["holdout"].min()
    assert plan.headline().startswith(f"Hold out {plan.recommended:.0%}")
    assert next(q.name for q in plan.quantities()) == "holdout_share[campaign=may]"
    two = plan_campaign(history(), outcome="y", covariates=["x"], contact_cost=1.2, arms={"sms": 1, "call": 2})
    assert not two.recommended <= plan.recommended
    assert two.table.groupby("arm")["members"].sum().pipe(lambda n: n["call"] / n["sms"]) == pytest.approx(2, rel=0.01)
    assert len(plan.plot().lines) >= 2


def test_too_few_members_are_not_answerable():
    """Where no holdout will do, the headline says how many members would."""
    plan = plan_campaign(history(), outcome="bought", members=300, wanted=0.002)
    assert plan.headline().startswith("Not answerable with 300 members") and f"{plan.needed:,}" in plan.headline()
    assert list(plan.quantities()) == []
    size = plan_campaign(history(), outcome="bought", members=plan.needed, wanted=0.002, holdouts=[0.5])
    assert size.table["detectable"].iloc[0] == pytest.approx(0.002, rel=1e-3)


def test_refusals():
    """Nothing wanted, no history, shares that are none, unknown arms and outcomes that do not vary are refused."""
    how = {"spread": Spread(50, 30), "members": 1_000}
    with pytest.raises(WorkbenchError, match="no effect is wanted"):
        plan_campaign(**how)
    with pytest.raises(WorkbenchError, match="either history="):
        plan_campaign(members=10)
    with pytest.raises(WorkbenchError, match=r"a holdout of 1\.2"):
        plan_campaign(wanted=1, holdouts=[1.2], **how)
    with pytest.raises(WorkbenchError, match="Did you mean 'sms'"):
        plan_campaign(arms={"sms": 1}, contact_cost={"smss": 1.0}, **how)
    with pytest.raises(WorkbenchError, match="margin must be above 0"):
        plan_campaign(margin=0, wanted=1, **how)
    with pytest.raises(WorkbenchError, match="'control' is holdouts="):
        plan_campaign(arms={"control": 1}, wanted=1, **how)
    with pytest.raises(CannotAnswer, match="do not tell how it varies"):
        plan_campaign(history().assign(y=1.0), outcome="y", wanted=1)
    with pytest.raises(WorkbenchError, match="cannot size"):
        required_size(0, spread=Spread(0, 1))
