"""The report on paper: PDF with Chinese text, from pip-installed parts alone, tagged for those who hear it.

What a notebook says goes to the typesetter as data, never as markup. A character that the font lacks is an error.
"""

from __future__ import annotations

import base64
import json
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workbench.errors import WorkbenchError
from workbench.figures import character_names, font_file
from workbench.messages import join, say
from workbench.reports.page import svg, tables
from workbench.reports.page.html import LONGEST_MARKDOWN, language, plain
from workbench.reports.page.said import PICTURES, answer_of

_TEMPLATE = Path(__file__).parent / "template" / "report.typ"
# In points: a line on A4 between its margins, what surrounds a cell, and the sizes of a table's text.
_LINE, _AROUND, _SIZES = 488.0, 8.0, (8.0, 7.2, 6.3)
_COLUMN, _PIECE = 8.0, 24  # ems that a column of texts has at least, characters after which a word is broken
_UNBROKEN, _BREAK = re.compile(rf"[!-~]{{{_PIECE + 1},}}"), "\u200b"
PRINTED, _SHORT, _CELL = 15, 5, 240
"""Rows of a table that are set; rows up to which it is set beside its figure too; characters of a cell that are set."""
WIDEST = 120
"""More columns of a table are not set: they are in its sheet."""
_INLINE = {
    "strong": "strong",
    "emphasis": "emphasis",
    "strikethrough": "strike",
    "link": "emphasis",
    "image": "emphasis",
}


