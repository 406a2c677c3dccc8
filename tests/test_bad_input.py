"""Bad input gets one clear line: what, where and what to do; exit 2, nothing written."""

import shutil
from pathlib import Path

import duckdb
import pytest

from workbench import cli
from workbench.warehouse import connect

pytestmark = pytest.mark.usefixtures("kept_workers")

ROOT = Path(__file__).parents[1]
MAPPING = "data/mappings/sample.toml"
CUSTOMERS = "data/raw/sample/crm/客户资料.csv"
TARIFFS = "data/raw/sample/billing/资费.xlsx"
RECORDS = "data/raw/sample/cdr/cdr_202601.parquet"
CURRENT = "data/warehouse/sample/CURRENT"
INGEST, CHECK = ("data", "ingest"), ("data", "check")


def _call(*arguments):
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    return left.value.code


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with a small sample operator, ingested, in a folder with Chinese characters and spaces."""
    root = tmp_path_factory.mktemp("w") / "研究 项目 (一)"
    for part in ("data/mappings", "data/models", "notebooks"):
        shutil.copytree(ROOT / part, root / part)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(root))
        assert _call("data", "sample", "--customers", "500") == 0
        assert _call("data", "ingest") == 0
    return root


@pytest.fixture
def root(project, monkeypatch):
    """The project, named by WORKBENCH_HOME; the working directory is elsewhere."""
    monkeypatch.setenv("WORKBENCH_HOME", str(project))
    monkeypatch.chdir(project.parent)
    return project


@pytest.fixture
def damage(root):
    """Change a file's bytes, or take it away (None); it is put back after the test."""
    kept = {}

    def damage(name, change):
        path = root / name
        kept[path] = path.read_bytes()
        after = change(kept[path])
        path.unlink()
        if after is not None:
            path.write_bytes(after)

    yield damage
    for path, content in kept.items():
        path.write_bytes(content)


def _contents(root):
    return {p: p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name != ".lock"}


def _refused(root, capsys, arguments, words):
    """The command is refused in one line with these words, and leaves every file as it was."""
    before = _contents(root)
    capsys.readouterr()
    assert _call(*arguments) == 2
    said, complained = capsys.readouterr()
    assert said == ""
    lines = [line for line in complained.splitlines() if " accepted + " not in line]
    assert len(lines) == 1
    assert words in lines[0]
    assert str(root) not in complained
    assert "Traceback" not in complained
    assert _contents(root) == before


def _in_utf8(content):
    return content.decode("gb18030").encode("utf-8")


def _replaced(old, new, encoding="utf-8"):
    return lambda content: content.replace(old.encode(encoding), new.encode(encoding), 1)


FILES = {
    "missing file": (CUSTOMERS, lambda _: None, INGEST, "lacks crm/客户资料.csv, which fills customer. Did you mean"),
    "no bytes": (CUSTOMERS, lambda _: b"", INGEST, "crm/客户资料.csv is empty. Deliver it again"),
    "no rows": (CUSTOMERS, lambda c: c.split(b"\n")[0] + b"\n", INGEST, "table customer would be empty"),
    "wrong encoding": (CUSTOMERS, _in_utf8, INGEST, "is not in gb18030: line 1 is valid utf-8. If the file is in"),
    "UTF-16": (CUSTOMERS, lambda c: c.decode("gb18030").encode("utf-16"), INGEST, "is in UTF-16. Declare it"),
    "column renamed": (CUSTOMERS, _replaced("客户编号", "顾客编号", "gb18030"), INGEST, "Did you mean '顾客编号'?"),
    "not Excel": (TARIFFS, lambda _: b"a,b\n1,2\n", INGEST, "billing/资费.xlsx can't be read as Excel"),
    "half an Excel": (TARIFFS, lambda c: c[:2000], INGEST, "billing/资费.xlsx can't be read as Excel"),
    "half a Parquet": (RECORDS, lambda c: c[:5000], INGEST, "cdr_202601.parquet can't be read as Parquet"),
    "cut Parquet": (RECORDS, lambda _: b"PAR1", INGEST, "can't be read as Parquet"),
    "mapping not TOML": (MAPPING, lambda _: b"a = = b", INGEST, "mappings/sample.toml is not a TOML file in UTF-8"),
    "mapping not UTF-8": (MAPPING, lambda c: c.decode().encode("gb18030"), INGEST, "is not a TOML file in UTF-8"),
    "mapping empty": (MAPPING, lambda _: b"", INGEST, "sample.toml has no as_of date. Add"),
    "unknown key": (MAPPING, _replaced("encoding", "encodng"), INGEST, "key 'encodng'. Did you mean 'encoding'?"),
    "unknown column": (MAPPING, _replaced("gender", "gendr"), INGEST, "in table customer. Did you mean 'gender'?"),
    "unknown table": (MAPPING, _replaced('"customer"', '"custmer"'), INGEST, "[[file]] 1: no table 'custmer'."),
    "no version": (CURRENT, lambda _: None, CHECK, "Run: workbench data ingest sample"),
    "odd version": (CURRENT, lambda _: b"\xff\xfe\0../..", CHECK, "Run: workbench data ingest sample"),
}


