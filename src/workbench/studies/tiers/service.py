"""What does serving each tier cost beside what it brings, and does it get the service it is promised?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.columns import number
from workbench.errors import CannotAnswer, require_columns
from workbench.figures import dot_and_interval
from workbench.messages import Listed, Message, Number, Share, Span, Term, Word, say
from workbench.methods import intervals
from workbench.methods.resampling import Rng, bootstrap_weights, interval, seeds
from workbench.result import COUNT, SHARE, Quantity, Result, Table, Tile
from workbench.studies.tiers.rules import checked, prove, read_rules

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURES = ("revenue", "margin", "cost", "net", "cost_share")
YEAR = 365
FEWEST = 30


def unit_costs(path: str | Path | None = None) -> pd.DataFrame:
    """Read unit costs from a TOML file, one row an event; without one, those that ship."""
    table = read_rules(path, "unit_costs.toml", lambda cost: pd.DataFrame(list(cost)))
    require_columns(table, ["event", "unit", "cost", "source", "assumption"], "unit costs")
    good = not table["event"].duplicated().any() and (table["cost"] >= 0).all() and table["assumption"].dtype == bool
    prove("unit costs", {"one cost from 0 for each event, and whether it is an assumption (true or false)": good})
    return table


@dataclass(frozen=True)
class ServiceStandard:
    """What each tier is promised (`tiers`, one row each, best first), and how that is judged (`promises`)."""

    tiers: pd.DataFrame
    promises: tuple[Mapping[str, Any], ...]

    def limits(self) -> dict[str, list[float]]:
        """Seconds or hours to judge each kind of case by: what the warehouse is to count."""
        return {p["event"]: sorted(set(self.tiers[p["column"]])) for p in self.promises if "event" in p}


def service_standard(path: str | Path | None = None) -> ServiceStandard:
    """Read a service standard from a TOML file; without one, that which ships.

    >>> service_standard().limits()["hotline"]
    [10, 15, 20, 40]
    """
    tiers, promises = read_rules(path, "service_tiers.toml", lambda tier, promise: (pd.DataFrame(list(tier)), promise))
    require_columns(tiers, ["name", "name_zh", *(p.get("column", "column") for p in promises)], "service standard")
    one_way = all("says" in p and len({"event", "count", "unchecked"} & set(p)) == 1 for p in promises)
    prove("service standard", {
        "two or more tiers with unique names and the same keys": len(tiers) > 1
        and not tiers["name"].duplicated().any() and not tiers.isna().any(axis=None),
        "each promise has column, says, and one of event, count, unchecked": one_way,
    })  # fmt: skip
    return ServiceStandard(tiers.rename(columns={"name": "tier"}), promises)


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

    NAME, COUNTS = "cost", "customers"
    CHART = say("Dots with intervals, a row a tier")
    FORMATS = {"losing": "{:.1%}", "total": COUNT} | dict.fromkeys(["estimate", "low", "high"], "{:,.1f}")

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
        return say(
            "Service takes {parts} customers ({level} intervals); {basis}.",
            parts=Listed(parts),
            level=Share(self.level, 0),
            basis=basis,
        )

    def tiles(self) -> tuple[Tile, ...]:
        """What service takes of the margin of the last tier."""
        last = self.table[self.table["measure"] == "cost_share"].iloc[-1]
        if last["customers"] < FEWEST:
            return ()
        label = say("cost of service as a share of margin, {tier}", tier=Term(last["tier"]))
        return (Tile(label, Share(last["estimate"]), Span(last["low"], last["high"], ".1%", self.level)),)

    def summary(self) -> pd.DataFrame:
        """Tabulate tier and measure with interval and total, in currency."""
        return self.table[self.table["measure"] != "cost_share"]

    def caption(self) -> Message:
        """Say what the table shows, with its units."""
        return say(
            "What a customer of each tier brings and costs in a year ({currency}).", currency=Term(self.currency)
        )

    def basis(self) -> Table:
        """Give the unit costs as a page shows them."""
        said = say("What a contact or case costs ({currency}), and what that rests on.", currency=Term(self.currency))
        return Table("unit_costs", self.costs.drop(columns="share"), said, {"cost": "{:,.2f}"})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share of each tier's margin that service takes."""
        rows = self.table[self.table["measure"] == "cost_share"]
        label = say("cost to serve (% of margin, {level} interval)", level=Share(self.level, 0))
        return dot_and_interval(rows["tier"], 100 * rows[["estimate", "low", "high"]], ax, label=label, digits=".1f")

    def quantities(self) -> Iterable[Quantity]:
        """Cost and net of a customer of each tier, and what share of the margin the cost takes."""
        for r in self.table[~self.table["measure"].isin(["revenue", "margin"])].itertuples():
            unit = "share" if r.measure == "cost_share" else self.currency
            yield Quantity(f"service_{r.measure}[tier={r.tier}]", float(r.estimate), unit, float(r.low), float(r.high))


