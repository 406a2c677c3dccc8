"""Prepare steps: files joined, summed and turned before they are mapped, with every record followed."""

import re
from datetime import date
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from workbench.errors import WorkbenchError
from workbench.warehouse import open_warehouse, sandbox
from workbench.warehouse.ingest import ingest

BILLS = '''
[[prepare]]
name = "long"
sql = """
SELECT w."#bills", w.acct, l.cust, right(m, 2) AS month, fee
FROM (UNPIVOT bills ON fee01, fee02 INTO NAME m VALUE fee) w
JOIN links l USING (acct)
"""
[prepare.inputs]
bills = { path = "bills.csv", multiplies = true, most_refused = 1.0 }
links = { path = "links.csv", link = ["acct", "cust"], most_refused = 1.0 }

[[file]]
prepared = "long"
table = "payment"
[file.columns]
payment_id = { template = "{acct}-{month}" }
customer_id = "cust"
paid_on = { template = "2026-{month}-01" }
amount = "fee"
'''
LONG = {
    "bills.csv": "acct,fee01,fee02\n001,1,2\n002,3,4\n003,5,6\n004,1\n",
    "links.csv": "acct,cust\n001,C1\n002,C2\n003,C3\n003,C4\n001,C1\n,C7\n",
}
CUSTOMERS = '''
[[prepare]]
name = "people"
sql = """{sql}"""
[prepare.inputs]
{inputs}

[[file]]
prepared = "people"
table = "customer"
{more}
[file.columns]
customer_id = {id}
kind = {{ constant = "person" }}
province = "province"
joined_on = "joined"
'''


def customers(sql, inputs='c = "c.csv"', more="", id='"id"'):
    return CUSTOMERS.format(sql=sql, inputs=inputs, more=more, id=id)


PLAIN = {"c.csv": "id,province,joined\nA1,江苏,2020-01-01\nA2,广东,2021-01-01\n"}
ALL = 'SELECT "#c", id, province, joined FROM c'


