"""Is who leaves, pays and cheats drawn by the law that truth/retention.json declares? Judged in standard errors."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from workbench.sample import cheating, collection, leaving, money, recovery, topups, write_sample
from workbench.sample.operator import read_operator
from workbench.sample.people import REASONS, SEGMENTS, draw_customers, draw_lines
from workbench.sample.timeline import END, MONTH_START, MONTHS, NEVER, START
from workbench.studies.lifetime_value import fit_btyd, fit_gamma_gamma

GROUPS = 6


def stream(number: int) -> np.random.Generator:
    return np.random.default_rng([16, number])


@pytest.fixture(scope="module")
def groups():
    """Six independent batches of the sample operator's customers."""
    operator = read_operator()
    return [draw_customers(operator, 10_000 * g, 10_000, stream(g)) for g in range(GROUPS)]


def plain(columns) -> pd.DataFrame:
    return pd.DataFrame({k: v if isinstance(v, np.ndarray) else v.to_pylist() for k, v in (columns or {}).items()})


def kept(write, *arguments) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table that a writer delivers, and what it gives back."""
    delivered: dict = {}
    extracts = SimpleNamespace(write=lambda table, columns, **_: delivered.update(columns))
    given = write(extracts, *arguments)
    return plain(delivered), plain(given)


def within(found: float, declared: float, error: float, what: object = "") -> None:
    assert abs(found - declared) < 4 * error, (what, found, declared, error)


def test_those_who_port_go_where_their_segment_does_and_the_campaign_draws_them(groups):
    """Share of the second competitor by segment before and from the campaign on, and reasons, within 4 errors."""
    truth = leaving.declared(groups[0].operator.names, leaving.at_risk(groups[0]))
    every = [(c, leaving.draw_ways(c, stream(20 + g))) for g, c in enumerate(groups)]
    table = pd.concat(
        pd.DataFrame({name: getattr(c, name) for name in ("segment", "reason", "ended", "joined", "fraud")} | vars(w))
        for c, w in every
    )
    assert ((table["destination"] > 0) == (table["reason"] == 0)).all()
    assert (table.loc[~table["reason"].isin((0, 1)), "stated"] == -1).all()
    late = table["ended"] >= MONTH_START[15]
    for when, part in (("before", ~late), ("from", late)):
        for k, segment in enumerate(SEGMENTS):
            second = table.loc[part & (table["reason"] == 0) & (table["segment"] == k), "destination"] == 2
            share = truth["share_to_campaign_operator"][when][segment]
            within(second.mean(), share, np.sqrt(share * (1 - share) / len(second)), (when, segment))
    drawn = late & (table["destination"] == 2)
    ported, cancelled = table["reason"] == 0, table["reason"] == 1
    ways = {
        "port_out": ported & ~drawn,
        "port_out_to_campaign": drawn,
        "disconnect": cancelled,
    }
    for way, part in ways.items():
        within((table.loc[part, "stated"] >= 0).mean(), 0.8, np.sqrt(0.16 / part.sum()), way)
        stated = table.loc[part & (table["segment"] == 1) & (table["stated"] >= 0), "stated"]
        for code, share in enumerate(truth["stated_reasons"][way]["data_youth"].values()):
            within((stated == code).mean(), share, np.sqrt(share / len(stated)), (way, code))
    brought = table[(table["joined"] >= leaving._PORTABLE) & ~table["fraud"]]
    for k, segment in enumerate(SEGMENTS):
        part, share = brought.loc[brought["segment"] == k, "origin"] > 0, truth["ported_in"]["share"][segment]
        within(part.mean(), share, np.sqrt(share * (1 - share) / len(part)), segment)
    assert (table.loc[table["joined"] < leaving._PORTABLE, "origin"] == -1).all()


def test_left_truncated_incidence_is_the_declared_one(groups):
    """Aalen-Johansen with entry on six batches of drawn lives: within 4 errors of what is declared, all causes."""
    truth = leaving.incidence(sum(leaving.at_risk(c) for c in groups))
    found = []
    for c in groups:
        entry, left = np.maximum(-c.joined, 0), c.ended < NEVER
        gone = np.where(left, c.ended, END - 1) - c.joined
        sums = np.zeros((2, 4, 731))
        for contract in (0, 1):
            mine = (c.prepaid == contract) & (gone > entry)
            days = np.arange(731)[:, None]
            begin, end = np.sort(entry[mine]), np.sort(gone[mine])
            sums[contract, 0] = (np.searchsorted(begin, days, "left") - np.searchsorted(end, days, "left"))[:, 0]
            for cause in range(3):
                at = mine & left & (c.reason == cause) & (gone <= 730)
                sums[contract, 1 + cause] = np.bincount(gone[at], minlength=731)
        found.append(leaving.incidence(sums))
    for contract, by_day in truth.items():
        for day, of in by_day.items():
            for cause, share in of.items():
                drawn = np.array([f[contract][day][cause] for f in found])
                if share == 0:
                    assert (drawn == 0).all()
                else:
                    within(drawn.mean(), share, drawn.std(ddof=1) / np.sqrt(GROUPS) + 1e-4, (contract, day, cause))
    assert set(truth["postpaid"]["365_days"]) == set(REASONS)


def test_complaints_carry_their_hazard_ratios_and_the_lot_its_own():
    """Leaves within 90 days of closing over those the customers' own hazards expect: .8, 1.4, 2.2; .75, 1.25."""
    customers = draw_customers(read_operator(), 0, 60_000, stream(40))
    rng = stream(41)
    lived = customers.alive(0, END)
    who = np.repeat(np.arange(60_000), rng.poisson(lived / 100))
    opened = (np.maximum(customers.joined, 0)[who] + rng.random(len(who)) * lived[who]) * 86_400
    opened = opened.astype(np.int64)
    closed = opened + (rng.gamma(2, 48 * 0.26, len(who)) * 3_600).astype(np.int64)
    outcome = rng.choice(3, len(who), p=(0.86, 0.09, 0.05))
    came = recovery.draw_recovery(customers, who, opened, closed, outcome, rng)
    state = np.where(came.outcome > 0, 2, (came.closed > opened + 48 * 3_600).astype(int))
    day = came.closed // 86_400
    for k, share in enumerate(recovery.SHARE):
        within((state == k).mean(), share, np.sqrt(share / len(who)) + 0.001, k)
        queues = recovery.declared(["a", "b", "c"])["queue_share"][recovery.STATES[k]]
        for queue, part in enumerate(queues.values()):
            within((came.queue[state == k] == queue).mean(), part, np.sqrt(part / (state == k).sum()), (k, queue))
    assert (came.closed >= opened).all()
    assert ((came.closed == closed) & (came.outcome == outcome)).mean() > 0.9
    begins = np.maximum(day + 1, customers.joined[who] + 20)
    ended = customers.ended[who]
    days = np.clip(np.minimum(np.minimum(ended, day + 90), END - 1) - begins + 1, 0, None)
    expected = days * -np.log1p(-customers.hazard[who]) / 30.44
    event = (ended >= begins) & (ended <= day + 90)
    own = event.sum() / expected.sum()
    within(own, 1, 1 / np.sqrt(expected.sum()), "all together leave as they did")
    for k, ratio in enumerate(recovery.RATIO):
        part = state == k
        within(event[part].sum() / expected[part].sum(), ratio, np.sqrt(ratio / expected[part].sum()), k)
    for arm, ratio in enumerate(recovery.OFFERED):
        part = came.arm == arm
        assert (came.queue[part] == 0).all()
        assert ((came.compensation[part] > 0) == (arm == 0)).all()
        size = expected[part] @ recovery.RATIO[state[part]]
        within(event[part].sum() / size, ratio, np.sqrt(ratio / size), arm)
        within(part[came.queue == 0].mean(), 0.5, 0.5 / np.sqrt((came.queue == 0).sum()), arm)
    later = came.queue > 0
    assert customers.hazard[who][later & (came.compensation > 0)].mean() > customers.hazard[who][later].mean()


