"""Do survey results hold at their edges: cells that do not vary, names twice, other dtypes, rounded margins, leaks?"""

import re

import matplotlib
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.survey import Design
from workbench.studies.satisfaction import (
    Construct,
    PathModel,
    competitor_map,
    gap_to_items,
    index_precision,
    item_priorities,
    operator_gaps,
    operator_ranks,
    own_weights,
    path_effects,
    rake,
    satisfaction_index,
    shrunken_index,
    simulate_improvement,
    wave_change,
)
from workbench.studies.service import ServiceStandard, service_shortfalls
from workbench.studies.voice import (
    improvement_requests,
    mean_answer,
    net_promoter,
    nonresponse,
    satisfaction_outcome,
    top_boxes,
    voice_scores,
)

matplotlib.use("Agg")

MODEL = PathModel(
    [Construct("Quality", ["Q1", "Q2"]), Construct("Satisfaction", ["S1", "S2"])], {"Satisfaction": ["Quality"]}
)
FAST = {"weight": None, "resamples": 200}


def asked(n: int = 400, *, alike: str = "AB", seed: int = 3) -> pd.DataFrame:
    """Four operators; those of `alike` are given 10 for satisfaction by all of their customers."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((n, 1))
    answers = np.clip(np.rint(5.5 + 1.5 * (0.8 * common + 0.6 * rng.standard_normal((n, 4)))), 1, 10)
    table = pd.DataFrame(answers, columns=["Q1", "Q2", "S1", "S2"]).assign(operator=np.repeat(list("ABCD"), n // 4))
    table.loc[table["operator"].isin(list(alike)), ["S1", "S2"]] = 10
    return table.assign(province=np.resize(["x", "y", "z"], n))


@pytest.fixture(scope="module")
def index():
    """Index of a survey in which A and B are given 10 by all."""
    return satisfaction_index(asked(), MODEL, by="operator", **FAST)


def test_cells_that_do_not_vary_are_bounded_and_said(index):
    """100 answers of 10: up to t²/(100 + t²) of others may answer otherwise; the sentence says why."""
    table = index.table[index.table["construct"] == "Satisfaction"].set_index("operator")
    share = 1.9842169**2 / (100 + 1.9842169**2)
    assert table.loc[["A", "B"], "low"].to_numpy() == pytest.approx(100 - 100 * share)
    assert table.loc[["A", "B"], "se"].isna().all() and (table["high"] > table["low"]).all()
    assert "In A; B, (almost) all answered alike" in index.headline()
    assert (table["n_effective"] > 0).all() and (table["deff"] > 0).all()


def test_ranks_and_gaps_beside_cells_that_do_not_vary(index):
    """A and B are above C and D, surely; nothing is told between A and B, and no other pair loses its p."""
    ranks = operator_ranks(index)
    table = ranks.table.set_index("operator")
    assert table.loc[["A", "B"], ["rank_low", "rank_high"]].to_numpy().tolist() == [[1, 2], [1, 2]]
    assert table.loc[["C", "D"], ["rank_low", "rank_high"]].to_numpy().tolist() == [[3, 4], [3, 4]]
    assert ranks.headline().startswith("A, B share the first place in Satisfaction")
    gaps = operator_gaps(index).table.set_index(["operator", "against"])
    assert gaps["p_holm"].notna().all() and gaps.loc[("A", "B"), "p"] == 1 and gaps.loc[("A", "B"), "high"] > 1
    assert gaps.loc[[("A", "C"), ("A", "D"), ("B", "C"), ("B", "D")], "significant"].all()
    # A's bound and C's own interval, square-and-add
    rows = index.table[index.table["construct"] == "Satisfaction"].set_index("operator")
    down = np.hypot(100 - rows.loc["A", "low"], rows.loc["C", "high"] - rows.loc["C", "index"])
    assert gaps.loc[("A", "C"), "low"] == pytest.approx(gaps.loc[("A", "C"), "gap"] - down)


def test_neighbours_of_cells_that_do_not_vary(index):
    """Items, precision, shrinkage, own weights, waves, competitors, priorities: finite, of some width, no nan said."""
    table = asked(600)
    cells = satisfaction_index(table, MODEL, by=["operator", "province"], minimum=10, **FAST)
    shrunk = shrunken_index(cells, toward="operator")
    assert np.isfinite(shrunk.table[["shrunk", "shrunk_low", "shrunk_high"]]).all(axis=None)
    assert (shrunk.table["shrunk_high"] > shrunk.table["shrunk_low"]).all()
    items = gap_to_items(index)
    assert (items.table["high"] > items.table["low"]).all()
    own = own_weights(table, MODEL, by="operator", **FAST)
    assert own.without == ("A", "B") and "No weights of their own (answers hardly vary): A, B." in own.headline()
    waves = pd.concat([asked(400).assign(wave="2025"), asked(400, seed=4).assign(wave="2026")], ignore_index=True)
    change = wave_change(waves, MODEL, by="operator", mix=(), **FAST)
    row = change.table.set_index("operator").loc["A"]
    assert (
        abs(row["change"]) < 1e-9
        and row["low"] < 0 < row["high"]
        and row["p"] == pytest.approx(1)
        and change.table["p_holm"].notna().all()
    )
    assert row["answers_low"] < 0 < row["answers_high"]
    flat = asked(400).assign(
        Q1=lambda t: t["Q1"].where(t["operator"] > "B", 10), Q2=lambda t: t["Q2"].where(t["operator"] > "B", 10)
    )
    effects = path_effects(flat, MODEL, by="operator", **FAST)
    rivals = competitor_map(effects, own="A")
    assert (
        rivals.table["p_holm"].notna().all()
        and (rivals.table["performance_high"] > rivals.table["performance_low"]).all()
    )
    first = item_priorities(effects, of={"operator": "A"})
    assert (first.table["potential_high"] > first.table["potential_low"]).all()
    with pytest.raises(CannotAnswer, match="stand at the end of the scale: none can move"):
        simulate_improvement(effects, {"Q1": 1.0}, of={"operator": "A"})
    results = (shrunk, items, own, change, rivals, first, index_precision(index), operator_gaps(index))
    for result in results:
        assert not re.search(r"\bnan\b|\binf\b|100\.0 \(100\.0 to 100\.0\)", result.headline()), result.headline()
    flat = asked(alike="ABCD").assign(S1=lambda t: 10 - pd.factorize(t["operator"])[0], S2=lambda t: t["S1"])
    with pytest.raises(CannotAnswer, match="answered alike"):
        shrunken_index(satisfaction_index(flat, MODEL, by="operator", **FAST), toward=())


def test_voice_of_cells_that_do_not_vary():
    """Mean, share and net share of 40 answers of 10 have intervals; gaps keep their p; the sentence says so."""
    survey = pd.DataFrame({"NPS": [10] * 80 + [8, 9, 10, 4] * 20, "operator": np.repeat(["A", "B", "C", "D"], 40)})
    found = voice_scores(
        survey,
        [net_promoter(), top_boxes("NPS", low=0), mean_answer("NPS", low=0, name="mean")],
        by="operator",
        weight=None,
    )
    table = found.table.set_index(["measure", "operator"])
    assert (table["high"] > table["low"]).all() and table.loc[("mean", "A"), "high"] == 10
    t = 2.0226909
    assert table.loc[("NPS top 2", "A"), "low"] == pytest.approx(100 * 40 / (40 + t**2))
    for measure in ("NPS", "NPS top 2", "mean"):
        gaps = found.gaps(measure)
        assert gaps["p_holm"].notna().all() and gaps.loc[0, "gap"] == 0 and gaps.loc[0, "low"] < 0 < gaps.loc[0, "high"]
        assert ((gaps["p"] < 0.05) == ((gaps["low"] > 0) | (gaps["high"] < 0))).all()
    assert "all answer alike" in found.headline() and "nan" not in found.headline()
    one = voice_scores(
        survey.assign(point=survey["operator"]),
        [mean_answer("NPS", low=0)],
        by="operator",
        weight=None,
        strata=["operator"],
        clusters=["point"],
    )
    assert "come from one cluster and have no interval" in one.headline() and "nan" not in one.headline()


def test_names_are_one_each():
    """Measures, cells' columns, competitors and related columns: what is looked up by name has a name of its own."""
    survey = pd.DataFrame({"NPS": np.arange(11).repeat(10), "operator": np.resize(["A", "B"], 110), "weight": 1.0})
    with pytest.raises(WorkbenchError, match="the measure 'NPS' stands 2 times"):
        voice_scores(survey, [net_promoter(), mean_answer("NPS", low=0)], by="operator")
    named = voice_scores(survey, [net_promoter(), mean_answer("NPS", low=0, name="mean")], by="operator")
    assert len(named.gaps("NPS")) == 1 and len({q.name for q in named.quantities()}) == 4
    for call in (
        lambda: voice_scores(survey, [net_promoter()], by=["operator", "operator"]),
        lambda: satisfaction_index(asked(), MODEL, by=["operator", "operator"], **FAST),
        lambda: wave_change(asked().assign(wave=1), MODEL, by=["operator", "operator"], **FAST),
        lambda: nonresponse(survey.assign(yes=survey["NPS"] > 5), by=["operator", "operator"], answered="yes"),
    ):
        with pytest.raises(WorkbenchError, match="'operator' stands 2 times"):
            call()
    effects = path_effects(asked(alike=""), MODEL, by="operator", **FAST)
    with pytest.raises(WorkbenchError, match="the competitor 'B' stands 2 times"):
        competitor_map(effects, own="A", against=["B", "B"])
    with pytest.raises(WorkbenchError, match="'S1'"):
        PathModel([Construct("X", ["S1", "S1"]), Construct("Y", ["S2"])], {"Y": ["X"]})


