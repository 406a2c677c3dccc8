"""How do the detail records come to lie by month? Each with its partials, taken over where nothing changed."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from workbench.errors import WorkbenchError
from workbench.messages import say
from workbench.warehouse import schema
from workbench.warehouse.features import STORED, feature_file
from workbench.warehouse.ingest.parts import BY_MONTH, FOLDER, digest_of, link, read_sealed, write_sealed
from workbench.warehouse.ingest.rules import following
from workbench.warehouse.sql import literal

MONTHS = "months.json"
LARGE = 1_000_000  # records a file, from which those of a month are not made one: it would be written anew each day
NO_CHANCE = 10  # as many records are not the same in two files by chance


class Months:
    """Collects the files of each month's records, and writes the months of a version in the folder `place`."""

    def __init__(self, place: Path, before: Iterable[Path]) -> None:
        self._place = place
        self._files: dict[str, list[Path]] = defaultdict(list)
        self._from: dict[str, str] = {}
        self._accepted: Counter[str] = Counter()
        texts = "\n".join([duckdb.__version__, Path(__file__).read_text("utf-8"), *map(feature_file, STORED)])
        made_by = hashlib.blake2b(texts.encode(), digest_size=8).hexdigest()
        self._before = [
            (v, facts) for v in before if (facts := read_sealed(v / FOLDER / MONTHS)) and facts["made_by"] == made_by
        ]
        self._made: dict[str, Any] = {"made_by": made_by, "files": {}, "twice": {}, "united": {}, "told": {}}
        self._told: dict[str, dict[str, Any]] = {}

    def add(self, files: Iterable[Path], name: str, accepted: int) -> None:
        """Add the accepted records of a delivered file, which lie by month: `2026-01.parquet` …"""
        self._accepted[name] += accepted
        for file in files:
            self._files[file.name].append(file)
            self._from[str(file)] = name

    def write(self, con: duckdb.DuckDBPyConnection, *, united: bool = False) -> None:
        """Write each month, and what the partials of the features make of it, after some customers were united."""
        for name, files in sorted(self._files.items()):
            for table in (BY_MONTH, *STORED):
                (self._place / table).mkdir(exist_ok=True)
            read = f"read_parquet([{_listed(files)}])"
            ones = self._made["united"][name] = _ones(con, read) if united else ""
            same = (
                (v, f) for v, f in self._before if f["united"].get(name) == ones and _same(v, f["files"], name, files)
            )
            old, facts = next(same, (None, {}))
            self._told[name] = facts.get("told", {}).get(name, {})
            large = sum(pq.read_metadata(file).num_rows for file in files) >= LARGE * len(files)
            for table in (BY_MONTH, *STORED):
                place = self._place / table / name
                if table == BY_MONTH and not ones and (large or len(files) == 1):
                    for n, file in enumerate(files):
                        link(file, place.with_stem(f"{place.stem}+{n:04}") if n else place)
                elif old is not None:
                    link(old / table / name, place)
                else:
                    rows = following(read, schema.table(BY_MONTH)) if ones else read
                    of = feature_file(table) if table != BY_MONTH else f"FROM {rows}"
                    con.execute(f"COPY ({of}) TO {literal(str(place))} (COMPRESSION zstd)")
                made = _pieces(place)
                con.execute(f"CREATE OR REPLACE TEMP VIEW {table} AS FROM read_parquet([{_listed(made)}])")
                for file in made:
                    known = facts.get("files", {}).get(f"{table}/{file.name}")
                    self._made["files"][f"{table}/{file.name}"] = known or digest_of(file)
            if len(files) > 1:
                self._made["twice"][name] = facts["twice"][name] if facts else self._twice(con, files)

    def seal(self) -> None:
        """Keep for the next version what was made of each month, and what was told of it."""
        write_sealed(self._place / FOLDER / MONTHS, self._made)

    def told(self, con: duckdb.DuckDBPyConnection, sql: str) -> list[list[Any]]:
        """Give the rows that a query gives of each month (`$month`), asked only where a month is not as it was."""
        key, rows = hashlib.blake2b(sql.encode(), digest_size=8).hexdigest(), list[list[Any]]()
        for name in sorted(self._files):
            found = self._told[name].get(key)
            if found is None:
                month = f"read_parquet([{_listed(_pieces(self._place / BY_MONTH / name))}])"
                found = [list(row) for row in con.execute(sql.replace("$month", month)).fetchall()]
            self._made["told"].setdefault(name, {})[key] = found
            rows += found
        return rows

    def _twice(self, con: duckdb.DuckDBPyConnection, files: list[Path]) -> dict[str, int]:
        """How many records of each file stand in another one, too, in every cell; files of other times have none."""
        if len(files := _of_one_time(con, files)) < 2:
            return {}
        cells = ", ".join(column.name for column in schema.table(BY_MONTH).columns)
        listed = _listed(files)
        found = con.execute(
            f"WITH r AS (SELECT filename AS f, hash({cells}) AS h FROM read_parquet([{listed}], filename=true)), "
            "d AS (SELECT h FROM r GROUP BY h HAVING min(f) <> max(f)), "
            f"p AS (SELECT f, h, list_position([{listed}], f) AS nth FROM r SEMI JOIN d USING (h)) "
            "SELECT f, count(*) FROM (FROM p QUALIFY nth > min(nth) OVER (PARTITION BY h)) GROUP BY f"
        ).fetchall()
        return {self._from[file]: count for file, count in found}

    def notes(self) -> list[str]:
        """Say of which files records stand in others, too.

        Raises
        ------
        WorkbenchError : If all records of a file do, and there are several: it is the same delivery in another form.
        """
        counts: Counter[str] = Counter()
        for twice in self._made["twice"].values():
            counts.update(twice)
        for name, count in counts.items():
            if count == self._accepted[name] and count >= NO_CHANCE:
                raise WorkbenchError(
                    "all {count} {by_month}s of {name} stand in another file, too, and would count twice. Take one "
                    "of the two files out of the raw folder."
                ).of(count, BY_MONTH, name)
        found: list[dict[str, Any]] = [
            {"n": n, "all": self._accepted[name], "name": name} for name, n in sorted(counts.items())
        ]
        return [
            say(
                "{n} of {all} {rows}s of {name} stand in another file, too, and count twice: if it corrects the other "
                "one, put it in its place",
                rows=BY_MONTH,
                **said,
            )
            for said in found
        ]


