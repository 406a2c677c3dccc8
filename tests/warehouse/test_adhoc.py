"""An analyst's own SQL: it reads what has a name, and can do no harm, whatever it tries."""

import stat

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import workbench as wb
from workbench import cli
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.project import READS
from workbench.warehouse import adhoc, open_warehouse, sandbox
from workbench.warehouse.ingest import ingest

MAPPING = """
as_of = 2026-07-01
[[file]]
path = "customers.csv"
table = "customer"
[file.columns]
customer_id = "id"
kind = { constant = "person" }
province = "province"
joined_on = { constant = "2020-01-01" }
[[file]]
path = "lines.csv"
table = "subscription"
[file.columns]
subscription_id = "line"
customer_id = "id"
service = { constant = "mobile" }
activated_on = { constant = "2020-01-01" }
[[file]]
path = "use.csv"
table = "detail_record"
[file.columns]
customer_id = "id"
subscription_id = "line"
started_at = "at"
kind = { constant = "call" }
zone = { constant = "local" }
duration_s = "seconds"
charge = { constant = "0" }
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A project with three customers and four detail records in two months."""
    root = tmp_path_factory.mktemp("自 问")
    raw = root / "data" / "raw" / "shop"
    (root / "data" / "mappings").mkdir(parents=True)
    raw.mkdir(parents=True)
    (root / "data" / "mappings" / "shop.toml").write_text(MAPPING, encoding="utf-8")
    (raw / "customers.csv").write_text("id,province\nc1,北京\nc2,<b>河南</b>\nc3,北京\n", encoding="utf-8")
    (raw / "lines.csv").write_text("id,line\nc1,s1\nc2,s2\nc3,s3\n")
    days = ("2026-03-05", "2026-06-28", "2026-06-29", "2026-06-30")
    rows = [f"c{1 + n % 2},s{1 + n % 2},{day} 10:00:00,{60 * (n + 1)}\n" for n, day in enumerate(days)]
    (raw / "use.csv").write_text("id,line,at,seconds\n" + "".join(rows))
    ingest("shop", root=root)
    return root


@pytest.fixture
def ask(root, tmp_path):
    """Ask in this process, without its bounds: what DuckDB itself allows."""

    def ask(statement, limit=None, **parameters):
        place = open_warehouse("shop", root=root).place
        found = sandbox.answer(tmp_path, place, statement, {"as_of": "2026-07-01"} | parameters, limit)
        with pa.OSFile(str(tmp_path / sandbox.RESULT)) as file:
            return adhoc.Selection(pa.ipc.open_file(file).read_all(), found["more"])

    return ask


def test_an_answer_is_a_frame(root, monkeypatch):
    """The door gives the rows with the types of a query, and the version's tables by name, the detail records too."""
    monkeypatch.setenv("WORKBENCH_HOME", str(root))
    asked = (
        "SELECT customer_id, sum(duration_s) AS s, min(started_at) AS first FROM detail_record GROUP BY 1 ORDER BY 1"
    )
    found = wb.sql(asked, source="shop")
    pd.testing.assert_frame_equal(found, open_warehouse("shop", root=root).query(asked))
    assert found["s"].tolist() == [60.0 + 180.0, 120.0 + 240.0]


@pytest.mark.parametrize(
    ("error", "words"),
    [("OSError: [Errno 28] No space left on device", "No space left on device"), ("", "or more room on the disk")],
)
def test_an_answer_that_a_full_disk_cut_off_is_one_sentence(tmp_path, monkeypatch, error, words):
    (tmp_path / adhoc.ANSWER).write_text("")
    monkeypatch.setattr(
        adhoc.subprocess, "run", lambda *_, **__: adhoc.subprocess.CompletedProcess([], 1, b"", error.encode())
    )
    with pytest.raises(WorkbenchError, match=words):
        adhoc.ask({"seconds": 1}, tmp_path)


TABLE = pd.DataFrame({"a": [1, 2]})
NO_NAMES = [None, 1, 1.5, True, b"shop", TABLE, TABLE["a"], [], ["shop"], {}]


