"""The checks before the effect: by hand, their size, and what they refuse."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.studies.uplift import check_campaign, sample_ratio


def campaign(members: int, seed: int) -> pd.DataFrame:
    """Randomised arms, with a skewed number, a text with gaps and an outcome."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"id": np.arange(members), "t": rng.permutation(np.arange(members) % 2)})
    table["bill"] = rng.lognormal(size=members)
    table["town"] = np.where(rng.random(members) < 0.1, None, rng.choice(["A", "B", "C", "D"], members))
    table["y"] = rng.random(members)
    return table


def test_difference_by_hand():
    """Means 2 and 1 with variances 1 and 1 differ by one standard deviation; shares of a town by their own."""
    table = pd.DataFrame({"t": [1, 1, 0, 0] * 5, "x": [1, 3, 0, 2] * 5, "town": list("AABA") * 5})
    balance = check_campaign(table, treatment="t", covariates=["x", "town"]).balance.set_index("covariate")
    assert balance.loc["x", "difference"] == pytest.approx(1)
    assert balance.loc["town=A", ["treated", "control"]].tolist() == [1.0, 0.5]


@pytest.mark.prove
def test_the_joint_test_holds_its_size():
    """In 300 randomised campaigns, 5% fall below p = 0.05, within three standard errors."""
    p = [check_campaign(campaign(300, s), treatment="t", covariates=["bill", "town"]).balance_p for s in range(300)]
    assert abs(np.mean(np.array(p) < 0.05) - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 300)


def test_selected_members_are_not_comparable():
    """Where the contacted were chosen by their bill, the causal claim is refused and the covariate named."""
    table = campaign(2_000, 0)
    table["t"] = (table["bill"] > 1).astype(int)
    found = check_campaign(table, treatment="t", covariates=["bill", "town"])
    assert not found.comparable
    assert "No causal claim: the arms differ before the campaign" in found.headline() and "'bill'" in found.headline()


def test_sample_ratio_and_missing_outcomes_are_reasons():
    """A share of treated far from the plan, and outcomes missing in one arm, each speak against the campaign."""
    table = campaign(2_000, 0)
    assert "were planned" in check_campaign(table, treatment="t", covariates=["bill"], expected_share=0.6).reasons[0]
    table.loc[(table["t"] == 1) & (table["id"] % 5 == 0), "y"] = np.nan
    assert "'y' is missing" in check_campaign(table, treatment="t", covariates=["bill"], outcomes=["y"]).reasons[0]


def test_a_clean_campaign_is_comparable():
    """Randomised with the planned share: comparable, with the largest difference said and drawn."""
    found = check_campaign(
        campaign(2_000, 1), treatment="t", covariates=["bill", "town"], expected_share=0.5, member="id"
    )
    assert found.comparable and "arms are comparable" in found.headline()
    assert len(found.plot().get_yticks()) == len(found.balance)
    assert found.summary()["difference"].abs().is_monotonic_decreasing


def test_refusals():
    """Members listed twice, plans that are no shares and dates as covariates are refused."""
    table = campaign(50, 0)
    with pytest.raises(WorkbenchError, match="more than once"):
        check_campaign(table.assign(id=1), treatment="t", covariates=[], member="id")
    with pytest.raises(WorkbenchError, match="expected_share is 2"):
        check_campaign(table, treatment="t", covariates=[], expected_share=2)
    with pytest.raises(WorkbenchError, match="sum to 1"):
        sample_ratio([1, 2], [0.5, 0.6])
    with pytest.raises(WorkbenchError, match="holds dates"):
        check_campaign(table.assign(on=pd.Timestamp("2026-01-01")), treatment="t", covariates=["on"])
