"""Credit points and expected loss: by hand, against known truth, and what is refused."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.scorecard import Card, Scale
from workbench.result import Refusal
from workbench.studies.arrears import credit_card, decision, expected_loss


def people(rng, n=6_000):
    """Not paying depends on the share of late bills and on tenure; the last state is a part of it."""
    late, tenure = rng.beta(0.5, 4, n).round(2), rng.integers(1, 120, n)
    state = np.where(rng.random(n) < late, rng.integers(1, 60, n), 0)
    logit = -4 + 5 * late - 0.01 * tenure + 0.03 * state
    chance = 1 / (1 + np.exp(-logit))
    return pd.DataFrame(
        {
            "id": rng.permutation(n),
            "late": late,
            "tenure": tenure,
            "state": state,
            "bill": 60.0,
            "bad": rng.random(n) < chance,
        }
    ), chance


def card_of(table, **given):
    return credit_card(
        table, "bad", customer="id", features=["late", "tenure", "state"], state="state", bill="bill", **given
    )


def test_points_order_better_than_the_last_state_and_are_calibrated():
    """AUC near that of the true chances, above the last state's; each band's expected share in its interval."""
    from sklearn.metrics import roc_auc_score

    table, chance = people(np.random.default_rng(9))
    found = card_of(table)
    best = roc_auc_score(table["bad"], chance)
    card, state, gain = found.order.itertuples()
    assert best - 0.05 < card.auc <= best + 0.01 and state.auc < card.low and gain.low > 0
    assert state.auc == pytest.approx(roc_auc_score(table["bad"], table["state"]))
    inside = found.table["expected"].between(found.table["low"], found.table["high"])
    assert inside.mean() >= 0.8 and found.table["rate"].iloc[0] > 5 * found.table["rate"].iloc[-1]
    assert "by the last state alone" in found.headline() and found.fitted


def test_the_limit_by_hand():
    """What may be lost over the upper end of the band, at most three mean bills."""
    table, _ = people(np.random.default_rng(10))
    rows = card_of(table, tolerated=6.0).table
    assert rows["limit"].to_numpy() == pytest.approx(np.minimum(6 / rows["high"], 180))


def test_the_error_of_auc_is_that_of_resamples():
    """DeLong's against 300 resamples of customers, for a card of one's own."""
    table, _ = people(np.random.default_rng(11), 1_500)
    terms = pd.DataFrame(
        {"feature": "late", "above": [-np.inf, 0.1, 0.3], "to": [0.1, 0.3, np.inf], "points": [600, 560, 500]}
    )
    card = Card(terms, Scale())
    found, rng = card_of(table, card=card), np.random.default_rng(12)
    drawn = []
    for _ in range(40):
        again = table.sample(len(table), replace=True, random_state=rng).assign(id=np.arange(len(table)))
        drawn.append(card_of(again, card=card).order["auc"])
    error = np.std(drawn, axis=0, ddof=1)
    assert (found.order["high"] - found.order["low"]).to_numpy() / 3.92 == pytest.approx(error, rel=0.3)
    assert not found.fitted and found.rounding == 0


def test_cards_refuse_few_events_and_gaps():
    table, _ = people(np.random.default_rng(13), 300)
    with pytest.raises(CannotAnswer, match="a card takes 10 for each"):
        card_of(table)
    with pytest.raises(WorkbenchError, match="'state' is missing"):
        card_of(table.assign(state=table["state"].mask(table["state"] == 0)))


def test_no_limit_rests_on_credit_notes():
    """A quarter with mean bills of -1,000 changes no limit: those who are asked for money have 60, three times 180."""
    table, _ = people(np.random.default_rng(10))
    some = card_of(table.assign(bill=table["bill"].where(table["id"] % 4 > 0, -1_000.0)), tolerated=100.0)
    rows = some.table
    assert rows["limit"].to_numpy() == pytest.approx(np.minimum(100 / rows["high"], 180))
    assert (rows["limit"] == 180).any()
    assert some.credited == 1_500 and "1,500 customers with a mean bill of 0 or less are not in them" in some.caption()
    assert "mean bill" not in card_of(table).caption()
    assert card_of(table.assign(bill=0.0)).table["limit"].isna().all()


def months(rng, n=400, rise=1.0):
    """Six months of arrears: half of what is late and nine tenths of what is very late is open 90 days later."""
    parts = []
    for month in pd.date_range("2025-01-15", periods=9, freq="MS") + pd.Timedelta(days=14):
        state = np.where(rng.random(n) < 0.7, "21-30", "90+")
        owed = rng.gamma(2, 40, n).round(2)
        open_ = owed * (rng.random(n) < np.where(state == "90+", 0.9, 0.5) * (rise if month.month == 6 else 1))
        parts.append(pd.DataFrame({"id": np.arange(n), "month": month, "state": state, "owed": owed, "open": open_}))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(open=table["open"].mask(table["month"] > "2025-07-01"))


def loss(table):
    asked = {"customer": "id", "month": "month", "state": "state", "owed": "owed", "unpaid": "open"}
    return expected_loss(table, **asked, as_of="2025-10-15")


def test_expected_loss_is_the_declared_one_and_calibrated():
    found = loss(months(np.random.default_rng(14)))
    rates = found.table.set_index("state")["loss"]
    assert rates["21-30"] == pytest.approx(0.5, abs=0.05) and rates["90+"] == pytest.approx(0.9, abs=0.05)
    assert found.low < 1 < found.high and "which holds" in found.headline()
    assert found.customers["expected"].sum() == pytest.approx(found.table["expected"].sum())
    assert found.customers["expected"].iloc[0] == found.customers["expected"].max()


def test_a_forecast_that_failed_is_said():
    """In the last month that is over, six tenths of what was expected."""
    found = loss(months(np.random.default_rng(15), rise=0.6))
    assert found.high < 1 and "too much was expected" in found.headline()


def test_what_is_not_known_yet_tells_no_loss():
    """A day after as_of is refused; what is given before its 90 days are over, or is impossible, is counted."""
    table = months(np.random.default_rng(14))
    with pytest.raises(WorkbenchError, match="'month' of accounts lies after as_of, 2025-10-15, in 400 rows"):
        loss(table.assign(month=table["month"] + pd.DateOffset(months=1)))
    ahead = table.assign(open=table["open"].mask(table["month"] > "2025-08-01", 0.0))
    found, plain = loss(ahead), loss(table)
    assert found.headline() == plain.headline()
    assert found.set_aside == {"'open' given before 90 days were over, not used": 1_200}
    odd = table.assign(open=table["open"].where(table["id"] != 0, 9_999.0).where(table["id"] != 1, -5.0))
    assert list(loss(odd).set_aside.values()) == [6, 9, 9]


def test_arrears_of_long_ago_are_not_todays():
    table = months(np.random.default_rng(14))
    asked = {"customer": "id", "month": "month", "state": "state", "owed": "owed", "unpaid": "open"}
    with pytest.raises(CannotAnswer, match="accounts ends on 2025-10-15, more than a month before as_of, 2028-10-15"):
        expected_loss(table, **asked, as_of="2028-10-15")


def test_ends_of_the_ratio_by_hand():
    """Half of 40,000 equal debts was lost: of 100 later ones 40, so .8 of what was expected, and Wilson's ends / .5."""
    sizes, lost = [20_000, 20_000, 100, 100, 0, 0, 100], [10_000, 10_000, 50, 40, 0, 0, 0]
    table = pd.DataFrame(
        {
            "id": np.arange(sum(sizes)),
            "month": np.repeat(pd.date_range("2025-01-01", periods=7, freq="MS"), sizes),
            "state": "90+",
            "owed": 10.0,
            "open": 10.0 * np.concatenate([np.arange(n) < k for n, k in zip(sizes, lost, strict=True)]),
        }
    )
    idle = pd.DataFrame({"id": -1, "month": pd.date_range("2025-05-01", periods=2, freq="MS"), "state": "paid up"})
    table["open"] = table["open"].mask(table["month"] == "2025-07-01")
    table = pd.concat([table, idle.assign(owed=0.0)], ignore_index=True)
    names = {"customer": "id", "month": "month", "state": "state", "owed": "owed", "unpaid": "open"}
    found, z = expected_loss(table, **names, as_of="2025-07-20"), 1.959964
    middle, half = 0.4 + z**2 / 200, z * np.sqrt(0.4 * 0.6 / 100 + z**2 / 40_000)
    ends = np.array([middle - half, middle + half]) / (1 + z**2 / 100) / 0.5
    assert found.ratio == pytest.approx(0.8) and (found.low, found.high) == pytest.approx(ends, abs=0.004)


