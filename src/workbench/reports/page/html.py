"""The page of a report: one HTML file that fetches nothing, and runs nothing but a few lines that sort its tables.

Nothing from data reaches the page as HTML: tables are set from their payload, markdown is rendered with raw
HTML escaped, and any other output is shown as its plain text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from workbench.catalogue import entry, label, unit
from workbench.glossary import term_of, terms
from workbench.messages import OF_DATA, TAGS, Day, Listed, Message, as_value, say, word
from workbench.places import provinces
from workbench.reports.page import svg, tables
from workbench.reports.page.said import PICTURES, answer_of

QUANTITIES = "application/vnd.workbench.quantities+json"
LONGEST_TABLE, MANY_CELLS = 40, 1_800
"""Rows of a table on a page; half of them where the tables of the page have more cells than that together."""
LONGEST_LIST = 40
FOREMOST = 2
"""Things to do that stand on the first screen; the others of a decision are folded behind them."""
LONGEST_TEXT = 10_000
LONGEST_MARKDOWN = 100_000
NOTICE = "<!--notice-->"

DECISION = ("decision", "决策", "决策建议")
"""Ids of the section that stands on the first screen beside the answer, where it displays no decision of ours."""
COUNTED = ("months", "days", "day", "customers", "respondents", "items", "lines", "cases")
"""Units that stand behind the value of a parameter; of any other its name says enough."""
_HAN = re.compile(
    r'(<(?P<whole>svg|script|style|title|table|pre|option|textarea)\b.*?</(?P=whole)>|<[^>]*\blang="zh-CN">[^<]*|<[^>]*>)'
    r"|[㐀-鿿豈-﫿𠀀-𲎯]+",
    re.DOTALL,
)
IDENTITY = ("warehouse", "campaign", "wave", "province", "operator", "service", "date", "month", "period", "customer")
"""Units of the parameters that say what a report speaks of."""

_SECTION = re.compile(r"(?=<h2 )")
_HEAD = re.compile(r'<h2 id="(?P<id>[^"]*)">(?P<text>.*?)</h2>\n?', re.DOTALL)
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
    headings, spoken = _Headings(title), language(notebook)
    about = [{**p} for p in facts["parameters"] if p.get("kind", p["unit"]) in IDENTITY or p["changed"]]
    for p in about:
        if p.get("kind", p["unit"]) == "province" and (place := provinces().get(str(p["value"]))):
            p["page"] = facts.get("index", "../../index.html").replace("/index", f"/province-{place.code}")
    shown = [
        o["data"][tables.MIME]
        for c in notebook["cells"]
        for o in c.get("outputs", ())
        if tables.MIME in o.get("data", ())
    ]
    if sum(min(len(t["rows"]), LONGEST_TABLE) * len(t["columns"]) for t in shown) > MANY_CELLS:
        headings.longest //= 2
    about = [p | {"name": label(p["name"], spoken, "parameter"), "value": value_said(p, spoken)} for p in about]
    first, *folded = _sections(block for cell in notebook["cells"] for block in _blocks(cell, headings, spoken))
    kinds = {block["kind"] for section in (first, *folded) for block in section["blocks"]}
    return _page(
        "report.html",
        title=title,
        language=spoken,
        about=about,
        facts=facts,
        links=links,
        first=first,
        sections=folded,
        coded="code" in kinds,
        longest=LONGEST_LIST,
        style=_style(),
        **(_script("sort.js") if "table" in kinds else {}),
    )


def value_said(parameter: Mapping[str, Any], language: str) -> Any:
    """Say a parameter's value above the answer: a day, a count with its unit, what has a word; names from data stay.

    >>> months = {"name": "horizon", "value": 3, "unit": "个月", "kind": "months"}
    >>> value_said(months, "zh"), value_said({"name": "margin", "value": 0.45, "unit": "share"}, "en")
    ('3个月', '45%')
    >>> [value_said(months | {"value": n, "unit": "months"}, "en") for n in (1, 3)]
    ['1 month', '3 months']
    >>> [value_said({"name": "levers", "value": v, "unit": ""}, "zh") for v in ("Quality, Value", False, -1.0, "gmm")]
    ['感知质量、感知价值', '否', '取活动自身的值', '高斯混合']
    """
    value, unit = parameter["value"], parameter.get("unit", "")
    kind = parameter.get("kind", unit)
    if isinstance(value, bool):
        return entry("yes" if value else "no", language)
    if isinstance(value, (int, float)):
        if value == -1:
            return say("the campaign's own").said(language)
        number = f"{100 * value:,.10g}%" if kind == "share" else f"{value:,.10g}"
        if kind not in COUNTED or (kind, language) == ("day", "en"):
            return number
        unit = unit.removesuffix("s") if value == 1 and language == "en" else unit
        return say("{number} {unit}", number=number, unit=unit).said(language)
    if not isinstance(value, str) or parameter["name"] in ("source", *OF_DATA):
        return value
    if (choice := label(value, language, "choice")) != label(value, language):
        return choice
    said = [word(part, language) for part in value.split(", ")]
    return Listed(said, "").said(language) if said != value.split(", ") else Day(value).said(language)


def failure_page(
    *,
    title: str,
    facts: Mapping[str, Any],
    links: list[dict],
    failure: Mapping[str, Any],
    kept: bool,
    language: str = "en",
) -> str:
    """Set the page that says why a run failed.

    Parameters
    ----------
    failure : mapping
        message, and as far as known cell (number), section, source and traceback.
    kept : bool
        Whether the last good version is beside it.
    """
    known: dict[str, Any] = {"facts": facts, "links": links, "failure": failure, "kept": kept, "style": _style()}
    return _page("failure.html", title=title, language=language, **known)


def site_page(
    *, reports: list[dict], language: str = "en", links: Iterable[dict] = (), tabs: Mapping = {}, **shown: str
) -> str:
    """Set an index of reports: `title`, `here` (its file), links to it in other languages, `tabs` to others by kind."""
    counts = {"failed": sum(r["status"] != "done" for r in reports), "stale": sum(r["stale"] for r in reports)}
    only = _script("find.js") if len(reports) > 5 else {}
    known = {"periods": any(r["period"] for r in reports), "links": list(links), "here": "index.html", "tabs": tabs}
    known |= {"reports": reports, "style": _style()}
    return _page("site.html", language=language, **known | counts | only | shown)


def glossary_page(*, language: str = "en", links: Iterable[dict] = ()) -> str:
    """Set what the words and numbers that reports share mean, with links to it in other languages."""
    shown = {"terms": terms(language), "links": list(links), "style": _style()}
    return _template("glossary.html").render(title=word("Glossary", language), language=language, **shown)


def comparison_page(*, language: str = "en", **said: Any) -> str:
    """Set reports side by side: title, headline, lists of lines by heading, comparisons by name, good, causes."""
    return _page("comparison.html", language=language, style=_style(), **said)


def with_notice(page: str, message: Message, language: str = "en") -> str:
    """Mark a good page of an earlier run: `message` stands at its head in place of an earlier mark."""
    said, why = html.escape(message.said(language)), html.escape(say("Why.").said(language))
    mark = f'<div class="notice" role="note"><p>{said} <a href="failure.html">{why}</a></p></div>'
    before, _, rest = page.partition(NOTICE)
    rest = re.sub(r'\A<div class="notice" role="note">.*?</div>', "", rest, count=1, flags=re.DOTALL)
    return f"{before}{NOTICE}{mark}{rest}"


def plain(text: str) -> str:
    """Strip terminal colours and cut what is too long to read."""
    text = _ANSI.sub("", text)
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}\n… {len(text) - LONGEST_TEXT:,} more characters"
    return text


def _sections(blocks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Part a page: the first screen (the answer with what stands in its section, the decision), then the others.

    Without an answer everything stands on the first screen.
    """
    sections: list[dict[str, Any]] = [{"id": "", "title": "", "blocks": []}]
    for block in blocks:
        for piece in _SECTION.split(str(block["html"])) if block["kind"] == "markdown" else [""]:
            if head := _HEAD.match(piece):
                sections.append({"id": head["id"], "title": _marked(head["text"]), "blocks": []})
                piece = piece[head.end() :]
            if block["kind"] != "markdown":
                sections[-1]["blocks"].append(block)
            elif piece.strip():
                sections[-1]["blocks"].append(_safe("markdown", piece))
    answered = [k for k, section in enumerate(sections) if any(b["kind"] == "answer" for b in section["blocks"])]
    if not answered:
        heading = '<h2 id="{id}">{title}</h2>\n'
        heads = [[_safe("markdown", heading.format(**s))] if s["id"] else [] for s in sections]
        blocks = [b for h, s in zip(heads, sections, strict=True) for b in h + s["blocks"]]
        return [{"question": [], "answer": None, "decision": [], "blocks": blocks}]
    last = answered[0] + 1
    kinds = [{block["kind"] for block in section["blocks"]} for section in sections]
    ends = (k for k in range(last, len(sections)) if sections[k]["id"] in DECISION or "decision" in kinds[k])
    decided = next(ends, None)
    shown = sections[answered[0]]["blocks"]
    answer = next(b for b in shown if b["kind"] == "answer")
    first = {
        "question": [block for section in sections[: last - 1] for block in section["blocks"]],
        "answer": answer,
        "decision": [] if decided is None else sections[decided]["blocks"],
        "blocks": [block for block in shown if block is not answer],
    }
    return [first, *(section for k, section in enumerate(sections[last:], last) if k != decided)]