@pytest.mark.parametrize("dtype", ["category", "string", "string[pyarrow]", "unordered"])
def test_dtypes_and_order_of_columns_change_nothing(dtype):
    """Text, categories in any order, nullable and Arrow text give the same tables to the bit."""
    table = asked(alike="").assign(NPS=lambda t: t["S1"], weight=1.0, wave="2026")
    kind = pd.CategoricalDtype(["D", "B", "A", "C"]) if dtype == "unordered" else dtype
    other = table[table.columns[::-1]].astype({"operator": kind, "wave": "category"}).sample(frac=1, random_state=1)
    other = other.assign(NPS=other["NPS"].astype("Int64"), S1=other["S1"].astype("float32"))
    if dtype == "string[pyarrow]":
        other = other.astype({"S2": pd.ArrowDtype(__import__("pyarrow").int64()), "weight": "Float64"})
    for call in (
        lambda t: voice_scores(t, [net_promoter()], by="operator").table,
        lambda t: satisfaction_index(t, MODEL, by="operator", resamples=50).table,
        lambda t: operator_ranks(satisfaction_index(t, MODEL, by="operator", resamples=50)).table,
        lambda t: (
            rake(t, {"operator": pd.Series([0.4, 0.2, 0.2, 0.2], list("ABCD"))})
            .weights.sort_index()
            .round(9)
            .to_frame()
        ),
        lambda t: improvement_requests(t, request="province").table,
        lambda t: nonresponse(t.assign(yes=t["S1"] > 5), by="operator", answered="yes").table,
    ):
        pd.testing.assert_frame_equal(call(table), call(other), check_exact=True)


