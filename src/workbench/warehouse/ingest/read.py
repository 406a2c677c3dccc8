"""What stands in the raw files? Records as text, batch after batch, whatever the format."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path, PurePath
from typing import Any

import duckdb
import fastexcel
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.errors import WorkbenchError, nearest
from workbench.messages import Number, Term, as_message, say
from workbench.warehouse.connect import lock
from workbench.warehouse.ingest.archives import archive_of, inside, matching, on_disk, opened, size
from workbench.warehouse.ingest.blocks import FileBlock, Input, Mapping
from workbench.warehouse.ingest.databases import check_closed, relation_of, sqlite_batches
from workbench.warehouse.ingest.headers import joined, merged_below
from workbench.warehouse.ingest.lines import MALFORMED, Batch, Names, csv_batches, with_optional
from workbench.warehouse.ingest.objects import json_batches
from workbench.warehouse.sql import literal
from workbench.warehouse.texts import UNSEEN, trimmed

ROWS = 200_000
SAFE_DIGITS = 15
LARGEST_WORKBOOK = 2_000_000_000


def raw_files(mapping: Mapping, folder: Path) -> tuple[list[tuple[FileBlock, list[Path]]], list[str]]:
    """Find the files of each block, in the order of their names, and what is to be said of files passed over.

    Raises
    ------
    WorkbenchError
        If the raw folder or the file of a block is missing, or two patterns take one file for the same
        table.
    """
    if any(not block.prepared and not block.url for block in mapping.blocks()) and not folder.is_dir():
        raise WorkbenchError(
            "no raw folder {folder}. Put the extracts of '{source}' there, or name their folder: --raw FOLDER."
        ).of(folder, mapping.source)
    found, notes = [], []
    for block in mapping.blocks():
        if block.prepared or block.url:
            continue
        paths = matching(folder, block.path) if block.is_glob else [folder / block.path]
        if block.is_glob:
            others = {path: why for path in paths if (why := no_delivery(path))}
            notes += [
                say("{path} is passed over: {why}", path=readable(path.relative_to(folder)), why=Term(why))
                for path, why in others.items()
            ]
            paths = [path for path in paths if path not in others]
        if not paths or size(paths[0]) is None:
            files = [p for p in folder.rglob("*") if p.is_file()]
            if archive := archive_of(folder / block.path):
                files = inside(archive)
            has = sorted(readable(path.relative_to(folder)) for path in files)
            raise WorkbenchError(
                "{folder} lacks {path}, which fills {target}.{near} Put the file there, or mend path in the mapping."
            ).of(folder, block.path, block.target, nearest(block.path, has))
        found.append((block, paths))
    _check_inside(found, folder)
    _check_taken_once(found, folder)
    return found, list(dict.fromkeys(notes))


def readable(path: PurePath) -> str:
    """A path as people read it, with '/'; a name that is not UTF-8 was given in GBK by Windows, most likely."""
    name = os.fsencode(path.as_posix())
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("gb18030", "replace")


def no_delivery(path: Path) -> str:
    """Why a file that a pattern takes is none that somebody delivered; "" if it is one."""
    if path.name.startswith("~$"):
        return "it is the lock of a workbook that somebody has open"
    if path.name.startswith(".") or "__MACOSX" in path.parts:
        return "it is a hidden file of the system"
    if path.name.lower() in ("thumbs.db", "desktop.ini"):
        return "it is a file of the system"
    if path.suffix.lower() in (".tmp", ".part", ".crdownload", ".filepart"):
        return "it is not whole yet"
    return "" if size(path) else "it has 0 bytes"


def _check_inside(found: list[tuple[FileBlock, list[Path]]], folder: Path) -> None:
    """Refuse a link out of the raw folder: whoever lays one there must not have other files read."""
    within, resolved = folder.resolve(), cache(Path.resolve)
    for path in (path for _, paths in found for path in paths):
        place = on_disk(path)
        if not resolved(place if place.is_symlink() else place.parent).is_relative_to(within):
            raise WorkbenchError(
                "{file} is a link out of {folder}. Put the file itself there, or name its folder: --raw FOLDER"
            ).of(readable(path.relative_to(folder)), folder)


def _check_taken_once(found: list[tuple[FileBlock, list[Path]]], folder: Path) -> None:
    """Refuse a file that two patterns take for one table; a mapping that wants it names it twice by the same path."""
    taken: dict[tuple[Path, str], FileBlock] = {}
    for block, paths in found:
        for path in paths:
            other = taken.setdefault((path, block.target), block)
            same = (other.columns, other.sheet, other.relation) == (block.columns, block.sheet, block.relation)
            if other is not block and (other.path != block.path or same):
                raise WorkbenchError(
                    "{path} and {other} both take {file} for {target}: its rows would count twice. Mend one path in "
                    "the mapping."
                ).of(other.path, block.path, readable(path.relative_to(folder)), block.target)


def batches(path: Path, block: FileBlock) -> Iterator[Batch]:
    """Give the records of a file as texts.

    Raises
    ------
    WorkbenchError
        If the file can't be read as the mapping says, or its columns are not those of the mapping.
    """

    where = block.path if block.prepared or block.url else str(path)

    def check_names(names: tuple[str, ...]) -> None:
        _check_names(names, where, block)

    match block.format:
        case "csv":
            yield from csv_batches(path, block, check_names)
        case "jsonl":
            yield from json_batches(path, block, check_names)
        case "excel":
            yield from _excel(path, block, check_names)
        case "sqlite":
            yield from sqlite_batches(path, block, check_names)
        case "duckdb":
            yield from _duckdb(path, where, block, check_names)
        case _:
            yield from _parquet(path, where, block, check_names)


def _check_names(names: tuple[str, ...], path: str, block: FileBlock) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise WorkbenchError("{path} has two columns {names}. Rename one in the file.").of(path, twice)
    if isinstance(block, Input):
        _learn_names(names, path, block)
        return
    lacking = [name for name in block.sources() if name not in names and name not in block.optional]
    if lacking:
        raise WorkbenchError(
            "{path} lacks the column {names} of the mapping.{near} It has: {others}. Mend the mapping; if names "
            "look garbled, see delimiter and encoding."
        ).of(path, lacking, nearest(lacking[0], names), names)
    unused = [name for name in names if name not in (*block.sources(), *block.ignore, *block.elsewhere)]
    if unused:
        raise WorkbenchError(
            "{path} has columns that the mapping does not use: {names}. Map them, or list them under ignore."
        ).of(path, unused)
    if gone := [name for name in block.ignore if name not in names and name not in block.optional]:
        raise WorkbenchError("{path} lacks {names}, listed under ignore.{near} Remove it there.").of(
            path, gone, nearest(gone[0], names)
        )


def _learn_names(names: tuple[str, ...], path: str, block: Input) -> None:
    """Let an input have the columns of its files, which must be the same in all."""
    own = [f"#{block.name}", "#file", "#line", "#record"]
    folded = [name.lower() for name in names]
    if odd := [
        name for name, low in zip(names, folded, strict=True) if not name or name in own or folded.count(low) > 1
    ]:
        raise WorkbenchError(
            "{path} has a column {names}, which has no name, has that of another but for its case, or one that the "
            "step gives. Rename it; or say names, with header = false and skip_rows."
        ).of(path, odd[:1])
    apart = [*(name for name in block.seen if name not in names), *(name for name in names if name not in block.seen)]
    if block.seen and block.format != "jsonl" and (apart := [name for name in apart if name not in block.optional]):
        raise WorkbenchError(
            "{path} and the files of {target} before it do not both have the column {names}. List it under optional "
            "of the input, or give the files an input each."
        ).of(path, block.target, apart)
    block.seen.update(dict.fromkeys(names))
    has = [*block.seen, *own]
    if lacking := [name for name in (*block.key, *block.link) if name not in has]:
        raise WorkbenchError(
            "{path} lacks the column {names}, which key or link of {target} names.{near} It has: {others}."
        ).of(path, lacking, block.target, nearest(lacking[0], has), names)


def _parquet(path: Path, where: str, block: FileBlock, check_names: Callable[[Names], object]) -> Iterator[Batch]:
    try:
        with opened(path) as stream, pq.ParquetFile(stream) as file:
            done = 0
            for batch in _typed(file.iter_batches, file.schema_arrow, where, block, check_names):
                done += batch.records
                yield batch
            assert done == file.metadata.num_rows, f"{done} records read out of {file.metadata.num_rows}"
    except (pa.ArrowInvalid, OSError) as error:
        raise WorkbenchError("{path} can't be read as Parquet: {why}. Have it delivered again.").of(
            path, " ".join(str(error).split()).rstrip(".")
        ) from None


def _duckdb(path: Path, where: str, block: FileBlock, check_names: Callable[[Names], object]) -> Iterator[Batch]:
    check_closed(path)
    try:
        with duckdb.connect() as con:
            con.execute(f"ATTACH {literal(str(path))} AS raw (READ_ONLY)")
            con.execute("USE raw")
            lock(con, {"threads": "1", "memory_limit": "2GB", "autoload_known_extensions": "false"})
            views = (
                "SELECT table_name FROM duckdb_tables() UNION SELECT view_name FROM duckdb_views() WHERE NOT internal"
            )
            relation = relation_of(block, [name for (name,) in con.execute(views).fetchall()], str(path))
            rows = con.sql(f"FROM {relation}").to_arrow_reader(ROWS)
            yield from _typed(
                lambda *_, columns: (b.select(columns) for b in rows), rows.schema, where, block, check_names
            )
    except (duckdb.Error, pa.ArrowException) as error:
        why = str(error).splitlines()[0].rstrip(".!")
        raise WorkbenchError("{path} can't be read as a DuckDB file: {why}. Have it delivered again.").of(
            path, as_message(why)
        ) from None


def _typed(
    read: Callable[..., Iterable[pa.RecordBatch]],
    has: pa.Schema,
    where: str,
    block: FileBlock,
    check_names: Callable[[Names], object],
) -> Iterator[Batch]:
    """The records of typed columns, as texts where the table does not want them as they are."""
    check_names(tuple(has.names))
    wanted, done = [name for name in block.sources() if name in has.names], 0
    texts, natural = block.texts(), block.natural()
    for name in wanted:
        _check_type(has.field(name).type, name, where)
    for batch in read(ROWS, columns=wanted):
        cells = {
            n: _natural(batch.column(n), natural.get(n))
            or _texts(batch.column(n), f"{where}: '{n}'" if n in texts else "")
            for n in wanted
        }
        numbers = np.arange(done + 1, done + batch.num_rows + 1)
        yield Batch.of(with_optional(pa.table(cells), block), numbers, numbers)
        done += batch.num_rows


def _check_type(type: pa.DataType, name: str, path: str) -> None:
    if pa.types.is_timestamp(type) and type.tz is not None:
        raise WorkbenchError("{path}: '{name}' has the time zone {tz}. Deliver local time without a zone.").of(
            path, name, type.tz
        )
    if pa.types.is_nested(type) or pa.types.is_binary(type) or pa.types.is_duration(type):
        raise WorkbenchError("{path}: '{name}' holds {type}, which is neither text, number, date nor time.").of(
            path, name, str(type)
        )


def _natural(column: pa.Array, types: set[str] | None) -> pa.Array | None:
    """The cells as they are, where their texts would become the same in these types of the table's columns."""
    if not types:
        return None
    if types == {"double"} and pa.types.is_float64(column.type):
        return column
    if types <= {"double", "integer"} and pa.types.is_integer(column.type):
        return column
    if types <= {"date", "timestamp"} and (pa.types.is_date32(column.type) or pa.types.is_timestamp(column.type)):
        try:
            times = column.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:
            return None
        years = pc.min_max(pc.year(times)).as_py()
        return column if (years["min"] or 1) >= 1 and (years["max"] or 1) <= 9999 else None
    return None


