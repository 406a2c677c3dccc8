"""What must hold of a table of customers before any part of the study reads it?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError


def refuse_missing(
    table: pd.DataFrame, columns: list[str], name: str, advice: str = "Mend or drop those rows."
) -> None:
    """Refuse missing values, with their count a column."""
    missing = table[columns].isna().sum()
    if missing.any():
        counts = ", ".join(f"'{c}' {count:,}" for c, count in missing.items() if count)
        raise WorkbenchError(f"{name} of {len(table):,} rows has missing values: {counts}. {advice}")


def require_numbers(table: pd.DataFrame, columns: list[str], name: str) -> None:
    """Refuse columns that are not finite numbers (missing ones pass)."""
    for column in columns:
        if not pd.api.types.is_numeric_dtype(table[column]) or pd.api.types.is_bool_dtype(table[column]):
            raise WorkbenchError(f"{name} column '{column}' holds {table[column].dtype}; it takes numbers.")
        if not np.isfinite(table[column].dropna().to_numpy(dtype=float)).all():
            raise WorkbenchError(f"{name} column '{column}' holds an infinite number; mend those rows.")


def require_once(table: pd.DataFrame, customer: str) -> None:
    """Refuse a customer that is missing or stands in two rows."""
    refuse_missing(table, [customer], "customers")
    twice = table[customer].duplicated()
    if twice.any():
        example = table.loc[twice, customer].iloc[0]
        raise WorkbenchError(
            f"customers has {int(twice.sum()):,} repeated '{customer}', "
            f"for instance '{example}'. Give one row a customer."
        )


def by_id(ids: pd.Series) -> np.ndarray:
    """Positions that sort customers: as numbers where all are digits, else as text."""
    if pd.api.types.is_numeric_dtype(ids):
        return np.argsort(ids.to_numpy(), kind="stable")
    text = ids.astype(str).reset_index(drop=True)
    keys = pd.DataFrame({"text": text})
    if text.str.fullmatch("[0-9]+").all():
        bare = text.str.lstrip("0")
        keys = pd.DataFrame({"length": bare.str.len(), "bare": bare, "text": text})
    return keys.sort_values(list(keys.columns)).index.to_numpy()
