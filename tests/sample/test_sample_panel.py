"""Are the survey's people who they claim to be: invited at known rates, alive, as satisfied as they stay?"""

import io
import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from workbench.sample import panel, survey, write_sample
from workbench.sample import population as everyone
from workbench.sample.operator import read_operator


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A sample of 4,000 customers."""
    folder = tmp_path_factory.mktemp("panel") / "raw"
    write_sample(folder, customers=4_000, seed=9)
    return folder


def read(folder, name: str, key: str, **options) -> pd.DataFrame:
    """A file's rows, bad ones left out: of equal keys the first."""
    text = (folder / name).read_bytes().decode("gb18030")
    return pd.read_csv(io.StringIO(text), dtype="str", **options).drop_duplicates(key)


@pytest.fixture(scope="module", params=everyone.WAVES)
def wave(request, sample):
    """A wave's interviews, its invitations, and the truth behind both."""
    name = request.param
    truth = json.loads((sample / "truth/survey.json").read_text(encoding="utf-8"))
    said = read(sample, f"survey/满意度调查_{name}.csv", "问卷编号").set_index("问卷编号")
    invited = read(sample, f"survey/邀请记录_{name}.csv", "邀请编号")
    return name, said, invited, truth


def test_invitations_are_answered_at_the_true_rates(wave):
    """Answers over invitations by channel, service and province lie within 4.5 errors of the product of the factors."""
    _, said, invited, truth = wave
    rates = truth["response_rates"]
    service = dict(zip(("移动业务", "宽带", "固话"), everyone.SERVICES, strict=True))
    rate = invited["访问方式"].map(rates["channel"]) * invited["业务"].map(service).map(rates["service"])
    rate *= invited["省份"].map(rates["province"])
    answered = invited["结果"] == "成功"
    for column in ("访问方式", "业务", "省份"):
        groups = pd.DataFrame({"p": rate, "y": answered, "v": rate * (1 - rate)}).groupby(invited[column]).sum()
        assert (np.abs(groups["y"] - groups["p"]) < 4.5 * np.sqrt(groups["v"])).all()
    assert answered.sum() == len(said) and set(invited.loc[answered, "问卷编号"]) == set(said.index)
    assert invited.loc[~answered, "问卷编号"].isna().all()


def test_an_interview_and_its_invitation_agree(wave):
    """Both name the same operator, province, service, channel and customer; the invitation is not later."""
    _, said, invited, _ = wave
    both = invited.dropna(subset="问卷编号").set_index("问卷编号").loc[said.index]
    for column in ("运营商", "省份", "业务", "访问方式", "客户编号"):
        assert both[column].equals(said[column])
    assert (both["邀请日期"] <= said["访问日期"]).all()


def test_people_asked_are_customers_of_the_operator_on_that_day(sample, wave):
    """Only the operator's own customers are named, each once a wave, in their province, with the service, alive."""
    name, said, invited, truth = wave
    known = said[said["客户编号"].notna()]
    assert (known["运营商"] == "中国电信").all() and len(known) == truth["waves"][name]["linked"] > 1_000
    assert not invited["客户编号"].dropna().duplicated().any()
    assert known["访问日期"].between(f"{name}-01-01", f"{name}-02-28").all()
    who = read(sample, "crm/客户资料.csv", "客户编号").set_index("客户编号").loc[known["客户编号"]]
    assert (who["省份"].to_numpy() == known["省份"].to_numpy()).all() and (who["内部"] == "否").all()
    lines = read(sample, "crm/用户资料.txt", "用户编号", sep="|").groupby("客户编号")
    gone = lines["离网日期"].first().reindex(known["客户编号"])
    assert ((gone > known["访问日期"].to_numpy()) | gone.isna()).all()
    taken = lines["业务类型"].agg(set).reindex(known["客户编号"])
    assert all(service in services for service, services in zip(known["业务"], taken, strict=True))


