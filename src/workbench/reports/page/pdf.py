"""The report on paper: PDF with Chinese text, from pip-installed parts alone, tagged for those who hear it.

What a notebook says goes to the typesetter as data, never as markup. A character that the font lacks is an error.
"""

from __future__ import annotations

import base64
import itertools
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
# In points: what there is from margin to margin, in one of two even columns, for a picture and beside it.
_LINES, _GAP = {"whole": 515.0, "half": 251.0, "picture": 317.0, "side": 185.0}, 13.0
_AROUND, _SIZES = 7.0, (7.4, 6.9, 6.3)  # what surrounds a cell, and the sizes of a table's text
_DRAWN = 0.6 * 0.75  # points of a figure's pixel: its axes are in 6 points
_COLUMN, _PIECE = 8.0, 24  # ems that a column of texts has at least, characters after which a word is broken
_UNBROKEN, _BREAK = re.compile(rf"[!-~]{{{_PIECE + 1},}}"), "\u200b"
PRINTED, _CUT, _SHORT, _CELL = 15, 12, 5, 240
"""Rows of a table that is set whole, of a longer one, of one that is set with its figure too; characters of a cell."""
WIDEST = 120
"""More columns of a table are not set: they are in its sheet."""
_LED = ("table", "figure", "list")
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
    front = _decision_first(blocks, spoken)
    for tile in (tile for block in blocks if block["kind"] == "answer" for tile in block["tiles"]):
        tile["before"] = before.get(tile["label"], "")
    report: dict[str, Any] = {"title": title, "language": spoken, "facts": list(facts), "front": blocks[:front]}
    report |= {"units": list(_units(blocks[front:])), "widths": _LINES, "gap": _GAP}
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


def _decision_first(blocks: list[dict[str, Any]], spoken: str) -> int:
    """Put the decision, with its heading, behind the answer, as on the page; give how many blocks that makes.

    What else the answer says stands behind the picture that carries it.
    """
    kinds = [block["kind"] for block in blocks]
    at = end = kinds.index("answer") + 1 if "answer" in kinds else 0
    if at and "decision" in kinds[at:]:
        last = kinds.index("decision", at) + 1
        begin = last - 1 - (kinds[last - 2] == "heading")
        blocks[at:last] = blocks[begin:last] + blocks[at:begin]
        end += last - begin
    if at and (more := blocks[at - 1]["sentences"][1:]):
        title = {"kind": "heading", "level": 2, "parts": _said(say("More findings").said(spoken))}
        entries = [[{"kind": "paragraph", "parts": _said(sentence)}] for sentence in more]
        behind = next((k for k in range(end, len(blocks)) if blocks[k].get("level") == 2), len(blocks))
        blocks[behind:behind] = [title, {"kind": "list", "ordered": False, "entries": entries}]
    return end


