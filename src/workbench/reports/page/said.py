"""What an executed notebook answered, read from its outputs for page, paper and index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench import messages

PICTURES = "application/vnd.workbench.pictures+json"
"""The figures of an output by language: svg or png, width and height; in English the png stands beside them."""


@dataclass(frozen=True)
class Answer:
    """An answer: its first sentence, what else was found, and key figures (label, value, interval, term) in words."""

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
    tiles = [{name: messages.read(part).said(language) for name, part in t.items()} for t in ours.get("tiles", ())]
    for tile, term in zip(tiles, [*ours.get("terms", ()), *[""] * len(tiles)], strict=False):
        tile["term"] = term
    return Answer(lead.said(language), tuple(m.said(language) for m in (*further, *rest)), tuple(tiles))
