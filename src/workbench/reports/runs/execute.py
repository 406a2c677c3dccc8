"""One slot in a worker process: run the notebook, gather what it says, write the report's files.

Nothing here touches what is published: the files go to a folder of their own, and the caller moves it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import logging
import os
import platform
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import workbench
from workbench import errors
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.messages import Number, say
from workbench.project import PINNED, READS
from workbench.reports.page import html as page
from workbench.reports.page import lists
from workbench.reports.page.languages import SPOKEN
from workbench.reports.page.notebook import MINIMUM
from workbench.reports.runs.folders import own_folder_for_life
from workbench.reports.runs.job import Failure, Job
from workbench.reports.runs.kernels import ONE_THREAD, Nursery, kernel_manager
from workbench.reports.runs.ledger import DETERMINISTIC, TRANSIENT
from workbench.reports.runs.parameters import Value, as_code
from workbench.reports.runs.secrets import leaks
from workbench.reports.runs.slots import PACKAGE
from workbench.reports.runs.sources import table_digests
from workbench.reports.runs.stops import deaf_to_interrupts
from workbench.reports.runs.write import gather, without_paths, write_failure, write_json, write_report

_VERSIONED = ("pandas", "numpy", "scipy", "scikit-learn", "duckdb", "matplotlib")
_PASSING = (
    "MemoryError",
    "OSError",
    "ConnectionError",
    "ConnectionResetError",
    "ConnectionRefusedError",
    "TimeoutError",
)


def prepare_worker() -> None:
    """Set up a worker: one thread for linear algebra, no history no start-up files of the user, no Ctrl-C."""
    deaf_to_interrupts()
    # A grammar that takes 1.6 s to load; it serves one format of JSON schemas that notebooks do not use.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    private = own_folder_for_life()
    paths = [str(PACKAGE.parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    os.environ.update(ONE_THREAD)
    os.environ.update(
        IPYTHONDIR=str(Path(private, "ipython")),
        JUPYTER_RUNTIME_DIR=str(private),
        MPLBACKEND="agg",
        PYDEVD_DISABLE_FILE_VALIDATION="1",
        PYTHONHASHSEED="0",
        PYTHONPATH=os.pathsep.join(os.path.abspath(p) for p in paths),
        PYTHONUTF8="1",
        **{READS: str(Path(private, "reads.txt"))},
    )


def run_job(job: Job) -> dict[str, Any]:
    """Run a notebook and fill the job's folder with its report, or with the page that says why there is none.

    Returns
    -------
    dict
        The manifest that was written; its `status` is "done" or "failed".
    """
    started, notebook = time.monotonic(), job.notebook()
    failure = None
    try:
        notebook = _execute(notebook, job)
        said = gather(notebook)
    except Failure as error:
        failure, notebook = error, error.notebook or notebook
    except WorkbenchError as error:
        failure = Failure(str(error))
    manifest = _manifest(job, time.monotonic() - started)
    _clean(notebook, job.root)
    if failure is None:
        manifest |= {"status": "done", "headline": said.headline, "decision": said.decision}
        manifest |= {"tiles": said.tiles, "tables": [t["name"] for t in said.tables]}
        try:
            write_report(job, notebook, said, manifest)
        except WorkbenchError as error:
            failure = Failure(str(error))
    if failure is not None:
        _fail(job, notebook, failure, manifest)
    write_json(job.folder / "manifest.json", manifest)
    secrets = {p["name"]: p["value"] for p in job.parameters() if p["type"] == "secret"}
    if leaked := leaks(job.folder, secrets):
        file, name = leaked[0]
        message = say(
            "the report would show the secret of '{name}' ({file}), so nothing of it was kept. Don't print it.",
            name=name,
            file=file,
        )
        return write_failed(job, message, time.monotonic() - started)
    return manifest


def write_failed(job: Job, message: str, seconds: float, *, passes: bool = False) -> dict[str, Any]:
    """Fill the folder of a job that is to have no report, as when its worker gave no answer; give the manifest.

    Where that cannot be written either (the disk is full), there is no manifest in the folder.
    """
    manifest = _manifest(job, seconds)
    try:
        _fail(job, job.notebook(), Failure(message, passes=passes), manifest)
        write_json(job.folder / "manifest.json", manifest)
    except OSError:
        (job.folder / "manifest.json").unlink(missing_ok=True)
        manifest["error_kind"] = TRANSIENT
    return manifest


def _fail(job: Job, notebook: Any, failure: Failure, manifest: dict[str, Any]) -> None:
    """Say in the manifest and on a page why there is no report; what was written of one goes."""
    manifest |= {"status": "failed", "headline": "", "error": without_paths(failure.message, job.root)}
    manifest |= {"refused": failure.refused, "error_kind": TRANSIENT if failure.passes else DETERMINISTIC}
    for left in job.folder.iterdir():
        left.unlink()
    write_failure(job, notebook, failure, manifest)


def _execute(notebook: Any, job: Job) -> Any:
    """Execute a notebook with the run's parameters behind its own, and give it back with its outputs."""
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.engines import NBClientEngine
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import raise_for_execution_errors

    logging.getLogger("papermill").setLevel(logging.ERROR)
    os.environ["WORKBENCH_HOME"] = str(job.root)
    os.environ[lists.OUTPUT] = str(job.folder)
    os.environ[MINIMUM] = str(job.slot.minimum_cell)
    os.environ[SPOKEN] = ",".join(job.slot.languages)
    os.environ[PINNED] = os.pathsep.join(map(str, job.slot.versions(job.root)))
    Path(os.environ.get(READS, "none")).unlink(missing_ok=True)
    _require_needs(notebook, job)
    notebook = _with_parameters(notebook, job.slot.parameters)
    deadline = time.monotonic() + job.timeout
    try:
        with contextlib.chdir(job.root):
            NBClientEngine.execute_notebook(  # of papermill the engine alone, which saves nothing between cells
                notebook,
                "python3",
                progress_bar=False,
                start_timeout=60,
                kernel_manager_class=kernel_manager(_living_nursery(job.preload, required=job.forked)),
                timeout_func=lambda cell: max(deadline - time.monotonic(), 0.01),
                shutdown_kernel="immediate",
            )
        _refuse_exit(notebook)
        raise_for_execution_errors(notebook, None)
        _require_all_begun(notebook)
    except PapermillExecutionError as error:
        marks = "papermill-error-cell-tag"  # of the notes on the error that papermill puts between the cells
        notebook.cells = [cell for cell in notebook.cells if marks not in cell.metadata.get("tags", [])]
        raise _failed_cell(notebook, error) from None
    except CellTimeoutError:
        seconds = Number(job.timeout, "g")
        message = say("the notebook took longer than its {n} seconds. Allow more with --timeout.", n=seconds)
        raise _interrupted(notebook, message) from None
    except DeadKernelError:
        message = say(
            "the kernel died: the notebook ended it (exit, quit), or memory ran out: try a smaller input or --jobs 1."
        )
        raise _interrupted(notebook, message) from None
    return notebook


