"""Another engine: the same SQL in its words, the same numbers; on our own engine step by step, and on PostgreSQL."""

import json
import logging
import re
import shutil
from datetime import date, datetime
from pathlib import Path

import awkward
import duckdb
import engines
import numpy as np
import pandas as pd
import postgres
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from sqlglot import exp

from workbench.errors import WorkbenchError
from workbench.reports.runs.site import _is_stale
from workbench.reports.runs.targets import score_source
from workbench.sample import write_sample
from workbench.studies.churn import ChurnFormula, churn_formula
from workbench.studies.uplift import Trees, UpliftModel, fit_uplift
from workbench.warehouse import (
    campaign_arms,
    customer_events,
    customer_facts,
    customer_features,
    customer_view,
    open_warehouse,
    schema,
    sqlfiles,
    survey_outcomes,
    tables_behind,
)
from workbench.warehouse.engines import engine_of
from workbench.warehouse.engines.render import rendered
from workbench.warehouse.engines.spark import Spark, _keep_statements_off_the_screen
from workbench.warehouse.features import features_sql
from workbench.warehouse.identities import united_with
from workbench.warehouse.ingest import ingest
from workbench.warehouse.live import _one_sentence, open_live
from workbench.warehouse.views import view_sql

ROOT = Path(__file__).resolve().parents[2]
AS_OF, AWKWARD = date(2026, 7, 1), awkward.LEAP


@pytest.fixture(scope="module")
def sample_warehouse(tmp_path_factory):
    """Three hundred customers of the sample operator."""
    root = tmp_path_factory.mktemp("engines")
    for part in ("mappings", "models"):
        shutil.copytree(ROOT / "data" / part, root / "data" / part)
    write_sample(root / "data/raw/sample", customers=300, mapping=root / "data/mappings/sample.toml")
    ingest("sample", root=root)
    return open_warehouse("sample", root=root)


def parameters(sql):
    """Give each parameter of a query a value of its kind."""
    days = {"as_of": AS_OF, "since": date(2025, 7, 1), "until": AS_OF, "first": date(2026, 1, 1)}
    return {name: days.get(name, 30) for name in re.findall(r"\$(\w+)", sql)}


def step_by_step(con, query):
    """Run the steps of a rendered query one after another."""
    for step in query.steps:
        con.execute(f"CREATE TEMP {'TABLE' if step.kept else 'VIEW'} {step.name} AS {step.select}")
    return con.execute(query.last).df()


def test_names_of_inner_expressions_stand_once():
    """Two files call an inner expression `known`: as Spark sees both at one height, one is called otherwise."""
    sql = (
        "WITH a AS (WITH known AS (SELECT 1 AS x) SELECT * FROM known), "
        "b AS (WITH known AS (SELECT x + 1 AS x FROM a) SELECT k.x FROM known AS k) "
        "SELECT a.x, b.x AS y FROM a CROSS JOIN b"
    )
    query = rendered(sql, (), "duckdb")
    inner = [cte.alias for s in query.steps for cte in sqlglot.parse_one(s.select, read="duckdb").find_all(exp.CTE)]
    assert len(inner) == len(set(inner)) == 2
    with duckdb.connect() as con:
        assert step_by_step(con, query).to_numpy().tolist() == [[1, 2]]


def test_an_inner_name_hides_the_step_of_the_same_name():
    sql = "WITH a AS (SELECT 1 AS x), b AS (WITH a AS (SELECT 5 AS x) SELECT x FROM a) SELECT b.x, a.x AS y FROM b, a"
    with duckdb.connect() as con:
        assert step_by_step(con, rendered(sql, (), "duckdb")).to_numpy().tolist() == [[5, 1]]


def test_a_step_may_read_the_table_whose_name_it_takes():
    chosen = "SELECT * FROM customer WHERE province = $province"
    sql = f"WITH customer AS MATERIALIZED ({chosen}) SELECT count(*) FROM customer"
    with duckdb.connect() as con:
        con.execute("CREATE TABLE customer AS SELECT unnest(['a', 'b', 'b''s']) AS province")
        assert step_by_step(con, rendered(sql, {"province": "b's"}, "duckdb")).iloc[0, 0] == 1


@pytest.mark.parametrize(
    "value",
    [None, True, 3, -3, 2**40, 0.1, -2.5, 1e300, "it's '$x' \\ 北京", AS_OF, datetime(2026, 6, 30, 23, 59, 59, 5)],
)
def test_parameters_are_the_values_given(value):
    """A parameter comes out as it went in, by place and by name, and can't become SQL."""
    with duckdb.connect() as con:
        for sql, given in (("SELECT ? AS v", [value]), ("SELECT $v AS v", {"v": value})):
            query = rendered(sql, given, "duckdb")
            found = con.execute(query.last).fetchall()[0][0]
            assert found == value and (value is None or type(found) is type(value))


