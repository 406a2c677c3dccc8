"""The house as it is built: which room imports which, how large each is. `pytest -s tests/test_house.py` prints it."""

import ast
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"
PACKAGE = SOURCE / "workbench"
LONGEST_BODY, LARGEST_FILE, LARGEST_PACKAGE = 60, 500, 76_680


def room(module):
    """Name the room of a module: the ground, a method, a study, a part of the reports, ...

    >>> room("workbench.studies.uplift.curves"), room("workbench.columns"), room("workbench.methods.plspm.fit")
    ('studies/uplift', 'ground', 'methods/plspm')
    """
    parts = module.split(".")[1:]
    folder = PACKAGE.joinpath(*parts[:1])
    if not parts or not folder.is_dir():
        return "cli" if parts and parts[0].startswith(("cli", "__main__")) else "ground"
    inner = PACKAGE.joinpath(*parts[:2])
    return "/".join(parts[:2]) if len(parts) > 1 and (inner / "__init__.py").is_file() else parts[0]


@cache
def parsed():
    """Give the tree of each file of the package."""
    return {file: ast.parse(file.read_text(encoding="utf-8")) for file in PACKAGE.rglob("*.py")}


@cache
def imports():
    """Give each module with each that it imports, also inside functions and for types alone."""
    found = []
    for file, tree in parsed().items():
        module = ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("workbench"):
                inner = [f"{node.module}.{a.name}" for a in node.names]
                names = [n if _is_module(n) else node.module for n in inner]
            elif isinstance(node, ast.Import):
                names = [a.name for a in node.names if a.name.startswith("workbench")]
            found += [(module, name) for name in names]
    return found


def arrows():
    """Count the imports between rooms."""
    return Counter((room(start), room(to)) for start, to in imports() if room(start) != room(to))


def _is_module(name):
    path = SOURCE.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def lines():
    """Count the lines of each room, code and data; a catalogue grows with what is said, whoever says it shortly."""
    found = Counter()
    for file in PACKAGE.rglob("*"):
        counted = file.suffix in (".py", ".sql", ".toml", ".html", ".css", ".js", ".typ")
        if counted and not {"static", "locale"} & {*file.parts}:
            module = ".".join(file.relative_to(SOURCE).with_suffix("").parts)
            found[room(module)] += len(file.read_text(encoding="utf-8").splitlines())
    return found


def test_rooms_import_in_one_direction():
    """No study imports another, methods know no data, the ground knows no room, and nothing runs in circles."""
    found = arrows()
    print(f"\n{len(lines())} rooms, {sum(lines().values()):,} lines, {len(found)} arrows")
    for name, count in sorted(lines().items()):
        leans = ", ".join(sorted(to for start, to in found if start == name and to != "ground"))
        print(f"{name:28}{count:7,}  {leans}")
    for start, to in found:
        if start.startswith("studies"):
            assert to == "ground" or to.startswith("methods"), (start, to)
        if start.startswith("methods"):
            assert to == "ground" or to.startswith("methods"), (start, to)
        assert start != "ground" or to == "methods" or (start, to) in LAZY, (start, to)
    assert not set(circles(found)) - {"ground"}
    assert not circles(set(imports()))


LAZY = {("ground", to) for to in ("warehouse", "warehouse/ingest", "studies/segmentation")}  # doors named as text


def circles(found):
    """Give the rooms, or the files, that import each other, directly or around."""
    leads = {}
    for start, to in found:
        leads.setdefault(start, set()).add(to)

    def reached(start):
        seen, ahead = set(), [start]
        while ahead:
            new = leads.get(ahead.pop(), set()) - seen
            seen |= new
            ahead += new
        return seen

    return sorted(name for name in leads if name in reached(name))


def test_a_circle_is_found():
    assert circles({("a", "b"): 1, ("b", "c"): 1, ("c", "a"): 2, ("d", "a"): 1}) == ["a", "b", "c"]
    assert circles({("a", "b"): 1, ("b", "c"): 1}) == []


def test_files_and_the_package_keep_to_their_size():
    """A file is read at one sitting."""
    sizes = {f.relative_to(PACKAGE).as_posix(): len(f.read_text("utf-8").splitlines()) for f in PACKAGE.rglob("*.py")}
    assert max(sizes.values()) <= LARGEST_FILE, max(sizes, key=sizes.get)
    over = sum(lines().values()) - LARGEST_PACKAGE
    assert over <= 0, f"delete or merge {over} lines, or raise LARGEST_PACKAGE by them and say why in the commit"


def test_a_function_is_read_on_one_screen():
    """Its body, without what its docstring says."""
    for file, tree in parsed().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
                assert body[-1].end_lineno - body[0].lineno < LONGEST_BODY, f"{file.name}: {node.name}"


def test_no_section_of_a_docstring_is_empty():
    """A heading with nothing below it says that something was cut off."""
    for file, tree in parsed().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                said = ast.get_docstring(node) or ""
                assert not re.search(r"\n-{3,}\s*(\Z|\n\n|\n\w+\n-{3,})", said), (
                    f"{file.name}: {getattr(node, 'name', '')}"
                )


def test_a_class_has_its_name_for_itself():
    """One name, one meaning: nobody reads a `Plan` of reports where a path model is meant."""
    found = Counter()
    for tree in parsed().values():
        found.update(n.name for n in tree.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_"))
    assert [name for name, count in found.items() if count > 1] == []


def test_no_notebook_shows_one_table_of_two_results():
    """Sheets go by the names of tables: a placebo's own would end the report wherever it is not refused."""
    for notebook in sorted((SOURCE.parent / "notebooks").glob("*.ipynb")):
        cells = [cell for cell in json.loads(notebook.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
        code = "\n".join("".join(cell["source"]) for cell in cells)
        made = dict(re.findall(r"(\w+) = ask\((?:\w+\.)?(\w+),", code))
        shown = {pair for line in re.findall(r"show\((.*)\)", code) for pair in re.findall(r"(\w+)\.(\w+)\(\)", line)}
        tables = [(made[name], method) for name, method in shown if name in made and method != "as_picture"]
        assert len(tables) == len(set(tables)), notebook.name


def test_every_list_says_who_its_customers_are():
    """A call team needs province, kind and tariff of each: the customer view has them itself, others ask for them."""
    for notebook in sorted((SOURCE.parent / "notebooks").glob("*.ipynb")):
        cells = [cell for cell in json.loads(notebook.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
        calls = [
            c for c in ast.walk(ast.parse("\n".join("".join(c["source"]) for c in cells))) if isinstance(c, ast.Call)
        ]
        asked = [c for c in calls if "show_list" in [getattr(n, "id", "") for n in [c.func, *c.args[:1]]]]
        keys = [{key.arg for key in call.keywords} for call in asked]
        assert all("warehouse" in key for key in keys) or notebook.stem == "customer_view", notebook.name
