"""SQL databases: what is read of files and servers, and what no message tells."""

import sqlite3

import duckdb
import pytest

from workbench.errors import WorkbenchError
from workbench.warehouse import open_warehouse
from workbench.warehouse.credentials import without
from workbench.warehouse.ingest import ingest

CUSTOMER = """
as_of = 2026-07-01
[[file]]
{how}
table = "customer"
[file.columns]
customer_id = "id"
kind = {{ constant = "person" }}
province = "prov"
joined_on = "day"
"""
SCHEMA = "CREATE TABLE people (id {id}, prov TEXT, day TEXT)"
RIGHT = [["007", "江苏", "2020-01-01"], ["755200001000000001", "广东", "2021-01-01"]]


def customer(how):
    return CUSTOMER.format(how=how)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A project whose source `shop` gets a mapping, and is ingested; gives account and warehouse."""
    raw = tmp_path / "data/raw/shop"
    for part in (raw, tmp_path / "data/mappings"):
        part.mkdir(parents=True)

    def shop(mapping):
        (tmp_path / "data/mappings/shop.toml").write_text(mapping, encoding="utf-8")
        return ingest("shop", root=tmp_path), open_warehouse("shop", root=tmp_path)

    shop.raw, shop.root = raw, tmp_path
    return shop


def customers(warehouse):
    return warehouse.query(
        "SELECT customer_id, province, joined_on::VARCHAR FROM customer ORDER BY ALL"
    ).values.tolist()


def sqlite(path, rows=RIGHT, id="TEXT"):
    with sqlite3.connect(path) as con:
        con.execute(SCHEMA.format(id=id))
        con.executemany("INSERT INTO people VALUES (?, ?, ?)", rows)
        con.execute("CREATE VIEW known AS SELECT * FROM people WHERE id <> '9'")
    con.close()


@pytest.mark.parametrize(
    "how", ['path = "crm.db"\nrelation = "people"', 'database = "sqlite:///crm.db"\nrelation = "main.known"']
)
def test_a_relation_of_sqlite_is_read_as_texts(shop, how):
    """Numbers of eighteen digits keep them all; a text that is not UTF-8 costs its record alone."""
    sqlite(shop.raw / "crm.db", [["007", "江苏", "2020-01-01"], [755200001000000001, "广东", "2021-01-01"]], id="")
    with sqlite3.connect(shop.raw / "crm.db") as con:
        con.execute("INSERT INTO people VALUES ('8', CAST(x'bdadcbd5' AS TEXT), '2020-01-01')")
        con.execute("INSERT INTO people VALUES (1000000001.0, '江苏', '2020-01-01')")
    con.close()
    account, warehouse = shop(customer(how))
    assert customers(warehouse) == RIGHT
    assert account.frame[["file", "raw", "quarantined"]].values.tolist() == [["crm.db", 4, 2]]
    assert {row.line: list(row.reasons) for row in warehouse.refused().itertuples()} == {
        3: ["a text is not in utf-8"],
        4: ["customer_id was written as a number and may have lost digits"],
    }
    assert sorted(path.name for path in shop.raw.iterdir()) == ["crm.db"]


@pytest.mark.parametrize("relation", ["people", "main.people", "known"])
def test_a_relation_of_duckdb_is_read(shop, relation):
    with duckdb.connect(str(shop.raw / "crm.duckdb")) as con:
        con.execute("CREATE TABLE people (id VARCHAR, prov VARCHAR, day DATE)")
        con.executemany("INSERT INTO people VALUES (?, ?, ?)", RIGHT)
        con.execute("CREATE VIEW known AS FROM people")
    _, warehouse = shop(customer(f'database = "duckdb:///crm.duckdb"\nrelation = "{relation}"'))
    assert customers(warehouse) == RIGHT


def test_a_view_of_duckdb_reads_no_other_file(shop):
    """A database that somebody delivers must not have files of this machine read."""
    with duckdb.connect(str(shop.raw / "crm.duckdb")) as con:
        con.execute("CREATE VIEW people AS SELECT column0 AS id, '' AS prov, '' AS day FROM read_csv('/etc/passwd')")
    with pytest.raises(WorkbenchError, match="can't be read as a DuckDB file"):
        shop(customer('path = "crm.duckdb"\nrelation = "people"'))


def test_a_table_of_a_database_goes_into_a_step(shop):
    sqlite(shop.raw / "crm.db")
    step = (
        '[[prepare]]\nname = "s"\nsql = "SELECT * FROM p"\n[prepare.inputs.p]\npath = "crm.db"\nrelation = "people"\n'
    )
    _, warehouse = shop("as_of = 2026-07-01\n" + step + customer('prepared = "s"').replace("as_of = 2026-07-01", ""))
    assert customers(warehouse) == RIGHT


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ('path = "crm.db"\nrelation = "peopl"', "has no relation 'peopl'.*'people'"),
        ('path = "crm.db"\nrelation = "people; DROP TABLE people"', "relation is the table or view"),
        ('path = "crm.db"', "relation is the table or view"),
        ('path = "crm.csv"\nrelation = "people"', "relation is the table or view"),
        ('path = "crn.db"\nrelation = "people"', r"lacks crn\.db.*'crm\.db'"),
        ('path = "none.db"\nrelation = "people"', "can't be read as SQLite: file is not a database"),
        ('path = "none.db"\nformat = "duckdb"\nrelation = "people"', "can't be read as a DuckDB file"),
        ('path = "crm.db"\nformat = "server"\nrelation = "people"', "format is 'server'"),
        ('path = "blob.db"\nrelation = "people"', "'id' holds bytes, which is neither text"),
        ('path = "busy.db"\nrelation = "people"', "is not whole: busy.db-wal beside it has changes"),
        ('database = "sqlite:////etc/crm.db"\nrelation = "people"', "must stay inside the raw folder"),
        ('database = "sqlite+pysqlite:////etc/crm.db"\nrelation = "people"', "database is a URL"),
        ('database = "sqlite:///../crm.db"\nrelation = "people"', "must stay inside the raw folder"),
        ('database = "crm"\nrelation = "people"', "database is a URL"),
        ('database = "sqlite:///crm.db"\npath = "crm.db"\nrelation = "people"', "no meaning beside database"),
    ],
)
def test_what_is_no_database_is_refused(shop, how, said):
    """Each is one sentence with the file, and with the nearest name where there is one."""
    sqlite(shop.raw / "crm.db")
    sqlite(shop.raw / "busy.db")
    sqlite(shop.raw / "blob.db", [[b"\x00\xff", "x", "2020-01-01"]], id="BLOB")
    (shop.raw / "busy.db-wal").write_bytes(b"x")
    (shop.raw / "none.db").write_bytes(b"x" * 5000)
    with pytest.raises(WorkbenchError, match=said):
        shop(customer(how))


def test_a_server_is_read_by_references(shop, monkeypatch):
    """The same rows in another order are the same delivery; what was fetched is gone afterwards."""
    sqlite(shop.root / "server.db")
    monkeypatch.setenv("CRM_URL", f"sqlite:///{shop.root}/server.db")
    mapping = customer('database = "${CRM_URL}"\nrelation = "people"')
    account, warehouse = shop(mapping)
    assert customers(warehouse) == RIGHT and account.frame["file"].tolist() == ["${CRM_URL}: people"]
    (shop.root / "server.db").unlink()
    sqlite(shop.root / "server.db", RIGHT[::-1])
    left = shop.root / "data/warehouse/shop/.building-x/prepare"
    left.mkdir(parents=True)
    assert not shop(mapping)[0].changed and not left.exists()
    (shop.root / "crm_url").write_text(f"sqlite:///{shop.root}/server.db\n")
    assert customers(shop(customer('database = "${file:crm_url}"\nrelation = "known"'))[1]) == RIGHT
    assert not (shop.root / "data/warehouse/shop/.fetched").exists()
    assert str(shop.root) not in str(account)


PASSWORD = "s3cret-passw0rd"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"postgresql://crm:{PASSWORD}@host/crm", "has a clear password"),
        (f"postgresql://crm:{PASSWORD}/x@y@host/crm", "has a clear password"),
        (f"postgresql://crm:${{PW}}{PASSWORD}@host/crm", "has a clear password"),
        (f"postgresql://host/crm?user=x&password={PASSWORD}", "has a clear password"),
        (f"mysql+pymysql://host/crm?ssl_token={PASSWORD}", "has a clear password"),
        ("postgresql://crm:${NO_SUCH}@host/crm", "needs NO_SUCH in the environment"),
        ("postgresql://crm:${file:no/such}@host/crm", "needs the file .*such, which is empty or not there"),
        (
            "mysql+pymysql://crm:${PW}@host/crm",
            r"mysql\+pymysql://host/crm: people can't be read: the driver 'pymysql'",
        ),
        ("nosuch://crm:${PW}@host/crm", "no such kind of database"),
        ("${PW}", "what stands there is no URL"),
        ("${GONE}", "unable to open database file"),
        ("${EMPTY}", "has no relation 'people'"),
    ],
)
def test_a_database_that_is_not_there_is_one_sentence_without_credentials(shop, monkeypatch, url, said):
    monkeypatch.setenv("PW", PASSWORD)
    monkeypatch.setenv("GONE", f"sqlite:////no/such/folder/{PASSWORD}.db")
    monkeypatch.setenv("EMPTY", "sqlite://")
    with pytest.raises(WorkbenchError, match=said) as error:
        shop(customer(f'database = "{url}"\nrelation = "people"'))
    assert PASSWORD not in str(error.value) and "/no/such/folder" not in str(error.value)
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_a_secret_is_taken_out_of_what_a_driver_says():
    """As it is, as a URL writes it, and where it is a whole URL, its parts."""
    said = 'password authentication failed for user "crm" with "p@ss w" (p%40ss+w)'
    assert without(said, ["crm", "p@ss w"]) == 'password authentication failed for user "…" with "…" (…)'
    assert without("no host db.local for bob", ["postgresql://bob:pw@db.local/x"]) == "no host … for …"
