"""The report on paper: whole, in Chinese too, and never with an empty box."""

import base64
import io
import re

import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workbench.catalogue import label
from workbench.errors import WorkbenchError
from workbench.reports.page import pdf, tables
from workbench.reports.page.pdf import write_pdf

HOSTILE = '#panic("x") $x$ *b* <l> @r \\ `c` [x] "q" // /* =1+1 \u202eabc'


MARKDOWN = "`x` ~~y~~ [a](b)\n- $x^2$\n\n1. one\n\n> q\n\n|a|b|\n|-|-|\n|1|2|"


def _notebook(text: str = "北京"):
    """A notebook with one of each thing that can be said."""
    from PIL import Image

    png = io.BytesIO()
    Image.new("RGB", (40, 20), "white").save(png, "png")
    table = tables.payload(pd.DataFrame({"省": [text, "b"], "n": [5, 20]}), name="t", caption=text, counts="n")
    said = [
        ({"text/plain": f"In {text} sales rose."}, {"kind": "answer"}),
        ({"text/plain": "", tables.MIME: table}, {"kind": "table"}),
        (
            {"text/plain": "p", "image/png": base64.b64encode(png.getvalue()).decode()},
            {"kind": "figure", "caption": text, "alt": "nothing", "width": 20, "height": 10},
        ),
        ({"text/plain": "x", "text/markdown": f"- **{text}** {MARKDOWN}"}, {}),
        ({"text/plain": text}, {}),
    ]
    outputs = [new_output("display_data", data=d, metadata={"workbench": m}) for d, m in said]
    outputs.append(new_output("stream", name="stdout", text=text))
    cells = [new_markdown_cell(f"# {text}\n\n## B *c*"), new_code_cell("1", outputs=outputs)]
    return new_notebook(cells=cells, metadata={"language": "zh"})


@pytest.mark.parametrize("text", ["北京", HOSTILE, "a" * 3000, "龘" * 50])
def test_whatever_is_said_is_set_and_not_run(text, tmp_path):
    """Markup, formulas and marks of direction are text; the same report gives the same bytes."""
    for name in ("a.pdf", "b.pdf"):
        write_pdf(tmp_path / name, _notebook(text), title=text[:40], facts=[text[:40]])
    assert (tmp_path / "a.pdf").read_bytes()[:5] == b"%PDF-"
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_a_missing_glyph_fails(tmp_path):
    """Named by its number and name, nothing written."""
    with pytest.raises(WorkbenchError, match=r"U\+1F600 grinning face"):
        write_pdf(tmp_path / "a.pdf", _notebook("\N{GRINNING FACE}"), title="t", facts=[])
    assert not list(tmp_path.iterdir())


SENTENCE = "Customers who have complained twice within thirty days and were not called back in time."
PROVINCES = "北京 天津 河北 山西 内蒙古 辽宁 吉林 黑龙江 上海 江苏 浙江 安徽 福建 江西 山东 河南 湖北 湖南 广东".split()
PROVINCES += "广西 海南 重庆 四川 贵州 云南 西藏 陕西 甘肃 青海 宁夏 新疆".split()


@pytest.mark.parametrize(
    ("frame", "parts"),
    [
        (pd.DataFrame({"a": ["x"], "n": [1.5]}), 1),
        (pd.DataFrame({"operator": ["甲", "乙"]} | {p: [71.234, 72.5] for p in PROVINCES}), 2),
        (pd.DataFrame({"segment": ["A"], "definition": [SENTENCE], "what_to_do": [SENTENCE], "customers": [10]}), 1),
        (pd.DataFrame({"label": ["x"], **{f"text{i}": [SENTENCE] for i in range(9)}}), 2),
        (pd.DataFrame({f"a_long_name_of_column_{i}": [i * 1234567.891] for i in range(14)}), 1),
        (pd.DataFrame({"c": ["x"], "address": ["http://example.org/" + "a" * 500], "n": [3]}), 1),
        (pd.DataFrame({"a": [1e300], "b": [2e300]}), 1),
        (pd.DataFrame({f"c{i}": [1e15 + i] for i in range(60)}), 10),
    ],
)
def test_no_cell_of_a_table_runs_into_its_neighbour(frame, parts):
    """By the font's own widths: the columns of each block fit on a line, and no word is wider than its column."""
    made = list(pdf._table(tables.payload(frame, name="t", caption="Shown")))
    assert len(made) == parts
    for block, room in ((b, room) for b in made for room in pdf._LINES if room in b["fits"]):
        fit = block["fits"][room]
        size, needed = fit["size"], 0.0
        for k, (column, points) in enumerate(zip(block["columns"], fit["points"], strict=True)):
            cells = [column["name"], *(row[k] for row in block["rows"])]
            pieces = [p for c in cells[1:] for p in re.split("[\\s\u200b]", c)]
            whole = max(map(pdf._ems, cells)) * size + pdf._AROUND
            unbroken = max(map(pdf._ems, [*pieces, *column["name"].split()])) * size + pdf._AROUND
            assert not points or unbroken <= points + 0.01, column
            needed += points or whole
        assert needed <= pdf._LINES[room] + 0.1
    assert all("whole" in block["fits"] for block in made) and pdf._LINES["whole"] < 595 - 72, "A4 less its margins"
    first, *_ = names = [label(c) for c in frame.columns]
    assert {block["columns"][0]["name"] for block in made} == {first}
    assert [first, *(c["name"] for block in made for c in block["columns"][1:])] == names
    captions = [f"Shown (part {i} of {parts}, by columns)" for i in range(1, parts + 1)] if parts > 1 else ["Shown"]
    assert [block["caption"] for block in made] == captions


