"""Columns as small whole numbers for trees, and an order of rows and columns that only their content decides.

Numbers are cut at quantiles, so that a unit (fen for yuan) changes nothing; categories are ordered by how many rows
hold them. Neither the order of rows or columns, nor their names, dtypes or ids enter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench import columns
from workbench.errors import WorkbenchError

MOST_CODES = 255
MOST_CATEGORIES = 250
OTHER = "(other)"
_LOW = np.uint64((1 << 22) - 1)
_ROUNDS = 2
_FEW, _STEPS = 16, 4_096


@dataclass(frozen=True)
class Coding:
    """How one column becomes codes.

    Attributes
    ----------
    edges : array or None
        Of a number: increasing upper ends of all its classes but the last; None of a category.
    names : tuple of str
        Of a category: its values in the order of their codes; "(other)" stands for values not named.
    low, high : float
        Of a number: the range it was seen in.
    missing : int
        Rows without a value when it was made.
    """

    name: str
    edges: np.ndarray | None
    names: tuple[str, ...] = ()
    low: float = np.nan
    high: float = np.nan
    missing: int = 0

    @property
    def category(self) -> bool:
        return self.edges is None

    def slots(self, column: pd.Series) -> np.ndarray:
        """Give codes from 1 as small whole numbers, shape (n,); 0 where missing, or a category never seen.

        Examples
        --------
        >>> Coding("x", np.array([1.5])).slots(pd.Series([1, 2, None])).tolist()
        [1, 2, 0]
        """
        if self.category:
            return self._places(columns.category(column, self.name))
        return self._classes(columns.number(column, self.name, what="feature", missing="keep"))

    def _classes(self, values: np.ndarray) -> np.ndarray:
        assert self.edges is not None, "a category has no classes"
        return cut(values, self.edges)

    def _places(self, text: pd.Series) -> np.ndarray:
        place = {name: k + 1 for k, name in enumerate(self.names)}
        other = place.get(OTHER, 0)
        codes, values = pd.factorize(text, use_na_sentinel=True)
        slots: np.ndarray = np.array([*(place.get(value, other) for value in values), 0], dtype=np.int16)[codes]
        return slots

    def strange(self, column: pd.Series) -> np.ndarray:
        """Tell which values are unlike those it was made of: out of range, a new category, or the first gap."""
        gaps: np.ndarray = column.isna().to_numpy() & (self.missing == 0)
        if self.category:
            text = columns.category(column, self.name)
            strange = (text.notna() & ~text.isin(self.names)).to_numpy()
        else:
            values = columns.number(column, self.name, what="feature", missing="keep")
            strange = (values < self.low) | (values > self.high)
        found: np.ndarray = np.logical_or(gaps, strange)
        return found


def cut(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Give the class of each value from 1, shape (n,); 0 where missing."""
    found = _below(values, edges)
    found += np.int16(1)
    found[np.isnan(values)] = 0
    return found


