"""Which reports are to be set side by side? Named by study, by folder or by bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from workbench.errors import WorkbenchError, named
from workbench.project import project_root
from workbench.reports.compare import Comparison, compare, read_report
from workbench.reports.handoff.bundle import find_folder
from workbench.reports.handoff.verify import unpack, unpacked


def pairs(before: str, after: str) -> dict[str, Comparison]:
    """Compare the reports of two sides: the only ones if each has one, else those of the same name.

    Raises
    ------
    WorkbenchError
        If a side is not there, is tampered with, or the sides have no report in common.
    """
    with ExitStack() as stack:
        old, new = (stack.enter_context(_side(name)) for name in (before, after))
        if len(old) == len(new) == 1:
            names = [(next(iter(old)), next(iter(new)))]
        else:
            names = [(name, name) for name in old if name in new]
        if not names:
            raise WorkbenchError(f"'{before}' has {named(old)}, '{after}' has {named(new)}: no report in common.")
        return {a if a == b else f"{a} and {b}": compare(read_report(old[a]), read_report(new[b])) for a, b in names}


@contextmanager
def _side(name: str) -> Iterator[dict[str, Path]]:
    path = Path(name)
    if path.is_file():
        with unpacked(unpack(path.read_bytes())) as root:
            yield {f"{p.parent.name}/{p.name}": p for p in sorted((root / "results").glob("*/*"))}
        return
    folder = path if (path / "manifest.json").is_file() else find_folder(name, project_root())
    yield {f"{folder.resolve().parent.name}/{folder.resolve().name}": folder}
