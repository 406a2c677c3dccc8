"""JupyterLab's room: new studies from the template, what the panel is told, jobs refused before they run."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench.errors import WorkbenchError
from workbench.lab.server import describe, refusals
from workbench.lab.start import EXTENSIONS, settings
from workbench.lab.template import TEMPLATE, new_study
from workbench.reports.runs.choices import campaign_name, choices, wrong
from workbench.reports.runs.execute import _called
from workbench.reports.runs.parameters import Parameter
from workbench.reports.runs.render import run
from workbench.reports.runs.slots import Study, find_studies
from workbench.warehouse import customer_features, open_warehouse

ROOT = Path(__file__).resolve().parents[2]
CELL = 'province: str = "北京"  # province: whose\nseed: int = 1  # seed: of the draw'


@pytest.fixture
def root(tmp_path):
    """A project with one study, in a folder with Chinese and a space."""
    root = tmp_path / "工作 台"
    (root / "notebooks").mkdir(parents=True)
    (root / "data" / "mappings").mkdir(parents=True)
    cells = [new_markdown_cell("# 谁会买？"), new_code_cell(CELL, metadata={"tags": ["parameters"]})]
    nbformat.write(new_notebook(cells=cells), root / "notebooks" / "buyers.ipynb")
    return root


def test_a_chinese_name_makes_a_class_that_lint_sorts(tmp_path):
    """Han characters have no capitals: the class gets one, so that it goes before the function."""
    (tmp_path / "src/workbench/studies").mkdir(parents=True)
    _, room, *_ = new_study("欠费", tmp_path)
    said = room.read_text("utf-8")
    assert "import Study欠费Result, 欠费\n" in said and '["Study欠费Result", "欠费"]' in said


def test_a_new_study_runs_and_has_the_form_of_the_house(root, operator):
    """The template is published as it is; its headings, tags and thin cells are those that every study is held to."""
    (root / "data" / "warehouse").symlink_to(operator / "data" / "warehouse")
    (root / "data" / "mappings").rmdir()
    (root / "data" / "mappings").symlink_to(operator / "data" / "mappings")
    (path,) = new_study("欠费", root)
    (made,) = run(["欠费"], root=root, progress=False).slots
    assert made.status == "done" and "revenue" in made.message
    cells = json.loads(path.read_text("utf-8"))["cells"]
    prose = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    assert prose.startswith("# 欠费: ")
    assert re.findall(r"^## (.+)$", prose, re.M) == ["Answer", "Decision", "Data", "Method", "Result", "Check"]
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    assert not any(re.search(r"^\s*((def|class) |(for|while) .*:$)", source, re.M) for source in code)
    assert [p.name for p in find_studies(root)["欠费"].parameters] == ["source", "as_of", "province", "seed"]
    assert sum("nbval-check-output" in c["metadata"].get("tags", ()) for c in cells) == 1


@pytest.mark.prove
def test_in_a_checkout_a_new_study_has_a_module_and_a_test_that_run(tmp_path, operator):
    """As they are written: the page in both languages, the test, what `make lint` reads; a second one is refused."""
    package = tmp_path / "src" / "workbench"
    shutil.copytree(ROOT / "src" / "workbench", package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "notebooks").mkdir()
    for name in ("data", "pyproject.toml"):
        (tmp_path / name).symlink_to((operator if name == "data" else ROOT) / name)
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src"), "WORKBENCH_HOME": str(tmp_path)}

    def call(*words):
        return subprocess.run(
            [sys.executable, "-m", *words], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8"
        )

    assert "tests/studies/test_late_payers.py: written." in call("workbench", "new", "late_payers").stdout
    assert "there is a study 'late_payers' already" in call("workbench", "new", "late_payers").stderr
    room, test = package / "studies" / "late_payers", tmp_path / "tests" / "studies" / "test_late_payers.py"
    for command in (("check",), ("format", "--check")):
        assert call("ruff", *command, str(room), str(test)).returncode == 0
    tested = call("pytest", "-p", "no:cacheprovider", str(test))
    assert "4 passed" in tested.stdout, tested.stdout
    ran = call("workbench", "run", "late_payers", "--lang", "zh,en")
    assert ran.returncode == 0, ran.stderr
    customers = customer_features(open_warehouse("sample", root=operator), "2026-07-01")
    share = f"{(customers['tenure_months'] < 12).mean():.1%}"
    site = tmp_path / "reports/site/late_payers/default"
    assert f"{share}的客户" in (site / "index.html").read_text("utf-8")
    english = (site / "index.en.html").read_text("utf-8")
    assert re.search(rf"{share} \([^)]*; 95% interval\) of customers joined less than 12 months ago", english)


@pytest.mark.parametrize("name", ["", "../x", "a b", "Late", "class", "1st", "x" * 61, "<b>", "ｎｅｗ", "ﬁt"])
def test_a_name_that_is_no_module_is_refused(name, root):
    """A study's notebook, module and report share one name, so it must be able to be all three."""
    with pytest.raises(WorkbenchError, match="cannot be the name of a study"):
        new_study(name, root)
    assert [p.name for p in (root / "notebooks").iterdir()] == ["buyers.ipynb"]


