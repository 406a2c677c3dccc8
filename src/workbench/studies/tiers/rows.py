"""What must hold of a table of customers or accounts?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.columns import by_id, number, require_table
from workbench.errors import named
from workbench.rules import prove


def checked(table: pd.DataFrame, keys: list[str], numbers: list[str], name: str) -> pd.DataFrame:
    """Give the rows in the order of their keys; refuses what is missing, repeated or not a finite number."""
    require_table(table, [*keys, *numbers], name)
    gaps = [f"'{c}' {n:,}" for c, n in table[[*keys, *numbers]].isna().sum().items() if n]
    table = table.assign(**{c: table[c] if _plain(table[c]) else number(table[c], c, missing="keep") for c in numbers})
    twice = int(table.duplicated(keys).sum())
    prove(f"{name} of {len(table):,} rows", {
        f"missing values: {', '.join(gaps)}; mend or drop those rows": not gaps,
        f"{twice:,} repeat {named(keys)}; give one row for each": not twice,
        f"{named(numbers)} must be finite": np.isfinite(table[numbers].to_numpy(dtype=float)).all(),
    })  # fmt: skip
    return table.iloc[by_id(table[keys[0]])].reset_index(drop=True)


def _plain(column: pd.Series) -> bool:
    return isinstance(column.dtype, np.dtype) and pd.api.types.is_numeric_dtype(column)
