"""Do the first screens of segments and tiers advise what their numbers show?"""

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest
from doors import CASES, answered

from workbench.messages import read
from workbench.result import Decision
from workbench.studies import segmentation, service, tiers

BAD = re.compile(r"\bnan\b|\bNone\b|[{}]|\w_\w")


def case(name):
    """The result of a registered case."""
    one = next(c for c in CASES if c.name == name)
    return answered(one)[0]


def whole(decision):
    """Its sentences, each of which is stored and said in Chinese without English words."""
    assert isinstance(decision, Decision) and 1 <= len(decision.do) <= 3
    for said in decision.said():
        assert not BAD.search(said), said
        assert read(json.loads(json.dumps(said.as_json()))) == said
        assert not re.search(r"[A-Za-z]{3,} [A-Za-z]{3,}", said.said("zh")), said.said("zh")
    return decision.do


SCORES, GROUPS, MOVED = (case(f"segmentation.{name}") for name in ("score_rfm", "fit_segments", "drift"))


def test_every_segment_says_what_to_do_in_both_languages():
    """The grid that ships has each action in Chinese."""
    for one in segmentation.default_grid().segments:
        assert one.action.endswith(".") and one.action_zh.endswith("。"), one.name


def test_the_decision_on_segments_follows_from_who_brings_most():
    """The segment that brings most first, then the one slipping away; none of fewer than ten customers."""
    rng, seen = np.random.default_rng(1), set()
    names = [s.name for s in SCORES.grid.segments]
    for _ in range(60):
        segment = rng.choice(names, len(SCORES.customers), p=rng.dirichlet(np.full(len(names), 0.05)))
        one = dataclasses.replace(SCORES, customers=SCORES.customers.assign(segment=segment))
        *first, _ = whole(segmentation.decision(one, GROUPS, MOVED))
        table = one.summary().query("customers >= 10 and monetary_share > 0").set_index("segment")
        best = table["monetary_share"].idxmax()
        assert f"For {best.replace('_', ' ')}: {table.loc[best, 'customers']:,} customers" in first[0]
        slipping = table.index.intersection(["cannot_lose", "at_risk"])
        if len(slipping) and best not in slipping:
            most = table.loc[slipping, "monetary_share"].idxmax()
            assert most.replace("_", " ") in first[1]
        seen.add(len(first))
    assert seen == {1, 2}
    none = dataclasses.replace(SCORES, customers=SCORES.customers.assign(monetary=0.0))
    assert whole(segmentation.decision(none, GROUPS, MOVED))[0].startswith("Treat no segment apart")


def test_clusters_are_acted_on_only_if_found_again_and_still_fitting():
    """Each verdict of the drift, and clusters that no resample finds again."""
    seen = []
    for verdict in ("stable", "watch", "too few", "refit"):
        moved = dataclasses.replace(
            MOVED, index=MOVED.index.assign(verdict=["stable"] * (len(MOVED.index) - 1) + [verdict])
        )
        for jaccard in (0.9, 0.7):
            groups = dataclasses.replace(GROUPS, replicates=np.full_like(GROUPS.replicates, jaccard))
            said = whole(segmentation.decision(SCORES, groups, moved))[-1]
            assert said.startswith("Act") == (jaccard > 0.75 and verdict in ("stable", "watch")), said
            seen.append(said)
    assert len(set(seen)) == 5


def test_the_key_figures_of_segments():
    """By hand: 100 of 500 bring 900 of 1,300, and 240 bring 1,040. There are none on few customers."""
    value = segmentation.concentration(np.r_[np.full(400, 1.0), np.full(100, 9.0)], resamples=0)
    fifth, most = value.tiles()
    assert fifth.value.said() == "69.2%" and most.value.number == 240
    assert not segmentation.concentration(np.arange(1.0, 20), resamples=0).tiles()
    assert [len(case(f"segmentation.{name}").tiles()) for name in ("score_rfm", "migration")] == [1, 1]


LEVELS, ACCOUNTS, COST, KEPT = map(
    case, ("tiers.tiers", "tiers.grade_accounts", "service.cost_to_serve", "service.promises_kept")
)


