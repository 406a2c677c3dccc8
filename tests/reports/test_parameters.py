"""Parameters are declared in the notebook, typed, and checked before anything runs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.reports.runs.parameters import Parameter, as_code, declared, read_source, resolve, split_assignments

CELL = """
from datetime import date
source: str = "sample"  # name: the operator whose data are read
as_of: date = "2026-07-01"  # date: nothing of this day: or later is known
seed: int = 0  # seed of all random numbers
top: float = 1  # share: who is called the top
detailed: bool = False
service: Literal["mobile", "broadband"] = "mobile"  # name: the service
"""


def _cells(source: str) -> list[dict]:
    return [{"kind": "code", "source": source, "tags": ["parameters"]}]


PARAMETERS = declared(_cells(CELL))


def test_every_line_of_the_cell_is_a_parameter():
    """Name, type, default, unit, meaning and choices are read; imports are passed over."""
    assert PARAMETERS == (
        Parameter("source", "str", "sample", "name", "the operator whose data are read"),
        Parameter("as_of", "date", "2026-07-01", "date", "nothing of this day: or later is known"),
        Parameter("seed", "int", 0, "", "seed of all random numbers"),
        Parameter("top", "float", 1.0, "share", "who is called the top"),
        Parameter("detailed", "bool", False),
        Parameter("service", "str", "mobile", "name", "the service", ("mobile", "broadband")),
    )


def test_without_a_cell_there_are_no_parameters():
    """A notebook need not have any."""
    assert declared([{"kind": "code", "source": "x = 1", "tags": []}]) == ()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1", r"line 1, is 'x = 1'. Write: name: type = default"),
        ("x: list = []", r"'x' the type 'list'. Types are str, int"),
        ("x: int = 'a'", r"a default that does not fit: parameter 'x' is 'a', but must be a whole number"),
        ("x: int = 1 + n", "'x' a default that is computed"),
        ("x: Literal['a', 1] = 'a'", r"the type 'Literal\['a', 1\]'"),
        ("x: int = 1\nx: int = 2", "declares 'x' twice"),
        ("x: int = ", "line 1, is not Python"),
    ],
)
def test_a_bad_declaration_is_refused(source, words):
    """The refusal names the line and how to write it."""
    with pytest.raises(WorkbenchError, match=words):
        declared(_cells(source))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("source", "010", "010"),
        ("source", "no", "no"),
        ("source", "北京", "北京"),
        ("as_of", "2024-02-29", "2024-02-29"),
        ("seed", "010", 10),
        ("seed", "-3", -3),
        ("top", "1e-3", 0.001),
        ("detailed", "Yes", True),
        ("detailed", "false", False),
        ("service", "broadband", "broadband"),
    ],
)
def test_text_is_read_by_the_declared_type(name, text, value):
    """An area code stays text and a number becomes a number, whatever they look like."""
    read = resolve(PARAMETERS, {name: text}, study="uplift")[name]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sed": "1"}, "study 'uplift' has no parameter 'sed'. Did you mean 'seed'?"),
        ({"seed": "1.5"}, "'seed' is '1.5', but must be a whole number"),
        ({"seed": True}, "'seed' is 'True', but must be a whole number"),
        ({"seed": "9" * 30}, "must be a whole number"),
        ({"top": "nan"}, "'top' is 'nan', but must be a number"),
        ({"top": "1e999"}, "must be a number"),
        ({"top": float("inf")}, "must be a number"),
        ({"detailed": "1"}, "must be true or false"),
        ({"as_of": "2026-02-30"}, "must be a date as YYYY-MM-DD"),
        ({"as_of": "20260701"}, "must be a date"),
        ({"service": "mobil"}, "Did you mean 'mobile'\\? It must be one of: 'mobile', 'broadband'"),
        ({"source": "a\nb"}, "'a·b', but must be text of one line"),
        ({"source": "x" * 10_000_000}, r"x…' \(10,000,000 characters\), but must be text"),
    ],
)
def test_unknown_and_ill_typed_values_are_refused(given, words):
    """The message names study, parameter, value and what is expected, and stays short."""
    with pytest.raises(WorkbenchError, match=words) as refused:
        resolve(PARAMETERS, given, study="uplift")
    assert len(str(refused.value)) < 250


def test_assignments_are_split_at_the_first_equals_sign():
    """A value may hold equals signs; a missing one and a repeated name are refused."""
    assert split_assignments(["a=b=c", "d="]) == {"a": "b=c", "d": ""}
    with pytest.raises(WorkbenchError, match="not of the form name=value"):
        split_assignments(["seed"])
    with pytest.raises(WorkbenchError, match="'a' is given twice"):
        split_assignments(["a=1", "a=2"])


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40),
    number=st.floats(allow_nan=False, allow_infinity=False),
)
def test_code_gives_the_values_back(text, number):
    """Whatever the value, running the written cell gives it again, and the cell shows no hidden character."""
    code = as_code({"text": text, "number": number, "flag": True})
    found: dict = {}
    exec(code, found)
    assert (found["text"], found["number"], found["flag"]) == (text, number, True)
    assert "\u202e" not in code


def test_chinese_stays_readable_in_code():
    """Chinese is not escaped; direction marks are."""
    assert 'p = "北京\\u202e"' in as_code({"p": "北京\u202e"})


def test_what_is_no_notebook_is_refused():
    """Broken JSON and foreign JSON are one clear refusal."""
    for text in ("{", "[]", '{"cells": [1]}'):
        with pytest.raises(WorkbenchError, match="not a notebook of format 4"):
            read_source(text)


@pytest.mark.parametrize(("value", "right"), [("-1", False), ("0", True), ("4294967295", True), ("4294967296", False)])
def test_a_seed_is_one_that_every_library_takes(value, right):
    """Refused before anything runs, not by a library after it."""
    seed = Parameter("seed", "int", 0, "seed", "of the resamples")
    if right:
        assert seed.parse(value) == int(value)
    else:
        with pytest.raises(WorkbenchError, match="must lie from 0 to 4294967295"):
            seed.parse(value)


@pytest.mark.parametrize(
    ("unit", "meaning", "bad", "good"),
    [("windows", "how many, 1 or more", "0", "1"), ("currency", "cost of one contact", "-0.5", "0")],
)
def test_a_number_below_its_least_is_refused(unit, meaning, bad, good):
    """Its meaning says the least, or its unit: no cost is below 0."""
    found = Parameter("it", "float", 6.0, unit, meaning)
    assert found.parse(good) == float(good)
    with pytest.raises(WorkbenchError, match="or more"):
        found.parse(bad)
    assert Parameter("cost", "float", -1.0, "currency", "-1 takes the campaign's own").parse("-1") == -1
