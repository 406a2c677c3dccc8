"""Which version of a warehouse is in force? Built aside, published whole, one writer at a time.

data/warehouse/SOURCE/
    CURRENT                     name of the version in force, and of the one before it
    3f9c0a1b2c4d/               a version: warehouse.duckdb, detail_record/2026-01.parquet … (stored.py)
                                its partials: customer_day/2026-01.parquet …
                                what each file gave: parts/… (ingest/parts.py)
    .building-…/                a version in the making, or what a crash left of it
    .lock                       held by the one writer
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.locks import locked, replace, sync
from workbench.project import PINNED

BUILDING = ".building-"
KEPT = 2


def versions_in_force(folder: Path) -> list[str]:
    """Names of the version in force and of the one before it; none where nothing is published."""
    try:
        names = (folder / "CURRENT").read_text(encoding="utf-8", errors="replace").split()
    except FileNotFoundError:
        return []
    return [name for name in names if (folder / name / "warehouse.duckdb").is_file()]


def version_to_read(folder: Path) -> str:
    """Name of the version that is read: the one in force, or in a run the one that it began with; "" for none.

    Raises
    ------
    WorkbenchError
        If the version that the run began with is gone.
    """
    places = [Path(place) for place in os.environ.get(PINNED, "").split(os.pathsep) if place]
    pinned = next((place for place in places if place.parent.resolve() == folder.resolve()), None)
    if pinned is None:
        return next(iter(versions_in_force(folder)), "")
    if not (folder / pinned.name / "warehouse.duckdb").is_file():
        raise WorkbenchError(
            "version {pinned} of {folder} is gone: newer ones took its place before the run began. Run it again."
        ).of(pinned.name, folder)
    return pinned.name


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Hold the folder for one writer; a lock dies with its process.

    Raises
    ------
    WorkbenchError
        If another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / ".lock"
    lock.touch()
    with ExitStack() as held:
        try:
            held.enter_context(locked(lock, wait=False))
        except BlockingIOError:
            holder = lock.read_text("utf-8").strip() or "unknown"
            raise WorkbenchError(
                "another ingest (process {holder}) is writing {folder}. Wait until it has finished, then try again."
            ).of(str(holder), folder) from None
        lock.write_text(str(os.getpid()), "utf-8")
        yield


@contextmanager
def building(folder: Path, version: str) -> Iterator[Path]:
    """Give an empty folder for a new version, and remove whatever is left of it at the end."""
    for left in folder.glob(f"{BUILDING}*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    place = folder / f"{BUILDING}{version}"
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def publish(place: Path, version: str) -> None:
    """Put a whole version in force; a crash at any point leaves the old one or the new one, never a part."""
    folder = place.parent
    for inner, _, files in os.walk(place, topdown=False):
        for file in files:
            sync(Path(inner, file))
        sync(Path(inner))
    if (folder / version).exists():
        shutil.rmtree(folder / version)
    place.rename(folder / version)
    sync(folder)
    put_in_force(folder, version)


def keep_only(folder: Path, version: str) -> list[str]:
    """Remove every version but one; give the names of those that a run still reads."""
    put_in_force(folder, version, keep=1)
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name != version)


def put_in_force(folder: Path, version: str, *, keep: int = KEPT) -> None:
    """Point CURRENT to a version, and remove all but it and the one before it."""
    kept = [version, *(name for name in versions_in_force(folder) if name != version)][:keep]
    part = folder / f"{BUILDING}CURRENT"
    part.write_text("\n".join(kept) + "\n", encoding="utf-8")
    sync(part)
    replace(part, folder / "CURRENT")
    sync(folder)
    for old in folder.iterdir():
        if old.is_dir() and old.name not in kept and not old.name.startswith(BUILDING):
            with suppress(BlockingIOError), locked(old, wait=False):  # a run reads it: the next version removes it
                aside = folder / f"{BUILDING}{old.name}"
                with suppress(PermissionError):  # Windows, where a file of it is open
                    shutil.rmtree(old.rename(aside))
