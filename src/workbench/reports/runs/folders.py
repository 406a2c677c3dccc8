"""Temporary folders, held by a lock of the process that made them: nobody takes one away while its owner lives."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.locks import hold, let_go, locked

PREFIX = "wbk-"


@contextmanager
def own_folder() -> Iterator[Path]:
    """Give a temporary folder of this process's own, and take it away at the end."""
    folder, held = _made()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        let_go(held, folder)


def own_folder_for_life() -> Path:
    """Give a temporary folder that this process holds as long as it lives, and takes away when it ends."""
    import atexit

    folder, _ = _made()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def sweep() -> None:
    """Take away this user's folders whose owners were killed: those that nobody holds."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            state = left.lstat()
            if stat.S_ISDIR(state.st_mode) and state.st_uid == _user():
                with locked(left, wait=False):
                    shutil.rmtree(left, ignore_errors=True)


_user = getattr(os, "getuid", lambda: 0)  # on Windows the folder is the user's, and files have the owner 0


def _made() -> tuple[Path, int]:
    """Make a folder that gets its name, by which it could be swept, only when it is held; give the handle too."""
    new = Path(tempfile.mkdtemp(prefix=f".{PREFIX}"))
    held = hold(new)
    return new.rename(new.with_name(new.name[1:])), held
