"""Where does a gap come from? The difference of two indices split to items, adding up exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd

from workbench.figures import Axes, dot_and_interval
from workbench.messages import Label, Listed, Message, Number, Span, Value, say
from workbench.methods.cells import cell_name, one_cell
from workbench.methods.plspm.batch import Layout
from workbench.methods.resampling import standard_error
from workbench.result import Quantity, Result
from workbench.studies.satisfaction.draws import called, refuse_undefined, with_ends
from workbench.studies.satisfaction.gaps import gaps_between, operator_groups
from workbench.studies.satisfaction.index import SatisfactionIndex

SUM = "all"


@dataclass(frozen=True, eq=False)
class ItemGaps(Result):
    """What each item contributes to the gaps between cells.

    Attributes
    ----------
    table : DataFrame
        One row a pair and item, then one for their sum (item "all"): the columns of the cells, against, item,
        gap (points), se, low, high.
    labels : mapping of item to Value
        What each item is called.
    """

    table: pd.DataFrame
    construct: str
    level: float
    labels: Mapping[str, Value] = field(default_factory=dict)

    NAME = "gap_items"
    CHART = say("Dots with intervals, a row an item")
    FORMATS = dict.fromkeys(["gap", "low", "high"], "{:+.1f}") | {"se": "{:.1f}"}

    def headline(self) -> Message:
        """Say of the largest gap which items it comes from, largest part first."""
        rows = self._largest()
        whole, parts = rows.iloc[-1], rows.iloc[:-1]
        sign = 1 if whole["gap"] >= 0 else -1
        parts = parts.loc[(parts["gap"] * sign).sort_values(ascending=False, kind="stable").index]
        top = parts.iloc[0]
        low, high = sorted((sign * top["low"], sign * top["high"]))
        first = say(
            "{gap} {span} come from {item}",
            gap=Number(sign * top["gap"], ".1f"),
            span=Span(low, high, ".1f", self.level),
            item=called(top["item"], self.labels),
        )
        rest = (
            say("{gap} from {item}", gap=Number(sign * row["gap"], ".1f"), item=called(row["item"], self.labels))
            for row in parts.iloc[1:].to_dict("records")
        )
        names: dict[str, Value | str] = {
            "cell": one_cell(whole[c] for c in self.table.columns[: self.table.columns.get_loc("against")][::-1]),
            "gap": Number(abs(whole["gap"]), ".1f"),
            "other": str(whole["against"]),
            "construct": Label(self.construct),
        }
        return say(
            "{gap}; of these, {parts}.",
            gap=say("{cell} is {gap} points above {other} in {construct}", **names)
            if sign > 0
            else say("{cell} is {gap} points below {other} in {construct}", **names),
            parts=Listed([first, *rest], ""),
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the items' parts of the largest gap and their sum."""
        rows = self._largest()
        other = str(rows["against"].iloc[0])
        label = self.say("part of the gap in {construct} to {other} (points)", other=other)
        table = rows.rename(columns={"gap": "estimate"})
        names = [say("{it}", it=self.labels[item]) if item in self.labels else str(item) for item in rows["item"]]
        return dot_and_interval(names, table, ax, label=label, zero=True, digits="+.1f")

    def quantities(self) -> Iterable[Quantity]:
        """Name every item's part."""
        keys = [*self.table.columns[: self.table.columns.get_loc("against") + 1]]
        for row in self.table[self.table["item"] != SUM].to_dict("records"):
            name = ",".join(f"{key}={row[key]}" for key in keys) + f",construct={self.construct},item={row['item']}"
            yield Quantity(f"gap_item[{name}]", row["gap"], "points", row["low"], row["high"])

    def _largest(self) -> pd.DataFrame:
        ends = np.flatnonzero(self.table["item"] == SUM)
        place = int(np.argmax(self.table["gap"].abs().to_numpy()[ends]))
        return self.table.iloc[ends[place - 1] + 1 if place else 0 : ends[place] + 1]


def gap_to_items(index: SatisfactionIndex, *, operator: str = "operator") -> ItemGaps:
    """Split gaps to the items of the index's construct, adding up exactly.

    The gaps are those of every pair of operators within each combination of the other columns. With the index's common
    outer weights an item's part is its share in the index times the difference of its means.

    Raises
    ------
    CannotAnswer
        If there is no pair, or an index is not defined.
    """
    construct, model = index.construct, index.fit.model
    low, high = model.construct(construct).ends()
    items = slice(at := Layout(model).start[model.names.index(construct)], at + len(low))
    _, groups = operator_groups(index, operator)
    a, b = np.array([pair for rows in groups for pair in combinations(rows, 2)]).T
    refuse_undefined(index.fit, [construct])
    share = np.vstack([index.fit.unstandardised_weights.to_numpy(), index.item_weights])[:, None, items] * (high - low)
    share = share / share.sum(axis=-1, keepdims=True)
    points = 100 * (np.concatenate([index.item_mean[None], index.item_means])[:, :, items] - low) / (high - low)
    parts = share * (points[:, a] - points[:, b])
    reach = np.hypot(*(index.item_reach[side][:, items] for side in (a, b)))
    hidden = np.column_stack([share[0] * reach, np.zeros(len(a))]).ravel()
    return _tabulated(index, (a, b), operator, construct, parts, hidden)


def _tabulated(index, pairs, operator, construct, parts, hidden) -> ItemGaps:
    first, second = pairs
    names = [*index.fit.model.construct(construct).items, SUM]
    order = sorted(index.by, key=lambda column: column == operator)
    at = np.repeat(first, len(names))
    against = [
        cell_name(b for a, b in zip(index.cells.iloc[i], index.cells.iloc[j], strict=True) if a != b)
        for i, j in zip(first, second, strict=True)
    ]
    table = index.cells.loc[at, order].reset_index(drop=True)
    table = table.assign(against=np.repeat(against, len(names)), item=names * len(first))

    def flat(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([rows, rows.sum(axis=-1, keepdims=True)], axis=-1).reshape(len(rows), -1)

    gap, df = flat(parts), np.array([m.df for m in index.of(construct)])
    df = np.repeat(np.maximum(np.minimum(df[first], df[second]), 1), len(names))
    table = with_ends(table, index.level, gap=gap, df=df, hidden=hidden).rename(
        columns={"gap_low": "low", "gap_high": "high"}
    )
    error = np.hypot(standard_error(gap[1:]), hidden)
    table.insert(table.columns.get_loc("low"), "se", np.where(error > 0, error, np.nan))
    _, *whole = gaps_between(index, first, second)
    table.loc[table["item"] == SUM, ["se", "low", "high"]] = np.column_stack(whole[:3])
    return ItemGaps(table, construct, index.level, index.fit.model.labels)