def _units(blocks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give what stays together: a heading and what leads to a table, figure or list, with that; and where it has room.

    A unit that begins a section is a `head`; `at` are the widths that it can be set in.
    """
    unit: list[dict[str, Any]] = []
    for block, after in itertools.zip_longest(blocks, blocks[1:], fillvalue={"kind": ""}):
        unit.append(block)
        leads = after["kind"] in _LED if block["kind"] == "paragraph" else block["kind"] == "heading"
        if not leads or after.get("level") == 2:
            room = [name for name in _LINES if all(name in block.get("fits", _LINES) for block in unit)]
            yield {"blocks": unit, "head": unit[0].get("level") == 2, "at": room}
            unit = []


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
        drawn: dict[str, Any] = {}
        for output in cell.get("outputs", []):
            ours = output.get("metadata", {}).get("workbench", {})
            rows = output.get("data", {}).get(tables.MIME, {}).get("rows", ())
            if ours.get("name", "") == drawn.get("name") and len(rows) > _SHORT:
                told = say("The numbers of this figure are in the sheet '{name}'.", name=drawn["name"])
                drawn["caption"] = join(say("{caption}", caption=drawn["caption"]), told).said(spoken)
                continue
            yield from (made := list(_output(output, spoken)))
            if ours.get("kind") != "caption":
                drawn = made[0] if ours.get("kind") == "figure" else {}


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
        points = min(_DRAWN * ours["width"], _LINES["picture"])
        fits = [name for name, line in _LINES.items() if points <= line]
        told = {"name": ours.get("name", ""), "caption": ours["caption"], "alt": ours["alt"]}
        yield {"kind": "figure", "points": points, "fits": fits} | told | picture
    elif kind == "list":
        yield {"kind": "paragraph", "parts": _said(text)}
    elif kind not in ("caption", "quantities"):
        if "text/markdown" in data:
            yield from _markdown("".join(data["text/markdown"]))
        elif text:
            yield {"kind": "text", "text": plain(text)}


def _table(table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    shown, longest = table["columns"][:WIDEST], PRINTED if len(table["rows"]) <= PRINTED else _CUT
    rows = [[c if len(c) <= _CELL else f"{c[:_CELL]}…" for c in row[:WIDEST]] for row in tables.shown(table)[:longest]]
    caption, spoken = tables.caption(table, longest), table.get("language", "en")
    names = [tables.called(column, spoken, table["name"]) for column in shown]
    numbers = [column["kind"] in ("number", "integer") for column in shown]
    _with_ends([column["name"] for column in shown], names, numbers, rows, spoken)
    if len(table["columns"]) > WIDEST:
        told = {"n": WIDEST, "all": len(table["columns"]), "name": table["name"]}
        cut = say("The first {n} of {all} columns; all are in the sheet '{name}'.", **told)
        caption = join(say("{caption}", caption=caption), cut).said(spoken)
    yield from _fitted(caption, names, numbers, rows, spoken)


def _with_ends(columns: list[str], names: list[str], numbers: list[bool], rows: list[list[str]], spoken: str) -> None:
    """Put the ends of an interval into the cell of their estimate, that stands before them or before its error."""
    for k in range(len(columns) - 1, 0, -1):
        stem, end = columns[k].removesuffix("low"), columns[k].endswith("low")
        at = k - 1 - (columns[k - 1] == "se")
        if (
            not end
            or columns[k + 1 : k + 2] != [f"{stem}high"]
            or at < 0
            or not numbers[at]
            or stem not in ("", f"{columns[at]}_")
        ):
            continue
        for row in rows:
            low, high = row[k : k + 2]
            if told := {low, high} - {tables.HIDDEN, tables.MISSING}:
                one = say("at least {n}", n=low) if low in told else say("at most {n}", n=high)
                ends = say("{low} to {high}", low=low, high=high) if len(told) > 1 or low == high else one
                unbroken = ends.said(spoken).replace(" ", "\u00a0")
                row[at] = say("{estimate} ({ends})", estimate=row[at], ends=unbroken).said(spoken)
        for line in (columns, names, numbers, *rows):
            line[k : k + 2] = []  # type: ignore[index]


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
    firm = [ems if number else low for ems, low, number in zip(whole, least, numbers, strict=True)]
    parts = _parted(least)
    for i, part in enumerate(parts, 1):
        place = say("{caption} (part {i} of {n}, by columns)", caption=caption, i=i, n=len(parts))
        yield {
            "kind": "table",
            "caption": caption if len(parts) == 1 else place.said(spoken).strip(),
            "fits": _fits(*([widths[k] for k in part] for widths in (whole, firm, least))),
            "columns": [{"name": names[k], "number": numbers[k]} for k in part],
            "rows": [[row[k] for k in part] for row in rows],
        }


def _parted(least: list[float]) -> list[list[int]]:
    """Give the columns of each block: one block, if the line is wide enough for all in the smallest type."""
    size, parts = _SIZES[-1], [[0]]
    for k in range(1, len(least)):
        if sum(least[j] * size + _AROUND for j in [*parts[-1], k]) > _LINES["whole"] and len(parts[-1]) > 1:
            parts.append([0])
        parts[-1].append(k)
    return parts


def _fits(whole: list[float], firm: list[float], least: list[float]) -> dict[str, dict[str, Any]]:
    """Give the size of type and the widths of columns on each line that is wide enough: the largest type that is.

    Smaller type comes before a broken number. A width is 0 where all columns can be as wide as they are; else those
    that lack least are given it first.
    """
    fits = {}
    for name, line in _LINES.items():
        for lows, size in itertools.product((firm, least), _SIZES):
            spare = line - sum(ems * size + _AROUND for ems in lows)
            if spare >= 0 or (name == "whole" and (lows, size) == (least, _SIZES[-1])):
                points, lacks = (
                    [low * size + _AROUND for low in lows],
                    [ems - low for ems, low in zip(whole, lows, strict=True)],
                )
                for left, k in zip(
                    range(len(lows), 0, -1), sorted(range(len(lows)), key=lacks.__getitem__), strict=True
                ):
                    more = min(lacks[k] * size, max(spare, 0.0) / left)
                    points[k], spare = points[k] + more, spare - more
                fits[name] = {"size": size, "points": [0.0] * len(lows) if spare > 0 else [round(p, 2) for p in points]}
                break
    return fits


def _breakable(text: str) -> str:
    """Let what has no space be broken too, every so many characters."""
    return _UNBROKEN.sub(lambda run: _BREAK.join(textwrap.wrap(run[0], _PIECE)), text)


def _piece(text: str) -> float:
    """Give the ems of the longest piece of a text that is not broken: a word, or three Chinese characters."""
    return max(map(_ems, re.findall(r"(?:[^\s\u200b\u2e80-\uffff]|\u00a0)+|[\u2e80-\uffff]{1,3}", text)), default=0.0)


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


def _said(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}]


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
