"""What contacting likely leavers brings: published numbers, by hand, and what two lists share."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from workbench.errors import WorkbenchError
from workbench.studies.churn import churn_formula, churn_profit

FEW = {"resamples": 20}


@pytest.fixture(scope="module")
def ibm(shared_data):
    """IBM's customers with the in-sample probabilities of the logit of six facts."""
    table = pd.read_csv(shared_data / "ibm_telco_churn.csv.gz").rename(columns={"customerID": "customer_id"})
    flags = {"one": ("Contract", "One year"), "two": ("Contract", "Two year")}
    flags |= {"fibre": ("InternetService", "Fiber optic"), "echeck": ("PaymentMethod", "Electronic check")}
    table = table.assign(left=table["Churn"] == "Yes", **{k: (table[c] == v) * 1 for k, (c, v) in flags.items()})
    facts = ["tenure", "MonthlyCharges", *flags]
    fitted = churn_formula(table, features=facts, month=None, form="straight", segments=0, rival="none")
    return table.assign(probability=fitted.probability(table), clv=12 * table["MonthlyCharges"])


def test_expected_maximum_profit(ibm):
    """empulse and EMP-PY: lifetime value 200, incentive 10, contact 1, Beta(6, 14)."""
    found = churn_profit(ibm, 200.0, left="left", **FEW)
    assert found.profit == pytest.approx(10.115904335334, abs=1e-12)
    assert found.fixed == pytest.approx(9.930427374698, abs=1e-12)
    assert [found.share, found.fixed_share] == pytest.approx([0.52208, 0.55445], abs=5e-6)
    assert found.profit_interval[0] < found.profit < found.profit_interval[1]
    assert "assumed, not measured" in found.headline()


def test_own_worth(ibm):
    """empulse EMPB: twelve charges each, incentive 5 %, contact 15, acceptance .3."""
    found = churn_profit(ibm, "clv", left="left", incentive_share=0.05, contact=15, acceptance=0.3, **FEW)
    assert found.profit == pytest.approx(40.896042, abs=1e-6) and found.share == pytest.approx(0.41857, abs=5e-6)


SCORES = pd.DataFrame({"probability": [0.9, 0.6, 0.6, 0.2], "left": [1, 1, 0, 0]})


def test_by_hand():
    """Contacting one: .5 x 90 - 1; three: .5 x 180 - 3 - 10; two is no cut, as the second and third are alike."""
    found = churn_profit(SCORES, 100.0, left="left", acceptance=0.5, **FEW)
    assert (found.profit, found.share) == (pytest.approx(77 / 4), 0.75)
    assert churn_profit(SCORES, 100.0, left="left", acceptance=0.5, capacity=1, **FEW).profit == pytest.approx(44 / 4)
    assert churn_profit(SCORES, 100.0, left="left", acceptance=0.0, **FEW).profit == 0
    nobody = churn_profit(SCORES, 1.0, left="left", **FEW)
    assert nobody.share == 0 and "does not pay" in nobody.headline() and "Contact nobody" in nobody.decision().do[0]


def test_chance_decides_between_equal_scores():
    """Of 200 alike in score, half leavers, the first 100 hold about half: no outcome sorts the list."""
    scores = pd.DataFrame({"probability": 0.5, "left": np.arange(200) % 2})
    curve = churn_profit(scores, 110.0, left="left", acceptance=1.0, incentive=10, contact=0, **FEW).table
    half = curve.loc[curve["customers"] == 100, "profit"].item() * 200
    assert half == pytest.approx(100 * (0.5 * 100 - 0.5 * 10), abs=3 * 110 * np.sqrt(200) / 4)
    assert 0 < half / (100 * 100) < 0.7


