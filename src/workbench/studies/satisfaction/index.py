"""How satisfied are customers, with whom? The index 0-100 of every construct in every cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError, require_columns
from workbench.figures import Axes, dot_and_interval
from workbench.messages import Listed, Message, Name, Number, Span, join, say, spelt
from workbench.methods.cells import cell_name, listed, one_cell, plain, refuse_mixed_waves, said, some_cells
from workbench.methods.plspm import PathModel, PlsFit
from workbench.methods.plspm.answers import Answers, moments, read_answers
from workbench.methods.plspm.batch import Layout, index_points
from workbench.methods.plspm.bootstrap import check_resampling
from workbench.methods.plspm.fit import fit_answers, refuse_unconverged
from workbench.methods.plspm.model import require_model
from workbench.methods.plspm.replicates import resample
from workbench.methods.resampling import BLOCK, Rng, bootstrap_weights, one_thread, standard_error
from workbench.methods.survey import Design, SurveyMean, mean_intervals, sampled
from workbench.result import MINIMUM_CELL, Quantity, Result, Tile
from workbench.studies.satisfaction.draws import item_reach, undefined
from workbench.studies.satisfaction.weighting import Margins, Raking, RakingFrame, margin_columns, rake

POINTS = (0.0, 100.0)


@dataclass(frozen=True, eq=False)
class SatisfactionIndex(Result):
    """Index 0-100 of every construct in every cell, with standard error and interval.

    Attributes
    ----------
    table : DataFrame
        One row a cell and construct: the columns of `by`, construct, index, se, low, high (points), n
        (respondents), n_effective (n / deff) and deff: the variance over the resamples, over that of n respondents
        drawn at random and counted alike (the weighted variance of their scores in the cell / (n - 1)). It holds what
        weights, raking, clusters, missing answers and the estimated outer weights cost. Kish's where the index is not
        defined. No se where all of a cell answered alike.
    suppressed : DataFrame
        Cells below `minimum` respondents: the columns of `by` and n. They count in the pooled weights only.
    cells : DataFrame
        Columns of `by`, one row a cell, as the second axis of `replicates`.
    estimate : array, shape (cells, constructs)
    means : list of SurveyMean, one a row of `table`
        Each index as the mean of its respondents' scores by the pooled weights, with the error over the resamples:
        what intervals of it and of its gaps need.
    replicates : array, shape (resamples, cells, constructs)
    item_mean : array, shape (cells, items)
        Mean answers, in units of the questionnaire.
    item_means : array, shape (resamples, cells, items)
    item_reach : array, shape (cells, items)
        Standard error (points 0-100) that stands for items which all of a cell answer alike; 0 for the others.
    item_weights : array, shape (resamples, items)
        Unstandardised outer weights, as `fit.unstandardised_weights`.
    fit : PlsFit
        The pooled fit whose unstandardised weights make the index.
    construct : str
        The one that `headline` and `plot` show.
    minimum, failed : int
        Fewest respondents shown; resamples that did not converge, or could not meet the margins.
    raking : Raking or None
        How the weights were made, if margins were given; done again in every resample.
    """

    table: pd.DataFrame
    suppressed: pd.DataFrame
    cells: pd.DataFrame
    estimate: np.ndarray
    means: list[SurveyMean]
    replicates: np.ndarray
    item_mean: np.ndarray
    item_means: np.ndarray
    item_reach: np.ndarray
    item_weights: np.ndarray
    fit: PlsFit
    construct: str
    level: float
    minimum: int
    failed: int
    raking: Raking | None = None

    NAME, COUNTS, TOTALS = "index", "n", ("construct",)
    CHART = say("Dots with intervals, a row a cell")
    FORMATS = dict.fromkeys(["index", "se", "low", "high"], "{:.1f}") | {"deff": "{:.2f}"}
    CAPTION = (
        "Index of every construct, 0-100 points, with standard error, interval, effective sample size and "
        "design effect."
    )

    @property
    def by(self) -> tuple[str, ...]:
        """Columns that make the cells."""
        return tuple(self.cells.columns)

    def of(self, construct: str) -> list[SurveyMean]:
        """Give the means of a construct, one a cell."""
        return self.means[self.fit.model.names.index(construct) :: self.estimate.shape[1]]

    def headline(self) -> Message:
        """Say where the index is highest and lowest, and what is not shown."""
        rows = self._shown()
        if rows["index"].isna().all():
            return undefined(self.fit, self.construct).sentence()
        failed = say("")
        if self.failed and self.raking:
            failed = say("{n} resamples did not converge, or could not meet the margins.", n=self.failed)
        elif self.failed:
            failed = say("{n} resamples did not converge.", n=self.failed)
        return join(self._ends(rows), *self._alike(), self._hidden(), failed)

    def _ends(self, rows: pd.DataFrame) -> Message:
        if len(rows) == 1:
            own, cell = said(rows.iloc[0], "index"), one_cell(rows.iloc[0][list(self.by)])
            if self.by:
                return self.say("The {construct} index of {cell} is {said}.", cell=cell, said=own)
            return self.say("The {construct} index is {said}.", said=own)
        top, bottom = rows.loc[rows["index"].idxmax()], rows.loc[rows["index"].idxmin()]
        return self.say(
            "The {construct} index runs from {least} for {last} to {most} for {first} ({level} intervals).",
            least=said(bottom, "index"),
            last=one_cell(bottom[list(self.by)]),
            most=said(top, "index"),
            first=one_cell(top[list(self.by)]),
        )

    def tiles(self) -> tuple[Tile, ...]:
        """Where the index is lowest and highest."""
        rows = self._shown().dropna(subset=["index"])
        if rows.empty:
            return ()
        ends = rows.loc[list(dict.fromkeys([rows["index"].idxmin(), rows["index"].idxmax()]))]
        return tuple(
            Tile(
                self.say("{construct} of {cell}, points of 100", cell=one_cell(row[list(self.by)]))
                if self.by
                else self.say("{construct}, points of 100"),
                Number(row["index"], ".1f"),
                Span(row["low"], row["high"], ".1f", self.level),
            )
            for _, row in ends.iterrows()
        )

    def _hidden(self) -> Message:
        few = Name(f"<{MINIMUM_CELL}")
        rows = self.suppressed.itertuples(index=False)
        cells = [say("{cell} ({n})", cell=one_cell(r), n=n if n >= MINIMUM_CELL else few) for *r, n in rows]
        if not cells:
            return say("")
        return say(
            "Not shown, with fewer than {minimum} respondents: {cells}.", minimum=self.minimum, cells=Listed(cells, ";")
        )

    def picture_caption(self) -> Message:
        """Say what to see in the picture."""
        if not self.by:
            return self.say("{construct} index, with {level} intervals.")
        return self.say(
            "{construct} index by {columns}, with {level} intervals.", columns=Listed(map(spelt, self.by[::-1]))
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the index of `construct` in every cell with its interval, operators by colour."""
        rows = self._shown().sort_values(list(self.by[::-1]), kind="stable") if self.by else self._shown()
        labels = [cell_name(values) for values in rows[list(self.by[::-1])].to_numpy()] if self.by else ["all"]
        ax = dot_and_interval(labels, rows.rename(columns={"index": "estimate"}), ax, digits=".1f")
        if len(self.by) > 1:
            _colour(ax, rows[self.by[0]])
        ax.set_xlabel(self.say("{construct} index (points, {level} interval)"))
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Name every index shown."""
        for place, row in enumerate(self.table.to_dict("records")):
            if np.isnan(row["index"]):
                continue
            cell = "".join(f"{column}={row[column]}," for column in self.by)
            low, high = (row["low"], row["high"]) if np.isfinite(row["low"]) else (None, None)
            yield Quantity(f"index[{cell}construct={row['construct']}]", row["index"], "points", low, high, row=place)

    def _shown(self) -> pd.DataFrame:
        return self.table[self.table["construct"] == self.construct]

    def _alike(self) -> Iterator[Message]:
        """Say in which cells too few differ from the others to know the spread, or all come from one cluster."""
        means = self.of(self.construct)
        if any(few := [m.few and m.df > 0 for m in means]):
            yield say(
                "In {cells}, (almost) all answered alike: the interval is what scale and number leave.",
                cells=some_cells(self.cells[few].itertuples(index=False)),
            )
        if any(one := [m.df == 0 for m in means]):
            yield say(
                "In {cells}, all are of one cluster: there is no interval.",
                cells=some_cells(self.cells[one].itertuples(index=False)),
            )


def satisfaction_index(
    survey: pd.DataFrame,
    model: PathModel,
    *,
    by: Sequence[str] = ("operator", "service"),
    weight: str | None = "weight",
    strata: Sequence[str] = (),
    clusters: Sequence[str] = (),
    construct: str = "Satisfaction",
    resamples: int = 1000,
    level: float = 0.95,
    minimum: int = 30,
    margins: Margins | None = None,
    cap: float | None = None,
    rng: Rng = 0,
) -> SatisfactionIndex:
    """Compute the index 0-100 of every construct in every cell, with its uncertainty.

    The outer weights come from one fit to all respondents, so that cells differ by their answers and not by
    their weights. Respondents (or whole clusters) are resampled within strata, and the weights are fitted again each
    time. The interval has the error over the resamples, corrected for the size of the cell, and the skewness and the
    degrees of freedom of the cell's scores.

    Parameters
    ----------
    survey : DataFrame
        One row a respondent of one wave (of several, if "wave" is in `by`), one numeric column an item.
    by : sequence of str
        Columns whose combinations are the cells; none for one index of the whole survey.
    weight : str, optional
        Column of the survey weight.
    strata : sequence of str
        All columns within whose combinations respondents were drawn, those of `by` among them if they were. If not
        given, the cells are taken as the strata (with clusters: one stratum). Strata of one unit are put together.
    clusters : sequence of str
        Columns whose combinations were drawn as a whole (within strata): schools, households, interviewers' points.
    construct : str
        The one to put into words and picture.
    level : float
        Coverage of the intervals, 0-1.
    minimum : int
        Cells with fewer respondents are not shown, but named.
    margins, cap : optional
        Known margins of the population, as for `rake`: the survey and every resample are raked to them, on top of
        the survey weight. Of several waves each has its own: {("wave", "age"): …}.

    Raises
    ------
    WorkbenchError
        If a column is missing or cannot be used, or several waves are mixed.
    CannotAnswer
        If no cell is large enough, or PLS does not converge.

    Warning
    -------
    An item's missing answers count as the mean of its cell, which is right if they are missing at random
    within the cell.

    References
    ----------
    Fornell, Johnson, Anderson, Cha & Bryant (1996), The American Customer Satisfaction Index, Journal of
    Marketing 60(4).
    """
    require_model(model)
    model.construct(construct)
    check_resampling(resamples, level)
    if minimum < 1:
        raise WorkbenchError("minimum={minimum}: an index needs respondents. Give 1 or more.").of(str(minimum))
    by, strata, clusters = listed(by), listed(strata), listed(clusters)
    survey = plain(survey, [*by, *strata, *clusters])
    refuse_mixed_waves(survey, by)
    people = Respondents.of(survey, model, weight, by, margins, cap, strata, clusters)
    answers = people.counted
    fit = fit_answers(answers, model)
    refuse_unconverged(fit)
    size = np.bincount(answers.cell, minlength=len(answers.cells))
    shown = size >= minimum
    if not shown.any():
        raise CannotAnswer(
            "no cell has {minimum} respondents (the largest: {largest}). Ask for a larger part of the survey, fewer "
            "columns in by=, or a lower minimum=."
        ).of(minimum, size.max())
    with one_thread():
        whole = moments(answers, np.ones((1, len(answers.x)))).cell_mean[0]
    layout = Layout(model)
    estimate = index_points(layout, answers, fit.unstandardised_weights.to_numpy(), whole)
    of_cells, simple = _scored(layout, answers, fit, whole, Design.of(answers.weights, people.stratum, people.cluster))
    estimate[:, fit.index.isna()] = np.nan
    found = resample(people.drawn, fit, people.rows(resamples, rng))
    spread = found.cell_mean if shown.all() else found.cell_mean[:, shown]
    spread -= whole[shown]
    spread *= np.array([of_cell[0].resampled for of_cell in of_cells])[shown, None]
    spread += whole[shown]
    drawn = cell_points(layout, answers, found.weights, spread)
    means = _with_errors([m for at in np.flatnonzero(shown) for m in of_cells[at]], estimate[shown], drawn)
    cells = answers.cells.assign(n=size)
    table = _index_table(cells[shown], model.names, means, level)
    return SatisfactionIndex(
        table=_with_design_effect(table, simple[shown], _kish(answers)[shown]),
        suppressed=cells.loc[~shown, [*by, "n"]].reset_index(drop=True),
        cells=answers.cells.loc[shown].reset_index(drop=True),
        estimate=estimate[shown],
        means=means,
        replicates=drawn,
        item_mean=whole[shown],
        item_means=spread,
        item_reach=item_reach(answers, answers.cell)[shown],
        item_weights=found.weights,
        fit=fit,
        construct=construct,
        level=level,
        minimum=minimum,
        failed=found.failed,
        raking=people.raking,
    )


@dataclass(frozen=True, eq=False)
class Respondents:
    """Answers as they were drawn (design weights) and as they count (raked), and rows to resample them.

    Attributes
    ----------
    drawn, counted : Answers
        The same answers; they differ in `weights` if there are margins.
    stratum, cluster : int arrays, shape (n,); no clusters: None
    frame : RakingFrame or None
    raking : Raking or None
    """

    drawn: Answers
    counted: Answers
    stratum: np.ndarray
    cluster: np.ndarray | None
    frame: RakingFrame | None = None
    raking: Raking | None = None

    @classmethod
    def of(cls, survey, model, weight, by, margins, cap, strata=(), clusters=()) -> Respondents:
        """Read the answers and how they were drawn, and rake them if there are margins."""
        design = list(dict.fromkeys([*strata, *clusters]))
        require_columns(survey, design, "survey", hint="strata= and clusters= name columns.")
        groups = [] if margins is None else margin_columns(margins)
        if "wave" in by and groups and len(survey["wave"].unique()) > 1 and not all("wave" in c for c in groups):
            raise WorkbenchError("each wave has its own margins. Give them by wave: {{('wave', 'age'): …}}.").of()
        raking = None if margins is None else rake(survey, margins, weight=weight, cap=cap)
        within = survey[list(dict.fromkeys([*(c for group in groups for c in group), *design]))]
        answers = read_answers(survey, model, weights=weight, by=by, within=within if len(within.columns) else None)
        asked = survey.iloc[answers.position]
        stratum, cluster = sampled(asked, strata, clusters, by)
        if raking is None:
            return cls(answers, answers, stratum, cluster)
        raked = raking.weights.to_numpy()[answers.position]
        frame = RakingFrame.of(asked, margins, answers.weights, cap)
        return cls(answers, replace(answers, weights=raked / raked.mean()), stratum, cluster, frame, raking)

    def rows(self, resamples: int, rng: Rng) -> Iterator[np.ndarray]:
        """Yield rows of weights, respondents or clusters drawn within strata, each row raked anew."""
        rows = bootstrap_weights(
            len(self.drawn.x), resamples, strata=self.stratum, clusters=self.cluster, rng=rng, dtype=np.float32
        )
        return rows if self.frame is None else self.frame.raked(rows)


def cell_points(layout: Layout, answers: Answers, weights: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Index points of every resample and cell, shape (B, cells, constructs), a few resamples at a time."""
    drawn = np.empty((*means.shape[:2], len(layout.size)))
    for start in range(0, len(means), BLOCK):
        part = slice(start, start + BLOCK)
        drawn[part] = index_points(layout, answers, weights[part, None, :], means[part])
    return drawn


