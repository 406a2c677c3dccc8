"""How exact is a number from a survey? Means, ratios and totals of a part, with the errors of the whole design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from workbench.methods import intervals
from workbench.methods.cells import codes_of
from workbench.methods.intervals import skewed

Kind = Literal["net", "top", "mean"]

FEW = 3  # answers (or clusters) that differ from the commonest one: with fewer, their spread is not known
SMALL = 60  # units of a cell from which on the rare answers that it has not met no longer count


@dataclass(frozen=True)
class SurveyMean:
    """A weighted mean (or ratio) of a part of a survey, with what its interval needs.

    Attributes
    ----------
    estimate, se : float
        In units of the answers; the error is the linearised one of the whole design.
    df, df_units : float
        Degrees of freedom of the error: units less strata (in a part of a stratum by its share); `df` has fewer where
        weights are uneven (Satterthwaite). 0 for a single unit.
    n : int
        Answers.
    n_effective, n_weights : float
        Answers of a simple random sample that would be as exact; the same for the weights alone (Kish).
    spread : float
        Weighted variance of the answers.
    neutral : float
        Weighted share of answers that are 0.
    units : float
        Units of the design, counted by their weight (Kish): respondents, or clusters where there are some.
    skewness : float
        Of the estimate: third moment over `se` cubed.
    widening, resampled : float
        What the interval's error is multiplied by, as the mean of a small part is estimated from it; what the error
        over resamples of the design's units is multiplied by, which is narrow by the root of (n - 1) / n.
    commonest, differing : float
        The answer that most weight has, and the weighted share of all others.
    few : bool
        Whether fewer than 3 units hold another answer than the commonest.
    """

    estimate: float
    se: float
    df: float
    df_units: float
    n: int
    n_effective: float
    n_weights: float
    spread: float
    neutral: float
    units: float
    skewness: float
    widening: float
    resampled: float
    commonest: float
    differing: float
    few: bool

    def interval(self, kind: Kind, level: float, ends: tuple[float, float] = (-np.inf, np.inf)) -> tuple[float, float]:
        """Ends of an interval that holds near the ends of a scale and in small cells.

        A mean: Student's, corrected for the skewness of the answers (Hall 1992), cut at the scale's `ends`. Where
        fewer than 3 units differ from the commonest answer, at least what Wilson's interval of the share that differs
        leaves, wherever on the scale those answers lie; NaN if the scale has no ends. Where a small cell has no answer
        that half of it gives, the rare answers of the longer tail may not have been met: at least what the cell with
        half an answer more, at that end of the scale, would have (`_unmet`). A share ("top", in per cent):
        Wilson's; a net share ("net"): Rocks's. Both take no more answers for granted than the weights leave, and no
        more than there are units where few differ (Korn & Graubard 1998).

        References
        ----------
        Hall (1992), On the removal of skewness by transformation, JRSS B 54(1). Korn & Graubard (1998), Confidence
        intervals for proportions with small expected number of positive counts, Survey Methodology 24(2). Rocks (2016),
        Interval estimation for the net promoter score, The American Statistician 70(4).

        Examples
        --------
        Ten answers, all 10 on a scale of 1 to 10:

        >>> ten = Design.of(np.ones(10)).mean(np.full(10, 10.0))
        >>> low, high = ten.interval("mean", 0.95, (1, 10))
        >>> round(low, 2), high
        (6.95, 10.0)
        """
        intervals.require_level(level)
        if kind == "mean":
            low, high = mean_intervals([self], level, ends)
            return float(low[0]), float(high[0])
        if not self.df > 0:
            return np.nan, np.nan
        n = min(self.n_effective, self.n_weights, *([self.units] if self.few else []))
        if kind == "net":
            t = stdtrit(self.df_units, (1 + level) / 2)
            d, counting = self.estimate / 100 * n / (n + 3), ((1 - self.neutral) * n + 1.5) / (n + 3)
            half = float(100 * t * np.sqrt((counting - d**2) / (n + 3)))
            return max(-100.0, 100 * d - half), min(100.0, 100 * d + half)
        low, high = share_ends(self.estimate / 100, n, self.df_units, level)
        return 100 * float(low), 100 * float(high)


def mean_intervals(
    means: Sequence[SurveyMean], level: float, ends: tuple[float, float] = (-np.inf, np.inf)
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the intervals of means, shapes (q,), as `SurveyMean.interval` gives them one by one."""
    names = ("estimate", "se", "df", "units", "skewness", "widening", "commonest", "differing", "few")
    estimate, se, df, units, skewness, widening, commonest, differing, few = (
        np.array([getattr(mean, name) for mean in means], float) for name in names
    )
    known = df > 0
    df, se = np.where(known, df, 1), se * widening
    low, high, _ = skewed(estimate, se, skewness, level=level, df=df)
    if np.isfinite(ends).all():
        often = _unmet(skewness, units, differing)
        low = np.fmin(low, _with_unmet(estimate, se, skewness, units, df, often * (skewness < 0), ends[0], level)[0])
        high = np.fmax(high, _with_unmet(estimate, se, skewness, units, df, often * (skewness > 0), ends[1], level)[1])
        _, most = share_ends(differing, units, df, level)
        few = few == 1
        low = np.where(few, np.fmin(low, commonest - most * (commonest - ends[0])), low)
        high = np.where(few, np.fmax(high, commonest + most * (ends[1] - commonest)), high)
    return np.where(known, np.clip(low, *ends), np.nan), np.where(known, np.clip(high, *ends), np.nan)


