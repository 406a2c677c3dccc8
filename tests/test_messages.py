"""Sentences: templates with typed values, and their Chinese catalogue."""

import ast
import json
import pickle
import re
import string
import tomllib
from datetime import date

import pytest
from catalogues import SOURCE, called, lacking, named_by, notebook_cells, put, refusals, trees, written

from workbench import catalogue, messages
from workbench.messages import (
    Amount,
    Count,
    Day,
    Listed,
    Message,
    Name,
    Number,
    Share,
    Span,
    Term,
    Word,
    join,
    read,
    say,
    word,
)
from workbench.result import OWN
from workbench.warehouse import rulebook, schema

CELLS = notebook_cells()


def test_every_template_has_a_chinese_entry():
    """None is missing, or kept out because its places differ."""
    known = catalogue.catalogue("zh")
    missing = {place: text for text, place in written().items() if text not in known}
    assert not missing, json.dumps(missing, indent=1)


def test_a_template_is_given_its_values():
    """Also in branches that nobody walks: each place has a value at the call, and each value a place."""
    for name, tree in trees():
        filled = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and named_by(node.func) == "of" and isinstance(node.func.value, ast.Call):
                if named_by(node.func.value.func) in refusals():
                    filled.add(id(refusal := node.func.value))
                    starred = any(isinstance(value, ast.Starred) for value in node.args)
                    wanted = catalogue.places(refusal.args[0].value)
                    assert starred or len(wanted) == len(node.args), f"{name}:{node.lineno}"
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and named_by(node.func) in refusals()
                and id(node) not in filled
                and node.args
            ):
                text = node.args[0]
                plain = not isinstance(text, ast.Constant) or "{" not in text.value
                assert plain, f"{name}:{node.lineno}: its places have no values: .of(…)"
            if called(node) == "say":
                text, given = node.args[0], {value.arg for value in node.keywords}
                if isinstance(text, ast.Constant) and name != "messages.py":
                    places = {name for _, name, _, _ in string.Formatter().parse(text.value) if name is not None}
                    if isinstance(node.func, ast.Attribute):  # of a result, which has the others
                        given |= places & OWN.keys()
                    assert places >= given - {None} if None in given else places == given, (name, text.value)


def test_no_f_string_reaches_a_reader():
    """What refuses, answers, shows or prints takes templates: an f-string with words is English for ever.

    Also where it is glued to another text, chosen, or given a name in the function before.
    """
    said_by = {*refusals(), "answer", "show", "echo", "secho", "ClickException", "UsageError", "BadParameter"}
    glued = {}
    for place, tree in trees():
        for body in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]:
            named: dict[str, list[ast.expr]] = {}
            for node in ast.walk(body):
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    named.setdefault(node.targets[0].id, []).append(node.value)
            for call in ast.walk(body):
                fills = (
                    isinstance(call, ast.Call) and named_by(call.func) == "of" and isinstance(call.func.value, ast.Call)
                )
                if fills and named_by(call.func.value.func) in refusals():
                    found = [value for value in call.args if isinstance(value, ast.JoinedStr)]
                    glued |= {f"{place}:{call.lineno}": ast.unparse(text) for text in found if has_words(text)}
                if isinstance(call, ast.Call) and named_by(call.func) in said_by:
                    found = [text for given in call.args for text in texts_of(given, named)]
                    glued |= {f"{place}:{call.lineno}": ast.unparse(text) for text in found if has_words(text)}
    assert not glued, "say() it: " + json.dumps(glued, indent=1, ensure_ascii=False)


def texts_of(node: ast.expr, named: dict[str, list[ast.expr]]) -> list[ast.JoinedStr]:
    """The f-strings that an expression may give: itself, glued, chosen, or by a name it has."""
    if isinstance(node, ast.JoinedStr):
        return [node]
    if isinstance(node, ast.Name):
        return [text for value in named.get(node.id, ()) for text in texts_of(value, {})]
    parts = {ast.BinOp: ("left", "right"), ast.IfExp: ("body", "orelse")}.get(type(node), ())
    return [text for part in parts for text in texts_of(getattr(node, part), named)]


def has_words(text: ast.JoinedStr) -> bool:
    """Whether an f-string writes a letter and a space: prose, and no path, number or code."""
    written_out = "".join(part.value for part in text.values if isinstance(part, ast.Constant))
    return bool(re.search("[A-Za-z]", written_out)) and " " in written_out.removeprefix("workbench: ")


def test_an_f_string_with_words_is_found():
    """Glued, chosen and named ones too; paths and numbers are none."""
    source = 'said = f"no {x}"\nfail(said)\nfail("a" + f" b {x}")\nfail(f"{x} is" if x else "")\nfail(f"{x}/{y}.csv")'
    tree = ast.parse(source)
    named = {"said": [tree.body[0].value]}
    calls = [node.value.args[0] for node in tree.body[1:]]
    assert [any(map(has_words, texts_of(given, named))) for given in calls] == [True, True, True, False]


