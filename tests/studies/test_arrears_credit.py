"""Credit points and expected loss: by hand, against known truth, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.scorecard import Card, Scale
from workbench.studies.arrears import credit_card, expected_loss


def people(rng, n=6_000):
    """Not paying depends on the share of late bills and on tenure; the last state is a part of it."""
    late, tenure = rng.beta(0.5, 4, n).round(2), rng.integers(1, 120, n)
    state = np.where(rng.random(n) < late, rng.integers(1, 60, n), 0)
    logit = -4 + 5 * late - 0.01 * tenure + 0.03 * state
    chance = 1 / (1 + np.exp(-logit))
    return pd.DataFrame({
        "id": rng.permutation(n), "late": late, "tenure": tenure, "state": state, "bill": 60.0,
        "bad": rng.random(n) < chance,
    }), chance  # fmt: skip


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
    return expected_loss(table, customer="id", month="month", state="state", owed="owed", unpaid="open")


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


def test_too_few_months_tell_no_loss():
    table = months(np.random.default_rng(16))
    with pytest.raises(CannotAnswer, match="of 2 months it is known"):
        loss(table[table["month"] > "2025-05-01"])
