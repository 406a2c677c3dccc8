"""Every picture of a result is said in Chinese where it stands: its texts, and nothing but its texts."""

import re

import matplotlib as mpl
import numpy as np
import pytest
from doors import CASES, answered
from matplotlib import pyplot as plt
from matplotlib.axis import Axis
from matplotlib.text import Text

from workbench import figures
from workbench.errors import CannotAnswer
from workbench.figures import axes, say_in
from workbench.messages import say
from workbench.result import Result

NAMES = r"ARPU|NPS|RFM|HHI|PLS|TOC|Qini|HTMT|R²|MB|GB|BG|NBD|Lee|delta|beta|alpha"
FROM_DATA = (
    r"minutes|night|town|top|mid|likely|yuan|wait|visits|answered|price|speed|network|[a-z]=[a-z]|q\d|v\d|s\d|tv|False"
)
ENGLISH = re.compile(r"[A-Za-z]{2,}[ ,;:'’-]+[A-Za-z]{2,}|(?<![A-Za-z])[a-z]{3,}(?![A-Za-z])")


@pytest.fixture(autouse=True)
def _small():
    with mpl.rc_context({"figure.dpi": 40}):
        axes(None)  # the font that has Chinese
        plt.close("all")
        yield
    plt.close("all")


def drawn(figure):
    """What a figure shows, and where its ticks stand and how they look."""
    figure.draw_without_rendering()
    ticks = []
    for axis in figure.findobj(Axis):
        labels = axis.get_majorticklabels()
        look = [(t.get_rotation(), t.get_ha(), t.get_va(), t.get_fontsize(), t.get_visible()) for t in labels]
        ticks.append((list(axis.get_majorticklocs()), list(axis.get_view_interval()), look))
    texts = [t.get_text() for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    return texts, ticks


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_picture_leaves_no_english(case):
    result, _ = answered(case)
    if not isinstance(result, Result):
        return
    figure = plt.figure()
    try:
        result.plot()
    except CannotAnswer:
        return
    _, before = drawn(figure)
    say_in(figure, "zh")
    texts, after = drawn(figure)
    assert after == before
    left = [
        text for text in texts if ENGLISH.search(re.sub(rf"(?<![A-Za-z])({NAMES}|{FROM_DATA})(?![a-z])", "1", text))
    ]
    assert not left
    assert texts


def test_what_is_said_of_a_picture_is_said_in_place_on_every_kind_of_axis():
    say("{n} customers\n{share} of revenue", n=12_000, share="3%")
    figure, ((one, log), (heat, two)) = plt.subplots(2, 2)
    figure.suptitle("customers")
    figure.supxlabel("share (%)")
    one.bar(["broadband", "mobile", "fixed"], [1, 2, 3], label="customers")
    one.tick_params("x", rotation=35, labelsize=7)
    one.legend(title="service")
    log.set_yscale("log")
    log.plot([1, 20_000], [1, 1e6])
    log.annotate("12,000 customers\n3% of revenue", (1, 1))
    picture = heat.imshow(np.eye(2))
    heat.set_xticks([0, 1], ["low end", "customers"], rotation=30, ha="right")
    heat.set_yticks([0, 1], ["deviation from all\ncustomers\n(standard deviations)", "中国移动, broadband"])
    figure.colorbar(picture, ax=heat, label="share of a usual month")
    two.twinx().set_ylabel("share of revenue (%)")
    right = two.secondary_yaxis("right").yaxis
    right.set_ticks([0.2, 0.8], ["10086", "whatever it is"])
    _, before = drawn(figure)
    say_in(figure, "zh")
    texts, after = drawn(figure)
    assert after == before
    for said in (
        "客户数",
        "占比（%）",
        "宽带",
        "移动业务",
        "固话",
        "业务",
        "下限",
        "占平常月份的比例",
        "收入占比（%）",
        "2万",
    ):
        assert said in texts
    assert {"whatever it is", "10086"} <= {*texts}
    assert "中国移动·宽带" in texts
    wrapped = next(text for text in texts if text.startswith("与全体"))
    assert wrapped.replace("\n", "") == "与全体客户的偏差（标准差）"
    assert "\n" in wrapped
    say_in(figure, "zh")
    assert drawn(figure)[0] == texts


def test_a_message_of_two_lines_is_said_whole():
    said = say("best {share}\n(may be {low} to {high})", share="9%", low="1%", high="20%")
    figure, ax = plt.subplots()
    note = ax.annotate(str(said), (0, 0))
    say_in(figure, "zh")
    assert note.get_text() == "最佳9%\n（可能为1%至20%）"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([202601, 202603, 202605], ["202601", "202603", "202605"]),
        ([20260101, 20260131], ["20260101", "20260131"]),
        ([0, 20_000, 12_500], ["0", "2万", "1.25万"]),
        ([100_000_000, 250_000_000], ["1亿", "2.5亿"]),
    ],
)
def test_a_month_in_digits_is_no_amount(values, expected):
    """202601 is said as it is written, and never as 20.2601万."""
    figure, ax = plt.subplots()
    ax.plot(values, values)
    ax.xaxis.set_major_locator(mpl.ticker.FixedLocator(values))
    ax.ticklabel_format(style="plain", useOffset=False)
    say_in(figure, "zh")
    figure.draw_without_rendering()
    assert [tick.get_text() for tick in ax.get_xticklabels()] == expected


def test_a_name_of_the_data_stays_on_an_axis():
    """A campaign that is called like a service is no service."""
    figure, (named, ours) = plt.subplots(1, 2)
    for ax in (named, ours):
        ax.barh(["broadband", "mobile"], [1, 2])
    named.yaxis.set_gid(figures.NAMES)
    figure.draw_without_rendering()
    say_in(figure, "zh")
    texts, _ = drawn(figure)
    assert {"broadband", "mobile", "宽带", "移动业务"} <= {*texts}
    assert [tick.get_text() for tick in named.get_yticklabels()] == ["broadband", "mobile"]


def test_ticks_are_not_chosen_anew():
    """Where shorter names leave the axis more room, it keeps the ticks of the first drawing."""
    figure, ax = plt.subplots(figsize=(6, 2), layout="constrained")
    ax.barh(["deviation from all customers (standard deviations)", "customers"], [3.3, 8.1])
    figure.draw_without_rendering()
    width, ticks = ax.get_position().width, list(ax.get_xticks())
    say_in(figure, "zh")
    figure.draw_without_rendering()
    assert ax.get_position().width > 1.2 * width
    assert list(ax.get_xticks()) == ticks
