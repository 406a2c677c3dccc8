"""Money and the verdict: by hand, the five verdicts, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.messages import Number
from workbench.reports.page.tables import withheld
from workbench.result import Refusal, ask
from workbench.studies.uplift import check_campaign, describe_targets, targeting

HOW = {"score": "s", "outcome": "y", "treatment": "t"}
MONEY = {"margin": 0.5, "contact_cost": 1.0, "resamples": 300}


def campaign(effect, members: int = 4_000, seed: int = 0) -> pd.DataFrame:
    """A campaign where contact brings `effect(s)` to a member with score s in 0-1, and a tenth redeems."""
    rng = np.random.default_rng(seed)
    s, t = rng.random(members), rng.permutation(np.arange(members) % 2)
    y = 10 + t * effect(s) + 3 * rng.normal(size=members)
    return pd.DataFrame({"s": s, "t": t, "y": y, "redeemed": (rng.random(members) < 0.1 * t).astype(int)})


def test_net_by_hand():
    """Upper half: 0.5 (6 - 2) - 1 = 1 each; a redeemer in two costs 0.4 more; everybody: 0.5 x 2 - 1 - 0.2."""
    table = pd.DataFrame({"s": [2] * 4 + [1] * 4, "t": [1, 1, 0, 0] * 2, "y": [5, 7, 1, 3, 2, 2, 2, 2.0]})
    table["redeemed"] = [1, 0, 0, 0, 0, 1, 0, 0]
    found = targeting(table, incentive_cost=0.4, response="redeemed", **MONEY, **HOW)
    assert found.curve["share"].tolist() == [0, 0.5, 1]
    assert found.curve["net"].tolist() == pytest.approx([0, 0.5 * (2 - 1 - 0.2), 0.5 * 2 - 1 - 0.2])
    assert found.everybody.estimate == pytest.approx(-0.2)
    assert found.break_even == pytest.approx((1 + 0.2) / 0.5)
    assert found.verdict == "not answerable" and "fewer than 100" in found.headline()
    assert list(found.quantities()) == []


@pytest.mark.parametrize(
    ("effect", "verdict"),
    [
        (lambda s: 8 * (s > 0.5), "works and targetable"),
        (lambda s: 6 + 0 * s, "works, contact everybody"),
        (lambda s: 2 + 0 * s, "no evidence"),
        (lambda s: 0 * s, "harms"),
    ],
)
def test_verdicts(effect, verdict):
    """Each kind of campaign gets its verdict, and the words carry the money."""
    found = targeting(campaign(effect), campaign="spring", **MONEY, **HOW)
    assert found.verdict == verdict
    assert "yuan per customer (" in found.headline()
    assert next(iter(found.quantities())).name == "best_share[campaign=spring]"


def test_targets_are_named_where_targeting_pays():
    """The list holds the best share, best first, a tenth held out; where the verdict is another it is a refusal."""
    table = campaign(lambda s: 8 * (s > 0.5)).assign(id=lambda d: [f"m{i}" for i in range(len(d))])
    asked = {"score": "s", "member": "id", "holdout": 0.1, "key": "k" * 16}
    found = targeting(table, campaign="spring", **MONEY, **HOW)
    listed = found.next_list(table, **asked)
    assert len(listed) == pytest.approx(found.target_share() * len(table), abs=1)
    assert listed["s"].is_monotonic_decreasing and listed["s"].min() > 1 - found.best_share - 0.05
    assert (listed["arm"] == "control").mean() == pytest.approx(0.1, abs=0.001)
    assert found.three_numbers().frame["value"].tolist() == [found.net, found.advantage.estimate, found.break_even]
    money = found.summary().set_index("estimate of")["value"]
    best, lead = money["net of contacting the best share"], money["best share more than everybody"]
    assert money["net of contacting everybody, on the members judged"] == pytest.approx(best - lead)
    assert [t.value for t in found.tiles()] == [Number(v, "+,.2f") for v in (found.net, found.advantage.estimate)]
    assert found.three_numbers().frame["unit"].iloc[-1] == "y per member"
    assert found.three_numbers("yuan").frame["unit"].tolist() == ["yuan per customer"] * 2 + ["yuan per member"]
    none = targeting(campaign(lambda s: 0 * s), campaign="spring", **MONEY, **HOW)
    with pytest.raises(CannotAnswer, match="as the verdict is 'harms'"):
        none.next_list(table, **asked)


def test_nothing_is_shown_of_arms_that_differ():
    """What rests on the difference of arms that were not alike before is refused, and stands so wherever shown."""
    table = campaign(lambda s: 8 * (s > 0.5)).assign(age=lambda d: d["t"] + d["s"])
    checks = check_campaign(table, treatment="t", covariates=["age"])
    shown = ask(checks.allow, targeting(table, checks=checks, **MONEY, **HOW))
    assert shown == shown.as_table() == shown.as_picture() == Refusal(checks.headline())
    fair = check_campaign(table, treatment="t", covariates=["s"])
    assert fair.allow(table) is table


def test_the_best_share_is_found():
    """Where half of the list reacts, the interval of the best share holds one half and is short."""
    found = targeting(campaign(lambda s: 8 * (s > 0.5)), **MONEY, **HOW)
    assert found.best_share_low <= 0.5 <= found.best_share_high < 0.75
    assert found.net_low < 0.5 * (0.5 * 8 - 1) < found.net_high


def test_fixed_cost_is_spread_over_the_list():
    """A fixed cost lowers every net but that of contacting nobody by its share."""
    table = campaign(lambda s: 8 * (s > 0.5))
    plain, charged = targeting(table, **MONEY, **HOW), targeting(table, fixed_cost=400, **MONEY, **HOW)
    assert (plain.curve["net"] - charged.curve["net"]).tolist() == pytest.approx([0] + [0.1] * (len(plain.curve) - 1))
    assert plain.net - charged.net == pytest.approx(0.1)


def test_adjusting_keeps_the_answer_and_narrows_it():
    """With a covariate that explains most of the outcome, net and curve stay within their errors, in narrower bands."""
    table = campaign(lambda s: 8 * (s > 0.5), 3_000)
    table["habit"] = table["y"] - table["t"] * 8 * (table["s"] > 0.5)
    plain, found = targeting(table, **MONEY, **HOW), targeting(table, adjust=["habit"], **MONEY, **HOW)
    assert found.curve["share"].equals(plain.curve["share"])
    assert found.net_high - found.net_low < 0.7 * (plain.net_high - plain.net_low)
    assert found.net_low < 1.5 < found.net_high
    width, narrow = ((t.curve["high"] - t.curve["low"]).iloc[50] for t in (plain, found))
    assert narrow < 0.8 * width and abs(found.curve["net"].iloc[50] - plain.curve["net"].iloc[50]) < width / 2
    shuffled = targeting(table.sample(frac=1, random_state=1), adjust=["habit"], **MONEY, **HOW)
    assert shuffled.net == pytest.approx(found.net)


def test_row_order_changes_nothing():
    """A shuffled file gives the same money and the same share."""
    table = campaign(lambda s: 4 * s)
    one, other = (targeting(t, **MONEY, **HOW) for t in (table, table.sample(frac=1, random_state=1)))
    assert (one.net, one.net_low, one.best_share) == pytest.approx((other.net, other.net_low, other.best_share))


def test_arms_that_differ_are_not_answerable():
    """By the checks, or by the score itself, a selected campaign gets no verdict on its money."""
    table = campaign(lambda s: 8 * s)
    table["t"] = (table["s"] + np.random.default_rng(0).random(len(table)) > 1).astype(int)
    assert "differ in the score" in targeting(table, **MONEY, **HOW).headline()
    checks = check_campaign(table, treatment="t", covariates=["s"])
    assert targeting(table, checks=checks, **MONEY, **HOW).reasons[0] == checks.reasons[0]


def test_an_implausible_cost_is_flagged():
    """A contact that costs more than a customer's whole margin is pointed out."""
    found = targeting(campaign(lambda s: 4 * s), **HOW, margin=0.5, contact_cost=50, resamples=100)
    assert any("check the costs" in reason for reason in found.reasons)


