"""When is what due? One idempotent command computes it from plans and ledger; any clock can be the heartbeat.

A plan falls due at the times of its cron expression, for the period that was last complete then. `tick` runs every
period that fell due since the plan was last dealt with, each once, however many times were missed; slots that are done
with the same inputs stay, failed ones are retried as the plan allows. A plan is dealt with when all its slots ended; a
period that the data do not cover yet waits for them. Late data make due again what failed, and the newest period.
"""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
import sys
import time
import zoneinfo
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError, by_system, require_known
from workbench.locks import locked
from workbench.messages import Listed, Message, Term, as_message, say
from workbench.reports.runs.hooks import call_hooks
from workbench.reports.runs.ledger import Ledger, is_outdated
from workbench.reports.runs.periods import Period, parse
from workbench.reports.runs.plans import Plan, load_plan, plan_names
from workbench.reports.runs.slots import NotCovered
from workbench.reports.runs.stops import STOPS, starting

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

    from workbench.reports.runs.slots import Slot

HEARTBEAT = 30
_WINDOWS = tuple(dt.timedelta(hours=h) for h in (1, 25, 24 * 32, 24 * 367, 24 * 366 * 5))
_TABLE = "CREATE TABLE IF NOT EXISTS schedule (plan TEXT PRIMARY KEY, dealt_with REAL NOT NULL) STRICT"
FORMATS = ("cron", "systemd", "k8s", "airflow", "dolphinscheduler")
_BESIDE = {
    "CRON": say("every five minutes; a tick that finds nothing due ends at once"),
    "AIRFLOW": say("Airflow lives in its own environment and calls the command"),
    "K8S": say('the project lies on the volume "workbench" at /workbench, with its environment'),
    "TASK": say('A workflow with one SHELL task, complement off, execution type "serial wait", and this timing:'),
    "SCRIPT": say("Script of the task:"),
    "REPORTS": say("Reports of the telecom-CRM workbench: run what is due"),
    "CLOCK": say("Heartbeat of the telecom-CRM workbench"),
}


@dataclass(frozen=True)
class Due:
    """A plan that is due.

    Attributes
    ----------
    fired : datetime
        The last time of its cron expression.
    periods : tuple of Period or None
        What it is due for, oldest first; None where the plan has no periods.
    """

    plan: Plan
    fired: dt.datetime
    periods: tuple[Period | None, ...]


@dataclass(frozen=True)
class Ticked:
    """What a tick did for a plan: how its slots ended, hooks called, whether it is dealt with, what it waits for."""

    plan: str
    periods: tuple[str, ...]
    states: dict[str, int]
    hooks: int
    dealt_with: bool
    error: str = ""
    waits: str = ""

    def line(self) -> Message:
        """Say it in a line."""
        if self.error:
            return say("{plan}: {what}", plan=self.plan, what=as_message(self.error))
        states = [say("{n} {state}", n=n, state=Term(state)) for state, n in self.states.items()]
        parts: list[Message | Listed] = [Listed(states, "") if states else say("no slot")]
        if self.hooks:
            parts.append(say("1 hook called") if self.hooks == 1 else say("{n} hooks called", n=self.hooks))
        if not self.dealt_with:
            parts.append(
                say("waits for data: {what}", what=as_message(self.waits))
                if self.waits
                else say("goes on at the next tick")
            )
        periods = Listed(self.periods, "") if self.periods else say("no period")
        return say("{plan} [{periods}]: {what}", plan=self.plan, periods=periods, what=Listed(parts, ";"))


def find_due(plan: Plan, since: dt.datetime | None, now: dt.datetime) -> Due | None:
    """Compute what a plan is due for.

    Parameters
    ----------
    since : datetime or None
        The fire time that was last dealt with; None if the plan never was: then only its last one counts.
    now : datetime
        With time zone.

    Returns
    -------
    Due or None
        None if the plan has no cron expression, or no time of it lies after `since`.
    """
    if not plan.cron:
        return None
    trigger = plan.trigger()
    fired = _last_fire(trigger, now)
    if fired is None or (since is not None and fired <= since):
        return None
    last = plan.period_of(now=fired)
    if last is None or since is None:
        return Due(plan, fired, (last,))
    periods, zone = [last], zoneinfo.ZoneInfo(plan.timezone)
    one, known = last.previous(), plan.period_of(now=since)
    while known is not None and one.start > known.start:
        if _falls_due(trigger, one, zone):
            periods.append(one)
        one = one.previous()
    return Due(plan, fired, tuple(reversed(periods)))


