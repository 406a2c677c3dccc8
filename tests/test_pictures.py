"""What pictures have in common: bands as wide as they count, figures as high as their rows, SVG safe and small."""

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from workbench.figures import PALETTE, dot_and_interval, flows, heat_map, in_lines, legend, use_theme
from workbench.messages import as_message
from workbench.reports.page import html as page
from workbench.reports.page import svg
from workbench.reports.page.said import PICTURES
from workbench.studies.tiers import TierRules, tiers

NAMESPACE = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def _theme():
    with mpl.rc_context():
        use_theme()
        yield
    plt.close("all")


def _bands(ax):
    """Width of each band at its left and right end, and its colour."""
    found = []
    for band in ax.collections:
        (path,) = band.get_paths()
        x, y = path.vertices.T
        ends = [np.ptp(y[x == edge]) for edge in (x.min(), x.max())]
        found.append((*np.round(ends, 6), mpl.colors.to_hex(band.get_facecolor()[0]).upper()))
    return found


def test_bands_are_as_wide_as_they_count():
    """3 + 2 stay and go from a, 5 come from outside; fewer than 3 are not drawn, though their place is kept."""
    counts = pd.DataFrame([[3, 2], [0, 4], [5, 1]], ["a", "b", "new"], ["a", "left"])
    ax = flows(counts, ["a: 5", "b: 4", "new: 6"], ["a: 8", "left: 7"], least=3)
    drawn = _bands(ax)
    assert [band[:2] for band in drawn] == [(3, 3), (4, 4), (5, 5)]
    assert drawn[0][2] == PALETTE[0] and {drawn[1][2], drawn[2][2]} == {"#999999"}, "grey: on one side alone"
    blocks = [bar.get_height() for bar in ax.patches]
    assert blocks == [5, 4, 6, 8, 7]
    plt.close("all")
    shares = flows(counts, ["a", "b", "new"], ["a", "left"], shares=True)
    assert [bar.get_height() for bar in shares.patches[:3]] == [1, 1, 1]
    assert [band[0] for band in _bands(shares)] == [
        0.6,
        0.4,
        1,
        pytest.approx(5 / 6, abs=1e-6),
        pytest.approx(1 / 6, abs=1e-6),
    ]


def test_names_beside_bands_do_not_run_into_each_other():
    """Ten thin blocks beside a thick one: their names, of two lines each, stand apart in the figure as drawn."""
    names = [f"{n} a name that takes two lines of a label" for n in range(10)]
    counts = pd.DataFrame(np.diag([10_000, *[1] * 9]), names, names)
    ax = flows(counts, names, names)
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.get_yticklabels()]
    tops = sorted((box.y0, box.y1) for box in boxes)
    assert all(low >= high for (_, high), (low, _) in pairwise(tops))


@pytest.mark.parametrize("counts", [np.zeros((1, 1)), np.array([[0, 0], [0, 7]])])
def test_nobody_moves(counts):
    names = list("ab")[: len(counts)]
    flows(pd.DataFrame(counts, names, names), names, names, shares=True).figure.draw_without_rendering()


def test_a_figure_is_as_high_as_its_rows():
    """One row takes no panel of ten, forty rows stand apart; a figure that somebody else parted stays as it is."""
    heights = []
    for n in (1, 3, 40):
        rows = pd.DataFrame({"estimate": np.arange(n) - 1.0, "low": -2.0, "high": n})
        ax = dot_and_interval([*map(str, range(n))], rows, plt.figure().gca())
        heights.append(ax.figure.get_figheight())
    assert heights == [pytest.approx(1.32), pytest.approx(2.16), pytest.approx(8.6)]
    assert ax.texts[0].get_text() == "−1.00"
    _, (one, _) = plt.subplots(1, 2)
    assert dot_and_interval(["a"], rows[:1], one).figure.get_figheight() == 3.6


