"""What a rule of contact earns, and which share of the list would earn most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError
from workbench.messages import Message, say
from workbench.methods.experiment.effect import Interval
from workbench.methods.experiment.events import FEWEST_AMOUNTS, FEWEST_EVENTS, Outcome, counts, ends, too_few
from workbench.methods.experiment.learners import draw_folds
from workbench.methods.intervals import Mean, skewed
from workbench.methods.resampling import Rng, seeds
from workbench.studies.uplift.bins import Prefixes, prefixes, score_bins

PARTS = 5
FEWEST_TO_CHOOSE = 50


@dataclass(frozen=True)
class Costs:
    """margin (share), contact, incentive (each member), fixed (per customer of the list)."""

    margin: float
    contact: float
    incentive: float
    fixed: float

    def net(self, found: Prefixes) -> np.ndarray:
        """Net of each prefix, fixed cost left out."""
        redeem = self.incentive * found.treated_means[..., 0]
        return found.share * (self.margin * found.effect - self.contact - redeem)


def require_margin(margin: float) -> None:
    """Refuse a margin that is no share."""
    if not 0 < margin <= 1:
        raise WorkbenchError(
            "margin is {margin}: give the share of the outcome that is earned, above 0 and at most 1."
        ).of(margin)


def require_costs(margin: float, contact: float, incentive: float, fixed: float, response: str | None) -> None:
    """Refuse a margin that is no share, costs below 0, and incentives of which nobody knows who gets them."""
    require_margin(margin)
    for name, cost in (("contact_cost", contact), ("incentive_cost", incentive), ("fixed_cost", fixed)):
        if not 0 <= cost < np.inf:
            raise WorkbenchError("{name} is {cost}: a cost is 0 or more, in the currency of the outcome.").of(
                name, cost
            )
    if incentive and response is None:
        raise WorkbenchError(
            "incentive_cost is paid to all who redeem the incentive: name the 0/1 column that tells who in response=."
        )


@dataclass(frozen=True)
class Rows:
    """outcome, redeemed, treated: arrays, shape (n,)."""

    y: np.ndarray
    redeemed: np.ndarray
    treated: np.ndarray

    def part(self, rows: np.ndarray) -> Rows:
        return Rows(self.y[rows], self.redeemed[rows], self.treated[rows])


def best_share(
    curve: pd.DataFrame, drawn: np.ndarray, level: float, highest: np.ndarray | None = None
) -> tuple[float, float, float]:
    """Share with the highest net, and the range of shares not refused as the best.

    A share is refused where some other beats it by more than resampling explains, all others looked at together. Where
    too few members bought for a band, a share is never the best, and refused where its upper end, `highest`, shape
    (points,), lies below the lower end of the best one.
    """
    net, share, low = (curve[name].to_numpy() for name in ("net", "share", "low"))
    told = ~np.isnan(low) | (share == 0) | (share == share[-1])
    untold, above = share[~told], np.full(len(net), np.nan)[~told] if highest is None else highest[~told]
    net, share, low, drawn = net[told], share[told], low[told], drawn[:, told]
    noise = drawn - net
    tolerance = 1e-9 * max(1e-300, float(np.abs(net).max()))
    best = int(np.flatnonzero(net >= net.max() - tolerance)[0])
    possible = []
    for k in range(len(net)):
        lead, shaken = net - net[k], noise - noise[:, [k]]
        spread = shaken.std(axis=0, ddof=1)
        usable = spread > tolerance
        sure = bool((lead[~usable] > tolerance).any())
        if usable.any():
            critical = np.quantile((shaken[:, usable] / spread[usable]).max(axis=1), level)
            sure |= bool((lead[usable] / spread[usable]).max() > critical)
        possible.append(not sure)
    kept = np.append(untold[~(above < low[best])], share[np.append(np.flatnonzero(possible), best)])
    return float(share[best]), float(kept.min()), float(kept.max())


@dataclass(frozen=True)
class Assessed:
    """Net per customer of cuts that were chosen without the members they are judged on, and how much more than
    contacting everybody that is on the same members.

    net, advantage : float; net_errors, advantage_errors : arrays, one a judged member, whose sum of squares over their
    number squared is the variance; cuts : array, lowest score contacted in each judged part; weights : its share;
    rows, chosen, part : arrays of rows judged, whether they are contacted, and the part of the list they belong to.
    """

    net: float
    net_errors: np.ndarray
    advantage: float
    advantage_errors: np.ndarray
    cuts: np.ndarray
    weights: np.ndarray
    rows: np.ndarray
    chosen: np.ndarray
    part: np.ndarray


def assessed(rows: Rows, score: np.ndarray, costs: Costs, rng: Rng) -> Assessed:
    """Judge on each random part of the list the cut that the parts before it chose; the first only chooses.

    Parts that chose for one another would have correlated errors, and the interval would be too short: looking only
    back, the errors of the parts are uncorrelated.
    """
    order = np.lexsort([rows.redeemed, rows.y, score, rows.treated])
    part = np.empty(len(score), dtype=np.int64)
    part[order] = draw_folds(rows.treated[order], PARTS, seeds(rng, 2)[1])
    found = []
    for k in range(1, PARTS):
        held, before = rows.part(part == k), part < k
        cut = _cut(rows.part(before), score[before], costs)
        chosen = score[part == k] >= cut
        earned, errors = policy(held, chosen, costs)
        whole, whole_errors = policy(held, np.ones(len(held.y), dtype=bool), costs)
        found.append(
            (cut, len(held.y), earned, earned - whole, errors, errors - whole_errors, np.flatnonzero(part == k), chosen)
        )
    cuts, sizes, net, advantage = (np.array([row[i] for row in found], dtype=float) for i in range(4))
    weights = sizes / sizes.sum()
    errors, more, judged, chosen = (np.concatenate([row[i] for row in found]) for i in range(4, 8))
    kept = judged, chosen, part[judged]
    return Assessed(float(weights @ net), errors, float(weights @ advantage), more, cuts, weights, *kept)


def _cut(rows: Rows, score: np.ndarray, costs: Costs) -> float:
    """Lowest score to contact for the highest net; infinite where nobody is."""
    bins = score_bins(score, rows.treated, np.column_stack([rows.y, rows.redeemed]))
    net = costs.net(prefixes(bins.totals)) - costs.fixed
    reached = np.cumsum(bins.totals[..., 0], axis=-1).min(axis=0) >= FEWEST_TO_CHOOSE
    net = np.where(reached, net, -np.inf)
    best = int(net.argmax())
    if net[best] <= 0:
        return np.inf
    return -np.inf if best == len(net) - 1 else float(bins.lowest[best])


def policy(rows: Rows, chosen: np.ndarray, costs: Costs) -> tuple[float, np.ndarray]:
    """Net per row of contacting the chosen ones, and each row's error, whose mean square over n is the variance."""
    one, zero = chosen & rows.treated, chosen & ~rows.treated
    if min(one.sum(), zero.sum()) < 2:
        return 0.0, np.zeros(len(chosen))
    chance = one.sum() / chosen.sum()
    earned = costs.margin * rows.y - costs.incentive * rows.redeemed
    with_contact, without = earned[one].mean(), costs.margin * rows.y[zero].mean()
    each = with_contact - without - costs.contact
    value = chosen.mean() * each
    errors = chosen * each - value
    errors[one] += (earned[one] - with_contact) / chance * _spared(one)
    errors[zero] -= (costs.margin * rows.y[zero] - without) / (1 - chance) * _spared(zero)
    return float(value - costs.fixed), errors


