"""Which file holds what? A mapping (`data/mappings/SOURCE.toml`) says how a source's columns become canonical ones.

The format is described, key by key, in docs/mappings.md.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from workbench.errors import WorkbenchError, named, nearest, unknown
from workbench.warehouse import schema
from workbench.warehouse.rulebook import Rulebook, rulebook
from workbench.warehouse.texts import KINDS

FORMATS = {
    ".csv": "csv", ".txt": "csv", ".tsv": "csv", ".xlsx": "excel", ".xls": "excel", ".parquet": "parquet",
    ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip
ENCODINGS = ("utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be", "auto")
PERCENT = "12.5%"
NUMBERS = ("1,234.00", "1.234,00", "1 234,00", PERCENT)
EXCEL = "excel"
MAPPING_KEYS = ("title", "operator", "currency", "as_of", "skip", "most_refused", "rules", "file", "rows")
CSV_KEYS = ("encoding", "delimiter", "quote", "escape", "header", "names")
FILE_KEYS = (
    "path", "table", "format", *CSV_KEYS, "sheet", "skip_rows", "totals", "missing", "ignore", "optional", "keep",
    "order", "most_refused", "columns",
)  # fmt: skip
VALUE_KEYS = (
    "from", "constant", "template", "row_number", "values", "format", "number", "scale", "missing", "pseudonym",
)  # fmt: skip
MOST_REFUSED = 0.05
TOTALS = ("合计", "总计", "小计", "Total", "Grand total")
ORIGINS = ("from", "constant", "template", "row_number")
PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Value:
    """Where a canonical value comes from: exactly one of `column`, `constant`, `template` and `row_number`.

    Attributes
    ----------
    column, constant, template : str or None
        A column of the file, a fixed text, or a text with ``{column}`` in it.
    row_number : bool
        The number of the record in its file, from 1.
    values : dict of str or None
        Translation; a text that it does not know goes to quarantine.
    format : str or None
        How dates are written, as in strptime; "excel" for the numbers by which Excel counts days.
    number : str or None
        How numbers are written, as one of NUMBERS.
    scale : float or None
        Factor to the canonical unit.
    missing : tuple of str
        Texts that mean "no value"; the empty text always does.
    pseudonym : bool or None
        Whether the clear text is replaced by its keyed pseudonym; None where the mapping is silent.
    kind : {'phone', 'card', 'name', None}
        What the clear text is, so that all its forms have one pseudonym.
    """

    column: str | None = None
    constant: str | None = None
    template: str | None = None
    row_number: bool = False
    values: dict[str, str] | None = None
    format: str | None = None
    number: str | None = None
    scale: float | None = None
    missing: tuple[str, ...] = ("",)
    pseudonym: bool | None = None
    kind: str | None = None

    def sources(self) -> tuple[str, ...]:
        """The columns of the file that it needs."""
        if self.column is not None:
            return (self.column,)
        return tuple(PLACEHOLDER.findall(self.template)) if self.template is not None else ()


@dataclass(frozen=True)
class FileBlock:
    """A `[[file]]` block: files of one kind, the table they fill, and the origin of each of its columns.

    The keys are those of docs/mappings.md; `most_refused` is the share of a file's records that may be refused.
    """

    path: str
    table: schema.Table
    format: str
    columns: dict[str, Value | dict[str, Value]]
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    names: tuple[str, ...] | None = None
    sheet: str | int = 0
    skip_rows: int = 0
    totals: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    keep: str = "first"
    order: str | None = None
    most_refused: float = MOST_REFUSED

    @property
    def is_glob(self) -> bool:
        """Whether the path may name several files."""
        return any(sign in self.path for sign in "*?[")

    def values(self) -> Iterable[Value]:
        """Every origin, those inside maps too."""
        for value in self.columns.values():
            yield from value.values() if isinstance(value, dict) else (value,)

    def sources(self) -> tuple[str, ...]:
        """The file's columns that are used, each once, in order of use."""
        used = [source for value in self.values() for source in value.sources()]
        return tuple(dict.fromkeys([*used, self.order] if self.order is not None else used))

    def texts(self) -> frozenset[str]:
        """The file's columns that are read as texts, identifiers among them: no number may stand for them."""
        return self._feeding(lambda column: column.type == "text")

    def identifiers(self) -> frozenset[str]:
        """The file's columns that tell customers, lines and the like apart."""
        return self._feeding(lambda column: column.is_identifier)

    def _feeding(self, wanted: Callable[[schema.Column], bool]) -> frozenset[str]:
        columns = [(self.table.column(name), value) for name, value in self.columns.items()]
        return frozenset(
            source
            for column, value in columns
            if isinstance(value, Value) and wanted(column)
            for source in value.sources()
        )