def test_what_is_refused():
    for sql, given, said in (
        ("SELECT $x", {}, "asks for \\$x"),
        ("SELECT ?", [], "asks for \\?"),
        ("DELETE FROM customer", (), "no single SELECT"),
        ("SELECT (", (), "can't be read"),
        ("SELECT $x", {"x": object()}, "can't be a parameter"),
    ):
        with pytest.raises(WorkbenchError, match=said):
            rendered(sql, given, "duckdb")
    for url in ("oracle://x", "", "file:///etc/passwd"):
        with pytest.raises(WorkbenchError, match="no engine is called so"):
            engine_of(url)


@pytest.mark.parametrize("dialect", ["postgres", "spark"])
@pytest.mark.parametrize("name", ["features", *sqlfiles.names("views")])
def test_every_composed_query_can_be_said(name, dialect):
    """Each step is one statement there, reads only tables and earlier steps, and no inner name stands twice in it."""
    sql = features_sql() if name == "features" else view_sql(name, frozenset(sqlfiles.names(sqlfiles.LONG)))
    query = rendered(sql, parameters(sql), dialect)
    known = {*schema.tables(), *sqlfiles.names(sqlfiles.LONG), "asked"}
    for text, step in [*((s.select, s.name) for s in query.steps), (query.last, "")]:
        tree = sqlglot.parse_one(text, read=dialect)
        inner = [cte.alias for cte in tree.find_all(exp.CTE)]
        assert len(inner) == len(set(inner)) and not list(tree.find_all(exp.Placeholder))
        assert {t.name for t in tree.find_all(exp.Table)} <= known | set(inner), name
        known.add(step)


class Duck:
    """Our own engine as one elsewhere: without maps, its tables in a schema of another name, in another order."""

    dialect, maps = "duckdb", False

    def __init__(self, warehouse):
        self.con = duckdb.connect()
        self.con.execute("CREATE SCHEMA crm")
        self.views = {}
        with warehouse.connect() as con:
            for name, sql in awkward.copies(maps=False):
                table = con.sql(sql).to_arrow_table()
                self.con.register("given", table.take(np.random.default_rng(0).permutation(len(table))))
                self.con.execute(f"CREATE TABLE crm.{name} AS FROM given")

    def columns(self):
        rows = self.con.execute(
            "SELECT table_name, column_name, lower(data_type) FROM information_schema.columns "
            "WHERE table_schema = 'crm'"
        ).fetchall()
        found = {}
        for table, column, kind in rows:
            found.setdefault(table, {})[column] = kind
        return found

    def column(self, name, kind):
        return f"CAST({name} AS {kind})"

    def full_name(self, table):
        return f"crm.{table}"

    def define(self, views):
        for name, select in views.items():
            self.con.execute(f"CREATE OR REPLACE VIEW {name} AS {select}")

    def run(self, sql, parameters=(), given=None):
        query = rendered(sql, parameters, self.dialect)
        with self.con.cursor() as con:
            for name, frame in (given or {}).items():
                con.register(name, frame)
            for step in query.steps:
                con.execute(f"CREATE OR REPLACE TEMP {'TABLE' if step.kept else 'VIEW'} {step.name} AS {step.select}")
            return con.sql(query.last).to_arrow_table()

    def close(self):
        self.con.close()


def same_answers(here, there):
    """Compare what notebooks read of two warehouses, cell by cell and in order."""
    for read in (
        lambda w: customer_features(w, AS_OF),
        lambda w: customer_features(w, AS_OF, tables=["bills", "arrears"], province="广东"),
        lambda w: customer_view(w, AS_OF),
        lambda w: survey_outcomes(w, "2025"),
        lambda w: w.survey("latest"),
        lambda w: w.table("holding"),
        lambda w: customer_events(w, min(w.table("ticket")["customer_id"]), AS_OF),
        lambda w: customer_facts(w, min(w.table("ticket")["customer_id"]), AS_OF),
        lambda w: tables_behind(w)[["table", "column"]],
        lambda w: (
            campaign_arms(w, "data_upgrade", arm="treatment", as_of=AS_OF, outcome="revenue", randomised=True).members
        ),
    ):
        pd.testing.assert_frame_equal(read(here), read(there), rtol=1e-9)


def test_a_warehouse_elsewhere_gives_the_same(sample_warehouse, monkeypatch, tmp_path):
    """Tables in another order, without maps, behind the interface of an engine: every cell is the same."""
    monkeypatch.setattr("workbench.warehouse.live.engine_of", lambda url, schema_name: Duck(sample_warehouse))
    said = {"title": "elsewhere", "operator": "中国电信", "as_of": AS_OF, "engine": f"duck:{tmp_path}"}
    said |= {"departments": {"bill": "billing"}}
    there = open_live("elsewhere", said, tmp_path)
    assert there.version == open_live("elsewhere", said, tmp_path).version
    assert there.tables() == sample_warehouse.tables() and there.full_account().balanced
    same_answers(sample_warehouse, there)
    delivered = tables_behind(there).set_index("table")["department"]
    assert (delivered["bill"], delivered["payment"]) == ("billing", "payment")
    assert united_with(there, ["c"]) == {}
    with pytest.raises(WorkbenchError, match="needs a warehouse of its own"), there.connect():
        pass


