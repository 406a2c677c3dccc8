"""Difference in differences by province: by hand, against reference programs, size with few provinces, and refusals."""

import json
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.messages import Term, say
from workbench.result import Table
from workbench.studies.observational import fewclusters
from workbench.studies.observational.did import difference_in_differences

HOW = {"unit": "province", "period": "month", "treated_from": "start", "outcome": "revenue"}


def rollout(provinces: int, starts: list[int], seed: int, *, periods: int = 8, effect: float = 1.0, grows: float = 0.0):
    """A panel with province and month effects and serially correlated noise; the first provinces start when told."""
    rng = np.random.default_rng([13, seed])
    noise = rng.standard_normal((provinces, periods))
    for k in range(1, periods):
        noise[:, k] = 0.5 * noise[:, k - 1] + np.sqrt(0.75) * noise[:, k]
    start = np.r_[starts, np.full(provinces - len(starts), np.nan)]
    since = np.arange(periods) - start[:, None]
    gain = np.where(since >= 0, effect + grows * np.nan_to_num(since), 0.0)
    y = 3 * rng.standard_normal((provinces, 1)) + rng.standard_normal(periods) + noise + gain
    return pd.DataFrame(
        {
            "province": np.repeat(np.arange(provinces), periods),
            "month": np.tile(np.arange(periods), provinces),
            "start": np.repeat(start, periods),
            "revenue": y.ravel(),
            "customers": np.repeat(rng.lognormal(0, 0.5, provinces), periods),
        }
    )


def test_two_by_two_by_hand():
    """Weighted: treated change (1·4 + 3·8)/4 = 7, control change (1·1 + 1·3)/2 = 2, so 5."""
    change, size = {0: 4.0, 1: 8.0, 2: 1.0, 3: 3.0}, {0: 1, 1: 3, 2: 1, 3: 1}
    rows = [(p, m, 10.0 * p + change[p] * m, size[p], 1 if p < 2 else None) for p in range(4) for m in (0, 1)]
    table = pd.DataFrame(rows, columns=["province", "month", "revenue", "customers", "start"])
    found = difference_in_differences(table, **HOW, weight="customers")
    assert found.estimate == pytest.approx(5.0)
    assert found.inference == "randomisation" and "has only 6 permutations" in found.headline()


@pytest.mark.parametrize(
    ("weight", "average", "by_period"),
    [
        (
            None,
            1.3951331205437136,
            [0.11862485537306178, 0.06336179192597191, 1.3295288477, 1.1916058114, 1.9333962846],
        ),
        (
            "customers",
            2.1272196931840486,
            [0.3575428322658, 0.5920271905938, 2.0402505464, 1.986178086775, 2.5259210751],
        ),
    ],
)
def test_group_time_effects_as_in_csdid(weight, average, by_period):
    """csdid 0.4.3 (not-yet-treated controls, universal base, outcome regression) gives the same, weighted and not."""
    found = difference_in_differences(rollout(12, [2, 2, 2, 3, 3, 3], 0, periods=5), **HOW, weight=weight)
    assert found.estimate == pytest.approx(average, rel=1e-9)
    assert found.by_period["estimate"].tolist() == pytest.approx(by_period, abs=1e-8)


def test_wild_bootstrap_as_in_wildboottest(monkeypatch):
    """With all 256 sign patterns wildboottest 0.3.2 (null imposed) gives 190/256; we count the two ties as well."""
    signs = np.array(list(product([-1.0, 1.0], repeat=8)))
    monkeypatch.setattr(fewclusters, "_cluster_draws", lambda *_: signs)
    found = difference_in_differences(rollout(8, [1] * 4, 0, periods=2), **HOW, inference="wild bootstrap")
    assert found.estimate == pytest.approx(-0.3529618125355302) and found.p_value == 192 / 256
    assert found.se * np.sqrt(7 / 6) == pytest.approx(0.8709933401807576)


