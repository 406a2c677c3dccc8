"""What does a file look like? A bounded piece of it: how it is written, its columns, some thousand of its records."""

from __future__ import annotations

import calendar
import codecs
import csv
import io
import json
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import fastexcel
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import WorkbenchError
from workbench.messages import as_message
from workbench.warehouse.ingest.archives import inside, opened, size
from workbench.warehouse.ingest.decode import UTF16, unpacked
from workbench.warehouse.ingest.headers import joined
from workbench.warehouse.ingest.read import check_size, no_delivery
from workbench.warehouse.ingest.reading import FORMATS, format_of

BYTES = 4 << 20
ROWS = 5_000
ALL_BUT_FEW = 0.98
DELIMITERS = ("||", ",", "\t", ";", "|", "^")
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    RecursionError,
    csv.Error,
    zlib.error,
    pa.ArrowException,
    fastexcel.FastExcelError,
)
NOTHING = ("NULL", "null", "N/A", "NA", "n/a", "-", "--", "\\N", "无", "#N/A", "None", "nan", "NaN")


@dataclass(frozen=True)
class Sample:
    """A piece of a file, or of a sheet of it."""

    path: Path
    options: dict[str, Any]  # keys of a `[[file]]` block that say how it is written, where that is not the usual way
    columns: dict[str, list[str]]  # texts of the records, "" for none, by name of column
    whole: bool  # whether that is all there is
    doubts: tuple[str, ...] = ()  # what is not sure about how it is written
    misfits: dict[str, str] = field(default_factory=dict)  # why a column fills none that it is called like
    links: list[Any] = field(default_factory=list)  # a `Link`, where its customers are found by another key, or none
    unit: str = ""  # what a title above the names says of the unit; "" for nothing
    at: str = ""  # its path in the delivery, or the pattern of several
    wide: Any = None  # a `Wide`: which columns of the file were months, where this has a row a month instead
    _texts: dict[str, list[str]] = field(default_factory=dict)

    def fresh(self) -> Sample:
        """The same, of which nothing is known yet."""
        return replace(self, columns=dict(self.columns), misfits={}, links=[], _texts={})

    def texts(self, name: str) -> list[str]:
        """The texts of a column that say something."""
        if name not in self._texts:
            self._texts[name] = [text for text in self.columns[name] if text and text not in NOTHING]
        return self._texts[name]

    def is_key(self, name: str) -> bool:
        """Whether the column tells its rows apart, but for a few that may stand twice by mistake."""
        texts = self.texts(name)
        return bool(texts) and len(set(texts)) >= ALL_BUT_FEW * len(texts)

    def nothing(self) -> list[str]:
        """The texts that stand for no value."""
        return sorted({text for texts in self.columns.values() for text in texts} & set(NOTHING))


def delivered(path: Path) -> list[Path]:
    """A file; of a zip archive those in it that are read; what else it holds, ingest tells."""
    if path.suffix.lower() != ".zip" or not path.is_file():
        return [path]
    files = [one for one in inside(path) if format_of(one.name) in _READ and not no_delivery(one)]
    if not files:
        raise WorkbenchError("{path} holds no file with one of the endings {names}. Name the files.").of(path, _ENDINGS)
    return files


def samples(path: Path) -> list[Sample]:
    """Read a bounded piece of a file; of a workbook a piece of each sheet that holds a table.

    Raises
    ------
    WorkbenchError
        If it is no file, of no known form, damaged, or has no record.
    """
    if size(path) is None:
        raise WorkbenchError("there is no file {path}. Name the files themselves.").of(path)
    if (read := _READ.get(format_of(path.name))) is None:
        raise WorkbenchError("{path} has none of the endings {names} (.gz behind). Give it its own.").of(path, _ENDINGS)
    try:
        found = [one for one in read(path) if any(map(any, one.columns.values()))]
    except _DAMAGE as error:
        why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise WorkbenchError("{path} can't be read: {why}. Have it delivered again.").of(
            path, as_message(why)
        ) from None
    if not found:
        raise WorkbenchError("{path} has no record below its names. Have it delivered again.").of(path)
    return found