def _index_table(cells, names, means, level) -> pd.DataFrame:
    table = cells.loc[cells.index.repeat(len(names))].reset_index(drop=True)
    n = table.pop("n")
    low, high = mean_intervals(means, level, POINTS)
    table["construct"] = list(names) * len(cells)
    spread = np.array([m.se if m.se > 0 else np.nan for m in means])
    return table.assign(index=[m.estimate for m in means], se=spread, low=low, high=high, n=n)


def _scored(layout, answers, fit, cell_mean, design) -> tuple[list[list[SurveyMean]], np.ndarray]:
    """Mean score of each cell and construct by the pooled weights, with the design's errors (cells x constructs).

    Also the variance of each if the cell's respondents had been drawn at random and counted alike.
    """
    values = np.where(answers.missing, cell_mean[answers.cell], answers.center + answers.scale * answers.x)
    scores = index_points(layout, answers, fit.unstandardised_weights.to_numpy(), values)
    ends = np.searchsorted(answers.cell, np.arange(len(answers.cells) + 1))
    means = [design.means(scores[a:b], np.arange(a, b)) for a, b in pairwise(ends)]
    simple = np.array([[m.spread / max(m.n - 1, 1) for m in of_cell] for of_cell in means])
    return means, simple


def _with_errors(means: list[SurveyMean], estimate: np.ndarray, drawn: np.ndarray) -> list[SurveyMean]:
    """Means with their error over the resamples (0 where nothing varies)."""
    error = standard_error(drawn.reshape(len(drawn), -1))
    return [
        replace(m, estimate=float(e), se=float(s) if m.spread > 0 else 0.0, widening=1.0)
        if np.isfinite(e)
        else replace(m, estimate=np.nan, se=np.nan, few=False)
        for m, e, s in zip(means, estimate.ravel(), error, strict=True)
    ]


def _kish(answers: Answers) -> np.ndarray:
    total, square = (np.bincount(answers.cell, w) for w in (answers.weights, answers.weights**2))
    return np.bincount(answers.cell) * square / total**2


def _with_design_effect(table: pd.DataFrame, simple: np.ndarray, fallback: np.ndarray) -> pd.DataFrame:
    fallback = np.repeat(fallback, simple.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        deff = table["se"].to_numpy() ** 2 / simple.ravel()
    deff = np.where(np.isfinite(deff) & (deff > 0), deff, fallback)
    return table.assign(n_effective=table["n"] / deff, deff=deff)


def _colour(ax: Axes, operators: pd.Series) -> None:
    """Colour the rows of a dot-and-interval picture by operator."""
    known = sorted(operators.unique())
    colours = [f"C{known.index(o) % 10}" for o in operators]
    lines, dots = ax.collections[-1], ax.lines[-1]
    lines.set_color(colours)
    x, y = dots.get_data()
    dots.set_visible(False)
    ax.scatter(x, y, c=colours, s=20, zorder=3)
