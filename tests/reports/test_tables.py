"""One payload becomes text, HTML and a sheet; small counts leave in none of them."""

import datetime as dt
import json

import numpy as np
import openpyxl
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.reports.page import tables
from workbench.reports.page.sheets import number_format, sheet_name, write_sheets

FRAME = pd.DataFrame(
    {
        "province": ["北京", "上海", "=1+1", '+cmd|"/C calc"!A0'],
        "customers": [9, 10, 30_000, 44],
        "arpu_yuan": [51.23456789, 49.2, -1.5, np.nan],
        "share": [0.1, 0.25, 1 / 3, 0.3],
        "since": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03", None]),
    }
)


def _payload(frame=FRAME, **options):
    return tables.payload(frame, **({"name": "by province", "caption": "By province."} | options))


def test_cells_are_formatted_once_by_column():
    """Given formats hold; others follow the size of the numbers; nothing is shown for a missing value."""
    shown = tables.shown(_payload(formats={"share": "{:.1%}"}))
    assert shown[2] == ["=1+1", "30,000", "−1.50", "33.3%", "2026-01-03"]
    assert shown[3][2:] == ["", "30.0%", ""]


def test_whole_numbers_beside_gaps_stay_whole():
    """A count in a column with gaps is shown without decimals."""
    made = _payload(pd.DataFrame({"members": [118.0, np.nan, 63.0]}))
    assert tables.shown(made) == [["118"], [""], ["63"]]


def test_rows_on_few_customers_are_suppressed_everywhere():
    """Below the minimum the count reads <10 and the numbers are gone, from the payload, too.

    The row beside it goes with it, but not where rows overlap.
    """
    made = _payload(counts="customers")
    assert tables.shown(made)[0] == ["北京", "<10", "–", "–", "–"]
    assert tables.shown(made)[1][1] == "–" and tables.shown(_payload(counts="customers", totals=None))[1][1] == "10"
    assert "worked out" in tables.caption(made, None)
    assert made["rows"][0] == ["北京", None, None, None, None]
    assert "51.2" not in json.dumps(made) + tables.as_html(made) + tables.as_text(made)


def test_full_precision_stays_in_the_payload():
    """Rounding is for the eye alone."""
    assert _payload(formats={"share": "{:.0%}"})["rows"][2][3] == 1 / 3


def test_html_holds_nothing_of_the_data_as_markup():
    """Names, cells and captions are escaped."""
    evil = "<script>alert(1)</script>"
    made = _payload(pd.DataFrame({evil: [evil]}), caption=evil, name=evil)
    assert "<script" not in tables.as_html(made)
    assert tables.as_html(made).count("&lt;script&gt;") == 3


def test_lines_of_a_program_are_code():
    """SQL and TOML stand as code, whatever the language of the page; braces and markup in them stay text."""
    made = tables.payload(pd.DataFrame({"sql": ["CASE WHEN a < 1 THEN {x}"], "n": ["a"]}), name="t", caption="c")
    assert "<code>CASE WHEN a &lt; 1 THEN {x}</code><td>a\n" in tables.as_html(made)


def test_long_tables_say_how_much_is_left_out():
    """The page shows the first rows and points to the sheet."""
    made = _payload(pd.DataFrame({"n": range(2000)}))
    text = tables.as_html(made, longest=10)
    assert text.count("<tr>") == 11
    assert "The first 10 of 2,000 rows" in text


def test_an_index_with_labels_becomes_columns():
    """Labels of rows are shown; a plain row number is not."""
    labelled = _payload(FRAME.groupby("province")[["share"]].mean())
    assert [c["name"] for c in labelled["columns"]] == ["province", "share"]
    assert _payload(FRAME.iloc[::-1])["columns"][0]["name"] == "province"
    two = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]))
    assert [c["name"] for c in _payload(two)["columns"]] == ["a · x", "a · y"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"formats": {"shar": "{:.1%}"}}, "no column 'shar' in table 'by province'. Did you mean 'share'"),
        ({"formats": {"share": "{:d}"}}, "the format '{:d}' does not fit column 'share'"),
        ({"counts": "n"}, "lacks 'n'"),
        ({"counts": "province"}, "holds no numbers"),
        ({"frame": "text"}, "is a str. Pass a DataFrame"),
        ({"frame": pd.DataFrame([[1, 2]], columns=["a", "a"])}, "two columns 'a'"),
    ],
)
def test_a_table_that_cannot_be_shown_is_refused(options, words):
    """The refusal names table and column."""
    with pytest.raises(WorkbenchError, match=words):
        _payload(**options)