@pytest.mark.parametrize(("place", "cell"), CELLS, ids=[place for place, _ in CELLS])
def test_a_notebook_says_in_chinese_what_it_writes(place, cell):
    """No f-string holds words, and a text of several words is a template, or has an entry; conditions are no text."""
    known, conditions = catalogue.catalogue("zh"), set()
    for node in ast.walk(cell):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "query":
            conditions |= {id(argument) for argument in node.args}
    for node in ast.walk(cell):
        if isinstance(node, ast.JoinedStr):
            texts = "".join(part.value for part in node.values if isinstance(part, ast.Constant))
            assert not (re.search("[A-Za-z]", texts) and " " in texts), f"{place}: say() it: {ast.unparse(node)}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in conditions:
            said = node.value in known or messages.word(node.value, "zh") != node.value
            assert said or not re.search(r"\w \w", node.value), f"{place}: no entry: {node.value!r}"


def test_a_template_has_plain_places():
    """No format, conversion or position stands in a template: values say themselves."""
    for text, place in written().items():
        for _, name, form, conversion in string.Formatter().parse(text):
            assert name is None or (name.isidentifier() and not form and conversion is None), (place, text)


def test_a_message_is_its_text_and_remembers_what_it_is_made_of():
    """Stored as JSON, pickled, joined and begun anew, it says the same in both languages."""
    said = join(
        say("{n} of {place}", n=12345, place="{n} <北京>"),
        say("up {by} {span} on {day}", by=Share(0.1), span=Span(0.05, 0.15, ".0%"), day=date(2026, 7, 1)),
        say("by {all}", all=Listed((Name("a"), say("b {x}", x=Number(1.5))), "or")),
    )
    assert said == "12,345 of {n} <北京> up 10.0% (5% to 15%) on 2026-07-01 by a or b 1.50"
    for again in (read(json.loads(json.dumps(said.as_json()))), pickle.loads(pickle.dumps(said))):
        assert again == said and again.said("zh") == said.said("zh") and isinstance(again, Message)
    assert said.parts[1].sentence() == "Up 10.0% (5% to 15%) on 2026-07-01"
    assert read(said.parts[1].sentence().as_json()) == said.parts[1].sentence()


def test_values_are_typed():
    """A float without a notation, a lacking value and one too many are refused where they are written."""
    with pytest.raises(TypeError, match="Share, a Number"):
        say("{x}", x=0.1)
    with pytest.raises(TypeError, match="lacks values for \\['x'\\]"):
        say("{x}", y=1)


def test_missing_numbers_are_stored_and_read():
    """NaN is no JSON: it is kept as a word."""
    said = say("{x} {span}", x=Number(float("nan")), span=Span(float("nan"), 1.0))
    stored = json.dumps(said.as_json(), allow_nan=False)
    assert read(json.loads(stored)) == said == "unknown (no interval)"


def test_values_in_chinese():
    """Counts in 万 from 10,000 up, ranges with 至, days and lists as they are written."""
    said = [
        Count(12345678),
        Count(9999),
        Span(8.7, 14.1),
        Day("2026-07-01"),
        Amount(-0.02, binary=True),
        Term("points"),
        Number(float("nan")),
    ]
    expected = ["1234.6万", "9999", "（8.7至14.1）", "2026年7月1日", "−2.00个百分点", "个百分点", "未知"]
    assert [value.said("zh") for value in said] == expected


def test_a_broken_entry_is_not_used(tmp_path, monkeypatch):
    """Fuzzy, empty, or with other places: English is said."""
    entries = [
        'msgid "{n} left"\nmsgstr "{m} 离网"',
        'msgid "{n} stayed"\nmsgstr "{n:>99999999}在网"',
        '#, fuzzy\nmsgid "b"\nmsgstr "乙"',
        'msgid "c"\nmsgstr ""',
        'msgid "d"\nmsgstr "丁"',
    ]
    (tmp_path / "zh.po").write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n' + "\n\n".join(entries)
    )
    monkeypatch.setattr(catalogue, "CATALOGUES", tmp_path)
    catalogue.catalogue.cache_clear()
    try:
        assert catalogue.catalogue("zh") == {"d": "丁"}
        assert say("{n} left", n=3).said("zh") == "3 left"
    finally:
        catalogue.catalogue.cache_clear()


GOOD = 'msgid "d"\nmsgstr "丁"\n\nmsgid "{n} in"\nmsgstr "{n}入"\n\n'
DAMAGED = {
    "a broken line": 'msgid "a\nmsgstr "甲"\n',
    "an escape that is none": 'msgid "a"\nmsgstr "甲\\x"\n',
    "other places": 'msgid "{n} left"\nmsgstr "{m}离网"\n',
    "a brace that is not closed": 'msgid "{n} left"\nmsgstr "{n离网"\n',
    "a format that is none": 'msgid "{n} left"\nmsgstr "{n:zz}离网"\n',
    "a place by number": 'msgid "{n} left"\nmsgstr "{0}离网"\n',
    "no text": 'msgid "a"\n',
}


