"""A study says what it needs, once; what a source lacks of it is said in one sentence, before a kernel starts."""

import re
import shutil
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench import cli
from workbench.errors import WorkbenchError
from workbench.lab.template import TEMPLATE
from workbench.reports.runs.needs import fit, fits
from workbench.reports.runs.parameters import declared_needs
from workbench.reports.runs.render import run
from workbench.reports.runs.slots import Study, find_slots
from workbench.warehouse import open_warehouse
from workbench.warehouse.ingest import ingest

ROOT = Path(__file__).resolve().parents[2]
MAPPING = """
title = "Small"
operator = "o"
as_of = 2024-07-01
[parameters]
since = 2024-06-01
paid.campaign = "spring"
[[file]]
path = "c.csv"
table = "customer"
[file.columns]
customer_id = "id"
kind = { constant = "person" }
province = { constant = "广东" }
joined_on = { constant = "2020-01-01" }
[[file]]
path = "c.csv"
table = "bill"
[file.columns]
bill_id = "id"
customer_id = "id"
month = "month"
issued_on = "month"
due_on = "month"
recurring = "amount"
usage_charge = { constant = 0 }
discount = { constant = 0 }
amount = "amount"
"""
PARAMETERS = """
from datetime import date
from typing import Literal
source: str = "t"  # warehouse: which
as_of: date = "2024-07-01"  # date: until
basis: Literal["bills", "payments"] = "payments"  # basis: of what
campaign: str = "autumn"  # campaign: which
since: date = "2022-07-01"  # date: from
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A project with three customers, billed for two months."""
    root = tmp_path_factory.mktemp("built")
    for folder in ("data/mappings", "data/models", "data/raw/t", "notebooks"):
        (root / folder).mkdir(parents=True)
    (root / "data/mappings/t.toml").write_text(MAPPING, "utf-8")
    rows = ["id,month,amount", "a,2024-05-01,10", "b,2024-05-01,20", "c,2024-06-01,30"]
    (root / "data/raw/t/c.csv").write_text("\n".join(rows) + "\n")
    ingest("t", root=root)
    return root


