"""Does raking give the margins that were asked for, in the survey and in every resample, and say what it cost?"""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.satisfaction import Construct, PathModel, rake, satisfaction_index
from workbench.studies.voice import nonresponse

matplotlib.use("Agg")

MODEL = PathModel(
    [Construct("Quality", ["q1", "q2"], low=1, high=10), Construct("Satisfaction", ["s1", "s2"], low=1, high=10)],
    {"Satisfaction": ["Quality"]},
)
SHARES = {"age": pd.Series({"young": 0.3, "old": 0.7}), "sex": pd.Series({"f": 0.5, "m": 0.5})}


def people(counts: dict[tuple[str, str], int]) -> pd.DataFrame:
    """One row a respondent, from counts by age and sex."""
    rows = [cell for cell, count in counts.items() for _ in range(count)]
    return pd.DataFrame(rows, columns=["age", "sex"])


TWO = people({("young", "f"): 4, ("young", "m"): 2, ("old", "f"): 1, ("old", "m"): 3})


def answered(n: int, seed: int, effect: float = 2.0) -> pd.DataFrame:
    """Respondents whose age decides what they say; half are old."""
    rng = np.random.default_rng(seed)
    old = rng.random(n) < 0.5
    values = 5 + effect * old[:, None] + 0.8 * rng.normal(size=(n, 1)) + 0.6 * rng.normal(size=(n, 4))
    table = pd.DataFrame(np.clip(np.round(values), 1, 10), columns=list(MODEL.items))
    return table.assign(age=np.where(old, "old", "young"), sex=rng.choice(["f", "m"], n), weight=rng.uniform(1, 2, n))


def test_two_by_two_by_hand():
    """Raking keeps the odds ratio 4 x 3 / (2 x 1) = 6 and meets both margins: a quadratic equation gives the cell."""
    found = rake(TWO, SHARES)
    cell = found.weights.groupby([TWO["age"], TWO["sex"]]).sum() / found.weights.sum()
    # a: young f; young m 0.3 - a, old f 0.5 - a, old m 0.2 + a: a (0.2 + a) = 6 (0.3 - a) (0.5 - a)
    a = min(np.roots([5, -5.0, 0.9]))
    assert cell["young", "f"] == pytest.approx(a, abs=1e-8)
    assert cell.groupby("age").sum().to_dict() == pytest.approx({"young": 0.3, "old": 0.7}, abs=1e-9)
    assert found.weights.sum() == pytest.approx(10)
    row = found.table.set_index(["margin", "category"]).loc[("age", "young")]
    assert row[["n", "before", "population", "off"]].tolist() == pytest.approx([6, 0.6, 0.3, 0.3])
    assert found.deff_before == 1
    assert found.deff_after == pytest.approx(10 * (found.weights**2).sum() / 100)
    assert found.headline().startswith("Before raking age ")


def test_published_example():
    """Age by marital status of Bishop, Fienberg & Holland (1975), as in Example 9.14 of the SAS/IML User's Guide."""
    before = [
        [1306, 83, 0],
        [619, 765, 3],
        [263, 1194, 9],
        [173, 1372, 28],
        [171, 1393, 51],
        [159, 1372, 81],
        [208, 1350, 108],
        [1116, 4100, 2329],
    ]
    after = [
        [1325.27, 86.73, 0],
        [615.56, 783.39, 3.05],
        [253.94, 1187.18, 8.88],
        [165.13, 1348.55, 27.32],
        [173.41, 1454.71, 52.87],
        [147.21, 1308.12, 76.67],
        [202.33, 1352.28, 107.40],
        [1105.16, 4181.04, 2357.81],
    ]
    table = pd.DataFrame(before, columns=["single", "married", "widowed"]).rename_axis("age").reset_index()
    table = table.melt("age", var_name="status", value_name="count")
    margins = {
        "age": pd.Series([1412, 1402, 1450, 1541, 1681, 1532, 1662, 7644]),
        "status": pd.Series({"single": 3988, "married": 11702, "widowed": 2634}),
    }
    found = rake(table, margins, weight="count").weights
    assert found.to_numpy().reshape(3, 8).T == pytest.approx(np.array(after), abs=0.006)


