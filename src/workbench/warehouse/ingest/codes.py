"""What does a code mean? Code lists that stand in files of their own, in the folder `codes` beside the mappings."""

from __future__ import annotations

import csv
import io
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError, nearest, unknown
from workbench.warehouse.keys import plain, text_of

MOST = 2_000
HEAD = ["code", "value"]


def put_codes(blocks: Iterable[dict], folder: Path, where: str) -> tuple[Path, ...]:
    """Put the list of each `codes` of the columns in its place, as `values`; give the files that were read.

    Parameters
    ----------
    blocks : iterable of dict
        The `[[file]]` blocks as they are read from TOML; they are changed.
    folder : Path
        Where the code lists stand.
    where : str
        The mapping, for errors.

    Raises
    ------
    WorkbenchError
        If a file is not there, or is no list of codes.
    """
    read: dict[Path, None] = {}

    def visit(columns: Any, place: str) -> None:
        for name, value in columns.items() if isinstance(columns, dict) else ():
            if isinstance(value, dict) and {"codes", "from"} <= set(value):
                here = f"{place}, {name}"
                if "values" in value:
                    raise WorkbenchError(f"{here} has values and codes. Keep one.")
                path, _, inner = text_of(value, "codes", here).partition("#")
                file = _file(path, folder, here)
                value["values"] = _list(file, inner, here)
                del value["codes"]
                read[file] = None
            else:
                visit(value, f"{place}, {name}")

    for number, block in enumerate(blocks, 1):
        visit(block.get("columns"), f"{where}, [[file]] {number}")
    return tuple(read)


def _file(path: str, folder: Path, where: str) -> Path:
    file = folder / path
    if "\\" in path or not file.resolve().is_relative_to(folder.resolve()):
        raise WorkbenchError(f"{where}: the code list '{path}' must stay inside {folder}. Put it there.")
    if not file.is_file():
        has = sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file())
        raise WorkbenchError(f"{where}: there is no code list {file}.{nearest(path, has)} Put it there.")
    return file


def _list(file: Path, name: str, where: str) -> dict[str, str]:
    kind = file.suffix.lower()
    if kind not in (".csv", ".toml") or (name and kind == ".csv"):
        raise WorkbenchError(f"{where}: a code list is a file .csv, or .toml or .toml#TABLE, not {file.name} {name}.")
    try:
        text = file.read_text(encoding="utf-8-sig")
        codes = _of_csv(text, file) if kind == ".csv" else _of_toml(tomllib.loads(text), name, file, where)
    except (UnicodeDecodeError, csv.Error, tomllib.TOMLDecodeError) as error:
        raise WorkbenchError(f"{file} can't be read: {error}. Save it in UTF-8 (Excel: CSV UTF-8).") from None
    if not 0 < len(codes) <= MOST:
        raise WorkbenchError(
            f"{file} has {len(codes):,} codes, where 1 to {MOST:,} may stand. A longer list is a table: join it in a "
            "[[prepare]] step, with lookup = true."
        )
    return codes


def _of_csv(text: str, file: Path) -> dict[str, str]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    head = [cell.strip().lower() for cell in next(reader, [])]
    if head[:2] != HEAD:
        raise WorkbenchError(f"{file}: the first line must be code,value (columns behind are remarks), not {head}.")
    codes: dict[str, str] = {}
    lines: dict[str, int] = {}
    for row in reader:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) < len(HEAD) or not cells[0] or not cells[1]:
            raise WorkbenchError(
                f"{file}, line {reader.line_num}: a code needs a value. What means none is for missing."
            )
        code, value = cells[:2]
        if codes.setdefault(code, value) != value:
            raise WorkbenchError(
                f"{file}: '{code}' is '{codes[code]}' in line {lines[code]} and '{value}' in line {reader.line_num}. "
                "Take one out."
            )
        lines.setdefault(code, reader.line_num)
    return codes


def _of_toml(lists: dict[str, Any], name: str, file: Path, where: str) -> dict[str, str]:
    if name and not isinstance(lists.get(name), dict):
        raise unknown("code list", name, [n for n, one in lists.items() if isinstance(one, dict)], file.name)
    codes = lists[name] if name else lists
    if tables := [n for n, one in codes.items() if isinstance(one, dict)]:
        raise WorkbenchError(f'{where}: {file.name} has several lists. Choose one: codes = "{file.name}#{tables[0]}".')
    return {code.strip(): plain(value, f"{file}, {code}").strip() for code, value in codes.items()}
