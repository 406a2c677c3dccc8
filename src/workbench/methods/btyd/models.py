"""Who of those without a contract will buy again, and how often? Buy-till-you-die models by maximum likelihood."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from workbench.columns import days
from workbench.errors import CannotAnswer, WorkbenchError, require_known
from workbench.figures import Axes, axes
from workbench.messages import Count, Listed, Message, Name, Number, Share, Span, Term, join, say
from workbench.methods.btyd.holdout import Holdout
from workbench.methods.btyd.likelihoods import PROCESSES, Process
from workbench.methods.btyd.maximum import Function, Maximum, maximise
from workbench.methods.btyd.purchases import DAYS, FEWEST_REPEATERS, FEWEST_UNITS, Unit, day_of, histories, left_out
from workbench.methods.resampling import Rng
from workbench.result import COUNT, Decision, Quantity, Refusal, Result, Table, Tile

if TYPE_CHECKING:
    from workbench.methods.btyd.spend import GammaGamma

Model = Literal["bg_nbd", "mbg_nbd", "pareto_nbd"]
Alike = tuple[np.ndarray, np.ndarray, np.ndarray]

FEWEST_FOR_INTERVALS = 500
"""With fewer who came back, intervals of parameters and of who is still there hold the truth in 82-92 %."""
FARTHEST = 3
"""Expectations reach at most so many times as far as was observed."""


class Columns(TypedDict):
    """Names of columns of the purchases."""

    customer: str
    when: str
    amount: str | None


@dataclass(frozen=True, eq=False)
class Btyd(Result):
    """A fitted model of purchases and silent departure.

    Attributes
    ----------
    model : {"bg_nbd", "mbg_nbd", "pareto_nbd"}
    fit : Maximum
        Parameters (times in `unit`), their covariance, the log-likelihood.
    unit : {"day", "week", "month"}
        A month is 365.25/12 days.
    until : Timestamp
        Last day observed.
    customers : DataFrame
        One row a customer, sorted: the customer's column, repeats (days bought on after the first), and in `unit`: last
        (time from first to last purchase), seen (from the first purchase to `until`).
    set_aside : dict of str to int
        What was counted but not used, by reason.
    columns : dict of str to str or None
        Names of the columns `customer`, `when`, `amount` in the purchases; None without amounts.
    """

    model: Model
    fit: Maximum
    unit: Unit
    until: pd.Timestamp
    customers: pd.DataFrame
    set_aside: dict[str, int]
    columns: Columns

    NAME, PICTURE, CHART = "params", "purchases", say("A rising curve, and a dot where it should have led")
    FORMATS = dict.fromkeys(["estimate", "low", "high"], "{:,.2f}")

    @property
    def params(self) -> pd.DataFrame:
        """One row a parameter: estimate, low, high (NaN if fewer than 500 came back); alpha and beta of Pareto/NBD in
        `unit`."""
        rows = self.fit.params
        if not self._enough:
            rows[["low", "high"]] = np.nan
        return rows

    def p_alive(self) -> pd.DataFrame:
        """Probability that each customer is still one: p_alive, low, high (NaN if fewer than 500 came back).

        Warning: BG/NBD lets nobody leave before a first repeat, so one-time buyers get 1, however long ago.
        """
        found = self._per_customer("p_alive", lambda theta, x, t, T: self._process.likelihood(theta, x, t, T)[2], expit)
        return found if self._enough else found.assign(low=np.nan, high=np.nan)

    def expected(self, periods: float) -> pd.DataFrame:
        """Purchases to be expected of each customer in the next `periods` units: expected, low, high.

        The interval is that of the expectation, not of what one customer will do. At most 3 times as far as observed.
        """
        self._require_reach(periods)
        return self._per_customer("expected", lambda *at: np.log(self._expected(periods, *at)), np.exp)

    def total(self, periods: float) -> tuple[float, float, float]:
        """Purchases to be expected of all customers in the next `periods` units, and the interval of that."""
        self._require_reach(periods)
        (x, t, T), _, count = self._groups()
        return self._whole(lambda theta: np.log(count @ self._expected(periods, theta, x, t, T)))

    def active(self) -> tuple[float, float, float]:
        """How many are to be expected still customers, and the interval of that (NaN if fewer than 500 came back)."""
        (x, t, T), _, count = self._groups()
        whole = count.sum()
        found = self._whole(
            lambda theta: logit(count @ expit(self._process.likelihood(theta, x, t, T)[2]) / whole),
            lambda at: whole * expit(at),
        )
        return found if self._enough else (found[0], np.nan, np.nan)

    def holdout(self, purchases: pd.DataFrame, *, until: object, resamples: int = 200, rng: Rng = 0) -> Holdout:
        """Compare what the model expects after its last day with what happened up to and including `until`."""
        last = day_of(until, "until")
        if not last > self.until:
            raise WorkbenchError("the holdout ends after {until}, the model's last day; not {last}.").of(
                self.until, last.date()
            )
        periods = (last - self.until).days / DAYS[self.unit]
        after = days(purchases[self.columns["when"]], self.columns["when"])[0] >= self.until + pd.Timedelta(days=1)
        later = histories(purchases[after], until=last, **self.columns)
        bought = pd.Series(later.x + 1, index=later.ids).reindex(self.customers.iloc[:, 0]).fillna(0).to_numpy()
        (x, t, T), row, _ = self._groups()
        kind = np.minimum(self.customers["repeats"].to_numpy(), 7)
        generator = np.random.default_rng(rng)
        drawn = np.empty((resamples, 8))
        for i, theta in enumerate(generator.multivariate_normal(self.fit.theta, self.fit.covariance, resamples)):
            alive = generator.random(len(row)) < expit(self._process.likelihood(theta, x, t, T)[2])[row]
            count = self._process.draw(theta, x[row], T[row], periods, generator) * alive
            drawn[i] = np.bincount(kind, count, 8)
        expected = np.bincount(kind, self._expected(periods, self.fit.theta, x, t, T)[row], 8)
        tails = [(1 - self.fit.level) / 2, (1 + self.fit.level) / 2]
        low, high = np.quantile(np.column_stack([drawn.sum(axis=1), drawn]), tails, axis=0)
        table = pd.DataFrame(
            {
                "repeats_before": ["all", *map(str, range(7)), "7+"],
                "customers": np.r_[len(row), np.bincount(kind, minlength=8)],
                "actual": np.r_[bought.sum(), np.bincount(kind, bought, 8)],
                "expected": np.r_[expected.sum(), expected],
                "low": low,
                "high": high,
            }
        )
        return Holdout(self._process.label, table, periods, self.unit)

    def half_held_out(self, purchases: pd.DataFrame, *, rng: Rng = 0) -> Holdout:
        """Fit the same model to the first half of the time alone, and hold its forecast against the second."""
        when = self.columns["when"]
        day, end = days(purchases[when], when)[0], self.until + pd.Timedelta(days=1)
        half = day.min().normalize() + (end - day.min().normalize()) / 2
        last = half.normalize() - pd.Timedelta(days=1)
        asked: dict[str, Any] = {"model": self.model, "unit": self.unit, "level": self.fit.level, **self.columns}
        return fit_btyd(purchases[day < half], until=last, **asked).holdout(purchases, until=self.until, rng=rng)

    def headline(self) -> Message:
        """Say how many are still customers and what they will buy in as long again as was observed."""
        ahead = round(float(self.customers["seen"].max()))
        active, total = self.active(), self.total(ahead)
        once = int((self.customers["repeats"] == 0).sum())
        still: Number | Message = Number(active[0], ",.0f")
        if self._enough:
            still, doubt = say("{estimate} {span}", estimate=still, span=Span(*active[1:], ",.0f")), say("")
        else:
            doubt = say(
                "How many are active has no interval, as only {again} came back ({needed} needed).",
                again=len(self.customers) - once,
                needed=FEWEST_FOR_INTERVALS,
            )
        said = say(
            "Of {all} customers, {active} are still active; expect {total} purchases {between} in the next {ahead} "
            "{units}.",
            all=len(self.customers),
            active=still,
            total=Number(total[0], ",.0f"),
            between=Span(*total[1:], ",.0f"),
            ahead=ahead,
            units=Term(f"{self.unit}s"),
        )
        alike = say("It counts all {once} one-time buyers as active: to tell customers apart take mbg_nbd.", once=once)
        by = say("By the model {model}.", model=self._process.label)
        return join(said, by, doubt, *[alike] * (self.model == "bg_nbd"), left_out(self.set_aside))

    def tiles(self) -> tuple[Tile, ...]:
        """How many are still customers, and what they will buy in as long again as was observed."""
        ahead = round(float(self.customers["seen"].max()))
        active, total = self.active(), self.total(ahead)
        return (
            Tile(
                say("customers still active, of {all}", all=len(self.customers)),
                Number(active[0], ",.0f"),
                Span(*active[1:], ",.0f") if self._enough else None,
            ),
            Tile(
                say("purchases in the next {ahead} {units}", ahead=ahead, units=Term(f"{self.unit}s")),
                Number(total[0], ",.0f"),
                Span(*total[1:], ",.0f"),
            ),
        )

    def decision(self, spend: GammaGamma | Refusal) -> Decision:
        """Say what keeping these customers may cost, and how many of them are gone.

        Parameters
        ----------
        spend : GammaGamma or Refusal
            Of the amounts of the same purchases.
        """
        ahead = round(float(self.customers["seen"].max()))
        n, active, total = len(self.customers), self.active(), self.total(ahead)
        expected: dict[str, Any] = {
            "total": Number(total[0], ",.0f"),
            "between": Span(*total[1:], ",.0f"),
            "n": n,
            "ahead": ahead,
            "units": Term(f"{self.unit}s"),
        }
        most = say(
            "Spend on keeping them at most what they will bring: {total} purchases {between} of {n} customers in "
            "{ahead} {units}.",
            **expected,
        )
        if not isinstance(spend, Refusal):
            most = say(
                "Spend on keeping them at most what they will bring: {mean} {currency} a purchase.",
                mean=Number(spend.mean[0], ".2f"),
                currency=Term(spend.currency),
            )
        change = say("later purchases that miss this forecast.")
        if self.model == "bg_nbd":
            return Decision(
                (most, say("Take another model to tell who is gone: this one keeps every one-time buyer.")), change
            )
        gone = say(
            "Leave out those most likely gone: about {gone} of {n} customers are.",
            gone=Number(n - active[0], ",.0f"),
            n=n,
        )
        return Decision((most, gone), change)

    def summary(self) -> pd.DataFrame:
        """Tabulate the parameters, and the expectations over as long again as was observed."""
        ahead = round(float(self.customers["seen"].max()))
        ahead_words = say("purchases in the next {ahead} {units}", ahead=str(ahead), units=Term(f"{self.unit}s"))
        rows = {"customers still active": self.active(), ahead_words: self.total(ahead)}
        rest = pd.DataFrame(rows, index=["estimate", "low", "high"]).T
        return pd.concat([self.params, rest]).rename_axis("quantity").reset_index()

    def caption(self) -> Message:
        """Say what the table shows."""
        aside = [say("{reason} {count}", reason=Term(what), count=n) for what, n in self.set_aside.items() if n]
        return say(
            "Parameters of {model} in {units}, {n} customers; log-likelihood {loglik}. Set aside: {aside}.",
            model=self._process.label,
            units=Term(f"{self.unit}s"),
            n=len(self.customers),
            loglik=Name(f"{self.fit.loglik:,.2f}".replace("-", "−")),
            aside=Listed(tuple(aside), "") if aside else Term("nothing"),
        )

    def picture_caption(self) -> Message:
        """Say what the picture shows."""
        return say("Repeat purchases so far, and as the model {model} expects them.", model=self._process.label)

    def ahead(self, periods: float) -> Table:
        """Give what is to be expected in the next `periods` units; at most 3 times as far as observed."""
        rows = [("purchases expected", *self.total(periods)), ("customers still there", *self.active())]
        frame = pd.DataFrame(rows, columns=["of", "estimate", "low", "high"])
        caption = say(
            "What is to be expected in the {periods} {units} after {until}.",
            periods=Number(periods, ",.0f"),
            units=Term(f"{self.unit}s"),
            until=self.until.date(),
        )
        return Table("ahead", frame, caption, dict.fromkeys(["estimate", "low", "high"], COUNT))

    def by_chance(self, periods: float) -> Table:
        """Give how many customers are how likely still there, and what they will buy in the next `periods` units."""
        ends = np.linspace(0, 1, 6)
        band = np.searchsorted(ends[1:-1], self.p_alive()["p_alive"])
        expected = np.bincount(band, self.expected(periods)["expected"], 5)
        words = [say("{low} to {high}", low=Share(a, 0), high=Share(b, 0)) for a, b in pairwise(ends)]
        frame = pd.DataFrame({"still there": words, "customers": np.bincount(band, minlength=5), "expected": expected})
        said = say(
            "Customers by their chance of being one still, and purchases expected in {periods} {units}.",
            periods=Number(periods, ",.0f"),
            units=Term(f"{self.unit}s"),
        )
        return Table("chances", frame, said, {"expected": COUNT}, "customers")

    def quantities(self) -> Iterable[Quantity]:
        """The parameters and the number still active."""
        units = {"active": "customers", "alpha": self.unit} | (
            {"beta": self.unit} if self.model == "pareto_nbd" else {}
        )
        rows = {f"btyd[model={self.model},parameter={name}]": (name, row) for name, row in self.params.iterrows()}
        rows[f"btyd_active[model={self.model}]"] = ("active", self.active())
        for quantity, (name, row) in rows.items():
            estimate, low, high = map(float, row)
            ends: dict[str, Any] = {"low": low, "high": high} if self._enough else {}
            yield Quantity(quantity, estimate, units.get(name, "1"), rtol=1e-4, **ends)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw cumulative repeats since the first purchases began, as they were and as the model has them."""
        ax = axes(ax)
        seen, count = np.unique(self.customers["seen"].to_numpy(), return_counts=True)
        at = np.linspace(0, seen[-1], 60)[1:]
        age = np.maximum(at[:, None] - (seen[-1] - seen), 0)
        zero = np.zeros(1)
        stay = expit(self._process.likelihood(self.fit.theta, zero, zero, zero)[2])[0]
        model = stay * (self._process.expected(self.fit.theta, np.zeros_like(age), 0.0, age) @ count)
        ax.plot(at, model, color="C1")
        beside: dict[str, Any] = {"textcoords": "offset points", "ha": "right"}
        ax.annotate(self._process.label, (at[40], model[40]), (-6, 4), **beside)
        actual = float(self.customers["repeats"].sum())
        ax.plot([at[-1]], [actual], "o", color="black")
        lower = 3 if actual >= model[-1] else -14
        ax.annotate(say("actual {n}", n=Count(actual)), (at[-1], actual), (-8, lower), **beside)
        ax.set_xlabel(say("{units} since the first purchase of all", units=Term(f"{self.unit}s")))
        ax.set_ylabel("repeat purchases so far")
        return ax

    @property
    def _enough(self) -> bool:
        return int((self.customers["repeats"] > 0).sum()) >= FEWEST_FOR_INTERVALS

    @property
    def _process(self) -> Process:
        return PROCESSES[self.model]

    def _expected(self, periods: float, theta: np.ndarray, x: np.ndarray, t: np.ndarray, T: np.ndarray) -> np.ndarray:
        alive = expit(self._process.likelihood(theta, x, t, T)[2])
        bought: np.ndarray = alive * self._process.expected(theta, x, T, periods)
        return bought

    def _groups(self) -> tuple[Alike, np.ndarray, np.ndarray]:
        return _alike(*(self.customers[c].to_numpy(dtype=float) for c in ("repeats", "last", "seen")))

    def _per_customer(self, name: str, value: Callable[..., np.ndarray], back: Function) -> pd.DataFrame:
        """A value of each customer, with an interval on the scale of `value`, carried back."""
        at, row, _ = self._groups()
        ends = self.fit.ends(lambda theta: value(theta, *at), back)[:, row]
        who = self.customers.columns[0]
        return pd.DataFrame({who: self.customers[who], name: ends[0], "low": ends[1], "high": ends[2]})

    def _whole(self, value: Function, back: Function = np.exp) -> tuple[float, float, float]:
        estimate, low, high = self.fit.ends(value, back).tolist()
        return estimate, low, high

    def _require_reach(self, periods: float) -> None:
        seen = float(self.customers["seen"].max())
        if not 0 < periods < np.inf:
            raise WorkbenchError("periods is a positive number of {units}; not {periods}.").of(
                Term(f"{self.unit}s"), periods
            )
        if periods > FARTHEST * seen:
            raise CannotAnswer(
                "{periods} {units} are {times} times the {seen} {units} seen; at most {farthest} times can be told. "
                "periods counts {units}: was another unit meant?"
            ).of(f"{periods:g}", Term(f"{self.unit}s"), Number(periods / seen, ".1f"), Number(seen, ".1f"), FARTHEST)


