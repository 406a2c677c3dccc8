"""One run, several languages: an executed notebook keeps what its sentences were made of, and is said again in another.

`translated` gives the notebook as if it had been written in the language; page, paper and sheets are set from that.
"""

from __future__ import annotations

import copy
import html
import locale
import os
import tomllib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from workbench import messages
from workbench.catalogue import label, prose
from workbench.errors import WorkbenchError, require_known, unknown
from workbench.messages import LANGUAGES, OF_DATA, word
from workbench.project import project_root
from workbench.recognised import sentence
from workbench.reports.page import lists, tables
from workbench.reports.page.escape import as_entities, as_markdown
from workbench.reports.page.html import QUANTITIES
from workbench.reports.page.said import PICTURES, answer_of

if TYPE_CHECKING:
    import pandas as pd

SPOKEN = "WORKBENCH_LANG"
"""The environment variable that names the languages of reports, the first one in front: "zh,en"."""

SETTINGS = "data/settings.toml"
"""What holds for the whole project: `lang`, the languages of its reports."""

NAMES = {"en": "English", "zh": "中文"}


def languages(asked: Iterable[str] | str = ()) -> tuple[str, ...]:
    """Give the languages of reports: those asked for, else WORKBENCH_LANG's, the project's, the machine's.

    Raises
    ------
    WorkbenchError
        If there is no catalogue of a language, none is named between commas, or the project's settings cannot be read.

    >>> languages(["zh", "en", "zh"]), languages("zh, en")
    (('zh', 'en'), ('zh', 'en'))
    """
    text = (asked if isinstance(asked, str) else ",".join(asked)) or os.environ.get(SPOKEN, "") or _of_project()
    chosen = tuple(dict.fromkeys(filter(None, (part.strip() for part in text.replace("，", ",").split(",")))))
    if text and not chosen:
        raise WorkbenchError("no language is named. Name zh, en or both with a comma between.")
    if not chosen:
        spoken = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
        chosen = ("zh", "en") if locale.normalize(spoken).startswith("zh") else ("en",)
    for language in chosen:
        if language not in LANGUAGES:
            raise unknown("language", language, LANGUAGES)
    return chosen


def _of_project() -> str:
    """Give `lang` of data/settings.toml, if the project has one: "zh,en", or a list."""
    try:
        text = (project_root() / SETTINGS).read_text("utf-8")
    except (WorkbenchError, OSError):
        return ""
    try:
        settings = tomllib.loads(text)
    except ValueError as error:
        raise WorkbenchError("{file} cannot be read: {error}.").of(SETTINGS, str(error)) from None
    for name in settings:
        require_known("setting", name, ["lang"], SETTINGS)
    asked = settings.get("lang", "")
    return asked if isinstance(asked, str) else ",".join(map(str, asked))


def spoken() -> str:
    """Give the language of the command line: the first of `languages`; English where WORKBENCH_LANG names none.

    >>> spoken()
    'en'
    """
    return known_language() or languages()[0]


def known_language() -> str:
    """Give English where WORKBENCH_LANG names no language that is known, else nothing: who lists asks for no report."""
    try:
        languages()
    except WorkbenchError:
        return LANGUAGES[0]
    return ""


def file_name(name: str, language: str, spoken: Iterable[str]) -> str:
    """Name a file of a report in a language: the first language has the plain name.

    >>> file_name("index.html", "zh", ("zh", "en")), file_name("index.html", "en", ("zh", "en"))
    ('index.html', 'index.en.html')
    """
    stem, _, ending = name.rpartition(".")
    return name if language == next(iter(spoken)) else f"{stem}.{language}.{ending}"


