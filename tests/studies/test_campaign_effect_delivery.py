"""Where contacts did not arrive: against two-stage least squares and a published trial, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.experiment.means import ratio_set
from workbench.studies.campaign_effect.arms import ArmEffects, arm_effects
from workbench.studies.campaign_effect.delivery import complier_effect

HOW = {"outcome": "y", "treatment": "t", "delivered": "d"}


def campaign(members: int = 2_000, reach: float = 0.6, seed: int = 0, other: float = 0.0) -> pd.DataFrame:
    """Contact reaches `reach` of the treated (and `other` of all), more often those with large y; it adds 3 to y."""
    rng = np.random.default_rng(seed)
    x, t = rng.normal(size=members), rng.permutation(np.arange(members) % 2)
    ease = rng.random(members) + 0.1 * np.tanh(x)
    d = np.where(t == 1, ease < reach, ease < other).astype(int)
    return pd.DataFrame({"t": t, "d": d, "x": x, "y": 10 + 2 * x + 3 * d + rng.normal(size=members)})


def test_ratio_and_errors_equal_two_stage_least_squares():
    """Without covariates the estimate and its error are those of 2SLS with the variance of each arm by itself."""
    table = campaign(other=0.2)
    found = complier_effect(table, **HOW)
    y, d, t = (table[c].to_numpy(float) for c in "ydt")
    z, x = np.column_stack([np.ones(len(y)), t]), np.column_stack([np.ones(len(y)), d])
    beta = np.linalg.solve(z.T @ x, z.T @ y)
    u = y - x @ beta
    variance = sum(u[t == k].var(ddof=1) / (t == k).sum() for k in (0, 1))
    assert found.estimate == pytest.approx(beta[1], rel=1e-9)
    assert found.se == pytest.approx(np.sqrt(variance) / abs(d[t == 1].mean() - d[t == 0].mean()), rel=1e-7)
    assert not found.one_sided and "only because of being in control" in found.assumptions


def test_vitamin_a_trial():
    """Sommer and Zeger (1991): 2.6 deaths in 1,000 fewer by assignment, 3.2 fewer in those who got the capsules."""
    deaths = [(1, 1, 9_675, 12), (1, 0, 2_419, 34), (0, 0, 11_588, 74)]
    rows = [np.repeat([[t, d, 1], [t, d, 0]], [dead, count - dead], axis=0) for t, d, count, dead in deaths]
    found = complier_effect(pd.DataFrame(np.vstack(rows), columns=["t", "d", "y"]), **HOW)
    assert (round(found.by_assignment.estimate, 4), round(found.estimate, 4)) == (-0.0026, -0.0032)
    assert found.delivery.estimate == pytest.approx(0.8, abs=1e-4) and found.one_sided
    assert found.headline().startswith("A delivered contact lowered y: −0.323 points")


def test_covariates_sharpen_and_the_truth_is_found():
    """The effect of 3 is within three errors, with a smaller error after adjustment; comparing the reached is wrong."""
    table = campaign(8_000)
    plain, adjusted = complier_effect(table, **HOW), complier_effect(table, covariates=["x"], **HOW)
    assert abs(adjusted.estimate - 3) < 3 * adjusted.se and adjusted.se < 0.6 * plain.se
    assert adjusted.low < 3 < adjusted.high
    assert [q.name for q in adjusted.quantities()] == ["complier_effect[outcome=y]", "complier_share"]


def test_full_delivery_is_the_effect_of_assignment():
    """Where every assigned contact arrived the two effects and their intervals are the same."""
    found = complier_effect(campaign().assign(d=lambda table: table["t"]), **HOW)
    both = found.by_assignment
    assert (found.estimate, found.se, found.low, found.high) == pytest.approx(
        (both.estimate, both.se, both.low, both.high)
    )


def test_weak_delivery_has_no_bounds_and_says_so():
    """Where assignment hardly changed delivery the set is unbounded: no number is said or recorded."""
    table = campaign(400, reach=0.31, other=0.3, seed=3)
    found = complier_effect(table, **HOW)
    assert found.first_stage_f < 3.8 and (found.low, found.high, found.outside) == (-np.inf, np.inf, False)
    assert found.headline().startswith("Not answerable: assignment changed delivery")
    assert list(found.quantities()) == []


def test_the_best_of_several_arms_claims_no_more_than_all_arms_together():
    """Five arms without effect: the luckiest is "significant" by itself (p = 0.02), and not as one of five.

    What is said of its delivered contacts follows what is said of all arms.
    """
    rng = np.random.default_rng(22)
    arm = rng.permutation(np.arange(1_200) % 6)
    y, d = rng.normal(10, 1, 1_200), (rng.random(1_200) < 0.7) & (arm > 0)
    table = pd.DataFrame({"arm": np.where(arm == 0, "control", arm.astype(str)), "y": y, "d": d.astype(int)})
    arms = arm_effects(table, outcome="y", arm="arm")
    best = arms.against_control()
    assert best["low"] > 0 > best["low_joint"] and 5 * best["p"] == pytest.approx(best["p_holm"])
    pair = table[table["arm"].isin([best["arm"], "control"])].assign(t=lambda p: (p["arm"] != "control").astype(int))
    alone, together = (complier_effect(pair, level=level, **HOW) for level in (0.95, arms.level_of(best["arm"])))
    assert alone.headline().startswith("A delivered contact raised y")
    assert arms.headline().startswith("No evidence that any of the 5 offers changed y")
    assert together.headline().startswith("No evidence that a delivered contact changed y: +0.315 (−0.022 to 0.663)")
    assert "Both are 99% intervals." in together.headline() and together.estimate == alone.estimate
    both = together.by_assignment
    assert (both.low, both.high) == pytest.approx((best["low_joint"], best["high_joint"]))


def test_where_holm_alone_holds_an_arm_back_its_contacts_are_held_back():
    """By hand: of two arms the joint interval leaves 0 out, Holm's p of 0.052 does not: one in 40 may be wrong."""
    columns = ["arm", "against", "estimate", "low_joint", "high_joint", "p_holm"]
    rows = [("a", "control", 2.0, 0.1, 3.9, 0.052), ("b", "control", 1.0, -1.0, 3.0, 0.3)]
    arms = ArmEffects(pd.DataFrame(rows, columns=columns), "control", 0.95, "y", False, alone=0.973)
    assert (arms.level_of("a"), arms.level_of("b")) == pytest.approx((0.975, 0.973))


