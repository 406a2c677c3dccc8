"""What does a report cost? A grid of provinces and studies, in CPU seconds: script, papermill, our kernels.

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

from workbench.reports.page.lists import OUTPUT
from workbench.reports.runs.parameters import as_code
from workbench.reports.runs.plans import load_plan
from workbench.reports.runs.slots import Slot
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
sys.modules["IPython.display"] = stub
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
            own = {OUTPUT: tempfile.mkdtemp(dir=folder)}  # lists that a study writes
            running.append(subprocess.Popen(command, cwd=folder, env=env | own, stdout=subprocess.DEVNULL))


def script(slot: Slot, folder: Path) -> list[str]:
    """Write the cells of a slot as a script; give its command."""
    cells = [c for c in slot.study.cells if c["kind"] == "code"]
    code = [c["source"] + "\n" + as_code(slot.parameters) * ("parameters" in c["tags"]) for c in cells]
    path = folder / f"{'-'.join(slot.key)}.py"
    path.write_text("\n".join([SHOW_NOTHING, *code]), "utf-8")
    return [sys.executable, str(path)]


def papermill(slot: Slot, folder: Path) -> list[str]:
    """Give the command by which papermill's own users run a slot."""
    values = [f for name, value in slot.parameters.items() for f in ("-p", name, str(value))]
    made = folder / f"{'-'.join(slot.key)}.ipynb"
    command = [sys.executable, "-m", "papermill", str(slot.study.path), str(made), "-k", "python3", *values]
    return [*command, "--cwd", str(folder), "--no-progress-bar", "--log-level", "ERROR"]


def ours(kernel: str) -> list[str]:
    """Give the command by which the workbench makes all reports of the plan."""
    return [sys.executable, "-m", "workbench", "run", "--plan", "grid", "--jobs", "2", "--force", "--kernel", kernel]


def numbers(folder: Path) -> dict[str, bytes]:
    """Read every results.json of a project."""
    site = folder / "reports" / "site"
    return {path.parent.relative_to(site).as_posix(): path.read_bytes() for path in site.glob("*/*/results.json")}


def main(count: int) -> None:
    """Print one line a way, and whether plain and forked kernels gave the same numbers to the byte."""
    known = open_warehouse("sample", root=HERE).query(PROVINCES)["province"]
    provinces = [known[round(i * (len(known) - 1) / max(count - 1, 1))] for i in range(count)]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made, "grid")
        project(folder, provinces)
        slots = load_plan("grid", folder).slots(None, folder)
        together([script(slot, folder) for slot in slots[:: len(provinces)]], folder)  # warm: files, bytecode
        found, said = {}, {}
        for way, commands in {
            "script": [script(slot, folder) for slot in slots],
            "papermill": [papermill(slot, folder) for slot in slots],
            "plain": [ours("plain")],
            "forked": [ours("forked")],
        }.items():
            cpu, wall = spent(lambda commands=commands: together(commands, folder))
            found[way], said[way] = cpu, numbers(folder)
            each = f"{cpu / len(slots):5.2f} CPU s a report, {cpu / found['script']:4.2f} of the script"
            print(f"{way:9} {each}; {wall:5.0f} s for {len(slots)} reports on 2 processors", flush=True)
        if not said["plain"] or said["plain"] != said["forked"] or len(said["plain"]) != len(slots):
            raise SystemExit("plain and forked kernels gave different numbers, or some report failed")
        print(f"plain and forked: the same numbers in {len(slots)} reports, to the byte")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--provinces", type=int, default=3, help="31 for the whole country")
    main(parser.parse_args().provinces)
