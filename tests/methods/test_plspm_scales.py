"""Is an index given only where the ends of the scale are given, or the answers show them?"""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer
from workbench.methods.plspm import Construct, HigherOrder, PathModel, bootstrap_pls, fit_pls
from workbench.studies.satisfaction import importance_performance, path_effects, satisfaction_index

ITEMS = {"Quality": ["q1", "q2", "q3"], "Satisfaction": ["s1", "s2", "s3"]}


def survey(low: int, high: int, n: int = 400, seed: int = 3) -> pd.DataFrame:
    """Whole answers of one factor that use the whole scale."""
    rng = np.random.default_rng(seed)
    values = 0.8 * rng.normal(size=(n, 1)) + 0.6 * rng.normal(size=(n, 6))
    answers = np.clip(np.rint((low + high) / 2 + (high - low) / 4 * values), low, high)
    return pd.DataFrame(answers, columns=[i for items in ITEMS.values() for i in items])


def model(**ends) -> PathModel:
    """Quality leads to satisfaction."""
    return PathModel([Construct(n, items, **ends) for n, items in ITEMS.items()], {"Satisfaction": ["Quality"]})


@pytest.mark.parametrize(("low", "high"), [(1, 5), (1, 7), (2, 10), (1, 9)])
def test_a_scale_that_is_not_given_makes_no_index(low, high):
    """Answers 1-5, 1-7, 1-9 and 2-10 fit a scale of 1 to 10, and do not show it: paths are told, the index is not."""
    table = survey(low, high)
    fit, right = fit_pls(table, model()), fit_pls(table, model(low=low, high=high))
    assert fit.index.isna().all() and fit.importance.isna().all()
    assert fit.paths.to_numpy() == pytest.approx(right.paths.to_numpy())
    said = [verdict for verdict in fit.verdicts if "scale" in verdict]
    missing = "low=" if low == 2 else "high="
    assert len(said) == 2 and all(missing in v and f"to {high}" in v for v in said)
    assert said[1].startswith("Satisfaction: the ends of its scale are not given")
    boot = bootstrap_pls(table, model(), resamples=40, interval="percentile")
    assert boot.table[boot.table["quantity"].isin(["index", "importance"])]["estimate"].isna().all()
    assert not any(q.name.startswith("index") for q in boot.quantities())


def test_what_the_answers_show_needs_no_words():
    """Somebody answered 1 and somebody 10: the index is that of the declared scale, and nothing is said."""
    table = survey(1, 10)
    fit = fit_pls(table, model())
    assert fit.index.to_numpy() == pytest.approx(fit_pls(table, model(low=1, high=10)).index.to_numpy())
    assert not any("scale" in verdict for verdict in fit.verdicts)


def test_declared_ends_are_never_doubted():
    """A declared scale whose ends nobody used is the questionnaire's: index by hand, no verdict."""
    table = survey(3, 6)
    fit = fit_pls(table, model(low=1, high=10))
    weight = fit.unstandardised_weights["Quality"]
    assert fit.index["Quality"] == pytest.approx(100 * (table[list(weight.index)].mean() @ weight - 1) / 9)
    assert not any("scale" in verdict for verdict in fit.verdicts)


def test_one_block_of_another_scale_is_named():
    """Satisfaction on 1 to 10 does not show the scale of quality, asked on 1 to 5; nor one item that of its block."""
    table = survey(1, 10).assign(**survey(1, 5)[ITEMS["Quality"]])
    fit = fit_pls(table, model())
    assert np.isnan(fit.index["Quality"]) and not np.isnan(fit.index["Satisfaction"])
    item = survey(1, 10).assign(q2=survey(1, 5)["q2"])
    said = " ".join(fit_pls(item, model()).verdicts)
    assert "(q2 1 to 5)" in said and "Give high= as printed" in said


def test_one_end_given_leaves_the_other_to_be_shown():
    """high= alone: the lower end is 1 if somebody said 1, and asked for otherwise."""
    assert fit_pls(survey(1, 5), model(high=5)).index.notna().all()
    assert fit_pls(survey(2, 5), model(high=5)).index.isna().all()
    assert fit_pls(survey(0, 10), model(low=0)).index.notna().all()


def test_reversed_and_single_items():
    """A reversed item is judged by the answers as given: turned on a wrong scale it would reach 10."""
    reverse = PathModel(
        [Construct("Quality", ITEMS["Quality"], reversed=["q1"]), Construct("Satisfaction", ["s1"])],
        {"Satisfaction": ["Quality"]},
    )
    fit = fit_pls(survey(1, 5).assign(q1=lambda t: 6 - t["q1"]), reverse)
    assert fit.index.isna().all() and fit.paths.notna().all()


def test_higher_order_inherits_the_doubt():
    """The index of a construct of constructs is not told where that of a dimension is not."""
    parts = [
        Construct("Net", ["q1", "q2"]),
        Construct("Care", ["q3", "s1"], low=1, high=5),
        Construct("Sat", ["s2", "s3"], low=1, high=5),
    ]
    staged = PathModel(parts, {"Sat": ["Quality"]}, higher_order=[HigherOrder("Quality", ["Net", "Care"])])
    fit = fit_pls(survey(1, 5), staged)
    assert np.isnan(fit.index["Quality"]) and fit.index["Sat"] == pytest.approx(50, abs=5)
    assert any("Net: the ends of its scale" in verdict for verdict in fit.verdicts)


def test_the_study_says_so():
    """The satisfaction index prints no number but the reason; priorities are refused with it."""
    table = survey(1, 5).assign(operator=np.resize(["A", "B"], 400))
    index = satisfaction_index(table, model(), by=["operator"], weight=None, resamples=40)
    assert "not defined" in index.headline() and "Give high=" in index.headline() and "nan" not in index.headline()
    assert index.table["index"].isna().all() and not list(index.quantities())
    with pytest.raises(CannotAnswer, match="the ends of its scale are not given"):
        importance_performance(path_effects(table, model(), weight=None, by=["operator"], resamples=40))


def test_files_of_models_declare_their_scales(request):
    """The models that come with the workbench say the ends of every construct."""
    for file in (request.config.rootpath / "data/models").glob("*.toml"):
        assert all(not construct.assumed for construct in PathModel.from_toml(file).constructs)
