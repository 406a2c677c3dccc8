"""What stands in the raw files? Records as text, batch after batch, whatever the format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fastexcel
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.errors import WorkbenchError, named, nearest
from workbench.warehouse.ingest.lines import Batch, Malformed, csv_batches, trimmed
from workbench.warehouse.ingest.mapping import FileBlock, Mapping

ROWS = 200_000
SAFE_DIGITS = 15


def raw_files(mapping: Mapping, folder: Path) -> list[tuple[FileBlock, list[Path]]]:
    """Find the files of each block, in the order of their names.

    Raises
    ------
    WorkbenchError
        If the raw folder or the file of a block is missing.
    """
    if mapping.files and not folder.is_dir():
        raise WorkbenchError(
            f"no raw folder {folder}. Put the extracts of '{mapping.source}' there, or name their folder: --raw FOLDER."
        )
    found = []
    for block in mapping.files:
        paths = sorted(p for p in folder.glob(block.path) if p.is_file()) if block.is_glob else [folder / block.path]
        if not paths or not paths[0].is_file():
            has = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
            raise WorkbenchError(
                f"{folder} lacks {block.path}, which fills {block.table.name}.{nearest(block.path, has)} "
                "Put the file there, or mend path in the mapping."
            )
        found.append((block, paths))
    return found


def first_record(block: FileBlock) -> int:
    """Line number of a file's first record (Excel and CSV: after the line of names)."""
    return 1 if block.format == "parquet" or block.names is not None else 2


def batches(path: Path, block: FileBlock) -> Iterator[Batch]:
    """Give the records of a file as texts.

    Raises
    ------
    WorkbenchError
        If the file can't be read as the mapping says, or its columns are not those of the mapping.
    """

    def check_names(names: tuple[str, ...]) -> None:
        _check_names(names, path, block)

    match block.format:
        case "csv":
            yield from csv_batches(path, block, check_names)
        case "excel":
            yield from _excel(path, block, check_names)
        case _:
            yield from _parquet(path, block, check_names)


def _check_names(names: tuple[str, ...], path: Path, block: FileBlock) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise WorkbenchError(f"{path} has two columns {named(twice)}. Rename one in the file.")
    lacking = [name for name in block.sources() if name not in names]
    if lacking:
        raise WorkbenchError(
            f"{path} lacks the column {named(lacking)} of the mapping.{nearest(lacking[0], names)} "
            f"It has: {named(names)}. Mend the mapping; if names look garbled, see delimiter and encoding."
        )
    unused = [name for name in names if name not in block.sources() and name not in block.ignore]
    if unused:
        raise WorkbenchError(
            f"{path} has columns that the mapping does not use: {named(unused)}. Map them, or list them under ignore."
        )
    if gone := [name for name in block.ignore if name not in names]:
        raise WorkbenchError(
            f"{path} lacks {named(gone)}, listed under ignore.{nearest(gone[0], names)} Remove it there."
        )


def _parquet(path: Path, block: FileBlock, check_names) -> Iterator[Batch]:
    try:
        with pq.ParquetFile(path) as file:
            check_names(tuple(file.schema_arrow.names))
            for name in block.sources():
                _check_type(file.schema_arrow.field(name).type, name, path)
            done = 0
            for batch in file.iter_batches(ROWS, columns=list(block.sources())):
                texts = pa.table({n: _texts(batch.column(n)) for n in block.sources()})
                lines = pa.array(np.arange(done + 1, done + batch.num_rows + 1))
                done += batch.num_rows
                yield Batch(texts.append_column("#line", lines), (), batch.num_rows)
            assert done == file.metadata.num_rows, f"{done} records read out of {file.metadata.num_rows}"
    except (pa.ArrowInvalid, OSError) as error:
        raise WorkbenchError(
            f"{path} can't be read as Parquet: {str(error).rstrip('.')}. Have it delivered again."
        ) from None


