"""Payments that settle no bill are purchases; where there are none, that is said."""

import pandas as pd
import pytest

from workbench.errors import CannotAnswer
from workbench.warehouse import open_warehouse, purchases


def test_payments_without_a_bill_are_purchases(operator):
    """Those before the day, and none of those that settle a bill; before the first there is no answer."""
    warehouse = open_warehouse("sample", root=operator)
    paid, day = warehouse.table("payment"), pd.Timestamp("2026-01-01")
    found = purchases(warehouse, "2026-01-01")
    assert len(found) == (paid["bill_id"].isna() & (paid["paid_on"] < day)).sum() > 0
    assert list(found) == ["customer_id", "paid_on", "amount"] and found["paid_on"].max() < day
    with pytest.raises(CannotAnswer, match="no payment of 'sample' before 2020-01-01"):
        purchases(warehouse, "2020-01-01")
