"""Do the first screens of the survey's reports advise what their numbers show?"""

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest
from doors import CASES, answered

from workbench.messages import read
from workbench.methods import plspm
from workbench.result import Decision, Refusal
from workbench.studies import satisfaction, service, voice

BAD = re.compile(r"\bnan\b|\bNone\b|[{}]|\w_\w")


def case(name):
    """The result of a registered case."""
    one = next(c for c in CASES if c.name == name)
    return answered(one)[0]


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


STANDING, ITEMS, CHANGE = (case(f"satisfaction.{name}") for name in ("own_standing", "item_priorities", "wave_change"))


def drawn(rng):
    """Gaps, items and movements with other numbers; what is significant has an interval without zero."""
    gaps = STANDING.gaps.table
    gap, half = rng.normal(0, 3, len(gaps)), rng.uniform(0.5, 4, len(gaps))
    clear = (abs(gap) > half) & (rng.random(len(gaps)) < 0.8)
    gaps = gaps.assign(gap=gap, low=gap - half, high=gap + half, significant=clear, comparable=True)
    items = ITEMS.table.assign(
        importance_low=ITEMS.table["importance"] * rng.uniform(-0.3, 0.9),
        probability_top=rng.uniform(0.5, 1, len(ITEMS.table)),
    )
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
        if not improve.startswith("Improve nothing"):
            assert improve.startswith("Try improving") == (items.table["probability_top"].iloc[0] < 0.95)
        own = standing.gaps.of("A")
        assert (own["low"] <= own["gap"]).all() and (own["gap"] <= own["high"]).all()
        behind, ahead = (own["significant"] & (own["gap"] * sign > 0) for sign in (-1, 1))
        assert judged.startswith("Judge it by") == behind.any() == ("is behind competitors in" in lead)
        assert (
            judged.startswith("Claim a lead")
            == (ahead.any() and not behind.any())
            == ("is ahead of competitors in" in lead)
        )
        assert judged.startswith("Publish no rank") == (not (behind | ahead).any()) == ("neither ahead" in lead)
        assert published.startswith("Publish no movement") == (not change.table["significant"].any())
        seen |= {improve[:12], judged[:12], published[:12], ", ahead in none" in lead}
    assert len(seen) == 10, seen


def test_gaps_of_one_operator_are_its_own_minus_theirs():
    """By hand: A above B by 2, C above A by 3 and D not comparable."""
    pairs = pd.DataFrame(
        {
            "operator": ["A", "C", "A"],
            "against": ["B", "A", "D"],
            "gap": [2.0, 3.0, 1.0],
            "low": [1.0, 2.5, 0.5],
            "high": [3.0, 3.5, 1.5],
            "comparable": [True, True, False],
        }
    )
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


def test_a_survey_without_an_index_advises_nothing():
    """Its refusal stands for the standing, and the decision starts nothing."""
    none = satisfaction.own_standing(Refusal("sparse"), Refusal("sparse"), "A")
    assert none == Refusal("sparse")
    (do,) = whole(satisfaction.decision(none, Refusal("sparse"), Refusal("one wave")))
    assert do.startswith("Improve nothing")
    (do,) = whole(satisfaction.decision(none, ITEMS, Refusal("one wave")))
    assert "mprov" in do and ITEMS.table["item"].iloc[0] in do and ITEMS.shown


def test_the_key_figures_of_satisfaction():
    """The operator's own index, the ends of all, and what the first item could bring."""
    labels = [tile.label for result in (STANDING, ITEMS) for tile in result.tiles()]
    assert labels[0].startswith("Satisfaction points, ") and labels[-1].endswith("could bring")
    low, high = (tile.value.number for tile in case("satisfaction.satisfaction_index").tiles())
    assert low < high


BEHAVIOUR, REQUESTS, SHORTFALLS = map(
    case, ("voice.satisfaction_outcome", "voice.improvement_requests", "service.service_shortfalls")
)
MEND = service.standard_to_mend(SHORTFALLS)


def risk(estimate, low, high):
    """The link of satisfaction and churn with another estimate, in percentage points per 10 points more."""
    table = BEHAVIOUR.table.copy()
    at = table["quantity"] == "risk of churn"
    table.loc[at, ["estimate", "low", "high"]] = estimate, low, high
    return dataclasses.replace(BEHAVIOUR, table=table, warnings=())


