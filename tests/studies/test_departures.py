"""Departures: causes, directions, change and recovery by hand, against known truth, and what is refused."""

import dataclasses
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.duration.survfunc import CumIncidenceRight

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods import counts
from workbench.result import Refusal
from workbench.studies.departures import churn_change, decision, directions, incidence, recovery
from workbench.studies.departures.outcomes import arms_compared, rates
from workbench.studies.departures.spells import read
from workbench.studies.lifetime_value import lifetime_value

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
    cases = pd.DataFrame(
        {
            "id": people["id"],
            "opened": opened,
            "due": opened + pd.Timedelta(days=6),
            "closed": closed,
            "outcome": outcome,
            "arm": arm,
            "paid": np.where(arm == "offered", 50.0, 0.0),
        }
    )
    cases = cases[(first <= left)]
    over = cases["closed"].to_numpy() > people.loc[cases.index, "off"].fillna(AS_OF).to_numpy()
    cases.loc[over, ["closed", "outcome"]] = [pd.NaT, None]
    return people, cases.reset_index(drop=True)


@pytest.fixture(scope="module")
def causes():
    """Causes of 20,000 customers."""
    return incidence(lives(20_000, np.random.default_rng(0)), cause="why", by="kind", **LIVES)


@pytest.fixture(scope="module")
def made_good():
    """Complaints of 12,000 customers."""
    people, cases = complainers(12_000, np.random.default_rng(1))
    return recovery(people, cases, given="kind", lot="arm", compensation="paid", value=300.0, **LIVES, **CASES)


def test_incidence_finds_the_truth(causes):
    """Within four standard errors, by cause, month and group; causes add up to any cause."""
    for (_, _), rows in causes.table.groupby(["group", "months"]):
        assert rows["incidence"].iloc[1:].sum() == pytest.approx(rows["incidence"].iloc[0])
        assert rows["left"].iloc[1:].sum() == rows["left"].iloc[0]
    for row in causes.table[causes.table["cause"] != "any_cause"].itertuples():
        error = (row.high - row.low) / 3.92
        assert abs(row.incidence - truth(row.cause, round(row.months * 365.25 / 12))) < 4 * error
    assert "leave within 24 months" in causes.headline() and causes.set_aside["left before since"] == 0
    assert [q.name for q in causes.quantities()][1] == "incidence[group=all,months=12,cause=disconnect]"


def test_incidence_equals_statsmodels_without_truncation():
    """All of whom were seen from the first day on."""
    table = lives(4_000, np.random.default_rng(2))
    table = table[table["on"] >= SINCE].reset_index(drop=True)
    found = incidence(table, cause="why", months=[6, 18], **LIVES)
    days = (table["off"].fillna(AS_OF - pd.Timedelta(days=1)) - table["on"]).dt.days + 1
    names = sorted(HAZARD)
    code = table["why"].map({name: i + 1 for i, name in enumerate(names)}).where(table["off"].notna(), 0).fillna(0)
    peer = CumIncidenceRight(days.to_numpy(), code.to_numpy(dtype=int))
    for i, name in enumerate(names):
        rows = found.table[found.table["cause"] == name]
        at = [np.flatnonzero(peer.times <= round(m * 365.25 / 12))[-1] for m in rows["months"]]
        assert rows["incidence"].tolist() == pytest.approx([peer.cinc[i][k] for k in at], abs=1e-12)


def test_what_was_not_observed_has_no_incidence():
    """Months that fewer than ten reached have no row; departures that were not recorded are refused."""
    table = lives(20_000, np.random.default_rng(0))
    young = table[table["on"] > AS_OF - pd.Timedelta(days=500)]
    found = incidence(young, cause="why", months=[12, 24], **LIVES)
    assert set(found.table["months"]) == {12} and found.thin["all"] <= 18 and "nothing is said" in found.headline()
    with pytest.raises(CannotAnswer, match="no tenure of 36 months was observed on 10"):
        incidence(young, cause="why", months=[36], **LIVES)
    with pytest.raises(CannotAnswer, match="departures on record begin on"):
        incidence(table, cause="why", **LIVES | {"since": "2020-01-01"})
    with pytest.raises(CannotAnswer, match=r"'off' lies before 'on' in .* rows of customers, more than 5%"):
        incidence(table.assign(off=table["on"] - pd.Timedelta(days=1)), cause="why", **LIVES)
    with pytest.raises(WorkbenchError, match="whole numbers of months"):
        incidence(table, cause="why", months=[0], **LIVES)
    unknown = incidence(table.assign(why=None), cause="why", **LIVES)
    assert unknown.table["cause"].unique().tolist() == ["any_cause", "unknown"]


