"""The `workbench` command: thin, each subcommand calls one function of a room."""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from workbench import __version__
from workbench.catalogue import prose
from workbench.cli_data import ensure_sample, fit_lines, shown
from workbench.cli_records import data
from workbench.cli_sql import sql
from workbench.errors import WorkbenchError, by_system
from workbench.messages import Listed, Number, Term, say, word
from workbench.project import project_root
from workbench.reports.handoff import commands
from workbench.reports.page.languages import SPOKEN, known_language, languages, spoken, title_of
from workbench.reports.page.terminal import Commands, clipped, complaint, echo, echo_folded, heads, print_table, speak
from workbench.reports.runs.stops import stoppable


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit: 0 good, 1 a report failed or an account does not balance, 2 the caller can mend it."""
    speak()
    try:
        with stoppable():
            status = workbench.main(arguments, prog_name="workbench", standalone_mode=False)
            sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        status = 2
    except click.ClickException as error:
        status = _refuse(say("{what} See --help.", what=complaint(error)))
    except WorkbenchError as error:
        status = _refuse(error.said(spoken()))
    except BrokenPipeError:  # who read the output has had enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        what = by_system(error)
        status = _refuse(say("{what}. Check the path, its permissions and the room on the disk.", what=what))
    except (click.Abort, KeyboardInterrupt):
        status = _refuse(say("stopped; what was published before stands."), 130)
    sys.exit(status if isinstance(status, int) else 0)


def _refuse(message: str, status: int = 2) -> int:
    click.echo(f"workbench: {_relative(word(message, spoken()))}", err=True)
    return status


def _relative(message: str) -> str:
    """Write the paths in a message as seen from the project's folder."""
    try:
        root = str(project_root())
    except WorkbenchError:
        return message
    return message.replace(f"{root}{os.sep}", "") if len(root) > 1 else message


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  workbench report                    everything: data, studies, index page
  workbench list                      studies and their parameters
  workbench run uplift -p seed=1      one study with a parameter of its own
  workbench run --plan monthly        the reports of the last month
  workbench data describe bill        what a table holds""",
)
@click.version_option(__version__, prog_name="workbench")
@click.option(
    "--lang",
    metavar="LANGUAGES",
    default="",
    is_eager=True,
    expose_value=False,
    callback=lambda _, __, asked: asked and os.environ.update({SPOKEN: ",".join(languages(asked))}),
    help="What this command says: zh, en; as WORKBENCH_LANG.",
)
def workbench() -> None:
    """Research workbench for telecom operators: from raw extracts to studies as reports.

    Work from the project's folder, or set WORKBENCH_HOME to it.
    """


_TIMEOUT = click.option(
    "--timeout", type=click.FloatRange(min=1), default=1800, show_default=True, help="Seconds allowed per study."
)
_JOBS = click.option("--jobs", type=click.IntRange(min=1), help="Studies at a time.  [default: one per processor]")
_LANG = click.option(
    "--lang",
    metavar="LANGUAGES",
    default="",
    help="zh, en or zh,en.  [default: the plan's, WORKBENCH_LANG, the machine's]",
)
_PLAN = click.option("--plan", metavar="NAME", default="", help="A plan in reports/plans.")
_PERIOD = click.option(
    "--period", metavar="PERIOD", default="", help="2026-10, 2026Q4, 2026 or a day; it must be over."
)


@workbench.command()
@_JOBS
@_LANG
@_TIMEOUT
def report(jobs: int | None, lang: str, timeout: float) -> int:
    """Do everything: sample data if there is none, ingest, all studies.

    What is up to date is not done again. Ends with where to look.
    """
    root = project_root()
    ensure_sample(root)
    slots, how = _slots((), {}, "", "", root, lang)
    return _run(slots, root, **how, jobs=jobs, timeout=timeout)


@workbench.command(
    epilog="""\b
