"""What stands in the tables and is hardly true? Rules that only warn, and deliveries that look unlike the others.

Each table is read once for all its rules, and once more, month by month, for what is implausible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError
from workbench.messages import Day, Listed, Message, Number, Share, Word, say
from workbench.warehouse import schema
from workbench.warehouse.digests import HASHES
from workbench.warehouse.ingest.parts import BY_MONTH
from workbench.warehouse.rulebook import OFF, STOP, WARN, Rulebook, months
from workbench.warehouse.sql import literal, quoted
from workbench.warehouse.stored import parquet

APART = 50  # times: amounts in fen for yuan are a hundred
ROWS = 10  # times as many rows as the months around, or a tenth
FEW = 30  # amounts whose size is typical
FEWEST = 100  # rows of a month, below which chance does anything
MOSTLY = 0.05  # share of a table's rows on one identifier, of a hundred or more
CHANCE = 1e-6  # that a month is constant by itself
RESTS, EXPECTED = 5, 20  # days without a row: times those of a weekend, and rows of the usual pace in them


@dataclass(frozen=True)
class Warning:
    """A rule that a table breaks: in how many of its rows, and how it is said."""

    table: str
    rule: str
    rows: int
    of: int
    said: str


class Watch:
    """Looks at the tables of a version in the making, and remembers what to warn of."""

    def __init__(self, con: duckdb.DuckDBPyConnection, book: Rulebook, as_of: date) -> None:
        self.con, self.book, self.as_of = con, book, as_of
        self.found: list[Warning] = []
        self.records: list[list[Any]] = []  # what `digests.ROWS` is of the detail records, month by month

    def look(
        self,
        place: Path,
        filled: dict[str, str],
        seen: dict[str, pd.DataFrame],
        files: dict[int, str],
        told: Callable[[str], list[list[Any]]],
    ) -> None:
        """Look for what is hardly true in the tables of a version as they stand in its folder.

        `seen` has the profile of each table by file, `files` the names of the files by number; `told` asks a query of
        each month of the detail records that is not as it was.
        """
        if records := sorted((place / BY_MONTH).glob("*.parquet")):
            table = schema.table(BY_MONTH)
            relation, months = parquet(records), parquet([place / "customer_month" / "*.parquet"])
            self.rules(BY_MONTH, relation, filled, told)
            by_month = self.profile(table, "$month", "NULL", told)
            self.records = by_month[["rows", "hashes"]].to_numpy(object).tolist()
            self.deliveries(table, by_month, relation, files)
            self.identifiers(table, months, ["customer_id"], "sum(events)")
        for name in filled:
            table = schema.table(name)
            self.rules(name, name, filled)
            self.deliveries(table, seen[name], name, files)
            if seen[name]["rows"].sum() >= FEWEST:
                columns = [c.name for c in table.columns if c.is_identifier and table.key != (c.name,)]
                self.identifiers(table, name, columns)
        if {"bill", "payment"} <= filled.keys():
            paid, billed = (_typical(seen[name].assign(all=0), "all", "amount") for name in ("payment", "bill"))
            for ratio in (paid["size"] / billed["size"]).dropna():
                times = _times(ratio)
                said = say("amount is typically {times} that of a bill: is one in fen (scale = 0.01)?", times=times)
                if not 1 / APART < ratio < APART:
                    of = int(seen["payment"]["rows"].sum())
                    self.warn("payment", "payment.amount.scale", int(paid["rows"].sum()), of, said)

    def rules(
        self, table: str, relation: str, filled: dict[str, str], told: Callable[[str], list[list[Any]]] | None = None
    ) -> None:
        """Count the rows that break each rule of a table, in one reading of it, or as it is told month by month."""
        rules = [r for r in self.book.of(table, WARN, STOP) if r.reads() <= filled.keys()]
        if not rules:
            return
        told = None if any(rule.lookups for rule in rules) else told
        lookups = {lookup.name: lookup for rule in rules for lookup in rule.lookups}
        counts = ", ".join(f"count(*) FILTER ({rule.sql('t', self.as_of)})" for rule in rules)
        joins = " ".join(lookup.join(f"({lookup.sql})", "t") for lookup in lookups.values())
        asked = f"SELECT count(*), {counts} FROM {'$month' if told else relation} AS t {joins}"
        found = told(asked) if told else self.con.execute(asked).fetchall()
        of, *broken = map(sum, zip(*found, strict=True))
        for rule, rows in zip(rules, broken, strict=True):
            if rows:
                self.warn(table, rule.name, rows, of, rule.reason, rule.severity)

    def profile(
        self, table: schema.TableSchema, relation: str, file: str, told: Callable[[str], list[list[Any]]] | None = None
    ) -> pd.DataFrame:
        """Give, by file and month, how many rows there are, and of each column how it is filled; in one reading.

        What is told of months has in `hashes` what makes their digest, too.
        """
        dated = months().get(table.name)
        month = f"date_trunc('month', {dated})" if dated else "NULL"
        at = "VARCHAR" if told else "TIMESTAMP"
        parts = [f'{file} AS "#file"', f"CAST({month} AS {at}) AS month", "count(*) AS rows"]
        parts += [f"{HASHES} AS hashes"] if told else []
        parts += [f"bit_or(1::BIGINT << (day({dated}) - 1)) AS days"] if dated else []
        for c in _plain(table) if dated else ():
            parts.append(f"count({c}) AS {quoted('k:' + c)}")
            parts += [f"CAST({of}({c}) AS VARCHAR) AS {quoted(f'{of}:{c}')}" for of in ("min", "max")]
        for c in _sized(table):
            parts += [f"count(*) FILTER ({c} <> 0) AS {quoted('z:' + c)}"]
            parts += [f"sum(CASE WHEN {c} <> 0 THEN ln(abs({c})) END) AS {quoted('g:' + c)}"]
        by = month if told else "1, 2"  # a text a month, not a record
        asked = f"SELECT {', '.join(parts)} FROM {relation} AS t GROUP BY {by} ORDER BY 1, 2"
        if not told:
            return self.con.execute(asked).df()
        names = [part.rpartition(" AS ")[2].strip('"') for part in parts]
        found = pd.DataFrame(told(asked), columns=names)
        sizes = {name: "float64" for name in names if name.startswith("g:")}
        return found.assign(month=pd.to_datetime(found["month"])).astype(sizes)

    def deliveries(self, table: schema.TableSchema, seen: pd.DataFrame, relation: str, files: dict[int, str]) -> None:
        """Warn of amounts of another size, of months with too few or too many rows, and of columns turned constant."""
        for column in _sized(table):
            self._scale(table.name, column, seen, files)
        if table.name not in months() or seen["month"].isna().all():
            return
        sums = seen.drop(columns="#file").dropna(subset="month").groupby("month")
        rows = sums["rows"].sum()
        if rows.max() >= FEWEST:
            every = pd.date_range(rows.index.min(), rows.index.max(), freq="MS")
            self._month_rows(table.name, rows.reindex(every, fill_value=0))
        if months()[table.name] != "month":
            self._last_days(table.name, rows, sums["days"].agg(np.bitwise_or.reduce))
        for column in _plain(table) if (rows >= FEWEST).sum() > 1 else ():
            filled = sums[f"k:{column}"].sum()
            low, high = sums[f"min:{column}"].min(), sums[f"max:{column}"].max()
            self._constant(table.name, column, rows, filled, low.where(low == high), relation)

    def identifiers(
        self, table: schema.TableSchema, relation: str, columns: Iterable[str], rows: str = "count(*)"
    ) -> None:
        """Warn where many rows stand on one customer, line or number, as they do on a number that fills a gap."""
        for column in columns:
            counted = f"SELECT {rows} AS n FROM {relation} WHERE {column} IS NOT NULL GROUP BY {column}"
            most, of, several = self.con.execute(f"SELECT max(n), sum(n), count(*) FROM ({counted})").fetchall()[0]
            if several and several >= FEWEST and most >= max(FEWEST, MOSTLY * of):
                why = say(
                    "{share} of the rows have one and the same {column}: does it stand for a missing one?",
                    share=Share(most / of, 0),
                    column=column,
                )
                self.warn(table.name, f"{table.name}.{column}.mostly", int(most), int(of), why)

    def _scale(self, table: str, column: str, seen: pd.DataFrame, files: dict[int, str]) -> None:
        if seen[f"z:{column}"].sum() < 2 * FEW:  # there are no two to compare
            return
        rule, unit = f"{table}.{column}.scale", schema.table(table).column(column).unit
        hint = say("is one in fen (scale = 0.01)?") if unit == "currency" else say("is it in {unit}?", unit=Word(unit))
        by_file = _typical(seen, "#file", column)
        for file, size, rows in by_file.itertuples(name=None):
            others = by_file["size"].drop(file)
            if len(others) and size >= APART * others.median():
                said = say(
                    "{column} in {file} is typically {times} that of the other files: {hint}",
                    hint=hint,
                    column=column,
                    file=str(files.get(file, file)),
                    times=_times(size / others.median()),
                )
                self.warn(table, rule, rows, int(by_file["rows"].sum()), said)
                return
        by_month = _typical(seen, "month", column)
        usual, odd = None, {}
        for month, size, rows in by_month.itertuples(name=None):
            if usual and not 1 / APART < size / usual < APART:
                odd[month] = size / usual, rows
            else:
                usual = size
        if odd:
            times = _times(float(np.median([r for r, _ in odd.values()])))
            said = say(
                "{column} of {months} is typically {times} that of the months before: {hint}",
                hint=hint,
                column=column,
                months=_months(list(odd)),
                times=times,
            )
            self.warn(table, rule, sum(n for _, n in odd.values()), int(by_month["rows"].sum()), said)

    def _month_rows(self, table: str, rows: pd.Series) -> None:
        """The first month may begin late, before it stand stray rows alone, and that of as_of is not over."""
        rows = rows[rows.index + pd.offsets.MonthBegin() <= pd.Timestamp(self.as_of)]
        rows = rows[(rows >= rows[rows > 0].median() / ROWS).cummax()]
        around = pd.concat([rows.shift(k) for k in (-2, -1, 1, 2)], axis=1).median(axis=1)
        odd = rows[(around >= FEWEST) & ~rows.between(around / ROWS, around * ROWS, inclusive="neither")]
        odd = odd[odd.index > rows.index.min()] if len(rows) else odd
        for month, number in odd.items():
            said = say(
                "{month} has {n} rows, where the months around have {usual}",
                month=Day(f"{month:%Y-%m}"),
                n=int(number),
                usual=Number(around[month], ",.0f"),
            )
            self.warn(table, f"{table}.month_rows", int(number), int(rows.sum()), said)

    def _last_days(self, table: str, rows: pd.Series, bits: pd.Series) -> None:
        """Days up to as_of without a row, more than a rest and more rows than chance leaves out."""
        there = np.array([f"{m:%Y-%m}-{k + 1:02}" for m, b in bits.items() for k in range(31) if b >> k & 1], "M8[D]")
        rests, gap = np.diff(there).astype(int) - 1, (self.as_of - there[-1].item()).days - 1
        usual = rows.tail(4).median() / (365.25 / 12)
        if len(rests) and gap > RESTS * np.quantile(rests, 0.9, method="higher") and gap * usual >= EXPECTED:
            first, last = there[-1].item() + timedelta(1), self.as_of - timedelta(1)
            said = say(
                "no row from {first} to {last}, where {usual} a day are usual",
                first=first,
                last=last,
                usual=Number(usual, ",.0f"),
            )
            self.warn(table, f"{table}.month_rows", 0, int(rows.sum()), said)

    def _constant(
        self, table: str, column: str, rows: pd.Series, filled: pd.Series, only: pd.Series, relation: str
    ) -> None:
        """A month in which a column has one value alone, or none, after a month in which it had several."""
        for before, month in zip(rows.index, rows.index[1:], strict=False):
            empty = filled[month] == 0
            one = empty or (pd.notna(only[month]) and filled[month] == rows[month])
            few = min(rows[before], rows[month]) < FEWEST
            if few or not one or pd.notna(only[before]) or filled[before] == 0:
                continue
            dated, value = months()[table], "NULL" if empty else literal(only[month])
            alike = f"CAST({column} AS VARCHAR) IS NOT DISTINCT FROM {value}"
            share = self.con.execute(
                f"SELECT avg(CAST({alike} AS INTEGER)) FROM {relation} WHERE date_trunc('month', {dated}) = ?", [before]
            ).fetchall()[0][0]
            if share ** int(rows[month]) < CHANCE:
                about: dict[str, Any] = {"column": column, "month": Day(f"{month:%Y-%m}")}
                gone = say("{column} is missing in all rows from {month} on, not before", **about)
                same = say("{column} is the same in all rows from {month} on, not before", **about)
                said = gone if empty else same
                self.warn(table, f"{table}.{column}.constant", int(rows[month]), int(rows.sum()), said)

    def write(self) -> None:
        """Write down what is to be warned of."""
        rows = '("table" VARCHAR, rule VARCHAR, "rows" BIGINT, "of" BIGINT, said VARCHAR)'
        self.con.execute(f"CREATE TABLE warning {rows}")
        for w in self.found:
            self.con.execute("INSERT INTO warning VALUES (?, ?, ?, ?, ?)", [w.table, w.rule, w.rows, w.of, w.said])

    def warn(self, table: str, rule: str, rows: int, of: int, said: str, severity: str = WARN) -> None:
        """Remember a broken rule.

        Raises
        ------
        WorkbenchError
            If it is one that stops the ingest.
        """
        if (severity := self.book.severity(rule, severity)) == STOP:
            raise WorkbenchError(
                "{table}: {said} ({rows} of {of} rows). Mend the files or the mapping; the rule {rule} stops the "
                "ingest. The version in force is as it was."
            ).of(table, said, rows, of, rule)
        if severity != OFF:
            self.found.append(Warning(table, rule, rows, of, said))


def _plain(table: schema.TableSchema) -> list[str]:
    """Columns that may turn constant: no identifiers, days or maps."""
    plain = (c for c in table.columns if not (c.is_identifier or c.is_map or c.type in ("date", "timestamp")))
    return [c.name for c in plain]


def _sized(table: schema.TableSchema) -> list[str]:
    """Columns with amounts of a unit."""
    return [c.name for c in table.columns if c.type == "double" and c.unit not in ("", "share")]


def _typical(seen: pd.DataFrame, by: str, column: str) -> pd.DataFrame:
    """The geometric mean of what is not 0, by file or month: size, rows; of those with enough rows."""
    sums = seen.groupby(by)[[f"z:{column}", f"g:{column}"]].sum().set_axis(["rows", "logs"], axis=1)
    sums = sums[sums["rows"] >= FEW]
    return pd.DataFrame({"size": np.exp(sums["logs"].astype(float) / sums["rows"]), "rows": sums["rows"].astype(int)})


def _times(ratio: float) -> Message:
    if ratio >= 1:
        return say("{n} times", n=Number(ratio, ",.0f"))
    return say("one {n}th of", n=Number(1 / ratio, ",.0f"))


def _months(found: list[pd.Timestamp]) -> Listed | Message:
    names = [Day(f"{month:%Y-%m}") for month in found]
    few = say("{n} months ({first} to {last})", n=len(names), first=names[0], last=names[-1])
    return Listed(names) if len(names) < 4 else few
