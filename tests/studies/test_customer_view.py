"""Whom each department knows, and one customer through time: by hand."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.reports.page import tables
from workbench.reports.page.notebook import Markdown
from workbench.result import Refusal
from workbench.studies import customer_view as study

BASE = pd.DataFrame(
    {
        "customer_id": list("abcde"),
        "state": ["active"] * 4 + ["left"],
        "billed": ["2026-06", "2026-06", "2026-06", None, "2026-06"],
        "paid": [None, "2026-06", None, "2026-05", None],
        "called": [pd.Timestamp("2026-06-01"), pd.NaT, pd.NaT, pd.NaT, pd.NaT],
    }
)
BEHIND = pd.DataFrame(
    {
        "table": ["bill", "payment", "contact"],
        "department": ["billing", "billing", "care"],
        "column": ["billed", "paid", "called"],
    }
)


def test_whom_each_department_knows():
    """Of four active customers billing knows all, by one table or the other; care one, who alone is known to both."""
    found = study.known_by_department(BASE, BEHIND)
    assert found.table[["table", "customers"]].values.tolist() == [["bill", 3], ["payment", 2], ["contact", 1]]
    assert found.departments[["department", "customers"]].values.tolist() == [["billing", 4], ["care", 1]]
    assert found.together[["departments", "customers"]].values.tolist() == [[2, 1], [1, 3]]
    assert found.headline() == (
        "All 2 departments know 25.0% of 4 active customers: billing knows most (100.0%), care fewest (25.0%)."
    )
    back = study.known_by_department(BASE[::-1], BEHIND[::-1])
    pd.testing.assert_frame_equal(found.table, back.table)


def test_one_department_and_none():
    """One is no comparison; no table is a refusal, and so is a base of whom nobody is active."""
    assert study.known_by_department(BASE, BEHIND[2:]).headline() == (
        "One department (care) knows 25.0% of 4 active customers."
    )
    with pytest.raises(CannotAnswer, match="no table holds a row that names a customer"):
        study.known_by_department(BASE, BEHIND[:0])
    with pytest.raises(CannotAnswer, match="no customer is active"):
        study.known_by_department(BASE[4:], BEHIND)
    with pytest.raises(WorkbenchError, match="base lacks 'called'"):
        study.known_by_department(BASE.drop(columns="called"), BEHIND)
    with pytest.raises(WorkbenchError, match="customer_id"):
        study.known_by_department(pd.concat([BASE, BASE]), BEHIND)


def test_what_a_study_found_is_added_and_a_refusal_is_not():
    """A tier beside each customer, missing for those whom the study left out."""

    class Levels:
        customers = pd.DataFrame({"customer_id": ["a", "c"], "tier": ["gold", "basic"], "value": [1.0, 2.0]})

    assert study.with_found(BASE, Levels, ["tier"])["tier"].fillna("").tolist() == ["gold", "", "basic", "", ""]
    assert study.with_found(BASE, Refusal("no bills"), ["tier"]) is BASE


EVENTS = pd.DataFrame(
    [
        ("2026-03-02", "payment", "bill paid", "WeChat", "p1", 20.0, "currency"),
        ("2026-03-01 09:30", "ticket", "complaint opened", "<script>alert(1)</script>", "t1", np.nan, ""),
        ("2026-03-03 09:30", "ticket", "complaint past its promised time", None, "t1", np.nan, ""),
        ("2026-01-31", "bill", "bill", None, "b1", -3.5, "currency"),
        ("2025-12-31", "bill", "bill", None, "b0", 20.0, "currency"),
        ("2026-01-31", "usage_month", "data in the month", None, None, 1_500.4, "MB"),
        ("2026-01-31", "usage_month", "called in the month", None, None, 12.0, "min"),
        ("2026-07-01", "contact", "came to us", "shop", "c1", np.nan, ""),
    ],
    columns=["happened_at", "subject", "what", "detail", "reference", "amount", "unit"],
)


def history(events=EVENTS, **given):
    asked = {
        "since": "2026-01-01",
        "until": "2026-07-01",
        "departments": {"bill": "billing"},
        "currency": "USD",
    } | given
    return study.customer_history(
        events.assign(happened_at=pd.to_datetime(events["happened_at"], format="mixed")), **asked
    )


def test_the_time_line():
    """Newest first, of the period alone, with units; use by month apart; what came before is counted."""
    found = history()
    assert found.table["reference"].tolist() == ["t1", "p1", "t1", "b1"] and found.earlier == 1
    assert found.table["department"].tolist() == ["ticket", "payment", "ticket", "billing"]
    assert [text.replace("\xa0", " ") for text in found.table["amount"]] == ["", "20 USD", "", "−3.50 USD"]
    assert found.headline() == (
        "4 events from 2026-01-01 to 2026-06-30: 1 bill, 1 payment and 2 steps of cases; 1 earlier. The last, on "
        "2026-03-03: complaint past its promised time."
    )
    assert found.use().frame.values.tolist() == [["2026-01", 12.0, 1_500.4]]
    assert history(EVENTS[::-1]).headline() == found.headline()
    assert [text.get_text() for text in found.plot().get_yticklabels()] == ["bills", "payments", "cases", "use"]


def test_what_is_quoted_from_data_is_text():
    """A cause with markup is shown as it was written, in tables and in sentences, and runs nowhere."""
    found = history(until="2026-03-02")
    table = found.as_table()
    page = tables.as_html(tables.payload(table.frame, name=table.name, caption=table.caption))
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "<script>" not in Markdown(found.headline())._repr_markdown_().replace("\\<", "")


def test_a_period_without_events_is_refused():
    """The sentence says where the events lie."""
    with pytest.raises(CannotAnswer, match="their events run from 2025-12-31 to 2026-07-01"):
        history(since="2024-01-01", until="2024-07-01")
    with pytest.raises(CannotAnswer, match="nothing of this customer"):
        history(since="2026-07-01", until="2026-01-01")
    alone = history(EVENTS[5:6])
    assert alone.headline() == "Nothing but use is on record from 2026-01-01 to 2026-06-30."


def test_the_facts_of_a_customer():
    """Days, months, flags, money and counts, each as a reader writes it; the sentence says what is known."""
    facts = pd.DataFrame(
        [
            ("kind", "Kind.", "", "person"),
            ("is_staff", "Staff.", "", False),
            ("birth_year", "Born.", "year", 1987.0),
            ("joined_on", "Joined.", "", pd.Timestamp("2020-03-01")),
            ("lines", "Lines.", "lines", 2.0),
            ("last_bill_month", "Month.", "", pd.Timestamp("2026-06-01")),
            ("monetary", "ARPU.", "yuan/month", 1234.5),
            ("arrears", "Open.", "yuan", 0.0),
            ("last_contact_at", "Time.", "", pd.Timestamp("2026-06-01 09:30")),
        ],
        columns=["column", "meaning", "unit", "value"],
    )
    found = study.customer_profile(facts)
    values = [text.replace("\xa0", " ") for text in found.table["value"]]
    assert values == [
        *("person", "no", "1987", "2020-03-01", "2", "2026-06", "1,234.50 yuan/month", "0 yuan", "2026-06-01 09:30"),
    ]
    assert found.headline().replace("\xa0", " ") == "Person, since 2020-03-01, brings 1,234.50 yuan/month."
    assert study.customer_profile(facts[1:3]).headline() == "Customer."
