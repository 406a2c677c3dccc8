"""Whatever is killed and whenever, every slot is finished exactly once; what cannot pass is not tried in a loop."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench.errors import WorkbenchError
from workbench.locks import locked
from workbench.reports.runs import ledger as ledgers
from workbench.reports.runs.ledger import Ledger
from workbench.reports.runs.publish import publish
from workbench.reports.runs.render import run, run_slots
from workbench.reports.runs.slots import find_slots, is_done, read_manifest

SOURCE = str(Path(__file__).parents[2] / "src")
CELL = "n: int = 0  # number: which one"
DONE = {"status": "done", "headline": "Yes.", "seconds": 2.0}
FAILED = {"status": "failed", "error": "It rained.", "seconds": 1.0}


def _write(root, name="s", *, body="from workbench.reports.page.notebook import answer\nanswer(f'Slot {n}.')"):
    (root / "notebooks").mkdir(parents=True, exist_ok=True)
    cells = [new_markdown_cell("# S"), new_code_cell(CELL, metadata={"tags": ["parameters"]}), new_code_cell(body)]
    nbformat.write(new_notebook(cells=cells), root / "notebooks" / f"{name}.ipynb")


@pytest.fixture
def root(tmp_path):
    """A project with one study of one parameter, in a folder with Chinese and a space."""
    root = tmp_path / "账 本"
    _write(root)
    (root / "data/mappings").mkdir(parents=True)
    return root


def _slots(root, count=1):
    return [find_slots(["s"], {"n": n}, root)[0] for n in range(count)]


def _publish(root, slot, claim, manifest=DONE):
    made = root / "made"
    made.mkdir(parents=True)
    said = manifest | {"fingerprint": slot.fingerprint, "attempt": claim.token, "parameters": []}
    (made / "manifest.json").write_text(json.dumps(said), encoding="utf-8")
    (made / "results.json").write_text('[{"name": "share", "value": 0.5, "unit": "1", "low": 0.4, "high": 0.6}]')
    publish(made, slot.folder(root))


def _die(root):
    """Make the holder of every claim a process that is gone."""
    with sqlite3.connect(root / "reports/runs/ledger.sqlite") as con:
        con.execute("UPDATE slot SET born = '1' WHERE state = 'running'")
    con.close()


def test_a_slot_is_claimed_once(root):
    """Two ledgers ask for the same slot: one gets it; when it is done there is nothing to do."""
    (slot,) = _slots(root)
    with Ledger(root) as one, Ledger(root) as other:
        claim = one.claim(slot)
        assert (claim.verdict, other.claim(slot).verdict) == ("claimed", "running")
        assert one.finish(claim, DONE, lambda: _publish(root, slot, claim))
        assert other.claim(slot).verdict == "unchanged"
        assert not one.finish(claim, DONE)
        (ended,) = other.history("s")
    assert (ended["state"], ended["headline"]) == ("done", "Yes.")
    assert json.loads(ended["quantities"])[0]["value"] == 0.5


def test_many_claim_at_once_and_each_slot_is_got_once(root):
    """Eight threads, each with a ledger of its own, over twenty slots."""
    slots = _slots(root, 20)

    def claims(seed):
        order = random.Random(seed).sample(slots, len(slots))
        with Ledger(root) as ledger:
            return [slot.key for slot in order if ledger.claim(slot).verdict == "claimed"]

    with ThreadPoolExecutor(8) as pool:
        got = sorted(key for keys in pool.map(claims, range(8)) for key in keys)
    assert got == sorted(slot.key for slot in slots)


def test_a_dead_claim_before_publication_runs_again(root):
    """It is due at once, its loss is in the history, and does not count as an attempt."""
    (slot,) = _slots(root)
    with Ledger(root) as ledger:
        ledger.claim(slot)
        _die(root)
        assert ledger.recover() == [slot.key]
        assert ledger.row(slot.key)["state"] == "due"
        again = ledger.claim(slot)
        assert again.verdict == "claimed"
        assert again.row["attempts"] == 1
        assert [h["state"] for h in ledger.history()] == ["lost"]


def test_a_dead_claim_after_publication_is_done(root):
    """The manifest that stands carries the token of the attempt: marked, not run again."""
    (slot,) = _slots(root)
    with Ledger(root) as ledger:
        claim = ledger.claim(slot)
        _publish(root, slot, claim)
        _die(root)
        assert ledger.claim(slot, force=True).verdict == "claimed"
        assert [(h["state"], h["token"]) for h in ledger.history()] == [("done", claim.token)]


def test_who_lost_his_claim_publishes_nothing(root, monkeypatch):
    """A process that slept over its lease finds its slot taken."""
    (slot,) = _slots(root)
    monkeypatch.setattr(ledgers, "LEASE", -1.0)
    with Ledger(root) as slow, Ledger(root) as quick:
        first, second = slow.claim(slot), quick.claim(slot)
        assert (first.verdict, second.verdict) == ("claimed", "claimed")
        published = []
        assert not slow.finish(first, DONE, lambda: published.append("slow"))
        assert quick.finish(second, DONE, lambda: published.append("quick"))
    assert published == ["quick"]


def test_a_heartbeat_keeps_a_claim(root, until, monkeypatch):
    """The lease moves on while the process works."""
    monkeypatch.setattr(ledgers, "BEAT", 0.02)
    (slot,) = _slots(root)
    with Ledger(root) as ledger:
        before = ledger.claim(slot).row["expires"]
        with ledger.beating():
            until(lambda: ledger.row(slot.key)["expires"] > before)
        assert ledger.row(slot.key)["expires"] > before


def test_what_cannot_pass_is_not_tried_again(root):
    """Not with the same inputs, unless forced; with other inputs it is."""
    (slot,) = _slots(root)
    with Ledger(root) as ledger:
        ledger.finish(ledger.claim(slot), FAILED)
        assert ledger.claim(slot, again=True, retries=9).verdict == "known"
        assert ledger.claim(slot, force=True).verdict == "claimed"
        ledger.finish(ledger.claim(slot), FAILED)
    _write(root, body="x = 1")
    with Ledger(root) as ledger:
        _die(root)
        assert ledger.claim(*_slots(root)).verdict == "claimed"


def test_what_may_pass_is_tried_again_with_pauses(root, monkeypatch):
    """Each pause twice the one before, as often as retries allow; then only when asked anew."""
    (slot,) = _slots(root)
    passing = FAILED | {"error_kind": "transient"}
    clock = [1e9]
    monkeypatch.setattr(ledgers.time, "time", lambda: clock[0])
    pauses = []
    with Ledger(root) as ledger:
        for _ in range(3):
            ledger.finish(ledger.claim(slot, retries=2), passing)
            if (claim := ledger.claim(slot, retries=2)).verdict == "later":
                pauses.append(claim.wait)
                clock[0] += claim.wait
        assert pauses == [ledgers.BACKOFF, 2 * ledgers.BACKOFF]
        assert ledger.claim(slot, retries=2).verdict == "known"
        assert ledger.claim(slot, retries=2, again=True).verdict == "claimed"


def test_a_missing_ledger_is_made_anew_from_what_is_published(root):
    """State, parameters, headline and history of each published slot."""
    run(root=root, progress=False)
    (root / "reports/runs/ledger.sqlite").unlink()
    with Ledger(root) as ledger:
        (row,), (ended,) = ledger.rows(), ledger.history()
    assert (row["study"], row["slot"], row["state"], row["headline"]) == ("s", "default", "done", "Slot 0.")
    assert (row["parameters"], ended["state"]) == ('{"n":0}', "done")
    assert [s.status for s in run(root=root, progress=False).slots] == ["unchanged"]


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda path: path.write_bytes(b"junk" * 2000), "is damaged: file is not a database. Move it away"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000] + b"\xff" * 30000), "is damaged"),
        (lambda path: _sql(path, "PRAGMA user_version = 7"), "is of version 7; this program knows version 1"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be used: unable to open"),
    ],
)
def test_a_ledger_that_cannot_be_used_is_refused(root, harm, words):
    """In one sentence that says how to go on; nothing has run."""
    with Ledger(root) as ledger:
        ledger.claim(*_slots(root))
        path = ledger.path
    harm(path)
    with pytest.raises(WorkbenchError) as refused:
        run(root=root, progress=False)
    assert words in str(refused.value)
    assert not (root / "reports/site").exists()


def _sql(path, statement):
    con = sqlite3.connect(path)
    con.execute(statement)
    con.close()


def test_a_lost_kernel_is_tried_again_and_an_error_is_not(root, monkeypatch):
    """A kernel that dies once ends well with a retry; a notebook's own error ran once, also when asked again."""
    monkeypatch.setattr(ledgers, "BACKOFF", 0.01)
    once = "import os\nif not os.path.exists('died'):\n    open('died', 'w').close()\n    os.kill(os.getpid(), 9)"
    _write(root, body=once)
    _write(root, "t", body="open('tried', 'a').write('x')\n1 / 0")
    slots = find_slots([], {}, root)
    report = run_slots(slots, root=root, retries=1, progress=False)
    assert [s.status for s in report.slots] == ["done", "failed"]
    again = run_slots(slots, root=root, only_failed=True, progress=False)
    assert [(s.study, s.status) for s in again.slots] == [("t", "failed")]
    assert "as before: nothing has changed" in again.slots[0].message
    assert (root / "tried").read_text() == "x"
    with Ledger(root) as ledger:
        assert [h["state"] for h in ledger.history("s")] == ["failed", "done"]


