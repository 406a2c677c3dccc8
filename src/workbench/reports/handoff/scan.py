"""May this leave the house? What looks personal, secret or too small is named by place and kind, never by value."""

from __future__ import annotations

import html
import io
import json
import os
import re
import sys
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from workbench.errors import WorkbenchError
from workbench.reports import tables

# Not inside a longer word or number, and not the decimals of one; a whole number may be written as a float.
_BEFORE, _AFTER = r"(?<![0-9A-Za-z])(?<!\d\.)", r"(?![0-9A-Za-z]|\.\d*[1-9])"
_PHONE = re.compile(_BEFORE + r"(?:(?:\+|00)?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}" + _AFTER)
_IMSI = re.compile(_BEFORE + r"460\d{12}" + _AFTER)
_CARD = re.compile(_BEFORE + r"[1-9]\d{5}(?:18|19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]" + _AFTER)
_MAIL = re.compile(r"(?<=[\w.%+-])@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
_PSEUDONYM = re.compile(_BEFORE + r"[0-9a-f]{20}" + _AFTER)
_FOLDER = re.compile(r"/(?:home|Users)/\w|(?<![\w.])/(?:root|tmp|var/folders)/|\b[A-Za-z]:\\\\?Users\\|\bfile://")
_PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]+")
_CUSTOMER = re.compile(
    r"\b(?:(?:customer|subscription|response|invitation|bill|payment|contact|ticket|opportunity)_id"
    r"|(?:name|number|counterpart)_key)\b"
)
_PEOPLE = re.compile(
    r"n|(?:customers|members|respondents|invited|answered|interviews|persons|people|households|companies|lines"
    r"|subscribers|targets|cases)(?:_.*)?"
)
_MOST = 10


def secrets(declared: Iterable[Any], root: Path) -> dict[str, str]:
    """Give the true values behind references `env:NAME` and `file:PATH`, by reference."""
    found = {}
    for value in declared:
        kind, _, where = str(value).partition(":")
        if kind == "env":
            found[str(value)] = os.environ.get(where, "")
        elif kind == "file":
            try:
                found[str(value)] = (root / where).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError):
                continue
    return {reference: value for reference, value in found.items() if value}


def refuse(files: Mapping[str, bytes], *, root: Path, minimum: int, secret: Mapping[str, str]) -> None:
    """Refuse files that hold what must stay here.

    Parameters
    ----------
    files : mapping
        Content by name. Of program text only declared secrets and paths of this machine are looked for.
    root : Path
        The project.
    minimum : int
        Fewest people that a shown figure may stand on.
    secret : mapping
        Values that must not appear, by what they are called.

    Raises
    ------
    WorkbenchError
        Naming file, place and kind of each find, never its value.
    """
    finds = [
        f"{name}, {where}: {kind}"
        for name, content in files.items()
        for where, kind in _finds(name, content, root, secret, minimum)
    ]
    if finds := list(dict.fromkeys(finds)):
        more = f"\n  and {len(finds) - _MOST} more" if len(finds) > _MOST else ""
        raise WorkbenchError(
            "this must not leave the house; no bundle was written. Mend the notebook or its parameters, run it again:"
            + "".join(f"\n  {find}" for find in finds[:_MOST])
            + more
        )


def _finds(name: str, content: bytes, root: Path, secret: Mapping[str, str], minimum: int) -> Iterator[tuple[str, str]]:
    program = name.startswith("code/") or name == "requirements.lock"
    here = [p for p in (str(root), sys.prefix, os.path.expanduser("~")) if len(p) > 5]
    for where, raw, shown in _places(name, content):
        text = unicodedata.normalize("NFKC", raw)
        yield from ((where, f"the value of {called}") for called, value in secret.items() if value in raw)
        if any(path in text for path in here):
            yield where, "a path of this machine"
        if program:
            continue
        yield from ((where, kind) for kind in _personal(text))
        if shown and _CUSTOMER.search(text):
            yield where, "rows of single customers (it shows their identifiers)"
    if name.endswith("report.ipynb"):
        yield from _small_cells(json.loads(content), minimum)
    elif name.endswith("results.json"):
        for row in json.loads(content):
            if _PEOPLE.fullmatch(row["unit"]) and 0 < row["value"] < minimum:
                yield f"number '{row['name']}'", f"fewer than {minimum} {row['unit']}"