def test_waves_sort_in_time():
    """September comes before October as text, and days before months are refused."""
    waves = [asked(alike="").assign(wave="2025-9"), asked(alike="", seed=5).assign(wave="2025-10")]
    assert wave_change(pd.concat(waves[::-1]), MODEL, by=(), mix=(), **FAST).waves == ("2025-9", "2025-10")
    with pytest.raises(WorkbenchError, match="Write 'wave' year first"):
        wave_change(
            pd.concat([w.assign(wave=d) for w, d in zip(waves, ("12/2025", "01/2026"), strict=True)]),
            MODEL,
            by=(),
            **FAST,
        )


def test_clusters_of_the_index_against_the_formula():
    """Whole clusters drawn: the error of the index is that of a mean of clusters, about 3 times the naive one."""
    rng = np.random.default_rng(0)
    school = np.repeat(np.arange(60), 20)
    answers = (
        5.5
        + 1.5 * rng.standard_normal(60)[school][:, None]
        + 0.9 * rng.standard_normal((1200, 1))
        + 0.7 * rng.standard_normal((1200, 4))
    )
    table = pd.DataFrame(np.clip(np.rint(answers), 1, 10), columns=["Q1", "Q2", "S1", "S2"]).assign(school=school)
    whole, naive = (
        satisfaction_index(table, MODEL, by=(), weight=None, clusters=c, resamples=600) for c in (["school"], ())
    )
    outer = whole.fit.unstandardised_weights["Satisfaction"]
    score = 100 * (table[list(outer.index)] @ outer - 1) / 9
    by_hand = np.sqrt(60 / 59 * (score.groupby(school).mean().sub(score.mean()) ** 2).sum()) / 60
    row, other = (found.table.set_index("construct").loc["Satisfaction"] for found in (whole, naive))
    assert row["se"] == pytest.approx(by_hand, rel=0.08) and row["se"] > 2.5 * other["se"]
    t = 2.0009954
    assert row["high"] - row["low"] == pytest.approx(2 * t * row["se"], rel=0.03)
    mean = voice_scores(
        table.assign(score=score), [mean_answer("score", low=0, high=100)], by=(), weight=None, clusters="school"
    )
    assert mean.table.loc[0, "se"] == pytest.approx(by_hand, rel=1e-9)


