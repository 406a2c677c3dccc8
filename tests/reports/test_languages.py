"""One run, two languages: the same numbers, each page in its own words."""

import datetime as dt
import json
import re
from html import escape

import nbformat
import openpyxl
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench.errors import WorkbenchError
from workbench.reports.page import html, languages, tables
from workbench.reports.runs.periods import parse
from workbench.reports.runs.render import run, run_slots
from workbench.reports.runs.slots import find_slots

SETUP = """
import pandas as pd
from matplotlib import pyplot as plt
from workbench.messages import Amount, Count, Name, say
from workbench.reports.page.notebook import Markdown, answer, decide, record, show_figure, show_table, use_theme
from workbench.result import Decision, Quantity
use_theme()
"""
SAID = """
answer(say("{n} reports", n=12345), "<b>{n}</b> & more")
"""
DECIDED = """
decide(Decision((say("{amount} {ends}", amount=Amount(4.2, unit="yuan"), ends=Name("<i>")),), say("Why.")))
"""
SHOWN = """
said = [str(say("{n} failed", n=n)) for n in (3, 20_000, 5)]
frame = pd.DataFrame({"revenue_90": [1.5, 2.5, None], "service": ["broadband", "<b>", "a, b"], "text": said})
frame["done"] = [True, False, True]
show_table(frame, name="one two", caption=say("Why."))
figure, ax = plt.subplots()
ax.barh(["broadband", "朝阳 <b>"], [1, 2])
ax.set_xlabel(say("{n} of older data", n=7))
show_figure(ax, name="f", caption=say("All reports"), alt="{n} of <these>")
record(Quantity("n", 2.0, "1"))
"""
MARKDOWN = 'Markdown(say("Without {form}: {why}", form=Name("**PDF**"), why=Name("<script>")))'


def write(root, name: str, *cells: str) -> None:
    """Write a notebook with these code cells below its heading."""
    (root / "notebooks").mkdir(parents=True, exist_ok=True)
    (root / "data" / "mappings").mkdir(parents=True, exist_ok=True)
    decided = [new_markdown_cell("## Decision"), new_code_cell(DECIDED)]
    made = [
        new_markdown_cell(f"# Title of {name}"),
        *map(new_code_cell, cells[:2]),
        *decided,
        *map(new_code_cell, cells[2:]),
    ]
    nbformat.write(new_notebook(cells=made), root / "notebooks" / f"{name}.ipynb")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A report of one run in both languages, and one in English alone."""
    root = tmp_path_factory.mktemp("两种语言")
    write(root, "s", SETUP, SAID, SHOWN, MARKDOWN)
    write(root, "t", SETUP, SAID, SHOWN, MARKDOWN)
    (made,) = run(["s"], root=root, progress=False, kernel="plain", languages=("zh", "en")).slots
    (alone,) = run(["t"], root=root, progress=False, kernel="plain", languages=("en",)).slots
    assert made.status == alone.status == "done", made.message
    return made.folder, alone.folder


def test_each_language_has_its_page(both):
    """Answer, decision, tables, captions and chrome are said in it; what is data stays, escaped."""
    pages = ((both[0] / name).read_text("utf-8") for name in ("index.html", "index.en.html"))
    zh, en = (re.sub(r'<pre class="code">.*?</pre>', "", page, flags=re.DOTALL) for page in pages)
    assert '<html lang="zh-CN">' in zh and '<html lang="en">' in en
    for words in (
        "1.23万份报告",
        "4.20元",
        "90天内收入",
        "宽带",
        "3份失败",
        "2万份失败",
        "全部报告",
        "决策建议",
        "缺少<strong>PDF",
    ):
        assert words in zh and words not in en, words
    for words in (
        "12,345 reports",
        "4.20 yuan",
        "revenue within 90 days",
        "broadband",
        "20,000 failed",
        "Without <strong>PDF",
    ):
        assert words in en and words not in zh, words
    for page in (zh, en):
        assert "<script>alert" not in page and "&lt;b&gt;{n}&lt;/b&gt; &amp; more" in page and "a, b" in page
        assert not re.search(r"<(b|i|script)>(?!\d)[^<]*&", page)
    assert "<td>是\n" in zh and "<td>yes\n" in en
    assert 'href="index.en.html" lang="en">English' in zh and 'href="index.html" lang="zh-CN">中文' in en
    assert 'href="../../index.zh.html"' in zh and 'href="../../index.en.html"' in en
    assert all((both[0].parents[1] / f"index.{language}.html").is_file() for language in ("zh", "en"))
    assert 'href="report.pdf"' in zh and 'href="report.en.pdf"' in en and (both[0] / "report.en.pdf").is_file()


def test_a_figure_is_drawn_once_a_language(both):
    """The pages show different pictures; the English one is that of a run in English alone."""
    pictures = [
        re.search(r"<svg (.*?)</svg>", (folder / name).read_text("utf-8"))[1]
        for folder, name in ((both[0], "index.html"), (both[0], "index.en.html"), (both[1], "index.html"))
    ]
    assert pictures[0] != pictures[1] == pictures[2]


def test_numbers_know_no_language(both):
    """results.json, names of sheets and columns are the same; what columns are called stands above them."""
    assert (both[0] / "results.json").read_bytes() == (both[1] / "results.json").read_bytes()
    zh, en = (openpyxl.load_workbook(folder / "tables.xlsx") for folder in both)
    assert zh.sheetnames == en.sheetnames
    heads = [
        [[cell.value for cell in row] for row in book["one two"].iter_rows(min_row=2, max_row=3)] for book in (zh, en)
    ]
    assert heads[0][1] == heads[1][1] == ["revenue_90", "service", "text", "done"]
    assert heads[0][0] == ["90天内收入", "业务", "文本", "完成"]
    assert heads[1][0] == ["revenue within 90 days", None, None, None]


def test_the_index_stands_in_each_language(both):
    """Each links to its own pages; a report that is in English alone is linked from both."""
    site = both[0].parents[1]
    first, zh, en = ((site / f"index{of}.html").read_text("utf-8") for of in ("", ".zh", ".en"))
    assert '<html lang="zh-CN">' in zh and '<html lang="en">' in en and first in (zh, en)
    assert "1.23万份报告" in zh and "12,345 reports" in en
    assert "s/default/index.html" in zh and "s/default/index.en.html" in en
    assert "t/default/index.html" in zh and "t/default/index.html" in en


def test_a_failure_is_said_in_the_first_language(tmp_path):
    """And the last good pages stay, each with the mark in its language."""
    write(tmp_path, "s", SETUP, SAID)
    asked = {"root": tmp_path, "progress": False, "kernel": "plain", "languages": ("zh", "en")}
    assert run(["s"], **asked).slots[0].status == "done"
    write(tmp_path, "s", SETUP, SAID, "1 / 0")
    (made,) = run(["s"], **asked).slots
    assert made.status == "failed"
    assert "本次运行失败" in (made.folder / "failure.html").read_text("utf-8")
    assert "运行失败。" in (made.folder / "index.html").read_text("utf-8")
    assert "This is the last good version" in (made.folder / "index.en.html").read_text("utf-8")


def test_a_key_figure_stands_beside_that_of_the_period_before(tmp_path):
    """That of the last earlier report with the same parameters, in the page's language; none where there is none.

    One that is called alike but for its numbers is said with what it was called.
    """
    shown = """
