"""Beyond one machine: Dask workers make the reports; this process keeps the ledger, its claims and the publishing.

The workers' machines see the project's folder under the same path, and have the same environment. Each report is made
in a process of its own below a Dask worker, by a plain kernel. Dask gives the work of a worker that dies to another.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from workbench.errors import WorkbenchError
from workbench.messages import Number, say
from workbench.reports.runs.execute import run_job, write_failed
from workbench.reports.runs.job import Job
from workbench.reports.runs.slots import read_manifest

_WITHOUT_WORKERS, _POLL = 30.0, 0.2


class Cluster:
    """The workers of a Dask scheduler, used like `workers.Workers`."""

    def __init__(self, address: str, *, patience: float) -> None:
        try:
            from distributed import Client
            from distributed.comm.addressing import parse_address, parse_host_port

            parse_host_port(parse_address(address)[1])  # a client that finds out itself hangs at its end
            for handler in logging.getLogger("distributed").handlers:
                handler.setLevel(logging.CRITICAL)  # what matters is said below, in a sentence
            self._client = Client(address, timeout=10, set_as_default=False)
        except ImportError:
            raise WorkbenchError("--dask needs the package distributed. Install it: pip install distributed") from None
        except (OSError, TimeoutError, ValueError) as error:
            raise WorkbenchError("no Dask scheduler answers at '{address}': {error}. Start: dask scheduler").of(
                address, error
            ) from None
        self._address, self._patience = address, patience

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):  # a client that is still looking for its scheduler cannot always be closed
            self._client.close(timeout=2)

    def run(self, jobs: Iterable[Job | None]) -> Iterator[tuple[Job, dict[str, Any]]]:
        """Run jobs, each asked for when a thread of a worker is free; give each with its manifest as it ends."""
        coming: Iterator[Job | None] | None = iter(jobs)
        busy: dict[Any, tuple[Job, float]] = {}
        seen = time.monotonic()
        while coming or busy:
            lanes = self._lanes()
            seen = time.monotonic() if lanes else seen
            if time.monotonic() - seen > _WITHOUT_WORKERS:
                raise WorkbenchError("'{address}' has no worker. Start some: dask worker {address}").of(self._address)
            job: Any = next(coming, self) if coming and len(busy) < lanes else None
            if job is self:
                coming = None
            elif job is not None:
                with self._connected():
                    future = self._client.submit(work, job, self._patience, key=f"report-{job.attempt}", pure=False)
                busy[future] = (job, time.monotonic())
            ended = [future for future in busy if future.done()]
            for future in ended:
                job, since = busy.pop(future)
                yield job, self._result(future, job, time.monotonic() - since)
            if job is None and not ended:
                time.sleep(_POLL)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """Whatever a client raises of itself comes of a lost connection: what a report raises is given, not raised."""
        try:
            if self._client.status == "running":
                yield
                return
        except Exception:
            pass
        raise WorkbenchError(
            "the Dask scheduler at '{address}' was lost; what was published stands. Start it, and run the same "
            "command again: it goes on where it was."
        ).of(self._address)

    def _lanes(self) -> int:
        with self._connected():
            return sum(self._client.nthreads().values())

    def _result(self, future: Any, job: Job, seconds: float) -> dict[str, Any]:
        with self._connected():
            if (error := future.exception()) is None:
                return future.result()
        message = say("the report could not be made: {kind}: {error}", kind=type(error).__name__, error=str(error))
        return write_failed(job, message, seconds, passes=True)


def work(job: Job, patience: float) -> dict[str, Any]:
    """Make a report in a process of its own, on the machine of a Dask worker; give its manifest."""
    if not job.folder.is_dir():
        raise WorkbenchError("this worker does not see {root}. Mount the project under the same path everywhere.").of(
            job.root
        )
    for left in job.folder.iterdir():  # of a worker that died over it
        left.unlink()
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        command = [sys.executable, "-m", "workbench.reports.runs.fanout"]
        done = subprocess.run(command, input=pickle.dumps(job), env=env, timeout=patience)
        why = say("its process ended with status {code}, most likely for want of memory.", code=str(done.returncode))
    except subprocess.TimeoutExpired:
        why = say("its process ended by force after {n} s.", n=Number(patience, ".0f"))
    return read_manifest(job.folder) or write_failed(job, why, patience, passes=True)


if __name__ == "__main__":
    from workbench.reports.runs.workers import begin

    begin(os.getppid())
    try:
        asked = pickle.loads(sys.stdin.buffer.read())
    except (EOFError, pickle.UnpicklingError):  # who asked was ended over it
        sys.exit(1)
    run_job(asked)