@pytest.fixture(scope="module")
def server():
    """An installed PostgreSQL on a socket of its own; gives its URL."""
    with postgres.server() as url:
        if url is None:
            pytest.skip("no server of PostgreSQL, or no psycopg, is installed")
        yield url


@pytest.fixture(scope="module")
def filled(server, sample_warehouse):
    """The sample on that server: texts of a database sort by its own rules, rows come in no order."""
    with sample_warehouse.connect() as source:
        postgres.fill(server, source, "public")
    return server


def live(url, tmp_path, **more):
    said = {"title": "elsewhere", "operator": "中国电信", "as_of": AS_OF, "engine": url} | more
    return open_live("elsewhere", said, tmp_path)


def test_postgresql_gives_the_same(filled, sample_warehouse, tmp_path):
    there = live(filled, tmp_path)
    assert there.tables() == sample_warehouse.tables()
    same_answers(sample_warehouse, there)


def test_postgresql_loses_its_connection(filled, sample_warehouse, tmp_path):
    """A connection that the server ends is made once more; what stands on the way is gone after each answer."""
    import psycopg

    there = live(filled, tmp_path)
    with psycopg.connect(filled, autocommit=True) as con:
        con.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    assert len(there.query("SELECT * FROM customer")) == len(sample_warehouse.table("customer"))
    left = there.query(
        "SELECT CAST(table_name AS TEXT) AS n FROM information_schema.tables WHERE table_type = 'LOCAL TEMPORARY'"
    )
    assert left["n"].str.startswith("wb_").sum() == 0


def test_postgresql_says_what_is_wrong(filled, tmp_path, monkeypatch):
    """A server that is not there, a password, a schema, a column of another type, a clear number: one sentence each."""
    import psycopg

    monkeypatch.setenv("SECRET_PW", "s3cr3t-and-long")
    with pytest.raises(WorkbenchError, match="can't be read where it stands") as failed:
        live("postgresql://wb:${SECRET_PW}@127.0.0.1:9/none", tmp_path)
    assert "s3cr3t" not in str(failed.value)
    with psycopg.connect(filled, autocommit=True) as con:
        con.execute("CREATE SCHEMA odd; CREATE TABLE odd.customer AS SELECT *, 1 AS more FROM customer")
        con.execute("ALTER TABLE odd.customer ALTER COLUMN joined_on TYPE text USING joined_on::text")
        con.execute("CREATE SCHEMA lacks; CREATE TABLE lacks.customer AS SELECT customer_id, kind FROM customer")
        con.execute("CREATE SCHEMA clear; CREATE TABLE clear.customer AS SELECT * FROM customer")
        con.execute("CREATE TABLE clear.subscription AS SELECT * FROM subscription")
        con.execute("UPDATE clear.subscription SET number_key = '13800138000'")
    for name, said in (
        ("odd", r"customer\.joined_on is text there, where date is wanted"),
        ("lacks", "customer has no column 'province' there"),
        ("clear", r"subscription\.number_key holds numbers of people in clear"),
    ):
        with pytest.raises(WorkbenchError, match=said):
            live(filled, tmp_path, schema=name)
    assert live(filled, tmp_path, schema="nothing").tables() == []


def test_postgresql_wants_another_password(filled, tmp_path, monkeypatch):
    """A password that is wrong is never echoed, nor is the right one."""
    import psycopg

    with psycopg.connect(filled, autocommit=True) as con:
        con.execute("CREATE ROLE locked LOGIN PASSWORD 'right-and-long'")
    monkeypatch.setenv("PW", "wr0ng-and-long")
    with pytest.raises(WorkbenchError, match=r"where it stands.*password authentication failed") as failed:
        live(filled.replace("wb@", "locked:${PW}@"), tmp_path)
    assert "wr0ng" not in str(failed.value) and "right" not in str(failed.value).replace(
        "are the credentials right", ""
    )


def test_postgresql_ends_in_the_middle(filled, tmp_path):
    """A query whose connection ends is run once more, then said to fail in one sentence; the next one works."""
    there = live(filled, tmp_path)
    with pytest.raises(WorkbenchError, match="can't be read where it stands: terminating connection"):
        there.query("WITH a AS (SELECT pg_terminate_backend(pg_backend_pid()) AS gone) SELECT gone FROM a")
    assert len(there.query("SELECT * FROM customer")) == 300


