"""Notebooks become reports: whole or not at all, each for itself."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import openpyxl
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench.reports.runs import execute, write
from workbench.reports.runs.publish import publish
from workbench.reports.runs.render import run

EVIL = "</script><script>alert(1)</script>=1+1 ../../x \"' \u202eabc"
PARAMETERS = """
source: str = "sample"  # name: the operator
as_of: date = "2026-07-01"  # date: nothing later is known
province: str = "北京"  # name: the province
"""
SETUP = """
import pandas as pd
from matplotlib import pyplot as plt
from workbench.reports.page.notebook import answer, record, show_figure, show_list, show_table, use_theme
from workbench.result import Quantity
use_theme()
"""
TABLE = """
frame = pd.DataFrame({"text": [province, "=1+1", "@x"], "n": [5, 20, 30], "share": [0.5, 1 / 3, 0.2]})
show_table(frame, name="text " + province, caption=province, counts="n")
"""
FIGURE = """
figure, ax = plt.subplots()
ax.plot([1, 2], [3, 1])
ax.set_xlabel("月份")
show_figure(ax, name="line", caption=province, alt=province)
"""


def _notebook(root: Path, name: str, *sources: str) -> None:
    """Write a notebook: text starting with # is markdown, the cell with a type annotation has the parameters."""
    cells = []
    for source in sources:
        if source.startswith("#"):
            cells.append(new_markdown_cell(source))
        else:
            tags = {"tags": ["parameters"]} if "as_of: date" in source else {}
            cells.append(new_code_cell(source.strip(), metadata=tags))
    kernel = {"name": "no-such-kernel", "display_name": "Other", "language": "python"}
    (root / "notebooks").mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), root / "notebooks" / f"{name}.ipynb")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A project in a folder with Chinese, spaces and braces."""
    return tmp_path_factory.mktemp("w") / "项目 {一}"


@pytest.fixture(scope="module")
def made(root):
    """One run over a good study, three that fail in their own ways, with a hostile parameter."""
    dates = "from datetime import date"
    say = "answer(f'In {province} sales rose.')\nrecord(Quantity('n[p=' + province + ']', 3, 'customers'))"
    _notebook(root, "good", "# 好 & good", dates, PARAMETERS, SETUP, say, "## Data", TABLE, FIGURE, "print(1)")
    refusal = "from workbench.errors import CannotAnswer\nraise CannotAnswer('no survey of ' + as_of + '. Ask later.')"
    _notebook(root, "refused", "# Refused", dates, PARAMETERS, "## Data", refusal)
    _notebook(root, "broken", "# Broken", dates, PARAMETERS, "import os\nopen(os.getcwd() + '/none.csv')")
    _notebook(root, "dead", "# Dead", dates, PARAMETERS, "print('alive')", "import os\nos.kill(os.getpid(), 9)")
    report = run(parameters={"province": EVIL}, root=root, progress=False)
    return {slot.study: slot for slot in report.slots}


def test_a_failing_study_does_not_stop_the_others(made):
    """Each ends for itself."""
    status = {name: slot.status for name, slot in made.items()}
    assert status == {"broken": "failed", "dead": "failed", "good": "done", "refused": "failed"}


def test_a_report_has_all_its_files(made):
    """Page, sheets, PDF, numbers, executed notebook and manifest."""
    files = {p.name for p in made["good"].folder.iterdir()}
    assert files == {"index.html", "tables.xlsx", "report.pdf", "results.json", "report.ipynb", "manifest.json"}
    manifest = json.loads((made["good"].folder / "manifest.json").read_text("utf-8"))
    assert manifest["headline"] == f"In {EVIL} sales rose."
    assert [p["name"] for p in manifest["parameters"] if p["changed"]] == ["province"]
    numbers = json.loads((made["good"].folder / "results.json").read_text("utf-8"))
    assert numbers == [
        {"name": f"n[p={EVIL}]", "value": 3.0, "unit": "customers", "low": None, "high": None, "rtol": 1e-6}
    ]


def test_hostile_text_is_text_in_page_and_sheet(made, root):
    """No script in the page, no formula in the sheet, no file outside the site."""
    page = (made["good"].folder / "index.html").read_text("utf-8")
    assert page.count("<script") == 1 and "alert(1)</script>" not in page
    assert "<title>好 &amp; good</title>" in page
    book = openpyxl.load_workbook(made["good"].folder / "tables.xlsx")
    assert all(c.data_type != "f" for sheet in book for row in sheet.iter_rows() for c in row)
    assert [c.value for c in book.worksheets[0][4]] == [EVIL, "<10", "–"]
    assert {p.name for p in root.iterdir()} == {"notebooks", "reports"}
    assert [p.name for p in (root / "reports" / "runs").iterdir()] == ["ledger.sqlite"]


def test_a_list_is_published_with_its_page_and_only_whole(tmp_path):
    """The page links to its files; a later failure keeps the good list and none of its own."""
    rows = "show_list(pd.DataFrame({'customer_id': ['c1']}), name='targets', definition='<b>Best</b>.', as_of=as_of)"
    model = "type('M', (), {'save': lambda self, path: (path.write_text('{}'), path)[1]})()"
    kept = (
        f"from workbench.reports.page.notebook import show_model\nshow_model({model}, name='who', definition='Reacts.')"
    )
    head = ("# Acting", "from datetime import date", PARAMETERS, SETUP)
    _notebook(tmp_path, "acting", *head, rows, kept, "answer('Act.')")
    folder = run(root=tmp_path, progress=False).slots[0].folder
    page = (folder / "index.html").read_text("utf-8")
    assert 'href="targets.list.csv"' in page and "&lt;b&gt;Best" in page and "1 row." in page
    assert 'href="who.model.json"' in page and "Model &#39;who&#39;. Reacts." in page
    _notebook(
        tmp_path,
        "acting",
        "# Acting",
        "from datetime import date",
        PARAMETERS,
        SETUP,
        rows.replace("c1", "c2"),
        "1 / 0",
    )
    assert run(root=tmp_path, progress=False).slots[0].status == "failed"
    assert "c1" in (folder / "targets.list.csv").read_text("utf-8-sig") and (folder / "who.model.json").exists()
    assert "failure.html" in {p.name for p in folder.iterdir()}


def test_a_page_is_small_beside_its_figures(made):
    """Under 60 KB without the pictures."""
    page = (made["good"].folder / "index.html").read_text("utf-8")
    pictures = sum(len(part.split('"')[0]) for part in page.split("base64,")[1:])
    assert len(page.encode()) - pictures < 60_000


def test_nothing_tells_of_the_machine(made, root):
    """No file names a path of this machine."""
    for slot in made.values():
        for path in slot.folder.iterdir():
            if path.suffix in (".html", ".ipynb", ".json"):
                text = path.read_text("utf-8")
                assert str(root) not in text
                assert sys.prefix not in text
                assert "/tmp/" not in text
                assert "papermill" not in text


def test_the_executed_notebook_shows_its_parameters_readably(made):
    """The values stand behind the declarations, Chinese as Chinese, direction marks escaped."""
    notebook = nbformat.read(made["good"].folder / "report.ipynb", as_version=4)
    nbformat.validate(notebook)
    given = next(c for c in notebook.cells if "injected-parameters" in c.metadata.get("tags", []))
    assert 'source = "sample"' in given.source
    assert "\\u202e" in given.source
    assert notebook.metadata.kernelspec.name == "python3"


def test_a_refusal_is_said_in_its_own_words(made):
    """A study's refusal is shown without traceback, an accident with one, folded."""
    assert made["refused"].message == "no survey of 2026-07-01. Ask later."
    refused = (made["refused"].folder / "failure.html").read_text("utf-8")
    assert "in cell 3, under “Data”" in refused
    assert "traceback" not in refused
    broken = (made["broken"].folder / "failure.html").read_text("utf-8")
    assert "FileNotFoundError" in made["broken"].message
    assert "<summary>Traceback</summary>" in broken
    assert "none.csv" in broken
    assert "the kernel died" in made["dead"].message


