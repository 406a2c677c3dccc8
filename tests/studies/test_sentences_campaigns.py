"""What a campaign's sentences claim is what their own numbers show, at the digits that are printed."""

import re
from typing import get_args

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.catalogue import catalogue
from workbench.messages import Message
from workbench.methods.experiment.design import plan_campaign
from workbench.methods.experiment.effect import AverageEffect, Interval
from workbench.result import Decision
from workbench.studies.campaign_effect.arms import ArmEffects
from workbench.studies.campaign_effect.delivery import ComplierEffect
from workbench.studies.campaign_effect.lasting import Fatigue, Staying
from workbench.studies.campaign_effect.windows import EffectWindows
from workbench.studies.campaign_planning.ledger import CampaignLedger
from workbench.studies.campaign_planning.monitor import Decision as Running
from workbench.studies.campaign_planning.monitor import Monitoring, _decisions
from workbench.studies.observational.did import DidEffect
from workbench.studies.observational.sensitivity import Sensitivity
from workbench.studies.observational.treated import TreatedEffect
from workbench.studies.uplift.curves import UpliftCurve
from workbench.studies.uplift.groups import EffectGroups
from workbench.studies.uplift.targeting import Targeting
from workbench.studies.uplift.verdict import Verdict, verdict_of
from workbench.words import direction

NUMBER = st.floats(-300, 300).map(lambda x: float(f"{x:.3g}")) | st.floats(-1, 1) | st.floats(-0.005, 0.005)
UNKNOWN = Interval(1.0, np.nan, np.nan)
PAST = pd.DataFrame({"y": np.random.default_rng(0).gamma(2.0, 2.0, 400)})
WANTED = {"expected_effect": 1.0, "margin": 0.5, "contact_cost": 0.2, "currency": "yuan", "unit": "yuan"}
PLANS = [plan_campaign(PAST, outcome="y", members=members, **WANTED) for members in (300, 4_000)]


@st.composite
def intervals(draw) -> Interval:
    """An estimate inside its interval, now and then without ends."""
    if draw(st.integers(0, 9)) == 0:
        return UNKNOWN
    low, middle, high = sorted(draw(st.tuples(NUMBER, NUMBER, NUMBER)))
    return Interval(middle, low, high)


def printed(sentence: str) -> list[tuple[float, float]]:
    """Every interval of a sentence, as a reader sees it."""
    ends = re.findall(r"\((−?[\d,.]+) to (−?[\d,.]+)\)", sentence)
    return [tuple(float(end.replace("−", "-").replace(",", "")) for end in pair) for pair in ends]


def clean(sentence: str) -> str:
    """The sentence, which holds no NaN, no empty value and no zero below 0; in Chinese no English."""
    assert not re.search(r"\bnan\b|\binf\b|None|\{|−0(\.0+)?(?![\d.])", sentence), sentence
    chinese = re.sub(r"\d buyers", "", sentence.said("zh")) if isinstance(sentence, Message) else ""
    assert not re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}", chinese), chinese
    return sentence


def beside_0(sentence: str, first: int = 0) -> bool:
    """Whether the printed interval of that place leaves 0 out."""
    low, high = printed(sentence)[first]
    return low > 0 or high < 0


@settings(max_examples=80, deadline=None)
@given(found=intervals(), binary=st.booleans())
def test_a_curve_claims_what_its_excess_shows(found, binary):
    """ "Finds who reacts" above 0, "the wrong way round" below, "No evidence" where the printed interval holds 0."""
    points = pd.DataFrame({"share": [0, 1.0], "gain": [0, 1.0], "low": [0, np.nan], "high": [0, np.nan]})
    doubts = ("3 buyers",) if np.isnan(found.low) else ()
    ends = (found.estimate, 1.0, found.low, found.high)
    text = clean(UpliftCurve(points, *ends, 10, 0.95, "y", binary, doubts=doubts).headline())
    silent = doubts or found.low == found.high  # one score for all ranks nobody
    assert text.startswith("Not answerable") if silent else text.startswith("No evidence") != beside_0(text)