def test_postgresql_shows_what_a_role_may_read(filled, sample_warehouse, tmp_path):
    """Views that hold their rows are read; a table closed to the role is named, a column closed to it is empty."""
    import psycopg

    with psycopg.connect(filled, autocommit=True) as con:
        con.execute("CREATE SCHEMA part; CREATE MATERIALIZED VIEW part.customer AS SELECT * FROM public.customer")
        con.execute("CREATE TABLE part.bill AS SELECT * FROM public.bill")
        con.execute("CREATE ROLE few LOGIN; GRANT USAGE ON SCHEMA part TO few")
        con.execute("GRANT SELECT ON part.customer TO few")
        with pytest.raises(WorkbenchError, match="can't be read where it stands: permission denied for table bill"):
            live(filled.replace("wb@", "few@"), tmp_path, schema="part")
        con.execute("GRANT SELECT (bill_id, customer_id, amount) ON part.bill TO few")
        with pytest.raises(WorkbenchError, match="bill has no column 'month' there"):
            live(filled.replace("wb@", "few@"), tmp_path, schema="part", title="anew")
        con.execute("CREATE SCHEMA less; CREATE VIEW less.customer AS SELECT * FROM public.customer")
        given = [c for c in sample_warehouse.table("customer") if c != "birth_year"]
        con.execute(f"GRANT USAGE ON SCHEMA less TO few; GRANT SELECT ({', '.join(given)}) ON less.customer TO few")
    there = live(filled.replace("wb@", "few@"), tmp_path, schema="less")
    found = there.table("customer")
    assert there.tables() == ["customer"] and found["birth_year"].isna().all()
    pd.testing.assert_frame_equal(sample_warehouse.table("customer")[given], found[given])


def test_a_name_in_other_letters_is_not_taken_for_nothing(filled, tmp_path):
    """Bills that stand there as "Bill", or an amount as "Amount", would count as no bills: both are named."""
    import psycopg

    with psycopg.connect(filled, autocommit=True) as con:
        con.execute('CREATE SCHEMA big; CREATE TABLE big."Bill" AS SELECT * FROM public.bill')
        con.execute("CREATE SCHEMA tall; CREATE TABLE tall.customer AS SELECT * FROM public.customer")
        con.execute('ALTER TABLE tall.customer RENAME birth_year TO "Birth_Year"')
    for name, said in (("big", "'bill' is 'Bill' there"), ("tall", "'birth_year' is 'Birth_Year' there")):
        with pytest.raises(WorkbenchError, match=said):
            live(filled, tmp_path, schema=name)


@pytest.mark.parametrize("more", [0, 1])
def test_postgresql_is_lost_while_a_table_is_written(filled, tmp_path, more):
    """Before the next batch, or before the end: one sentence, and no table, whole or half, is left."""
    import psycopg

    there = live(filled, tmp_path)
    rows = pa.table({"customer_id": ["a"], "score": [0.5]})
    with psycopg.connect(filled, autocommit=True) as con:
        with pytest.raises(WorkbenchError, match=r"table gone can't be written: .*terminat") as said:
            with there.engine.table("gone") as write:
                write(rows)
                con.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
                for _ in range(more):
                    write(rows)
        assert "\n" not in str(said.value)
        assert con.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'gone'").fetchone()[0] == 0


def test_a_table_on_a_server_that_is_away(tmp_path):
    """One sentence, without the password."""
    away = engine_of("postgresql://wb:s3cr3t-and-long@127.0.0.1:9/none")
    with pytest.raises(WorkbenchError, match="table t can't be written: connection failed") as said, away.table("t"):
        pass
    assert "s3cr3t" not in str(said.value)


def test_a_query_of_a_user_means_the_same_there(filled, models, tmp_path):
    """Months between days are counted otherwise on PostgreSQL: refused with the line before anything is asked."""
    query = "SELECT customer_id, kind,\n  date_diff('month', joined_on, $as_of) AS tenure_months\nFROM customer"
    with pytest.raises(WorkbenchError, match=r"line 2 of the query: DATE_DIFF\('MONTH'"):
        score_source(models[1], live(filled, tmp_path), tmp_path / "no.parquet", query=query, **HOW)


def test_postgresql_has_settings_and_names_of_its_own(filled, sample_warehouse, tmp_path):
    """A database in another zone, and tables of the same name in other schemas and other letters, change nothing."""
    import psycopg

    with psycopg.connect(filled, autocommit=True) as con:
        con.execute("CREATE ROLE own LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO own")
        con.execute("ALTER ROLE own SET timezone = 'Asia/Shanghai'; ALTER ROLE own SET search_path = other, public")
        con.execute('CREATE SCHEMA other; CREATE TABLE other.customer (a int); CREATE TABLE "Customer" (b int)')
    there = live(filled.replace("wb@", "own@"), tmp_path)
    pd.testing.assert_frame_equal(sample_warehouse.table("customer"), there.table("customer"))
    zone = there.query("SELECT current_setting('timezone') AS zone, current_setting('jit') AS jit")
    assert zone.iloc[0].tolist() == ["UTC", "off"]


