"""What does the warehouse know? The door through which notebooks read it, and nothing can be written."""

from __future__ import annotations

import atexit
import os
import re
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import CannotAnswer, WorkbenchError, one_or_many, require_kind, require_known, unknown
from workbench.messages import Listed, say
from workbench.warehouse import schema, sqlfiles, stored
from workbench.warehouse.account import Account
from workbench.warehouse.digests import note_reads
from workbench.warehouse.features import STORED, as_date, tables_stored
from workbench.warehouse.sql import literal, only_one, quoted, require_text, why_refused, without_bar

ACCOUNT = ("file", "table", "raw", "accepted", "quarantined", "set_aside", "followed", "lines", "most_refused")
WARNINGS = ("table", "rule", "rows", "of", "said")
FACTS = {"title", "operator", "currency", "as_of", "key_fingerprint", "notes"}


def sources(root: Path) -> list[str]:
    """Names of the sources that have a mapping."""
    return sorted(file.stem for file in (root / "data" / "mappings").glob("*.toml"))


def mapping_file(source: str, root: Path) -> Path:
    """Where the mapping of a source stands; refuses a source that has none."""
    require_known("source", source, sources(root), "data/mappings")
    return root / "data" / "mappings" / f"{source}.toml"


def live_mapping(source: str, root: Path) -> dict[str, Any] | None:
    """What the mapping of a source says, if its tables stand in an engine elsewhere."""
    try:
        said = tomllib.loads(mapping_file(source, root).read_text("utf-8"))
    except ValueError:  # ingest names the line
        return None
    return said if "engine" in said else None


def warehouse_folder(source: str, root: Path) -> Path:
    """Where the versions of a source's warehouse stand."""
    return root / "data" / "warehouse" / source


def open_version(source: str, place: Path) -> Warehouse:
    """Open a version of a source's warehouse in whatever folder, as `open_warehouse` does the one in force."""
    command = say("Run: workbench data ingest {source}", source=source)
    try:
        with duckdb.connect(str(place / "warehouse.duckdb"), read_only=True) as con:
            facts = dict(con.execute("SELECT name, value FROM facts").fetchall())
            stand = con.execute("SELECT sum(accepted)::BIGINT FROM account WHERE \"table\" = 'detail_record'")
            accepted = stand.fetchall()[0][0] or 0
            there = _columns(con, "warehouse")
        kept = sum(pq.read_metadata(file).num_rows for file in (place / "detail_record").glob("*.parquet"))
    except (duckdb.Error, pa.ArrowInvalid, OSError) as error:
        why = str(error).splitlines()[0].replace(f"{place}{os.sep}", "").rstrip(".!")
        raise WorkbenchError("{place} can't be read: {why}. {command}").of(place, why, command) from None
    if facts.get("schema_version") not in {str(number) for number in (schema.version(), *schema.reads())}:
        raise WorkbenchError(
            "the warehouse of '{source}' has tables of version {name}; this program needs version {version}. {command}"
        ).of(source, facts.get("schema_version"), schema.version(), command)
    if kept != accepted or not FACTS <= set(facts):
        raise WorkbenchError("{place} is damaged: {kept} of {accepted} detail records are there. {command}").of(
            place, kept, accepted, command
        )
    notes = facts["notes"].splitlines()
    if new := _since(there):
        said = say(
            "read as an earlier program ingested it: {names} came since, and are empty here. {command}",
            names=Listed(new),
            command=command,
        )
        notes.append(said)
    return Warehouse(
        source,
        place.name,
        facts["title"],
        facts["operator"],
        facts["currency"],
        date.fromisoformat(facts["as_of"]),
        facts["key_fingerprint"],
        tuple(notes),
        place,
    )


