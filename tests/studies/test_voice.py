"""Are promoter score, top boxes, requests and shortfalls what a table says by hand, and their intervals honest?"""

import numpy as np
import pandas as pd
import pytest

from workbench.catalogue import catalogue
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.survey import Design
from workbench.studies.voice.requests import improvement_requests
from workbench.studies.voice.scores import mean_answer, net_promoter, top_boxes, voice_scores
from workbench.studies.voice.shortfalls import ServiceStandard, service_shortfalls, service_standards


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
    assert (found.hidden, found.hidden_n) == (2, 2) and "Li" not in found.headline() + found._repr_html_()
    with pytest.raises(CannotAnswer, match="no request was made by 10"):
        improvement_requests(SURVEY)


def test_requests_from_the_data_stay_text():
    """Markup in a request is shown as it stands, not run."""
    survey = pd.DataFrame({"request": ["<script>x</script>"] * 20, "weight": 1.0})
    html = improvement_requests(survey)._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html


STANDARDS = [
    ServiceStandard("wait", "contact", "contacted_at", "wait_s", {"channel": "hotline"}, at_most=20),
    ServiceStandard("fault", "ticket", "opened_at", "closed_at", {"kind": "fault"}, by="due_at"),
]
DAYS = pd.to_datetime(["2026-05-01", "2026-05-02", "2026-05-03", "2026-05-04", "2026-05-05"])
CONTACTS = pd.DataFrame(
    {
        "customer_id": list("aabcd"),
        "contacted_at": DAYS,
        "channel": ["hotline"] * 4 + ["shop"],
        "wait_s": [10, 21, 20, np.nan, 99],
    }
)
TICKETS = pd.DataFrame(
    {
        "customer_id": list("abcde"),
        "kind": "fault",
        "opened_at": DAYS,
        "due_at": pd.to_datetime(["2026-05-02", "2026-05-03", "2026-05-10", "2026-07-01", None]),
        "closed_at": pd.to_datetime(["2026-05-02", "2026-05-04", None, None, "2026-05-06"]),
    }
)


def test_shortfalls_by_hand():
    """On time is kept, late and open past the promise missed; not yet due and without a promise are counted apart."""
    table = service_shortfalls(CONTACTS, TICKETS, as_of="2026-06-01", standards=STANDARDS, minimum=2).table
    row = {r["standard"]: r for r in table.to_dict("records")}
    assert row["wait"]["missed"] == pytest.approx(100 / 3)
    assert [row["wait"][c] for c in ("n", "customers", "pending", "unjudged")] == [3, 2, 0, 1]
    assert row["fault"]["missed"] == pytest.approx(200 / 3)
    assert [row["fault"][c] for c in ("n", "customers", "pending", "unjudged")] == [3, 3, 1, 1]
    early = service_shortfalls(CONTACTS, TICKETS, as_of="2026-05-04", standards=STANDARDS[1:], minimum=2).table
    assert early.loc[0, ["missed", "n", "pending"]].tolist() == pytest.approx([50, 2, 1])


def test_respondents_who_met_a_miss_before_are_compared_with_those_who_met_none():
    """Only cases decided in the days before the interview count; a customer with both has met a miss."""
    people = pd.DataFrame(
        {
            "customer_id": [*"abcd", None],
            "answered_on": pd.to_datetime(["2026-05-20"] * 5),
            "score": [40.0, 50, 70, 90, 10],
            "weight": [1.0, 3, 1, 1, 1],
        }
    )
    waits = pd.DataFrame(
        {
            "customer_id": list("aabcdd"),
            "contacted_at": pd.to_datetime([*["2026-05-01"] * 5, "2026-05-20"]),
            "channel": "hotline",
            "wait_s": [30, 5, 30, 5, 5, 60],
        }
    )
    asked = {"as_of": "2026-06-01", "standards": STANDARDS[:1], "respondents": people, "minimum": 2}
    row = service_shortfalls(waits, TICKETS, **asked).satisfaction.iloc[0]
    assert row["difference"] == pytest.approx((40 + 150) / 4 - 80) and (row["n_missed"], row["n_kept"]) == (2, 2)
    assert len(service_shortfalls(waits, TICKETS, **asked, before_days=10).satisfaction) == 0


def test_a_promise_that_fails_after_the_interview_does_not_count_for_it():
    """Of three late repairs, the one whose promise ended after the interview is not among those met before."""
    due = pd.to_datetime(["2026-05-02"] * 4 + ["2026-05-25"])
    late = pd.Timestamp("2026-05-30")
    tickets = pd.DataFrame({"customer_id": list("abcde"), "kind": "fault", "opened_at": DAYS[0], "due_at": due})
    tickets["closed_at"] = [late, late, DAYS[0], DAYS[0], late]
    people = pd.DataFrame({"customer_id": list("abcde"), "answered_on": pd.Timestamp("2026-05-20"), "score": range(5)})
    options = {"standards": STANDARDS[1:], "respondents": people, "weight": None, "minimum": 2}
    found = service_shortfalls(CONTACTS, tickets, as_of="2026-06-01", **options)
    assert found.satisfaction.loc[0, ["n_missed", "n_kept", "difference"]].tolist() == [2, 2, 0.5 - 2.5]
    assert found.table.loc[0, "missed"] == pytest.approx(60)


def test_standards_come_from_a_file_and_are_checked(tmp_path):
    """The file beside the module holds four; a standard needs one rule, and a file that is none is named."""
    assert [s.table for s in service_standards()] == ["contact", "ticket", "ticket", "ticket"]
    assert all(s.name in catalogue("zh") for s in service_standards())
    with pytest.raises(WorkbenchError, match="either at_most or by"):
        ServiceStandard("x", "ticket", "opened_at", "closed_at")
    (tmp_path / "own.toml").write_text('[[standard]]\nname = "x"\n', encoding="utf-8")
    with pytest.raises(WorkbenchError, match=r"a standard of .*own\.toml lacks 'table', 'when', 'column'"):
        service_standards(tmp_path / "own.toml")
    with pytest.raises(CannotAnswer, match="no standard has 30 cases"):
        service_shortfalls(CONTACTS, TICKETS, as_of="2026-06-01")


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