def test_calls_are_advised_only_where_the_dissatisfied_leave_more_often():
    """Sentence and decision agree with the printed interval; a warning stops both."""
    rng, seen = np.random.default_rng(3), set()
    cases = [(-0.9, -1.4, -0.4), (0.9, 0.4, 1.4), (-0.5, -1.0, 0.0), (-0.5, -1.0, -0.04), (-0.5, -1.0, -0.06)]
    for estimate, low, high in cases + [tuple(np.sort(rng.normal(0, 1, 3))[[1, 0, 2]]) for _ in range(60)]:
        one = risk(estimate, low, high)
        lead = next(m for m in one.headline().parts if m)
        calls = whole(voice.decision(one, REQUESTS, MEND))[0]
        assert calls.startswith("Call back") == lead.startswith("The dissatisfied leave") == (round(high, 1) < 0), lead
        assert lead.startswith("The satisfied leave") == (round(low, 1) > 0)
        assert ("not significant" in lead) == (round(low, 1) <= 0 <= round(high, 1))
        assert calls.startswith("Call nobody") == (round(high, 1) >= 0)
        seen.add(lead[:14])
    assert len(seen) == 3
    warned = dataclasses.replace(risk(-0.9, -1.4, -0.4), warnings=(satisfaction.own.say("the score knew."),))
    assert warned.headline().parts[0].startswith("WARNING") and not warned.tiles()
    assert whole(voice.decision(warned, REQUESTS, MEND))[0].startswith("Do not act")


def test_the_first_request_is_named_alone_only_where_it_is_first():
    """Two whose intervals overlap are named together; a single one stands alone."""
    rows = REQUESTS.table.sort_values("share", ascending=False).reset_index(drop=True)
    assert len(rows) > 1
    for low, alone in ((rows["high"][1] + 0.1, True), (rows["high"][1] - 0.1, False)):
        table = rows.assign(low=[low, *rows["low"][1:]])
        said = whole(voice.decision(BEHAVIOUR, dataclasses.replace(REQUESTS, table=table), MEND))[1]
        assert ("is uncertain" not in said) == alone and str(rows["request"][0]) in said
    said = whole(voice.decision(BEHAVIOUR, dataclasses.replace(REQUESTS, table=rows.head(1)), MEND))[1]
    assert said.endswith(").") and " or " not in said


def mend(table):
    """What is advised on the standards with another table."""
    return service.standard_to_mend(dataclasses.replace(SHORTFALLS, table=table))


def test_a_standard_is_mended_only_where_its_interval_lies_above_the_goal():
    """Missed in more than 10 % of cases for sure, in less, in perhaps more, and without an interval."""
    starts = {"Mend": (20.0, 11.0, 30.0), "Leave": (5.0, 2.0, 9.0), "Count": (11.0, 8.0, 15.0)}
    for start, (missed, low, high) in starts.items():
        table = SHORTFALLS.table.assign(missed=missed, low=low, high=high)
        said = whole(voice.decision(BEHAVIOUR, REQUESTS, mend(table)))[2]
        assert said.startswith(start), said
    table = SHORTFALLS.table.assign(low=np.nan, high=np.nan)
    said = whole(voice.decision(BEHAVIOUR, REQUESTS, mend(table)))[2]
    assert said.startswith("Count") and "no interval" in said


def test_what_the_voice_report_cannot_answer_advises_nothing():
    """A thin province: three refusals, three sentences that start nothing."""
    said = whole(voice.decision(*[Refusal("sparse")] * 2, service.standard_to_mend(Refusal("sparse"))))
    assert [s.split()[1] for s in said] == ["nobody", "no", "no"]


def test_the_key_figures_of_the_voice_report():
    """Churn, the lowest first measure, the commonest request and the standard missed most often."""
    results = (risk(-0.9, -1.4, -0.4), case("voice.voice_scores"), REQUESTS, SHORTFALLS)
    tiles = [tile for result in results for tile in result.tiles()]
    assert tiles[0].value.said() == "+0.9" and tiles[0].interval.said() == "(0.4 to 1.4; 95% interval)"
    assert len(tiles) in (3, 4) and not any(BAD.search(tile.label) for tile in tiles)


