"""Dask workers make the reports, the ledger stays here: a worker or a scheduler that dies loses nothing."""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench.reports.runs.ledger import Ledger

pytestmark = [
    pytest.mark.prove,  # processes of four kinds take half a minute
    pytest.mark.skipif(find_spec("distributed") is None, reason="skipped: distributed is not installed"),
]

CELLS = [
    new_code_cell("n: int = 0  # number: which one", metadata={"tags": ["parameters"]}),
    new_code_cell("import time; time.sleep(0.5)"),
    new_code_cell("from workbench.reports.page.notebook import answer\nanswer(f'Slot {n}.')"),
]


def _start(*command, **more):
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", *command], env=env | more, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def cluster(tmp_path, until):
    """A scheduler on this machine, a way to start workers, and a project of four cheap slots."""
    root, place = tmp_path / "项 目", tmp_path / "scheduler.json"
    for part in ("notebooks", "data/mappings", "reports/plans"):
        (root / part).mkdir(parents=True)
    nbformat.write(new_notebook(cells=CELLS), root / "notebooks/s.ipynb")
    plan = 'formats = ["html"]\n[[study]]\nname = "s"\nparameters = {n = [0, 1, 2, 3]}\n'
    (root / "reports/plans/many.toml").write_text(plan, "utf-8")
    local = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(place))
    made = [_start("distributed.cli.dask_scheduler", *local, "--no-dashboard")]
    address = until(lambda: place.exists() and place.read_text() and json.loads(place.read_text())["address"])

    def worker():
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path))
        made.append(_start("distributed.cli.dask_worker", address, *options))
        return made[-1]

    def run(*more):
        made.append(_start("workbench", "run", "--plan", "many", "--dask", address, *more, WORKBENCH_HOME=str(root)))
        return made[-1]

    yield made[0], worker, run, root
    for process in made:
        process.kill()
        process.wait()
        process.stderr.close()


def _states(root):
    with Ledger(root) as ledger:
        return [row["state"] for row in ledger.rows()], [h["state"] for h in ledger.history()]


def test_a_killed_worker_s_slots_are_done_by_another(cluster, until):
    """kill -9 of a Dask worker in the middle: every slot is published once."""
    _, worker, run, root = cluster
    victim, _ = worker(), worker()
    process = run()
    until(lambda: list(root.glob("reports/site/s/*/manifest.json")))
    os.kill(victim.pid, signal.SIGKILL)
    assert process.wait() == 0, process.stderr.read()
    assert _states(root) == (["done"] * 4, ["done"] * 4)
    assert len(list(root.glob("reports/site/s/*/index.html"))) == 4


def test_a_lost_scheduler_is_one_clear_error_and_the_next_run_goes_on(cluster, until):
    """No claim stays behind; what was published stands."""
    scheduler, worker, run, root = cluster
    worker()
    process = run()
    until(lambda: list(root.glob("reports/site/s/*/manifest.json")))
    scheduler.kill()
    said = process.communicate()[1]
    assert "was lost; what was published stands" in said and "Traceback" not in said and process.returncode == 2, said
    states, _ = _states(root)
    assert set(states) == {"due", "done"}
    again = run()
    assert "no Dask scheduler answers" in again.communicate()[1] and again.returncode == 2
