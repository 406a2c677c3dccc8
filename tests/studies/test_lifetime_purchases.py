"""Buy-till-you-die, amounts, renewal: on CDNOW, by hand, by quadrature, in simulation, and what is refused."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.special import expit, gammaln, hyp2f1
from scipy.stats import beta as beta_law

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.btyd.likelihoods import PROCESSES
from workbench.methods.btyd.purchases import histories
from workbench.result import Refusal
from workbench.studies.lifetime_value import fit_btyd, fit_gamma_gamma, fit_sbg

TRUTH = {"bg_nbd": [0.6, 6.0, 0.8, 2.5], "mbg_nbd": [0.9, 6.0, 0.8, 2.5], "pareto_nbd": [0.8, 8.0, 0.8, 12.0]}


@pytest.fixture(scope="module")
def cdnow(shared_data):
    """CDNOW purchases with dates."""
    table = pd.read_csv(shared_data / "cdnow_sample.csv.gz")
    return table.assign(date=pd.to_datetime(table["date"].astype(str), format="%Y%m%d"))


def fitted(table, model, **choices):
    """CDNOW's calibration fit."""
    given = {"customer": "sample_id", "when": "date", "unit": "week", "until": "1997-09-30"} | choices
    return fit_btyd(table, model=model, **given)


def bought(model, count, rng, days=364):
    """Purchases, as a table, of customers who leave as the model says; all join in the first quarter."""
    r, alpha, third, fourth = TRUTH[model]
    rate = rng.gamma(r, 1 / (7 * alpha), count)
    first = rng.integers(0, 90, count)
    if model == "pareto_nbd":
        end = rng.exponential(1 / (rng.gamma(third, 1 / (7 * fourth), count)))
        purchases = np.full(count, 10**9)
    else:
        end = np.full(count, np.inf)
        purchases = rng.geometric(rng.beta(third, fourth, count)) - (model == "mbg_nbd")
    who, when = [], []
    for i in range(count):
        gaps = rng.exponential(1 / rate[i], min(int(purchases[i]), rng.poisson(rate[i] * 4 * days) + 20))
        at = np.append(0, np.cumsum(gaps))
        at = at[(at <= end[i]) & (at + first[i] < days)]
        who += [i] * len(at)
        when += list(first[i] + at)
    on = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.array(when), unit="D").floor("s")
    return pd.DataFrame({"who": who, "on": on})


@pytest.mark.parametrize(
    ("model", "params", "loglik", "next_39_weeks"),
    [
        ("bg_nbd", [0.2426, 4.4135, 0.7929, 2.4258], -9582.43, 1653),
        ("mbg_nbd", [0.5248, 6.1831, 0.8914, 1.6140], None, None),
        ("pareto_nbd", [0.5533, 10.577, 0.6064, 11.673], -9594.97, 1666),
    ],
)
def test_cdnow_as_published(cdnow, model, params, loglik, next_39_weeks):
    """Parameters, log-likelihood and expected repeats of CDNOW are the published ones; the actual ones are 1,882."""
    fit = fitted(cdnow, model)
    assert fit.params["estimate"].tolist() == pytest.approx(params, rel=1e-3)
    assert ((fit.params["low"] < fit.params["estimate"]) & (fit.params["estimate"] < fit.params["high"])).all()
    later = fit.holdout(cdnow, until="1998-06-30")
    assert later.table.loc[0, "actual"] == 1882 and later.periods == 39
    assert fit.expected(39)["expected"].sum() == pytest.approx(fit.total(39)[0])
    if loglik:
        assert fit.fit.loglik == pytest.approx(loglik, abs=0.01)
        assert round(fit.total(39)[0]) == next_39_weeks
    assert f"{later.table.loc[0, 'expected']:,.0f}" in later.headline()


def test_cdnow_amounts(cdnow):
    """Gamma-Gamma on CDNOW's 946 repeaters has the published parameters; days without an amount are counted."""
    fit = fit_gamma_gamma(cdnow, customer="sample_id", when="date", amount="amount", until="1997-09-30")
    assert fit.params["estimate"].tolist() == pytest.approx([6.249, 3.745, 15.448], rel=1e-3)
    assert (fit.customers["repeats"] > 0).sum() == 946
    assert fit.set_aside["days without a positive amount"] > 0
    assert fit.customers["expected"].between(*np.sort(fit.customers[["low", "high"]].to_numpy().T, axis=0)).all()


