"""Contractual lifetime value: by hand, against a known hazard, under left truncation, coverage, and what is refused."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.survfunc import SurvfuncRight

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.lifetime_value import lifetime_value

AS_OF = pd.Timestamp("2026-01-01")
MONTH = 365.25 / 12
CHOICES = {"started": "on", "left": "off", "margin": 10.0, "horizon": 24, "discount": 0.08, "as_of": AS_OF}


def surviving(days):
    """A falling hazard: Weibull of shape 0.7 and scale 900 days."""
    return np.exp(-((days / 900) ** 0.7))


def contracts(count, rng, *, years=8, window=2):
    """Contracts as a warehouse has them: who left before the last `window` years is not in it."""
    start = AS_OF - pd.to_timedelta(rng.integers(1, int(years * 365), count), unit="D")
    last = start + pd.to_timedelta(np.ceil(900 * rng.weibull(0.7, count)) - 1, unit="D")
    since = AS_OF - pd.DateOffset(years=window)
    table = pd.DataFrame({"on": start, "off": last.where(last < AS_OF)})
    return table[~(table["off"] < since)].reset_index(drop=True), since


def true_value(table, horizon=24, margin=10.0):
    """What those present are worth under the hazard they were drawn with."""
    tenure = (AS_OF - table.loc[table["off"].isna(), "on"]).dt.days.to_numpy()
    month = np.arange(1, horizon + 1)
    stay = surviving(tenure[:, None] + np.round(month * MONTH)) / surviving(tenure)[:, None]
    return (margin * stay * 1.08 ** (-month / 12)).sum()


def test_by_hand():
    """Of 40, ten leave on their 20th day and ten on their 50th: a new customer stays .75 + .50 of two months."""
    start = pd.Timestamp("2025-01-01")
    off = [start + pd.Timedelta(days=days) for days in [19] * 10 + [49] * 10] + [pd.NaT] * 20
    table = pd.DataFrame({"on": [start] * 40, "off": off})
    table.loc[40] = [AS_OF, pd.NaT]
    table.loc[41] = [AS_OF - pd.Timedelta(days=1), pd.NaT]
    result = lifetime_value(
        table, **CHOICES | {"horizon": 2, "discount": 0.0, "since": None}, resamples=0, most_uncounted=1
    )
    newest = result.customers.loc[41]
    assert newest[["months", "value"]].tolist() == pytest.approx([0.75 + 0.5, 12.5])
    assert result.customers.loc[39, "months"] == 0 and result.uncounted == pytest.approx(20 / 21)
    assert result.set_aside["began on or after as_of"] == 1
    yearly = lifetime_value(
        table, **CHOICES | {"horizon": 2, "discount": 0.21, "since": None}, resamples=0, most_uncounted=1
    )
    assert yearly.customers.loc[41, "value"] == pytest.approx(7.5 * 1.21 ** (-1 / 12) + 5 * 1.21 ** (-2 / 12))


def test_curve_is_kaplan_meier():
    """The curve equals the left-truncated Kaplan-Meier estimator of another program."""
    table, since = contracts(3_000, np.random.default_rng(0))
    result = lifetime_value(table, **CHOICES, since=since, resamples=0)
    alive = table["off"].isna()
    exit_day = ((table["off"] + pd.Timedelta(days=1)).fillna(AS_OF) - table["on"]).dt.days
    entry = np.maximum((since - table["on"]).dt.days, 0)
    peer = SurvfuncRight(exit_day.to_numpy(), (~alive).astype(int).to_numpy(), entry=entry.to_numpy())
    ours = result.curve.set_index("day")["surviving"]
    shared = [d for d in peer.surv_times if d in ours.index]
    assert len(shared) > 300
    assert ours[shared].to_numpy() == pytest.approx(peer.surv_prob[np.isin(peer.surv_times, shared)], rel=1e-9)


def test_left_truncation_matters():
    """With the day records began the truth is met; without it, the first departure on record gives it away."""
    table, since = contracts(20_000, np.random.default_rng(5))
    young = table[table["on"] > AS_OF - pd.DateOffset(years=5)].reset_index(drop=True)
    truth = true_value(young)
    choices = CHOICES | {"extrapolate": "sbg", "resamples": 100}
    right = lifetime_value(young, **choices, since=since)
    row = right.table.iloc[0]
    error = (row["high"] - row["low"]) / 3.92
    assert abs(row["value"] - truth) < 4 * error
    for early in (None, "2022-01-01"):
        with pytest.raises(WorkbenchError, match=r"departures on record begin on 2024-01-01.* Give since='2024-01-01'"):
            lifetime_value(young, **choices, since=early)
    with pytest.raises(WorkbenchError, match=r"nothing was observed from 2030-07-01.* Give since='2024-01-0\d'"):
        lifetime_value(young, **choices, since="2030-07-01")


def test_beyond_what_was_observed():
    """Without extrapolation later months count as nothing and the headline says so; sBG comes near the truth."""
    table, since = contracts(10_000, np.random.default_rng(6))
    least = lifetime_value(table, **CHOICES, since=since, resamples=20)
    carried = lifetime_value(table, **CHOICES, since=since, resamples=20, extrapolate="sbg")
    assert least.uncounted > 0.05
    assert "the value is at least this, and the interval leaves them out" in least.headline()
    assert "carried on by sBG" in carried.headline()
    assert least.table.loc[0, "value"] < carried.table.loc[0, "value"]
    assert carried.table.loc[0, "value"] == pytest.approx(true_value(table), rel=0.05)


def test_groups_order_and_voices():
    """Groups have their own curve, rows may come in any order, and the voices agree."""
    import matplotlib.pyplot as plt

    rng = np.random.default_rng(8)
    table, since = contracts(3_000, rng)
    table = table.assign(kind=rng.choice(["fixed", "mobile"], len(table)), margin=rng.normal(10, 6, len(table)))
    choices = CHOICES | {"margin": "margin", "within": "kind", "resamples": 30, "since": since}
    result = lifetime_value(table, **choices)
    again = lifetime_value(table.sample(frac=1, random_state=1), **choices)
    pd.testing.assert_frame_equal(result.customers, again.customers.sort_index())
    assert result.curve["group"].unique().tolist() == ["fixed", "mobile"]
    assert result.table["contracts"].iloc[1:].sum() == len(result.customers) == result.table.loc[0, "contracts"]
    assert result.table["value"].iloc[1:].sum() == pytest.approx(result.table.loc[0, "value"])
    assert result.set_aside["present customers with a negative margin"] == (result.customers["margin"] < 0).sum() > 0
    assert f"{(result.customers['margin'] < 0).sum():,} contracts have a margin below 0" in result.headline()
    ends = result.customers[["low", "high"]].dropna()
    assert (ends["low"] <= ends["high"]).all() and len(ends) > 0.7 * len(result.customers)
    assert f"{result.table.loc[0, 'value']:,.0f}" in result.headline()
    names = [q.name for q in result.quantities()]
    assert names == ["lifetime_value[months=24]", "lifetime_value_per_contract[months=24]", "months_to_come[months=24]"]
    figure, ax = plt.subplots()
    assert result.plot(ax) is ax and "tenure" in ax.get_xlabel()
    plt.close(figure)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"discount": -0.05}, "rate a year from 0"),
        ({"discount": 8}, "0.08 for 8 %"),
        ({"horizon": 0}, "horizon counts months"),
        ({"horizon": 1095}, "horizon counts months"),
        ({"extrapolate": "linear"}, "no extrapolation 'linear'"),
        ({"margin": "yuan"}, "'yuan' is missing in 1 of 126 rows"),
        ({"margin": "marge"}, "lacks 'marge'"),
        ({"as_of": "2010-01-01", "since": "2012-01-01"}, "nothing was observed"),
        ({"started": "off"}, "missing values in 'off'"),
        ({"started": "off2"}, r"'off' lies before 'off2' in .* too many to leave out"),
        ({"left": "yuan"}, "give days as dates, or as text like"),
    ],
)
def test_contracts_refused(choices, words):
    """Rates, months, dates and margins that cannot be are refused with their count."""
    table, since = contracts(400, np.random.default_rng(0))
    present = table["off"].isna().to_numpy().argmax()
    table = table.assign(yuan=1.0, off2=table["off"].fillna(AS_OF) + pd.Timedelta(days=1))
    table.loc[present, "yuan"] = np.nan
    with pytest.raises(WorkbenchError, match=words):
        lifetime_value(table, **CHOICES | {"since": since} | choices)


def test_nobody_or_nothing():
    """Nobody present, or hardly anybody who left, is no ground for a value; `since` is asked for."""
    table, since = contracts(300, np.random.default_rng(0))
    with pytest.raises(CannotAnswer, match="nobody is a customer"):
        lifetime_value(table.dropna(), **CHOICES, since=since)
    with pytest.raises(CannotAnswer, match="not answerable: 0 departures"):
        lifetime_value(table[table["off"].isna()], **CHOICES, since=since)
    with pytest.raises(TypeError, match="since"):
        lifetime_value(table, **CHOICES)


def by_month(ends, start="2024-01-01"):
    """Contracts that all began on the first of one month and left in the n-th month, on its last or first day."""
    begin = pd.Timestamp(start)
    month = [begin + pd.DateOffset(months=n - 1) for n in ends]
    return pd.DataFrame({"on": begin, "off": month})


@pytest.mark.parametrize("day", ["first", "last"])
def test_departures_known_by_month_have_hazards_by_month(day):
    """Of 100, 10, 9 and 9 leave in months 1, 2 and 3: a newcomer stays .9 + .81 + .72, whatever the months' lengths."""
    left = by_month([1] * 10 + [2] * 9 + [3] * 9)["off"]
    left = left if day == "first" else left + pd.offsets.MonthEnd()
    table = pd.DataFrame({"on": pd.Timestamp("2024-01-01"), "off": [*left, *[pd.NaT] * 72]})
    table.loc[100] = [pd.Timestamp("2024-03-31"), pd.NaT]
    asked = CHOICES | {"horizon": 3, "discount": 0.0, "since": None, "as_of": "2024-05-01", "resamples": 0}
    table.loc[101] = [pd.Timestamp("2024-04-01"), pd.NaT]
    found = lifetime_value(table, **asked, most_uncounted=1)
    assert found.step == "month" and "known by month only" in found.headline()
    newest = found.customers.loc[101]
    assert newest["tenure_months"] == 1 and found.set_aside["began on or after as_of"] == 0
    hazard = [10 / 102, 9 / 91, 9 / 81]  # the two newcomers are at risk in their first month, one in its second
    assert (found.curve["at_risk"].tolist()[:3], found.curve["left"].tolist()[:3]) == ([102, 91, 81], [10, 9, 9])
    assert newest["months"] == pytest.approx(np.cumprod(1 - np.array([hazard[1], hazard[2], 0.0])).sum())
    daily = lifetime_value(table, **asked, most_uncounted=1, step="day")
    assert daily.step == "day" and daily.customers.loc[101, "months"] != pytest.approx(newest["months"], rel=1e-3)


