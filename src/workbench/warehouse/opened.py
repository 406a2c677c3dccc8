"""Which warehouse is in force? The last version that was ingested, or one that stands elsewhere."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.messages import say
from workbench.project import folder_of
from workbench.warehouse.connect import Warehouse, live_mapping, open_version, warehouse_folder
from workbench.warehouse.live import open_live
from workbench.warehouse.versions import version_to_read


def open_warehouse(source: str = "sample", *, root: Path | str | None = None) -> Warehouse:
    """Open the version in force of a source's warehouse, for reading; within a run the one that the run began with.

    Raises
    ------
    WorkbenchError
        If the source is unknown, was never ingested, was ingested by a program with other tables, or its
        files are damaged.
    """
    root = folder_of(root)
    if (said := live_mapping(source, root)) is not None:
        return open_live(source, said, root)
    folder = warehouse_folder(source, root)
    command = say("Run: workbench data ingest {source}", source=source)
    version = version_to_read(folder)
    if not version:
        raise WorkbenchError("no warehouse of '{source}' in {folder}. {command}").of(source, folder, command)
    return open_version(source, folder / version)
