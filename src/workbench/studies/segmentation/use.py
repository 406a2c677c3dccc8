"""What is known of how customers use us, who is in which group on which day, and what to do about it?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from workbench.errors import CannotAnswer, require_columns
from workbench.studies.segmentation.saved import SavedSegments


def described_use(customers: pd.DataFrame, called: Mapping[str, str]) -> pd.DataFrame:
    """Give the customers of whom all is known that describes their use, under the names that people call it.

    Examples
    --------
    >>> table = pd.DataFrame({"customer_id": ["a", "b"], "data_mb": [9.0, None]})
    >>> described_use(table, {"data_mb": "data (MB)"})["data (MB)"].to_dict()
    {'a': 9.0}

    Raises
    ------
    WorkbenchError
        If a column is missing.
    CannotAnswer
        If nothing describes the use of anybody.
    """
    require_columns(customers, ["customer_id", *called], "customers")
    found = customers.set_index("customer_id")[list(called)].dropna().rename(columns=dict(called))
    if not called or found.empty:
        raise CannotAnswer(
            "not answerable: of no customer is it known how they use us. Use by month or detail records say it."
        )
    return found


def memberships(saved: SavedSegments, days: Mapping[Any, tuple[pd.DataFrame, pd.DataFrame]]) -> pd.DataFrame:
    """Give who is in which of the saved clusters on which day: of each day the use, and a table with `monetary`."""
    return pd.concat(
        saved.members(use, on=day, revenue=table.set_index("customer_id")["monetary"])
        for day, (use, table) in days.items()
    )
