"""Looking every day: the boundary by hand, equal error in simulation, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.campaign_planning import monitor
from workbench.studies.campaign_planning.monitor import boundary, monitor_campaign


def running(effect: float, *, n=4_000, share=0.5, days=40, seed=0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    treated = (rng.random(n) < share).astype(int)
    day = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.sort(rng.integers(0, days, n)), unit="D")
    return pd.DataFrame({"t": treated, "y": rng.gamma(2, 5, n) + effect * treated, "known": day})


def test_the_boundary_is_the_formula_and_shortest_at_its_plan():
    """Equals the normal mixture's boundary of the paper, and no other tuning is shorter at the planned number."""

    def half(rho2: float, n: float) -> float:
        return np.sqrt(n) * np.sqrt(2 * (n * rho2 + 1) / (n**2 * rho2) * np.log(np.sqrt(n * rho2 + 1) / 0.05))

    best = optimize.minimize_scalar(lambda log: half(np.exp(log), 1_000), bounds=(-12, 2), method="bounded")
    assert boundary(np.array([1_000.0]), 1_000, 0.95)[0] == pytest.approx(best.fun, rel=1e-8)
    for n in (100.0, 5_000.0):
        assert boundary(np.array([n]), 1_000, 0.95)[0] == pytest.approx(half(np.exp(best.x), n), rel=1e-4)


def test_each_day_shows_the_difference_so_far():
    """Estimate and naive interval of a day are those of the members known by then, with the plain standard error."""
    table = running(0.5, share=0.8)
    found = monitor_campaign(table, outcome="y", treatment="t", known_on="known")
    row = found.days.iloc[10]
    known = table[table["known"] <= row["day"]].groupby("t")["y"]
    assert row["estimate"] == pytest.approx(known.mean()[1] - known.mean()[0])
    error = np.sqrt((known.var() / known.size()).sum())
    assert row["naive_high"] - row["estimate"] == pytest.approx(1.959964 * error, rel=1e-6)
    factor = boundary(np.array([float(known.size().sum())]), len(table), 0.95)[0]
    assert row["high"] - row["estimate"] == pytest.approx(factor * error)
    early = monitor_campaign(table, outcome="y", treatment="t", known_on="known", planned=200).days.iloc[10]
    factor = boundary(np.array([float(known.size().sum())]), 200, 0.95)[0]
    assert early["high"] - early["estimate"] == pytest.approx(factor * error)


@pytest.mark.parametrize(
    "effect, irrelevant, decision",
    [
        (2.0, 0, "may stop: it works"),
        (-2.0, 0, "may stop: it harms"),
        (0.0, 0, "go on"),
        (0.0, 2.0, "may stop: too small"),
    ],
)
def test_decisions(effect, irrelevant, decision):
    """A clear effect stops either way, none goes on, none that matters stops; the words carry it."""
    table = running(effect)
    table.loc[3_900:, "known"] = pd.NaT  # still open
    found = monitor_campaign(table, outcome="y", treatment="t", known_on="known", irrelevant=irrelevant)
    assert found.decision.startswith(decision) and found.headline().lower().startswith(decision)
    assert (found.first_stop is None) == (decision == "go on")
    assert (found.summary()["high"] - found.summary()["low"] > 0).all()
    assert found.plot().get_ylabel().startswith("effect on y")


def test_a_campaign_of_which_all_is_known_does_not_go_on():
    """Without a stop it has ended; it goes on while outcomes are open, or more members were planned."""
    asked = {"outcome": "y", "treatment": "t", "known_on": "known"}
    ended = monitor_campaign(running(0.0), **asked).headline()
    assert ended.startswith("Ended, and on no day could it have stopped: the effect on y is") and "4,000 of" in ended
    assert monitor_campaign(running(0.0), **asked, planned=8_000).headline().startswith("Go on: ")


def test_a_stop_stays():
    """Effects of 5 on the first days and of none later: the band takes 0 in again, and the campaign still may stop."""
    table = running(0.0)
    table.loc[:399, "y"] += 5 * table.loc[:399, "t"]
    found = monitor_campaign(table, outcome="y", treatment="t", known_on="known")
    shown = found.days.set_index("day")
    assert shown["low"].iloc[-1] < 0 < shown.loc[found.first_stop, "low"]
    assert (shown.loc[found.first_stop :, "decision"] == "may stop: it works").all()


def test_rows_and_open_windows():
    """Row order changes nothing; members without a known outcome are counted as waiting, whatever stands there."""
    table = running(1.0)
    late = table.sample(frac=1, random_state=1).reset_index(drop=True)
    late.loc[:99, "known"], late.loc[:99, "y"] = pd.NaT, np.nan
    one = monitor_campaign(late, outcome="y", treatment="t", known_on="known")
    two = monitor_campaign(late.iloc[::-1], outcome="y", treatment="t", known_on="known")
    assert one.waiting == 100 and "3,900 of 4,000 outcomes" in one.headline()
    pd.testing.assert_frame_equal(one.days, two.days)


def test_what_monitoring_refuses():
    """Days that are none, no outcome known, too few buyers, and an arm whose members become known first."""
    table = running(0.0)
    how = {"outcome": "y", "treatment": "t", "known_on": "known"}
    with pytest.raises(WorkbenchError, match="known"):
        monitor_campaign(table.assign(known=1), **how)
    with pytest.raises(CannotAnswer, match="no outcome is known yet"):
        monitor_campaign(table.assign(known=pd.NaT), **how)
    with pytest.raises(CannotAnswer, match="20 of them other than the commonest"):
        monitor_campaign(table.assign(y=(np.arange(len(table)) < 15).astype(float)), **how)
    early = table["known"].where(
        table["t"] == 0, pd.Timestamp("2026-01-01") + (table["known"] - table["known"].min()) / 2
    )
    with pytest.raises(CannotAnswer, match="the share of treated among the outcomes known runs from"):
        monitor_campaign(table.assign(known=early), **how)


@pytest.mark.prove
@pytest.mark.parametrize("kind, share", [("normal", 0.5), ("normal", 0.9), ("rare", 0.5), ("money", 0.9)])
def test_daily_looks_keep_the_error(kind, share):
    """No effect, 60 looks, 1,000 campaigns: stopped in at most 5%; the naive interval stops several times as many."""
    rng, n, days, wrong, naive = np.random.default_rng(7), 6_000, 60, 0, 0
    for _ in range(1_000):
        treated = rng.random(n) < share
        y = {
            "normal": lambda: rng.standard_normal(n),
            "rare": lambda: (rng.random(n) < 0.05).astype(float),
            "money": lambda: (rng.random(n) < 0.05) * rng.lognormal(3, 1, n),
        }[kind]()
        place = np.sort(rng.integers(0, days, n))
        ready = monitor._ready(y, place, days, treated)
        sums = {a: [v[ready] for v in monitor._running(y, place, days, treated == a)] for a in (True, False)}
        band = monitor._band(sums, n, 0.95)
        wrong += ((band["low"] > 0) | (band["high"] < 0)).any()
        naive += ((band["naive_low"] > 0) | (band["naive_high"] < 0)).any()
    print(kind, share, wrong / 1_000, naive / 1_000)
    assert wrong <= 50
    assert naive > max(50, 2 * wrong)
