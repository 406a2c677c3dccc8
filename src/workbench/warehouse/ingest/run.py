"""How do raw extracts become a warehouse? Read, check, account for every record, publish."""

from __future__ import annotations

import fnmatch
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb

from workbench.errors import WorkbenchError
from workbench.project import project_root
from workbench.warehouse import schema
from workbench.warehouse.account import Account
from workbench.warehouse.connect import mapping_file, open_warehouse, warehouse_folder
from workbench.warehouse.digests import write_digests
from workbench.warehouse.features import STORED
from workbench.warehouse.ingest.build import Build, RawFile
from workbench.warehouse.ingest.forgotten import Forgotten
from workbench.warehouse.ingest.mapping import FileBlock, Mapping, read_mapping
from workbench.warehouse.ingest.read import raw_files, readable
from workbench.warehouse.ingest.repairs import Repairs
from workbench.warehouse.pseudonyms import Pseudonyms, read_key
from workbench.warehouse.versions import building, one_writer, publish, put_in_force, versions_in_force

# What a warehouse's content depends on, besides files, mapping and key.
PROGRAM = (
    "schema.toml",
    "rules.toml",
    "rulebook.py",
    "pseudonyms.py",
    "texts.py",
    "clear.py",
    "../personal.py",
    *(
        f"ingest/{name}.py"
        for name in (
            "mapping",
            "decode",
            "forgotten",
            "lines",
            "objects",
            "read",
            "repairs",
            "rules",
            "warned",
            "build",
        )
    ),
)
PROGRAM += tuple(f"features/partial/{name}.sql" for name in STORED)


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
    raw : path, optional
        Folder of the raw extracts, by default `data/raw/SOURCE`.
    root : path, optional
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
    root = Path(root) if root is not None else project_root()
    mapping = read_mapping(mapping_file(source, root))
    raw = Path(raw) if raw is not None else root / "data" / "raw" / source
    found, passed = raw_files(mapping, raw)
    hidden = any(value.pseudonym for block in mapping.files for value in block.values())
    pseudonyms = read_key(root) if hidden else None
    folder = warehouse_folder(source, root)
    with _disk(folder), one_writer(folder):
        files, twice = _without_copies([_raw_file(block, path, raw) for block, paths in found for path in paths])
        repairs = Repairs(source, root)
        repairs.check({file.name: file.digest for file in files}, [(file.name, file.block) for file in files])
        forgotten = Forgotten(source, root)
        version = _version(mapping, files, pseudonyms, repairs.digest + forgotten.digest)
        before = versions_in_force(folder)
        if version in before:
            if version != before[0]:
                put_in_force(folder, version)
            with suppress(WorkbenchError):  # one that is damaged is built again
                return open_warehouse(source, root=root).full_account(changed=False)
        passed += twice + _unread(mapping, {path for _, paths in found for path in paths}, raw, passed)
        notes = passed + _other_key(source, root, before, pseudonyms)
        with building(folder, version) as place:
            Build(mapping, files, pseudonyms, place, version, progress or _silent, repairs, forgotten).run(notes)
            _check_unchanged(files)
            write_digests(place)
            publish(place, version)
    return open_warehouse(source, root=root).full_account()


def _silent(line: str) -> None:
    pass


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise WorkbenchError(
            f"the ingest into {folder} stopped: {str(error).splitlines()[0]}. Is the disk full, or not to be written? "
            "The version in force is as it was."
        ) from error


def raw_hash() -> Any:
    """Start the hash by which the account knows a raw file."""
    return hashlib.blake2b(digest_size=16)


def _raw_file(block: FileBlock, path: Path, raw: Path) -> RawFile:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, raw_hash).hexdigest()
        state = os.fstat(stream.fileno())
    return RawFile(block, path, readable(path.relative_to(raw)), digest, (state.st_size, state.st_mtime_ns))


def _without_copies(files: list[RawFile]) -> tuple[list[RawFile], list[str]]:
    """Read a delivery once that came under two names; the first by name is read."""
    kept: dict[tuple[str, str, str], RawFile] = {}
    notes = []
    for file in files:
        first = kept.setdefault((file.block.table.name, repr(file.block.columns), file.digest), file)
        if first is not file:
            notes.append(f"{file.name} has the same content as {first.name} and is not read again")
    return list(kept.values()), notes


def _check_unchanged(files: list[RawFile]) -> None:
    for file in files:
        now = file.path.stat()
        if (now.st_size, now.st_mtime_ns) != file.state:
            raise WorkbenchError(
                f"{file.path} was changed while it was read. Wait until its delivery is complete, then ingest again."
            )


def _version(mapping: Mapping, files: list[RawFile], pseudonyms: Pseudonyms | None, repairs: str) -> str:
    digest = hashlib.blake2b(digest_size=6)
    here = Path(__file__).parents[1]
    for part in (mapping.file.read_bytes(), *((here / name).read_bytes() for name in PROGRAM)):
        digest.update(hashlib.blake2b(part).digest())
    for file in files:
        digest.update(f"{mapping.files.index(file.block)}\n{file.name}\n{file.digest}\n".encode())
    digest.update(repairs.encode())
    digest.update(f"{mapping.source}\n{pseudonyms.fingerprint if pseudonyms else ''}\n{schema.version()}".encode())
    return digest.hexdigest()


def _unread(mapping: Mapping, taken: set[Path], raw: Path, passed: list[str]) -> list[str]:
    """Files of the raw folder that no block takes, so that a forgotten delivery is seen."""
    others = [path for path in sorted(raw.rglob("*")) if path.is_file() and path not in taken] if raw.is_dir() else []
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


def _other_key(source: str, root: Path, before: list[str], pseudonyms: Pseudonyms | None) -> list[str]:
    if not before or pseudonyms is None:
        return []
    try:
        old = open_warehouse(source, root=root).key_fingerprint
    except WorkbenchError:
        return []
    if old in ("", pseudonyms.fingerprint):
        return []
    return [f"the key has changed: pseudonyms differ from those of version {before[0]} and do not join with them"]
