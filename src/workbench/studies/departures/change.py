"""Did churn change because the base did, or because the rates did?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from scipy import sparse

from workbench.columns import require_table, take
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.messages import Label, Listed, Message, Number, Share, Span, join, say
from workbench.methods.cells import distinct, listed
from workbench.methods.intervals import require_level
from workbench.methods.resampling import Rng, fixed, interval, require_resamples
from workbench.methods.shapley import shapley
from workbench.result import Quantity, Result, Tile
from workbench.studies.departures.codes import alike, apart, codes

FEWEST_LEFT = 10
"""Fewer departures on a side tell no change."""
RATES, TOTAL = "rates", "change"
_MOST_COLUMNS = 4


@dataclass(frozen=True, eq=False)
class ChurnChange(Result):
    """A change of the share who left, split into what the mix of the base and what the rates did.

    Attributes
    ----------
    table : DataFrame
        One row a set of columns and part: columns, part (a column: mix; rates; change: their sum),
        percentage_points, low, high. A column that is itself called rates or change stands in quotation marks.
    rates : tuple of float
        Share who left before and after.
    customers : tuple of int
        Before and after.
    """

    table: pd.DataFrame
    rates: tuple[float, float]
    customers: tuple[int, int]
    level: float

    NAME, CHART = "churn_change", say("Dots with intervals, a row a set of columns and part")
    FORMATS = dict.fromkeys(["percentage_points", "low", "high"], "{:+.2f}")
    CAPTION = (
        "Change of the share who left, in percentage points: by the mix of each column, and by the rates within its "
        "groups. The split depends on the columns."
    )
    PICTURE_CAPTION = "What the change of churn is made of, by set of columns (percentage points)."

    @property
    def total(self) -> pd.Series:
        """The change itself."""
        return self.table[self.table["part"] == TOTAL].iloc[0]

    def headline(self) -> Message:
        """Say the change, and what the mix did by each set of columns."""
        row, sets = self.total, []
        for name, part in self.table.groupby("columns", sort=False):
            mix = part.loc[~part["part"].isin([RATES, TOTAL]), "percentage_points"].sum()
            rate = part.loc[part["part"] == RATES, "percentage_points"].iloc[0]
            sets.append(
                say(
                    "by {columns} {mix} from the mix and {rates} from rates",
                    columns=Listed(map(Label, str(name).split(" · ")), "·"),
                    mix=Number(mix, "+.2f"),
                    rates=Number(rate, "+.2f"),
                )
            )
        said: dict[str, object] = {
            "before": Share(self.rates[0], 2),
            "after": Share(self.rates[1], 2),
            "points": Number(row["percentage_points"], "+.2f"),
            "span": Span(row["low"], row["high"], "+.2f"),
        }
        text = say("Churn went from {before} to {after}, {points} points {span}, not significant.", **said)  # type: ignore[arg-type]
        if row["low"] > 0 or row["high"] < 0:
            text = say("Churn went from {before} to {after}, {points} points {span}.", **said)  # type: ignore[arg-type]
        return join(text, say("Of this, {sets}.", sets=Listed(sets, ";")))

    def tiles(self) -> tuple[Tile, ...]:
        """Give the change."""
        row = self.total
        ends = Span(row["low"], row["high"], "+.2f")
        return (Tile(say("change of churn, percentage points"), Number(row["percentage_points"], "+.2f"), ends),)

    def quantities(self) -> Iterable[Quantity]:
        """Name each part."""
        for r in self.table.itertuples():
            name = f"churn_change[columns={r.columns},part={r.part}]"
            yield Quantity(name, r.percentage_points, "percentage points", r.low, r.high)


def churn_change(
    before: pd.DataFrame,
    after: pd.DataFrame,
    *,
    customer: str,
    left: str,
    by: Sequence[str | Sequence[str]],
    resamples: int = 400,
    level: float = 0.95,
    rng: Rng = 0,
) -> ChurnChange:
    """Split a change of the share who left into mix and rates (Kitagawa; Shapley for several columns), exactly.

    A customer's group may be seen before and after: customers are resampled with both. The split depends on the
    columns, so give more than one set.

    Parameters
    ----------
    before, after : DataFrame
        One row a customer there at the beginning of a time.
    customer, left : str
        Columns: who; whether they left within the time (0/1 or boolean).
    by : sequence of str or of sequences of str
        Sets of 1 to 4 columns of groups, known at the beginning.
    resamples : int
        At least 2.

    Raises
    ------
    WorkbenchError
        If a column is missing or holds no such values, or a set has no column or more than 4.
    CannotAnswer
        If fewer than 10 left before or after.

    References
    ----------
    Kitagawa (1955), JASA 50. Das Gupta (1993), Standardization and decomposition of rates. Shapley (1953).

    Examples
    --------
    A tenth of the large group left and half of the small, which doubled: all is mix.

    >>> old = pd.DataFrame({"id": range(100), "kind": ["a"] * 80 + ["b"] * 20, "gone": ([1] + [0] * 9) * 8
    ...     + [1, 0] * 10})
    >>> new = pd.DataFrame({"id": range(100), "kind": ["a"] * 60 + ["b"] * 40, "gone": ([1] + [0] * 9) * 6
    ...     + [1, 0] * 20})
    >>> found = churn_change(old, new, customer="id", left="gone", by=["kind"])
    >>> found.table["percentage_points"].round(12).tolist()
    [8.0, 0.0, 8.0]
    """
    sets = [listed(one) for one in by]
    if not sets or any(not 1 <= len(one) <= _MOST_COLUMNS for one in sets):
        raise WorkbenchError("by={by}: give sets of 1 to {most} columns, such as by=['contract'].").of(
            str(list(by)), _MOST_COLUMNS
        )
    distinct([" · ".join(one) for one in sets], say("set of columns"))
    require_level(level)
    require_resamples(resamples)
    names = list(dict.fromkeys(name for one in sets for name in one))
    for table, said in ((before, "before"), (after, "after")):
        require_table(table, [customer, left, *names], said)
    read = {name: alike(before[name], after[name], name) for name in names}
    old, new = (
        take(
            table.assign(**{customer: codes(table[customer], customer)}, **{name: read[name][i] for name in names}),
            said,
            key=customer,
            flags=[left],
            by=names,
        ).table.set_index(customer)
        for i, (table, said) in enumerate(((before, "before"), (after, "after")))
    )
    gone = int(old[left].sum()), int(new[left].sum())
    if min(gone) < FEWEST_LEFT:
        raise CannotAnswer(
            say(
                "not answerable: {before} left before and {after} after, {few} are needed in each.",
                before=gone[0],
                after=gone[1],
                few=FEWEST_LEFT,
            )
        )
    rows: list[list[object]] = []
    for one, parts in zip(sets, _drawn(old, new, sets, left, int(resamples), rng), strict=True):
        low, high = interval(parts[0], parts[1:], level=level)
        called = apart(pd.Series(one), [RATES, TOTAL]).tolist()
        for i, part in enumerate([*called, RATES, TOTAL]):
            rows.append([" · ".join(called), part, parts[0, i], low[i], high[i]])
    table = pd.DataFrame(rows, columns=["columns", "part", "percentage_points", "low", "high"])
    shares = float(old[left].mean()), float(new[left].mean())
    return ChurnChange(table, shares, (len(old), len(new)), level)


def _drawn(
    old: pd.DataFrame, new: pd.DataFrame, sets: list[list[str]], left: str, resamples: int, rng: Rng
) -> Iterator[np.ndarray]:
    """Parts of the change in points by each set, shape (1 + resamples, parts and their sum): as seen, then resampled.

    A customer is drawn with their cell and outcome on both sides.
    """
    ids = old.index.union(new.index)
    place = [ids.get_indexer(table.index) for table in (old, new)]
    cells, shapes = np.zeros((len(sets), 2, len(ids)), dtype=np.int64), []
    for k, one in enumerate(sets):  # cell and outcome of each customer, 0 where they were not there
        sides, shape = _coded(old, new, one, left)
        for side in (0, 1):
            cells[k, side, place[side]] = sides[side] + 1
        shapes.append(shape)
    combos, counts = np.unique(cells.reshape(2 * len(sets), -1), axis=1, return_counts=True)
    drawn = np.random.default_rng(fixed(rng)).multinomial(len(ids), counts / len(ids), size=resamples)
    weights = np.vstack([counts, drawn])
    for k, shape in enumerate(shapes):
        sums = [_sums(weights, combos[2 * k + side], int(np.prod(shape))) for side in (0, 1)]
        parts = 100 * _shapley(*sums[0], *sums[1], shape)
        yield np.column_stack([parts, parts.sum(axis=1)])


def _coded(old, new, names: list[str], left: str) -> tuple[list[np.ndarray], tuple[int, ...]]:
    """Give each row 2 × its cell + whether it left, for both sides, and how many values each column has."""
    both = pd.concat([old, new])
    codes = [pd.factorize(both[name], sort=True) for name in names]
    shape = tuple(len(values) for _, values in codes)
    cell = np.ravel_multi_index([code for code, _ in codes], shape)
    code = 2 * cell + both[left].to_numpy(dtype=int)
    return [code[: len(old)], code[len(old) :]], shape


def _sums(weights: np.ndarray, code: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Customers and departures by cell, each of shape (draws, cells)."""
    there = sparse.csr_matrix((np.ones(len(code)), (np.arange(len(code)), code)), (len(code), 2 * cells + 1))
    counts = np.asarray(weights @ there)[:, 1:].reshape(len(weights), cells, 2)
    return counts.sum(axis=2), counts[:, :, 1]


