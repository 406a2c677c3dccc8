"""Stages of collection: effects of known size, collectors, the next stage, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.result import Refusal
from workbench.studies.arrears import collection, decision

BRINGS, COST, LEAVES = (0.05, 0.08, 0.12), (0.1, 4.0, 2.0), 0.02


def acted(rng, n=9_000, *, held=0.1, bad=-0.08):
    """Bills that go through three stages: a tenth held out by lot, five collectors of whom 'e' brings less."""
    owed, rows, at = rng.gamma(3, 30, n).round(2) + 1, [], np.arange(n)
    for stage in range(3):
        out = rng.random(len(at)) < held
        collector = rng.integers(0, 5, len(at))
        chance = 0.25 + BRINGS[stage] * ~out + bad * ((collector == 4) & ~out & (stage > 0))
        paid = rng.random(len(at)) < chance
        left = rng.random(len(at)) < 0.06 + LEAVES * ((stage == 2) & ~out)
        rows.append(
            pd.DataFrame(
                {
                    "bill_id": at,
                    "customer_id": at // 2,
                    "stage": stage + 1,
                    "action": ["remind", "call", "restrict"][stage],
                    "collector": np.where(out | (stage == 0), None, np.array(list("abcde"))[collector]),
                    "arm": np.where(out, "held_out", "treated"),
                    "cost": np.where(out, 0.0, COST[stage]),
                    "outcome": np.where(out | (stage == 0), None, np.where(paid, "promised", "not_reached")),
                    "days": 1 + 10 * stage,
                    "owed": owed[at],
                    "collected": owed[at] * paid,
                    "settled": paid,
                    "left_90": left,
                }
            )
        )
        at = at[~paid]
    return pd.concat(rows, ignore_index=True).assign(action_id=lambda t: np.arange(len(t)))


@pytest.fixture(scope="module")
def table():
    return acted(np.random.default_rng(7))


@pytest.fixture(scope="module")
def found(table):
    return collection(table, currency="yuan")


def test_effects_are_the_declared_ones(found):
    """In points, in yuan after cost, and in customers lost, within three standard errors."""
    for row, truth, cost in zip(found.table.itertuples(), BRINGS, COST, strict=True):
        truth -= 0.08 / 5 * (row.stage > 1)
        assert abs(row.more_paid - truth) < 3 * (row.more_paid_high - row.more_paid_low) / 3.92
        assert abs(row.net_earned - (truth * 91 - cost)) < 3 * (row.net_earned_high - row.net_earned_low) / 3.92
        assert row.basis == "randomised" and row.cost == pytest.approx(cost * row.actions)
    assert abs(row.more_lost - LEAVES) < 3 * (row.more_lost_high - row.more_lost_low) / 3.92
    assert row.per_cost == pytest.approx(row.collected / row.cost)


@pytest.mark.prove
def test_intervals_of_effects_cover():
    """In 400 worlds of 4,000 bills: points, yuan and customers lost, 95 in 100."""
    rng, hits = np.random.default_rng(8), []
    for _ in range(400):
        rows = collection(acted(rng, 4_000, bad=0.0), resamples=2).table
        truth = np.array(BRINGS)
        fee, bring = np.array(COST), truth * 91
        hits.append(
            [
                ((rows["more_paid_low"] <= truth) & (truth <= rows["more_paid_high"])).mean(),
                ((rows["net_earned_low"] <= bring - fee) & (bring - fee <= rows["net_earned_high"])).mean(),
            ]
        )
    assert (np.abs(np.mean(hits, axis=0) - 0.95) < 0.02).all(), np.mean(hits, axis=0)


def test_the_bad_collector_ranks_last(found):
    last = found.collectors.iloc[-1]
    assert last["collector"] == "e" and (last["rank_low"], last["rank_high"]) == (5, 5) and last["high"] < 0
    assert found.behind()["collector"].tolist() == ["e"] and "e collect less" in found.headline()
    assert found.collectors.iloc[:-1]["rank_low"].max() == 1  # the others cannot be told apart


def test_shares_by_hand():
    """Four bills: two of three acted on paid, at 4 yuan each; reached of those tried."""
    table = pd.DataFrame(
        {
            "action_id": range(4),
            "bill_id": range(4),
            "customer_id": range(4),
            "stage": 2,
            "action": "call",
            "collector": "a",
            "arm": [None] * 4,
            "cost": 4.0,
            "outcome": ["reached", "promised", "not_reached", "reached"],
            "days": [11, 11, 11, -2],
            "owed": 50.0,
            "collected": [50, 50, 0, 0],
            "settled": [1, 1, 0, 0],
            "left_90": None,
        }
    )
    found = collection(table)
    row = found.table.iloc[0]
    assert (row["actions"], row["settled"], row["per_cost"]) == (3, pytest.approx(2 / 3), pytest.approx(100 / 12))
    assert row["reached"] == pytest.approx(2 / 3) and found.set_aside == {"before the bill was overdue": 1}
    assert "what stage 2 (call) earns is not answerable: nobody was held out by lot" in found.headline().lower()
    undated = pd.concat([table.assign(action_id=table["action_id"] + 4 * k) for k in range(8)], ignore_index=True)
    undated.loc[0, "days"] = None
    why = "on bills without a due day, or due before they were issued"
    assert collection(undated).set_aside[why] == 1
    undated.loc[1, "days"] = None
    with pytest.raises(WorkbenchError, match="'days' is missing in 2 actions: give it"):
        collection(undated)
    with pytest.raises(CannotAnswer, match="no collector has 30 actions"):
        found.by_collector()


def test_too_few_held_out_is_no_effect(table):
    """Ten held out tell nothing, and it is said why."""
    few = table[(table["arm"] == "treated") | (table["bill_id"] % 90 == 0)]
    found = collection(few[few["stage"] == 1])
    assert found.table["more_paid"].isna().all() and "too few were held out" in found.headline()


def test_bills_of_few_customers_are_no_effect(table):
    """Hundreds of bills of nine customers in an arm, or of one in all, tell of nobody else."""
    first = table[table["stage"] == 1]
    for held_out in (9, 1):
        few = first.assign(
            customer_id=np.where(first["arm"] == "held_out", first["bill_id"] % held_out, 100 + first["bill_id"])
        )
        found = collection(few)
        assert found.table["more_paid"].isna().all() and f"an arm has {held_out} customers" in found.headline()
    assert "an arm has 1 customers" in collection(first.assign(customer_id="a")).headline()


def test_departures_of_few_customers_are_no_effect(table):
    """Where the next 90 days are known of two held-out customers alone, what acting cost in customers is not told."""
    first = table[table["stage"] == 1].copy()
    out = first["arm"] == "held_out"
    first["customer_id"] = np.where(out, first["bill_id"] % 40, 100 + first["bill_id"])
    first["left_90"] = np.where(first["bill_id"] % 3 == 0, 1.0, 0.0)
    assert collection(first).table["more_lost"].notna().all()
    few = collection(first.assign(left_90=first["left_90"].mask(out & (first["customer_id"] > 1))))
    assert few.table["more_lost"].isna().all() and few.table["more_paid"].notna().all()


def test_the_next_stage_goes_by_expected_net(table, found):
    """12 points of 400 yuan less 2 of cost and 2 points of a customer's worth; small debts are left alone."""
    bills = pd.DataFrame(
        {
            "bill_id": [10**6, 10**6 + 1, 10**6 + 2],
            "customer_id": ["u", "u", "v"],
            "amount": [400.0, 30.0, 20.0],
            "paid": 0.0,
            "due_on": pd.Timestamp("2026-06-01"),
            "paid_on": pd.NaT,
            "left_on": pd.NaT,
            "written_off": None,
        }
    )
    done = pd.DataFrame({"bill_id": [10**6] * 2 + [10**6 + 2], "stage": [1, 2, 1]})
    told = found.next_stage(bills, done, as_of="2026-07-01", worth=300.0).set_index("customer_id")
    assert told["days"].tolist() == [30, 30], "from the due day to as_of, as everywhere"
    last = found.table.iloc[2]
    assert told.loc["u", "stage"] == 3 and told.loc["u", "action"] == "restrict"
    assert told.loc["u", "expected"] == pytest.approx(400 * last["more_paid"] - 2 - 300 * last["more_lost"])
    assert told["advice"].to_dict() == {"u": "act", "v": "leave alone"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arm": "lot"}, "'arm' of actions holds 'lot'"),
        ({"days": None}, "days"),
        ({"settled": None}, "ten days are over"),
    ],
)
def test_what_is_refused(table, change, said):
    with pytest.raises(WorkbenchError, match=said):
        collection(table.assign(**change))


