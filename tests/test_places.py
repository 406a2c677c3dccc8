"""Numbers stand where they belong in Chinese sentences: whole before part, low before high, and as reviewed."""

import re
from pathlib import Path

import pytest

from workbench.catalogue import catalogue, places

ENTRIES = {key: said for key, said in catalogue("zh").items() if "{" in key and len(places(key)) > 1}
PAIRS = [
    ("low", "high"),
    ("first", "last"),
    ("before", "after"),
    ("begin", "end"),
    ("since", "until"),
    ("earliest", "latest"),
    ("source", "target"),
    ("treated", "control"),
    ("first", "second"),
    ("early", "late"),
    ("before", "now"),
]
"""Places whose order is the same in both languages: exchanged, they would say the opposite."""
OF = re.compile(r"\{(\w+)\} of (?:the |its |these |those )?\{(all|members|n|rows|customers|campaigns|arms|accepted)\}")
FROM = re.compile(r"(?:from|between) \{(\w+)\}[^{}.;]{0,30} (?:to|and) \{(\w+)\}")
NOT_A_PART = {"name", "top"}  # "{name} of {n} rows": a table, and how many rows it has
REVIEWED = dict(
    line.split("\t")
    for line in (Path(__file__).parent / "reference" / "places_zh.tsv").read_text("utf-8").splitlines()
    if not line.startswith("#")
)


def order(template, *names):
    """Where some places first stand in a template."""
    return [re.sub(r"\{\{|\}\}", "  ", template).find(f"{{{name}}}") for name in names]


def misplaced(key, said):
    """The pairs of places that stand the wrong way round in an entry."""
    wrong = [
        pair
        for pair in PAIRS
        if {*pair} <= {*places(key)}
        and (order(key, *pair) == sorted(order(key, *pair))) != (order(said, *pair) == sorted(order(said, *pair)))
    ]
    parts = [(part, whole) for part, whole in OF.findall(key) if part not in NOT_A_PART and part != whole]
    wrong += [pair for pair in parts if order(said, *pair) == sorted(order(said, *pair))]
    return wrong + [pair for pair in FROM.findall(key) if order(said, *pair) != sorted(order(said, *pair))]


def test_whole_before_part_and_low_before_high():
    """ "{n} of {all}" is {all}…中…{n}; from, low, before and first stand before to, high, after and last."""
    wrong = {key: (said, misplaced(key, said)) for key, said in ENTRIES.items() if misplaced(key, said)}
    assert not wrong


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("{n} of {all} left", "{n}名中有{all}名离网"),
        ("{share} of the {n} customers", "{share}中的{n}名客户"),
        ("from {a} to {b} of {n}", "{n}中由{b}至{a}"),
        ("between {low} and {high}", "{high}与{low}之间"),
        ("{before} became {after}", "由{after}变为{before}"),
    ],
)
def test_an_exchange_is_found(key, said):
    """Of each kind."""
    assert misplaced(key, said)


def test_entries_whose_order_differs_stand_as_they_were_reviewed():
    """Each was read beside its English; one that is changed is read again, and its line in the list with it."""
    moved = {key: " ".join(places(ENTRIES[key])) for key in REVIEWED.keys() & ENTRIES.keys()}
    assert moved == {key: REVIEWED[key] for key in moved}
    assert len(moved) > 200
