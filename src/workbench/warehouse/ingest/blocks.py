"""What does a mapping declare? Files, the tables they fill, and where each value comes from.

The format is described, key by key, in docs/mappings.md; `mapping` reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from workbench.warehouse import schema
from workbench.warehouse.ingest.identity_rules import IdentityRule
from workbench.warehouse.ingest.reading import MOST_REFUSED
from workbench.warehouse.rulebook import Rulebook

PREPARED = "prepare:"
PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Origin:
    """Where a canonical value comes from: exactly one of `column`, `constant`, `template`, `row_number` and `sum`.

    Attributes
    ----------
    column, constant, template : str or None
        A column of the file, a fixed text, or a text with ``{column}`` in it.
    row_number : bool
        The number of the record in its file, from 1.
    sum : tuple of str
        Columns that are added up.
    values : dict of str or None
        Translation; a text that it does not know goes to quarantine.
    format : str or None
        How dates are written, as in strptime; "excel" for the numbers by which Excel counts days; "months before
        2026-06-30" for how many.
    number : str or None
        How numbers are written, as one of NUMBERS.
    scale : float or None
        Factor to the canonical unit.
    missing : tuple of str
        Texts that mean "no value"; the empty text always does.
    pseudonym : bool or None
        Whether the clear text is replaced by its keyed pseudonym; None where the mapping is silent.
    kind : {'phone', 'card', 'name', None}
        What the clear text is, so that all its forms have one pseudonym.
    """

    column: str | None = None
    constant: str | None = None
    template: str | None = None
    row_number: bool = False
    sum: tuple[str, ...] = ()
    values: dict[str, str] | None = None
    format: str | None = None
    number: str | None = None
    scale: float | None = None
    missing: tuple[str, ...] = ("",)
    pseudonym: bool | None = None
    kind: str | None = None

    def sources(self) -> tuple[str, ...]:
        """The columns of the file that it needs."""
        if self.column is not None:
            return (self.column,)
        if self.sum:
            return self.sum
        return tuple(PLACEHOLDER.findall(self.template)) if self.template is not None else ()


@dataclass(frozen=True)
class FileBlock:
    """A `[[file]]` block: files of one kind, the table they fill, and the origin of each of its columns.

    The keys are those of docs/mappings.md; `most_refused` is the share of a file's records that may be refused, and
    `prepared` the step whose result is read in the place of a file; `elsewhere` names the columns that another block of
    the same files uses or leaves out, `beside` those that fill nothing and stand beside a refused record.
    """

    path: str
    table: schema.TableSchema
    format: str
    columns: dict[str, Origin | dict[str, Origin]]
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    names: tuple[str, ...] | None = None
    sheet: str | int = 0
    relation: str = ""
    url: str = ""
    skip_rows: int = 0
    header_rows: int = 1
    totals: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    keep: str = "first"
    order: str | None = None
    most_refused: float = MOST_REFUSED
    prepared: str = ""
    elsewhere: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """What it fills: a table, or an input of a step."""
        return self.table.name

    @property
    def is_glob(self) -> bool:
        """Whether the path may name several files."""
        return any(sign in self.path for sign in "*?[")

    def values(self) -> Iterable[Origin]:
        """Every origin, those inside maps too."""
        for value in self.columns.values():
            yield from value.values() if isinstance(value, dict) else (value,)

    def sources(self) -> tuple[str, ...]:
        """The file's columns that are used, each once, in order of use."""
        used = [source for value in self.values() for source in value.sources()]
        return tuple(dict.fromkeys([*used, *([self.order] if self.order is not None else []), *self.beside]))

    def natural(self) -> dict[str, set[str]]:
        """The file's columns whose numbers, days and times need not become texts, with the types they have to give."""
        types: dict[str, set[str]] = {}
        texts = {self.order}
        for name, origin in self.columns.items():
            type = self.table.column(name).type
            for value in origin.values() if isinstance(origin, dict) else (origin,):
                plain = not (value.values or value.format or value.number or value.missing != ("",))
                if value.column is not None and plain and type in ("double", "integer", "date", "timestamp"):
                    types.setdefault(value.column, set()).add(type)
                else:
                    texts |= set(value.sources())
        return {source: wanted for source, wanted in types.items() if source not in texts}

    def texts(self) -> frozenset[str]:
        """The file's columns that are read as texts, identifiers among them: no number may stand for them."""
        return self._feeding(lambda column: column.type == "text")

    def identifiers(self) -> frozenset[str]:
        """The file's columns that tell customers, lines and the like apart."""
        return self._feeding(lambda column: column.is_identifier)

    def _feeding(self, wanted: Callable[[schema.Column], bool]) -> frozenset[str]:
        columns = [(self.table.column(name), value) for name, value in self.columns.items()]
        return frozenset(
            source
            for column, value in columns
            if isinstance(value, Origin) and wanted(column)
            for source in value.sources()
        )


@dataclass(frozen=True)
class Input(FileBlock):
    """What a `[[prepare]]` step reads: files of one kind, each column a text, as a table `name`.

    Attributes
    ----------
    name : str
    key : tuple of str
        Columns that the result has too, by which the records are followed.
    lookup : bool
        Records are looked up: one that stands nowhere in the result is no loss, and none is followed.
    link : tuple of str
        Two columns: each identifier of the first belongs to one of the second; () if it is no table of links.
    multiplies, drops : bool
        Whether a record may stand in several rows of the result, or in none, on purpose.
    seen : dict
        The columns that its files turn out to have.
    """

    name: str = ""
    key: tuple[str, ...] = ()
    lookup: bool = False
    link: tuple[str, ...] = ()
    multiplies: bool = False
    drops: bool = False
    seen: dict[str, None] = field(default_factory=dict, compare=False)

    @property
    def target(self) -> str:
        """What it fills: an input of a step."""
        return f"{self.name} of {self.table.name}"

    def sources(self) -> tuple[str, ...]:
        """The columns of the files, for all are read."""
        return tuple(self.seen)

    def texts(self) -> frozenset[str]:
        """The columns of the files: numbers among them are identifiers, perhaps."""
        return frozenset(self.seen)


@dataclass(frozen=True)
class Step:
    """A `[[prepare]]` block: a SELECT over files, whose result is mapped like a file; `line` is where it begins."""

    name: str
    sql: str
    inputs: tuple[Input, ...]
    line: int

    @property
    def table(self) -> str:
        """The name under which the account has what the step reads, and its result as a file."""
        return PREPARED + self.name


@dataclass(frozen=True)
class Mapping:
    """A source as its mapping file declares it."""

    source: str
    file: Path
    title: str
    operator: str
    currency: str
    as_of: date
    files: tuple[FileBlock, ...]
    rows: dict[str, tuple[dict[str, str], ...]] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    codes: tuple[Path, ...] = ()
    rulebook: Rulebook = field(default_factory=lambda: Rulebook({}))
    identity: tuple[IdentityRule, ...] = ()

    def blocks(self) -> tuple[FileBlock, ...]:
        """All that name files: the inputs of the steps, and the `[[file]]` blocks."""
        return (*(one for step in self.steps for one in step.inputs), *self.files)

    def tables(self) -> set[str]:
        """Names of the tables that it fills."""
        return {block.table.name for block in self.files} | set(self.rows)

    def filled(self) -> list[str]:
        """Names of the columns that it fills, each behind its table's: bill.month."""
        cells = [(block.table.name, column) for block in self.files for column in block.columns]
        cells += [(table, column) for table, rows in self.rows.items() for row in rows for column in row]
        return sorted({f"{table}.{column}" for table, column in cells})
