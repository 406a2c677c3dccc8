"""Did satisfaction move from one wave to the next, and why? The change in weights, answers and mix, adding up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from workbench.errors import CannotAnswer, WorkbenchError, require_columns
from workbench.figures import Axes, dot_and_interval
from workbench.messages import Day, Label, Message, Number, Share, Span, join, quoted, say
from workbench.methods.cells import cell_name, distinct, in_time, listed, one_cell, plain, refuse_gaps_in
from workbench.methods.multiple import holm
from workbench.methods.plspm import PathModel
from workbench.methods.plspm.answers import read_answers
from workbench.methods.plspm.batch import Layout, index_points
from workbench.methods.plspm.bootstrap import check_resampling
from workbench.methods.plspm.fit import fit_answers, refuse_unconverged
from workbench.methods.plspm.model import require_model
from workbench.methods.resampling import Rng, seeds, standard_error
from workbench.methods.shapley import shapley
from workbench.methods.survey import Design, SurveyMean, gaps_of, mean_intervals, reaches, sampled
from workbench.result import Quantity, Result
from workbench.studies.satisfaction.draws import Draws, draw, refuse_undefined, with_ends

PARTS = ("weights", "answers", "mix")
SHOWN = ["before", "after", "change", "low", "high", "detectable", *PARTS, "p_holm"]
THIN = 10
POWER = 0.8
STRATUM = "_stratum"
POINTS = (0.0, 100.0)


@dataclass(frozen=True, eq=False)
class WaveChange(Result):
    """Movement of the index from one wave to the next in every cell, and what it is made of.

    Attributes
    ----------
    table : DataFrame
        One row a cell: the columns of `by`, before, after (points), change, se, low, high, p (two-sided, below
        1 - level if the interval holds no zero), p_holm (over the cells), significant, detectable (points: the
        smallest movement that would have been called significant with a power of 80 %, beside as many others),
        weights, answers, mix (points, each with `_low` and `_high`; they add up to change), n_before, n_after.
    pooled : DataFrame
        Strata of the mix with fewer than 10 respondents in a wave, pooled within their cell: columns of `by` and `mix`.
    left_out : DataFrame
        Cells with fewer than `minimum` respondents in a wave: columns of `by`, n_before, n_after.
    absent : tuple of str
        Values of the mix that one wave alone holds: pooled, so that no part is told for them.
    failed : int
        Resamples in which a wave did not converge.
    """

    table: pd.DataFrame
    pooled: pd.DataFrame
    left_out: pd.DataFrame
    waves: tuple[object, object]
    construct: str
    level: float
    failed: int
    absent: tuple[str, ...] = ()

    NAME = "change"
    CHART = say("Dots with intervals, a row a cell")
    FORMATS = dict.fromkeys(SHOWN[:-1], "{:.2f}")
    CAPTION = (
        "Movements split into weights, answers and mix of provinces, which add up; detectable is the smallest"
        " movement that this sample would have shown (points)."
    )

    @property
    def by(self) -> list[str]:
        """Columns that make the cells."""
        return list(self.table.columns[: self.table.columns.get_loc("before")])

    def headline(self) -> Message:
        """Say whether the movement is significant, what it is made of, and what could have been seen."""
        clear = self.table[self.table["significant"]]
        rows = clear if len(clear) else self.table
        top = rows.loc[rows["change"].abs().idxmax()]
        ends: Span | Message = Span(top["low"], top["high"], "+.2f", self.level)
        if not np.isfinite(top["low"]):
            ends = say("(no interval: all of a wave are of one cluster)")
        out, failed = [cell_name(row) for row in self.left_out[self.by].to_numpy()], self.failed
        gone = quoted(self.absent) if self.absent else ""
        return join(
            say(
                "{lead}, {change} points {ends}, of which weights {weights}, answers {answers}, mix {mix}.",
                lead=self._lead(top, len(clear)),
                change=Number(top["change"], "+.2f"),
                ends=ends,
                **{part: Number(top[part], "+.2f") for part in PARTS},
            ),
            say(
                "The smallest movement this sample would have detected there ({power} power) is {detectable} points.",
                power=Share(POWER, 0),
                detectable=Number(top["detectable"], ".1f"),
            ),
            say("Not compared, as too few were asked in a wave: {cells}.", cells=quoted(out)) if out else say(""),
            say("Of {names} one wave asked nobody: part of that counts as answers.", names=gone) if gone else say(""),
            say("{n} strata of fewer than {least} respondents in a wave count as one in their cell.", n=few, least=THIN)
            if (few := len(self.pooled))
            else say(""),
            say("{n} resamples did not converge.", n=failed) if failed else say(""),
        )

    def _lead(self, top: pd.Series, clear: int) -> Message:
        first, last = map(str, self.waves)
        waves: dict[str, Any] = {"construct": Label(self.construct), "first": first, "last": last}
        ends: dict[str, Any] = {side: Number(top[side], ".1f") for side in ("before", "after")}
        where = one_cell(top[c] for c in self.by)
        if len(self.table) == 1:
            moved = say("{construct} moved from {before} in {first} to {after} in {last}", **waves, **ends)
            if self.by:
                moved = say(
                    "{construct} moved for {where} from {before} in {first} to {after} in {last}",
                    where=where,
                    **waves,
                    **ends,
                )
            return say("{moved}, significant", moved=moved) if clear else say("{moved}, not significant", moved=moved)
        found = {
            "movements": say("{count} movements in {construct} from {first} to {last}", count=len(self.table), **waves),
            "largest": say("{where}: {before} to {after}", where=where, **ends),
        }
        if not clear:
            return say("None of {movements} is significant (Holm); the largest for {largest}", **found)
        if clear == 1:
            return say("1 of {movements} is significant (Holm); the largest for {largest}", **found)
        return say("{n} of {movements} are significant (Holm); the largest of them for {largest}", n=clear, **found)

    def summary(self) -> pd.DataFrame:
        """Tabulate the cells: before, after, change with its parts."""
        return self.table[[*self.by, *SHOWN]]

    def picture_caption(self) -> Message:
        """Say what to see in the picture."""
        before, after = map(str, self.waves)
        return self.say(
            "Change of the {construct} index from {before} to {after}, with {level} intervals.",
            before=before,
            after=after,
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the movement of every cell; of a single cell, its parts too."""
        label = self.say(
            "change in {construct}, {first} to {second} (points)",
            first=Day(str(self.waves[0])),
            second=Day(str(self.waves[1])),
        )
        if len(self.table) > 1:
            names = [cell_name(row) for row in self.table[self.by].to_numpy()]
            table = self.table.rename(columns={"change": "estimate"})
        else:
            row, names = self.table.iloc[0], [*PARTS, "change"]
            ends = [(row[n], *(row[e if n == "change" else f"{n}_{e}"] for e in ("low", "high"))) for n in names]
            table = pd.DataFrame(ends, columns=["estimate", "low", "high"])
        return dot_and_interval(names, table, ax, label=label, zero=True, digits="+.2f")

    def quantities(self) -> Iterable[Quantity]:
        """Name every movement and its parts."""
        for row in self.table.to_dict("records"):
            cell = "".join(f"{column}={row[column]}," for column in self.by) + f"construct={self.construct}"
            yield Quantity(f"change[{cell}]", row["change"], "points", row["low"], row["high"])
            for part in PARTS:
                ends = row[f"{part}_low"], row[f"{part}_high"]
                yield Quantity(f"change_part[{cell},part={part}]", row[part], "points", *ends)


