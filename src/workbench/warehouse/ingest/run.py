"""How do raw extracts become a warehouse? Read, check, account for every record, publish."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from workbench.errors import WorkbenchError
from workbench.messages import say
from workbench.project import as_path, folder_of
from workbench.warehouse import schema
from workbench.warehouse.account import Account
from workbench.warehouse.connect import Warehouse, live_mapping, mapping_file, open_version, warehouse_folder
from workbench.warehouse.digests import write_digests
from workbench.warehouse.features import STORED
from workbench.warehouse.ingest.archives import archive_of, inside, on_disk
from workbench.warehouse.ingest.blocks import FileBlock, Mapping
from workbench.warehouse.ingest.build import Build
from workbench.warehouse.ingest.databases import fetch
from workbench.warehouse.ingest.decided import Decided
from workbench.warehouse.ingest.forgotten import Forgotten
from workbench.warehouse.ingest.known import Looks
from workbench.warehouse.ingest.mapping import read_mapping
from workbench.warehouse.ingest.parts import Parts
from workbench.warehouse.ingest.prepare import results
from workbench.warehouse.ingest.read import raw_files, readable
from workbench.warehouse.ingest.reading import format_of
from workbench.warehouse.ingest.records import RawFile
from workbench.warehouse.ingest.repairs import Repairs
from workbench.warehouse.opened import open_warehouse
from workbench.warehouse.pseudonyms import Pseudonyms, read_key
from workbench.warehouse.versions import BUILDING, building, one_writer, publish, put_in_force, versions_in_force

# What a warehouse's content depends on, besides files, mapping and key: of this room all but what a part does not see.
ALTOGETHER = (
    "stored.py",
    "ingest/known.py",
    "ingest/months.py",
    "ingest/warned.py",
    "ingest/identity.py",
    "ingest/identity_rules.py",
    "ingest/decided.py",
    *(f"features/partial/{name}.sql" for name in STORED),
)
_PARTLY = ("__init__.py", "run.py", *(Path(name).name for name in ALTOGETHER))
PROGRAM = (
    "schema.toml",
    "rules.toml",
    "rulebook.py",
    "pseudonyms.py",
    "texts.py",
    "clear.py",
    "sandbox.py",
    "keys.py",
    "credentials.py",
    "../personal.py",
    *sorted(f"ingest/{file.name}" for file in Path(__file__).parent.glob("*.py") if file.name not in _PARTLY),
)


def ingest(
    source: str,
    *,
    raw: Path | str | None = None,
    root: Path | str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Account:
    """Build a version of a source's warehouse out of its raw extracts, and put it in force.

    Parameters
    ----------
    source : str
        Name of the mapping `data/mappings/SOURCE.toml`.
    raw : Path or str, optional
        Folder of the raw extracts, by default `data/raw/SOURCE`; or a file, for a mapping that reads one alone.
    root : Path or str, optional
        Folder of the project, by default found from the working directory.
    progress : callable, optional
        Called with a line of text after each file.

    Returns
    -------
    Account
        Where every record went. Where nothing has changed, the account of the version in force.

    Raises
    ------
    WorkbenchError
        If mapping, files, encoding, key or disk do not allow it. The version in force stays as it was.
    """
    root = folder_of(root)
    if live_mapping(source, root) is not None:
        raise WorkbenchError("'{source}' is read where it stands (engine): nothing is to be ingested.").of(source)
    mapping, raw = _of_file(read_mapping(mapping_file(source, root)), raw, root / "data" / "raw" / source)
    found, passed = raw_files(mapping, raw)
    hidden = any(value.pseudonym for block in mapping.files for value in block.values())
    pseudonyms = read_key(root) if hidden else None
    folder = warehouse_folder(source, root)
    with _disk(folder), one_writer(folder), _fetched(mapping, folder, root) as fetched:
        before = versions_in_force(folder)
        known = Looks(folder / name for name in before)
        files, twice = _without_copies([*_raw_files(found, raw, known), *fetched])
        repairs = Repairs(source, root)
        all_read = [*files, *results(mapping, files)]
        repairs.check({file.name: file.digest for file in all_read}, [(file.name, file.block) for file in all_read])
        forgotten, decided = Forgotten(source, root), Decided(source, root)
        apart = repairs.digest + forgotten.digest + decided.digest
        version = _version(mapping, files, pseudonyms, apart)
        if version in before:
            if version != before[0]:
                put_in_force(folder, version)
            with suppress(WorkbenchError):  # one that is damaged is built again
                return open_warehouse(source, root=root).full_account(changed=False)
        passed += twice + _unread(mapping, {path for _, paths in found for path in paths}, raw, passed)
        notes = passed + _other_key(source, root, before, pseudonyms, known)
        with building(folder, version) as place:
            parts = Parts(place, [folder / name for name in before], _program())
            given = (mapping, files, pseudonyms, repairs, forgotten, decided, known)
            records = Build(*given, place, version, progress or _silent, parts).run(notes)
            _check_unchanged(files)
            write_digests(place, records)
            publish(place, version)
    return open_warehouse(source, root=root).full_account()


@contextmanager
def tried(file: Path, *, raw: Path | str | None = None, root: Path | str | None = None) -> Iterator[Warehouse]:
    """Build what a mapping would make, for as long as it is looked at; nothing of it is published, no key is read.

    Parameters
    ----------
    file : Path
        The mapping, wherever it stands.
    raw, root : Path or str, optional
        As for `ingest`.

    Raises
    ------
    WorkbenchError
        As `ingest` does.
    """
    root = folder_of(root)
    mapping, raw = _of_file(read_mapping(file), raw, root / "data" / "raw" / file.stem)
    found, passed = raw_files(mapping, raw)
    with (
        tempfile.TemporaryDirectory(prefix="workbench-") as folder,
        _disk(Path(folder)),
        _fetched(mapping, Path(folder), root) as fetched,
    ):
        known = Looks()
        files, twice = _without_copies([*_raw_files(found, raw, known), *fetched])
        place, key = Path(folder) / "tried", Pseudonyms(secrets.token_bytes(32))
        place.mkdir()
        nobody = Forgotten("", root)  # nothing of it stays
        given = (mapping, files, key, Repairs(mapping.source, root), nobody, Decided(mapping.source, root), known)
        Build(*given, place, "tried", _silent, Parts(place, [], _program())).run(passed + twice)
        yield open_version(mapping.source, place)


def _of_file(mapping: Mapping, raw: Path | str | None, usual: Path) -> tuple[Mapping, Path]:
    """Let one file that somebody names, whatever it is called, stand for the only one of a mapping."""
    raw = as_path(raw, "raw") if raw is not None else usual
    if not raw.is_file():
        return mapping, raw
    if len(paths := {block.path for block in mapping.blocks() if not block.prepared}) > 1:
        raise WorkbenchError("{file} reads {n} files: {names}. Name their folder: --raw FOLDER.").of(
            mapping.file.name, len(paths), sorted(paths)
        )
    named: dict[str, Any] = {"path": glob.escape(raw.name), "format": format_of(raw.name)}
    files = tuple(block if block.prepared else replace(block, **named) for block in mapping.files)
    steps = tuple(replace(s, inputs=tuple(replace(one, **named) for one in s.inputs)) for s in mapping.steps)
    return replace(mapping, files=files, steps=steps, skip=("*",)), raw.parent


def _silent(line: str) -> None:
    pass


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, OSError) as error:
        if isinstance(error, PermissionError) and not str(error.filename).startswith(str(folder)):
            raise  # an extract that may not be read
        raise WorkbenchError(
            "the ingest into {folder} stopped: {first}. Is the disk full, or not to be written? The version in "
            "force is as it was."
        ).of(folder, str(error).splitlines()[0]) from error


def _raw_files(found: list[tuple[FileBlock, list[Path]]], raw: Path, known: Looks) -> Iterator[RawFile]:
    for block, path in ((block, path) for block, paths in found for path in paths):
        name = readable(path.relative_to(raw))
        yield RawFile(block, path, name, *known.digest(path, name))


def _without_copies(files: list[RawFile]) -> tuple[list[RawFile], list[str]]:
    """Read a delivery once that came under two names; the first by name is read."""
    kept: dict[tuple[str, str, str], RawFile] = {}
    notes: list[str] = []
    for file in files:
        block = file.block
        read = repr((block.columns, block.sheet, block.relation))
        first = kept.setdefault((block.target, read, file.digest), file)
        if first is not file:
            both = {"file": file.name, "first": first.name}
            notes.append(say("{file} has the same content as {first} and is not read again", **both))
    return list(kept.values()), notes


@contextmanager
def _fetched(mapping: Mapping, folder: Path, root: Path) -> Iterator[list[RawFile]]:
    """Copy what servers have into files, for the time of the ingest; what a crash left of clear data is removed."""
    place = folder / ".fetched"
    for left in (place, *folder.glob(f"{BUILDING}*/prepare")):
        shutil.rmtree(left, ignore_errors=True)
    try:
        files: list[RawFile] = []
        for block in (block for block in mapping.blocks() if block.url):
            place.mkdir(mode=0o700, exist_ok=True)
            path = place / f"{len(files)}.parquet"
            digest = fetch(block, root, path)
            files.append(RawFile(block, path, block.path, digest, (path.stat().st_size, path.stat().st_mtime_ns)))
        yield files
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _check_unchanged(files: list[RawFile]) -> None:
    for file in files:
        now = on_disk(file.path).stat()
        if (now.st_size, now.st_mtime_ns) != file.state:
            raise WorkbenchError(
                "{path} was changed while it was read. Wait until its delivery is complete, then ingest again."
            ).of(file.path)


def _version(mapping: Mapping, files: list[RawFile], pseudonyms: Pseudonyms | None, repairs: str) -> str:
    digest = hashlib.blake2b(digest_size=6)
    for path in (mapping.file, *mapping.codes):
        digest.update(hashlib.blake2b(path.read_bytes()).digest())
    digest.update(_program(*ALTOGETHER).encode())
    for file in files:
        digest.update(f"{mapping.blocks().index(file.block)}\n{file.name}\n{file.digest}\n".encode())
    digest.update(repairs.encode())
    digest.update(f"{mapping.source}\n{pseudonyms.fingerprint if pseudonyms else ''}\n{schema.version()}".encode())
    return digest.hexdigest()


def _program(*more: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in PROGRAM + more:
        digest.update(hashlib.blake2b((Path(__file__).parents[1] / name).read_bytes()).digest())
    return digest.hexdigest()


def _unread(mapping: Mapping, taken: set[Path], raw: Path, passed: list[str]) -> list[str]:
    """Files of the raw folder that no block takes, so that a forgotten delivery is seen."""
    archives = {archive for path in taken if (archive := archive_of(path))}
    files = sorted(path for path in raw.rglob("*") if path.is_file() and path not in archives) if raw.is_dir() else []
    files += [path for archive in sorted(archives) for path in inside(archive)]
    others = [path for path in files if path not in taken]
    names = [readable(path.relative_to(raw)) for path in others]
    unread = [
        name
        for name in names
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in mapping.skip)
        and not any(note.startswith(f"{name} is passed over") for note in passed)
    ]
    if not unread:
        return []
    shown = ", ".join(unread[:10]) + (f" and {len(unread) - 10} more" if len(unread) > 10 else "")
    return [f"files of the raw folder that no [[file]] block names: {shown}"]


def _other_key(source: str, root: Path, before: list[str], pseudonyms: Pseudonyms | None, known: Looks) -> list[str]:
    if not before or pseudonyms is None or known.key in ("", pseudonyms.fingerprint):
        return []
    try:
        old = open_warehouse(source, root=root).key_fingerprint
    except WorkbenchError:
        return []
    if old in ("", pseudonyms.fingerprint):
        return []
    said = {"version": before[0]}
    return [
        say("the key has changed: pseudonyms differ from those of version {version} and do not join with them", **said)
    ]