def test_months_tell_what_days_would():
    """Dates cut to the month give nearly the value of the dates, in any order of the rows."""
    rng = np.random.default_rng(3)
    table, since = contracts(20_000, rng)
    cut = table.apply(lambda days: days.dt.to_period("M").dt.to_timestamp())
    choices = CHOICES | {"resamples": 50, "since": since}
    right, months = (lifetime_value(rows, **choices).table.loc[0] for rows in (table, cut))
    assert months["low"] - 0.01 * right["value"] < right["value"] < months["high"] + 0.01 * right["value"]
    shuffled = lifetime_value(cut.sample(frac=1, random_state=0), **choices).table.loc[0]
    assert shuffled["value"] == pytest.approx(months["value"]) and shuffled["low"] == pytest.approx(months["low"])


def test_few_departures_are_not_certainty():
    """Five departures answer, four do not; a band in which none was seen has an interval all the same."""
    start = AS_OF - pd.to_timedelta(np.arange(400) % 700, unit="D")
    table = pd.DataFrame({"on": start, "off": pd.NaT}).astype({"off": "datetime64[us]"})
    table.loc[[300, 320, 340, 360, 380], "off"] = AS_OF - pd.to_timedelta([3, 9, 15, 40, 60], unit="D")
    asked = CHOICES | {"horizon": 6, "since": None, "most_uncounted": 0.5}
    found = lifetime_value(table, **asked)
    rows = found.table.set_index("tenure")
    oldest = rows.loc["12–24"]  # none of them lies where ten were observed
    assert oldest["uncounted"] > 0.99 and np.isnan(oldest["low"])
    assert (rows["low"] < rows["value"])[:3].all() and rows.loc["all", "high"] > rows.loc["all", "value"]
    young = rows.loc["0–6"]
    assert young["months"] > 5.9 and young["months_low"] < 5.95 and young["months_high"] <= 6
    table.loc[380, "off"] = pd.NaT
    with pytest.raises(CannotAnswer, match="not answerable: 4 departures"):
        lifetime_value(table, **asked)


