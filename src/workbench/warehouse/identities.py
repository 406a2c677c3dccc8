"""Who was united with whom, and who may be one? What a version of the warehouse knows of it, case by case."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import pandas as pd

from workbench.errors import WorkbenchError, require_known
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
    if not _has_any(warehouse):
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
        require_known("case_id", name, known["case_id"].unique(), warehouse.source)
    found = known[known["case_id"].isin(set(names))]
    if found["customer_id"].isna().any():
        raise WorkbenchError(
            "more customers share the value than can be decided one by one: correct the rule in the mapping."
        )
    return found[["case_id", "customer_id"]]


def united_with(warehouse: Warehouse, numbers: Iterable[str]) -> dict[str, str]:
    """Give all ids as delivered of the customers that some of them are of, each with the id that stayed."""
    if not _has_any(warehouse):
        return {}
    sql = """SELECT customer_id, united_into FROM customer_identity WHERE united_into IN (SELECT united_into
        FROM customer_identity WHERE list_has_any([customer_id, united_into], $numbers))"""
    found = warehouse.query(sql, {"numbers": sorted(numbers)})
    return dict(zip(found["customer_id"], found["united_into"], strict=True)) | {n: n for n in found["united_into"]}


def _has_any(warehouse: Warehouse) -> bool:
    """Whether the version was made of a mapping with rules, or with decisions."""
    if getattr(warehouse, "stored", None) is not None:  # read where it stands, and united there or not at all
        return False
    with warehouse.connect() as con:
        return bool(con.execute("SELECT 1 FROM duckdb_views() WHERE view_name = 'customer_identity'").fetchall())


def case_names(frame: pd.DataFrame, by: str) -> pd.Series:
    """Name cases by the customers that are in them."""
    ids = frame.sort_values("customer_id").groupby(by)["customer_id"].agg("\n".join)
    return frame[by].map(ids.map(named_by))


def named_by(text: str) -> str:
    """Give ten digits that tell a text from others."""
    return hashlib.blake2b(text.encode(), digest_size=5).hexdigest()