@dataclass(frozen=True)
class Mapping:
    """A source as its mapping file declares it."""

    source: str
    file: Path
    title: str
    operator: str
    currency: str
    as_of: date
    files: tuple[FileBlock, ...]
    rows: dict[str, tuple[dict[str, str], ...]] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    rulebook: Rulebook = field(default_factory=lambda: Rulebook({}))

    def tables(self) -> set[str]:
        """Names of the tables that it fills."""
        return {block.table.name for block in self.files} | set(self.rows)


def read_mapping(file: Path) -> Mapping:
    """Read a mapping and check every key, table and column name in it.

    Raises
    ------
    WorkbenchError
        If it isn't TOML, or names a key, table or column that does not exist (the nearest is suggested), or leaves
        out what a table must have.
    """
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WorkbenchError(f"{file} is not a TOML file in UTF-8: {error}. Mend it there.") from None
    where = file.name
    _check_keys(raw, MAPPING_KEYS, where)
    as_of = raw.get("as_of")
    if not isinstance(as_of, date) or isinstance(as_of, datetime):
        raise WorkbenchError(f"{where} has no as_of date. Add the day before which all is known: as_of = 2026-07-01")
    blocks = _list(raw, "file", dict, where)
    most = {"most_refused": raw["most_refused"]} if "most_refused" in raw else {}
    files = tuple(_file_block(most | block, f"{where}, [[file]] {number}") for number, block in enumerate(blocks, 1))
    rows = _rows(_list(raw, "rows", dict, where), where)
    for block in files:
        if other := [b for b in files if b.table == block.table and b.keep != block.keep]:
            raise WorkbenchError(
                f"{where}: {block.path} and {other[0].path} keep different rows of {block.table.name}."
            )
    if not files and not rows:
        raise WorkbenchError(f"{where} names no file. Add a [[file]] block; docs/mappings.md shows one.")
    texts = {key: _text(raw, key, where, default) for key, default in _TOP_LEVEL}
    return Mapping(
        file.stem, file, as_of=as_of, files=files, rows=rows, skip=_texts(raw, "skip", where, ()),
        rulebook=rulebook(raw.get("rules", {}), where), **texts,
    )  # fmt: skip


_TOP_LEVEL = (("title", ""), ("operator", ""), ("currency", "yuan"))


def _file_block(raw: dict, where: str) -> FileBlock:
    _check_keys(raw, FILE_KEYS, where)
    path, table = _text(raw, "path", where), _table(raw, where)
    where = f"{where} ({path})"
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\\" in path:
        raise WorkbenchError(f"{where}: path must stay inside the raw folder and use '/'. Give it relative to it.")
    format = raw.get("format", _format_of(path))
    if format not in set(FORMATS.values()):
        raise WorkbenchError(f'{where}: format is \'{format}\'. Say format = "csv", "excel", "parquet" or "jsonl".')
    if foreign := [k for k in CSV_KEYS if k in raw and format != "csv" and (format, k) != ("jsonl", "encoding")]:
        raise WorkbenchError(f"{where}: {named(foreign)} has no meaning for {format}. Remove it.")
    missing = _missing(raw, where, ("",))
    columns = raw.get("columns")
    if not isinstance(columns, dict) or not columns:
        raise WorkbenchError(f'{where} maps no column. Add [file.columns] with canonical = "column of the file".')
    block = FileBlock(
        path, table, format, _columns(columns, table, missing, where),
        sheet=raw.get("sheet", 0), ignore=_texts(raw, "ignore", where, ()),
        optional=_texts(raw, "optional", where, ()), totals=_texts(raw, "totals", where, ()),
        **_rows_kept(raw, table, format, where), **_dialect(raw, where),
    )  # fmt: skip
    if both := set(block.ignore) & set(block.sources()):
        raise WorkbenchError(f"{where}: {named(sorted(both))} is both mapped and ignored. Remove one.")
    return block


def _rows_kept(raw: dict, table: schema.Table, format: str, where: str) -> dict[str, Any]:
    """Which rows are read, which of several with one key stays, and how many may be refused."""
    skipped, most = raw.get("skip_rows", 0), raw.get("most_refused", MOST_REFUSED)
    if (
        isinstance(skipped, bool)
        or not isinstance(skipped, int)
        or skipped < 0
        or (skipped and format not in ("csv", "excel"))
    ):
        raise WorkbenchError(f"{where}: skip_rows is the number of rows above the names (CSV, Excel), not {skipped!r}.")
    if isinstance(most, bool) or not isinstance(most, int | float) or not 0 <= most <= 1:
        raise WorkbenchError(f"{where}: most_refused is a share of the file's records, from 0 to 1, not {most!r}.")
    keep, order = _text(raw, "keep", where, "first"), _text(raw, "order", where, None)
    if keep not in ("first", "last"):
        raise unknown("keep", keep, ("first", "last"), where)
    if keep == "last" and not table.key:
        raise WorkbenchError(f"{where}: the rows of {table.name} have no key, so none replaces another. Remove keep.")
    if order is not None and keep == "first":
        raise WorkbenchError(f'{where}: order says which row of a key is the last; it needs keep = "last".')
    return {"skip_rows": skipped, "most_refused": float(most), "keep": keep, "order": order}


