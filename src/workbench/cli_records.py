"""The `workbench data` commands on what was ingested: where each record went, who is one, who is to be forgotten."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from workbench.catalogue import prose
from workbench.cli_data import SAMPLE, ingest_and_show, show_account
from workbench.cli_data import data as data
from workbench.errors import WorkbenchError
from workbench.messages import Listed, Number, Term, Word, exact, say, word
from workbench.personal import for_me_alone
from workbench.project import project_root
from workbench.reports.page.languages import spoken
from workbench.reports.page.terminal import echo, echo_folded, heads, print_table


@data.command()
@click.argument("source", default=SAMPLE)
def check(source: str) -> int:
    """Show where every raw line of SOURCE went.

    Per file: raw lines = accepted + quarantined, and the most frequent reasons.
    """
    from workbench.warehouse import open_warehouse

    return show_account(open_warehouse(source, root=project_root()).full_account(changed=False))


@data.command()
@click.argument("source", default=SAMPLE)
@click.option("--table", help="Of this table alone.")
@click.option("--file", help="Of this raw file alone.")
@click.option("--export", type=click.Path(path_type=Path, dir_okay=False), help="Write them as CSV, to be mended.")
@click.option("--take-back", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Mended CSV; ingests.")
@click.option("--rows", type=click.IntRange(min=0), default=20, show_default=True, help="How many to show.")
def quarantine(
    source: str, table: str | None, file: str | None, export: Path | None, take_back: Path | None, rows: int
) -> int:
    """Show, export and take back refused records of SOURCE.

    The mended file is copied to data/repairs/SOURCE; its rows stand in the place of the lines they come from, from
    the next ingest on. Take the copy away, and they are refused again.
    """
    root = project_root()
    if take_back is not None:
        from workbench.warehouse.ingest.repairs import Repairs, repairs_folder

        return _take_back(source, take_back, root, repairs_folder(source, root), Repairs)
    from workbench.refused import in_words
    from workbench.warehouse import open_warehouse

    aside = open_warehouse(source, root=root).refused(table, file)
    if export is not None:
        from workbench.warehouse.ingest.repairs import write_quarantine

        number = write_quarantine(aside, export)
        said: dict[str, Any] = {"n": exact(number), "all": exact(len(aside)), "file": str(export)}
        echo(say("{n} of {all} records written to {file}. Mend them, then: --take-back {file}", **said))
        return 0
    for row in aside.head(rows).itertuples():
        where = {"file": row.file, "line": Number(row.line, "d"), "table": row.table}
        why = Listed([in_words(why, spoken()) for why in row.reasons], ";")
        echo_folded(say("{file}, line {line}, {table}: {why}", why=why, **where))
    if len(aside) > rows:
        echo(say("{n} records in quarantine, {shown} of them shown", n=exact(len(aside)), shown=exact(rows)))
    else:
        echo(say("{n} records in quarantine", n=exact(len(aside))))
    return 0


@data.command()
@click.argument("source", default=SAMPLE)
@click.option("--united", is_flag=True, help="Those who were united, not those who await a decision.")
@click.option("--export", type=click.Path(path_type=Path, dir_okay=False), help="Write them as CSV, to be decided.")
@click.option("--take-back", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Decided CSV; ingests.")
@click.option("--confirm", multiple=True, metavar="CASE", help="Its customers are one; ingests.")
@click.option("--reject", multiple=True, metavar="CASE", help="Its customers are different; ingests.")
@click.option("--undo", multiple=True, metavar="CASE", help="Take back what was decided of it; ingests.")
@click.option("--rows", type=click.IntRange(min=0), default=20, show_default=True, help="How many to show.")
def identity(
    source: str,
    united: bool,
    export: Path | None,
    take_back: Path | None,
    confirm: tuple[str, ...],
    reject: tuple[str, ...],
    undo: tuple[str, ...],
    rows: int,
) -> int:
    """Show and decide which customers of SOURCE are one.

    Rules of the mapping ([[identity]]) find them. Decisions are kept in data/private/identity/SOURCE, and hold for
    each ingest from the next one on.
    """
    from workbench.reports.privacy.search import log
    from workbench.warehouse import open_warehouse
    from workbench.warehouse.identities import cases, chosen
    from workbench.warehouse.ingest.decided import (
        DIFFERENT,
        SAME,
        Decided,
        decide,
        identity_folder,
        or_as_before,
        write_cases,
    )

    root = project_root()
    warehouse = open_warehouse(source, root=root)
    if take_back is not None:
        status = _take_back(source, take_back, root, identity_folder(source, root), Decided)
        log(root, "identity", source, warehouse.version, 0, take_back.name)
        return status
    if confirm or reject or undo:
        given = [(chosen(warehouse, confirm), SAME), (chosen(warehouse, reject), DIFFERENT)]
        given.append((Decided(source, root).of(undo), ""))
        with or_as_before(source, root):
            for frame, said in given:
                decide(source, root, frame, said)
            status = ingest_and_show(source, None, root)
        for frame, said in given:
            if len(frame):
                log(root, "identity", source, warehouse.version, len(frame), said or "undo")
        return status
    found = cases(warehouse, united=united)
    if export is not None:
        write_cases(found.dropna(subset="customer_id"), export)
        n = exact(found.dropna(subset="customer_id")["case_id"].nunique())
        echo(
            say(
                "{n} cases written to {file}. Write same or different under decision, then: --take-back {file}",
                n=n,
                file=str(export),
            )
        )
        return 0
    for name, case in list(found.groupby("case_id", sort=False))[:rows]:
        ids, rules = case["customer_id"].dropna(), case["rule"][case["rule"] != ""].unique()
        which: dict[str, Any] = {"case": str(name), "rule": Listed(rules, ";")}
        who = Listed(ids, "") if len(ids) else say("{n} customers", n=exact(int(case["customers"].iloc[0])))
        if united:
            echo(say("{case}: {who} are one customer ({rule})", who=who, **which))
        else:
            echo(say("{case}: {who} ({rule}): {why}", who=who, why=Word(case["why"].iloc[0]), **which))
    ones, waiting = cases(warehouse, united=True), cases(warehouse)["case_id"].nunique()
    counts = {"n": exact(waiting), "of": exact(len(ones)), "to": exact(ones["united_into"].nunique())}
    echo(say("{n} cases await a decision; {of} customers as delivered were united and are {to}", **counts))
    return 0


@data.command()
@click.option("--source", default=SAMPLE, show_default=True, help="Whose customer.")
@click.option("--raw", type=click.Path(path_type=Path), help="Folder of the extracts.  [default: data/raw/SOURCE]")
def forget(source: str, raw: Path | None) -> int:
    """Forget a customer, whose number is read from the prompt or from standard input.

    A new version is built without them, older ones are removed, and their rows leave repairs and lists. What still
    names them is listed. The log in data/private says that it was done, not to whom.
    """
    from workbench.reports.privacy.forget import forget as leave_out
    from workbench.reports.runs.publish import refresh_site

    asked = word("Number of the customer", spoken())
    number = click.prompt(asked, hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    root = project_root()
    done = leave_out(source, number, root, raw=raw, progress=lambda line: echo(line, err=True))
    refresh_site(root)
    what: dict[str, Any] = {"n": exact(done.rows), "version": done.version}
    echo(say("{n} rows are gone; version {version} is in force, and the only one", **what))
    for name in (*done.repaired, *done.lists):
        echo(say("  taken out of {name}", name=name))
    for name in done.naming:
        echo(say("  NAMED STILL in {name}", name=name))
    echo(
        say(
            "The extracts in {folder} may name them: they are left out of every ingest from now on.",
            folder=f"data/raw/{source}",
        )
    )
    if done.naming:
        echo(say("Render those reports again (workbench run STUDY --force), and delete what else was made by hand."))
    for version in done.held:
        echo(say("version {version} is read by a run; forget again when it has finished", version=version), err=True)
    if why := done.ledger:
        left = say("the ledger of runs may name them still ({why}); forget again when no run is at work", why=why)
        echo(left, err=True)
    return 1 if done.naming or done.held or done.ledger else 0


@data.command()
@click.argument("source", default=SAMPLE)
def scan(source: str) -> int:
    """Look for clear identifiers in warehouse, reports, lists, repairs and logs.

    Those that the mapping of SOURCE hides are read from its extracts. Files and kinds are named, never a value; status
    1 where something was found.
    """
    from workbench.reports.privacy.search import scan as search

    found = search(source, project_root())
    for (name, kind), number in found.finds.items():
        echo(say("{name}: {kind} ({n})", name=name, kind=Term(kind), n=exact(number)))
    finds = say("{n} finds in {files} files", n=exact(len(found.finds)), files=exact(found.searched))
    counts = {"pdfs": exact(found.pdfs), "pictures": exact(found.pictures)}
    unread = say("not looked into: PDF files ({pdfs}), pictures ({pictures})", **counts)
    echo(say("{parts}", parts=Listed([finds, unread][: 1 + bool(found.pdfs + found.pictures)], ";")))
    if found.unknown:
        echo(say("not looked for, because no raw file has it: {columns}", columns=Listed(found.unknown)))
    return 1 if found.finds else 0


@data.command()
@click.argument("source", default=SAMPLE)
@click.option("--why", required=True, help="The reason, for the log.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="CSV, for you alone.")
def reidentify(source: str, why: str, out: Path) -> None:
    """Write what pseudonyms stand for, read one a line from standard input.

    It needs the key and the extracts of SOURCE, and is written into the log in data/private.
    """
    from workbench.reports.privacy.search import reidentify as turn_back

    wanted = sys.stdin.read().split()
    n = turn_back(source, wanted, out, project_root(), why=why)
    echo(say("{n} of {all} written to {file}", n=exact(n), all=exact(len(set(wanted))), file=str(out)))


@data.command()
@click.argument("table", required=False)
def describe(table: str | None) -> None:
    """Describe the tables, or the columns of TABLE."""
    from workbench.warehouse import dictionary, rulebook, schema

    if table is None:
        print_table(heads("table", "meaning"), ([t.name, prose(t.meaning, spoken())] for t in schema.tables().values()))
        return
    found = schema.table(table)
    echo_folded(f"{found.name}: {prose(found.meaning, spoken())}")
    key = Listed(found.key, "") if found.key else say("none; equal rows may stand")
    echo_folded(say("A row is identified by: {columns}.", columns=key))
    rows = dictionary.describe(found.name, spoken()).to_numpy().tolist()
    print_table(heads("column", "type", "unit", "rules", "meaning"), rows)
    if among := rulebook.Rulebook({}).of(found.name, "refuse", "warn", "stop"):
        said = ([r.name, r.severity, word(r.reason, spoken())] for r in among)
        print_table(heads("rule", "severity", "broken where"), said)


def _take_back(source: str, mended: Path, root: Path, folder: Path, read: Callable[[str, Path], Any]) -> int:
    place = folder / mended.name
    if place.exists() and not place.samefile(mended):
        raise WorkbenchError("{file} stands already. Give {mended} another name, or take that one away.").of(
            str(place), str(mended)
        )
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = not place.exists()
    if new:
        for_me_alone(place)
        shutil.copyfile(mended, place)
    try:
        read(source, root)
        return ingest_and_show(source, None, root)
    except WorkbenchError:
        if new:
            place.unlink()
        raise