@pytest.fixture
def root(built, tmp_path, monkeypatch):
    """Each test's own copy of it."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    return shutil.copytree(built, tmp_path, dirs_exist_ok=True)


def study(root, name, needs, *cells):
    first = new_code_cell(PARAMETERS + needs, metadata={"tags": ["parameters"]})
    made = new_notebook(cells=[first, *(new_code_cell(cell) for cell in cells)])
    nbformat.write(made, root / "notebooks" / f"{name}.ipynb")
    return Study(name, root / "notebooks" / f"{name}.ipynb")


def lacks(root, needs, **values):
    one = study(root, "one", f"needs = {needs!r}")
    known = {p.name: p.default for p in one.parameters} | values
    return fit(one.needs, one.parameters, known, open_warehouse("t", root=root))


@pytest.mark.parametrize("notebook", [*sorted((ROOT / "notebooks").glob("*.ipynb")), TEMPLATE], ids=lambda p: p.stem)
def test_every_study_declares_its_needs(notebook):
    """So does the template, so that a new study begins with them."""
    found = Study(notebook.stem, notebook)
    assert found.needs, "write needs = {…} below source in the parameters cell"
    asked = {
        name for v in found.needs.values() if isinstance(v, str) for name in v.split("+") if not name.isdigit()
    } | {k.split("=")[0] for k, v in found.needs.items() if isinstance(v, dict)}
    assert asked <= {p.name for p in found.parameters}


def test_all_that_lacks_is_said_at_once(root):
    """Rows of a table, different values, a value that a parameter asks for; what is there is not named."""
    found = lacks(
        root,
        {
            "customer": 3,
            "bill.month": 3,
            "customer.gender": 1,
            "payment": 1,
            "customer.province": "campaign",
            "contact": 0,
        },
    )
    assert found.parts == ("contact",)
    assert found.sentence("t") == (
        "it needs 3 different values of bill.month before as_of (found: 2), values of customer.gender (gender of a "
        "person, where recorded), rows of payment and 'autumn' in customer.province, as -p campaign=autumn asks "
        "(there are: '广东'). Map it in data/mappings/t.toml (workbench data describe customer)."
    )
    assert not lacks(root, {"customer": 3, "bill.month": 2, "payment|bill": 1, "basis=bills": {"payment": 1}}).lacks
    assert lacks(root, {"customer": 4}).lacks == ("4 rows of customer (there are 3)",)
    assert not lacks(root, {"customer.kind=person": 1}).lacks
    found = lacks(root, {"customer.kind=company": 1})
    assert found.lacks == ("'company' among the values of customer.kind",)
    assert found.sentence("t").endswith("If that is right of the data, the study is not made for them.")
    assert lacks(root, {"customer": 4}).sentence("t").endswith("(there are 3). It runs once more of that is delivered.")


def test_another_value_of_a_parameter_is_proposed(root):
    """Where the source has what that needs."""
    found = lacks(root, {"basis=payments": {"payment": 1}, "basis=bills": {"bill": 1}})
    assert found.sentence("t") == "it needs rows of payment. With -p basis=bills it can run on what 't' has."


SURVEY = """
title = "Small"
operator = "o"
as_of = 2024-07-01
[[file]]
path = "s.csv"
table = "survey_response"
[file.columns]
response_id = { row_number = true }
wave = { constant = "one" }
operator = { constant = "o" }
service = { constant = "mobile" }
weight = { constant = 1 }
items = ["OVERALL"]
"""


def test_a_survey_that_names_nobody_makes_no_view_of_customers(root):
    """What is announced as running runs: answers without customers are none of a customer's facts."""
    (root / "data/mappings/t.toml").write_text(SURVEY, "utf-8")
    (root / "data/raw/t/s.csv").write_text("OVERALL\n7\n8\n")
    ingest("t", root=root)
    for name in ("customer", "customer_view"):
        one = Study(name, ROOT / "notebooks" / f"{name}.ipynb")
        known = {p.name: one.default(p.name) for p in one.parameters}
        assert (
            "survey_response.customer_id"
            in fit(one.needs, one.parameters, known, open_warehouse("t", root=root)).lacks[0]
        )


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ('{"bil": 1}', "Did you mean 'bill'?"),
        ('{"bill.monht": 1}', "Did you mean 'month'?"),
        ('{"bill": len("x")}', "needs is computed"),
        ("3", "needs is 3"),
        ('{"bill": "campaign"}', "needs says 'campaign' of bill"),
    ],
)
def test_wrong_needs_are_refused(root, needs, words):
    with pytest.raises(WorkbenchError, match=re.escape(words)):
        print(study(root, "wrong", f"needs = {needs}").needs)


def test_no_needs_are_none(root):
    assert declared_needs(study(root, "silent", "").cells) is None
    assert fits(open_warehouse("t", root=root), root) == {"silent": None}


def test_what_lacks_is_said_before_a_kernel_starts(root, monkeypatch):
    """The refusal is that of any other: no kernel, all lacks, and the slot is known."""
    study(root, "one", 'needs = {"payment": 1}', "1")
    monkeypatch.setattr(
        "workbench.reports.runs.execute._with_parameters", lambda *_: pytest.fail("a kernel was asked for")
    )
    made = run(["one"], {}, root=root, jobs=1, kernel="plain", progress=False)
    assert [(s.status, s.message) for s in made.slots] == [
        (
            "refused",
            "not run: it needs rows of payment. Map it in data/mappings/t.toml (workbench data describe payment).",
        )
    ]