def test_average_over_starts_is_not_two_way_regression():
    """Where effects grow, regression with two-way effects is far off; group-time effects hold the truth exactly."""
    table = rollout(12, [2, 2, 2, 2, 5, 5, 5, 5], 1, effect=1.0, grows=1.0)
    flat = table.assign(revenue=0.0)
    since = table["month"] - table["start"]
    flat["revenue"] = np.where(since >= 0, 1.0 + since, 0.0) + table["month"] + 5.0 * table["province"]
    found = difference_in_differences(flat, **HOW)
    truth = flat.loc[since >= 0, "revenue"].sub((table["month"] + 5.0 * table["province"])[since >= 0]).mean()
    assert found.estimate == pytest.approx(truth)
    wide = flat.pivot_table(index="province", columns="month", values="revenue").to_numpy()
    on = (since >= 0).to_numpy(dtype=float).reshape(wide.shape)
    left = [m - m.mean(0) - m.mean(1, keepdims=True) + m.mean() for m in (wide, on)]
    assert (left[0] * left[1]).sum() / (left[1] ** 2).sum() < 0.9 * truth
    assert found.by_start["estimate"].tolist() == pytest.approx([1 + 2.5, 1 + 1.0])


@pytest.mark.prove
def test_the_size_holds_with_few_provinces():
    """The interval holds the truth in 95% of 100 rollouts of each kind within three standard errors."""
    for provinces, starts in ((8, [4] * 4), (31, [3, 4, 5] * 3)):
        held = [_holds(provinces, starts, seed, resamples=199) for seed in range(100)]
        assert abs(np.mean(held) - 0.95) <= 3 * np.sqrt(0.95 * 0.05 / 100), provinces


@pytest.mark.parametrize(
    "written",
    [
        lambda t: t.sample(frac=1, random_state=2).reset_index(drop=True),
        lambda t: t.assign(province="p" + (t["province"] * 7 % 16).astype(str)),
        lambda t: t.assign(month=t["month"].astype("Int64"), start=t["start"].astype("Float64")),
        lambda t: t.assign(start=t["start"].fillna(np.inf)),
        lambda t: t.assign(start=t["start"].fillna(9999)),
        lambda t: t.assign(
            **{c: t[c].map(lambda m: f"2025-{int(m) + 1:02d}", na_action="ignore") for c in ("month", "start")}
        ),
        lambda t: t.assign(
            **{
                c: pd.to_datetime(t[c].map(lambda m: f"2025-{int(m) + 1:02d}-01", na_action="ignore"))
                for c in HOW_TIMES
            }
        ),
        lambda t: t[t.columns[::-1]],
    ],
    ids=["rows", "names", "nullable", "infinite", "later", "text", "dates", "columns"],
)
def test_how_the_panel_is_written_changes_nothing(written):
    """Order, names, dtypes, and four ways to write never and months give the same numbers and interval."""
    table = rollout(16, [3, 3, 3, 5, 5, 5], 5)
    plain, found = (difference_in_differences(t, **HOW, weight="customers") for t in (table, written(table)))
    assert (found.estimate, found.low, found.high, found.p_value) == pytest.approx(
        (plain.estimate, plain.low, plain.high, plain.p_value), rel=1e-6
    )


HOW_TIMES = ("month", "start")


@pytest.mark.parametrize("code", [-1, -99, -9999])
def test_a_code_for_never_before_the_first_period_is_refused(code):
    """It may as well stand for always: the message names the code and what to write instead."""
    with pytest.raises(WorkbenchError, match=f"'start' is {code} for 10 units, before the first period"):
        difference_in_differences(rollout(16, [3] * 6, 5).fillna({"start": code}), **HOW)


def test_times_that_do_not_fit_are_refused():
    """Placeholders, starts between periods, months as letters, and numbers beside dates are named."""
    table = rollout(16, [3] * 6, 5)
    dates = table.assign(month=pd.to_datetime("2025-01-01") + pd.to_timedelta(table["month"] * 31, unit="D"))
    with pytest.raises(WorkbenchError, match="'month' holds dates and 'start' numbers"):
        difference_in_differences(dates, **HOW)
    with pytest.raises(WorkbenchError, match="holds a placeholder"):
        difference_in_differences(dates.assign(start="1900-01-01"), **HOW)
    with pytest.raises(WorkbenchError, match="no period of the panel"):
        difference_in_differences(table.assign(start=table["start"] + 0.5), **HOW)
    with pytest.raises(WorkbenchError, match="sort by letters"):
        difference_in_differences(table.assign(month="2025-" + (table["month"] + 1).astype(str)), **HOW)


