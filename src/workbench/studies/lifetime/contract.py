"""What is a running contract worth from here on? Survival from tenure, margin and discount."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError, require_columns, unknown
from workbench.resampling import Rng, interval, seeds
from workbench.result import Quantity, Result
from workbench.studies.lifetime.purchases import DAYS, day_of, numbers_of, refuse, require_dates
from workbench.studies.lifetime.retention import fit_sbg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MONTH = DAYS["month"]
BANDS = (0, 6, 12, 24, 48, 96, np.inf)
FEWEST = 10
"""A day of tenure with fewer at risk tells no hazard; a curve needs as many departures."""

_STOP = -1e3
_LONGEST = 600


@dataclass(frozen=True, eq=False)
class LifetimeValue(Result):
    """Discounted margin to be expected of the contracts that run today over a horizon, given how long they have run.

    Attributes
    ----------
    customers : DataFrame
        One row a contract that runs today, index as given: started, tenure_months, margin (currency a month), months
        (expected to stay within the horizon), value (currency), low, high.
    table : DataFrame
        One row for all and for each band of tenure: contracts, months, value (their sum), low, high, per_contract.
    curve : DataFrame
        One row a day of tenure and group: group, day, at_risk, left, surviving (of those there at the first day told).
    horizon : int
        Months.
    discount : float
        A year.
    uncounted : float
        Share of contract-months that lie at tenures too few were observed at: they count as nothing, or as the
        extrapolation says.
    extrapolate : {"sbg"} or None
    set_aside : dict of str to int
    level : float
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

    def headline(self) -> str:
        """Say what today's contracts are worth, and how much of it was not observed."""
        row = self.table.iloc[0]
        text = (
            f"Today's {row['contracts']:,.0f} contracts are worth {row['value']:,.0f} {self.currency} "
            f"({row['low']:,.0f} to {row['high']:,.0f}) over {self.horizon} months at {self.discount:.1%} a year, "
            f"{row['per_contract']:,.2f} each; they run for {row['months']:.1f} of them."
        )
        if self.uncounted >= 0.001:
            how = "carried on by sBG" if self.extrapolate else "counted as nothing: the value is at least this"
            text += (
                f" {self.uncounted:.1%} of the contract-months lie at tenures with fewer than {FEWEST} observed, {how}."
            )
        return text

    def summary(self) -> pd.DataFrame:
        """Tabulate contracts, expected months and value by tenure."""
        return self.table

    def quantities(self) -> Iterable[Quantity]:
        """Value of all, of one, and expected months."""
        row = self.table.iloc[0]
        each = row[["value", "low", "high"]].to_numpy(dtype=float)
        for name, part in (("lifetime_value", each), ("lifetime_value_per_contract", each / row["contracts"])):
            yield Quantity(
                f"{name}[months={self.horizon}]", float(part[0]), self.currency, float(part[1]), float(part[2])
            )
        stay = row[["months", "months_low", "months_high"]].astype(float)
        yield Quantity(f"months_to_come[months={self.horizon}]", stay.iloc[0], "months", *stay.iloc[1:])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the value of a contract by tenure, with its interval."""
        import matplotlib.pyplot as plt

        ax = plt.gca() if ax is None else ax
        rows = self.table.iloc[1:]
        at, count = np.arange(len(rows)), rows["contracts"]
        ax.vlines(at, rows["low"] / count, rows["high"] / count, color="C0")
        ax.plot(at, rows["per_contract"], "o", color="C0", markersize=4)
        for x, y in zip(at, rows["per_contract"], strict=True):
            ax.annotate(f"{y:,.0f}", (x, y), (6, -3), textcoords="offset points", fontsize=8)
        ax.set_xticks(at, rows["tenure"])
        ax.set_xlabel("tenure today (months)")
        ax.set_ylabel(f"value of a contract over {self.horizon} months ({self.currency})")
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
        Columns of dates: first day, last day (missing while it runs).
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
    resamples : int
        Of the departures: on each day of tenure as many as a draw with the hazard from those at risk gives.
    level : float
    rng : int, SeedSequence or Generator

    Raises
    ------
    WorkbenchError
        If dates are missing or out of order, the margin of a present customer is missing, or discount or horizon is no
        rate a year, or number of months.
    CannotAnswer
        If nobody is a customer at `as_of`, or fewer than 10 departures were observed in a group.

    References
    ----------
    Kaplan and Meier (1958), JASA 53. Andersen, Borgan, Gill and Keiding (1993), Statistical models based on counting
    processes, III.3.4 (truncation), IV.1.4 (the bootstrap). Gupta and Lehmann (2003), J. of Interactive Marketing 17.

    Examples
    --------
    A tenth of those still there left every 30 days; one more began yesterday: 0.9 + 0.9² + 0.9³ months to come of 3.

    >>> left = [30 * k for k, n in enumerate([10, 9, 8, 7, 7, 6, 5, 5, 4, 4], 1) for _ in range(n)]
    >>> start = pd.Timestamp("2024-01-01")
    >>> table = pd.DataFrame({"on": start, "off": start + pd.to_timedelta(left + [None] * 35, unit="D")})
    >>> table.loc[100] = [pd.Timestamp("2025-12-31"), pd.NaT]
    >>> value = lifetime_value(table, started="on", left="off", margin=10.0, horizon=3, discount=0.08, since=None,
    ...     as_of="2026-01-01", resamples=0)
    >>> value.customers.loc[100, ["months", "value"]].astype(float).round(2).tolist()
    [2.44, 24.1]
    """
    _check_choices(horizon, discount, extrapolate)
    index, customers = customers.index, customers.reset_index(drop=True)
    table, aside = _observed(customers, started, left, since, day_of(as_of, "as_of"), within)
    alive = table["alive"].to_numpy()
    if not alive.any():
        raise CannotAnswer(f"nobody is a customer on {day_of(as_of, 'as_of'):%Y-%m-%d}: there is nothing to value.")
    living = table[alive]
    if isinstance(margin, str):
        require_columns(customers, [margin], "customers")
        money = numbers_of(customers.loc[living.index], margin, "customers (those present)")
    else:
        money = np.full(len(living), float(margin))
    factor = (1 + discount) ** (-np.arange(1, horizon + 1) / 12)
    groups = sorted(living["group"].unique(), key=str)
    cell, cells, worths = np.empty(len(living), dtype=int), 0, []
    for group, seed in zip(groups, seeds(rng, len(groups)), strict=True):
        mine = (living["group"] == group).to_numpy()
        tenure, who = np.unique(living.loc[mine, "tenure"].to_numpy(), return_inverse=True)
        cell[mine] = who + cells
        cells += len(tenure)
        part = table[table["group"] == group]
        worths.append(_worth(part, tenure, factor, extrapolate, resamples, np.random.default_rng(seed)))
    unit, months, beyond = (np.concatenate([w[i] for w in worths], axis=-1) for i in range(3))
    found = living[["started"]].assign(tenure_months=living["tenure"] / MONTH, margin=money)
    found = found.assign(months=months[0, cell], value=money * unit[0, cell])
    if resamples:
        ends = np.sort(money * np.array(interval(unit[0], unit[1:], level=level))[:, cell], axis=0)
        found = found.assign(low=ends[0], high=ends[1])
    aside["present customers with a negative margin"] = int((money < 0).sum())
    bands = _bands(found, cell, unit, months, level)
    curve = pd.concat([w[3] for w in worths], ignore_index=True)
    uncounted = float(beyond[cell].mean())
    found.index = index[found.index]
    return LifetimeValue(found, bands, curve, horizon, discount, uncounted, extrapolate, aside, level, currency)


