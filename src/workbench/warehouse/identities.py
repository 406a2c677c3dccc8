"""Who was united with whom, and who may be one? What a version of the warehouse knows of it, case by case."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import pandas as pd

from workbench.errors import WorkbenchError, unknown
from workbench.messages import say
from workbench.warehouse.connect import Warehouse


def cases(warehouse: Warehouse, *, united: bool = False) -> pd.DataFrame:
    """Give the cases that await a decision, or those of the customers that were united.

    Returns
    -------
    DataFrame
        A row a customer: case_id, rule, why, customers (of the case), customer_id (as delivered; missing where too many
        share a value), and what is known of them, as pseudonyms; of united ones case_id, rule, customers, customer_id,
        united_into, system and file (of the delivery that has them first).
    """
    with warehouse.connect() as con:
        names = {name for (name,) in con.execute("SELECT view_name FROM duckdb_views()").fetchall()}
    if "customer_identity" not in names:  # a mapping without rules
        return pd.DataFrame(columns=["case_id", "rule", "why", "customers", "customer_id", "united_into"])
    if not united:
        return warehouse.query("FROM identity_review ORDER BY case_id, customer_id")
    found = warehouse.query(
        "FROM customer_identity UNION ALL BY NAME SELECT DISTINCT united_into AS customer_id, united_into, "
        "'' AS rule FROM customer_identity ORDER BY united_into, customer_id"
    )
    whole = found.groupby("united_into")["customer_id"]
    found = found.assign(case_id=case_names(found, "united_into"), customers=whole.transform("size"))
    return found[["case_id", "rule", "customers", "customer_id", "united_into", "system", "file"]]


def chosen(warehouse: Warehouse, names: Iterable[str]) -> pd.DataFrame:
    """Give the rows of some cases, of both kinds.

    Raises
    ------
    WorkbenchError
        If there is no such case, or it lists no customers.
    """
    known = pd.concat([cases(warehouse), cases(warehouse, united=True)])
    for name in names:
        if name not in set(known["case_id"]):
            raise unknown("case", name, known["case_id"].unique(), warehouse.source)
    found = known[known["case_id"].isin(set(names))]
    if found["customer_id"].isna().any():
        said = say("more customers share the value than can be decided one by one: correct the rule in the mapping.")
        raise WorkbenchError(said)
    return found[["case_id", "customer_id"]]


def united_with(warehouse: Warehouse, numbers: Iterable[str]) -> set[str]:
    """Give all ids as delivered of the customers that some of them were united with, theirs among them."""
    known = cases(warehouse, united=True)
    whose = known.loc[known["customer_id"].isin(set(numbers)), "united_into"]
    return set(known.loc[known["united_into"].isin(whose), "customer_id"])


def case_names(frame: pd.DataFrame, by: str) -> pd.Series:
    """Name cases by the customers that are in them."""
    ids = frame.sort_values("customer_id").groupby(by)["customer_id"].agg("\n".join)
    return frame[by].map(ids.map(named_by))


def named_by(text: str) -> str:
    """Give ten digits that tell a text from others."""
    return hashlib.blake2b(text.encode(), digest_size=5).hexdigest()
