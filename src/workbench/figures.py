"""Pictures that several studies draw, in one way, with one theme; Chinese is drawn alike on every machine."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError
from workbench.messages import word

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#E69F00", "#000000", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
"""Okabe and Ito's colours, ordered so that neighbours also differ when printed in grey."""
_INK, _GRID = "#222222", "#dddddd"


def use_theme() -> None:
    """Set the look of all figures of a process.

    Colours are those of Okabe and Ito, the background is white in every mode, and the font is Noto Sans SC
    as shipped with the environment, so that Chinese is drawn alike on every machine. A character the font
    lacks is an error, or named where the figure is shown, never an empty box alone.
    """
    import matplotlib as mpl
    from cycler import cycler

    mpl.rcParams.update(
        {
            "font.family": [_font()],
            "font.size": 10,
            "axes.unicode_minus": True,
            "axes.prop_cycle": cycler(color=PALETTE),
            "axes.edgecolor": _INK,
            "axes.labelcolor": _INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": _GRID,
            "grid.linewidth": 0.6,
            "lines.linewidth": 1.8,
            "lines.markersize": 5,
            "xtick.color": _INK,
            "ytick.color": _INK,
            "text.color": _INK,
            "legend.frameon": False,
            "figure.figsize": (7.2, 4.0),
            "figure.dpi": 96,
            "figure.facecolor": "white",
            "axes.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.constrained_layout.use": True,
            "image.cmap": "cividis",
        }
    )
    warnings.filterwarnings("error", message=r"Glyph \d+ .*missing")


def axes(ax: Axes | None) -> Axes:
    """Give the axes to draw into: those given, else the current ones, in the font that has Chinese."""
    if ax is None:
        import matplotlib as mpl
        import matplotlib.pyplot as plt

        if mpl.rcParams["font.family"] == ["sans-serif"]:
            mpl.rcParams["font.family"] = [_font()]
        ax = plt.gca()
    return ax


def dot_and_interval(
    names: Sequence[str],
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    label: str = "",
    zero: bool = False,
    digits: str = ".2f",
) -> Axes:
    """Draw one row a name: estimate as a dot with its value, `low` to `high` as a line; first on top.

    A figure of these axes alone grows with the rows, so that their names stay apart.
    """
    ax, names = axes(ax), list(names)
    digits = re.sub(r"^\+?", r"\g<0>z", digits)  # z: no -0.00
    figure = ax.get_figure(root=True)
    if figure is not None and len(figure.axes) == 1:
        figure.set_figheight(max(figure.get_figheight(), 0.2 * len(names) + 0.6))
    rows = np.arange(len(names))[::-1]
    ax.hlines(rows, table["low"], table["high"], color="C0", linewidth=1.5)
    ax.plot(table["estimate"], rows, "o", color="C0", markersize=4)
    for row, value in zip(rows, table["estimate"], strict=True):
        ax.annotate(f"{value:{digits}}", (value, row), (0, 4), textcoords="offset points", ha="center", fontsize=8)
    if zero:
        ax.axvline(0, color="0.6", linewidth=0.8)
    ax.set_yticks(rows, names)
    ax.set_ylim(-0.7, len(names) - 0.3)
    ax.set_xlabel(label)
    return ax


def say_in(figure: Figure, language: str) -> None:
    """Say all texts of a figure that was drawn in another language, in place: titles, axes, ticks, notes, legends."""
    from matplotlib.text import Text

    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            ticks = [tick.get_text() for tick in axis.get_majorticklabels()]
            said = [word(text, language) for text in ticks]
            if said != ticks:
                seen = axis.get_view_interval()
                axis.set_ticks(axis.get_majorticklocs(), said)
                axis.set_view_interval(*seen, ignore=True)
    for text in figure.findobj(Text):
        text.set_text(word(text.get_text(), language))


def character_names(characters: Iterable[str], most: int = 3) -> str:
    """Name characters that a font lacks, in order, the first of them.

    >>> character_names("🎉")
    'U+1F389 party popper'
    """
    named = sorted(characters)
    shown = ", ".join(f"U+{ord(c):04X} {unicodedata.name(c, 'without a name').lower()}" for c in named[:most])
    return shown + (f" and {len(named) - most} more" if len(named) > most else "")


def font_file() -> Path:
    """Give the file of the font for Latin and Chinese text, Noto Sans SC as shipped with the environment."""
    from importlib.resources import files

    try:
        return Path(str(files("pylopdf_fonts_zh_cn"))) / "NotoSansSC-Regular.otf"
    except ModuleNotFoundError as error:
        raise WorkbenchError(
            "the font for Chinese text is not installed (package pylopdf-fonts-zh-cn). Build the environment "
            "again from requirements.lock."
        ) from error


def _font() -> str:
    from matplotlib import font_manager

    path = font_file()
    name = font_manager.FontProperties(fname=path).get_name()
    if path not in {Path(f.fname) for f in font_manager.fontManager.ttflist}:
        font_manager.fontManager.addfont(path)
    return name
