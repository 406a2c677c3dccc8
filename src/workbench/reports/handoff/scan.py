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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from workbench.errors import WorkbenchError
from workbench.messages import Listed, Message, Word, say
from workbench.personal import AFTER, BEFORE, personal
from workbench.reports.handoff.sealed import unpacked
from workbench.reports.page import tables
from workbench.reports.runs.secrets import leaks

_KINDS = {
    "the pseudonym of a customer": BEFORE + r"[0-9a-f]{20}" + AFTER,
    "a path of a machine": r"(?<!\w)/(?:home|Users)/\w|(?<!\w)/(?:root|tmp|var/folders)/|\b[A-Z]:\\+Users\\|\bfile://",
}
_CUSTOMER = re.compile(
    r"\b((customer|subscription|response|invitation|bill|payment|contact|ticket|opportunity|action|case)_id"
    r"|(name|number|counterpart)_key)\b"
)
_PEOPLE = re.compile(
    "n|(customers|members|respondents|invited|answered|interviews|persons|people|households|companies|lines"
    "|subscribers|targets|cases)(_.*)?"
)
_MOST = 10


def refuse(files: Mapping[str, bytes], *, root: Path, minimum: int, secret: Mapping[str, str]) -> None:
    """Refuse files that hold what must stay here, naming file, place and kind of each find.

    In the program and the lock only declared secrets, given by reference, and paths of this machine are looked for.
    """
    here = [path for path in (str(root), sys.prefix, os.path.expanduser("~")) if len(path) > 5]
    with unpacked(files) as folder:
        found = leaks(folder, secret)
    finds = {say("{file}: the value of the secret '{name}'", file=file, name=name): None for file, name in found}
    for name, content in files.items():
        program = name.startswith("code/") or name == "requirements.lock"
        for place, text in places(name, content):
            kinds = [say("a path of this machine")] * any(path in text for path in here)
            kinds += [] if program else _personal(unicodedata.normalize("NFKC", text), "output" in place)
            finds |= dict.fromkeys(say("{file}, {place}: {kind}", file=name, place=place, kind=kind) for kind in kinds)
        finds |= dict.fromkeys(say("{file}, {find}", file=name, find=find) for find in _small(name, content, minimum))
    if finds:
        more = say("\n  and {n} more", n=len(finds) - _MOST) if len(finds) > _MOST else ""
        shown = say("\n{lines}", lines=Listed([say("  {find}", find=find) for find in list(finds)[:_MOST]], "\n"))
        raise WorkbenchError(
            "this must not leave the house, so no bundle was written. Mend it and run again:{shown}{more}"
        ).of(shown, more)


def _personal(text: str, shown: bool) -> list[Message]:
    kinds = personal(text) + [kind for kind, pattern in _KINDS.items() if re.search(pattern, text)]
    looks = [say("what looks like {kind}", kind=Word(kind)) for kind in kinds]
    return looks + [say("identifiers of single customers")] * bool(shown and _CUSTOMER.search(text))


def places(name: str, content: bytes) -> Iterator[tuple[str, str]]:
    """Give every text of a file with its place."""
    if name.endswith(".ipynb"):
        for i, cell in enumerate(json.loads(content)["cells"], 1):
            yield f"cell {i}", "".join(cell["source"])
            for output in cell.get("outputs", []):
                pictures = {k: v for k, v in output.get("data", {}).items() if not k.startswith("image/")}
                yield from ((f"cell {i}, output", text) for text in _strings(output | {"data": pictures}))
    elif name.endswith(".xlsx"):
        yield from _sheets(content)
    elif name.endswith(".json"):
        yield from (("a value", text) for text in _strings(json.loads(content)))
    else:
        text = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", content.decode("utf-8", errors="replace"))
        lines = enumerate(text.split("\n"), 1)
        yield from ((f"line {i}", html.unescape(line) if name.endswith(".html") else line) for i, line in lines)


def _strings(value: Any) -> Iterator[str]:
    """Walk JSON: every text, number and name, but for the code of a word: a sentence that names a column shows none."""
    if isinstance(value, Mapping):
        value = [*value, *(one for key, one in value.items() if key != "code" or not _CUSTOMER.fullmatch(str(one)))]
    if isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif value is not None:
        yield str(value)


def _sheets(content: bytes) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        for part in (name for name in book.namelist() if name.endswith((".xml", ".rels"))):
            for element in ElementTree.fromstring(book.read(part)).iter():
                if element.tag.endswith("}c"):
                    yield f"{Path(part).stem} cell {element.get('r')}", "".join(element.itertext())
                else:
                    yield part, "\n".join([element.text or "", *element.attrib.values()])


def _small(name: str, content: bytes, minimum: int) -> Iterator[Message]:
    """Name the figures that stand on too few people, or hide on how many they stand."""
    if name.endswith("results.json"):
        for row in json.loads(content):
            counted = float(row["value"]).is_integer()  # how many are to be expected is no count of anybody
            if counted and _PEOPLE.fullmatch(row["unit"]) and 0 < row["value"] < minimum:
                few = {"name": row["name"], "n": minimum, "unit": Word(row["unit"])}
                yield say("number '{name}': fewer than {n} {unit}", **few)
    if not name.endswith("report.ipynb"):
        return
    for i, cell in enumerate(json.loads(content)["cells"], 1):
        for data in (output.get("data", {}) for output in cell.get("outputs", [])):
            if tables.MIME in data:
                for find in _small_cells(data[tables.MIME], minimum):
                    yield say("cell {i}, {find}: fewer than {n}", i=str(i), find=find, n=minimum)
            elif 'class="dataframe"' in "".join(data.get("text/html", "")):
                yield say("cell {i}, output: a table without its counts; show it with show_table(counts=…)", i=str(i))


def _small_cells(table: Mapping[str, Any], minimum: int) -> Iterator[Message]:
    for i, column in enumerate(table["columns"]):
        if column["name"] == table["counts"] or _PEOPLE.fullmatch(column["name"]):
            for number, row in enumerate(table["rows"]):
                if number not in table["suppressed"] and isinstance(row[i], (int, float)) and 0 < row[i] < minimum:
                    where = {"table": table["name"], "row": str(number + 1), "column": column["name"]}
                    yield say("table '{table}', row {row}, column '{column}'", **where)
