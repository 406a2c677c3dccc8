"""What a notebook says reaches a reader and, as data, the report."""

import base64
import io
import json
import warnings
from dataclasses import dataclass

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.messages import Count, join, read, say
from workbench.reports.page import notebook
from workbench.reports.page.languages import translated
from workbench.reports.page.said import answer_of
from workbench.result import Decision, Picture, Quantity, Refusal, Result, Table, Tile


@pytest.fixture
def said(monkeypatch):
    """Every display as (data, what it is)."""
    displayed = []
    monkeypatch.setattr(notebook, "_display", lambda data, ours, metadata=None: displayed.append((data, ours)))
    return displayed


@pytest.fixture
def theme():
    """The theme, put back afterwards."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.use("agg")
        notebook.use_theme()
        yield
    plt.close("all")


def test_the_answer_is_shown_as_it_is(said):
    """Markdown and HTML in a headline are text, and stand so in the plain answer."""
    notebook.answer("The <b>rise</b> is *2%*.", "Second.")
    data, ours = said[0]
    assert data["text/plain"] == "The <b>rise</b> is *2%*.\nSecond."
    assert data["text/markdown"] == "The &lt;b&gt;rise&lt;/b&gt; is \\*2%\\*.\n\nSecond."
    assert ours["kind"] == "answer" and not ours["tiles"]
    assert [read(sentence) for sentence in ours["sentences"]] == data["text/plain"].split("\n")


@dataclass(frozen=True)
class Told(Result):
    """A result of a few key figures."""

    counts: tuple[int, ...]

    def headline(self):
        return say("{n} in all.", n=sum(self.counts))

    def tiles(self):
        return tuple(Tile(say("of {n}", n=count), Count(count)) for count in self.counts)


def test_a_key_figure_of_two_results_stands_once(said):
    """The first three of all that differ, in the order in which they are given."""
    notebook.answer(Told((3, 1)), Told((1, 4)), Told((3, 5, 9)))
    _, ours = said[0]
    labels = [str(read(tile["label"])) for tile in ours["tiles"]]
    assert labels == ["of 3", "of 1", "of 4"] and len(ours["terms"]) == 3


def test_a_picture_that_cannot_be_drawn_is_its_sentence(said):
    """A refusal while it is drawn costs the picture, not the report."""

    def draw():
        raise CannotAnswer("no lever has 10 customers or more")

    notebook.show(Picture("levers", draw, "Levers.", "Bars."))
    assert [data["text/plain"] for data, _ in said] == ["No lever has 10 customers or more"]


def test_a_name_with_a_line_break_is_one_point_of_the_decision(said):
    """What is advised stays as many points as there are, whatever data call an operator."""
    gap = say("Claim a lead only where it is significant, as over {operator}.", operator="联通\u2028- 新\r\n业务")
    notebook.decide(Decision((gap,), say("a trial.")))
    assert said[0][0]["text/plain"].splitlines() == [
        "Claim a lead only where it is significant, as over 联通 - 新 业务.",
        "What would change this: a trial.",
    ]


def test_small_data_cost_a_part_and_not_the_report(said, monkeypatch, tmp_path):
    """A list of nobody, a table without rows and a check of a refused answer are a sentence each."""
    nobody = pd.DataFrame({"customer_id": [], "customers": []}, dtype=object)
    notebook.show_list(nobody, name="targets", as_of="2026-07-01", definition="Whoever.")
    assert said[-1][0]["text/plain"] == "List 'targets' is empty: there is nobody to act on, and no file."
    notebook.show(Table("none", nobody, say("Nobody."), counts="customers"))
    assert said[-1][0]["text/plain"] == "The table is empty: Nobody."
    assert str(notebook.Markdown(Refusal("one operator").check())) == "One operator"


def test_a_refusal_decides_nothing_and_leads_with_its_first_sentence(said):
    """The page's lead begins with a capital, and its decision does not advise."""
    reason = join(say("not answerable: one operator."), say("Take more."))
    notebook.answer(Refusal(reason))
    notebook.decide(Refusal(reason))
    (data, ours), (_, decision) = said
    shown = answer_of({"metadata": {"workbench": ours}, "data": data})
    assert (shown.lead, shown.more) == ("Not answerable: one operator.", ("Take more.",))
    assert read(decision["sentences"][0]).startswith("Decide nothing")


def test_a_decision_without_an_answer_fits_the_headline(said):
    """Where another part leads, the decision is on the part without an answer, and says why."""
    month = say("not answerable: all bought in one month.")
    notebook.answer(Told((3,)), Refusal(month))
    notebook.decide(Refusal(month), Refusal(month))
    assert said[1][0]["text/plain"].splitlines() == [
        "Decide nothing on the part that has no answer.",
        "Not answerable: all bought in one month.",
        "What would change this: more data, or what that reason names.",
    ]
    assert said[1][1]["do"] == 2
    notebook.answer(Refusal(month), Told((3,)))
    notebook.decide(Refusal(month))
    assert said[3][0]["text/plain"].splitlines() == [
        "Decide nothing on these data: they do not answer the question.",
        "What would change this: more data, or what the refusal above names.",
    ]


