"""Spark as the warehouse: the canonical tables of a catalog or of a folder of Parquet files, read and never written."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pandas as pd
import pyarrow as pa

from workbench.errors import WorkbenchError
from workbench.messages import say
from workbench.warehouse.engines.render import Rendered, Work, quoted, rendered

# Without the first, days hang on the machine; the second is the default of Spark 4 and not of 3.5.
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
}
_AT_START = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}
_TYPES = {
    "VARCHAR": "STRING",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "MAP(VARCHAR, DOUBLE)": "MAP<STRING, DOUBLE>",
    "MAP(VARCHAR, VARCHAR)": "MAP<STRING, STRING>",
}
_LOCAL = {"spark.sql.shuffle.partitions": "8"}


class Spark:
    """A session of its own of Spark 3.5 or 4. What a query needs on the way are temporary views, some in memory.

    Parameters
    ----------
    master : str
        ``local[*]``, ``spark://host:port``, ``yarn``, or ``sc://host`` for a server of Spark Connect.
    schema : str
        The catalog's schema in which the canonical tables stand, or with a "/" in it a folder of Parquet files,
        TABLE.parquet each; "default" where it is "".
    """

    dialect = "spark"
    maps = ships = True

    def __init__(self, master: str, schema: str = "") -> None:
        self._master, self._schema = master, schema or "default"
        self._lock, self._began = threading.RLock(), False
        self._session: Any = None

    def columns(self) -> dict[str, dict[str, str]]:
        """Types of the columns of each table and view of the schema, in lower case."""
        session = self._connected()
        if "/" in self._schema:
            names = self._files()
        else:
            rows = session.sql(f"SHOW TABLES IN {self._schema}").collect()
            names = [row.tableName for row in rows if not row.isTemporary]
        fields = {name: session.table(self.full_name(name)).schema for name in sorted(names)}
        return {
            name.lower(): {f.name.lower(): f.dataType.simpleString().lower() for f in found}
            for name, found in fields.items()
        }

    def column(self, name: str, kind: str) -> str:
        """A column as a canonical one; texts sort by code point anyway."""
        return f"CAST({name} AS {_TYPES.get(kind, kind)})"

    def full_name(self, table: str) -> str:
        """A table as a statement names it, apart from the view of the same name."""
        return f"file_{table}" if "/" in self._schema else f"{self._schema}.{table}"

    def define(self, views: Mapping[str, str]) -> None:
        """Let names stand for SELECTs in all that is run."""
        for name, select in views.items():
            self._connected().sql(select).createOrReplaceTempView(name)

    def run(
        self, sql: str, parameters: Sequence | Mapping = (), given: Mapping[str, pd.DataFrame] | None = None
    ) -> pa.Table:
        """Run a query of ours."""
        query = rendered(sql, parameters, self.dialect)
        with self._lock:
            return self._answer(self._connected(), query, given or {})

    def stream(self, sql: str, parameters: Any, batch: int, work: Work | None) -> Iterator[pa.RecordBatch]:
        """Give what a work makes of the rows of a query, in their order: done where they are, one partition at a time.

        What the executors have made waits on their disks. They need this package where `work` is of it.
        """
        from pyspark import StorageLevel  # type: ignore[import-not-found,unused-ignore]

        query = rendered(sql, parameters, self.dialect)
        with self._lock, self._standing(self._connected(), query, {}):
            found = self._connected().sql(query.last)
            plain = [
                f"CAST({_name(n)} AS DOUBLE) AS {_name(n)}" if k.startswith("decimal") else _name(n)
                for n, k in found.dtypes
            ]
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")  # Arrow is all it needs
                made = found.selectExpr(*plain).mapInArrow(partial(_packed, work, batch), "part binary")
            made = made.persist(StorageLevel.DISK_ONLY)
            try:
                made.count()  # all partitions at once; then they come one after another
                for row in made.toLocalIterator():
                    with pa.ipc.open_stream(pa.py_buffer(row.part)) as reader:
                        yield from reader
            except Exception as error:
                if said := re.findall(r"(?:Error|CannotAnswer): (.+)", str(error)):  # what a worker says comes last
                    raise WorkbenchError(said[-1]) from None
                raise
            finally:
                made.unpersist()

    @contextmanager
    def table(self, name: str) -> Iterator[Callable[[pa.Table], None]]:
        """Give what appends to a new table of the catalog, which has its name when all of it is written, or not at all.

        Raises
        ------
        WorkbenchError
            If the tables are files, the catalog ends with the session, or Spark refuses.
        """
        from pyspark.errors import PySparkException  # type: ignore[import-not-found,unused-ignore]

        session, part = self._connected(), f"{name}_{uuid.uuid4().hex[:8]}"
        catalogs = session.conf.get("spark.sql.catalogImplementation", "in-memory")
        if "/" in self._schema or (catalogs == "in-memory" and self._schema.count(".") == 0):
            raise WorkbenchError("a table needs a catalog that stays, and this Spark has none. Name a file.")
        full, made = [f"{self._schema}.{_name(n)}" for n in (name, part)], False

        def write(rows: pa.Table) -> None:
            nonlocal made
            _frame(session, rows).write.saveAsTable(full[1], mode="append")
            made = True

        try:
            if session.catalog.tableExists(full[0]):
                raise WorkbenchError("table {table} can't be written: {why}.").of(name, say("it is there already"))
            yield write
            if made:
                session.sql(f"ALTER TABLE {full[1]} RENAME TO {full[0]}")
        except PySparkException as error:
            why = str(error).strip().splitlines()[0]
            raise WorkbenchError("table {table} can't be written: {why}.").of(name, why) from None
        finally:
            with suppress(Exception):
                session.sql(f"DROP TABLE IF EXISTS {full[1]}")

    def close(self) -> None:
        """Let the session go; what others began in this process stays."""
        with self._lock:
            if self._session is not None and self._began:
                with suppress(Exception):  # one that has died
                    self._session.stop()
            self._session = None

    def _answer(self, session: Any, query: Rendered, given: Mapping[str, pd.DataFrame]) -> pa.Table:
        with self._standing(session, query, given):
            return _plain(session.sql(query.last))

    @contextmanager
    def _standing(self, session: Any, query: Rendered, given: Mapping[str, pd.DataFrame]) -> Iterator[None]:
        """Let the steps of a query stand as temporary views for a while, in memory those kept and read twice."""
        kept, texts = [], [*(step.select for step in query.steps), query.last]
        try:
            for name, frame in given.items():
                _frame(session, pa.Table.from_pandas(frame, preserve_index=False)).createOrReplaceTempView(name)
            for step in query.steps:
                frame = session.sql(step.select)
                if step.kept and sum(text.count(step.name) for text in texts) > 1:
                    kept.append(frame.cache())
                frame.createOrReplaceTempView(step.name)
            yield
        finally:
            for frame in kept:
                frame.unpersist()
            for name in [step.name for step in reversed(query.steps)] + list(given):
                session.catalog.dropTempView(name)

    def _files(self) -> list[str]:
        """Read each Parquet file of the folder as a view."""
        from pathlib import Path

        names = sorted(path.name.removesuffix(".parquet") for path in Path(self._schema).glob("*.parquet"))
        for name in names:
            if [other.lower() for other in names].count(name.lower()) > 1:
                raise WorkbenchError("two tables are called {table}: letters are of no matter there.").of(name)
            self._connected().read.parquet(f"{self._schema}/{name}.parquet").createOrReplaceTempView(f"file_{name}")
        return names

    def _connected(self) -> Any:
        with self._lock:
            if self._session is None:
                from pyspark import SparkContext  # type: ignore[import-not-found,unused-ignore]
                from pyspark.sql import SparkSession  # type: ignore[import-not-found,unused-ignore]

                builder, settings = SparkSession.builder, _SETTINGS
                if self._master.startswith("sc://"):
                    self._session, self._began = builder.remote(self._master).create(), True
                else:
                    if self._master.startswith("local"):
                        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else workers are of another Python
                        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # else it listens to the network
                        settings = _SETTINGS | _LOCAL
                    if began := SparkContext._active_spark_context is None:
                        for name, value in _AT_START.items():
                            builder = builder.config(name, value)
                    found = builder.master(self._master).appName("workbench").getOrCreate()
                    if began:
                        found.sparkContext.setLogLevel("OFF")
                    # Views and settings of its own: another source has views of the same names, others their zone.
                    self._session, self._began = found.newSession(), began
                _keep_statements_off_the_screen()
                for name, value in settings.items():
                    self._session.conf.set(name, value)
            return self._session


def _keep_statements_off_the_screen() -> None:
    """Let Spark 4 write no statement that fails to the error stream, whole, as JSON: our sentence is enough.

    Nor a traceback by the root logger, where Spark has died.
    """
    logging.getLogger().addFilter(_not_py4j)
    with suppress(ImportError):  # Spark 3.5 writes none
        from pyspark.logger import PySparkLogger  # type: ignore[import-not-found,unused-ignore]

        for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
            PySparkLogger.getLogger(name).disabled = True


def _not_py4j(record: logging.LogRecord) -> bool:
    return "py4j" not in record.pathname


def _packed(work: Work | None, most: int, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Give what a work makes of each batch as one value of bytes, so that its columns may be any."""
    for batch in (whole.slice(at, most) for whole in batches for at in range(0, whole.num_rows, most)):
        made, text = work(batch) if work else batch, pa.BufferOutputStream()
        with pa.ipc.new_stream(text, made.schema) as writer:
            writer.write(made)
        yield pa.RecordBatch.from_pydict({"part": pa.array([text.getvalue().to_pybytes()], pa.binary())})


def _frame(session: Any, table: pa.Table) -> Any:
    """Hand over a table."""
    from pyspark.sql.pandas.types import from_arrow_schema  # type: ignore[import-not-found,unused-ignore]

    if not session.version.startswith("3."):
        return session.createDataFrame(table)
    rows = [tuple(row.values()) for row in table.to_pylist()]  # 3.5 takes no Arrow table
    return session.createDataFrame(rows, from_arrow_schema(table.schema, prefer_timestamp_ntz=True))


_name = partial(quoted, dialect="spark")


def _plain(frame: Any) -> pa.Table:
    """Give an answer as Arrow; decimals as numbers."""
    if hasattr(frame, "toArrow"):
        found = frame.toArrow()
    else:  # Spark 3.5, where an answer without rows has no batch that would say its columns
        from pyspark.sql.pandas.types import to_arrow_schema  # type: ignore[import-not-found,unused-ignore]

        batches = frame._collect_as_arrow()
        found = pa.Table.from_batches(batches, None if batches else to_arrow_schema(frame.schema))
    kinds = [pa.float64() if pa.types.is_decimal(f.type) else f.type for f in found.schema]
    return found.cast(pa.schema(list(zip(found.column_names, kinds, strict=True))))
