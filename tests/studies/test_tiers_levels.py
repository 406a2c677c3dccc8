"""Tiers: by hand, against a slow twin, by property, on the sample operator, and what is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.tiers import EXCLUDED, LEFT, TierRules, tier_rules, tiers
from workbench.warehouse import customer_features, monthly_values, open_warehouse

RULES = TierRules(
    names=("top", "mid", "low"), names_zh=("上", "中", "下"), enter=(100, 50), keep=(0.8, 0.8), months=1, grace=1
)
COLUMNS = {"customer": "id", "value": "value", "period": "month"}
HISTORY = {
    "up": [10, 120, 120, 120, 120, 120],
    "down": [120, 10, 10, 10, 10, 10],
    "hysteresis": [120, 85, 85, 90, 79, 85],
    "flips": [105, 95, 105, 95, 105, 95],
    "new": [None, None, 60, 30, 30, 30],
    "gone": [60, 60, 60, None, None, None],
    "back": [60, None, None, None, 120, 10],
    "falls now": [60, 60, 60, 60, 30, 30],
}


def long(history):
    """Rows of customer, month and value, where there is one."""
    rows = [(c, m, v) for c, values in history.items() for m, v in enumerate(values) if v is not None and v == v]
    return pd.DataFrame(rows, columns=["id", "month", "value"])


def at(history, month, rules=RULES):
    """Tier of each customer as of a month."""
    values = long(history)
    return tiers(values[values["month"] <= month], **COLUMNS, rules=rules).customers.set_index("id")


def path(history, customer, rules=RULES):
    """Tiers of a customer month by month; "-" before it is one."""
    return "".join(at(history, m, rules)["tier"].get(customer, "-")[0] for m in range(rules.months - 1, 6))


def test_paths_by_hand():
    """One step up at a time; two periods below to fall; between stay and entry nothing moves; new ones have grace."""
    paths = {c: path(HISTORY, c) for c in HISTORY}
    assert paths == {
        "up": "lmtttt",
        "down": "ttmmll",
        "hysteresis": "tttttt",
        "flips": "tttttt",
        "new": "--mmll",
        "gone": "mmmlll",  # left
        "back": "mllltt",  # left, then new
        "falls now": "mmmmml",
    }
    assert path(HISTORY, "new", replace(RULES, grace=2)) == "--mmml"
    assert path(HISTORY, "up", replace(RULES, enter_after=2)) == "llmmtt"
    assert path(HISTORY, "down", replace(RULES, demote_after=1)) == "tmllll"


def test_credit_notes_by_hand():
    """A value below 0 is a value: it stands in the last tier, lowers the sum (120 of 120 + 60 - 20), and is told."""
    found = tiers(long({"a": [120], "b": [60], "c": [-20]}), **COLUMNS, rules=replace(RULES, months=1))
    assert found.customers["tier"].tolist() == list(RULES.names)
    assert found.table["value_share"].tolist() == pytest.approx([120 / 160, 60 / 160, -20 / 160])
    assert "1 of those in tiers have a value below 0" in found.headline()
    with pytest.raises(CannotAnswer, match=r"bring −40\.00 in the last period"):
        tiers(long({"a": [120], "b": [60], "c": [-220]}), **COLUMNS, rules=replace(RULES, months=1))


def test_why_since_and_near_by_hand():
    """Each customer's tier says since when and why, and what is near."""
    last = at(HISTORY, 5, replace(RULES, grace=2))
    assert last["why"].to_dict() == {
        "up": "value",
        "down": "value",
        "hysteresis": "hysteresis",
        "flips": "hysteresis",
        "new": "demoted",
        "gone": "left",
        "back": "grace",
        "falls now": "demoted",
    }
    assert last["since"].to_dict() == {
        "up": 2,
        "down": 4,
        "hysteresis": 0,
        "flips": 0,
        "new": 5,
        "gone": 3,
        "back": 4,
        "falls now": 5,
    }
    assert last["near"].to_dict()["hysteresis"] == last["near"]["back"] == "demotion"
    assert at(HISTORY, 1)["why"]["up"] == "entered"
    assert at(HISTORY, 1, replace(RULES, enter_after=2))["why"]["up"] == "waiting"
    assert at({"a": [46], "b": [44], "c": [95]}, 0)["near"].tolist() == ["next tier", "", "next tier"]


