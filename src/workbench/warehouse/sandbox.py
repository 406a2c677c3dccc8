"""Where does an analyst's own SQL run? In a process of its own, that can read the tables of one version and no more.

The process has a bound on its memory, which DuckDB's own limit does not give: one call of `repeat` takes gigabytes. Who
began it ends it when its time is over.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from workbench.errors import WorkbenchError, nearest
from workbench.warehouse import schema, sqlfiles
from workbench.warehouse.connect import locked_down
from workbench.warehouse.features import STORED, features_sql
from workbench.warehouse.sql import literal

RESULT, ANSWER = "result.arrow", "answer.json"
ALL_FEATURES = "customer_features"
GIGABYTE = 1_000_000_000
MEMORY, PROCESS, SPILL, LARGEST = GIGABYTE, 3 * GIGABYTE, 4 * GIGABYTE, GIGABYTE // 2
ONE_SELECT = "give one statement that reads: SELECT, WITH, DESCRIBE or SHOW"
_BATCH = 10_000
_NO_TABLE = re.compile(r"Table with name (.+?) does not exist")


def main() -> None:
    """Answer the question that stands on standard input as JSON; the answer goes into its folder."""
    asked = json.load(sys.stdin)
    _bound(asked["seconds"])
    folder = Path(asked["folder"])
    try:
        found = answer(folder, Path(asked["place"]), asked["statement"], asked["parameters"], asked["limit"])
    except WorkbenchError as error:
        found = {"refused": str(error)}
    except (MemoryError, pa.ArrowMemoryError):
        found = {"refused": TOO_MUCH}
    (folder / ANSWER).write_text(json.dumps(found), encoding="utf-8")


def answer(
    folder: Path, place: Path, statement: str, parameters: Mapping[str, str], limit: int | None
) -> dict[str, Any]:
    """Run one statement over a version, and write its rows as an Arrow file into a folder.

    Parameters
    ----------
    folder : Path
        For the result, and for what does not fit into memory.
    place : Path
        Folder of the version.
    statement : str
    parameters : mapping of str to str
        Values of what stands as `$name` in the views and features.
    limit : int or None
        Rows to give.

    Returns
    -------
    dict
        "more": whether there are more rows than `limit`; "read": the views and features that were read.

    Raises
    ------
    WorkbenchError
        If it is more or other than one statement that reads, names what does not exist, or needs too much.
    """
    limits = {
        "memory_limit": f"{MEMORY}B",
        "threads": str(min(4, os.cpu_count() or 1)),
        "temp_directory": str(folder / "spill"),
        "max_temp_directory_size": f"{SPILL}B",
        "python_enable_replacements": "false",
        "allow_persistent_secrets": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    with locked_down(place, limits) as con:
        try:
            _require_one_select(con, statement)
            found, read = _bind(con, statement, parameters)
            more = _write(found.to_arrow_reader(_BATCH), folder / RESULT, limit)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise WorkbenchError(_said(error, con)) from None
    return {"more": more, "read": read}


def tables_named() -> list[str]:
    """Name what a statement may read: canonical tables, the account, features and views."""
    return [*schema.tables(), "account", "quarantine", "facts", ALL_FEATURES, *files_named()]


def files_named() -> list[str]:
    """Name the features and views, with the partials that they read."""
    return [name for folder in sqlfiles.FOLDERS for name in sqlfiles.names(folder)]


def _bound(seconds: float) -> None:
    """Bound the memory of this process, and its time should nobody be left to end it."""
    try:
        import resource
    except ImportError:  # a system without such bounds: DuckDB's own remain
        return
    spent = int(seconds) * (os.cpu_count() or 1) + 10
    for kind, most in ((resource.RLIMIT_DATA, PROCESS), (resource.RLIMIT_CPU, spent)):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, hard))


def _require_one_select(con: duckdb.DuckDBPyConnection, statement: str) -> None:
    statements = con.extract_statements(statement)
    if len(statements) != 1:
        what = f"these are {len(statements)} statements" if statements else "there is no statement"
        raise WorkbenchError(f"{what}: {ONE_SELECT}.")
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        name = "PIVOT without a list of its values (IN)" if kind == duckdb.StatementType.MULTI else kind.name
        raise WorkbenchError(f"{name} is not for queries of this kind: {ONE_SELECT}.")


def _bind(
    con: duckdb.DuckDBPyConnection, statement: str, parameters: Mapping[str, str]
) -> tuple[duckdb.DuckDBPyRelation, list[str]]:
    """Bind a statement to its tables; a view or feature is made when the statement turns out to name it."""
    read: list[str] = []
    while True:
        con.execute("BEGIN TRANSACTION READ ONLY")
        try:
            found = con.sql(statement)
            if found is None:
                raise WorkbenchError(f"the statement gives no rows: {ONE_SELECT}.")
            return found, read
        except duckdb.CatalogException as error:
            lacking = _NO_TABLE.search(str(error))
            name = lacking[1].lower() if lacking else ""
            if name not in tables_named() or name in read:
                raise
            con.execute("ROLLBACK")
            _make_view(con, name, parameters)
            read.append(name)


def _make_view(con: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, str]) -> None:
    there = {table for (table,) in con.execute("SELECT table_name FROM information_schema.tables").fetchall()}
    stored = frozenset(STORED) & there
    names = [ALL_FEATURES] if name == ALL_FEATURES else sqlfiles.with_what_they_read([name], there)
    for one in names:
        text = features_sql(stored=stored) if one == ALL_FEATURES else sqlfiles.body(one)
        if lacking := sorted(set(re.findall(r"\$(\w+)", text)) - set(parameters)):
            gives = " ".join(f"-p {other}=…" for other in lacking)
            raise WorkbenchError(
                f"{one} needs {', '.join(lacking)}: give {gives}, or parameters= in Python; docs/views.md says what."
            )
        text = re.sub(r"\$(\w+)", lambda match: literal(parameters[match[1]]), text)
        if one not in there:
            con.execute(f"CREATE VIEW {one} AS {text}")


def _write(batches: pa.RecordBatchReader, path: Path, limit: int | None) -> bool:
    """Write rows as they come, as many as are wanted; say whether there are more."""
    rows = size = 0
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batches.schema) as writer:
        for batch in batches:
            part = batch if limit is None else batch.slice(0, max(limit - rows, 0))
            size += part.nbytes
            if size > LARGEST:
                raise WorkbenchError(
                    f"the result is larger than {LARGEST // 1_000_000} MB. Group it, choose columns, or add a LIMIT."
                )
            writer.write_batch(part)
            rows += batch.num_rows
            if limit is not None and rows > limit:
                return True
    return False


TOO_MUCH = (
    f"the query needs more than the {MEMORY // GIGABYTE} GB of memory that it may take, or more room on the disk. "
    "Join on keys, choose fewer rows or columns, or group first."
)
_OTHERS = ((duckdb.OutOfMemoryException, TOO_MUCH), (pa.ArrowMemoryError, TOO_MUCH))


def _said(error: Exception, con: duckdb.DuckDBPyConnection) -> str:
    """Say in a sentence why DuckDB refused."""
    text = str(error)
    if isinstance(error, (duckdb.OutOfMemoryException, pa.ArrowMemoryError)) or "Out of Memory" in text:
        return TOO_MUCH
    file = re.search(r"""Cannot access (?:file|directory) "(.+?)\"""", text)
    table = _NO_TABLE.search(text)
    if file or (table and re.search(r"[/\\.:*]", table[1])):
        return f"a query reads no file and no network, so not '{(file or table)[1]}'. Name a table instead."  # type: ignore[index]
    if table or (table := re.search(r'Referenced table "(.+?)" not found', text)):
        return f"no table '{table[1]}'.{nearest(table[1].lower(), tables_named())} See: workbench data describe."
    column = re.search(r'[Cc]olumn "?(\w[^"\n]*?)"? not found', text) or re.search(r'have a column named "(.+?)"', text)
    if column:
        known = {name for (name,) in con.execute("SELECT column_name FROM information_schema.columns").fetchall()}
        close = re.findall(r'"(?:\w+\.)?([^".]+)"', text.partition("Candidate")[2]) or known
        return f"no column '{column[1]}' in what the query reads.{nearest(column[1], close)}"
    first = next(iter(text.splitlines()), type(error).__name__).partition(' Use "SET')[0]
    return f"the query failed: {re.sub(r'^[A-Z][A-Za-z ]* Error: ', '', first).rstrip('.!')}."


if __name__ == "__main__":
    main()
