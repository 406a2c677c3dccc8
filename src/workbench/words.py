"""How numbers, intervals and lists are said. One notation of an interval: 11.4 (8.7 to 14.1)."""

from __future__ import annotations

import difflib
import math
import unicodedata
from collections.abc import Iterable

MOST_NAMED = 40
NO_INTERVAL = "(no interval)"


def figure(value: float, *, signed: bool = False) -> str:
    """Round to three figures, never in powers of ten.

    >>> figure(0.4244), figure(12345.6), figure(-1e-12, signed=True), figure(-2.0, signed=True)
    ('0.424', '12,346', '0', '−2.00')
    """
    if math.isnan(value):
        return "unknown"
    if round(value, 8) == 0:
        return "0"
    text = f"{abs(value):,.{_digits(abs(value))}f}"
    return ("−" if value < 0 else "+" if signed else "") + text


def _digits(size: float) -> int:
    """Say after how many digits a number of this size has three figures."""
    return 0 if size == 0 else min(max(0, 2 - math.floor(math.log10(size))), 8)


def span(low: float, high: float) -> str:
    """Say an interval, its ends rounded alike.

    >>> span(-0.0312, 1.25)
    '(−0.03 to 1.25)'
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return NO_INTERVAL
    digits = _digits(max(abs(low), abs(high)))
    ends = [f"{round(end, digits) + 0.0:,.{digits}f}".replace("-", "−") for end in (low, high)]
    return f"({ends[0]} to {ends[1]})"


def between(low: float, high: float, form: str = ".1f", *, level: float | None = None) -> str:
    """Say an interval in the digits of its estimate, and its level where no other words do.

    >>> between(8.7, 14.149), between(0.019, 0.0594, ".1%", level=0.95), between(math.nan, 1.0)
    ('(8.7 to 14.1)', '(1.9% to 5.9%; 95% interval)', '(no interval)')
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return NO_INTERVAL
    return f"({low:{form}} to {high:{form}}{'' if level is None else f'; {level:.0%} interval'})"


def direction(low: float, high: float) -> int:
    """Say what an interval shows as it is printed: 1 above 0, -1 below 0, 0 neither (or where it is not known).

    >>> direction(0.008, 0.219), direction(0.0004, 0.219), direction(-3.0, -0.2), direction(math.nan, 1.0)
    (1, 0, -1, 0)
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return int(low > 0) - int(high < 0)
    digits = _digits(max(abs(low), abs(high)))
    return int(round(low, digits) > 0) - int(round(high, digits) < 0)


def label(campaign: str, **names: str) -> str:
    """Name what a quantity belongs to.

    >>> label("spring", outcome="revenue"), label("", outcome="revenue")
    ('[campaign=spring,outcome=revenue]', '[outcome=revenue]')
    """
    parts = ([f"campaign={campaign}"] if campaign else []) + [f"{key}={value}" for key, value in names.items()]
    return f"[{','.join(parts)}]" if parts else ""


def amount(value: float, *, binary: bool, unit: str = "", signed: bool = False) -> str:
    """Say an amount of an outcome: a share in percentage points, anything else in its unit.

    >>> amount(0.0123, binary=True), amount(4.2, binary=False, unit="yuan", signed=True)
    ('1.23 points', '+4.20 yuan')
    """
    scaled, unit = (100 * value, "points") if binary else (value, unit)
    return f"{figure(scaled, signed=signed)} {unit}".rstrip()


def listed(values: Iterable[object], last: str = "and") -> str:
    """Write values as a list in a sentence.

    >>> listed([6, 7]), listed([6, 7, 8]), listed(["a", "b"], "or")
    ('6 and 7', '6, 7 and 8', 'a or b')
    """
    *head, end = map(str, values)
    return f"{', '.join(head)} {last} {end}" if head else end


def width(text: str) -> int:
    """Count the columns a text takes in a terminal; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def closest(name: str, known: Iterable[str]) -> str:
    """Give the known name that a mistyped one most likely meant; "" where none is near."""
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=5, cutoff=0.5)

    def likeness(other: str) -> tuple[float, bool]:
        return difflib.SequenceMatcher(None, other, str(name)).ratio(), other[:1] == str(name)[:1]

    return max(close, key=likeness) if close else ""
