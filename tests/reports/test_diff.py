"""Two reports side by side: what changed, whether significantly, and what may have caused it."""

import json
import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook, output_from_msg

from workbench.cli import workbench
from workbench.errors import WorkbenchError
from workbench.reports.handoff.compare import Change, Comparison, Reading, compare, read_report, significance
from workbench.reports.handoff.verify import pairs
from workbench.reports.page import tables
from workbench.reports.page.html import comparison_page


def _number(value, low=None, high=None, unit="yuan", rtol=1e-6):
    return {"name": "x", "value": value, "unit": unit, "low": low, "high": high, "rtol": rtol}


def _reading(numbers=None, frame=None, answer="Yes.", source=("1",), formats=None, **manifest):
    shown = {}
    if frame is not None:
        shown = {"t": tables.payload(pd.DataFrame(frame), name="t", caption="c", formats=formats)}
    return Reading(numbers or {}, shown, answer, manifest, source)


def _status(old, new):
    return compare(_reading({"x": old}), _reading({"x": new})).numbers[0].status


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (_number(5.0), _number(5.0), "same"),
        (_number(5.0), _number(5.000004), "within tolerance"),
        (_number(5.0), _number(5.000006), "differs"),
        (_number(5.0, rtol=0.1), _number(5.5, rtol=0.1), "within tolerance"),
        (_number(5.0, rtol=0.1), _number(5.5), "differs"),  # the stricter holds: a tolerance is no excuse
        (_number(5.0), _number(5.0, rtol=0.1), "same"),
        (_number(5.0, 4.0, 6.0), _number(5.0, 4.0, 6.1), "differs"),
        (_number(5.0, 4.0, 6.0), _number(5.0, 4.0, None), "differs"),
        (_number(5.0), _number(5.0, unit="fen"), "differs"),
        (_number(1e-17, -1.0, 1.0), _number(-3e-17, -1.0, 1.0), "within tolerance"),  # nothing, but for rounding
        (_number(1e-17), _number(-3e-17), "differs"),
        (_number(0.0), _number(0), "same"),
        (_number(5.0), _number(float("nan")), "differs"),
    ],
)
def test_a_number_is_judged_by_its_own_tolerance(old, new, status):
    """By hand: relative to the larger value, or to the width of the interval around nothing."""
    assert _status(old, new) == status


def test_numbers_of_one_side_are_missing_or_new():
    """Both count as different."""
    found = compare(_reading({"a": _number(1.0)}), _reading({"b": _number(1.0)}))
    assert [(c.name, c.status) for c in found.numbers] == [("a", "missing"), ("b", "new")]
    assert not found.same and "1 missing, 1 new" in found.headline()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (_number(5, 3, 7), _number(7.8, 5.8, 9.8), "not significant"),  # 2.8 < sqrt(8) = 2.83
        (_number(5, 3, 7), _number(7.9, 5.9, 9.9), "significant"),
        (_number(7.9, 5.9, 9.9), _number(5, 3, 7), "significant"),
        (_number(5, 0, 6), _number(6.5, 5.5, 20), "significant"),  # 1.5 > sqrt(2): the arms that face
        (_number(5), _number(9, 8, 10), "no interval"),
    ],
)
def test_significance_is_judged_by_the_facing_arms(before, after, said):
    """For symmetric intervals this is the standard error of the difference of independent estimates."""
    assert significance(before, after) == said


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(0.1, 100), st.floats(0.1, 100), st.floats(-1e3, 1e3))
def test_significance_does_not_depend_on_side_or_sign(a, b, arm, other, shift):
    """Before and after, and up and down, are alike."""
    one, two = _number(a, a - arm, a + arm), _number(b, b - other, b + other)
    flip = [_number(-n["value"], -n["high"], -n["low"]) for n in (one, two)]
    assert significance(one, two) == significance(two, one) == significance(*flip)


def test_a_change_by_chance_is_rarely_called_significant():
    """Of independent runs with no change 5 in 100 are, as the level of the intervals says."""
    import numpy as np

    means = np.random.default_rng(5).normal(0, 1, (4000, 2))
    loud = sum(
        significance(*(_number(m, m - 1.96, m + 1.96) for m in pair)).startswith("significant") for pair in means
    )
    assert abs(loud / 4000 - 0.05) < 4 * (0.05 * 0.95 / 4000) ** 0.5


def test_many_changes_are_judged_together():
    """Holm's correction among the numbers of a kind: what alone is significant is not among twenty; largest first."""
    many = {f"gap[operator={n}]": _number(5, 4, 6) for n in range(20)} | {"index": _number(5, 4, 6), "n": _number(5)}
    changed = {"gap[operator=3]": _number(6.5, 5.5, 7.5), "gap[operator=4]": _number(9, 8, 10)}
    found = compare(_reading(many), _reading(many | changed | {"index": _number(6.5, 5.5, 7.5), "n": _number(6)}))
    assert [(c.name, c.significance) for c in found.numbers if not c.good] == [
        ("gap[operator=4]", "significant"),
        ("index", "significant"),
        ("gap[operator=3]", "not significant"),
        ("n", "no interval"),
    ]
    assert "4 differs (2 significant)" in found.headline()


