"""The Chinese documents say what the English ones say: same headings, commands, tables, names, links and pictures."""

import re
from pathlib import Path

import pytest

from workbench.messages import Amount, Label, Number, Term, estimated, join, say

ROOT = Path(__file__).resolve().parents[1]
PAIRS = {folder / "README.md": folder / "README.zh.md" for folder in (ROOT, ROOT / "data")} | {
    ROOT / "docs" / file.name: file for file in sorted(ROOT.glob("docs/zh/*.md"))
}
BOTH = pytest.mark.parametrize(
    ("english", "chinese"), PAIRS.items(), ids=lambda path: path.relative_to(ROOT).as_posix()
)
# What has several words in any language.
NAMES = ("Process Run Crate", "data describe bill", "crm/*.csv billing/*.xlsx")
HAN = r"[\u3400-\u9fff]"


def parts(text):
    """Take a document apart: its prose, and its blocks of code (fenced, or four spaces in) as lists of lines."""
    prose, blocks, fenced, before = [], [], False, ""
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
            blocks += [[line]] if fenced else []
        elif fenced:
            blocks[-1].append(line)
        elif line.startswith("    "):
            blocks += [] if before.startswith("    ") else [["    "]]
            blocks[-1].append(line)
        else:
            prose.append(line)
        before = line
    return "\n".join(prose), blocks


def cut(block):
    """Cut a block in two: what is typed, and what is said beside it; a drawing has its arrows and its words."""
    kind, *lines = block
    if any("─>" in line for line in lines):
        return [kind, *(len(re.findall("─>", line)) for line in lines)], re.split(r"[\s─>]{2,}", " ".join(lines))
    beside = r"(?:^| +)# (.*)$" if kind.startswith("```") else r"(?<=\S) {2,}(.*)$"
    return [kind, *(re.sub(beside, "", line) for line in lines)], re.findall(beside, "\n".join(lines), re.M)


def spans(text):
    """List the code spans; within a table a bar may be written with a backslash."""
    return [span.replace("\\|", "|") for span in re.findall(r"`([^`\n]+)`", text)]


def spans_of(text):
    """Give the code spans of a text whose lines may be broken anywhere."""
    return sorted(set(spans(re.sub(r"\n(?=[^\n|#>-])", " ", text))))


def headings(text):
    return re.findall(r"^(#+) (.+)$", text, re.M)


def anchor(heading):
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def tables(text):
    """Give the number of cells of each row, table by table; a bar in a code span parts nothing."""
    shapes, before = [], ""
    for line in re.sub(r"`[^`\n]+`", "", text).splitlines():
        if line.startswith("|"):
            shapes += [] if before.startswith("|") else [[]]
            shapes[-1].append(line.count("|") - 1)
        before = line
    return shapes


def shape(text):
    """Count the paragraphs (tables and lists among them) and the items of lists, heading by heading."""
    chapters = re.split(r"^#+ .+$", parts(text)[0], flags=re.M)
    return [(len(re.findall(r"\n\n(?=\S)", c)), len(re.findall(r"^(?:-|\d+\.) ", c, re.M))) for c in chapters]


def links(text, document):
    """List where the links and pictures of a document lead, those of HTML first."""
    found = re.findall(r'(?:href|src)="([^"]+)"', text) + re.findall(r"\]\(([^)]+)\)", text)
    places = []
    for target in found:
        path, _, part = target.partition("#")
        file = path if "://" in path else (document.parent / path).resolve() if path else document
        places.append((file, part))
    return places


def said(text):
    """Give the words of a document: no code, no links' targets, no markup; what pictures are called stays."""
    text = re.sub(r"`[^`\n]+`", "`", text)
    text = re.sub(r"<[^>]*?alt=\"([^\"]*)\"[^>]*>|<[^>]+>", r"\1", text)
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)


def all_said(text):
    """Give the words of a document with what is said beside commands, a line each."""
    prose, blocks = parts(text)
    return said("\n".join([prose, *(beside for block in blocks for beside in cut(block)[1])]))


def read(*documents):
    return [document.read_text(encoding="utf-8") for document in documents]


def set_as_chinese(text):
    """Hold marks to full width; no space between scripts, no italics, no line broken within a paragraph."""
    words = all_said(text)
    assert not re.findall(rf"{HAN} +[\w`*]|[\w`*] +{HAN}", re.sub(r"^(\d+\.|[-#>|]+) ", "", words, flags=re.M)), (
        "a space"
    )
    assert not re.findall(r"[\u3400-\u9fff][,;:!?()]|[,;:!?()][\u3400-\u9fff]", words), "marks of half width"
    assert not re.findall(r"(?<!\*)\*(?!\*)\w[^*\n]*\*(?!\*)|您", said(parts(text)[0])), "italics, or 您"
    for bold in re.finditer(r"(.?)\*\*(.)(?:[^*\n]*([^*\n]))?\*\*(.?)", words):
        before, first, last, after = (bool(re.match(r"\w", mark or "")) for mark in bold.groups())
        assert (first or not before) and (last or not after), f"{bold[0]} will not show as bold"
    broken = r"^(?![#|>\n]).+\n(?!\d+\. )[\w`*（“].*"
    assert not re.findall(broken, parts(text)[0], re.M), "a line broken within a paragraph"


