"""Are errors of parts of a survey those of the whole design, and intervals honest where answers hardly vary?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.methods.intervals import skewed
from workbench.methods.regression import separated
from workbench.methods.survey import Design, gaps_of, joined, mean_intervals

# The data set `fpc` of R's package survey (Korn & Graubard's hypothetical sample): eight units in two strata.
STRATUM = np.array([1, 1, 1, 1, 1, 2, 2, 2])
UNIT = np.array([1, 2, 3, 4, 5, 1, 2, 3])
WEIGHT = np.array([3.0, 3, 3, 3, 3, 4, 4, 4])
X = np.array([2.8, 4.1, 6.8, 6.8, 9.2, 3.7, 6.6, 4.2])


def test_a_part_keeps_the_whole_design_as_in_r():
    """svymean of x above 4 in subset(svydesign(~psuid, ~stratid, ~weight)): 6.195, standard error .7555129."""
    mean = Design.of(WEIGHT, STRATUM, UNIT).mean(X, np.flatnonzero(X > 4))
    assert mean.estimate == pytest.approx(6.195)
    assert mean.se == pytest.approx(0.7555129, abs=5e-8)
    given_size = Design.of(WEIGHT, 2 * STRATUM + (X > 4), UNIT).mean(X, np.flatnonzero(X > 4))
    assert given_size.se == pytest.approx(0.7881782793)


def test_a_part_by_hand():
    """Zeros for the others, one stratum at a time: n/(n-1) of the squares about the stratum's mean."""
    part = X > 4
    mean = np.average(X[part], weights=WEIGHT[part])
    u = np.where(part, WEIGHT * (X - mean), 0) / WEIGHT[part].sum()
    variance = sum(len(v) / (len(v) - 1) * ((v - v.mean()) ** 2).sum() for v in (u[STRATUM == 1], u[STRATUM == 2]))
    found = Design.of(WEIGHT, STRATUM).mean(np.where(part, X, np.nan))
    assert found.se == pytest.approx(variance**0.5) and found.n == 6
    # 6 units, of which 4/5 + 2/3 degrees of freedom go to the strata's means
    assert found.df_units == pytest.approx(6 * (1 - (4 / 5 + 2 / 3) / 6))


def test_totals_and_ratios_by_hand():
    """A total of a part has zeros elsewhere; a ratio of x to itself has no error; a mean is a ratio to ones."""
    design, part = Design.of(WEIGHT, STRATUM), np.flatnonzero(X > 4)
    z = np.where(X > 4, WEIGHT * X, 0)
    total, error, df = design.total(X, part)
    variance = sum(len(v) / (len(v) - 1) * ((v - v.mean()) ** 2).sum() for v in (z[:5], z[5:]))
    assert (total, error, df) == pytest.approx((z.sum(), variance**0.5, 6))
    assert design.ratio(X, X)[:2] == pytest.approx((1, 0))
    assert design.ratio(X, np.ones(8), part)[:2] == pytest.approx((6.195, design.mean(X, part).se))


def test_clusters_are_the_units():
    """Two answers of each cluster count as its sum; one cluster alone has no interval."""
    y, cluster = np.array([1.0, 3, 5, 9]), np.array([7, 7, 8, 8])
    mean = Design.of(np.ones(4), cluster=cluster).mean(y)
    assert mean.se == pytest.approx(np.sqrt(2 * 2 * (10 / 4 / 2) ** 2)) and mean.df_units == 1
    alone = Design.of(np.ones(4), cluster=cluster).mean(y, np.array([0, 1]))
    assert alone.df == 0 and np.isnan(alone.interval("mean", 0.95, (0, 10))).all()
    none_late = Design.of(np.ones(300), cluster=np.repeat(np.arange(5), 60)).mean(np.zeros(300))
    assert none_late.n_effective == pytest.approx(5)  # customers, not cases
    low, high = none_late.interval("top", 0.95)
    assert low == 0 and high == pytest.approx(100 * 2.7764451**2 / (5 + 2.7764451**2))


def test_what_does_not_vary_has_what_number_and_scale_leave():
    """Of n answers, all 7 on 1 to 10, up to t²/(n + t²) of others may lie at either end."""
    mean = Design.of(np.ones(10)).mean(np.full(10, 7.0))
    share = 2.26215716**2 / (10 + 2.26215716**2)
    assert mean.se == 0 and mean.few
    assert mean.interval("mean", 0.95, (1, 10)) == pytest.approx((7 - 6 * share, 7 + 3 * share))
    assert np.isnan(mean.interval("mean", 0.95)).all()  # nothing bounds it
    two = Design.of(np.ones(40)).mean(np.r_[np.full(38, 10.0), 9, 9])
    low, high = two.interval("mean", 0.95, (1, 10))
    assert two.few and low < 10 - 9 * 0.05 and high <= 10


def test_intervals_follow_the_skewness():
    """Most at the ceiling: the lower arm is the longer; turned round, the mirror image."""
    y = np.r_[np.full(60, 10.0), np.arange(1, 11), np.full(30, 8.0)]
    low, high = Design.of(np.ones(100)).mean(y).interval("mean", 0.95, (1, 10))
    turned = Design.of(np.ones(100)).mean(11 - y).interval("mean", 0.95, (1, 10))
    assert y.mean() - low > high - y.mean()
    assert turned == pytest.approx((11 - high, 11 - low))


