"""Tables in Chinese: headers and texts of the table of every result, and the labels they are said by."""

import inspect
import re
import tomllib
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from doors import CASES, Case, answered

from workbench import catalogue, messages
from workbench.catalogue import label
from workbench.messages import Message, known, say, spelt
from workbench.reports.page import languages, notebook, tables
from workbench.reports.page.sheets import number_format
from workbench.result import POINTS, Result, Table

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
    assert "name_zh" not in shown.frame, "a name is said in the language of the page, not in a column of its own"
    table, allowed = said(shown.frame, shown.name or "t"), of_data(case)
    texts = {c["label"] for c in table["columns"]}
    for i, column in enumerate(table["columns"]):
        if column["kind"] == "text":
            texts |= {row[i] for row in table["rows"] if isinstance(row[i], str)}
    texts |= {text.said("zh") for text in map(messages.as_message, (shown.caption, result.picture_caption()))}
    left = {text: found for text in sorted(texts) if (found := english(text, allowed))}
    assert not left, f"{left}: a code gets its line in labels.toml, a sentence its entry in zh.po"


@pytest.mark.parametrize(("case", "result"), RESULTS, ids=[case.name for case, _ in RESULTS])
def test_a_number_that_others_use_is_documented(case, result):
    """Each name of results.json has its line in docs/results.md: names are a contract."""
    page = (Path(__file__).parents[1] / "docs" / "results.md").read_text("utf-8")
    names = {re.match(r"\w+", quantity.name)[0] for quantity in result.quantities()}
    missing = names - set(re.findall(r"`(\w+)(?:\[[^`]*\])?`", page))
    assert not missing, f"docs/results.md: write a line for {missing}"


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


DIFFERENCE = re.compile(r"(\w+_)?(difference|change|effect|gain|gap)(_\w+)?|(more|less|fewer)_\w+")


def shown_by(result: Result) -> list[Table]:
    """All tables that a result shows without being told anything."""
    told = [
        getattr(result, name)
        for name, made in inspect.getmembers(type(result), inspect.isfunction)
        if str(made.__annotations__.get("return")) == "Table" and len(inspect.signature(made).parameters) == 1
    ]
    return [make() for make in told]


@pytest.mark.parametrize(("case", "result"), RESULTS, ids=[case.name for case, _ in RESULTS])
def test_a_difference_of_shares_is_in_points_and_no_share(case, result):
    """A column that is a difference by its name or declaration is not in per cent, nor are its ends."""
    for table in shown_by(result):
        made = tables.payload(table.frame, name=table.name, caption="t", formats=dict(table.formats))
        forms = {c["name"]: c["format"] or "" for c in made["columns"]}
        found = [name for name in forms if DIFFERENCE.fullmatch(name)]
        order = [*forms, ""]
        ends = ["low", "high"] if "low" in forms and order[order.index("low") - 1] in found else []
        assert not [n for n in (*found, *ends) if forms[n].endswith("%}")], (table.name, forms)
        if getattr(result, "binary", False) and table.name == result.NAME:
            assert all(forms[n].endswith("% points") for n in result.EFFECTS if n in forms), forms


def test_the_unit_of_a_difference_stands_above_its_column():
    """On the page, in text and in the workbook, in both languages; the number of the payload stays."""
    frame = pd.DataFrame({"group": ["a"], "difference": [-0.054], "kept": [0.5]})
    formats = {"difference": POINTS, "kept": "{:.1%}"}
    made = tables.payload(frame, name="t", caption="t", formats=formats)
    chinese = languages._table(made, {}, "zh")
    assert tables.shown(made) == tables.shown(chinese) == [["a", "−5.4", "50.0%"]]
    assert ">difference (points)<" in tables.as_html(made) and ">差异（百分点）<" in tables.as_html(chinese)
    assert " difference (points) " in tables.as_text(made)
    assert made["rows"] == [["a", -0.054, 0.5]]
    assert number_format(POINTS, "zh") == '+0.0%"（百分点）";-0.0%"（百分点）";0.0%"（百分点）"'


@pytest.mark.parametrize(("case", "result"), RESULTS, ids=[case.name for case, _ in RESULTS])
def test_the_answer_is_short_enough_to_be_read_out(case, result):
    """Its first sentence, which is what stands largest on a page, in Chinese."""
    first = messages.as_message(result.headline()).parts
    assert len((first[0] if first else messages.as_message(result.headline())).said("zh")) <= 160
