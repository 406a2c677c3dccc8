"""The `workbench` command: thin, each subcommand calls one function of a room."""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from workbench import __version__
from workbench.errors import WorkbenchError, unknown
from workbench.locks import require_locks
from workbench.project import project_root
from workbench.reports.handoff import commands
from workbench.reports.runs.stops import stoppable

SAMPLE = "sample"


class Commands(click.Group):
    """A group that answers a mistyped command with the nearest one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise unknown("command", args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit: 0 good, 1 a report failed or an account does not balance, 2 the caller can mend it."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        require_locks()
        with stoppable():
            status = workbench.main(arguments, prog_name="workbench", standalone_mode=False)
            sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        status = 2
    except click.ClickException as error:
        status = _refuse(f"{error.format_message()} See --help.")
    except WorkbenchError as error:
        status = _refuse(str(error))
    except BrokenPipeError:  # who read the output has had enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        where = f"'{error.filename}': " if error.filename else ""
        status = _refuse(f"{where}{error.strerror or error}. Check the path, its permissions and the room on the disk.")
    except (click.Abort, KeyboardInterrupt):
        status = _refuse("stopped; what was published before stands.", 130)
    sys.exit(status if isinstance(status, int) else 0)


def _refuse(message: str, status: int = 2) -> int:
    click.echo(f"workbench: {_relative(message)}", err=True)
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
  workbench report                        everything: data, studies, index page
  workbench list                          studies and their parameters
  workbench run uplift -p seed=1          one study with a parameter of its own
  workbench run --plan monthly            the reports of the last month; see workbench status
  workbench data describe bill            what a table holds""",
)
@click.version_option(__version__, prog_name="workbench")
def workbench() -> None:
    """Research workbench for telecom operators: from raw extracts to studies as reports.

    Work from the project's folder, or set WORKBENCH_HOME to it.
    """


_TIMEOUT = click.option(
    "--timeout", type=click.FloatRange(min=1), default=1800, show_default=True, help="Seconds allowed per study."
)
_JOBS = click.option("--jobs", type=click.IntRange(min=1), help="Studies at a time.  [default: one per processor]")
_PLAN = click.option("--plan", metavar="NAME", default="", help="A plan in reports/plans.")
_PERIOD = click.option(
    "--period", metavar="PERIOD", default="", help="2026-10, 2026Q4, 2026 or a day; it must be over."
)


@workbench.command()
@_JOBS
@_TIMEOUT
def report(jobs: int | None, timeout: float) -> int:
    """Do everything: sample data if there is none, ingest, all studies.

    What is up to date is not done again. Ends with where to look.
    """
    root = project_root()
    _ensure_sample(root)
    return _run(_slots((), {}, "", "", root)[0], root, jobs=jobs, timeout=timeout)


@workbench.command(
    epilog="""\b
Examples:
  workbench run                           all studies with their declared parameters
  workbench run satisfaction uplift --jobs 2
  workbench run uplift -p source=hillstrom -p seed=7
  workbench run segmentation --force      even if nothing has changed
  workbench run --plan monthly --period 2026-06 --only-failed"""
)
@click.argument("studies", metavar="[STUDY]...", nargs=-1)
@click.option("-p", "--parameter", "assignments", metavar="NAME=VALUE", multiple=True, help="Value of a parameter.")
@_PLAN
@_PERIOD
@_JOBS
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
    slots, how = _slots(studies, given, plan, period, root)
    return _run(slots, root, **how | {k: v for k, v in (options | {"timeout": timeout}).items() if v is not None})


@workbench.command("list")
@_PLAN
@_PERIOD
def list_(plan: str, period: str) -> None:
    """List the studies and their parameters, or a plan's slots with their state."""
    from workbench.reports.runs.slots import find_studies

    if plan:
        _show_status(*_slots((), {}, plan, period, root := project_root())[:1], root)
        return
    for study in find_studies(project_root()).values():
        click.echo(f"{study.name}: {study.title}")
        _table(
            ["parameter", "type", "default", "unit", "meaning"],
            ([p.name, _type(p), str(p.default), p.unit, p.meaning] for p in study.parameters),
            indent=2,
        )
        click.echo()


