"""One holder at a time, readers together; where a system has no such locks, one sentence says so."""

import os
import subprocess
import sys

import pytest

from workbench import locks
from workbench.errors import WorkbenchError

WITHOUT = "import sys; sys.modules['fcntl'] = None\nfrom workbench.cli import main\nmain(sys.argv[1:])"


@pytest.mark.parametrize("command", [["status"], ["data", "ingest", "sample"], ["--help"]])
def test_a_system_without_locks_is_told_which_systems_are_supported(tmp_path, command):
    """Windows has no fcntl: exit code 2 and one sentence, whatever was asked for."""
    (tmp_path / "data" / "mappings").mkdir(parents=True)
    env = os.environ | {"WORKBENCH_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", WITHOUT, *command], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("workbench: this system has no file locks") and "Linux and macOS" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_library_refuses_in_the_same_words(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    with pytest.raises(WorkbenchError, match="Linux and macOS"), locks.locked(tmp_path):
        pass


def test_readers_hold_together_and_keep_a_writer_out(tmp_path):
    """Two shared locks at a time, no exclusive one beside them; all is free afterwards."""
    with locks.locked(tmp_path, shared=True), locks.locked(tmp_path, shared=True, wait=False):
        with pytest.raises(BlockingIOError), locks.locked(tmp_path, wait=False):
            pass
    with locks.locked(tmp_path, wait=False), pytest.raises(BlockingIOError):
        locks.hold(tmp_path, wait=False, shared=True)
