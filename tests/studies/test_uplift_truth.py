"""The sample operator's campaigns: known individual effects are recovered, and the verdicts are right."""

import numpy as np
import pandas as pd
import pytest

from workbench.studies.uplift import average_effect, check_campaign, predict_uplift, targeting
from workbench.warehouse import campaign_arms, open_warehouse


@pytest.fixture(scope="module")
def campaigns(operator):
    """Members by campaign as the warehouse gives them, with their true effects; and the covariates of each."""
    warehouse = open_warehouse("sample", root=operator)
    truth = pd.read_parquet(operator / "data/raw/sample/truth/campaign_members.parquet")
    tables, known = {}, {}
    for name, effects in truth.groupby("campaign_id"):
        arms = campaign_arms(warehouse, name, arm="treatment", as_of="2026-07-01")
        tables[name] = arms.members.merge(effects.drop(columns="campaign_id"), on="customer_id", validate="one_to_one")
        known[name] = list(arms.covariates)
    return tables, known


@pytest.mark.parametrize("campaign", ["data_upgrade", "sms_greeting"])
@pytest.mark.parametrize("outcome", ["responded", "revenue"])
@pytest.mark.parametrize("method", ["difference", "lin"])
def test_the_effect_is_recovered(campaigns, campaign, outcome, method):
    """The estimate is within three standard errors of the mean of the true individual effects."""
    table, known = (part[campaign] for part in campaigns)
    covariates = known if method == "lin" else ()
    found = average_effect(table, outcome=outcome, treatment="treatment", covariates=covariates, method=method)
    assert abs(found.estimate - table[f"effect_{outcome}"].mean()) < 3 * found.se


def test_who_reacts_is_recovered(campaigns):
    """Predicted effects on responses correlate with the true ones."""
    table, known = (part["data_upgrade"] for part in campaigns)
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
        table, known = (part[campaign] for part in campaigns)
        how = {"outcome": "revenue", "treatment": "treatment"}
        checks = check_campaign(table, treatment="treatment", covariates=known)
        score = predict_uplift(table, features=known, **how)
        found = targeting(
            table, score=score, margin=0.45, contact_cost=4.0, checks=checks, resamples=300, campaign=campaign, **how
        )
        assert found.verdict == verdict, found.headline()