def test_reasons_stand_in_the_order_of_tiers():
    """From the first tier down, whatever its name; who is in none comes last; the commonest reason first."""
    found = tiers(long(HISTORY), **COLUMNS, rules=RULES).reasons().frame
    places = found["tier"].map({name: k for k, name in enumerate(RULES.names)}).fillna(len(RULES.names))
    assert places.is_monotonic_increasing and len(set(found["tier"])) > 2 and found["tier"].iloc[0] == "top"
    assert found.groupby("tier")["customers"].apply(lambda n: n.is_monotonic_decreasing).all()


def test_moves_avoided_by_hand():
    """Moves by value alone 1 + 1 + 1 + 5 + 1 + 1 + 1, by the rules 2 + 2 + 0 + 0 + 1 + 0 + 1; flips back and forth."""
    result = tiers(long(HISTORY), **COLUMNS, rules=RULES)
    assert result.changes[["with_rules", "without"]].sum().tolist() == [6, 11]
    assert result.avoided[0] == pytest.approx(1 - 6 / 11)
    assert result.flip_flops[0] == 0 and result.flip_flops[1] > 0
    assert "avoid 45%" in result.headline()


def test_what_nobody_shows_otherwise_has_an_interval_still():
    """Where the rules avoid every move of two customers, who moved 5 and 5 times, the share is Wilson's of 2."""
    result = tiers(long({"a": [120, 90] * 3, "b": [120, 90] * 3, "c": [10] * 6}), **COLUMNS, rules=RULES)
    assert result.changes[["with_rules", "without"]].sum().tolist() == [0, 10]
    assert result.avoided == pytest.approx((1.0, 1 / (1 + 1.959964**2 / 2), 1.0))
    assert "avoid 100% (34% to 100%) of the moves" in result.headline()


def test_value_is_the_mean_of_the_window():
    """Three months' mean, of fewer for a newcomer, and none of the months before a gap."""
    history = {"old": [10, 20, 60], "new": [None, 30, 60], "back": [500, None, 40]}
    found = at(history, 2, replace(RULES, months=3))
    assert found["value"].to_dict() == {"back": 40, "new": 45, "old": 30}


def slow(values, rules):
    """The rules again, one customer and period at a time."""
    tier, up, down, since_new, found = None, 0, 0, 99, []
    stays = [max(e * k, n) for e, k, n in zip(rules.enter, rules.keep, [*rules.enter[1:], -np.inf], strict=True)]
    for t, x in enumerate(values):
        if np.isnan(x):
            tier = None
        elif tier is None:
            tier, up, down = sum(x < e for e in rules.enter), 0, 0
            since_new = 1 if t else 99
        else:
            since_new += 1
            up = up + 1 if tier > 0 and x >= rules.enter[tier - 1] else 0
            below = tier < len(stays) and x < stays[tier] and since_new > rules.grace
            down = down + 1 if below else 0
            if up >= rules.enter_after:
                tier, up = tier - 1, 0
            elif down >= rules.demote_after:
                tier, down = tier + 1, 0
        found.append(-1 if tier is None else tier)
    return found


VALUES = arrays(float, (4, 7), elements=st.sampled_from([np.nan, 5, 41, 49, 50, 79, 81, 99, 100, 150]))


@settings(max_examples=30, deadline=None)
@given(VALUES, st.integers(1, 3), st.integers(2, 3), st.integers(0, 3), st.integers(0, 99))
def test_history_holds_the_rules(matrix, enter_after, demote_after, grace, seed):
    """Equal to the slow twin; never two steps, never down sooner than allowed; row order is nothing; nobody is lost."""
    rules = replace(RULES, enter_after=enter_after, demote_after=demote_after, grace=grace)
    matrix[0] = 60
    history = {f"c{i}": row for i, row in enumerate(matrix)}
    paths = np.array(
        [
            [
                {"top": 0, "mid": 1, "low": 2}.get(tier, -1)
                for tier in at(history, m, rules)["tier"].reindex(list(history))
            ]
            for m in range(matrix.shape[1])
        ]
    ).T
    assert paths.tolist() == [slow(row, rules) for row in matrix]
    step = np.diff(paths, axis=1)
    step[(paths[:, 1:] < 0) | (paths[:, :-1] < 0)] = 0
    assert np.abs(step).max() <= 1
    for row, moved in zip(paths, step, strict=True):
        for t in np.flatnonzero(moved > 0):
            assert t + 1 >= demote_after and len(set(row[t + 1 - demote_after : t + 1])) == 1
    values = long(history)
    one = tiers(values, **COLUMNS, rules=rules)
    other = tiers(values.sample(frac=1, random_state=seed), **COLUMNS, rules=rules)
    pd.testing.assert_frame_equal(one.customers, other.customers)
    assert one.table["customers"].sum() == values["id"].nunique()