def test_strata_across_cells_leave_the_size_of_a_cell_to_chance():
    """Strata by province only: the errors are those of parts, by the formula with zeros (and by resampling)."""
    rng = np.random.default_rng(1)
    table = asked(alike="", n=600).assign(operator=lambda t: rng.choice(list("AB"), len(t)))
    table.loc[table["province"] == "x", ["S1", "S2"]] = np.clip(
        table.loc[table["province"] == "x", ["S1", "S2"]] + 3, 1, 10
    )
    found = voice_scores(table, [mean_answer("S1")], by="operator", weight=None, strata=["province"]).table
    part, stratum = (table["operator"] == "A").to_numpy(), table["province"].to_numpy()
    u = np.where(part, table["S1"] - table["S1"][part].mean(), 0) / part.sum()
    variance = sum(len(v) / (len(v) - 1) * ((v - v.mean()) ** 2).sum() for v in (u[stratum == p] for p in "xyz"))
    assert found.loc[0, "se"] == pytest.approx(np.sqrt(variance))
    inside = voice_scores(table, [mean_answer("S1")], by="operator", weight=None, strata=["operator", "province"]).table
    assert inside.loc[0, "se"] < 0.95 * found.loc[0, "se"]
    index = satisfaction_index(table, MODEL, by="operator", weight=None, strata=["province"], resamples=600)
    score = 100 * (table[["S1", "S2"]] @ index.fit.unstandardised_weights["Satisfaction"] - 1) / 9
    formula = Design.of(np.ones(600), pd.factorize(stratum)[0]).mean(score.to_numpy(), np.flatnonzero(part)).se
    row = index.table[index.table["construct"] == "Satisfaction"].iloc[0]
    assert row["se"] == pytest.approx(formula, rel=0.08)


EVEN = pd.Series([0.333] * 3, [1, 2, 3])