def test_a_new_study_never_replaces_one(root):
    """What an analyst wrote stays."""
    before = (root / "notebooks" / "buyers.ipynb").read_bytes()
    with pytest.raises(WorkbenchError, match="there is a study 'buyers' already"):
        new_study("buyers", root)
    assert (root / "notebooks" / "buyers.ipynb").read_bytes() == before


@pytest.mark.parametrize(
    ("spoken", "asked", "title"),
    [
        ("zh,en", "", "# buyers_2：要回答什么问题？\n"),
        ("zh,en", "en", "# buyers_2: what is the question?\n"),
        ("", "", "# buyers_2: what is the question?\n"),
        ("", "zh", "# buyers_2：要回答什么问题？\n"),
    ],
)
def test_a_new_study_is_written_in_the_language_of_reports(spoken, asked, title, root, monkeypatch):
    """The first of them, or the one asked for; every cell of text is, and the code is the same."""
    monkeypatch.setenv("WORKBENCH_LANG", spoken)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    cells = json.loads(new_study("buyers_2", root, asked)[0].read_text("utf-8"))["cells"]
    template = json.loads(TEMPLATE.read_text("utf-8"))["cells"]
    assert cells[0]["source"][0] == title and "NAME" not in "".join(cells[0]["source"])
    chinese = ["\u4e00" <= "".join(c["source"]).lstrip("# ")[0] for c in cells[1:] if c["cell_type"] == "markdown"]
    assert set(chinese) == {"：" in title}
    assert [c for c in cells if c["cell_type"] == "code"] == [c for c in template if c["cell_type"] == "code"]
    assert [c["id"] for c in cells] == [c["id"] for c in template]


def test_a_language_without_a_catalogue_is_refused(root):
    """Nothing is written."""
    with pytest.raises(WorkbenchError, match="no language 'fr'"):
        new_study("buyers_2", root, "fr")
    assert [p.name for p in (root / "notebooks").iterdir()] == ["buyers.ipynb"]


def test_each_wrong_value_is_named_beside_its_field(root):
    """All mistakes at once, by parameter; an unknown name with the nearest one."""
    study = find_studies(root)["buyers"]
    assert refusals(study, {"province": "上海", "seed": "7"}, root) == {}
    errors = refusals(study, {"seed": "many", "province": "a\nb", "sede": "1"}, root)
    assert errors["seed"] == "parameter 'seed' is 'many', but must be a whole number, such as 10."
    assert "text of one line" in errors["province"]
    assert "Did you mean 'seed'?" in errors["sede"]


