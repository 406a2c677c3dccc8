"""Whom is it worth contacting? What a list of likely leavers brings, if the accepted share is as assumed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import beta, t

from workbench.columns import flag, number, require_table
from workbench.errors import WorkbenchError
from workbench.figures import Axes, axes
from workbench.messages import Count, Message, Number, Share, Span, Term, join, say
from workbench.methods import clusters
from workbench.methods.resampling import bootstrap_weights, canonical_order, fixed, interval
from workbench.result import SHARE, Decision, Quantity, Result, Tile

GRID, FEWEST = 400, 30
"""Cuts that a resample tries; fewer of a list contacted, or not, do not value it."""


@dataclass(frozen=True, eq=False)
class ChurnProfit(Result):
    """What contacting the likeliest leavers brings a customer of the list.

    Attributes
    ----------
    profit, share : float
        Expected maximum profit a customer, and the share contacted at it; with `profit_interval`, `share_interval`.
        The best cut of these customers, valued on them: too high, so no advice rests on it.
    held_out : float
        Profit a customer at the mean acceptance, each half cut at the share that was best in the other; with
        `held_out_interval`. The advice rests on it.
    fixed, fixed_share : float
        The same where the accepted share is its mean for sure.
    table : DataFrame
        Contacted share in steps of a twentieth: customers, profit a customer with low and high.
    lists : DataFrame
        With an effect: likeliest to leave and most to gain, each as long as the best list: customers, net with low and
        high (what contacting them brought, by lot; missing without `contacted`), shared (share of the one that is in
        the other). Else empty.
    acceptance : tuple of float
        The share who accept, or the two parameters of its Beta distribution.
    """

    profit: float
    profit_interval: tuple[float, float]
    share: float
    share_interval: tuple[float, float]
    fixed: float
    fixed_share: float
    table: pd.DataFrame
    lists: pd.DataFrame
    acceptance: tuple[float, ...]
    customers: int
    held_out: float
    held_out_interval: tuple[float, float]
    currency: str = "yuan"

    NAME, COUNTS, TOTALS, CHART = "profit", "customers", None, say("A curve with its band")
    CAPTION = "Profit a customer of the list by contacted share, likeliest leavers first; acceptance at its mean."
    PICTURE_CAPTION = "Profit a customer of the list by contacted share, likeliest leavers first; band: 95%."
    FORMATS = {"share": SHARE} | dict.fromkeys(["profit", "low", "high"], "{:.2f}")

    def headline(self) -> Message:
        """Say what it brings, and what is assumed."""
        unit = Term(self.currency)
        found = {"profit": Number(self.held_out, ",.2f"), "span": Span(*self.held_out_interval, ",.2f"), "unit": unit}
        if not self.profit > 0:
            first = say("Contacting likely leavers does not pay at these costs.")
        elif not self.held_out_interval[0] > 0:
            first = say(
                "Contacting likely leavers is not shown to pay: where the cut was chosen on other customers it brings "
                "{profit} {unit} {span} a customer, contacted or not.",
                **found,
            )
        else:
            first = say(
                "Contacting the likeliest {share} {ends} to leave brings {profit} {unit} {span} a customer, contacted "
                "or not.",
                share=Share(self.share),
                ends=Span(*self.share_interval, ".1%"),
                **found,
            )
        second = say(
            "That {accepted} of the leavers accept the offer and stay is assumed, not measured: only an experiment "
            "shows whom contact keeps.",
            accepted=Share(_mean(self.acceptance), 0),
        )
        if self.lists.empty:
            return join(first, second)
        likely, gaining = self.lists.itertuples()
        if not np.isfinite(gaining.low):
            third = say(
                "By the measured effect of contact the best list of that length shares {shared} with the likeliest "
                "leavers; what it brings is not known: an effect flatters the list that it chose, so it takes others, "
                "contacted by lot.",
                shared=Share(gaining.shared, 0),
            )
            return join(first, second, third)
        third = say(
            "By the measured effect of contact the best list of that length shares {shared} with the likeliest "
            "leavers; where chance contacted, it brought {gain} {unit} {span} instead of {lost}.",
            shared=Share(gaining.shared, 0),
            gain=Count(gaining.net),
            unit=unit,
            lost=Count(likely.net),
            span=Span(gaining.low, gaining.high, ",.0f"),
        )
        return join(first, second, third)

    def tiles(self) -> tuple[Tile, ...]:
        """What it brings, and the best share."""
        said = say("profit a customer, on assumed acceptance ({unit})", unit=Term(self.currency))
        return (
            Tile(said, Number(self.held_out, ",.2f"), Span(*self.held_out_interval, ",.2f")),
            Tile(say("of the customers to contact"), Share(self.share), Span(*self.share_interval, ".1%")),
        )

    def decision(self) -> Decision:
        """Advise whom to contact."""
        if len(self.lists) and self.lists["low"].iloc[1] > 0 and self.lists["net"].iloc[1] > self.lists["net"].iloc[0]:
            do = say("Contact those with the highest effect x margin, not those likeliest to leave.")
        elif not self.held_out_interval[0] > 0:
            do = say("Contact nobody for being likely to leave: it is not shown to pay.")
        else:
            do = say(
                "Contact the likeliest {share} to leave; spare some at random, to measure what is assumed.",
                share=Share(self.share),
            )
        return Decision((do,), say("a randomised holdout in which contact keeps fewer than assumed."))

    def quantities(self) -> Iterable[Quantity]:
        """Profit, best share, and profit held out."""
        yield Quantity("churn_profit", self.profit, self.currency, *self.profit_interval)
        yield Quantity("churn_best_share", self.share, "share", *self.share_interval)
        yield Quantity("churn_profit_held_out", self.held_out, self.currency, *self.held_out_interval)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curve."""
        ax = axes(ax)
        ax.fill_between(self.table["share"], self.table["low"], self.table["high"], color="C0", alpha=0.2, linewidth=0)
        ax.plot(self.table["share"], self.table["profit"], color="C0")
        ax.axvline(self.fixed_share, color="0.6", linewidth=0.8)
        ax.axhline(0, color="0.6", linewidth=0.8)
        ax.xaxis.set_major_formatter("{x:.0%}")
        ax.set_xlabel(say("contacted share of customers"))
        ax.set_ylabel(say("profit a customer ({unit})", unit=Term(self.currency)))
        return ax


