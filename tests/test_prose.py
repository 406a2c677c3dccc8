"""The Chinese of prose (notebooks, the dictionary of the data): complete, of the same structure, in our words."""

import re
from collections import Counter
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from catalogues import read_prose

import workbench

PACKAGE = Path(workbench.__file__).parent
CATALOGUE = PACKAGE / "locale" / "zh.prose.po"
NOTEBOOKS = [
    *sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb")),
    *sorted((PACKAGE / "lab").glob("study*.ipynb")),
]

KEPT = {
    "headings": r"^(#+) ",
    "code spans": r"`([^`]+)`",
    "formulas": r"\$[^$]+\$",
    "link targets": r"\]\(([^)]*)\)",
    "list items": r"^ *(?:[-*+]|[0-9]+\.) ",
    "paragraphs": r"\n\n",
}
PLACES = {"README.zh.md": "README.md", "zh/features.md": "../features.md"}  # the other language of a page
OUTSIDE = "|".join(KEPT[kind] for kind in ("code spans", "formulas", "link targets"))
COMMANDS = ("workbench data check NAME",)
GLOSSARY = {
    "arm": "组",
    "arrears": "欠费",
    "bootstrap": "自助法",
    "break-even": "盈亏平衡",
    "campaigns?": "活动",
    "churn": "离网",
    "clusters?": "聚类",
    "complaints?": "投诉",
    "constructs?": "潜变量",
    "control group": "对照组",
    "covariate": "协变量",
    "current value": "当前贡献",
    "departures that|of departures": "离网",
    "design weight": "设计权重",
    "difference in differences": "双重差分",
    "doubly robust": "双重稳健",
    "false discoveries": "错误发现率",
    "gain": "增益",
    "government and enterprise": "政企客户",
    "held out|hold out|holds out": "留白",
    "incentives?": "激励",
    "intention to treat": "意向性分析",
    "key accounts": "大客户",
    "left truncation": "左截断",
    "margin on": "毛利",
    "median": "中位数",
    "offer": "优惠方案",
    "opt-outs": "退订",
    "outer weights": "外部权重",
    "parallel trends": "平行趋势",
    "permute[ds]?": "置换",
    "potential": "潜在贡献",
    "randomised": "随机分组",
    "bootstrap resamples|the resamples": "重抽样",
    "respondents?": "受访者",
    "strategy": "策略",
    "tariff": "资费",
    "tenures?": "在网时长",
    "wave": "期次",
}


def read_entries() -> dict[str, str]:
    """Give the Chinese by the English text."""
    with CATALOGUE.open("rb") as file:
        return {str(entry.id): str(entry.string) for entry in read_po(file, locale="zh_CN") if entry.id}


ENTRIES = read_entries()


def plain(text: str) -> str:
    """Give the prose alone, without code spans, formulas, link targets and commands."""
    text = re.sub(OUTSIDE, "·", text)
    for command in COMMANDS:
        text = text.replace(command, "·")
    return text


def chinese(target: str) -> str:
    """Say where a link of a Chinese page leads: to the Chinese document, and back to the English page."""
    return PLACES.get(target, target.replace("docs/mappings.md", "docs/zh/mappings.md"))


def columns(text: str) -> list[int]:
    """Count the cells of each line of a table."""
    return [line.count("|") for line in text.splitlines() if line.lstrip().startswith("|")]


def broken(rule: str) -> list[str]:
    """Give what matches in the Chinese, with its entry."""
    return [f"{match[0]!r} in {zh!r}" for zh in ENTRIES.values() for match in re.finditer(rule, plain(zh))]


def test_all_prose_has_an_entry_and_no_entry_is_stale():
    """A changed cell needs a changed entry: the key is its whole text."""
    prose = read_prose()
    assert not {text: notebook for text, notebook in prose.items() if text not in ENTRIES}
    assert not ENTRIES.keys() - prose.keys()


def test_entries_are_said_once_and_are_not_empty():
    """A second entry of the same text would silently replace the first."""
    assert CATALOGUE.read_text("utf-8").count("\nmsgid ") == len(ENTRIES) + 1
    assert "fuzzy" not in CATALOGUE.read_text("utf-8")
    assert all(re.search(r"[\u4e00-\u9fff]", zh) for zh in ENTRIES.values())


@pytest.mark.parametrize("kind", KEPT)
def test_an_entry_keeps_the_structure_of_its_text(kind):
    """Code spans, formulas and link targets may change places; headings keep their order."""
    found = [(re.findall(KEPT[kind], en, re.M), re.findall(KEPT[kind], zh, re.M)) for en, zh in ENTRIES.items()]
    if kind == "link targets":
        found = [(list(map(chinese, first)), second) for first, second in found]
    assert [pair for pair in found if kind == "headings" and pair[0] != pair[1]] == []
    assert [pair for pair in found if kind != "list items" and Counter(pair[0]) != Counter(pair[1])] == []
    assert [pair for pair in found if len(pair[0]) != len(pair[1])] == []


def test_an_entry_keeps_tables_and_numbers():
    """A table has as many lines and columns, and no number in figures is lost."""
    assert not [en for en, zh in ENTRIES.items() if columns(en) != columns(zh)]
    lost = {en: set(re.findall("[0-9]+", en)) - set(re.findall("[0-9]+", zh)) for en, zh in ENTRIES.items()}
    assert not {en: numbers for en, numbers in lost.items() if numbers}


def test_no_english_is_left():
    """No two English words in a row; a single one is a name, an acronym or a value, and stands in the text too."""
    assert not broken(r"[A-Za-z]{2,}[ -]+[A-Za-z]{2,}")
    for en, zh in ENTRIES.items():
        words = re.sub(r"^\[English\]", "", zh, flags=re.M)
        assert set(re.findall("[A-Za-z]{2,}", words)) <= set(re.findall("[A-Za-z]{2,}", en)), zh


@pytest.mark.parametrize(
    "rule",
    [
        r"[\u4e00-\u9fff][,.;:?!()]|[,;:?!()][\u4e00-\u9fff]",
        r"[\u4e00-\u9fff，。；：？！（）“”] +[\w*]|[A-Za-z0-9] +[\u4e00-\u9fff]",
        r"(?<!\*)\*(?!\*)[^*\n]+(?<!\*)\*(?!\*)|[您\"']|[0-9][-~][0-9]",
        r"[^\n#][^\S\n]*\n[^\n#|\-]",
    ],
    ids=["half-width marks", "spaces at Han", "italics, polite forms, straight quotes and hyphens", "breaks in a line"],
)
def test_chinese_is_typed_as_the_house_types_it(rule):
    """Full-width marks, no space between Han and Latin, bold and no italics, 至 in ranges, a paragraph a line."""
    assert not broken(rule)


@pytest.mark.parametrize(("english", "chinese"), GLOSSARY.items())
def test_terms_are_those_of_the_glossary(english, chinese):
    """Where the English has the term, the Chinese has ours."""
    term = re.compile(rf"\b(?:{english})\b".replace(" ", r"\s+"), re.IGNORECASE)
    with_it = {en: zh for en, zh in ENTRIES.items() if term.search(en)}
    assert with_it
    assert not [zh for zh in with_it.values() if chinese not in zh]