def test_what_answers_another_question_is_not_compared(tmp_path):
    """Two studies, or two campaigns: no number in common."""
    a, b, c = (_report(tmp_path / name / "a", 5.0, hostile=f"[{name}]") for name in ("s", "t", "u"))
    for folder, study in ((a, "s"), (b, "t"), (c, "s")):
        Path(folder, "manifest.json").write_text(json.dumps({"study": study}))
    for other in (b, c):
        with pytest.raises(WorkbenchError, match="cannot be compared"):
            pairs(a, other)
    assert pairs(a, a)["s/a"].same


def test_tables_are_compared_by_their_labels():
    """Order of rows does not matter; rows and columns come and go by name; cells within what is shown are the same."""
    old = _reading(frame={"who": ["a", "b", "c"], "n": [1, 2, 3], "x": [0.12341, 2.0, 3.0]}, formats={"x": "{:.3f}"})
    new = _reading(frame={"who": ["d", "b", "a"], "n": [4, 2, 1], "x": [9.0, 2.5, 0.12342]}, formats={"x": "{:.3f}"})
    found = compare(old, new)
    assert [(c.name, c.status) for c in found.cells] == [
        ("t · a · x", "within tolerance"),
        ("t · b · x", "differs"),
        ("t · c", "missing"),
        ("t · d", "new"),
    ]
    assert found.cells[1].said() == "2.000 → 2.500" and found.compared == 10
    wide = compare(_reading(frame={"n": [1, 1]}), _reading(frame={"n": [1, 1], "m": [2, 3]}))
    assert [(c.name, c.status) for c in wide.cells] == [("t · row 1 · m", "new"), ("t · row 2 · m", "new")]
    assert [c.status for c in compare(_reading(), old).cells] == ["new"]


def test_a_table_is_as_tolerant_as_the_numbers_it_shows():
    """A draw that may move by a tenth may do so in its table too."""
    for rtol, status in ((0.1, "within tolerance"), (1e-6, "differs")):
        old = _reading({"x": _number(5.0, rtol=rtol)}, frame={"who": ["a"], "x": [5.0]})
        new = _reading({"x": _number(5.2, rtol=rtol)}, frame={"who": ["a"], "x": [5.2]})
        assert compare(old, new).cells[0].status == status


@pytest.mark.parametrize(
    ("new", "same"),
    [
        ("Sales rose by 3.5 % (2.1 to 4.8).", True),  # the last place may round the other way
        ("Sales rose by 3.6 % (2.1 to 4.8).", False),
        ("Sales fell by 3.4 % (2.1 to 4.8).", False),
        ("Sales rose by 3.4 % (2.1 to 4.8) in 2026.", False),
    ],
)
def test_the_answer_is_compared_by_words_and_figures(new, same):
    """Its words are the same, its figures within rounding."""
    assert compare(_reading(answer="Sales rose by 3.4 % (2.1 to 4.8)."), _reading(answer=new)).same is same


def test_whole_figures_of_an_answer_must_agree():
    """A date or a count is not rounded."""
    assert not compare(_reading(answer="As of 2026-07-01."), _reading(answer="As of 2026-07-02.")).same


def test_causes_are_named():
    """Parameters, versions, data and notebook by name; the package by elimination."""
    old = _reading(
        parameters=[{"name": "seed", "value": 0}], versions={"pandas": "3.0"}, data_version="a", fingerprint="1"
    )
    new = _reading(
        parameters=[{"name": "seed", "value": 1}],
        versions={"pandas": "3.1"},
        data_version="b",
        fingerprint="2",
        source=("1", "2"),
    )
    assert compare(old, new).causes == (
        "parameter seed: 0 → 1",
        "version of pandas: 3.0 → 3.1",
        "data version: a → b",
        "notebook: 0 cells gone or changed, 1 new or changed",
        "package, models or lock: may differ too",
    )
    only = compare(_reading(fingerprint="1"), _reading(fingerprint="2")).causes
    assert only == ("package, models or lock: differ, as nothing else does",)
    assert compare(old, old).causes == ()


def _report(folder, value, hostile=""):
    """Write a published report with one number."""
    row = _number(value, value - 1, value + 1) | {"name": f"x{hostile}"}
    content = {
        "data": {"application/vnd.workbench.quantities+json": [row]},
        "metadata": {"workbench": {"kind": "quantities"}},
    }
    message = {"header": {"msg_type": "display_data"}, "content": content}
    notebook = new_notebook(cells=[new_code_cell("1", outputs=[output_from_msg(message)])])
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / "report.ipynb")
    (folder / "results.json").write_text(json.dumps([row]))
    (folder / "manifest.json").write_text(json.dumps({"data_version": f"{value}{hostile}"}))
    return str(folder)