def _worth(part, tenure, factor, extrapolate, resamples, draw):
    """Value of a margin of 1 and months to come (resamples + 1, t) by tenure, share beyond what is told, the curve."""
    ends = np.round(np.arange(1, len(factor) + 1) * MONTH).astype(int)
    reach, group = int(part["exit"].max()) + ends[-1], part["group"].iloc[0]
    at_risk, gone = _life_table(part, reach)
    if gone.sum() < FEWEST:
        raise CannotAnswer(f"only {gone.sum():,} departures were observed (group '{group}'); {FEWEST} are needed.")
    told = at_risk >= FEWEST
    chance = np.divide(gone, at_risk, out=np.zeros(reach), where=at_risk > 0)
    unit, months = np.full((2, resamples + 1, len(tenure)), np.nan)
    for i in range(resamples + 1):
        try:
            path = _path(at_risk, draw.binomial(at_risk, chance) if i else gone, told, extrapolate)
        except CannotAnswer:
            if not i:
                raise
            continue  # departures drawn that hold no mixture: this resample gives no value
        stay = np.exp(path[tenure[:, None] + ends] - path[tenure][:, None])
        unit[i], months[i] = stay @ factor, stay.sum(axis=1)
    hidden = np.cumsum(np.append(0, ~told))
    beyond = (hidden[tenure[:, None] + ends] > hidden[tenure][:, None]).mean(axis=1)
    surviving = np.exp(np.cumsum(np.where(told, np.log1p(-np.minimum(chance, 1 - 1e-12)), 0)))
    days = {"day": np.arange(1, reach + 1), "at_risk": at_risk, "left": gone, "surviving": surviving}
    return unit, months, beyond, pd.DataFrame({"group": group} | days)[told]