def base(values):
    """Customers with an ARPU, of one period."""
    return pd.DataFrame({"id": range(len(values)), "arpu": values})


def of_shares(*shares):
    """Rules for so many tiers by share."""
    names = tuple("abcdef"[: len(shares)])
    return TierRules(names=names, names_zh=names, share=shares, keep=(0.9,) * (len(shares) - 1))


def test_tiers_by_share_by_hand():
    """Of 100 distinct customers, 1, 4, 15 and 80 are diamond, gold, silver and basic; stay never lies below entry."""
    result = tiers(base(np.arange(100.0)), customer="id", value="arpu")
    assert result.table["customers"].tolist() == [1, 4, 15, 80]
    assert result.table["from_value"].tolist() == [99, 95, 80, -np.inf]
    assert result.table["stay_value"].tolist() == [95, 95 * 0.85, 68, -np.inf]
    assert result.table["value_share"].sum() == pytest.approx(1)
    assert "Diamond from 99.00 yuan (1)" in result.headline() and "no data on: staff" in result.headline()
    again = tiers(base(np.arange(100.0)), customer="id", value="arpu", rules=result.rules)
    assert again.table["customers"].tolist() == [1, 4, 15, 80]


def test_ties_share_a_tier():
    """Customers at the same value are never split; the threshold takes the closest share, the larger of two."""
    values = base(np.array([9.0] * 3 + [5.0] * 3 + [1.0] * 4))
    for share, sizes in ((0.4, [3, 7]), (0.45, [6, 4])):
        result = tiers(values, customer="id", value="arpu", rules=of_shares(share, 1 - share))
        assert result.table["customers"].tolist() == sizes


def test_who_may_lose_an_upper_tier():
    """Near the stay threshold (8, near up to 12; 4, up to 6), in all tiers but the last two."""
    rules = TierRules(names=("a", "b", "c"), names_zh=("甲", "乙", "丙"), enter=(10, 5), keep=(0.8, 0.8), near=0.5)
    result = tiers(base(np.array([20.0, 11.0, 5.0, 1.0])), customer="id", value="arpu", rules=rules)
    assert (result.customers["near"] == "demotion").tolist() == [False, True, True, False]
    assert result.near_demotion()["value"].tolist() == [11.0]


def test_exclusions_are_counted_and_outside():
    """Excluded customers have no tier, reasons are joined, shares leave them out; what no column tells is said."""
    table = base(np.arange(100.0)).assign(is_staff=False, arrears_days=np.nan)
    table.loc[99, ["is_staff", "arrears_days"]] = [True, 61]
    table.loc[98, "arrears_days"] = 60
    result = tiers(table, customer="id", value="arpu")
    out = result.customers[result.customers["tier"] == EXCLUDED]
    assert out["excluded_for"].tolist() == ["staff; arrears over 60 days"] and out["held"].tolist() == ["diamond"]
    assert result.exclusions == {"staff": 1, "arrears over 60 days": 1} and result.unchecked == ("fraud flag",)
    assert result.table.set_index("tier").loc["diamond", "from_value"] == 98
    assert result.table["share"].sum() == pytest.approx(1)
    assert {q.name for q in result.quantities()} >= {"tier_share[diamond]", "tier_value_share[gold]"}


@pytest.mark.parametrize("written", [str, float, lambda who: f"{who}.0"], ids=["text", "float", "another text"])
def test_exclusions_find_their_customers_however_ids_are_written(written):
    """Numbers as text or as floats are the same ids; ids of nobody here are refused, not read as no exclusion."""
    rules = replace(tier_rules(), enter=(50, 20, 10), share=(), exclude=({"reason": "staff", "column": "is_staff"},))
    flags = pd.DataFrame({"id": [*map(written, range(3))], "is_staff": pd.array([True, False, None], "boolean")})
    asked = {"customer": "id", "value": "arpu", "rules": rules, "flags": flags}
    if flags["id"].iloc[0] == "0.0":
        with pytest.raises(WorkbenchError, match="flags: some of its 'id' are those of values"):
            tiers(base([60.0, 30.0, 5.0]), **asked)
    else:
        assert tiers(base([60.0, 30.0, 5.0]), **asked).exclusions == {"staff": 1}


