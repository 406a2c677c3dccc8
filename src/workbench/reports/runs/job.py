"""A slot as a worker gets it, and how its notebook may fail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.reports.runs.parameters import Value
from workbench.reports.runs.slots import FORMATS
from workbench.result import MINIMUM_CELL


@dataclass(frozen=True)
class Job:
    """A slot as a worker gets it.

    Attributes
    ----------
    study, title, slot, fingerprint, data_version : str
        What the manifest says of it.
    notebook, root, folder : Path
        The notebook, the project, and the folder to fill.
    values : dict
        Value of every parameter.
    declared : list of dict
        name, value, unit, meaning, changed of every parameter, for readers.
    timeout : float
        Seconds for the whole notebook.
    preload : tuple of str
        Studies whose libraries the worker keeps loaded, to fork kernels from; empty for plain kernels.
    forked : bool
        Fail where kernels cannot be forked, and don't fall back on plain ones.
    formats : tuple of str
        Of FORMATS, what is made beside page, notebook and numbers.
    languages : tuple of str
        In which pages are said, the first in front.
    pinned : tuple of Path
        Folders of the versions that it reads.
    attempt, code, period, plan, minimum_cell
        As in the ledger and in `Slot`, for the manifest.
    """

    study: str
    title: str
    slot: str
    fingerprint: str
    data_version: str
    notebook: Path
    root: Path
    folder: Path
    values: dict[str, Value]
    declared: list[dict[str, Any]]
    timeout: float
    preload: tuple[str, ...] = ()
    forked: bool = False
    formats: tuple[str, ...] = FORMATS
    languages: tuple[str, ...] = ("en",)
    pinned: tuple[Path, ...] = ()
    attempt: str = ""
    code: str = ""
    period: str = ""
    plan: str = ""
    minimum_cell: int = MINIMUM_CELL

    @property
    def published(self) -> Path:
        """Where the report is to stand, and where the one before it stands."""
        return self.root / "reports" / "site" / self.study / self.slot


class Failure(Exception):
    """The notebook did not reach its end: why, in which cell, and whether the caller can mend it or it may pass."""

    def __init__(
        self,
        message: str,
        notebook: Any = None,
        cell: int | None = None,
        traceback: str = "",
        refused: bool = False,
        passes: bool = False,
    ) -> None:
        super().__init__(message)
        self.message, self.notebook, self.cell, self.traceback = message, notebook, cell, traceback
        self.refused, self.passes = refused, passes
