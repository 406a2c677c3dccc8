"""Who is stopped ends in order, whatever was only starting: no traceback, nothing left running, nothing claimed."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench.errors import WorkbenchError
from workbench.reports.runs.kernels import FORKS, Nursery
from workbench.reports.runs.ledger import Ledger

SOURCE = str(Path(__file__).parents[2] / "src")
linux = pytest.mark.skipif(not FORKS, reason="skipped: kernels are forked, and processes seen in /proc, on Linux only")
# A process whose command has the word of the stage says that it is there, and starts when it is let go.
SLOW = """
import os, sys, time
if os.environ["STAGE"] in " ".join(sys.orig_argv):
    here = os.environ["HERE"]
    with open(here + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(here + ".new", here)
    while not os.path.exists(here + ".go"):
        time.sleep(0.02)
"""


def _python(code, *arguments, **more):
    env = os.environ | {"PYTHONPATH": os.pathsep.join([*more.pop("path", ()), SOURCE])} | more.pop("env", {})
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, *code, *arguments], env=env, text=True, **pipes | more)


def _said(code):
    """Run code, with the signals at hand; give its status, what it printed and what it complained."""
    head = "import os, signal, subprocess, sys\nfrom workbench.reports.runs.stops import *\n"
    process = _python(["-c", head + code])
    return (*process.communicate(), process.returncode)


def test_a_second_stop_does_not_disturb_the_first():
    """SIGTERM is as good as Ctrl-C, and what follows it is not heard."""
    code = (
        "try:\n with stoppable():\n  os.kill(os.getpid(), signal.SIGTERM)\n  print('not heard')\n"
        "except KeyboardInterrupt:\n for n in STOPS:\n  os.kill(os.getpid(), n)\n print('in order')\n"
    )
    assert _said(code) == ("in order\n", "", 0)


def test_nothing_is_left_behind_in_a_process_that_was_not_stopped():
    """The handlers are those of before."""
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    from workbench.reports.runs.stops import starting, stoppable

    with stoppable(), starting(signal.SIGINT):
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {signal.SIGINT, signal.SIGTERM}


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_stop_while_another_process_is_started_comes_afterwards(number):
    """The start is whole; the new process is deaf until it wants to hear."""
    code = (
        f"stop, child = signal.{number}, None\n"
        "wait = 'import os, signal; from workbench.reports.runs.stops import *; print(flush=True); input(); '\n"
        "hear = 'exec(\"try:\\\\n with stoppable(): print(1)\\\\nexcept KeyboardInterrupt: print(2)\")'\n"
        "try:\n"
        " with stoppable():\n"
        "  with starting(*STOPS):\n"
        "   os.kill(os.getpid(), stop)\n"
        "   child = subprocess.Popen([sys.executable, '-c', wait + hear], stdin=-1, stdout=-1, text=True)\n"
        "   print('whole')\n"
        "  print('not stopped')\n"
        "except KeyboardInterrupt:\n"
        " child.stdout.readline(), child.send_signal(stop)\n"
        " print('stopped', child.communicate('go\\n')[0].strip(), child.returncode)\n"
    )
    assert _said(code) == ("whole\nstopped 2 0\n", "", 0)


def _nursery(tmp_path, parent):
    """Start a preloaded process that loads one more module, which takes as long as we like."""
    (tmp_path / "slowly.py").write_text(SLOW, "utf-8")
    env = {"STAGE": "nursery", "HERE": str(tmp_path / "here")}
    command = ["-m", "workbench.reports.runs.nursery", str(parent), "slowly"]
    return _python(command, path=[str(tmp_path)], env=env)


@linux
@pytest.mark.parametrize("closed", ["answers", "input", "both"])
def test_a_preloaded_process_whose_pipes_close_while_it_loads_says_nothing(tmp_path, until, closed):
    """Nobody reads its answer, or asks it anything: it ends, without a traceback."""
    process = _nursery(tmp_path, os.getpid())
    until((tmp_path / "here").exists, process)
    if closed != "input":
        process.stdout.close()
    if closed != "answers":
        process.stdin.close()
    (tmp_path / "here.go").touch()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait() == 0
    for pipe in (process.stdin, process.stdout):
        pipe.close()


@linux
def test_a_preloaded_process_does_not_load_for_a_parent_that_is_gone(tmp_path):
    """It ends before it loads anything."""
    process = _nursery(tmp_path, 1 if os.getpid() != 1 else 2)
    assert process.communicate() == ("", "")
    assert process.returncode == 1 and not (tmp_path / "here").exists()


@linux
def test_a_preloaded_process_ends_with_its_parent_while_it_loads(tmp_path, until):
    """kill -9 of who started it: it is gone, though what it loads takes forever."""
    (tmp_path / "slowly.py").write_text(SLOW, "utf-8")
    command = "[sys.executable, '-m', 'workbench.reports.runs.nursery', str(os.getpid()), 'slowly']"
    code = f"import os, subprocess, sys; subprocess.Popen({command}, stdin=-1, stdout=-1).wait()"
    env = {"STAGE": "nursery", "HERE": str(tmp_path / "here")}
    parent = _python(["-c", code], path=[str(tmp_path)], env=env)
    until((tmp_path / "here").exists, parent)
    child = int((tmp_path / "here").read_text())
    parent.kill()
    assert parent.communicate() == ("", "")
    until(lambda: _is_gone(child))


@linux
def test_half_a_request_is_none(tmp_path):
    """Who asked was killed over it: no kernel, no traceback."""
    process = _python(["-m", "workbench.reports.runs.nursery", str(os.getpid())])
    answers, errors = process.communicate('{"file": "a", "cw')
    assert (answers.strip(), errors, process.returncode) == ('{"threads": 1}', "", 0)


@linux
def test_a_preloaded_process_that_was_killed_is_told_in_words():
    """Not as a broken pipe: the caller can do something."""
    nursery = Nursery()
    nursery._process.kill()
    nursery._process.wait()
    for _ in range(2):
        with pytest.raises(WorkbenchError, match=r"most likely for want of memory. Try --kernel plain"):
            nursery.fork("file", ".", {"A": "b" * 100_000})
    nursery.end()
    nursery.end()  # as at the process's own end


@pytest.fixture
def root(tmp_path):
    """A project with one study of two slots, due every minute, whose processes start when they are let go."""
    root = tmp_path / "project"
    for part in ("notebooks", "data/mappings", "reports/plans"):
        (root / part).mkdir(parents=True)
    cells = [
        new_code_cell("n: int = 0  # number: which one", metadata={"tags": ["parameters"]}),
        new_code_cell("open('ran', 'w').close()\nimport time\nwhile True: time.sleep(0.1)"),
    ]
    nbformat.write(new_notebook(cells=cells), root / "notebooks/s.ipynb")
    plan = 'cron = "* * * * *"\njobs = 1\nformats = ["html"]\n[[study]]\nname = "s"\nparameters = {n = [0, 1]}\n'
    (root / "reports/plans/often.toml").write_text(plan, "utf-8")
    (tmp_path / "sitecustomize.py").write_text(SLOW, "utf-8")
    return root


@linux
@pytest.mark.parametrize("how", ["terminal", "twice", "service"])
@pytest.mark.parametrize("stage", ["schedule tick", "spawn_main", "runs.nursery", "no stage"])
def test_a_scheduler_stopped_while_something_starts_ends_in_order(root, until, stage, how):
    """Ctrl-C to the group, once or twice, or SIGTERM to the scheduler alone, while tick, worker or kernels start."""
    here = root.parent / "here"
    process = _python(
        ["-m", "workbench", "schedule", "run", "--every", "1"],
        path=[str(root.parent)],
        env={"STAGE": stage, "HERE": str(here), "WORKBENCH_HOME": str(root), "TMPDIR": str(root.parent)},
        start_new_session=True,
    )
    try:
        until(here.exists if stage != "no stage" else (root / "ran").exists, process)
        if how == "service":
            process.terminate()
        else:
            os.killpg(process.pid, signal.SIGINT)
        if how == "twice":
            os.killpg(process.pid, signal.SIGINT)
        (root.parent / "here.go").touch()
        _, said = process.communicate()
        said = [line for line in said.splitlines() if line and not line.startswith("ticking every")]
        assert (process.returncode, set(said)) in (
            (0, set()),
            (0, {"workbench: stopped; what was published before stands."}),
        ), said
        assert (root / "ran").exists() == (stage == "no stage")
        assert not (root / "reports/runs/ledger.sqlite").exists() or set(_states(root)) <= {"due"}
        until(lambda: not _group(process.pid))
        assert not list(root.parent.glob("wbk-*/reads.txt"))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _states(root):
    with Ledger(root) as ledger:
        return [row["state"] for row in ledger.rows()]


def _group(session):
    """Give the processes of a session that live."""
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _session(pid) == session]


def _session(pid):
    """Give the session of a process; none of one that ended, or is a zombie."""
    try:
        state, *numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else int(numbers[2])


def _is_gone(pid):
    return _session(pid) is None


def test_who_reads_no_further_is_no_error(root):
    """`workbench list | head`: no traceback and no word."""
    read, write = os.pipe()
    os.close(read)
    process = _python(["-m", "workbench", "list"], env={"WORKBENCH_HOME": str(root), "STAGE": "none"}, stdout=write)
    os.close(write)
    assert process.communicate()[1] == ""