@given(st.integers(0, 10_000))
def test_order_of_rows_and_margins_is_immaterial(seed):
    """Rows and margins in another order give the same weights."""
    rng = np.random.default_rng(seed)
    table = people({(a, s): int(rng.integers(1, 9)) for a in ("young", "old") for s in ("f", "m")})
    shuffled = table.sample(frac=1, random_state=seed)
    first = rake(table, SHARES).weights
    second = rake(shuffled, dict(reversed(SHARES.items()))).weights.reindex(table.index)
    assert second.to_numpy() == pytest.approx(first.to_numpy(), rel=1e-7)


def test_totals_and_crossed_margins():
    """Totals give weights that sum to them; a margin may cross two columns, and then post-stratifies exactly."""
    crossed = pd.Series({("young", "f"): 100.0, ("young", "m"): 300.0, ("old", "f"): 250.0, ("old", "m"): 350.0})
    found = rake(TWO, {("age", "sex"): crossed})
    sums = found.weights.groupby([TWO["age"], TWO["sex"]]).sum()
    assert sums.to_dict() == pytest.approx(crossed.to_dict())
    assert "age x sex" in set(found.table["margin"])


def test_a_cap_holds_and_says_what_it_leaves():
    """No design weight is multiplied by more than the cap; margins that then stay off are said."""
    found = rake(TWO, SHARES, cap=1.5)
    assert found.factor_high == pytest.approx(1.5) and found.capped > 0
    assert found.weights.max() == pytest.approx(1.5)
    assert "a margin stays off by up to" in found.headline()
    assert rake(TWO, SHARES, cap=50).weights.to_numpy() == pytest.approx(rake(TWO, SHARES).weights.to_numpy())


def test_index_of_the_raked_survey():
    """Margins move the index to that of the population: as if the raked weights had been given."""
    table = answered(400, 1)
    found = satisfaction_index(table, MODEL, by=(), margins=SHARES, resamples=50)
    given_them = table.assign(weight=rake(table, SHARES, weight="weight").weights)
    fixed = satisfaction_index(given_them, MODEL, by=(), resamples=50)
    assert found.table["index"].to_numpy() == pytest.approx(fixed.table["index"].to_numpy())
    assert found.raking.table["after"].to_numpy() == pytest.approx(found.raking.table["population"].to_numpy())
    again = satisfaction_index(
        table.sample(frac=1, random_state=2), MODEL, by=(), margins=dict(reversed(SHARES.items())), resamples=50
    )
    assert again.replicates == pytest.approx(found.replicates, rel=1e-6)


def test_waves_have_margins_of_their_own():
    """Margins by wave rake each wave to its own population; within a cell of one margin the shares are those."""
    table = answered(400, 3).assign(wave=np.resize(["2025", "2026"], 400))
    by_wave = pd.Series({("2025", "young"): 0.2, ("2025", "old"): 0.3, ("2026", "young"): 0.4, ("2026", "old"): 0.1})
    found = satisfaction_index(table, MODEL, by=["wave"], margins={("wave", "age"): by_wave}, resamples=50)
    alone = [
        satisfaction_index(
            table[table["wave"] == wave],
            MODEL,
            by=(),
            margins={"age": by_wave[wave] / by_wave[wave].sum()},
            resamples=50,
        ).item_mean[0]
        for wave in ("2025", "2026")
    ]
    assert found.item_mean == pytest.approx(np.array(alone))