def together(parts: list[Sample]) -> Sample:
    """Take the samples of several files for one: some rows of each, and which columns not all of them have."""
    names, most = list(max(parts, key=lambda one: len(one.columns)).columns), max(ROWS * 4 // len(parts), 100)
    rows = [len(next(iter(one.columns.values()))) for one in parts]
    columns = {
        name: [text for one, n in zip(parts, rows, strict=True) for text in one.columns.get(name, [""] * n)[:most]]
        for name in names
    }
    options = dict(parts[-1].options)
    if len({one.options.get("encoding") for one in parts}) > 1:
        options["encoding"] = "auto"
    if optional := [name for name in names if any(name not in one.columns for one in parts)]:
        options["optional"] = optional
    doubts = tuple(dict.fromkeys(doubt for one in parts for doubt in one.doubts))
    whole = all(one.whole for one in parts) and max(rows) <= most
    return Sample(parts[-1].path, options, columns, whole, doubts, unit=parts[-1].unit)


def _head(path: Path) -> tuple[str, dict[str, Any], bool, tuple[str, ...]]:
    """Text of the beginning, in whole lines; its encoding, whether it is all, and doubts."""
    with unpacked(path) as stream:
        data = stream.read(BYTES + 1)
    whole = len(data) <= BYTES
    if data.startswith(UTF16):
        text = codecs.getincrementaldecoder("utf-16")("replace").decode(data)
        return text, {"encoding": "utf-16"}, whole, ()
    data = data if whole else data[: data.rfind(b"\n", 0, BYTES) + 1]
    if data.isascii() and not whole:
        return data.decode(), {"encoding": "auto"}, whole, ()
    for codec, options in (("utf-8-sig", {}), ("gb18030", {"encoding": "gb18030"})):
        try:
            return data.decode(codec), options, whole, ()
        except UnicodeDecodeError:
            continue
    return data.decode("gb18030", "replace"), {"encoding": "auto"}, whole, ("some bytes fit no encoding",)


def _csv(path: Path) -> list[Sample]:
    text, options, whole, doubts = _head(path)
    lines = [line for line in text[:200_000].splitlines() if line.strip()][:100]
    delimiter = max(DELIMITERS, key=lambda sign: (_regular(lines, sign), -DELIMITERS.index(sign)))
    rows = list(islice(_records(text, delimiter), ROWS + 20))
    rows = [row for row in rows if any(row)]
    if not rows:
        return []
    width = Counter(map(len, rows)).most_common(1)[0][0]
    above, heads = _heads(rows, width)
    names, body = list(joined(rows[above : above + heads])), rows[above + heads :]
    options |= {"delimiter": delimiter} if delimiter != "," else {}
    options |= ({"skip_rows": above} if above else {}) | ({"header_rows": heads} if heads > 1 else {})
    months = [name for name in names if re.fullmatch(r"20\d\d(0[1-9]|1[0-2])", name)]
    values = [name for name in names if _is_value(name) and (name not in months or len(months) < 2)]
    if values or not all(names) or len(set(names)) < len(names):
        names, body = [f"c{i}" for i in range(1, width + 1)], rows[above:]
        options |= {"header": False, "names": names}
        doubts += ("the file seems to have no names of columns: give them under names",)
    body = [row for row in body if len(row) == width][:ROWS]
    return [Sample(path, options, _columns(names, body), whole and len(rows) < ROWS, doubts, unit=_unit(rows[:above]))]


def _heads(rows: list[list[str]], width: int) -> tuple[int, int]:
    """Where the names of columns begin, and in how many rows: below titles, and names of several columns."""
    first = next(i for i, row in enumerate(rows) if len(row) == width)
    filled = [sum(map(bool, row)) for row in rows[first : first + 6]]
    at = first + filled.index(max(filled))
    below = [{row[i] for row in rows[at + 1 :] if len(row) == width} for i in range(width)]
    if at == first or len(rows[at]) != width or any(_is_value(t) or t in below[i] for i, t in enumerate(rows[at])):
        return first, 1
    several = len(set(rows[at])) < width
    return at - several, 1 + several


def _unit(above: Iterable[Iterable[Any]]) -> str:
    """The unit that a title says: 单位：万元."""
    title = unicodedata.normalize("NFKC", " ".join(str(cell or "") for row in above for cell in row))
    found = re.search(r"(?:单位|\bunit|\bin)\s*:\s*([^\s,;)]+)", title.lower())
    return found[1] if found else ""


def _regular(lines: list[str], sign: str) -> float:
    """How regularly a delimiter cuts lines into several fields."""
    widths = Counter(len(row) for row in _records("\n".join(lines), sign))
    width, count = max(widths.items(), key=lambda pair: (pair[0] > 1, pair[1])) if widths else (1, 0)
    return count / widths.total() * (width > 1) if widths else 0.0


def _records(text: str, delimiter: str) -> Any:
    if len(delimiter) > 1:
        return ([cell.strip() for cell in line.split(delimiter)] for line in text.splitlines())
    return ([cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter))


def _is_value(text: str) -> bool:
    return bool(re.fullmatch(r"[-+]?[\d.,]+|\d{4}[-/]\d{1,2}[-/]\d{1,2}.*", text))


def _columns(names: list[str], rows: list[list[str]]) -> dict[str, list[str]]:
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _json(path: Path) -> list[Sample]:
    text, options, whole, doubts = _head(path)
    rows = []
    for line in islice(filter(str.strip, text.splitlines()), ROWS):
        row = json.loads(line, parse_int=str, parse_float=str)
        rows.append(row if isinstance(row, dict) else {})
    names = dict.fromkeys(name for row in rows for name in row)
    return [Sample(path, options, {n: [_plain(row.get(n)) for row in rows] for n in names}, whole, doubts)]


def _parquet(path: Path) -> list[Sample]:
    with opened(path) as stream, pq.ParquetFile(stream) as file:
        batch = next(file.iter_batches(ROWS), None)
        whole = file.metadata.num_rows <= ROWS
    cells = batch.to_pydict() if batch is not None else {}
    return [Sample(path, {}, {name: list(map(_plain, values)) for name, values in cells.items()}, whole)]


def _plain(value: Any) -> str:
    if value is None or value != value:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value).removesuffix(" 00:00:00").strip()


