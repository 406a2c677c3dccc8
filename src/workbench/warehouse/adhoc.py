"""What does an analyst want to know that no study asks? Their own SQL over the warehouse, which only reads."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from workbench.errors import WorkbenchError, require_kind, require_known
from workbench.messages import as_message, read, say
from workbench.warehouse import schema, sqlfiles
from workbench.warehouse.connect import Warehouse
from workbench.warehouse.digests import note_reads
from workbench.warehouse.features import SUBJECTS, as_date, features_sql, require_coverage
from workbench.warehouse.opened import open_warehouse
from workbench.warehouse.pseudonyms import VARIABLE
from workbench.warehouse.sandbox import ANSWER, RESULT, TOO_MUCH
from workbench.warehouse.sql import ALL_FEATURES, files_named, require_text

SECONDS = 60.0
MOST_ROWS = 2**62  # as many as no table has


@dataclass(frozen=True)
class Selection:
    """The rows that a statement gave: an Arrow table, and whether there are more than the limit."""

    table: pa.Table
    more: bool

    def frame(self) -> pd.DataFrame:
        """The rows as a DataFrame, with the types that `Warehouse.query` gives.

        Raises
        ------
        WorkbenchError
            If a column has a type that a DataFrame lacks.
        """
        with duckdb.connect() as con:
            try:
                return con.from_arrow(self.table).df()
            except duckdb.Error as error:
                why = str(error).splitlines()[0]
                raise WorkbenchError("the rows do not fit into a DataFrame: {why}. Cast the column to text.").of(
                    as_message(why)
                ) from None


def sql(
    statement: str,
    *,
    source: str = "sample",
    parameters: Mapping[str, Any] | None = None,
    limit: int | None = None,
    seconds: float = SECONDS,
    root: Path | str | None = None,
) -> pd.DataFrame:
    """Give the rows of one SELECT over the tables, features and views of a warehouse.

    It can read no file but the warehouse's, reach no network and change nothing; memory, time and the size of the
    result are bounded.

    Parameters
    ----------
    statement : str
        One SELECT, WITH, DESCRIBE or SHOW in DuckDB's SQL. `workbench data describe` has the tables;
        docs/features.md the features (`customer_features` is all of them), docs/views.md the views.
    source : str
    parameters : mapping, optional
        Values of the parameters of features and views, such as ``days``; ``as_of`` is the warehouse's unless given.
    limit : int, optional
        Rows at most; all if None.
    seconds : float
        Time that it may take.
    root : Path or str, optional
        Folder of the project.

    Raises
    ------
    WorkbenchError
        If it is no such statement, names what does not exist (the nearest is suggested), or takes too
        much.
    """
    chosen = select(statement, open_warehouse(source, root=root), parameters=parameters, limit=limit, seconds=seconds)
    return chosen.frame()


def select(
    statement: str,
    warehouse: Warehouse,
    *,
    parameters: Mapping[str, Any] | None = None,
    limit: int | None = None,
    seconds: float = SECONDS,
) -> Selection:
    """Do what `sql` does, and say whether there are more rows than the limit."""
    require_text(statement)
    if parameters is not None:
        require_kind(parameters, Mapping, "parameters", "parameters={'days': 60}")
    if limit is not None and not (isinstance(limit, int) and limit >= 0):
        raise WorkbenchError("limit is a number of rows from 0 on, or None for all, not {given}.").of(repr(limit))
    if not (isinstance(seconds, int | float) and 0 < seconds < math.inf):
        raise WorkbenchError("seconds is a number above 0, not {given}.").of(repr(seconds))
    if not statement.isascii() and statement != statement.encode(errors="replace").decode():
        raise WorkbenchError("the statement holds a sign that is no text (a lone surrogate). Take it out.")
    given = {"as_of": warehouse.as_of} | dict(parameters or {})
    day = as_date(given["as_of"])
    texts = {name: value.isoformat() if isinstance(value, date) else str(value) for name, value in given.items()}
    _note(statement, warehouse)
    with tempfile.TemporaryDirectory(prefix="workbench-sql-") as folder:
        asked = {
            "folder": folder,
            "place": str(warehouse.place),
            "statement": statement,
            "parameters": texts,
            "limit": limit if limit is None else min(limit, MOST_ROWS),
            "seconds": seconds,
        }
        found = ask(asked, Path(folder))
        taken = {name for names in found["read"].values() for name in names}
        for name in parameters or ():
            require_known("parameter", name, taken, say("the views and features it reads"))
        with pa.OSFile(str(Path(folder) / RESULT)) as file:
            table = pa.ipc.open_file(file).read_all()
    reads = [name for name in sqlfiles.with_what_they_read(set(found["read"]) - {ALL_FEATURES}) if name in SUBJECTS]
    if ALL_FEATURES in found["read"]:
        reads = list(SUBJECTS)
    if reads:
        require_coverage(warehouse, day, reads)
    return Selection(table, found["more"])


def ask(asked: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Let a process of its own answer; it does not know the key of the pseudonyms."""
    alone = {name: value for name, value in os.environ.items() if name != VARIABLE}
    here = str(Path(__file__).resolve().parents[2])
    alone["PYTHONPATH"] = os.pathsep.join(filter(None, [here, alone.get("PYTHONPATH")]))
    command = [sys.executable, "-P", "-m", "workbench.warehouse.sandbox"]
    seconds = asked["seconds"]
    try:
        done = subprocess.run(
            command, input=json.dumps(asked).encode(), env=alone, capture_output=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise WorkbenchError(
            "the query was stopped after {seconds} seconds. Join on keys, choose fewer rows, or give it more time."
        ).of(f"{seconds:g}") from None
    try:
        found = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none, or cut off: a full disk
        if b"Error" in done.stderr and done.returncode > 0:
            raise WorkbenchError("the query failed: {error}").of(
                done.stderr.decode(errors="replace").strip().splitlines()[-1]
            ) from None
        raise WorkbenchError(TOO_MUCH) from None
    if "refused" in found:
        raise WorkbenchError(read(found["refused"]))
    return found


def _note(statement: str, warehouse: Warehouse) -> None:
    """Note every table that may be read, for a run that wants to know."""
    words = statement.lower()
    files = [name for name in files_named() if name in words]
    texts = [words, *map(sqlfiles.body, sqlfiles.with_what_they_read(files))]
    if ALL_FEATURES in words:
        texts.append(features_sql())
    note_reads(warehouse.source, warehouse.version, " ".join(texts), (*schema.tables(), "account", "quarantine"))
