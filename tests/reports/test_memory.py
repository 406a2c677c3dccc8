"""Memory is bounded over hundreds of reports."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench.reports.runs.kernels import FORKS
from workbench.reports.runs.render import run_slots
from workbench.reports.runs.slots import find_slots

COUNT, MARKS = 200, (50, 100, 150, 190)
BODY = """
import numpy as np, pandas as pd
from matplotlib import pyplot as plt
from workbench.reports.page.notebook import answer, show_figure, show_table, use_theme
use_theme()
table = pd.DataFrame(np.random.default_rng(n).normal(size=(200, 5)))
show_table(table, name="t", caption="Numbers.")
show_figure(table.plot(), name="f", caption="Lines.", alt="Lines.")
answer(f"Slot {n}.")
"""


def _below(pid):
    """Give the processes below one, whichever of its threads started them."""
    children = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            children += map(int, task.read_text().split())
    return [p for child in children for p in (child, *_below(child))]


def _megabytes(pids):
    """Sum what each holds for itself and its share of what is shared."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


@pytest.mark.prove
@pytest.mark.skipif(not FORKS, reason="skipped: looks into /proc")
@pytest.mark.parametrize("kernel", ["forked", "plain"])
def test_memory_is_bounded_over_two_hundred_reports(tmp_path, kernel):
    """Driver, workers and preloaded processes hold at 190 reports at most a tenth more than at 50."""
    (tmp_path / "notebooks").mkdir()
    cells = [new_code_cell("n: int = 0  # number: which one", metadata={"tags": ["parameters"]}), new_code_cell(BODY)]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks/s.ipynb")
    slots = [find_slots(["s"], {"n": n}, tmp_path)[0] for n in range(COUNT)]
    held, over = {}, threading.Event()

    def watch():
        while not over.wait(0.1):
            done = len(list((tmp_path / "reports/site/s").glob("[!.]*")))
            at = next((mark for mark in MARKS if mark <= done < mark + 10), None)
            if at:
                known = _megabytes([os.getpid(), *_below(os.getpid())])
                held[at] = min(held.get(at, known), known)  # the least is that between two kernels

    watching = threading.Thread(target=watch)
    watching.start()
    began = time.monotonic()
    try:
        report = run_slots(slots, root=tmp_path, jobs=2, kernel=kernel, progress=False)
    finally:
        over.set()
        watching.join()
    assert {s.status for s in report.slots} == {"done"}
    said = ", ".join(f"{megabytes:.0f} MB at {at}" for at, megabytes in sorted(held.items()))
    print(f"{kernel}: {said} reports; {time.monotonic() - began:.0f} s")
    assert max(held.values()) < 1.1 * held[50] + 20
