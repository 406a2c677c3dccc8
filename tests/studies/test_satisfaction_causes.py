"""Do gaps and changes add up, are items ranked by what they bring, and do the parts' intervals cover the truth?"""

from itertools import product

import matplotlib
import numpy as np
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.studies.satisfaction import (
    Construct,
    PathModel,
    competitor_map,
    gap_to_items,
    importance_performance,
    item_priorities,
    operator_gaps,
    path_effects,
    satisfaction_index,
    simulate_improvement,
    wave_change,
)

matplotlib.use("Agg")

MODEL = PathModel(
    [
        Construct("Quality", ["q1", "q2"], low=1, high=10),
        Construct("Satisfaction", ["s1", "s2", "s3"], low=1, high=(10, 10, 7), reversed=["s2"]),
        Construct("Loyalty", ["l1", "l2"], low=1, high=10),
    ],
    {"Satisfaction": ["Quality"], "Loyalty": ["Satisfaction"]},
)
FAST = {"resamples": 100, "rng": 3}
A, B = {"operator": "A", "service": "mobile"}, {"operator": "B", "service": "mobile"}


def survey(n: int = 480, *, lift: float = 0.0, seed: int = 0, wave: str = "2025") -> pd.DataFrame:
    """Three operators, two services, three provinces, unequal weights, some missing answers; B lifted in mobile."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"operator": np.resize(["A", "B", "C"], n), "service": np.resize(["mobile", "fixed"], n)})
    values = 5 + rng.normal(size=(n, 1)) + 0.9 * rng.normal(size=(n, 7)) + 0.4 * np.arange(7)
    values += lift * ((table["operator"] == "B") & (table["service"] == "mobile")).to_numpy()[:, None]
    values[:, 3] = 11 - values[:, 3]
    table[list(MODEL.items)] = np.clip(np.round(values), 1, MODEL_HIGH)
    table.loc[rng.choice(n, n // 20, replace=False), "s1"] = np.nan
    province = rng.choice(["x", "y", "z"], n, p=[0.5, 0.3, 0.2])
    return table.assign(province=province, wave=wave, weight=rng.uniform(0.5, 2, n))


MODEL_HIGH = np.concatenate([c.ends()[1] for c in MODEL.constructs])


@pytest.fixture(scope="module")
def index():
    """Index of a survey in which B leads in mobile."""
    return satisfaction_index(survey(lift=1.0), MODEL, **FAST)


@pytest.fixture(scope="module")
def effects():
    """Paths of the same survey."""
    return path_effects(survey(lift=1.0), MODEL, **FAST)


@pytest.fixture(scope="module")
def waves():
    """Two waves of different answers, weights and mix."""
    after = survey(540, lift=0.6, seed=1, wave="2026")
    after.loc[after.index[::7], "province"] = "z"
    return pd.concat([survey(), after], ignore_index=True)


def test_an_items_part_of_a_gap_by_hand(index):
    """u (mean of B - mean of A) over the length of the scale in all: reversed and shorter scales included."""
    found = gap_to_items(index).table.query("service == 'mobile' and operator == 'A' and against == 'B'")
    found = found.set_index("item")
    table = survey(lift=1.0).assign(s2=lambda t: 11 - t["s2"])
    outer = index.fit.unstandardised_weights["Satisfaction"]
    span = outer @ np.array([9, 9, 6])
    for item in outer.index:
        means = []
        for operator in ("A", "B"):
            rows = table[(table["operator"] == operator) & (table["service"] == "mobile")].dropna(subset=[item])
            means.append(np.average(rows[item], weights=rows["weight"]))
        assert found.loc[item, "gap"] == pytest.approx(100 * outer[item] * (means[0] - means[1]) / span)
        assert found.loc[item, "low"] < found.loc[item, "gap"] < found.loc[item, "high"]


def test_items_add_up_to_every_gap(index):
    """The parts of all six pairs add up to the gaps of the gap study, estimate and interval."""
    table, gaps = gap_to_items(index).table, operator_gaps(index).table
    whole, parts = table[table["item"] == "all"], table[table["item"] != "all"]
    assert (whole["operator"].to_numpy() == gaps["operator"].to_numpy()).all()
    assert np.abs(parts["gap"].to_numpy().reshape(-1, 3).sum(axis=1) - gaps["gap"]).max() < 1e-12
    assert np.allclose(whole[["gap", "se", "low", "high"]], gaps[["gap", "se", "low", "high"]], atol=1e-9)


def test_parts_of_a_change_add_up(waves):
    """In every cell weights + answers + mix = change, and both ends are the indices of the waves themselves."""
    found = wave_change(waves, MODEL, **FAST).table
    assert np.abs(found[["weights", "answers", "mix"]].sum(axis=1) - found["change"]).max() < 1e-12
    for column, wave in (("before", "2025"), ("after", "2026")):
        alone = satisfaction_index(waves[waves["wave"] == wave], MODEL, **FAST).table
        alone = alone[alone["construct"] == "Satisfaction"]["index"]
        assert np.allclose(found[column], alone, atol=1e-10)


def test_parts_of_a_change_by_hand(waves):
    """One cell of three strata, all eight combinations computed from the table."""
    found = wave_change(waves, MODEL, by=(), **FAST).table.iloc[0]
    turned = waves.assign(s2=11 - waves["s2"])
    sides = []
    for wave in ("2025", "2026"):
        rows = turned[turned["wave"] == wave]
        fit = satisfaction_index(waves[waves["wave"] == wave], MODEL, by=(), **FAST).fit
        outer = fit.unstandardised_weights["Satisfaction"] * [9, 9, 6]
        strata = {i: rows.dropna(subset=[i]).groupby("province") for i in outer.index}
        total = pd.DataFrame({i: g["weight"].sum() for i, g in strata.items()})
        mean = pd.DataFrame(
            {
                i: g[[i, "weight"]].apply(lambda d: np.average(d.iloc[:, 0], weights=d["weight"]))
                for i, g in strata.items()
            }
        )
        sides.append(
            (
                (outer / outer.sum()).to_numpy(),
                100 * (mean.to_numpy() - 1) / [9, 9, 6],
                (total / total.sum()).to_numpy(),
            )
        )
    f = {p: (sides[p[0]][0] * sides[p[1]][1] * sides[p[2]][2]).sum() for p in product((0, 1), repeat=3)}
    mix = (f[0, 0, 1] - f[0, 0, 0] + f[1, 1, 1] - f[1, 1, 0]) / 3
    mix += (f[1, 0, 1] - f[1, 0, 0] + f[0, 1, 1] - f[0, 1, 0]) / 6
    assert found["mix"] == pytest.approx(mix)
    assert found["change"] == pytest.approx(f[1, 1, 1] - f[0, 0, 0])


def test_each_cause_alone_is_told_apart(waves):
    """All answers a point better: answers alone move the index; the same people weighted otherwise: the mix does."""
    before = waves[waves["wave"] == "2025"].copy()
    before[["s1", "s3"]], before["s2"] = before[["s1", "s3"]].clip(1, 6), before["s2"].clip(2, 10)
    better = before.assign(wave="2026", s1=before["s1"] + 1, s2=before["s2"] - 1, s3=before["s3"] + 1)
    found = wave_change(pd.concat([before, better]), MODEL, by=(), **FAST).table.iloc[0]
    assert abs(found["weights"]) < 1e-6 and abs(found["mix"]) < 1e-9 and found["answers"] > 10
    before.loc[before["province"] == "z", ["s1", "s3"]] -= 0.5
    again = before.assign(wave="2026", weight=before["weight"] * (1 + 2 * (before["province"] == "z")))
    found = wave_change(pd.concat([before, again]), MODEL, by=(), **FAST).table.iloc[0]
    assert found["mix"] < -0.3 and abs(found["answers"]) < 1e-9


def test_thin_strata_are_pooled_and_named(waves):
    """A province in one wave only joins the pool of its cell, by name; small cells are left out with their counts."""
    table = waves.copy()
    fresh = (table["wave"] == "2026") & (table["operator"] == "A") & (table["province"] == "x")
    table.loc[fresh, "province"] = "new"
    found = wave_change(table, MODEL, **FAST)
    assert {"new", "x"} <= set(found.pooled.loc[found.pooled["operator"] == "A", "province"])
    assert f"{len(found.pooled)} strata of fewer than 10 respondents in a wave count as one" in found.headline()
    assert np.abs(found.table[["weights", "answers", "mix"]].sum(axis=1) - found.table["change"]).max() < 1e-12
    small = table.drop(table[(table["operator"] == "A") & (table["service"] == "fixed")].index[5:])
    few = wave_change(small, MODEL, **FAST)
    assert few.left_out["n_before"].tolist() == [5]
    assert "Not compared, as too few were asked in a wave: 'A, fixed'." in few.headline()


def test_a_part_that_one_wave_did_not_ask_is_named(waves):
    """A wave without province z, where all are less satisfied: the index rises by the mix alone: it is said."""
    before = waves[waves["wave"] == "2025"].copy()
    before[["s1", "s3"]] = before[["s1", "s3"]].where(before["province"] != "z", 2.0)
    after = before[before["province"] != "z"].assign(wave="2026")
    found = wave_change(pd.concat([before, after]), MODEL, by=(), **FAST)
    part = found.table.iloc[0]
    assert part["change"] > 1 and part["answers"] > 1  # though nobody answers otherwise
    assert "Of 'z' one wave asked nobody: part of that counts as answers." in found.headline()
    assert "one wave asked nobody" not in wave_change(waves, MODEL, by=(), **FAST).headline()


def test_a_movement_within_noise_is_called_so(waves):
    """The same population twice: no movement, and what this survey could have seen is said."""
    found = wave_change(pd.concat([survey(seed=5), survey(seed=6, wave="2026")]), MODEL, by=(), **FAST)
    assert "not significant" in found.headline() and "80% power" in found.headline()
    row = found.table.iloc[0]
    assert row["detectable"] == pytest.approx((1.959964 + 0.841621) * row["se"])


def test_items_share_the_importance_of_their_construct(effects):
    """Items of a driver raised by their whole scale bring what the driver brings; potential is what is left."""
    table = item_priorities(effects, target="Loyalty", top=1).table
    whole = importance_performance(effects, target="Loyalty").table.set_index("construct")
    span = table["item"].map(dict(zip(MODEL.items, MODEL_HIGH - 1, strict=True)))
    brought = (table["importance"] * span).groupby(table["construct"]).sum() / 100
    assert np.allclose(brought, whole["importance"].reindex(brought.index))
    left = table["potential"].groupby(table["construct"]).sum()
    assert np.allclose(left, whole["potential"].reindex(left.index), rtol=0.02)  # missing answers, by cell
    assert table["probability_top"].sum() == pytest.approx(1)
    assert set(item_priorities(effects, target="Loyalty", top=1, levers=["Quality"]).table["construct"]) == {"Quality"}


def test_a_point_more_stops_at_the_end_of_the_scale(effects):
    """Each answer rises as far as the scale allows, its construct by the item's share, the rest by total effects."""
    table = survey(lift=1.0)
    at = (table["operator"] == "B") & (table["service"] == "mobile")
    found = simulate_improvement(effects, {"q1": 3.0}, target="Loyalty", of=B)
    rose = np.minimum(table.loc[at, "q1"] + 3, 10) - table.loc[at, "q1"]
    change, weight = found.changes.iloc[0], table.loc[at, "weight"]
    assert change["realised"] == pytest.approx(np.average(rose, weights=weight))
    assert change["capped"] == pytest.approx(np.average(rose < 3, weights=weight))
    result = found.table.set_index("name")
    fit = effects.fit
    direct = 100 * fit.unstandardised_weights["Quality", "q1"] * change["realised"] / 9
    assert result.loc["Quality", "change"] == pytest.approx(direct)
    assert result.loc["Loyalty", "change"] == pytest.approx(direct * fit.importance["Quality", "Loyalty"])
    outer = fit.unstandardised_weights["Loyalty"]
    score = table[["l1", "l2"]] @ outer
    slope = np.cov(score, table["l1"], aweights=table["weight"])[0] / np.cov(score, aweights=table["weight"])
    assert result.loc["l1", "change"] == pytest.approx(result.loc["Loyalty", "change"] * 9 / 100 * slope[1])
    assert "only if the paths are causes" in found.headline()