def test_of_very_many_rows_the_first_are_drawn():
    """465 pairs of provinces would be a picture of 195 million pixels: it has 60, and its label says so."""
    rows = pd.DataFrame({"estimate": np.arange(465), "low": 0, "high": 9})
    ax = dot_and_interval([*map(str, rows.index)], rows, label="gap")
    assert len(ax.get_yticks()) == len(ax.texts) == 60 and ax.figure.get_figheight() < 13
    assert ax.get_xlabel() == "gap (the first 60 of 465; the others stand in the table)"


def test_numbers_have_their_minus_and_no_zero_below_zero():
    ax = heat_map(pd.DataFrame([[-0.01, -1.5, 2]]), "+.1f")
    assert [text.get_text() for text in ax.texts] == ["+0.0", "−1.5", "+2.0"]


def test_a_legend_hides_nothing():
    _, ax = plt.subplots()
    for k in range(4):
        ax.plot([0, 1], [k, 1 - k], label=f"curve {k}")
    legend(ax)
    ax.figure.draw_without_rendering()
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1 - 1


HOSTILE = """<svg onload="x()" width="9"><script>x()</script>
<style>*{fill:url(//a.example)}</style><a href="//a.example">
<text>in</text></a><image href="//a.example/x.png"/><image href="data:image/svg+xml;base64,AAAA"/>
<use href="//a.example#b"/>
<foreignObject><b>x</b></foreignObject><path d="M0 0" fill="url(//a.example)" style="stroke: url(javascript:x)"/>
<set attributeName="onload" to="x()"/><text x="1" onclick="x()">&lt;script&gt;&amp; 北京<title>t</title></text></svg>"""


def test_nothing_in_an_svg_runs_or_fetches():
    made = svg.safe(HOSTILE, prefix="f1_", alt='"<b>&')
    root = ElementTree.fromstring(made)
    assert {one.tag.removeprefix(NAMESPACE) for one in root.iter()} == {"svg", "g", "path", "text", "image", "use"}
    assert not re.search(r"example|javascript|onload|onclick|style|svg\+xml", made)
    inside = root.find(f"{NAMESPACE}g")
    assert (root.attrib["role"], root.attrib["aria-label"], inside.attrib) == ("img", '"<b>&', {"aria-hidden": "true"})
    assert inside.find(f"{NAMESPACE}text").text == "<script>& 北京"


@pytest.mark.parametrize(
    "bad", ["", "x", "<svg>", "<b/>", '<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>', "<svg>\x07</svg>"]
)
def test_what_is_no_svg_is_none(bad):
    assert svg.safe(bad) == ""


def _picture():
    figure, ax = plt.subplots()
    ax.plot([1, 2], [3, -1], color="black", label="满意度 <b>&")
    ax.annotate("over paper", (1, 2), bbox={"facecolor": "white", "edgecolor": "none"})
    ax.set_xlabel("月份")
    legend(ax)
    return figure


def test_a_drawing_keeps_its_text_and_is_the_same_each_time():
    """Texts are found, numbers short; white paper is gone, but not what lies under a note; read again it is equal."""
    one, two = (svg.drawn(_picture()) for _ in range(2))
    assert one == two and len(one["svg"]) < 8_000
    root = ElementTree.fromstring(one["svg"])
    texts = ["".join(text.itertext()) for text in root.iter(f"{NAMESPACE}text")]
    assert {"满意度 <b>&", "月份", "over paper", "−1.0"} <= set(texts)
    assert len(re.findall('fill="#ffffff"', one["svg"])) == 1
    assert not re.search(r"\d\.\d{3}", one["svg"])
    assert svg.safe(one["svg"]) == one["svg"]
    ids = re.findall(r' id="(\w+)"', one["svg"])
    assert len(set(ids)) == len(ids) and set(re.findall(r"#(\w+)[\")]", one["svg"].replace('="#', '="~'))) <= set(ids)


def test_two_pictures_of_a_page_share_no_id():
    inline = svg.drawn(_picture())["svg"]
    ids = [set(re.findall(r' id="(\w+)"', svg.safe(inline, prefix=f"f{n}_", alt="a"))) for n in (1, 2)]
    assert ids[0].isdisjoint(ids[1])


