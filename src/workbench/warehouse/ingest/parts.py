"""Why is a file not read a second time? What it gave is kept beside the version, and the next version takes it over.

VERSION/parts/PART/
    rows.parquet            the records that were accepted; of detail records a file a month, 2026-01.parquet …
    aside.parquet           those that were not, with the reasons, and what they would be in the table
    records.parquet         accepted ones whose key stands in another row, as they stood in the file
    part.json               how many there were, and how these files were written: what is not so is not used

The name of a part is made of all that it depends on: the file's content and name, its block of the mapping, its
rules, repairs, key and program, and who asked to be forgotten. What depends on other files or on `as_of` (parents,
rules across tables, keys that stand twice) is not kept: it is found anew in each version, over the parts. A part is a
folder of hard links in each version that uses it, and goes with the last of them. Where what was refused would show
the clear number of somebody, no part stays; nor does one of a file with lines of somebody forgotten, for their
numbers, which are left out of others' records, are kept nowhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.locks import whole
from workbench.warehouse import schema
from workbench.warehouse.clear import mask

FOLDER, FACTS, ASIDE, RECORDS = "parts", "part.json", "aside.parquet", "records.parquet"
KNOWN = "known.json"
BY_MONTH = "detail_record"
_TOLD = ("customer_id", "subscription_id", "started_at")


@dataclass(frozen=True)
class Part:
    """What one file gave: records, the lines they stand on, accepted ones, masked numbers by column, files.

    `judged` tells apart by what, in the version before that has it, other tables were asked of its accepted records.
    """

    folder: Path
    records: int
    lines: int
    accepted: int
    masked: dict[str, int]
    files: dict[str, list[Any]] = field(default_factory=dict)
    passing: bool = False
    judged: frozenset[str] = frozenset()

    def rows(self) -> list[Path]:
        """The Parquet files of the accepted records."""
        return [self.folder / name for name in self.files if name not in (ASIDE, RECORDS)]

    def digests(self) -> dict[Path, str]:
        """The digests of its files."""
        return {self.folder / name: state[0] for name, state in self.files.items()}

    @property
    def aside(self) -> Path:
        """The Parquet file of the others; it stands only if there are some."""
        return self.folder / ASIDE

    @property
    def written(self) -> Path:
        """The Parquet file of `#line` and `record` of accepted records; it stands only if some were asked for."""
        return self.folder / RECORDS

    def keep(self, records: pa.Table) -> None:
        """Keep records as they stood in the file; the versions before keep what they have."""
        with whole(self.written) as new:
            pq.write_table(records, new, compression="zstd")
        _write_facts(self)

    def drop(self) -> None:
        """Remove it at the end if it must not stay."""
        if self.passing:
            shutil.rmtree(self.folder)


class Parts:
    """The parts of the version that is built in the folder `place`, and those of versions before.

    `program` tells programs apart that would read a file differently.
    """

    def __init__(self, place: Path, before: Iterable[Path], program: str) -> None:
        self.before, self.program, self._place = tuple(before), program, place / FOLDER
        self._judged = {v: frozenset((read_sealed(v / FOLDER / KNOWN) or {}).get("judged", ())) for v in self.before}
        self._place.mkdir(mode=0o700)

    def name(self, *depends: object) -> str:
        """Name the part that depends on these things."""
        return hashlib.blake2b(repr((self.program, *depends)).encode(), digest_size=12).hexdigest()

    def found(self, name: str) -> Part | None:
        """Take over a part from a version before, if it stands there as it was written."""
        for version in self.before:
            old = version / FOLDER / name
            if (facts := _facts(old)) is not None:
                (self._place / name).mkdir()
                for file in (FACTS, *facts["files"]):
                    link(old / file, self._place / name / file)
                return Part(self._place / name, **facts, judged=self._judged[version])
        return None

    @contextmanager
    def writer(self, name: str, table: schema.TableSchema) -> Iterator[PartWriter]:
        """Begin a part, in the place of one that stands there."""
        folder = self._place / name
        shutil.rmtree(folder, ignore_errors=True)
        writer = PartWriter(folder, table)
        try:
            yield writer
        finally:
            writer.close()


class PartWriter:
    """Writes a part, batch after batch."""

    def __init__(self, folder: Path, table: schema.TableSchema) -> None:
        self.records = self.lines = self.accepted = 0
        self.masked: dict[str, int] = {}
        self.passing = False
        folder.mkdir(parents=True)
        self._folder, self._by_month = folder, table.name == BY_MONTH
        self._names = [c.name for c in table.columns] if self._by_month else None
        self._few = [c.name for c in table.columns if c.type == "text" and not c.is_identifier]
        self._open: dict[str, pq.ParquetWriter] = {}

    def rows(self, good: pa.Table) -> None:
        """Add accepted records: `#line` and `#order`, then the columns of the table."""
        self.accepted += good.num_rows
        if not self._by_month:
            self._write("rows.parquet", good)
            return
        good = good.select(self._names)
        at = good.column("started_at").to_numpy().astype("datetime64[M]")
        for month in np.unique(at):
            self._write(f"{month}.parquet", good if (at == month).all() else good.filter(at == month))

    def aside(self, rows: pa.Table) -> None:
        """Add records that were not accepted, as `Check.aside` gives them."""
        texts = [f.name for f in rows.schema if pa.types.is_string(f.type) and f.name != "record"]  # that is masked
        self.passing |= any(mask(rows.column(name))[1] for name in texts)
        self._write(ASIDE, rows)

    def _write(self, name: str, rows: pa.Table) -> None:
        if name not in self._open:
            few = self._few if name != ASIDE else True
            told = [c for c in _TOLD if c in rows.schema.names]  # nobody looks for others by what Parquet says of them
            self._open[name] = pq.ParquetWriter(
                self._folder / name, rows.schema, compression="zstd", use_dictionary=few, write_statistics=told or False
            )
        self._open[name].write_table(rows)

    def files(self) -> list[Path]:
        """The files that were written."""
        return [self._folder / name for name in sorted(self._open)]

    def close(self) -> None:
        """Close the files."""
        for writer in self._open.values():
            writer.close()

    def part(self) -> Part:
        """Give the part, which is whole now."""
        self.close()
        part = Part(self._folder, self.records, self.lines, self.accepted, self.masked, {}, self.passing)
        _write_facts(part)
        return part


def link(file: Path, target: Path) -> None:
    """Let a file stand in another place too, without taking more room where the disk can do that."""
    try:
        os.link(file, target)
    except OSError:
        shutil.copy2(file, target)


def _write_facts(part: Part) -> None:
    part.files.update((file.name, state_of(file)) for file in sorted(part.folder.glob("*.parquet")))
    if part.passing:
        return
    facts = {name: getattr(part, name) for name in ("records", "lines", "accepted", "masked", "files")}
    write_sealed(part.folder / FACTS, facts)


def _facts(folder: Path) -> dict[str, Any] | None:
    """What stands in part.json; None if there is none, or a file is not as it was written."""
    facts = read_sealed(folder / FACTS)
    return facts if facts and all(stands(folder / name, state) for name, state in facts["files"].items()) else None


def state_of(file: Path, digest: str = "") -> list[Any]:
    """Digest, size and time of change of a file, by which `stands` knows it again."""
    found = file.stat()
    return [digest or digest_of(file), found.st_size, found.st_mtime_ns]


def stands(file: Path, state: list[Any]) -> bool:
    """Whether a file is as it was written: by size and time of change, or where these are others, by its bytes."""
    try:
        found = file.stat()
        return [found.st_size, found.st_mtime_ns] == state[1:] or digest_of(file) == state[0]
    except OSError:
        return False


def write_sealed(file: Path, facts: dict[str, Any]) -> None:
    """Write facts with their own digest above them."""
    text = json.dumps(facts)
    with whole(file) as new:
        new.write_text(f"{_seal(text)}\n{text}", encoding="utf-8")


def read_sealed(file: Path) -> dict[str, Any] | None:
    """Read facts; None if there are none, or they are not as they were written."""
    try:
        seal, _, text = file.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return json.loads(text) if seal == _seal(text) else None


def _seal(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def digest_of(file: Path) -> str:
    """The digest of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=8)).hexdigest()