def test_a_change_of_a_final_item_itself_is_counted_once(effects):
    """An item of Loyalty lifted directly moves by what it was lifted, its neighbour not at all."""
    found = simulate_improvement(effects, {"l1": 0.5}, target="Loyalty")
    result = found.table.set_index("name")["change"]
    assert result["l1"] == pytest.approx(found.changes["realised"].iloc[0]) and result["l2"] == 0


def test_the_map_shows_the_indices_of_the_report(effects, index):
    """Performance on the map is the index of each operator; its gaps are those of the gap study."""
    found = competitor_map(effects, own="A", of={"service": "mobile"}, target="Satisfaction")
    table = index.table.set_index(["operator", "service", "construct"])["index"]
    row = found.table.set_index(["against", "construct"]).loc[("B", "Quality")]
    assert row["performance"] == pytest.approx(table["A", "mobile", "Quality"])
    assert row["gap"] == pytest.approx(table["A", "mobile", "Quality"] - table["B", "mobile", "Quality"])
    assert row["place"].startswith("important, behind") and "A is behind B in mobile on Quality" in found.headline()
    assert found.table["against"].unique().tolist() == ["B", "C"]


def test_causes_speak_in_three_voices(index, effects, waves):
    """Sentence, table, picture where a report draws one, and names of the contract."""
    import matplotlib.pyplot as plt

    results = {
        "gap_item[service=mobile,operator=A,against=B,construct=Satisfaction,item=s1]": gap_to_items(index),
        "change_part[construct=Satisfaction,part=mix]": wave_change(waves, MODEL, by=(), **FAST),
        "change[operator=A,service=mobile,construct=Satisfaction]": wave_change(waves, MODEL, **FAST),
        "item_potential[item=q1,target=Satisfaction]": item_priorities(effects, top=1),
        "improvement[changes=q1:+1,item=l1]": simulate_improvement(effects, {"q1": 1}),
        "gap_driver[of=mobile,operator=A,against=C,construct=Quality]": competitor_map(
            effects, own="A", of={"service": "mobile"}
        ),
    }
    for name, result in results.items():
        if result.CHART:
            figure, ax = plt.subplots()
            assert result.plot(ax) is ax
            figure.canvas.draw()
        assert result.headline().endswith((".", ")")) and "<table" in result._repr_html_()
        names = [q.name for q in result.quantities()]
        assert name in names and len(set(names)) == len(names)
        assert all(q.low <= q.value <= q.high or np.isclose(q.low, q.high) for q in result.quantities())


