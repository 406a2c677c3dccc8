"""How strong must a trait that nobody recorded be to explain a ratio?"""

from __future__ import annotations

import math


def e_value(ratio: float, *, hazard_of_common: bool = False) -> float:
    """Risk ratio that a trait must have with contact and outcome to explain this ratio (VanderWeele and Ding 2017).

    A ratio of hazards stands for one of risks where the outcome is rare; of a common one (over 15%) it is turned.

    >>> round(e_value(3.9), 2), round(e_value(1 / 3.9), 2), e_value(1.0)
    (7.26, 7.26, 1.0)
    >>> round(e_value(2.0, hazard_of_common=True), 2)  # of risks 1.61: + sqrt(1.61 * 0.61)
    2.61
    """
    ratio = 1 / ratio if 0 < ratio < 1 else ratio
    if hazard_of_common and ratio > 0:
        ratio = (1 - 0.5 ** math.sqrt(ratio)) / (1 - 0.5 ** math.sqrt(1 / ratio))
    return ratio + math.sqrt(ratio * (ratio - 1)) if ratio >= 1 else math.nan
