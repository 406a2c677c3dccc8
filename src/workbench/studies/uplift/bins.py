"""Members sorted by score once, summed in at most 200 bins, and resampled there at a cost that ignores their number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.methods.intervals import Mean
from workbench.methods.resampling import Rng, seeds

MOST_BINS = 200


@dataclass(frozen=True)
class ScoreBins:
    """Both arms' sums by bin of the score, high scores first; equal scores are never parted.

    Attributes
    ----------
    lowest : array, shape (bins,)
        Lowest score of each bin.
    totals : array, shape (2, bins, 1 + q)
        Arm (control, treated), bin, and the count and the sum of each of q values.
    products : array, shape (2, bins, 1 + q, 1 + q)
        Sums of the products of (1, values).
    powers : array, shape (2, bins, 4)
        Sums of the powers 0-3 of the value judged, less its mean.
    cubes, events : arrays, shape (2, bins)
        Sum of the first value's cubes; members whose outcome is not the commonest.
    """

    lowest: np.ndarray
    totals: np.ndarray
    products: np.ndarray
    powers: np.ndarray
    cubes: np.ndarray
    events: np.ndarray

    def arms(self) -> tuple[Mean, Mean]:
        """Mean of the first value among the treated and the control down to each bin."""
        sums = (self.totals[..., 0], self.totals[..., 1], self.products[..., 1, 1], self.cubes)
        zero, one = (Mean.of_sums(*(np.cumsum(part[arm]) for part in sums)) for arm in (0, 1))
        return one, zero

    def beyond(self) -> tuple[Mean, Mean]:
        """The same below each bin; the last, where nobody is left, says nothing."""
        sums = (self.totals[..., 0], self.totals[..., 1], self.products[..., 1, 1], self.cubes)
        zero, one = (Mean.of_sums(*(part[arm].sum() - np.cumsum(part[arm]) for part in sums)) for arm in (0, 1))
        return one, zero

    def third(self, own: np.ndarray | float, whole: float = 0.0) -> np.ndarray:
        """Third moment of the error of `own` x effect down to each bin less `whole` x effect on everybody."""
        inside = np.cumsum(self.powers, axis=1)
        count, mean = inside[..., 0], inside[..., 1] / inside[..., 0]
        everybody, average = whole / count[:, -1:], mean[:, -1:]

        def cubes(sums, a, b):
            weights = b**3, 3 * a * b * b, 3 * a * a * b, a**3
            return sum(weight * sums[..., k] for k, weight in enumerate(weights))

        found = cubes(inside, own / count - everybody, average * everybody - own * mean / count)
        found += cubes(inside[:, -1:] - inside, -everybody, average * everybody)
        return found[1] - found[0]

    def third_of_area(self, weight: np.ndarray, whole: float) -> float:
        """Third moment of the error of the sum of `weight` x effect down to each bin less `whole` x that on all."""
        slope, level = self._area_weights(weight, whole, self.powers)
        weights = -(level**3), 3 * slope * level**2, -3 * slope**2 * level, slope**3
        found = sum((w * self.powers[..., k]).sum(axis=1) for k, w in enumerate(weights))
        return float(found[1] - found[0])

    def pooled_error_of_area(self, weight: np.ndarray, whole: float) -> tuple[float, float]:
        """Variance and third moment of the same error where few bought: both arms lend each other each bin's amounts.

        It is the error over random draws of the arms: an arm without buyers is not taken to be sure, and the outcome
        of the one control member at the top does not decide how sure it is.
        """
        count = self.powers[..., 0]
        pooled = self.powers.sum(axis=0) * (count / np.maximum(count.sum(axis=0), 1))[..., None]
        slope, level = self._area_weights(weight, whole, pooled)
        second = level**2, -2 * slope * level, slope**2
        third = -(level**3), 3 * slope * level**2, -3 * slope**2 * level, slope**3
        variance = sum((w * pooled[..., k]).sum() for k, w in enumerate(second))
        cubes = sum((w * pooled[..., k]).sum(axis=1) for k, w in enumerate(third))
        return float(variance), float(cubes[1] - cubes[0])

    def _area_weights(self, weight: np.ndarray, whole: float, powers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Factor of a member's value, and what is taken off, in the error of an area; shape (2, bins)."""
        inside = np.cumsum(powers, axis=1)
        count, total = inside[..., 0], inside[..., 1]

        def below(part: np.ndarray) -> np.ndarray:
            return np.cumsum(part[:, ::-1], axis=1)[:, ::-1]  # a member counts in the prefixes from its bin on

        slope = below(weight / count) - whole / count[:, -1:]
        level = below(weight * total / count**2) - whole * total[:, -1:] / count[:, -1:] ** 2
        return slope, level

    def resampled(self, resamples: int, rng: Rng) -> np.ndarray:
        """Draw totals with independent weights of mean 1 and variance 1 for every member.

        The weights are normal, hence their sums over a bin are too, with the mean and covariance kept here: drawing
        the sums is the same as drawing a weight for each member. (Poisson weights share both moments.)

        Returns
        -------
        array, shape (resamples, 2, bins, 1 + q)
        """
        root = _root(self.products)
        generator = np.random.default_rng(seeds(rng, 1)[0])
        noise = generator.standard_normal((resamples, *self.totals.shape))
        return self.totals + np.einsum("abij,rabj->rabi", root, noise)


