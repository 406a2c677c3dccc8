"""Does the formula still hold? Its false alarms are as stated, a moved level and a lost order are told apart."""

import ast
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import binomtest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.churn import ChurnFormula, churn_formula, churn_monitor


def months(rng, n=1_500, count=3, level=-2.0, slope=0.8, first="2026-01-01"):
    """Months of customers who leave by a line."""
    parts = []
    for month in pd.date_range(first, periods=count, freq="MS"):
        x = rng.normal(size=n)
        left = rng.random(n) < expit(level + slope * x)
        parts.append(pd.DataFrame({"customer_id": np.arange(n), "month": month, "x": x, "left": left}))
    return pd.concat(parts, ignore_index=True)


def fitted(rng, **how):
    panel = months(rng, first="2025-01-01", **how)
    return churn_formula(panel, features=["x"], form="straight", segments=0, rival="none")


@pytest.fixture(scope="module")
def formula():
    return fitted(np.random.default_rng(1), count=6, n=4_000)


def test_verdicts(formula):
    """It holds for months like those before, needs a new level after a price war, a new fit where the order is lost."""
    rng = np.random.default_rng(2)
    held, moved, lost = (churn_monitor(formula, months(rng, **how)) for how in ({}, {"level": -1.4}, {"slope": 0.0}))
    assert (held.verdict, moved.verdict, lost.verdict) == ("holds", "level", "order")
    assert held.decision().do[0] != moved.decision().do[0] != lost.decision().do[0]
    table = held.table
    assert ((table["low"] < table["expected"]) & (table["expected"] < table["high"])).all() and len(table) == 3
    assert ((table["auc_low"] < table["auc"]) & (table["auc"] < table["auc_high"])).all()
    assert "false alarm comes in about 5%" in held.headline() and held.listed.empty


def test_by_hand(formula):
    """One month of 400 customers: expected is the sum of probabilities, the band the verdict's (5% over 2)."""
    panel = months(np.random.default_rng(3), n=400, count=1)
    found = churn_monitor(formula, panel).table.iloc[0]
    p = formula.probability(panel)
    variance = (p * (1 - p)).sum()
    assert found["expected"] == pytest.approx(p.sum()) and found["left"] == panel["left"].sum()
    half = 2.241403 * np.sqrt(variance + (variance * formula.level_se) ** 2)
    assert found["high"] == pytest.approx(p.sum() + half, rel=1e-6)


def test_a_departure_in_the_horizon_of_two_months_is_not_two_customers():
    """Who leaves within 2 months of each of 3 starts is counted by customer-month, and the words say so."""
    rng = np.random.default_rng(1)
    two = churn_formula(
        months(rng, count=8, n=4_000, first="2025-01-01"),
        features=["x"],
        horizon=2,
        form="straight",
        segments=0,
        rival="none",
    )
    found = churn_monitor(two, months(rng))
    left = int(found.table["left"].sum())
    assert f": {left} of 4,500 customer-months ended in leaving within 2 months" in found.headline()
    assert "customers left" not in found.headline()
    assert found.tiles()[0].label == "last month's leavers (in brackets: expected)"


def test_shift_of_facts_is_shown_and_judges_nothing(formula):
    """Other customers, the same law: the index is large, the verdict is that it holds."""
    rng = np.random.default_rng(4)
    x = rng.normal(0.8, 1, 3_000)
    left = rng.random(3_000) < expit(-2.0 + 0.8 * x)
    panel = pd.DataFrame({"customer_id": np.arange(3_000), "month": "2026-07", "x": x, "left": left})
    found = churn_monitor(formula, panel)
    assert found.shifts["low"].iloc[0] > 0.25 and found.table["psi"].iloc[0] > 0.25 and found.verdict == "holds"


def test_the_list_over_the_threshold(formula):
    """Most at risk first, with value and reasons; everybody on it reaches the threshold."""
    rng = np.random.default_rng(5)
    now = pd.DataFrame({"customer_id": np.arange(200), "x": rng.normal(size=200), "value": rng.gamma(2, 50, 200)})
    found = churn_monitor(formula, months(rng), now, threshold=0.2, value="value")
    p = formula.probability(now)
    assert len(found.listed) == (p >= 0.2).sum() > 5 and (found.listed["probability"] >= 0.2).all()
    assert found.listed["value_at_risk"].is_monotonic_decreasing
    assert (
        found.listed["reasons"].iloc[0] == "x above the mean"
        and "of 200 customers are at 20.0% or more" in found.headline()
    )
    assert len(churn_monitor(formula, months(rng), now).listed) == 20
    given = now.assign(due=np.where(now["x"] > 0, "gold", "basic"))
    due = churn_monitor(formula, months(rng), given, threshold=0.2, tier="due").listed
    assert due.set_index("customer_id")["due"].equals(given.set_index("customer_id")["due"].loc[due["customer_id"]])


