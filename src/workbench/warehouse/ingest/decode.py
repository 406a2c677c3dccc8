"""Which lines does a text file have? Whole lines in UTF-8, strictly decoded; a line that does not fit is named.

A byte that does not fit the encoding costs its line alone, unless most of what is not ASCII does not fit: then the
file is in another encoding, and is refused.
"""

from __future__ import annotations

import codecs
import gzip
import itertools
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from workbench.errors import WorkbenchError
from workbench.messages import say
from workbench.warehouse.ingest.archives import opened

BLOCK = 16 << 20
LONGEST_RECORD = 64 << 20
UTF8, UTF16 = codecs.BOM_UTF8, (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
EURO, LF = 0x80, 10
ENOUGH = 1_000


@dataclass(frozen=True)
class Stretch:
    """Whole lines of a file.

    Attributes
    ----------
    data : bytes
        UTF-8 without byte order mark; each line has its line end.
    line : int
        Number of the first line, from 1.
    unfit : dict
        Why the lines of these numbers do not fit the encoding.
    """

    data: bytes
    line: int
    unfit: dict[int, str] = field(default_factory=dict)


def stretches(path: Path, encoding: str) -> Iterator[Stretch]:
    """Give the lines of a file (packed by gzip or not), some megabytes at a time.

    Raises
    ------
    WorkbenchError
        If the file is damaged, or is in another encoding.
    """
    codec = _detected(path) if encoding == "auto" else encoding.removesuffix("-sig")
    if codec.startswith("utf-16"):
        line = 1
        for data in _whole_lines(path, codec):
            yield Stretch(data, line)
            line += data.count(b"\n")
        return
    offset, line, seen = 0, 1, False
    for data in _whole_lines(path):
        if offset == 0 and data.startswith(UTF8):
            data, offset, codec = data[len(UTF8) :], len(UTF8), "utf-8"
        if offset == 0 and data.startswith(UTF16):
            raise WorkbenchError('{path} is in UTF-16. Declare it in the mapping: encoding = "utf-16".').of(path)
        stretch = Stretch(data, line)
        if not data.isascii():
            stretch = _decoded(data, codec, line)
            if stretch.unfit and (1 in stretch.unfit or (not seen and _most_are_unfit(data, stretch))):
                raise _another_encoding(path, data, codec, offset, stretch)
            seen = True
        yield stretch
        offset, line = offset + len(data), line + data.count(b"\n")


def _decoded(data: bytes, codec: str, line: int) -> Stretch:
    if codec == "utf-8":
        clean, unfit = _decoded_strictly(data, codec, "strict")
        return Stretch(clean, line, {line + at: why for at, why in unfit.items()})
    clean, unfit = _decoded_strictly(data, codec, _EURO)
    unfit |= {int(at): "the line is in utf-8, not in gb18030" for at in np.flatnonzero(_in_utf8(data))}
    return Stretch(clean, line, {line + at: why for at, why in unfit.items()})


def _decoded_strictly(data: bytes, codec: str, errors: str) -> tuple[bytes, dict[int, str]]:
    """Decode whole lines; a line that does not fit stands as its bytes, with the reason under its place."""
    # No byte of a character of GB18030 is a line end, so whole lines hold whole characters.
    decode, view = codecs.getdecoder(codec), memoryview(data)
    pieces: list[bytes] = []
    unfit: dict[int, str] = {}
    at = passed = 0
    while True:
        try:
            text = decode(view[at:], errors)[0]
            pieces.append(bytes(view[at:]) if codec == "utf-8" else text.encode())
            return b"".join(pieces), unfit
        except UnicodeDecodeError as error:
            bad = at + error.start
        start, stop = data.rfind(b"\n", 0, bad) + 1, data.index(b"\n", bad)
        good = decode(view[at:start], errors)[0].encode()
        passed += good.count(b"\n")
        unfit[passed] = f"a byte (0x{data[bad]:02x}) does not fit {codec}"
        pieces += [good, data[start:stop].decode(codec, "backslashreplace").encode(), b"\n"]
        passed, at = passed + 1, stop + 1


def _euro(error: UnicodeError) -> tuple[str, int]:
    """Code page 936 of Windows has the sign of the euro at 0x80, where GB18030 has nothing."""
    if isinstance(error, UnicodeDecodeError) and error.object[error.start] == EURO:
        return "€", error.start + 1
    raise error


_EURO = "workbench.euro"
codecs.register_error(_EURO, _euro)


def _in_utf8(data: bytes) -> np.ndarray:
    """Whether each line is UTF-8 with a character of three bytes or more, as Chinese is; as GB18030 it is nonsense.

    >>> _in_utf8("广东\\n".encode() + "广东\\n".encode("gb18030")).tolist()
    [True, False]
    """
    chars = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(chars == LF)
    high = np.flatnonzero(chars >= 0x80)
    line, bytes_ = np.searchsorted(ends, high), chars[high]
    further = _FURTHER[bytes_]
    good = further != WRONG
    for step in (1, 2, 3):
        needs = np.flatnonzero((further >= step) & good)
        follows = chars[np.minimum(high[needs] + step, len(chars) - 1)] & 0xC0 == 0x80
        good[needs[~follows]] = False
    lines = len(ends)
    wrong = np.bincount(line[~good], minlength=lines)
    needed = np.bincount(line, weights=np.where(further > 0, further, 0), minlength=lines)
    followers = np.bincount(line[further == 0], minlength=lines)
    wide = np.bincount(line[further >= 2], minlength=lines)
    return (wrong == 0) & (needed == followers) & (wide > 0)


WRONG = -1
_FURTHER = np.full(256, WRONG, np.int8)
_FURTHER[:0xC0], _FURTHER[0xC2:0xE0], _FURTHER[0xE0:0xF0], _FURTHER[0xF0:0xF5] = 0, 1, 2, 3


def _most_are_unfit(data: bytes, stretch: Stretch) -> bool:
    chars = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(chars == LF)
    foreign = len(np.unique(np.searchsorted(ends, np.flatnonzero(chars >= 0x80))))
    return 2 * len(stretch.unfit) >= foreign


def _another_encoding(path: Path, data: bytes, codec: str, offset: int, stretch: Stretch) -> WorkbenchError:
    line, why = next(iter(sorted(stretch.unfit.items())))
    other = "gb18030" if codec == "utf-8" else "utf-8"
    advice = say(
        'If the file is in another encoding, declare it in the mapping (encoding = "{other}" or "auto"); else have it '
        "delivered again.",
        other=other,
    )
    if why.startswith("the line"):
        return WorkbenchError("{path} is not in {codec}: line {line} is valid {other}. {advice}").of(
            path, codec, str(line), other, advice
        )
    at = 0
    for _ in range(line - stretch.line):
        at = data.index(b"\n", at) + 1
    try:
        codecs.getdecoder(codec)(data[at:], _EURO if codec == "gb18030" else "strict")
    except UnicodeDecodeError as error:
        at += error.start
    return WorkbenchError("{path} is not in {codec}: byte {offset} (line {line}) is 0x{data}. {advice}").of(
        path, codec, str(offset + at), str(line), f"{data[at]:02x}", advice
    )


def _detected(path: Path) -> str:
    """The encoding by byte order mark, else by what most lines with other signs than ASCII are."""
    fit = unfit = 0
    for data in _whole_lines(path):
        if data.startswith(UTF16):
            return "utf-16"
        if data.isascii():
            continue
        view, at = memoryview(data), 0
        while at < len(data):
            try:
                codecs.utf_8_decode(view[at:], "strict")
                fit += sum(not line.isascii() for line in itertools.islice(data[at:].split(b"\n"), ENOUGH))
                break
            except UnicodeDecodeError as error:
                bad = at + error.start
            unfit += 1
            fit += sum(not line.isascii() for line in data[at : data.rfind(b"\n", 0, bad) + 1].split(b"\n"))
            at = data.index(b"\n", bad) + 1
            if unfit >= ENOUGH and unfit > fit:
                return "gb18030"
    return "gb18030" if unfit > fit else "utf-8"


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise WorkbenchError("{path} is damaged: {error}. Have it delivered again.").of(path, error) from None
    except UnicodeDecodeError as error:
        raise WorkbenchError("{path} is not in {encoding}: {reason}. Have it delivered again.").of(
            path, error.encoding, error.reason
        ) from None


def _whole_lines(path: Path, codec: str | None = None) -> Iterator[bytes]:
    """Bytes of a file cut at line ends; in UTF-8 where a codec is given."""
    rest = b""
    with _damage_named(path), unpacked(path) as stream:
        for data in _blocks(stream, codec):
            data = rest + data
            cut = data.rfind(b"\n") + 1
            rest = data[cut:]
            if len(rest) > LONGEST_RECORD:
                raise WorkbenchError("{path} has a line of more than {longest_record} MB. Is it a CSV file?").of(
                    path, LONGEST_RECORD >> 20
                )
            if cut:
                yield data[:cut]
    if rest:
        yield rest + b"\n"


@contextmanager
def unpacked(path: Path) -> Iterator[BufferedIOBase]:
    """Open a file, packed by gzip or not, in an archive or not."""
    with opened(path) as stream:
        yield gzip.open(stream, "rb") if path.suffix == ".gz" else stream


def _blocks(stream: BufferedIOBase, codec: str | None) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(codec)() if codec else None
    while data := stream.read(BLOCK):
        yield decoder.decode(data).encode() if decoder else data
    if decoder:
        yield decoder.decode(b"", True).encode()