@pytest.mark.parametrize(
    ("survivors", "alpha", "beta"),
    [
        ([1000, 869, 743, 653, 593, 551, 517, 491], 0.668, 3.806),
        ([1000, 631, 468, 382, 326, 289, 262, 241], 0.704, 1.182),
    ],
)
def test_sbg_as_published(survivors, alpha, beta):
    """Fader and Hardie's high-end and regular customers."""
    there = np.array(survivors)
    table = pd.DataFrame({"year": range(1, 8), "there": there[:-1], "gone": -np.diff(there)})
    fit = fit_sbg(table, period="year", at_risk="there", left="gone")
    assert fit.params["estimate"].tolist() == pytest.approx([alpha, beta], rel=1e-3)
    assert fit.surviving(7)[-1] == pytest.approx(there[-1] / 1000, abs=0.02)


def test_histories_by_hand():
    """Two purchases of a day are one; refunds cancel a day; what lies after the last day is counted."""
    days = ["2026-01-01", "2026-01-01", "2026-01-08", "2026-01-15", "2026-01-15", "2026-02-01", "2026-01-03"]
    table = pd.DataFrame({"who": list("aaaaaab"), "on": pd.to_datetime(days), "yuan": [5, 1, 4.0, 3, -3, 9, 0]})
    found = histories(table, customer="who", when="on", amount="yuan", until="2026-01-31")
    assert (found.ids.tolist(), found.x.tolist(), found.t_x.tolist(), found.T.tolist()) == (["a"], [1], [7], [30])
    assert found.mean_amount.tolist() == [4.0]
    assert list(found.set_aside.values()) == [1, 2, 2, 1]


@pytest.mark.parametrize("model", PROCESSES)
@pytest.mark.parametrize("theta", [[0.5, 8, 0.7, 3.0], [2.0, 0.3, 1.6, 0.4], [0.2, 30, 5, 40.0]])
def test_score_is_the_slope(model, theta):
    """The analytic score equals central differences, for short and long histories."""
    at = [np.array(v, dtype=float) for v in ([0, 1, 4, 30, 300], [0, 1, 20, 30, 900], [39, 39, 30, 30.01, 4000])]
    theta = np.log(theta)
    _, score, _ = PROCESSES[model].likelihood(theta, *at)
    for i, step in enumerate(1e-5 * np.eye(4)):
        up, down = (PROCESSES[model].likelihood(theta + s * step, *at)[0] for s in (1, -1))
        assert score[i] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("theta", [[0.55, 10.6, 0.61, 11.7], [2, 3, 1.5, 20], [0.4, 15, 2, 1.5], [1.2, 9, 0.8, 9.0]])
def test_pareto_is_the_hypergeometric_form(theta):
    """The quadrature gives what the published closed form with two hypergeometric functions gives."""
    r, alpha, s, beta = theta
    x, t, T = (np.array(v, dtype=float) for v in ([0, 1, 3, 8, 12], [0, 3, 20, 30, 52], [39, 39, 30, 52, 104]))
    n, most = r + x + s, max(alpha, beta)
    second = s + 1 if alpha >= beta else r + x

    def part(u):
        return hyp2f1(n, second, n + 1, abs(alpha - beta) / (most + u)) / (most + u) ** n

    rest = (alpha + T) ** -(r + x) * (beta + T) ** -s + s / n * (part(t) - part(T))
    expected = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta) + np.log(rest)
    value, _, odds = PROCESSES["pareto_nbd"].likelihood(np.log(theta), x, t, T)
    assert value == pytest.approx(expected, abs=1e-8)
    assert expit(odds) == pytest.approx((alpha + T) ** -(r + x) * (beta + T) ** -s / rest, rel=1e-7)


@pytest.mark.parametrize("model", ["bg_nbd", "mbg_nbd"])
@pytest.mark.parametrize("a", [0.8, 1.0, 1.0 + 1e-7, 3.0])
def test_expectation_is_the_mean_over_customers(model, a):
    """The closed form equals the integral over the share leaving, also at its pole a = 1 and for long times."""
    r, alpha, b = 0.5, 5.0, 2.4
    for x, T, t in ((0.0, 39.0, 39.0), (3.0, 39.0, 5_000.0), (80.0, 300.0, 100.0)):
        law = beta_law(a, b + x + (model == "mbg_nbd"))
        mean = quad(lambda u: (1 - (1 + u * t / (alpha + T)) ** -(r + x)) / u * law.pdf(u), 0, 1, limit=500)[0]  # noqa: B023
        found = PROCESSES[model].expected(np.log([r, alpha, a, b]), np.array([x]), np.array([T]), t)
        assert found[0] == pytest.approx(mean, rel=1e-6)


