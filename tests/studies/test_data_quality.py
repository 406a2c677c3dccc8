"""Coverage, contradictions, lost records and what is mended first: by hand, and as the rules say."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench import refused
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.messages import Message, word
from workbench.studies import data_quality as study
from workbench.warehouse import schema, sqlfiles

ROOT = Path(__file__).resolve().parents[2]
AS_OF = "2026-07-01"


def months(table, records, *, first="2026-01", department="d", delay=0, customers=None):
    """One row a month that has records."""
    when = pd.period_range(first, periods=len(records), freq="M")
    rows = pd.DataFrame(
        {
            "table": table,
            "department": department,
            "month": when.to_timestamp(),
            "records": records,
            "customers": records if customers is None else customers,
            "last_on": when.to_timestamp(how="end").normalize() + pd.Timedelta(days=delay),
            "day_bits": 2.0**when.days_in_month - 1,
        }
    )
    return rows[rows["records"] > 0]


def seen(*tables, as_of=AS_OF):
    return study.coverage(pd.concat(tables, ignore_index=True), as_of=as_of)


def test_months_that_lack_and_months_that_are_thin():
    """March lacks; May has 40 where those near have 100; the first month is never thin, the last that is due may be."""
    found = seen(months("bill", [20, 100, 0, 100, 40, 100], department="billing"), months("payment", [90] * 5 + [30]))
    bill, payment = found.table.iloc[0], found.table.iloc[1]
    assert (bill["table"], bill["months"], bill["missing"], bill["thin"]) == ("bill", 5, 1, 1)
    assert (payment["missing"], payment["thin"], payment["gaps"]) == (0, 1, "2026-06 thin")
    assert found.headline() == (
        "2 of 2 tables that come in every month have gaps until 2026-06-30: bills (billing): 2026-03 missing, 2026-05 "
        "thin; payments (d): 2026-06 thin."
    )


def test_few_records_are_no_thin_month():
    """12 where 29 are usual may be chance; 12 where 30 are is not."""
    assert seen(months("ticket", [29, 29, 29, 12, 29, 29])).table["thin"].tolist() == [0]
    assert seen(months("ticket", [30, 30, 30, 12, 30, 30])).table["thin"].tolist() == [1]


def test_a_table_that_stopped_lacks_the_months_since():
    """The last row is of February: March to June lack, and the last row is 123 days old."""
    row = seen(months("contact", [9, 9])).table.iloc[0]
    assert (row["missing"], row["days_old"]) == (4, 123)
    assert row["gaps"] == "4 months from 2026-03 to 2026-06 missing"


def test_a_month_is_due_once_the_usual_delay_has_passed():
    """Bills come five days after their month: as of 1 July that of June is not due; as of 7 July it is."""
    bills = months("bill", [9, 9, 9, 9, 9], delay=5)
    assert seen(bills).table["missing"].tolist() == [0]
    assert seen(bills, as_of="2026-07-07").table["missing"].tolist() == [1]
    assert seen(months("contact", [9, 9, 9, 9, 9]), as_of="2026-06-20").table["missing"].tolist() == [0]


def days_of(table, lacking, *, a_day=10, first="2026-01-01", last="2026-06-30", weekends=True):
    """One row a month, with so many records on each day but those that lack."""
    when = pd.date_range(first, last)
    when = when[~when.isin(lacking) & (weekends | (when.day_of_week < 5))]
    rows = pd.DataFrame(
        {
            "month": when.to_period("M").to_timestamp(),
            "last_on": when,
            "records": a_day,
            "day_bits": 2.0 ** (when.day - 1),
        }
    )
    found = rows.groupby("month").agg({"last_on": "max", "records": "sum", "day_bits": "sum"}).reset_index()
    return found.assign(table=table, department="d", customers=found["records"])


def test_days_that_lack_at_the_end_and_within_a_month():
    """Calls end a week early and lack two days of March; the first month begins on its tenth, which is no gap."""
    week, two = pd.date_range("2026-06-24", "2026-06-30"), pd.date_range("2026-03-10", "2026-03-11")
    early = days_of("detail_record", week, first="2026-01-10")
    row = seen(early, days_of("payment", two, a_day=12)).table.set_index("table")
    assert row.loc["detail_record", ["days_missing", "missing", "thin", "days_old"]].tolist() == [7, 0, 0, 8]
    assert row.loc["detail_record", "gaps"] == "7 days from 2026-06-24 to 2026-06-30 missing"
    assert row.loc["detail_record", "first"] == pd.Timestamp("2026-01-10")
    assert row.loc["payment", "gaps"] == "2 days from 2026-03-10 to 2026-03-11 missing"
    assert seen(days_of("payment", two[:1], a_day=25)).table["gaps"].tolist() == ["2026-03-10 missing"]
    assert "7 days from 2026-06-24" in seen(early).headline()


def test_days_of_rest_and_quiet_days_are_no_gap():
    """Weekends, eight days of a feast, and a day without one of three a day; a run of seven at that pace is one."""
    feast = pd.date_range("2026-02-15", "2026-02-22")
    assert seen(days_of("ticket", feast, weekends=False)).holed.empty
    assert seen(days_of("contact", [pd.Timestamp("2026-03-10")], a_day=3)).holed.empty
    assert seen(days_of("contact", feast, a_day=3)).table["days_missing"].tolist() == [8]
    assert seen(days_of("payment", []), as_of="2026-07-02").holed.empty


def test_a_fortnight_is_no_weekend():
    """Where nothing happens at weekends, five weekends' days are a rest, and two weeks without a row are a gap."""
    found = seen(days_of("ticket", pd.date_range("2026-03-09", "2026-03-22"), weekends=False))
    assert found.holed["table"].tolist() == ["ticket"] and found.table["days_missing"].iloc[0] >= 14


