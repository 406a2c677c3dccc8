"""One text, many forms: what is taken off a cell before it is read, and how a key becomes one before it is hashed."""

from __future__ import annotations

import re
import sys
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

KINDS = ("phone", "card", "name")
_BLANK = ("Zs", "Zl", "Zp", "Cf")
# White space and the signs that nobody sees (zero width, direction, byte order mark, soft hyphen).
UNSEEN = "\t\n\v\f\r\x85" + "".join(
    sign for sign in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(sign) in _BLANK
)
_LONG = np.array(sorted(int.from_bytes(sign.encode()[:3].ljust(3, b"\0")) for sign in UNSEEN if not sign.isascii()))
_MAY_BE = np.zeros(256, bool)  # bytes with which white space or an unseen sign may begin
_MAY_BE[[*(ord(sign) for sign in "\t\v\f "), *(sign.encode()[0] for sign in UNSEEN if not sign.isascii())]] = True


def trimmed(texts: pa.Table) -> pa.Table:
    """Take white space and unseen signs around each text off."""
    return pa.table({name: pc.utf8_trim(texts.column(name), UNSEEN) for name in texts.column_names})


def may_be_padded(data: bytes, signs: str) -> bool:
    """Whether a value may begin or end with white space; most files have none, and trimming would cost a tenth.

    Parameters
    ----------
    data : bytes
        Records in UTF-8, with line ends.
    signs : str
        The signs (ASCII) between which values stand.
    """
    chars = np.frombuffer(data, np.uint8)
    found = np.flatnonzero(np.frombuffer(data.translate(_MAY_BE.tobytes()), bool))
    spaces = found[chars[found] < 0x80]
    edge = np.zeros(256, bool)
    edge[[*b"\n\r\t", *signs.encode()]] = True
    last = len(chars) - 1
    if spaces.size and (edge[chars[spaces - 1]] | edge[chars[np.minimum(spaces + 1, last)]]).any():
        return True
    others = found[chars[found] >= 0x80]
    lead, second, third = (chars[np.minimum(others + i, last)].astype(np.int64) for i in range(3))
    return bool(np.isin(lead << 16 | second << 8 | np.where(lead < 0xE0, 0, third), _LONG).any())


def one_width(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bring identifiers to one width (NFKC) and take the signs that nobody sees out of them.

    >>> one_width(pa.chunked_array([["Ａ１", "A\\u200b1", None]])).to_pylist()
    ['A1', 'A1', None]
    """
    if pc.all(pc.string_is_ascii(texts)).as_py() is not False:
        return texts
    return pc.utf8_trim(pc.replace_substring_regex(pc.utf8_normalize(texts, form="NFKC"), r"\p{Cf}", ""), UNSEEN)


def one_form(text: str, kind: str | None) -> str:
    """Bring a text to the one form under which it is known, before it is hashed.

    Parameters
    ----------
    text : str
    kind : {'phone', 'card', 'name', None}
        Of all kinds white space, unseen signs, width and case are taken off; of a phone number also the signs between
        digits and China's country code, of a card the signs between digits, of a name the form of the dot.

    >>> {one_form(text, "phone") for text in ("12000000000", "+86 120-0000-0000", "００８６120·0000·0000")}
    {'12000000000'}
    >>> one_form("11010019000101001x", "card"), one_form("阿依古丽•买买提", "name")
    ('11010019000101001X', '阿依古丽·买买提')
    """
    text = _UNSEEN.sub("", unicodedata.normalize("NFKC", text)).upper()
    if kind == "name":
        return _DOTS.sub("·", text)
    if kind in ("phone", "card"):
        text = _BETWEEN.sub("", text)
    return _COUNTRY.sub("", text) if kind == "phone" else text


_UNSEEN = re.compile(f"[{re.escape(UNSEEN)}]")
_DOTS = re.compile("[·•・∙⋅．.]")
_BETWEEN = re.compile(r"(?<=[0-9A-Z)])[-‐-―−()/.·_](?=[0-9(])|^\((?=[+\d])|(?<=\d)\)(?=\d)")
_COUNTRY = re.compile(r"^(\+|00)?86(?=1\d{10}$)")
