"""How is a customer forgotten? Left out of the warehouse, its older versions, repairs and lists; the rest is named."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import WorkbenchError
from workbench.locks import whole
from workbench.messages import Term
from workbench.personal import for_me_alone
from workbench.reports.page.lists import write_list
from workbench.reports.privacy.search import OUTPUTS, log, texts
from workbench.warehouse import schema
from workbench.warehouse.connect import Warehouse, mapping_file, warehouse_folder
from workbench.warehouse.identities import united_with
from workbench.warehouse.ingest import ingest
from workbench.warehouse.ingest.blocks import Mapping, Origin
from workbench.warehouse.ingest.decided import or_as_before, without
from workbench.warehouse.ingest.forgotten import Forgotten
from workbench.warehouse.ingest.mapping import read_mapping
from workbench.warehouse.ingest.repairs import WAS, repairs_folder
from workbench.warehouse.opened import open_warehouse
from workbench.warehouse.pseudonyms import read_key
from workbench.warehouse.texts import one_width
from workbench.warehouse.versions import keep_only, one_writer

_SHARED = (
    "name_key",
    "counterpart_key",
    "tariff_id",
    "product_id",
    "campaign_id",
    "address_key",
    "payer_key",
    "household_id",
    "group_id",
)
_PATIENCE = 60.0  # seconds for which a run may hold the ledger
_SHORTEST = 6  # signs of an identifier that a text can be searched for


@dataclass(frozen=True)
class Gone:
    """What was done to forget a customer."""

    version: str  # the one in force, which lacks them
    rows: int  # that stood in the tables of the version before
    repaired: tuple[str, ...]  # files out of which their rows were taken
    lists: tuple[str, ...]  # also their own page, and what the ledger of runs said of it
    naming: tuple[str, ...]  # files that still name them: reports to be rendered again, and what was made by hand
    held: tuple[str, ...]  # versions that a run still reads
    ledger: str = ""  # why the ledger of runs may name them still


def forget(
    source: str, number: str, root: Path, *, raw: Path | None = None, progress: Callable[[str], None] | None = None
) -> Gone:
    """Forget a customer: leave them out of a new version, remove the older ones, and mend repairs and lists.

    Parameters
    ----------
    number : str
        The customer's number as the source writes it, or as the warehouse has it.
    raw : Path, optional
        Folder of the extracts, by default `data/raw/SOURCE`.
    progress : callable, optional
        Called with a line of text after each file of the ingest.

    Raises
    ------
    WorkbenchError
        If the source knows no such customer, or its extracts or its key are not here: nothing is changed then.
    """
    warehouse = open_warehouse(source, root=root)
    mapping = read_mapping(mapping_file(source, root))
    forms = _forms(mapping, number.strip(), warehouse, root)
    forms |= (ones := set(united_with(warehouse, forms)))
    rows, theirs = _theirs(warehouse, forms, Forgotten(source, root))
    theirs["customer_id"] |= ones
    forgotten, repairs = Forgotten(source, root).path, _repairs(mapping, root, forms)
    before = forgotten.read_bytes() if forgotten.is_file() else None
    kept = {path: path.read_bytes() for path in repairs}
    try:
        for customer in theirs["customer_id"]:
            Forgotten(source, root).add(customer)
        for path, lines in repairs.items():
            _rewrite(path, lines)
        with or_as_before(source, root):
            decided = without(source, root, "customer_id", theirs["customer_id"])
            account = ingest(source, raw=raw, root=root, progress=progress)
    except BaseException:
        forgotten.unlink(missing_ok=True)
        for path, content in (kept if before is None else kept | {forgotten: before}).items():
            for_me_alone(path)
            path.write_bytes(content)
        raise
    folder = warehouse_folder(source, root)
    with one_writer(folder):
        held = keep_only(folder, account.version)
    pages, why = _pages(root, source, forms | theirs["customer_id"])
    lists = _lists(root, theirs) + pages
    naming = _naming(root, forms.union(*theirs.values()))
    log(root, "forget", source, account.version, 1)
    mended = tuple(path.relative_to(root).as_posix() for path in (*repairs, *decided))
    return Gone(account.version, rows, mended, tuple(lists), tuple(naming), tuple(held), why)


def _forms(mapping: Mapping, number: str, warehouse: Warehouse, root: Path) -> set[str]:
    """A customer's number as given, in one width, and as the mapping hides it."""
    forms = {number, *one_width(pa.chunked_array([[number]])).to_pylist()}
    for value in _numbers(mapping):
        if value.pseudonym:
            key = read_key(root)
            if key.fingerprint != warehouse.key_fingerprint:
                raise WorkbenchError("the key here is not that of the warehouse. Use the one it was made with.")
            forms |= set(key.of(pa.chunked_array([[number]]), value.missing, value.kind).to_pylist()) - {None}
    return forms


def _numbers(mapping: Mapping) -> list[Origin]:
    """Where customers' numbers come from."""
    origins = (block.columns.get("customer_id") for block in mapping.files)
    return [value for value in origins if isinstance(value, Origin) and value.column is not None]


