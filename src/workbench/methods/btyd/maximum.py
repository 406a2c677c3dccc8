"""Where is a likelihood highest, and how sharply? Newton on log-parameters, intervals from the observed information."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.stats import norm

from workbench.errors import CannotAnswer
from workbench.messages import Term, join, say
from workbench.methods.intervals import require_level
from workbench.methods.resampling import one_thread
from workbench.result import Quantity

_STEP = 1e-4
_REACH = 10.0

Function = Callable[[np.ndarray], np.ndarray]
LogLikelihood = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Maximum:
    """Maximum of a log-likelihood: names, log-parameters (k,), their covariance (k, k), its height."""

    names: Sequence[str]
    theta: np.ndarray
    covariance: np.ndarray
    loglik: float
    level: float

    @property
    def params(self) -> pd.DataFrame:
        """One row a parameter: estimate, low, high."""
        rows = self.ends(lambda theta: theta, np.exp)
        return pd.DataFrame(rows.T, index=pd.Index(self.names, name="parameter"), columns=["estimate", "low", "high"])

    def ends(self, value: Function, back: Function = np.exp) -> np.ndarray:
        """Estimate, low and high (3, …) of back(value(log-parameters)), by the delta method on the scale of `value`."""
        steps = _STEP * np.eye(len(self.theta))
        middle = value(self.theta)
        with np.errstate(invalid="ignore"):
            slopes = np.array([value(self.theta + e) - value(self.theta - e) for e in steps]) / (2 * _STEP)
        variance = np.einsum("i...,ij,j...->...", np.nan_to_num(slopes), self.covariance, np.nan_to_num(slopes))
        half = norm.isf((1 - self.level) / 2) * np.sqrt(np.maximum(variance, 0))
        return np.array([back(middle), back(middle - half), back(middle + half)])

    def table(self, more: dict[str, Sequence[float]] | None = None) -> pd.DataFrame:
        """The parameters, and more rows of estimate, low, high."""
        rest = pd.DataFrame(more or {}, index=["estimate", "low", "high"]).T
        return (pd.concat([self.params, rest]) if more else self.params).rename_axis("quantity").reset_index()

    def quantities(self, name: str) -> Iterable[Quantity]:
        """The parameters as quantities, `name` with the parameter put in."""
        for parameter, row in self.params.iterrows():
            estimate, low, high = map(float, row)
            yield Quantity(name.format(parameter), estimate, "1", low, high, rtol=1e-4)


def maximise(likelihood: LogLikelihood, start: np.ndarray, names: Sequence[str], model: str, level: float) -> Maximum:
    """Find the maximum of `likelihood`, which gives value and gradient; one that lies at no inner point is refused."""
    require_level(level)

    def down(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = likelihood(theta)
        return -value, -gradient

    with one_thread():
        bounds = [(t - _REACH, t + _REACH) for t in start]
        for tolerance in (1e-7, 1e-13):
            options = {"maxiter": 500, "ftol": tolerance}
            theta = minimize(down, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
            theta, information, step = _polished(likelihood, theta)
            if step < 1e-7:
                break
        farthest = int(np.argmax(np.abs(theta - start)))
        flat = np.linalg.eigvalsh(information)[0] <= 0
        if flat or step > 1e-5 or abs(theta[farthest] - start[farthest]) > _REACH - 0.1:
            grows = theta[farthest] > start[farthest]
            raise CannotAnswer(
                join(
                    say("not answerable: a model cannot be fitted to these purchases or departures."),
                    say(
                        "The likelihood of {model} has no maximum inside ('{name}' {ends} without end): take more "
                        "customers, or another model.",
                        model=model,
                        name=names[farthest],
                        ends=Term("grows") if grows else Term("falls"),
                    ),
                )
            )
        return Maximum(names, theta, np.linalg.inv(information), float(likelihood(theta)[0]), level)


def _polished(likelihood: LogLikelihood, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Newton steps from near the maximum: where they lead, the observed information there, the last step's size."""
    for _ in range(8):
        bent = [likelihood(theta - e)[1] - likelihood(theta + e)[1] for e in _STEP * np.eye(len(theta))]
        information = (np.array(bent) + np.array(bent).T) / (4 * _STEP)
        begun = theta
        for _ in range(6):
            step = np.linalg.lstsq(information, likelihood(theta)[1], rcond=None)[0]
            size = float(np.abs(step).max())
            if size < 1e-9 or size > 1:
                break
            theta = theta + step
        if size > 1 or (size < 1e-8 and np.abs(theta - begun).max() < 1e-2):
            break
    return theta, information, size
