"""Does an identifier stand anywhere in clear? And whose is a pseudonym? Both are answered from the raw extracts."""

from __future__ import annotations

import csv
import datetime as dt
import getpass
import gzip
import io
import os
import re
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.errors import WorkbenchError
from workbench.personal import for_me_alone, masked, personal
from workbench.reports.handoff.scan import places
from workbench.warehouse.connect import mapping_file, warehouse_folder
from workbench.warehouse.ingest.blocks import FileBlock, Origin
from workbench.warehouse.ingest.mapping import read_mapping
from workbench.warehouse.ingest.read import batches, raw_files
from workbench.warehouse.opened import open_warehouse
from workbench.warehouse.pseudonyms import read_key
from workbench.warehouse.sql import quoted
from workbench.warehouse.texts import one_form

OUTPUTS = ("reports", "dist", "data/repairs", "data/models")
"""Folders of a project that hold what was made of data, logs among it, beside the warehouse."""
_WORDS = re.compile(r"[0-9]+|[A-Za-z]+|[\u3400-\u9fff·]+")
_PDF, _PICTURES = ".pdf", (".png", ".jpg", ".jpeg")
_DAMAGED = (ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile, ElementTree.ParseError)
_LOG = ("when", "who", "what", "source", "version", "customers", "why")


@dataclass(frozen=True)
class Found:
    """What a search found: by file and kind how often; how many files were not looked into, those in archives too.

    What the columns in `unknown` hide was not looked for: no raw file has them, but a server, or a step makes them.
    """

    finds: dict[tuple[str, str], int]
    searched: int
    pdfs: int
    pictures: int
    unknown: tuple[str, ...]


def log(root: Path, what: str, source: str, version: str, customers: int, why: str = "") -> None:
    """Write a line into `data/private/log.csv`: who did what, and of how many customers, but never of whom."""
    path = root / "data" / "private" / "log.csv"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = not path.exists()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        if new:
            writer.writerow(_LOG)
        now = dt.datetime.now().astimezone().isoformat(" ", "seconds")
        writer.writerow([now, _who(), what, source, version, customers, masked(why)[0]])


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user without a name, as in a container
        return str(getattr(os, "getuid", lambda: "unknown")())


def hidden(source: str, root: Path) -> Iterator[tuple[str, Origin, pa.ChunkedArray]]:
    """Give, batch by batch, each column of the extracts that a mapping hides: canonical name, origin, clear texts."""
    mapping = read_mapping(mapping_file(source, root))
    for block, files in raw_files(mapping, root / "data" / "raw" / source)[0]:
        readers = [block, *(one for one in mapping.files if one.prepared and one.path == block.table.name)]
        columns = [(name, value) for one in readers for name, value in _pseudonyms(one)]
        for batch in (batch for path in files if columns for batch in batches(path, block)):
            for name, value in columns:
                if value.column in batch.columns.column_names:
                    yield name, value, pc.unique(batch.columns.column(value.column))


def _pseudonyms(block: FileBlock) -> list[tuple[str, Origin]]:
    return [(name, v) for name, v in block.columns.items() if isinstance(v, Origin) and v.pseudonym]


def scan(source: str, root: Path) -> Found:
    """Look for clear identifiers in every kept version of a warehouse, in reports, lists, bundles, repairs and logs.

    Looked for are the numbers and names that the mapping hides (numbers of at least 7 digits; names of at least two
    signs, as a whole cell or a whole run of Chinese or Latin letters), and what `personal` tells by its form. Pictures
    and PDF files are counted, not searched.
    """
    hashes, columns = _clear(source, root)
    clear = np.fromiter(hashes, np.int64)
    blocks = read_mapping(mapping_file(source, root)).files
    unknown = {
        f"{b.table.name}.{name}" for b in blocks for name, value in _pseudonyms(b) if value.column not in columns
    }
    finds: dict[tuple[str, str], int] = {}
    searched, unread = 0, Counter[str]()
    for path in sorted(_files(source, root)):
        unread.update(_closed(path))
        if path.suffix in (_PDF, *_PICTURES):
            continue
        searched += 1
        seen: dict[str, None] = {}
        name = path.relative_to(root).as_posix()
        for text in texts(path):
            seen |= dict.fromkeys((text.strip(), *_WORDS.findall(text)))
            for kind in personal(text):
                finds[name, f"what looks like {kind}"] = finds.get((name, f"what looks like {kind}"), 0) + 1
        known = np.fromiter((hash(word) for word in seen), np.int64, len(seen))
        if number := int(np.isin(known, clear).sum()):
            finds[name, "a number or name that the mapping hides"] = number
    return Found(finds, searched, unread[_PDF], unread.total() - unread[_PDF], tuple(sorted(unknown)))


