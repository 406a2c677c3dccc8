"""What did the campaign change on average, with what uncertainty?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from workbench.errors import WorkbenchError, require_known
from workbench.figures import Axes, axes, axis_unit, fit
from workbench.messages import Amount, Label, Message, Number, Share, Span, Term, estimated, join, say
from workbench.methods.experiment.checks import ALARM, CampaignChecks, balance_test
from workbench.methods.experiment.events import SINGLE_MEMBER, all_alike, unanswerable
from workbench.methods.experiment.means import (
    MeanErrors,
    Means,
    arm_means,
    cluster_codes,
    doubly_robust_means,
    mean_errors,
    ratio_set,
)
from workbench.methods.experiment.members import RARE, arms, independent, indicator_columns, numbers
from workbench.methods.intervals import (
    MANY,
    Mean,
    expected_events,
    mean_difference,
    mean_ratio,
    require_level,
    share_difference,
    share_ratio,
    uneven,
)
from workbench.methods.resampling import Rng
from workbench.result import Quantity, Result, Tile
from workbench.words import label

Method = Literal["difference", "lin", "aipw"]
Target = Literal["population", "members"]
FEWEST = 20
RATIO = 5
"""Events that the smaller arm must be expected to have for a ratio of shares; `FEWEST` for a ratio of amounts."""


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
        In units of the outcome (for a 0/1 outcome a share: 0.01 is one percentage point). The interval follows the
        skewness of the error and need not be estimate ± t se (`workbench.methods.intervals`).
    mean_treated, mean_control : float
        Means of the arms, adjusted where the method adjusts.
    relative : Interval
        Effect as a share of the mean without contact; no ends where the control mean cannot be told from 0, or where
        fewer than 20 members of the smaller arm (5 for a 0/1 outcome) are expected to have an outcome other than 0.
    p_value : float
        Of no effect, two-sided.
    df : float
        Degrees of freedom of the t distribution behind the interval.
    variance_ratio : float
        Variance over that of the plain difference: what adjustment bought.
    doubts : tuple of str
        Reasons why the difference is not shown to be the campaign's effect: what the checks found (or, where none were
        given, that the arms differ in the covariates), fewer than 20 members in an arm, fewer than 10 with another
        outcome than the commonest. () where there are none.
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
    doubts: tuple[Message, ...] = ()

    NAME, CHART = "effect", say("A dot with its interval")
    FORMATS = dict.fromkeys(["value", "se", "low", "high"], "{:,.4g}")

    def headline(self) -> Message:
        """Say what the campaign changed, or that the data do not show it."""
        scale = 100 if self.binary else 1
        found: dict[str, Any] = {
            "outcome": Label(self.outcome),
            "effect": Amount(self.estimate, self.binary, self.unit, signed=True),
            "ends": Span(scale * self.low, scale * self.high),
        }
        if self.doubts:
            return join(
                say("Not answerable: {reason}.", reason=self.doubts[0]),
                say(
                    "The difference in {outcome} between the arms ({effect} {ends}) is not shown to be the campaign's "
                    "effect.",
                    **found,
                ),
            )
        if self.low <= 0 <= self.high:
            return say("No evidence that the campaign changed {outcome}: {effect} per member {ends}.", **found)
        found["means"] = self._means()
        if self.estimate > 0:
            return say("The campaign raised {outcome} by {effect} per member {ends}: {means}.", **found)
        return say("The campaign lowered {outcome}: {effect} per member {ends}; {means}.", **found)

    def _means(self) -> Message:
        """Both means, and the relative effect where it has an interval."""
        control, treated = (
            Share(mean, 2) if self.binary else Number(mean) for mean in (self.mean_control, self.mean_treated)
        )
        if not (np.isfinite(self.relative.low) and np.isfinite(self.relative.high)):
            return say("from {control} to {treated}", control=control, treated=treated)
        return say(
            "from {control} to {treated}, {change}% {ends}",
            control=control,
            treated=treated,
            change=Number(100 * self.relative.estimate, signed=True),
            ends=Span(100 * self.relative.low, 100 * self.relative.high),
        )

    def tiles(self) -> tuple[Tile, ...]:
        """Give the effect; none where the checks forbid the claim."""
        if self.doubts:
            return ()
        scale, unit = (100, "percentage points") if self.binary else (1, self.unit or "units of the outcome")
        what = self.say("effect on {outcome}, {unit} a member", unit=Term(unit))
        ends = Span(scale * self.low, scale * self.high)
        return (Tile(what, Number(scale * self.estimate, signed=True), ends),)

    def summary(self) -> pd.DataFrame:
        """Tabulate the effect, the relative effect and the means of the arms."""
        rows = [
            ("effect", self.estimate, self.se, self.low, self.high, self.n_treated + self.n_control),
            ("relative effect", self.relative.estimate, np.nan, self.relative.low, self.relative.high, np.nan),
            ("mean treated", self.mean_treated, np.nan, np.nan, np.nan, self.n_treated),
            ("mean control", self.mean_control, np.nan, np.nan, np.nan, self.n_control),
        ]
        return pd.DataFrame(rows, columns=["estimate of", "value", "se", "low", "high", "members"])

    def caption(self) -> Message:
        """Say what the table shows."""
        if self.binary or not self.unit:
            return self.say("Effect of contact on {outcome} per member.")
        return self.say("Effect of contact on {outcome} per member ({unit}).", unit=Term(self.unit))

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
        ax = axes(ax)
        scale = 100 if self.binary else 1
        ax.axvline(0, color="0.6", linewidth=1)
        ax.plot([scale * self.low, scale * self.high], [0, 0], linewidth=3, solid_capstyle="butt")
        ax.plot([scale * self.estimate], [0], "o", color=ax.lines[-1].get_color(), markersize=8)
        said = estimated(Amount(self.estimate, self.binary, self.unit, signed=True), self.low, self.high)
        ax.annotate(said, (scale * self.estimate, 0), (0, 10), textcoords="offset points", ha="center")
        ax.set_ylim(-1, 1)
        ax.set_yticks([])
        fit(ax, 2)
        ax.set_xlabel(self.say("effect on {outcome} per member ({unit})", unit=axis_unit(self.unit, self.binary)))
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
    target: Target = "population",
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
    target : {"population", "members"}
        Effect on customers like these, from whom the members are drawn; or on these members alone, with a smaller error
        where the effect grows with the covariates of "lin" (that of Lin's paper).
    checks : CampaignChecks, optional
        Where they find the arms not comparable, the headline refuses the claim. Without them the arms are compared in
        the covariates, and where these differ (joint test, p < 0.001) the claim is refused: nobody drew these arms.
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
    Neyman (1923). Lin (2013), Agnostic notes on regression adjustments, Annals of Applied Statistics 7; for the
    covariates' own sampling Negi and Wooldridge (2021), Econometric Reviews 40.
    Robins, Rotnitzky and Zhao (1994), JASA 89. Fieller (1954), JRSS B 16.

    Examples
    --------
    >>> table = pd.DataFrame({"arm": [1, 1, 0, 0], "revenue": [5.0, 7.0, 2.0, 4.0]})
    >>> result = average_effect(table, outcome="revenue", treatment="arm")
    >>> result.estimate, round(result.se, 6)
    (3.0, 1.414214)
    """
    found = estimate_effect(
        members,
        outcome=outcome,
        treatment=treatment,
        covariates=covariates,
        clusters=clusters,
        method=method,
        target=target,
        checks=checks,
        rng=rng,
    )
    return found.result(level, unit=unit, campaign=campaign)