@dataclass(frozen=True)
class Warehouse:
    """One version of a source's warehouse, read-only.

    The files of the four versions last read stay open in a process; a newer version is read once it is opened.

    Attributes
    ----------
    source, version, title, operator, currency : str
    as_of : date
        The day before which all is known.
    key_fingerprint : str
        Tells the key of the pseudonyms from others; "" where there are none.
    notes : tuple of str
    place : Path
        Folder of this version.
    """

    source: str
    version: str
    title: str
    operator: str
    currency: str
    as_of: date
    key_fingerprint: str
    notes: tuple[str, ...]
    place: Path

    def __repr__(self) -> str:
        return f"Warehouse of {self.operator} ('{self.source}', version {self.version}), known until {self.as_of}"

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a connection that sees all canonical tables, and nothing of the machine but this version.

        Raises
        ------
        WorkbenchError
            If newer versions have taken the place of this one since it was opened.
        """
        try:
            opened = _opened(self.place, (self.place / "warehouse.duckdb").stat().st_mtime_ns, os.getpid())
        except FileNotFoundError:
            raise WorkbenchError(
                "version {version} of '{source}' is gone: newer ones took its place. Open it again."
            ).of(self.version, self.source) from None
        with opened.cursor() as con:
            yield con

    def tables(self) -> list[str]:
        """Names of the canonical tables that hold rows."""
        note_reads(self.source, self.version, " ".join(schema.tables()), schema.tables())
        with self.connect() as con:
            return [t for t in schema.tables() if con.execute(f"SELECT 1 FROM {t} LIMIT 1").fetchall()]

    def table(self, name: str, columns: Iterable[str] | None = None, *, province: str = "") -> pd.DataFrame:
        """Give a canonical table, or some columns of it, in the order of its key.

        Parameters
        ----------
        name : str
        columns : iterable of str, optional
        province : str
            Take only rows of this province's customers; "" for all.

        Raises
        ------
        WorkbenchError
            If there is no such table, column or province; the nearest is suggested.
        """
        table = schema.table(name)
        asked = [c.name for c in table.columns] if columns is None else one_or_many(columns, "columns")
        chosen = [table.column(c).name for c in asked]
        order = table.key or [c.name for c in table.columns]
        where = ""
        if province:
            table.column("customer_id")
            self._check("customer", "province", province)
            where = f"WHERE customer_id IN (SELECT customer_id FROM customer WHERE province = {literal(province)})"
        return self.query(f"SELECT {', '.join(chosen)} FROM {name} {where} ORDER BY {_order(order)}")

    def query(
        self, sql: str, parameters: Sequence | Mapping = (), *, given: Mapping[str, pd.DataFrame] | None = None
    ) -> pd.DataFrame:
        """Run a query; parameters stand for `?`, or by name for `$name`; tables `given` are read by name, too.

        Raises
        ------
        WorkbenchError
            If the query is wrong: what `workbench.sql` says of it.
        """
        require_text(sql)
        if given is not None:
            require_kind(given, Mapping, "given", "given={'lists': table}")
        made_of = "detail_record" if any(name in sql for name in STORED) else ""
        note_reads(self.source, self.version, f"{sql} {made_of}", (*schema.tables(), "account", "quarantine"))
        with self.connect() as con:
            for name, table in (given or {}).items():
                con.register(name, table)
            try:
                return con.execute(only_one(con, sql), parameters or None).df()
            except duckdb.Error as error:
                raise WorkbenchError(why_refused(error, con)) from None

    def account(self) -> pd.DataFrame:
        """Give what became of each file's records, with the columns of `Account.frame`."""
        return self.query(f'SELECT {", ".join(map(quoted, ACCOUNT))} FROM account ORDER BY "#file"')

    def files(self) -> pd.DataFrame:
        """Give the files of the raw folder that were read: file, records, digest; what the mapping holds is in none."""
        return self.query(
            "SELECT file, max(raw) AS records, any_value(digest) AS digest FROM account WHERE digest IS NOT NULL "
            "AND file NOT LIKE 'prepare:%' "
            'GROUP BY file ORDER BY min("#file")'
        )

    def full_account(self, *, changed: bool = True) -> Account:
        """Give the account with the reasons of quarantine and the notes."""
        from workbench.refused import NO_LOSS

        reasons = self.query(
            'SELECT "table", reason, count(*) AS records, count(*) FILTER (NOT no_loss) AS lost FROM (SELECT "table", '
            f"unnest(reasons) AS reason, list_has_any(reasons, {[*NO_LOSS]}) AS no_loss FROM quarantine) "
            'GROUP BY ALL ORDER BY records DESC, "table", reason'
        )
        return Account(self.source, self.version, self.account(), reasons, self.warnings(), self.notes, changed)

    def warnings(self) -> pd.DataFrame:
        """Give the rules that rows of the tables break, though they stand: table, rule, rows, of (rows), said."""
        with self.connect() as con:
            there = con.execute("SELECT 1 FROM duckdb_views() WHERE view_name = 'warning'").fetchall()
        if not there:  # a version of before
            return pd.DataFrame(columns=WARNINGS)
        return self.query(f"SELECT {', '.join(map(quoted, WARNINGS))} FROM warning ORDER BY ALL")

    def refused(self, table: str | None = None, file: str | None = None) -> pd.DataFrame:
        """Give the records in quarantine, of one table or raw file or all.

        Returns
        -------
        DataFrame
            file, digest (of its content), line, table, reasons (a list), record (JSON text).

        Raises
        ------
        WorkbenchError
            If there is no such table or file; the nearest is suggested.
        """
        if table is not None:
            schema.table(table)
        if file is not None and file not in (known := self.account()["file"].unique().tolist()):
            raise unknown("file", file, known, say("what '{source}' delivered", source=self.source))
        return self.query(
            'SELECT file, digest, line, "table", reasons, record FROM quarantine LEFT JOIN '
            "(SELECT file, any_value(digest) AS digest FROM account GROUP BY file) USING (file) "
            'WHERE "table" = coalesce(?, "table") AND file = coalesce(?, file) ORDER BY file, line',
            [table, file],
        )

    def survey(self, wave: str = "", *, province: str = "", before: date | str = "") -> pd.DataFrame:
        """Give the interviews of a wave, with a column for each item; NaN is a missing answer.

        Parameters
        ----------
        wave : str
            A wave's name, "latest" for the last in order of name, or "" for all.
        province : str
            Take only its respondents; "" for all.
        before : date or str
            Take only interviews of before this day, or of a day that is not known; "" for all.

        Raises
        ------
        WorkbenchError
            If there is no survey, or no such wave or province in it.
        CannotAnswer
            If no interview is of before that day.
        """
        known = f"(answered_on IS NULL OR answered_on < CAST('{as_date(before)}' AS DATE))" if before else "1 = 1"
        found = self.query(
            f"SELECT wave, count(*) FILTER (WHERE {known}) AS told FROM survey_response GROUP BY wave ORDER BY wave"
        )
        waves, told = found["wave"].tolist(), found.loc[found["told"] > 0, "wave"].tolist()
        if not waves:
            raise WorkbenchError("the warehouse of '{source}' holds no survey. Map one, and ingest again.").of(
                self.source
            )
        if not told or wave in {*waves} - {*told}:
            raise CannotAnswer("no interview asked for is of before {day}: choose a later as_of.").of(before)
        chosen = {"wave": told[-1] if wave == "latest" else wave, "province": province}
        chosen = {column: value for column, value in chosen.items() if value}
        for column, value in chosen.items():
            self._check("survey_response", column, value)
        where = " AND ".join([*(f"{column} = ?" for column in chosen), known])
        return self._wide("survey_response", f"WHERE {where}", list(chosen.values()))

    def campaign(self, campaign_id: str) -> pd.DataFrame:
        """Give a campaign's members: customer_id, arm, assigned_on, contacted, then outcomes, then covariates.

        A covariate is numeric where every value is a number; else it is text.

        Raises
        ------
        WorkbenchError
            If there is no such campaign.
        """
        declared = "campaign_id = ? AND NOT EXISTS (FROM campaign_member WHERE campaign_id = campaign.campaign_id)"
        if len(self.query(f"SELECT 1 FROM campaign WHERE {declared}", [campaign_id])):
            raise CannotAnswer(
                "campaign '{campaign}' has no members in the warehouse of '{source}': none were delivered, or all were "
                "refused. Run: workbench data check {source}"
            ).of(campaign_id, self.source)
        self._check("campaign_member", "campaign_id", campaign_id)
        return self._wide("campaign_member", "WHERE campaign_id = ?", [campaign_id]).drop(columns="campaign_id")

    def _check(self, table: str, column: str, value: str) -> None:
        known = self.query(f"SELECT DISTINCT {column} FROM {table} ORDER BY {column}")[column].tolist()
        require_known(column, value, known, say("the warehouse of '{source}'", source=self.source))

    def _wide(self, name: str, where: str, parameters: list) -> pd.DataFrame:
        """Give rows of a table with a column for each value of its maps, from its long twin."""
        table = schema.table(name)
        twin, key = f"{name}_value", ", ".join(table.key)
        plain = ", ".join(c.name for c in table.columns if not c.is_map)
        unfolded = sqlfiles.expressions([twin], tables_stored(self))
        known = f"WITH {', '.join([f'chosen AS (SELECT {plain} FROM {name} {where})', *unfolded])}"
        mine = f"EXISTS (SELECT 1 FROM chosen WHERE {' AND '.join(f'chosen.{k} = {twin}.{k}' for k in table.key)})"
        entries = self.query(f"{known} SELECT DISTINCT kind, name FROM {twin} WHERE {mine}", parameters)
        spread, texts = [], []
        for column in (c for c in table.columns if c.is_map):
            value = "text" if column.type == "texts" else "value"
            for entry in sorted(entries.loc[entries["kind"] == column.name, "name"], key=_natural):
                which = f"kind = '{column.name}' AND name = {literal(entry)}"
                spread.append(f"max({value}) FILTER (WHERE {which}) AS {quoted(entry)}")
                texts += [entry] * (value == "text")
        wide = self.query(
            f"{known}, wide AS (SELECT {', '.join([key, *spread])} FROM {twin} WHERE {mine} "
            f"GROUP BY {key}) SELECT * FROM chosen LEFT JOIN wide USING ({key}) ORDER BY {_order(table.key)}",
            parameters,
        )
        return wide.assign(**{entry: _numeric(wide[entry]) for entry in texts})


