"""The sample operator's campaigns: known individual effects are recovered, and the verdicts are right."""

import numpy as np
import pandas as pd
import pytest

from workbench.studies.uplift import average_effect, check_campaign, predict_uplift, targeting
from workbench.warehouse import campaign_arms, open_warehouse


@pytest.fixture(scope="module")
def campaigns(operator):
    """By campaign: members as the warehouse gives them with their true effects, covariates, and costs."""
    warehouse = open_warehouse("sample", root=operator)
    truth = pd.read_parquet(operator / "data/raw/sample/truth/campaign_members.parquet")
    found = {}
    for name, effects in truth.groupby("campaign_id"):
        arms = campaign_arms(warehouse, name, arm="treatment", as_of="2026-07-01")
        table = arms.members.merge(effects.drop(columns="campaign_id"), on="customer_id", validate="one_to_one")
        costs = {cost: arms.cost(cost, -1) for cost in ("margin", "contact_cost", "incentive_cost")}
        found[name] = (table, list(arms.covariates), costs)
    return found


@pytest.mark.parametrize("campaign", ["data_upgrade", "sms_greeting"])
@pytest.mark.parametrize("outcome", ["responded", "revenue"])
@pytest.mark.parametrize("method", ["difference", "lin"])
def test_the_effect_is_recovered(campaigns, campaign, outcome, method):
    """The estimate is within three standard errors of the mean of the true individual effects."""
    table, known, _ = campaigns[campaign]
    covariates = known if method == "lin" else ()
    found = average_effect(table, outcome=outcome, treatment="treatment", covariates=covariates, method=method)
    assert abs(found.estimate - table[f"effect_{outcome}"].mean()) < 3 * found.se


def test_who_reacts_is_recovered(campaigns):
    """Predicted effects on responses correlate with the true ones."""
    table, known, _ = campaigns["data_upgrade"]
    score = predict_uplift(table, outcome="responded", treatment="treatment", features=known)
    assert np.corrcoef(score, table["effect_responded"])[0, 1] > 0.6


def test_verdicts(campaigns):
    """The upgrade pays for a part, the greeting shows no evidence, the call, made by rule, is not answerable."""
    verdicts = {
        "data_upgrade": "works and targetable",
        "sms_greeting": "no evidence",
        "retention_call": "not answerable",
    }
    for campaign, verdict in verdicts.items():
        table, known, costs = campaigns[campaign]
        how = {"outcome": "revenue", "treatment": "treatment"}
        checks = check_campaign(table, treatment="treatment", covariates=known)
        score = predict_uplift(table, features=known, validation="sequential", **how).dropna()
        found = targeting(
            table.loc[score.index], score=score, response="responded", checks=checks, resamples=300, **costs, **how
        )
        assert found.verdict == verdict, found.headline()
