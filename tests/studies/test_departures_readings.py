"""Departures: comparisons that nothing known later may bend, names as they stand in data, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.studies.departures import churn_change, directions, incidence, recovery

START, END = pd.Timestamp("2024-01-01"), pd.Timestamp("2024-07-01")
ASKED = {
    "customer": "id",
    "started": "on",
    "left": "off",
    "opened": "o",
    "due": "due",
    "closed": "c",
    "outcome": "r",
    "since": START,
}


def days(values):
    """Give time spans of so many days."""
    return pd.to_timedelta(values, unit="D")


def complaints(n, rng, first, length, end):
    """Customers with one complaint each who leave at the same rate, whatever becomes of it."""
    opened = pd.Series(START + days(rng.integers(0, first, n)))
    off = opened + days(rng.geometric(0.004, n))
    off = off.where(off < end)
    closed = (opened + days(length)).where(lambda day: day <= off.fillna(end))
    lives = pd.DataFrame({"id": range(n), "on": START - days(10), "off": off})
    cases = {"id": range(n), "o": opened, "due": opened + days(70), "c": closed, "r": "solved"}
    return lives, pd.DataFrame(cases).assign(r=lambda t: t["r"].where(t["c"].notna(), None))


def test_an_hour_is_worth_nothing_where_hours_do_nothing():
    """Slow cases are known for a shorter time after closing: only those known for the whole window are compared."""
    rng = np.random.default_rng(0)
    lives, cases = complaints(6000, rng, 90, rng.choice([1, 60], 6000), END)
    row = recovery(lives, cases, value=1000.0, as_of=END, **ASKED).worth.iloc[0]
    assert row["what"] == "an hour sooner" and row["low"] < 0 < row["high"]


def test_arms_keep_all_who_were_randomised():
    """Closings without an outcome, before opening or beside another of the day take nobody out of an arm."""
    rng, end = np.random.default_rng(0), START + days(366)
    lives, cases = complaints(4000, rng, 200, 20, end)
    cases["arm"] = rng.choice(["offered", "not_offered"], len(cases))
    offered = (cases["arm"] == "offered") & (rng.random(len(cases)) < 0.5)
    cases.loc[offered, "r"] = None
    cases.loc[offered & (cases["id"] % 3 == 0), "c"] = START - days(5)
    again = cases[offered & (cases["id"] % 3 == 1)].assign(r=None, c=pd.NaT, arm=None)
    row = recovery(lives, pd.concat([cases, again]), lot="arm", as_of=end, **ASKED).arms.iloc[0]
    gone = (lives["off"] - cases["o"]).dt.days < 90
    shares = gone.groupby(cases["arm"]).mean()
    assert row["customers"] + row["customers_against"] == len(cases)
    assert row["percentage_points"] == pytest.approx(100 * (shares["offered"] - shares["not_offered"]))


@pytest.mark.parametrize(
    ("arms", "first"),
    [
        (("silent", "notify"), "notify"),
        (("silent", "no_call"), "no_call"),
        (("a", "control"), "control"),
        (("offered", "not_offered"), "not_offered"),
        (("held", "b"), "b"),
    ],
)
def test_which_arm_is_compared_with(arms, first):
    """Only an arm with a name for nothing is taken for nothing; else the first by letters."""
    rng = np.random.default_rng(0)
    lives, cases = complaints(400, rng, 60, 5, END)
    found = recovery(lives, cases.assign(arm=rng.choice(arms, len(cases))), lot="arm", as_of=END, **ASKED).arms
    assert found["against"].tolist() == [first]


def test_names_written_in_two_ways_are_one():
    """Identifiers as decimals, flags as booleans on one side, spaces and width: the numbers of names written alike."""
    rng = np.random.default_rng(1)
    lives, cases = complaints(800, rng, 60, 5, END)
    first, second = (
        recovery(lives, c, as_of=END, **ASKED) for c in (cases, cases.assign(id=cases["id"].astype(float)))
    )
    assert first.rates.equals(second.rates) and "complaints of nobody in lives" not in second.set_aside
    k = rng.integers(0, 2, 800)
    old, new = (pd.DataFrame({"id": range(800), "k": k, "gone": rng.random(800) < 0.1 + 0.1 * k}) for _ in range(2))
    asked = {"customer": "id", "left": "gone", "by": ["k"], "resamples": 50}
    plain = churn_change(old, new, **asked).table
    for other in (new.assign(id=new["id"].astype(float)), new.assign(k=[f" {v}" for v in k])):
        assert churn_change(old, other, **asked).table.equals(plain)
    assert churn_change(old.assign(k=k > 0), new, **asked).table.equals(plain)
    with pytest.raises(WorkbenchError, match="'k' holds True and False on one side and '2' on the other"):
        churn_change(old.assign(k=k > 0), new.assign(k=k + 1), **asked)


PORTS = {
    "left": "off",
    "destination": "to",
    "arrived": "on",
    "origin": "from",
    "since": "2026-01-01",
    "as_of": "2026-03-01",
}


def test_an_operator_is_one_whatever_surrounds_it():
    """B with a space, or of full width, is B; b is another."""
    out = pd.DataFrame({"off": "2026-01-05", "to": ["B"] * 20 + ["b"] * 20 + ["B "] * 20 + ["Ｂ"] * 5 + [" "]})
    came = pd.DataFrame({"on": "2026-01-09", "from": ["B"] * 60})
    found = directions(out, came, **PORTS)
    assert found.table.set_index("operator")["ported_out"].to_dict() == {"b": 20, "B": 45}
    assert found.set_aside == {"departures not ported": 1}


def test_origins_are_judged_by_the_arrivals_counted():
    """Known only of who came before the time, there is no net flow; known of few, that is said."""
    out = pd.DataFrame({"off": "2026-01-05", "to": ["B"] * 30 + ["C"] * 12})
    came = pd.DataFrame({"on": ["2025-06-01"] * 5 + ["2026-01-09"] * 60, "from": ["B"] * 5 + [None] * 60})
    assert not directions(out, came, **PORTS).both
    few = directions(out, came.assign(on="2026-01-09"), **PORTS)
    assert few.origins == (5, 65) and "Only 5 of 65 who came have an origin" in few.headline()
    assert "Only" not in directions(out, came[:20].assign(on="2026-01-09"), **PORTS).headline()


def lifetimes(n=400):
    """Customers of half a year, a fifth of whom leave in turn by the causes any_cause and b."""
    at = np.arange(n)
    off = pd.Series(START + days(at % 100)).where(at % 5 == 0)
    return pd.DataFrame(
        {
            "id": at,
            "on": START,
            "off": off,
            "why": np.where(at % 2, "b", "any_cause"),
            "kind": np.where(at < 200, "all", "b"),
        }
    )


LIFE = {"started": "on", "left": "off", "cause": "why", "since": START, "as_of": END, "months": [3]}


def test_names_of_data_do_not_meet_ours():
    """A group all, a cause any_cause, columns rates and change: each stands in quotation marks beside ours."""
    table = incidence(lifetimes(), by="kind", **LIFE).table
    assert table.groupby("group", sort=False)["customers"].first().to_dict() == {"all": 400, "'all'": 200, "b": 200}
    assert table["cause"].unique().tolist() == ["any_cause", "'any_cause'", "b"]
    whole = table[table["group"] == "all"]["left"].tolist()
    assert whole[0] == sum(whole[1:]) > 0
    k = np.arange(800) % 2
    old, new = (pd.DataFrame({"id": range(800), "k": k, "gone": np.arange(800) % m == 0}) for m in (10, 5))
    asked = {"customer": "id", "left": "gone", "resamples": 50}
    plain = churn_change(old, new, by=["k"], **asked)
    for name in ("rates", "change"):
        found = churn_change(old.rename(columns={"k": name}), new.rename(columns={"k": name}), by=[name], **asked)
        assert found.total.iloc[2:].equals(plain.total.iloc[2:]) and found.table["part"][0] == f"'{name}'"
        assert found.headline() == plain.headline().replace("by k ", f"by '{name}' ")


def test_groups_with_few_departures_are_counted():
    """A group of which nobody left has no row, and the headline says so."""
    lives = lifetimes()
    lives.loc[lives["kind"] == "b", "off"] = pd.NaT
    found = incidence(lives, by="kind", **LIFE)
    assert found.too_few == {"b": 200}
    assert "Groups with fewer than 5 departures have no row: 1, with 200 customers" in found.headline()


def test_what_cannot_be_asked_is_refused():
    """One sentence for a month, a window or a level that is none."""
    lives, cases = complaints(400, np.random.default_rng(0), 60, 5, END)
    ports = pd.DataFrame({"off": "2026-01-05", "to": ["B"] * 30}), pd.DataFrame({"on": "2026-01-09", "from": ["B"]})
    for months in ([np.nan], [np.inf], ["a"], [None], [1.5], []):
        with pytest.raises(WorkbenchError, match="whole numbers of months"):
            incidence(lifetimes(), **LIFE | {"months": months})
    for asked in ({"window": np.nan}, {"window": 1.5}, {"landmark": "a"}, {"value": np.nan}):
        with pytest.raises(WorkbenchError, match="give whole days, 1 or more, and a value of 0 or more"):
            recovery(lives, cases, as_of=END, **ASKED, **asked)
    old = pd.DataFrame({"id": range(80), "k": 1, "gone": [0, 1] * 40})
    for level in (2, 0, np.nan, "95%"):
        with pytest.raises(WorkbenchError, match="is no coverage"):
            incidence(lifetimes(), level=level, **LIFE)
        with pytest.raises(WorkbenchError, match="is no coverage"):
            recovery(lives, cases, as_of=END, level=level, **ASKED)
        with pytest.raises(WorkbenchError, match="is no coverage"):
            directions(*ports, level=level, **PORTS)
        with pytest.raises(WorkbenchError, match="is no coverage"):
            churn_change(old, old, customer="id", left="gone", by=["k"], level=level)
    with pytest.raises(WorkbenchError, match="too few for an interval"):
        churn_change(old, old, customer="id", left="gone", by=["k"], resamples=0)
