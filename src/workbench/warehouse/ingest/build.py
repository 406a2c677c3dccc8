"""How is a version built? Table by table, parents first, each file in batches, into a folder that nobody sees yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.errors import WorkbenchError
from workbench.warehouse import clear, schema
from workbench.warehouse.features import STORED, feature_file
from workbench.warehouse.ingest.forgotten import FORGOTTEN, Forgotten
from workbench.warehouse.ingest.lines import MALFORMED
from workbench.warehouse.ingest.mapping import FileBlock, Mapping, Value
from workbench.warehouse.ingest.read import Batch, batches
from workbench.warehouse.ingest.repairs import Repairs, without
from workbench.warehouse.ingest.rules import (
    REPLACED,
    SET_ASIDE,
    Check,
    build,
    key_text,
    lookup_relation,
    record_json,
    refused_keys,
)
from workbench.warehouse.ingest.warned import Watch
from workbench.warehouse.pseudonyms import Pseudonyms
from workbench.warehouse.rulebook import STOP
from workbench.warehouse.sql import literal
from workbench.warehouse.texts import one_width

MEMORY = "2GB"
BY_MONTH = "detail_record"


@dataclass(frozen=True)
class RawFile:
    """A file to be read: its block, place, name for people, digest of its content, and size and time of change."""

    block: FileBlock
    path: Path
    name: str
    digest: str
    state: tuple[int, int]


@dataclass
class _Entry:
    """A line of the account in the making."""

    number: int
    file: str
    table: str
    most_refused: float = 0.0
    raw: int = 0
    accepted: int = 0
    quarantined: int = 0
    lines: int = 0


class Build:
    """Builds one version of a warehouse in the folder `place`."""

    def __init__(
        self,
        mapping: Mapping,
        files: list[RawFile],
        pseudonyms: Pseudonyms | None,
        place: Path,
        version: str,
        progress: Callable[[str], None],
        repairs: Repairs,
        forgotten: Forgotten,
    ) -> None:
        self.mapping, self.files, self.pseudonyms = mapping, files, pseudonyms
        self.place, self.version, self.progress = place, version, progress
        self.repairs, self.forgotten = repairs, forgotten
        self.filled: dict[str, str] = {}
        self.entries: list[_Entry] = []
        self.unchecked: dict[str, None] = {}
        self.masked: dict[str, int] = {}
        self.months: dict[np.datetime64, pq.ParquetWriter] = {}
        self.seen: dict[str, pd.DataFrame] = {}

    def run(self, notes: list[str]) -> None:
        """Fill every table, check that the account balances, and write what is to be known about the version."""
        self.con = duckdb.connect(str(self.place / "warehouse.duckdb"))
        self.watch = Watch(self.con, self.mapping.rulebook, self.mapping.as_of)
        try:
            self._prepare()
            for table in schema.tables().values():
                if table.name in self.mapping.tables():
                    self._fill(table)
            self._close_months()
            self._balance()
            self._store_partials()
            self._look()
            self._describe(notes)
            self.con.execute("DETACH stage")
            self.con.execute("CHECKPOINT")
        finally:
            for writer in self.months.values():
                writer.close()
            self.con.close()
        (self.place / "stage.duckdb").unlink()
        for left in self.place.glob("spill/*"):
            left.unlink()
        if (self.place / "spill").is_dir():
            (self.place / "spill").rmdir()

    def _prepare(self) -> None:
        for name, value in {
            "memory_limit": MEMORY,
            "temp_directory": str(self.place / "spill"),
            "preserve_insertion_order": "false",
            "TimeZone": "UTC",
        }.items():
            self.con.execute(f"SET {name} = {literal(value)}")
        self.con.execute(f"ATTACH {literal(str(self.place / 'stage.duckdb'))} AS stage")
        self.con.execute(
            "CREATE TABLE stage.quarantine "
            '("#file" INTEGER, "#line" BIGINT, "table" VARCHAR, reasons VARCHAR[], record VARCHAR, key VARCHAR[], '
            "follows BOOLEAN)"
        )

    def _fill(self, table: schema.Table) -> None:
        if table.name != BY_MONTH:
            columns = ", ".join(f"{c.name} {c.sql_type}" for c in table.columns)
            staged = f'"#file" INTEGER, "#line" BIGINT, "#order" VARCHAR, {columns}'
            self.con.execute(f"CREATE TABLE stage.{table.name} ({staged})")
        sources = [file for file in self.files if file.block.table == table]
        entries = [(self._entry(file.name, table, file.block.most_refused), file) for file in sources]
        for entry, file in entries:
            self._read(entry, file)
        if table.name in self.mapping.rows:
            self._rows(table)
        if table.name != BY_MONTH:
            self._finish(table, entries)
        self._stop(table, sources)
        for entry, _ in entries:
            sql = 'SELECT count(*) FROM stage.quarantine WHERE "#file" = ?'
            entry.quarantined = self._number(sql, entry.number)
            said = f"{entry.raw:,} records = {entry.accepted:,} accepted + {entry.quarantined:,} quarantined"
            self.progress(f"{entry.file}: {said}")
        left_out = 'SELECT count(*) FROM stage.quarantine WHERE "table" = ? AND list_contains(reasons, ?)'
        held = any(entry.accepted for entry in self.entries if entry.table == table.name)
        if not held and not self._number(left_out, table.name, FORGOTTEN):
            raise WorkbenchError(self._empty(table))

    def _entry(self, name: str, table: schema.Table, most_refused: float = 0.0) -> _Entry:
        self.entries.append(_Entry(len(self.entries), name, table.name, most_refused))
        return self.entries[-1]

    def _check(self, block: FileBlock, file: str = "") -> Check:
        prefix = f"{file}#" if block.is_glob else ""
        check = build(block, prefix, self.filled, self.mapping.rulebook, self.mapping.as_of)
        for lookup in check.lookups:
            self.con.execute(f"CREATE TEMP TABLE IF NOT EXISTS {lookup_relation(lookup)} AS {lookup.sql}")
        return check

    def _read(self, entry: _Entry, file: RawFile) -> None:
        check = self._check(file.block, file.name)
        self.unchecked |= dict.fromkeys(check.unchecked)
        for batch, hidden in self._batches(file):
            self._take(entry, file.block, check, batch, hidden=hidden)

    def _batches(self, file: RawFile) -> Iterator[tuple[Batch, bool]]:
        """The records of a file, the repaired ones last, and whether clear texts are hidden in them already."""
        lines, numbers = self.repairs.lines(file.name, file.block), dict[int, int]()
        for batch in batches(file.path, file.block):
            batch, gone = without(batch, lines)
            numbers |= gone
            yield batch, False
        if repaired := self.repairs.batch(file.name, file.block, numbers):
            yield repaired, True

    def _rows(self, table: schema.Table) -> None:
        """Take the rows that the mapping itself holds; a bad one is the mapping's fault."""
        columns = [c.name for c in table.columns if not c.is_map]
        origins: dict[str, Value | dict[str, Value]] = {n: Value(column=n, pseudonym=False) for n in columns}
        block = FileBlock(self.mapping.file.name, table, "parquet", origins)
        rows = self.mapping.rows[table.name]
        texts = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in columns}
        numbers = pa.array(range(1, len(rows) + 1), pa.int64())
        batch = Batch(
            pa.table({**texts, "#line": numbers, "#record": numbers}), MALFORMED.empty_table(), len(rows), len(rows)
        )
        entry, check = self._entry(self.mapping.file.name, table), self._check(block)
        self._take(entry, block, check, batch)
        bad = self.con.execute(
            'SELECT "#line", reasons[1] FROM stage.quarantine WHERE "#file" = ? ORDER BY ALL', [entry.number]
        ).fetchall()
        if bad:
            line, reason = bad[0]
            raise WorkbenchError(
                f"{self.mapping.file.name}: row {line} of {table.name} in [[rows]]: {reason}. Mend it."
            )

    def _take(self, entry: _Entry, block: FileBlock, check: Check, batch: Batch, *, hidden: bool = False) -> None:
        """Send each record of a batch to its table or to quarantine."""
        entry.raw, entry.lines = entry.raw + batch.records, entry.lines + batch.lines
        columns = self._with_keys(block, check, batch.columns, hidden=hidden, counted=True)
        with self._registered("batch", columns):
            checked = self.con.sql(check.select("batch")).to_arrow_table()
        if (gone := self.forgotten.rows(checked)) is not None:
            self._leave_out(entry, checked.column("#line").filter(gone))
            checked = checked.filter(pc.invert(gone))
        bad = checked.column("#bad")
        lines = checked.column("#line").filter(bad)
        entry.accepted += self._write(entry, block.table, checked.filter(pc.invert(bad)) if len(lines) else checked)
        if len(lines):
            self._quarantine(entry, block, check, _at(columns, lines), "reasons")
        if batch.malformed.num_rows:
            withheld = any(value.pseudonym for value in block.values())
            self._quarantine_malformed(entry, batch, withheld)

    def _leave_out(self, entry: _Entry, lines: pa.ChunkedArray) -> None:
        """Count the records of customers who asked to be forgotten, and keep nothing of them."""
        with self._registered("gone", pa.table({"line": lines})):
            self.con.execute(
                f"INSERT INTO stage.quarantine SELECT {entry.number}, line, {literal(entry.table)}, "
                f"[{literal(FORGOTTEN)}], 'null', NULL, false FROM gone"
            )

    def _with_keys(
        self, block: FileBlock, check: Check, columns: pa.Table, *, hidden: bool, counted: bool = False
    ) -> pa.Table:
        """Identifiers in one form, and the pseudonyms of clear texts, unless they are `hidden` already.

        Numbers in free texts are masked, identifiers that are clear numbers are told.
        """
        for name in block.identifiers() - {value.column for value in block.values() if value.pseudonym}:
            at = columns.schema.get_field_index(name)
            columns = columns.set_column(at, name, one_width(columns.column(name)))
        for name, value in block.columns.items():
            if isinstance(value, Value) and value.pseudonym:
                assert self.pseudonyms is not None, "a mapping with pseudonyms is ingested with a key"
                cells = columns.column(value.column)
                keyed = _or_nothing(cells) if hidden else self.pseudonyms.of(cells, value.missing, value.kind)
                columns = columns.append_column(f"#key:{name}", keyed)
        columns, masked = clear.looked_through(columns, check.free, check.numbers)
        for name, count in masked.items() if counted else ():
            where = f"{name} of {block.path} ({block.table.name})"
            self.masked[where] = self.masked.get(where, 0) + count
        return columns

    def _write(self, entry: _Entry, table: schema.Table, good: pa.Table) -> int:
        names = [column.name for column in table.columns]
        if table.name == BY_MONTH:
            return self._write_months(self.forgotten.without_numbers(good.select(names)))
        with self._registered("good", good):
            return self._number(
                f'INSERT INTO stage.{table.name} SELECT {entry.number}, "#line", "#order", {", ".join(names)} FROM good'
            )

    def _write_months(self, good: pa.Table) -> int:
        at = good.column("started_at").to_numpy().astype("datetime64[M]")
        for month in np.unique(at):
            rows = good if (at == month).all() else good.filter(at == month)
            if month not in self.months:
                folder = self.place / BY_MONTH
                folder.mkdir(exist_ok=True)
                self.months[month] = pq.ParquetWriter(
                    folder / f"{month}.parquet", rows.schema, compression="zstd", use_dictionary=_few_values()
                )
            self.months[month].write_table(rows)
        return good.num_rows

    @contextmanager
    def _registered(self, name: str, rows: pa.Table) -> Iterator[None]:
        self.con.register(name, rows)
        try:
            yield
        finally:
            self.con.unregister(name)

    def _stop(self, table: schema.Table, sources: list[RawFile]) -> None:
        """Stop where a row was refused by a rule that the mapping lets stop the ingest."""
        rules = {(rule.name, rule.reason) for file in sources for rule in self._check(file.block).rules}
        rules |= {(f"{table.name}.{c.name}.unique", _earlier(table)) for c in table.columns if c.unique}
        for name, reason in sorted(rules):
            if self.mapping.rulebook.severity(name) == STOP:
                sql = 'SELECT count(*) FROM stage.quarantine WHERE "table" = ? AND list_contains(reasons, ?)'
                if rows := self._number(sql, table.name, reason):
                    self.watch.warn(
                        table.name, name, rows, sum(e.raw for e in self.entries if e.table == table.name), reason
                    )

    def _quarantine(self, entry: _Entry, block: FileBlock, check: Check, rows: pa.Table, reasons: str) -> None:
        hidden = {value.column for value in block.values() if value.pseudonym}
        shown = [name for name in block.sources() if name not in hidden]
        rows = clear.shown(rows, shown)
        with self._registered("batch", rows):
            self.con.execute(
                f'INSERT INTO stage.quarantine SELECT {entry.number}, "#line", {literal(entry.table)}, {reasons}, '
                f"record, {key_text(block.table)}, {check.follows()} "
                f"FROM ({check.reasons('batch', record_json(block, shown))})"
            )

    def _quarantine_malformed(self, entry: _Entry, batch: Batch, withheld: bool) -> None:
        if any(named := self.forgotten.named(batch.malformed.column("text").to_pylist())):
            self._leave_out(entry, batch.malformed.column("line").filter(pa.array(named)))
            batch = replace(batch, malformed=batch.malformed.filter(pc.invert(pa.array(named))))
        text = "'(withheld: may hold a clear number or name)'" if withheld else "text"
        at = batch.malformed.schema.get_field_index("text")
        malformed = batch.malformed.set_column(at, "text", clear.mask(batch.malformed.column("text"))[0])
        with self._registered("malformed", malformed):
            self.con.execute(
                f"INSERT INTO stage.quarantine SELECT {entry.number}, line, {literal(entry.table)}, [reason], "
                f"to_json({text}), NULL, false FROM malformed"
            )

    def _finish(self, table: schema.Table, entries: list[tuple[_Entry, RawFile]]) -> None:
        """Let each key stand once, and move the table from the stage into the warehouse."""
        last = any(file.block.keep == "last" for _, file in entries)
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE repeats AS {_repeats(table, last=last)}")
        names, key = ", ".join(column.name for column in table.columns), ", ".join(table.key)
        self.con.execute(
            f"CREATE TABLE {table.name} AS SELECT {names} FROM stage.{table.name} ANTI JOIN repeats "
            'USING ("#file", "#line")'
        )
        self.con.execute(
            "UPDATE stage.quarantine SET reasons = list_append(reasons, ?) "
            f'WHERE "table" = ? AND key IN (SELECT {key_text(table)} FROM {table.name} SEMI JOIN '
            '(SELECT key[1] AS part FROM stage.quarantine WHERE "table" = ?) aside '
            f"ON CAST({table.key[0]} AS VARCHAR) IS NOT DISTINCT FROM part)",
            [f"the key ({key}) stands in another row", table.name, table.name],
        )
        for entry, file in entries:
            repeats = self.con.sql(f'SELECT "#line" FROM repeats WHERE "#file" = {entry.number}').to_arrow_table()
            if repeats.num_rows:
                why = REPLACED if last else _earlier(table)
                self._read_repeats(entry, file, repeats.column("#line"), why)
                entry.accepted -= repeats.num_rows
        self.con.execute(
            f"CREATE TEMP TABLE {refused_keys(table.name)} AS SELECT DISTINCT key[1] AS key FROM stage.quarantine "
            'WHERE "table" = ? AND key IS NOT NULL',
            [table.name],
        )
        self.seen[table.name] = self.watch.profile(table, f"stage.{table.name}", '"#file"')
        self.con.execute(f"DROP TABLE stage.{table.name}")
        self.filled[table.name] = table.name

    def _read_repeats(self, entry: _Entry, file: RawFile, lines: pa.ChunkedArray, reason: str) -> None:
        check = self._check(file.block, file.name)
        for batch, hidden in self._batches(file):
            if (rows := _at(batch.columns, lines)).num_rows:
                rows = self._with_keys(file.block, check, rows, hidden=hidden)
                self._quarantine(entry, file.block, check, rows, f"[{literal(reason)}]")

    def _close_months(self) -> None:
        for writer in self.months.values():
            writer.close()
        self.months.clear()

    def _store_partials(self) -> None:
        """Add up each month of detail records as the partials of the features have it, beside them."""
        for month in sorted((self.place / BY_MONTH).glob("*.parquet")):
            place = month
            for name in (BY_MONTH, *STORED):
                if name != BY_MONTH:
                    place = self.place / name / month.name
                    place.parent.mkdir(exist_ok=True)
                    self.con.execute(f"COPY ({feature_file(name)}) TO {literal(str(place))} (COMPRESSION zstd)")
                self.con.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS FROM read_parquet({literal(str(place))})")

    def _look(self) -> None:
        """Look for what is hardly true in the tables as they stand."""
        filled, files = self.filled, {entry.number: entry.file for entry in self.entries}
        if records := sorted((self.place / BY_MONTH).glob("*.parquet")):
            table = schema.table(BY_MONTH)
            places = {name: f"read_parquet({literal(str(self.place / name / '*.parquet'))})" for name in STORED}
            relation = f"read_parquet([{', '.join(literal(str(file)) for file in records)}])"
            self.watch.rules(BY_MONTH, relation, filled)
            self.watch.deliveries(table, self.watch.profile(table, relation, "NULL"), relation, files)
            self.watch.identifiers(table, places["customer_month"], ["customer_id"], "sum(events)")
        for name in filled:
            table = schema.table(name)
            self.watch.rules(name, name, filled)
            self.watch.deliveries(table, self.seen[name], name, files)
            columns = [c.name for c in table.columns if c.is_identifier and table.key != (c.name,)]
            self.watch.identifiers(table, name, columns)

    def _balance(self) -> None:
        """Count again what stands in the tables; an account that does not balance is not published."""
        for table in {entry.table for entry in self.entries}:
            entries = [entry for entry in self.entries if entry.table == table]
            if table == BY_MONTH:
                stand = sum(pq.read_metadata(file).num_rows for file in (self.place / BY_MONTH).glob("*"))
            else:
                stand = self._number(f"SELECT count(*) FROM {table}")
            aside = self._number('SELECT count(*) FROM stage.quarantine WHERE "table" = ?', table)
            fits = all(entry.raw == entry.accepted + entry.quarantined for entry in entries)
            if not fits or sum(e.accepted for e in entries) != stand or sum(e.quarantined for e in entries) != aside:
                raise WorkbenchError(
                    f"the account of {table} does not balance ({entries}; {stand} rows stand, {aside} are in "
                    "quarantine). Nothing was published. This is a fault of the program: please report it."
                )

    def _describe(self, notes: list[str]) -> None:
        """Write the quarantine, the account and the facts about this version."""
        con = self.con
        for table in schema.tables().values():
            if table.name not in self.filled and table.name != BY_MONTH:
                con.execute(table.ddl())
        digests = {file.name: file.digest for file in self.files}
        aside = ", ".join(literal(reason) for reason in (*SET_ASIDE, FORGOTTEN))
        con.execute(
            f"""CREATE TEMP TABLE apart AS SELECT "#file",
            count(*) FILTER (list_has_any(reasons, [{aside}])) AS set_aside,
            count(*) FILTER (follows AND NOT list_has_any(reasons, [{aside}])) AS followed
            FROM stage.quarantine GROUP BY ALL"""
        )
        con.execute(
            'CREATE TEMP TABLE entry ("#file" INTEGER, file VARCHAR, "table" VARCHAR, raw BIGINT, accepted BIGINT, '
            "quarantined BIGINT, lines BIGINT, most_refused DOUBLE, digest VARCHAR)"
        )
        con.executemany(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                [e.number, e.file, e.table, e.raw, e.accepted, e.quarantined, e.lines, e.most_refused,
                 digests.get(e.file)]
                for e in self.entries
            ],
        )  # fmt: skip
        con.execute(
            """CREATE TABLE account AS SELECT "#file", file, "table", raw, accepted, quarantined,
            coalesce(set_aside, 0) AS set_aside, coalesce(followed, 0) AS followed, lines, most_refused, digest
            FROM entry LEFT JOIN apart USING ("#file") ORDER BY "#file" """
        )
        con.execute(
            'CREATE TABLE quarantine AS SELECT file, "#line" AS line, q."table", reasons, record '
            'FROM stage.quarantine q JOIN account USING ("#file") ORDER BY "#file", line'
        )
        con.execute('CREATE TABLE warning ("table" VARCHAR, rule VARCHAR, "rows" BIGINT, "of" BIGINT, said VARCHAR)')
        for w in self.watch.found:
            con.execute("INSERT INTO warning VALUES (?, ?, ?, ?, ?)", [w.table, w.rule, w.rows, w.of, w.said])
        notes = [*notes, *([f"not checked, for the table is not delivered: {', '.join(self.unchecked)}"]
                           if self.unchecked else [])]  # fmt: skip
        notes += [
            f"{count:,} telephone or card numbers or mail addresses in {where} were masked"
            for where, count in sorted(self.masked.items())
        ]
        facts = {
            "schema_version": schema.version(), "version": self.version, "source": self.mapping.source,
            "title": self.mapping.title, "operator": self.mapping.operator, "currency": self.mapping.currency,
            "as_of": self.mapping.as_of.isoformat(), "created": datetime.now().isoformat(" ", "seconds"),
            "key_fingerprint": self.pseudonyms.fingerprint if self.pseudonyms else "", "notes": "\n".join(notes),
            "repairs": self.repairs.digest,
        }  # fmt: skip
        con.execute("CREATE TABLE facts (name VARCHAR, value VARCHAR)")
        con.executemany("INSERT INTO facts VALUES (?, ?)", [[name, str(value)] for name, value in facts.items()])

    def _empty(self, table: schema.Table) -> str:
        raw = sum(entry.raw for entry in self.entries if entry.table == table.name)
        top = self.con.execute(
            "SELECT reason, count(*) AS n FROM (SELECT unnest(reasons) AS reason FROM stage.quarantine "
            'WHERE "table" = ?) GROUP BY reason ORDER BY n DESC, reason LIMIT 3',
            [table.name],
        ).fetchall()
        files = ", ".join(sorted({entry.file for entry in self.entries if entry.table == table.name})[:3])
        why = "; ".join(f"{reason} ({n})" for reason, n in top)
        said = f"none of the {raw} records is accepted: {why}" if raw else "there is no record"
        return f"table {table.name} would be empty: in {files} {said}. Mend the file or the mapping."

    def _number(self, sql: str, *parameters: object) -> int:
        return self.con.execute(sql, list(parameters)).fetchall()[0][0]


