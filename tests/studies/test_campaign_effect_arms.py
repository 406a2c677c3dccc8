"""Several arms, missing outcomes and other campaigns: by hand, in properties, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.campaign_effect.arms import arm_effects
from workbench.studies.campaign_effect.attrition import attrition_bounds
from workbench.studies.campaign_effect.contamination import contamination
from workbench.studies.uplift import average_effect, check_campaign

WINDOW = ("2026-04-01", "2026-07-01")


def campaign(members: int = 1_500, seed: int = 0) -> pd.DataFrame:
    """Three randomised arms; calls add 1 to a count of purchases, e-mails nothing."""
    rng = np.random.default_rng(seed)
    arm = rng.permutation(np.resize(["control", "e-mail", "call"], members))
    table = pd.DataFrame({"id": np.arange(members), "arm": arm, "t": (arm == "call").astype(int)})
    return table.assign(y=rng.poisson(2 + 1.0 * table["t"]), x=rng.normal(size=members))


def test_each_comparison_is_that_of_its_two_arms():
    """Estimates and errors equal average_effect on two arms; Holm and joint intervals follow by hand."""
    table = campaign()
    found = arm_effects(table, outcome="y", arm="arm").effects.set_index(["arm", "against"])
    pair = table[table["arm"] != "e-mail"]
    alone = average_effect(pair, outcome="y", treatment="arm")
    row = found.loc[("call", "control")]
    assert row[["estimate", "se", "low", "high"]].tolist() == [alone.estimate, alone.se, alone.low, alone.high]
    p = found["p"].iloc[:2].sort_values()
    assert found["p_holm"].iloc[:2].sort_values().tolist() == pytest.approx(
        [2 * p.iloc[0], max(2 * p.iloc[0], p.iloc[1])]
    )
    wider = average_effect(pair, outcome="y", treatment="arm", level=0.975)
    assert wider.low < row["low_joint"] < alone.low
    difference = found.loc[("call", "control"), "estimate"] - found.loc[("e-mail", "control"), "estimate"]
    assert found.loc[("call", "e-mail"), "estimate"] == pytest.approx(difference)


def test_another_name_of_the_control_households_and_failed_checks():
    """The control may have another name; households widen as in `average_effect`; a failed check refuses all arms."""
    table = campaign().assign(house=lambda d: d["id"] // 2)
    found = arm_effects(table, outcome="y", arm="arm", clusters="house").effects.set_index(["arm", "against"])
    pair = table[table["arm"] != "e-mail"]
    alone = average_effect(pair, outcome="y", treatment="t", clusters="house")
    assert found.loc[("call", "control"), "se"] == alone.se
    nobody = arm_effects(table.replace({"arm": {"control": "nobody"}}), outcome="y", arm="arm", control="nobody")
    plain = arm_effects(table, outcome="y", arm="arm")
    assert nobody.effects["estimate"].tolist() == plain.effects["estimate"].tolist()
    failed = check_campaign(pair[(pair["t"] == 0) | (pair["x"] > 0)], treatment="t", covariates=["x"])
    refused = arm_effects(table, outcome="y", arm="arm", checks=[failed])
    assert not failed.comparable and refused.headline().startswith("Not answerable")


def test_joint_intervals_reach_as_far_as_dunnett_and_tukey():
    """With four equal arms the critical values are Dunnett's 2.349 and Tukey's 3.314 / √2, for many members."""
    table = pd.DataFrame({"arm": np.repeat(["control", "a", "b", "c"], 2_000), "y": np.tile([0.0, 1, 2, 5], 2_000)})
    found = arm_effects(table, outcome="y", arm="arm").effects
    reach = (found["high_joint"] - found["estimate"]) / found["se"]
    assert reach.tolist() == pytest.approx([2.349] * 3 + [3.314 / np.sqrt(2)] * 3, abs=0.02)


def test_words_of_several_arms():
    """The arm that did something is named, with its rank; doubts of the checks and small arms refuse."""
    table = campaign()
    found = arm_effects(table, outcome="y", arm="arm", campaign="may")
    assert found.headline().startswith("1 of 2 offers changed y;") and "beats every other offer" in found.headline()
    assert next(q.name for q in found.quantities()) == "effect[campaign=may,outcome=y,arm=call]"
    assert len(found.plot().get_yticks()) == 3
    quiet = arm_effects(table.assign(y=table["id"] % 7), outcome="y", arm="arm")
    assert quiet.headline().startswith("No evidence that any of the 2 offers")
    assert "fewer than 20" in arm_effects(campaign(30), outcome="y", arm="arm").headline()
    with pytest.raises(WorkbenchError, match="two further arms or more"):
        arm_effects(table[table["arm"] != "call"], outcome="y", arm="arm")


def test_small_campaigns_are_not_answerable():
    """Thirty members, and nine who bought, give no claim and no quantities."""
    table = campaign(45)
    pair = table[table["arm"] != "e-mail"]
    found = average_effect(pair, outcome="y", treatment="t")
    assert found.headline().startswith("Not answerable: an arm has 15 members") and not list(found.quantities())
    table = campaign().assign(bought=lambda d: (d["id"] < 9).astype(int))
    assert "only 9 of" in average_effect(table, outcome="bought", treatment="t").headline()


def test_lee_bounds_by_hand():
    """Outcomes 1-40 all seen, half of the others': the lower or the upper half of the values remains."""
    table = pd.DataFrame({"t": [1] * 40 + [0] * 80, "y": [*range(1, 41), *[20.0, 21.0] * 20, *[np.nan] * 40]})
    found = attrition_bounds(table, outcome="y", treatment="t").bounds.loc["lee"]
    assert (found["lowest"], found["highest"]) == pytest.approx((10.5 - 20.5, 30.5 - 20.5))
    swapped = attrition_bounds(table.assign(t=1 - table["t"]), outcome="y", treatment="t").bounds.loc["lee"]
    assert swapped.tolist() == pytest.approx((-found[["highest", "lowest", "high", "low"]]).tolist())