def snapshot(churn, rng, *, ever):
    """One flat table of 2026-01-01: 300 customers joined each of 72 months, a share leaves each month.

    Its yes under churn means last month, or (`ever`) at any time; both are told as a last day in December.
    """
    months = np.repeat(np.arange(1, 73), 300)
    lasted = rng.geometric(churn, len(months))
    gone = lasted <= months if ever else lasted == months
    kept = ever | (lasted >= months)
    tenure = np.minimum(lasted, months)[kept]
    on = [AS_OF - pd.DateOffset(months=int(m)) for m in tenure]
    off = pd.Series(pd.NaT, range(len(on))).mask(gone[kept], pd.Timestamp("2025-12-31"))
    return pd.DataFrame({"on": on, "off": off, "why": None}), tenure, gone[kept]


def test_a_snapshot_of_one_month_says_what_it_rests_on():
    """By hand: what stays is the product of a month's shares, tenure by tenure; the sentence names the one month."""
    table, tenure, gone = snapshot(0.06, np.random.default_rng(0), ever=False)
    found = incidence(table, cause="why", **LIVES | {"since": "2025-12-01"})
    stay = np.prod([1 - gone[tenure == m].mean() for m in range(1, 25)])
    assert found.row()["incidence"] == pytest.approx(1 - stay) == pytest.approx(1 - 0.94**24, abs=0.08)
    assert "leave within 24 months" in found.headline() and "if all months are like the 1 on record" in found.headline()
    assert "if all months" not in incidence(lives(4_000, np.random.default_rng(2)), cause="why", **LIVES).headline()


def test_departures_of_all_times_told_as_of_one_month_are_refused():
    """A twentieth a month would read as more: nobody joined in the thousands for those of long ago to be here."""
    table, *_ = snapshot(0.06, np.random.default_rng(0), ever=True)
    with pytest.raises(CannotAnswer, match="contradict who is here"):
        incidence(table, cause="why", **LIVES | {"since": "2025-12-01"})
    asked = {"started": "on", "left": "off", "margin": 10.0, "horizon": 6, "discount": 0.08, "as_of": AS_OF}
    with pytest.raises(CannotAnswer, match="contradict who is here"):
        lifetime_value(table, since="2025-12-01", **asked)


def test_a_year_of_crisis_is_no_contradiction():
    """1% a month left for ten years and 10% in the last, the only one on record: its rates are rates."""
    rng, months = np.random.default_rng(1), np.repeat(np.arange(1, 121), 400)
    lasted = rng.geometric(0.01, len(months))
    late = months - np.minimum(12, months) + rng.geometric(0.1, len(months))
    lasted = np.where(lasted > months - 12, np.maximum(late, 1), lasted)
    kept = lasted > months - 12
    on = pd.Series([AS_OF - pd.DateOffset(months=int(m)) for m in months])
    ends = [o + pd.DateOffset(months=int(m)) - pd.Timedelta(days=1) for o, m in zip(on, lasted, strict=True)]
    table = pd.DataFrame({"on": on, "off": pd.Series(ends).where(lasted <= months), "why": None})[kept]
    found = incidence(table, cause="why", **LIVES | {"since": AS_OF - pd.DateOffset(months=12)})
    assert found.row()["incidence"] == pytest.approx(1 - 0.9**24, abs=0.03)


