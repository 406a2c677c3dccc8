"""The report on paper: whole, in Chinese too, and never with an empty box."""

import base64
import io

import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workbench.errors import WorkbenchError
from workbench.reports.page import tables
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