def test_row_order_does_not_move_a_cause(index, effects, waves):
    """Shuffled surveys give the same bits."""
    mixed = waves.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(
        wave_change(waves, MODEL, **FAST).table, wave_change(mixed, MODEL, **FAST).table, check_exact=True
    )
    again = path_effects(survey(lift=1.0).sample(frac=1, random_state=2), MODEL, **FAST)
    pd.testing.assert_frame_equal(item_priorities(effects, top=1).table, item_priorities(again, top=1).table)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda i, e, w: wave_change(survey(), MODEL, **FAST), "the survey holds '2025'"),
        (lambda i, e, w: wave_change(w, MODEL, mix=["provinc"], **FAST), "Did you mean 'province'"),
        (lambda i, e, w: wave_change(w.assign(province=None), MODEL, **FAST), "'province' is missing for 1,020"),
        (lambda i, e, w: wave_change(w, MODEL, minimum=10_000, **FAST), "no cell has 10,000"),
        (lambda i, e, w: item_priorities(e, of={"operator": "D"}), "no operator 'D'"),
        (lambda i, e, w: item_priorities(e, top=0), "top=0 of 2 items"),
        (lambda i, e, w: item_priorities(e, levers=["Qualty"]), "no driver 'Qualty'.*Did you mean 'Quality'"),
        (lambda i, e, w: item_priorities(e, target="Quality"), "no path leads"),
        (lambda i, e, w: simulate_improvement(e, {"q9": 1.0}), "no item 'q9'"),
        (lambda i, e, w: simulate_improvement(e, {"q1": 0.0}), "changes nothing"),
        (lambda i, e, w: simulate_improvement(e, {"l1": 1.0}), "not to 'Satisfaction'"),
        (lambda i, e, w: competitor_map(e, own="A", against=["A"]), "stands alone"),
        (lambda i, e, w: competitor_map(e, own="Z"), "no operator 'Z'"),
    ],
)
def test_questions_about_causes_that_cannot_be_answered(index, effects, waves, call, words):
    """Refused by name, with what to do."""
    with pytest.raises(WorkbenchError, match=words):
        call(index, effects, waves)