@pytest.fixture(scope="module")
def acted(groups):
    """Actions on made-up bills of all groups, with what was owed, and the declared truth."""
    collected, tables = collection.Collected(), []
    for g, customers in enumerate(groups):
        who, month = np.nonzero(customers.alive(0, END)[:, None] > np.zeros((1, MONTHS)))
        lived = (customers.joined[who] < MONTH_START[month + 1]) & (customers.ended[who] >= MONTH_START[month])
        who, month = who[lived], month[lived]
        bill, issued = customers.id[who] * 100 + month, MONTH_START[month + 1] - 1
        amount = np.full(len(who), 50.0)
        _, settled = money._draw_payments(customers, who, month, bill, amount, issued, stream(60 + g))
        owed = money.Owed(who, bill, issued + 20, settled)
        table, _ = kept(collection.write_actions, customers, owed, collected, stream(70 + g))
        table = table.merge(pd.DataFrame({"bill_id": bill, "who": who, "due": issued + 20, "settled": settled}))
        for name in ("ended", "reason"):
            table[name] = getattr(customers, name)[table["who"]]
        tables.append(table)
    return pd.concat(tables), collected.declared(groups[0].operator.words["collectors"])


def test_each_stage_earns_its_points_and_the_lot_is_a_tenth(acted):
    """Paid in full within the ten days: treated less held out is 5, 8 and 12 points, levels as declared, 4 errors."""
    table, truth = acted
    day = table["due"] + 1 + 10 * (table["stage"] - 1)
    assert (table["settled"] >= day).all()
    assert (table["ended"] >= day).all()
    paid, held = table["settled"] < day + 10, table["arm"] == "held_out"
    for entry in truth["stages"]:
        mine = table["stage"] == entry["stage"]
        within(held[mine].mean(), 0.1, 0.3 / np.sqrt(mine.sum()), entry)
        rates = [paid[mine & part].mean() for part in (~held, held)]
        errors = [np.sqrt(r * (1 - r) / (mine & part).sum()) for r, part in zip(rates, (~held, held), strict=True)]
        within(rates[0] - rates[1], entry["earns"], np.hypot(*errors), entry)
        for rate, error, arm in zip(rates, errors, ("treated", "held_out"), strict=True):
            within(rate, entry["paid"][arm], error, (entry["stage"], arm))
    assert (table.loc[held, "cost"] == 0).all()
    assert table.loc[held, ["collector", "outcome"]].isna().all(axis=None)