def test_ibm_is_no_month_of_departures(shared_data):
    """27% in one month, 62% of those new, and 233 who joined in the last: 3.4 million would have 24 months before."""
    table = pd.read_csv(shared_data / "ibm_telco_churn.csv.gz").query("tenure > 0")
    day, gone = pd.Timestamp("2018-02-01"), (table["Churn"] == "Yes").to_numpy()
    on = [day - pd.DateOffset(months=m) for m in table["tenure"]]
    off = pd.Series(pd.NaT, range(len(on))).mask(gone, pd.Timestamp("2018-01-31"))
    told = pd.DataFrame({"on": on, "off": off, "why": None})
    shares = pd.Series(gone).groupby(table["tenure"].to_numpy()).mean()
    stays = pd.Series(~gone).groupby(table["tenure"].to_numpy()).sum()
    joined = stays / (1 - shares).cumprod()
    assert joined[24] == pytest.approx(3_453_841, abs=1) and (joined > len(table)).idxmax() == 7
    with pytest.raises(CannotAnswer, match=r"8,083 customers or more joined in one month, 8 months before"):
        incidence(told, started="on", left="off", cause="why", since="2018-01-01", as_of=day)


def test_exact_intervals_of_counts():
    """The ends are where the mid-P chance of the count, or of one further off, is 2.5%."""
    for x, y in ((5, 10), (0, 7), (30, 1)):
        low, high = counts.ratio(x, y)
        share = high / (1 + high)
        assert stats.binom.cdf(x - 1, x + y, share) + 0.5 * stats.binom.pmf(x, x + y, share) == pytest.approx(0.025)
        if x:
            share = low / (1 + low)
            assert stats.binom.sf(x, x + y, share) + 0.5 * stats.binom.pmf(x, x + y, share) == pytest.approx(0.025)
        low, high = counts.expected(x)
        assert stats.poisson.cdf(x - 1, high) + 0.5 * stats.poisson.pmf(x, high) == pytest.approx(0.025)
    assert np.isinf(counts.ratio(3, 0)[1]) and np.isnan(counts.ratio(0, 0)).all() and counts.ratio(0, 4)[0] == 0
    low, high = counts.difference(40, 60)
    assert low < -20 < high and counts.difference(60, 40) == pytest.approx((-high, -low))


def ports():
    """Forty out to B, most for the price, nine to C without a reason; fifteen in from B, five from C, two new."""
    out = pd.DataFrame(
        {
            "off": "2026-01-05",
            "to": ["B"] * 40 + ["C"] * 9 + [None] * 3,
            "why": ["price"] * 25 + ["network"] * 15 + [None] * 12,
            "tier": "gold",
        }
    )
    came = pd.DataFrame({"on": ["2026-02-09"] * 22, "from": ["B"] * 15 + ["C"] * 5 + [None] * 2})
    return out, came


def test_who_leaves_on_the_day_of_joining_lived_one_day():
    """Ten of 40 do: they were at risk on that day, so a quarter is gone after a month, and 20 of 40 after two."""
    on = pd.Series([SINCE] * 40)
    off = on.where(np.arange(40) < 10, on + pd.Timedelta(days=45)).where(np.arange(40) < 20)
    table = pd.DataFrame({"on": on, "off": off, "why": np.where(np.arange(40) < 20, "port_out", None)})
    found = incidence(table, cause="why", months=[1, 2], **LIVES)
    assert found.table.loc[found.table["cause"] == "port_out", "incidence"].round(12).tolist() == [0.25, 0.5]
    assert "last day before the first" not in found.set_aside


def test_chinese_ids_and_reasons_give_the_same_numbers():
    """Ids, causes, operators and groups in Chinese are texts like others; each answer is said with them."""
    people, cases = complainers(6_000, np.random.default_rng(1))
    people = people.assign(why=np.where(people["off"].notna(), "port_out", None))
    named = people.assign(id="客户甲" + people["id"].astype(str), kind=people["kind"].map({"a": "个人", "b": "政企"}))
    named["why"] = people["why"].map({"port_out": "携号转网"})
    numbers = ["months", "customers", "left", "incidence", "low", "high"]
    one, other = (incidence(table, cause="why", by="kind", **LIVES) for table in (people, named))
    assert np.allclose(one.table[numbers], other.table[numbers]) and "携号转网" in other.headline()
    theirs = cases.assign(id="客户甲" + cases["id"].astype(str))
    one, other = (
        recovery(table, told, given="kind", **LIVES, **CASES) for table, told in ((people, cases), (named, theirs))
    )
    pd.testing.assert_frame_equal(one.table, other.table)
    out, came = ports()
    words = {"B": "中国移动", "C": "中国联通"}
    found = directions(out.assign(to=out["to"].map(words)), came.assign(**{"from": came["from"].map(words)}), **PORTS)
    bare = directions(out, came, **PORTS)
    assert np.array_equal(found.table.iloc[:, 1:], bare.table.iloc[:, 1:]) and "中国移动 takes most" in found.headline()


