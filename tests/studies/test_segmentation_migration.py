"""Moves between segments: by hand, the steady state of known moves, the test of stationarity, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.segmentation import ENTERED, LEFT, early_warnings, migration

NAMES = {"customer": "id", "when": "at", "segment": "is"}
MOVES = np.array([[0.8, 0.15, 0.0], [0.1, 0.7, 0.1], [0.2, 0.2, 0.6]])


def history(n=2_000, dates=4, seed=0, later=None):
    """Customers who move by MOVES (from the third date on by `later`), leave with the rest, and are replaced in "c"."""
    rng, state, rows = np.random.default_rng(seed), np.arange(n) % 3, []
    who = np.arange(n)
    for date in range(dates):
        rows.append(pd.DataFrame({"id": who, "at": date, "is": np.array(list("abc"))[state], "yuan": 10.0 + state}))
        moves = MOVES if later is None or date < 1 else later
        new = (rng.random(n)[:, None] > moves.cumsum(axis=1)[state]).sum(axis=1)
        who = np.where(new == 3, who + n, who)
        state = np.where(new == 3, 2, new)
    return pd.concat(rows)


def test_by_hand():
    """Counts, shares, revenue, entries and exits of seven customers are those counted by hand."""
    before = [(i, 1, s, 10.0) for i, s in enumerate("aaaabb")]
    after = [(i, 2, s, 20.0) for i, s in [*enumerate("aaab"), (4, "b"), (9, "a")]]
    table = pd.DataFrame(before + after, columns=["id", "at", "is", "yuan"])
    result = migration(table, revenue="yuan", **NAMES)
    flows = result.flows.set_index(["origin", "destination"])
    moved = {("a", "a"): 3, ("a", "b"): 1, ("b", "b"): 1, ("b", LEFT): 1, (ENTERED, "a"): 1}
    assert flows["customers"].to_dict() == moved
    assert flows.loc["a", "share"].to_dict() == {"a": 0.75, "b": 0.25}
    assert flows["revenue_after"][[(ENTERED, "a"), ("b", "b")]].tolist() == [20, 20]
    lost = flows.loc[("b", LEFT)]
    assert (lost.revenue_before, lost.revenue_after) == (10, 0)
    assert result.caption() == "Flows from 1 to 2, with their revenue in currency a month."
    summed = migration(table, revenue="yuan", monthly=False, **NAMES).caption()
    assert summed == "Flows from 1 to 2, with all revenue by each day, in currency."
    assert result.summary().empty
    assert "66.7%" in result.headline()
    assert "fewer than 10 were in no segment before, fewer than 10 are in none now;" in result.headline()


def test_order_of_rows_does_not_matter():
    """Shuffled rows and dates as texts give the same flows and the same test."""
    table = history(300)
    one, other = migration(table, **NAMES), migration(table.sample(frac=1, random_state=0), **NAMES)
    pd.testing.assert_frame_equal(one.flows, other.flows)
    assert one.stationary_p == other.stationary_p
    dated = table.assign(at=pd.Timestamp("2026-01-01") + pd.to_timedelta(table["at"], unit="D"))
    assert migration(dated, **NAMES).after == "2026-01-04"


def test_stationarity_tells_change_from_chance():
    """Equal moves are called different in about 5 % of samples, changed ones nearly always; small counts do no harm."""
    alike = [migration(history(150, seed=s), **NAMES).stationary_p for s in range(60)]
    assert np.mean(np.array(alike) < 0.05) <= 0.15 and 0.3 < np.mean(alike) < 0.7
    changed = migration(history(1_500, later=MOVES[::-1, ::-1] * 0.9), **NAMES)
    assert changed.stationary_p < 0.01 and "moves differ" in changed.headline()


@pytest.mark.parametrize("month", ["2026-0{}", "2026-0{}-01", "20260{}"])
def test_dates_at_unlike_distances_are_not_compared(month):
    """Moves of two months are more than those of one: with a month left out nothing is said of whether they differ."""
    table = history(3_000, dates=5)
    written = table.assign(at=[month.format(at + 1) for at in table["at"]])
    if month == "20260{}":
        written["at"] = written["at"].astype(int)
    assert "no sign of differing between the 5 dates" in migration(written, **NAMES).headline()
    gap = migration(written[table["at"] != 1], **NAMES)
    assert np.isnan(gap.stationary_p)
    assert "dates at unlike distances cannot show whether moves are steady" in gap.headline()


def test_alluvial_names_and_counts_both_sides():
    """Each segment stands left and right with its count; small flows are not drawn, and not recorded."""
    result = migration(history(600), order=["c", "b", "a"], **NAMES)
    ax = result.plot()
    left = [label.get_text() for label in ax.get_yticklabels()]
    assert [text.split(":")[0] for text in left] == ["c", "b", "a", ENTERED]
    assert left[0] == f"c: {result.counts[-1][0].sum()}"
    large = result.flows.query("customers >= 10")
    assert len(list(result.quantities())) == len(large) == len(ax.collections)


def test_tables_refused():
    """One date, a customer twice on a date, a missing segment and an order that leaves one out."""
    table = history(30)
    with pytest.raises(CannotAnswer, match="needs two dates; history has '0'"):
        migration(table[table["at"] == 0], **NAMES)
    with pytest.raises(WorkbenchError, match="30 repeated 'id'"):
        migration(pd.concat([table, table[table["at"] == 1]]), **NAMES)
    with pytest.raises(WorkbenchError, match="'is' 120"):
        migration(table.assign(**{"is": None}), **NAMES)
    with pytest.raises(WorkbenchError, match="order leaves out 'c'"):
        migration(table, order=["a", "b"], **NAMES)
    with pytest.raises(WorkbenchError, match="Did you mean 'yuan'"):
        migration(table, revenue="yuann", **NAMES)


def test_early_warnings():
    """Falling and silent customers, the most valuable first, with the reason and the last day; nobody else."""
    table = pd.DataFrame(
        {
            "customer_id": ["a", "b", "c", "d", "e"],
            "frequency_state": ["falling", "stable", "silent", "silent", None],
            "frequency_trend": [-0.2, 0.0, -0.5, np.nan, np.nan],
            "recency_days": [3.0, 1, 40, np.nan, 2],
            "monetary": [50.0, 99, 80, np.nan, 70],
        }
    )
    found = early_warnings(table.sample(frac=1, random_state=3), as_of="2026-07-01")
    assert found["customer_id"].tolist() == ["c", "a", "d"]
    assert found["reason"].tolist()[:2] == ["no use for 40 days", "active days fall by 20% of their mean a month"]
    assert found["reason"][2] == "no use on record" and pd.isna(found["last_active"][2])
    assert str(found["last_active"][0]) == "2026-05-22"
    assert early_warnings(table.iloc[[1]], as_of="2026-07-01").empty
    with pytest.raises(WorkbenchError, match="Did you mean 'falling'"):
        early_warnings(table, as_of="2026-07-01", states=["faling"])
    with pytest.raises(WorkbenchError, match="lacks 'recency_days'"):
        early_warnings(table.drop(columns="recency_days"), as_of="2026-07-01")
