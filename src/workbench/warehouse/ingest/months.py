"""How do the detail records come to lie by month? Each with its partials, taken over where nothing changed.

What a day brings is a piece of its month, beside those that stand already (`stored`); a version before is asked for
pieces by what they are made of. Pieces are made one where that costs at most twice what came, where there are many, or
when the month is over: as its records are then written anew, those of a million records and more stay as they are.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from workbench.errors import WorkbenchError
from workbench.messages import say
from workbench.warehouse import schema, stored
from workbench.warehouse.features import STORED, feature_file
from workbench.warehouse.ingest import parts
from workbench.warehouse.ingest.parts import BY_MONTH, FOLDER, digest_of, link, read_sealed, state_of, write_sealed
from workbench.warehouse.ingest.rules import following
from workbench.warehouse.sql import literal
from workbench.warehouse.stored import COUNTS, made_one, month_of, parquet, relation

MONTHS = "months.json"
LARGE = 1_000_000  # records a piece, from which those of a month are not made one
MANY, FEW = 32, 4  # pieces of the last month, and of one before it, above which they are made one
NO_CHANCE = 10  # as many records are not the same in two files by chance
DAYS, WHOLE = "customer_day", "customer_month"  # the one counts days of the other, and so is one of the whole month


@dataclass(frozen=True)
class _Piece:
    """Records of a part's file, or a piece of a version before (`state`): what it is `of`, and how many records."""

    file: Path
    of: tuple[str, ...]
    rows: int
    state: list[Any] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)


