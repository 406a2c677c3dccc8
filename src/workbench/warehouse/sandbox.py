"""Where does an analyst's own SQL run? In a process of its own, that can read the tables of one version and no more.

The process has a bound on its memory, which DuckDB's own limit does not give: one call of `repeat` takes gigabytes. Who
began it ends it when its time is over.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import WorkbenchError
from workbench.messages import Message, Term, as_message, say
from workbench.rules import nodes, syntax_tree
from workbench.warehouse import sqlfiles
from workbench.warehouse.connect import lock, locked_down
from workbench.warehouse.features import STORED, features_sql
from workbench.warehouse.sql import ALL_FEATURES, NO_TABLE, ONE_SELECT, literal, only_one, tables_named, why_refused

RESULT, ANSWER = "result.arrow", "answer.json"
GIGABYTE = 1_000_000_000
MEMORY, PROCESS, SPILL, LARGEST = GIGABYTE, 3 * GIGABYTE, 4 * GIGABYTE, GIGABYTE // 2
LARGEST_PREPARED = 20 * GIGABYTE
_BATCH = 10_000


def main() -> None:
    """Answer the question that stands on standard input as JSON; the answer goes into its folder."""
    asked = json.load(sys.stdin)
    _bound(asked["seconds"])
    folder = Path(asked["folder"])
    try:
        if "inputs" in asked:
            found = transform(asked)
        else:
            found = answer(folder, Path(asked["place"]), asked["statement"], asked["parameters"], asked["limit"])
    except WorkbenchError as error:
        found = {"refused": as_message(error.args[0]).as_json()}
    except (MemoryError, pa.ArrowMemoryError):
        found = {"refused": as_message(TOO_MUCH).as_json()}
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
    limit : int, optional
        Rows to give.

    Returns
    -------
    dict
        "more": whether there are more rows than `limit`; "read": the views and features that were read, each with the
        names of the parameters that it takes.

    Raises
    ------
    WorkbenchError
        If it is more or other than one statement that reads, names what does not exist, or needs too
        much.
    """
    with locked_down(place, _limits(folder, min(4, os.cpu_count() or 1))) as con:
        try:
            _require_one_select(con, statement)
            found, read = _bind(con, statement, parameters)
            more = _write(found.to_arrow_reader(_BATCH), folder / RESULT, limit)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise WorkbenchError(_said(error, con)) from None
    return {"more": more, "read": read}