def wave_change(
    survey: pd.DataFrame,
    model: PathModel,
    *,
    by: Sequence[str] = ("operator", "service"),
    mix: Sequence[str] = ("province",),
    strata: Sequence[str] = (),
    clusters: Sequence[str] = (),
    wave: str = "wave",
    weight: str | None = "weight",
    construct: str = "Satisfaction",
    resamples: int = 1000,
    level: float = 0.95,
    minimum: int = 30,
    rng: Rng = 0,
) -> WaveChange:
    """Split the change of a cell's index between two waves into weights, answers and mix, adding up exactly.

    Each wave is measured with the outer weights of its own fit, to all its respondents. The parts are Shapley
    values: what changing one of the three does, averaged over the orders of changing them.

    Parameters
    ----------
    survey : DataFrame
        Two waves, one row a respondent.
    by : sequence of str
        Columns that make the cells.
    mix : sequence of str
        Columns whose combinations are the strata of a cell; their shares (by weight) are its mix, and *answers* are
        item means within them. Strata with fewer than 10 respondents in a wave (or none) are pooled in their
        cell, and the smallest others with them until the pool has 10; none for no mix.
    strata : sequence of str
        All columns within whose combinations respondents were drawn, those of `by` among them if they were: a mix by
        them has only the weights' error. If not given, the respondents of a cell are drawn alike.
    clusters : sequence of str
        Columns whose combinations were drawn as a whole (within strata).
    wave : str
        Column of the wave; the first in time is *before*.
    weight, construct, resamples, level, minimum, rng
        As for `satisfaction_index`. Resamples are drawn in each wave independently.

    Raises
    ------
    WorkbenchError
        If a column is missing, or there are more than two waves.
    CannotAnswer
        If there is one wave only, no cell has `minimum` respondents in both waves, or an index is not defined.

    Warning
    -------
    Waves are taken as independent samples; the same people asked twice would move less by chance than is said here.
    """
    by, mix, strata, clusters = listed(by), listed(mix), listed(strata), listed(clusters)
    distinct(by, "by=")
    check_resampling(resamples, level)
    require_model(model)
    low, _ = model.construct(construct).ends()
    columns = [*dict.fromkeys([*by, *mix, *strata, *clusters, wave])]
    require_columns(survey, [*columns, *([weight] if weight else [])], "survey")
    survey = plain(survey[survey[weight] != 0] if weight else survey, columns)
    refuse_gaps_in(survey, columns)
    waves = _two_waves(survey[wave], wave)
    survey, pooled = _pooled(survey, by, mix, wave)
    count = _counts(survey, by, wave)
    enough = count.min(axis=1).to_numpy() >= minimum
    if not enough.any():
        raise CannotAnswer(
            "no cell has {minimum} respondents in both waves. Fewer columns in by=, or a lower minimum=."
        ).of(minimum)
    items = slice(at := Layout(model).start[model.names.index(construct)], at + len(low))
    sides = [
        _side(survey[survey[wave] == w], model, by, (strata, clusters), weight, resamples, seed)
        for w, seed in zip(waves, seeds(rng, 2), strict=True)
    ]
    for side, _ in sides:
        refuse_undefined(side.fit, [construct])
    start, parts = _factors([side for side, _ in sides], by, count.index[enough], items)
    value: dict[tuple[int, ...], np.ndarray] = {
        (a, b, c): np.add.reduceat((parts[a][0][:, None] * parts[b][1] * parts[c][2]).sum(axis=2), start, axis=1)
        for a, b, c in product((0, 1), repeat=3)
    }
    before, after = value[0, 0, 0], value[1, 1, 1]
    change, m = after - before, int(enough.sum())
    if np.isnan(change[0]).any():
        raise CannotAnswer("in a cell nobody answered an item of {construct}. Leave the item or the cell out.").of(
            Label(construct)
        )
    cells = count.index.to_frame(index=False) if by else pd.DataFrame(index=range(1))
    cells[["n_before", "n_after"]] = count.to_numpy()
    kept = cells[enough].reset_index(drop=True)
    means = [
        _scores(*side, by, count.index[enough], model.names.index(construct), drawn)
        for side, drawn in zip(sides, (before, after), strict=True)
    ]
    ends = [np.stack(list(mean_intervals(m, level, POINTS)), axis=1) - [[x.estimate] for x in m] for m in means]
    df = np.array([[m.df for m in side] for side in means]).T
    low, high, p = gaps_of(change[0], ends[1], ends[0], 0.0, df[:, ::-1], level)
    error, hidden, wider = _errors(means, level, change)
    table = kept[by].assign(before=before[0], after=after[0], change=change[0], se=error, low=low, high=high)
    table = table.assign(p=p, p_holm=holm(p), significant=holm(p) < 1 - level)
    table["detectable"] = (norm.isf((1 - level) / (2 * m)) + norm.ppf(POWER)) * error
    width: dict[str, Any] = {"df": np.maximum(df.min(axis=1), 1), "resampled": wider}
    for f, part in enumerate(PARTS):
        unseen = hidden if part == "answers" else 0.0
        table = with_ends(table, level, **{part: shapley(value, f)}, hidden=unseen, **width)
    failed = int(np.isnan(change[1:]).all(axis=1).sum())  # a wave did not converge: no cell has a value
    table = table.assign(n_before=kept["n_before"], n_after=kept["n_after"])
    asked = [{str(v) for c in mix for v in survey.loc[survey[wave] == w, c]} for w in waves]
    absent, thin = tuple(sorted(asked[0] ^ asked[1])), cells[~enough].reset_index(drop=True)
    return WaveChange(table, pooled, thin, waves, construct, level, failed, absent)


