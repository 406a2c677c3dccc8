"""Resamples are rows of weights; intervals come from them."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.methods.resampling import bootstrap_weights, canonical_order, interval, seeds


def _rows(*args, **kwargs):
    return np.vstack(list(bootstrap_weights(*args, **kwargs)))


def test_each_resample_draws_as_many_units_as_there_are():
    """A row counts draws: whole numbers that sum to n."""
    rows = _rows(7, 130)
    assert rows.shape == (130, 7)
    assert (rows.sum(axis=1) == 7).all() and (rows == rows.round()).all()


def test_rows_do_not_depend_on_how_many_are_asked_for():
    """The first rows of a longer run are those of a shorter one."""
    assert (_rows(5, 10) == _rows(5, 200)[:10]).all()


def test_strata_keep_their_size():
    """Within each stratum the draws sum to its number of units."""
    strata = np.array([0, 1, 0, 1, 1, 2])
    rows = _rows(6, 70, strata=strata)
    for stratum, size in ((0, 2), (1, 3), (2, 1)):
        assert (rows[:, strata == stratum].sum(axis=1) == size).all()


def test_clusters_are_drawn_whole():
    """Members of a cluster share their weight, and clusters stay in their stratum."""
    clusters = np.array([4, 4, 7, 7, 9])
    rows = _rows(5, 64, clusters=clusters, strata=np.array([0, 0, 0, 0, 1]))
    assert (rows[:, 0] == rows[:, 1]).all() and (rows[:, 2] == rows[:, 3]).all()
    assert (rows[:, 4] == 1).all()
    with pytest.raises(WorkbenchError, match="a cluster lies in two strata"):
        _rows(5, 1, clusters=clusters, strata=np.array([0, 1, 0, 0, 1]))


def test_weights_have_the_variance_of_a_multinomial():
    """Over many resamples a weight has mean 1 and variance 1 - 1/n, within five standard errors."""
    rows = _rows(20, 6400, rng=3)
    assert abs(rows.mean() - 1) < 1e-12
    assert abs(rows.var(axis=0).mean() - 0.95) < 5 * 1.5 / np.sqrt(6400 * 20)


def test_percentile_interval_by_hand():
    """Of the replicates 0..100 the 90% percentile interval is 5 to 95."""
    low, high = interval(np.array([50.0]), np.arange(101.0), level=0.9)
    assert (low[0], high[0]) == pytest.approx((5, 95))


def test_bca_equals_scipy():
    """On a skewed mean the ends are those of scipy.stats.bootstrap from the same resamples."""
    from scipy import stats

    data = np.random.default_rng(1).exponential(size=40)
    reference = stats.bootstrap((data,), np.mean, n_resamples=2000, method="BCa", rng=np.random.default_rng(2))
    jackknife = (data.sum() - data) / (len(data) - 1)
    low, high = interval(
        data.mean(), reference.bootstrap_distribution, method="bca", jackknife=jackknife.reshape(-1, 1)
    )
    assert low[0] == pytest.approx(reference.confidence_interval.low, rel=1e-9)
    assert high[0] == pytest.approx(reference.confidence_interval.high, rel=1e-9)


def test_bca_without_its_acceleration_is_refused():
    """BCa without a jackknife would only be BC, so it is not given."""
    with pytest.raises(WorkbenchError, match="bca needs the acceleration"):
        interval(np.zeros(1), np.zeros((5, 1)), method="bca")


def test_normal_and_bc_intervals_by_hand():
    """With a symmetric distribution around the estimate, bc equals percentile; normal is 1.96 sd."""
    replicates = np.linspace(-1, 1, 1001)
    low, high = interval(np.zeros(1), replicates, method="normal")
    assert high[0] == pytest.approx(1.959964 * replicates.std(ddof=1), rel=1e-6) and low[0] == -high[0]
    assert interval(np.zeros(1), replicates, method="bc")[1][0] == pytest.approx(0.95, abs=1e-6)


def test_canonical_order_ignores_the_order_in_the_file():
    """Two orders of the same rows sort to the same table, missing values included."""
    table = pd.DataFrame({"a": [2.0, None, 1.0, 1.0], "b": ["x", "y", None, "z"]})
    shuffled = table.iloc[[3, 1, 0, 2]].reset_index(drop=True)
    first = table.iloc[canonical_order(table)].reset_index(drop=True)
    second = shuffled.iloc[canonical_order(shuffled)].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, second)


def test_seeds_are_the_same_each_time_and_apart():
    """The same rng gives the same seeds; asking again does not move them."""
    sequence = np.random.SeedSequence(5)
    first = [s.generate_state(1)[0] for s in seeds(sequence, 3)]
    assert first == [s.generate_state(1)[0] for s in seeds(sequence, 3)] and len(set(first)) == 3