def _below(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Count the edges below each value, as np.searchsorted, which is called where a grid does not tell.

    A step of an even grid never falls as the value rises, rounding included: an edge in an earlier step lies below.
    """
    with np.errstate(over="ignore"):
        wide = edges[-1] - edges[0] if len(edges) > _FEW else 0.0
    if not 1e-290 < wide < 1e290 or len(values) < _STEPS:
        return np.searchsorted(edges, values, side="left").astype(np.int16)

    def step(given: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            place = (given - edges[0]) * (_STEPS / wide)
        steps: np.ndarray = np.fmax(np.fmin(place, _STEPS), 0, out=place).astype(np.intp)
        return steps

    within = np.bincount(step(edges), minlength=_STEPS + 1)
    at = step(values)
    found: np.ndarray = (np.cumsum(within) - within).astype(np.int16)[at]
    open_ = np.flatnonzero((within > 0)[at])
    found[open_] = np.searchsorted(edges, values[open_], side="left")
    return found


def as_codes(slots: np.ndarray) -> np.ndarray:
    """Codes from 0 as floats with NaN for missing, as trees take them."""
    return np.where(slots > 0, slots - 1.0, np.nan)


def class_edges(values: np.ndarray) -> np.ndarray:
    """Cut numbers into at most `MOST_CODES` classes of about equal size, between the values that part them.

    Only the ranks decide: any increasing change of the numbers gives the same classes.

    Examples
    --------
    >>> class_edges(np.array([3.0, 1.0, np.nan, 3.0, 7.0])).tolist()
    [2.0, 5.0]
    """
    ranked = np.sort(values[~np.isnan(values)])
    last = np.flatnonzero(ranked[1:] > ranked[:-1])  # position of the last of each distinct value but the greatest
    if len(last) >= MOST_CODES:
        wanted = np.ceil(np.arange(1, MOST_CODES) / MOST_CODES * len(ranked)).astype(np.int64) - 1
        place = np.searchsorted(last, wanted)
        last = last[np.unique(place[place < len(last)])]
    below, above = ranked[last], ranked[last + 1]
    middle = below + (above - below) / 2
    return np.where(middle < above, middle, below)


def make_codings(table: pd.DataFrame, features: Sequence[str]) -> tuple[list[Coding], list[np.ndarray]]:
    """Make the coding of each feature that varies, and give its slots, each of shape (n,).

    Raises
    ------
    WorkbenchError
        If a feature is neither number nor category (dates, text that holds numbers, mixtures).
    """
    codings, found = [], []
    for name in features:
        column = table[name]
        gaps = int(column.isna().sum())
        if columns.kind(column, name) == "category":
            text = columns.category(column, name)
            coding = Coding(name, None, _kept(text), missing=gaps)
            slots = coding._places(text)
        else:
            values = columns.number(column, name, what="feature", missing="keep")
            known = values[~np.isnan(values)] if gaps else values
            ends = (float(known.min()), float(known.max())) if len(known) else (np.nan, np.nan)
            coding = Coding(name, class_edges(known), (), *ends, gaps)
            slots = coding._classes(values)
        if (slots != slots[0]).any():
            codings.append(coding)
            found.append(slots)
    return codings, found


def _kept(text: pd.Series) -> tuple[str, ...]:
    """Names of categories, the commonest first; those as rare as what lies beyond the 250 commonest share one name."""
    counts = text.value_counts()
    if len(counts) > MOST_CATEGORIES:
        kept = counts[counts > counts.iloc[MOST_CATEGORIES]]
        return (*sorted(kept.index, key=lambda name: (-counts[name], name)), OTHER)
    return tuple(sorted(counts.index, key=lambda name: (-counts[name], name)))


@dataclass(frozen=True)
class Arranged:
    """Rows and columns in an order that only content decides.

    rows : positions, shape (n,), that sort by arm, outcome, then codes; columns : positions, shape (p,); content :
    array of uint64, shape (n,), a number that only rows alike share; relabelled : for each categorical column (by
    position) the new code, from 0, of each old one.
    """

    rows: np.ndarray
    columns: np.ndarray
    content: np.ndarray
    relabelled: dict[int, np.ndarray]


def arrange(
    slots: Sequence[np.ndarray],
    categorical: Sequence[int],
    y: np.ndarray,
    arm: np.ndarray,
    rest: pd.DataFrame | None = None,
) -> Arranged:
    """Order rows and columns by what they hold.

    A column is known by which rows hold which of its codes, a row by the columns' codes it holds, each in turn (colour
    refinement): neither order enters. Rows alike in codes, outcome and arm are ordered by the other columns of `rest`,
    and last by its index.

    Parameters
    ----------
    slots : arrays of whole numbers, each of shape (n,)
        One a column; 0 for missing.
    categorical : positions of columns whose codes have no order
    y, arm : arrays, shape (n,)
    rest : DataFrame, optional
        The rows' table.
    """
    own = _ranks(y)
    row = _mixed(own * np.uint64(2 * (int(arm.max()) + 1)) + arm.astype(np.uint64))
    start = row
    for _ in range(_ROUNDS):
        tokens: list[np.ndarray] = []
        named_by: list[np.ndarray] = []
        halves = (row & _LOW).astype(float), ((row >> np.uint64(22)) & _LOW).astype(float)
        for k, at in enumerate(slots):
            sums = _sums(halves, at)
            nominal = k in categorical
            token = _mixed(sums if nominal else np.arange(len(sums), dtype=np.uint64) + np.uint64(1))
            token[0] = np.uint64(0x9E37)  # missing
            tokens.append(token)
            named_by.append(_mixed((_mixed(token + sums) * (sums != 0)).sum(dtype=np.uint64) + np.uint64(nominal)))
        keys = np.array(named_by, dtype=np.uint64)
        row = start.copy()
        for key, token, at in zip(keys, tokens, slots, strict=True):
            row += _mixed(key ^ token)[at]
        row = _mixed(row)
    order = np.lexsort([row, arm.astype(np.uint64) * (own.max() + np.uint64(1)) + own])
    return Arranged(
        rows=_parted(order, row, own, arm, rest),
        columns=np.argsort(keys, kind="stable"),
        content=row,
        relabelled={k: _by_size(slots[k], tokens[k]) for k in categorical},
    )


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1].astype(np.uint64)


def _mixed(values: np.ndarray) -> np.ndarray:
    """Scatter 64-bit numbers (the finaliser of splitmix64)."""
    with np.errstate(over="ignore"):
        z = values + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def _sums(halves: tuple[np.ndarray, np.ndarray], at: np.ndarray) -> np.ndarray:
    """Sum 44 bits of the rows' numbers by slot: whole, so exact in whatever order."""
    low, high = (np.bincount(at, half) for half in halves)
    with np.errstate(over="ignore"):
        return low.astype(np.uint64) + (high.astype(np.uint64) << np.uint64(32))


