"""Are the cases that missed a standard those that a table says by hand, and whose satisfaction is compared?"""

import numpy as np
import pandas as pd
import pytest

from workbench.catalogue import catalogue
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.service import ServiceStandard, service_shortfalls, service_standards

STANDARDS = [
    ServiceStandard("wait", "contact", "contacted_at", "wait_s", {"channel": "hotline"}, at_most=20),
    ServiceStandard("fault", "ticket", "opened_at", "closed_at", {"kind": "fault"}, by="due_at"),
]
DAYS = pd.to_datetime(["2026-05-01", "2026-05-02", "2026-05-03", "2026-05-04", "2026-05-05"])
CONTACTS = pd.DataFrame(
    {
        "customer_id": list("aabcd"),
        "contacted_at": DAYS,
        "channel": ["hotline"] * 4 + ["shop"],
        "wait_s": [10, 21, 20, np.nan, 99],
    }
)
TICKETS = pd.DataFrame(
    {
        "customer_id": list("abcde"),
        "kind": "fault",
        "opened_at": DAYS,
        "due_at": pd.to_datetime(["2026-05-02", "2026-05-03", "2026-05-10", "2026-07-01", None]),
        "closed_at": pd.to_datetime(["2026-05-02", "2026-05-04", None, None, "2026-05-06"]),
    }
)


def test_shortfalls_by_hand():
    """On time is kept, late and open past the promise missed; not yet due and without a promise are counted apart."""
    table = service_shortfalls(CONTACTS, TICKETS, as_of="2026-06-01", standards=STANDARDS, minimum=2).table
    row = {r["standard"]: r for r in table.to_dict("records")}
    assert row["wait"]["missed"] == pytest.approx(100 / 3)
    assert [row["wait"][c] for c in ("n", "customers", "pending", "unjudged")] == [3, 2, 0, 1]
    assert row["fault"]["missed"] == pytest.approx(200 / 3)
    assert [row["fault"][c] for c in ("n", "customers", "pending", "unjudged")] == [3, 3, 1, 1]
    early = service_shortfalls(CONTACTS, TICKETS, as_of="2026-05-04", standards=STANDARDS[1:], minimum=2).table
    assert early.loc[0, ["missed", "n", "pending"]].tolist() == pytest.approx([50, 2, 1])


def test_respondents_who_met_a_miss_before_are_compared_with_those_who_met_none():
    """Only cases decided in the days before the interview count; a customer with both has met a miss."""
    people = pd.DataFrame(
        {
            "customer_id": [*"abcd", None],
            "answered_on": pd.to_datetime(["2026-05-20"] * 5),
            "score": [40.0, 50, 70, 90, 10],
            "weight": [1.0, 3, 1, 1, 1],
        }
    )
    waits = pd.DataFrame(
        {
            "customer_id": list("aabcdd"),
            "contacted_at": pd.to_datetime([*["2026-05-01"] * 5, "2026-05-20"]),
            "channel": "hotline",
            "wait_s": [30, 5, 30, 5, 5, 60],
        }
    )
    asked = {"as_of": "2026-06-01", "standards": STANDARDS[:1], "respondents": people, "minimum": 2}
    row = service_shortfalls(waits, TICKETS, **asked).satisfaction.iloc[0]
    assert row["difference"] == pytest.approx((40 + 150) / 4 - 80) and (row["n_missed"], row["n_kept"]) == (2, 2)
    assert len(service_shortfalls(waits, TICKETS, **asked, before_days=10).satisfaction) == 0
    silent = people.iloc[:2].assign(customer_id=["a", "d"], score=[0.0, 0.0], weight=0.0)  # stand for nobody
    asked["respondents"] = pd.concat([people, silent], ignore_index=True)
    assert service_shortfalls(waits, TICKETS, **asked).satisfaction.iloc[0].tolist() == row.tolist()


def test_a_promise_that_fails_after_the_interview_does_not_count_for_it():
    """Of three late repairs, the one whose promise ended after the interview is not among those met before."""
    due = pd.to_datetime(["2026-05-02"] * 4 + ["2026-05-25"])
    late = pd.Timestamp("2026-05-30")
    tickets = pd.DataFrame({"customer_id": list("abcde"), "kind": "fault", "opened_at": DAYS[0], "due_at": due})
    tickets["closed_at"] = [late, late, DAYS[0], DAYS[0], late]
    people = pd.DataFrame({"customer_id": list("abcde"), "answered_on": pd.Timestamp("2026-05-20"), "score": range(5)})
    options = {"standards": STANDARDS[1:], "respondents": people, "weight": None, "minimum": 2}
    found = service_shortfalls(CONTACTS, tickets, as_of="2026-06-01", **options)
    assert found.satisfaction.loc[0, ["n_missed", "n_kept", "difference"]].tolist() == [2, 2, 0.5 - 2.5]
    assert found.table.loc[0, "missed"] == pytest.approx(60)


def test_standards_come_from_a_file_and_are_checked(tmp_path):
    """The file beside the module holds four; a standard needs one rule, and a file that is none is named."""
    assert [s.table for s in service_standards()] == ["contact", "ticket", "ticket", "ticket"]
    assert all(s.name in catalogue("zh") for s in service_standards())
    with pytest.raises(WorkbenchError, match="either at_most or by"):
        ServiceStandard("x", "ticket", "opened_at", "closed_at")
    (tmp_path / "own.toml").write_text('[[standard]]\nname = "x"\n', encoding="utf-8")
    with pytest.raises(WorkbenchError, match=r"a standard of .*own\.toml lacks 'table', 'when', 'column'"):
        service_standards(tmp_path / "own.toml")
    with pytest.raises(CannotAnswer, match="no standard has 30 cases"):
        service_shortfalls(CONTACTS, TICKETS, as_of="2026-06-01")
