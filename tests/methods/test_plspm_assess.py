"""Do the tables an examiner asks for equal those by hand and of other programs?"""

import json

import numpy as np
import pandas as pd
import pytest

from workbench.methods.plspm import (
    Construct,
    PathModel,
    bootstrap_pls,
    cross_loadings,
    fit_pls,
    formative_table,
    fornell_larcker,
    htmt_table,
    model_quality,
    reliability_table,
    srmr,
    structural_table,
)

SINGLE = PathModel([Construct(c, [c.lower()]) for c in "ABCD"], {"B": ["A"], "C": ["A", "B"], "D": ["C"]})


@pytest.fixture(scope="module")
def mobi(shared_data):
    """The mobile-phone survey of the European index."""
    return pd.read_csv(shared_data / "mobi.csv")


@pytest.fixture(scope="module")
def expected(shared_data):
    """What other programs print for it, path scheme."""
    return json.loads((shared_data / "expected_mobi_ecsi.json").read_text(encoding="utf-8"))["schemes"]["path"]


@pytest.fixture(scope="module")
def ecsi(request):
    """The European model, from its file."""
    return PathModel.from_toml(request.config.rootpath / "data/models/ecsi.toml")


def single_items(n: int = 60, seed: int = 1) -> pd.DataFrame:
    """Four items in a chain."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    b = 0.6 * a + rng.normal(size=n)
    c = 0.5 * a + 0.4 * b + rng.normal(size=n)
    table = pd.DataFrame({"a": a, "b": b, "c": c, "d": 0.7 * c + rng.normal(size=n)})
    return 5.5 + table.clip(-4, 4)


def test_structure_by_hand():
    """With single items VIF, f2 and adjusted R2 are those of ordinary regressions."""
    table = single_items()
    fit = fit_pls(table, SINGLE)
    rows = structural_table(fit).set_index(["source", "target"])
    r = table.corr()
    assert rows.loc[("A", "C"), "vif"] == pytest.approx(1 / (1 - r.loc["a", "b"] ** 2))
    without = r.loc["b", "c"] ** 2
    assert rows.loc[("A", "C"), "f2"] == pytest.approx((fit.r2["C"] - without) / (1 - fit.r2["C"]))
    assert rows.loc[("A", "B"), "vif"] == pytest.approx(1)
    assert fit.r2_adjusted["C"] == pytest.approx(1 - (1 - fit.r2["C"]) * 59 / 57)


def test_copied_sources_have_infinite_vif():
    """A source that copies another cannot be told from it."""
    table = single_items().assign(b=lambda t: t["a"])
    rows = structural_table(fit_pls(table, SINGLE, scheme="centroid")).set_index(["source", "target"])
    assert np.isinf(rows.loc[("A", "C"), "vif"]) and rows.loc[("A", "B"), "vif"] == pytest.approx(1)


def test_srmr_by_hand():
    """Single items: saturated reproduces everything; estimated misses the two pairs without a path to D."""
    fit = fit_pls(single_items(), SINGLE)
    r = fit.item_correlations
    missed = [r.loc["a", "d"] - r.loc["a", "c"] * r.loc["c", "d"], r.loc["b", "d"] - r.loc["b", "c"] * r.loc["c", "d"]]
    assert srmr(fit)["saturated"] == pytest.approx(0, abs=1e-12)
    assert srmr(fit)["estimated"] == pytest.approx(np.sqrt(np.square(missed).sum() / 6))
    two_sources = PathModel(SINGLE.constructs, {"C": ["A", "B"], "D": ["C"]})  # implies the same for A and B with D
    assert srmr(fit_pls(single_items(), two_sources))["estimated"] == pytest.approx(srmr(fit)["estimated"])


def test_mobi_tables_equal_other_programs(mobi, ecsi, expected):
    """Cross-loadings, Fornell-Larcker, VIF and adjusted R2 to 1e-9; SRMR to the four digits that are printed."""
    fit = fit_pls(mobi, ecsi, tolerance=1e-13)
    crossed = cross_loadings(fit).droplevel(0)
    theirs = pd.DataFrame(expected["cross_loadings"]).T.loc[crossed.index, crossed.columns]
    assert crossed.to_numpy() == pytest.approx(theirs.to_numpy(dtype=float), abs=1e-9)
    criterion = fornell_larcker(fit)
    printed = {(b, a): v for b, row in expected["fornell_larcker_seminrR"].items() for a, v in row.items() if v != "NA"}
    assert len(printed) == 28
    assert {pair: criterion.loc[pair] for pair in printed} == pytest.approx(printed, abs=1e-9)
    vif = structural_table(fit).set_index(["target", "source"])["vif"]
    for target, row in expected["vif_antecedents_seminrR"].items():
        wanted = {source: 1.0 if value is None else value for source, value in row.items()}
        assert vif[target].to_dict() == pytest.approx(wanted, abs=1e-9)
    assert fit.r2_adjusted.to_dict() == pytest.approx(expected["r2_adj"], abs=1e-9)
    assert srmr(fit)["saturated"] == pytest.approx(0.0783, abs=5e-5)


def test_mobi_f2(mobi, ecsi, expected):
    """The peer fits the model again without the path: so done, equal to 1e-6; ours holds the scores, 0.02 apart."""
    fit = fit_pls(mobi, ecsi, tolerance=1e-13)
    f2 = structural_table(fit).set_index(["source", "target"])["f2"]
    for source, target in [("Image", "Satisfaction"), ("Quality", "Value"), ("Complaints", "Loyalty")]:
        fewer = {**ecsi.paths, target: [s for s in ecsi.paths[target] if s != source]}
        without = fit_pls(mobi, PathModel(ecsi.constructs, fewer), tolerance=1e-13).r2[target]
        theirs = expected["f2_seminrR"][source][target]
        assert (fit.r2[target] - without) / (1 - fit.r2[target]) == pytest.approx(theirs, abs=1e-6)
        assert f2[source, target] == pytest.approx(theirs, abs=0.02)


def test_reliability_and_htmt_have_intervals(mobi, ecsi):
    """Every estimate lies in its interval; Image and Value are distinct, Quality and Satisfaction are not."""
    boot = bootstrap_pls(mobi, ecsi, resamples=400, interval="percentile")
    table = reliability_table(boot).set_index("construct")
    several = table["items"] > 1
    for what in ("alpha", "rho_c", "ave"):
        assert (table[what] > table[f"{what}_low"])[several].all()
        assert (table[what] < table[f"{what}_high"])[several].all()
    pairs = htmt_table(boot).set_index(["first", "second"])
    assert len(pairs) == 21 and pairs.loc[("Quality", "Satisfaction"), "distinct"] == "no"
    assert pairs.loc[("Satisfaction", "Loyalty"), "distinct"] == "unsure"
    assert pairs.loc[("Image", "Value"), "distinct"] == "yes"


def test_a_model_is_judged_as_a_whole(mobi, ecsi):
    """The sentence counts what the tables say; tables of what the model lacks are left away."""
    boot = bootstrap_pls(mobi, ecsi, resamples=100, interval="percentile")
    found = model_quality(boot)
    pairs, error = htmt_table(boot), srmr(boot.fit)["estimated"]
    assert f"{(pairs['distinct'] == 'yes').sum()} of 21 pairs of constructs are distinct" in found.headline()
    assert f"SRMR {error:.3f}" in found.headline()
    assert found.headline().startswith(f"Rely on the model with care: {len(boot.verdicts)} doubts about its measures")
    pd.testing.assert_frame_equal(found.summary(), reliability_table(boot))
    assert [table.name for table in found.tables()] == ["htmt", "fornell_larcker", "cross_loadings", "structure"]
    assert len(found.plot().get_yticks()) == 21


def test_a_measure_of_one_question_is_not_called_reliable():
    """Of a model that fits, two measures of two questions each are reliable; of one question it cannot be known."""
    rng = np.random.default_rng(2)
    a, b, c = (np.array([[1, 0, 0], [0.6, 1, 0], [0.4, 0.6, 1]]) @ rng.normal(size=(3, 400))).round(1)
    parts = {"a1": a, "a2": a, "b": b, "c1": c, "c2": c}
    answers = {name: 5.5 + 2 * x + 0.6 * rng.normal(size=400) for name, x in parts.items()}
    table = pd.DataFrame(answers).round().clip(1, 10)
    several = [Construct("A", ["a1", "a2"]), Construct("C", ["c1", "c2"])]
    whole = model_quality(bootstrap_pls(table, PathModel(several, {"C": ["A"]}), resamples=50, interval="percentile"))
    assert "its 2 measures are reliable" in whole.headline()
    model = PathModel([several[0], Construct("B", ["b"]), several[1]], {"B": ["A"], "C": ["B"]})
    found = model_quality(bootstrap_pls(table, model, resamples=50, interval="percentile"))
    assert "2 of 3 measures are reliable, 1 cannot be tested," in found.headline()


def test_item_vif_by_hand():
    """The VIF of an item that forms a construct is 1 / (1 - R2) of its regression on the others; above 5 it is said."""
    rng = np.random.default_rng(6)
    items = rng.normal(size=(200, 3))
    items[:, 2] = 0.8 * items[:, 0] + 0.3 * items[:, 1] + 0.25 * rng.normal(size=200)
    table = pd.DataFrame(items, columns=["q1", "q2", "q3"])
    table["l"] = items.sum(axis=1) + rng.normal(size=200)
    parts = [Construct("Q", ["q1", "q2", "q3"], mode="B", low=-20, high=20), Construct("L", ["l"], low=-20, high=20)]
    boot = bootstrap_pls(table, PathModel(parts, {"L": ["Q"]}), resamples=50, interval="percentile")
    found = formative_table(boot).set_index("item")
    for item in ("q1", "q2", "q3"):
        x = np.column_stack([np.ones(200), table[[i for i in ("q1", "q2", "q3") if i != item]]])
        rest = table[item] - x @ np.linalg.lstsq(x, table[item], rcond=None)[0]
        assert found.loc[item, "vif"] == pytest.approx(table[item].var() / rest.var())
        said = any(f"the weight of {item} is hard to tell" in verdict for verdict in boot.fit.verdicts)
        assert said == (found.loc[item, "vif"] > 5)
    assert found["vif"].max() > 5 > found["vif"].min()
    assert ((found["weight_low"] < found["weight"]) & (found["weight"] < found["weight_high"])).all()
    assert formative_table(fit_pls(single_items(), SINGLE)).empty
