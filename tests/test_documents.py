"""What is written holds: commands run, links lead somewhere, notebooks are thin and in order."""

import ast
import inspect
import json
import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from workbench.cli import workbench
from workbench.reports.runs.parameters import resolve, split_assignments
from workbench.reports.runs.plans import load_plan
from workbench.reports.runs.slots import find_studies

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("data/*.md")])
SAYS = {"Markdown", "answer", "decide", "record", "show", "show_list", "show_model"}
STUDIES = sorted(ROOT.glob("notebooks/*.ipynb"))
COMMANDS = re.findall(r"^workbench .*?(?=\s+#|$)", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.M)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_the_readme_are_real(command, monkeypatch):
    """Each command of the README has a form that exists and names studies and values that do; test_commands runs it."""
    monkeypatch.setenv("WORKBENCH_HOME", str(ROOT))
    form, words = workbench, shlex.split(command)[1:]
    while isinstance(form, click.Group):
        name, form, words = form.resolve_command(click.Context(form), words)
    given = form.make_context(name, list(words)).params
    if given.get("plan"):
        assert load_plan(given["plan"], ROOT)
    for study in map(find_studies(ROOT).__getitem__, given.get("studies", ())):
        assert resolve(study.parameters, split_assignments(given["assignments"]), study=study.name)


@pytest.mark.parametrize("words", [["list"], ["data", "describe"], ["schedule", "show"]], ids=" ".join)
def test_commands_that_only_tell_answer(words, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(ROOT))
    result = CliRunner().invoke(workbench, words, standalone_mode=False)
    assert result.exception is None and result.output


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document):
    """Every relative link of a document, and every picture, is a file of the project; its part is a heading there."""
    for target, part in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", document.read_text(encoding="utf-8")):
        file = document.parent / target if target else document
        assert file.exists(), f"{document.name} links to {target}"
        assert not part or part in anchors(file), f"{document.name} links to {target}#{part}"


def pinned(notebook):
    """Give the sentences that a notebook's answer is held to."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    cell, *_ = (c for c in cells if "nbval-check-output" in c["metadata"].get("tags", []))  # the answer stands first
    return "".join(cell["outputs"][0]["data"]["text/plain"]).splitlines()


def test_the_readme_quotes_what_a_report_says():
    """The answer on its first screen is a sentence of the notebook whose picture stands above it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    ((notebook, picture, alt),) = re.findall(r'<a href="(\S+)"><img src="(\S+)" width="\d+" alt="([^"]+)"></a>', text)
    quoted = re.findall(r"^> (.+)$", text, re.M)
    assert quoted and set(quoted) <= set(pinned(ROOT / notebook))
    assert len(alt) > 60 and (ROOT / picture).read_bytes().startswith(b"\x89PNG")
    assert text.index("```sh") < 1_500, "the first screen ends before the two commands"


@pytest.mark.parametrize("notebook", STUDIES, ids=lambda path: path.stem)
def test_question_and_answer_leave_room_on_the_first_screen(notebook):
    """Of its ninety words title and first sentence take 34; `make prove` counts the whole screen of each report."""
    title = json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]["source"][0]
    said = f"{title.strip('# ')} {pinned(notebook)[0].split('. ')[0]}"
    assert sum(any(c.isalnum() for c in word) for word in said.split()) <= 34, said


@pytest.mark.parametrize("notebook", STUDIES, ids=lambda path: path.stem)
def test_answers_write_intervals_alike(notebook):
    """An interval is written (8.7 to 14.1), after its estimate; brackets and ± are not used."""
    text = "\n".join(pinned(notebook))
    number = r"[−+-]?[\d.,]+%?"
    assert not re.search(rf"\[{number}, {number}\]|±|interval {number} to", text), text


def test_intervals_are_written_in_one_place():
    """Code says an interval by `words.span` or `words.between`, not by a format of its own."""
    by_hand = re.compile(r"[\[(]\{[^{}]*\blow\b(?!\": )[^{}]*\}(,| to) ?[{\"']|interval \{[^{}]*\blow\b")
    for file in (ROOT / "src/workbench").rglob("*.py"):
        found = by_hand.search(file.read_text(encoding="utf-8"))
        assert file.name == "words.py" or not found, (file, found)


