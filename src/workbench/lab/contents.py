"""What does JupyterLab serve of a project? Notebooks, reports and program; not the key, nor what holds clear data."""

from __future__ import annotations

import errno
from pathlib import Path

from jupyter_server.base.handlers import AuthenticatedFileHandler
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError
from traitlets import default

PRIVATE = ("data/private", "data/raw", "data/repairs", "data/warehouse")


class NotServed(HTTPError, PermissionError):
    """For who asks, it is not there; a listing passes it over, as it passes over what may not be read."""

    def __init__(self) -> None:
        HTTPError.__init__(self, 404, "not served: it may hold the key of the pseudonyms, or clear data")
        self.errno = errno.EACCES


class Files(AuthenticatedFileHandler):
    """The same for the address under which the browser fetches files as they are."""

    def validate_absolute_path(self, root: str, absolute_path: str) -> str:
        """Refuse a private place as one that is not there."""
        if is_private(Path(absolute_path), Path(root)):
            raise NotServed
        return super().validate_absolute_path(root, absolute_path)


class Contents(AsyncLargeFileManager):
    """The files of a project but for its private folders: those are neither listed, nor read, nor written."""

    @default("files_handler_class")
    def _files_handler_class_default(self) -> type[AuthenticatedFileHandler]:
        return Files

    def _get_os_path(self, path: str) -> str:
        place = str(super()._get_os_path(path))
        if is_private(Path(place), Path(self.root_dir)):
            raise NotServed
        return place


def is_private(place: Path, root: Path) -> bool:
    """Whether a place lies in a private folder of a project, also by way of links.

    >>> is_private(Path("/p/data/raw/sample/x.csv"), Path("/p")), is_private(Path("/p/data/mappings"), Path("/p"))
    (True, False)
    """
    return any(place.resolve().is_relative_to((root / folder).resolve()) for folder in PRIVATE)
