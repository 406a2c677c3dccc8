"""How sure are we of the model? Every quantity of a fit with its standard error and interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, TypeAlias, get_args

import numpy as np
import pandas as pd
from scipy.stats import t as student

from workbench.errors import CannotAnswer, WorkbenchError, require_columns, require_known
from workbench.figures import Axes, dot_and_interval
from workbench.messages import Message, Number, Share, Span, as_message, join, say
from workbench.methods.intervals import require_level
from workbench.methods.plspm.answers import Missing, Weights, checked_weights, read_answers
from workbench.methods.plspm.batch import Label, Layout, Scheme
from workbench.methods.plspm.fit import fit_answers, refuse_unconverged
from workbench.methods.plspm.fitted import PlsFit
from workbench.methods.plspm.model import PathModel
from workbench.methods.plspm.replicates import no_intervals, resample
from workbench.methods.resampling import (
    IntervalMethod,
    Rng,
    bootstrap_weights,
    interval,
    require_resamples,
    seeds,
    standard_error,
)
from workbench.result import Quantity, Result

JACKKNIFE_GROUPS = 500
MANY = 100  # respondents (clusters): with fewer, resamples are too narrow, and what they shift has no interval
SHIFTED = ("r2", "rho_a", "htmt")
RANGES = {
    "loading": (-1, 1),
    "correlation": (-1, 1),
    "ave": (0, 1),
    "rho_c": (-1, 1),
    "alpha": (-np.inf, 1),
    "index": (0, 100),
}
BLOCK = 64
Method = IntervalMethod | Literal["replicate"]
Calibrate = Callable[[np.ndarray, np.ndarray], np.ndarray]
ReplicateWeights: TypeAlias = Sequence[str] | np.ndarray | pd.DataFrame | None
Columns: TypeAlias = str | Sequence[str] | np.ndarray | pd.Series | None


@dataclass(frozen=True, eq=False)
class PlsBootstrap(Result):
    """A fit with the uncertainty of everything in it.

    Attributes
    ----------
    replicates : array, shape (resamples, quantities)
        NaN in resamples that did not converge.
    labels : list of (quantity, name)
        Columns of `replicates`.
    table : DataFrame
        What `summary` gives.
    interval : {"percentile", "bc", "bca", "normal", "replicate"}
        The last where replicate weights were given.
    failed : int
        Resamples that did not converge; they are in no interval.
    left_out : array, shape (groups, quantities), or None
        As `replicates`, with a respondent or group left out at a time; only for "bca".
    scale : array, shape (replicates,), or None
        What each squared difference from the estimate adds to the variance; only for replicate weights.
    df : float
        Degrees of freedom of the t intervals from replicate weights.
    units : int
        Respondents, or clusters where they are drawn whole.
    widening : float
        What the ends' distances from the estimate were multiplied by: 1 from 100 units on, else
        t(u − k − 1) / z · √(u / (u − k − 1)) with u units and k the most paths to one target.
    freed, freed_left_out : array or None
        Correlations of the second stage's items without the dimensions' error, as `Replicates.freed`, in the resamples
        and with a respondent or group left out.
    """

    fit: PlsFit
    replicates: np.ndarray
    labels: list[Label]
    table: pd.DataFrame
    interval: Method
    level: float
    failed: int
    left_out: np.ndarray | None = None
    scale: np.ndarray | None = None
    df: float = np.inf
    units: int = MANY
    widening: float = 1.0
    freed: np.ndarray | None = None
    freed_left_out: np.ndarray | None = None

    def headline(self) -> Message:
        """Say which path is strongest, with its interval, and how many resamples failed."""
        paths = self.table[self.table["quantity"] == "path"]
        top = paths.loc[paths["estimate"].abs().idxmax()]
        zero = int(((paths["low"] <= 0) & (paths["high"] >= 0)).sum())
        return join(
            say(
                "The strongest path is {path}: {estimate} {span}; the intervals of {zero} of {n} paths include zero.",
                path=top["name"],
                estimate=Number(top["estimate"], ".2f"),
                span=Span(top["low"], top["high"], ".2f", self.level),
                zero=zero,
                n=len(paths),
            ),
            say("{failed} of {n} resamples did not converge.", failed=self.failed, n=len(self.replicates))
            if self.failed
            else say(""),
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the path coefficients with their intervals."""
        paths = self.table[self.table["quantity"] == "path"]
        return dot_and_interval(paths["name"].str.replace("->", " → "), paths, ax, label="path coefficient", zero=True)

    def quantities(self) -> Iterable[Quantity]:
        """Name paths, R2 and the pooled index."""
        units = {"path": "1", "r2": "share", "index": "points"}
        for row in self.table[self.table["quantity"].isin(units)].dropna(subset=["estimate"]).itertuples():
            name = f"index[construct={row.name}]" if row.quantity == "index" else f"{row.quantity}[{row.name}]"
            ends = (None, None) if np.isnan(row.low) else (row.low, row.high)
            yield Quantity(name, row.estimate, units[row.quantity], *ends)

    def replicate(self, quantity: str, name: str) -> np.ndarray:
        """Give the resamples of one quantity, shape (resamples,)."""
        return self.replicates[:, self.labels.index((quantity, name))]

    def derived(self, function: Callable[[np.ndarray], np.ndarray]) -> pd.DataFrame:
        """Tabulate what follows from the quantities: estimate, se, low, high.

        Parameters
        ----------
        function : callable
            From rows of quantities, shape (B, quantities) as `labels`, to what is asked, shape (B, m).
        """
        estimate = function(self.fit.estimates.to_numpy()[None])[0]
        left_out = None if self.left_out is None else function(self.left_out)
        return self.tabulated(estimate, function(self.replicates), left_out)

    def tabulated(self, estimate: np.ndarray, drawn: np.ndarray, left_out: np.ndarray | None) -> pd.DataFrame:
        """Tabulate estimate, se, low, high of m quantities from the survey, its resamples and those left out."""
        table = _intervals(estimate, drawn, self.interval, self.level, left_out, self.scale, self.df)
        return _widened(table, self.widening)

    @property
    def verdicts(self) -> tuple[Message, ...]:
        """What an examiner would object to, one sentence each; empty if nothing."""
        said = list(self.fit.verdicts)
        if self.failed:
            said.append(
                say(
                    "{failed} of {n} resamples did not converge and are in no interval, so intervals may be too "
                    "narrow.",
                    failed=self.failed,
                    n=len(self.replicates),
                )
            )
        if self.scale is not None:
            return tuple(said)
        if self.widening > 1:
            respondents = self.units == self.fit.n
            said.append(
                say(
                    "{units} are few to resample: intervals are widened by {share} (Student's t), and R2, rho_A and "
                    "HTMT have none. 100 are enough.",
                    units=say("{n} respondents", n=self.units) if respondents else say("{n} clusters", n=self.units),
                    share=Share(self.widening - 1, 0),
                )
            )
        drawn = max(len(self.replicates) - self.failed, 1)
        with np.errstate(invalid="ignore"):
            columns = pd.MultiIndex.from_tuples(self.labels)
            negative = pd.Series((self.replicates < 0).sum(axis=0) / drawn, index=columns)
        for owned, share in negative["weight"].items():
            construct, item = owned.split(":", 1)
            if share > 0.025 and self.fit.weights[construct, item] > 0:
                said.append(
                    say(
                        "{construct}: the outer weight of {item} is negative in {share} of the resamples.",
                        construct=construct,
                        item=item,
                        share=Share(share, 0),
                    )
                )
        return tuple(said)