def last_month(owed, at, n=60):
    """Bills of customers of their own that have been through a stage."""
    bills = pd.DataFrame(
        {
            "bill_id": np.arange(n) + 10**6,
            "customer_id": np.arange(n) + 10**6,
            "amount": owed,
            "paid": 0.0,
            "due_on": pd.Timestamp("2026-06-01"),
            "paid_on": pd.NaT,
            "left_on": pd.NaT,
            "written_off": None,
        }
    )
    return bills, pd.DataFrame({"bill_id": bills["bill_id"], "stage": at})


def test_where_chance_alone_acted_nobody_is_to_be_acted_on(table):
    """Arms dealt anew: what a stage earns is not certain, in the headline, the advice and the list alike."""
    rng = np.random.default_rng(2)
    drawn = table.assign(cost=0.01, arm=table.groupby("stage")["arm"].transform(lambda a: rng.permutation(a)))
    found = collection(drawn, resamples=20, currency="yuan")
    bills, done = last_month(400.0, 1)
    assert (found.table["net_earned_low"] < 0).all() and (found.table["net_earned_high"] > 0).all()
    told = found.next_stage(bills, done, as_of="2026-07-01", worth=0.0)
    assert set(told["advice"]) == {"not certain"}
    assert found.headline().startswith("No stage is certain to earn its cost: at best")
    no = Refusal("not answerable: no data")
    assert not any("Go by the list" in said for said in decision(found, no, no, told).do)


