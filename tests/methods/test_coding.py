"""Codes of numbers: the fast way to a class gives what a plain search gives."""

import numpy as np
import pytest

from workbench.methods.coding import class_edges, cut

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=10_000)


@pytest.mark.parametrize(
    "values",
    [
        NORMAL,
        1e6 + 1e-9 * NORMAL,
        np.exp(5 * NORMAL),
        -np.exp(5 * NORMAL),
        RNG.integers(0, 200, 10_000).astype(float),
        RNG.integers(0, 3, 10_000).astype(float),
        np.append(NORMAL, [1e308, -1e308]),
        NORMAL * 2e307,
        NORMAL * 1e-310,
        NORMAL[:50],
        np.full(10_000, 7.0),
    ],
    ids="normal far lognormal negative whole few outliers huge tiny short constant".split(),
)
def test_classes_are_those_of_a_plain_search(values):
    """Each value's class is 1 and the number of edges below it, also of the edges and beyond."""
    edges = class_edges(values)
    asked = np.concatenate(
        [values, edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf), [np.inf, -np.inf]]
    )
    assert cut(asked, edges).tolist() == (np.searchsorted(edges, asked) + 1).tolist()
    assert cut(np.append(asked, np.nan), edges)[-1] == 0