def with_texts(rows: pa.Table) -> pa.Table:
    """Records in which numbers, days and times have become texts, too."""
    for at, field in enumerate(rows.schema):
        if not field.name.startswith("#") and not pa.types.is_string(field.type):
            rows = rows.set_column(
                at, field.name, pa.chunked_array([_texts(c) for c in rows.column(at).chunks] or [[]], pa.string())
            )
    return rows


def _texts(column: pa.Array, identifier: str = "") -> pa.Array:
    """The cells as texts without spaces around them; a number, date or time has none.

    An `identifier` (named so in errors) is a text: a whole number stands for it as its digits, if it has all of them.
    """
    if pa.types.is_dictionary(column.type):
        return _texts(column.dictionary, identifier).take(column.indices)
    if pa.types.is_timestamp(column.type) and not pc.any(pc.not_equal(pc.subsecond(column), 0)).as_py():
        column = column.cast(pa.timestamp("s"))
    if identifier and pa.types.is_floating(column.type):
        return _digits(column, identifier)
    texts = column.cast(pa.string())
    if identifier and pa.types.is_decimal(column.type):
        texts = pc.replace_substring_regex(texts, r"\.0+$|(\.\d*?[1-9])0+$", r"\1")
    return texts if pa.types.is_primitive(column.type) else pc.utf8_trim(texts, UNSEEN)


