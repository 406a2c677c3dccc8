"""Are two stages what they are by hand, in every resample, and is an interaction found where it is and nowhere else?"""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.plspm import (
    Construct,
    HigherOrder,
    PathModel,
    bootstrap_pls,
    compare_groups,
    consistent_pls,
    fit_pls,
    moderation,
    structural_table,
)
from workbench.methods.plspm.answers import read_answers
from workbench.methods.plspm.batch import Layout
from workbench.methods.plspm.replicates import resample
from workbench.methods.resampling import bootstrap_weights

FOUR = [
    Construct("Network", ["n1", "n2", "n3"]),
    Construct("Service", ["s1", "s2"], low=0, high=12),
    Construct("Price", ["p1", "p2"]),
    Construct("Loyalty", ["l1", "l2"]),
]
PATHS = {"Loyalty": ["Quality", "Price"]}
STAGED = PathModel(FOUR, PATHS, higher_order=[HigherOrder("Quality", ["Network", "Service"], mode="B")])
TRIPLE = PathModel(FOUR, {"Price": ["Network"], "Loyalty": ["Network", "Service", "Price", "Network*Price"]})
SINGLE = PathModel([Construct(c, [c.lower()], low=-9, high=9) for c in "XZY"], {"Y": ["X", "Z", "X*Z"]})


def answers(n: int, seed: int) -> pd.DataFrame:
    """Whole answers 1-10 that share one factor."""
    rng = np.random.default_rng(seed)
    items = [item for c in FOUR for item in c.items]
    values = 6 + 1.5 * rng.normal(size=(n, 1)) + 1.2 * rng.normal(size=(n, len(items)))
    return pd.DataFrame(np.clip(np.round(values), 1, 10), columns=items)


def scores(table: pd.DataFrame, weights: pd.Series) -> pd.Series:
    """Scores of one construct by hand: standardised answers times weights."""
    part = table[list(weights.index)]
    return ((part - part.mean()) / part.std(ddof=0)) @ weights


def by_hand(table: pd.DataFrame, model: PathModel) -> pd.Series:
    """Two fits, the scores of the first as items of the second."""
    lower = {"Price": ["Network"]} if model is TRIPLE else {}
    first = fit_pls(table, PathModel(FOUR, lower | {"Loyalty": ["Network", "Service", "Price"]}), tolerance=1e-13)
    if model is TRIPLE:
        product = scores(table, first.weights["Network"]) * scores(table, first.weights["Price"])
        added = [Construct("Network*Price", ["product"], low=-50, high=50)]
        return fit_pls(
            table.assign(product=product), PathModel([*FOUR, *added], model.paths), tolerance=1e-13
        ).estimates
    points = {}
    for name, (low, high) in {"Network": (1, 10), "Service": (0, 12)}.items():
        share = first.unstandardised_weights[name]
        points[name] = 100 * (table[list(share.index)] @ share - low) / (high - low)
    quality = Construct("Quality", ["Network", "Service"], mode="B", low=0, high=100)
    return fit_pls(table.assign(**points), PathModel([quality, *FOUR[2:]], PATHS), tolerance=1e-13).estimates


@pytest.mark.parametrize("model", [STAGED, TRIPLE], ids=["higher order", "interaction"])
def test_each_resample_is_two_fits_by_hand(model):
    """A fit, and every row of counts, equals fitting the copied respondents, making scores, and fitting again."""
    table = answers(120, 1)
    fit = fit_pls(table, model, tolerance=1e-13)
    ready = read_answers(table, model)
    rows = next(iter(bootstrap_weights(120, 3, rng=1)))
    found = resample(ready, fit, [rows], 1e-13)
    drawn = table.iloc[ready.position]
    copied = [drawn.loc[drawn.index.repeat(row.astype(int))].reset_index(drop=True) for row in rows]
    ours = [fit.estimates.to_numpy(), *found.values]
    for values, each in zip(ours, [table, *copied], strict=True):
        values, hand = pd.Series(values, index=fit.estimates.index), by_hand(each, model)
        kept = [
            (what, name)
            for what, name in values.index
            if what != "product_sd" and not (what in ("index", "importance", "weight", "loading") and "*" in name)
        ]
        assert len(kept) >= 40
        assert np.allclose(values[kept], hand[kept], rtol=0, atol=1e-11, equal_nan=True)


def test_the_index_follows_from_products_of_weights():
    """A higher-order index is the index of all its items, each weighing dimension's weight times its own."""
    table = answers(200, 2)
    fit = fit_pls(table, STAGED)
    raw = pd.concat([fit.weights["Quality"][d] * fit.first.weights[d] for d in ("Network", "Service")])
    raw /= table[list(raw.index)].std(ddof=0)
    low, high = np.array([1, 1, 1, 0, 0]), np.array([10, 10, 10, 12, 12])
    reached = (raw * (table[list(raw.index)].mean() - low)).sum() / (raw * (high - low)).sum()
    assert fit.index["Quality"] == pytest.approx(100 * reached)
    assert fit.first.model.names == ("Network", "Service", "Price", "Loyalty")
    assert fit.model.names == ("Quality", "Price", "Loyalty")