def test_satisfaction_follows_the_hazard_as_declared(sample, wave):
    """The correlation of score and hazard (as a normal score) is the declared one, weakened by items and rounding."""
    _, said, _, truth = wave
    known = said[said["客户编号"].notna()]
    hazards = pd.read_parquet(sample / "truth/customers.parquet").set_index("customer_id")["monthly_churn_hazard"]
    hazard = hazards.loc[known["客户编号"]].to_numpy()
    score = known[["SA1", "SA2", "SA3"]].astype(float).replace(99, np.nan).mean(axis=1).to_numpy()
    found = [
        np.corrcoef(score[at], norm.ppf((pd.Series(hazard[at]).rank() - 0.5) / at.sum()))[0, 1]
        for at in ((known["业务"] == service).to_numpy() for service in ("移动业务", "宽带"))
    ]
    loading = np.array([0.90, 0.88, 0.86])
    clean = loading.sum() / np.sqrt(loading.sum() ** 2 + (1 - loading**2).sum())
    expected = truth["hazard_correlation"] * clean
    assert np.mean(found) == pytest.approx(expected, abs=0.08) and np.mean(found) > expected


def test_latent_scores_keep_their_correlations_beside_the_hazard():
    """Whatever satisfaction shares with the hazard, items correlate as in the population (200,000 people)."""
    people = everyone.population(read_operator(), "2026")
    rng = np.random.default_rng(3)
    standing = rng.standard_normal(200_000)
    latent = survey.latent_scores(people, standing, rng)
    error = (1 - people.latent**2) / np.sqrt(len(standing))
    found = np.cov(latent.T)
    assert (np.abs(found - people.latent)[~np.eye(22, dtype=bool)] < 5 * error.max()).all()
    assert np.diag(found) == pytest.approx(np.ones(22), abs=4.5 * np.sqrt(2 / len(standing)))
    first = everyone.ITEMS.index("SA1")
    assert np.corrcoef(latent[:, first], standing)[0, 1] == pytest.approx(-0.7 * 0.9, abs=0.01)


def test_scores_beside_the_model_have_their_population_values():
    """Net promoter score and share of easy answers of 200,000 drawn people lie within 4.5 errors of the truth."""
    people = everyone.population(read_operator(), "2026")
    rng = np.random.default_rng(4)
    own = np.flatnonzero((people.operator == 0) & (people.service == 1))
    cell = rng.choice(own, 200_000, p=people.share[own] / people.share[own].sum())
    latent = survey.latent_scores(people, rng.standard_normal(len(cell)), rng)
    nps, effort = (survey._beside(people, cell, latent, name, rng) for name in ("NPS", "CES"))
    truth = next(e for e in survey._beside_truth(people) if (e["operator"], e["service"]) == ("中国电信", "broadband"))
    net = 100.0 * ((nps >= 9).astype(int) - (nps <= 6))
    assert abs(net.mean() - truth["nps"]) < 4.5 * net.std() / np.sqrt(len(net))
    assert (effort >= 6).mean() == pytest.approx(truth["easy"], abs=4.5 * 0.5 / np.sqrt(len(net)))
    assert set(nps) <= set(range(11)) and set(effort) == set(range(1, 8))


def test_pairing_gives_each_slot_its_own():
    """Slots and people of the same label are paired in order, nobody twice."""
    rng = np.random.default_rng(0)
    left, right = rng.integers(0, 5, 50), rng.integers(0, 6, 40)
    slot, drawn = panel._paired(left, right)
    assert (left[slot] == right[drawn]).all() and len(set(slot)) == len(set(drawn)) == len(slot)
    assert len(slot) == sum(min((left == k).sum(), (right == k).sum()) for k in range(6))


def test_a_small_sample_has_its_survey_too(tmp_path):
    """With 100 customers, as many respondents as there are customers are linked."""
    write_sample(tmp_path / "raw", customers=100, seed=1)
    truth = json.loads((tmp_path / "raw/truth/survey.json").read_text(encoding="utf-8"))
    assert all(20 < wave["linked"] < 100 for wave in truth["waves"].values())
