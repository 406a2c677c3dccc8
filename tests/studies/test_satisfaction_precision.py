"""Are widths, sample sizes, shrunken indices and ranks what they say, by hand and over many surveys?"""

from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.multiple import benjamini_hochberg
from workbench.methods.plspm import measurement_invariance
from workbench.methods.ranks import rank_ends
from workbench.studies.satisfaction import (
    Construct,
    PathModel,
    index_precision,
    operator_gaps,
    operator_ranks,
    own_weights,
    satisfaction_index,
    shrunken_index,
)
from workbench.studies.satisfaction.precision import fay_herriot

matplotlib.use("Agg")

MODEL = PathModel(
    [
        Construct("Quality", ["q1", "q2"], low=1, high=10),
        Construct("Satisfaction", ["s1", "s2", "s3"], low=1, high=10),
    ],
    {"Satisfaction": ["Quality"]},
)
CELLS = ("operator", "province")


def survey(seed: int, *, sizes=(15, 60), between: float = 0.25, lift=(0.0, 0.6, 0.0)) -> pd.DataFrame:
    """Three operators in ten provinces; every item of a cell has the mean `level` of the cell."""
    rng = np.random.default_rng(seed)
    n = rng.integers(*sizes, size=(3, 10))
    level = 6 + np.array(lift)[:, None] + between * rng.normal(size=(3, 10))
    operator, province = (np.repeat(axis.ravel(), n.ravel()) for axis in np.indices(n.shape))
    own = np.repeat(level.ravel(), n.ravel())
    values = own[:, None] + 0.8 * rng.normal(size=(len(own), 1)) + 0.8 * rng.normal(size=(len(own), 5))
    table = pd.DataFrame(np.clip(np.round(values), 1, 10), columns=list(MODEL.items))
    return table.assign(operator=np.array(["A", "B", "C"])[operator], province=province, level=own)


def indexed(table: pd.DataFrame, by=CELLS, resamples: int = 200, **more):
    """Index of a survey of respondents who count alike."""
    return satisfaction_index(table, MODEL, by=by, weight=None, resamples=resamples, minimum=5, **more)


@pytest.fixture(scope="module")
def index():
    """Index of thirty thin cells."""
    return indexed(survey(0), resamples=1000)


@pytest.fixture(scope="module")
def operators():
    """Index of three operators, B ahead."""
    return indexed(survey(0), by=("operator",), resamples=1000)


def test_design_effect_of_equal_weights_is_one():
    """Respondents who count alike have a design effect near 1, weighted ones near Kish's."""
    table = survey(1, sizes=(200, 201))
    alike = indexed(table, by=("operator",), resamples=2000).table
    assert alike["deff"].to_numpy() == pytest.approx(1, abs=0.15)
    weight = np.random.default_rng(0).choice([1.0, 4.0], len(table))
    kish = len(weight) * (weight**2).sum() / weight.sum() ** 2
    weighted = satisfaction_index(table.assign(weight=weight), MODEL, by=("operator",), resamples=2000, minimum=5).table
    assert weighted["deff"].to_numpy() == pytest.approx(kish, rel=0.15)
    assert (weighted["n_effective"] * weighted["deff"]).to_numpy() == pytest.approx(weighted["n"].to_numpy())


def test_width_rule_by_hand(index):
    """Of a thin cell n grows with the square of its error: what Student's t and skewness add goes with more answers."""
    found = index_precision(index).table
    row, own = found.iloc[4], index.table.iloc[4]
    assert row["width"] == own["high"] - own["low"]
    table = index.table
    plain = table["n"] * (2 * norm.ppf(0.975) * table["se"] / 2) ** 2  # 2 points: hundreds of respondents
    assert index_precision(index, limit=2).table["n_needed"].to_numpy() == pytest.approx(plain.to_numpy(), rel=0.02)
    rules = [
        index_precision(index, limit=width * (1 + d)).table["n_needed"].iloc[4]
        for width in [row["width"]]
        for d in (1e-9, -1e-3)
    ]
    assert rules[0] == row["n"] < rules[1]
    assert row["detectable_gap"] == pytest.approx((norm.ppf(0.975) + norm.ppf(0.8)) * np.sqrt(2) * own["se"])
    assert not row["meets"] and (index_precision(index, limit=40).table["meets"]).all()
    assert "0 of 30 95% intervals" in index_precision(index).headline()


def test_area_model_by_hand():
    """With equal errors share and mean are those of a random-effects model, and the variance that of its equation."""
    estimate, variance = np.array([60.0, 62.0, 66.0, 68.0, 70.0, 64.0]), np.full(6, 4.0)
    share, mean, error, spread = fay_herriot(estimate, variance, np.zeros(6, int))
    # d/dA [ -5/2 log(A + D) - S / (2 (A + D)) + log A ] = 0
    square = ((estimate - 65) ** 2).sum()
    total = spread**2 + 4
    assert -2.5 / total + square / (2 * total**2) + 1 / spread**2 == pytest.approx(0, abs=1e-6)
    assert mean == pytest.approx(65) and share == pytest.approx(spread**2 / total)
    g2, g3 = (4 / total) ** 2 * total / 6, 16 / total**3 * 2 * total**2 / 6
    assert error**2 == pytest.approx(share * 4 + g2 + 2 * g3)