def test_a_stage_that_loses_is_not_said_to_earn(table):
    found = collection(table.assign(cost=table["cost"] + 60.0 * (table["arm"] == "treated")), resamples=20)
    assert (found.table["net_earned_high"] < 0).all()
    assert found.headline().startswith("Collecting loses least at") and " earns " not in found.headline()
    assert " earns " not in found.tiles()[0].label
    told = found.next_stage(*last_month(40_000.0, 1), as_of="2026-07-01", worth=0.0)
    assert set(told["advice"]) == {"leave alone"}  # as decided: the stage is dropped


def test_customers_past_the_last_stage_are_counted(found):
    told = found.next_stage(*last_month(400.0, 3), as_of="2026-07-01", worth=0.0)
    no = Refusal("not answerable: no data")
    assert len(told) == 60 and set(told["advice"]) == {"past the last stage"}
    assert "Decide by hand on 60 customers who have been through the last stage." in decision(found, no, no, told).do


def test_a_missing_cost_is_not_0(table, found):
    """Half of them: the mean of the others, with their number; all: nothing is earned for certain."""
    gone = (table["arm"] == "treated") & (table["bill_id"] % 2 == 0)
    half = collection(table.assign(cost=table["cost"].mask(gone)), resamples=20)
    assert half.table["net_earned"].to_numpy() == pytest.approx(found.table["net_earned"].to_numpy())
    assert half.set_aside == {"with no cost (taken as the mean of its stage)": int(gone.sum())}
    none = collection(table.assign(cost=np.nan), resamples=20)
    assert none.table[["net_earned", "cost", "per_cost"]].isna().all(axis=None) and none.tiles() == ()
    assert "its cost is not known" in none.headline()
    no = Refusal("not answerable: no data")
    assert decision(none, no, no, no).do[0].startswith("Put the cost of stage 1")
    told = none.next_stage(*last_month(400.0, 1), as_of="2026-07-01", worth=0.0)
    assert set(told["advice"]) == {"not known"}


def test_no_resamples_are_refused(table):
    with pytest.raises(WorkbenchError, match="resamples=0"):
        collection(table, resamples=0)


def test_actions_that_cannot_be_are_refused_or_counted():
    """Outcomes of another name and broken stages are refused; payments over the debt and below 0 are counted."""
    table = acted(np.random.default_rng(7), 400)
    with pytest.raises(WorkbenchError, match=r"no outcome of an action 'Reached'\. Did you mean 'reached'"):
        collection(table.assign(outcome="Reached"), resamples=2)
    with pytest.raises(WorkbenchError, match=r"'stage' of actions holds 1\.5"):
        collection(table.assign(stage=table["stage"] + 0.5), resamples=2)
    odd = table.assign(collected=table["collected"].where(table.index > 2, 9_999.0).where(table.index != 3, -1.0))
    found = collection(odd, resamples=2).set_aside
    assert found["paid over what was owed (counted as paid)"] == 3
    assert found["with less than 0 collected (counted as it is)"] == 1


def test_an_action_that_costs_less_than_nothing_is_counted(table):
    found = collection(table.assign(cost=table["cost"].where(np.arange(len(table)) > 1, -3.0)), resamples=5)
    assert found.set_aside["with a cost below 0 (counted as it is)"] == 2
