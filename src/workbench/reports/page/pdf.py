"""The report on paper: PDF with Chinese text, from pip-installed parts alone, tagged for those who hear it.

What a notebook says goes to the typesetter as data, never as markup. A character that the font lacks is an error.
"""

from __future__ import annotations

import base64
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.figures import font_file
from workbench.reports.page import tables
from workbench.reports.page.html import LONGEST_MARKDOWN, LONGEST_TABLE, language, plain

_TEMPLATE = Path(__file__).parent / "template" / "report.typ"
_LINE, _SHORT = 90, 20  # characters on a line of a table, and of a column that is never broken
_INLINE = {
    "strong": "strong",
    "emphasis": "emphasis",
    "strikethrough": "strike",
    "link": "emphasis",
    "image": "emphasis",
}


def write_pdf(path: Path, notebook: Mapping[str, Any], *, title: str, facts: Iterable[str]) -> None:
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

    Raises
    ------
    WorkbenchError
        If the font lacks a character: paper has no second font to fall back on.
    """
    import typst

    blocks = [block for cell in notebook["cells"] for block in _blocks(cell)]
    if blocks and blocks[0]["kind"] == "heading":
        del blocks[0]
    report = {"title": title, "language": language(notebook), "facts": list(facts), "blocks": blocks}
    said = json.dumps(_printable(report), ensure_ascii=False)
    _check_glyphs(said)
    made: Any = typst.compile(  # type: ignore[misc]  # typst's types want the template and the fonts to be of one kind
        _TEMPLATE.read_bytes(),
        sys_inputs={"report": said},
        font_paths=[str(font_file().parent)],
        ignore_system_fonts=True,
        timestamp=0,
    )
    path.write_bytes(made)


def _blocks(cell: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if cell["cell_type"] == "markdown":
        yield from _markdown("".join(cell["source"]))
    elif cell["cell_type"] == "code" and "hide-output" not in cell.get("metadata", {}).get("tags", []):
        for output in cell.get("outputs", []):
            yield from _output(output)


def _output(output: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
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
        yield {"kind": "answer", "sentences": text.splitlines()}
    elif kind == "table":
        yield _table(data[tables.MIME])
    elif kind == "figure":
        png = list(base64.b64decode("".join(data["image/png"])))
        yield {"kind": "figure", "png": png} | {field: ours[field] for field in ("caption", "alt", "width")}
    elif kind == "list":
        yield {"kind": "paragraph", "parts": [{"type": "text", "text": text}]}
    elif kind not in ("caption", "quantities"):
        if "text/markdown" in data:
            yield from _markdown("".join(data["text/markdown"]))
        elif text:
            yield {"kind": "text", "text": plain(text)}


def _table(table: Mapping[str, Any]) -> dict[str, Any]:
    rows = tables.shown(table)[:LONGEST_TABLE]
    names = [column["name"].replace("_", " ") for column in table["columns"]]
    widths = [max(map(tables.width, cells)) for cells in zip(names, *rows, strict=True)]
    full = sum(widths) > _LINE
    columns = [
        {"name": name, "number": column["kind"] in ("number", "integer"), "wide": full and width > _SHORT}
        for name, column, width in zip(names, table["columns"], widths, strict=True)
    ]
    caption = tables.caption(table, LONGEST_TABLE)
    return {"kind": "table", "caption": caption, "columns": columns, "rows": rows}


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
        columns = [{"name": name, "number": False, "wide": False} for name in names]
        yield {"kind": "table", "caption": "", "columns": columns, "rows": rows}
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
        return "".join(c for c in said if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
    if isinstance(said, dict):
        return {key: _printable(value) for key, value in said.items()}
    if isinstance(said, list) and not (said and isinstance(said[0], int)):
        return [_printable(value) for value in said]
    return said


def _check_glyphs(said: str) -> None:
    lacking = sorted({c for c in set(said) if not c.isspace()} - _glyphs())
    if lacking:
        named = ", ".join(f"U+{ord(c):04X} {unicodedata.name(c, 'without a name').lower()}" for c in lacking[:3])
        raise WorkbenchError(
            f"the font of the PDF lacks {len(lacking)} of the report's characters: {named}. Replace them in the data "
            "or the parameters, or leave pdf out of the formats."
        )


@cache
def _glyphs() -> frozenset[str]:
    from fontTools.ttLib import TTFont

    with TTFont(font_file(), lazy=True) as font:
        return frozenset(map(chr, font.getBestCmap()))
