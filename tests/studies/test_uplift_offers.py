"""Several offers: what each would change, who gets which under the limits, and what the choice earns."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.experiment.learners import Trees
from workbench.studies.uplift.allocation import allocate_offers
from workbench.studies.uplift.offers import predict_offers, value_offers

COSTS = {"call": 0.9, "sms": 0.4}
HOW = {"outcome": "y", "arm": "arm", "costs": COSTS, "margin": 0.5}
FEW = Trees(rounds=20, rate=0.15)
LIMITS = {"budget": 700.0, "capacity": {"call": 500}}


def campaign(members: int, seed: int, *, alike: bool = False) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Arms of 40, 30 and 30%; a call brings 3 u, a message 3 v (or 1.5 each); effects as somebody guessed them."""
    rng = np.random.default_rng(seed)
    x = rng.random((members, 2))
    arm = rng.permutation(np.repeat(np.arange(3), np.round(np.array([0.4, 0.3, 0.3]) * members).astype(int)))
    tau = np.full((members, 2), 1.5) if alike else 3 * x
    buys = rng.random(members) < 0.3
    change = np.column_stack([np.zeros(members), tau])[np.arange(members), arm]
    table = pd.DataFrame(x, columns=["u", "v"]).assign(arm=np.array(["control", "call", "sms"])[arm])
    table["y"] = buys * (rng.gamma(2, 2, members) + change / 0.3)
    return table, pd.DataFrame(3 * x + rng.normal(0, 0.5, x.shape), columns=["call", "sms"]), tau


def test_offers_by_hand():
    """Two calls only: they go where a call adds most over a message; one more place earns the next such difference."""
    effects = pd.DataFrame({"call": [9.0, 8, 7, 1], "sms": [8.0, 2, 3, 0]}, index=list("abcd"))
    found = allocate_offers(effects, costs={"call": 1, "sms": 0.5}, margin=1.0, capacity={"call": 2})
    assert found.choice.to_dict() == {"a": "sms", "b": "call", "c": "call", "d": "no contact"}
    assert found.net == pytest.approx(7.5 + 7 + 6) and found.bound == pytest.approx(found.net)
    assert 0.5 - 1e-6 <= found.limits["price"][0] <= 3.5 + 1e-6
    assert "one more place for call earns" in found.headline()
    assert len(found.summary()) == 2
    with pytest.raises(CannotAnswer, match="has no picture"):
        found.plot()


