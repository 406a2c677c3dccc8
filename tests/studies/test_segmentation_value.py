"""Concentration: by hand, by property, on CDNOW, in simulation, and what is refused."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workbench.errors import WorkbenchError
from workbench.studies.segmentation import concentration
from workbench.studies.segmentation.concentration import _estimate, _moved, _unseen

AMOUNTS = st.lists(st.integers(0, 500), min_size=2, max_size=60).filter(any)


@pytest.fixture(scope="module")
def spent(shared_data):
    """What each CDNOW customer spent."""
    return (
        pd.read_csv(shared_data / "cdnow_sample.csv.gz")
        .groupby("sample_id")["amount"]
        .sum()
        .rename("spent")
        .reset_index()
    )


def test_concentration_by_hand():
    """Amounts 1, 1, 2, 6: mean difference 1.5 + ..., Gini 0.4; the best quarter brings 6 of 10."""
    result = concentration(pd.Series([6.0, 1, 2, 1]))
    assert result.gini.estimate == pytest.approx(0.4)
    assert result.share_of_top(0.25) == 0.6
    assert result.share_of_top(0.26) == 0.8
    assert [result.customers_for(s) for s in (0.6, 0.61, 0.8, 0.9, 1.0)] == [1, 2, 2, 3, 4]


def test_cdnow_concentration(spent):
    """CDNOW: top fifth 67.46 %, 777 customers for 80 %, Gini .6309; the intervals hold them."""
    result = concentration(spent["spent"], resamples=200)
    assert round(result.share_of_top(0.2), 4) == 0.6746 or round(100 * result.share_of_top(0.2), 2) == 67.46
    assert result.customers_for(0.8) == 777
    assert round(result.gini.estimate, 4) == 0.6309
    table = result.summary()
    assert ((table["low"] < table["estimate"]) & (table["estimate"] < table["high"])).all()
    assert "777" in result.headline()
    names = [q.name for q in result.quantities()]
    assert {"gini", "share_of_top[0.2]", "share_of_customers_for[0.8]", "customers_for[0.8]"} <= set(names)


@settings(max_examples=50, deadline=None)
@given(AMOUNTS, st.integers(1, 1000), st.integers(0, 99))
def test_scale_and_order_do_not_matter(amounts, factor, seed):
    """Gini and shares stay when amounts change their unit or customers their order."""
    amounts = np.array(amounts, dtype=float)
    one = concentration(amounts, resamples=0).table["estimate"]
    other = concentration(np.random.default_rng(seed).permutation(amounts) * factor, resamples=0).table["estimate"]
    assert other.to_numpy() == pytest.approx(one.to_numpy(), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(AMOUNTS)
def test_gini_is_mean_difference(amounts):
    """Gini equals the mean absolute difference of all pairs over twice the mean."""
    x = np.array(amounts, dtype=float)
    direct = np.abs(x[:, None] - x).mean() / (2 * x.mean())
    assert concentration(x, resamples=0).gini.estimate == pytest.approx(direct, abs=1e-12)


def test_weights_are_copies():
    """A weight of two does what a second customer of the same amount does, for the error as well."""
    rng = np.random.default_rng(0)
    x = np.sort(rng.lognormal(size=40))
    weight = rng.integers(0, 3, 40).astype(float)
    copies = np.repeat(x, weight.astype(int))
    for weighted, copied in zip(_estimate(x, weight[None]), _estimate(copies, np.ones((1, len(copies)))), strict=True):
        assert weighted[0] == pytest.approx(copied[0], rel=1e-9)


def test_error_matches_simulation():
    """The influence-function errors equal the spread over repeated samples, within its own error."""
    rng = np.random.default_rng(5)
    found = [[part[0] for part in _estimate(np.sort(rng.gamma(2, 20, 2_000)), np.ones((1, 2_000)))] for _ in range(300)]
    value, error = np.array(found).swapaxes(0, 1)
    assert error.mean(axis=0) / value.std(axis=0, ddof=1) == pytest.approx(np.ones(6), abs=4 / np.sqrt(2 * 300))


@pytest.mark.prove
@pytest.mark.parametrize("kind", ["gamma", "zeros", "lognormal"])
def test_intervals_cover(kind):
    """95 % intervals of Gini, top shares and customers needed cover 93-97 % (1,000 samples of 2,000 customers)."""
    draw = {
        "gamma": lambda rng, n: rng.gamma(0.8, 50, n),
        "zeros": lambda rng, n: rng.gamma(1.5, 30, n) * (rng.random(n) > 0.2),
        "lognormal": lambda rng, n: rng.lognormal(0, 1, n),
    }[kind]
    rng = np.random.default_rng(11)
    truth = concentration(draw(rng, 4_000_000), resamples=0).table["estimate"].to_numpy()
    samples = 1_000
    hits = np.zeros(len(truth))
    for seed in range(samples):
        table = concentration(draw(rng, 2_000), resamples=400, rng=seed).table
        hits += (table["low"] <= truth) & (truth <= table["high"])
    slack = 3 * np.sqrt(0.95 * 0.05 / samples)
    assert (hits / samples >= 0.93 - slack / 3).all() and (hits / samples <= 0.97 + slack / 3).all(), hits / samples


@pytest.mark.parametrize("sd", [0.6, 1.2])
def test_uneven_end_by_hand(sd):
    """The uneven end goes out by √(Σ d⁴) / Σ d² of itself and by what larger customers would bring; the other stays."""
    x = np.sort(np.random.default_rng(3).lognormal(0, sd, 300))
    n, mean, part = len(x), x.mean(), 60
    edge = x[-part]
    influence = (np.maximum(x - edge, 0) + part / n * edge - x[-part:].sum() / x.sum() * x) / mean
    share = x[-part:].sum() / x.sum()
    spread = influence.std() / np.sqrt(n) / (share * (1 - share))
    out = 1 + np.sqrt(((x - mean) ** 4).sum()) / ((x - mean) ** 2).sum()
    hill = np.log(x[-18:] / x[-19]).mean()
    tails = np.minimum(1 / stats.gamma.ppf(np.linspace(0.005, 0.995, 100), 18, scale=1 / (18 * hill)), 0.95)
    lacking = min(1, 2 * hill) * np.mean(x[-19] * 18**tails * tails / (1 - tails)) / n
    row = concentration(x, resamples=0).table.set_index("quantity").loc["share_of_top[0.2]"]
    ends = np.log(row[["low", "high"]].astype(float) / (1 - row[["low", "high"]].astype(float)))
    centre = np.log(share / (1 - share))
    by_hand = [centre - 1.959964 * spread, centre + 1.959964 * spread * out + lacking / (mean * share)]
    assert ends.to_numpy() == pytest.approx(by_hand, abs=1e-6)


def test_a_larger_customer_moves_numbers_as_their_ends_assume():
    """What the sample lacks moves each number as one more customer of that revenue does, beside the others' mean."""
    x = np.sort(np.random.default_rng(4).lognormal(0, 1, 20_000))
    before = concentration(x, resamples=0).table["estimate"].to_numpy()
    large = 10.0 * x[-1]
    after = concentration(np.append(x, large), resamples=0).table["estimate"].to_numpy()
    change = np.diff(np.log([before, after]) - np.log1p(-np.array([before, after])), axis=0)[0]
    assumed = _moved(x, before) / _unseen(x) * large / len(x) * np.append(np.ones(5), -1)
    assert change == pytest.approx(assumed, rel=0.15)


