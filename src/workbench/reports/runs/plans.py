"""Which studies, with which parameters, for which period, when? A plan is `reports/plans/NAME.toml`: docs/plans.md."""

from __future__ import annotations

import datetime as dt
import itertools
import re
import tomllib
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError, nearest, require_known, unknown
from workbench.messages import LANGUAGES, Listed, Term, say
from workbench.reports.page.languages import languages
from workbench.reports.runs import periods
from workbench.reports.runs.hooks import check_hooks
from workbench.reports.runs.parameters import resolve
from workbench.reports.runs.slots import FORMATS, Slot, Study, find_studies, make_slot, shared_fingerprint
from workbench.reports.runs.sources import check_source, known_until
from workbench.result import MINIMUM_CELL

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

ALL, PAGE = "all", "html"
KNOWN_IN = {
    "province": "SELECT DISTINCT province FROM customer UNION SELECT DISTINCT province FROM survey_response",
    "operator": "SELECT DISTINCT operator FROM survey_response UNION SELECT DISTINCT operator FROM market",
    "campaign": "SELECT campaign_id FROM campaign",
}
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclass(frozen=True)
class Task:
    """A study of a plan: the values each parameter takes, one slot a combination, and what the period sets."""

    study: Study
    grid: dict[str, tuple[Any, ...]]
    from_period: dict[str, str]

    def sources(self) -> tuple[Any, ...]:
        """Sources of its slots; none where it reads no warehouse."""
        return self.grid.get("source") or tuple(filter(None, [self.study.default("source")]))


@dataclass(frozen=True)
class Plan:
    """A plan, checked.

    Attributes
    ----------
    period : str
        Kind of its periods (day, month, quarter, year); empty where its reports have none.
    cron, timezone : str
        When it is due, five fields; empty for never by itself.
    lang : tuple of str
        Languages of its reports, the first in front; empty for the project's.
    minimum_cell, jobs, retries : int
        `jobs` 0 is one a processor.
    timeout : float
        Seconds a notebook.
    hooks : dict
        As written: the schedule reads it.
    broken : dict
        Its studies whose notebooks can't be read, and why; the others are its tasks.
    """

    name: str
    title: str
    tasks: tuple[Task, ...]
    period: str = ""
    cron: str = ""
    timezone: str = "UTC"
    formats: tuple[str, ...] = FORMATS
    lang: tuple[str, ...] = ()
    minimum_cell: int = MINIMUM_CELL
    jobs: int = 0
    timeout: float = 1800.0
    retries: int = 2
    hooks: dict[str, Any] = field(default_factory=dict)
    broken: dict[str, WorkbenchError] = field(default_factory=dict)

    def period_of(
        self, text: str = "", *, now: dt.datetime | None = None, until: dt.date | None = None
    ) -> periods.Period | None:
        """Read one of its periods; if none is named, the last that is over, by its own clock and on the day `until`.

        Raises
        ------
        WorkbenchError
            If it is no period, of another kind, or not over; or if the plan has no periods.
        """
        if not self.period:
            if text:
                raise WorkbenchError("plan '{name}' has no periods. Leave --period out, or give the plan one.").of(
                    self.name
                )
            return None
        today = (now or dt.datetime.now(dt.UTC)).astimezone(zoneinfo.ZoneInfo(self.timezone)).date()
        if text:
            return periods.parse(text, today=today, kind=self.period)
        return periods.last_complete(min(today, until or today), self.period)

    def known_until(self, root: Path, given: Mapping[str, Any] | None = None) -> dt.date | None:
        """Give the day before which all is known of each of its sources; None without a warehouse."""
        sources = {str((given or {}).get("source", source)) for task in self.tasks for source in task.sources()}
        return min(filter(None, (known_until(source, root) for source in sources)), default=None)

    def slots(
        self,
        period: periods.Period | None,
        root: Path,
        *,
        studies: Iterable[str] = (),
        given: Mapping[str, Any] | None = None,
        languages_asked: Iterable[str] = (),
    ) -> list[Slot]:
        """Make its slots for a period, "all" replaced by what the warehouse knows.

        Parameters
        ----------
        period : Period or None
        studies : iterable of str
            Only these of its studies; all if empty.
        given : mapping of str to object, optional
            Values that replace the plan's, in every study that has the parameter.
        languages_asked : iterable of str
            In place of the plan's.

        Raises
        ------
        WorkbenchError
            If a name or value is unknown, or the data do not cover the period.
        """
        has = list(dict.fromkeys(task.study.name for task in self.tasks))
        studies = list(studies)
        for name in studies:
            if name in self.broken:
                raise self.broken[name]
            require_known("study", name, has, say("plan '{name}'", name=self.name))
        tasks = [task for task in self.tasks if not studies or task.study.name in studies]
        given = dict(given or {})
        declared = {p.name for task in tasks for p in task.study.parameters}
        for name in given:
            require_known("parameter", name, declared, say("the studies of plan '{name}'", name=self.name))
        shared, look_up = shared_fingerprint(root), _Known(root)
        made: dict[tuple[str, str], Slot] = {}
        options: dict[str, Any] = {
            "period": period,
            "plan": self.name,
            "minimum_cell": self.minimum_cell,
            "formats": self.formats,
            "languages": tuple(languages_asked) or self.lang,
        }
        for task in tasks:
            said = {name: period.fill(pattern) for name, pattern in task.from_period.items()} if period else {}
            for values in self._combinations(task, given, look_up):
                slot = make_slot(task.study, values, root, shared, implied=said, **options)
                if slot.key in made and made[slot.key].parameters != slot.parameters:
                    slot = make_slot(task.study, said | values, root, shared, **options)
                made.setdefault(slot.key, slot)
        return list(made.values())

    def trigger(self) -> CronTrigger:
        """Give the trigger of its cron expression, days of the week counted as cron does (0 and 7 are Sunday)."""
        return _trigger(self.cron, self.timezone)

    def _combinations(self, task: Task, given: Mapping[str, Any], look_up: _Known) -> Iterator[dict[str, Any]]:
        own = {p.name: p.default for p in task.study.parameters}
        grid = {**task.grid, **{n: (v,) for n, v in given.items() if n in own}}
        source = str(grid.get("source", (own.get("source", ""),))[0])
        for name in KNOWN_IN.keys() & grid.keys():
            grid[name] = tuple(look_up.expand(name, grid[name], source))
        for values in itertools.product(*grid.values()):
            yield dict(zip(grid, values, strict=True))


