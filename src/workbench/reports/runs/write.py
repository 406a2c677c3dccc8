"""What an executed notebook said becomes the files of a report: pages and papers by language, sheets, numbers."""

from __future__ import annotations

import copy
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.catalogue import label as named
from workbench.errors import WorkbenchError
from workbench.messages import Day, Number, as_message, say, word
from workbench.recognised import sentence
from workbench.reports.page import html as page
from workbench.reports.page import pdf, sheets, tables
from workbench.reports.page.languages import NAMES, file_name, said_facts, title_of, translated
from workbench.reports.page.said import answer_of, was
from workbench.reports.runs.job import Failure, Job
from workbench.reports.runs.slots import PACKAGE, read_manifest

_HEADING = re.compile(r"^#+\s+(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Said:
    """What a notebook said.

    The first line of its answer and of its decision, its key figures in words, payloads of its tables, rows of its
    numbers.
    """

    headline: str
    decision: str
    tiles: list[dict[str, str]]
    tables: list[dict[str, Any]]
    quantities: list[dict[str, Any]]


def gather(notebook: Mapping[str, Any]) -> Said:
    """Gather what an executed notebook said, in its language.

    Raises
    ------
    WorkbenchError
        If two tables or two numbers share a name, or a picture has no caption and description.
    """
    first: dict[str, str] = {}
    shown: list[dict[str, str]] = []
    found: dict[str, dict[str, Any]] = {}
    numbers: dict[str, dict[str, Any]] = {}
    for data, ours in _displayed(notebook):
        kind = ours.get("kind")
        if kind == "answer" and kind not in first:
            said = answer_of({"data": data, "metadata": {"workbench": ours}}, page.language(notebook))
            first[kind], shown = said.lead, [dict(tile) for tile in said.tiles]
        elif kind == "decision":
            first.setdefault(kind, "".join(data["text/plain"]).partition("\n")[0])
        elif kind == "table":
            _add(found, data[tables.MIME], "table")
        elif kind == "quantities":
            for row in data[page.QUANTITIES]:
                _add(numbers, row, "number")
        elif kind != "figure" and any(mime.startswith("image/") for mime in data):
            raise WorkbenchError("a cell shows a picture without caption and description. Show it with show_figure().")
    return Said(first.get("answer", ""), first.get("decision", ""), shown, list(found.values()), list(numbers.values()))


def without_paths(text: str, root: Path) -> str:
    """Take the paths of this machine out of a message or a traceback."""
    here = {str(root): ".", str(root.resolve()): ".", str(PACKAGE): "workbench", str(PACKAGE.parent): "src"}
    prefixes = {sys.prefix: "…", sys.base_prefix: "…", os.path.expanduser("~"): "~", tempfile.gettempdir(): "…"}
    text = re.sub(re.escape(tempfile.gettempdir()) + r"/ipykernel_\d+/\d+\.py", "cell", text)
    for path, short in sorted((here | prefixes).items(), key=lambda p: -len(p[0])):
        if len(path) > 1:
            text = re.sub(re.escape(path) + r"(?=[/\\'\"\s:,)]|$)", short, text)
    return text


def write_json(path: Path, content: Any) -> None:
    """Write JSON readable by people and by every reader: real characters, no NaN."""
    path.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n", encoding="utf-8")


def write_report(job: Job, notebook: Any, said: Said, manifest: dict[str, Any]) -> None:
    import nbformat

    nbformat.write(notebook, job.folder / "report.ipynb")
    write_json(job.folder / "results.json", said.quantities)
    for language in job.slot.languages:
        in_it = translated(notebook, language)
        told = said if language == "en" else gather(in_it)
        if language != "en":
            about = {"headline": told.headline, "decision": told.decision, "tiles": told.tiles}
            manifest.setdefault("said", {})[language] = {"title": title_of(in_it, job.slot.study.title), **about}
        _write_language(job, in_it, told, manifest, language)


def _write_language(job: Job, notebook: Any, said: Said, manifest: dict[str, Any], language: str) -> None:
    """Write page, paper and sheets in a language; the first has the plain names, and the workbook alone."""
    slot, first = job.slot, language == job.slot.languages[0]
    title = title_of(notebook, slot.study.title) if language != "en" else slot.study.title
    told, colon = said_facts(_facts(manifest), language), "：" if language == "zh" else ": "
    lines = [
        ("study", slot.study.name, title),
        *(
            (_code(p, language), p["value"], colon.join(filter(None, (p["unit"], p["meaning"]))))
            for p in told["parameters"]
        ),
        ("data version", slot.data_version, ""),
        *(("refused data", sentence, "") for sentence in told["refusals"]),
        *(("warning", sentence, "") for sentence in told["warnings"]),
        ("finished", manifest["finished"], say("{n} s", n=Number(manifest["seconds"], ".1f"))),
        *((name, version, "version") for name, version in manifest["versions"].items()),
        ("fingerprint", slot.fingerprint, "of notebook, package, data, parameters and lock"),
    ]
    lines = [(word(name, language), value, word(note, language)) for name, value, note in lines]
    links = [_link("results.json", "Numbers (json)", language), _link("report.ipynb", "Notebook", language)]
    said_of = [f"{named(p['name'], language, 'parameter')}{colon}{_told(p, language)}" for p in told["parameters"]]
    version = say("data version {version}, {finished}", version=slot.data_version or "none", finished=told["finished"])
    facts = [
        ("；" if language == "zh" else "; ").join(said_of),
        version.said(language),
        *told["refusals"][:1],
        *told["warnings"][:1],
    ]
    before = _before(job, language, [tile["label"] for tile in said.tiles])
    writers: dict[str, tuple[str, str, Callable[[Path], None]]] = {
        "pdf": (
            "report.pdf",
            "PDF",
            lambda path: pdf.write_pdf(path, notebook, title=title, facts=facts, before=before),
        ),
        "xlsx": ("tables.xlsx", "Tables (xlsx)", lambda path: sheets.write_sheets(path, said.tables, lines, language)),
    }
    for form, (name, text, write) in writers.items():
        if form not in slot.formats or (form == "xlsx" and not first):
            continue
        name = file_name(name, language, slot.languages)
        if why := _costs(write, job.folder / name):
            manifest["lacking"][form] = without_paths(why, job.root)
        else:
            links.insert(0, _link(name, text, language))
    if "xlsx" in slot.formats and not first and (job.folder / "tables.xlsx").is_file():
        links.insert(1, _link("tables.xlsx", "Tables (xlsx)", language))
    others = [other for other in slot.languages if other != language]
    links += [{"href": file_name("index.html", o, slot.languages), "text": NAMES[o], "language": o} for o in others]
    told["lacking"] = {form: sentence(why, language) for form, why in manifest["lacking"].items()}
    told["index"] = f"../../index.{language}.html" if others else "../../index.html"
    told["before"] = before
    made = page.report_page(notebook, title=title, facts=told, links=links)
    (job.folder / file_name("index.html", language, slot.languages)).write_text(made, encoding="utf-8")


def _before(job: Job, language: str, labels: list[str]) -> dict[str, str]:
    """Say what each key figure was in the report of the period before, by what the figure is called now."""
    rest = job.slot.name.removeprefix(job.slot.period)
    folders = job.slot.folder(job.root).parent.glob("*/manifest.json") if job.slot.period else ()
    there = {folder.parent.name.removesuffix(rest): folder.parent for folder in folders}
    earlier = sorted(label for label in there if len(label) == len(job.slot.period) and label < job.slot.period)
    for period in reversed(earlier):
        if there[period].name != f"{period}{rest}":
            continue
        manifest = read_manifest(there[period])
        if language != "en" and language not in manifest.get("said", {}):
            continue
        found = said_in(manifest, language)
        if found.get("status") == "done" and found.get("period") == period:
            values = {label: was(label, found.get("tiles", ()), language) for label in labels}
            return {
                label: say("{period}: {value}", period=Day(period), value=value).said(language)
                for label, value in values.items()
                if value
            }
    return {}


def _told(parameter: Mapping[str, Any], language: str) -> str:
    """Say a parameter's value on paper: what it is called, or a day in words; "–" for none."""
    return str(parameter.get("called", page.value_said(parameter, language))) or "–"


def _code(parameter: Mapping[str, Any], language: str) -> str:
    """Give a parameter's name as commands take it; in another language behind what it is called."""
    name = parameter["name"]
    return name if language == "en" else f"{named(name, language, 'parameter')}（{name}）"


def said_in(manifest: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Give what a manifest tells of its report in a language, as far as it was said in it."""
    return {**manifest, **manifest.get("said", {}).get(language, {})}


def write_failure(job: Job, notebook: Any, failure: Failure, manifest: Mapping[str, Any]) -> None:
    import nbformat

    nbformat.write(notebook, job.folder / "failed.ipynb")
    language = job.slot.languages[0]
    shown: dict[str, Any] = {"message": sentence(manifest["error"], language), "cell": None}
    shown |= {"section": "", "source": "", "traceback": without_paths(failure.traceback, job.root)}
    if failure.cell is not None and failure.cell < len(notebook.cells):
        before = notebook.cells[: failure.cell + 1]
        headings = [h for c in before if c.cell_type == "markdown" for h in _HEADING.findall(c.source)]
        ours = [c for c in before if c.cell_type == "code" and "injected-parameters" not in c.metadata.get("tags", [])]
        shown |= {"cell": len(ours), "section": headings[-1] if headings else "", "source": before[-1].source}
    kept = (job.slot.folder(job.root) / "index.html").is_file()
    links = [_link("failed.ipynb", "Notebook as far as it came", language)]
    title = title_of(translated(notebook, language), job.slot.study.title)
    facts = said_facts(_facts(manifest), language)
    made = page.failure_page(title=title, facts=facts, links=links, failure=shown, kept=kept, language=language)
    (job.folder / "failure.html").write_text(made, encoding="utf-8")


def _displayed(notebook: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if "data" in output:
                yield output["data"], output.get("metadata", {}).get("workbench", {})


def _add(found: dict[str, dict[str, Any]], one: Mapping[str, Any], what: str) -> None:
    if one["name"] in found:
        raise WorkbenchError("two {what}s of the notebook are named '{name}'. Give each a name of its own.").of(
            as_message(what), one["name"]
        )
    found[one["name"]] = copy.deepcopy(dict(one))


def _facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("study", "parameters", "data_version", "seconds", "lacking", "refusals", "warnings")
    same = {k: manifest[k] for k in kept}
    return same | {"finished": manifest["finished"][:16], "workbench": manifest["versions"]["workbench"]}


def _costs(write: Callable[[Path], None], path: Path) -> str:
    """Write one of a report's formats; where it cannot be written say why: that costs the format, not the report.

    What the machine refuses (disk, memory) costs the report, which is made again.
    """
    try:
        write(path)
        return ""
    except Exception as error:
        path.unlink(missing_ok=True)
        causes = {error, error.__cause__, error.__context__}
        if any(isinstance(e, (OSError, MemoryError)) and not isinstance(e, FileNotFoundError) for e in causes):
            raise
        return str(error) if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"


def _link(href: str, text: str, language: str) -> dict[str, str]:
    return {"href": href, "text": word(text, language)}
