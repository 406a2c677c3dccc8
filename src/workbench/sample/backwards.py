"""How would a department deliver this? The mapping that reads a source, run backwards: canonical columns become raw.

Where several raw texts mean one canonical value, the first that the mapping lists is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from workbench.errors import WorkbenchError
from workbench.warehouse.ingest.blocks import PLACEHOLDER, FileBlock, Origin


def origins(block: FileBlock) -> dict[str, Origin]:
    """Where each canonical value comes from; those inside a map are named "items.SA1"."""
    found: dict[str, Origin] = {}
    for name, value in block.columns.items():
        found |= {f"{name}.{entry}": v for entry, v in value.items()} if isinstance(value, dict) else {name: value}
    return found


def block_of(blocks: Iterable[FileBlock], table: str, columns: Mapping[str, object]) -> FileBlock | None:
    """Which block reads such rows? The one that takes most of their columns, among those whose constants they have.

    `columns` are named as by `origins`; a text stands for a column that has it in every row.
    """

    def agrees(name: str, value: Origin) -> bool:
        given = columns.get(name)
        return value.constant is None or not isinstance(given, str) or given == value.constant

    fits = [b for b in blocks if b.table.name == table and all(agrees(*origin) for origin in origins(b).items())]
    return max(fits, key=lambda block: len(origins(block).keys() & columns.keys()), default=None)


def delivered(block: FileBlock, columns: Mapping[str, Any]) -> pa.Table:
    """Turn canonical columns, named as by `origins`, into the file's columns, in the order of the mapping.

    Columns that the block does not read are not delivered; columns that it ignores are delivered empty. Identifiers
    may be numbers, and texts and flags coded (a dictionary of words, "true" and "false").

    Raises
    ------
    WorkbenchError
        If the block reads a column that is not given, or one holds a value that the mapping cannot have read.
    """
    rows = max(len(column) for column in columns.values() if not isinstance(column, str))
    raw: dict[str, object] = {}
    for name, value in origins(block).items():
        if not value.sources():
            continue
        if name not in columns:
            raise WorkbenchError("{path} has no values for {name}, which the mapping reads. Remove it there.").of(
                block.path, name
            )
        column = columns[name]
        column = pa.repeat(column, rows) if isinstance(column, str) else column
        column = column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column)
        raw = _sources(block, name, value, column) | raw
    raw |= {name: pa.nulls(rows, pa.string()) for name in block.ignore}
    order = block.names or (*block.sources(), *block.ignore)
    return pa.table({name: raw[name] for name in order})


def _sources(block: FileBlock, name: str, value: Origin, column: pa.Array | pa.ChunkedArray) -> dict[str, object]:
    where = f"{block.path}, {name}"
    if words := value.values:
        column = _each(column, lambda part: _codes(part, words, where))
    if form := value.format:
        column = _each(column, lambda part: _written(part, form))
    if value.scale:
        column = pc.round(pc.divide(column, value.scale), 6)
        if block.format != "parquet" and pc.all(pc.equal(pc.round(column), column)).as_py():
            column = column.cast(pa.int64())
    if value.template is not None:
        return _parts(column, value.template, where)
    assert value.column is not None, "constants and row numbers were left out"
    return {value.column: column}


def _each(column: pa.Array | pa.ChunkedArray, change: Callable[[pa.Array], pa.Array]) -> pa.Array | pa.ChunkedArray:
    """Change an array, or each chunk: chunks share no dictionary."""
    return pa.chunked_array(map(change, column.chunks)) if isinstance(column, pa.ChunkedArray) else change(column)


def _codes(column: pa.Array, values: Mapping[str, str], where: str) -> pa.Array:
    """The texts that the mapping translates to the words of a column.

    >>> _codes(pa.array([True, None]), {"是": "true", "否": "false"}, "").to_pylist()
    ['是', None]
    """
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    back = {word: code for code, word in reversed(list(values.items()))}
    words = column.dictionary.to_pylist()
    if strange := [at for at, word in enumerate(words) if word not in back]:
        used = pc.is_in(column.indices, pa.array(strange, column.indices.type))
        if pc.any(used).as_py():
            raise WorkbenchError("values has no text for {names}. Add it.").of([words[at] for at in strange], at=where)
    codes = pa.array([back.get(word) for word in words], pa.string())
    return pa.DictionaryArray.from_arrays(column.indices, codes)


def _written(column: pa.Array, form: str) -> pa.Array:
    """Dates as text; each day is formatted once."""
    coded = column.dictionary_encode()
    days = coded.dictionary.cast(pa.timestamp("s"))
    return pa.DictionaryArray.from_arrays(coded.indices, pc.strftime(days, form))


def _parts(column: pa.Array | pa.ChunkedArray, template: str, where: str) -> dict[str, pa.Array]:
    """The columns that a template joins.

    >>> {name: part.to_pylist() for name, part in _parts(pa.array(["a-1"]), "{x}-{y}", "").items()}
    {'x': ['a'], 'y': ['1']}
    """
    texts = column.cast(pa.string())
    fixed = PLACEHOLDER.sub("\0", template).split("\0")
    pattern = "".join(f"{re.escape(text)}(?P<p{k}>.+?)" for k, text in enumerate(fixed[:-1]))
    found = pc.extract_regex(texts, f"^{pattern}{re.escape(fixed[-1])}$")
    if found.null_count > texts.null_count:
        raise WorkbenchError("template '{template}' does not fit every value. Read one column instead.").of(
            template, at=where
        )
    return {name: pc.struct_field(found, k) for k, name in enumerate(PLACEHOLDER.findall(template))}
