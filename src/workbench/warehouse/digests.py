"""Which tables did a notebook read, and are they the same in another version of the warehouse?

Beside each version stands `tables.json`: a digest of every table's rows, whatever their order. A run that names a file
in WORKBENCH_READS gets a line for every table that is named by a query: at least what was read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from workbench.project import READS
from workbench.warehouse.sql import quoted, without_bar

DIGESTS = "tables.json"
HASHES = "sum(hash(t)::HUGEINT)"
ROWS = f"count(*), {HASHES}"


def write_digests(place: Path, months: Sequence[Sequence[int]] = ()) -> None:
    """Write the digests of a version's tables beside it; of the facts, those that are not of the version itself.

    `months` has what `ROWS` is of the detail records, month by month.
    """
    import duckdb

    with duckdb.connect(str(place / "warehouse.duckdb"), read_only=True) as con:
        without_bar(con)
        names = [name for (name,) in con.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()]
        reads = {name: quoted(name) for name in names}
        reads["facts"] = "(SELECT * FROM facts WHERE name NOT IN ('version', 'created'))"
        digests = {}
        counted = {name: con.execute(f"SELECT {ROWS} FROM {table} t").fetchall()[0] for name, table in reads.items()}
        if months:
            counted["detail_record"] = tuple(map(sum, zip(*months, strict=True)))
        for name, (rows, total) in counted.items():
            # Sixteen digits: neither a telephone number nor a pseudonym to those who look for them.
            digests[name] = hashlib.blake2b(f"{rows} {total}".encode(), digest_size=8).hexdigest()
    (place / DIGESTS).write_text(json.dumps(digests, indent=1), encoding="utf-8")


def note_reads(source: str, version: str, sql: str, known: Iterable[str]) -> None:
    """Note the known tables that a query names, if the run wants to know."""
    if path := os.environ.get(READS):
        words = set(re.findall(r"\w+", sql.lower()))
        with open(path, "a", encoding="utf-8") as file:
            file.writelines(f"{source}\t{version}\t{name}\n" for name in ("facts", *known) if name in words | {"facts"})