def test_a_month_that_runs_lacks_its_days_so_far():
    """As of 11 July, calls to 30 June lack ten days of July; a month without any is missing, not its days."""
    found = seen(days_of("detail_record", []), as_of="2026-07-11").table
    assert found["gaps"].tolist() == ["10 days from 2026-07-01 to 2026-07-10 missing"]
    none = seen(days_of("detail_record", pd.date_range("2026-04-01", "2026-04-30"))).table.iloc[0]
    assert (none["gaps"], none["missing"], none["days_missing"]) == ("2026-04 missing", 1, 0)


def test_a_table_in_waves_is_not_judged_and_no_table_is_no_error():
    """A survey of January lacks nothing in May; where nothing is dated it is said."""
    found = seen(months("survey_response", [5, 0, 0, 5]))
    assert found.table["missing"].isna().all() and found.gaps.empty
    assert found.headline() == "No table comes in every month, so no month can be missing."
    one = study.coverage(months("bill", [5]), as_of="2026-02-01")
    assert one.headline() == "Only one month is on record, so whether other months are missing is not known."
    assert one.table["missing"].isna().all() and one.table["gaps"].tolist() == ["not judged"]
    none = study.coverage(months("bill", []), as_of=AS_OF)
    assert none.headline().startswith("No table of dated facts") and list(none.quantities()) == []
    none.plot()


def test_order_and_whole_base():
    """Rows in another order give the same; months after the day are the caller's to leave out."""
    rows = pd.concat([months("bill", [20, 100, 0, 100, 40, 100]), months("ticket", [5, 5, 5, 5, 5, 5])])
    pd.testing.assert_frame_equal(seen(rows).table, seen(rows.sample(frac=1, random_state=1)).table)


BROKEN = pd.DataFrame(
    [("line_without_bill", f"u{k}", 1 + k % 2, "2026-05-01") for k in range(40)]
    + [("number_twice", f"u{k}", 1, "2026-01-01") for k in range(35, 47)]
    + [("payment_over_bill", "u1", 2, "2026-06-10")],
    columns=["rule", "customer_id", "cases", "latest_on"],
)
THERE = ["customer", "subscription", "bill", "payment"]
OF = {"subscription": "crm", "bill": "billing", "payment": "billing"}
REFUSED = pd.DataFrame(
    [
        ("bill", "billing", 1_000, 30, 5, 25, "month is missing"),
        ("payment", "billing", 500, 0, 9, 0, ""),
        ("customer", "crm", 100, 0, 0, 0, ""),
        ("contact", "care", 100, 2, 0, 0, "the record has 3 fields instead of 4"),
    ],
    columns=["table", "department", "records", "lost", "copies", "customers", "why"],
)


