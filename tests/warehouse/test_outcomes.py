"""What followed each interview, by hand: five customers, their lines and bills."""

import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse import open_warehouse, survey_outcomes
from workbench.warehouse.ingest import ingest

FILES = {
    "customer": "customer_id,kind,province,joined_on\n"
    + "".join(f"{c},person,北京,2025-01-01\n" for c in ("stays", "goes", "half", "late", "bare")),
    "subscription": """subscription_id,customer_id,service,activated_on,ended_on
1,stays,mobile,2025-01-01,
2,goes,mobile,2025-01-01,2026-02-28
3,goes,fixed,2025-06-01,2026-04-30
4,half,mobile,2025-01-01,2026-02-28
5,half,fixed,2025-06-01,
6,late,mobile,2025-01-01,2026-05-10
""",
    "bill": "bill_id,customer_id,month,issued_on,due_on,recurring,usage_charge,discount,amount\n"
    + "".join(
        f"{who}{month},{who},{month},{month},{month},0,0,0,{amount}\n"
        for who, month, amount in (
            ("stays", "2025-10-01", 90),
            ("stays", "2025-11-01", 30),
            ("stays", "2025-12-01", 30),
            ("stays", "2026-01-01", 1000),
            ("stays", "2026-02-01", 40),
            ("goes", "2026-03-01", 60),
            ("bare", "2026-04-01", 0),
            ("goes", "2026-05-01", 999),
        )
    ),
    "survey_response": "response_id,customer_id,answered_on,wave,Q\n"
    + "".join(f"{c},{c},2026-01-10,A,7\n" for c in ("stays", "goes", "half", "late", "bare"))
    + "other,,2026-01-10,A,7\nnobody,,2026-01-10,B,7\n",
}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """A source of four files; days of the year are known until 2026-06-01."""
    root = tmp_path_factory.mktemp("结果")
    raw = root / "data/raw/shop"
    raw.mkdir(parents=True)
    (root / "data/mappings").mkdir()
    mapping = ['title = "A shop"', 'operator = "甲"', "as_of = 2026-06-01"]
    for table, text in FILES.items():
        (raw / f"{table}.csv").write_text(text, encoding="utf-8")
        columns = [f'{name} = "{name}"' for name in text.splitlines()[0].split(",") if name != "Q"]
        if table == "survey_response":
            constants = {"operator": '"甲"', "service": '"mobile"', "weight": 1.0}
            columns += [f"{name} = {{ constant = {value} }}" for name, value in constants.items()] + ['items = ["Q"]']
        mapping += ["[[file]]", f'path = "{table}.csv"', f'table = "{table}"', "[file.columns]", *columns]
    (root / "data/mappings/shop.toml").write_text("\n".join(mapping), encoding="utf-8")
    assert ingest("shop", root=root).frame["quarantined"].sum() == 0
    return open_warehouse("shop", root=root)


def test_outcomes_by_hand(warehouse):
    """Who left is known by the last line, within the window; revenue is of whole months, empty ones counting as 0."""
    found = survey_outcomes(warehouse, "A", days=120).set_index("customer_id")
    assert sorted(found.index) == ["bare", "goes", "half", "late", "stays"]
    assert found["churned"].drop("bare").to_dict() == {"stays": 0, "goes": 1, "half": 0, "late": 0}
    assert pd.isna(found.loc["bare", "churned"])
    assert found.loc["goes", "left_on"] == pd.Timestamp("2026-04-30") and pd.isna(found.loc["half", "left_on"])
    assert found.loc["late", "window_end"] == pd.Timestamp("2026-05-10") == found.loc["late", "left_on"]
    assert found["revenue_before"].to_dict() == {"stays": 50, "goes": 0, "half": 0, "late": 0, "bare": 0}
    assert found["revenue_after"].to_dict() == {"stays": 40 / 3, "goes": 20, "half": 0, "late": 0, "bare": 0}
    assert found.loc["goes", "tenure_months"] == pytest.approx(374 / 30.44)
    assert found["complete"].all()


def test_a_month_not_delivered_is_unknown(warehouse):
    """Without any bill of April the months after are February and March; before the first month nothing is known."""

    class Less:
        as_of, survey = warehouse.as_of, warehouse.survey

        def __init__(self, kept):
            self.bill = f"WITH bill AS (SELECT * FROM bill WHERE {kept}),"

        def query(self, sql, values=()):
            return warehouse.query(sql.replace("WITH", self.bill, 1) if sql.startswith("WITH") else sql, values)

    source = Less("month <> DATE '2026-04-01'")
    found = survey_outcomes(source, "A", days=120).set_index("customer_id")
    assert found["revenue_after"].to_dict() == {"stays": 20, "goes": 30, "half": 0, "late": 0, "bare": 0}
    assert found.loc["stays", "revenue_before"] == 50
    source = Less("month >= DATE '2026-01-01'")
    assert survey_outcomes(source, "A", days=120)["revenue_before"].isna().all()


def test_a_window_beyond_what_is_known_is_not_complete(warehouse):
    """Where the window or its last month of bills reaches beyond as_of, the row says so."""
    assert not survey_outcomes(warehouse, "A", days=150)["complete"].any()


def test_nothing_later_than_the_day_asked_for_is_known(warehouse):
    """Of 1 May nobody knows who left after it; interviews of that day or later are none, nor is their wave the last."""
    early = survey_outcomes(warehouse, "A", days=60, as_of="2026-05-01").set_index("customer_id")
    assert early["complete"].all() and early["left_on"].notna().sum() == 1
    assert not survey_outcomes(warehouse, "A", days=120, as_of="2026-05-01")["complete"].any()
    assert set(warehouse.survey("latest")["wave"]) == {"B"}
    assert len(warehouse.survey("A", before="2026-05-01")) == len(warehouse.survey("A"))
    with pytest.raises(CannotAnswer, match="no interview asked for is of before 2026-01-10: choose a later as_of"):
        warehouse.survey("A", before="2026-01-10")


def test_what_is_refused(warehouse):
    """An unknown wave, a window without a whole month, and a wave without known customers are named."""
    with pytest.raises(WorkbenchError, match="no wave 'C'"):
        survey_outcomes(warehouse, "C")
    with pytest.raises(WorkbenchError, match="days=30: no whole month"):
        survey_outcomes(warehouse, "A", days=30)
    with pytest.raises(CannotAnswer, match="no interview of wave 'B' says whose it is"):
        survey_outcomes(warehouse, "B")
