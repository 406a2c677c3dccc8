"""A hundred hostile strings as names, provinces and words of customers: text they are and text they stay."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import openpyxl
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workbench.errors import WorkbenchError
from workbench.reports.page import html as page
from workbench.reports.page import lists, sheets, tables
from workbench.reports.page.escape import literal
from workbench.reports.page.notebook import Markdown
from workbench.reports.page.pdf import write_pdf
from workbench.reports.runs.parameters import Parameter, as_code
from workbench.reports.runs.slots import folder_name

SCRIPTS = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x>",
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "' onfocus=alert(1) autofocus='",
    "javascript:alert(1)",
    "<a href='javascript:alert(1)'>x</a>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<style>@import 'http://evil.example';</style>",
    "<link rel=stylesheet href=http://evil.example>",
    "<meta http-equiv=refresh content='0;url=http://evil.example'>",
    "<base href=http://evil.example/>",
    "<form action=http://evil.example><input type=submit>",
    "<object data=http://evil.example></object>",
    "<math><mi xlink:href='javascript:alert(1)'>x</mi></math>",
    "<!--notice--><script>alert(1)</script>",
    "--><script>alert(1)</script><!--",
    "]]><script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<SCRIPT SRC=http://evil.example/x.js></SCRIPT>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\\u003cscript\\u003ealert(1)",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "<details open ontoggle=alert(1)>",
    "<textarea><script>alert(1)</script>",
    "<title></title><script>alert(1)</script>",
    "{{ 7 * 7 }}{% for x in y %}",
    "${alert(1)} `alert(1)` #{1}",
]
MARKDOWN = [
    "[x](javascript:alert(1))",
    "![x](http://evil.example/x.png)",
    "![x](x.png 'onerror=alert(1)')",
    "<http://evil.example>",
    "[x]: http://evil.example\n[x]",
    "# heading\n\n## another",
    "| a | b |\n|---|---|\n| <b>c</b> | d |",
    "```html\n<script>alert(1)</script>\n```",
    "$\\href{javascript:alert(1)}{x}$",
    "$$\\require{html}$$",
    "- *a* **b** ~~c~~ __d__ `e`",
    "> quoted\n\n---\n\n1. one",
    "a\\\nb  \nc",
    "***",
    "[^1] ==x== :smile:",
    "http://evil.example/<script>",
]
FORMULAS = [
    "=1+1",
    "=cmd|'/C calc'!A0",
    '=HYPERLINK("http://evil.example","x")',
    '=IMPORTXML("http://evil.example","//a")',
    "@SUM(1+1)",
    "+1+1",
    "-1+1",
    "-2+3+cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "{=1+1}",
    "'=1+1",
    ";=1+1",
    '"=1+1',
    ",=1+1",
    "=1+1;@x",
    'DDE("cmd";"/C calc";"x")',
]
PLACES = [
    "../../../etc/passwd",
    "..\\..\\windows\\system32",
    "/etc/passwd",
    "C:\\x",
    "\\\\server\\share",
    "a/b/c",
    "a\\b",
    ".",
    "..",
    "...",
    ".hidden",
    "~root",
    "CON",
    "nul.txt",
    'a:b*c?d"e<f>g|h',
    "a\0b",
    "name.html",
    "%2e%2e%2f",
    "a=b,c=d",
    "file:///etc/passwd",
    "-rf",
    "$(rm -rf /)",
    "`id`; id | id && id",
    "x" * 300,
    "北" * 300,
]
MARKS = [
    "\u202egnp.exe",
    "\u2066abc\u2069",
    "\u200b\u200c\u200d\ufeff",
    "a\u0301\u0301\u0301",
    "\u2028\u2029",
    "\x1b[31mred\x1b[0m",
    "\x07\x08",
    "\x85\xa0",
    "مرحبا",
    "𠀀𠮷",
    "\U0001f600",
    "ﷺ",
    "\ufdfa\u0000",
    "true",
    "null",
    "NaN",
    "'; DROP TABLE customer; --",
    '" OR 1=1',
    '"""\nimport os',
    "\\",
]
PLAIN = {slash + tag for slash in ("", "/") for tag in ("p", "ul", "ol", "li", "strong", "pre", "code", "br", "hr")}
ROOT = Path(__file__).parents[2]
NOTEBOOKS = [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "src/workbench/lab").glob("study*.ipynb")]
HOSTILE = [*SCRIPTS, *MARKDOWN, *FORMULAS, *PLACES, *MARKS]
HUGE = "<b>=1+1</b>" * 1_000_000
LEGAL = [
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "div",
    "header",
    "h1",
    "h2",
    "h3",
    "h4",
    "main",
    "nav",
    "b",
    "i",
]
LEGAL += [
    "ol",
    "ul",
    "li",
    "a",
    "p",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "details",
    "summary",
    "dl",
]
LEGAL += ["dt", "dd", "bdi", "span", "pre", "code", "em", "strong", "del", "hr", "br", "blockquote", "figure", "img"]
LEGAL += ["figcaption", "section", "label", "input", "script"]