def _require_needs(notebook: Any, job: Job) -> None:
    """Refuse a study that the data cannot carry, with all that is lacking, before a kernel starts."""
    from workbench.reports.runs.needs import fit
    from workbench.warehouse import open_warehouse

    study, values, source = job.slot.study, job.slot.parameters, str(job.slot.parameters.get("source", ""))
    try:
        needs = study.needs if source else None
        found = fit(needs, study.parameters, values, open_warehouse(source, root=job.root)) if needs else None
    except WorkbenchError as error:
        raise Failure(str(error), notebook, refused=True) from None
    if found and found.lacks:
        raise Failure(say("not run: {text}", text=found.sentence(source)), notebook, refused=True)


def _refuse_exit(notebook: Any) -> None:
    """Fail where a cell ends the notebook, with whatever status: papermill takes status 0 for success."""
    for i, cell in enumerate(notebook.cells):
        if any(o.output_type == "error" and o.ename == "SystemExit" for o in cell.get("outputs", [])):
            raise Failure(say("the cell ends the notebook (SystemExit), so nothing below it ran."), notebook, i)


def _require_all_begun(notebook: Any) -> None:
    """Fail where a cell has code and was never begun, unless it is tagged skip-execution."""
    for i, cell in enumerate(notebook.cells):
        skipped = cell.cell_type != "code" or "skip-execution" in cell.metadata.get("tags", [])
        if not skipped and cell.source.strip() and cell.execution_count is None:
            raise Failure(say("the cell was never begun, so the report would lack it."), notebook, i)


