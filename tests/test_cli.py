"""The command answers a newcomer: help, lists, one clear refusal and an exit code."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import workbench
from workbench import cli, cli_data
from workbench.project import project_root
from workbench.reports.runs import slots
from workbench.studies.uplift import Trees, fit_uplift

SOURCE = str(Path(__file__).parents[1] / "src")
CELL = 'source: str = "sample"  # name: the operator\ntop: float = 0.2  # share: who is called the top'


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project with one study, in a folder with Chinese and a space; the working directory is inside it."""
    root = tmp_path / "工作 台"
    (root / "notebooks").mkdir(parents=True)
    (root / "data" / "mappings").mkdir(parents=True)
    cells = [new_markdown_cell("# 谁会买？"), new_code_cell(CELL, metadata={"tags": ["parameters"]})]
    nbformat.write(new_notebook(cells=cells), root / "notebooks" / "uplift.ipynb")
    monkeypatch.delenv("WORKBENCH_HOME", raising=False)
    monkeypatch.chdir(root / "notebooks")
    return root


@pytest.fixture
def call(capsys):
    """Call the command; give exit code, what it said and what it complained."""

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            cli.main(arguments)
        return left.value.code, *capsys.readouterr()

    return call


def _publish(root):
    """Put a finished report in place, as a run would."""
    slot = slots.find_slots([], {}, root)[0]
    folder = slot.folder(root)
    folder.mkdir(parents=True)
    manifest = f'{{"status": "done", "fingerprint": "{slot.fingerprint}", "seconds": 1, "headline": "Yes."}}'
    (folder / "manifest.json").write_text(manifest, encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--jobs", "x"], "Invalid value for '--jobs': 'x' is not a whole number. See --help."),
        (["run", "--timeout", "x"], "Invalid value for '--timeout': 'x' is not a number. See --help."),
        (["list", "uplift"], "Got unexpected extra argument (uplift). See --help."),
        (["score", "none.json", "l.csv"], "no uplift model at none.json. Fit one and keep it there with save()."),
        (["list", "--period", "2026-13"], "'2026-13' is no period: there is no such month or year."),
        (["status", "--period", "2026-13"], "'2026-13' is no period: there is no such month or year."),
        (
            ["handoff", "verify", "none.zip"],
            "'none.zip': No such file or directory. Check the path, its permissions and the room on the disk.",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_value_is_one_plain_sentence(arguments, said, root, call):
    """It names the value, in school English, and leaves nothing behind."""
    assert call(*arguments) == (2, "", f"workbench: {said}\n")
    assert not [*root.rglob("*.html"), *root.rglob("*.parquet")]


def test_an_address_of_dask_that_is_none_leaves_no_client(root, call):
    """One that finds out itself ends twenty seconds later, with a traceback."""
    pytest.importorskip("distributed")
    code, _, said = call("run", "uplift", "--dask", "nowhere")
    assert code == 2 and "no Dask scheduler answers at 'nowhere': missing port number" in said
    assert not [one for one in gc.get_objects() if type(one).__module__ == "distributed.client"]


def test_a_period_needs_no_plan(root, call):
    """The slots of a month have a state, whoever runs them."""
    for command in ("list", "status"):
        code, said, _ = call(command, "--period", "2026-06")
        assert (code, said.splitlines()[1].split()) == (0, ["uplift", "2026-06", "due"])


def test_help_is_for_newcomers(call):
    """Every command has a whole sentence; examples follow."""
    code, said, _ = call("--help")
    assert "..." not in said.partition("Commands:")[2] and "or what runs on a source." in said
    assert code == 0
    assert "Examples:" in said
    for command in ("report", "run", "list", "status", "lab", "data"):
        assert f"\n  {command} " in said
        assert call(command, "--help")[0] == 0
    for command in ("sample", "ingest", "ensure", "check", "describe"):
        assert f"\n  {command} " in call("data", "--help")[1]


def test_a_new_study_is_written_once(root, call):
    """Its notebook stands among the others; a second one, or an odd name, is refused."""
    now = "now: workbench run arrears --lang zh,en; the steps to go stand in CONTRIBUTING.md.\n"
    assert call("new", "arrears") == (0, f"notebooks/arrears.ipynb: written.\n{now}", "")
    assert "arrears" in call("list")[1]
    assert call("new", "欠费", "--lang", "zh")[0] == 0
    assert "# 欠费：要回答什么问题？" in (root / "notebooks" / "欠费.ipynb").read_text("utf-8")
    code, said, complaint = call("new", "arrears")
    assert (code, said) == (2, "") and "there is a study 'arrears' already" in complaint
    assert "cannot be the name of a study" in call("new", "../x")[2]


def test_list_shows_studies_with_their_parameters(root, call):
    """Type, default, unit and meaning of each, aligned."""
    code, said, _ = call("list")
    assert code == 0
    assert said.splitlines()[:4] == [
        "uplift: 谁会买？",
        "  parameter  type   default  unit   meaning",
        "  source     str    sample   name   the operator",
        "  top        float  0.2      share  who is called the top",
    ]


def test_nothing_to_do_is_said(root, call):
    """A second run does nothing, exits with 0 and says where to look."""
    _publish(root)
    code, said, _ = call("run")
    assert code == 0
    assert said.splitlines()[0] == "nothing to do: 1 report up to date"
    assert said.splitlines()[1].endswith(str(Path("reports", "site", "index.html")))


def test_a_run_with_nothing_to_do_loads_nothing_heavy(root):
    """Neither pandas nor papermill nor a template engine: it takes a moment."""
    _publish(root)
    (root / "reports/site/index.html").touch()
    heavy = "pandas", "papermill", "nbformat", "jinja2", "matplotlib", "duckdb", "numpy"
    program = (
        "import sys\nfrom workbench.cli import main\ntry:\n    main(['run'])\nexcept SystemExit:\n    pass\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": SOURCE}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, cwd=root)
    assert done.stdout.splitlines()[0] == "nothing to do: 1 report up to date"
    assert done.stdout.splitlines()[-1] == "[]"


def test_status_shows_what_was_published(root, call):
    """One line a slot with its state, and how many are in each; before the first run, that there was none."""
    assert call("status")[1].splitlines()[-1] == "nothing was run yet"
    (root / "reports/runs/ledger.sqlite").unlink()
    _publish(root)
    code, said, _ = call("status")
    assert code == 0
    assert said.splitlines()[1].split()[:4] == ["uplift", "default", "done", "1"]
    assert said.splitlines()[1].endswith("Yes.")
    assert said.splitlines()[-1] == "1 done"


def test_a_plan_is_listed_with_the_state_of_its_slots(root, call):
    """Due before it was run, done when published, stale when the notebook has changed."""
    (root / "reports/plans").mkdir(parents=True)
    (root / "reports/plans/all.toml").write_text('[[study]]\nname = "uplift"\n[study.parameters]\ntop = [0.2, 0.3]')
    _publish(root)
    assert [line.split()[:3] for line in call("list", "--plan", "all")[1].splitlines()[1:3]] == [
        ["uplift", "default", "done"],
        ["uplift", "top=0.3", "due"],
    ]
    path = root / "notebooks/uplift.ipynb"
    path.write_text(path.read_text("utf-8").replace("谁会买", "谁买"), encoding="utf-8")
    assert "1 due, 1 stale" in call("status", "--plan", "all")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnu"], "no command 'rnu'. Did you mean 'run'?"),
        (["data", "sampel"], "no command 'sampel'. Did you mean 'sample'?"),
        (["run", "uplit"], "no study 'uplit'. Did you mean 'uplift'?"),
        (["run", "-p", "tpo=1"], "study 'uplift' has no parameter 'tpo'. Did you mean 'top'?"),
        (["run", "-p", "top=much"], "parameter 'top' is 'much', but must be a number"),
        (["run", "-p", "top"], "not of the form name=value"),
        (["run", "--jobs", "0"], "0 is not in the range x>=1"),
        (["run", "--forse"], "'--forse'"),
        (["run", "--period", "2026-13"], "'2026-13' is no period: there is no such month"),
        (["run", "--period", "9000"], "period '9000' is not over on"),
        (["run", "--plan", "monthly"], "no plan 'monthly' in reports/plans"),
        (["list", "--plan", "x"], "no plan 'x'"),
        (["data", "describe", "bil"], "no table 'bil'. Did you mean 'bill'?"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments, words, root, call):
    """What, where and the nearest name on standard error; exit 2; nothing written."""
    code, said, complained = call(*arguments)
    assert code == 2
    assert said == ""
    assert complained.startswith("workbench: ")
    assert words in complained
    assert "Traceback" not in complained
    assert not (root / "reports").exists()


@pytest.fixture(scope="module")
def scoring(tmp_path_factory):
    """A saved model that a campaign of 2,400 members taught: contact is worth 3 in town A, else nothing; and a list."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("scoring")
    table = pd.DataFrame(
        {"customer_id": np.arange(2_400), "t": np.arange(2_400) % 2, "age": rng.integers(20, 70, 2_400)}
    )
    table["town"] = rng.choice(["A", "B"], 2_400)
    table["y"] = 5 + 3 * table["t"] * (table["town"] == "A") + rng.gamma(1, 1, 2_400)
    how = {"outcome": "y", "treatment": "t", "features": ["age", "town"], "margin": 1.0, "contact_cost": 1.0}
    fit_uplift(table, **how, trees=Trees(rounds=15, rate=0.2)).save(folder / "m.model.json")
    return folder / "m.model.json", table[["customer_id", "age", "town"]]


def test_a_new_list_is_scored(scoring, root, call):
    """Whom to contact, the money with its interval and the holdout; the file holds each member once."""
    model, listed = scoring
    listed.to_csv("october.csv", index=False)
    code, said, _ = call("score", str(model), "october.csv", "--campaign", "october", "--holdout", "0.2")
    assert code == 0
    chosen = int((listed["town"] == "A").sum())
    assert said.startswith(f"{chosen:,} of 2,400 members") and "are held out" in said
    assert "expected to earn: +" in said and "unlike" not in said
    written = pd.read_parquet("october.scored.parquet")
    assert (written["chosen"] == (listed["town"] == "A")).all() and written["customer_id"].is_unique
    assert (written["arm"] == "control").sum() == pytest.approx(0.2 * chosen, abs=4 * np.sqrt(0.16 * chosen))


def test_an_uplift_model_wants_a_campaign(scoring, root, call):
    """The holdout is drawn by its name: without one nothing is scored."""
    model, listed = scoring
    listed.to_csv("october.csv", index=False)
    code, said, complained = call("score", str(model), "october.csv")
    assert (code, said) == (2, "") and "needs --campaign" in complained and not Path("october.scored.parquet").exists()


def test_members_unlike_the_campaigns_are_said(scoring, root, call):
    """A third from a town the model never saw: counted, and no money given."""
    model, listed = scoring
    listed.assign(town=listed["town"].where(listed.index % 3 > 0, "C")).to_parquet("new.parquet")
    code, said, _ = call("score", str(model), "new.parquet", "--campaign", "november")
    assert code == 0
    assert "800 members (33.3%) are unlike those of the campaign, most in 'town' (800)" in said
    assert "No money is given: 33% of the list are unlike" in said


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda model, listed: (listed.drop(columns="town").to_csv("l.csv"), model)[1], "'town'"),
        (lambda model, listed: (listed.to_csv("l.csv"), "none.json")[1], "no uplift model at"),
        (lambda model, listed: (listed.to_csv("l.csv"), "l.csv")[1], "not a whole uplift model"),
        (lambda model, listed: model, "no list at l.csv"),
    ],
    ids=["a column is missing", "no model", "not a model", "no list"],
)
def test_what_cannot_be_scored_is_one_clear_line(spoil, words, scoring, root, call):
    """A wrong model file, a missing column or list: exit 2, named, nothing written."""
    model = spoil(*scoring)
    code, said, complained = call("score", str(model), "l.csv", "--campaign", "x")
    assert (code, said) == (2, "") and complained.startswith("workbench: ") and words in complained
    assert not Path("l.scored.parquet").exists()


def test_a_broken_notebook_is_named(root, call):
    """A file that is no notebook is refused by name."""
    (root / "notebooks" / "x.ipynb").write_text("{", encoding="utf-8")
    code, _, complained = call("list")
    assert code == 2
    assert "notebook 'x.ipynb': this is not a notebook" in complained


def test_outside_a_project_the_way_in_is_said(tmp_path, monkeypatch, call):
    """No project upwards, or a WORKBENCH_HOME that is no project."""
    monkeypatch.delenv("WORKBENCH_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    code, _, complained = call("list")
    assert code == 2
    assert "is not inside a workbench project" in complained
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "none"))
    assert "which has no data/mappings" in call("list")[2]


def test_the_project_is_found_from_below_or_by_name(root, monkeypatch, tmp_path):
    """From a folder inside it, or from anywhere through WORKBENCH_HOME."""
    assert project_root() == root.resolve()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_HOME", str(root))
    assert project_root() == root.resolve()


def test_describe_is_the_dictionary(call):
    """Tables with their meaning; a table's columns with type, unit and rules."""
    assert "\nholding " in call("data", "describe")[1]
    said = call("data", "describe", "holding")[1]
    assert "A row is identified by: customer_id, product_id, from_on." in said
    assert "in customer.customer_id" in said


def test_a_warehouse_is_stale_when_what_it_is_made_from_is_newer(root):
    """Missing, up to date, and older than an extract or the mapping."""
    assert cli_data._is_stale("sample", root)
    current = root / "data/warehouse/sample/CURRENT"
    raw = root / "data/raw/sample/bills.csv"
    for path in (raw, current):
        path.parent.mkdir(parents=True)
        path.write_text("x")
    later = current.stat().st_mtime + 3600 * 24 * 365 * 50
    os.utime(current, (later, later))
    assert not cli_data._is_stale("sample", root)
    os.utime(raw, (later + 1, later + 1))
    assert cli_data._is_stale("sample", root)


def test_python_m_workbench_is_the_command():
    """The module runs as the command does."""
    environment = os.environ | {"PYTHONPATH": SOURCE}
    command = [sys.executable, "-m", "workbench", "--version"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"workbench, version {workbench.__version__}\n"
