"""Which name does a cell of scores carry? A grid of segments as data, proved to name each cell exactly once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path

import numpy as np

from workbench.errors import WorkbenchError, require_known
from workbench.messages import say
from workbench.rules import made, prove_parted, read_rules

NEVER_ACTIVE = "never_active"
"""The segment of customers without any activity: they have no recency, hence no scores."""

SHIPPED = "rfm_segments.toml"
_SCORES = ("r", "f", "m")


@dataclass(frozen=True)
class Segment:
    """A named segment: what it means, what to do, and whether it is slipping away."""

    name: str
    name_zh: str
    meaning: str
    action: str
    concern: bool = False
    action_zh: str = ""


@dataclass(frozen=True, eq=False)
class SegmentGrid:
    """Named segments over all cells of R, F and M scores, disjoint and exhaustive.

    Attributes
    ----------
    bins : int
        Scores run from 1 to `bins`.
    segments : tuple of Segment
        In the order of the file: the order of tables and pictures.
    position : ndarray of int, shape (bins, bins, bins)
        Which segment holds the cell of scores (r, f, m), at [r - 1, f - 1, m - 1].
    """

    bins: int
    segments: tuple[Segment, ...]
    position: np.ndarray

    def names(self, r: np.ndarray, f: np.ndarray, m: np.ndarray) -> np.ndarray:
        """Name the segment of each customer by scores, shape (n,)."""
        return np.array([s.name for s in self.segments], dtype=object)[self.position[r - 1, f - 1, m - 1]]

    @classmethod
    def from_toml(cls, path: str | Path) -> SegmentGrid:
        """Read a grid of your own; the format is that of `rfm_segments.toml` beside this module.

        Raises
        ------
        WorkbenchError
            If the file is absent or is not such a grid, or a cell has no segment or two.
        """
        return read_rules(path, __package__, SHIPPED, partial(cls._read, where=Path(path).name))

    @classmethod
    def _read(cls, bins: int = 0, segment: tuple[Mapping, ...] = (), where: str = "") -> SegmentGrid:
        return cls.from_mapping({"bins": bins, "segment": segment}, where=where)

    @classmethod
    def from_mapping(cls, raw: Mapping, *, where: str = "the segment grid") -> SegmentGrid:
        """Build a grid from what the TOML file holds, and prove it.

        Raises
        ------
        WorkbenchError
            If a key is unknown or absent, a box leaves the scores, or a cell has no segment or two.
        """
        bins, entries = raw.get("bins"), raw.get("segment")
        if not isinstance(bins, int) or bins < 2 or not entries:
            raise WorkbenchError("{where} needs bins (a whole number from 2) and at least one [[segment]].").of(where)
        held = []
        for entry in entries:
            place = say("{where}, segment '{name}'", where=where, name=str(entry.get("name", "?")))
            held.append(made(partial(_segment, bins, where), entry, place))
        names = [segment.name for segment, _ in held]
        if len(set(names)) < len(names) or NEVER_ACTIVE in names:
            raise WorkbenchError("names must be unique and not '{never_active}'. It has: {names}.").of(
                NEVER_ACTIVE, names, at=where
            )
        cells = {f"R{r} F{f} M{m}": at for at, (r, f, m) in enumerate(product(range(1, bins + 1), repeat=3))}
        prove_parted([(segment.name, theirs) for segment, theirs in held], cells, where, "segment")
        position = np.empty(bins**3, dtype=int)
        for k, (_, theirs) in enumerate(held):
            position[[cells[cell] for cell in theirs]] = k
        return cls(bins, tuple(segment for segment, _ in held), position.reshape((bins,) * 3))


@cache
def default_grid() -> SegmentGrid:
    """The grid that ships with the study: ten segments over quintile scores."""
    return read_rules(None, __package__, SHIPPED, partial(SegmentGrid._read, where=SHIPPED))


def _segment(
    bins: int,
    where: str,
    name: str,
    name_zh: str,
    meaning: str,
    action: str,
    boxes: Sequence[Mapping],
    concern: bool = False,
    action_zh: str = "",
) -> tuple[Segment, list[str]]:
    """A segment, and the cells that it holds."""
    texts = {"name": name, "name_zh": name_zh, "meaning": meaning, "action": action, "boxes": boxes}
    if lacking := [key for key, value in texts.items() if not value]:
        raise WorkbenchError("segment '{name}' lacks {names}.").of(name or "?", lacking, at=where)
    cells = [cell for box in boxes for cell in _box(box, name, bins, where)]
    return Segment(name, name_zh, meaning, action, concern, action_zh), cells


def _box(box: Mapping, segment: str, bins: int, where: str) -> list[str]:
    for key in box:
        require_known("score", key, _SCORES, say("{where}, segment '{name}'", where=where, name=segment))
    ranges = [box.get(score, (1, bins)) for score in _SCORES]
    for score, ends in zip(_SCORES, ranges, strict=True):
        good = len(ends) == 2 and all(isinstance(end, int) for end in ends) and 1 <= ends[0] <= ends[1] <= bins
        if not good:
            raise WorkbenchError("segment '{segment}' has {score} = {ends}; it takes [low, high] within 1-{bins}.").of(
                segment, score, str(list(ends)), bins, at=where
            )
    return [f"R{r} F{f} M{m}" for r, f, m in product(*(range(low, high + 1) for low, high in ranges))]