def test_a_table_of_thousands_of_columns_is_cut_with_a_note(tmp_path):
    """All are in the sheet; a table of markdown is broken as one of data is."""
    frame = pd.DataFrame({f"c{i}": [1.5] for i in range(3000)})
    made = list(pdf._table(tables.payload(frame, name="t", caption="Wide.")))
    assert sum(len(block["columns"]) - 1 for block in made) + 1 == pdf.WIDEST
    assert made[0]["caption"].startswith("Wide. The first 120 of 3,000 columns; all are in the sheet 't'.")
    line = "|" + "|".join(f"column {i}" for i in range(30)) + "|\n"
    line += f"|{'-|' * 30}\n{line}"
    assert len(list(pdf._markdown(line))) == 3
    write_pdf(tmp_path / "a.pdf", new_notebook(cells=[new_markdown_cell(line)]), title="t", facts=[])


def test_the_ends_of_an_interval_stand_with_their_estimate():
    """In its cell, also before its error; an end alone is said, a suppressed row stays, other ends stay columns."""
    frame = pd.DataFrame(
        {
            "group": ["a", "b", "c"],
            "n": [20, 20, 5],
            "rate": [0.5, 0.4, 0.3],
            "se": 0.1,
            "low": [0.25, None, 0.2],
            "high": [0.75, 0.5, 0.4],
            "null_low": [-1.0, -2.0, -3.0],
            "null_high": [1.0, 2.0, 3.0],
        }
    )
    formats = dict.fromkeys(["rate", "low", "high"], "{:.0%}")
    (made,) = pdf._table(tables.payload(frame, name="t", caption="c", formats=formats, counts="n", totals=None))
    assert [row[2] for row in made["rows"]] == ["50% (25%\xa0to\xa075%)", "40% (at\xa0most\xa050%)", "–"]
    assert [c["name"] for c in made["columns"]] == [label(c) for c in frame.columns if c not in ("low", "high")]


def test_what_belongs_together_is_set_together():
    """The decision is behind the answer, further findings before the next section; a table has its heading and lead."""
    kinds = {
        "h": {"kind": "heading", "level": 2},
        "p": {"kind": "paragraph"},
        "t": {"kind": "table", "fits": {"half": 0}},
    }
    kinds |= {"a": {"kind": "answer", "sentences": ["So.", "And more."]}, "d": {"kind": "decision"}}
    blocks = [dict(kinds[letter]) for letter in "haphdhpthpp"]
    front = pdf._decision_first(blocks, "zh")
    assert [b["kind"][0] for b in blocks[:front]] == ["h", "a", "h", "d"]
    units = list(pdf._units(blocks[front:]))
    assert ["".join(b["kind"][0] for b in unit["blocks"]) for unit in units] == ["p", "hl", "hpt", "hp", "p"]
    assert [unit["head"] for unit in units] == [False, True, True, True, False]
    assert units[2]["at"] == ["half"] and units[0]["at"] == list(pdf._LINES)


def test_a_pdf_is_accessible(tmp_path):
    """PDF/UA-1 is declared; an empty heading, a leap of levels and a title of controls do not stop it."""
    write_pdf(tmp_path / "a.pdf", _notebook("# \x07\n\n#### Deep\n\ntext"), title="\x07", facts=[])
    made = (tmp_path / "a.pdf").read_bytes()
    assert b"pdfuaid" in made and b"/StructTreeRoot" in made
