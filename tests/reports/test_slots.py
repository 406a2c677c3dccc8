"""A slot is due when anything its results depend on has changed."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench.errors import WorkbenchError
from workbench.reports.runs.slots import find_slots, find_studies, folder_name
from workbench.reports.runs.sources import warehouse_version


@pytest.fixture
def root(tmp_path):
    """A project with two studies, in a folder with Chinese and spaces."""
    root = tmp_path / "项目 一"
    (root / "notebooks").mkdir(parents=True)
    for name in ("a", "b"):
        _write(root, name)
    return root


def _write(root, name, body="x = 1", outputs=()):
    parameters = new_code_cell(
        'source: str = "sample"  # name: operator\nseed: int = 0  # seed', metadata={"tags": ["parameters"]}
    )
    cells = [new_markdown_cell("Text\n\n# Study"), parameters, new_code_cell(body, outputs=list(outputs))]
    nbformat.write(new_notebook(cells=cells), root / "notebooks" / f"{name}.ipynb")


def _fingerprint(root, given=None):
    return find_slots(["a"], given or {}, root)[0].fingerprint


def test_studies_are_the_notebooks_of_the_project(root):
    """Name from the file, title from the first heading."""
    assert {name: study.title for name, study in find_studies(root).items()} == {"a": "Study", "b": "Study"}


def test_all_studies_are_run_unless_named(root):
    """An unknown one is refused with the nearest."""
    assert [s.study.name for s in find_slots([], {}, root)] == ["a", "b"]
    assert [s.study.name for s in find_slots(["b", "b"], {}, root)] == ["b"]
    with pytest.raises(WorkbenchError, match=r"no study 'bb'\. Did you mean 'b'"):
        find_slots(["bb"], {}, root)
    with pytest.raises(WorkbenchError, match="no notebook in"):
        find_slots([], {}, root / "notebooks")


def test_a_notebook_that_is_none_is_named_once(root):
    """Whatever is asked of it first."""
    (root / "notebooks" / "a.ipynb").write_text("{", encoding="utf-8")
    with pytest.raises(WorkbenchError, match=r"^notebook 'a\.ipynb': this is not a notebook"):
        find_slots(["a"], {}, root)
    (root / "notebooks" / "a.ipynb").unlink()
    (root / "notebooks" / "a.ipynb").mkdir()
    with pytest.raises(WorkbenchError, match=r"^notebook 'a\.ipynb': Is a directory$"):
        find_slots(["a"], {}, root)


def test_the_fingerprint_follows_what_results_depend_on(root):
    """Source, parameters, warehouse version, models, rules and lock count; outputs do not."""
    first = _fingerprint(root)
    _write(root, "a", outputs=[nbformat.v4.new_output("stream", text="old")])
    assert _fingerprint(root) == first
    seen = {first, _fingerprint(root, {"seed": "1"})}
    _write(root, "a", body="x = 2")
    seen.add(_fingerprint(root))
    (root / "requirements.lock").write_text("numpy==2")
    seen.add(_fingerprint(root))
    (root / "data/models").mkdir(parents=True)
    (root / "data/models/m.toml").write_text("x=1")
    assert _fingerprint(root) in seen, "no parameter names the new model"
    (root / "data/models/sample.toml").write_text("x=1")
    seen.add(_fingerprint(root))
    (root / "data/rules").mkdir()
    (root / "data/rules/sample.toml").write_text("x=1")
    seen.add(_fingerprint(root))
    (root / "data/warehouse/sample").mkdir(parents=True)
    (root / "data/warehouse/sample/CURRENT").write_text("v2\nv1\n")
    seen.add(_fingerprint(root))
    assert len(seen) == 7
    assert find_slots(["a"], {}, root)[0].data_version == "v2"


def test_the_folder_is_named_after_what_differs(root):
    """Defaults give `default`, also when said explicitly."""
    names = [find_slots(["a"], given, root)[0].name for given in ({}, {"seed": "0"}, {"seed": "2"})]
    assert names == ["default", "default", "seed=2"]


@pytest.mark.parametrize(
    "value", ["../../x", "/etc/passwd", "..", ".", "a\\b", "CON:", "x" * 300, "\u202ex", "=1+1|<script>", "北" * 200]
)
def test_no_value_leads_out_of_the_folder(value, root):
    """Whatever the text, the folder is one legal, short and distinct name."""
    name = folder_name({"p": value})
    folder = root / name
    assert folder.parent == root
    folder.mkdir()
    assert len(name.encode()) < 255
    assert not name.startswith(".")
    assert name != folder_name({"p": value + "x"})


def test_a_source_cannot_lead_out_of_the_warehouse(root):
    """A path as source has no version."""
    assert warehouse_version("../../etc", root) == ""
