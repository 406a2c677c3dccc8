"""Which rows of a table are not shown: those on few customers, and those by which they could be worked out.

A reader knows the total of a table, and often that of each of its lines: one hidden row is then the total less the
others. So a line has no hidden row, or at least two that stand on `minimum` customers together, and no hidden count
follows from all totals at once (Hundepool et al. 2012, Statistical Disclosure Control, chapter 4: secondary cell
suppression). Of the rows that can go the smallest goes, so that order of rows changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from workbench.result import Totals

_MOST = 1_000


def suppressed(frame: pd.DataFrame, counts: str, minimum: int, totals: Totals = ()) -> tuple[list[int], list[int]]:
    """Give the places of the rows on fewer than `minimum`, and of those that are hidden with them.

    Parameters
    ----------
    frame : DataFrame
        The table; `counts` is its column of customers.
    totals : sequence of str or tuples of str, or None
        Columns for whose values (or combinations of values) totals are known too, beside that of all rows. None: rows
        overlap, and no row follows from others.

    >>> moves = pd.DataFrame({"from": list("aabb"), "to": list("xyxy"), "n": [40, 3, 50, 60]})
    >>> suppressed(moves, "n", 10, ["from", "to"]), suppressed(moves, "n", 10), suppressed(moves, "n", 10, None)
    (([1], [0, 2, 3]), ([1], [0]), ([1], []))
    """
    n = np.nan_to_num(frame[counts].to_numpy(dtype=float, na_value=np.nan))
    small = n < minimum
    hidden = small.copy()
    if totals is None or not n[small].any():
        return np.flatnonzero(small).tolist(), []
    labels = ["|".join(map(str, row)) for row in frame.drop(columns=counts).itertuples(index=False)]
    order = np.lexsort([np.array(labels), n])
    lines = list(_lines(frame, totals))
    while True:
        before = hidden.sum()
        for line in lines:
            _cover(line, order, n, hidden, minimum)
        if hidden.sum() == before:
            exposed = _exposed(lines, n, hidden) if len(lines) > 1 else np.empty(0, dtype=int)
            if not len(exposed):
                return np.flatnonzero(small).tolist(), np.flatnonzero(hidden & ~small).tolist()
            beside = np.isin(order, np.concatenate([line for line in lines[1:] if exposed[0] in line] or lines[:1]))
            open_ = order[beside & ~hidden[order]]
            hidden[open_[:1] if len(open_) else order[~hidden[order]][:1]] = True


def visible(frame: pd.DataFrame, counts: str, minimum: int, totals: Totals = ()) -> np.ndarray:
    """Say of each row whether it is shown: what pictures of a table draw."""
    small, beside = suppressed(frame, counts, minimum, totals)
    return ~np.isin(np.arange(len(frame)), [*small, *beside])


def _lines(frame: pd.DataFrame, totals: Sequence[str | tuple[str, ...]]) -> Iterator[np.ndarray]:
    """Places of the rows of each line whose total is known: all rows, and those alike in a column of `totals`."""
    yield np.arange(len(frame))
    for alike in totals:
        columns = [alike] if isinstance(alike, str) else list(alike)
        groups = frame.groupby(columns, dropna=False, observed=True).ngroup().to_numpy()
        rows = (np.flatnonzero(groups == g) for g in range(groups.max(initial=-1) + 1))
        yield from (line for line in rows if len(line) > 1)


def _cover(line: np.ndarray, order: np.ndarray, n: np.ndarray, hidden: np.ndarray, minimum: int) -> None:
    """Hide the smallest rows of a line until its hidden ones do not follow from its total; none of zeros alone."""
    here = line[hidden[line]]
    total, many = n[here].sum(), (n[here] > 0).sum()
    if not total:
        return
    for row in order[np.isin(order, line) & ~hidden[order]]:
        if many > 1 and total >= minimum:
            return
        hidden[row], total, many = True, total + n[row], many + 1


def _exposed(lines: list[np.ndarray], n: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Places of the hidden rows whose count follows from the totals of all lines, where some row is shown still."""
    rows = np.flatnonzero(hidden & (n > 0))
    if not len(rows) or len(rows) > _MOST or hidden.all():
        return np.empty(0, dtype=int)
    sums = np.array([np.isin(rows, line) for line in lines if hidden[line].any()], dtype=float)
    free = 1 - np.einsum("ij,ji->i", np.linalg.pinv(sums), sums)
    exposed: np.ndarray = rows[free < 1e-9]
    return exposed