@pytest.fixture
def shop(tmp_path):
    """A project whose source `shop` gets a mapping and files, and is ingested; gives account and warehouse."""

    def shop(mapping, files):
        raw = tmp_path / "data/raw/shop"
        for part in (raw, tmp_path / "data/mappings"):
            part.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data/mappings/shop.toml").write_text("as_of = 2026-07-01\n" + mapping, encoding="utf-8")
        for name, content in files.items():
            (raw / name).parent.mkdir(parents=True, exist_ok=True)
            (raw / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return ingest("shop", root=tmp_path), open_warehouse("shop", root=tmp_path)

    shop.root = tmp_path
    return shop


def counts(account):
    """Records, accepted and quarantined, by file and table."""
    return {(r.file, r.table): (r.raw, r.accepted, r.quarantined, r.set_aside) for r in account.frame.itertuples()}


def why(warehouse, file):
    """Reasons by line of what stands in quarantine of a file."""
    return {row.line: list(row.reasons) for row in warehouse.refused(file=file).itertuples()}


def test_twelve_columns_become_rows_through_a_table_of_links(shop):
    """Each cell is a row, each link is used once, and links that contradict each other are refused both."""
    account, warehouse = shop(BILLS, LONG)
    rows = warehouse.query("SELECT payment_id, customer_id, amount FROM payment ORDER BY ALL").values.tolist()
    assert rows == [["001-01", "C1", 1.0], ["001-02", "C1", 2.0], ["002-01", "C2", 3.0], ["002-02", "C2", 4.0]]
    assert counts(account) == {
        ("bills.csv", "prepare:long"): (4, 2, 2, 0),
        ("links.csv", "prepare:long"): (6, 2, 4, 1),
        ("prepare:long", "payment"): (4, 4, 0, 0),
    }
    assert account.balanced
    assert why(warehouse, "links.csv") == {
        4: ["acct belongs to more than one cust"],
        5: ["acct belongs to more than one cust"],
        6: ["the same link stands in an earlier row"],
        7: ["acct or cust is missing"],
    }
    assert warehouse.refused(file="links.csv")["record"].tolist()[:2] == ['"acct=003, cust=C3"', '"acct=003, cust=C4"']
    assert why(warehouse, "bills.csv") == {
        4: ["prepare:long has no row for it"],
        5: ["the record has 2 fields instead of 3"],
    }
    said = "prepare:long has 4 rows; of the 3 records of bills 1 stand in none, 2 in more than one (4 together)"
    assert said in account.notes
    assert warehouse.files()["file"].tolist() == ["bills.csv", "links.csv"]
    assert "prepare:long: 5 of 10 records, most often because acct belongs" in " ".join(account.refusals(["payment"]))


def test_what_stands_in_no_row_counts_as_refused_unless_it_is_meant(shop):
    """A filter that nobody declared makes an excess; a declared one sets aside."""
    lost = customers(f"{ALL} WHERE id = 'A1'")
    account, _ = shop(lost, PLAIN | {"c.csv": PLAIN["c.csv"] + "A3,江苏,2020-01-01\n"})
    assert "c.csv: 2 of 3 records are refused for prepare:people" in account.excess()[0]
    account, _ = shop(customers(f"{ALL} WHERE id = 'A1'", 'c = { path = "c.csv", drops = true }'), PLAIN)
    assert account.frame["set_aside"].tolist() == [1, 0] and not account.excess()


def test_a_join_that_finds_several_partners_stops_the_ingest(shop):
    """Nothing is doubled in silence, neither as rows nor inside a sum."""
    files = PLAIN | {"o.csv": "id,plan\nA1,x\nA1,y\nA2,x\n"}
    inputs = 'c = "c.csv"\no = { path = "o.csv", lookup = true }'
    with pytest.raises(WorkbenchError, match=r"1 records of c stand in 2 rows .* line 2 of c\.csv.*multiplies"):
        shop(customers(f"{ALL} JOIN o USING (id)", inputs), files)
    summed = 'SELECT list("#c") AS "#c", province, count(*) AS id, min(joined) AS joined '
    summed += "FROM c JOIN o USING (id) GROUP BY ALL"
    with pytest.raises(WorkbenchError, match="1 records of c stand in 2 rows"):
        shop(customers(summed, inputs), files)


def test_sums_follow_their_records_by_a_list(shop):
    """A record that a WHERE keeps out of a sum is named, though its customer has a row."""
    charges = '''
[[prepare]]
name = "sums"
sql = """
SELECT cust, list("#u") AS "#u", sum(fee::DECIMAL(18,2)) AS fee
FROM u WHERE fee::DECIMAL(18,2) > 0 GROUP BY cust
"""
[prepare.inputs]
u = { path = "u-*.csv", most_refused = 0.5 }
[[file]]
prepared = "sums"
table = "payment"
[file.columns]
payment_id = "cust"
customer_id = "cust"
paid_on = { constant = "2026-06-01" }
amount = "fee"
'''
    files = {"u-1.csv": "cust,fee\nC1,0.10\nC1,0.20\nC2,-1\n", "u-2.csv": "cust,fee\nC1,0.30\nC2,5\n"}
    account, warehouse = shop(charges, files)
    assert warehouse.query("SELECT payment_id, amount FROM payment ORDER BY ALL").values.tolist() == [
        ["C1", 0.6],
        ["C2", 5.0],
    ]
    assert counts(account)["u-1.csv", "prepare:sums"] == (3, 2, 1, 0)
    assert counts(account)["u-2.csv", "prepare:sums"] == (2, 2, 0, 0)
    assert why(warehouse, "u-1.csv") == {4: ["prepare:sums has no row for it"]}


def test_days_to_date_and_the_month_of_a_file_name(shop):
    """$as_of is the day of the mapping; "#file" is the path of the file."""
    sql = 'SELECT "#c", id, province, ($as_of - to_days(days::INT))::DATE AS joined, "#file"[3:6] AS year FROM c'
    files = {"c-2025.csv": "id,province,days\n007,江苏,1\n", "c-2026.csv": "id,province,days\n008,广东,31\n"}
    mapping = customers(sql, 'c = "c-*.csv"', 'ignore = ["year"]', '{ template = "{year}-{id}" }').replace(
        'ignore = ["year"]', ""
    )
    _, warehouse = shop(mapping, files)
    rows = warehouse.query("SELECT customer_id, joined_on::VARCHAR FROM customer ORDER BY ALL").values.tolist()
    assert rows == [["2025-007", "2026-06-30"], ["2026-008", "2026-05-31"]]


def test_the_example_of_the_documentation_runs(shop):
    """docs/mappings.md shows a step that works as it stands there."""
    text = (Path(__file__).parents[2] / "docs/mappings.md").read_text(encoding="utf-8")
    example = next(one for one in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "[[prepare]]" in one)
    billing = 'account,fee01,fee02,fee03\n01,"1,000.50",2,3\n02,4,,6\n'.encode("gb18030")
    account, warehouse = shop(example, {"billing/a.csv": billing, "crm/links.csv": "account,cust\n01,C1\n02,C2\n"})
    sums = warehouse.query("SELECT customer_id, sum(amount) FROM payment GROUP BY ALL ORDER BY ALL").values.tolist()
    assert sums == [["C1", 1005.5], ["C2", 10.0]] and not account.excess()


@pytest.fixture(scope="module")
def transform(tmp_path_factory):
    """Runs a SELECT over one input as the process does that a step begins."""
    folder = tmp_path_factory.mktemp("step")
    with duckdb.connect(str(folder / "inputs.duckdb")) as con:
        con.execute('CREATE TABLE c ("#file" TEXT, "#c" BIGINT, "#line" BIGINT, id TEXT, province TEXT, random TEXT)')
        con.execute(
            "INSERT INTO c VALUES ('c.csv', 1, 2, '张三13800138000', '江苏', ''), ('c.csv', 2, 3, 'A', '广东', '')"
        )
        con.execute('CREATE TABLE "#refused" (file VARCHAR)')

    def transform(sql):
        asked = {"inputs": str(folder / "inputs.duckdb"), "result": str(folder / "r.parquet"), "folder": str(folder)}
        sandbox.transform(asked | {"statement": sql, "as_of": "2026-07-01", "step": "step people", "line": 10})
        return pq.read_table(folder / "r.parquet").to_pylist()

    return transform


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ('SELECT "#c",\n provnce FROM c', r"step people, line 12: no column 'provnce'.* mean 'province'"),
        ('SELECT "#c"\nFROM customers', r"line 12: no input 'customers'\. There are: 'c'"),
        ('SELEC "#c"', r"line 11: .*syntax error"),
        ("SELECT 1) x, (SELECT 2", "syntax error"),
        (f"{ALL};\nDROP TABLE c", "these are 2 statements"),
        ("DELETE FROM c", "DELETE is not for queries"),
        ("COPY c TO 'x.csv'", "COPY is not for queries"),
        ("ATTACH 'x.db'", "ATTACH is not for queries"),
        ("INSTALL httpfs", "LOAD is not for queries"),
        ("SET threads = 4", "SET is not for queries"),
        ("PRAGMA database_list", "is not for queries|give one statement"),
        ("", "there is no statement"),
        ("SELECT * FROM c, read_csv('/etc/passwd')", r"reads no file, no network .* so not read_csv\(\)"),
        ("SELECT * FROM c, '/etc/passwd'", "reads no file and no network"),
        ("SELECT * FROM c, glob('/*')", "reads no file, no network"),
        ("SELECT * FROM c, arrow_scan(1::POINTER, 2::POINTER, 3::POINTER)", "reads no file, no network"),
        ("SELECT (SELECT max(a) FROM query('SELECT random() AS a')) FROM c", r"so not query\(\)"),
        ("SELECT * FROM c WHERE EXISTS (FROM duckdb_settings())", r"so not duckdb_settings\(\)"),
        ("SELECT current_localtimestamp() FROM c", "current_localtimestamp gives something else"),
        ("SELECT * FROM c, read_text('../*')", "reads no file, no network"),
        ("SELECT * FROM c, 'https://example.org/x.csv'", "reads no file and no network"),
        ("SELECT getenv('WORKBENCH_KEY') FROM c", "getenv"),
        ("SELECT * FROM c WHERE random() < .5", "random gives something else each time"),
        ("SELECT * FROM c WHERE current_date > DATE '2026-01-01'", "current_date gives something else"),
        ("SELECT random FROM c WHERE random = random()::VARCHAR", "random gives something else"),
        ("SELECT uuid() FROM c", "uuid gives something else"),
        ("SELECT * FROM c USING SAMPLE 1", "TABLESAMPLE gives something else"),
        ("SELECT age(id::TIMESTAMP) FROM c", "age gives something else"),
        ("SELECT * FROM c WHERE id < $today", r"no \$today; \$as_of"),
        ("SELECT\nid::DATE FROM c", r"line 12: .*a text"),
        ("SELECT id::DOUBLE FROM c", "a text"),
        ("SELECT id::INT FROM c", "a text"),
        ("SELECT strptime(id, '%Y') FROM c", "Could not parse a text"),
    ],
)
def test_a_select_is_locked_down_and_its_errors_say_where(transform, sql, said):
    """It reads its inputs and nothing else; an error names step and line, and tells nothing of the data."""
    with pytest.raises(WorkbenchError, match=said) as error:
        transform(sql)
    assert str(error.value).startswith("step people")
    assert "张三" not in str(error.value) and "1380013" not in str(error.value)


