"""The `workbench data` commands: make, ingest, check and describe data, and mend what was refused."""

from __future__ import annotations

import datetime as dt
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from workbench.errors import WorkbenchError
from workbench.messages import Listed, Number, exact, say, word
from workbench.project import project_root
from workbench.reports.page.languages import spoken
from workbench.reports.page.terminal import Commands, echo, echo_folded, heads, print_table

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
    return ingest_and_show(source, raw, project_root())


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


def ensure_sample(root: Path) -> None:
    """Make like `make`: what is missing, or older than what it is made from, is made."""
    from workbench.reports.runs.sources import warehouse_version

    raw = root / "data" / "raw" / SAMPLE
    if not raw.is_dir():
        _write_sample(raw, 20_000, 0)
    version = root / "data" / "warehouse" / SAMPLE / warehouse_version(SAMPLE, root)
    if _is_stale(SAMPLE, root) or not (version / "warehouse.duckdb").is_file():
        if ingest_and_show(SAMPLE, None, root):
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


def ingest_and_show(source: str, raw: Path | None, root: Path) -> int:
    from workbench.reports.runs.publish import refresh_site
    from workbench.warehouse.ingest import ingest

    account = ingest(source, raw=raw, root=root, progress=lambda line: echo(line, err=True))
    refresh_site(root)
    return show_account(account)


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
    """A path as seen from a folder, if it lies in it."""
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


def show_account(account: Any) -> int:
    for line in account.lines(spoken()):
        echo_folded(line)
    balance = say("the account balances"), say("THE ACCOUNT DOES NOT BALANCE: see the files above")
    echo(balance[not account.balanced])
    for said in account.excess():
        refused = {"what": said, "source": account.source}
        echo(say("TOO MUCH IS REFUSED: {what}. See: workbench data quarantine {source}", **refused), err=True)
    return 1 if account.excess() or not account.balanced else 0


@contextmanager
def _progress(label: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, nothing elsewhere; called with a label, what is done and what there is to do."""
    from tqdm import tqdm

    with tqdm(desc=label, disable=not sys.stderr.isatty(), leave=False, unit_scale=True) as bar:

        def advance(label: str, done: int, total: int) -> None:
            bar.set_description(label, refresh=False)
            bar.total, bar.n = total, done
            bar.refresh()

        yield advance
