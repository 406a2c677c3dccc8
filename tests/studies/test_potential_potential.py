"""Potential value, the nine cells and whom to raise: by hand, against known truth, and what is refused."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.potential import potential_value, value_grid, worth_raising

MONTHS = [f"m{k}" for k in range(12)]
ASKED = {"customer": "id", "months": MONTHS, "features": ["kind", "tenure", "use"], "peers": ["kind", "band"]}
SERVICES = pd.DataFrame({"service": ["tv", "cloud"], "margin": [12.0, 5.0], "months": [10.0, 9.0]})


def world(seed, n=3000, closing=0.3, rho=0.3):
    """Customers now and half a year ago, whose propensities, margins and levels are known."""
    draw = np.random.default_rng(seed)
    past = pd.DataFrame({"id": np.arange(n), "kind": draw.choice(["person", "household"], n, p=[0.8, 0.2])})
    past = past.assign(tenure=draw.exponential(40, n), use=draw.gamma(2, 2, n))
    past["band"] = np.where(past["use"] > 3.5, "much", "little")
    level = np.exp(2.6 + 0.25 * np.log1p(past["use"].to_numpy()) + 0.5 * draw.standard_normal(n))
    after = level + closing * _gap(level, past)
    noise = draw.standard_normal((n, 18))
    for k in range(1, 18):
        noise[:, k] = rho * noise[:, k - 1] + np.sqrt(1 - rho**2) * noise[:, k]
    paid = np.column_stack([np.tile(level[:, None], 12), np.tile(after[:, None], 6)]) + 0.3 * level[:, None] * noise
    chance = np.column_stack([expit(-0.5 - 0.7 * np.log1p(past["tenure"])), expit(-3.6 + 0.8 * np.log1p(past["use"]))])
    now, before = past.assign(tenure=past["tenure"] + 6), past.copy()
    now[MONTHS], before[MONTHS] = paid[:, 6:], paid[:, :12]
    held = draw.random((n, 2)) < 0.15
    took = (draw.random((n, 2)) < chance) & ~held
    for k, name in enumerate(SERVICES["service"]):
        before[f"held_{name}"], before[f"took_{name}"] = held[:, k], took[:, k]
        now[f"held_{name}"] = held[:, k] | took[:, k]
    later = np.column_stack([expit(-0.5 - 0.7 * np.log1p(now["tenure"])), chance[:, 1]]) * ~(held | took)
    current = 6 * (level + after)
    potential = later @ (SERVICES["margin"] * SERVICES["months"]).to_numpy() + closing * _gap(current, past)
    return now, before, current, potential


def _gap(level, table):
    top = pd.Series(level).groupby([table["kind"], table["band"]]).transform(lambda v: v.quantile(0.75))
    return np.maximum(top.to_numpy() - level, 0)


@pytest.fixture(scope="module")
def valued():
    """One world, valued."""
    now, past, *truth = world(0)
    return potential_value(now, past, SERVICES, **ASKED), truth


def test_by_hand():
    """Without features or a gap that closes, the potential is the rate times the margin of the first year."""
    n = 40
    past = pd.DataFrame({"id": range(n), **dict.fromkeys(MONTHS, 1.0), "held_tv": False, "took_tv": np.arange(n) < 10})
    now = past.assign(held_tv=past["took_tv"], **dict.fromkeys(MONTHS, np.arange(n) % 4))
    asked = {"customer": "id", "months": MONTHS, "features": [], "peers": []}
    found = potential_value(now, past, SERVICES[:1], **asked, resamples=20)
    assert found.customers["potential"].tolist() == [0.0] * 10 + [0.25 * 120] * 30
    assert found.customers["gap"].tolist() == [12 * max(2.25 - k % 4, 0) for k in range(n)]
    ceiling = potential_value(now, past, SERVICES[:1], **asked, closing=1.0, resamples=0)
    with pytest.raises(WorkbenchError, match="window=0: give whole months"):
        potential_value(now, past, SERVICES[:1], **asked | {"window": 0})
    assert (ceiling.customers["potential"] == found.customers[["potential", "gap"]].sum(axis=1)).all()


def test_truth_is_recovered(valued):
    """The potential correlates with the truth, its total covers it, and unseen customers are foreseen to scale."""
    found, (current, potential) = valued
    assert np.corrcoef(found.customers["potential"], potential)[0, 1] > 0.95
    assert np.corrcoef(found.customers["current"], current)[0, 1] > 0.95
    assert found.total[1] < potential.sum() < found.total[2]
    assert (found.services["slope_low"] < 1).all() and (found.services["slope_high"] > 1).all()
    assert (found.services["brier"] < found.services["brier_rate"]).all()


def test_certainty_is_honest(valued):
    """Of customers said to sit in their cell with some probability, that share does; of the doubtful, rather more."""
    found, (current, potential) = valued
    grid = value_grid(found)
    level = [
        np.array(["low", "middle", "high"])[(v[:, None] >= np.quantile(v, (1 / 3, 2 / 3))).sum(axis=1)]
        for v in (current, potential)
    ]
    hit = (grid.customers["current_level"] == level[0]) & (grid.customers["potential_level"] == level[1])
    stated = grid.customers["certainty"]
    band = pd.cut(stated, [-0.01, 0.5, 0.8, 1.0], labels=False)
    difference = hit.groupby(band).mean() - stated.groupby(band).mean()
    assert difference.min() > -0.05 and difference[[1, 2]].abs().max() < 0.05
    assert grid.table["customers"].sum() == len(current)
    assert "probability above 0.8" in grid.headline()


@pytest.mark.prove
def test_coverage():
    """The interval of all potential holds the truth in about 95 of 100 worlds; never far below."""
    inside = []
    for seed in range(80):
        now, past, _, potential = world(seed)
        found = potential_value(now, past, SERVICES, **ASKED, rng=seed)
        inside.append(found.total[1] <= potential.sum() <= found.total[2])
    assert np.mean(inside) >= 0.88, np.mean(inside)


def takers(count: int, n: int = 400, **asked):
    """Of `n` customers without any trait, so many took tv up; a year of it brings 100."""
    past = pd.DataFrame({"id": range(n), **dict.fromkeys(MONTHS, 1.0), "held_tv": False})
    past = past.assign(took_tv=np.arange(n) < count)
    now = past.assign(held_tv=past["took_tv"])
    services = pd.DataFrame({"service": ["tv"], "margin": [10.0], "months": [10.0]})
    return potential_value(now, past, services, customer="id", months=MONTHS, features=[], peers=[], **asked)


def test_few_takers_are_not_answered():
    """Three took tv up: nobody's propensity is known; its margin has the mid-P interval of a count of 3."""
    found = takers(3, resamples=4_000)
    row = found.services.iloc[0]
    assert row["learner"] == "not answerable" and np.isnan(row["value"]) and np.isnan(row["expected"])
    assert row["why"] == "not answerable: 3 takers of tv, and 5 are needed"
    assert (row["low"], row["high"]) == pytest.approx((0.76 * 100 * 397 / 400, 8.17 * 100 * 397 / 400), rel=0.12)
    assert (found.chance == 0).all() and found.total[0] == 0
    assert "Not answerable: 3 takers of tv" in found.headline() and "nan" not in found.headline()
    assert found.headline().startswith(
        "400 customers bring 4,800 yuan a year; what more they could bring is not known."
    )
    assert len(found.tiles()) == 1 and not {"potential", "cross_sell[service=tv]"} & {
        q.name for q in found.quantities()
    }
    with pytest.raises(CannotAnswer, match="nobody knows what a contact would bring"):
        worth_raising(found, contact_cost=1, lift=0.2)
    none = takers(0, resamples=2_000).services.iloc[0]
    assert none["low"] == 0 and none["high"] == pytest.approx(3.0 * 100, rel=0.15)


