"""Fraud rules: what a file may hold, hits by hand, orders against all orders, and worlds whose truth is known."""

from functools import partial
from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies import fraud
from workbench.studies.fraud import RuleBase, anomalies, rule_base, rule_candidates

rule_hits = partial(fraud.rule_hits, as_of="2026-07-01")

RULE = """
[[rule]]
id = "{id}"
name = "a rule"
expression = "{expression}"
window = 30
threshold = 10
severity = "high"
action = "Ask."
owner = "us"
since = 2026-07-01
fires = {{ {fires} }}
spares = {{ {spares} }}
"""
ALL = [rule.id for rule in rule_base().rules]
WITHOUT = f"without = {ALL!r}\n".replace("'", '"')


def written(id="own", expression="calls >= threshold", fires="calls = 12", spares="calls = 3"):
    return RULE.format(id=id, expression=expression, fires=fires, spares=spares)


def own(tmp_path, *rules, top=WITHOUT):
    file = tmp_path / "规则.toml"
    file.write_text(top + "".join(rules), encoding="utf-8")
    return file


def windows(values, end="2026-07-01", **more):
    """Lines 0, 1, … with one column or several, in one window."""
    table = pd.DataFrame(values)
    table.insert(0, "subscription_id", np.arange(len(table)).astype(str))
    return table.assign(window_to=pd.Timestamp(end), window_days=30, exposed=10.0, **more)


def decided(rows):
    """Cases from (line, verdict, loss, source)."""
    table = pd.DataFrame(rows, columns=["subscription_id", "verdict", "loss", "source"])
    return table.assign(case_id=np.arange(len(table)).astype(str), subscription_id=table["subscription_id"].astype(str))


def test_the_rules_that_ship_are_proved():
    """Each fires on its own case and spares the other, and reads columns of the view alone."""
    from workbench.warehouse import sqlfiles

    columns = [name for name, _, _ in sqlfiles.described("line_fraud")]
    base = rule_base(columns=columns)
    assert base.windows == (30,) and all(rule.name_zh and rule.action_zh for rule in base.rules)
    assert {c for rule in base.rules for c in rule.columns} <= set(columns)


def test_an_operators_own_rules_stand_beside_them(tmp_path):
    """They come last, with ids of any script; those that ship can be left out."""
    base = rule_base(own(tmp_path, written("呼出过多"), top='without = ["velocity"]\n'))
    assert [rule.id for rule in base.rules] == [*(i for i in ALL if i != "velocity"), "呼出过多"]
    found = base.judged(
        windows({"calls": [12, 3]}).assign(
            **{c: 0.0 for r in base.rules for c in r.columns if c not in ("calls", "kind")}, kind="person"
        ),
        (1.0, 2.0),
    )
    assert found["呼出过多", 1.0].tolist() == [1, 0] and found["呼出过多", 2.0].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (
            [written(expression="call >= threshold", fires="call = 12", spares="call = 3")],
            "no column 'call' in the li",
        ),
        ([written(expression="calls > 1; drop table x")], "'own': 'calls > 1; drop table x' is not one expression"),
        ([written(expression="calls > (select 1)")], "rule 'own': a condition has no subquery"),
        ([written(expression="getenv(calls) > 1")], r"rule 'own': a condition has no function getenv\(\)"),
        ([written(), written()], "two have the id 'own'"),
        ([written("velocity").replace("window = 30", "window = 0")], "window is a whole number of days"),
        ([written().replace("threshold = 10", 'threshold = "x"')], "threshold is a number"),
        ([written().replace('"high"', '"hihg"')], "no severity 'hihg' in rule 'own'. Did you mean 'high'"),
        ([written().replace('owner = "us"', 'owner = ""')], "owner are texts that say something"),
        ([written().replace("2026-07-01", '"2026"')], "since is a day"),
        ([written().replace("action", "acton")], "no key 'acton' in rule 'own'. Did you mean 'action'"),
        ([written().replace("window = 30\n", "")], "rule 'own' lacks 'window'"),
        ([written(fires="calls = 3")], "does not fire on its own test case"),
        ([written(spares="calls = 30")], "fires on its own test case `spares`"),
        ([written(fires="cals = 12")], "gives cals, which the expression does not read; it reads calls"),
        (["[rule]\nid = 3\n"], "can't use|headed"),
        ([written().replace("[[rule]]", "[[rules]]")], "no key 'rules' in .* Did you mean 'rule'"),
    ],
)
def test_what_a_file_of_rules_may_not_hold(tmp_path, rules, words):
    """Each fault is one sentence that names the rule."""
    with pytest.raises(WorkbenchError, match=words) as refused:
        rule_base(own(tmp_path, *rules), columns=["calls"])
    assert "\n" not in str(refused.value)


