"""The page of one customer: made when asked for by name, of a customer who exists, and shown nowhere else."""

import json
import stat

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench.errors import WorkbenchError
from workbench.reports.handoff.bundle import create
from workbench.reports.runs.plans import load_plan
from workbench.reports.runs.render import run_slots
from workbench.reports.runs.site import write_site
from workbench.reports.runs.slots import find_slots

PARAMETERS = 'source: str = "sample"  # warehouse: which\n'


@pytest.fixture
def root(operator, tmp_path):
    """A project with a study of the base and one of a customer, and the sample's warehouse."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "reports/plans").mkdir(parents=True)
    (tmp_path / "data").symlink_to(operator / "data")
    for name, more in (("base", ""), ("one", 'customer: str = "1000000001"  # customer: whose page\n')):
        cells = [
            new_markdown_cell("# Study"),
            new_code_cell(PARAMETERS + more, metadata={"tags": ["parameters"]}),
            new_code_cell("from workbench.reports.page.notebook import answer\nanswer('Said.')"),
        ]
        nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / f"{name}.ipynb")
    return tmp_path


def test_a_customer_who_is_not_there_is_refused_before_a_kernel_starts(root):
    """In one sentence that names nobody else; so is an empty one."""
    assert find_slots(["one"], {"customer": "1000000002"}, root)[0].name == "customer=1000000002"
    for wrong, why in (
        ("13800138000", "knows no customer"),
        ("", "no customer is named"),
        ("all", "knows no customer"),
    ):
        with pytest.raises(WorkbenchError, match=why):
            find_slots(["one"], {"customer": wrong}, root)


def test_whoever_asks_for_all_reports_gets_no_customer(root):
    assert [slot.study.name for slot in find_slots([], {}, root)] == ["base"]
    assert [slot.study.name for slot in find_slots(["one", "base"], {}, root)] == ["one", "base"]


def test_no_plan_makes_such_a_page(root):
    """A list of customers in a plan would be the whole base, a page each."""
    plan = '[[study]]\nname = "one"\nparameters = { customer = ["1000000001", "1000000002"] }\n'
    (root / "reports/plans/p.toml").write_text(plan)
    with pytest.raises(WorkbenchError, match="page of one customer: no plan makes it"):
        load_plan("p", root)


def test_the_page_is_its_owners_alone_and_in_no_index_or_bundle(root, monkeypatch):
    """Its folder is closed to others, the index does not name it, and a bundle refuses it."""
    monkeypatch.setenv("WORKBENCH_HOME", str(root))
    made = run_slots(find_slots(["one", "base"], {}, root), root=root, jobs=1)
    assert [slot.status for slot in made.slots] == ["done", "done"]
    folder = root / "reports/site/one/default"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert json.loads((folder / "manifest.json").read_text())["parameters"][1]["value"] == "1000000001"
    index = write_site(root).read_text("utf-8")
    assert "base/default" in index and "one/default" not in index and "1000000001" not in index
    with pytest.raises(WorkbenchError, match="no such page leaves the house"):
        create(["one"], root=root)