@pytest.mark.parametrize("case", FILES.values(), ids=list(FILES))
def test_a_bad_file_is_refused(case, root, damage, capsys):
    """Named with its place in the project; the version in force stays as it was."""
    name, change, arguments, words = case
    damage(name, change)
    _refused(root, capsys, arguments, words)


NAMES = {
    "source": (("data", "ingest", "smaple"), "no source 'smaple' in data/mappings. Did you mean 'sample'?"),
    "source of a run": (("run", "-p", "source=mob"), "no source 'mob' in data/mappings. Did you mean 'mobi'?"),
    "not ingested": (("run", "-p", "source=mobi"), "no warehouse of 'mobi'. Run: workbench data ingest mobi"),
    "no extracts": (("data", "ingest", "mobi"), "no raw folder data/raw/mobi. Put the extracts of 'mobi' there"),
    "study": (("run", "uplit"), "no study 'uplit'. Did you mean 'uplift'?"),
    "parameter": (("run", "uplift", "-p", "campain=x"), "no parameter 'campain'. Did you mean 'campaign'?"),
    "type": (("run", "uplift", "-p", "resamples=many"), "'resamples' is 'many', but must be a whole number"),
    "choice": (("run", "uplift", "-p", "learner=z"), "It must be one of: 's', 't', 'x', 'dr', 'r'."),
    "date": (("run", "uplift", "-p", "as_of=2026-02-30"), "must be a date as YYYY-MM-DD"),
    "table": (("data", "describe", "custmer"), "no table 'custmer'. Did you mean 'customer'?"),
    "size": (("data", "sample", "--customers", "0"), "0 is not in the range"),
}


@pytest.mark.parametrize("case", NAMES.values(), ids=list(NAMES))
def test_a_bad_name_or_value_is_refused(case, root, capsys):
    """Before anything runs, with the nearest name."""
    _refused(root, capsys, *case)


def test_a_value_that_the_data_do_not_know_leaves_no_page(root, capsys):
    """The study itself refuses it: exit 2, no report of that name."""
    assert _call("run", "satisfaction", "-p", "province=北亰") == 2
    said, complained = capsys.readouterr()
    assert said == ""
    assert len(complained.splitlines()) == 1
    assert "no province '北亰' in the warehouse of 'sample'. Did you mean '北京'?" in complained
    assert [p.name for p in (root / "reports").rglob("*") if p.is_file()] == ["ledger.sqlite"]
    shutil.rmtree(root / "reports")


def test_too_few_respondents_are_a_page_that_says_so(root, capsys):
    """A province that exists but cannot answer is no mistake of the caller: there is a report, and it says why."""
    assert _call("run", "satisfaction", "-p", "province=西藏", "-p", "resamples=100") == 0
    capsys.readouterr()
    folder = root / "reports/site/satisfaction/province=西藏,resamples=100"
    page = (folder / "index.html").read_text("utf-8")
    assert "has 30 respondents (the largest:" in page and "Try improving" in page
    assert str(root) not in page + (folder / "report.ipynb").read_text("utf-8")
    assert not (folder / "failure.html").exists()
    shutil.rmtree(root / "reports")


def _database(root):
    return root / "data/warehouse/sample" / (root / CURRENT).read_text().split()[0] / "warehouse.duckdb"


STALE = {
    "older schema": ("UPDATE facts SET value = '0' WHERE name = 'schema_version'", "tables of version 0; this program"),
    "no facts": ("DROP TABLE facts", "can't be read"),
    "no database": ("", "can't be read"),
    "facts missing": ("DELETE FROM facts WHERE name = 'title'", "is damaged"),
}


@pytest.mark.parametrize("case", STALE.values(), ids=list(STALE))
def test_a_warehouse_that_does_not_fit_is_refused(case, root, damage, capsys):
    """In words that say what is the matter with it."""
    sql, words = case
    name = _database(root).relative_to(root)
    damage(name, lambda content: content if sql else b"junk" * 999)
    connect._opened.cache_clear()  # nobody writes to what this process reads
    if sql:
        with duckdb.connect(str(root / name)) as con:
            con.execute(sql)
    _refused(root, capsys, CHECK, words)


def test_a_warehouse_with_a_part_missing_is_built_again(root, capsys):
    """Records that are gone are missed, and the ingest that the message asks for does mend it."""
    next(_database(root).parent.glob("detail_record/*.parquet")).unlink()
    assert _call(*CHECK) == 2
    assert "detail records are there. Run: workbench data ingest sample" in capsys.readouterr().err
    assert _call(*INGEST) == 0
    assert _call(*CHECK) == 0


def test_only_project_paths_are_shown(root, capsys):
    """The account, the lists and the refusals name files as seen from the project."""
    for arguments in (("list",), CHECK, INGEST, ("data", "describe", "bill")):
        assert _call(*arguments) == 0
    assert str(root) not in "".join(capsys.readouterr())