def said(call):
    """Give the sentence of a refusal."""
    with pytest.raises(WorkbenchError) as refused:
        call()
    assert "\n" not in str(refused.value).strip()
    return str(refused.value)


@pytest.mark.parametrize("given", NO_NAMES, ids=lambda given: type(given).__name__)
def test_what_is_no_name_is_refused_at_every_door(given, root):
    """By its kind, in one sentence; a table in place of a name raises no error of Python."""
    here, kind = open_warehouse("shop", root=root), type(given).__name__
    source = f"the source is named by a text, not by a {kind}."
    assert said(lambda: wb.open(given, root=root)) == said(lambda: wb.ingest(given, root=root)) == source
    assert said(lambda: wb.sql("SELECT 1", source=given, root=root)) == source
    assert said(lambda: here.table(given)) == f"the table is named by a text, not by a {kind}."
    no_province = f"the province is named by a text, not by a {kind}."
    assert said(lambda: wb.features(here, "2026-07-01", province=given)) == no_province
    assert said(lambda: wb.customer_view(here, "2026-07-01", province=given)) == no_province
    asked = said(lambda: wb.arms(here, given, arm="a", as_of="2026-07-01"))
    assert asked == f"the campaign is named by a text, not by a {kind}."
    asked = said(lambda: wb.ask(given))
    assert asked == f"ask takes a function and its arguments, as ask(rank, survey), not a {kind}."


@pytest.mark.parametrize("given", [1, True, b"x", 2.5, object()], ids=lambda given: type(given).__name__)
def test_what_is_no_list_no_path_and_no_mapping_is_refused(given, root):
    """One name may stand for a list of one."""
    here = open_warehouse("shop", root=root)
    for name, call in {
        "tables": lambda: wb.features(here, "2026-07-01", tables=given),
        "items": lambda: wb.customer_view(here, "2026-07-01", items=given),
        "columns": lambda: here.table("customer", given),
    }.items():
        assert said(call) == f"{name} is a name or a list of names, not {given!r}."
    assert here.table("customer", "kind").columns.tolist() == ["kind"]
    for call in (lambda: wb.open(root=given), lambda: wb.ingest("shop", root=given), lambda: wb.sql("x", root=given)):
        assert said(call) == f"root is a path, not {given!r}."
    assert said(lambda: wb.ingest("shop", raw=given, root=root)) == f"raw is a path, not {given!r}."
    kind = type(given).__name__
    assert said(lambda: adhoc.select("SELECT 1", here, parameters=given)).startswith(f"parameters is a {kind}, not a ")
    assert said(lambda: here.query("SELECT 1", given=given)).startswith(f"given is a {kind}, not a Mapping.")


def test_a_folder_that_is_no_project_is_named(tmp_path):
    assert said(lambda: wb.open(root=tmp_path / "none")).startswith(
        f"root is '{tmp_path / 'none'}', which has no data/"
    )


@pytest.mark.parametrize("limit", [-1, 1.5, "10", [1], float("nan"), b"1"])
def test_a_limit_is_a_number_of_rows(limit, root):
    asked = said(lambda: wb.sql("SELECT 1", source="shop", root=root, limit=limit))
    assert asked == f"limit is a number of rows from 0 on, or None for all, not {limit!r}."


def test_a_limit_above_what_a_machine_counts_is_none(root):
    rows = wb.sql("SELECT customer_id FROM customer", source="shop", root=root, limit=10**20)
    assert len(rows) == len(open_warehouse("shop", root=root).table("customer"))


@pytest.mark.parametrize("seconds", [0, -1, None, "60", float("nan"), float("inf"), [1]])
def test_seconds_are_above_0(seconds, root):
    asked = said(lambda: wb.sql("SELECT 1", source="shop", root=root, seconds=seconds))
    assert asked == f"seconds is a number above 0, not {seconds!r}."


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("-- nothing", "there is no statement: give one statement that reads"),
        ("/* nothing */ ;", "there is no statement: give one"),
        (";;", "there is no statement: give one"),
        ("SELECT 1; SELECT 2", "these are 2 statements: give one"),
        ("", "a statement is a text, such as 'SELECT * FROM customer', not ''."),
    ],
)
def test_a_query_of_a_warehouse_is_one_statement(statement, words, root):
    """As at the door of `wb.sql`: the last of several is not the answer to all, and a comment is none."""
    here = open_warehouse("shop", root=root)
    assert said(lambda: here.query(statement)).startswith(words)
    assert said(lambda: wb.sql(statement, source="shop", root=root)).startswith(words)
    assert here.query("SELECT 1 AS one; -- the only one").loc[0, "one"] == 1


