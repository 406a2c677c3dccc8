"""Logistic regression: that of statsmodels, with errors by cluster, from a start on a part of the rows."""

import numpy as np
import pytest
from statsmodels.discrete.discrete_model import Logit
from statsmodels.tools import add_constant

from workbench.methods.regression import logistic, repeated


@pytest.mark.parametrize("n", [600, 60_000])
def test_coefficients_and_errors_are_those_of_statsmodels(n):
    """Of few rows, and of so many that it begins on a part of them; regressors far from 0 and of other units too."""
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, 3)) * [1, 100, 0.01] + [0, 500, 2]
    y = rng.random(n) < 1 / (1 + np.exp(-(x - [0, 500, 2]) @ [1.0, 0.005, 30]))
    clusters = rng.integers(0, n // 5, n)
    model = Logit(y * 1, add_constant(x))
    plain = model.fit(disp=0)
    robust = model.fit(disp=0, cov_type="cluster", cov_kwds={"groups": clusters})
    for cov, peer in ((None, plain), (clusters, robust)):
        beta, covariance = logistic(x, y, clusters=cov)
        assert beta == pytest.approx(peer.params, rel=1e-7)
        assert np.sqrt(np.diag(covariance)) == pytest.approx(peer.bse, rel=1e-5)


def test_weights_are_rows_more():
    """A row of weight 2 is two rows."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(200, 2)), rng.random(200) < 0.4
    twice = np.r_[np.ones(100), np.full(100, 2.0)]
    beta, covariance = logistic(x, y, weights=twice)
    again = logistic(np.vstack([x, x[100:]]), np.r_[y, y[100:]])
    assert beta == pytest.approx(again[0]) and covariance == pytest.approx(again[1])


def test_repeated_columns():
    """The last of a sum, a constant, a copy: each that those before it add up to."""
    x = np.random.default_rng(2).normal(size=(50, 2))
    found = repeated(np.column_stack([x, x.sum(axis=1) + 3, np.ones(50), x[:, 0], np.arange(50)]))
    assert found.tolist() == [False, False, True, True, True, False]
