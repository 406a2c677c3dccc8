"""The effect on the treated, not randomised: by hand, against a reference program and the truth, and refused."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.experiment import Trees
from workbench.methods.resampling import one_thread
from workbench.studies.observational.adjustment import _doubly_robust, adjusted, balanced, odds_weights, who
from workbench.studies.observational.sensitivity import confounding_odds, largest_bias, robustness_value
from workbench.studies.observational.treated import effect_on_treated
from workbench.warehouse import campaign_arms, open_warehouse

HOW = {"outcome": "y", "treatment": "t", "covariates": ["bill", "use", "town"]}


def campaign(members: int, seed: int, *, steep: float = 0.7, hidden: float = 0.0) -> pd.DataFrame:
    """Contact depends on bill and use, bent; so does the outcome; `tau` is the effect, `before` an earlier outcome."""
    rng = np.random.default_rng([11, seed])
    bill, use = rng.standard_normal((2, members))
    town, secret = rng.choice(["A", "B", "C"], members), rng.standard_normal(members)
    drive = steep * (bill + np.sin(1.5 * use) - 0.4 * (use**2 - 1)) + 0.4 * (town == "B") + hidden * secret - 0.4
    t = rng.random(members) < expit(drive)
    level = np.exp(0.4 * bill) + np.sin(1.5 * use) + 0.4 * use**2 + (town == "B") + hidden * secret
    tau = 0.3 + 0.3 * bill
    y, before = (level + rng.standard_normal(members) for _ in range(2))
    columns = {"bill": bill, "use": use, "town": town, "before": before, "t": t, "tau": tau, "y": y + t * tau}
    return pd.DataFrame(columns)


def test_the_estimate_by_hand():
    """Treated 5 and 7 against controls 1, 2 and 4 weighted 1:1:2 by their odds, nothing expected: 6 − 11/4."""
    treated, chance = np.array([1, 1, 0, 0, 0], bool), np.array([0.5, 0.5, 0.5, 0.5, 2 / 3])
    y, nothing = np.array([5.0, 7.0, 1.0, 2.0, 4.0]), np.zeros(5)
    estimate, variance = _doubly_robust(
        y, treated, treated | True, odds_weights(chance, treated, treated | True), nothing, None
    )
    assert estimate == pytest.approx(6 - 11 / 4)
    spread = 2 * 0.5**2 + (1.75 / 4) ** 2 + (0.75 / 4) ** 2 + (1.25 / 2) ** 2
    assert variance == pytest.approx(spread * 5 / 4)


def test_balanced_weights_by_hand():
    """Of controls at 0 and 1 with odds 3:1, the tilt to a treated mean of 1/2 makes them equal, but for the ridge."""
    column = np.repeat([0.0, 1.0, 0.5], 1_000)[:, None]
    start, target = np.repeat([3.0, 1.0, 0.0], 1_000), np.repeat([False, False, True], 1_000)
    weight = balanced(start / start.sum(), column, target)
    assert weight @ column[:, 0] == pytest.approx(0.5, abs=0.001) and weight.sum() == pytest.approx(1)
    assert np.ptp(weight[:1_000]) == np.ptp(weight[1_000:2_000]) == 0 and not weight[2_000:].any()


def test_estimate_and_robustness_as_in_doubleml():
    """DoubleML 0.11.4 (ATTE, same nuisances) gives 0.33437 (0.10222) normalised and a robustness value of 0.15176664.

    It normalises the chances, we the odds: the same but for a hundredth of a standard error.
    """
    rng = np.random.default_rng(5)
    x = np.round(rng.standard_normal((400, 2)), 3)
    chance = expit(0.5 * x[:, 0])
    t = rng.random(400) < 1 / (1 + np.exp(-0.5 * x[:, 0]))
    y = np.round(x[:, 0] + t * 0.5 + rng.standard_normal(400), 3)
    estimate, variance = _doubly_robust(y, t, t | True, odds_weights(chance, t, t | True), x[:, 0], None)
    assert estimate == pytest.approx(0.33437372, abs=0.01 * 0.102)
    assert np.sqrt(variance) == pytest.approx(0.10221698, rel=0.005)
    assert robustness_value(0.3333512, np.sqrt(0.97205267 * 4.20998513)) == pytest.approx(0.15176664, rel=1e-5)


def test_the_bias_bound_meets_its_robustness_value():
    """A trait of exactly the robustness value in both shares makes a bias of exactly the estimate."""
    share = robustness_value(2.0, 3.0)
    assert largest_bias(3.0, share, share) == pytest.approx(2.0)
    residual, weight = np.array([3.0, -1.0, 0.5, 2.0]), np.array([0.1, 0.4, 0.3, 0.2])
    factor = confounding_odds(residual, weight, 1.0)
    worst = max(  # every way to multiply each weight by the factor or its inverse
        np.average(residual, weights=weight * factor ** np.array(sign))
        for sign in np.ndindex(2, 2, 2, 2)
        for sign in [2 * np.array(sign) - 1]
    )
    assert worst - np.average(residual, weights=weight) == pytest.approx(1.0)


def test_selection_is_undone_and_named():
    """The plain difference is far off, the adjusted effect within three errors of the truth, in all three voices."""
    table = campaign(3_000, 1)
    found = effect_on_treated(table, **HOW, placebo="before", draws=1)
    truth, arm = table["tau"][table["t"] & found.inside].mean(), table["t"]
    assert abs(table["y"][arm].mean() - table["y"][~arm].mean() - truth) > 5 * found.se
    assert abs(found.estimate - truth) < 3 * found.se
    assert not found.doubts and "as good as random among members alike" in found.headline()
    assert found.balance["before"].abs().max() > 0.3 > 0.1 > found.balance["after"].abs().max()
    assert found.placebo["low"][0] < 0 < found.placebo["high"][0]
    assert "would have to explain" in found.sensitivity.headline()
    assert {q.name for q in found.quantities()} >= {"effect_on_treated[outcome=y]", "overlap_share[outcome=y]"}
    assert found.plot().get_xlabel() and found.sensitivity.plot().get_xlabel()
    assert len(found.summary()) == 7 and len(found.sensitivity.summary()) == 3


def test_row_order_changes_nothing_and_the_seed_little():
    """Shuffled rows give the same numbers; another seed moves the estimate by less than half of its error."""
    table = campaign(1_000, 2)
    first, again, other = (
        effect_on_treated(rows, **HOW, rng=seed)
        for rows, seed in ((table, 0), (table.sample(frac=1, random_state=3), 0), (table, 7))
    )
    assert (again.estimate, again.se) == pytest.approx((first.estimate, first.se), rel=1e-9)
    assert abs(other.estimate - first.estimate) < first.se / 2


def exclusive(members: int, seed: int, jump: float = 1.2) -> pd.DataFrame:
    """Contact and outcome jump where exactly one of bill and use is high; the effect is 0.3."""
    rng = np.random.default_rng([77, seed])
    bill, use = rng.standard_normal((2, members))
    which = np.sign(bill * use)
    t = rng.random(members) < expit(jump * which - 0.3)
    y = 1.5 * which + 0.3 * t + rng.standard_normal(members)
    return pd.DataFrame({"bill": bill, "use": use, "town": rng.choice(["A", "B"], members), "t": t, "y": y})


def test_selection_by_an_exclusive_or_is_found():
    """Where neither covariate alone tells anything, their interplay enters, and the effect is near the truth."""
    found = effect_on_treated(exclusive(2_500, 1), **HOW, draws=1)
    assert abs(found.estimate - 0.3) < 3 * found.se < 0.3 and not found.doubts


def test_an_interplay_that_stays_unmodelled_is_named(monkeypatch):
    """Where neither products nor trees enter the models, the answer is refused, naming both covariates."""
    monkeypatch.setattr("workbench.studies.observational.adjustment.PASSES", 0)
    monkeypatch.setattr("workbench.studies.observational.adjustment.TREES", Trees(leaves=2, rounds=1))
    said = effect_on_treated(exclusive(2_500, 1), **HOW, draws=1).headline()
    assert "Not answerable" in said and "how bill and use come together" in said


def test_members_of_a_household_count_once():
    """Each member listed twice as a household of two has the error of the members listed once."""
    table = campaign(1_200, 4).assign(home=lambda d: d.index)
    twice = pd.concat([table, table], ignore_index=True)
    how = {"draws": 1, "folds": 5, "most_likely": 0.9, "rng": 0, "trees": False}
    y, t = (twice[c].to_numpy() for c in "yt")
    pairs = adjusted(twice, HOW["covariates"], y, t, group=twice["home"].to_numpy(), **how)
    once = adjusted(table, HOW["covariates"], y[:1_200], t[:1_200], group=None, **how)
    assert pairs.variance == pytest.approx(once.variance, rel=0.1)


def test_a_rule_without_overlap_is_refused_and_said_in_words():
    """Where contact is a threshold of the bill, nobody is comparable, and the refusal names the bill."""
    table = campaign(2_000, 5)
    table["t"] = table["bill"] > 0.2
    try:
        said = effect_on_treated(table, **HOW, draws=1).headline()
    except CannotAnswer as refusal:
        said = str(refusal)
    assert "of the contacted have comparable controls" in said and "bill over" in said and "ot answerable" in said


def test_a_hidden_cause_is_betrayed_by_the_placebo():
    """A trait outside the covariates that drives contact and outcomes shows an effect on the outcome before."""
    found = effect_on_treated(campaign(3_000, 6, hidden=1.0), **HOW, placebo="before", draws=1)
    assert "contact seems to have changed 'before'" in found.headline() and not list(found.quantities())


def test_poor_trainees_against_a_survey_are_refused():
    """As with LaLonde's trainees and PSID-1: with little overlap and few similar controls no effect is claimed."""
    rng, t = np.random.default_rng(0), np.arange(2_675) < 185
    before = np.where(t, rng.gamma(0.5, 3_000, len(t)), rng.gamma(2, 9_500, len(t)))
    y = np.maximum(0, 2_000 + 0.9 * before + 1_800 * t + rng.normal(0, 5_000, len(t)))
    table = pd.DataFrame({"t": t, "y": y, "before": before, "age": np.where(t, 26, 35) + rng.integers(-7, 8, len(t))})
    try:
        found = effect_on_treated(table, outcome="y", treatment="t", covariates=["before", "age"], draws=1)
    except CannotAnswer as refusal:
        assert "not answerable" in str(refusal)
    else:
        assert found.headline().startswith("Not answerable") and "is not the effect" in found.headline()
        assert list(found.quantities()) == []


