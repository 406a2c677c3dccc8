"""What followed a campaign: windows, exposures and province panels equal sums taken by hand; truth is recovered."""

import re

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse import (
    campaign_arms,
    campaign_series,
    campaign_windows,
    closed_campaigns,
    exposures,
    open_warehouse,
    other_contacts,
    province_panel,
)
from workbench.warehouse.views import view


@pytest.fixture(scope="module")
def warehouse(operator):
    return open_warehouse("sample", root=operator)


@pytest.fixture(scope="module")
def offers(warehouse):
    return campaign_windows(warehouse, "bundle_offers")


@pytest.fixture(scope="module")
def truth(operator):
    table = pd.read_parquet(operator / "data/raw/sample/truth/bundle_offers.parquet")
    return table.assign(total=table[[f"month_{k}" for k in range(1, 7)]].sum(axis=1))


def test_windows_are_the_sums_of_their_days(warehouse, offers):
    """Revenue, complaints and departures of each window equal what pandas adds up from the tables."""
    members = offers.members.set_index("customer_id")
    bill = warehouse.table("bill", ["customer_id", "month", "amount"])
    ticket = warehouse.table("ticket", ["customer_id", "kind", "opened_at"])
    lines = warehouse.table("subscription", ["customer_id", "ended_on"]).groupby("customer_id")["ended_on"]
    left = lines.max().where(lines.apply(lambda days: days.notna().all()))
    start = pd.Timestamp("2025-01-01")
    for days, after in ((30, "2025-02-01"), (90, "2025-04-01"), (180, "2025-07-01")):
        paid = bill[(bill["month"] >= start) & (bill["month"] < after)].groupby("customer_id")["amount"].sum()
        assert np.allclose(members[f"revenue_{days}"], paid.reindex(members.index, fill_value=0))
        end = start + pd.Timedelta(days=days)
        cases = ticket[(ticket["kind"] == "complaint") & (ticket["opened_at"] >= start) & (ticket["opened_at"] < end)]
        assert (members[f"complaints_{days}"] == members.index.map(cases["customer_id"].value_counts()).fillna(0)).all()
        gone = (left < end).reindex(members.index).fillna(False)
        assert (members[f"churned_{days}"].dropna() == gone[members["churned_30"].notna()]).all()
    assert offers.outcomes()[60] == "revenue_60"


def test_what_is_not_there_is_said(warehouse, offers):
    """Detail records reach back half a year only; a window still open is named; none closed is refused."""
    assert offers.not_available == ("events: detail_record has rows from 2026-01-01 only",)
    assert offers.headline() == "Not available: events: detail_record has rows from 2026-01-01 only."
    assert offers.headline().said("zh") == "无法提供：使用记录数：detail_record仅有2026年1月1日以来的数据。"
    recent = campaign_windows(warehouse, "data_upgrade")
    assert recent.days == (30, 60, 90) and "180 days: the window is open" in recent.not_available[0]
    assert recent.members["events_30"].le(recent.members["events_90"]).all()
    with pytest.raises(CannotAnswer, match=r"no window .* closed before 2025-01-20"):
        campaign_windows(warehouse, "bundle_offers", as_of="2025-01-20")
    with pytest.raises(WorkbenchError, match="Give 30 days or more"):
        campaign_windows(warehouse, "bundle_offers", days=(7,))
    with pytest.raises(WorkbenchError, match="Did you mean 'revenue'"):
        offers.outcomes("revenu")


class Undelivered:
    """The warehouse without the bills of some months."""

    def __init__(self, warehouse, *months):
        self.warehouse, self.as_of, self.campaign = warehouse, warehouse.as_of, warehouse.campaign
        self.months = ", ".join(f"DATE '{month}-01'" for month in months)

    def query(self, sql, values=None):
        """Ask it, with `bill` less those months."""
        left = f"(SELECT * FROM bill WHERE month NOT IN ({self.months})) AS bill"
        return self.warehouse.query(re.sub(r"(FROM|JOIN) bill\b", rf"\1 {left}", sql), values)


