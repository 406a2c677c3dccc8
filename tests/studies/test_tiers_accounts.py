"""Key accounts: by hand, against draws and corners, by property, on the sample operator, and what is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.tiers import GradeScheme, grade_accounts, grade_scheme
from workbench.warehouse import business_accounts, open_warehouse

PARTS = (
    {"column": "revenue", "weight": 0.6, "low": 10, "high": 1000, "scale": "log"},
    {"column": "growth", "weight": 0.4, "low": 0, "high": 1, "scale": "linear"},
)
SCHEME = GradeScheme(PARTS, {"A1": 70, "A2": 50, "B1": 30, "B2": 0})
COLUMNS = {"customer": "id", "value": "revenue", "scheme": SCHEME}


def accounts(*rows):
    """Accounts with revenue and growth."""
    return pd.DataFrame(rows, columns=["id", "revenue", "growth"])


def test_grades_by_hand():
    """100 of 10-1,000 on a log scale is 50 points; the parts by weight; a missing part is left out, and bounded."""
    table = accounts(("a", 100, 0.5), ("b", 5000, 2), ("c", 1, -3), ("d", 100, np.nan), ("e", 100, 0))
    found = grade_accounts(table, **COLUMNS)
    rows = found.accounts.set_index("id")
    assert rows["score"].to_dict() == {"b": 100, "a": 50, "d": 50, "e": 30, "c": 0}
    assert rows["grade"].to_dict() == {"b": "A1", "a": "A2", "d": "A2", "e": "B1", "c": "B2"}
    assert rows.loc["d", ["missing", "if_low", "if_high"]].tolist() == ["growth", "B1", "A1"]
    assert rows.loc["e", ["best", "worst"]].tolist() == ["B1", "B2"] and rows["probability"]["c"] == 1
    assert found.can_change == 1 / 5 and found.missing == {"revenue": 0, "growth": 1}
    assert found.table["accounts"].tolist() == [1, 2, 1, 1]
    assert "3 of 5 accounts are graded A1 to A2" in found.headline() and "1 without growth" in found.headline()


def test_credit_notes_by_hand():
    """An account below 0 has no points for revenue, lowers the sum (-20 of 100 - 20), and is told."""
    found = grade_accounts(accounts(("a", 100, 1), ("b", -20, 0)), **COLUMNS)
    assert found.accounts["score"].tolist() == pytest.approx([0.6 * 50 + 0.4 * 100, 0])
    assert found.table["value_share"].tolist() == pytest.approx([100 / 80, 0, 0, -20 / 80])
    assert "1 bring less than 0 (credit notes)." in found.headline()
    with pytest.raises(CannotAnswer, match=r"bring −100\.00 in all"):
        grade_accounts(accounts(("a", 100, 1), ("b", -200, 0)), **COLUMNS)


def test_a_score_on_the_edge_is_a_coin():
    """An account exactly at a threshold keeps its grade in about half of the draws."""
    found = grade_accounts(accounts(("e", 100, 0), ("b", 5000, 2)), **COLUMNS)
    edge = found.accounts.set_index("id")["probability"]["e"]
    assert abs(edge - 0.5) < 4 * np.sqrt(0.25 / 2_000)
    assert found.changed[0] == pytest.approx((1 - edge) / 2)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(1, 1e5), st.one_of(st.none(), st.floats(-1, 2))), min_size=2, max_size=30),
    st.integers(0, 99),
)
def test_corners_bound_the_draws_and_order_is_nothing(rows, seed):
    """No draw leaves the exact range; more revenue is never a worse grade; rows may come in any order."""
    table = accounts(*((f"k{i}", float(r), np.nan if g is None else g) for i, (r, g) in enumerate(rows)))
    one = grade_accounts(table, **COLUMNS, draws=50)
    other = grade_accounts(table.sample(frac=1, random_state=seed), **COLUMNS, draws=50)
    pd.testing.assert_frame_equal(one.accounts, other.accounts)
    firm = one.accounts["best"] == one.accounts["worst"]
    assert (one.accounts.loc[firm, "probability"] == 1).all()
    order = list(SCHEME.grades)
    rank = one.accounts[["best", "grade", "worst"]].map(order.index).to_numpy()
    assert (np.diff(rank, axis=1) >= 0).all() and one.table["accounts"].sum() == len(table)
    richer = grade_accounts(table.assign(revenue=table["revenue"] * 2), **COLUMNS, draws=1).accounts
    before, after = (t.set_index("id")["score"].sort_index() for t in (one.accounts, richer))
    assert (after >= before).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"part": PARTS[:1]}, "add up to 1"),
        ({"part": (PARTS[0] | {"weight": 0.7}, PARTS[1])}, "add up to 1"),
        ({"part": (PARTS[0] | {"low": 0}, PARTS[1])}, "above 0 on a log scale"),
        ({"part": (PARTS[0] | {"scale": "root"}, PARTS[1])}, "linear or log"),
        ({"part": (PARTS[0] | {"wait": 1}, PARTS[1])}, "a part has column"),
        ({"grades": {"A1": 30, "A2": 50, "B1": 0}}, "falling scores"),
        ({"grades": {"A1": 30, "A2": 10}}, "the last at 0"),
        ({"grades": {"best": 30, "A2": 0}}, "a letter and a digit"),
    ],
)
def test_schemes_are_proved(change, words):
    """Weights, ends, scales and thresholds that contradict each other are refused when made."""
    with pytest.raises(WorkbenchError, match=words):
        replace(SCHEME, **change)


def test_what_is_refused(tmp_path):
    """No accounts, none of the parts, an account twice, a change of everything, another file."""
    empty = accounts(("a", np.nan, np.nan)).assign(size=1)
    with pytest.raises(CannotAnswer, match="1 accounts have none of"):
        grade_accounts(empty, **COLUMNS | {"value": "size"})
    for table, choices, words in (
        (accounts(), {}, "accounts is empty"),
        (accounts(("a", 1, 1), ("a", 2, 2)), {}, "1 repeat 'id'"),
        (accounts(("a", 1, 1)), {"change": 1.0}, "between 0 and 1"),
        (accounts(("a", 1, 1)).rename(columns={"growth": "grown"}), {}, "Did you mean 'grown'"),
    ):
        with pytest.raises(WorkbenchError, match=words):
            grade_accounts(table.astype({"revenue": float}), **COLUMNS | choices)
    file = tmp_path / "scheme.toml"
    file.write_text("[marks]\nA1 = 3\n", encoding="utf-8")
    with pytest.raises(WorkbenchError, match="no key 'marks' in"):
        grade_scheme(file)


def test_sample_operator(operator):
    """All companies and bodies of government are graded, the new ones without growth; every grade is used."""
    table = business_accounts(open_warehouse("sample", root=operator), "2026-07-01", margin=0.45)
    found = grade_accounts(table, customer="customer_id", value="revenue_12m")
    assert found.table["accounts"].sum() == len(table) and (found.table["accounts"] > 0).all()
    assert found.missing["growth"] == table["growth"].isna().sum() > 0
    assert found.changed[1] < found.changed[0] < found.changed[2] < found.can_change < 0.5
    assert len(found.plot().texts) == len(found.table) == 10
