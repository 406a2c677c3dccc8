"""Predicted effects: every learner finds a strong one, from other folds only, whatever the order of the rows."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.experiment.learners import defaults
from workbench.studies.uplift import Trees, describe_targets, effect_groups, predict_uplift, targeting, uplift_curve

HOW = {"outcome": "y", "treatment": "t"}
FEATURES = ["x", "town", "noise"]


def campaign(members: int = 3_000, seed: int = 0) -> pd.DataFrame:
    """Contact helps in town A by 4, elsewhere by nothing, more with x; a third of x is missing; 30% treated."""
    rng = np.random.default_rng(seed)
    t = rng.permutation(np.arange(members) < 0.3 * members)
    table = pd.DataFrame({"t": np.where(t, "treatment", "control"), "x": rng.random(members)})
    table["town"] = rng.choice(["A", "B", None], members)
    table["noise"] = rng.normal(size=members)
    table["tau"] = np.where(table["town"] == "A", 4.0, 0.0) + 2 * table["x"]
    table["y"] = 5 * table["x"] + t * table["tau"] + rng.normal(size=members)
    return table.assign(x=table["x"].where(rng.random(members) > 0.3)).set_index(np.arange(members) + 7)


@pytest.mark.parametrize("learner", ["s", "t", "x", "dr", "r"])
def test_each_learner_finds_who_reacts(learner):
    """Predictions correlate with the true effect, average to it and rank it beyond chance."""
    table = campaign()
    score = predict_uplift(table, features=FEATURES, learner=learner, **HOW)
    assert score.index.equals(table.index)
    assert np.corrcoef(score, table["tau"])[0, 1] > 0.8
    assert score.mean() == pytest.approx(table["tau"].mean(), abs=0.35)
    assert uplift_curve(table, score=score, **HOW).low > 0


def test_default_is_to_scale():
    """The calibration interval of the default learner holds 1."""
    table = campaign(6_000)
    found = effect_groups(table, score=predict_uplift(table, features=FEATURES, **HOW), **HOW)
    assert found.slope_low < 1.1 and found.slope_high > 0.95


def test_row_order_changes_nothing():
    """A shuffled file gives each member exactly the same prediction."""
    table = campaign(600)
    score = predict_uplift(table, features=FEATURES, **HOW)
    shuffled = predict_uplift(table.sample(frac=1, random_state=3), features=FEATURES, **HOW)
    pd.testing.assert_series_equal(shuffled.sort_index(), score, check_exact=True)


def test_no_model_sees_the_member():
    """Where the outcome is pure noise the predictions do not find it: the mean excess of 12 campaigns is near 0."""
    found = []
    for seed in range(12):
        table = campaign(400, seed).assign(y=lambda d, s=seed: np.random.default_rng(10_000 + s).normal(size=len(d)))
        curve = uplift_curve(table, score=predict_uplift(table, features=FEATURES, rng=seed, repeats=1, **HOW), **HOW)
        found.append(curve.qini_excess / curve.se)
    assert abs(np.mean(found)) < 3 / np.sqrt(12)


def test_a_feature_without_values_changes_nothing():
    """A column that is missing for all members, number or text, leaves ranks as they were."""
    table = campaign(600).assign(empty=np.nan, blank=None)
    found = predict_uplift(table, features=[*FEATURES, "empty", "blank"], **HOW)
    assert np.isfinite(found).all() and found.std() > 0


def test_sequential_models_know_only_earlier_folds():
    """The first fold has no prediction; the others are found out as well; an unknown validation is refused."""
    table = campaign(3_000)
    score = predict_uplift(table, features=FEATURES, validation="sequential", folds=6, **HOW)
    assert score.isna().sum() == 500
    known = score.notna()
    assert np.corrcoef(score[known], table.loc[known, "tau"])[0, 1] > 0.7
    with pytest.raises(WorkbenchError, match="no validation 'forward'"):
        predict_uplift(table, features=FEATURES, validation="forward", **HOW)


def test_only_predictions_in_sequence_carry_a_verdict():
    """Of a true effect, judged by crossed folds nothing is claimed or recorded; judged in sequence it is found."""
    table = campaign(3_000).assign(y=lambda d: 10 + d["y"])
    how = {"margin": 1.0, "contact_cost": 2.0, "resamples": 100, **HOW}
    crossed = predict_uplift(table, features=FEATURES, **HOW)
    curve, groups = uplift_curve(table, score=crossed, **HOW), effect_groups(table, score=crossed, **HOW)
    money = targeting(table, score=crossed, **how)
    for found in (curve, groups, money):
        assert "the score comes from crossed folds" in found.headline()
    assert "not answerable" in groups.sleeping_dogs()
    assert not [*curve.quantities(), *groups.quantities()] and np.isnan([money.net_low, money.advantage.high]).all()
    assert money.verdict not in ("works and targetable", "works, contact the best share")
    score = predict_uplift(table, features=FEATURES, validation="sequential", **HOW).dropna()
    judged = table.loc[score.index]
    assert uplift_curve(judged, score=score, **HOW).headline().startswith("The score finds who reacts")
    assert "are real" in effect_groups(judged, score=score, **HOW).headline()
    assert targeting(judged, score=score, **how).verdict == "works and targetable"


def test_fewer_folds_where_members_abound(monkeypatch):
    """Folds and rounds follow the members with an uncommon outcome in the smaller arm, not the length of the list."""
    arm, quick = np.arange(40) % 2, Trees(rounds=15, rate=0.2)
    monkeypatch.setattr("workbench.methods.experiment.learners.ABUNDANT", ((19, 2, Trees(rounds=9)), (15, 4, quick)))
    none = (None, None, None)
    assert defaults(np.arange(40.0), arm, "cross", *none) == (2, 1, Trees(rounds=9))
    assert defaults(np.maximum(np.arange(40.0), 7), arm, "cross", *none) == (4, 1, quick)
    assert defaults(np.arange(40.0), arm, "sequential", *none)[:2] == (10, 1)
    assert defaults((np.arange(40) < 10).astype(float), arm, "cross", *none) == (5, 1, Trees())
    assert defaults(np.arange(40.0), arm, "cross", 7, 2, Trees(leaves=4)) == (7, 2, Trees(leaves=4))
    with pytest.raises(WorkbenchError, match="1 where folds are sequential"):
        defaults(np.arange(40.0), arm, "sequential", None, 2, None)


@pytest.mark.parametrize("enough", [10**9, 300])
def test_one_effect_model_for_very_many_members(monkeypatch, enough):
    """With unequal arms the pooled effect model is the X learner as much as two are: right on average and in rank."""
    monkeypatch.setattr("workbench.methods.experiment.learners.ENOUGH", enough)
    table = campaign(4_000)
    score = predict_uplift(table, features=FEATURES, **HOW)
    assert np.corrcoef(score, table["tau"])[0, 1] > 0.85
    assert score.mean() == pytest.approx(table["tau"].mean(), abs=0.3)


def test_a_table_as_a_crm_gives_it():
    """None, NaN, pd.NA, booleans, categories and Chinese texts pass from prediction to the words for the targets."""
    rng, n = np.random.default_rng(0), 2_000
    town = rng.choice(["北京", "湖北", "广东"], n)
    gaps = rng.random((n, 5)) < 0.2
    table = pd.DataFrame({"套餐": pd.Categorical(np.where(gaps[:, 0], None, rng.choice(["4G", "5G"], n)))})
    table["省份"] = pd.Series(town, dtype="object").where(~gaps[:, 1], None)
    table["终端"] = pd.Series(rng.choice(["a", "b"], n), dtype="string").mask(gaps[:, 2])
    table["age"] = pd.Series(rng.integers(18, 80, n), dtype="Int64").mask(gaps[:, 3])
    table["vip"] = pd.Series(rng.random(n) < 0.3, dtype="boolean").mask(gaps[:, 4])
    table["online"], table["bill"] = rng.random(n) < 0.5, np.where(gaps[:, 4], np.nan, rng.gamma(2, 30, n))
    table["t"] = rng.permutation(np.arange(n) % 2).astype(bool)
    table["y"] = 4.0 * (town == "北京") * table["t"] + rng.normal(size=n)
    known = ["套餐", "省份", "终端", "age", "vip", "online", "bill"]
    table["score"] = predict_uplift(table, features=known, **HOW)
    assert uplift_curve(table, score="score", **HOW).low > 0
    said = describe_targets(table, score="score", features=known, share=0.25)
    assert "省份 is 北京" in said.headline()


def test_refusals():
    """An unknown learner, one fold, no features and a tiny campaign are refused."""
    table = campaign(200)
    with pytest.raises(WorkbenchError, match="no learner 'xx'"):
        predict_uplift(table, features=FEATURES, learner="xx", **HOW)
    with pytest.raises(WorkbenchError, match="at least 2"):
        predict_uplift(table, features=FEATURES, folds=1, **HOW)
    with pytest.raises(WorkbenchError, match="features is empty"):
        predict_uplift(table, features=[], **HOW)
    with pytest.raises(CannotAnswer, match="not answerable: the smaller arm"):
        predict_uplift(table.iloc[:40], features=FEATURES, **HOW)
