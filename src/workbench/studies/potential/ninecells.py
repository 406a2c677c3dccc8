"""What is to be done with whom? Nine cells of current by potential value, and how sure each customer's cell is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.figures import Axes, axes, ink_on
from workbench.messages import Count, Label, Message, Named, Number, Share, Span, Term, join, say, spelt
from workbench.methods.resampling import interval
from workbench.result import COUNT, MINIMUM_CELL, SHARE, Quantity, Result, Table, Tile
from workbench.rules import made, prove_parted, read_rules
from workbench.studies.potential.potential import Potential
from workbench.suppression import visible

LEVELS = ("low", "middle", "high")
_TOTALS = ("current", "potential")
SURE = 0.8
"""Probability above which a customer counts as firmly in the cell."""
_CELLS = {f"{now}/{later}": (now, later) for now in LEVELS for later in LEVELS}


@dataclass(frozen=True, eq=False)
class ValueGrid(Result):
    """Customers in nine cells of current by potential value, each with a strategy, and how sure that is.

    Attributes
    ----------
    customers : DataFrame
        One row a customer: the customer's column, current_level, potential_level, strategy, certainty (share of
        resamples that put the customer into this cell).
    table : DataFrame
        One row a cell, highest first: current, potential (levels), strategy, name_zh, action, customers with low and
        high, share, current_value (sum of what was billed: a count, hence without interval), potential_value (sum),
        uncertain (share of its customers). A cell's potential has no interval: its members are chosen by the same
        months whose chance its sum holds, and no interval tried held that (`Potential.total` has one).
    cuts : dict
        Least value that is middle, and high, of each of the two.
    """

    customers: pd.DataFrame
    table: pd.DataFrame
    cuts: dict[str, tuple[float, float]]
    currency: str = "yuan"

    NAME, PICTURE, COUNTS, CHART = "cells", "nine_cells", "customers", say("Nine tiles")
    FORMATS = dict.fromkeys(["customers_low", "customers_high", "current_value", "potential_value"], COUNT) | {
        "uncertain": SHARE
    }

    def headline(self) -> Message:
        """Say how many sit firmly in their cell, and what those high in both bring."""
        certain, best = self.customers["certainty"], self.table.iloc[0]
        shares = best[["current_value", "potential_value"]] / self.table[["current_value", "potential_value"]].sum()
        return join(
            say(
                "{firm} of {n} customers sit in their cell with probability above {sure} (mean {mean}).",
                firm=Share((certain > SURE).mean(), 0),
                n=len(certain),
                sure=Number(SURE, "g"),
                mean=Number(certain.mean(), ".2f"),
            ),
            say(
                "{best} ({share}) are high in both: {current} of the current and {potential} of the potential value.",
                best=int(best["customers"]),
                share=Share(best["share"], 0),
                current=Share(shares.iloc[0], 0),
                potential=Share(shares.iloc[1], 0),
            ),
        )

    def tiles(self) -> tuple[Tile, ...]:
        """Customers who are high in both, and how many sit firmly."""
        best = self.table.iloc[0]
        ends = Span(best["customers_low"], best["customers_high"], ",.0f")
        return (
            Tile(say("customers high in current and potential value"), Count(int(best["customers"])), ends),
            Tile(say("customers who sit firmly in their cell"), Share((self.customers["certainty"] > SURE).mean(), 0)),
        )

    def as_table(self) -> Table:
        """Give the nine cells: who, how much, and how sure."""
        frame = self._spelt().drop(columns=["name_zh", "action"])
        caption = say("The nine cells: who, how much ({unit} a year), and how sure.", unit=Term(self.currency))
        return Table(self.NAME, frame, caption, self.FORMATS, self.COUNTS, totals=_TOTALS)

    def strategies(self) -> Table:
        """Give what to do in each cell."""
        columns = ["current", "potential", "strategy", "action"]
        return Table("strategies", self._spelt()[columns], say("What to do in each cell."))

    def _spelt(self) -> pd.DataFrame:
        names = zip(self.table["strategy"], self.table["name_zh"], strict=True)
        return self.table.assign(strategy=[spelt(*both) for both in names])

    def picture_caption(self) -> Message:
        """Say what the picture shows."""
        return join(say("Current by potential value."), self.headline())

    def quantities(self) -> Iterable[Quantity]:
        """Customers by cell, and the share that sits firmly."""
        yield Quantity("cell_certain", float((self.customers["certainty"] > SURE).mean()), "share")
        for place, r in enumerate(self.table.itertuples()):
            name = f"cell[current={r.current},potential={r.potential}]"
            ends = r.customers_low, r.customers_high
            yield Quantity(name, float(r.customers), "customers", *ends, row=place)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw nine tiles: strategy, customers, shares of both values; the darker, the more potential."""
        ax = axes(ax)
        shares = (
            self.table[["current_value", "potential_value"]] / self.table[["current_value", "potential_value"]].sum()
        )
        image = shares["potential_value"].to_numpy()[::-1].reshape(3, 3)
        drawn = ax.pcolormesh(image, cmap="Blues", vmin=0, vmax=1.3 * image.max())
        seen = visible(self.table, self.COUNTS, MINIMUM_CELL, _TOTALS)
        for row, (now, later), shown in zip(self.table.itertuples(), shares.to_numpy(), seen, strict=True):
            x, y = LEVELS.index(row.potential) + 0.5, LEVELS.index(row.current) + 0.5
            style: dict[str, Any] = {"color": ink_on(drawn.to_rgba(later)), "ha": "center", "va": "center"}
            ax.text(x, y + 0.37, say("{name}", name=Named(str(row.strategy), str(row.name_zh))), fontsize=11, **style)
            parts = {"now": Share(now, 0), "later": Share(later, 0), "uncertain": Share(row.uncertain, 0)}
            text = "–" if row.customers else say("no customers")
            if row.customers and shown:
                text = say(
                    "{n} customers\n{now} of current value\n{later} of potential\n{uncertain} uncertain",
                    n=row.customers,
                    **parts,
                )
            ax.text(x, y - 0.13, text, fontsize=9, **style)
        for axis, name in ((ax.xaxis, "potential"), (ax.yaxis, "current")):
            low, high = self.cuts[name]
            ends = (
                say("low\n< {to}", to=Number(low, ",.1f")),
                "middle",
                say("high\n≥ {since}", since=Number(high, ",.1f")),
            )
            axis.set_ticks([0.5, 1.5, 2.5], ends)
            axis.set_label_text(self.say("{name} ({currency} a year)", name=Label(f"{name}_value")))
        ax.tick_params(length=0)
        ax.grid(False)
        return ax


