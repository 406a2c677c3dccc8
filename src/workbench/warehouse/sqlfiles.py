"""The SQL files of the warehouse: features and views, found, described, and composed into one query.

A file is a single SELECT with named parameters, such as ``$as_of``. The comment that opens it says what it answers, its
grain, its key and its parameters; after a line ``--`` it describes each column (``-- name [unit]: meaning``). A file
may read another by its name, for instance a partial of a folder `partial/`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cache
from importlib import resources

from workbench.catalogue import prose
from workbench.errors import WorkbenchError, require_known
from workbench.messages import word

FOLDERS = ("features", "features/partial", "views", "views/partial", "views/long")
LONG = "views/long"

_DESCRIBED = re.compile(r"-- (\w+) \[(.*?)\]: (.+)")
_CONTINUED = re.compile(r"--     (.+)")
_ORDERED = re.compile(r"(?:Key|Order): ([\w, ]+)\.")


@cache
def names(folder: str) -> tuple[str, ...]:
    """Names of the files of a folder, sorted."""
    files = (resources.files("workbench.warehouse") / folder).iterdir()
    return tuple(sorted(file.name.removesuffix(".sql") for file in files if file.name.endswith(".sql")))


def text(name: str) -> str:
    """Give the SQL of a file by name, as it stands in the package.

    Raises
    ------
    WorkbenchError
        If there is none; the nearest is suggested.
    """
    return "\n".join([*_header(name), body(name)])


def body(name: str) -> str:
    """The statement of a file, without the comment that opens it."""
    return _parts(name)[1]


def notes(name: str) -> list[str]:
    """The lines of a header that say what a file answers; the first is its question."""
    header = _header(name)
    return [line.removeprefix("-- ") for line in (header[: header.index("--")] if "--" in header else header)]


def described(name: str) -> list[tuple[str, str, str]]:
    """Name, unit and meaning of each column of a file, in order."""
    rows: list[tuple[str, str, str]] = []
    header = _header(name)
    for line in header[header.index("--") + 1 :] if "--" in header else ():
        if start := _DESCRIBED.fullmatch(line):
            rows.append((start[1], start[2], start[3]))
        elif rows and (more := _CONTINUED.fullmatch(line)):
            rows[-1] = (*rows[-1][:2], f"{rows[-1][2]} {more[1]}")
        else:
            raise WorkbenchError("{name}.sql: '{line}' is not '-- name [unit]: meaning' nor its continuation.").of(
                name, str(line)
            )
    return rows


def order(name: str) -> list[str]:
    """Columns by which a file's rows are told apart, or at least ordered, as its header says."""
    found = _ORDERED.search(" ".join(notes(name)))
    return found[1].split(", ") if found else ["customer_id"]


def read_by(name: str) -> list[str]:
    """Names that stand after FROM or JOIN in a file and are not its own common table expressions."""
    own = set(re.findall(r"(\w+) AS \(", body(name)))
    return [table for table in dict.fromkeys(re.findall(r"(?:FROM|JOIN) ([a-z_]+)", body(name))) if table not in own]


def with_what_they_read(chosen: Iterable[str], stored: Collection[str] = ()) -> list[str]:
    """The files and the files they read, in an order in which each comes after what it reads."""
    found: list[str] = []

    def visit(name: str) -> None:
        for other in () if name in stored else read_by(name):
            if other in _folders():
                visit(other)
        if name not in found:
            found.append(name)

    for name in chosen:
        visit(name)
    return found


def expressions(chosen: Iterable[str], stored: Collection[str] = ()) -> list[str]:
    """The files and what they read as common table expressions of their names, but for those `stored` as tables.

    A feature, and what is read twice, is computed once; a long twin is unfolded where it is read.
    """
    needed = [name for name in with_what_they_read(chosen, stored) if name not in stored]
    reads = re.findall(r"(?:FROM|JOIN) (\w+)", " ".join(map(body, needed)))

    def kept(name: str) -> str:
        once = _folders()[name].startswith("features") or (reads.count(name) > 1 and _folders()[name] != LONG)
        return "" if once else "NOT "

    return [f"{name} AS {kept(name)}MATERIALIZED (\n{body(name)})" for name in needed]


def page(name: str, language: str = "en") -> str:
    """Describe a file in Markdown: its question, its notes, its columns."""
    question, *rest = notes(name)
    columns = ((column, prose(unit, language), prose(said, language)) for column, unit, said in described(name))
    rows = [f"| `{column}` | {unit} | {meaning} |" for column, unit, meaning in columns]
    head = " | ".join(word(title, language) for title in ("column", "unit", "meaning"))
    table = "\n".join([f"| {head} |", "|---|---|---|", *rows])
    return f"## {name}\n\n{prose(question, language)}\n\n{prose(' '.join(rest), language)}\n\n{table}\n"


@cache
def _folders() -> dict[str, str]:
    return {name: folder for folder in FOLDERS for name in names(folder)}


@cache
def _parts(name: str) -> tuple[list[str], str]:
    require_known("SQL file", name, _folders())
    file = resources.files("workbench.warehouse") / _folders()[name] / f"{name}.sql"
    lines = file.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if not line.startswith("--"))
    return lines[:start], "\n".join(lines[start:]) + "\n"


def _header(name: str) -> list[str]:
    return _parts(name)[0]
