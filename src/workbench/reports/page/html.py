"""The page of a report: one HTML file that fetches nothing and runs nothing.

Nothing from data reaches the page as HTML: tables are set from their payload, markdown is rendered with raw
HTML escaped, and any other output is shown as its plain text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from workbench.reports.page import tables

QUANTITIES = "application/vnd.workbench.quantities+json"
LONGEST_TABLE = 100
LONGEST_LIST = 40
LONGEST_TEXT = 10_000
LONGEST_MARKDOWN = 100_000
NOTICE = "<!--notice-->"

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_FOLDER = Path(__file__).parent / "template"


def report_page(notebook: Mapping[str, Any], *, title: str, facts: Mapping[str, Any], links: list[dict]) -> str:
    """Set an executed notebook as a page.

    Parameters
    ----------
    notebook : mapping
        The executed notebook (format 4).
    title : str
        Title of the page; the notebook's first heading is not repeated.
    facts : mapping
        study, parameters (name, value, unit, meaning), data_version, finished, seconds, workbench; `lacking`, why a
        format could not be written, by its name.
    links : list of dict
        href and text of the files beside the page.
    """
    outline = _Outline(title)
    blocks = [block for cell in notebook["cells"] for block in _blocks(cell, outline)]
    contents = outline.entries if len(outline.entries) > 2 else []
    return _template("report.html").render(
        title=title,
        language=language(notebook),
        facts=facts,
        links=links,
        blocks=blocks,
        contents=contents,
        longest=LONGEST_LIST,
        style=_style(),
    )


def failure_page(*, title: str, facts: Mapping[str, Any], links: list[dict], failure: Mapping[str, Any], kept: bool):
    """Set the page that says why a run failed.

    Parameters
    ----------
    failure : mapping
        message, and as far as known cell (number), section, source and traceback.
    kept : bool
        Whether the last good version is beside it.
    """
    return _template("failure.html").render(
        title=title, language="en", facts=facts, links=links, failure=failure, kept=kept, style=_style()
    )


def site_page(*, title: str, reports: list[dict]) -> str:
    """Set the index of all reports."""
    from markupsafe import Markup

    script = (_FOLDER / "find.js").read_text("utf-8")
    hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    counts = {"failed": sum(r["status"] != "done" for r in reports), "stale": sum(r["stale"] for r in reports)}
    only = {"script": Markup(script), "allowed": Markup(f"sha256-{hashed}")} if len(reports) > 5 else {}
    periods = any(r["period"] for r in reports)
    return _template("site.html").render(
        title=title, language="en", reports=reports, periods=periods, style=_style(), **counts, **only
    )


def comparison_page(**said: Any) -> str:
    """Set reports side by side: title, headline, lists of lines by heading, comparisons by name, good, causes."""
    return _template("comparison.html").render(language="en", style=_style(), **said)


def with_notice(page: str, message: str) -> str:
    """Mark a good page of an earlier run: `message` stands at its head in place of an earlier mark."""
    mark = f'<div class="notice" role="note"><p>{html.escape(message)} <a href="failure.html">Why.</a></p></div>'
    before, _, rest = page.partition(NOTICE)
    rest = re.sub(r'\A<div class="notice" role="note">.*?</div>', "", rest, count=1, flags=re.DOTALL)
    return f"{before}{NOTICE}{mark}{rest}"


def plain(text: str) -> str:
    """Strip terminal colours and cut what is too long to read."""
    text = _ANSI.sub("", text)
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}\n… {len(text) - LONGEST_TEXT:,} more characters"
    return text


class _Outline:
    """Collects the headings of a page and gives each a unique id."""

    def __init__(self, title: str) -> None:
        self.entries: list[dict[str, Any]] = []
        self._ids: set[str] = set()
        self._title: str | None = title

    def heading(self, text: str, level: int) -> str:
        shown = html.unescape(re.sub(r"<[^>]+>", "", text)).strip()
        if self._title is not None and (level == 1 or shown == self._title):
            self._title = None
            return ""
        level = min(max(level, 2), 4)
        stem = re.sub(r"[^\w]+", "-", shown.lower()).strip("-") or "section"
        name, n = stem, 2
        while name in self._ids:
            name, n = f"{stem}-{n}", n + 1
        self._ids.add(name)
        if level <= 3:
            self.entries.append({"id": name, "text": shown, "level": level})
        return f'<h{level} id="{html.escape(name)}">{text}</h{level}>\n'


def _blocks(cell: Mapping[str, Any], outline: _Outline) -> Iterable[dict[str, Any]]:
    source = "".join(cell["source"])
    tags = cell.get("metadata", {}).get("tags", [])
    if cell["cell_type"] == "markdown":
        yield _set(source, outline)
    elif cell["cell_type"] == "code":
        if source.strip() and not {"hide-input", "parameters", "injected-parameters"} & set(tags):
            yield _safe("code", _highlighted(source))
        if "hide-output" not in tags:
            for output in cell.get("outputs", []):
                yield from _output(output, outline)


def _output(output: Mapping[str, Any], outline: _Outline) -> Iterable[dict[str, Any]]:
    if output["output_type"] == "stream":
        kind = "messages" if output["name"] == "stderr" else "text"
        yield {"kind": kind, "text": plain("".join(output["text"]))}
        return
    if output["output_type"] == "error":
        yield {"kind": "text", "text": plain("\n".join(output["traceback"]))}
        return
    data, ours = output["data"], output.get("metadata", {}).get("workbench", {})
    text = "".join(data.get("text/plain", ""))
    kind = ours.get("kind")
    if kind == "caption":
        return
    if kind == "answer":
        yield {"kind": "answer", "sentences": text.splitlines()}
    elif kind == "table":
        yield _safe("table", tables.as_html(data[tables.MIME], longest=LONGEST_TABLE))
    elif kind == "quantities":
        yield {"kind": "quantities", "rows": data[QUANTITIES]}
    elif kind == "list":
        yield {"kind": "list", "text": text, "files": [file for file in ours["files"] if "/" not in file]}
    elif kind == "figure":
        picture = base64.b64encode(base64.b64decode("".join(data["image/png"]))).decode("ascii")
        shown = {field: ours[field] for field in ("caption", "alt", "width", "height")}
        yield {"kind": "figure", "png": picture, **shown}
    elif "text/markdown" in data:
        yield _set("".join(data["text/markdown"]), outline)
    elif text:
        yield {"kind": "text", "text": plain(text)}


def _set(source: str, outline: _Outline) -> dict[str, Any]:
    """Set markdown; what nobody has written by hand, for its length, is shown as text."""
    if len(source) > LONGEST_MARKDOWN:
        return {"kind": "text", "text": plain(source)}
    return _safe("markdown", _markdown(source, outline))


def _safe(kind: str, escaped: str) -> dict[str, Any]:
    from markupsafe import Markup

    return {"kind": kind, "html": Markup(escaped)}


def _markdown(source: str, outline: _Outline) -> str:
    import mistune

    class Renderer(mistune.HTMLRenderer):
        def heading(self, text: str, level: int, **attributes: Any) -> str:
            return outline.heading(text, level)

        def image(self, text: str, url: str, title: str | None = None) -> str:
            return f"<em>{text}</em>"

        def table(self, text: str) -> str:
            return f'<div class="table"><table>\n{text}</table></div>\n'

        def inline_math(self, text: str) -> str:
            return f"<code>{html.escape(text)}</code>"

        def block_math(self, text: str) -> str:
            return f"<pre>{html.escape(text)}</pre>\n"

    render = mistune.create_markdown(renderer=Renderer(escape=True), plugins=["table", "strikethrough", "math"])
    return str(render(source))


def _highlighted(source: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return _named_tokens(highlight(source.strip("\n"), PythonLexer(), HtmlFormatter(nowrap=True)))


def _named_tokens(marked: str) -> str:
    """Keep the spans that the style sheet knows: the page stays small."""
    known = r"k|kn|kc|ow|s1|s2|sd|sa|si|c1|mi|mf"
    return re.sub(rf'<span class="(?!(?:{known})")[a-z0-9]+">([^<]*)</span>', r"\1", marked)


def language(notebook: Mapping[str, Any]) -> str:
    """Give the two letters of the language that a notebook's metadata names, else English."""
    named = str(notebook["metadata"].get("language", "en"))
    return named if re.fullmatch(r"[a-z]{2}", named) else "en"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.6g}".replace("-", "\N{MINUS SIGN}", 1 if value < 0 else 0)


@cache
def _style() -> Any:
    from markupsafe import Markup

    return Markup((_FOLDER / "style.css").read_text("utf-8"))


@cache
def _template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["figure"] = _figure
    return environment.get_template(name)
