"""Numbers that reports share: one definition each, the same in every pair of reports, explained in one place."""

import importlib
import json
import pkgutil
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from first_screen import LONGEST, length, nowhere_below, read

import workbench.methods
import workbench.studies
from workbench.errors import WorkbenchError
from workbench.glossary import Base, break_even, term_of, terms
from workbench.messages import Number, Share, Span, say
from workbench.reports.page import tables
from workbench.result import Result

ROOT = Path(__file__).resolve().parents[1]
ACTIVE = re.compile(r"counts (all )?([\d,]+) customers(?: active on|: ([\d,]+) active on) (\d{4}-\d\d-\d\d)")
ON_LISTS = {"arrears": {438.0}, "tiers": {195.0 + 633 + 2_341}}
"""Numbers of first screens that no table holds: rows of lists of customers, which files alone hold; those above basic,
whom three rows of the table of tiers count."""


def test_a_base_is_a_sum():
    """Who is set aside counts once, under the first reason; the sum is exact, in Chinese too."""
    known = pd.DataFrame({"customer_id": list("abcdef"), "monetary": [1.0, np.nan, np.nan, 2.0, 3.0, 4.0]})
    base = Base.of(known, ["a", "d", "e"], {"unbilled": known["monetary"].isna(), "excluded": None}, "2026-07-01")
    assert (base.active, base.counted, base.set_aside) == (6, 3, {"unbilled": 2, "excluded": 1})
    assert [(q.name, q.value) for q in base.quantities()] == [
        ("customers[day=2026-07-01]", 6.0),
        ("customers_set_aside[day=2026-07-01,why=unbilled]", 2.0),
        ("customers_set_aside[day=2026-07-01,why=excluded]", 1.0),
    ]
    large = Base(14283, {"unbilled": 135, "excluded": 675}, "2026-07-01").headline()
    assert all(n in large.said("zh") for n in ("13,473", "14,283", "135", "675")) and "万" not in large.said("zh")
    of_one = Base(5, {}, "2026-07-01", province="北京")
    assert [q.name for q in of_one.quantities()] == ["customers[day=2026-07-01,province=北京]"]


def test_a_base_without_a_reason_is_refused():
    """Nobody is left out in silence, nor more than there are."""
    known = pd.DataFrame({"customer_id": ["a", "b"]})
    with pytest.raises(WorkbenchError, match="1 active customers are set aside for no reason"):
        Base.of(known, ["a"], {"unbilled": [False, False]}, "2026-07-01")
    with pytest.raises(WorkbenchError, match="no reason 'whim'"):
        Base(2, {"whim": 1}, "2026-07-01")
    with pytest.raises(WorkbenchError, match="count each once"):
        Base(2, {"unbilled": 3}, "2026-07-01")


def test_break_even_counts_the_incentive_of_those_who_respond():
    """By hand: 4 yuan a contact, 12 for the 10% who respond, of a margin of one half."""
    assert break_even(0.5, 4.0, 12.0, 0.1) == pytest.approx(10.4)
    by_campaign = break_even(
        pd.Series([0.5, 1.0]), pd.Series([4.0, 1.0]), pd.Series([12.0, 0.0]), pd.Series([0.1, 0.9])
    )
    assert by_campaign.tolist() == pytest.approx([10.4, 1.0])


def test_every_key_figure_leads_to_the_glossary():
    """Whatever a class shows on the first screen has a term; terms have both languages, and numbers of results.json."""
    for package in (workbench.studies, workbench.methods):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    ours = (cls for cls in _subclasses(Result) if cls.__module__.startswith("workbench."))
    known = [cls for cls in ours if cls.tiles is not Result.tiles]
    without = [cls.__name__ for cls in known if not term_of(cls.__name__)]
    assert len(known) > 35 and not without, f"locale/glossary.toml: put {without} under `results` of the term they show"
    documented = set(re.findall(r"`(\w+)(?:\[[^`]*\])?`", (ROOT / "docs" / "results.md").read_text("utf-8")))
    names = {cls.__name__ for cls in _subclasses(Result)}
    for term, chinese in zip(terms(), terms("zh"), strict=True):
        assert set(term.get("numbers", ())) <= documented and set(term.get("results", ())) <= names, term["id"]
        assert re.search("[一-鿿]|AUC", chinese["name"]) and re.search("[一-鿿]", chinese["meaning"])
    assert len({term["id"] for term in terms()}) == len(terms())


def test_pinned_reports_count_the_same_customers():
    """Every report names the same active customers of a day, and its answer speaks of a number that it explains."""
    said, counted = {}, {}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        texts = _pinned(path)
        for every, here, active, day in (found for text in texts for found in ACTIVE.findall(text)):
            said.setdefault(day, {})[path.stem] = here if every else active
            counted.setdefault(path.stem, set()).add(here)
    assert len(said["2026-07-01"]) >= 8
    assert all(len(set(by_report.values())) == 1 for by_report in said.values()), said
    for name, answer in (
        ("tiers", "of {} customers are in a tier"),
        ("potential", "{} customers bring"),
        ("customer_view", "of {} active customers"),
        ("churn", "of {} customers are at"),
        ("segmentation", "Of {} customers, "),
        ("segmentation", "{} customers fall into"),
    ):
        text = "\n".join(_pinned(ROOT / "notebooks" / f"{name}.ipynb"))
        assert any(answer.format(n) in text for n in counted[name]), (name, counted[name])