def transform(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Run the SELECT of a prepare step over its inputs, and write its rows, sorted, as a Parquet file.

    Parameters
    ----------
    asked : mapping
        "inputs": path of a database; "result": path of the file; "statement", "as_of"; "folder" for what does not fit
        into memory; "step" and "line" say whose statement it is, and on which line of the mapping it begins.

    Raises
    ------
    WorkbenchError
        If it is more or other than one SELECT, depends on the clock or on chance, names what does not
        exist, or needs too much.
    """
    with duckdb.connect() as con:
        con.execute(f"ATTACH {literal(asked['inputs'])} AS inputs (READ_ONLY)")
        con.execute("USE inputs")
        lock(con, _limits(Path(asked["folder"]), 1))
        tables = con.execute("SELECT table_name FROM duckdb_tables() WHERE table_name NOT LIKE '#%'").fetchall()
        known = sorted(name for (name,) in tables)
        try:
            _require_one_select(con, asked["statement"])
            _require_lasting(con, asked["statement"])
            wanted = con.extract_statements(asked["statement"])[0].named_parameters
            if strange := sorted(wanted - {"as_of"}):
                raise WorkbenchError("there is no ${first}; $as_of is the as_of of the mapping.").of(strange[0])
            sorted_rows = f"SELECT * FROM ({asked['statement'].rstrip().rstrip(';')}\n) ORDER BY ALL"
            given = {"as_of": date.fromisoformat(asked["as_of"])} if wanted else None
            con.execute(f"EXPLAIN {sorted_rows}", given)  # errors that it finds say on which line
            _write_parquet(con.sql(sorted_rows, params=given).to_arrow_reader(_BATCH), Path(asked["result"]))
        except WorkbenchError as error:
            raise WorkbenchError("{where}: {error}").of(asked["step"], error) from None
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise WorkbenchError("{text}").of(
                _without_data(error, _said(error, con, known)), at=_place(error, asked)
            ) from None
    return {}


def _limits(folder: Path, threads: int) -> dict[str, str]:
    return {
        "memory_limit": f"{MEMORY}B",
        "threads": str(threads),
        "temp_directory": str(folder / "spill"),
        "max_temp_directory_size": f"{SPILL}B",
        "python_enable_replacements": "false",
        "allow_persistent_secrets": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }


def _require_lasting(con: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Refuse a SELECT that gives other rows from the same files tomorrow, for it asks the clock, chance, or others."""
    parsed = syntax_tree(con, statement)
    if parsed is None:
        raise WorkbenchError("give one statement that reads: SELECT or WITH.")
    unsteady = con.execute("SELECT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'").fetchall()
    columns = con.execute("SELECT lower(column_name) FROM duckdb_columns() WHERE database_name = 'inputs'").fetchall()
    functions = {*_CLOCK, *(name for (name,) in unsteady)} - {"error"}
    clock = set(_CLOCK) - {name for (name,) in columns}  # they need no brackets

    for node in nodes(parsed):
        names = node.get("column_names") or []
        name, column = str(node.get("function_name") or "").lower(), names[0].lower() if len(names) == 1 else ""
        of_today = name == "age" and len(node.get("arguments") or []) == 1
        function = node["function"]["function_name"] if node.get("type") == "TABLE_FUNCTION" else "unnest"
        if function.lower() not in _ROWS:
            raise WorkbenchError(
                "a step reads no file, no network and no setting, so not {function}(); name an input."
            ).of(function)
        if name in functions or column in clock or of_today or node.get("sample"):
            what = name or column or "TABLESAMPLE"
            raise WorkbenchError("{what} gives something else each time. $as_of is the day of the mapping.").of(what)


_CLOCK = (
    "current_date",
    "current_time",
    "current_timestamp",
    "current_localtime",
    "current_localtimestamp",
    "localtime",
    "localtimestamp",
)
_ROWS = ("unnest", "range", "generate_series", "repeat", "json_each", "json_tree")  # functions that give rows


def _write_parquet(batches: pa.RecordBatchReader, path: Path) -> None:
    size = 0
    with pq.ParquetWriter(path, batches.schema, compression="zstd") as writer:
        for batch in batches:
            size += batch.nbytes
            if size > LARGEST_PREPARED:
                raise WorkbenchError(
                    "the result is larger than {largest_prepared} GB. Join on keys; does each row of one table meet "
                    "all of another?"
                ).of(LARGEST_PREPARED // GIGABYTE)
            writer.write_batch(batch)


def _place(error: Exception, asked: Mapping[str, Any]) -> str:
    """Say on which line of the mapping a SELECT is wrong."""
    line = re.search(r"^LINE (\d+):", str(error), re.MULTILINE)
    if not line:
        return str(asked["step"])
    if asked["line"] < 0:
        return f"{asked['step']}, line {line[1]} of its sql"
    return f"{asked['step']}, line {asked['line'] + int(line[1])}"


def _without_data(error: Exception, said: Message) -> Message:
    """Take texts of the data out of what DuckDB says; they may be clear numbers and names."""
    if isinstance(error, (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.OutOfRangeException)):
        text = str(said).removeprefix("the query failed: ").removesuffix(".")
        why = re.sub(r"\bvalue [^a-z ]\S*", "value", re.sub(r"(?:string )?(['\"]).*\1", "a text", text))
        return say("the query failed: {why}.", why=why) if text != said else as_message(why)
    return said


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
    kind = only_one(con, statement).type
    if kind != duckdb.StatementType.SELECT:
        name = Term("PIVOT without a list of its values (IN)" if kind == duckdb.StatementType.MULTI else kind.name)
        raise WorkbenchError("{name} is not for queries of this kind: {one_select}.").of(name, ONE_SELECT)


def _bind(
    con: duckdb.DuckDBPyConnection, statement: str, parameters: Mapping[str, str]
) -> tuple[duckdb.DuckDBPyRelation, dict[str, list[str]]]:
    """Bind a statement to its tables; a view or feature is made when the statement turns out to name it."""
    read: dict[str, list[str]] = {}
    while True:
        con.execute("BEGIN TRANSACTION READ ONLY")
        try:
            found = con.sql(statement)
            if found is None:
                raise WorkbenchError("the statement gives no rows: {one_select}.").of(ONE_SELECT)
            return found, read
        except duckdb.CatalogException as error:
            lacking = NO_TABLE.search(str(error))
            name = lacking[1].lower() if lacking else ""
            if name not in tables_named() or name in read:
                raise
            con.execute("ROLLBACK")
            read[name] = _make_view(con, name, parameters)


def _make_view(con: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, str]) -> list[str]:
    there = {table for (table,) in con.execute("SELECT table_name FROM information_schema.tables").fetchall()}
    stored = frozenset(STORED) & there
    names = [ALL_FEATURES] if name == ALL_FEATURES else sqlfiles.with_what_they_read([name], there)
    taken: set[str] = set()
    for one in names:
        text = features_sql(stored=stored) if one == ALL_FEATURES else sqlfiles.body(one)
        taken |= (takes := set(re.findall(r"\$(\w+)", text)))
        if lacking := sorted(takes - set(parameters)):
            gives = " ".join(f"-p {other}=…" for other in lacking)
            raise WorkbenchError(
                "{name} needs {names}: give {gives}, or parameters= in Python; docs/views.md says what."
            ).of(one, ", ".join(lacking), gives)
        text = re.sub(r"\$(\w+)", lambda match: literal(parameters[match[1]]), text)
        if one not in there:
            con.execute(f"CREATE VIEW {one} AS {text}")
    return sorted(taken)


def _write(batches: pa.RecordBatchReader, path: Path, limit: int | None) -> bool:
    """Write rows as they come, as many as are wanted; say whether there are more."""
    rows = size = 0
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batches.schema) as writer:
        for batch in batches:
            part = batch if limit is None else batch.slice(0, max(limit - rows, 0))
            size += part.nbytes
            if size > LARGEST:
                raise WorkbenchError(
                    "the result is larger than {largest} MB. Group it, choose columns, or add a LIMIT."
                ).of(LARGEST // 1000000)
            writer.write_batch(part)
            rows += batch.num_rows
            if limit is not None and rows > limit:
                return True
    return False


TOO_MUCH = say(
    "the query needs more than the {n} GB of memory that it may take, or more room on the disk. Join on keys, choose "
    "fewer rows or columns, or group first.",
    n=MEMORY // GIGABYTE,
)


def _said(error: Exception, con: duckdb.DuckDBPyConnection, tables: Iterable[str] | None = None) -> Message:
    if isinstance(error, (duckdb.OutOfMemoryException, pa.ArrowMemoryError)) or "Out of Memory" in str(error):
        return TOO_MUCH
    return why_refused(error, con, tables)


if __name__ == "__main__":
    main()