def test_a_list_and_a_model_say_what_they_are_in_both_languages(said, tmp_path, monkeypatch):
    """The English is as it was; the definition is a message, or a text with an entry."""
    monkeypatch.setenv("WORKBENCH_OUTPUT", str(tmp_path))
    frame = pd.DataFrame({"customer_id": [f"c{n}" for n in range(1200)]})
    notebook.show_list(frame, name="targets", as_of="2026-07-01", definition=say("{n} rows", n=3))
    notebook.show_list(frame[:1], name="one", as_of="2026-07-01", definition="All windows are closed.")
    model = type("M", (), {"save": lambda self, path: path})()
    notebook.show_model(model, name="who", definition="Of <b>.")
    assert [data["text/plain"] for data, _ in said] == [
        "List 'targets' as of 2026-07-01: 1,200 rows. 3 rows",
        "List 'one' as of 2026-07-01: 1 row. All windows are closed.",
        "Model 'who'. Of <b>.",
    ]
    outputs = [{"output_type": "display_data", "data": d, "metadata": {"workbench": ours}} for d, ours in said]
    cell = {"cell_type": "code", "source": "", "outputs": json.loads(json.dumps(outputs))}
    chinese = translated({"metadata": {}, "cells": [cell]}, "zh")["cells"][0]["outputs"]
    assert [output["data"]["text/plain"] for output in chinese] == [
        "名单“targets”，截至2026年7月1日：1200行。3行",
        "名单“one”，截至2026年7月1日：1行。各观察窗口均已结束。",
        "模型“who”。Of <b>.",
    ]


def test_a_table_carries_its_payload(said):
    """Text, HTML and the machine's form come together."""
    notebook.show_table(pd.DataFrame({"a": [1]}), name="t", caption="A.")
    data, _ = said[0]
    assert set(data) == {"text/plain", "text/html", "application/vnd.workbench.table+json"}


def test_one_refusal_is_said_once(said):
    """Two parts that the data refuse for one reason say it once; another reason is another sentence."""
    table = Table("t", pd.DataFrame({"a": [1]}), "A.")
    notebook.show(Refusal("too few"), table, Refusal("too few"), Refusal("too many"), None)
    assert [data["text/plain"].split("\n")[0] for data, _ in said] == ["Too few", "A.", "Too many"]


def test_numbers_are_recorded_by_name(said):
    """Results and quantities become rows; an end of an interval that is no number is missing."""
    notebook.record(Quantity("n", 3, "customers"), [Quantity("x", 0.5, "share", low=0.1, high=float("nan"), rtol=1e-3)])
    assert said[0][0][notebook.QUANTITIES] == [
        {"name": "n", "value": 3.0, "unit": "customers", "low": None, "high": None, "rtol": 1e-6},
        {"name": "x", "value": 0.5, "unit": "share", "low": 0.1, "high": None, "rtol": 1e-3},
    ]


def test_what_cannot_be_recorded_is_refused(said):
    """Values that are no numbers, repeated names and foreign objects are refused by name."""
    with pytest.raises(WorkbenchError, match=r"'x' is nan\. Only a finite number"):
        notebook.record(Quantity("x", float("nan"), "1"))
    with pytest.raises(WorkbenchError, match="'x' is recorded twice"):
        notebook.record(Quantity("x", 1, "1"), Quantity("x", 1, "1"))
    with pytest.raises(WorkbenchError, match="was given a str"):
        notebook.record("x")
    assert said == []


def test_a_figure_is_a_sharp_picture_with_words(said, theme):
    """Twice the pixels of its size, the same bytes each time, and closed afterwards."""
    pictures = []
    for _ in range(2):
        _, ax = plt.subplots()
        ax.plot([1, 2], [3, 1], label="满意度")
        ax.set_xlabel("月份")
        ax.legend()
        notebook.show_figure(ax, name="f", caption="It falls.", alt="Falling line.")
        data, ours = said[-2]
        pictures.append(base64.b64decode(data["image/png"]))
        assert (ours["caption"], ours["alt"]) == ("It falls.", "Falling line.")
        assert abs(mpl.image.imread(io.BytesIO(pictures[-1])).shape[1] - 2 * ours["width"]) <= 1
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) < 60_000
    assert plt.get_fignums() == []


def test_a_character_without_a_glyph_is_a_box_that_the_caption_names(said, theme):
    """A campaign called 618大促🎉 costs its sign, not the report; other warnings are heard as before."""
    _, ax = plt.subplots()
    ax.set_xlabel("618大促🎉 \N{GRINNING FACE}")
    notebook.show_figure(ax, name="f", caption="It falls.", alt="a")
    named = "U+1F389 party popper, U+1F600 grinning face"
    assert said[-2][1]["caption"] == f"It falls. Drawn as boxes, for the font lacks them: {named}."
    _, ax = plt.subplots()
    ax.figure.draw = lambda renderer, draw=ax.figure.draw: (warnings.warn("heard", stacklevel=1), draw(renderer))[1]
    with pytest.warns(UserWarning, match="heard"):
        notebook.show_figure(ax, name="g", caption="c", alt="a")


@pytest.mark.parametrize("missing", ["name", "caption", "alt"])
def test_words_are_obligatory(missing, theme):
    """A figure without name, caption or description is refused."""
    _, ax = plt.subplots()
    words = {"name": "f", "caption": "c", "alt": "a"} | {missing: " "}
    with pytest.raises(WorkbenchError, match=f"a figure lacks its {missing}"):
        notebook.show_figure(ax, **words)


def test_what_stands_outside_its_canvas_is_drawn_too(said, theme):
    """A text beside the figure widens the picture, and none of it is cut off."""
    sizes = []
    for at in (0.5, 1.3):
        _, ax = plt.subplots()
        ax.figure.text(at, 0.5, "beside", color="red")
        notebook.show_figure(ax, name="f", caption="c", alt="a")
        picture = Image.open(io.BytesIO(base64.b64decode(said[-2][0]["image/png"]))).convert("RGB")
        red = sum(count for count, (r, g, b) in picture.getcolors(2**20) if r > 200 > 120 > max(g, b))
        sizes.append((picture.width, red))
    assert sizes[1][0] > 1.2 * sizes[0][0]
    assert sizes[1][1] == pytest.approx(sizes[0][1], rel=0.2) and sizes[0][1] > 50