def _shapley(n0, d0, n1, d1, shape: tuple[int, ...]) -> np.ndarray:
    """Shapley's shares of the change, shape (draws, columns + 1): the mix of each column, then the rates.

    With some columns after and the others before, the base has the mix of the first as it is after, and of the others
    within it as it was before. A cell that only one side has takes its rate, and its mix within, from that side.
    """
    draws, k = len(n0), len(shape)
    full = (draws, *shape)
    w0, w1 = (n.reshape(full) / n.sum(axis=1).reshape(-1, *[1] * k) for n in (n0, n1))
    r0, r1 = (np.divide(d, n, out=np.full(n.shape, np.nan), where=n > 0).reshape(full) for d, n in ((d0, n0), (d1, n1)))
    r0, r1 = np.where(np.isnan(r0), r1, r0), np.where(np.isnan(r1), r0, r1)
    r0, r1 = np.nan_to_num(r0), np.nan_to_num(r1)

    def mixed(chosen: tuple[int, ...]) -> np.ndarray:
        rest = tuple(1 + i for i in range(k) if i not in chosen)
        if len(rest) == k:
            return w0
        first = w1.sum(axis=rest, keepdims=True)
        own, other = (w.sum(axis=rest, keepdims=True) for w in (w0, w1))
        within = np.where(
            own > 0, w0 / np.where(own > 0, own, 1), np.where(other > 0, w1 / np.where(other > 0, other, 1), 0.0)
        )
        return first * within

    inside = tuple(range(1, k + 1))
    value = {}
    for flags in product((0, 1), repeat=k):
        weight = mixed(tuple(i for i in range(k) if flags[i]))
        for rate, r in ((0, r0), (1, r1)):
            value[(*flags, rate)] = (weight * r).sum(axis=inside)
    return np.column_stack([shapley(value, player) for player in range(k + 1)])