def test_without_a_study_those_run_that_can(root, capsys, monkeypatch):
    """The others are named with what they lack, on standard error; `list --source` says the same."""
    monkeypatch.delenv("COLUMNS", raising=False)
    study(
        root,
        "can",
        'needs = {"bill": 1, "contact": 0}',
        "from workbench.reports.page.notebook import answer\nanswer('x')",
    )
    study(root, "cannot", 'needs = {"payment": 1}', "1")
    study(root, "of_one", 'customer: str = "9"  # customer: of another source\nneeds = {"bill": 1}', "1")
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "-p", "source=t", "--kernel", "plain"])
    said = capsys.readouterr()
    assert end.value.code == 0 and "1 report: 1 done" in said.out
    assert "cannot: not run: it needs rows of payment" in said.err
    with pytest.raises(SystemExit) as end:
        cli.main(["list", "--source", "t"])
    assert end.value.code == 0
    assert capsys.readouterr().out.splitlines() == [
        "studies that run:",
        "  can (without contact: the parts that rest on it say so)",
        "  of_one",
        "studies that do not:",
        "  cannot: it needs rows of payment. Map it in data/mappings/t.toml (workbench data describe payment).",
    ]


def test_a_mapping_says_what_studies_take(root):
    """For all, or for one; a value that is given goes before it, and it is no part of a slot's name."""
    for name in ("paid", "other"):
        study(root, name, 'needs = {"bill": 1}')
    paid, other = find_slots(["paid", "other"], {"source": "t"}, root)
    assert (paid.name, paid.parameters["since"], paid.parameters["campaign"]) == ("default", "2024-06-01", "spring")
    assert (other.parameters["since"], other.parameters["campaign"]) == ("2024-06-01", "autumn")
    (given,) = find_slots(["paid"], {"source": "t", "since": "2024-05-01", "campaign": "autumn"}, root)
    assert (given.parameters["since"], given.parameters["campaign"]) == ("2024-05-01", "autumn")
    assert given.name == "campaign=autumn,since=2024-05-01"


def test_days_of_another_source_keep_their_distance(root):
    """`since` is declared two years before `as_of`: of another source it is two years before that one's."""
    (root / "data/mappings/u.toml").write_text(
        MAPPING.replace("since = 2024-06-01", "").replace("2024-07-01", "2024-08-31")
    )
    (root / "data/raw/u").symlink_to(root / "data/raw/t")
    ingest("u", root=root)
    study(root, "one", "")
    (slot,) = find_slots(["one"], {"source": "u"}, root)
    assert (slot.parameters["as_of"], slot.parameters["since"]) == ("2024-08-31", "2022-08-31")


@pytest.mark.parametrize("as_of", ["2024-05-01", "2024-08-31"])
def test_a_study_is_judged_on_the_day_on_which_it_would_run(root, as_of):
    """Of a source other than the declared one: neither bills after the declared day nor a later `since` stop it."""
    text = MAPPING.replace("since = 2024-06-01", f"since = {as_of[:-2]}01" if as_of > "2024-07" else "")
    (root / "data/mappings/u.toml").write_text(text.replace("2024-07-01", as_of))
    (root / "data/raw/u").symlink_to(root / "data/raw/t")
    ingest("u", root=root)
    study(root, "one", 'needs = {"bill": 1}')
    (slot,) = find_slots(["one"], {"source": "u"}, root)
    warehouse = open_warehouse("u", root=root)
    judged = fit(slot.study.needs, slot.study.parameters, slot.parameters, warehouse)
    assert (slot.parameters["as_of"], fits(warehouse, root)["one"]) == (as_of, judged)
    assert bool(judged.lacks) == (as_of == "2024-05-01"), "the first bill is of 2024-05-01"


def test_a_number_asks_for_as_many_values(root):
    """Months that a study looks back: as many must be billed; with fewer asked for it runs."""
    study(root, "paid", 'months: int = 12  # months: looked back\nneeds = {"bill.month": "months"}')
    warehouse = open_warehouse("t", root=root)
    said = "12 different values of bill.month before as_of, as months ask (found: 2)"
    assert said in str(fits(warehouse, root)["paid"].lacks)
    assert fits(warehouse, root, given={"months": 2})["paid"].lacks == ()


