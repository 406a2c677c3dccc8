"""Where is the project? The folder that holds notebooks, mappings, data and reports."""

from __future__ import annotations

import os
from pathlib import Path

from workbench.errors import WorkbenchError, require_known

READS = "WORKBENCH_READS"
"""The environment variable that names the file in which a run wants the tables listed that were read."""

PINNED = "WORKBENCH_PINNED"
"""The environment variable that names the folders of the versions that a run reads, whatever is ingested meanwhile."""


def folder_of(root: Path | str | None, name: str = "root") -> Path:
    """Give the folder of the project: the one that is named, else the one that is found."""
    if root is None:
        return project_root()
    if not (as_path(root, name) / "data" / "mappings").is_dir():
        raise WorkbenchError("{name} is '{home}', which has no data/mappings. Set it to the project.").of(name, root)
    return Path(root)


def as_path(path: object, name: str) -> Path:
    """Give a path; refuse what is none."""
    if not isinstance(path, str | Path):
        raise WorkbenchError("{name} is a path, not {given}.").of(name, repr(path))
    return Path(path)


def project_root() -> Path:
    """Give the project's folder: WORKBENCH_HOME, else the nearest folder upwards that holds `data/mappings`.

    Raises
    ------
    WorkbenchError
        If there is none.
    """
    home = os.environ.get("WORKBENCH_HOME")
    if home:
        return folder_of(home, "WORKBENCH_HOME").resolve()
    here = Path.cwd().resolve()
    for folder in (here, *here.parents):
        if (folder / "data" / "mappings").is_dir():
            return folder
    raise WorkbenchError(
        "'{here}' is not inside a workbench project (no folder upwards holds data/mappings). Go to the project, or "
        "set WORKBENCH_HOME to its folder."
    ).of(str(here))


def model_file(name: str) -> Path:
    """Where the path model of a name stands, in data/models.

    Raises
    ------
    WorkbenchError
        If there is none of that name; the nearest is suggested.
    """
    return _named_file("model", "models", name)


def rules_file(name: str) -> Path | None:
    """Where an operator's own rules of a name stand, in data/rules; None for no name.

    Raises
    ------
    WorkbenchError
        If there are none of that name; the nearest is suggested.
    """
    return _named_file("file of rules", "rules", name) if name else None


def _named_file(what: str, folder: str, name: str) -> Path:
    place = project_root() / "data" / folder
    known = sorted(file.stem for file in place.glob("*.toml"))
    require_known(what, name, known, f"data/{folder}")
    return place / f"{name}.toml"
