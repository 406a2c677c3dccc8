"""Text from data in markdown: it shows as it is, whatever it holds."""

from __future__ import annotations

import re

_ESCAPED = {c: "\\" + c for c in "\\`*_{}[]()#!|$~<>&@"}
_ADDRESS = re.compile(r"(?i)(?<=www)\.|:(?=//)")
_RULE = re.compile(r"^([ \t]*)([-=])(?![ \t]+[^\s-])", re.MULTILINE)


def literal(text: str) -> str:
    r"""Escape text so that markdown shows it as it is: no HTML, link, picture, heading, table, code or formula.

    >>> print(literal("a_b <b> [x](http://y.example)"))
    a\_b \<b\> \[x\]\(http\://y.example\)
    """
    text = "".join(_ESCAPED.get(c, c) for c in text)
    return _ADDRESS.sub(r"\\\g<0>", text)


def as_entities(text: str) -> str:
    """Escape as `literal` does, what HTML would read as entities: right also where the text is set as HTML."""
    return literal(text).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")


def as_markdown(text: str) -> str:
    """Escape all but bold (``**``) and lists."""
    return _RULE.sub(r"\1\\\2", "**".join(map(literal, text.split("**"))))