def test_the_share_reached_is_said_as_counted():
    """With covariates the share of the effect differs a little from that of the table of arms: both are said then."""
    table = campaign(600)
    found = complier_effect(table, covariates=["x"], **HOW)
    counted = table.groupby("t")["d"].mean().diff().iloc[-1]
    assert found.counted == pytest.approx(counted) and found.delivery.estimate != pytest.approx(counted, abs=5e-4)
    said = f"(of the members: {counted:.1%}, {found.delivery.estimate:.1%} when adjusted like the effect)"
    assert said in found.headline()
    assert f"(of the members: {counted:.1%})" in complier_effect(table, **HOW).headline()


def test_ratio_set_by_hand():
    """Solves (top - r bottom)^2 <= t^2 v; unbounded where the bottom cannot be told from 0."""
    low, high, outside = ratio_set(4, 2, 1, 0, 0, 1)
    assert (low, high, outside) == (1.5, 2.5, False)
    assert ratio_set(0.1, 0.1, 1, 1, 0, 1) == (-np.inf, np.inf, False)
    low, high, outside = ratio_set(4, 0.5, 1, 1, 0, 1)
    assert outside and all((4 - r * 0.5) ** 2 == pytest.approx(1 + r * r) for r in (low, high))


def test_refusals():
    """Delivery that is no 0/1, has gaps, is dated after the outcome or is the same in both arms is refused."""
    table = campaign(200)
    with pytest.raises(WorkbenchError, match="must say 0 or 1"):
        complier_effect(table.assign(d=table["d"] * 2), **HOW)
    with pytest.raises(WorkbenchError, match="the delivery 'd' is missing"):
        complier_effect(table.assign(d=table["d"].where(table["t"] == 1)), **HOW)
    late = table.assign(day=np.where(table["d"] == 1, "2026-08-01", None))
    with pytest.raises(WorkbenchError, match="dated after the outcome for"):
        complier_effect(late, delivered_on="day", outcome_until="2026-06-30", **HOW)
    assert complier_effect(late, delivered_on="day", outcome_until="2026-08-01", **HOW).estimate
    with pytest.raises(CannotAnswer, match="changed nobody's delivery"):
        complier_effect(table.assign(d=1), **HOW)
