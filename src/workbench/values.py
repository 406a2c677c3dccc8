"""What stands in a sentence: names, counts, shares, intervals and days, which say themselves in each language."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from workbench import words
from workbench.catalogue import entered, entry, label

_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")


class Value(ABC):
    """What stands in a template's place, and says itself in each language."""

    KINDS: ClassVar[dict[str, type[Value]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        Value.KINDS[cls.__name__] = cls

    @abstractmethod
    def said(self, language: str = "en") -> str:
        """Say the value."""


@dataclass(frozen=True)
class Name(Value):
    """Text from data, or a name of a column: the same in every language, on one line, as what is said of it.

    >>> Name("Bundle\\nof spring").said()
    'Bundle of spring'
    """

    text: str

    def said(self, language: str = "en") -> str:
        return " ".join(str(self.text).splitlines())


@dataclass(frozen=True)
class Word(Name):
    """Text from data that may be a word with an entry of its own: a service, a measure.

    >>> Word("broadband").said(), Word("broadband").said("zh"), Word("broadband 2").said("zh")
    ('broadband', '宽带', 'broadband 2')
    """

    def said(self, language: str = "en") -> str:
        return entered(str(self.text), language) or super().said(language)


@dataclass(frozen=True)
class Term(Value):
    """A word of ours (a unit, a verdict, a measure), with an entry of its own; without one it is said as it is.

    >>> Term("yuan").said("zh")
    '元'
    """

    text: str

    def said(self, language: str = "en") -> str:
        return entry(self.text, language)


@dataclass(frozen=True)
class Label(Value):
    """What a code (a column, an outcome, a segment) is called.

    >>> Label("revenue_90").said(), Label("revenue_90").said("zh"), Label("opted_out").said()
    ('revenue within 90 days', '90天内收入', 'opt-outs')
    """

    code: str

    def said(self, language: str = "en") -> str:
        return label(self.code, language)


@dataclass(frozen=True)
class Named(Value):
    """A name that whoever gave it wrote in both languages.

    >>> Named("champions", "重要价值客户").said("zh"), Named("nobody's", "").said("zh")
    ('重要价值客户', "nobody's")
    """

    text: str
    zh: str

    def said(self, language: str = "en") -> str:
        return self.text if language == "en" else self.zh or entered(self.text, language) or self.text


@dataclass(frozen=True)
class Count(Value):
    """A count.

    >>> Count(12345).said(), Count(12345).said("zh"), Count(9999).said("zh")
    ('12,345', '1.23万', '9999')
    """

    number: float

    def said(self, language: str = "en") -> str:
        return _in_ten_thousands(f"{self.number:,.0f}".replace("-", "−"), language)


@dataclass(frozen=True)
class Share(Value):
    """A share of 1, in per cent.

    >>> Share(0.114).said(), Share(0.114, 0).said("zh")
    ('11.4%', '11%')
    """

    share: float
    digits: int = 1

    def said(self, language: str = "en") -> str:
        return _minus(f"{self.share:.{self.digits}%}")


@dataclass(frozen=True)
class Number(Value):
    """A number: to three figures, or in a format; `signed` shows a plus; by ",d" its last figure matters and stays.

    >>> Number(0.42).said(), Number(3, "+.1f").said(), Number(2.0, signed=True).said("zh"), Number(-0.001, ".2f").said()
    ('0.420', '+3.0', '+2.00', '0.00')
    >>> [Number(number, ",.0f").said("zh") for number in (19_566_082, -123_456_789, 9_999.6)], Number(46_210).said("zh")
    (['1956.6万', '−1.23亿', '1万'], '4.621万')
    >>> Number(56_873, ",d").said("zh")
    '56,873'
    """

    number: float
    form: str = ""
    signed: bool = False

    def said(self, language: str = "en") -> str:
        if not self.form:
            return _in_ten_thousands(entry(words.figure(self.number, signed=self.signed), language), language, ".4g")
        said = _minus(format(self.number, self.form))
        return said if self.form == ",d" else _in_ten_thousands(said, language)


@dataclass(frozen=True)
class Span(Value):
    """An interval in brackets: its ends rounded alike, or in the format of its estimate; `level` where none is said.

    >>> Span(-0.0312, 1.25).said(), Span(0.087, 0.141, ".1%").said("zh"), Span(8.7, float("nan")).said("zh")
    ('(−0.03 to 1.25)', '（8.7%至14.1%）', '（无区间）')
    >>> Span(0.02, 0.06, ".0%", 0.95).said("zh"), Span(-0.5, 1.0, "+.1f").said()
    ('（2%至6%，95%区间）', '(−0.5 to +1.0)')
    """

    low: float
    high: float
    form: str = ""
    level: float | None = None

    def said(self, language: str = "en") -> str:
        if self.form:
            text = words.between(self.low, self.high, self.form, level=self.level).replace("-", "−")
        else:
            text = words.span(self.low, self.high)
        if language != "zh":
            return text
        if text == words.NO_INTERVAL:
            return "（无区间）"
        inside, _, level = text.strip("()").partition("; ")
        level = f"，{level.removesuffix(' interval')}区间" if level else ""
        inside = _in_ten_thousands(inside, language, ".1f" if self.form else ".4g")
        return f"（{inside.replace(' to ', '至')}{level}）"


@dataclass(frozen=True)
class Amount(Value):
    """An amount of an outcome: a share in percentage points, anything else in its unit.

    >>> Amount(0.0123, binary=True).said(), Amount(4.2, unit="yuan", signed=True).said("zh")
    ('1.23 points', '+4.20元')
    """

    amount: float
    binary: bool = False
    unit: str = ""
    signed: bool = False

    def said(self, language: str = "en") -> str:
        text = words.amount(self.amount, binary=self.binary, unit=self.unit, signed=self.signed)
        if language != "zh":
            return text
        number, _, unit = text.partition(" ")
        return _in_ten_thousands(entry(number, language), language, ".4g") + entry(unit, language)


@dataclass(frozen=True)
class Day(Value):
    """A day or month: ISO in English, 2026年7月1日 in Chinese; other names of a period are said as they are.

    >>> Day(date(2026, 7, 1)).said(), Day(date(2026, 7, 1)).said("zh"), Day("2026-07").said("zh")
    ('2026-07-01', '2026年7月1日', '2026年7月')
    """

    day: date | str

    def said(self, language: str = "en") -> str:
        text = str(self.day)
        found = re.match(r"\d{4}-\d\d(-\d\d)?(?=$|[ T])", text)
        if not found:
            return text
        parts = zip(found[0].split("-"), "年月日", strict=False)
        return "".join(f"{int(part)}{unit}" for part, unit in parts) if language == "zh" else found[0]


def _in_ten_thousands(text: str, language: str, form: str = ".1f") -> str:
    """Write the grouped numbers of a text as Chinese prose does: 1.2万, 3.4亿; below ten thousand without groups."""
    return _GROUPED.sub(lambda found: _compact(found, form), text) if language == "zh" else text


def _compact(found: re.Match[str], form: str) -> str:
    number = float(found[0].replace(",", ""))
    if number < 10_000:
        return found[0].replace(",", "")
    scale, unit = (1e8, "亿") if round(number / 1e4, 1) >= 1e4 else (1e4, "万")
    form = ".2f" if form == ".1f" and number < 10 * scale else form  # three figures at least: 1.78万 of 1.73万至1.84万
    text = f"{number / scale:{form}}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + unit


def _minus(text: str) -> str:
    """Give a number its minus sign; a zero has none."""
    if not text.startswith("-"):
        return text
    return f"−{text[1:]}" if text.strip("-0.,%") else text[1:]
