"""Does the link from satisfaction to churn and revenue find what is there, and say where it cannot be trusted?"""

import json
import re

import matplotlib
import numpy as np
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.methods.plspm import Construct, PathModel, fit_pls
from workbench.studies.voice.behaviour import respondent_scores, satisfaction_outcome
from workbench.studies.voice.scores import mean_answer, net_promoter, top_boxes, voice_scores
from workbench.warehouse import open_warehouse, survey_outcomes

matplotlib.use("Agg")

SLOPE = -0.25


def linked(n: int = 1_500, *, slope: float = SLOPE, seed: int = 0) -> pd.DataFrame:
    """Respondents who leave by a logistic law of their score and tenure, and pay half when they have left."""
    rng = np.random.default_rng(seed)
    score = np.clip(75 + 17 * rng.standard_normal(n), 0, 100)
    tenure = rng.standard_normal(n)
    left = rng.random(n) < 1 / (1 + np.exp(2.6 - slope * (score - 75) / 10 - 0.3 * tenure))
    before = np.exp(4 + 0.8 * rng.standard_normal(n))
    after = before * np.exp(0.2 * rng.standard_normal(n) - 0.02) * (1 - 0.5 * left) + 0.04 * score
    table = {
        "score": score,
        "tenure": tenure,
        "churned": left.astype(int),
        "weight": np.exp(0.5 * rng.standard_normal(n)),
    }
    table |= {"revenue_before": before, "revenue_after": after, "complete": True}
    answered = pd.Timestamp("2026-01-10")
    left_on = pd.Series(answered + pd.Timedelta(days=40)).repeat(n).reset_index(drop=True).where(left)
    return pd.DataFrame(table).assign(answered_on=answered, left_on=left_on, customer_id=np.arange(n))


def fitted() -> tuple[pd.DataFrame, object]:
    """A small survey with gaps and a reversed item, and its fit."""
    rng = np.random.default_rng(2)
    latent = rng.standard_normal((400, 1))
    values = np.clip(np.rint(6 + 2 * latent + 1.2 * rng.standard_normal((400, 4))), 1, 10)
    survey = pd.DataFrame(values, columns=["q1", "q2", "s1", "s2"]).assign(weight=rng.uniform(0.5, 2, 400))
    survey["s2"] = 11 - survey["s2"]
    model = PathModel(
        [Construct("Quality", ["q1", "q2"]), Construct("Satisfaction", ["s1", "s2"], reversed=["s2"])],
        {"Satisfaction": ["Quality"]},
        missing_codes=(-9,),
    )
    return survey, fit_pls(survey, model, weights="weight")


def test_scores_average_to_the_index_and_gaps_leave_their_weight_to_others():
    """The weighted mean of the scores is the index; one answer alone is the score; none gives none."""
    survey, fit = fitted()
    score = respondent_scores(survey, fit)
    assert np.average(score, weights=survey["weight"]) == pytest.approx(fit.index["Satisfaction"])
    survey.loc[[0, 1], ["s1", "s2"]] = [[np.nan, 3], [-9, np.nan]]
    score = respondent_scores(survey, fit)
    assert score[0] == pytest.approx(100 * (10 - 3) / 9) and np.isnan(score[1])
    with pytest.raises(WorkbenchError, match="off its scale"):
        respondent_scores(survey.assign(s1=12.0), fit)
    with pytest.raises(WorkbenchError, match="'s1' is not numeric"):
        respondent_scores(survey.assign(s1="good"), fit)


