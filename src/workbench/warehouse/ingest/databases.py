"""What stands in a relation of an SQL database? A file of SQLite, or a server that a URL names; records as texts.

The URL of a server names its credentials, `${NAME}` of the environment or `${file:PATH}`; no message has their values.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import WorkbenchError, nearest
from workbench.messages import as_message, say
from workbench.warehouse.credentials import with_credentials, without
from workbench.warehouse.ingest.archives import archive_of
from workbench.warehouse.ingest.blocks import FileBlock
from workbench.warehouse.ingest.lines import Batch, Names, with_optional
from workbench.warehouse.sql import literal, quoted
from workbench.warehouse.texts import trimmed

ROWS = 50_000
UNFIT = "a text is not in utf-8"


def check_closed(path: Path) -> None:
    """Refuse a database file of which a part stands elsewhere, or that lies in an archive."""
    if archive_of(path):
        raise WorkbenchError("{path} is a database inside an archive. Unpack it, and name the file itself.").of(path)
    for ending in ("-wal", "-journal", ".wal"):
        if (beside := path.with_name(path.name + ending)).is_file() and beside.stat().st_size:
            raise WorkbenchError(
                "{path} is not whole: {beside} beside it has changes. Close the database where it is written, and "
                "copy it again."
            ).of(path, beside.name)


def relation_of(block: FileBlock, has: Iterable[str], where: str) -> str:
    """The relation of a block as SQL names it."""
    has = sorted(has)
    if block.relation.rpartition(".")[2].lower() not in {name.lower() for name in has}:
        raise WorkbenchError("{where} has no relation '{relation}'.{near}").of(
            where, block.relation, nearest(block.relation, has)
        )
    return ".".join(map(quoted, block.relation.split(".")))


def sqlite_batches(path: Path, block: FileBlock, check_names: Callable[[Names], object]) -> Iterator[Batch]:
    """Give the records of a relation of an SQLite file.

    Raises
    ------
    WorkbenchError
        If it is no whole SQLite file, lacks the relation, or `check_names` refuses its columns.
    """
    check_closed(path)
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as con:
            con.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
            has = [name for (name,) in con.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")]
            cursor = con.execute(f"SELECT * FROM {relation_of(block, has, str(path))}")
            names = tuple(" ".join(column[0].split()) for column in cursor.description)
            check_names(names)
            done = 0
            while rows := cursor.fetchmany(ROWS):
                yield _batch(rows, names, block, done, str(path))
                done += len(rows)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise WorkbenchError("{path} can't be read as SQLite: {error}. Have it delivered again.").of(
            path, error
        ) from None


def _batch(rows: Sequence[Sequence[Any]], names: Names, block: FileBlock, done: int, where: str) -> Batch:
    wanted = [(name, names.index(name)) for name in block.sources() if name in names]
    good, bad = [], []
    for number, row in enumerate(rows, done + 1):
        cells = [_text(row[at], f"{where}: '{name}'") for name, at in wanted]
        fit = all(cell is None or cell.isascii() or not _SURROGATE.search(cell) for cell in cells)
        good.append((number, cells)) if fit else bad.append((number, number, UNFIT, ""))
    cells = pa.table({name: pa.array([row[i] for _, row in good], pa.string()) for i, (name, _) in enumerate(wanted)})
    numbers = [number for number, _ in good]
    return Batch.of(with_optional(trimmed(cells), block) if wanted else pa.table({}), numbers, numbers, bad)


_SURROGATE = re.compile("[\ud800-\udfff]")


def _text(value: Any, where: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime) and value.tzinfo:
        raise WorkbenchError("{where} has a time zone. Let a view give local time without a zone.").of(where)
    for kind, form in _FORMS:
        if isinstance(value, kind):
            return form(value)
    raise WorkbenchError("{where} holds {kind}, which is neither text, number, date nor time.").of(
        where, type(value).__name__
    )


_FORMS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (bool, lambda value: str(value).lower()),
    (Decimal, lambda value: format(value, "f")),
    ((int, float, UUID), str),
    (datetime, lambda value: value.isoformat(" ")),
    ((date, time), lambda value: value.isoformat()),
)


def fetch(block: FileBlock, root: Path, path: Path) -> str:
    """Copy the rows of a relation of a server, sorted, into a Parquet file of texts; give the digest of the content.

    Raises
    ------
    WorkbenchError
        If a credential, the driver, the server or the relation is not there.
    """
    import sqlalchemy

    secrets: list[str] = []
    try:
        engine = sqlalchemy.create_engine(with_credentials(block.url, root, secrets), poolclass=sqlalchemy.NullPool)
        with engine.connect().execution_options(stream_results=True, yield_per=ROWS) as con:
            schema_name, _, table = block.relation.rpartition(".")
            found = sqlalchemy.inspect(con)
            has = [*found.get_table_names(schema_name or None), *found.get_view_names(schema_name or None)]
            relation_of(block, has, block.path)
            named = sqlalchemy.table(table, schema=schema_name or None)
            result = con.execute(sqlalchemy.select(sqlalchemy.text("*")).select_from(named))
            names = tuple(result.keys())
            rows = (tuple(tuple(row) for row in part) for part in result.partitions())
            return _write(rows, names, path, block.path)
    except ModuleNotFoundError as error:
        why = say("the driver '{name}' is not installed; ask who looks after this machine", name=str(error.name))
    except sqlalchemy.exc.NoSuchModuleError:
        why = say("no such kind of database is known; the URL begins as in postgresql+psycopg://")
    except sqlalchemy.exc.ArgumentError:
        why = say("what stands there is no URL of a database")
    except (sqlalchemy.exc.SQLAlchemyError, OSError, UnicodeError) as error:
        said = str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__]
        why = as_message(without(said[0], secrets).rstrip("."))
    raise WorkbenchError("{path} can't be read: {why}. Is the database there, and are the credentials right?").of(
        block.path, why
    )


def _write(parts: Iterable[Sequence[Sequence[Any]]], names: Names, path: Path, where: str) -> str:
    """Write rows as texts, in an order of their own, for a server has none."""
    unsorted = path.with_suffix(".unsorted")
    schema = pa.schema([(name, pa.string()) for name in names])
    with pq.ParquetWriter(unsorted, schema) as writer:
        for rows in parts:
            cells = {n: [_text(row[i], f"{where}: '{n}'") for row in rows] for i, n in enumerate(names)}
            writer.write_table(pa.table(cells, schema=schema))
    with duckdb.connect() as con:
        con.execute(f"SET temp_directory = {literal(str(path.parent / 'spill'))}; SET threads = 1")
        con.execute(f"COPY (FROM read_parquet({literal(str(unsorted))}) ORDER BY ALL) TO {literal(str(path))}")
    unsorted.unlink()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