def test_every_resample_meets_the_margins():
    """Rows of resampled weights are raked one by one; a row that lacks a category shares it among the others."""
    from workbench.studies.satisfaction.weighting import RakingFrame

    frame = RakingFrame.of(TWO, SHARES, np.arange(1.0, 11.0), None)
    rows = np.random.default_rng(0).multinomial(10, np.full(10, 0.1), size=40).astype(float)
    old = np.array(TWO["age"] == "old")
    rows[0, old] = 0
    for row, raked in zip(rows, next(frame.raked([rows])), strict=True):
        weight = raked * np.arange(1.0, 11.0)
        if np.isnan(weight).any():
            continue  # this row holds no combination that could meet them
        aim = 0.7 if row[old].any() and row[~old].any() else float(row[old].any())
        assert weight[old].sum() / weight.sum() == pytest.approx(aim, abs=2e-6)


def test_resamples_that_cannot_be_raked_are_counted():
    """Where the few who link two margins are not drawn, no weights meet both: such resamples are counted and said."""
    table = answered(120, 5)
    table["sex"] = np.where(table["age"] == "young", "f", "m")
    table.loc[table.index[table["age"] == "old"][:2], "sex"] = "f"
    found = satisfaction_index(table, MODEL, by=(), margins=SHARES, resamples=200)
    assert found.failed == np.isnan(found.replicates[:, 0, 0]).sum()
    assert 10 < found.failed < 50  # two are missed by one resample of 1 / e^2 = 13.5%
    assert f"{found.failed} resamples did not converge, or could not meet the margins." in found.headline()
    capped = satisfaction_index(table, MODEL, by=(), margins=SHARES, cap=2, resamples=50)
    assert capped.failed == 0 and capped.raking.factor_high == pytest.approx(2)


@pytest.mark.parametrize("surveys", [40, pytest.param(600, marks=pytest.mark.prove)])
def test_raking_again_in_each_resample_gives_the_true_error(surveys):
    """Where margins explain the answers, the error is that over surveys; weights taken as given say more."""
    found, again, taken = [], [], []
    for seed in range(surveys):
        table = answered(200, seed).drop(columns="weight")
        index = satisfaction_index(table, MODEL, by=(), weight=None, margins=SHARES, resamples=60, rng=seed)
        found.append(index.table["index"].iloc[-1])
        again.append(index.table["se"].iloc[-1])
        if seed < 10:
            raked = table.assign(weight=rake(table, SHARES).weights)
            fixed = satisfaction_index(raked, MODEL, by=(), resamples=60, rng=seed)
            taken.append(fixed.table["se"].iloc[-1] / again[-1])
    over_surveys = np.std(found, ddof=1)
    noise = 1 / np.sqrt(2 * surveys - 2)  # of a standard deviation, as a share of it
    assert np.mean(again) == pytest.approx(over_surveys, rel=max(3 * noise, 0.05))
    assert np.mean(taken) > 1.2


def test_rates_of_response():
    """Rates and Wilson intervals by group, the ineligible left out; the test finds the column that matters."""
    rng = np.random.default_rng(4)
    province = rng.choice(["北京", "广东"], 3000)
    yes = rng.random(3000) < np.where(province == "北京", 0.3, 0.5)
    outcome = np.where(yes, "answered", rng.choice(["refused", "not_reached"], 3000))
    outcome[:100] = "ineligible"
    invited = pd.DataFrame({"province": province, "channel": rng.choice(["app", "hall"], 3000), "outcome": outcome})
    found = nonresponse(invited, by=["province", "channel"])
    assert (found.invited, found.left_out) == (2900, 100)
    assert "of 2,900 invited answered" in found.headline() and "100 more who were not eligible" in found.headline()
    row = found.table.set_index("group").loc["北京"]
    for end in (row["low"], row["high"]):  # Wilson: the rates that this one would be 1.96 standard errors from
        assert abs(row["rate"] - end) == pytest.approx(1.959964 * np.sqrt(end * (1 - end) / row["invited"]))
    tests = found.tests.set_index("column")
    assert tests.loc["province", "p"] < 1e-6 and tests.loc["channel", "p_holm"] > 0.05 and tests.loc["all", "df"] == 2
    assert "depends on 'province'" in found.headline() and "nothing else" in found.headline()
    flag = invited[invited["outcome"] != "ineligible"].assign(outcome=lambda t: t["outcome"] == "answered")
    pd.testing.assert_frame_equal(nonresponse(flag, by=["province", "channel"]).table, found.table)