def _excel(path: Path) -> list[Sample]:
    check_size(path)
    with opened(path) as stream:
        book, found, hidden = fastexcel.read_excel(stream.read()), list[Sample](), list[Sample]()
    for sheet in book.sheet_names:
        loaded = book.load_sheet(sheet, header_row=None, skip_rows=0, n_rows=ROWS, dtypes="string")
        cells = loaded.to_arrow()
        rows = list(zip(*(column.to_pylist() for column in cells.columns), strict=True))
        filled = [sum(cell is not None for cell in row) for row in rows[:20]]
        if not filled or max(filled) < 2:
            continue
        above = filled.index(max(filled))
        heads = 1 + (above > 0 and len({*rows[above]} - {None}) < filled[above])
        above -= heads - 1
        top = joined([[str(cell or "") for cell in row] for row in rows[above : above + heads]])
        names = [name or f"column {i + 1}" for i, name in enumerate(top)]
        body = [[_plain(cell) for cell in row] for row in rows[above + heads :] if any(row)]
        seen = loaded.visible == "visible"
        options: dict[str, Any] = {"sheet": sheet} if sheet != book.sheet_names[0] or not seen else {}
        options |= ({"skip_rows": above} if above else {}) | ({"header_rows": heads} if heads > 1 else {})
        made = Sample(path, options, _columns(names, body), len(rows) < ROWS, unit=_unit(rows[:above]))
        (found if seen else hidden).append(made)
    doubts = tuple(f"the hidden sheet {one.options['sheet']} is {'left out' if found else 'read'}" for one in hidden)
    return [replace(one, doubts=doubts) for one in found or hidden]


_READ = {"csv": _csv, "jsonl": _json, "parquet": _parquet, "excel": _excel}
_ENDINGS = [ending for ending, form in FORMATS.items() if form in _READ]


def bare(name: str) -> str:
    """A name as names are compared: one width and case, without brackets, spaces and signs.

    >>> bare("Total_Charges (USD)"), bare("客户 编号")
    ('totalcharges', '客户编号')
    """
    text = unicodedata.normalize("NFKC", name).lower()
    return re.sub(r"[\W_]+", "", re.sub(r"[(\[（].*?[)\]）]", "", text))


def month_of(name: str) -> date | None:
    """The first day of the month that a heading names.

    >>> month_of("ARPU_202604"), month_of("2026年4月话费"), month_of("fee 2026")
    (datetime.date(2026, 4, 1), datetime.date(2026, 4, 1), None)
    """
    found = re.search(r"(?<!\d)(20\d\d)[-_./年]?(1[0-2]|0?[1-9])(?!\d)", name)
    return date(int(found[1]), int(found[2]), 1) if found else None


def month_end(day: date) -> date:
    """The last day of its month."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])
