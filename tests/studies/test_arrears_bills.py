"""Overdue bills by hand and against known truth; the jump of paying on the day of a stage."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.arrears import collection, cure
from workbench.studies.arrears.bills import overdue
from workbench.studies.arrears.jumps import jump


def bills(**columns):
    """Bills of 100, due on 2026-01-20, unpaid but where a day of paying is given, of customers of their own."""
    n = len(next(iter(columns.values())))
    if "paid_on" in columns:
        columns = {"paid": np.where(pd.isna(pd.Series(columns["paid_on"])), 0.0, 100.0)} | columns
    whole = {
        "bill_id": np.arange(n),
        "customer_id": np.arange(n),
        "due_on": ["2026-01-20"] * n,
        "amount": [100.0] * n,
        "paid": [0.0] * n,
        "paid_on": [None] * n,
        "left_on": [None] * n,
        "written_off": [None] * n,
    }
    table = pd.DataFrame(whole | columns)
    return table.assign(**{c: pd.to_datetime(table[c]) for c in ("due_on", "paid_on", "left_on")})


def test_incidence_by_hand():
    """Of 40 overdue 10 are paid on day 1; on day 10, 8 go with their customer and 2 are written off; 20 stay open."""
    paid_on = ["2026-01-21"] * 10 + [None] * 30
    left_on = [None] * 10 + ["2026-01-30"] * 10 + [None] * 20
    table = bills(paid_on=paid_on, left_on=left_on, written_off=[None] * 10 + [False] * 8 + [True] * 2 + [None] * 20)
    found = cure(table, as_of="2026-03-01", days=[5, 10, 30], resamples=50)
    assert found.table["paid_share"].tolist() == [0.25] * 3
    assert found.table["left_share"].round(12).tolist() == [0, 0.2, 0.2]
    assert found.table["written_off_share"].round(12).tolist() == [0, 0.05, 0.05]
    assert found.table["open_share"].round(12).tolist() == [0.75, 0.5, 0.5]
    said = "of 40 bills 10 are paid, 8 were lost with a customer who left, 2 were written off, and 20 are still open."
    assert found.became == (10, 8, 2, 20) and sum(found.became) == found.bills and said in found.caption()


def test_all_paid_is_not_certain_of_the_next():
    """Of 40 bills of 20 customers all are paid on day 1: Wilson's lower end for 20, and 0 of them on no day before."""
    table = bills(paid_on=["2026-01-22"] * 40, customer_id=np.arange(40) // 2)
    found = cure(table, as_of="2026-03-01", days=[1, 10], resamples=50).table
    assert found["paid_share"].tolist() == [0, 1]
    end = 1.959964**2 / (20 + 1.959964**2)
    assert found["low"].tolist() == pytest.approx([0, 1 - end]) and found["high"].tolist() == pytest.approx([end, 1])


def test_bills_that_are_not_overdue_are_counted():
    """Paid in time, not due yet, of customers gone, credit notes; payments over the bill are said."""
    n = 40
    table = pd.concat(
        [
            bills(paid_on=["2026-01-25"] * n, paid=[120.0] * n),
            bills(paid_on=["2026-01-20"] * 3),
            bills(due_on=["2026-03-05"] * 2),
            bills(left_on=["2026-01-10"] * 4),
            bills(amount=[-5.0]),
            bills(due_on=[None, None]),
        ],
        ignore_index=True,
    )
    table["bill_id"] = np.arange(len(table))
    found = cure(table, as_of="2026-03-01", resamples=20)
    assert found.bills == n and found.set_aside == {
        "paid by the due day": 3,
        "due on the day before as_of or later": 2,
        "of customers who had left by the due day": 4,
        "bills of 0 or less": 1,
        "bills without a due day, or due before they were issued": 2,
        "paid over the bill (counted in full as paid)": n,
    }
    assert "40 are paid over the bill" in found.headline()
    assert found.caption().endswith("Not among them are 4 bills of customers who had left by the due day.")
    with pytest.raises(CannotAnswer, match=r"0 bills were overdue, .*: 40$|: 40\."):
        cure(bills(left_on=["2026-01-10"] * n), as_of="2026-03-01")


def test_late_again_by_hand():
    """Of 75 times that somebody has paid all, 15 are late again; two bills at once are one spell of arrears."""
    due = ["2026-01-20"] * 60 + ["2026-01-22"] * 60 + ["2026-02-20"] * 15
    paid_on = ["2026-01-24"] * 60 + ["2026-01-25"] * 60 + ["2026-02-27"] * 15
    table = bills(due_on=due, paid_on=paid_on, customer_id=[*range(60), *range(60), *range(15)])
    found = cure(table, as_of="2026-03-30", within=30, resamples=20)
    assert found.again == pytest.approx(15 / 75) and found.again_low < 0.2 < found.again_high


def test_chinese_ids_give_the_same_numbers():
    """Customers and bills in Chinese are texts like others."""
    table = bills(paid_on=["2026-01-21"] * 10 + [None] * 30, customer_id=[*range(20)] * 2)
    named = table.assign(**{c: "编号甲" + table[c].astype(str) for c in ("bill_id", "customer_id")})
    one, other = (cure(rows, as_of="2026-03-01", days=[5, 10, 30], resamples=50) for rows in (table, named))
    shares = [f"{fate}_share" for fate in ("paid", "left", "written_off", "open")]
    pd.testing.assert_frame_equal(one.table[["days", *shares]], other.table[["days", *shares]])
    assert one.headline().split("%")[0] == other.headline().split("%")[0]


def test_censored_bills_do_not_bias_what_is_paid():
    """A daily chance of 3% gives 1 - .97^t, though many bills are seen for a few days only."""
    rng = np.random.default_rng(4)
    due = pd.Timestamp("2024-07-01") + pd.to_timedelta(rng.integers(0, 725, 8_000), unit="D")
    paid = due + pd.to_timedelta(rng.geometric(0.03, 8_000), unit="D")
    found = cure(bills(due_on=due, paid_on=paid), as_of="2026-07-01", resamples=100)
    truth = 1 - 0.97 ** found.table["days"]
    assert ((found.table["low"] - 0.006 < truth) & (truth < found.table["high"] + 0.006)).all()


def test_what_is_refused():
    with pytest.raises(CannotAnswer, match="3 bills were overdue, and it takes 30"):
        cure(bills(paid=[0.0] * 3), as_of="2026-07-01")
    with pytest.raises(WorkbenchError, match="'due_on' of bills is missing in 1 rows"):
        cure(bills(due_on=["2026-01-20", None]), as_of="2026-07-01")


def paying(rng, jumps, n=6_000):
    """Bills due on the 20th: a falling daily chance, fewer at weekends, more on salary days, and what a stage adds."""
    months = pd.to_datetime([f"{year}-{m:02d}-20" for year in (2024, 2025) for m in range(1, 13)])
    due, day = months[rng.integers(0, 24, n)], np.arange(1, 91)
    when = pd.DatetimeIndex((due.to_numpy()[:, None] + day.astype("timedelta64[D]")).ravel())
    chance = 0.05 * np.exp(-day / 40) * np.where(when.day_of_week >= 5, 0.6, 1).reshape(n, -1)
    chance *= np.where((when.day >= 10) & (when.day <= 15), 1.5, 1).reshape(n, -1)
    for at, rise in jumps.items():
        chance *= np.where((day >= at) & (day < at + 10), np.exp(rise), 1)
    pays = rng.random(chance.shape) < chance
    paid_on = due + pd.to_timedelta(pays.argmax(axis=1) + 1, unit="D")
    table = bills(due_on=due, paid_on=paid_on.where(pays.any(axis=1)))
    return overdue(table, "2026-07-01")[0], chance


def test_a_jump_is_found_where_there_is_one_and_only_there():
    """+60% in stage 2: found with its size; without, what weekends and salary days do is no jump."""
    rng, found = np.random.default_rng(5), []
    for rise in (0.6, 0.0):
        told = [jump(paying(rng, {11: rise})[0], np.full(50, 11), [1, 11, 21]) for _ in range(5)]
        found.append(pd.DataFrame(told).mean())
        covered = sum(
            one["more_paid_low"] <= truth <= one["more_paid_high"] for one in told for truth in [0.073 * (rise > 0)]
        )
        assert covered >= 4
    assert found[0]["more_paid"] == pytest.approx(0.073, abs=0.02) and abs(found[1]["more_paid"]) < 0.02


def test_a_jump_needs_one_day_with_days_before_it():
    open_bills = paying(np.random.default_rng(6), {}, 500)[0]
    with pytest.raises(CannotAnswer, match=r"only 50% of the actions fall on day"):
        jump(open_bills, np.repeat([11, 12], 20), [1, 11])
    with pytest.raises(CannotAnswer, match="nothing comes before day 1"):
        jump(open_bills, np.ones(50), [1, 11])
    with pytest.raises(CannotAnswer, match="days without a stage"):
        jump(open_bills[:40], np.full(50, 11), [1, 11])


def test_without_a_lot_stages_are_read_from_the_day_of_paying():
    """Calls on day 11 of all bills still open: said as a jump, with no yuan; reminders on day 1: not answerable."""
    rng = np.random.default_rng(8)
    open_bills, _ = paying(rng, {11: 0.7})
    raw = open_bills[["bill_id", "customer_id", "due_on", "amount", "paid", "paid_on", "left_on", "written_off"]]
    asked = {"owed": 100.0, "collected": 0.0, "settled": False, "left_90": False, "cost": 1.0, "arm": None}
    parts = [(1, "remind", 1), (2, "call", 11)]
    rows = [
        open_bills.loc[open_bills["exit"] >= day, ["bill_id", "customer_id"]].assign(stage=k, action=what, days=day)
        for k, what, day in parts
    ]
    actions = pd.concat(rows, ignore_index=True).assign(collector=None, outcome=None, **asked)
    found = collection(actions.assign(action_id=np.arange(len(actions))), raw, as_of="2026-07-01")
    assert found.table["basis"].tolist() == ["not answerable", "jump against placebo days"]
    assert found.table["more_paid_low"].iloc[1] > 0 and np.isnan(found.table["net_earned"].iloc[1])
    assert "nothing comes before day 1" in found.headline() and "more who pay at once" in found.headline()


def test_days_that_nobody_was_followed_for_are_not_told():
    """Seen for 20 days: 10 and 20 days are told; where no bill drops out of sight before, later days are as well."""
    paid_on = [pd.Timestamp("2026-01-21") + pd.Timedelta(days=i % 19) for i in range(100)]
    found = cure(bills(paid_on=[*paid_on, *[None] * 100]), as_of="2026-02-10", resamples=20)
    assert found.table["days"].tolist() == [10, 20] and found.untold == (30, 60, 90)
    assert "too few were followed for 30 days" in found.headline() and "90" not in found.headline()
    assert cure(bills(paid_on=paid_on), as_of="2026-02-10", resamples=20).table["paid_share"].iloc[-1] > 0.999


def test_bills_paid_in_part_are_not_paid():
    paid_on = ["2026-01-25"] * 40
    found = cure(bills(paid_on=paid_on, paid=[1.0] * 20 + [100.0] * 20), as_of="2026-06-01", resamples=20)
    assert found.table["paid_share"].tolist() == [0.5] * 5
    assert found.set_aside == {"with a day of paying, but paid in part only (counted as open)": 20}


def test_questions_without_an_answer_are_one_sentence():
    table = bills(paid_on=[None] * 40)
    with pytest.raises(CannotAnswer, match="none of 40 overdue bills has been paid"):
        cure(table, as_of="2026-06-01")
    with pytest.raises(CannotAnswer, match="fewer than 10 overdue bills were followed for 10 days"):
        cure(bills(paid_on=["2026-01-21"] * 5 + [None] * 40), as_of="2026-01-25")
    with pytest.raises(WorkbenchError, match="resamples=0"):
        cure(table, as_of="2026-06-01", resamples=0)
    with pytest.raises(WorkbenchError, match="days past due from 1"):
        cure(table, as_of="2026-06-01", days=[0])