def bootstrap_pls(
    survey: pd.DataFrame,
    model: PathModel,
    *,
    resamples: int = 10_000,
    interval: IntervalMethod = "bca",
    level: float = 0.95,
    strata: Columns = None,
    clusters: Columns = None,
    weights: Weights = None,
    scheme: Scheme = "path",
    missing: Missing = "mean",
    tolerance: float = 1e-7,
    calibrate: Calibrate | None = None,
    replicate_weights: ReplicateWeights = None,
    replicate_scale: float | Sequence[float] | None = None,
    replicate_df: float | None = None,
    rng: Rng = 0,
) -> PlsBootstrap:
    """Fit a path model and resample respondents to say how sure everything in it is.

    Parameters
    ----------
    survey, model, weights, scheme, missing, tolerance
        As for `fit_pls`. Survey weights multiply the counts of a resample; missing answers take the mean
        of the resample.
    interval : {"percentile", "bc", "bca", "normal"}
        "bca" leaves out one respondent at a time (beyond 500, one of 500 random groups) for its acceleration.
        Below 100 respondents (clusters) the ends are moved out to Student's t, and R2, rho_A and HTMT have none:
        resamples of so few shift them.
    level : float
        Coverage of the intervals, 0-1.
    strata, clusters : str, list of str, or array, optional
        Columns of `survey` (or one code a respondent): respondents are drawn within strata; clusters are
        drawn whole.
    calibrate : callable, optional
        Adjusts weights anew in the survey and in every resample (raking): from rows, shape (B, m), of what multiplies
        the survey weight, and positions, shape (m,), in `survey` of the respondents they are of, to adjusted rows. A
        row of NaN counts as one that did not converge.
    replicate_weights : list of str, or array of shape (respondents, R), optional
        Replicate weights shipped with the survey (columns, or numbers) instead of resamples; `weights` is then the full
        sample's. The variance is the sum of replicate_scale x (replicate - estimate)², intervals are by t.
    replicate_scale : float or one a replicate
        For instance 1/R (balanced repeated replication, bootstrap), 1/(R(1 - k)²) (Fay), (R - 1)/R (jackknife).
    replicate_df : float, optional
        Degrees of freedom; R if not given. Designs with strata have fewer: clusters less strata.

    Returns
    -------
    PlsBootstrap

    Raises
    ------
    WorkbenchError
        If an argument or the survey cannot be used.
    CannotAnswer
        If PLS does not converge on the survey, or fails in more than 1 - level of the resamples (in half of the
        replicate weights): an interval may not leave out more than it is allowed to miss. If there are fewer clusters
        than a regression needs.
    """
    require_known("interval", interval, get_args(IntervalMethod))
    require_known("scheme", scheme, get_args(Scheme))
    check_resampling(resamples, level)
    strata_of, clusters_of = _codes(survey, strata, "strata"), _codes(survey, clusters, "clusters")
    within = pd.DataFrame({"strata": strata_of, "clusters": clusters_of})
    answers = read_answers(survey, model, weights=weights, missing=missing, within=within)
    shipped, scale = _shipped(survey, weights, replicate_weights, replicate_scale)
    n = len(answers.x)

    def adjusted(rows: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
        return rows if calibrate is None else (_calibrated(calibrate, block, answers.position) for block in rows)

    counted = next(iter(adjusted([np.ones((1, n))])))[0]
    if np.isnan(counted).any():
        raise CannotAnswer("calibrate= finds no weights for the survey itself. Join small categories of its margins.")
    fit = fit_answers(replace(answers, weights=answers.weights * counted), model, scheme=scheme, tolerance=tolerance)
    refuse_unconverged(fit)
    labels, left_out, units = Layout(fit.model).labels, None, n
    rows: Iterator[np.ndarray]
    method: Method
    df: float
    if shipped is not None:
        if strata is not None or clusters is not None:
            raise WorkbenchError("replicate weights carry the design. Leave strata= and clusters= away.")
        method, df = "replicate", shipped.shape[1] if replicate_df is None else replicate_df
        ratio = (shipped[answers.position] / answers.weights[:, None]).T
        rows = iter(np.split(ratio, range(BLOCK, len(ratio), BLOCK)))
    else:
        method, df = interval, np.inf
        stratum = None if strata is None else strata_of[answers.position]
        cluster = None if clusters is None else clusters_of[answers.position]
        units = n if cluster is None else len(np.unique(cluster))
        draw, groups = seeds(rng, 2)
        rows = bootstrap_weights(n, resamples, strata=stratum, clusters=cluster, rng=draw, dtype=np.float32)
        if interval == "bca":
            omitting = _leave_out(n, stratum, cluster, np.random.default_rng(groups))
            left_out = resample(answers, fit, adjusted(omitting), tolerance)
    found = resample(answers, fit, adjusted(rows), tolerance)
    if shipped is None and found.failed > max((1 - level) * len(found.values), 1):
        raise no_intervals(found)
    table = pd.DataFrame(labels, columns=["quantity", "name"])
    apart, freed_apart = (None, None) if left_out is None else (left_out.values, left_out.freed)
    table = table.join(_intervals(fit.estimates.to_numpy(), found.values, method, level, apart, scale, df))
    widening = 1.0 if shipped is not None else _widening(units, fit.model, level)
    return PlsBootstrap(
        fit,
        found.values,
        labels,
        _known(table, fit, widening),
        method,
        level,
        found.failed,
        apart,
        scale,
        df,
        units,
        widening,
        found.freed,
        freed_apart,
    )


def _widening(units: int, model: PathModel, level: float) -> float:
    """Resamples of few units are narrow by the coefficients that each regression fits, and normal where t is due."""
    if units >= MANY:
        return 1.0
    target, sources = max(model.paths.items(), key=lambda item: len(item[1]))
    df = units - len(sources) - 1
    if df < 1:
        raise CannotAnswer(
            "not answerable: {units} clusters for {n} paths to '{target}'; how sure they are takes {least} clusters "
            "or more."
        ).of(units, len(sources), target, len(sources) + 2)
    tail = (1 + level) / 2
    return float(student.ppf(tail, df) / student.ppf(tail, np.inf) * np.sqrt(units / df))


def _known(table: pd.DataFrame, fit: PlsFit, widening: float) -> pd.DataFrame:
    """Widen the ends within the range of each quantity; none where few resamples shift it, no index where undefined."""
    if widening > 1:
        table = _widened(table, widening)
        for quantity, ends in RANGES.items():
            table.loc[table["quantity"] == quantity, ["low", "high"]] = table[["low", "high"]].clip(*ends)
        table.loc[table["quantity"].isin(SHIFTED), ["low", "high"]] = np.nan
    for quantity in ("index", "importance"):
        undefined = getattr(fit, quantity).isna().to_numpy()
        table.loc[table.index[table["quantity"] == quantity][undefined], ["estimate", "se", "low", "high"]] = np.nan
    return table


def _widened(table: pd.DataFrame, widening: float) -> pd.DataFrame:
    """Ends at `widening` times their distance from the estimate."""
    if widening == 1:
        return table
    ends = {end: table["estimate"] + widening * (table[end] - table["estimate"]) for end in ("low", "high")}
    return table.assign(**ends)


def _calibrated(calibrate: Calibrate, rows: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Rows as `calibrate` adjusts them, in double precision (they are counts no more)."""
    found = np.asarray(calibrate(rows, position), dtype=float)
    if found.shape != rows.shape or (found < 0).any() or np.isinf(found).any():
        raise WorkbenchError("calibrate= must give {shape} weights of 0 or more; it gave shape {got}.").of(
            str(rows.shape), str(found.shape)
        )
    return found


def _shipped(
    survey: pd.DataFrame, weights: Weights, columns: ReplicateWeights, scale: float | Sequence[float] | None
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Replicate weights, shape (respondents, R), and the scale of each."""
    if columns is None:
        if scale is not None:
            raise WorkbenchError("replicate_scale= comes with replicate_weights=. Name their columns.")
        return None, None
    columns = [columns] if isinstance(columns, str) else columns
    if not isinstance(columns, (np.ndarray, pd.DataFrame)):
        require_columns(survey, columns, "survey", hint="replicate_weights= names columns.")
        columns = survey[list(columns)]
    table = pd.DataFrame(columns)
    if len(table) != len(survey) or table.shape[1] < 2 or scale is None:
        raise WorkbenchError(
            "replicate_weights has {n} rows for {all} respondents and {shape} columns, replicate_scale={scale}. "
            "Give a row each, two columns or more, and the scale of the survey's handbook."
        ).of(len(table), len(survey), table.shape[1], str(scale))
    shipped = np.column_stack([checked_weights(survey, table[column].to_numpy()) for column in table])
    astray = int(((checked_weights(survey, weights) == 0) & (shipped > 0).any(axis=1)).sum())
    if astray:
        raise WorkbenchError("{n} respondents have weight 0 but a replicate weight above 0. Do they belong?").of(astray)
    factor = np.asarray(scale, dtype=float)
    if factor.ndim > 1 or factor.size not in (1, shipped.shape[1]) or not (factor > 0).all():
        raise WorkbenchError("replicate_scale={scale}: give a number above 0, or one for each replicate.").of(
            repr(scale)
        )
    return shipped, np.broadcast_to(factor, shipped.shape[1])


def check_resampling(resamples: int, level: float) -> None:
    """Refuse a number of resamples or a level that gives no interval."""
    require_resamples(resamples, 20)
    require_level(level)


def _intervals(
    estimate: np.ndarray,
    drawn: np.ndarray,
    method: Method,
    level: float,
    left_out: np.ndarray | None,
    scale: np.ndarray | None,
    df: float,
) -> pd.DataFrame:
    """Tabulate estimate, se, low, high."""
    if method == "replicate":
        assert scale is not None, "replicate weights come with their scale"
        share = np.where(np.isnan(drawn), np.nan, scale[:, None])
        used = np.nansum(share, axis=0)
        variance = np.nansum(share * (drawn - estimate) ** 2, axis=0) * scale.sum()
        spread = np.sqrt(np.divide(variance, used, out=np.full(len(used), np.nan), where=used > 0))
        half = student.ppf((1 + level) / 2, df) * spread
        low, high = estimate - half, estimate + half
    else:
        low, high = interval(estimate, drawn, method=method, level=level, jackknife=left_out)
        spread = standard_error(drawn)
    return pd.DataFrame({"estimate": estimate, "se": spread, "low": low, "high": high})


def _codes(survey: pd.DataFrame, columns: Columns, what: str) -> np.ndarray:
    """One code a respondent for a column, a combination of columns, or an array."""
    if columns is None:
        return np.zeros(len(survey), dtype=int)
    if isinstance(columns, str):
        columns = [columns]
    if isinstance(columns, (list, tuple)) and all(isinstance(c, str) for c in columns):
        require_columns(survey, columns, "survey", hint=say("{what}= names columns.", what=what))
        keys = survey[list(columns)].reset_index(drop=True)
    else:
        keys = pd.DataFrame({what: np.asarray(columns)})
        if len(keys) != len(survey):
            raise WorkbenchError("{where} has {n} values for {all} respondents. Give one each.").of(
                as_message(what), len(keys), len(survey)
            )
    if keys.isna().any(axis=None):
        count = int(keys.isna().any(axis=1).sum())
        raise WorkbenchError("{what} is missing for {count} respondents. Fill it, or drop them.").of(
            as_message(what), count
        )
    codes: np.ndarray = keys.groupby(list(keys.columns), sort=True, observed=True).ngroup().to_numpy()
    return codes


def _leave_out(
    n: int, stratum: np.ndarray | None, cluster: np.ndarray | None, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Rows that leave out one respondent, cluster, or random group; the rest of its stratum stands in for it."""
    unit = np.arange(n) if cluster is None else np.unique(cluster, return_inverse=True)[1]
    count = int(unit.max()) + 1
    groups = min(count, JACKKNIFE_GROUPS)
    of_unit = np.arange(count) if count <= groups else generator.permutation(np.arange(count) % groups)
    group = of_unit[unit]
    code = np.zeros(n, int) if stratum is None else np.unique(stratum, return_inverse=True)[1]
    size = np.bincount(code)
    for first, last in pairwise([*range(0, groups, BLOCK), groups]):
        block = np.ones((last - first, n))
        for row, g in enumerate(range(first, last)):
            out = group == g
            rest = size - np.bincount(code[out], minlength=len(size))
            stand_in = np.where(rest > 0, size / np.maximum(rest, 1), 1.0)[code]
            block[row] = np.where(out & (rest[code] > 0), 0.0, stand_in)
        yield block
