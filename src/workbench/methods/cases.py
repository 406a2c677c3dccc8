"""Which cases tell by a day whether their limit was kept? Those whose due time has passed, and no other.

A case is judged if, and only if, its due time has passed. To take those in that closed early, and leave the open ones
out until they are late, is biased to the good: young cases then count only if they went well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Judged:
    """Cases by what is known of their limit; each case is in one of judged, pending and without.

    Attributes
    ----------
    judged : array of bool, shape (n,)
        The due time lies before `as_of`.
    kept : array of bool, shape (n,)
        Judged, and closed by the due time.
    pending : array of bool, shape (n,)
        The due time has not passed, whether the case is closed or open.
    without : array of bool, shape (n,)
        No due time on record.
    """

    judged: np.ndarray
    kept: np.ndarray
    pending: np.ndarray
    without: np.ndarray


def judge(due: pd.Series, closed: pd.Series, as_of: pd.Timestamp) -> Judged:
    """Judge cases by a day, before which all is known.

    Parameters
    ----------
    due, closed : Series of datetime64
        Until when a case was to be closed, and when it was; missing without a limit, and while open.
    as_of : Timestamp
        Exclusive.

    Examples
    --------
    Two were due on the 2nd, one of them closed late; two are due on the 9th, one of them closed already:

    >>> due = pd.Series(pd.to_datetime(["2026-06-02", "2026-06-02", "2026-06-09", "2026-06-09"]))
    >>> closed = pd.Series(pd.to_datetime(["2026-06-01", "2026-06-03", "2026-06-04", None]))
    >>> found = judge(due, closed, pd.Timestamp("2026-06-08"))
    >>> found.judged.tolist(), found.kept.tolist()
    ([True, True, False, False], [True, False, False, False])
    """
    passed = (due < as_of).to_numpy()
    without = due.isna().to_numpy()
    return Judged(passed, passed & (closed <= due).to_numpy(), ~passed & ~without, without)