def translated(notebook: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Say an executed notebook in a language.

    What has no entry stays in English; code, numbers and names of columns in the sheets are as they were.
    """
    if language == "en":
        return dict(notebook)
    made = {**notebook, "metadata": {**notebook["metadata"], "language": language}, "cells": []}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell = {**cell, "source": prose("".join(cell["source"]), language)}
        elif "outputs" in cell:
            cell = {**cell, "outputs": [_said(output, language) for output in cell["outputs"]]}
        made["cells"].append(cell)
    return made


def title_of(notebook: Mapping[str, Any], otherwise: str) -> str:
    """Give the first heading of a notebook's text."""
    lines = (
        line for c in notebook["cells"] if c["cell_type"] == "markdown" for line in "".join(c["source"]).split("\n")
    )
    return next((line.lstrip("# ").strip() for line in lines if line.startswith("#")), otherwise)


def said_facts(facts: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Say what a page tells of its run: meanings and units of the parameters, and what was refused of the data."""
    told = [
        p | {"kind": p["unit"]} | {key: word(prose(p[key], language), language) for key in ("unit", "meaning")}
        for p in facts["parameters"]
    ]
    lists = {key: [sentence(text, language) for text in facts.get(key, ())] for key in ("refusals", "warnings")}
    return {**facts, "parameters": told, **lists}


def _said(output: Mapping[str, Any], language: str) -> Mapping[str, Any]:
    ours = output.get("metadata", {}).get("workbench", {})
    kind, stored = ours.get("kind"), ours.get("said", {})
    if kind == "decision":
        return _with(output, {"text/plain": "\n".join(messages.read(s).said(language) for s in ours["sentences"])})
    if kind == "said":
        text = messages.read(stored["text"]).said(language)
        return _with(output, {"text/plain": text, "text/markdown": as_markdown(text)})
    if kind == "table":
        return _with(output, {tables.MIME: _table(output["data"][tables.MIME], stored, language)})
    if kind == "figure":
        words = {field: messages.read(message).said(language) for field, message in stored.items()}
        drawn = dict(output["data"].get(PICTURES, {}).get(language, {}))
        png = {"image/png": drawn.pop("png")} if "png" in drawn else {}
        drawn.pop("svg", None)
        return _with(output, png, {**words, **drawn})
    if kind == "quantities":
        rows = [{**row, "unit": _called(row["unit"], language)} for row in output["data"][QUANTITIES]]
        return _with(output, {QUANTITIES: rows})
    if kind == "list" and "text" in stored:
        return _with(output, {"text/plain": messages.read(stored["text"]).said(language)})
    return output


def in_lab(data: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Say what is displayed in the language of whoever sits there; a run keeps English, and says it on its pages."""
    language = spoken()
    if language == "en" or lists.OUTPUT in os.environ:
        return dict(data)
    output = {"data": data, "metadata": {"workbench": ours}}
    shown = dict(_said(output, language)["data"])
    if ours.get("kind") == "answer":
        said = answer_of(output, language)
        shown["text/plain"] = "\n".join((said.lead, *said.more))
    elif ours.get("kind") == "table":
        shown["text/html"] = tables.as_html(shown[tables.MIME])
    elif ours.get("kind") == "caption":
        shown["text/plain"] = messages.read(ours["said"]["text"]).said(language)
        shown["text/html"] = f"<p><em>{html.escape(shown['text/plain'])}</em></p>"
    if ours.get("kind") in ("answer", "decision"):
        between, before = ("\n\n", "") if ours["kind"] == "answer" else ("\n", "- ")
        shown["text/markdown"] = between.join(before + as_entities(s) for s in shown["text/plain"].splitlines())
    return shown | ({tables.MIME: data[tables.MIME]} if tables.MIME in data else {})


def _with(output: Mapping[str, Any], data: dict[str, Any], ours: dict[str, Any] | None = None) -> dict[str, Any]:
    told = {**output["metadata"]["workbench"], **(ours or {})}
    return {**output, "data": {**output["data"], **data}, "metadata": {**output["metadata"], "workbench": told}}


def _table(table: Mapping[str, Any], stored: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Say a table's payload: its caption, what its columns are called, and its texts; numbers stay."""
    known, name = {text: messages.read(m) for text, m in stored.get("cells", {}).items()}, table["name"]
    made = copy.copy(dict(table))
    made["language"] = language
    if "caption" in stored:
        made["caption"] = messages.read(stored["caption"]).said(language)
    made["columns"] = [{**c, "label": _called(c["name"], language, known, name)} for c in table["columns"]]
    made["rows"] = [
        [_cell(v, c, language, known, name) for v, c in zip(row, table["columns"], strict=True)]
        for row in table["rows"]
    ]
    return made


def said_list(frame: pd.DataFrame, name: str, definition: messages.Message, language: str) -> dict[str, lists.Words]:
    """Say a list of customers: by column, under the empty text what it is called, then its texts that have words."""
    if language == "en":
        return {}

    words = {}
    for column in map(str, frame.columns):
        of, told = {"name": column, "kind": "text"}, {False: "no", True: "yes"}
        texts = {str(t): _cell(told.get(t, t), of, language, {}, name) for t in lists.texts(frame[column])}
        words[column] = {"": _called(column, language, table=name)} | {t: s for t, s in texts.items() if s and s != t}
    about = {key: {"": label(key, language, "list")} for key in ("list", "as_of", "definition", "rows")}
    about["definition"][str(definition)] = definition.said(language)
    return {**words, **about}


def _cell(value: Any, column: Mapping[str, Any], language: str, known: Mapping[str, messages.Message], of: str) -> Any:
    """Say a text of a table: as the table or the column calls it, by its message, or by its entry; numbers stay."""
    if column["kind"] != "text" or not isinstance(value, str):
        return value
    for place in (of, column["name"]):
        if (here := label(value, language, place)) != label(value, language):
            return here
    made = known[value].said(language) if value in known else value
    return word(value, language) if made == value and column["name"] not in OF_DATA else made


def _called(name: str, language: str, known: Mapping[str, messages.Message] = {}, table: str = "") -> str:
    """Say what a column is called: by labels, else as a cell; one of several levels part by part."""

    def said(part: str) -> str:
        found = label(part, language, table)
        if found != label(part):
            return found
        other = known[part].said(language) if part in known else word(part, language)
        return found if other == part else other

    return " · ".join(map(said, name.split(" · ")))
