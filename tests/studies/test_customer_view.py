"""Whom each department knows, and one customer through time: by hand."""

import re

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.messages import word
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
        "25.0% of 4 active customers are known to all 2 departments; billing knows most (100.0%), care fewest (25.0%)."
    )
    back = study.known_by_department(BASE[::-1], BEHIND[::-1])
    pd.testing.assert_frame_equal(found.table, back.table)


def test_one_department_and_none():
    """One is no comparison; no table is a refusal, and so is a base of whom nobody is active."""
    assert study.known_by_department(BASE, BEHIND[2:]).headline() == (
        "One department, care, knows 25.0% of 4 active customers."
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


def test_what_a_respondent_asks_for_is_said_in_chinese():
    """Wave and service are one name, as in the cells of other events."""
    asked = pd.DataFrame(
        [("2026-06-30", "survey_response", "took part in a survey", "2025, mobile: asks for price", "r9", np.nan, "")],
        columns=EVENTS.columns,
    )
    assert word(history(asked).table["detail"][0], "zh") == "2025·移动业务：希望改进资费"


def test_the_headline_is_chinese_in_chinese():
    """Lanes, and of the last event the parts of its detail, as in the cells of the table."""
    rows = [("2026-03-01", "fraud_case", "looked at for fraud", "audit", "f1", np.nan, "")]
    rows += [("2026-06-30", "subscription", "line ended", "broadband: disconnect", "s1", np.nan, "")]
    told = history(pd.DataFrame(rows, columns=EVENTS.columns)).headline()
    assert told.endswith("line ended (broadband: disconnect).")
    for outcome, zh in (("reached", "已接通"), ("rejected", "已驳回"), ("<b>x</b>", "<b>x</b>")):
        one = pd.DataFrame([("2026-06-30", "ticket", "complaint closed", outcome, "t1", np.nan, "")])
        said = history(one.set_axis(EVENTS.columns, axis=1)).headline()
        assert f"（{zh}）" in said.said("zh") and "<b>" not in Markdown(said)._repr_markdown_()
    assert "用户1、欺诈1。" in told.said("zh") and told.said("zh").endswith("用户终止（宽带：拆机）。")


def test_the_time_line():
    """Newest first, of the period alone, with units; use by month apart; what came before is counted."""
    found = history()
    assert found.table["reference"].tolist() == ["t1", "p1", "t1", "b1"] and found.earlier == 1
    assert found.table["department"].tolist() == ["ticket", "payment", "ticket", "billing"]
    assert [text.replace("\xa0", " ") for text in found.table["amount"]] == ["", "20 USD", "", "−3.50 USD"]
    assert found.headline() == (
        "Events on record from 2026-01-01 to 2026-06-30: 4, of these bills 1, payments 1, cases 2. The last, on "
        "2026-03-03: complaint past its promised time. Earlier events: 1."
    )
    assert found.use().frame.values.tolist() == [["2026-01", 12.0, 1_500.4]]
    assert history(EVENTS[::-1]).headline() == found.headline()
    assert [q.value for q in found.quantities()] == [4] and str(found.tiles()[0].value.said("en")) == "4"
    later = history(since="2026-03-02")
    assert later.earlier == 3 and "Earlier events: 3." in later.headline()  # two bills, a case; not the use of January
    fee = pd.DataFrame([("2026-02-01", "subscription", "line began", "mobile", "s1", 35.0, "currency/month")])
    assert history(fee.set_axis(EVENTS.columns, axis=1)).table["amount"].tolist() == ["35\xa0USD/month"]
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
        *(
            "person",
            "no",
            "1987",
            "2020-03-01",
            "2 lines",
            "2026-06",
            "1,234.50 yuan/month",
            "0 yuan",
            "2026-06-01 09:30",
        ),
    ]
    assert found.headline().replace("\xa0", " ") == "Person, customer since 2020-03-01, brings 1,234.50 yuan/month."
    left = pd.DataFrame([("left_on", "Left.", "", pd.Timestamp("2026-05-09"))], columns=facts.columns)
    gone = study.customer_profile(pd.concat([facts, left]))  # who left brings nothing any more
    assert gone.headline() == "Person, customer since 2020-03-01, left on 2026-05-09." and gone.tiles() == ()
    assert study.customer_profile(facts[1:3]).headline() == "Customer."
    counted = facts[4:5].assign(value=1.0)
    assert study.customer_profile(counted).table["value"].tolist() == ["1\xa0line"]
    assert word(found.table["value"][4], "zh") == "2户"


