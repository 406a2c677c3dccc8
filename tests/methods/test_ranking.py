"""AUC with its errors, and how far counts by bin have moved."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from workbench.methods.ranking import auc, stability_index


def drawn(rng, n, apart):
    """Scores of events and others, a standard deviation or so apart, with ties."""
    event = rng.random(n) < 0.2
    return event, np.round(rng.normal(size=n) + apart * event, 1)


def test_auc_is_that_of_scikit_learn_and_its_parts_add_up():
    """Ties count half; what the rows add sums to nothing."""
    event, score = drawn(np.random.default_rng(1), 500, 0.8)
    found, influence = auc(event, score)
    assert found == pytest.approx(roc_auc_score(event, score), abs=1e-12)
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    assert auc(event, -score)[0] == pytest.approx(1 - found, abs=1e-12)


def test_delong_by_hand():
    """Two events, three others: variances of the shares below each, over their numbers."""
    event, score = np.array([True, True, False, False, False]), np.array([3.0, 1.5, 1.0, 2.0, 0.5])
    found, influence = auc(event, score)
    assert found == pytest.approx(5 / 6)
    assert (influence**2).sum() == pytest.approx(np.var([1, 2 / 3], ddof=1) / 2 + np.var([1, 0.5, 1], ddof=1) / 3)


def test_rows_of_one_cluster_count_once():
    """Every row three times: the error by cluster is that of the rows once (but for n / (n - 1))."""
    event, score = drawn(np.random.default_rng(2), 400, 0.8)
    once = np.sqrt((auc(event, score)[1] ** 2).sum())
    influence = auc(np.tile(event, 3), np.tile(score, 3))[1].reshape(3, -1).sum(axis=0)
    assert np.sqrt((influence**2).sum()) == pytest.approx(once, rel=0.01)


@pytest.mark.prove
def test_interval_of_auc_and_of_a_difference_hold_the_truth():
    """In 95 % of 2,000 samples of two scores of the same rows."""
    rng, truth = np.random.default_rng(3), norm.cdf(0.8 / np.sqrt(2))
    held = np.zeros(2)
    for _ in range(2_000):
        event = rng.random(400) < 0.2
        noise = rng.normal(size=(2, 400))
        one, two = (auc(event, 0.8 * event + z) for z in (noise[0], 0.6 * noise[0] + 0.8 * noise[1]))
        gap = (two[0] - one[0], two[1] - one[1])
        for k, ((found, influence), true) in enumerate((*((one, truth),), (gap, 0.0))):
            held[k] += abs(found - true) < 1.96 * np.sqrt((influence**2).sum())
    assert ((held / 2_000 > 0.935) & (held / 2_000 < 0.965)).all()


def test_stability_index_by_hand():
    """Half a row in each bin; nothing moved is below what chance makes."""
    a, b = np.array([50.5, 50.5]) / 101, np.array([25.5, 75.5]) / 101
    found = stability_index(np.array([50, 50]), np.array([25, 75]))
    assert found["psi"] == pytest.approx(((b - a) * np.log(b / a)).sum())
    assert found["low"] < found["psi"] < found["high"] and found["psi"] > found["noise"]
    assert stability_index(np.array([50, 50]), np.array([50, 50]))["psi"] == 0