def test_response_that_depends_on_nothing():
    """The likelihood-ratio test by hand on one column: 2 x sum of counts x log(rate / common rate)."""
    invited = pd.DataFrame(
        {"g": ["a"] * 100 + ["b"] * 100, "yes": [True] * 40 + [False] * 60 + [True] * 50 + [False] * 50}
    )
    found = nonresponse(invited, by="g", answered="yes")
    by_hand = 2 * (40 * np.log(40 / 45) + 60 * np.log(60 / 55) + 50 * np.log(50 / 45) + 50 * np.log(50 / 55))
    assert found.tests["chi2"].to_numpy() == pytest.approx(by_hand)
    assert "does not depend on 'g'" in found.headline() and "eligible" not in found.headline()
    nobody = invited.assign(yes=invited["yes"] & (invited["g"] == "b"))
    assert nonresponse(nobody, by="g", answered="yes").table["rate"].tolist() == [0, 0.5]


def test_three_voices():
    """Sentence, table and picture."""
    import matplotlib.pyplot as plt

    invited = pd.DataFrame({"g": np.resize(["a", "b", "c"], 90), "yes": np.resize([True, False, False, True], 90)})
    raked, silent = rake(TWO, SHARES), nonresponse(invited, by="g", answered="yes")
    with pytest.raises(CannotAnswer, match="has no picture: its table has no intervals"):
        raked.plot()
    assert silent.plot().get_xlabel() == "rate" and len(silent.plot().get_yticks()) == len(silent.summary())
    plt.close("all")
    for result in (raked, silent):
        assert result.headline().endswith(".") and len(result.summary()) and list(result.quantities())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rake(TWO, {"agee": SHARES["age"]}), "survey lacks 'agee'.*Did you mean 'age'"),
        (lambda: rake(TWO, {"age": pd.Series({"young": 1.0})}), "'age' has no total for 'old'"),
        (
            lambda: rake(TWO, {"age": pd.Series({"young": 0.3, "old": 0.6, "oldest": 0.1})}),
            "nobody answered in 'oldest'",
        ),
        (lambda: rake(TWO, {**SHARES, "sex": pd.Series({"f": 50, "m": 51})}), "'age' sums to 1, 'sex' sums to 101"),
        (lambda: rake(TWO, {"age": pd.Series({"young": 1.2, "old": -0.2})}), "negative totals"),
        (lambda: rake(TWO, {"age": 3}), "must be a Series"),
        (lambda: rake(TWO, {}), "margins= is empty"),
        (lambda: rake(TWO, SHARES, cap=0.5), "lets no weight rise"),
        (lambda: rake(TWO.assign(w=-1.0), SHARES, weight="w"), "weight 'w' is negative"),
        (lambda: rake(people({("young", "f"): 3, ("old", "m"): 3}), SHARES), "no weights meet all margins"),
        (
            lambda: satisfaction_index(
                answered(60, 0).assign(wave=np.resize(["1", "2"], 60)), MODEL, by=["wave"], margins=SHARES, minimum=5
            ),
            "each wave has its own margins",
        ),
        (lambda: nonresponse(TWO.assign(outcome="yes"), by="age"), "none answered; it holds 'yes'"),
        (lambda: nonresponse(TWO.assign(outcome="answered"), by="age"), "all answered"),
        (lambda: nonresponse(TWO, by="age"), "invited lacks 'outcome'"),
        (lambda: nonresponse(TWO.assign(outcome=None), by="age"), "gaps in 'outcome'"),
    ],
)
def test_what_cannot_be_raked_is_refused(call, words):
    """Bad margins and columns are refused by name, with what to do."""
    with pytest.raises((WorkbenchError, CannotAnswer), match=words):
        call()
