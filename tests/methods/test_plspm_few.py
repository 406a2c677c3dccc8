"""Is nothing said of a path model where too few answer, hardly vary, or nothing was compared?"""

import decimal

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.plspm import (
    Construct,
    PathModel,
    bootstrap_pls,
    compare_groups,
    fit_pls,
    measurement_invariance,
    predict_pls,
)

MODEL = PathModel([Construct(c, [f"{c}{i}" for i in range(2)], low=1, high=10) for c in "ABCD"], {"D": ["A", "B", "C"]})


def survey(n: int, seed: int = 0, model: PathModel = MODEL) -> pd.DataFrame:
    """Whole answers of one factor."""
    rng = np.random.default_rng(seed)
    values = 5.5 + 1.2 * rng.normal(size=(n, 1)) + 1.2 * rng.normal(size=(n, len(model.items)))
    return pd.DataFrame(np.clip(np.rint(values), 1, 10).astype(int), columns=list(model.items))


def test_fewer_respondents_than_paths_need_are_refused():
    """Three sources need five respondents: with four the paths would fit any answers; with 20 they are doubted."""
    with pytest.raises(CannotAnswer, match=r"3 paths lead to 'D', and 4 respondents answered; .* needs 5"):
        fit_pls(survey(4), MODEL)
    said = [v for v in fit_pls(survey(20), MODEL).verdicts if "20 respondents are few" in v]
    assert len(said) == 1 and "3 paths lead to D" in said[0]
    assert not any("are few" in v for v in fit_pls(survey(40), MODEL).verdicts)


def test_two_single_items_predict_as_their_regression():
    """Model and linear regression are one and the same: nothing to test, and no p made of rounding errors."""
    model = PathModel([Construct(c, [c.lower()], low=1, high=10) for c in "AB"], {"B": ["A"]})
    found = predict_pls(survey(80, 1, model), model, repetitions=2)
    row = found.table.set_index(["construct", "against"]).loc[("all", "linear")]
    assert row["difference"] == 0 and row[["se", "low", "high", "p"]].isna().all()
    assert "the same as linear regression" in found.headline() and "nan" not in found.headline()
    assert "0 of 1 items" in found.headline()
    assert all("linear" not in q.name for q in found.quantities())


def test_items_that_do_not_vary_in_a_part_are_named():
    """An item that only one group, or one fold, sees vary."""
    table = survey(80).assign(g=np.resize(["x", "y"], 80))
    table.loc[table["g"] == "x", "A1"] = 7
    for compare in (compare_groups, measurement_invariance):
        with pytest.raises(CannotAnswer, match="'A1' does not vary in it"):
            compare(table, MODEL, group="g", permutations=20)
    once = survey(40).assign(A1=[7] * 39 + [3])
    with pytest.raises(CannotAnswer, match="'A1' does not vary there"):
        predict_pls(once, MODEL, folds=40)


def test_permutations_too_few_to_tell_are_said():
    """Eight tests and 99 permutations: the smallest p after Holm is 0.08, so "no difference" is no finding."""
    table = survey(200).assign(g=np.resize(["x", "y"], 200))
    few = measurement_invariance(table, MODEL, group="g", permutations=59)
    assert few.headline().startswith("Not answerable with 59 permutations") and "400 or more" in few.headline()
    assert (few.table["c_p"] >= 1 / 60).all()
    paths = compare_groups(table, MODEL, group="g", permutations=59)
    assert paths.headline().startswith("Not answerable with 59") and (paths.table["p"] >= 1 / 60).all()


def test_tiny_groups_do_not_show_invariance():
    """Twenty respondents a group and items that hardly agree: not rejecting is not sameness."""
    rng = np.random.default_rng(4)
    noise = pd.DataFrame(rng.integers(1, 11, size=(40, 8)), columns=list(MODEL.items)).assign(g=np.resize([0, 1], 40))
    found = measurement_invariance(noise, MODEL, group="g", permutations=199)
    assert found.table["c_lowest"].min() < 0.5 and found.headline().startswith("Not answerable")


def test_copied_sources_make_no_nan():
    """Two sources that copy each other: their target has no paths, which is said; no sentence holds a nan."""
    model = PathModel([Construct(c, [c.lower()], low=1, high=10) for c in "ABC"], {"C": ["A", "B"]})
    table = survey(60, 2, model)
    fit = fit_pls(table.assign(b=table["a"]), model, scheme="centroid")
    assert "paths to C cannot be told" in " ".join(fit.verdicts)
    assert "nan" not in fit.headline() + " ".join(fit.verdicts)


