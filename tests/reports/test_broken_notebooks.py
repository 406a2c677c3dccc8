"""A notebook that can't be read is named with its reason, and the others are listed, planned and run all the same."""

import datetime as dt
import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench.cli import main
from workbench.errors import WorkbenchError
from workbench.reports.runs import schedule
from workbench.reports.runs.plans import load_plan
from workbench.reports.runs.render import run
from workbench.reports.runs.slots import find_studies

GOOD = "n: int = 1  # number: any"
PLAN = """
cron = "0 6 1 * *"
[parameters]
n = 2
other = "x"
[[study]]
name = "good"
[[study]]
name = "broken"
"""


def text(cell, **changed):
    """Write a notebook of one cell of parameters."""
    cells = [new_markdown_cell("# X"), new_code_cell(cell, metadata={"tags": ["parameters"]})]
    return json.dumps(json.loads(nbformat.writes(new_notebook(cells=cells))) | changed)


DAMAGED = {
    "cut off": text(GOOD)[:120].encode(),
    "empty": b"",
    "not UTF-8": text("x: str = '客户'  # any: any").encode().decode("unicode_escape").encode("gb18030"),
    "format 3": json.dumps({"nbformat": 3, "worksheets": []}).encode(),
    "a list": b"[1]",
    "no cells": text(GOOD, cells=None).encode(),
    "deep": b"[" * 100_000,
    "no Python": text("n: int = = 1").encode(),
    "no declaration": text("n = 1").encode(),
    "needs": text("needs = {'no_table': 1}").encode(),
    "a folder": None,
}


@pytest.fixture(params=DAMAGED)
def root(request, tmp_path, monkeypatch):
    """A project with a good notebook and a broken one, and a plan of both."""
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    (notebooks / "good.ipynb").write_text(text(GOOD), "utf-8")
    if (raw := DAMAGED[request.param]) is None:
        (notebooks / "broken.ipynb").mkdir()
    else:
        (notebooks / "broken.ipynb").write_bytes(raw)
    (tmp_path / "data/mappings").mkdir(parents=True)
    (tmp_path / "reports/plans").mkdir(parents=True)
    (tmp_path / "reports/plans/both.toml").write_text(PLAN, "utf-8")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    return tmp_path


def ended(capsys, *words):
    """Run a command; give its exit code and what it said on both streams."""
    with pytest.raises(SystemExit) as status:
        main(words)
    return status.value.code, *capsys.readouterr()


def test_the_others_are_listed(root, capsys):
    """By hand: the good one with its parameter, the broken one on the error stream, and 2."""
    code, out, err = ended(capsys, "list")
    assert code == 2 and out.startswith("good: X\n") and "broken" not in out
    assert err.startswith("workbench: notebook 'broken.ipynb': ") and err.count("broken.ipynb': ") in (1, 2)
    assert err.count("\n") == 1 and "Errno" not in err and "Error" not in err


@pytest.mark.parametrize("words", [("list", "--plan", "both"), ("status", "--plan", "both"), ("schedule", "show")])
def test_a_plan_says_what_of_it_is_broken(words, root, capsys):
    """Its other studies stand in the list."""
    code, out, err = ended(capsys, *words)
    assert code == 2 and ("both" if words[-1] == "show" else "good") in out and "notebook 'broken.ipynb': " in err


def test_a_plan_has_the_others(root):
    """Parameters that only the broken one may have are no mistake; asked for by name it says why."""
    plan = load_plan("both", root)
    assert [(slot.study.name, slot.parameters) for slot in plan.slots(None, root)] == [("good", {"n": 2})]
    assert list(plan.broken) == ["broken"]
    with pytest.raises(WorkbenchError, match=r"^notebook 'broken\.ipynb': "):
        plan.slots(None, root, studies=["broken"])
    (root / "reports/plans/both.toml").write_text('[[study]]\nname = "broken"\n', "utf-8")
    with pytest.raises(WorkbenchError, match=r"^plan 'both': notebook 'broken\.ipynb': "):
        load_plan("both", root)


def test_a_tick_runs_the_others_and_comes_back(root):
    """The plan is not dealt with before its broken notebook is mended."""
    ran = []
    now = dt.datetime(2026, 11, 1, 7, tzinfo=dt.UTC)
    for _ in range(2):
        did, lost = schedule.tick(root=root, now=now, run=lambda plan, slots, root: ran.extend(slots))
        assert not did.dealt_with and not did.error and "notebook 'broken.ipynb': " in lost.line().said()
    assert [slot.study.name for slot in ran] == ["good", "good"]


def test_one_that_is_asked_for_is_refused_alone(root):
    """Nothing has run then; its reason is said once."""
    with pytest.raises(WorkbenchError, match=r"^notebook 'broken\.ipynb': (?!notebook)"):
        run(["good", "broken"], root=root, progress=False)
    assert find_studies(root)["broken"].broken and not find_studies(root)["good"].broken


@pytest.mark.parametrize("timeout", ["nan", "inf", "1e300"])
def test_no_time_is_refused_before_anything_runs(timeout, tmp_path, monkeypatch, capsys):
    """It made every report fail with an error of Python, after the kernels had started."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "data/mappings").mkdir(parents=True)
    (tmp_path / "notebooks/good.ipynb").write_text(text(GOOD), "utf-8")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    code, out, err = ended(capsys, "run", "--timeout", timeout)
    said = f"workbench: timeout is a number of seconds from 1 to 1,000,000, not {float(timeout)!r}.\n"
    assert (code, out, err) == (2, "", said) and not (tmp_path / "reports/site").exists()


def test_all_are_run_but_it(tmp_path, monkeypatch, capsys):
    """The good one has its report, the broken one is refused with its reason."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "data/mappings").mkdir(parents=True)
    (tmp_path / "notebooks/good.ipynb").write_text(text(GOOD), "utf-8")
    (tmp_path / "notebooks/broken.ipynb").write_bytes(b"")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    code, out, err = ended(capsys, "run", "--jobs", "1")
    assert code == 2 and "2 reports: 1 done, 1 refused" in out
    assert "broken: refused: notebook 'broken.ipynb': this is not a notebook of format 4." in err
    assert (tmp_path / "reports/site/good/default/index.html").is_file()
