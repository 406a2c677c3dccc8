"""Are promoter score, top boxes, and requests what a table says by hand, and their intervals honest?"""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.survey import Design
from workbench.studies.voice.requests import improvement_requests
from workbench.studies.voice.scores import mean_answer, net_promoter, top_boxes, voice_scores


def design_mean(y, w, stratum=None, cluster=None):
    """Mean of all respondents."""
    return Design.of(w, stratum, cluster).mean(y)


SURVEY = pd.DataFrame(
    {
        "operator": ["A"] * 4 + ["B"] * 4,
        "NPS": [10, 9, 7, 3, 10, 8, np.nan, 0],
        "CES": [7, 6, 5, 1, 7, 7, 7, 7],
        "weight": [1.0, 2, 1, 1, 1, 1, 5, 2],
        "request": ["price", "price ", "", None, "price", "network", None, "my name is Li"],
    }
)
MEASURES = [net_promoter(), top_boxes("CES", high=7, name="easy"), mean_answer("CES", high=7, name="effort")]


def test_measures_by_hand():
    """Weighted shares of those who answered; effective n of equal weights is n."""
    table = voice_scores(SURVEY, MEASURES, by="operator", minimum=2).table.set_index(["operator", "measure"])
    assert table.loc[("A", "NPS"), "estimate"] == pytest.approx(100 * (3 - 1) / 5)
    assert table.loc[("B", "NPS"), ["estimate", "n"]].tolist() == pytest.approx([100 * (1 - 2) / 4, 3])
    assert table.loc[("A", "easy"), "estimate"] == pytest.approx(60)
    assert table.loc[("A", "effort"), "estimate"] == pytest.approx((7 + 12 + 5 + 1) / 5)


def test_figures_that_are_all_alike_run_to_another():
    """Where A and B say the same, the sentence does not run from A to A."""
    said = voice_scores(SURVEY.assign(NPS=9), MEASURES[:1], by="operator", minimum=2).headline()
    assert " for A to 100.0 (" in said and said.partition(" to 100.0 (")[2].partition(" (95%")[0].endswith(" for B")


def test_wilson_and_rocks_by_hand():
    """Three in ten answers at t with 9 degrees of freedom: Wilson's ends; a net share gets ¾ + 1½ + ¾ answers more."""
    mean = design_mean(np.array([100.0] * 3 + [0] * 7), np.ones(10))
    t = 2.2621571628
    n = mean.n_effective
    assert n == pytest.approx(10) and mean.se == pytest.approx(100 * np.sqrt(0.21 / 9))
    low, high = mean.interval("top", 0.95)
    for end in (low / 100, high / 100):
        assert abs(0.3 - end) == pytest.approx(t * np.sqrt(end * (1 - end) / n))
    d, a = 0.3 * n / (n + 3), (0.3 * n + 1.5) / (n + 3)
    half = t * np.sqrt((a - d**2) / (n + 3))
    assert mean.interval("net", 0.95) == pytest.approx((100 * (d - half), 100 * (d + half)))


def test_error_within_strata_and_between_clusters_by_hand():
    """Strata leave only what varies within them; clusters are as good as their means."""
    y, ones = np.array([1.0, 3, 11, 13]), np.ones(4)
    within = design_mean(y, ones, np.array([0, 0, 1, 1]))
    assert within.se == pytest.approx(np.sqrt(2 * 2 * (2 * 0.25**2))) and within.df == 2
    between = design_mean(y, ones, cluster=np.array([5, 5, 8, 8]))
    assert between.se == pytest.approx(np.sqrt(2 * 2 * (2.5**2))) and between.df == 1
    lone = design_mean(y, ones, np.array([0, 0, 1, 2]))
    assert lone.se == pytest.approx(np.sqrt(2 * 2 * 0.25**2 + 1 + 1.5**2))