SIM = PathModel(
    [
        Construct(name, [f"{name[0].lower()}{i}" for i in (1, 2, 3)], low=-20, high=40)
        for name in ("Quality", "Satisfaction")
    ],
    {"Satisfaction": ["Quality"]},
)
LOADINGS = np.array([[3.0, 2.4, 1.8], [1.8, 2.4, 3.0]])


def simulated(n: int, wave: int, rng: np.random.Generator) -> pd.DataFrame:
    """One wave: loadings turn round, s3 rises, province z (a better one) grows from 40 to 60 %; B is better in s1."""
    table = pd.DataFrame(
        {"operator": np.resize(["A", "B"], n), "province": np.where(rng.random(n) < 0.4 + 0.2 * wave, "z", "y")}
    )
    factor = rng.normal(size=(n, 1))
    quality = factor + 0.5 * rng.normal(size=(n, 3))
    satisfied = 0.8 * factor + 0.6 * rng.normal(size=(n, 1))
    items = np.array([4.0, 8, 12 + wave]) + LOADINGS[wave] * satisfied + rng.normal(size=(n, 3))
    items += 1.5 * (table[["province"]] == "z").to_numpy()
    items[:, 0] += 1.0 * (table["operator"] == "B")
    table[list(SIM.items)] = np.hstack([quality, items])
    return table.assign(wave=wave)