@pytest.mark.parametrize("given", [{"dyas": 90}, {"as_of": "2026-06-01"}, {"days": 90, "as_of": "2026-06-01"}])
def test_a_parameter_that_nothing_takes_is_refused(root, given):
    """A misspelt one, or the day of a table that knows no day, would change nothing and seem to."""
    with pytest.raises(WorkbenchError, match=f"no parameter '{next(iter(given))}' in the views and features it reads"):
        adhoc.sql("SELECT count(*) FROM customer", source="shop", root=root, parameters=given)
    lives = adhoc.sql("SELECT * FROM life", source="shop", root=root, parameters={"as_of": "2026-07-01"})
    assert len(lives) == 3


def test_tables_features_and_views_have_names(ask):
    """A feature or view is made when it is named; names of the statement's own go before ours, in any case."""
    assert ask("SELECT count(*) FROM Customer").table.to_pydict() == {"count_star()": [3]}
    assert ask("SELECT customer_id FROM life ORDER BY 1").table.to_pydict() == {"customer_id": ["c1", "c2", "c3"]}
    assert ask("WITH life AS (SELECT 7 AS x) FROM life").table.to_pydict() == {"x": [7]}
    week = ask("SELECT frequency FROM ACTIVITY WHERE customer_id = 'c2'", as_of="2026-07-01")
    assert week.table.to_pydict() == {"frequency": [2.0]}  # 28 and 30 June; 5 March is over 90 days ago
    assert "frequency" in ask("DESCRIBE customer_features").table.column("column_name").to_pylist()
    assert ask("FROM service_use", days="90", province="").table.num_rows > 0
    assert ask("SELECT count(*) AS n FROM quarantine").table.to_pydict() == {"n": [0]}
    with pytest.raises(WorkbenchError, match="service_use needs days, province: give -p days=… -p province=…"):
        ask("FROM service_use")


def test_rows_are_limited_and_more_are_told(ask, monkeypatch):
    """A limit is a limit of rows, and says whether there are more; a result beyond the bound is refused."""
    assert (found := ask("FROM range(25)", 10)).table.num_rows == 10 and found.more
    assert (found := ask("FROM range(10)", 10)).table.num_rows == 10 and not found.more
    assert ask("FROM range(100000000000)", 3).table.column(0).to_pylist() == [0, 1, 2]
    assert ask("SELECT 1 AS x WHERE false").frame().columns.tolist() == ["x"]
    monkeypatch.setattr(sandbox, "LARGEST", 1_000_000)
    with pytest.raises(WorkbenchError, match=r"larger than 1 MB\. Group it"):
        ask("FROM range(1000000000)")