def test_few_effective_controls_are_refused():
    """With 60 controls the answer is refused whatever the interval says."""
    table = campaign(2_500, 7)
    table = pd.concat([table[table["t"]], table[~table["t"]].head(60)])
    assert any("100 are needed" in doubt for doubt in effect_on_treated(table, **HOW, draws=1).doubts)


def test_what_is_refused():
    """No covariates, the outcome among them, and an outcome without variation are refused with the reason."""
    table = campaign(300, 8)
    with pytest.raises(WorkbenchError, match="covariates is empty"):
        effect_on_treated(table, outcome="y", treatment="t", covariates=[])
    with pytest.raises(WorkbenchError, match="came after the contact"):
        effect_on_treated(table, outcome="y", treatment="t", covariates=["y"])
    with pytest.raises(CannotAnswer, match="the same for all"):
        effect_on_treated(table.assign(y=1.0), **HOW)


@pytest.mark.parametrize("outcome", ["responded", "revenue"])
def test_the_call_chosen_by_risk_is_recovered(operator, outcome):
    """On the sample operator's call by risk score, the effect on the called is within three errors of the truth."""
    arms = campaign_arms(open_warehouse("sample", root=operator), "retention_call", arm="treatment", as_of="2026-07-01")
    truth = pd.read_parquet(operator / "data/raw/sample/truth/campaign_members.parquet")
    truth = truth[truth["campaign_id"] == "retention_call"].set_index("customer_id")[f"effect_{outcome}"]
    members = arms.members
    how = {"outcome": outcome, "treatment": "treatment", "covariates": arms.covariates}
    found = effect_on_treated(members, **how, placebo="arpu_before", draws=1)
    expected = members["customer_id"].map(truth)[found.inside & (members["treatment"] == 1)].mean()
    assert not found.doubts and abs(found.estimate - expected) < 3 * found.se