def test_long_histories_stay_finite():
    """A thousand purchases and ten thousand days give finite likelihoods, probabilities and expectations."""
    at = [np.array(v, dtype=float) for v in ([0, 1000, 1000], [0, 10_000, 10], [10_000, 10_000, 10_000])]
    for process in PROCESSES.values():
        value, score, odds = process.likelihood(np.log([0.5, 8, 0.7, 3.0]), *at)
        assert np.isfinite(value).all() and np.isfinite(score).all()
        assert expit(odds)[2] < 1e-6 < expit(odds)[1]
        assert np.isfinite(process.expected(np.log([0.5, 8, 0.7, 3.0]), at[0], at[2], 1e4)).all()


@pytest.mark.parametrize("model", PROCESSES)
def test_truth_is_found(model):
    """Parameters lie within their intervals' reach of the truth; drawn futures have the expected mean."""
    table = bought(model, 4_000, np.random.default_rng(3))
    fit = fit_btyd(table, customer="who", when="on", model=model, unit="week", until="2025-12-30")
    error = np.sqrt(np.diag(fit.fit.covariance))
    assert np.abs((fit.fit.theta - np.log(TRUTH[model])) / error).max() < 4
    process, rng = PROCESSES[model], np.random.default_rng(0)
    x, T = np.full(200_000, 4.0), np.full(200_000, 30.0)
    drawn = process.draw(fit.fit.theta, x, T, 20.0, rng)
    mean = process.expected(fit.fit.theta, x[:1], T[:1], 20.0)[0]
    assert drawn.mean() == pytest.approx(mean, abs=4 * drawn.std() / np.sqrt(len(x)))


def test_order_and_unit_do_not_matter():
    """Shuffled rows give the same fit; days instead of weeks scale alpha by seven and nothing else."""
    table = bought("mbg_nbd", 800, np.random.default_rng(1))
    choices = {"customer": "who", "when": "on", "until": "2025-12-30"}
    weeks = fit_btyd(table, unit="week", **choices)
    again = fit_btyd(table.sample(frac=1, random_state=0), unit="week", **choices)
    assert (weeks.fit.theta == again.fit.theta).all() and weeks.customers.equals(again.customers)
    days = fit_btyd(table, unit="day", **choices)
    assert days.params["estimate"].to_numpy() == pytest.approx(
        weeks.params["estimate"].to_numpy() * [1, 7, 1, 1], rel=1e-5
    )
    assert days.total(70)[0] == pytest.approx(weeks.total(10)[0], rel=1e-6)


def test_answers_in_three_voices():
    """Headline, table, picture and named quantities agree; BG/NBD warns of its one-time buyers."""
    import matplotlib.pyplot as plt

    table = bought("bg_nbd", 600, np.random.default_rng(2))
    fit = fit_btyd(table, customer="who", when="on", model="bg_nbd", unit="week", until="2025-11-30")
    assert "take mbg_nbd" in fit.headline() and f"{fit.active()[0]:,.0f}" in fit.headline()
    assert (fit.p_alive()["p_alive"][fit.customers["repeats"] == 0] == 1).all()
    assert {q.name for q in fit.quantities()} >= {"btyd[model=bg_nbd,parameter=alpha]", "btyd_active[model=bg_nbd]"}
    held, chances = fit.holdout(table, until="2025-12-30"), fit.by_chance(10).frame
    assert chances["customers"].sum() == len(fit.customers)
    assert chances["expected"].sum() == pytest.approx(fit.total(10)[0])
    sure = (fit.p_alive()["p_alive"] > 0.8).sum()
    assert chances["customers"].iloc[-1] == sure and chances["still there"].iloc[-1] == "80% to 100%"
    amounts = table.assign(yuan=np.random.default_rng(3).gamma(2.0, 5 + table["who"] % 7))
    spend = fit_gamma_gamma(amounts, customer="who", when="on", amount="yuan", until="2025-11-30")
    most, gone = fit.decision(spend).do
    assert f"{fit.total(round(fit.customers['seen'].max()))[0]:,.0f} purchases" in fit.headline()
    assert "at most what they will bring" in most and "yuan" in most and most.endswith("a purchase.")
    assert "another model" in gone and "yuan" not in fit.decision(Refusal("x")).do[0]
    assert len(fit.summary()) and held.plot().get_xlabel() == "expected"
    _, ax = plt.subplots()
    assert fit.plot(ax) is ax and "week" in ax.get_xlabel() + ax.get_ylabel()
    plt.close("all")


