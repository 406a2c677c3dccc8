"""What must hold of a table of customers or accounts?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.columns import by_id, number, require_table
from workbench.messages import Listed, Word, quoted, say
from workbench.rules import prove


def checked(table: pd.DataFrame, keys: list[str], numbers: list[str], name: str) -> pd.DataFrame:
    """Give the rows in the order of their keys; refuses what is missing, repeated or not a finite number."""
    require_table(table, [*keys, *numbers], name)
    missing = table[[*keys, *numbers]].isna().sum().items()
    gaps = [say("'{column}' {n}", column=str(column), n=n) for column, n in missing if n]
    table = table.assign(**{c: table[c] if _plain(table[c]) else number(table[c], c, missing="keep") for c in numbers})
    twice = int(table.duplicated(keys).sum())
    prove(
        say("{name} of {n} rows", name=Word(name), n=len(table)),
        {
            say("missing values: {gaps}; mend or drop those rows", gaps=Listed(gaps, "")): not gaps,
            say("{n} repeat {names}; give one row for each", n=twice, names=quoted(keys)): not twice,
            say("{names} must be finite", names=quoted(numbers)): np.isfinite(
                table[numbers].to_numpy(dtype=float)
            ).all(),
        },
    )
    return table.iloc[by_id(table[keys[0]])].reset_index(drop=True)


def _plain(column: pd.Series) -> bool:
    return isinstance(column.dtype, np.dtype) and pd.api.types.is_numeric_dtype(column)
