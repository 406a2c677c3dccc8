"""The door of the warehouse: what it gives, in which order, and what it refuses."""

import shutil
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.project import project_root
from workbench.warehouse import connect, open_warehouse, schema
from workbench.warehouse.adhoc import select
from workbench.warehouse.ingest import ingest
from workbench.warehouse.sql import without_bar

MAPPING = """
title = "A shop"
operator = "中国电信"
as_of = 2026-07-01
[[file]]
path = "s.csv"
table = "survey_response"
[file.columns]
response_id = "r"
wave = "w"
operator = { constant = "中国电信" }
service = { constant = "mobile" }
weight = { constant = 1.5 }
items = { Q10 = "a", Q2 = "b" }
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A project with one survey of three interviews."""
    folder = tmp_path_factory.mktemp("项 目")
    (folder / "data" / "mappings").mkdir(parents=True)
    (folder / "data" / "raw" / "shop").mkdir(parents=True)
    (folder / "data" / "mappings" / "shop.toml").write_text(MAPPING, encoding="utf-8")
    (folder / "data" / "raw" / "shop" / "s.csv").write_text("r,w,a,b\n2,A,5,\n1,B,7,8\n3,A,9,10\n")
    ingest("shop", root=folder)
    return folder


def test_warehouse_says_what_it_is(root):
    """Source, operator, currency and as_of come from the mapping; only tables with rows are listed."""
    warehouse = open_warehouse("shop", root=root)
    assert (warehouse.operator, warehouse.currency, warehouse.as_of) == ("中国电信", "yuan", date(2026, 7, 1))
    assert warehouse.tables() == ["survey_response"] and len(warehouse.version) == 12
    assert warehouse.account().iloc[:, :5].values.tolist() == [["s.csv", "survey_response", 3, 3, 0]]


def test_survey_is_wide_ordered_and_keeps_missing_answers(root):
    """One column an item in natural order, one row an interview in order of its number."""
    wide = open_warehouse("shop", root=root).survey()
    base = [
        "response_id",
        "wave",
        "operator",
        "province",
        "service",
        "channel",
        "weight",
        "customer_id",
        "answered_on",
        "request",
    ]
    assert wide.columns.tolist() == [*base, "Q2", "Q10"]
    assert wide["response_id"].tolist() == ["1", "2", "3"]
    assert wide["Q2"].isna().tolist() == [False, True, False] and wide["Q10"].tolist() == [7.0, 5.0, 9.0]
    assert open_warehouse("shop", root=root).survey("A")["response_id"].tolist() == ["2", "3"]


def test_query_takes_parameters_and_sees_all_tables(root):
    """Positions and names both work; tables without rows are there, empty, typed."""
    warehouse = open_warehouse("shop", root=root)
    assert warehouse.query("SELECT ? AS x", [3])["x"].tolist() == [3]
    assert warehouse.query("SELECT $day AS x", {"day": date(2026, 1, 2)})["x"][0] == pd.Timestamp("2026-01-02")
    assert warehouse.query("SELECT count(*) AS n FROM detail_record JOIN bill USING (customer_id)")["n"].tolist() == [0]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO stored.facts VALUES ('a', 'b')",
        "SET enable_external_access = true",
    ],
)
def test_query_can_not_write(root, sql):
    """A query reads this version of this warehouse, and changes nothing."""
    with pytest.raises(WorkbenchError, match=r"^the query failed: Cannot [^\n]*$"):
        open_warehouse("shop", root=root).query(sql)