FORBIDDEN = {
    "SELECT 1; SELECT 2": "these are 2 statements: give one statement that reads",
    "-- nothing": "there is no statement",
    "COPY customer TO 'x.csv'": "COPY is not",
    "ATTACH ':memory:' AS other": "ATTACH is not",
    "SET memory_limit = '1TB'": "SET is not",
    "PRAGMA version": "PRAGMA is not",
    "CALL pragma_version()": "CALL is not",
    "LOAD httpfs": "LOAD is not",
    "INSTALL httpfs": "LOAD is not",
    "CREATE TABLE t AS SELECT 1": "CREATE is not",
    "EXPLAIN ANALYZE SELECT 1": "EXPLAIN is not",
    "EXPORT DATABASE 'x'": "EXPORT is not",
    "PREPARE p AS SELECT 1": "PREPARE is not",
    "PIVOT customer ON province": "PIVOT without a list",
    "FROM read_csv('/etc/passwd')": "no file and no network, so not '/etc/passwd'",
    "FROM '/etc/passwd'": "no file and no network, so not '/etc/passwd'",
    "FROM 'http://127.0.0.1:9/x.parquet'": "no file and no network",
    "FROM read_text('/etc/passwd')": "no file and no network",
    "FROM read_blob('/etc/hosts')": "no file and no network",
    "FROM glob('/etc/*')": "no file and no network",
    "FROM sniff_csv('/etc/passwd')": "no file and no network",
    "FROM query('FROM read_text(''/etc/passwd'')')": "no file and no network",
    "FROM statement": "no table 'statement'",  # a variable of the program
    "FROM enable_logging(storage := 'file', storage_path := '/tmp')": "locked",
    "SELECT " + "1+" * 2_000 + "1": "the query failed: Max expression depth limit of 1000 exceeded.",
    "SELECT getenv('HOME')": "the query failed: Scalar Function with name getenv does not exist",
    "WITH a AS (INSERT INTO stored.customer (customer_id) VALUES ('x') RETURNING *) FROM a": "the query failed",
    "WITH a AS (INSERT INTO detail_record (kind) VALUES ('x') RETURNING *) FROM a": "the query failed",
    "SELEKT 1": "the query failed: syntax error at or near",
    "SELECT CAST('x' AS INTEGER)": "the query failed: Could not convert string",
    "FROM custmer": "no table 'custmer'. Did you mean 'customer'",
    "SELECT custmer.kind FROM customer": "no table 'custmer'. Did you mean 'customer'",
    "SELECT provnce FROM customer": "no column 'provnce' in what the query reads. Did you mean 'province'",
    "SELECT c.provnce FROM customer c": "no column 'provnce' in what the query reads. Did you mean 'province'",
}


@pytest.mark.parametrize("statement", FORBIDDEN, ids=lambda statement: statement[:60])
def test_what_it_must_not_is_refused_in_a_sentence(ask, statement):
    """No second statement, no file, no network, no setting, no change; what does not exist has its nearest name."""
    with pytest.raises(WorkbenchError) as refused:
        ask(statement)
    assert FORBIDDEN[statement] in str(refused.value) and "\n" not in str(refused.value)


def test_the_folder_of_the_version_is_no_door(ask, root):
    """Detail records are read by their name; the files of the same folder that are no months are not."""
    place = open_warehouse("shop", root=root).place
    for other in (place / "tables.json", root / "data" / "mappings" / "shop.toml"):
        with pytest.raises(WorkbenchError, match="no file and no network"):
            ask(f"FROM read_text('{other}')")
    with pytest.raises(WorkbenchError, match="no file and no network"):
        ask(f"FROM '{place}/detail_record/*.parquet'")


@pytest.mark.parametrize("statement", ["SELECT length(repeat('x', 3000000000))", "SELECT len(range(2000000000))"])
def test_memory_is_bounded(root, statement):
    """What DuckDB's own limit does not see is bounded by the process; nothing of this one is taken."""
    with pytest.raises(WorkbenchError, match="needs more than the 1 GB of memory"):
        adhoc.sql(statement, source="shop", root=root)


def test_a_huge_cross_join_is_stopped(root):
    """Time is bounded; the sentence says what to do."""
    huge = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range * b.range % 7 = 3"
    with pytest.raises(WorkbenchError, match=r"was stopped after 2 seconds\. Join on keys"):
        adhoc.sql(huge, source="shop", root=root, seconds=2)


def test_the_process_does_not_know_the_key(root, monkeypatch):
    """The key of the pseudonyms stays outside."""
    given = {}

    def run(command, **options):
        given.update(options)
        raise adhoc.subprocess.TimeoutExpired(command, 1)

    monkeypatch.setenv("WORKBENCH_KEY", "a key of sixteen characters")
    monkeypatch.setattr(adhoc.subprocess, "run", run)
    with pytest.raises(WorkbenchError, match="stopped after"):
        adhoc.sql("SELECT 1", source="shop", root=root)
    assert "WORKBENCH_KEY" not in given["env"] and "PATH" in given["env"]


