"""The commands that hand reports over, check them and set two side by side."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from workbench.messages import Number, as_message, say, word
from workbench.project import project_root
from workbench.reports.page.languages import spoken
from workbench.reports.page.tables import width
from workbench.reports.page.terminal import Command, Commands, echo

_FILE = click.Path(path_type=Path)
_MOST = 40


@click.group(cls=Commands)
def handoff() -> None:
    """Hand reports over so that others can prove the numbers."""


@handoff.command()
@click.argument("slots", metavar="SLOT...", nargs=-1, required=True)
@click.option("--out", type=_FILE, help="File to write.  [default: dist/handoff-STUDY.zip]")
@click.option("--minimum", type=click.IntRange(min=2), default=10, show_default=True, help="Fewest people of a cell.")
def create(slots: tuple[str, ...], out: Path | None, minimum: int) -> None:
    """Write one zip of reports and all that made them.

    SLOT is STUDY, for its default report, or STUDY/NAME. Customers, lists of customers, secrets and cells on too few
    people never go in: what holds any is refused.
    """
    from workbench.reports.handoff import bundle

    made = bundle.create(slots, out, root=project_root(), minimum=minimum)
    size = Number(made.bytes / 1e6, ".1f")
    echo(say("{file}: {n} files, {size} MB", file=str(made.path), n=made.files, size=size))
    echo(say("sha256 {hash}", hash=made.sha256))


@handoff.command()
@click.argument("file", type=_FILE)
@click.option("--data", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Folder of raw extracts.")
@click.option("--allow-environment", is_flag=True, help="Let libraries of another version count as the same.")
@click.option("--page", type=_FILE, help="Page to write.  [default: FILE.html, or in the current folder]")
@click.option("--timeout", type=click.FloatRange(min=1), default=1800, show_default=True, help="Seconds per study.")
@click.option("--jobs", type=click.IntRange(min=1), help="Studies at a time.  [default: one per processor]")
def verify(file: Path, page: Path | None, **options: Any) -> int:
    """Check a bundle and run it again, without network, in a temporary folder.

    Exit code 0: the same; 1: a number or the environment differs; 2: it could not be run; 3: the file was changed.
    """
    from workbench.reports.handoff.verify import verify

    file.stat()  # of what is not there no page is written
    found = verify(file, progress=lambda line: echo(line, err=True), **options)
    for name, comparison in found.reports.items():
        echo(say("{name}: {what}", name=name, what=comparison.headline()))
    notes = (*found.notes, say("sha256 of the file: {hash}", hash=found.sha256))
    said = {"Environment": found.environment, "Notes": notes}
    places = [page] if page else [file.with_suffix(".html"), Path(f"{file.stem}.html")]
    content = {"headline": found.headline, "reports": found.reports, "lists": said, "good": found.code == 0}
    _write_page(places, title=say("Verification of {file}", file=file.name), causes=False, **content)
    echo(found.headline)
    return found.code


@click.command(cls=Command)
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--page", type=_FILE, help="Page to write with every number.")
def diff(before: str, after: str, page: Path | None) -> int:
    """Set two reports side by side: numbers, tables, causes.

    A and B are STUDY/NAME, folders of reports, or bundles. Exit code 0: the same; 1: they differ; 2: they can't be
    compared.
    """
    from workbench.reports.handoff.verify import pairs

    found = pairs(before, after)
    for name, comparison in found.items():
        changes = [c for c in (*comparison.numbers, *comparison.cells) if not c.good]
        echo(say("{name}: {what}", name=name, what=comparison.headline()))
        for c in changes[:_MOST]:
            status = word(c.status, spoken())
            click.echo(f"  {status}{' ' * (8 - width(status))} {c.name}: {c.said().said(spoken())}")
        if len(changes) > _MOST:
            echo(say("  … and {n} more, which --page FILE shows", n=len(changes) - _MOST))
        for cause in comparison.causes if changes else ():
            echo(say("  cause?   {cause}", cause=cause))
    same = all(c.same for c in found.values())
    if page:
        headline = say("same") if same else say("differs")
        content: dict[str, Any] = {"headline": headline, "reports": found, "lists": {}, "good": same}
        _write_page([page], title=word(", ".join(found), spoken()), causes=True, **content)
    return 0 if same else 1


def _write_page(places: Iterable[Path], **content: Any) -> None:
    """Write the page to the first place that can be written; say where, or that it was not."""
    from workbench.reports.handoff.bundle import write_whole
    from workbench.reports.page.html import comparison_page

    made, said = comparison_page(language=spoken(), **content).encode(), say("")
    for place in places:
        try:
            write_whole(place, made)
        except OSError as error:
            said = as_message(error.strerror or str(error))
        else:
            echo(say("page: {file}", file=os.path.relpath(place)))
            return
    echo(say("no page was written: {why}. Name another place with --page.", why=said), err=True)
