"""Who bought what without a contract, top-ups included?"""

from __future__ import annotations

from datetime import date

import pandas as pd

from workbench.errors import CannotAnswer
from workbench.warehouse.connect import Warehouse


def purchases(warehouse: Warehouse, as_of: date | str, *, province: str = "") -> pd.DataFrame:
    """Give the payments before a day that settle no bill: top-ups and purchases, refunds below 0.

    Returns
    -------
    DataFrame
        One row a payment: customer_id, paid_on, amount.

    Raises
    ------
    CannotAnswer
        If every payment settles a bill.
    """
    day = pd.Timestamp(as_of)
    paid = warehouse.table("payment", ["customer_id", "bill_id", "paid_on", "amount"], province=province)
    bought = paid.query("paid_on < @day and bill_id.isna()").drop(columns="bill_id").reset_index(drop=True)
    if bought.empty:
        raise CannotAnswer(
            "not answerable: no payment of '{source}' before {day} is a top-up or a purchase, as each settles a "
            "bill. What contracts are worth is answered by the study 'lifetime_value'."
        ).of(warehouse.source, day)
    return bought