def test_some_takers_have_an_interval_that_holds():
    """Eight took tv up: 8 x 100 with the mid-P interval of a count of 8, 3.7 to 15.2."""
    row = takers(8, resamples=4_000).services.iloc[0]
    assert row["value"] == pytest.approx(8 * 100 * 392 / 400)
    assert (row["low"], row["high"]) == pytest.approx((3.72 * 98, 15.2 * 98), rel=0.08)


def test_row_order_does_not_matter(valued):
    """Shuffled tables give the same numbers."""
    found, _ = valued
    now, past, *_ = world(0)
    again = potential_value(now.sample(frac=1, random_state=1), past.sample(frac=1, random_state=2), SERVICES, **ASKED)
    pd.testing.assert_frame_equal(found.customers, again.customers)
    pd.testing.assert_frame_equal(found.services, again.services)


def test_the_calibration_keeps_to_the_level():
    """At 80% its ends lie 1.2816 / 1.9600 as far apart as at 95%."""
    now, past, *_ = world(1)
    wide, narrow = (potential_value(now, past, SERVICES, **ASKED, resamples=0, level=x).services for x in (0.95, 0.8))
    for name in ("slope", "intercept"):
        widths = [(table[f"{name}_high"] - table[f"{name}_low"]).dropna() for table in (wide, narrow)]
        assert len(widths[0]) and (widths[1] / widths[0]).tolist() == pytest.approx(
            [1.281552 / 1.959964] * len(widths[0])
        )


