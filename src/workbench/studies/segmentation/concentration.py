"""How much of the revenue do the best customers bring? The 80/20 rule measured, not assumed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import gamma, norm

from workbench.columns import number
from workbench.errors import CannotAnswer, WorkbenchError, require_known
from workbench.figures import Axes, axes
from workbench.messages import Count, Message, Number, Share, Span, join, quoted, say
from workbench.methods.experiment.effect import Interval
from workbench.methods.intervals import require_level
from workbench.methods.resampling import Rng, bootstrap_weights, require_resamples
from workbench.result import Picture, Quantity, Result, Tile

TOP = (0.01, 0.05, 0.10, 0.20)
GOAL = 0.8

_LARGE = 25_000
_FEWEST = 10
_DUST = 1e-9
_FEWEST_FOR_INTERVALS = 300
_MOST_OF_ONE = 0.9
_HEAVIEST = 0.95
_EQUALLY_LIKELY = (np.arange(100) + 0.5) / 100


@dataclass(frozen=True, eq=False)
class Concentration(Result):
    """Lorenz curve of revenue over customers, and what is read from it.

    The numbers themselves are counts of the customers given. The intervals answer how far they would move with
    other customers of the same kind (the base as a sample of those the operator could have had).

    Attributes
    ----------
    gini : Interval
        0 = all alike, towards 1 = one brings everything.
    revenue : ndarray, shape (n,)
        Ascending, as used.
    table : DataFrame
        One row a quantity: quantity, estimate, low, high (NaN where fewer than 10 customers are the top), customers.
    level : float
        Coverage of the intervals.
    negative : int
        Customers with an amount below 0 (refunds above payments), counted as 0.
    owed : float
        Sum of their amounts, 0 or less.
    no_interval : Message
        Why there are no intervals at all; empty where there are.
    """

    gini: Interval
    revenue: np.ndarray
    table: pd.DataFrame
    level: float
    negative: int = 0
    owed: float = 0.0
    no_interval: Message = field(default_factory=Message)

    NAME = "concentration"
    CHART = say("Lorenz curve, best customers first")
    FORMATS = dict.fromkeys(["estimate", "low", "high"], "{:.3f}")
    CAPTION = "Share of the revenue that the best customers bring."

    def share_of_top(self, share: float) -> float:
        """Share of the revenue that the best `share` of customers bring; the number of customers is rounded up."""
        if not 0 < share <= 1:
            raise WorkbenchError("the share of customers lies above 0 and up to 1; not {share}.").of(share)
        return float(self.revenue[-_count(share, len(self.revenue)) :].sum() / self.revenue.sum())

    def customers_for(self, share: float) -> int:
        """Fewest customers that together bring `share` of the revenue."""
        if not 0 < share <= 1:
            raise WorkbenchError("the share of revenue lies above 0 and up to 1; not {share}.").of(share)
        return _needed(self.revenue, share)

    def headline(self) -> Message:
        """Say what the top fifth brings, who brings 80 %, and the Gini coefficient."""
        top = self.table.set_index("quantity").loc[_top_name(0.2)]
        known = np.isfinite(top.low)
        gini: Number | Message = Number(self.gini.estimate, ".3f")
        bring = say("The best 20% of customers bring {share} of revenue", share=Share(top.estimate))
        if known:
            gini = say("{estimate} {span}", estimate=gini, span=Span(self.gini.low, self.gini.high, ".3f", self.level))
            bring = say("{bring} {span}", bring=bring, span=Span(top.low, top.high, ".1%"))
        below = say("")
        if self.negative:
            below = say(
                "Counted as 0: {n} with more refunds than payments, {share} of revenue in all.",
                n=self.negative,
                share=Share(-self.owed / self.revenue.sum(), 2),
            )
        why = self.no_interval or say("fewer than {n} customers are the top 20%", n=_FEWEST)
        return join(
            say("{bring}.", bring=bring),
            say(
                "{goal} of revenue takes {n} of {all} customers; Gini {gini}.",
                goal=Share(GOAL, 0),
                n=self.customers_for(GOAL),
                all=len(self.revenue),
                gini=gini,
            ),
            say("") if known else say("No interval: {why}.", why=why),
            below,
        )

    def tiles(self) -> tuple[Tile, ...]:
        """What the best fifth brings, and how many bring most of the revenue."""
        top = self.table.set_index("quantity").loc[_top_name(0.2)]
        ends = Span(top.low, top.high, ".1%", self.level) if np.isfinite(top.low) else None
        fifth = Tile(say("revenue from the best 20% of customers"), Share(top.estimate), ends)
        if min(top.customers, self.customers_for(GOAL)) < _FEWEST:
            return ()
        most = say("customers who bring {goal} of revenue, of {all}", goal=Share(GOAL, 0), all=len(self.revenue))
        return fifth, Tile(most, Count(self.customers_for(GOAL)))

    def summary(self) -> pd.DataFrame:
        """Tabulate Gini, revenue of the top 1/5/10/20% and customers needed for 80%, in words."""
        return self.table.assign(quantity=[_in_words(name) for name in self.table["quantity"]])

    def as_picture(self) -> Picture:
        """Give the curve as a page shows it."""
        return replace(super().as_picture(), name="lorenz", caption=join(say("Lorenz curve."), self.headline()))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the Lorenz curve, best customers first, with the top fifth marked."""
        ax = axes(ax)
        n = len(self.revenue)
        curve = np.append(0.0, np.cumsum(self.revenue[::-1])) / self.revenue.sum()
        at = np.unique(np.linspace(0, n, min(n, 1_000) + 1).round().astype(int))
        ax.plot(100 * at / n, 100 * curve[at])
        ax.plot([0, 100], [0, 100], color="0.6", linewidth=1)
        ax.annotate("all alike", (72, 72), xytext=(4, -12), textcoords="offset points", color="0.4")
        top = self.share_of_top(0.2)
        ax.plot([20], [100 * top], "o", color="black")
        ax.annotate(
            say("best 20%: {share} of revenue", share=Number(float(top), ".1%")),
            (20, 100 * top),
            xytext=(10, -14),
            textcoords="offset points",
        )
        ax.set_xlim(0, 100)
        ax.set_ylim(0, 102)
        ax.set_xlabel("customers, best first (%)")
        ax.set_ylabel("share of revenue (%)")
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Gini, shares of the top, share of customers for 80%."""
        for row in self.table.itertuples():
            unit = "1" if row.quantity == "gini" else "share"
            ends = (None, None) if np.isnan(row.low) else (float(row.low), float(row.high))
            yield Quantity(row.quantity, float(row.estimate), unit, *ends)
        yield Quantity(f"customers_for[{GOAL:g}]", float(self.customers_for(GOAL)), "customers")


def concentration(
    revenue: pd.Series | np.ndarray,
    *,
    negative: Literal["zero", "refuse"] = "zero",
    resamples: int = 1_000,
    level: float = 0.95,
    rng: Rng = 0,
) -> Concentration:
    """Measure how revenue is spread over customers.

    Parameters
    ----------
    revenue : Series or array, shape (n,)
        One amount a customer; customers who brought nothing belong in it as 0.
    negative : {"zero", "refuse"}
        Customers whose refunds exceed what they paid have no place on a curve of shares: they count as 0, and the
        answer tells how many and how much; or all is refused with their count.
    resamples : int
        For the intervals: studentised bootstrap on the logit scale, standard errors by the influence function. From
        25,000 customers on, or with 0 resamples, the influence function alone (they agree there). The end towards
        uneven revenue is moved out by what larger customers than the sample holds would bring, the more, the heavier
        the tail (`_unseen`). There are none below 300 customers, or where one makes over 90% of the squared deviations.
    level : float
        Coverage of the intervals.

    Raises
    ------
    WorkbenchError
        If amounts are missing, infinite, or negative and to be refused.
    CannotAnswer
        If there are fewer than two customers or no revenue.

    Examples
    --------
    >>> result = concentration(np.array([1.0, 1, 2, 6]), resamples=0)
    >>> round(result.gini.estimate, 6), result.share_of_top(0.25), result.customers_for(0.8)
    (0.4, 0.6, 2)

    References
    ----------
    Davidson (2009), Reliable inference for the Gini index, Journal of Econometrics 150.
    """
    require_level(level)
    if resamples:
        require_resamples(resamples)
    amounts, below, owed = _checked(revenue, negative)
    value, error = (part[0] for part in _estimate(amounts, np.ones((1, len(amounts)))))
    low, high = np.full((2, len(value)), np.nan)
    if not (why := _no_interval(amounts)):
        low, high = _ends(amounts, value, error, resamples, level, rng)
    names = ["gini", *(_top_name(p) for p in TOP), f"share_of_customers_for[{GOAL:g}]"]
    n = len(amounts)
    customers = [n, *(_count(p, n) for p in TOP), _needed(amounts, GOAL)]
    table = pd.DataFrame({"quantity": names, "estimate": value, "low": low, "high": high, "customers": customers})
    few = [name.startswith("share_of_top") and count < _FEWEST for name, count in zip(names, customers, strict=True)]
    table.loc[few, ["low", "high"]] = np.nan
    gini = Interval(*(float(v[0]) for v in (value, low, high)))
    return Concentration(gini, amounts, table, level, below, owed, why)


def _no_interval(ascending: np.ndarray) -> Message:
    """Why no interval of these amounts could be trusted; empty where one can.

    A heavy tail seen in the sample is no reason: of samples of one kind, those without their largest customers look
    light and err most, so that a limit on the tail keeps those that mislead.
    """
    n, positive = len(ascending), int((ascending > 0).sum())
    if n < _FEWEST_FOR_INTERVALS or positive < _FEWEST_FOR_INTERVALS // 2:
        return say(
            "{few} of {n} customers bring revenue, and {least} of {all} are needed",
            few=positive,
            n=n,
            least=_FEWEST_FOR_INTERVALS // 2,
            all=_FEWEST_FOR_INTERVALS,
        )
    square = (ascending - ascending.mean()) ** 2
    if square.sum() <= 1e-18 * ascending[-1] ** 2 * n:
        return say("all customers bring the same")
    largest = square[-1] / square.sum()
    if largest > _MOST_OF_ONE:
        return say(
            "one customer makes {share} of the spread, and {most} is the most that one may",
            share=Share(largest),
            most=Share(_MOST_OF_ONE, 0),
        )
    return say("")


def _top_name(share: float) -> str:
    return f"share_of_top[{share:g}]"


def _count(share: float, n: int) -> int:
    return max(1, int(np.ceil(share * n - _DUST)))


def _needed(ascending: np.ndarray, share: float) -> int:
    reached = np.cumsum(ascending[::-1])
    return int(np.searchsorted(reached, share * reached[-1] * (1 - _DUST)) + 1)


def _checked(revenue: pd.Series | np.ndarray, negative: str) -> tuple[np.ndarray, int, float]:
    require_known("treatment of negative amounts", negative, ("zero", "refuse"))
    if np.ndim(revenue) != 1:
        columns = dict.fromkeys(revenue.columns) if isinstance(revenue, pd.DataFrame) else ()
        raise WorkbenchError("revenue takes one column of amounts, not {shape}{named_so}.").of(
            str(np.shape(revenue)), say(" ({names})", names=quoted(columns)) if columns else ""
        )
    column = revenue if isinstance(revenue, pd.Series) else pd.Series(revenue)
    amounts = number(column, str(column.name or "revenue"), what="amount")
    below, owed = int((amounts < 0).sum()), float(np.sort(amounts[amounts < 0]).sum())
    if below and negative == "refuse":
        raise WorkbenchError(
            "revenue has {below} negative amounts of {n} (refunds above payments); shares of a total are not "
            "defined with them. Pass negative='zero' to count them as 0, or add the earlier months."
        ).of(below, len(amounts))
    amounts = np.sort(np.maximum(amounts, 0))
    if len(amounts) < 2 or amounts[-1] <= 0:
        what = say("no revenue at all")
        if len(amounts) < 2:
            what = say("1 customer") if len(amounts) else say("0 customers")
        raise CannotAnswer("concentration needs at least two customers and some revenue; there is {what}.").of(what)
    return amounts, below, owed


def _estimate(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and their standard errors by the influence function, for each row of weights.

    x is ascending, shape (n,); w has shape (rows, n); the returned arrays have shape (rows, 6).
    """
    rows, n = w.shape
    size = w.sum(axis=1, keepdims=True)
    wx = w * x
    below, money = np.cumsum(w, axis=1), np.cumsum(wx, axis=1)
    total = money[:, -1:]
    mean = total / size
    rank = (below - w / 2) / size
    above = (total - money + wx / 2) / size
    gini = np.maximum(2 * (wx * rank).sum(axis=1, keepdims=True) / total - 1, 0)
    influence = 2 / mean * (x * rank + above) - (gini + 1) * (1 + x / mean)
    found = [(gini[:, 0], _standard_error(influence, w, size))]
    for share in TOP:
        many = np.ceil(share * size[:, 0] - _DUST)
        at = _first_from(below, size[:, 0] - many + 1)
        found.append(_top(x, w, at, many / size[:, 0], None, size, mean))
    at = n - 1 - _first_from(np.cumsum(wx[:, ::-1], axis=1), GOAL * total[:, 0] * (1 - _DUST))
    inside = below[np.arange(rows), -1] - below[np.arange(rows), at] + w[np.arange(rows), at]
    found.append(_top(x, w, at, None, (inside, money), size, mean))
    value, error = (np.column_stack(part) for part in zip(*found, strict=True))
    return value, error


