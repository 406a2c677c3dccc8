"""Does a column hold clear numbers of telephones and cards, or mail addresses? Found and masked before it is stored.

What is personal is said in one place, `workbench.personal`; here only the few cells that may hold such a number are
looked at, for a column has millions.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from workbench.personal import CARD, PHONE, masked, personal

_SHORTEST = 11  # digits of a mobile number
_SHORTEST_MAIL = 6
_IN_TEXT = f"[@＠]|(?:[0-9０-９][- －()（）.．·_/／‐‑–—−]{{0,3}}){{{_SHORTEST}}}"
# What may be one as a whole; of cards those with a possible birthday: many a customer's number has eighteen digits.
_WHOLE = (
    r"^(?:(?:\+|00)?86[- ]?)?1[3-9]\d[- .·_/‐‑–—−]?\d{4}[- .·_/‐‑–—−]?\d{4}$|"
    r"^[1-9]\d\d[- ]?\d{3}[- ]?(?:1[89]|20)\d\d[- ]?(?:0[1-9]|1[0-2])[0-3]\d[- ]?\d{3}[0-9Xx]$"
)
_KIND = {PHONE: "phone", CARD: "card"}


def looked_through(
    columns: pa.Table, free: Iterable[str], identifiers: Iterable[str]
) -> tuple[pa.Table, dict[str, int]]:
    """Add what columns of free text may store (`#text:…`), and what identifiers are (`#clear:…`).

    Returns
    -------
    (pyarrow.Table, dict)
        The table with the columns added, and how many numbers were masked in each column that had some.
    """
    masked: dict[str, int] = {}
    for name in free:
        texts, count = mask(columns.column(name))
        columns = columns.append_column(f"#text:{name}", texts)
        masked |= {name: count} if count else {}
    for name in identifiers:
        columns = columns.append_column(f"#clear:{name}", kinds(columns.column(name)))
    return columns, masked


def shown(columns: pa.Table, names: Iterable[str]) -> pa.Table:
    """Add what of some columns may be shown in quarantine (`#shown:…`)."""
    for name in names:
        columns = columns.append_column(f"#shown:{name}", mask(columns.column(name))[0])
    return columns


def mask(texts: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
    """Put `[number]` or `[mail]` in the place of what is personal inside texts, and count them.

    >>> column, count = mask(pa.chunked_array([["请回电13800138000", "工单 12345678901", None]]))
    >>> column.to_pylist(), count
    (['请回电[number]', '工单 12345678901', None], 1)
    """
    which = _holding(texts, _IN_TEXT, _SHORTEST_MAIL)
    if which is None:
        return texts, 0
    found = [masked(text) for text in texts.filter(which).to_pylist()]
    count = sum(number for _, number in found)
    if not count:
        return texts, 0
    new = pa.array([text for text, _ in found], texts.type)
    return pa.chunked_array([pc.replace_with_mask(texts.combine_chunks(), which.combine_chunks(), new)]), count


def kinds(identifiers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Say which identifiers are the number of a telephone ("phone") or an identity card ("card"); else missing.

    >>> kinds(pa.chunked_array([["13800138000", "11010519491231002X", "755200001000000001"]])).to_pylist()
    ['phone', 'card', None]
    """
    which = _holding(identifiers, _WHOLE)
    if which is None:
        return pa.chunked_array([pa.nulls(len(identifiers), pa.string())])
    found = [
        next((_KIND[k] for k in personal(i, whole=True) if k in _KIND), None)
        for i in identifiers.filter(which).to_pylist()
    ]
    nothing = pa.nulls(len(identifiers), pa.string())
    return pa.chunked_array([pc.replace_with_mask(nothing, which.combine_chunks(), pa.array(found, pa.string()))])


def _holding(texts: pa.ChunkedArray, pattern: str, shortest: int = _SHORTEST) -> pa.ChunkedArray | None:
    """Which texts match a pattern; None if none does, as in most columns. The pattern is tried on long texts alone."""
    long = pc.fill_null(pc.greater_equal(pc.binary_length(texts), shortest), False)
    if not pc.any(long).as_py():
        return None
    which = pc.match_substring_regex(pc.if_else(long, texts, ""), pattern)
    return which if pc.any(which).as_py() else None
