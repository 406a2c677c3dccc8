"""What does a report cost? A grid of provinces and studies, as CPU seconds a report: script, papermill, and our kernels.

The same cells with the same parameters four times: (a) as a script, a process each, nothing shown; (b) by papermill's
command line, which writes the executed notebook; (c) as our reports (page, sheets, PDF, numbers, ledger, index) with
plain kernels; (d) the same with forked ones. CPU is that of the whole tree of processes, the preloading too.

Run: python benchmarks/grid.py [--provinces N] (needs the sample operator: workbench data ensure)
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from workbench.reports.parameters import as_code
from workbench.reports.plans import load_plan
from workbench.reports.slots import Slot
from workbench.warehouse import open_warehouse

HERE = Path(__file__).resolve().parents[1]
PROVINCES = "SELECT province FROM customer GROUP BY province ORDER BY count(*), province"
# As in the monthly plan, but that a province has fewer respondents than the country: 10 make a cell.
STUDIES = {
    "segmentation": {"resamples": 20},
    "satisfaction": {"resamples": 200, "minimum": 10},
    "uplift": {"resamples": 200},
}
SHOW_NOTHING = """
import sys, types
stub = types.ModuleType("IPython.display")
stub.display, stub.Markdown = lambda *_, **__: None, str
sys.modules |= {"IPython": types.ModuleType("IPython"), "IPython.display": stub}
"""
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}


def spent(work: Callable[[], Any]) -> tuple[float, float]:
    """CPU and wall seconds of a piece of work that other processes do."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.monotonic() - began


def project(folder: Path, provinces: list[str]) -> None:
    """Make a project of our notebooks, the sample operator and one plan."""
    for part in ("data/mappings", "data/models", "notebooks"):
        shutil.copytree(HERE / part, folder / part)
    (folder / "data" / "warehouse").symlink_to((HERE / "data" / "warehouse").resolve())
    key = HERE / "data" / "private"
    if key.is_dir():
        shutil.copytree(key, folder / "data" / "private")
    plan = ['source = "sample"']
    for name, values in STUDIES.items():
        grid = {"province": provinces} if name != "uplift" else {"seed": list(range(len(provinces)))}
        plan += ["[[study]]", f'name = "{name}"', "[study.parameters]"]
        plan += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in (grid | values).items()]
    (folder / "reports" / "plans").mkdir(parents=True)
    (folder / "reports" / "plans" / "grid.toml").write_text("\n".join(plan[1:]), "utf-8")


def together(commands: Iterable[list[str]], folder: Path, width: int = 2) -> None:
    """Run commands, as many at a time as there are processors; all must end well."""
    running: list[subprocess.Popen[bytes]] = []
    env = os.environ | ONE_THREAD | {"MPLBACKEND": "agg", "WORKBENCH_HOME": str(folder)}
    for command in [*commands, *[[]] * width]:
        while running and (len(running) == width or not command):
            process = running.pop(0)
            if process.wait():
                raise SystemExit(f"{' '.join(process.args[:4])} … ended with status {process.returncode}")
        if command:
            running.append(subprocess.Popen(command, cwd=folder, env=env, stdout=-3, stderr=-3))


def script(slot: Slot, folder: Path) -> list[str]:
    """Write the cells of a slot as a script; give its command."""
    cells = [c for c in slot.study.cells if c["kind"] == "code"]
    code = [c["source"] + "\n" + as_code(slot.parameters) * ("parameters" in c["tags"]) for c in cells]
    path = folder / f"{'-'.join(slot.key)}.py"
    path.write_text("\n".join([SHOW_NOTHING, *code]), "utf-8")
    return [sys.executable, str(path)]