def test_a_page_is_small_beside_its_figures():
    """Twelve tables of sixty rows and eight columns, and as many paragraphs: under 60 KB."""
    from workbench.reports.page import tables

    frame = pd.DataFrame({"name": [f"cell {i}" for i in range(60)]} | {f"n{k}": np.arange(60) * 1.37 for k in range(7)})
    shown = tables.payload(frame, name="t", caption="What is so.")
    outputs = [
        {"output_type": "display_data", "data": {tables.MIME: shown}, "metadata": {"workbench": {"kind": "table"}}}
    ]
    cells = [
        {"cell_type": kind, "source": "Some words of method. " * 8, "metadata": {}, "outputs": outputs}
        for _ in range(6)
        for kind in ("markdown", "code")
    ]
    facts = {"study": "s", "parameters": [], "data_version": "v", "finished": "f", "seconds": 1, "workbench": "1"}
    made = page.report_page({"cells": cells, "metadata": {}}, title="T", facts=facts, links=[])
    assert made.count("<table") == 6 and len(made.encode()) < 60 * 1024


@pytest.fixture(scope="module")
def browser():
    """A browser of 1280 by 1500, where there is one."""
    import shutil

    chrome, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not (chrome and driver):
        pytest.skip("no browser here")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chrome
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1500"):
        options.add_argument(option)
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield started
    started.quit()


def test_the_first_screen_ends_in_time_and_nothing_is_too_wide(browser, tmp_path):
    """Ninety words, four tiles, a picture: within 1,500 pixels at 1280; a phone scrolls figures, and not the page."""
    inline = svg.drawn(_picture())
    words, tile = "Keep what was promised to whom it was promised. ", {"label": "share of margin", "value": "9.5%"}
    said = page.tables.payload(pd.DataFrame({f"a long name {k}": [1.5] for k in range(20)}), name="t", caption="Wide.")
    shown = [
        (
            {"text/plain": words * 2},
            {"kind": "answer", "tiles": [{k: as_message(v).as_json() for k, v in tile.items()}] * 4},
        ),
        ({"text/plain": "\n".join([words * 2] * 4)}, {"kind": "decision"}),
        ({"image/png": "", PICTURES: {"en": inline}}, {"kind": "figure", "caption": "c", "alt": "a", **inline}),
        ({page.tables.MIME: said}, {"kind": "table"}),
    ]
    outputs = [{"output_type": "display_data", "data": d, "metadata": {"workbench": m}} for d, m in shown]
    cells = [{"cell_type": "code", "source": "", "metadata": {}, "outputs": outputs}]
    facts = {"study": "s", "parameters": [], "data_version": "v", "finished": "f", "seconds": 1, "workbench": "1"}
    made = page.report_page({"cells": cells, "metadata": {}}, title="T", facts=facts, links=[])
    (tmp_path / "page.html").write_text(made, "utf-8")
    browser.get(f"file://{tmp_path}/page.html")
    bottom = "return document.querySelector('figure').getBoundingClientRect().bottom"
    assert 300 < browser.execute_script(bottom) < 1500
    size = {"width": 390, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_script("window.dispatchEvent(new Event('resize'))")
    assert browser.execute_script("return document.documentElement.scrollWidth") == 390
    assert browser.execute_script("return document.querySelector('.plot').tabIndex") == 0
    assert browser.execute_script("return document.querySelectorAll('.table.right').length") == 1


def test_on_paper_the_whole_decision_stands(browser, tmp_path):
    """Nobody opens a fold on paper: its points stand there, and the words that ask for a click do not."""
    lines = ["Keep A.", "Drop B.", "Look at C.", "What would change this: costs", "And: lots", "Not that"]
    cells = []
    for title, text, ours in (("Answer", "Yes.", {}), ("Decision", "\n".join(lines), {"do": 3})):
        output = {"output_type": "display_data", "data": {"text/plain": text}}
        output["metadata"] = {"workbench": {"kind": title.lower(), **ours}}
        cells.append({"cell_type": "markdown", "source": f"## {title}", "metadata": {}})
        cells.append({"cell_type": "code", "source": "", "metadata": {}, "outputs": [output]})
    facts = {"study": "s", "parameters": [], "data_version": "v", "finished": "f", "seconds": 1, "workbench": "1"}
    made = page.report_page({"cells": cells, "metadata": {}}, title="T", facts=facts, links=[])
    (tmp_path / "page.html").write_text(made, "utf-8")
    browser.get(f"file://{tmp_path}/page.html")
    seen = "return ['details li', 'summary'].map(x => document.querySelector('.decision ' + x).checkVisibility())"
    for media, shown in (("screen", [False, True]), ("print", [True, False])):
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media})
        assert browser.execute_script(seen) == shown
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_words_of_a_picture_can_be_read_on_what_they_stand_on(browser, tmp_path):
    """At least 4.5 to 1 with the shape below, in light and dark, on every colour of a map; axe does not decide it."""
    ax = heat_map(pd.DataFrame(np.linspace(-1, 1, 49).reshape(7, 7)), "+.1f", cmap="RdBu")
    names = ["invest", "keep", "go"]
    drawn = [svg.drawn(ax.figure), svg.drawn(_picture())]
    drawn.append(
        svg.drawn(flows(pd.DataFrame(np.eye(3) * 50 + 9, names, names), names, names, plt.figure().gca()).figure)
    )
    style = (Path(page.__file__).parent / "template" / "style.css").read_text("utf-8")
    body = "".join(f"<figure>{one['svg']}</figure>" for one in drawn)
    (tmp_path / "page.html").write_text(f"<!doctype html><style>{style}</style>{body}", "utf-8")
    decide = (Path(__file__).parent / "reports" / "contrast.js").read_text("utf-8")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    for mode in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": mode}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
        browser.get(f"file://{tmp_path}/page.html")
        found = browser.execute_script(decide)
        assert len(found) > 3 * 60 and found[0][0] >= 4.5, (mode, found[0])