@pytest.mark.parametrize(
    "damage", [*DAMAGED.values(), b'msgid "a"\nmsgstr "\xff\xfe"\n'], ids=[*DAMAGED, "wrong bytes"]
)
@pytest.mark.parametrize("file", ["zh.po", "labels.toml"])
def test_a_damaged_catalogue_says_the_rest(file, damage, tmp_path, monkeypatch, capsys):
    """What cannot be read is English, with one line on the error stream; nothing ends, not even without labels."""
    kept = (catalogue.CATALOGUES / "labels.toml").read_bytes()
    raw = damage if isinstance(damage, bytes) else damage.encode()
    (tmp_path / "labels.toml").write_bytes(kept if file == "zh.po" else raw)
    (tmp_path / "zh.po").write_bytes(GOOD.encode() + (raw if file == "zh.po" else b""))
    monkeypatch.setattr(catalogue, "CATALOGUES", tmp_path)
    caches = (catalogue.catalogue, catalogue.label, catalogue._labels, catalogue._called, catalogue._prose)
    for cached in caches:
        cached.cache_clear()
    try:
        assert catalogue.catalogue("zh") == {"d": "丁", "{n} in": "{n}入"}
        assert say("{n} left", n=3).said("zh") == "3 left" and word("d", "zh") == "丁"
        said, why = f"workbench: {file} is damaged: what cannot be read in it is said in English.", ""
        if file == "labels.toml":
            with pytest.raises(ValueError, match=r".") as refused:
                tomllib.loads(raw.decode())
            why = f" {refused.value}."
        assert capsys.readouterr().err == f"{said}{why}\n"
    finally:
        for cached in caches:
            cached.cache_clear()


def test_an_entry_uses_chinese_punctuation():
    """Full width between Han characters; no space beside one but around a place."""
    for key, said in catalogue.catalogue("zh").items():
        if re.search(r"[\u4e00-\u9fff]", said):
            assert not re.search(r"([\u4e00-\u9fff]|[^}]})[,;:?!]|[\u4e00-\u9fff]\.$", said), (key, said)


def test_rules_of_the_data_are_said_in_chinese():
    """What is broken stands on pages and in the account: each reason has an entry."""
    rules = [rule for table in schema.tables() for rule in rulebook.Rulebook({}).of(table, "refuse", "warn", "stop")]
    assert {rule.reason for rule in rules} <= set(catalogue.catalogue("zh"))


def test_the_meaning_of_a_column_is_said_within_a_sentence():
    """As a clause, without its capital and its stop."""
    clauses = [c.meaning[0].lower() + c.meaning[1:].rstrip(".") for t in schema.tables().values() for c in t.columns]
    assert not [clause for clause in clauses if word(clause, "zh") in (clause, "") or word(clause, "zh").endswith("。")]
    meant = say("values of {column} ({meaning})", column="bill.due_on", meaning=Word("day by which it is to be paid"))
    assert meant.said("zh") == "bill.due_on的取值（缴费到期日）"


def test_a_name_that_was_listed_hides_no_word():
    """A message that says nothing else in Chinese than in English leaves the word to the entries."""
    say("{names}", names=Listed(["broadband"]))
    assert messages.known("broadband") and messages.word("broadband", "zh") == "宽带"


def test_no_two_keys_differ_by_a_space_alone():
    """Or they say the same: the one would be taken for the other. Nor has an entry markup of its own."""
    for entries in (catalogue.catalogue("zh"), catalogue._prose("zh")):
        bare = {}
        for key, said in entries.items():
            bare.setdefault(re.sub(r"\s+", "", key), set()).add(said.strip())
        different = {key: said for key, said in bare.items() if len(said) > 1}
        assert different.keys() <= {"in{province}"}, different  # where one lives, and a phrase within a sentence
    assert say("in {province}", province="广东").said("zh") != say(" in {province}", province="广东").said("zh")
    assert not [said for said in catalogue.catalogue("zh").values() if re.search(r"<[a-z/][^<>]*>", said)]


def test_what_was_stored_is_not_taken_for_what_was_made_here():
    """A report that is written after another in the same process says its own words."""
    stored = {"say": "{text}", "values": {"text": {"kind": "Named", "text": "what nobody made", "zh": "高"}}}
    assert read(stored).said("zh") == "高" and messages.known("what nobody made") is None


def test_a_new_sentence_gets_an_empty_entry_at_its_place():
    """The catalogues stand in the order in which they are written; what nobody says goes; lines and quotes are kept."""
    for name in ("zh.po", "zh.prose.po"):
        text = (SOURCE / "locale" / name).read_text("utf-8")
        assert put(text, {}, []) == text
    text = 'msgid ""\nmsgstr ""\n\nmsgid "c"\nmsgstr "三"\n\nmsgid "d"\nmsgstr "四"\n'
    made = put(text, {'b "x"\ny': "a.py:1", "d": "a.py:2"}, ["c"])
    assert made == 'msgid ""\nmsgstr ""\n\nmsgid ""\n"b \\"x\\"\\n"\n"y"\nmsgstr ""\n\nmsgid "d"\nmsgstr "四"\n'
    assert not lacking("zh.po", {next(iter(written())): "here"}) and lacking("zh.po", {"Nobody says so.": "here"})