class _Headings:
    """Gives each heading, table and figure of a page a unique id; the first heading, the title, is not repeated."""

    def __init__(self, title: str) -> None:
        self._ids: set[str] = set()
        self._title: str | None = title
        self.longest = LONGEST_TABLE
        self._marks = itertools.count(1)

    def mark(self) -> str:
        """Give what stands before the ids of the next table or figure."""
        return f"f{next(self._marks)}_"

    def __call__(self, text: str, level: int) -> str:
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
        return f'<h{level} id="{html.escape(name)}">{text}</h{level}>\n'


def _blocks(cell: Mapping[str, Any], headings: _Headings, spoken: str) -> Iterable[dict[str, Any]]:
    source = "".join(cell["source"])
    tags = cell.get("metadata", {}).get("tags", [])
    if cell["cell_type"] == "markdown":
        yield _set(source, headings)
    elif cell["cell_type"] == "code":
        if source.strip() and not {"hide-input", "parameters", "injected-parameters"} & set(tags):
            yield _safe("code", _highlighted(source))
        if "hide-output" not in tags:
            for output in cell.get("outputs", []):
                yield from _output(output, headings, spoken)


def _output(output: Mapping[str, Any], headings: _Headings, spoken: str) -> Iterable[dict[str, Any]]:
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
        yield {"kind": "answer", "said": answer_of(output, spoken)}
    elif kind == "decision":
        lines = text.splitlines()
        do = ours.get("do", len(lines))
        first = min(do, FOREMOST) if "do" in ours else do
        foremost, more = lines[:first] + lines[do : do + 1], lines[first:do] + lines[do + 1 :]
        yield {"kind": "decision", "sentences": foremost, "more": more}
    elif kind == "table":
        yield _safe("table", tables.as_html(data[tables.MIME], longest=headings.longest, mark=headings.mark()))
    elif kind == "quantities":
        yield {"kind": "quantities", "rows": data[QUANTITIES], "hidden": ours.get("hidden", 0)}
    elif kind == "list":
        yield {"kind": "list", "text": text, "files": [file for file in ours["files"] if "/" not in file]}
    elif kind == "figure":
        picture = base64.b64encode(base64.b64decode("".join(data["image/png"]))).decode("ascii")
        shown = {field: ours[field] for field in ("caption", "alt", "width", "height")}
        inline = data.get(PICTURES, {}).get(spoken, {}).get("svg", "")
        inline = _marked(svg.safe(inline, prefix=headings.mark(), alt=ours["alt"]))
        yield {"kind": "figure", "png": picture, "svg": inline, **shown}
    elif "text/markdown" in data:
        yield _set("".join(data["text/markdown"]), headings)
    elif text:
        yield {"kind": "text", "text": plain(text)}


