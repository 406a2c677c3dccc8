"""How do scores become items? The second stage of higher-order constructs and interactions, on many rows at once.

Scores are linear in the answers, so correlations of scores are L'RL, with R the correlations of the answers in a row. A
product of two scores is linear in the products of their items and in the items themselves (these centre it in that
row), so with the products as further columns of R it is one more column of L: exact in every resample.

References
----------
Sarstedt, Hair, Cheah, Becker & Ringle (2019), How to specify, estimate, and validate higher-order constructs in
PLS-SEM, Australasian Marketing Journal 27 (disjoint two-stage approach). Henseler & Fassott (2010), Handbook of Partial
Least Squares (two-stage interaction).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from workbench.methods.plspm.answers import Answers, Moments, product_columns
from workbench.methods.plspm.batch import Layout, Scheme, index_points, rho_a, solve
from workbench.methods.plspm.model import PathModel


def first_moments(first: PathModel, moment: Moments) -> Moments:
    """Give the moments of the items alone, without their products."""
    p = len(first.items)
    return Moments(moment.mean[:, :p], moment.sd[:, :p], moment.correlation[:, :p, :p], moment.cell_mean[:, :, :p])


@dataclass(frozen=True, eq=False)
class Stages:
    """The models of two stages, as `PathModel.stages` gives them."""

    first: PathModel
    second: PathModel

    def answers(self, answers: Answers) -> Answers:
        """Give the answers the ends of the second stage's scales: 0-100 for dimensions, none for products."""
        layout = Layout(self.second)
        low, high = (np.concatenate(e) for e in zip(*(c.ends() for c in self.second.constructs), strict=True))
        products = [layout.start[c] for c in layout.products]
        low[products] = high[products] = np.nan
        return replace(answers, low=low, high=high)

    def moments(
        self, answers: Answers, moment: Moments, *, scheme: Scheme, tolerance: float, start: np.ndarray | None = None
    ) -> tuple[Moments, np.ndarray]:
        """Fit the first stage in every row; give the moments of the second stage's items, and the first's weights.

        NaN in rows whose first stage does not converge; means of products in cells are NaN.
        """
        lower, upper = Layout(self.first), Layout(self.second)
        below = first_moments(self.first, moment)
        solution = solve(lower, below.correlation, scheme=scheme, tolerance=tolerance, start=start)
        with np.errstate(all="ignore"):
            combined = self._combined(lower, upper, answers, moment, solution.weight)
            covariance = combined.transpose(0, 2, 1) @ moment.correlation @ combined
            sd = np.sqrt(np.einsum("bii->bi", covariance))
            correlation = covariance / (sd[:, :, None] * sd[:, None, :])
            raw = solution.weight / below.sd
            span = np.add.reduceat(raw * (answers.high - answers.low), lower.start, axis=1)
            dimension = (
                index_points(lower, answers, raw, below.mean),
                100 / span,
                index_points(lower, answers, raw[:, None, :], below.cell_mean),
            )
        correlation[~solution.converged] = np.nan
        mean, cell_mean = np.full_like(sd, np.nan), np.full((*moment.cell_mean.shape[:2], sd.shape[1]), np.nan)
        for place, at, is_item in self._single(lower, upper):
            source = (below.mean, below.sd, below.cell_mean) if is_item else dimension
            mean[:, place], sd[:, place], cell_mean[:, :, place] = (part[..., at] for part in source)
        return Moments(mean, sd, correlation, cell_mean), solution.weight

    def freed(self, correlation: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Correlations of the second stage's items without the error that reflective dimensions' items left in them.

        Parameters
        ----------
        correlation : array, shape (B, items, items)
            Of the second stage's items.
        weight : array, shape (B, first-stage items)
            Outer weights of the first stage.
        """
        lower, upper = Layout(self.first), Layout(self.second)
        reliability, root = rho_a(lower, weight), np.ones(correlation.shape[:2])
        reliability[:, lower.formative] = 1.0
        with np.errstate(invalid="ignore"):
            for place, at, is_item in self._single(lower, upper):
                if not is_item:
                    root[:, place] = np.sqrt(reliability[:, at])
            out = correlation / (root[:, :, None] * root[:, None, :])
        diagonal = np.arange(out.shape[1])
        out[:, diagonal, diagonal] = correlation[:, diagonal, diagonal]
        return out

    def _single(self, lower: Layout, upper: Layout) -> Iterator[tuple[int, int, bool]]:
        """Place of each second-stage item but products, and the first-stage item (True) or construct that it is."""
        for place, (owner, item) in enumerate(zip(upper.owner, self.second.items, strict=True)):
            if owner not in upper.products:
                is_item = self.second.names[owner] in self.first.names
                yield place, self.first.items.index(item) if is_item else lower.at[item], is_item

    def _combined(
        self, lower: Layout, upper: Layout, answers: Answers, moment: Moments, weight: np.ndarray
    ) -> np.ndarray:
        """Second-stage items from standardised columns of answers, shape (B, columns, second-stage items)."""
        out = np.zeros((*moment.mean.shape, len(self.second.items)))
        block = [slice(start, start + size) for start, size in zip(lower.start, lower.size, strict=True)]
        for place, at, is_item in self._single(lower, upper):
            part = at if is_item else block[at]
            out[:, part, place] = 1.0 if is_item else weight[:, part]
        mean, sd = (moment.mean - answers.center) / answers.scale, moment.sd / answers.scale
        pairs = list(upper.products.values())
        columns = zip(*product_columns(self.first, pairs), strict=True) if pairs else ()
        column_of = {pair: len(self.first.items) + k for k, pair in enumerate(columns)}
        for c, (first, second) in upper.products.items():
            for i, j in product(*(range(*block[lower.at[name]].indices(sd.shape[1])) for name in (first, second))):
                both = weight[:, i] * weight[:, j] / (sd[:, i] * sd[:, j])
                out[:, column_of[i, j], upper.start[c]] = both * sd[:, column_of[i, j]]
                out[:, i, upper.start[c]] -= both * mean[:, j] * sd[:, i]
                out[:, j, upper.start[c]] -= both * mean[:, i] * sd[:, j]
        return out
