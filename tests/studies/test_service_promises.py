"""Cost to serve and promises kept: by hand, in simulation, on the sample operator, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.service import cost_to_serve, promises_kept, tier_promises, unit_costs
from workbench.studies.tiers import tiers
from workbench.warehouse import customer_features, monthly_values, open_warehouse, servicing

COSTS = pd.DataFrame(
    {"event": ["hotline", "visit"], "unit": "one", "cost": [5.0, 100.0], "source": "", "assumption": [True, False]}
)
COLUMNS = {"customer": "id", "tier": "tier"}
SERVED = pd.DataFrame(
    {
        "id": ["a", "b", "c", "d", "e"],
        "tier": ["gold", "gold", "basic", "basic", "left"],
        "revenue": [1000.0, 600, 100, 300, 0],
        "hotline": [2, 0, 20, 0, 1],
        "visit": [1, 1, 0, 0, 0],
    }
)


def test_cost_by_hand():
    """Gold brings 800 a customer, margin 400, costs 105; basic 200, 100, 50, and one of its two costs more."""
    result = cost_to_serve(SERVED, **COLUMNS, revenue="revenue", margin=0.5, order=["gold", "basic"], costs=COSTS)
    wide = result.table.pivot_table("estimate", "tier", "measure")
    assert wide.loc["gold"].to_dict() == {"revenue": 800, "margin": 400, "cost": 105, "net": 295, "cost_share": 0.2625}
    assert wide.loc["basic"].to_dict() == {"revenue": 200, "margin": 100, "cost": 50, "net": 50, "cost_share": 0.5}
    assert result.table.set_index("tier")["losing"].loc["basic"].tolist() == [0.5] * 5
    assert result.outside == 1 and result.assumed == pytest.approx(110 / 310)
    assert "an assumption for 35% of the cost, not measured" in result.headline()
    column = SERVED.assign(margin=SERVED["revenue"] / 2)
    again = cost_to_serve(
        column.iloc[::-1], **COLUMNS, revenue="revenue", margin="margin", order=["gold", "basic"], costs=COSTS
    )
    pd.testing.assert_frame_equal(result.table, again.table)


def test_a_tier_that_used_no_service_has_no_interval():
    """Of two customers without a contact 0.0% (0.0% to 0.0%) would be known of all such: no ends, also not recorded."""
    idle = SERVED.assign(hotline=[2, 0, 0, 0, 1], visit=[1, 1, 0, 0, 0])
    found = cost_to_serve(idle, **COLUMNS, revenue="revenue", margin=0.5, order=["gold", "basic"], costs=COSTS)
    ends = {q.name: (q.low, q.high) for q in found.quantities()}
    assert ends["service_cost_share[tier=basic]"] == ends["service_cost[tier=basic]"] == (None, None)
    assert None not in ends["service_cost_share[tier=gold]"] + ends["service_net[tier=basic]"]
    assert "0.0% (no interval) of the margin of basic" in found.headline()
    assert len(found.plot().get_yticks()) == 2


def test_cost_refused(tmp_path):
    """A tier of one, an event without a count, and a file of costs without its source are refused."""
    choices = {"revenue": "revenue", "margin": 0.5, "order": ["gold", "left"]}
    with pytest.raises(CannotAnswer, match="'left' has 1 customers"):
        cost_to_serve(SERVED, **COLUMNS, **choices, costs=COSTS)
    with pytest.raises(WorkbenchError, match="customers lacks 'app'"):
        cost_to_serve(SERVED, **COLUMNS, **choices)
    file = tmp_path / "costs.toml"
    file.write_text('[[cost]]\nevent = "app"\nunit = "session"\ncost = 1\nassumption = true\n', encoding="utf-8")
    with pytest.raises(WorkbenchError, match="unit costs lacks 'source'"):
        unit_costs(file)
    file.write_text(file.read_text() + 'source = ""\n' * 2, encoding="utf-8")
    with pytest.raises(WorkbenchError, match="can't use"):
        unit_costs(file)


def test_shipped_costs_say_what_they_rest_on():
    """Every event of the warehouse has a unit cost with a source, assumed or not."""
    costs = unit_costs()
    assert len(costs) == 10 and (costs["source"] != "").all()
    assert costs.set_index("event")["assumption"].drop(["sms", "outbound_call"]).all()


@pytest.mark.prove
def test_cost_intervals_cover():
    """95 % intervals of margin, cost and their ratio of 200 uneven customers hold the truth in 93 to 97 % of draws."""
    truth = np.array([np.exp(0.5), 3.0, 3 / np.exp(0.5)])
    hits, samples = np.zeros(3), 800
    for seed in range(samples):
        rng = np.random.default_rng(seed)
        z = rng.standard_normal(200)
        table = pd.DataFrame({"id": range(200), "tier": "t", "revenue": np.exp(z), "hotline": rng.poisson(3, 200)})
        costs = COSTS.iloc[:1].assign(cost=1.0)
        found = cost_to_serve(
            table, **COLUMNS, revenue="revenue", margin=1.0, order=["t"], costs=costs, resamples=500, rng=seed
        ).table.set_index("measure")
        rows = found.loc[["margin", "cost", "cost_share"]]
        hits += ((rows["low"] <= truth) & (truth <= rows["high"])).to_numpy()
    assert (np.abs(hits / samples - 0.95) < 0.02 + 3 * np.sqrt(0.95 * 0.05 / samples)).all(), hits / samples


def promised(tmp_path, limits=(10, 40)):
    """Two tiers and three promises, one of which nobody can check."""
    file = tmp_path / "standard.toml"
    tier = '[[tier]]\nname = "{}"\nname_zh = "-"\ns = {}\nv = {}\n'
    promise = '[[promise]]\ncolumn = "{}"\nsays = "{}"\n{}\n'
    text = tier.format("gold", limits[0], 2) + tier.format("basic", limits[1], 0)
    text += promise.format("s", "answered", 'event = "hotline"') + promise.format("v", "visits", 'count = "visit"')
    file.write_text(text + promise.format("s", "friendly", 'unchecked = "nobody asks"'), encoding="utf-8")
    return tier_promises(file)


def served(customers, calls, chance, rng, days=365.0, visits=0):
    """Customers of two tiers with calls and how many were answered in 10 s and in 40 s."""
    tier, n = np.repeat(["gold", "basic"], customers), rng.poisson(calls, sum(customers))
    p = np.repeat(chance, customers)
    found = {f"hotline_within_{limit}": rng.binomial(n, p * share) for limit, share in ((10, 0.5), (40, 1.0))}
    judged = {f"hotline_judged_{limit}": n for limit in (10, 40)}
    return pd.DataFrame({"id": range(len(n)), "tier": tier, "days_known": days, "visit": visits, **found, **judged})


def test_promises_by_hand(tmp_path):
    """Shares are of all cases; basic is set beside gold by gold's limit; visits count after a year."""
    table = served((50, 50), 0, (0, 0), np.random.default_rng(0), visits=2)
    table.loc[:49, ["hotline_judged_10", "hotline_within_10"]] = [2, 1]
    table.loc[50:, ["hotline_judged_10", "hotline_within_10", "hotline_judged_40", "hotline_within_40"]] = [1, 0, 1, 1]
    table.loc[:9, "days_known"] = 364
    result = promises_kept(table, **COLUMNS, promises=promised(tmp_path))
    rows = result.table.set_index(["promise", "tier"])
    assert rows.loc[("answered", "gold"), ["promised", "n", "customers", "kept", "last_kept"]].tolist() == [
        10,
        100,
        50,
        0.5,
        0,
    ]
    assert rows.loc[("answered", "basic"), ["n", "kept"]].tolist() == [50, 1]
    assert rows.loc[("visits", "gold"), ["n", "kept"]].tolist() == [40, 1]
    assert rows.loc[("visits", "basic"), "n"] == 0  # nothing promised, nothing known by gold's limit either
    assert result.unchecked.to_numpy().tolist() == [["friendly", "nobody asks"]]
    assert "better in 1 and worse in 0" in result.headline() and "not checkable here: friendly" in result.headline()
    assert {q.name for q in result.quantities()} >= {"promise_kept[promise=answered,tier=gold]"}
    pd.testing.assert_frame_equal(
        result.table, promises_kept(table.iloc[::-1], **COLUMNS, promises=promised(tmp_path)).table
    )


