"""Pictures that several studies draw, in one way, with one theme; Chinese is drawn alike on every machine."""

from __future__ import annotations

import math
import re
import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.messages import Listed, Message, Named, Term, Value, as_message, known, say, word
from workbench.words import width

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Formatter
else:
    Axes = "matplotlib.axes.Axes"  # what pictures are drawn into, named without loading the library

PALETTE = ("#0072B2", "#E69F00", "#000000", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
"""Okabe and Ito's colours, ordered so that neighbours also differ when printed in grey."""
_INK, _GRID = "#222222", "#dddddd"
_SIGNS = {" · ": " · ", ": ": "：", " → ": " → ", " – ": " – ", " − ": " − ", ", ": "·"}
"""What joins the names in a label, and what joins them in Chinese."""
NAMES = "names of the data"
"""The mark (gid) of an axis whose ticks are names of the data: they are said alike in every language."""
MOST_ROWS = 60
_FIGURES = 4  # of a number in 万 at most
_ZERO = re.compile(r"^\+?(?=[.,])")  # z stands after it in a format that writes no -0.00
_LEADING = 1.25  # of the lines of a text, for Han is higher than Latin


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
            "text.parse_math": False,  # a name of the data may have two dollar signs
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
            "figure.figsize": (7.2, 3.6),
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

    A figure of these axes alone is as high as its rows take, so that their names stay apart. Of more than 60 rows the
    first are drawn, and the label says so.
    """
    if len(table) > MOST_ROWS:
        label = say(
            "{label} (the first {n} of {all}; the others stand in the table)",
            label=as_message(label),
            n=MOST_ROWS,
            all=len(table),
        )
        names, table = list(names)[:MOST_ROWS], table[:MOST_ROWS]
    ax, names = axes(ax), [in_lines(name, 48) for name in names]
    digits = _ZERO.sub(r"\g<0>z", digits)
    fit(ax, len(names), 0.2 * max((name.count("\n") + 1 for name in names), default=1))
    rows = np.arange(len(names))[::-1]
    ax.hlines(rows, table["low"], table["high"], color="C0", linewidth=1.5)
    ax.plot(table["estimate"], rows, "o", color="C0", markersize=4)
    for row, value in zip(rows, table["estimate"], strict=True):
        ax.annotate(
            f"{value:{digits}}".replace("-", "−"),
            (value, row),
            (0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    if zero:
        ax.axvline(0, color="0.6", linewidth=0.8)
    ax.set_yticks(rows, names)
    ax.set_ylim(-0.7, len(names) - 0.3)
    ax.set_xlabel(label)
    return ax


def heat_map(
    values: pd.DataFrame, texts: str | list[list[str]], ax: Axes | None = None, *, label: str = "", **look: Any
) -> Axes:
    """Draw a table of numbers as colours, first row on top; `label` names a bar of colours, `look` is seaborn's.

    `texts` has the text of each cell, or the format of the numbers, or is empty.
    """
    from seaborn import heatmap

    written = (
        {"annot": bool(texts), "fmt": _ZERO.sub(r"\g<0>z", texts)}
        if isinstance(texts, str)
        else {"annot": np.array(texts), "fmt": ""}
    )
    ticks = {"xticklabels": [*map(str, values.columns)], "yticklabels": [*map(str, values.index)]}
    look = {"cmap": "Blues", "cbar": bool(label), "cbar_kws": {"label": label}} | ticks | look
    drawn: Any = heatmap(values, ax=axes(ax), **written, **look)
    colours = drawn.collections[0].get_facecolors()
    for text in drawn.texts:  # seaborn writes white on colours of middle brightness
        x, y = map(int, text.get_position())
        text.set_text(text.get_text().replace("-", "−"))
        text.set_color(ink_on(colours[y * values.shape[1] + x]))
    drawn.set(xlabel="", ylabel="")
    drawn.yaxis.labelpad = 8
    drawn.tick_params(length=0, rotation=0)
    drawn.grid(visible=False)
    return drawn  # type: ignore[no-any-return]  # seaborn has no types


def ink_on(colour: Any) -> str:
    """Give the colour, white or black, of words that stand on a colour: the one that differs more (WCAG)."""
    from seaborn.utils import relative_luminance

    return "white" if relative_luminance(colour) < 0.179 else "black"


def flows(
    counts: pd.DataFrame,
    before: Sequence[str],
    after: Sequence[str],
    ax: Axes | None = None,
    *,
    least: float = 0,
    shares: bool = False,
    ends: tuple[str, str] = ("", ""),
    label: str = "",
) -> Axes:
    """Draw how many go from each on the left (index) to each on the right (columns), as bands in the left one's colour.

    Rows and columns are called `before` and `after`; blocks stand as far apart as that takes. A name on both sides has
    one colour, one that stands on one side alone is grey. Bands of fewer than `least` are left out. `shares` draws all
    rows equally high; `ends` stand below the left and the right, `label` below the whole.
    """
    ax, number = axes(ax), counts.to_numpy(dtype=float)
    high = number / np.maximum(number.sum(axis=1, keepdims=True), 1) if shares else number
    fit(ax, max(counts.shape), 0.5)
    names, inks = set(counts.index) & set(counts.columns), [c for c in PALETTE if c != "#000000"]
    known = [name for name in counts.index if name in names or not names]
    colours = {name: inks[i % len(inks)] for i, name in enumerate(known)}
    starts = []
    sides = (0, counts.index, high.sum(axis=1), before), (0.98, counts.columns, high.sum(axis=0), after)
    for edge, index, sums, words in sides:
        said = [in_lines(text, 26) for text in words]
        lines = np.array([text.count("\n") + 1 for text in said])
        needed = 0.03 * (lines[:-1] + lines[1:]) * high.sum() - (sums[:-1] + sums[1:]) / 2
        low = np.r_[0, np.cumsum(sums[:-1] + np.maximum(0.035 * high.sum(), needed))]
        ax.bar(edge, sums, 0.02, low, align="edge", color=[colours.get(name, "0.6") for name in index])
        side = ax.yaxis if edge == 0 else ax.secondary_yaxis("right").yaxis
        side.set_ticks(low + sums / 2, said)
        side.set_tick_params(length=0)
        side.axes.spines[:].set_visible(False)
        starts.append(low.copy())
    t = np.linspace(0, 1, 30)
    bend, x = t**2 * (3 - 2 * t), 0.02 + 0.96 * t
    for i, j in np.argwhere(number):
        low = starts[0][i] + bend * (starts[1][j] - starts[0][i])
        if number[i, j] >= least:
            ink = colours.get(counts.index[i], "0.6")
            ax.fill_between(x, low, low + high[i, j], color=ink, alpha=0.6, linewidth=0)
        starts[0][i] += high[i, j]
        starts[1][j] += high[i, j]
    ax.set_xlim(0, 1)
    ax.set_xticks([0.01, 0.99], ends)
    ax.tick_params("x", length=0)
    ax.set_xlabel(label)
    ax.grid(False)
    ax.invert_yaxis()
    return ax


def fit(ax: Axes, rows: int, least: float = 0.2) -> None:
    """Let a figure of these axes alone be as high as its rows take: `least` inches each, not many more than that."""
    figure = ax.get_figure(root=True)
    if figure is not None and len(figure.axes) == 1:
        figure.set_figheight(max(min(figure.get_figheight(), 0.42 * rows + 0.9), least * rows + 0.6))


def legend(ax: Axes, columns: int = 3) -> None:
    """Name what is drawn above the picture, where it hides nothing."""
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2)


def axis_unit(unit: str, points: bool = False, called: str = "percentage points") -> Value:
    """Give the unit of an effect as an axis names it: of a share, points of a hundred.

    >>> axis_unit("yuan").said("zh"), axis_unit("", points=True).said("zh"), axis_unit("").said()
    ('元', '百分点', 'units of the outcome')
    """
    return Named(called, "百分点") if points else Term(unit or "units of the outcome")


def say_in(figure: Figure, language: str) -> None:
    """Say all texts of a figure that was drawn in another language, in place: titles, axes, ticks, notes, legends.

    Ticks keep their places and their look, also where a layout of other texts would have room for more or fewer:
    what they say is said as they are drawn.
    """
    from matplotlib.axis import Axis
    from matplotlib.text import Text
    from matplotlib.ticker import FixedLocator, NullLocator

    names = {text for axis in figure.findobj(Axis) if axis.get_gid() == NAMES for text in axis.get_ticklabels()}
    for axis in figure.findobj(Axis):
        if axis.get_gid() != NAMES:
            axis.set_major_formatter(_said_ticks(axis.get_major_formatter(), language))
            axis.set_minor_formatter(_said_ticks(axis.get_minor_formatter(), language))
        for locator, put in (
            (axis.get_major_locator(), axis.set_major_locator),
            (axis.get_minor_locator(), axis.set_minor_locator),
        ):
            if not isinstance(locator, (FixedLocator, NullLocator)):
                put(FixedLocator(locator()))
    for text in set(figure.findobj(Text)) - names:
        said = _said(text.get_text(), language)
        if "\n" in said and said != text.get_text():
            text.set_linespacing(_LEADING)
        text.set_text(said)


def _said_ticks(inner: Formatter, language: str) -> Formatter:
    """Give a formatter that says in a language what another says in English."""
    from matplotlib.ticker import Formatter, NullFormatter, ScalarFormatter, StrMethodFormatter

    class Said(Formatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return _said(inner(x, pos), language)

        def format_ticks(self, values: list[float]) -> list[str]:
            ticks = inner.format_ticks(values)
            numbers = isinstance(inner, (ScalarFormatter, StrMethodFormatter)) and not inner.get_offset()
            said = [_number(text, language) if numbers else _said(text, language) for text in ticks]
            return (
                said if max(map(_figures, said), default=0) <= _FIGURES else [_said(text, language) for text in ticks]
            )

        def get_offset(self) -> str:
            return inner.get_offset()

        def set_locs(self, locs: list[float]) -> None:
            inner.set_locs(locs)

    return inner if isinstance(inner, NullFormatter) else Said()


def _number(text: str, language: str) -> str:
    """Say the number of a tick: from 10,000 on in 万 or 亿.

    >>> _number("12,500", "zh"), _number("−250000000", "zh"), _number("8,000", "zh"), _number("0.5", "zh")
    ('1.25万', '−2.5亿', '8000', '0.5')
    """
    if language != "zh" or not re.fullmatch(r"−?(\d{1,3}(,\d{3})+|\d+)(\.0+)?", text):
        return _said(text, language)
    size = float(re.sub(r"[−,]", "", text))
    unit, name = (1e8, "亿") if size >= 1e8 else (1e4, "万")
    return f"{'−' * text.startswith('−')}{size / unit:.10g}{name}" if size >= 1e4 else text.replace(",", "")


def _figures(text: str) -> int:
    """How many figures a number in 万 has: one of many, 20.2601万, is a month or a code, or says nothing shorter."""
    return len(re.findall(r"\d", text)) if text.endswith(("万", "亿")) else 0


def _said(text: str, language: str) -> str:
    """Say a text of a figure: a message, a text broken into lines for its place, names joined by a sign, or a word."""
    if known(text) or not text.strip():
        return word(text, language)
    if (bare := text.strip()) != text:
        return text.replace(bare, _said(bare, language))
    if "\n" in text and (said := _said(" ".join(text.split()), language)) != " ".join(text.split()):
        return _broken(said, max(map(len, text.split("\n"))))
    if (said := word(text, language)) != text:
        return said
    if (numbered := re.match(r"\d+ ", text)) and (said := _said(text[numbered.end() :], language)):
        return numbered[0] + said
    for sign, joined in _SIGNS.items():
        parts = text.split(sign) if sign in text else []
        if (said_parts := [_said(part, language) for part in parts]) != parts:
            return joined.join(said_parts)
    return text


def in_lines(name: str, columns: int = 36) -> str:
    """Break a name that in one line would leave no room for what is drawn beside it; of a long one the beginning.

    >>> in_lines("VIP-" + 36 * "x").split("\\n"), in_lines(99 * "名")[-2:]
    (['VIP-xxxxxxxxxxxxxxxx', 'xxxxxxxxxxxxxxxxxxxx'], '名…')
    """
    while width(name) > 3 * columns:
        name = name[:-2].rstrip() + "…"
    return _broken(name, columns) if width(name) > columns else name


def _broken(text: str, columns: int) -> str:
    """Break a text into even lines of at most so many columns, Han two wide; marks stay with what they enclose.

    >>> _broken("高流量（MB）、低通话分钟，新客户", 20).split("\\n")
    ['高流量（MB）、低', '通话分钟，新客户']
    """
    wanted = max(1, math.ceil(width(text) / columns))
    for most in range(math.ceil(width(text) / wanted), columns + 1):
        pieces = re.findall(rf"[（《“]*(?:[!-~−]{{1,{most}}}|.)[，。、；：！？）》”…]*\s*", text)
        lines = [""]
        for piece in pieces:
            if lines[-1] and width(lines[-1] + piece.rstrip()) > most:
                lines.append("")
            lines[-1] += piece
        if len(lines) <= wanted:
            break
    return "\n".join(line.rstrip() for line in lines)


def character_names(characters: Iterable[str]) -> Message | Listed:
    """Name characters that a font lacks by Unicode, in order, the first of them.

    >>> character_names("🎉").said(), character_names("🎉😀😁😂").said("zh")[-5:]
    ('U+1F389 party popper', '，另有1个')
    """
    named, most = sorted(characters), 3
    shown = Listed([f"U+{ord(c):04X} {unicodedata.name(c, '?').lower()}" for c in named[:most]], "")
    return say("{names} and {n} more", names=shown, n=len(named) - most) if len(named) > most else shown


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
