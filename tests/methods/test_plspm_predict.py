"""Is prediction of respondents held out what it is by hand, and are good models told from bad?"""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.methods.plspm import Construct, PathModel, fit_pls, predict_pls
from workbench.methods.plspm.answers import read_answers
from workbench.methods.resampling import seeds

MODEL = PathModel([Construct(c, [f"{c}{i}" for i in range(3)], low=-20, high=20) for c in "AB"], {"B": ["A"]})


def survey(slope: float, n: int = 200, seed: int = 0) -> pd.DataFrame:
    """Two factors of three items."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    b = slope * a + np.sqrt(1 - slope**2) * rng.normal(size=n)
    items = 0.8 * np.column_stack([a, a, a, b, b, b]) + 0.6 * rng.normal(size=(n, 6))
    return pd.DataFrame(5 + items, columns=list(MODEL.items))


def test_two_folds_by_hand():
    """Fit to one half, predict the other with its means, spreads, path and loadings; regression likewise."""
    table = survey(0.6, n=80)
    found = predict_pls(table, MODEL, folds=2, repetitions=1, rng=5)
    fold = np.random.default_rng(seeds(5, 1)[0]).permutation(np.arange(80) % 2)
    ordered = table.iloc[read_answers(table, MODEL).position]
    own, linear, mean = [], [], []
    for f in (0, 1):
        train, test = ordered[fold != f], ordered[fold == f]
        fit = fit_pls(train, MODEL, tolerance=1e-12)
        z = (test - train.mean()) / train.std(ddof=0)
        score = z[["A0", "A1", "A2"]] @ fit.weights["A"].to_numpy()
        expected = np.outer(score * fit.paths["A", "B"], fit.loadings["B"]) * train.std(ddof=0)[3:].to_numpy()
        own.append(test.iloc[:, 3:] - expected - train.mean()[3:])
        x = np.column_stack([np.ones(len(train)), train.iloc[:, :3]])
        slope = np.linalg.lstsq(x, train.iloc[:, 3:], rcond=None)[0]
        linear.append(test.iloc[:, 3:] - np.column_stack([np.ones(len(test)), test.iloc[:, :3]]) @ slope)
        mean.append(test.iloc[:, 3:] - train.mean()[3:])
    own, linear, mean = (pd.concat(parts) for parts in (own, linear, mean))
    items = found.items.set_index("item")
    assert items["rmse"].to_dict() == pytest.approx(np.sqrt((own**2).mean()).to_dict())
    assert items["mae"].to_dict() == pytest.approx(own.abs().mean().to_dict())
    assert items["rmse_linear"].to_dict() == pytest.approx(np.sqrt((linear**2).mean()).to_dict())
    assert items["q2"].to_dict() == pytest.approx((1 - (own**2).sum() / (mean**2).sum()).to_dict())
    gap = (own**2).mean(axis=1) - (mean**2).mean(axis=1)
    row = found.table.iloc[0]
    assert (row["construct"], row["against"]) == ("all", "mean")
    assert row["difference"] == pytest.approx(gap.mean())
    assert row["se"] == pytest.approx(gap.std(ddof=1) / np.sqrt(80))


def test_a_model_that_explains_predicts():
    """With a strong path the model beats the means; with a path near zero it does not, and says so."""
    strong = predict_pls(survey(0.7), MODEL, repetitions=2)
    assert "better than the items' means" in strong.headline() and (strong.items["q2"] > 0.1).all()
    assert strong.power in ("high", "medium")
    nothing = predict_pls(survey(0.1, seed=2), MODEL, repetitions=2)
    assert "neither significantly better nor worse than the items' means" in nothing.headline()
    assert (nothing.items["q2"] < 0.05).all()
    assert len(strong.plot().get_yticks()) == len(strong.table) == 4


def test_order_weights_and_gaps():
    """Row order changes nothing, equal weights neither; a missing answer has no loss but the rest counts."""
    table = survey(0.5, n=90)
    options = {"folds": 5, "repetitions": 2, "rng": 1}
    base = predict_pls(table, MODEL, **options)
    shuffled = predict_pls(table.sample(frac=1, random_state=4), MODEL, weights=np.full(90, 3.0), **options)
    pd.testing.assert_frame_equal(base.table, shuffled.table)
    gaps = predict_pls(table.mask(np.random.default_rng(1).random(table.shape) < 0.1), MODEL, **options)
    assert gaps.items.notna().all(axis=None) and gaps.table.notna().all(axis=None)


def test_folds_must_fit():
    """One fold, or more than respondents, is refused."""
    for folds in (1, 91):
        with pytest.raises(WorkbenchError, match="2 to 90 folds"):
            predict_pls(survey(0.5, n=90), MODEL, folds=folds)
