"""A plan says which studies, for which values and periods, when; every mistake in it is one clear sentence."""

import datetime as dt
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench.errors import WorkbenchError
from workbench.reports.runs import plans
from workbench.reports.runs.periods import parse
from workbench.reports.runs.plans import load_plan, plan_names
from workbench.reports.runs.slots import find_slots

pytest.importorskip("apscheduler", reason="skipped: APScheduler is not installed")

ROOT = Path(__file__).parents[2]
CELL = """
source: str = "sample"  # warehouse: which one
province: str = ""  # province: empty for all
wave: str = "latest"  # wave: of the survey
top: float = 0.2  # share: the top
as_of: date = "2026-01-01"  # date: nothing later is known
of: period = "2025-12"  # period: what is spoken of
"""
PLAN = """
title = "月报"
period = "month"
cron = "0 6 1 * *"
timezone = "Asia/Shanghai"
[parameters]
province = ["", "北京"]
[[study]]
name = "survey"
[study.parameters]
top = [0.1, 0.2]
[study.from_period]
wave = "{year}Q{quarter}"
[[study]]
name = "plain"
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project with two studies; its warehouse knows two provinces."""
    (tmp_path / "reports/plans").mkdir(parents=True)
    (tmp_path / "notebooks").mkdir()
    for name, cell in {"survey": CELL, "plain": "n: int = 1  # number: any"}.items():
        cells = [new_markdown_cell("# X"), new_code_cell(cell, metadata={"tags": ["parameters"]})]
        nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / f"{name}.ipynb")
    monkeypatch.setattr(plans._Known, "_names", lambda self, name, source: ["上海", "北京"])
    return tmp_path


def _load(root, text):
    (root / "reports/plans/monthly.toml").write_text(text, encoding="utf-8")
    return load_plan("monthly", root)


def test_a_plan_is_a_grid_of_slots(root):
    """Every combination of the values; the period sets as_of, what is of the type period, and what is mapped."""
    plan = _load(root, PLAN)
    slots = plan.slots(parse("2026-06"), root)
    assert [(s.study.name, s.name) for s in slots] == [
        ("survey", "2026-06,top=0.1"),
        ("survey", "2026-06"),
        ("survey", "2026-06,province=北京,top=0.1"),
        ("survey", "2026-06,province=北京"),
        ("plain", "2026-06"),
    ]
    assert {s.parameters.get("wave", "2026Q2") for s in slots} == {"2026Q2"}
    assert (slots[0].parameters["as_of"], slots[0].parameters["of"]) == ("2026-07-01", "2026-06")
    assert {(s.period, s.plan) for s in slots} == {("2026-06", "monthly")}


def test_all_stands_for_what_the_warehouse_knows(root):
    """Beside other values too; what it does not know is refused."""
    plan = _load(root, '[[study]]\nname = "survey"\n[study.parameters]\nprovince = ["", "all"]')
    names = ["default", "province=上海", "province=北京"]
    assert [s.name for s in plan.slots(plan.period_of(), root)] == names
    assert [s.name for s in plan.slots(None, root, given={"province": "上海"})] == ["province=上海"]
    with pytest.raises(WorkbenchError, match=r"no province '北亰' in the warehouse of 'sample'\. Did you mean '北京'"):
        _load(root, PLAN.replace("北京", "北亰")).slots(parse("2026-06"), root)


def test_a_period_of_a_plan_is_over_by_its_own_clock(root):
    """The first of the month has begun in Shanghai while it has not in Greenwich."""
    plan = _load(root, PLAN)
    assert plan.period_of(now=dt.datetime(2026, 10, 31, 17, tzinfo=dt.UTC)).label == "2026-10"
    assert plan.period_of(now=dt.datetime(2026, 10, 31, 15, tzinfo=dt.UTC)).label == "2026-09"
    with pytest.raises(WorkbenchError, match="is not over on"):
        plan.period_of("2026-10", now=dt.datetime(2026, 10, 31, 15, tzinfo=dt.UTC))
    with pytest.raises(WorkbenchError, match="is a year, but a month is asked for"):
        plan.period_of("2025")


