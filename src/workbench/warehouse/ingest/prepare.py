"""What do raw files say together? A SELECT of the mapping over them, whose result is mapped like a file.

The files are read as they always are, each column a text, into a database of the step's own. The SELECT runs in a
process that sees nothing else. Then each record is followed by its key into the result: what stands nowhere is refused,
what stands several times stops the ingest, unless the mapping says that it is meant so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import WorkbenchError
from workbench.messages import say
from workbench.warehouse import clear
from workbench.warehouse.adhoc import ask
from workbench.warehouse.ingest.blocks import Input, Mapping, Step
from workbench.warehouse.ingest.read import batches
from workbench.warehouse.ingest.records import MEMORY, Preparation, RawFile
from workbench.warehouse.ingest.repairs import FROM
from workbench.warehouse.ingest.rules import AGAIN, LEFT_OUT
from workbench.warehouse.sql import literal, quoted, without_bar
from workbench.warehouse.texts import one_width

INPUTS, PREPARED = "inputs.duckdb", "prepared.parquet"
SECONDS = 3600.0
WITHHELD = "(withheld: may hold a clear number or name)"


@dataclass(frozen=True)
class Prepared:
    """What the steps of a mapping made: files to be mapped, the account of what they read, and what is to be said."""

    files: list[RawFile]
    taken: list[Preparation]
    notes: list[str]


def results(mapping: Mapping, files: list[RawFile]) -> list[RawFile]:
    """The files that the steps will make, known by what they are made of and each file that is followed."""
    made = []
    for block in mapping.files:
        for step in (step for step in mapping.steps if step.name == block.prepared):
            digest, followed = hashlib.blake2b(step.sql.encode(), digest_size=16), list[str]()
            for file in (file for file in files if file.block.table.name == step.table):
                digest.update(f"\n{file.block.target}\n{file.name}\n{file.digest}".encode())
                followed += [] if isinstance(file.block, Input) and file.block.lookup else [FROM + file.digest[:12]]
            known = digest.hexdigest() + "".join(sorted(followed))
            made.append(RawFile(block, Path(step.table), step.table, known, (0, 0)))
    return made


def prepare(mapping: Mapping, files: list[RawFile], place: Path) -> Prepared:
    """Run the steps of a mapping in folders of their own under `place`.

    Raises
    ------
    WorkbenchError
        If a file can't be read, a SELECT is none, names what is not there or takes too much, or a record
        stands in several rows of the result though the mapping does not say so.
    """
    made = Prepared([], [], [])
    for step in mapping.steps:
        folder = place / "prepare" / step.name
        folder.mkdir(mode=0o700, parents=True)
        readers = [block for block in mapping.files if block.prepared == step.name]
        withheld = any(value.pseudonym for block in readers for value in block.values())
        _Preparing(step, folder, mapping, made, withheld=withheld).run(files)
    return made


class _Preparing:
    """One step: its inputs are read, its SELECT is run, its records are followed."""

    def __init__(self, step: Step, folder: Path, mapping: Mapping, made: Prepared, *, withheld: bool) -> None:
        self.step, self.folder, self.mapping, self.made, self.withheld = step, folder, mapping, made, withheld
        self.where = f"{mapping.file.name}, [[prepare]] {step.name}"

    def run(self, files: list[RawFile]) -> None:
        """Read, select, follow, and say what came of it."""
        counts: dict[tuple[str, str], list[int]] = {}
        with self._inputs() as con:
            con.execute(
                'CREATE TABLE "#refused" (input VARCHAR, file VARCHAR, line BIGINT, reason VARCHAR, text VARCHAR)'
            )
            for one in self.step.inputs:
                self._read(con, one, [file for file in files if file.block is one], counts)
                if one.link:
                    self._check_links(con, one)
        self._select()
        result = self.folder / PREPARED
        schema = pq.read_schema(result)
        with self._inputs() as con:
            con.execute(f'CREATE VIEW "#result" AS FROM read_parquet({literal(str(result))})')
            for one in self.step.inputs:
                self._follow(con, one, schema)
                for file in (file for file in files if file.block is one):
                    self._account(con, file, *counts[one.name, file.name])
        keys = {name for one in self.step.inputs for name in one.key}
        for file in results(self.mapping, files):
            if file.block.prepared == self.step.name:
                aside = [n for n in schema.names if (n[:1] == "#" or n in keys) and n not in file.block.sources()]
                block = replace(file.block, ignore=tuple(dict.fromkeys([*file.block.ignore, *aside])))
                self.made.files.append(replace(file, block=block, path=result))

    def _inputs(self) -> duckdb.DuckDBPyConnection:
        con = without_bar(duckdb.connect(str(self.folder / INPUTS)))
        con.execute(f"SET memory_limit = {literal(MEMORY)}")
        con.execute(f"SET temp_directory = {literal(str(self.folder / 'spill'))}")
        return con

    def _read(
        self, con: duckdb.DuckDBPyConnection, one: Input, files: list[RawFile], counts: dict[tuple[str, str], list[int]]
    ) -> None:
        """Read the files of an input into its table, each column a text, with the number of the record."""
        table, number, before = quoted(one.name), quoted(f"#{one.name}"), 0
        con.execute(f'CREATE TABLE {table} ("#file" VARCHAR, {number} BIGINT, "#line" BIGINT)')

        def have(names: Iterable[str]) -> None:
            for name in names:
                con.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {quoted(name)} VARCHAR")

        for file in files:
            counted = counts.setdefault((one.name, file.name), [0, 0])
            for batch in batches(file.path, one):
                counted[0], counted[1] = counted[0] + batch.records, counted[1] + batch.lines
                columns = batch.columns
                for name in {*one.key, *one.link} & set(one.seen):
                    at = columns.schema.get_field_index(name)
                    columns = columns.set_column(at, name, one_width(columns.column(name)))
                have(one.seen)
                con.register("#batch", columns)
                cells = "".join(f", nullif({quoted(name)}, '') AS {quoted(name)}" for name in one.seen)
                con.execute(
                    f'INSERT INTO {table} BY NAME SELECT {literal(file.name)} AS "#file", '
                    f'"#record" + {before} AS {number}, "#line"{cells} FROM "#batch"'
                )
                con.unregister("#batch")
                if batch.malformed.num_rows:
                    bad = batch.malformed.select(["line", "reason", "text"])
                    self._refuse(con, one, bad.append_column("file", pa.array([file.name] * len(bad), pa.string())))
            before += counted[0]
        have([*one.seen, *one.optional])

    def _refuse(self, con: duckdb.DuckDBPyConnection, one: Input, rows: pa.Table) -> None:
        """Set records aside, with their texts as far as these may be seen."""
        texts = clear.mask(rows.column("text"))[0]
        if self.withheld:
            texts = pa.chunked_array([pa.array([WITHHELD] * len(rows), pa.string())])
        rows = rows.set_column(rows.schema.get_field_index("text"), "text", texts)
        con.register("#rows", rows)
        con.execute(f'INSERT INTO "#refused" SELECT {literal(one.name)}, file, line, reason, text FROM "#rows"')
        con.unregister("#rows")

    def _aside(
        self, con: duckdb.DuckDBPyConnection, one: Input, which: str, reason: str, shown: tuple[str, ...]
    ) -> int:
        """Refuse the records that a condition finds; give their number."""
        shown = tuple(name for name in shown if name in one.seen)
        text = " || ', ' || ".join(f"{literal(name)} || '=' || coalesce({quoted(name)}, '')" for name in shown) or "''"
        rows = con.sql(
            f'SELECT "#file" AS file, "#line" AS line, {literal(reason)} AS reason, {text} AS text '
            f"FROM {quoted(one.name)} t WHERE {which}"
        ).to_arrow_table()
        if rows.num_rows:
            self._refuse(con, one, rows)
        return rows.num_rows

    def _check_links(self, con: duckdb.DuckDBPyConnection, one: Input) -> None:
        """Refuse links that contradict each other, all of them; of equal ones the first stays."""
        table, (a, b), number = quoted(one.name), (quoted(name) for name in one.link), quoted(f"#{one.name}")
        several = f"SELECT {a} FROM {table} GROUP BY {a} HAVING count(DISTINCT {b}) > 1"
        first = f"SELECT min({number}) FROM {table} GROUP BY {a}, {b}"
        for which, reason in (
            (f"{a} IS NULL OR {b} IS NULL", f"{one.link[0]} or {one.link[1]} is missing"),
            (f"{a} IN ({several})", f"{one.link[0]} belongs to more than one {one.link[1]}"),
            (f"{number} NOT IN ({first})", AGAIN),
        ):
            if self._aside(con, one, which, reason, one.link):
                con.execute(f"DELETE FROM {table} WHERE {which}")

    def _select(self) -> None:
        asked = {
            "inputs": str(self.folder / INPUTS),
            "result": str(self.folder / PREPARED),
            "statement": self.step.sql,
            "folder": str(self.folder),
            "as_of": self.mapping.as_of.isoformat(),
            "seconds": SECONDS,
            "step": self.where,
            "line": self.step.line,
        }
        ask(asked, self.folder)

    def _follow(self, con: duckdb.DuckDBPyConnection, one: Input, result: pa.Schema) -> None:
        """Find the records of an input in the result."""
        if one.lookup:
            con.execute(f"CREATE TEMP VIEW {quoted(f'#stood:{one.name}')} AS SELECT * FROM {quoted(one.name)}")
            return
        if lacking := [name for name in one.key if name not in result.names]:
            raise WorkbenchError(
                "the result lacks {names}, by which the records of {name} are followed. Select it (of grouped rows: "
                "list({others}) AS {others}), name others under key, or say lookup = true."
            ).of(lacking, one.name, quoted(lacking[0]), at=self.where)
        table, stood, number = quoted(one.name), quoted(f"#stood:{one.name}"), quoted(f"#{one.name}")
        own, keys = [f"CAST(t.{quoted(name)} AS VARCHAR)" for name in one.key], [f"k{i}" for i in range(len(one.key))]
        listed = [pa.types.is_list(result.field(name).type) for name in one.key]
        picked = [f"unnest({quoted(n)})" if nested else quoted(n) for n, nested in zip(one.key, listed, strict=True)]
        columns = ", ".join(f"{what} AS {key}" for what, key in zip(picked, keys, strict=True))
        texts = ", ".join(f"CAST({key} AS VARCHAR) AS {key}" for key in keys)
        same = " AND ".join(f"r.{key} IS NOT DISTINCT FROM {mine}" for key, mine in zip(keys, own, strict=True))
        con.execute(
            f'CREATE OR REPLACE TEMP TABLE "#found" AS SELECT {texts}, count(*) AS "#n" '
            f'FROM (SELECT {columns} FROM "#result") GROUP BY ALL'
        )
        con.execute(
            f'CREATE TEMP TABLE {stood} AS SELECT t.*, r."#n", count(*) OVER (PARTITION BY {", ".join(own)}) AS "#m" '
            f'FROM {table} t JOIN "#found" r ON {same}'
        )
        dropped = self._aside(
            con,
            one,
            f"{number} NOT IN (SELECT {number} FROM {stood})",
            LEFT_OUT if one.drops else f"{self.step.table} has no row for it",
            one.key,
        )
        (many, rows, file, line), (total,), (of,), (strange,) = (
            con.execute(f"SELECT {what}").fetchall()[0]
            for what in (
                f'count(*), sum("#n" / "#m")::BIGINT, arg_min("#file", {number}), arg_min("#line", {number}) '
                f'FROM {stood} WHERE "#n" > "#m"',
                'count(*) FROM "#result"',
                f"count(*) FROM {table}",
                f'coalesce(sum("#n"), 0) FROM "#found" r ANTI JOIN {table} t ON {same}',
            )
        )
        if many and not one.multiplies:
            raise WorkbenchError(
                "{many} records of {name} stand in {rows} rows of the result; the first is in line {line} of "
                "{file}. Does a join find several partners? Mend it, or say multiplies = true."
            ).of(many, one.name, rows, str(line), file, at=self.where)
        said = {"table": self.step.table, "total": total, "of": of, "name": one.name, "dropped": dropped}
        note = say("{table} has {total} rows; of the {of} records of {name} {dropped} stand in none", **said)
        if many:
            note = say("{note}, {many} in more than one ({rows} together)", note=note, many=many, rows=rows)
        if strange:
            note = say("{note}; {strange} rows come from none of them", note=note, strange=strange)
        self.made.notes.append(note)

    def _account(self, con: duckdb.DuckDBPyConnection, file: RawFile, raw: int, lines: int) -> None:
        """Count what became of the records of a file."""
        one = file.block
        assert isinstance(one, Input), "a step reads its inputs"
        stood = f'SELECT count(*) FROM {quoted(f"#stood:{one.name}")} WHERE "#file" = ?'
        accepted = con.execute(stood, [file.name]).fetchall()[0][0]
        refused = con.sql(
            'SELECT file, line, reason, text FROM "#refused" WHERE input = $input AND file = $file ORDER BY ALL',
            params={"input": one.name, "file": file.name},
        ).to_arrow_table()
        self.made.taken.append(Preparation(file, raw, lines, accepted, refused))
