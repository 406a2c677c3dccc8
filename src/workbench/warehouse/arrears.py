"""Who owes what for how long, what was done about it, and how did each customer pay?"""

from __future__ import annotations

from datetime import date

import pandas as pd

from workbench.errors import CannotAnswer
from workbench.messages import Term
from workbench.warehouse.features import Queryable, as_date
from workbench.warehouse.views import view


def bill_history(warehouse: Queryable, as_of: date | str) -> pd.DataFrame:
    """Give each bill due before a day, and how it was paid: the view `bill_history`."""
    return _some(view(warehouse, "bill_history", as_of=as_date(as_of)))


def account_months(warehouse: Queryable, as_of: date | str, *, day: int = 15) -> pd.DataFrame:
    """Give the state of arrears of each account on one day of each month: the view `account_month`."""
    return _some(view(warehouse, "account_month", as_of=as_date(as_of), day=day))


def collection_stages(warehouse: Queryable, as_of: date | str) -> pd.DataFrame:
    """Give each action of collection, and what was paid within its ten days: the view `collection_stage`."""
    return _some(view(warehouse, "collection_stage", as_of=as_date(as_of)), "action of collection")


def credit_histories(warehouse: Queryable, day: date | str, as_of: date | str) -> pd.DataFrame:
    """Give how each customer paid before a day, and who was 60 days past due after: the view `credit_history`."""
    return _some(view(warehouse, "credit_history", day=as_date(day), as_of=as_date(as_of)))


def _some(found: pd.DataFrame, what: str = "bill that fell due, with payments for bills") -> pd.DataFrame:
    if found.empty:
        raise CannotAnswer("not answerable: these data have no {what}.").of(Term(what))
    return found