def test_spark_is_told_nothing_of_what_is_kept():
    """Spark has no word for an expression that is kept, nor for one that is not: within a query it goes unsaid."""
    sql = "SELECT a.x FROM (WITH t AS NOT MATERIALIZED (SELECT 1 AS x) SELECT x FROM t) AS a CROSS JOIN b"
    assert "MATERIALIZED" not in rendered(sql, (), "spark").last
    assert "NOT MATERIALIZED" in rendered(sql, (), "postgres").last


def test_spark_counts_the_seconds_that_began():
    """From a tenth of a second before the minute to a tenth after, our engine counts 1 second, Spark by itself 0."""
    assert "DATE_TRUNC('SECOND', a)" in rendered("SELECT date_diff('second', a, b) AS s FROM t", (), "spark").last


def test_what_py4j_logs_of_a_dead_spark_is_no_news():
    """It writes a traceback by the root logger, where our one sentence is enough; what others log there is shown."""
    _keep_statements_off_the_screen()
    for path in ("/lib/py4j/java_gateway.py", "/lib/others.py"):
        record = logging.makeLogRecord({"pathname": path, "msg": f"said by {path}", "levelno": logging.ERROR})
        assert bool(logging.getLogger().filter(record)) == ("py4j" not in path)


def test_what_java_says_is_said():
    """The first line of such an error names what was called, and the second says why."""
    said = (
        "An error occurred while calling None.SparkSession.\n: java.lang.IllegalStateException: it has stopped.\n\tat x"
    )
    with pytest.raises(
        WorkbenchError, match=r"'lake' can't be read where it stands: java\.lang\S+: it has stopped\. Is"
    ):
        with _one_sentence("lake", ()):
            raise RuntimeError(said)


def test_a_dead_spark_is_let_go_without_a_word():
    """At the end of a process whose Spark has died there is nothing to stop: no traceback."""

    class Dead:
        def stop(self):
            raise ConnectionRefusedError(111, "Connection refused")

    engine = Spark("local[1]")
    engine._session, engine._began = Dead(), True
    engine.close()
    assert engine._session is None


@pytest.mark.prove
def test_spark_gives_the_same(sample_warehouse, models, tmp_path, capfd):
    """A local session over Parquet files, maps among them; an error is one sentence, and nothing more is printed."""
    pytest.importorskip("pyspark", reason="pyspark is not installed")
    if not shutil.which("java"):
        pytest.skip("no Java is installed")
    lake = tmp_path / "lake"
    lake.mkdir()
    with sample_warehouse.connect() as con:
        for name in schema.tables():
            pq.write_table(
                con.sql(f"SELECT * FROM {name} ORDER BY random()").to_arrow_table(), lake / f"{name}.parquet"
            )
    there = live("local[2]", tmp_path, schema=str(lake))
    try:
        assert there.tables() == sample_warehouse.tables()
        same_answers(sample_warehouse, there)
        same_scores(sample_warehouse, there, models, tmp_path)
        capfd.readouterr()
        with pytest.raises(WorkbenchError, match="can't be read where it stands") as failed:
            there.query("SELECT nothing_called_so FROM customer")
        assert "\n" not in str(failed.value) and "nothing_called_so" not in "".join(capfd.readouterr())
    finally:
        there.engine.close()


@pytest.mark.prove
def test_spark_has_a_session_of_its_own(tmp_path, monkeypatch):
    """Beside a session of somebody else, two sources: views and settings stay apart; a table is whole or absent."""
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
    if not shutil.which("java"):
        pytest.skip("no Java is installed")
    monkeypatch.chdir(tmp_path)
    builder = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    for name, value in {
        "spark.sql.catalogImplementation": "hive",
        "spark.sql.warehouse.dir": str(tmp_path / "tables"),
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={tmp_path}/meta;create=true",
    }.items():
        builder = builder.config(name, value)
    others = builder.getOrCreate()
    try:
        others.conf.set("spark.sql.session.timeZone", "Asia/Shanghai")
        others.conf.set("spark.sql.ansi.enabled", "false")
        others.range(7).createOrReplaceTempView("customer")
        one, other = (engine_of("local[1]", str(tmp_path / f"lake{n}")) for n in (3, 1))
        for n, engine in ((3, one), (1, other)):
            (tmp_path / f"lake{n}").mkdir()
            pq.write_table(pa.table({"Customer_ID": list(map(str, range(n)))}), tmp_path / f"lake{n}/customer.parquet")
            assert engine.columns() == {"customer": {"customer_id": "string"}}
            engine.define({"customer": f"SELECT customer_id FROM {engine.full_name('customer')}"})
        count = "SELECT count(*) AS n FROM customer"
        assert [e.run(count).to_pylist()[0]["n"] for e in (one, other, one)] == [3, 1, 3]
        assert others.sql(count).collect()[0].n == 7
        with pytest.raises(Exception, match="CAST_INVALID_INPUT"):
            one.run("SELECT CAST(customer_id || 'x' AS DOUBLE) AS y FROM customer")
        assert others.conf.get("spark.sql.session.timeZone") == "Asia/Shanghai"
        with pytest.raises(WorkbenchError, match="needs a catalog that stays"), one.table("t"):
            pass
        catalog, rows = engine_of("local[1]", "default"), pa.table({"customer_id": ["省'", "b"], "score": [0.5, 1.5]})
        with catalog.table("scored") as write:
            write(rows)
            write(rows.slice(0, 1))
        found = catalog.run("SELECT * FROM default.scored ORDER BY score, customer_id").to_pydict()
        assert found == {"customer_id": ["省'", "省'", "b"], "score": [0.5, 0.5, 1.5]}
        with (
            pytest.raises(WorkbenchError, match="scored can't be written: it is there already"),
            catalog.table("scored"),
        ):
            pass
        with pytest.raises(ZeroDivisionError), catalog.table("half") as write:
            write(rows)
            raise ZeroDivisionError
        for engine in (one, other, catalog):
            engine.close()
        assert [row.tableName for row in others.sql("SHOW TABLES IN default").collect() if not row.isTemporary] == [
            "scored"
        ]
    finally:
        others.stop()