def test_too_few_cases_are_no_finding(tmp_path):
    """Below the minimum a cell has its number and no share; with none above it there is no answer."""
    table = served((5, 200), 1, (0.8, 0.8), np.random.default_rng(1))
    result = promises_kept(table, **COLUMNS, promises=promised(tmp_path))
    few = result.table.set_index(["promise", "tier"]).loc[("answered", "gold")]
    assert 0 < few["n"] < 30 and np.isnan(few["kept"]) and np.isnan(few["difference"])
    assert "cells with fewer than 30 cases: 2" in result.headline()
    with pytest.raises(CannotAnswer, match="Take a longer window"):
        promises_kept(table.iloc[:5], **COLUMNS, promises=promised(tmp_path))
    with pytest.raises(WorkbenchError, match="Ask the warehouse for within"):
        promises_kept(table, **COLUMNS, promises=promised(tmp_path, limits=(11, 40)))


def test_standard_as_data(tmp_path):
    """The shipped standard rises with the tier; one that contradicts itself is refused."""
    shipped = tier_promises().tiers
    assert shipped["tier"].tolist() == ["diamond", "gold", "silver", "basic"]
    assert shipped["hotline_s"].is_monotonic_increasing and shipped["credit_yuan"].is_monotonic_decreasing
    file = tmp_path / "one.toml"
    one = '[[tier]]\nname = "vip"\nname_zh = "贵宾"\nx = 1\n[[promise]]\ncolumn = "x"\nsays = "x"\n'
    for text, words in ((one, "two or more tiers"), (one + one.replace("vip", "all"), "one of event")):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(WorkbenchError, match=words):
            tier_promises(file)


