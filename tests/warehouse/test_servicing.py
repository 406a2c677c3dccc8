"""Monthly values, service got and business accounts, by hand on a few customers."""

from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse import business_accounts, monthly_values, schema, servicing

ROWS = {
    "customer": [
        ("firm", "company", "北京", "2024-07-01"),
        ("office", "government", "北京", "2025-03-15"),
        ("he", "person", "北京", "2024-01-01"),
        ("she", "person", "北京", "2024-01-01"),
        ("later", "company", "北京", "2026-07-01"),
    ],
    "subscription": [
        ("1", "firm", "mobile", "2024-07-01", None),
        ("2", "firm", "fixed", "2024-07-01", "2026-05-31"),
        ("3", "office", "mobile", "2025-03-15", "2026-07-01"),
        ("4", "he", "mobile", "2024-01-01", "2026-06-10"),
        ("5", "she", "mobile", "2024-01-01", "2026-06-30"),
    ],
    "bill": [
        ("firm", "2024-07-01", 100, 0),
        ("firm", "2025-06-01", 100, 0),
        ("firm", "2025-07-01", 250, 50),
        ("firm", "2026-06-01", 50, 0),
        ("office", "2025-03-01", 999, 0),
        ("office", "2026-06-01", 60, 0),
        ("he", "2026-05-01", 5, 0),
        ("he", "2026-06-01", 5, 0),
    ],
    "contact": [
        ("firm", "2025-07-01 00:00:00", "hotline", 10),
        ("firm", "2026-06-30 23:00:00", "hotline", 31),
        ("firm", "2026-06-30 23:00:00", "hotline", None),
        ("firm", "2025-06-30 23:59:59", "hotline", 1),
        ("firm", "2026-07-01 00:00:00", "visit", None),
        ("office", "2026-06-01 10:00:00", "visit", None),
    ],
    "ticket": [
        ("firm", "complaint", "2026-06-01 00:00:00", "2026-06-03 00:00:00", "2026-06-02 00:00:00"),
        ("firm", "complaint", "2026-06-01 00:00:00", "2026-06-02 00:00:00", "2026-06-03 00:00:00"),
        ("firm", "complaint", "2026-06-30 14:00:00", "2026-07-02 00:00:00", None),
        ("firm", "fault", "2026-06-20 00:00:00", "2026-06-21 00:00:00", "2026-07-05 00:00:00"),
    ],
}


def made(table, k, row):
    """A full row of a canonical table."""
    if table == "customer":
        return dict(zip(("customer_id", "kind", "province", "joined_on"), row, strict=True))
    if table == "subscription":
        return dict(zip(("subscription_id", "customer_id", "service", "activated_on", "ended_on"), row, strict=True))
    if table == "bill":
        who, month, amount, discount = row
        issued = (pd.Timestamp(month) + pd.offsets.MonthEnd()).date()
        sums = {"recurring": amount + discount, "usage_charge": 0, "discount": discount, "amount": amount}
        return {"bill_id": k, "customer_id": who, "month": month, "issued_on": issued, "due_on": issued, **sums}
    if table == "contact":
        names = ("customer_id", "contacted_at", "channel", "wait_s")
        return {"contact_id": k, "direction": "in"} | dict(zip(names, row, strict=True))
    names = ("customer_id", "kind", "opened_at", "due_at", "closed_at")
    return {"ticket_id": k} | dict(zip(names, row, strict=True))


def held(rows):
    """The canonical tables in memory."""
    connection = duckdb.connect()
    for name, table in schema.tables().items():
        connection.execute(table.ddl())
        for k, row in enumerate(rows.get(name, [])):
            full = made(name, k, row)
            marks = ", ".join("?" for _ in full)
            connection.execute(f"INSERT INTO {name} ({', '.join(full)}) VALUES ({marks})", list(full.values()))
    return SimpleNamespace(query=lambda sql, values=None: connection.execute(sql, values).df())


@pytest.fixture(scope="module")
def warehouse():
    """The rows above."""
    return held(ROWS)


def billed_monthly(*gaps):
    """The rows above, and a bill of 0 of somebody else in every month but `gaps`."""
    months = pd.period_range("2024-07", "2026-06", freq="M").difference(pd.PeriodIndex(gaps, freq="M"))
    bills = [row for row in ROWS["bill"] if row[1][:7] not in gaps]
    return held(ROWS | {"bill": [*bills, *(("she", f"{m}-01", 0, 0) for m in months)]})