def test_a_rule_left_out_must_be_there(tmp_path):
    """The nearest id is suggested; without any rule there is nothing to do."""
    with pytest.raises(WorkbenchError, match=r"no rule 'velocty' in rules\.toml\. Did you mean 'velocity'"):
        rule_base(own(tmp_path, top='without = ["velocty"]\n'))
    with pytest.raises(WorkbenchError, match="the rules: there is none"):
        rule_base(own(tmp_path))


@pytest.fixture
def three(tmp_path):
    """Rules a, b and c, on columns of their names."""
    rules = [written(c, f"{c} >= threshold", f"{c} = 12", f"{c} = 3") for c in "abc"]
    return rule_base(own(tmp_path, *rules))


def test_hits_by_hand(three):
    """Eight lines, one in two windows: alone, in the best order, by window, at other thresholds, the list."""
    lines = windows(
        {"a": [12, 12, 12, 0, 0, 0, 0, 0], "b": [0, 0, 12, 12, 0, 0, 0, 19], "c": [12, 0, 0, 0, 0, 0, 0, 0]}
    )
    before = lines[:2].assign(window_to=pd.Timestamp("2026-06-01"), a=[0, 30], b=[25, np.nan], exposed=[50.0, 90.0])
    cases = decided(
        [
            (0, "fraud", 100, "rule"),
            (1, "honest", 0, "rule"),
            (2, "fraud", 40, "audit"),
            (3, "honest", 0, "audit"),
            (4, "fraud", 7, "audit"),
            (5, "honest", 0, "audit"),
            (7, "fraud", 9, "tip"),
            (6, None, np.nan, "rule"),
            (99, "fraud", 5, "rule"),
        ]
    )
    found = rule_hits(pd.concat([lines, before]), three, cases, per_day=4 / 60, case_cost=5, currency="yuan")
    alone = found.table.set_index("rule")
    assert alone["hits"].tolist() == [3, 4, 1] and alone["exposed"].tolist() == [10 + 90 + 10, 50 + 30, 50]
    assert alone.loc["a", ["decided", "fraud", "precision", "audited", "audit_precision"]].tolist() == [2, 1, 0.5, 1, 1]
    assert alone.loc["a", ["recall", "lift"]].tolist() == [0.5, 0.5 / (2 / 4)] and found.base == (2, 4)
    assert alone.loc["b", ["decided", "audited", "audit_fraud", "recall"]].tolist() == [1, 2, 1, 0.5]
    assert alone["unknown"].tolist() == [0, 1, 0] and found.told == (1, 1) and found.days == 60
    order = found.order
    assert order["rule"].tolist() == ["c", "a", "b"] and order["hits"].tolist() == [1, 2, 2]
    assert order["found"].tolist() == [100, 40, 0] and order["net_case"].tolist() == [95, 15, -5]
    assert order["cases"].tolist() == [1, 3, 5] and order["worked"].tolist() == [1, 2, 1]
    assert order["advice"].tolist() == ["keep", "keep", "decide cases"]
    assert order["rest"].tolist() == [0.5, 0.5, 1 / 3]
    assert found.worklist["subscription_id"].tolist() == ["0", "1", "2", "3", "7"]
    assert found.worklist["rules"].tolist() == [3, 1, 2, 1, 1]
    pairs = found.overlap.set_index(["rule", "other"])
    assert pairs["both"].to_dict() == {("a", "b"): 2, ("a", "c"): 1, ("b", "c"): 1}
    assert pairs.loc[("a", "b"), ["of_rule", "of_other"]].tolist() == [2 / 3, 2 / 4]
    by_window = found.trend.set_index(["rule", "window_to"])["hits"]
    assert by_window["b"].tolist() == [1, 3] and by_window["a"].tolist() == [1, 3]
    twice = found.curve.query("threshold == 20").set_index("rule")["hits"]
    assert twice.to_dict() == {"a": 1, "b": 1, "c": 0}
    assert found.set_aside == {"not_decided": 1, "other_lines": 1}
    assert set(found.rest(lines)["subscription_id"]) == {"4", "5", "6"}


