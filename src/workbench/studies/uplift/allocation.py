"""Which offer for whom, under a budget and the channels' capacities?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linprog

from workbench.columns import number
from workbench.errors import WorkbenchError, require_columns, unknown
from workbench.messages import Amount, Label, Listed, Message, Term, as_message, join, say
from workbench.methods.coding import text_hash
from workbench.methods.experiment.members import require_members
from workbench.result import Result
from workbench.studies.uplift.policy import require_margin

NOBODY = "no contact"
MOST_CUTS = 300


@dataclass(frozen=True)
class Allocation(Result):
    """Which offer each member gets, within the limits. Its money is a forecast: `value_offers` judges the choice.

    Attributes
    ----------
    choice : Series
        Name of the offer by member, or "no contact".
    offers : DataFrame
        offer, members, spend, net (predicted, in money, all members together).
    limits : DataFrame
        limit ("budget", an offer or a channel), allowed, used, price: net that one more unit of it would earn.
    net, bound : float
        Predicted net of the choice, and a bound that no choice within the limits exceeds.
    """

    choice: pd.Series
    offers: pd.DataFrame
    limits: pd.DataFrame
    net: float
    bound: float
    currency: str = "yuan"

    NAME = TABLE = "offers"

    def headline(self) -> Message:
        """Say who gets what, and what one more unit of each limit would earn."""
        given = self.offers[self.offers["members"] > 0]
        who = tuple(
            say("{offer} to {members}", offer=Label(row.offer), members=row.members) for row in given.itertuples()
        )
        all_of = say(
            "Of {members} members: {who}, for {money}",
            members=len(self.choice),
            who=Listed(who or (say("no offer to anybody"),), ""),
            money=Amount(given["spend"].sum(), unit=self.currency),
        )
        parts = (all_of, *map(self._earns, self.limits.itertuples()))
        return say("{parts} (by the predicted effects).", parts=Listed(parts, ";"))

    def _earns(self, limit: Any) -> Message:
        """Say what one more unit of a limit would earn."""
        unit, money = Term(self.currency), Amount(limit.price, unit=self.currency)
        if limit.limit == "budget":
            if limit.price > 0:
                return say("one more {unit} of budget earns {money}", unit=unit, money=money)
            return say("one more {unit} of budget earns nothing", unit=unit)
        if limit.price > 0:
            return say("one more place for {limit} earns {money}", limit=Label(limit.limit), money=money)
        return say("one more place for {limit} earns nothing", limit=Label(limit.limit))

    def caption(self) -> Message:
        """Say what the table shows."""
        what = say("Who gets which offer, and what it is expected to earn ({unit}).", unit=Term(self.currency))
        return join(what, self.headline())


@dataclass(frozen=True)
class Limits:
    """names; use: what a member with an offer uses of each limit, shape (offers, limits); allowed, shape (limits,)."""

    names: list[str]
    use: np.ndarray
    allowed: np.ndarray


def limits_of(
    offers: list[str],
    cost: np.ndarray,
    budget: float | None,
    capacity: Mapping[str, float],
    channels: Mapping[str, str],
) -> Limits:
    names, use, allowed = [], [], []
    if budget is not None:
        names, use, allowed = ["budget"], [cost], [budget]
    for name, places in capacity.items():
        uses = np.array([float(name in (offer, channels.get(offer))) for offer in offers])
        if not uses.any():
            raise unknown("offer or channel", name, [*offers, *channels.values()], where="capacity")
        names.append(name)
        use.append(uses)
        allowed.append(places)
    for name, limit in zip(names, allowed, strict=True):
        if not 0 <= limit < np.inf:
            raise WorkbenchError("the limit of {name} is {limit}: give 0 or more.").of(name, limit)
    return Limits(names, np.array(use).reshape(len(names), len(offers)).T, np.array(allowed, dtype=float))


def by_offer(values: Mapping[str, float], offers: list[str], what: str) -> np.ndarray:
    missing = [offer for offer in offers if offer not in values]
    if missing:
        raise WorkbenchError("{what} lacks {names}: give one number for each offer.").of(as_message(what), missing)
    found = np.array([float(values[offer]) for offer in offers])
    if not ((found >= 0) & np.isfinite(found)).all():
        raise WorkbenchError("{what} holds a negative or infinite number: give money a contact, 0 or more.").of(
            as_message(what)
        )
    return found


def allocate_offers(
    effects: pd.DataFrame,
    *,
    costs: Mapping[str, float],
    margin: float,
    budget: float | None = None,
    capacity: Mapping[str, float] | None = None,
    channels: Mapping[str, str] | None = None,
    currency: str = "yuan",
) -> Allocation:
    """Choose an offer, or none, for each member, for the highest predicted net within the limits.

    Parameters
    ----------
    effects : DataFrame
        One row a member, one column an offer, as `predict_offers` gives; labels of rows break ties.
    costs : mapping of offer to money
        Expected cost of giving it to one member, incentives of those who redeem included.
    margin : float
        Share of the outcome that is earned, above 0 and at most 1.
    budget : float, optional
        Most that may be spent.
    capacity : mapping of offer or channel to members, optional
    channels : mapping of offer to channel, optional

    Notes
    -----
    Each limit gets a price, such that members who choose the offer with the highest net after prices keep the limits
    (the dual of the linear programme, by cutting planes); the few whom prices leave undecided are admitted in the
    order of their advantage. The choice is off the best one by at most `bound` - `net`, the money of a few members.
    """
    require_columns(effects, (), "effects")
    offers = [str(name) for name in effects.columns]
    require_members(effects, effects.columns)
    cost = by_offer(costs, offers, "costs")
    require_margin(margin)
    limits = limits_of(offers, cost, budget, capacity or {}, channels or {})
    values = [number(effects[name], str(name), what="effect of the offer", missing="keep") for name in effects.columns]
    worth = margin * np.column_stack(values) - cost
    if not np.isfinite(worth).all():
        raise WorkbenchError("effects holds missing or infinite values: drop those members first.")
    order = np.argsort(text_hash(effects.index.to_series()), kind="stable")
    price, bound = prices(worth[order], limits)
    chosen = np.empty(len(worth), dtype=np.int64)
    chosen[order] = admitted(worth[order], price, limits)
    given = [chosen == j for j in range(len(offers))]
    counts = np.array([int(rows.sum()) for rows in given])
    net = [float(worth[rows, j].sum()) for j, rows in enumerate(given)]
    table = pd.DataFrame({"offer": offers, "members": counts, "spend": counts * cost, "net": net})
    bounds = pd.DataFrame(
        {"limit": limits.names, "allowed": limits.allowed, "used": counts @ limits.use, "price": price}
    )
    choice = pd.Series(np.array([*offers, NOBODY])[chosen], index=effects.index, name="offer")
    return Allocation(choice, table, bounds, float(sum(net)), max(bound, float(sum(net))), currency)


def prices(worth: np.ndarray, limits: Limits) -> tuple[np.ndarray, float]:
    """Prices of the limits that minimise sum of max(0, worth - use . price) + allowed . price, and that minimum.

    The function is convex and piecewise linear in a handful of prices: each trial gives a plane below it, and the
    lowest point of all planes is the next trial.
    """
    n, count = len(worth), len(limits.names)

    def at(price: np.ndarray) -> tuple[float, np.ndarray]:
        after = worth - limits.use @ price
        best = after.argmax(axis=1)
        gain = after[np.arange(n), best]
        taken = np.bincount(best[gain > 0], minlength=worth.shape[1])
        return float(np.maximum(gain, 0).sum() + limits.allowed @ price), limits.allowed - taken @ limits.use

    price = np.zeros(count)
    value, slope = at(price)
    if (slope >= 0).all():
        return price, value
    least = np.array([column[column > 0].min(initial=np.inf) for column in limits.use.T])
    top = [(0, max(float(worth.max()), 0.0) / u) for u in least]
    lowest, found, planes, ends = value, price, [], []
    for _ in range(MOST_CUTS):
        planes.append(np.append(slope, -n) / n)
        ends.append((slope @ price - value) / n)
        step = linprog(np.append(np.zeros(count), 1.0), planes, ends, bounds=[*top, (None, None)], method="highs")
        price = step.x[:-1]
        value, slope = at(price)
        if value < lowest:
            lowest, found = value, price
        if lowest - n * step.x[-1] <= 1e-6 * max(1e-300, abs(lowest)):
            break
    return found, lowest


def admitted(worth: np.ndarray, price: np.ndarray, limits: Limits) -> np.ndarray:
    """Position of each member's offer (one past the last: none), in rounds until the limits are used up."""
    n, count = worth.shape
    after = np.where(worth > 0, worth - limits.use @ price, -np.inf)
    left, chosen, waiting = limits.allowed.copy(), np.full(n, count), np.flatnonzero((worth > 0).any(axis=1))
    while len(waiting):
        mine = after[waiting]
        best = mine.argmax(axis=1)
        top = mine[np.arange(len(mine)), best]
        rest = np.sort(np.column_stack([mine, np.zeros(len(mine))]), axis=1)
        lead = np.where(top > 0, top - rest[:, -2], top)
        order = np.argsort(-lead, kind="stable")
        waiting, best = waiting[order], best[order]
        use = limits.use[best]
        ends = left + 1e-9 * limits.allowed
        fits = ((np.cumsum(use, axis=0) <= ends) | (use == 0)).all(axis=1)
        chosen[waiting[fits]] = best[fits]
        left = left - use[fits].sum(axis=0)
        after[:, ((limits.use > left + 1e-9 * limits.allowed) & (limits.use > 0)).any(axis=1)] = -np.inf
        waiting = waiting[~fits]
        waiting = waiting[np.isfinite(after[waiting]).any(axis=1)]
    return chosen