def value_grid(
    potential: Potential,
    *,
    current_cuts: tuple[float, float] | None = None,
    potential_cuts: tuple[float, float] | None = None,
    strategies: str | Path | None = None,
) -> ValueGrid:
    """Put customers into nine cells of current by potential value, and tell how many may belong elsewhere.

    Parameters
    ----------
    current_cuts, potential_cuts : pair of float, optional
        Least value of a year that is middle, and high; thirds of the customers where not given.
    strategies : path, optional
        TOML in the format of `value_strategies.toml` beside this module.

    Raises
    ------
    WorkbenchError, CannotAnswer
        If cuts do not rise, a cell has no strategy or two, the values are too alike for thirds, or they add up to
        nothing.
    """
    plan, given = _strategies(strategies), (current_cuts, potential_cuts)
    values = potential.customers[["current", "potential"]].to_numpy().T
    cuts = [cut_points(v, c, name) for v, c, name in zip(values, given, ("current", "potential"), strict=True)]
    cell = _cell(values, cuts)
    stays, sums = np.zeros(len(cell)), np.empty((len(potential.draws), 9))
    for i, drawn in enumerate(potential.draws):
        moved = [np.quantile(v, (1 / 3, 2 / 3)) if g is None else c for v, c, g in zip(drawn, cuts, given, strict=True)]
        there = _cell(drawn, moved)
        stays += there == cell
        sums[i] = np.bincount(there, minlength=9)
    for name, value in zip(("current", "potential"), values, strict=True):
        if not value.sum() > 0:
            raise CannotAnswer(
                "not answerable: the {name} value of all customers is {value}, of which no cell has a share. Look "
                "at the credit notes and costs in the months."
            ).of(Term(name), Number(value.sum(), ",.0f"))
    certainty = stays / len(sums) if len(sums) else np.full(len(cell), np.nan)
    counts, current, more = np.bincount(cell, minlength=9), *(np.bincount(cell, v, 9) for v in values)
    low, high = interval(counts, sums, level=potential.level) if len(sums) else np.full((2, 9), np.nan)
    columns = {"customers": counts, "customers_low": low, "customers_high": high, "current_value": current}
    columns |= {"potential_value": more}
    where = list(_CELLS.values())
    names = pd.DataFrame([{"current": now, "potential": later, **plan[now, later]} for now, later in where])
    table = names.join(pd.DataFrame(columns))
    table.insert(6, "share", table["customers"] / len(cell))
    table["uncertain"] = pd.Series(~(certainty > SURE)).groupby(cell).mean().reindex(range(9))
    found = (
        potential.customers.iloc[:, :1]
        .join(names.iloc[cell][["current", "potential", "strategy"]].reset_index(drop=True))
        .rename(columns={"current": "current_level", "potential": "potential_level"})
    )
    cut = {name: (float(a), float(b)) for name, (a, b) in zip(("current", "potential"), cuts, strict=True)}
    return ValueGrid(found.assign(certainty=certainty), table[::-1].reset_index(drop=True), cut, potential.currency)


