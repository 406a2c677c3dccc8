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
        ({"text/plain": "p", "image/png": base64.b64encode(png.getvalue()).decode()},
         {"kind": "figure", "caption": text, "alt": "nothing", "width": 20, "height": 10}),
        ({"text/plain": "x", "text/markdown": f"- **{text}** {MARKDOWN}"}, {}),
        ({"text/plain": text}, {}),
    ]  # fmt: skip
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
        (pd.DataFrame({f"a_long_name_of_column_{i}": [i * 1234567.891] for i in range(14)}), 2),
        (pd.DataFrame({"c": ["x"], "address": ["http://example.org/" + "a" * 500], "n": [3]}), 1),
        (pd.DataFrame({"a": [1e300], "b": [2e300]}), 1),
        (pd.DataFrame({f"c{i}": [1e15 + i] for i in range(60)}), 15),
    ],
)
def test_no_cell_of_a_table_runs_into_its_neighbour(frame, parts):
    """By the font's own widths: the columns of each block fit on a line, and no word is wider than its column."""
    made = list(pdf._table(tables.payload(frame, name="t", caption="Shown")))
    assert len(made) == parts
    for block in made:
        size, needed = block["size"], 0.0
        for k, column in enumerate(block["columns"]):
            cells = [column["name"], *(row[k] for row in block["rows"])]
            pieces = [p for c in cells[1:] for p in re.split("[\\s\u200b]", c)]
            whole = max(map(pdf._ems, cells)) * size + pdf._AROUND
            unbroken = max(map(pdf._ems, [*pieces, *column["name"].split()])) * size + pdf._AROUND
            assert not column["points"] or unbroken <= column["points"] + 0.01, column
            needed += column["points"] or whole
        assert needed <= 174 / 25.4 * 72, "A4 less its margins"
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


def test_a_pdf_is_accessible(tmp_path):
    """PDF/UA-1 is declared; an empty heading, a leap of levels and a title of controls do not stop it."""
    write_pdf(tmp_path / "a.pdf", _notebook("# \x07\n\n#### Deep\n\ntext"), title="\x07", facts=[])
    made = (tmp_path / "a.pdf").read_bytes()
    assert b"pdfuaid" in made and b"/StructTreeRoot" in made
