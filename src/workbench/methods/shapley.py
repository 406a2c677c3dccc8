"""What does each of several changes do, where all of them together do what is known?"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import comb
from typing import Any

import numpy as np


def shapley(value: Mapping[tuple[int, ...], Any], player: int) -> np.ndarray:
    """Part of one player in `value` of all (1 each) less that of none (0 each), averaged over the orders of changing.

    >>> value = {pick: np.prod(np.array([2, 3, 5]) ** pick) for pick in product((0, 1), repeat=3)}
    >>> [round(float(shapley(value, player)), 2) for player in range(3)]
    [6.67, 9.67, 12.67]
    """
    others = len(next(iter(value))) - 1
    total: Any = 0.0
    for flags in product((0, 1), repeat=others):
        without, having = ((*flags[:player], state, *flags[player:]) for state in (0, 1))
        total = total + (value[having] - value[without]) / ((others + 1) * comb(others, sum(flags)))
    return np.asarray(total)