Examples:
  workbench run                       all studies, parameters as declared
  workbench run satisfaction uplift --jobs 2
  workbench run uplift -p source=hillstrom -p seed=7
  workbench run segmentation --force  even if nothing has changed
  workbench run --plan monthly --period 2026-06 --only-failed"""
)
@click.argument("studies", metavar="[STUDY]...", nargs=-1)
@click.option("-p", "--parameter", "assignments", metavar="NAME=VALUE", multiple=True, help="Value of a parameter.")
@_PLAN
@_PERIOD
@_JOBS
@_LANG
@click.option("--force", is_flag=True, help="Run also what is up to date, or failed for a cause that stays.")
@click.option("--only-failed", is_flag=True, help="Run only what failed the last time.")
@click.option(
    "--timeout", type=click.FloatRange(min=1), help="Seconds allowed per study.  [default: 1800, or the plan's]"
)
@click.option("--kernel", type=click.Choice(["auto", "plain", "forked"]), default="auto", show_default=True)
@click.option("--dask", metavar="ADDRESS", default="", help="A Dask scheduler whose workers make the reports.")
def run(
    studies: tuple[str, ...],
    assignments: tuple[str, ...],
    plan: str,
    period: str,
    lang: str,
    timeout: float | None,
    **options: Any,
) -> int:
    """Run studies, or a plan's for a period, and publish their reports.

    Without a STUDY all are run. See `workbench list` for studies and parameters. A study that fails does not stop
    the others; the exit code is then 1, or 2 if what was asked for does not exist. What was stopped goes on where
    it was with the same command.
    """
    from workbench.reports.runs.parameters import split_assignments

    root, given = project_root(), split_assignments(assignments)
    slots, how = _slots(studies, given, plan, period, root, lang)
    return _run(slots, root, **how | {k: v for k, v in (options | {"timeout": timeout}).items() if v is not None})


@workbench.command("list")
@_PLAN
@_PERIOD
@click.option("--source", metavar="NAME", default="", help="Which of them run on this source, and what others lack.")
def list_(plan: str, period: str, source: str) -> int:
    """List the studies and their parameters, or a plan's slots with their state, or what runs on a source."""
    from workbench.reports.runs.slots import broken_studies, find_studies

    root = project_root()
    if source:
        from workbench.reports.runs.needs import fits
        from workbench.warehouse import open_warehouse

        for line in fit_lines(fits(open_warehouse(source, root=root), root), source):
            echo_folded(line)
        return _name_broken(broken_studies(root))
    if plan or period:
        slots, how = _slots((), {}, plan, period, root, lang=known_language())
        _show_status(slots, root)
        return _name_broken(how["broken"])
    for study in find_studies(root).values():
        if study.broken:
            continue
        echo_folded(f"{study.name}: {_title(study)}")
        said = ((word(prose(p.unit, spoken()), spoken()), prose(p.meaning, spoken())) for p in study.parameters)
        print_table(
            heads("parameter", "type", "default", "unit", "meaning"),
            ([p.name, _type(p), str(p.default), *told] for p, told in zip(study.parameters, said, strict=True)),
            indent=2,
        )
        click.echo()
    return _name_broken(broken_studies(root))


@workbench.command()
@_PLAN
@_PERIOD
@click.option("--watch", is_flag=True, help="Show it anew every two seconds until nothing runs.")
def status(plan: str, period: str, watch: bool) -> int:
    """Show what was run, what runs and what is due."""
    root = project_root()
    while True:
        slots, how = _slots((), {}, plan, period, root, lang=known_language()) if plan or period else (None, {})
        if watch and sys.stdout.isatty():
            click.clear()
        if not _show_status(slots, root) or not watch:
            return _name_broken(how.get("broken", {}))
        time.sleep(2)


@workbench.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lab(arguments: tuple[str, ...]) -> None:
    """Open JupyterLab on the notebooks.

    ARGUMENTS go to JupyterLab, for instance --no-browser --port=9000.
    """
    from workbench.lab.start import open_lab

    open_lab(project_root(), arguments)


@workbench.command()
@click.argument("study")
@click.option("--lang", metavar="LANGUAGE", default="", help="zh or en.  [default: WORKBENCH_LANG, the machine's]")
def new(study: str, lang: str) -> None:
    """Write a new STUDY from the template: notebook, module and test run, and are changed piece by piece."""
    from workbench.lab.template import new_study

    root = project_root()
    for path in new_study(study, root, lang):
        echo(say("{path}: written.", path=path.relative_to(root).as_posix()))
    echo(say("now: workbench run {study} --lang zh,en; the steps to go stand in CONTRIBUTING.md.", study=study))


