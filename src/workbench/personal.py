"""What looks personal? Numbers of telephones and identity cards and mail addresses, not an operator's own numbers.

A number of a fixed line is told by its area code; by itself, and without a sign behind that code, it may be any number.

One place for all who look: lists of customers, and what leaves the house.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from pathlib import Path

NUMBER, ADDRESS = "[number]", "[mail]"
# Not inside a longer word or number, nor the decimals of one; a whole number may be written as a float.
BEFORE, AFTER = r"(?<![0-9A-Za-z])(?<!\d\.)", r"(?![0-9A-Za-z]|\.\d*[1-9])"
PHONE, CARD, _MAIL = "a telephone number", "an identity card", "an e-mail address"
_FIXED = "the number of a fixed line"
_ABROAD, _AT = r"(?:(?:\+|00)86[- ]{0,2}[(]?0?|0)", r"[)]?[- ]{0,2}[2-8]"
_SIGNS = ".·_/‐‑–—−"  # between the groups of a number, the same one twice: 139.12345678 is an amount
_KINDS = {
    PHONE: BEFORE
    + rf"(?:(?:\+|00)?86[- ]?)?1[3-9]\d(?:[- ]?\d{{4}}[- ]?|(?P<s>[{_SIGNS}])\d{{4}}(?P=s))\d{{4}}"
    + AFTER,
    "an IMSI": BEFORE + r"460\d{12}" + AFTER,
    _FIXED: BEFORE
    + rf"[(]?{_ABROAD}(?:(?:10|2\d){_AT}\d{{3}}|[3-9]\d\d{_AT}\d{{2,3}})[- ]?\d{{4}}(?:-\d{{1,5}})?"
    + AFTER,
    CARD: BEFORE + r"[1-9]\d\d[- ]?\d{3}[- ]?\d{4}[- ]?\d{4}[- ]?\d{3}[\dXx]" + AFTER,
    _MAIL: r"(?<=[\w.%+-])@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b",
}
_FORMS = {kind: re.compile(pattern) for kind, pattern in _KINDS.items()}
_MAYBE = re.compile(rf"@|(?:\d[- (){_SIGNS}]{{0,3}}){{11}}")
_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}" + _KINDS[_MAIL].partition(")")[2])
# The first two digits of a card: the province, region or city that issued it (GB/T 2260).
_ISSUERS = re.compile("1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]|91")


def personal(text: str, *, whole: bool = False) -> list[str]:
    """Name the kinds of personal data that a text seems to hold, or with `whole` to be.

    An identity card is one only with an issuer, a birthday and the right check character (GB 11643): the 18-digit
    customer numbers of billing systems are none. Numbers of telephones have no check digit, and are told by their form.

    >>> personal("call 138 0013 8000"), personal("call 138 0013 8000", whole=True), personal("755200001000000001")
    (['a telephone number'], [], [])
    """
    text = unicodedata.normalize("NFKC", text).strip()
    if not _MAYBE.search(text):
        return []
    kinds = []
    for kind, form in _FORMS.items():
        found = [match[0] for match in form.finditer(text)]
        if whole:
            found = [f for f in found if f == text or (kind == _MAIL and not re.search(r"\s", text))]
            found = [f for f in found if kind != _FIXED or not f.isdecimal()]
        if any(kind != CARD or is_card(f) for f in found):
            kinds.append(kind)
    return kinds


def masked(text: str) -> tuple[str, int]:
    """Give a text without the numbers of telephones, SIM and identity cards and the mail addresses in it.

    `[number]` or `[mail]` stands for each, and how many there were is given, too. A text without any stays as it is,
    also its width.

    >>> masked("回电 138 0013 8000, 单号 755200001000000001")
    ('回电 [number], 单号 755200001000000001', 1)
    >>> masked("１３８００１３８０００/13900139000")
    ('[number]/[number]', 2)
    >>> masked("家里（0755）8234-5678，邮箱li.na@example.cn")
    ('家里[number],邮箱[mail]', 2)
    """
    plain, count = unicodedata.normalize("NFKC", text), 0
    if not _MAYBE.search(plain):
        return text, 0

    def hide(found: re.Match[str]) -> str:
        nonlocal count
        if found.re is _FORMS[CARD] and not is_card(found[0]):
            return found[0]
        count += 1
        return ADDRESS if found.re is _ADDRESS else NUMBER

    plain = _ADDRESS.sub(hide, plain)
    for kind, form in _FORMS.items():
        if kind != _MAIL:
            plain = form.sub(hide, plain)
    return (plain, count) if count else (text, 0)


def is_card(number: str) -> bool:
    """Say whether 18 characters, in groups or not, can be an identity card's (GB 11643; check: ISO 7064, MOD 11-2).

    >>> is_card("110105 19491231 002X"), is_card("110105194912310021"), is_card("11010519491331002X")
    (True, False, False)
    """
    number = re.sub("[- ]", "", number)
    if not re.fullmatch(r"[1-9][0-9]{16}[0-9Xx]", number) or not _ISSUERS.match(number):
        return False
    try:
        born = dt.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    check = "10X98765432"[sum(int(digit) * 2 ** (17 - i) for i, digit in enumerate(number[:17])) % 11]
    return born.year >= 1800 and check == number[17].upper()


def for_me_alone(path: Path) -> None:
    """Begin a file that only its owner may read; what is written into it then stays so."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