@pytest.fixture
def found():
    return study.contradictions(BROKEN, tables=THERE, departments=OF, customers=200)


def test_customers_are_counted_once_a_rule_and_once_in_all(found):
    """40, 12 and 1 customers; 47 in all, of whom five break two rules and one another two."""
    assert found.table[["rule", "department", "customers", "cases"]].values.tolist() == [
        ["line_without_bill", "billing", 40, 60],
        ["number_twice", "crm", 12, 12],
        ["payment_over_bill", "billing", 1, 2],
    ]
    assert found.touched == 47 and len(found.tried) + len(found.untried) == 14
    assert found.untried["ticket_closed_early"] == "not tried: no rows of tickets"
    assert found.headline() == (
        "3 of 8 rules between systems are broken, for 47 customers (23.5% of 200); 6 could not be tried."
    )
    verdicts = found.as_table().frame["verdict"].value_counts()
    assert verdicts["found"] == 3 and verdicts["none"] == 5


def test_nothing_found_and_nothing_tried():
    """Both are said; neither is a table of broken rules."""
    nothing = BROKEN[:0]
    clean = study.contradictions(nothing, tables=THERE, departments=OF, customers=200)
    assert clean.headline() == (
        "No contradiction between systems: 8 rules were tried and none is broken; 6 could not be tried."
    )
    blind = study.contradictions(nothing, tables=["campaign"], departments={})
    assert blind.headline().startswith("None of 14 rules between systems can be tried")
    assert clean.broken() is None and blind.broken() is None


def test_a_rule_that_nobody_knows_is_refused():
    with pytest.raises(WorkbenchError, match=r"no rule 'line_without_bil'.*Did you mean 'line_without_bill'"):
        study.contradictions(BROKEN.assign(rule="line_without_bil"), tables=THERE, departments=OF)


def test_lost_records_and_copies():
    """32 of 1,700 are lost, 14 are copies; few customers are not said as a number."""
    lost = study.lost_records(REFUSED.assign(customers=[7, 0, 0, 0]), customers=200)
    assert lost.headline() == (
        "32 of 1,700 records are lost (1.9%), most of the bills (30, from billing); 14 refused ones repeat an accepted "
        "record and are no loss."
    )
    assert lost.as_table().frame["customers named"].tolist() == ["fewer than 10", "not known", ""]
    assert word(lost.as_table().frame["customers named"][0], "zh") == "不足10"
    assert study.lost_records(REFUSED[2:3]).headline() == "All 100 records were accepted."


def test_what_touches_most_customers_is_mended_first(found):
    """A month that lacks touches those of a usual month (60); then 40, 25, 12; one customer is no headline."""
    months_ = seen(months("bill", [60, 60, 0, 60, 60, 60], department="billing"))
    lost = study.lost_records(REFUSED, customers=200)
    first = study.mend_first(months_, found, lost)
    assert first.table["customers"].tolist() == [60, 40, 25, 12, 1]
    assert first.table["department"].tolist() == ["billing", "billing", "billing", "crm", "billing"]
    assert first.headline() == (
        "First, the billing department should complete its bills: 2026-03 missing; a usual month has 60 "
        "customers (30.0% of 200). Then: a line that ran all month, and no bill for it (60 cases) (billing, 40 "
        "customers); 30 of 1,000 records of bills lost, most often because the month is missing (billing, 25 "
        "customers)."
    )
    few = study.mend_first(months_, found, lost, minimum=61)
    assert few.headline() == "Nothing was found that touches 61 customers or more."
    assert first.as_table().counts == "customers"