def anchors(document):
    """Name the headings of a document as links name them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


ROOMS = sorted(f.parent for f in ROOT.glob("src/workbench/*/*/__init__.py") if f.parts[-3] in ("methods", "studies"))


@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
def test_every_notebook_has_its_row_in_the_readme(readme):
    """Who looks for an answer finds the study that has it."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    missing = [f.stem for f in ROOT.glob("notebooks/*.ipynb") if f"| [{f.stem}](notebooks/{f.name}) |" not in text]
    assert not missing, f"{readme}: write a row for {missing} in the table of studies"


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_room_of_estimators_has_its_chapter(room):
    """A chapter of the room's name is in the contents, and it or one that it leans on names each public function."""
    book = ROOT / "docs/methods"
    assert (book / f"{room.name}.md").is_file(), f"write docs/methods/{room.name}.md: question, formula, assumptions"
    chapter = (book / f"{room.name}.md").read_text(encoding="utf-8")
    listed = (book / "README.md").read_text(encoding="utf-8").count(f"({room.name}.md)")
    assert listed >= 2, f"docs/methods/README.md: list {room.name}.md in its Chinese and in its English list"
    leans = "".join((book / name).read_text(encoding="utf-8") for name in re.findall(r"\]\((\w+\.md)", chapter))
    tree = ast.parse((room / "__init__.py").read_text(encoding="utf-8"))
    public = {a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names if a.name.islower()}
    missing = {name for name in public if not re.search(rf"\b{name}\b", chapter + leans)}
    assert not missing, f"docs/methods/{room.name}.md: name {missing}"


@pytest.mark.parametrize("notebook", STUDIES, ids=lambda path: path.stem)
def test_money_is_said_in_the_currency_of_the_source(notebook):
    """Whatever of ours takes a currency is given one: a source in dollars isn't answered in yuan."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    tree, names = ast.parse("\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")), {}
    imports = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(imports, []), str(notebook), "exec"), names)
    carries = {"currency"}  # the names that hand one on, in the order in which they are given
    for node in (n for n in ast.walk(tree) if isinstance(n, ast.Assign)):
        (at,), to = node.targets, node.value
        both = isinstance(at, ast.Tuple) and isinstance(to, ast.Tuple)
        for name, value in zip(at.elts, to.elts, strict=True) if both else [(at, to)]:
            if carries & set(re.findall(r"\w+", ast.unparse(value))):
                carries.add(ast.unparse(name))
    for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
        one = call.args[0] if ast.unparse(call.func) == "ask" else call.func
        door = names.get(ast.unparse(one).split(".")[0])
        for part in ast.unparse(one).split(".")[1:]:
            door = getattr(door, part, None)
        ours = getattr(door, "__module__", "").startswith("workbench.")
        if ours and "currency" in inspect.signature(door).parameters:
            given = {
                word for k in call.keywords for word in ([k.arg] if k.arg else re.findall(r"\w+", ast.unparse(k.value)))
            }
            assert given & carries, ast.unparse(call)


@pytest.mark.parametrize("notebook", STUDIES, ids=lambda path: path.stem)
def test_notebooks_are_thin_and_in_order(notebook):
    """A notebook asks the room of its name, or one alone; it defines nothing and keeps to the order of the house."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    headings = re.findall(
        r"^## (.+)$", "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown"), re.M
    )
    assert headings == ["Answer", "Decision", "Data", "Method", "Result", "Check"]
    code = [c for c in cells if c["cell_type"] == "code"]
    looping = r"^\s*((def|class) |(for|while) .*:$)"
    assert not any(re.search(looping, "".join(c["source"]), re.M) for c in code)
    for tree in (ast.parse("".join(c["source"])).body for c in code):
        if isinstance(tree[-1], ast.Expr):  # what such a cell shows is said, not a value that was left over
            called = {n.func.id for n in ast.walk(tree[-1]) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
            assert called & SAYS, ast.unparse(tree[-1])
    for cell in code:
        text, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
        assert not re.search(r"\b(formats|alt)=|\* ?shown|show_(table|figure)\(|\bSELECT\b", text), text
        assert len(text.splitlines()) <= (20 if "parameters" in tags else 8), text
    answers = [c for c in code if "nbval-check-output" in c["metadata"].get("tags", [])]
    assert len(answers) <= 2 and all(cell["outputs"] for cell in answers)
    assert not answers[1:] or "headline()" in "".join(answers[1]["source"]), "beside the answer only the base is pinned"
    assert all(not c["outputs"] for c in code if c not in answers)
    rooms = set(re.findall(r"workbench\.studies(?:\.| import )(\w+)", "\n".join("".join(c["source"]) for c in code)))
    assert len(rooms) == 1 or notebook.stem in rooms


def test_studies_keep_to_their_room():
    """A study reads no file, knows no warehouse and no report, and imports no other study."""
    for folder in (ROOT / "src/workbench/studies").iterdir():
        for file in folder.glob("*.py"):
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"workbench\.(warehouse|reports|project)\b", text), file
            others = set(re.findall(r"workbench\.studies\.(\w+)", text)) - {folder.name}
            assert not others, (file, others)