@pytest.mark.parametrize(
    "margins, total, word",
    [
        ({"age": EVEN, "sex": pd.Series({"F": 0.5, "M": 0.5})}, 500, "'age' sums to 0.999"),
        ({"age": EVEN, "province": EVEN.set_axis(list("abc"))}, 500, "'province' sums to 0.999"),
        ({"age": pd.Series([333] * 3, [1, 2, 3]), "sex": pd.Series({"F": 500, "M": 500})}, 1000, "'age' sums to 999"),
        ({"age": pd.Series([1 / 3] * 3, [1, 2, 3]), "sex": pd.Series({"F": 0.5, "M": 0.5})}, 500, None),
        ({"age": pd.Series([1.0, 2, 3], [1.0, 2.0, 3.0])}, 6, None),
    ],
)
def test_rounded_margins_are_scaled_and_named(margins, total, word):
    """Shares of 0.999 are shares; totals that miss one person are one total; every share is met after scaling."""
    rng = np.random.default_rng(3)
    survey = pd.DataFrame({"age": rng.choice([1, 2, 3], 500), "sex": rng.choice(["F", "M"], 500)})
    found = rake(survey.assign(province=rng.choice(list("abc"), 500)), margins)
    assert found.weights.sum() == pytest.approx(total)
    for column, margin in margins.items():
        sums = found.weights.groupby(survey.get(column, pd.Series(dtype=float))).sum() if column in survey else None
        if sums is not None:
            assert (sums / sums.sum()).to_numpy() == pytest.approx((margin / margin.sum()).to_numpy(), abs=1e-6)
    assert (word is None) == (not found.scaled) and (word or "Raking") in found.headline()


def test_margins_that_do_not_fit_are_refused_in_words_that_do():
    """Percent beside shares, half a per cent too much, codes as text: the message says what there is."""
    survey = pd.DataFrame({"age": np.resize([1, 2, 3], 60), "sex": np.resize(["F", "M"], 60)})
    for margins, words in (
        ({"age": EVEN, "sex": pd.Series({"F": 50, "M": 50})}, "'age' sums to 0.999, 'sex' sums to 100"),
        ({"age": pd.Series([330, 330, 330], [1, 2, 3]), "sex": pd.Series({"F": 511, "M": 512})}, "beyond rounding"),
        ({"age": EVEN.set_axis(["1", "2", "3"])}, "'age' is numbers in the survey and text in the margin"),
    ):
        with pytest.raises(WorkbenchError, match=words):
            rake(survey, margins)


def test_customers_are_the_units_of_their_cases():
    """None of 60 cases each of 5 customers late: about as much as 5 answers leave; all of one customer: no interval."""
    standard = [ServiceStandard("fast", "contact", "contacted_at", "wait_s", {}, at_most=20)]
    tickets = pd.DataFrame({"customer_id": [], "opened_at": pd.to_datetime([])})

    def share(late, each):
        cases = pd.DataFrame(
            {"customer_id": np.repeat(np.arange(len(late)), each), "wait_s": np.repeat(late, each) * 60}
        )
        cases = cases.assign(contacted_at=pd.Timestamp("2026-01-05"))
        return service_shortfalls(cases, tickets, as_of="2026-02-01", standards=standard)

    five = share(np.zeros(5, int), 60).table.iloc[0]
    assert five["low"] == 0 and five["high"] >= 43.4  # Wilson at 1.96 standard errors; Student's t makes it 60.7
    one = share(np.zeros(1, int), 60)
    assert "(no interval) % of cases, all of one customer" in one.headline() and not list(one.quantities())
    rare = share((np.arange(100) == 0).astype(int), 3).table.iloc[
        0
    ]  # one customer of 100: no more known than of 100 answers
    assert rare["high"] > 5.4


