"""A card of points: weights by hand, published information values, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.scorecard import Card, Scale, compare, cuts, evidence, fit_card, read_card


def test_information_values_are_the_published_ones(shared_data):
    """Of IBM's churn table: those that optbinning prints."""
    table = pd.read_csv(shared_data / "ibm_telco_churn.csv.gz")
    gone = (table["Churn"] == "Yes").to_numpy()
    for column, expected in (("Contract", 1.238560), ("InternetService", 0.617953), ("PaymentMethod", 0.457109)):
        assert evidence(table[column].to_numpy(str), gone)["information"].sum() == pytest.approx(expected, abs=1e-6)
    tenure = np.digitize(table["tenure"], [6, 12, 24, 48, 60], right=True)
    assert evidence(tenure, gone)["information"].sum() == pytest.approx(0.759597, abs=1e-6)


def test_one_feature_gives_the_odds_of_its_bins():
    """40 of 100 and 10 of 100: with 0.5 added the points say just those odds, and 20 points double them."""
    table = pd.DataFrame({"late": np.repeat([1.0, 0.0], 100)})
    event = np.r_[np.arange(100) < 40, np.arange(100) < 10]
    card = fit_card(table, event, ["late"])
    assert card.probability(table, whole=False)[[0, -1]] == pytest.approx([0.4, 0.1], abs=1e-6)
    odds = np.log((60 / 40) / (90 / 10))
    points = card.points(table, whole=False)
    assert points[0] - points[-1] == pytest.approx(20 / np.log(2) * odds)
    assert card.terms["woe"].to_numpy() == pytest.approx(
        [np.log(90.5 / 10.5 * 51 / 151), np.log(60.5 / 40.5 * 51 / 151)]
    )
    assert 0 < card.rounding(table) < 0.01


def test_missing_values_and_bins_without_events_have_points():
    rng = np.random.default_rng(0)
    x = rng.normal(size=2_000)
    event = (rng.random(2_000) < 0.2) & (x > -1)
    table = pd.DataFrame({"x": np.where(rng.random(2_000) < 0.1, np.nan, x), "age": rng.integers(0, 9, 2_000)})
    card = fit_card(table, event, ["x", "age"])
    assert (card.terms.loc[card.terms["feature"] == "x", "to"].isna()).sum() == 1
    assert (card.terms["events"] == 0).any()
    assert np.isfinite(card.points(table)).all()
    assert card.probability(table, whole=False).mean() == pytest.approx(event.mean(), abs=1e-6)


OWN = """
[scale]
base = 500
double = 40
[[bin]]
feature = "x"
to = 0.5
points = 10
[[bin]]
feature = "x"
above = 0.5
points = 20.25
[[bin]]
feature = '欠费"天'
points = 1
[[bin]]
feature = '欠费"天'
missing = true
points = 2
"""


def test_a_card_that_is_read_gives_its_points(tmp_path):
    """By hand: 10 or 20.25 for x, the left end included; 1 or 2 for a name with a quotation mark in it."""
    (tmp_path / "card.toml").write_text(OWN, encoding="utf-8")
    card = read_card(tmp_path / "card.toml")
    table = pd.DataFrame({"x": [0.5, 0.6, -1.0], '欠费"天': [7.0, np.nan, np.nan]})
    assert card.points(table, whole=False).tolist() == [11, 22.25, 12] and card.scale == Scale(base=500, double=40)
    with pytest.raises(WorkbenchError, match="'x' is missing in 1 rows"):
        card.points(table.assign(x=[np.nan, 0, 0]))


def test_rows_order_and_doubles_move_nothing_but_counts():
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"x": np.round(rng.normal(size=600), 1), "z": rng.integers(0, 5, 600)})
    event = rng.random(600) < 1 / (1 + np.exp(2 - table["x"]))
    one = fit_card(table, event, ["x", "z"])
    order = rng.permutation(600)
    other = fit_card(table.iloc[order], event.to_numpy()[order], ["z", "x"])
    pd.testing.assert_frame_equal(one.terms, other.terms)


def test_what_a_card_refuses():
    """A gap between bins, and fewer than ten events a feature."""
    with pytest.raises(WorkbenchError, match="bins of 'x' leave a gap"):
        Card(pd.DataFrame({"feature": "x", "above": [-np.inf, 2.0], "to": [1.0, np.inf], "points": [1.0, 2.0]}))
    with pytest.raises(CannotAnswer, match="9 events"):
        fit_card(pd.DataFrame({"x": np.arange(100.0)}), np.arange(100) < 9, ["x"])
    with pytest.raises(CannotAnswer, match="separate nothing"):
        fit_card(pd.DataFrame({"x": np.ones(100)}), np.arange(100) < 50, ["x"])


def test_scale_and_cuts():
    assert Scale().probability(Scale().points(np.array([-1.0, 0.0]))) == pytest.approx([1 / (1 + np.e), 0.5])
    values = np.repeat([1.0, 2.0, 3.0], 50)
    assert cuts(values, values > 2).tolist() == [2.0]
    assert not len(cuts(np.ones(10), np.arange(10) > 5))
    table = compare({"right": np.arange(4), "flat": np.zeros(4)}, np.arange(4) > 1)
    assert table[["auc", "ks"]].iloc[0].tolist() == [1.0, 1.0]


def test_two_bins_for_gaps_are_refused():
    """Of two bins for missing values none is taken in silence."""
    gaps = {"feature": ["a"] * 3, "above": [-np.inf, np.nan, np.nan], "to": [np.inf, np.nan, np.nan]}
    with pytest.raises(WorkbenchError, match="stand twice"):
        Card(pd.DataFrame(gaps | {"points": [1.0, 2.0, 50.0]}))


def test_two_implementations_of_delong_are_one():
    """The interval of `compare` is that of `auc` and of its differences, and of the covariance of the placements."""
    rng = np.random.default_rng(0)
    event = rng.random(300) < 0.3
    one, two = (rng.normal(size=300).round(1) + event * k for k in (1.0, 0.4))
    table = compare({"one": one, "two": two}, event)
    bad, good = [], []
    for score in (one, two):
        worse = (score[event][:, None] > score[~event]) + 0.5 * (score[event][:, None] == score[~event])
        bad.append(worse.mean(axis=1)), good.append(worse.mean(axis=0))
    cover = np.cov(bad) / event.sum() + np.cov(good) / (~event).sum()
    errors = np.sqrt([cover[0, 0], cover[1, 1], cover[0, 0] + cover[1, 1] - 2 * cover[0, 1]])
    assert ((table["high"] - table["low"]) / 2 / 1.959964).to_numpy() == pytest.approx(errors, rel=1e-6)