def visits(repeats=40, **columns):
    """Customers who came twice, a month apart, as a table."""
    first = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(repeats) % 28, unit="D")
    table = pd.DataFrame({"who": np.repeat(range(repeats), 2), "on": np.repeat(first, 2)})
    table.loc[1::2, "on"] += pd.Timedelta(days=30)
    return table.assign(**columns)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"unit": "weeks"}, "Did you mean 'week'"),
        ({"model": "bgnbd"}, "Did you mean 'bg_nbd'"),
        ({"unit": "month"}, "at least 4 are needed. Take a smaller unit"),
        ({"until": "2025-12-31"}, "no purchase lies on or before 2025-12-31: the first is of 2026-01-01"),
        ({"until": "2026-01-01 10:00"}, "until is a day"),
        ({"until": "2026-01-20"}, "only 0 of 32 customers bought again"),
        ({"when": "who"}, "give days as dates, or as text like"),
        ({"amount": "yuan"}, "'yuan' is missing in 1 of 80 rows"),
        ({"customer": "whom"}, "Did you mean 'who'"),
    ],
)
def test_purchases_refused(choices, words):
    """Units, models, days and columns that cannot be are refused, and so is a time too short for the unit."""
    table = visits(yuan=[np.nan] + [1.0] * 79)
    given = {"customer": "who", "when": "on", "unit": "day", "until": "2026-03-01"}
    with pytest.raises(WorkbenchError, match=words):
        fit_btyd(table, **(given | choices))


def test_unit_is_asked_for():
    """Without a unit there is no fit; an expectation far beyond what was observed asks for the unit meant."""
    with pytest.raises(TypeError, match="unit"):
        fit_btyd(visits(), customer="who", when="on", until="2026-03-01")
    table = bought("mbg_nbd", 500, np.random.default_rng(4))
    fit = fit_btyd(table, customer="who", when="on", unit="month", until="2025-12-30")
    with pytest.raises(CannotAnswer, match="was another unit meant"):
        fit.expected(52)
    with pytest.raises(WorkbenchError, match="positive number of months"):
        fit.total(-1)
    with pytest.raises(WorkbenchError, match="ends after"):
        fit.holdout(table, until="2025-06-30")


def test_one_customer_and_nobody_leaving():
    """One customer, or customers none of whom varies, tell no model."""
    one = pd.DataFrame({"who": 1, "on": pd.date_range("2026-01-01", periods=30)})
    with pytest.raises(CannotAnswer, match="only 1 of 1 customers"):
        fit_btyd(one, customer="who", when="on", unit="day", until="2026-02-28")
    with pytest.raises(CannotAnswer, match="no maximum inside"):
        fit_btyd(visits(), customer="who", when="on", unit="day", until="2026-03-01")
    with pytest.raises(CannotAnswer, match="Gamma-Gamma"):
        fit_gamma_gamma(visits(yuan=5.0), customer="who", when="on", amount="yuan", until="2026-03-01")
    with pytest.raises(CannotAnswer, match="nothing was bought"):
        fit_gamma_gamma(visits(yuan=-5.0), customer="who", when="on", amount="yuan", until="2026-03-01")


def test_periods_refused():
    """Renewals that cannot be counted, or that hold no mixture, are refused."""
    good = pd.DataFrame({"t": [1, 2, 3], "n": [100, 60, 50], "d": [40, 10, 4]})
    for change, words in (
        ({"t": [0, 1, 2]}, "count 1, 2"),
        ({"d": [101, 1, 1]}, "not more than were at risk"),
        ({"d": 0}, "0 of 210 left"),
        ({"d": [10, 20, 30]}, "no maximum inside"),
    ):
        with pytest.raises(WorkbenchError, match=words):
            fit_sbg(good.assign(**change), period="t", at_risk="n", left="d")


