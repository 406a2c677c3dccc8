"""Where does a raw file lie? In a folder, or in a zip archive, which stands for a folder: `2026-06.zip/bills/a.csv`."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import lru_cache
from io import BufferedIOBase
from pathlib import Path, PurePosixPath

from workbench.errors import WorkbenchError
from workbench.messages import Message, Number, say

BOMB, RATIO = 100_000_000, 200  # bytes; how many times its packed size a larger file may have


def archive_of(path: Path) -> Path | None:
    """The archive in which a file lies; None if it lies in a folder."""
    if ".zip" not in str(path).lower():  # as ever: a hundred times faster
        return None
    return next((p for p in path.parents if p.suffix.lower() == ".zip" and p.is_file()), None)


def on_disk(path: Path) -> Path:
    """The file itself, or the archive in which it lies."""
    return archive_of(path) or path


def size(path: Path) -> int | None:
    """Bytes of a file, unpacked; None if there is none."""
    if archive := archive_of(path):
        member = members(archive).get(path.relative_to(archive).as_posix())
        return member.file_size if member else None
    return path.stat().st_size if path.is_file() else None


def matching(folder: Path, pattern: str) -> list[Path]:
    """The files that a pattern takes, sorted, also inside archives that it names as folders."""
    parts = PurePosixPath(pattern).parts
    at = next((i for i, part in enumerate(parts[:-1]) if part.lower().endswith(".zip")), None)
    if at is None:
        return sorted(path for path in folder.glob(pattern) if path.is_file())
    found: list[Path] = []
    for place in folder.glob("/".join(parts[: at + 1])):
        if place.is_dir():
            found += matching(place, "/".join(parts[at + 1 :]))
        else:
            found += [path for path in inside(place) if _fits(path.relative_to(place).parts, parts[at + 1 :])]
    return sorted(found)


def inside(archive: Path) -> list[Path]:
    """The files of an archive, as if it were a folder."""
    return [archive / name for name in members(archive)]


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[i:], pattern[1:]) for i in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def members(archive: Path) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive by name.

    Raises
    ------
    WorkbenchError
        If it is no zip archive, has a name twice or one that leads out of it, or a file that unpacks to
        very much.
    """
    state = archive.stat()
    return _members(archive, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _members(archive: Path, _size: int, _changed: int) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    try:
        with zipfile.ZipFile(archive) as opened_archive:
            infos = [info for info in opened_archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise WorkbenchError("{archive} can't be read as a zip archive: {error}. Have it delivered again.").of(
            archive, error
        ) from None
    for info in infos:
        name = _name(info)
        why = Message()
        if name in found:
            why = say("stands in it twice")
        elif name.startswith("/") or ":" in name.split("/")[0] or ".." in name.split("/"):
            why = say("leads out of it")
        elif info.file_size > max(BOMB, RATIO * info.compress_size):
            size, times = Number(info.file_size / 1e9, ".1f"), info.file_size // max(info.compress_size, 1)
            why = say("would unpack to {size} GB, {times} times", size=size, times=times)
        if why:
            raise WorkbenchError("{archive}: '{name}' {why}. Unpack it by hand if it is right, and deliver that.").of(
                archive, name, why
            )
        found[name] = info
    return found


def _name(info: zipfile.ZipInfo) -> str:
    """The name of a member; one that does not say that it is UTF-8 was given in GBK by Windows, most likely."""
    name = info.filename
    if not info.flag_bits & 0x800:
        raw = name.encode("cp437", "replace")
        for encoding in ("utf-8", "gb18030"):
            try:
                return raw.decode(encoding).replace("\\", "/")
            except UnicodeDecodeError:
                continue
    return name.replace("\\", "/")


@contextmanager
def opened(path: Path) -> Iterator[BufferedIOBase]:
    """Open a file for reading, wherever it lies.

    Raises
    ------
    WorkbenchError
        If the archive in which it lies is damaged, locked by a password, or packed in a way that is not
        read.
    """
    archive = archive_of(path)
    if archive is None:
        with path.open("rb") as stream:
            yield stream
        return
    info = members(archive)[path.relative_to(archive).as_posix()]
    try:
        with zipfile.ZipFile(archive) as packed:
            try:
                member = packed.open(info)
            except (RuntimeError, NotImplementedError) as error:  # a password, a way of packing
                raise WorkbenchError("{path} can't be unpacked: {error}. Have it delivered in another way.").of(
                    path, error
                ) from None
            with member as stream:
                yield stream  # type: ignore[misc]
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise WorkbenchError("{path} is damaged: {error}. Have it delivered again.").of(path, error) from None
