"""Which records does a CSV file have? Cut into fields; a record that can't be cut is never lost.

A record is what stands between two line ends that are outside quotes. The bytes of a block are examined as arrays:
line ends, delimiters and quotes are found, and only records that are whole go to the parser, which must then give back
exactly as many. A quote that is not closed within a bound costs its line alone.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from workbench.errors import WorkbenchError
from workbench.warehouse.ingest.blocks import FileBlock
from workbench.warehouse.ingest.decode import UTF8, Stretch, stretches
from workbench.warehouse.ingest.headers import joined
from workbench.warehouse.texts import may_be_padded, trimmed

LONGEST_LINE = 1 << 20
MOST_LINES = 1_000
TELLING = 3
LF, CR, NUL = 10, 13, 0
UNIT = b"\x1f"
Names = tuple[str, ...]


MALFORMED = pa.schema([("line", pa.int64()), ("record", pa.int64()), ("reason", pa.string()), ("text", pa.string())])


@dataclass(frozen=True)
class Batch:
    """Some records of a file.

    Attributes
    ----------
    columns : pyarrow.Table
        Texts without spaces around them, one column for each source column that the mapping uses, ``#line`` (where
        the record begins) and ``#record`` (its number in the file, from 1).
    malformed : pyarrow.Table
        Records that can't be cut into fields, with the columns of MALFORMED: line and number of the record in the
        file (from 1), why, and its text.
    records : int
        Records in the file's stretch, counted by line ends; columns and malformed together have as many.
    lines : int
        Lines on which they stand.
    """

    columns: pa.Table
    malformed: pa.Table
    records: int
    lines: int

    @classmethod
    def of(cls, cells: pa.Table, lines: Any, records: Any, malformed: pa.Table | Sequence[tuple] = ()) -> Batch:
        """Take records that stand each on a line of its own; malformed ones as a table, or as rows of it."""
        columns = cells.append_column("#line", pa.array(lines, pa.int64()))
        columns = columns.append_column("#record", pa.array(records, pa.int64()))
        if not isinstance(malformed, pa.Table):
            cut = [dict(zip(MALFORMED.names, row, strict=True)) for row in malformed]
            malformed = pa.Table.from_pylist(cut, MALFORMED)
        number = columns.num_rows + malformed.num_rows
        return cls(columns, malformed, number, number)


def csv_batches(path: Path, block: FileBlock, check_names: Callable[[Names], object]) -> Iterator[Batch]:
    """Give the records of a CSV file, block after block.

    Raises
    ------
    WorkbenchError
        If the file is empty, is not in its encoding, or `check_names` refuses the names of the columns.
    """
    names, record, rest, begun = block.names, 1, Stretch(b"", 1), False
    if names is not None:
        check_names(names)
    for stretch, last in _with_last(stretches(path, block.encoding)):
        stretch = _after(rest, _with_one_sign(stretch, block))
        if not begun:
            names, stretch = _below_header(stretch, block, path)
            check_names(names)
            begun = True
        if not stretch.data:
            rest = stretch
            continue
        batch, rest = _batch(stretch, record, names or (), block, last)
        record += batch.records
        yield batch
    if not begun:
        raise WorkbenchError("{path} is empty. Deliver it again, or take its [[file]] block out of the mapping.").of(
            path
        )


def _with_last(several: Iterator[Stretch]) -> Iterator[tuple[Stretch, bool]]:
    """Each with whether it is the last."""
    before = next(several, None)
    for stretch in several:
        assert before is not None
        yield before, False
        before = stretch
    if before is not None:
        yield before, True


def _after(rest: Stretch, stretch: Stretch) -> Stretch:
    return Stretch(rest.data + stretch.data, rest.line, rest.unfit | stretch.unfit) if rest.data else stretch


def _with_one_sign(stretch: Stretch, block: FileBlock) -> Stretch:
    """A delimiter of several characters becomes one that no text has."""
    if len(block.delimiter) == 1:
        return stretch
    data, unfit = stretch.data, dict(stretch.unfit)
    if UNIT in data:
        for number, line in enumerate(data.split(b"\n")):
            if UNIT in line:
                unfit.setdefault(stretch.line + number, "the line has the control character 0x1f")
    return Stretch(data.replace(block.delimiter.encode(), UNIT), stretch.line, unfit)


def _delimiter(block: FileBlock) -> str:
    return block.delimiter if len(block.delimiter) == 1 else UNIT.decode()


def _below_header(stretch: Stretch, block: FileBlock, path: Path) -> tuple[Names, Stretch]:
    """The names of the columns, and what stands below them."""
    lines = (line.decode("utf-8").rstrip("\r\n") + "\n" for line in io.BytesIO(stretch.data))
    above = len(list(itertools.islice(lines, block.skip_rows)))
    if above < block.skip_rows:
        raise WorkbenchError("{path} has {above} lines; skip_rows = {skip_rows} leaves none. Mend the mapping.").of(
            path, above, block.skip_rows
        )
    if block.names is not None:
        return block.names, _from_line(stretch, above)
    quoting = {"quotechar": block.quote} if block.quote else {"quoting": csv.QUOTE_NONE}
    reader = csv.reader(lines, delimiter=_delimiter(block), strict=True, **quoting)
    try:
        rows = list(itertools.islice(reader, block.header_rows))
    except csv.Error as error:
        raise WorkbenchError("the first line of {path} is no list of names: {error}. See delimiter and quote.").of(
            path, error
        ) from None
    return joined(rows or [[]]), _from_line(stretch, above + reader.line_num)


def _from_line(stretch: Stretch, number: int) -> Stretch:
    at = 0
    for _ in range(number):
        at = stretch.data.find(b"\n", at) + 1
    return Stretch(stretch.data[at:], stretch.line + number, stretch.unfit)


def _batch(stretch: Stretch, record: int, names: Names, block: FileBlock, last: bool) -> tuple[Batch, Stretch]:
    cut = _cut(stretch, len(names), block, last)
    first = stretch.line + cut.lines
    numbers = np.arange(record, record + len(cut.ends))
    data, bad = stretch.data[: cut.end], cut.reasons != 0
    malformed = MALFORMED.empty_table()
    if bad.any():
        chars, sizes = np.frombuffer(data, np.uint8), cut.ends - cut.starts + 1
        why = [_reason(int(code), len(names)) for code in range(int(cut.reasons.max()) + 1)]
        reasons = np.array(why, object)[cut.reasons[bad]]
        unfit = (
            [(i, stretch.unfit[line]) for i, line in enumerate(first[bad].tolist()) if line in stretch.unfit]
            if stretch.unfit
            else []
        )
        for i, reason in unfit:
            reasons[i] = reason
        texts = _shown(chars[np.repeat(bad, sizes)].tobytes(), sizes[bad])
        malformed = pa.table([first[bad], numbers[bad], reasons, texts], schema=MALFORMED)
        data = chars[np.repeat(~bad, sizes)].tobytes()
    good = cut.reasons == 0
    columns = _parse(data, names, block, int(good.sum()), cut.joined)
    rest = Stretch(stretch.data[cut.end :], stretch.line + cut.count, stretch.unfit)
    return replace(Batch.of(columns, first[good], numbers[good], malformed), lines=cut.count), rest


def _shown(data: bytes, sizes: np.ndarray) -> pa.Array:
    """The text of each piece, as far as people want to see it."""
    offsets = pa.py_buffer(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))
    texts = pa.LargeStringArray.from_buffers(len(sizes), offsets, pa.py_buffer(data))
    texts = pc.utf8_rtrim(pc.utf8_slice_codeunits(texts, 0, 10_000), "\r\n")
    return pc.replace_substring(texts, "\0", "␀").cast(pa.string())


EMPTY, LONG, NULS, RETURNS, UNCLOSED, STRAY, ESCAPED, UNFIT, FIELDS = range(1, 10)
_REASONS = {
    EMPTY: "the line is empty",
    LONG: "the record has more than 1 MB",
    NULS: "the record has a NUL byte",
    RETURNS: "the record has a lone carriage return",
    UNCLOSED: "a quote is not closed",
    STRAY: "a quote stands inside a value",
    ESCAPED: "the line ends with the escape sign",
}


def _reason(code: int, fields: int) -> str:
    return _REASONS.get(code) or f"the record has {code - FIELDS} fields instead of {fields}"


@dataclass(frozen=True)
class _Cut:
    """Records of a stretch: start, end (of the last line), reason (0 = whole) and first line of each.

    `count` lines that end at `end` are cut; what stands behind is not complete. `joined`: some have several lines.
    """

    starts: np.ndarray
    ends: np.ndarray
    reasons: np.ndarray
    lines: np.ndarray
    count: int
    end: int
    joined: bool


@dataclass(frozen=True)
class _Signs:
    """Where the signs of a text stand that are not escaped."""

    chars: np.ndarray
    quotes: np.ndarray
    separators: np.ndarray
    escaped_ends: np.ndarray
    quote: int


def _cut(stretch: Stretch, fields: int, block: FileBlock, last: bool) -> _Cut:
    """Cut a stretch into records.

    >>> from types import SimpleNamespace
    >>> block = SimpleNamespace(delimiter=",", quote='"', escape="")
    >>> _cut(Stretch(b'1,2\\n1,"2\\n3"\\n1,"2\\n1,2,3\\n', 1), 2, block, True).reasons.tolist()
    [0, 0, 5, 12]
    """
    signs = _signs(stretch.data, block)
    ends = np.flatnonzero(signs.chars == LF)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lines, joined, count = np.arange(len(ends)), False, len(ends)
    reasons, whole = _examined(signs, starts, ends, fields)
    if (reasons == UNCLOSED).any():
        fit = np.ones(len(ends), bool)
        fit[[number - stretch.line for number in stretch.unfit if 0 <= number - stretch.line < len(ends)]] = False
        inner, count = _inner_ends(signs, starts, ends, reasons, whole & fit, fit, fields, last)
        keep = np.ones(len(ends), bool)
        keep[inner] = False
        keep[count:] = False
        joined = len(inner) > 0
        lines = np.concatenate([[0], np.flatnonzero(keep)[:-1] + 1])[: keep.sum()]
        starts, ends = starts[lines], ends[keep]
        reasons, _ = _examined(signs, starts, ends, fields)
    if len(ends) and stretch.unfit:
        unfit = [number - stretch.line for number in stretch.unfit if 0 <= number - stretch.line < count]
        reasons[np.searchsorted(lines, unfit, "right") - 1] = UNFIT
    return _Cut(starts, ends, reasons, lines, count, int(ends[-1]) + 1 if len(ends) else 0, joined)


def _signs(data: bytes, block: FileBlock) -> _Signs:
    chars = np.frombuffer(data, np.uint8)
    quote = ord(block.quote) if block.quote else NUL
    quotes = np.flatnonzero(chars == quote) if block.quote and block.quote.encode() in data else np.empty(0, np.int64)
    separators, escaped_ends = np.flatnonzero(chars == ord(_delimiter(block))), np.empty(0, np.int64)
    if block.escape and block.escape.encode() in data:
        signs = np.flatnonzero(chars == ord(block.escape))
        begins = np.flatnonzero(np.diff(signs, prepend=-2) > 1)
        place = np.arange(len(signs)) - np.repeat(begins, np.diff(np.append(begins, len(signs))))
        escaped = np.zeros(len(chars) + 1, bool)
        escaped[signs[place % 2 == 0] + 1] = True
        quotes, separators = quotes[~escaped[quotes]], separators[~escaped[separators]]
        escaped_ends = np.flatnonzero(escaped[:-1] & (chars == LF))
    return _Signs(chars, quotes, separators, escaped_ends, quote)


def _examined(signs: _Signs, starts: np.ndarray, ends: np.ndarray, fields: int) -> tuple[np.ndarray, np.ndarray]:
    """The reason why each piece is no record (0 = it is one), and whether it is one."""
    chars, separators = signs.chars, signs.separators
    reasons = np.zeros(len(ends), np.int64)
    if len(signs.quotes):
        separators = _quotes(signs, starts, ends, reasons)
    counts = np.diff(np.searchsorted(separators, ends), prepend=0) + 1
    reasons = np.where((reasons == 0) & (counts != fields), FIELDS + counts, reasons)
    returns = np.flatnonzero(chars[: ends[-1] + 1 if len(ends) else 0] == CR)
    if len(returns):
        reasons[np.searchsorted(ends, returns[chars[returns + 1] != LF])] = RETURNS
        reasons[(ends - starts == 1) & (chars[starts] == CR)] = EMPTY
    nuls = np.flatnonzero(chars[: ends[-1] + 1 if len(ends) else 0] == NUL)
    reasons[np.searchsorted(ends, nuls)] = NULS
    escaped = np.searchsorted(ends, signs.escaped_ends)
    reasons[escaped[escaped < len(ends)]] = ESCAPED
    reasons[ends - starts > LONGEST_LINE] = LONG
    reasons[ends == starts] = EMPTY
    return reasons, reasons == 0


def _quotes(signs: _Signs, starts: np.ndarray, ends: np.ndarray, reasons: np.ndarray) -> np.ndarray:
    """Note pieces whose quotes do not fit, and give the separators that stand outside quotes.

    In a piece the first quote opens, the second closes, and so on; a doubled quote closes and opens again.
    """
    stop = int(ends[-1]) if len(ends) else 0
    quotes, separators, chars = signs.quotes[signs.quotes < stop], signs.separators, signs.chars
    separators = separators[separators < stop]
    before = np.searchsorted(quotes, starts)
    piece = np.searchsorted(ends, quotes)
    opens = (np.arange(len(quotes)) - before[piece]) % 2 == 0
    separates = np.zeros(len(chars) + 1, bool)
    separates[separators] = True
    separates[quotes] = True
    beside = np.zeros(256, bool)
    beside[[LF, CR]] = True
    after = separates[quotes + 1] | beside[chars[quotes + 1]]
    ahead = (quotes == starts[piece]) | separates[quotes - 1] | (chars[quotes - 1] == LF)
    reasons[np.diff(np.append(before, len(quotes))) % 2 == 1] = UNCLOSED
    reasons[piece[np.where(opens, ~ahead, ~after)]] = STRAY
    of = np.searchsorted(ends, separators)
    return separators[(np.searchsorted(quotes, separators) - before[of]) % 2 == 0]


def _inner_ends(
    signs: _Signs,
    starts: np.ndarray,
    ends: np.ndarray,
    reasons: np.ndarray,
    whole: np.ndarray,
    fit: np.ndarray,
    fields: int,
    last: bool,
) -> tuple[list[int], int]:
    """The line ends that stand inside quotes, and how many lines are cut so far.

    A quote that a line leaves open is closed by a later one if together they are a record. It counts as never closed
    if a line between is a whole record of several fields by itself: a record more is lost that way, never a hundred.
    """
    inner: list[int] = []
    done = 0
    for line in np.flatnonzero(reasons == UNCLOSED):
        if line < done:
            continue
        bound = min(int(starts[line]) + LONGEST_LINE, len(signs.chars))
        closing = _closing_line(signs, starts, ends, int(line), bound)
        if closing is None and not last and bound == len(signs.chars) and len(ends) - line <= MOST_LINES:
            return inner, int(line)
        if closing is None or closing - line > MOST_LINES or not fit[line : closing + 1].all():
            continue
        between = whole[line + 1 : closing]
        if (fields >= TELLING and between.any()) or _fields(signs, starts[line], ends[closing]) != fields:
            continue
        inner += range(int(line), closing)
        done = closing + 1
    return inner, len(ends)


def _closing_line(signs: _Signs, starts: np.ndarray, ends: np.ndarray, line: int, bound: int) -> int | None:
    """The line on which all quotes that a line leaves open are closed; None if there is none before `bound`."""
    quotes, chars = signs.quotes, signs.chars
    separators = signs.separators
    at = int(np.searchsorted(quotes, ends[line]))  # the first quote below the line
    while True:
        while at + 1 < len(quotes) and quotes[at + 1] == quotes[at] + 1:
            at += 2  # doubled: it stands for itself
        if at >= len(quotes) or quotes[at] >= bound:
            return None
        place = int(quotes[at])
        behind = int(np.searchsorted(separators, place + 1))
        if not (chars[place + 1] in (LF, CR) or (behind < len(separators) and separators[behind] == place + 1)):
            return None
        here = int(np.searchsorted(ends, place))
        further = int(np.searchsorted(quotes, ends[here])) - at - 1
        if further % 2 == 0:
            return here
        at += 1 + further


def _fields(signs: _Signs, start: int, end: int) -> int:
    first, stop = np.searchsorted(signs.separators, [start, end])
    separators = signs.separators[first:stop]
    low, high = np.searchsorted(signs.quotes, [start, end])
    return int((np.searchsorted(signs.quotes[low:high], separators) % 2 == 0).sum()) + 1


def _parse(data: bytes, names: Names, block: FileBlock, records: int, joined: bool) -> pa.Table:
    wanted = list(dict.fromkeys(name for name in block.sources() if name in names))
    if not records:
        return with_optional(pa.table({name: pa.array([], pa.string()) for name in wanted}), block)
    if block.escape and block.escape.encode() in data:
        data = _nothing(block).sub(b"  ", data)
    # The parser takes one byte order mark off, but here the first record begins with that character.
    data = UTF8 + data if data.startswith(UTF8) else data
    table = pa.csv.read_csv(
        pa.py_buffer(data),
        read_options=pa.csv.ReadOptions(column_names=list(names), block_size=4 << 20),
        parse_options=pa.csv.ParseOptions(
            delimiter=_delimiter(block),
            quote_char=block.quote or False,
            double_quote=True,
            ignore_empty_lines=False,
            escape_char=block.escape or False,
            newlines_in_values=joined,
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types={name: pa.string() for name in names}, include_columns=wanted or None, check_utf8=False
        ),
    )
    assert table.num_rows == records, f"{table.num_rows} records parsed out of {records} whole ones"
    table = trimmed(table) if joined or may_be_padded(data, _delimiter(block) + block.quote) else table
    return with_optional(table, block)


def _nothing(block: FileBlock) -> re.Pattern[bytes]:
    r"""A field that is ``\N``, the sign of MySQL and PostgreSQL for no value."""
    sign, edge = re.escape(block.escape.encode()), re.escape(_delimiter(block).encode())
    return re.compile(rb"(?<![^\n" + edge + rb"])" + sign + rb"N(?=[\r\n" + edge + rb"])")


def with_optional(table: pa.Table, block: FileBlock) -> pa.Table:
    """Add the columns that a file may lack, without values."""
    for name in block.sources():
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows, pa.string()))
    return table