@lru_cache(maxsize=4)
def _opened(place: Path, _written: int, _process: int) -> duckdb.DuckDBPyConnection:
    """Open a version for all queries of a process: that takes longer than most of them."""
    return locked_down(place, {"temp_directory": f"{tempfile.gettempdir()}/workbench-{os.getpid()}"})


def locked_down(place: Path, limits: Mapping[str, str]) -> duckdb.DuckDBPyConnection:
    """Open a version so that nothing of the machine is seen but its tables, and no setting can be changed any more.

    Parameters
    ----------
    place : Path
        Folder of the version.
    limits : mapping of str to str
        Settings of DuckDB, with their values.
    """
    con = duckdb.connect()
    try:
        con.execute(f"ATTACH {literal(str(place / 'warehouse.duckdb'))} AS stored (READ_ONLY)")
        there = _columns(con, "stored")
        for name, columns in there.items():
            cells = schema.table(name).as_now(columns) if name in schema.tables() else "*"
            con.execute(f"CREATE VIEW {quoted(name)} AS SELECT {cells} FROM stored.{quoted(name)}")
        for name in schema.tables().keys() - there.keys() - {"detail_record"}:
            con.execute(schema.table(name).ddl())
        kept = stored.months(place)
        for name, files in kept.items():
            if files:
                con.execute(f"CREATE VIEW {name} AS {stored.relation(name, files)}")
            elif name == stored.RECORDS:
                con.execute(schema.table(name).ddl())
        lock(con, limits, [str(file) for files in kept.values() for pieces in files.values() for file in pieces])
    except BaseException:
        con.close()
        raise
    return con