def test_thin_cells_borrow_more(index):
    """A smaller cell keeps less of its own; no estimate leaves the way from its own index to its parent's."""
    found = shrunken_index(index, toward=["operator"])
    rows = found.table[found.table["construct"] == "Satisfaction"]
    for _, same in rows.groupby("operator"):
        order = same.sort_values("n")
        assert order["shrinkage"].is_monotonic_increasing
    assert ((rows["shrunk_high"] - rows["shrunk_low"]) < 1.1 * (rows["high"] - rows["low"])).mean() > 0.9
    assert (rows["thin"] == (rows["shrinkage"] < 0.5)).all()
    assert "beyond sampling error" in found.headline()
    assert any(q.name == "index_shrunken[operator=A,province=0,construct=Satisfaction]" for q in found.quantities())


@pytest.mark.parametrize("between", [0.05, 0.25, 0.6])
@pytest.mark.parametrize("surveys", [8, pytest.param(150, marks=pytest.mark.prove)])
def test_shrunken_intervals_cover_the_truth(between, surveys):
    """Over surveys and cells, 95% intervals hold the cell's true index, and its squared error is smaller."""
    hits, own, shrunk = [], 0.0, 0.0
    for seed in range(surveys):
        table = survey(100 + seed, between=between)
        found = shrunken_index(indexed(table), toward=["operator"]).table
        found = found[found["construct"] == "Satisfaction"]
        truth = 100 * (table.groupby(list(CELLS))["level"].first().to_numpy() - 1) / 9
        hits += list((found["shrunk_low"] <= truth) & (truth <= found["shrunk_high"]))
        own += ((found["index"] - truth) ** 2).sum()
        shrunk += ((found["shrunk"] - truth) ** 2).sum()
    print(
        f"between {between}: coverage {np.mean(hits):.3f} of {len(hits)}, squared error {shrunk / own:.2f} of own data"
    )
    noise = np.sqrt(0.05 * 0.95 / len(hits))
    assert np.mean(hits) > 0.94 - 3 * noise
    assert shrunk < own


def test_adjustments_for_many_gaps_by_hand(operators):
    """Benjamini-Hochberg: sorted p .01, .02, .04 of four with .5 become .04, .04, .0533, .5."""
    assert benjamini_hochberg(np.array([0.5, 0.01, 0.04, 0.02])) == pytest.approx([0.5, 0.04, 0.16 / 3, 0.04])
    table = operator_gaps(operators).table
    assert (table["p"] <= table["p_bh"] + 1e-15).all() and (table["p_bh"] <= table["p_holm"] + 1e-15).all()


def test_invariance_is_a_gate(operators):
    """A pair whose construct does not mean the same is marked, said, and given no p; the others are tested alone."""
    invariance = measurement_invariance(survey(0), MODEL, group="operator", permutations=50)
    table = invariance.table
    broken = (table["construct"] == "Satisfaction") & (table["first"] == "A") & (table["second"] == "B")
    table["invariance"] = np.where(broken, "none", "partial")
    gaps = operator_gaps(operators, invariance=invariance)
    found = gaps.table.set_index(["operator", "against"])
    assert not found.loc[("A", "B"), "comparable"] and np.isnan(found.loc[("A", "B"), "p"])
    assert found["comparable"].sum() == 2 and found.loc[("A", "C"), "p_holm"] <= 1
    assert "Not comparable, because Satisfaction does not mean the same to their customers: A and B." in gaps.headline()
    assert len(list(gaps.quantities())) == 2
    table["invariance"] = "none"
    assert (
        operator_gaps(operators, invariance=invariance).headline().startswith("No gap in Satisfaction can be claimed")
    )
    table["invariance"] = "partial"  # 50 permutations cannot find what 6 tests ask: nothing is known
    assert "comparable" not in operator_gaps(operators, invariance=invariance).summary()
    assert "comparable" not in operator_gaps(operators).summary() and "comparable" in gaps.summary()
    enough = replace(invariance, permutations=5000, table=table.assign(c_lowest=0.9))
    assert operator_gaps(operators, invariance=enough).summary()["comparable"].all()
    invariance = replace(invariance, table=table[table["construct"] == "Quality"])
    with pytest.raises(WorkbenchError, match="says nothing of Satisfaction between 'A', 'B'"):
        operator_gaps(operators, invariance=invariance)