def test_sheets_hold_numbers_dates_and_text_never_formulas(tmp_path):
    """Text that looks like a formula stays text; numbers keep full precision; suppressed cells stay so."""
    made = _payload(counts="customers", formats={"share": "{:.1%}"})
    write_sheets(tmp_path / "t.xlsx", [made, made], [("source", "=1+1", "name"), ("seed", 3, "")])
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    assert book.sheetnames == ["contents", "by province", "by province (2)", "run"]
    assert next([c.value for c in row] for row in book["contents"].iter_rows(min_row=2)) == [
        "by province",
        made["caption"],
    ]
    assert book["contents"]["A3"].hyperlink.location == "'by province (2)'!A1"
    assert book["by province"].auto_filter.ref == f"A3:E{len(made['rows']) + 3}"
    rows = list(book["by province"].iter_rows(min_row=4))
    assert [c.value for c in rows[0]] == ["北京", "<10", "–", "–", "–"]
    assert [c.value for c in rows[2]] == ["=1+1", 30_000, -1.5, 1 / 3, dt.datetime(2026, 1, 3)]
    assert rows[2][3].number_format == "0.0%"
    assert all(c.data_type != "f" for sheet in book for row in sheet.iter_rows() for c in row)
    assert book["run"]["B1"].value == "=1+1"
    assert book["run"]["B2"].value == 3


def test_sheet_names_are_legal_and_distinct():
    """Forbidden characters, length and case are seen to; `run` is taken."""
    taken = {"run", "history"}
    names = [sheet_name(n, taken) for n in ("a" * 40, "A" * 40, "[]:*?/\\", "Run", "'quoted'")]
    assert names == ["a" * 31, "A" * 27 + " (2)", "table", "Run (2)", "quoted"]


def test_number_formats_are_translated():
    """Python's formats become the sheet's; others are left general."""
    assert [number_format(f) for f in ("{:,.0f}", "{:+.2f}", "{:.3g}", "")] == ["#,##0", "+0.00;-0.00;0.00", "", ""]


def test_a_small_probability_is_never_zero():
    """What rounds to nothing, or is too small for a float, is said to be below the last digit; other numbers round."""
    frame = pd.DataFrame({"p_holm": [1e-7, 0.02, 0.0], "effect": [1e-7, 0.02, 0.0]})
    made = tables.payload(frame, name="t", caption="c", formats=dict.fromkeys(frame, "{:.3f}"))
    assert tables.shown(made) == [["<0.001", "0.000"], ["0.020", "0.020"], ["<0.001", "0.000"]]


def test_a_sheet_refuses_what_it_cannot_hold(tmp_path):
    """The writer of sheets would leave out columns beyond 16,384 in silence."""
    column = {"kind": "integer", "format": "{:d}"}
    table = {"name": "t", "caption": "c", "counts": None, "suppressed": []}
    table |= {"columns": [column | {"name": f"c{i}"} for i in range(16_385)], "rows": [[1] * 16_385]}
    with pytest.raises(WorkbenchError, match=r"table 't' has 1 rows and 16,385 columns; a sheet holds .* 16,384"):
        write_sheets(tmp_path / "t.xlsx", [table], [])


def test_provinces_stand_in_the_order_of_their_codes():
    """Where grouping left them by their letters, also within operators; an order of the table's own stays."""
    names = ["上海", "云南", "内蒙古", "北京"]
    operators = [o for o in ("联通", "移动") for _ in names]
    grouped = pd.DataFrame({"operator": operators, "province": names * 2, "n": range(8)})
    rows = tables.payload(grouped, name="t", caption="c")["rows"]
    assert [row[1:] for row in rows] == [
        ["北京", 3],
        ["内蒙古", 2],
        ["上海", 0],
        ["云南", 1],
        ["北京", 7],
        ["内蒙古", 6],
        ["上海", 4],
        ["云南", 5],
    ]
    alone = grouped.loc[:3, ["province", "n"]].set_index("province")
    assert [row[0] for row in tables.payload(alone, name="t", caption="c")["rows"]] == [
        "北京",
        "内蒙古",
        "上海",
        "云南",
    ]
    ranked = alone.sort_values("n", ascending=False)
    assert [row[0] for row in tables.payload(ranked, name="t", caption="c")["rows"]] == names[::-1]
    other = alone.rename(index={"云南": "others"}).sort_index()
    assert [row[0] for row in tables.payload(other, name="t", caption="c")["rows"]] == sorted(other.index)


def test_codes_joined_to_one_name_are_said_each():
    """A cell that names several columns says each by its label."""
    made = tables.payload(
        pd.DataFrame({"by": ["contract · tenure_band", "tenure_band", "a_b c"]}), name="t", caption="c"
    )
    assert tables.shown(made) == [["contract · tenure"], ["tenure"], ["a_b c"]]