def _check_choices(horizon: int, discount: float, extrapolate: str | None) -> None:
    if not 0 <= discount < 1:
        raise WorkbenchError(f"discount is a rate a year from 0 up to 1, 0.08 for 8 %; not {discount}.")
    if horizon != int(horizon) or not 1 <= horizon <= _LONGEST:
        raise WorkbenchError(f"horizon counts months, 1 to {_LONGEST}; not {horizon}.")
    if extrapolate not in (None, "sbg"):
        raise unknown("extrapolation", extrapolate, ["sbg"])


def _observed(customers, started, left, since, as_of, within) -> tuple[pd.DataFrame, dict[str, int]]:
    """Days of tenure at which each came under and went out of observation, and whether alive then."""
    require_columns(customers, [started, left, *([within] if within else [])], "customers")
    require_dates(customers, [started, left], "customers")
    begin, end = customers[started].dt.normalize(), customers[left].dt.normalize()
    refuse(int(begin.isna().sum()), len(customers), f"missing values in '{started}'", "customers")
    refuse(int((end < begin).sum()), len(customers), f"'{left}' before '{started}'", "customers")
    if within:
        refuse(int(customers[within].isna().sum()), len(customers), f"missing values in '{within}'", "customers")
    opened = begin.min() if since is None else day_of(since, "since")
    if not opened < as_of:
        raise CannotAnswer(
            f"nothing was observed from {opened:%Y-%m-%d} to before {as_of:%Y-%m-%d}. Choose a later as_of."
        )
    early, late = (end < opened).to_numpy(), (begin >= as_of).to_numpy()
    alive = ~(end < as_of)
    exit_day = (end + pd.Timedelta(days=1)).where(~alive, as_of)
    table = pd.DataFrame(
        {
            "started": begin,
            "entry": np.maximum((opened - begin).dt.days, 0),
            "exit": (exit_day - begin).dt.days,
            "alive": alive,
            "group": customers[within] if within else "all",
            "tenure": (as_of - begin).dt.days,
        }
    )
    aside = {"left before since": int(early.sum()), "began on or after as_of": int(late.sum())}
    return table[~early & ~late], aside


def _life_table(part: pd.DataFrame, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """How many were at risk and left on each day of tenure, 1 to `reach`."""
    entered = np.bincount(part["entry"], minlength=reach + 1)
    gone = np.bincount(part["exit"], minlength=reach + 1)
    at_risk = np.cumsum(entered)[:reach] - np.cumsum(gone)[:reach]
    return at_risk, np.bincount(part.loc[~part["alive"], "exit"], minlength=reach + 1)[1:]


def _path(at_risk: np.ndarray, events: np.ndarray, told: np.ndarray, extrapolate: str | None) -> np.ndarray:
    """Log of surviving from day 0 on; differences count. At tenures not told it falls to nothing, or by sBG."""
    hazard = np.divide(events, at_risk, out=np.zeros(len(events)), where=told)
    step = np.log1p(-np.minimum(hazard, 1 - 1e-12))
    if extrapolate is None or told.all():
        return np.append(0.0, np.cumsum(np.where(told, step, _STOP)))
    month = ((np.arange(len(events)) + 0.5) / MONTH).astype(int)
    days = np.bincount(month)
    whole = (np.bincount(month, told) == days) & (days > MONTH - 1)
    left = np.bincount(month, events)[whole]
    risk = (np.bincount(month, at_risk) / days)[whole] + left / 2
    fit = fit_sbg(
        pd.DataFrame({"period": np.flatnonzero(whole) + 1, "n": risk, "d": left}),
        period="period",
        at_risk="n",
        left="d",
    )
    return np.append(0.0, np.cumsum(np.where(told, step, np.log1p(-fit.leaving(month + 1)) / MONTH)))


def _bands(found: pd.DataFrame, cell: np.ndarray, unit: np.ndarray, months: np.ndarray, level: float) -> pd.DataFrame:
    """Sums and means for all and by band of tenure, with intervals from the resamples."""
    band, size = np.digitize(found["tenure_months"], BANDS[1:-1]), unit.shape[1]
    parts = {"all": band >= 0}
    for i, (low, high) in enumerate(pairwise(BANDS)):
        parts[f"{low}+" if np.isinf(high) else f"{low}–{high}"] = band == i
    rows = []
    for name, mine in parts.items():
        if mine.any():
            n, money = int(mine.sum()), np.bincount(cell[mine], found["margin"].to_numpy()[mine], size)
            both = np.column_stack([unit @ money, months @ (np.bincount(cell[mine], minlength=size) / n)])
            low, high = interval(both[0], both[1:], level=level) if len(both) > 1 else np.full((2, 2), np.nan)
            rows.append([name, n, both[0, 1], low[1], high[1], both[0, 0], low[0], high[0], both[0, 0] / n])
    names = ["tenure", "contracts", "months", "months_low", "months_high", "value", "low", "high", "per_contract"]
    return pd.DataFrame(rows, columns=names)
