"""The panel of a rollout as arrays: which unit got it when, and what has no part in the estimate."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench import columns
from workbench.errors import WorkbenchError
from workbench.messages import Label, Message, Term, say
from workbench.methods.experiment.events import unanswerable
from workbench.methods.experiment.members import numbers
from workbench.studies.observational.fewclusters import Panel

FEWEST_CLUSTERS = 4


def read_panel(
    panel: pd.DataFrame,
    unit: str,
    period: str,
    treated_from: str,
    outcome: str,
    weight: str | None,
    clusters: str | None,
) -> tuple[Panel, dict[Message, int]]:
    """Check the table and turn it into arrays, in an order of units that only numbers decide; count what is left out.

    Units treated from the first period on have no base; a period that over half of them lack is no period of theirs.
    """
    rows, stray = _rows(panel, unit, period, treated_from, outcome, weight, clusters)
    units, periods = rows.index.levels
    shape = len(units), len(periods)
    y = rows["outcome of the panel"].to_numpy().reshape(shape)
    if (y == y[0, 0]).all():
        raise unanswerable(say("'{outcome}' is the same in all units and periods", outcome=Label(outcome)))
    first = rows.groupby(level=0).nth(0)
    start = _starts(first[treated_from], periods, treated_from)
    based, last = start > 0, min(int(start.max()), len(periods))
    if not based.any() or start[based].min() >= last:
        raise unanswerable(
            say(
                "no start in '{treated_from}' has both a period before it and units that were not yet treated. Without "
                "a rollout that some got later or never, nothing shows what would have been",
                treated_from=treated_from,
            )
        )
    cluster = pd.factorize(first[clusters])[0] if clusters else np.arange(len(units))
    if (count := len(np.unique(cluster[based]))) < FEWEST_CLUSTERS:
        raise unanswerable(
            say(
                "{clusters} clusters, and fewer than {least} do not tell the rollout from chance. Take a finer unit "
                "only if the rollout was decided there",
                clusters=count,
                least=FEWEST_CLUSTERS,
            )
        )
    size = np.ones(len(units))
    if weight:
        size = rows["weight of the panel"].to_numpy().reshape(shape)[:, : start[based].min()].mean(axis=1)
        if (size <= 0).any():
            raise WorkbenchError(
                "the weight '{weight}' is 0 or less for a unit: give its number of customers before."
            ).of(weight)
    order = np.lexsort([*y.T[::-1], size, start])
    order = order[based[order]]
    compared_only = (start == last) & (last < len(periods))
    set_aside = {
        say("units treated from the first period on"): int((~based).sum()),
        say("units that came last and only served to compare"): int(compared_only.sum()),
        say("periods with nobody left to compare with"): len(periods) - last,
        say("rows of periods that most units lack"): stray,
    }
    shown = [int(p) if isinstance(p, float) and p.is_integer() else p for p in periods[:last]]
    size, cluster = size[order] / size[order].sum(), pd.factorize(cluster[order])[0]
    data = Panel(y[order][:, :last], np.minimum(start[order], last), size, cluster, shown)
    return data, {what: count for what, count in set_aside.items() if count}


def _rows(
    panel: pd.DataFrame,
    unit: str,
    period: str,
    treated_from: str,
    outcome: str,
    weight: str | None,
    clusters: str | None,
) -> tuple[pd.DataFrame, int]:
    """Read one row a unit and period, sorted, and count those of periods that most units lack."""
    columns.require_table(panel, [c for c in (unit, period, treated_from, outcome, weight, clusters) if c], "panel")
    when, begun = _times(panel, period, treated_from)
    read = {"unit": columns.category(panel[unit], unit, missing="refuse"), "period": when, treated_from: begun}
    if clusters:
        read[clusters] = columns.category(panel[clusters], clusters, missing="refuse")
    read["outcome of the panel"] = numbers(panel, outcome)
    if weight:
        read["weight of the panel"] = numbers(panel, weight, role="weight")
    rows = pd.DataFrame({name: np.asarray(v) for name, v in read.items()}).set_index(["unit", "period"]).sort_index()
    if rows.index.has_duplicates:
        twice = rows.index[rows.index.duplicated()][0]
        raise WorkbenchError("panel lists a unit and period twice, for instance {names}: keep one row of each.").of(
            [twice[0], _said(twice[1])]
        )
    rows, stray = _whole(rows, period)
    for name in filter(None, (treated_from, clusters)):
        varies = rows.groupby(level=0)[name].nunique(dropna=False)
        if (varies > 1).any():
            raise WorkbenchError("'{name}' varies within the unit '{unit}': give one value a unit.").of(
                name, varies.idxmax()
            )
    return rows, stray


def _whole(rows: pd.DataFrame, period: str) -> tuple[pd.DataFrame, int]:
    """Leave out the rows of periods that most units lack, and count them; refuse other gaps."""
    held = rows.groupby(level=1)["outcome of the panel"].transform("size")
    stray = held < rows.index.levels[0].size / 2
    if few := stray.sum() <= columns.MOST_ASIDE * len(rows):
        rows = rows[~stray]
    rows.index = rows.index.remove_unused_levels()
    units, periods = rows.index.levels
    gaps = pd.MultiIndex.from_product([units, periods]).difference(rows.index)
    if len(gaps):
        raise WorkbenchError(
            "panel lacks {n} of {all} pairs of unit and period, for instance {names}: add them, or leave those "
            "units out and say so."
        ).of(len(gaps), len(units) * len(periods), [gaps[0][0], _said(gaps[0][1])])
    if not columns.steady(pd.Series(periods)):
        raise WorkbenchError("'{period}' of panel leaves a period out for all units: add it, or begin after it.").of(
            period
        )
    return rows, int(stray.sum()) if few else 0


def _times(panel: pd.DataFrame, period: str, treated_from: str) -> tuple[pd.Series, pd.Series]:
    """Periods and starts, read alike."""
    when, column = columns.periods(panel[period], period), panel[treated_from]
    if pd.api.types.is_float_dtype(column):
        column = column.where(column != np.inf)  # never
    if when.isna().any():
        raise WorkbenchError("'{period}' is missing, infinite or a placeholder in {n} rows: give each its period.").of(
            period, when.isna().sum()
        )
    numeric = pd.api.types.is_float_dtype(when)
    begun = columns.periods(column, treated_from) if column.notna().any() else when.where(when.isna())
    if pd.api.types.is_float_dtype(begun) != numeric:
        kinds = {True: Term("numbers"), False: Term("dates")}
        raise WorkbenchError("'{period}' holds {kinds} and '{treated_from}' {other}: write both alike.").of(
            period, kinds[numeric], treated_from, kinds[not numeric]
        )
    lost = begun.isna().to_numpy() & column.notna().to_numpy()
    if lost.any():
        raise WorkbenchError(
            "'{treated_from}' holds a placeholder ('{first}') in {n} rows: if it stands for never, leave it "
            "missing; if the day is unknown, leave those units out."
        ).of(treated_from, column[lost].iloc[0], lost.sum())
    return when, begun


def _starts(first: pd.Series, periods: pd.Index, treated_from: str) -> np.ndarray:
    """Position of each unit's first treated period; the number of periods where it never was, or later."""
    start = np.full(len(first), len(periods))
    for k, value in enumerate(first):
        if pd.isna(value) or value > periods[-1]:
            continue
        if value < periods[0]:
            same = int((first == value).sum())
            raise WorkbenchError(
                "'{treated_from}' is {said} for {same} units, before the first period ({begin}). If that stands for "
                "never, leave it missing; if they were treated all along, give the first period."
            ).of(treated_from, _said(value), same, _said(periods[0]))
        if value not in periods:
            raise WorkbenchError(
                "'{treated_from}' holds {said}, which is no period of the panel: give the first treated period, "
                "written as the periods are."
            ).of(treated_from, _said(value))
        start[k] = periods.get_loc(value)
    return start


def _said(value: object) -> str:
    return f"{value:%Y-%m-%d}" if isinstance(value, pd.Timestamp) else f"{value:g}"
