"""Which name does a cell of scores carry? A grid of segments as data, proved to name each cell exactly once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import product
from pathlib import Path

import numpy as np

from workbench.errors import WorkbenchError, unknown
from workbench.messages import Message, quoted, say

NEVER_ACTIVE = "never_active"
"""The segment of customers without any activity: they have no recency, hence no scores."""

_KEYS = ("name", "name_zh", "meaning", "action", "boxes", "concern", "action_zh")
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
        path = Path(path)
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise WorkbenchError("no segment grid at {path}. Give the path of a TOML file.").of(path) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise WorkbenchError("{path} is not TOML in UTF-8: {error}.").of(path, error) from None
        return cls.from_mapping(raw, where=path.name)

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
        segments, boxes = [], []
        for entry in entries:
            segments.append(_segment(entry, where))
            boxes.append([_box(box, segments[-1].name, bins, where) for box in entry["boxes"]])
        names = [s.name for s in segments]
        if len(set(names)) < len(names) or NEVER_ACTIVE in names:
            raise WorkbenchError("names must be unique and not '{never_active}'. It has: {names}.").of(
                NEVER_ACTIVE, names, at=where
            )
        return cls(bins, tuple(segments), _proved(boxes, names, bins, where))


@cache
def default_grid() -> SegmentGrid:
    """The grid that ships with the study: ten segments over quintile scores."""
    text = resources.files(__package__).joinpath("rfm_segments.toml").read_text(encoding="utf-8")
    return SegmentGrid.from_mapping(tomllib.loads(text), where="rfm_segments.toml")


def _segment(entry: Mapping, where: str) -> Segment:
    for key in entry:
        if key not in _KEYS:
            raise unknown(
                "key", key, _KEYS, say("{where}, segment '{name}'", where=where, name=str(entry.get("name", "?")))
            )
    lacking = [key for key in _KEYS[:-2] if not entry.get(key)]
    if lacking:
        raise WorkbenchError("segment '{name}' lacks {names}.").of(entry.get("name", "?"), lacking, at=where)
    return Segment(**{key: value for key, value in entry.items() if key != "boxes"})


def _box(box: Mapping, segment: str, bins: int, where: str) -> tuple[slice, ...]:
    for key in box:
        if key not in _SCORES:
            raise unknown("score", key, _SCORES, say("{where}, segment '{name}'", where=where, name=segment))
    ranges = [box.get(score, (1, bins)) for score in _SCORES]
    for score, ends in zip(_SCORES, ranges, strict=True):
        good = len(ends) == 2 and all(isinstance(end, int) for end in ends) and 1 <= ends[0] <= ends[1] <= bins
        if not good:
            raise WorkbenchError("segment '{segment}' has {score} = {ends}; it takes [low, high] within 1-{bins}.").of(
                segment, score, str(list(ends)), bins, at=where
            )
    return tuple(slice(low - 1, high) for low, high in ranges)


def _proved(boxes: list[list[tuple[slice, ...]]], names: list[str], bins: int, where: str) -> np.ndarray:
    holders = np.zeros((len(boxes), bins, bins, bins), dtype=int)
    for k, of_segment in enumerate(boxes):
        for box in of_segment:
            holders[k][box] += 1
    count = holders.sum(axis=0)
    if (count == 0).any():
        cells = _cells(count == 0)
        raise WorkbenchError("{where} has a gap: no segment holds {cells}. Widen a box or add a segment.").of(
            where, cells
        )
    if (count > 1).any():
        first = tuple(np.argwhere(count > 1)[0])
        both = [name for name, held in zip(names, holders[(slice(None), *first)], strict=True) if held]
        raise WorkbenchError("{where} has an overlap: {names} hold {cells}. Narrow a box.").of(
            where, both, _cells(count > 1)
        )
    return holders.argmax(axis=0)


def _cells(where: np.ndarray, shown: int = 5) -> Message:
    bins = where.shape[0]
    cells = ["".join(map(str, c)) for c in product(range(1, bins + 1), repeat=3) if where[tuple(np.array(c) - 1)]]
    more = say(" and {n} more", n=len(cells) - shown) if len(cells) > shown else Message()
    return say("cell {cells}{more} (R, F, M)", cells=quoted(cells[:shown]), more=more)
