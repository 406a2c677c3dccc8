"""How does a version keep the detail records and their partials? By month, a month in one file or in several pieces.

A month that still grows has a piece for what each day brought, `2026-06+0of3.parquet` …: they are put together, and
rows of a partial that have one key are made one when they are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from workbench.warehouse.features import STORED
from workbench.warehouse.sql import literal

RECORDS = "detail_record"
COUNTS = ("events", "night", "weekend", "on_net", "net_known", "roaming", "international")
_SUMS = ", ".join(f"CAST(SUM({name}) AS INTEGER) AS {name}" for name in COUNTS)
_MADE_ONE = {
    "customer_day": _SUMS,
    "customer_month": f"CAST(SUM(active_days) AS INTEGER) AS active_days, MAX(last_on) AS last_on, {_SUMS}",
    "counterpart_month": "MIN(first_on) AS first_on, MAX(last_on) AS last_on",
}


def months(place: Path) -> dict[str, dict[str, list[Path]]]:
    """Files of the detail records and of their partials by month; of a partial that lacks a piece there are none."""
    found: dict[str, dict[str, list[Path]]] = {table: {} for table in (RECORDS, *STORED)}
    for table, by_month in found.items():
        for file in sorted((place / table).glob("*.parquet")):
            by_month.setdefault(month_of(file), []).append(file)
        whole = (str(len(files)) == (f.stem.partition("of")[2] or "1") for files in by_month.values() for f in files)
        if table != RECORDS and not (by_month.keys() == found[RECORDS].keys() and all(whole)):
            by_month.clear()
    return found


def month_of(file: Path) -> str:
    """The name of a piece's month, as its only file would have it."""
    return f"{file.stem.partition('+')[0]}.parquet"


def relation(table: str, files: Mapping[str, list[Path]]) -> str:
    """The SELECT that gives the rows of the detail records or of a partial out of their files by month."""
    whole = [file for pieces in files.values() if len(pieces) == 1 or table == RECORDS for file in pieces]
    apart = [file for pieces in files.values() for file in pieces if file not in whole]
    selects = [f"SELECT * FROM {parquet(whole)}"] if whole else []
    return " UNION ALL ".join(selects + ([made_one(table, parquet(apart))] if apart else []))


def made_one(table: str, rows: str) -> str:
    """The SELECT that makes rows of a partial that have one key a single row."""
    return f"SELECT * REPLACE ({_MADE_ONE[table]}) FROM {rows} GROUP BY ALL"


def parquet(files: Iterable[Path]) -> str:
    """Parquet files as SQL reads them."""
    return f"read_parquet([{', '.join(literal(str(file)) for file in files)}])"
