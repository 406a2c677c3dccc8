"""Fraud rules on the sample operator, against the truth that it declares and no study reads."""

import json

import numpy as np
import pandas as pd
import pytest

from workbench.studies import fraud as study
from workbench.warehouse import fraud_cases, open_warehouse
from workbench.warehouse.views import view


@pytest.fixture(scope="module")
def declared(operator):
    return json.loads((operator / "data/raw/sample/truth/retention.json").read_text(encoding="utf-8"))["fraud"]


@pytest.fixture(scope="module")
def world(operator, declared):
    """Lines of the last windows, cases, what the rules find, and the kind of each line that cheats or looks like it."""
    warehouse = open_warehouse("sample", root=operator)
    lines = view(warehouse, "line_fraud", as_of="2026-07-01", days=30, windows=6, premium=3.0)
    cases = warehouse.table("fraud_case")
    hits = study.rule_hits(
        lines, study.rule_base(columns=lines.columns), cases, as_of="2026-07-01", per_day=1, currency="yuan"
    )
    truth = pd.read_parquet(operator / "data/raw/sample/truth/fraud.parquet").set_index("subscription_id")
    ids = pd.Index(lines["subscription_id"].unique())
    kind = truth["kind"].reindex(ids).fillna("other")
    return lines, cases, hits, kind, kind.isin(declared["kinds"])


def test_cases_are_those_that_were_known_on_the_day(operator):
    """None that was opened later, and no verdict that came later; until the last day all of them."""
    warehouse = open_warehouse("sample", root=operator)
    whole, then = warehouse.table("fraud_case"), fraud_cases(warehouse, "2026-05-01")
    assert len(fraud_cases(warehouse, "2026-07-01")) == len(whole) > len(then)
    decided = then["case_id"].isin(whole.loc[whole["decided_on"] < "2026-05-01", "case_id"])
    assert set(then["case_id"]) == set(whole.loc[whole["opened_on"] < "2026-05-01", "case_id"])
    assert (then["verdict"].notna() == decided).all()
    assert then.loc[~decided, ["loss", "decided_on"]].isna().all(axis=None)


def test_rules_find_the_kinds_with_traces_and_spare_those_that_only_look_like_it(world, declared):
    """SIM boxes, bursts abroad and loops are found; mimics and look-alikes hardly more than any line."""
    _, _, hits, kind, _ = world
    found = pd.Series(kind.index.isin(hits.worklist["subscription_id"]), kind.index).groupby(kind).mean()
    assert found["sim_box"] > 0.9 and found["burst_abroad"] == 1 and found["refund_loop"] == 1
    alike = kind[kind.isin([*declared["mimic_honest_lines"], *declared["look_alikes"]])]
    assert len(alike) > 80 and found[alike.unique()].mean() < 0.25 and found["other"] < 0.02
    first = hits.order.set_index("rule")["advice"]
    assert first["many_numbers"] == first["burst_abroad"] == "keep" and first["velocity"] == "nothing new"


def test_verdicts_are_as_the_truth_declares(world, declared):
    """Of all cases the declared share is decided; the precision of each rule's verdicts holds the truth of its hits."""
    lines, cases, hits, kind, cheats = world
    decided = cases["verdict"].notna()
    share, n = declared["labelled"], len(cases)
    assert abs(decided.mean() - share) < 4 * np.sqrt(share * (1 - share) / n)
    mobile = kind.index[kind.index.isin(cases["subscription_id"])]
    assert len(mobile) > 300
    fraud, audited = hits.base
    assert abs(fraud - audited * cheats.mean()) < 4 * np.sqrt(audited * cheats.mean()) + 1
    for row in hits.table.itertuples():
        if row.rule in ("many_numbers", "burst_abroad"):
            fires = hits.rules.judged(lines)[row.rule, 1.0] == 1
            truly = cheats[lines.loc[fires, "subscription_id"].unique()].mean()
            assert row.low <= truly <= row.high


def test_nothing_betrays_those_who_behave_honestly(world, declared):
    """The strangest of the rest are no better than random ones; the tree suggests nothing that rules do not find."""
    lines, cases, hits, kind, _ = world
    strange = study.anomalies(hits.rest(lines), cases, size=100)
    assert not strange.better
    listed = kind[strange.listed["subscription_id"]]
    assert listed.isin(declared["look_alikes"]).sum() > listed.isin(declared["mimic_honest_lines"]).sum()
    suggested = study.rule_candidates(lines, hits.rules, cases)
    assert suggested.table.loc[suggested.holds, "new_frauds"].sum() <= 1
