"""What a bundle says of itself: README, claims, citation, and its description as a Process Run Crate 0.5."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
AUTHORS = "The telecom-CRM research workbench authors"
_TYPES = {
    ".html": "text/html", ".json": "application/json", ".md": "text/markdown", ".csv": "text/csv", ".toml": "text/toml",
    ".ipynb": "application/x-ipynb+json", ".py": "text/x-python", ".sql": "application/sql", ".css": "text/css",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip
_README = """# {title}

The reports, numbers and programs of {count}, handed over so that others can prove that the numbers hold.
{answers}
## Verify it

Two commands, in a folder with this bundle unpacked beside the zip file it came in:

```
python3 -m venv env && env/bin/pip install --require-hashes -r requirements.lock
PYTHONPATH=code env/bin/python -m workbench handoff verify FILE.zip{data_option}
```

Where the workbench is installed already, the second is `workbench handoff verify FILE.zip{data_option}`. It checks
every byte, compares the environment, runs the notebooks again without network in a temporary folder with the programs in
`code/`, compares number by number within the tolerance of each, and writes a page with every number. Exit code 0: the
same; 1: a number, or a library's version, differs; 2: it could not be run; 3: the file was changed.

## What is in it

| file | what it is |
|---|---|
| `claims.md`, `claims.csv` | every recorded number: what it says, in which cell, its interval, unit and tolerance |
| `results/STUDY/NAME/` | report as page, sheets, executed notebook, numbers and manifest |
| `notebooks/`, `data/models/`, `data/mappings/`, `code/` | all that made them |
| `requirements.lock`, `environment.json` | the libraries, to install and as they were |
| `bundle.json` | the runs, and the data by recipe or by hash |
| `ro-crate-metadata.json` | the same for machines: RO-Crate 1.1, Process Run Crate 0.5 |
| `SHA256SUMS` | the hash of every file |

## What cannot be reproduced from it, and why