def _columns(con: duckdb.DuckDBPyConnection, database: str) -> dict[str, list[str]]:
    """The columns of the tables of a database, in order."""
    sql = "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() WHERE database_name = ? "
    return dict(con.execute(f"{sql} GROUP BY ALL", [database]).fetchall())


def _since(there: Mapping[str, list[str]]) -> list[str]:
    """The tables and columns that a version lacks, for its program did not know them."""
    known = [t for t in schema.tables().values() if t.name != "detail_record"]
    new = [t.name for t in known if t.name not in there]
    return new + [f"{t.name}.{c.name}" for t in known for c in t.columns if c.name not in there.get(t.name, [c.name])]


def lock(con: duckdb.DuckDBPyConnection, limits: Mapping[str, str], files: Iterable[str] = ()) -> None:
    """Let a connection see no more of the machine than what is attached and some files, from now on."""
    without_bar(con)
    for name, value in {
        "TimeZone": "'UTC'",
        **{name: literal(value) for name, value in limits.items()},
        "allowed_paths": f"[{', '.join(map(literal, files))}]::VARCHAR[]",
        "enable_external_access": "false",
        "lock_configuration": "true",
    }.items():
        con.execute(f"SET GLOBAL {name} = {value}")


atexit.register(_opened.cache_clear)


def _order(columns: Iterable[str]) -> str:
    return ", ".join(f"{name} NULLS LAST" for name in columns)


def _natural(name: str) -> list:
    """Sort key by which item 2 comes before item 10.

    >>> sorted(["IM10", "IM2", "EX1"], key=_natural)
    ['EX1', 'IM2', 'IM10']
    """
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in re.split(r"(\d+)", name)]


def _numeric(texts: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(texts, errors="coerce")
    fits = texts.isna() | np.isfinite(numbers)
    return numbers.astype("float64") if fits.all() else texts