def test_a_select_gives_sorted_rows(transform):
    """Whatever order it asks for, the same files give the same rows in the same order."""
    rows = transform('SELECT "#c" + 0 AS n, $as_of - 1 AS d FROM c ORDER BY n DESC -- last first;')
    assert rows == [{"n": 1, "d": date(2026, 6, 30)}, {"n": 2, "d": date(2026, 6, 30)}]


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        (BILLS.replace("[[file]]", "[[other]]"), "unknown key 'other'"),
        (BILLS.replace('prepared = "long"', 'prepared = "lon"'), r"no \[\[prepare\]\] step 'lon'.*'long'"),
        (BILLS.replace('prepared = "long"', 'path = "bills.csv"'), "no \\[\\[file\\]\\] reads 'long'"),
        (BILLS.replace('table = "p', 'encoding = "gb18030"\ntable = "p'), "'encoding' has no meaning"),
        (BILLS.replace("sql =", "sq ="), "unknown key 'sq'.*'sql'"),
        (
            BILLS.replace("multiplies = true", "multiply = true"),
            "long, bills has an unknown key 'multiply'.*'multiplies'",
        ),
        (BILLS.replace('link = ["acct", "cust"]', 'link = ["acct"]'), "link names two columns"),
        (BILLS.replace("link = [", 'key = ["acct"], link = ['), "'key' is for records that are followed"),
        (BILLS.replace('"bills.csv"', '"../bills.csv"'), "stay inside the raw folder"),
        (
            BILLS.replace('"bills.csv"', '"bill.csv"'),
            r"lacks bill\.csv, which fills bills of prepare:long.*'bills\.csv'",
        ),
        (BILLS.replace('["acct", "cust"]', '["acct", "custt"]'), "lacks the column 'custt'.*'cust'"),
        (BILLS.replace('name = "long"', 'name = "lo-ng"'), "letters, digits and _"),
    ],
)
def test_a_mapping_of_steps_is_checked(shop, mapping, said):
    """A typo is named with the nearest key, before anything is built."""
    with pytest.raises(WorkbenchError, match=said):
        shop(mapping, LONG)