def test_a_formed_construct_weighs_its_dimensions_as_the_population_does():
    """Loyalty is 0.5 network + 0.2 service + noise: weights of mode B within four standard errors of 5 : 2, R2 too."""
    network, service, noise = np.random.default_rng(8).normal(size=(3, 5000))
    table = pd.DataFrame({"n": network, "s": service, "l": 0.5 * network + 0.2 * service + noise})
    parts = [Construct(c, [c[0].lower()], low=-9, high=9) for c in ("Network", "Service", "Loyalty")]
    higher = [HigherOrder("Quality", ["Network", "Service"], mode="B")]
    boot = bootstrap_pls(table, PathModel(parts, {"Loyalty": ["Quality"]}, higher_order=higher), resamples=200)
    found = boot.table.set_index(["quantity", "name"])
    r2 = 0.29 / 1.29
    truth = {("r2", "Loyalty"): r2, ("path", "Quality->Loyalty"): r2**0.5}
    truth |= {("weight", "Quality:Network"): 5 / 29**0.5, ("weight", "Quality:Service"): 2 / 29**0.5}
    for label, value in truth.items():
        assert abs(found.loc[label, "estimate"] - value) < 4 * found.loc[label, "se"]
        assert found.loc[label, "se"] < 0.03


def moderated(n: int, change: float, seed: int = 3) -> pd.DataFrame:
    """Y = 0.4 X + 0.3 Z + change XZ + noise, all measured without error."""
    x, z, noise = np.random.default_rng(seed).normal(size=(3, n))
    return pd.DataFrame({"x": x, "z": z, "y": (0.4 * x + 0.3 * z + change * x * z + noise)}).clip(-9, 9)


def test_moderation_by_regression():
    """With single items it is a regression on standardised variables: slope, f2 and slopes by least squares."""
    table = moderated(400, 0.2)
    z = (table - table.mean()) / table.std(ddof=0)
    design = np.column_stack([np.ones(400), z["x"], z["z"], z["x"] * z["z"]])

    def r2(columns: list[int]) -> tuple[np.ndarray, float]:
        slope, *_ = np.linalg.lstsq(design[:, columns], z["y"], rcond=None)
        return slope, 1 - float(((z["y"] - design[:, columns] @ slope) ** 2).mean())

    slope, whole = r2([0, 1, 2, 3])
    boot = bootstrap_pls(table, SINGLE, resamples=300)
    found = moderation(boot).table
    want = [slope[3], (whole - r2([0, 1, 2])[1]) / (1 - whole), *(slope[1] + at * slope[3] for at in (-1, 0, 1))]
    assert found["estimate"].to_numpy() == pytest.approx(want)
    assert (found["low"] < found["estimate"]).all() and (found["estimate"] < found["high"]).all()
    effect = structural_table(boot.fit).set_index("source").loc["X*Z", "f2"]
    assert effect == pytest.approx(found["estimate"].iloc[1])


def test_moderation_is_seen_where_it_is():
    """Where the effect depends on the moderator it is said, within four standard errors; where not, it is not."""
    there = moderation(bootstrap_pls(moderated(5000, 0.15), SINGLE, resamples=200))
    sd = np.sqrt(0.4**2 + 0.3**2 + 0.15**2 + 1)
    row = there.table.iloc[0]
    assert abs(row["estimate"] - 0.15 / sd) < 4 * row["se"]
    assert "The effect of X on Y grows with Z: +0.1" in there.headline()
    absent = moderation(bootstrap_pls(moderated(5000, 0.0), SINGLE, resamples=200))
    assert "The effect of X on Y does not significantly depend on Z" in absent.headline()
    assert next(t.get_text() for t in there.plot().get_yticklabels()) == "X→Y, Z low"
    names = {q.name for q in there.quantities()}
    assert names == {"interaction[X*Z->Y]", *(f"slope[X*Z->Y,at={at}]" for at in ("-1", "+0", "+1"))}


def test_moderation_says_who_is_left_out():
    """Three of 500 gave not all answers: two lack one, the third two; without gaps nobody is left out."""
    table = moderated(500, 0.15)
    how = {"resamples": 100, "missing": "listwise", "interval": "percentile"}
    assert "left out" not in moderation(bootstrap_pls(table, SINGLE, **how)).headline()
    table.loc[[3, 7], "x"] = np.nan
    table.loc[9, ["x", "y"]] = np.nan
    found = moderation(bootstrap_pls(table, SINGLE, **how))
    assert found.headline().endswith("3 of 500 respondents are left out here: an answer is missing.")


