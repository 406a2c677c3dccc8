"""Does the effect last? By window of days, with what it brought forward, and what else it did to the customers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from workbench.errors import CannotAnswer, WorkbenchError, named
from workbench.result import Quantity, Result
from workbench.studies.trials.means import arm_means, mean_errors
from workbench.studies.trials.members import arms, independent, indicator_columns, numbers
from workbench.studies.trials.words import figure, label, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DRAWS = 40_000


@dataclass(frozen=True)
class Guard:
    """What a campaign may not make worse: how much more a member is tolerated, and what one more costs.

    Attributes
    ----------
    margin : float
        Largest tolerable rise, in units of the outcome (for a 0/1 outcome a share: 0.01 is one percentage point).
    cost : float
        Cost of one unit of it: a lost customer, a complaint.
    """

    margin: float
    cost: float = 0.0


@dataclass(frozen=True)
class EffectWindows(Result):
    """Effects by window, what came after the first one, and the guard outcomes.

    Attributes
    ----------
    windows : DataFrame
        One row a window: days, effect (from assignment to that day), se, low, high (simultaneous over the windows),
        then the same for the later part of it: after_first, after_first_low, after_first_high (effect since the end
        of the first window; simultaneous over the parts).
    pulled_forward : bool
        The first window rose and a later part fell, both shown at (1 - level).
    pull_p : float
        Of the two together (the larger of the two p values); 1 with a single window.
    guards : DataFrame
        One row a guard: guard, effect, se, lower, upper (each one-sided at `level`), margin, harm_p (one-sided, Holm
        over the guards), verdict, cost, cost_low, cost_high (per member, two-sided interval).
    """

    windows: pd.DataFrame
    pulled_forward: bool
    pull_p: float
    guards: pd.DataFrame
    level: float
    n_treated: int
    n_control: int
    unit: str = ""
    campaign: str = ""

    def headline(self) -> str:
        """Say what lasts, whether it was only brought forward, and what was harmed."""
        first, last = self.windows.iloc[0], self.windows.iloc[-1]
        unit = f" {self.unit}" if self.unit else ""
        text = f"After {int(last['days'])} days the campaign made {_said(last, unit)} per member"
        if len(self.windows) > 1:
            text += f", after {int(first['days'])} days {_said(first, unit)}"
            text += (
                "; part of the early effect was only brought forward"
                if self.pulled_forward
                else ("; no later fall is shown")
            )
            text += f" (p = {self.pull_p:.2g})"
        return f"{text}.{''.join(f' {row.guard}: {row.verdict}.' for row in self.guards.itertuples())}"

    def summary(self) -> pd.DataFrame:
        """Tabulate windows and guards, one effect a row."""
        windows = self.windows[["days", "effect", "se", "low", "high"]]
        windows.insert(0, "effect of", [f"first {int(days)} days" for days in windows.pop("days")])
        guards = self.guards[["guard", "effect", "se", "lower", "upper", "margin", "verdict"]]
        return pd.concat(
            [windows, guards.set_axis(["effect of", "effect", "se", "low", "high", "margin", "verdict"], axis=1)]
        )

    def quantities(self) -> Iterable[Quantity]:
        """Name the effect of each window and of each guard."""
        for row in self.windows.itertuples():
            name = f"effect_window{label(self.campaign, days=str(int(row.days)))}"
            yield Quantity(name, row.effect, self.unit or "1", row.low, row.high)
        for row in self.guards.itertuples():
            yield Quantity(
                f"guard_effect{label(self.campaign, guard=row.guard)}", row.effect, "1", row.lower, row.upper
            )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the effect by window, with simultaneous intervals."""
        import matplotlib.pyplot as plt

        ax = ax or plt.gca()
        days, effect = self.windows["days"], self.windows["effect"]
        ax.axhline(0, color="0.6", linewidth=1)
        ax.errorbar(days, effect, [effect - self.windows["low"], self.windows["high"] - effect], fmt="o-", capsize=3)
        ax.set_xticks(days)
        ax.set_xlabel("days since assignment")
        ax.set_ylabel(f"effect so far per member ({self.unit or 'units of the outcome'})")
        return ax