QUALITY, PREDICTED, SAME, DIFFER = (
    case(f"plspm.{name}") for name in ("model_quality", "predict_pls", "measurement_invariance", "compare_groups")
)


def model(quality=QUALITY, predicted=PREDICTED, same=SAME, differ=DIFFER):
    """The decision on a path model, checked."""
    return whole(plspm.decision(quality, predicted, same, differ))


def test_a_model_is_used_only_if_its_sentence_says_so(monkeypatch):
    """Sound, with doubts, with pairs that may be one, fitting badly, and not converged."""
    for doubts, apart, error, start, advice in (
        ((), (3, 3), 0.05, "Rely on the model: ", "Set priorities by the model"),
        (("a", "b"), (3, 3), 0.05, "Rely on the model with care: 2 doubts", "Look at the 2 doubts"),
        (
            (),
            (2, 3),
            0.05,
            "Rely on the model with care: 0 doubts about its measures, and 1 of 3",
            "Set no priority between",
        ),
        ((), (3, 3), 0.09, "Rely on the model with care: its measures are sound", "Set no priority by a single path"),
    ):
        monkeypatch.setattr(
            type(QUALITY.bootstrap), "verdicts", tuple(satisfaction.own.say("{a}", a=d) for d in doubts)
        )
        monkeypatch.setattr(type(QUALITY), "distinct", apart)
        monkeypatch.setattr(type(QUALITY), "error", error)
        assert QUALITY.headline().parts[0].startswith(start)
        assert model()[0].startswith(advice)
    fit = dataclasses.replace(QUALITY.bootstrap.fit, converged=False)
    broken = dataclasses.replace(QUALITY, bootstrap=dataclasses.replace(QUALITY.bootstrap, fit=fit))
    assert broken.headline().parts[0].startswith("The model cannot be used")
    said = model(broken)
    assert said[0].startswith("Do not use the model") and said[2].startswith("Forecast no answers")


def test_answers_are_forecast_only_where_the_model_beats_their_mean():
    """By the test over all items; a refusal forecasts nothing."""
    for difference, p, forecasts in ((-0.2, 0.01, True), (-0.2, 0.2, False), (0.2, 0.01, False), (0.0, np.nan, False)):
        table = PREDICTED.table.assign(difference=difference, p=p)
        one = dataclasses.replace(
            PREDICTED, table=table, items=PREDICTED.items.assign(q2=0.2, rmse=1.0, rmse_linear=1.1)
        )
        assert model(predicted=one)[2].startswith("Forecast answers") == forecasts
        assert ("better than the items' means" in one.headline()) == forecasts
    assert model(predicted=Refusal("sparse"))[2].startswith("Forecast nothing")


def test_groups_are_compared_only_where_they_mean_the_same():
    """One model for all where no path differs, apart where one does, none where it cannot be told."""
    same = dataclasses.replace(SAME, permutations=10_000, table=SAME.table.assign(invariance="full", c_lowest=0.99))
    differ = dataclasses.replace(DIFFER, permutations=10_000, table=DIFFER.table.assign(p_holm=0.5))
    assert model(same=same, differ=differ)[1].startswith("Use one model")
    clear = dataclasses.replace(differ, table=DIFFER.table.assign(p_holm=0.01))
    assert model(same=same, differ=clear)[1].startswith("Fit the model apart") and clear.largest() in clear.headline()
    assert clear.largest().said().startswith("the effect of ") and "->" not in clear.headline().said()
    other = dataclasses.replace(same, table=same.table.assign(invariance="none"))
    assert model(same=other, differ=differ)[1].startswith("Compare only")
    weak = dataclasses.replace(same, table=same.table.assign(c_lowest=0.3))
    for one, two in ((weak, differ), (same, dataclasses.replace(differ, permutations=1)), (Refusal("one"), differ)):
        assert model(same=one, differ=two)[1].startswith("Compare no groups")


def test_the_key_figures_of_a_path_model():
    """Pairs told apart, questions predicted, the strongest effect and paths that differ."""
    tiles = [t for result in (QUALITY, PREDICTED, case("plspm.consistent_pls"), DIFFER) for t in result.tiles()]
    assert len(tiles) >= 3 and not any(BAD.search(tile.label) for tile in tiles)
    assert not dataclasses.replace(DIFFER, permutations=1).tiles()
