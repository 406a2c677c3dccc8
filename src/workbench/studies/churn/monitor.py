"""Does the formula still hold? Each month expected against left, order, and the shift of its facts; and who is next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from workbench.columns import flag, number, require_table
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.figures import Axes, axes
from workbench.messages import Count, Day, Label, Listed, Message, Number, Share, Span, join, say
from workbench.methods.multiple import holm
from workbench.methods.ranking import auc, stability_index
from workbench.result import COUNT, PROBABILITY, Decision, Quantity, Result, Table, Tile
from workbench.studies.churn.formula import ChurnFormula
from workbench.studies.churn.terms import alike, month_starts

FEWEST, FALSE_ALARM = 10, 0.05
"""Departures to be expected at the least; share of looks where the formula holds that may end in another verdict."""
VERDICTS = {
    "holds": say("The formula for leaving holds within chance and its own error"),
    "level": say("The level is off, so calibrate the formula anew"),
    "order": say("The order is off, so fit the formula anew"),
}


@dataclass(frozen=True, eq=False)
class ChurnMonitor(Result):
    """Months that the formula was not fitted to, its verdict, and the customers over the threshold.

    Attributes
    ----------
    table : DataFrame
        One row a month: customers, expected and left with the ends of what was to be expected of `left` if the formula
        holds (low, high), auc with its ends, psi of the score, p_level, p_slope (chance of as much off in level and in
        slope if the formula holds).
    shifts : DataFrame
        One row a number of the formula, of the last month: psi, low, high, noise (95 % of unchanged samples stay under
        it); by convention under .1 is small and over .25 large.
    verdict : {"holds", "level", "order"}
    listed : DataFrame
        Customers over the threshold, most at risk first: the customer, probability, value, value_at_risk (probability x
        value), tier (as given), reasons.
    threshold : float
    horizon : int
        Months within which a departure counts.
    """

    table: pd.DataFrame
    shifts: pd.DataFrame
    verdict: str
    listed: pd.DataFrame
    threshold: float
    customers: int
    horizon: int = 1

    NAME, COUNTS, TOTALS = "monitor", "customers", None
    CHART = say("Dots of departures over bands of what was expected, by month")
    CAPTION = (
        "Left against expected by month (low to high: a formula that holds leaves no month out), AUC, score's shift."
    )
    PICTURE_CAPTION = "Who left (dots) and what the formula expected, by month: outside its band it would fail."
    FORMATS = dict.fromkeys(["expected", "left", "low", "high"], COUNT) | dict.fromkeys(
        ["auc", "auc_low", "auc_high", "psi"], PROBABILITY
    )

    def headline(self) -> Message:
        """Say whether it holds, and how many are on the list."""
        sums = self.table[["customers", "left", "expected"]].sum()
        left, expected = int(sums["left"]), Count(sums["expected"])
        told: dict[str, Any] = {"verdict": VERDICTS[self.verdict], "left": left, "expected": expected}
        said = say(
            "{verdict}: in {n} months {left} customers left, {expected} were expected.", n=len(self.table), **told
        )
        if self.horizon > 1:  # a departure is in the outcome of several months
            said = say(
                "{verdict}: {left} of {rows} customer-months ended in leaving within {n} months, {expected} "
                "were expected.",
                rows=int(sums["customers"]),
                n=self.horizon,
                **told,
            )
        alarm = say("A false alarm comes in about {alarm} of such looks.", alarm=Share(FALSE_ALARM, 0))
        if self.listed.empty:
            return join(said, alarm)
        return join(
            said,
            alarm,
            say(
                "{n} of {all} customers are at {threshold} or more.",
                n=len(self.listed),
                all=self.customers,
                threshold=Share(self.threshold),
            ),
        )

    def tiles(self) -> tuple[Tile, ...]:
        """Those who left in the last month, and those on the list."""
        last = self.table.iloc[-1]
        what = say("last month's leavers (in brackets: expected)")
        one = Tile(what, Count(last["left"]), Span(last.low, last.high, ",.0f"))
        said = say("customers with {threshold} chance or more", threshold=Share(self.threshold))
        return one, *([] if self.listed.empty else [Tile(said, Count(len(self.listed)))])

    def decision(self) -> Decision:
        """Advise to use, calibrate or refit."""
        do = {
            "holds": say("Leave the formula as it is."),
            "level": say("Calibrate the formula on the last month: it orders customers well, but the level has moved."),
            "order": say("Fit the formula anew: it no longer orders customers as it says."),
        }
        return Decision((do[self.verdict],), say("leaving beyond what chance allows."))

    def quantities(self) -> Iterable[Quantity]:
        """Left against expected."""
        ratio = self.table["left"].sum() / self.table["expected"].sum()
        yield Quantity("churn_left_against_expected", float(ratio), "1", rtol=1e-3)

    def shift_table(self) -> Table:
        """Give the shift of each number."""
        said = say("Shift of each number since the calibration (PSI); noise: 95% of unchanged samples stay under it.")
        return Table("shifts", self.shifts, said, dict.fromkeys(["psi", "low", "high", "noise"], PROBABILITY))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw departures over what was expected."""
        ax, rows = axes(ax), np.arange(len(self.table))
        ax.fill_between(rows, self.table["low"], self.table["high"], color="0.85", step="mid")
        ax.plot(rows, self.table["expected"], color="0.5", drawstyle="steps-mid")
        ax.plot(rows, self.table["left"], "o", color="C0")
        ax.set_xticks(rows, [f"{month:%Y-%m}" for month in self.table["month"]])
        ax.set_ylim(0)
        ax.set_ylabel(Label("customers").said())
        return ax