def _format_of(path: str) -> str:
    suffixes = PurePosixPath(path.removesuffix(".gz")).suffixes
    return FORMATS.get(suffixes[-1].lower() if suffixes else "", "unknown")


def _dialect(raw: dict, where: str) -> dict[str, Any]:
    encoding = _text(raw, "encoding", where, "utf-8").lower()
    if encoding not in ENCODINGS:
        raise unknown("encoding", encoding, ENCODINGS, where)
    delimiter, quote = _text(raw, "delimiter", where, ","), _text(raw, "quote", where, '"')
    escape = _text(raw, "escape", where, "")
    forbidden = ("\n", "\r", "\0")
    several = len(delimiter) > 1 and (len(delimiter) > 4 or any(sign in delimiter for sign in ('"', quote, *forbidden)))
    if not delimiter or not delimiter.isascii() or delimiter in (*forbidden, quote) or several:
        raise WorkbenchError(
            f"{where}: delimiter must be one to four ASCII characters other than the quote, not {delimiter!r}."
        )
    if quote and (len(quote) != 1 or not quote.isascii() or quote in forbidden):
        raise WorkbenchError(f'{where}: quote must be one ASCII character, or "" for none, not {quote!r}.')
    if escape and (len(escape) != 1 or not escape.isascii() or escape in (*forbidden, quote) or escape in delimiter):
        raise WorkbenchError(
            f"{where}: escape must be one ASCII character other than quote and delimiter, not {escape!r}."
        )
    header, names = raw.get("header", "names" not in raw), _texts(raw, "names", where, ())
    if (header is not True and header is not False) or header == bool(names):
        raise WorkbenchError(
            f'{where}: a file without header needs header = false and names = ["…"]; one with, neither.'
        )
    if len(set(names)) < len(names):
        raise WorkbenchError(f"{where}: names holds a name twice. Make them unique.")
    return {
        "encoding": encoding, "delimiter": delimiter, "quote": quote, "escape": escape, "names": names or None,
    }  # fmt: skip


def _columns(raw: dict, table: schema.Table, missing: tuple, where: str) -> dict[str, Value | dict[str, Value]]:
    columns: dict[str, Value | dict[str, Value]] = {}
    for name in raw:
        try:
            column = table.column(name)
        except WorkbenchError as error:
            raise WorkbenchError(f"{where}: {error}") from None
        place = f"{where}, {column.name}"
        columns[column.name] = (_map if column.is_map else _value)(raw[column.name], column, missing, place)
    lacking = [c.name for c in table.columns if c.not_null and c.name not in columns]
    if lacking:
        raise WorkbenchError(
            f'{where}: table {table.name} needs {named(lacking)}. Map a column to it, or give it {{ constant = "…" }}.'
        )
    taken = [c.name for c in table.columns] + [n for v in columns.values() if isinstance(v, dict) for n in v]
    if twice := sorted({name for name in taken if taken.count(name) > 1}):
        raise WorkbenchError(f"{where}: {named(twice)} would be the name of two columns. Rename it inside the map.")
    return columns


def _map(raw: Any, column: schema.Column, missing: tuple, where: str) -> dict[str, Value]:
    if isinstance(raw, dict) and set(raw) == {"from"} and isinstance(raw["from"], list):
        raw = raw["from"]
    if isinstance(raw, list) and raw and all(isinstance(name, str) for name in raw):
        raw = {name: name for name in raw}
    if not isinstance(raw, dict) or not raw:
        raise WorkbenchError(f'{where} holds values by name. Give ["column", …] or {{ name = "column", … }}.')
    return {name: _value(value, column, missing, f"{where}.{name}") for name, value in raw.items()}