def _by_size(at: np.ndarray, token: np.ndarray) -> np.ndarray:
    """New code of each old one: the commonest first, then by content."""
    counts = np.bincount(at, minlength=len(token))[1:]
    new = np.empty(len(counts), dtype=np.int16)
    new[np.lexsort([token[1:], -counts])] = np.arange(len(counts))
    return new


def _parted(
    order: np.ndarray, row: np.ndarray, own: np.ndarray, arm: np.ndarray, rest: pd.DataFrame | None
) -> np.ndarray:
    """Order rows that tie by their other columns: content before ids, the index last."""
    if rest is None:
        return order
    ranked = np.column_stack([arm[order], own[order]]), row[order]
    alike = (ranked[0][1:] == ranked[0][:-1]).all(axis=1) & (ranked[1][1:] == ranked[1][:-1])
    tied = np.append(alike, False) | np.append(False, alike)
    if not tied.any():
        return order
    group = np.cumsum(~np.append(False, alike))[tied]
    within = group[1:] == group[:-1]
    rows = rest.iloc[order[tied]]
    content, ids = np.zeros(len(rows), np.uint64), np.zeros(len(rows), np.uint64)
    for position in range(rows.shape[1]):
        column = rows.iloc[:, position]
        value = _mixed(_ranks(columns.as_floats(column)) if columns.is_number(column) else text_hash(column))
        if not (within & (value[1:] != value[:-1])).any():
            continue  # parts no tie; and what an arm or a category is called must not enter through it
        if column.nunique() == len(rows) and not pd.api.types.is_float_dtype(column):
            ids += _mixed(text_hash(column))
        else:
            content += _mixed(value ^ _mixed(value.sum(dtype=np.uint64, keepdims=True)))
    places = np.lexsort([text_hash(rows.index.to_series()), ids, content, group])
    order = order.copy()
    order[np.flatnonzero(tied)] = order[np.flatnonzero(tied)][places]
    return order


def by_members(group: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Number groups by what their rows hold, whatever the groups are called; `group` counts from 0."""
    key = np.zeros(int(group.max()) + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        np.add.at(key, group, _mixed(content))
    place = np.empty(len(key), dtype=np.int64)
    place[np.argsort(key, kind="stable")] = np.arange(len(key))
    number: np.ndarray = place[group]
    return number


def text_hash(column: pd.Series) -> np.ndarray:
    """Hash values by what they are called, so that the dtype of an id does not matter (3, 3.0 and '3' are one)."""
    try:
        codes, values = pd.factorize(column, use_na_sentinel=True)
    except TypeError:  # lists and the like
        codes, values = pd.factorize(column.map(repr), use_na_sentinel=True)
    names = [_called(value) for value in values]
    hashed = pd.util.hash_array(np.array([*names, ""], dtype=object), categorize=False)
    found: np.ndarray = hashed[codes]
    return found


def _called(value: object) -> str:
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (float, np.floating)) and np.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value)


def require_features(table: pd.DataFrame, features: Sequence[str], name: str) -> None:
    """Refuse a list of features that is empty or repeats one."""
    if not len(features):
        raise WorkbenchError("features is empty: name the columns known before the campaign that may tell who reacts.")
    twice = sorted({f for f in features if list(features).count(f) > 1})
    if twice:
        raise WorkbenchError("features names {names} more than once: name each column of {name} once.").of(twice, name)
