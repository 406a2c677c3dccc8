"""Which file holds what? A mapping (`data/mappings/SOURCE.toml`) says how a source's columns become canonical ones.

The format is described, key by key, in docs/mappings.md.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError, require_known, unknown
from workbench.warehouse import schema
from workbench.warehouse.ingest.blocks import PREPARED, FileBlock, Input, Mapping, Origin, Step
from workbench.warehouse.ingest.codes import put_codes
from workbench.warehouse.ingest.identity_rules import identity_rules
from workbench.warehouse.ingest.reading import READ_KEYS, how_read, most_refused
from workbench.warehouse.keys import check_keys, flag_of, list_of, missing_of, plain, text_of, texts_of
from workbench.warehouse.rulebook import rulebook
from workbench.warehouse.texts import KINDS

PERCENT = "12.5%"
NUMBERS = ("1,234.00", "1.234,00", "1 234,00", PERCENT)
EXCEL = "excel"
MAPPING_KEYS = (
    "title",
    "operator",
    "currency",
    "as_of",
    "skip",
    "most_refused",
    "parameters",
    "rules",
    "identity",
    "prepare",
    "file",
    "rows",
)
FILE_KEYS = (*READ_KEYS, "prepared", "table", "totals", "missing", "ignore", "beside", "keep", "order", "columns")
PREPARE_KEYS = ("name", "sql", "inputs")
INPUT_KEYS = (*READ_KEYS, "key", "lookup", "link", "multiplies", "drops")
VALUE_KEYS = (
    "from",
    "constant",
    "template",
    "row_number",
    "sum",
    "values",
    "codes",
    "format",
    "number",
    "scale",
    "missing",
    "pseudonym",
)
ORIGINS = ("from", "constant", "template", "row_number", "sum")
WRITTEN = re.compile(r"[^%]*(%(-?[dHIjmMSy]|[aAbBcfgGhnpTuUVwWxXYzZ%])[^%]*)+")
BEFORE = re.compile(r"(day|week|month|year)s before (\d{4}-\d\d-\d\d)")
NAME = re.compile(r"[^\W\d]\w*")


def read_mapping(file: Path) -> Mapping:
    """Read a mapping and check every key, table and column name in it.

    Raises
    ------
    WorkbenchError
        If it isn't TOML, or names a key, table or column that does not exist (the nearest is suggested),
        or leaves out what a table must have.
    """
    try:
        raw = tomllib.loads(text := file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WorkbenchError("{file} is not a TOML file in UTF-8: {error}. Mend it there.").of(file, error) from None
    where = file.name
    check_keys(raw, MAPPING_KEYS, where)
    as_of = raw.get("as_of")
    if not isinstance(as_of, date) or isinstance(as_of, datetime):
        raise WorkbenchError("{where} has no as_of date. Add the day before which all is known: as_of = 2026-07-01").of(
            where
        )
    said = raw.get("parameters", {})
    if not isinstance(said, dict) or any(isinstance(value, list) for value in said.values()):
        raise WorkbenchError('parameters are what studies take for this source, such as campaign = "email".').of(
            at=where
        )
    blocks = list_of(raw, "file", dict, where)
    codes = put_codes(blocks, file.parent / "codes", where)
    most = {"most_refused": raw["most_refused"]} if "most_refused" in raw else {}
    steps = tuple(_step(block, most, text, where) for block in list_of(raw, "prepare", dict, where))
    if len(names := {step.name.lower() for step in steps}) < len(steps):
        raise WorkbenchError("of the [[prepare]] steps {names} two have one name.").of(sorted(names), at=where)
    files = _files(blocks, most, steps, where)
    rows = _rows(list_of(raw, "rows", dict, where), where)
    if not files and not rows:
        raise WorkbenchError("{where} names no file. Add a [[file]] block; docs/mappings.md shows one.").of(where)
    known = {name for block in files if block.table.name == "customer" for name in block.columns}
    return Mapping(
        file.stem,
        file,
        title=text_of(raw, "title", where, ""),
        operator=text_of(raw, "operator", where, ""),
        currency=text_of(raw, "currency", where, "yuan"),
        as_of=as_of,
        files=files,
        rows=rows,
        skip=texts_of(raw, "skip", where, ()),
        steps=steps,
        codes=codes,
        rulebook=rulebook(raw.get("rules", {}), where),
        identity=identity_rules(list_of(raw, "identity", dict, where), known, where),
    )


def _files(raw: list[dict], most: dict, steps: tuple[Step, ...], where: str) -> tuple[FileBlock, ...]:
    """The `[[file]]` blocks, which read each step once, no file twice, and keep the same rows of a table."""
    files = [_file_block(most | block, steps, f"{where}, [[file]] {number}") for number, block in enumerate(raw, 1)]
    if unread := [step.name for step in steps if step.table not in {block.path for block in files}]:
        raise WorkbenchError('no [[file]] reads {names}. Add one with prepared = "{first}".').of(
            unread, unread[0], at=where
        )
    for block in files:
        if other := [b for b in files if b.table == block.table and b.keep != block.keep]:
            raise WorkbenchError("{path} and {other} keep different rows of {table}.").of(
                block.path, other[0].path, block.table.name, at=where
            )
    read = [(block.path, block.url, block.table, block.columns) for block in files]
    if twice := [block for i, block in enumerate(files) if (block.prepared or block.url) and read[i] in read[:i]]:
        raise WorkbenchError("two blocks read {path} for {table}. Remove one.").of(
            twice[0].path, twice[0].table.name, at=where
        )
    used = {id(block): (*block.sources(), *block.ignore) for block in files}
    return tuple(
        replace(block, elsewhere=tuple(n for one in files if one.path == block.path for n in used[id(one)]))
        for block in files
    )


def _file_block(raw: dict, steps: tuple[Step, ...], where: str) -> FileBlock:
    check_keys(raw, FILE_KEYS, where)
    table = _table(raw, where)
    if "prepared" in raw:
        step = _prepared(raw, steps, where)
        where = f"{where} ({step.table})"
        reading: dict[str, Any] = {
            "path": step.table,
            "format": "parquet",
            "prepared": step.name,
            "most_refused": most_refused(raw, where),
            "optional": texts_of(raw, "optional", where, ()),
        }
    else:
        reading = how_read(raw, where)
        where = f"{where} ({reading['path']})"
    missing = missing_of(raw, where, ("",))
    columns = raw.get("columns")
    if not isinstance(columns, dict) or not columns:
        raise WorkbenchError('{where} maps no column. Add [file.columns] with canonical = "column of the file".').of(
            where
        )
    block = FileBlock(
        table=table,
        columns=_columns(columns, table, missing, where),
        **_rows_kept(raw, table, where),
        **reading,
        ignore=texts_of(raw, "ignore", where, ()),
        beside=texts_of(raw, "beside", where, ()),
        totals=texts_of(raw, "totals", where, ()),
    )
    if both := set(block.ignore) & set(block.sources()):
        raise WorkbenchError("{names} is both mapped and ignored. Remove one.").of(sorted(both), at=where)
    return block


def _prepared(raw: dict, steps: tuple[Step, ...], where: str) -> Step:
    """The step whose result a block reads."""
    name = text_of(raw, "prepared", where)
    if foreign := [key for key in READ_KEYS if key in raw and key not in ("optional", "most_refused")]:
        raise WorkbenchError("{names} has no meaning for what a step has prepared. Remove it.").of(foreign, at=where)
    for step in steps:
        if step.name == name:
            return step
    raise unknown("[[prepare]] step", name, [step.name for step in steps], where)


def _step(raw: dict, most: dict, text: str, where: str) -> Step:
    check_keys(raw, PREPARE_KEYS, f"{where}, [[prepare]]")
    name, sql = text_of(raw, "name", f"{where}, [[prepare]]"), text_of(raw, "sql", f"{where}, [[prepare]]")
    where = f"{where}, [[prepare]] {name}"
    if not NAME.fullmatch(name):
        raise WorkbenchError("a name has letters, digits and _, and begins with a letter. Give another.").of(at=where)
    inputs = raw.get("inputs")
    if not isinstance(inputs, dict) or not inputs:
        raise WorkbenchError('{where} reads nothing. Add [prepare.inputs] with name = {{ path = "…" }}.').of(where)
    table = schema.TableSchema(PREPARED + name, "", (), ())
    read = tuple(_input(key, one, most, table, where) for key, one in inputs.items())
    if len({one.name.lower() for one in read}) < len(read):
        raise WorkbenchError("two inputs have one name but for its case. Rename one.").of(at=where)
    at = text.find(sql.rstrip("\n"))
    return Step(name, sql, read, text.count("\n", 0, at) if at >= 0 else -1)


def _input(name: str, raw: Any, most: dict, step: schema.TableSchema, where: str) -> Input:
    where = f"{where}, {name}"
    raw = {"path": raw} if isinstance(raw, str) else raw
    if not NAME.fullmatch(name) or not isinstance(raw, dict):
        raise WorkbenchError('{where} must be a name of letters, digits and _, with a path or {{ path = "…" }}.').of(
            where
        )
    check_keys(raw, INPUT_KEYS, where)
    link, key = texts_of(raw, "link", where, ()), texts_of(raw, "key", where, (f"#{name}",))
    if "link" in raw and len(set(link)) != 2:
        raise WorkbenchError('link names two columns, ["the id to be replaced", "the id that it belongs to"].').of(
            at=where
        )
    lookup = flag_of(raw, "lookup", where) is True or bool(link)
    if lookup and (foreign := [k for k in ("key", "multiplies", "drops") if k in raw]):
        raise WorkbenchError("{names} is for records that are followed, not for a look-up. Remove it.").of(
            foreign, at=where
        )
    if not key:
        raise WorkbenchError("key names no column. Remove it, or name the columns that the result has, too.").of(
            at=where
        )
    return Input(
        table=step,
        columns={},
        name=name,
        link=link,
        key=() if lookup else key,
        lookup=lookup,
        multiplies=flag_of(raw, "multiplies", where) is True,
        drops=flag_of(raw, "drops", where) is True,
        **how_read(most | raw, where),
    )


def _rows_kept(raw: dict, table: schema.TableSchema, where: str) -> dict[str, Any]:
    """Which of several rows with one key stays."""
    keep, order = text_of(raw, "keep", where, "first"), text_of(raw, "order", where, None)
    require_known("keep", keep, ("first", "last"), where)
    if keep == "last" and not table.key:
        raise WorkbenchError("the rows of {table} have no key, so none replaces another. Remove keep.").of(
            table.name, at=where
        )
    if order is not None and keep == "first":
        raise WorkbenchError('order says which row of a key is the last; it needs keep = "last".').of(at=where)
    return {"keep": keep, "order": order}


def _columns(raw: dict, table: schema.TableSchema, missing: tuple, where: str) -> dict[str, Origin | dict[str, Origin]]:
    columns: dict[str, Origin | dict[str, Origin]] = {}
    for name in raw:
        try:
            column = table.column(name)
        except WorkbenchError as error:
            raise WorkbenchError("{where}: {error}").of(where, error) from None
        place = f"{where}, {column.name}"
        columns[column.name] = (_map if column.is_map else _value)(raw[column.name], column, missing, place)
    lacking = [c.name for c in table.columns if c.not_null and c.name not in columns]
    if lacking:
        raise WorkbenchError('table {table} needs {names}. Map a column to it, or give it {{ constant = "…" }}.').of(
            table.name, lacking, at=where
        )
    taken = [c.name for c in table.columns] + [n for v in columns.values() if isinstance(v, dict) for n in v]
    if twice := sorted({name for name in taken if taken.count(name) > 1}):
        raise WorkbenchError("{names} would be the name of two columns. Rename it inside the map.").of(twice, at=where)
    return columns


def _map(raw: Any, column: schema.Column, missing: tuple, where: str) -> dict[str, Origin]:
    if isinstance(raw, dict) and set(raw) == {"from"} and isinstance(raw["from"], list):
        raw = raw["from"]
    if isinstance(raw, list) and raw and all(isinstance(name, str) for name in raw):
        raw = {name: name for name in raw}
    if not isinstance(raw, dict) or not raw:
        raise WorkbenchError('{where} holds values by name. Give ["column", …] or {{ name = "column", … }}.').of(where)
    return {name: _value(value, column, missing, f"{where}.{name}") for name, value in raw.items()}


def _value(raw: Any, column: schema.Column, missing: tuple, where: str) -> Origin:
    raw = {"from": raw} if isinstance(raw, str) else raw
    if not isinstance(raw, dict):
        raise WorkbenchError('{where} is {raw}. Give the name of a column, or an inline table {{ from = "…" }}.').of(
            where, repr(raw)
        )
    check_keys(raw, VALUE_KEYS, where)
    origins = [key for key in ORIGINS if key in raw]
    if len(origins) != 1:
        raise WorkbenchError("{where} needs exactly one of {names}; it has {others}.").of(where, ORIGINS, origins)
    values = raw.get("values")
    if values is not None and not (isinstance(values, dict) and values):
        raise WorkbenchError('values must be a table such as {{ "男" = "male" }}.').of(at=where)
    if values is not None and "" in values.values():
        raise WorkbenchError("values turns a text into nothing. List that text under missing instead.").of(at=where)
    scale = raw.get("scale")
    if scale is not None and (isinstance(scale, bool) or not isinstance(scale, int | float) or not scale):
        raise WorkbenchError("scale must be a number other than 0, not {scale}.").of(repr(scale), at=where)
    counted, dated = ("integer", "double", "numbers"), ("date", "timestamp")
    for key, types in (("scale", counted), ("number", counted), ("sum", counted), ("format", dated)):
        if key in raw and column.type not in types:
            raise WorkbenchError("{where} is a {type}; {key} is for {names}. Remove it.").of(
                where, column.type, key, types
            )
    if (number := text_of(raw, "number", where, None)) not in (None, *NUMBERS):
        raise unknown("number", number, NUMBERS, where)
    if "before" in (format := text_of(raw, "format", where, "")) and not _is_before(format):
        raise WorkbenchError('format is {format}. Say for instance "months before 2026-06-30".').of(
            repr(format), at=where
        )
    if "format" in raw and "before" not in format and format != EXCEL and not WRITTEN.fullmatch(format):
        raise WorkbenchError('format is {format}. Say it as strptime does, for instance "%Y%m%d", or "excel".').of(
            repr(format), at=where
        )
    kind = raw.get("pseudonym")
    if isinstance(kind, str) and kind not in KINDS:
        raise unknown("pseudonym", kind, KINDS, where)
    raw = raw | {"pseudonym": True} if isinstance(kind, str) else raw
    value = Origin(
        column=text_of(raw, "from", where, None),
        constant=plain(raw["constant"], where) if "constant" in raw else None,
        template=text_of(raw, "template", where, None),
        row_number=flag_of(raw, "row_number", where) is True,
        sum=texts_of(raw, "sum", where, ()),
        values={k: plain(v, where) for k, v in values.items()} if values else None,
        format=text_of(raw, "format", where, None),
        number=number,
        scale=scale,
        missing=missing_of(raw, where, missing),
        pseudonym=flag_of(raw, "pseudonym", where),
        kind=kind if isinstance(kind, str) else column.holds,
    )
    _check_pseudonym(value, column, where)
    if value.template is not None and not value.sources():
        raise WorkbenchError("template names no column. Write them in braces, or use constant.").of(at=where)
    return value


def _is_before(format: str) -> bool:
    try:
        return bool(date.fromisoformat(BEFORE.fullmatch(format)[2]))  # type: ignore[index]
    except (TypeError, ValueError):
        return False


def _check_pseudonym(value: Origin, column: schema.Column, where: str) -> None:
    if value.pseudonym and (column.type != "text" or value.column is None):
        raise WorkbenchError("pseudonym is for a text that comes from one column. Remove it.").of(at=where)
    if value.pseudonym is None and column.name.endswith("_key") and value.column is not None:
        raise WorkbenchError(
            "{where} holds pseudonyms. Say pseudonym = true if the file has the clear number or name, pseudonym = "
            "false if it already has pseudonyms."
        ).of(where)


def _rows(raw: list[dict], where: str) -> dict[str, tuple[dict[str, str], ...]]:
    rows: dict[str, list[dict[str, str]]] = {}
    for number, row in enumerate(raw, 1):
        place = f"{where}, [[rows]] {number}"
        table = _table(row, place)
        cells = {name: cell for name, cell in row.items() if name != "table"}
        if maps := [name for name in cells if table.column(name).is_map]:
            raise WorkbenchError("{names} holds values by name; it can come from a file only.").of(maps, at=place)
        rows.setdefault(table.name, []).append({name: plain(cell, place) for name, cell in cells.items()})
    return {name: tuple(cells) for name, cells in rows.items()}


def _table(raw: dict, where: str) -> schema.TableSchema:
    name = text_of(raw, "table", where)
    try:
        return schema.table(name)
    except WorkbenchError as error:
        raise WorkbenchError("{where}: {error}").of(where, error) from None
