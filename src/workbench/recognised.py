"""What a sentence was made of, where only its English is left: it crossed a process, a table or a file as text."""

from __future__ import annotations

import re
import string
from functools import cache, lru_cache

from workbench.catalogue import catalogue, entered
from workbench.messages import Count, Day, Message, Name, Value, Word, as_message, is_day, is_name, known, quoted, word

_FEWEST = 4
"""Letters and quotes of a template: one with fewer (`{low} to {high}`) fits too much."""
_OTHERS = {"error", "why", "reason", "said", "msg"}
"""Places for what others say, in whatever words; anywhere else words in a row are no value, and the match is chance."""
_LIST = re.compile(r"'[^']*'(?:, '[^']*')*")
_LISTS = {"names", "others", "missing"}
_WORDS = re.compile("[A-Za-z]{2,} [A-Za-z]{2,}")
_BREAK = re.compile(r"(?<=[.?]) (?=[A-Z])")


@lru_cache(maxsize=2048)
def recognised(text: str) -> Message | None:
    """Give the message whose English a text is, by the templates of the catalogue; None where that is not certain.

    Several sentences are recognised one by one, and after the place where it went wrong.

    >>> recognised("'bill.csv' cannot be read: no such file.").said("zh")
    '“bill.csv”无法读取：no such file。'
    >>> recognised("crm.toml: names holds a name twice. Make them unique.").said("zh")
    'crm.toml：names中有重名。请使名称各不相同。'
    >>> recognised("what nobody ever said")
    """
    if known(text) or entered(text, "zh"):
        return as_message(text)
    able = {template: _values(template, text) for template, part in _templates() if part in text}
    found = [Message(template, values, made_here=False) for template, values in able.items() if values]
    for at in _BREAK.finditer(text):
        first, rest = recognised(text[: at.start()]), recognised(text[at.end() :])
        found += [Message(parts=(first, rest), made_here=False)] if first and rest else []
    if not found and ": " in text:
        where, _, what = text.partition(": ")
        if told := recognised(what):
            found.append(Message("{where}: {text}", {"where": Name(where), "text": told}, made_here=False))
    if not found:
        return None
    least = min(map(_unsure, found))
    best = {made.said("zh"): made for made in found if _unsure(made) == least}
    doubtful = [
        template for template, values in able.items() if values == {} and len("".join(_parts(template))) > -least[1]
    ]
    return next(iter(best.values())) if len(best) == 1 and not doubtful else None


def sentence(text: str, language: str = "en") -> str:
    """Say a sentence of ours that stands as text, in a language; one that is not recognised as it is."""
    said = word(text, language)
    made = recognised(str(text)) if said == text and language != "en" else None
    return made.said(language) if made else said


def _unsure(message: Message) -> tuple[int, int]:
    """How many letters of the message stay English in Chinese, and how little of it stands in the templates."""
    literal = sum(len("".join(_parts(part.template))) for part in message.parts or (message,))
    return len(re.findall("[A-Za-z]", message.said("zh"))), -literal


def _parts(template: str) -> list[str]:
    return [text for text, *_ in string.Formatter().parse(template)]


@cache
def _templates() -> list[tuple[str, str]]:
    """Templates with places, and the longest text of each that stands in whatever it makes."""
    known_ones = [template for template in catalogue("zh") if "{" in template and not re.search("{[^}]*[:!]", template)]
    told = [(template, _parts(template)) for template in known_ones]
    return [(t, max(parts, key=len)) for t, parts in told if len(re.findall("[A-Za-z']", "".join(parts))) >= _FEWEST]


@cache
def _pattern(template: str, some: str) -> re.Pattern[str]:
    pattern, seen = "", set()
    for text, name, *_ in string.Formatter().parse(template):
        pattern += re.escape(text)
        if name is not None:
            pattern += f"(?P={name})" if name in seen else f"(?P<{name}>{some})"
            seen.add(name)
    return re.compile(pattern, re.DOTALL)


def _values(template: str, text: str) -> dict[str, Value | Message] | None:
    """Give the values by which a template makes a text: none ({}) where they can be told apart in two ways."""
    found, most = (_pattern(template, some).fullmatch(text) for some in (".*?", ".*"))
    if not found or not most:
        return None
    values = {name: _value(given, name, is_name(template, name)) for name, given in found.groupdict().items()}
    chance = any(_by_chance(name, value) for name, value in values.items())
    return {} if most.groupdict() != found.groupdict() else None if chance else values


def _by_chance(name: str, value: Value | Message) -> bool:
    """Whether what stands at a place is hardly its value: English in a row, or quotes within quotes."""
    if isinstance(value, Word):
        return name not in _OTHERS and bool(_WORDS.search(value.text))
    return isinstance(value, Name) and "'" in value.text and value.text[0] != "["  # but for a list as code has it


def _value(text: str, place: str, as_it_is: bool) -> Value | Message:
    if _LIST.fullmatch(text) and (place in _LISTS or ("', '" in text and not as_it_is)):
        return quoted(text[1:-1].split("', '"))
    if as_it_is:
        return Name(text)
    if re.fullmatch(r"\d{1,3}(,\d{3})+", text):
        return Count(int(text.replace(",", "")))
    if is_day(text):
        return Day(text)
    return recognised(text) or Word(text)
