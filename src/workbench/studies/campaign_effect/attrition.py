"""Outcomes are missing more often in one arm: between which values does the effect lie?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import brentq

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.figures import Axes, axes, axis_unit, fit
from workbench.messages import Amount, Label, Message, Number, Share, Span, say
from workbench.methods.experiment.events import FEWEST_EVENTS, Outcome, counts, too_few
from workbench.methods.experiment.members import arms, numbers, require_members
from workbench.methods.intervals import require_level
from workbench.result import Quantity, Result
from workbench.words import label


@dataclass(frozen=True)
class AttritionBounds(Result):
    """Bounds of the effect where outcomes are missing.

    Attributes
    ----------
    bounds : DataFrame
        One row a kind, lowest (and highest): bounds of the effect; low, high: interval that holds the effect (Imbens
        and Manski 2004). "lee": on members whose outcome would be observed in either arm, if contact only ever adds
        missing values or only ever removes them. "worst": on all members, whatever the missing outcomes are within
        their limits.
    missing_treated, missing_control : float
        Shares.
    p : float
        Of equal shares missing, Fisher's exact test.
    """

    bounds: pd.DataFrame
    missing_treated: float
    missing_control: float
    p: float
    level: float
    outcome: str
    unit: str = ""
    campaign: str = ""

    NAME, CHART = "bounds", say("Thick lines from the lowest to the highest effect, thin lines their intervals")
    CAPTION = (
        "Lowest and highest effect on {outcome} that the missing outcomes leave open ({unit} per member), with the "
        "{level} interval of the effect."
    )
    PICTURE_CAPTION = (
        "Thick: where the effect may lie; thin: with its interval. No value on the thick line is likelier."
    )

    def headline(self) -> Message:
        """Say between which values the effect lies."""
        lee = self.bounds.loc["lee"]
        equal = float(f"{self.p:.2g}") >= 1 - self.level
        answer = say("The effect is bounded, not known") if equal else say("Not answerable with one number")
        if self.missing_treated == self.missing_control == 0:
            answer = say("The effect needs no bounds")
        return self.say(
            "{answer}: '{outcome}' is missing for {treated} of the treated and {control} of the control (p = {p}). On "
            "members observed in either arm the effect lies between {lowest} and {highest} {ends}.",
            answer=answer,
            treated=Share(self.missing_treated),
            control=Share(self.missing_control),
            p=Number(self.p, ".2g"),
            lowest=Number(lee["lowest"]),
            highest=Amount(lee["highest"], unit=self.unit),
            ends=Span(lee["low"], lee["high"]),
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate the bounds with the interval of the effect."""
        return self.bounds.rename_axis("kind").reset_index()

    def quantities(self) -> Iterable[Quantity]:
        """Name both of Lee's bounds, each with the interval of the effect."""
        where, lee = label(self.campaign, outcome=self.outcome), self.bounds.loc["lee"]
        for end in ("lowest", "highest"):
            yield Quantity(f"effect_{end}{where}", lee[end], self.unit or "1", lee["low"], lee["high"])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the bounds, thick, within the interval of the effect; no value between them is likelier."""
        ax, rows = axes(ax), np.arange(len(self.bounds))[::-1]
        ax.axvline(0, color="0.6", linewidth=0.8)
        ax.hlines(rows, self.bounds["low"], self.bounds["high"], color="C0", linewidth=1.5)
        ax.hlines(rows, self.bounds["lowest"], self.bounds["highest"], color="C0", linewidth=6)
        ax.set_yticks(rows, self.bounds.index)
        ax.set_ylim(-0.7, len(rows) - 0.3)
        fit(ax, len(rows))
        ax.set_xlabel(self.say("effect on {outcome} ({unit})", unit=axis_unit(self.unit)))
        return ax


def attrition_bounds(
    members: pd.DataFrame,
    *,
    outcome: str,
    treatment: str,
    limits: tuple[float, float] | None = None,
    level: float = 0.95,
    unit: str = "",
    campaign: str = "",
) -> AttritionBounds:
    """Bound the effect where the outcome is missing for some members, perhaps because of the contact.

    Parameters
    ----------
    members : DataFrame
        One row a member drawn into an arm, also those without an outcome.
    outcome, treatment : str
        As in `average_effect`; the outcome may be missing.
    limits : two floats, optional
        Lowest and highest value that the outcome can take, for the worst case; 0 and 1 for an outcome of 0/1.
    level, unit, campaign
        As in `average_effect`.

    Raises
    ------
    WorkbenchError
        If an observed outcome lies outside the limits.
    CannotAnswer
        If an arm has fewer than 20 observed outcomes, or the smaller arm would have fewer than 20 other than the
        commonest at the rate of both.

    References
    ----------
    Lee (2009), Review of Economic Studies 76. Imbens and Manski (2004), Econometrica 72.
    Horowitz and Manski (2000), JASA 95.
    """
    require_level(level)
    require_members(members, [outcome])
    treated, seen = arms(members, treatment), members[outcome].notna().to_numpy()
    y = np.full(len(members), np.nan)
    y[seen] = numbers(members[seen], outcome)
    n = np.array([(seen & treated).sum(), (seen & ~treated).sum()])
    if n.min() < FEWEST_EVENTS:
        raise CannotAnswer(
            "not answerable: an arm has {n} observed values of '{outcome}'; at least {least} are needed."
        ).of(n.min(), Label(outcome), FEWEST_EVENTS)
    measured = Outcome.of(y[seen])
    events, sizes = counts(measured.events, treated[seen]), n[::-1]
    if not measured.enough(events, sizes, FEWEST_EVENTS):
        few = too_few(events, sizes, outcome)
        raise CannotAnswer("not answerable: of the members whose outcome is known, {few}.").of(few)
    total = np.array([treated.sum(), (~treated).sum()])
    rows = {"lee": _lee(y[seen & treated], y[seen & ~treated], n / total, level)}
    if limits is None and np.isin(y[seen], (0.0, 1.0)).all():
        limits = (0.0, 1.0)
    if limits is not None:
        if y[seen].min() < limits[0] or y[seen].max() > limits[1]:
            raise WorkbenchError("'{outcome}' takes values outside the limits {first} to {limits}.").of(
                outcome, f"{limits[0]:g}", f"{limits[1]:g}"
            )
        ends = [_means(np.where(seen, y, np.where(treated, a, b)), treated) for a, b in (limits, limits[::-1])]
        rows["worst"] = _bounded(ends[0], ends[1], level)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["lowest", "highest", "low", "high"])
    p = float(stats.fisher_exact([n, total - n]).pvalue)
    missing = 1 - n / total
    return AttritionBounds(table, missing[0], missing[1], p, level, outcome, unit, campaign)


def _means(y: np.ndarray, treated: np.ndarray) -> tuple[float, float]:
    """Difference of the arms' means and its variance."""
    one, zero = y[treated], y[~treated]
    return one.mean() - zero.mean(), one.var(ddof=1) / len(one) + zero.var(ddof=1) / len(zero)


