"""How do the detail records come to lie by month? Each with its partials, taken over where nothing changed."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from workbench.warehouse.features import STORED, feature_file
from workbench.warehouse.ingest.parts import BY_MONTH, FOLDER, digest_of, link
from workbench.warehouse.sql import literal

MONTHS = "months.json"


class Months:
    """Collects the files of each month's records, and writes the months of a version in the folder `place`."""

    def __init__(self, place: Path, before: Iterable[Path]) -> None:
        self._place = place
        self._files: dict[str, list[Path]] = defaultdict(list)
        texts = "\n".join([duckdb.__version__, *map(feature_file, STORED)])
        self._made_by = hashlib.blake2b(texts.encode(), digest_size=8).hexdigest()
        self._before = [(v, d) for v in before if (d := _digests(v, self._made_by))]
        self._digests: dict[str, str] = {}

    def add(self, files: Iterable[Path]) -> None:
        """Add records that lie by month: `2026-01.parquet` …"""
        for file in files:
            self._files[file.name].append(file)

    def write(self, con: duckdb.DuckDBPyConnection) -> None:
        """Write each month, and what the partials of the features make of it."""
        for name, files in sorted(self._files.items()):
            for table in (BY_MONTH, *STORED):
                (self._place / table).mkdir(exist_ok=True)
            old = next((v for v, digests in self._before if _same(v, digests, name, files)), None)
            for table in (BY_MONTH, *STORED):
                place = self._place / table / name
                if table == BY_MONTH and len(files) == 1:
                    link(files[0], place)
                elif old is not None:
                    link(old / table / name, place)
                else:
                    of = feature_file(table) if table != BY_MONTH else f"FROM read_parquet([{_listed(files)}])"
                    con.execute(f"COPY ({of}) TO {literal(str(place))} (COMPRESSION zstd)")
                con.execute(f"CREATE OR REPLACE TEMP VIEW {table} AS FROM read_parquet({literal(str(place))})")
                self._digests[f"{table}/{name}"] = digest_of(place)
        facts = {"made_by": self._made_by, "files": self._digests}
        (self._place / FOLDER / MONTHS).write_text(json.dumps(facts, indent=1), encoding="utf-8")


def _digests(version: Path, made_by: str) -> dict[str, str]:
    """Digests of the months of a version, by file; none if other partials were made there."""
    try:
        facts: dict[str, Any] = json.loads((version / FOLDER / MONTHS).read_text(encoding="utf-8"))
        return facts["files"] if facts["made_by"] == made_by else {}
    except (OSError, ValueError, KeyError):
        return {}


def _same(version: Path, digests: dict[str, str], name: str, files: list[Path]) -> bool:
    """Whether a version has the same records in a month: the very files of its parts, and no other record."""
    places = [f"{table}/{name}" for table in (BY_MONTH, *STORED)]
    if _inodes(files) != _inodes(version.glob(f"{FOLDER}/*/{name}")) or not all(
        (version / p).is_file() for p in places
    ):
        return False
    if any(digests.get(place) != digest_of(version / place) for place in places):
        return False
    return pq.read_metadata(version / places[0]).num_rows == sum(pq.read_metadata(file).num_rows for file in files)


def _inodes(files: Iterable[Path]) -> set[tuple[int, int]]:
    return {(stat.st_dev, stat.st_ino) for stat in (file.stat() for file in files)}


def _listed(files: Iterable[Path]) -> str:
    return ", ".join(literal(str(file)) for file in files)