def test_two_numbers_ask_for_as_many_values_as_both(root):
    """A panel of so many months and a horizon: told how many months there are room for, and only before as_of."""
    both = "months: int = 12  # months: of the panel\nhorizon: int = 1  # months: watched\n"
    one = study(root, "paid", both + 'needs = {"bill.month": "months+horizon"}')
    warehouse, values = open_warehouse("t", root=root), {p.name: p.default for p in one.parameters}
    found = fit(one.needs, one.parameters, values, warehouse)
    assert found.sentence("t") == (
        "it needs 13 different values of bill.month before as_of, as months + horizon ask (found: 2). With -p months=1 "
        "it can run on what 't' has."
    )
    assert not fit(one.needs, one.parameters, values | {"months": 1}, warehouse).lacks
    early = fit(one.needs, one.parameters, values | {"months": 1, "as_of": "2024-06-01"}, warehouse)
    assert "(found: 1)" in str(early.lacks) and not early.instead


def test_rules_that_a_parameter_names_must_be_there(root):
    """Told before a kernel starts, with what there is."""
    one = study(root, "one", 'own: str = ""  # rules: the operator\'s own\nneeds = {"bill": 1}')
    (root / "data/rules").mkdir()
    (root / "data/rules/ours.toml").write_text("")
    values, warehouse = {p.name: p.default for p in one.parameters}, open_warehouse("t", root=root)
    assert not fit(one.needs, one.parameters, values | {"own": "ours"}, warehouse).lacks
    with pytest.raises(WorkbenchError, match=r"no file of rules 'our' in data/rules\. Did you mean 'ours'"):
        fit(one.needs, one.parameters, values | {"own": "our"}, warehouse)


RULE = """
[[rule]]
id = "many"
name = "many calls"
expression = "{expression}"
window = {window}
threshold = 9
severity = "high"
action = "Ask."
owner = "we"
since = 2026-01-01
fires = {{ calls = 10 }}
spares = {{ calls = 1 }}
"""


@pytest.mark.parametrize(
    ("expression", "window", "days", "said"),
    [
        ("calls >= threshold", 30, 30, ""),
        ("cals >= threshold", 30, 30, "which the expression does not read; it reads cals"),
        ("calls < threshold", 30, 30, "it does not fire on its own test case"),
        ("(SELECT 1) < threshold", 30, 30, "a condition has no subquery"),
        ("calls >= threshold", 14, 30, "rule 'many' looks at 14 days; the windows of lines have 30"),
        ("calls >= threshold", 30, 14, "looks at 30 days; the windows of lines have 14"),
    ],
)
def test_wrong_rules_are_refused_before_a_kernel_starts(root, expression, window, days, said):
    """A file of rules is proved as the study would prove it, and its windows are those of the study."""
    own = 'own: str = ""  # rules: the operator\'s own\ndays: int = 30  # days: of a window\n'
    one = study(root, "one", own + 'needs = {"bill": 1}')
    (root / "data/rules").mkdir()
    (root / "data/rules/ours.toml").write_text(RULE.format(expression=expression, window=window))
    values = {p.name: p.default for p in one.parameters} | {"own": "ours", "days": days}
    asked = one.needs, one.parameters, values, open_warehouse("t", root=root)
    if not said:
        assert not fit(*asked).lacks
        return
    with pytest.raises(WorkbenchError, match=said):
        fit(*asked)


def test_a_time_asks_for_as_many_days_of_records(tmp_path):
    """From the first record to as_of there are 19 days; no shorter window is proposed that the rules do not have."""

    class Calls:
        """A warehouse whose detail records begin on 12 June."""

        def query(self, sql):
            days = {"first_on": [pd.Timestamp("2024-06-12")], "last_on": [pd.Timestamp("2024-06-30")]}
            return pd.DataFrame({"fact": ["detail_record"], **days} if "started_at" in sql else {"n": [5]})

    own = 'own: str = ""  # rules: the operator\'s own\ndays: int = 30  # days: of a window\n'
    (tmp_path / "notebooks").mkdir()
    one = study(tmp_path, "one", own + 'needs = {"detail_record.started_at": "days"}')
    values = {p.name: p.default for p in one.parameters}
    found = fit(one.needs, one.parameters, values, Calls())
    said = "30 days of records in detail_record before as_of, as days ask (found: 19; choose a later as_of)"
    assert (found.lacks, found.instead) == ((said,), "")
    assert found.sentence("t") == f"it needs {said}."
    assert not fit(one.needs, one.parameters, values | {"as_of": "2024-07-12"}, Calls()).lacks


