"""What came in, from whom, how complete, and what of it can't be true? What the study of data quality rests on."""

from __future__ import annotations

from datetime import date

import pandas as pd

from workbench.errors import CannotAnswer
from workbench.warehouse import schema
from workbench.warehouse.connect import Warehouse
from workbench.warehouse.features import as_date, require_coverage
from workbench.warehouse.overview import departments
from workbench.warehouse.views import view

# What became of each refused record: it repeats the key of an accepted one, or is a total or replaced, or is lost.
_JUDGED = """
    SELECT
        file, "table", reasons, record,
        list_bool_or(list_transform(reasons, lambda r: r LIKE 'the key (%) stands in %')) AS copy,
        list_has_any(reasons, ['the row is a total', 'a later row of the same key replaces it',
        'the customer is one with another, whose row says what is known of both']) AS aside
    FROM quarantine
"""
_COUNTED = f"""
WITH judged AS ({_JUDGED}),
why AS (
    SELECT "table", reason, count(*) AS n
    FROM (SELECT "table", unnest(reasons) AS reason FROM judged WHERE NOT copy AND NOT aside)
    GROUP BY ALL
)
SELECT "table", count(*) FILTER (WHERE copy AND NOT aside) AS copies, count(*) FILTER (WHERE aside) AS aside,
    (SELECT reason FROM why WHERE why."table" = judged."table" ORDER BY n DESC, reason LIMIT 1) AS why
FROM judged
GROUP BY "table"
"""
# Of each file, the field of its lost records that names a customer most often, at least in every second record, is
# taken for the customer's; a record that can't be cut into fields names nobody.
_NAMED = f"""
WITH judged AS ({_JUDGED}),
entry AS (
    SELECT file, "table", unnest(map_entries(CAST(CAST(record AS JSON) AS MAP(VARCHAR, VARCHAR)))) AS field
    FROM judged
    WHERE NOT copy AND NOT aside AND json_valid(record) AND json_type(record) = 'OBJECT'
),
known AS (
    SELECT entry.file, entry."table", entry.field.key AS name, customer.customer_id
    FROM entry LEFT JOIN customer ON customer.customer_id = entry.field.value
),
naming AS (
    SELECT file, "table", name,
        row_number() OVER (PARTITION BY file, "table" ORDER BY count(customer_id) DESC, name) AS nth
    FROM known
    GROUP BY file, "table", name
    HAVING 2 * count(customer_id) >= count(*)
)
SELECT known."table", count(DISTINCT known.customer_id) AS customers
FROM known JOIN naming USING (file, "table", name)
WHERE naming.nth = 1
GROUP BY known."table"
"""


def customers_on_record(warehouse: Warehouse) -> int:
    """Count the customers of the source; 0 where it has no table of them."""
    return int(warehouse.query("SELECT count(*) AS n FROM customer")["n"].iloc[0])


def deliveries(warehouse: Warehouse, as_of: date | str) -> pd.DataFrame:
    """Give what came in by table and month before a day: the view `table_month`, with the department of each table.

    Raises
    ------
    CannotAnswer
        If the day lies outside the data.
    """
    day = as_date(as_of)
    require_coverage(warehouse, day, ["life"])
    found = view(warehouse, "table_month", as_of=day)
    return found.assign(department=found["fact"].map(departments(warehouse)).fillna("")).rename(
        columns={"fact": "table"}
    )


def contradictions(warehouse: Warehouse, as_of: date | str) -> pd.DataFrame:
    """Give whom two systems contradict each other about: the view `customer_contradiction`."""
    return view(warehouse, "customer_contradiction", as_of=as_date(as_of))


def refusals(warehouse: Warehouse) -> pd.DataFrame:
    """Give what was refused when the data came in, one row a table.

    Returns
    -------
    DataFrame
        table, department, records, lost (refused for good, or because their parent was), copies (refused, while the
        same key stands in an accepted row: no loss), customers (of the source, whom the lost records name), why (the
        most frequent reason of the lost ones; "" where there are none).
    """
    found = warehouse.account().groupby("table", sort=False)[["raw", "quarantined"]].sum()
    if found.empty:
        raise CannotAnswer(
            "nothing came in: the tables of '{source}' are read where they stand. Ingest an extract to judge what "
            "is delivered."
        ).of(warehouse.source)
    found = found.join(warehouse.query(_COUNTED).set_index("table")).join(warehouse.query(_NAMED).set_index("table"))
    counts = ["copies", "aside", "customers"]
    found[counts] = found[counts].fillna(0).astype("int64")
    found["lost"] = found["quarantined"] - found["copies"] - found["aside"]
    found["why"] = found["why"].astype(object).fillna("")
    found["department"] = found.index.map(departments(warehouse))
    order = ["table", "department", "records", "lost", "copies", "customers", "why"]
    return found.reset_index().rename(columns={"raw": "records"})[order]


def completeness(warehouse: Warehouse) -> pd.DataFrame:
    """Count the rows that have a value, for each column that may lack one: table, department, column, rows, filled, and
    whether it is mapped; where that is not on record, an empty column is taken to be.
    """
    of, rows = departments(warehouse), []
    facts = "SELECT value FROM facts WHERE name = 'mapped'"
    said = [] if hasattr(warehouse, "engine") else warehouse.query(facts)["value"].tolist()
    mapped = set(" ".join(said).split())
    for name in warehouse.tables():
        columns = [c for c in schema.table(name).columns if not c.not_null or c.is_map]
        has = {c: f"cardinality({c.name}) > 0" if c.is_map else f"{c.name} IS NOT NULL" for c in columns}
        counts = [f"count({c.name}) FILTER (WHERE {holds})" for c, holds in has.items()]
        total, *filled = warehouse.query(f"SELECT {', '.join(['count(*)', *counts])} FROM {name}").iloc[0]
        rows += [
            (name, of.get(name, ""), c.name, int(total), int(n), not mapped or n > 0 or f"{name}.{c.name}" in mapped)
            for c, n in zip(columns, filled, strict=True)
        ]
    return pd.DataFrame(rows, columns=["table", "department", "column", "rows", "filled", "mapped"])
