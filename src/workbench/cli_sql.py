"""The `workbench sql` command: an analyst's own SELECT, shown or written to a file."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, TextIO

import click

from workbench.cli_data import SAMPLE
from workbench.errors import WorkbenchError
from workbench.messages import exact, say
from workbench.project import project_root
from workbench.reports.page.terminal import Command, echo, print_table

SHOWN = 20


class _Select(Command):
    """A command whose statement may begin with a comment, as files of SQL do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take `-- some words` for no option: those begin with a letter."""
        return super().parse_args(ctx, [f"\n{arg}" if re.match(r"--[^a-z]", arg) else arg for arg in args])


@click.command(
    cls=_Select,
    epilog="""\b
Examples:
  workbench sql "SELECT province, count(*) FROM customer GROUP BY province"
  workbench sql "SHOW TABLES"
  workbench sql "SELECT * FROM customer_features" -p as_of=2026-06-01 --format parquet --output june.parquet""",
)
@click.argument("statement")
@click.option("--source", default=SAMPLE, show_default=True, help="Whose warehouse.")
@click.option("-p", "--parameter", "assignments", metavar="NAME=VALUE", multiple=True, help="Of a feature or view.")
@click.option("--format", "form", type=click.Choice(["table", "csv", "parquet"]), default="table", show_default=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write.  [default: the screen]")
@click.option("--limit", type=click.IntRange(min=1), help=f"Rows at most.  [default: all; {SHOWN} in a table]")
@click.option("--seconds", type=click.FloatRange(min=1), default=60, show_default=True, help="Time it may take.")
def sql(
    statement: str,
    source: str,
    assignments: tuple[str, ...],
    form: str,
    output: Path | None,
    limit: int | None,
    seconds: float,
) -> None:
    """Run one SELECT over the tables, features and views.

    It reads the warehouse and nothing else, changes nothing, and is stopped if it takes too much memory or time.
    """
    from workbench.reports.runs.parameters import split_assignments
    from workbench.warehouse.adhoc import select
    from workbench.warehouse.opened import open_warehouse

    if form == "parquet" and output is None:
        raise WorkbenchError("Parquet goes into a file. Say which: --output FILE")
    limit = SHOWN if limit is None and form == "table" and output is None else limit
    warehouse = open_warehouse(source, root=project_root())
    found = select(statement, warehouse, parameters=split_assignments(assignments), limit=limit, seconds=seconds)
    if output is not None:
        _write(found, form, output)
        echo(say("{n} rows written to {file}", n=exact(found.table.num_rows), file=str(output)))
    elif form == "csv":
        if hasattr(sys.stdout, "reconfigure") and not sys.stdout.isatty():
            sys.stdout.reconfigure(encoding="utf-8")
        found.frame().to_csv(sys.stdout, index=False)
    else:
        _print(found.frame(), sys.stdout)
    if found.more:
        echo(say("there are more rows than these {n}: --limit N for more", n=exact(found.table.num_rows)), err=True)


def _write(found: Any, form: str, output: Path) -> None:
    """Write the rows into a file that only its owner may read, whole or not at all."""
    from workbench.locks import whole
    from workbench.personal import for_me_alone
    from workbench.reports.page.lists import write_csv

    with whole(output) as aside:
        for_me_alone(aside)
        if form == "parquet":
            from pyarrow import parquet

            parquet.write_table(found.table, aside)
        elif form == "csv":
            write_csv(found.frame(), aside)
        else:
            with aside.open("w", encoding="utf-8") as file:
                _print(found.frame(), file)


def _print(frame: Any, file: TextIO) -> None:
    print_table([*map(_plain, frame)], [[*map(_cell, row)] for row in frame.itertuples(index=False)], file=file)


def _cell(value: Any) -> str:
    import pandas as pd

    if isinstance(value, float | pd.Timestamp) or value is None or value is pd.NaT or value is pd.NA:
        if pd.isna(value):
            return ""
        return f"{value:.15g}" if isinstance(value, float) else str(value).removesuffix(" 00:00:00")
    return _plain(value)


def _plain(value: object) -> str:
    """A text on one line, in which nothing steers the terminal."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in str(value))