def told(*results):
    """All that a reader meets of results, as messages."""
    parts = [(t.label, t.value) for result in results for t in result.tiles()]
    texts = [text for r in results for text in (r.headline(), r.caption(), r.picture_caption())]
    return [*texts, *(part for pair in parts for part in pair)]


def person(**facts):
    """The profile of somebody of whom these facts are known."""
    units = {"monetary": "yuan/month", "arrears": "yuan"}
    rows = [(name, "Meaning.", units.get(name, ""), value) for name, value in facts.items()]
    return study.customer_profile(pd.DataFrame(rows, columns=["column", "meaning", "unit", "value"]).astype(object))


ONE = {"kind": "person", "province": "天津", "joined_on": pd.Timestamp("2020-03-01"), "tariff": "79", "monetary": 12.5}


def test_all_is_said_in_chinese():
    """Headlines, captions, tiles and decisions of each branch: no two English words in a row, no code."""
    reaches = [study.known_by_department(BASE, BEHIND), study.known_by_department(BASE, BEHIND[2:])]
    same = study.known_by_department(BASE.assign(called="x", billed="y"), BEHIND)
    owing = person(**ONE, arrears=30.0, open_tickets=2.0, left_on=pd.Timestamp("2026-05-01"))
    people = [person(kind="company"), person(**ONE), owing]
    stories = [history(), history(until="2026-03-02"), history(EVENTS[5:6])]
    decisions = [r.decision() for r in [*reaches, same]] + [p.decision(h) for p in people for h in stories]
    for text in [*told(*reaches, same, *people, *stories[:1], stories[2]), *(t for d in decisions for t in d.said())]:
        assert not re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}", text.said("zh")), text.said("zh")
        assert not re.search(r"[a-z]_[a-z]", text.said()), text.said()


def test_whom_to_ask():
    """The department that knows fewest, unless all know everybody or there is but one."""
    many = pd.concat([BASE[:4].assign(customer_id=[f"{k}{c}" for c in "abcd"]) for k in range(10)])
    found = study.known_by_department(many, BEHIND)
    first = "Ask the care department first: it has nothing on 30 of 40 active customers (75.0%)."
    assert found.decision().do[0] == first
    assert [tile.value.said() for tile in found.tiles()] == ["40", "25.0%", "25.0%"]
    assert study.known_by_department(BASE, BEHIND).tiles() == ()
    all_know = study.known_by_department(BASE.assign(called="x", billed="y"), BEHIND)
    assert all_know.headline().endswith("known to all 2 departments; each knows 100.0%.")
    assert all_know.decision().do[0].startswith("Ask no department")
    assert study.known_by_department(BASE, BEHIND[2:]).decision().do[0].startswith("Have a second department")


def test_what_to_settle_before_a_call():
    """Open cases and debts come first; where there are none, it is said; somebody who left is not simply called."""
    do = person(**ONE, arrears=30.0, open_tickets=2.0).decision(history()).do
    assert do[:2] == ("Settle their open cases first: 2.", "Speak of what they owe: 30 yuan.")
    assert do[2] == "Before a call read the last events; the latest, on 2026-03-03: complaint past its promised time."
    assert person(**ONE).decision(history()).do[0].startswith("No open case and no debt is on record")
    left = person(**ONE, left_on=pd.Timestamp("2026-05-01")).decision(history(EVENTS[5:6]))
    assert left.do[0].startswith("They left on 2026-05-01") and len(left.do) == 2