def plan_names(root: Path) -> list[str]:
    """Give the names of a project's plans."""
    return sorted(path.stem for path in (root / "reports" / "plans").glob("*.toml"))


def load_plan(name: str, root: Path) -> Plan:
    """Read a plan and check all of it.

    Raises
    ------
    WorkbenchError
        If there is no such plan, or anything in it is unknown, ill-typed or impossible.
    """
    require_known("plan", name, plan_names(root), "reports/plans")
    try:
        text = (root / "reports" / "plans" / f"{name}.toml").read_text("utf-8")
        return _plan(name, tomllib.loads(text), find_studies(root))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WorkbenchError("plan '{name}' is not a TOML file in UTF-8: {error}.").of(name, error) from None
    except WorkbenchError as error:
        raise WorkbenchError("plan '{name}': {error}").of(name, error) from None


_TEXT, _WHOLE = "a text", "a whole number"
_KEYS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "title": (str, _TEXT),
    "period": (str, _TEXT),
    "cron": (str, _TEXT),
    "timezone": (str, _TEXT),
    "formats": (list, "a list of texts"),
    "lang": (list, 'a list of texts, such as ["zh", "en"]'),
    "minimum_cell": (int, _WHOLE),
    "jobs": (int, _WHOLE),
    "timeout": ((int, float), "a number of seconds"),
    "retries": (int, _WHOLE),
    "parameters": (dict, "a table"),
    "from_period": (dict, "a table"),
    "hooks": (dict, "a table"),
    "study": (list, "a list of tables, each headed [[study]]"),
}
_STUDY_KEYS = {"name": (str, _TEXT), "parameters": (dict, "a table"), "from_period": (dict, "a table")}
_LEAST = {"minimum_cell": 1, "jobs": 1, "timeout": 1, "retries": 0}