def test_ids_do_not_matter(valued):
    """Other ids in another order, as text, give the same numbers to the digit; so do margins as Decimal."""
    found, _ = valued
    now, past, *_ = world(0)
    renamed = [t.assign(id=(7 * t["id"] % 999_983).astype(str)) for t in (now, past)]
    services = SERVICES.assign(margin=[Decimal(str(m)) for m in SERVICES["margin"]])
    again = potential_value(*renamed, services, **ASKED)
    pd.testing.assert_frame_equal(found.services, again.services)
    assert found.total == again.total and found.closing == again.closing
    assert sorted(found.customers["potential"]) == sorted(again.customers["potential"])


def test_tables_that_write_ids_and_traits_otherwise_are_one():
    """Text and numbers name the same customers and kinds; who is nobody, and a kind without a margin, are refused."""
    now, past, *_ = world(4, n=400)
    kinds = {"person": 1, "household": 2}
    now, past = (t.assign(kind=t["kind"].map(kinds)) for t in (now, past))
    services = SERVICES.merge(pd.DataFrame({"kind": [1, 2]}), how="cross")
    asked = ASKED | {"features": ["tenure", "use"], "resamples": 20}
    plain = potential_value(now, past, services, **asked)
    assert plain.closing[0] > 0 and plain.customers["peers"].nunique() > 2
    for odd in (now.assign(id=now["id"].astype(str)), now.assign(kind=now["kind"].astype(float))):
        found = potential_value(odd, past, services, **asked)
        assert found.total == plain.total and found.closing == plain.closing
        assert found.customers["peers"].value_counts().to_dict() == plain.customers["peers"].value_counts().to_dict()
    text = potential_value(now, past, services.assign(kind=services["kind"].astype(str)), **asked)
    assert text.total == plain.total
    with pytest.raises(WorkbenchError, match="nobody of past is one of customers"):
        potential_value(now.assign(id=now["id"] + 10_000), past, services, **asked)
    with pytest.raises(WorkbenchError, match="services has no row of 'tv' for '2', to whom it is on offer"):
        potential_value(now, past, services.query("kind == 1"), **asked)