def test_what_a_step_held_is_gone_and_clear_numbers_are_not_shown(shop):
    """Neither the published version nor the quarantine has a raw identifier; mended rows of a result come back."""
    files = {
        "c.csv": "id,province,joined\n13800138000,江苏,2020-01-01\n13900139000,广东,x\n13700137000,广东\n"
        "13500135000,,2020-01-01\n"
    }
    mapping = customers(
        f"{ALL} WHERE province IS NOT NULL",
        'c = { path = "c.csv", key = ["id"], most_refused = 1.0 }',
        id='{ from = "id", pseudonym = "phone" }',
    ).replace("[file.col", "most_refused = 1.0\n[file.col")
    account, warehouse = shop(mapping, files)
    assert account.frame["accepted"].tolist() == [2, 1]
    for path in (path for path in (shop.root / "data/warehouse").rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += str(pq.read_table(path).to_pylist()).encode()
        assert not re.search(rb"1[35789]00013[5789]000|13[5789]0013[5789]000", content), path
    assert {path.name for path in warehouse.place.iterdir()} == {"warehouse.duckdb", "tables.json", "parts"}
    assert warehouse.refused(file="c.csv")["record"].tolist() == ['"(withheld: may hold a clear number or name)"'] * 2


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"c1.csv": "id,ID,province,joined\n"},
            "has a column 'id', which has no name, has that of another but for its",
        ),
        ({"c1.csv": "id,,province,joined\n"}, "has a column ''"),
        ({"c1.csv": "id,#c,province,joined\n"}, "has a column '#c'"),
        ({"c1.csv": PLAIN["c.csv"], "c2.csv": "id,province,joined,x\n1,2,3,4\n"}, r"c2\.csv and the files of c .* 'x'"),
        ({"c1.csv": PLAIN["c.csv"], "c2.csv": "id,joined\n1,2\n"}, r"c2\.csv and the files .* column 'province'"),
        ({"c1.csv": "", "c2.csv": ""}, r"lacks c\*\.csv, which fills c of prepare:people"),
    ],
)
def test_the_files_of_an_input_have_the_same_columns(shop, files, said):
    """Columns that differ, that have no name or that of the step's own are named before anything runs."""
    with pytest.raises(WorkbenchError, match=said):
        shop(customers(ALL, 'c = "c*.csv"'), files)


