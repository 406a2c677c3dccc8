"""What stands in `locale/`: Chinese entries of sentences and prose, and what codes are called in both languages."""

from __future__ import annotations

import json
import re
import string
import sys
import tomllib
from collections.abc import KeysView
from functools import cache
from pathlib import Path
from typing import TypeVar

CATALOGUES = Path(__file__).parent / "locale"
_Read = TypeVar("_Read")
_QUOTED = r'(?:"[^\n]*"\n?)+'
_ENTRY = re.compile(rf"(?P<notes>(?:^#[^\n]*\n)*)^msgid (?P<id>{_QUOTED})msgstr (?P<said>{_QUOTED})", re.MULTILINE)
_FUZZY = re.compile(r"^#,.*\bfuzzy\b", re.MULTILINE)


def entry(template: str, language: str) -> str:
    """Give the entry of a template in a language; the template itself where there is none."""
    return template if language == "en" else catalogue(language).get(template, template)


def prose(text: str, language: str = "en") -> str:
    """Say what was written for readers (a cell of a notebook, the meaning of a parameter); unknown as it is."""
    return text if language == "en" else _prose(language).get(text, text)


def entered(text: str, language: str) -> str:
    """Look a word up among the entries, what labels call, and prose of one sentence (without its stop); else empty."""
    if language == "en":
        return ""
    entries, called = catalogue(language), _called(language)
    for form in (text, f"{text[:1].lower()}{text[1:]}", text.replace("_", " ")):
        if form in entries and not places(form):
            return entries[form]
        if form in called:
            return called[form]
    sentences = (prose(f"{form}.", language) for form in (text, f"{text[:1].upper()}{text[1:]}"))
    return next((said.removesuffix("。") for said in sentences if said.endswith("。")), "")


@cache
def catalogue(language: str) -> dict[str, str]:
    """Read the entries of a language by template; fuzzy and empty ones, and broken places, are not used."""
    found = _entries(f"{language}.po")
    fit = {key: said for key, said in found.items() if "{" not in key + said or _fits(key, said)}
    return fit if len(fit) == len(found) else _marked(f"{language}.po", fit)


@cache
def label(code: str, language: str = "en", table: str = "") -> str:
    """Say what a code is called, by `locale/labels.toml`; one without an entry is said with spaces.

    In a table it may mean something else: then its entry there is TABLE.CODE.

    >>> label("potential_low"), label("potential_low", "zh"), label("my_column")
    ('potential, low end', '潜在贡献（下限）', 'my column')
    >>> label("first", "zh"), label("first", "zh", "coverage")
    ('第一', '最早记录')
    """
    labels, at = _labels(), int(language == "zh")
    if table and f"{table}.{code}" in labels["labels"]:
        return labels["labels"][f"{table}.{code}"][at]
    if code in labels["labels"]:
        return labels["labels"][code][at]
    stem, _, number = code.rpartition("_")
    if number.isdigit() and f"{stem}_N" in labels["labels"]:
        return labels["labels"][f"{stem}_N"][at].replace("N", number)
    for end, words_of in labels["ends"].items():
        if code.endswith(end) and (stem := code.removesuffix(end)):
            return words_of[at].format(label(stem, language, table))
    return code.replace("_", " ")


def unit(text: str, language: str = "en") -> str:
    """Say the unit of a number as the sheets do: by labels first, for "points" as a word are those of a share."""
    found = label(text, language)
    return found if found != label(text) else entered(text, language) or text


@cache
def _prose(language: str) -> dict[str, str]:
    return _entries(f"{language}.prose.po")


@cache
def _called(language: str) -> dict[str, str]:
    """Say in a language what labels call a code, by the code and by what it is called in English."""
    codes = [code for code in _labels()["labels"] if not code.endswith("_N") and "." not in code]
    named = [
        f"{code[:-2]}_{n}" for code in _labels()["labels"] if code.endswith("_N") for n in (7, 10, 30, 40, 60, 90, 180)
    ]
    said = {code: label(code, language) for code in (*codes, *named)}
    return {label(code): words_of for code, words_of in said.items()} | said


@cache
def _labels() -> dict[str, dict[str, list[str]]]:
    try:
        return tomllib.loads((CATALOGUES / "labels.toml").read_text("utf-8"))
    except (OSError, ValueError) as error:
        nothing: dict[str, dict[str, list[str]]] = {"labels": {}, "ends": {}}
        return _marked("labels.toml", nothing, f" {error}.")


def _entries(name: str) -> dict[str, str]:
    """Read a catalogue in gettext's .po, without Babel: the command line reads it whenever it speaks.

    What is damaged is left out, and is said in English.
    """
    try:
        text = (CATALOGUES / name).read_text("utf-8", errors="replace")
    except OSError:
        return {}
    blocks = list(_ENTRY.finditer(text))
    found = {_text(e["id"]): _text(e["said"]) for e in blocks if not _FUZZY.search(e["notes"])}
    whole = {key: said for key, said in found.items() if key and said}
    damaged = len(blocks) < len(re.findall("^msgid", text, re.MULTILINE)) or None in {*found, *found.values()}
    return _marked(name, whole) if damaged else whole


def _text(quoted: str) -> str | None:
    """Give the text of quoted lines of a catalogue; None of one that is damaged."""
    try:
        text = "".join(json.loads(line) if "\\" in line else line.strip()[1:-1] for line in quoted.splitlines())
    except ValueError:
        return None
    return None if "\ufffd" in text else text


def _fits(key: str, said: str) -> bool:
    try:
        said.format_map(dict.fromkeys(places(key), ""))
        return places(said) == places(key) and _forms(said) <= _forms(key) | {".0"}  # .0: what the sentence leaves out
    except (ValueError, LookupError, AttributeError):
        return False


def _marked(name: str, found: _Read, why: str = "") -> _Read:
    """Give what could be read of a file that is damaged, and say so once: it is no reason to end."""
    sys.stderr.write(f"workbench: {name} is damaged: what cannot be read in it is said in English.{why}\n")
    return found


def places(template: str) -> KeysView[str]:
    """Give the names of a template's places, in their order."""
    return dict.fromkeys(name for _, name, _, _ in string.Formatter().parse(template) if name is not None).keys()


def _forms(template: str) -> set[str]:
    """Give what a template's places ask of their values: an entry that asks for a width of millions is broken."""
    return {form for _, _, form, _ in string.Formatter().parse(template) if form}
