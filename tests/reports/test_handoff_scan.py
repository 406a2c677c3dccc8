"""What must stay in the house is found before a bundle is written, and its value never told."""

import json

import pytest

from workbench.errors import WorkbenchError
from workbench.reports.handoff import scan
from workbench.reports.page import sheets, tables

SECRET = "hunter2-hunter2"
FOUND = {
    "a telephone number": ["13912345678", "+86 139-1234-5678", "电话：１３９１２３４５６７８。", "8613912345678.0"],
    "an IMSI": ["460001234567890"],
    "an identity card": ["11010519491231002X", "11010519491231002x,"],
    "an e-mail address": ["wang.li+crm@mail.example.cn"],
    "the pseudonym of a customer": ["0f9c1b2a3d4e5f607182"],
    "a path of a machine": ["/home/wang/x.csv", "see (/Users/li)", r"C:\Users\li", "/tmp/x", "file:///x"],
}
CLEAN = [
    "0.13912345678",
    "4.13912345678e-05",
    "113912345678",
    "1391234567",
    "a13912345678",
    "2026-07-01",
    "110105194912310021",
    "x @ y.T",
    "@functools.wraps",
    "0.460001234567890",
    "1763841600000",
    "http://x.org/home/a",
    "6f3185b83197",
    "0f9c1b2a3d4e5f6071820f9c1b2a3d4e5f607182",
    "13912345678.25",
    "12,391,234,567",
]


def _notebook(**output) -> bytes:
    cells = [
        {"cell_type": "code", "source": ["1"], "outputs": [{"output_type": "display_data", "metadata": {}, **output}]}
    ]
    return json.dumps({"cells": cells}, ensure_ascii=True).encode()


def _refusal(tmp_path, files, minimum=10, secret=None) -> str:
    with pytest.raises(WorkbenchError) as refused:
        scan.refuse(files, root=tmp_path / "project", minimum=minimum, secret=secret or {})
    return str(refused.value)


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in FOUND.items() for text in texts])
def test_personal_text_is_found_in_every_kind_of_file(kind, text, tmp_path):
    """Notebook output and source, page, numbers, sheet and document: file, place and kind, never the value."""
    frame = {"columns": [{"name": "x", "kind": "text", "format": ""}], "rows": [[text]], "suppressed": []}
    sheets.write_sheets(tmp_path / "t.xlsx", [{"name": "t", "caption": "c", "counts": None, **frame}], [])
    files = {
        "results/s/default/report.ipynb": _notebook(data={"text/plain": ["one\n", text]}),
        "results/s/default/manifest.json": json.dumps({"a": [{"b": text}]}).encode(),
        "results/s/default/index.html": f"<p>1\n<b>{text}</b>".encode(),
        "results/s/default/tables.xlsx": (tmp_path / "t.xlsx").read_bytes(),
        "data/mappings/x.toml": f"# {text}".encode(),
        "notebooks/s.ipynb": json.dumps({"cells": [{"cell_type": "markdown", "source": text}]}).encode(),
    }
    for name, content in files.items():
        said = _refusal(tmp_path, {name: content})
        assert name in said and f"what looks like {kind}" in said and text not in said
    assert "cell 1, output" in _refusal(tmp_path, dict([*files.items()][:1]))
    assert "sheet1 cell A4" in _refusal(tmp_path, dict([*files.items()][3:4]))


@pytest.mark.parametrize("text", CLEAN)
def test_ordinary_numbers_are_let_through(text, tmp_path):
    """Decimals, hashes, epochs, sums with separators, operators, a card whose check digit is wrong."""
    files = {"a.json": json.dumps([text]).encode(), "b.md": text.encode(), "c.ipynb": _notebook(text=text)}
    scan.refuse(files, root=tmp_path / "project", minimum=10, secret={})


def test_numbers_are_searched_as_text_is(tmp_path):
    """A telephone number that became a float in a table is one still."""
    said = _refusal(tmp_path, {"a.json": b'{"rows": [[13912345678.0]]}'})
    assert "a telephone number" in said and "139" not in said


