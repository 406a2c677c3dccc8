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


def test_a_part_that_lacks_the_outcome_of_a_rare_term_throws_no_step_too_far():
    """Each 7th row begins the fit; of a term in 45 rows these hold 10, of whom none left, and 3 of the others did."""
    rng = np.random.default_rng(0)
    x = np.zeros((70_000, 2))
    x[:, 0], rare = rng.normal(size=len(x)), np.r_[np.arange(0, 70, 7), np.arange(1, 240, 7)]
    y = (rng.random(len(x)) < 1 / (1 + np.exp(3.1 - 0.3 * x[:, 0]))).astype(int)
    x[rare, 1], y[rare] = 1, 0
    y[rare[-3:]] = 1
    known = Logit(y, add_constant(x)).fit(disp=0, start_params=[-3, 0, 0])
    found, covariance = logistic(x, y)
    assert found == pytest.approx(known.params, abs=1e-8)
    assert np.sqrt(np.diag(covariance)) == pytest.approx(known.bse, rel=1e-6)