def test_estimates_are_those_of_statsmodels():
    """Odds ratio and revenue equal weighted GLM and WLS; errors are the robust ones (HC3 exactly, logistic to 2%)."""
    import statsmodels.api as sm

    data = linked()
    found = satisfaction_outcome(data, covariates=["tenure"]).table.set_index("quantity")
    x = sm.add_constant(pd.DataFrame({"s": data["score"] / 10, "t": data["tenure"], "b": data["revenue_before"]}))
    wls = sm.WLS(data["revenue_after"], x, weights=data["weight"]).fit(cov_type="HC3")
    assert found.loc["revenue", ["estimate", "se"]].tolist() == pytest.approx([wls.params["s"], wls.bse["s"]], rel=1e-8)
    share = data["weight"] / data["weight"].mean()
    glm = sm.GLM(data["churned"], x[["const", "s", "t"]], sm.families.Binomial(), var_weights=share).fit(cov_type="HC0")
    row = found.loc["odds ratio of churn"]
    assert row["estimate"] == pytest.approx(np.exp(glm.params["s"]), rel=1e-7)
    assert (
        row["se"] / row["estimate"] == pytest.approx(glm.bse["s"], rel=0.02)
        and row["low"] < np.exp(SLOPE) < row["high"]
    )


def test_risk_is_the_mean_slope_of_the_model():
    """The risk difference is the weighted mean of 10 points times the logistic curve's slope at each respondent."""
    data = linked()
    result = satisfaction_outcome(data)
    rows = result.table.set_index("quantity")["estimate"]
    beta = np.log(rows["odds ratio of churn"])
    import statsmodels.api as sm

    x = sm.add_constant(data[["score"]] / 10)
    share = data["weight"] / data["weight"].mean()
    p = sm.GLM(data["churned"], x, sm.families.Binomial(), var_weights=share).fit().predict(x)
    assert rows["risk of churn"] == pytest.approx(
        100 * beta * np.average(p * (1 - p), weights=data["weight"]), rel=1e-6
    )
    fifths = result.fifths
    assert fifths["n"].sum() == len(data) and (fifths["churned"] - fifths["predicted"]).abs().max() < 5
    assert fifths["score"].is_monotonic_increasing and 0.5 < result.auc < 0.7


def test_three_voices_and_order():
    """The sentence has the interval, the picture a dot a fifth, and the order of the rows does not matter."""
    data = linked()
    result = satisfaction_outcome(data)
    other = satisfaction_outcome(data.sample(frac=1, random_state=3))
    pd.testing.assert_frame_equal(result.table, other.table, check_exact=True)
    assert result.headline().startswith("The dissatisfied leave more often: ") and "WARNING" not in result.headline()
    assert len(result.plot().lines[0].get_xdata()) == 5
    assert next(iter(result.quantities())).name == "churn_odds_ratio[per=10 points of satisfaction]"


@pytest.mark.parametrize(
    "after", [lambda d: 0.0, lambda d: d["revenue_before"], lambda d: 5.0], ids=["0", "as before", "5"]
)
def test_revenue_that_does_not_vary_has_no_estimate(after):
    """Nobody pays otherwise than was known before: no interval of 0.0 to 0.0, and the sentence says why."""
    found = satisfaction_outcome(linked().assign(revenue_after=after))
    assert "revenue" not in set(found.table["quantity"]) and "of revenue a month" not in found.headline()
    assert "Revenue varies by nothing but what was known before" in found.headline()
    assert [q.name.partition("[")[0] for q in found.quantities()] == ["churn_odds_ratio", "churn_risk"]


def test_a_score_that_may_know_the_outcome_is_named():
    """Asked after leaving, or a score that tells all: a warning first, nothing recorded."""
    data = linked()
    gone = data["left_on"].notna().to_numpy()
    late = data.assign(left_on=data["left_on"].where(np.cumsum(gone) > 7, data["answered_on"].where(gone)))
    noise = np.random.default_rng(0).uniform(0, 25, len(data))
    telling = data.assign(score=60 - 20 * gone + noise)
    for table, words in (
        (late, "7 respondents were asked on or after 'left_on'"),
        (telling, r"implausibly well \(AUC 0\.9"),
    ):
        result = satisfaction_outcome(table)
        assert len(result.warnings) == 1 and not list(result.quantities())
        assert re.match(f"WARNING: .*{words}", result.headline())


