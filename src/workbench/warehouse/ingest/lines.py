"""What stands on each line of a CSV file? Strictly decoded, cut into fields; a line that can't be is never lost.

One line is one record. The bytes of a block are examined as arrays: line ends, delimiters and quotes are found, and
only lines that are whole go to the parser, which must then give back exactly as many records.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from workbench.errors import WorkbenchError
from workbench.warehouse.ingest.mapping import FileBlock

BLOCK = 16 << 20
LONGEST_LINE = 1 << 20
LONGEST_RECORD = 64 << 20
BOM = b"\xef\xbb\xbf"
LF, CR, NUL, SPACE = 10, 13, 0, 32


@dataclass(frozen=True)
class Malformed:
    """A line that can't be cut into fields: its number in the file (from 1), why, and its text."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Batch:
    """Some records of a file.

    Attributes
    ----------
    columns : pyarrow.Table
        Texts without spaces around them, one column for each source column that the mapping uses, and ``#line``.
    malformed : tuple of Malformed
    records : int
        Records in the file's stretch, counted by line ends; columns and malformed together have as many.
    """

    columns: pa.Table
    malformed: tuple[Malformed, ...]
    records: int


def csv_batches(path: Path, block: FileBlock, check_names) -> Iterator[Batch]:
    """Give the records of a CSV file, block after block.

    Raises
    ------
    WorkbenchError
        If the file is empty, a byte does not fit the encoding, or `check_names` refuses the names of the columns.
    """
    line, names = 1, block.names
    if names is not None:
        check_names(names)
    for data in _decoded(path, block.encoding):
        if names is None:
            head, _, data = data.partition(b"\n")
            names, line = _header(head, block, path), 2
            check_names(names)
        if data:
            batch = _batch(data, line, names, block)
            line += batch.records
            yield batch
    if line == 1:
        raise WorkbenchError(f"{path} is empty. Deliver it again, or take its [[file]] block out of the mapping.")


def _header(head: bytes, block: FileBlock, path: Path) -> tuple[str, ...]:
    text = head.decode("utf-8").rstrip("\r")
    quoting = {"quotechar": block.quote} if block.quote else {"quoting": csv.QUOTE_NONE}
    try:
        names = next(csv.reader([text], delimiter=block.delimiter, strict=True, **quoting), [])
    except csv.Error as error:
        raise WorkbenchError(
            f"the first line of {path} is no list of names: {error}. See delimiter and quote."
        ) from None
    return tuple(name.strip() for name in names)


def _decoded(path: Path, encoding: str) -> Iterator[bytes]:
    """Whole lines in UTF-8 without byte order mark, each with its line end, about BLOCK bytes at a time."""
    codec = _detected(path) if encoding == "auto" else encoding.removesuffix("-sig")
    offset, line = 0, 1
    for data in _whole_lines(path):
        if offset == 0 and data.startswith(BOM) and codec == "utf-8":
            data, offset = data[len(BOM) :], len(BOM)
        if offset == 0 and data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise WorkbenchError(f"{path} is in UTF-16. Save it as UTF-8 or GB18030, and declare that encoding.")
        yield data if data.isascii() else _utf8(data, codec, path, offset, line)
        offset, line = offset + len(data), line + data.count(b"\n")


def _utf8(data: bytes, codec: str, path: Path, offset: int, line: int) -> bytes:
    # No byte of a character of GB18030 is a line end, so whole lines hold whole characters.
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as error:
        at, other = error.start, "gb18030" if codec == "utf-8" else "utf-8"
        here = line + data[:at].count(b"\n")
        raise WorkbenchError(
            f"{path} is not in {codec}: byte {offset + at} (line {here}) is "
            f"0x{data[at]:02x}. If the file is in another encoding, declare it in the mapping "
            f'(encoding = "{other}"); else have it delivered again.'
        ) from None
    return data if codec == "utf-8" else text.encode("utf-8")


def _detected(path: Path) -> str:
    try:
        for data in _whole_lines(path):
            data.isascii() or data.decode("utf-8")
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8"


def _whole_lines(path: Path) -> Iterator[bytes]:
    rest = b""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            while data := stream.read(BLOCK):
                data = rest + data
                cut = data.rfind(b"\n") + 1
                rest = data[cut:]
                if len(rest) > LONGEST_RECORD:
                    raise WorkbenchError(f"{path} has a line of more than {LONGEST_RECORD >> 20} MB. Is it a CSV file?")
                if cut:
                    yield data[:cut]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise WorkbenchError(f"{path} is damaged: {error}. Have it delivered again.") from None
    if rest:
        yield rest + b"\n"


def _batch(data: bytes, line: int, names: tuple[str, ...], block: FileBlock) -> Batch:
    starts, ends, reasons = _examine(data, len(names), block.delimiter, block.quote)
    bad = np.flatnonzero(reasons)
    malformed = tuple(
        Malformed(line + int(i), _reason(int(reasons[i]), len(names)), _shown(data[starts[i] : ends[i]])) for i in bad
    )
    if len(bad):
        data = np.frombuffer(data, np.uint8)[np.repeat(reasons == 0, ends - starts + 1)].tobytes()
    good = np.flatnonzero(reasons == 0)
    columns = _parse(data, names, block, len(good))
    columns = columns.append_column("#line", pa.array(good + line, pa.int64()))
    return Batch(columns, malformed, len(ends))