def test_e_values_of_a_common_outcome_are_of_risks(made_good):
    """At .002 to .0044 a day 16% to 33% leave in 90 days: hazards are turned into risks; in 10 days 2% to 4%: as is."""
    people, cases = complainers(12_000, np.random.default_rng(1))
    few = recovery(people, cases, given="kind", window=10, **LIVES, **CASES)
    for found, common in ((made_good, True), (few, False)):
        row = found.ratio("failed", "complainers, from opening on")
        near = [row["ratio"], row["low"]]
        assert row["low"] > 1
        if common:
            near = [(1 - 0.5 ** np.sqrt(r)) / (1 - 0.5 ** (1 / np.sqrt(r))) for r in near]
        assert [row["e_value"], row["e_value_low"]] == pytest.approx([r + np.sqrt(r * (r - 1)) for r in near])


def test_who_left_before_they_came_is_left_out():
    """A few of thousands are counted and said, and all other numbers are those of the table without them."""
    people, cases = complainers(6_000, np.random.default_rng(1))
    odd = people.index.isin(people.index[people["off"].notna()][:20])
    mixed = people.assign(on=people["on"].where(~odd, people["off"] + pd.Timedelta(days=9)), why="port_out")
    bare = mixed[~odd].reset_index(drop=True)
    one, other = (incidence(table, cause="why", by="kind", **LIVES) for table in (mixed, bare))
    pd.testing.assert_frame_equal(one.table, other.table)
    said = "Left out, as their last day lies before their first: 20."
    assert one.set_aside["last day before the first"] == 20 and one.headline() == f"{other.headline()} {said}"
    one, other = (recovery(table, cases, given="kind", **LIVES, **CASES) for table in (mixed, bare))
    pd.testing.assert_frame_equal(one.table, other.table)
    assert one.caption().endswith(said) and said not in other.caption()
    one, other = (
        lifetime_value(table, margin=10.0, horizon=6, discount=0.08, resamples=0, within="kind", **LIVES)
        for table in (mixed, bare)
    )
    pd.testing.assert_frame_equal(one.table, other.table)
    assert said in one.headline() and said not in other.headline()


PORTS = {
    "left": "off",
    "destination": "to",
    "arrived": "on",
    "origin": "from",
    "since": "2026-01-01",
    "as_of": "2026-03-01",
}


def test_directions_by_hand():
    """Net flow, ratio, months, and cells of ten or more; who was not ported is counted."""
    out, came = ports()
    found = directions(out, came, reason="why", by="tier", **PORTS)
    assert found.table[["operator", "ported_in", "ported_out", "net_flow"]].to_numpy().tolist() == [
        ["B", 15, 40, -25],
        ["C", 5, 9, -4],
    ]
    assert found.table["ratio"].tolist() == [15 / 40, 5 / 9] and found.losing["operator"].tolist() == ["B"]
    assert found.set_aside == {"departures not ported": 3, "arrivals not ported": 2}
    assert found.cells[["reason", "destination", "tier", "departures"]].to_numpy().tolist() == [
        ["price", "B", "gold", 25]  # the 9 would follow from the 15
    ]
    assert found.hidden == (2, 24) and "2 thin cells with 24 departures" in found.headline()
    few = found.months[found.months["ported"] < 10]
    for table in (found.reasons(), found.by_month()):
        assert set(table.formats) <= set(table.frame) and table.counts in table.frame
    assert few["net_flow_low"].isna().all() and "B takes most: net −25 customers" in found.headline()


