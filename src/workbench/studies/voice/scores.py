"""What do people say beside the index? Net promoter score, top boxes, effort, with design-based errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from workbench import columns
from workbench.errors import CannotAnswer, WorkbenchError, require_columns, require_kind, require_known, unknown
from workbench.figures import Axes, dot_and_interval
from workbench.messages import Listed, Message, Number, Span, Word, join, say, spelt
from workbench.methods.cells import (
    cell_name,
    cells_of,
    codes_of,
    distinct,
    listed,
    one_cell,
    plain,
    refuse_mixed_waves,
    said,
    weights_of,
)
from workbench.methods.multiple import holm
from workbench.methods.resampling import canonical_order
from workbench.methods.survey import Design, Kind, gaps_of
from workbench.result import Quantity, Result, Table, Tile

SHORTER = 7


@dataclass(frozen=True)
class Measure:
    """What is averaged over respondents.

    Attributes
    ----------
    name, item : str
        For people; column of the survey.
    kind : {"net", "top", "mean"}
        "net": per cent who answer `top` or more minus per cent who answer `bottom` or less; "top": per cent who
        answer `top` or more; "mean": the answer itself.
    low, high : float
        Ends of the item's scale.
    given : bool
        Whether the upper end was given; if not, only answers above 7 show the usual scale to 10.

    Raises
    ------
    WorkbenchError
        If the boxes do not lie on the scale.
    """

    name: str
    item: str
    kind: Kind
    low: float
    high: float
    top: float = np.nan
    bottom: float = np.nan
    given: bool = True

    def __post_init__(self) -> None:
        fits = self.low < self.top <= self.high and not self.bottom >= self.top and not self.bottom < self.low
        if self.kind != "mean" and not fits:
            boxes = f"top={self.top:g}" + ("" if np.isnan(self.bottom) else f", bottom={self.bottom:g}")
            raise WorkbenchError(
                "'{item}': {boxes} do not lie on the scale {low} to {high}. Give the boxes of that scale."
            ).of(self.item, boxes, f"{self.low:g}", f"{self.high:g}")

    def of(self, survey: pd.DataFrame) -> np.ndarray:
        """Value of each respondent (100, 0 or -100, or the answer); NaN where none was given."""
        answer = columns.number(survey[self.item], self.item, what="item", missing="keep")
        off = ~np.isnan(answer) & ~((answer >= self.low) & (answer <= self.high))
        if off.any():
            raise WorkbenchError(
                "'{item}' holds {first}, off its scale {low} to {high}, in {n} rows. Give the scale's ends, or make "
                "codes of missing answers missing."
            ).of(self.item, f"{answer[off][0]:g}", f"{self.low:g}", f"{self.high:g}", off.sum())
        if self.kind == "mean":
            return answer
        if not self.given and not (np.isnan(answer).all() or np.nanmax(answer) > SHORTER):
            raise WorkbenchError(
                "'{item}' holds {least} to {most}: its scale is not given, and the answers do not show the usual "
                "one to {high}. Give low= and high= of the questionnaire."
            ).of(self.item, f"{np.nanmin(answer):g}", f"{np.nanmax(answer):g}", f"{self.high:g}")
        value = 100.0 * ((answer >= self.top).astype(float) - (answer <= self.bottom))
        return np.where(np.isnan(answer), np.nan, value)


def net_promoter(
    item: str = "NPS", *, low: float = 0, high: float | None = None, top: float = 9, bottom: float = 6
) -> Measure:
    """Net promoter score: per cent who answer `top` or more minus per cent who answer `bottom` or less.

    The scale ends at 10 unless given; if nobody answers more than 7 it must be.
    """
    end = 10 if high is None else high
    name = "NPS" if item == "NPS" else say("NPS {item}", item=Word(item))
    return Measure(name, item, "net", low, end, top, bottom, high is not None)


def top_boxes(item: str, *, low: float = 1, high: float | None = None, boxes: int = 2, name: str = "") -> Measure:
    """Per cent who answer with one of the `boxes` highest answers of a whole-number scale.

    The scale ends at 10 unless given; if nobody answers more than 7 it must be.
    """
    end = 10 if high is None else high
    name = name or say("{item} top {boxes}", item=Word(item), boxes=boxes)
    return Measure(name, item, "top", low, end, end - boxes + 1, given=high is not None)


def mean_answer(item: str, *, low: float = 1, high: float = 10, name: str = "") -> Measure:
    """Mean of an item, or of a score computed before."""
    return Measure(name or item, item, "mean", low, high)


@dataclass(frozen=True, eq=False)
class VoiceScores(Result):
    """Measures beside the index in every cell, with standard error and interval.

    Attributes
    ----------
    table : DataFrame
        One row a cell and measure: the columns of `by`, measure, estimate, se, low, high, n (answers given) and
        n_effective (answers of a simple random sample that would be as exact), df (degrees of freedom of the error),
        alike (all answers are the same, or of a mean fewer than 3 respondents or clusters differ: the interval is what
        the scale and their number leave; no se where all are the same, neither where there is one cluster).
    suppressed : DataFrame
        Cells and measures with fewer than `minimum` answers: the columns of `by`, measure and n.
    """

    table: pd.DataFrame
    suppressed: pd.DataFrame
    measures: tuple[Measure, ...]
    by: tuple[str, ...]
    level: float
    minimum: int

    NAME, COUNTS, TOTALS = "voice", "n", ("measure",)
    CHART = say("Dots with intervals, a row a cell")
    FORMATS = dict.fromkeys(["estimate", "se", "low", "high"], "{:.1f}")
    CAPTION = "What is said beside the index, in every cell, with {level} intervals."

    def headline(self) -> Message:
        """Say each measure's lowest and highest cell."""
        words = []
        for name, rows in self.table.groupby("measure", sort=False):
            lowest, highest = rows.loc[rows["estimate"].idxmin()], rows.loc[rows["estimate"][::-1].idxmax()]
            if len(rows) == 1:
                words.append(say("{measure} is {said}", measure=Word(name), said=said(lowest)))
            else:
                words.append(
                    say(
                        "{measure} runs from {least} for {last} to {most} for {first}",
                        measure=Word(name),
                        least=said(lowest),
                        last=one_cell(lowest[list(self.by)]),
                        most=said(highest),
                        first=one_cell(highest[list(self.by)]),
                    )
                )
        text = [self.say("{measures} ({level} intervals).", measures=Listed(words, ";"))]
        if alike := int(self.table["alike"].sum()):
            text.append(
                say(
                    "In {alike} of {n} figures (almost) all answer alike: the interval is what the scale and the "
                    "number of answers leave.",
                    alike=alike,
                    n=len(self.table),
                )
            )
        if single := int((self.table["df"] == 0).sum()):
            text.append(
                say(
                    "{single} of {n} figures come from one cluster and have no interval.",
                    single=single,
                    n=len(self.table),
                )
            )
        if hidden := len(self.suppressed):
            text.append(say("Not shown, with fewer than {minimum} answers: {n}.", minimum=self.minimum, n=hidden))
        return join(*text)

    def summary(self) -> pd.DataFrame:
        """Tabulate cell, measure, estimate, se, low, high, n, n_effective."""
        return self.table.drop(columns=["df", "alike"])

    def picture_caption(self) -> Message:
        """Say what to see in the picture."""
        measure = self._spelt()
        if not self.by:
            return self.say("{measure}, with {level} intervals.", measure=measure)
        columns = Listed(map(spelt, self.by[::-1]))
        return self.say("{measure} by {columns}, with {level} intervals.", measure=measure, columns=columns)

    def tiles(self) -> tuple[Tile, ...]:
        """Where the first measure is lowest."""
        rows = self.table[self.table["measure"] == self._known(None)]
        row = rows.loc[rows["estimate"].idxmin()]
        if not self.by:
            label = say("{measure}", measure=self._spelt())
        else:
            label = say("lowest: {measure}, {cell}", measure=self._spelt(), cell=one_cell(row[list(self.by)]))
        return (Tile(label, Number(row["estimate"], ".1f"), Span(row["low"], row["high"], ".1f", self.level)),)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the first measure in every cell with its interval."""
        name = self._known(None)
        rows = self.table[self.table["measure"] == name].sort_values(list(self.by[::-1]), kind="stable")
        labels = [cell_name(values) for values in rows[list(self.by[::-1])].to_numpy()] if self.by else ["all"]
        return dot_and_interval(
            labels, rows, ax, label=self.say("{measure} ({level} interval)", measure=Word(name)), digits=".1f"
        )

    def quantities(self) -> Iterable[Quantity]:
        """Name every estimate shown."""
        units = {m.name: "points" if m.kind == "mean" else "%" for m in self.measures}
        for place, row in enumerate(self.table.to_dict("records")):
            cell = "".join(f"{column}={row[column]}," for column in self.by)
            name = f"voice[{cell}measure={row['measure']}]"
            yield Quantity(name, row["estimate"], units[row["measure"]], row["low"], row["high"], row=place)

    def gaps(self, measure: str | None = None, *, operator: str = "operator") -> pd.DataFrame:
        """Compare operators pair by pair within each combination of the other columns of `by`.

        Returns
        -------
        DataFrame
            One row a pair: the other columns, operator, against, gap (operator minus against), se, low, high (from
            the two intervals: Newcombe's square-and-add), p (two-sided, the level at which the interval would end at
            zero), p_holm (over all rows). No se where all answers of one are the same.

        Raises
        ------
        WorkbenchError
            If there is no such measure or column.
        CannotAnswer
            If each operator stands alone in its cell.
        """
        name = self._known(measure)
        require_known("column", operator, self.by, "by=")
        rows = self.table[self.table["measure"] == name]
        others = [c for c in self.by if c != operator]
        groups = [group for _, group in rows.groupby(others, sort=True)] if others else [rows]
        pairs = [pair for group in groups for pair in combinations(group.index, 2)]
        if not pairs:
            raise CannotAnswer("no two values of '{operator}' can be compared: each stands alone in its cell.").of(
                operator
            )
        one, two = (rows.loc[list(side)].reset_index(drop=True) for side in zip(*pairs, strict=True))
        gap = one["estimate"] - two["estimate"]
        ends_1, ends_2 = (side[["low", "high"]].sub(side["estimate"], axis=0) for side in (one, two))
        low, high, p = gaps_of(gap, ends_1, ends_2, 0.0, np.column_stack([one["df"], two["df"]]), self.level)
        error = np.hypot(one["se"], two["se"])
        found = one[others].assign(operator=one[operator], against=two[operator], gap=gap, se=error)
        return found.assign(low=low, high=high, p=p, p_holm=holm(p))

    def gap_table(self, measure: str | None = None) -> Table:
        """Give the `gaps` of a measure as a page shows them."""
        formats = dict.fromkeys(["gap", "low", "high"], "{:+.1f}") | {"se": "{:.1f}"}
        said = say("{measure}, operator minus other.", measure=self._spelt(measure))
        return Table(f"{self._known(measure).lower()}_gaps", self.gaps(measure), said, formats)

    def _spelt(self, measure: str | None = None) -> Message | Word:
        name = self._known(measure)
        if not next(m.kind == "net" for m in self.measures if m.name == name):
            return name if isinstance(name, Message) else Word(name)
        if name == "NPS":
            return say("Net promoter score (−100 to 100)")
        return say("Net promoter score (−100 to 100) {item}", item=name.removeprefix("NPS "))

    def _known(self, measure: str | None) -> str:
        names = [m.name for m in self.measures]
        if measure is not None and measure not in names:
            raise unknown("measure", measure, names)
        return measure or names[0]


def voice_scores(
    survey: pd.DataFrame,
    measures: Sequence[Measure],
    *,
    by: Sequence[str] = ("operator", "service"),
    weight: str | None = "weight",
    strata: Sequence[str] = (),
    clusters: Sequence[str] = (),
    level: float = 0.95,
    minimum: int = 30,
) -> VoiceScores:
    """Estimate measures beside the index in every cell, with design-based errors.

    Parameters
    ----------
    survey : DataFrame
        One row a respondent of one wave.
    measures : sequence of Measure
        From `net_promoter`, `top_boxes`, `mean_answer`; each with a name of its own.
    by : sequence of str
        Columns whose combinations are the cells; none for the whole survey.
    weight : str, optional
        Column of the survey weight; respondents of weight 0 do not count.
    strata : sequence of str
        All columns within whose combinations respondents were drawn, those of `by` among them if they were. A cell
        that is part of a stratum has a size that is due to chance, and its error holds that. If not given, the cells
        are taken as the strata.
    clusters : sequence of str
        Columns whose combinations were drawn as a whole (within strata): schools, households, interviewers' points.
    level : float
        Coverage of the intervals, 0-1.
    minimum : int
        Fewest answers shown.

    Raises
    ------
    WorkbenchError
        If a column is missing or cannot be used, an answer is off its scale, or waves are mixed.
    CannotAnswer
        If no cell has `minimum` answers.

    Examples
    --------
    >>> survey = pd.DataFrame({"NPS": [10, 9, 9, 7, 2] * 10})
    >>> voice_scores(survey, [net_promoter()], by=(), weight=None).table.loc[0, ["estimate", "n"]].tolist()
    [40.0, 50.0]
    """
    by, strata, clusters = listed(by), listed(strata), listed(clusters)
    names = [*dict.fromkeys([*by, *strata, *clusters])]
    given: list[object] = [*measures] if isinstance(measures, (list, tuple)) else [measures]
    for measure in given:
        require_kind(measure, Measure, "a measure", "net_promoter(), top_boxes(ITEM) or mean_answer(ITEM)")
    require_columns(survey, [*names, *([weight] if weight else []), *(m.item for m in measures)], "survey")
    survey = plain(survey, names)
    refuse_mixed_waves(survey, by)
    if not 0 < level < 1 or not measures:
        raise WorkbenchError("level={level}, {n} measures. Give a level between 0 and 1, and a measure.").of(
            str(level), len(measures)
        )
    distinct((m.name for m in measures), "the measure")
    kept = survey[weights_of(survey, weight) > 0]
    values = np.column_stack([m.of(kept) for m in measures])
    used = kept[names].assign(_weight=weights_of(kept, weight), **{f"_{i}": v for i, v in enumerate(values.T)})
    order = canonical_order(used)
    kept, values = kept.iloc[order], values[order]
    design = Design.of(
        weights_of(kept, weight), codes_of(kept, strata or by, "strata"), codes_of(kept, clusters, "clusters")
    )
    shown, hidden = [], []
    for cell, rows in cells_of(kept, by):
        for measure, y in zip(measures, values.T, strict=True):
            n = int((~np.isnan(y[rows])).sum())
            place = dict(zip(by, cell, strict=True)) | {"measure": measure.name}
            if n < max(minimum, 2):
                hidden.append(place | {"n": n})
                continue
            mean = design.mean(y, rows)
            low, high = mean.interval(measure.kind, level, (measure.low, measure.high))
            row = {"estimate": mean.estimate, "se": mean.se if mean.se > 0 else np.nan, "low": low, "high": high}
            row |= {"n": mean.n, "n_effective": mean.n_effective, "df": mean.df}
            shown.append(place | row | {"alike": mean.few if measure.kind == "mean" else mean.se == 0})
    if not shown:
        raise CannotAnswer("no cell has {n} answers. Ask for fewer columns in by=, or a lower minimum=.").of(minimum)
    suppressed = pd.DataFrame(hidden, columns=[*by, "measure", "n"])
    return VoiceScores(pd.DataFrame(shown), suppressed, tuple(measures), tuple(by), level, minimum)
