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
                    raise WorkbenchError("{here} has values and codes. Keep one.").of(here)
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
        raise WorkbenchError("the code list '{path}' must stay inside {folder}. Put it there.").of(
            path, folder, at=where
        )
    if not file.is_file():
        has = sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file())
        raise WorkbenchError("there is no code list {file}.{near} Put it there.").of(file, nearest(path, has), at=where)
    return file


def _list(file: Path, name: str, where: str) -> dict[str, str]:
    kind = file.suffix.lower()
    if kind not in (".csv", ".toml") or (name and kind == ".csv"):
        raise WorkbenchError("a code list is a file .csv, or .toml or .toml#TABLE, not {file} {name}.").of(
            file.name, name, at=where
        )
    try:
        text = file.read_text(encoding="utf-8-sig")
        codes = _of_csv(text, file) if kind == ".csv" else _of_toml(tomllib.loads(text), name, file, where)
    except (UnicodeDecodeError, csv.Error, tomllib.TOMLDecodeError) as error:
        raise WorkbenchError("{file} can't be read: {error}. Save it in UTF-8 (Excel: CSV UTF-8).").of(
            file, error
        ) from None
    if not 0 < len(codes) <= MOST:
        raise WorkbenchError(
            "{file} has {n} codes, where 1 to {most} may stand. A longer list is a table: join it in a [[prepare]] "
            "step, with lookup = true."
        ).of(file, len(codes), MOST)
    return codes


def _of_csv(text: str, file: Path) -> dict[str, str]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    head = [cell.strip().lower() for cell in next(reader, [])]
    if head[:2] != HEAD:
        raise WorkbenchError("{file}: the first line must be code,value (columns behind are remarks), not {head}.").of(
            file, str(head)
        )
    codes: dict[str, str] = {}
    lines: dict[str, int] = {}
    for row in reader:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) < len(HEAD) or not cells[0] or not cells[1]:
            raise WorkbenchError("{file}, line {line}: a code needs a value. What means none is for missing.").of(
                file, str(reader.line_num)
            )
        code, value = cells[:2]
        if codes.setdefault(code, value) != value:
            raise WorkbenchError(
                "{file}: '{code}' is '{codes}' in line {lines} and '{value}' in line {line}. Take one out."
            ).of(file, code, codes[code], str(lines[code]), value, str(reader.line_num))
        lines.setdefault(code, reader.line_num)
    return codes


def _of_toml(lists: dict[str, Any], name: str, file: Path, where: str) -> dict[str, str]:
    if name and not isinstance(lists.get(name), dict):
        raise unknown("code list", name, [n for n, one in lists.items() if isinstance(one, dict)], file.name)
    codes = lists[name] if name else lists
    if tables := [n for n, one in codes.items() if isinstance(one, dict)]:
        raise WorkbenchError('{file} has several lists. Choose one: codes = "{file}#{first}".').of(
            file.name, tables[0], at=where
        )
    return {code.strip(): plain(value, f"{file}, {code}").strip() for code, value in codes.items()}