def test_duplicated_rows_are_weights_and_order_does_not_matter():
    """Estimates with weights are those of repeated rows; any order of the rows gives the same digits."""
    whole = SURVEY.dropna(subset="NPS")
    again = whole.loc[whole.index.repeat(whole["weight"].astype(int))].assign(weight=1.0)
    one, two = (voice_scores(t, MEASURES, by=(), minimum=2).table["estimate"] for t in (whole, again))
    assert one.tolist() == pytest.approx(two.tolist())
    mixed = SURVEY.sample(frac=1, random_state=1)
    first, second = (voice_scores(t, MEASURES, by="operator", minimum=2).table for t in (SURVEY, mixed))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_thin_cells_are_named_and_gaps_are_those_of_the_estimates():
    """A cell below the minimum is listed, not shown; a gap's interval holds the gap and is wider than either's."""
    found = voice_scores(SURVEY, MEASURES, by="operator", minimum=4)
    assert found.suppressed.values.tolist() == [["B", "NPS", 3]] and "Not shown" in found.headline()
    with pytest.raises(CannotAnswer, match="stands alone"):
        found.gaps("NPS")
    gaps = found.gaps("effort").iloc[0]
    assert (gaps["operator"], gaps["against"], gaps["gap"]) == ("A", "B", pytest.approx(5 - 7))
    brands = voice_scores(SURVEY.rename(columns={"operator": "brand"}), MEASURES, by="brand", minimum=2)
    table = voice_scores(SURVEY, MEASURES, by="operator", minimum=2)
    pd.testing.assert_frame_equal(brands.gaps("NPS", operator="brand"), table.gaps("NPS"))
    row, (one, two) = table.gaps("NPS").iloc[0], (table.table.query("measure == 'NPS'").itertuples())
    assert row["low"] == pytest.approx(row["gap"] - np.hypot(one.estimate - one.low, two.high - two.estimate))
    assert max(one.high - one.low, two.high - two.low) < row["high"] - row["low"]
    assert next(q.name for q in table.quantities()) == "voice[operator=A,measure=NPS]"


@pytest.mark.parametrize(
    "change, options, words",
    [
        ({"NPS": 11.0}, {}, "'NPS' holds 11, off its scale 0 to 10, in 8 rows"),
        ({"NPS": "ten"}, {}, "item 'NPS' is not numeric: it holds str"),
        ({"weight": -1.0}, {}, "weight 'weight' is negative in 8 rows"),
        ({"operator": None}, {}, "'operator' is missing in some rows"),
        ({"wave": ["1", "2"] * 4}, {}, "mixes the waves"),
        ({}, {"level": 2}, "level between 0 and 1"),
        ({}, {"minimum": 50}, "no cell has 50 answers"),
        ({}, {"by": "operater"}, "Did you mean 'operator'"),
    ],
)
def test_what_voice_refuses(change, options, words):
    """The message names the column and the value."""
    with pytest.raises(WorkbenchError, match=words):
        voice_scores(SURVEY.assign(**change), MEASURES, **({"by": "operator", "minimum": 2} | options))


def test_requests_by_hand():
    """Shares are of all respondents; blanks ask for nothing; words of a few are counted, not shown."""
    found = improvement_requests(SURVEY.assign(score=range(8)), score="score", minimum=2)
    row = found.table.iloc[0]
    assert len(found.table) == 1 and (row["request"], row["n"]) == ("price", 3)
    assert row["share"] == pytest.approx(100 * 4 / 14) and found.asking == pytest.approx(100 * 7 / 14)
    assert row["score"] == pytest.approx((0 + 2 * 1 + 4) / 4) and row["score_low"] < row["score"] < row["score_high"]
    assert found.hidden == 2 and "Li" not in found.headline() + found._repr_html_()
    with pytest.raises(CannotAnswer, match="no request was made by 10"):
        improvement_requests(SURVEY)


def test_requests_from_the_data_stay_text():
    """Markup in a request is shown as it stands, not run."""
    survey = pd.DataFrame({"request": ["<script>x</script>"] * 20, "weight": 1.0})
    html = improvement_requests(survey)._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html


@pytest.mark.prove
@pytest.mark.parametrize("weights", ["equal", "unequal", "strata"])
@pytest.mark.parametrize("shares", [(0.3, 0.4, 0.3), (0.02, 0.13, 0.85), (0.03, 0.9, 0.07)])
def test_intervals_of_shares_cover_what_they_say(weights, shares):
    """In 1,000 cells of 60 answers, 95% intervals hold the truth in 93.5% or more; with few of a sort, more often."""
    rng = np.random.default_rng(7)
    held = np.zeros(2)
    for _ in range(1_000):
        y = rng.choice([-100.0, 0.0, 100.0], 60, p=shares)
        stratum = np.repeat(np.arange(5), 12) if weights == "strata" else None
        w = {
            "equal": np.ones(60),
            "unequal": np.exp(0.6 * rng.standard_normal(60)),
            "strata": 1.0 + np.arange(60) // 12,
        }
        net, top = (design_mean(v, w[weights], stratum) for v in (y, 100.0 * (y > 0)))
        low, high = net.interval("net", 0.95)
        held[0] += low <= 100 * (shares[2] - shares[0]) <= high
        low, high = top.interval("top", 0.95)
        held[1] += low <= 100 * shares[2] <= high
    assert (held >= 935).all(), held