def parts_of(n: int, seed, resamples: int) -> pd.DataFrame:
    """Parts of the change and of the gap, each with its interval."""
    before, after = (simulated(n, w, np.random.default_rng([seed, w])) for w in (0, 1))
    tuning = {"weight": None, "resamples": resamples, "rng": seed}
    change = wave_change(pd.concat([before, after]), SIM, by=(), **tuning).table.iloc[0]
    rows = {"change": change[["change", "low", "high"]].to_numpy(float)}
    for part in ("weights", "answers", "mix"):
        rows[part] = change[[part, f"{part}_low", f"{part}_high"]].to_numpy(float)
    index = satisfaction_index(before, SIM, by=["operator"], **tuning)
    for row in gap_to_items(index).table.to_dict("records"):
        rows[f"gap {row['item']}"] = np.array([row["gap"], row["low"], row["high"]])
    return pd.DataFrame(rows, index=["estimate", "low", "high"]).T


def coverage(surveys: int, resamples: int, n: int = 400, population: int = 60_000) -> pd.DataFrame:
    """Share of surveys whose intervals hold the values of a population, with its Monte Carlo error."""
    truth = parts_of(population, 10**6, 20)["estimate"]
    found = [parts_of(n, seed, resamples) for seed in range(surveys)]
    hit = pd.DataFrame([(f["low"] <= truth) & (truth <= f["high"]) for f in found]).mean()
    bias = pd.DataFrame([f["estimate"] for f in found]).mean() - truth
    return pd.DataFrame({"truth": truth, "bias": bias, "share": hit, "error": np.sqrt(hit * (1 - hit) / surveys)})


def test_parts_cover_in_a_few_surveys():
    """A cheap version of the proof: every interval within four Monte Carlo errors of what is claimed."""
    found = coverage(surveys=30, resamples=100, n=300)
    assert (found["share"] > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 30)).all()
    assert (found.loc[["weights", "answers", "mix"], "truth"].abs() > 0.1).all()


@pytest.mark.prove
def test_parts_cover_as_often_as_they_say(capsys):
    """Over 1,000 surveys 95 % intervals of the parts cover 93-97 % (Monte Carlo error 0.7 points)."""
    found = coverage(surveys=1000, resamples=600, population=400_000)
    with capsys.disabled():
        print("\n" + found.to_string(float_format="{:.4f}".format))
    assert found["share"].between(0.93, 0.97).all() and 0.935 <= found["share"].mean() <= 0.965
