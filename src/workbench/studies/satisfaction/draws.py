"""What does each resample say? Effects, outer weights and item means by cell as rows, the estimate first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from workbench.errors import CannotAnswer, require_known, unknown
from workbench.messages import Label, Listed, Message, Name, Value, join, say
from workbench.methods.plspm import PlsFit
from workbench.methods.plspm.answers import Answers, moments
from workbench.methods.plspm.batch import Layout
from workbench.methods.plspm.replicates import resample
from workbench.methods.resampling import Rng, bootstrap_weights, interval, one_thread, seeds

MINIMUM = 30
Width = np.ndarray | float


@dataclass(frozen=True, eq=False)
class Draws:
    """A fit and its resamples; row 0 is the estimate, rows without convergence are NaN.

    Attributes
    ----------
    values : array, shape (1 + resamples, quantities)
        Columns as `Layout.labels`.
    share : array, shape (1 + resamples, items)
        Part that an item has in its construct's index: outer weight times length of the scale, summing to 1.
    points : array, shape (1 + resamples, cells, items)
        Item means on their scale, 0-100.
    weight : array, shape (1 + resamples, cells, items)
        Sum of the weights of those who answered.
    resamples, stratum, cluster, seed
        What gives the same resamples again.
    """

    answers: Answers
    fit: PlsFit
    values: np.ndarray
    share: np.ndarray
    points: np.ndarray
    weight: np.ndarray
    resamples: int
    stratum: np.ndarray
    cluster: np.ndarray | None
    seed: np.random.SeedSequence

    @cached_property
    def column(self) -> dict[tuple[str, str], int]:
        """Where each (quantity, name) stands in `values`."""
        return {label: at for at, label in enumerate(Layout(self.fit.model).labels)}

    def effect(self, source: str, target: str) -> np.ndarray:
        """Points of the target's index per point of the source's, in each row; 0 without a chain of paths."""
        if source == target:
            return np.ones(len(self.values))
        at = self.column.get(("importance", f"{source}->{target}"))
        return np.zeros(len(self.values)) if at is None else self.values[:, at]

    def chosen(self, of: Mapping[str, object] | None) -> np.ndarray:
        """Mark the cells that `of` asks for, shape (cells,).

        Raises
        ------
        WorkbenchError
            If the cells have no such column or value.
        CannotAnswer
            If they hold fewer than 30 respondents, or nobody who answered an item.
        """
        cells, mask = self.answers.cells, np.ones(len(self.answers.cells), bool)
        for column, value in (of or {}).items():
            require_known("column", column, cells.columns, "the cells (by= of path_effects)")
            if not (cells[column] == value).any():
                raise unknown(column, str(value), sorted(cells[column].unique()), "the survey")
            mask &= (cells[column] == value).to_numpy()
        count = int(mask[self.answers.cell].sum())
        if count < MINIMUM:
            raise CannotAnswer("{cells} holds {n} respondents; {least} are needed. Ask for more cells.").of(
                str(dict(of or {})), count, MINIMUM
            )
        silent = ~(self.weight[0, mask].sum(axis=0) > 0)
        if silent.any():
            item = self.fit.model.items[int(np.argmax(silent))]
            raise CannotAnswer("nobody in {cells} answered '{item}'. Leave the item out, or ask elsewhere.").of(
                str(dict(of or {})), item
            )
        return mask

    def level_of(self, mask: np.ndarray) -> np.ndarray:
        """Item means of the chosen cells together, 0-100, shape (1 + resamples, items)."""
        weight = self.weight[:, mask]
        return (weight * np.where(weight > 0, self.points[:, mask], 0)).sum(axis=1) / weight.sum(axis=1)

    def width(self, mask: np.ndarray) -> dict[str, float]:
        """Degrees of freedom of a mean of the chosen cells, and what widens its error over the resamples."""
        square = self.answers.weights[mask[self.answers.cell]] ** 2
        cells = int(mask.sum())
        df = float(square.sum() ** 2 / (square @ square)) * (1 - min(cells / len(square), 0.5))
        return {"df": max(df, 1.0), "resampled": (len(square) / max(len(square) - cells, len(square) / 2)) ** 0.5}

    def reach(self, mask: np.ndarray) -> np.ndarray:
        """Standard errors of items that all of the chosen cells answer alike (points), 0 for the others: (items,)."""
        return item_reach(self.answers, np.where(mask[self.answers.cell], 0, 1))[0]

    def index_reach(self, mask: np.ndarray) -> np.ndarray:
        """As `reach`, of the indices of constructs all of whose items do not vary: (constructs,)."""
        start, reach = Layout(self.fit.model).start, self.reach(mask)
        unvaried = np.minimum.reduceat(reach, start) > 0
        return np.where(unvaried, np.add.reduceat(self.share[0] * reach, start), 0.0)

    def index(self, points: np.ndarray) -> np.ndarray:
        """Indices of the constructs from item means on 0-100, shape (..., constructs)."""
        return np.add.reduceat(self.share * points, Layout(self.fit.model).start, axis=-1)

    def total(self, columns: np.ndarray) -> np.ndarray:
        """Sum columns, one row a respondent, over the cells and rows: shape (1 + resamples, cells, columns)."""
        rows = _rows(self.answers, self.resamples, self.stratum, self.cluster, self.seed)
        return _collected(self.answers, columns, rows)


def refuse_undefined(fit: PlsFit, constructs: Iterable[str]) -> None:
    """Refuse constructs whose index a negative outer weight leaves undefined."""
    if gone := [name for name in constructs if np.isnan(fit.index[name])]:
        raise CannotAnswer(undefined(fit, *gone))


def called(item: str, labels: Mapping[str, Value]) -> Message:
    """Name an item in a sentence: by its label in quotation marks, else by its code."""
    label = labels.get(item, Name(item))
    return say("{code}", code=label) if isinstance(label, Name) else say("'{label}'", label=label)


def undefined(fit: PlsFit, *constructs: str) -> Message:
    """Say that the index of constructs is not defined, and why."""
    names, why = Listed(map(Label, constructs)), join(*fit.verdicts)
    return say("the index of {construct} is not defined: {why}", construct=names, why=why)


def draw(
    answers: Answers,
    fit: PlsFit,
    *,
    resamples: int,
    stratum: np.ndarray | None = None,
    cluster: np.ndarray | None = None,
    rng: Rng = 0,
) -> Draws:
    """Resample respondents (or clusters) within strata (the cells if not given) and keep what decompositions need.

    Raises
    ------
    CannotAnswer
        If fewer than half of the resamples converge.
    """
    stratum, (seed,) = answers.cell if stratum is None else stratum, seeds(rng, 1)
    found = resample(answers, fit, _rows(answers, resamples, stratum, cluster, seed))
    with one_thread():
        whole = moments(answers, np.ones((1, len(answers.x)))).cell_mean
    means = np.concatenate([whole, found.cell_mean])
    means = np.where(np.isnan(means), means[:1], means)  # a cell that a resample left empty
    span, layout = answers.high - answers.low, Layout(fit.model)
    share = np.vstack([fit.unstandardised_weights.to_numpy(), found.weights]) * span
    share /= np.add.reduceat(share, layout.start, axis=1)[:, layout.owner]
    given = ~answers.missing * answers.weights[:, None]
    weight = _collected(answers, given, _rows(answers, resamples, stratum, cluster, seed))
    values = np.vstack([fit.estimates.to_numpy(), found.values])
    points = 100 * (means - answers.low) / span
    return Draws(answers, fit, values, share, points, weight, resamples, stratum, cluster, seed)


def _rows(answers: Answers, resamples: int, stratum, cluster, seed: np.random.SeedSequence) -> Iterator[np.ndarray]:
    return bootstrap_weights(len(answers.x), resamples, strata=stratum, clusters=cluster, rng=seed, dtype=np.float32)


def _collected(answers: Answers, columns: np.ndarray, rows: Iterator[np.ndarray]) -> np.ndarray:
    ends = np.searchsorted(answers.cell, np.arange(len(answers.cells) + 1))
    parts = [slice(a, b) for a, b in pairwise(ends)]
    blocks = [np.ones((1, len(columns)), np.float32)]
    with one_thread():
        sums = [[b[:, part] @ columns[part] for part in parts] for block in (blocks, rows) for b in block]
    return np.concatenate([np.stack(each, axis=1) for each in sums])


def with_ends(
    table: pd.DataFrame,
    level: float,
    *,
    df: Width = np.inf,
    resampled: Width = 1.0,
    hidden: Width = 0.0,
    **rows: np.ndarray,
) -> pd.DataFrame:
    """Add columns `name`, `name_low`, `name_high` for rows of shape (1 + resamples, rows of the table).

    Percentiles, widened about the estimate to Student's with `df` degrees of freedom, by `resampled` (what n draws of n
    leave out), and by a standard error that the resamples do not show (`hidden`); each a number or one a row.
    """
    tail = (1 - level) / 2
    t = student.isf(tail, df)
    for name, values in rows.items():
        ends = interval(values[0], values[1:], level=level)
        low, high = (np.hypot((end - values[0]) * resampled * t / norm.isf(tail), hidden * t) for end in ends)
        table = table.assign(**{name: values[0], f"{name}_low": values[0] - low, f"{name}_high": values[0] + high})
    return table


def item_reach(answers: Answers, group: np.ndarray) -> np.ndarray:
    """Standard error, in points 0-100, that stands for what is not known of items that all of a group answer alike.

    Shape (groups, items), 0 where answers vary: of n alike up to z² / (n + z²) of others may answer otherwise (Wilson),
    wherever on the scale.
    """
    z, p, groups = norm.isf(0.025), len(answers.low), int(group.max()) + 1
    value = (answers.center + answers.scale * answers.x)[:, :p]
    given = ~answers.missing[:, :p]
    top, bottom = np.full((groups, p), -np.inf), np.full((groups, p), np.inf)
    np.maximum.at(top, group, np.where(given, value, -np.inf))
    np.minimum.at(bottom, group, np.where(given, value, np.inf))
    n = np.stack([np.bincount(group, column, groups) for column in given.T], axis=1)
    with np.errstate(invalid="ignore"):
        far = 100 * np.maximum(top - answers.low, answers.high - top) / (answers.high - answers.low)
    return np.where(top == bottom, far * z / (n + z**2), 0.0)


def standing(values: np.ndarray) -> np.ndarray:
    """Place of each column in its row, 0 for the largest; rows with NaN are left out (row 0 stays first)."""
    settled = values[~np.isnan(values).any(axis=1)]
    return np.argsort(np.argsort(-settled, axis=1, kind="stable"), axis=1)
