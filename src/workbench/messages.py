"""How sentences are said: an English template with typed values, the template being the key of the Chinese catalogue.

A `Message` is the English text (a `str`, so that whatever takes texts takes it) and remembers what it was made of;
`Message.said("zh")` says the same in Chinese. Values say themselves, each language in its notation.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, ClassVar, Self

from workbench.catalogue import entered, entry, places
from workbench.places import typed_as
from workbench.values import Amount as Amount
from workbench.values import Count as Count
from workbench.values import Day as Day
from workbench.values import Label as Label
from workbench.values import Name as Name
from workbench.values import Named as Named
from workbench.values import Number as Number
from workbench.values import Share as Share
from workbench.values import Span as Span
from workbench.values import Term as Term
from workbench.values import Value as Value
from workbench.values import Word as Word
from workbench.words import MOST_NAMED, closest, listed

LANGUAGES = ("en", "zh")
TAGS = {"en": "en", "zh": "zh-CN"}
"""What a page calls its language, for those who read it aloud."""
OF_DATA = ("customer", "customer_id", "campaign", "campaign_id", "city", "company", "account")
"""Columns with names to be found again: nothing in them is a word of ours."""
MOST_KEPT = 100_000
_BETWEEN = {" · ": " · ", "\n": "\n", "; ": "；", ", ": "·", "->": "→", ": ": "：", "+": "+"}
_ENGLISH = re.compile(r"[A-Za-z][a-z]{2,}")


@dataclass(frozen=True)
class Listed(Value):
    """Values as a list; the word before the last is "and", "or", or none ("" between names, ";" between clauses).

    With ";" they are parted by semicolons; with "·" they are one name: the values that make a cell; with a line break
    each has a line. Plain values get their type as in `say`.

    >>> names = Listed(["北京", "上海", "广东"])
    >>> names.said(), names.said("zh"), Listed(names.items, "").said()
    ('北京, 上海 and 广东', '北京、上海和广东', '北京, 上海, 广东')
    >>> [Listed(["A", "B"], last).said(language) for last in ";·" for language in LANGUAGES]
    ['A; B', 'A；B', 'A, B', 'A·B']
    """

    BETWEEN: ClassVar[Mapping[str, tuple[str, str]]] = {
        "": (", ", "、"),
        ";": ("; ", "；"),
        "·": (", ", "·"),
        "\n": ("\n", "\n"),
    }
    items: Iterable[Any]
    last: str = "and"

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", tuple(map(as_value, self.items)))

    def said(self, language: str = "en") -> str:
        said: list[str] = [item.said(language) for item in self.items]
        if self.last in self.BETWEEN:
            return self.BETWEEN[self.last][language == "zh"].join(said)
        if language != "zh":
            return listed(said, self.last)
        return "、".join(said[:-1]) + {"and": "和", "or": "或"}[self.last] + said[-1] if len(said) > 1 else said[0]


class Message(str):
    """A sentence: its English text, the template and the values it was made of.

    Made by `say` and `join`.
    """

    template: str
    values: Mapping[str, Value | Message]
    parts: tuple[Message, ...]
    capital: bool

    def __new__(
        cls,
        template: str = "",
        values: Mapping[str, Value | Message] = {},
        parts: tuple[Message, ...] = (),
        capital: bool = False,
        made_here: bool = True,
    ) -> Self:
        text = _filled(template, values, "en") if not parts else _joined(parts, "en")
        made = super().__new__(cls, _start(text) if capital else text)
        made.template, made.values, made.parts, made.capital = template, dict(values), parts, capital
        if made_here:
            _keep(made)
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.template, self.values, self.parts, self.capital

    def said(self, language: str = "en") -> str:
        """Say it in a language of `LANGUAGES`; where the catalogue has no entry, in English."""
        text = _joined(self.parts, language) if self.parts else _filled(self.template, self.values, language)
        return _start(text) if self.capital else text

    def sentence(self) -> Message:
        """Begin with a capital letter."""
        if self.parts:
            return Message(parts=(self.parts[0].sentence(), *self.parts[1:]), capital=True)
        return Message(self.template, self.values, self.parts, capital=True)

    def as_json(self) -> dict[str, Any]:
        """Give what `read` makes the message of again."""
        found: dict[str, Any] = {"capital": True} if self.capital else {}
        if self.parts:
            return found | {"parts": [part.as_json() for part in self.parts]}
        return found | {"say": self.template, "values": {name: _as_json(v) for name, v in self.values.items()}}


def say(template: str, /, **values: Value | Message | Exception | str | int | date) -> Message:
    """Say a sentence.

    Parameters
    ----------
    template : str
        English, with ``{name}`` where a value stands; one sentence, or a clause that stands by itself.
    **values : Value, Message, Exception (its message), str (a `Name`), int (a `Count`) or date (a `Day`)
        One for each name. A float has no notation of its own: say whether it is a `Share`, `Number` or `Amount`.

    Raises
    ------
    TypeError
        If a value is missing, not in the template, or of another type.

    >>> said = say("{n} of {all} bought {share}.", n=3, all=12000, share=Share(0.00025, 2))
    >>> said, said.said("zh")
    ('3 of 12,000 bought 0.03%.', '3 of 1.2万 bought 0.03%.')
    """
    wanted = places(template)
    if wanted != values.keys():
        lacks, odd = sorted(wanted - values.keys()), sorted(values.keys() - wanted)
        raise TypeError(f"the template {template!r} lacks values for {lacks} and has no place for {odd}")
    return Message(template, {name: as_value(value) for name, value in values.items()})


def exact(number: int) -> Number:
    """Give a count whose last figure matters, in every language alike."""
    return Number(int(number), ",d")


def refusal(template: str, values: Iterable[object], at: object = "") -> Message:
    """Say why something is refused, and before it where: see `WorkbenchError.of`."""

    def typed(value: object, place: str = "") -> Value | Message:
        text, several = str(value), isinstance(value, Iterable) and not isinstance(value, str)
        if isinstance(value, Value | Message) or several:
            return as_value(quoted(value) if several else value)  # type: ignore[arg-type]
        if is_name(template, place) or text.startswith("-"):
            return Name(text)
        try:
            return Day(text) if is_day(text) else as_value(value)
        except TypeError:
            return Name(text)

    said = say(template, **{place: typed(value, place) for place, value in zip(places(template), values, strict=True)})
    return say("{where}: {text}", where=typed(at), text=said) if at else said


def is_name(template: str, place: str) -> bool:
    """Whether what stands at a place is said as it is: in quotes, in a command, or behind a sign of equality.

    >>> is_name("lacks {table}: workbench data describe {table}", "table"), is_name("{n} rows", "n")
    (True, False)
    """
    typed = rf"'{{{place}}}'|= ?{{{place}}}|-p {{{place}}}|workbench( [\w{{}}.=-]+)* {{{place}}}"
    return re.search(typed, template) is not None


def is_day(text: str) -> bool:
    """Whether a text is a day or a month, as data and commands write it."""
    return re.fullmatch(r"\d{4}-\d\d(-\d\d)?", text) is not None


def join(*messages: Message) -> Message:
    """Put sentences one after the other; empty ones are left out.

    >>> join(say("One."), say(""), say("Two."))
    'One. Two.'
    """
    kept = tuple(message for message in messages if message)
    return kept[0] if len(kept) == 1 else Message(parts=kept) if kept else Message()


def quoted(names: Iterable[object]) -> Listed | Message:
    """List names in quotation marks; of very many the first.

    >>> quoted(["sms", "call"]).said(), quoted(["sms", "call"]).said("zh")
    ("'sms', 'call'", '“sms”、“call”')
    >>> quoted(range(3_000)).said()[-26:], quoted([])
    (" '38', '39' and 2,960 more", 'nothing')
    """
    names = list(names)
    shown = Listed((say("'{name}'", name=str(name)) for name in names[:MOST_NAMED]), "")
    if len(names) > MOST_NAMED:
        return say("{names} and {n} more", names=shown, n=len(names) - MOST_NAMED)
    return shown if names else say("nothing")


def suggestion(name: object, names: Iterable[str]) -> Message:
    """Ask whether a mistyped name meant the nearest of some, or a province by its pinyin; empty where none is near.

    >>> suggestion("uplit", ["uplift"]).said("zh"), suggestion("x", ["uplift"])
    ('是否指“uplift”？', '')
    >>> suggestion("gd", ["北京", "广东"]), suggestion("ｈｎ", ["河南", "广东", "海南"]).said("zh")
    ("Did you mean '广东'?", '是否指“河南”、“海南”之一？')
    """
    text, names = unicodedata.normalize("NFKC", str(name)), [str(one) for one in names]
    near = typed_as(text, names) or list(filter(None, [closest(text, names)]))
    if len(near) > 1:
        return say("Did you mean one of {names}?", names=quoted(near))
    return say("Did you mean '{name}'?", name=near[0]) if near else Message()


def as_message(text: str) -> Message:
    """Give a text as a message: one with an entry is said by it, any other is said alike in every language.

    >>> as_message("All windows are closed.").said("zh"), as_message("<b>").said("zh")
    ('各观察窗口均已结束。', '<b>')
    """
    return text if isinstance(text, Message) else known(text) or say("{text}", text=Word(text))


def estimated(amount: Amount, low: float, high: float) -> Message:
    """Say an amount with its interval, whose ends are in its own units.

    >>> estimated(Amount(0.012, binary=True, signed=True), 0.002, 0.022)
    '+1.20 points (0.20 to 2.20)'
    """
    scale = 100 if amount.binary else 1
    return say("{amount} {ends}", amount=amount, ends=Span(scale * low, scale * high))


def spelt(text: str, zh: str = "") -> Message:
    """Give a name as a message, for cells and lists: in Chinese as whoever gave it wrote it, else by `word`.

    >>> spelt("champions", "金牌客户").said("zh"), spelt("arpu_before"), spelt("arpu_before").said("zh")
    ('金牌客户', 'arpu_before', '此前每用户月均收入')
    """
    made = known(text)
    return made if made and not zh else say("{text}", text=Named(text, zh))


def as_value(value: object) -> Value | Message:
    """Give a plain value its type: text is a `Name`, a whole number a `Count`, a date a `Day`, a refusal its words."""
    if isinstance(value, (Value, Message)):
        return value
    if isinstance(value, str):
        return Name(value)
    if isinstance(value, Exception):
        return as_message(value.args[0] if value.args and isinstance(value.args[0], Message) else str(value))
    if isinstance(value, date):
        return Day(value)
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{value!r} is a {type(value).__name__}: say whether it is a Share, a Number, an Amount, …")
    return Count(int(value.__index__()))


def known(text: str) -> Message | None:
    """Give the message whose English a text is, if it was made of late: tables and figures keep the text alone.

    >>> made = say("{n} of them", n=3)
    >>> known("3 of them").as_json() == made.as_json(), known("4 of them")
    (True, None)
    """
    return _made.get(text)


def word(text: str, language: str = "en") -> str:
    """Say a text that stands alone (a cell, a tick, the title of an axis), if anything knows it: else as it is.

    A message that was made of late, an entry, a code or what labels call it; parts and lines each alone, if no English
    is left among them.

    >>> word("broadband", "zh"), word("revenue_90", "zh"), word("revenue within 90 days", "zh"), word("13800", "zh")
    ('宽带', '90天内收入', '90天内收入', '13800')
    >>> word("broadband · opt-outs", "zh"), word("Broadband", "zh")
    ('宽带 · 退订', '宽带')
    >>> word("broadband, 中国电信", "zh"), word("broadband, whatever", "zh")
    ('宽带·中国电信', 'broadband, whatever')
    """
    if language == "en" or not text.strip():
        return text
    found = text if isinstance(text, Message) else known(text)
    if found and (said_in := found.said(language)) != text:
        return said_in
    if entry_of := entered(text, language):
        return entry_of
    for between, joined in _BETWEEN.items():
        parts = text.split(between)
        said = [word(part, language) for part in parts] if len(parts) > 1 else parts
        if said != parts and all(new != old or not _ENGLISH.search(old) for new, old in zip(said, parts, strict=False)):
            return joined.join(said)
    return text


def read(stored: Mapping[str, Any]) -> Message:
    """Make a message of what `Message.as_json` gave. It was made elsewhere: `known` does not give it.

    >>> read(say("Up {by}.", by=Share(0.1)).as_json())
    'Up 10.0%.'
    """
    capital = bool(stored.get("capital"))
    if "parts" in stored:
        return Message(parts=tuple(map(read, stored["parts"])), capital=capital, made_here=False)
    values = {name: _read_value(value) for name, value in stored["values"].items()}
    return Message(stored["say"], values, capital=capital, made_here=False)


_made: dict[str, Message] = {}


def _keep(message: Message) -> None:
    """Remember a message by its English, of very many the last: what is forgotten is said in English.

    One that is a name and nothing else has nothing to say, and would hide what the same text is elsewhere.
    """
    if any(isinstance(value, Name) and message.template == f"{{{name}}}" for name, value in message.values.items()):
        return
    text = str(message)
    _made.pop(text, None)
    if len(_made) >= MOST_KEPT:
        _made.pop(next(iter(_made)), None)
    _made[text] = message


def _filled(template: str, values: Mapping[str, Value | Message], language: str) -> str:
    said = {name: value.said(language) for name, value in values.items()}
    return entry(template, language).format_map(said)


def _joined(parts: Iterable[Message], language: str) -> str:
    return ("" if language == "zh" else " ").join(part.said(language) for part in parts)


def _start(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _as_json(value: Value | Message) -> dict[str, Any]:
    if isinstance(value, Message):
        return value.as_json()
    fields: dict[str, Any] = asdict(value)  # type: ignore[call-overload]  # every kind is a dataclass
    if isinstance(value, Listed):
        fields["items"] = [_as_json(item) for item in value.items]
    if isinstance(value, Day):
        fields["day"] = value.said()
    infinite = {key: str(v) for key, v in fields.items() if isinstance(v, float) and not math.isfinite(v)}
    plain = {key: v.item() if hasattr(v, "item") else v for key, v in fields.items()}
    return {"kind": type(value).__name__, **plain, **infinite}


def _read_value(stored: Mapping[str, Any]) -> Value | Message:
    if "kind" not in stored:
        return read(stored)
    kind = Value.KINDS[stored["kind"]]
    fields = {key: v for key, v in stored.items() if key != "kind"}
    if kind is Listed:
        return Listed(tuple(map(_read_value, fields["items"])), fields["last"])
    numbers = {"low", "high", "number", "share", "amount"}
    return kind(**{key: float(v) if key in numbers else v for key, v in fields.items()})
