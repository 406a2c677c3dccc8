"""Chains of states by month: counts of moves, rates with customers as clusters, tests, and what a chain foretells.

States of a unit stand in an array `place`, shape (units, months): position of the state, -1 where it has no row. The
first `n` states are stayed in, the ways out of `ways` follow, and the last of these is to vanish.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import chi2, norm, random_table

from workbench.methods.intervals import share as wilson

AGE = 3
"""Months in a row that are told apart."""
_DRAWS = 999


def pairs(place: np.ndarray, n: int, ways: int) -> tuple[np.ndarray, np.ndarray]:
    """Code of each move, -1 where there is none, shape (accounts, months - 1), and where there is one."""
    before, after = place[:, :-1], place[:, 1:]
    at = (before >= 0) & (before < n)
    pair = np.where(at, before * ways + np.where(after >= 0, after, ways - 1), -1)
    return pair, at


def clustered(
    pair: np.ndarray, who: np.ndarray, weight: np.ndarray, shape: tuple[int, int], level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sums, rates and Wilson ends of each move, each (states, ways); customers are clusters."""
    cells = shape[0] * shape[1]
    both, place = np.unique(who * cells + pair, return_inverse=True)
    x = np.bincount(place, weight)
    owner, move = both // cells, both % cells
    of, spot = np.unique(owner * shape[0] + move // shape[1], return_inverse=True)
    m = np.bincount(spot, x)
    total = np.bincount(move, x, cells).reshape(shape)
    base = np.bincount(of % shape[0], m, shape[0])[:, None]
    xx = np.bincount(move, x * x, cells).reshape(shape)
    xm = np.bincount(move, x * m[spot], cells).reshape(shape)
    mm = np.bincount(of % shape[0], m * m, shape[0])[:, None]
    groups = np.bincount(of % shape[0], minlength=shape[0])[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = total / base
        variance = (xx - 2 * rate * xm + rate**2 * mm) / base**2 * groups / (groups - 1)
        worth = np.where(variance > 0, rate * (1 - rate) / variance, groups)
    low, high = wilson(rate * worth, worth, level=level)
    enough = (groups > 1) & (base > 0)
    return total, rate, np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def thirds(place: np.ndarray, n: int, ways: int) -> np.ndarray:
    """Count by the last month, this one and the next, shape (states, states, ways)."""
    found = np.zeros(n * n * ways, dtype=np.int64)
    for last, this, after in zip(place.T, place.T[1:], place.T[2:], strict=False):
        at = (last >= 0) & (last < n) & (this >= 0) & (this < n)
        code = (last[at] * n + this[at]) * ways + np.where(after[at] >= 0, after[at], ways - 1)
        found += np.bincount(code, minlength=len(found))
    return found.reshape(n, n, ways)


def order_tests(counts: np.ndarray, third: np.ndarray) -> pd.DataFrame:
    """Chi-square of equal months, and of the next month against the last given this one."""
    tables = {"months alike": counts, "the month before does not matter": third}
    return pd.DataFrame([{"test": name, **_chi_square(t.transpose(1, 0, 2))} for name, t in tables.items()])


def _chi_square(tables: np.ndarray) -> dict[str, float]:
    """With its p: from tables of the same margins drawn at random where over a fifth of the cells expect under 5."""
    found, drawn, cells, rng = {"chi2": 0.0, "df": 0, "p": float("nan"), "thin_cells": 0}, np.zeros(_DRAWS), 0, 0
    for table in tables:
        table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
        if min(table.shape) > 1:
            of, into = table.sum(axis=1), table.sum(axis=0)
            expected = np.outer(of, into) / table.sum()
            found["chi2"] += float(((table - expected) ** 2 / expected).sum())
            found["df"] += (len(of) - 1) * (len(into) - 1)
            found["thin_cells"] += int((expected < 5).sum())
            cells += table.size
            if (expected < 5).any():
                tables_like = random_table(of, into, seed=np.random.default_rng(rng)).rvs(_DRAWS)
                drawn += ((tables_like - expected) ** 2 / expected).sum(axis=(1, 2))
            else:
                drawn += np.random.default_rng(rng).chisquare((len(of) - 1) * (len(into) - 1), _DRAWS)
            rng += 1
    if found["df"] and found["thin_cells"] > cells / 5:
        found["p"] = float((1 + (drawn >= found["chi2"] * (1 - 1e-12)).sum()) / (1 + _DRAWS))
    elif found["df"]:
        found["p"] = float(chi2.sf(found["chi2"], found["df"]))
    return found


def aged(place: np.ndarray, n: int) -> np.ndarray:
    """Cell of each account by state and months in arrears in a row (up to `AGE`): -1 absent, -2 months not known.

    Cell 0 is the first state; then `AGE` cells for each state of arrears; then the ways out.
    """
    found, age = np.full(place.shape, -1, dtype=np.int64), np.zeros(len(place), dtype=np.int64)
    known = np.ones(len(place), bool)
    for t in range(place.shape[1]):
        late = (place[:, t] > 0) & (place[:, t] < n)
        age = np.where(late, np.minimum(age + 1, AGE), 0)
        known = np.where(late, known & (t > 0) | (age == AGE), True)
        cell = np.where(late, 1 + (place[:, t] - 1) * AGE + age - 1, place[:, t] - n + 1 + (n - 1) * AGE)
        found[:, t] = np.where(place[:, t] <= 0, place[:, t], np.where(known, cell, -2))
    return found


def size(n: int, ways: int, cap: int = AGE) -> int:
    """Number of cells by state and months in a row."""
    return ways - n + 1 + (n - 1) * cap


def moves(cells: np.ndarray, count: int, place: np.ndarray, n: int, until: int | None = None) -> np.ndarray:
    """Counts from cell to cell in the months up to `until`, shape (count, count); who vanished is in the last."""
    found = np.zeros((count, count))
    for t in range(cells.shape[1] - 1 if until is None else until):
        at = (place[:, t] >= 0) & (place[:, t] < n) & (cells[:, t] >= 0) & (cells[:, t + 1] != -2)
        to = np.where(cells[at, t + 1] < 0, count - 1, cells[at, t + 1])
        found += np.bincount(cells[at, t] * count + to, minlength=count * count).reshape(count, count)
    return found


def rates(counts: np.ndarray) -> np.ndarray:
    """Rows that add up to 1; who is out, or was never seen there, stays."""
    total = counts.sum(axis=-1, keepdims=True)
    shares: np.ndarray = np.where(total > 0, counts / np.maximum(total, 1), np.eye(counts.shape[-1]))
    return shares


def merged(shares: np.ndarray, n: int) -> np.ndarray:
    """Shares by cell, as shares by state."""
    late = shares[..., 1 : 1 + (n - 1) * AGE].reshape(*shares.shape[:-1], n - 1, AGE).sum(axis=-1)
    return np.concatenate([shares[..., :1], late, shares[..., 1 + (n - 1) * AGE :]], axis=-1)


def backtest(
    place: np.ndarray, cells: np.ndarray, states: Sequence[str], ways: int, horizon: int, level: float
) -> tuple[pd.DataFrame, bool]:
    """Seen and said of those in each state but the first, `horizon` months before the last.

    Returns
    -------
    table : DataFrame
        state, customers, seen in the first state at the end, low, high; what a plain chain says, and one of the cells
        of `aged`, each with its p against what was seen.
    held_out : bool
        Whether rates are those of the months before alone, as there are enough.
    """
    n, then = len(states), place.shape[1] - 1 - horizon
    until = then if then >= 2 * AGE else None
    first = place[:, -1] == 0
    said = {}
    for by, each, cap in (("by_chain", place, 1), ("by_age", cells, AGE)):
        said[by] = each[:, then], to_first(moves(each, size(n, ways, cap), place, n, until), horizon)
    rows = []
    for s in range(1, n):
        at = np.flatnonzero(place[:, then] == s)
        if not len(at):
            continue
        seen = float(first[at].mean())
        low, high = map(float, wilson(first[at].sum(), len(at), level=level))
        row = {"state": states[s], "customers": len(at), "seen": seen, "low": low, "high": high}
        for by, (here, shares) in said.items():
            mine = np.full(len(shares), np.nan)
            if (here[at] >= 0).all():
                mine = shares @ np.bincount(here[at], minlength=shares.shape[1]) / len(at)
            error = np.sqrt(max(mine[0] * (1 - mine[0]), 1e-12) / len(at) + mine[1:].var())
            row |= {by: mine[0], f"{by}_p": 2 * norm.sf(abs(seen - mine[0]) / error)}
        rows.append(row)
    names = ["state", "customers", "seen", "low", "high", "by_chain", "by_chain_p", "by_age", "by_age_p"]
    return pd.DataFrame(rows, columns=names), until is not None


def to_first(counts: np.ndarray, horizon: int) -> np.ndarray:
    """Chance from each cell to be in the first one `horizon` months on: by the counts, then with rows drawn anew."""
    rng, rows = np.random.default_rng(0), zip(counts.sum(axis=1).astype(int), rates(counts), strict=True)
    drawn = np.array([rng.multinomial(total, row / row.sum(), size=_DRAWS) for total, row in rows])
    both = np.concatenate([counts[None], drawn.transpose(1, 0, 2)])
    first: np.ndarray = np.linalg.matrix_power(rates(both), horizon)[:, :, 0]
    return first