def test_mean_over_acceptance_is_exact():
    """Against a fine sum over the Beta law of the best cut of each acceptance."""
    rng = np.random.default_rng(1)
    scores = pd.DataFrame({"probability": rng.beta(1, 4, 500)})
    scores["left"] = rng.random(500) < scores["probability"]
    found = churn_profit(scores, 60.0, left="left", acceptance=(2.0, 5.0), **FEW)
    rows = scores.sort_values("probability", ascending=False)
    gain, spent = (np.append(0, np.cumsum(v)) for v in (rows["left"] * 50.0, 1 + ~rows["left"] * 10.0))
    at = (np.arange(4_000) + 0.5) / 4_000
    best = (at[:, None] * gain - spent).max(axis=1) / 500
    assert found.profit == pytest.approx(best @ beta.pdf(at, 2, 5) / 4_000, rel=1e-5)


def test_probabilities_stand_for_departures_not_yet_known():
    """Without `left` a calibrated list brings in the mean what the known one does."""
    rng = np.random.default_rng(2)
    scores = pd.DataFrame({"probability": rng.beta(1, 4, 20_000)})
    scores["left"] = rng.random(20_000) < scores["probability"]
    ahead, known = churn_profit(scores, 60.0, **FEW), churn_profit(scores, 60.0, left="left", **FEW)
    assert ahead.profit == pytest.approx(
        known.profit, abs=3 * (known.profit_interval[1] - known.profit_interval[0]) / 4
    )


def test_two_lists():
    """Those likeliest to leave and those whom contact keeps are other customers: it says how many both lists hold."""
    scores = pd.DataFrame({"probability": [0.9, 0.8, 0.3, 0.2], "effect": [0.0, 0.3, 0.4, -0.1]})
    scores = pd.concat([scores] * 10)
    found = churn_profit(scores, 100.0, effect="effect", capacity=20, acceptance=0.5, incentive=0, **FEW)
    assert found.lists["shared"].tolist() == [0.5, 0.5] and found.lists["net"].isna().all()
    assert "flatters the list that it chose" in found.headline() and "effect x margin" not in found.decision().do[0]


def contacted(seed, keeps, n=4_000):
    """Half contacted by lot, which keeps a leaver of the second kind with chance `keeps`; the effect has noise."""
    rng = np.random.default_rng(seed)
    second, lot = rng.random(n) < 0.5, rng.random(n) < 0.5
    p = np.where(second, 0.3, rng.uniform(0.4, 0.5, n))
    left = (rng.random(n) < p) & ~(lot & second & (rng.random(n) < keeps))
    effect = 0.3 * keeps * second + rng.normal(0, 0.1, n)
    return pd.DataFrame({"probability": p, "left": left, "effect": effect, "lot": lot}), 0.3 * keeps * second


HOW = {"left": "left", "effect": "effect", "contacted": "lot", "acceptance": 0.3, "incentive": 0, "capacity": 1_000}


def test_an_effect_of_nothing_gains_nothing():
    """Chosen by noise of .1 around no effect, the list of 1,000 would promise about 13,000; it loses 1 a contact."""
    held = []
    for seed in range(20):
        table, _ = contacted(seed, 0.0)
        found = churn_profit(table, 100.0, **HOW, **FEW)
        row = found.lists.iloc[1]
        held.append(row["low"] <= -1_000 <= row["high"])
        assert "highest effect" not in found.decision().do[0]
        assert table["effect"].nlargest(1_000).mean() > 0.1
    assert sum(held) >= 17


def test_an_effect_is_valued_by_those_contacted_by_lot():
    """The list by effect holds those whom contact keeps: what it brought covers the truth, and it is advised."""
    table, truth = contacted(2, 0.8)
    found = churn_profit(table, 100.0, **HOW, **FEW)
    row = found.lists.iloc[1]
    chosen = np.argsort(-table["effect"].to_numpy(), kind="stable")[:1_000]
    assert row["low"] < 100 * truth[chosen].sum() - 1_000 < row["high"] and row["low"] > 0
    assert "where chance contacted, it brought" in found.headline()
    assert "effect x margin" in found.decision().do[0]
    with pytest.raises(WorkbenchError, match="give left= and effect= too"):
        churn_profit(table, 100.0, contacted="lot", effect="effect")


