"""What is advised follows from the intervals; the sample operator's stages earn what was declared."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from doors import acted, ageing, debtors

from workbench.result import Refusal
from workbench.studies import arrears as study

NO = Refusal("not answerable: no data")


@pytest.fixture(scope="module")
def work():
    return study.collection(acted()["actions"], resamples=50, currency="yuan")


def test_the_decision_follows_from_the_intervals(work):
    """Over 60 draws: kept above 0, dropped below 0, held back again across it, never otherwise; what is sure first."""
    rng = np.random.default_rng(17)
    for _ in range(60):
        net, half = rng.normal(0, 5, 2), rng.gamma(2, 2, 2)
        ends = {"net_earned": net, "net_earned_low": net - half, "net_earned_high": net + half}
        said = study.decision(dataclasses.replace(work, table=work.table.assign(**ends)), NO, NO, NO).do
        for place, low, high in zip(work.table["stage"], net - half, net + half, strict=True):
            wanted = "Keep stage" if low > 0 else "Drop stage" if high < 0 else "Go on sparing"
            (stage,) = [s for s in said if f"stage {place} " in s]
            assert stage.startswith(wanted), said
        unsure = [s for s in said if s.startswith("Go on")]
        assert len(unsure) <= 1 and "stage" not in "".join(said[said.index(unsure[0]) + 1 :] if unsure else "")


def test_restricting_is_advised_from_the_debt_that_makes_up_for_it(work):
    """By hand: a case costs 3 yuan, 2 points more leave at 600 yuan each, 15 points more pay: (3 + 12) / .15 = 100."""
    row = {
        "action": "restrict",
        "cost": 30.0,
        "actions": 10,
        "more_paid": 0.15,
        "more_lost": 0.02,
        "more_lost_low": 0.01,
    }
    row |= {"net_earned": 9.0, "net_earned_low": 5.0, "net_earned_high": 13.0}
    said = study.decision(dataclasses.replace(work, table=work.table.assign(**row)), NO, NO, NO, 600.0).do
    assert all("for debts over 100 yuan: a lost customer costs 600." in line for line in said[:1])


def test_what_is_not_known_is_held_back(work):
    """No lot: hold back a tenth; no data at all: the same; no credit points: nothing of them."""
    blind = study.collection(acted()["actions"].assign(arm=None), resamples=50)
    said = study.decision(blind, NO, NO, NO)
    assert all("Hold back a tenth by lot at stage" in sentence for sentence in said.do)
    assert study.decision(NO, NO, NO, NO).do[0].startswith("Hold back a tenth of the bills")
    card = study.credit_card(
        debtors()["customers"], "churned", customer="id", state="late_days", features=["late", "late_days"], bill="yuan"
    )
    better = card.order.assign(low=[0.7, 0.6, 0.01])
    for order, advised in ((better, True), (better.assign(low=[0.7, 0.6, -0.01]), False)):
        said = study.decision(NO, dataclasses.replace(card, order=order), NO, NO).do
        assert any("Restrict by points" in sentence for sentence in said) == advised


def test_limits_of_customers():
    """Their band's; over it stand first."""
    people = debtors()["customers"]
    card = study.credit_card(
        people, "churned", customer="id", state="late_days", features=["late", "late_days"], bill="yuan"
    )
    told = card.limits(people, customer="id", owed="yuan").set_index("id")
    assert {*told["limit"].dropna()} <= {*card.table["limit"]}
    known = told[told["limit"].notna()]
    assert (known["over"] == (known["owed"] > known["limit"])).all()
    assert told["over"].isna().equals(told["limit"].isna())  # a band of few has no limit
    assert told["over"].astype("Float64").fillna(0.5).is_monotonic_decreasing