def test_months_not_delivered_are_unknown(warehouse, offers):
    """Windows that hold such a month have no revenue and say so; the mean before is of the months that are there."""
    found = campaign_windows(Undelivered(warehouse, "2025-03", "2024-11"), "bundle_offers")
    assert {"revenue_30", "revenue_60"} <= set(found.members) and "revenue_90" not in found.members
    assert "revenue of 90 days: no bill of 2025-03 is on record" in found.not_available
    bill = warehouse.table("bill", ["customer_id", "month", "amount"])
    paid = bill[bill["month"].isin(pd.to_datetime(["2024-10-01", "2024-12-01"]))].groupby("customer_id")["amount"].sum()
    mean = paid.reindex(found.members["customer_id"], fill_value=0).to_numpy() / 2
    assert np.allclose(found.members["revenue_before"], mean)
    assert np.allclose(found.members["revenue_60"], offers.members["revenue_60"])
    none = campaign_windows(Undelivered(warehouse, "2024-10", "2024-11", "2024-12"), "bundle_offers")
    assert "revenue_before" not in none.members and "no bill of the three months before" in none.not_available[-1]


def test_few_members_of_another_day_are_left_out(warehouse, offers, monkeypatch):
    """Three of thousands are counted and said, the others are as they were; more than a twentieth are refused."""
    for odd, day in ((3, "2020-01-01"), (3, "2027-01-01"), (0.06, "2027-01-01")):
        n = odd if odd >= 1 else int(odd * len(offers.members))

        def moved(source, name, n=n, day=day, **asked):
            found = view(source, name, **asked)
            return (
                found
                if name != "campaign_member_life"
                else found.assign(assigned_on=found["assigned_on"].where(np.arange(len(found)) >= n, pd.Timestamp(day)))
            )

        monkeypatch.setattr("workbench.warehouse.aftermath.view", moved)
        if odd < 1:
            with pytest.raises(CannotAnswer, match="were assigned on different days: split it by day"):
                campaign_windows(warehouse, "bundle_offers")
            continue
        found = campaign_windows(warehouse, "bundle_offers")
        pd.testing.assert_frame_equal(found.members, offers.members.iloc[n:].reset_index(drop=True))
        assert found.other_day == n and found.headline().endswith("on another day than the others: 3 members.")


def test_exposures_are_the_contacts_that_chance_gave(warehouse, truth):
    """Contacts before are those of the truth; given the offers before, about half of them came."""
    found = exposures(warehouse, "bundle_offers").set_index("customer_id")
    dose = truth.drop_duplicates("customer_id").set_index("customer_id")["dose"]
    both = found.join(dose, how="inner")
    assert (both["contacts_before"] <= both["offers_before"]).all() and found["randomised"].all()
    assert (both["contacts_before"] == both["dose"]).mean() > 0.995  # the rest stands in the quarantine
    one = found.loc[found["offers_before"] == 1, "contacts_before"]
    assert abs(one.mean() - 0.475) < 4 * np.sqrt(0.25 / len(one))


def test_offers_show_their_true_effects_by_arm(offers, truth):
    """By assignment and, per contact delivered, each arm's effect on 180 days' revenue is the truth's, within 4 SE."""
    members = offers.members.assign(gain=lambda t: t["revenue_180"] - 6 * t["revenue_before"])
    control = members[members["arm"] == "control"]
    assert not control["contacted"].any()
    for arm in ("voucher", "data_pack", "call"):
        treated = members[members["arm"] == arm]
        own = truth[truth["arm"] == arm].set_index("customer_id").reindex(members["customer_id"])
        error = np.sqrt(treated["gain"].var() / len(treated) + control["gain"].var() / len(control))
        effect = treated["gain"].mean() - control["gain"].mean()
        assert abs(effect - (own["total"] * own["reached"]).mean()) < 4 * error
        share = treated["contacted"].mean()
        assert abs(effect / share - own.loc[own["reached"].to_numpy(bool), "total"].mean()) < 4 * error / share
        reached = own["reached"].mean()
        assert abs(share - reached) < 4 * np.sqrt(reached * (1 - reached) / len(treated))
    call = members[members["arm"] == "call"]
    assert call["opted_out"].mean() > 2 * control["opted_out"].mean()
    assert call["complaints_30"].mean() > 2 * control["complaints_30"].mean()


