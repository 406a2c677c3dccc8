"""What did the campaign change on average, with what uncertainty?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy import stats

from workbench.errors import CannotAnswer, WorkbenchError, unknown
from workbench.resampling import Rng
from workbench.result import Quantity, Result
from workbench.studies.uplift.checks import CampaignChecks
from workbench.studies.uplift.means import Means, arm_means, cluster_codes, doubly_robust_means, ratio_set, variances
from workbench.studies.uplift.members import RARE, arms, independent, indicator_columns, numbers
from workbench.studies.uplift.words import figure, label, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Method = Literal["difference", "lin", "aipw"]
FEWEST = 20


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its interval (NaN where it has none)."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class AverageEffect(Result):
    """Difference that the campaign made per member, whether or not the contact arrived.

    Attributes
    ----------
    estimate, se, low, high : float
        In units of the outcome (for a 0/1 outcome a share: 0.01 is one percentage point).
    mean_treated, mean_control : float
        Means of the arms, adjusted where the method adjusts.
    relative : Interval
        Effect as a share of the mean without contact, with Fieller's interval; its ends are NaN where the
        control mean cannot be told from 0.
    n_treated, n_control : int
    p_value : float
        Of no effect, two-sided.
    df : float
        Degrees of freedom of the t distribution behind the interval.
    variance_ratio : float
        Variance over that of the plain difference: what adjustment bought.
    doubts : tuple of str
        Reasons why the difference is not shown to be the campaign's effect: what the checks found, fewer than 20
        members in an arm, fewer than 10 with another outcome than the commonest. () where there are none.
    """

    estimate: float
    se: float
    low: float
    high: float
    mean_treated: float
    mean_control: float
    relative: Interval
    n_treated: int
    n_control: int
    p_value: float
    df: float
    variance_ratio: float
    method: Method
    level: float
    outcome: str
    binary: bool
    unit: str = ""
    campaign: str = ""
    doubts: tuple[str, ...] = ()

    def _said(self) -> tuple[str, str, str, str]:
        """Effect, its interval and the means, for people: percentage points for a 0/1 outcome."""
        if self.binary:
            effect, ends = figure(100 * self.estimate, signed=True), span(100 * self.low, 100 * self.high)
            return f"{effect} points", ends, f"{self.mean_control:.2%}", f"{self.mean_treated:.2%}"
        unit = f" {self.unit}" if self.unit else ""
        return (
            f"{figure(self.estimate, signed=True)}{unit}",
            span(self.low, self.high),
            figure(self.mean_control),
            figure(self.mean_treated),
        )

    def headline(self) -> str:
        """Say what the campaign changed, or that the data do not show it."""
        effect, ends, control, treated = self._said()
        if self.doubts:
            return (
                f"Not answerable: {self.doubts[0]}. The difference in {self.outcome} between the arms "
                f"({effect} {ends}) is not shown to be the campaign's effect."
            )
        if self.low <= 0 <= self.high:
            return f"No evidence that the campaign changed {self.outcome}: {effect} per member {ends}."
        verb = "raised" if self.estimate > 0 else "lowered"
        relative = ""
        if np.isfinite(self.relative.low) and np.isfinite(self.relative.high):
            ends_relative = span(100 * self.relative.low, 100 * self.relative.high)
            relative = f", {figure(100 * self.relative.estimate, signed=True)}% {ends_relative}"
        return (
            f"The campaign {verb} {self.outcome} by {effect} per member {ends}: from {control} to {treated}{relative}."
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate the effect, the relative effect and the means of the arms."""
        rows = [
            ("effect", self.estimate, self.se, self.low, self.high, self.n_treated + self.n_control),
            ("relative effect", self.relative.estimate, np.nan, self.relative.low, self.relative.high, np.nan),
            ("mean treated", self.mean_treated, np.nan, np.nan, np.nan, self.n_treated),
            ("mean control", self.mean_control, np.nan, np.nan, np.nan, self.n_control),
        ]
        return pd.DataFrame(rows, columns=["estimate of", "value", "se", "low", "high", "members"])

    def quantities(self) -> Iterable[Quantity]:
        """Name the effect and the relative effect; none where the checks forbid the claim."""
        if self.doubts:
            return
        where = label(self.campaign, outcome=self.outcome)
        unit = "share" if self.binary else self.unit or "1"
        yield Quantity(f"effect{where}", self.estimate, unit, self.low, self.high)
        if np.isfinite([self.relative.estimate, self.relative.low, self.relative.high]).all():
            yield Quantity(
                f"relative_effect{where}", self.relative.estimate, "share", self.relative.low, self.relative.high
            )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the effect and its interval against no effect."""
        import matplotlib.pyplot as plt

        ax = ax or plt.gca()
        scale = 100 if self.binary else 1
        ax.axvline(0, color="0.6", linewidth=1)
        ax.plot([scale * self.low, scale * self.high], [0, 0], linewidth=3, solid_capstyle="butt")
        ax.plot([scale * self.estimate], [0], "o", color=ax.lines[-1].get_color(), markersize=8)
        effect, ends, *_ = self._said()
        ax.annotate(f"{effect} {ends}", (scale * self.estimate, 0), (0, 10), textcoords="offset points", ha="center")
        ax.set_ylim(-1, 1)
        ax.set_yticks([])
        unit = "percentage points" if self.binary else self.unit or "units of the outcome"
        ax.set_xlabel(f"effect on {self.outcome} per member ({unit})")
        return ax


def average_effect(
    members: pd.DataFrame,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str] = (),
    clusters: str | None = None,
    method: Method | None = None,
    level: float = 0.95,
    checks: CampaignChecks | None = None,
    rng: Rng = 0,
    unit: str = "",
    campaign: str = "",
) -> AverageEffect:
    """Estimate what being assigned to contact changed per member (intention to treat).

    Parameters
    ----------
    members : DataFrame
        One row a member; both arms.
    outcome : str
        Numeric column, complete: 0/1, a count (the effect is on the rate per member) or an amount.
    treatment : str
        Column of 0/1, booleans, or names of two arms of which one is "control".
    covariates : sequence of str
        Columns known before assignment. A missing number becomes the mean with an indicator, categories become
        indicators; no row is dropped.
    clusters : str, optional
        Column of the unit that was drawn (household, shop), where it was not the member.
    method : {"difference", "lin", "aipw"}, optional
        Difference of means; regression in each arm (Lin), HC2; cross-fitted doubly robust. The default is "lin"
        with covariates and "difference" without.
    level : float
        Coverage of the intervals, 0-1.
    checks : CampaignChecks, optional
        Where they find the arms not comparable, the headline refuses the claim.
    rng : int, SeedSequence or Generator
        Draws the folds of "aipw"; the others draw nothing.
    unit : str
        Unit of the outcome, for the words.
    campaign : str
        Name in the quantities.

    Raises
    ------
    WorkbenchError
        If a column is missing or not numeric, the outcome or treatment has gaps, there are not two arms, or the
        method needs covariates and has none.
    CannotAnswer
        If the outcome is the same for all, or an arm has fewer than 2 members or clusters, or covariates + 2.

    References
    ----------
    Neyman (1923). Lin (2013), Agnostic notes on regression adjustments, Annals of Applied Statistics 7.
    Robins, Rotnitzky and Zhao (1994), JASA 89. Fieller (1954), JRSS B 16.

    Examples
    --------
    >>> table = pd.DataFrame({"arm": [1, 1, 0, 0], "revenue": [5.0, 7.0, 2.0, 4.0]})
    >>> result = average_effect(table, outcome="revenue", treatment="arm")
    >>> result.estimate, round(result.se, 6)
    (3.0, 1.414214)
    """
    covariates = list(covariates)
    method = method or ("lin" if covariates else "difference")
    if method not in ("difference", "lin", "aipw"):
        raise unknown("method", method, ["difference", "lin", "aipw"])
    if not 0 < level < 1:
        raise WorkbenchError(f"level is {level}: give the coverage between 0 and 1, for instance 0.95.")
    if method != "difference" and not covariates:
        raise WorkbenchError(f"method '{method}' adjusts for covariates and was given none: name them in covariates=.")
    treated, y = arms(members, treatment), numbers(members, outcome)
    if min(treated.sum(), (~treated).sum()) < 2:
        raise CannotAnswer("not answerable: an arm has a single member, so nothing tells how uncertain its mean is.")
    if (y == y[0]).all():
        raise CannotAnswer(f"not answerable: '{outcome}' is the same for all {len(y):,} members.")
    group = cluster_codes(members, clusters)
    plain = arm_means(y, treated)
    if method == "difference":
        means = plain
    elif method == "lin":
        means = arm_means(y, treated, independent(indicator_columns(members, covariates), treated))
    else:
        means = doubly_robust_means(members, covariates, y, treated, rng)
    adjusted = method == "aipw"
    spread, df = variances(means, treated, group, pooled=adjusted)
    return _result(
        means,
        spread,
        df,
        plain_variance=float(variances(plain, treated, group, pooled=False)[0][2]),
        level=level,
        n_treated=int(treated.sum()),
        n_control=int((~treated).sum()),
        method=method,
        outcome=outcome,
        binary=bool(np.isin(y, (0.0, 1.0)).all()),
        unit=unit,
        campaign=campaign,
        doubts=(() if checks is None or checks.comparable else checks.reasons) + _too_few(y, treated),
    )


def _result(means: Means, spread: np.ndarray, df: float, *, plain_variance: float, level: float, **rest):
    estimate, se = means.treated - means.control, float(np.sqrt(spread[2]))
    t = float(stats.t.isf((1 - level) / 2, df))
    p = float(2 * stats.t.sf(abs(estimate) / se, df)) if se > 0 else float(estimate == 0)
    covariance = float(spread[:2].sum() - spread[2]) / 2
    return AverageEffect(
        estimate=estimate,
        se=se,
        low=estimate - t * se,
        high=estimate + t * se,
        mean_treated=means.treated,
        mean_control=means.control,
        relative=_relative(means.treated, means.control, *spread[:2], covariance, t),
        p_value=p,
        df=df,
        variance_ratio=float(spread[2] / plain_variance) if plain_variance > 0 else 1.0,
        level=level,
        **rest,
    )


def _relative(treated: float, control: float, v1: float, v0: float, covariance: float, t: float) -> Interval:
    """Ratio of the means less 1; without ends where the control mean cannot be told from 0."""
    if control == 0:
        return Interval(np.nan, np.nan, np.nan)
    low, high, outside = ratio_set(treated, control, v1, v0, covariance, t)
    bounded = np.isfinite(high - low) and not outside
    return Interval(treated / control - 1, *((low - 1, high - 1) if bounded else (np.nan, np.nan)))


def _too_few(y: np.ndarray, treated: np.ndarray) -> tuple[str, ...]:
    """Why so few members cannot answer: their intervals do not hold what they say, and show only huge effects."""
    smaller = int(min(treated.sum(), (~treated).sum()))
    if smaller < FEWEST:
        return (f"an arm has {smaller} members, fewer than {FEWEST}",)
    others = int((y != np.median(y)).sum())  # a value that all but a few share is the median
    if others < RARE:
        return (f"only {others} of {len(y):,} members have another outcome than the commonest, fewer than {RARE}",)
    return ()
