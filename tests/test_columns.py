"""One reader of columns: the right value for every dtype, or a refusal that says what to do."""

import datetime as dt
import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from workbench import columns
from workbench.errors import WorkbenchError


def arrow(values, kind):
    """A column of an Arrow type."""
    return pd.Series(values, dtype=pd.ArrowDtype(kind))


def objects(*values):
    """A column that holds Python objects."""
    return pd.Series(values, dtype=object)


STAMPS = pd.to_datetime(["2026-01-31 05:00", None])
DAY, CLOCK = pd.Timestamp("2026-01-31"), pd.Timestamp("2026-01-31 05:00")
NAN, NAT = np.nan, pd.NaT
TIMES = "holds dates or durations"
GAP = "is missing in"
NO_DAY = "give days as dates, or as text like '2026-07-01'"
DECLARED = "is declared a category, not a number"
TEXT = "is not numeric: it holds str"
FLAG = r"give True/False or 1/0"

# column, then the value of each reader, or the words of its refusal:
# kind, number(missing="keep"), flag, category, days, periods
READ = {
    "integer": (pd.Series([1, 0]), "number", [1, 0], [True, False], ["1", "0"], NO_DAY, [1, 0]),
    "float32": (pd.Series([2.5, NAN], dtype="float32"), "number", [2.5, NAN], GAP, ["2.5", None], NO_DAY, [2.5, NAN]),
    "float that is whole": (pd.Series([3.0, 3]), "number", [3, 3], FLAG, ["3", "3"], NO_DAY, [3, 3]),
    "nullable": (pd.Series([1, None], dtype="Int64"), "number", [1, NAN], GAP, ["1", None], NO_DAY, [1, NAN]),
    "nullable flag": (
        pd.Series([True, False], dtype="boolean"),
        "number",
        [1, 0],
        [True, False],
        ["True", "False"],
        NO_DAY,
        [1, 0],
    ),
    "Arrow integer": (arrow([1, None], pa.int32()), "number", [1, NAN], GAP, ["1", None], NO_DAY, [1, NAN]),
    "Arrow decimal": (
        arrow([Decimal("1.50"), None], pa.decimal128(9, 2)),
        "number",
        [1.5, NAN],
        GAP,
        ["1.5", None],
        NO_DAY,
        [1.5, NAN],
    ),
    "Arrow flag": (
        arrow([True, False], pa.bool_()),
        "number",
        [1, 0],
        [True, False],
        ["True", "False"],
        NO_DAY,
        [1, 0],
    ),
    "Arrow text": (arrow(["a", None], pa.string()), "category", TEXT, FLAG, ["a", None], NO_DAY, "sort by letters"),
    "flag": (pd.Series([True, False]), "number", [1, 0], [True, False], ["True", "False"], NO_DAY, [1, 0]),
    "Decimal": (objects(Decimal("2.50"), None), "number", [2.5, NAN], GAP, ["2.5", None], NO_DAY, [2.5, NAN]),
    "Decimal flag": (objects(Decimal(1), Decimal(0)), "number", [1, 0], [True, False], ["1", "0"], NO_DAY, [1, 0]),
    "numbers of several types": (
        objects(1, 2.5, True, Fraction(1, 4), None, pd.NA),
        "number",
        [1, 2.5, 1, 0.25, NAN, NAN],
        GAP,
        ["1", "2.5", "1", "1/4", None, None],
        NO_DAY,
        [1, 2.5, 1, 0.25, NAN, NAN],
    ),
    "category of codes": (
        pd.Series([3, 3.0], dtype="category"),
        "category",
        DECLARED,
        DECLARED,
        ["3", "3"],
        NO_DAY,
        NO_DAY,
    ),
    "category of text": (
        pd.Series(["Y", None], dtype="category"),
        "category",
        DECLARED,
        "holds text .'Y'.",
        ["Y", None],
        NO_DAY,
        "would sort by letters",
    ),
    "text": (
        pd.Series(["Y", "N"]),
        "category",
        TEXT,
        r"holds text \('Y'\).*column == 'Y'",
        ["Y", "N"],
        NO_DAY,
        "would sort by letters",
    ),
    "numbers as text": (
        pd.Series(["1", "2,000.5"]),
        "numbers written as text",
        "convert it with pandas.to_numeric",
        "holds text",
        ["1", "2,000.5"],
        NO_DAY,
        "would sort by letters",
    ),
    "text and numbers": (
        objects("a", 1),
        "mixes text with other values .int",
        TEXT,
        FLAG,
        ["a", "1"],
        NO_DAY,
        "would sort by letters",
    ),
    "times": (STAMPS.to_series(), TIMES, TIMES, TIMES, TIMES, [CLOCK, NAT], [CLOCK, NAT]),
    "times in nanoseconds": (
        STAMPS.astype("datetime64[ns]").to_series(),
        TIMES,
        TIMES,
        TIMES,
        TIMES,
        [CLOCK, NAT],
        [CLOCK, NAT],
    ),
    "times in seconds": (
        STAMPS.astype("datetime64[s]").to_series(),
        TIMES,
        TIMES,
        TIMES,
        TIMES,
        [CLOCK, NAT],
        [CLOCK, NAT],
    ),
    "times with a zone": (
        pd.Series(STAMPS.tz_localize("Asia/Shanghai")),
        TIMES,
        TIMES,
        TIMES,
        TIMES,
        [CLOCK, NAT],
        [CLOCK, NAT],
    ),
    "Arrow times": (arrow(STAMPS, pa.timestamp("us")), TIMES, TIMES, TIMES, TIMES, [CLOCK, NAT], [CLOCK, NAT]),
    "Arrow times with a zone": (
        arrow(STAMPS.tz_localize("Asia/Shanghai"), pa.timestamp("ms", "Asia/Shanghai")),
        TIMES,
        TIMES,
        TIMES,
        TIMES,
        [CLOCK, NAT],
        [CLOCK, NAT],
    ),
    "Arrow dates": (arrow([DAY.date(), None], pa.date32()), TIMES, TIMES, TIMES, TIMES, [DAY, NAT], [DAY, NAT]),
    "Arrow dates in ms": (arrow([DAY.date(), None], pa.date64()), TIMES, TIMES, TIMES, TIMES, [DAY, NAT], [DAY, NAT]),
    "dates": (objects(DAY.date(), None), TIMES, TIMES, TIMES, TIMES, [DAY, NAT], [DAY, NAT]),
    "ISO text": (
        pd.Series(["2026-01-31", "2026-01-31T05:00:00+08:00", None]),
        "days written as text",
        TEXT,
        "holds text",
        ["2026-01-31", "2026-01-31T05:00:00+08:00", None],
        [DAY, CLOCK, NAT],
        [DAY, CLOCK, NAT],
    ),
    "day first": (pd.Series(["31/01/2026"]), "category", TEXT, "holds text", ["31/01/2026"], NO_DAY, "by letters"),
    "no such day": (
        pd.Series(["2026-02-30"]),
        "as text",
        TEXT,
        "holds text",
        ["2026-02-30"],
        "no day of the calendar",
        "no day of the calendar",
    ),
    "days as numbers": (pd.Series([20260131]), "number", [20260131], FLAG, ["20260131"], NO_DAY, [20260131]),
    "placeholders": (
        objects(dt.date(1, 1, 1), dt.date(1900, 1, 1), dt.date(1970, 1, 1), dt.date(9999, 12, 31), DAY.date()),
        TIMES,
        TIMES,
        TIMES,
        TIMES,
        [NAT] * 4 + [DAY],
        [NAT] * 4 + [DAY],
    ),
    "Period": (
        pd.Series(pd.PeriodIndex(["2026-01", None], freq="M")),
        TIMES,
        TIMES,
        TIMES,
        TIMES,
        NO_DAY,
        [pd.Timestamp("2026-01-01"), NAT],
    ),
    "Periods as objects": (
        objects(pd.Period("2026Q1"), None),
        TIMES,
        TIMES,
        TIMES,
        TIMES,
        NO_DAY,
        [pd.Timestamp("2026-01-01"), NAT],
    ),
    "months as text": (
        pd.Series(["2025-12", "9999-12"]),
        "category",
        TEXT,
        "holds text",
        ["2025-12", "9999-12"],
        NO_DAY,
        [pd.Timestamp("2025-12-01"), NAT],
    ),
    "months that sort by letters": (
        pd.Series(["2025-1", "2025-12"]),
        "category",
        TEXT,
        "holds text",
        ["2025-1", "2025-12"],
        NO_DAY,
        "would sort by letters",
    ),
    "duration": (pd.Series(pd.to_timedelta([1], unit="D")), TIMES, TIMES, TIMES, TIMES, NO_DAY, NO_DAY),
    "Arrow duration": (arrow([dt.timedelta(1)], pa.duration("us")), TIMES, TIMES, TIMES, TIMES, NO_DAY, NO_DAY),
    "infinite": (
        pd.Series([1, np.inf]),
        "number",
        "is infinite in 1 of 2 rows",
        "is infinite",
        ["1", "inf"],
        NO_DAY,
        "is infinite",
    ),
    "complex": (
        pd.Series([1 + 2j]),
        "type complex",
        "it holds complex",
        "it holds complex",
        ["(1+2j)"],
        NO_DAY,
        NO_DAY,
    ),
    "lists": (
        objects([1], [2, 3]),
        "values of type list",
        "it holds list",
        "it holds list",
        "one value a row",
        "one value a row",
        "one value a row",
    ),
    "arrays": (
        objects(np.array([1, 2]), None),
        "type ndarray",
        "it holds ndarray",
        "it holds ndarray",
        "one value a row",
        "one value a row",
        "one value a row",
    ),
    "no row": (objects(), "number", [], [], [], [], []),
    "all missing": (objects(None, None), "number", [NAN, NAN], GAP, [None, None], [NAT, NAT], [NAT, NAT]),
    "all missing text": (pd.Series([None], dtype="str"), "number", [NAN], GAP, [None], [NAT], [NAT]),
    "all missing times": (pd.Series([NAT]), TIMES, TIMES, TIMES, TIMES, [NAT], [NAT]),
    "all missing numbers": (pd.Series([NAN]), "number", [NAN], GAP, [None], [NAT], [NAN]),
    "Arrow nothing": (arrow([None], pa.null()), "number", [NAN], GAP, [None], [NAT], [NAT]),
}
READERS = {
    "kind": columns.kind,
    "number": lambda column, name: columns.number(column, name, missing="keep"),
    "flag": columns.flag,
    "category": columns.category,
    "days": lambda column, name: columns.days(column, name)[0],
    "periods": columns.periods,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("case", READ)
def test_every_dtype_has_its_value_or_its_refusal(case, reader):
    """What a column means does not depend on its dtype; what could mean two things is refused by its name."""
    column, *expected = READ[case]
    wanted = expected[list(READERS).index(reader)]
    if isinstance(wanted, str) and not (reader == "kind" and wanted in ("number", "category")):
        with pytest.raises(WorkbenchError, match=wanted) as refused:
            READERS[reader](column, "it")
        assert re.search(r"\bit\b", str(refused.value))
        return
    found = READERS[reader](column, "it")
    if reader == "kind":
        assert found == wanted
    else:
        found = pd.Series(found)
        assert len(found) == len(wanted)
        for value, right in zip(found, wanted, strict=True):
            assert value == right or (pd.isna(value) and pd.isna(right))


def test_readers_keep_the_index_and_the_rows():
    """Repeated labels of rows change nothing."""
    column = pd.Series(["2026-01-31", None, "1900-01-01"], index=[7, 7, 7], name="left")
    found, placeholder = columns.days(column, "left")
    assert found.index.tolist() == [7, 7, 7] and found.name == "left" and placeholder.tolist() == [False, False, True]
    assert columns.category(column, "left").index.tolist() == [7, 7, 7]
    assert columns.periods(column, "left").isna().tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("2026-01-31", DAY),
        (" 2026-01-31 05:00 ", CLOCK),
        (DAY.date(), DAY),
        (CLOCK.tz_localize("Asia/Shanghai"), CLOCK),
        (np.datetime64("2026-01-31T05:00", "ns"), CLOCK),
        ("31/01/2026", "as_of is '31/01/2026': give a day like '2026-07-01'"),
        ("2026-1-31", "give a day like"),
        (20260131, "give a day like"),
        (None, "as_of is 'None': give a day like"),
        (NAT, "give a day like"),
        ([DAY], "give a day like"),
        (pd.Period("2026-01"), "give a day like"),
        ("2026-13-01", "no day of the calendar"),
        ("9999-12-31", "stands for an unknown day"),
        (dt.date(1900, 1, 1), "stands for an unknown day"),
        (pd.Timestamp(0), "stands for an unknown day"),
    ],
)
def test_a_single_day(value, right):
    """A date or ISO text is a day; anything else is not guessed."""
    if isinstance(right, str):
        with pytest.raises(WorkbenchError, match=right):
            columns.day(value, "as_of")
    else:
        assert columns.day(value, "as_of") == right