def test_a_month_without_variation_counts_as_all_months_do_for_a_hundred_rows():
    """Of 40,000 equal debts half was lost whole, of 100 later ones each by half: Wilson's ends at 200 rows."""
    sizes = [20_000, 20_000, 100, 100, 100, 100, 100]
    lost = [10.0 * (np.arange(n) < n / 2) if n > 100 else np.full(n, 5.0) for n in sizes]
    table = pd.DataFrame(
        {
            "id": np.arange(sum(sizes)),
            "month": np.repeat(pd.date_range("2025-01-01", periods=7, freq="MS"), sizes),
            "state": "90+",
            "owed": 10.0,
            "open": np.concatenate(lost),
        }
    )
    table["open"] = table["open"].mask(table["month"] > "2025-04-01")
    names = {"customer": "id", "month": "month", "state": "state", "owed": "owed", "unpaid": "open"}
    found, z = expected_loss(table, **names, as_of="2025-07-20"), 1.959964
    half = z * np.sqrt(0.25 / 200 + z**2 / 160_000) / (1 + z**2 / 200)
    assert found.ratio == pytest.approx(1)
    assert (found.low, found.high) == pytest.approx([(0.5 - half) / 0.5, (0.5 + half) / 0.5], abs=0.004)


def draws(count, runs, **world):
    """How often the ends of the ratio, of small worlds without change, lay below and above 1; and how many had ends."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "coverage"))
    import complaints

    one = complaints.Debts(count, **world)
    ends = np.array(
        [found[2:] for seed in range(runs) for found in one.measured(seed) if found[0].startswith("arrears seen")]
    )
    told = ends[~np.isnan(ends).any(axis=1)]
    return (told[:, 1] < 1).mean(), (told[:, 0] > 1).mean(), len(told)


@pytest.mark.prove
def test_the_ratio_of_few_losses_does_not_fail_by_luck():
    """40 accounts a month, 5% and 20% lost: ends by the plain error lay below 1 in 13% of such worlds."""
    below, above, told = draws(40, 100, shares=(0.05, 0.2))
    assert told > 90 and below < 0.06 and above < 0.08


@pytest.mark.prove
@pytest.mark.parametrize("world", [{}, {"shares": (0.9, 0.98)}, {"shares": (0.05, 0.2)}, {"uneven": True}])
@pytest.mark.parametrize("count", [15, 40, 150])
def test_ends_of_the_ratio_hold(count, world):
    """In 1,000 worlds each without change; wider than need be only where amounts are very uneven."""
    below, above, told = draws(count, 1_000, **world)
    assert told < 200 or below + above < 0.065 + 3 * (0.05 * 0.95 / told) ** 0.5


def test_a_month_in_which_nothing_was_open_has_an_interval():
    """Of 400 accounts that owe alike half is expected: seen nothing, the ratio has an upper end above 0, and fails."""
    table = months(np.random.default_rng(14))
    found = loss(table.assign(open=table["open"].where(table["month"] != "2025-06-15", 0.0)))
    assert (found.ratio, found.low) == (0, 0) and 0 < found.high < 0.05


def test_too_few_months_tell_no_loss():
    table = months(np.random.default_rng(16))
    with pytest.raises(CannotAnswer, match="of 2 months it is known"):
        loss(table[table["month"] > "2025-05-01"])


def test_what_is_owed_in_rare_states_is_said():
    """200,000 yuan each in a state that nobody was in before: in the headline, the caption and the advice."""
    table = months(np.random.default_rng(17))
    rare = (table["month"] == table["month"].max()) & (table["id"] < 5)
    table = table.assign(state=table["state"].mask(rare, "121+"), owed=table["owed"].mask(rare, 200_000.0))
    found = loss(table)
    assert (found.unpriced, found.unpriced_customers) == (1e6, 5)
    for said in (found.headline(), found.caption()):
        assert "1,000,000 currency of 5 customers in states too rare are not in it." in said
    no = Refusal("not answerable: no data")
    assert "judge by hand 1,000,000 currency" in decision(no, no, found, no).do[0]
    failed = loss(months(np.random.default_rng(15), rise=0.6))
    assert decision(no, no, failed, no).do[0].startswith("Set nothing aside by these rates yet")


@pytest.mark.prove
def test_the_interval_of_the_ratio_holds_the_error_of_the_rates():
    """Against 300 resamples of customers, all months of each: rates are fitted anew in each."""
    rng = np.random.default_rng(18)
    table = months(rng, 200)
    table["open"] = table["open"].where(table["month"] != "2025-05-15", table["open"] * 0.5)  # calibrated by a half
    found, drawn = loss(table), []
    by = dict(list(table.groupby("id")))
    for _ in range(300):
        again = [by[i].assign(id=k) for k, i in enumerate(rng.integers(0, 200, 200))]
        drawn.append(loss(pd.concat(again)).ratio)
    assert found.factor < 0.8
    assert (found.high - found.low) / 3.92 == pytest.approx(np.std(drawn, ddof=1), rel=0.15)


def test_accounts_below_0_twice_or_of_a_later_day():
    table = months(np.random.default_rng(19))
    below = loss(table.assign(owed=table["owed"].where(table["id"] > 9, -table["owed"])))
    assert below.set_aside == {"'owed' below 0, counted as nothing owed": 90}
    with pytest.raises(WorkbenchError, match="1 rows of one 'id' and 'month' too many"):
        loss(pd.concat([table, table.iloc[:1]]))
    old = loss(pd.concat([table.iloc[:1].assign(month=pd.Timestamp("2020-01-01")), table]))
    assert old.set_aside == {"in months of long ago, that no other follows": 1}
    pd.testing.assert_frame_equal(old.table, loss(table).table)
    with pytest.raises(WorkbenchError, match="leaves a month out"):
        loss(pd.concat([table, table.iloc[:1].assign(month=pd.Timestamp("2031-01-01"))]))


def test_no_point_depends_on_ids():
    table, _ = people(np.random.default_rng(20), 1_500)
    one = card_of(table)
    for given in (np.random.default_rng(1).permutation(1_500), table["bad"].argsort().argsort()):
        other = card_of(table.assign(id=given))
        pd.testing.assert_frame_equal(other.table, one.table)
        pd.testing.assert_frame_equal(other.order, one.order)


def test_bills_that_are_missing_are_not_0_and_a_band_without_limit_tells_nothing():
    table, _ = people(np.random.default_rng(21))
    card = card_of(table).card
    few = table.iloc[:250]
    whole = card_of(few, tolerated=100.0, card=card)
    some = card_of(few.assign(bill=few["bill"].where(few["id"] % 3 == 0)), tolerated=100.0, card=card)
    pd.testing.assert_series_equal(some.table["limit"], whole.table["limit"])
    assert whole.table["limit"].isna().any() and whole.table["limit"].notna().any()
    told = whole.limits(few.assign(owed=500.0), customer="id", owed="owed")
    assert told["over"].isna().equals(told["limit"].isna()) and told["over"].dropna().all()


def test_where_nothing_was_expected_no_sentence_has_a_nan():
    """All arrears were paid: nothing to hold the forecast against, and no number of that name."""
    months = pd.date_range("2025-01-01", "2025-10-01", freq="MS")
    rows = [(f"c{i}", month, "30", 100.0, 0.0) for i in range(40) for month in months]
    accounts = pd.DataFrame(rows, columns=["customer", "month", "state", "owed", "unpaid"])
    names = {name: name for name in accounts}
    found = expected_loss(accounts, **names, as_of="2025-10-15")
    said = "0 currency of the arrears of 4,000 on 2025-10-01 are expected to be open still 90 days later; the last time"
    assert "on 2025-10-01" in found.caption() and "on 2025-10-01" in found.tiles()[0].label
    assert found.headline().startswith(said) and "nan" not in found.headline().said("zh")
    assert [one.name for one in found.quantities()] == ["expected_loss"]
    with pytest.raises(WorkbenchError, match="level=95 is no coverage"):
        expected_loss(accounts, **names, as_of="2025-10-15", level=95)


def test_each_fact_of_the_card_says_its_unit():
    """Money, days, months and shares by the house's names; what others name has none, however it ends."""
    rng = np.random.default_rng(22)
    facts = {"arrears": 300.0, "late_share": 1.0, "days_late_max": 90.0, "tenure_months": 60.0, "topup_max": 1.0}
    table = pd.DataFrame({name: most * rng.random(3_000) for name, most in facts.items()})
    table = table.assign(id=range(3_000), state=0, bad=rng.random(3_000) < table["late_share"] * table["topup_max"])
    card = credit_card(
        table, "bad", customer="id", features=list(facts), state="state", tolerated=10.0, currency="yuan"
    )
    shown = card.as_card().frame.drop_duplicates("fact").set_index("fact")["unit"]
    units = {
        "arrears": "yuan",
        "late_share": "share",
        "days_late_max": "days",
        "tenure_months": "months",
        "topup_max": "",
    }
    assert shown.to_dict() == {name: units[name] for name in shown.index} and len(shown) > 1