def test_each_study_has_its_sentence(found):
    """What lacks, what contradicts and what is lost, of the tables that it rests on and no other."""
    whole = seen(months("bill", [60] * 6))
    said = study.studies_touched(
        whole, found, study.lost_records(REFUSED, customers=200), tables=[*THERE, "contact"]
    ).table.set_index("study")
    assert said.loc["satisfaction", "what_follows"] == "Not delivered: survey responses."
    assert said.loc["purchases", "verdict"] == "touched"
    assert said.loc["lifetime_value", "what_follows"] == (
        "40 customers with a line that ran all month, and no bill for it: revenue and value come out too low; 12 "
        "customers with a number that two lines hold on the same day: lines are counted twice; lost "
        "records, which count as if they had never been: 30, at most 3.00% of a table (bills)."
    )
    assert "Fewer than 10 customers with a bill that was paid" in said.loc["purchases", "what_follows"]


def test_the_rules_are_those_of_the_view_and_the_studies_those_of_the_project():
    """Each rule of the view has its words, its tables exist; each notebook but those of the data itself is there."""
    rules = study.quality_rules()
    body = sqlfiles.body("customer_contradiction")
    assert set(re.findall(r"SELECT '(\w+)'", body)) == set(rules.rules)
    notebooks = {file.stem for file in (ROOT / "notebooks").glob("*.ipynb")}
    assert set(rules.studies) == notebooks - {"data_quality", "customer"}
    tables = {t for rule in rules.rules.values() for t in rule.tables} | {
        t for of in rules.studies.values() for t in of
    }
    assert tables | set(rules.monthly) <= set(schema.tables())
    assert all(rule.mend in rule.tables for rule in rules.rules.values())


def test_columns_that_are_never_filled():
    """Shares of rows, emptiest first; one that is always filled is counted and not shown."""
    filled = pd.DataFrame(
        [("bill", "d", "a", 4, 4, True), ("bill", "d", "b", 4, 1, True), ("ticket", "d", "a", 2, 0, True)],
        columns=["table", "department", "column", "rows", "filled", "mapped"],
    )
    told = study.completeness(filled)
    assert told.caption.startswith("Share of rows that have a value, emptiest first; 1 of 3 columns")
    assert told.frame[["table", "share"]].values.tolist() == [["tickets", 0.0], ["bills", 0.25]]
    told = study.completeness(filled.assign(mapped=[True, True, False]))
    assert told.frame["table"].tolist() == ["bills", "tickets"] and told.frame["share"].isna().tolist() == [False, True]
    assert told.caption.endswith("1 of these columns are not mapped: no file fills them, so they have no share.")


ENGLISH = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}")


def said(result):
    """All that a reader meets of a result, as messages."""
    tiles = [part for tile in result.tiles() for part in (tile.label, tile.value, tile.interval) if part is not None]
    return [result.headline(), result.caption(), result.picture_caption(), *tiles]


@cache
def faulty(seed):
    """A source with other faults each time: gaps, contradictions, lost records, or none; with and without a base."""
    rng = np.random.default_rng(seed)
    base = int(rng.choice([0, 200]))
    rules = BROKEN[BROKEN["rule"].isin(rng.choice(BROKEN["rule"].unique(), rng.integers(0, 4), replace=False))]
    there = rng.choice([*THERE, "ticket"], rng.integers(2, 6), replace=False).tolist()
    refusals = REFUSED.assign(
        lost=REFUSED["lost"] * rng.integers(0, 2, 4), copies=REFUSED["copies"] * rng.integers(0, 2), why=REFUSED["why"]
    )
    refusals["customers"] = np.where(refusals["lost"] > 0, refusals["customers"], 0)
    whole = seen(
        *(months(name, rng.choice([60, 60, 60, 60, 60, rng.choice([0, 60])], 6)) for name in ("bill", "payment")),
        months("ticket", [9]),
    )
    found = study.contradictions(rules, tables=there, departments=OF, customers=base)
    lost = study.lost_records(refusals, customers=base)
    first = study.mend_first(whole, found, lost, minimum=int(rng.choice([10, 50, 500])))
    return first, found, whole, lost, study.studies_touched(whole, found, lost, tables=there)