def _first_from(increasing: np.ndarray, goal: np.ndarray) -> np.ndarray:
    return np.array([np.searchsorted(row, g, side="left") for row, g in zip(increasing, goal, strict=True)]).clip(
        max=increasing.shape[1] - 1
    )


def _top(x, w, at, share, needed, size, mean):
    """Revenue share of the top, or (where `needed`) the customers' share that brings the goal; with error."""
    edge = x[at][:, None]
    excess = np.maximum(x - edge, 0)
    beyond = (w * excess).sum(axis=1, keepdims=True) / size
    if needed is None:
        part = share[:, None]
        value = (beyond + part * edge) / mean
        influence = (excess + part * edge - value * x) / mean
        return value[:, 0], _standard_error(influence, w, size)
    exact = np.clip((GOAL * mean - beyond) / edge, 1e-12, 1)
    whole = np.ceil(exact * size - _DUST) / size
    influence = -(excess + exact * edge - GOAL * x) / edge
    return whole[:, 0], _standard_error(influence, w, size)


def _standard_error(influence: np.ndarray, w: np.ndarray, size: np.ndarray) -> np.ndarray:
    square = (influence - (w * influence).sum(axis=1, keepdims=True) / size) ** 2
    error: np.ndarray = np.sqrt((w * square).sum(axis=1)) / size[:, 0]
    return error


