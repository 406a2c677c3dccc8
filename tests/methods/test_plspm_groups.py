"""Do the permutation tests see differences that are there, and only in the stated share those that are not?"""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.plspm import Construct, PathModel, compare_groups, fit_pls, measurement_invariance

MODEL = PathModel([Construct(c, [f"{c}{i}" for i in range(3)], low=-20, high=20) for c in "AB"], {"B": ["A"]})


def survey(slopes: list[float], shift: float = 0.0, odd: float = 0.8, n: int = 150, seed: int = 0) -> pd.DataFrame:
    """Groups with a path each; the last one shifted, and its third item of A loading `odd` instead of 0.8."""
    rng = np.random.default_rng(seed)
    parts = []
    for g, slope in enumerate(slopes):
        last = g == len(slopes) - 1
        a = rng.normal(size=n) + shift * last
        b = slope * a + np.sqrt(1 - slope**2) * rng.normal(size=n)
        loading = np.array([0.8, 0.8, odd if last else 0.8])
        items = np.hstack([np.outer(a, loading), 0.8 * b[:, None].repeat(3, 1)]) + 0.6 * rng.normal(size=(n, 6))
        parts.append(pd.DataFrame(items, columns=list(MODEL.items)).assign(operator="XYZ"[g]))
    return pd.concat(parts, ignore_index=True)


def test_a_different_path_is_seen():
    """Three groups, the third with another path: its pairs and the row of all differ, the first pair does not."""
    table = survey([0.7, 0.7, 0.1])
    found = compare_groups(table, MODEL, group="operator", permutations=199)
    rows = found.table[found.table["quantity"] == "path"].set_index(["first", "second"])
    assert rows.loc[("X", "Z"), "p"] == pytest.approx(1 / 200) and rows.loc[("X", "Y"), "p"] > 0.05
    assert rows.loc[("all", "all"), "p"] == pytest.approx(1 / 200) and np.isnan(rows.loc[("all", "all"), "p_holm"])
    own = {g: fit_pls(part, MODEL).paths["A", "B"] for g, part in table.groupby("operator")}
    assert rows.loc[("X", "Z"), "difference"] == pytest.approx(own["X"] - own["Z"], abs=1e-6)
    assert found.groups.loc[0, ["X", "Y", "Z"]].tolist() == pytest.approx([own[g] for g in "XYZ"], abs=1e-6)
    assert "higher in X than in Z" in found.headline() or "higher in Y than in Z" in found.headline()
    again = compare_groups(table.sample(frac=1, random_state=3), MODEL, group="operator", permutations=199)
    pd.testing.assert_frame_equal(again.table, found.table, check_exact=True)


def test_invariance_in_three_steps():
    """Equal groups are invariant in full; a shifted mean leaves it partial; a reversed item breaks it."""
    options = {"group": "operator", "permutations": 199}
    equal = measurement_invariance(survey([0.5, 0.5]), MODEL, **options)
    assert (equal.table["invariance"] == "full").all() and "mean the same" in equal.headline()
    shifted = measurement_invariance(survey([0.5, 0.5], shift=0.8), MODEL, **options).table.set_index("construct")
    assert shifted.loc["A", "invariance"] == "partial" and shifted.loc["A", "mean_difference"] < -0.4
    broken = measurement_invariance(survey([0.5, 0.5], odd=-0.8), MODEL, **options)
    row = broken.table.set_index("construct").loc["A"]
    assert row["invariance"] == "none" and row["c"] < row["c_lowest"] and "not invariant" in broken.headline()


def test_groups_are_fitted_alone():
    """With a chain of paths, differences are those of two fits."""
    chain = PathModel(
        [Construct(c, [f"{c}{i}" for i in range(2)], low=-20, high=20) for c in "ABC"], {"B": ["A"], "C": ["A", "B"]}
    )
    table = survey([0.6, 0.2]).rename(columns={"A2": "C0", "B2": "C1"})
    found = compare_groups(table, chain, group="operator", permutations=20).table.set_index("name")
    one, two = (fit_pls(part, chain, tolerance=1e-10) for _, part in table.groupby("operator"))
    for source, target in chain.edges:
        gap = one.paths[source, target] - two.paths[source, target]
        assert found.loc[f"{source}->{target}", "difference"] == pytest.approx(gap, abs=1e-6)
    micom = measurement_invariance(table, chain, group="operator", permutations=20).table.set_index("construct")
    z = table[["A0", "A1"]]
    scores = [((z - z.mean()) / z.std(ddof=0)) @ fit.weights["A"] for fit in (one, two)]
    assert micom.loc["A", "c"] == pytest.approx(np.corrcoef(*scores)[0, 1], abs=1e-6)


