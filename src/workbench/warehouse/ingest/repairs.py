"""How does a refused record come back? Exported, mended by hand, and laid in the place of the line it came from.

A repair is a CSV file in `data/repairs/SOURCE`: the columns of the raw file that the mapping uses, and before them
`#file`, `#delivery` (the digest of its content), `#table`, `#line` and `#reasons`. What was hidden stays hidden: its
pseudonym stands for it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from workbench.errors import WorkbenchError
from workbench.warehouse.ingest.lines import MALFORMED, Batch
from workbench.warehouse.ingest.mapping import FileBlock
from workbench.warehouse.texts import trimmed

FILE, DELIVERY, TABLE, LINE, REASONS = PLACE = ("#file", "#delivery", "#table", "#line", "#reasons")


def repairs_folder(source: str, root: Path) -> Path:
    """The folder of a source's repairs."""
    return root / "data" / "repairs" / source


def write_quarantine(aside: pd.DataFrame, path: Path) -> int:
    """Write refused records as a CSV file that people mend, and that `take_back` reads; give their number.

    Parameters
    ----------
    aside : DataFrame
        file, digest, table, line, reasons, record, as `Warehouse.refused` gives them. A record that could not
        be cut into fields has one cell, and can't be mended here; it is left out.

    Raises
    ------
    WorkbenchError
        If the records come from files with different columns: export one file at a time.
    """
    records = [json.loads(text) for text in aside["record"]]
    rows = [
        {
            **dict(zip(PLACE, (row.file, row.digest, row.table, row.line, "; ".join(row.reasons)), strict=True)),
            **{name: text or "" for name, text in record.items()},
        }
        for row, record in zip(aside.itertuples(), records, strict=True)
        if isinstance(record, dict)
    ]
    if len({tuple(row) for row in rows}) > 1:
        places = sorted({f"--file {row[FILE]} --table {row[TABLE]}" for row in rows})
        raise WorkbenchError("the records have different columns. Choose one of: {places}").of(places)
    with open(path, "w", encoding="utf-8-sig", newline="", opener=_for_me_alone) as stream:
        writer = csv.DictWriter(stream, list(rows[0]) if rows else PLACE)
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def _for_me_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class Repairs:
    """The repairs of a source: by raw file and table the mended records, by line."""

    def __init__(self, source: str, root: Path) -> None:
        self._folder = repairs_folder(source, root)
        self.files = sorted(self._folder.glob("*.csv")) if self._folder.is_dir() else []
        self._rows: dict[tuple[str, str], dict[int, dict[str, str]]] = {}
        self._deliveries: set[tuple[str, str]] = set()
        digest = hashlib.blake2b(digest_size=16)
        for path in self.files:
            digest.update(path.read_bytes())
            for row in _rows(path):
                file, delivery, table, line = (row.pop(name) for name in (FILE, DELIVERY, TABLE, LINE))
                self._deliveries.add((file, delivery))
                rows = self._rows.setdefault((file, table), {})
                if int(line) in rows:
                    raise WorkbenchError("{path} mends line {line} of {file} a second time. Take one of them out.").of(
                        path, str(line), file
                    )
                rows[int(line)] = row
        self.digest = digest.hexdigest() if self.files else ""

    def check(self, delivered: Mapping[str, str], blocks: Iterable[tuple[str, FileBlock]]) -> None:
        """Refuse repairs of what is not delivered, or not as it was.

        `delivered` has the digests of files by name, `blocks` the blocks that read each file.
        """
        if other := sorted(file for file, digest in self._deliveries if delivered.get(file, digest) != digest):
            raise WorkbenchError(
                "{names}: the rows were mended of another delivery of {others}. Take the repair out of {folder}, "
                "ingest, and export anew what is still refused."
            ).of([path.name for path in self.files], other, self._folder)
        if unknown := sorted({file for file, _ in self._rows} - set(delivered)):
            places = [path.name for path in self.files]
            raise WorkbenchError("{places}: {names} is not delivered. Put it back, or take its rows out.").of(
                places, unknown
            )
        taken = {(file, block.table.name, frozenset(block.sources())) for file, block in blocks}
        for (file, table), rows in self._rows.items():
            if strange := [line for line, row in rows.items() if (file, table, frozenset(row)) not in taken]:
                raise WorkbenchError(
                    "the repair of line {first} of {file} has other columns than the mapping uses for '{table}'. "
                    "Export it anew."
                ).of(str(strange[0]), file, table)

    def of(self, file: str, block: FileBlock) -> dict[int, dict[str, str]]:
        """The mended records that a block reads: those with its columns."""
        rows = self._rows.get((file, block.table.name), {})
        return {line: row for line, row in rows.items() if set(row) == set(block.sources())}

    def lines(self, file: str, block: FileBlock) -> pa.Array:
        """Lines of a raw file whose records are mended for a block."""
        return pa.array(sorted(self.of(file, block)), pa.int64())

    def batch(self, file: str, block: FileBlock, numbers: dict[int, int]) -> Batch | None:
        """The mended records of a raw file; `numbers` gives the number of the record on each line."""
        rows = self.of(file, block)
        if not rows:
            return None
        if lacking := sorted(set(rows) - set(numbers)):
            raise WorkbenchError("the repairs name line {first} of {file}, where no record begins. Mend #line.").of(
                str(lacking[0]), file
            )
        sources = block.sources()
        cells = pa.table({name: pa.array([row[name] for row in rows.values()], pa.string()) for name in sources})
        columns = trimmed(cells).append_column("#line", pa.array(list(rows), pa.int64()))
        columns = columns.append_column("#record", pa.array([numbers[line] for line in rows], pa.int64()))
        return Batch(columns, MALFORMED.empty_table(), 0, 0)


def without(batch: Batch, lines: pa.Array) -> tuple[Batch, dict[int, int]]:
    """A batch without the records on some lines, and the number of each record that was there."""
    if not len(lines):
        return batch, {}
    held = pc.is_in(batch.columns.column("#line"), lines)
    gone = batch.columns.filter(held)
    numbers = dict(zip(gone.column("#line").to_pylist(), gone.column("#record").to_pylist(), strict=True))
    cut = pc.is_in(batch.malformed.column("line"), lines)
    gone = batch.malformed.filter(cut)
    numbers |= dict(zip(gone.column("line").to_pylist(), gone.column("record").to_pylist(), strict=True))
    kept, malformed = batch.columns.filter(pc.invert(held)), batch.malformed.filter(pc.invert(cut))
    return Batch(kept, malformed, batch.records, batch.lines), numbers


def _rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            if lacking := [name for name in (FILE, DELIVERY, TABLE, LINE) if name not in (reader.fieldnames or ())]:
                raise WorkbenchError("{path} lacks {names}. Make it by: workbench data quarantine --export").of(
                    path, lacking
                )
            for row in reader:
                row.pop(REASONS, None)
                if None in row or None in row.values() or not row[LINE].strip().isdigit():
                    raise WorkbenchError("{path}, line {line}, has too few or too many cells. Mend it.").of(
                        path, str(reader.line_num)
                    )
                yield row
    except (csv.Error, UnicodeDecodeError) as error:
        raise WorkbenchError("{path} can't be read as CSV in UTF-8: {error}. Save it so.").of(path, error) from None
