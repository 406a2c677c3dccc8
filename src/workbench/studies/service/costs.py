"""What does serving each tier of customers cost beside what it brings?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, require_columns
from workbench.figures import Axes, dot_and_interval
from workbench.messages import Listed, Message, Share, Span, Term, say
from workbench.methods.resampling import Rng, bootstrap_weights, interval, require_resamples, seeds
from workbench.methods.rows import checked
from workbench.result import COUNT, Quantity, Result, Table, Tile
from workbench.rules import prove, read_rules
from workbench.studies.service.promises import FEWEST

MEASURES = ("revenue", "margin", "cost", "net", "cost_share")


def unit_costs(path: str | Path | None = None) -> pd.DataFrame:
    """Read unit costs from a TOML file, one row an event; without one, those that ship."""
    table = read_rules(path, __package__, "unit_costs.toml", lambda cost: pd.DataFrame(list(cost)))
    require_columns(table, ["event", "unit", "cost", "source", "assumption"], "unit costs")
    good = not table["event"].duplicated().any() and (table["cost"] >= 0).all() and table["assumption"].dtype == bool
    prove("unit costs", {"one cost from 0 for each event, and whether it is an assumption (true or false)": good})
    return table


@dataclass(frozen=True, eq=False)
class CostToServe(Result):
    """What each tier brings and costs, in currency a customer over a window.

    `table`, one row a tier and measure (revenue, margin, cost, net; cost_share, cost of all over their margin):
    customers, losing (share who cost more than they bring), estimate, low, high, total. `costs`: unit costs with source
    and assumption, and each one's share of the whole; `assumed`, the share that rests on assumed unit costs. `outside`
    counts customers of no tier.
    """

    table: pd.DataFrame
    costs: pd.DataFrame
    assumed: float
    outside: int
    level: float
    currency: str = "yuan"

    NAME, COUNTS, TOTALS = "cost", "customers", ("measure",)
    CHART = say("Dots with intervals, a row a tier")
    FORMATS = {"losing": "{:.1%}", "total": COUNT} | dict.fromkeys(["estimate", "low", "high"], "{:,.1f}")
    CAPTION = "What a customer of each tier brings and costs in a year ({currency})."

    def headline(self) -> Message:
        """Say what share of the margin service takes at the top and at the end, and what that rests on."""
        rows = self.table[self.table["measure"] == "cost_share"].iloc[[0, -1]].itertuples()
        parts = (
            say(
                "{share} {span} of the margin of {tier}",
                share=Share(r.estimate),
                span=Span(r.low, r.high, ".1%"),
                tier=Term(r.tier),
            )
            for r in rows
        )
        basis = say("unit costs are as given")
        if self.assumed:
            assumed = Share(self.assumed, 0)
            basis = say("unit costs are an assumption for {share} of the cost, not measured", share=assumed)
        return self.say(
            "Service takes {parts} customers ({level} intervals); {basis}.", parts=Listed(parts), basis=basis
        )

    def tiles(self) -> tuple[Tile, ...]:
        """What service takes of the margin of the last tier."""
        last = self.table[self.table["measure"] == "cost_share"].iloc[-1]
        if last["customers"] < FEWEST:
            return ()
        label = say("service cost, share of margin, {tier}", tier=Term(last["tier"]))
        return (Tile(label, Share(last["estimate"]), Span(last["low"], last["high"], ".1%", self.level)),)

    def summary(self) -> pd.DataFrame:
        """Tabulate tier and measure with interval and total, in currency."""
        return self.table[self.table["measure"] != "cost_share"]

    def basis(self) -> Table:
        """Give the unit costs as a page shows them."""
        said = self.say("What a contact or case costs ({currency}), and what that rests on.")
        return Table("unit_costs", self.costs.drop(columns="share"), said, {"cost": "{:,.2f}"})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share of each tier's margin that service takes."""
        rows = self.table[self.table["measure"] == "cost_share"]
        label = self.say("cost to serve (% of margin, {level} interval)")
        return dot_and_interval(rows["tier"], 100 * rows[["estimate", "low", "high"]], ax, label=label, digits=".1f")

    def quantities(self) -> Iterable[Quantity]:
        """Cost and net of a customer of each tier, and what share of the margin the cost takes."""
        places = {tier: place for place, tier in enumerate(self.summary()["tier"])}
        for r in self.table[~self.table["measure"].isin(["revenue", "margin"])].itertuples():
            unit = "share" if r.measure == "cost_share" else self.currency
            low, high = (None, None) if np.isnan(r.low) else (float(r.low), float(r.high))
            yield Quantity(
                f"service_{r.measure}[tier={r.tier}]", float(r.estimate), unit, low, high, row=places[r.tier]
            )