def _spared(rows: np.ndarray) -> float:
    """What deviations from a group's own mean fall short by: sqrt(n / (n - 1))."""
    count = rows.sum()
    return float(np.sqrt(count / (count - 1)))


def mean_interval(value: float, errors: np.ndarray, level: float) -> Interval:
    """Interval of a mean from its rows' errors, with Hall's correction for their skewness (rare buyers)."""
    n = len(errors)
    se = float(np.sqrt((errors**2).sum())) / n
    if se == 0:
        return Interval(*[float(value)] * 3)
    low, high, _ = skewed(value, se, (errors**3).sum() / n**3 / se**3, level=level)
    return Interval(float(value), float(low), float(high))


@dataclass(frozen=True)
class Judge:
    """Gives the net of a group of members its interval, or says why it has none.

    rows : Rows, as judged (adjusted); outcome : Outcome of what was measured; costs : Costs; level : float; name : str.
    """

    rows: Rows
    outcome: Outcome
    costs: Costs
    level: float
    name: str

    def __call__(
        self,
        value: float,
        errors: np.ndarray,
        group: np.ndarray,
        among: int,
        part: np.ndarray | None = None,
        *,
        spared: bool = False,
    ) -> tuple[Interval, Message]:
        """Interval of `value` that rests on the members of `group` (rows) among so many, and why it has none.

        `part` is the part of the list in which each of them was judged, by a difference of its own; `spared`, whether
        they are left out, so that the value falls as the effect on them rises.
        """
        treated, unknown = self.rows.treated[group], Interval(float(value), np.nan, np.nan)
        events = counts(self.outcome.events[group], treated)
        members = counts(np.ones(len(group), dtype=bool), treated)
        if self.outcome.amounts:  # who is in the group depends on the outcomes judged: count both arms, not their split
            enough = events.sum() >= FEWEST_AMOUNTS
            why = say(
                "only {events} of {members} members have another '{outcome}' than the commonest, and {least} are "
                "needed",
                events=events.sum(),
                members=members.sum(),
                outcome=self.name,
                least=FEWEST_AMOUNTS,
            )
        else:
            enough = self.outcome.enough(events, members, FEWEST_EVENTS)
            why = too_few(events, members, self.name)
        if members.min() < 2 or not enough:
            return unknown, why
        y, redeemed = self.rows.y[group], self.rows.redeemed[group]
        one, zero = Mean.of(y[treated]), Mean.of(y[~treated])
        share, paid = len(group) / among, self.costs.incentive * redeemed[treated]
        spare = share**2 * (paid.var() - 2 * self.costs.margin * np.cov(y[treated], paid, ddof=0)[0, 1]) / len(paid)
        each = self.costs.margin * (one.value - zero.value) - self.costs.contact - paid.mean()
        spare += share * (1 - share) * each**2 / among
        se, third = np.sqrt((errors**2).sum()) / among, (errors**3).sum() / among**3
        if part is not None:
            share *= _scattered(treated, part)
        low, high = ends(
            np.array(value),
            np.array(se),
            np.array(third),
            one,
            zero,
            outcome=self.outcome,
            known=np.array(True),
            scale=np.array((-share if spared else share) * self.costs.margin),
            spare=spare,
            level=self.level,
        )
        return Interval(float(value), float(low), float(high)), say("")


def _scattered(treated: np.ndarray, part: np.ndarray) -> float:
    """How much larger the smaller arm's error is for being judged part by part than all at once."""
    arm = treated if treated.sum() <= (~treated).sum() else ~treated
    everybody, own = np.bincount(part), np.bincount(part, arm)
    used = own >= 1
    return float(np.sqrt((everybody[used] ** 2 / own[used]).sum() * own.sum()) / everybody[used].sum())