def test_the_index_lists_every_report_by_relative_links(made, root):
    """Status, answer and files; every link leads to a file."""
    from html.parser import HTMLParser
    from urllib.parse import unquote

    index = root / "reports" / "site" / "index.html"
    links = []
    parser = HTMLParser()
    parser.handle_starttag = lambda name, attributes: links.extend(v for k, v in attributes if k == "href")
    parser.feed(index.read_text("utf-8"))
    assert len(set(links)) == 9
    assert all((index.parent / unquote(link)).is_file() for link in links)
    assert "4 reports" in index.read_text("utf-8")


SAY = "from workbench.reports.page.notebook import answer, record\nfrom workbench.result import Quantity\n"


def test_the_last_good_version_stays_marked_beside_a_failure(tmp_path):
    """Nothing to do at first, then a failure that keeps the results, then a good run that clears the mark."""
    _notebook(tmp_path, "s", "# S", SAY + "answer('Version one.')\nrecord(Quantity('n', 1, 'customers'))")
    assert [s.status for s in run(root=tmp_path, progress=False).slots] == ["done"]
    again = run(root=tmp_path, progress=False)
    assert [s.status for s in again.slots] == ["unchanged"]
    assert again.seconds < 1
    folder = again.slots[0].folder

    for sources in (
        ("# S", SAY + "record(Quantity('n', 1, '1'))", "record(Quantity('n', 2, '1'))"),
        ("# S", "from IPython.display import Image\nImage(b'\\x89PNG', format='png')"),
    ):
        _notebook(tmp_path, "s", *sources)
        failed = run(root=tmp_path, progress=False)
        assert len(failed.failed) == 1
        page = (folder / "index.html").read_text("utf-8")
        assert "Version one." in page
        assert page.count("This is the last good version") == 1
        assert json.loads((folder / "results.json").read_text("utf-8"))[0]["value"] == 1
        assert 'href="index.html">The last good version' in (folder / "failure.html").read_text("utf-8")
    assert "without caption and description" in failed.failed[0].message

    _notebook(tmp_path, "s", "# S", SAY + "answer('Version two.')")
    run(root=tmp_path, progress=False)
    assert "last good version" not in (folder / "index.html").read_text("utf-8")
    assert not (folder / "failure.html").exists()
    assert not list(folder.parent.glob(".*"))