def test_gaps_are_refused_by_their_number_when_asked_to():
    """How many rows, of how many, and what to do."""
    gap = pd.Series([1.0, NAN, NAN])
    with pytest.raises(
        WorkbenchError, match="outcome 'yuan' is missing in 2 of 3 rows: say what a missing value means"
    ):
        columns.number(gap, "yuan", what="outcome")
    with pytest.raises(WorkbenchError, match="'yuan' is missing in 2 of 3 rows: give those rows a name"):
        columns.category(gap, "yuan", missing="refuse")
    with pytest.raises(WorkbenchError, match="'on' has no day in 2 of 2 rows, 1 of them a placeholder like 1900-01-01"):
        columns.days(pd.Series(["1900-01-01", None]), "on", missing="refuse")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.0, 2, 1], None),
        ([1.0, -1], "weight 'w' is negative in 1 rows: give 0 or more"),
        ([0.0, 0], "weight 'w' is 0 in every row"),
        ([1.0, NAN], "weight 'w' is missing in 1 of 2 rows"),
        ([1.0, np.inf], "weight 'w' is infinite in 1 of 2 rows"),
        (["1", "2"], "weight 'w' is not numeric.*pandas.to_numeric"),
        ([], "weight 'w' is 0 in every row"),
    ],
)
def test_weights(values, words):
    """Finite, 0 or more, not all 0."""
    if words is None:
        assert columns.weights_of(pd.Series(values), "w").tolist() == values
    else:
        with pytest.raises(WorkbenchError, match=words):
            columns.weights_of(pd.Series(values), "w")


