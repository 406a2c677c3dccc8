"""Lists of customers carry what they are, and nothing that harms who opens them."""

import json
import stat

import openpyxl
import pandas as pd
import pytest
from pyarrow import parquet

from workbench.errors import WorkbenchError
from workbench.reports.page.lists import write_list

ROWS = pd.DataFrame({"customer_id": ["c1", "=cmd()"], "省份": ["北京", "+广东"], "uplift": [1.25, -3.0]})
SAID = {"name": "目标_1", "definition": "Those with the highest effect.", "as_of": "2026-07-01"}


def test_every_file_holds_the_rows_the_definition_and_the_date(tmp_path):
    """CSV, workbook and Parquet say the same, in Chinese too, and texts stay texts."""
    made = write_list(ROWS, tmp_path, **SAID)
    assert {stat.S_IMODE(f.stat().st_mode) for f in made.files} == {0o600}, "others of the machine may read it"
    assert [f.name for f in made.files] == [f"目标_1.list.{e}" for e in ("csv", "xlsx", "parquet")]
    csv = pd.read_csv(made.files[0], encoding="utf-8-sig")
    assert csv["customer_id"].tolist() == ["c1", "'=cmd()"] and csv["省份"].tolist() == ["北京", "'+广东"]
    assert csv["uplift"].tolist() == [1.25, -3.0] and set(csv["as_of"]) == {"2026-07-01"}
    book = openpyxl.load_workbook(made.files[1])
    cells = [[c.value for c in row] for row in book.worksheets[0].iter_rows()]
    assert cells[0][0] == SAID["definition"] and cells[-1] == ["=cmd()", "+广东", -3]
    assert all(c.data_type != "f" for row in book.worksheets[0].iter_rows() for c in row)
    assert ("as_of", "2026-07-01") in {(r[0].value, r[1].value) for r in book["run"].iter_rows()}
    table = parquet.read_table(made.files[2])
    assert table.to_pandas().equals(ROWS)
    assert json.loads(table.schema.metadata[b"workbench"])["definition"] == SAID["definition"]


@pytest.mark.parametrize(
    ("frame", "changed", "words"),
    [
        (ROWS.head(0), {}, "is empty"),
        (ROWS, {"name": "../x"}, "cannot name a file"),
        (ROWS, {"as_of": "07/01"}, "as YYYY-MM-DD"),
        (ROWS, {"definition": " "}, "lacks its definition"),
        (ROWS.assign(phone=["13812345678", "c"]), {}, "looks like a telephone"),
        (ROWS.assign(card=[13812345678, 1]), {}, "looks like a telephone"),
        (ROWS.assign(mail=["a@b.cn", ""]), {}, "e-mail"),
        (ROWS.assign(as_of="x"), {}, "adds itself"),
    ],
)
def test_a_list_that_cannot_be_acted_on_or_tells_too_much_is_refused(tmp_path, frame, changed, words):
    """The reason is said, and no file is left."""
    with pytest.raises(WorkbenchError, match=words):
        write_list(frame, tmp_path, **(SAID | changed))
    assert not list(tmp_path.iterdir())
