"""What does a path model say on B rows of weights at once: resamples, or a survey that leaves somebody out?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from workbench.errors import CannotAnswer
from workbench.messages import Listed, join, say
from workbench.methods.plspm.answers import Answers, Moments, moments
from workbench.methods.plspm.batch import Layout, estimates, solve
from workbench.methods.plspm.fitted import PlsFit
from workbench.methods.plspm.stages import Stages
from workbench.methods.resampling import one_thread

BATCH = 512
CELLS = 1 << 24
Part = TypeVar("Part")


@dataclass(frozen=True, eq=False)
class Replicates:
    """What B rows of weights gave; NaN in rows that did not converge.

    Attributes
    ----------
    values : array, shape (B, quantities)
        Columns as `Layout.labels`.
    weights : array, shape (B, items)
        Unstandardised outer weights; those of a construct sum to 1.
    cell_mean : array, shape (B, cells, items)
        Means of the answers that were given, in units of the questionnaire.
    failed : int
        Rows without convergence.
    flat : dict of str to int
        Items that do not vary in some of those rows, and in how many.
    freed : array, shape (B, pairs of second-stage items), or None
        Their correlations without the dimensions' error (pairs as `numpy.triu_indices`), if there are dimensions.
    """

    values: np.ndarray
    weights: np.ndarray
    cell_mean: np.ndarray
    failed: int
    flat: dict[str, int]
    freed: np.ndarray | None = None


def resample(answers: Answers, fit: PlsFit, rows: Iterable[np.ndarray], tolerance: float = 1e-7) -> Replicates:
    """Fit the model of `fit` to each row of weights, starting from its outer weights.

    Raises
    ------
    CannotAnswer
        If fewer than half of the rows converge.
    """
    layout, start, ends = Layout(fit.model), fit.weights.to_numpy(), answers
    if fit.first:
        stages = Stages(fit.first.model, fit.model)
        ends, below = stages.answers(answers), fit.first.weights.to_numpy()
        upper = np.triu_indices(len(start), 1)
    values, weights, cell_means, freed, failed = [], [], [], [], 0
    items = (fit.first or fit).model.items
    constant = np.zeros(len(items), int)
    with one_thread():
        blocks = (moments(answers, block) for block in _gathered(rows, np.concatenate, _enough_rows))
        for moment in _gathered(blocks, _joined, lambda parts: sum(len(m.mean) for m in parts) >= BATCH):
            constant += np.isnan(moment.sd[:, : len(items)]).sum(axis=0)
            if fit.first:
                moment, first = stages.moments(answers, moment, scheme=fit.scheme, tolerance=tolerance, start=below)
                if any(name in fit.model.items for name in fit.first.model.names):
                    freed.append(stages.freed(moment.correlation, first)[:, *upper])
            solution = solve(layout, moment.correlation, scheme=fit.scheme, tolerance=tolerance, start=start)
            value = estimates(layout, ends, moment, solution)
            with np.errstate(all="ignore"):
                raw = solution.weight / moment.sd
                raw /= np.add.reduceat(raw, layout.start, axis=1)[:, layout.owner]
            for part in (value, raw, moment.cell_mean):
                part[~solution.converged] = np.nan
            failed += int((~solution.converged).sum())
            values.append(value)
            weights.append(raw)
            cell_means.append(moment.cell_mean)
    found = Replicates(
        np.concatenate(values),
        np.concatenate(weights),
        np.concatenate(cell_means),
        failed,
        {item: int(count) for item, count in zip(items, constant, strict=True) if count},
        np.concatenate(freed) if freed else None,
    )
    if failed > len(found.values) / 2:
        raise no_intervals(found)
    return found


def no_intervals(found: Replicates) -> CannotAnswer:
    """Say that too many resamples failed, and by which items."""
    flat = [say("'{item}' in {n}", item=item, n=count) for item, count in found.flat.items()]
    return CannotAnswer(
        join(
            say(
                "PLS did not converge in {failed} of {n} resamples, so there are no intervals.",
                failed=found.failed,
                n=len(found.values),
            ),
            say("Items did not vary in some of them ({items}): leave them out.", items=Listed(flat, ""))
            if flat
            else say("The survey is too small for this model: fewer constructs, or more respondents."),
        )
    )


def _gathered(
    parts: Iterable[Part], join: Callable[[list[Part]], Part], whole: Callable[[list[Part]], bool]
) -> Iterator[Part]:
    """Join parts until they are a whole: fewer and larger steps."""
    waiting: list[Part] = []
    for part in parts:
        waiting.append(part)
        if whole(waiting):
            yield join(waiting)
            waiting = []
    if waiting:
        yield join(waiting)


def _enough_rows(blocks: list[np.ndarray]) -> bool:
    held, (last, n) = sum(map(len, blocks)), blocks[-1].shape
    return held >= BATCH or (held + last) * n > CELLS


def _joined(parts: list[Moments]) -> Moments:
    names = ("mean", "sd", "correlation", "cell_mean")
    return Moments(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