def test_ranks_of_operators(operators):
    """B leads by seven points: first for certain; A and C are equal: their order is noise."""
    found = operator_ranks(operators)
    table = found.table.set_index("operator")
    assert table.loc["B", ["rank_low", "rank_high"]].tolist() == [1, 1] and table.loc["B", "probability_1"] == 1
    assert table.loc[["A", "C"], ["rank_low", "rank_high"]].to_numpy().tolist() == [[2, 3], [2, 3]]
    assert table.filter(like="probability_").sum(axis=1).to_numpy() == pytest.approx(1)
    assert found.headline() == (
        "B is first in Satisfaction in 100% of resamples; its lead is significant at 95%; the others cannot be ranked."
    )


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ([(1, 2), (1, 2), (3, 3)], "the order of the others is significant"),  # the second may lead, the third is last
        ([(1, 1), (2, 2), (3, 3)], "the order of the others is significant"),
        ([(1, 2), (1, 2), (3, 4), (3, 4)], "some of the others cannot be ranked"),
        ([(1, 1), (2, 3), (2, 3)], "the others cannot be ranked"),
    ],
)
def test_the_order_of_the_others_is_among_themselves(operators, ends, said):
    """Whoever may share the lead can still be surely above those below: the others are compared with each other."""
    low, high = zip(*ends, strict=True)
    rows = {"operator": list("ABCD")[: len(ends)], "index": 9.0, "rank": range(1, len(ends) + 1)}
    table = pd.DataFrame(rows | {"rank_low": low, "rank_high": high, "probability_1": 0.9})
    assert str(replace(operator_ranks(operators), table=table).headline()).endswith(f"; {said}.")


def test_rank_ends_hold_all_ranks_at_once():
    """In 95% of surveys or more all true ranks lie within their ends (judged in Monte Carlo errors)."""
    rng = np.random.default_rng(1)
    truth, error = np.array([70.0, 70.4, 71.0, 73.0]), np.array([0.5, 0.7, 0.4, 0.6])
    rank = np.array([4, 3, 2, 1])
    held = []
    for _ in range(600):
        estimate = truth + error * rng.normal(size=4)
        low, high = rank_ends(estimate, estimate + error * rng.normal(size=(500, 4)), 0.95)
        held.append(((low <= rank) & (rank <= high)).all())
    assert np.mean(held) > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 600)


def test_own_weights_beside_the_pooled():
    """Each operator's index by its own fit, by hand; the pooled column is the index."""
    table = survey(3, sizes=(30, 31))
    other = (table["operator"] == "C") & (np.random.default_rng(0).random(len(table)) < 0.5)
    table.loc[other, "s1"] = np.random.default_rng(1).integers(3, 9, other.sum())
    found = own_weights(table, MODEL, by=("operator",), weight=None, resamples=200)
    pooled = satisfaction_index(table, MODEL, by=("operator",), weight=None, resamples=200)
    rows = found.table.set_index(["operator", "construct"])
    assert rows["pooled"].to_numpy() == pytest.approx(pooled.table["index"].to_numpy())
    part = table[table["operator"] == "C"]
    outer = found.fits["C"].unstandardised_weights["Satisfaction"]
    row = rows.loc[("C", "Satisfaction")]
    assert row["own"] == pytest.approx(100 * (part[list(outer.index)].mean() @ outer - 1) / 9)
    assert row["difference"] == pytest.approx(row["own"] - row["pooled"]) and row["low"] < row["high"]
    assert "By its own customers' weights" in found.headline() and "order of the operators" in found.headline()


def test_three_voices(index, operators):
    """Sentence, table and picture."""
    import matplotlib.pyplot as plt

    mine = own_weights(survey(0), MODEL, by=("operator",), weight=None, resamples=50)
    results = (index_precision(index), shrunken_index(index, toward="operator"), operator_ranks(operators), mine)
    for ranks in (results[2], operator_ranks(index)):
        figure, ax = plt.subplots()
        assert ranks.plot(ax) is ax
        figure.canvas.draw()
        plt.close(figure)
    for result in (*results, operator_ranks(index), shrunken_index(index, toward=())):
        assert result.headline().endswith(".") and len(result.summary())
        assert all(np.isfinite(q.value) for q in result.quantities())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda i: index_precision(i, limit=0), "no interval is that narrow"),
        (lambda i: shrunken_index(i, toward=["service"]), "index lacks 'service'"),
        (lambda i: shrunken_index(i, toward=["province", "operator"]), "all columns of the cells"),
        (lambda i: shrunken_index(indexed(survey(0), by=("operator",)), toward=()), "3 cells in 1 parents"),
        (lambda i: own_weights(survey(0), MODEL, by=("province",), weight=None), "not among by='province'"),
        (lambda i: own_weights(survey(0).assign(operator="A"), MODEL, weight=None), "own weights are the pooled ones"),
        (lambda i: operator_ranks(i, operator="company"), "no column 'company'"),
    ],
)
def test_what_cannot_be_said_is_refused(index, call, words):
    """Refused by name, with what to do."""
    with pytest.raises((WorkbenchError, CannotAnswer), match=words):
        call(index)