def _plan(name: str, written: dict[str, Any], studies: dict[str, Study]) -> Plan:
    _check_keys(written, _KEYS, "")
    for key, least in _LEAST.items():
        if key in written and written[key] < least:
            raise WorkbenchError("{key} is {written}, but must be at least {least}.").of(key, written[key], least)
    for key in written.get("formats", ()):
        require_known("format", key, (PAGE, *FORMATS))
    if not all(isinstance(language, str) and language.strip() for language in written.get("lang", ())):
        raise WorkbenchError('lang must be a list of texts, such as ["zh", "en"].')
    languages(written.get("lang") or LANGUAGES)
    if written.get("period") and written["period"] not in periods.KINDS:
        raise unknown("kind of period", written["period"], periods.KINDS)
    zone = written.get("timezone", "UTC")
    if zone not in zoneinfo.available_timezones():
        near = [z for z in zoneinfo.available_timezones() if z[:1] == zone[:1] and "/" in z]
        raise WorkbenchError("no {what} '{name}'.{near}").of(Term("time zone"), zone, nearest(zone, sorted(near)))
    if written.get("cron"):
        _trigger(written["cron"], zone)
    check_hooks(written.get("hooks", {}))
    if not written.get("study"):
        raise WorkbenchError("it has no study. Add [[study]] with a name.")
    tasks = [_task(i, one, written, studies) for i, one in enumerate(written["study"], 1)]
    broken = {task.study.name: task.study.broken for task in tasks if task.study.broken}
    if not (tasks := [task for task in tasks if not task.study.broken]):
        raise next(iter(broken.values()))
    for table in ("parameters", "from_period"):
        for key in written.get(table, {}) if not broken else ():
            if not any(key in getattr(task, "grid" if table == "parameters" else table) for task in tasks):
                known = dict.fromkeys(p.name for task in tasks for p in task.study.parameters)
                raise unknown("parameter", key, known, say("its studies, though [{table}] names it", table=table))
    rest = {
        k: v for k, v in written.items() if k not in ("study", "parameters", "from_period", "title", "formats", "lang")
    }
    formats = tuple(f for f in FORMATS if f in written.get("formats", FORMATS))
    shown, lang = written.get("title", name), tuple(written.get("lang", ()))
    return Plan(name, shown, tuple(tasks), formats=formats, lang=lang, broken=broken, **rest)


def _task(number: int, one: Any, written: Mapping[str, Any], studies: Mapping[str, Study]) -> Task:
    where = f"[[study]] {number}: "
    if not isinstance(one, dict):
        raise WorkbenchError("{where}this is no table. Write [[study]], and name = … below it.").of(where)
    _check_keys(one, _STUDY_KEYS, where)
    if one.get("name") not in studies:
        raise unknown("study", one.get("name", ""), studies)
    study = studies[one["name"]]
    if study.broken:
        return Task(study, {}, {})
    if study.of_one_customer:
        raise WorkbenchError(
            "{where}study '{study}' is the page of one customer: no plan makes it. Take it out, and run: workbench "
            "run {study} -p customer=NUMBER"
        ).of(where, study.name)
    own = {p.name for p in study.parameters}
    said = {k: v for k, v in written.get("parameters", {}).items() if k in own} | one.get("parameters", {})
    grid = {k: tuple(map(_plain, v if isinstance(v, list) else [v])) for k, v in said.items()}
    for key, values in grid.items():
        if not values:
            raise WorkbenchError("{where}parameter '{key}' has no value. Give one, or leave it out.").of(where, key)
        for value in values:
            resolve(study.parameters, {key: value}, study=study.name)
    sets = {k: v for k, v in written.get("from_period", {}).items() if k in own} | one.get("from_period", {})
    for key, pattern in sets.items():
        if not written.get("period"):
            raise WorkbenchError('{where}from_period needs a kind of period. Add period = "month" above.').of(where)
        example = periods.last_complete(dt.date(2026, 1, 1), written["period"])
        resolve(study.parameters, {key: example.fill(str(pattern))}, study=study.name)
    return Task(study, grid, sets)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date) else value