@settings(max_examples=80, deadline=None)
@given(first=intervals(), last=intervals(), slope=intervals(), binary=st.booleans())
def test_groups_claim_what_they_show(first, last, slope, binary):
    """Harm of the last group and real differences are said where the printed intervals leave 0 out, and only there."""
    rows = [(k, 50, 0.1, x.estimate, 1.0, x.low, x.high) for k, x in ((1, first), (2, last))]
    table = pd.DataFrame(rows, columns=["group", "members", "predicted", "effect", "se", "low", "high"])
    found = EffectGroups(table, slope.estimate, slope.low, slope.high, 0.95, "y", binary, p_value=0.02)
    dogs, text = clean(found.sleeping_dogs()), clean(found.headline())
    if np.isnan(last.low):
        assert "cannot be told" in dogs
    else:
        assert dogs.startswith("Contact lowers") == (printed(dogs)[-1][1] < 0)
    if "slope" in text:
        assert ("are real" in text) == (printed(text)[-1][0] > 0)


@settings(max_examples=300, deadline=None)
@given(chosen=intervals(), everybody=intervals(), advantage=intervals())
def test_verdicts_follow_from_the_intervals_beside_them(chosen, everybody, advantage):
    """No "no evidence" beside a printed interval above 0, and no success without one; what is not known is said."""
    if np.isnan(everybody.low):
        return
    verdict, reasons = verdict_of([], chosen, everybody, advantage, "8 buyers", 0.3, "yuan")
    said = clean(f"{verdict}: {'; '.join(reasons)}")
    nets = {part.split(" nets ")[0]: printed(part)[0] for part in reasons if " nets " in part}
    for part in reasons:
        if part.startswith("no evidence"):
            assert "8 buyers" in part or not printed(part)[0][0] > 0, said
    whole, best = nets.get("contacting everybody"), nets.get("contacting the best 30%")
    if verdict in ("no evidence", "harms"):
        assert not whole[0] > 0 and (best is None or not best[0] > 0), said
    if verdict == "harms":
        assert whole[1] < 0
    if verdict in ("works and targetable", "works, contact the best share"):
        assert best[0] > 0, said
    if verdict == "works, contact everybody":
        assert whole[0] > 0, said
    if verdict == "works and targetable":
        assert printed(reasons[1])[0][0] > 0
    elif np.isnan(advantage.low) and verdict != "harms":
        assert "beats contacting everybody: 8 buyers" in said


@settings(max_examples=300, deadline=None)
@given(chosen=intervals(), everybody=intervals(), advantage=intervals(), doubtful=st.integers(0, 9))
def test_whom_to_contact_follows_from_what_is_shown_to_pay(chosen, everybody, advantage, doubtful):
    """ "Contact" stands only beside a net above 0 as printed, of the best where not of everybody; the lead agrees."""
    if np.isnan(everybody.low):
        return
    doubts = [] if doubtful else [Message("x")]
    verdict, reasons = verdict_of(doubts, chosen, everybody, advantage, Message("x"), 0.3, "yuan")
    points = pd.DataFrame({"share": [0, 1.0], "net": [0, 1.0], "low": 0.0, "high": 0.0, "spend": [0, 1.0]})
    money = (chosen.estimate, chosen.low, chosen.high, everybody, advantage, 2.0)
    found = Targeting(points, 0.3, 0.1, 1.0, *money, verdict, reasons, 100, 0.95, "revenue")
    first, lead = advised(found.decision()), clean(found.headline()).parts or (found.headline(),)
    assert len(lead[0].split()) <= 30
    everyone, best = direction(everybody.low, everybody.high) > 0, direction(chosen.low, chosen.high) > 0
    if first.startswith("Contact everybody"):
        assert everyone and lead[0].startswith("Contact pays, and for everybody")
    elif ADVICE.search(first) and not first.startswith("Contact nobody"):
        assert best and re.match("Choosing whom|Contact pays, but only", lead[0])
    else:
        assert doubts or not (everyone or best)
    for tile in found.tiles():
        assert np.isfinite([tile.interval.low, tile.interval.high]).all()


