"""What do raw files say together? A SELECT of the mapping over them, whose result is mapped like a file.

The files are read as they always are, each column a text, into a database of the step's own. The SELECT runs in a
process that sees nothing else. Then each record is followed by its key into the result: what stands nowhere is refused,
what stands several times stops the ingest, unless the mapping says that it is meant so.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import WorkbenchError, named
from workbench.warehouse import clear
from workbench.warehouse.adhoc import ask
from workbench.warehouse.ingest.build import MEMORY, RawFile, Taken
from workbench.warehouse.ingest.mapping import Input, Mapping, Step
from workbench.warehouse.ingest.read import batches
from workbench.warehouse.ingest.rules import AGAIN, LEFT_OUT
from workbench.warehouse.sql import literal, quoted
from workbench.warehouse.texts import one_width

INPUTS, PREPARED = "inputs.duckdb", "prepared.parquet"
SECONDS = 3600.0
WITHHELD = "(withheld: may hold a clear number or name)"


@dataclass(frozen=True)
class Prepared:
    """What the steps of a mapping made: files to be mapped, the account of what they read, and what is to be said."""

    files: list[RawFile]
    taken: list[Taken]
    notes: list[str]


def results(mapping: Mapping, files: list[RawFile]) -> list[RawFile]:
    """The files that the steps will make, known by what they are made of."""
    made = []
    for block in mapping.files:
        for step in (step for step in mapping.steps if step.name == block.prepared):
            digest = hashlib.blake2b(step.sql.encode(), digest_size=16)
            for file in (file for file in files if file.block.table.name == step.table):
                digest.update(f"\n{file.block.target}\n{file.name}\n{file.digest}".encode())
            made.append(RawFile(block, Path(step.table), step.table, digest.hexdigest(), (0, 0)))
    return made


def prepare(mapping: Mapping, files: list[RawFile], place: Path) -> Prepared:
    """Run the steps of a mapping in folders of their own under `place`.

    Raises
    ------
    WorkbenchError
        If a file can't be read, a SELECT is none, names what is not there or takes too much, or a record stands in
        several rows of the result though the mapping does not say so.
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
        names = pq.read_schema(result).names
        with self._inputs() as con:
            con.execute(f'CREATE VIEW "#result" AS FROM read_parquet({literal(str(result))})')
            for one in self.step.inputs:
                self._follow(con, one, pq.read_schema(result))
                for file in (file for file in files if file.block is one):
                    self._account(con, file, *counts[one.name, file.name])
        keys = {name for one in self.step.inputs for name in one.key}
        for file in results(self.mapping, files):
            if file.block.prepared == self.step.name:
                aside = [n for n in names if (n[:1] == "#" or n in keys) and n not in file.block.sources()]
                block = replace(file.block, ignore=tuple(dict.fromkeys([*file.block.ignore, *aside])))
                self.made.files.append(replace(file, block=block, path=result))

    def _inputs(self) -> duckdb.DuckDBPyConnection:
        con = duckdb.connect(str(self.folder / INPUTS))
        con.execute(f"SET memory_limit = {literal(MEMORY)}")
        con.execute(f"SET temp_directory = {literal(str(self.folder / 'spill'))}")
        return con

    def _read(
        self, con: duckdb.DuckDBPyConnection, one: Input, files: list[RawFile], counts: dict[tuple[str, str], list[int]]
    ) -> None:
        """Read the files of an input into its table, each column a text, with the number of the record."""
        number, known = quoted(f"#{one.name}"), set[str]()
        con.execute(f'CREATE TABLE {quoted(one.name)} ("#file" VARCHAR, {number} BIGINT, "#line" BIGINT)')
        before = 0
        for file in files:
            counted = counts.setdefault((one.name, file.name), [0, 0])
            for batch in batches(file.path, one):
                counted[0], counted[1] = counted[0] + batch.records, counted[1] + batch.lines
                columns = batch.columns
                for name in (*one.key, *one.link):
                    if name in one.seen:
                        at = columns.schema.get_field_index(name)
                        columns = columns.set_column(at, name, one_width(columns.column(name)))
                for name in (name for name in one.seen if name not in known):
                    con.execute(f"ALTER TABLE {quoted(one.name)} ADD COLUMN {quoted(name)} VARCHAR")
                    known.add(name)
                con.register("#batch", columns)
                cells = "".join(f", nullif({quoted(name)}, '') AS {quoted(name)}" for name in one.seen)
                con.execute(
                    f'INSERT INTO {quoted(one.name)} BY NAME SELECT {literal(file.name)} AS "#file", '
                    f'"#record" + {before} AS {number}, "#line"{cells} FROM "#batch"'
                )
                con.unregister("#batch")
                if batch.malformed.num_rows:
                    bad = batch.malformed.select(["line", "reason", "text"])
                    self._refuse(con, one, bad.append_column("file", pa.array([file.name] * len(bad), pa.string())))
            before += counted[0]
        if lacking := [name for name in (*one.key, *one.link) if name[:1] != "#" and name not in known]:
            raise WorkbenchError(f"{one.path} ({one.target}) lacks the column {named(lacking)}. Mend key or link.")

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
            "inputs": str(self.folder / INPUTS), "result": str(self.folder / PREPARED), "statement": self.step.sql,
            "folder": str(self.folder), "as_of": self.mapping.as_of.isoformat(), "seconds": SECONDS,
            "step": f"{self.mapping.file.name}, [[prepare]] {self.step.name}", "line": self.step.line,
        }  # fmt: skip
        ask(asked, self.folder)

    def _follow(self, con: duckdb.DuckDBPyConnection, one: Input, result: pa.Schema) -> None:
        """Find the records of an input in the result."""
        if one.lookup:
            con.execute(f"CREATE TEMP VIEW {quoted(f'#stood:{one.name}')} AS SELECT * FROM {quoted(one.name)}")
            return
        if lacking := [name for name in one.key if name not in result.names]:
            raise WorkbenchError(
                f"{self.mapping.file.name}, [[prepare]] {self.step.name}: the result lacks {named(lacking)}, by which "
                f"the records of {one.name} are followed. Select it (of grouped rows: "
                f"list({quoted(lacking[0])}) AS {quoted(lacking[0])}), name others under key, or say lookup = true."
            )
        keys = range(len(one.key))
        nested = [pa.types.is_list(result.field(name).type) for name in one.key]
        picked = ", ".join(
            f"{f'unnest({quoted(name)})' if nested[i] else quoted(name)} AS k{i}" for i, name in enumerate(one.key)
        )
        texts = ", ".join(f"CAST(k{i} AS VARCHAR) AS k{i}" for i in keys)
        same = " AND ".join(
            f"r.k{i} IS NOT DISTINCT FROM CAST(t.{quoted(n)} AS VARCHAR)" for i, n in enumerate(one.key)
        )
        con.execute(
            'CREATE OR REPLACE TEMP TABLE "#found" AS '
            f'SELECT {texts}, count(*) AS n FROM (SELECT {picked} FROM "#result") GROUP BY ALL'
        )
        table, stood = quoted(one.name), quoted(f"#stood:{one.name}")
        con.execute(f'CREATE TEMP TABLE {stood} AS SELECT t.*, r.n FROM {table} t JOIN "#found" r ON {same}')
        reason = LEFT_OUT if one.drops else f"{self.step.table} has no row for it"
        which = f"{quoted(f'#{one.name}')} NOT IN (SELECT {quoted(f'#{one.name}')} FROM {stood})"
        dropped = self._aside(con, one, which, reason, one.key)
        key = ", ".join(quoted(name) for name in one.key)
        many, rows, file, line = con.execute(
            f"SELECT coalesce(sum(m), 0), coalesce(sum(n), 0), any_value(file ORDER BY number), "
            f"any_value(line ORDER BY number) FROM (SELECT any_value(n) AS n, count(*) AS m, "
            f'arg_min("#file", {quoted(f"#{one.name}")}) AS file, arg_min("#line", {quoted(f"#{one.name}")}) AS line, '
            f"min({quoted(f'#{one.name}')}) AS number FROM {stood} GROUP BY {key}) WHERE n > m"
        ).fetchall()[0]
        total, of = (con.sql(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in ('"#result"', table))
        strange = con.sql(f'SELECT coalesce(sum(n), 0) FROM "#found" r ANTI JOIN {table} t ON {same}').fetchall()[0][0]
        if many and not one.multiplies:
            raise WorkbenchError(
                f"{self.mapping.file.name}, [[prepare]] {self.step.name}: {many:,} records of {one.name} stand in "
                f"{rows:,} rows of the result; the first is in line {line} of {file}. Does a join find several "
                "partners? Mend it, or say multiplies = true."
            )
        more = f", {many:,} in more than one ({rows:,} together)" if many else ""
        more += f"; {strange:,} rows come from none of them" if strange else ""
        self.made.notes.append(
            f"{self.step.table} has {total:,} rows; of the {of:,} records of {one.name} {dropped:,} stand in none{more}"
        )

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
        self.made.taken.append(Taken(file, raw, lines, accepted, refused))