class Months:
    """Collects the files of each month's records, and writes the months of a version in the folder `place`."""

    def __init__(self, place: Path, before: Iterable[Path]) -> None:
        self._place = place
        self._files: dict[str, dict[Path, str]] = defaultdict(dict)
        self._from: dict[str, str] = {}
        self._accepted: Counter[str] = Counter()
        program = [Path(file).read_text("utf-8") for file in (__file__, stored.__file__)]
        texts = "\n".join([duckdb.__version__, *program, *map(feature_file, STORED)])
        made_by = hashlib.blake2b(texts.encode(), digest_size=8).hexdigest()
        self._made: dict[str, Any] = {"made_by": made_by, "pieces": {}, "twice": {}}
        self._before: dict[tuple[str, str], list[_Piece]] = defaultdict(list)
        self._counted: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._told: dict[Path, dict[str, Any]] = {}
        self._days: list[tuple[Path, list[_Piece]]] = []
        for version in before:
            if (facts := read_sealed(version / FOLDER / MONTHS)) and facts["made_by"] == made_by:
                for name, (of, *known) in facts["pieces"].items():
                    table, _, file = name.partition("/")
                    old = _Piece(version / name, tuple(of), *known)
                    self._before[table, month_of(Path(file))].append(old)
                for month, counted in facts["twice"].items():
                    self._counted[month].append(counted)
        for pieces in self._before.values():
            pieces.sort(key=lambda old: -len(old.of))

    def add(self, files: Iterable[Path], name: str, accepted: int, digests: Mapping[Path, str]) -> None:
        """Add the accepted records of a delivered file, which lie by month: `2026-01.parquet` …"""
        self._accepted[name] += accepted
        for file in files:
            self._files[file.name][file] = digests.get(file) or digest_of(file)
            self._from[str(file)] = name

    def write(self, con: duckdb.DuckDBPyConnection, *, united: bool = False) -> None:
        """Write each month, and what the partials of the features make of it, after some customers were united."""
        for table in (BY_MONTH, *STORED) if self._files else ():
            (self._place / table).mkdir()
        for month, files in sorted(self._files.items()):
            ones = _ones(con, files) if united else {}
            new = [_Piece(file, (digest + ones.get(str(file), ""),), 0) for file, digest in files.items()]
            for table in (BY_MONTH, *STORED):
                pieces = self._planned(table, month, new)
                apart = [f"+{n}of{len(pieces)}" if len(pieces) > 1 else "" for n in range(len(pieces))]
                names = [month.replace(".", f"{piece}.") for piece in apart]
                made = [self._make(con, table, *of) for of in zip(names, pieces, strict=True)]
                con.execute(f"CREATE OR REPLACE TEMP VIEW {table} AS {relation(table, {month: made})}")
                if table == DAYS:
                    self._days = list(zip(made, pieces, strict=True))
            self._made["twice"][month] = self._twice(con, month, files)

    def _planned(self, table: str, month: str, new: list[_Piece]) -> list[list[_Piece]]:
        """Give what each piece of a month is to be made of: those that stand, and the files that came since."""
        left, found = Counter(piece.of[0] for piece in new), list[_Piece]()
        for old in self._before[table, month]:
            if not Counter(old.of) - left and parts.stands(old.file, old.state):
                left -= Counter(old.of)
                found.append(old)
        rest = []
        for piece in new:
            if left[piece.of[0]]:
                left[piece.of[0]] -= 1
                rest.append(replace(piece, rows=pq.read_metadata(piece.file).num_rows))
        if table == WHOLE:
            stand = sorted(part for _, [piece, *more] in self._days if piece.state and not more for part in piece.of)
            goes_on = len(found) == 1 and (not rest or stand == sorted(found[0].of))
            return [[*found, *rest]] if goes_on else [new]
        came = [[piece] for piece in rest] if table == BY_MONTH else [rest] if rest else []
        pieces = [*([old] for old in found), *came]
        small = [several for several in pieces if table != BY_MONTH or _rows(several) < LARGE]
        is_much = 2 * sum(_rows(several) for several in small if not several[0].state) >= sum(map(_rows, small))
        if len(small) > (1 if is_much else MANY if month == max(self._files) else FEW):
            large = [several for several in pieces if several not in small]
            return [*large, [piece for several in small for piece in several]]
        return pieces

    def _make(self, con: duckdb.DuckDBPyConnection, table: str, name: str, several: list[_Piece]) -> Path:
        """Write a piece, or let it stand in this version too."""
        place, known = self._place / table / name, several[0] if len(several) == 1 else None
        old, new = ([p for p in several if bool(p.state) == is_old] for is_old in (True, False))
        state: list[Any] = []
        if known and known.state:
            link(known.file, place)
            state, self._told[place] = known.state, known.told
        elif known and table == BY_MONTH and ":" not in known.of[0]:
            link(known.file, place)
            state = state_of(place, known.of[0])
        else:
            rows = _records(several)
            if table != BY_MONTH:
                asked = [f"FROM {parquet(piece.file for piece in old)}"] if old else []
                if table == WHOLE and old:
                    came = parquet(file for file, [piece, *more] in self._days if more or not piece.state)
                    stand = parquet(file for file, [piece, *more] in self._days if piece.state and not more)
                    con.execute(f"CREATE OR REPLACE TEMP VIEW {DAYS} AS FROM {came}")
                    asked.append(  # a customer's day that stands already is no other day
                        f"SELECT customer_id, nth, -COUNT(*), NULL::DATE, {', '.join('0' for _ in COUNTS)} "
                        f"FROM {came} c SEMI JOIN {stand} s USING (customer_id, day_on) GROUP BY customer_id, nth"
                    )
                elif new and table != WHOLE:
                    con.execute(f"CREATE OR REPLACE TEMP VIEW {BY_MONTH} AS {_records(new)}")
                asked += [feature_file(table)] if new else []
                every = " UNION ALL ".join(f"FROM ({part})" for part in asked)
                rows = made_one(table, f"({every})") if old else asked[0]
            con.execute(f"COPY ({rows}) TO {literal(str(place))} (COMPRESSION zstd)")
            state = state_of(place)
        of = sorted(part for piece in several for part in piece.of)
        self._made["pieces"][f"{table}/{name}"] = [of, _rows(several), state, {}]
        return place

    def seal(self) -> None:
        """Keep for the next version what was made of each month, and what was told of it."""
        write_sealed(self._place / FOLDER / MONTHS, self._made)

    def told(self, con: duckdb.DuckDBPyConnection, sql: str) -> list[list[Any]]:
        """Give the rows that a query gives of each piece of a month (`$month`), asked only where it is new."""
        key, rows = hashlib.blake2b(sql.encode(), digest_size=8).hexdigest(), list[list[Any]]()
        for name, (*_, told) in self._made["pieces"].items():
            place = self._place / name
            if place.parent.name == BY_MONTH:
                found = self._told.get(place, {}).get(key)
                if found is None:
                    asked = con.execute(sql.replace("$month", parquet([place])))
                    found = [list(row) for row in asked.fetchall()]
                told[key] = found
                rows += found
        return rows

    def _twice(self, con: duckdb.DuckDBPyConnection, month: str, files: Mapping[Path, str]) -> dict[str, Any]:
        """How many records of each file stand in another one, too, in every cell; files of other times have none.

        What a version before counted of some of the files stands; what came since is compared alone.
        """
        of = [f"{digest} {self._from[str(file)]}" for file, digest in files.items()]
        counted = [old for old in self._counted[month] if old["of"] == [one for one in of if one in {*old["of"]}]]
        before: dict[str, Any] = max(counted, key=lambda old: len(old["of"]), default={"of": [], "counts": {}})
        counts = Counter(before["counts"])
        new = [file for file, one in zip(files, of, strict=True) if one not in {*before["of"]}]
        if len(near := _of_one_time(con, list(files), new) if new else []) > 1:
            cells = ", ".join(column.name for column in schema.table(BY_MONTH).columns)
            found = con.execute(
                f"WITH r AS (SELECT list_position([{_listed(files)}], filename) AS nth, hash({cells}) AS h, "
                f"filename IN ({_listed(new)}) AS new FROM read_parquet([{_listed(near)}], filename=true)), "
                "d AS (SELECT h, min(nth) AS least, min(nth) FILTER (NOT new) AS was FROM r GROUP BY h "
                "HAVING min(nth) <> max(nth) AND bool_or(new)) "
                "SELECT nth, count(*) FILTER (nth > least) - count(*) FILTER (NOT new AND nth > was) "
                "FROM r JOIN d USING (h) GROUP BY nth"
            ).fetchall()
            for nth, count in found:
                counts[self._from[str(list(files)[nth - 1])]] += count
        return {"of": of, "counts": dict(+counts)}

    def notes(self) -> list[str]:
        """Say of which files records stand in others, too.

        Raises
        ------
        WorkbenchError
            If all records of a file do, and there are several: it is the same delivery in another form.
        """
        counts: Counter[str] = Counter()
        for twice in self._made["twice"].values():
            counts.update(twice["counts"])
        for name, count in counts.items():
            if count == self._accepted[name] and count >= NO_CHANCE:
                raise WorkbenchError(
                    "all {count} {by_month}s of {name} stand in another file, too, and would count twice. Take one "
                    "of the two files out of the raw folder."
                ).of(count, BY_MONTH, name)
        found: list[dict[str, Any]] = [
            {"n": n, "all": self._accepted[name], "name": name} for name, n in sorted(counts.items())
        ]
        return [
            say(
                "{n} of {all} {rows}s of {name} stand in another file, too, and count twice: if it corrects the other "
                "one, put it in its place",
                rows=BY_MONTH,
                **said,
            )
            for said in found
        ]


