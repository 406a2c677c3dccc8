"""What may stand in the warehouse? The canonical tables, read from `schema.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Literal

from workbench.errors import require_known, unknown
from workbench.messages import say

ColumnType = Literal["text", "integer", "double", "boolean", "date", "timestamp", "numbers", "texts"]

SQL_TYPES: dict[str, str] = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "numbers": "MAP(VARCHAR, DOUBLE)",
    "texts": "MAP(VARCHAR, VARCHAR)",
}


@dataclass(frozen=True)
class Column:
    """A column of a canonical table, with its rules.

    Attributes
    ----------
    name, meaning : str
    type : ColumnType
    unit : str
        "" where it has none.
    not_null, unique : bool
    accepted_values : tuple of str
        () where every value is accepted.
    in_range : (low, high) or None
        Both ends included.
    relationships : (table, column) or None
        Where each value must stand, too.
    holds : {'phone', 'name', None}
        What clear text a pseudonym stands for.
    """

    name: str
    type: ColumnType
    meaning: str
    unit: str = ""
    not_null: bool = False
    unique: bool = False
    accepted_values: tuple[str, ...] = ()
    in_range: tuple[float | date, float | date] | None = None
    relationships: tuple[str, str] | None = None
    holds: str | None = None

    @property
    def is_identifier(self) -> bool:
        """Whether it tells customers, lines and the like apart."""
        return self.name.endswith(("_id", "_key"))

    @property
    def is_free_text(self) -> bool:
        """Whether people may have written anything into it."""
        return self.type in ("text", "texts") and not (self.accepted_values or self.is_identifier or self.relationships)

    @property
    def sql_type(self) -> str:
        """The column's type in DuckDB."""
        return SQL_TYPES[self.type]

    @property
    def is_map(self) -> bool:
        """Whether a cell holds values by name."""
        return self.type in ("numbers", "texts")


@dataclass(frozen=True)
class TableSchema:
    """A canonical table: its meaning, the columns that identify a row, and all columns in order."""

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column:
        """Give a column by name.

        Raises
        ------
        WorkbenchError
            If there is none; the nearest is suggested.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise unknown("column", name, [c.name for c in self.columns], say("table {table}", table=self.name))

    def ddl(self) -> str:
        """The statement that makes the empty table in DuckDB."""
        return f"CREATE TABLE {self.name} ({', '.join(f'{c.name} {c.sql_type}' for c in self.columns)})"

    def as_now(self, stored: Iterable[str]) -> str:
        """The cells to select of a table that an earlier definition made, whose columns are `stored`.

        >>> TableSchema("t", "", (), (Column("a", "text", ""), Column("b", "date", ""))).as_now(["a"])
        'a, NULL::DATE AS b'
        """
        there = set(stored)
        return ", ".join(c.name if c.name in there else f"NULL::{c.sql_type} AS {c.name}" for c in self.columns)


@cache
def _definition() -> tuple[int, list[int], dict[str, TableSchema]]:
    raw = tomllib.loads(resources.files(__package__).joinpath("schema.toml").read_text(encoding="utf-8"))
    tables = {}
    for name, table in raw["table"].items():
        columns = tuple(_column(c) for c in table["column"])
        tables[name] = TableSchema(name, table["meaning"], tuple(table["key"]), columns)
    return raw["version"], raw["reads"], tables


def _column(raw: dict) -> Column:
    raw = dict(raw)
    for name in ("accepted_values", "in_range"):
        if name in raw:
            raw[name] = tuple(raw[name])
    if "relationships" in raw:
        raw["relationships"] = tuple(raw["relationships"].split("."))
    return Column(**raw)


def version() -> int:
    """Number of this definition; a warehouse built under another one is refused, if it is none that `reads` names."""
    return _definition()[0]


def reads() -> list[int]:
    """Numbers of the earlier definitions whose tables differ by what was added since alone."""
    return _definition()[1]


def tables() -> dict[str, TableSchema]:
    """All canonical tables by name, parents before children."""
    return _definition()[2]


def table(name: str) -> TableSchema:
    """Give a canonical table by name.

    >>> table("holding").key
    ('customer_id', 'product_id', 'from_on')

    Raises
    ------
    WorkbenchError
        If there is none; the nearest is suggested.
    """
    require_known("table", name, tables())
    return tables()[name]
