"""What is said, as it is written in code, notebooks and SQL: each text needs its Chinese entry.

Run as a program (`make messages`) it puts an empty entry for each text without one into `locale/zh.po` and
`locale/zh.prose.po`, takes entries of prose out that nobody says any more, and names them; with --check (`make lint`)
it changes nothing and ends with 1 if there are any. An empty entry is said in English.
"""

import ast
import json
import re
import sys
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

import workbench
from workbench.messages import word
from workbench.reports.runs.parameters import declared, read_source
from workbench.warehouse import dictionary, features, schema, sqlfiles

SOURCE = Path(workbench.__file__).parent
NOTEBOOKS = [
    *sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb")),
    *sorted((SOURCE / "lab").glob("study*.ipynb")),
]
MAKERS = {"say": "a template", "Term": "a word"}


@cache
def notebook_cells() -> list[tuple[str, ast.Module]]:
    """Every code cell of the notebooks, but for the parameters, with the place where it stands."""
    return [
        (f"{file.name}[{number}]", ast.parse("".join(cell["source"])))
        for file in NOTEBOOKS
        for number, cell in enumerate(json.loads(file.read_text("utf-8"))["cells"])
        if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", ())
    ]


@cache
def trees() -> list[tuple[str, ast.Module]]:
    """Every module of the package and every cell, with the place where it stands: read when first asked for."""
    files = [*sorted(SOURCE.rglob("*.py")), SOURCE / "lab" / "study.estimate.txt"]
    return [
        *((str(file.relative_to(SOURCE)), ast.parse(file.read_text("utf-8"))) for file in files),
        *notebook_cells(),
    ]


def called(node: ast.AST) -> str:
    """Name what a call makes: by `say`, by a result's own `say`, or by a refusal, whose places `of` fills."""
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Attribute) and ast.unparse(node.func) in ("self.say", "messages.say"):
        return "say"
    name = named_by(node.func)
    return name if isinstance(node.func, ast.Name) or name in refusals() else ""


def named_by(node: ast.expr) -> str:
    """What is called: `WorkbenchError` in `errors.WorkbenchError(…)`."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


@cache
def refusals() -> frozenset[str]:
    """The names of `WorkbenchError` and of every class that stands on it."""
    found, before = {"WorkbenchError"}, set()
    classes = [node for _, tree in trees() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    while found != before:
        before = set(found)
        found |= {node.name for node in classes if found & {named_by(base) for base in node.bases}}
    return frozenset(found)


@cache
def written() -> dict[str, str]:
    """Every template and word in the package and the notebooks, by text, with the place where it stands."""
    found = {}
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if {"CAPTION", "PICTURE_CAPTION"} & {*map(ast.unparse, targets)}:
                    found[node.value.value] = f"{name}:{node.lineno}"
            maker = called(node)
            if maker == "prove" and isinstance(node.args[1], ast.Dict):
                rules = [one for one in (node.args[0], *node.args[1].keys) if isinstance(one, ast.Constant)]
                rules = [one for one in rules if " " in one.value]  # else a name of the code
                found |= {rule.value: f"{name}:{rule.lineno}" for rule in rules}
            if isinstance(node, ast.Call) and named_by(node.func) == "Quantity" and len(node.args) > 2:
                unit = getattr(node.args[2], "value", "")  # else it is computed: a currency, or that of an outcome
                if isinstance(unit, str) and re.search("[a-z]", unit) and word(unit, "zh") == unit:
                    found[unit] = f"{name}:{node.lineno}"
            if maker in {*MAKERS, *refusals()} and node.args:
                first, place = node.args[0], f"{name}:{node.lineno}"
                texts = [n for n in (first.body, first.orelse)] if isinstance(first, ast.IfExp) else [first]
                for text in texts:
                    if isinstance(text, ast.Constant):
                        found[text.value] = place
                    elif maker == "say":
                        assert name in ("messages.py", "result.py"), (
                            f"{place}: a template is a text, written at the call"
                        )
    return {text: place for text, place in found.items() if text and not place.startswith("messages.py")}


def read_prose() -> dict[str, str]:
    """Give what readers see as written: each text with the name of a notebook, table or file that has it."""
    found = {dictionary._OPENING: "data/README.md", features._PREFACE: "docs/features.md"}
    for table in schema.tables().values():
        found |= {text: table.name for c in table.columns for text in (c.unit, c.meaning)} | {table.meaning: table.name}
    for name in features.SUBJECTS:
        question, *rest = sqlfiles.notes(name)
        found |= {text: name for _, *texts in sqlfiles.described(name) for text in (question, " ".join(rest), *texts)}
    for path in NOTEBOOKS:
        cells = read_source(path.read_text("utf-8"))
        texts = [cell["source"] for cell in cells if cell["kind"] == "markdown"]
        texts += [text for parameter in declared(cells) for text in (parameter.unit, parameter.meaning)]
        found |= {text: path.stem for text in texts}
    return {text: place for text, place in found.items() if text not in ("", "MB")}


def stand_in(name: str) -> dict[str, str]:
    """Read the entries of a catalogue as Babel does, by the English text."""
    with (SOURCE / "locale" / name).open("rb") as file:
        return {str(entry.id): str(entry.string) for entry in read_po(file, locale="zh_CN") if entry.id}


def lacking(name: str, said: dict[str, str]) -> dict[str, str]:
    """Give the texts without an entry, or with an empty one, and where they are said."""
    entries = stand_in(name)
    return {text: place for text, place in said.items() if not entries.get(text)}


def stale(name: str, said: dict[str, str]) -> list[str]:
    """Give the entries of texts that nobody says."""
    return [text for text in stand_in(name) if text not in said]


def put(text: str, new: dict[str, str], old: list[str]) -> str:
    """Write a catalogue anew: with empty entries for the new, each at its place by letters, and without the old.

    >>> put('msgid ""\\nmsgstr ""\\n\\nmsgid "c"\\nmsgstr "三"\\n', {"b": "a.py:1"}, ["c"])
    'msgid ""\\nmsgstr ""\\n\\nmsgid "b"\\nmsgstr ""\\n'
    """
    head, *blocks = text.rstrip("\n").split("\n\n")
    kept = {key: block for block in blocks if (key := _key(block)) not in old}
    kept |= {key: f'msgid {_quoted(key)}\nmsgstr ""' for key in new if key not in kept}
    ordered = sorted(kept, key=lambda key: _quoted_line(key).lower())
    return "\n\n".join([head, *(kept[key] for key in ordered)]) + "\n"


def _key(block: str) -> str:
    lines = block[block.index("msgid ") + 6 : block.index("\nmsgstr ")].splitlines()
    return "".join(json.loads(line) for line in lines)


def _quoted_line(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _quoted(text: str) -> str:
    lines = [f'"{_quoted_line(line)}"' for line in text.splitlines(keepends=True)]
    return "\n".join(['""', *lines]) if len(lines) > 1 else "".join(lines)


def main(arguments: list[str]) -> int:
    """Name what lacks its entry and what nobody says; without --check put it right."""
    found = 0
    for name, said in (("zh.po", written()), ("zh.prose.po", read_prose())):
        new, old = lacking(name, said), stale(name, said) if name == "zh.prose.po" else []
        for text, place in new.items():
            print(f"{name}: no Chinese for {text[:70]!r} ({place})")
        for text in old:
            print(f"{name}: nobody says {text[:70]!r}")
        found += len(new) + len(old)
        if (new or old) and "--check" not in arguments:
            path = SOURCE / "locale" / name
            path.write_text(put(path.read_text("utf-8"), new, old), "utf-8")
    return int(found > 0 and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
