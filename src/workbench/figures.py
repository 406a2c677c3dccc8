"""Pictures that several studies draw, in one way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def axes(ax: Axes | None) -> Axes:
    """Give the axes to draw into: those given, else the current ones."""
    if ax is None:
        import matplotlib.pyplot as plt

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
    """Draw one row a name: estimate as a dot with its value, `low` to `high` as a line; first on top."""
    ax = axes(ax)
    names = list(names)
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