def churn_profit(
    scores: pd.DataFrame,
    margin: str | float,
    *,
    probability: str = "probability",
    left: str | None = None,
    incentive: float = 10.0,
    incentive_share: float | None = None,
    contact: float = 1.0,
    acceptance: Sequence[float] | float = (6.0, 14.0),
    capacity: int | None = None,
    effect: str | None = None,
    contacted: str | None = None,
    resamples: int = 400,
    seed: int = 0,
    currency: str = "yuan",
) -> ChurnProfit:
    """Find how far down a list of likely leavers contact pays.

    Parameters
    ----------
    scores : DataFrame
        One row a customer.
    margin : str or float
        What a kept customer is worth: a column, or the same for all.
    probability, left : str
        Columns; without `left` (who left, known afterwards), or with `contacted`, the probabilities stand for it and
        must be calibrated.
    incentive, incentive_share : float
        What an accepted offer costs: an amount, or a share of each one's margin. Stayers who are contacted take it.
    contact : float
        What each contact costs.
    acceptance : pair of float, or float
        Share of contacted leavers who accept and stay: the two parameters of a Beta distribution, or a number for sure.
    capacity : int, optional
        Most customers that can be contacted.
    effect : str, optional
        Column with the measured effect of contact on leaving (points of probability by which it falls), fitted to other
        customers than these.
    contacted : str, optional
        Column: whom chance contacted (0/1). With `left` it values the two lists; the effect alone would flatter its
        own.

    Raises
    ------
    WorkbenchError
        If a column is missing or no number, a probability lies outside 0 to 1, an effect outside -1 to 1, or a cost
        is negative or no number.

    Notes
    -----
    With n customers of the list, contacting the first k brings (γ A_k - C_k) / n, where A_k adds margin less incentive
    of the leavers among them, C_k the contacts and the incentives of the stayers, and γ accept. The best k of each γ
    lies on the upper hull of these lines; the mean over γ is exact. Intervals are of the customers (bootstrap) and
    hold γ's distribution to be true.

    The best of many cuts looks good by chance, even where the scores are noise. So every other customer down the list
    makes a half, each is cut at the share that is best in the other, and what that brings at the mean of γ, with the
    t interval of its mean, decides.

    References
    ----------
    Verbraken, Verbeke & Baesens (2013), IEEE Trans. Knowledge and Data Engineering 25 (expected maximum profit).
    Janssens et al. (2022), European Journal of Operational Research 297 (own worth of each customer).
    """
    law = tuple(map(float, np.atleast_1d(acceptance)))
    columns = [c for c in (probability, left, effect, contacted, margin) if isinstance(c, str)]
    require_table(scores, columns, "scores")
    p = number(scores[probability], probability)
    change = number(scores[effect], effect) if effect else np.zeros(len(p))
    costs = [incentive, incentive_share or 0, contact, *law, *([] if isinstance(margin, str) else [margin])]
    bad = len(law) not in (1, 2) or min(law) < 0 or (law[0] > 1 if len(law) == 1 else min(law) == 0)
    bad = bad or not np.isfinite(costs).all() or min(costs[:3]) < 0
    if bad or ((p < 0) | (p > 1) | (np.abs(change) > 1)).any():
        raise WorkbenchError(
            "give probabilities from 0 to 1, effects from -1 to 1, costs of 0 or more, and acceptance as a share or "
            "two Beta numbers."
        )
    if (capacity is not None and capacity < 1) or resamples < 2:
        raise WorkbenchError("capacity={capacity}, resamples={resamples}: give at least 1 and 2.").of(
            capacity, resamples
        )
    if contacted and not (left and effect):
        raise WorkbenchError("contacted='{name}' values lists by who left: give left= and effect= too.").of(contacted)
    worth = number(scores[margin], margin) if isinstance(margin, str) else np.full(len(p), float(margin))
    cost = np.full(len(p), float(incentive)) if incentive_share is None else incentive_share * worth
    gone, lot = (flag(scores[c], c) if c else np.zeros(len(p), bool) for c in (left, contacted))
    leave = gone.astype(float) if left and not contacted else p
    content = pd.DataFrame(
        {
            "p": p,
            "worth": worth,
            "cost": cost,
            "effect": change,
            "gain": leave * (worth - cost),
            "spent": contact + (1 - leave) * cost,
            "lot": lot,
            "kept": (worth - cost * lot) * ~gone - contact * lot,
        }
    )
    mixed = np.random.default_rng(fixed(seed)).permutation(canonical_order(content))  # chance decides in a tie
    content = content.iloc[mixed[np.argsort(-p[mixed], kind="stable")]].reset_index(drop=True)
    p, gain, spent = (content[c].to_numpy() for c in ("p", "gain", "spent"))
    most = len(p) if capacity is None else min(capacity, len(p))
    best, share, at_mean, share_at_mean = _best(gain, spent, _ends(p, most), law, np.ones(len(p)))
    table, (low, high) = _curve(p, gain, spent, most, law, (best, share), resamples, seed)
    lists = pd.DataFrame(columns=["list", "customers", "net", "low", "high", "shared"])
    if effect and (taken := round(share * len(p))):
        lists = _lists(content, contact, taken)
    return ChurnProfit(
        best,
        (float(low[0]), float(high[0])),
        share,
        (float(low[1]), float(high[1])),
        at_mean,
        share_at_mean,
        table,
        lists,
        law,
        len(p),
        *_held_out(p, gain, spent, most / len(p), law),
        currency,
    )


