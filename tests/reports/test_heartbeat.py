"""Schedulers run, are doubled, stopped and killed: every slot is finished exactly once all the same."""

import datetime as dt
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench.locks import locked
from workbench.reports.runs.ledger import Ledger
from workbench.reports.runs.schedule import tick
from workbench.reports.runs.slots import read_manifest

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="skipped: looks for processes in /proc")

SLOTS = 3
PLAN = 'cron = "* * * * *"\njobs = 1\nformats = ["html"]\n[[study]]\nname = "s"\nparameters = {{n = {values}}}\n'
SAY = "from workbench.reports.page.notebook import answer\nanswer(f'Slot {n}.')"


STARTED: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def _no_scheduler_outlives_its_test():
    """End what a test that failed left running."""
    yield
    for process in STARTED:
        process.kill()
        process.wait()
        process.stderr.close()
    STARTED.clear()


@pytest.fixture
def root(tmp_path):
    """A project with one cheap study, due every minute, one report at a time."""
    for part in ("notebooks", "data/mappings", "reports/plans"):
        (tmp_path / part).mkdir(parents=True)
    _write(tmp_path, SAY)
    (tmp_path / "reports/plans/often.toml").write_text(PLAN.format(values=list(range(SLOTS))), "utf-8")
    return tmp_path


def _write(root, body):
    cells = [new_code_cell("n: int = 0  # number: which one", metadata={"tags": ["parameters"]}), new_code_cell(body)]
    nbformat.write(new_notebook(cells=cells), root / "notebooks/s.ipynb")


def _scheduler(root):
    source = str(Path(__file__).parents[2] / "src")
    env = os.environ | {"WORKBENCH_HOME": str(root), "PYTHONPATH": source}
    command = [sys.executable, "-m", "workbench", "schedule", "run", "--every", "1"]
    STARTED.append(subprocess.Popen(command, env=env, start_new_session=True, stderr=subprocess.PIPE, text=True))
    return STARTED[-1]


def _below(pid):
    """Give the processes below one, whichever of its threads started them."""
    children = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            children += map(int, task.read_text().split())
    return [p for child in children for p in (child, *_below(child))]


def _states(root):
    with Ledger(root) as ledger:
        return [row["state"] for row in ledger.rows()]


def _done(root):
    with Ledger(root) as ledger:
        return sum(h["state"] == "done" for h in ledger.history())


def _stop(process):
    process.send_signal(signal.SIGTERM)
    return process.communicate()[1]


def _held(root, versions=1):
    """Each slot was done once in each version of its inputs, never two at a time, and the last is what stands."""
    with Ledger(root) as ledger:
        done = [h for h in ledger.history() if h["state"] == "done"]
        rows = ledger.rows()
    assert set(Counter((h["slot"], h["fingerprint"]) for h in done).values()) == {1}
    assert len(done) == SLOTS * versions
    assert all(a["finished"] <= b["started"] for a, b in itertools.pairwise(done))
    for row in rows:
        manifest = read_manifest(root / row["outputs"])
        assert (row["state"], manifest["status"], manifest["attempt"]) == ("done", "done", row["token"])


def _two_schedulers(root, seconds, versions):
    both = [_scheduler(root), _scheduler(root)]
    for version in range(1, versions + 1):
        end = time.monotonic() + seconds / versions
        with Ledger(root) as ledger:
            while time.monotonic() < end or len(ledger.history()) < SLOTS * version:
                time.sleep(0.2)
        if version < versions:
            (root / "requirements.lock").write_text(f"# {version}")
    assert not any("Traceback" in _stop(process) for process in both)
    _held(root, versions)


@pytest.mark.prove
def test_two_schedulers_run_no_slot_twice(root):
    """Fifteen seconds, each ticking every second on one ledger."""
    _two_schedulers(root, 15, 1)


@pytest.mark.prove
def test_two_schedulers_for_five_minutes(root):
    """The inputs change three times meanwhile: every slot is run once a version, no two ticks at a time."""
    _two_schedulers(root, 300, 4)


@pytest.mark.parametrize("how", ["terminal", "service"])
def test_a_stopped_scheduler_leaves_nothing_running_and_nothing_claimed(root, until, how):
    """Ctrl-C goes to the whole group, SIGTERM to the scheduler alone: its slots are due, and it says no traceback."""
    _write(root, "open('begun', 'w').close()\nimport time\nwhile True: time.sleep(1)")
    process = _scheduler(root)
    until((root / "begun").exists, process)
    below = _below(process.pid)
    assert below
    os.killpg(process.pid, signal.SIGINT) if how == "terminal" else process.terminate()
    said = process.communicate()[1]
    assert (process.returncode, "Traceback" in said) == (0, False), said
    assert set(_states(root)) == {"due"}
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below))


def test_fifteen_minutes_of_downtime_are_one_catch_up(root):
    """A plan of every minute, dead from 11:45 to 12:00: one run of what changed, and nothing more."""
    runs = []

    def run(plan, slots, root):
        runs.append(len(slots))
        with Ledger(root) as ledger:
            for slot in slots:
                ledger.finish(ledger.claim(slot, force=True), {"status": "failed", "error": "no"})

    start = dt.datetime(2026, 11, 22, 11, 45, tzinfo=dt.UTC)
    for minutes in (0, 0, 15, 15, 15.9):
        tick(root=root, now=start + dt.timedelta(minutes=minutes), run=run)
    assert runs == [SLOTS, SLOTS]
    assert tick(root=root, now=start - dt.timedelta(days=1), run=run) == []  # the clock was set back


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(2))
def test_kills_of_schedulers_and_ticks_lose_nothing(root, until, seed):
    """kill -9 of the scheduler, of its tick or of what runs below, ten times: then every slot is finished once.

    When all are done, the inputs change, and all are due again.
    """
    rng, lost, versions = random.Random(seed), 0, 1
    _write(root, f"import time; time.sleep(1)\n{SAY}")
    while lost < 10:
        process = _scheduler(root)
        time.sleep(rng.uniform(0.5, 6))
        below = _below(process.pid)
        whom = rng.choice([process.pid, *below[:1], *below])
        try:
            os.kill(whom, signal.SIGKILL)
            lost += 1
        except ProcessLookupError:
            pass
        if whom != process.pid:
            time.sleep(rng.uniform(0, 2))
        process.kill()
        process.communicate()
        if not _at_work(root) and _done(root) == SLOTS * versions:
            (root / "requirements.lock").write_text(f"# {versions}")
            versions += 1
    process = _scheduler(root)
    until(lambda: _done(root) >= SLOTS * versions, process)
    _stop(process)
    print(f"seed {seed}: {lost} kills, {versions} versions of {SLOTS} slots")
    _held(root, versions)


def _at_work(root):
    """Say whether a tick holds its turn, also one whose scheduler was killed."""
    try:
        with locked(root / "reports/runs/tick", wait=False):
            return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