def cost_to_serve(
    customers: pd.DataFrame, *, customer: str, tier: str, revenue: str, margin: str | float, order: Sequence[str],
    costs: pd.DataFrame | None = None, level: float = 0.95, resamples: int = 1_000,
    currency: str = "yuan", rng: Rng = 0,
) -> CostToServe:  # fmt: skip
    """Set what serving each tier costs beside what it brings.

    `customers` has one row each: revenue of a window and, for each event of `costs` (`unit_costs()` if None), its
    number in the same window. `margin` before service is a column, or a share of the revenue. `order` has the tiers,
    best first; customers of others (excluded, left) are counted and left out.
    """
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
    return estimate, *interval(estimate, np.concatenate(drawn), method="bca", level=level, jackknife=without)


@dataclass(frozen=True, eq=False)
class PromisesKept(Result):
    """How far each tier gets what it is promised, and whether that is more than the last tier gets.

    `table`, one row a promise and tier: promised, n (cases judged), customers, kept (share), low, high; last_kept (the
    last tier's by the same limit), difference of the two, difference_low, difference_high (they hold together). Missing
    with fewer than 30 cases or where nothing is promised. `unchecked`: promise and reason why these data cannot
    tell.
    """

    table: pd.DataFrame
    unchecked: pd.DataFrame
    level: float

    NAME, COUNTS = "promises", "customers"
    CHART = say("Dots with intervals, a row a promise and tier")
    FORMATS = {"promised": "{:g}"} | dict.fromkeys(
        ["kept", "low", "high", "last_kept", "difference", "difference_low", "difference_high"], SHARE
    )
    CAPTION = say("Promised and given, and the difference from the last tier.")

    def headline(self) -> Message:
        """Say which promise is kept least, whether service differs between tiers, and what nobody can check."""
        worst, told = self.least, self.table.dropna(subset="difference")
        better, worse = (told["difference_low"] > 0).sum(), (told["difference_high"] < 0).sum()
        verdict = say("no difference is significant")
        if better + worse:
            verdict = say("significantly better in {better} and worse in {worse}", better=better, worse=worse)
        clauses = [
            say(
                "Kept least: {promise}, {kept} {span} of {n} cases",
                promise=self.said(worst),
                kept=Share(worst.kept, 0),
                span=Span(worst.low, worst.high, ".0%"),
                n=worst.n,
            ),
            say("by the same limits as the last tier, {n} comparisons: {verdict}", n=len(told), verdict=verdict),
        ]
        if few := int(self.table["n"].between(1, FEWEST - 1).sum()):
            clauses.append(say("cells with fewer than {least} cases: {n}", least=FEWEST, n=few))
        if len(self.unchecked):
            promises = Listed(map(Term, self.unchecked["promise"]), "")
            clauses.append(say("not checkable here: {promises}", promises=promises))
        return say("{clauses}.", clauses=Listed(clauses, ";"))

    @property
    def least(self) -> pd.Series:
        """The promise that is kept least."""
        return self.table.loc[self.table["kept"].idxmin()]

    def said(self, row: pd.Series) -> Message:
        """Name a promise to a tier."""
        what, limit = Term(row["promise"]), Number(row["promised"], "g")
        return say("'{promise}: {promised}' for {tier}", promise=what, promised=limit, tier=Term(row["tier"]))

    def tiles(self) -> tuple[Tile, ...]:
        """How often the promise kept least is kept."""
        row = self.least
        if row["customers"] < FEWEST:
            return ()
        ends = Span(row["low"], row["high"], ".0%", self.level)
        return (Tile(say("kept least: {promise}", promise=self.said(row)), Share(row["kept"], 0), ends),)

    def not_checked(self) -> Table:
        """Give the promises that these data cannot check as a page shows them."""
        return Table("unchecked", self.unchecked, say("Promises that these data cannot check."))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share kept of each promise in each tier."""
        rows = self.table.dropna(subset="kept").rename(columns={"kept": "estimate"})
        names = [
            say("{promise} {n}, {tier}", promise=Word(r.promise), n=Number(r.promised, "g"), tier=Word(r.tier))
            for r in rows.itertuples()
        ]
        label = say("kept (% of cases, {level} interval)", level=Share(self.level, 0))
        return dot_and_interval(names, 100 * rows[["estimate", "low", "high"]], ax, label=label, digits=".0f")

    def quantities(self) -> Iterable[Quantity]:
        """Share of each promise kept, and the difference from the last tier."""
        for name, column, ends in (("promise_kept", "kept", ""), ("promise_difference", "difference", "difference_")):
            for r in self.table.dropna(subset=column).to_dict("records"):
                cell = f"{name}[promise={r['promise']},tier={r['tier']}]"
                yield Quantity(cell, r[column], "share", r[f"{ends}low"], r[f"{ends}high"])


def promises_kept(
    customers: pd.DataFrame, *, customer: str, tier: str, standard: ServiceStandard | None = None,
    level: float = 0.95,
) -> PromisesKept:  # fmt: skip
    """Hold the service that each tier got against what it is promised, and against what the last tier got.

    `customers` has one row for each who held its tier throughout the window, with the columns that the warehouse's
    servicing gives for `standard.limits()`; visits count for those known for 365 days. A share takes 30 cases;
    refused where no promise has as many in any tier.
    """
    standard = service_standard() if standard is None else standard
    table, rows, names = checked(customers, [customer], [], "customers"), [], standard.tiers["tier"].tolist()
    require_columns(table, [tier], "customers")
    events = {
        f"{p['event']}_{w}_{k:g}"
        for p in standard.promises
        if "event" in p
        for w in ("within", "judged")
        for k in standard.tiers[p["column"]]
    }
    require_columns(table, [c for c in events if c in table], "customers")
    read = {c: number(table[c], c, missing="keep") for c in table if c in events}
    table = table.assign(**read)
    parts = [table[table[tier] == name] for name in names]
    for promise in (p for p in standard.promises if "unchecked" not in p):
        for part, name, limit in zip(parts, names, standard.tiers[promise["column"]], strict=True):
            (kept, n), last = (_judged(which, promise, limit) for which in (part, parts[-1]))
            row = {"promise": promise["says"], "tier": name, "promised": limit}
            row |= {"n": int(n.sum()), "customers": int((n > 0).sum())}
            rows.append((row, _share(kept, n), _share(*last) if name != names[-1] else (np.nan, 0.0)))
    compared = sum(own[1] > 0 and last[1] > 0 for _, own, last in rows)
    level_all = 1 - (1 - level) / max(compared, 1)
    found = pd.DataFrame([row | _told(own, last, level, level_all) for row, own, last in rows])
    if found["kept"].isna().all():
        raise CannotAnswer("no promise has {n} cases in any tier. Take a longer window.").of(FEWEST)
    unchecked = [(p["says"], p["unchecked"]) for p in standard.promises if "unchecked" in p]
    return PromisesKept(found, pd.DataFrame(unchecked, columns=["promise", "reason"]), level)


def _judged(part: pd.DataFrame, promise: Mapping[str, Any], limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Cases kept, and judged, of each customer."""
    if "event" in promise:
        columns = [f"{promise['event']}_{what}_{limit:g}" for what in ("within", "judged")]
        require_columns(part, columns, "customers", hint="Ask the warehouse for within=standard.limits().")
        return tuple(np.nan_to_num(number(part[c], c, missing="keep")) for c in columns)
    require_columns(part, [promise["count"], "days_known"], "customers")
    count, known = (number(part[c], c, missing="keep") for c in (promise["count"], "days_known"))
    judged = ((known >= YEAR) & (limit > 0) & ~np.isnan(count)).astype(float)
    return (count >= limit) * judged, judged


