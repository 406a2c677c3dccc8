"""Where few bought: which numbers have an interval, by hand and by independent computations, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer
from workbench.methods.experiment.events import Outcome, too_few
from workbench.methods.intervals import Mean, mean_difference, share_difference
from workbench.studies.campaign_effect import (
    attrition_bounds,
    complier_effect,
    contact_fatigue,
    effect_windows,
    staying,
)
from workbench.studies.campaign_effect.windows import Guard
from workbench.studies.campaign_planning import Spread, plan_campaign, required_size
from workbench.studies.campaign_planning.ledger import campaign_effects, campaign_ledger
from workbench.studies.campaign_planning.monitor import monitor_campaign
from workbench.studies.uplift import effect_groups, targeting, uplift_curve
from workbench.studies.uplift.bins import score_bins
from workbench.studies.uplift.policy import Costs, Judge, Rows, policy

HOW = {"score": "s", "outcome": "y", "treatment": "t"}


def rare(members: int, buyers: float, share: float = 0.9, seed: int = 0, tail: float = 1.0) -> pd.DataFrame:
    """A campaign without effect: a share contacted, few who buy, for lognormal amounts."""
    rng = np.random.default_rng(seed)
    t = np.arange(members) < share * members
    bought = rng.random(members) < buyers
    return pd.DataFrame({"s": rng.random(members), "t": t.astype(int), "y": bought * rng.lognormal(3, tail, members)})


def test_events_are_judged_by_both_arms_together():
    """60 buyers of 3,000 leave 6 to a tenth held out, whoever they are; 20 are needed, for shares of 0/1 none."""
    money = Outcome.of(np.r_[np.zeros(2_940), np.full(60, 9.5)])
    assert money.events.sum() == 60 and money.amounts and not money.binary
    sizes = np.array([300, 2_700])
    assert [bool(money.enough(np.array(events), sizes, 20)) for events in ((60, 0), (0, 60), (0, 200))] == [
        False,
        False,
        True,
    ]
    assert Outcome.of(np.r_[0.0, 1, 1]).enough(np.array([0, 2]), np.array([1, 2]))
    said = too_few(np.array([3, 57]), sizes, "spend")
    assert said == (
        "3 of the 300 members of the control group have another 'spend' than the commonest, where 6 would by chance; "
        "20 are needed"
    )
    assert "where 19.9 would" in too_few(np.array([0, 199]), np.array([100, 897]))  # never rounded up to the limit


def test_a_group_of_shares_has_the_score_interval_and_no_width_of_0():
    """20 treated who did not buy and 3 of 20 control members who did: not "-100 points (-100 to -100)"."""
    rng = np.random.default_rng(0)
    first = pd.DataFrame({"s": 1.0, "t": np.arange(400) % 2, "y": (rng.random(400) < 0.2) * 1.0})
    last = pd.DataFrame({"s": 0.0, "t": [1] * 20 + [0] * 3, "y": [0.0] * 20 + [1.0] * 3})
    found = effect_groups(pd.concat([first, last], ignore_index=True).assign(s=lambda x: x["s"]), groups=40, **HOW)
    row = found.groups.iloc[-1]
    low, high, _ = share_difference(0, 20, 3, 3)
    assert (row["effect"], row["low"], row["high"]) == pytest.approx((-1, low, high)) and row["high"] > -0.6


def test_a_group_of_money_with_few_buyers_has_no_interval():
    """Six buyers in the control of a group: no interval, said in words; slope and harm are not claimed either."""
    found = effect_groups(rare(3_000, 0.02), **HOW)
    assert found.groups[["low", "high"]].isna().all().all() and np.isnan(found.slope_low)
    assert (
        found.headline().startswith("Not answerable by group:") and "would by chance; 20 are needed" in found.headline()
    )
    assert "cannot be told" in found.sleeping_dogs() and not list(found.quantities())


def test_the_band_is_that_of_the_mean_difference_where_few_bought():
    """At a share where 20-100 buy, the ends are those of the score interval of its members, times the share."""
    table = rare(12_000, 0.05)
    points = uplift_curve(table, **HOW).points
    row = points.iloc[(points["share"] - 0.5).abs().argmin()]
    best = table.sort_values("s", ascending=False).head(round(row["share"] * len(table)))
    one, zero = (Mean.of(best["y"][best["t"] == arm].to_numpy()) for arm in (1, 0))
    low, high, _ = mean_difference(one, zero, amounts=True)
    assert (row["low"], row["high"]) == pytest.approx((row["share"] * low, row["share"] * high), rel=1e-6)
    events = [(best["y"] > 0)[best["t"] == arm].sum() for arm in (0, 1)]
    assert sum(events) * 0.1 > 20
    told = points["low"].notna().to_numpy()
    assert told[0] and not told[1:30].any() and told[120:].all()  # fewer than 400 buyers leave fewer than 40 to control


def test_an_area_of_few_buyers_errs_as_the_arms_do_when_drawn_again():
    """The pooled error of AUTOC's weights is the spread over 700 permutations of the arms, within a tenth."""
    table, rng = rare(2_000, 0.05, share=0.8), np.random.default_rng(1)
    weight = np.full(20, 0.05)

    def area(treated):
        bins = score_bins(table["s"].to_numpy(), treated, table[["y"]].to_numpy(), most=20)
        one, zero = bins.arms()
        return bins, weight[: len(one.value)] @ (one.value - zero.value)

    treated = table["t"].to_numpy(bool)
    drawn = [area(rng.permutation(treated))[1] for _ in range(700)]
    errors = [area(rng.permutation(treated))[0].pooled_error_of_area(weight, 0.0)[0] for _ in range(20)]
    assert np.sqrt(np.mean(errors)) == pytest.approx(np.std(drawn), rel=0.1)