def test_a_notebook_that_ends_before_its_end_is_no_report(tmp_path):
    """sys.exit() with whatever status, in the middle or in the last cell; a comment or a skipped cell may stay."""
    say, never = SAY + "answer('First half.')", "raise ValueError('never reached')"
    _notebook(tmp_path, "bare", "# Half", say, "import sys\nsys.exit()", never)
    _notebook(tmp_path, "zero", "# Half", say, "raise SystemExit(0)")
    _notebook(tmp_path, "three", "# Half", say, "raise SystemExit(3)", never)
    _notebook(tmp_path, "whole", "# Whole", say, "# nothing but a comment", " ", "raise ValueError('left out')")
    path = tmp_path / "notebooks" / "whole.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].metadata["tags"] = ["skip-execution"]
    nbformat.write(notebook, path)
    ended = {slot.study: slot for slot in run(root=tmp_path, progress=False).slots}
    assert {name: slot.status for name, slot in ended.items()} == {
        "bare": "failed",
        "zero": "failed",
        "three": "failed",
        "whole": "done",
    }
    for name in ("bare", "zero", "three"):
        assert ended[name].message == "the cell ends the notebook (SystemExit), so nothing below it ran."
        assert "in cell 2" in (ended[name].folder / "failure.html").read_text("utf-8")


def test_a_format_that_cannot_be_written_costs_itself(tmp_path):
    """An emoji has no place on paper: page, numbers and workbook stand, and say so; nothing is to be done again."""
    frame = "frame = pd.DataFrame({'campaign': ['618大促🎉'], 'members': [100]})\n"
    shown = "show_table(frame, name='t', caption='Campaigns', counts='members')\nanswer('One campaign.')"
    draw = "_, ax = plt.subplots()\nax.set_xlabel('618大促🎉')\nshow_figure(ax, name='f', caption='All.', alt='x')"
    _notebook(tmp_path, "emoji", "# Emoji", SETUP + frame, shown, draw)
    (made,) = run(root=tmp_path, progress=False).slots
    lacking = json.loads((made.folder / "manifest.json").read_text("utf-8"))["lacking"]
    assert made.status == "done" and list(lacking) == ["pdf"] and "U+1F389 party popper" in lacking["pdf"]
    assert not (made.folder / "report.pdf").exists() and (made.folder / "tables.xlsx").exists()
    page = (made.folder / "index.html").read_text("utf-8")
    assert "Without PDF: the font of the PDF lacks 1 of the report" in page and "618大促🎉" in page
    assert "All. Drawn as boxes, for the font lacks them: U+1F389 party popper." in page
    assert 'href="report.pdf"' not in page and 'href="tables.xlsx"' in page
    assert run(root=tmp_path, progress=False).slots[0].status == "unchanged"