class _Checked(HTMLParser):
    """Refuses what runs or fetches."""

    def handle_starttag(self, tag, attrs):
        assert tag in LEGAL, tag
        for name, value in attrs:
            assert not name.startswith("on"), name
            if name == "src":
                assert value.startswith("data:image/png;base64,")
            if name == "href":
                assert urlsplit(value).scheme in ("", "http", "https", "mailto") and not value.startswith("//")
            assert tag != "script", "ours has no attribute; the page's policy allows it by its hash"
            assert tag != "input" or dict(attrs)["type"] == "checkbox"
            assert not (name == "http-equiv" and value.lower() == "refresh")


def _notebook(text: str):
    """A notebook that says a text in every way there is."""
    from PIL import Image

    png = io.BytesIO()
    Image.new("RGB", (4, 2), "white").save(png, "png")
    frame = pd.DataFrame({text[:200] or "x": [text, "b"], "n": [50, 20]})
    table = tables.payload(frame, name=text[:50] or "t", caption=text[:500], counts="n")
    picture = {"kind": "figure", "caption": text[:500], "alt": text[:500], "width": 4, "height": 2}
    said = [
        ({"text/plain": text[:2000]}, {"kind": "answer"}),
        ({"text/plain": "", tables.MIME: table}, {"kind": "table"}),
        ({"text/plain": "", "image/png": base64.b64encode(png.getvalue()).decode()}, picture),
        ({"text/plain": text, "text/markdown": text, "text/html": text}, {}),
        ({"text/plain": text, "text/html": text, "application/javascript": text}, {}),
        ({"text/plain": text[:500]}, {"kind": "list", "files": ["a.csv"]}),
    ]
    outputs = [new_output("display_data", data=d, metadata={"workbench": m}) for d, m in said]
    outputs += [new_output("stream", name="stdout", text=text), new_output("stream", name="stderr", text=text)]
    cells = [new_markdown_cell(text), new_code_cell("x = " + repr(text[:500]), outputs=outputs)]
    return new_notebook(cells=cells), table


def _page(text: str) -> str:
    notebook, _ = _notebook(text)
    text = text[:1000]  # as long as a parameter can be
    parameter = {"name": "province", "value": text, "unit": text, "meaning": text, "changed": True}
    facts = {
        "study": text,
        "parameters": [parameter],
        "data_version": text,
        "finished": text,
        "seconds": 1,
        "workbench": "1",
    }
    return page.report_page(notebook, title=text, facts=facts, links=[{"href": "tables.xlsx", "text": text}])


@pytest.mark.parametrize("text", [*HOSTILE, HUGE], ids=range(len(HOSTILE) + 1))
def test_nothing_runs_in_a_page_and_nothing_is_fetched(text):
    """Only known tags, no event handler, no address but links that a reader follows."""
    made = _page(text)
    _Checked().feed(made)
    assert made.count("<script") == 1 and page._script("sort.js")["script"] in made, "the one that sorts tables"


def test_there_are_a_hundred():
    """As many as were promised, all different."""
    assert len(set(HOSTILE)) == len(HOSTILE) >= 100


def test_no_formula_in_a_workbook_and_no_cell_lost(tmp_path):
    """Every string comes back as text from a spreadsheet library, the huge one cut to what a cell holds."""
    frame = pd.DataFrame({"text": [*HOSTILE, HUGE], "n": range(len(HOSTILE) + 1)})
    table = tables.payload(frame, name="=1+1/..", caption="=2+2")
    sheets.write_sheets(tmp_path / "a.xlsx", [table], [(text[:900], text[:900], text[:900]) for text in HOSTILE])
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert sum(isinstance(cell.value, int) for cell in cells) == len(frame)
    assert [cell.value for cell in book.worksheets[0]["A"] if cell.value and cell.value.startswith("=cmd")]