from workbench.messages import Number, Span
from workbench.result import Result, Tile
class Found(Result):
    def headline(self): return say("All reports")
    def summary(self): return pd.DataFrame({"n": [1]})
    def tiles(self):
        n = float(month[-2:])
        kept = say("of {members} members", members=Number(n, ".0f"))
        return (Tile(say("why"), Number(n, ".1f"), Span(1, 2)), Tile(kept, Number(2 * n, ".0f")))
answer(Found())
"""
    parameters = 'month: period = "2026-01"  # name: the month'
    write(tmp_path, "s", SETUP, shown)
    path = tmp_path / "notebooks" / "s.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(1, new_code_cell("period = str"))
    notebook.cells.insert(2, new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    nbformat.write(notebook, path)
    pages = {}
    for label in ("2025-11", "2026-02", "2026-03"):
        period = parse(label, today=dt.date(2026, 9, 1))
        (slot,) = find_slots(["s"], {}, tmp_path, period=period, languages=("en", "zh"))
        (made,) = run_slots([slot], root=tmp_path, progress=False, kernel="plain").slots
        assert made.status == "done", made.message
        pages[label] = [(made.folder / name).read_text("utf-8") for name in ("index.html", "index.zh.html")]
    assert 'class="before"' not in pages["2025-11"][0]
    assert '<span class="before">2025-11: 11.0 (1.00 to 2.00)</span>' in pages["2026-02"][0]
    assert '<span class="before">2026年2月：2.0（1.00至2.00）</span>' in pages["2026-03"][1]
    assert '<span class="before">2026-02: of 2 members: 4</span>' in pages["2026-03"][0]


def test_names_from_data_are_not_translated(tmp_path):
    """A customer called as a word of ours is found again under that name; the same word elsewhere is said."""
    frame = (
        "show_table(pd.DataFrame({'customer': ['control', 'call'], 'arm': ['control', 'call']}), name='t', caption='.')"
    )
    write(tmp_path, "s", SETUP, "answer('x')", frame)
    (made,) = run(["s"], root=tmp_path, progress=False, kernel="plain", languages=("zh",)).slots
    page = (made.folder / "index.html").read_text("utf-8")
    assert "<td>control<td>对照组\n" in page and "<td>call<td>电话\n" in page


def test_a_failure_in_another_language_keeps_the_links(tmp_path):
    """The index leads each reader to the kept page in that language, and each page back to an index that is there."""
    write(tmp_path, "s", SETUP, SAID)
    asked = {"root": tmp_path, "progress": False, "kernel": "plain"}
    run(["s"], languages=("zh", "en"), **asked)
    write(tmp_path, "s", SETUP, SAID, "1 / 0")
    (made,) = run(["s"], languages=("en",), **asked).slots
    assert made.status == "failed"
    site = tmp_path / "reports" / "site"
    for language, page in (("zh", "index.html"), ("en", "index.en.html")):
        assert f'href="s/default/{page}"' in (site / f"index.{language}.html").read_text("utf-8")
        back = re.search(r'href="\.\./\.\./([^"]+)"', (made.folder / page).read_text("utf-8"))[1]
        assert back == f"index.{language}.html" and (site / back).is_file()


def test_a_clock_without_a_locale_keeps_the_languages_of_a_report(tmp_path, monkeypatch):
    """What was asked for once is up to date without asking; WORKBENCH_LANG goes before it, the machine's does not."""
    write(tmp_path, "s", SETUP, SAID)
    for name in (languages.SPOKEN, "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    asked = {"root": tmp_path, "progress": False, "kernel": "plain"}
    assert find_slots(["s"], {}, tmp_path)[0].languages == ("en",)
    assert run(["s"], languages=("zh", "en"), **asked).slots[0].status == "done"
    assert run(["s"], **asked).slots[0].status == "unchanged"
    monkeypatch.setenv(languages.SPOKEN, "en")
    assert find_slots(["s"], {}, tmp_path)[0].languages == ("en",)


def test_what_has_no_entry_stays_in_english(tmp_path):
    """A sentence, a cell of text and a column without a Chinese entry: the page stands, in English there."""
    frame = "show_table(pd.DataFrame({'nobody_knows': ['No entry of this.']}), name='t', caption='Not known {n}.')"
    write(tmp_path, "s", SETUP, "answer('A sentence that nobody translated.')", frame, "print('out')")
    (made,) = run(["s"], root=tmp_path, progress=False, kernel="plain", languages=("zh",)).slots
    page = (made.folder / "index.html").read_text("utf-8")
    for words in (
        "A sentence that nobody translated.",
        "No entry of this.",
        "nobody knows",
        "Not known {n}.",
        "Title of s",
    ):
        assert words in page
    manifest = json.loads((made.folder / "manifest.json").read_text("utf-8"))
    assert manifest["said"]["zh"]["headline"] == manifest["headline"] and manifest["languages"] == ["zh"]


@pytest.mark.parametrize(
    ("spoken", "machine", "found"),
    [
        ("zh, en", "en_US.UTF-8", ("zh", "en")),
        ("", "zh_CN.UTF-8", ("zh", "en")),
        ("", "zh_CN.GBK", ("zh", "en")),
        ("", "C", ("en",)),
        ("", "xx_YY", ("en",)),
        ("", "", ("en",)),
        ("en", "zh_CN", ("en",)),
    ],
)
def test_languages_are_those_asked_for_else_the_machines(monkeypatch, spoken, machine, found):
    """WORKBENCH_LANG goes before the locale; a locale that nobody has is English."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", machine)
    monkeypatch.setenv(languages.SPOKEN, spoken)
    assert languages.languages() == found


def test_a_project_has_languages_of_its_own(monkeypatch, tmp_path):
    """Its setting goes before the locale and behind WORKBENCH_LANG; what it does not know is refused by name."""
    (tmp_path / "data" / "mappings").mkdir(parents=True)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    monkeypatch.delenv(languages.SPOKEN, raising=False)
    settings = tmp_path / "data" / "settings.toml"
    assert languages.languages() == ("en",)
    for text, found in (('lang = "zh,en"', ("zh", "en")), ('lang = ["zh"]', ("zh",)), ("", ("en",))):
        settings.write_text(text)
        assert languages.languages() == found
    settings.write_text('lang = "zh"')
    assert languages.languages("en") == ("en",)
    monkeypatch.setenv(languages.SPOKEN, "en")
    assert languages.languages() == ("en",)
    monkeypatch.delenv(languages.SPOKEN)
    for text, why in (
        ('lang = "fr"', "no language 'fr'"),
        ('lan = "zh"', "Did you mean 'lang'"),
        ("lang =", "cannot be read"),
    ):
        settings.write_text(text)
        with pytest.raises(WorkbenchError, match=why):
            languages.languages()
        assert languages.spoken() == "en"


@pytest.mark.parametrize("text", ["fr", "zh,fr", "ZH", "zh;en", ","])
def test_a_language_without_a_catalogue_is_refused(text):
    """By name, with what there is."""
    with pytest.raises(WorkbenchError, match="zh"):
        languages.languages(text)


def test_in_lab_outputs_are_said_to_whoever_sits_there(monkeypatch):
    """Rich outputs are in the first language, escaped; the text that others read and the payload stay English."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    monkeypatch.setenv(languages.SPOKEN, "zh")
    monkeypatch.delenv("WORKBENCH_OUTPUT", raising=False)
    shell = InteractiveShell.instance()
    with capture_output() as shown:
        for cell in (SETUP, SAID, DECIDED, SHOWN):
            assert shell.run_cell(cell).success
    shell.clear_instance()
    kinds = {o.metadata["workbench"]["kind"]: o.data for o in shown.outputs if "workbench" in o.metadata}
    assert "1.23万份报告" in kinds["answer"]["text/markdown"] and "&lt;b&gt;" in kinds["answer"]["text/markdown"]
    assert kinds["decision"]["text/markdown"].startswith("- 4.20元")
    assert "90天内收入" in kinds["table"]["text/html"] and "宽带" in kinds["table"]["text/html"]
    assert kinds["table"][tables.MIME]["rows"][0][1] == "broadband" and "全部报告" in kinds["caption"]["text/html"]


def test_what_a_report_is_of_stands_above_in_each_language():
    """The operator and the day, and what was changed, stand above the answer whatever units are called."""
    parameters = [
        {"name": name, "value": value, "unit": unit, "meaning": "date", "changed": False}
        for name, value, unit in (("source", "s", "warehouse"), ("as_of", "2026-07-01", "date"), ("n", "9", "draws"))
    ]
    parameters[0]["called"] = "北方电信"
    facts = dict.fromkeys(("study", "data_version", "finished", "workbench"), "") | {"seconds": 1.0}
    facts["parameters"] = parameters
    said_in = {
        "en": ['source <bdi><span lang="zh-CN">北方电信</span> (s)', "as of <bdi>2026-07-01"],
        "zh": ["数据来源：<bdi>北方电信（s）", "截至<bdi>2026年7月1日"],
    }
    for spoken, said in said_in.items():
        notebook = {"cells": [], "metadata": {"language": spoken}}
        page = html.report_page(notebook, title="T", facts=languages.said_facts(facts, spoken), links=[])
        about = re.findall(r'<p class="about">(.*?)</p>', page)[0]
        assert re.findall(r"<span>(.*?)</bdi></span>", about) == said


ODD = [
    "{n} {name}",
    "'it's' \"so\"",
    "“引号”",
    "名" * 60,
    "𠮷野家",
    "㙟",
    "臺灣客戶",
    "שלום",
    "\u202eabc",
    "control",
    "a  b",
]
"""Names from data: like a template, in quotes, long, of rare and traditional characters, right to left, like a word."""


def test_hostile_names_leave_the_pages_standing(tmp_path):
    """In a sentence, table, figure and list: said as they are in both languages; what a font lacks is named."""
    shown = f"""
from workbench.reports.page.notebook import show_list
names = {ODD!r}
answer(say("'{{column}}' is missing for {{n}} members.", column=names[0], n=3))
show_table(pd.DataFrame({{"customer": names, "n": 12345}}), name=names[0], caption=say("Why."))
figure, ax = plt.subplots()
ax.barh(names[3:6], [1, 2, 3])
show_figure(ax, name="f", caption=say("All reports"), alt=names[0])
show_list(pd.DataFrame({{"customer": names, "reason": say("no use on record")}}), name="名单", definition=names[0],
    as_of="2026-07-01")
"""
    write(tmp_path, "s", SETUP, shown)
    (made,) = run(["s"], root=tmp_path, progress=False, kernel="plain", languages=("zh", "en")).slots
    assert made.status == "done", made.message
    zh, en = ((made.folder / name).read_text("utf-8") for name in ("index.html", "index.en.html"))
    for page in (zh, en):
        assert not [name for name in ODD if not re.search(f">{re.escape(escape(name))}(<td|\n)", page)]
    assert "3名客户缺少“{n} {name}”。" in zh and "字体缺少下列字符，以方框代替：U+20BB7" in zh
    assert "&#39;{n} {name}&#39; is missing for 3 members." in en and "the font lacks them: U+20BB7" in en
    listed = (made.folder / "名单.list.csv").read_text("utf-8-sig").splitlines()
    assert listed[0] == '"客户","原因","名单","截至日期","名单说明"'
    assert listed[1] == '"{n} {name}","无使用记录","名单","2026-07-01","{n} {name}"'
    first = openpyxl.load_workbook(made.folder / "tables.xlsx").worksheets[0]
    assert [row[0].value for row in first.iter_rows(min_row=4)] == ODD
    assert first["B4"].number_format.startswith('[>=100000000]0!.00,,"亿"') and first["B4"].value == 12345