def test_the_error_of_autoc_does_not_hang_on_what_the_top_control_member_bought():
    """100 held out of 10,000: the only control member of the first bin buys or not, in place of a contacted one."""
    rng = np.random.default_rng(3)
    score, y = rng.random(10_000), (rng.random(10_000) < 0.22).astype(float)
    treated = np.arange(10_000) >= 100
    first = score >= score_bins(score, treated, y[:, None]).lowest[0]
    top = np.flatnonzero(first & ~treated)
    assert len(top) == 1 and first.sum() > 50
    weight, found = np.full(200, 0.005), []
    for bought in (0.0, 1.0):
        other = np.flatnonzero(first & treated & (y == bought))[0]
        told = y.copy()
        told[[top[0], other]] = bought, y[top[0]]
        bins = score_bins(score, treated, told[:, None])
        found.append(bins.pooled_error_of_area(weight[: len(bins.lowest)], 1.0))
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_what_sparing_members_earns_is_the_mirror_of_what_contacting_them_earns():
    """By hand: margin 0.5, contact 1, a quarter spared: −(0.5 x effect − 1) / 4, ends swapped."""
    rng = np.random.default_rng(0)
    treated, bought = np.arange(2_000) >= 200, rng.random(2_000) < 0.08
    rows = Rows(bought * rng.lognormal(3, 1, 2_000), np.zeros(2_000), treated)
    group, costs = np.arange(2_000) % 4 == 0, Costs(0.5, 1.0, 0.0, 0.0)
    judge = Judge(rows, Outcome.of(rows.y), costs, 0.95, "spend")
    one, zero = (Mean.of(rows.y[group & arm]) for arm in (treated, ~treated))
    low, high, _ = mean_difference(one, zero, amounts=True)
    effect = one.value - zero.value
    each = 0.5 * effect - 1
    errors = np.zeros(2_000)  # few bought, so that the group's score interval decides
    lead, _ = judge(-each / 4, errors, np.flatnonzero(group), 2_000, spared=True)
    net, _ = judge(each / 4, errors, np.flatnonzero(group), 2_000)
    assert (lead.low, lead.high) == pytest.approx((-net.high, -net.low))
    spare = each**2 * 0.25 * 0.75 / 2_000
    reach = [np.sqrt((0.125 * gap) ** 2 + spare) for gap in (high - effect, effect - low)]
    assert (-each / 4 - lead.low, lead.high + each / 4) == pytest.approx(reach) and reach[1] > 1.1 * reach[0]