def _value(raw: Any, column: schema.Column, missing: tuple, where: str) -> Value:
    raw = {"from": raw} if isinstance(raw, str) else raw
    if not isinstance(raw, dict):
        raise WorkbenchError(f'{where} is {raw!r}. Give the name of a column, or an inline table {{ from = "…" }}.')
    _check_keys(raw, VALUE_KEYS, where)
    origins = [key for key in ORIGINS if key in raw]
    if len(origins) != 1:
        raise WorkbenchError(f"{where} needs exactly one of {named(ORIGINS)}; it has {named(origins)}.")
    values = raw.get("values")
    if values is not None and not (isinstance(values, dict) and values):
        raise WorkbenchError(f'{where}: values must be a table such as {{ "男" = "male" }}.')
    if values is not None and "" in values.values():
        raise WorkbenchError(f"{where}: values turns a text into nothing. List that text under missing instead.")
    scale = raw.get("scale")
    if scale is not None and (isinstance(scale, bool) or not isinstance(scale, int | float) or not scale):
        raise WorkbenchError(f"{where}: scale must be a number other than 0, not {scale!r}.")
    counted, dated = ("integer", "double", "numbers"), ("date", "timestamp")
    for key, types in (("scale", counted), ("number", counted), ("format", dated)):
        if key in raw and column.type not in types:
            raise WorkbenchError(f"{where} is a {column.type}; {key} is for {named(types)}. Remove it.")
    if (number := _text(raw, "number", where, None)) not in (None, *NUMBERS):
        raise unknown("number", number, NUMBERS, where)
    kind = raw.get("pseudonym")
    if isinstance(kind, str) and kind not in KINDS:
        raise unknown("pseudonym", kind, KINDS, where)
    raw = raw | {"pseudonym": True} if isinstance(kind, str) else raw
    value = Value(
        column=_text(raw, "from", where, None), constant=_plain(raw["constant"], where) if "constant" in raw else None,
        template=_text(raw, "template", where, None), row_number=_flag(raw, "row_number", where) is True,
        values={k: _plain(v, where) for k, v in values.items()} if values else None,
        format=_text(raw, "format", where, None), number=number, scale=scale,
        missing=_missing(raw, where, missing), pseudonym=_flag(raw, "pseudonym", where),
        kind=kind if isinstance(kind, str) else column.holds,
    )  # fmt: skip
    _check_pseudonym(value, column, where)
    if value.template is not None and not value.sources():
        raise WorkbenchError(f"{where}: template names no column. Write them in braces, or use constant.")
    return value


def _check_pseudonym(value: Value, column: schema.Column, where: str) -> None:
    if value.pseudonym and (column.type != "text" or value.column is None):
        raise WorkbenchError(f"{where}: pseudonym is for a text that comes from one column. Remove it.")
    if value.pseudonym is None and column.name.endswith("_key") and value.column is not None:
        raise WorkbenchError(
            f"{where} holds pseudonyms. Say pseudonym = true if the file has the clear number or name, "
            "pseudonym = false if it already has pseudonyms."
        )


def _rows(raw: list[dict], where: str) -> dict[str, tuple[dict[str, str], ...]]:
    rows: dict[str, list[dict[str, str]]] = {}
    for number, row in enumerate(raw, 1):
        place = f"{where}, [[rows]] {number}"
        table = _table(row, place)
        cells = {name: cell for name, cell in row.items() if name != "table"}
        if maps := [name for name in cells if table.column(name).is_map]:
            raise WorkbenchError(f"{place}: {named(maps)} holds values by name; it can come from a file only.")
        rows.setdefault(table.name, []).append({name: _plain(cell, place) for name, cell in cells.items()})
    return {name: tuple(cells) for name, cells in rows.items()}


def _table(raw: dict, where: str) -> schema.Table:
    name = _text(raw, "table", where)
    try:
        return schema.table(name)
    except WorkbenchError as error:
        raise WorkbenchError(f"{where}: {error}") from None


def _check_keys(raw: dict, known: tuple[str, ...], where: str) -> None:
    for key in raw:
        if key not in known:
            raise WorkbenchError(f"{where} has an unknown key '{key}'.{nearest(key, known)} There are: {named(known)}.")


def _plain(cell: Any, where: str) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, str | int | float):
        return str(cell)
    if isinstance(cell, date):
        return cell.isoformat(" ") if isinstance(cell, datetime) else cell.isoformat()
    raise WorkbenchError(f"{where}: {cell!r} is neither text, number, true/false nor date.")


_REQUIRED: Any = object()


def _text(raw: dict, key: str, where: str, default: Any = _REQUIRED) -> Any:
    value = raw.get(key, default)
    if value is _REQUIRED:
        raise WorkbenchError(f"{where} lacks '{key}'. Add {key} = \"…\"; docs/mappings.md says what it means.")
    if key in raw and not isinstance(value, str):
        raise WorkbenchError(f"{where}: {key} must be a text in quotes, not {value!r}.")
    return value


def _flag(raw: dict, key: str, where: str) -> bool | None:
    if key in raw and not isinstance(raw[key], bool):
        raise WorkbenchError(f"{where}: {key} must be true or false, not {raw[key]!r}.")
    return raw.get(key)


def _texts(raw: dict, key: str, where: str, default: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_list(raw, key, str, where)) if key in raw else default


def _missing(raw: dict, where: str, default: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("", *_texts(raw, "missing", where, default))))


def _list(raw: dict, key: str, kind: type, where: str) -> list:
    value = raw.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        raise WorkbenchError(
            f"{where}: {key} must be a list of {'texts' if kind is str else '[[' + key + ']] blocks'}."
        )
    return value