def test_without_origins_the_rest_stands():
    """A source that does not say where customers come from loses net flow by name, and keeps destinations."""
    out, came = ports()
    found = directions(out, came.assign(**{"from": None}), **PORTS)
    assert not found.both and "net flow is not answerable" in found.headline() and not list(found.quantities())
    assert found.table["share"].tolist() == pytest.approx([40 / 49, 9 / 49])
    advice = decision(Refusal("no"), found, *[Refusal("no")] * 2).do[0]
    assert advice.startswith("Record where customers come from")  # not: that no net loss is shown
    assert "share of ports out" in found.tiles()[0].label and found.plot().get_ylabel().startswith("ported out")
    with pytest.raises(CannotAnswer, match="9 customers ported in or out, 10 are needed"):
        directions(out[40:], came[20:], **PORTS)


def test_both_ways_must_be_on_record_for_the_same_time():
    """Arrivals of five years less departures of one are no net flow, nor is the reverse; a quiet month may be luck."""
    months = pd.Series(pd.date_range("2024-01-05", "2025-12-31", freq="MS")).repeat(5)
    both = pd.DataFrame({"off": months, "on": months, "to": "B", "from": "B"})
    asked = PORTS | {"since": "2020-01-01", "as_of": "2026-01-01"}
    assert directions(both, both[both["on"] >= "2024-04-01"], **asked).table["net_flow"].tolist() == [-10]
    for out, came, way, since in (
        (both[both["off"] >= "2025-01-01"], both, "out", "Give since='2025-01-01'"),
        (both, both[both["on"] >= "2025-01-01"], "in", "Give since='2025-01-01'"),
        (both[both["off"] < "2025-01-01"], both, "out", "until 2024-12-01, those of the other way until 2025-12-01"),
    ):
        with pytest.raises(CannotAnswer, match=f"ported {way} are on record .*{since}") as refused:
            directions(out, came, **asked)
        assert ("since='2025-01-01'" in refused.value.said("zh")) == since.startswith("Give")


def test_departures_recorded_later_than_said_compare_no_complaints():
    """Years without a record of departures would make those who never complained loyal."""
    people, cases = complainers(4_000, np.random.default_rng(1))
    with pytest.raises(CannotAnswer, match="the departures on record begin on"):
        recovery(people, cases, **LIVES | {"since": SINCE - pd.DateOffset(years=2)}, **CASES)


def test_a_state_that_nobody_left_has_a_rate_of_0():
    """Not of minus nothing, which a page shows as -0.00."""
    spells = pd.DataFrame({"customer": [1], "entry": [0], "exit": [30], "state": ["open"], "left": [False]})
    assert not np.signbit(rates(spells, 0.95)["per_100"]).any()


def test_a_turn_is_found_and_none_where_there_is_none():
    """From the tenth month on a competitor takes half instead of a quarter; without it hardly ever a month is named."""
    rng, came = np.random.default_rng(6), ports()[1]
    when = pd.Series(pd.Timestamp("2025-01-15") + pd.to_timedelta(30.4 * rng.integers(0, 18, 900), unit="D"))
    asked = PORTS | {"since": "2025-01-01", "as_of": "2026-07-01"}
    late = (when >= "2025-10-01").to_numpy()
    to = np.where(rng.random(900) < np.where(late, 0.5, 0.25), "C", "B")
    found = directions(pd.DataFrame({"off": when, "to": to}), came, **asked)
    turn = found.turns.iloc[0]
    assert (turn["operator"], len(found.turns)) == ("C", 1) and abs(int(turn["month"][5:]) - 10) <= 1
    assert "From 2025" in found.headline()
    said = [
        len(directions(pd.DataFrame({"off": when, "to": rng.choice(["B", "C"], 900)}), came, **asked).turns)
        for _ in range(40)
    ]
    assert sum(said) <= 6


def test_change_of_ibm(shared_data):
    """Published: seniors against others, fibre against DSL, by contract."""
    ibm = pd.read_csv(shared_data / "ibm_telco_churn.csv.gz")
    ibm["gone"] = (ibm["Churn"] == "Yes").astype(int)
    asked = {"customer": "customerID", "left": "gone", "by": ["Contract"], "resamples": 20}
    for column, old, new, parts in (
        ("SeniorCitizen", 0, 1, (0.076705, 0.104046)),
        ("InternetService", "DSL", "Fiber optic", (0.064793, 0.164544)),
    ):
        found = churn_change(ibm[ibm[column] == old], ibm[ibm[column] == new], **asked).table
        assert found["percentage_points"].iloc[:2].tolist() == pytest.approx([100 * p for p in parts], abs=1e-4)


