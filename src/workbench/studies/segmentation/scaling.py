"""On which scale are two customers alike? Logs of amounts, log-ratios of shares, then one unit for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError, named, require_columns, unknown
from workbench.studies.segmentation.checks import refuse_missing, require_numbers

Scale = Literal["standard", "robust", "none"]
Missing = Literal["refuse", "median"]
Group = str | Sequence[str]


@dataclass(frozen=True, eq=False)
class FeatureScale:
    """How features become comparable; fitted once, applied to anyone.

    Attributes
    ----------
    columns : tuple of str
        The features read, p of them; each gives one column of what `transform` returns.
    log : tuple of str
        Taken as log(1 + x).
    shares : tuple of tuple of str
        Compositions taken as centred log-ratios; a single share stands with its complement.
    zero : float
        Added to each part of a composition, as a share of an even part: 0 has a logarithm, and few events don't shout.
    scale : str
    clip : float or None
        Scaled values beyond it are held there.
    fill : ndarray or None, shape (p,)
        Medians that replace missing values; None where they are refused.
    centre, spread : ndarray, shape (p,)
        Of the transformed features.
    """

    columns: tuple[str, ...]
    log: tuple[str, ...]
    shares: tuple[tuple[str, ...], ...]
    zero: float
    scale: Scale
    clip: float | None
    fill: np.ndarray | None
    centre: np.ndarray
    spread: np.ndarray

    def transform(self, features: pd.DataFrame) -> np.ndarray:
        """Scale a table, shape (n, p).

        Raises
        ------
        WorkbenchError
            If a column is missing, not numeric, out of its range, or holds missing values that are refused.
        """
        raw = _read(features, self.columns, self.fill)
        scaled = (_bend(raw, self) - self.centre) / self.spread
        return scaled if self.clip is None else np.clip(scaled, -self.clip, self.clip)

    def inverse(self, scaled: np.ndarray) -> pd.DataFrame:
        """Give scaled points in the units of the features, one row a point."""
        values = scaled * self.spread + self.centre
        table = pd.DataFrame(values, columns=list(self.columns))
        for column in self.log:
            table[column] = np.expm1(table[column])
        for group in self.shares:
            part = np.exp(table[list(group)].to_numpy())
            if len(group) == 1:
                part = np.column_stack([part, 1 / part])
            part = part / part.sum(axis=1, keepdims=True) * (1 + self.zero) - self.zero / part.shape[1]
            table[list(group)] = np.clip(part[:, : len(group)], 0, 1)
        return table


def fit_scale(
    features: pd.DataFrame,
    *,
    log: Sequence[str] = (),
    shares: Sequence[Group] = (),
    scale: Scale = "standard",
    clip: float | None = None,
    missing: Missing = "refuse",
    zero: float = 0.1,
) -> FeatureScale:
    """Learn how to make features comparable; the arguments are those of `fit_segments`.

    Raises
    ------
    WorkbenchError
        If a column is unknown, not numeric, constant, in two roles, or holds values its role does not allow.

    Examples
    --------
    >>> table = pd.DataFrame({"mb": [0.0, 9.0, 99.0], "night": [0.0, 0.5, 1.0]})
    >>> fit_scale(table, log=["mb"], shares=["night"]).transform(table).round(3).tolist()[::2]
    [[-1.225, -1.225], [1.225, 1.225]]
    """
    for what, value, known in (
        ("scale", scale, ("standard", "robust", "none")),
        ("missing", missing, ("refuse", "median")),
    ):
        if value not in known:
            raise unknown(what, value, known)
    groups = tuple((group,) if isinstance(group, str) else tuple(group) for group in shares)
    special = [*log, *(column for group in groups for column in group)]
    require_columns(features, special, "features")
    if len(set(special)) < len(special):
        raise WorkbenchError(
            f"a feature has one role, but log= and shares= name {named(sorted(_repeated(special)))} twice."
        )
    columns = tuple(str(c) for c in features.columns)
    fill = None
    if missing == "median":
        require_numbers(features, list(columns), "features")
        fill = features.median().to_numpy(dtype=float)
    blank = FeatureScale(columns, tuple(log), groups, zero, scale, clip, fill, np.zeros(1), np.ones(1))
    bent = _bend(_read(features, columns, fill), blank)
    centre, spread = _centre_and_spread(bent, scale)
    constant = [
        name for name, column in zip(columns, bent.T, strict=True) if np.ptp(column) <= 1e-12 * np.abs(column).max()
    ]
    if constant:
        raise WorkbenchError(
            f"features has constant columns that cannot tell customers apart: {named(constant)}. Leave them out."
        )
    return FeatureScale(columns, tuple(log), groups, zero, scale, clip, fill, centre, spread)


def _repeated(names: list[str]) -> set[str]:
    return {name for name in names if names.count(name) > 1}


def _read(features: pd.DataFrame, columns: tuple[str, ...], fill: np.ndarray | None) -> pd.DataFrame:
    require_columns(features, columns, "features")
    table = features[list(columns)]
    require_numbers(table, list(columns), "features")
    if fill is None:
        refuse_missing(table, list(columns), "features", "Fill them, leave the rows out, or pass missing='median'.")
        return table.astype(float)
    return table.astype(float).fillna(dict(zip(columns, fill, strict=True)))


def _bend(raw: pd.DataFrame, how: FeatureScale) -> np.ndarray:
    bent = raw.to_numpy(dtype=float, copy=True)
    place = {name: k for k, name in enumerate(how.columns)}
    for name in how.log:
        column = bent[:, place[name]]
        if (column < 0).any():
            raise WorkbenchError(
                f"feature '{name}' has {int((column < 0).sum()):,} negative values, which have no logarithm. "
                "Leave it out of log=, or set them to 0 if they mean nothing was used."
            )
        bent[:, place[name]] = np.log1p(column)
    for group in how.shares:
        at = [place[name] for name in group]
        bent[:, at] = _log_ratios(bent[:, at], group, how.zero)
    return bent


def _log_ratios(part: np.ndarray, group: tuple[str, ...], zero: float) -> np.ndarray:
    if (part < 0).any() or (len(group) == 1 and (part > 1).any()):
        raise WorkbenchError(f"shares {named(group)} leave 0-1; a share in percent is divided by 100.")
    if len(group) == 1:
        part = np.column_stack([part, 1 - part])
    whole = part.sum(axis=1, keepdims=True)
    if (whole == 0).any():
        raise WorkbenchError(
            f"shares {named(group)} are all 0 for {int((whole == 0).sum()):,} customers, who have no composition. "
            "Leave those customers out, or add a part that holds the rest."
        )
    logs = np.log(part / whole + zero / part.shape[1])
    return (logs - logs.mean(axis=1, keepdims=True))[:, : len(group)]


def _centre_and_spread(bent: np.ndarray, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    ordered = np.sort(bent, axis=0)
    if scale == "none":
        return np.zeros(bent.shape[1]), np.ones(bent.shape[1])
    deviation = ordered.std(axis=0)
    deviation[deviation == 0] = 1.0
    if scale == "standard":
        return ordered.mean(axis=0), deviation
    low, middle, high = np.quantile(ordered, [0.25, 0.5, 0.75], axis=0)
    return middle, np.where(high > low, (high - low) / 1.349, deviation)