def test_monthly_values(warehouse):
    """Full months only, none for who is gone; a month without a bill is 0; later bills are not known yet."""
    found = monthly_values(warehouse, "2026-07-01").set_index(["customer_id", "month"])["value"]
    assert found["firm"].tolist() == [100, 0, 100, 250, 0, 50]
    assert found["firm"].index.strftime("%y%m").tolist() == ["2407", "2503", "2506", "2507", "2605", "2606"]
    assert found["office"].index.min() == pd.Timestamp("2025-06-01")  # joined in the middle of March
    assert found["office"].iloc[-1] == 60
    assert found["he"].index.max() == found["she"].index.max() == pd.Timestamp("2026-05-01")
    assert "later" not in found.index.get_level_values(0)
    assert monthly_values(warehouse, "2026-06-01")["month"].max() == pd.Timestamp("2026-05-01")


def test_the_last_month_is_of_the_customers_of_the_day():
    """He leaves on 10 June: a customer of May until then, of April from then on, whatever of May was billed."""
    warehouse = held(ROWS | {"bill": [("he", f"2026-{m:02}-01", 5, 0) for m in (3, 4, 5)]})
    for day, last in (("2026-06-10", 5), ("2026-06-11", 4)):
        months = monthly_values(warehouse, day).set_index("customer_id")["month"]
        assert (months["he"].max().month, months["firm"].max().month) == (last, 5)


def test_who_comes_back_has_a_gap():
    """Lines until 10 March and from 20 August on: no month between; one that is billed all the same is theirs."""
    lines = [("6", "back", "mobile", "2024-01-01", "2025-03-10"), ("7", "back", "mobile", "2025-08-20", None)]
    rows = ROWS | {
        "customer": [*ROWS["customer"], ("back", "person", "北京", "2024-01-01")],
        "subscription": [*ROWS["subscription"], *lines],
        "bill": [("she", f"2025-{m:02}-01", 0, 0) for m in range(1, 11)] + [("back", "2025-05-01", 7, 0)],
    }
    found = monthly_values(held(rows), "2025-11-05").set_index("customer_id").loc["back"]
    assert found["month"].dt.month.tolist() == [1, 2, 3, 5, 8, 9, 10] and found["value"].sum() == 7


def test_servicing(warehouse):
    """The window ends before as_of; an open case is judged once it is late for the limit; nobody is left out."""
    found = servicing(warehouse, "2026-07-01", within={"hotline": [10, 30], "complaint": [24], "fault": [24]})
    firm, office, he = found.set_index("customer_id").loc[["firm", "office", "he"]].to_dict("records")
    assert [firm[c] for c in ("hotline", "visit", "complaint", "fault", "installation")] == [3, 0, 3, 1, 0]
    assert (firm["wait_s"], firm["complaint_h"], firm["overdue"]) == (20.5, 36, 2)
    assert [firm[f"hotline_{c}"] for c in ("judged_10", "within_10", "judged_30", "within_30")] == [2, 1, 2, 1]
    assert [firm[f"complaint_{c}_24"] for c in ("judged", "within")] == [2, 1]
    assert [firm[f"fault_{c}_24"] for c in ("judged", "within")] == [1, 0] and pd.isna(firm["fault_h"])
    assert (office["visit"], he["hotline"], office["days_known"]) == (1, 0, 365)
    assert servicing(warehouse, "2026-07-01", days=30).set_index("customer_id").loc["firm", "hotline"] == 2
    early = servicing(warehouse, "2025-07-05", days=10, within={"fault": [24]})
    assert early[["fault", "overdue", "fault_judged_24"]].isna().all(axis=None) and early["hotline"].sum() == 2
    with pytest.raises(WorkbenchError, match="Did you mean 'hotline'"):
        servicing(warehouse, "2026-07-01", within={"hotlin": [10]})


