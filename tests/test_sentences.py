"""Do the sentences agree with their intervals? Results with numbers drawn at random, read against their own numbers."""

import ast
import dataclasses
import json
import re
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from doors import CASES, Case, Names, answered

import workbench
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.messages import Message, Name
from workbench.messages import read as stored
from workbench.result import Result

matplotlib.use("Agg")

# Rooms whose sentences are messages
SAID = {
    "arrears",
    "campaign_effect",
    "campaign_planning",
    "churn",
    "customer_view",
    "data_quality",
    "departures",
    "experiment",
    "fraud",
    "lifetime_value",
    "potential",
    "observational",
    "uplift",
    "plspm",
    "satisfaction",
    "segmentation",
    "tiers",
    "voice",
}

BAD = re.compile(r"\bnan\b|\bNone\b|[{}]|\binf\b|\bNaT\b")
NUMBER = r"[−+-]?[\d,]*\.?\d+"
SOURCE = Path(workbench.__file__).parent
SPANS = re.compile(rf"\(({NUMBER})%? to ({NUMBER})[%);]")
TWICE = re.compile(r"\b(lower|lowered|less|fewer|fell|fall|falls|loses|lost|behind|below)\b[^.:;,(]*[  ]−\d")
NOTHING = re.compile(r"^(No evidence|No effect)")
CLAIM = re.compile(r"\b(raised|lowered|gains|loses|harms)\b")
TRIPLES = [
    ("estimate", "low", "high"),
    ("difference", "low", "high"),
    ("effect", "low", "high"),
    ("net", "net_low", "net_high"),
    ("slope", "slope_low", "slope_high"),
    ("area", "area_low", "area_high"),
]


def value(text: str) -> float:
    """Read a printed number."""
    return float(text.replace("−", "-").replace("+", "").replace(",", ""))


def read(sentence: str) -> None:
    """A sentence names no missing value, says no loss twice, and its intervals have a width."""
    assert not BAD.search(sentence), sentence
    assert not TWICE.search(sentence), f"lowered by less than 0: {sentence}"
    for low, high in SPANS.findall(sentence):
        assert value(low) < value(high), f"no width: {sentence}"


def results() -> list[tuple[Case, Result]]:
    """The result of each case that speaks."""
    return [(case, answered(case)[0]) for case in CASES if isinstance(answered(case)[0], Result)]


RESULTS = results()
IDS = [case.name for case, _ in RESULTS]


def drawn(result: Result, rng: np.random.Generator) -> Result:
    """The result with other estimates and ends: either side of zero, touching it, or wide."""
    change = {}
    names = {f.name for f in dataclasses.fields(result)}
    for triple in TRIPLES:
        if set(triple) <= names and all(isinstance(getattr(result, n), float) for n in triple):
            size = abs(getattr(result, triple[0])) or 1.0
            ends = np.sort(size * rng.choice([-2.0, -1, -0.4, -0.01, 0, 0.01, 0.4, 1, 2], 3, replace=False))
            change |= dict(zip(triple, map(float, (ends[1], ends[0], ends[2])), strict=True))
    return dataclasses.replace(result, **change)


@pytest.mark.parametrize(("case", "result"), RESULTS, ids=IDS)
def test_a_sentence_says_no_missing_value(case, result):
    """Neither in words nor in the table's headline, the figure or its labels."""
    read(result.headline())
    assert "nan" not in re.findall(r"\w+", result.headline())


@pytest.mark.parametrize(("case", "result"), RESULTS, ids=IDS)
def test_a_key_figure_is_named_in_few_words(case, result):
    """Three stand on a first screen of ninety words (`first_screen.LONGEST`): a figure has at most twelve."""
    assert all(len(tile.label.split()) <= 12 for tile in result.tiles())


@pytest.mark.parametrize(("case", "result"), RESULTS, ids=IDS)
def test_a_figure_says_no_missing_value(case, result):
    """Texts and labels of the axes are whole; a table without intervals has no picture."""
    import matplotlib.pyplot as plt

    try:
        ax = result.plot(plt.figure().gca())
    except CannotAnswer:
        assert "low" not in result.summary()
        return
    for axis in ax.figure.axes:
        ticks = [t.get_text() for t in (*axis.get_xticklabels(), *axis.get_yticklabels())]
        legend = [t.get_text() for t in axis.get_legend().get_texts()] if axis.get_legend() else []
        for text in [*(t.get_text() for t in axis.texts), axis.get_xlabel(), axis.get_ylabel(), *ticks, *legend]:
            assert not BAD.search(text), text
    plt.close("all")