def test_what_is_needed_must_be_there_before_as_of(root):
    """Bills that begin on as_of, and a since that is not before it, are refused before a kernel starts."""
    assert not lacks(root, {"bill": 1}, as_of="2024-05-02", since="2024-01-01").lacks
    late = "records in bill of before 2024-05-01 (the first is of 2024-05-01: choose a later as_of)"
    for needs in ({"bill": 1}, {"bill.month": 2}):
        assert lacks(root, needs, as_of="2024-05-01", since="2024-01-01").lacks == (late,)
    assert not lacks(root, {"bill": 0}, as_of="2024-05-01", since="2024-01-01").lacks
    said = "a since before as_of = 2024-06-01, not 2024-06-01"
    assert lacks(root, {"bill": 1}, as_of="2024-06-01", since="2024-06-01").lacks == (said,)


def test_months_are_counted_before_as_of(root):
    """Of two billed months one lies before as_of: told as a number, or as four more than a parameter asks."""
    assert lacks(root, {"bill.month": 2}, as_of="2024-06-01", since="2024-01-01").lacks == (
        "2 different values of bill.month before as_of (found: 1)",
    )
    study(root, "paid", 'window: int = 1  # months: looked ahead\nneeds = {"bill.month": "window+4"}')
    found = fits(open_warehouse("t", root=root), root)["paid"].lacks
    assert "5 different values of bill.month before as_of, as window + 4 ask (found: 2)" in str(found)


def test_a_month_counts_once_its_bills_are_out(tmp_path_factory):
    """On 10 June the bill of June, issued on the 30th, tells a study nothing yet; on 1 July it does."""
    root = tmp_path_factory.mktemp("issued")
    for folder in ("data/mappings", "data/models", "data/raw/t", "notebooks"):
        (root / folder).mkdir(parents=True)
    (root / "data/mappings/t.toml").write_text(MAPPING.replace('issued_on = "month"', 'issued_on = "issued"'), "utf-8")
    rows = ["id,month,issued,amount", "a,2024-05-01,2024-05-31,10", "b,2024-06-01,2024-06-30,20"]
    (root / "data/raw/t/c.csv").write_text("\n".join(rows), "utf-8")
    ingest("t", root=root)
    june = {"as_of": "2024-06-10", "since": "2024-01-01"}
    said = "2 different values of bill.month before as_of (found: 1)"
    assert lacks(root, {"bill.month": 2}, **june).lacks == (said,)
    assert not lacks(root, {"bill.month": 2}, as_of="2024-07-01", since="2024-01-01").lacks
    study(root, "paid", 'months: int = 2  # months: looked back\nneeds = {"bill.month": "months"}')
    found = fits(open_warehouse("t", root=root), root, given=june)["paid"].lacks
    assert "2 different values of bill.month before as_of, as months ask (found: 1)" in str(found)


def test_a_day_that_is_compared_lies_before_as_of(root):
    """A day of before that comes after as_of would tell the future as the past."""
    said = "a previous before as_of = 2024-06-01, not 2024-07-01"
    assert lacks(root, {"bill": 1}, as_of="2024-06-01", since="2024-01-01", previous="2024-07-01").lacks == (said,)


def test_a_parameter_that_no_study_has_is_refused(root):
    """A typo in a mapping says the nearest; a study's own name heads its own."""
    study(root, "paid", 'needs = {"bill": 1}')
    assert fits(open_warehouse("t", root=root), root)["paid"].lacks == ()
    (root / "data/mappings/t.toml").write_text(MAPPING.replace("since =", "sinse ="))
    with pytest.raises(WorkbenchError, match=r"no study or parameter 'sinse' in the project.*Did you mean 'since'\?"):
        fits(open_warehouse("t", root=root), root)
