"""How does a department deliver? Files in its own encoding and dialect, a known few of whose rows are bad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import xlsxwriter

from workbench.errors import WorkbenchError
from workbench.sample.backwards import block_of, delivered, origins
from workbench.warehouse.ingest.blocks import FileBlock
from workbench.warehouse.ingest.mapping import Mapping as SourceMapping

BAD_SHARE = 0.003
DUPLICATE = "duplicate"
SHORT_LINE = "short line"


Break = tuple[str, str, str]
"""What is wrong in a bad row: kind, canonical column, raw text. Each is a copy of a good row with one cell replaced
(kind DUPLICATE: a plain copy; SHORT_LINE: the last field missing)."""


@dataclass
class _Tally:
    encoding: str
    rows: int = 0
    bad: Counter = field(default_factory=Counter)

    def owed(self, good: int, kinds: int) -> int:
        """Bad rows due after `good` more good rows: the declared share, each kind at least once."""
        already = self.bad.total()
        due = max(int((self.rows - already + good) * BAD_SHARE), kinds)
        return max(min(due - already, good), 0) if kinds else 0


class Extracts:
    """All files of a sample, written batch by batch into `folder` as `mapping` reads them, and the count of rows."""

    def __init__(self, folder: Path, mapping: SourceMapping) -> None:
        self.folder, self.blocks = folder, mapping.files
        self._files: dict[str, _Tally] = {}
        self._open: dict[str, Any] = {}

    def write(
        self,
        table: str,
        columns: Mapping[str, object],
        *,
        breaks: tuple[Break, ...] = (),
        eol: str = "\n",
        part: str = "",
    ) -> None:
        """Append rows of a canonical table, and the bad ones that are due, to the file that the mapping reads.

        A table that the mapping does not read is not written.

        Parameters
        ----------
        columns : mapping
            Canonical columns; a map column holds columns by name, a text stands for a constant column.
        breaks : tuple of Break
            What is wrong in the bad rows, in turn.
        eol : str
            End of a text file's lines, of which the mapping knows nothing.
        part : str
            What stands for `*` in the path.
        """
        columns = _flat(columns)
        block = block_of(self.blocks, table, columns)
        if block is None:
            return
        path = block.path.replace("*", part)
        if path.endswith(".gz") or set(path) & set("?[]"):
            raise WorkbenchError("{path} cannot be written: give a path without .gz and with no pattern but one *.").of(
                path
            )
        raw = delivered(block, columns)
        bad = self._bad_rows(block, path, raw, breaks)
        match block.format:
            case "csv":
                self._csv(block, path, raw, bad, eol)
            case "excel":
                self._excel(block, path, raw, bad)
            case _:
                self._parquet(path, raw, bad)
        self._files[path].rows += raw.num_rows + len(bad)

    def _csv(self, block: FileBlock, path: str, table: pa.Table, bad: list[list[str]], eol: str) -> None:
        first = path not in self._open
        sink = pa.BufferOutputStream()
        style = pyarrow.csv.WriteOptions(include_header=False, delimiter=block.delimiter, quoting_style="none")
        pyarrow.csv.write_csv(_plain(table), sink, style)
        text = block.delimiter.join(table.column_names) + "\n" if first and not block.names else ""
        text += sink.getvalue().to_pybytes().decode()
        text += "".join(block.delimiter.join(row) + "\n" for row in bad)
        if eol != "\n":
            text = text.replace("\n", eol)
        if first:
            self._open[path] = self._path(path).open("wb")
        plain = block.encoding == "auto" or (block.encoding == "utf-8-sig" and not first)
        self._open[path].write(text.encode("utf-8" if plain else block.encoding))

    def _parquet(self, path: str, table: pa.Table, bad: list[list[str]]) -> None:
        """Append a row group; bad rows get typed values."""
        if path not in self._open:
            coded = [f.name for f in table.schema if pa.types.is_dictionary(f.type)] + table.column_names[:2]
            place = self._path(path)
            self._open[path] = pq.ParquetWriter(place, table.schema, compression="snappy", use_dictionary=coded)
        columns = {f.name: _typed([row[i] for row in bad], f.type) for i, f in enumerate(table.schema)}
        self._open[path].write_table(pa.concat_tables([table, pa.table(columns, schema=table.schema)]))

    def _excel(self, block: FileBlock, path: str, table: pa.Table, bad: list[list[str]]) -> None:
        """Append to a workbook of one sheet; text cells for text and dates, numbers for numbers."""
        rows = [list(row.values()) for row in _plain(table).to_pylist()] + bad
        if path not in self._open:
            book = self._open[path] = xlsxwriter.Workbook(self._path(path), {"constant_memory": True})
            book.set_properties({"created": datetime(2026, 7, 1)})
            book.add_worksheet(block.sheet if isinstance(block.sheet, str) else Path(path).stem)
            rows = [table.column_names, *rows]
        page = self._open[path].worksheets()[0]
        start = self._files[path].rows
        for at, row in enumerate(rows, start + 1 if start else 0):
            for column, cell in enumerate(row):
                if isinstance(cell, int | float):
                    page.write_number(at, column, cell)
                elif cell is not None:
                    page.write_string(at, column, str(cell))

    def __enter__(self) -> Extracts:
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._open.values():
            handle.close()

    def frame(self) -> pd.DataFrame:
        """Tabulate file, rows, bad_rows, encoding."""
        rows = [(path, t.rows, t.bad.total(), t.encoding) for path, t in sorted(self._files.items())]
        return pd.DataFrame(rows, columns=["file", "rows", "bad_rows", "encoding"])

    def declared(self) -> dict[str, dict[str, object]]:
        """Rows and bad rows by kind of each file."""
        return {
            path: {"rows": t.rows, "bad_rows": t.bad.total(), "kinds": dict(sorted(t.bad.items()))}
            for path, t in sorted(self._files.items())
        }

    def _path(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _bad_rows(self, block: FileBlock, path: str, table: pa.Table, breaks: tuple[Break, ...]) -> list[list[str]]:
        tally = self._files.setdefault(path, _Tally(block.encoding if block.format == "csv" else Path(path).suffix[1:]))
        headers = {name: value.column for name, value in origins(block).items() if value.column is not None}
        breaks = tuple(entry for entry in breaks if _holds(block, table, headers, entry))
        count = tally.owed(table.num_rows, len(breaks))
        picked = np.linspace(0, table.num_rows - 1, count).astype(np.int64)
        rows = list(zip(*(_texts(column) for column in table.take(picked).columns), strict=True))
        bad = []
        for row in rows:
            kind, column, text = breaks[tally.bad.total() % len(breaks)]
            cells = list(row)
            if kind == SHORT_LINE:
                cells.pop()
            elif kind != DUPLICATE:
                cells[table.column_names.index(headers[column])] = text
            bad.append(cells)
            tally.bad[kind] += 1
        return bad


def words(codes: np.ndarray, labels: Iterable[str]) -> pa.DictionaryArray:
    """Turn positions into labels; a negative position is missing.

    >>> words(np.array([1, -1]), ["a", "b"]).to_pylist()
    ['b', None]
    """
    codes = np.asarray(codes)
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=codes < 0), list(labels))


def money(values: np.ndarray) -> np.ndarray:
    """Round to fen."""
    return np.rint(np.asarray(values) * 100) / 100 + 0.0


def _holds(block: FileBlock, table: pa.Table, headers: Mapping[str, str], entry: Break) -> bool:
    """Whether a file can be wrong in this way: it has the column, and one of Parquet has the type for the text."""
    kind, column, text = entry
    if not column:
        return kind != SHORT_LINE or block.format == "csv"
    try:
        return column in headers and (block.format != "parquet" or bool(_typed([text], table[headers[column]].type)))
    except pa.ArrowInvalid:
        return False


def _texts(column: pa.ChunkedArray) -> list[str]:
    return ["" if cell is None else cell for cell in column.cast(pa.string()).to_pylist()]


def _typed(cells: list[str], kind: pa.DataType) -> pa.Array:
    texts = pa.array([cell or None for cell in cells], type=pa.string())
    return texts.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else texts.cast(kind)


def _flat(columns: Mapping[str, object]) -> dict[str, object]:
    """Columns as the mapping's origins name them: those inside a map by map and name."""
    flat: dict[str, object] = {}
    for name, column in columns.items():
        flat |= {f"{name}.{entry}": c for entry, c in column.items()} if isinstance(column, Mapping) else {name: column}
    return flat


def _plain(table: pa.Table) -> pa.Table:
    """Words for codes, and times without fractions, as departments write them."""
    return pa.table([_written_out(column) for column in table.columns], names=table.column_names)


def _written_out(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column.cast(pa.timestamp("s")) if pa.types.is_timestamp(column.type) else column
