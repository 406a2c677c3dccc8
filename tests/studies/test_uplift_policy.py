"""What a rule of contact earns, and how sure that is, by hand."""

import numpy as np
import pytest

from workbench.studies.uplift.policy import Costs, Rows, policy


def test_contacting_everybody_has_the_error_of_a_difference_of_means():
    """All contacted: net = margin x difference - contact; variance = margin^2 (s1^2/n1 + s0^2/n0), with n - 1."""
    y = np.array([4.0, 8.0, 6.0, 1.0, 3.0])
    rows = Rows(y, np.zeros(5), np.array([True, True, True, False, False]))
    net, errors = policy(rows, np.ones(5, dtype=bool), Costs(0.5, 0.6, 0.0, 0.0))
    assert net == pytest.approx(0.5 * (6.0 - 2.0) - 0.6)
    assert (errors**2).sum() / 5**2 == pytest.approx(0.25 * (4.0 / 3 + 2.0 / 2))