def _check_keys(written: Mapping[str, Any], keys: Mapping[str, tuple[Any, str]], where: str) -> None:
    for key, value in written.items():
        if key not in keys:
            raise WorkbenchError("{where}{error}").of(where, unknown("key", key, keys))
        kind, said = keys[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            what = (where, key, repr(value), Term(said))
            raise WorkbenchError("{where}{key} is {value}, but must be {expected}.").of(*what)


def _trigger(cron: str, zone: str) -> CronTrigger:
    from apscheduler.triggers.cron import CronTrigger

    fields = cron.split()
    if len(fields) == 5 and fields[2] != "*" and fields[4] != "*":
        raise WorkbenchError("cron '{cron}' names days of the month and of the week. Name one of them.").of(cron)
    try:
        if len(fields) == 5:
            fields[4] = ",".join(map(_week, fields[4].lower().split(",")))
        trigger = CronTrigger.from_crontab(" ".join(fields), timezone=zone)
        due = trigger.get_next_fire_time(None, dt.datetime.now(dt.UTC))
    except ValueError as error:
        raise WorkbenchError(
            "cron '{cron}' is not a time: {error}. Write minute, hour, day, month and day of the week, as 0 6 1 * *."
        ).of(cron, error) from None
    if due is None:
        raise WorkbenchError("cron '{cron}' never comes: there is no such day. Write for instance 0 6 1 * *.").of(cron)
    if without := _months_without(fields, trigger, zone):
        last = " ".join([*fields[:2], "last", *cron.split()[3:]])
        raise WorkbenchError(
            "cron '{cron}' would pass over {values}: there is no such day in some years. For the last day of every "
            "month write last: {last}"
        ).of(cron, Listed(without), last)
    return trigger


def _months_without(fields: list[str], trigger: CronTrigger, zone: str) -> list[str]:
    """Name the months that a cron expression is meant for and does not come in, in a year without a 29 February.

    None where it comes in none of its months: who writes 29 February alone means leap years.
    """
    from apscheduler.triggers.cron import CronTrigger

    every = CronTrigger.from_crontab(" ".join([*fields[:2], "*", *fields[3:]]), timezone=zone)
    firsts = [dt.datetime(2027, month, 1, tzinfo=zoneinfo.ZoneInfo(zone)) for month in range(1, 13)]

    def comes(how: CronTrigger, first: dt.datetime) -> bool:
        fired = how.get_next_fire_time(None, first)
        return fired is not None and (fired.year, fired.month) == (first.year, first.month)

    meant = [first for first in firsts if comes(every, first)]
    without = [f"{first:%B}" for first in meant if not comes(trigger, first)]
    return without if len(without) < len(meant) else []


def _week(part: str) -> str:
    """Write a numbered part of cron's days of the week by names, which everyone counts alike.

    >>> _week("1-5"), _week("0"), _week("*"), _week("mon")
    ('mon,tue,wed,thu,fri', 'sun', '*', 'mon')
    """
    found = re.fullmatch(r"(?:([0-7])(?:-([0-7]))?|\*)(?:/([1-7]))?", part)
    if part == "*" or not found:
        if re.search("[0-9]", part):
            raise ValueError(f"'{part}' is no day of the week")
        return part
    first = int(found[1] or 0)
    last = int(found[2] or (first if found[1] and not found[3] else 6))
    if last < first:
        raise ValueError(f"'{part}' runs backwards")
    return ",".join(_DAYS[day % 7] for day in range(first, last + 1, int(found[3] or 1)))


class _Known:
    """What warehouses know of the parameters that "all" may stand for; read when first asked."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._found: dict[tuple[str, str], list[str]] = {}

    def expand(self, name: str, values: Iterable[Any], source: str) -> Iterator[Any]:
        for value in values:
            if value == ALL:
                yield from self._names(name, source)
            elif value and value not in (known := self._names(name, source)):
                raise unknown(name, value, known, say("the warehouse of '{source}'", source=source))
            else:
                yield value

    def _names(self, name: str, source: str) -> list[str]:
        if (source, name) not in self._found:
            from workbench.warehouse import open_warehouse

            check_source(source, self._root)
            found = open_warehouse(source, root=self._root).query(f"SELECT * FROM ({KNOWN_IN[name]}) ORDER BY 1")
            self._found[source, name] = [str(value) for value in found.iloc[:, 0].dropna()]
        return self._found[source, name]
