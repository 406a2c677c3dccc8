"""How is a version built? Table by table, parents first, into a folder that nobody sees yet.

What a file gave is its part (`parts`): read in batches, or taken over from a version before. Then the files of a table
are taken together: what other tables refuse, and keys that stand twice.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import WorkbenchError
from workbench.messages import Listed, Named, exact, say
from workbench.refused import in_words
from workbench.warehouse import schema
from workbench.warehouse.ingest.blocks import PREPARED, FileBlock, Input, Mapping, Origin
from workbench.warehouse.ingest.decided import Decided
from workbench.warehouse.ingest.forgotten import FORGOTTEN, Forgotten
from workbench.warehouse.ingest.identity import circles, unite
from workbench.warehouse.ingest.known import Looks, Parents
from workbench.warehouse.ingest.months import Months
from workbench.warehouse.ingest.parts import BY_MONTH, Part, Parts, PartWriter, digest_of
from workbench.warehouse.ingest.prepare import prepare
from workbench.warehouse.ingest.read import Batch
from workbench.warehouse.ingest.records import MEMORY, Preparation, RawFile, Records, registered
from workbench.warehouse.ingest.repairs import Repairs
from workbench.warehouse.ingest.rules import (
    REPLACED,
    SET_ASIDE,
    UNITED,
    Check,
    build,
    following,
    key_text,
    lookup_relation,
    refused_keys,
    repeated,
)
from workbench.warehouse.ingest.warned import Watch
from workbench.warehouse.pseudonyms import Pseudonyms
from workbench.warehouse.rulebook import STOP
from workbench.warehouse.sql import literal, without_bar
from workbench.warehouse.stored import parquet


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
    rows: list[Path] = field(default_factory=list)
    part: Part | None = None


@dataclass
class Build:
    """Builds one version of a warehouse in the folder `place`, with the parts of versions before."""

    mapping: Mapping
    files: list[RawFile]
    pseudonyms: Pseudonyms | None
    repairs: Repairs
    forgotten: Forgotten
    decided: Decided
    known: Looks
    place: Path
    version: str
    progress: Callable[[str], None]
    parts: Parts
    united: bool = False
    notes: list[str] = field(default_factory=list)
    filled: dict[str, str] = field(default_factory=dict)
    entries: list[_Entry] = field(default_factory=list)
    unchecked: dict[str, None] = field(default_factory=dict)
    masked: dict[str, int] = field(default_factory=dict)
    checks: dict[Any, tuple[FileBlock, Check]] = field(default_factory=dict)
    seen: dict[str, pd.DataFrame] = field(default_factory=dict)

    def run(self, notes: list[str]) -> list[list[Any]]:
        """Run the steps, fill every table, check that the account balances, and describe the version.

        Gives what `digests.ROWS` is of the detail records, month by month.
        """
        made = prepare(self.mapping, self.files, self.place)
        for file in made.files:
            self.repairs.follow(file.name, file.digest, file.path, file.block)
        paths = [block.path for block in self.mapping.files]
        mapped = [file for file in self.files if not isinstance(file.block, Input)] + made.files
        self.files, self.taken = sorted(mapped, key=lambda file: paths.index(file.block.path)), made.taken
        self._fill_all([*notes, *made.notes])
        fingerprint = self.pseudonyms.fingerprint if self.pseudonyms else ""
        self.known.write(self.place, self.judged.by.values(), fingerprint)
        (self.place / "stage.duckdb").unlink()
        for name in ("spill", "prepare"):
            shutil.rmtree(self.place / name, ignore_errors=True)
        return self.watch.records

    def _fill_all(self, notes: list[str]) -> None:
        self.con, self.months = duckdb.connect(), Months(self.place, self.parts.before)
        self.records = Records(self.con, self.pseudonyms, self.repairs, self.forgotten, self.parts)
        self.judged = Parents(self.con, self.filled)
        self.watch = Watch(self.con, self.mapping.rulebook, self.mapping.as_of)
        try:
            self._prepare()
            for taken in self.taken:
                self._account_for(taken)
            for table in schema.tables().values():
                if table.name in self.mapping.tables():
                    self._fill(table)
            self.months.write(self.con, united=self.united)
            notes = [*notes, *self.notes, *self.months.notes()]
            self._balance()
            files = {entry.number: entry.file for entry in self.entries}
            self.watch.look(self.place, self.filled, self.seen, files, partial(self.months.told, self.con))
            self.months.seal()
            self._describe(notes)
            for entry in self.entries:
                if entry.part:
                    entry.part.drop()
            self.con.execute("DETACH stage; CHECKPOINT")
        finally:
            self.con.close()

    def _prepare(self) -> None:
        without_bar(self.con)
        for name, value in {
            "memory_limit": MEMORY,
            "temp_directory": str(self.place / "spill"),
            "preserve_insertion_order": "false",
            "TimeZone": "UTC",
        }.items():
            self.con.execute(f"SET {name} = {literal(value)}")
        for name in ("stage", "warehouse"):  # what a crash leaves is thrown away: no log of each statement is kept
            file = literal(str(self.place / f"{name}.duckdb"))
            self.con.execute(f"ATTACH {file} AS {name} (RECOVERY_MODE no_wal_writes)")
        self.con.execute("USE warehouse")
        self.con.execute(
            "CREATE TABLE stage.quarantine "
            '("#file" INTEGER, "#line" BIGINT, "table" VARCHAR, reasons VARCHAR[], record VARCHAR, key VARCHAR[], '
            "follows BOOLEAN)"
        )

    def _fill(self, table: schema.TableSchema) -> None:
        sources = [file for file in self.files if file.block.table == table]
        entries = [(self._entry(file.name, table, file.block.most_refused), file) for file in sources]
        self._read(entries)
        if table.name in self.mapping.rows:
            self._rows(table)
        if table.name == BY_MONTH:
            for entry in self._entries(table):
                self.months.add(entry.rows, entry.file, entry.accepted, entry.part.digests() if entry.part else {})
        else:
            self._finish(table, entries)
        self._stop(table, sources)
        self._close([entry for entry, _ in entries])
        if not any(entry.accepted for entry in self._entries(table)) and not self._refused(table, FORGOTTEN):
            raise self._empty(table)

    def _stop(self, table: schema.TableSchema, sources: list[RawFile]) -> None:
        """Stop where a row was refused by a rule that the mapping lets stop the ingest."""
        blocks = {id(file.block): file.block for file in sources}.values()
        rules = {(rule.name, rule.reason) for block in blocks for rule in self._check(block).rules}
        rules |= {(f"{table.name}.{c.name}.unique", _earlier(table)) for c in table.columns if c.unique}
        for name, reason in sorted(rules):
            if self.mapping.rulebook.severity(name) == STOP and (rows := self._refused(table, reason)):
                self.watch.warn(table.name, name, rows, sum(e.raw for e in self._entries(table)), reason)

    def _refused(self, table: schema.TableSchema, reason: str) -> int:
        sql = 'SELECT count(*) FROM stage.quarantine WHERE "table" = ? AND list_contains(reasons, ?)'
        return self._number(sql, table.name, reason)

    def _close(self, entries: list[_Entry]) -> None:
        aside = dict(self.con.execute('SELECT "#file", count(*) FROM stage.quarantine GROUP BY 1').fetchall())
        for entry in entries:
            entry.quarantined = aside.get(entry.number, 0)
            counts = {"n": entry.raw, "accepted": entry.accepted, "quarantined": entry.quarantined}
            said = {name: exact(n) for name, n in counts.items()}
            self.progress(
                say("{file}: {n} records = {accepted} accepted + {quarantined} quarantined", file=entry.file, **said)
            )

    def _account_for(self, taken: Preparation) -> None:
        """Enter what a prepare step took of a file."""
        block = taken.file.block
        entry = self._entry(taken.file.name, block.table, block.most_refused)
        entry.raw, entry.lines, entry.accepted = taken.raw, taken.lines, taken.accepted
        gone = pa.array(self.forgotten.named(taken.refused.column("text").to_pylist()), pa.bool_())
        with registered(self.con, "refused", taken.refused.append_column("gone", gone)):
            self.con.execute(
                f"INSERT INTO stage.quarantine SELECT {entry.number}, line, {literal(entry.table)}, "
                f"[if(gone, {literal(FORGOTTEN)}, reason)], if(gone, 'null', to_json(text)), NULL, false FROM refused"
            )
        self._close([entry])

    def _entry(self, name: str, table: schema.TableSchema, most_refused: float = 0.0) -> _Entry:
        self.entries.append(_Entry(len(self.entries), name, table.name, most_refused))
        return self.entries[-1]

    def _entries(self, table: schema.TableSchema) -> list[_Entry]:
        return [entry for entry in self.entries if entry.table == table.name]

    def _check(self, block: FileBlock, file: str = "", typed: frozenset[str] = frozenset()) -> Check:
        prefix = f"{file}#" if block.is_glob and any(value.row_number for value in block.values()) else ""
        of = id(block), prefix, typed, self.united, len(self.filled)
        if of in self.checks:
            return self.checks[of][1]
        check = build(block, prefix, self.filled, self.mapping.rulebook, self.mapping.as_of, typed)
        check.united = self.united
        for lookup in check.lookups:
            self.con.execute(f"CREATE TEMP TABLE IF NOT EXISTS {lookup_relation(lookup)} AS {lookup.sql}")
        self.checks[of] = block, check
        return check

    def _read(self, entries: list[tuple[_Entry, RawFile]]) -> None:
        """Take the parts of a table's files from versions before, or read the files."""
        found = []
        for entry, file in entries:
            check, block = self._check(file.block, file.name), file.block
            key = self.pseudonyms.fingerprint if self.pseudonyms and any(v.pseudonym for v in block.values()) else ""
            name = self.parts.name(
                digest_of(file.path) if block.prepared else file.digest,
                file.name,
                replace(block, most_refused=0.0),
                self.repairs.of(file.name, block),
                key,
                self.forgotten.of(block.table),
                [(rule.name, rule.reason) for rule in check.rules],
            )
            found.append((entry, file, check, name, self.parts.found(name)))
        are_good = not self.judged.refuse([(part, check) for _, _, check, _, part in found])
        for entry, file, check, name, part in found:
            self.unchecked |= dict.fromkeys(check.unchecked)
            if part is None or not (are_good or not self.judged.refuse([(part, check)])):
                checks = partial(self._check, file.block, file.name)
                part = self.records.make(name, entry.number, file.block, checks, self.records.batches(file))
            self._take(entry, part, check)
            for column, count in part.masked.items():
                where = f"{column} of {file.block.path} ({file.block.table.name})"
                self.masked[where] = self.masked.get(where, 0) + count

    def _rows(self, table: schema.TableSchema) -> None:
        """Take the rows that the mapping itself holds; a bad one is the mapping's fault."""
        columns = [c.name for c in table.columns if not c.is_map]
        origins: dict[str, Origin | dict[str, Origin]] = {n: Origin(column=n, pseudonym=False) for n in columns}
        block = FileBlock(self.mapping.file.name, table, "parquet", origins)
        rows = self.mapping.rows[table.name]
        texts = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in columns}
        numbers = range(1, len(rows) + 1)
        batch = Batch.of(pa.table(texts), numbers, numbers)
        entry, check = self._entry(self.mapping.file.name, table), self._check(block)
        name = self.parts.name(block, rows)
        self._take(entry, self.records.make(name, entry.number, block, lambda typed: check, [(batch, False)]), check)
        bad = self.con.execute(
            'SELECT "#line", reasons[1] FROM stage.quarantine WHERE "#file" = ? ORDER BY ALL', [entry.number]
        ).fetchall()
        for line, reason in bad[:1]:
            raise self._bad_row(line, table, reason)

    def _bad_row(self, line: int, table: schema.TableSchema, reason: str) -> WorkbenchError:
        row, why, at = str(line), Named(reason, in_words(reason, "zh")), self.mapping.file.name
        return WorkbenchError("row {line} of {table} in [[rows]]: {reason}. Mend it.").of(row, table.name, why, at=at)

    def _take(self, entry: _Entry, part: Part, check: Check) -> None:
        """Count a part in, and judge again what it had not accepted."""
        entry.part, entry.rows = part, part.rows() if part.accepted else []
        entry.raw, entry.lines, entry.accepted = part.records, part.lines, part.accepted
        if not part.aside.is_file():
            return
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE aside AS {check.judged(parquet([part.aside]))}")
        self.con.execute(
            f'INSERT INTO stage.quarantine SELECT {entry.number}, "#line", {literal(entry.table)}, reasons, record, '
            f"key, {check.follows()} FROM aside WHERE out"
        )
        names = ", ".join(['"#line"', '"#order"', *(column.name for column in check.table.columns)])
        released = self.con.sql(f"SELECT {names} FROM aside WHERE NOT out").to_arrow_table()
        if released.num_rows:
            writer = PartWriter(self.place / "spill" / f"released-{entry.number}", check.table)
            writer.rows(released)
            writer.close()
            entry.accepted += released.num_rows
            entry.rows += writer.files()

    def _finish(self, table: schema.TableSchema, entries: list[tuple[_Entry, RawFile]]) -> None:
        """Let each key stand once, and write the table."""
        last = any(file.block.keep == "last" for _, file in entries)
        names, key = ", ".join(column.name for column in table.columns), ", ".join(table.key)
        staged = [
            f'SELECT {entry.number} AS "#file", "#line", "#order", {names} FROM {parquet(entry.rows)}'
            for entry in self._entries(table)
            if entry.rows
        ]
        typed = ", ".join(f"NULL::{column.sql_type} AS {column.name}" for column in table.columns)
        nothing = f'SELECT NULL::INTEGER AS "#file", 0::BIGINT AS "#line", NULL AS "#order", {typed} LIMIT 0'
        rows = f"({' UNION ALL '.join(staged) or nothing})"
        rows = following(rows, table) if self.united else rows
        self.con.execute(f"CREATE OR REPLACE TEMP VIEW staged AS FROM {rows}")
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE repeats AS {repeated('staged', table, last=last)}")
        once = 'ANTI JOIN repeats USING ("#file", "#line")' if self._number("SELECT count(*) FROM repeats") else ""
        self.con.execute(f"CREATE TABLE {table.name} AS SELECT {names} FROM staged {once}")
        self.con.execute(
            "UPDATE stage.quarantine SET reasons = list_append(reasons, ?) "
            f'WHERE "table" = ? AND key IN (SELECT {key_text(table)} FROM {table.name} SEMI JOIN '
            '(SELECT key[1] AS part FROM stage.quarantine WHERE "table" = ?) aside '
            f"ON CAST({table.key[0]} AS VARCHAR) IS NOT DISTINCT FROM part)",
            [f"the key ({key}) stands in another row", table.name, table.name],
        )
        self._set_repeats_aside(table, entries, REPLACED if last else _earlier(table))
        if table.name == "customer":
            self._unite(table, entries)
        self.con.execute(
            f"CREATE TEMP TABLE {refused_keys(table.name)} AS SELECT DISTINCT key[1] AS key FROM stage.quarantine "
            'WHERE "table" = ? AND key IS NOT NULL',
            [table.name],
        )
        self.seen[table.name] = self.watch.profile(table, "staged", '"#file"')
        self.records.start_table()
        self.filled[table.name] = "known_customer" if table.name == "customer" and self.united else table.name

    def _unite(self, table: schema.TableSchema, entries: list[tuple[_Entry, RawFile]]) -> None:
        """Let customers of several systems be one; what other tables say of each follows."""
        files = {entry.number: (file.block.path, file.name) for entry, file in entries}
        if files and (self.mapping.identity or len(self.decided.rows)):
            self.notes += unite(self.con, self.watch, self.mapping.identity, self.decided, files)
            self.united = True
            self._set_repeats_aside(table, entries, UNITED)
        circles(self.con, self.watch)

    def _set_repeats_aside(self, table: schema.TableSchema, entries: list[tuple[_Entry, RawFile]], why: str) -> None:
        files = {entry.number: file for entry, file in entries}
        for number in self.con.sql('SELECT DISTINCT "#file" FROM repeats ORDER BY 1').df()["#file"].tolist():
            entry = self.entries[number]
            lines = self.con.sql(f'SELECT "#line" FROM repeats WHERE "#file" = {number}').to_arrow_table().column(0)
            if number not in files:
                raise self._bad_row(lines[0].as_py(), table, why)
            assert entry.part is not None, "an entry of a file has its part"
            check = self._check(files[number].block, files[number].name)
            written = self.records.written(entry.part, number, files[number], check, lines)
            with registered(self.con, "written", written):
                self.con.execute(
                    f'INSERT INTO stage.quarantine SELECT {number}, "#line", {literal(table.name)}, [{literal(why)}], '
                    f'record, key, false FROM written JOIN (FROM repeats WHERE "#file" = {number}) USING ("#line")'
                )
            entry.accepted -= len(lines)

    def _balance(self) -> None:
        """Count again what stands in the tables; an account that does not balance is not published."""
        for table in {entry.table for entry in self.entries}:
            entries = [entry for entry in self.entries if entry.table == table]
            if table.startswith(PREPARED):
                stand = sum(entry.accepted for entry in entries)
            elif table == BY_MONTH:
                stand = sum(pq.read_metadata(file).num_rows for file in (self.place / BY_MONTH).glob("*"))
            else:
                stand = self._number(f"SELECT count(*) FROM {table}")
            aside = self._number('SELECT count(*) FROM stage.quarantine WHERE "table" = ?', table)
            fits = all(entry.raw == entry.accepted + entry.quarantined for entry in entries)
            if not fits or sum(e.accepted for e in entries) != stand or sum(e.quarantined for e in entries) != aside:
                raise WorkbenchError(
                    "the account of {table} does not balance ({entries}; {stand} rows stand, {aside} are in "
                    "quarantine). Nothing was published. This is a fault of the program: please report it."
                ).of(table, str(entries), stand, aside)

    def _describe(self, notes: list[str]) -> None:
        """Write the quarantine, the account and the facts about this version."""
        con = self.con
        for table in schema.tables().values():
            if table.name not in self.filled and table.name != BY_MONTH:
                con.execute(table.ddl())
        digests = {file.name: file.digest for file in [*self.files, *(taken.file for taken in self.taken)]}
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
        known = ("number", "file", "table", "raw", "accepted", "quarantined", "lines", "most_refused")
        rows = {name: [getattr(e, name) for e in self.entries] for name in known}
        with registered(self.con, "rows", pa.table({**rows, "digest": [digests.get(e.file) for e in self.entries]})):
            con.execute("INSERT INTO entry FROM rows")
        con.execute(
            """CREATE TABLE account AS SELECT "#file", file, "table", raw, accepted, quarantined,
            coalesce(set_aside, 0) AS set_aside, coalesce(followed, 0) AS followed, lines, most_refused, digest
            FROM entry LEFT JOIN apart USING ("#file") ORDER BY "#file" """
        )
        con.execute(
            'CREATE TABLE quarantine AS SELECT file, "#line" AS line, q."table", reasons, record '
            'FROM stage.quarantine q JOIN account USING ("#file") ORDER BY "#file", line'
        )
        self.watch.write()
        notes = list(notes)
        if self.unchecked:
            notes.append(say("not checked, for the table is not delivered: {keys}", keys=Listed(self.unchecked, "")))
        notes += [
            say("{n} telephone or card numbers or mail addresses in {where} were masked", n=count, where=where)
            for where, count in sorted(self.masked.items())
        ]
        facts = {
            "schema_version": schema.version(),
            "version": self.version,
            "source": self.mapping.source,
            "title": self.mapping.title,
            "operator": self.mapping.operator,
            "currency": self.mapping.currency,
            "as_of": self.mapping.as_of.isoformat(),
            "created": datetime.now().isoformat(" ", "seconds"),
            "key_fingerprint": self.pseudonyms.fingerprint if self.pseudonyms else "",
            "notes": "\n".join(notes),
            "repairs": self.repairs.digest,
            "mapped": " ".join(self.mapping.filled()),
        }
        con.execute("CREATE TABLE facts (name VARCHAR, value VARCHAR)")
        con.executemany("INSERT INTO facts VALUES (?, ?)", [[name, str(value)] for name, value in facts.items()])

    def _empty(self, table: schema.TableSchema) -> WorkbenchError:
        raw = sum(entry.raw for entry in self.entries if entry.table == table.name)
        top = self.con.execute(
            "SELECT reason, count(*) AS n FROM (SELECT unnest(reasons) AS reason FROM stage.quarantine "
            'WHERE "table" = ?) GROUP BY reason ORDER BY n DESC, reason LIMIT 3',
            [table.name],
        ).fetchall()
        files = ", ".join(sorted({entry.file for entry in self.entries if entry.table == table.name})[:3])
        why = Listed((say("{reason} ({n})", reason=Named(r, in_words(r, "zh")), n=n) for r, n in top), ";")
        said = (
            say("none of the {raw} records is accepted: {why}", raw=raw, why=why) if raw else say("there is no record")
        )
        return WorkbenchError("table {table} would be empty: in {files} {said}. Mend the file or the mapping.").of(
            table.name, files, said
        )

    def _number(self, sql: str, *parameters: object) -> int:
        return self.con.execute(sql, list(parameters)).fetchall()[0][0]


def _earlier(table: schema.TableSchema) -> str:
    return f"the key ({', '.join(table.key)}) stands in an earlier row"