def test_an_optional_column_is_there_though_no_file_has_it(shop):
    """What comes only from June on is NULL before; a file of another kind may stand beside it."""
    sql = "SELECT *, coalesce(grade, 'none') AS g FROM c"
    inputs = 'c = { path = "c*.csv", optional = ["grade", "note"] }'
    files = {"c1.csv": PLAIN["c.csv"], "c2.csv": "id,province,joined,note\nA3,江苏,2020-01-01,x\n"}
    account, _ = shop(customers(sql, inputs, 'ignore = ["grade", "note", "g"]'), files)
    assert account.frame["accepted"].tolist() == [2, 1, 3]


def test_a_result_is_read_once_for_a_table(shop):
    """Two blocks that map one result alike would double it."""
    block = customers(ALL)
    with pytest.raises(WorkbenchError, match="two blocks read prepare:people for customer"):
        shop(block + "[[file]]" + block.partition("[[file]]")[2], PLAIN)


@pytest.mark.prove
@pytest.mark.parametrize("sql", [f"{ALL}, range(100000000000) r", ALL.replace("id,", "repeat(id, 100000000) AS id,")])
def test_a_step_that_takes_too_much_is_stopped(shop, sql):
    """A product of tables and a text without end stop at a bound."""
    with pytest.raises(WorkbenchError, match=r"larger than|memory"):
        shop(customers(sql), {"c.csv": "id,province,joined\n12345678901234567890,江苏,2020-01-01\n"})
