"""How are rules read from a file, and what must hold of them and of a table of customers?"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError, named, require_columns

Made = TypeVar("Made")


def read_rules(path: str | Path | None, shipped: str, make: Callable[..., Made]) -> Made:
    """Make something of what a TOML file holds; without a path of the one that ships beside this module."""
    place = Path(path) if path else resources.files(__package__).joinpath(shipped)
    try:
        found = tomllib.loads(place.read_text(encoding="utf-8"))
        return make(**{key: tuple(value) if isinstance(value, list) else value for key, value in found.items()})
    except (OSError, TypeError, ValueError) as error:
        raise WorkbenchError(f"can't use {path or shipped}: {error}. Its form is that of {shipped}.") from None


def prove(where: str, rules: Mapping[str, bool]) -> None:
    """Refuse data under rules of which one does not hold."""
    if broken := [rule for rule, holds in rules.items() if not holds]:
        raise WorkbenchError(f"{where}: {broken[0]}.")


def checked(table: pd.DataFrame, keys: list[str], numbers: list[str], name: str) -> pd.DataFrame:
    """Give the rows in the order of their keys; refuses what is missing, repeated or not a finite number."""
    require_columns(table, [*keys, *numbers], name)
    gaps = [f"'{c}' {n:,}" for c, n in table[[*keys, *numbers]].isna().sum().items() if n]
    texts = [c for c in numbers if not pd.api.types.is_numeric_dtype(table[c])]
    twice = int(table.duplicated(keys).sum())
    prove(f"{name} of {len(table):,} rows", {
        f"missing values: {', '.join(gaps)}; mend or drop those rows": not gaps,
        f"{twice:,} repeat {named(keys)}; give one row for each": not twice,
        f"{named(texts)} must be numbers": not texts,
        f"{named(numbers)} must be finite": bool(texts) or np.isfinite(table[numbers].to_numpy(dtype=float)).all(),
    })  # fmt: skip
    return table.sort_values(keys, ignore_index=True)