def test_few_events_fall_back_to_rates():
    """Fewer than ten take-ups a feature are no ground for a model, and the table says so; held by all is no offer."""
    now, past, *_ = world(3, n=400)
    few = past.assign(took_tv=past["took_tv"] & (past["id"] < 150), held_cloud=True, took_cloud=False)
    found = potential_value(now.assign(held_cloud=True), few, SERVICES, **ASKED, resamples=20).services
    assert found["learner"].isin(["rate of peers", "overall rate"]).all()
    assert "fewer than 30" in found["why"].iloc[0]
    assert found.loc[1, ["asked", "open_now", "value"]].tolist() == [0, 0, 0]


def test_two_customers_do_not_foresee_each_other():
    """Of two who did not hold tv one took it up: nobody is left to learn from, and the service is not answerable."""
    now, past, *_ = world(3, n=400)
    two = past.assign(held_tv=past.index > 1, took_tv=past.index == 0)
    row = potential_value(now, two, SERVICES, **ASKED, resamples=20).services.iloc[0]
    assert row[["asked", "take_ups", "learner"]].tolist() == [2, 1, "not answerable"]


def test_no_skill_falls_back():
    """Where nothing foresees take-up, the overall rate stands, not a model of noise."""
    now, past, *_ = world(4)
    past["took_tv"] = (np.random.default_rng(1).random(len(past)) < 0.1) & ~past["held_tv"]
    row = potential_value(now, past, SERVICES, **ASKED, resamples=10).services.iloc[0]
    assert row["brier"] <= row["brier_rate"] * 1.001


def test_whom_to_raise(valued):
    """The list is sorted, gives reasons without promises, and contacts only whom it pays for."""
    found, _ = valued
    plan = worth_raising(found, contact_cost=3.0, lift=0.2)
    assert plan.customers["gain"].is_monotonic_decreasing
    assert (plan.customers["contact"] == (0.2 * plan.customers["gain"] > 3)).all()
    assert plan.contacts["net"].iloc[0] > 0 and plan.contacts["contacts"].iloc[3] <= plan.contacts["contacts"].iloc[0]
    reason = plan.customers["reason"].iloc[0]
    assert "of like customers took it up within 6 months" in reason and "peers" in reason
    assert (plan.levers["low"] <= plan.levers["gain"]).all() and plan.levers["lever"].iloc[0] == "all"
    with pytest.raises(CannotAnswer, match="no lever has 10 customers or more"):
        replace(plan, levers=plan.levers.assign(customers=9)).plot()
    assert "contact nobody" in worth_raising(found, contact_cost=1e6, lift=0.2).headline()
    with pytest.raises(WorkbenchError, match="above 0"):
        worth_raising(found, contact_cost=1.0, lift=0.0)
    with pytest.raises(CannotAnswer, match="nobody is low"):
        worth_raising(found, contact_cost=1.0, lift=0.2, below=-1e9)


def test_bad_input():
    """Refunds are kept and counted, new customers set aside; doubles, constants and one customer are refused."""
    now, past, *_ = world(5, n=300)
    now.loc[0, MONTHS] = -5.0
    now.loc[1, MONTHS[:9]] = np.nan
    found = potential_value(now, past, SERVICES, **ASKED, resamples=5)
    assert list(found.set_aside.values()) == [1, 1] and len(found.customers) == 299
    assert found.headline().endswith(" 1 customers bring less than 0 today.")
    assert found.customers.set_index("id")["current"][0] == 12 * -5
    with pytest.raises(CannotAnswer, match="the current value of all customers is −"):
        value_grid(
            potential_value(now.assign(**{m: now[m] - 1e4 for m in MONTHS}), past, SERVICES, **ASKED, resamples=2)
        )
    flat = now.assign(**dict.fromkeys(MONTHS, 7.0))
    with pytest.raises(CannotAnswer, match="too alike for thirds"):
        value_grid(potential_value(flat, past, SERVICES, **ASKED, resamples=2))
    one = potential_value(now[5:6], past, SERVICES, **ASKED, resamples=2)
    with pytest.raises(CannotAnswer, match="1 customers have 1 different current"):
        value_grid(one)
    with pytest.raises(WorkbenchError, match="repeated"):
        potential_value(pd.concat([now, now]), past, SERVICES, **ASKED)
    with pytest.raises(WorkbenchError, match="held_tv"):
        potential_value(now.drop(columns="held_tv"), past, SERVICES, **ASKED)
    with pytest.raises(WorkbenchError, match="service twice"):
        potential_value(now, past, pd.concat([SERVICES, SERVICES]), **ASKED)
    with pytest.raises(CannotAnswer, match="months on record"):
        potential_value(now.assign(**dict.fromkeys(MONTHS, np.nan)), past, SERVICES, **ASKED)