def _unmet(skewness: np.ndarray, units: np.ndarray, differing: np.ndarray) -> np.ndarray:
    """How many answers, up to half a one, a small cell is taken to lack at the end of its longer tail.

    In proportion to the squared skewness of the answers up to 1, and to what the cell has less than 60 units; none
    where half of the cell gives one answer: there that share bounds the others. Calibrated by simulation
    (docs/methods/survey.md).
    """
    small = np.maximum(0, 1 - units / SMALL)
    return np.where(differing >= 0.5, 0.5 * np.minimum(1, units * skewness**2) * small, 0.0)


def _with_unmet(
    estimate: np.ndarray,
    se: np.ndarray,
    skewness: np.ndarray,
    units: np.ndarray,
    df: np.ndarray,
    often: np.ndarray,
    end: float,
    level: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the intervals of cells with `often` answers more at `end`."""
    share = often / (units + often)
    mean = estimate + share * (end - estimate)
    away, kept = (end - mean) / (units + often), 1 - share
    variance = (se * kept) ** 2 + often * away**2
    third = skewness * (se * kept) ** 3 + often * away**3
    with np.errstate(invalid="ignore", divide="ignore"):
        bend = np.where(variance > 0, third / variance**1.5, 0.0)
    return skewed(mean, np.sqrt(variance), bend, level=level, df=df)[:2]


def share_ends(
    share: np.ndarray | float, n: np.ndarray | float, df: np.ndarray | float, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's ends for shares (0-1) of n answers, whose error has few degrees of freedom (Korn & Graubard 1998)."""
    answers = n * (stdtrit(np.inf, (1 + level) / 2) / stdtrit(df, (1 + level) / 2)) ** 2
    return intervals.share(share * answers, answers, level=level)


@dataclass(frozen=True, eq=False)
class Design:
    """How the respondents of a survey were drawn: clusters within strata, with weights.

    Attributes
    ----------
    weight : array, shape (n,)
    unit, stratum : int arrays, shapes (n,), (units,)
        Unit (cluster, or respondent) of each respondent, stratum of each unit.
    size : int array, shape (strata,)
        Units in each stratum.
    """

    weight: np.ndarray
    unit: np.ndarray
    stratum: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, weight: np.ndarray, stratum: np.ndarray | None = None, cluster: np.ndarray | None = None) -> Design:
        """Number strata and clusters, given as any codes of shape (n,); a cluster belongs to its stratum."""
        code = np.zeros(len(weight), int) if stratum is None else np.unique(stratum, return_inverse=True)[1].ravel()
        unit, of_unit = np.arange(len(weight)), code
        if cluster is not None:
            found, unit = np.unique(
                np.column_stack([code, np.unique(cluster, return_inverse=True)[1].ravel()]), axis=0, return_inverse=True
            )
            unit, of_unit = unit.ravel(), found[:, 0]
        return cls(np.asarray(weight, float), unit, of_unit, np.bincount(of_unit))

    def mean(self, y: np.ndarray, rows: np.ndarray | None = None) -> SurveyMean:
        """Mean of y, shape (n,), over `rows` (positions; all if not given), without those where y is NaN.

        The other rows stay in the design as zeros: an error of a part holds that its size in each stratum is due to
        chance, unless the part is the stratum. A stratum of one unit is compared with the mean of all.

        Examples
        --------
        >>> mean = Design.of(np.ones(4)).mean(np.array([1.0, 3, 5, 7]))
        >>> mean.estimate, round(mean.se, 3), mean.df
        (4.0, 1.291, 3.0)
        """
        at = np.arange(len(y)) if rows is None else rows
        at = at[~np.isnan(y[at])]
        (found,) = self.means(y[at][:, None], at)
        return found

    def means(self, values: np.ndarray, at: np.ndarray) -> list[SurveyMean]:
        """Mean of each column of values, shape (m, k), of the respondents at positions `at`, shape (m,)."""
        w, n = self.weight[at], len(at)
        share = w / w.sum()
        estimate = share @ values
        away = values - estimate
        errors = self._errors(share[:, None] * away, at, share)
        spread, neutral, kish = share @ away**2, share @ (values == 0), float(1 / (share @ share))
        found = []
        for k in range(values.shape[1]):
            commonest, differing, few = _differing(values[:, k], share, errors.unit)
            v, s = (float(errors.variance[k]), float(spread[k])) if differing > 0 else (0.0, 0.0)
            mean = SurveyMean(
                estimate=float(estimate[k]) if differing > 0 else commonest,
                se=v**0.5,
                df=errors.df,
                df_units=errors.df_units,
                n=n,
                n_effective=s * n / (n - 1) / v if v > 0 < s else errors.units,
                n_weights=kish,
                spread=s,
                neutral=float(neutral[k]),
                units=errors.units,
                skewness=float(errors.third[k]) / v**1.5 if v > 0 else 0.0,
                widening=errors.widening,
                resampled=errors.resampled,
                commonest=commonest,
                differing=differing,
                few=few,
            )
            found.append(mean)
        return found

    def ratio(self, y: np.ndarray, x: np.ndarray, rows: np.ndarray | None = None) -> tuple[float, float, float]:
        """Ratio of the totals of y and x, shapes (n,), over `rows`: estimate, standard error, degrees of freedom."""
        at = np.arange(len(y)) if rows is None else rows
        w = self.weight[at]
        total = float(w @ x[at])
        estimate = float(w @ y[at]) / total
        errors = self._errors((w * (y[at] - estimate * x[at]) / total)[:, None], at, w * x[at] / total)
        return estimate, float(errors.variance[0]) ** 0.5, errors.df_units

    def total(self, y: np.ndarray, rows: np.ndarray | None = None) -> tuple[float, float, float]:
        """Weighted total of y, shape (n,), over `rows`: estimate, standard error, degrees of freedom."""
        at = np.arange(len(y)) if rows is None else rows
        w = self.weight[at]
        u = np.zeros(len(self.weight))
        u[at] = w * y[at]
        sums = np.bincount(self.unit, u, len(self.stratum))
        away = sums - (np.bincount(self.stratum, sums) / self.size)[self.stratum]
        lone = self.size[self.stratum] == 1
        away[lone] = (sums - sums.mean())[lone]
        factor = (self.size / np.maximum(self.size - 1, 1))[self.stratum]
        return float(u.sum()), float(factor @ away**2) ** 0.5, max(1.0, float(len(self.stratum) - len(self.size)))

    def _errors(self, u: np.ndarray, at: np.ndarray, share: np.ndarray) -> _Errors:
        """Errors of the sums of u, shape (m, k), of the respondents at positions `at`, each a share of all (m,)."""
        found, unit = self.unit[at], np.arange(len(at))
        if len(self.stratum) < len(self.weight):
            found, unit = np.unique(found, return_inverse=True)
            unit = unit.ravel()
            u = np.stack([np.bincount(unit, column) for column in u.T], axis=1)
            share = np.bincount(unit, share)
        strata, code = np.unique(self.stratum[found], return_inverse=True)
        code = code.ravel()
        size, inside = self.size[strata], np.bincount(code)
        sums = np.stack([np.bincount(code, column) for column in u.T], axis=1)
        middle = np.where(size > 1, 1 / size, 0.0)[:, None] * sums
        factor, out = size / np.maximum(size - 1, 1), size - inside
        away = u - middle[code]
        variance = factor[code] @ away**2 + (factor * out) @ middle**2
        cubed = np.where(size > 2, size**2 / np.maximum((size - 1) * (size - 2), 1), 1.0)
        third = cubed[code] @ away**3 - (cubed * out) @ middle**3
        lost, units = max(1.0, float((inside / size).sum())), len(found)
        square = share**2
        alike = float(square.sum() ** 2 / (square @ square))
        left = units - max(1.0, float((inside / size)[size > 1].sum()))
        whole = units / left if left > 0 else 1.0
        df, df_units = (max(1.0, n * (1 - lost / units)) if units > 1 else 0.0 for n in (alike, units))
        return _Errors(
            variance,
            third,
            df,
            df_units,
            widening=max(1.0, whole / float(factor @ inside / units)) ** 0.5,
            resampled=whole**0.5,
            units=float(1 / square.sum()),
            unit=unit,
        )


