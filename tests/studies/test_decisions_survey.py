"""Do the first screens of the survey's reports advise what their numbers show?"""

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest
from doors import CASES, Names

from workbench.messages import read
from workbench.result import Decision, Refusal
from workbench.studies import satisfaction

BAD = re.compile(r"\bnan\b|\bNone\b|[{}]|\w_\w")


def case(name):
    """The result of a registered case."""
    one = next(c for c in CASES if c.name == name)
    return one.call(one.tables(), Names())


def whole(decision):
    """Its sentences, each of which is stored and said in Chinese without English words."""
    assert isinstance(decision, Decision) and 1 <= len(decision.do) <= 3
    for said in decision.said():
        assert not BAD.search(said), said
        assert read(json.loads(json.dumps(said.as_json()))) == said
        assert not re.search(r"[A-Za-z]{3,} [A-Za-z]{3,}", said.said("zh")), said.said("zh")
    return decision.do


def test_an_item_is_named_by_its_label(request):
    """By what it asks about in both languages; by its code where the model says nothing, and in tables."""
    model = satisfaction.PathModel.from_toml(request.config.rootpath / "data/models/tcsi.toml")
    assert set(model.labels) == set(model.items) and len({v.said("zh") for v in model.labels.values()}) == 22
    assert (
        model.labels["VA1"].said() == "quality for the price paid"
        and model.labels["VA1"].said("zh") == "既定价格下的质量"
    )
    first = case("satisfaction.item_priorities")
    assert f"improve {first.table['item'].iloc[0]} first" in first.headline()
    named = dataclasses.replace(first, labels={i: model.labels["VA1"] for i in first.table["item"]})
    assert "improve 'quality for the price paid' first" in named.headline()
    assert "“既定价格下的质量”" in named.headline().said("zh")


@pytest.mark.parametrize("label", ["", "a\nb", ["a", "b", "c"], [1], 3])
def test_a_label_that_is_no_line_of_text_is_refused(label):
    """Empty, of two lines, in three languages, or a number; and one of an item that the construct does not have."""
    with pytest.raises(satisfaction.index.WorkbenchError, match="the label of 'q'"):
        satisfaction.Construct("Quality", ["q"], label={"q": label})
    with pytest.raises(satisfaction.index.WorkbenchError, match="named in label"):
        satisfaction.Construct("Quality", ["q"], label={"r": "a"})


STANDING, ITEMS, CHANGE = (
    case(f"satisfaction.{name}") for name in ("own_standing", "item_priorities", "wave_change")
)  # fmt: skip


def drawn(rng):
    """Gaps, items and movements with other numbers; what is significant has an interval without zero."""
    gaps = STANDING.gaps.table
    gap, half = rng.normal(0, 3, len(gaps)), rng.uniform(0.5, 4, len(gaps))
    clear = (abs(gap) > half) & (rng.random(len(gaps)) < 0.8)
    gaps = gaps.assign(gap=gap, low=gap - half, high=gap + half, significant=clear, comparable=True)
    items = ITEMS.table.assign(importance_low=ITEMS.table["importance"] * rng.uniform(-0.3, 0.9),
        probability_top=rng.uniform(0.5, 1, len(ITEMS.table)))  # fmt: skip
    change = CHANGE.table.assign(significant=rng.random(len(CHANGE.table)) < 0.3)
    return (
        dataclasses.replace(STANDING, gaps=dataclasses.replace(STANDING.gaps, table=gaps)),
        dataclasses.replace(ITEMS, table=items),
        dataclasses.replace(CHANGE, table=change),
    )


def test_the_decision_on_satisfaction_follows_from_its_intervals():
    """Nothing is improved on an interval that holds 0; no gap or movement counts that is not significant."""
    rng, seen = np.random.default_rng(0), set()
    for _ in range(120):
        standing, items, change = drawn(rng)
        improve, judged, published = whole(satisfaction.decision(standing, items, change))
        lead, *_ = standing.headline().parts
        assert improve.startswith("Improve nothing") == (items.table["importance_low"].iloc[0] < 0.005)
        assert ("No question is shown" in items.headline()) == improve.startswith("Improve nothing")
        if "try improving" in improve or "improve" in improve.split(":")[-1][:9]:
            assert ("try" in improve) == (items.table["probability_top"].iloc[0] < 0.95)
        own = standing.gaps.of("A")
        assert (own["low"] <= own["gap"]).all() and (own["gap"] <= own["high"]).all()
        behind, ahead = (own["significant"] & (own["gap"] * sign > 0) for sign in (-1, 1))
        assert judged.startswith("Measure success") == behind.any() == ("is behind in" in lead)
        assert judged.startswith("Claim a lead") == (ahead.any() and not behind.any()) == ("is ahead in" in lead)
        assert judged.startswith("Publish no rank") == (not (behind | ahead).any()) == ("neither ahead" in lead)
        assert published.startswith("Publish no movement") == (not change.table["significant"].any())
        seen |= {improve[:12], judged[:12], published[:12], "and ahead in none" in lead}
    assert len(seen) == 10, seen


def test_gaps_of_one_operator_are_its_own_minus_theirs():
    """By hand: A above B by 2, C above A by 3 and D not comparable."""
    pairs = pd.DataFrame({"operator": ["A", "C", "A"], "against": ["B", "A", "D"], "gap": [2.0, 3.0, 1.0],
        "low": [1.0, 2.5, 0.5], "high": [3.0, 3.5, 1.5], "comparable": [True, True, False]})  # fmt: skip
    own = dataclasses.replace(STANDING.gaps, table=pairs).of("A")
    assert own[["against", "gap", "low", "high"]].to_numpy().tolist() == [["B", 2, 1, 3], ["C", -3, -3.5, -2.5]]


def test_an_operator_alone_or_with_few_respondents_has_a_sentence():
    """Without competitors its index leads; below the minimum it is said that nothing is shown."""
    alone = dataclasses.replace(STANDING, gaps=Refusal("one operator"))
    assert alone.headline().startswith("Satisfaction of A, of 100 points: ")
    do = whole(satisfaction.decision(alone, ITEMS, Refusal("one wave")))
    assert len(do) == 1
    index = case("satisfaction.satisfaction_index")
    few = satisfaction.own_standing(index, STANDING.gaps, "E")
    assert few.headline().startswith("E has fewer than 30 respondents") and not few.tiles()
    assert "少于" in few.headline().said("zh") or "不足" in few.headline().said("zh")


def test_the_key_figures_of_satisfaction():
    """The operator's own index, the ends of all, and what the first item could bring."""
    labels = [tile.label for result in (STANDING, ITEMS) for tile in result.tiles()]
    assert labels[0].startswith("Satisfaction of A, ") and labels[-1].endswith("could bring")
    low, high = (tile.value.number for tile in case("satisfaction.satisfaction_index").tiles())
    assert low < high