def test_the_panel_is_told_of_every_study(root):
    """Title, fields and report of each; one that cannot be read says why and hides no other."""
    (root / "notebooks" / "broken.ipynb").write_text("{", encoding="utf-8")
    broken, buyers = (describe(study, root) for study in find_studies(root).values())
    assert "not a notebook of format 4" in broken["error"]
    assert buyers["title"] == "谁会买？" and buyers["page"] == "buyers/default/index.html"
    assert buyers["parameters"][0] == {
        "name": "province",
        "type": "str",
        "unit": "province",
        "meaning": "whose",
        "default": "北京",
        "choices": [],
        "label": "province",
    }


def test_what_may_be_chosen_is_what_the_warehouse_has(operator):
    """Campaigns by name, the arms of the chosen one, provinces by their codes; a value that is not there is refused."""
    names = ("campaign_effect", "rollout", "satisfaction")
    studies = {name: Study(name, ROOT / "notebooks" / f"{name}.ipynb") for name in names}
    offered = choices(studies["campaign_effect"], {"campaign": "bundle_offers"}, operator)
    assert ("data_upgrade", "流量升级外呼 (data_upgrade)") in offered["campaign"]
    assert [value for value, _ in offered["arm"]] == ["best", "call", "data_pack", "voucher"]
    chinese = dict(choices(studies["campaign_effect"], {}, operator, "zh")["arm"])
    assert chinese["best"] == "效应最大的一组" and chinese["call"] == "电话"
    assert dict(choices(studies["rollout"], {}, operator)["campaign"]).keys() == {"home_pilot"}
    asked = choices(studies["satisfaction"], {}, operator)
    assert asked["province"][:2] == [("", "all"), ("北京", "北京 (Beijing)")]
    assert [value for value, _ in asked["wave"]] == ["latest", "2026", "2025"]
    assert ("Quality", "Quality") in asked["construct"] and asked["source"] == [("sample", "sample")]
    errors = wrong(studies["campaign_effect"], {"campaign": "spring", "margin_churn": "1.2", "arm": "call"}, operator)
    assert errors.keys() == {"campaign", "margin_churn"} and "must be one of" in str(errors["campaign"])
    assert "must lie from 0 to 1" in str(errors["margin_churn"])
    assert campaign_name("data_upgrade", "sample", operator) == "流量升级外呼"
    assert campaign_name("spring", "sample", operator) == campaign_name("x", "elsewhere", operator) == ""
    job = SimpleNamespace(root=operator, slot=SimpleNamespace(data_version="v", parameters={}))
    named = [_called({"unit": "warehouse", "value": name}, job).get("called") for name in ("sample", "elsewhere")]
    assert named == ["中国电信", None]


def test_a_number_keeps_to_the_range_that_its_meaning_says():
    """From the comment or the unit; the default is legal wherever it lies; a year is no range."""
    day = Parameter("day", "int", 15, "day", "of each month, 1-28")
    margin = Parameter("margin", "float", -1.0, "share", "0-1; -1 takes the campaign's own")
    assert day.parse("28") == 28 and margin.parse("-1") == -1.0 and margin.parse("1") == 1.0
    for parameter, text in ((day, "29"), (margin, "-0.5"), (Parameter("months", "int", 3, "months"), "-1")):
        with pytest.raises(WorkbenchError, match=r"must (lie from|be 0 or more)"):
            parameter.parse(text)
    assert Parameter("since", "int", 2024, "year", "of the data of 2024-07").parse("-5") == -5


@pytest.fixture
def jobs(root):
    """The scheduler of jobs, on a database of its own."""
    from jupyter_scheduler.orm import create_tables

    from workbench.lab.execution import LedgerJobs, ThisEnvironment

    address = f"sqlite:///{root.parent}/jobs.sqlite"
    create_tables(address)
    return LedgerJobs(root_dir=str(root), environments_manager=ThisEnvironment(), db_url=address)