@dataclass(frozen=True, eq=False)
class _Errors:
    """Variance and third moment (k,) of k sums; the rest as in `SurveyMean`; unit of each respondent (m,)."""

    variance: np.ndarray
    third: np.ndarray
    df: float
    df_units: float
    widening: float
    resampled: float
    units: float
    unit: np.ndarray


def reaches(means: Sequence[SurveyMean], level: float, ends: tuple[float, float]) -> np.ndarray:
    """Standard errors, shape (q,); where too few differ to know one, what the interval stands for; infinite without."""
    low, high = mean_intervals(means, level, ends)
    estimate, se, df = (np.array([getattr(mean, name) for mean in means], float) for name in ("estimate", "se", "df"))
    half = np.fmax(high - estimate, estimate - low) / stdtrit(np.where(df > 0, df, 1), (1 + level) / 2)
    few = np.array([mean.few for mean in means], bool)
    return np.where(df > 0, np.where(few, np.fmax(half, se), se), np.inf)


def joined(stratum: np.ndarray, cluster: np.ndarray | None) -> np.ndarray:
    """Strata, shape (n,), with those of one unit put together (with the first other, if that leaves one unit).

    A resample draws from a stratum what it holds: one unit alone would never vary.

    >>> joined(np.array([0, 0, 1, 2, 3, 3]), None).tolist(), joined(np.array([0, 0, 1]), None).tolist()
    ([0, 0, 1, 1, 3, 3], [0, 0, 0])
    """
    unit = np.arange(len(stratum)) if cluster is None else cluster
    pairs = np.unique(np.column_stack([stratum, unit]), axis=0)
    names, size = np.unique(pairs[:, 0], return_counts=True)
    lone = names[size == 1]
    if not len(lone):
        return stratum
    target = lone[0] if len(lone) > 1 or len(names) == 1 else names[size > 1][0]
    return np.where(np.isin(stratum, lone), target, stratum)