@pytest.mark.prove
@pytest.mark.parametrize("model", PROCESSES)
def test_holdout_intervals_cover(model):
    """What happens in the holdout lies within the 95 % interval 93-97 % of the time (up to simulation error)."""
    hits, runs = 0, 150
    rng = np.random.default_rng(7)
    for _ in range(runs):
        table = bought(model, 1_000, rng, days=546)
        fit = fit_btyd(table, customer="who", when="on", model=model, unit="week", until="2025-12-30")
        row = fit.holdout(table, until="2026-06-30", rng=rng).table.iloc[0]
        hits += row["low"] <= row["actual"] <= row["high"]
    assert abs(hits / runs - 0.95) < 0.02 + 2 * np.sqrt(0.95 * 0.05 / runs), hits / runs


def renewals(count, rng, periods=8):
    """Who left in each period of those who joined together, each with a chance a period from Beta(1, 3)."""
    ends = rng.geometric(rng.beta(1, 3, count))
    there = np.array([(ends >= t).sum() for t in range(1, periods + 2)])
    return pd.DataFrame({"t": range(1, periods + 1), "n": there[:-1], "d": -np.diff(there)})


def paid(count, rng):
    """Days bought on and what was spent, as Gamma-Gamma with p = 6, q = 4, v = 15 says."""
    days = 2 + rng.poisson(2, count)
    who = np.repeat(np.arange(count), days)
    on = pd.Timestamp("2025-01-01") + pd.to_timedelta(
        np.arange(len(who)) - np.repeat(np.cumsum(days) - days, days), "D"
    )
    scale = rng.gamma(4, 1 / 15, count)
    return pd.DataFrame({"who": who, "on": on, "yuan": rng.gamma(6, 1 / scale[who])})


def drawn_and_fitted(model, count, rng):
    """One sample: what was estimated, and the truth."""
    if model == "sbg":
        return fit_sbg(renewals(count, rng), period="t", at_risk="n", left="d").params, [1.0, 3.0]
    if model == "gamma_gamma":
        table, known = paid(count, rng), {"customer": "who", "when": "on", "amount": "yuan", "until": "2025-12-30"}
        return fit_gamma_gamma(table, **known).params, [6.0, 4.0, 15.0]
    table, start, slower = bought(model, count, rng), pd.Timestamp("2025-01-01"), 20
    table["on"] = start + slower * (table["on"] - start)  # so slow that hardly two purchases fall on one day
    until = start + pd.Timedelta(days=364 * slower - 1)
    fit = fit_btyd(table, customer="who", when="on", unit="week", until=until, model=model)
    times = [1, slower, 1, slower if model == "pareto_nbd" else 1]
    return fit.params, np.multiply(TRUTH[model], times)


@pytest.mark.prove
@pytest.mark.parametrize("model", [*PROCESSES, "gamma_gamma", "sbg"])
def test_parameter_intervals_cover(model):
    """Each parameter's 95 % interval holds the truth in 93-97 % of 400 samples of 1,500 (up to simulation error)."""
    rng, runs = np.random.default_rng(21), 400
    inside = []
    for _ in range(runs):
        params, truth = drawn_and_fitted(model, 1_500, rng)
        inside.append(params["low"].le(truth) & params["high"].ge(truth))
    share = pd.DataFrame(inside).mean()
    print(model, share.round(4).to_dict())
    assert (share.sub(0.95).abs() < 0.02 + np.sqrt(0.95 * 0.05 / runs)).all(), share.to_dict()


def test_refunds_are_taken_off_what_was_bought_before():
    """Paid 10, 4, 20 and back 6 on a later day, then 30: the 6 take the 4 and 2 of the 10; another's 5 are too many."""
    days = pd.to_datetime(["2026-01-01", "2026-01-05", "2026-01-08", "2026-01-10", "2026-01-02", "2026-01-03"])
    table = pd.DataFrame({"who": [*"aaaabb"], "on": days, "yuan": [10.0, 4, -6, 20, 3, -5]})
    found = histories(table, customer="who", when="on", amount="yuan", until="2026-01-31")
    assert found.ids.tolist() == ["a"] and found.x.tolist() == [1] and found.t_x.tolist() == [9]
    assert found.mean_amount.tolist() == [20.0] and found.set_aside["customers without a purchase"] == 1
    assert found.set_aside["refund days, taken off earlier purchases"] == 2
    assert found.set_aside["purchase days refunded whole"] == 2
    assert found.set_aside["refund days of more than was bought before"] == 1
    half = pd.concat([table.iloc[[0, 1, 3]], pd.DataFrame({"who": ["a"], "on": days[3:4], "yuan": [-5.0]})])
    assert histories(half, customer="who", when="on", amount="yuan", until="2026-01-31").mean_amount.tolist() == [9.5]


