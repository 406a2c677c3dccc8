"""A warehouse that stands elsewhere: the canonical tables of a database or of Spark, read by the same SQL.

A mapping with `engine` instead of files names it. The tables have the names and columns of `data/README.md`, their
identifiers are pseudonyms already. A column or table that is not there is empty. Where the engine has no maps, the long
twins of `views/long` stand there as tables.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from workbench.errors import WorkbenchError, nearest
from workbench.messages import say
from workbench.personal import personal
from workbench.warehouse import schema, sqlfiles
from workbench.warehouse.account import Account
from workbench.warehouse.connect import ACCOUNT, WARNINGS, Warehouse
from workbench.warehouse.credentials import require_references, with_credentials, without
from workbench.warehouse.digests import note_reads
from workbench.warehouse.engines import Engine, engine_of
from workbench.warehouse.engines.render import Work
from workbench.warehouse.features import STORED
from workbench.warehouse.keys import check_keys, text_of
from workbench.warehouse.schema import TableSchema

KEYS = ("title", "operator", "currency", "as_of", "engine", "schema", "departments", "parameters")
LOOKED_AT, LOOKED_FOR = 200, 600
_TWINS = ("campaign_member_value", "survey_response_value")
_TWIN_TYPES = {"value": "DOUBLE"}


def open_live(source: str, said: Mapping[str, Any], root: Path) -> LiveWarehouse:
    """Open the warehouse that a mapping with `engine` names.

    Raises
    ------
    WorkbenchError
        If the mapping has a key that means nothing here, the engine is not there, a credential
        is missing or wrong, a canonical column has another type, or identifiers are in clear.
    """
    where = f"{source}.toml"
    if both := [key for key in ("file", "prepare", "rows") if key in said]:
        raise WorkbenchError(
            "{where} has engine and [[{block}]]: a source is read where it stands, or its files are. Remove one."
        ).of(where, both[0])
    check_keys(dict(said), KEYS, where)
    if not isinstance(said.get("as_of"), date):
        raise WorkbenchError("{where} has no as_of date. Add the day before which all is known: as_of = 2026-07-01").of(
            where
        )
    texts = {key: text_of(dict(said), key, where, "") for key in ("title", "operator", "currency", "engine", "schema")}
    if not isinstance(deliver := said.get("departments", {}), dict):
        raise WorkbenchError("{where}: departments names one by table: [departments] bill = …").of(where)
    check_keys(deliver, tuple(schema.tables()), say("{where}, [departments]", where=where))
    departments = {table: text_of(deliver, table, where) for table in deliver}
    require_references(texts["engine"], say("{where}: engine", where=where))
    secrets: list[str] = []
    url = with_credentials(texts["engine"], root, secrets)
    with _one_sentence(source, secrets):
        engine, stored, version = _opened(url, texts["schema"], os.getpid(), int(time.monotonic() // LOOKED_FOR))
    return LiveWarehouse(
        source,
        version,
        texts["title"],
        texts["operator"],
        texts["currency"] or "yuan",
        said["as_of"],
        "",
        (str(say("read where it stands: current, not repeatable")),),
        root,
        engine,
        stored,
        departments,
        tuple(secrets),
    )


@cache
def _engine(url: str, schema_name: str, _process: int) -> Engine:
    """One connection a place and process, let go at its end."""
    engine = engine_of(url, schema_name)
    atexit.register(engine.close)
    return engine


@lru_cache(maxsize=4)
def _opened(url: str, schema_name: str, process: int, _minutes: int) -> tuple[Engine, frozenset[str], str]:
    """Look at how the tables stand: once for a while, as it reads them whole."""
    engine = _engine(url, schema_name, process)
    return engine, *_defined(engine)


@dataclass(frozen=True, repr=False)
class LiveWarehouse(Warehouse):
    """The canonical tables of an engine, as they are now.

    Attributes
    ----------
    engine : Engine
    stored : frozenset of str
        Partials and long twins that stand there as tables.
    departments : mapping of str to str
        Who delivers a table, as far as the mapping says.
    """

    engine: Engine = field(repr=False)
    stored: frozenset[str] = frozenset()
    departments: Mapping[str, str] = field(default_factory=dict, hash=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Refuse: what asks for a connection of DuckDB needs a warehouse of our own."""
        raise WorkbenchError(
            "'{source}' is read where it stands. This needs a warehouse of its own: ingest an extract."
        ).of(self.source)
        yield

    def tables(self) -> list[str]:
        """Names of the canonical tables that hold rows."""
        note_reads(self.source, self.version, " ".join(schema.tables()), schema.tables())
        return [name for name in schema.tables() if len(self.query(f"SELECT 1 AS one FROM {name} LIMIT 1"))]

    def query(
        self, sql: str, parameters: Sequence | Mapping = (), *, given: Mapping[str, pd.DataFrame] | None = None
    ) -> pd.DataFrame:
        """Run a query of ours on the engine; the same columns and types as from a warehouse of our own.

        Raises
        ------
        WorkbenchError
            If the engine is not there any more, or refuses the query.
        """
        note_reads(self.source, self.version, sql, schema.tables())
        with _one_sentence(self.source, self.secrets):
            found = self.engine.run(sql, parameters, given)
        with duckdb.connect() as con:
            return con.from_arrow(found).df()

    def stream(
        self, sql: str, parameters: Sequence | Mapping = (), *, batch: int, work: Work | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Give the rows of a query batch by batch, or where the engine `ships` what a work makes of them."""
        note_reads(self.source, self.version, sql, schema.tables())
        with _one_sentence(self.source, self.secrets):
            yield from self.engine.stream(sql, parameters, batch, work)

    def account(self) -> pd.DataFrame:
        """Give the account, which is empty: nothing was ingested."""
        texts = ("file", "table")
        return pd.DataFrame({n: pd.Series(dtype="str" if n in texts else "int64") for n in ACCOUNT})

    def files(self) -> pd.DataFrame:
        """Give the files that were read: none."""
        return pd.DataFrame({"file": [], "records": [], "digest": []})

    def full_account(self, *, changed: bool = True) -> Account:
        """Give the account, which is empty, with the note that nothing here can be repeated."""
        reasons = pd.DataFrame({"table": [], "reason": [], "records": [], "lost": []})
        return Account(self.source, self.version, self.account(), reasons, self.warnings(), self.notes, changed)

    def warnings(self) -> pd.DataFrame:
        """Give the rules that rows break: none is known."""
        return pd.DataFrame(columns=WARNINGS)

    def refused(self, table: str | None = None, file: str | None = None) -> pd.DataFrame:
        """Give the records in quarantine: none."""
        return pd.DataFrame(columns=["file", "digest", "line", "table", "reasons", "record"])


def _defined(engine: Engine) -> tuple[frozenset[str], str]:
    """Let the canonical tables stand as views; give what else stands there, and what the tables look like now."""
    there = engine.columns()
    _require_small_letters((*schema.tables(), *STORED, *_TWINS), there)
    views = {name: _view(engine, table, there.get(name, {})) for name, table in schema.tables().items()}
    extra = {name for name in (*STORED, *(() if engine.maps else _TWINS)) if name in there}
    twins = () if engine.maps else _TWINS
    for name in sorted({*extra, *twins}):
        columns = [column for column, _, _ in sqlfiles.described(name)]
        views[name] = _plain_view(engine, name, columns, there.get(name, {}))
    engine.define(views)
    _require_pseudonyms(engine, there)
    return frozenset({*extra, *twins}), _stand(engine, [name for name in views if name in there])


def _view(engine: Engine, table: TableSchema, there: Mapping[str, str]) -> str:
    """A canonical table as a SELECT in the engine's words; what is not there is missing."""
    columns = []
    _require_small_letters([column.name for column in table.columns], there)
    for column in table.columns:
        kind = "VARCHAR" if column.is_map and not engine.maps else column.sql_type
        where = {"table": table.name, "column": column.name}
        if column.name in there and not _fits(kind, found := there[column.name]):
            where |= {"found": found, "wanted": column.type}
            raise WorkbenchError(
                say("column {table}.{column} is {found} there, where {wanted} is wanted. Give it in a view.", **where)
            )
        if there and column.not_null and column.name not in there and not column.is_map:
            where["near"] = nearest(column.name, there)
            raise WorkbenchError(
                say("table {table} has no column '{column}' there.{near} data/README.md says what it means.", **where)
            )
        value = column.name if column.name in there and not (column.is_map and not engine.maps) else "NULL"
        columns.append(f"{engine.column(value, kind)} AS {column.name}")
    return f"SELECT {', '.join(columns)}" + (f" FROM {engine.full_name(table.name)}" if there else " WHERE 1 = 0")


def _plain_view(engine: Engine, name: str, columns: Sequence[str], there: Mapping[str, str]) -> str:
    if not there:
        empty = ", ".join(f"{engine.column('NULL', _TWIN_TYPES.get(c, 'VARCHAR'))} AS {c}" for c in columns)
        return f"SELECT {empty} WHERE 1 = 0"
    told = {c: engine.column(c, "VARCHAR") if there[c] in _KINDS["VARCHAR"] else c for c in columns if c in there}
    return f"SELECT {', '.join(f'{text} AS {c}' for c, text in told.items())} FROM {engine.full_name(name)}"


def _require_small_letters(names: Iterable[str], there: Iterable[str]) -> None:
    """Refuse a name of ours in other letters: it is another to the engine, and would count as missing."""
    small = {name.lower(): name for name in there if name.lower() not in {*there}}
    for name in filter(small.get, names):
        raise WorkbenchError("'{name}' is '{found}' there. Give it in small letters, in a view.").of(name, small[name])


_WHOLE = ("bigint", "integer", "smallint", "int", "tinyint")
_KINDS: dict[str, tuple[str, ...]] = {
    "VARCHAR": ("text", "character varying", "character", "string", "varchar", "char", "name", "uuid"),
    "BIGINT": _WHOLE,
    "DOUBLE": ("double precision", "double", "real", "float", "numeric", "decimal", *_WHOLE),
    "BOOLEAN": ("boolean",),
    "DATE": ("date",),
    "TIMESTAMP": ("timestamp without time zone", "timestamp_ntz", "timestamp"),
    "MAP(VARCHAR, DOUBLE)": ("map",),
    "MAP(VARCHAR, VARCHAR)": ("map",),
}


def _fits(kind: str, found: str) -> bool:
    return found.split("(")[0].split("<")[0] in _KINDS[kind]


def _require_pseudonyms(engine: Engine, there: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse tables in which people stand with their own numbers."""
    for name, table in schema.tables().items():
        for column in (c.name for c in table.columns if c.holds and c.name in there.get(name, {})):
            sql = f"SELECT {column} AS one FROM {name} WHERE {column} IS NOT NULL LIMIT {LOOKED_AT}"
            if any(personal(str(value), whole=True) for value in engine.run(sql).column(0).to_pylist()):
                raise WorkbenchError(
                    "{table}.{column} holds numbers of people in clear. Give pseudonyms there, or ingest an extract."
                ).of(name, column)


def _stand(engine: Engine, names: Sequence[str]) -> str:
    """What the tables look like now: rows, and the last moment of those that have one."""
    parts = []
    for name in names:
        dated = (
            [c.name for c in schema.table(name).columns if c.type in ("date", "timestamp")]
            if name in schema.tables()
            else []
        )
        last = "".join(f", MAX({column}) AS m{i}" for i, column in enumerate(dated))
        parts.append([name, *engine.run(f"SELECT COUNT(*) AS n{last} FROM {name}").to_pylist()[0].values()])
    return hashlib.blake2b(str(parts).encode(), digest_size=6).hexdigest()


@contextmanager
def _one_sentence(source: str, secrets: Sequence[str]) -> Iterator[None]:
    """Turn what an engine says into one sentence without credentials."""
    try:
        yield
    except (WorkbenchError, KeyboardInterrupt):
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # What Java said stands below the name of what was called.
        line = next((line for line in lines if not line.startswith("An error occurred while calling")), lines[0])
        why = without(line, secrets).lstrip(": ").rstrip(".")
        raise WorkbenchError(
            "'{source}' can't be read where it stands: {why}. Is the server there, and are the credentials right?"
        ).of(source, why[:300]) from None
