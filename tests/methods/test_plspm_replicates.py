"""Do replicate weights give the survey's own variance, and are weights adjusted anew in every resample?"""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.plspm import Construct, PathModel, bootstrap_pls, fit_pls, mediation

MODEL = PathModel(
    [Construct("Q", ["q1", "q2"]), Construct("V", ["v1", "v2"]), Construct("L", ["l1"])], {"V": ["Q"], "L": ["Q", "V"]}
)
SHARE = np.array([0.5, 0.3, 0.2])


def answers(n: int, seed: int) -> pd.DataFrame:
    """Answers that share one factor, which differs by region; survey weights."""
    rng = np.random.default_rng(seed)
    region = rng.choice(3, n, p=SHARE)
    values = 5 + 2 * region[:, None] + rng.normal(size=(n, 1)) + 1.2 * rng.normal(size=(n, 5))
    table = pd.DataFrame(np.clip(np.round(values), 1, 10), columns=list(MODEL.items))
    return table.assign(region=region, w=rng.uniform(0.5, 2, n))


def to_regions(survey: pd.DataFrame):
    """Post-stratification by hand: every row's weights add up to the known shares of the regions."""

    def calibrate(rows: np.ndarray, position: np.ndarray) -> np.ndarray:
        region, weight = survey["region"].to_numpy()[position], survey["w"].to_numpy()[position]
        held = np.stack([((rows * weight) * (region == r)).sum(axis=1) for r in range(3)], axis=1)
        return rows * (SHARE / held)[:, region]

    return calibrate


def test_jackknife_by_hand():
    """Leaving out one respondent at a time: (R - 1)/R times the squares around the estimate, with t intervals."""
    table = answers(40, 1)
    left_out = table["w"].to_numpy()[:, None] * (1 - np.eye(40))
    boot = bootstrap_pls(
        table, MODEL, weights="w", replicate_weights=left_out, replicate_scale=39 / 40, replicate_df=39, tolerance=1e-10
    )
    fits = [fit_pls(table.drop(i), MODEL, weights="w", tolerance=1e-10).estimates for i in range(40)]
    whole = fit_pls(table, MODEL, weights="w", tolerance=1e-10).estimates
    se = np.sqrt(39 / 40 * ((np.array(fits) - whole.to_numpy()) ** 2).sum(axis=0))
    assert np.allclose(boot.table["se"], se, atol=1e-8, equal_nan=True)
    assert np.allclose(boot.table["high"], whole + student.ppf(0.975, 39) * se, atol=1e-8, equal_nan=True)
    assert boot.interval == "replicate" and boot.verdicts == boot.fit.verdicts
    chain = mediation(boot).table.iloc[0]
    drawn = [f["path", "Q->V"] * f["path", "V->L"] for f in fits]
    assert chain["se"] == pytest.approx(np.sqrt(39 / 40 * ((np.array(drawn) - chain["indirect"]) ** 2).sum()), abs=1e-8)


def test_columns_scales_and_row_order():
    """Columns by name and one scale a replicate are the same as numbers and one scale, in any order of rows."""
    table = answers(60, 2)
    rng = np.random.default_rng(3)
    names = [f"r{i}" for i in range(30)]
    counts = pd.DataFrame(rng.multinomial(60, np.full(60, 1 / 60), 30).T, columns=names)
    wide = table.join(counts.mul(table["w"], axis=0))
    named = bootstrap_pls(wide, MODEL, weights="w", replicate_weights=names, replicate_scale=1 / 30)
    shuffled = wide.sample(frac=1, random_state=1)
    again = bootstrap_pls(shuffled, MODEL, weights="w", replicate_weights=names, replicate_scale=[1 / 30] * 30)
    pd.testing.assert_frame_equal(named.table, again.table)
    half = student.ppf(0.975, 30) * named.table["se"]
    assert np.allclose(named.table["estimate"] + half, named.table["high"], equal_nan=True)


def test_delete_a_group_agrees_with_the_bootstrap_of_clusters():
    """Jackknife weights of 60 clusters give the standard errors that drawing clusters gives, within a fifth."""
    rng = np.random.default_rng(4)
    cluster = np.repeat(np.arange(60), 10)
    table = answers(600, 5)
    shift = np.round(rng.normal(size=60))[cluster]
    table[list(MODEL.items)] = table[list(MODEL.items)].add(shift, axis=0).clip(1, 10)
    weights = (cluster[:, None] != np.arange(60)) * 60 / 59
    shipped = bootstrap_pls(table, MODEL, replicate_weights=weights, replicate_scale=59 / 60).table
    drawn = bootstrap_pls(table, MODEL, clusters=cluster, resamples=1000, interval="percentile").table
    kept = shipped["quantity"].isin(["path", "index", "r2"])
    assert np.allclose(shipped["se"][kept], drawn["se"][kept], rtol=0.2)


