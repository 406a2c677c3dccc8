"""How does a refused record come back? Exported, mended by hand, and laid in the place of the line it came from.

A repair is a CSV file in `data/repairs/SOURCE`: the columns of the raw file that the mapping uses, and before them
`#file`, `#delivery` (the digest of its content), `#table`, `#line` and `#reasons`. What was hidden stays hidden: its
pseudonym stands for it. The result of a step has other lines when a month comes in: there a repair also has `#was`,
the record as it was refused, and holds for the one row that is still so, while the files that it came from are there.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from workbench.errors import WorkbenchError
from workbench.warehouse.clear import mask
from workbench.warehouse.ingest.blocks import PREPARED, FileBlock
from workbench.warehouse.ingest.lines import Batch
from workbench.warehouse.ingest.read import batches, with_texts
from workbench.warehouse.texts import one_width, trimmed

FILE, DELIVERY, TABLE, LINE, REASONS = PLACE = ("#file", "#delivery", "#table", "#line", "#reasons")
WAS, FROM = "#was", "+"


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
            **({WAS: row.record} if row.file.startswith(PREPARED) else {}),
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


@dataclass(frozen=True)
class _Mended:
    """A record of a repair: where it stood, and in the result of a step what it was."""

    path: Path
    file: str
    delivery: str
    table: str
    line: int
    was: dict[str, str | None] | None
    row: dict[str, str]

    def stands(self, digest: str) -> bool:
        """Whether what it was mended of is delivered; of a result, all files that it came from, others perhaps, too."""
        files, now = (set(text.split(FROM)[1:]) for text in (self.delivery, digest))
        return self.delivery == digest or (self.was is not None and bool(files) and files <= now)


class Repairs:
    """The repairs of a source: by raw file and table the mended records, by line."""

    def __init__(self, source: str, root: Path) -> None:
        self._folder = repairs_folder(source, root)
        self.files = sorted(self._folder.glob("*.csv")) if self._folder.is_dir() else []
        self._rows: dict[tuple[str, str], dict[int, dict[str, str]]] = {}
        digest = hashlib.blake2b(digest_size=16)
        for path in self.files:
            digest.update(path.read_bytes())
        self._mended = [one for path in self.files for one in _rows(path)]
        for one in self._mended:
            if one.was is None:
                self._lay(one, one.line)
        self.digest = digest.hexdigest() if self.files else ""

    def _lay(self, one: _Mended, line: int) -> None:
        rows = self._rows.setdefault((one.file, one.table), {})
        if line in rows:
            raise WorkbenchError("{path} mends line {line} of {file} a second time. Take one of them out.").of(
                one.path, str(line), one.file
            )
        rows[line] = one.row

    def check(self, delivered: Mapping[str, str], blocks: Iterable[tuple[str, FileBlock]]) -> None:
        """Refuse repairs of what is not delivered, or not as it was.

        `delivered` has the digests of files by name, `blocks` the blocks that read each file.
        """
        if other := sorted({one.file for one in self._mended if not one.stands(delivered.get(one.file, one.delivery))}):
            raise WorkbenchError(
                "{names}: the rows were mended of another delivery of {others}. Take the repair out of {folder}, "
                "ingest, and export anew what is still refused."
            ).of([path.name for path in self.files], other, self._folder)
        if unknown := sorted({one.file for one in self._mended} - set(delivered)):
            places = [path.name for path in self.files]
            raise WorkbenchError("{places}: {names} is not delivered. Put it back, or take its rows out.").of(
                places, unknown
            )
        taken = {(file, block.table.name, frozenset(block.sources())) for file, block in blocks}
        for one in self._mended:
            if (one.file, one.table, frozenset(one.row)) not in taken:
                raise WorkbenchError(
                    "the repair of line {first} of {file} has other columns than the mapping uses for '{table}'. "
                    "Export it anew."
                ).of(str(one.line), one.file, one.table)

    def follow(self, file: str, digest: str, path: Path, block: FileBlock) -> None:
        """Find the mended rows in the result of a step, where others stand before them since: by what they were."""
        hidden = {value.column for value in block.values() if value.pseudonym}
        shown = [name for name in block.sources() if name not in hidden]
        asked: dict[tuple[str, ...], list[_Mended]] = {}
        for one in self._mended:
            if (one.file, one.table) != (file, block.table.name) or one.was is None or {*one.row} != {*block.sources()}:
                continue
            if one.delivery == digest:
                self._lay(one, one.line)
            else:
                asked.setdefault(tuple(one.was.get(name) or "" for name in shown), []).append(one)
        found: dict[tuple[str, ...], list[int]] = {}
        for batch in batches(path, block) if asked else ():
            rows, alike = with_texts(batch.columns), pa.array([True] * batch.columns.num_rows)
            for number, name in enumerate(shown):
                cells = one_width(rows.column(name)) if name in block.identifiers() else rows.column(name)
                cells = pc.fill_null(mask(cells)[0], "")
                rows = rows.set_column(rows.schema.get_field_index(name), name, cells)
                alike = pc.and_(alike, pc.is_in(cells, pa.array({was[number] for was in asked}, pa.string())))
            for row in rows.filter(alike).to_pylist():
                found.setdefault(tuple(row[name] for name in shown), []).append(row["#line"])
        for was, several in asked.items():
            lines = found.get(was, [])
            if len(lines) != 1 or len(several) != 1:
                raise WorkbenchError(
                    "{path}: what was mended in line {line} of {file} now stands in {n} rows, not in one for each "
                    "repair. Take its row out, ingest, and export anew what is still refused."
                ).of(several[0].path, str(several[0].line), file, len(lines))
            self._lay(several[0], lines[0])

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
        return replace(Batch.of(trimmed(cells), list(rows), [numbers[line] for line in rows]), records=0, lines=0)


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


def _rows(path: Path) -> Iterator[_Mended]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            if lacking := [name for name in (FILE, DELIVERY, TABLE, LINE) if name not in (reader.fieldnames or ())]:
                raise WorkbenchError("{path} lacks {names}. Make it by: workbench data quarantine --export").of(
                    path, lacking
                )
            for row in reader:
                row.pop(REASONS, None)
                was = row.pop(WAS, None)
                if None in row or None in row.values() or not row[LINE].strip().isdigit():
                    raise WorkbenchError("{path}, line {line}, has too few or too many cells. Mend it.").of(
                        path, str(reader.line_num)
                    )
                file, delivery, table, line = (row.pop(name) for name in (FILE, DELIVERY, TABLE, LINE))
                yield _Mended(path, file, delivery, table, int(line), json.loads(was) if was else None, row)
    except (csv.Error, ValueError) as error:
        raise WorkbenchError("{path} can't be read as CSV in UTF-8: {error}. Save it so.").of(path, error) from None
