"""The `workbench data` commands: make, ingest, check and describe data, and mend what was refused."""

from __future__ import annotations

import datetime as dt
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from workbench.catalogue import prose
from workbench.errors import WorkbenchError
from workbench.messages import Listed, Number, Term, Word, say, word
from workbench.personal import for_me_alone
from workbench.project import project_root
from workbench.reports.page.languages import spoken
from workbench.reports.page.terminal import Commands, echo, echo_folded, exact, heads, print_table

SAMPLE = "sample"


@click.group(cls=Commands)
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
    ensure_sample(project_root())


@data.command(
    epilog="""\b
Example:
  workbench data draft ~/Downloads/churn.csv --name churn"""
)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--name", help="Of the source.  [default: the file's, or its folder's]")
@click.option("--output", type=click.Path(path_type=Path), help="Mapping to write.  [default: data/mappings/NAME.toml]")
def draft(files: tuple[Path, ...], name: str | None, output: Path | None) -> int:
    """Draft a mapping of FILES that nobody has mapped yet.

    Reads a piece of each, proposes tables, columns, units, codes and keys by names (Chinese and English) and by
    values, says what to check, and shows what would be accepted and which studies could run. Builds nothing.
    """
    from workbench.warehouse.draft import doubts, draft_mapping

    root = project_root()
    if not files:
        raise WorkbenchError("name the files: workbench data draft FILE…")
    whole = files[0].name if len(files) == 1 else files[0].resolve().parent.name
    name = name or re.sub(r"\W+", "_", whole.split(".")[0])
    if not re.fullmatch(r"[\w.-]+", name):
        raise WorkbenchError("'{name}' cannot be the name of a source. Use letters, digits, _ and -.").of(name)
    output = output or root / "data" / "mappings" / f"{name}.toml"
    if output.exists():
        raise WorkbenchError("{file} stands already. Give another --name or --output, or take it away.").of(str(output))
    asked: dict[str, Any] = {"name": name, "root": root, "today": dt.date.today()}
    made, text, raw = draft_mapping(files, **asked)
    output.write_text(text, encoding="utf-8")
    try:
        lines, status, last = _tried(output, raw, root)
    except WorkbenchError as error:  # the draft stands: what it lacks is mended in it
        lines, status, last = [error.said(spoken())], 2, None
    if last and last >= made.as_of:  # only a piece was read before
        made, text, raw = draft_mapping(files, **asked, until=last)
        output.write_text(text, encoding="utf-8")
        lines, status, _ = _tried(output, raw, root)
    echo(say("{file}: drafted, as of {day}", file=shown(output, root), day=str(made.as_of)))
    mapped = (say("{n} of {all}", n=len(b.cells), all=len(b.table.columns)) for b in made.blocks)
    places = ((b.sample.path.name, b.table.name) for b in made.blocks)
    rows = ([*names, word(number, spoken())] for names, number in zip(places, mapped, strict=True))
    print_table(heads("file", "table", "columns"), rows, indent=2)
    for sample in made.homeless:
        echo(say("  {file} fits no table and was left out", file=sample.path.name))
    said = doubts(text)
    echo(say("to check ({n}):", n=len(said)) if said else say("names and values agree everywhere"))
    for line in (*(f"  {line}" for line in said), "", *lines):
        echo_folded(line)
    own = output == root / "data" / "mappings" / f"{name}.toml"
    lies = root / "data" / "raw" / name in (raw.resolve(), raw.resolve().parent)
    given = "" if lies else f" --raw {shlex.quote(str(raw))}"  # for a folder may have a space in its name
    again = f"workbench data try {name if own else shlex.quote(str(output))}{given}"
    echo(say("next: mend {file}, look again with: {command}", file=shown(output, root), command=again))
    echo(say("then: {command}", command=f"workbench data ingest {name}{given}; workbench run -p source={name}"))
    return status


@data.command("try")
@click.argument("mapping", type=click.Path(path_type=Path))
@click.option("--raw", type=click.Path(path_type=Path), help="Folder of the extracts, or the one file.")
def try_(mapping: Path, raw: Path | None) -> int:
    """Show what a MAPPING (file or name) would make, and which studies run on it.

    Everything is read and checked as by ingest, and thrown away.
    """
    from workbench.warehouse.connect import mapping_file

    root = project_root()
    lines, status, _ = _tried(mapping if mapping.is_file() else mapping_file(str(mapping), root), raw, root)
    for line in lines:
        echo_folded(line)
    return status


@data.command()
@click.argument("source", default=SAMPLE)
def check(source: str) -> int:
    """Show where every raw line of SOURCE went.

    Per file: raw lines = accepted + quarantined, and the most frequent reasons.
    """
    from workbench.warehouse import open_warehouse

    return _show_account(open_warehouse(source, root=project_root()).full_account(changed=False))


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
            status = _ingest(source, None, root)
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
    from workbench.reports.runs.render import refresh_site

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


