"""Render studies: what is due runs in worker processes, and each report is published whole or not at all."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.locks import hold, let_go, locked
from workbench.messages import Number, Term, as_message, say, word
from workbench.recognised import recognised, sentence
from workbench.reports.page.languages import spoken
from workbench.reports.runs.ledger import TRANSIENT, Claim, Ledger
from workbench.reports.runs.publish import keep_good, mend, publish, publishing, site_is_due, write_due_site
from workbench.reports.runs.slots import Slot, broken_studies, find_slots, is_done, read_manifest

if TYPE_CHECKING:
    from workbench.reports.runs.job import Job

TIMEOUT = 1800.0
_GRACE = 90.0
LONGEST = 1_000_000  # seconds that may be allowed: what a system waits for at once is bounded


@dataclass(frozen=True)
class SlotReport:
    """What became of a slot.

    Attributes
    ----------
    study, slot : str
        Name of the study and of its folder.
    status : str
        "done", "failed", "refused" where the caller can mend it, "unchanged" where nothing was to be done, or "running"
        where another process does it and was not waited for.
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
    languages: tuple[str, ...] = (),
    **options: Any,
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
    languages : tuple of str
        In which the reports are said, the first in front: as for `find_slots`.
    **options
        As for `run_slots`.

    Raises
    ------
    WorkbenchError
        If a study or parameter is unknown or ill-typed; nothing has run then. A notebook that fails raises
        nothing: see `RunReport.failed`. One that refuses a value that was given leaves no page either.
    """
    root = root.resolve()
    broken = {} if (studies := list(studies)) else broken_studies(root)
    slots = find_slots(studies, parameters or {}, root, languages=languages)
    return run_slots(slots, root=root, broken=broken, **options)


def run_slots(
    slots: Iterable[Slot],
    *,
    root: Path,
    jobs: int | None = None,
    timeout: float = TIMEOUT,
    force: bool = False,
    only_failed: bool = False,
    retries: int = 0,
    again: bool = True,
    wait: bool = True,
    kernel: str = "auto",
    dask: str = "",
    progress: bool = True,
    broken: Mapping[str, WorkbenchError] = MappingProxyType({}),
) -> RunReport:
    """Run what is due of some slots, each claimed in the ledger, and publish the reports.

    Parameters
    ----------
    root : Path
        The project.
    jobs : int, optional
        Worker processes; one per processor if None.
    timeout : float
        Seconds for a whole notebook, at most LONGEST.
    force : bool
        Run also what is published with the same inputs and code, or failed with them for a cause that stays.
    only_failed : bool
        Leave out what did not fail the last time.
    retries : int
        How often a slot that fails for a cause that may pass (kernel or worker lost, time-out) is run again, with
        growing pauses.
    again : bool
        Try anew what has used up its retries before; a schedule says False.
    wait : bool
        Wait for slots that another process is running, and take them over if it dies.
    kernel : str
        "plain" starts a new one for each notebook; "forked" forks them from a process that has the libraries loaded
        (Linux; same outputs, a fraction of the time); "auto" forks where a study is run more than once and it can be
        done.
    dask : str
        Address of a Dask scheduler whose workers make the reports, with plain kernels; `jobs` does not count then.
    progress : bool
        Show a line per slot, and a bar on a terminal, on standard error.
    broken : mapping, optional
        Studies that can't be read, and why: they are named beside the others as refused.
    """
    if not 1 <= timeout <= LONGEST:  # not a number is neither
        raise WorkbenchError("timeout is a number of seconds from 1 to {most}, not {given}.").of(LONGEST, repr(timeout))
    began, slots = time.monotonic(), list(slots)
    index = root / "reports" / "site" / "index.html"
    with Ledger(root) as ledger:
        mend(root)
        _sweep(root / "reports" / "runs")
        ledger.recover()
        if only_failed:
            states = {(r["study"], r["slot"]): r["state"] for r in ledger.rows()}
            slots = [slot for slot in slots if states.get(slot.key) in ("failed", "refused")]
        done = [] if force else [slot for slot in slots if is_done(slot, root)]
        ledger.agree(done)
        made = {slot.key: _unchanged(slot, root) for slot in done}
        due = [slot for slot in slots if slot.key not in made]
        preload = _preload(due, "plain" if dask else kernel)
        lost = [SlotReport(name, "default", "refused", str(why), 0, index) for name, why in broken.items()]
        if due or lost:
            with _bar(len(due) + len(lost), progress) as tell:
                for report in lost:
                    tell(report)
                if due:
                    ledger.enqueue(due)
                    grid = _Grid(ledger, due, tell, retries=retries, force=force, again=again, wait=wait)
                    made |= grid.run(root, jobs or _processors(), timeout, preload, dask, kernel == "forked")
        if done and not index.is_file():
            site_is_due(root)
        write_due_site(root)
    return RunReport((*(made[slot.key] for slot in slots), *lost), time.monotonic() - began, index)


class _Grid:
    """Slots on their way: claimed as lanes become free, published as they end, again where the cause may pass."""

    def __init__(
        self, ledger: Ledger, slots: list[Slot], tell: Any, *, retries: int, force: bool, again: bool, wait: bool
    ):
        self._ledger, self._tell, self._retries = ledger, tell, retries
        self._force, self._again, self._wait = force, again, wait
        self._waiting = list(slots)
        self._running: dict[str, tuple[Slot, Claim]] = {}
        self._tried: set[tuple[str, str]] = set()
        self._not_before: dict[tuple[str, str], float] = {}
        self._made: dict[tuple[str, str], SlotReport] = {}

    def run(
        self, root: Path, jobs: int, timeout: float, preload: tuple[str, ...], dask: str, forked: bool
    ) -> dict[tuple[str, str], SlotReport]:
        """Run all; on any way out no worker, no claim and no temporary folder stays."""
        from workbench.reports.runs.fanout import Cluster
        from workbench.reports.runs.job import Job
        from workbench.reports.runs.workers import Workers

        lanes, patience = min(jobs, len(self._waiting)), timeout + _GRACE
        many = Cluster(dask, patience=patience) if dask else Workers(lanes, patience=patience)
        try:
            with _aside(root) as aside, _held(self._waiting, root), self._ledger.beating(), many as workers:

                def job(slot: Slot, claim: Claim) -> Job:
                    (folder := aside / claim.token).mkdir()
                    return Job(slot, root, folder, timeout, claim.token, preload, forked)

                for done, manifest in workers.run(self._jobs(job)):
                    self._end(*self._running.pop(done.attempt), done.folder, manifest, root)
        finally:
            self._ledger.release(claim for _, claim in self._running.values())
            write_due_site(root)
        return self._made

    def _jobs(self, make: Any) -> Iterator[Job | None]:
        """Give a job whenever one can be claimed, None while there is one only later."""
        while self._waiting or self._running:
            yield next((make(*pair) for pair in self._claimed()), None)

    def _claimed(self) -> Iterator[tuple[Slot, Claim]]:
        for slot in list(self._waiting):
            if time.monotonic() < self._not_before.get(slot.key, 0):
                continue
            first = slot.key not in self._tried
            claim = self._ledger.claim(
                slot, retries=self._retries, force=self._force and first, again=self._again and first
            )
            if claim.verdict in ("later", "running") and (self._wait or not first):
                self._not_before[slot.key] = time.monotonic() + min(max(claim.wait, 0.5), 5)
                continue
            self._waiting.remove(slot)
            if claim.verdict == "claimed":
                self._tried.add(slot.key)
                self._running[claim.token] = (slot, claim)
                yield slot, claim
            else:
                assert claim.row is not None, "a slot that is not claimed has a row"
                self._report(slot, claim.row, claim.verdict)

    def _end(self, slot: Slot, claim: Claim, made: Path, manifest: dict[str, Any], root: Path) -> None:
        def place() -> None:
            if not (made / "manifest.json").is_file():
                return
            if slot.name == "default" or slot.plan or not manifest.get("refused"):
                site_is_due(root)
                if manifest["status"] != "done":
                    keep_good(slot.folder(root), made, manifest)
                if slot.study.of_one_customer:
                    made.chmod(0o700)
                publish(made, slot.folder(root))

        try:
            with publishing(root):
                mine = self._ledger.finish(claim, manifest, place)
        except OSError as error:
            why = say(
                "the report could not be published: {why}. Make room, or mend the permissions.",
                why=as_message(error.strerror or str(error)),
            )
            mine = self._ledger.finish(claim, manifest | {"status": "failed", "error": why, "error_kind": TRANSIENT})
        with suppress(OSError):  # it stays marked as due, and is written at the end
            write_due_site(root, every=2.0)
        row = self._ledger.known_row(slot.key)
        if not mine or (row["kind"] == TRANSIENT and row["attempts"] <= self._retries):
            self._waiting.append(slot)
        else:
            self._report(slot, row, row["state"])

    def _report(self, slot: Slot, row: sqlite3.Row, verdict: str) -> None:
        status = row["state"] if verdict in ("known", "later") else verdict
        said = row["error"] or row["headline"]
        if verdict == "known":
            said = say(
                "{said} (as before: nothing has changed; --force runs it again)",
                said=recognised(said) or as_message(said),
            )
        if verdict == "running":
            said = say("process {pid} on {host} is running it", pid=str(row["pid"]), host=row["host"].split()[0])
        folder = self._ledger.root / row["outputs"]
        self._made[slot.key] = SlotReport(slot.study.name, slot.name, status, said, row["seconds"] or 0.0, folder)
        self._tell(self._made[slot.key])


def _sweep(runs: Path) -> None:
    """Take away what runs that were killed left behind."""
    with locked(runs):
        for left in (p for p in runs.iterdir() if p.is_dir()):
            with suppress(BlockingIOError), locked(left, wait=False):
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _aside(root: Path) -> Iterator[Path]:
    """Give an empty folder for one run."""
    with locked(runs := root / "reports" / "runs"):
        aside = Path(tempfile.mkdtemp(dir=runs))
        held = hold(aside)
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        let_go(held, aside)


@contextmanager
def _held(slots: Iterable[Slot], root: Path) -> Iterator[None]:
    """Keep the versions of the warehouses that slots read from being removed, however many newer ones come."""
    read = {place for slot in slots for place in slot.versions(root)}
    with ExitStack() as held:
        for place in read:
            with suppress(FileNotFoundError):  # the kernel says so
                held.enter_context(locked(place, shared=True))
        yield


def _preload(due: list[Slot], kernel: str) -> tuple[str, ...]:
    """Name the studies whose libraries workers keep loaded; none where kernels are to be plain."""
    from workbench.reports.runs.kernels import FORKS

    studies = tuple(dict.fromkeys(slot.study.name for slot in due))
    if kernel == "forked" and not FORKS:
        raise WorkbenchError("kernels can be forked on Linux only. Use --kernel plain.")
    return studies if kernel == "forked" or (kernel == "auto" and FORKS and len(studies) < len(due)) else ()


@contextmanager
def _bar(total: int, shown: bool) -> Iterator[Callable[[SlotReport], None]]:
    """Give what tells a line per finished slot, and on a terminal a bar below them."""
    from tqdm import tqdm

    quiet = not (shown and sys.stderr.isatty())
    with tqdm(total=total, unit=word("report", spoken()), disable=quiet, leave=False) as bar:

        def tell(made: SlotReport) -> None:
            if shown and made.status != "unchanged":
                where = made.study if made.slot == "default" else f"{made.study} [{made.slot}]"
                state = Term("FAILED" if made.status == "failed" else made.status)
                told = say("{state}: {message}", state=state, message=as_message(sentence(made.message, spoken())))
                what = Term("done") if made.status == "done" else told
                took = Number(made.seconds, ".1f")
                line = say("{report}: {what} ({seconds} s)", report=where, what=what, seconds=took)
                bar.write(line.said(spoken()), file=sys.stderr)
            bar.update()

        bar.refresh()
        yield tell


def _unchanged(slot: Slot, root: Path) -> SlotReport:
    manifest = read_manifest(slot.folder(root))
    said, seconds = manifest.get("headline", ""), manifest.get("seconds", 0.0)
    return SlotReport(slot.study.name, slot.name, "unchanged", said, seconds, slot.folder(root))


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
