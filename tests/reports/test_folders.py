"""Who removes a temporary folder owns it, or nobody does."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from workbench.reports.handoff.sealed import unpacked
from workbench.reports.runs import folders

LONG_AGO = 1_000_000_000
OWN = "from workbench.reports.runs.folders import *; print(own_folder_for_life(), flush=True); input()"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Temporary folders of these tests are of nobody else."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _owner(place):
    """Start another process that has a folder; give both."""
    env = os.environ | {"TMPDIR": str(place), "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", OWN], stdin=-1, stdout=-1, env=env, text=True)
    return process, Path(process.stdout.readline().strip())


def test_a_bundle_that_is_verified_for_hours_keeps_its_folder():
    """Its age says nothing: another run of the same user sweeps around it."""
    with unpacked({"a/b.txt": b"x"}) as root:
        os.utime(root, (LONG_AGO, LONG_AGO))
        folders.sweep()
        assert (root / "a/b.txt").read_bytes() == b"x"
    assert not root.exists()


def test_a_folder_is_swept_when_its_owner_was_killed_and_not_before(place):
    """However old or new it is."""
    process, folder = _owner(place)
    folders.sweep()
    assert folder.is_dir()
    process.kill()
    process.communicate()
    assert folder.is_dir()
    folders.sweep()
    assert not folder.exists()


def test_an_owner_that_ends_takes_its_folder_away(place):
    """At its end nothing is left to sweep."""
    process, folder = _owner(place)
    process.communicate("end\n")
    assert not folder.exists() and not list(place.iterdir())


def test_what_is_no_folder_of_ours_stays(place):
    """A file, a link to a folder, and a folder by another name."""
    (place / "kept").mkdir()
    (place / f"{folders.PREFIX}file").touch()
    (place / f"{folders.PREFIX}link").symlink_to(place / "kept")
    folders.sweep()
    assert len(list(place.iterdir())) == 3


def test_a_folder_is_held_before_it_can_be_swept(monkeypatch, place):
    """A sweep at the very moment that a folder is made takes nothing away."""
    hold = folders.hold

    def sweeping(folder):
        folders.sweep()
        held = hold(folder)
        folders.sweep()
        return held

    monkeypatch.setattr(folders, "hold", sweeping)
    with folders.own_folder() as folder:
        folders.sweep()
        assert folder.is_dir()
