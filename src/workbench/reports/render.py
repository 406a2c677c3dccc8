"""Render studies: what is due runs in worker processes, and each report is published whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.reports import lists
from workbench.reports.slots import Slot, find_slots, is_done, read_manifest

if TYPE_CHECKING:
    from workbench.reports.execute import Job

TIMEOUT = 1800.0
_GRACE = 90.0
_GOOD = ("index.html", "tables.xlsx", "report.pdf", "results.json", "report.ipynb")


@dataclass(frozen=True)
class SlotReport:
    """What became of a slot.

    Attributes
    ----------
    study, slot : str
        Name of the study and of its folder.
    status : str
        "done", "failed", "refused" where the caller can mend it, or "unchanged" where nothing was to be done.
    message : str
        The headline, or why it failed.
    seconds : float
        Wall time of the run.
    folder : Path
        Where the report is.
    """

    study: str
    slot: str
    status: str
    message: str
    seconds: float
    folder: Path


@dataclass(frozen=True)
class RunReport:
    """What a run did.

    Attributes
    ----------
    slots : tuple of SlotReport
        In the order they were asked for.
    seconds : float
        Wall time.
    index : Path
        The page that lists all reports.
    """

    slots: tuple[SlotReport, ...]
    seconds: float
    index: Path

    @property
    def failed(self) -> tuple[SlotReport, ...]:
        """The slots that have no report now, refused ones too."""
        return tuple(s for s in self.slots if s.status in ("failed", "refused"))

    @property
    def refused(self) -> tuple[SlotReport, ...]:
        """The slots that failed for a cause that the caller can mend, such as a province that does not exist."""
        return tuple(s for s in self.slots if s.status == "refused")


def run(
    studies: Iterable[str] = (),
    parameters: Mapping[str, Any] | None = None,
    *,
    root: Path,
    jobs: int | None = None,
    timeout: float = TIMEOUT,
    force: bool = False,
    kernel: str = "auto",
    progress: bool = True,
) -> RunReport:
    """Render studies of a project and publish their reports.

    Parameters
    ----------
    studies : iterable of str
        Names of studies; all of the project if empty.
    parameters : mapping, optional
        Values by name, as text (read by the declared type) or typed.
    root : Path
        The project.
    jobs : int, optional
        Worker processes; one per processor if None.
    timeout : float
        Seconds for a whole notebook.
    force : bool
        Run also what is published with the same inputs and code.
    kernel : str
        "plain" starts a new one for each notebook; "forked" forks them from a process that has the libraries loaded
        (Linux; same outputs, a fraction of the time); "auto" forks where a study is run more than once.
    progress : bool
        Show a line per slot, and a bar on a terminal, on standard error.

    Raises
    ------
    WorkbenchError
        If a study or parameter is unknown or ill-typed; nothing has run then. A notebook that fails raises
        nothing: see `RunReport.failed`. One that refuses a value that was given leaves no page either.
    """
    began = time.monotonic()
    root = root.resolve()
    slots = find_slots(studies, parameters or {}, root)
    made = {} if force else {slot.key: _unchanged(slot, root) for slot in slots if is_done(slot, root)}
    due = [slot for slot in slots if slot.key not in made]
    index = root / "reports" / "site" / "index.html"
    if due:
        for slot, manifest in _rendered(due, root, jobs or _processors(), timeout, _preload(due, kernel), progress):
            made[slot.key] = _slot_report(slot, manifest, root)
    if not index.is_file() and all(s.status == "unchanged" for s in made.values()):
        from workbench.reports.site import write_site

        with _publishing(root):
            write_site(root)
    return RunReport(tuple(made[slot.key] for slot in slots), time.monotonic() - began, index)


def publish(made: Path, place: Path) -> None:
    """Move a whole folder to its place; the one that was there goes only when the new one stands.

    A folder that an interrupted run left aside is put back first.
    """
    aside = place.with_name(f".{place.name}.previous")
    place.parent.mkdir(parents=True, exist_ok=True)
    if aside.exists():
        if place.exists():
            shutil.rmtree(aside)
        else:
            os.rename(aside, place)
    if place.exists():
        os.rename(place, aside)
    os.rename(made, place)
    shutil.rmtree(aside, ignore_errors=True)


def keep_good(place: Path, made: Path, manifest: dict[str, Any]) -> None:
    """Take the last good version of a slot over into the folder of its failed run, marked as such."""
    from workbench.reports.execute import write_json
    from workbench.reports.page import with_notice

    if not (place / "index.html").is_file():
        return
    before = read_manifest(place)
    good = before if before.get("status") == "done" else before.get("last_good", {})
    for path in [*(place / name for name in _GOOD), *place.glob(lists.PATTERN)]:
        if path.is_file():
            shutil.copy2(path, made / path.name)
    mark = (
        f"This is the last good version, of {str(good.get('finished', 'an earlier run'))[:16]}. "
        f"The run of {manifest['finished'][:16]} failed."
    )
    path = made / "index.html"
    path.write_text(with_notice(path.read_text("utf-8"), mark), encoding="utf-8")
    write_json(made / "manifest.json", manifest | {"last_good": good})


def _rendered(
    due: list[Slot], root: Path, jobs: int, timeout: float, preload: tuple[str, ...], progress: bool
) -> Iterator[tuple[Slot, dict[str, Any]]]:
    """Run slots and publish each as it ends; on any way out no worker and no temporary folder stays."""
    from workbench.reports.site import write_site
    from workbench.reports.workers import Workers

    todo = {f"{i}": slot for i, slot in enumerate(due)}
    with _aside(root) as aside:
        work = [_job(slot, root, aside / name, timeout, preload) for name, slot in todo.items()]
        with Workers(min(jobs, len(due)), patience=timeout + _GRACE) as workers, _bar(len(due), progress) as tell:
            for job, manifest in workers.run(work):
                slot = todo[job.folder.name]
                if slot.name == "default" or not manifest.get("refused"):
                    with _publishing(root):
                        if manifest["status"] != "done":
                            keep_good(slot.folder(root), job.folder, manifest)
                        publish(job.folder, slot.folder(root))
                        write_site(root)
                tell(slot, manifest)
                yield slot, manifest


@contextmanager
def _aside(root: Path) -> Iterator[Path]:
    """Give an empty folder for one run; take away what runs that were killed left behind."""
    runs = root / "reports" / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    with _locked(runs):
        for left in runs.iterdir():
            try:
                with _locked(left, wait=False):
                    shutil.rmtree(left, ignore_errors=True)
            except (BlockingIOError, NotADirectoryError):
                continue
        aside = Path(tempfile.mkdtemp(dir=runs))
        held = os.open(aside, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        os.close(held)


@contextmanager
def _publishing(root: Path) -> Iterator[None]:
    """Let one run at a time change what is published."""
    site = root / "reports" / "site"
    site.mkdir(parents=True, exist_ok=True)
    with _locked(site):
        yield


@contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a folder; the lock dies with its process."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


def _preload(due: list[Slot], kernel: str) -> tuple[str, ...]:
    """Name the studies whose libraries workers keep loaded; none where kernels are to be plain."""
    from workbench.reports.kernels import FORKS

    studies = tuple(dict.fromkeys(slot.study.name for slot in due))
    if kernel == "forked" and not FORKS:
        raise WorkbenchError("kernels can be forked on Linux only. Use --kernel plain.")
    return studies if kernel == "forked" or (kernel == "auto" and FORKS and len(studies) < len(due)) else ()


def _job(slot: Slot, root: Path, folder: Path, timeout: float, preload: tuple[str, ...] = ()) -> Job:
    from workbench.reports.execute import Job

    folder.mkdir()
    declared = [
        {
            "name": p.name,
            "type": p.type,
            "value": slot.parameters[p.name],
            "unit": p.unit,
            "meaning": p.meaning,
            "changed": slot.parameters[p.name] != p.default,
        }
        for p in slot.study.parameters
    ]
    return Job(
        study=slot.study.name,
        title=slot.study.title,
        slot=slot.name,
        fingerprint=slot.fingerprint,
        data_version=slot.data_version,
        notebook=slot.study.path,
        root=root,
        folder=folder,
        values=slot.parameters,
        declared=declared,
        timeout=timeout,
        preload=preload,
    )


class _bar:
    """A line per finished slot, and on a terminal a bar below them."""

    def __init__(self, total: int, shown: bool) -> None:
        from tqdm import tqdm

        quiet = not (shown and sys.stderr.isatty())
        self._shown, self._bar = shown, tqdm(total=total, unit="report", disable=quiet, leave=False)

    def __enter__(self):
        self._bar.refresh()
        return self._tell

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def _tell(self, slot: Slot, manifest: Mapping[str, Any]) -> None:
        if self._shown:
            word = "refused" if manifest.get("refused") else "FAILED"
            said = "done" if manifest["status"] == "done" else f"{word}: {manifest['error']}"
            where = slot.study.name if slot.name == "default" else f"{slot.study.name} [{slot.name}]"
            self._bar.write(f"{where}: {said} ({manifest['seconds']:.1f} s)", file=sys.stderr)
        self._bar.update()


def _unchanged(slot: Slot, root: Path) -> SlotReport:
    manifest = read_manifest(slot.folder(root))
    return _slot_report(slot, manifest | {"status": "unchanged"}, root)


def _slot_report(slot: Slot, manifest: Mapping[str, Any], root: Path) -> SlotReport:
    message = manifest.get("error") or manifest.get("headline", "")
    folder = slot.folder(root)
    status = "refused" if manifest.get("refused") else manifest["status"]
    return SlotReport(slot.study.name, slot.name, status, message, manifest["seconds"], folder)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
