"""One holder at a time, readers together, on any system; and nothing that Windows lacks is asked for there."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workbench import locks

PACKAGE = Path(locks.__file__).parent


def test_what_cannot_be_written_is_named_as_it_was_asked_for(tmp_path):
    """Not by the name under which it is written first."""
    with pytest.raises(FileNotFoundError) as refused, locks.whole(tmp_path / "none" / "a.csv") as part:
        part.write_text("1")
    assert refused.value.filename == str(tmp_path / "none" / "a.csv")


# Windows as far as Python shows it: no fcntl, msvcrt with locks of bytes that belong to an open file, and no fork.
WINDOWS = """
import fcntl, os, signal, struct, sys, types

def locking(handle, mode, count):
    at = os.lseek(handle, 0, os.SEEK_CUR)
    fcntl.fcntl(handle, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, at, count, 0))

sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
for name in ("fcntl", "resource", "pwd", "grp", "termios", "pty"):
    sys.modules[name] = None
for module, names in ((os, ("fork", "getuid", "geteuid", "setsid", "pidfd_open", "sched_getaffinity")),
                      (signal, ("SIGCHLD", "SIGKILL", "pthread_sigmask", "SIG_BLOCK", "SIG_UNBLOCK", "SIG_SETMASK"))):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
"""


def on_windows(code, *arguments, before="", **environment):
    """Run code where Windows is feigned, after what is there before."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment
    command = [sys.executable, "-c", before + WINDOWS + code, *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True)


needs_bytes = pytest.mark.skipif(
    sys.platform != "linux", reason="locks of bytes as on Windows are feigned on Linux only"
)

HELD = """
from pathlib import Path
from workbench.locks import hold, let_go, locked
place = Path(sys.argv[1])

def taken(**how):
    try:
        with locked(place, wait=False, **how):
            return False
    except BlockingIOError:
        return True

with locked(place):
    assert taken() and taken(shared=True)
with locked(place, shared=True), locked(place, shared=True, wait=False):
    assert taken() and not taken(shared=True)
assert not taken() and [p.name for p in place.parent.iterdir()] == [place.name]
new = place.with_name(".new")
new.mkdir()
held = hold(new)
place = new.rename(new.with_name("new"))
assert taken()  # under its new name too
let_go(held, place)
assert not taken()
try:
    hold(place / "nowhere")
except FileNotFoundError:
    pass
print("good")
"""


@needs_bytes
def test_locks_of_windows_keep_out_and_let_in(tmp_path):
    """One holder, or readers together, at a folder and at a file; a folder may be renamed; no file is left."""
    for place in (tmp_path / "a" / "folder", tmp_path / "b" / "file.txt"):
        place.mkdir(parents=True) if place.name == "folder" else (place.parent.mkdir(), place.touch())
        done = on_windows(HELD, place)
        assert (done.stdout, done.returncode) == ("good\n", 0), done.stderr


@needs_bytes
def test_a_lock_of_windows_dies_with_its_process(tmp_path):
    """Who is ended in the middle holds nothing."""
    code = (
        "from pathlib import Path\nfrom workbench.locks import hold\nhold(Path(sys.argv[1]), wait=False)\nos._exit(3)"
    )
    assert [on_windows(code, tmp_path).returncode for _ in range(2)] == [3, 3]


SHOP = """title = "a shop"
operator = "none"
as_of = 2026-07-01
[[file]]
table = "customer"
path = "customer.csv"
[file.columns]
customer_id = "id"
joined_on = "since"
kind = {constant = "person"}
province = {constant = "北京"}
"""


@needs_bytes
def test_windows_ingests_and_reports(tmp_path):
    """`python -m workbench`: a source comes in, twice, with nothing that Windows lacks."""
    (tmp_path / "data/mappings").mkdir(parents=True)
    (tmp_path / "data/raw/shop").mkdir(parents=True)
    (tmp_path / "data/mappings/shop.toml").write_text(SHOP, "utf-8")
    main = "from workbench.cli import main\nmain(sys.argv[1:])"
    libraries = (
        "import asyncio, duckdb, multiprocessing.spawn, pandas, psutil, pyarrow, sqlite3, subprocess"  # they ask
    )
    for customers in ("id,since\na,2020-01-01\n", "id,since\na,2020-01-01\nb,2021-01-01\n"):
        (tmp_path / "data/raw/shop/customer.csv").write_text(customers, "utf-8")
        for command in (["data", "ingest", "shop"], ["status"], ["list"]):
            done = on_windows(main, *command, before=libraries, WORKBENCH_HOME=str(tmp_path))
            assert done.returncode == 0, done.stderr
    versions = tmp_path / "data/warehouse/shop"
    assert len((versions / "CURRENT").read_text("utf-8").split()) == 2