def test_business_accounts():
    """Twelve months against the twelve before, where they are whole; lines that run; margin after discounts."""
    warehouse = billed_monthly()
    found = business_accounts(warehouse, "2026-07-01", margin=0.4).set_index("customer_id")
    assert list(found.index) == ["firm", "office"]
    assert found.loc["firm", ["revenue_12m", "growth", "lines"]].tolist() == [300, 0.5, 1]
    assert found.loc["firm", "margin_12m"] == pytest.approx(0.4 * 350 - 50)
    assert pd.isna(found.loc["office", "growth"]) and found.loc["office", "lines"] == 1
    assert found.loc["firm", "tenure_months"] == pytest.approx(24, abs=0.05)
    with pytest.raises(CannotAnswer, match="Choose a later day"):
        business_accounts(warehouse, "2020-01-01", margin=0.4)


def test_a_year_with_a_month_not_delivered():
    """Without bills of July 2025 the firm's 50 of 11 months stand for 12, and are compared with the same 11 before."""
    found = business_accounts(billed_monthly("2025-07"), "2026-07-01", margin=0.4).set_index("customer_id")
    assert found.loc["firm", "revenue_12m"] == pytest.approx(50 * 12 / 11)
    assert found.loc["firm", "margin_12m"] == pytest.approx(0.4 * 50 * 12 / 11)
    assert found.loc["firm", "growth"] == pytest.approx(50 / 100 - 1)  # July 2024 has no counterpart
    before = business_accounts(billed_monthly("2024-08"), "2026-07-01", margin=0.4).set_index("customer_id")
    assert before.loc["firm", ["revenue_12m", "growth"]].tolist() == [300, 0.5]
    few = business_accounts(held(ROWS), "2026-07-01", margin=0.4).set_index("customer_id")
    assert few.loc["firm", "revenue_12m"] == 300 * 12 / 3 and pd.isna(few.loc["firm", "growth"])


def test_a_case_is_judged_once_its_time_has_passed(warehouse):
    """A complaint closed early does not count before its limit has passed, as an open one does not."""
    early = servicing(warehouse, "2026-06-03", days=30, within={"complaint": [24, 60]}).set_index("customer_id")
    # Both opened on 1 June: one closed after 24 hours, the other open on the 3rd (closed on it).
    assert early.loc["firm", ["complaint_judged_24", "complaint_within_24"]].tolist() == [2, 1]
    assert early.loc["firm", ["complaint_judged_60", "complaint_within_60"]].tolist() == [0, 0]
    on_time = servicing(warehouse, "2026-06-04", days=30, within={"complaint": [60]}).set_index("customer_id")
    assert on_time.loc["firm", ["complaint_judged_60", "complaint_within_60"]].tolist() == [2, 2]


def test_promises_of_young_cases_are_not_biased():
    """Through the warehouse's counts: 48 hours to close, last 7 days, 10.35 % late; the share kept is 89.65 %."""
    rng, count, as_of = np.random.default_rng(2), 30_000, pd.Timestamp("2026-06-08")
    opened = as_of - pd.to_timedelta(rng.uniform(0, 7 * 24, count), unit="h").round("s")
    closed = opened + pd.to_timedelta(12.47 * rng.gamma(2, size=count), unit="h").round("s")
    connection = duckdb.connect()
    for table in schema.tables().values():
        connection.execute(table.ddl())
    connection.execute(
        "INSERT INTO customer (customer_id, kind, joined_on) SELECT i, 'person', '2020-01-01' FROM range(3000) t(i)"
    )
    seen = pd.DataFrame(
        {"k": range(count), "who": np.arange(count) % 3_000, "a": opened, "b": closed.where(closed < as_of)}
    )
    connection.register("seen", seen)
    connection.execute(
        "INSERT INTO ticket (ticket_id, customer_id, kind, opened_at, closed_at) SELECT k, who, 'fault', a, b FROM seen"
    )
    source = SimpleNamespace(query=lambda sql, values=None: connection.execute(sql, values).df())
    found = servicing(source, "2026-06-08", within={"fault": [48]})
    judged, kept = found["fault_judged_48"].sum(), found["fault_within_48"].sum()
    truth = 1 - (1 + 48 / 12.47) * np.exp(-48 / 12.47)
    assert judged == (opened < as_of - pd.Timedelta(hours=48)).sum()
    assert kept / judged == pytest.approx(truth, abs=3 * np.sqrt(truth * (1 - truth) / judged))