def _mean(law: tuple[float, ...]) -> float:
    return law[0] / sum(law) if len(law) > 1 else law[0]


def _curve(p, gain, spent, most, law, found, resamples, seed) -> tuple[pd.DataFrame, tuple[np.ndarray, np.ndarray]]:
    """Profit by contacted share at the mean acceptance, and the ends of the best profit and share (`found`)."""
    steps = np.unique(np.rint(np.linspace(0, 1, 21) * len(p)).astype(int))
    steps, ends = steps[steps <= most], _ends(p, most)
    some = ends if len(ends) <= GRID else ends[np.unique(np.rint(np.linspace(0, len(ends) - 1, GRID)).astype(int))]
    each = _mean(law) * gain - spent
    drawn, curves = [], []
    for block in bootstrap_weights(len(p), resamples, rng=seed):
        for weight in block:
            drawn.append(_best(gain, spent, some, law, weight)[:2])
            curves.append(np.append(0, np.cumsum(weight * each))[steps] / len(p))
    curve = np.append(0, np.cumsum(each))[steps] / len(p)
    bottom, top = interval(curve, np.array(curves))
    table = pd.DataFrame({"share": steps / len(p), "customers": steps, "profit": curve, "low": bottom, "high": top})
    return table, interval(np.array(found), np.array(drawn))