def test_a_small_cell_may_lack_the_rare_answers_of_its_longer_tail():
    """Twenty different answers near the ceiling: the lower end is that with a third of an answer 1 more, by hand."""
    y = np.r_[np.linspace(8.1, 9.9, 17), 5.0, 6.0, 7.0]
    mean, many = Design.of(np.ones(20)).mean(y), Design.of(np.ones(80)).mean(np.tile(y, 4))
    away, often = y - y.mean(), 0.5 * (1 - 20 / 60)
    assert 20 * mean.skewness**2 > 1  # half an answer in full, a third of it gone for 20 of 60 units
    lower = (20 * y.mean() + often * 1) / (20 + often)
    variance = (away @ away * 20 / 19 + often * (1 - lower) ** 2) / (20 + often) ** 2
    third = ((away**3).sum() * 400 / (19 * 18) + often * (1 - lower) ** 3) / (20 + often) ** 3
    by_hand = skewed(lower, variance**0.5, third / variance**1.5, df=19)[0]
    plain = skewed(mean.estimate, mean.se, mean.skewness, df=19)
    low, high = mean.interval("mean", 0.95, (1, 10))
    assert low == pytest.approx(by_hand) and low < plain[0] - 0.1
    assert high == pytest.approx(plain[1])  # the shorter side stays
    assert many.interval("mean", 0.95, (1, 10)) == pytest.approx(
        skewed(many.estimate, many.se, many.skewness, df=79)[:2]
    )  # and so does a cell of 60 or more


def test_light_answers_keep_students_interval():
    """Without skewness and with even weights the interval is estimate ± t · se."""
    y = np.tile([3.0, 4, 5, 6, 7], 8)
    mean = Design.of(np.ones(40)).mean(y)
    half = 2.0226909 * y.std(ddof=1) / np.sqrt(40)
    assert mean.interval("mean", 0.95, (1, 10)) == pytest.approx((5 - half, 5 + half))


def test_strata_of_one_unit_vary_with_the_others():
    """A lone unit is compared with the mean of all; resampling joins lone strata."""
    y = np.array([1.0, 3, 11, 13])
    lone = Design.of(np.ones(4), np.array([0, 0, 1, 2])).mean(y)
    assert lone.se == pytest.approx(np.sqrt(2 * 2 * 0.25**2 + 1 + 1.5**2))
    assert joined(np.array([5, 5, 5, 5]), np.array([1, 1, 2, 2])).tolist() == [5, 5, 5, 5]
    assert joined(np.array([1, 1, 2, 2]), np.array([1, 1, 2, 2])).tolist() == [1, 1, 1, 1]


@given(st.integers(0, 100_000))
def test_order_units_and_duplicates_change_nothing(seed):
    """Rows in another order, other codes, and strata written twice give the same mean and interval."""
    rng = np.random.default_rng(seed)
    y, w, h, c = (
        rng.integers(1, 11, 40).astype(float),
        rng.uniform(0.5, 2, 40),
        rng.integers(0, 3, 40),
        rng.integers(0, 9, 40),
    )
    order = rng.permutation(40)
    one = Design.of(w, h, c).mean(y)
    two = Design.of(5 * w[order], 10 - h[order], 100 * c[order]).mean(y[order])
    assert two.se == pytest.approx(one.se) and two.df == pytest.approx(one.df)
    assert two.interval("mean", 0.95, (1, 10)) == pytest.approx(one.interval("mean", 0.95, (1, 10)))
    ten = Design.of(w, h, c).mean(10 * y).interval("mean", 0.95, (10, 100))
    assert np.array(ten) == pytest.approx(10 * np.array(one.interval("mean", 0.95, (1, 10))))


@given(st.integers(0, 100_000))
def test_p_and_interval_of_a_gap_agree(seed):
    """p is below .05 if, and only if, zero lies outside; signs turn with the sides."""
    rng = np.random.default_rng(seed)
    one, two = (
        Design.of(np.ones(n)).mean(rng.choice([1.0, 5, 9, 10], n, p=rng.dirichlet(np.ones(4)))) for n in (20, 50)
    )
    ends = [np.column_stack(list(mean_intervals([m], 0.95, (1, 10)))) - m.estimate for m in (one, two)]
    gap, df = np.array([one.estimate - two.estimate]), np.array([[one.df, two.df]])
    low, high, p = gaps_of(gap, *ends, 0.0, df, 0.95)
    assert (p[0] < 0.05) == (low[0] > 0 or high[0] < 0) or abs(p[0] - 0.05) < 1e-9
    other_low, other_high, other = gaps_of(-gap, *ends[::-1], 0.0, df[:, ::-1], 0.95)
    assert (other_low[0], other_high[0], other[0]) == pytest.approx((-high[0], -low[0], p[0]))


def test_rows_that_tell_nothing_are_found():
    """A category without the outcome, two that only together tell, complete separation, and none."""
    rng = np.random.default_rng(0)
    group, score = rng.integers(0, 4, 400), rng.standard_normal(400)
    y = (rng.random(400) < 0.5).astype(int)
    y[group == 2] = 0
    x = np.column_stack([np.eye(4)[group], score])
    assert (separated(x, y) == (group == 2)).all()
    assert not separated(x[group != 2], y[group != 2]).any()
    assert separated(x, (score > 0).astype(int)).all()
    y[group == 3] = 1
    assert (separated(x, y) == np.isin(group, (2, 3))).all()
