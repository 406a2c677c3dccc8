"""Is every SQL file's every cell the same on every engine that is here? Writes "Engines" of docs/conformance.md.

    python tests/reference/engines.py                  DuckDB, PostgreSQL and Spark as they are installed
    python tests/reference/engines.py spark=FOLDER     another version, made by `pip install --target FOLDER`
    python tests/reference/engines.py postgres=FOLDER  another server, whose `initdb` is in the folder

Each engine answers in a process of its own from tables in an order of its own. An engine that is not here is left out
with one line; what it said before is lost, so run it where all of them are.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import awkward
import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from workbench.warehouse import schema, sqlfiles
from workbench.warehouse.features import SUBJECTS, features_sql
from workbench.warehouse.views import view_sql

ROOT = Path(__file__).resolve().parents[2]
RTOL = 1e-9
HEADING = "\n## Engines\n"
WORLDS = ("full", "empty")
AS_OF = (awkward.LEAP, awkward.MONTH_END)
FILES = tuple(name for folder in sqlfiles.FOLDERS for name in sqlfiles.names(folder))
ALL = "features together"
PARAMETERS: dict[str, Any] = {
    "days": 30,
    "months": 3,
    "windows": 3,
    "silent_days": 31,
    "margin": 0.425,
    "share": 0.3,
    "premium": 1.5,
    "province": "",
    "event": "complaint",
    "seconds": 7200,
    "outcome": awkward.ITEMS[3],
    "covariate": awkward.ITEMS[4],
}


def asked(
    con: duckdb.DuckDBPyConnection, stored: frozenset[str], as_of: Sequence[date] = AS_OF
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What is asked of an engine where some files stand as tables: a name, a composed query, its parameters."""
    busiest = "SELECT customer_id FROM detail_record GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
    largest = "SELECT campaign_id FROM campaign_member GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
    first = {
        "campaign": (con.sql(largest).fetchall() or [["none"]])[0][0],
        "customer": (con.sql(busiest).fetchall() or [["none"]])[0][0],
        "kind": "person",
        "wave": awkward.TEXTS[0],
    }
    for day in as_of:
        days = {"as_of": day, "until": day, "day": day - timedelta(days=60), "from_on": day - timedelta(days=91)}
        known = PARAMETERS | first | days
        for name in (*FILES, ALL):
            sql = features_sql(SUBJECTS, stored=stored) if name == ALL else view_sql(name, stored - {name})
            if name in stored:
                sql = sql[sql.rindex("\nSELECT * FROM") :]
            given = {p: known[p] for p in dict.fromkeys(re.findall(r"\$(\w+)", sql))}
            if name == "account_month":
                given["day"] = 28
            for province in ("", awkward.TEXTS[3]) if "province" in given else ("",):
                said = f"{name} {day}{' ' * bool(province)}{province}"
                yield said, sql, given | ({"province": province} if "province" in given else {})


def answers(
    warehouse: Any, con: duckdb.DuckDBPyConnection, as_of: Sequence[date] = AS_OF
) -> dict[str, pd.DataFrame | str]:
    """What an engine says to all that is asked; the words of an error where it fails."""
    found: dict[str, pd.DataFrame | str] = {}
    for name, sql, given in asked(con, getattr(warehouse, "stored", frozenset()), as_of):
        more = {"given": {"asked": groups(con)}} if name.startswith("week_profile") else {}
        try:
            found[name] = warehouse.query(sql, given, **more)
        except Exception as error:
            found[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:300]}"
    return found


