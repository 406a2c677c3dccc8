"""What does a file give? Its records, batch after batch: those that are accepted, and those that are set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.warehouse import clear, schema
from workbench.warehouse.ingest.blocks import FileBlock, Origin
from workbench.warehouse.ingest.forgotten import FORGOTTEN, Forgotten
from workbench.warehouse.ingest.parts import BY_MONTH, Part, Parts, PartWriter
from workbench.warehouse.ingest.read import Batch, batches, with_texts
from workbench.warehouse.ingest.repairs import Repairs, without
from workbench.warehouse.ingest.rules import Check, with_record
from workbench.warehouse.pseudonyms import Pseudonyms
from workbench.warehouse.texts import one_width

MEMORY = "2GB"
MOST_KEPT = 200_000_000
MOST_ASIDE = 50_000


@dataclass(frozen=True)
class RawFile:
    """A file to be read: its block, place, name for people, digest of its content, and size and time of change."""

    block: FileBlock
    path: Path
    name: str
    digest: str
    state: tuple[int, int]


@dataclass(frozen=True)
class Preparation:
    """What a prepare step took of a file: records, lines, how many stand in its result, and those that do not.

    `refused` has a row a record: file, line, reason, text.
    """

    file: RawFile
    raw: int
    lines: int
    accepted: int
    refused: pa.Table


class Records:
    """Reads files into parts, and remembers some of their records until the table is whole."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        pseudonyms: Pseudonyms | None,
        repairs: Repairs,
        forgotten: Forgotten,
        parts: Parts,
    ) -> None:
        self._con, self._pseudonyms, self._repairs = con, pseudonyms, repairs
        self._forgotten, self._parts = forgotten, parts
        self._kept: dict[int, list[pa.Table]] = {}
        self._reread: set[int] = set()

    def start_table(self) -> None:
        """Keep no record of the table before at hand."""
        self._kept.clear()
        self._reread.clear()

    def make(
        self,
        name: str,
        number: int,
        block: FileBlock,
        checks: Callable[[frozenset[str]], Check],
        several: Iterable[tuple[Batch, bool]],
    ) -> Part:
        """Read a file, batch after batch: what is accepted, and what is not. `checks` of columns that are no texts."""
        as_texts = checks(frozenset())
        with self._parts.writer(name, block.table) as writer:
            bad: list[pa.Table] = []
            for batch, hidden in several:
                writer.records, writer.lines = writer.records + batch.records, writer.lines + batch.lines
                columns, masked = self._with_keys(block, as_texts, batch.columns, hidden=hidden)
                for column, count in masked.items():
                    writer.masked[column] = writer.masked.get(column, 0) + count
                check = checks(frozenset(f.name for f in batch.columns.schema if not pa.types.is_string(f.type)))
                with registered(self._con, "batch", columns):
                    checked = self._con.sql(check.select("batch")).to_arrow_table()
                if (gone := self._forgotten.rows(checked)) is not None:
                    writer.passing |= self._forgotten.has_numbers(checked.filter(gone))
                    self._leave_out(writer, block.table, checked.column("#line").filter(gone))
                    checked = checked.filter(pc.invert(gone))
                flags = checked.column("#bad")
                lines = checked.column("#line").filter(flags)
                good = checked.filter(pc.invert(flags)) if len(lines) else checked
                writer.rows(self._forgotten.without_numbers(good.drop_columns("#bad")))
                bad += [with_texts(_at(columns, lines))] if len(lines) else []
                if sum(rows.num_rows for rows in bad) > MOST_ASIDE:
                    self._write_aside(writer, block, as_texts, bad)
                    bad = []
                if batch.malformed.num_rows:
                    self._write_malformed(writer, block, batch.malformed)
                self._keep(number, block.table.name, columns)
            if bad:
                self._write_aside(writer, block, as_texts, bad)
            return writer.part()

    def _keep(self, number: int, table: str, columns: pa.Table) -> None:
        """Keep records at hand while it may turn out that their key stands twice; many are read again then."""
        if table != BY_MONTH and number not in self._reread:
            self._kept.setdefault(number, []).append(columns)
            if sum(rows.nbytes for kept in self._kept.values() for rows in kept) > MOST_KEPT:
                self._reread |= set(self._kept)
                self._kept.clear()

    def _with_keys(
        self, block: FileBlock, check: Check, columns: pa.Table, *, hidden: bool
    ) -> tuple[pa.Table, dict[str, int]]:
        """Identifiers in one form, and the pseudonyms of clear texts, unless they are `hidden` already.

        Numbers in free texts are masked, and counted by column; identifiers that are clear numbers are told.
        """
        for name in block.identifiers() - {value.column for value in block.values() if value.pseudonym}:
            at = columns.schema.get_field_index(name)
            columns = columns.set_column(at, name, one_width(columns.column(name)))
        for name, value in block.columns.items():
            if isinstance(value, Origin) and value.pseudonym:
                assert self._pseudonyms is not None, "a mapping with pseudonyms is ingested with a key"
                cells = columns.column(value.column)
                keyed = (
                    pc.if_else(pc.equal(cells, ""), None, cells)
                    if hidden
                    else self._pseudonyms.of(cells, value.missing, value.kind)
                )
                columns = columns.append_column(f"#key:{name}", keyed)
        return clear.looked_through(columns, check.free, check.numbers)

    def _write_aside(self, writer: PartWriter, block: FileBlock, check: Check, several: list[pa.Table]) -> None:
        rows, record = with_record(pa.concat_tables(several, promote_options="default"), block)
        with registered(self._con, "batch", rows):
            # Planning takes longer than running; unoptimised it takes a fifth, and a relation would be planned twice.
            self._con.execute("PRAGMA disable_optimizer")
            self._con.execute(f"CREATE OR REPLACE TEMP TABLE aside AS {check.aside('batch', record)}")
            writer.aside(self._forgotten.without_numbers(self._con.sql("FROM aside").to_arrow_table()))
            self._con.execute("PRAGMA enable_optimizer")

    def _write_malformed(self, writer: PartWriter, block: FileBlock, malformed: pa.Table) -> None:
        if any(named := self._forgotten.named(malformed.column("text").to_pylist())):
            self._leave_out(writer, block.table, malformed.column("line").filter(pa.array(named)))
            malformed = malformed.filter(pc.invert(pa.array(named)))
        withheld = any(value.pseudonym for value in block.values())
        text = "'(withheld: may hold a clear number or name)'" if withheld else "text"
        at = malformed.schema.get_field_index("text")
        malformed = malformed.set_column(at, "text", clear.mask(malformed.column("text"))[0])
        self._write_nothing_but(writer, block.table, malformed, f"CAST(to_json({text}) AS VARCHAR)")

    def _leave_out(self, writer: PartWriter, table: schema.TableSchema, lines: pa.ChunkedArray) -> None:
        """Count the records of customers who asked to be forgotten, and keep nothing of them."""
        gone = pa.table({"line": lines, "reason": pa.array([FORGOTTEN] * len(lines), pa.string())})
        self._write_nothing_but(writer, table, gone, "'null'")

    def _write_nothing_but(self, writer: PartWriter, table: schema.TableSchema, rows: pa.Table, record: str) -> None:
        """Set records aside of which there are no columns: line, reason, and a text."""
        columns = ", ".join(f"NULL::{c.sql_type} AS {c.name}" for c in table.columns)
        with registered(self._con, "bare", rows):
            sql = f"""SELECT line AS "#line", NULL::VARCHAR AS "#order", {columns}, [reason] AS slots, true AS "#bad",
            {record} AS record, NULL::VARCHAR[] AS key FROM bare"""
            writer.aside(self._con.sql(sql).to_arrow_table())

    def batches(self, file: RawFile) -> Iterator[tuple[Batch, bool]]:
        """The records of a file, the repaired ones last, and whether clear texts are hidden in them already."""
        lines, numbers = self._repairs.lines(file.name, file.block), dict[int, int]()
        for batch in batches(file.path, file.block):
            batch, gone = without(batch, lines)
            numbers |= gone
            yield batch, False
        if repaired := self._repairs.batch(file.name, file.block, numbers):
            yield repaired, True

    def written(self, part: Part, number: int, file: RawFile, check: Check, lines: pa.ChunkedArray) -> pa.Table:
        """The records on some lines as they stand in the file: kept from a version before, at hand, or read again."""
        known = pq.read_table(part.written) if part.written.is_file() else None
        wanted = lines.filter(pc.invert(pc.is_in(lines, known.column("#line").combine_chunks()))) if known else lines
        if not len(wanted):
            return known
        held = self._kept.get(number)
        found = [with_texts(_at(columns, wanted)) for columns in held or ()]
        for batch, hidden in self.batches(file) if held is None else ():
            if (rows := _at(batch.columns, wanted)).num_rows:
                found.append(with_texts(self._with_keys(file.block, check, rows, hidden=hidden)[0]))
        rows, record = with_record(pa.concat_tables(found, promote_options="default"), file.block)
        with registered(self._con, "batch", rows):
            new = self._con.sql(f'SELECT "#line", {record} AS record FROM batch').to_arrow_table()
        known = pa.concat_tables([known, new]) if known else new
        part.keep(known)
        return known


def _at(rows: pa.Table, lines: pa.ChunkedArray) -> pa.Table:
    """The records that stand on some lines."""
    return rows.filter(pc.is_in(rows.column("#line"), lines.combine_chunks()))


@contextmanager
def registered(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> Iterator[None]:
    """Let a query read rows by a name."""
    con.register(name, rows)
    try:
        yield
    finally:
        con.unregister(name)