def write_pdf(
    path: Path,
    notebook: Mapping[str, Any],
    *,
    title: str,
    facts: Iterable[str],
    before: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Set an executed notebook on A4.

    Parameters
    ----------
    path : Path
        The file to write.
    notebook : mapping
        The executed notebook (format 4).
    title : str
        Title of the report; the notebook's first heading is not repeated.
    facts : iterable of str
        Lines below the title: parameters, data, date.
    before : mapping of str to str
        What key figures were in the period before, by what they are called.

    Raises
    ------
    WorkbenchError
        If the font lacks a character: paper has no second font to fall back on.
    """
    import typst

    spoken = language(notebook)
    blocks = [block for cell in notebook["cells"] for block in _blocks(cell, spoken)]
    if blocks and blocks[0]["kind"] == "heading":
        del blocks[0]
    _without_leaps(blocks)
    _decision_first(blocks)
    for tile in (tile for block in blocks if block["kind"] == "answer" for tile in block["tiles"]):
        tile["before"] = before.get(tile["label"], "")
    report = {"title": title, "language": spoken, "facts": list(facts), "blocks": blocks}
    said = json.dumps(_printable(report) | {"title": _printable(title).strip() or "Report"}, ensure_ascii=False)
    _check_glyphs(said)
    made: Any = typst.compile(  # type: ignore[call-overload]  # typst's types want the template and the fonts to be of one kind
        _TEMPLATE.read_bytes(),
        sys_inputs={"report": said},
        font_paths=[str(font_file().parent)],
        ignore_system_fonts=True,
        timestamp=0,
        pdf_standards="ua-1",
    )
    path.write_bytes(made)


def _decision_first(blocks: list[dict[str, Any]]) -> None:
    """Put the decision, with its heading, behind the answer, as on the page."""
    kinds = [block["kind"] for block in blocks]
    if "answer" in kinds and "decision" in kinds[kinds.index("answer") :]:
        at, end = kinds.index("answer") + 1, kinds.index("decision", kinds.index("answer")) + 1
        begin = end - 1 - (kinds[end - 2] == "heading")
        blocks[at:end] = blocks[begin:end] + blocks[at:begin]


def _without_leaps(blocks: list[dict[str, Any]]) -> None:
    """Let no heading stand more than one level below the one before: PDF/UA-1 allows no leap."""
    level = 1
    for block in blocks:
        if block["kind"] == "heading":
            level = block["level"] = min(block["level"], level + 1)


def _blocks(cell: Mapping[str, Any], spoken: str) -> Iterator[dict[str, Any]]:
    if cell["cell_type"] == "markdown":
        yield from _markdown("".join(cell["source"]))
    elif cell["cell_type"] == "code" and "hide-output" not in cell.get("metadata", {}).get("tags", []):
        drawn = ""
        for output in cell.get("outputs", []):
            ours = output.get("metadata", {}).get("workbench", {})
            if ours.get("name") == drawn and len(output["data"].get(tables.MIME, {}).get("rows", ())) > _SHORT:
                told = say("The numbers of this figure are in the sheet '{name}'.", name=drawn).said(spoken)
                yield {"kind": "note", "text": told}
            else:
                yield from _output(output, spoken)
            if ours.get("kind") != "caption":
                drawn = ours.get("name", "") if ours.get("kind") == "figure" else ""


def _output(output: Mapping[str, Any], spoken: str) -> Iterator[dict[str, Any]]:
    if output["output_type"] == "stream":
        if output["name"] == "stdout":
            yield {"kind": "text", "text": plain("".join(output["text"]))}
        return
    if output["output_type"] == "error":
        yield {"kind": "text", "text": plain("\n".join(output["traceback"]))}
        return
    data, ours = output["data"], output.get("metadata", {}).get("workbench", {})
    kind, text = ours.get("kind"), "".join(data.get("text/plain", ""))
    if kind == "answer":
        said = answer_of(output, spoken)
        yield {"kind": "answer", "sentences": [said.lead, *said.more], "tiles": list(map(dict, said.tiles))}
    elif kind == "decision":
        yield {"kind": "decision", "sentences": text.splitlines()}
    elif kind == "table":
        yield from _table(data[tables.MIME])
    elif kind == "figure":
        inline = svg.safe(data.get(PICTURES, {}).get(spoken, {}).get("svg", ""))
        picture = {"svg": inline} if inline else {"png": list(base64.b64decode("".join(data["image/png"])))}
        yield {"kind": "figure"} | picture | {field: ours[field] for field in ("caption", "alt", "width")}
    elif kind == "list":
        yield {"kind": "paragraph", "parts": [{"type": "text", "text": text}]}
    elif kind not in ("caption", "quantities"):
        if "text/markdown" in data:
            yield from _markdown("".join(data["text/markdown"]))
        elif text:
            yield {"kind": "text", "text": plain(text)}


def _table(table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    shown = table["columns"][:WIDEST]
    rows = [[c if len(c) <= _CELL else f"{c[:_CELL]}…" for c in row[:WIDEST]] for row in tables.shown(table)[:PRINTED]]
    caption, spoken = tables.caption(table, PRINTED), table.get("language", "en")
    names = [tables.called(column, spoken) for column in shown]
    if len(table["columns"]) > WIDEST:
        cut = say(
            "The first {n} of {all} columns; all are in the sheet '{name}'.",
            n=WIDEST,
            all=len(table["columns"]),
            name=table["name"],
        )
        caption = join(say("{caption}", caption=caption), cut).said(spoken)
    yield from _fitted(caption, names, [column["kind"] in ("number", "integer") for column in shown], rows, spoken)


def _fitted(
    caption: str, names: list[str], numbers: list[bool], rows: list[list[str]], spoken: str = "en"
) -> Iterator[dict[str, Any]]:
    """Give a table as it fits on the page: in smaller type, else in blocks of columns, each with the first of them."""
    names, rows = [_breakable(name) for name in names], [[_breakable(cell) for cell in row] for row in rows]
    columns = list(zip(names, *rows, strict=True))
    whole = [max(_ems(line) for cell in cells for line in cell.split("\n")) for cells in columns]
    least = [
        max(*map(_piece, cells), 0.0 if number else min(ems, _COLUMN))
        for cells, number, ems in zip(columns, numbers, whole, strict=True)
    ]
    size, parts = _parted(least)
    for i, part in enumerate(parts, 1):
        widths = _widths([whole[k] for k in part], [least[k] for k in part], size)
        place = say("{caption} (part {i} of {n}, by columns)", caption=caption, i=i, n=len(parts))
        yield {
            "kind": "table",
            "caption": caption if len(parts) == 1 else place.said(spoken).strip(),
            "size": size,
            "columns": [
                {"name": names[k], "number": numbers[k], "points": w} for k, w in zip(part, widths, strict=True)
            ],
            "rows": [[row[k] for k in part] for row in rows],
        }


def _parted(least: list[float]) -> tuple[float, list[list[int]]]:
    """Give the size of type and the columns of each block: one block in the largest type that many columns allow."""
    usual = 2 if len(least) > 9 else 1 if len(least) > 6 else 0
    for size in _SIZES[usual:]:
        if sum(ems * size + _AROUND for ems in least) <= _LINE:
            return size, [list(range(len(least)))]
    size, parts = _SIZES[1], [[0]]
    for k in range(1, len(least)):
        if sum(least[j] * size + _AROUND for j in [*parts[-1], k]) > _LINE and len(parts[-1]) > 1:
            parts.append([0])
        parts[-1].append(k)
    return size, parts


def _widths(whole: list[float], least: list[float], size: float) -> list[float]:
    """Give the width of each column in points: 0 where all can be as wide as they are, else what there is, shared."""
    if sum(ems * size + _AROUND for ems in whole) <= _LINE:
        return [0.0] * len(whole)
    spare = _LINE - sum(ems * size + _AROUND for ems in least)
    share = spare / (sum(whole) - sum(least))
    return [round(low * size + _AROUND + share * (ems - low), 2) for ems, low in zip(whole, least, strict=True)]


def _breakable(text: str) -> str:
    """Let what has no space be broken too, every so many characters."""
    return _UNBROKEN.sub(lambda run: _BREAK.join(textwrap.wrap(run[0], _PIECE)), text)


def _piece(text: str) -> float:
    """Give the ems of the longest piece of a text that is not broken: a word, or one Chinese character."""
    return max(map(_ems, re.findall(r"[^\s\u200b\u2e80-\uffff]+|[\u2e80-\uffff]", text)), default=0.0)


def _ems(text: str) -> float:
    """Give the width of a text in ems of the font."""
    return sum(_advances().get(character, 1.0) for character in text if character != _BREAK)


def _markdown(source: str) -> Iterator[dict[str, Any]]:
    import mistune

    if len(source) > LONGEST_MARKDOWN:
        yield {"kind": "text", "text": plain(source)}
        return
    read = mistune.create_markdown(renderer=None, plugins=["table", "strikethrough", "math"])
    tokens: Any = read(source)  # a list of them, as there is no renderer
    for token in tokens:
        yield from _token(token)


def _token(token: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    kind, inner = token["type"], token.get("children", [])
    if kind == "heading":
        if not re.search(r"\w", "".join(map(_text, inner))):  # nothing to be heard: PDF/UA wants none
            return
        yield {"kind": "heading", "level": min(max(token["attrs"]["level"], 2), 4), "parts": _parts(inner)}
    elif kind in ("paragraph", "block_text"):
        yield {"kind": "paragraph", "parts": _parts(inner)}
    elif kind == "list":
        entries = [[block for child in item["children"] for block in _token(child)] for item in inner]
        yield {"kind": "list", "ordered": token["attrs"].get("ordered", False), "entries": entries}
    elif kind == "block_quote":
        yield {"kind": "quote", "blocks": [block for child in inner for block in _token(child)]}
    elif kind == "thematic_break":
        yield {"kind": "rule"}
    elif kind == "table":
        head, *body = inner
        names = [_text(cell) for cell in head["children"]]
        rows = [[_text(cell) for cell in row["children"]] for part in body for row in part["children"]]
        yield from _fitted("", names, [False] * len(names), rows)
    elif kind != "blank_line":
        yield {"kind": "text", "text": token.get("raw", "")}


def _parts(tokens: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    parts = []
    for token in tokens:
        kind = token["type"]
        if kind in _INLINE:
            parts.append({"type": _INLINE[kind], "parts": _parts(token["children"])})
        elif kind == "codespan":
            parts.append({"type": "code", "text": token["raw"]})
        elif kind == "linebreak":
            parts.append({"type": "break"})
        else:
            parts.append({"type": "text", "text": " " if kind == "softbreak" else token.get("raw", "")})
    return parts


def _text(token: Mapping[str, Any]) -> str:
    return token.get("raw", "") or "".join(map(_text, token.get("children", [])))


def _printable(said: Any) -> Any:
    """Leave out what has no shape on paper: marks of direction, controls."""
    if isinstance(said, str):
        return "".join(c for c in said if c in f"\n\t{_BREAK}" or unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
    if isinstance(said, dict):
        return {key: _printable(value) for key, value in said.items()}
    if isinstance(said, list) and not (said and isinstance(said[0], int)):
        return [_printable(value) for value in said]
    return said


def _check_glyphs(said: str) -> None:
    lacking = sorted({c for c in set(said) if not c.isspace()} - _advances().keys() - {_BREAK})
    if lacking:
        raise WorkbenchError(
            "the font of the PDF lacks {n} of the report's characters: {names}. Replace them in the data or the "
            "parameters, or leave pdf out of the formats."
        ).of(len(lacking), character_names(lacking))


@cache
def _advances() -> dict[str, float]:
    """Width of each character that the font has, in ems."""
    from fontTools.ttLib import TTFont

    with TTFont(font_file(), lazy=True) as font:
        widths, em = font["hmtx"].metrics, font["head"].unitsPerEm
        return {chr(code): widths[name][0] / em for code, name in font.getBestCmap().items()}