@pytest.mark.prove
def test_slopes_cover_as_often_as_they_say(capsys):
    """Over 600 surveys of 300 the 95 % intervals of interaction and slopes cover 92.5-97.5 %."""
    sd = np.sqrt(0.4**2 + 0.3**2 + 0.15**2 + 1)
    truth = np.array([0.15, 0.25, 0.4, 0.55]) / sd
    rows = []
    for seed in range(600):
        table = moderation(bootstrap_pls(moderated(300, 0.15, seed + 10), SINGLE, resamples=500)).table
        table = table[table["what"] != "f2"]
        rows.append((table["low"] <= truth) & (truth <= table["high"]))
    share = np.mean(rows, axis=0)
    with capsys.disabled():
        print(f"\ninteraction and slopes at -1, 0, +1: {share.round(3).tolist()} (Monte Carlo error 0.009)")
    assert ((share > 0.925) & (share < 0.975)).all()


def test_row_order_changes_nothing_and_the_file_says_the_same(tmp_path):
    """Shuffled respondents give the same intervals, and a TOML file the same model."""
    file = tmp_path / "model.toml"
    tables = [f'[[construct]]\nname="{c.name}"\nitems={list(c.items)}\nlow={c.low}\nhigh={c.high}\n' for c in FOUR]
    higher = '[[higher_order]]\nname="Quality"\ndimensions=["Network","Service"]\nmode="B"\n'
    paths = '[paths]\nLoyalty=["Quality","Price"]\n'
    file.write_text("".join(tables) + higher + paths, encoding="utf-8")
    assert PathModel.from_toml(file).stages == STAGED.stages
    table = answers(100, 4)
    boot = bootstrap_pls(table, STAGED, resamples=60)
    again = bootstrap_pls(table.sample(frac=1, random_state=1), STAGED, resamples=60)
    pd.testing.assert_frame_equal(boot.table, again.table)


@pytest.mark.parametrize(
    ("paths", "higher", "words"),
    [
        ({"Loyalty": ["Network", "Network*Price"]}, [], "'Price' does not"),
        ({"Loyalty": ["Network", "Network*Prize"]}, [], "Network\\*Prize"),
        ({"Loyalty": ["Price", "Price*Price"]}, [], "times itself"),
        ({"Loyalty": ["Price", "Network"], "Network*Price": ["Service"]}, [], "no path can lead to it"),
        ({"Loyalty": ["Quality", "Price", "Quality*Price"]}, [("Quality", ["Network", "Service"])], "of higher order"),
        ({"Loyalty": ["Quality", "Network", "Price"]}, [("Quality", ["Network", "Service"])], "is a dimension of"),
        ({"Loyalty": ["Quality", "Price"]}, [("Quality", ["Network"])], "has one dimension"),
        ({"Loyalty": ["Quality", "Price"]}, [("Quality", ["Network", "Servise"])], "'Service'"),
        ({"Loyalty": ["Price"]}, [("Price", ["Network", "Service"])], "two constructs are called 'Price'"),
        ({"Loyalty": ["Price", "Q", "R"]}, [(n, ["Network", "Service"]) for n in "QR"], "of 'Q' and of 'R'"),
    ],
)
def test_models_that_cannot_be_are_refused(paths, higher, words):
    """What makes no sense in two stages is refused by name when the model is built."""
    with pytest.raises(WorkbenchError, match=words):
        PathModel(FOUR, paths, higher_order=[HigherOrder(*each) for each in higher])


def test_what_two_stages_cannot_answer_is_refused():
    """Gaps in interacting items, error correction of a product, other analyses, moderation without interaction."""
    table = answers(80, 5)
    gap = table.astype(float)
    gap.loc[3, "n2"] = np.nan
    with pytest.raises(WorkbenchError, match="'n2' has missing answers"):
        fit_pls(gap, TRIPLE)
    assert fit_pls(gap, TRIPLE, missing="listwise").dropped == 1
    assert fit_pls(gap, STAGED).missing == 1
    with pytest.raises(CannotAnswer, match="Leave the interactions out"):
        consistent_pls(fit_pls(table, TRIPLE))
    with pytest.raises(WorkbenchError, match="fitted in two stages"):
        compare_groups(table.assign(g=np.resize(["a", "b"], 80)), STAGED, group="g")
    with pytest.raises(WorkbenchError, match="fitted in two stages"):
        Layout(STAGED)
    with pytest.raises(CannotAnswer, match="no interaction"):
        moderation(bootstrap_pls(table, STAGED, resamples=20, interval="percentile"))