def test_only_tails_lack_revenue():
    """Equal amounts at the top lack nothing; a Pareto tail lacks the more the heavier, and half the customers more."""
    rank = (np.arange(2_000) + 0.5) / 2_000
    assert _unseen(np.minimum(rank, 0.9)) < 1e-12
    lacking = [_unseen((1 - rank) ** -(1 / a)) * (a - 1) / a for a in (4, 3, 2, 1.5)]
    assert (np.diff(lacking) > 0).all()
    assert _unseen((1 - rank[::2]) ** -0.5) > _unseen((1 - rank) ** -0.5)


@pytest.mark.prove
@pytest.mark.parametrize("law", ["lognormal", "pareto"])
def test_heavy_tails_are_covered(law):
    """300 customers, log-normal (sd 1.2) or Pareto (tail index 3): 93-97.5%, where 91-93% were (1,000 samples)."""
    rng = np.random.default_rng(12)
    draw = {"lognormal": lambda n: rng.lognormal(0, 1.2, n), "pareto": lambda n: 1 + rng.pareto(3, n)}[law]
    truth = {"lognormal": (0.6038561, 0.6399700), "pareto": (0.2, 0.2 ** (2 / 3))}[law]
    hits = np.zeros(2)
    for seed in range(1_000):
        table = concentration(draw(300), resamples=300, rng=seed).table.set_index("quantity")
        rows = table.loc[["gini", "share_of_top[0.2]"]]
        hits += ((rows["low"] <= np.array(truth)) & (np.array(truth) <= rows["high"])).to_numpy()
    assert (hits > 923).all() and (hits < 980).all(), hits


