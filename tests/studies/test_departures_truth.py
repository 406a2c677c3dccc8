"""Departures of the sample operator against what its truth declares, judged in standard errors."""

import json

import numpy as np
import pytest

from workbench.errors import CannotAnswer
from workbench.studies import departures as study
from workbench.warehouse import complaint_outcomes, customer_base, customer_lives, open_warehouse

TIME = {"since": "2024-07-01", "as_of": "2026-07-01"}
LIFE = {"started": "first_on", "left": "left_on", **TIME}


@pytest.fixture(scope="module")
def sample(operator):
    """The warehouse, the lives in it, and what is declared."""
    warehouse = open_warehouse("sample", root=operator)
    truth = json.loads((operator / "data/raw/sample/truth/retention.json").read_text(encoding="utf-8"))
    return warehouse, customer_lives(warehouse, TIME["as_of"]), truth


def test_incidence_by_contract(sample):
    """At 12 and 24 months, by cause: within 3.5 standard errors, and most within two."""
    _, lives, truth = sample
    table = study.incidence(lives, cause="cause", by="contract", **LIFE).table
    far = []
    for contract, by_day in truth["leaving"]["incidence"].items():
        for months, day in ((12, "365_days"), (24, "730_days")):
            for cause, declared in by_day[day].items():
                rows = table[(table["group"] == contract) & (table["months"] == months) & (table["cause"] == cause)]
                if declared == 0:
                    assert rows["incidence"].sum() == 0
                    continue
                row = rows.iloc[0]
                far.append((row["incidence"] - declared) / ((row["high"] - row["low"]) / 3.92))
    assert len(far) == 10 and np.abs(far).max() < 3.5 and (np.abs(far) < 2).mean() >= 0.7


def test_the_campaign_of_a_competitor(sample):
    """The competitor and the month of its campaign are named; arrivals come more from the first competitor."""
    _, lives, truth = sample
    found = study.directions(
        lives,
        lives,
        left="left_on",
        destination="destination",
        arrived="first_on",
        origin="origin",
        reason="reason",
        by="tenure_band",
        **TIME,
    )
    turn, declared = found.turns.iloc[0], truth["leaving"]["campaign"]
    assert (turn["operator"], turn["month"]) == (declared["operator"], declared["from"][:7]) and turn["p"] < 0.01
    assert turn["after"] > turn["before"] and "unknown" in set(found.cells["reason"])
    arrivals = found.table.set_index("operator")["ported_in"]
    assert arrivals["中国移动"] / arrivals.sum() == pytest.approx(0.65, abs=0.06)


def test_complaints_made_good(sample):
    """Among complainers the ratios of outcomes are those declared, within three standard errors; compensation alike."""
    warehouse, lives, truth = sample
    found = study.recovery(
        lives,
        complaint_outcomes(warehouse, TIME["as_of"]),
        customer="customer_id",
        opened="opened_at",
        due="due_at",
        closed="closed_at",
        outcome="outcome",
        given=["contract", "kind"],
        lot="compensation_arm",
        compensation="compensation",
        value=300.0,
        **LIFE,
    )
    declared = truth["recovery"]["hazard_ratio"]
    for state in ("late", "failed"):
        row = found.ratio(state)
        error = np.log(row["high"] / row["low"]) / 3.92
        assert abs(np.log(row["ratio"] * declared["recovered"] / declared[state])) < 3 * error
    arm = found.arms.iloc[0]
    ratio = truth["recovery"]["compensation"]["offered_to_not_offered"]
    share = 100 * arm["left"] / arm["customers"] - arm["percentage_points"]
    expected = share * (ratio - 1)
    assert abs(arm["percentage_points"] - expected) < 3 * (arm["high"] - arm["low"]) / 3.92


def test_views_by_pandas(sample):
    """A customer has left where every line has; the base of a day is who was there, and left by the next."""
    warehouse, lives, _ = sample
    lines = warehouse.table("subscription").query("activated_on < '2026-07-01'")
    gone = lines["ended_on"].notna() & (lines["ended_on"] < "2026-07-01")
    by_customer = lines.assign(gone=gone).groupby("customer_id")
    last = by_customer["ended_on"].max().where(by_customer["gone"].all())
    mine = lives.set_index("customer_id")
    assert mine["left_on"].equals(last.reindex(mine.index).astype(mine["left_on"].dtype).rename("left_on"))
    assert (mine["first_on"] == by_customer["activated_on"].min().reindex(mine.index)).all()
    base = customer_base(warehouse, "2026-07-01", months=3)
    there = mine[(mine["first_on"] < "2026-04-01") & ~(mine["left_on"] < "2026-04-01")]
    assert set(base["customer_id"]) == set(there.index) and base["left_us"].sum() == there["left_on"].notna().sum()
    with pytest.raises(CannotAnswer, match=r"from 2024-04-01 to before 2024-07-01 begins before .* on 2024-07-01"):
        customer_base(warehouse, "2026-07-01", months=3, back=24, since="2024-07-01")
    assert mine.loc[mine["left_on"].isna(), ["cause", "destination", "reason"]].isna().all(axis=None)
