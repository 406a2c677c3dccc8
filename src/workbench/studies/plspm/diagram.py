"""The model as a picture: constructs in layers by the longest chain of paths, coefficients on the arrows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from workbench.studies.plspm.fit import PlsFit

HALF_WIDTH, HALF_HEIGHT = 0.34, 0.2


def path_diagram(fit: PlsFit, ax: Axes | None = None, *, faint: Sequence[tuple[str, str]] = ()) -> Axes:
    """Draw constructs and paths with coefficients and R².

    Parameters
    ----------
    fit : PlsFit
    ax : Axes, optional
    faint : sequence of (source, target)
        Paths to draw dashed, for instance those whose interval includes zero.
    """
    ax = _axes(ax)
    place = _places(fit)
    strongest = max(float(fit.paths.abs().max()), 1e-9)
    for (source, target), value in fit.paths.items():
        _arrow(ax, place, source, target, value, value / strongest, (source, target) in set(faint))
    for name, (x, y) in place.items():
        explained = f"\nR² {fit.r2[name]:.2f}" if name in fit.r2.index else ""
        ax.text(
            x, y, f"{name}{explained}", ha="center", va="center", fontsize=9, zorder=4,
            bbox={"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": "0.3"},
        )  # fmt: skip
    across, up = np.array(list(place.values())).T
    ax.set_xlim(across.min() - 0.6, across.max() + 0.6)
    ax.set_ylim(up.min() - 0.6, up.max() + 0.6)
    ax.axis("off")
    return ax


def dot_and_interval(
    names: Sequence[str], table: pd.DataFrame, ax: Axes | None = None, *, label: str = "", zero: bool = False
) -> Axes:
    """Draw one row a name: estimate as a dot with its value, `low` to `high` as a line; first on top."""
    ax = _axes(ax)
    names = list(names)
    rows = np.arange(len(names))[::-1]
    ax.hlines(rows, table["low"], table["high"], color="C0", linewidth=1.5)
    ax.plot(table["estimate"], rows, "o", color="C0", markersize=4)
    for row, value in zip(rows, table["estimate"], strict=True):
        ax.annotate(f"{value:.2f}", (value, row), (0, 4), textcoords="offset points", ha="center", fontsize=8)
    if zero:
        ax.axvline(0, color="0.6", linewidth=0.8)
    ax.set_yticks(rows, names)
    ax.set_ylim(-0.7, len(names) - 0.3)
    ax.set_xlabel(label)
    return ax


def _axes(ax: Axes | None) -> Axes:
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.gca()
    return ax


def _places(fit: PlsFit) -> dict[str, tuple[float, float]]:
    """Columns by layer; within a column near the neighbours, and off the line that joins other columns."""
    layers = fit.model.layers
    columns: dict[int, list[str]] = {}
    for name in fit.model.names:
        columns.setdefault(layers[name], []).append(name)
    place: dict[str, tuple[float, float]] = {}
    for layer in sorted(columns):
        names = columns[layer]
        middle = 0.45 * (-1) ** layer if len(names) == 1 and 0 < layer < max(columns) else 0.0
        sources = {n: [place[s][1] for s in fit.model.paths.get(n, ()) if s in place] for n in names}
        names = sorted(names, key=lambda n: -np.mean(sources[n] or [0.0]))
        for i, name in enumerate(names):
            place[name] = (1.6 * layer, middle + 1.1 * ((len(names) - 1) / 2 - i))
    return place


def _arrow(ax, place, source, target, value, strength, dashed) -> None:
    from matplotlib.patches import FancyArrowPatch

    (x0, y0), (x1, y1) = place[source], place[target]
    span = round((x1 - x0) / 1.6)
    bend = 0.0 if span <= 1 else 0.16 + 0.05 * span
    if span > 1 and (y0 + y1) < 0:
        bend = -bend
    color = "C3" if value < 0 else "C0"
    width = 0.7 + 2.3 * abs(strength)
    ax.add_patch(
        FancyArrowPatch(
            (x0, y0), (x1, y1), connectionstyle=f"arc3,rad={-bend}", arrowstyle="-|>", mutation_scale=12,
            shrinkA=30, shrinkB=32, color=color, linewidth=width, linestyle="--" if dashed else "-", zorder=2,
            alpha=0.85,
        )
    )  # fmt: skip
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + bend / 2 * np.array([-(y1 - y0), x1 - x0])
    ax.text(
        *middle, f"{value:.2f}", ha="center", va="center", fontsize=8, color=color, zorder=3,
        bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
    )  # fmt: skip