@pytest.mark.parametrize(
    "turn",
    [
        lambda t: t.astype(float),
        lambda t: t.astype("Int16"),
        lambda t: t.astype("int64[pyarrow]"),
        lambda t: t.astype("Float32"),
        lambda t: t.map(lambda v: decimal.Decimal(int(v))),
        lambda t: t.astype(object),
        lambda t: t[t.columns[::-1]],
        lambda t: t.iloc[::-1].set_index(np.arange(len(t)) * 7),
    ],
    ids=["float", "Int16", "arrow", "Float32", "Decimal", "object", "columns", "rows"],
)
def test_dtype_and_order_change_nothing(turn):
    """Numbers are numbers whatever their dtype; the order of rows and columns of the file does not matter."""
    table = survey(60)
    base, other = (bootstrap_pls(t, MODEL, resamples=30, interval="percentile") for t in (table, turn(table)))
    pd.testing.assert_frame_equal(base.table, other.table, check_exact=True)


def test_order_of_the_model_changes_no_estimate():
    """Constructs, sources and items in another order give the same numbers by name."""
    table = survey(80)
    turned = PathModel(
        [Construct(c.name, c.items[::-1], low=1, high=10) for c in MODEL.constructs[::-1]], {"D": ["C", "A", "B"]}
    )
    base, other = (fit_pls(table, m, tolerance=1e-12).estimates for m in (MODEL, turned))
    same = [label for label in base.index if label[0] not in ("htmt", "correlation")]
    assert np.allclose(base[same], other[same], rtol=0, atol=1e-9, equal_nan=True)


def test_text_that_holds_numbers_is_refused_by_name():
    """Items and weights written as text are named, with what to do; a text group is none of that."""
    table = survey(40)
    for wrong in (table.assign(A0=table["A0"].astype(str)), table.assign(A0=table["A0"].astype("category"))):
        with pytest.raises(WorkbenchError, match=r"'A0' is (not numeric|declared a category).*(to_numeric|astype)"):
            fit_pls(wrong, MODEL)
    with pytest.raises(WorkbenchError, match="weight 'w' is not numeric"):
        fit_pls(table.assign(w="1.5"), MODEL, weights="w")


def test_intervals_of_few_respondents_are_widened():
    """Of 30 respondents and three paths to a target: ends at t(26)/z √(30/26) of their distance; of 100 as drawn."""
    few, many = (bootstrap_pls(survey(n), MODEL, resamples=100, interval="percentile") for n in (30, 100))
    factor = 2.0555294 / 1.9599640 * np.sqrt(30 / 26)
    rows = few.table[few.table["quantity"] == "path"]
    drawn = np.column_stack([few.replicate("path", name) for name in rows["name"]])
    plain = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    for end, values in zip(("low", "high"), plain, strict=True):
        centre = rows["estimate"].to_numpy()
        assert rows[end].to_numpy() == pytest.approx(centre + factor * (values - centre), abs=1e-6)
    assert few.widening == pytest.approx(factor) and many.widening == 1
    loadings = few.table[few.table["quantity"] == "loading"]
    assert loadings["high"].max() <= 1


def test_what_few_resamples_shift_has_no_interval():
    """R2, rho_A and HTMT of fewer than 100: the number alone, said in a sentence, and no nan among the quantities."""
    few = bootstrap_pls(survey(40), MODEL, resamples=60)
    shifted = few.table["quantity"].isin(["r2", "rho_a", "htmt"])
    assert few.table.loc[shifted, ["low", "high"]].isna().all(axis=None)
    assert few.table.loc[~shifted & few.table["estimate"].notna(), "low"].notna().all()
    assert next(q for q in few.quantities() if q.name == "r2[D]").low is None
    said = [v for v in few.verdicts if v.startswith("40 respondents are few to resample")]
    assert len(said) == 1 and "R2, rho_A and HTMT have none" in said[0]
    assert not any("few to resample" in v for v in bootstrap_pls(survey(100), MODEL, resamples=60).verdicts)


def test_fewer_clusters_than_paths_need_are_refused():
    """Four clusters leave no degree of freedom for three paths to one target."""
    table = survey(80).assign(point=np.arange(80) % 4)
    with pytest.raises(CannotAnswer, match="4 clusters for 3 paths to 'D'; how sure they are takes 5 clusters"):
        bootstrap_pls(table, MODEL, resamples=60, interval="percentile", clusters="point")
