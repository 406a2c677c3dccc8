"""Lists of customers carry what they are, and nothing that harms who opens them."""

import json
import stat

import openpyxl
import pandas as pd
import pytest
from pyarrow import parquet

from workbench.errors import WorkbenchError
from workbench.messages import Number, say
from workbench.reports.page.languages import said_list
from workbench.reports.page.lists import write_list

ROWS = pd.DataFrame({"customer_id": ["c1", "=cmd()"], "省份": ["北京", "+广东"], "uplift": [1.25, -3.0]})
SAID = {"name": "目标_1", "definition": "Those with the highest effect.", "as_of": "2026-07-01"}


def test_every_file_holds_the_rows_the_definition_and_the_date(tmp_path):
    """CSV, workbook and Parquet say the same, in Chinese too, and texts stay texts."""
    made = write_list(ROWS, tmp_path, **SAID)
    assert {stat.S_IMODE(f.stat().st_mode) for f in made} == {0o600}, "others of the machine may read it"
    assert [f.name for f in made] == [f"目标_1.list.{e}" for e in ("csv", "xlsx", "parquet")]
    csv = pd.read_csv(made[0], encoding="utf-8-sig")
    assert csv["customer_id"].tolist() == ["c1", "'=cmd()"] and csv["省份"].tolist() == ["北京", "'+广东"]
    assert csv["uplift"].tolist() == [1.25, -3.0] and set(csv["as_of"]) == {"2026-07-01"}
    book = openpyxl.load_workbook(made[1])
    cells = [[c.value for c in row] for row in book.worksheets[0].iter_rows()]
    assert cells[0][0] == SAID["definition"] and cells[-1] == ["=cmd()", "+广东", -3]
    assert all(c.data_type != "f" for row in book.worksheets[0].iter_rows() for c in row)
    assert ("as_of", "2026-07-01") in {(r[0].value, r[1].value) for r in book["run"].iter_rows()}
    table = parquet.read_table(made[2])
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


def test_a_list_is_said_in_the_language_of_the_run(tmp_path):
    """Headers, codes, reasons, yes and no, and the definition, but no names; machines find theirs in row three."""
    why = [say("no use for {n} days", n=Number(37, ".0f")), ""]
    frame = pd.DataFrame(
        {"customer_id": ["c1", "call"], "action": ["call", None], "reason": why, "over": [True, False]}
    )
    frame["rule"], frame["rules"], frame["owed"] = ["{n}", "'引'"], [2, 3], [12345.5, 3.0]
    definition = say("Lines that a fraud rule finds, by the best order of the rules, then by the money at stake.")
    about = {"name": "t", "definition": definition, "as_of": "2026-07-01"}
    zh = {"spoken": ("zh", said_list(frame, "t", definition, "zh"))}
    assert said_list(frame, "t", definition, "en") == {}
    made = write_list(frame, tmp_path, **about, **zh)
    head, first, second = made[0].read_text("utf-8-sig").splitlines()
    assert head == '"客户","建议措施","原因","超出额度","规则 rule","规则 rules","欠费","名单","截至日期","名单说明"'
    assert first.startswith('"c1","电话","37天未使用","是","{n}",2,12345.5,"t","2026-07-01","欺诈规则发现的用户')
    assert second.startswith(""""call","","","否","'引'",3,3.0,""")
    book = openpyxl.load_workbook(made[1])
    rows = [[c.value for c in row] for row in book.worksheets[0].iter_rows()]
    assert rows[0][0].startswith("欺诈规则发现的用户") and rows[1][:3] == ["客户", "建议措施", "原因"]
    assert rows[2] == list(frame) and rows[3][:4] == ["c1", "电话", "37天未使用", True] and rows[3][6] == 12345.5
    assert book.worksheets[0]["G4"].number_format == '[>=100000000]0!.00,,"亿";[>=10000]0!.0,"万";#,##0'
    assert ("名单", "t") in {(r[0].value, r[1].value) for r in book["run"].iter_rows()}
    table = parquet.read_table(made[2])
    assert table.to_pandas()["reason"].tolist() == ["no use for 37 days", ""] and list(table.column_names) == list(
        frame
    )


def test_a_list_without_a_customer_stays_in_its_language(tmp_path):
    """What the forgetting writes again is what the run wrote, less the row: its words stand in the Parquet file."""
    frame = pd.DataFrame({"customer_id": ["c1", "c2"], "reason": [say("no use on record"), "no use on record"]})
    said = said_list(frame, "t", say("no use on record"), "zh")
    about = {"name": "t", "definition": "no use on record", "as_of": "2026-07-01", "spoken": ("zh", said)}
    whole = write_list(frame, tmp_path, **about)
    kept = [line for line in whole[0].read_text("utf-8-sig").splitlines() if '"c1"' not in line]
    table = parquet.read_table(whole[2])
    ours = json.loads(table.schema.metadata[b"workbench"])
    again = write_list(table.to_pandas().iloc[1:], tmp_path, name=ours.pop("list"), **ours)
    assert again[0].read_text("utf-8-sig").splitlines() == kept and "无使用记录" in kept[1]
