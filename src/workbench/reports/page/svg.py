"""Figures as SVG: small, with text that can be searched, and nothing in them that runs or fetches."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from matplotlib.figure import Figure

_TAGS = {"svg", "g", "defs", "path", "use", "text", "tspan", "clipPath", "rect", "image"}
_FIELDS = (
    "id href d x y width height viewBox transform clip-path fill fill-opacity fill-rule stroke stroke-width "
    "stroke-opacity stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin opacity text-anchor font-size "
    "font-weight font-style"
).split()
_VALUE = re.compile(r"(?:[\w#., %+-]|(?:rotate|translate|scale|matrix)\([\d., e-]*\)|url\(#\w+\))*")
_PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=\s]*")
_USUAL = {("text-anchor", "start"), ("font-size", "10"), ("stroke-linecap", "butt"), ("stroke-linejoin", "round")}
_MARGIN = 7.2  # in points, around all that is drawn


def drawn(figure: Figure) -> dict[str, Any]:
    """Draw a figure: svg, and its width and height in CSS pixels; the same bytes each time.

    Colours are attributes, by which the style sheet of the page finds those that differ in the dark.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_mixed import MixedModeRenderer
    from matplotlib.backends.backend_svg import RendererSVG

    made, (width, height) = io.StringIO(), figure.get_size_inches()
    figure.set_dpi(72)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "workbench"}):  # savefig would lay all out twice
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        points = RendererSVG(72 * width, 72 * height, made, image_dpi=192, metadata=metadata)
        renderer: Any = MixedModeRenderer(figure, width, height, 192, points)
        figure.draw(renderer)
        box = figure.get_tightbbox(renderer)
        renderer.finalize()
    left, top = 72 * box.x0 - _MARGIN, 72 * (figure.get_figheight() - box.y1) - _MARGIN
    width, height = 72 * box.width + 2 * _MARGIN, 72 * box.height + 2 * _MARGIN
    size = {"width": round(width * 4 / 3), "height": round(height * 4 / 3)}
    view = {k: str(v) for k, v in size.items()} | {"viewBox": f"{left:.1f} {top:.1f} {width:.1f} {height:.1f}"}
    return {"svg": safe(made.getvalue().partition("?>")[2], view=view), **size}


def safe(svg: str, *, prefix: str = "", alt: str = "", view: Mapping[str, str] | None = None) -> str:
    """Write an SVG anew: known elements and attributes alone, no script, no style, no address outside of it.

    `prefix` stands before every id, so that several may stand on one page; with `alt` it is a picture by role, and
    heard as that, once, without its ticks; `view` takes the place of its own viewBox, width and height. Empty where it
    is no SVG.

    >>> safe('<svg width="9"><script>x</script><a href="//y"/><path onclick="x" style="fill: red" d="M 1.23 2"/></svg>')
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" font-family="Noto Sans SC" font-size="10" \
stroke-linejoin="round"><path d="M1.23 2" fill="red"/></svg>'
    """
    from xml.etree import ElementTree

    svg = re.sub(r"\A\s*<!DOCTYPE svg PUBLIC[^\[>]*>", "", svg)
    try:
        root = ElementTree.fromstring("" if "<!" in re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL) else svg)
    except ElementTree.ParseError:
        return ""
    if _tag(root) != "svg":
        return ""
    used = {found for one in root.iter() for found in re.findall(r"#(\w+)", " ".join(one.attrib.values()))}
    kept = dict.fromkeys(name for one in root.iter() if (name := one.get("id", "")) in used)
    names = {name: f"{prefix or 's'}{i}" for i, name in enumerate(kept)}
    own = {field: value for field, value in _fields(root, names) if field in ("viewBox", "width", "height")}
    role = f' role="img" aria-label="{html.escape(alt)}"' if alt else ""
    head = "".join(f' {field}="{value}"' for field, value in (view or own).items())
    inner = "".join(_written(child, names, "" if view else "text") for child in root)
    inner = f'<g aria-hidden="true">{inner}</g>' if alt else inner
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg"{head} font-family="Noto Sans SC" font-size="10" '
        f'stroke-linejoin="round"{role}>{inner}</svg>'
    )


def _written(one: Element, names: Mapping[str, str], within: str) -> str:
    """Write an element with what is in it, but no group that says nothing, and no white paper but in a text."""
    tag = _tag(one)
    if tag not in _TAGS:
        return ""
    fields = dict(_fields(one, names))
    if tag == "path" and fields.get("fill") == "#ffffff" and not {"stroke", "clip-path", "opacity"} & fields.keys():
        if not within.startswith("text"):
            return ""
    within = within if within.startswith("text") else one.get("id") or within
    text = html.escape(one.text or "", quote=False) if tag in ("text", "tspan") else ""
    inner = text + "".join(
        _written(child, names, within) + (html.escape(child.tail or "", quote=False) if text else "") for child in one
    )
    if tag in ("g", "defs") and (not inner or (not fields and tag == "g")):
        return inner
    head = tag + "".join(f' {field}="{html.escape(value)}"' for field, value in fields.items())
    return f"<{head}>{inner}</{tag}>" if inner else f"<{head}/>"


def _fields(one: Element, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Give what is known of an element's attributes and style, numbers rounded, the usual left out."""
    told = {field.rpartition("}")[2]: value for field, value in one.attrib.items()}
    style = (part.partition(":")[::2] for part in told.pop("style", "").split(";"))
    told |= {field.strip(): value.strip().removesuffix("px") for field, value in style}
    for field in (field for field in _FIELDS if told.get(field)):
        value = told[field]
        if field == "id":
            value = names.get(value, "")
        elif field == "href":
            picture = _tag(one) == "image" and _PICTURE.fullmatch(value)
            value = re.sub(r"\s", "", value) if picture else f"#{names[value[1:]]}" if value[1:] in names else ""
        elif "url(" in value:
            found = re.fullmatch(r"url\(#(\w+)\)", value)
            value = f"url(#{names[found[1]]})" if found and found[1] in names else ""
        else:
            value = re.sub(r"-?\d+\.\d+(e-?\d+)?", lambda n: f"{float(n[0]):.2f}".rstrip("0").rstrip("."), value)
            value = re.sub(r"\s*([A-Za-z])\s*", r"\1", value) if field == "d" else value
            value = "" if re.match(r"rotate\(-?0[ ,)]", value) or not _VALUE.fullmatch(value) else value
        if value and (field, value) not in _USUAL:
            yield field, value


def _tag(one: Element) -> str:
    return str(one.tag).rpartition("}")[2]
