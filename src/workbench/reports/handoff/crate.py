"""What a bundle says of itself: README, claims, citation, and its description as a Process Run Crate 0.5."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workbench.catalogue import entry
from workbench.messages import Listed, join, say
from workbench.reports.page.lists import guarded

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
AUTHORS = "The telecom-CRM research workbench authors"
_HEAD = ("report", "claim", "cell", "name", "value", "low", "high", "unit", "rtol")
_README = """# Handoff: {studies}

Reports with all that made them, handed over so that others can prove that the numbers hold.

{answers}

## Verify it

Two commands, in the folder this file is unpacked in; FILE.zip is the bundle as it came:

```
python3 -m venv env && env/bin/pip install --require-hashes -r requirements.lock
PYTHONPATH=code env/bin/python -m workbench handoff verify FILE.zip{option}
```

Where the workbench is installed, `workbench handoff verify FILE.zip{option}` is enough. Every byte is checked, the
environment compared, the notebooks are run again with the program in `code/`, offline in a temporary folder, and each
number is compared within its tolerance; a page shows them all. Exit code 0: the same; 1: a number, or a library's
version, differs; 2: it could not be run; 3: the file was changed.

## What is in it

| file | what it is |
|---|---|
| `claims.md`, `claims.csv` | every recorded number: what it says, in which cell, its interval, unit and tolerance |
| `results/STUDY/NAME/` | report as page, sheets, executed notebook, numbers and manifest |
| `notebooks/`, `data/`, `code/` | what made them: notebooks, mappings, models, program |
| `requirements.lock`, `environment.json` | the libraries, to install and as they were |
| `bundle.json`, `ro-crate-metadata.json` | the runs, with data by recipe or hash; the same as Process Run Crate 0.5 |
| `SHA256SUMS` | the hash of every file |

## What cannot be reproduced from it, and why