@dataclass(frozen=True)
class Estimate:
    """Means of the arms with their errors, adjusted and plain: all that an interval of any level needs."""

    means: Means
    errors: MeanErrors
    plain: tuple[Mean, Mean]
    plain_errors: MeanErrors
    method: Method
    outcome: str
    binary: bool
    amounts: bool
    clustered: bool
    expected: float
    doubts: tuple[Message, ...]

    def _rare_share(self) -> bool:
        """Whether the outcome is a plain share, with fewer than 1,000 events or non-events to be expected in an arm."""
        if not self.binary or self.method != "difference" or self.clustered:
            return False
        one, zero = self.plain
        events = expected_events(one.value * one.n, one.n, zero.value * zero.n, zero.n)
        return bool(min(events, min(one.n, zero.n) - events) < MANY)

    def _arms(self) -> tuple[Mean, Mean]:
        """The arms' means, their errors those of plain means times what adjustment and clusters make of them."""
        factor = self.variance_ratio
        values = (self.means.treated, self.means.control)
        one, zero = (
            Mean(np.asarray(value)[()], arm.n, arm.variance * factor, arm.third * factor**1.5)
            for value, arm in zip(values, self.plain, strict=True)
        )
        return one, zero

    @property
    def variance_ratio(self) -> float:
        """Variance of the difference over that of plain means of independent members."""
        plain = self.plain[0].variance + self.plain[1].variance
        return float(self.errors.variance[2] / plain) if plain > 0 else 1.0

    def interval(self, level: float) -> tuple[float, float, float]:
        """Ends of the effect's interval, and the p value of no effect."""
        if self._rare_share():
            one, zero = self.plain
            ends = share_difference(one.value * one.n, one.n, zero.value * zero.n, zero.n, level=level)
        else:
            error = self.errors.variance[2], self.errors.third[2]
            ends = mean_difference(*self._arms(), amounts=self.amounts, level=level, df=self.errors.df, error=error)
        low, high, p = map(float, ends)
        return low, high, p

    def relative(self, level: float) -> Interval:
        """Ratio of the means less 1; without ends where the control mean cannot be told from 0."""
        treated, control = self.means.treated, self.means.control
        if control == 0:
            return Interval(np.nan, np.nan, np.nan)
        if self.expected < (RATIO if self.binary else FEWEST):  # else answered only where control happened to buy
            return Interval(treated / control - 1, np.nan, np.nan)
        one, zero = self._arms()
        low: np.ndarray | float
        high: np.ndarray | float
        if self._rare_share():
            low, high = share_ratio(one.value * one.n, one.n, zero.value * zero.n, zero.n, level=level)
        elif self.amounts and uneven(one, zero):
            low, high = mean_ratio(one, zero, level=level)
        else:
            v1, v0, both = self.errors.variance
            t = float(stats.t.isf((1 - level) / 2, self.errors.df))
            low, high, outside = ratio_set(treated, control, v1, v0, float(v1 + v0 - both) / 2, t)
            low, high = (np.nan, np.nan) if outside else (low, high)
        bounded = np.isfinite(low) and np.isfinite(high)
        return Interval(treated / control - 1, *((float(low) - 1, float(high) - 1) if bounded else (np.nan, np.nan)))

    def result(self, level: float, *, unit: str = "", campaign: str = "") -> AverageEffect:
        """Give the effect with intervals of this level."""
        require_level(level)
        low, high, p = self.interval(level)
        plain = self.plain_errors.variance[2]
        return AverageEffect(
            estimate=self.means.treated - self.means.control,
            se=float(np.sqrt(self.errors.variance[2])),
            low=low,
            high=high,
            mean_treated=self.means.treated,
            mean_control=self.means.control,
            relative=self.relative(level),
            n_treated=int(self.plain[0].n),
            n_control=int(self.plain[1].n),
            p_value=p,
            df=self.errors.df,
            variance_ratio=float(self.errors.variance[2] / plain) if plain > 0 else 1.0,
            method=self.method,
            level=level,
            outcome=self.outcome,
            binary=self.binary,
            unit=unit,
            campaign=campaign,
            doubts=self.doubts,
        )


