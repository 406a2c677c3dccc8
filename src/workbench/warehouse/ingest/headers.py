"""Which names do the columns have? Header rows joined, and the cells of a sheet that are merged below them."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from io import BufferedIOBase
from xml.etree import ElementTree

_RANGE = re.compile(rb'<mergeCell [^>]*?ref="([A-Z]+)(\d+):([A-Z]+)(\d+)"')
_PIECE = 1 << 20
_PART = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def joined(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Give each column its name out of several header rows, the upper before the lower.

    A merged cell stands in its first row and column alone; what it heads, it names, too.

    >>> joined([["客户", "一月", "", "备注"], ["", "语音", "流量", ""]])
    ('客户', '一月/语音', '一月/流量', '备注')
    >>> joined([["id", "id"]])
    ('id', 'id')
    """
    width = max(map(len, rows))
    cells = [[" ".join(cell.split()) for cell in [*row, *[""] * (width - len(row))]] for row in rows]
    for number, row in enumerate(cells[:-1]):
        below = [any(lower[i] for lower in cells[number + 1 :]) for i in range(width)]
        for i in range(1, width):
            if not row[i] and below[i] and below[i - 1]:
                row[i] = row[i - 1]
    names = []
    for i in range(width):
        parts = [row[i] for row in cells if row[i]]
        names.append("/".join(part for n, part in enumerate(parts) if n == 0 or part != parts[n - 1]))
    return tuple(names)


def merged_below(book: BufferedIOBase, sheet: int | str, first: int) -> list[tuple[range, range]]:
    """Find cells of an .xlsx sheet that are merged over several rows.

    Parameters
    ----------
    book : binary file
    sheet : int or str
        Number from 0, or name.
    first : int
        Row, from 1, from which on they count.

    Returns
    -------
    list of (range, range)
        Rows from 1 but for the uppermost, which has the value, and columns from 0.
    """
    try:
        with zipfile.ZipFile(book) as parts:
            sheets = ElementTree.fromstring(parts.read("xl/workbook.xml")).iterfind("{*}sheets/{*}sheet")
            named = {key: one.get(_PART) for i, one in enumerate(sheets) for key in (i, one.get("name"))}
            links = ElementTree.fromstring(parts.read("xl/_rels/workbook.xml.rels"))
            target = next(str(link.get("Target")) for link in links if link.get("Id") == named[sheet])
            found, rest = [], b""
            with parts.open(target.lstrip("/") if target.startswith("/") else f"xl/{target}") as stream:
                while piece := stream.read(_PIECE):
                    rest += piece
                    found += _RANGE.findall(rest[: (end := rest.rfind(b">") + 1)])
                    rest = rest[end:]
    except (
        zipfile.BadZipFile,
        KeyError,
        StopIteration,
        ElementTree.ParseError,
    ):  # .xls, or damaged: the reader says so
        return []
    return [
        (range(max(int(top) + 1, first), int(bottom) + 1), range(_column(left), _column(right) + 1))
        for left, top, right, bottom in found
        if int(bottom) > int(top) and int(bottom) >= first
    ]


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1