def test_targets_in_words():
    """The tree says who they are: a town and a bound, with counts, and everybody where all are contacted."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"bill": rng.uniform(0, 100, 3_000), "town": rng.choice(["A", "B"], 3_000)})
    table["s"] = ((table["town"] == "A") & (table["bill"] > 50)) + 0.01 * rng.random(3_000)
    found = describe_targets(table, score="s", features=["bill", "town"], share=0.25)
    assert "bill over" in found.groups["who"][0] and "town is A" in found.groups["who"][0]
    assert found.groups["members"].sum() == 3_000
    assert found.groups["targets"].sum() == pytest.approx(750, abs=1)
    assert "above all: bill over" in found.headline()
    assert describe_targets(table, score="s", features=["bill"], share=1).groups["who"].tolist() == ["everybody"]


def test_targets_of_a_kind_are_told_from_ten_on():
    """7 targets among 300 members are no cell to show, and not those whom the headline is about."""
    table = pd.DataFrame({"town": ["A"] * 300 + ["B"] * 300, "s": [0.0] * 600})
    for many, told in ((7, False), (40, True)):
        table["s"] = np.r_[np.arange(300) < many, np.zeros(300)] + 0.0
        found = describe_targets(table, score="s", features=["town"], share=many / 600)
        table_of = found.as_table()
        hidden = withheld(table_of.frame, table_of.counts, 10, table_of.totals)
        assert (0 not in hidden, "above all: town is A" in found.headline()) == (told, told)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"margin": 0}, "margin is 0"),
        ({"margin": 30}, "margin is 30"),
        ({"contact_cost": -1}, "contact_cost is -1"),
        ({"incentive_cost": 5}, "name the 0/1 column"),
    ],
)
def test_refusals(change, words):
    """Margins that are no shares, negative costs and incentives without redeemers are refused."""
    with pytest.raises(WorkbenchError, match=words):
        targeting(campaign(lambda s: s, 400), **(MONEY | change), **HOW)


def test_picture():
    """The curve has money and share on its axes and the best share as a label."""
    found = targeting(campaign(lambda s: 8 * (s > 0.5)), **MONEY, **HOW)
    assert found.lost[0] == pytest.approx(4_000 * found.advantage.estimate)
    whole = targeting(campaign(lambda s: 8 * (s > 0.5)), customers=5_000, fixed_cost=500, **MONEY, **HOW)
    assert whole.lost == pytest.approx([5_000 / 4_000 * end for end in found.lost])
    assert whole.everybody.estimate == pytest.approx(found.everybody.estimate - 0.1)
    ax = found.plot()
    assert "yuan" in ax.get_ylabel() and "may be" in ax.texts[-1].get_text()
