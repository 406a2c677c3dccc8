"""How exact is a weighted mean of a survey? Linearised errors, and intervals that hold near the ends of a scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from workbench.errors import WorkbenchError

Kind = Literal["net", "top", "mean"]


@dataclass(frozen=True)
class DesignMean:
    """A weighted mean with its error; `n_effective` answers of a simple random sample would be as exact.

    `n_weights` is that for the weights alone (Kish), `spread` the weighted variance of the answers, `neutral` the
    weighted share that is 0, `df` the degrees of freedom of the error.
    """

    estimate: float
    se: float
    df: int
    n: int
    n_effective: float
    n_weights: float
    spread: float
    neutral: float

    def interval(self, kind: Kind, level: float) -> tuple[float, float]:
        """Ends: Student's for a mean; Wilson's for a share, Rocks's for a net share (both in per cent).

        The last two take no more answers for granted than the weights leave: with few answers the linearised
        error is too uncertain itself.

        References
        ----------
        Rocks (2016), Interval estimation for the net promoter score, The American Statistician 70(4).
        """
        t = stats.t.isf((1 - level) / 2, self.df)
        if kind == "mean":
            half = t * self.se if self.spread > 0 else np.nan
            return self.estimate - half, self.estimate + half
        n = min(self.n_effective, self.n_weights)
        if kind == "net":
            d, counting = self.estimate / 100 * n / (n + 3), ((1 - self.neutral) * n + 1.5) / (n + 3)
            half = 100 * t * np.sqrt((counting - d**2) / (n + 3))
            return max(-100.0, 100 * d - half), min(100.0, 100 * d + half)
        share, k = self.estimate / 100, t**2 / n
        half = np.sqrt(k * share * (1 - share) + k**2 / 4)
        return 100 * (share + k / 2 - half) / (1 + k), 100 * (share + k / 2 + half) / (1 + k)


def design_mean(
    y: np.ndarray, w: np.ndarray, stratum: np.ndarray | None = None, cluster: np.ndarray | None = None
) -> DesignMean:
    """Mean of y (n,) under weights w (n,), its ratio linearised, within strata and between whole clusters.

    A stratum of one unit is compared with the mean of all.
    """
    mean = float(w @ y / w.sum())
    u = w * (y - mean) / w.sum()
    code = np.zeros(len(y), int) if stratum is None else np.unique(stratum, return_inverse=True)[1]
    if cluster is not None:
        unit, unit_of = np.unique(np.column_stack([code, cluster]), axis=0, return_inverse=True)
        u, code = np.bincount(unit_of.ravel(), u), unit[:, 0]
    size = np.bincount(code)
    away = u - np.where(size > 1, np.bincount(code, u) / size, 0)[code]
    variance = float((size / np.maximum(size - 1, 1))[code] @ away**2)
    spread = float(w @ (y - mean) ** 2 / w.sum())
    kish = float(w.sum() ** 2 / (w @ w))
    effective = spread * len(y) / (len(y) - 1) / variance if variance > 0 < spread else kish
    df, neutral = max(1, len(u) - len(size)), float(w @ (y == 0) / w.sum())
    return DesignMean(mean, variance**0.5, df, len(y), effective, kish, spread, neutral)


def checked_weights(table: pd.DataFrame, weight: str | None) -> np.ndarray:
    """Weights (n,), 1 each if there are none; refuses what is not a number from 0."""
    if weight is None:
        return np.ones(len(table))
    w = pd.to_numeric(table[weight], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if not (np.isfinite(w) & (w >= 0)).all() or not w.sum() > 0:
        raise WorkbenchError(
            f"weight '{weight}' is missing, negative or text somewhere, or zero throughout. Mend it, or weight=None."
        )
    return w


def cells_of(table: pd.DataFrame, by: Sequence[str]) -> list[tuple[tuple, np.ndarray]]:
    """Values and row positions of each combination of `by`, in order."""
    if not by:
        return [((), np.arange(len(table)))]
    if gone := [c for c in by if table[c].isna().any()]:
        raise WorkbenchError(
            f"'{gone[0]}' is missing in some rows, so their cell is unknown. Fill it, or leave them out."
        )
    groups = table.groupby(list(by)).indices.items()
    return sorted((cell if isinstance(cell, tuple) else (cell,), np.sort(rows)) for cell, rows in groups)


def said(row: pd.Series, column: str = "estimate") -> str:
    """Say an estimate with its interval."""
    return f"{row[column]:.1f} ({row['low']:.1f} to {row['high']:.1f})"
