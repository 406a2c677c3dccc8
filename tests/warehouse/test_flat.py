"""One flat table fills several: sums, months before a day, columns that another block uses, a file of any name."""

import gzip
import shutil
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.warehouse import customer_features, open_warehouse
from workbench.warehouse.ingest import ingest
from workbench.warehouse.ingest.mapping import read_mapping

ROOT = Path(__file__).resolve().parents[2]
HEAD = 'title = "t"\noperator = "o"\nas_of = 2024-07-01\n'
CUSTOMER = """
[[file]]
path = "flat.csv"
table = "customer"
ignore = ["note"]
[file.columns]
customer_id = "id"
kind = { constant = "person" }
province = { constant = "p" }
joined_on = { from = "tenure", format = "months before 2024-07-01" }
"""
BILL = """
[[file]]
path = "flat.csv"
table = "bill"
[file.columns]
bill_id = "id"
customer_id = "id"
month = { constant = 2024-06-01 }
issued_on = { constant = 2024-06-30 }
due_on = { constant = 2024-06-30 }
recurring = { constant = 0 }
usage_charge = { sum = ["day", "night"] }
discount = { constant = 0 }
amount = { sum = ["day", "night"] }
"""
ROWS = "id,tenure,day,night,note\na,12,0.1,0.2,x\nb,0,1,x,\nc,1.0,5,,\nd,-1,2,2,\ne,1,19.99,0.01,\n"


@pytest.fixture
def project(tmp_path):
    for folder in ("data/mappings", "data/raw/t"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data/raw/t/flat.csv").write_text(ROWS)
    return tmp_path


def made(project, text, **options):
    (project / "data/mappings/t.toml").write_text(HEAD + text)
    return ingest("t", root=project, **options)


def test_sums_and_months_before_a_day(project):
    """12 months before 1 July 2024 are 1 July 2023; .1 + .2 is .3; what is no number refuses its row, by name."""
    account = made(project, "most_refused = 0.9\n" + CUSTOMER + BILL)
    found = open_warehouse("t", root=project)
    joined = found.table("customer").set_index("customer_id")["joined_on"].dt.strftime("%Y-%m-%d").to_dict()
    assert joined == {"a": "2023-07-01", "b": "2024-07-01", "c": "2024-06-01", "e": "2024-06-01"}
    assert found.table("bill").set_index("bill_id")["amount"].to_dict() == {"a": 0.3, "e": 20.0}
    reasons = set(account.reasons["reason"])
    assert {"joined_on is not a date", "amount is not a number", "amount is missing"} <= reasons
    known = customer_features(found, "2024-07-01", tables=["bills"]).set_index("customer_id")
    assert known["tenure_months"].to_dict() == {"a": 12.0, "c": 1.0, "e": 1.0}


def test_a_column_counts_as_used_or_left_out_in_any_block_of_its_file(project):
    with pytest.raises(WorkbenchError, match="columns that the mapping does not use: 'note'"):
        made(project, "most_refused = 0.9\n" + CUSTOMER.replace('ignore = ["note"]\n', "") + BILL)


def test_one_file_of_any_name_stands_for_the_mapping_s_only_one(project):
    """A preset is loaded from the user's own copy; its neighbours are nobody's business; another file is refused."""
    mine = project / "downloads [1]"
    mine.mkdir()
    (mine / "my copy (2).csv.gz").write_bytes(gzip.compress(ROWS.encode()))
    (mine / "other.csv").write_text("a,b\n")
    account = made(project, "most_refused = 0.9\n" + CUSTOMER + BILL, raw=mine / "my copy (2).csv.gz")
    assert account.frame["file"].unique().tolist() == ["my copy (2).csv.gz"]
    assert not any("names" in note for note in account.notes)
    with pytest.raises(WorkbenchError, match=r"other\.csv lacks the column 'id', 'tenure' of the mapping"):
        made(project, CUSTOMER, raw=mine / "other.csv")
    with pytest.raises(WorkbenchError, match=r"reads 2 files: 'else\.csv', 'flat\.csv'"):
        made(project, CUSTOMER + BILL.replace("flat.csv", "else.csv"), raw=mine / "other.csv")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("months before 2024-07-01", "months before 2024-13-01", "Say for instance"),
        ("months before 2024-07-01", "moons before 2024-07-01", "Say for instance"),
        ("months before 2024-07-01", "%Y%q", "Say it as strptime does"),
        ("months before 2024-07-01", "yyyy-mm-dd", "Say it as strptime does"),
        ('kind = { constant = "person" }', 'kind = { sum = ["a", "b"] }', "sum is for"),
        ('table = "customer"', 'table = "customer"\nparameters = 3', "unknown key 'parameters'"),
    ],
)
def test_what_is_wrong_in_a_mapping_is_said(project, old, new, words):
    with pytest.raises(WorkbenchError, match=words):
        made(project, CUSTOMER.replace(old, new))


def test_parameters_are_a_table(project):
    with pytest.raises(WorkbenchError, match="parameters are what studies take"):
        made(project, "parameters = 3\n" + CUSTOMER)


def test_without_payments_nothing_is_known_of_arrears(project):
    """A bill that nobody can have paid on record is not overdue."""
    made(project, "most_refused = 0.9\n" + CUSTOMER + BILL)
    known = customer_features(open_warehouse("t", root=project), "2024-07-01", tables=["arrears"])
    assert known["arrears"].isna().all() and known["arrears_days"].isna().all()


def test_every_shipped_mapping_is_whole():
    """The format of today, and parameters that some study has."""
    for file in sorted((ROOT / "data/mappings").glob("*.toml")):
        assert read_mapping(file).files


@pytest.mark.parametrize(
    ("source", "file", "counts"),
    [
        ("ibm_telco", "ibm_telco_churn.csv.gz", {"customer": 7043, "subscription": 7043, "bill": 7043}),
        ("mlc_churn", "mlc_churn.csv.gz", {"customer": 5000, "subscription": 5000, "usage_month": 5000, "bill": 5000}),
    ],
)
def test_presets_read_the_public_sets_from_a_copy(source, file, counts, tmp_path, shared_data):
    """All records come in; who left and what is billed are what the file says."""
    (tmp_path / "data/mappings").mkdir(parents=True)
    shutil.copy(ROOT / f"data/mappings/{source}.toml", tmp_path / "data/mappings")
    shutil.copy(shared_data / file, tmp_path / "mine.csv.gz")
    account = ingest(source, raw=tmp_path / "mine.csv.gz", root=tmp_path)
    assert dict(zip(account.frame["table"], account.frame["accepted"], strict=True)) == counts
    assert account.frame["quarantined"].sum() == 0
    found = open_warehouse(source, root=tmp_path)
    if source == "ibm_telco":
        assert found.table("subscription")["ended_on"].notna().sum() == 1869
        assert found.table("bill")["amount"].sum() == pytest.approx(456_116.6)
    else:
        assert found.table("bill")["amount"].iloc[0] > 0
        assert found.table("usage_month")["call_min"].mean() == pytest.approx(591.2, abs=10)
