"""What an executed notebook answered, read from its outputs for page, paper and index."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbench import messages
from workbench.messages import Span

PICTURES = "application/vnd.workbench.pictures+json"
"""The figures of an output by language: svg or png, width and height; in English the png stands beside them."""

TILES = 3
"""Key figures of a first screen."""
_NUMBERS = re.compile(r"\d[\d.,:%-]*[万亿]?")


@dataclass(frozen=True)
class Answer:
    """An answer: its first sentence, what else was found, and key figures in words.

    Of a figure: label, value, interval, term, and in `beside` the interval where the first sentence has not said it.
    """

    lead: str
    more: tuple[str, ...]
    tiles: tuple[Mapping[str, str], ...]


def answer_of(output: Mapping[str, Any], language: str = "en") -> Answer:
    """Read the answer that a cell displayed (`notebook.answer`), said in a language.

    The first sentence of the first result leads; its further sentences stand with those of the other results.
    """
    ours, text = output["metadata"]["workbench"], "".join(output["data"].get("text/plain", ""))
    stored = [messages.read(sentence) for sentence in ours.get("sentences", ())]
    first, *rest = stored or [messages.as_message(line) for line in text.splitlines() or [""]]
    lead, *further = first.parts or (first,)
    stored, tiles, owed = ours.get("tiles", ()), [], None
    for tile_of, term in zip(stored, [*ours.get("terms", ()), *[""] * len(stored)], strict=False):
        parts = {name: messages.read(part) for name, part in tile_of.items()}
        tile = {name: part.said(language) for name, part in parts.items()} | {"term": term}
        ends = parts["interval"].values.get("it") if "interval" in parts else None
        if isinstance(ends, Span) and replace(ends, level=None).said(language) in lead.said(language):
            owed = ends.level or owed  # said once; its level then stands with the next interval
        elif isinstance(ends, Span):
            tile["beside"], owed = replace(ends, level=ends.level or owed).said(language), None
        elif tile.get("interval") and tile["interval"] not in lead.said(language):
            tile["beside"] = tile["interval"]
        tiles.append(tile)
    return Answer(lead.said(language), tuple(m.said(language) for m in (*further, *rest)), tuple(tiles))


def but_numbers(label: str) -> str:
    """Give what a key figure is called whatever its numbers: of how many customers, which days."""
    return _NUMBERS.sub("#", label)


def was(label: str, earlier: Iterable[Mapping[str, str]], language: str = "en", *, whole: bool = True) -> str:
    """Say what a key figure was in an earlier report, by what it is called; "" where it had none.

    Labels may differ in their numbers (of how many customers, which days); then the earlier one is said with it.

    Parameters
    ----------
    label : str
        What the figure is called now.
    earlier : iterable of mapping
        Key figures of the earlier report: label, value and, where known, interval.
    whole : bool
        With its interval.

    >>> tiles = [{"label": "champions, of 1,240", "value": "341"}, {"label": "revenue", "value": "5.1"}]
    >>> was("revenue", tiles), was("champions, of 1,249", tiles), was("margin", tiles)
    ('5.1', 'champions, of 1,240: 341', '')
    """
    alike = [tile for tile in earlier if but_numbers(tile["label"]) == but_numbers(label)]
    same = [tile for tile in alike if tile["label"] == label] or alike
    if len(same) != 1:
        return ""
    (tile,) = same
    value = ("" if language == "zh" else " ").join(filter(None, (tile["value"], tile.get("interval") if whole else "")))
    if tile["label"] == label:
        return value
    return messages.say("{name}: {what}", name=tile["label"], what=value).said(language)
