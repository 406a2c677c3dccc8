"""Intervals at the edges: by hand, against closed forms, and counted exactly."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import xlogy
from statsmodels.stats.proportion import proportion_confint

from workbench.methods import clusters, intervals
from workbench.methods.intervals import Mean, mean_difference, mean_ratio, share, share_difference, share_ratio, skewed


def test_no_event_of_five_leaves_up_to_43_percent_open():
    """Wilson by hand: z² / (n + z²) = 3.8415 / 8.8415."""
    low, high = share(0, 5)
    assert low == 0 and high == pytest.approx(3.841459 / 8.841459, abs=1e-6)


def test_shares_given_a_difference_are_the_most_likely_ones():
    """The closed root is compared with the best point of a fine grid of the likelihood."""
    draw = np.random.default_rng(0)
    for _ in range(40):
        n1, n0 = draw.integers(2, 200, 2)
        x1, x0, delta = draw.integers(0, n1 + 1), draw.integers(0, n0 + 1), draw.uniform(-0.95, 0.95)

        def minus_log(p, x1=x1, n1=n1, x0=x0, n0=n0, delta=delta):
            q = np.clip(p + delta, 0, 1)
            return -(xlogy(x1, q) + xlogy(n1 - x1, 1 - q) + xlogy(x0, p) + xlogy(n0 - x0, 1 - p))

        grid = np.linspace(max(0, -delta), min(1, 1 - delta), 20_001)
        found = intervals._shares_given_difference(*(np.array(v, float) for v in (x1, n1, x0, n0, delta)))[1]
        assert minus_log(found) <= minus_log(grid).min() + 1e-9


def test_arms_of_equal_size_give_the_n_minus_1_chi_squared_test():
    """7 of 34 against 1 of 34: chi² 5.025, p .025 (Campbell 2007's N − 1 test, as the ratesci package documents)."""
    assert share_difference(7, 34, 1, 34)[2] == pytest.approx(0.025, abs=5e-4)


def test_an_arm_without_a_buyer_claims_nothing():
    """50 of 9,900 against 0 of 100: Fisher's p is 1, and 0 lies inside."""
    low, high, p = share_difference(50, 9_900, 0, 100)
    assert low < -0.02 and high == pytest.approx(0.0066, abs=1e-3) and p > 0.3


@pytest.mark.parametrize("function", [share_difference, share_ratio])
def test_swapping_the_arms_mirrors_the_interval(function):
    """The difference changes its sign, the ratio turns over."""
    there, back = function(5, 56, 2, 29), function(2, 29, 5, 56)
    if function is share_difference:
        assert there[0] == pytest.approx(-back[1], abs=1e-9) and there[1] == pytest.approx(-back[0], abs=1e-9)
    else:
        assert there[0] * back[1] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("share_one", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("rate", [0.005, 0.05, 0.2])
def test_differences_of_shares_err_alike_on_both_sides(share_one, rate):
    """Counted exactly over all outcomes of 2,000 members: at most 3.6% on a side, 93.5% covered."""
    n1 = int(2_000 * share_one)
    n0 = 2_000 - n1
    x1, x0 = np.arange(n1 + 1), np.arange(n0 + 1)
    chance = np.outer(stats.binom.pmf(x1, n1, rate), stats.binom.pmf(x0, n0, rate))
    likely = np.argwhere(chance > 1e-8)
    low, high, p = share_difference(likely[:, 0], n1, likely[:, 1], n0)
    weight = chance[likely[:, 0], likely[:, 1]]
    above, below = weight[low > 1e-12].sum(), weight[high < -1e-12].sum()
    assert above < 0.036 and below < 0.036 and above + below < 0.065
    assert ((p < 0.05) == ((low > 0) | (high < 0)))[np.abs(p - 0.05) > 1e-6].all()


def test_where_amounts_are_alike_a_mean_difference_is_a_difference_of_shares():
    """25 a buyer: the score of amounts is 25 times that of counts, up to the binomial's 1 − p."""
    arms = [np.r_[np.full(buyers, 25.0), np.zeros(n - buyers)] for buyers, n in ((12, 4_000), (1, 400))]
    low, high, p = mean_difference(*map(Mean.of, arms), amounts=True)
    expected = share_difference(12, 4_000, 1, 400)
    assert low / 25 == pytest.approx(expected[0], rel=0.02) and high / 25 == pytest.approx(expected[1], rel=0.05)
    assert p == pytest.approx(expected[2], abs=0.02)


def test_many_even_amounts_give_the_t_interval():
    """Without skewness the interval is mean ± t se."""
    draw = np.random.default_rng(0)
    one, zero = Mean.of(draw.normal(50, 10, 4_000)), Mean.of(draw.normal(49, 10, 4_000))
    low, high, _ = mean_difference(one, zero, amounts=True, df=7_998)
    half = stats.t.isf(0.025, 7_998) * np.sqrt(one.variance + zero.variance)
    assert (low + high) / 2 == pytest.approx(one.value - zero.value, abs=0.01)
    assert (high - low) / 2 == pytest.approx(half, rel=1e-3)


def test_the_unit_of_money_scales_the_interval():
    """Fen for yuan: a hundred times each end, the same p, in either branch."""
    draw = np.random.default_rng(1)
    for rate in (0.01, 0.9):
        arms = [draw.gamma(2, 10, n) * (draw.random(n) < rate) for n in (3_000, 400)]
        yuan = mean_difference(*map(Mean.of, arms), amounts=True)
        fen = mean_difference(*(Mean.of(100 * arm) for arm in arms), amounts=True)
        assert fen[0] == pytest.approx(100 * yuan[0], rel=1e-9) and fen[2] == pytest.approx(yuan[2], rel=1e-9)
        ratios = mean_ratio(*map(Mean.of, arms)), mean_ratio(*(Mean.of(100 * arm) for arm in arms))
        assert ratios[0] == pytest.approx(ratios[1], rel=1e-9, nan_ok=True)


def test_what_does_not_vary_has_no_interval():
    """Nothing bought by anybody says nothing; many groups are judged at once."""
    one, zero = Mean.of_sums([10, 10], [0, 30], [0, 100], [0, 400]), Mean.of_sums([10, 10], [0, 20], [0, 90], [0, 300])
    low, high, _p = mean_difference(one, zero, amounts=True)
    assert np.isnan([low[0], high[0]]).all() and np.isfinite([low[1], high[1]]).all()
    assert np.isnan(skewed(1.0, 0.0, 0.0)[0])


@pytest.mark.parametrize(
    ("ratio", "buyers", "heavy"), [(1, 10, False), (9, 10, False), (99, 10, False), (9, 20, True), (99, 5, True)]
)
def test_few_buyers_do_not_make_a_finding(ratio, buyers, heavy):
    """2% buy, `buyers` expected in control, no effect: a side errs 2.5% (1,500 campaigns, Monte-Carlo error 0.4)."""
    draw, n0 = np.random.default_rng(2), 50 * buyers
    sums = []
    for n in (n0 * ratio, n0):
        count = draw.binomial(n, 0.02, 1_500)
        spent = draw.lognormal(0, 1.2, count.sum()) if heavy else draw.gamma(2, 1, count.sum())
        of = np.repeat(np.arange(1_500), count)
        sums.append(Mean.of_sums(n, *(np.bincount(of, spent**k, 1_500) for k in (1, 2, 3))))
    low, high, _ = mean_difference(*sums, amounts=True)
    assert np.mean(low > 0) < 0.037 and np.mean(high < 0) < 0.037


@pytest.mark.parametrize(("p", "n"), [(0.9, 48), (0.5, 48)])
def test_a_share_of_a_sum_holds_where_few_owe_most(p, n):
    """Debts as uneven as accounts', lost whole: 95% of intervals hold the share, in units of any size (75% did)."""
    held = []
    for seed in range(1_000):
        rng = np.random.default_rng(seed)
        owed = np.exp(rng.normal(3, 1.5, n))
        lost = owed * (rng.random(n) < p)
        _, low, high = clusters.ratio(lost, owed, np.arange(n) % 30)
        held.append(low <= p <= high)
    assert clusters.ratio(1e6 * lost, 1e6 * owed, np.arange(n) % 30)[1:] == pytest.approx((low, high))
    assert 0.93 <= np.mean(held) <= 0.985


def test_a_share_of_a_sum_is_narrow_where_all_lose_the_same_part():
    """40 customers lose half each: 40 who lose all or nothing would leave 35 to 65% open."""
    low, high = clusters.ratio(np.full(40, 0.5), np.ones(40), np.arange(40))[1:]
    assert 0.47 < low < 0.5 < high < 0.53


def test_a_share_of_a_sum_sees_that_the_large_differ_more():
    """2,000 small customers lose half each, ten of twenty large ones all: it counts as some 3,000, not 13,000."""
    owed = np.r_[np.full(20, 10.0), np.ones(2_000)]
    lost = np.r_[np.repeat([10.0, 0.0], 10), np.full(2_000, 0.5)]
    low, high = clusters.ratio(lost, owed, np.arange(2_020))[1:]
    assert 0.03 < high - low < 0.045


def test_a_share_of_equal_parts_is_wilsons():
    """40 customers of one size, each lost whole or not at all: as the share of a count, exactly."""
    lost = np.r_[np.ones(30), np.zeros(10)]
    low, high = clusters.ratio(lost, np.ones(40), np.arange(40))[1:]
    assert (low, high) == pytest.approx(proportion_confint(30, 40, method="wilson"), abs=1e-9)
    assert clusters.ratio(np.ones(40), np.ones(40), np.arange(40))[1:] == pytest.approx(
        proportion_confint(40, 40, method="wilson"), abs=1e-9
    )
