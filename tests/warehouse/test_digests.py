"""A table's digest follows its rows, not their order."""

import json

import duckdb

from workbench.project import READS
from workbench.warehouse.digests import note_reads, write_digests


def _digests(place, *statements):
    place.mkdir()
    with duckdb.connect(str(place / "warehouse.duckdb")) as con:
        con.execute("CREATE TABLE facts (name VARCHAR, value VARCHAR)")
        for statement in statements:
            con.execute(statement)
    write_digests(place)
    return json.loads((place / "tables.json").read_text())


def test_a_digest_follows_the_rows(tmp_path):
    """Order and the version's own facts do not count; a value and a repeated row do."""
    table = "CREATE TABLE bill AS SELECT * FROM (VALUES {}) AS t(id, paid)"
    first = _digests(tmp_path / "a", table.format("(1, 2.5), (2, NULL)"), "INSERT INTO facts VALUES ('version', 'a')")
    same = _digests(tmp_path / "b", table.format("(2, NULL), (1, 2.5)"), "INSERT INTO facts VALUES ('version', 'b')")
    other = _digests(tmp_path / "c", table.format("(1, 2.5), (2, 0.0)"), "INSERT INTO facts VALUES ('as_of', 'c')")
    more = _digests(tmp_path / "d", table.format("(1, 2.5), (2, NULL), (2, NULL)"))
    assert first == same
    assert len({d["bill"] for d in (first, other, more)}) == 3
    assert other["facts"] != first["facts"]


def test_reads_are_noted_when_a_run_wants_them(tmp_path, monkeypatch):
    """Known tables that a query names, and the facts."""
    note_reads("sample", "v1", "SELECT 1 FROM bill", ["bill"])
    monkeypatch.setenv(READS, str(tmp_path / "reads"))
    note_reads(
        "sample", "v1", 'WITH x AS (FROM Bill) SELECT * FROM x JOIN "ticket" USING (id)', ["bill", "ticket", "tick"]
    )
    noted = (tmp_path / "reads").read_text().splitlines()
    assert noted == ["sample\tv1\tfacts", "sample\tv1\tbill", "sample\tv1\tticket"]
