"""Tables of every awkward kind: what engines are most likely to see otherwise than ours does, over and over.

Nulls and ties; the ends of months, of years and of February; midnight and a second before; amounts of zero, below zero,
of half a cent and of a billion; names in Chinese and with quotes, in capitals and not. All of it is drawn from short
lists, so that each meets each; seeded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from workbench.warehouse import schema, sqlfiles
from workbench.warehouse.schema import Column, TableSchema

LEAP, MONTH_END = date(2024, 2, 29), date(2024, 3, 31)  # days as of which all is asked
ROWS = {
    "customer": 60,
    "tariff": 8,
    "subscription": 130,
    "detail_record": 4000,
    "usage_month": 900,
    "bill": 700,
    "payment": 900,
    "collection_action": 250,
    "fraud_case": 60,
    "contact": 500,
    "ticket": 300,
    "survey_response": 150,
    "survey_invitation": 250,
    "campaign": 7,
    "campaign_member": 250,
    "product": 40,
    "holding": 200,
    "market": 60,
    "opportunity": 80,
    "marketing_cost": 80,
}
TEXTS = ("北京", "广东", "安徽", "O'Brien", 'a"b', "back\\slash", "semi;colon", "Z", "a", "_", "A", " ", "$x", "%s")
ITEMS = ("Q1", "Q2", "Q10", "满意'度", 'a"b')
AMOUNTS = (0.0, -0.0, 0.005, -0.005, 1.005, 2.675, 10.125, -12.34, 19.9, 33.3333, 0.1, 0.2, 0.3, 100.0, 1e9)
COUNTS = (0, 1, 2, 3, 7, 28, 31)
DAYS = (
    *(date(2023, m, 1) for m in range(1, 13)),
    *(date(2024, m, 1) for m in (1, 2, 3, 4)),
    *(date(2023, m, 1) - timedelta(days=1) for m in range(2, 13)),
    date(2023, 12, 31),
    date(2024, 1, 31),
    date(2024, 2, 28),
    LEAP,
    MONTH_END,
    date(2024, 3, 30),
    date(2020, 2, 29),
    date(2019, 12, 31),
    date(2023, 11, 30),
    date(2023, 12, 1),
    date(2023, 12, 2),
    date(2024, 2, 15),
    date(2024, 3, 15),
)
TIMES = ("00:00:00", "23:59:59", "05:59:59", "06:00:00", "22:00:00", "12:30:15", "23:59:59.999999")
MONTHS = tuple(day for day in DAYS if day.day == 1)


def tables(seed: int = 0) -> dict[str, pa.Table]:
    """Give the canonical tables, filled."""
    rng, made = np.random.default_rng(seed), dict[str, pd.DataFrame]()
    for table in schema.tables().values():
        frame = pd.DataFrame({c.name: list(_column(table, c, ROWS[table.name], made, rng)) for c in table.columns})
        if table.name == "detail_record":  # a few lines use the network every day
            frame.loc[: len(frame) // 2, "customer_id"] = made["customer"]["customer_id"].iloc[3]
        made[table.name] = frame.drop_duplicates(subset=table.key) if table.key else frame
    return {name: _arrow(schema.table(name), frame) for name, frame in made.items()}


def copies(maps: bool) -> Iterator[tuple[str, str]]:
    """The canonical tables as SELECTs for an engine; where it has no maps without them, and with their long twins."""
    for table in schema.tables().values():
        columns = (c.name for c in table.columns if maps or not c.is_map)
        yield table.name, f"SELECT {', '.join(columns)} FROM {table.name}"
    for twin in () if maps else ("campaign_member_value", "survey_response_value"):
        yield twin, f"WITH {sqlfiles.expressions([twin])[0]} SELECT * FROM {twin}"


def _column(
    table: TableSchema, column: Column, n: int, made: dict[str, pd.DataFrame], rng: np.random.Generator
) -> Iterator[Any]:
    numbered = iter(rng.permutation(n))
    one = _one(table, column, made, rng)
    for _ in range(n):
        if column.unique:
            yield f"{TEXTS[(place := int(next(numbered))) % len(TEXTS)]}{place}"
        else:
            yield None if not column.not_null and rng.random() < 0.2 else one()


def _one(
    table: TableSchema, column: Column, made: dict[str, pd.DataFrame], rng: np.random.Generator
) -> Callable[[], Any]:
    """How to draw one value of a column."""

    def of(values: Any) -> Callable[[], Any]:
        return lambda: values[int(rng.integers(len(values)))]

    if column.relationships:
        return of(made[column.relationships[0]][column.relationships[1]].tolist())
    if column.accepted_values:
        return of(column.accepted_values)
    return {
        "text": of(TEXTS),
        "integer": of(
            range(1950, 2010) if column.unit == "year" else range(1, 5) if column.name == "stage" else COUNTS
        ),
        "double": of((0.0, 0.25, 0.425, 1.0) if column.unit == "share" else AMOUNTS),
        "boolean": of((True, False)),
        "date": of(MONTHS if column.name == "month" else DAYS),
        "timestamp": lambda: datetime.fromisoformat(f"{of(DAYS)()} {of(TIMES)()}"),
        "numbers": lambda: [(name, of(AMOUNTS)()) for name in ITEMS if rng.random() < 0.7],
        "texts": lambda: [(name, of(("1.5", "-2", "北京'", ""))()) for name in ITEMS if rng.random() < 0.7],
    }[column.type]


def _arrow(table: TableSchema, frame: pd.DataFrame) -> pa.Table:
    types: dict[str, pa.DataType] = {
        "text": pa.string(),
        "integer": pa.int64(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
        "numbers": pa.map_(pa.string(), pa.float64()),
        "texts": pa.map_(pa.string(), pa.string()),
    }
    values = {c.name: [None if v is None or v is pd.NaT or v != v else v for v in frame[c.name]] for c in table.columns}
    return pa.table({c.name: pa.array(_whole(values[c.name], c.type), types[c.type]) for c in table.columns})


def _whole(values: list, kind: str) -> list:
    if kind == "integer":
        return [None if v is None else int(v) for v in values]
    return [v.to_pydatetime() if isinstance(v, pd.Timestamp) else v for v in values]