@pytest.mark.parametrize(
    ("expression", "weekday"), [("0 6 * * 1", 0), ("0 6 * * 0", 6), ("0 6 * * 7", 6), ("0 6 * * fri", 4)]
)
def test_days_of_the_week_are_those_of_cron(expression, weekday, root):
    """0 and 7 are Sunday, 1 is Monday."""
    trigger = _load(root, PLAN.replace("0 6 1 * *", expression)).trigger()
    assert trigger.get_next_fire_time(None, dt.datetime(2026, 11, 22, tzinfo=dt.UTC)).weekday() == weekday


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("title", "titel", "no key 'titel'. Did you mean 'title'?"),
        ("[study.parameters]", "[study.paramters]", "[[study]] 1: no key 'paramters'. Did you mean 'parameters'?"),
        ('"survey"', '"survy"', "no study 'survy'. Did you mean 'survey'?"),
        ("top =", "tip =", "study 'survey' has no parameter 'tip'. Did you mean 'top'?"),
        ("0.1,", '"much",', "parameter 'top' is 'much', but must be a number"),
        ("province =", "provinz =", "no parameter 'provinz' in its studies"),
        ("[0.1, 0.2]", "[]", "parameter 'top' has no value"),
        ('"month"', '"moth"', "no kind of period 'moth'. Did you mean 'month'?"),
        ("{quarter}", "{quater}", "no word of a period 'quater'. Did you mean 'quarter'?"),
        ('period = "month"', "", "from_period needs a kind of period"),
        ("0 6 1 * *", "0 6 31 2 *", "cron '0 6 31 2 *' never comes: there is no such day"),
        ("0 6 1 * *", "0 25 1 * *", "cron '0 25 1 * *' is not a time"),
        ("0 6 1 * *", "0 6 * * 8", "'8' is no day of the week"),
        ("0 6 1 * *", "monthly", "is not a time: Wrong number of fields"),
        ("0 6 1 * *", "0 6 1 * 1", "names days of the month and of the week. Name one of them"),
        ("Asia/Shanghai", "Asia/Shanghay", "no time zone 'Asia/Shanghay'. Did you mean 'Asia/Shanghai'?"),
        ("Asia/Shanghai", "../etc", "no time zone '../etc'"),
        ("title =", "retries = -1\ntitle =", "retries is -1, but must be at least 0"),
        ("title =", "jobs = true\ntitle =", "jobs is True, but must be a whole number"),
        ("title =", 'formats = ["pfd"]\ntitle =', "no format 'pfd'. Did you mean 'pdf'?"),
        ("title =", "title = =", "is not a TOML file in UTF-8"),
    ],
)
def test_a_mistake_in_a_plan_is_one_clear_sentence(old, new, words, root):
    """Found on load, with the plan's name."""
    with pytest.raises(WorkbenchError) as refused:
        _load(root, PLAN.replace(old, new, 1))
    assert str(refused.value).startswith("plan 'monthly'")
    assert words in str(refused.value)


def test_an_unknown_plan_or_study_of_it_is_refused(root):
    """With the nearest name."""
    plan = _load(root, PLAN)
    with pytest.raises(WorkbenchError, match=r"no plan 'monthy' in reports/plans\. Did you mean 'monthly'"):
        load_plan("monthy", root)
    with pytest.raises(WorkbenchError, match="no study 'surve' in plan 'monthly'"):
        plan.slots(None, root, studies=["surve"])
    with pytest.raises(WorkbenchError, match="no parameter 'tip' in the studies of plan 'monthly'"):
        plan.slots(None, root, given={"tip": "1"})


def test_formats_and_the_minimum_cell_are_inputs(root):
    """A change of either makes a slot due."""
    texts = [PLAN, "minimum_cell = 20\n" + PLAN, 'formats = ["html", "pdf"]\n' + PLAN]
    made = [_load(root, text).slots(parse("2026-06"), root)[-1] for text in texts]
    assert len({slot.fingerprint for slot in made}) == 3
    assert [slot.formats for slot in made] == [("xlsx", "pdf"), ("xlsx", "pdf"), ("pdf",)]
    assert made[0].fingerprint == find_slots(["plain"], {}, root)[0].fingerprint


def test_the_plans_of_the_project_are_good(operator):
    """Each loads, names values that the sample operator has, and is short enough for two processors."""
    for name in plan_names(ROOT):
        plan = load_plan(name, ROOT)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plans._Known, "__init__", lambda self, root: self.__dict__.update(_root=operator, _found={}))
            assert 0 < len(plan.slots(parse("2026-06"), ROOT)) <= 40