@workbench.command(
    epilog="""\b
Examples:
  workbench score data_upgrade.uplift.json october.parquet --campaign october
  workbench score churn.toml crm --as-of 2026-10-01 --into scores.csv
  workbench score upgrade.model.json crm --query members.sql --campaign october --table october_scores"""
)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("listed", metavar="LIST", type=click.Path(path_type=Path))
@click.option("--into", type=click.Path(path_type=Path), help="File to write.  [default: LIST.scored.parquet]")
@click.option("--table", metavar="NAME", default="", help="Of PostgreSQL or Spark: a new table, not a file.")
@click.option("--campaign", metavar="NAME", default="", help="The new campaign; another name is another draw.")
@click.option("--member", default="customer_id", show_default=True, help="Column that identifies a member.")
@click.option("--holdout", type=click.FloatRange(0, 1, max_open=True), default=0.1, show_default=True)
@click.option("--query", type=click.Path(path_type=Path, exists=True), help="SQL of a source's members and features.")
@click.option("--as-of", metavar="DAY", default="", help="The day before which all is known.  [default: the source's]")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that score.")
def score(
    model: Path, listed: Path, into: Path | None, campaign: str, table: str, query: Path | None, as_of: str, **how: Any
) -> None:
    """Score a new LIST, or all customers of a source, by a saved uplift MODEL or churn formula (.toml).

    LIST is Parquet or CSV, of any length, or the name of a source: its customers are scored where they are. Says the
    share worth a contact, the money expected, and who is unlike the members of the campaign; draws the holdout.
    """
    from workbench.reports.runs.targets import score_file, score_source
    from workbench.warehouse import open_warehouse, read_key

    root = project_root()
    if model.suffix != ".toml" and not campaign and model.is_file():
        raise WorkbenchError("an uplift model needs --campaign: the holdout is drawn by its name.")
    how |= {"campaign": campaign, "key": read_key(root).key}
    into = into or listed.with_suffix(".scored.parquet")
    if listed.suffix or not (root / "data" / "mappings" / f"{listed}.toml").is_file():
        made = score_file(model, listed, into, **how)
    else:
        sql = query.read_text("utf-8") if query else ""
        source = open_warehouse(str(listed), root=root)
        made = score_source(model, source, into, table=table, query=sql, as_of=as_of or None, **how)
    echo(made.said)
    click.echo(made.path)


@workbench.group(cls=Commands)
def schedule() -> None:
    """Run plans when they are due."""


@schedule.command()
@click.argument("plans", nargs=-1)
@click.option("--quiet", is_flag=True, help="Say only what was due.")
def tick(plans: tuple[str, ...], quiet: bool) -> int:
    """Run what is due by now, once.

    Idempotent: call it from cron, a timer or an orchestrator as often as you like. Periods that were missed are caught
    up once; what is done with the same inputs stays. Without PLANS, all plans that have a cron expression.
    """
    from workbench.reports.runs.schedule import tick

    made = tick(plans, root=project_root())
    for one in made:
        if one.states or one.error or not quiet:
            click.echo(_relative(word(one.line(), spoken())), err=bool(one.error))
    if not made and not quiet:
        echo(say("nothing is due"))
    return 2 if any(one.error for one in made) else 0


@schedule.command("run")
@click.argument("plans", nargs=-1)
@click.option("--every", type=click.IntRange(min=1), default=30, show_default=True, help="Seconds between ticks.")
def keep_ticking(plans: tuple[str, ...], every: int) -> None:
    """Keep running what falls due, until stopped."""
    from workbench.reports.runs.schedule import keep_ticking

    echo(say("ticking every {n} s; stop with Ctrl-C", n=every), err=True)
    keep_ticking(plans, root=project_root(), every=every)


@schedule.command()
@click.option(
    "--format", "form", default="cron", show_default=True, help="cron, systemd, k8s, airflow, dolphinscheduler."
)
def show(form: str) -> int:
    """Show the plans with their next time, and what makes another clock the heartbeat."""
    from workbench.reports.runs.schedule import snippet, upcoming

    root = project_root()
    rows, bad = upcoming(root)
    print_table(
        heads("plan", "next time", "period then", "dealt with until"),
        ([*row[:-1], word(row[-1], spoken())] for row in rows),
    )
    for why in bad:
        echo(why, err=True)
    click.echo()
    click.echo(snippet(form, root=root, language=spoken()), nl=False)
    return 2 if bad else 0


