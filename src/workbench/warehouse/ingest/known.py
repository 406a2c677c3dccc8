"""What did a version before look at that needs no second look? Raw files as they were, records that were judged."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb

from workbench.warehouse.digests import ROWS
from workbench.warehouse.ingest.archives import on_disk, opened
from workbench.warehouse.ingest.parts import FOLDER, KNOWN, Part, read_sealed, write_sealed
from workbench.warehouse.ingest.rules import Check, lookup_relation
from workbench.warehouse.stored import parquet

JUST_NOW = 2_000_000_000  # nanoseconds: what changed so shortly before may change again and bear the same time


def raw_hash() -> Any:
    """Start the hash by which the account knows a raw file."""
    return hashlib.blake2b(digest_size=16)


class Looks:
    """What versions before know of the raw files, and what this one comes to know.

    A file whose size, times and place on the disk are as they were is not read to find its digest. `key` tells the key
    of the version in force from others; None where that is not known.
    """

    def __init__(self, before: Iterable[Path] = ()) -> None:
        found = [read_sealed(version / FOLDER / KNOWN) or {} for version in before]
        self._before = [facts.get("raw", {}) for facts in found]
        self.key = found[0].get("key") if found else None
        self._now: dict[str, list[Any]] = {}
        self._since = time.time_ns()

    def digest(self, path: Path, name: str) -> tuple[str, tuple[int, int]]:
        """The digest of a raw file's content, and its size and time of change."""
        at = on_disk(path).stat()
        state = [at.st_size, at.st_mtime_ns, at.st_ctime_ns, at.st_ino]
        found = next((old[name][-1] for old in self._before if old.get(name, [])[:-1] == state), "")
        if not found:
            with opened(path) as stream:
                found = hashlib.file_digest(stream, raw_hash).hexdigest()
        if max(at.st_mtime_ns, at.st_ctime_ns) < self._since - JUST_NOW:
            self._now[name] = [*state, found]
        return found, (at.st_size, at.st_mtime_ns)

    def write(self, place: Path, judged: Iterable[str], key: str) -> None:
        """Keep it for the next version, with what the accepted records were judged by (`Part.judged`), and the key."""
        write_sealed(place / FOLDER / KNOWN, {"raw": self._now, "judged": sorted(judged), "key": key})


class Parents:
    """Do other tables refuse records that they once accepted? `by` tells apart by what records were judged.

    `filled` says where each table stands that is filled by now.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, filled: dict[str, str]) -> None:
        self._con, self._filled = con, filled
        self.by: dict[str, str] = {}

    def refuse(self, parts: Iterable[tuple[Part | None, Check]]) -> bool:
        """Whether other tables, as they stand now, refuse a record of these parts, which are to be read anew then."""
        rows = defaultdict[str, list[Path]](list)
        for part, check in parts:
            asked = check.refused("$rows")
            by = self._judge(asked, check)
            if part and part.accepted and by not in part.judged:
                rows[asked] += part.rows()
        counted = (self._con.execute(asked.replace("$rows", parquet(files))) for asked, files in rows.items())
        return any(count.fetchall()[0][0] for count in counted)

    def _judge(self, asked: str, check: Check) -> str:
        """Tell apart by what records are judged: the question, and all rows with which it compares them."""
        if asked not in self.by:
            compared = [f"FROM {lookup_relation(lookup)}" for lookup in check.lookups] + check.parents(self._filled)
            compared += ["FROM united"] * check.united
            found = [self._con.execute(f"SELECT {ROWS} FROM ({of}) t").fetchall() for of in compared]
            self.by[asked] = hashlib.blake2b(f"{asked}{found}".encode(), digest_size=8).hexdigest()
        return self.by[asked]
