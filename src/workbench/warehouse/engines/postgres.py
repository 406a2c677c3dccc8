"""PostgreSQL as the warehouse: the canonical tables where they stand, read and never written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from workbench.errors import WorkbenchError
from workbench.warehouse.engines.render import Rendered, Work, quoted, rendered

_NUMERIC = 1700
_TYPES = {
    16: pa.bool_(),
    20: pa.int64(),
    21: pa.int16(),
    23: pa.int32(),
    25: pa.string(),
    700: pa.float64(),
    701: pa.float64(),
    705: pa.string(),
    1042: pa.string(),
    1043: pa.string(),
    1082: pa.date32(),
    1114: pa.timestamp("us"),
    _NUMERIC: pa.float64(),
}
# Views that hold their rows are among them, which the information schema leaves out.
_COLUMNS = """SELECT CAST(c.relname AS TEXT), CAST(a.attname AS TEXT),
  format_type(CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END, NULL)
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid JOIN pg_type AS t ON t.oid = a.atttypid
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND a.attnum > 0
  AND (has_column_privilege(c.oid, a.attnum, 'SELECT') OR NOT has_any_column_privilege(c.oid, 'SELECT'))
ORDER BY 1, a.attnum"""
# Without the first, a long query is compiled for longer than it runs; without the second, moments are the server's.
_SETTINGS = {"jit": "off", "timezone": "UTC", "datestyle": "ISO", "client_encoding": "UTF8"}


class Postgres:
    """A database of PostgreSQL 15 or later. What a query needs on the way are temporary tables until it is answered.

    Parameters
    ----------
    url : str
        ``postgresql://user:password@host:port/database``, with its credentials.
    schema : str
        In which the canonical tables stand; "public" where it is "".
    """

    dialect = "postgres"
    maps = ships = False

    def __init__(self, url: str, schema: str = "") -> None:
        self._url, self._schema = url, schema or "public"
        self._lock, self._views = threading.RLock(), dict[str, str]()
        self._con: Any = None

    def columns(self) -> dict[str, dict[str, str]]:
        """Types of the columns that may be read, by table and view of the schema; all of a table closed to us."""
        found = self._rows(_COLUMNS, [self._schema])
        tables: dict[str, dict[str, str]] = {}
        for table, column, kind in zip(*(found.column(i).to_pylist() for i in range(3)), strict=True):
            tables.setdefault(table, {})[column] = kind
        return tables

    def column(self, name: str, kind: str) -> str:
        """A column as a canonical one; texts sort by code point, whatever the database does."""
        sql_type = {"DOUBLE": "DOUBLE PRECISION", "VARCHAR": "TEXT"}.get(kind, kind)
        return f"CAST({name} AS {sql_type})" + (' COLLATE "C"' if kind == "VARCHAR" else "")

    def full_name(self, table: str) -> str:
        """A table as a statement names it, apart from the view of the same name."""
        return f"{_name(self._schema)}.{_name(table)}"

    def define(self, views: Mapping[str, str]) -> None:
        """Let names stand for SELECTs in all that is run."""
        with self._lock:
            self._views = dict(views)
            for name, select in views.items():
                self._do(f"CREATE OR REPLACE TEMPORARY VIEW {_name(name)} AS {select}")

    def run(
        self, sql: str, parameters: Sequence | Mapping = (), given: Mapping[str, pd.DataFrame] | None = None
    ) -> pa.Table:
        """Run a query of ours; a connection that was lost is made once more.

        Raises
        ------
        WorkbenchError
            If the server is not there, or refuses the query.
        """
        import psycopg  # type: ignore[import-not-found,unused-ignore]

        query = rendered(sql, parameters, self.dialect)
        with self._lock:
            try:
                return self._answer(query, given or {})
            except psycopg.OperationalError:
                if self._con is None or not self._con.broken:
                    raise
                self.close()
                self.define(self._views)
                return self._answer(query, given or {})

    def stream(self, sql: str, parameters: Any, batch: int, work: Work | None) -> Iterator[pa.RecordBatch]:
        """Give the rows of a query, `batch` at a time: one such is in memory. A lost connection is an error here."""
        query = rendered(sql, parameters, self.dialect)
        with self._lock, self._standing(query, {}):
            schema = self._rows(f"SELECT * FROM ({query.last}) AS answer LIMIT 0").schema
            reading = pa.csv.ReadOptions(column_names=schema.names)
            values = pa.csv.ConvertOptions(
                column_types=schema,
                null_values=[""],
                true_values=["t"],
                false_values=["f"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            )
            parsing = pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
            with self._connected().cursor().copy(f"COPY ({query.last}) TO STDOUT (FORMAT CSV)") as copy:
                while rows := b"".join(islice(copy, batch)):
                    found = pa.csv.read_csv(pa.BufferReader(rows), reading, parsing, values)
                    yield found.combine_chunks().to_batches()[0]

    @contextmanager
    def table(self, name: str) -> Iterator[Callable[[pa.Table], None]]:
        """Give what appends to a new table of the database, which stands when all of it is written, or not at all."""
        import psycopg  # type: ignore[import-not-found,unused-ignore]

        schema, _, own = name.rpartition(".")
        full = f"{_name(schema or self._schema)}.{_name(own)}"
        cursor: Any = None
        made = False

        def write(rows: pa.Table) -> None:
            nonlocal made
            if not made:
                columns = [f"{_name(field.name)} {_sql_type(field.type)}" for field in rows.schema]
                cursor.execute(f"CREATE TABLE {full} ({', '.join(columns)})")
                made = True
            text = pa.BufferOutputStream()
            pa.csv.write_csv(rows, text, pa.csv.WriteOptions(include_header=False))
            with cursor.copy(f"COPY {full} FROM STDIN (FORMAT CSV)") as copy:
                copy.write(text.getvalue().to_pybytes())

        try:
            with psycopg.connect(self._url, connect_timeout=10) as con, con.cursor() as cursor:
                yield write
        except psycopg.Error as error:  # also of the commit
            why = str(error).strip().splitlines()[0]
            raise WorkbenchError("table {table} can't be written: {why}.").of(name, why) from None

    def close(self) -> None:
        """Let the connection go, and all that stands on it."""
        with self._lock:
            if self._con is not None:
                self._con.close()
            self._con = None

    def _answer(self, query: Rendered, given: Mapping[str, pd.DataFrame]) -> pa.Table:
        with self._standing(query, given):
            return self._rows(query.last)

    @contextmanager
    def _standing(self, query: Rendered, given: Mapping[str, pd.DataFrame]) -> Iterator[None]:
        """Let the steps of a query stand as temporary tables and views for a while."""
        made: list[tuple[str, str]] = []
        try:
            for name, frame in given.items():
                self._put(name, frame)
                made.append(("TABLE", name))
            for step in query.steps:
                kind = "TABLE" if step.kept else "VIEW"
                self._do(f"CREATE TEMPORARY {kind} {step.name} AS {step.select}")
                made.append((kind, step.name))
                if step.kept:
                    self._do(f"ANALYZE {step.name}")
            yield
        finally:
            if self._con is not None and not self._con.broken:
                for kind, name in reversed(made):
                    self._do(f"DROP {kind} pg_temp.{_name(name)}")

    def _put(self, name: str, frame: pd.DataFrame) -> None:
        """Hand over a table as a temporary one."""
        table = pa.Table.from_pandas(frame, preserve_index=False)
        columns = [f"{_name(field.name)} {_sql_type(field.type)}" for field in table.schema]
        self._do(f"CREATE TEMPORARY TABLE {_name(name)} ({', '.join(columns)})")
        with self._connected().cursor() as cursor, cursor.copy(f"COPY {_name(name)} FROM STDIN") as copy:
            for batch in table.to_batches(50_000):
                for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    copy.write_row(row)

    def _do(self, statement: str) -> None:
        with self._connected().cursor() as cursor:
            cursor.execute(statement)

    def _rows(self, statement: str, given: Sequence[str] | None = None) -> pa.Table:
        with self._connected().cursor() as cursor:
            cursor.execute(statement, given)
            described, rows = cursor.description, cursor.fetchall()
        columns = zip(*rows, strict=True) if rows else [()] * len(described)
        arrays = []
        values: Sequence[Any]
        for column, values in zip(described, columns, strict=True):
            if column.type_code not in _TYPES:
                raise WorkbenchError("column '{column}' has a type that no study reads. Cast it there.").of(column.name)
            if column.type_code == _NUMERIC:
                values = [None if value is None else float(value) for value in values]
            arrays.append(pa.array(values, _TYPES[column.type_code]))
        return pa.Table.from_arrays(arrays, names=[column.name for column in described])

    def _connected(self) -> Any:
        if self._con is None:
            import psycopg  # type: ignore[import-not-found,unused-ignore]

            self._con = psycopg.connect(self._url, autocommit=True, connect_timeout=10)
            for name, value in _SETTINGS.items():
                self._con.execute(f"SET {name} = '{value}'")
        return self._con


_name = partial(quoted, dialect="postgres")


def _sql_type(kind: pa.DataType) -> str:
    found = (
        (pa.types.is_floating, "DOUBLE PRECISION"),
        (pa.types.is_integer, "BIGINT"),
        (pa.types.is_boolean, "BOOLEAN"),
        (pa.types.is_timestamp, "TIMESTAMP"),
        (pa.types.is_date, "DATE"),
    )
    return next((name for fits, name in found if fits(kind)), 'TEXT COLLATE "C"')