def test_records_that_stop_or_begin_late_are_refused():
    """Departures that nobody recorded, in the first year after since or in the last before as_of, are missed."""
    table, since = contracts(5_000, np.random.default_rng(2), years=4, window=3)
    choices = CHOICES | {"horizon": 12, "resamples": 20, "most_uncounted": 0.5}
    assert lifetime_value(table, **choices, since=since).table.loc[0, "value"] > 0
    late = table[~(table["off"] < "2024-01-01")]
    with pytest.raises(WorkbenchError, match=r"departures on record begin on 2024-01-0.*expected before.*Give since="):
        lifetime_value(late, **choices, since=since)
    stopped = table.assign(off=table["off"].where(table["off"] < "2025-03-01"))
    with pytest.raises(WorkbenchError, match=r"departures on record end on 2025-02-2.*Choose an earlier as_of"):
        lifetime_value(stopped, **choices, since=since)
    told = lifetime_value(table, **choices, since="2024-01-01")
    assert f"({told.set_aside['left before since']:,}) are left out" in told.headline()


def test_codes_for_never_and_unknown_days():
    """9999-12-31 runs on, 1900-01-01 as a start is set aside, as an end refused; text days are read."""
    table, since = contracts(3_000, np.random.default_rng(0))
    choices = CHOICES | {"resamples": 0, "since": since}
    right = lifetime_value(table, **choices)
    text = table.apply(lambda days: days.dt.strftime("%Y-%m-%d"))
    found = lifetime_value(text.fillna({"off": "9999-12-31"}), **choices)
    assert found.table.loc[0, "value"] == right.table.loc[0, "value"]
    assert found.set_aside["'off' in 2099 or later, read as running"] == table["off"].isna().sum()
    spoiled = text.copy()
    spoiled.loc[:9, "on"] = "1900-01-01"
    assert lifetime_value(spoiled, **choices).set_aside["'on' a placeholder, not a day"] == 10
    spoiled = text.copy()
    spoiled.loc[:9, "off"] = "1900-01-01"
    with pytest.raises(WorkbenchError, match="10 placeholders like 1900-01-01 in 'off'"):
        lifetime_value(spoiled, **choices)
    for day in ("01/07/2026", 20260701):
        with pytest.raises(WorkbenchError, match="as_of is"):
            lifetime_value(table, **choices | {"as_of": day})