- Customers' rows are not in it, nor lists of customers: they never leave. {data}
- Pictures, pages and sheets are not compared, only what they are made from: numbers, tables and answers.
- Times and durations of a run, and versions of the data, which depend on the secret key of the pseudonyms.
- Figures that stand on fewer than {minimum} people: none is shown.
"""


def readme(facts: Mapping[str, Any]) -> str:
    """Write the README of a bundle from its facts (see bundle.py)."""
    slots, sources = facts["slots"], facts["sources"]
    asked = [name for name, source in sources.items() if source["kind"] == "pointer"]
    made = [name for name in sources if name not in asked]
    data = f"The fictional operator ({', '.join(made)}) is made anew from its recipe. " if made else ""
    if asked:
        data += (
            f"For {', '.join(asked)} the receiver needs the raw extracts, whose names, hashes and rows stand in "
            "`bundle.json`; `--data` names the folder that holds them."
        )
    answers = "".join(f"\n- **{s['study']}/{s['slot']}**: {_line(s['headline'])}" for s in slots)
    return _README.format(
        title=f"Handoff: {', '.join(dict.fromkeys(s['study'] for s in slots))}",
        count=f"{len(slots)} report{'s' * (len(slots) > 1)}",
        answers=answers + "\n",
        data=data or "These reports read none.",
        data_option=" --data FOLDER" if asked else "",
        minimum=facts["minimum"],
    )


def claims(reports: Mapping[tuple[str, str], Mapping[str, Any]], meanings: Mapping[str, str]) -> tuple[str, str]:
    """Give the claims of executed notebooks as CSV and as markdown: what is claimed, where it stands, and how exactly.

    Parameters
    ----------
    reports : mapping
        Executed notebooks by study and slot.
    meanings : mapping
        What a quantity says, by the part of its name before the bracket.
    """
    head = ["study", "slot", "claim", "cell", "name", "value", "low", "high", "unit", "rtol"]
    rows = [row for (study, slot), notebook in reports.items() for row in _claims(study, slot, notebook, meanings)]
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([[_unformula(v) for v in row] for row in rows])
    lines = ["# Claims", "", "`cell` is the number in brackets beside a cell of the executed notebook.", ""]
    lines += ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += ["| " + " | ".join(_line(v) for v in row) + " |" for row in rows]
    return sheet.getvalue(), "\n".join(lines) + "\n"


def _claims(study: str, slot: str, notebook: Mapping[str, Any], meanings: Mapping[str, str]) -> Iterator[list[Any]]:
    from workbench.reports.page import QUANTITIES

    for i, cell in enumerate(notebook["cells"], 1):
        for output in cell.get("outputs", []):
            for n in output.get("data", {}).get(QUANTITIES, ()):
                claim = meanings.get(n["name"].partition("[")[0], n["name"])
                where = cell.get("execution_count") or i
                yield [study, slot, claim, where, *(n[f] for f in ("name", "value", "low", "high", "unit", "rtol"))]


def meanings(document: Path) -> dict[str, str]:
    """Read what each recorded quantity says from docs/results.md; empty where there is none."""
    text = document.read_text("utf-8") if document.is_file() else ""
    found = {}
    for names, meaning in re.findall(r"^\| (`.+`) \|.*\| (.+) \|$", text, re.MULTILINE):
        found.update(dict.fromkeys(re.findall(r"`(\w+)", names), meaning))
    return found


def citation(facts: Mapping[str, Any]) -> str:
    """Write CITATION.cff."""
    title = f"Telecom-CRM research: {', '.join(dict.fromkeys(s['study'] for s in facts['slots']))}"
    return (
        "cff-version: 1.2.0\nmessage: Please cite this bundle as below.\ntype: dataset\n"
        f"title: {json.dumps(title, ensure_ascii=False)}\nversion: {json.dumps(facts['workbench'])}\n"
        f"date-released: {json.dumps(facts['finished'][:10])}\nlicense: MIT\nauthors:\n  - name: {AUTHORS}\n"
    )


def metadata(facts: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    """Describe a bundle as RO-Crate 1.1 with a CreateAction a report (Process Run Crate 0.5)."""

    def reference(names: Any) -> list[dict[str, str]]:
        return [{"@id": n if n.startswith("#") else quote(n)} for n in names]

    actions, inputs = [], [n for n in files if n.startswith("data/")]
    for i, slot in enumerate(facts["slots"], 1):
        made = [n for n in files if n.startswith(f"results/{slot['study']}/{slot['slot']}/")]
        actions.append({
            "@id": f"#run-{i}", "@type": "CreateAction", "name": f"Run of {slot['study']}/{slot['slot']}",
            "description": f"workbench run {slot['study']}"
            + "".join(f" -p {k}={v}" for k, v in slot["changed"].items()),
            "endTime": slot["finished"].replace(" ", "T"), "instrument": {"@id": "#workbench"},
            "agent": {"@id": "#authors"}, "object": reference([f"notebooks/{slot['study']}.ipynb", *inputs]),
            "result": reference(made), "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
        })  # fmt: skip
    graph = [
        {"@id": "ro-crate-metadata.json", "@type": "CreativeWork", "about": {"@id": "./"},
         "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"}},
        {"@id": "./", "@type": "Dataset", "name": "Reports of the telecom-CRM research workbench",
         "description": "Reports with all that made them, to be run again and compared.",
         "datePublished": facts["finished"].replace(" ", "T"), "license": {"@id": "https://spdx.org/licenses/MIT"},
         "conformsTo": {"@id": PROFILE}, "hasPart": reference(files), "mentions": reference(a["@id"] for a in actions)},
        {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {"@id": "https://spdx.org/licenses/MIT", "@type": "CreativeWork", "name": "MIT License"},
        {"@id": "#authors", "@type": "Organization", "name": AUTHORS},
        {"@id": "#workbench", "@type": "SoftwareApplication", "name": "telecom-workbench",
         "softwareVersion": facts["workbench"], "sha256": facts["code"]},
        *actions,
        *({"@id": quote(n), "@type": "File", "name": n, "contentSize": str(len(content)),
           "encodingFormat": _TYPES.get(Path(n).suffix, "text/plain")} for n, content in files.items()),
    ]  # fmt: skip
    context = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
    return json.dumps({"@context": context, "@graph": graph}, ensure_ascii=False, indent=1) + "\n"


def _line(value: Any) -> str:
    """Set a value as markdown of one line that shows it as it is."""
    text = "" if value is None else re.sub(r"\s+", " ", str(value))
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", text)


def _unformula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