def test_the_lead_over_everybody_misses_alike_on_both_sides():
    """300 campaigns without effect, 90/10, half spared at 1 a contact: each side misses 2.5% (error 0.9)."""
    rng, missed = np.random.default_rng(1), []
    treated, spared, costs = np.arange(4_000) >= 400, np.arange(4_000) % 2 == 0, Costs(0.5, 1.0, 0.0, 0.0)
    everybody = np.ones(4_000, dtype=bool)
    for _ in range(300):
        y = (rng.random(4_000) < 0.05) * rng.lognormal(3, 1, 4_000)
        rows = Rows(y, np.zeros(4_000), treated)
        (net, errors), (whole, all_errors) = policy(rows, ~spared, costs), policy(rows, everybody, costs)
        judge = Judge(rows, Outcome.of(y), costs, 0.95, "spend")
        found, _ = judge(net - whole, errors - all_errors, np.flatnonzero(spared), 4_000, spared=True)
        missed.append([found.low > 0.5, found.high < 0.5])
    assert (np.mean(missed, axis=0) < 0.025 + 3 * 0.009).all()


def test_targeting_on_few_buyers_is_not_answerable():
    """60 buyers with a tenth held out: no verdict, no interval, no band, and the reason with its counts."""
    found = targeting(rare(3_000, 0.02), margin=0.5, contact_cost=0.1, resamples=200, **HOW)
    assert found.verdict == "not answerable" and "10 are needed" in found.headline()
    assert np.isnan([found.net_low, found.everybody.low, found.advantage.low]).all()
    assert found.curve["low"].iloc[1:].isna().all()


def test_net_of_everybody_is_the_score_interval_less_the_costs():
    """Margin times the score interval of the mean difference, less the contact; the incentive adds its own error."""
    table = rare(8_000, 0.05)
    found = targeting(table, margin=0.5, contact_cost=0.1, resamples=200, **HOW)
    one, zero = (Mean.of(table["y"][table["t"] == arm].to_numpy()) for arm in (1, 0))
    low, high, _ = mean_difference(one, zero, amounts=True)
    assert found.everybody.low == pytest.approx(0.5 * low - 0.1) and found.everybody.high == pytest.approx(
        0.5 * high - 0.1
    )
    table["redeemed"] = (table["y"] > 0) & (table["t"] == 1)
    paid = targeting(table, margin=0.5, contact_cost=0.1, incentive_cost=2.0, response="redeemed", resamples=200, **HOW)
    r, y = (table.loc[table["t"] == 1, name].to_numpy(float) for name in ("redeemed", "y"))
    spare = (4 * r.var() - 2 * 2 * 0.5 * np.cov(r, y, ddof=0)[0, 1]) / len(r)
    reach = np.sqrt((0.5 * (one.value - zero.value - low)) ** 2 + spare)
    assert paid.everybody.estimate - paid.everybody.low == pytest.approx(reach)
    last = paid.curve.iloc[-1]
    assert (last["low"], last["high"]) == pytest.approx((paid.everybody.low, paid.everybody.high))


def test_a_difference_that_does_not_vary_has_not_fallen():
    """Nothing happens after day 30: the later effect is 0 without an interval, nothing was tested, and it is said."""
    rng = np.random.default_rng(0)
    t = rng.integers(0, 2, 4_000)
    y = (rng.random(4_000) < 0.05 + 0.05 * t) * 1.0
    table = pd.DataFrame({"t": t, "a": y, "b": y, "nobody": 0.0})
    found = effect_windows(table, outcomes={30: "a", 60: "b"}, treatment="t", guards={"nobody": Guard(0.01)})
    assert not found.pulled_forward and found.pull_p == 1 and "nothing happened after day 30" in found.headline()
    assert found.windows["after_first"].iloc[1] == 0 and np.isnan(found.windows["after_first_low"].iloc[1])
    row = found.guards.iloc[0]
    assert row["upper"] == pytest.approx(float(share_difference(0, t.sum(), 0, (1 - t).sum(), level=0.9)[1]))
    few = table.assign(b=y + (np.arange(4_000) < 3))
    assert (
        "too few members have an outcome after day 30"
        in effect_windows(few, outcomes={30: "a", 60: "b"}, treatment="t").headline()
    )


def test_a_guard_without_events_in_the_control_is_not_safe_by_that():
    """12 of 9,900 against 0 of 100: the rise may be up to the score bound, above a margin of 0.1 points."""
    t = np.r_[np.ones(9_900, int), np.zeros(100, int)]
    table = pd.DataFrame({"t": t, "y": np.random.default_rng(0).random(10_000), "left": (np.arange(10_000) < 12) * 1.0})
    found = effect_windows(table, outcomes={30: "y"}, treatment="t", guards={"left": Guard(0.0005)}).guards.iloc[0]
    low, high, _ = share_difference(12, 9_900, 0, 100, level=0.9)
    assert (found["lower"], found["upper"]) == pytest.approx((low, high)) and found["verdict"] == "not shown"


