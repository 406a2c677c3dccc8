"""Sentences that crossed a process or a file as text: recognised by the templates, exactly or not at all."""

import random
import re

import pytest

from workbench import messages
from workbench.catalogue import catalogue, places
from workbench.errors import WorkbenchError, unknown
from workbench.messages import Day, is_name, join, quoted, say, word
from workbench.recognised import recognised, sentence

TEMPLATES = [t for t in catalogue("zh") if "{" in t and places(t) and not re.search("{[^}]*[:!]", t)]


@pytest.fixture(autouse=True)
def another_process(monkeypatch):
    """What is forgotten here is forgotten by these tests alone: others hold results made before."""
    monkeypatch.setattr(messages, "_made", {})


def forgotten(message):
    """The English alone, as in another process."""
    text = str(message)
    messages._made.clear()
    recognised.cache_clear()
    return text


def test_a_sentence_is_recognised_as_what_it_was_or_not_at_all():
    """Every template with names, counts and days of all sorts: what is recognised says the same; most are."""
    rng, found = random.Random(0), 0
    for template in TEMPLATES:
        names = {name: is_name(template, name) for name in places(template)}
        values = {
            name: rng.choice(["bill 2", "北京", "a_b"])
            if is_name
            else rng.choice([7, 12345, "bill.csv", Day("2026-07-01")])
            for name, is_name in names.items()
        }
        made = say(template, **values)
        again = recognised(forgotten(made))
        assert again is None or again.said("zh") == made.said("zh"), template
        found += again is not None
    assert found > 0.85 * len(TEMPLATES)


REFUSALS = [
    unknown("wave", "2026-3", ["2026-01", "2026-02"]),
    unknown("province", "北亰", ["北京", "上海"], "the customers"),
    WorkbenchError("delimiter must be one to four ASCII characters other than the quote, not {delimiter}.").of(
        "'ab'", at="crm.toml (bill.csv)"
    ),
    WorkbenchError(
        "{path} lacks the column {names} of the mapping.{near} It has: {others}. Mend the mapping; if names "
        "look garbled, see delimiter and encoding."
    ).of("bill.csv", ["fee"], "", ["fees", "id"]),
    WorkbenchError("plan '{name}': {error}").of("month", unknown("format", "pfd", ["pdf"])),
    WorkbenchError(join(say("'{churned}' must be 0 or 1.", churned="x"), say("It has: {names}.", names=quoted("ab")))),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
def test_a_refusal_of_another_process_is_said_in_chinese(refusal):
    """Also several sentences in a row, one within another, and what comes after the place."""
    said = refusal.said("zh")
    assert sentence(forgotten(refusal), "zh") == said and re.search("[一-鿿]", said)


@pytest.mark.parametrize(
    "text", ["KeyError: 'x'", "from here to there", "the quick brown fox: jumps", "", "7 of 12", "{name} is {value}"]
)
def test_what_is_no_sentence_of_ours_stays(text):
    """Errors of others, texts of data, templates themselves."""
    assert sentence(text, "zh") == text and sentence(text) == text


def test_what_was_tried_is_not_taken_for_what_was_said():
    """A sentence is said alike the second time: no template that also fits it is remembered as its message."""
    messages._made.clear()
    recognised.cache_clear()
    text = "as_of = 1942-05-01 lies outside the data. Choose a day from 2024-07-02 to 2026-07-01."
    first = sentence(text, "zh")
    assert [sentence(text, "zh"), word(text, "zh")] == [first, text]
    assert first == "as_of = 1942-05-01超出数据范围。请选择2024年7月2日至2026年7月1日之间的日期。"


def test_what_is_typed_in_a_command_stays_as_it_is():
    """A parameter behind -p is no word to be said in Chinese."""
    text = "'x' in campaign.campaign_id, as -p campaign=x asks (there are: 'a', 'b')"
    assert "-p campaign=x" in sentence(text, "zh")
    lacks = "campaign 'x' declares no margin. Pass it: -p margin=NUMBER, or add it to the mapping."
    assert "-p margin=NUMBER" in sentence(lacks, "zh")


def test_a_list_as_code_writes_it_is_a_value():
    """Quotes within it are no sign of another sentence."""
    text = (
        "the features of use need the detail records of the 90 days before as_of = 2026-07-01; those on record run "
        "from 2026-01-01 to 2026-06-27. Choose an as_of from 2026-04-01 to 2026-06-28, or leave those features out "
        "with tables=['life', 'bills']."
    )
    assert sentence(text, "zh").endswith("去掉这些特征：tables=['life', 'bills']。")