def test_all_arms_come_by_name(warehouse):
    """Without an arm, the treatment holds the arms' names and nobody is left out."""
    arms = campaign_arms(warehouse, "bundle_offers", arm="", as_of="2026-07-01")
    assert set(arms.members["treatment"]) == {"control", "voucher", "data_pack", "call"} and arms.others == 0
    assert {"opted_out", "revenue"} <= set(arms.outcomes) and "arpu_before" in arms.covariates


def test_the_pilot_shows_in_the_provinces(warehouse):
    """The difference in differences of the province means is the pilot's 4 yuan within four standard errors."""
    panel = province_panel(warehouse, "home_pilot")
    wide = panel.pivot_table(index=["province", "treated"], columns="after", values="revenue").reset_index()
    gain, treated = wide[1] - wide[0], wide["treated"] == 1
    assert treated.sum() == 8 and len(wide) == 31
    error = np.sqrt(gain[treated].var() / 8 + gain[~treated].var() / 23)
    assert abs(gain[treated].mean() - gain[~treated].mean() - 4) < 4 * error
    with pytest.raises(CannotAnswer, match="names no provinces"):
        province_panel(warehouse, "data_upgrade")


def test_closed_campaigns_are_randomised_and_over(warehouse):
    """Eighteen randomised campaigns; those still running on the day, and those chosen by rule, are left out."""
    table = closed_campaigns(warehouse, outcome="revenue", covariate="arpu_before", as_of="2026-01-01")
    assert table["campaign_id"].nunique() == 17 and set(table["treatment"]) == {0, 1}
    assert table["arpu_before"].notna().all()
    assert "data_upgrade" in set(closed_campaigns(warehouse, outcome="revenue")["campaign_id"])
    with pytest.raises(CannotAnswer, match="has the outcome 'joy'"):
        closed_campaigns(warehouse, outcome="joy")


def test_a_series_is_of_one_channel_and_one_length(warehouse):
    """Of eight campaigns by call seven ran for two months: their members, each with the day its window closed."""
    members = closed_campaigns(warehouse, outcome="revenue")
    series = campaign_series(warehouse, members, channel="outbound_call")
    facts = warehouse.table("campaign").set_index("campaign_id")
    assert set(series["campaign_id"]) == {f"small_{n:02d}" for n in (2, 4, 7, 8, 11, 13, 14)}
    assert (series["ends_on"] == series["campaign_id"].map(facts["ends_on"])).all()
    assert len(series) == members["campaign_id"].isin(series["campaign_id"]).sum()
    with pytest.raises(CannotAnswer, match=r"channel 'fax'\. They ran on: 'outbound_call', 'sms'"):
        campaign_series(warehouse, members, channel="fax")


def test_other_contacts_are_those_that_other_campaigns_delivered(warehouse):
    """As pandas takes them: delivered, of another campaign, on the day of assignment or the campaign's first."""
    members, campaigns = warehouse.table("campaign_member"), warehouse.table("campaign").set_index("campaign_id")
    mine = members[members["contacted"].eq(True) & (members["campaign_id"] != "bundle_offers")]
    day = pd.to_datetime(mine["assigned_on"]).fillna(pd.to_datetime(mine["campaign_id"].map(campaigns["starts_on"])))
    found = other_contacts(warehouse, "bundle_offers")
    taken = pd.Series(
        pd.to_datetime(found["day"]).to_numpy(), pd.MultiIndex.from_frame(found[["campaign_id", "customer_id"]])
    )
    wanted = pd.Series(day.to_numpy(), pd.MultiIndex.from_frame(mine[["campaign_id", "customer_id"]]))
    assert len(taken) == len(wanted) > 0 and (taken.sort_index() == wanted.sort_index()).all()