def _closed(path: Path) -> list[str]:
    """The endings of the PDF files and pictures that a file is, or holds."""
    names = [path.name]
    if path.suffix == ".zip" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    return [end for name in names if (end := Path(name).suffix) in (_PDF, *_PICTURES)]


def _clear(source: str, root: Path) -> tuple[set[int], set[str]]:
    """Hashes of the clear texts, as they are written and in their one form, many millions perhaps; their columns."""
    seen, clear, known = set[int](), set[int](), set[str]()
    for _, value, found in hidden(source, root):
        known.add(str(value.column))
        for text in found.to_pylist():
            if text and hash(text) not in seen and text not in value.missing:
                seen.add(hash(text))
                forms = {text, one_form(text, value.kind)}
                clear |= {hash(form) for form in forms if len(form) >= (7 if form.isdigit() else 2)}
    return clear, known


def _files(source: str, root: Path) -> Iterator[Path]:
    folders = [warehouse_folder(source, root), *(root / name for name in OUTPUTS)]
    yield from (path for folder in folders for path in folder.rglob("*") if path.is_file())
    yield from (path for path in [root / "data" / "private" / "log.csv"] if path.is_file())


def texts(path: Path) -> Iterator[str]:
    """Give the texts of a file: cells of tables, values of JSON, lines; of a damaged one its bytes as they are.

    Raises
    ------
    WorkbenchError
        If a warehouse's file can't be read.
    """
    if path.suffix != ".duckdb":
        content = path.read_bytes()
        try:
            yield from _texts(path.name, content)
        except _DAMAGED:
            yield content.decode("utf-8", errors="replace")
        return
    try:
        with duckdb.connect(str(path), read_only=True) as con:
            columns = con.execute(
                "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND data_type LIKE '%VARCHAR%'"
            ).fetchall()
            for table, column in columns:
                cells = con.execute(f"SELECT DISTINCT CAST({quoted(column)} AS VARCHAR) FROM {quoted(table)}")
                yield from (cell for (cell,) in cells.fetchall() if cell)
    except duckdb.Error as error:
        raise WorkbenchError("{path} can't be read, so that nobody knows what is in it: {error}. Delete it.").of(
            path, error
        ) from None


def _texts(name: str, content: bytes) -> Iterator[str]:
    if name.endswith(".parquet"):
        table = pq.read_table(pa.BufferReader(content))
        for column in (c for c in table.columns if pa.types.is_string(c.type) or pa.types.is_large_string(c.type)):
            yield from filter(None, pc.unique(column).to_pylist())
        yield str(table.schema.metadata or "")
    elif name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for inner in archive.namelist():
                if not inner.endswith((_PDF, *_PICTURES)) and not inner.startswith("code/"):
                    yield from _texts(inner, archive.read(inner))
    elif name.endswith((".gz", ".svgz")):
        yield from _texts(re.sub(r"\.gz$|z$", "", name), gzip.decompress(content))
    else:
        yield from (unicodedata.normalize("NFKC", text) for _, text in places(name, content))


def reidentify(source: str, pseudonyms: Iterable[str], out: Path, root: Path, *, why: str) -> int:
    """Write what pseudonyms stand for into a file that its owner alone may read; needs key and extracts, and is logged.

    Returns
    -------
    int
        How many were found.

    Raises
    ------
    WorkbenchError
        If no reason is given, a text is no pseudonym, or the key is not that of the warehouse.
    """
    wanted = {text.strip() for text in pseudonyms} - {""}
    if not why.strip():
        raise WorkbenchError("say why people are to be known by name again: --why TEXT. It is written into the log.")
    if not wanted or any(not re.fullmatch("[0-9a-f]{20}", text) for text in wanted):
        raise WorkbenchError("give the pseudonyms, one a line: 20 digits from 0 to f each.")
    warehouse, key = open_warehouse(source, root=root), read_key(root)
    if warehouse.key_fingerprint != key.fingerprint:
        raise WorkbenchError(
            "the key here is not that of the pseudonyms of '{source}'. Use the one they were made with."
        ).of(source)
    log(root, "reidentify", source, warehouse.version, len(wanted), why)
    array, found = pa.array(sorted(wanted)), dict[str, tuple[str, str]]()
    for name, value, clear in hidden(source, root):
        keyed = key.of(pa.chunked_array([clear]), value.missing, value.kind).combine_chunks()
        which = pc.is_in(keyed, array)
        for pseudonym, text in zip(keyed.filter(which).to_pylist(), clear.filter(which).to_pylist(), strict=True):
            found.setdefault(pseudonym, (name, text))
    for_me_alone(out)
    with out.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["pseudonym", "column", "clear"])
        writer.writerows([pseudonym, *found[pseudonym]] for pseudonym in sorted(found))
    return len(found)