def sampled(
    table: pd.DataFrame, strata: Sequence[str], clusters: Sequence[str], by: Sequence[str]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Strata and clusters (n,) to resample: those declared, else the cells of `by` (with clusters: one stratum).

    Strata of one unit are put together, and a cluster lies in one stratum.
    """
    cluster = codes_of(table, clusters, "clusters")
    stratum = codes_of(table, strata or ([] if clusters else by), "strata")
    stratum = np.zeros(len(table), int) if stratum is None else stratum
    stratum = joined(stratum, cluster) if strata else stratum
    if cluster is not None:
        cluster = np.unique(np.column_stack([stratum, cluster]), axis=0, return_inverse=True)[1].ravel()
    return stratum, cluster


def gaps_of(
    gap: np.ndarray, one: np.ndarray, two: np.ndarray, correlation: np.ndarray | float, df: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ends and p of differences of two estimates, from the two intervals (square-and-add).

    Parameters
    ----------
    gap : array, shape (q,)
        First minus second.
    one, two : arrays, shape (q, 2)
        Ends of the two intervals less their estimates.
    correlation : array, shape (q,), or float
        Of the two estimates.
    df : array, shape (q, 2)
        Degrees of freedom of the two errors.

    Returns
    -------
    low, high, p : arrays, shape (q,)
        p is two-sided: below 1 - level if, and only if, the interval holds no zero. NaN without intervals.

    References
    ----------
    Newcombe (1998), Interval estimation for the difference between independent proportions, Statistics in Medicine 17.
    Zou (2007), Toward using confidence intervals to compare correlations, Psychological Methods 12(4).

    Examples
    --------
    >>> ends = np.array([[-3.0, 3.0]])
    >>> low, high, p = gaps_of(np.array([5.0]), ends, 4 / 3 * ends, 0.0, np.array([[1e9, 1e9]]), 0.95)
    >>> low.tolist(), high.tolist(), p.round(3).tolist()
    ([0.0], [10.0], [0.05])
    """
    gap, (one, two, df) = np.asarray(gap, float), (np.asarray(a, float) for a in (one, two, df))
    below, above = -one[:, 0], one[:, 1]
    down = np.sqrt(np.maximum(below**2 + two[:, 1] ** 2 - 2 * correlation * below * two[:, 1], 0))
    up = np.sqrt(np.maximum(above**2 + two[:, 0] ** 2 + 2 * correlation * above * two[:, 0], 0))
    toward = np.where(gap > 0, down, up)
    squares = (
        np.where(gap > 0, [below**2, two[:, 1] ** 2], [above**2, two[:, 0] ** 2]).T / stdtrit(df, (1 + level) / 2) ** 2
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = squares.sum(axis=1) ** 2 / (squares**2 / df).sum(axis=1)
        freedom = np.where(np.isfinite(freedom), freedom, df.min(axis=1))
        p = 2 * stdtr(freedom, -np.abs(gap) / toward * stdtrit(freedom, (1 + level) / 2))
    p = np.where(toward > 0, p, np.where(gap == 0, 1.0, np.nan))
    return gap - down, gap + up, p


def _differing(values: np.ndarray, share: np.ndarray, unit: np.ndarray) -> tuple[float, float, bool]:
    """Commonest answer by weight, weighted share of the others, and whether fewer than `FEW` units hold another."""
    _, first, code = np.unique(np.round(values, 9), return_index=True, return_inverse=True)
    top = int(np.argmax(np.bincount(code.ravel(), share)))
    other = code.ravel() != top
    return float(values[first[top]]), float(share[other].sum()), len(np.unique(unit[other])) < FEW