def test_what_is_refused():
    for how in (
        {"contact": -1},
        {"acceptance": 1.5},
        {"acceptance": (0.0, 1.0)},
        {"acceptance": (6.0, 14.0, 1.0)},
        {"capacity": 0},
        {"resamples": 0},
    ):
        with pytest.raises(WorkbenchError, match="give"):
            churn_profit(SCORES, 100.0, **how)
    with pytest.raises(WorkbenchError, match="probabilities from 0 to 1"):
        churn_profit(SCORES.assign(probability=2.0), 100.0)
    with pytest.raises(WorkbenchError, match="lacks 'worth'"):
        churn_profit(SCORES, "worth")


def scored(rng, n, signal):
    """Scores that order leavers, or chance; a tenth leaves."""
    p = rng.uniform(0, 0.2, n)
    return pd.DataFrame({"probability": p, "left": rng.random(n) < (p if signal else 0.1)})


def test_noise_is_no_advice():
    """Scores by chance, where a contact loses .21: the best cut looks good in most worlds, held out in at most 5 %."""
    how = {"left": "left", "acceptance": 0.3, "incentive": 0, "contact": 10.5, "resamples": 2}
    worlds = [churn_profit(scored(np.random.default_rng(s), 300, False), 343.0, **how) for s in range(40)]
    assert sum("Contact nobody" not in found.decision().do[0] for found in worlds) <= 2
    assert np.mean([found.profit > 0 for found in worlds]) > 0.7  # the winner's curse
    assert abs(np.mean([found.held_out for found in worlds])) < 0.5
    assert all("not shown to pay" in w.headline() for w in worlds if w.held_out < 0 < w.profit)
    found = churn_profit(scored(np.random.default_rng(1), 2_000, True), 343.0, **how)
    assert 0 < found.held_out_interval[0] < found.held_out < found.profit and "spare some" in found.decision().do[0]


def test_advice_does_not_hang_on_row_order():
    scores = scored(np.random.default_rng(3), 500, True).round(2)
    one, other = (churn_profit(t, 343.0, left="left", **FEW) for t in (scores, scores.sample(frac=1, random_state=1)))
    assert one.held_out == other.held_out and one.held_out_interval == other.held_out_interval


def test_no_list_where_nobody_is_contacted():
    scores = pd.DataFrame({"probability": np.linspace(0.01, 0.02, 50), "effect": 0.0})
    found = churn_profit(scores, 10.0, effect="effect", contact=5.0, **FEW)
    assert found.share == 0 and found.lists.empty and "by the measured effect" not in found.headline().lower()


@pytest.mark.parametrize(
    "wrong",
    [
        {"incentive": np.nan},
        {"contact": np.inf},
        {"incentive_share": np.nan},
        {"margin": np.nan},
        {"acceptance": np.nan},
        {"acceptance": (np.inf, 3.0)},
        {"effect": "points"},
    ],
)
def test_what_is_no_cost_or_effect_is_refused(wrong):
    """Never a nan in a sentence; an effect in percent is none in points of probability."""
    table = pd.DataFrame({"probability": [0.1, 0.4, 0.7, 0.2], "points": [5.0, -3.0, 10.0, 2.0]})
    with pytest.raises(WorkbenchError, match="effects from -1 to 1"):
        churn_profit(table, **({"margin": 20.0} | wrong), **FEW)


def test_what_chance_contacted_brought_by_hand():
    """200 likeliest, half contacted: 40% stay and take 2 of 20, less the contact of 1; 10% of the others stay: 840."""
    k = 200
    table = pd.DataFrame(
        {
            "probability": [0.8] * k + [0.1] * k,
            "effect": 0.2,
            "left": [1] * 60 + [0] * 40 + [1] * 90 + [0] * 10 + [0] * k,
            "lot": [1] * 100 + [0] * 100 + [0, 1] * (k // 2),
        }
    )
    asked = {"left": "left", "effect": "effect", "contacted": "lot", "incentive": 2.0, "contact": 1.0}
    found = churn_profit(table, 20.0, **asked, acceptance=np.array([0.5]), **FEW)
    assert found.lists["net"].tolist() == pytest.approx([200 * ((0.4 * 18 - 1) - 0.1 * 20)] * 2)
    assert found.share == 0.5 and found.fixed == pytest.approx(0.5 * (0.5 * 0.8 * 18 - 1 - 0.2 * 2))