def test_the_command_says_what_changed(tmp_path):
    """Numbers first, then causes; 0 same, 1 differs; hostile text stays text on the page."""
    evil = "<script>alert(1)</script>"
    a, b = _report(tmp_path / "s/a", 5.0, evil), _report(tmp_path / "s/b", 8.0, evil)
    call = lambda *words: CliRunner().invoke(workbench, ["diff", *words], standalone_mode=False)  # noqa: E731
    assert call(a, a).return_value == 0
    result = call(a, b, "--page", str(tmp_path / "d.html"))
    assert result.return_value == 1
    assert "numbers: 1 differs (1 significant)" in result.output
    assert f"differs  x{evil}: 5 (4 to 6) → 8 (7 to 9) yuan, significant" in result.output
    assert f"cause?   data version: 5.0{evil} → 8.0{evil}" in result.output
    page = (tmp_path / "d.html").read_text("utf-8")
    assert "<script" not in page and "&lt;script" in page


def test_the_command_says_it_in_chinese(tmp_path, monkeypatch):
    """Lines and page; names, numbers and the exit code are the same."""
    monkeypatch.setenv("WORKBENCH_LANG", "zh")
    a, b = _report(tmp_path / "s/a", 5.0), _report(tmp_path / "s/b", 8.0)
    told = [a, b, "--page", str(tmp_path / "d.html")]
    result = CliRunner().invoke(workbench, ["diff", *told], standalone_mode=False)
    assert result.return_value == 1
    first, line, cause, page = result.output.splitlines()
    assert first == "s/a与s/b：数字：不同1（其中显著1）；表格与答案的单元格：1个中0个不同"
    assert line == "  不同     x: 5（4至6） → 8（7至9） 元，显著"
    assert cause == "  可能原因  数据版本：5.0 → 8.0" and page.startswith("页面：")
    text = re.sub(r"<style>.*?</style>|<[^>]+>", "|", (tmp_path / "d.html").read_text("utf-8"), flags=re.DOTALL)
    assert not re.search("[A-Za-z]{2,} [a-z]{2,}", text), text
    assert 'lang="zh-CN"' in (tmp_path / "d.html").read_text("utf-8") and "全部记录的数字" in text


def test_cells_that_differ_are_named_in_the_language_of_the_page():
    """Names of rows and columns are said, that of the sheet stays; a number without a unit shows none."""
    number = {"name": "r[a=1,b=2]", "value": 1.0, "unit": "1", "low": None, "high": None, "rtol": 0}
    index = number | {"name": "index", "unit": "points"}
    rows = (Change("r[a=1,b=2]", "same", number, number), Change("index", "differs", index, index | {"value": 2.0}))
    assert rows[1].said().said("zh") == "1 → 2 分"  # points of an index are no percentage points
    cells = (Change("ahead · purchases expected · estimate", "differs", {"value": "5"}, {"value": "6"}),)
    page = {"title": "A", "headline": "B", "lists": {}, "good": False, "causes": True, "language": "zh"}
    made = comparison_page(reports={"A": Comparison(rows, cells, 1, ())}, **page)
    assert "ahead · 预计购买次数 · 估计值</td>" in made and "r[a=1,<wbr>b=2]</td>" in made and "<td>1</td>" not in made
    assert "<td>分</td>" in made and "个百分点" not in made


def test_half_a_report_is_refused(tmp_path):
    """With the name of the report and what is wrong."""
    folder = tmp_path / "s" / "a"
    _report(folder, 5.0)
    row = _number(5.0)
    for broken in ({"name": 1}, [row, row], [row | {"value": "5"}], [row | {"low": [1]}], [{"name": "x"}]):
        (folder / "results.json").write_text(json.dumps(broken))
        with pytest.raises(WorkbenchError, match="'s/a' is no whole report"):
            read_report(folder)


def test_a_failed_report_says_why_it_has_no_numbers(tmp_path):
    """Not that a file is missing; its reason also in Chinese."""
    folder = tmp_path / "s" / "a"
    folder.mkdir(parents=True)
    why = "as_of = 1942-05-01 lies outside the data. Choose a day from 2024-07-02 to 2026-07-01."
    (folder / "manifest.json").write_text(json.dumps({"status": "failed", "error": why}))
    with pytest.raises(WorkbenchError) as refused:
        read_report(folder)
    assert str(refused.value) == f"'s/a' has no numbers, for its run failed: {why}"
    assert refused.value.said("zh").endswith(
        "as_of = 1942-05-01超出数据范围。请选择2024年7月2日至2026年7月1日之间的日期。"
    )
    (folder / "manifest.json").write_text("[]")
    with pytest.raises(WorkbenchError, match="'s/a' is no whole report"):
        read_report(folder)