def groups(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    frame = con.sql("SELECT customer_id FROM customer ORDER BY 1").df()
    return frame.assign(group=[awkward.TEXTS[i % 3] for i in range(len(frame))])


def laid(folder: Path) -> Path:
    """Lay the awkward tables into a folder."""
    for name, table in awkward.tables().items():
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


class Duck:
    """A plain connection of DuckDB."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con

    def query(self, sql: str, parameters: Mapping, given: Mapping[str, pd.DataFrame] | None = None) -> pd.DataFrame:
        for name, frame in (given or {}).items():
            self.con.register(name, frame)
        return self.con.execute(sql, parameters or None).df()


def opened(folder: Path, world: str, shuffled: int | None = None) -> duckdb.DuckDBPyConnection:
    """The awkward tables of a folder in DuckDB; or nothing but their columns."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    for name in schema.tables():
        con.execute(schema.table(name).ddl())
        if world == "full":
            table = pq.read_table(folder / f"{name}.parquet")
            if shuffled is not None:
                table = table.take(np.random.default_rng(shuffled).permutation(len(table)))
            con.from_arrow(table).insert_into(name)
    return con


def answered(engine: str, folder: Path, world: str) -> dict[str, pd.DataFrame | str]:
    """Ask an engine, as installed on the path of this process."""
    con = opened(folder, world, shuffled=len(engine))
    if engine == "duckdb":
        return answers(Duck(con), con, days(world))
    from workbench.warehouse.live import open_live

    said = {"title": "awkward", "operator": "中国电信", "as_of": awkward.MONTH_END}
    if engine == "spark":
        lake = folder / f"lake_{world}_{os.getpid()}"
        lake.mkdir()
        for name, sql in awkward.copies(maps=True):
            pq.write_table(con.sql(sql).to_arrow_table(), lake / f"{name}.parquet")
        warehouse = open_live("awkward", said | {"engine": "local[2]", "schema": str(lake)}, folder)
    else:
        import postgres

        fill = f"{world}_{os.getpid()}"
        postgres.fill(os.environ["WORKBENCH_PG"], con, fill)
        warehouse = open_live("awkward", said | {"engine": os.environ["WORKBENCH_PG"], "schema": fill}, folder)
    return answers(warehouse, con, days(world))


def days(world: str) -> Sequence[date]:
    """As of which days a world is asked; an empty one is the same on all."""
    return AS_OF if world == "full" else AS_OF[:1]


def version(engine: str) -> str:
    """Name and version of an engine."""
    if engine == "duckdb":
        return f"DuckDB {duckdb.__version__}"
    if engine == "spark":
        import pyspark

        return f"Spark {pyspark.__version__}"
    import psycopg

    with psycopg.connect(os.environ["WORKBENCH_PG"]) as con:
        return f"PostgreSQL {con.execute('SHOW server_version').fetchone()[0].split()[0]}"


def difference(ours: pd.DataFrame | str, theirs: pd.DataFrame | str) -> str:
    """Say in a few words what differs; "" for nothing."""
    if isinstance(ours, str) or isinstance(theirs, str):
        return f"fails: {ours if isinstance(ours, str) else theirs}"
    if list(ours.columns) != list(theirs.columns) or len(ours) != len(theirs):
        return f"{len(ours)} rows of {list(ours.columns)}, there {len(theirs)} of {list(theirs.columns)}"
    off = {c: int((~same(ours[c], theirs[c])).sum()) for c in ours.columns}
    if any(off.values()):
        key = list(ours.columns)
        sets = [frame.sort_values(key, ignore_index=True, na_position="last") for frame in (ours, theirs)]
        if all(same(sets[0][c], sets[1][c]).all() for c in key):
            return "other order"
        return "; ".join(f"{count} cells of {column}" for column, count in off.items() if count)
    kinds = [c for c in ours.columns if kind(ours[c]) != kind(theirs[c])]
    return "other type: " + ", ".join(f"{c} {ours[c].dtype}/{theirs[c].dtype}" for c in kinds) if kinds else ""


def same(ours: pd.Series, theirs: pd.Series) -> pd.Series:
    """Whether cells are the same: numbers within the tolerance, missing beside missing."""
    missing = ours.isna() & theirs.isna()
    if pd.api.types.is_numeric_dtype(ours) and pd.api.types.is_numeric_dtype(theirs):
        return missing | np.isclose(ours.astype(float), theirs.astype(float), rtol=RTOL, atol=0)
    return missing | (ours.astype(object).astype(str) == theirs.astype(object).astype(str)) & ~(
        ours.isna() ^ theirs.isna()
    )


def kind(column: pd.Series) -> str:
    """What kind a column's values are; of one without any it does not matter."""
    found = column.dropna()
    return (
        "" if found.empty else "n" if pd.api.types.is_numeric_dtype(found) and found.dtype != bool else found.dtype.kind
    )


def page(ours: dict[str, dict], theirs: dict[str, dict[str, dict]]) -> tuple[str, list[str]]:
    """Give the section, and what differs."""
    off: list[str] = []
    lines = [HEADING, OPENING.format(days=f"{awkward.LEAP} and {awkward.MONTH_END}")]
    lines += [f"| file | rows | cells | {' | '.join(theirs)} |", "|---|---|---|" + "---|" * len(theirs)]
    total = {engine: 0 for engine in theirs}
    cells_all = 0
    for file in (*FILES, ALL):
        asked_of = [(world, name) for world in ours for name in ours[world] if name.rsplit(" 2024-", 1)[0] == file]
        frames = [ours[world][name] for world, name in asked_of]
        rows = sum(len(f) for f in frames if not isinstance(f, str))
        cells = sum(f.size for f in frames if not isinstance(f, str))
        cells_all += cells
        said = []
        for engine, found in theirs.items():
            wrong = []
            for world, name in asked_of:
                if what := difference(ours[world][name], found[world].get(name, "not answered")):
                    wrong.append(what)
                    off.append(f"{engine}, {world}, {name}: {what}")
            said.append("differs" if wrong else "equal")
            total[engine] += not wrong
        lines.append(f"| {file} | {rows:,} | {cells:,} | {' | '.join(said)} |")
    files = len(FILES) + 1
    lines.append(f"| files equal | | {cells_all:,} | {' | '.join(f'{n} of {files}' for n in total.values())} |")
    return "\n".join(lines) + "\n", off


OPENING = """
Every file of features and views, over tables of every awkward kind (`tests/reference/awkward.py`: missing values and
ties, the ends of months and years, 29 February, midnight, amounts of zero, below zero, of half a cent and of a billion,
Chinese and quotes in texts), as of {days}, and over tables without any row. Ours is DuckDB of the lock; each engine has
the rows in another order. "Equal" is every cell within 1e-9 of its value, and every row at its place.
Written by `python tests/reference/engines.py`, which ends with what differs.
"""


def main(arguments: list[str]) -> None:
    """Ask all engines, write the section; say what is off."""
    if arguments[:1] == ["--answer"]:
        engine, folder, out = arguments[1], Path(arguments[2]), Path(arguments[3])
        found = {world: answered(engine, folder, world) for world in WORLDS}
        pd.to_pickle((version(engine), found), out)
        return
    chosen = [argument.partition("=") for argument in arguments] or [
        (e, "", "") for e in ("duckdb", "postgres", "spark")
    ]
    with tempfile.TemporaryDirectory() as text:
        folder = laid(Path(text))
        ours = {world: answers(Duck(con), con, days(world)) for world in WORLDS for con in [opened(folder, world)]}
        theirs: dict[str, dict] = {}
        lost: list[str] = []
        for number, (engine, _, place) in enumerate(chosen):
            print(f"{engine} {place}", flush=True)
            if found := asked_apart(engine, place, folder, folder / f"{number}.pickle"):
                theirs[found[0]] = found[1]
            elif arguments:
                lost.append(f"{engine} {place}: asked for by name, and did not answer")
        section, off = page(ours, theirs)
    write(section)
    off += lost
    print("\n".join([*(f"off: {line}" for line in off), f"docs/conformance.md: {len(off)} of what was asked differ"]))
    sys.exit(bool(off))


def asked_apart(engine: str, place: str, folder: Path, out: Path) -> tuple[str, dict] | None:
    """Ask an engine in a process of its own."""
    import postgres

    path = os.pathsep.join(filter(None, [place * (engine != "postgres"), *sys.path]))
    with postgres.server(place) if engine == "postgres" else postgres.none() as url:
        if url is None:
            print("postgres is left out: no server of PostgreSQL, or no psycopg, is installed")
            return None
        command = [sys.executable, __file__, "--answer", engine, str(folder), str(out)]
        done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path, "WORKBENCH_PG": url}, check=False)
    if done.returncode:
        print(f"{engine} is left out: it ended with {done.returncode}")
        return None
    return pd.read_pickle(out)


def write(section: str) -> None:
    """Put the section at the end of the page."""
    file = ROOT / "docs/conformance.md"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.split(HEADING)[0].rstrip("\n") + "\n" + section, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