def _set(source: str, headings: _Headings) -> dict[str, Any]:
    """Set markdown; what nobody has written by hand, for its length, is shown as text."""
    if len(source) > LONGEST_MARKDOWN:
        return {"kind": "text", "text": plain(source)}
    return _safe("markdown", _markdown(source, headings))


def _safe(kind: str, escaped: str) -> dict[str, Any]:
    return {"kind": kind, "html": _marked(escaped)}


def _marked(escaped: str) -> Any:
    from markupsafe import Markup

    return Markup(escaped)


def _markdown(source: str, headings: _Headings) -> str:
    import mistune

    class Renderer(mistune.HTMLRenderer):
        def heading(self, text: str, level: int, **attributes: Any) -> str:
            return headings(text, level)

        def image(self, text: str, url: str, title: str | None = None) -> str:
            return f"<em>{text}</em>"

        def block_quote(self, text: str) -> str:
            return super().block_quote(_within(text))

        def list_item(self, text: str) -> str:
            return super().list_item(_within(text))

        def table(self, text: str) -> str:
            return f'<div class="table" tabindex="0"><table>\n{text}</table></div>\n'

        def inline_math(self, text: str) -> str:
            return f"<code>{html.escape(text)}</code>"

        def block_math(self, text: str) -> str:
            return f"<pre>{html.escape(text)}</pre>\n"

    render = mistune.create_markdown(renderer=Renderer(escape=True), plugins=["table", "strikethrough", "math"])
    return str(render(source))


