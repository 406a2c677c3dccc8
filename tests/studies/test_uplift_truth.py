"""The sample operator's campaigns: known individual effects are recovered, and the verdicts are right."""

import numpy as np
import pandas as pd
import pytest

from workbench.studies.uplift import average_effect, check_campaign, predict_uplift, targeting

COLUMNS = {
    "活动编码": "campaign_id",
    "客户编号": "customer_id",
    "组别": "arm",
    "是否响应": "responded",
    "窗口收入": "revenue",
    "年龄": "age",
    "网龄月": "tenure_months_before",
    "近三月ARPU": "arpu_before",
    "近三月流量MB": "data_mb_before",
    "活跃下降": "decline_before",
    "风险评分": "risk_score",
}
COVARIATES = list(COLUMNS.values())[5:]


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory):
    """Members by campaign with their true effects; the few rows written as bad ones are left out."""
    sample = pytest.importorskip("workbench.warehouse.sample", reason="the sample operator is not here")
    folder = tmp_path_factory.mktemp("operator")
    sample.write_sample(folder, customers=20_000, seed=0)
    found = next(folder.rglob("活动名单.csv"))
    raw = pd.read_csv(found, encoding="gb18030", dtype=str).rename(columns=COLUMNS)
    raw["arm"] = raw["arm"].map({"实验组": "treatment", "对照组": "control"})
    for name in ["responded", "revenue", *COVARIATES]:
        raw[name] = pd.to_numeric(raw[name], errors="coerce")
    raw = raw.dropna(subset=["arm", "responded", "revenue"]).drop_duplicates(["campaign_id", "customer_id"])
    raw = raw[raw["revenue"].between(0, 1e6)]
    truth = pd.read_parquet(folder / "truth" / "campaign_members.parquet")
    table = raw.merge(truth, on=["campaign_id", "customer_id"], validate="one_to_one")
    return {name: part.reset_index(drop=True) for name, part in table.groupby("campaign_id")}


@pytest.mark.parametrize("campaign", ["data_upgrade", "sms_greeting"])
@pytest.mark.parametrize("outcome", ["responded", "revenue"])
@pytest.mark.parametrize("method", ["difference", "lin"])
def test_the_effect_is_recovered(campaigns, campaign, outcome, method):
    """The estimate is within three standard errors of the mean of the true individual effects."""
    table = campaigns[campaign]
    covariates = COVARIATES if method == "lin" else ()
    found = average_effect(table, outcome=outcome, treatment="arm", covariates=covariates, method=method)
    assert abs(found.estimate - table[f"effect_{outcome}"].mean()) < 3 * found.se


def test_who_reacts_is_recovered(campaigns):
    """Predicted effects on responses correlate with the true ones."""
    table = campaigns["data_upgrade"]
    score = predict_uplift(table, outcome="responded", treatment="arm", features=COVARIATES)
    assert np.corrcoef(score, table["effect_responded"])[0, 1] > 0.3


def test_verdicts(campaigns):
    """The greeting shows no evidence on revenue; the call, made by rule, is not answerable."""
    for campaign, verdict in (("sms_greeting", "no evidence"), ("retention_call", "not answerable")):
        table = campaigns[campaign]
        how = {"outcome": "revenue", "treatment": "arm"}
        checks = check_campaign(table, treatment="arm", covariates=COVARIATES)
        score = predict_uplift(table, features=COVARIATES, **how)
        found = targeting(
            table, score=score, margin=0.5, contact_cost=0.05, checks=checks, resamples=300, campaign=campaign, **how
        )
        assert found.verdict == verdict, found.headline()
