"""Tables in Chinese: headers and texts of the table of every result, and the labels they are said by."""

import re
import tomllib

import matplotlib
import pandas as pd
import pytest
from doors import CASES, Case, answered

from workbench import catalogue, messages
from workbench.catalogue import label
from workbench.messages import Message, known, say, spelt
from workbench.reports.page import languages, notebook, tables
from workbench.result import Result

matplotlib.use("Agg")

# Terms that Chinese texts write in Latin letters
TERMS = (
    r"ARPU|NPS|RFM|HHI|PLS|AVE|HTMT|Qini|AUTOC|Lee|Delta|Holm|Brier|Jaccard|"
    r"Calinski|Harabasz|Davies|Bouldin|raking|rho_A|rho_c"
)
# Names that the cases' rules and models give: they are data
NAMES = {"visits", "wait", "quit", "price", "speed", "fixed", "yuan", "may", "low", "bar"}
ENGLISH = re.compile(r"[A-Za-z]{2,}[ ,;:'’-]+[A-Za-z]{2,}|(?<![A-Za-z])[a-z][a-z-]{2,}(?![A-Za-z])")
LABELS = tomllib.loads((catalogue.CATALOGUES / "labels.toml").read_text("utf-8"))
ALIKE = {"BIC", "MBG/NBD", "Pareto/NBD", "BG/NBD", "HTMT+", "Q²", "R²", "rho_A", "rho_c", "{}"}


def results() -> list[tuple[Case, Result]]:
    """The result of each case that is one."""
    return [(case, answered(case)[0]) for case in CASES if isinstance(answered(case)[0], Result)]


RESULTS = results()


def of_data(case: Case) -> set[str]:
    """Names of columns and values of a case's tables."""
    frames = case.tables().values()
    texts = {str(v) for t in frames for c in t.columns if t[c].dtype.kind not in "biufM" for v in t[c].unique()}
    return NAMES | texts | {str(c) for t in case.tables().values() for c in t.columns}


def english(text: str, allowed: set[str]) -> str:
    """What of a text is English and no name."""
    rest = re.sub(rf"\b({TERMS})\b", " . ", text)
    for name in sorted(allowed, key=len, reverse=True):
        rest = re.sub(rf"(?<![A-Za-z]){re.escape(name)}(?![A-Za-z])", " . ", rest)
    found = ENGLISH.search(rest)
    return found[0] if found else ""


def said(frame: pd.DataFrame, name: str = "t") -> dict:
    """A table as a page in Chinese says it."""
    table = tables.payload(frame, name=name, caption="t")
    return languages._table(table, notebook._said_cells(table), "zh")


@pytest.mark.parametrize(("case", "result"), RESULTS, ids=[case.name for case, _ in RESULTS])
def test_a_table_is_said_in_chinese(case, result):
    """No English is left in headers, texts and captions, but for names."""
    shown = result.as_table()
    table, allowed = said(shown.frame, shown.name or "t"), of_data(case)
    texts = {c["label"] for c in table["columns"]}
    for i, column in enumerate(table["columns"]):
        if column["kind"] == "text":
            texts |= {row[i] for row in table["rows"] if isinstance(row[i], str)}
    texts |= {text.said("zh") for text in map(messages.as_message, (shown.caption, result.picture_caption()))}
    left = {text: found for text in sorted(texts) if (found := english(text, allowed))}
    assert not left


@pytest.mark.parametrize(("case", "result"), RESULTS, ids=[case.name for case, _ in RESULTS])
def test_captions_are_messages(case, result):
    """What is said of a table or picture is said by an entry."""
    assert isinstance(result.as_table().caption, Message), result.as_table().caption
    assert isinstance(result.picture_caption(), Message), result.picture_caption()
    assert not result.CHART or isinstance(result.CHART, Message)


def test_every_label_has_its_chinese():
    """It differs from the English one, but for symbols."""
    for code, (en, zh) in {**LABELS["labels"], **LABELS["ends"]}.items():
        assert zh.strip(), code
        assert en != zh or en in ALIKE, code


def test_a_cell_with_values_is_said_from_plain_text():
    """A column of pandas keeps the text alone; numbers, yes and no, and other names stay."""
    frame = pd.DataFrame({"estimate_of": [say("gain at {share}", share=messages.Share(0.3, 0)), "x"], "n": [3, 4]})
    table = said(frame)
    assert [c["label"] for c in table["columns"]] == ["估计对象", "数量"]
    assert table["rows"] == [["名单前30%的增益", 3], ["x", 4]]


def test_a_header_with_a_unit_is_said():
    """Its text is a message too, and stands in the stored notebook."""
    column = say("mean amount ({unit})", unit=messages.Term("yuan"))
    assert said(pd.DataFrame({column: [1.5]}))["columns"][0]["label"] == "平均金额（元）"


def test_a_code_may_mean_something_else_in_a_table():
    """`low` is the end of an interval above a column, and a level in the cells of the nine."""
    table = said(pd.DataFrame({"low": ["high", "x"]}), "cells")
    assert table["columns"][0]["label"] == label("low", "zh", "cells") == "低"
    assert [row[0] for row in table["rows"]] == ["高", "x"]
    assert said(pd.DataFrame({"low": [1.0]}))["columns"][0]["label"] == label("low", "zh") == "下限"


def test_parts_of_a_cell_are_said():
    """A path, and a detail after a colon."""
    table = said(pd.DataFrame({"name": ["Quality->Satisfaction", "web: complaint", "web: 7"]}))
    assert [row[0] for row in table["rows"]] == ["感知质量→用户满意度", "网上营业厅：投诉", "网上营业厅：7"]


def test_names_of_rules_are_said_as_their_file_does():
    """Not as labels would."""
    made = spelt("champions", "金牌客户")
    assert made == "champions"
    assert known("champions").said("zh") == "金牌客户"
    spelt("champions")