def same_in_every_pair(results):
    """Give what two reports record under one name with different values: names are defined once, in docs/results.md."""
    return [
        (one, other, name, results[one][name], results[other][name])
        for one, other in combinations(sorted(results), 2)
        for name in results[one].keys() & results[other].keys()
        if results[one][name] != pytest.approx(results[other][name], rel=1e-6)
    ]


def test_a_pair_that_disagrees_is_found():
    """Of three reports, the two that say another number under one name."""
    results = {"a": {"x": 1.0, "y": 2.0}, "b": {"x": 1.0}, "c": {"y": 2.1}}
    assert same_in_every_pair(results) == [("a", "c", "y", 2.0, 2.1)]


def test_a_first_screen_that_contradicts_what_is_below_is_found():
    """Each number of sentence, key figures and decision must be one of those below, rounded; shares as per cent."""

    def page(*rows):
        sentence = say(
            "Up by {by} {ends} for {share}.", by=Number(12.306, ".1f"), ends=Span(10.1, 14.5), share=Share(0.25)
        )
        answer = {"kind": "answer", "sentences": [sentence.as_json()], "tiles": []}
        table = {
            "columns": [{"name": "x", "kind": "number"}],
            "rows": [[v] for v in rows],
            "caption": "All of 2026-07.",
        }
        data = ({"text/plain": str(sentence)}, answer), ({"text/plain": "", tables.MIME: table}, {"kind": "table"})
        outputs = [{"data": shown, "metadata": {"workbench": ours}} for shown, ours in data]
        return {"cells": [{"metadata": {}, "source": "", "outputs": outputs}]}

    assert nowhere_below(page(12.306, 10.1, 14.5, 0.2504)) == []
    assert [value for value, _ in nowhere_below(page(12.306, 10.1, 14.5, 0.26))] == [25.0]
    assert [value for value, _ in nowhere_below(page(12.36, 10.1, 14.5, 0.25))] == [12.3]


def test_a_first_screen_is_counted_as_it_is_read():
    """By hand: a number with its unit is one word, a Chinese character one, marks, pictures and folds are none."""
    page = (
        '<h1>Who left, and why?</h1><main><section><p class="lead">Of <a>1,240</a> left 15.9 yuan (+10.2 to 20.4; 95% '
        "interval).</p><dl><dt>fee (yuan)</dt><dd><b>+3.5%</b> <span>8% to 14%</span></dd></dl><ul><li>Stop.</li></ul>"
        "<svg><text>no word</text></svg><details><ul><li>folded</li></ul></details></section><p>below</p></main>"
    )
    assert length(page, "en") == 4 + 9 + 2 + 4 + 1
    chinese = "<h1>谁离网？</h1><main><section><dt>费用（元）</dt><dd>+3.5%（8.7%至14.1%）</dd></section>"
    assert length(chinese, "zh") == 3 + 3 + 4


@pytest.mark.prove
def test_every_pair_of_reports_says_the_same(operator, tmp_path, monkeypatch):
    """All reports of the sample: shared numbers agree, and no first screen says what nothing below it says.

    Each is read aloud in ninety words, in Chinese in 160 characters.
    """
    from workbench.reports.runs.render import run

    root = tmp_path / "all"
    root.mkdir()
    (root / "data").symlink_to(operator / "data")
    (root / "notebooks").symlink_to(ROOT / "notebooks")
    monkeypatch.setenv("WORKBENCH_HOME", str(root))
    made = [slot for slot in run(root=root, progress=False, languages=("zh", "en")).slots if slot.status == "done"]
    assert len(made) >= 17
    rows = {slot.study: json.loads((slot.folder / "results.json").read_text("utf-8")) for slot in made}
    results = {study: {row["name"]: row["value"] for row in of} for study, of in rows.items()}
    shared = [name for a, b in combinations(results, 2) for name in results[a].keys() & results[b].keys()]
    pages = {"zh": "index.html", "en": "index.en.html"}
    long = {
        (slot.study, tongue): length((slot.folder / page).read_text("utf-8"), tongue)
        for slot in made
        for tongue, page in pages.items()
    }
    assert {of: n for of, n in long.items() if n > LONGEST[of[1]]} == {}
    assert len(set(shared)) > 20 and same_in_every_pair(results) == []
    lost = {slot.study: nowhere_below(read(slot.folder / "report.ipynb")) for slot in made}
    assert {s: [w for w in of if w[0] not in ON_LISTS.get(s, ())] for s, of in lost.items() if of} == {
        s: [] for s, of in lost.items() if of
    }


def _subclasses(cls):
    return [one for sub in cls.__subclasses__() for one in (sub, *_subclasses(sub))]


def _pinned(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return ["".join(o["data"]["text/plain"]) for c in cells for o in c.get("outputs", []) if "text/plain" in o["data"]]