def _lee(one: np.ndarray, zero: np.ndarray, seen: np.ndarray, level: float) -> tuple[float, ...]:
    """Trim the arm that is observed more often, from below and from above, to the other's share."""
    trim_treated = seen[0] >= seen[1]
    more, less = (one, zero) if trim_treated else (zero, one)
    sizes = np.array([len(one), len(zero)])
    share_error = ((1 - seen) / sizes).sum()
    found = []
    for sign in (1, -1):  # keep the highest, keep the lowest
        mean, cut, variance = _top(sign * more, seen.min() / seen.max())
        variance += (mean - cut) ** 2 * share_error + less.var(ddof=1) / len(less)
        difference = sign * mean - less.mean()
        found.append((difference if trim_treated else -difference, variance))
    lowest, highest = sorted(found)
    return _bounded(lowest, highest, level)


def _top(y: np.ndarray, share: float) -> tuple[float, float, float]:
    """Mean of the highest `share` of the values, the value where they begin, and the variance of the mean."""
    y = np.sort(y)[::-1]
    count = share * len(y)
    cut = y[min(int(count), len(y) - 1)] if share < 1 else y[-1]
    excess = np.maximum(y - cut, 0)
    return cut + excess.sum() / count, cut, (excess / share).var(ddof=1) / len(y)


def _bounded(lowest: tuple[float, float], highest: tuple[float, float], level: float) -> tuple[float, ...]:
    """Bounds (value, variance) and the interval that holds the effect wherever it lies between them."""
    low, high, error = lowest[0], highest[0], np.sqrt([lowest[1], highest[1]])
    gap = (high - low) / max(error.max(), 1e-300)
    z = brentq(lambda c: stats.norm.cdf(c + gap) - stats.norm.cdf(-c) - level, 0, 10)
    return low, high, low - z * error[0], high + z * error[1]