def test_too_much_that_was_not_observed_is_refused():
    """Over ten years most of the months lie where nobody was observed: refused, unless allowed or carried on."""
    table, since = contracts(3_000, np.random.default_rng(0))
    choices = CHOICES | {"horizon": 120, "resamples": 0, "since": since}
    with pytest.raises(CannotAnswer, match=r"not answerable: .* of the contract-months .*, more than 20.0%"):
        lifetime_value(table, **choices)
    allowed = lifetime_value(table, **choices, most_uncounted=1)
    assert "nan" not in allowed.headline() and allowed.uncounted > 0.2
    assert lifetime_value(table, **choices, extrapolate="sbg").uncounted == allowed.uncounted
    assert all(q.low is None for q in allowed.quantities())


@pytest.mark.prove
def test_value_intervals_cover():
    """By band of tenure the 95 % interval holds the value under the true hazard in 93-97 % of 600 samples."""
    rng, bands, runs = np.random.default_rng(12), {"0–6": 0, "6–12": 6, "12–24": 12, "24–48": 24}, 600
    hits = dict.fromkeys(bands, 0)
    for seed in range(runs):
        table, since = contracts(4_000, rng)
        found = lifetime_value(table, **CHOICES | {"resamples": 200}, since=since, rng=seed).table.set_index("tenure")
        months = (AS_OF - table["on"]).dt.days / MONTH
        for band, low in bands.items():
            mine = table["off"].isna() & (months >= low) & (months < float(band.split("–")[1]))
            hits[band] += found.loc[band, "low"] <= true_value(table[mine]) <= found.loc[band, "high"]
    slack = 2 * np.sqrt(0.95 * 0.05 / runs)
    assert all(abs(count / runs - 0.95) < 0.02 + slack / 2 for count in hits.values()), hits


@pytest.mark.prove
@pytest.mark.parametrize("number", range(6))
def test_values_of_few_departures_cover(number, monkeypatch):
    """With 9 to 42 departures the interval of the value holds the truth in 93.5-96.5 % (up to simulation error)."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "coverage")
    grid, lifetimes = (importlib.import_module(name) for name in ("grid", "lifetimes"))
    cells = {c.quantity: c for c in grid.count("lifetimes", lifetimes.WORLDS[number], 600)}
    for name in ("lifetime value", "months to come"):
        assert 0.935 - 2 * cells[name].error < cells[name].covered < 0.965 + 2 * cells[name].error, cells[name]
