"""The `workbench data` commands: make, ingest, check and describe data, and mend what was refused."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

import click

from workbench.errors import WorkbenchError, unknown
from workbench.project import project_root

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
        raise WorkbenchError(f"'{name}' cannot be the name of a source. Use letters, digits, _ and -.")
    output = output or root / "data" / "mappings" / f"{name}.toml"
    if output.exists():
        raise WorkbenchError(f"{output} stands already. Give another --name or --output, or take it away.")
    asked: dict[str, Any] = {"name": name, "root": root, "today": dt.date.today()}
    made, text, raw = draft_mapping(files, **asked)
    output.write_text(text, encoding="utf-8")
    lines, status, last = _tried(output, raw, root)
    if last and last >= made.as_of:  # only a piece was read before
        made, text, raw = draft_mapping(files, **asked, until=last)
        output.write_text(text, encoding="utf-8")
    click.echo(f"{shown(output, root)}: drafted, as of {made.as_of}")
    rows = ([b.sample.path.name, b.table.name, f"{len(b.cells)} of {len(b.table.columns)}"] for b in made.blocks)
    print_table(["file", "table", "columns"], rows, indent=2)
    for sample in made.homeless:
        click.echo(f"  {sample.path.name} fits no table and was left out")
    said = doubts(text)
    click.echo(f"to check ({len(said)}):" if said else "names and values agree everywhere")
    click.echo("".join(f"  {line}\n" for line in said))
    click.echo("\n".join(lines))
    again = name if output == root / "data" / "mappings" / f"{name}.toml" else output
    click.echo(f"next: mend {shown(output, root)}, look again with: workbench data try {again} --raw {raw}")
    click.echo(f"then: workbench data ingest {name} --raw {raw}; workbench run -p source={name}")
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
    click.echo("\n".join(lines))
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
        return _take_back(source, take_back, root)
    from workbench.warehouse import open_warehouse

    aside = open_warehouse(source, root=root).refused(table, file)
    if export is not None:
        from workbench.warehouse.ingest.repairs import write_quarantine

        number = write_quarantine(aside, export)
        click.echo(f"{number:,} of {len(aside):,} records written to {export}. Mend them, then: --take-back {export}")
        return 0
    for row in aside.head(rows).itertuples():
        click.echo(f"{row.file}, line {row.line}, {row.table}: {'; '.join(row.reasons)}")
    click.echo(f"{len(aside):,} records in quarantine" + (f", {rows:,} of them shown" if len(aside) > rows else ""))
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

    number = click.prompt("Number of the customer", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    root = project_root()
    done = leave_out(source, number, root, raw=raw, progress=lambda line: click.echo(line, err=True))
    refresh_site(root)
    click.echo(f"{done.rows:,} rows are gone; version {done.version} is in force, and the only one")
    for what, names in (("taken out of", (*done.repaired, *done.lists)), ("NAMED STILL in", done.naming)):
        for name in names:
            click.echo(f"  {what} {name}")
    click.echo(f"The extracts in data/raw/{source} may name them: they are left out of every ingest from now on.")
    if done.naming:
        click.echo("Render those reports again (workbench run STUDY --force), and delete what else was made by hand.")
    for version in done.held:
        click.echo(f"version {version} is read by a run; forget again when it has finished", err=True)
    return 1 if done.naming or done.held else 0


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
        click.echo(f"{name}: {kind} ({number:,})")
    unread = f"; {found.unread:,} pictures and PDF files were not searched" if found.unread else ""
    click.echo(f"{len(found.finds):,} finds in {found.searched:,} files{unread}")
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
    click.echo(f"{turn_back(source, wanted, out, project_root(), why=why):,} of {len(set(wanted)):,} written to {out}")


@data.command()
@click.argument("table", required=False)
def describe(table: str | None) -> None:
    """Describe the tables, or the columns of TABLE."""
    from workbench.warehouse import rulebook, schema

    if table is None:
        print_table(["table", "meaning"], ([t.name, t.meaning] for t in schema.tables().values()))
        return
    found = schema.table(table)
    click.echo(f"{found.name}: {found.meaning}")
    click.echo(f"A row is identified by: {', '.join(found.key)}.")
    rows = ([c.name, c.type, c.unit, _rules(c), c.meaning] for c in found.columns)
    print_table(["column", "type", "unit", "rules", "meaning"], rows)
    if among := rulebook.Rulebook({}).of(found.name, "refuse", "warn", "stop"):
        print_table(["rule", "severity", "broken where"], ([r.name, r.severity, r.reason] for r in among))


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


def _take_back(source: str, mended: Path, root: Path) -> int:
    from workbench.warehouse.ingest.repairs import Repairs, repairs_folder

    place = repairs_folder(source, root) / mended.name
    if place.exists() and not place.samefile(mended):
        raise WorkbenchError(f"{place} stands already. Give {mended} another name, or take that one away.")
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = not place.exists()
    if new:
        shutil.copyfile(mended, place)
    try:
        Repairs(source, root)
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
        account, last = made.full_account(), max((b for _, b in spans(made).values()), default=None)
        lines = [f"{mapping.stem}: tried as of {made.as_of}; nothing of it is kept", *account.lines()[1:]]
        lines += [f"TOO MUCH IS REFUSED: {said}" for said in account.excess()]
        if last and last >= made.as_of:
            lines.append(f"  note: the data reach {last}, but no study sees what is not before as_of = {made.as_of}")
        lines += fit_lines(fits(made, root, mapping=mapping), mapping.stem, shown(mapping, root))
    return lines, 1 if account.excess() else 0, last


def shown(path: Path, root: Path) -> str:
    """A path as seen from the project's folder."""
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def fit_lines(found: Mapping[str, Any], source: str, mapping: str = "") -> list[str]:
    """Say which studies run on a source, which parts of them lack something, and what the others lack."""
    runs = {name: fit for name, fit in found.items() if fit is not None and not fit.lacks}
    lines = ["studies that run:" if runs else "no study runs"]
    for name, fit in runs.items():
        without = ", ".join(part.replace("|", " or ") for part in fit.parts)
        lines.append(f"  {name}" + (f" (without {without}: the parts that rest on it say so)" if without else ""))
    lines += ["studies that do not:"] if len(runs) < len(found) else []
    for name, fit in found.items():
        if fit is None:
            lines.append(f"  {name}: it does not say what it needs (needs = … in its parameters cell)")
        elif fit.lacks:
            lines.append(f"  {name}: {fit.sentence(source, mapping)}")
    return lines


def _show_account(account: Any) -> int:
    click.echo("\n".join(account.lines()))
    click.echo("the account balances" if account.balanced else "THE ACCOUNT DOES NOT BALANCE: see the files above")
    for said in account.excess():
        click.echo(f"TOO MUCH IS REFUSED: {said}. See: workbench data quarantine {account.source}", err=True)
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


def _rules(column: Any) -> str:
    rules = [name for name in ("not_null", "unique") if getattr(column, name)]
    if column.accepted_values:
        rules.append("one of " + ", ".join(column.accepted_values))
    if column.in_range:
        rules.append(f"{column.in_range[0]} to {column.in_range[1]}")
    if column.relationships:
        rules.append("in " + ".".join(column.relationships))
    return "; ".join(rules)


def print_table(head: list[str], rows: Iterable[list[str]], indent: int = 0, file: TextIO | None = None) -> None:
    from workbench.reports.page.tables import width

    grid = [head, *rows]
    widths = [max(width(row[i]) for row in grid) for i in range(len(head))]
    for row in grid:
        cells = (cell + " " * (w - width(cell)) for cell, w in zip(row, widths, strict=True))
        click.echo((" " * indent + "  ".join(cells)).rstrip(), file)