@workbench.command()
@_PLAN
@_PERIOD
@click.option("--watch", is_flag=True, help="Show it anew every two seconds until nothing runs.")
def status(plan: str, period: str, watch: bool) -> None:
    """Show what was run, what runs and what is due."""
    root = project_root()
    while True:
        slots = _slots((), {}, plan, period, root)[0] if plan else None
        if watch and sys.stdout.isatty():
            click.clear()
        if not _show_status(slots, root) or not watch:
            return
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
def new(study: str) -> None:
    """Write the notebook of a new STUDY from the template: it runs, and is changed cell by cell."""
    from workbench.lab.template import new_study

    root = project_root()
    click.echo(f"{new_study(study, root).relative_to(root)}: written. Its room is src/workbench/studies/{study}.")


@workbench.command(
    epilog="""\b
Example:
  workbench score data_upgrade.uplift.json october.parquet --campaign october"""
)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("listed", metavar="LIST", type=click.Path(path_type=Path))
@click.option("--into", type=click.Path(path_type=Path), help="File to write.  [default: LIST.scored.parquet]")
@click.option("--campaign", metavar="NAME", required=True, help="The new campaign; another name is another draw.")
@click.option("--member", default="customer_id", show_default=True, help="Column that identifies a member.")
@click.option("--holdout", type=click.FloatRange(0, 1, max_open=True), default=0.1, show_default=True)
def score(model: Path, listed: Path, into: Path | None, campaign: str, member: str, holdout: float) -> None:
    """Score a new LIST by a saved uplift MODEL.

    LIST is Parquet or CSV, of any length. Says the share worth a contact, the money expected, and who is unlike the
    members of the campaign; draws the holdout.
    """
    from workbench.reports.runs.targets import score_file
    from workbench.warehouse import read_key

    key = read_key(project_root()).key
    into = into or listed.with_suffix(".scored.parquet")
    made = score_file(model, listed, into, member=member, campaign=campaign, key=key, holdout=holdout)
    click.echo(f"{made.found.headline()}\n{made.path}")


@workbench.group(cls=Commands)
def data() -> None:
    """Make, ingest, check and describe data."""


@data.command()
@click.option("--customers", type=click.IntRange(min=1), default=20_000, show_default=True, help="How many.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same bytes.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to.  [default: data/raw/sample of the project]")
def sample(customers: int, seed: int, folder: Path | None) -> None:
    """Write the raw extracts of a fictional operator."""
    _write_sample(folder or project_root() / "data" / "raw" / SAMPLE, customers, seed)


@data.command()
@click.argument("source", default=SAMPLE)
@click.option("--raw", type=click.Path(path_type=Path), help="Folder of the extracts.  [default: data/raw/SOURCE]")
def ingest(source: str, raw: Path | None) -> int:
    """Read the extracts of SOURCE into a warehouse.

    They make a new version, which is put in force when it is whole.
    data/mappings/SOURCE.toml says how. Every raw line is accepted or quarantined with its reasons.
    """
    return _ingest(source, raw, project_root())


@data.command()
def ensure() -> None:
    """Make sample and warehouse if missing or old.

    What `workbench report` does first: the sample operator is written if there is none, and ingested if its
    warehouse is missing or older than its files.
    """
    _ensure_sample(project_root())


@data.command()
@click.argument("source", default=SAMPLE)
def check(source: str) -> int:
    """Show where every raw line of SOURCE went.

    Per file: raw lines = accepted + quarantined, and the most frequent reasons.
    """
    from workbench.warehouse import open_warehouse

    return _show_account(open_warehouse(source, root=project_root()).full_account(changed=False))