def cut_points(values: np.ndarray, given: tuple[float, float] | None, name: str) -> np.ndarray:
    """Where middle and high begin: as given, or thirds that leave nobody's level empty."""
    cuts = np.quantile(values, (1 / 3, 2 / 3)) if given is None else np.asarray(given, dtype=float)
    if given is not None and not (cuts.shape == (2,) and cuts[0] < cuts[1]):
        raise WorkbenchError("{name}_cuts are two rising numbers, where middle and high begin; not {given}.").of(
            name, str(given)
        )
    if given is None and len({int(c) for c in (values[:, None] >= cuts).sum(axis=1)}) < 3:
        raise CannotAnswer(
            "{n} customers have {different} different {name} values, too alike for thirds. Give {option}."
        ).of(len(values), len(np.unique(values)), Term(name), f"{name}_cuts")
    return cuts


def _cell(values: np.ndarray, cuts: list[np.ndarray]) -> np.ndarray:
    """Position among the nine, current first, low before high."""
    now, later = ((v >= c[0]).astype(int) + (v >= c[1]) for v, c in zip(values, cuts, strict=True))
    return 3 * now + later


def _strategies(path: str | Path | None) -> dict[tuple[str, str], dict[str, str]]:
    """Strategy by cell, proved to hold each of the nine once."""

    def proved(strategy: tuple[dict[str, Any], ...] = ()) -> dict[tuple[str, str], dict[str, str]]:
        where = str(path or "value_strategies.toml")
        held = [made(_held, entry, say("a strategy of {file}", file=where)) for entry in strategy]
        prove_parted([(plan["strategy"], cells) for plan, cells in held], _CELLS, where, "strategy")
        return {_CELLS[cell]: plan for plan, cells in held for cell in cells}

    return read_rules(path, __package__, "value_strategies.toml", proved)


def _held(name: str, name_zh: str, action: str, cells: Sequence[str]) -> tuple[dict[str, str], Sequence[str]]:
    return {"strategy": name, "name_zh": name_zh, "action": action}, cells