@pytest.mark.parametrize(
    ("notebook", "parameters", "words"),
    [
        ("notebooks/buyers.ipynb", {"sede": "1"}, "Did you mean 'seed'?"),
        ("notebooks/buyers.ipynb", {"seed": "1; import os"}, "must be a whole number"),
        ("notebooks/buyer.ipynb", {}, "no study 'buyer' in notebooks. Did you mean 'buyers'?"),
        ("draft/buyers.ipynb", {}, "is not notebooks/buyers.ipynb as it stands now"),
    ],
)
def test_a_job_that_would_fail_is_refused_before_it_starts(notebook, parameters, words, jobs, root):
    """Parameters are values of their type, never code; a report is made of the study itself, never of a draft."""
    from jupyter_scheduler.exceptions import SchedulerError
    from jupyter_scheduler.models import CreateJob, ListJobsQuery

    (root / "draft").mkdir()
    nbformat.write(new_notebook(cells=[new_code_cell("1")]), root / "draft" / "buyers.ipynb")
    job = CreateJob(name="x", input_uri=notebook, runtime_environment_name="workbench", parameters=parameters)
    with pytest.raises(SchedulerError, match=re.escape(words)):
        jobs.create_job(job)
    assert jobs.list_jobs(ListJobsQuery()).jobs == []


def test_a_schedule_is_a_plan(jobs):
    """Lab keeps no schedule of its own: it would lose the runs that are due while it is closed."""
    from jupyter_scheduler.exceptions import SchedulerError

    with pytest.raises(SchedulerError, match="workbench schedule"):
        jobs.create_job_definition(None)
    assert jobs.task_runner is None


def test_what_lab_is_told_exists():
    """The extension stands where the settings point, and names the file that Lab loads."""
    folder = Path(settings(Path("/x"))["LabApp.extra_labextensions_path"])
    package = json.loads((folder / "workbench" / "package.json").read_text("utf-8"))
    assert folder == EXTENSIONS and package["name"] == "workbench"
    assert (folder / "workbench" / package["jupyterlab"]["_build"]["load"]).is_file()


def test_lab_serves_neither_the_key_nor_data(tmp_path):
    """Key, extracts, repairs and warehouses are not listed, read, written, renamed or copied; nor by way of a link."""
    from jupyter_server.services.contents.manager import AsyncContentsManager
    from tornado.web import HTTPError
    from traitlets.utils.importstring import import_item

    contents = import_item(settings(tmp_path)["ServerApp.contents_manager_class"])(root_dir=str(tmp_path))
    assert isinstance(contents, AsyncContentsManager)
    for name in ("private/key", "raw/shop/客户.csv", "repairs/shop/x.csv", "warehouse/shop/CURRENT", "mappings/a.toml"):
        (tmp_path / "data" / name).parent.mkdir(parents=True)
        (tmp_path / "data" / name).write_text("13800138000")
    (tmp_path / "link").symlink_to(tmp_path / "data" / "private")
    listed = asyncio.run(contents.get("data"))["content"]
    assert [one["name"] for one in listed] == ["mappings"]
    assert asyncio.run(contents.get("data/mappings/a.toml"))["content"] == "13800138000"
    fetched = contents.files_handler_class
    for path in ("data/private/key", "data/raw/shop/客户.csv", "link/key"):
        with pytest.raises(HTTPError, match="404"):
            fetched.validate_absolute_path(object.__new__(fetched), str(tmp_path), str(tmp_path / path))
    new = {"type": "file", "format": "text", "content": ""}
    for path in ("data/private/key", "data/raw/shop/客户.csv", "data/raw", "data/repairs/../private/key", "link/key"):
        for asked in (
            lambda path: contents.get(path),
            lambda path: contents.save(new, path),
            lambda path: contents.rename_file(path, "mine"),
            lambda path: contents.copy(path, "data/mappings"),
            lambda path: contents.delete_file(path),
        ):
            with pytest.raises(HTTPError) as refused:
                asyncio.run(asked(path))
            assert refused.value.status_code == 404, path
