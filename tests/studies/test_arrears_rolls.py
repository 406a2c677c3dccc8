"""Roll rates: by hand, the published card accounts, chains of known truth, and what is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from doors import ageing

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.intervals import share
from workbench.studies.arrears import VANISHED, roll_rates

CARD = ["current", "2", "3", "4+"]


@pytest.fixture(scope="module")
def card(shared_data):
    """The real card accounts: one row an account and month, April to August 2005; 1 or less is current."""
    wide = pd.read_csv(shared_data / "card_arrears.csv.gz")
    parts = [
        pd.DataFrame(
            {
                "account": wide["account"],
                "month": f"2005-{4 + k:02d}",
                "bill": wide[f"bill_{m}"],
                "state": pd.cut(wide[f"state_{m}"], [-9, 1, 2, 3, 9], labels=CARD).astype(str),
            }
        )
        for k, m in enumerate(["apr", "may", "jun", "jul", "aug"])
    ]
    return pd.concat(parts, ignore_index=True)


def rolled(table, states=CARD, horizon=4, out=(), **given):
    return roll_rates(
        table, customer="account", month="month", state="state", states=states, out=out, horizon=horizon, **given
    )


def test_card_accounts_are_the_published_table(card):
    """Counts, rates, both tests, the cure of "2" by the month before, and what the chain says of August."""
    found = rolled(card)
    counts = found.counts.sum(axis=0)[:, :4]
    assert counts.tolist() == [[101018, 5218, 0, 0], [3742, 7869, 759, 0], [129, 291, 135, 227], [16, 153, 30, 413]]
    rates = found.table.set_index(["origin", "destination"])["rate"]
    wanted = {("current", "2"): 0.049117, ("2", "current"): 0.302506, ("2", "2"): 0.636136, ("2", "3"): 0.061358}
    wanted |= {("3", "current"): 0.164962, ("3", "2"): 0.372123, ("3", "4+"): 0.290281, ("4+", "4+"): 0.674837}
    assert {pair: round(rates[pair], 6) for pair in wanted} == wanted
    assert found.tests[["chi2", "df"]].round(2).to_numpy().tolist() == [[469.80, 27], [1205.28, 18]]
    assert (found.tests["p"] < 1e-50).all()
    before = found.by_month_before().frame.query("state == '2'")
    assert before["customers"].tolist() == [3739, 5567, 203, 95]
    assert before["rate"].round(5).tolist() == [0.47419, 0.18143, 0.11823, 0.05263]
    april = found.backtest.set_index("state").loc["2"]
    assert (round(april["seen"], 4), round(april["by_chain"], 4)) == (0.4638, 0.6848)


def test_intervals_of_the_card_accounts(card):
    """Wilson's as published; with customers as clusters wider, as published from 400 draws."""
    assert [float(end) for end in share(3742, 12370)] == pytest.approx([0.294474, 0.310661], abs=1e-6)
    row = rolled(card, owed="bill").table.query("origin == '2' and destination == 'current'").iloc[0]
    assert (row["low"], row["high"]) == pytest.approx((0.2937, 0.3119), abs=6e-4)
    assert row["owed_low"] < row["owed_rate"] < row["owed_high"] < row["low"]  # those who owe more pay less


def test_the_plain_chain_is_refused_and_the_aged_one_is_not(card):
    """June to August: the chain misses those at "2", months in arrears in a row foretell them."""
    found = rolled(card, horizon=2)
    assert "the plain chain is refused" in found.headline()
    with pytest.raises(CannotAnswer, match=r"said 49\.0% for those 2, and 41\.3%"):
        by_chain, p = found.backtest["by_chain"], found.backtest["by_chain_p"]
        replace(found, backtest=found.backtest.assign(by_age=by_chain, by_age_p=p)).forecast()
    row = found.backtest.set_index("state").loc["2"]
    assert row["low"] < row["by_age"] < row["high"] and row["by_chain"] > row["high"]
    said = found.forecast().frame
    assert said.iloc[:, 2:].sum(axis=1).to_numpy() == pytest.approx(1)
    with pytest.raises(CannotAnswer, match="too few accounts, or months"):
        rolled(card).forecast()


def test_a_first_order_chain_is_rarely_refused():
    """Of 40 true chains about one in twenty is: the test keeps its level."""
    rng, refused, uneven = np.random.default_rng(3), 0, 0
    true = np.array([[0.9, 0.1, 0.0], [0.4, 0.2, 0.4], [0.1, 0.0, 0.9]])
    for _ in range(40):
        place = [rng.choice(3, 1_500, p=[0.6, 0.2, 0.2])]
        for _ in range(5):
            place.append((rng.random(1_500)[:, None] > np.cumsum(true[place[-1]], axis=1)).sum(axis=1).clip(max=2))
        table = pd.DataFrame({"account": np.tile(np.arange(1_500), 6), "month": np.repeat(np.arange(6), 1_500)})
        found = rolled(table.assign(state=np.array(list("abc"))[np.concatenate(place)]), list("abc"), 3)
        refused += "refused" in found.headline()
        uneven += int((found.tests["p"] < 0.05).sum())
    assert refused <= 6 and uneven <= 10


def test_by_hand_with_ways_out_and_accounts_that_vanish():
    """Three accounts: one pays, one is written off, one vanishes; yuan beside accounts."""
    table = pd.DataFrame(
        {
            "account": ["a", "b", "c", "a", "b"],
            "month": ["2026-01"] * 3 + ["2026-02"] * 2,
            "state": ["late", "late", "late", "ok", "written off"],
            "owed": [10.0, 30.0, 60.0, -5.0, 30.0],
        }
    )
    found = rolled(table, ["ok", "late"], 1, ["written off"], owed="owed")
    rows = found.table.set_index("destination")
    assert rows["customers"].to_dict() == {"ok": 1, "written off": 1, VANISHED: 1}
    assert rows["owed_rate"].to_dict() == pytest.approx({"ok": 0.1, "written off": 0.3, VANISHED: 0.6})
    assert found.set_aside == {"'owed' below 0, counted as nothing owed": 1}
    assert "1 vanished without a word" in found.headline()


