"""When is the sample? Twenty-four months, the last six with detail records; days are counted from the first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

START = np.datetime64("2024-07-01")
MONTHS = 24
MONTH = START.astype("datetime64[M]") + np.arange(MONTHS + 1)
MONTH_START = (MONTH.astype("datetime64[D]") - START).astype(np.int64)
"""First day of each month, and the day after the last: shape (25,)."""
END = int(MONTH_START[-1])
FIRST_DETAIL_MONTH = 18
CAMPAIGN_MONTH = 21
NEVER = 1_000_000
"""The day of what has not happened by the end."""

_EPOCH = int(START.astype(np.int64))


def dates(days: np.ndarray | Sequence[int]) -> pa.Array:
    """Turn days into dates; what never happened is missing."""
    days = np.asarray(days)
    return pa.array((days + _EPOCH).astype(np.int32), mask=days >= NEVER).cast(pa.date32())


def timestamps(seconds: np.ndarray, unit: str = "s") -> pa.Array:
    """Turn seconds since the first day's midnight into naive local times; NEVER days are missing."""
    seconds = np.asarray(seconds, dtype=np.int64)
    scale = {"s": 1, "us": 1_000_000}[unit]
    mask = seconds >= NEVER * 86_400
    values = (seconds + _EPOCH * 86_400) * scale
    return pa.array(values, type=pa.timestamp(unit), mask=mask if mask.any() else None)