def test_an_engine_that_is_away_stops_no_other_report(tmp_path):
    """Whether the data of its reports changed is not known, which the page of all reports can live with."""
    (tmp_path / "data/mappings").mkdir(parents=True)
    away = 'engine = "postgresql://wb@127.0.0.1:9/none"\nas_of = 2026-07-01\n'
    (tmp_path / "data/mappings/away.toml").write_text(away)
    assert not _is_stale({"parameters": [{"name": "source", "value": "away"}], "data_version": "x"}, tmp_path)


def test_a_mapping_says_where_a_source_stands_once(tmp_path):
    """Engine and files, a key of ingest, no day, a clear password: one sentence each; and nothing is ingested."""
    good = {"engine": "local[1]", "as_of": AS_OF}
    for said, why in (
        ({**good, "file": []}, r"has engine and \[\[file\]\]"),
        ({**good, "skip": []}, "unknown key 'skip'"),
        ({"engine": "local[1]"}, "no as_of date"),
        ({**good, "departments": {"bils": "billing"}}, r"\[departments\] has an unknown key 'bils'.*'bill'"),
        ({**good, "departments": ["billing"]}, "departments names one by table"),
        ({**good, "engine": "postgresql://wb:clear@host/db"}, "clear password"),
        ({**good, "engine": "mysql://host/db"}, "no engine is called so"),
    ):
        with pytest.raises(WorkbenchError, match=why):
            open_live("far", said, tmp_path)
    (tmp_path / "data/mappings").mkdir(parents=True)
    (tmp_path / "data/mappings/far.toml").write_text('engine = "local[1]"\nas_of = 2026-07-01\n')
    with pytest.raises(WorkbenchError, match="nothing is to be ingested"):
        ingest("far", root=tmp_path)


def test_postgresql_sorts_texts_by_code_point(filled, tmp_path):
    """A database whose own order is that of a language: here it is that of the code points, as on any engine."""
    import psycopg

    names = ["b", "A", "_", "a", "10", "9", "省", "安"]
    with psycopg.connect(filled, autocommit=True) as con:
        con.execute("CREATE SCHEMA sorted; CREATE TABLE sorted.customer AS SELECT * FROM customer LIMIT 0")
        for name in names:
            con.execute("INSERT INTO sorted.customer SELECT * FROM customer LIMIT 1")
            con.execute("UPDATE sorted.customer SET customer_id = %s WHERE customer_id <> ALL(%s)", [name, names])
        own = [n for (n,) in con.execute("SELECT customer_id FROM sorted.customer ORDER BY customer_id").fetchall()]
    found = live(filled, tmp_path, schema="sorted").query("SELECT customer_id FROM customer ORDER BY customer_id")
    assert found["customer_id"].tolist() == sorted(names) != own


@pytest.fixture(scope="module")
def awkward_tables(tmp_path_factory):
    """Tables of every awkward kind, and what our own engine answers of them."""
    folder = engines.laid(tmp_path_factory.mktemp("awkward"))
    con = engines.opened(folder, "full")
    return folder, engines.answers(engines.Duck(con), con, [AWKWARD])


def test_no_answer_depends_on_the_order_of_rows(awkward_tables):
    """Every file gives the same rows at the same places from tables in another order: its key is complete."""
    folder, ours = awkward_tables
    con = engines.opened(folder, "full", shuffled=1)
    theirs = engines.answers(engines.Duck(con), con, [AWKWARD])
    assert not {name: said for name in ours if (said := engines.difference(ours[name], theirs[name]))}
    assert len(ours) > len(engines.FILES) and sum(len(frame) > 0 for frame in ours.values()) > 0.9 * len(ours)


