"""Fits of groups as they are, and with their labels permuted: how far apart do groups lie by chance?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.messages import Message, Number, quoted, say
from workbench.methods.plspm.answers import Answers, Weights, moments, read_answers
from workbench.methods.plspm.batch import Layout, estimates, solve
from workbench.methods.plspm.fit import fit_answers
from workbench.methods.plspm.model import PathModel
from workbench.methods.resampling import BLOCK, one_thread

FEWEST = 20


def too_few_permutations(permutations: int, tests: int, level: float) -> bool:
    """Whether not even the smallest p that permutations can give is significant after Holm's correction.

    >>> too_few_permutations(199, 9, 0.95), too_few_permutations(199, 10, 0.95)
    (False, True)
    """
    return tests >= (1 - level) * (permutations + 1) * (1 - 1e-12)


def no_power(permutations: int, tests: int, level: float) -> Message:
    return say(
        "Not answerable with {n} permutations: after Holm's correction for {tests} tests no p could be below {alpha}. "
        "Ask for permutations={least} or more.",
        n=permutations,
        tests=tests,
        alpha=Number(1 - level, ".2g"),
        least=str(int(np.ceil(5 * tests / (1 - level)))),
    )


@dataclass(frozen=True, eq=False)
class Permuted:
    """Fits of G groups as they are (first) and in every permutation: leading axes (1 + permutations, G)."""

    values: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    failed: int


@dataclass(frozen=True, eq=False)
class GroupStudy:
    """What both tests share: checked answers, groups, and the whole survey's weights, which give signs."""

    layout: Layout
    answers: Answers
    names: list[object]
    along: np.ndarray

    @classmethod
    def of(
        cls, survey: pd.DataFrame, model: PathModel, group: str, weights: Weights, permutations: int, level: float
    ) -> GroupStudy:
        if permutations < 20 or not 0 < level < 1:
            raise WorkbenchError("permutations={permutations}, level={level}: ask for 1,000 or more, and 0.95.").of(
                str(permutations), str(level)
            )
        answers = read_answers(survey, model, weights=weights, by=[group])
        names = answers.cells[group].tolist()
        size = np.bincount(answers.cell)
        if len(names) < 2:
            raise CannotAnswer("not answerable: column '{column}' holds one group. Take two or more to compare.").of(
                group
            )
        for name, n in zip(names, size, strict=True):
            if n < FEWEST:
                raise CannotAnswer(
                    "not answerable: group '{name}' has {n} respondents. Leave out groups below {least}, or join them."
                ).of(str(name), n, FEWEST)
        return cls(Layout(model), answers, names, fit_answers(answers, model).weights.to_numpy())

    @property
    def pairs(self) -> list[tuple[int, int]]:
        return list(combinations(range(len(self.names)), 2))

    def part(self, members: Sequence[int] | np.ndarray) -> tuple[Answers, np.ndarray]:
        """Answers of some groups as one cell, and each respondent's place among those groups."""
        inside = np.isin(self.answers.cell, members)
        return self.answers.part(inside), np.searchsorted(members, self.answers.cell[inside])

    def permute(
        self, part: Answers, code: np.ndarray, permutations: int, seed: int | np.random.SeedSequence
    ) -> Permuted:
        """Fit every group in every permutation of the labels."""
        groups = int(code.max()) + 1
        values, weights, means, covariances = [], [], [], []
        failed = 0
        with one_thread():
            for rows in _permuted(code, groups, permutations, np.random.default_rng(seed)):
                moment = moments(part, rows)
                solution = solve(self.layout, moment.correlation, along=self.along)
                value = estimates(self.layout, part, moment, solution)
                settled = solution.converged.reshape(-1, groups).all(axis=1)
                failed += int((~settled).sum())
                value[np.repeat(~settled, groups)] = np.nan
                values.append(value)
                weights.append(np.where(np.repeat(settled, groups)[:, None], solution.weight, np.nan))
                means.append(moment.mean)
                covariances.append(moment.correlation * moment.sd[:, :, None] * moment.sd[:, None, :])
        stacked = [np.concatenate(parts) for parts in (values, weights, means, covariances)]
        if np.isnan(stacked[1][:groups]).any() or failed > permutations / 2:
            flat = np.isnan(np.einsum("bii->bi", stacked[3][:groups])).any(axis=0)
            which = [item for item, constant in zip(self.layout.model.items, flat, strict=True) if constant]
            raise CannotAnswer("PLS does not converge in a group, or in most permutations of the labels: {why}").of(
                say("{items} does not vary in it. Leave it out.", items=quoted(which))
                if which
                else say("it is too small for this model.")
            )
        value, weight, mean, covariance = (s.reshape(-1, groups, *s.shape[1:]) for s in stacked)
        return Permuted(value, weight, mean, covariance, failed)


def _permuted(code: np.ndarray, groups: int, permutations: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Blocks of rows, `groups` of them a permutation: 1 for members; the labels as they are come first."""
    at_once = max(1, BLOCK // groups)
    for start in range(0, 1 + permutations, at_once):
        count = min(at_once, 1 + permutations - start)
        labels = [code if start + d == 0 else generator.permutation(code) for d in range(count)]
        yield (np.array(labels)[:, None, :] == np.arange(groups)[:, None]).reshape(-1, len(code)).astype(np.float32)


def against_chance(values: np.ndarray, name: str, null: str, level: float) -> dict[str, np.ndarray]:
    """The value as the labels are (first row), where `level` of all permutations lie, the share as far from 0."""
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    p = share_of(np.abs(values) >= np.abs(values[0]) - 1e-12, values)
    return {name: values[0], f"{null}low": low, f"{null}high": high, f"{name}_p": p}


def share_of(hit: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Share of permutations (the true labels count) among those that converged."""
    share: np.ndarray = hit.sum(axis=0) / (~np.isnan(values)).sum(axis=0)
    return share