def test_moves_between_tiers_are_counted_from_the_first_period_to_the_last():
    """One stays, one falls, one leaves, one comes; who is neither at the start nor at the end is none of them."""
    rules = TierRules(
        names=("vip", "rest"), names_zh=("贵宾", "其他"), enter=(50,), keep=(0.8,), months=1, demote_after=1, grace=0
    )
    rows = [(1, 1, 100), (2, 1, 100), (3, 1, 10), (5, 2, 10), (1, 2, 100), (1, 3, 100), (2, 3, 10), (4, 3, 100)]
    rows += [(2, 2, 100), (3, 2, 10)]
    table = pd.DataFrame(rows, columns=["id", "month", "arpu"]).astype({"arpu": float})
    found = tiers(table, customer="id", value="arpu", period="month", rules=rules)
    assert found.moved.to_dict("index") == {
        "vip": {"vip": 1, "rest": 1, "left": 0},
        "rest": {"vip": 0, "rest": 0, "left": 1},
        "new": {"vip": 1, "rest": 0, "left": 0},
    }
    assert (found.moved.index.name, found.moved.columns.name) == ("1", "3")
    axes = found.moves().draw()
    assert [text.get_text() for text in axes.get_yticklabels()] == ["vip: <10", "rest: <10", "new: <10"]
    assert not axes.collections, "moves of fewer than ten are not drawn"
    assert tiers(table.query("month == 1"), customer="id", value="arpu", rules=rules).moves() is None


@pytest.mark.parametrize("name", ["50% $ 30% $", "套餐$59 vs $99", "a_$x_2$", "<b> ]]> &amp;", "\u202egnp.exe"])
def test_a_name_of_the_data_is_drawn_as_it_is(name):
    """Two dollar signs are prices, not a formula; markup is text."""
    fig, ax = plt.subplots()
    ax.barh([name, "b"], [1, 2])
    assert escape(name) in svg.drawn(fig)["svg"]


def test_a_long_name_of_the_data_leaves_room_for_what_is_drawn():
    """Broken in two lines, nothing of it lost; a short one stays."""
    name = "2026年春节返乡客户流量包升级外呼营销活动（华东片区第二批）"
    assert in_lines(name).replace("\n", "") == name and in_lines(name).count("\n") == 1
    assert in_lines("节日短信问候 ✓") == "节日短信问候 ✓"