@pytest.mark.prove
@pytest.mark.parametrize("engine", ["postgres", "spark"])
def test_every_file_says_the_same(engine, awkward_tables, tmp_path):
    """The files one by one on another engine; tests/reference/engines.py does it for more versions."""
    folder, ours = awkward_tables
    found = engines.asked_apart(engine, "", folder, tmp_path / "found.pickle")
    if found is None:
        pytest.skip(f"{engine} is not here")
    theirs = found[1]["full"]
    assert not {name: said for name in ours if (said := engines.difference(ours[name], theirs[name]))}


@pytest.fixture(scope="module")
def models(sample_warehouse, tmp_path_factory):
    """A churn formula and an uplift model of features, saved; what they say of the customers is of no matter here."""
    features = ["kind", "tenure_months", "monetary", "recency_days", "arrears_days"]
    table = customer_features(sample_warehouse, AS_OF, tables=["activity", "bills", "arrears"])
    table = pd.concat([table.assign(customer_id=table["customer_id"] + str(k)) for k in range(4)], ignore_index=True)
    rng = np.random.default_rng(3)
    risk = table["monetary"].fillna(0).rank(pct=True) * (table["tenure_months"] > 20)
    table = table.assign(left=rng.random(len(table)) < 0.2 + 0.5 * risk, t=rng.permutation(len(table)) % 2)
    table["y"] = rng.gamma(2, 1, len(table)) + 3 * table["t"] * (table["monetary"] > table["monetary"].median())
    place = tmp_path_factory.mktemp("models")
    formula = churn_formula(table, features=features, month=None, rival="none", segments=0)
    how = {"outcome": "y", "treatment": "t", "features": features, "margin": 1.0, "contact_cost": 0.5}
    return (
        formula.save(place / "churn.toml"),
        fit_uplift(table, **how, trees=Trees(rounds=20, rate=0.2)).save(place / "up.json"),
    )


HOW = {"as_of": AS_OF, "campaign": "october", "key": "k" * 16, "batch": 70}


def same_scores(here, there, models, place):
    """Every customer in the same order, with the same score, choice and draw, from both warehouses."""
    for model in models:
        files = [place / f"{model.stem}.{name}.parquet" for name in ("here", "there")]
        made = [score_source(model, w, f, **HOW) for w, f in zip((here, there), files, strict=True)]
        one, other = map(pd.read_parquet, files)
        assert len(one) > 200 and len(pq.read_metadata(files[0]).schema) in (2, 5)
        pd.testing.assert_frame_equal(one, other, rtol=1e-6, atol=1e-9)
        assert made[0].said == made[1].said


def test_scores_of_our_own_warehouse_are_those_of_the_library(sample_warehouse, models, tmp_path):
    """The SQL of a formula against its own arithmetic, an uplift model against its prediction; also by two workers."""
    frame = customer_features(sample_warehouse, AS_OF)
    score_source(models[0], sample_warehouse, tmp_path / "c.csv", **HOW)
    found = pd.read_csv(tmp_path / "c.csv", dtype={"customer_id": "str"})
    assert found["customer_id"].tolist() == frame["customer_id"].tolist()
    np.testing.assert_allclose(found["churn"], ChurnFormula.load(models[0]).probability(frame), rtol=1e-9)
    for workers in (1, 2):
        score_source(models[1], sample_warehouse, tmp_path / f"{workers}.parquet", workers=workers, **HOW)
    one = pd.read_parquet(tmp_path / "1.parquet")
    np.testing.assert_allclose(one["uplift"], UpliftModel.load(models[1]).predict(frame), rtol=1e-12)
    pd.testing.assert_frame_equal(one, pd.read_parquet(tmp_path / "2.parquet"), check_exact=True)
    query = "WITH few AS (SELECT * FROM customer WHERE joined_on < $as_of) SELECT customer_id, 'x' AS kind FROM few;"
    with pytest.raises(WorkbenchError, match=r"no column .recency_days. in what the query reads"):
        score_source(models[1], sample_warehouse, tmp_path / "q.parquet", query=query, **HOW)
    assert not (tmp_path / "q.parquet").exists()


def test_a_table_without_a_row_is_named_where_its_features_are_scored(models, sample_warehouse, tmp_path, monkeypatch):
    """A source that delivers no bills gives everybody the features of nobody billed: that is said beside the scores."""
    assert "no row of" not in score_source(models[0], sample_warehouse, tmp_path / "a.parquet", **HOW).said
    query = type(sample_warehouse).query
    none = pd.DataFrame({"one": []})
    monkeypatch.setattr(
        type(sample_warehouse),
        "query",
        lambda self, sql, *given, **more: none if " FROM bill LIMIT" in sql else query(self, sql, *given, **more),
    )
    said = score_source(models[0], sample_warehouse, tmp_path / "b.parquet", **HOW).said
    assert said.endswith("The source has no row of bills: what the model reads there counts as nothing.")
    assert said.said("zh").endswith("数据来源中没有账单的记录：模型从中读取的内容按“没有”计。")