def _ends(x, value, error, resamples, level, rng):
    """Ends of the intervals on the logit scale, shape (6,) each; the value itself where nothing can vary.

    A sample that lacks the largest customers errs towards even revenue and shows too small an error besides, which no
    resample of it can know. The end towards uneven revenue goes out by the variance's own relative error, and by
    what the customers beyond the sample's largest would move the number (`_unseen`).
    """
    tail = (1 - level) / 2
    quantiles = np.tile(norm.ppf([tail, 1 - tail])[:, None], (1, len(value)))
    with np.errstate(all="ignore"):
        centre, spread = _logit(value, error)
        if resamples and len(x) < _LARGE:
            drawn = []
            for w in bootstrap_weights(len(x), resamples, rng=rng):
                again, noise = _logit(*_estimate(x, w))
                drawn.append((again - centre) / noise)
            pivots = np.vstack(drawn)
            steady = np.isfinite(pivots)
            pivots = np.where(steady.any(axis=0), np.where(steady, pivots, np.nan), 0.0)
            quantiles = -np.nanquantile(pivots, [1 - tail, tail], axis=0)
        ends = centre + quantiles * spread
        uneven = np.append(np.ones(len(value) - 1, dtype=int), 0)  # fewer customers for 80% are more uneven
        rows, way = np.arange(len(value)), np.append(np.ones(len(value) - 1), -1)
        ends[uneven, rows] += way * (_variance_error(x) * np.abs(quantiles[uneven, rows]) * spread + _moved(x, value))
        ends = 1 / (1 + np.exp(-ends))
    return np.where(error > 1e-12, ends, value)