def test_no_formula_in_a_list(tmp_path):
    """A list holds them harmless, or is refused where they are no names of columns."""
    frame = pd.DataFrame({"customer_id": [f"c{i}" for i in range(len(FORMULAS))], "reason": FORMULAS})
    made = lists.write_list(frame, tmp_path, name="list", definition="=1+1", as_of="2026-07-01")
    book = openpyxl.load_workbook(next(p for p in made if p.suffix == ".xlsx"))
    assert not [c for sheet in book for row in sheet.iter_rows() for c in row if c.data_type == "f"]
    csv = pd.read_csv(next(p for p in made if p.suffix == ".csv"), dtype=str, keep_default_na=False)
    assert not [text for column in csv for text in csv[column] if text.startswith(tuple("=+-@\t\r\n＝＋－＠"))]


def test_no_file_outside_and_no_code_from_a_value(tmp_path):
    """A folder is one name below its parent; a parameter is a literal in the notebook, or refused."""
    names = set()
    for text in HOSTILE:
        name = folder_name({"province": text})
        (tmp_path / name).mkdir()
        assert (tmp_path / name).resolve().parent == tmp_path.resolve() and not name.startswith(".")
        names.add(name)
        try:
            value = Parameter("province", "str", "").parse(text)
        except WorkbenchError:
            continue
        scope: dict = {}
        exec(as_code({"province": value}), scope)
        assert scope["province"] == text
    assert len(names) == len(HOSTILE)
    with pytest.raises(WorkbenchError, match="characters"):
        Parameter("province", "str", "").parse(HUGE)


def test_a_sentence_in_markdown_is_shown_as_it_is():
    """What an answer quotes from data makes neither link nor heading in JupyterLab."""
    for text in (t for t in HOSTILE if t.strip() and "\n" not in t):
        assert set(re.findall(r"<(\w+)", _as_in_lab(literal(text)))) <= {"p", "ul", "ol", "li", "pre", "code"}, text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_prose_with_a_name_from_data_runs_nothing_in_jupyterlab(text):
    """Bold and lists are set; no HTML, link, picture, heading or table that a name brings, wherever it stands."""
    for prose in (text, f"- **Call {text}** first: {text}", f"**Now:**\n\n{text}", f"{text}{text}\n{text}"):
        made = _as_in_lab(Markdown(prose)._repr_markdown_())
        assert set(re.findall(r"<(/?[a-zA-Z!]\w*)", made)) <= PLAIN, made
        _Checked().feed(made)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("- **Keep A & B:** 5 < 6, x_y", "<ul>\n<li><strong>Keep A &amp; B:</strong> 5 &lt; 6, x_y</li>\n</ul>"),
        ("At 3.5 (2.1 to 4.9) % — a-b, c:d.", "<p>At 3.5 (2.1 to 4.9) % — a-b, c:d.</p>"),
        ("O'Neil #1 \\ 'x' 50 $ a@b.example", "<p>O'Neil #1 \\ 'x' 50 $ a@b.example</p>"),
        ("see http://a.example/b and www.c.example", "<p>see http://a.example/b and www.c.example</p>"),
    ],
)
def test_ordinary_prose_is_set_as_it_reads(text, shown):
    """In JupyterLab and on the page alike."""
    made = Markdown(text)._repr_markdown_()
    assert _as_in_lab(made).strip().replace("&quot;", '"').replace("&#x27;", "'") == shown
    assert page._markdown(made, page._Headings("")).strip().replace("&#x27;", "'") == shown


@pytest.mark.parametrize("path", sorted(NOTEBOOKS), ids=lambda p: p.stem)
def test_no_notebook_sets_markdown_that_is_not_escaped(path):
    """Each uses the house's Markdown, never IPython's: a name in the data would run there."""
    source = "".join("".join(cell["source"]) for cell in json.loads(path.read_text("utf-8"))["cells"])
    assert "IPython" not in source


def _as_in_lab(markdown):
    """Set markdown as JupyterLab sets it: with HTML as it stands, tables, bare addresses and strikethrough."""
    import mistune

    plugins = ["table", "url", "strikethrough", "footnotes", "task_lists"]
    return mistune.create_markdown(escape=False, plugins=plugins)(markdown)


def test_paper_holds_them_or_says_which_character_it_lacks(tmp_path):
    """Every string becomes a PDF, or an error that names the missing glyph; none stops the typesetter."""
    made = 0
    for text in HOSTILE[:: max(len(HOSTILE) // 40, 1)]:
        notebook, _ = _notebook(text)
        try:
            write_pdf(tmp_path / "a.pdf", notebook, title=text[:80], facts=[text[:200]])
            made += 1
        except WorkbenchError as error:
            assert "lacks" in str(error)
    assert made > 30