@settings(max_examples=80, deadline=None)
@given(first=intervals(), last=intervals(), p=st.floats(1e-9, 1))
def test_windows_say_what_was_tested(first, last, p):
    """A window without an interval is said to have too few outcomes; "brought forward" beside a p below 0.05 only."""
    rows = [(day, x.estimate, 1.0, x.low, x.high) for day, x in ((30, first), (60, last))]
    table = pd.DataFrame(rows, columns=["days", "effect", "se", "low", "high"])
    guards = pd.DataFrame({"guard": ["calls"], "verdict": ["cannot be told"]})
    shown = float(f"{p:.2g}") < 0.05
    text = clean(EffectWindows(table, shown, p, guards, 0.95, 9, 9).headline())
    assert ("only brought forward" in text) == (float(re.search(r"p = ([\d.e-]+)\)", text)[1]) < 0.05)
    assert text.count("too few outcomes") == sum(np.isnan(x.low) for x in (first, last))


@settings(max_examples=80, deadline=None)
@given(kept=intervals(), gained=intervals(), trend=intervals())
def test_staying_and_fatigue_claim_what_they_show(kept, gained, trend):
    """ "Not significant" and "does not change the effect" where the printed interval holds 0, and only there."""
    if not np.isnan(kept.low) and not np.isnan(gained.low):
        text = clean(Staying(pd.DataFrame(), kept, gained, 90, 0.95).headline())
        assert ("not significant" in text) != beside_0(text)
    few = np.isnan(trend.low)
    said = clean(Fatigue(pd.DataFrame(), trend, not few, "3 buyers" if few else "", "y", 0.95).headline())
    assert said.startswith("Not answerable") if few else ("does not change" in said) != beside_0(said)


@settings(max_examples=80, deadline=None)
@given(found=intervals(), binary=st.booleans())
def test_a_delivered_contact_claims_what_it_shows(found, binary):
    """ "Raised" and "lowered" follow the printed interval; without bounds the question is not answerable."""
    effect = AverageEffect(
        1.0, 1.0, 0.5, 1.5, 1.0, 1.0, UNKNOWN, 9, 9, 0.01, 16.0, 1.0, "difference", 0.95, "y", binary
    )
    ends = (found.low, found.high) if not np.isnan(found.low) else (-np.inf, np.inf)
    result = ComplierEffect(found.estimate, 1.0, *ends, False, np.nan, np.nan, effect, effect, 50.0, True, 0.95, 1.0)
    text = clean(result.headline())
    if np.isnan(found.low):
        assert text.startswith("Not answerable")
    else:
        low, high = printed(text)[0]
        assert ("raised" in text, "lowered" in text) == (low > 0, high < 0)


@settings(max_examples=80, deadline=None)
@given(drift=intervals(), low=NUMBER, high=NUMBER)
def test_ledger_and_monitor_claim_what_they_show(drift, low, high):
    """A drift "is changing", and a campaign "may stop", beside a printed interval that leaves 0 out, and only there."""
    if not np.isnan(drift.low):
        row = {"campaign": "a", "effect": 1.0, "shrunken": 0.5, "low": 0.1, "high": 0.9, "q": 0.2}
        ledger = CampaignLedger(pd.DataFrame([row]), UNKNOWN, UNKNOWN, drift, 0.95, set_aside={"b": "3 buyers"})
        text = clean(ledger.headline())
        assert ("is changing" in text) == beside_0(text, 1) and "Set aside: 'b' (for instance b: 3 buyers)." in text
    low, high = min(low, high), max(low, high)
    days = pd.DataFrame(
        {"day": [pd.Timestamp("2026-01-01")], "treated": 60, "control": 60, "estimate": (low + high) / 2}
    )
    days = days.assign(low=low, high=high)
    decision = _decisions(days, 0.0)[0]
    said = clean(Monitoring(days, decision, None, 0, "y", 0.95).headline())
    assert said.startswith("Go on") != beside_0(said)


def test_each_verdict_has_a_chinese_word():
    """A verdict is a term: its entry is found by its value, so no template asks for it."""
    of_guards = {"cannot be told", "worse, but within the margin", "harm", "no worse than the margin", "not shown"}
    assert {*get_args(Verdict), *get_args(Running), *of_guards, "treated", "control"} <= catalogue("zh").keys()


