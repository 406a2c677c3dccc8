"""Do resamples, groups and stages keep the sign of the survey's own fit, where as many items point up as down?"""

import numpy as np
import pandas as pd
import pytest

from workbench.methods.plspm import (
    Construct,
    HigherOrder,
    PathModel,
    bootstrap_pls,
    compare_groups,
    fit_pls,
    measurement_invariance,
)

FORMED = PathModel(
    [
        Construct("Form", ["f0", "f1", "f2", "f3"], mode="B", low=-9, high=9),
        Construct("Sat", ["s0", "s1", "s2"], low=-9, high=9),
    ],
    {"Sat": ["Form"]},
)


def survey(n: int = 300, seed: int = 0) -> pd.DataFrame:
    """Two causes for and two against: a path of 0.7 / sqrt(0.49 + 0.49) between the notions, sign by convention."""
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(n, 4))
    outcome = 0.7 * causes @ [0.5, 0.5, -0.5, -0.5] + 0.7 * rng.normal(size=n)
    items = 0.85 * outcome[:, None] + 0.5 * rng.normal(size=(n, 3))
    return pd.DataFrame(np.hstack([causes, items]), columns=list(FORMED.items))


def reversed_pair(n: int = 300, seed: int = 0) -> pd.DataFrame:
    """Four items of one factor, two of them worded the other way round."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(n, 1))
    f = 0.8 * factor * [1, 1, -1, -1] + 0.6 * rng.normal(size=(n, 4))
    s = 0.7 * factor + 0.5 * rng.normal(size=(n, 3))
    return pd.DataFrame(np.hstack([f, s]), columns=list(FORMED.items))


REFLECTED = PathModel([Construct("Form", FORMED.items[:4], low=-9, high=9), FORMED.constructs[1]], FORMED.paths)


@pytest.mark.parametrize("interval", ["percentile", "bca"])
@pytest.mark.parametrize(("table", "model"), [(survey(), FORMED), (reversed_pair(), REFLECTED)], ids=["formed", "pair"])
def test_resamples_have_the_survey_s_sign(table, model, interval):
    """No resample comes out mirrored: the interval of the path is that of its absolute value in every resample."""
    boot = bootstrap_pls(table, model, resamples=300, interval=interval)
    drawn = boot.replicate("path", "Form->Sat")
    sign = np.sign(boot.fit.paths["Form", "Sat"])
    assert (np.sign(drawn) == sign).all()
    row = boot.table.iloc[0]
    assert row["low"] * sign > 0 and row["high"] * sign > 0 and row["se"] < 0.06
    weights = boot.table[boot.table["quantity"] == "weight"]
    assert weights["se"].max() < 0.25


def test_alone_each_resample_would_be_a_coin():
    """The same resamples fitted one by one take the sign of their own tie: this is what must not be mixed."""
    table, signs = survey(), set()
    for seed in range(12):
        signs.add(np.sign(fit_pls(table.sample(frac=1, replace=True, random_state=seed), FORMED).paths.iloc[0]))
    assert signs == {-1.0, 1.0}


def test_replicate_weights_have_the_survey_s_sign():
    """The delete-one jackknife as replicate weights gives the standard error of the bootstrap within 20 %."""
    table = survey(150)
    weights = np.ones((150, 150)) - np.eye(150)
    shipped = bootstrap_pls(table, FORMED, replicate_weights=weights, replicate_scale=149 / 150).table.iloc[0]
    drawn = bootstrap_pls(table, FORMED, resamples=400, interval="percentile").table.iloc[0]
    assert shipped["se"] == pytest.approx(drawn["se"], rel=0.2)


def test_groups_have_the_survey_s_sign():
    """Three groups of one population: no path differs, and every construct means the same, although signs are ties."""
    table = survey(360).assign(operator=np.resize(["X", "Y", "Z"], 360))
    found = compare_groups(table, FORMED, group="operator", permutations=99)
    paths = found.table[found.table["quantity"] == "path"]
    assert paths["difference"].abs().max() < 0.3 and paths["p"].min() > 0.02
    assert (paths["null_high"] - paths["null_low"]).max() < 0.6
    equal = measurement_invariance(table, FORMED, group="operator", permutations=99)
    assert (equal.table["c"] > 0.7).all() and (equal.table["invariance"] != "none").all()
    assert len(set(np.sign(found.groups.loc[0, ["X", "Y", "Z"]].astype(float)))) == 1


def test_stages_have_the_survey_s_sign():
    """A dimension whose sign is a tie, in a construct of higher order, keeps it in every resample."""
    table = survey()
    rng = np.random.default_rng(5)
    table[["g0", "g1"]] = 0.4 * table[["s0"]].to_numpy() + rng.normal(size=(len(table), 2))
    parts = [*FORMED.constructs, Construct("Gain", ["g0", "g1"], low=-9, high=9)]
    higher = [HigherOrder("Whole", ["Form", "Gain"], mode="B")]
    boot = bootstrap_pls(table, PathModel(parts, {"Sat": ["Whole"]}, higher_order=higher), resamples=200)
    for dimension in ("Form", "Gain"):
        drawn = boot.replicate("weight", f"Whole:{dimension}")
        assert (np.sign(drawn) == np.sign(boot.fit.weights["Whole", dimension])).mean() > 0.97


def test_items_that_run_against_the_others_are_named():
    """A reversed pair among four is said with what to write; so is one of three, and nothing where all point up."""
    said = " ".join(fit_pls(reversed_pair(), REFLECTED).verdicts)
    assert "Form: these items run against the others (loadings" in said and "name them in reversed=" in said
    assert "as many items point down" in said and "is a convention" in said
    formed = " ".join(fit_pls(survey(), FORMED).verdicts)
    assert "is a convention" in formed and "run against" not in formed
    straight = reversed_pair() * [1, 1, -1, -1, 1, 1, 1]
    assert not any("run against" in v or "convention" in v for v in fit_pls(straight, REFLECTED).verdicts)
    one = " ".join(fit_pls(straight * [1, 1, 1, -1, 1, 1, 1], REFLECTED).verdicts)
    assert "loadings f3 −0." in one and "convention" not in one
