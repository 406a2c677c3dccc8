"""Curves and groups: by hand, in properties, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student
from statsmodels.regression.linear_model import OLS

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.uplift import effect_groups, uplift_curve
from workbench.studies.uplift.bins import score_bins

HOW = {"score": "s", "outcome": "y", "treatment": "t"}


def campaign(members: int = 500, seed: int = 0, scores: int = 40) -> pd.DataFrame:
    """A campaign with an effect of 3 s, scores with ties, 30% treated."""
    rng = np.random.default_rng(seed)
    s = rng.integers(0, scores, members) / scores
    t = rng.permutation(np.arange(members) < 0.3 * members).astype(int)
    return pd.DataFrame({"s": s, "t": t, "y": 3 * s * t + rng.gamma(2, 1, members)})


def test_curve_by_hand_with_unequal_arms():
    """Three treated and two control in the upper half: 3/5 of the list has effect 5 - 1, the whole 4 - 1."""
    table = pd.DataFrame({"s": [2, 2, 2, 1, 1], "t": [1, 1, 0, 1, 0], "y": [4.0, 6.0, 1.0, 2.0, 1.0]})
    curve = uplift_curve(table, **HOW)
    assert curve.points["share"].tolist() == [0, 0.6, 1]
    assert curve.points["gain"].tolist() == pytest.approx([0, 0.6 * 4, 3])
    assert curve.qini_excess == pytest.approx(0.5 * (2.4 - 0.6 * 3))


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(0.1, 100))
def test_order_scale_labels_and_score_transform(seed, factor):
    """Row order and monotone scores change nothing, scale scales, swapped arms flip the sign."""
    table = campaign(seed=seed)
    found = uplift_curve(table, resamples=100, **HOW)

    def again(changed: pd.DataFrame):
        return uplift_curve(changed, resamples=100, **HOW)

    shuffled, scaled = again(table.sample(frac=1, random_state=seed)), again(table.assign(y=factor * table["y"]))
    swapped, bent = again(table.assign(t=1 - table["t"])), again(table.assign(s=np.exp(table["s"])))
    assert (shuffled.qini_excess, shuffled.se) == pytest.approx((found.qini_excess, found.se), rel=1e-9)
    assert (scaled.qini_excess, scaled.se) == pytest.approx((factor * found.qini_excess, factor * found.se), rel=1e-6)
    assert swapped.qini_excess == pytest.approx(-found.qini_excess, rel=1e-9)
    assert bent.qini_excess == pytest.approx(found.qini_excess, rel=1e-12)


def test_copies_leave_the_curve():
    """Every member listed twice gives the same curve."""
    table = campaign()
    twice = uplift_curve(pd.concat([table, table], ignore_index=True), **HOW)
    assert twice.qini_excess == pytest.approx(uplift_curve(table, **HOW).qini_excess, rel=1e-9)


def test_the_three_curves_by_hand():
    """Qini is scaled to the treated (2/3 of them with effect 4), TOC the lead over the average; others refused."""
    table = pd.DataFrame({"s": [2, 2, 2, 1, 1], "t": [1, 1, 0, 1, 0], "y": [4.0, 6.0, 1.0, 2.0, 1.0]})
    uplift, qini, toc = (uplift_curve(table, kind=kind, **HOW) for kind in ("uplift", "qini", "toc"))
    assert qini.points["gain"].tolist() == pytest.approx([0, 2 / 3 * 4, 3])
    assert toc.points["gain"].tolist() == pytest.approx([1, 0])
    assert toc.area == pytest.approx(0.6 * 1 + 0.4 * 0.5)
    assert uplift.area == uplift.qini_excess == qini.qini_excess == toc.qini_excess
    assert qini.area == pytest.approx(0.6 * 8 / 6 + 0.4 * (8 / 3 + 3) / 2 - 1.5)
    assert "AUTOC" in toc.summary()["estimate of"].tolist() and "above the average" in toc.plot().get_ylabel()
    with pytest.raises(WorkbenchError, match="no kind 'gini'"):
        uplift_curve(table, kind="gini", **HOW)


def test_heterogeneity_has_a_p_value_and_sleeping_dogs_a_test():
    """An effect that follows the score is shown, harm in the lowest group said only where its interval is below 0."""
    table = campaign(5_000)
    found = effect_groups(table, **HOW)
    assert found.p_value < 1e-6 and "p at most 0.001" in found.headline()
    assert found.sleeping_dogs().startswith("No evidence that contact lowers y")
    harmed = effect_groups(table.assign(y=table["y"] - 2 * table["t"]), **HOW)
    assert harmed.sleeping_dogs().startswith("Contact lowers y of the")


def test_equal_scores_are_contact_at_random():
    """A constant score ranks nobody: the excess is exactly 0."""
    curve = uplift_curve(campaign().assign(s=1.0), **HOW)
    assert (curve.qini_excess, curve.se) == (0, 0)
    assert curve.headline().startswith("Not answerable: the score is the same for all members")


def test_bins_resample_as_members_do():
    """The standard error from bins equals that of a bootstrap of members, within three of its own standard errors."""
    table = campaign(2_000, scores=10**6)
    found = uplift_curve(table, resamples=2_000, **HOW)
    rng = np.random.default_rng(0)
    repeats = [
        uplift_curve(table.iloc[rng.integers(0, 2_000, 2_000)].reset_index(drop=True), resamples=100, **HOW).qini_excess
        for _ in range(200)
    ]
    assert found.se == pytest.approx(np.std(repeats), rel=0.16)


def test_groups_by_hand():
    """Two groups with effects 3 and 1 where 2 and 0 were predicted: the slope is 1."""
    table = pd.DataFrame({"s": [2.0] * 4 + [0.0] * 4, "t": [1, 1, 0, 0] * 2, "y": [4, 6, 1, 3, 2, 4, 1, 3.0]})
    found = effect_groups(table, groups=2, **HOW)
    assert found.groups["effect"].tolist() == [3, 1]
    assert found.groups["predicted"].tolist() == [2, 0]
    assert found.slope == pytest.approx(1)


def test_groups_recover_the_scale():
    """Scores a third of the true effect have slope 3, within three standard errors."""
    found = effect_groups(campaign(5_000), **HOW)
    se = (found.slope_high - found.slope_low) / 2 / 1.96
    assert abs(found.slope - 3) < 3 * se
    assert "real and are not to scale" in found.headline()


def test_pictures_and_quantities():
    """Curve and groups draw with units on the axes, and name their numbers."""
    curve = uplift_curve(campaign(), campaign="spring", unit="yuan", **HOW)
    assert "yuan" in curve.plot().get_ylabel()
    assert [q.name for q in curve.quantities()] == ["qini_excess[campaign=spring,outcome=y]"]
    groups = effect_groups(campaign(), campaign="spring", **HOW)
    groups.plot().figure.clear()
    assert len(groups.summary()) == 5 and [q.unit for q in groups.quantities()] == ["1"]


def test_refusals():
    """A score with gaps, scores of other members, few resamples and too many groups are refused."""
    table = campaign()
    with pytest.raises(WorkbenchError, match="score 's' is missing or infinite for 1 of 500"):
        uplift_curve(table.assign(s=table["s"].where(table.index > 0)), **HOW)
    with pytest.raises(WorkbenchError, match="one value for each row label"):
        uplift_curve(table, score=pd.Series([1.0, 2.0]), outcome="y", treatment="t")
    with pytest.raises(WorkbenchError, match="resamples=10 are too few"):
        uplift_curve(table, resamples=10, **HOW)
    with pytest.raises(CannotAnswer, match="fewer than 2 members"):
        effect_groups(table.iloc[:6], **HOW)


def test_the_skewness_of_an_area_is_that_of_its_members():
    """The third moment equals the sum of the cubes of what each member's weight would change, by differences."""
    rng = np.random.default_rng(3)
    score, treated, y = rng.permutation(60).astype(float), np.arange(60) % 2 == 0, rng.exponential(2, 60)
    bins = score_bins(score, treated, y[:, None])
    weight, depth = rng.random(len(bins.lowest)), np.searchsorted(-bins.lowest, -score)

    def area(of: np.ndarray) -> float:
        inside = [[(depth <= k) & (treated == arm) for k in range(len(weight))] for arm in (True, False)]
        one, zero = ([np.average(y[rows], weights=of[rows]) for rows in arm] for arm in inside)
        effect = np.subtract(one, zero)
        return weight @ effect - 0.7 * effect[-1]

    step = 1e-5 * np.eye(60)
    influence = [(area(1 + one) - area(1 - one)) / 2e-5 for one in step]
    assert bins.third_of_area(weight, 0.7) == pytest.approx(np.sum(np.power(influence, 3)), rel=1e-5)