def _at(rows: pa.Table, lines: pa.ChunkedArray) -> pa.Table:
    """The records that stand on some lines."""
    return rows.filter(pc.is_in(rows.column("#line"), lines.combine_chunks()))


def _or_nothing(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _few_values() -> list[str]:
    """Columns of the detail records whose values repeat enough for a dictionary."""
    columns = schema.table(BY_MONTH).columns
    return [c.name for c in columns if c.type == "text" and not c.name.endswith("_key")]


def _earlier(table: schema.Table) -> str:
    return f"the key ({', '.join(table.key)}) stands in an earlier row"


def _repeats(table: schema.Table, *, last: bool) -> str:
    """The rows of a staged table whose key stands in an earlier row (by file, then line).

    Where the last row of a key is kept: in a later one, by the order that the mapping names, then by file and line.
    """
    order = '"#file", "#line"'
    if last:
        order = 'TRY_CAST("#order" AS DOUBLE) DESC NULLS LAST, "#order" DESC NULLS LAST, "#file" DESC, "#line" DESC'
    key, stage = ", ".join(table.key), f"stage.{table.name}"
    same = " AND ".join(f"t.{name} IS NOT DISTINCT FROM d.{name}" for name in table.key)
    several = f"SELECT {key} FROM {stage} GROUP BY {key} HAVING count(*) > 1"
    place = f"PARTITION BY {', '.join(f't.{name}' for name in table.key)} ORDER BY {order}"
    return (
        f'SELECT "#file", "#line" FROM (SELECT "#file", "#line", row_number() OVER ({place}) AS n '
        f"FROM {stage} t SEMI JOIN ({several}) d ON {same}) WHERE n > 1"
    )
