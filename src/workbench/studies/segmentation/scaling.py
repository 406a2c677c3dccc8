"""On which scale are two customers alike? Logs of amounts, log-ratios of shares, then one unit for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from workbench import columns as columns_of
from workbench.columns import number, require_table
from workbench.errors import WorkbenchError, require_columns, require_known

Scale = Literal["standard", "robust", "none"]
Missing = Literal["refuse", "median"]
Group = str | Sequence[str]
ZERO = 0.1
"""Of an even part, added to every share before its logarithm."""


@dataclass(frozen=True, eq=False)
class FeatureScale:
    """How features become comparable; fitted once, applied to anyone.

    Attributes
    ----------
    columns : tuple of str
        The features read, p of them, in an order of their own values; each gives one column of what `transform`
        returns. What is the same for everybody is not among them.
    log : tuple of str
        Taken as log(1 + x), and as -log(1 - x) where x is below 0 (credit notes): the same distance on the other side.
    shares : tuple of tuple of str
        Compositions taken as centred log-ratios; a single share stands with its complement.
    zero : float
        Added to each part of a composition, as a share of an even part: 0 has a logarithm, and few events don't shout.
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
        return self.scaled(self.read(features))

    def scaled(self, read: pd.DataFrame) -> np.ndarray:
        """Scale what `read` gave, shape (n, p)."""
        scaled = _bend(read, self)
        scaled -= self.centre
        scaled /= self.spread
        return scaled if self.clip is None else np.clip(scaled, -self.clip, self.clip, out=scaled)

    def read(self, features: pd.DataFrame) -> pd.DataFrame:
        """Give the features as numbers, in their units, missing ones filled or refused."""
        require_table(features, self.columns, "features")
        keep: columns_of.Missing = "refuse" if self.fill is None else "keep"
        table = pd.DataFrame({c: number(features[c], c, what="feature", missing=keep) for c in self.columns})
        return table if self.fill is None else table.fillna(dict(zip(self.columns, self.fill, strict=True)))

    def inverse(self, scaled: np.ndarray) -> pd.DataFrame:
        """Give scaled points in the units of the features, one row a point."""
        values = scaled * self.spread + self.centre
        table = pd.DataFrame(values, columns=list(self.columns))
        for column in self.log:
            table[column] = np.sign(table[column]) * np.expm1(table[column].abs())
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
        require_known(what, value, known)
    groups: tuple[tuple[str, ...], ...] = tuple((g,) if isinstance(g, str) else tuple(g) for g in shares)
    special = [*log, *(column for group in groups for column in group)]
    require_columns(features, special, "features")
    if len(set(special)) < len(special):
        raise WorkbenchError("a feature has one role, but log= and shares= name {names} twice.").of(
            sorted({name for name in special if special.count(name) > 1})
        )
    columns = _varying(features, groups)
    if not columns:
        raise WorkbenchError(
            "features has constant columns that cannot tell customers apart: {names}. Give others."
        ).of(features.columns)
    log, groups = [c for c in log if c in columns], tuple(g for g in groups if g[0] in columns)
    how = FeatureScale(columns, tuple(log), groups, ZERO, scale, clip, None, np.zeros(1), np.ones(1))
    if missing == "median":
        raw = pd.DataFrame({c: number(features[c], c, what="feature", missing="keep") for c in columns})
        how = replace(how, fill=raw.median().to_numpy(dtype=float))
    ordered = np.sort(_bend(how.read(features), how).T)
    centre, spread = _centre_and_spread(ordered, scale)
    order = _by_values(columns, ordered, centre, spread)
    how, centre, spread = _in_order(how, order), centre[order], spread[order]
    if groups:  # sums over the parts in their new order
        centre, spread = _centre_and_spread(np.sort(_bend(how.read(features), how).T), scale)
    return replace(how, centre=centre, spread=spread)


def _varying(features: pd.DataFrame, groups: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Columns that tell customers apart; a composition stays whole as long as one of its parts does."""
    varies = {}
    for column in features.columns:
        values = number(features[column], column, what="feature", missing="keep")
        low, high = np.fmin.reduce(values, initial=np.nan), np.fmax.reduce(values, initial=np.nan)
        varies[str(column)] = bool(high - low > 1e-12 * max(abs(low), abs(high)))
    for group in groups:
        varies |= dict.fromkeys(group, any(varies[c] for c in group))
    return tuple(c for c in varies if varies[c])


def _by_values(columns: tuple[str, ...], ordered: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Positions that sort the columns by their scaled values, then by name: the order of a file decides nothing."""
    at = np.linspace(0, ordered.shape[1] - 1, 21).astype(int)
    keys = ((ordered[:, at].T - centre) / spread).round(7)
    return np.lexsort([np.array(columns), *keys[::-1]])


def _in_order(how: FeatureScale, order: np.ndarray) -> FeatureScale:
    columns = tuple(how.columns[i] for i in order)
    place = {name: k for k, name in enumerate(columns)}
    groups = sorted((tuple(sorted(g, key=place.__getitem__)) for g in how.shares), key=lambda g: place[g[0]])
    fill = None if how.fill is None else how.fill[order]
    log = tuple(sorted(how.log, key=place.__getitem__))
    return replace(how, columns=columns, log=log, shares=tuple(groups), fill=fill)


def _bend(raw: pd.DataFrame, how: FeatureScale) -> np.ndarray:
    bent = np.array(raw.to_numpy(dtype=float).T, order="C", copy=True).T  # each feature lies in one piece
    place = {name: k for k, name in enumerate(how.columns)}
    for name in how.log:
        column = bent[:, place[name]]
        bent[:, place[name]] = np.sign(column) * np.log1p(np.abs(column))
    for group in how.shares:
        at = [place[name] for name in group]
        bent[:, at] = _log_ratios(bent[:, at], group, how.zero)
    return bent


def _log_ratios(part: np.ndarray, group: tuple[str, ...], zero: float) -> np.ndarray:
    if (part < 0).any() or (len(group) == 1 and (part > 1).any()):
        raise WorkbenchError("shares {names} leave 0-1; a share in percent is divided by 100.").of(group)
    if len(group) == 1:
        part = np.column_stack([part, 1 - part])
    whole = part.sum(axis=1, keepdims=True)
    if (whole == 0).any():
        raise WorkbenchError(
            "shares {names} are all 0 for {n} customers, who have no composition. Leave those customers out, or add "
            "a part that holds the rest."
        ).of(group, (whole == 0).sum())
    logs = np.log(part / whole + zero / part.shape[1])
    return (logs - logs.mean(axis=1, keepdims=True))[:, : len(group)]


def _centre_and_spread(ordered: np.ndarray, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """Of each feature, from its values in ascending order, shape (p, n): sums that no order of rows can change."""
    if scale == "none":
        return np.zeros(len(ordered)), np.ones(len(ordered))
    deviation = ordered.std(axis=1)
    deviation[deviation == 0] = 1.0
    if scale == "standard":
        return ordered.mean(axis=1), deviation
    low, middle, high = np.quantile(ordered, [0.25, 0.5, 0.75], axis=1)
    return middle, np.where(high > low, (high - low) / 1.349, deviation)
