"""How far are we? The ledger as a table, with what runs now and how long it will take."""

from __future__ import annotations

import datetime as dt
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.messages import Listed, Message, Number, Term, say
from workbench.recognised import sentence
from workbench.reports.page.languages import spoken
from workbench.reports.runs.ledger import STATES, Ledger, is_outdated
from workbench.reports.runs.slots import Slot, is_done, read_manifest


@dataclass(frozen=True)
class Status:
    """What the ledger knows.

    Attributes
    ----------
    lines : list of list of str
        study, slot (period and parameters), state, attempts, finished, seconds, headline or error.
    summary : Message
        How many are in each state and, while anything runs, the time left.
    running : bool
        Whether anything runs.
    """

    lines: list[list[str]]
    summary: Message
    running: bool


def read_status(root: Path, slots: Iterable[Slot] | None = None) -> Status:
    """Read the state of some slots, or of all that the ledger knows.

    One that is published with other data than those of now is "stale"; of slots that are given, with other code too.
    """
    with Ledger(root) as ledger:
        ledger.recover()
        rows = {(r["study"], r["slot"]): r for r in ledger.rows()}
        usual = ledger.usual_seconds()
    chosen = {slot.key: slot for slot in slots} if slots is not None else dict.fromkeys(rows)
    lines: list[Any] = []
    states: Counter[str] = Counter()
    for key, slot in chosen.items():
        row = rows.get(key)
        state = row["state"] if row else "due"
        if slot is not None and state != "running" and row:
            state = _now(slot, state, row, root)
        elif row and state == "done" and is_outdated(row, root):
            state = "stale"
        states[state] += 1
        lines.append([*key, state, *_told(row, root)])
    left = _seconds_left([rows[k] for k in chosen if k in rows], usual) if states["running"] else None
    each = [say("{n} {state}", n=states[s], state=Term(s)) for s in (*STATES, "stale") if states[s]]
    said: Message | Listed = Listed(each, "") if each else say("nothing was run yet")
    rest = () if left is None else (say("about {time} left", time=_span(left)),)
    return Status(lines, say("{parts}", parts=Listed((said, *rest), ";")), bool(states["running"]))


def _now(slot: Slot, state: str, row: sqlite3.Row, root: Path) -> str:
    if is_done(slot, root):
        return "done"
    if row["fingerprint"] == slot.fingerprint and state != "done":
        return state
    return "stale" if read_manifest(slot.folder(root)).get("status") == "done" else "due"


def _told(row: sqlite3.Row | None, root: Path) -> list[str]:
    if row is None:
        return ["", "", "", ""]
    running = row["state"] == "running"
    ended = dt.datetime.fromtimestamp(row["finished"]).isoformat(" ", "minutes") if row["finished"] else ""
    seconds = time.time() - row["started"] if running else row["seconds"]
    process = {"pid": str(row["pid"]), "host": row["host"].split()[0]} if running else {}
    said = (
        say("process {pid} on {host}", **process)
        if running
        else sentence(row["error"], spoken()) or _headline(row, root)
    )
    return [str(row["attempts"] or ""), ended, "" if seconds is None else f"{seconds:.1f}", said]


def _headline(row: sqlite3.Row, root: Path) -> str:
    """Give the headline in the language of the terminal, where its report was said in it."""
    if not row["headline"] or spoken() == "en":
        return str(row["headline"])
    said = read_manifest(root / row["outputs"]).get("said", {}).get(spoken(), {})
    return str(said.get("headline") or row["headline"])


def _seconds_left(rows: list[sqlite3.Row], usual: dict[str, float]) -> float | None:
    """Add up what is due and runs by the usual time of each study, over as many lanes as run; None if none is known."""
    if not usual:
        return None
    other, now = sum(usual.values()) / len(usual), time.time()
    running = [r for r in rows if r["state"] == "running"]
    work = sum(usual.get(r["study"], other) for r in rows if r["state"] == "due")
    work += sum(max(usual.get(r["study"], other) - (now - r["started"]), 0) for r in running)
    return work / len(running)


def _span(seconds: float) -> Message:
    """Write a span of time as people say it.

    >>> _span(12), _span(170), _span(8000).said("zh")
    ('12 s', '3 min', '2.2小时')
    """
    if seconds < 90:
        return say("{n} s", n=Number(seconds, ".0f"))
    if seconds < 5400:
        return say("{n} min", n=Number(seconds / 60, ".0f"))
    return say("{n} h", n=Number(seconds / 3600, ".1f"))
