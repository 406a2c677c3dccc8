"""What a report reads is fixed when its slot is named: data and notebook may change meanwhile, the report does not."""

import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench.errors import WorkbenchError
from workbench.locks import locked
from workbench.project import PINNED, READS
from workbench.reports.runs.render import run
from workbench.warehouse import open_warehouse
from workbench.warehouse.ingest import ingest
from workbench.warehouse.versions import put_in_force, versions_in_force

MAPPING = """
title = "Small"
operator = "中国电信"
as_of = 2026-07-01
[[file]]
path = "c.csv"
table = "customer"
[file.columns]
customer_id = "id"
kind = { constant = "person" }
province = { constant = "广东" }
joined_on = { constant = "2020-01-01" }
"""
SOURCE = 'source: str = "t"  # warehouse: which'
SAY = """
from workbench.reports.page.notebook import answer
from workbench.warehouse import open_warehouse
warehouse = open_warehouse(source)
answer(f"{warehouse.query('SELECT count(*) n FROM customer')['n'][0]} customers, version {warehouse.version}")
"""


@pytest.fixture
def root(tmp_path):
    """A project whose warehouse holds one customer."""
    for folder in ("data/mappings", "data/raw/t", "notebooks"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data/mappings/t.toml").write_text(MAPPING, "utf-8")
    deliver(tmp_path, 1)
    return tmp_path


def deliver(root, customers):
    """Put another delivery in the place of the last one, and ingest it."""
    (root / "data/raw/t/c.csv").write_text("\n".join(["id", *(f"C{i}" for i in range(customers))]) + "\n")
    return ingest("t", root=root).version


def notebook(root, name, *cells):
    first = new_code_cell(SOURCE, metadata={"tags": ["parameters"]})
    made = new_notebook(cells=[first, *(new_code_cell(cell.strip()) for cell in cells)])
    nbformat.write(made, root / "notebooks" / f"{name}.ipynb")


def manifest(root, study):
    return json.loads((root / "reports/site" / study / "default" / "manifest.json").read_text("utf-8"))


def test_a_report_is_of_the_version_that_its_manifest_names(root):
    """Three deliveries come while it runs, so that its version is neither in force nor the one before; it is kept."""
    first = versions_in_force(root / "data/warehouse/t")[0]
    code = (
        "import sys\nfrom pathlib import Path\nsys.path.insert(0, sys.argv[1])\n"
        "from test_reads import deliver\n[deliver(Path('.'), n) for n in (3, 4, 5)]"
    )
    meanwhile = f"""
import os, subprocess, sys
env = {{name: value for name, value in os.environ.items() if name not in {(PINNED, READS)!r}}}
subprocess.run([sys.executable, "-c", {code!r}, {str(Path(__file__).parent)!r}], check=True, env=env)
"""
    notebook(root, "count", meanwhile, SAY)
    (made,) = run(root=root, progress=False).slots
    assert (made.status, made.message) == ("done", f"1 customers, version {first}")
    assert manifest(root, "count")["data_version"] == first
    assert manifest(root, "count")["inputs"].keys() == {"version", "tables"}, "all that was read is of that version"
    assert (root / "data/warehouse/t" / first).is_dir()
    last = deliver(root, 6)
    assert not (root / "data/warehouse/t" / first).exists(), "nobody reads it now"

    notebook(root, "count", SAY)
    (made,) = run(root=root, progress=False).slots
    assert made.message == f"6 customers, version {last}"


def test_a_second_source_is_pinned_too(root):
    """What a further parameter names is read in the version that the run began with, and outdates the report."""
    (root / "data/mappings/u.toml").write_text(MAPPING, "utf-8")
    (root / "data/raw/u").mkdir()

    def second(customers):
        (root / "data/raw/u/c.csv").write_text("\n".join(["id", *(f"C{i}" for i in range(customers))]) + "\n")
        return ingest("u", root=root).version

    first = second(7)
    code = "import sys\nfrom pathlib import Path\nfrom workbench.warehouse.ingest import ingest\nfor n in (8, 9, 10):\n"
    code += "    Path('data/raw/u/c.csv').write_text('\\n'.join(['id', *map(str, range(n))]))\n"
    code += "    ingest('u', root=Path('.'))"
    meanwhile = f"""
import os, subprocess, sys
env = {{name: value for name, value in os.environ.items() if name not in {(PINNED, READS)!r}}}
subprocess.run([sys.executable, "-c", {code!r}], check=True, env=env)
"""
    say = SAY.replace("open_warehouse(source)", "open_warehouse(against)")
    notebook(root, "two", 'against: str = "u"  # name: the other', meanwhile, say)
    path = root / "notebooks/two.ipynb"
    book = nbformat.read(path, 4)
    book.cells[0].source += "\n" + book.cells.pop(1).source
    nbformat.write(book, path)
    (made,) = run(root=root, progress=False).slots
    assert (made.status, made.message) == ("done", f"7 customers, version {first}")
    (made,) = run(root=root, progress=False).slots
    assert made.status == "done" and made.message.startswith("10 customers"), "the second source outdates it"
    assert run(root=root, progress=False).slots[0].status == "unchanged"


def test_a_report_tells_the_warnings_of_the_tables_it_reads(root):
    """On the page, in the manifest and in the workbook; of no table that it does not read."""
    mapping = MAPPING.replace("joined_on", 'birth_year = { constant = "2021" }\njoined_on')
    (root / "data/mappings/t.toml").write_text(mapping, "utf-8")
    deliver(root, 3)
    notebook(root, "count", SAY)
    notebook(root, "other", SAY.replace("customer'", "bill'"))
    run(root=root, progress=False)
    said = "customer: the customer joined before the year of birth: 3 of 3 rows (customer.born_after_joining)"
    assert manifest(root, "count")["warnings"][1] == said and manifest(root, "other")["warnings"] == []
    page = root / "reports/site/count/default/index.html"
    assert "1 warning on the data behind this report, in customer" in page.read_text("utf-8")


def test_a_delivery_that_is_taken_back_leaves_the_report_up_to_date(root):
    """The report of the first delivery is not that of the wrong one."""
    notebook(root, "count", SAY)
    run(root=root, progress=False)
    deliver(root, 3)
    deliver(root, 1)
    (made,) = run(root=root, progress=False).slots
    assert made.status == "unchanged" and made.message.startswith("1 customers")


def test_a_notebook_that_is_changed_while_others_run_is_run_as_it_was_named(root):
    """Its next run sees that it has changed."""
    path = root / "notebooks/later.ipynb"
    notebook(root, "changed", SAY.replace("customers", "people"))
    changed = path.with_name("changed.ipynb").rename(root / "changed.ipynb")
    notebook(root, "first", f"import os\nos.replace({str(changed)!r}, {str(path)!r})", SAY)
    notebook(root, "later", SAY)
    made = {slot.study: slot for slot in run(root=root, progress=False, jobs=1).slots}
    assert made["later"].message.startswith("1 customers")
    again = run(["later"], root=root, progress=False)
    assert (again.slots[0].status, again.slots[0].message[:8]) == ("done", "1 people")


def test_a_version_that_is_held_is_removed_by_the_next(tmp_path):
    """By hand: two are kept, a third while somebody reads it."""

    def publish(name):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "warehouse.duckdb").touch()
        put_in_force(tmp_path, name)
        return sorted(p.name for p in tmp_path.iterdir() if p.is_dir())

    assert (publish("a"), publish("b")) == (["a"], ["a", "b"])
    with locked(tmp_path / "a", shared=True):
        assert publish("c") == ["a", "b", "c"]
    assert publish("d") == ["c", "d"]


def test_a_version_that_is_gone_before_the_run_is_told(root, monkeypatch):
    """And another project's warehouse is not touched by what a run of this one has pinned."""
    folder = root / "data/warehouse/t"
    monkeypatch.setenv(PINNED, str(folder / "0123456789ab"))
    with pytest.raises(WorkbenchError, match=r"version 0123456789ab .* is gone: .* Run it again"):
        open_warehouse("t", root=root)
    monkeypatch.setenv(PINNED, str(root / "elsewhere/data/warehouse/t/0123456789ab"))
    assert open_warehouse("t", root=root).version == versions_in_force(folder)[0]