def test_what_means_something_else_is_not_compared():
    """A means something else to the third group: of three pairs one is left, of two groups nothing."""
    options = {"group": "operator", "permutations": 199}
    table = survey([0.5, 0.5, 0.5], odd=-0.8)
    same = measurement_invariance(table, MODEL, **options)
    found = compare_groups(table, MODEL, invariance=same, **options)
    assert found.table[["first", "second"]].to_numpy().tolist() == [["X", "Y"]] * 2
    assert found.left_out == 6 and "6 are left out" in found.headline()
    everything = compare_groups(table, MODEL, **options).table
    assert (everything["p"][:2] == found.table["p"]).all() and len(everything) == 8
    two = table[table["operator"] != "Y"]
    with pytest.raises(WorkbenchError, match="says nothing of X and Y"):
        compare_groups(table, MODEL, invariance=measurement_invariance(two, MODEL, **options), **options)
    with pytest.raises(CannotAnswer, match="no path lies between constructs that mean the same"):
        compare_groups(two, MODEL, invariance=measurement_invariance(two, MODEL, **options), **options)


def test_compositional_invariance_by_hand():
    """c is the correlation of the two scores that the groups' weights make of the pooled answers."""
    table = survey([0.6, 0.3], odd=0.3)
    found = measurement_invariance(table, MODEL, group="operator", permutations=20).table.set_index("construct")
    z = table[list(MODEL.items)]
    z = (z - z.mean()) / z.std(ddof=0)
    scores = [z[list("A0 A1 A2".split())] @ fit_pls(p, MODEL).weights["A"] for _, p in table.groupby("operator")]
    assert found.loc["A", "c"] == pytest.approx(np.corrcoef(*scores)[0, 1], abs=1e-6)
    pooled = z[["A0", "A1", "A2"]] @ fit_pls(table, MODEL).weights["A"]
    means = pooled.groupby(table["operator"]).mean()
    variances = pooled.groupby(table["operator"]).var(ddof=0)
    assert found.loc["A", "mean_difference"] == pytest.approx(means["X"] - means["Y"], abs=1e-6)
    assert found.loc["A", "log_variance_ratio"] == pytest.approx(np.log(variances["X"] / variances["Y"]), abs=1e-6)


@pytest.mark.parametrize("pairs", [40, pytest.param(400, marks=pytest.mark.prove)])
def test_equal_groups_differ_by_chance_only(pairs):
    """Among pairs of equal groups paths, weights and means each err in about 5 %: within three standard errors
    of a binomial share."""
    p = []
    for seed in range(pairs):
        options = {"group": "operator", "permutations": 39, "rng": seed}
        table = survey([0.5, 0.5], n=60, seed=seed)
        path = compare_groups(table, MODEL, **options).table.loc[0, "p"]
        steps = measurement_invariance(table, MODEL, **options).table.set_index("construct").loc["A"]
        p.append((path, steps["c_p"], steps["mean_p"], steps["variance_p"]))
    assert np.abs((np.array(p) <= 0.05).mean(axis=0) - 0.05).max() < 3 * np.sqrt(0.05 * 0.95 / pairs)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.assign(operator="X"), "holds one group"),
        (lambda t: pd.concat([t, t.iloc[:5].assign(operator="W")]), "group 'W' has 5 respondents"),
        (lambda t: t.drop(columns="operator"), "lacks 'operator'"),
    ],
)
def test_unusable_groups_are_refused(change, words):
    """One group, or one too small, is refused by name."""
    with pytest.raises(WorkbenchError, match=words):
        compare_groups(change(survey([0.5, 0.5])), MODEL, group="operator", permutations=20)