@data.command()
@click.argument("table", required=False)
def describe(table: str | None) -> None:
    """Describe the tables, or the columns of TABLE."""
    from workbench.warehouse import schema

    if table is None:
        _table(["table", "meaning"], ([t.name, t.meaning] for t in schema.tables().values()))
        return
    found = schema.table(table)
    click.echo(f"{found.name}: {found.meaning}")
    click.echo(f"A row is identified by: {', '.join(found.key)}.")
    rows = ([c.name, c.type, c.unit, _rules(c), c.meaning] for c in found.columns)
    _table(["column", "type", "unit", "rules", "meaning"], rows)


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
            click.echo(_relative(one.line()), err=bool(one.error))
    if not made and not quiet:
        click.echo("nothing is due")
    return 2 if any(one.error for one in made) else 0


@schedule.command("run")
@click.argument("plans", nargs=-1)
@click.option("--every", type=click.IntRange(min=1), default=30, show_default=True, help="Seconds between ticks.")
def keep_ticking(plans: tuple[str, ...], every: int) -> None:
    """Keep running what falls due, until stopped."""
    from workbench.reports.runs.schedule import keep_ticking

    click.echo(f"ticking every {every} s; stop with Ctrl-C", err=True)
    keep_ticking(plans, root=project_root(), every=every)


@schedule.command()
@click.option(
    "--format", "form", default="cron", show_default=True, help="cron, systemd, k8s, airflow, dolphinscheduler."
)
def show(form: str) -> None:
    """Show the plans with their next time, and what makes another clock the heartbeat."""
    from workbench.reports.runs.schedule import snippet, upcoming

    root = project_root()
    _table(["plan", "next time", "period then", "dealt with until"], upcoming(root))
    click.echo()
    click.echo(snippet(form, root=root), nl=False)


def _slots(
    studies: Sequence[str], given: dict[str, str], plan: str, period: str, root: Path
) -> tuple[list[Any], dict[str, Any]]:
    """Make the slots that are asked for, and say how their plan wants them run."""
    from workbench.reports.runs import periods
    from workbench.reports.runs.slots import find_slots

    if not plan:
        of = periods.parse(period, today=dt.date.today()) if period else None
        return find_slots(studies, given, root, period=of), {}
    from workbench.reports.runs.plans import load_plan

    found = load_plan(plan, root)
    of = found.period_of(period, until=found.known_until(root, given))
    slots = found.slots(of, root, studies=studies, given=given)
    return slots, {"jobs": found.jobs or None, "timeout": found.timeout, "retries": found.retries}


def _show_status(slots: Iterable[Any] | None, root: Path) -> bool:
    """Show the ledger, or what it knows of some slots; say whether anything runs."""
    from workbench.reports.runs.status import read_status

    seen = read_status(root, slots)
    head = ["study", "slot", "state", "attempts", "finished", "seconds", "headline or error"]
    _table(head, ([*line[:-1], _clipped(line[-1])] for line in seen.lines))
    click.echo(seen.summary)
    return seen.running


def _clipped(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:79] + "…"


def _run(slots: Iterable[Any], root: Path, **options: Any) -> int:
    from workbench.reports.runs.render import run_slots

    made = run_slots(slots, root=root, **options)
    if not made.slots:
        click.echo("nothing to do: nothing failed the last time")
        return 0
    if all(s.status == "refused" and s.slot != "default" for s in made.slots):
        return 2
    known = ("done", "failed", "refused", "unchanged", "running")
    count = {status: sum(s.status == status for s in made.slots) for status in known}
    if count["unchanged"] == len(made.slots):
        click.echo(f"nothing to do: {_many(len(made.slots), 'report')} up to date")
    else:
        said = [f"{n} {status}" for status, n in count.items() if n]
        click.echo(f"{_many(len(made.slots), 'report')}: {', '.join(said)}, in {made.seconds:.1f} s")
    click.echo(f"open {_nearby(made.index)}")
    return 2 if made.refused else 1 if made.failed else 0


