"""The workbook of a report: a sheet a table, and a sheet about the run."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workbench.catalogue import entry
from workbench.errors import WorkbenchError
from workbench.reports.page import tables

_LONGEST_CELL = 32_767
_ROWS, _COLUMNS = 1_048_576, 16_384
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}
_DATES = {"date": "yyyy-mm-dd", "datetime": "yyyy-mm-dd hh:mm:ss"}


def write_sheets(
    path: Path, shown: Iterable[Mapping[str, Any]], run: Iterable[tuple[str, Any, str]], language: str = "en"
) -> None:
    """Write the tables of a report as a workbook.

    Numbers are numbers at full precision and dates are dates; text is text, whatever it begins with.

    Parameters
    ----------
    path : Path
        File to write.
    shown : iterable of mapping
        Payloads of the tables, a sheet each.
    run : iterable of (str, value, str)
        Name, value and note of what the sheet "run" says.
    language : str
        That of the contents; names of sheets and columns are the same in each, with what columns are called above.

    Raises
    ------
    WorkbenchError
        If a table has more rows or columns than a sheet holds.
    """
    import xlsxwriter

    with xlsxwriter.Workbook(str(path), _OPTIONS) as book:
        book.set_properties({"created": dt.datetime(2000, 1, 1)})
        bold = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "bottom"})
        shown, taken = list(shown), {"contents", "run", "history"}
        names = [sheet_name(table["name"], taken) for table in shown]
        if len(shown) > 1:
            _write_contents(book.add_worksheet("contents"), names, shown, bold, language)
        for name, table in zip(names, shown, strict=True):
            _write_table(book, book.add_worksheet(name), table, bold)
        sheet = book.add_worksheet("run")
        sheet.set_column(0, 0, 20)
        sheet.set_column(1, 2, 60)
        for row, line in enumerate(run):
            for column, value in enumerate(line):
                _write(sheet, row, column, value, bold if column == 0 else None)


def sheet_name(name: str, taken: set[str]) -> str:
    r"""Make a legal name of a sheet that is not taken yet, and take it.

    >>> sheet_name("a/b: [2026]", set())
    'a b 2026'
    """
    legal = re.sub(r"[\[\]:*?/\\\x00-\x1f]+", " ", name)
    stem = re.sub(r"\s+", " ", legal).strip(" '")[:31].rstrip(" '") or "table"
    made, n = stem, 2
    while made.lower() in taken:
        ending = f" ({n})"
        made, n = stem[: 31 - len(ending)] + ending, n + 1
    taken.add(made.lower())
    return made


def number_format(format_: str, language: str = "en") -> str:
    """Say a Python format in the language of sheets; empty where there is no equal.

    Grouped numbers are shown in Chinese in 万 from 10,000 up, and in 亿; the cell keeps its full value.

    >>> number_format("{:,.1f}"), number_format("{:.1%}"), number_format("{:d}")
    ('#,##0.0', '0.0%', '0')
    >>> number_format("{:,d}", "zh")
    '[>=100000000]0!.00,,"亿";[>=10000]0!.0,"万";#,##0'
    >>> number_format("{:.1%} points"), number_format("{:.1%} points", "zh")
    ('0.0%" (points)"', '0.0%"（百分点）"')
    """
    parts = re.fullmatch(r"\{:(\+?)(,?)(?:\.(\d+))?([fd%])\}( points)?", format_)
    if not parts:
        return ""
    sign, comma, digits, kind, points = parts.groups()
    places = int(digits) if digits is not None else (0 if kind == "d" else 6)
    shape = ("#,##0" if comma else "0") + ("." + "0" * places if places else "") + ("%" if kind == "%" else "")
    shape += f'"{entry("{column} (points)", language).format(column="")}"' if points else ""
    if sign:
        return f"+{shape};-{shape};{shape}"
    return f'[>=100000000]0!.00,,"亿";[>=10000]0!.0,"万";{shape}' if comma and language == "zh" else shape


def _write_contents(sheet: Any, names: list[str], shown: list[Mapping[str, Any]], bold: Any, language: str) -> None:
    """Write a line a sheet, with a link to it and what it shows."""
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 1, 90)
    for column, head in enumerate(("sheet", "what it shows")):
        _write(sheet, 0, column, entry(head, language), bold)
    for row, (name, table) in enumerate(zip(names, shown, strict=True), 1):
        sheet.write_url(row, 0, "internal:'" + name.replace("'", "''") + "'!A1", string=name)
        _write(sheet, row, 1, table["caption"], None)


def _write_table(book: Any, sheet: Any, table: Mapping[str, Any], bold: Any) -> None:
    columns, suppressed = table["columns"], set(table["suppressed"])
    if len(columns) > _COLUMNS or len(table["rows"]) + 3 > _ROWS:
        raise WorkbenchError(
            "table '{name}' has {n} rows and {all} columns; a sheet holds {rows} and {columns}. Show less of it."
        ).of(table["name"], len(table["rows"]), len(columns), _ROWS - 3, _COLUMNS)
    formats, grid, language = [], tables.shown(table)[:200], table.get("language", "en")
    heads = [tables.called(column, language, table["name"]) for column in columns]
    for i, column in enumerate(columns):
        code = _DATES.get(column["kind"]) or number_format(column["format"], language)
        formats.append(book.add_format({"num_format": code}) if code else None)
        longest = max(8, *(tables.width(t) for t in (column["name"], heads[i], *(row[i] for row in grid))))
        sheet.set_column(i, i, min(longest + 2, 50))
    _write(sheet, 0, 0, table["caption"], None)
    for i, column in enumerate(columns):  # a whole row, then the next: what is written is not kept
        _write(sheet, 1, i, heads[i] if heads[i] != column["name"] else None, None)
    for i, column in enumerate(columns):
        _write(sheet, 2, i, column["name"], bold)
    if columns and table["rows"]:
        sheet.autofilter(2, 0, len(table["rows"]) + 2, len(columns) - 1)
    for r, row in enumerate(table["rows"]):
        for i, (value, column) in enumerate(zip(row, columns, strict=True)):
            if r in suppressed and tables.hides(table, column):
                value = tables.hidden(table, column, r)
            elif value is not None and column["kind"] in _DATES:
                value = dt.datetime.fromisoformat(value)
            _write(sheet, r + 3, i, value, formats[i])
    sheet.freeze_panes(3, 0)


def _write(sheet: Any, row: int, column: int, value: Any, style: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value, style)
    elif isinstance(value, int) and abs(value) > 2**53:
        sheet.write_string(row, column, str(value), style)
    elif isinstance(value, (int, float)):
        sheet.write_number(row, column, value, style)
    elif isinstance(value, dt.datetime) and value.year >= 1900:
        sheet.write_datetime(row, column, value.replace(tzinfo=None), style)
    else:
        sheet.write_string(row, column, str(value)[:_LONGEST_CELL], style)
