"""How does a department deliver? Files in its own encoding and dialect, a known few of whose rows are bad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
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

BAD_SHARE = 0.003
DUPLICATE = "duplicate"
SHORT_LINE = "short line"


@dataclass(frozen=True)
class Layout:
    """A department's file.

    Attributes
    ----------
    path : str
        Inside the raw folder.
    breaks : tuple of (kind, column, text)
        What is wrong in its bad rows, in turn: each is a copy of a good row with one cell replaced
        (kind DUPLICATE: a plain copy; SHORT_LINE: the last field missing).
    """

    path: str
    encoding: str = "utf-8"
    delimiter: str = ","
    eol: str = "\n"
    breaks: tuple[tuple[str, str, str], ...] = ()


@dataclass
class _Tally:
    encoding: str
    rows: int = 0
    bad: Counter = field(default_factory=Counter)

    def owed(self, good: int, kinds: int) -> int:
        """Bad rows due after `good` more good rows: the declared share, each kind at least once."""
        already = self.bad.total()
        due = max(int((self.rows - already + good) * BAD_SHARE), kinds)
        return min(due - already, good) if kinds else 0


class Extracts:
    """All files of a sample, written batch by batch into `folder`, and the count of their rows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, _Tally] = {}
        self._open: dict[str, Any] = {}

    def csv(self, layout: Layout, columns: Mapping[str, object]) -> None:
        """Append rows, and the bad ones that are due, to a text file; `columns` by the department's headers."""
        table = pa.table(dict(columns))
        first = layout.path not in self._files
        tally, bad = self._bad_rows(layout, table)
        sink = pa.BufferOutputStream()
        style = pyarrow.csv.WriteOptions(include_header=False, delimiter=layout.delimiter, quoting_style="none")
        pyarrow.csv.write_csv(_plain(table), sink, style)
        text = layout.delimiter.join(table.column_names) + "\n" if first else ""
        text += sink.getvalue().to_pybytes().decode()
        text += "".join(layout.delimiter.join(row) + "\n" for row in bad)
        if layout.eol != "\n":
            text = text.replace("\n", layout.eol)
        codec = "utf-8" if layout.encoding == "utf-8-sig" and not first else layout.encoding
        self._handle(layout.path).write(text.encode(codec))
        tally.rows += table.num_rows + len(bad)

    def parquet(self, layout: Layout, table: pa.Table) -> None:
        """Append a row group; bad rows are built from the layout's breaks with typed values."""
        tally, bad = self._bad_rows(layout, table)
        if layout.path not in self._open:
            path = self._path(layout.path)
            coded = [f.name for f in table.schema if pa.types.is_dictionary(f.type)] + table.column_names[:2]
            self._open[layout.path] = pq.ParquetWriter(path, table.schema, compression="snappy", use_dictionary=coded)
        columns = {f.name: _typed([row[i] for row in bad], f.type) for i, f in enumerate(table.schema)}
        whole = pa.concat_tables([table, pa.table(columns, schema=table.schema)])
        self._open[layout.path].write_table(whole)
        tally.rows += whole.num_rows

    def excel(self, layout: Layout, sheet: str, columns: Mapping[str, object]) -> None:
        """Write a workbook of one sheet; text cells for text and identifiers, numbers for numbers."""
        table = pa.table(dict(columns))
        tally, bad = self._bad_rows(layout, table)
        book = xlsxwriter.Workbook(self._path(layout.path), {"constant_memory": True})
        book.set_properties({"created": datetime(2026, 7, 1)})
        page = book.add_worksheet(sheet)
        rows = [list(row.values()) for row in table.to_pylist()] + bad
        for at, row in enumerate([table.column_names, *rows]):
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    page.write_string(at, column, cell)
                elif cell is not None:
                    page.write_number(at, column, cell)
        book.close()
        tally.rows += len(rows)

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

    def _handle(self, name: str):
        if name not in self._open:
            self._open[name] = self._path(name).open("wb")
        return self._open[name]

    def _bad_rows(self, layout: Layout, table: pa.Table) -> tuple[_Tally, list[list[str]]]:
        ending = Path(layout.path).suffix[1:]
        tally = self._files.setdefault(layout.path, _Tally(layout.encoding if ending in ("csv", "txt") else ending))
        count = tally.owed(table.num_rows, len(layout.breaks))
        picked = np.linspace(0, table.num_rows - 1, count).astype(np.int64)
        rows = list(zip(*(_texts(column) for column in table.take(picked).columns), strict=True))
        bad = []
        for row in rows:
            kind, column, text = layout.breaks[tally.bad.total() % len(layout.breaks)]
            cells = list(row)
            if kind == SHORT_LINE:
                cells.pop()
            elif kind != DUPLICATE:
                cells[table.column_names.index(column)] = text
            bad.append(cells)
            tally.bad[kind] += 1
        return tally, bad


def words(codes: np.ndarray, labels) -> pa.Array:
    """Turn positions into labels; a negative position is missing.

    >>> words(np.array([1, -1]), ["a", "b"]).to_pylist()
    ['b', None]
    """
    codes = np.asarray(codes)
    return pa.array(list(labels), type=pa.string()).take(pa.array(np.maximum(codes, 0), mask=codes < 0))


def money(values: np.ndarray) -> np.ndarray:
    """Round to fen."""
    return np.rint(np.asarray(values) * 100) / 100 + 0.0


def _texts(column: pa.ChunkedArray) -> list[str]:
    return ["" if cell is None else cell for cell in column.cast(pa.string()).to_pylist()]


def _typed(cells: list[str], kind: pa.DataType) -> pa.Array:
    texts = pa.array([cell or None for cell in cells], type=pa.string())
    return texts.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else texts.cast(kind)


def _plain(table: pa.Table) -> pa.Table:
    """Times without fractions, as departments write them."""
    columns = [c.cast(pa.timestamp("s")) if pa.types.is_timestamp(c.type) else c for c in table.columns]
    return pa.table(columns, names=table.column_names)
