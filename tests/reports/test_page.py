"""The page fetches nothing, runs nothing and shows data only as text."""

import base64
from html.parser import HTMLParser

import pandas as pd
import pytest

from workbench import messages
from workbench.messages import Count, Number, Span, say
from workbench.reports.page import html as page
from workbench.reports.page import tables
from workbench.result import Tile

EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">\u202e"\'--><!--notice-->'
PNG = base64.b64encode(b"\x89PNG").decode()
FACTS = {
    "study": "uplift",
    "parameters": [{"name": "province", "value": EVIL, "unit": "name", "meaning": EVIL, "changed": True}],
    "data_version": "v1",
    "finished": "2026-07-01 10:00",
    "seconds": 1.0,
    "workbench": "0.1.0",
}


def _code(source="", outputs=(), tags=()):
    return {"cell_type": "code", "source": source, "outputs": list(outputs), "metadata": {"tags": list(tags)}}


def _text(source):
    return {"cell_type": "markdown", "source": source, "metadata": {}}


def _shown(data, **ours):
    return {"output_type": "display_data", "data": data, "metadata": {"workbench": ours} if ours else {}}


def _page(*cells, title="Title", **metadata):
    return page.report_page({"cells": list(cells), "metadata": metadata}, title=title, facts=FACTS, links=[])


def _elements(made):
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda name, attributes: found.append((name, dict(attributes)))
    parser.feed(made)
    return found


def test_hostile_text_stays_text_wherever_it_stands():
    """Title, markdown, code, answer, table, figure, stream, foreign HTML, parameter: no element comes of it."""
    table = tables.payload(pd.DataFrame({EVIL: [EVIL]}), name=EVIL, caption=EVIL)
    figure = {"kind": "figure", "caption": EVIL, "alt": EVIL, "width": 10, "height": 10}
    number = {"name": EVIL, "value": 1.0, "unit": EVIL, "low": None, "high": 2.0}
    made = _page(
        _text(f"# {EVIL}\n\n## {EVIL}\n\n{EVIL}\n\n[x](javascript:alert(3)) ![a](http://a.example/x.png) ${EVIL}$"),
        _code(
            f"x = {EVIL!r}",
            [
                _shown({"text/plain": EVIL}, kind="answer"),
                _shown({tables.MIME: table, "text/html": EVIL}, kind="table"),
                _shown({"image/png": PNG}, **figure),
                _shown({page.QUANTITIES: [number]}, kind="quantities"),
                _shown({"text/html": EVIL, "text/plain": EVIL}),
                _shown({"text/markdown": EVIL}),
                {"output_type": "stream", "name": "stdout", "text": EVIL},
                {"output_type": "stream", "name": "stderr", "text": EVIL},
                {"output_type": "error", "ename": "E", "evalue": EVIL, "traceback": [EVIL]},
            ],
        ),
        title=EVIL,
        language=EVIL,
    )
    elements = _elements(made)
    assert {"iframe", "object", "link"}.isdisjoint(name for name, _ in elements)
    assert [made.split("<script>")[1].split("</script>")[0]] == [page._script("sort.js")["script"]]
    assert [name for name, _ in elements].count("script") == 1, "the one that sorts tables"
    assert f"script-src '{page._script('sort.js')['allowed']}'" in made
    assert not [a for _, attributes in elements for a in attributes if a.startswith("on")]
    assert [a["src"][:22] for _, a in elements if "src" in a] == ["data:image/png;base64,"]
    assert not [a["href"] for _, a in elements if "href" in a and not a["href"].startswith(("#", ".."))]
    assert made.count(page.NOTICE) == 1
    assert '<html lang="en">' in made


ANSWERED = _shown({"text/plain": "It rose.\nOthers fell."}, kind="answer", tiles=[])


def test_han_on_an_english_page_is_read_with_its_voice():
    """In prose alone: not in attributes, titles and code; a Chinese page needs no mark."""
    cells, facts = [_text("In 北京 and 上海.")], FACTS | {"parameters": []}
    english, chinese = (
        page.report_page({"cells": cells, "metadata": {"language": spoken}}, title="北京", facts=facts, links=[])
        for spoken in ("en", "zh")
    )
    mark = '<span lang="zh-CN">'
    assert f"In {mark}北京</span> and {mark}上海</span>." in english
    assert "<title>北京</title>" in english and mark not in chinese


def test_headings_have_ids_and_the_first_is_the_title():
    """The title stands once; ids are unique, Chinese included; one inside a quotation begins no section."""
    made = _page(_text("# Title\n\n## 数据\n\n## 数据\n\n> ## Quoted\n\n### Deep"))
    assert made.count("<h1") == 1
    assert 'id="数据"' in made and 'id="数据-2"' in made and '<h3 id="quoted">' in made


def test_the_first_screen_has_answer_decision_and_picture_and_the_rest_is_folded():
    """Wherever the decision stands; what a section holds is in its fold, and the question in the last one."""
    made = _page(
        _text("# Title\n\nThe question.\n\n## Answer"),
        _code("answer()", [ANSWERED]),
        _code(outputs=[_shown({"text/plain": "picture"})]),
        _text("## Data\n\nrows\n\n## Method\n\nhow"),
        _text("## Decision\n\nDo it."),
    )
    first, *folds = made.split('<details class="part">')
    for shown in ('<p class="lead">It rose.</p>', "Do it.", "picture"):
        assert shown in first
    heads = ["More findings", "Data", "Method", "About this report"]
    assert [next(h for h in heads if f">{h}</h2>" in fold) for fold in folds] == heads
    assert "Others fell." in folds[0] and "rows" in folds[1] and "how" in folds[2] and "The question." in folds[3]