def _two_waves(wave: pd.Series, name: str) -> tuple[object, object]:
    """Give both waves, the first in time first."""
    waves = tuple(in_time(wave.unique(), name))
    if len(waves) == 1:
        raise CannotAnswer("not answerable: a change is between two waves; the survey holds {waves} alone.").of(waves)
    if len(waves) != 2:
        raise WorkbenchError("a change is between two waves; the survey holds {names}. Choose two of them.").of(waves)
    return waves


def _counts(survey: pd.DataFrame, columns: list[str], wave: str) -> pd.DataFrame:
    """Respondents of each combination of columns, one column a wave."""
    if not columns:
        return survey.groupby(wave).size().to_frame().T.reset_index(drop=True)
    return pd.crosstab([survey[c] for c in columns], survey[wave])


def _pooled(survey: pd.DataFrame, by, mix, wave) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Number the strata of each cell (-1: the pool of thin ones), and list those pooled."""
    keys = [*dict.fromkeys([*by, *mix])]
    if not mix:
        return survey.assign(**{STRATUM: 0}), pd.DataFrame(columns=keys)
    count = _counts(survey, keys, wave)
    code = pd.Series(np.arange(len(count)), index=count.index)
    cell = count.groupby(by, sort=True).ngroup().to_numpy() if by else np.zeros(len(count), int)
    for c in range(cell.max() + 1):
        rows = np.flatnonzero(cell == c)
        rows = rows[np.argsort(count.min(axis=1).to_numpy()[rows], kind="stable")]
        size, pool = count.to_numpy()[rows], 0
        while pool < len(rows) and (size[pool].min() < THIN or (pool and size[:pool].sum(axis=0).min() < THIN)):
            pool += 1
        code.iloc[rows[:pool]] = -1
    number = survey.groupby(keys, sort=True, observed=True).ngroup().to_numpy()
    thin = count.index[code == -1].to_frame(index=False)
    return survey.assign(**{STRATUM: code.to_numpy()[number]}), thin


def _side(survey, model, by, design, weight, resamples, seed) -> tuple[Draws, Design]:
    """Fit one wave, and resample it within its strata (the cells if not given)."""
    strata, clusters = design
    within = survey[[*dict.fromkeys([*strata, *clusters])]]
    answers = read_answers(
        survey, model, weights=weight, by=[*by, STRATUM], within=within if len(within.columns) else None
    )
    fit = fit_answers(answers, model)
    refuse_unconverged(fit)
    asked = survey.iloc[answers.position]
    stratum, cluster = sampled(asked, strata, clusters, by)
    drawn = draw(answers, fit, resamples=resamples, stratum=stratum, cluster=cluster, rng=seed)
    return drawn, Design.of(answers.weights, stratum, cluster)


def _scores(side: Draws, design: Design, by, shown, construct: int, drawn: np.ndarray) -> list[SurveyMean]:
    """Mean score of each cell shown, with the error over its resamples."""
    answers, layout = side.answers, Layout(side.fit.model)
    strata = answers.cells
    cell = np.zeros(len(strata), int)
    if by:
        cell = pd.MultiIndex.from_frame(shown.to_frame(index=False)).get_indexer(pd.MultiIndex.from_frame(strata[by]))
    group, value = cell[answers.cell], np.where(answers.missing, np.nan, answers.center + answers.scale * answers.x)
    error, found = standard_error(drawn[1:]), []
    for c in range(len(error)):
        at = np.flatnonzero(group == c)
        given, w = ~np.isnan(value[at]), answers.weights[at, None]
        mean = (np.where(given, value[at], 0) * w).sum(axis=0) / np.maximum((given * w).sum(axis=0), 1e-300)
        points = index_points(
            layout, answers, side.fit.unstandardised_weights.to_numpy(), np.where(given, value[at], mean)
        )
        (score,) = design.means(points[:, [construct]], at)
        spread = float(error[c]) * score.resampled if score.spread > 0 else 0.0
        found.append(replace(score, estimate=float(drawn[0, c]), se=spread, widening=1.0))
    return found


def _errors(means, level: float, change: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standard error of each change, what of it the resamples do not show, and what widens the rest."""
    se = np.array([[m.se for m in side] for side in means])
    plain_se = se / np.array([[m.resampled for m in side] for side in means])
    wider = np.hypot(*se) / np.maximum(np.hypot(*plain_se), 1e-300)
    wider = np.where(np.hypot(*plain_se) > 0, wider, 1.0)
    reach = np.stack([reaches(side, level, POINTS) for side in means])
    hidden = np.sqrt(np.maximum(reach**2 - se**2, 0).sum(axis=0))
    return np.hypot(standard_error(change[1:]) * wider, hidden), hidden, wider


def _factors(sides, by, shown, items) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
    """First stratum of each cell shown; of each wave the items' shares, means by stratum, and shares of the strata."""
    found = []
    for side in sides:
        strata = side.answers.cells
        keep, cell = np.ones(len(strata), bool), np.zeros(len(strata), int)
        if by:
            keep = pd.MultiIndex.from_frame(strata[by]).isin(_tuples(shown))
            cell = strata[keep].groupby(by, sort=True, observed=True).ngroup().to_numpy()
        start = np.searchsorted(cell, np.arange(cell.max() + 1))
        points, weight = side.points[:, keep, items], side.weight[:, keep, items]
        total = np.add.reduceat(weight, start, axis=1)
        mean = np.add.reduceat(np.where(weight > 0, weight * points, 0), start, axis=1)
        mean /= np.where(total > 0, total, np.nan)
        points = np.where(np.isnan(points), mean[:, cell], points)
        found.append((side.share[:, items], points, weight / total[:, cell]))
    return start, found


def _tuples(index: pd.Index) -> list[tuple]:
    return [key if isinstance(key, tuple) else (key,) for key in index]