def test_readers_hold_together_and_keep_a_writer_out(tmp_path):
    """Two shared locks at a time, no exclusive one beside them; all is free afterwards."""
    with locks.locked(tmp_path, shared=True), locks.locked(tmp_path, shared=True, wait=False):
        with pytest.raises(BlockingIOError), locks.locked(tmp_path, wait=False):
            pass
    with locks.locked(tmp_path, wait=False), pytest.raises(BlockingIOError):
        locks.hold(tmp_path, wait=False, shared=True)


def test_an_open_file_is_waited_for_on_windows(tmp_path, monkeypatch):
    """Where an open file can't be replaced, it is tried again; elsewhere a refusal is one."""
    (tmp_path / "new").write_text("new")
    refused, waits = iter([True, True, False]), []

    def replace(new, old):
        if next(refused):
            raise PermissionError(13, "open elsewhere")
        shutil.move(new, old)

    monkeypatch.setattr(locks.os, "replace", replace)
    monkeypatch.setattr(locks.time, "sleep", waits.append)
    with pytest.raises(PermissionError):
        locks.replace(tmp_path / "new", tmp_path / "old")
    monkeypatch.setattr(locks, "fcntl", None)
    locks.replace(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "new" and len(waits) == 1


ELSEWHERE = {
    "fcntl",
    "resource",
    "pwd",
    "grp",
    "spwd",
    "termios",
    "tty",
    "pty",
    "posix",
    "syslog",
    "readline",
    "curses",
}
OF_SYSTEMS = {
    "os": "fork forkpty getuid geteuid getgid getegid setsid setpgid killpg kill chown lchown mkfifo nice wait4 uname "
    "pidfd_open sched_getaffinity getloadavg sysconf statvfs O_DIRECTORY WNOHANG",
    "signal": "SIGKILL SIGCHLD SIGHUP SIGALRM SIGUSR1 SIGQUIT alarm setitimer pause pthread_sigmask pthread_kill "
    "SIG_BLOCK SIG_UNBLOCK SIG_SETMASK pidfd_send_signal",
}
LINUX = {"reports/runs/nursery.py", "reports/runs/kernels.py"}  # forked kernels: asked for only where `FORKS`
ENDED = {("reports/runs/workers.py", "os.kill")}  # of itself, which ends a process on Windows too


def missing_on_windows(tree):
    """Give what a module imports at its top without a guard, and which functions of systems it names anywhere."""
    for node in tree.body:
        for inner in [] if isinstance(node, ast.Try | ast.FunctionDef | ast.ClassDef) else ast.walk(node):
            names = [a.name for a in inner.names] if isinstance(inner, ast.Import) else []
            names += [inner.module or ""] if isinstance(inner, ast.ImportFrom) else []
            yield from (name for name in names if name.partition(".")[0] in ELSEWHERE)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in OF_SYSTEMS.get(node.value.id, "").split():
                yield f"{node.value.id}.{node.attr}"
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(("/tmp", "/dev/"))
        ):
            yield node.value


def test_nothing_asks_for_what_windows_lacks():
    """No module of one system at the top, no function of it anywhere but where kernels are forked, no folder of it."""
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).as_posix()
        for found in missing_on_windows(ast.parse(file.read_text("utf-8"))):
            guarded = found == "os.sched_getaffinity" and "hasattr(os, " in file.read_text("utf-8")
            assert name in LINUX or (name, found) in ENDED or guarded, (name, found)
    bad = "import fcntl\nfrom pwd import x\nif 1:\n    import resource\ntry:\n    import pty\nexcept E: 0\nos.fork()"
    assert list(missing_on_windows(ast.parse(bad))) == ["fcntl", "pwd", "resource", "os.fork"]


def test_no_file_of_the_project_has_a_name_that_windows_refuses():
    """Nor two that differ by their case alone."""
    root = PACKAGE.parents[1]
    names = [
        p.relative_to(root).as_posix()
        for part in ("src", "tests", "docs", "data/mappings", "notebooks")
        for p in (root / part).rglob("*")
        if "__pycache__" not in p.parts
    ]
    assert not [n for n in names if set(n) & set('<>:"|?*\\') or n.endswith((".", " "))]
    assert not [n for n in names if Path(n).stem.upper() in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT1"}]
    assert len({n.lower() for n in names}) == len(names)


def test_a_system_that_can_hold_nothing_says_so():
    """Neither fcntl nor msvcrt: one sentence, and no traceback."""
    code = "import sys; sys.modules |= {'fcntl': None, 'msvcrt': None}\nfrom workbench.locks import hold\n"
    code += "from workbench.errors import WorkbenchError\nfrom pathlib import Path\ntry: hold(Path('.'))\n"
    code += "except WorkbenchError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "can hold no file" in done.stdout