def test_targeting_that_is_not_known_prints_no_ends():
    """Neither sentence nor named numbers hold an unknown end."""
    curve = pd.DataFrame(
        {"share": [0, 1.0], "net": [0, 1.0], "low": [0, np.nan], "high": [0, np.nan], "spend": [0, 1.0]}
    )
    verdict, reasons = verdict_of([], UNKNOWN, Interval(1, 0.5, 1.5), UNKNOWN, "8 buyers", 0.3, "yuan")
    found = Targeting(
        curve, 0.3, 0.1, 1.0, 1.0, np.nan, np.nan, Interval(1, 0.5, 1.5), UNKNOWN, 2.0, verdict, reasons, 100, 0.95, "y"
    )
    clean(found.headline())
    assert [q.name for q in found.quantities()] == ["best_share", "break_even", "net_everybody"]


ADVICE = re.compile(r"^(Keep|Repeat '|Contact)")


def advised(decision: Decision) -> str:
    """The first sentence of a decision, all of which hold no gap."""
    assert 2 <= len(decision.said()) <= 4
    for sentence in decision.said():
        clean(sentence)
        assert len(sentence.split()) <= 30, sentence
    return decision.do[0]


def arms_and_guards(found: Interval, p: float, verdict: str, doubts: tuple = ()) -> tuple[ArmEffects, EffectWindows]:
    """Two arms of which the first has this effect, and windows with one guard of this verdict."""
    columns = ["arm", "against", "estimate", "low_joint", "high_joint", "p_holm"]
    rows = [("call", "control", found.estimate, found.low, found.high, p), ("sms", "control", -400.0, -401, -399, 1.0)]
    pair = ("call", "sms", 1.0, 0.5, 2.0, 0.01)
    days = pd.DataFrame([(30, 1.0, 1.0, 0.5, 1.5)], columns=["days", "effect", "se", "low", "high"])
    guards = pd.DataFrame({"guard": ["opted_out"], "verdict": [verdict], "effect": 0.02, "lower": 0.01, "upper": 0.03})
    effects = pd.DataFrame([*rows, pair], columns=columns)
    return (
        ArmEffects(effects, "control", 0.95, "revenue_90", False, "yuan"),
        EffectWindows(days, False, 1.0, guards.assign(margin=0.01), 0.95, 9, 9, "yuan", doubts=doubts),
    )


GUARDED = ("cannot be told", "worse, but within the margin", "harm", "no worse than the margin", "not shown")


@settings(max_examples=150, deadline=None)
@given(found=intervals(), p=st.floats(0, 0.2), verdict=st.sampled_from(GUARDED), least=st.sampled_from([0, 5.0]))
def test_an_arm_is_kept_only_where_it_pays_and_harms_nobody(found, p, verdict, least):
    """Never where the interval reaches the break-even as printed, a guard broke, or the headline has no evidence."""
    arms, windows = arms_and_guards(found, p, verdict)
    if np.isnan(found.low):
        return
    first = advised(arms.decision(windows, "call", break_even=least))
    pays = direction(found.low - least, found.high - least) > 0 and p < 0.05
    assert bool(ADVICE.search(first)) == (pays and verdict != "harm"), first
    if pays and verdict != "harm":
        assert found.low > least and not arms.headline().startswith("No evidence")
        assert first.startswith("Keep") == (verdict in GUARDED[1:4:2])
    assert first.startswith("Do not repeat") == (verdict == "harm")


def test_a_campaign_that_answers_nothing_decides_nothing():
    """A doubt about the arms is what the decision says."""
    arms, windows = arms_and_guards(Interval(5, 4, 6), 0.01, "harm", (Message("x"),))
    assert advised(arms.decision(windows)).startswith("Decide nothing on this campaign")


