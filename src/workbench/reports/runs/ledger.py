"""What is due, what runs, what came of it? One row a slot, and at most one claim on it at any time.

The site is the truth of what is published, the ledger of what is going on: a report is published by rename while its
claim is held, then its row is marked. What dies in between is settled from the published manifest, which carries the
token of its attempt; what dies before runs again. A ledger that is missing is made anew from the manifests.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.errors import WorkbenchError
from workbench.locks import locked
from workbench.reports.runs.slots import Slot, is_done, read_manifest
from workbench.reports.runs.sources import inputs_changed, read_numbers, values_in

SCHEMA = 1
LEASE, BEAT = 120.0, 10.0
BACKOFF, LONGEST_BACKOFF = 10.0, 600.0
MAIN_QUANTITIES = 30
TRANSIENT, DETERMINISTIC = "transient", "deterministic"
STATES = ("due", "running", "done", "failed", "refused")

_TABLES = """
CREATE TABLE slot (
    study TEXT NOT NULL, slot TEXT NOT NULL,                  -- its folder in the site: what tells slots apart
    period TEXT NOT NULL, plan TEXT NOT NULL, parameters TEXT NOT NULL,        -- canonical JSON of every value
    state TEXT NOT NULL CHECK (state IN ('due', 'running', 'done', 'failed', 'refused')),
    attempts INTEGER NOT NULL DEFAULT 0,                      -- with these inputs, lost ones aside
    fingerprint TEXT NOT NULL, code TEXT NOT NULL DEFAULT '', -- of all inputs, of all but the data
    inputs TEXT NOT NULL DEFAULT '{}',                        -- JSON: warehouse version, tables read with digests
    token TEXT, owner TEXT, host TEXT, pid INTEGER, born TEXT, -- who holds the claim
    heartbeat REAL, expires REAL, not_before REAL NOT NULL DEFAULT 0,          -- seconds since 1970, as all times
    started REAL, finished REAL, seconds REAL,
    headline TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '', kind TEXT NOT NULL DEFAULT '',
    outputs TEXT NOT NULL DEFAULT '',                         -- folder, from the project
    PRIMARY KEY (study, slot)
) STRICT;
CREATE TABLE history (                                        -- one row an attempt that ended, state also 'lost'
    token TEXT PRIMARY KEY, study TEXT NOT NULL, slot TEXT NOT NULL, period TEXT NOT NULL, plan TEXT NOT NULL,
    parameters TEXT NOT NULL, state TEXT NOT NULL, fingerprint TEXT NOT NULL, inputs TEXT NOT NULL, host TEXT,
    started REAL, finished REAL, seconds REAL, headline TEXT NOT NULL, error TEXT NOT NULL, kind TEXT NOT NULL,
    quantities TEXT NOT NULL                                  -- JSON: the first numbers recorded, with intervals
) STRICT;
CREATE INDEX history_of_study ON history (study, period, finished);
"""


@dataclass(frozen=True)
class Claim:
    """What the ledger answers to somebody who wants to run a slot.

    Attributes
    ----------
    verdict : str
        "claimed": run it, then `finish`. "unchanged": it is published with these inputs. "known": it failed with
        these inputs for a cause that stays, or its retries are used up. "running": somebody else does it. "later":
        it is to be retried after `wait` seconds.
    key : tuple of str
        Study and slot.
    token : str
        Names the attempt; it stands in the manifest.
    row : Row or None
        The slot's row as it is now.
    wait : float
        Seconds.
    """

    verdict: Literal["claimed", "unchanged", "known", "running", "later"]
    key: tuple[str, str]
    token: str = ""
    row: sqlite3.Row | None = None
    wait: float = 0.0


class Ledger:
    """The ledger of a project, `reports/runs/ledger.sqlite`; use it in a `with`.

    Rows are `sqlite3.Row`, by the column names of the schema above. Not to be shared by threads, nor kept over a fork.

    Raises
    ------
    WorkbenchError
        If the file is damaged, of a newer version, or cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / "reports" / "runs" / "ledger.sqlite"
        self.owner = uuid.uuid4().hex
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._con = self._connect()
        try:
            with locked(self.path.parent), self._clearly():
                self._prepare()
        except BaseException:
            self._con.close()
            raise

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self._con.close()

    def rows(self) -> list[sqlite3.Row]:
        """Give every slot's row, by study and slot."""
        with self._clearly():
            return self._con.execute("SELECT * FROM slot ORDER BY study, slot").fetchall()

    def row(self, key: tuple[str, str]) -> sqlite3.Row | None:
        """Give the row of a slot."""
        with self._clearly():
            return self._con.execute("SELECT * FROM slot WHERE study = ? AND slot = ?", key).fetchone()

    def known_row(self, key: tuple[str, str]) -> sqlite3.Row:
        """Give the row of a slot that was written before."""
        row = self.row(key)
        assert row is not None, f"the ledger has no slot {key}"
        return row

    def history(self, study: str = "", slot: str = "") -> list[sqlite3.Row]:
        """Give the attempts that ended, of a study or slot or of all, oldest first."""
        where = "WHERE (? = '' OR study = ?) AND (? = '' OR slot = ?)"
        with self._clearly():
            sql = f"SELECT * FROM history {where} ORDER BY finished, token"
            return self._con.execute(sql, (study, study, slot, slot)).fetchall()

    def usual_seconds(self) -> dict[str, float]:
        """Give the mean seconds of each study's last reports (at most 20)."""
        last = "row_number() OVER (PARTITION BY study ORDER BY finished DESC) AS n FROM history WHERE state = 'done'"
        sql = f"SELECT study, avg(seconds) FROM (SELECT study, seconds, {last}) WHERE n <= 20 GROUP BY study"
        with self._clearly():
            return dict(map(tuple, self._con.execute(sql)))

    def enqueue(self, slots: Iterable[Slot]) -> None:
        """Put slots down as due; what runs, or ended with the same inputs, stays as it is."""
        with self._writing() as con:
            for slot in slots:
                row = self.row(slot.key)
                if row is None or not (row["state"] == "running" or self._ended(row, slot)):
                    self._put(con, slot, state="due", attempts=0)

    def agree(self, slots: Iterable[Slot]) -> None:
        """Mark as done what is published with the inputs of now, whatever the ledger knew."""
        known = {(r["study"], r["slot"]): r for r in self.rows()}
        adopt = [s for s in slots if s.key not in known or known[s.key]["state"] in ("due", "failed", "refused")]
        if adopt:
            with self._writing() as con:
                for slot in adopt:
                    self._adopt(con, slot.folder(self.root))

    def recover(self) -> list[tuple[str, str]]:
        """Settle or free the claims of processes that are gone; give their keys."""
        dead = [r for r in self.rows() if r["state"] == "running" and not _lives(r)]
        if dead:
            with self._writing() as con:
                for row in dead:
                    self._take_over(con, row)
        return [(r["study"], r["slot"]) for r in dead]

    def claim(self, slot: Slot, *, retries: int = 0, force: bool = False, again: bool = False) -> Claim:
        """Ask for a slot.

        Parameters
        ----------
        retries : int
            How often a failure for a passing cause is tried again.
        force : bool
            Run also what is up to date, or failed for a cause that stays.
        again : bool
            Count attempts anew, so that used-up retries and back-off do not hold.
        """
        with self._writing() as con:
            row = self.row(slot.key)
            if row is not None and row["state"] == "running":
                if _lives(row):
                    return Claim("running", slot.key, row=row)
                row = self._take_over(con, row)
            if not force and is_done(slot, self.root):
                if row is None or row["state"] != "done":
                    row = self._adopt(con, slot.folder(self.root))
                return Claim("unchanged", slot.key, row=row)
            same = row if row is not None and row["fingerprint"] == slot.fingerprint else None
            if not force and same is not None and same["state"] in ("failed", "refused"):
                if same["kind"] != TRANSIENT or (not again and same["attempts"] > retries):
                    return Claim("known", slot.key, row=same)
                if not again and (wait := same["not_before"] - time.time()) > 0:
                    return Claim("later", slot.key, row=same, wait=wait)
            before = same["attempts"] if same is not None and not again and not force else 0
            return self._claimed(con, slot, 1 + before)

    def finish(self, claim: Claim, manifest: Mapping[str, Any], publish: Callable[[], None] | None = None) -> bool:
        """Publish what an attempt made, and mark its slot; False, and nothing done, if the claim was lost meanwhile.

        Parameters
        ----------
        manifest : mapping
            `status`, and as they apply `headline`, `error`, `error_kind`, `refused`, `seconds`, `inputs`.
        publish : callable, optional
            Moves the report to its place; called while nobody else can claim.
        """
        with self._writing() as con:
            row = self.row(claim.key)
            if row is None or row["state"] != "running" or row["token"] != claim.token:
                return False
            if publish is not None:
                publish()
            self._settle(con, row, manifest, time.time())
        return True

    def release(self, claims: Iterable[Claim]) -> None:
        """Give claims back, unfinished: their slots are due."""
        with self._writing() as con:
            for claim in claims:
                con.execute("UPDATE slot SET state = 'due', attempts = attempts - 1 WHERE token = ?", (claim.token,))

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Keep this ledger's claims alive from a thread of its own."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(BEAT):
                with suppress(sqlite3.Error), closing(self._connect()) as con:
                    now = time.time()
                    con.execute(
                        "UPDATE slot SET heartbeat = ?, expires = ? WHERE owner = ? AND state = 'running'",
                        (now, now + LEASE, self.owner),
                    )

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _connect(self) -> sqlite3.Connection:
        with self._clearly():
            con = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            con.row_factory = sqlite3.Row
            try:
                con.execute("PRAGMA synchronous = FULL")
            except sqlite3.Error:
                con.close()
                raise
            return con

    def _prepare(self) -> None:
        version = self._con.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            raise WorkbenchError(
                "the ledger {path} is of version {version}; this program knows version {schema}. Use the newer "
                "program, or move the ledger away: it is then made anew from what is published."
            ).of(self.path, version, SCHEMA)
        if self._con.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            self._con.execute("PRAGMA journal_mode = WAL")
        if version < SCHEMA:
            with self._writing() as con:
                for statement in _TABLES.split(";"):
                    con.execute(statement)
                for manifest in sorted((self.root / "reports" / "site").glob("*/[!.]*/manifest.json")):
                    self._adopt(con, manifest.parent)
                con.execute(f"PRAGMA user_version = {SCHEMA}")

    @contextmanager
    def _clearly(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise WorkbenchError(
                "the ledger {path} cannot be used: {error}. Check its permissions and the room on the disk; what "
                "was published stands."
            ).of(self.path, error) from error
        except sqlite3.DatabaseError as error:
            raise WorkbenchError(
                "the ledger {path} is damaged: {error}. Move it away, its -wal and -shm too, and run again: it is "
                "made anew from what is published."
            ).of(self.path, error) from error

    @contextmanager
    def writing(self, table: str) -> Iterator[sqlite3.Connection]:
        """Give the connection within a transaction, a table of the caller's (CREATE TABLE IF NOT EXISTS) made first."""
        with self._writing() as con:
            con.execute(table)
            yield con

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._clearly():
            self._con.execute("BEGIN IMMEDIATE")
            try:
                yield self._con
                self._con.execute("COMMIT")
            finally:
                if self._con.in_transaction:
                    self._con.execute("ROLLBACK")

    @staticmethod
    def _ended(row: sqlite3.Row, slot: Slot) -> bool:
        return row["state"] in ("done", "failed", "refused") and row["fingerprint"] == slot.fingerprint

    def _put(self, con: sqlite3.Connection, slot: Slot, **more: Any) -> None:
        values = {"study": slot.study.name, "slot": slot.name, "period": slot.period, "plan": slot.plan}
        values |= {"parameters": canonical(slot.parameters), "fingerprint": slot.fingerprint, "code": slot.code}
        self._insert(con, values | {"outputs": slot.folder(self.root).relative_to(self.root).as_posix()} | more)

    @staticmethod
    def _insert(con: sqlite3.Connection, values: Mapping[str, Any]) -> None:
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        sets = ", ".join(f"{name} = excluded.{name}" for name in values)
        sql = f"INSERT INTO slot ({names}) VALUES ({marks}) ON CONFLICT (study, slot) DO UPDATE SET {sets}"
        con.execute(sql, tuple(values.values()))

    def _claimed(self, con: sqlite3.Connection, slot: Slot, attempts: int) -> Claim:
        now, token = time.time(), uuid.uuid4().hex
        who = {"token": token, "owner": self.owner, "host": _host(), "pid": os.getpid(), "born": born(os.getpid())}
        times = {"started": now, "heartbeat": now, "expires": now + LEASE, "finished": None, "seconds": None}
        said = {"headline": "", "error": "", "kind": ""}
        self._put(con, slot, state="running", attempts=attempts, **who, **times, **said)
        return Claim("claimed", slot.key, token, self.row(slot.key))

    def _take_over(self, con: sqlite3.Connection, row: sqlite3.Row) -> sqlite3.Row:
        """Settle the claim of a process that is gone: as published, where it came so far; else the slot is due."""
        manifest = read_manifest(self.root / row["outputs"])
        if manifest.get("attempt") == row["token"]:
            self._settle(con, row, manifest, time.time())
        else:
            lost = {"status": "lost", "error": "its process ended before the report was whole"}
            self._log(con, row, lost, "lost", TRANSIENT, time.time())
            con.execute("UPDATE slot SET state = 'due', attempts = attempts - 1 WHERE token = ?", (row["token"],))
        return self.known_row((row["study"], row["slot"]))

    def _settle(self, con: sqlite3.Connection, row: sqlite3.Row, manifest: Mapping[str, Any], now: float) -> None:
        state, kind = outcome(manifest)
        pause = min(BACKOFF * 2 ** (row["attempts"] - 1), LONGEST_BACKOFF) if kind == TRANSIENT else 0.0
        con.execute(
            "UPDATE slot SET state = ?, kind = ?, headline = ?, error = ?, seconds = ?, inputs = ?, finished = ?, "
            "not_before = ? WHERE token = ?",
            (state, kind, *_said(manifest), canonical(manifest.get("inputs", {})), now, now + pause, row["token"]),
        )
        self._log(con, row, manifest, state, kind, now)

    def _log(
        self, con: sqlite3.Connection, row: sqlite3.Row, manifest: Mapping[str, Any], state: str, kind: str, now: float
    ) -> None:
        recorded = read_numbers(self.root / row["outputs"])[:MAIN_QUANTITIES] if state == "done" else []
        numbers = [{k: n.get(k) for k in ("name", "value", "unit", "low", "high")} for n in recorded]
        headline, error, seconds = _said(manifest)
        kept = ("token", "study", "slot", "period", "plan", "parameters", "fingerprint", "host", "started")
        values = {name: row[name] for name in kept} | {"state": state, "kind": kind, "headline": headline}
        values |= {"error": error, "seconds": seconds, "inputs": canonical(manifest.get("inputs", {}))}
        values |= {"finished": now, "quantities": canonical(numbers)}
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        con.execute(f"INSERT OR IGNORE INTO history ({names}) VALUES ({marks})", tuple(values.values()))

    def _adopt(self, con: sqlite3.Connection, folder: Path) -> sqlite3.Row | None:
        """Take over what a published manifest says of its slot."""
        manifest = read_manifest(folder)
        if "fingerprint" not in manifest:
            return None
        key = {"study": folder.parent.name, "slot": folder.name}
        state, kind = outcome(manifest)
        headline, error, seconds = _said(manifest)
        finished = (folder / "manifest.json").stat().st_mtime
        known = {"period": manifest.get("period", ""), "plan": manifest.get("plan", "")}
        known |= {"fingerprint": manifest["fingerprint"], "code": manifest.get("code", "")}
        known |= {"inputs": canonical(manifest.get("inputs", {})), "outputs": folder.relative_to(self.root).as_posix()}
        known |= {"headline": headline, "error": error, "seconds": seconds, "finished": finished}
        known |= {"started": finished - seconds, "token": manifest.get("attempt") or uuid.uuid4().hex, "attempts": 1}
        self._insert(con, key | known | {"parameters": canonical(values_in(manifest)), "state": state, "kind": kind})
        row = self.known_row((key["study"], key["slot"]))
        self._log(con, row, manifest, state, kind, finished)
        return row


def outcome(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Give the state that a manifest stands for, and whether its error may pass ("transient", "deterministic", "")."""
    if manifest.get("status") == "done":
        return "done", ""
    return "refused" if manifest.get("refused") else "failed", manifest.get("error_kind") or DETERMINISTIC


def is_outdated(row: sqlite3.Row, root: Path) -> bool:
    """Say whether an attempt that ended read other data than those of now."""
    inputs, source = json.loads(row["inputs"]), str(json.loads(row["parameters"]).get("source", ""))
    return "version" in inputs and inputs_changed(source, inputs, root)


def canonical(value: Any) -> str:
    """Write a value as JSON that is the same for equal values."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _said(manifest: Mapping[str, Any]) -> tuple[str, str, float]:
    return str(manifest.get("headline", "")), str(manifest.get("error", "")), float(manifest.get("seconds", 0.0))


def _host() -> str:
    """Name this machine, and where process numbers are its own (a container) that too."""
    try:
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def born(pid: int) -> str:
    """Tell a living process from a later one of the same number; "" if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return ""
    import psutil  # which every kernel needs

    try:
        return str(psutil.Process(pid).create_time())
    except psutil.Error:
        return "" if not psutil.pid_exists(pid) else "alive"


def _lives(row: sqlite3.Row) -> bool:
    """Say whether somebody still works on a running slot."""
    if row["host"] == _host() and born(row["pid"]) != row["born"]:
        return False
    return row["expires"] > time.time()