def test_calibration_slope_is_a_regression_with_a_robust_error():
    """Slope and HC2 error are those of statsmodels' interacted regression; few controls have few degrees of freedom."""
    table = campaign(members=160)
    found = effect_groups(table, groups=2, **HOW)
    s, t = table["s"] - table["s"].mean(), table["t"]
    peer = OLS(table["y"].to_numpy(), np.column_stack([np.ones(len(s)), s, t, t * s])).fit(cov_type="HC2")
    parts = []
    for own in (t == 1, t == 0):  # Bell and McCaffrey (2002): tr(M)² / tr(M²), by the matrices themselves
        x = np.column_stack([np.ones(own.sum()), s[own]])
        rest = np.eye(len(x)) - x @ np.linalg.inv(x.T @ x) @ x.T
        by = rest * (np.linalg.pinv(x)[1] / np.sqrt(np.diag(rest)))[:, None]
        shape = by @ by.T
        left = rest @ table["y"][own]
        parts.append(
            (((np.linalg.pinv(x)[1] * left) ** 2 / np.diag(rest)).sum(), np.trace(shape) ** 2 / (shape**2).sum())
        )
    df = sum(v for v, _ in parts) ** 2 / sum(v**2 / d for v, d in parts)
    assert sum(v for v, _ in parts) == pytest.approx(peer.bse[3] ** 2)
    assert found.slope == pytest.approx(peer.params[3])
    reach = student.isf(0.025, df) * peer.bse[3]
    assert (found.slope_low, found.slope_high) == pytest.approx((found.slope - reach, found.slope + reach))
    assert found.p_value == pytest.approx(student.sf(found.slope / peer.bse[3], df))
    assert df < 48  # 48 are treated
