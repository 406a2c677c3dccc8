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
    found = churn_profit(scores, 100.0, effect="effect", capacity=2, acceptance=0.5, incentive=0, **FEW)
    assert found.lists["net"].tolist() == pytest.approx([28.0, 68.0]) and found.lists["shared"].tolist() == [0.5, 0.5]
    assert "instead of 28" in found.headline() and "effect x margin" in found.decision().do[0]


def test_what_is_refused():
    for how in (
        {"contact": -1},
        {"acceptance": 1.5},
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