def test_what_has_no_part_is_counted():
    """Units treated from the first month on, and the last who only compare, are in result and sentence."""
    table = rollout(20, [0] * 4 + [3] * 8 + [5] * 8, 6)
    found = difference_in_differences(table, **HOW)
    assert found.set_aside == {
        "units treated from the first period on": 4,
        "units that came last and only served to compare": 8,
        "periods with nobody left to compare with": 3,
    }
    assert "4 units treated from the first period on" in found.headline()


def test_no_variance_is_not_certainty():
    """Provinces that move by exactly as much tell nothing of chance; a constant outcome is refused."""
    table = rollout(16, [3] * 6, 5)
    flat = table.assign(revenue=table["month"] + 5.0 * (table["month"] >= table["start"]))
    found = difference_in_differences(flat, **HOW)
    assert found.estimate == pytest.approx(5.0)
    assert "Not answerable" in found.headline() and not list(found.quantities())
    with pytest.raises(CannotAnswer, match="the same in all units and periods"):
        difference_in_differences(table.assign(revenue=3.0), **HOW)


def _holds(provinces: int, starts: list[int], seed: int, **how) -> bool:
    found = difference_in_differences(rollout(provinces, starts, seed), **HOW, weight="customers", **how)
    return found.low <= 1 <= found.high


def test_one_province_of_many_is_tested_by_permutation():
    """A large effect in one province of 31 has p = 1/31; one of 15 cannot be told from chance."""
    found = difference_in_differences(rollout(31, [4], 2, effect=20.0), **HOW)
    assert found.inference == "randomisation" and found.p_value == pytest.approx(1 / 31)
    assert found.low < 20 < found.high and "raised" in found.headline()
    few = difference_in_differences(rollout(15, [4], 2, effect=20.0), **HOW)
    assert "has only 15 permutations" in few.headline() and not list(few.quantities())


def test_diverging_trends_are_refused_and_named():
    """Where treated provinces grew faster already, the answer is refused and the period named; drawn all the same."""
    table = rollout(20, [5] * 8, 3)
    table["revenue"] += 1.5 * table["month"] * table["start"].notna()
    found = difference_in_differences(table, **HOW)
    assert "moved apart already before" in found.headline() and not list(found.quantities())
    assert found.plot().get_xlabel().startswith("periods since")


def test_three_voices_and_row_order():
    """The effect is said with its condition, tabulated by period, named; the order of the rows changes nothing."""
    table = rollout(20, [5] * 8, 4, effect=3.0)
    found = difference_in_differences(table, **HOW, campaign="5G")
    assert "raised revenue" in found.headline() and "assuming parallel trends" in found.headline()
    assert found.summary()["period"].tolist() == ["average", -5, -4, -3, -2, 0, 1, 2]
    assert next(iter(found.quantities())).name == "did[campaign=5G,outcome=revenue]"
    again = difference_in_differences(table.sample(frac=1, random_state=1), **HOW)
    assert (again.estimate, again.low, again.p_value) == (found.estimate, found.low, found.p_value)


def test_a_finer_unit_counts_by_cluster():
    """Cities that copy their province add no certainty: same effect, same interval as the provinces."""
    table = rollout(12, [4] * 5, 5)
    cities = pd.concat([table.assign(city=table["province"] * 10 + k) for k in range(3)], ignore_index=True)
    fine = difference_in_differences(cities, **{**HOW, "unit": "city"}, clusters="province")
    coarse = difference_in_differences(table, **HOW)
    assert (fine.low, fine.high) == pytest.approx((coarse.low, coarse.high)) and fine.treated_clusters == 5


def test_a_stray_period_of_a_few_units_is_left_out():
    """A bill of long ago makes a period of one province: counted, and the effect is as without; many are a gap."""
    table = rollout(12, [4] * 5, 5)
    stray = table.head(2).assign(month=[-200, -90])
    found, bare = (difference_in_differences(one, **HOW) for one in (pd.concat([table, stray]), table))
    assert (found.estimate, found.low, found.high) == (bare.estimate, bare.low, bare.high)
    assert found.set_aside == {"rows of periods that most units lack": 2} and "2 rows of periods" in found.headline()
    five = table[table["month"] == 0].head(5)
    with pytest.raises(WorkbenchError, match="panel lacks 14 of 120 pairs"):
        difference_in_differences(pd.concat([table, five.assign(month=-90), five.assign(month=-80)]), **HOW)


