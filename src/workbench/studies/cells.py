"""How is a survey cut into cells? The columns asked for, one wave at a time, and what a cell is called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from workbench.errors import WorkbenchError, named, require_columns


def listed(by: Sequence[str]) -> list[str]:
    """Give the columns as a list, a single name too.

    >>> listed("operator")
    ['operator']
    """
    return [by] if isinstance(by, str) else list(by)


def refuse_mixed_waves(survey: pd.DataFrame, by: Sequence[str]) -> None:
    """Refuse columns that are missing, and several waves in one cell.

    Raises
    ------
    WorkbenchError
    """
    require_columns(survey, by, "survey", hint="by= names the columns that make the cells.")
    waves = sorted(survey["wave"].dropna().unique()) if "wave" in survey.columns and "wave" not in by else []
    if len(waves) > 1:
        raise WorkbenchError(f"the survey mixes the waves {named(waves)}. Take one wave, or put 'wave' into by=.")


def cell_name(values: Iterable[object]) -> str:
    """Say the values of a cell.

    >>> cell_name(["中国移动", "mobile"])
    '中国移动, mobile'
    """
    return ", ".join(str(value) for value in values)
