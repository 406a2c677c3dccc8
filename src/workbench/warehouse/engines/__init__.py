"""Where the data stand when one machine is not enough: an engine that has the canonical tables, and runs our SQL.

A source names it in its mapping: ``engine = "postgresql://…"``, ``"spark://…"`` or ``"local[*]"``; studies and
notebooks never know. The engine of a warehouse of our own is DuckDB, in `connect`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa

from workbench.errors import WorkbenchError
from workbench.warehouse.engines.render import Work, lacking

_SPARK = re.compile(r"local(\[.*\])?|yarn|(spark|sc|k8s)://.+")


class Engine(Protocol):
    """What a warehouse needs of an engine.

    Attributes
    ----------
    dialect : str
        As sqlglot calls its SQL.
    maps : bool
        Whether a column may hold values by name; where not, long twins stand as tables.
    ships : bool
        Whether work on rows is sent to where they are.
    """

    dialect: str
    maps: bool
    ships: bool

    def columns(self) -> dict[str, dict[str, str]]: ...
    def column(self, name: str, kind: str) -> str: ...
    def full_name(self, table: str) -> str: ...
    def define(self, views: Mapping[str, str]) -> None: ...
    def run(
        self, sql: str, parameters: Sequence | Mapping = (), given: Mapping[str, pd.DataFrame] | None = None
    ) -> pa.Table: ...
    def stream(self, sql: str, parameters: Any, batch: int, work: Work | None) -> Iterator[pa.RecordBatch]: ...
    def close(self) -> None: ...


def engine_of(url: str, schema: str = "") -> Engine:
    """Give the engine that a URL names, with its credentials; it connects when it is asked something.

    Raises
    ------
    WorkbenchError
        If no engine is called so, or the package that speaks to it is not installed.
    """
    try:
        if url.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
            import psycopg  # type: ignore[import-not-found,unused-ignore]  # noqa: F401

            from workbench.warehouse.engines.postgres import Postgres

            return Postgres(url.replace("+psycopg", "", 1), schema)
        if _SPARK.fullmatch(url):
            import pyspark  # type: ignore[import-not-found,unused-ignore]  # noqa: F401

            from workbench.warehouse.engines.spark import Spark

            return Spark(url, schema)
    except ModuleNotFoundError as error:
        raise lacking(error.name or "", "postgres" if error.name == "psycopg" else "spark") from None
    raise WorkbenchError(
        "no engine is called so. Write postgresql://host/database, spark://host:port, sc://host, yarn or local[*]."
    )