def effect_windows(
    members: pd.DataFrame,
    *,
    outcomes: Mapping[int, str],
    treatment: str,
    covariates: Sequence[str] = (),
    guards: Mapping[str, Guard] | None = None,
    level: float = 0.95,
    unit: str = "",
    campaign: str = "",
) -> EffectWindows:
    """Estimate a campaign's effect by window of days, and whether what came first was taken from what came later.

    Parameters
    ----------
    members : DataFrame
        One row a member; both arms.
    outcomes : mapping of int to str
        Days since assignment, and the column of the outcome summed from assignment to that day.
    treatment : str
        Column of 0/1, booleans, or names of two arms of which one is "control".
    covariates : sequence of str
        Known before assignment; adjusted for (Lin). The outcome's own past takes most of the noise away.
    guards : mapping of str to Guard, optional
        Columns of which more is worse (opted_out, complaints, churned), each with its margin.
    level : float
        Coverage of all windows together, 0-1.
    unit, campaign : str

    Raises
    ------
    WorkbenchError
        If a column is missing or has gaps, a margin is not above 0, or no window is given.
    CannotAnswer
        If an arm has fewer than 2 members, or an outcome is the same for all.

    References
    ----------
    Lin (2013), AOAS 7. Hothorn, Bretz and Westfall (2008), Simultaneous inference, Biometrical Journal 50.
    Berger (1982), Intersection-union tests, Technometrics 24.
    """
    guards = dict(guards or {})
    if not outcomes:
        raise WorkbenchError("outcomes is empty: give days and columns, for instance {30: 'revenue_30'}.")
    slack = [name for name, guard in guards.items() if not guard.margin > 0]
    if slack:
        raise WorkbenchError(f"the margin of {named(slack)} is not above 0: say how much more is tolerable.")
    if not 0 < level < 1:
        raise WorkbenchError(f"level is {level}: give the coverage between 0 and 1, for instance 0.95.")
    days, treated = sorted(outcomes), arms(members, treatment)
    if min(treated.sum(), (~treated).sum()) < 2:
        raise CannotAnswer("not answerable: an arm has a single member, so nothing tells how uncertain its mean is.")
    effect, errors, df = _joint(members, [*(outcomes[d] for d in days), *guards], treated, covariates)
    covariance, k = errors.T @ errors, len(days)
    later = np.vstack([np.zeros(k), np.column_stack([-np.ones(k - 1), np.eye(k - 1)])]) if k > 1 else np.zeros((1, 1))
    draws = np.random.default_rng(0)
    table = pd.DataFrame({"days": days, "effect": effect[:k]})
    table["se"], table["low"], table["high"] = _together(effect[:k], covariance[:k, :k], df, level, draws)
    part, spread = later @ effect[:k], later @ covariance[:k, :k] @ later.T
    table["after_first"] = np.where(np.arange(k) > 0, part, np.nan)
    table["after_first_low"] = table["after_first_high"] = np.nan
    p = 1.0
    if k > 1:
        _, low, high = _together(part[1:], spread[1:, 1:], df, level, draws)
        table.loc[1:, "after_first_low"], table.loc[1:, "after_first_high"] = low, high
        p = max(stats.t.sf(effect[0] / table["se"].iloc[0], df), _lowest_p(part[1:], spread[1:, 1:], df, draws))
    tests = _guards(guards, effect[k:], np.sqrt(np.diag(covariance)[k:]), df, level)
    counts = int(treated.sum()), int((~treated).sum())
    return EffectWindows(table, bool(p < 1 - level), float(p), tests, level, *counts, unit, campaign)


def _joint(members: pd.DataFrame, columns: list[str], treated: np.ndarray, covariates: Sequence[str]):
    """Effects (q,), each member's part of their errors (n, q), and the fewest degrees of freedom."""
    x = independent(indicator_columns(members, covariates), treated) if covariates else None
    effects, errors, freedom = [], [], []
    for column in columns:
        y = numbers(members, column)
        if (y == y[0]).all():
            raise CannotAnswer(f"not answerable: '{column}' is the same for all {len(y):,} members.")
        means = arm_means(y, treated, x)
        effects.append(means.treated - means.control)
        errors.append(np.subtract(*means.parts()))
        freedom.append(mean_errors(means, treated, None, pooled=False).df)
    return np.array(effects), np.column_stack(errors), min(freedom)


def t_draws(covariance: np.ndarray, df: float, rng: np.random.Generator) -> np.ndarray:
    """Multivariate t of the standardised effects, shape (draws, q)."""
    scale = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    z = rng.standard_normal((_DRAWS, len(scale))) @ (vectors * np.sqrt(np.maximum(values, 0))).T
    return z / np.sqrt(rng.chisquare(df, (_DRAWS, 1)) / df)


def _together(effect: np.ndarray, covariance: np.ndarray, df: float, level: float, rng: np.random.Generator):
    """Standard errors and ends of intervals that hold for all effects at once."""
    se = np.sqrt(np.diag(covariance))
    alone = stats.t.isf((1 - level) / 2, df)
    width = alone if len(se) == 1 else max(alone, np.quantile(np.abs(t_draws(covariance, df, rng)).max(axis=1), level))
    return se, effect - width * se, effect + width * se


def _lowest_p(effect: np.ndarray, covariance: np.ndarray, df: float, rng: np.random.Generator) -> float:
    """One-sided p value of the lowest of several effects, adjusted for having been the lowest."""
    lowest = (effect / np.sqrt(np.diag(covariance))).min()
    if len(effect) == 1:
        return float(stats.t.cdf(lowest, df))
    below = (t_draws(covariance, df, rng).min(axis=1) <= lowest).sum()
    return float((below + 1) / (_DRAWS + 1))


def _guards(guards: dict[str, Guard], effect: np.ndarray, se: np.ndarray, df: float, level: float) -> pd.DataFrame:
    names, half, both = list(guards), stats.t.isf(1 - level, df) * se, stats.t.isf((1 - level) / 2, df) * se
    margin = np.array([guards[name].margin for name in names])
    cost = np.array([guards[name].cost for name in names])
    p = stats.t.sf(effect / se, df)
    order = np.argsort(p, kind="stable")
    harm = np.empty(len(p))
    harm[order] = np.minimum(1, np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))))
    worse, within = harm < 1 - level, effect + half < margin
    verdicts = np.select(
        [worse & within, worse, within],
        ["worse, but within the margin", "harm", "no worse than the margin"],
        "not shown",
    )
    return pd.DataFrame(
        {
            "guard": names, "effect": effect, "se": se, "lower": effect - half, "upper": effect + half,
            "margin": margin, "harm_p": harm, "verdict": verdicts,
            "cost": cost * effect, "cost_low": cost * (effect - both), "cost_high": cost * (effect + both),
        }
    )  # fmt: skip


def _said(row: pd.Series, unit: str) -> str:
    return f"{figure(row['effect'], signed=True)}{unit} {span(row['low'], row['high'])}"