def test_rules_to_retire(three):
    """Nothing new, fewer frauds than among the rest, dearer than it finds, silent: each for its own reason."""
    n = 4_000
    lines = windows(
        {"a": np.where(np.arange(n) < 2_000, 12, 0), "b": np.where(np.arange(n) < 100, 12, 0), "c": np.zeros(n)}
    )
    rest = [(k, "fraud" if k < 2_030 else "honest", 900 * (k < 2_030), "audit") for k in range(2_000, 2_300)]
    sent = [(k, "fraud" if k < 10 else "honest", 900 * (k < 10), "rule") for k in range(1_000)]
    order = rule_hits(lines, three, decided(sent + rest), case_cost=5).order.set_index("rule")
    assert order["advice"].to_dict() == {"b": "keep", "a": "below the rest", "c": "no hit"}
    order = rule_hits(lines, three, decided(sent), case_cost=20).order.set_index("rule")
    assert order.loc["a", "advice"] == "costs more" and order.loc["b", "advice"] == "keep"
    both = lines.assign(c=lines["b"])
    order = rule_hits(both, three, decided(sent), case_cost=5).order.set_index("rule")
    assert order.loc["c", "advice"] == "nothing new"


def test_the_best_order_is_near_the_best_of_all_orders(three):
    """Over 12 worlds the money confirmed within the capacity is near that of the best of all six orders."""
    ratios = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        hit = rng.random((60, 3)) < rng.random(3)
        loss = np.where(rng.random(60) < 0.4, rng.exponential(100, 60), 0)
        cases = decided([(k, "fraud" if x else "honest", x, "rule") for k, x in enumerate(loss)])
        lines = windows(dict(zip("abc", np.where(hit, 12, 0).T, strict=True)))
        found = rule_hits(lines, three, cases, per_day=0.5, case_cost=0)

        def money(order, hit=hit, loss=loss):
            left, room, total = np.ones(60, bool), 15.0, 0.0
            for j in order:
                new = left & hit[:, j]
                total += loss[new].sum() * min(1.0, room / max(new.sum(), 1))
                room, left = max(room - new.sum(), 0.0), left & ~hit[:, j]
            return total

        best = max(money(order) for order in permutations(range(3)))
        assert found.order["worked"].sum() == min(15, hit.any(axis=1).sum())
        ratios.append(money([list("abc").index(rule) for rule in found.order["rule"]]) / best)
    assert min(ratios) > 0.63 and np.mean(ratios) > 0.97


def test_what_rules_sent_flatters_and_the_audit_does_not(three):
    """Where suspicion chooses what is looked at, precision lies above the truth; the audit's interval holds it."""
    held, sent, recall = [], [], []
    for seed in range(30):
        rng = np.random.default_rng([7, seed])
        hit, fraud = rng.random(4_000) < 0.2, rng.random(4_000) < 0.02
        fraud |= hit & (rng.random(4_000) < 0.3)
        looked = rng.random(4_000) < np.where(fraud, 0.5, 0.1)
        audit = rng.random(4_000) < 0.1
        words = np.where(fraud, "fraud", "honest")
        cases = decided(
            [(k, words[k], 1.0, "rule") for k in np.flatnonzero(looked)]
            + [(k, words[k], 1.0, "audit") for k in np.flatnonzero(audit)]
        )
        row = rule_hits(windows({"a": np.where(hit, 12, 0), "b": 0, "c": 0}), three, cases).table.iloc[0]
        held.append(row["audit_low"] <= fraud[hit].mean() <= row["audit_high"])
        sent.append(row["precision"] - fraud[hit].mean())
        recall.append(row["recall"] - hit[fraud].mean())
    assert np.mean(held) > 0.88 and min(sent) > 0.1
    assert abs(np.mean(recall)) < 3 * np.std(recall) / np.sqrt(30)


def world(seed, n=3_000, planted=True):
    """Lines of six columns of noise; of those whose x lies over 2 and y under 0, most cheat."""
    rng = np.random.default_rng([3, seed])
    table = pd.DataFrame(rng.standard_normal((n, 6)), columns=list("uvwxyz"))
    odds = np.where((table["x"] > 2) & (table["y"] < 0), 0.9, 0.005) if planted else 0.02
    fraud = rng.random(n) < odds
    looked = fraud | (rng.random(n) < 0.1)
    source = np.where(rng.random(n) < 0.5, "audit", "rule")
    cases = decided([(k, "fraud" if fraud[k] else "honest", 50.0, source[k]) for k in np.flatnonzero(looked)])
    return windows(table.to_dict("list"), a=0, b=0, c=0), cases


