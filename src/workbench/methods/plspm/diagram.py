"""The model as a picture: constructs in layers by the longest chain of paths, coefficients on the arrows."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from workbench.figures import Axes, axes
from workbench.methods.plspm.model import PathModel

BOX = np.array([0.58, 0.24])
STEP = np.array([1.7, 1.35])
BENDS = (0.0, 0.5, -0.5, 0.9, -0.9, 1.3, -1.3, 1.8, -1.8, 2.4, -2.4, 3.0, -3.0, 3.6, -3.6)
ALONG = np.linspace(0, 1, 101)
_BOX = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": "0.3"}
_LABEL = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}


def path_diagram(
    model: PathModel, paths: pd.Series, r2: pd.Series, ax: Axes | None, *, faint: Collection[tuple[str, str]]
) -> Axes:
    """Draw constructs with their R² and paths with their coefficients, those of `faint` (source, target) dashed."""
    ax = axes(ax)
    place = _places(model)
    strongest = max(float(paths.abs().max()), 1e-9)
    curves = _curves(place, list(paths.index))
    marked: list[np.ndarray] = []
    for edge, curve in curves.items():
        value = paths[edge]
        _arrow(ax, curve, value, value / strongest, edge in faint)
        marked.append(_label_place(curve, curves, marked))
        x, y = marked[-1]
        ax.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=9, zorder=5, bbox=_LABEL)
    for name, (x, y) in place.items():
        explained = f"\nR² {r2[name]:.2f}" if name in r2.index else ""
        ax.text(x, y, f"{name}{explained}", ha="center", va="center", fontsize=9, zorder=4, bbox=_BOX)
    points = np.vstack([*curves.values(), *place.values()])
    ax.set_xlim(points[:, 0].min() - 0.7, points[:, 0].max() + 0.7)
    ax.set_ylim(points[:, 1].min() - 0.4, points[:, 1].max() + 0.4)
    ax.axis("off")
    return ax


def _places(model: PathModel) -> dict[str, np.ndarray]:
    """Columns by layer; within a column near the sources, and single constructs alternate above and below."""
    layers = model.layers
    columns: dict[int, list[str]] = {}
    for name in model.names:
        columns.setdefault(layers[name], []).append(name)
    place: dict[str, np.ndarray] = {}
    for layer in sorted(columns):
        names = columns[layer]
        middle = 0.6 * (-1) ** layer if len(names) == 1 and 0 < layer < max(columns) else 0.0
        height = {n: float(np.mean([place[s][1] for s in model.paths.get(n, ())] or [0.0])) for n in names}
        for i, name in enumerate(sorted(names, key=height.__getitem__, reverse=True)):
            place[name] = STEP * (layer, middle + (len(names) - 1) / 2 - i)
    return place


def _curves(place: dict[str, np.ndarray], edges: list[tuple[str, str]]) -> dict[tuple[str, str], np.ndarray]:
    """Route each path, the short ones first, past the boxes of others and apart from paths already drawn."""
    curves: dict[tuple[str, str], np.ndarray] = {}
    for edge in sorted(edges, key=lambda e: (place[e[1]][0] - place[e[0]][0], e)):
        start, end = place[edge[0]], place[edge[1]]
        best, lowest = None, np.inf
        for bend in BENDS:
            t = ALONG[:, None]
            middle = (start + end) / 2 + np.array([0.0, 2 * bend])
            curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
            cost = abs(bend) + 100 * sum(
                _inside(curve, at, 1.1).any() for name, at in place.items() if name not in edge
            )
            curve = curve[~_inside(curve, start, 1.0) & ~_inside(curve, end, 1.08)]
            for other in curves.values():
                apart = np.linalg.norm(curve[:, None] - other[None, ::4], axis=2).min(axis=1)
                cost += 6 * (apart < 0.14).mean()
            if len(curve) > 1 and cost < lowest:
                best, lowest = curve, cost
        curves[edge] = best if best is not None else np.array([start, end])
    return curves


def _inside(points: np.ndarray, center: np.ndarray, scale: float) -> np.ndarray:
    inside: np.ndarray = (np.abs(points - center) < BOX * scale).all(axis=1)
    return inside


def _label_place(curve: np.ndarray, curves: dict[tuple[str, str], np.ndarray], marked: list[np.ndarray]) -> np.ndarray:
    """A point of the curve away from other labels and other curves, near its middle."""
    shares = (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74)
    spots = [curve[int(share * (len(curve) - 1))] for share in shares]
    others = [c for c in curves.values() if c is not curve]

    def crowding(spot: np.ndarray) -> float:
        labels = [max(0.0, 1 - np.abs((spot - m) / (0.4, 0.22)).max()) for m in marked]
        lines = [max(0.0, 1 - np.linalg.norm((c - spot) / (0.25, 0.15), axis=1).min()) for c in others]
        return float(3 * sum(labels) + sum(lines))

    return min(spots, key=crowding)


def _arrow(ax: Axes, curve: np.ndarray, value: float, strength: float, dashed: bool) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    color = "C3" if value < 0 else "C0"
    width = 0.7 + 2.3 * abs(strength)
    style = "--" if dashed else "-"
    ax.plot(*curve[:-2].T, style, color=color, linewidth=width, zorder=2)
    ax.add_patch(
        FancyArrowPatch(path=Path(curve[-3:]), arrowstyle="-|>", mutation_scale=12, color=color, linewidth=width)
    )
