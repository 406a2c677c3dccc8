"""What do all departments together know of a customer? The whole base on one day, and one customer through time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError, one_or_many, require_name, unknown
from workbench.warehouse import schema, sqlfiles
from workbench.warehouse.connect import Warehouse
from workbench.warehouse.features import as_date, require_coverage, tables_stored
from workbench.warehouse.identities import united_with
from workbench.warehouse.views import view, view_sql

# The column of the view that is there if, and only if, the table has something on the customer: of lines, one that
# runs; of payments, no refund alone; of campaigns, one that contacted them.
_TOLD_BY = {
    "subscription": "line_since",
    "usage_month": "last_usage_month",
    "detail_record": "recency_days",
    "bill": "last_bill_month",
    "payment": "last_paid_on",
    "contact": "last_contact_at",
    "ticket": "last_ticket_at",
    "survey_response": "last_answered_on",
    "campaign_member": "last_campaign_on",
    "holding": "last_product_on",
    "opportunity": "last_lead_on",
}
# Where an operator usually holds a table, which is its department where its files lie in no folder.
_SYSTEM = {
    **dict.fromkeys(("customer", "subscription", "product", "holding"), "CRM"),
    **dict.fromkeys(("tariff", "usage_month", "bill", "payment", "collection_action"), "billing"),
    **dict.fromkeys(("contact", "ticket"), "call centre"),
    **dict.fromkeys(("survey_response", "survey_invitation"), "surveys"),
    **dict.fromkeys(("campaign", "campaign_member", "market", "opportunity", "marketing_cost"), "marketing"),
    "detail_record": "network",
    "fraud_case": "risk control",
}

_BELONGING = {
    "united_ids": "Ids under which other systems deliver the customer.",
    "household_others": "Others of the same household.",
    "group_others": "Others of the same group, or whose group the customer is.",
}
_TIME = re.compile(r"[\d\W_年月日季度Qq]*")
_MOST = 20  # members who are named on a customer's page


def customer_view(
    warehouse: Warehouse, as_of: date | str, *, province: str = "", items: Iterable[str] = ()
) -> pd.DataFrame:
    """Give what every department knows of each customer on one day: the view `customer_view`, one row a customer.

    Where the source has no table of customers, everybody whom another table names is one, joined on their first day on
    record. What a study finds of a customer (a tier, a segment) is merged by `customer_id`.

    Parameters
    ----------
    warehouse : Warehouse
    as_of : date or str
        Exclusive.
    province : str
        Take only its customers; "" for all.
    items : iterable of str
        Survey items of which the answer in the last interview is added, each as a column ``answer_ITEM``.

    Returns
    -------
    DataFrame
        Sorted by customer_id, those who left included (`state`); missing is NaN, NaT or None.

    Raises
    ------
    WorkbenchError
        If `as_of` is no date, or there is no such province or item.
    CannotAnswer
        If `as_of` lies outside the data, or nobody had joined before it.
    """
    day = as_date(as_of)
    require_coverage(warehouse, day, ["life"])
    require_name("province", province)
    if province:
        warehouse._check("customer", "province", province)
    answers = _answers(warehouse, day, one_or_many(items, "items"))
    frame = _whole_base(warehouse, day)
    frame = frame[frame["province"] == province].reset_index(drop=True) if province else frame
    if frame.empty:
        raise CannotAnswer(
            "not answerable: no customer is on record before {day} in '{source}'. Map a table that names customers, "
            "or choose a later day."
        ).of(day, warehouse.source)
    return frame if answers is None else frame.merge(answers, on="customer_id", how="left")


def addressed(warehouse: Warehouse, listed: pd.DataFrame, as_of: date | str) -> pd.DataFrame:
    """Add to a list of customers or lines what those who call them must know: who they are and which tariff they have.

    Parameters
    ----------
    warehouse : Warehouse
    listed : DataFrame
        One row a customer (customer_id) or line (subscription_id).
    as_of : date or str
        Exclusive: the lines that ran on the day before.

    Returns
    -------
    DataFrame
        The rows in their order. After the customer come province, kind and tariff (that of the line, or of the
        customer's main one; missing without a line that runs), but those that the list has itself; of a line also
        customer_id. What the source does not know is left out.
    """
    key = "customer_id" if "customer_id" in listed else "subscription_id"
    lines = view(warehouse, "line_tariff", as_of=as_date(as_of))
    lines = lines[lines["nth"] == 1] if key == "customer_id" else lines
    people = warehouse.table("customer", ["customer_id", "province", "kind"])
    rows = listed[[key]].merge(lines[list(dict.fromkeys((key, "customer_id", "tariff")))], on=key, how="left")
    rows = rows.merge(people, on="customer_id", how="left").set_axis(listed.index)
    added = [c for c in ("customer_id", "province", "kind", "tariff") if c not in listed and rows[c].notna().any()]
    first = list(dict.fromkeys([key, *(c for c in added if c == "customer_id")]))
    whole = listed.assign(**{c: rows[c] for c in added})
    return whole[list(dict.fromkeys([*first, *added, *listed.columns]))]


def tables_behind(warehouse: Warehouse) -> pd.DataFrame:
    """Give the tables that the customer view shows, with the column that tells whether a customer is in each.

    Returns
    -------
    DataFrame
        table, department (see `departments`), column; a table without rows is left out.
    """
    of, there = departments(warehouse), warehouse.tables()
    rows = [(table, of.get(table, table), column) for table, column in _TOLD_BY.items() if table in there]
    return pd.DataFrame(rows, columns=["table", "department", "column"])


def departments(warehouse: Warehouse) -> dict[str, str]:
    """Name the department that delivers each table: the first folder of its files that is not named by a time, else
    whose system usually holds it.

    Where the tables are read where they stand, it is what the mapping says of them.
    """
    found: dict[str, list[str]] = {}
    for file, table in warehouse.account()[["file", "table"]].itertuples(index=False):
        folders = [part.removesuffix(".zip") for part in str(file).split("/")[:-1]]
        first = [folder for folder in folders if not _TIME.fullmatch(folder)][:1]
        names = found.setdefault(str(table), [])
        names += [name for name in first or found.get(file, []) if name not in names]  # of a step: of its files
    named = {table: ", ".join(names) or _SYSTEM.get(table, table) for table, names in found.items()}
    return named or dict(getattr(warehouse, "departments", {}))


def customer_events(warehouse: Warehouse, customer: str, as_of: date | str) -> pd.DataFrame:
    """Give everything on record of one customer before a day: the view `customer_event`, oldest first.

    Raises
    ------
    WorkbenchError
        If no table names such a customer.
    CannotAnswer
        If nothing happened before `as_of`.
    """
    day = as_date(as_of)
    require_customer(warehouse, customer)
    found = view(warehouse, "customer_event", customer=customer, as_of=day)
    if found.empty:
        raise CannotAnswer(
            "not answerable: nothing of this customer is on record before {day}. Choose a later day."
        ).of(day)
    return found


def customer_facts(warehouse: Warehouse, customer: str, as_of: date | str) -> pd.DataFrame:
    """Give what the customer view knows of one customer: column, meaning, unit, value; what is missing is left out.

    Raises
    ------
    WorkbenchError
        If no table names such a customer.
    CannotAnswer
        If they had not joined before `as_of`.
    """
    require_customer(warehouse, customer)
    found = _whole_base(warehouse, as_date(as_of), customer)
    if found.empty:
        raise CannotAnswer("not answerable: this customer joined on {as_of} or later. Choose a later day.").of(as_of)
    known = found.iloc[0].drop("customer_id").dropna()
    told = [(name, meaning, unit) for name, unit, meaning in sqlfiles.described("customer_view") if name in known]
    facts = pd.DataFrame(told, columns=["column", "meaning", "unit"])
    facts = facts.assign(unit=facts["unit"].str.replace("currency", warehouse.currency), value=known.tolist())
    return pd.concat([facts, _belonging(warehouse, customer, as_date(as_of))], ignore_index=True)


def _belonging(warehouse: Warehouse, customer: str, day: date) -> pd.DataFrame:
    """Who belongs to the same household or group by a day, and under which ids other systems deliver the customer."""
    found = {"united_ids": sorted({*united_with(warehouse, [customer])} - {customer})}
    for of in ("household", "group"):
        sql = f"""SELECT o.customer_id FROM customer o LEFT JOIN customer c ON c.customer_id = $c
            WHERE o.customer_id <> $c AND o.joined_on < $day AND o.{of}_id IN ($c, c.{of}_id) ORDER BY 1"""
        found[f"{of}_others"] = warehouse.query(sql, {"c": customer, "day": day})["customer_id"].tolist()
    rows = [
        (name, _BELONGING[name], "", ", ".join(ids[:_MOST]) + (" …" if len(ids) > _MOST else ""))
        for name, ids in found.items()
        if ids
    ]
    return pd.DataFrame(rows, columns=["column", "meaning", "unit", "value"])


def require_customer(warehouse: Warehouse, customer: str) -> None:
    """Refuse a customer whom no table names; other customers are not named.

    Raises
    ------
    WorkbenchError
    """
    if not customer.strip():
        raise WorkbenchError("no customer is named. Give the customer's number as the lists of a report have it.")
    for table in schema.tables().values():
        if any(column.name == "customer_id" for column in table.columns):
            sql = f"SELECT 1 FROM {table.name} WHERE customer_id = ? LIMIT 1"
            if len(warehouse.query(sql, [customer])):
                return
    if one := united_with(warehouse, [customer]).get(customer):
        raise WorkbenchError("customer '{customer}' is one with '{one}' now. Ask for that one.").of(customer, one)
    raise WorkbenchError(
        "the warehouse of '{source}' knows no customer '{customer}'. Give the customer's number as the lists of a "
        "report have it; a telephone number or a name is not stored."
    ).of(warehouse.source, customer)


def _whole_base(warehouse: Warehouse, day: date, customer: str = "") -> pd.DataFrame:
    """The view, of one customer or all; its customers are those named anywhere where there is no table of them."""
    sql = view_sql("customer_view", stored := tables_stored(warehouse))
    if "customer" not in warehouse.tables():
        columns = ", ".join(column.name for column in schema.table("customer").columns)
        named = ",\n".join(sqlfiles.expressions(["named_customer"], stored))
        theirs = f"customer AS MATERIALIZED (\nSELECT {columns} FROM named_customer\n)"
        there = [*stored, *sqlfiles.with_what_they_read(["named_customer"], stored)]
        rest = ",\n".join([named, theirs, *sqlfiles.expressions(["customer_view"], there)])
        sql = f"WITH {rest}\nSELECT * FROM customer_view\nORDER BY customer_id NULLS LAST"
    where = {"customer": customer} if customer else {}
    if customer:
        sql = f"SELECT * FROM ({sql}) AS base WHERE customer_id = $customer"
    return warehouse.query(sql, {"as_of": day, **where})


def _answers(warehouse: Warehouse, day: date, items: list[str]) -> pd.DataFrame | None:
    """Answers of each customer's last interview before a day, a column an item; None where none is asked for."""
    if not items:
        return None
    known = view(warehouse, "survey_response_value")
    if lacking := [item for item in items if item not in set(known["name"])]:
        raise unknown("item", lacking[0], sorted(set(known["name"])), "the survey")
    asked = warehouse.table("survey_response", ["response_id", "customer_id", "answered_on"])
    asked = asked[asked["customer_id"].notna() & (asked["answered_on"] < pd.Timestamp(day))]
    last = asked.sort_values(["answered_on", "response_id"]).drop_duplicates("customer_id", keep="last")
    rows = known[known["name"].isin(items)].merge(last, on="response_id")
    wide = rows.set_index(["customer_id", "name"])["value"].unstack("name").reindex(columns=items)  # noqa: PD010
    return wide.add_prefix("answer_").reset_index().rename_axis(columns=None)