def estimate_effect(
    members: pd.DataFrame,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str] = (),
    clusters: str | None = None,
    method: Method | None = None,
    target: Target = "population",
    checks: CampaignChecks | None = None,
    rng: Rng = 0,
) -> Estimate:
    """Estimate as `average_effect` does, before a level is chosen."""
    covariates = list(covariates)
    method = method or ("lin" if covariates else "difference")
    require_known("method", method, ["difference", "lin", "aipw"])
    require_known("target", target, ["population", "members"])
    if method != "difference" and not covariates:
        raise WorkbenchError(
            "method '{method}' adjusts for covariates and was given none: name them in covariates=."
        ).of(method)
    treated, y = arms(members, treatment), numbers(members, outcome)
    if min(treated.sum(), (~treated).sum()) < 2:
        raise unanswerable(SINGLE_MEMBER)
    if (y == y[0]).all():
        raise unanswerable(all_alike(outcome, len(y)))
    group = cluster_codes(members, clusters)
    plain = arm_means(y, treated)
    known = indicator_columns(members, covariates) if covariates else {}
    if method == "difference":
        means = plain
    elif method == "lin":
        means = arm_means(y, treated, independent(known, treated), population=target == "population")
    else:
        means = doubly_robust_means(members, covariates, y, treated, rng)
    if checks is None:
        doubts = _different(known, treated)
    else:
        doubts = () if checks.comparable else checks.reasons
    return Estimate(
        means,
        mean_errors(means, treated, group, pooled=method == "aipw"),
        (Mean.of(y[treated]), Mean.of(y[~treated])),
        mean_errors(plain, treated, group, pooled=False),
        method,
        outcome,
        binary=bool(np.isin(y, (0.0, 1.0)).all()),
        amounts=bool((y >= 0).all()),
        clustered=group is not None,
        expected=float(
            expected_events((y[treated] != 0).sum(), treated.sum(), (y[~treated] != 0).sum(), (~treated).sum())
        ),
        doubts=doubts + _too_few(y, treated),
    )


def _different(known: dict[str, np.ndarray], treated: np.ndarray) -> tuple[Message, ...]:
    """Why arms that nobody checked are not comparable, from their covariates; () where nothing speaks against them."""
    enough = len(treated) - len(known) - 1 >= 5
    p = balance_test(known, treated) if enough else np.nan
    if not p < ALARM:
        return ()
    return (
        say(
            "the arms differed before the campaign (joint test p = {p}), so they were not randomised, and what lies "
            "between them is no effect of the campaign alone",
            p=Number(p, ".1g"),
        ),
    )


def _too_few(y: np.ndarray, treated: np.ndarray) -> tuple[Message, ...]:
    """Why so few members cannot answer: their intervals do not hold what they say, and show only huge effects.

    Judged by both arms together: what was seen in the smaller arm must not decide whether it is shown.
    """
    smaller = int(min(treated.sum(), (~treated).sum()))
    if smaller < FEWEST:
        return (say("an arm has {members} members, fewer than {least}", members=smaller, least=FEWEST),)
    others = int((y != np.median(y)).sum())  # a value that all but a few share is the median
    if others < RARE:
        return (
            say(
                "only {others} of {members} members have another outcome than the commonest, fewer than {least}",
                others=others,
                members=len(y),
                least=RARE,
            ),
        )
    expected = others * smaller / len(y)
    if (y < 0).any() and expected < FEWEST:
        return (
            say(
                "outcomes are rare and partly below 0: about {expected} of the smaller arm's {members} members are "
                "expected to have another than the commonest, and {least} are needed",
                expected=round(expected),
                members=smaller,
                least=FEWEST,
            ),
        )
    return ()
