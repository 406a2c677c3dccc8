"""Does the satisfaction study say what the survey says: by hand, in words, and with its refusals?"""

import matplotlib
import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.satisfaction import (
    Construct,
    PathModel,
    importance_performance,
    operator_gaps,
    path_effects,
    satisfaction_index,
)

matplotlib.use("Agg")

MODEL = PathModel(
    [
        Construct("Quality", ["q1", "q2"]),
        Construct("Value", ["v1", "v2"]),
        Construct("Satisfaction", ["s1", "s2", "s3"]),
    ],
    {"Value": ["Quality"], "Satisfaction": ["Quality", "Value"]},
)
FAST = {"resamples": 200, "rng": 3}


def survey(n: int = 600, *, lift: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """Three operators, two services; operator C is `lift` points of the scale better in mobile."""
    rng = np.random.default_rng(seed)
    operator = np.resize(["A", "B", "C"], n)
    service = np.resize(["mobile"] * 3 + ["fixed"] * 3, n)
    values = 6 + rng.normal(size=(n, 1)) + 1.1 * rng.normal(size=(n, len(MODEL.items)))
    values += lift * ((operator == "C") & (service == "mobile"))[:, None]
    table = pd.DataFrame(np.clip(np.round(values), 1, 10), columns=list(MODEL.items))
    return table.assign(operator=operator, service=service, wave="2026", weight=rng.uniform(0.5, 2, n))


@pytest.fixture(scope="module")
def index():
    """Index of a survey in which C leads in mobile."""
    return satisfaction_index(survey(lift=1.0), MODEL, **FAST)


@pytest.fixture(scope="module")
def effects():
    """Paths of a survey of equal operators."""
    return path_effects(survey(), MODEL, **FAST)


def test_index_by_hand(index):
    """A cell's index is its weighted item means on the scale, with the pooled unstandardised weights."""
    table = survey(lift=1.0)
    cell = table[(table["operator"] == "B") & (table["service"] == "fixed")]
    share = cell["weight"] / cell["weight"].sum()
    outer = index.fit.unstandardised_weights["Satisfaction"]
    by_hand = sum(100 * outer[i] * ((share * cell[i]).sum() - 1) / 9 for i in outer.index)
    row = index.table.set_index(["operator", "service", "construct"]).loc[("B", "fixed", "Satisfaction")]
    assert row["index"] == pytest.approx(by_hand)
    assert row["n"] == len(cell)
    score = 100 * (cell[list(outer.index)] @ outer - 1) / 9
    simple = (share * (score - by_hand) ** 2).sum() / (len(cell) - 1)
    assert row["deff"] == pytest.approx(row["se"] ** 2 / simple)
    assert row["n_effective"] == pytest.approx(len(cell) / row["deff"])
    assert row["deff"] == pytest.approx(len(cell) * (share**2).sum(), rel=0.25)  # Kish's
    assert row["low"] < row["index"] < row["high"]


def test_standard_error_of_a_cell_is_that_of_a_weighted_mean(index):
    """With weights almost fixed by 600 respondents, the error of a cell is that of a ratio mean, within a tenth."""
    table = survey(lift=1.0)
    outer = index.fit.unstandardised_weights["Satisfaction"]
    score = 100 * (table[list(outer.index)] @ outer - 1) / 9
    for (operator, service), rows in table.assign(score=score).groupby(["operator", "service"]):
        share = rows["weight"] / rows["weight"].sum()
        error = np.sqrt((share**2 * (rows["score"] - (share * rows["score"]).sum()) ** 2).sum())
        found = index.table.set_index(["operator", "service", "construct"]).loc[(operator, service, "Satisfaction")]
        assert found["se"] == pytest.approx(error, rel=0.2)


def test_missing_answers_take_the_mean_of_their_cell():
    """A gap does not pull a cell towards the others: its item mean is that of the answers given there."""
    table = survey(lift=1.0)
    cell = (table["operator"] == "C") & (table["service"] == "mobile")
    gaps = table.astype(dict.fromkeys(MODEL.items, float))
    gaps.loc[gaps[cell].index[::2], "s1"] = np.nan
    found = satisfaction_index(gaps, MODEL, **FAST)
    outer = found.fit.unstandardised_weights["Satisfaction"]
    rows = gaps[cell]
    means = [np.average(rows[i].dropna(), weights=rows.loc[rows[i].notna(), "weight"]) for i in outer.index]
    row = found.table.set_index(["operator", "service", "construct"]).loc[("C", "mobile", "Satisfaction")]
    assert row["index"] == pytest.approx(100 * (outer.to_numpy() @ (np.array(means) - 1)) / 9)


def test_small_cells_are_named_not_shown():
    """Cells below the minimum are out of the table, and in the headline with their size."""
    table = survey()
    thin = table.drop(table[(table["operator"] == "A") & (table["service"] == "fixed")].index[5:])
    found = satisfaction_index(thin, MODEL, **FAST)
    assert found.suppressed.to_dict("records") == [{"operator": "A", "service": "fixed", "n": 5}]
    assert "fewer than 30 respondents: A, fixed (<10)" in found.headline()
    assert not ((found.table["operator"] == "A") & (found.table["service"] == "fixed")).any()
    assert not any("operator=A,service=fixed" in q.name for q in found.quantities())
    one = table.drop(table[(table["operator"] == "A") & (table["service"] == "fixed")].index[1:])
    assert satisfaction_index(one, MODEL, **FAST).suppressed["n"].tolist() == [1]


def test_quantities_have_documented_names(index):
    """Others find the numbers by the names of the contract."""
    names = {q.name: q for q in index.quantities()}
    found = names["index[operator=C,service=mobile,construct=Satisfaction]"]
    assert found.unit == "points" and found.low < found.value < found.high
    assert len(names) == 6 * 3


def test_a_clear_gap_is_told_from_noise(index):
    """C leads in mobile by one scale point (11 index points): significant; in fixed nobody leads."""
    gaps = operator_gaps(index)
    table = gaps.table.set_index(["service", "operator", "against"])
    assert table.loc[("mobile", "A", "C"), "significant"]
    assert not table.xs("fixed")["significant"].any()
    assert abs(table.loc[("mobile", "A", "C"), "gap"] + 100 / 9) < 4 * table.loc[("mobile", "A", "C"), "se"]
    assert gaps.headline().startswith("2 of 6 gaps") and "the largest of them C above" in gaps.headline()
    assert any(q.name == "gap[service=mobile,operator=A,against=C,construct=Satisfaction]" for q in gaps.quantities())


def test_holm_by_hand():
    """Holm: sorted p .01, .02, .04 of three become .03, .04, .04."""
    from workbench.methods.multiple import holm

    assert holm(np.array([0.04, 0.01, 0.02])) == pytest.approx([0.04, 0.03, 0.04])


def test_equal_operators_differ_by_noise_only():
    """Without a difference the sentence says so."""
    gaps = operator_gaps(satisfaction_index(survey(seed=2), MODEL, **FAST))
    assert gaps.headline().startswith("None of the 6 gaps in Satisfaction is significant")


def test_one_index_of_the_whole_survey():
    """Without cell columns there is one index, that of the fit itself."""
    found = satisfaction_index(survey(), MODEL, by=(), **FAST)
    assert found.table["index"].to_numpy() == pytest.approx(found.fit.index.to_numpy())
    assert next(iter(found.quantities())).name == "index[construct=Quality]"
    assert found.headline().startswith("The Satisfaction index is ")


def test_one_index_that_is_shown_says_whose_it_is():
    """Where all cells but one are too small, the sentence does not pass off that one as everybody's."""
    table = survey()
    keep = (table["operator"] == "A") & (table["service"] == table["service"].iloc[0])
    few = table[keep | (table.groupby(["operator", "service"]).cumcount() < 10)].reset_index(drop=True)
    found = satisfaction_index(few, MODEL, **FAST)
    assert len(found.cells) == 1
    place = ", ".join(found.cells.iloc[0])
    assert found.headline().startswith(f"The Satisfaction index of {place} is ")


def test_paths_and_doubts_in_words(effects):
    """The structural result speaks of what is explained best and how well it is measured."""
    assert "is explained best" in effects.headline()
    assert set(effects.summary()["quantity"]) == {"path", "total_effect", "r2"}
    assert {"rho_a", "ave", "htmt_highest", "verdict"} <= set(effects.measurement().frame.columns)
    names = [q.name for q in effects.quantities()]
    assert "path[Quality->Value]" in names and "r2[Satisfaction]" in names
    assert not any(name.startswith("index") for name in names)


def test_importance_is_the_slope_by_hand(effects):
    """Importance is the total effect in points: direct plus through Value, each a regression slope of scores."""
    found = importance_performance(effects).table.set_index("construct")
    table = survey()
    outer, weight = effects.fit.unstandardised_weights, table["weight"]
    score = {c.name: 100 * (table[list(c.items)] @ outer[c.name] - 1) / 9 for c in MODEL.constructs}
    root = np.sqrt(weight)

    def slopes(target, *sources):
        columns = np.column_stack([np.ones(len(table)), *(score[s] for s in sources)])
        return np.linalg.lstsq(columns * root.to_numpy()[:, None], score[target] * root, rcond=None)[0][1:]

    direct, through = slopes("Satisfaction", "Quality", "Value")
    assert found.loc["Value", "importance"] == pytest.approx(through)
    assert found.loc["Quality", "importance"] == pytest.approx(direct + through * slopes("Value", "Quality")[0])
    assert found.loc["Quality", "performance"] == pytest.approx(np.average(score["Quality"], weights=weight))


def test_mobi_priorities(shared_data, request):
    """The published importance-performance map of the mobile-phone survey."""
    model = PathModel.from_toml(request.config.rootpath / "data/models/ecsi.toml")
    effects = path_effects(pd.read_csv(shared_data / "mobi.csv"), model, by=(), weight=None, **FAST)
    found = importance_performance(effects).table.set_index("construct")
    assert found["importance"].round(3).to_dict() == {
        "Quality": 0.640,
        "Expectation": 0.432,
        "Image": 0.415,
        "Value": 0.138,
    }
    assert found["performance"].round(2).to_dict() == {
        "Quality": 74.98,
        "Expectation": 72.47,
        "Image": 73.53,
        "Value": 62.35,
    }
    assert any("Expectation is measured unreliably" in said for said in effects.verdicts)
    lines = [effects.doubts().said(language).split("\n") for language in ("en", "zh")]
    assert lines[0] == [f"- {doubt}" for doubt in effects.verdicts] and len(lines[1]) == len(lines[0])
    said = importance_performance(effects).headline()
    assert "start with Quality" in said and "order is not certain" in said


def test_every_result_speaks_in_three_voices(index, effects):
    """Sentence, table and picture; nothing else is needed to show a result."""
    import matplotlib.pyplot as plt

    results = [index, operator_gaps(index), effects, importance_performance(effects), effects.bootstrap, effects.fit]
    for result in results:
        figure, ax = plt.subplots()
        assert result.plot(ax) is ax
        figure.canvas.draw()
        plt.close(figure)
        assert result.headline().endswith((".", ")"))
        assert len(result.summary()) > 0
        assert "<table" in result._repr_html_()


def test_row_order_does_not_matter(index):
    """The same survey in another order gives the same bits."""
    again = satisfaction_index(survey(lift=1.0).sample(frac=1, random_state=5), MODEL, **FAST)
    pd.testing.assert_frame_equal(index.table, again.table, check_exact=True)


def test_an_undefined_index_is_not_compared():
    """An item coded the wrong way leaves the index undefined: said, and no gap is computed."""
    table = survey().assign(s1=lambda t: 11 - t["s1"])
    found = satisfaction_index(table, MODEL, **FAST)
    assert found.table.loc[found.table["construct"] == "Satisfaction", "index"].isna().all()
    assert "not defined" in found.headline() and "s1 is negative" in found.headline()
    with pytest.raises(CannotAnswer, match="not defined"):
        operator_gaps(found)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda t: satisfaction_index(t, MODEL, by=["operater"]), "survey lacks 'operater'.*Did you mean 'operator'"),
        (lambda t: satisfaction_index(t, MODEL, weight="w"), "survey lacks 'w'"),
        (lambda t: satisfaction_index(t, MODEL, construct="Satisfacton"), "Did you mean 'Satisfaction'"),
        (lambda t: satisfaction_index(t, MODEL, minimum=10_000), "no cell has 10,000 respondents"),
        (lambda t: satisfaction_index(t.assign(wave=np.resize(["1", "2"], 600)), MODEL), "mixes the waves '1', '2'"),
        (lambda t: satisfaction_index(t.assign(service=None), MODEL), "'service' is missing for 600"),
        (lambda t: operator_gaps(satisfaction_index(t, MODEL, by=["service"], **FAST)), "no column 'operator'"),
        (
            lambda t: operator_gaps(satisfaction_index(t[t["operator"] == "A"], MODEL, **FAST)),
            "no two values of 'operator'",
        ),
        (lambda t: importance_performance(path_effects(t, MODEL, **FAST), target="Quality"), "no path leads"),
        (lambda t: importance_performance(path_effects(t, MODEL, **FAST), target="Valu"), "Did you mean 'Value'"),
    ],
)
def test_unanswerable_questions_are_refused(call, words):
    """What cannot be answered is refused by name, with what to do."""
    with pytest.raises(WorkbenchError, match=words):
        call(survey())
