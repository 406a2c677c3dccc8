"""Adjusted p-values against statsmodels'."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from workbench.methods.multiple import benjamini_hochberg, holm


def test_holm_is_that_of_statsmodels_to_the_bit():
    """Ties, ones, zeros and missing values included; nothing of nothing."""
    draw = np.random.default_rng(0)
    for n in (1, 2, 3, 10, 80):
        p = np.round(draw.random(n) ** 3, 2)
        for missing in (0, n // 3):
            p[:missing] = np.nan
            np.testing.assert_array_equal(holm(p), multipletests(p, method="holm")[1])
    assert holm(np.array([])).size == benjamini_hochberg(np.array([])).size == 0


def test_a_missing_p_value_counts_as_a_test_and_stays_missing():
    """By hand: three tests, of which one has no answer."""
    assert holm(np.array([0.02, np.nan, 0.01])) == pytest.approx([0.04, np.nan, 0.03], nan_ok=True)