def test_features_of_a_day_outside_the_data_are_refused(root):
    """As everywhere: a feature is not made up for a day that the data do not cover."""
    with pytest.raises(CannotAnswer, match="lies outside the data"):
        adhoc.sql("FROM life", source="shop", root=root, parameters={"as_of": "2030-01-01"})


def test_a_run_is_told_what_was_read(root, tmp_path, monkeypatch):
    """A report that asks in SQL falls due when the tables behind its features and views change."""
    monkeypatch.setenv(READS, str(tmp_path / "reads"))
    adhoc.sql("SELECT count(*) FROM life", source="shop", root=root)
    read = {line.split("\t")[2] for line in (tmp_path / "reads").read_text().splitlines()}
    assert {"customer", "subscription"} <= read and "campaign" not in read


def test_what_no_frame_holds_is_refused_in_a_sentence(ask, root):
    """A type that a DataFrame lacks, and a statement that is no text."""
    with pytest.raises(WorkbenchError, match=r"do not fit into a DataFrame: .* Cast the column"):
        ask("SELECT CAST(7 AS BIGNUM) AS x").frame()
    with pytest.raises(WorkbenchError, match="a lone surrogate"):
        adhoc.sql("SELECT '\ud800'", source="shop", root=root)


def test_markup_is_escaped_in_a_notebook(root):
    """A text of the data is shown, and does not run."""
    shown = adhoc.sql('SELECT province AS "<i>x</i>" FROM customer', source="shop", root=root)._repr_html_()
    assert "&lt;b&gt;河南" in shown and "<b>河南" not in shown and "<i>x" not in shown


@pytest.fixture
def call(root, monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setenv("WORKBENCH_HOME", str(root))
        with pytest.raises(SystemExit) as left:
            cli.main(["sql", "--source", "shop", *arguments])
        return left.value.code, *capsys.readouterr()

    return call


def test_the_command_shows_a_table(call):
    """Columns side by side, missing cells empty, days as days, and nothing that steers the terminal."""
    asked = "SELECT DATE '2026-01-02' AS day, 0.5 AS x, NULL AS nothing, chr(27) || '[31m' AS \"r\u202ed\""
    code, said, complained = call(asked)
    assert (code, complained) == (0, "")
    assert said.splitlines() == ["day         x    nothing  r\\u202ed", "2026-01-02  0.5           \\x1b[31m"]
    assert call("FROM range(30)")[1:] == (
        "range\n" + "".join(f"{n}\n" for n in range(20)),
        "there are more rows than these 20: --limit N for more\n",
    )


def test_a_statement_may_begin_with_a_comment(call):
    """As files of SQL do; what begins like an option still is one."""
    assert call("-- the tables\nSELECT 1 AS one") == call("SELECT 1 AS one") == call("--\tall\nSELECT 1 AS one")
    code, _, said = call("SELECT 1", "--outptu", "x")
    assert code == 2 and "--outptu" in said


def test_the_command_writes_files_for_their_owner(call, tmp_path):
    """CSV and Parquet hold all rows, and others of the machine can't read them."""
    made = {form: tmp_path / f"x.{form}" for form in ("csv", "parquet")}
    for form, path in made.items():
        asked = "SELECT '=1+1' AS f, range AS n FROM range(30)"
        assert call(asked, "--format", form, "--output", str(path))[:2] == (0, f"30 rows written to {path}\n")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert pd.read_csv(made["csv"])["f"].unique().tolist() == ["'=1+1"]
    assert parquet.read_table(made["parquet"]).column("f").unique().to_pylist() == ["=1+1"]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["x.csv", "x.parquet"]
    assert call("SELECT 1", "--format", "parquet")[::2] == (
        2,
        "workbench: Parquet goes into a file. Say which: --output FILE\n",
    )


def test_a_select_of_this_kind_is_known_to_duckdb():
    """The kinds of statement that are let through all read: what DuckDB calls a SELECT."""
    with duckdb.connect() as con:
        for text in ("SELECT 1", "WITH a AS (SELECT 1) FROM a", "DESCRIBE SELECT 1", "SHOW TABLES", "VALUES (1)"):
            assert [s.type for s in con.extract_statements(text)] == [duckdb.StatementType.SELECT]
