"""A server of PostgreSQL for tests: on a socket of its own, as another user where this one is root.

WORKBENCH_TEST_POSTGRES names the folder of another one's `initdb` and `postgres`, as in an unpacked wheel.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import awkward
import duckdb

from workbench.warehouse import schema

TYPES = {"VARCHAR": "text", "BIGINT": "bigint", "DOUBLE": "double precision", "BOOLEAN": "boolean", "DATE": "date"}
TYPES |= {"TIMESTAMP": "timestamp"}


@contextmanager
def server(bin_folder: str = "") -> Iterator[str | None]:
    """Start a server, give its URL, stop it; None where none is installed, or nothing that speaks to it."""
    named = bin_folder or os.environ.get("WORKBENCH_TEST_POSTGRES")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = shutil.which("initdb", path=named) or (None if named else next(iter(installed), None))
    if not initdb or importlib.util.find_spec("psycopg") is None:
        yield None
        return
    binaries, place = Path(initdb).resolve().parent, Path(tempfile.mkdtemp(prefix="pg-"))  # sockets want short paths
    become = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    try:
        if become:
            shutil.chown(place, "nobody", "nogroup")
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": place, **become}
        data = place / "data"
        made = [binaries / "initdb", "-D", data, "-U", "wb", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8"]
        language = [*made, "--locale-provider=icu", "--icu-locale=en"]  # sorts as a language does; wheels have no ICU
        if subprocess.run(language, **quiet | {"check": False}).returncode:
            subprocess.run(made, **quiet)
        hba = data / "pg_hba.conf"
        hba.write_text("local all locked scram-sha-256\nlocal all all trust\n", encoding="utf-8")  # one has a password
        control = [binaries / "pg_ctl", "-D", data, "-w", "-l", place / "log"]
        subprocess.run([*control, "-o", f"-c listen_addresses= -c fsync=off -k {place}", "start"], **quiet)
        try:
            yield f"postgresql://wb@/postgres?host={place}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **quiet)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def none() -> nullcontext[str]:
    """No server, where none is wanted."""
    return nullcontext("")


def fill(url: str, source: duckdb.DuckDBPyConnection, schema_name: str) -> None:
    """Copy the canonical tables into a schema of a database, without maps, their long twins beside."""
    import psycopg

    known = {t.name: {c.name: TYPES[c.sql_type] for c in t.columns if not c.is_map} for t in schema.tables().values()}
    with psycopg.connect(url, autocommit=True) as con:
        con.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema_name}"')
        for name, sql in awkward.copies(maps=False):
            cursor = source.execute(f"SELECT * FROM ({sql}) ORDER BY random()")
            kinds = known.get(name, {"value": "double precision"})
            spelt = ", ".join(f"{column[0]} {kinds.get(column[0], 'text')}" for column in cursor.description)
            con.execute(f'CREATE TABLE "{schema_name}".{name} ({spelt})')
            with con.cursor().copy(f'COPY "{schema_name}".{name} FROM STDIN') as copy:
                while rows := cursor.fetchmany(20_000):
                    for row in rows:
                        copy.write_row(row)
        con.execute("ANALYZE")