def test_all_is_said_in_chinese():
    """Whatever was found, no two English words stand in a row but in names of departments."""
    for seed in range(20):
        results = faulty(seed)
        for one in (*results[0].decision().said(), *(text for result in results for text in said(result))):
            assert isinstance(one, Message) or not isinstance(one, str), one
            assert not ENGLISH.search(one.said("zh")), one.said("zh")
            assert not re.search(r"[a-z]_[a-z]|\bnan\b", one.said()), one.said()


def test_the_rules_are_said_in_chinese():
    """What is found and what it means."""
    from workbench.messages import Term

    for rule in study.quality_rules().rules.values():
        for text in (rule.what, rule.means):
            assert not ENGLISH.search(Term(text).said("zh")), text


def test_nothing_is_mended_that_touches_too_few():
    """The decision names a department if, and only if, the headline does; the largest fault of it."""
    cases = set()
    for seed in range(20):
        first, *_ = faulty(seed)
        do = first.decision().do
        assert bool(first.told) == (" department " in do[0]) == first.headline().startswith("First, ")
        assert bool(first.told) == bool(first.tiles())
        if first.told:
            largest = max(fault.customers for fault in first.faults)
            assert first.told[0].customers == largest >= first.minimum and first.told[0].do == do[0]
        cases.add(do[0].split()[4 if first.told else 3])
        if not first.told:
            assert do[0].startswith("Mend nothing now")
            with pytest.raises(CannotAnswer, match="nothing was found that touches"):
                first.plot()
    assert cases >= {"deliver", "no"} and len(cases) > 2


def test_each_kind_of_fault_has_its_advice(found):
    """A month that lacks is delivered again, a contradiction looked at, a lost record mended."""
    lost = study.lost_records(REFUSED, customers=200)
    gap = study.mend_first(seen(months("bill", [60, 60, 0, 60, 60, 60], department="billing")), found, lost)
    assert gap.decision().do[0] == "Have the billing department deliver its bills again: 2026-03 missing."
    assert [text.get_text() for text in gap.plot().texts] == ["60", "40", "25", "12"]
    whole = seen(months("bill", [60] * 6))
    contradicting = study.mend_first(whole, found, lost)
    assert contradicting.headline().parts[0] == (
        "First, the billing department should look again: 40 customers (20.0% of 200) have a line that ran all month, "
        "and no bill for it."
    )
    assert contradicting.decision().do[0].startswith("Have the billing department look at the 40 customers with a line")
    losing = study.mend_first(whole, study.contradictions(BROKEN[:0], tables=THERE, departments=OF), lost)
    assert losing.headline().parts[0] == (
        "First, the billing department should mend its bills: 30 of 1,000 were lost on arrival, touching 25 customers."
    )
    assert losing.decision().do[0] == "Have the billing department mend the 30 refused records, and take them back."


@pytest.mark.parametrize(
    ("reason", "words", "chinese"),
    [
        ("kind has a text not listed under values", "the kind holds a text that the mapping does not list", "未列入"),
        ("from_on is not a date", "the first day is not a date", "起始日期不是日期"),
        ("opened_at is not a date and time", "the time of opening is not a date and time", "日期时间"),
        ("active_days is not between 0 and 31", "the active days is not between 0 and 31", "不在0至31之间"),
        ("outcomes.revenue is missing", "the revenue is missing", "收入缺失"),
        ("service is not one of mobile, fixed", "the service is none of mobile, fixed", "mobile, fixed"),
        ("bill_id was written as a number and may have lost digits", "the bill was written as a number", "丢失位数"),
        (
            "customer_id is a telephone number: map it with pseudonym",
            "the customer is a telephone number in",
            "电话号码",
        ),
        ("the record has 8 fields instead of 9", "the record has 8 fields instead of 9", "应为9个"),
        ("the key (a, b) stands in an earlier row", "another record has the same key", "同一主键"),
        ("the line is empty", "the line is empty", "该行为空"),
    ],
)
def test_a_reason_in_words(reason, words, chinese):
    """Each reason of the quarantine names columns and tables by their labels, in both languages."""
    told = refused.because(reason)
    assert told.startswith(words) and chinese in told.said("zh")