def cost_to_serve(
    customers: pd.DataFrame,
    *,
    customer: str,
    tier: str,
    revenue: str,
    margin: str | float,
    order: Sequence[str],
    costs: pd.DataFrame | None = None,
    level: float = 0.95,
    resamples: int = 1_000,
    currency: str = "yuan",
    rng: Rng = 0,
) -> CostToServe:
    """Set what serving each tier costs beside what it brings.

    `customers` has one row each: revenue of a window and, for each event of `costs` (`unit_costs()` if None), its
    number in the same window. `margin` before service is a column, or a share of the revenue. `order` has the tiers,
    best first; customers of others (excluded, left) are counted and left out.
    """
    require_resamples(resamples)
    costs = unit_costs() if costs is None else costs
    events, columns = costs["event"].tolist(), [margin] if isinstance(margin, str) else []
    require_columns(customers, events, "customers")
    if unknown := [event for event in events if len(customers) and customers[event].isna().all()]:
        raise CannotAnswer("not answerable: nothing is on record of {events}. Contacts and tickets tell it.").of(
            unknown
        )
    table = checked(customers, [customer], [revenue, *events, *columns], "customers")
    require_columns(table, [tier], "customers")
    inside, income = table[tier].isin(order).to_numpy(), table[revenue].to_numpy(float)
    earned = table[margin].to_numpy(float) if columns else margin * income
    each = table[events].to_numpy(float) * costs["cost"].to_numpy()
    spent, one = each.sum(axis=1), np.ones(len(table))
    tops = np.column_stack([income, earned, spent, earned - spent, spent])
    bottoms = np.column_stack([one, one, one, one, earned])
    rows = []
    for name, seed in zip(order, seeds(rng, len(order)), strict=True):
        at = np.flatnonzero(table[tier] == name)
        if len(at) < 2 or not earned[at].sum() > 0:
            raise CannotAnswer("tier '{tier}' has {n} customers or no margin: nothing tells what they cost.").of(
                Term(name), len(at)
            )
        ends = _ratios(tops[at], bottoms[at], level, resamples, seed)
        head = {"tier": name, "customers": len(at), "losing": float((spent[at] > earned[at]).mean())}
        found = {"measure": MEASURES, **dict(zip(("estimate", "low", "high"), ends, strict=True))}
        rows.append(pd.DataFrame({**head, **found, "total": tops[at].sum(axis=0)}))
    share = each[inside].sum(axis=0) / (each[inside].sum() or 1)
    assumed = float(share[costs["assumption"].to_numpy()].sum())
    table = pd.concat(rows, ignore_index=True)
    return CostToServe(table, costs.assign(share=share), assumed, int((~inside).sum()), level, currency)


def _ratios(top: np.ndarray, bottom: np.ndarray, level: float, resamples: int, rng: Rng) -> tuple[np.ndarray, ...]:
    """Ratios of sums over customers, with bootstrap (BCa) ends, each (measures,)."""
    estimate = top.sum(axis=0) / bottom.sum(axis=0)
    drawn = [(rows @ top) / (rows @ bottom) for rows in bootstrap_weights(len(top), resamples, rng=rng)]
    with np.errstate(divide="ignore", invalid="ignore"):
        without = (top.sum(axis=0) - top) / (bottom.sum(axis=0) - bottom)
    ends = interval(estimate, np.concatenate(drawn), method="bca", level=level, jackknife=without)
    varies = np.ptp(without, axis=0) > 1e-12 * np.abs(estimate)  # who all cost alike do not tell how others do
    return estimate, *np.where(varies, ends, np.nan)