def test_declared_secrets_are_found_anywhere(tmp_path, monkeypatch):
    """By environment and by file, in the program too; the parameter is named, the value not."""
    monkeypatch.setenv("TOKEN_X", SECRET)
    (tmp_path / "key").write_text(f"{SECRET}\nsecond")
    for reference in ("env:TOKEN_X", f"file:{tmp_path / 'key'}"):
        said = _refusal(tmp_path, {"code/x.py": f"x = '{SECRET}'".encode()}, secret={"token": reference})
        assert "x.py: the value of the secret 'token'" in said and SECRET not in said


def test_paths_of_this_machine_are_found(tmp_path):
    """The project's own folder, wherever it is."""
    assert "a path of this machine" in _refusal(tmp_path, {"code/x.py": str(tmp_path / "project" / "a").encode()})


def _table(counts, minimum=10, **columns) -> bytes:
    import pandas as pd

    table = tables.payload(pd.DataFrame(columns), name="arms", caption="c", counts=counts, minimum=minimum)
    return _notebook(data={tables.MIME: table, "text/plain": ["-"]})


@pytest.mark.parametrize(
    ("counts", "minimum", "column", "row"),
    [("n", 2, "n", 2), (None, 10, "customers_before", 2), ("n", 5, "n", 1)],
)
def test_cells_on_too_few_people_are_refused(counts, minimum, column, row, tmp_path):
    """Also where the notebook allowed fewer, and where it did not say that a column counts people."""
    values = [9, 30] if row == 1 else [30, 9]
    said = _refusal(tmp_path, {"report.ipynb": _table(counts, minimum, **{"arm": ["a", "b"], column: values})})
    assert f"cell 1, table 'arms', row {row}, column '{column}': fewer than 10" in said


def test_suppressed_and_empty_cells_pass(tmp_path):
    """What the notebook hid is hidden; nobody is not somebody; shares are no counts."""
    shown = _table("n", arm=["a", "b", "c"], n=[30, 9, 50], sharen=[0.5, 3, 4])
    nobody = _table(None, customers=[0, 10])
    scan.refuse({"a/report.ipynb": shown, "b/report.ipynb": nobody}, root=tmp_path / "p", minimum=10, secret={})


def test_raw_tables_and_identifiers_are_refused(tmp_path):
    """A frame shown as it is has no counts to check; one with customer_id is a list of customers."""
    frame = _notebook(data={"text/html": ['<table class="dataframe">'], "text/plain": ["customer_id  spend"]})
    said = _refusal(tmp_path, {"report.ipynb": frame})
    assert "a table without its counts" in said and "identifiers of single customers" in said
    few = json.dumps([{"name": "n", "value": 3.0, "unit": "customers"}]).encode()
    assert "number 'n': fewer than 10 customers" in _refusal(tmp_path, {"results.json": few})


def test_a_column_that_a_sentence_names_is_no_customer(tmp_path):
    """Data quality says which column lacks; what a column holds, or a table headed so, is refused as before."""
    said = {"say": "the {column} is missing", "values": {"column": {"kind": "label", "code": "customer_id"}}}
    named = _notebook(data={"text/plain": ["the customer is missing"]}, metadata={"workbench": {"said": said}})
    scan.refuse({"report.ipynb": named}, root=tmp_path / "p", minimum=10, secret={})
    for other in ({"code": "customer_id 1000000001"}, {"customer_id": "1"}, {"name": "customer_id"}):
        assert "identifiers of single customers" in _refusal(
            tmp_path, {"report.ipynb": _notebook(data={"application/json": other})}
        )


def test_what_is_to_be_expected_is_no_count(tmp_path):
    """Frauds to be expected on a random list are a part of one; of two people it is told."""
    for value, few in ((0.0143, False), (2.0, True), (2, True)):
        numbers = json.dumps([{"name": "random", "value": value, "unit": "lines"}]).encode()
        if few:
            assert "number 'random': fewer than 10 lines" in _refusal(tmp_path, {"results.json": numbers})
        else:
            scan.refuse({"results.json": numbers}, root=tmp_path / "p", minimum=10, secret={})


def test_ten_megabytes_take_seconds(tmp_path):
    """No pattern goes back and forth on long text without a find."""
    long = "a1" * 2_500_000 + " " + "1" * 2_500_000 + "@" * 1000 + "a." * 1_000_000
    scan.refuse(
        {"a.md": long.encode(), "b.json": json.dumps([long]).encode()}, root=tmp_path / "p", minimum=2, secret={}
    )
