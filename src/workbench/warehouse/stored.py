"""How does a version keep the detail records and their partials? By month, a month in one file or in several pieces.

A month that still grows has a piece for what each day brought, `2026-06+0of3.parquet` …: those of records are put
together, those of partials are, too, and rows of one key are made one when they are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from workbench.warehouse.features import STORED
from workbench.warehouse.sql import literal

RECORDS = "detail_record"
_COUNTS = ("events", "night", "weekend", "on_net", "net_known", "roaming", "international")
_SUMS = ", ".join(f"CAST(SUM({name}) AS INTEGER) AS {name}" for name in _COUNTS)
_MADE_ONE = {
    "customer_day": _SUMS,
    "customer_month": f"CAST(SUM(active_days) AS INTEGER) AS active_days, MAX(last_on) AS last_on, {_SUMS}",
    "counterpart_month": "MIN(first_on) AS first_on, MAX(last_on) AS last_on",
}


def piece(month: str, number: int, of: int) -> str:
    """Name a piece of a month's file.

    >>> piece("2026-06.parquet", 0, 1), piece("2026-06.parquet", 1, 3)
    ('2026-06.parquet', '2026-06+1of3.parquet')
    """
    return f"{month.removesuffix('.parquet')}+{number}of{of}.parquet" if of > 1 else month


def month_of(file: Path) -> str:
    """The name that a month's file has, of one of its pieces."""
    return f"{file.stem.partition('+')[0]}.parquet"


def months(place: Path) -> dict[str, dict[str, list[Path]]]:
    """Files of the detail records and of their partials by month; of a partial that lacks a piece there are none."""
    found: dict[str, dict[str, list[Path]]] = {}
    for table in (RECORDS, *STORED):
        by_month = found[table] = {}
        for file in sorted((place / table).glob("*.parquet")):
            by_month.setdefault(month_of(file), []).append(file)
    for table in STORED:
        if found[table].keys() != found[RECORDS].keys() or not all(map(_is_whole, found[table].values())):
            found[table] = {}
    return found


def _is_whole(pieces: list[Path]) -> bool:
    return {file.stem.partition("of")[2] or "1" for file in pieces} == {str(len(pieces))}


def relation(table: str, files: Mapping[str, Iterable[Path]]) -> str:
    """The SELECT that gives the rows of the detail records or of a partial out of their files by month."""
    pieces = [list(several) for several in files.values()]
    if table == RECORDS:
        return f"SELECT * FROM {parquet(file for several in pieces for file in several)}"
    parts = [[file for several in pieces if len(several) == 1 for file in several]]
    parts += [[file for several in pieces if len(several) > 1 for file in several]]
    selects = [f"SELECT * FROM {parquet(parts[0])}"] if parts[0] else []
    selects += [made_one(table, parquet(parts[1]))] if parts[1] else []
    return " UNION ALL ".join(selects)


def made_one(table: str, rows: str) -> str:
    """The SELECT that makes rows of a partial that have one key a single row."""
    return f"SELECT * REPLACE ({_MADE_ONE[table]}) FROM {rows} GROUP BY ALL"


def days_twice(came: str, stand: str) -> str:
    """The SELECT that takes back, from the days of `customer_month`, those of customers with events that day already.

    Both are relations of `customer_day`: what came, and what stands.
    """
    nothing = ", ".join("0" for _ in _COUNTS)
    return (
        f"SELECT customer_id, nth, -COUNT(*) AS active_days, NULL::DATE AS last_on, {nothing} "
        f"FROM {came} AS came SEMI JOIN {stand} AS stand USING (customer_id, day_on) GROUP BY customer_id, nth"
    )


def parquet(files: Iterable[Path]) -> str:
    """Parquet files as SQL reads them."""
    return f"read_parquet([{', '.join(literal(str(file)) for file in files)}])"
