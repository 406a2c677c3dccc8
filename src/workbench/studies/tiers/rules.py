"""How are rules read from a file, and what must hold of them and of a table of customers?"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from workbench.columns import by_id, number, require_table
from workbench.errors import WorkbenchError, named

Made = TypeVar("Made")


def read_rules(path: str | Path | None, shipped: str, make: Callable[..., Made]) -> Made:
    """Make something of what a TOML file holds; without a path of the one that ships beside this module."""
    place = Path(path) if path else resources.files(__package__).joinpath(shipped)
    try:
        found = tomllib.loads(place.read_text(encoding="utf-8"))
        return make(**{key: tuple(value) if isinstance(value, list) else value for key, value in found.items()})
    except (OSError, TypeError, ValueError) as error:
        raise WorkbenchError(f"can't use {path or shipped}: {error}. Its form is that of {shipped}.") from None


def prove(where: str, rules: Mapping[str, object]) -> None:
    """Refuse data under rules of which one does not hold."""
    if broken := [rule for rule, holds in rules.items() if not holds]:
        raise WorkbenchError(f"{where}: {broken[0]}.")


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