def _rows(pieces: Iterable[_Piece]) -> int:
    return sum(piece.rows for piece in pieces)


def _records(pieces: Sequence[_Piece]) -> str:
    """The SELECT of the records of pieces that stand, and of files, whose customers may be united with others."""
    apart = [piece.file for piece in pieces if not piece.state and ":" in piece.of[0]]
    plain = [piece.file for piece in pieces if piece.file not in apart]
    selects = [f"FROM {parquet(plain)}"] if plain else []
    selects += [f"FROM {following(parquet(apart), schema.table(BY_MONTH))}"] if apart else []
    return " UNION ALL ".join(selects)


def _ones(con: duckdb.DuckDBPyConnection, files: Iterable[Path]) -> dict[str, str]:
    """Tell apart, by file with such customers, who of them was united with whom."""
    found = con.execute(
        "SELECT filename, ':' || md5(list_sort(list(DISTINCT concat(customer_id, ' ', united_into)))::VARCHAR) "
        f"FROM united JOIN read_parquet([{_listed(files)}], filename=true) USING (customer_id) GROUP BY 1"
    )
    return dict(found.fetchall())


def _of_one_time(con: duckdb.DuckDBPyConnection, files: list[Path], new: Iterable[Path]) -> list[Path]:
    """Give the new files that begin before another one has ended, and these, by what Parquet says of itself."""
    found = con.execute(
        "WITH span AS (SELECT file_name AS f, min(CAST(stats_min_value AS TIMESTAMP)) AS low, "
        f"max(CAST(stats_max_value AS TIMESTAMP)) AS high, f IN ({_listed(new)}) AS new FROM "
        f"parquet_metadata([{_listed(files)}]) WHERE path_in_schema = 'started_at' GROUP BY f) SELECT s.f FROM span s "
        "WHERE EXISTS (FROM span o WHERE o.f <> s.f AND (o.new OR s.new) "
        "AND NOT coalesce(o.low > s.high OR o.high < s.low, false))"
    ).fetchall()
    return [file for file in files if (str(file),) in found]


def _listed(files: Iterable[Path]) -> str:
    return ", ".join(literal(str(file)) for file in files)