BILLS = pd.DataFrame(
    {
        "who": ["a", "b", "c", "d"],
        "yuan": [1.0, NAN, 3, 4],
        "held": pd.Series([True, True, None, False], dtype="boolean"),
        "on": ["2026-01-31", "2026-01-31", "2026-01-31", "1900-01-01"],
        "area": ["north", None, "south", "north"],
        "w": [1, 2, 3, 0],
    }
)
ALL = {"key": "who", "numbers": ["yuan"], "flags": ["held"], "dates": ["on"], "weight": "w", "categories": ["area"]}


def test_take_sets_rows_aside_once_and_counts_them():
    """Each row counts under its first reason; what is left has the declared types."""
    taken = columns.take(BILLS, "bills", **ALL, missing="set aside")
    assert taken.set_aside == {"'yuan' missing": 1, "'held' missing": 1, "'on' a placeholder, not a day": 1}
    assert taken.table.index.tolist() == [0] and taken.table["held"].tolist() == [True]
    assert taken.table["held"].dtype == bool and taken.table["on"].tolist() == [DAY]
    assert taken.table.columns.tolist() == ["who", "yuan", "held", "on", "area", "w"]
    kept = columns.take(BILLS, "bills", **ALL, missing="keep").table
    assert kept["area"].tolist() == ["north", None, "south", "north"] and kept["on"].isna().tolist()[-1]
    assert kept["held"].isna().tolist() == [False, False, True, False]