def _root(products: np.ndarray) -> np.ndarray:
    """Lower triangular root of each matrix (last two axes), 0 where a value adds nothing; scales with the values."""
    root = np.zeros_like(products)
    for j in range(products.shape[-1]):
        rest = products[..., :, j] - (root[..., :, :j] * root[..., j : j + 1, :j]).sum(axis=-1)
        pivot = rest[..., j]
        adds = pivot > 1e-10 * products[..., j, j]
        size = np.sqrt(np.where(adds, pivot, 1.0))
        root[..., j:, j] = np.where(adds[..., None], rest[..., j:] / size[..., None], 0.0)
    return root


def score_bins(
    score: np.ndarray,
    treated: np.ndarray,
    values: np.ndarray,
    *,
    judged: np.ndarray | None = None,
    events: np.ndarray | None = None,
    most: int = MOST_BINS,
) -> ScoreBins:
    """Sum `values`, shape (n, q), by arm over at most `most` bins of equal size as far as ties allow.

    The first bin reaches as deep as is needed to hold both arms, so that every prefix does. `judged`, shape (n,), is
    the value whose skewness counts (default: the first); `events`, shape (n,), whether a member's outcome is not the
    commonest.
    """
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    if len(last) > most:
        wanted = np.arange(1, most + 1) / most * len(ranked)
        last = np.unique(last[np.minimum(np.searchsorted(last + 1, wanted), len(last) - 1)])
    seen = np.cumsum(treated[order])[last]
    last = last[(seen > 0) & (seen <= last)]
    bin_of = np.empty(len(score), dtype=np.int64)
    bin_of[order] = np.searchsorted(last, np.arange(len(ranked)))
    columns = [np.ones(len(score)), *values.T]
    cell, width = bin_of + len(last) * treated, 2 * len(last)
    products = np.empty((width, len(columns), len(columns)))
    for i, one in enumerate(columns):
        for j in range(i + 1):
            products[:, i, j] = products[:, j, i] = np.bincount(cell, one * columns[j], width)
    of_arm = products.reshape(2, len(last), len(columns), len(columns))
    judged = values[:, 0] if judged is None else judged
    powers = [np.bincount(cell, (judged - judged.mean()) ** k, width).reshape(2, -1) for k in range(4)]
    cubes = np.bincount(cell, columns[1] * columns[1] * columns[1], width).reshape(2, -1)
    counted = np.bincount(cell if events is None else cell[events], minlength=width).reshape(2, -1)
    return ScoreBins(
        ranked[last], np.ascontiguousarray(of_arm[..., 0]), of_arm, np.stack(powers, axis=-1), cubes, counted
    )


@dataclass(frozen=True)
class Prefixes:
    """What the members down to each bin show, arrays of shape (..., bins).

    share of the list; mean outcome of the treated less that of the control; mean of the further values in the treated;
    share of the treated.
    """

    share: np.ndarray
    effect: np.ndarray
    treated_means: np.ndarray
    treated_share: np.ndarray


def prefixes(totals: np.ndarray, floor: np.ndarray | None = None) -> Prefixes:
    """Accumulate totals, shape (..., 2, bins, 1 + q), from the highest score down; `floor` bounds the counts below."""
    running = np.cumsum(totals, axis=-2)
    count = running[..., 0]
    if floor is not None:
        count = np.maximum(count, floor)
    means = running[..., 1:] / count[..., None]
    everybody = count.sum(axis=-2)
    return Prefixes(
        share=everybody / everybody[..., -1:],
        effect=means[..., 1, :, 0] - means[..., 0, :, 0],
        treated_means=means[..., 1, :, 1:],
        treated_share=count[..., 1, :] / count[..., 1, -1:],
    )


def resampled_curves(bins: ScoreBins, worth, resamples: int, rng: Rng) -> np.ndarray:
    """Give curves `worth(prefixes)` of resampled members at the shares of the list itself, and 0 at share 0.

    Returns
    -------
    array, shape (resamples, 1 + bins)
    """
    floor = np.cumsum(bins.totals[..., 0], axis=-1) / 4
    at = prefixes(bins.totals).share
    drawn = prefixes(bins.resampled(resamples, rng), floor)
    curves = worth(drawn)
    result = np.zeros((resamples, len(at) + 1))
    for row in range(resamples):
        result[row, 1:] = np.interp(at, np.append(0, drawn.share[row]), np.append(0, curves[row]))
    return result