def test_basis_counts_what_was_set_apart(work):
    loss = study.expected_loss(
        ageing()["history"],
        customer="id",
        month="on",
        state="state",
        owed="owed",
        unpaid="open",
        as_of="2026-06-14",
    )
    history = ageing()["history"].assign(owed=-1.0)
    asked = {"customer": "id", "month": "on", "state": "state", "owed": "owed", "out": []}
    rolls = study.roll_rates(history, states=["paid up", "21-30", "31-60"], **asked)
    said = study.basis("A", "2026-07-01", {"bills due": NO, "accounts by month": ageing()["history"]}, work, rolls, NO)
    assert said.startswith(
        "Warehouse of A, before 2026-07-01: 0 rows of bills due and 1,350 rows of accounts by month."
    )
    tables = {"bills due": NO, "accounts by month": ageing()["history"]}
    twice = study.basis("A", "2026-07-01", tables, work, rolls, rolls)
    assert twice == said  # the same rows of two answers are told once
    assert "'owed' below 0, counted as nothing owed: 1,350" in said and loss.low < loss.ratio < loss.high


@pytest.fixture(scope="module")
def sample(operator):
    """Actions and bills of the sample operator, and what was declared of them."""
    from workbench.warehouse import bill_history, collection_stages, open_warehouse

    warehouse = open_warehouse("sample", root=operator)
    truth = json.loads((operator / "data/raw/sample/truth/retention.json").read_text(encoding="utf-8"))["collection"]
    return collection_stages(warehouse, "2026-07-01"), bill_history(warehouse, "2026-07-01"), truth


def test_the_report_prices_what_is_owed_today(operator):
    """Accounts on the day of the report owe what the list of credit points, by another view, says of that day."""
    from workbench.warehouse import account_months, credit_histories, open_warehouse

    warehouse, day = open_warehouse("sample", root=operator), "2026-07-01"
    cells = json.loads((Path(__file__).parents[2] / "notebooks/arrears.ipynb").read_text("utf-8"))["cells"]
    code = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert "lately = ask(account_months, warehouse, as_of, day=min(pd.Timestamp(as_of).day, 28))" in code
    assert "study.expected_loss, lately" in code
    names = {"customer": "customer_id", "month": "month", "state": "state", "owed": "arrears", "unpaid": "unpaid_90"}
    loss = study.expected_loss(account_months(warehouse, day, day=1), **names, as_of=day)
    owed = credit_histories(warehouse, day, day)["arrears"].sum()
    assert loss.day == day and loss.table["owed"].sum() + loss.unpriced == pytest.approx(owed)


def test_the_sample_operators_stages_earn_what_was_declared(sample):
    """Effects of three stages, customers lost to restriction, the bad collector: within three standard errors."""
    actions, _, truth = sample
    found = study.collection(actions, resamples=200)
    for row, stage in zip(found.table.itertuples(), truth["stages"], strict=True):
        error = (row.more_paid_high - row.more_paid_low) / 3.92
        assert abs(row.more_paid - stage["earns"]) < 3 * error, (row.stage, row.more_paid, stage["earns"])
        assert row.settled == pytest.approx(stage["paid"]["treated"], abs=0.03)
    left = truth["stages"][2]["left"]
    error = (row.more_lost_high - row.more_lost_low) / 3.92
    assert abs(row.more_lost - (left["treated"] - left["held_out"])) < 3 * error
    last = found.collectors.iloc[-1]
    assert last["collector"] == truth["bad_collector"]["name"] and last["high"] < 0
    bad = truth["bad_collector"]
    gap = last["difference"] - bad["earns"] * (1 - bad["share"])  # against all, of whom it is a part
    assert abs(gap) < 3 * (last["high"] - last["low"]) / 3.92
    lot = actions["arm"].dropna() == "held_out"
    error = (truth["held_out"] * (1 - truth["held_out"]) / len(lot)) ** 0.5
    assert abs(lot.mean() - truth["held_out"]) < 3 * error
    assert pd.isna(found.table["basis"].map({"randomised": None})).all()
