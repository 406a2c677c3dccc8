"""How is a survey cut into cells? The columns asked for, one wave at a time, and what a cell is called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from workbench import columns
from workbench.errors import CannotAnswer, WorkbenchError, require_columns
from workbench.messages import Listed, Message, Number, Span, Word, as_message, say


def listed(by: Sequence[str] | None) -> list[str]:
    """Give the columns as a list, a single name too.

    >>> listed("operator"), listed(None)
    (['operator'], [])
    """
    return [] if by is None else [by] if isinstance(by, str) else list(by)


def distinct(names: Iterable[object], what: str) -> None:
    """Refuse a name that stands twice: what is looked up by name needs one of its own.

    Raises
    ------
    WorkbenchError
        If one does.
    """
    names = list(names)
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise WorkbenchError("{what} {names} stands {n} times. Give each a name of its own.").of(
            as_message(what), twice, names.count(twice[0])
        )


def plain(survey: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Give the table with the columns of its cells as plain values: whole numbers as int, text as str, whatever dtype.

    Cells are then the same, in the same order and under the same names, for text, category, nullable and Arrow columns.

    >>> table = pd.DataFrame({"wave": pd.array([2026.0, 2025], "Float64"), "operator": pd.Categorical(["B", "A"])})
    >>> [c.tolist() for _, c in plain(table, ["wave", "operator"]).items()]
    [[2026, 2025], ['B', 'A']]
    """
    require_columns(survey, [column for column in by if column in getattr(survey, "columns", ())], "survey")
    return survey.assign(**{column: _plain(survey[column]) for column in dict.fromkeys(by) if column in survey})


def _plain(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuM":
        return column
    codes, values = pd.factorize(column, use_na_sentinel=True)
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    values = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
    found = pd.Series(np.array([*values, None], dtype=object)[codes], index=column.index, name=column.name)
    whole = values and all(type(v) is int for v in values) and (codes >= 0).all()
    return found.astype("int64") if whole else found


def in_time(values: Iterable[object], column: str = "wave") -> list[Any]:
    """Sort waves in time: numbers, dates and ISO periods as such, other names by the numbers in them.

    >>> in_time(["2025-10", "2025-9"]), in_time(["wave 10", "wave 9"])
    (['2025-9', '2025-10'], ['wave 9', 'wave 10'])

    Raises
    ------
    WorkbenchError
        If they are written day or month first.
    """
    values = list(values)
    if any(isinstance(v, str) and re.match(r"\d{1,3}[/.-]", v) for v in values):
        raise WorkbenchError("the waves {names} do not sort in time. Write '{column}' year first: '2026-07'.").of(
            values[:3], column
        )
    if not any(isinstance(v, str) for v in values):
        return sorted(values)
    return sorted(values, key=lambda v: [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", str(v))])


def refuse_gaps_in(survey: pd.DataFrame, columns: Iterable[str]) -> None:
    """Refuse columns that respondents lack."""
    for column in columns:
        count = int(survey[column].isna().sum())
        if count and count == len(survey):
            raise CannotAnswer("not answerable: '{column}' is missing for {n} respondents, who are all.").of(
                column, count
            )
        if count:
            raise WorkbenchError("column '{column}' is missing for {count} respondents. Fill it, or drop them.").of(
                column, count
            )


def refuse_mixed_waves(survey: pd.DataFrame, by: Sequence[str]) -> None:
    """Refuse columns that are missing, and several waves in one cell.

    Raises
    ------
    WorkbenchError
        If there are such.
    """
    require_columns(survey, by, "survey", hint="by= names the columns that make the cells.")
    distinct(by, "by=")
    waves = plain(survey, ["wave"])["wave"].dropna().unique() if "wave" in survey.columns and "wave" not in by else []
    if len(waves) > 1:
        raise WorkbenchError("the survey mixes the waves {waves}. Take one wave, or put 'wave' into by=.").of(
            in_time(waves)
        )


def cell_name(values: Iterable[object]) -> str:
    """Name a cell by its values, for a label.

    >>> cell_name(["中国移动", "mobile"])
    '中国移动, mobile'
    """
    return ", ".join(str(value) for value in values)


def one_cell(values: Iterable[object]) -> Listed:
    """Give the values of a cell as a sentence takes them.

    >>> one_cell(["中国移动", 2026]).said(), one_cell(["中国移动", 2026]).said("zh")
    ('中国移动, 2026', '中国移动·2026')
    """
    return Listed(map(Word, map(str, values)), "·")


def some_cells(cells: Iterable[Iterable[object]], most: int = 5) -> Listed | Message:
    """Give cells as a sentence takes them, of many the first; the whole survey has no columns to name it by.

    >>> some_cells([["A", "mobile"], ["B", "mobile"]]).said(), some_cells("ABC", 2), some_cells([()])
    ('A, mobile; B, mobile', 'A; B and 1 more', 'the survey')
    """
    cells = [tuple(values) for values in cells]
    if not any(cells):
        return say("the survey")
    shown = Listed(map(one_cell, cells[:most]), ";")
    return say("{cells} and {n} more", cells=shown, n=len(cells) - most) if len(cells) > most else shown


def cells_of(table: pd.DataFrame, by: Sequence[str]) -> list[tuple[tuple[Any, ...], np.ndarray]]:
    """Values and row positions of each combination of `by`, in order.

    Raises
    ------
    WorkbenchError
        If a value is missing.
    """
    if not by:
        return [((), np.arange(len(table)))]
    if gone := [c for c in by if table[c].isna().any()]:
        raise WorkbenchError(
            "'{first}' is missing in some rows, so their cell is unknown. Fill it, or leave them out."
        ).of(gone[0])
    groups = table.groupby(list(by), observed=True).indices.items()
    return sorted((cell if isinstance(cell, tuple) else (cell,), np.sort(rows)) for cell, rows in groups)


def codes_of(table: pd.DataFrame, names: Sequence[str], what: str) -> np.ndarray | None:
    """Give one code a row for the combinations of columns, None without columns.

    Raises
    ------
    WorkbenchError
        If a column is missing, or a value.
    """
    if not names:
        return None
    require_columns(table, names, "survey", hint=say("{what}= names columns.", what=what))
    if gone := [c for c in names if table[c].isna().any()]:
        count = int(table[gone[0]].isna().sum())
        raise WorkbenchError("'{first}' is missing in some rows ({count}; {what}). Fill it, or leave them out.").of(
            gone[0], count, as_message(what)
        )
    codes: np.ndarray = table.groupby(list(names), sort=True, observed=True).ngroup().to_numpy()
    return codes


def weights_of(table: pd.DataFrame, weight: str | None) -> np.ndarray:
    """Weights (n,), 1 each if there are none."""
    return np.ones(len(table)) if weight is None else columns.weights_of(table[weight], weight)


def said(row: pd.Series, column: str = "estimate") -> Message:
    """Say an estimate with its interval, or that it has none.

    >>> said(pd.Series({"estimate": 3.14, "low": 2.5, "high": 4.0})), said({"estimate": 3.14, "low": np.nan, "high": 4})
    ('3.1 (2.5 to 4.0)', '3.1 (no interval)')
    """
    return say("{estimate} {span}", estimate=Number(row[column], ".1f"), span=Span(row["low"], row["high"], ".1f"))
