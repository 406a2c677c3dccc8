"""How does an outcome vary between members, as far as it counts for the error of a mean?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

from workbench.messages import Label, say
from workbench.methods.experiment.events import Outcome, unanswerable
from workbench.methods.experiment.means import cluster_codes
from workbench.methods.experiment.members import indicator_columns, numbers, require_members

FEWEST = 100
Kind = Literal["amount", "share", "count"]


@dataclass(frozen=True)
class Spread:
    """How an outcome varies between members, as far as it counts for the error of a mean.

    Attributes
    ----------
    mean, sd : float
        In units of the outcome.
    kind : {"amount", "share", "count"}
        Both arms spread alike; as an outcome of 0/1 does; in proportion to the mean.
    r2 : float
        Share of the variance that adjustment (covariates, strata) takes away.
    design_effect, icc : float
        Variance of a mean with clusters drawn over that with members drawn; correlation within a cluster.
    error : float
        Standard error of the logarithm of the variance; NaN where it was given, not estimated.
    buyers : float
        Share of members whose outcome is not the commonest; that of `mean` for an outcome of 0/1, 1 where not given.
    skew : float
        Skewness of what a member (a cluster) adds to the error of a mean.
    """

    mean: float
    sd: float
    kind: Kind = "amount"
    r2: float = 0.0
    design_effect: float = 1.0
    icc: float = 0.0
    error: float = np.nan
    buyers: float = np.nan
    skew: float = 0.0

    @property
    def events(self) -> float:
        """Share of members that count as events: few of them and no error is normal."""
        if np.isfinite(self.buyers):
            return self.buyers
        return min(self.mean, 1 - self.mean) if self.kind == "share" else 1.0

    def _raw(self) -> tuple[float, float, float]:
        """Variance of the contacted as a polynomial of the effect: of a share, of a count (in proportion), constant."""
        if self.kind == "share":
            return self.mean * (1 - self.mean), 1 - 2 * self.mean, -1.0
        return self.sd**2, self.sd**2 / self.mean if self.kind == "count" else 0.0, 0.0

    def variance(self, effect: float | np.ndarray = 0.0) -> float | np.ndarray:
        """Variance a member brings to the mean of an arm in which contact changed the outcome by `effect`."""
        raw = np.maximum(np.polyval(self._raw()[::-1], effect), 0.0)
        return raw * (1 - self.r2) * self.design_effect

    def se(self, effect: np.ndarray | float, treated: np.ndarray, control: np.ndarray) -> np.ndarray:
        """Give the standard error of the difference of two arms of these sizes."""
        error: np.ndarray = np.sqrt(self.variance(effect) / treated + self.variance() / control)
        return error

    def lopsided(self, treated: np.ndarray, control: np.ndarray) -> np.ndarray:
        """Skewness of the difference of two arms of these sizes, which its interval follows; 0 for shares."""
        third = 0.0 if self.kind == "share" else self.skew * self.variance() ** 1.5
        skew: np.ndarray = third * (1 / np.square(treated) - 1 / np.square(control))
        skew = skew / self.se(0.0, treated, control) ** 3
        return skew

    def limit(self, z: float, effect: np.ndarray | float, treated: np.ndarray, control: np.ndarray) -> np.ndarray:
        """Standard errors that an estimate must reach to show a rise: a share is held against both arms' share as one.

        Elsewhere the limit follows the skewness (Hall, 1992, The removal of skewness by transformation, JRSS B 54).
        """
        if self.kind != "share":
            level: np.ndarray = z - self.lopsided(treated, control) * (2 * z**2 + 1) / 6
            return level
        share = np.clip(self.mean + effect * treated / (treated + control), 0.0, 1.0)
        alike = share * (1 - share) * (1 - self.r2) * self.design_effect * (1 / treated + 1 / control)
        limit: np.ndarray = z * np.sqrt(alike) / self.se(effect, treated, control)
        return limit

    def power(
        self, effect: np.ndarray, beyond: np.ndarray | float, z: float, treated: np.ndarray, control: np.ndarray
    ) -> np.ndarray:
        """Chance that an effect is shown to lie beyond a value."""
        t = self.limit(z, effect, treated, control) - (effect - beyond) / self.se(effect, treated, control)
        skew = self.lopsided(treated, control) * (2 * np.clip(t, -3, 3) ** 2 + 1) / 6
        chance: np.ndarray = norm.sf(t + skew)
        return chance

    def detected(self, z: float, reach: float, treated: np.ndarray, control: np.ndarray) -> np.ndarray:
        """Smallest rise that is shown with the power of `reach` (its normal quantile)."""
        effect = self.detectable(z + reach, treated, control)
        for _ in range(40):  # limit and error hang on the effect
            errors = self.limit(z, effect, treated, control) + reach
            effect = self.detectable(
                errors + self.lopsided(treated, control) * (2 * reach**2 + 1) / 6, treated, control
            )
        return effect

    def detectable(self, z: np.ndarray | float, treated: np.ndarray, control: np.ndarray) -> np.ndarray:
        """Smallest rise of z standard errors; infinite where no share can rise so far."""
        _, slope, bend = self._raw()
        k = z**2 * (1 - self.r2) * self.design_effect / treated
        a, b, c = 1 - k * bend, k * slope, z**2 * self.se(0.0, treated, control) ** 2
        found = (b + np.sqrt(b**2 + 4 * a * c)) / (2 * a)  # found = z * se(found)
        return np.where(found <= 1 - self.mean, found, np.inf) if self.kind == "share" else found


def past_spread(
    history: pd.DataFrame, *, outcome: str, covariates: Sequence[str] = (), clusters: str | None = None
) -> Spread:
    """Measure how an outcome varied in a past period, what covariates explain of it, and how alike clusters are."""
    require_members(history, [outcome, *covariates])
    y = numbers(history, outcome)
    n, columns = len(y), [v for v in indicator_columns(history, covariates).values() if v.std() > 1e-9]
    if n < FEWEST or (y == y[0]).all():
        raise unanswerable(
            say(
                "{n} past values of '{outcome}', {different} different ones, do not tell how it varies; at least "
                "{least} that differ are needed",
                n=n,
                outcome=Label(outcome),
                different=len(np.unique(y)),
                least=FEWEST,
            )
        )
    residual, r2 = y - y.mean(), 0.0
    if columns:
        basis, size, _ = np.linalg.svd(
            np.column_stack([(v - v.mean()) / v.std() for v in columns]), full_matrices=False
        )
        basis = basis[:, size > 1e-8 * size[0]]
        left = (residual - basis @ (basis.T @ residual)) * sqrt((n - 1) / max(n - basis.shape[1] - 1, 1))
        r2 = max(0.0, 1 - float((left**2).sum() / (residual**2).sum()))
        residual = left if r2 > 0 else residual
    group = cluster_codes(history, clusters)
    sums = residual if group is None else np.bincount(group, residual)
    size = np.ones(n) if group is None else np.bincount(group)
    inflation = float((sums**2).sum() / (residual**2).sum()) * (len(sums) / (len(sums) - 1) * (n - 1) / n)
    larger = float((size**2).sum() / n) - 1
    inflation = max(1.0, inflation) if larger > 0 else 1.0
    error = float((sums**2).std() / (sums**2).mean() / sqrt(len(sums)))
    count = y.min() >= 0 and (y == np.rint(y)).all()
    kind: Kind = "share" if count and y.max() == 1 else "count" if count else "amount"
    icc = (inflation - 1) / larger if larger > 0 else 0.0
    buyers = Outcome.of(y).events.mean()
    skew = float((sums**3).sum() / n / ((sums**2).sum() / n) ** 1.5)
    return Spread(float(y.mean()), float(y.std(ddof=1)), kind, r2, inflation, icc, error, float(buyers), skew)
