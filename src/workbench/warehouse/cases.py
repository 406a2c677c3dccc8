"""Which cases of fraud were known on a day, and which of them decided?"""

from __future__ import annotations

from datetime import date

import pandas as pd

from workbench.warehouse.connect import Warehouse
from workbench.warehouse.features import as_date


def fraud_cases(warehouse: Warehouse, as_of: date | str) -> pd.DataFrame:
    """Give the cases opened before a day; those decided on it or later are open, without verdict, kind and loss."""
    day = pd.Timestamp(as_date(as_of))
    cases = warehouse.table("fraud_case")
    cases = cases[pd.to_datetime(cases["opened_on"]) < day].reset_index(drop=True)
    later = pd.to_datetime(cases["decided_on"]) >= day
    told = ["decided_on", "verdict", "kind", "loss"]
    return cases.assign(**{column: cases[column].mask(later) for column in told})