- Customers' rows and lists of customers are not in it: they never leave. {data}
- Figures on fewer than {minimum} people are not shown.
- Claims, pages, pictures and sheets are not compared, but what they are made from: numbers, tables and answers.
- Times of a run differ, and versions of the data, which depend on the secret key of the pseudonyms.
"""


def readme(facts: Mapping[str, Any], language: str = "en", said: Mapping[str, str] = {}) -> str:
    """Write the README of a bundle in a language; `said` are headlines in it, by the name of the report."""
    asked = [name for name, source in facts["sources"].items() if source["kind"] == "pointer" and source["files"]]
    made = [name for name, source in facts["sources"].items() if source["kind"] == "sample"]
    data = []
    if made:
        data.append(say("The fictional operator ({names}) is made anew from its recipe.", names=Listed(made, "")))
    if asked:
        data.append(
            say(
                "For {names} the receiver needs the raw extracts, by name and hash in `bundle.json`, in FOLDER.",
                names=Listed(asked, ""),
            )
        )
    headlines = {s["name"]: said.get(s["name"], s["headline"]) for s in facts["slots"]}
    return entry(_README, language).format(
        studies=", ".join(dict.fromkeys(s["study"] for s in facts["slots"])),
        answers="\n".join(f"- {_line(name)}: {_line(headline)}" for name, headline in headlines.items()),
        option=" --data FOLDER" * bool(asked),
        data=join(*data).said(language),
        minimum=facts["minimum"],
    )


def claims(reports: Mapping[str, Mapping[str, Any]], document: Path) -> tuple[str, str]:
    """Give the claims of executed notebooks as CSV and markdown: what is claimed, in which cell, and how exactly.

    What a number says is read from the document of recorded quantities, where there is one.
    """
    text = document.read_text("utf-8") if document.is_file() else ""
    meanings: dict[str, str] = {}
    for names, meaning in re.findall(r"^\| (`.+`) \|.*\| (.+) \|$", text, re.MULTILINE):
        meanings |= dict.fromkeys(re.findall(r"`(\w+)", names), meaning)
    rows = [row for name, notebook in reports.items() for row in _claims(name, notebook, meanings)]
    sheet = io.StringIO()
    csv.writer(sheet, lineterminator="\n").writerows([_HEAD, *(map(guarded, row) for row in rows)])
    lines = ["# Claims", "", "`cell` is the number beside a cell of the executed notebook.", ""]
    lines += [f"| {' | '.join(_HEAD)} |", "|---" * len(_HEAD) + "|"]
    return sheet.getvalue(), "\n".join([*lines, *(f"| {' | '.join(map(_line, row))} |" for row in rows), ""])


def _claims(report: str, notebook: Mapping[str, Any], meanings: Mapping[str, str]) -> Iterator[list[Any]]:
    from workbench.reports.page.html import QUANTITIES

    for i, cell in enumerate(notebook["cells"], 1):
        for n in (n for output in cell.get("outputs", []) for n in output.get("data", {}).get(QUANTITIES, ())):
            claim = meanings.get(n["name"].partition("[")[0], n["name"])
            yield [report, claim, cell.get("execution_count") or i, *(n[field] for field in _HEAD[3:])]


def citation(facts: Mapping[str, Any]) -> str:
    """Write CITATION.cff."""
    title = f"Telecom-CRM research: {', '.join(dict.fromkeys(s['study'] for s in facts['slots']))}"
    return (
        "cff-version: 1.2.0\nmessage: Please cite this bundle as below.\ntype: dataset\nlicense: MIT\n"
        f"title: {json.dumps(title, ensure_ascii=False)}\nversion: {json.dumps(facts['workbench'])}\n"
        f"date-released: {json.dumps(facts['finished'][:10])}\nauthors:\n  - name: {AUTHORS}\n"
    )


def metadata(facts: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    """Describe a bundle as RO-Crate 1.1 with a CreateAction a report (Process Run Crate 0.5)."""
    shown = {name: content for name, content in files.items() if not name.startswith("code/")}
    inputs = [name for name in shown if name.startswith("data/")]
    actions = [
        {
            "@id": f"#run-{i}",
            "@type": "CreateAction",
            "name": f"Run of {s['name']}",
            "description": " ".join([f"workbench run {s['study']}", *(f"-p {k}={v}" for k, v in s["changed"].items())]),
            "endTime": s["finished"].replace(" ", "T"),
            "instrument": {"@id": "code/"},
            "agent": {"@id": "#authors"},
            "object": _ids([f"notebooks/{s['study']}.ipynb", *inputs]),
            "result": _ids(n for n in shown if n.startswith(f"results/{s['name']}/")),
        }
        for i, s in enumerate(facts["slots"], 1)
    ]
    graph = [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": "Reports of the telecom-CRM research workbench",
            "description": "Reports with all that made them, to be run again and compared.",
            "datePublished": facts["finished"].replace(" ", "T"),
            "license": {"@id": "https://spdx.org/licenses/MIT"},
            "conformsTo": {"@id": PROFILE},
            "hasPart": _ids(["code/", *shown]),
            "mentions": [{"@id": action["@id"]} for action in actions],
        },
        {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {"@id": "https://spdx.org/licenses/MIT", "@type": "CreativeWork", "name": "MIT License"},
        {"@id": "#authors", "@type": "Organization", "name": AUTHORS},
        {
            "@id": "code/",
            "@type": ["Dataset", "SoftwareApplication"],
            "name": "telecom-workbench",
            "softwareVersion": facts["workbench"],
            "description": f"The program; sha256 of it: {facts['code']}",
        },
        *actions,
        *({"@id": quote(n), "@type": "File", "name": n, "contentSize": str(len(c))} for n, c in shown.items()),
    ]
    context = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
    return json.dumps({"@context": context, "@graph": graph}, ensure_ascii=False, indent=1) + "\n"


def _ids(names: Any) -> list[dict[str, str]]:
    return [{"@id": quote(name)} for name in names]


def _line(value: Any) -> str:
    """Set a value as markdown of one line that shows it as it is."""
    text = "" if value is None else re.sub(r"\s+", " ", str(value))
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", html.escape(text, quote=False))