def _check_type(type: pa.DataType, name: str, path: Path) -> None:
    if pa.types.is_timestamp(type) and type.tz is not None:
        raise WorkbenchError(f"{path}: '{name}' has the time zone {type.tz}. Deliver local time without a zone.")
    if pa.types.is_nested(type) or pa.types.is_binary(type) or pa.types.is_duration(type):
        raise WorkbenchError(f"{path}: '{name}' holds {type}, which is neither text, number, date nor time.")


def _texts(column: pa.Array) -> pa.Array:
    """The cells as texts without spaces around them; a number, date or time has none."""
    if pa.types.is_dictionary(column.type):
        return _texts(column.dictionary).take(column.indices)
    if pa.types.is_timestamp(column.type) and not pc.any(pc.not_equal(pc.subsecond(column), 0)).as_py():
        column = column.cast(pa.timestamp("s"))
    texts = column.cast(pa.string())
    return texts if pa.types.is_primitive(column.type) else pc.utf8_trim(texts, " ")


def _excel(path: Path, block: FileBlock, check_names) -> Iterator[Batch]:
    try:
        book = fastexcel.read_excel(path)
    except fastexcel.FastExcelError as error:
        raise WorkbenchError(f"{path} can't be read as Excel: {str(error).splitlines()[0]}. Save it again.") from None
    if isinstance(block.sheet, str) and block.sheet not in book.sheet_names:
        has = book.sheet_names
        raise WorkbenchError(f"{path} has no sheet '{block.sheet}'.{nearest(block.sheet, has)} It has: {named(has)}.")
    if isinstance(block.sheet, int) and not 0 <= block.sheet < len(book.sheet_names):
        raise WorkbenchError(f"{path} has {len(book.sheet_names)} sheets, numbered from 0; {block.sheet} is none.")
    loaded = book.load_sheet(block.sheet, dtypes="string", skip_whitespace_tail_rows=True)
    cells, errors = loaded.to_arrow_with_errors()
    if not cells.num_columns:
        raise WorkbenchError(f"{path}, sheet {block.sheet!r}, is empty. Name another under sheet, or deliver it again.")
    check_names(tuple(cells.schema.names))
    for name in block.sources():
        _check_digits(book, block, name, cells.column(name), path)
    reasons = dict.fromkeys(_blank_rows(cells), "the line is empty")
    reasons |= {e.offset_position[0]: f"a cell has an error: {e.detail}" for e in (errors.errors if errors else ())}
    good = [row for row in range(cells.num_rows) if row not in reasons]
    columns = trimmed(pa.table({name: cells.column(name) for name in block.sources()}).take(good))
    columns = columns.append_column("#line", pa.array([row + 2 for row in good], pa.int64()))
    malformed = tuple(Malformed(row + 2, reason, "") for row, reason in sorted(reasons.items()))
    yield Batch(columns, malformed, cells.num_rows)


def _blank_rows(cells: pa.RecordBatch) -> list[int]:
    blank = pc.is_null(cells.column(0))
    for column in cells.columns[1:]:
        blank = pc.and_(blank, pc.is_null(column))
    return pc.indices_nonzero(blank).to_pylist()


def _check_digits(book: fastexcel.ExcelReader, block: FileBlock, name: str, texts: pa.Array, path: Path) -> None:
    """Refuse identifiers that stand as numbers and have more digits than a number of Excel keeps."""
    long = pc.match_substring_regex(texts, rf"^\d{{{SAFE_DIGITS + 1},}}$").fill_null(False)
    if not pc.any(long).as_py():
        return
    # Read as true/false, a cell with a number is true, and a cell with text is nothing.
    numbers = book.load_sheet(block.sheet, use_columns=[name], dtypes="boolean", eager=True).column(name)
    rows = pc.indices_nonzero(pc.and_(long, pc.is_valid(numbers.slice(0, len(texts))))).to_pylist()
    if rows:
        raise WorkbenchError(
            f"{path}: '{name}' has numbers of more than {SAFE_DIGITS} digits (row {rows[0] + 2}), of which Excel has "
            "already lost the last. Format the column as text where it is exported, and export it again."
        )