def test_a_planted_rule_is_suggested_and_noise_is_not(three, tmp_path):
    """The tree finds the planted one, prints it so that it is read once it is signed; of noise little holds."""
    lines, cases = world(0)
    found = rule_candidates(lines, three, cases)
    kept = found.table[found.holds]
    assert (
        len(kept) == 1 and kept["low"].iloc[0] > 10 * found.base and kept["new_frauds"].iloc[0] == kept["fraud"].iloc[0]
    )
    assert set(found.expressions[found.holds.argmax()].split()) >= {"x", ">", "y", "<="}
    file = own(tmp_path, found.toml)
    with pytest.raises(WorkbenchError, match="rule 'candidate_1': id, name, action, owner are texts"):
        rule_base(file)
    file.write_text(file.read_text().replace('""', '"us"'), encoding="utf-8")
    assert (rule_base(file).judged(lines)["candidate_1", 1.0] == 1).sum() >= kept["hits"].iloc[0]
    noise = [world(k, planted=False) for k in range(8)]
    assert sum(rule_candidates(table, three, told).holds.sum() for table, told in noise) <= 1
    with pytest.raises(CannotAnswer, match="5 frauds are known among these lines, and 12 are needed"):
        few = cases[cases["verdict"] == "fraud"].head(5)
        rule_candidates(lines, three, few)


def test_anomalies_against_a_random_list():
    """Cheats that are far off are found; where cheating has nothing to do with it, the list says so."""
    lines, cases = world(1, 1_000, planted=False)
    far = lines.copy()
    cheats = set(cases.loc[cases["verdict"] == "fraud", "subscription_id"])
    far.loc[far["subscription_id"].isin(cheats), ["x", "y"]] = 9.0, -8.0
    found = anomalies(far, cases, size=60)
    assert found.better and found.found > 0.8 * found.fraud and "it is better than random" in found.headline()
    assert found.table.loc[:1, "reason"].sort_values().tolist() == ["x", "y"]
    honest = [anomalies(*world(k, 800, planted=False), size=60).better for k in range(2, 5)]
    assert sum(honest) <= 1
    plain = anomalies(lines, cases, size=60)
    assert "no better than random" in plain.headline()
    assert anomalies(lines, cases.assign(verdict="honest"), size=60).headline().startswith("No fraud is known")
    with pytest.raises(CannotAnswer, match="60 lines are left"):
        anomalies(lines[:60], cases, size=60)


def test_windows_verdicts_and_sources_that_cannot_be(three):
    """Windows of other days, unknown verdicts, nothing decided: one sentence each."""
    lines = windows({"a": [12, 0], "b": 0, "c": 0})
    cases = decided([(0, "fraud", 1, "rule")])
    for table, told, words in (
        (lines.assign(window_days=7), cases, "rule 'a' looks at 30 days; the windows of lines have 7"),
        (
            lines,
            cases.assign(verdict="fruad"),
            "'verdict' of cases is one of honest, fraud, not 'fruad'. Did you mean 'fraud'",
        ),
        (lines, cases.assign(source="x"), "'source' of cases is one of rule, audit, tip"),
        (lines, cases.assign(verdict=None), "no case of these lines is decided"),
        (pd.concat([lines, lines]), cases, "more than once"),
    ):
        with pytest.raises(WorkbenchError, match=words):
            rule_hits(table, three, told)
    for wrong in ({"per_day": 0}, {"per_day": np.inf}, {"case_cost": np.inf}, {"case_cost": np.nan}):
        with pytest.raises(WorkbenchError, match="per_day is above 0"):
            rule_hits(lines, three, cases, **wrong)
    assert isinstance(three, RuleBase)


def test_the_guide_holds(request, tmp_path):
    """The example of the chapter is read as it stands there, and fires on columns of the view."""
    from workbench.warehouse import sqlfiles

    text = (request.config.rootpath / "docs/methods/fraud.md").read_text(encoding="utf-8")
    example = text.split("```toml\n")[1].split("```")[0]
    file = own(tmp_path, "\n".join(line.strip() for line in example.splitlines()), top='without = ["velocity"]\n')
    base = rule_base(file, columns=[name for name, _, _ in sqlfiles.described("line_fraud")])
    assert base.rules[-1].id == "night_shift" and "velocity" not in [rule.id for rule in base.rules]