@pytest.mark.prove
@pytest.mark.parametrize("customers", [300, 2_000])
@pytest.mark.parametrize("index", [1.5, 1.2])
def test_tails_without_variance_are_covered(index, customers):
    """Of a Pareto tail of index 1.5 or 1.2 the printed intervals of Gini and the top 20% hold 93.5-96.5% (600 samples).

    Two Monte-Carlo errors are allowed. Before, a tail of 1.2 was held in 86-89%.
    """
    rng, truth = np.random.default_rng(13), (1 / (2 * index - 1), 0.2 ** (1 - 1 / index))
    hits = []
    for seed in range(600):
        table = concentration(1 + rng.pareto(index, customers), resamples=300, rng=seed).table.set_index("quantity")
        rows = table.loc[["gini", "share_of_top[0.2]"]]
        if rows["low"].notna().all():
            hits.append(((rows["low"] <= np.array(truth)) & (np.array(truth) <= rows["high"])).to_numpy())
    slack = 2 * np.sqrt(0.05 * 0.95 / len(hits))
    held = np.mean(hits, axis=0)
    assert len(hits) > 480 and (held > 0.935 - slack).all() and (held < 0.965 + slack).all(), held


def test_interval_needs_customers_at_the_top():
    """The top 1 % of 300 customers are three: their share has no interval, and the quantity says so."""
    result = concentration(np.random.default_rng(0).gamma(2, 1, 300), resamples=50)
    row = result.table.set_index("quantity").loc["share_of_top[0.01]"]
    assert np.isnan(row["low"]) and row["customers"] == 3
    assert next(q for q in result.quantities() if q.name == "share_of_top[0.01]").low is None


@pytest.mark.parametrize(
    ("amounts", "words"),
    [
        ([1.0, np.nan, 2], "is missing in 1 of 3 rows"),
        ([5.0], "there is 1 customer\\."),
        ([0.0, 0.0], "no revenue at all"),
        (["a", "b"], "is not numeric: it holds str"),
    ],
)
def test_revenue_refused(amounts, words):
    """Missing, absent or textual revenue is refused with its count."""
    with pytest.raises(WorkbenchError, match=words):
        concentration(pd.Series(amounts))


@pytest.mark.parametrize(
    ("amounts", "why"),
    [
        ([0.0, 10.0], "1 of 2 customers bring revenue, and 150 of 300 are needed"),
        (np.r_[np.zeros(999), 1e6], "1 of 1,000 customers bring revenue"),
        (np.full(400, 7.0), "all customers bring the same"),
        (np.r_[np.arange(1.0, 500), 1e5], "one customer makes 9"),
    ],
)
def test_no_interval_has_its_reason(amounts, why):
    """Few or equal amounts, or those of one, have numbers without an interval, and the sentence says why; no nan."""
    result = concentration(amounts, resamples=50)
    assert re.search(why, result.headline()) and "nan" not in result.headline()
    assert result.table["low"].isna().all() and all(q.low is None for q in result.quantities())


def test_negative_as_zero_is_counted():
    """Credit notes stop nothing: 0, 1 and 9 have a Gini of (-2·0 + 0·1 + 2·9) / (3·10), and 3 of 10 is told."""
    result = concentration(np.array([-3.0, 1, 9]), resamples=0)
    assert (result.negative, result.owed, result.revenue.tolist()) == (1, -3.0, [0, 1, 9])
    assert result.gini.estimate == pytest.approx(0.6) and result.share_of_top(0.2) == pytest.approx(0.9)
    assert "Counted as 0: 1 with more refunds than payments, 30.00% of revenue in all." in result.headline()
    assert "Counted" not in concentration(np.array([0.0, 1, 9]), resamples=0).headline()
    with pytest.raises(WorkbenchError, match="1 negative amounts of 3"):
        concentration(np.array([-3.0, 1, 9]), negative="refuse")


def test_equal_customers_have_gini_zero():
    """Where all bring the same, Gini is 0 and the top fifth brings a fifth."""
    result = concentration(np.full(100, 7.0), resamples=50)
    assert result.gini.estimate == pytest.approx(0, abs=1e-12)
    assert result.share_of_top(0.2) == pytest.approx(0.2)


def test_the_picture_draws(spent):
    """The Lorenz curve is labelled directly."""
    import matplotlib.pyplot as plt

    result, ax = concentration(spent["spent"], resamples=0), plt.subplots()[1]
    assert result.plot(ax) is ax
    assert any("%" in text.get_text() for text in ax.texts)