def test_departures_of_one_arm_alone_have_a_score_interval():
    """30 of 400 left the treated, nobody of 400 in control: the interval of 30/400 against 0/400, by both arms."""
    days = np.r_[np.full(30, 40.0), np.full(770, 100.0)]
    table = pd.DataFrame({"d": days, "left": (days < 100) * 1, "t": np.repeat([1, 0], 400)})
    found = staying(table, days="d", left="left", treatment="t", horizon=90)
    low, high, _ = share_difference(30, 400, 0, 400)
    assert (found.kept.low, found.kept.high) == pytest.approx((-high, -low), abs=1e-9)
    few = table.assign(left=0).assign(left=lambda x: (x.index < 6) * 1)
    with pytest.raises(CannotAnswer, match=r"6 treated and 0 control members left within 90 days, .* have 3 by chance"):
        staying(few, days="d", left="left", treatment="t", horizon=90)


def test_a_delivered_contact_claims_nothing_where_the_control_has_no_buyer():
    """50 of 9,900 against 0 of 100, 60% reached: 0 lies inside; the ends are the score interval's over the share."""
    t = np.r_[np.ones(9_900, int), np.zeros(100, int)]
    table = pd.DataFrame(
        {"t": t, "y": (np.arange(10_000) < 50) * 1.0, "d": ((np.arange(10_000) % 5 < 3) & (t == 1)) * 1.0}
    )
    found = complier_effect(table, outcome="y", treatment="t", delivered="d")
    low, high, _ = share_difference(50, 9_900, 0, 100)
    assert found.low < 0 < found.high and "raised" not in found.headline()
    assert (found.low, found.high) == pytest.approx((low / 0.6, high / 0.6), rel=0.01)
    assert np.isnan([found.delta_low, found.delta_high]).all()