def test_postgresql_scores_where_the_rows_are(filled, sample_warehouse, models, tmp_path):
    same_scores(sample_warehouse, live(filled, tmp_path), models, tmp_path)


def test_postgresql_gives_rows_as_they_are(filled, tmp_path):
    """What a stream gives is what a query gives, cell by cell, and no batch is longer than asked."""
    there = live(filled, tmp_path)
    sql = (
        "SELECT n, CASE WHEN n % 3 = 0 THEN NULL WHEN n % 3 = 1 THEN '' ELSE 'a \"\", ' || chr(10) || '省\\N' END AS t,"
        " n % 2 = 0 AS b, n / 7 AS d, CAST('2024-02-29' AS DATE) AS o, CAST('2026-06-30 23:59:59.5' AS TIMESTAMP) AS m "
        "FROM (SELECT CAST(ROW_NUMBER() OVER (ORDER BY customer_id) AS BIGINT) AS n FROM customer) AS c ORDER BY n"
    )
    batches = list(there.stream(sql, batch=64))
    assert {b.num_rows for b in batches[:-1]} == {64} and 0 < batches[-1].num_rows <= 64
    pd.testing.assert_frame_equal(pa.Table.from_batches(batches).to_pandas(), there.engine.run(sql).to_pandas())
    assert list(there.stream("SELECT customer_id FROM customer WHERE 1 = 0", batch=9)) == []
    next(stream := there.stream(sql, batch=5))
    stream.close()  # nobody wants the rest: the connection serves the next
    assert len(there.query("SELECT customer_id FROM customer")) == sum(b.num_rows for b in batches)


def test_postgresql_takes_scores_only_into_a_table_that_is_named(filled, sample_warehouse, models, tmp_path):
    """A new table, whole; one that stands, or that the role may not make, is refused and nothing is left."""
    import psycopg

    with psycopg.connect(filled, autocommit=True) as con:
        before = con.execute("SELECT count(*) FROM pg_tables").fetchall()
        there = live(filled, tmp_path)
        score_source(models[1], there, tmp_path / "u.parquet", **HOW)
        assert con.execute("SELECT count(*) FROM pg_tables").fetchall() == before
        made = score_source(models[1], there, tmp_path / "no.parquet", table="scored", **HOW)
        rows = con.execute('SELECT * FROM scored ORDER BY customer_id COLLATE "C"').fetchall()
        assert made.path == "scored" and not (tmp_path / "no.parquet").exists()
        one = pd.read_parquet(tmp_path / "u.parquet")
        pd.testing.assert_frame_equal(pd.DataFrame(rows, columns=one.columns), one, check_dtype=False, rtol=1e-12)
        with pytest.raises(WorkbenchError, match='table scored can\'t be written: relation "scored" already exists'):
            score_source(models[1], there, tmp_path / "no.parquet", table="scored", **HOW)
        con.execute(
            "CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader; REVOKE CREATE ON SCHEMA public FROM PUBLIC"
        )
        reader = live(filled.replace("wb@", "reader@"), tmp_path)
        with pytest.raises(WorkbenchError, match="table more can't be written: permission denied for schema public"):
            score_source(models[1], reader, tmp_path / "no.parquet", table="more", **HOW)
        score_source(models[0], reader, tmp_path / "read.parquet", **HOW)
        twice = "SELECT c.* FROM (SELECT customer_id, kind, 1 AS tenure_months, 1 AS monetary, 1 AS recency_days, "
        twice += "1 AS arrears_days FROM customer) AS c CROSS JOIN (SELECT 1 AS x UNION ALL SELECT 2 AS x) AS y"
        with pytest.raises(WorkbenchError, match="again: keep one row a member"):
            score_source(models[1], there, tmp_path / "no.parquet", table="half", query=twice, **HOW)
        con.execute("DROP TABLE scored")
        assert con.execute("SELECT count(*) FROM pg_tables").fetchall() == before
    assert sorted(p.name for p in tmp_path.glob("*.parquet")) == ["read.parquet", "u.parquet"]


def test_scores_have_one_place(sample_warehouse, models, tmp_path):
    """A table where there is no PostgreSQL, and a model of what no feature is."""
    with pytest.raises(WorkbenchError, match="where no table is written"):
        score_source(models[1], sample_warehouse, tmp_path / "u.parquet", table="scored", **HOW)
    text = models[1].read_text("utf-8").replace("monetary", "hat_size")
    content = json.loads(text)
    odd = tmp_path / "odd.json"
    model = UpliftModel._restored({k: v for k, v in content.items() if k not in ("format", "version")})
    model.save(odd)
    with pytest.raises(WorkbenchError, match="takes hat_size, which no feature is"):
        score_source(odd, sample_warehouse, tmp_path / "u.parquet", **HOW)
    assert [p.name for p in tmp_path.iterdir()] == ["odd.json"]