def churn_monitor(
    formula: ChurnFormula,
    panel: pd.DataFrame,
    customers: pd.DataFrame | None = None,
    *,
    left: str = "left",
    customer: str = "customer_id",
    month: str = "month",
    threshold: float | None = None,
    share: float = 0.1,
    value: str | None = None,
    tier: str | None = None,
) -> ChurnMonitor:
    """Hold the formula against months it was not fitted to, and list the customers over a threshold.

    Parameters
    ----------
    panel : DataFrame
        As for `churn_formula`: one row a customer and month start.
    customers : DataFrame, optional
        Who is a customer now, with the facts of the formula.
    threshold : float, optional
        Probability from which a customer is listed; if None, that which the likeliest `share` reach.
    share : float
        Of the customers, above 0; what pays best is `ChurnProfit.share`.
    value, tier : str, optional
        Columns of `customers`: what they are worth, and the service tier they are due.

    Raises
    ------
    WorkbenchError
        If a column is missing or of another kind, or a customer stands twice in a month or in `customers`.
    CannotAnswer
        If the formula was fitted or calibrated to a month, fewer than 10 departures were to be expected in all, or in a
        month in which nobody left 10 or more.

    Notes
    -----
    Of each month two numbers are standard normal if the formula holds: departures less expected, and their correlation
    with the score, each over its error, in which the error of the calibration is. The verdict goes by Holm over all of
    them at `FALSE_ALARM`: "order" before "level". Shifts of facts are shown and judge nothing: a formula may hold for
    other customers.

    References
    ----------
    Cox (1958), Biometrika 45 (level and slope). Holm (1979), Scandinavian Journal of Statistics 6.
    """
    if not 0 < share <= 1 or (threshold is not None and not 0 <= threshold <= 1):
        raise WorkbenchError("threshold={threshold}, share={share}: give shares between 0 and 1.").of(threshold, share)
    require_table(panel, [customer, left, month], "the panel")
    y, when = flag(panel[left], left), month_starts(panel[month], month)
    p = formula.at_horizon(formula.horizon).probability(panel)
    if when.isna().any() or panel[[customer]].assign(month=when).duplicated().any():
        raise WorkbenchError(
            "the panel has a row without '{month}', or a customer twice in one: give one row each."
        ).of(month)
    if formula.fitted:
        first, last_seen = (np.datetime64(name, "M") for name in formula.fitted)
        held = when.to_numpy().astype("datetime64[M]")
        if (known := held[(held >= first) & (held <= last_seen)]).size:
            raise CannotAnswer(
                say(
                    "not answerable: the formula knows {month}, as it was fitted and calibrated to {first} to {last}. "
                    "Give later months: take more, or watch fewer.",
                    month=Day(str(known.min())),
                    first=Day(formula.fitted[0]),
                    last=Day(formula.fitted[1]),
                )
            )
    if p.sum() < FEWEST:
        few = Number(p.sum(), ".1f")
        raise CannotAnswer(
            say("not answerable: {n} departures were to be expected, and {least} are needed.", n=few, least=FEWEST)
        )
    months = np.sort(when.unique())
    sums = pd.DataFrame({"y": y, "p": p}).groupby(when.to_numpy()).sum()
    if (silent := sums.index[(sums["y"] == 0) & (sums["p"] >= FEWEST)]).size:
        raise CannotAnswer(
            say(
                "not answerable: nobody left in {month}, and {n} were to be expected: its horizon has not ended, or "
                "departures are not on record. End the panel with the month before.",
                month=Day(f"{silent[0]:%Y-%m}"),
                n=Count(sums.loc[silent[0], "p"]),
            )
        )
    parts = [(month_start, (when == month_start).to_numpy()) for month_start in months]
    each = FALSE_ALARM / (2 * len(parts))  # Holm's first: a month outside its band is a formula that fails
    table = pd.DataFrame([_month(formula, start, y[at], p[at], each) for start, at in parts])
    sure = holm(table[["p_level", "p_slope"]].to_numpy().T.ravel()) < FALSE_ALARM
    verdict = "order" if sure[len(table) :].any() else "level" if sure.any() else "holds"
    last = panel[(when == months[-1]).to_numpy()]
    known = [f for f in formula.tenths if f != "score" and last[f].notna().any()]
    shifts = pd.DataFrame([{"fact": f, **_shift(formula, f, last[f])} for f in known])
    worth = [value, "value_at_risk"] if value else []
    columns = [customer, "probability", *worth, *([tier] if tier else []), "reasons"]
    listed, count = pd.DataFrame(columns=columns), 0
    if customers is not None:
        require_table(customers, [name for name in (customer, value, tier) if name], "customers")
        count, (listed, threshold) = len(customers), _listed(formula, customers, customer, value, threshold, share)
    return ChurnMonitor(table, shifts, verdict, listed[columns], threshold or 0.0, count, formula.horizon)


