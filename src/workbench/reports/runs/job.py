"""A slot as a worker gets it, and how its notebook may fail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.reports.runs.slots import Slot


@dataclass(frozen=True)
class Job:
    """A slot as a worker gets it.

    Attributes
    ----------
    slot : Slot
        Its notebook, as it was when the slot was made, and the values of its parameters.
    root, folder : Path
        The project, and the folder to fill.
    timeout : float
        Seconds for the whole notebook.
    attempt : str
        As in the ledger, for the manifest.
    preload : tuple of str
        Studies whose libraries the worker keeps loaded, to fork kernels from; empty for plain kernels.
    forked : bool
        Fail where kernels cannot be forked, and don't fall back on plain ones.
    """

    slot: Slot
    root: Path
    folder: Path
    timeout: float
    attempt: str = ""
    preload: tuple[str, ...] = ()
    forked: bool = False

    def notebook(self) -> Any:
        """Read the notebook that is to be run."""
        import nbformat

        return nbformat.reads(self.slot.study.content.decode("utf-8"), as_version=4)

    def parameters(self) -> list[dict[str, Any]]:
        """Give name, type, value, unit and meaning of each parameter, and whether it is changed, for readers."""
        values = self.slot.parameters
        return [
            {key: getattr(p, key) for key in ("name", "type", "unit", "meaning")}
            | {"value": values[p.name], "changed": values[p.name] != p.default}
            for p in self.slot.study.parameters
        ]


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
