"""What would have to be true for an effect found without randomisation to vanish?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from workbench.figures import Axes, axes, legend
from workbench.messages import Label, Message, Number, Share, join, say
from workbench.methods.confounding import e_value
from workbench.methods.experiment.effect import Interval
from workbench.result import Quantity, Result
from workbench.studies.observational.adjustment import Adjusted
from workbench.words import label

MOST_ODDS = 100.0


@dataclass(frozen=True)
class Sensitivity(Result):
    """How strong a trait that nobody recorded must be to explain an effect on the treated.

    Attributes
    ----------
    robustness, robustness_interval : float
        Share, 0-1: a trait that explains this share of the controls' remaining variation of the outcome, and as large a
        share of the variation of the weights that make controls like the treated, brings the estimate (the near end
        of the interval) to 0. 0 where the interval holds 0 already.
    odds, odds_interval : float
        Factor by which the odds of being contacted must differ, among members alike in all covariates, for the same;
        infinite above 100.
    e_value, e_value_interval : float
        Risk ratio with contact and with the outcome that such a trait must have; NaN where the outcome has no ratio.
    benchmarks : DataFrame
        One row a covariate, the strongest first: `outcome_share` and `selection_share` that it explains beyond the
        others, `bias` that an unrecorded trait as strong could make at most, `estimate_without` it.
    scale : float
        Largest bias per unit of √(outcome share · selection share / (1 − selection share)).
    """

    estimate: float
    near: float
    robustness: float
    robustness_interval: float
    odds: float
    odds_interval: float
    e_value: float
    e_value_interval: float
    benchmarks: pd.DataFrame
    scale: float
    outcome: str
    campaign: str = ""

    NAME, CHART = "sensitivity", say("Two falling curves, and dots for what was recorded")
    FORMATS = dict.fromkeys(["value", "low", "high"], "{:.3f}")
    CAPTION = "What an unrecorded trait would need for the effect to vanish (value), or its interval to reach 0 (low)."
    PICTURE_CAPTION = (
        "Traits on a curve would make the effect on {outcome} vanish (dashed: its interval reach 0); dots are the "
        "strongest of those recorded."
    )

    def headline(self) -> Message:
        """Say what would have to be true for the effect to vanish, against the strongest recorded covariate."""
        if self.near == 0:
            return self.say(
                "The interval of the effect on {outcome} holds 0 already: no unrecorded trait is needed for that."
            )
        odds = say("by more than {most} times", most=int(MOST_ODDS))
        if math.isfinite(self.odds):
            odds = say("by a factor of {odds}", odds=Number(self.odds))
        needed = self.say(
            "For the effect on {outcome} to vanish, a trait that nobody recorded would have to explain {share} of what "
            "is left of the outcome among controls and of who was contacted ({interval} for the interval to reach 0), "
            "or to shift the odds of contact {odds} among members alike in everything recorded.",
            share=Share(self.robustness),
            interval=Share(self.robustness_interval),
            odds=odds,
        )
        if not len(self.benchmarks):
            return needed
        top = self.benchmarks.iloc[0]
        strongest = say(
            "The strongest covariate, '{covariate}', explains {outcome} and {selection}; one more like it could move "
            "the estimate by {bias}.",
            covariate=Label(str(top["covariate"])),
            outcome=Share(top["outcome_share"]),
            selection=Share(top["selection_share"]),
            bias=Number(top["bias"]),
        )
        return join(needed, strongest)

    def summary(self) -> pd.DataFrame:
        """Tabulate the measures: for the estimate, and for the interval's end (`low`); no `high`."""
        rows = [
            ("robustness value (share)", self.robustness, self.robustness_interval),
            ("odds of contact (factor)", self.odds, self.odds_interval),
            ("E-value (risk ratio)", self.e_value, self.e_value_interval),
        ]
        return pd.DataFrame(rows, columns=["strength needed", "value", "low"]).assign(high=np.nan)

    def quantities(self) -> Iterable[Quantity]:
        """Name the robustness value and the odds."""
        where = label(self.campaign, outcome=self.outcome)
        yield Quantity(f"robustness_value{where}", self.robustness, "share", rtol=1e-3)
        if math.isfinite(self.odds):
            yield Quantity(f"confounding_odds{where}", self.odds, "1", rtol=1e-3)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the traits strong enough to make the effect vanish (on and above the line) and the covariates."""
        ax = axes(ax)
        points = self.benchmarks
        right = min(0.95, 1.3 * max(self.robustness, *points["selection_share"], 0.02))
        selection = np.linspace(right / 200, right, 200)
        for size, style, said in ((abs(self.estimate), "-", "estimate 0"), (self.near, "--", "interval holds 0")):
            outcome = (size / self.scale) ** 2 * (1 - selection) / selection
            ax.plot(100 * selection, 100 * outcome, f"C0{style}", label=said)
        ax.plot(100 * points["selection_share"], 100 * points["outcome_share"], "o", color="0.4", markersize=4)
        top, said_at = min(100, 130 * max(self.robustness, *points["outcome_share"], 0.02)), -math.inf
        for row in points.sort_values("outcome_share").itertuples():
            said_at = max(100 * row.outcome_share, said_at + 0.05 * top, 0.02 * top)  # names stand one above the other
            ax.annotate(Label(str(row.covariate)).said(), (100 * row.selection_share + right, said_at), fontsize=9)
        ax.set_xlim(0, 100 * right)
        ax.set_ylim(0, top)
        ax.set_xlabel("share of the selection explained beyond the covariates (%)")
        ax.set_ylabel("share of the outcome explained (%)")
        legend(ax)
        return ax


def robustness_value(size: float, scale: float) -> float:
    """Share r for which scale · r / √(1 − r) is `size`.

    >>> round(robustness_value(1.0, 1.0), 3)
    0.618
    """
    f2 = (size / scale) ** 2 if scale > 0 else math.inf
    return 1.0 if math.isinf(f2) else (math.sqrt(f2 * f2 + 4 * f2) - f2) / 2


def largest_bias(scale: float, outcome_share: float, selection_share: float) -> float:
    """Bias that a trait with these shares can make at most."""
    return (
        scale * math.sqrt(outcome_share * selection_share / (1 - selection_share)) if selection_share < 1 else math.inf
    )


def confounding_odds(residual: np.ndarray, weight: np.ndarray, shift: float) -> float:
    """Least factor on the odds of contact that can move the controls' weighted mean by `shift` (Zhao et al. 2019).

    Each control's weight may be multiplied by anything from 1/factor to the factor.

    >>> round(confounding_odds(np.array([0.0, 1.0]), np.array([0.5, 0.5]), 0.3), 3)
    2.0
    """
    if shift == 0:
        return 1.0
    order = np.argsort(-math.copysign(1, shift) * residual, kind="stable")
    value, mass = math.copysign(1, shift) * residual[order], weight[order] / weight.sum()
    mean, reached = float(value @ mass), np.cumsum(mass)
    top = np.cumsum(mass * value)

    def moved(log_factor: float) -> float:
        factor = math.exp(log_factor)
        sums = factor * top + (mean - top) / factor
        return float((sums / (factor * reached + (1 - reached) / factor)).max()) - mean - abs(shift)

    return math.exp(brentq(moved, 0.0, math.log(MOST_ODDS))) if moved(math.log(MOST_ODDS)) > 0 else math.inf


def measured(
    found: Adjusted,
    shorter: dict[str, Adjusted],
    low: float,
    high: float,
    relative: Interval,
    outcome: str,
    campaign: str,
) -> Sensitivity:
    """Measure the bias that an unrecorded trait can make, on the controls' residuals and weights."""
    own = found.weight > 0
    residual, weight = found.residual[own], found.weight[own]
    scale = math.sqrt(_left(found) * own.sum() * (weight**2).sum())
    near = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    full, rows = shorter[""], []
    for name, fit in shorter.items():
        gains = _left(fit) / _left(full) - 1, (full.weight**2).sum() / (fit.weight**2).sum() - 1
        shares = tuple(float(np.clip(gain, 0, 0.999)) for gain in gains)
        rows += [(name, *shares, largest_bias(scale, *shares), fit.estimate)] if name else []
    columns = ["covariate", "outcome_share", "selection_share", "bias", "estimate_without"]
    benchmarks = pd.DataFrame(rows, columns=columns).sort_values(["bias", "covariate"], ascending=[False, True])
    sign = math.copysign(1.0, found.estimate)
    end = 1 + (relative.low if found.estimate > 0 else relative.high)
    return Sensitivity(
        estimate=found.estimate,
        near=near,
        robustness=robustness_value(abs(found.estimate), scale),
        robustness_interval=robustness_value(near, scale),
        odds=confounding_odds(residual, weight, found.estimate),
        odds_interval=confounding_odds(residual, weight, sign * near),
        e_value=e_value(1 + relative.estimate),
        e_value_interval=e_value(end) if near else 1.0 if math.isfinite(end) else math.nan,
        benchmarks=benchmarks.reset_index(drop=True),
        scale=scale,
        outcome=outcome,
        campaign=campaign,
    )


def _left(found: Adjusted) -> float:
    """Mean square of the controls' residuals."""
    return float((found.residual[found.weight > 0] ** 2).mean())