def test_a_full_disk_fails_one_slot_and_the_others_run(root, monkeypatch):
    """The slot says why and is tried again when asked; its claim is not left behind."""
    _write(root, "t")

    def full(made, place):
        if place.parent.name == "s":
            raise OSError(28, "No space left on device")
        publish(made, place)

    with monkeypatch.context() as patch:
        patch.setattr("workbench.reports.runs.render.publish", full)
        report = run(root=root, progress=False)
    assert [s.status for s in report.slots] == ["failed", "done"]
    assert "could not be published: No space left on device. Make room" in report.slots[0].message
    assert [s.status for s in run(root=root, progress=False).slots] == ["done", "unchanged"]


def test_what_a_killed_run_left_goes_also_where_nothing_is_due(root):
    """A run that was killed after its last report, before it took its folder away; that of a run that lives stays."""
    run(root=root, progress=False)
    for name in ("killed", "lives"):
        (root / "reports/runs" / name).mkdir()
    with locked(root / "reports/runs/lives"):
        assert [s.status for s in run(root=root, progress=False).slots] == ["unchanged"]
        assert sorted(p.name for p in (root / "reports/runs").iterdir()) == ["ledger.sqlite", "lives"]


def test_a_report_that_cannot_be_written_at_all_fails_alone(root):
    """Not even the page that says why: nothing is published, the ledger knows, the others run, it is tried again."""
    _write(root, "t", body="import os, shutil; shutil.rmtree(os.environ['WORKBENCH_OUTPUT'])")
    for _ in range(2):
        report = run(root=root, progress=False)
        assert [s.status for s in report.slots][1] == "failed"
        assert "the report could not be made: FileNotFoundError" in report.slots[1].message
    assert report.slots[0].status == "unchanged"
    assert not (root / "reports/site/t").exists()