@pytest.mark.parametrize(
    ("sql", "words"),
    {
        "SELECT * FROM read_csv('/etc/hostname')": "a query reads no file and no network, so not '/etc/hostname'",
        "COPY (SELECT 1) TO '/tmp/x.csv'": "a query reads no file and no network, so not '/tmp/x.csv'",
        "SELECT * FROM no_such_table": "no table 'no_such_table'. See: workbench data describe.",
        "SELECT * FROM custmer": "no table 'custmer'. Did you mean 'customer'?",
        "SELECT provinc FROM customer": "no column 'provinc' in what the query reads. Did you mean 'province'?",
        "SELECT customer.province FROM customer c": "the query reads no table 'customer', or reads it under another",
        "SELECT * FROM activity": "'activity' is a view or feature, no table. Read it with wb.sql",
        "SELEKT 1": 'the query failed: syntax error at or near "SELEKT".',
        " ": "a statement is a text, such as 'SELECT * FROM customer', not ' '.",
        1: "a statement is a text, such as 'SELECT * FROM customer', not 1.",
    }.items(),
)
def test_a_wrong_query_is_refused_in_one_sentence(root, sql, words):
    """By `Warehouse.query` as by `wb.sql`: what is wrong, no text of DuckDB with its arrow below a line."""
    warehouse = open_warehouse("shop", root=root)
    alone = str(sql).startswith(("COPY", "SELECT * FROM activity"))  # `wb.sql` reads views, and names the COPY
    for door in (warehouse.query, *[lambda sql: select(sql, warehouse)] * (not alone)):
        with pytest.raises(WorkbenchError) as said:
            door(sql)
        assert str(said.value).startswith(words) and "\n" not in str(said.value)


def test_unknown_names_are_refused_with_the_nearest(root):
    """Source, table, column, wave and campaign: each is told what there is."""
    warehouse = open_warehouse("shop", root=root)
    for call, words in (
        (lambda: open_warehouse("shpo", root=root), "no source 'shpo'.*Did you mean 'shop'"),
        (lambda: warehouse.table("survey"), "no table 'survey'"),
        (lambda: warehouse.table("customer", ["provinz"]), "Did you mean 'province'"),
        (lambda: warehouse.survey("C"), "no wave 'C'.*'A', 'B'"),
        (lambda: warehouse.campaign("x"), "no campaign_id 'x'"),
    ):
        with pytest.raises(WorkbenchError, match=words):
            call()


def test_source_without_warehouse_is_told_the_command(root):
    """A mapping without a warehouse: the command that makes it is in the message."""
    (root / "data" / "mappings" / "new.toml").write_text(MAPPING, encoding="utf-8")
    with pytest.raises(WorkbenchError, match="Run: workbench data ingest new"):
        open_warehouse("new", root=root)


def test_warehouse_of_another_schema_or_a_damaged_one_is_refused(root, tmp_path):
    """Older tables are not read as if they were today's."""
    shutil.copytree(root, tmp_path / "p")
    place = open_warehouse("shop", root=tmp_path / "p").place
    with duckdb.connect(str(place / "warehouse.duckdb")) as con:
        con.execute("UPDATE facts SET value = '0' WHERE name = 'schema_version'")
    with pytest.raises(WorkbenchError, match=r"has tables of version 0; .* Run: workbench data ingest shop"):
        open_warehouse("shop", root=tmp_path / "p")
    (place / "warehouse.duckdb").write_bytes(b"nonsense")
    with pytest.raises(WorkbenchError, match="can't be read"):
        open_warehouse("shop", root=tmp_path / "p")


