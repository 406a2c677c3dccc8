"""Departures: comparisons that nothing known later may bend, names as they stand in data, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.studies.departures import churn_change, directions, recovery

START, END = pd.Timestamp("2024-01-01"), pd.Timestamp("2024-07-01")
ASKED = {"customer": "id", "started": "on", "left": "off", "opened": "o", "due": "due", "closed": "c", "outcome": "r",
    "since": START}  # fmt: skip


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


PORTS = {"left": "off", "destination": "to", "arrived": "on", "origin": "from", "since": "2026-01-01",
    "as_of": "2026-03-01"}  # fmt: skip


def test_an_operator_is_one_whatever_surrounds_it():
    """B with a space, or of full width, is B; b is another."""
    out = pd.DataFrame({"off": "2026-01-05", "to": ["B"] * 20 + ["b"] * 20 + ["B "] * 20 + ["Ｂ"] * 5 + [" "]})
    came = pd.DataFrame({"on": "2026-01-09", "from": ["B"] * 60})
    found = directions(out, came, **PORTS)
    assert found.table.set_index("operator")["ported_out"].to_dict() == {"b": 20, "B": 45}
    assert found.set_aside == {"departures not ported": 1}
