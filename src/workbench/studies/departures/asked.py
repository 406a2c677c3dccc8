"""Can what was asked for be answered at all: a level, whole days or months?"""

from __future__ import annotations

from math import isfinite
from numbers import Real
from typing import TypeGuard

from workbench.errors import WorkbenchError


def is_whole(value: object) -> bool:
    """Tell whether a value is a whole number from 1 on.

    >>> is_whole(90), is_whole(90.0), is_whole(float("nan")), is_whole(0), is_whole(1.5), is_whole("12"), is_whole(True)
    (True, True, False, False, False, False, False)
    """
    return is_number(value) and not isinstance(value, bool) and value >= 1 and value == int(value)


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value is a finite number."""
    return isinstance(value, Real) and isfinite(value)


def require_level(level: object) -> None:
    """Refuse a level that is no share between 0 and 1.

    Raises
    ------
    WorkbenchError
    """
    if not (is_number(level) and 0 < level < 1):
        raise WorkbenchError("level={level} is no coverage. Give a share between 0 and 1, like 0.95.").of(str(level))