def _listed(
    formula: ChurnFormula,
    customers: pd.DataFrame,
    customer: str,
    value: str | None,
    threshold: float | None,
    share: float,
) -> tuple[pd.DataFrame, float]:
    """Customers over the threshold, most at risk first, and the threshold."""
    if customers[customer].isna().any() or customers[customer].duplicated().any():
        raise WorkbenchError("customers has a gap in '{customer}', or a customer twice: give one row each.").of(
            customer
        )
    chance = formula.probability(customers)
    worth = number(customers[value], value) * chance if value else chance
    threshold = float(np.quantile(chance, 1 - share)) if threshold is None else threshold
    listed = customers.assign(probability=chance, value_at_risk=worth)[chance >= threshold]
    by = ["value_at_risk", "probability", customer]
    listed = listed.sort_values(by, ascending=[False, False, True], kind="stable", ignore_index=True)
    said = [say("{it}", it=Listed(reasons, ";")) for reasons in formula.reasons(listed)]
    return listed.assign(reasons=pd.Series(said, listed.index, dtype=object)), threshold


def _month(formula: ChurnFormula, start: pd.Timestamp, y: np.ndarray, p: np.ndarray, each: float) -> dict[str, object]:
    """Expected against left, order and shift of one month."""
    safe = np.clip(p, 1e-12, 1 - 1e-12)
    logit, weight = np.log(safe / (1 - safe)), p * (1 - p)
    expected, variance = p.sum(), weight.sum() + (weight.sum() * formula.level_se) ** 2
    apart = logit - weight @ logit / weight.sum()
    spread = weight @ apart**2
    slope = apart @ (y - p) / np.sqrt(spread + (spread * formula.slope_se) ** 2) if spread > 0 else 0.0
    half = norm.isf(each / 2) * np.sqrt(variance)
    found, error = np.nan, np.nan
    if y.any() and not y.all():
        found, influence = auc(y, p)
        error = norm.isf(0.025) * np.sqrt((influence**2).sum())
    return {
        "month": start,
        "customers": len(y),
        "expected": expected,
        "left": int(y.sum()),
        "low": max(expected - half, 0.0),
        "high": expected + half,
        "auc": found,
        "auc_low": found - error,
        "auc_high": found + error,
        "psi": _shift(formula, "score", alike(logit))["psi"],
        "p_level": 2 * norm.sf(abs(y.sum() - expected) / np.sqrt(variance)),
        "p_slope": 2 * norm.sf(abs(slope)),
    }


def _shift(formula: ChurnFormula, fact: str, values: pd.Series | np.ndarray) -> dict[str, float]:
    ends, then = formula.tenths[fact]
    values = number(values, fact, missing="keep") if isinstance(values, pd.Series) else values
    known = values[~np.isnan(values)]
    now = np.bincount(np.searchsorted(ends, known, side="right"), minlength=len(then))
    return stability_index(np.array(then), now)