def test_money_paid_back_later_is_not_brought():
    """Half of every amount paid back two days later halves what a purchase brings; the headline says so."""
    table = paid(300, np.random.default_rng(5))
    table["on"] = pd.Timestamp("2020-01-01") + 3 * (table["on"] - pd.Timestamp("2025-01-01"))
    back = table.assign(on=table["on"] + pd.Timedelta(days=2), yuan=-table["yuan"] / 2)
    asked = {"customer": "who", "when": "on", "amount": "yuan", "until": "2035-12-31"}
    whole, half = (fit_gamma_gamma(rows, **asked) for rows in (table, pd.concat([back, table])))
    assert half.mean == pytest.approx(np.array(whole.mean) / 2, rel=1e-3)
    assert "Refunds of" in half.headline() and "Refunds" not in whole.headline()


def test_placeholder_days_are_left_out_and_said():
    """One purchase of 1900 changes nothing and is counted; more than a twentieth are refused."""
    table = bought("mbg_nbd", 500, np.random.default_rng(4))
    asked = {"customer": "who", "when": "on", "unit": "week", "until": "2025-12-30"}
    spoiled = pd.concat([table, pd.DataFrame({"who": [3], "on": [pd.Timestamp("1900-01-01")]})])
    right, found = fit_btyd(table, **asked), fit_btyd(spoiled, **asked)
    assert (found.fit.theta == right.fit.theta).all() and found.set_aside["'on' a placeholder, not a day"] == 1
    assert "placeholder like 1900-01-01: 1." in found.headline()
    many = table.assign(on=table["on"].where(np.arange(len(table)) % 10 > 0, pd.Timestamp("1970-01-01")))
    with pytest.raises(CannotAnswer, match="more than 5%: too many to leave out"):
        fit_btyd(many, **asked)


@pytest.mark.parametrize("text", ["01/07/2026", "31/12/2025", 20260701, "1900-01-01"])
def test_a_last_day_that_is_no_iso_day_is_refused(text):
    """A text that is a day in two ways, a number or a placeholder is no last day."""
    with pytest.raises(WorkbenchError, match="until is"):
        fit_btyd(visits(), customer="who", when="on", unit="day", until=text)


def test_columns_of_any_type_give_one_answer():
    """Text days, days with a zone, amounts as Decimal, Arrow or nullable numbers, ids as text: the same fit."""
    table = paid(300, np.random.default_rng(5)).round({"yuan": 2})
    asked = {"customer": "who", "when": "on", "amount": "yuan", "until": "2035-12-31"}
    right = fit_gamma_gamma(table, **asked)
    others = (
        {"on": table["on"].dt.strftime("%Y-%m-%d")},
        {"on": table["on"].dt.tz_localize("Asia/Shanghai")},
        {"on": table["on"].dt.date},
        {"yuan": table["yuan"].map(lambda v: Decimal(str(v)))},
        {"yuan": table["yuan"].astype("double[pyarrow]"), "who": table["who"].astype("Int64")},
        {"who": table["who"].map("{:05d}".format)},
    )
    for other in others:
        found = fit_gamma_gamma(table.assign(**other).sample(frac=1, random_state=1), **asked)
        assert found.mean == pytest.approx(right.mean, rel=1e-9)


def test_few_who_came_back_have_no_interval_of_parameters():
    """Below 500 repeaters the headline says why; no table, number or sentence holds an interval that does not hold."""
    few = fit_btyd(
        bought("mbg_nbd", 500, np.random.default_rng(4)), customer="who", when="on", unit="week", until="2025-12-30"
    )
    assert few.params[["low", "high"]].isna().all(axis=None) and "has no interval, as only" in few.headline()
    assert "nan" not in few.headline() and np.isfinite(few.total(20)).all()
    assert all(q.low is None for q in few.quantities()) and few.p_alive()["low"].isna().all()
