"""What must hold of a table of customers before any part of the study reads it?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pandas.api import types

from workbench.columns import number
from workbench.errors import WorkbenchError
from workbench.messages import Listed, as_message, say


def refuse_missing(
    table: pd.DataFrame, columns: list[str], name: str, advice: str = "Mend or drop those rows."
) -> None:
    """Refuse missing values, with their count a column."""
    missing = table[columns].isna().sum()
    if missing.any():
        counts = Listed([say("'{c}' {n}", c=str(c), n=int(n)) for c, n in missing.items() if n], "")
        raise WorkbenchError("{name} of {n} rows has missing values: {counts}. {advice}").of(
            name, len(table), counts, as_message(advice)
        )


def with_numbers(table: pd.DataFrame, columns: list[str], name: str) -> pd.DataFrame:
    """Give the table with these columns as numbers; refuses what is none, or infinite (missing ones pass)."""
    read = {}
    for column in columns:
        if types.is_bool_dtype(table[column]):
            raise WorkbenchError("{name} column '{column}' holds bool; it takes numbers.").of(name, column)
        found = number(table[column], column, what=f"{name} column", missing="keep")
        if not isinstance(table[column].dtype, np.dtype) or table[column].dtype == object:
            read[column] = found
    return table.assign(**read)


def require_once(table: pd.DataFrame, customer: str) -> None:
    """Refuse a customer that is missing or stands in two rows."""
    refuse_missing(table, [customer], "customers")
    twice = table[customer].duplicated()
    if twice.any():
        example = table.loc[twice, customer].iloc[0]
        raise WorkbenchError(
            "customers has {n} repeated '{customer}', for instance '{example}'. Give one row a customer."
        ).of(twice.sum(), customer, example)
