"""How much of the data was refused, where, and why: in words, tables and columns by their labels."""

from __future__ import annotations

import re

import pandas as pd

from workbench.catalogue import label
from workbench.messages import Count, Label, Message, Name, Named, Share, Term, say
from workbench.recognised import recognised

_COLUMN = r"(?P<column>[^\s]+)"

# Reasons of rows that are no loss: a total, replaced, left out, a link that stands already, united, forgotten.
NO_LOSS = (
    "the row is a total",
    "a later row of the same key replaces it",
    "a prepare step leaves it out, as the mapping says",
    "the same link stands in an earlier row",
    "the customer is one with another, whose row says what is known of both",
    "the customer asked to be forgotten",
)


def table(name: str) -> Label:
    """Say what a table of the warehouse holds.

    >>> table("detail_record").said(), table("bill").said(), table("bill").said("zh")
    ('detail records', 'bills', '账单')
    """
    return Label(f"{name}_table")


def department(name: str) -> Named:
    """Say which department a name of the warehouse is.

    >>> department("survey").said(), department("survey").said("zh")
    ('survey', '满意度调查')
    """
    return Named(*(label(name, language, "department") for language in ("en", "zh")))


def with_words(frame: pd.DataFrame) -> pd.DataFrame:
    """Give a frame with the names in its column `table` in words."""
    return frame.assign(table=[say("{text}", text=table(name)) for name in frame["table"]])


def part(share: float) -> Share | Message:
    """Say a share that may be small.

    >>> part(0.0321).said(), part(0.0001)
    ('3.2%', 'under 0.1%')
    """
    return Share(share) if share >= 0.001 else say("under {share}", share=Share(0.001))


def in_words(reason: str, language: str) -> str:
    """Say a reason of the quarantine in another language than English, in which it stands as it is.

    >>> in_words("bill_id is missing", "en"), in_words("bill_id is missing", "zh")
    ('bill_id is missing', '账单缺失')
    """
    return reason if language == "en" else because(reason).said(language)


def because(reason: str) -> Message:
    """Say a reason of the quarantine in words; one without words of its own is said as it is.

    >>> because("subscription_id does not stand in subscription")
    'the line is not among the accepted lines'
    >>> because("the key (bill_id) stands in another row"), in_words("a byte (0x9f) does not fit gb18030", "zh")
    ('another record has the same key', '字节0x9f不符合gb18030编码')
    """

    def found(pattern: str) -> dict[str, str] | None:
        match = re.fullmatch(pattern, reason)
        return match.groupdict() if match else None

    def column(name: str) -> Label:
        return Label(name.rpartition(".")[2])

    if it := found(rf"{_COLUMN} is missing"):
        return say("the {column} is missing", column=column(it["column"]))
    if it := found(rf"{_COLUMN} has a text not listed under values"):
        return say("the {column} holds a text that the mapping does not list", column=column(it["column"]))
    if it := found(rf"{_COLUMN} is not a (?P<kind>whole number|number|date|date and time|true, false, 1 or 0)"):
        return say("the {column} is not a {kind}", column=column(it["column"]), kind=Term(it["kind"]))
    if it := found(rf"{_COLUMN} does not stand in (?P<parent>\w+)"):
        return say(
            "the {column} is not among the accepted {parent}", column=column(it["column"]), parent=table(it["parent"])
        )
    if it := found(rf"{_COLUMN} is not between (?P<low>.+) and (?P<high>.+)"):
        low, high = Name(it["low"]), Name(it["high"])
        return say("the {column} is not between {low} and {high}", column=column(it["column"]), low=low, high=high)
    if it := found(rf"{_COLUMN} is not one of (?P<values>.+)"):
        return say("the {column} is none of {values}", column=column(it["column"]), values=it["values"])
    if it := found(rf"{_COLUMN} was written as a number and may have lost digits"):
        return say("the {column} was written as a number and may have lost digits", column=column(it["column"]))
    if it := found(rf"{_COLUMN} is (?P<what>a telephone number|the number of an identity card): map it.*"):
        return say("the {column} is {what} in clear", column=column(it["column"]), what=Term(it["what"]))
    if it := found(r"the record has (?P<has>\d+) fields instead of (?P<wants>\d+)"):
        has, wants = Count(int(it["has"])), Count(int(it["wants"]))
        return say("the record has {has} fields instead of {wants}", has=has, wants=wants)
    if found(r"the key \(.*\) stands in .*") is not None:
        return say("another record has the same key")
    return recognised(reason) or say("{text}", text=Term(reason))