def test_take_does_not_change_the_table():
    """The caller's columns stay what they were."""
    before = BILLS.copy()
    columns.take(BILLS, "bills", **ALL, missing="set aside")
    pd.testing.assert_frame_equal(BILLS, before)


REFUSED = {
    "no table": ([1, 2], ALL, "bills is a list: give a DataFrame"),
    "empty": (BILLS[:0], ALL, "bills is empty"),
    "lacks": (BILLS.rename(columns={"yuan": "yuans"}), ALL, "bills lacks 'yuan'. Did you mean 'yuans'?"),
    "twice": (pd.concat([BILLS, BILLS[["yuan"]]], axis=1), ALL, "has the column 'yuan' more than once"),
    "key repeated": (BILLS.assign(who=["a", "b", "b", "d"]), ALL, "bills lists 1 rows of 'who' more than once.*'b'"),
    "key missing": (BILLS.assign(who=["a", None, "c", "d"]), ALL, "'who' of bills is missing in 1 rows"),
    "two keys": (
        BILLS.assign(k=1, who="a"),
        {"key": ["who", "k"]},
        "lists 3 rows of 'who', 'k' more than once.*'a / 1'",
    ),
    "gap": (BILLS, ALL, "column 'yuan' is missing in 1 of 4 rows"),
    "flag as text": (BILLS.assign(held=["Y", "N", "Y", "N"]), {"flags": ["held"]}, "holds text .'Y'.: give True/False"),
    "flag of codes": (BILLS.assign(held=[1, 2, 2, 1]), {"flags": ["held"]}, "flag 'held' holds 2: give True/False"),
    "group missing": (BILLS, {"by": ["area"]}, "'area' is missing in 1 of 4 rows"),
    "number as text": (BILLS.assign(yuan=list("1234")), {"numbers": ["yuan"]}, "'yuan' is not numeric.*to_numeric"),
    "day first": (BILLS.assign(on="31/01/2026"), {"dates": ["on"]}, "'on' holds '31/01/2026'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_take_refuses(case):
    """What is wrong, where, and what to do."""
    table, asked, words = REFUSED[case]
    with pytest.raises(WorkbenchError, match=words):
        columns.take(table, "bills", **asked)
