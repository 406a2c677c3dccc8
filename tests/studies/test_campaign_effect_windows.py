"""Windows, guards, departures and fatigue: by hand, against known truth, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.intervals import Mean, mean_difference, share_difference
from workbench.studies.campaign_effect.lasting import contact_fatigue, staying
from workbench.studies.campaign_effect.windows import Guard, effect_windows
from workbench.studies.uplift import average_effect
from workbench.warehouse import campaign_windows, exposures, open_warehouse

DAYS = {30: "y30", 60: "y60", 90: "y90"}


def bought(rng: np.random.Generator, effects=(0.0, 0.0, 0.0), n=600, share=0.5) -> pd.DataFrame:
    """Money of three months with a skewed level that stays, and an effect a month."""
    treated = (rng.random(n) < share).astype(int)
    level = rng.gamma(2, 10, n)
    months = level[:, None] + rng.gamma(1, 5, (n, 3)) + treated[:, None] * np.array(effects)
    table = pd.DataFrame(months.cumsum(axis=1), columns=list(DAYS.values()))
    return table.assign(
        t=treated, before=level + rng.normal(0, 3, n), quit=(rng.random(n) < 0.05 + 0.1 * treated) * 1.0
    )


def test_one_window_is_the_average_effect():
    """With a single window the effect and its interval are those of average_effect, adjusted or not."""
    table = bought(np.random.default_rng(0), (2, 0, 0))
    for covariates in ((), ("before",)):
        one = average_effect(table, outcome="y30", treatment="t", covariates=covariates)
        found = effect_windows(table, outcomes={30: "y30"}, treatment="t", covariates=covariates)
        assert found.windows.loc[0, ["effect", "se", "low", "high"]].tolist() == pytest.approx(
            [one.estimate, one.se, one.low, one.high]
        )
    assert found.pull_p == 1 and not found.pulled_forward


def test_later_parts_are_windows_of_their_own():
    """The effect since the first window equals the average effect on the difference; intervals are wider than alone."""
    table = bought(np.random.default_rng(1), (6, -2, -2))
    found = effect_windows(table, outcomes=DAYS, treatment="t", covariates=["before"]).windows
    later = average_effect(
        table.assign(d=table["y90"] - table["y30"]), outcome="d", treatment="t", covariates=["before"]
    )
    assert found["after_first"].iloc[2] == pytest.approx(later.estimate)
    half = found["after_first_high"].iloc[2] - later.estimate
    assert 1.0 < half / (later.high - later.estimate) < 1.35


def test_what_was_brought_forward_is_seen_and_a_lasting_effect_is_not_called_so():
    """A voucher that gives back is told from an effect that stays; rows in another order give the same."""
    rng = np.random.default_rng(2)
    voucher, lasting = bought(rng, (6, -4, -4), n=3_000), bought(rng, (4, 4, 4), n=3_000)
    how = {"outcomes": DAYS, "treatment": "t", "covariates": ["before"], "unit": "yuan"}
    found = effect_windows(voucher, **how)
    assert found.pulled_forward and "only brought forward" in found.headline()
    assert not effect_windows(lasting, **how).pulled_forward
    again = effect_windows(voucher.iloc[::-1].reset_index(drop=True), **how)
    pd.testing.assert_frame_equal(found.windows, again.windows)
    assert len(found.summary()) == 3 and found.plot().get_xlabel() == "days since assignment"


def test_guards_say_harm_safety_and_ignorance():
    """Ten points more who quit is harm, no more within a wide margin is safe, a narrow margin shows nothing."""
    table = bought(np.random.default_rng(3), n=3_000)
    table["calm"] = (np.random.default_rng(4).random(3_000) < 0.05) * 1.0
    guards = {"quit": Guard(0.02, cost=300), "calm": Guard(0.03)}
    found = effect_windows(table, outcomes={30: "y30"}, treatment="t", guards=guards)
    assert found.guards["verdict"].tolist() == ["harm", "no worse than the margin"]
    row = found.guards.iloc[0]
    assert row["cost"] == pytest.approx(300 * row["effect"]) and row["cost_low"] < 30 < row["cost_high"]
    narrow = effect_windows(table, outcomes={30: "y30"}, treatment="t", guards={"calm": Guard(0.001)})
    assert narrow.guards["verdict"].tolist() == ["not shown"] and "calm: not shown," in narrow.headline()
    assert len(list(found.quantities())) == 3


def test_what_windows_refuse():
    """No window, a margin of 0, an outcome that never differs."""
    table = bought(np.random.default_rng(0))
    with pytest.raises(WorkbenchError, match="outcomes is empty"):
        effect_windows(table, outcomes={}, treatment="t")
    with pytest.raises(WorkbenchError, match="margin of 'quit' is not above 0"):
        effect_windows(table, outcomes=DAYS, treatment="t", guards={"quit": Guard(0)})
    with pytest.raises(CannotAnswer, match="'y90' is the same for all"):
        effect_windows(table.assign(y90=1.0), outcomes=DAYS, treatment="t")


def test_staying_by_hand():
    """Everybody known to the horizon: shares are counts, mean days are means, errors are binomial."""
    days = np.r_[np.full(20, 40), np.full(80, 100), np.full(10, 60), np.full(90, 100)].astype(float)
    table = pd.DataFrame({"d": days, "left": (days < 100) * 1, "t": np.repeat([1, 0], 100)})
    found = staying(table, days="d", left="left", treatment="t", horizon=90)
    assert found.kept.estimate == pytest.approx(-0.10)
    low, high, _ = share_difference(20, 100, 10, 100)  # who left; nobody's end is unknown, so the counts are whole
    assert (found.kept.low, found.kept.high) == pytest.approx((-high, -low), abs=1e-9)
    lived = table["d"].clip(upper=90).groupby(table["t"])
    assert found.days_gained.estimate == pytest.approx(lived.mean()[1] - lived.mean()[0])
    lost = [Mean.of(90 - table["d"].clip(upper=90)[table["t"] == arm].to_numpy()) for arm in (1, 0)]
    low, high, _ = mean_difference(*lost, amounts=True)
    assert (found.days_gained.low, found.days_gained.high) == pytest.approx((-high, -low), rel=0.03)
    assert "points" in found.headline() and len(found.summary()) == 2
    assert found.plot().get_ylabel() == "share still customers"
    with pytest.raises(CannotAnswer, match="0 treated and 0 control members left within 30"):
        staying(table, days="d", left="left", treatment="t", horizon=30)
    with pytest.raises(CannotAnswer, match="no treated member is known for 120 days"):
        staying(table, days="d", left="left", treatment="t", horizon=120)


def tired(rng: np.random.Generator, fatigue: float, n=4_000) -> pd.DataFrame:
    """Offers drawn by appetite, contacts among them at random; each takes `fatigue` from the effect of 5."""
    appetite = rng.standard_normal(n)
    offers = rng.binomial(3, 1 / (1 + np.exp(-appetite)))
    dose, treated = rng.binomial(offers, 0.5), (rng.random(n) < 0.5).astype(int)
    y = 10 * appetite + treated * (5 + 2 * appetite - fatigue * dose) - dose + rng.normal(0, 5, n)
    return pd.DataFrame({"y": y, "t": treated, "dose": dose, "offers": offers, "age": appetite + rng.normal(0, 1, n)})


def test_fatigue_is_found_where_chance_gave_the_dose():
    """The trend is recovered within the strata; without them, or with a dose that was no chance, no claim is made."""
    table = tired(np.random.default_rng(5), 2.0)
    how = {"outcome": "y", "treatment": "t", "dose": "dose"}
    found = contact_fatigue(table, strata="offers", covariates=["age"], **how)
    assert (
        found.randomised and found.trend.low < -2 < found.trend.high < 0 and "wears the effect down" in found.headline()
    )
    assert found.doses["members"].sum() == len(table)
    few = table.drop(table.index[table["dose"] == 1][60:])
    doses = contact_fatigue(few, strata="offers", **how).doses.set_index("dose")
    assert doses["members"].sum() == len(few) and doses["effect"].isna().to_dict() == {0: False, 1: True, 2: False}
    loose = contact_fatigue(table, **how)
    assert loose.headline().startswith("No claim of fatigue, an association only") and not list(loose.quantities())
    table["all"] = 1
    chosen = contact_fatigue(table, strata="all", covariates=["age"], **how)
    assert not chosen.randomised and "depends on what was known before" in chosen.reason
    with pytest.raises(CannotAnswer, match="0 members have another than the commonest 'dose'"):
        contact_fatigue(table.assign(dose=1), **how)


def test_the_sample_operator_is_recovered(operator):
    """Voucher: brought forward. Call: opt-outs and complaints are harm. Fatigue randomised; nobody left."""
    warehouse = open_warehouse("sample", root=operator)
    cut = campaign_windows(warehouse, "bundle_offers")
    members = cut.members.merge(exposures(warehouse, "bundle_offers"), on="customer_id")
    truth = pd.read_parquet(operator / "data/raw/sample/truth/bundle_offers.parquet")
    guards = {"opted_out": Guard(0.01), "complaints_30": Guard(0.01), "churned_180": Guard(0.03)}
    how = {"outcomes": cut.outcomes(), "treatment": "arm", "covariates": ["revenue_before"], "guards": guards}
    for arm, forward in (("voucher", True), ("data_pack", False), ("call", False)):
        part = members[members["arm"].isin([arm, "control"])].reset_index(drop=True)
        found = effect_windows(part, **how)
        assert found.pulled_forward is forward
        own = truth[(truth["arm"] == arm) & truth["customer_id"].isin(part["customer_id"])]
        for row, months in zip(found.windows.itertuples(), (1, 2, 3, 6), strict=True):
            true = (own[[f"month_{k}" for k in range(1, months + 1)]].sum(axis=1) * own["reached"]).mean()
            assert abs(row.effect - true) < 3 * row.se, (arm, row.days)
        assert found.guards["verdict"].iloc[2] == "no worse than the margin"
        if arm == "call":
            assert (found.guards["verdict"].iloc[:2] == "harm").all()
            stayed = staying(part, days="days_known", left="left_us", treatment="arm", horizon=180)
            assert abs(stayed.kept.estimate) < 3 * (stayed.kept.high - stayed.kept.estimate) / 1.96
    called = members.assign(treatment=(members["arm"] != "control").astype(int))
    tiring = contact_fatigue(
        called,
        outcome="revenue_90",
        treatment="treatment",
        dose="contacts_before",
        strata="offers_before",
        covariates=["revenue_before"],
    )
    assert tiring.randomised


@pytest.mark.prove
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_windows_hold_together_and_false_alarms_are_rare(share):
    """1,000 campaigns: all windows hold at once in 95%; an effect that lasts is called pulled forward in at most 5%."""
    rng, hold, alarm, boundary, safe, trend = np.random.default_rng(8), 0, 0, 0, 0, 0
    for _ in range(1_000):
        found = effect_windows(bought(rng, (1, 1, 1), share=share), outcomes=DAYS, treatment="t", covariates=["before"])
        hold += ((found.windows["low"] <= [1, 2, 3]) & (found.windows["high"] >= [1, 2, 3])).all()
        alarm += found.pulled_forward
        table = bought(rng, (40, 0, 0), share=share, n=400)
        boundary += effect_windows(table, outcomes=DAYS, treatment="t", covariates=["before"]).pulled_forward
        quits = bought(rng, share=share, n=800)[["t", "y30", "quit"]]
        rival = effect_windows(quits, outcomes={30: "y30"}, treatment="t", guards={"quit": Guard(0.1)})
        safe += "no worse" in rival.headline() or "within" in rival.headline()
        fatigue = contact_fatigue(tired(rng, 2.0, 1_000), outcome="y", treatment="t", dose="dose", strata="offers")
        trend += fatigue.trend.low <= -2 <= fatigue.trend.high
    print(share, hold, alarm, boundary, safe, trend)
    assert 935 <= hold <= 970 and alarm <= 50 and boundary <= 65 and safe <= 65 and 930 <= trend <= 970