def test_who_has_left_is_not_excluded():
    """What flags still say of them counts nowhere: same thresholds, sizes and counts as without their rows."""
    history = {k: [float(v), float(v)] for k, v in enumerate(range(10, 110))} | {100: [500.0, None], 101: [40.0, None]}
    flags = pd.DataFrame({"id": range(102), "is_staff": [k in (5, 100, 101) for k in range(102)]})
    rules = replace(tier_rules(), months=1)
    all_of_them = tiers(long(history), **COLUMNS, rules=rules, flags=flags)
    active = tiers(long(history), **COLUMNS, rules=rules, flags=flags[flags["id"] < 100])
    pd.testing.assert_frame_equal(all_of_them.customers, active.customers)
    assert all_of_them.rules.enter == active.rules.enter == (500.0, 106.0, 91.0)
    assert all_of_them.exclusions["staff"] == (all_of_them.customers["tier"] == EXCLUDED).sum() == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"names": ("top", "top", "low")}, "unique names"),
        ({"names": ("top", "mid", "left")}, "none of them"),
        ({"share": (0.1, 0.2, 0.7)}, "not both"),
        ({"share": (0.5, 0.6, 0.7), "enter": ()}, "add up to 1"),
        ({"enter": (50, 100)}, "falling"),
        ({"keep": (0.8, 1.0)}, "stay threshold lies below"),
        ({"keep": (0.4, 0.8)}, "below the entry of the next"),
        ({"demote_after": 0}, "whole numbers"),
        ({"exclude": ({"column": "x"},)}, "an exclusion has reason"),
    ],
)
def test_rules_are_proved(change, words):
    """Rules that contradict each other are refused when made."""
    with pytest.raises(WorkbenchError, match=words):
        replace(RULES, **change)


def test_rules_from_a_file(tmp_path):
    """Rules of one's own are read; an unknown key, no TOML and no file are refused."""
    file = tmp_path / "rules.toml"
    file.write_text('names = ["a", "b"]\nnames_zh = ["甲", "乙"]\nenter = [5]\nkeep = [0.9]\n', encoding="utf-8")
    assert tier_rules(file).enter == (5,)
    for text, words in (
        ("entry = [5]", r"no key 'entry' in .*rules\.toml\. Did you mean 'enter'"),
        ("a =", "can't use"),
        ('keep = "x"', "lacks 'names', 'names_zh'"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(WorkbenchError, match=words):
            tier_rules(file)
    with pytest.raises(WorkbenchError, match="No such file"):
        tier_rules(tmp_path / "absent.toml")


def test_what_is_refused():
    """All ties, ties over two borders, nobody to rank, too few periods, doubles, gaps and texts."""
    for values, rules in (
        (np.ones(50), None),
        (np.repeat([1.0, 2, 3, 4], [97, 1, 1, 1]), of_shares(0.01, 0.04, 0.45, 0.5)),
    ):
        with pytest.raises(CannotAnswer, match="no tiers by share"):
            tiers(base(values), customer="id", value="arpu", rules=rules)
    with pytest.raises(CannotAnswer, match="nobody is left"):
        tiers(base(np.arange(5.0)).assign(is_staff=True), customer="id", value="arpu")
    with pytest.raises(CannotAnswer, match="there are 2 periods"):
        tiers(long({"a": [1, 2]}), **COLUMNS)
    for table, words in (
        (base([1.0, np.nan]), "missing values: 'arpu' 1"),
        (base(["x", "y"]), "'arpu' is not numeric"),
        (base([1.0, np.inf]), "finite"),
        (pd.concat([base([1.0])] * 2), "1 repeat 'id'"),
        (base([1.0, 2.0]).assign(is_staff="no"), "takes true or false"),
        (base([1.0]).rename(columns={"arpu": "arpa"}), "Did you mean 'arpa'"),
    ):
        with pytest.raises(WorkbenchError, match=words):
            tiers(table, customer="id", value="arpu")


def test_sample_operator(operator):
    """Everybody billed has a tier, or a reason for none; the rules avoid half of the moves; the picture is labelled."""
    warehouse = open_warehouse("sample", root=operator)
    values = monthly_values(warehouse, "2026-07-01")
    features = customer_features(warehouse, "2026-07-01", tables=["arrears"])
    result = tiers(values, customer="customer_id", value="value", period="month", flags=features)
    last = result.customers.set_index("customer_id")
    assert result.table["customers"].sum() == values["customer_id"].nunique()
    assert set(last.index[last["tier"] != LEFT]) <= set(features["customer_id"])
    late = features.set_index("customer_id")["arrears_days"].reindex(last.index) > 60
    assert (last.loc[late & (last["why"] != "left"), "tier"] == EXCLUDED).all()
    assert 0.5 < result.avoided[1] < result.avoided[0] < result.avoided[2] < 0.7
    assert result.flip_flops[0] < result.flip_flops[1] / 3
    assert any("%" in text.get_text() for text in result.plot().texts)