def _share(kept: np.ndarray, n: np.ndarray) -> tuple[float, float]:
    """Share kept, and the independent cases it is worth, as a customer brings several (0 below the minimum)."""
    units = (n > 0).sum()
    if n.sum() < FEWEST or units < 2:
        return np.nan, 0.0
    p = kept.sum() / n.sum()
    variance = ((kept - p * n) ** 2).sum() / n.sum() ** 2 * units / (units - 1)
    return float(p), float(min(p * (1 - p) / variance, n.sum()) if variance > 0 else units)


def _told(own: tuple[float, float], last: tuple[float, float], level: float, level_all: float) -> dict[str, Any]:
    """Share with Wilson's interval; difference from the last tier with Newcombe's."""
    (low, high), (l1, u1), (l2, u2) = (
        intervals.share(p * n, n, level=at) for (p, n), at in ((own, level), (own, level_all), (last, level_all))
    )
    found: dict[str, Any] = {
        "kept": own[0],
        "low": low,
        "high": high,
        "last_kept": last[0],
        "difference": own[0] - last[0],
    }
    down, up = np.hypot(own[0] - l1, u2 - last[0]), np.hypot(u1 - own[0], last[0] - l2)
    return found | {"difference_low": found["difference"] - down, "difference_high": found["difference"] + up}
