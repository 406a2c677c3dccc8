"""What is a running contract worth from here on? Survival from tenure, margin and discount."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from workbench.columns import number, require_table
from workbench.errors import CannotAnswer, WorkbenchError, require_columns, unknown
from workbench.figures import Axes, axes
from workbench.messages import Message, Name, Number, Share, Span, Term, join, say
from workbench.methods.btyd.purchases import DAYS, day_of, left_out
from workbench.methods.btyd.retention import fit_sbg
from workbench.methods.resampling import Rng, interval, require_resamples, seeds
from workbench.methods.survival import FEWEST, FEWEST_DEPARTURES, Step, life_table, observe, require_records, surviving
from workbench.result import COUNT, SHARE, Decision, Quantity, Result, Tile

MONTH = DAYS["month"]
BANDS = (0, 6, 12, 24, 48, 96, np.inf)
MOST_UNCOUNTED = 0.2
"""Share of contract-months at tenures that were not observed; with more of them nothing is answered."""

BELOW = "present customers with a negative margin"

_STOP = -1e3
_LONGEST = 600


@dataclass(frozen=True, eq=False)
class LifetimeValue(Result):
    """Discounted margin to be expected of the contracts that run today over a horizon, given how long they have run.

    Attributes
    ----------
    customers : DataFrame
        One row a contract that runs today, index as given: started, tenure_months, margin (currency a month), months
        (expected to stay within the horizon), value (currency), low, high; no interval (NaN) where more than a fifth
        of its months lie at tenures that were not observed.
    table : DataFrame
        One row for all and for each band of tenure: contracts, months, value (their sum), low, high, per_contract,
        uncounted (as below, of the band); no interval where that is above a fifth.
    curve : DataFrame
        One row a day (month) of tenure and group: group, day (month), at_risk, left, surviving (of those there at the
        first day told).
    horizon : int
        Months.
    discount : float
        A year.
    uncounted : float
        Share of contract-months that lie at tenures too few were observed at: they count as nothing, or as the
        extrapolation says.
    extrapolate : {"sbg"} or None
    step : {"day", "month"}
        What the dates tell: hazards are by day, or by calendar month where departures are known by month only.
    """

    customers: pd.DataFrame
    table: pd.DataFrame
    curve: pd.DataFrame
    horizon: int
    discount: float
    uncounted: float
    extrapolate: Literal["sbg"] | None
    set_aside: dict[str, int]
    level: float
    currency: str = "yuan"
    step: Step = "day"

    NAME, PICTURE, COUNTS, CHART = "value", "by_tenure", "contracts", say("Dots with intervals by tenure")
    CAPTION = "Lines, months they stay and value over the next {horizon} months in {unit}, by tenure today (months)."
    PICTURE_CAPTION = (
        "Value of a line over the next {horizon} months by its tenure today, with {level} intervals ({unit})."
    )
    FORMATS = (
        dict.fromkeys(["value", "low", "high", "per_contract"], COUNT)
        | dict.fromkeys(["months", "months_low", "months_high"], "{:.1f}")
        | {"uncounted": SHARE}
    )

    def headline(self) -> Message:
        """Say what today's contracts are worth, and how much of it was not observed."""
        row = self.table.iloc[0]
        worth = self.say("{value} {unit}", value=Number(row["value"], ",.0f"))
        if np.isfinite(row["low"]):
            worth = say("{estimate} {span}", estimate=worth, span=Span(row["low"], row["high"], ",.0f"))
        text = self.say(
            "Today's {contracts} contracts are worth {worth} over the next {horizon} months, discounted at {discount} "
            "a year.",
            contracts=Number(row["contracts"], ",.0f"),
            worth=worth,
            discount=Share(self.discount),
        )
        return join(text, *self._reservations())

    def _reservations(self) -> Iterator[Message]:
        if self.uncounted >= 0.001:
            how = (
                say("carried on by sBG")
                if self.extrapolate
                else say("counted as nothing: the value is at least this, and the interval leaves them out")
            )
            yield say(
                "{share} of the contract-months lie at tenures with fewer than {fewest} observed, {how}.",
                share=Share(self.uncounted),
                fewest=FEWEST,
                how=how,
            )
        if self.step == "month":
            yield say("Departures are known by month only: hazards are by month.")
        yield left_out(self.set_aside)
        if early := self.set_aside.get("left before since", 0):
            yield say("Departures before the first day of records ({early}) are left out.", early=early)
        if below := self.set_aside[BELOW]:
            yield say("{below} contracts have a margin below 0, and lower the sum.", below=below)

    def tiles(self) -> tuple[Tile, ...]:
        """Value of all and of one, and the months to come."""
        row = self.table.iloc[0]
        n, unit = row["contracts"], Term(self.currency)
        of_all, each = (Span(row["low"] / k, row["high"] / k, ",.0f") for k in (1, n))
        runs = say("months a contract still runs, of {horizon}", horizon=self.horizon)
        ends = Span(row["months_low"], row["months_high"], ".1f")
        return (
            Tile(say("value of all contracts, {unit}", unit=unit), Number(row["value"], ",.0f"), of_all),
            Tile(say("value of a contract, {unit}", unit=unit), Number(row["per_contract"], ",.0f"), each),
            Tile(runs, Number(row["months"], ".1f"), ends),
        )

    def decision(self) -> Decision:
        """Say what keeping a contract may cost at most, and whether that differs by tenure beyond chance."""
        all_, unit = self.table.iloc[0], Term(self.currency)
        change = say("departures unlike the past, or lower margins.")
        if not all_["per_contract"] > 0 or all_["low"] <= 0:
            return Decision(
                (say("Spend nothing on keeping contracts: it is not shown that they bring anything."),), change
            )
        most = say(
            "To keep a contract, spend at most what its end loses: {each} {unit} on average.",
            each=Number(all_["per_contract"], ",.0f"),
            unit=unit,
        )
        rows = self.table.iloc[1:].dropna(subset=["low", "high"]).query("contracts >= @FEWEST")
        if rows.empty:
            return Decision((most,), change)
        low, high = (rows.loc[pick(rows["per_contract"])] for pick in (pd.Series.idxmin, pd.Series.idxmax))
        if not low["high"] / low["contracts"] < high["low"] / high["contracts"]:
            alike = say("Set no other limit by how long a contract has run: no difference by tenure is certain.")
            return Decision((most, alike), change)
        by_tenure = say(
            "By contract age: from {low} {unit} at {least} months to {high} {unit} at {most}.",
            low=Number(low["per_contract"], ",.0f"),
            least=Name(low["tenure"]),
            high=Number(high["per_contract"], ",.0f"),
            most=Name(high["tenure"]),
            unit=unit,
        )
        return Decision((most, by_tenure), change)

    def quantities(self) -> Iterable[Quantity]:
        """Value of all, of one, and expected months."""
        row = self.table.iloc[0]
        each = row[["value", "low", "high"]].to_numpy(dtype=float)
        stay = row[["months", "months_low", "months_high"]].to_numpy(dtype=float)
        of_all, of_one = ("lifetime_value", each), ("lifetime_value_per_contract", each / row["contracts"])
        for name, part in (of_all, of_one, ("months_to_come", stay)):
            low, high = (float(end) if np.isfinite(end) else None for end in part[1:])
            unit = "months" if part is stay else self.currency
            yield Quantity(f"{name}[months={self.horizon}]", float(part[0]), unit, low, high)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the value of a contract by tenure, with its interval."""
        ax = axes(ax)
        rows = self.table.iloc[1:]
        at, count = np.arange(len(rows)), rows["contracts"]
        ax.vlines(at, rows["low"] / count, rows["high"] / count, color="C0")
        ax.plot(at, rows["per_contract"], "o", color="C0", markersize=4)
        for x, y in zip(at, rows["per_contract"], strict=True):
            ax.annotate(f"{y:,.0f}", (x, y), (6, -3), textcoords="offset points", fontsize=9)
        ax.set_xticks(at, rows["tenure"])
        ax.set_xlabel("tenure today (months)")
        ax.set_ylabel(self.say("value of a contract over {n} months ({currency})", n=self.horizon))
        return ax


def lifetime_value(
    customers: pd.DataFrame,
    *,
    started: str,
    left: str,
    margin: str | float,
    horizon: int,
    discount: float,
    since: object,
    as_of: object,
    within: str | None = None,
    extrapolate: Literal["sbg"] | None = None,
    step: Step | None = None,
    most_uncounted: float = MOST_UNCOUNTED,
    resamples: int = 400,
    level: float = 0.95,
    currency: str = "yuan",
    rng: Rng = 0,
) -> LifetimeValue:
    """Estimate what the contracts that run today will bring until the horizon, given their tenure.

    A contract is at risk at the tenures at which it was observed: not before `since`, when only those that had lasted
    so long were there to be recorded (left truncation). The margin of a month counts at its end, if the contract runs.

    Parameters
    ----------
    customers : DataFrame
        One row a contract (a customer with two lines has two), those that ended too.
    started, left : str
        Columns of days: first day, last day (missing, or 2099-12-31 and later, while it runs).
    margin : str or float
        Column with the margin a month in currency (may be negative), or one for all.
    horizon : int
        Months from `as_of` on.
    discount : float
        Rate a year, 0.08 for 8 %.
    since : date or None
        First day from which departures are recorded; None only if they are from the first customer on. Without it the
        early departures nobody recorded look like loyalty.
    as_of : date
        Exclusive: what happened before this day is known.
    within : str, optional
        Column of groups (contract, service) that get a curve each. Margin and staying are taken as unrelated in one.
    extrapolate : {"sbg"}, optional
        How departures go on at tenures fewer than 10 were observed at; without it nothing is counted from there on.
    step : {"day", "month"}, optional
        What the dates tell. If not given it is "month" where every departure lies on the first, or every one on the
        last, day of a month: tenure then counts calendar months, and the month of `left` is the last one.
    most_uncounted : float
        Largest share of contract-months at tenures that were not observed, if there is no `extrapolate`.
    resamples : int
        Of the hazards, given the departures seen and one more that might have been; 0 for no intervals.

    Raises
    ------
    WorkbenchError
        If dates are missing, the margin of a present customer is missing, discount or horizon is no
        rate a year, or number of months; if no departure is on record for a time after `since` (before `as_of`) in
        which some must have been: then they were not recorded.
    CannotAnswer
        If nobody is a customer at `as_of`, fewer than 5 departures were observed in a group, or more contract-months
        than `most_uncounted` lie at tenures that were not observed; if over a twentieth end before they begin.

    References
    ----------
    Kaplan and Meier (1958), JASA 53. Andersen, Borgan, Gill and Keiding (1993), Statistical models based on counting
    processes, III.3.4 (truncation). Fay and Feuer (1997), Statistics in Medicine 16, Fay and Kim (2017), Biometrical
    Journal 59 (weighted sums of rare events). Gupta and Lehmann (2003), J. of Interactive Marketing 17.

    Examples
    --------
    A tenth of those still there left every 30 days; one more began yesterday: 0.9 + 0.9² + 0.9³ months to come of 3.

    >>> left = [30 * k for k, n in enumerate([10, 9, 8, 7, 7, 6, 5, 5, 4, 4], 1) for _ in range(n)]
    >>> start = pd.Timestamp("2024-01-01")
    >>> table = pd.DataFrame({"on": start, "off": start + pd.to_timedelta(left + [None] * 35, unit="D")})
    >>> table.loc[100] = [pd.Timestamp("2024-10-31"), pd.NaT]
    >>> value = lifetime_value(table, started="on", left="off", margin=10.0, horizon=3, discount=0.08, since=None,
    ...     as_of="2024-11-01", most_uncounted=1, resamples=0)
    >>> value.customers.loc[100, ["months", "value"]].astype(float).round(2).tolist()
    [2.44, 24.1]
    """
    _check_choices(horizon, discount, extrapolate, step)
    if resamples:
        require_resamples(resamples)
    require_table(customers, [started, left], "customers")
    index, customers = customers.index, customers.reset_index(drop=True)
    known = observe(customers, started, left, since, day_of(as_of, "as_of"), within, step)
    table, aside, step = known.table, known.set_aside, known.step
    here = table["here"].to_numpy()
    if not here.any():
        today = day_of(as_of, "as_of").date()
        raise CannotAnswer("nobody is a customer on {day}: there is nothing to value.").of(today)
    living = table[here]
    if isinstance(margin, str):
        require_columns(customers, [margin], "customers")
        money = number(customers.loc[living.index, margin], margin, what="margin of those present")
    else:
        money = number(pd.Series([margin] * len(living)), "margin", what="number")
    factor = (1 + discount) ** (-np.arange(1, horizon + 1) / 12)
    ends = np.arange(1, horizon + 1) if step == "month" else np.round(np.arange(1, horizon + 1) * MONTH).astype(int)
    groups = sorted(living["group"].unique())
    cell, cells, worths = np.empty(len(living), dtype=int), 0, []
    for group, seed in zip(groups, seeds(rng, len(groups)), strict=True):
        mine = (living["group"] == group).to_numpy()
        tenure, who = np.unique(living.loc[mine, "tenure"].to_numpy(), return_inverse=True)
        cell[mine] = who + cells
        cells += len(tenure)
        part = table[table["group"] == group]
        require_records(part, group, step)
        worths.append(_worth(part, tenure, ends, factor, known, extrapolate, resamples, np.random.default_rng(seed)))
    worth = _Worths(worths, factor, ends)
    uncounted = float(worth.beyond[cell].mean())
    if uncounted > most_uncounted and extrapolate is None:
        by_month = np.concatenate([part.hides for part in worths])[cell].mean(axis=0).cumsum()
        longest = int((by_month / np.arange(1, horizon + 1) <= most_uncounted).sum())
        shorter = say("a shorter horizon ({months} months at most), ", months=longest) if longest else say("")
        raise CannotAnswer(
            "not answerable: {share} of the contract-months lie at tenures with fewer than {fewest} observed, more "
            "than {most}. Take {shorter}fewer groups or extrapolate='sbg', or allow more with most_uncounted= for a "
            "value that is a lower limit only."
        ).of(Share(uncounted), FEWEST, Share(most_uncounted), shorter)
    hidden = worth.beyond > most_uncounted if extrapolate is None else np.zeros(cells, bool)
    tenure_months = living["tenure"] if step == "month" else living["tenure"] / MONTH
    found = living[["started"]].assign(tenure_months=tenure_months, margin=money)
    found = found.assign(months=worth.months[0, cell], value=money * worth.unit[0, cell])
    extra = np.random.default_rng(seeds(rng, len(groups) + 1)[-1])
    if resamples:
        each = np.array(interval(worth.unit[0], worth.of_cells(extra), level=level))
        both = np.sort(money * np.where(hidden, np.nan, each)[:, cell], axis=0)
        found = found.assign(low=both[0], high=both[1])
    aside[BELOW] = int((money < 0).sum())
    bands = _bands(found, cell, worth, level, most_uncounted if extrapolate is None else 1.0, extra)
    curve = pd.concat([w.curve for w in worths], ignore_index=True)
    found.index = index[found.index]
    return LifetimeValue(found, bands, curve, horizon, discount, uncounted, extrapolate, aside, level, currency, step)


@dataclass(frozen=True)
class _Worth:
    """What a margin of 1 brings by tenure in one group: draws of value and months (resamples + 1, t), first as found;
    share beyond what is told (t,) and whether each month is (t, horizon), staying to the end of each (t, horizon),
    tenures (t,), at risk and told by step of tenure, the curve."""

    unit: np.ndarray
    months: np.ndarray
    beyond: np.ndarray
    hides: np.ndarray
    stay: np.ndarray
    tenure: np.ndarray
    at_risk: np.ndarray
    told: np.ndarray
    curve: pd.DataFrame


def _worth(part, tenure, ends, factor, known, extrapolate, resamples, draw) -> _Worth:
    reach, group = int(part["exit"].max()) + ends[-1], part["group"].iloc[0]
    counted = life_table(part["entry"], part["exit"], -part["alive"].astype(int), reach=reach)
    at_risk, gone = counted.at_risk, counted.left.sum(axis=0)
    if gone.sum() < FEWEST_DEPARTURES:
        raise CannotAnswer("not answerable: {gone} departures observed (group '{group}'), {needed} are needed.").of(
            int(gone.sum()), str(group), FEWEST_DEPARTURES
        )
    told = at_risk >= FEWEST
    events = np.flatnonzero((gone > 0) & told)
    n, d = at_risk[events], gone[events]
    staying, whole = d < n, (n - 1) / n
    unit, months = np.full((2, resamples + 1, len(tenure)), np.nan)
    for i in range(resamples + 1):
        hazard = d / n
        if i:  # by chance as uncertain as a binomial share: mean d / n, variance d (n - d) / n³
            hazard[staying] = draw.beta((d * whole)[staying], ((n - d) * whole)[staying])
        drawn = np.zeros(reach)
        drawn[events] = hazard
        try:
            path = _path(at_risk, drawn, told, extrapolate, known.step)
        except CannotAnswer:
            if not i:
                raise
            continue  # departures drawn that hold no mixture: this resample gives no value
        stay = np.exp(path[tenure[:, None] + ends] - path[tenure][:, None])
        unit[i], months[i] = stay @ factor, stay.sum(axis=1)
        if not i:
            staying_on = stay
    hidden = np.cumsum(np.append(0, ~told))
    beyond = hidden[tenure[:, None] + ends] > hidden[tenure][:, None]
    stay = surviving(np.where(told, counted.hazard(1), 0.0))
    steps = {known.step: np.arange(1, reach + 1), "at_risk": at_risk, "left": gone, "surviving": stay}
    shown = pd.DataFrame({"group": group} | steps)[told]
    return _Worth(unit, months, beyond.mean(axis=1), beyond, staying_on, tenure, at_risk, told, shown)


class _Worths:
    """Worths of all groups side by side, and what one more departure would have taken from them.

    Departures are few, and where none was seen one may have been. Hazards drawn around those found make the lower half
    of an interval's belief, the same with one more departure the upper half: for a single rate this is the mid-P
    interval. The one more is placed at a tenure in proportion to the variance that departures there give the quantity.
    """

    def __init__(self, parts: list[_Worth], factor: np.ndarray, ends: np.ndarray) -> None:
        self.parts, self.factor, self.ends = parts, factor, ends
        self.unit, self.months, self.beyond = (
            np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in ("unit", "months", "beyond")
        )

    def of_all(self, weight: np.ndarray, *, value: bool, rng: np.random.Generator) -> np.ndarray:
        """Draws (resamples,) of Σ weight · value (months) over all cells."""
        drawn = self.unit if value else self.months
        parts_lost, parts_at_risk, at = [], [], 0
        for part in self.parts:
            taken = weight[at : at + len(part.tenure), None] * part.stay * (self.factor if value else 1.0)
            at, size = at + len(part.tenure), len(part.told)
            change = np.bincount(part.tenure, taken.sum(axis=1), size + 1)
            change -= np.bincount((part.tenure[:, None] + self.ends).ravel(), taken.ravel(), size + 1)
            parts_lost.append(np.where(part.told, np.cumsum(change)[:-1], 0.0))
            parts_at_risk.append(np.maximum(part.at_risk, 1))
        lost, at_risk = np.concatenate(parts_lost), np.concatenate(parts_at_risk)
        total, whole = drawn[1:] @ weight, np.abs(weight)
        place = np.cumsum(np.where(np.abs(lost) > 1e-12 * np.abs(lost).max(), lost**2 / at_risk, 0.0))
        if not place[-1] > 0:
            return total
        where = np.searchsorted(place, rng.random(len(total)) * place[-1], side="right").clip(max=len(place) - 1)
        one_more = -np.expm1(-rng.exponential(size=len(total)) / at_risk[where]) * lost[where]
        scale = (drawn[1:] @ whole) / (drawn[0] @ whole)
        return total - np.where(np.arange(len(total)) % 2, one_more * scale, 0.0)

    def of_cells(self, rng: np.random.Generator) -> np.ndarray:
        """Draws (resamples, cells) of the value of each tenure."""
        size = len(self.unit) - 1
        u, mass, odd, found = rng.random(size), rng.exponential(size=size), np.arange(size) % 2 == 1, []
        for part in self.parts:
            taken = part.stay * self.factor
            tail = np.cumsum(taken[:, ::-1], axis=1)[:, ::-1]
            begin = np.append(0, self.ends[:-1])
            risk = np.append(0, np.cumsum(part.at_risk))
            at_risk = np.maximum(risk[part.tenure[:, None] + self.ends] - risk[part.tenure[:, None] + begin], 1)
            at_risk = at_risk / (self.ends - begin)
            place = np.cumsum(tail**2 / at_risk, axis=1)
            month = np.zeros((len(part.tenure), size), dtype=int)
            for edge in place[:, :-1].T:
                month += edge[:, None] <= u * place[:, -1:]
            row = np.arange(len(part.tenure))[:, None]
            whole = np.maximum(tail[:, :1], 1e-300)
            found.append(-np.expm1(-mass / at_risk[row, month]) * tail[row, month] / whole)
        return self.unit[1:] * (1 - np.concatenate(found).T * odd[:, None])


def _check_choices(horizon: int, discount: float, extrapolate: str | None, step: str | None) -> None:
    if not 0 <= discount < 1:
        raise WorkbenchError("discount is a rate a year from 0 up to 1, 0.08 for 8 %; not {discount}.").of(discount)
    if horizon != int(horizon) or not 1 <= horizon <= _LONGEST:
        raise WorkbenchError("horizon counts months, 1 to {longest}; not {horizon}.").of(_LONGEST, horizon)
    if extrapolate not in (None, "sbg"):
        raise unknown("extrapolation", extrapolate, ["sbg"])
    if step not in (None, "day", "month"):
        raise unknown("step", step, ["day", "month"])


def _path(at_risk: np.ndarray, hazard: np.ndarray, told: np.ndarray, extrapolate: str | None, step: Step) -> np.ndarray:
    """Log of surviving from day 0 on; differences count. At tenures not told it falls to nothing, or by sBG."""
    log = np.log1p(-np.minimum(hazard, 1 - 1e-12))
    if extrapolate is None or told.all():
        return np.append(0.0, np.cumsum(np.where(told, log, _STOP)))
    events = hazard * at_risk
    length = MONTH if step == "day" else 1.0
    month = ((np.arange(len(events)) + 0.5) / length).astype(int)
    steps = np.bincount(month)
    whole = (np.bincount(month, told) == steps) & (steps > length - 1)
    left = np.bincount(month, events)[whole]
    mean = (np.bincount(month, at_risk) / steps)[whole]
    risk = mean if step == "month" else mean + left / 2
    table = pd.DataFrame({"period": np.flatnonzero(whole) + 1, "n": risk, "d": left})
    fit = fit_sbg(table, period="period", at_risk="n", left="d")
    return np.append(0.0, np.cumsum(np.where(told, log, np.log1p(-fit.leaving(month + 1)) / length)))


def _bands(found, cell: np.ndarray, worth: _Worths, level: float, most: float, rng) -> pd.DataFrame:
    """Sums and means for all and by band of tenure, with intervals from the resamples."""
    band, size = np.digitize(found["tenure_months"], BANDS[1:-1]), worth.unit.shape[1]
    parts = {"all": band >= 0}
    for i, (low, high) in enumerate(pairwise(BANDS)):
        parts[f"{low}+" if np.isinf(high) else f"{low}–{high}"] = band == i
    rows = []
    for name, mine in parts.items():
        if not mine.any():
            continue
        n, ends = int(mine.sum()), np.full((2, 2), np.nan)
        money = np.bincount(cell[mine], found["margin"].to_numpy()[mine], size)
        count = np.bincount(cell[mine], minlength=size) / n
        value, months = float(worth.unit[0] @ money), float(worth.months[0] @ count)
        uncounted = float(worth.beyond @ count)
        if len(worth.unit) > 1 and (name == "all" or uncounted <= most):
            drawn = worth.of_all(money, value=True, rng=rng), worth.of_all(count, value=False, rng=rng)
            ends = np.array(interval(np.array([value, months]), np.column_stack(drawn), level=level))
        (low, months_low), (high, months_high) = ends
        rows.append([name, n, months, months_low, months_high, value, low, high, value / n, uncounted])
    names = ["tenure", "contracts", "months", "months_low", "months_high", "value", "low", "high", "per_contract"]
    return pd.DataFrame(rows, columns=[*names, "uncounted"])