def test_bounds_without_and_with_missing_outcomes():
    """With all outcomes seen the bounds are the effect; worst-case bounds fill the gaps with the limits."""
    table = campaign().assign(b=lambda d: (d["y"] > 2).astype(float))
    seen = attrition_bounds(table, outcome="b", treatment="t")
    assert seen.headline().startswith("The effect needs no bounds: 'b' is missing for 0.0% of the treated and 0.0% of")
    full = seen.bounds
    effect = average_effect(table, outcome="b", treatment="t")
    assert full["lowest"].tolist() == pytest.approx([effect.estimate] * 2) == full["highest"].tolist()
    assert full.loc["lee", "low"] == pytest.approx(effect.low, abs=1e-3)
    gone = (table["t"] == 1) & (table["id"] % 4 == 0)
    holed = attrition_bounds(table.assign(b=table["b"].mask(gone)), outcome="b", treatment="t", campaign="may")
    filled = [
        average_effect(table.assign(b=table["b"].mask(gone, v)), outcome="b", treatment="t").estimate for v in (0, 1)
    ]
    assert holed.bounds.loc["worst", ["lowest", "highest"]].tolist() == pytest.approx(filled)
    assert holed.headline().startswith("Not answerable with one number: 'b' is missing for")
    assert next(q.name for q in holed.quantities()) == "effect_lowest[campaign=may,outcome=b]"
    assert len(holed.plot().get_yticks()) == 2
    with pytest.raises(WorkbenchError, match="outside the limits"):
        attrition_bounds(table, outcome="y", treatment="t", limits=(0, 1))
    with pytest.raises(CannotAnswer, match="at least 20"):
        attrition_bounds(table.assign(b=table["b"].where(table["t"] == 1)), outcome="b", treatment="t")


def test_other_campaigns_in_one_arm_are_found():
    """Contacts by others within the window count once a member; more in one arm is contamination, with its reason."""
    table, rng = campaign(), np.random.default_rng(1)
    dates = pd.to_datetime(["2026-04-01", "2026-03-31", "2026-07-01"])
    others = pd.DataFrame({"id": [0, 1, 2], "day": dates})
    found = contamination(table, others, member="id", treatment="t", on="day", window=WINDOW)
    assert found.share_treated + found.share_control == pytest.approx(1 / table["t"].value_counts()[table.loc[0, "t"]])
    chosen = table["id"][(rng.random(len(table)) < 0.1 + 0.3 * table["t"])]
    many = pd.DataFrame({"id": np.repeat(chosen, 2), "day": dates[0]})
    how = {"member": "id", "treatment": "t", "on": "day", "window": WINDOW, "outcome": "y"}
    found = contamination(table, many, campaign="may", **how)
    assert not found.comparable and found.headline().startswith("Contaminated: other campaigns contacted")
    left = table[~table["id"].isin(chosen)]
    assert (
        found.effects["not contacted by others"].estimate == average_effect(left, outcome="y", treatment="t").estimate
    )
    refused = average_effect(table, outcome="y", treatment="t", checks=found)
    assert refused.headline().startswith("Not answerable: other campaigns")
    assert len(found.summary()) == 3 == len(found.plot().get_yticks())
    assert [q.name for q in found.quantities()] == ["contamination[campaign=may]"]
    housed = table.assign(house=table["id"] // 2)
    clustered = contamination(housed, many, clusters="house", **how)
    wider = average_effect(housed, outcome="y", treatment="t", clusters="house")
    assert clustered.effects["all members"].se == wider.se
    alike = contamination(table, pd.DataFrame({"id": table["id"][::5], "day": dates[0]}), **how)
    assert alike.comparable and "no difference between the arms" in alike.headline()
    nobody = contamination(table, pd.DataFrame({"id": [-1, -2, -2], "day": dates[[0, 0, 2]]}), **how)
    assert nobody.headline() == "Other campaigns contacted no member in the window (2 contacts of others)."
    everybody = contamination(table, table[["id"]].assign(day=dates[0]), **how)
    assert "contacted all members in the window (100.0% of the treated" in everybody.headline()
    with pytest.raises(WorkbenchError, match="is empty"):
        contamination(table, others, **(how | {"window": WINDOW[::-1]}))
    with pytest.raises(WorkbenchError, match="exposures lacks 'day'"):
        contamination(table, others[["id"]], **how)
