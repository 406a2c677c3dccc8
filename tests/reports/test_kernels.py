"""Forked kernels give what plain ones give, and none outlives the run."""

import json
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench.reports.runs import workers
from workbench.reports.runs.job import Job
from workbench.reports.runs.kernels import FORKS
from workbench.reports.runs.slots import Slot, Study
from workbench.reports.runs.workers import Workers

pytestmark = pytest.mark.skipif(not FORKS, reason="skipped: kernels are forked on Linux only")

SAY = """
import os, subprocess, sys
import numpy as np
import pandas as pd
from workbench.reports.page.notebook import answer, record, show_figure, show_table, use_theme
from workbench.result import Quantity
use_theme()
show_table(pd.DataFrame({"a": [1.5, 2]}), name="t", caption="表")
answer("北京 rose.")
record(Quantity("mean", float(np.random.default_rng(1).normal()), "yuan"))
assert np.random.randint(2**31) != np.random.RandomState(0).randint(2**31)
assert subprocess.run([sys.executable, "-c", "raise SystemExit(3)"]).returncode == 3
assert __name__ == "__main__" and os.environ["WORKBENCH_HOME"]
"""
DECLARED = "from workbench.reports.runs.secrets import secret\ntoken: secret = 'env:WB_TEST_SECRET'"
FIGURE = """
from matplotlib import pyplot as plt
figure, ax = plt.subplots()
ax.plot([1, 2], [3, 1], label="北京")
show_figure(ax, name="line", caption="Line.", alt="A line that falls from 3 to 1.")
"""


def _job(tmp_path: Path, name: str, *sources: str, timeout: float = 3600.0) -> Job:
    notebook = tmp_path / f"{name}.ipynb"
    tags = [["parameters"] if s.startswith(DECLARED) else [] for s in sources]
    cells = [new_code_cell(s.strip(), metadata={"tags": t}) for s, t in zip(sources, tags, strict=True)]
    nbformat.write(new_notebook(cells=cells), notebook)
    folder = tmp_path / f"made-{name}"
    folder.mkdir()
    study = Study(name, notebook)
    slot = Slot(study, {p.name: p.default for p in study.parameters}, "default", "0", "")
    return Job(slot, tmp_path, folder, timeout, preload=("none",))


@pytest.fixture(autouse=True)
def _own_workers(kept_workers, monkeypatch):
    """Nothing here is made by a worker that other tests have used."""
    monkeypatch.setattr(workers, "_Lane", kept_workers)


def _made(jobs: list[Job]) -> dict[str, dict]:
    with Workers(1, patience=3600) as lane:
        return {job.slot.study.name: manifest for job, manifest in lane.run(jobs)}


def test_forked_reports_are_the_plain_ones(tmp_path):
    """Numbers, tables and notebook are the same to the byte, and so is the page but for its time."""
    forked = _job(tmp_path, "forked", SAY, FIGURE)
    slot = replace(forked.slot, study=Study("plain", forked.slot.study.path))
    plain = replace(forked, slot=slot, folder=tmp_path / "made-plain", preload=())
    plain.folder.mkdir()
    made = _made([forked, plain])
    assert {m["status"] for m in made.values()} == {"done"}, made
    for name in ("results.json", "report.ipynb"):
        assert (forked.folder / name).read_bytes() == (plain.folder / name).read_bytes(), name


def test_a_kernel_that_dies_hangs_or_prints_costs_its_own_slot(tmp_path):
    """The next kernel is forked as if nothing had been."""
    die = _job(tmp_path, "die", "import os, signal", "os.kill(os.getpid(), signal.SIGKILL)")
    hang = _job(tmp_path, "hang", "import time", "time.sleep(9999)", timeout=2.0)
    loud = _job(tmp_path, "loud", "import os", "os.write(1, b'{}')", "os.system('echo {}')", "1 / 0")
    good = _job(tmp_path, "good", SAY)
    made = _made([die, hang, loud, good])
    assert "died" in made["die"]["error"]
    assert "longer than" in made["hang"]["error"]
    assert "ZeroDivisionError" in made["loud"]["error"]
    assert made["good"]["status"] == "done", made["good"]


def test_no_kernel_outlives_a_worker_that_is_killed(tmp_path, until):
    """kill -9 of the worker ends the preloaded process and its kernels."""
    tell = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(__import__('os').getpid()))"
    job = _job(tmp_path, "long", tell, "import time; time.sleep(9999)")
    code = (
        "import pickle, sys; from workbench.reports.runs.execute import prepare_worker, run_job\n"
        "prepare_worker(); run_job(pickle.loads(sys.stdin.buffer.read()))"
    )
    worker = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    worker.stdin.write(pickle.dumps(job))
    worker.stdin.close()
    kernel = until(lambda: int((tmp_path / "pid").read_text() or 0) if (tmp_path / "pid").is_file() else 0)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    commands = Path(f"/proc/{kernel}/cmdline")
    assert until(lambda: not commands.exists() or not commands.read_bytes())


def test_a_preloaded_process_that_dies_is_replaced(tmp_path):
    """Its slot says why; the next one has a new process."""
    kill = "import os, signal; os.kill(os.getppid(), signal.SIGKILL); import time; time.sleep(9999)"
    made = _made([_job(tmp_path, "kill", kill), _job(tmp_path, "after", SAY)])
    assert "died" in made["kill"]["error"]
    assert made["after"]["status"] == "done", json.dumps(made["after"])


def test_where_every_process_has_a_thread_kernels_are_plain(tmp_path, monkeypatch):
    """As an agent of the operator's monitoring does it, by sitecustomize; who asks for forked kernels is told."""
    side = tmp_path / "side"
    side.mkdir()
    start = "import threading, time\nthreading.Thread(target=time.sleep, args=(9999,), daemon=True).start()\n"
    (side / "sitecustomize.py").write_text(start)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(side), os.environ.get("PYTHONPATH", "")])))
    count = "assert 'sitecustomize' in __import__('sys').modules"
    auto, forked = _job(tmp_path, "auto", count), replace(_job(tmp_path, "forked", count), forked=True)
    again = replace(auto, slot=replace(auto.slot, study=Study("again", auto.slot.study.path)))
    made = _made([auto, forked, again])
    assert (made["auto"]["status"], made["again"]["status"]) == ("done", "done"), made
    assert "can't be forked. Use --kernel plain." in made["forked"]["error"]


def test_a_report_that_shows_a_secret_is_not_kept(tmp_path, monkeypatch):
    """The slot fails, and neither page nor notebook holds the value; one that only uses it is published."""
    monkeypatch.setenv("WB_TEST_SECRET", "correct horse battery")
    shown = _job(tmp_path, "shown", DECLARED, "print(secret(token))")
    raised = _job(tmp_path, "raised", DECLARED, "raise ValueError(secret(token))")
    used = _job(tmp_path, "used", DECLARED, "value = secret(token)", SAY)
    made = _made([shown, raised, used])
    assert [made[name]["status"] for name in ("shown", "raised", "used")] == ["failed", "failed", "done"], made
    assert "secret of 'token'" in made["shown"]["error"]
    for job in (shown, raised):
        assert all(b"correct horse" not in path.read_bytes() for path in job.folder.iterdir())