def _with_parameters(notebook: Any, values: Mapping[str, Value]) -> Any:
    import nbformat

    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata["papermill"] = type(notebook.metadata)()
    place = [i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
    if place:
        given = nbformat.v4.new_code_cell(as_code(values), metadata={"tags": ["injected-parameters"]})
        notebook.cells.insert(place[0] + 1, given)
    return notebook


@functools.cache
def _nursery(studies: tuple[str, ...], required: bool) -> Nursery | None:
    try:
        return Nursery(studies)
    except WorkbenchError:
        if required:
            raise
        return None


def _living_nursery(studies: tuple[str, ...], *, required: bool) -> Nursery | None:
    """Give the worker's preloaded process for these studies, a new one if it died; none where kernels are plain.

    Where it cannot be forked, as when something starts a thread in every process, kernels are plain unless it is
    `required`.
    """
    if not studies:
        return None
    if (known := _nursery(studies, required)) is not None and not known.lives:
        _nursery.cache_clear()
    return _nursery(studies, required)


def _failed_cell(notebook: Any, error: Any) -> Failure:
    ours = getattr(errors, error.ename, None)
    if isinstance(ours, type) and issubclass(ours, WorkbenchError):
        return Failure(error.evalue, notebook, error.cell_index, refused=not issubclass(ours, CannotAnswer))
    passes, traceback = error.ename in _PASSING, page.plain("\n".join(error.traceback))
    message = f"{error.ename}: {error.evalue}" if error.evalue else error.ename
    outputs = notebook.cells[error.cell_index].get("outputs", [])
    printed = [o.text.strip() for o in outputs if o.output_type == "stream" and o.name == "stderr"]
    lines = re.findall(r"^-+> *\d+ (.+)$", traceback, re.MULTILINE)
    if error.ename == "CellExecutionError" and printed:  # as of a magic that does not exist
        message = page.plain(printed[-1].splitlines()[-1])
    elif not error.evalue and lines:
        message = say("{kind}, raised by: {line}", kind=error.ename, line=lines[-1].strip())
    return Failure(message, notebook, error.cell_index, traceback, passes=passes)


def _interrupted(notebook: Any, message: str) -> Failure:
    """Say what stopped a notebook from outside, in the last cell that was begun."""
    begun = [i for i, c in enumerate(notebook.cells) if c.metadata.get("papermill", {}).get("start_time")]
    return Failure(message, notebook, begun[-1] if begun else None, passes=True)


def _clean(notebook: Any, root: Path) -> None:
    """Strip what is of this machine or of this minute, in place."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    kept = {k: notebook.metadata[k] for k in ("language", "language_info", "title") if k in notebook.metadata}
    notebook.metadata = type(notebook.metadata)({"kernelspec": kernel, **kept})
    for cell in notebook.cells:
        for stamp in ("papermill", "execution", "ExecuteTime"):
            cell.metadata.pop(stamp, None)
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = without_paths(output.text, root)
            elif output.output_type == "error":
                output.evalue = without_paths(output.evalue, root)
                output.traceback = [without_paths(page.plain(line), root) for line in output.traceback]


def _reads() -> set[tuple[str, str, str]]:
    """Give what was read: source, version and table."""
    try:
        lines = Path(os.environ.get(READS, "none")).read_text("utf-8").splitlines()
    except OSError:
        return set()
    return {(source, version, table) for source, version, table in (line.split("\t") for line in lines)}


def _inputs(job: Job) -> dict[str, Any]:
    """Give the version of the data and, where that has digests, those of the tables that were read of it alone."""
    source, version, read = str(job.slot.parameters.get("source", "")), job.slot.data_version, _reads()
    digests = table_digests(source, version, job.root)
    tables = {name: digests.get(name) for _, _, name in read}
    whole = tables and all(tables.values()) and {one[:2] for one in read} == {(source, version)}
    return {"version": version} | ({"tables": tables} if whole else {})


def _about_data(job: Job) -> dict[str, list[str]]:
    """Say which share of the records of the tables that were read was refused, and what to be warned of in them."""
    read: dict[str, set[str]] = {}
    for source, _, table in _reads():
        read.setdefault(source, set()).add(table)
    said: dict[str, list[str]] = {"refusals": [], "warnings": []}
    if not read:  # nor are the libraries of the warehouse
        return said
    from workbench.warehouse import open_warehouse

    for source, names in sorted(read.items()):
        with contextlib.suppress(WorkbenchError):  # a source that is gone since
            account = open_warehouse(source, root=job.root).full_account()
            said["refusals"] += account.refusals(names)
            said["warnings"] += account.warned(names)
    return said


def _called(parameter: dict[str, Any], job: Job) -> dict[str, Any]:
    """Give a parameter that names a campaign or a warehouse with what people call it: its name, or the operator's."""
    with contextlib.suppress(WorkbenchError):
        if parameter["unit"] == "warehouse" and job.slot.data_version:
            from workbench.warehouse import open_warehouse

            return {**parameter, "called": open_warehouse(str(parameter["value"]), root=job.root).operator}
        if parameter["unit"] == "campaign":
            from workbench.reports.runs.choices import campaign_name

            asked = str(parameter["value"]), str(job.slot.parameters.get("source", "")), job.root
            if name := campaign_name(*asked):
                return {**parameter, "called": name}
    return parameter


def _manifest(job: Job, seconds: float) -> dict[str, Any]:
    from importlib.metadata import version

    slot, versions = job.slot, {"workbench": workbench.__version__, "python": platform.python_version()}
    return {
        "study": slot.study.name,
        "title": slot.study.title,
        "slot": slot.name,
        "parameters": [_called(p, job) for p in job.parameters()],
        "data_version": slot.data_version,
        "fingerprint": slot.fingerprint,
        "code": slot.code,
        "inputs": _inputs(job),
        **_about_data(job),
        "period": slot.period,
        "plan": slot.plan,
        "attempt": job.attempt,
        "minimum_cell": slot.minimum_cell,
        "formats": list(slot.formats),
        "languages": list(slot.languages),
        "lacking": {},
        "versions": versions | {name: version(name) for name in _VERSIONED},
        "finished": dt.datetime.now().astimezone().isoformat(sep=" ", timespec="minutes"),
        "seconds": round(seconds, 1),
    }