CHINESE = [(c, r) for c, r in RESULTS if c.name.partition(".")[0] in SAID]


@pytest.mark.parametrize(("case", "result"), CHINESE, ids=[c.name for c, _ in CHINESE])
def test_a_result_is_said_in_chinese(case, result, monkeypatch):
    """Headline and captions, whatever the numbers: no two English words in a row but in names from data."""
    monkeypatch.setattr(Name, "said", lambda self, language="en": "□" if language == "zh" else str(self.text))
    rng = np.random.default_rng(0)
    for one in [result, *(drawn(result, rng) for _ in range(20))]:
        for said in (one.headline(), one.caption(), one.picture_caption()):
            assert isinstance(said, Message), f"an f-string says it: {said}"
            assert not re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}", said.said("zh")), said.said("zh")
            assert stored(json.loads(json.dumps(said.as_json()))) == said


@pytest.mark.parametrize("room", sorted(SAID))
def test_a_refusal_is_a_message(room):
    """Every reason why the data cannot answer is a template, or a message made of some."""
    for file in SOURCE.rglob(f"{room}/*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "CannotAnswer":
                assert isinstance(node.args[0], (ast.Call, ast.Constant)), f"{file.name}:{node.lineno}"


CLAIMS = [(c, r) for c, r in RESULTS if {"estimate", "low", "high"} <= {f.name for f in dataclasses.fields(r)}]


@pytest.mark.parametrize(("case", "result"), CLAIMS, ids=[c.name for c, _ in CLAIMS])
def test_a_claim_is_made_if_and_only_if_its_interval_excludes_zero(case, result):
    """At the printed digits: "No evidence" beside an interval that holds 0, a verb beside one that does not."""
    rng = np.random.default_rng(0)
    for _ in range(150):
        one = drawn(result, rng)
        said = one.headline()
        read(said)
        if said.startswith("Not answerable"):
            continue
        first = SPANS.search(said)
        assert first, said
        low, high = value(first[1]), value(first[2])
        holds = low <= 0 <= high
        if NOTHING.search(said):
            assert holds, said
        elif CLAIM.search(said.split(":")[0].split("(")[0]):
            assert not holds, said


EDGES = {
    "nobody buys": lambda t: t.assign(y=0.0, b=0, y30=0.0, y60=0.0),
    "nobody buys in control": lambda t: t.assign(
        y=t["y"] * t["t"], b=t["b"] * t["t"], y30=t["y30"] * t["t"], y60=t["y60"] * t["t"]
    ),
    "one buyer": lambda t: t.assign(
        b=(np.arange(len(t)) == 7) * 1,
        y=(np.arange(len(t)) == 7) * 9.0,
        y30=(np.arange(len(t)) == 7) * 9.0,
        y60=(np.arange(len(t)) == 7) * 9.0,
    ),
    "everybody buys": lambda t: t.assign(b=1, y=10.0, y30=5.0, y60=8.0),
    "two members": lambda t: t.iloc[[0, int((t["t"] != t["t"].iloc[0]).to_numpy().argmax())]],
    "nobody quits": lambda t: t.assign(quit=0, got=t["t"]),
    "one score for all": lambda t: t.assign(score=1.0, x=0.0, before=1.0),
}
MEMBERS = [(c, e) for c in CASES if list(c.tables()) == ["members"] and "quit" in c.tables()["members"] for e in EDGES]


@pytest.mark.parametrize(("case", "edge"), MEMBERS, ids=[f"{c.name}-{e}" for c, e in MEMBERS])
def test_at_the_edges_a_result_is_whole_or_refused(case, edge):
    """No event in an arm, one buyer, everybody alike: a sentence without gaps, or a refusal that says why."""
    try:
        result = case.call({"members": EDGES[edge](case.tables()["members"])}, Names())
    except WorkbenchError as error:
        assert not BAD.search(str(error)), str(error)
        return
    if isinstance(result, Result):
        read(result.headline())
        assert isinstance(result.summary(), pd.DataFrame)
        assert all(np.isfinite(q.value) for q in result.quantities())


SMALL = [c for c in CASES if list(c.tables()) != ["members"]]


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("case", SMALL, ids=[c.name for c in SMALL])
def test_a_few_rows_are_answered_whole_or_refused(case, rows):
    """One, two or five rows of each table."""
    try:
        result = case.call({k: t.head(rows) for k, t in case.tables().items()}, Names())
    except WorkbenchError as error:
        assert not BAD.search(str(error).replace("{", "").replace("}", "")), str(error)
        return
    if isinstance(result, Result):
        assert not BAD.search(result.headline()), result.headline()
