"""Does each tier of customers get the service that it is promised, and a better one than the last tier?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.columns import number
from workbench.errors import CannotAnswer, require_columns
from workbench.figures import Axes, dot_and_interval
from workbench.messages import Listed, Message, Number, Share, Span, Term, Word, say
from workbench.methods import intervals
from workbench.methods.rows import checked
from workbench.result import POINTS, SHARE, Quantity, Result, Table, Tile
from workbench.rules import prove, read_rules

YEAR = 365
FEWEST = 30


@dataclass(frozen=True)
class TierPromises:
    """What each tier is promised (`tiers`, one row each, best first), and how that is judged (`promises`)."""

    tiers: pd.DataFrame
    promises: tuple[Mapping[str, Any], ...]

    def limits(self) -> dict[str, list[float]]:
        """Seconds or hours to judge each kind of case by: what the warehouse is to count."""
        return {p["event"]: sorted(set(self.tiers[p["column"]])) for p in self.promises if "event" in p}


def tier_promises(path: str | Path | None = None) -> TierPromises:
    """Read what tiers are promised from a TOML file; without one, that which ships.

    >>> tier_promises().limits()["hotline"]
    [10, 15, 20, 40]
    """
    tiers, promises = read_rules(
        path, __package__, "service_tiers.toml", lambda tier, promise: (pd.DataFrame(list(tier)), promise)
    )
    require_columns(tiers, ["name", "name_zh", *(p.get("column", "column") for p in promises)], "service standard")
    one_way = all("says" in p and len({"event", "count", "unchecked"} & set(p)) == 1 for p in promises)
    prove(
        "service standard",
        {
            "two or more tiers with unique names and the same keys": len(tiers) > 1
            and not tiers["name"].duplicated().any()
            and not tiers.isna().any(axis=None),
            "each promise has column, says, and one of event, count, unchecked": one_way,
        },
    )
    return TierPromises(tiers.rename(columns={"name": "tier"}), promises)


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

    NAME, COUNTS, TOTALS = "promises", "customers", ("promise",)
    CHART = say("Dots with intervals, a row a promise and tier")
    FORMATS = (
        {"promised": "{:g}"}
        | dict.fromkeys(["kept", "low", "high", "last_kept"], SHARE)
        | dict.fromkeys(["difference", "difference_low", "difference_high"], POINTS)
    )
    CAPTION = "Promised and given, and the difference from the last tier."

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
        label = self.say("kept (% of cases, {level} interval)")
        return dot_and_interval(names, 100 * rows[["estimate", "low", "high"]], ax, label=label, digits=".0f")

    def quantities(self) -> Iterable[Quantity]:
        """Share of each promise kept, and the difference from the last tier."""
        for name, column, ends in (("promise_kept", "kept", ""), ("promise_difference", "difference", "difference_")):
            for place, r in enumerate(self.table.to_dict("records")):
                if np.isnan(r[column]):
                    continue
                cell = f"{name}[promise={r['promise']},tier={r['tier']}]"
                yield Quantity(cell, r[column], "share", r[f"{ends}low"], r[f"{ends}high"], row=place)


def promises_kept(
    customers: pd.DataFrame, *, customer: str, tier: str, promises: TierPromises | None = None, level: float = 0.95
) -> PromisesKept:
    """Hold the service that each tier got against what it is promised, and against what the last tier got.

    `customers` has one row for each who held its tier throughout the window, with the columns that the warehouse's
    servicing gives for `promises.limits()`; visits count for those known for 365 days. A share takes 30 cases;
    refused where no promise has as many in any tier.
    """
    promises = tier_promises() if promises is None else promises
    table, rows, names = checked(customers, [customer], [], "customers"), [], promises.tiers["tier"].tolist()
    require_columns(table, [tier], "customers")
    events = {
        f"{p['event']}_{w}_{k:g}"
        for p in promises.promises
        if "event" in p
        for w in ("within", "judged")
        for k in promises.tiers[p["column"]]
    }
    require_columns(table, [c for c in events if c in table], "customers")
    read = {c: number(table[c], c, missing="keep") for c in table if c in events}
    table = table.assign(**read)
    parts = [table[table[tier] == name] for name in names]
    for promise in (p for p in promises.promises if "unchecked" not in p):
        for part, name, limit in zip(parts, names, promises.tiers[promise["column"]], strict=True):
            (kept, n), last = (_judged(which, promise, limit) for which in (part, parts[-1]))
            row = {"promise": promise["says"], "tier": name, "promised": limit}
            row |= {"n": int(n.sum()), "customers": int((n > 0).sum())}
            rows.append((row, _share(kept, n), _share(*last) if name != names[-1] else (np.nan, 0.0)))
    compared = sum(own[1] > 0 and last[1] > 0 for _, own, last in rows)
    level_all = 1 - (1 - level) / max(compared, 1)
    found = pd.DataFrame([row | _told(own, last, level, level_all) for row, own, last in rows])
    if found["kept"].isna().all():
        raise CannotAnswer("no promise has {n} cases in any tier. Take a longer window.").of(FEWEST)
    unchecked = [(p["says"], p["unchecked"]) for p in promises.promises if "unchecked" in p]
    return PromisesKept(found, pd.DataFrame(unchecked, columns=["promise", "reason"]), level)


def _judged(part: pd.DataFrame, promise: Mapping[str, Any], limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Cases kept, and judged, of each customer."""
    if "event" in promise:
        columns = [f"{promise['event']}_{what}_{limit:g}" for what in ("within", "judged")]
        require_columns(part, columns, "customers", hint="Ask the warehouse for within=promises.limits().")
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