def fit_btyd(
    purchases: pd.DataFrame,
    *,
    customer: str,
    when: str,
    unit: Unit,
    until: object,
    model: Model = "mbg_nbd",
    amount: str | None = None,
    level: float = 0.95,
) -> Btyd:
    """Fit a model of how often customers without a contract buy until they silently leave.

    Parameters
    ----------
    purchases : DataFrame
        One row a purchase or top-up. Those of a customer on one day are one.
    customer, when : str
        Columns: who, the local date or time.
    unit : {"day", "week", "month"}
        What `periods` will count, and the unit of alpha and beta. It changes no fit, but to read weeks as days is the
        usual mistake; hence no default.
    until : date
        Last day observed, inclusive.
    model : {"mbg_nbd", "bg_nbd", "pareto_nbd"}
        mbg_nbd and pareto_nbd tell one-time buyers apart by their last purchase, bg_nbd calls them all active.
    amount : str, optional
        Column; then amounts of one day are added, refunds are taken off the customer's purchases before them, the
        latest first, and a day of which nothing is left is no purchase.
    level : float
        Coverage of the intervals, 0-1.

    Raises
    ------
    WorkbenchError
        If a column is missing, is of the wrong type or holds missing values, or unit or model is unknown.
    CannotAnswer
        If nothing was bought until then, fewer than 10 customers came back, the time is shorter than 4 units, or the
        likelihood has no maximum inside.

    References
    ----------
    Fader, Hardie and Lee (2005), Marketing Science 24. Batislam, Denizel and Filiztekin (2007), Int. J. of Research in
    Marketing 24. Schmittlein, Morrison and Colombo (1987), Management Science 33.

    Examples
    --------
    Of those who topped up once, who did so lately is more likely to be there:

    >>> draw = np.random.default_rng(0)
    >>> first = draw.integers(0, 60, 300)
    >>> stay = np.minimum(draw.exponential(60 / draw.gamma(1, 1, 300)), 119 - first)
    >>> who = np.repeat(range(300), 1 + draw.poisson(stay * draw.gamma(0.8, 0.1, 300)))
    >>> day = first[who] + draw.random(len(who)) * stay[who]
    >>> on = pd.Timestamp("2026-01-01") + pd.to_timedelta(day.astype(int), unit="D")
    >>> fit = fit_btyd(
    ...     pd.DataFrame({"who": who, "on": on}), customer="who", when="on", unit="week", until="2026-04-30")
    >>> once = fit.customers.assign(p=fit.p_alive()["p_alive"]).query("repeats == 0").sort_values("seen")
    >>> bool(once["p"].is_monotonic_decreasing)
    True
    """
    for what, given, legal in (("unit", unit, DAYS), ("model", model, PROCESSES)):
        require_known(what, given, legal)
    known = histories(purchases, customer=customer, when=when, amount=amount, until=until)
    x, t, T = known.x.astype(float), known.t_x / DAYS[unit], known.T / DAYS[unit]
    process = PROCESSES[model]
    repeaters = int((x > 0).sum())
    if repeaters < FEWEST_REPEATERS:
        raise CannotAnswer(
            "only {again} of {all} customers bought again; {model} needs {needed} who did, to tell who left."
        ).of(repeaters, len(x), process.label, FEWEST_REPEATERS)
    if T.max() < FEWEST_UNITS:
        raise CannotAnswer("purchases span {span} {units}; at least {needed} are needed. Take a smaller unit.").of(
            Number(T.max(), ".2g"), Term(f"{unit}s"), FEWEST_UNITS
        )
    at, _, count = _alike(x, t, T)

    def likelihood(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, score, _ = process.likelihood(theta, *at)
        return float(count @ value), score @ count

    rate = x.sum() / T.sum()
    last = [1.0, 2.0] if model != "pareto_nbd" else [0.6, 0.5 * T.max()]
    start = np.log([0.5, 0.5 / rate, *last])
    fit = maximise(likelihood, start, process.names, process.label, level)
    table = pd.DataFrame({customer: known.ids, "repeats": known.x, "last": t, "seen": T})
    names: Columns = {"customer": customer, "when": when, "amount": amount}
    return Btyd(model, fit, unit, day_of(until, "until"), table, known.set_aside, names)


def _alike(x: np.ndarray, t: np.ndarray, T: np.ndarray) -> tuple[Alike, np.ndarray, np.ndarray]:
    """Distinct histories, the one of each customer, and how many share it."""
    order = np.lexsort([T, t, x])
    rows = np.column_stack([x, t, T])[order]
    new = np.r_[True, (np.diff(rows, axis=0) != 0).any(axis=1)]
    row = np.empty(len(x), dtype=int)
    row[order] = np.cumsum(new) - 1
    x, t, T = rows[new].T
    return (x, t, T), row, np.bincount(row).astype(float)