def test_weights_are_adjusted_in_survey_and_resamples():
    """The estimate is that of adjusted weights, and as regions differ, fixing their shares makes the index surer."""
    table = answers(300, 6)
    calibrate = to_regions(table)
    adjusted = calibrate(np.ones((1, 300)), np.arange(300))[0] * table["w"]
    options = {"weights": "w", "resamples": 300, "interval": "bca"}
    boot = bootstrap_pls(table, MODEL, calibrate=calibrate, **options)
    assert np.allclose(boot.fit.estimates, fit_pls(table, MODEL, weights=adjusted).estimates, atol=1e-9, equal_nan=True)
    plain = bootstrap_pls(table, MODEL, **options)
    rows = plain.table["quantity"] == "index"
    assert (boot.table["se"][rows] < 0.85 * plain.table["se"][rows]).all()
    shuffled = table.sample(frac=1, random_state=2)
    again = bootstrap_pls(shuffled, MODEL, calibrate=to_regions(shuffled), **options)
    pd.testing.assert_frame_equal(boot.table, again.table)


def test_an_adjustment_that_changes_nothing():
    """Rows given back as they are leave every number as it was (double precision for single: 1e-9)."""
    table = answers(100, 7)
    plain = bootstrap_pls(table, MODEL, resamples=100).table
    same = bootstrap_pls(table, MODEL, resamples=100, calibrate=lambda rows, position: rows).table
    assert np.allclose(plain.iloc[:, 2:], same.iloc[:, 2:], atol=1e-9, equal_nan=True)


def test_rows_that_cannot_be_adjusted_are_counted():
    """A row of NaN is a failed resample; a survey of NaN is refused."""
    table = answers(100, 8)

    def fails(share: float):
        draw = np.random.default_rng(1)
        return lambda rows, p: np.where(draw.random((len(rows), 1)) < share * (len(rows) > 1), np.nan, rows)

    boot = bootstrap_pls(table, MODEL, resamples=100, interval="percentile", calibrate=fails(0.03))
    assert 0 < boot.failed <= 5 and f"{boot.failed} of 100 resamples" in boot.headline()
    with pytest.raises(CannotAnswer, match="so there are no intervals"):
        bootstrap_pls(table, MODEL, resamples=100, interval="percentile", calibrate=fails(0.2))
    with pytest.raises(CannotAnswer, match="no weights for the survey itself"):
        bootstrap_pls(table, MODEL, calibrate=lambda rows, position: rows * np.nan)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"replicate_weights": ["r1", "r2"], "replicate_scale": 1}, "survey lacks 'r1'"),
        ({"replicate_weights": np.ones((50, 3))}, "replicate_scale=None"),
        ({"replicate_weights": np.ones((9, 3)), "replicate_scale": 1}, "9 rows for 50"),
        ({"replicate_weights": np.ones((50, 1)), "replicate_scale": 1}, "1 columns"),
        ({"replicate_weights": -np.ones((50, 3)), "replicate_scale": 1}, "50 negative"),
        ({"replicate_weights": np.ones((50, 3)), "replicate_scale": 0}, "a number above 0"),
        ({"replicate_weights": np.ones((50, 3)), "replicate_scale": [1, 2]}, "one for each replicate"),
        ({"replicate_weights": np.ones((50, 3)), "replicate_scale": 1, "strata": "region"}, "carry the design"),
        (
            {"replicate_weights": np.ones((50, 3)), "replicate_scale": 1, "weights": np.eye(50)[:4].sum(axis=0)},
            "46 respondents have weight 0",
        ),
        ({"replicate_scale": 1}, "comes with replicate_weights"),
        ({"calibrate": lambda rows, position: rows[:, :3]}, "must give"),
        ({"calibrate": lambda rows, position: -rows}, "0 or more"),
    ],
)
def test_unusable_replicates_are_refused(options, words):
    """What cannot be a replicate or an adjustment is refused with what is wanted."""
    with pytest.raises(WorkbenchError, match=words):
        bootstrap_pls(answers(50, 1), MODEL, **options)