def test_a_long_decision_shows_two_things_to_do_and_folds_the_others():
    """What would change the first stays in sight; nothing is folded of two things to do, nor of words from before.

    Two that a language says alike are two.
    """
    lines = ["Keep A.", "Drop B.", "Look at C.", "Set D aside.", "What would change this: costs", "And: lots"]

    def made(some, **ours):
        decided = _shown({"text/plain": "\n".join(some)}, kind="decision", **ours)
        return _page(_text("# Title\n\n## Answer"), _code(outputs=[ANSWERED, decided]))

    shown, fold = made(lines, do=4).partition("<summary>More points of the decision: 3</summary>")[::2]
    folded = *lines[2:4], lines[5]
    assert all(line in shown for line in (*lines[:2], lines[4])) and all(line in fold for line in folded)
    assert not any(line in shown for line in folded)
    alike = made(
        ["Keep A.", "Drop B.", "Look at C.", "Keep A.", "And: lots", "And: lots"], do=4
    )  # said alike in Chinese
    assert alike.count("Keep A.") == 2 and alike.partition("<summary>")[0].count("And: lots") == 1
    for few in (made(lines[:2] + lines[4:5], do=2), made(lines)):
        assert "More points" not in few and all(line in few for line in lines[:2] + lines[4:5])


def test_a_key_figure_needs_no_interval():
    """A count is shown without one, an estimate with its own."""
    tiles = [Tile(say("campaigns"), Count(2)), Tile(say("effect"), Number(1.5), Span(1, 2))]
    answered = _shown({"text/plain": "It rose."}, kind="answer", tiles=[tile.as_json() for tile in tiles])
    made = _page(_text("# Title\n\n## Answer"), _code("answer()", [answered]))
    assert "<dt>campaigns</dt><dd><b>2</b></dd>" in made
    assert "<dt>effect</dt><dd><b>1.50</b> <span>(1.00 to 2.00)</span></dd>" in made


def test_a_level_of_intervals_is_said_once():
    """Key figures whose level one before them says have their interval alone; another level is said."""
    tile = Tile(say("effect"), Number(1.5), Span(1, 2, ".0f", 0.95))
    ends = [messages.read(tile.as_json(told)["interval"]).said() for told in ([], [None, 0.9], [0.9, 0.95])]
    assert ends == ["(1 to 2; 95% interval)", "(1 to 2; 95% interval)", "(1 to 2)"]


def test_without_an_answer_nothing_is_folded_away():
    """A notebook of another form is shown as it is."""
    made = _page(_text("# Title\n\n## Data\n\nrows"))
    assert "rows" in made.split('<details class="part">')[0]


def test_code_is_hidden_behind_one_switch():
    """Code is there for who asks; setup and parameter cells show their outputs alone."""
    made = _page(_code("shown = 1"), _code("secret = 2", tags=["hide-input"]), _code("p = 3", tags=["parameters"]))
    assert made.count('<pre class="code">') == 1 and made.count('type="checkbox" id="code"') == 1
    assert "secret" not in made
    assert "p = " not in made
    assert "checkbox" not in _page(_code("secret = 2", tags=["hide-input"]))


def test_terminal_colours_are_stripped_and_endless_text_is_cut():
    """A page stays readable and small whatever a cell prints."""
    assert page.plain("\x1b[31mred\x1b[0m") == "red"
    assert len(page.plain("x" * 1_000_000)) < 11_000


def test_a_long_list_of_numbers_is_cut():
    """The page shows the first and counts the rest; the file has all."""
    rows = [{"name": f"n{i}", "value": i, "unit": "1", "low": None, "high": None} for i in range(100)]
    made = _page(_code(outputs=[_shown({page.QUANTITIES: rows}, kind="quantities")]))
    assert "100 numbers recorded" in made
    assert "<td>n39</td>" in made and "<td>n40</td>" not in made
    assert "60 more are in the file" in made


def test_a_page_is_small():
    """The frame, style included, is under 15 KB."""
    assert len(_page(_text("# Title")).encode()) < 15_000


def test_the_mark_of_a_failed_run_is_replaced_not_repeated():
    """Marking twice leaves one mark."""
    once = page.with_notice(_page(), say("first {x}", x="<b>"))
    twice = page.with_notice(once, say("second"))
    assert "first &lt;b&gt;" in once
    assert twice.count('class="notice"') == 1
    assert "second" in twice and "first" not in twice


def test_the_failure_page_says_why():
    """Message, cell and section are there; the traceback is folded."""
    failure = {"message": EVIL, "cell": 3, "section": "Data", "source": "1/0", "traceback": "Traceback"}
    made = page.failure_page(title="T", facts=FACTS, links=[], failure=failure, kept=True)
    assert "in cell 3, under “Data”" in made
    assert "<details><summary>Traceback</summary>" in made
    assert "<script" not in made


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_index_counts_its_reports(count):
    """One report, many reports, none."""
    report = dict.fromkeys(
        (
            "study",
            "title",
            "name",
            "parameters",
            "status",
            "headline",
            "decision",
            "last_good",
            "failure",
            "page",
            "data_version",
            "finished",
            "seconds",
        ),
        EVIL,
    )
    more = {"files": [], "stale": False, "period": "", "earlier": [], "trend": {}, "place": None, "before": None}
    more["figure"] = {"label": EVIL, "value": EVIL, "interval": EVIL}
    made = page.site_page(title="Reports", reports=[report | more] * count)
    assert ("No report yet" in made) == (count == 0)
    assert "<script" not in made