def test_fatigue_and_missing_outcomes_refuse_few_buyers():
    """8 buyers among those with earlier contacts tell no trend; 12 known buyers no bounds."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"t": np.arange(2_000) % 2, "dose": rng.integers(0, 3, 2_000), "y": (np.arange(2_000) < 12) * 9.0}
    )
    found = contact_fatigue(table, outcome="y", treatment="t", dose="dose")
    assert np.isnan(found.trend.low) and found.headline().startswith("Not answerable: of those with another")
    with pytest.raises(CannotAnswer, match=r"6 of the 1,000 members .* 20 are needed"):
        attrition_bounds(table, outcome="y", treatment="t")


def test_a_ledger_sets_campaigns_of_few_buyers_aside_by_name():
    """Five campaigns tell, one has 6 buyers in its control and one none at all: both are named, neither counted."""
    good = [rare(4_000, 0.3, 0.5, seed).assign(c=f"c{seed}") for seed in range(5)]
    small, none = rare(3_000, 0.02).assign(c="small"), rare(500, 0.0).assign(c="none")
    effects = campaign_effects(
        pd.concat([*good, small, none], ignore_index=True), campaign="c", outcome="y", treatment="t"
    )
    ledger = campaign_ledger(effects)
    assert sorted(ledger.set_aside) == ["none", "small"] and len(ledger.campaigns) == 5
    assert "20 are needed" in ledger.set_aside["small"] and "is the same for all 500" in ledger.set_aside["none"]
    assert "Set aside: 'none', 'small' (for instance none:" in ledger.headline()
    alone = campaign_ledger(effects[effects["doubt"] == ""])
    pd.testing.assert_frame_equal(alone.campaigns, ledger.campaigns)
    zero = effects[effects["doubt"] == ""].drop(columns=["low", "high", "doubt"])
    assert (
        "its error is 0" in campaign_ledger(pd.concat([zero, zero.head(1).assign(campaign="z", se=0.0)])).set_aside["z"]
    )
    with pytest.raises(CannotAnswer, match=r"1 campaigns don't tell .* set aside: none \("):
        campaign_ledger(effects[effects["campaign"].isin(["c0", "none", "small"])])


def test_a_ledger_reads_iso_days_and_counts_placeholders():
    """ISO text gives the drift of dates; a campaign dated 1900-01-01 enters it not, and is counted."""
    day = pd.date_range("2024-01-01", periods=8, freq="91D")
    table = pd.DataFrame({"campaign": list("abcdefgh"), "effect": 10 - 3.0 * np.arange(8), "se": 0.1, "day": day})
    dated, text = (campaign_ledger(table.assign(day=d), date="day") for d in (day, day.strftime("%Y-%m-%d")))
    assert dated.drift == text.drift and dated.undated == 0
    extra = pd.DataFrame({"campaign": ["old"], "effect": [5.0], "se": [0.1], "day": ["1900-01-01"]})
    more = campaign_ledger(pd.concat([table.assign(day=day.strftime("%Y-%m-%d")), extra]), date="day")
    assert more.undated == 1 and more.drift.estimate == pytest.approx(dated.drift.estimate)
    assert str(more.headline()).endswith(" 1 of 9 campaigns have no day and do not enter the trend.")
    assert "no day" not in str(dated.headline())


def test_a_lopsided_interval_is_tested_on_the_side_of_the_break_even():
    """Effect 2 with the interval [-1, 3]: its lower reach, not its error of 0.8, says whether it paid."""
    table = pd.DataFrame(
        {"campaign": list("abcdef"), "effect": 2.0, "se": 0.8, "low": 2 - 1.96 * 0.8, "high": 2 + 1.96 * 0.8}
    )
    table.loc[0, ["low", "high"]] = [-1.0, 3.0]
    p = campaign_ledger(table).campaigns["p"]
    assert p[0] == pytest.approx(0.0955, abs=1e-3) and p[1] == pytest.approx(0.0062, abs=1e-3)


def test_days_of_monitoring_may_be_iso_text():
    """ISO text is read as days; 9999-12-31 is a window that is still open."""
    rng = np.random.default_rng(0)
    day = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 20, 2_000)), unit="D")
    table = pd.DataFrame({"t": rng.integers(0, 2, 2_000), "y": rng.gamma(2, 5, 2_000), "known": day})
    text = table.assign(known=table["known"].dt.strftime("%Y-%m-%d"))
    how = {"outcome": "y", "treatment": "t", "known_on": "known"}
    pd.testing.assert_frame_equal(
        monitor_campaign(table, **how).days, monitor_campaign(text, **how).days, check_dtype=False
    )
    text.loc[text.index[-5:], "known"] = "9999-12-31"
    assert monitor_campaign(text, **how).waiting == 5


def test_a_plan_needs_buyers_in_each_arm():
    """A share of 0.2%: 2,000 held out hold 4 buyers, so no power is promised; 10,000 are needed for 20."""
    plan = plan_campaign(
        spread=Spread(mean=0.002, sd=0.0447, kind="share"), members=20_000, wanted=0.5, holdouts=[0.1, 0.5]
    )
    assert plan.table["buyers"].tolist() == pytest.approx([4, 20])
    assert np.isnan(plan.table["detectable"].iloc[0]) and plan.recommended == 0.5
    small = plan_campaign(spread=Spread(mean=0.002, sd=0.0447, kind="share"), members=2_000, wanted=0.5, holdouts=[0.1])
    assert "too few to say what it shows (20 needed); 20,000 members would do" in small.headline()
    assert required_size(0.5, spread=Spread(mean=0.002, sd=0.0447, kind="share")) == 20_000


@pytest.mark.parametrize("kind", ["uplift", "toc"])
@pytest.mark.parametrize("top", [True, False])
def test_a_part_without_control_members_has_no_interval_and_no_warning(kind, top):
    """The highest (lowest) scores hold the whole control arm: what lies beyond has nothing to be compared with."""
    rng, n = np.random.default_rng(1), 3_000
    y = (rng.random(n) < 0.02) * np.exp(rng.standard_normal(n))
    arm = np.r_[rng.permutation(np.arange(1_000) < 700), np.ones(n - 1_000, bool)].astype(int)
    table = pd.DataFrame({"score": np.arange(n)[:: -1 if top else 1] / n, "t": arm, "y": y})
    curve = uplift_curve(table, score="score", outcome="y", treatment="t", kind=kind, resamples=100, rng=0)
    alone = curve.points[curve.points["share"].between(*((0.34, 0.99) if top else (0.01, 0.66)))]
    assert alone["low"].isna().all() and alone["high"].isna().all()