def tick(
    names: Iterable[str] = (),
    *,
    root: Path,
    now: dt.datetime | None = None,
    run: Callable[[Plan, list[Slot], Path], Any] | None = None,
) -> list[Ticked]:
    """Run what is due, and call the hooks of what ended; doing it twice does nothing more.

    Parameters
    ----------
    names : iterable of str
        Plans; all of the project if empty.
    root : Path
        The project.
    now : datetime, optional
        With time zone; the clock's if None.
    run : callable, optional
        Runs the slots of a plan through the ledger; `render.run_slots` if None.

    Returns
    -------
    list of Ticked
        One for each plan that was due, or could not be read: the others run all the same. Empty also if another tick
        of this project is at work: what it leaves is done by the next.
    """
    now = now or dt.datetime.now(dt.UTC)
    known = plan_names(root)
    names = list(names) or known
    for name in names:
        require_known("plan", name, known, "reports/plans")
    turn = root / "reports" / "runs" / "tick"
    turn.mkdir(parents=True, exist_ok=True)
    made = []
    try:
        with locked(turn, wait=False):
            for name in names:
                try:
                    plan, since = load_plan(name, root), _dealt_with(root, name)
                    if (due := find_due(plan, since, now)) is not None:
                        made.append(_deal_with(due, since, root, run or _run))
                    elif since is not None and (late := _late(plan, root)):
                        made.append(_make_again(plan, late, root, run or _run))
                    made += [Ticked(name, (), {}, 0, False, str(why)) for why in plan.broken.values()]
                except (WorkbenchError, OSError) as error:
                    made.append(Ticked(name, (), {}, 0, False, str(error)))
    except BlockingIOError:
        return []
    return made


def keep_ticking(names: Iterable[str] = (), *, root: Path, every: int = HEARTBEAT) -> None:
    """Tick until a KeyboardInterrupt: each tick in a process of its own, one at a time, missed ones made up by one.

    Parameters
    ----------
    names : iterable of str
        Plans; all if empty.
    root : Path
        The project.
    every : int
        Seconds between ticks.
    """
    import subprocess

    command = [sys.executable, "-m", "workbench", "schedule", "tick", "--quiet", *names]
    at_work: subprocess.Popen[bytes] | None = None
    try:
        while True:
            began = time.monotonic()
            try:
                with starting(*STOPS):  # the tick hears of a stop when it is ready to end in order
                    at_work = subprocess.Popen(command, env=os.environ | {"WORKBENCH_HOME": str(root)})
                at_work.wait()
            except OSError as error:
                print(f"workbench: no tick could be started: {error.strerror}; the next one may", file=sys.stderr)
            time.sleep(every - (time.monotonic() - began) % every)
    except KeyboardInterrupt:
        if at_work is not None:
            at_work.terminate()
            at_work.wait()


def upcoming(root: Path, now: dt.datetime | None = None) -> tuple[list[list[str]], list[Message]]:
    """Give name, next time, period then and last time dealt with of each plan that has a cron expression.

    Beside them stands of each plan that can't be read why.
    """
    now = now or dt.datetime.now(dt.UTC)
    rows: list[list[str]] = []
    bad: list[Message] = []
    for name in plan_names(root):
        try:
            plan = load_plan(name, root)
            broken = map(as_message, map(str, plan.broken.values()))
            bad += [say("plan '{name}': {error}", name=name, error=why) for why in broken]
            if not plan.cron:
                continue
            fires = next(_fires(plan.trigger(), now))
            period, until = plan.period_of(now=fires), _dealt_with(root, plan.name)
        except (WorkbenchError, OSError) as error:
            bad.append(by_system(error) if isinstance(error, OSError) else as_message(error.args[0]))
            continue
        until = until.astimezone(fires.tzinfo) if until else None
        dealt = f"{until:%Y-%m-%d %H:%M %Z}" if until else say("never")
        rows.append([plan.name, f"{fires:%Y-%m-%d %H:%M %Z}", period.label if period else "", dealt])
    return rows, bad


def snippet(format: str, *, root: Path, language: str = "en") -> str:
    """Write what makes another clock the heartbeat: the same idempotent command every five minutes.

    Parameters
    ----------
    format : str
        One of `FORMATS`.
    root : Path
        The project.
    language : str
        Of its comments.

    Raises
    ------
    WorkbenchError
        If the format is unknown.
    """
    require_known("format", format, FORMATS)
    text = (Path(__file__).parent / "template" / f"heartbeat.{format}.txt").read_text("utf-8")
    there = {"ROOT": str(root), "WORKBENCH": str(Path(sys.executable).parent / "workbench")}
    for name, value in (there | {name: said.said(language) for name, said in _BESIDE.items()}).items():
        text = text.replace(f"@{name}@", value)
    return text