def _ones(con: duckdb.DuckDBPyConnection, records: str) -> str:
    """Tell apart who of the customers of some records was united with whom; "" for nobody."""
    sql = f"SELECT customer_id, united_into FROM united SEMI JOIN {records} r USING (customer_id) ORDER BY ALL"
    found = con.execute(sql).fetchall()
    return hashlib.blake2b(repr(found).encode(), digest_size=8).hexdigest() if found else ""


def _same(version: Path, digests: dict[str, str], name: str, files: list[Path]) -> bool:
    """Whether a version has the same records in a month: the very files of its parts, and no other record."""
    places = {file: f"{table}/{file.name}" for table in (BY_MONTH, *STORED) for file in _pieces(version / table / name)}
    if _inodes(files) != _inodes(version.glob(f"{FOLDER}/*/{name}")) or not all(
        (version / table / name).is_file() for table in (BY_MONTH, *STORED)
    ):
        return False
    if any(digests.get(place) != digest_of(file) for file, place in places.items()):
        return False
    records = _pieces(version / BY_MONTH / name)
    return sum(pq.read_metadata(f).num_rows for f in records) == sum(pq.read_metadata(f).num_rows for f in files)


def _pieces(place: Path) -> list[Path]:
    """The files of a month: several large ones of records stay apart, `2026-06.parquet`, `2026-06+0001.parquet` …"""
    return sorted([*place.parent.glob(place.name), *place.parent.glob(f"{place.stem}+*.parquet")])


def _of_one_time(con: duckdb.DuckDBPyConnection, files: list[Path]) -> list[Path]:
    """Give the files that begin before another one has ended, by what Parquet says of itself."""
    found = con.execute(
        "WITH span AS (SELECT file_name AS f, min(CAST(stats_min_value AS TIMESTAMP)) AS low, "
        "max(CAST(stats_max_value AS TIMESTAMP)) AS high FROM "
        f"parquet_metadata([{_listed(files)}]) WHERE path_in_schema = 'started_at' GROUP BY f) SELECT s.f FROM span s "
        "WHERE EXISTS (FROM span o WHERE o.f <> s.f AND NOT coalesce(o.low > s.high OR o.high < s.low, false))"
    ).fetchall()
    return [file for file in files if (str(file),) in found]


def _inodes(files: Iterable[Path]) -> set[tuple[int, int]]:
    return {(stat.st_dev, stat.st_ino) for stat in (file.stat() for file in files)}


def _listed(files: Iterable[Path]) -> str:
    return ", ".join(literal(str(file)) for file in files)