def test_restriction_costs_two_points_and_one_collector_is_bad(acted):
    """Of those restricted 2 points more leave within 90 days; the bad collector's customers pay 6 points less."""
    table, truth = acted
    day = table["due"] + 1 + 10 * (table["stage"] - 1)
    held, third = table["arm"] == "held_out", table["stage"] == 3
    left = table["reason"].isin((0, 1)) & (table["ended"] > day) & (table["ended"] <= day + 90)
    for arm, part in (("treated", third & ~held), ("held_out", third & held)):
        share = truth["stages"][2]["left"][arm]
        within(left[part].mean(), share, np.sqrt(share * (1 - share) / part.sum()), arm)
    declared = truth["stages"][2]["left"]
    assert declared["treated"] - declared["held_out"] == pytest.approx(0.02, abs=2e-6)
    bad = truth["bad_collector"]
    paid = table["settled"] < day + 10
    for stage in (2, 3):
        mine = (table["stage"] == stage) & ~held
        his = table["collector"] == bad["name"]
        rates = [paid[mine & part].mean() for part in (his, ~his)]
        errors = [np.sqrt(r * (1 - r) / (mine & part).sum()) for r, part in zip(rates, (his, ~his), strict=True)]
        within(rates[0] - rates[1], bad["earns"], np.hypot(*errors), stage)
        within(his[mine].mean(), bad["share"], 0.4 / np.sqrt(mine.sum()), stage)