def test_allocation_is_within_one_member_of_the_optimum():
    """In 25 small cases: within limits, never above the integer optimum, below it by less than the best single net."""
    rng, costs = np.random.default_rng(0), np.array([0.1, 0.5, 1.3])
    for case in range(25):
        n = int(rng.integers(4, 40))
        effects = pd.DataFrame(rng.normal(1, 2, (n, 3)).round(case % 3), columns=list("abc"))
        limits = {"budget": rng.uniform(0, 0.6 * n), "capacity": {"text": n // 3, "c": n // 4}}
        given = {"costs": dict(zip("abc", costs, strict=True)), "margin": 1.0, "channels": {"a": "text", "b": "text"}}
        found = allocate_offers(effects, **given, **limits)
        assert (found.limits["used"] <= found.limits["allowed"] + 1e-9).all()
        worth = effects.to_numpy() - costs
        rows = [np.tile(costs, n), np.tile([1, 1, 0], n), np.tile([0, 0, 1], n), *np.kron(np.eye(n), np.ones(3))]
        allowed = [limits["budget"], n // 3, n // 4, *np.ones(n)]
        best = -milp(
            -worth.ravel(),
            constraints=LinearConstraint(np.array(rows), -np.inf, allowed),
            integrality=np.ones(3 * n),
            bounds=Bounds(0, 1),
        ).fun
        assert best - max(worth.max(), 0) - 1e-9 <= found.net <= best + 1e-9 <= found.bound + 2e-9
        shuffled = allocate_offers(effects.sample(frac=1, random_state=case), **given, **limits)
        assert shuffled.choice.reindex(effects.index).equals(found.choice)


def test_without_limits_each_gets_the_best():
    """No budget and no capacity: the highest net where it is above 0; members alike share a budget by their labels."""
    effects = pd.DataFrame({"a": [3.0, 1, 0.2], "b": [2.0, 2, 0.1]})
    free = allocate_offers(effects, costs={"a": 0.5, "b": 0.5}, margin=1.0)
    assert free.choice.tolist() == ["a", "b", "no contact"] and free.limits.empty
    alike = pd.DataFrame({"a": np.ones(1_000)})
    tight = allocate_offers(alike, costs={"a": 0.25}, margin=0.5, budget=100)
    assert tight.offers["members"].tolist() == [400] and tight.limits["price"][0] == pytest.approx(1.0)


def test_rounding_does_not_keep_the_last_place_open():
    """Budgets that a sum of decimal costs meets to the last digit are used up, and the allocation ends."""
    rng = np.random.default_rng(2)
    for budget in (0.7 * 3, 0.4 * 7, 0.1 * 333, 140.0):
        effects = pd.DataFrame(rng.normal(1.5, 1, (600, 2)), columns=["call", "sms"])
        found = allocate_offers(effects, costs=COSTS, margin=0.5, budget=budget, capacity={"call": 100})
        assert found.offers["spend"].sum() <= budget + 1e-6


def test_models_find_each_offer_and_the_value_is_judged():
    """Predictions follow the true effects of their own offer; choosing beats one offer for all; rows have no order."""
    table, _, tau = campaign(6_000, 0)
    effects = predict_offers(table, outcome="y", arm="arm", features=["u", "v"], trees=FEW)
    for j, offer in enumerate(effects):
        assert np.corrcoef(effects[offer], tau[:, j])[0, 1] > 0.7
    nobody = table.replace({"arm": {"control": "nobody"}})
    same = predict_offers(nobody, outcome="y", arm="arm", features=["u", "v"], trees=FEW, control="nobody")
    assert np.isclose(same, effects).mean() > 0.99  # few ties are dealt into other folds
    found = value_offers(table, features=["u", "v"], **HOW, budget=1_500, capacity={"call": 1_000}, trees=FEW)
    assert found.net.low > 0 and found.advantage.low > 0 and "more than" in found.headline()
    again = value_offers(
        table.sample(frac=1, random_state=1),
        features=["u", "v"],
        **HOW,
        budget=1_500,
        capacity={"call": 1_000},
        trees=FEW,
    )
    assert again.net == found.net and again.choice.sort_index().equals(found.choice.sort_index())
    assert [q.name for q in found.quantities()] == ["net_offers", "advantage_offers"]
    assert found.plot().get_xlabel() == "value" and len(found.plot().get_yticks()) == 3


def test_incentives_are_paid_to_all_who_redeem():
    """An incentive of 1 that each contacted member redeems lowers the net by as much as a contact dearer by 1."""
    table, effects, _ = campaign(3_000, 1)
    table["redeemed"] = (table["arm"] != "control").astype(int)
    costs = {"call": 0.1, "sms": 0.1}
    paid = value_offers(
        table, **HOW | {"costs": costs}, effects=effects, incentives={"call": 0.3, "sms": 0.3}, response="redeemed"
    )
    dearer = value_offers(table, **HOW | {"costs": {"call": 0.4, "sms": 0.4}}, effects=effects)
    assert paid.net.estimate == pytest.approx(dearer.net.estimate)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"costs": {"call": 1}}, "costs lacks 'sms'"),
        ({"margin": 30}, "margin is 30"),
        ({"capacity": {"cal": 5}}, "Did you mean 'call'"),
        ({"budget": -1}, "limit of budget is -1"),
        ({"effects": None}, "give features="),
        ({"incentives": COSTS}, "name the 0/1 column"),
        ({"control": "contrl"}, "Did you mean 'control'"),
    ],
)
def test_refusals(change, words):
    """Costs without an offer, odd limits and unknown names are refused with what to do."""
    table, effects, _ = campaign(900, 2)
    with pytest.raises(WorkbenchError, match=words):
        value_offers(table, **(HOW | {"effects": effects} | change))
    with pytest.raises(CannotAnswer, match="fewer than 100"):
        value_offers(table[:200], **HOW, effects=effects)
    effects.attrs["validation"] = predict_offers(
        table, outcome="y", arm="arm", features=["u", "v"], folds=2, trees=FEW
    ).attrs["validation"]
    with pytest.raises(WorkbenchError, match="crossed folds of the campaign"):
        value_offers(table, **HOW, effects=effects)


def coverage(runs: int, alike: bool) -> pd.Series:
    """Share of runs in which the intervals of net and advantage hold the truth, and in which a random score wins."""
    crowd, guessed, tau = campaign(20_000, 10**6, alike=alike)
    cost, rng, rows = np.array(list(COSTS.values())), np.random.default_rng(5), []
    worth, true = 0.5 * guessed.to_numpy() - cost, 0.5 * tau - cost
    for run in range(runs):
        table, effects, _ = campaign(3_000, run, alike=alike)
        found = value_offers(table, effects=effects, rng=run, **HOW, **LIMITS)
        net = single = 0.0
        for part in found.parts.to_dict("records"):
            after = worth - part["price of budget"] * cost - np.array([part["price of call"], 0])
            taken = np.where(after.max(axis=1) > 0, true[np.arange(len(crowd)), after.argmax(axis=1)], 0)
            net += taken.mean() * part["members"] / found.parts["members"].sum()
            j = {"call": 0, "sms": 1}[part["single"]] if part["single"] in COSTS else None
            if j is not None:
                reach = min(1, 700 / 3_000 / cost[j], 500 / 3_000 if j == 0 else 1)
                single += reach * true[:, j].mean() * part["members"] / found.parts["members"].sum()
        noise = pd.DataFrame(rng.normal(1.5, 1, effects.shape), columns=effects.columns)
        lost = value_offers(table, effects=noise, rng=run, **HOW, **LIMITS)
        rows.append(
            {
                "net": found.net.low <= net <= found.net.high,
                "advantage": found.advantage.low <= net - single <= found.advantage.high,
                "random score wins": lost.advantage.low > 0,
            }
        )
    return pd.DataFrame(rows).mean()


@pytest.mark.prove
@pytest.mark.parametrize("alike", [False, True], ids=["differing", "alike"])
def test_coverage_of_the_off_policy_value(alike):
    """Over 1,000 campaigns the intervals hold 95% within three standard errors; a random score wins in at most 5%."""
    found = coverage(1_000, alike)
    print(f"\noffers, alike={alike}\n{found.round(3).to_string()}")
    allowed = 3 * np.sqrt(0.95 * 0.05 / 1_000)
    assert (abs(found[["net", "advantage"]] - 0.95) <= allowed).all() and found["random score wins"] <= 0.05