@pytest.mark.parametrize("calls", [1, pytest.param(4, marks=pytest.mark.prove)])
def test_promise_intervals_cover(tmp_path, calls):
    """Intervals of share and difference hold the truth in 95 % of draws where customers bring several alike cases."""
    rules, hits, samples = promised(tmp_path), np.zeros(2), 300
    for seed in range(samples):
        rng = np.random.default_rng(seed)
        luck = rng.beta(4, 2, 500)  # a customer's own chance, mean 2/3
        table = served((150, 350), calls, (1, 1), rng)
        n = table["hotline_judged_10"]
        table["hotline_within_10"] = rng.binomial(n, luck)
        row = promises_kept(table, **COLUMNS, promises=rules).table.iloc[0]
        hits += [row["low"] <= 2 / 3 <= row["high"], row["difference_low"] <= 0 <= row["difference_high"]]
    assert (np.abs(hits / samples - 0.95) < 0.02 + 3 * np.sqrt(0.95 * 0.05 / samples)).all(), hits / samples


def test_sample_operator_treats_all_alike(operator):
    """Nobody is served better in the sample, which is the truth; two promises can't be checked; pictures draw."""
    warehouse, day = open_warehouse("sample", root=operator), "2026-07-01"
    features = customer_features(warehouse, day, tables=["arrears", "bills"])
    found = tiers(monthly_values(warehouse, day), customer="customer_id", value="value", period="month", flags=features)
    service = servicing(warehouse, day, within=tier_promises().limits())
    known = found.customers.merge(features[["customer_id", "billed_12m"]]).merge(service)
    columns = {"customer": "customer_id", "tier": "tier"}
    kept = promises_kept(known[known["since"] <= "2025-06-01"], **columns)
    assert "no difference is significant" in kept.headline() and len(kept.unchecked) == 2
    cost = cost_to_serve(known, **columns, revenue="billed_12m", margin=0.45, order=found.rules.names)
    share = cost.table[cost.table["measure"] == "cost_share"]
    assert share["estimate"].is_monotonic_increasing and (share["low"] < share["estimate"]).all()
    assert len(kept.plot().texts) == kept.table["kept"].notna().sum() and cost.plot().texts