@pytest.fixture
def one(tmp_path):
    """A rule on calls, and 1,000 lines of which it finds the first hundred."""
    base = rule_base(own(tmp_path, written()), columns=["calls"])
    return base, windows({"calls": np.r_[np.full(100, 20.0), np.ones(900)]})


def sent(frauds, loss=500.0, source="rule"):
    return [(i, "fraud" if i < frauds else "honest", loss if i < frauds else 0.0, source) for i in range(100)]


def test_a_loss_that_is_not_recorded_is_not_0(one):
    """It counts at the mean of the others, and where none is recorded no rule is retired for it."""
    base, lines = one
    rows = sent(60)
    some = [(i, v, np.nan if 30 <= i < 60 else loss, s) for i, v, loss, s in rows]
    full, part = (rule_hits(lines, base, decided(r)) for r in (rows, some))
    assert full.order["found"].item() == part.order["found"].item() == 60 * 500
    assert part.order["unpriced"].item() == 30 and "Of 60 frauds that the rules find, 30 have" in part.headline()
    assert full.order["unpriced"].item() == 0 and "recorded" not in full.headline()
    none = rule_hits(lines, base, decided([(i, v, np.nan, s) for i, v, _, s in rows]))
    assert none.order["advice"].item() == "no loss recorded" and np.isnan(none.order["found"].item())
    assert "None of the 60" in none.headline() and "Record the losses" in none.decision().do[0]
    below = [(i, v, -500.0 if 30 <= i < 60 else loss, s) for i, v, loss, s in rows]
    assert rule_hits(lines, base, decided(below)).order["found"].item() == 60 * 500


def test_a_few_audited_lines_retire_no_rule_and_a_hundred_honest_ones_do(one):
    """The rest must be known to be worse; a rule whose hits are all decided honest finds nothing."""
    base, lines = one
    for more in (
        [(500, "fraud", 100.0, "audit")],
        [(500 + k, "fraud" if k else "honest", 100.0, "audit") for k in range(3)],
    ):
        assert rule_hits(lines, base, decided(sent(30) + more)).order["advice"].item() == "keep"
    many = [(500 + k, "fraud", 100.0, "audit") for k in range(40)]
    assert rule_hits(lines, base, decided(sent(10) + many)).order["advice"].item() == "below the rest"
    honest = rule_hits(lines, base, decided(sent(0)))
    assert honest.order["advice"].item() == "no fraud" and honest.decision().do[0].startswith("Retire")


def test_days_are_those_that_windows_cover(one):
    """A stray window adds its own days alone; half a case a day is said; two lengths may end on one day."""
    base, lines = one
    stray = lines[500:501].assign(window_to=pd.Timestamp("2025-01-01"))
    assert rule_hits(lines, base, decided(sent(60))).days == 30
    found = rule_hits(pd.concat([lines, stray]), base, decided(sent(60)), per_day=0.5)
    assert found.days == 60 and "0.5 a day" in found.decision().do[0]
    both = rule_hits(pd.concat([lines, lines.assign(window_days=7)]), base, decided(sent(60)))
    assert both.days == 30 and both.order["hits"].item() == 100


def test_no_window_lies_in_the_future(one):
    """A window that ends after as_of is refused with its number; one that ends on it is not."""
    base, lines = one
    stray = lines[500:502].assign(window_to=pd.Timestamp("2099-01-01"))
    with pytest.raises(WorkbenchError, match="2 windows of lines end after as_of, 2026-07-01"):
        rule_hits(pd.concat([lines, stray]), base, decided(sent(60)))


def test_a_rule_is_kept_for_ten_decided_cases_or_all_of_its_own(one):
    """One dear fraud among a hundred hits keeps no rule; nine do not, ten do, and so do two of two hits."""
    base, lines = one
    for n, advice in ((1, "decide cases"), (9, "decide cases"), (10, "keep")):
        found = rule_hits(lines, base, decided([(i, "fraud", 1e5, "rule") for i in range(n)]))
        assert found.order["advice"].item() == advice
        assert found.headline().startswith("No rule" if n < 10 else "1 of 1 rules earn")
    both = lines.assign(calls=np.where(np.arange(1_000) < 2, 20.0, 1.0))
    two = rule_hits(both, base, decided([(i, "fraud", 1e5, "rule") for i in range(2)]))
    assert two.order["advice"].item() == "keep"