def test_change_adds_up_and_knows_no_order_of_columns():
    """Whatever the groups, also those that only one side has: parts add up exactly, in any order of the columns."""
    rng = np.random.default_rng(3)

    def base(first, values):
        table = pd.DataFrame({"id": np.arange(400) + first, **{c: rng.choice(list(values), 400) for c in "xyz"}})
        return table.assign(gone=(rng.random(400) < 0.1 + 0.1 * (table["x"] == "a")).astype(int))

    before, after = base(0, "ab"), base(150, "bc")
    difference = 100 * (after["gone"].mean() - before["gone"].mean())
    asked = {"customer": "id", "left": "gone", "resamples": 50}
    first = None
    for order in permutations("xyz"):
        parts = churn_change(before, after, by=[order], **asked).table.set_index("part")["percentage_points"]
        assert parts.iloc[:-1].sum() == pytest.approx(difference) == parts["change"]
        first = parts if first is None else first
        assert parts[first.index].tolist() == pytest.approx(first.tolist())
    with pytest.raises(CannotAnswer, match="0 left before"):
        churn_change(before.assign(gone=0), after, by=["x"], **asked)
    with pytest.raises(WorkbenchError, match="sets of 1 to 4 columns"):
        churn_change(before, after, by=[], **asked)


def test_states_by_hand():
    """One customer: here from the start, complains on day 10, is answered on 15 in time, again on 40, leaves on 50."""
    people = pd.DataFrame({"id": [1, 2], "on": [SINCE, SINCE], "off": [SINCE + pd.Timedelta(days=50), pd.NaT]})
    day = [SINCE + pd.Timedelta(days=d, hours=12) for d in (10, 40, 5, 3)]
    cases = pd.DataFrame(
        {
            "id": [1, 1, 9, 2],
            "opened": day,
            "due": [d + pd.Timedelta(days=6) for d in day],
            "closed": [day[0] + pd.Timedelta(days=5), pd.NaT, pd.NaT, day[3] - pd.Timedelta(days=1)],
            "outcome": ["solved", None, None, "solved"],
        }
    )
    known = read(people, cases, **LIVES, **CASES)
    assert known.set_aside["complaints of nobody in lives"] == 1
    assert known.set_aside["complaints closed before they were opened"] == 1
    spells = known.spells(20).query("customer == '1'")
    assert spells[["entry", "exit", "state", "left"]].to_numpy().tolist() == [
        [0, 10, "no complaint", False],
        [10, 15, "open", False],
        [15, 35, "recovered", False],
        [35, 40, "no complaint", False],
        [40, 51, "open", True],
    ]
    late = read(people, cases.assign(due=cases["opened"]), **LIVES, **CASES).cases
    assert late["state"].tolist() == ["late", "open"] and late["hours"].iloc[0] == 120
    with pytest.raises(WorkbenchError, match="no outcome of a complaint 'sovled'"):
        read(people, cases.assign(outcome="sovled"), **LIVES, **CASES)
    with pytest.raises(WorkbenchError, match="one row a customer"):
        read(people.assign(id=1), cases, **LIVES, **CASES)


def test_an_arm_counts_who_leaves_after_a_later_complaint():
    """All who were not offered leave on day 50, twenty days after they complained again: all within 90 days."""
    n = 60
    opened = SINCE + pd.Timedelta(days=1)
    arm = np.where(np.arange(n) % 2, "offered", "not_offered")
    people = pd.DataFrame(
        {"id": np.arange(n), "on": SINCE, "off": pd.Series([SINCE + pd.Timedelta(days=50), pd.NaT] * 30)}
    )
    first = pd.DataFrame(
        {"id": np.arange(n), "opened": opened, "due": opened, "closed": opened, "outcome": "solved", "arm": arm}
    )
    again = first.assign(**{c: first[c] + pd.Timedelta(days=29) for c in ("opened", "due", "closed")}, arm=None)
    both = pd.concat([first, again], ignore_index=True)
    known = read(people, both, **LIVES, **CASES)
    cases, row = known.cases, arms_compared(known.openings, both["arm"].to_numpy(), None, 90, 0.95).iloc[0]
    assert not cases["left"].all() and len(cases) == 120
    assert (row["customers"], row["customers_against"], row["left"], row["percentage_points"]) == (30, 30, 0, -100.0)


