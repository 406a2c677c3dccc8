"""Which records does a file of JSON lines have? One object a line; numbers keep their digits."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from workbench.errors import WorkbenchError
from workbench.warehouse.ingest.blocks import FileBlock
from workbench.warehouse.ingest.decode import stretches
from workbench.warehouse.ingest.lines import LONGEST_LINE, Batch, Names
from workbench.warehouse.texts import trimmed


def json_batches(path: Path, block: FileBlock, check_names: Callable[[Names], object]) -> Iterator[Batch]:
    """Give the records of a file of JSON lines. A key that an object lacks has no value there.

    Raises
    ------
    WorkbenchError
        If the file is empty or in another encoding, or `check_names` refuses the keys that a stretch of
        it has.
    """
    names: dict[str, None] = {}
    number = 0
    for stretch in stretches(path, block.encoding):
        good: list[dict[str, str | None]] = []
        places: list[tuple[int, int]] = []
        bad: list[tuple[int, int, str, str]] = []
        known = len(names)
        for line, data in enumerate(io.BytesIO(stretch.data), stretch.line):
            number += 1
            reason = stretch.unfit.get(line, "")
            try:
                record = {} if reason else _record(data)
            except ValueError as error:
                reason = str(error)
            if reason:
                bad.append((line, number, reason, data[:10_000].decode("utf-8", "ignore").rstrip("\r\n")))
                continue
            names |= dict.fromkeys(record)
            good.append(record)
            places.append((line, number))
        if len(names) > known:
            check_names(tuple(names))
        columns = trimmed(pa.table({n: pa.array([r.get(n) for r in good], pa.string()) for n in block.sources()}))
        yield Batch.of(columns, [line for line, _ in places], [at for _, at in places], bad)
    if not number:
        raise WorkbenchError("{path} is empty. Deliver it again, or take its [[file]] block out of the mapping.").of(
            path
        )


def _record(data: bytes) -> dict[str, str | None]:
    """The texts of one object; the error says why a line is none."""
    if not data.strip():
        raise ValueError("the line is empty")
    if len(data) > LONGEST_LINE:
        raise ValueError("the record has more than 1 MB")
    try:
        pairs = json.loads(data, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=list)
    except (ValueError, RecursionError):
        raise ValueError("the line is no JSON") from None
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        raise ValueError("the line is no object")
    record = {name: _text(name, value) for name, value in pairs}
    if len(record) < len(pairs):
        raise ValueError("the object has a key twice")
    return record


def _text(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            (name + value).encode()
        except UnicodeEncodeError:
            raise ValueError(f"'{name.encode('ascii', 'replace').decode()}' holds half a character") from None
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    raise ValueError(f"'{name}' holds a list or an object")
