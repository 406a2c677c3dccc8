"""How many contracts are renewed, period after period? The shifted beta-geometric model (sBG)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.columns import number
from workbench.errors import CannotAnswer, WorkbenchError, require_columns
from workbench.messages import Message, Number, Share, say
from workbench.methods.btyd.maximum import Maximum, maximise
from workbench.result import Quantity, Result


@dataclass(frozen=True, eq=False)
class Sbg(Result):
    """Each customer leaves with a constant probability a period, which is Beta(alpha, beta) over all customers.

    Attributes
    ----------
    fit : Maximum
        Parameters alpha, beta.
    table : DataFrame
        One row a period: period, at_risk, left.
    """

    fit: Maximum
    table: pd.DataFrame

    @property
    def params(self) -> pd.DataFrame:
        """One row a parameter: estimate, low, high."""
        return self.fit.params

    def leaving(self, period: np.ndarray) -> np.ndarray:
        """Share leaving in each period (1 = the first) of those still there."""
        alpha, beta = np.exp(self.fit.theta)
        share: np.ndarray = alpha / (alpha + beta + np.asarray(period, dtype=float) - 1)
        return share

    def surviving(self, periods: int) -> np.ndarray:
        """Share still there after 1, 2, … periods."""
        return np.cumprod(1 - self.leaving(np.arange(1, periods + 1)))

    def headline(self) -> Message:
        """Say how fast customers leave at first and later."""
        first, last = self.table["period"].iloc[[0, -1]]
        return say(
            "By sBG {early} leave in period {first}, then {late} of the rest in period {last}: those likely to leave "
            "go first.",
            early=Share(float(self.leaving(first))),
            first=Number(first, ".0f"),
            late=Share(float(self.leaving(last))),
            last=Number(last, ".0f"),
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate the parameters."""
        return self.fit.table()

    def quantities(self) -> Iterable[Quantity]:
        """Both parameters."""
        return self.fit.quantities("sbg[parameter={}]")


def fit_sbg(periods: pd.DataFrame, *, period: str, at_risk: str, left: str, level: float = 0.95) -> Sbg:
    """Fit the shifted beta-geometric model to how many left in each period of those who could.

    It conditions on who was there when a period began: customers observed from a later period on (left truncation), or
    not yet to the end, are counted in the periods in which they were at risk.

    Parameters
    ----------
    periods : DataFrame
        One row a period of the contract; periods may be missing.
    period, at_risk, left : str
        Columns: number of the period (1 = until the first renewal), how many were there when it began and left in it.
    level : float
        Coverage of the intervals, 0-1.

    Raises
    ------
    WorkbenchError
        If a count is negative, more left than there were, or a period is repeated or below 1.
    CannotAnswer
        If nobody left or stayed, or the shares leaving do not fall: then there is no mixture to fit.

    References
    ----------
    Fader and Hardie (2007), How to project customer retention, Journal of Interactive Marketing 21.

    Examples
    --------
    Their regular customers:

    >>> there = np.array([1000, 631, 468, 382, 326, 289, 262, 241])
    >>> table = pd.DataFrame({"year": range(1, 8), "there": there[:-1], "gone": -np.diff(there)})
    >>> fit_sbg(table, period="year", at_risk="there", left="gone").params["estimate"].round(3).tolist()
    [0.704, 1.182]
    """
    require_columns(periods, [period, at_risk, left], "periods")
    t, n, d = np.array([number(periods[c], c) for c in (period, at_risk, left)])[
        :, np.argsort(number(periods[period], period))
    ]
    if (t < 1).any() or (t % 1 != 0).any() or (np.diff(t) == 0).any() or (d < 0).any() or (d > n).any():
        raise WorkbenchError(
            "periods count 1, 2, …, each once, with 0 or more who left and not more than were at risk."
        )
    if len(t) < 2 or d.sum() == 0 or d.sum() == n.sum():
        raise CannotAnswer("{left} of {all} left in {periods} periods; it takes two, and some of either kind.").of(
            f"{d.sum():g}", f"{n.sum():g}", len(t)
        )

    def likelihood(theta: np.ndarray) -> tuple[float, np.ndarray]:
        alpha, beta = np.exp(theta)
        whole, stay = alpha + beta + t - 1, beta + t - 1
        value = (d * np.log(alpha / whole) + (n - d) * np.log(stay / whole)).sum()
        return value, np.array([(d - n * alpha / whole).sum(), (beta * ((n - d) / stay - n / whole)).sum()])

    start = np.log([1.0, max(n.sum() / d.sum() - 1, 0.1)])
    fit = maximise(likelihood, start, ("alpha", "beta"), "sBG", level)
    return Sbg(fit, pd.DataFrame({"period": t, "at_risk": n, "left": d}))