def test_what_the_machine_refuses_costs_the_report(tmp_path):
    """A full disk is no reason to publish less: the run fails, and is made again."""

    def full(path):
        path.write_text("half")
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            raise RuntimeError("could not close the file") from error

    with pytest.raises(RuntimeError):
        write._costs(full, tmp_path / "x")
    assert not list(tmp_path.iterdir())
    assert write._costs(lambda path: 1 / 0, tmp_path / "x") == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    ("name", "printed", "traceback", "said"),
    [
        (
            "CellExecutionError",
            "UsageError: Line magic function `%nope` not found.\n",
            "",
            "function `%nope` not found.",
        ),
        ("AssertionError", "", "In[1], line 1\n----> 1 assert any(x)", "AssertionError, raised by: assert any(x)"),
        ("KeyboardInterrupt", "", "", "KeyboardInterrupt"),
    ],
)
def test_an_error_without_a_text_says_its_cause(name, printed, traceback, said):
    """What the cell printed where a magic does not exist, else the line that raised it."""
    from types import SimpleNamespace

    from workbench.reports.runs.execute import _failed_cell

    outputs = [nbformat.v4.new_output("stream", name="stderr", text=printed)] if printed else []
    notebook = new_notebook(cells=[new_code_cell("%nope", outputs=outputs)])
    error = SimpleNamespace(ename=name, evalue="", cell_index=0, traceback=traceback.split("\n"))
    assert said in _failed_cell(notebook, error).message


def test_a_cell_that_was_never_begun_is_a_failure():
    """Whatever ended the execution, and even if nothing raised."""
    notebook = new_notebook(cells=[new_code_cell("1", execution_count=1), new_code_cell("2")])
    with pytest.raises(execute.Failure, match="never begun") as error:
        execute._require_all_begun(notebook)
    assert error.value.cell == 1


def test_a_notebook_has_a_limit_as_a_whole(tmp_path):
    """Cells that are short each are stopped when their sum is too long."""
    _notebook(tmp_path, "slow", "# Slow", *["import time\ntime.sleep(3)"] * 1000)
    report = run(root=tmp_path, timeout=6, progress=False)
    assert "took longer than its 6 seconds" in report.slots[0].message


def test_an_interrupted_publication_is_mended(tmp_path):
    """What a crash between the two renames left aside is put back or removed."""
    made, place, aside = tmp_path / "made", tmp_path / "site" / "default", tmp_path / "site" / ".default.previous"
    for _ in ("nothing in place", "the new one in place"):
        for folder in (made, aside):
            folder.mkdir(parents=True)
            (folder / "x").write_text(folder.name)
        publish(made, place)
        assert (place / "x").read_text() == "made"
        assert not aside.exists()


STALL = """
import os, time
with open("started.new", "w") as file:
    print(os.getpid(), file=file)
os.rename("started.new", "started")
time.sleep(9999)
"""


@pytest.mark.skipif(os.name != "posix", reason="skipped: interrupts are sent as POSIX signals")
def test_an_interrupt_leaves_nothing_behind(tmp_path, until):
    """Ctrl-C ends workers and kernels; no part of a report is published and no temporary folder stays."""
    _notebook(tmp_path, "slow", "# Slow", STALL)
    (tmp_path / "data" / "mappings").mkdir(parents=True)
    source = str(Path(__file__).parents[2] / "src")
    environment = os.environ | {"WORKBENCH_HOME": str(tmp_path), "PYTHONPATH": source}
    command = [sys.executable, "-m", "workbench", "run"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        until((tmp_path / "started").exists, process)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert said.decode().strip().splitlines() == ["workbench: stopped; what was published before stands."]
    assert [p.name for p in (tmp_path / "reports" / "runs").iterdir()] == ["ledger.sqlite"]
    assert not (tmp_path / "reports" / "site").exists()
    with pytest.raises(ProcessLookupError):
        while True:
            os.kill(int((tmp_path / "started").read_text()), 0)
            time.sleep(0.1)