def test_a_state_that_nobody_paid_up_has_an_interval():
    """Of 40 accounts late for three months none is paid: 0 of 40 by Wilson, as the same 40 stand in each month."""
    months = ["2026-01", "2026-02", "2026-03", "2026-04"]
    table = pd.DataFrame({"account": [*range(41)] * 4, "month": np.repeat(months, 41)})
    table["state"] = np.where(table["account"] == 40, "current", "2")
    tile = rolled(table, horizon=1).tiles()[0]
    low, high = share(0, 40)
    assert (tile.interval.low, tile.interval.high) == (0.0, pytest.approx(high)) and low == 0


def test_clusters_widen_intervals_as_resampling_customers_does():
    """Against 400 draws of whole customers."""
    rng = np.random.default_rng(1)
    lazy = rng.random(300) < 0.5
    state = np.where(rng.random((300, 8)) < np.where(lazy, 0.8, 0.1)[:, None], "late", "ok")
    table = pd.DataFrame({"account": np.repeat(np.arange(300), 8), "month": np.tile(np.arange(8), 300)})
    row = rolled(table.assign(state=state.ravel()), ["ok", "late"], 3).table.query("origin == 'late' == destination")
    moves = (state[:, :-1] == "late").sum(axis=1), ((state[:, :-1] == "late") & (state[:, 1:] == "late")).sum(axis=1)
    drawn = [moves[1][at].sum() / moves[0][at].sum() for at in rng.integers(0, 300, (400, 300))]
    assert row[["low", "high"]].to_numpy()[0] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.008)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"state": ["-1", "late", "ok", "ok"]}, "A state below 0 is no state of arrears"),
        ({"state": ["-1.0", "late", "ok", "?"]}, "in 2 of 4 rows"),
        ({"month": [1, 1, 1, 2]}, "too many"),
        ({"month": [1, 2, 4, 1]}, "leaves a month out"),
        ({"month": ["2026-01-03", "2026-01-09"] * 2}, "two days of one"),
        ({"account": [1, None, 2, 2]}, "'account' of history is missing in 1"),
    ],
)
def test_what_is_refused(change, said):
    table = pd.DataFrame({"account": [1, 1, 2, 2], "month": [1, 2, 1, 2], "state": ["ok", "late", "ok", "ok"]})
    with pytest.raises(WorkbenchError, match=said):
        rolled(table.assign(**change), ["ok", "late"], 1)


def test_a_few_rows_of_long_ago_are_left_out():
    """One account of 2020 before months of 2026: counted, and the others are as without it; of four rows it is many."""
    months = pd.to_datetime(["2026-01-15", "2026-02-15", "2026-03-15"])
    table = pd.DataFrame({"account": np.tile(range(20), 3), "month": np.repeat(months, 20)})
    table["state"] = ["ok", "late"] * 30
    stray = pd.DataFrame({"account": [3], "month": pd.to_datetime(["2020-05-15"]), "state": ["late"]})
    found, bare = (rolled(one, ["ok", "late"], 1) for one in (pd.concat([stray, table]), table))
    pd.testing.assert_frame_equal(found.table, bare.table)
    assert found.set_aside == {"in months of long ago, that no other follows": 1} and not bare.set_aside
    with pytest.raises(WorkbenchError, match="'month' of history leaves a month out"):
        rolled(pd.concat([stray, table[table["account"] < 3]]), ["ok", "late"], 1)


def test_too_few_months_are_refused():
    table = pd.DataFrame({"account": [1, 1], "month": [1, 2], "state": ["ok", "late"]})
    with pytest.raises(CannotAnswer, match="history has 2 months"):
        rolled(table, ["ok", "late"], 2)


def test_states_twice_and_no_horizon_are_refused():
    table = pd.DataFrame({"account": [1, 1], "month": ["2025-01", "2025-02"], "state": ["2", "2"]})
    with pytest.raises(WorkbenchError, match="states and out hold '2' twice"):
        rolled(table, states=["current", "2", "2"])
    with pytest.raises(WorkbenchError, match="horizon=-1"):
        rolled(table, horizon=-1)


def test_an_account_is_one_however_its_number_is_written():
    """7 and '7' are one account: nobody vanishes."""
    months = np.repeat(pd.date_range("2025-01-01", periods=6, freq="MS"), 50)
    table = pd.DataFrame({"id": np.tile(np.arange(50), 6), "month": months, "state": "late"}).astype({"id": object})
    table.loc[table.index % 3 == 0, "id"] = table.loc[table.index % 3 == 0, "id"].map(str)
    found = roll_rates(table, customer="id", month="month", state="state", states=["ok", "late"], out=[])
    assert found.counts[..., -1].sum() == 0 and found.table["customers"].tolist() == [250]


def test_states_given_as_numbers_are_their_names():
    """The bucket 0, 1 or 2 of the column is the one named 0, 1 or 2: the rates of text, not a refusal of all rows."""
    table = ageing()["history"]
    table = table.assign(state=table["state"].map({"paid up": 0, "21-30": 1, "31-60": 2}))
    asked = {"customer": "id", "month": "on", "state": "state", "owed": "owed", "out": []}
    found, text = (roll_rates(table, **asked, states=states) for states in ([0, 1, 2], ["0", "1", "2"]))
    pd.testing.assert_frame_equal(found.table, text.table)
