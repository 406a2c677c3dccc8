"""The words of the house: a term of the glossary is said in one way, wherever a reader meets it."""

import re
from pathlib import Path

import pytest

from workbench.catalogue import CATALOGUES, _entries, _labels

GLOSSARY = (Path(__file__).parent / "reference" / "glossary_zh.tsv").read_text("utf-8").splitlines()[1:]
SAID = [*_entries("zh.po").items(), *_entries("zh.prose.po").items(), *map(tuple, _labels()["labels"].values())]


@pytest.mark.parametrize(("english", "chinese"), [line.split("\t") for line in GLOSSARY])
def test_a_term_is_said_as_the_glossary_says(english, chinese):
    """In sentences, prose and labels; where a column, an option or code has the name, it is no term."""
    term = re.compile(rf"(?<![\w{{]){re.escape(english)}(?:e?s)?(?![\w}}])", re.IGNORECASE)
    said = {en: zh for en, zh in SAID if term.search(re.sub(r"`[^`]*`|'\w+'|\w+=\S+", "", en))}
    assert said, "nobody says it: take it out"
    assert not {en: zh for en, zh in said.items() if not any(word in zh for word in chinese.split("|"))}


def test_grades_of_service_have_the_names_of_the_seed():
    """钻, 金, 银 and 基础, in what the rules say and nowhere by another name."""
    rules = "".join(path.read_text("utf-8") for path in CATALOGUES.parent.rglob("*.toml"))
    assert 'names_zh = ["钻", "金", "银", "基础"]' in rules
    assert not re.findall("钻石|金卡|银卡", rules + (CATALOGUES / "zh.po").read_text("utf-8"))


def test_words_of_the_seed_stand_where_their_study_is():
    """The cause, direction and make-up of churn; current and potential value; shortfalls of service."""
    prose = (CATALOGUES / "zh.prose.po").read_text("utf-8") + (CATALOGUES / "zh.po").read_text("utf-8")
    for words in ("离网（流失）的原因、方向和构成", "当前贡献", "潜在贡献", "服务短板", "最大短板"):
        assert words in prose, words
