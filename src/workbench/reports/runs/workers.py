"""Worker processes that a notebook cannot take down with it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from multiprocessing.process import BaseProcess
from typing import Any

from workbench.messages import say
from workbench.reports.runs.execute import prepare_worker, run_job, write_failed
from workbench.reports.runs.folders import sweep
from workbench.reports.runs.job import Job
from workbench.reports.runs.ledger import born
from workbench.reports.runs.stops import starting

RENEWED_AFTER = 100


class Workers:
    """Lanes of one process each: a worker that dies or hangs costs its own slot and no other.

    Parameters
    ----------
    count : int
        Number of lanes.
    patience : float
        Seconds after which a worker that has not answered is ended.
    """

    def __init__(self, count: int, *, patience: float) -> None:
        sweep()
        self._lanes = [_Lane() for _ in range(count)]
        self._patience = patience

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for lane in self._lanes:
            lane.end()

    def run(self, jobs: Iterable[Job | None]) -> Iterator[tuple[Job, dict[str, Any]]]:
        """Run jobs, each asked for when a lane is free (None: not now); give each with its manifest as it ends."""
        coming: Iterator[Job | None] | None = iter(jobs)
        free = list(self._lanes)
        busy: dict[Any, tuple[_Lane, Job, float]] = {}
        while coming or busy:
            while coming and free:
                try:
                    job = next(coming)
                except StopIteration:
                    coming = None
                    break
                if job is None:
                    break
                lane = free.pop()
                busy[lane.start(job)] = (lane, job, time.monotonic())
            if not busy:
                time.sleep(0.2 if coming else 0)
                continue
            ended, _ = wait(busy, timeout=0.5, return_when=FIRST_COMPLETED)
            for lane, _, since in busy.values():
                if time.monotonic() - since > self._patience:
                    lane.kill()
            for future in ended:
                lane, job, since = busy.pop(future)
                yield job, _result(future, job, time.monotonic() - since)
                free.append(lane)


class _Lane:
    """One worker process, started when needed, and again after its death or some jobs, so that memory is bounded."""

    def __init__(self) -> None:
        self._jobs = 0
        self._pool: ProcessPoolExecutor | None = None
        self._process: BaseProcess | None = None
        self._work: Future[dict[str, Any]] | None = None

    def start(self, job: Job) -> Future[dict[str, Any]]:
        self._jobs += 1
        if self._pool is not None and self._jobs > RENEWED_AFTER:
            self.end()
            self._pool = None
        if self._pool is not None:
            with contextlib.suppress(BrokenProcessPool):
                self._work = self._pool.submit(run_job, job)
                return self._work
        self._jobs = 1
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=begin, initargs=(os.getpid(),))
        with starting(signal.SIGINT):
            others = set(active_children())
            self._work = self._pool.submit(run_job, job)
            self._process = next(iter(set(active_children()) - others), None)
        return self._work

    def kill(self) -> None:
        """End the process, also one that has not begun its work yet."""
        if self._process is not None:
            self._process.terminate()

    def end(self) -> None:
        if self._pool is not None:
            if self._work is not None and not self._work.done():
                self.kill()
            self._pool.shutdown(wait=True, cancel_futures=True)


def is_child_of(parent: int) -> bool:
    """Whether the process that started this one still lives: on Windows its number stays that of a dead one."""
    return os.getppid() == parent and (hasattr(os, "fork") or bool(born(parent)))


def begin(parent: int) -> None:
    """Set up a worker that does not outlive the process that wants its work."""

    def watch() -> None:
        while is_child_of(parent):
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    prepare_worker()


def _result(future: Future[dict[str, Any]], job: Job, seconds: float) -> dict[str, Any]:
    try:
        return future.result()
    except BrokenProcessPool:
        message = say("its worker process ended without an answer, most likely for want of memory. Try --jobs 1.")
    except Exception as error:
        message = say("the report could not be made: {kind}: {error}", kind=type(error).__name__, error=str(error))
    return write_failed(job, message, seconds, passes=True)
