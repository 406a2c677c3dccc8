"""A campaign is read only when its outcome window has closed."""

import pytest

from workbench.errors import CannotAnswer
from workbench.warehouse import campaign_arms, open_warehouse


def test_the_last_day_of_the_window_must_be_known(operator):
    """The window ends on 2026-06-30: as of that day it is open, as of the next it is not."""
    warehouse = open_warehouse("sample", root=operator)
    with pytest.raises(CannotAnswer, match="runs until 2026-06-30"):
        campaign_arms(warehouse, "data_upgrade", arm="treatment", as_of="2026-06-30")
    arms = campaign_arms(warehouse, "data_upgrade", arm="treatment", as_of="2026-07-01")
    assert set(arms.members["treatment"]) == {0, 1} and arms.members["customer_id"].is_unique


def test_each_kind_of_campaign_has_its_study(operator):
    """A campaign chosen by rule is refused where randomisation is needed, one of whole provinces always: with the study
    that answers instead."""
    warehouse = open_warehouse("sample", root=operator)
    asked = {"arm": "treatment", "as_of": "2026-07-01"}
    with pytest.raises(CannotAnswer, match="not randomised: the study 'observational' says"):
        campaign_arms(warehouse, "retention_call", **asked, randomised=True)
    with pytest.raises(CannotAnswer, match="whole provinces, not to members: the study 'rollout' says"):
        campaign_arms(warehouse, "home_pilot", **asked)
    with pytest.raises(CannotAnswer, match="were randomised: the study 'uplift' says"):
        campaign_arms(warehouse, "data_upgrade", **asked, randomised=False)
    arms = campaign_arms(warehouse, "retention_call", **asked)
    means, members = arms.means(), arms.members
    assert arms.headline().startswith("Contact from 2026-") and arms.headline().endswith("columns.")
    assert arms.caption().endswith("assignment: selected).") and "人工选取" in arms.caption().said("zh")
    assert means["members"].to_dict() == {
        "control": sum(members["treatment"] == 0),
        "contact": sum(members["treatment"]),
    }
    assert means.loc["contact", "revenue"] == pytest.approx(members.loc[members["treatment"] == 1, "revenue"].mean())


def test_a_margin_on_revenue_prices_no_response(operator):
    """A campaign's own margin is on revenue: a response, 0 or 1, has none; a margin that is given is taken."""
    arms = campaign_arms(open_warehouse("sample", root=operator), "data_upgrade", arm="treatment", as_of="2026-07-01")
    with pytest.raises(CannotAnswer, match="the margin of campaign 'data_upgrade' is on revenue, and 'responded' is"):
        arms.cost("margin", -1, "responded")
    assert arms.cost("margin", -1, "revenue") == arms.cost("margin", -1) == 0.45
    assert arms.cost("margin", 1.0, "responded") == 1.0 and arms.cost("contact_cost", -1, "responded") == 4.0
