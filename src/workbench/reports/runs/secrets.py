"""Secrets are named, never passed: a parameter of type `secret` says where the value is, the kernel fetches it.

A reference is ``env:NAME`` (environment variable) or ``file:PATH`` (first line of a file). Notebook, page, sheets and
manifest hold the reference alone; after a run everything that it wrote is searched for the value itself.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from workbench.errors import WorkbenchError

SHORTEST = 8
REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+")


def secret(reference: str) -> str:
    """Fetch the value that a reference names.

    >>> os.environ["WORKBENCH_DOCTEST"] = "correct horse"
    >>> secret("env:WORKBENCH_DOCTEST")
    'correct horse'

    Raises
    ------
    WorkbenchError
        If it names nothing, or what it names is shorter than 8 characters, which could not be told from
        ordinary text in the outputs. The message never holds the value.
    """
    if not REFERENCE.fullmatch(reference):
        raise WorkbenchError("a secret is given by reference: env:NAME or file:PATH. Never write the value itself.")
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = os.environ.get(name, "")
    else:
        try:
            value = Path(name).expanduser().read_text("utf-8").partition("\n")[0].strip()
        except (OSError, ValueError):
            value = ""
    if not value:
        raise WorkbenchError("the secret '{reference}' is not there. Set it for the process that runs the report.").of(
            reference
        )
    if len(value) < SHORTEST:
        raise WorkbenchError("the secret '{reference}' has fewer than {shortest} characters. Use a longer one.").of(
            reference, SHORTEST
        )
    return value


def leaks(folder: Path, references: Mapping[str, str]) -> list[tuple[str, str]]:
    """Search the files of a folder for the values of secrets, also inside workbooks and in usual encodings.

    Parameters
    ----------
    folder : Path
        What a run wrote.
    references : mapping
        Name of the parameter to its reference. One that can't be fetched was not known to the kernel either.

    Returns
    -------
    list of (file name, parameter name)
    """
    wanted: dict[str, tuple[bytes, ...]] = {}
    for name, reference in references.items():
        try:
            wanted[name] = tuple(_forms(secret(reference)))
        except WorkbenchError:
            continue
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()) if wanted else ():
        for content in _contents(path):
            found += [(path.name, name) for name, forms in wanted.items() if any(form in content for form in forms)]
    return list(dict.fromkeys(found))


def _forms(value: str) -> Iterable[bytes]:
    """Give a value as it may stand in a file: plain, in JSON, HTML and addresses, in base 64 at any offset."""
    raw = value.encode()
    texts = {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        html.escape(value),
        quote(value),
    }
    yield from (text.encode() for text in texts)
    for skipped in range(3):
        coded = base64.b64encode(b"\0" * skipped + raw)
        yield coded[(0, 2, 3)[skipped] : len(coded) // 4 * 4 - 4 or None]


def _contents(path: Path) -> Iterator[bytes]:
    if not zipfile.is_zipfile(path):
        yield path.read_bytes()
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            yield archive.read(name)