def test_cases_are_right_and_seven_in_ten_decided(groups):
    """Six kinds and three look-alikes; 1% audited at random; a verdict is the truth."""
    tables, truths, lines_in_all = [], [], 0
    for g, customers in enumerate(groups):
        lines = draw_lines(customers, 0, stream(80 + g))
        cheats = cheating.draw_cheats(customers, lines, stream(90 + g))
        table, truth = kept(cheating.write_cases, customers, lines, cheats, stream(100 + g))
        tables.append(table)
        truths.append(truth)
        seen = (lines.service == 0) & (customers.ended[lines.customer] >= MONTH_START[18])
        lines_in_all += seen.sum()
    cases, truth = pd.concat(tables), pd.concat(truths)
    assert set(truth["kind"]) == {*cheating.KINDS, *cheating.LOOK_ALIKES}
    assert (truth["is_fraud"] == truth["kind"].isin(cheating.KINDS)).all()
    within(cases["verdict"].notna().mean(), 0.7, np.sqrt(0.21 / len(cases)))
    within((cases["source"] == "audit").sum() / lines_in_all, 0.01, np.sqrt(0.01 / lines_in_all))
    fraud = cases["subscription_id"].astype(str).isin(truth.loc[truth["is_fraud"], "subscription_id"])
    decided = cases["verdict"].notna()
    assert (fraud[decided] == (cases.loc[decided, "verdict"] == "fraud")).all()
    assert (cases.loc[decided & fraud, "loss"] > 0).all()
    assert (cases["decided_on"].notna() == decided).all()
    assert not cases["case_id"].duplicated().any()
    rule = cases[cases["source"] == "rule"]
    found = truth["subscription_id"].isin(rule["subscription_id"].astype(str))
    tipped = truth["subscription_id"].isin(cases.loc[cases["source"] == "tip", "subscription_id"].astype(str))
    for kind, share in cheating.declared()["sent_by_rule"].items():
        if kind != "other":
            mine = found[truth["kind"] == kind]
            within(mine.mean(), share, np.sqrt(share * (1 - share) / len(mine)), kind)
            tip = cheating.declared()["sent_by_tip"][kind]
            within(tipped[truth["kind"] == kind].mean(), tip, np.sqrt(tip / len(mine)), (kind, "tip"))


def test_the_truth_stands_in_the_file_that_only_tests_read(tmp_path):
    """truth/retention.json has what the issue names, and truth/fraud.parquet the lines."""
    write_sample(tmp_path / "raw", customers=300, seed=4)
    truth = json.loads((tmp_path / "raw/truth/retention.json").read_text(encoding="utf-8"))
    assert truth["recovery"]["hazard_ratio"] == {"recovered": 0.8, "late": 1.4, "failed": 2.2}
    assert [entry["earns"] for entry in truth["collection"]["stages"]] == [0.05, 0.08, 0.12]
    assert truth["leaving"]["campaign"] == {"operator": "中国联通", "from": "2025-10-01"}
    assert truth["fraud"]["mimic_honest_lines"] == ["resold_data", "false_identity"]
    assert set(pd.read_parquet(tmp_path / "raw/truth/fraud.parquet")) >= {"subscription_id", "kind", "is_fraud", "loss"}


def test_top_ups_are_a_process_whose_rates_and_dropout_are_declared():
    """MBG/NBD and gamma-gamma fitted to all top-ups, leavers' too, give what is declared, within 4 errors."""
    customers = draw_customers(read_operator(), 0, 20_000, stream(120))
    bought, truth = topups.draw_topups(customers, stream(121))
    who, day = bought["who"], bought["day"]
    assert customers.prepaid[who].all()
    assert (day >= customers.joined[who]).all() and (day <= np.minimum(customers.ended[who], END - 1)).all()
    share = len(truth["who"]) / customers.prepaid.sum()
    assert topups.SHARE - 0.04 < share < topups.SHARE + 0.01, "some leave before their first top-up"
    assert not truth["active"][customers.ended[truth["who"]] < NEVER].any(), "who leaves falls silent before"
    when = pd.Timestamp(START) + pd.to_timedelta(day, "D")
    table = pd.DataFrame({"who": who, "day": when, "amount": bought["amount"]})
    asked = {"customer": "who", "when": "day", "amount": "amount", "until": pd.Timestamp("2026-06-30")}
    fit = fit_btyd(table, model="mbg_nbd", unit="week", **asked)
    told = topups.declared()
    for name, row in fit.params.iterrows():
        within(np.log(row["estimate"]), np.log(told[name]), np.log(row["high"] / row["low"]) / 3.92, name)
    mean = next(iter(fit_gamma_gamma(table, **asked).quantities()))
    within(mean.value, told["amount"]["mean"], (mean.high - mean.low) / 3.92)
    within(fit.p_alive()["p_alive"].mean(), truth["active"].mean(), 0.5 / np.sqrt(len(truth["who"])))
    assert "within what it allows" in fit.half_held_out(table, rng=0).headline()