def test_what_is_refused(formula):
    panel = months(np.random.default_rng(6))
    with pytest.raises(CannotAnswer, match="10 are needed"):
        churn_monitor(formula, panel.iloc[:20])
    with pytest.raises(WorkbenchError, match="customer twice"):
        churn_monitor(formula, pd.concat([panel, panel]))
    with pytest.raises(WorkbenchError, match="lacks 'x'"):
        churn_monitor(formula, panel.drop(columns="x"))
    with pytest.raises(WorkbenchError, match="threshold=None, share=0"):
        churn_monitor(formula, panel, share=0)


@pytest.mark.prove
def test_false_alarms_are_as_stated():
    """In 400 worlds in which the formula holds at most 5 % of looks end otherwise, with the calibration's own error."""
    rng, alarms = np.random.default_rng(7), 0
    for _ in range(400):
        world = fitted(rng, count=4, n=2_000)
        alarms += churn_monitor(world, months(rng, count=4)).verdict != "holds"
    assert binomtest(alarms, 400, 0.05, alternative="greater").pvalue > 0.01 and alarms > 0


def test_a_month_outside_its_band_is_a_formula_that_fails(formula):
    """What the first screen shows and what it says agree, whatever is drawn."""
    seen = set()
    for seed in range(40):
        found = churn_monitor(formula, months(np.random.default_rng(seed), n=600, count=3, level=-2 - 0.02 * seed))
        outside = ((found.table["left"] < found.table["low"]) | (found.table["left"] > found.table["high"])).any()
        assert not outside or found.verdict != "holds"
        seen.add(bool(outside))
    assert seen == {True, False}


def test_a_month_that_the_formula_knows_is_refused(formula, tmp_path):
    """Fitted and calibrated to January to May 2025, tested on June: that and later may be looked at; a file says so."""
    rng = np.random.default_rng(8)
    again = ChurnFormula.load(formula.save(tmp_path / "formula.toml"))
    assert formula.fitted == again.fitted == ("2025-01", "2025-05")
    for how in (formula, again):
        with pytest.raises(CannotAnswer, match="knows 2025-05, as it was fitted and calibrated to 2025-01 to 2025-05"):
            churn_monitor(how, months(rng, first="2025-05-01"))
        assert churn_monitor(how, months(rng, first="2025-06-01")).verdict == "holds"


def test_customers_are_refused_in_a_sentence(formula):
    """Nobody, somebody twice, and months as numbers."""
    panel = months(np.random.default_rng(9))
    now = panel[panel["month"] == "2026-03-01"]
    with pytest.raises(WorkbenchError, match="customers is empty"):
        churn_monitor(formula, panel, now.iloc[:0])
    with pytest.raises(WorkbenchError, match="a customer twice"):
        churn_monitor(formula, panel, pd.concat([now, now.iloc[:1]]))
    number = panel.assign(month=panel["month"].dt.strftime("%Y%m").astype(int))
    for refused in (
        lambda: churn_monitor(formula, number),
        lambda: churn_formula(number, features=["x"], rival="none"),
    ):
        with pytest.raises(WorkbenchError, match="'month' holds numbers like 202601"):
            refused()


def test_reasons_are_said_in_the_language_of_the_page(formula):
    panel = months(np.random.default_rng(10))
    listed = churn_monitor(formula, panel, panel[panel["month"] == "2026-03-01"], threshold=0.2).listed
    assert listed["reasons"].iloc[0] == "x above the mean" and listed["reasons"].iloc[0].said("zh") == "x高于均值"


def test_months_that_are_not_over_and_days_within_a_month_are_refused(formula):
    """A month in which nobody left of many has not ended; a day within a month is no month start."""
    later = months(np.random.default_rng(8))
    last = later["month"].max()
    with pytest.raises(CannotAnswer, match=r"nobody left in 2026-03, and 197 were to be expected"):
        churn_monitor(formula, later.assign(left=later["left"] & (later["month"] < last)))
    with pytest.raises(WorkbenchError, match="2026-01-08 is no month start"):
        churn_monitor(formula, later.assign(month=later["month"] + pd.Timedelta(days=7)))
    with pytest.raises(WorkbenchError, match="'customer_id' has a name"):
        churn_formula(later, features=["x", "customer_id"])


def test_the_list_of_the_report_says_the_tier():
    """Who calls must know what the customer is due: the notebook gives the tiers that the study of tiers finds."""
    text = (Path(__file__).parents[2] / "notebooks/churn.ipynb").read_text("utf-8")
    code = ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    call = next(cell for cell in code if "ask(churn_monitor" in cell)
    calls = [one for one in ast.walk(ast.parse(call)) if isinstance(one, ast.Call)]
    assert {"value", "tier"} <= {key.arg for one in calls for key in one.keywords}