def _variance_error(x: np.ndarray) -> float:
    """Relative error of the variance of the amounts as the sample has it, √(Σ d⁴) / Σ d²; 1 if one customer is all."""
    square = (x - x.mean()) ** 2
    return float(np.sqrt((square**2).sum()) / square.sum())


def _moved(x: np.ndarray, value: np.ndarray) -> np.ndarray:
    """How far revenue that the sample lacks moves each number on the logit scale, away from even, shape (6,).

    By the influence of a customer far above the others: (1 − G)/μ of a customer's revenue for Gini, (1 − s)/μ for a
    top share s, and (1 − 0.8)/q for the customers needed for 80%, q the edge of their group.
    """
    lacking, needed = _unseen(x), value[-1]
    edge = x[-_needed(x, GOAL)]
    return lacking * np.append(1 / (x.mean() * value[:-1]), (1 - GOAL) / (edge * needed * (1 - needed)))


def _unseen(x: np.ndarray) -> float:
    """Revenue per customer that lies beyond the largest 1 in n, which a sample of n may lack.

    Under a Pareto tail of index a = 1/γ it is (1/n) q γ/(1 − γ), q the amount that 1 in n exceed. γ is Hill's estimate
    from the √m largest of the m who brought anything, k of them; the mean is over its uncertainty (k γ̂ / γ is gamma
    distributed with shape k; γ at most 0.95). It counts fully where the tail has no variance (γ̂ ≥ 1/2), below as 2 γ̂:
    of light tails the resamples know.
    """
    many = int(np.ceil(np.sqrt((x > 0).sum())))
    edge = x[-many - 1]
    hill = np.mean(np.log(x[-many:])) - np.log(edge)
    tails = np.minimum(hill * many / gamma.ppf(_EQUALLY_LIKELY, many), _HEAVIEST)
    beyond = edge * many**tails * tails / (1 - tails)
    return float(min(1, 2 * hill) * beyond.mean() / len(x))


def _logit(value, error):
    return np.log(value) - np.log1p(-value), error / (value * (1 - value))


def _in_words(name: str) -> Message:
    kind, _, part = name.partition("[")
    if kind == "gini":
        return say("Gini coefficient")
    share = Share(float(part.rstrip("]")), 0)
    if kind == "share_of_top":
        return say("share of revenue from the top {share}", share=share)
    return say("share of customers that bring {share}", share=share)