@settings(max_examples=150, deadline=None)
@given(found=intervals(), q=st.floats(0, 0.1), least=st.sampled_from([0.0, 4.0]), shown=st.booleans())
def test_a_campaign_is_repeated_only_where_it_paid_and_will_pay(found, q, least, shown):
    """Never beside a printed interval that reaches the break-even, or a headline that has no campaign that paid."""
    if np.isnan(found.low):
        return
    row = {"campaign": "春季", "effect": 9.0, "shrunken": found.estimate, "low": found.low, "high": found.high}
    campaigns = pd.DataFrame([row | {"q": q, "break_even": least}])
    ledger = CampaignLedger(campaigns, Interval(1.0, 0.5, 2.0), UNKNOWN, None, 0.95, "yuan")
    plan = PLANS[shown]
    first = advised(ledger.decision(plan))
    lead = clean(ledger.headline()).parts[0]
    assert first.startswith("Repeat 春季") == (q <= 0.05 and direction(found.low - least, found.high - least) > 0)
    assert first.startswith("Repeat no campaign") == lead.startswith("No evidence") == (q > 0.05)
    assert ("Hold out" in ledger.decision(plan).do[-1]) == (not np.isnan(plan.recommended)) == bool(plan.tiles())


def printed_side(found: Interval, least: float = 0.0) -> int:
    """On which side of `least` the interval lies."""
    return direction(found.low - least, found.high - least)


@settings(max_examples=150, deadline=None)
@given(found=intervals(), doubtful=st.integers(0, 9), per=st.sampled_from(["", "customer and month"]))
def test_a_rollout_is_extended_only_where_it_raised_the_outcome(found, doubtful, per):
    """ "Extend" stands beside an interval above 0 as printed; the lead says the same; a doubt decides nothing."""
    if np.isnan(found.low):
        return
    periods = pd.DataFrame({"period": [-1, 0, 1], "estimate": found.estimate, "low": found.low, "high": found.high})
    doubts = () if doubtful else (Message("x"),)
    ends = (found.estimate, 1.0, found.low, found.high, 0.5, periods, pd.DataFrame({"units": [8]}), np.nan, 8, 23)
    effect = DidEffect(*ends, "randomisation", 0.95, "revenue", "yuan", "", doubts, {}, per)
    first, lead = advised(effect.decision()), clean(effect.headline()).parts[0]
    side = printed_side(found)
    if doubts:
        assert first.startswith("Decide nothing") and lead.startswith("Not answerable") and not effect.tiles()
        return
    assert first.startswith("Extend the rollout only") == (side > 0) == ("raised" in lead)
    assert lead.startswith("No evidence") == (side == 0) == ("on this evidence" in first)


@settings(max_examples=150, deadline=None)
@given(found=intervals(), doubtful=st.integers(0, 9), least=st.sampled_from([0.0, 0.05]), binary=st.booleans())
def test_a_contact_goes_on_only_where_it_is_shown_to_pay(found, doubtful, least, binary):
    """ "Go on" stands beside an interval above the break-even as printed; a doubt decides nothing."""
    if np.isnan(found.low):
        return
    doubts = () if doubtful else (Message("x"),)
    hidden = Sensitivity(found.estimate, 1.0, 0.2, 0.1, 2.0, 1.5, 1.5, 1.2, pd.DataFrame(), 1.0, "revenue")
    sizes = (1.0, 1.0, UNKNOWN, 900, 900, 0.98, "", pd.Series(dtype=bool), 400.0, pd.DataFrame(), pd.DataFrame())
    ends = (found.estimate, 1.0, found.low, found.high, 0.5)
    effect = TreatedEffect(*ends, *sizes, hidden, 0.95, "revenue", binary, "" if binary else "yuan", "", doubts)
    first, lead = advised(effect.decision(break_even=least)), clean(effect.headline()).parts[0]
    if doubts:
        assert first.startswith("Decide nothing") and lead.startswith("Not answerable") and not effect.tiles()
        return
    scaled = Interval(*(100 * end if binary else end for end in (found.estimate, found.low, found.high)))
    pays = printed_side(scaled, 100 * least if binary else least)
    assert first.startswith("Go on") == (pays > 0)
    unknown = clean(" ".join(effect.decision().do))  # no cost is known: none is given away as 0
    assert "pays from" not in unknown and "as far as" not in unknown
    assert ("Go on with this contact only if" in unknown) == (printed_side(scaled) > 0)
    assert lead.startswith("No evidence") == (printed_side(scaled) == 0)
    assert not ("lowered" in lead and pays > 0)
    assert all(len(tile.label.split()) <= 12 for tile in effect.tiles())