def _shown(line: bytes) -> str:
    return line[:10_000].decode("utf-8", "ignore").rstrip("\r").replace("\0", "␀")


EMPTY, LONG, NULS, RETURNS, UNCLOSED, STRAY, FIELDS = 1, 2, 3, 4, 5, 6, 7
_REASONS = {
    EMPTY: "the line is empty",
    LONG: "the line has more than 1 MB",
    NULS: "the line has a NUL byte",
    RETURNS: "the line has a lone carriage return",
    UNCLOSED: "a quote is not closed on its line",
    STRAY: "a quote stands inside a value",
}


def _reason(code: int, fields: int) -> str:
    return _REASONS.get(code) or f"the line has {code - FIELDS} fields instead of {fields}"


def _examine(data: bytes, fields: int, delimiter: str, quote: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start, end and reason (0 = whole) of each line.

    >>> _examine(b'1,2\\n1,"2,3"\\n1,"2\\n1,2,3\\n', 2, ",", '"')[2].tolist()
    [0, 0, 5, 10]
    """
    chars = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(chars == LF)
    starts = np.concatenate([[0], ends[:-1] + 1])
    separators = np.flatnonzero(chars == ord(delimiter))
    reasons = np.zeros(len(ends), np.int64)
    if quote and quote.encode() in data:
        separators = _quotes(chars, starts, ends, separators, ord(quote), reasons)
    counts = np.diff(np.searchsorted(separators, ends), prepend=0) + 1
    reasons = np.where((reasons == 0) & (counts != fields), FIELDS + counts, reasons)
    if b"\r" in data:
        returns = np.flatnonzero(chars == CR)
        reasons[np.searchsorted(ends, returns[chars[returns + 1] != LF])] = RETURNS
        reasons[(ends - starts == 1) & (chars[starts] == CR)] = EMPTY
    if b"\0" in data:
        reasons[np.searchsorted(ends, np.flatnonzero(chars == NUL))] = NULS
    reasons[ends - starts > LONGEST_LINE] = LONG
    reasons[ends == starts] = EMPTY
    return starts, ends, reasons


def _quotes(chars, starts, ends, separators, quote: int, reasons: np.ndarray) -> np.ndarray:
    """Note lines whose quotes do not fit, and give the separators that stand outside quotes.

    On a line the first quote opens, the second closes, and so on; a doubled quote closes and opens again.
    """
    quotes = np.flatnonzero(chars == quote)
    before = np.searchsorted(quotes, starts)
    line = np.searchsorted(ends, quotes)
    opens = (np.arange(len(quotes)) - before[line]) % 2 == 0
    separates = np.zeros(256, bool)
    separates[[LF, CR, quote]] = True
    if len(separators):
        separates[chars[separators[0]]] = True
    after = separates[chars[quotes + 1]]
    ahead = (quotes == starts[line]) | (separates[chars[quotes - 1]] & (chars[quotes - 1] != CR))
    reasons[line[np.where(opens, ~ahead, ~after)]] = STRAY
    reasons[np.diff(np.append(before, len(quotes))) % 2 == 1] = UNCLOSED
    of = np.searchsorted(ends, separators)
    return separators[(np.searchsorted(quotes, separators) - before[of]) % 2 == 0]


def _parse(data: bytes, names: tuple[str, ...], block: FileBlock, records: int) -> pa.Table:
    if not records:
        return pa.table({name: pa.array([], pa.string()) for name in block.sources()})
    # The parser takes one byte order mark off, but here the first record begins with that character.
    data = BOM + data if data.startswith(BOM) else data
    table = pa.csv.read_csv(
        pa.py_buffer(data),
        read_options=pa.csv.ReadOptions(column_names=list(names), block_size=4 << 20),
        parse_options=pa.csv.ParseOptions(
            delimiter=block.delimiter, quote_char=block.quote or False, double_quote=True, ignore_empty_lines=False
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types={name: pa.string() for name in names},
            include_columns=list(block.sources()) or None,
            check_utf8=False,
        ),
    )
    assert table.num_rows == records, f"{table.num_rows} records parsed out of {records} whole lines"
    return trimmed(table) if _padded(data, block.delimiter, block.quote) else table


def _padded(data: bytes, delimiter: str, quote: str) -> bool:
    """Whether a value may begin or end with a space; most files have none, and trimming them would cost a tenth."""
    chars = np.frombuffer(data, np.uint8)
    spaces = np.flatnonzero(chars == SPACE)
    edge = np.zeros(256, bool)
    edge[[LF, CR, *(delimiter + quote).encode()]] = True
    return bool(spaces.size and (edge[chars[spaces - 1]] | edge[chars[spaces + 1]]).any())


def trimmed(texts: pa.Table) -> pa.Table:
    """Take the spaces around each text off."""
    return pa.table({name: pc.utf8_trim(texts.column(name), " ") for name in texts.column_names})