def _within(text: str) -> str:
    """Take a heading inside a quotation or a list down: it begins no section of the page."""
    return text.replace("<h2 ", "<h3 ").replace("</h2>", "</h3>")


def _highlighted(source: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    known = r"k|kn|kc|ow|s1|s2|sd|sa|si|c1|mi|mf"  # what the style sheet knows: the page stays small
    marked = highlight(source.strip("\n"), PythonLexer(), HtmlFormatter(nowrap=True))
    return re.sub(rf'<span class="(?!(?:{known})")[a-z0-9]+">([^<]*)</span>', r"\1", marked)


def language(notebook: Mapping[str, Any]) -> str:
    """Give the two letters of the language that a notebook's metadata names, else English."""
    named = str(notebook["metadata"].get("language", "en"))
    return named if re.fullmatch(r"[a-z]{2}", named) else "en"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.6g}".replace("-", "\N{MINUS SIGN}", 1 if value < 0 else 0)


@cache
def _script(name: str) -> dict[str, Any]:
    """Give a script of ours and the hash by which the page's policy lets it alone run."""
    script = (_FOLDER / name).read_text("utf-8")
    hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return {"script": _marked(script), "allowed": _marked(f"sha256-{hashed}")}


@cache
def _style() -> Any:
    return _marked((_FOLDER / "style.css").read_text("utf-8"))


def _page(name: str, *, language: str, **said: Any) -> str:
    """Set a page; on an English one Han characters are marked, so that they are read with the voice they need.

    Tags stay as they are, what may hold no element (titles, options, scripts, pictures, code), and names in tables.
    """
    page: str = _template(name).render(language=language, **said)
    mark = f'<span lang="{TAGS["zh"]}">'
    return page if language == "zh" else _HAN.sub(lambda m: m[0] if m[1] else f"{mark}{m[0]}</span>", page)


@cache
def _template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context

    @pass_context
    def in_language(context: Any, template: str, **values: Any) -> str:
        return Message(template, {name: as_value(v) for name, v in values.items()}).said(context["language"])

    @pass_context
    def alone(context: Any, text: object) -> str:
        return word(text if isinstance(text, str) else str(text), context["language"])

    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )

    environment.filters |= {"figure": _figure, "t": in_language, "word": alone, "term": term_of}
    environment.filters["unit"] = pass_context(lambda context, text: unit(text, context["language"]))
    environment.globals["tags"] = TAGS
    return environment.get_template(name)