def test_the_decision_on_promises_follows_from_their_intervals():
    """Mended where the interval lies below the goal, left alone above it, and counted on where it holds it."""
    rng, seen = np.random.default_rng(2), set()
    for _ in range(60):
        share, half = rng.uniform(0.8, 1, len(KEPT.table)), rng.uniform(0.01, 0.3)
        table = KEPT.table.assign(kept=share, low=np.maximum(share - half, 0), high=np.minimum(share + half, 1))
        if rng.random() < 0.4:
            table = table.assign(kept=0.97, low=0.94, high=0.99)
        kept = dataclasses.replace(KEPT, table=table)
        promise, *_ = whole(tiers.decision(LEVELS, service.decision(COST, kept), ACCOUNTS))
        low, high = kept.least["low"], kept.least["high"]
        assert promise.startswith("Keep ") == (high < 0.9)
        assert promise.startswith("Leave") == (low >= 0.9)
        assert promise.startswith("Count more") == (low < 0.9 <= high)
        seen.add(promise[:6])
    assert len(seen) == 3


def test_calls_are_advised_in_the_best_tier_with_enough_near_its_edge():
    """Ten customers or more; else nobody."""
    tier = LEVELS.rules.names[0]
    for near, calls in ((25, True), (9, False)):
        table = LEVELS.table.assign(near_demotion=[near] + [0] * (len(LEVELS.table) - 1))
        levels = dataclasses.replace(LEVELS, table=table)
        said = whole(tiers.decision(levels, service.decision(COST, KEPT), ACCOUNTS))[1]
        assert said.startswith("First call the 25 of") == calls and (tier in said) == calls


def test_what_would_change_the_decision_on_tiers_names_assumed_costs():
    """Only where there are some."""
    for assumed in (0.0, 0.5):
        served = service.decision(dataclasses.replace(COST, assumed=assumed), KEPT)
        change = tiers.decision(LEVELS, served, ACCOUNTS).change
        assert ("assumed" in change) == (assumed > 0)


def test_the_key_figures_of_tiers():
    """Value of the upper tiers, cost of the last, the promise kept least, key accounts; none on few."""
    labels = [tile.label for result in (LEVELS, COST, KEPT, ACCOUNTS) for tile in result.tiles()]
    assert all(isinstance(label, str) and not BAD.search(label) for label in labels)
    few = dataclasses.replace(LEVELS, table=LEVELS.table.assign(customers=1))
    assert not few.tiles()
    assert isinstance(LEVELS.summary(), pd.DataFrame)


VALUE, RAISING = case("lifetime_value.lifetime_value"), case("potential.worth_raising")


def test_keeping_a_contract_costs_at_most_what_is_lost():
    """By tenure only where the intervals of the ends lie apart, of bands that may be shown; else nothing."""
    each = [tile.value.number for tile in VALUE.tiles()]
    row = VALUE.table.iloc[0]
    assert each == [row["value"], row["per_contract"], row["months"]]
    spans = [(tile.interval.low, tile.interval.high) for tile in VALUE.tiles()]
    n = row["contracts"]
    assert spans == [
        (row["low"], row["high"]),
        (row["low"] / n, row["high"] / n),
        (row["months_low"], row["months_high"]),
    ]
    bands = pd.DataFrame(
        {"tenure": ["all", "0–6", "6–12", "12–24"], "contracts": [1009.0, 500, 500, 9], "value": [3.0e4, 1e4, 2e4, 9e5]}
    )
    bands["per_contract"] = bands["value"] / bands["contracts"]
    for width, said in ((0.1, "from 20 yuan at 0–6 months to 40 yuan at 6–12"), (0.9, "no difference by tenure")):
        found = bands.assign(low=bands["value"] * (1 - width), high=bands["value"] * (1 + width))
        do = whole(dataclasses.replace(VALUE, table=found).decision())
        assert do[0].endswith("30 yuan on average.") and said in do[1] and "12–24" not in do[1]
    nothing = bands.assign(low=-1.0, high=bands["value"])
    (only,) = whole(dataclasses.replace(VALUE, table=nothing).decision())
    assert only.startswith("Spend nothing")


@pytest.mark.parametrize(
    ("n", "low", "begins"), [(0, 0.0, "Contact nobody"), (50, -1.0, "Do not contact"), (50, 1.0, "Begin with")]
)
def test_customers_are_raised_only_where_their_net_is_above_zero(n, low, begins):
    """Nobody, not yet all, or a pilot first: by the interval of the net."""
    first = RAISING.contacts.iloc[[0]].assign(contacts=n, net=5.0, low=low, high=9.0, break_even=0.1)
    found = dataclasses.replace(RAISING, contacts=first)
    assert whole(found.decision())[0].startswith(begins)
    tiles = found.tiles()
    assert tiles[0].value.number == n and (len(tiles) == 2) == bool(n)
    if n:
        assert (tiles[1].value.number, tiles[1].interval.low, tiles[1].interval.high) == (5.0, low, 9.0)
