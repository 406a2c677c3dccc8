"""Who holds a folder or a file (a lock that dies with its process), and when does a file stand: whole, or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import WorkbenchError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def require_locks() -> None:
    """Refuse a system that is not supported.

    Raises
    ------
    WorkbenchError
        If it has no locks that die with their process.
    """
    if fcntl is None:
        raise WorkbenchError(
            "this system has no file locks (fcntl), which keep what is published whole. The workbench runs on Linux "
            "and macOS; on Windows, use it inside WSL."
        )


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
    BlockingIOError
        If somebody holds it and is not waited for.
    """
    require_locks()
    handle = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(handle)
        raise
    return handle


@contextmanager
def locked(place: Path, *, wait: bool = True, shared: bool = False) -> Iterator[None]:
    """Hold a folder or a file for a while: see `hold`."""
    handle = hold(place, wait=wait, shared=shared)
    try:
        yield
    finally:
        os.close(handle)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give where to write a file that appears under its name when all of it is written, or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