def _ends(p: np.ndarray, most: int) -> np.ndarray:
    """Where a list in order can be cut: not between equal scores, but at the capacity."""
    ends = np.append(np.flatnonzero(np.diff(p)), len(p) - 1) + 1
    return np.r_[0, ends[ends <= most], *([most] if most not in ends else [])].astype(int)


def _held_out(p, gain, spent, capacity, law) -> tuple[float, tuple[float, float]]:
    """What each half brings a customer, cut at the share that is best in the other, and its interval.

    `p` is in order and chance decides between equal scores, so halves of every other one go by content.
    """
    if len(p) < 4:
        return 0.0, (0.0, 0.0)
    mean = _mean(law)
    brought, taken, variance = np.zeros(len(p)), 0, 0.0
    for half in (0, 1):
        there, here = np.arange(1 - half, len(p), 2), np.arange(half, len(p), 2)
        ends = _ends(p[there], max(int(capacity * len(there)), 1))
        share = _best(gain[there], spent[there], ends, law, np.ones(len(there)))[1]
        rows = here[: round(share * len(here))]
        brought[rows] = mean * gain[rows] - spent[rows]
        taken += len(rows)
        variance += len(here) * brought[here].var(ddof=1)
    value, wide = float(brought.mean()), float(t.isf(0.025, max(taken - 1, 1)) * np.sqrt(variance) / len(p))
    return value, (value - wide, value + wide)


def _best(gain, spent, ends, law, weight) -> tuple[float, float, float, float]:
    """Expected maximum profit and its share over the law of acceptance; the same at its mean."""
    n = weight.sum()
    a, c, s = (np.append(0, np.cumsum(weight * values))[ends] / n for values in (gain, spent, np.ones(len(weight))))
    mean = _mean(law)
    k = int(np.argmax(mean * a - c))
    at_mean, share_at_mean = float(mean * a[k] - c[k]), float(s[k])
    if len(law) == 1:
        return at_mean, share_at_mean, at_mean, share_at_mean
    hull: list[int] = []
    for i in range(len(a)):
        if hull and a[i] <= a[hull[-1]]:
            continue  # more cost, no gain
        while len(hull) > 1 and (c[i] - c[hull[-1]]) * (a[hull[-1]] - a[hull[-2]]) <= (c[hull[-1]] - c[hull[-2]]) * (
            a[i] - a[hull[-1]]
        ):
            hull.pop()
        hull.append(i)
    a, c, s = a[hull], c[hull], s[hull]
    turns = np.r_[0.0, np.clip(np.diff(c) / np.diff(a), 0, 1), 1.0]
    mass = np.diff(beta.cdf(turns, *law))
    first = mean * np.diff(beta.cdf(turns, law[0] + 1, law[1]))
    return float(a @ first - c @ mass), float(s @ mass), at_mean, share_at_mean


def _lists(content: pd.DataFrame, contact: float, taken: int) -> pd.DataFrame:
    """The likeliest leavers, and those whose effect x margin less cost is highest: what contact brought, by lot."""
    p, worth, cost, effect, lot, kept = (content[c].to_numpy() for c in ("p", "worth", "cost", "effect", "lot", "kept"))
    net = effect * worth - contact - cost * (1 - p + effect)
    lists = [np.argsort(-score, kind="stable")[:taken] for score in (p, net)]
    rows = []
    for who in lists:
        brought = np.full(3, np.nan)
        if min(lot[who].sum(), (~lot[who]).sum()) >= FEWEST:
            brought = taken * np.array(clusters.difference(kept[who], lot[who], np.arange(taken))[:3])
        rows.append([taken, *brought, len(np.intersect1d(lists[0], lists[1])) / taken])
    frame = pd.DataFrame(rows, columns=["customers", "net", "low", "high", "shared"])
    names = [say("likeliest to leave"), say("most to gain by effect x margin")]
    frame.insert(0, "list", pd.Series(names, dtype=object))
    return frame