def _theirs(warehouse: Warehouse, forms: set[str], forgotten: Forgotten) -> tuple[int, dict[str, set[str]]]:
    """How many rows a customer has, and by column the identifiers that are theirs alone, in all versions kept."""
    rows, here, theirs = 0, set[str](), dict[str, set[str]]()
    for place in (file.parent for file in warehouse.place.parent.glob("[!.]*/warehouse.duckdb")):
        version = replace(warehouse, version=place.name, place=place)
        for table in schema.tables().values():
            own = [c.name for c in table.columns if _is_own(c)]
            if "customer_id" not in own:
                continue
            query = f"SELECT {', '.join(own)} FROM {table.name} WHERE customer_id IN (SELECT unnest(?))"
            found = version.query(query, [sorted(forms)])
            if place == warehouse.place:
                rows, here = rows + len(found), here | set(found["customer_id"])
            for name in own:
                theirs.setdefault(name, set()).update(map(str, found[name].dropna()))
    if not theirs["customer_id"]:  # a second time, for what a run had held
        theirs["customer_id"] = {form for form, known in zip(forms, forgotten.named(forms), strict=False) if known}
    if not theirs["customer_id"] or len(here) > 1:
        raise WorkbenchError(
            "the warehouse of '{source}' knows {whom}. Give it as the source writes it, or as the warehouse has it (a "
            "pseudonym where the mapping hides it)."
        ).of(warehouse.source, Term("several customers of that number" if here else "no customers of that number"))
    return rows, theirs


def _is_own(column: schema.Column) -> bool:
    """Whether a column's values tell the customer: not a product's or campaign's name, nor the other end of a call."""
    shared = column.relationships and column.relationships[0] not in ("customer", "subscription", "bill")
    return column.is_identifier and not shared and column.name not in _SHARED


def _repairs(mapping: Mapping, root: Path, forms: set[str]) -> dict[Path, list[list[str]]]:
    """The files of mended records that name them, each with the lines that are to stay."""
    found, numbers = {}, {value.column for value in _numbers(mapping)}
    for path in sorted(repairs_folder(mapping.source, root).glob("*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.reader(stream))
        at = [i for i, name in enumerate(lines[0]) if name in numbers] if lines else []
        was = [i for i, name in enumerate(lines[0]) if name == WAS] if lines else []  # the record before it was mended
        texts = [{line[i].strip() for i in at if i < len(line)} for line in lines]
        for i in was:
            records = (json.loads(line[i]) for line in lines[1:])
            texts[1:] = [{*t, *map(record.get, numbers)} for t, record in zip(texts[1:], records, strict=True)]
        stay = [line for line, named in zip(lines, texts, strict=True) if not forms & named]
        if len(stay) < len(lines):
            found[path] = stay
    return found


def _rewrite(path: Path, lines: Iterable[list[str]]) -> None:
    with whole(path) as aside:
        for_me_alone(aside)
        with aside.open("w", encoding="utf-8-sig", newline="") as stream:
            csv.writer(stream).writerows(lines)


def _lists(root: Path, theirs: dict[str, set[str]]) -> list[str]:
    """Take a customer out of the action lists, all forms of each; one without others goes."""
    changed = []
    for path in sorted((root / "reports").rglob("*.list.parquet")):
        table = pq.read_table(path)
        frame = table.to_pandas()
        own = [frame[name].astype(str).isin(theirs[name]) for name in frame.columns if name in theirs]
        gone = np.logical_or.reduce(own) if own else np.zeros(len(frame), bool)
        if not gone.any():
            continue
        ours = json.loads((table.schema.metadata or {})[b"workbench"])
        if gone.all():
            for other in path.parent.glob(f"{path.name.removesuffix('parquet')}*"):
                other.unlink()
        else:
            write_list(frame[~gone], path.parent, name=ours.pop("list"), **ours)
        changed.append(path.relative_to(root).as_posix())
    return changed


def _pages(root: Path, source: str, numbers: set[str]) -> tuple[list[str], str]:
    """Remove the page of one customer, and take it out of the ledger of runs; say why that could not be done.

    A run may hold the ledger: the pages are gone then, and a second time takes out of the ledger what it says of them.
    """
    ledger, gone, both = root / "reports" / "runs" / "ledger.sqlite", dict[tuple[str, str], str](), ("slot", "history")
    if not ledger.is_file():
        return [], ""
    with closing(sqlite3.connect(ledger, timeout=_PATIENCE, isolation_level=None)) as con:
        try:
            asked = " UNION ".join(f"SELECT study, slot, parameters FROM {table}" for table in both)
            for study, slot, said in con.execute(asked).fetchall():
                of = json.loads(said)
                if of.get("source") == source and of.get("customer") and of["customer"] in numbers:
                    shutil.rmtree(root / "reports" / "site" / study / slot, ignore_errors=True)
                    gone[study, slot] = f"reports/site/{study}/{slot}"
            con.execute("BEGIN IMMEDIATE")
            for table in both:
                con.executemany(f"DELETE FROM {table} WHERE study = ? AND slot = ?", gone)
            con.execute("COMMIT")
            con.execute("VACUUM")  # what is deleted stays in the file until it is written anew
            busy, *_ = con.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            why = "database is locked" if busy else ""
        except sqlite3.Error as error:
            why = str(error)
    return sorted(gone.values()), why


def _naming(root: Path, theirs: set[str]) -> list[str]:
    """What else holds one of some identifiers, those long enough to be told from other words: reports, and files."""
    words = "|".join(re.escape(text) for text in sorted(theirs) if len(text) >= _SHORTEST)
    if not words:
        return []
    known, found = re.compile(rf"(?<![0-9A-Za-z])(?:{words})(?![0-9A-Za-z])"), dict[str, None]()
    for path in sorted(path for name in OUTPUTS for path in (root / name).rglob("*") if path.is_file()):
        if any(map(known.search, texts(path))):
            report = path.parent if (path.parent / "manifest.json").is_file() else path
            found[report.relative_to(root).as_posix()] = None
    return list(found)