def test_what_users_read_first_is_there_in_chinese():
    assert {file.name for file in PAIRS.values()} >= {
        *("README.zh.md", "plans.md", "lab.md", "handoff.md", "privacy.md", "mappings.md", "sql.md", "features.md"),
    }
    assert all(english.exists() for english in PAIRS)


@BOTH
def test_the_two_lead_to_each_other(english, chinese):
    first, second = read(english, chinese)
    up = "../" * (len(chinese.relative_to(english.parent).parts) - 1)
    assert second.splitlines()[2] == f"[English]({up}{english.name})"
    if english.name in ("README.md", "features.md"):
        assert first.splitlines()[2] == f"[中文]({chinese.relative_to(english.parent)})"


@BOTH
def test_headings_are_the_same(english, chinese):
    """As many, of the same levels in the same order, with the same code in each."""
    first, second = (headings(parts(text)[0]) for text in read(english, chinese))
    assert [(level, spans(words)) for level, words in second] == [(level, spans(words)) for level, words in first]


@BOTH
def test_paragraphs_and_items_are_as_many(english, chinese):
    """Under each heading as many paragraphs and items of lists: what is added to the one is added to the other."""
    first, second = read(english, chinese)
    first, second = (re.sub(r"^\[(?:English|中文)\]\(.*\n\n", "", text, flags=re.M) for text in (first, second))
    assert shape(second) == shape(first)


@BOTH
def test_blocks_of_code_are_the_same_but_for_comments(english, chinese):
    first, second = ([cut(block)[0] for block in parts(text)[1]] for text in read(english, chinese))
    assert second == first


@BOTH
def test_names_in_code_are_the_same(english, chinese):
    """Commands, files, options, keys and columns in the prose: none is missing, none is of its own."""
    first, second = (spans_of(parts(text)[0]) for text in read(english, chinese))
    assert second == first


@BOTH
def test_tables_have_the_same_rows_and_columns(english, chinese):
    first, second = (tables(parts(text)[0]) for text in read(english, chinese))
    assert second == first
    for one, other in zip(*(re.findall(r"^\| (.+?) \|", text, re.M) for text in read(english, chinese)), strict=True):
        assert spans(one) == spans(other), "rows stand in the same order"


@BOTH
def test_links_lead_to_the_same_places(english, chinese):
    """To the Chinese document where there is one, to the English one else; to the same heading."""
    first, second = (
        links(parts(text)[0], file) for text, file in zip(read(english, chinese), (english, chinese), strict=True)
    )
    names = {
        (one, anchor(a)): (other, anchor(b))
        for one, other in PAIRS.items()
        for (_, a), (_, b) in zip(*(headings(parts(text)[0]) for text in read(one, other)), strict=True)
    }
    expected = [names.get((file, part), (PAIRS.get(file, file), part)) for file, part in first if file != chinese]
    assert [place for place in second if place[0] != english] == expected


@BOTH
def test_what_is_said_is_chinese(english, chinese):
    """No two English words in a row, but for names and what the English document sets apart (buttons, a journal)."""
    first, second = read(english, chinese)
    words = all_said(second)
    for name in sorted({*NAMES, *re.findall(r"\*+([^*\n]+)\*+", said(parts(first)[0]))}, key=len, reverse=True):
        words = words.replace(name, "`")
    found = re.findall(r"[A-Za-z][A-Za-z'-]*(?: [A-Za-z][A-Za-z'-]*)+", words)
    assert not found


@BOTH
def test_it_is_set_as_chinese_is(english, chinese):
    set_as_chinese(*read(chinese))


@pytest.mark.parametrize("chapter", sorted(ROOT.glob("docs/methods/*.md")), ids=lambda path: path.stem)
def test_each_chapter_of_methods_has_a_chinese_summary(chapter):
    """It is the first section, and the only one; no two English words stand in a row outside code."""
    (text,) = read(chapter)
    names = [words for level, words in headings(parts(text)[0]) if level == "##"]
    assert names[0] == "中文摘要" and names.count("中文摘要") == 1 and len(names) > 1
    (summary,) = re.findall(r"^## 中文摘要\n(.+?)^## ", text, re.M | re.S)
    assert len(re.findall(HAN, summary)) >= 100
    assert not re.findall(r"[A-Za-z][A-Za-z'-]*(?: [A-Za-z][A-Za-z'-]*)+", all_said(summary))
    set_as_chinese(summary)


def test_the_readme_quotes_what_the_report_says_in_chinese():
    """The quoted answer is the English one, said by the catalogue."""
    first, second = (re.findall(r"^> (.+)$", text, re.M) for text in read(ROOT / "README.md", ROOT / "README.zh.md"))
    effect, low, high, treated, others, p = map(float, re.findall(r"\d+(?:\.\d+)?", first[0]))
    revenue = estimated(Amount(effect, unit="yuan", signed=True), low, high)
    trend = say("trends before do not differ significantly, p = {p}", p=Number(p, ".2f"))
    basis = {"treated": int(treated), "control": int(others), "trend": trend}
    answer = join(
        say(
            "The rollout raised {outcome} by {effect}, if those areas would otherwise have moved like others.",
            outcome=Label("revenue"),
            effect=say("{effect} per {each}", effect=revenue, each=Term("customer and month")),
        ),
        say(
            "Compared, assuming parallel trends: {basis}.",
            basis=say("{treated} treated and {control} other clusters; {trend}", **basis),
        ),
    )
    assert first == [answer] and second == [answer.said("zh")]