def holds(runs: int, members: int = 2_500) -> float:
    """Share of runs whose interval holds the truth."""
    held = []
    for run in range(runs):
        table = campaign(members, 100 + run)
        y, t = table["y"].to_numpy(), table["t"].to_numpy()
        how = {"group": None, "draws": 1, "folds": 5, "most_likely": 0.9, "rng": run, "trees": True}
        with one_thread():
            found = adjusted(table, HOW["covariates"], y, t, **how)
        truth = 0.3 + 0.3 * table["bill"][t & found.inside].mean()
        held.append(abs(found.estimate - truth) < 1.96 * np.sqrt(found.variance))
    return float(np.mean(held))


@pytest.mark.prove
def test_coverage_over_four_hundred_campaigns():
    """Under moderate, bent confounding the interval covers within three standard errors of 95% of 400 campaigns."""
    found = holds(400)
    print(f"\neffect on the treated, interval holds the truth: {found:.3f}")
    assert abs(found - 0.95) <= 3 * np.sqrt(0.95 * 0.05 / 400)


@pytest.mark.prove
def test_refusals_follow_the_overlap():
    """Of 40 campaigns each: hardly any refused under moderate selection, all under a near-rule."""
    rates = {
        steep: np.mean(
            [bool(effect_on_treated(campaign(2_500, s, steep=steep), **HOW, draws=1).doubts) for s in range(40)]
        )
        for steep in (0.7, 8.0)
    }
    print(f"\nrefused, by strength of selection: {rates}")
    assert rates[0.7] <= 0.1 and rates[8.0] >= 0.9


def test_who_are_outside_is_told_from_ten_of_a_kind_on():
    """Seven of 300 have no comparable controls: their number is no cell to show."""
    members = pd.DataFrame({"town": ["A"] * 300 + ["B"] * 300})
    said = [str(who(members, ["town"], np.ones(600, bool), np.arange(600) < many)) for many in (0, 7, 40)]
    assert said == ["", "groups of fewer than 10", "town is A (40 of 300)"]