def _ensure_sample(root: Path) -> None:
    """Make like `make`: what is missing, or older than what it is made from, is made."""
    from workbench.reports.runs.slots import warehouse_version

    raw = root / "data" / "raw" / SAMPLE
    if not raw.is_dir():
        _write_sample(raw, 20_000, 0)
    version = root / "data" / "warehouse" / SAMPLE / warehouse_version(SAMPLE, root)
    if _is_stale(SAMPLE, root) or not (version / "warehouse.duckdb").is_file():
        if _ingest(SAMPLE, None, root):
            raise WorkbenchError("the account of the sample operator does not balance. See workbench data check.")
        (root / "data" / "warehouse" / SAMPLE / "CURRENT").touch()


def _is_stale(source: str, root: Path) -> bool:
    from workbench.reports.runs.slots import PACKAGE

    current = root / "data" / "warehouse" / source / "CURRENT"
    if not current.is_file():
        return True
    made_from = [
        root / "data" / "mappings" / f"{source}.toml",
        PACKAGE / "warehouse" / "schema.toml",
        *(p for p in (root / "data" / "raw" / source).rglob("*") if p.is_file()),
    ]
    made = current.stat().st_mtime
    return any(p.stat().st_mtime > made for p in made_from if p.is_file())


def _write_sample(folder: Path, customers: int, seed: int) -> None:
    from workbench.sample import write_sample

    with _progress("sample operator") as advance:
        made = write_sample(folder, customers=customers, seed=seed, progress=advance)
    rows, bad = int(made.files["rows"].sum()), int(made.files["bad_rows"].sum())
    click.echo(
        f"sample operator: {len(made.files)} files, {rows:,} lines ({bad:,} bad on purpose), {made.seconds:.1f} s"
    )


def _ingest(source: str, raw: Path | None, root: Path) -> int:
    from workbench.reports.runs.render import refresh_site
    from workbench.warehouse.ingest import ingest

    account = ingest(source, raw=raw, root=root, progress=lambda line: click.echo(line, err=True))
    refresh_site(root)
    return _show_account(account)


def _show_account(account: Any) -> int:
    click.echo("\n".join(account.lines()))
    click.echo("the account balances" if account.balanced else "THE ACCOUNT DOES NOT BALANCE: see the files above")
    return 0 if account.balanced else 1


class _progress:
    """A bar on a terminal, nothing elsewhere; called with a label, what is done and what there is to do."""

    def __init__(self, label: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(desc=label, disable=not sys.stderr.isatty(), leave=False, unit_scale=True)

    def __enter__(self) -> Callable[[str, int, int], None]:
        return self._advance

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def _advance(self, label: str, done: int, total: int) -> None:
        self._bar.set_description(label, refresh=False)
        self._bar.total = total
        self._bar.n = done
        self._bar.refresh()


def _type(parameter: Any) -> str:
    return " | ".join(map(str, parameter.choices)) or parameter.type


def _rules(column: Any) -> str:
    rules = [name for name in ("not_null", "unique") if getattr(column, name)]
    if column.accepted_values:
        rules.append("one of " + ", ".join(column.accepted_values))
    if column.in_range:
        rules.append(f"{column.in_range[0]} to {column.in_range[1]}")
    if column.relationships:
        rules.append("in " + ".".join(column.relationships))
    return "; ".join(rules)


def _table(head: list[str], rows: Iterable[list[str]], indent: int = 0) -> None:
    from workbench.reports.page.tables import width

    grid = [head, *rows]
    widths = [max(width(row[i]) for row in grid) for i in range(len(head))]
    for row in grid:
        cells = (cell + " " * (w - width(cell)) for cell, w in zip(row, widths, strict=True))
        click.echo((" " * indent + "  ".join(cells)).rstrip())


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _nearby(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


workbench.add_command(commands.handoff)
workbench.add_command(commands.diff)
