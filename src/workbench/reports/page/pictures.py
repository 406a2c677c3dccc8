"""How is a figure drawn for a page? In each language as SVG where that is small, else as PNG."""

from __future__ import annotations

import base64
import io
import math
import os
import re
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from workbench.figures import Axes, say_in
from workbench.reports.page import lists, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image


_SCALE, _LARGEST = 2, 60_000  # pixels of a picture in one of a screen; characters of an SVG that a page takes
_LACKS = re.compile(r"Glyph (\d+) .*missing")


def pictures_of(
    ax_or_figure: Axes | Figure, said_in: Iterable[str]
) -> tuple[tuple[str, dict[str, int]], dict[str, dict[str, Any]], set[str]]:
    """Draw: a PNG for the notebook, with its size; by language SVG where a page takes it, else PNG; what a font lacks.

    The PNG is in English if that is asked for or nothing is run, and of half the sharpness beside an SVG.
    """
    from matplotlib import pyplot as plt

    figure: Any = ax_or_figure if hasattr(ax_or_figure, "savefig") else ax_or_figure.figure
    figure = figure.get_figure(root=True) or figure
    drawn: dict[str, dict[str, Any]] = {}
    first: Any = None
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.filterwarnings("always", message=_LACKS.pattern)
            paged, layout = lists.OUTPUT in os.environ, figure.get_layout_engine()
            asked = {*said_in} if paged else {"en", *said_in}
            for language in sorted(asked, key=lambda language: language != "en"):
                if language != "en":
                    figure.set_layout_engine(layout)
                    say_in(figure, language)
                inline = svg.drawn(figure) if paged else {"svg": ""}
                paged = 0 < len(inline["svg"]) <= _LARGEST
                figure.set_layout_engine("none" if paged else layout)  # all has its place
                if not paged or not first:
                    png, size = _png(figure, 1 if paged else _SCALE)
                    first = first or (png, size)
                if paged or language != "en":
                    drawn[language] = inline if paged else {"png": png, **size}
    finally:
        plt.close(figure)
    lacks = [_LACKS.match(str(warning.message)) for warning in warned]
    for warning in (w for w, lack in zip(warned, lacks, strict=True) if not lack):
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return first, drawn, {chr(int(lack[1])) for lack in lacks if lack}


def _png(figure: Figure, scale: float) -> tuple[str, dict[str, int]]:
    """Give a figure in base64, so many times sharper than a screen, and its size in CSS pixels."""
    from PIL import Image

    small, picture = io.BytesIO(), _drawn(figure, scale).quantize(256, dither=Image.Dither.NONE)
    picture.save(small, format="png", compress_level=6)  # an eighth larger, in a sixth of the time
    size = {"width": round(picture.width / scale), "height": round(picture.height / scale)}
    return base64.b64encode(small.getvalue()).decode("ascii"), size


def _drawn(figure: Figure, scale: float) -> Image.Image:
    """Draw a figure with a margin around all that is in it; once, unless something stands outside its canvas.

    matplotlib's own tight bounding box draws everything twice and lays it out twice.
    """
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image, ImageOps

    figure.set_dpi(96 * scale)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    left, low, right, high = np.asarray(figure.get_tightbbox(canvas.get_renderer()).extents) * figure.dpi
    if min(left, low, picture.width - right, picture.height - high) < 0:
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=figure.dpi, bbox_inches="tight", pil_kwargs={"compress_level": 0})
        return Image.open(drawn).convert("RGB")
    inner = (math.floor(left), math.floor(picture.height - high), math.ceil(right), math.ceil(picture.height - low))
    return ImageOps.expand(picture.crop(inner), border=round(0.1 * figure.dpi), fill="white")