def test_strategies_are_proved(valued, tmp_path):
    """A plan with a gap or an overlap is refused, with the cell; own cut points count from their value on."""
    text = '[[strategy]]\nname = "a"\nname_zh = "甲"\naction = "x"\ncells = [{}]\n'
    cells = [f'"{a}/{b}"' for a in ("low", "middle", "high") for b in ("low", "middle", "high")]
    for chosen, words in (
        (cells[1:], "gap: no strategy holds 'low/low'"),
        ([*cells, cells[0]], "overlap: 'a' hold 'low/low'"),
        ([*cells, '"low/lo"'], "no cell 'low/lo'"),
    ):
        (tmp_path / "plan.toml").write_text(text.format(", ".join(chosen)), encoding="utf-8")
        with pytest.raises(WorkbenchError, match=words):
            value_grid(valued[0], strategies=tmp_path / "plan.toml")
    (tmp_path / "plan.toml").write_text(text.format(", ".join(cells)), encoding="utf-8")
    grid = value_grid(
        valued[0], strategies=tmp_path / "plan.toml", current_cuts=(100.0, 200.0), potential_cuts=(5.0, 10.0)
    )
    assert grid.cuts["potential"] == (5.0, 10.0)
    assert grid.cuts["current"] == (100.0, 200.0) and set(grid.table["strategy"]) == {"a"}
    with pytest.raises(WorkbenchError, match="two rising numbers"):
        value_grid(valued[0], current_cuts=(2.0, 1.0))


def test_results_speak(valued):
    """Sentence, table, picture and numbers of all three."""
    found, _ = valued
    for result in (found, value_grid(found), worth_raising(found, contact_cost=3.0, lift=0.2)):
        assert result.headline() and len(result.summary()) and result.plot().has_data()
        assert all(np.isfinite(q.value) for q in result.quantities())


def test_columns_of_another_type():
    """Flags as text are refused by name; Decimal features and amounts answer as floats do; a duration is refused."""
    now, past, *_ = world(6, n=400)
    few = {**ASKED, "resamples": 3}
    amount = next(c for c in ASKED["features"] if pd.api.types.is_numeric_dtype(now[c]))
    with pytest.raises(WorkbenchError, match="'held_tv' holds text"):
        potential_value(now.assign(held_tv=now["held_tv"].map({True: "Y", False: "N"})), past, SERVICES, **few)
    with pytest.raises(WorkbenchError, match="'took_tv' holds text"):
        potential_value(now, past.assign(took_tv=past["took_tv"].map({True: "是", False: "否"})), SERVICES, **few)
    one = potential_value(now, past, SERVICES, **few)
    exact = [t.assign(**{c: t[c].map(lambda v: Decimal(str(v))) for c in [MONTHS[0], amount]}) for t in (now, past)]
    pd.testing.assert_frame_equal(one.services, potential_value(*exact, SERVICES, **few).services)
    with pytest.raises(WorkbenchError, match="dates or durations"):
        late = [t.assign(**{amount: pd.to_timedelta(range(len(t)), unit="D")}) for t in (now, past)]
        potential_value(*late, SERVICES, **few)