def _digits(column: pa.Array, identifier: str) -> pa.Array:
    """Identifiers of which somebody made floating numbers: exact up to a size, beyond it the last digits are lost."""
    most = 2.0 ** {16: 11, 32: 24, 64: 53}[column.type.bit_width]
    column = pc.if_else(pc.is_nan(column), None, column).cast(pa.float64())
    if pc.any(pc.greater_equal(pc.abs(column), most)).as_py():
        raise WorkbenchError(
            "{identifier} has identifiers as floating numbers of more than {most}, of which the last digits are "
            "lost already. Write the column as text where it is exported, and export it again."
        ).of(identifier, Number(most, ".0f"))
    whole = pc.equal(pc.floor(column), column)
    return pc.if_else(whole, pc.floor(column).cast(pa.int64()).cast(pa.string()), column.cast(pa.string()))


def _excel(path: Path, block: FileBlock, check_names: Callable[[Names], object]) -> Iterator[Batch]:
    check_size(path)
    with _damage_named(path), opened(path) as stream:
        book = fastexcel.read_excel(stream.read())
    if isinstance(block.sheet, str) and block.sheet not in book.sheet_names:
        has = book.sheet_names
        raise WorkbenchError("{path} has no sheet '{sheet}'.{near} It has: {names}.").of(
            path, block.sheet, nearest(block.sheet, has), has
        )
    if isinstance(block.sheet, int) and not 0 <= block.sheet < len(book.sheet_names):
        raise WorkbenchError("{path} has {n} sheets, numbered from 0; {sheet} is none.").of(
            path, len(book.sheet_names), block.sheet
        )
    with _damage_named(path):
        loaded = book.load_sheet(block.sheet, **_ALL_ROWS, dtypes="string", skip_whitespace_tail_rows=True)
        cells, errors = loaded.to_arrow_with_errors()
    if isinstance(block.sheet, int) and loaded.visible != "visible":
        raise WorkbenchError("{path}: the sheet '{sheet}' is hidden. If it is meant, name it under sheet.").of(
            path, loaded.name
        )
    blank = _blank_rows(cells) if cells.num_columns else range(cells.num_rows)
    filled = np.setdiff1d(np.arange(block.skip_rows, cells.num_rows), np.array(blank, np.int64))
    if not len(filled):
        raise WorkbenchError("{path}, sheet {sheet}, is empty. Name another under sheet, or deliver it again.").of(
            path, repr(block.sheet)
        )
    top = cells.slice(int(filled[0]), block.header_rows).to_pydict().values()
    names = joined(list(zip(*([str(cell or "") for cell in column] for column in top), strict=True)))
    head = int(filled[0]) + block.header_rows - 1
    cells = cells.slice(head + 1).rename_columns([name or f"column {i + 1}" for i, name in enumerate(names)])
    check_names(tuple(cells.schema.names))
    wanted = [name for name in block.sources() if name in cells.schema.names]
    for name in wanted:
        place = cells.schema.names.index(name)
        _check_digits(book, block, head + 1, place, cells.column(place), f"{path}: '{name}'")
    reasons = dict.fromkeys(_blank_rows(cells), "the line is empty")
    used = {cells.schema.names.index(name) for name in wanted}
    with opened(path) as stream:
        merged = merged_below(stream, block.sheet, head + 2)
    for rows, columns in merged:
        if used & set(columns):
            reasons |= {
                row - head - 2: "a cell is merged with one above" for row in rows if row - head - 2 < len(cells)
            }
    for cell in errors.errors if errors else ():
        reasons[cell.offset_position[0] - head - 1] = f"a cell has an error: {cell.detail}"
    good = [row for row in range(cells.num_rows) if row not in reasons]
    good_cells = with_optional(
        trimmed(pa.table({name: cells.column(name) for name in wanted}).take(pa.array(good, pa.int64()))), block
    )
    first = head + 2
    bad = np.array(sorted(row for row in reasons if row >= 0), np.int64)
    why = [reasons[int(row)] for row in bad]
    malformed = pa.table([bad + first, bad + 1, why, [""] * len(bad)], schema=MALFORMED)
    rows_of = np.array(good, np.int64)
    yield Batch.of(good_cells, rows_of + first, rows_of + 1, malformed)


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except fastexcel.FastExcelError as error:
        said = str(error).splitlines()[0].rstrip(".")
        raise WorkbenchError("{path} can't be read as Excel: {said}. Save it again.").of(path, said) from None