def _personal(text: str) -> Iterator[str]:
    patterns = {
        "what looks like a telephone number": _PHONE,
        "what looks like an IMSI": _IMSI,
        "what looks like an e-mail address": _MAIL,
        "what looks like the pseudonym of a customer": _PSEUDONYM,
        "a path of a machine": _FOLDER,
    }
    yield from (kind for kind, pattern in patterns.items() if pattern.search(text))
    if any(_valid(card[0]) for card in _CARD.finditer(text)):
        yield "an identity-card number"


def _valid(card: str) -> bool:
    """Check the last character of an identity-card number (ISO 7064, MOD 11-2)."""
    return "10X98765432"[sum(int(d) * (2 ** (17 - i) % 11) for i, d in enumerate(card[:17])) % 11] == card[17].upper()


def _places(name: str, content: bytes) -> Iterator[tuple[str, str, bool]]:
    """Give every text of a file with its place, and whether a notebook shows it as output."""
    if name.endswith(".ipynb"):
        for i, cell in enumerate(json.loads(content)["cells"], 1):
            yield f"cell {i}", "".join(cell["source"]), False
            for output in cell.get("outputs", []):
                pictures = {k: v for k, v in output.get("data", {}).items() if not k.startswith("image/")}
                for text in _strings(output | {"data": pictures}):
                    yield f"cell {i}, output", text, True
    elif name.endswith(".xlsx"):
        yield from _sheet_cells(content)
    elif name.endswith(".json"):
        for text in _strings(json.loads(content)):
            yield "in it", text, False
    else:
        text = content.decode("utf-8", errors="replace")
        for i, line in enumerate(_PICTURE.sub("", text).split("\n"), 1):
            yield f"line {i}", html.unescape(line) if name.endswith(".html") else line, False


def _strings(value: Any) -> Iterator[str]:
    """Walk JSON: every text and number, and the names; a text in several pieces as one."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _strings(inner)
    elif isinstance(value, list):
        if value and all(isinstance(v, str) for v in value):
            yield "".join(value)
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, (str, int, float)):
        yield str(value)


def _sheet_cells(content: bytes) -> Iterator[tuple[str, str, bool]]:
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        for part in book.namelist():
            if not part.endswith((".xml", ".rels")):
                yield f"part {part}", book.read(part).decode("utf-8", errors="replace"), False
                continue
            for element in ElementTree.fromstring(book.read(part)).iter():
                cell = element.tag.endswith("}c")
                text = (
                    "".join(element.itertext()) if cell else f"{element.text or ''} {' '.join(element.attrib.values())}"
                )
                yield f"{Path(part).stem}, cell {element.get('r')}" if cell else f"part {part}", text, False


def _small_cells(notebook: Mapping[str, Any], minimum: int) -> Iterator[tuple[str, str]]:
    for i, cell in enumerate(notebook["cells"], 1):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if table := data.get(tables.MIME):
                for where in _small(table, minimum):
                    yield f"cell {i}, table '{table['name']}', {where}", f"fewer than {minimum}"
            elif 'class="dataframe"' in "".join(data.get("text/html", "")):
                yield f"cell {i}, output", "a table without its counts; show it with show_table(counts=…)"


def _small(table: Mapping[str, Any], minimum: int) -> Iterator[str]:
    hidden = set(table["suppressed"])
    for i, column in enumerate(table["columns"]):
        if column["name"] == table["counts"] or (_PEOPLE.fullmatch(column["name"]) and column["kind"] != "text"):
            for number, row in enumerate(table["rows"], 1):
                if number - 1 not in hidden and isinstance(row[i], (int, float)) and 0 < row[i] < minimum:
                    yield f"row {number}, column '{column['name']}'"