def _deal_with(due: Due, since: dt.datetime | None, root: Path, run: Callable[..., Any]) -> Ticked:
    states: Counter[str] = Counter()
    hooks, ended, waits, until = 0, not due.plan.broken, "", due.fired
    for period in due.periods:
        try:
            slots = due.plan.slots(period, root)
        except NotCovered as error:  # nor are those that follow
            ended, waits = False, str(error)
            break
        rows, called = _ended(due.plan, slots, root, run)
        hooks += called
        states.update(row["state"] for row in rows)
        ended &= len(rows) == len(slots) and not any(_goes_on(row, due.plan) for row in rows)
    if waits and since is None and (before := _last_fire(due.plan.trigger(), due.fired - dt.timedelta(seconds=1))):
        ended, until = True, before  # what waits is then caught up, even when the next period has fallen due
    if ended:
        with Ledger(root) as ledger, ledger.writing(_TABLE) as con:
            con.execute("INSERT OR REPLACE INTO schedule VALUES (?, ?)", (due.plan.name, until.timestamp()))
    labels = tuple(p.label for p in due.periods if p)
    return Ticked(due.plan.name, labels, dict(states), hooks, ended and not waits, waits=waits)


def _late(plan: Plan, root: Path) -> list[Slot]:
    """Give the slots whose data have changed since they ended: what failed, and what is done of the newest period."""
    with Ledger(root) as ledger:
        rows = [r for r in ledger.rows() if r["plan"] == plan.name and r["state"] != "running"]
    rows = [r for r in rows if (parse(r["period"]).kind if r["period"] else "") == plan.period]
    newest = max((r["period"] for r in rows), default="")
    changed = [r for r in rows if (r["state"] != "done" or (newest and r["period"] == newest)) and is_outdated(r, root)]
    keys = {(r["study"], r["slot"]) for r in changed}
    spoken = [parse(label) if label else None for label in sorted({r["period"] for r in changed})]
    return [slot for period in spoken for slot in plan.slots(period, root) if slot.key in keys]


def _make_again(plan: Plan, slots: list[Slot], root: Path, run: Callable[..., Any]) -> Ticked:
    rows, hooks = _ended(plan, slots, root, run)
    labels = tuple(dict.fromkeys(slot.period for slot in slots if slot.period))
    return Ticked(plan.name, labels, dict(Counter(row["state"] for row in rows)), hooks, True)


def _ended(plan: Plan, slots: list[Slot], root: Path, run: Callable[..., Any]) -> tuple[list[sqlite3.Row], int]:
    """Run slots and call the hooks; give their rows and the number of calls."""
    run(plan, slots, root)
    with Ledger(root) as ledger:
        rows = [row for slot in slots if (row := ledger.row(slot.key)) is not None]
        return rows, call_hooks(plan.hooks, {"plan": plan.name, "title": plan.title}, rows, ledger)


def _goes_on(row: sqlite3.Row, plan: Plan) -> bool:
    """Say whether a slot has not ended: it was left undone, or is to be retried."""
    return row["state"] in ("due", "running") or (row["kind"] == "transient" and row["attempts"] <= plan.retries)


def _dealt_with(root: Path, plan: str) -> dt.datetime | None:
    with Ledger(root) as ledger, ledger.writing(_TABLE) as con:
        row = con.execute("SELECT dealt_with FROM schedule WHERE plan = ?", (plan,)).fetchone()
    return dt.datetime.fromtimestamp(row["dealt_with"], dt.UTC) if row else None


def _run(plan: Plan, slots: list[Slot], root: Path) -> Any:
    from workbench.reports.runs.render import run_slots

    how: dict[str, Any] = {"jobs": plan.jobs or None, "timeout": plan.timeout, "retries": plan.retries}
    return run_slots(slots, root=root, again=False, wait=False, progress=False, **how)


def _last_fire(trigger: CronTrigger, now: dt.datetime) -> dt.datetime | None:
    """Find the last time of a cron expression up to now: step through windows that grow until one holds a time."""
    for window in _WINDOWS:
        found = None
        for fired in _fires(trigger, now - window):
            if fired > now:
                break
            found = fired
        if found is not None:
            return found
    return None


def _fires(trigger: CronTrigger, start: dt.datetime) -> Iterator[dt.datetime]:
    fired = trigger.get_next_fire_time(None, start)
    while fired is not None:
        yield fired
        fired = trigger.get_next_fire_time(fired, fired)


def _falls_due(trigger: CronTrigger, period: Period, zone: zoneinfo.ZoneInfo) -> bool:
    """Say whether the plan fires while this period is the last complete one."""
    start = dt.datetime.combine(period.end, dt.time(), zone)
    over = dt.datetime.combine(period.next().end, dt.time(), zone)
    fired = trigger.get_next_fire_time(None, start)
    return fired is not None and fired < over
