"""How are names read that two tables must write alike, and can what was asked for (level, days) be answered at all?"""

from __future__ import annotations

from collections.abc import Collection
from math import isfinite
from numbers import Real
from typing import TypeGuard

import numpy as np
import pandas as pd

from workbench.columns import Missing, category
from workbench.errors import WorkbenchError

_WIDE = {wide: wide - 0xFEE0 for a, z in ("09", "AZ", "az") for wide in range(ord(a) + 0xFEE0, ord(z) + 0xFEE1)}


def codes(column: pd.Series, name: str, *, missing: Missing = "keep") -> pd.Series:
    """Give names as `category` does, without spaces around them and with letters and digits of one width.

    A name of nothing but spaces is missing. Capitals stay capitals.

    >>> codes(pd.Series(["B", "B ", "Ｂ", "b", " ", 3.0]), "operator").tolist()
    ['B', 'B', 'B', 'b', None, '3']
    """
    found = category(column, name)
    read = {value: value.translate(_WIDE).strip() or None for value in found.dropna().unique()}
    return category(found.map(read), name, missing=missing)


def alike(before: pd.Series, after: pd.Series, name: str) -> list[pd.Series]:
    """Give the names of both sides, missing refused: True and False are 1 and 0 where the other side writes these.

    >>> [side.tolist() for side in alike(pd.Series([True, False]), pd.Series([0, 1]), "fibre")]
    [['1', '0'], ['0', '1']]

    Raises
    ------
    WorkbenchError
        If one side holds True and False, and the other something else.
    """
    sides = [codes(column, name, missing="refuse") for column in (before, after)]
    flags = [all(isinstance(v, (bool, np.bool_)) for v in column.drop_duplicates()) for column in (before, after)]
    if flags[0] == flags[1]:
        return sides
    other = sides[flags.index(False)]
    if set(other) <= {"True", "False"}:
        return sides
    if odd := sorted(set(other) - {"0", "1"}):
        raise WorkbenchError(
            "'{name}' holds True and False on one side and '{odd}' on the other: write both alike."
        ).of(name, odd[0])
    mine = flags.index(True)
    sides[mine] = sides[mine].map({"True": "1", "False": "0"})
    return sides


def apart(values: pd.Series, ours: Collection[str]) -> pd.Series:
    """Give names of data in quotation marks where a name of ours is the same, so that no two are one.

    >>> apart(pd.Series(["all", "'all'", "b"]), ["all"]).tolist()
    ["'all'", "''all''", 'b']
    """
    taken = {*ours}
    return values.map({v: _quoted(v, taken) for v in values.dropna().unique()})


def _quoted(value: str, ours: Collection[str]) -> str:
    """Quote what is ours in any number of marks once more: nothing then meets."""
    return f"'{value}'" if value.strip("'") in ours else value


def is_whole(value: object) -> bool:
    """Tell whether a value is a whole number from 1 on.

    >>> is_whole(90), is_whole(90.0), is_whole(float("nan")), is_whole(0), is_whole(1.5), is_whole("12"), is_whole(True)
    (True, True, False, False, False, False, False)
    """
    return is_number(value) and not isinstance(value, bool) and value >= 1 and value == int(value)


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value is a finite number."""
    return isinstance(value, Real) and isfinite(value)