def ensure_sample(root: Path) -> None:
    """Make like `make`: what is missing, or older than what it is made from, is made."""
    from workbench.reports.runs.slots import warehouse_version

    raw = root / "data" / "raw" / SAMPLE
    if not raw.is_dir():
        _write_sample(raw, 20_000, 0)
    version = root / "data" / "warehouse" / SAMPLE / warehouse_version(SAMPLE, root)
    if _is_stale(SAMPLE, root) or not (version / "warehouse.duckdb").is_file():
        if _ingest(SAMPLE, None, root):
            raise WorkbenchError("the account of the sample operator is not in order. See workbench data check.")
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

    with _progress(word("sample operator", spoken())) as advance:
        made = write_sample(folder, customers=customers, seed=seed, progress=advance)
    rows, bad = int(made.files["rows"].sum()), int(made.files["bad_rows"].sum())
    counts: dict[str, Any] = {"files": len(made.files), "rows": exact(rows), "bad": exact(bad)}
    counts["s"] = Number(made.seconds, ".1f")
    echo(say("sample operator: {files} files, {rows} lines ({bad} bad on purpose), {s} s", **counts))


def _ingest(source: str, raw: Path | None, root: Path) -> int:
    from workbench.reports.runs.render import refresh_site
    from workbench.warehouse.ingest import ingest

    account = ingest(source, raw=raw, root=root, progress=lambda line: echo(line, err=True))
    refresh_site(root)
    return _show_account(account)


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
        return _ingest(source, None, root)
    except WorkbenchError:
        if new:
            place.unlink()
        raise


def _tried(mapping: Path, raw: Path | None, root: Path) -> tuple[list[str], int, dt.date | None]:
    """What a mapping would make, in words; the status; and the last day of its dated facts."""
    from workbench.reports.runs.needs import fits
    from workbench.warehouse.features import spans
    from workbench.warehouse.ingest.run import tried

    with tried(mapping, raw=raw, root=root) as made:
        account, known = made.full_account(), {fact: last for fact, (_, last) in spans(made).items()}
        issued = "SELECT last_day(max(month)) AS day FROM bill WHERE issued_on <= CAST(? AS DATE)"
        billed = made.query(issued, [known.get("bill")])["day"].dropna().dt.date
        last = max([*known.values(), *billed], default=None)  # what is billed in a month is known of all of it
        day = str(made.as_of)
        head = say("{source}: tried as of {day}; nothing of it is kept", source=mapping.stem, day=day)
        lines: list[str] = [head, *account.lines(spoken())[1:]]
        lines += [say("TOO MUCH IS REFUSED: {what}", what=said) for said in account.excess()]
        if last and last >= made.as_of:
            lines.append(
                say(
                    "  note: the data reach {last}, but no study sees what is not before as_of = {day}",
                    last=str(last),
                    day=day,
                )
            )
        lines += fit_lines(fits(made, root, mapping=mapping), mapping.stem, shown(mapping, root))
    return lines, 1 if account.excess() else 0, last


def shown(path: Path, root: Path) -> str:
    """A path as seen from the project's folder."""
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def fit_lines(found: Mapping[str, Any], source: str, mapping: str = "") -> list[str]:
    """Say which studies run on a source, which parts of them lack something, and what the others lack."""
    runs = {name: fit for name, fit in found.items() if fit is not None and not fit.lacks}
    lines: list[str] = [say("studies that run:") if runs else say("no study runs")]
    for name, fit in runs.items():
        without = Listed((Listed(part.split("|"), "or") for part in fit.parts), "")
        parts = say("  {name} (without {parts}: the parts that rest on it say so)", name=name, parts=without)
        lines.append(parts if fit.parts else f"  {name}")
    lines += [say("studies that do not:")] if len(runs) < len(found) else []
    for name, fit in found.items():
        if fit is None:
            lines.append(say("  {name}: it does not say what it needs (needs = … in its parameters cell)", name=name))
        elif fit.lacks:
            lines.append(say("  {name}: {why}", name=name, why=fit.sentence(source, mapping)))
    return lines


def _show_account(account: Any) -> int:
    for line in account.lines(spoken()):
        echo_folded(line)
    balance = say("the account balances"), say("THE ACCOUNT DOES NOT BALANCE: see the files above")
    echo(balance[not account.balanced])
    for said in account.excess():
        refused = {"what": said, "source": account.source}
        echo(say("TOO MUCH IS REFUSED: {what}. See: workbench data quarantine {source}", **refused), err=True)
    return 1 if account.excess() or not account.balanced else 0


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