def test_a_warehouse_of_the_definition_before_is_read_as_it_is(root, tmp_path):
    """Version 4: what came since is empty and said with the command that reads it; version 3 is to be ingested."""
    shutil.copytree(root, tmp_path / "p")
    place = open_warehouse("shop", root=tmp_path / "p").place
    as_it_is = open_warehouse("shop", root=tmp_path / "p").table("customer")
    connect._opened.cache_clear()  # nobody writes to what this process reads
    with duckdb.connect(str(place / "warehouse.duckdb")) as con:
        for name in ("collection_action", "fraud_case"):
            con.execute(f"DROP TABLE {name}")
        new = {
            "subscription": ["origin_operator", "stated_reason"],
            "ticket": ["queue", "compensation", "compensation_arm"],
            "customer": ["card_key", "phone_key", "address_key", "payer_key", "household_id", "group_id"],
        }
        for table, columns in new.items():
            for column in columns:
                con.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        con.execute("UPDATE facts SET value = '4' WHERE name = 'schema_version'")
    warehouse = open_warehouse("shop", root=tmp_path / "p")
    for name, table in schema.tables().items():
        found = warehouse.query(f"SELECT * FROM {name}")
        assert list(found) == [column.name for column in table.columns]
        assert found[new.get(name, [])].isna().all(axis=None)
    assert warehouse.query("SELECT loss + 1 AS loss FROM fraud_case").empty
    pd.testing.assert_frame_equal(warehouse.table("customer"), as_it_is)
    (note,) = (note for note in warehouse.notes if "came since" in note)
    assert note.startswith("read as an earlier program ingested it: collection_action, fraud_case, customer.card_key")
    assert note.endswith("Run: workbench data ingest shop") and "came since" in str(warehouse.full_account())
    connect._opened.cache_clear()
    with duckdb.connect(str(place / "warehouse.duckdb")) as con:
        con.execute("UPDATE facts SET value = '3' WHERE name = 'schema_version'")
    with pytest.raises(WorkbenchError, match=r"tables of version 3; .* Run: workbench data ingest shop"):
        open_warehouse("shop", root=tmp_path / "p")


def test_bars_are_left_as_they_are_where_there_are_none():
    """In Jupyter without its widgets DuckDB shows none, and refuses whoever says so."""

    class Jupyter:
        bar, told = False, ()

        def execute(self, sql):
            self.told += (sql,)
            assert not sql.startswith("SET"), "required package 'ipywidgets' is missing"
            return self

        def fetchone(self):
            return (self.bar,)

    assert without_bar(con := Jupyter()) is con and len(con.told) == 1
    with duckdb.connect() as con:
        assert without_bar(con).execute("SELECT current_setting('enable_progress_bar')").fetchone() == (False,)


def test_a_version_that_is_gone_is_not_read_from_memory(root, tmp_path):
    """Queries share what is open, see the time in UTC, keep nothing of each other; a removed version is told."""
    shutil.copytree(root, tmp_path / "p")
    warehouse = open_warehouse("shop", root=tmp_path / "p")
    with warehouse.connect() as first, warehouse.connect() as second:
        first.register("mine", pd.DataFrame({"a": [1]}))
        assert "mine" not in second.execute("SHOW TABLES").df()["name"].tolist()
        assert second.execute("SELECT current_setting('TimeZone')").fetchone() == ("UTC",)
        shown = second.execute("SELECT current_setting('enable_progress_bar')").fetchone()
        assert shown == (False,), "a bar of DuckDB's would stand in logs and reports"
    shutil.rmtree(warehouse.place)
    with pytest.raises(WorkbenchError, match="is gone: newer ones took its place"):
        warehouse.tables()


def test_project_root_is_found_upwards_or_by_the_environment(root, tmp_path, monkeypatch):
    """The nearest folder with data/mappings, else WORKBENCH_HOME, else a message that says both."""
    monkeypatch.delenv("WORKBENCH_HOME", raising=False)
    monkeypatch.chdir(root / "data" / "raw")
    assert project_root() == root
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkbenchError, match="set WORKBENCH_HOME"):
        project_root()
    monkeypatch.setenv("WORKBENCH_HOME", str(root))
    assert project_root() == root.resolve()
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    with pytest.raises(WorkbenchError, match="has no data/mappings"):
        project_root()


def test_a_table_can_be_cut_to_a_province(operator):
    """Only rows of the province's customers are given; an unknown province is refused with the nearest."""
    warehouse = open_warehouse("sample", root=operator)
    customers = warehouse.table("customer", ["customer_id", "province"])
    inside = set(customers.loc[customers["province"] == "海南", "customer_id"])
    payments = warehouse.table("payment", ["customer_id"], province="海南")
    assert 0 < len(payments) < len(warehouse.table("payment", ["customer_id"]))
    assert set(payments["customer_id"]) <= inside
    with pytest.raises(WorkbenchError, match="Did you mean '海南'"):
        warehouse.table("payment", province="海南省")