def _slots(
    studies: Sequence[str], given: dict[str, str], plan: str, period: str, root: Path, lang: str = ""
) -> tuple[list[Any], dict[str, Any]]:
    """Make the slots that are asked for, and say how their plan wants them run."""
    from workbench.reports.runs import periods
    from workbench.reports.runs.slots import broken_studies, find_slots

    asked = languages(lang) if lang else ()
    if not plan:
        of = periods.parse(period, today=dt.date.today()) if period else None
        chosen = studies or _fitting(given, root)
        broken = {} if studies else broken_studies(root)
        return find_slots(chosen, given, root, period=of, languages=asked), {"broken": broken}
    from workbench.reports.runs.plans import load_plan

    found = load_plan(plan, root)
    of = found.period_of(period, until=found.known_until(root, given))
    slots = found.slots(of, root, studies=studies, given=given, languages_asked=asked)
    how = {"jobs": found.jobs or None, "timeout": found.timeout, "retries": found.retries}
    return slots, how | {"broken": {} if studies else found.broken}


def _name_broken(broken: Mapping[str, WorkbenchError]) -> int:
    """Name the studies that can't be read, and why; give the exit code."""
    return max((_refuse(error.said(spoken())) for error in broken.values()), default=0)


def _fitting(given: dict[str, str], root: Path) -> list[str]:
    """Name the studies that can run on the source that is asked for; say of the others what they lack."""
    if "source" not in given:
        return []
    from workbench.reports.runs.needs import fits
    from workbench.reports.runs.slots import find_studies
    from workbench.reports.runs.sources import check_source
    from workbench.warehouse import open_warehouse

    check_source(source := given["source"], root)
    found = fits(open_warehouse(source, root=root), root, given=given)
    for name, fit in found.items():
        if fit and fit.lacks:
            echo(say("{name}: not run: {why}", name=name, why=fit.sentence(source)), err=True)
    studies = find_studies(root)
    fitting = [name for name, fit in found.items() if not (fit and fit.lacks) and not studies[name].of_one_customer]
    if not fitting:
        raise WorkbenchError("no study can run on '{source}'. Map what they need, or name a study.").of(source)
    return fitting


def _show_status(slots: Iterable[Any] | None, root: Path) -> bool:
    """Show the ledger, or what it knows of some slots; say whether anything runs."""
    from workbench.reports.runs.status import read_status

    seen = read_status(root, slots)
    head = heads("study", "slot", "state", "attempts", "finished", "seconds", "headline or error")
    rows = ([*line[:2], word(line[2], spoken()), *line[3:-1], clipped(word(line[-1], spoken()))] for line in seen.lines)
    print_table(head, rows)
    echo(seen.summary)
    return seen.running


def _title(study: Any) -> str:
    """Give the title of a study, said in the language of the terminal."""
    cells = [{"cell_type": c["kind"], "source": prose(c["source"], spoken())} for c in study.cells]
    return title_of({"cells": cells}, study.title) if spoken() != "en" else str(study.title)


def _run(slots: Iterable[Any], root: Path, **options: Any) -> int:
    from workbench.reports.runs.render import run_slots

    made = run_slots(slots, root=root, **options)
    if not made.slots:
        echo(say("nothing to do: nothing failed the last time"))
        return 0
    if all(s.status == "refused" and s.slot != "default" for s in made.slots):
        return 2
    known = ("done", "failed", "refused", "unchanged", "running")
    count = {status: sum(s.status == status for s in made.slots) for status in known}
    many = len(made.slots)
    reports = say("1 report") if many == 1 else say("{n} reports", n=many)
    if count["unchanged"] == many:
        echo(say("nothing to do: {reports} up to date", reports=reports))
    else:
        said = Listed((say("{n} {state}", n=n, state=Term(state)) for state, n in count.items() if n), "")
        took = Number(made.seconds, ".1f")
        echo(say("{reports}: {states}, in {seconds} s", reports=reports, states=said, seconds=took))
    echo(say("open {page}", page=shown(made.index, Path.cwd())))
    return 2 if made.refused else 1 if made.failed else 0


def _type(parameter: Any) -> str:
    return " | ".join(map(str, parameter.choices)) or parameter.type


workbench.add_command(data)
workbench.add_command(sql)
workbench.add_command(commands.handoff)
workbench.add_command(commands.diff)