def test_recovery_finds_the_truth(made_good):
    """Ratios among complainers within four standard errors on the time axis; arms by lot; words of each."""
    for state in ("late", "failed"):
        row, expected = made_good.ratio(state), RATIOS[state] / RATIOS["recovered"]
        assert abs(np.log(row["ratio"] / expected)) < 4 * np.log(row["high"] / row["low"]) / 3.92
        assert made_good.ratio(state, "complainers, landmark")["ratio"] > 1
    assert set(made_good.table["reading"]) == {"associated"} and (made_good.table["e_value"] >= 1).all()
    arm = made_good.arms.iloc[0]
    assert (arm["arm"], arm["against"], arm["reading"]) == ("offered", "not_offered", "effect (randomised)")
    assert arm["high"] < 0 and arm["compensation_more"] == 50
    worth = made_good.worth.set_index("what")
    assert worth.loc["a yuan of compensation", "reading"] == "effect (randomised)"
    assert worth.loc["a yuan of compensation", "low"] == pytest.approx(-3 * arm["high"] / 50)
    people, cases = complainers(3_000, np.random.default_rng(1))
    euro = recovery(people, cases, lot="arm", compensation="paid", value=300.0, currency="euro", **LIVES, **CASES)
    assert "a euro of compensation" in [*euro.what_it_is_worth().frame["what"]]
    shown = made_good.by_state(), made_good.by_lot(), made_good.what_it_is_worth()
    assert [table.name for table in shown] == ["states", "arms", "worth"]
    assert all(set(table.formats) <= set(table.frame) for table in shown)
    by_day = made_good.curve.groupby("day")["share"].sum()
    assert by_day.to_numpy() == pytest.approx(np.ones(len(by_day)))
    assert "associated" in made_good.headline() and "randomised" in made_good.headline()


def test_a_late_solution_alone_is_told_in_full():
    """Without a complaint rejected or withdrawn nothing stands before "one solved late"."""
    people, cases = complainers(3_000, np.random.default_rng(4))
    both, late = (recovery(people, c, **LIVES, **CASES) for c in (cases, cases[cases["outcome"] == "solved"]))
    assert late.ratio("failed") is None and "After one solved late, " in both.headline()
    assert late.headline().startswith("After a complaint solved late, customers leave ")


def test_without_a_lot_there_is_no_effect():
    """What was not randomised is associated; few departures give no ratio, or no answer."""
    people, cases = complainers(3_000, np.random.default_rng(4))
    found = recovery(people, cases, **LIVES, **CASES)
    with pytest.raises(CannotAnswer, match="chance decided neither"):
        found.by_lot()
    assert "randomised" not in found.headline() and "Let chance decide" in decision(*[Refusal("no")] * 3, found).do[-1]
    with pytest.raises(CannotAnswer, match="0 customers left within 90 days"):
        recovery(people.assign(off=pd.NaT), cases, **LIVES, **CASES)
    with pytest.raises(WorkbenchError, match="give whole days, 1 or more"):
        recovery(people, cases, window=0, **LIVES, **CASES)


def test_a_lot_after_which_few_left_is_no_lack_of_one():
    """Of 15 customers for whom chance decided too few left: it is not said that chance decided nothing."""
    people, cases = complainers(3_000, np.random.default_rng(4))
    found = recovery(people, cases.assign(arm=cases["arm"].where(cases.index < 15)), lot="arm", **LIVES, **CASES)
    with pytest.raises(CannotAnswer, match="chance decided neither compensation nor queue, or too few left"):
        found.by_lot()
    assert found.arms.empty and "until enough left to tell" in decision(*[Refusal("no")] * 3, found).do[-1]


