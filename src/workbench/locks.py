"""Who holds a folder or a file (a lock that dies with its process), and when does a file stand: whole, or not."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.errors import WorkbenchError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    with suppress(ImportError):
        import msvcrt

_FAR, _READERS = 1 << 30, 256
_AGAIN, _LONGEST = 0.05, 5.0


def hold(place: Path, *, wait: bool = True, shared: bool = False) -> int:
    """Hold a folder or a file until the handle that is given is closed, or the process ends.

    Parameters
    ----------
    place : Path
        Must exist.
    wait : bool
        Wait for who holds it.
    shared : bool
        Hold it together with others who do so, as readers.

    Raises
    ------
    BlockingIOError : If somebody holds it and is not waited for.
    """
    if fcntl is None:
        if "msvcrt" not in globals():
            raise WorkbenchError("this Python can hold no file, without fcntl and msvcrt. Use Linux, macOS or Windows.")
        return _hold_a_file(place, wait, shared)
    handle = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(handle)
        raise
    return handle


def _hold_a_file(place: Path, wait: bool, shared: bool) -> int:
    """Hold as Windows can: bytes of a file beside, as a folder can't be held, nor go while a file in it is open.

    Who holds alone has all the bytes, a reader any one of them. They lie far behind the end, as no other process may
    read a byte that is held. A folder that loses the dot before its name keeps its file.
    """
    os.stat(place)
    handle = os.open(_beside(place), os.O_RDWR | os.O_CREAT)
    try:
        while True:
            for byte in range(_READERS) if shared else (0,):
                os.lseek(handle, _FAR + byte, os.SEEK_SET)
                try:
                    msvcrt.locking(handle, msvcrt.LK_NBLCK, 1 if shared else _READERS)  # type: ignore[attr-defined,unused-ignore]
                    return handle
                except OSError:
                    pass
            if not wait:
                raise BlockingIOError(f"{place} is held")
            time.sleep(_AGAIN)
    except BaseException:
        os.close(handle)
        raise


def _beside(place: Path) -> Path:
    return place.with_name(f".{place.name.lstrip('.')}.lock")


def let_go(handle: int, place: Path) -> None:
    """End holding a folder or file; it need not stand any more."""
    os.close(handle)
    if fcntl is None:
        with suppress(OSError):  # somebody else has it open
            _beside(place).unlink()


@contextmanager
def locked(place: Path, *, wait: bool = True, shared: bool = False) -> Iterator[None]:
    """Hold a folder or a file for a while: see `hold`."""
    handle = hold(place, wait=wait, shared=shared)
    try:
        yield
    finally:
        let_go(handle, place)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give where to write a file that appears under its name when all of it is written, or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield part
        replace(part, path)
    except OSError as error:  # who reads it knows no other name than the one they gave
        error.filename = str(path) if error.filename == str(part) else error.filename
        raise
    finally:
        part.unlink(missing_ok=True)


def replace(new: Path, old: Path) -> None:
    """Put a file in the place of another; where an open one can't go (Windows), wait a little for who reads it."""
    until = time.monotonic() + _LONGEST
    while True:
        try:
            os.replace(new, old)
            return
        except PermissionError:
            if fcntl is not None or time.monotonic() > until:
                raise
        time.sleep(_AGAIN)


def sync(path: Path) -> None:
    """Have a file, or a folder where that can be (not on Windows), on the disk."""
    if fcntl is None and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY if fcntl is not None else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