def check_size(path: Path) -> None:
    """Refuse a workbook that unpacks to more than the memory that reading it may take."""
    with opened(path) as stream:
        try:
            total = sum(part.file_size for part in zipfile.ZipFile(stream).infolist())
        except (zipfile.BadZipFile, OSError):  # no .xlsx; what it is, the reader says
            return
    if total > LARGEST_WORKBOOK:
        raise WorkbenchError(
            "{path} would unpack to {total} GB; {largest_workbook} GB at most are read. Have it delivered as CSV or "
            "Parquet."
        ).of(path, Number(total / 1000000000.0, ".1f"), Number(LARGEST_WORKBOOK / 1000000000.0, ".0f"))


_ALL_ROWS: dict[str, Any] = {"header_row": None, "skip_rows": 0}  # those above the first that is filled, too


def _blank_rows(cells: pa.RecordBatch) -> list[int]:
    blank = pc.is_null(cells.column(0))
    for column in cells.columns[1:]:
        blank = pc.and_(blank, pc.is_null(column))
    return pc.indices_nonzero(blank).to_pylist()


def _check_digits(
    book: fastexcel.ExcelReader, block: FileBlock, above: int, column: int, texts: pa.Array, name: str
) -> None:
    """Refuse identifiers that stand as numbers and have more digits than a number of Excel keeps."""
    long = pc.match_substring_regex(texts, rf"^\d{{{SAFE_DIGITS + 1},}}$").fill_null(False)
    if not pc.any(long).as_py():
        return
    # Read as true/false, a cell with a number is true, and a cell with text is nothing.
    numbers = book.load_sheet(block.sheet, **_ALL_ROWS, use_columns=[column], dtypes="boolean", eager=True).column(0)
    rows = pc.indices_nonzero(pc.and_(long, pc.is_valid(numbers.slice(above, len(texts))))).to_pylist()
    if rows:
        raise WorkbenchError(
            "{name} has numbers of more than {safe_digits} digits (row {first}), of which Excel has already lost "
            "the last. Format the column as text where it is exported, and export it again."
        ).of(name, SAFE_DIGITS, str(rows[0] + above + 1))