@pytest.mark.parametrize(
    "change, options, words",
    [
        ({"complete": [False] * 3 + [True] * 1_497}, {}, "not over for 3 of 1,500 respondents.*until 2026-01-10 only"),
        ({"complete": False}, {}, "not over for 1,500 of 1,500 respondents. Take a shorter window, an earlier wave"),
        ({"churned": [1] * 19 + [0] * 1_481}, {}, "19 of 1,500 respondents left: an estimate needs at least 20"),
        ({"churned": 0.5}, {}, "'churned' must be 0 or 1"),
        ({"score": 50.0}, {}, "'score' is the same for all 1,500"),
        ({"customer_id": 1}, {}, "a customer stands twice"),
        ({"tenure": np.nan}, {"covariates": ["tenure"]}, "covariate 'tenure' is missing"),
        ({}, {"covariates": ["tenur"]}, "Did you mean 'tenure'"),
        ({"score": [10.0] * 40 + [90.0] * 1_460, "churned": [1] * 40 + [0] * 1_460}, {}, "tell exactly who left"),
    ],
)
def test_what_behaviour_refuses(change, options, words):
    """The message says how many, and what to do."""
    with pytest.raises(WorkbenchError, match=words):
        satisfaction_outcome(linked().assign(**change), **options)


def test_the_sample_operators_truth_is_found(operator):
    """Risk per 10 points lies within 4 errors of the truth behind both waves; scores and shares within 4.5."""
    warehouse = open_warehouse("sample", root=operator)
    truth = json.loads((operator / "data/raw/sample/truth/survey.json").read_text(encoding="utf-8"))
    people = json.loads((operator / "data/raw/sample/truth/satisfaction.json").read_text(encoding="utf-8"))
    model = PathModel.from_toml(operator / "data/models/tcsi.toml")
    for wave, aim in truth["waves"].items():
        survey = warehouse.survey(wave)
        survey = survey.assign(score=respondent_scores(survey, fit_pls(survey, model, weights="weight")))
        after = survey_outcomes(warehouse, wave, days=truth["days"])
        result = satisfaction_outcome(after.merge(survey[["response_id", "score"]], on="response_id"), weight=None)
        assert not result.warnings and result.n + result.left_out == aim["linked"]
        row = result.table.set_index("quantity").loc["risk of churn"]
        assert row["high"] < 0 and abs(row["estimate"] - 100 * aim["risk_difference_per_10_points"]) < 4 * row["se"]
        voice = voice_scores(survey, [net_promoter(), top_boxes("CES", high=7), mean_answer("score", low=0, high=100)])
        found = voice.table.set_index(["operator", "service", "measure"])
        for entry in people["waves"][wave]["beside"]:
            for measure, value in (("NPS", entry["nps"]), ("CES top 2", 100 * entry["easy"])):
                row = found.loc[entry["operator"], entry["service"], measure]
                assert abs(row["estimate"] - value) < 4.5 * row["se"]


@pytest.mark.prove
def test_intervals_of_behaviour_cover_what_they_say():
    """In 1,000 simulated surveys, 95% intervals of odds ratio, risk and revenue hold the truth in 93-97%."""
    whole = linked(1_000_000, seed=99)
    p = 1 / (1 + np.exp(2.6 - SLOPE * (whole["score"] - 75) / 10 - 0.3 * whole["tenure"]))
    x = np.column_stack([np.ones(len(p)), whole["score"] / 10, whole["tenure"], whole["revenue_before"]])
    revenue = np.linalg.lstsq(x, whole["revenue_after"].to_numpy(), rcond=None)[0][1]
    truth = pd.Series([np.exp(SLOPE), 100 * SLOPE * (p * (1 - p)).mean(), revenue])
    held = np.zeros(3)
    for seed in range(1_000):
        table = satisfaction_outcome(linked(1_000, seed=seed), covariates=["tenure"]).table
        held += (table["low"] <= truth) & (truth <= table["high"])
    assert (held >= 930).all() and (held <= 970).all(), held
