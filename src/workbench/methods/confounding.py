"""How strong must a trait that nobody recorded be to explain a ratio?"""

from __future__ import annotations

import math


def e_value(ratio: float) -> float:
    """Risk ratio that a trait must have with contact and outcome to explain this ratio (VanderWeele and Ding 2017).

    >>> round(e_value(3.9), 2), round(e_value(1 / 3.9), 2), e_value(1.0)
    (7.26, 7.26, 1.0)
    """
    ratio = 1 / ratio if 0 < ratio < 1 else ratio
    return ratio + math.sqrt(ratio * (ratio - 1)) if ratio >= 1 else math.nan