def test_recall_has_an_end_where_the_audit_found_no_fraud(one):
    """Of 900 lines left 185 were audited without a fraud: Wilson's upper end of 0 of 185 is z² / (185 + z²)."""
    base, lines = one
    found = rule_hits(lines, base, decided(sent(60) + [(200 + i, "honest", 0.0, "audit") for i in range(185)]))
    upper = 1.959964**2 / (185 + 1.959964**2)
    assert found.missed == (0, 185) and np.isnan(found.table["recall"].item())
    assert found.table["recall_low"].item() == pytest.approx(60 / (60 + 900 * upper), abs=1e-6)
    assert f"at most 2.0% of such lines do (18), so rules find {60 / (60 + 900 * upper):.1%} of all" in found.headline()
    assert "lower end alone" in found.as_table().caption and "recall_low" in found.as_table().frame
    three = rule_hits(lines, base, decided(sent(60) + [(100 + i, "fraud", 9.0, "audit") for i in range(3)]))
    assert three.table["recall"].item() == 0 and three.missed == (3, 3)


@pytest.mark.parametrize("form", [int, float])
def test_line_numbers_find_their_cases_in_any_form(one, form):
    """Numbers that became floats find the cases of the same lines, as text and whole numbers do."""
    base, lines = one
    odd, cases = lines.assign(subscription_id=lines["subscription_id"].astype(form)), decided(sent(60))
    assert rule_hits(odd, base, cases).headline() == rule_hits(lines, base, cases).headline()
    assert anomalies(odd, cases, size=20).fraud == anomalies(lines, cases, size=20).fraud == 60


def test_names_of_columns_decide_nothing(three):
    """Columns of other names and in another order give the same list and the same suggestions."""
    lines, cases = world(0, 900)
    other = lines.rename(columns=dict(zip("uvwxyz", "zyxwvu", strict=True)))[
        [*"xwc", *lines.columns.difference([*"xwc"])]
    ]
    found, again = (anomalies(table, cases, size=20).listed for table in (lines, other))
    assert found["subscription_id"].tolist() == again["subscription_id"].tolist()
    in_fen = anomalies(lines.assign(x=lines["x"] * 100), cases, size=20).listed
    assert found["subscription_id"].tolist() == in_fen["subscription_id"].tolist()
    first, second = (rule_candidates(table, three, cases).table for table in (lines, other))
    pd.testing.assert_frame_equal(first, second)


def test_a_missing_value_lies_below_all_others(three):
    """Frauds near 0 are told from honest lines whose balance is missing, though others go far below -1."""
    rng = np.random.default_rng(0)
    fraud = np.arange(2_000) < 100
    far = np.where(rng.random(2_000) < 0.5, rng.uniform(-500, -50, 2_000), rng.uniform(50, 500, 2_000))
    balance = np.where(fraud, rng.normal(0, 1, 2_000), np.where(rng.random(2_000) < 0.3, np.nan, far))
    lines = windows({"balance": balance, "z": rng.normal(size=2_000)}, a=0, b=0, c=0)
    cases = decided([(i, "fraud" if fraud[i] else "honest", 100.0, "rule") for i in range(2_000)])
    found = rule_candidates(lines, three, cases)
    assert found.holds.tolist() == [True] and found.table["confirmed"].item() == 1
    assert "coalesce(balance, -1000)" in found.expressions[0]
    listed = anomalies(lines, cases, size=5)
    assert "missing" in " ".join(anomalies(lines, cases, size=1_000).listed["reasons"]) and len(listed.listed) == 5
    with pytest.raises(WorkbenchError, match="size is a whole number of lines from 1"):
        anomalies(lines, cases, size=50.5)


def test_captions_say_which_cases_count(one):
    """Alone those of rules, in order those of the audit too; columns that are not shown are not explained."""
    base, lines = one
    audit = [(5 + 100 * k, "honest" if k else "fraud", 100.0, "audit") for k in range(4)]
    for told, there in ((sent(60), False), (sent(60) + audit, True)):
        found = rule_hits(lines, base, decided(told))
        alone, order = found.as_table(), found.ordered()
        assert "without the audit" in alone.caption and "rules and the audit" in order.caption
        assert ("Recall" in alone.caption) == ("recall" in alone.frame) == there
        assert ("Rest:" in order.caption) == ("rest" in order.frame) == there


def test_a_picture_without_losses_is_drawn(one):
    """Where no loss is recorded the bars are empty, and the tables are still shown."""
    base, lines = one
    found = rule_hits(lines, base, decided(sent(60, np.nan)))
    assert found.plot().get_xlabel() and found.ordered().frame["found"].isna().all() and len(found.tiles()) == 3