def linked(n: int = 1_500, seed: int = 2) -> pd.DataFrame:
    """Respondents of twelve provinces who leave by a law of their score; nobody of p03."""
    rng = np.random.default_rng(seed)
    score, province = rng.uniform(20, 100, n), rng.choice([f"p{k:02d}" for k in range(12)], n)
    left = (rng.random(n) < expit(0.5 - 0.04 * score)).astype(int)
    table = pd.DataFrame({"score": score, "churned": left, "province": province, "weight": 1.0, "complete": True})
    table.loc[table["province"] == "p03", "churned"] = 0
    return table.assign(
        answered_on=pd.Timestamp("2026-01-01"),
        left_on=pd.Series(pd.NaT, table.index, dtype="datetime64[ns]"),
        revenue_before=rng.gamma(5, 20, n),
        revenue_after=rng.gamma(5, 20, n),
    )


ASKED = {"covariates": ["province"]}


def test_a_category_nobody_left_tells_nothing_and_is_said():
    """The odds ratio is that of the eleven other provinces; six customers are enough of a category."""
    table = linked()
    without, found = (satisfaction_outcome(t, **ASKED) for t in (table[table["province"] != "p03"], table))
    assert found.table.iloc[0, 1:].tolist() == pytest.approx(without.table.iloc[0, 1:].tolist(), rel=1e-6)
    count = (table["province"] == "p03").sum()
    assert (
        f"Without {count} respondents whose covariates leave no doubt whether they left: province p03 ({count}, none"
        in found.headline()
    )
    assert found.n == 1_500 and found.fifths["n"].sum() == 1_500
    few = linked().assign(plan="a")
    few.loc[few.index[:6], ["plan", "churned"]] = ["b", 0]
    six = satisfaction_outcome(few, covariates=["plan"])
    alone = satisfaction_outcome(few[few["plan"] == "a"])
    left = [found.table.query("quantity != 'revenue'")["estimate"].tolist() for found in (six, alone)]
    assert left[0] == pytest.approx(left[1], rel=1e-6)
    assert "plan b (6, none left)" in six.headline()


def test_leaks_are_still_refused_or_named():
    """A score, a copy of the outcome, or a covariate that tells most; a category all of whom left is warned of."""
    table = linked()
    for change, asked_for in (
        ({"score": 100 - 90 * table["churned"] + table["score"] / 100}, {}),
        ({"copy": np.where(table["churned"] == 1, "yes", "no")}, {"covariates": ["copy"]}),
        ({"end": table["churned"] * 3.0 + table["score"] / 1e3}, {"covariates": ["end"]}),
        (
            {"state": np.where((table["churned"] == 1) | (table.index % 5 == 0), "asked", "calm")},
            {"covariates": ["state"]},
        ),
    ):
        with pytest.raises(CannotAnswer, match="tell exactly who left"):
            satisfaction_outcome(table.assign(**change), **asked_for)
    gone = table.assign(reason=np.where((table["churned"] == 1) & (table.index % 4 == 0), "moved", "other"))
    found = satisfaction_outcome(gone, covariates=["reason"])
    assert found.headline().startswith("WARNING: all ") and "of reason moved left" in found.headline()
    assert not list(found.quantities())


def test_groups_in_which_nobody_answered():
    """The likelihood ratio of a group without answers by hand; one group alone is nothing to compare, without nan."""
    invited = pd.DataFrame({"g": ["a"] * 6 + ["b"] * 100, "yes": [0] * 6 + [1] * 40 + [0] * 60, "all": "x"})
    found = nonresponse(invited, by="g", answered="yes")
    by_hand = 2 * (40 * np.log(40 / 100) + 60 * np.log(60 / 100) - 40 * np.log(40 / 106) - 66 * np.log(66 / 106))
    assert found.tests["chi2"].to_numpy() == pytest.approx(by_hand, rel=1e-6)
    low, high = found.table.loc[0, ["low", "high"]]
    assert low == 0 and high == pytest.approx(1.959964**2 / (6 + 1.959964**2))
    single = nonresponse(invited, by="all", answered="yes").headline()
    assert "nothing to compare" in single and "nan" not in single