@pytest.mark.parametrize("form", ["number", "text", "code", "day"])
def test_a_month_that_no_unit_has_is_no_step(form):
    """Without the fourth month, the fifth would be told as the first since the start: refused, also as 202512."""
    months = pd.period_range("2025-10", periods=8, freq="M")
    write = {
        "number": lambda k: k,
        "text": lambda k: str(months[k]),
        "code": lambda k: int(months[k].strftime("%Y%m")),
        "day": lambda k: months[k].end_time.date(),
    }[form]
    table = rollout(14, [4, 4, 4, 5, 5, 5], 3)
    start = [None if np.isnan(k) else write(int(k)) for k in table["start"]]
    table = table.assign(at=table["month"], month=table["month"].map(write), start=pd.Series(start, dtype=object))
    if form in ("number", "code"):
        table["start"] = table["start"].astype(float)
    assert difference_in_differences(table, **HOW, resamples=99).by_period["period"].tolist() == [
        *range(-5, -1),
        *range(4),
    ]
    with pytest.raises(WorkbenchError, match="'month' of panel leaves a period out for all units: add it"):
        difference_in_differences(table[table["at"] != 3], **HOW, resamples=99)


def test_what_is_refused():
    """Too few clusters, everybody at once, gaps, repeats and wandering starts are refused with where."""
    table = rollout(8, [4] * 4, 6)
    with pytest.raises(CannotAnswer, match="3 clusters"):
        difference_in_differences(table[table["province"].isin([0, 4, 5])], **HOW)
    with pytest.raises(CannotAnswer, match="not yet treated"):
        difference_in_differences(table.assign(start=4), **HOW)
    with pytest.raises(WorkbenchError, match="lacks 1 of 64 pairs of unit and period, for instance '0', '1'"):
        difference_in_differences(table.drop(index=1), **HOW)
    with pytest.raises(WorkbenchError, match="twice, for instance '0', '0'"):
        difference_in_differences(pd.concat([table, table.head(1)]), **HOW)
    with pytest.raises(WorkbenchError, match="'start' varies within the unit '0'"):
        difference_in_differences(table.assign(start=table["start"].where(table.index > 0, 2)), **HOW)


@pytest.mark.prove
@pytest.mark.parametrize(
    ("provinces", "starts"),
    [(6, [4] * 3), (8, [4] * 4), (16, [4] * 4), (31, [4] * 2), (31, [4]), (31, [3, 4, 5] * 3)],
    ids=["6, 3 treated", "8, 4", "16, 4", "31, 2", "31, 1", "31, 9 staggered"],
)
def test_size_over_a_thousand_rollouts(provinces, starts):
    """Over 1,000 rollouts the test of the true effect refuses in 5%, or less where provinces are too few to refuse."""
    held = np.mean([_holds(provinces, starts, seed, resamples=399) for seed in range(1_000)])
    print(f"\n{provinces} provinces, {len(starts)} treated: interval holds the truth {held:.3f}")
    assert held >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 1_000)


def test_the_sizes_of_a_rollout_weigh_provinces_by_customers():
    """100 customers at 10 yuan and 300 at 20 pay 17.5 each; the mean of the provinces, 15, is nobody's revenue."""
    book = json.loads((Path(__file__).parents[2] / "notebooks" / "rollout.ipynb").read_text("utf-8"))
    cell = next(s for c in book["cells"] if "sizes = " in (s := "".join(c["source"])))
    rows = [
        (p, m, n, y, t, 0)
        for m in (1, 2)
        for p, n, y, t in (("a", 100, 10.0, 1), ("b", 300, 20.0, 1), ("c", 50, 7.0, 0))
    ]
    panel = pd.DataFrame(rows, columns=["province", "month", "customers", "revenue", "treated", "after"])
    shown: list[Table] = []
    exec(
        cell,
        {
            "panel": panel,
            "show": shown.append,
            "Table": Table,
            "say": say,
            "Term": Term,
            "warehouse": SimpleNamespace(currency="yuan"),
        },
    )
    assert shown[0].frame.set_index("group")[["customers", "revenue"]].to_numpy().tolist() == [[200, 17.5], [50, 7]]
    assert "yuan a customer and month" in shown[0].caption
