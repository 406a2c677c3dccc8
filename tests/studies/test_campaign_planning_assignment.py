"""Arms drawn by a keyed hash: exact shares, the same for the same key, independent between campaigns."""

import hashlib
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from workbench.errors import WorkbenchError
from workbench.methods.experiment.assignment import assign_arms, rounded

KEY = "a key that nobody knows"
SHARES = {"control": 0.1, "sms": 0.3, "call": 0.6}


def customers(count: int = 3_000, seed: int = 0) -> pd.DataFrame:
    """A list with two traits, households of up to three and a bill."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"id": [f"c{i:05d}" for i in range(count)], "household": np.arange(count) // 3})
    table["province"] = rng.choice(["北京", "湖北", "四川"], count, p=[0.1, 0.3, 0.6])
    table["tier"] = rng.choice(["gold", "silver"], count)
    return table.assign(bill=rng.lognormal(size=count))


def draw(table: pd.DataFrame, campaign: str = "may", **options) -> pd.Series:
    drawn = assign_arms(table, **({"member": "id", "shares": SHARES, "key": KEY} | options), campaign=campaign)
    return drawn.members.set_index("id")["arm"]


def test_the_smallest_hashes_are_the_first_arm():
    """By hand: of four members the two with the smaller keyed hash go to control."""
    secret = hashlib.blake2b(KEY.encode(), digest_size=32).digest()

    def lot(name: str) -> bytes:
        text = b"".join(len(t).to_bytes(8, "big") + t for t in (b"may", name.encode()))
        return hashlib.blake2b(text, key=secret, digest_size=16).digest()

    names = ["a", "b", "c", "d"]
    arms = draw(pd.DataFrame({"id": names}), shares={"control": 0.5, "sms": 0.5})
    assert arms[arms == "control"].index.tolist() == sorted(sorted(names, key=lot)[:2])


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=12),
    raw=st.lists(st.integers(1, 100), min_size=2, max_size=5),
    seed=st.integers(0, 2**32),
)
def test_shares_are_exact_in_every_stratum_and_in_all(sizes, raw, seed):
    """Counts differ from size times share by less than one in each stratum and each arm's total, and lose nobody."""
    shares = np.array(raw) / sum(raw)
    counts = rounded(np.array(sizes), shares, np.random.default_rng(seed))
    assert (counts.sum(axis=1) == sizes).all() and (counts >= 0).all()
    assert (np.abs(counts - np.outer(sizes, shares)) < 1 + 1e-6).all()
    assert (np.abs(counts.sum(axis=0) - sum(sizes) * shares) < 1 + 1e-6).all()


def test_each_member_has_its_share_of_every_arm():
    """Over 1,500 draws the mean count of each stratum and arm is size times share within four standard errors."""
    sizes, shares = np.array([9, 1, 3, 2]), [0.1, 0.3, 0.6]
    rng = np.random.default_rng(0)
    mean = np.mean([rounded(sizes, shares, rng) for _ in range(1_500)], axis=0)
    quota = np.outer(sizes, shares)
    error = np.sqrt((quota % 1) * (1 - quota % 1) / 1_500)
    assert (np.abs(mean - quota) <= 4 * error + 1e-9).all()


def test_row_order_and_index_change_nothing():
    """A shuffled list with other row labels gives every member the same arm, in the order of the list."""
    table = customers()
    shuffled = table.sample(frac=1, random_state=1)
    options = {"strata": ["province", "tier"]}
    assert draw(shuffled, **options).loc[table["id"]].tolist() == draw(table, **options).tolist()
    drawn = assign_arms(shuffled, member="id", shares=SHARES, campaign="may", key=KEY)
    assert drawn.members["id"].tolist() == shuffled["id"].tolist()


def test_campaigns_and_keys_draw_independently():
    """Arms of 25 pairs of campaigns are independent: their chi-squared p values are spread evenly."""
    table = customers(2_000)
    arms = [draw(table, f"campaign {k}", strata=["province"]) for k in range(26)]
    p = [chi2_contingency(pd.crosstab(one, two)).pvalue for one, two in pairwise(arms)]
    assert 0.35 < np.mean(p) < 0.65 and min(p) > 1e-4
    assert chi2_contingency(pd.crosstab(draw(table), draw(table, key=KEY + "!"))).pvalue > 1e-4


def test_members_are_drawn_evenly_over_campaigns():
    """Over 100 campaigns members differ in how often they are in control as chance makes them, not more."""
    table = customers(200)
    times = sum((draw(table, f"c{k}", strata=["tier"]) == "control").astype(int) for k in range(100))
    spread = ((times - 10) ** 2 / (100 * 0.1 * 0.9)).mean()
    assert abs(spread - 1) < 0.35


def test_households_stay_together():
    """Clusters are drawn whole, with the shares of clusters exact."""
    drawn = assign_arms(customers(), member="id", shares=SHARES, campaign="may", key=KEY, clusters="household")
    together = drawn.members.assign(household=customers()["household"].to_numpy()).groupby("household")["arm"].nunique()
    assert (together == 1).all() and drawn.counts.to_numpy().tolist() == [[100, 300, 600]]
    assert "by 'household'" in drawn.headline()


def test_what_is_handed_out():
    """The list has member, arm and stratum; the summary the shares; the key appears nowhere."""
    drawn = assign_arms(customers(), member="id", shares=SHARES, campaign="may", key=KEY, strata=["province", "tier"])
    assert list(drawn.members) == ["id", "arm", "stratum"]
    assert drawn.summary()["members"].tolist() == [300, 900, 1_800]
    assert len(drawn.counts) == 6
    assert KEY not in repr(drawn) and drawn.fingerprint in drawn.headline()


def test_refusals():
    """Repeated members, shares that do not sum to 1, no control, short keys, torn households and fine strata."""
    table = customers(300)
    with pytest.raises(WorkbenchError, match="1 rows of 'id' again"):
        draw(pd.concat([table, table.head(1)], ignore_index=True))
    with pytest.raises(WorkbenchError, match=r"they sum to 0\.9"):
        draw(table, shares={"control": 0.1, "sms": 0.8})
    with pytest.raises(WorkbenchError, match="one of them 'control'"):
        draw(table, shares={"sms": 0.5, "call": 0.5})
    with pytest.raises(WorkbenchError, match="fewer than 16 characters"):
        draw(table, key="short")
    with pytest.raises(WorkbenchError, match="lie in two strata"):
        draw(table, strata=["tier"], clusters="household")
    with pytest.raises(WorkbenchError, match="cut numbers into classes"):
        draw(table, strata=["bill"])
    with pytest.raises(WorkbenchError, match="'tier' is missing for 300"):
        draw(table.assign(tier=None), strata=["tier"])