def test_a_worker_is_renewed(root, monkeypatch):
    """So that memory is bounded however many reports there are."""
    monkeypatch.setattr("workbench.reports.runs.workers.RENEWED_AFTER", 1)
    _write(root, body="import os\nopen('workers', 'a').write(f'{os.getppid()} ')")
    report = run_slots(_slots(root, 3), root=root, jobs=1, kernel="plain", progress=False)
    assert {s.status for s in report.slots} == {"done"}
    assert len(set((root / "workers").read_text().split())) == 3


def test_another_warehouse_with_the_same_tables_leaves_nothing_to_do(root):
    """What counts is what was read: a change of that table, or of the version where nothing tells, makes it due."""
    parameters = CELL + '\nsource: str = "sample"  # warehouse: which one'
    cells = [new_markdown_cell("# S"), new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    cells += [
        new_code_cell(
            "from workbench.project import READS\nimport os\n"
            "open(os.environ[READS], 'a').write('sample\\tv1\\tbill\\n')"
        )
    ]
    nbformat.write(new_notebook(cells=cells), root / "notebooks/s.ipynb")
    (root / "data/mappings/sample.toml").touch()
    warehouse = root / "data/warehouse/sample"

    def status(version, digests):
        (warehouse / version).mkdir(parents=True, exist_ok=True)
        if digests:
            (warehouse / version / "tables.json").write_text(json.dumps(digests))
        (warehouse / "CURRENT").write_text(version)
        slots = find_slots([], {}, root)
        return "unchanged" if is_done(slots[0], root) else "due"

    assert status("v1", {"bill": "1-a", "ticket": "1-b"}) == "due"
    assert [s.status for s in run(root=root, progress=False).slots] == ["done"]
    assert status("v1", {}) == "unchanged"
    assert status("v2", {"bill": "1-a", "ticket": "9-z"}) == "unchanged"
    assert status("v3", {"bill": "2-c", "ticket": "1-b"}) == "due"
    assert status("v4", {}) == "due"


RUN = """
import sys
from pathlib import Path
from workbench.reports.runs.render import run_slots
from workbench.reports.runs.slots import find_slots
root = Path(sys.argv[1])
if __name__ == "__main__":
    slots = [find_slots(["s"], {"n": n}, root)[0] for n in range(int(sys.argv[2]))]
    run_slots(slots, root=root, jobs=2, retries=9, kernel="plain", progress=False)
"""


def _start(root, count):
    (root / "run.py").write_text(RUN)
    command = [sys.executable, str(root / "run.py"), str(root), str(count)]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": SOURCE}, start_new_session=True)


def _workers(pid):
    """Give the process numbers below one, that of its kernels too."""
    below = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if parent == pid:
            below += [int(stat.parent.name), *_workers(int(stat.parent.name))]
    return below


def _held(root, slots):
    """What must hold after every kill and run: each report whole, each slot's last attempt the published one."""
    with Ledger(root) as ledger:
        for slot in slots:
            row, manifest = ledger.row(slot.key), read_manifest(slot.folder(root))
            assert (row["state"], manifest["status"]) == ("done", "done")
            assert row["token"] == manifest["attempt"]
            assert {"index.html", "results.json", "report.ipynb"} <= {p.name for p in slot.folder(root).iterdir()}
            done = [h for h in ledger.history(*slot.key) if h["state"] == "done"]
            assert len(done) == 1
    assert not list((root / "reports/site").glob("*/.*"))
    assert sorted(p.name for p in (root / "reports/runs").iterdir()) == ["ledger.sqlite"]
    index = (root / "reports/site/index.html").read_text("utf-8")
    assert all(f"Slot {n}." in index for n in range(len(slots)))


def _killed(root, count, kills, seed, longest):
    """Run a grid, kill the driver or one of its processes at random instants, then let it end."""
    rng, slots, killed = random.Random(seed), _slots(root, count), 0
    while killed < kills:
        process = _start(root, count)
        time.sleep(rng.uniform(0.3, longest))
        below = _workers(process.pid)
        whom = process.pid if not below or rng.random() < 0.5 else rng.choice(below)
        if process.poll() is None:
            try:
                os.kill(whom, signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                pass
        else:  # all was done: take a report away, so that there is work again
            break
        if whom == process.pid:
            process.wait()
        else:
            time.sleep(rng.uniform(0.1, 0.5))
            process.kill()
            process.wait()
    assert _start(root, count).wait() == 0
    _held(root, slots)
    return killed


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="skipped: looks for processes in /proc")
def test_kills_lose_nothing(root):
    """Eight kills of driver, workers or kernels: every slot is finished exactly once after the next run."""
    assert _killed(root, 3, 8, 1, 1.2) > 3


def test_two_drivers_never_run_a_slot_twice(root):
    """Both end well, each slot was begun once."""
    _write(
        root,
        body="open(f'ran{n}', 'a').write('x')\n"
        "from workbench.reports.page.notebook import answer\nanswer(f'Slot {n}.')",
    )
    slots = _slots(root, 4)
    both = [_start(root, 4), _start(root, 4)]
    assert [process.wait() for process in both] == [0, 0]
    assert [(root / f"ran{n}").read_text() for n in range(4)] == ["x"] * 4
    _held(root, slots)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(5))
def test_fifty_kills_lose_nothing(root, seed):
    """Ten kills each of driver, workers and kernels, over longer runs."""
    print(f"seed {seed}: {_killed(root, 12, 10, seed, 6.0)} kills")