def test_no_advice_to_work_on_what_is_not_on_record():
    """Of 100 leave 20, 12 and 2 or 9 by unknown causes: 9 may turn the order of the known, 2 may not."""
    for unknown, said in ((2, "Work on a first"), (9, "Record first why customers leave: for 9.0% of those who join")):
        why = (["a"] * 20 + ["b"] * 12 + [None] * unknown) * 50
        gone = pd.DataFrame({"why": why + ["a"] * (5_000 - len(why)), "on": SINCE, "off": pd.NaT})
        gone.loc[: len(why) - 1, "off"] = SINCE + pd.to_timedelta(np.arange(len(why)) % 300 + 1, unit="D")
        found = incidence(gone, cause="why", months=[12], **LIVES)
        assert decision(found, *[Refusal("no")] * 3).do[0].startswith(said)


def test_a_decision_agrees_with_its_interval(causes, made_good):
    """Drawn at random: an arm is kept or stopped, a competitor answered, only where the interval excludes 0."""
    rng = np.random.default_rng(5)
    flows = directions(*ports(), **PORTS)
    for _ in range(60):
        ends = np.sort(rng.normal(0, 4, 3))
        arm = dict(zip(("low", "percentage_points", "high"), ends, strict=True))
        drawn = dataclasses.replace(made_good, arms=made_good.arms.assign(**arm))
        net = dict(zip(("net_flow_low", "net_flow", "net_flow_high"), np.sort(rng.normal(0, 40, 3)), strict=True))
        flow = dataclasses.replace(flows, table=flows.table.assign(**net))
        first, second, *_ = decision(causes, flow, Refusal("no"), drawn).do
        assert second.startswith("Keep to") == (ends[2] < 0) and second.startswith("Stop") == (ends[0] > 0)
        assert first.startswith("Answer no") == (net["net_flow_high"] >= 0)


def test_groups_of_like_names_stay_apart():
    """'a, b' with 'c' and 'a' with 'b, c' are two groups, as are 'a|b' with 'c' and 'a' with 'b|c'."""
    rng = np.random.default_rng(5)
    table = lives(6_000, rng)
    for first, second in (("a, b", "b, c"), ("a|b", "b|c")):
        odd = rng.random(len(table)) < 0.3
        made = table.assign(one=np.where(odd, first, "a"), two=np.where(odd, "c", second))
        found = incidence(made, cause="why", by=["one", "two"], months=[12], **LIVES).table
        sizes = found.drop_duplicates("group").set_index("group")["customers"]
        assert len(sizes) == 3 and sizes["all"] == sizes.iloc[1:].sum()
        alone = incidence(made[odd], cause="why", months=[12], **LIVES).row()["incidence"]
        assert alone in found.loc[found["cause"] == "any_cause", "incidence"].tolist()


def test_columns_that_would_write_over_another_are_refused():
    """A column of `by` named like one of the cells; a set of columns given twice."""
    out = pd.DataFrame({"off": "2026-01-05", "to": ["B"] * 30, "reason": "price"})
    with pytest.raises(WorkbenchError, match="column of by 'reason' stands 2 times"):
        directions(
            out,
            out,
            left="off",
            destination="to",
            arrived="off",
            origin="to",
            by="reason",
            since="2026-01-01",
            as_of="2026-02-01",
        )
    base = pd.DataFrame({"id": range(100), "k": "a", "gone": [1, 0] * 50})
    with pytest.raises(WorkbenchError, match="set of columns 'k' stands 2 times"):
        churn_change(base, base, customer="id", left="gone", by=["k", ["k"]])


def test_the_arm_of_an_open_complaint_counts():
    """The lot is drawn at opening: complaints that are never closed are compared as the others."""
    rng = np.random.default_rng(8)
    people, cases = complainers(3_000, rng)
    still = cases.assign(
        closed=cases["closed"].where(cases.index % 2 == 0), outcome=cases["outcome"].where(cases.index % 2 == 0)
    )
    arms = [recovery(people, table, lot="arm", **LIVES, **CASES).arms for table in (cases, still)]
    pd.testing.assert_frame_equal(*arms)


def test_complaints_that_meet_nobody_are_said():
    """Ids of another table: the refusal names what was set aside."""
    people, cases = complainers(300, np.random.default_rng(9))
    with pytest.raises(CannotAnswer, match=r"Set aside: complaints of nobody in lives: \d+\."):
        recovery(people, cases.assign(id=cases["id"] + 10_000), **LIVES, **CASES)
